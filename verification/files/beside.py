"""What may stand beside a file of features: labels of formats that have no room for them, and ids of any."""

from __future__ import annotations

from pathlib import Path


def labels_path(path: Path) -> Path:
    """Where the labels of a ``.npy`` or an index are."""
    return path.with_suffix(".labels.npy")


def ids_path(path: Path) -> Path:
    """Where the ids of the rows are; of an index, which id each label is of."""
    return path.with_suffix(".ids.npy")

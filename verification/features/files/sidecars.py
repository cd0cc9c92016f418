"""What stands beside a ``.npy`` or an index, which have no place for it: ``NAME.labels.npy``, ``NAME.ids.npy``, …"""

from __future__ import annotations

from pathlib import Path

KINDS = ("labels", "labelled", "ids", "groups")


def sidecar(path: Path, what: str) -> Path:
    """Where such a column of a file is."""
    return path.with_suffix(f".{what}.npy")


def sidecars(path: Path) -> dict[str, Path]:
    """Those that are there, by what they hold; ValueError where one is no file."""
    there = {what: beside for what in KINDS if (beside := sidecar(path, what)).exists()}
    for beside in there.values():
        if not beside.is_file():
            raise ValueError(f"{beside}: must be a file.")
    return there


def is_sidecar(path: Path) -> bool:
    """Whether a file belongs to another by its name."""
    return any(path.name.endswith(f".{what}.npy") for what in KINDS)

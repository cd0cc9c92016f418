"""What the tests of the sources share."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from verification.features import FeatureSet


def single(features: FeatureSet) -> FeatureSet:
    return FeatureSet(features.features.astype(np.float32), features.labels)


# rows without a vector, and without a label, of what is stored with gaps
NO_VECTOR, NO_LABEL = (3, 100), (7,)


def stored(features: FeatureSet, gaps: bool = False) -> list[tuple[list[float] | None, int | str | None, str, int]]:
    """What a store is given of each row: its vector and label, one of two splits, and one of four cameras."""
    return [
        (
            None if gaps and row in NO_VECTOR else vector,
            None if gaps and row in NO_LABEL else label,
            "test" if row % 3 else "train",
            row % 4,
        )
        for row, (vector, label) in enumerate(zip(features.features.tolist(), features.labels.tolist(), strict=True))
    ]


def refused(outcome: tuple[int, str, str], said: str, folder: Path) -> None:
    status, out, err = outcome
    assert (status, out) == (2, "")
    assert re.fullmatch(r"stationary: [^\n]+\n", err), err
    assert re.search(said, err.strip()), err
    assert {each.name for each in folder.iterdir()} == {"new.npz"}

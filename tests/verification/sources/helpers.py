"""What the tests of the sources share."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from verification.features import FeatureSet


def single(features: FeatureSet) -> FeatureSet:
    return FeatureSet(features.features.astype(np.float32), features.labels)


def refused(outcome: tuple[int, str, str], said: str, folder: Path) -> None:
    status, out, err = outcome
    assert (status, out) == (2, "")
    assert re.fullmatch(r"stationary: [^\n]+\n", err), err
    assert re.search(said, err.strip()), err
    assert {each.name for each in folder.iterdir()} == {"new.npz"}

"""Whose vectors a gallery holds, told by the rows of both models and no labels."""

from __future__ import annotations

import numpy as np
import pytest

from tests.command_line import run
from verification.bridge.origin import origin
from verification.features import FeatureSet

RNG = np.random.default_rng(0)
MEANS = RNG.standard_normal((30, 64))
TURN = np.linalg.qr(RNG.standard_normal((64, 64)))[0]
Y, ITEMS = np.arange(600) % 30, np.arange(900) % 30


def drawn(labels: np.ndarray) -> np.ndarray:
    return MEANS[labels] + 0.6 * RNG.standard_normal((len(labels), 64))


OLD, NEW = FeatureSet(drawn(Y)), FeatureSet(drawn(Y) @ TURN)
OLD_ITEMS, NEW_ITEMS = drawn(ITEMS), drawn(ITEMS) @ TURN


def test_the_rows_of_the_new_model_are_named():
    foreign = np.arange(900) % 2 == 0
    found = origin(FeatureSet(np.where(foreign[:, None], NEW_ITEMS, OLD_ITEMS)), NEW, OLD)
    np.testing.assert_array_equal(found.rows, np.flatnonzero(foreign))
    assert (found.mixed, found.mistaken) == (True, 0.0)


def test_a_gallery_of_one_model_is_not_mixed():
    assert [origin(FeatureSet(items), NEW, OLD).mixed for items in (OLD_ITEMS, NEW_ITEMS)] == [False, False]
    assert len(origin(FeatureSet(NEW_ITEMS), NEW, OLD).rows) == 900


def test_two_models_of_one_space_cannot_be_told_apart():
    assert origin(FeatureSet(OLD_ITEMS), FeatureSet(drawn(Y)), OLD).mixed is None


def test_what_cannot_be_used():
    with pytest.raises(ValueError, match="must have one dimension, got 64, 64 and 32"):
        origin(FeatureSet(OLD_ITEMS), NEW, FeatureSet(OLD.features[:, :32]))
    with pytest.raises(ValueError, match="at least three rows, got 600 and 2"):
        origin(FeatureSet(OLD_ITEMS), NEW, FeatureSet(OLD.features[:2]))


def test_check_asks_about_the_gallery(capsys, monkeypatch, tmp_path):
    foreign = np.arange(900) % 2 == 0
    sets = {"new": NEW, "old": OLD, "mixed": FeatureSet(np.where(foreign[:, None], NEW_ITEMS, OLD_ITEMS))}
    for name, features in (sets | {"pure": FeatureSet(OLD_ITEMS)}).items():
        features.save(tmp_path / f"{name}.npz")
    paths = tmp_path / "new.npz", tmp_path / "old.npz"
    rows = tmp_path / "rows.npy"
    status, printed, _ = run(capsys, monkeypatch, "check", *paths, "--gallery", tmp_path / "mixed.npz", "--rows", rows)
    printed = " ".join(printed.split())
    assert status == 1
    assert printed.startswith("TWO MODELS MIXED The gallery holds the vectors of two models: 450 of 900 rows")
    assert "Between the two models: another space" in printed
    np.testing.assert_array_equal(np.load(rows), np.flatnonzero(foreign))
    _, printed, _ = run(capsys, monkeypatch, "check", *paths, "--gallery", tmp_path / "pure.npz")
    assert printed.startswith("ANOTHER SPACE")
    assert "The gallery holds the vectors of the old model." in printed

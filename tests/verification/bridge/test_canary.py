"""A canary tells whether a model is still that model, from few rows."""

from __future__ import annotations

import numpy as np
import pytest

from verification.bridge.canary import compare_with_canary, save_canary
from verification.features import FeatureSet

RNG = np.random.default_rng(0)
X = RNG.standard_normal((300, 32)).astype(np.float32)
NAMES = np.array([f"text {i}" for i in range(300)])
ORDER = RNG.permutation(300)


def test_rows_are_found_by_their_ids_in_any_order(tmp_path):
    path = tmp_path / "canary.npz"
    assert save_canary(FeatureSet(X, ids=NAMES), path) == 50
    kept = FeatureSet.load(path)
    np.testing.assert_array_equal(kept.features, X[[int(name.split()[1]) for name in kept.ids]])
    found = compare_with_canary(FeatureSet(X[ORDER], ids=NAMES[ORDER]), path)
    assert (found.same, found.total, found.evidence.largest_distance) == (True, 50, 0.0)
    assert not compare_with_canary(FeatureSet(X[ORDER], ids=NAMES), path).same
    assert compare_with_canary(FeatureSet(X.astype(np.float16), ids=NAMES), path).same


def test_without_ids_rows_are_found_by_their_positions_or_are_those_of_the_canary(tmp_path):
    path = tmp_path / "canary.npz"
    save_canary(FeatureSet(X), path)
    assert compare_with_canary(FeatureSet(X), path).same
    assert not compare_with_canary(FeatureSet(X[ORDER]), path).same
    inputs = FeatureSet.load(path).ids
    assert compare_with_canary(FeatureSet(X[inputs]), path).same
    turned = X[inputs] @ np.linalg.qr(RNG.standard_normal((32, 32)))[0]
    assert compare_with_canary(FeatureSet(turned), path).relation == "rotation"
    with pytest.raises(ValueError, match="as many rows as the one it was taken from, got 60 rows"):
        compare_with_canary(FeatureSet(X[:60]), path)


def test_an_input_that_is_missing_is_named(tmp_path):
    path = tmp_path / "canary.npz"
    save_canary(FeatureSet(X, ids=NAMES), path)
    kept = FeatureSet.load(path).ids
    without = np.flatnonzero(kept[7] != NAMES)
    with pytest.raises(ValueError, match=rf"1 of the canary's 50 inputs are not in the set, .* '{kept[7]}'"):
        compare_with_canary(FeatureSet(X[without], ids=NAMES[without]), path)


def test_a_canary_keeps_rows_in_their_order_and_no_more_than_there_are(tmp_path):
    path = tmp_path / "canary.npz"
    assert save_canary(FeatureSet(X), path, num_rows=3) == 3
    three = FeatureSet.load(path).ids
    assert save_canary(FeatureSet(X), path, num_rows=3, seed=1) == 3
    assert not np.array_equal(FeatureSet.load(path).ids, three)
    assert np.all(np.diff(three) > 0)
    assert save_canary(FeatureSet(X[:3]), path) == 3
    np.testing.assert_array_equal(FeatureSet.load(path).features, X[:3])
    with np.load(path) as archive:
        assert str(archive["canary"]) == "rows"
    for rows in (2, 0):
        with pytest.raises(ValueError, match=f"at least three rows, got {rows}"):
            save_canary(FeatureSet(X), path, num_rows=rows)
    # positions count as soon as the set has one row more than the last of them
    save_canary(FeatureSet(X), path, num_rows=4)
    last = int(FeatureSet.load(path).ids.max())
    assert compare_with_canary(FeatureSet(X[: last + 1]), path).same
    with pytest.raises(ValueError, match=rf"4 inputs; .* as many rows as the one it was taken from, got {last} rows"):
        compare_with_canary(FeatureSet(X[:last]), path)


def test_a_canary_with_ids_takes_a_set_without_them_row_by_row(tmp_path):
    path = tmp_path / "canary.npz"
    save_canary(FeatureSet(X, ids=NAMES), path)
    kept = FeatureSet.load(path)
    assert compare_with_canary(FeatureSet(kept.features), path).same
    with pytest.raises(ValueError, match=r"or of a set that has ids \(--ids\), got 300 rows"):
        compare_with_canary(FeatureSet(X), path)
    off = FeatureSet(kept.features + 0.01 * RNG.standard_normal((50, 32)))
    assert not compare_with_canary(off, path).same
    assert compare_with_canary(off, path, tolerance=0.5).same
    FeatureSet(X).save(tmp_path / "x.npy")
    with pytest.raises(ValueError, match="is not a canary"):
        compare_with_canary(FeatureSet(X), tmp_path / "x.npy")


def test_what_is_no_canary(tmp_path):
    FeatureSet(X, ids=NAMES).save(tmp_path / "features.npz")
    with pytest.raises(ValueError, match="is not a canary that stationary check --save wrote"):
        compare_with_canary(FeatureSet(X, ids=NAMES), tmp_path / "features.npz")
    with pytest.raises(ValueError, match=r"a canary is a \.npz, got suffix '\.npy'"):
        save_canary(FeatureSet(X), tmp_path / "canary.npy")
    with pytest.raises(ValueError, match="at least three rows, got 2"):
        save_canary(FeatureSet(X[:2]), tmp_path / "canary.npz")
    assert not (tmp_path / "canary.npz").exists()

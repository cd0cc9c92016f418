"""What happened between two models, each answer with a control that must not get it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

from verification.bridge.identify import identify
from verification.features import FeatureSet
from verification.simulated.known_upgrades import CASES

RNG = np.random.default_rng(0)
TURNED, OLD = CASES["rotated"].draw(1200, RNG)
ANEW, _ = CASES["same law"].draw(1200, RNG)
X, Y = OLD.features, OLD.labels
ORDER = RNG.permutation(64)
SIGNS = RNG.choice([-1.0, 1.0], 64)
ROWS = RNG.permutation(1200)
# rows within each class: labels stay
WITHIN = np.empty(1200, dtype=int)
WITHIN[np.argsort(Y, kind="stable")] = np.argsort(Y + RNG.random(1200))


def noisy(rows, noise):
    return rows + noise * RNG.standard_normal(rows.shape)


def stored(rows, dtype=np.float16):
    return rows.astype(dtype)


@pytest.mark.parametrize(
    ("new", "relation"),
    [
        (FeatureSet(X, Y), "same model"),
        (FeatureSet(7.0 * X, Y), "same model"),
        (FeatureSet(stored(X), Y), "same model"),
        (FeatureSet(X[:, ORDER], Y), "permutation or sign"),
        (FeatureSet(X * SIGNS, Y), "permutation or sign"),
        (FeatureSet(stored(X[:, ORDER] * SIGNS), Y), "permutation or sign"),
        (TURNED, "rotation"),
        (FeatureSet(stored(TURNED.features), Y), "rotation"),
        (FeatureSet(-TURNED.features, Y), "rotation"),
        (ANEW, "another space"),
        (FeatureSet(noisy(X, 0.05), Y), "another space"),
        (FeatureSet(noisy(X[:, ORDER], 0.05), Y), "another space"),
        (FeatureSet(X[ROWS], Y), "labels or rows shuffled"),
        (FeatureSet(X[ROWS], Y[ROWS]), "labels or rows shuffled"),
        (FeatureSet(X[WITHIN], Y), "labels or rows shuffled"),
        (FeatureSet(X, Y[ROWS]), "labels or rows shuffled"),
        (FeatureSet(TURNED.features[ROWS], Y), "labels or rows shuffled"),
        (FeatureSet(ANEW.features[ROWS], Y), "labels or rows shuffled"),
        (FeatureSet(np.pad(X, ((0, 0), (0, 8))), Y), "other dimension"),
        (FeatureSet(ANEW.features[:, :32], Y), "other dimension"),
    ],
)
def test_what_happened(new, relation):
    found = identify(new, OLD)
    assert found.relation == relation
    assert found.dims == (new.dim, 64)
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["relation"] == relation
    assert all(len(line) < 160 for line in found.lines())


def test_the_evidence_of_a_permutation_names_what_moved():
    order = np.arange(64)
    order[[3, 9]] = 9, 3
    signs = np.ones(64)
    signs[[5, 6, 7]] = -1.0
    evidence = identify(FeatureSet(X[:, order] * signs, Y), OLD).evidence
    assert (evidence.moved, evidence.flipped, evidence.equal_matched) == (2, 3, 1.0)


def test_another_dimension_may_still_be_the_same_model():
    wide = np.pad(X, ((0, 0), (0, 8))) @ stats.ortho_group.rvs(72, random_state=0)
    assert "same model up to an orthogonal map" in identify(FeatureSet(wide, Y), OLD).sentence
    assert "another model" in identify(FeatureSet(ANEW.features[:, :32], Y), OLD).sentence


def test_the_evidence_of_another_space_is_beside_what_unrelated_rows_give():
    far, near = identify(ANEW, OLD), identify(FeatureSet(noisy(TURNED.features, 0.02), Y), OLD)
    assert far.evidence.turned_distance == pytest.approx(far.evidence.turned_null, rel=0.05)
    assert near.evidence.turned_distance < 0.1 * near.evidence.turned_null
    assert "near a rotation" in near.sentence
    assert "near" not in far.sentence


def test_few_rows_in_many_dimensions_do_not_pass_for_a_rotation():
    """Below as many rows as coordinates a rotation fits anything; cosines within each set are not fooled."""
    some = slice(0, 40)
    assert identify(FeatureSet(ANEW.features[some], Y[some]), FeatureSet(X[some], Y[some])).relation == "another space"
    turned = identify(FeatureSet(TURNED.features[some], Y[some]), FeatureSet(X[some], Y[some]))
    assert turned.relation == "rotation"
    assert turned.evidence.turned_distance is None


def test_the_tolerance_is_the_users():
    new = FeatureSet(noisy(X, 1e-4), Y)
    assert identify(new, OLD).relation == "same model"
    assert identify(new, OLD, tolerance=1e-6).relation == "another space"


def test_labels_that_no_model_can_tell_are_not_called_shuffled():
    labels = RNG.integers(10, size=1200)
    assert identify(FeatureSet(ANEW.features, labels), FeatureSet(X, labels)).relation == "another space"


@pytest.mark.parametrize(
    ("new", "options", "message"),
    [
        (FeatureSet(X[:-1], Y[:-1]), {}, "same samples, got 1199 and 1200 rows"),
        (OLD, {"tolerance": -1.0}, "tolerance must be a finite number >= 0"),
        (OLD, {"seed": -1}, "seed must be an integer >= 0"),
    ],
)
def test_what_cannot_be_used(new, options, message):
    with pytest.raises(ValueError, match=message):
        identify(new, OLD, **options)

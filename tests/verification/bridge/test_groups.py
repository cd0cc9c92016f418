"""Shots of one object: they stay in one part of the data, never meet, and count once."""

from __future__ import annotations

import numpy as np
import pytest

from verification.bridge import bridge
from verification.bridge.cost import cost
from verification.bridge.maps import FeatureMap
from verification.bridge.splits import Part, split
from verification.features import FeatureSet

CLASSES, OBJECTS, SHOTS, DIM = 6, 9, 4, 8
LABELS = np.repeat(np.arange(CLASSES), OBJECTS * SHOTS)
# groups of two classes have the same names
GROUPS = np.tile(np.repeat(np.arange(OBJECTS), SHOTS), CLASSES)


def sets(seed: int = 0) -> tuple[FeatureSet, FeatureSet]:
    """Objects far apart, classes near each other, shots nearly alike; the new model turns the old one."""
    rng = np.random.default_rng(seed)
    objects = rng.standard_normal((CLASSES, OBJECTS, DIM)) + 0.3 * rng.standard_normal((CLASSES, 1, DIM))
    old = np.repeat(objects.reshape(-1, DIM), SHOTS, axis=0) + 0.05 * rng.standard_normal((len(LABELS), DIM))
    turn = np.linalg.qr(rng.standard_normal((DIM, DIM)))[0]
    return FeatureSet(old @ turn, LABELS, groups=GROUPS), FeatureSet(old, LABELS, groups=GROUPS)


def test_an_object_is_in_one_part():
    splits = split(*sets(), seed=0)
    objects = [set(part.units.tolist()) for part in (splits.fit, splits.choice, splits.audit)]
    assert sum(map(len, objects)) == len(set.union(*objects)) == CLASSES * OBJECTS
    for part in (splits.fit, splits.choice, splits.audit):
        assert np.all(np.bincount(part.codes) == 3 * SHOTS)


def test_classes_are_counted_by_their_objects():
    new, old = sets()
    few = np.flatnonzero(GROUPS < 5)
    with pytest.raises(ValueError, match="at least two classes with 6 groups each, got 0"):
        split(new.select(few), old.select(few), seed=0)


def test_a_query_does_not_find_a_shot_of_its_own_object():
    _, old = sets()
    rows = np.arange(len(LABELS))
    units = LABELS * OBJECTS + GROUPS
    identity = FeatureMap("identity", "queries", np.eye(DIM), np.zeros(DIM))
    part = Part(old.rows(rows), old.rows(rows), LABELS, 2.0**-53, units)
    found = cost(identity, part, 0.95, seed=0)
    unit = old.unit
    cosines = unit @ unit.T
    cosines[units[:, None] == units] = -np.inf
    assert found.old_old == found.mapped == pytest.approx(np.mean(LABELS[cosines.argmax(axis=1)] == LABELS))
    # with its own shots every query would find its class
    assert found.old_old < 0.9
    alone = cost(identity, Part(part.new, part.old, LABELS, part.stored), 0.95, seed=0)
    assert alone.old_old == 1.0


def test_a_bridge_of_shots_counts_objects():
    new, old = sets()
    grouped = bridge(new, old, maps=["orthogonal"])
    each = bridge(FeatureSet(new.features, LABELS), FeatureSet(old.features, LABELS), maps=["orthogonal"])
    assert grouped.verdict == "compatible"
    assert grouped.cost.old_old < each.cost.old_old

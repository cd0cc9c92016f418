"""Classes turned in a plane against the rotation itself."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.verification.samples import upgrade
from verification.audit.turning import RotatedClass, _spaced
from verification.features import FeatureSet
from verification.upgrade import Upgrade


@pytest.mark.parametrize("gallery", [False, True])
@pytest.mark.parametrize(("y", "z"), [(1, 1), (1, 3)])
def test_distances_after_a_turn_are_those_of_turned_rows(gallery, y, z):
    new, old = upgrade(0.8, 0.7, num_samples=100)
    items = upgrade(0.8, 0.7, num_samples=80, seed=5)[1] if gallery else old
    made = Upgrade(new, old, items if gallery else None)
    turned = RotatedClass.of("euclidean", made.statistics("euclidean"), y, z, 1000)
    queries, others = new.unit[new.labels == y], items.unit[items.labels == z]
    mean, axis = queries.mean(axis=0), others.mean(axis=0)
    axis /= np.linalg.norm(axis)
    off = mean - (mean @ axis) * axis
    off /= np.linalg.norm(off)
    assert turned.angle == pytest.approx(math.acos(mean @ axis / np.linalg.norm(mean)))
    same = y == z and not gallery

    def distance(turn: float) -> float:
        """Mean distance after a turn by an angle, away from the items."""
        along, across = queries @ axis, queries @ off
        rest = queries - np.outer(along, axis) - np.outer(across, off)
        rows = rest + np.outer(along * math.cos(turn) - across * math.sin(turn), axis)
        rows += np.outer(along * math.sin(turn) + across * math.cos(turn), off)
        found = np.linalg.norm(rows[:, None] - others, axis=2)
        return float(found[~np.eye(len(found), dtype=bool)].mean() if same else found.mean())

    for turn in (-0.7, 0.0, 0.4, 1.5):
        assert turned._distance(turn) == pytest.approx(distance(turn), abs=1e-9)
    assert turned.slack(0.0) == 0.0
    for gap in (0.1, 0.02, -0.02, -0.01):
        slack = turned.slack(gap)
        assert (slack > 0.0) == (gap > 0.0)
        away = 1.0 if y == z else -1.0
        left = gap + away * (distance(0.0) - distance(away * slack))
        # eighteen halvings of half a turn, or the end of the range where nothing brings the gap to zero
        if y == z:
            low, high = -turned.angle, math.pi - turned.angle
        else:
            low, high = turned.angle - math.pi, turned.angle
        assert low - 1e-4 < slack < high + 1e-4
        assert abs(left) < 1e-4 or min(slack - low, high - slack) < 1e-4
    huge = turned.slack(10.0)
    assert huge == pytest.approx(math.pi - turned.angle if y == z else turned.angle, abs=1e-4)
    least = turned.slack(-10.0)
    assert least == pytest.approx(-turned.angle if y == z else turned.angle - math.pi, abs=1e-4)


def test_means_in_one_direction_turn_in_any_plane_and_rows_are_chosen_evenly():
    rows = np.array([[0.6, 0.8, 0.0], [0.6, -0.8, 0.0], [0.0, 1.0, 0.0], [0.0, 0.6, 0.8]])
    made = Upgrade(*[FeatureSet(rows, np.array([0, 0, 1, 1]))] * 2)
    source = made.statistics("euclidean")
    turned = RotatedClass.of("euclidean", source, 0, 0, 10)
    assert turned.angle == 0.0
    assert turned.same_samples
    np.testing.assert_allclose(turned.queries, [[0.6, 0.8], [0.6, -0.8]], atol=1e-12)
    np.testing.assert_allclose(turned.rest, 0.0, atol=1e-12)
    assert not RotatedClass.of("euclidean", source, 0, 1, 10).same_class
    new, old = upgrade(0.8, 0.7, num_samples=100)
    kept = Upgrade(new, old).read().rows
    for size, expected in ((20, np.arange(20)), (21, np.arange(20)), (3, [0, 10, 19]), (2, [0, 19])):
        np.testing.assert_allclose(_spaced(kept.old, kept, 2, size), kept.old[40 + np.array(expected)], atol=0)

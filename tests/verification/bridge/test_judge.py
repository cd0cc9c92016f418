"""Gaps through a map are those of the definition, and the standard is the old model's own distances."""

from __future__ import annotations

import numpy as np
import pytest

from tests.verification.samples import upgrade
from verification.audit import audit
from verification.bridge.judge import Rule, judge, judge_map, mapped, unit
from verification.bridge.maps import FeatureMap, slerp
from verification.bridge.splits import Part
from verification.statistics.interval import Criterion

RULE = Rule(criterion=Criterion(confidence=0.95), seed=0)


def part_of(new, old, stored: float = 2.0**-53) -> Part:
    return Part(new.unit, old.unit, old.codes, stored)


def naive(queries, items, standard, codes, units=None) -> tuple[float, float]:
    """Both gaps by a double loop."""
    same, different = [], []
    for i in range(len(codes)):
        for j in range(len(codes)):
            if i != j and (units is None or units[i] != units[j]):
                t = np.sum((standard[i] - standard[j]) ** 2) - np.sum((queries[i] - items[j]) ** 2)
                (same if codes[i] == codes[j] else different).append(t)
    return float(np.mean(same)), -float(np.mean(different))


def test_gaps_are_those_of_a_double_loop():
    rng = np.random.default_rng(0)
    codes = np.array([2, 0, 1, 0, 2, 1, 1, 0, 0, 2])
    queries, items = unit(rng.standard_normal((10, 4))), unit(rng.standard_normal((10, 4)))
    standard = unit(rng.standard_normal((10, 3)))
    for units in (None, np.array([7, 1, 4, 1, 8, 4, 5, 2, 3, 9])):
        sides = judge(queries, items, standard, Part(queries, items, codes, 0.0, units), RULE)
        # rounding in sums of a hundred terms
        assert (sides.same_class.gap, sides.different_class.gap) == pytest.approx(
            naive(queries, items, standard, codes, units), abs=1e-13
        )


def test_one_side_is_mapped_and_the_other_stays():
    rng = np.random.default_rng(1)
    new, old = unit(rng.standard_normal((6, 4))), unit(rng.standard_normal((6, 4)))
    part = Part(new, old, np.arange(6) % 2, 0.0)
    matrix, offset = rng.standard_normal((4, 4)), rng.standard_normal(4)
    queries, items = mapped(FeatureMap("ridge", "queries", matrix, offset), part)
    np.testing.assert_allclose(queries, unit(new @ matrix + offset), rtol=1e-12)
    assert items is old
    queries, items = mapped(FeatureMap("ridge", "gallery", matrix, offset), part)
    assert queries is new
    np.testing.assert_allclose(items, unit(old @ matrix + offset), rtol=1e-12)
    both = FeatureMap("slerp", "queries", matrix, offset, weight=np.array(0.25))
    np.testing.assert_allclose(mapped(both, part)[0], slerp(old, new @ matrix + offset, 0.25), rtol=1e-12)


@pytest.mark.parametrize("direction", ["queries", "gallery"])
def test_the_identity_gives_the_gaps_of_the_audit(direction):
    new, old = upgrade(0.6, 0.7, num_samples=600)
    identity = FeatureMap("identity", direction, np.eye(8), np.zeros(8))
    sides, report = judge_map(identity, part_of(new, old), RULE), audit(new, old)
    for side, expected in zip(
        (sides.same_class, sides.different_class), (report.same_class, report.different_class), strict=True
    ):
        assert side.gap == pytest.approx(expected.gap, abs=1e-13)
        # the second-order part of the variance is from a sample of the pairs: some per cent of a part
        assert side.upper - side.lower == pytest.approx(expected.upper - expected.lower, rel=0.02)
        assert side.verdict == expected.verdict == "compatible"


def test_a_map_that_ruins_the_gallery_is_not_compatible():
    """Against the ruined gallery's own distances it would be: new queries are nearer to it than it is to itself."""
    new, old = upgrade(0.4, 0.7, num_samples=600)
    rng = np.random.default_rng(0)
    noise = unit(rng.standard_normal(old.unit.shape))
    ruined = unit(0.02 * old.unit + 0.2 * noise)
    against_itself = judge(new.unit, ruined, ruined, part_of(new, old, 0.0), RULE)
    against_the_old = judge(new.unit, ruined, old.unit, part_of(new, old, 0.0), RULE)
    assert against_itself.same_class.verdict == "compatible"
    assert against_the_old.same_class.verdict == "incompatible"


@pytest.mark.parametrize(("dtype", "error"), [(np.float64, 1e-15), (np.float32, 3e-8), (np.float16, 2.4e-4)])
def test_rounding_is_no_loss_and_ten_times_as_much_is(dtype, error):
    _, old = upgrade(0.6, 0.7, num_samples=600)
    stored = float(np.finfo(dtype).eps) / 2.0
    rng = np.random.default_rng(0)
    noise = error * rng.standard_normal(old.unit.shape)
    rounded = unit(old.unit + noise)
    part = part_of(old, old, stored)
    sides = judge(rounded, old.unit, old.unit, part, RULE)
    assert sides.verdict == "compatible"
    assert sides.same_class.pair_fraction == sides.different_class.pair_fraction == 1.0
    # away from the mean of the class: seen, however small
    shifted = unit(old.unit - 20.0 * max(stored, 1e-13) * _class_means(old))
    assert judge(shifted, old.unit, old.unit, part, RULE).verdict == "incompatible"


def _class_means(features) -> np.ndarray:
    return np.array([features.unit[features.codes == c].mean(axis=0) for c in range(5)])[features.codes]


def test_the_margin_accepts_a_loss():
    new, old = upgrade(0.8, 0.7, num_samples=600)
    part = part_of(new, old)
    identity = FeatureMap("identity", "queries", np.eye(8), np.zeros(8))
    assert judge_map(identity, part, RULE).verdict == "incompatible"
    generous = Rule(criterion=Criterion(confidence=0.95, margin=0.5), seed=0)
    assert judge_map(identity, part, generous).verdict == "compatible"

"""The audit: exact against the definition, calibrated against simulation, and its verdicts."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest

from tests.verification.samples import cap_features, upgrade
from theory.caps import UniformCap
from verification import inequalities
from verification.audit import audit
from verification.features import FeatureSet
from verification.inequalities import class_sums, estimate_sides


def double_loop(new: FeatureSet, old: FeatureSet):
    """Mean gap and share of pairs of each side, from the definition."""
    gaps = {True: [], False: []}
    for i, u in enumerate(new.unit):
        for j, v in enumerate(old.unit):
            if i != j:
                moved = np.sum((u - v) ** 2) - np.sum((old.unit[i] - v) ** 2)
                same = old.labels[i] == old.labels[j]
                gaps[bool(same)].append(-moved if same else moved)
    return [(np.mean(gaps[same]), np.mean(np.array(gaps[same]) >= 0), len(gaps[same])) for same in (True, False)]


@pytest.mark.parametrize("labels", [[0, 1] * 10, [0] * 12 + [1] * 3 + [2], [0, 0, 1], list("aabbbccccdddde")])
def test_gaps_are_those_of_the_double_loop(labels):
    rng = np.random.default_rng(1)
    new, old = (FeatureSet(rng.standard_normal((len(labels), 4)), labels) for _ in range(2))
    report = audit(new, old)
    for side, (gap, fraction, pairs) in zip(
        (report.same_class, report.different_class), double_loop(new, old), strict=True
    ):
        assert side.gap == pytest.approx(gap, abs=1e-13)  # rounding of some hundred terms of order one
        assert side.pair_fraction == fraction
        assert side.num_pairs == pairs


def test_cosine_is_half_of_sqeuclidean():
    new, old = upgrade(0.5, 0.6)
    whole, half = audit(new, old), audit(new, old, metric="cosine")
    for side in ("same_class", "different_class"):
        for bound in ("gap", "lower", "upper"):
            assert getattr(getattr(half, side), bound) == 0.5 * getattr(getattr(whole, side), bound)


def test_verdicts():
    assert audit(*upgrade(0.4, 0.8)).verdict == "compatible"
    assert audit(*upgrade(0.8, 0.4)).verdict == "incompatible"
    assert audit(*upgrade(0.6, 0.6)).verdict == "inconclusive"


def test_incompatible_when_either_side_is():
    """Classes 0 and 1 come closer to each other while each becomes tighter: only the second inequality is violated."""
    rng = np.random.default_rng(0)
    labels = np.arange(600) % 2
    old = cap_features(labels, 2 + 2, 0.8, rng)
    new = cap_features(labels, 2 + 2, 0.1, rng)
    tilted = new.unit + 2.0 * np.eye(4)[3]  # both classes lean the same way, away from either vertex
    mixed = FeatureSet(np.where(labels[:, None] == 0, new.unit, tilted), labels)
    report = audit(mixed, old)
    assert report.verdict == "incompatible"
    assert {report.same_class.verdict, report.different_class.verdict} != {"compatible"}


def test_the_margin_is_a_loss_that_is_accepted():
    new, old = upgrade(0.62, 0.6, num_samples=2000)
    report = audit(new, old)
    assert report.verdict == "incompatible"
    tolerant = audit(new, old, margin=0.1)
    assert tolerant.verdict == "compatible"
    assert tolerant.same_class.gap == report.same_class.gap


def test_identical_features_give_a_point():
    _, old = upgrade(0.5, 0.5)
    report = audit(old, old)
    assert (report.same_class.lower, report.same_class.upper) == (0.0, 0.0)
    assert report.verdict == "compatible"


def test_a_class_of_one_stays_out_of_its_own_side_and_is_noted():
    new, old = upgrade(0.5, 0.6, labels=np.array([0] * 40 + [1] * 40 + [2]))
    report = audit(new, old)
    assert report.same_class.num_pairs == 2 * 40 * 39
    assert report.different_class.num_pairs == 2 * (40 * 40 + 80)
    assert "1 class has one sample" in report.notes[0]
    assert "(2)" in report.notes[0]


def test_two_samples_cannot_tell():
    new, old = upgrade(0.5, 0.6, labels=np.array([0, 0, 1]))
    report = audit(new, old)
    assert math.isinf(report.same_class.upper)
    assert report.to_dict()["same_class"]["upper"] is None  # JSON has no infinity
    assert report.verdict == "inconclusive"


def test_json_is_the_report(tmp_path):
    report = audit(*upgrade(0.4, 0.8))
    report.to_json(tmp_path / "report.json")
    read = json.loads((tmp_path / "report.json").read_text())
    assert read == report.to_dict()
    assert read["same_class"]["verdict"] == "compatible"
    assert set(read) == {field.name for field in dataclasses.fields(report)}
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_class_sums():
    rows, codes = np.arange(12.0).reshape(6, 2), np.array([2, 0, 1, 0, 2, 2])
    np.testing.assert_array_equal(class_sums(rows, codes, 3), [[8, 10], [4, 5], [18, 21]])


def test_sampled_pairs_agree_with_all_pairs(monkeypatch):
    new, old = upgrade(0.58, 0.6, num_samples=900, num_classes=6, dim=16)
    exact = estimate_sides(new.unit, old.unit, old.codes)
    monkeypatch.setattr(inequalities, "ALL_PAIRS_BUDGET", 0.0)
    for one, all_pairs in zip(estimate_sides(new.unit, old.unit, old.codes), exact, strict=True):
        assert one.gap == pytest.approx(all_pairs.gap, abs=1e-14)  # from sums; rounding of a mean
        assert one.pair_fraction_error > 0
        assert (
            abs(one.pair_fraction - all_pairs.pair_fraction) < 4 * one.pair_fraction_error
        )  # 4 standard errors, one seed
        # a second-order part from 6e4 pairs is known to about a percent, and is a part of the variance only
        assert one.standard_error == pytest.approx(all_pairs.standard_error, rel=0.05)
    again = estimate_sides(new.unit, old.unit, old.codes)
    assert again == estimate_sides(new.unit, old.unit, old.codes)
    assert again != estimate_sides(new.unit, old.unit, old.codes, seed=1)


def test_standard_error_is_that_of_repeated_samples():
    gaps, errors = [], []
    for seed in range(150):
        new, old = upgrade(0.7, 0.7, num_samples=80, num_classes=4, dim=24, seed=seed)
        sides = estimate_sides(new.unit, old.unit, old.codes)
        gaps.append([side.gap for side in sides])
        errors.append([side.standard_error for side in sides])
    spread = np.std(gaps, axis=0, ddof=1)
    stated = np.sqrt(np.mean(np.square(errors), axis=0))
    # 150 draws know a standard deviation to 1/√300 = 6 %: three of these
    np.testing.assert_allclose(stated / spread, 1.0, atol=0.18)


def naive_half_width(new: FeatureSet, old: FeatureSet) -> float:
    """Pairs taken for units, as if they were independent: the obvious interval, which does not cover."""
    kernel = 2.0 * (new.unit - old.unit) @ old.unit.T
    same = old.codes[:, None] == old.codes[None, :]
    np.fill_diagonal(same, False)
    return 1.96 * np.std(kernel[same]) / np.sqrt(same.sum())


def test_intervals_cover_and_pairs_as_units_do_not():
    num_classes, dim, old_radius, new_radius = 4, 12, 0.7, 0.65
    m_old, m_new = (UniformCap(dim, radius).mean_resultant_length() for radius in (old_radius, new_radius))
    same = 2 * m_old * (m_new - m_old)
    truth = np.array([same, same / (num_classes - 1)])
    runs, covered, naive = 300, np.zeros(2), 0
    for seed in range(runs):
        new, old = upgrade(new_radius, old_radius, num_samples=240, num_classes=num_classes, dim=dim, seed=seed)
        report = audit(new, old, confidence=0.90)  # each side at 95 %
        sides = (report.same_class, report.different_class)
        covered += [side.lower <= value <= side.upper for side, value in zip(sides, truth, strict=True)]
        naive += abs(report.same_class.gap - truth[0]) <= naive_half_width(new, old)
    error = math.sqrt(0.95 * 0.05 / runs)
    assert np.all(covered / runs > 0.95 - 3 * error)
    assert np.all(covered / runs < 0.95 + 3 * error)
    assert naive / runs < 0.75


def test_false_verdicts_at_the_boundary_are_rare():
    runs = 200
    decided = sum(
        audit(*upgrade(0.6, 0.6, num_samples=100, dim=10, seed=seed)).verdict != "inconclusive" for seed in range(runs)
    )
    assert decided / runs <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / runs)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metric": "hamming"}, "metric must be one of sqeuclidean, cosine, euclidean, angular, got 'hamming'"),
        ({"confidence": 1.0}, r"confidence must be in \(0, 1\), got 1.0"),
        ({"confidence": float("nan")}, "confidence must be in"),
        ({"margin": -0.1}, "margin must be a finite number >= 0, got -0.1"),
        ({"margin": float("inf")}, "margin must be a finite number"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        audit(*upgrade(0.5, 0.6, num_samples=20), **arguments)


def features(rows=6, dim=3, labels=None):
    return FeatureSet(np.random.default_rng(0).standard_normal((rows, dim)), labels or [0, 1] * (rows // 2))


@pytest.mark.parametrize(
    ("new", "old", "message"),
    [
        (features(4), features(6), "the same samples, got 4 and 6 rows"),
        (features(6, 3), features(6, 4), "one dimension, got 3 and 4"),
        (features(labels=[0, 1, 0, 1, 1, 0]), features(), "2 rows differ, the first is row 4: 1 and 0"),
        (features(labels=list("ababab")), features(), "labels of one kind, got <U1 and int64"),
        (features(labels=[7] * 6), features(labels=[7] * 6), "at least two classes, got one: 7"),
        (features(labels=list(range(6))), features(labels=list(range(6))), "some class two samples"),
    ],
)
def test_sets_that_do_not_belong_together_are_refused(new, old, message):
    with pytest.raises(ValueError, match=message):
        audit(new, old)

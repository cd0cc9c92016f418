"""The margin in both units, what a margin makes of boundary cases, and how many samples would decide."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from tests.verification.samples import Caps, upgrade
from theory.caps import UniformCap
from theory.distances import expected_distance
from verification.audit import audit
from verification.audit.margin import Margin
from verification.audit.power import POWER, power_at, samples_needed
from verification.features import FeatureSet
from verification.statistics.gaps import estimate
from verification.statistics.interval import Criterion
from verification.statistics.variance import Estimate
from verification.upgrade import Upgrade
from verification.views.documents import distances
from verification.views.numbers import digits

DISTANCES = {
    "sqeuclidean": lambda c: 2.0 - 2.0 * c,
    "cosine": lambda c: 1.0 - c,
    "euclidean": lambda c: np.sqrt(np.maximum(2.0 - 2.0 * c, 0.0)),
    "angular": lambda c: np.arccos(np.clip(c, -1.0, 1.0)),
}


@pytest.mark.parametrize("metric", DISTANCES)
@pytest.mark.parametrize("with_gallery", [False, True])
def test_the_contrast_is_what_the_old_model_tells_apart(metric, with_gallery):
    new, old = upgrade(0.6, 0.7)
    gallery = upgrade(0.6, 0.7, num_samples=300, seed=3)[1] if with_gallery else None
    items = gallery or old
    distance = DISTANCES[metric](old.unit @ items.unit.T)
    same = old.labels[:, None] == items.labels
    other_pairs = np.ones_like(same) if with_gallery else ~np.eye(len(old), dtype=bool)
    expected = distance[~same].mean() - distance[same & other_pairs].mean()
    report = audit(new, old, metric, gallery=gallery, margin="5%")
    # rounding of sums of 160 000 distances
    assert report.contrast == pytest.approx(expected, rel=1e-12)
    assert report.margin == pytest.approx(0.05 * expected, rel=1e-12)
    assert report.margin_share == pytest.approx(0.05)
    assert 0.0 < report.margin_error < 0.05 * 0.1 * expected


def test_a_margin_in_units_of_the_distance_has_no_error_and_says_its_share():
    report = audit(*upgrade(0.6, 0.7), margin=0.02)
    assert (report.margin, report.margin_error) == (0.02, 0.0)
    assert report.margin_share == pytest.approx(0.02 / report.contrast)
    share = f"which is {digits(2.0 / report.contrast)} % of the old contrast"
    assert f"A loss of 0.02 is accepted, {share}" in distances.margin(report)
    assert "non-inferiority" in distances.margin(report)
    assert "No loss is accepted (margin 0)" in distances.margin(audit(*upgrade(0.6, 0.7)))


def test_identical_features_are_compatible_at_any_margin():
    _, old = upgrade(0.6, 0.7)
    for margin in (0.0, "0%", "5%", 0.1):
        report = audit(old, old, margin=margin)
        assert report.verdict == "compatible"
        assert report.same_class.lower == report.same_class.upper == 0.0
        assert report.samples_needed is None


def test_two_draws_of_one_law_are_open_without_a_margin_and_compatible_with_one():
    verdicts = [[audit(*upgrade(0.6, 0.6, seed=s), margin=m).verdict for s in range(40)] for m in (0.0, "10%")]
    # 5 % of 40 and three standard errors
    assert verdicts[0].count("inconclusive") >= 40 - 2 - 3 * math.sqrt(40 * 0.05 * 0.95)
    assert verdicts[1].count("compatible") == 40
    few = [audit(*upgrade(0.6, 0.6, num_samples=30, dim=16, seed=s), margin="0.1%").verdict for s in range(10)]
    assert "compatible" not in few  # a margin does not stand in for samples


def test_what_tells_nothing_apart_leaves_no_margin():
    rng = np.random.default_rng(0)
    new, old = upgrade(0.6, 0.6)
    # classes of the old model are mixed on purpose: mean distance within them as between them
    report = audit(replaced(new, rng), replaced(old, rng), margin="50%")
    assert report.margin <= 0.5 * 0.05
    assert report.verdict != "compatible"


def replaced(features, rng):
    return FeatureSet(rng.standard_normal((400, 8)), features.labels)


def test_the_contrast_of_caps_is_that_of_the_theory():
    new, old, _ = Caps(num_samples=4000, dim=9, num_classes=10).draw(np.random.default_rng(0))
    cap = UniformCap(9, 0.5)
    apart, together = np.asarray(expected_distance(cap, cap, np.array([-1.0 / 9.0, 1.0]), "euclidean"))
    # both means of the distance vary by less than 0.01 over 4000 samples
    assert audit(new, old, "euclidean").contrast == pytest.approx(apart - together, abs=0.01)


@pytest.mark.parametrize("margin", ["x", "-1%", -1, float("nan"), "inf", "", "%", None, [1]])
def test_a_margin_that_is_no_number_is_refused(margin):
    with pytest.raises(ValueError, match="margin must be a finite number >= 0, or a percentage such as '5%'"):
        Margin.parse(margin)


def test_a_percentage_is_a_share():
    assert Margin.parse("5%") == Margin(0.05, share=True)
    assert Margin.parse(" 0.5 % ") == Margin(0.005, share=True)
    assert Margin.parse("0.5") == Margin(0.5)
    assert Margin.parse_share("1%", "a loss") == Margin.parse_share(0.01, "a loss") == 0.01


# ---- how many samples


def planned(cell: Caps, margin: float, pilots: int) -> float:
    """Median, over pilots, of the factor that is named for the true gaps: components of the variance are estimated."""
    factors = []
    for seed in range(pilots):
        new, old, gallery = cell.draw(np.random.default_rng([1, seed]))
        sides = estimate(Upgrade(new, old, gallery, seed=seed).statistics())[0]["pairs"].sides
        true = [replace(side.fixed, value=float(gap)) for side, gap in zip(sides, cell.truth(), strict=True)]
        rule = Criterion(confidence=0.975, margin=margin)
        factors.append(samples_needed(true, rule, cell.num_samples, cell.num_classes).factor)
    return float(np.median(factors))


PLANS = [
    (Caps(num_samples=100, dim=9, num_classes=10, new_radius=0.45), 0.0),
    (Caps(num_samples=100, dim=9, num_classes=10, new_radius=0.55), 0.0),
    (Caps(num_samples=40, dim=32, num_classes=10, new_radius=0.4), 0.0),
    (Caps(num_samples=60, dim=64, num_classes=4, new_radius=0.46), 0.0),
    (Caps(num_samples=200, dim=9, num_classes=10), 0.02),
    (Caps(num_samples=100, dim=32, num_classes=10), 0.02),
]


def decided(cell: Caps, margin: float, runs: int) -> float:
    """Share of audits that decide, with the number of samples that is named."""
    larger = replace(cell, num_samples=round(planned(cell, margin, 20) * cell.num_samples))
    draws = (larger.draw(np.random.default_rng([2, seed])) for seed in range(runs))
    return float(np.mean([audit(new, old, margin=margin).verdict != "inconclusive" for new, old, _ in draws]))


@pytest.mark.slow
@pytest.mark.parametrize(("cell", "margin"), PLANS, ids=str)
def test_the_number_of_samples_that_is_named_decides(cell, margin):
    # 70 to 90 %, and three standard errors of 300 runs
    assert 0.7 - 0.08 <= decided(cell, margin, 300) <= 0.9 + 0.06


def test_a_named_number_decides_in_a_quick_check():
    # three standard errors of 80 runs about 70 to 90 %
    assert 0.7 - 0.15 <= decided(*PLANS[0], runs=80) <= 0.9 + 0.1


def test_an_open_audit_names_its_samples_and_what_it_excludes():
    report = audit(*upgrade(0.58, 0.6, num_samples=100))
    assert report.verdict == "inconclusive"
    needed = report.samples_needed
    assert needed.power == POWER
    assert f"{needed.more_per_class:,} more samples per class" in needed.sentence
    assert needed.factor > 1.0
    loss = report.excluded_loss
    assert audit(*upgrade(0.58, 0.6, num_samples=100), margin=loss + 1e-12).verdict == "compatible"
    assert audit(*upgrade(0.58, 0.6, num_samples=100), margin=loss - 1e-9).verdict != "compatible"


def test_where_no_number_helps_it_says_so():
    few = audit(*upgrade(0.6, 0.9, labels=np.array([0, 0, 1, 2])))
    assert "too few" in few.samples_needed.sentence
    assert few.samples_needed.factor is None
    assert few.excluded_loss is None
    side = estimate(Upgrade(*upgrade(0.6, 0.6)).statistics())[0]["pairs"].same_class.fixed
    at_the_boundary = samples_needed([replace(side, value=1e-9)] * 2, Criterion(confidence=0.975), 400, 5)
    assert "hardly decide" in at_the_boundary.sentence


@pytest.mark.parametrize("factor", [0.25, 1.0, 4.0])
def test_power_by_hand(factor):
    """Half of the squared error falls with the number of samples, half with its square."""
    side = Estimate(value=-0.3, standard_error=0.1, freedom=40.0, second_order=0.005)
    rule = Criterion(confidence=0.9, margin=0.1, margin_error=0.02)
    error = math.sqrt(0.005 / factor + 0.005 / factor**2)
    quantile = stats.t.isf(0.05, 40.0 * factor)
    expected = stats.norm.cdf((0.2 - quantile * (error + 0.02 / math.sqrt(factor))) / error)
    assert power_at(side, factor, rule) == pytest.approx(expected, rel=1e-9)

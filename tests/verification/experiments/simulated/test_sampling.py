"""Designs in which nothing is lost: they are drawn as they say, and their true gaps are those of large samples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from verification.audit import audit
from verification.audit.thresholds import compare_thresholds
from verification.experiments.simulated import sampling
from verification.experiments.simulated.decisions import Question, limit
from verification.experiments.simulated.sampling import Sampling, designs, outcome
from verification.statistics.interval import Criterion, Interval, Population, Verdict

pytestmark = pytest.mark.simulations
SMALL = Sampling(sizes=(4,) * 5, dim=8, shots=2, shared=0.5)


def test_shots_of_one_object_share_their_part_of_the_variance():
    upgrade, gaps = Sampling(sizes=(3000,) * 2, dim=8, noise=1e-3, shots=2, shared=0.3, grouped=True).draw(
        np.random.default_rng(0)
    )
    assert gaps == (0.0, 0.0)
    assert upgrade.grouped
    rows = upgrade.old.features - np.repeat(upgrade.old.features.reshape(2, -1, 8).mean(axis=1), 6000, axis=0)
    shots = rows.reshape(-1, 2, 8)
    correlation = np.mean(shots[:, 0] * shots[:, 1]) / np.mean(rows**2)
    # four standard errors of 48 000 products
    assert correlation == pytest.approx(0.3, abs=4 / np.sqrt(48_000))
    # and nothing across the models
    new = upgrade.new.features - np.repeat(upgrade.new.features.reshape(2, -1, 8).mean(axis=1), 6000, axis=0)
    assert abs(np.mean(new * rows)) / np.mean(rows**2) < 4 / np.sqrt(48_000 * 2)


def test_the_true_gaps_of_drawn_classes_are_what_a_large_audit_finds():
    design = Sampling(sizes=(900, 600, 1200, 900, 300, 900), dim=4, spread=1.0, gallery=(900, 300) * 3)
    upgrade, gaps = design.draw(np.random.default_rng(3))
    report = audit(upgrade.new, upgrade.old, gallery=upgrade.gallery, confidence=0.999)
    for side, gap in zip((report.same_class, report.different_class), gaps, strict=True):
        assert side.lower <= gap <= side.upper
        # and they are no small numbers beside the interval, which would hold zero as well
        assert abs(gap) > 0.3 * side.fixed.half


def test_a_rare_mode_and_a_common_mean():
    rng = np.random.default_rng(0)
    upgrade, _ = replace(SMALL, sizes=(500,) * 5, shots=1, shared=0.0, noise=0.01, rare=0.1).draw(rng)
    near = np.vecdot(upgrade.old.unit, upgrade.old.unit[upgrade.codes.argsort()[::500]][upgrade.codes])
    assert np.mean(near < 0.9) == pytest.approx(0.1, abs=0.03)
    upgrade, _ = replace(SMALL, common=1.0).draw(rng)
    assert np.linalg.norm(upgrade.old.unit.mean(axis=0)) > 0.5


def test_every_claim_is_asked_of_both_populations():
    asked = SMALL.judge(np.random.default_rng(0))
    assert {question.claim for question in asked} == {"definition-1", "contrast", "retrieval", "threshold", "by class"}
    assert {question.promised for question in asked} == {False}  # shots that are not declared
    grouped = replace(SMALL, grouped=True).judge(np.random.default_rng(0))
    assert all(question.promised for question in grouped)
    assert {q.unit for q in grouped} == {"group", "class"}
    drawn = Sampling(sizes=(4,) * 6, dim=8, spread=0.2, gallery=(4,) * 6).judge(np.random.default_rng(0))
    misread = [q for q in drawn if q.population != q.read_as]
    assert {q.claim for q in misread} == {"definition-1", "contrast", "retrieval", "threshold"}
    assert {q.promised for q in misread} == {False}


def judged(lower: float, upper: float):
    interval = Interval(value=0.5 * (lower + upper), lower=lower, upper=upper, confidence=0.95)
    return Criterion().judge(interval, interval, Population.fixed)


@pytest.mark.parametrize(
    ("bounds", "truth", "verdict", "wrong", "covered"),
    [
        ((0.1, 0.3), 0.0, "compatible", True, False),
        ((0.1, 0.3), 0.2, "compatible", False, True),
        ((0.1, 0.3), -0.2, "compatible", True, False),
        ((-0.3, -0.1), 0.2, "incompatible", True, False),
        ((-0.3, -0.1), -0.2, "incompatible", False, True),
        ((-0.1, 0.1), -0.2, "inconclusive", False, False),
    ],
)
def test_what_is_wrong_and_what_is_covered(bounds, truth, verdict, wrong, covered):
    found = outcome((judged(*bounds),), (truth,), Population.fixed)
    assert (found.verdict, found.wrong, found.covered) == (Verdict(verdict), wrong, covered)


def test_over_drawn_classes_nothing_is_lost():
    """The mean of the true gaps is zero, which it would not be if items were as wide as the old queries of a class."""
    design = Sampling(sizes=(2,) * 20, gallery=(2,) * 20, dim=16, spread=0.3)
    gaps = np.array([design.draw(np.random.default_rng([2, run]))[1] for run in range(200)])
    assert np.all(np.abs(gaps.mean(axis=0)) < 3.5 * gaps.std(axis=0, ddof=1) / np.sqrt(200))
    with pytest.raises(ValueError, match="classes that are drawn need a gallery"):
        replace(design, gallery=())


def count(design: Sampling, runs: int) -> dict[Question, float]:
    found = [design.judge(np.random.default_rng([5, run])) for run in range(runs)]
    return {question: float(np.mean([each[question].wrong for each in found])) for question in found[0]}


def test_groups_keep_the_promise_that_shots_break():
    runs = 25
    design = Sampling(sizes=(6,) * 6, dim=12, shots=5, shared=0.5)
    without, grouped = count(design, runs), count(replace(design, grouped=True), runs)
    broken = without[Question(claim="definition-1", promised=False)]
    assert broken > 0.5
    # a binomial with 5 % exceeds this once in some 300
    assert max(grouped.values()) <= limit(runs) + 0.06


def test_the_designs_have_names_of_their_own():
    names = [design.name for design in designs()]
    assert len(set(names)) == len(names)
    assert sampling.THRESHOLD < 1.0


def test_one_class_with_most_pairs_leaves_hardly_a_degree_of_freedom():
    """TAR counts pairs: a class with half the samples has 96 % of them, so new classes are told by one of twenty."""
    quantiles = {}
    for name, sizes in (("equal", (10,) * 20), ("half", (95, *(5,) * 19))):
        upgrade, _ = Sampling(sizes=sizes, gallery=sizes, dim=32, noise=0.2, spread=0.2).draw(np.random.default_rng(0))
        quantiles[name] = compare_thresholds(upgrade, threshold=sampling.THRESHOLD).tar_change.drawn.quantile
    # of t with 19 degrees of freedom, each side at 97.5 %; of t with two, 6.2
    assert quantiles["equal"] == pytest.approx(2.433, abs=1e-3)
    assert quantiles["half"] > 6.2

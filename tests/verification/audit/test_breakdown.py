"""Classes and pairs of classes one by one, and how a report of Definition 1 is put together from its estimates."""

from __future__ import annotations

import inspect
import itertools
import math

import numpy as np
import pytest
from scipy import stats

from tests.verification.samples import cap_features, upgrade
from verification.audit import audit, breakdown, definition1
from verification.audit import margin as margins
from verification.audit.breakdown import read_class_pairs, read_classes
from verification.audit.definition1 import judge_sides, side_confidence
from verification.audit.judge import Options, judge
from verification.audit.margin import Margin, check_margin, old_contrast
from verification.audit.power import samples_needed
from verification.features import FeatureSet
from verification.statistics import gaps as estimating
from verification.statistics.gaps import Gaps, SideEstimate, estimate
from verification.statistics.interval import Criterion, Interval, Population, Verdict, widened
from verification.statistics.variance import Estimate
from verification.upgrade import Upgrade

LABELS = np.repeat([0, 1, 2, 3, 5], [6, 5, 3, 2, 1])
ITEM_LABELS = np.repeat([0, 1, 2, 4, 5], [4, 3, 1, 2, 3])


def small(gallery: bool, groups: bool = False) -> Upgrade:
    """Classes of one to six rows; two that only one of both sides has."""
    rng = np.random.default_rng(2)
    axes = rng.standard_normal((6, 5))
    old = axes[LABELS] + rng.standard_normal((len(LABELS), 5))
    new = old + 0.7 * rng.standard_normal(old.shape)
    shots = np.arange(len(LABELS)) // 2 if groups else None
    items = FeatureSet(axes[ITEM_LABELS] + rng.standard_normal((len(ITEM_LABELS), 5)), ITEM_LABELS)
    sides = FeatureSet(new, LABELS, groups=shots), FeatureSet(old, LABELS, groups=shots)
    return Upgrade(*sides, items if gallery else None)


def pair_error(t: np.ndarray) -> tuple[float, float]:
    """Of a mean over all pairs of two samples, by products of pairs that share one row, the other, both or none."""
    n, m = t.shape
    if min(n, m) < 2:
        return math.inf, 1.0
    queries, items = list(itertools.permutations(range(n), 2)), list(itertools.permutations(range(m), 2))
    apart = np.mean([t[i, j] * t[k, z] for i, k in queries for j, z in items])
    of_query = np.mean([t[i, j] * t[i, k] for i in range(n) for j, k in items]) - apart
    of_item = np.mean([t[i, j] * t[k, j] for i, k in queries for j in range(m)]) - apart
    only_pairs = (np.mean(t**2) - apart - of_query - of_item) / (n * m)
    variance = max(of_query / n + of_item / m + only_pairs, only_pairs)
    parts = t.mean(axis=1).var(ddof=1) / n, t.mean(axis=0).var(ddof=1) / m
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / (n - 1) + parts[1] ** 2 / (m - 1))
    return math.sqrt(variance), freedom


@pytest.mark.parametrize("metric", ["sqeuclidean", "euclidean"])
@pytest.mark.parametrize("gallery", [False, True])
def test_every_pair_of_classes_and_the_worst(monkeypatch, metric, gallery):
    made = small(gallery)
    rows, items = made.old, made.gallery or made.old
    power = 1.0 if metric == "sqeuclidean" else 0.5
    distances = [np.sum((q.unit[:, None] - items.unit) ** 2, axis=2) ** power for q in (made.new, made.old)]
    t = distances[1] - distances[0]
    rule = Criterion(confidence=0.9, margin=0.01)
    source = made.statistics(metric)
    pairs = [(y, z) for y in np.unique(rows.labels) for z in np.unique(items.labels) if y != z]
    blocks = [t[np.ix_(rows.labels == y, items.labels == z)] for y, z in pairs]
    values = -np.array([block.mean() for block in blocks])
    errors, freedom = np.array([pair_error(block) for block in blocks]).T
    intervals, verdicts = rule.judge_many(2.0 * values, 2.0 * errors, freedom, len(pairs))
    # of those that can tell
    least = min(np.flatnonzero(np.isfinite(errors)), key=lambda at: values[at])
    for judged, at_once in ((breakdown.JUDGED_PAIRS, 512), (len(pairs), 1), (len(pairs) - 1, 3)):
        monkeypatch.setattr(breakdown, "JUDGED_PAIRS", judged)
        monkeypatch.setattr(breakdown, "SEARCHED_AT_ONCE", at_once)
        counts, worst = read_class_pairs(metric, source, made.labels, 2.0, rule)
        assert counts is not None
        assert worst is not None
        assert (counts.total, counts.negative) == (len(pairs), np.count_nonzero(values < 0.0))
        told = [counts.compatible, counts.incompatible, counts.inconclusive]
        kinds = [Verdict.compatible, Verdict.incompatible, Verdict.inconclusive]
        assert told == ([verdicts.count(kind) for kind in kinds] if judged >= len(pairs) else [None] * 3)
        assert (worst.query, worst.gallery) == pairs[least]
        expected = intervals[least]
        assert (worst.gap, worst.interval.lower, worst.interval.upper) == pytest.approx(
            (2.0 * values[least], expected.lower, expected.upper), rel=1e-9
        )
        assert worst.interval.confidence == pytest.approx(1.0 - 0.1 / len(pairs))
    assert worst.verdict == rule.judge_many(2.0 * values, 2.0 * errors, freedom, len(pairs))[1][least]
    work = float(len(np.unique(rows.labels)) * len(np.unique(items.labels)) * 5)
    for most, looked in ((work, True), (work - 1.0, False)):
        monkeypatch.setattr(breakdown, "SEARCH_WORK", most)
        found = read_class_pairs(metric, source, made.labels, 1.0, rule)
        assert (found[0] is not None) == (found[1] is not None) == looked


def test_2500_pairs_of_classes_are_judged_each_and_of_more_only_the_worst():
    """51 classes of queries, and items of 50 classes: of these, or of 49 of them and of one more."""
    rng = np.random.default_rng(0)
    for first, total in ((1, 2500), (2, 2501)):
        sides = [FeatureSet(rng.standard_normal((51, 3)), np.arange(51)) for _ in range(2)]
        gallery = FeatureSet(rng.standard_normal((50, 3)), np.arange(first, first + 50))
        made = Upgrade(*sides, gallery)
        counts, worst = read_class_pairs("sqeuclidean", made.statistics(), made.labels, 1.0, Criterion())
        assert counts is not None
        assert worst is not None
        assert counts.total == total
        told = [counts.compatible, counts.incompatible, counts.inconclusive]
        assert sum(told) == 2500 if total == 2500 else told == [None] * 3
        assert worst.interval.confidence == pytest.approx(1.0 - 0.05 / total)


def test_a_pair_of_single_rows_is_the_worst_only_where_no_other_can_tell():
    labels = np.arange(4)
    sides = [FeatureSet(np.random.default_rng(seed).standard_normal((4, 3)), labels) for seed in (0, 1)]
    gallery = FeatureSet(np.random.default_rng(2).standard_normal((4, 3)), labels)
    made = Upgrade(*sides, gallery)
    _, worst = read_class_pairs("sqeuclidean", made.statistics(), made.labels, 1.0, Criterion())
    assert worst is not None
    t = 2.0 * (made.old.unit @ gallery.unit.T - made.new.unit @ gallery.unit.T)
    gaps = np.where(np.eye(4, dtype=bool), np.inf, t)
    assert (worst.query, worst.gallery) == np.unravel_index(np.argmin(gaps), gaps.shape)
    assert worst.gap == pytest.approx(gaps.min())
    assert math.isinf(worst.interval.upper)


def test_a_pair_of_large_classes_is_judged_by_some_of_their_rows(monkeypatch):
    made = upgrade(0.6, 0.7, num_samples=200)
    source = Upgrade(*made).statistics()
    monkeypatch.setattr(breakdown, "PAIR_ROWS", 6)
    error, freedom = breakdown._pair_error("sqeuclidean", source, 1, 3)
    new, old = (rows[: 6 + 40 * c] for rows, c in ((source.rows.models[0], 1), (source.rows.old, 1)))
    t = 2.0 * (new[40:46] - old[40:46]) @ source.rows.old[120:126].T
    by_query, by_item = t.mean(axis=1).var(ddof=1), t.mean(axis=0).var(ddof=1)
    left = t - t.mean(axis=1)[:, None] - t.mean(axis=0) + t.mean()
    pairs = np.sum(left**2) / 25.0
    variance = (by_query - pairs / 6.0) / 40.0 + (by_item - pairs / 6.0) / 40.0 + pairs / 1600.0
    assert error == pytest.approx(math.sqrt(variance))
    assert freedom == pytest.approx((by_query + by_item) ** 2 / (by_query**2 / 5.0 + by_item**2 / 5.0))
    same = Upgrade(made[1], made[1]).statistics()
    assert breakdown._pair_error("sqeuclidean", same, 1, 3) == (0.0, 5.0)


@pytest.mark.parametrize("groups", [False, True])
def test_every_class_by_itself(groups):
    made = small(False, groups)
    source = made.statistics()
    rule = Criterion(confidence=0.9)
    estimates = estimate(source)[1]
    found = read_classes(estimates, source, made.labels, 2.0, rule)
    some = [c for c in range(len(made.labels)) if source.same_pairs()[c] > 0]
    assert [entry.label for entry in found] == [made.labels[c] for c in some]
    for entry, c in zip(found, some, strict=True):
        expected = Interval.student(
            2.0 * estimates.gap[c],
            2.0 * estimates.standard_error[c],
            estimates.degrees_of_freedom[c],
            1.0 - 0.1 / len(some),
        )
        assert (entry.gap, entry.interval.lower, entry.interval.upper) == pytest.approx(
            (expected.value, expected.lower, expected.upper)
        )
        assert entry.interval.unit == ("group" if groups else "sample")
        assert entry.num_samples == np.sum(entry.label == LABELS)
    assert len(some) < len(made.labels)


def fabricated(values: tuple[float, float], error: float) -> Gaps:
    def side(value: float) -> SideEstimate:
        one = Estimate(value=value, standard_error=error, freedom=7.0)
        other = Estimate(value=value + 0.1, standard_error=2.0 * error, freedom=3.0)
        return SideEstimate(fixed=one, drawn=other, num_pairs=90, pair_fraction=0.4, pair_fraction_error=0.01)

    first, second = map(side, values)
    total = Estimate(value=sum(values), standard_error=error, freedom=5.0)
    new = Estimate(value=sum(values) + 0.3, standard_error=error, freedom=4.0)
    return Gaps(same_class=first, different_class=second, contrast=total, contrast_drawn=new)


@pytest.mark.parametrize("looks", [None, (30, 6)])
@pytest.mark.parametrize("population", list(Population))
def test_sides_are_judged_in_the_unit_of_their_distance(looks, population):
    rule, both = Criterion(confidence=0.975, margin=0.05), Criterion(confidence=0.95)
    gaps = fabricated((0.3, -0.2), 0.02)
    found = judge_sides(gaps, rule, scale=0.5, contrast=both, unit="group", population=population, looks=looks)
    widen = (1.0, 1.0) if looks is None else [widened(num, 0.975) for num in looks]
    for side, value in ((found.same_class, 0.15), (found.different_class, -0.1)):
        halves = widen[0] * stats.t.isf(0.0125, 7) * 0.01, widen[1] * stats.t.isf(0.0125, 3) * 0.02
        assert (side.fixed.value, side.fixed.half) == pytest.approx((value, halves[0]))
        assert (side.drawn.value, side.drawn.half) == pytest.approx((value + 0.05, halves[1]))
        assert (side.fixed.unit, side.drawn.unit) == ("group", "class")
        assert (side.fixed.population, side.drawn.population) == ("fixed", "drawn")
        assert side.verdict == rule.verdict(side.fixed if population == "fixed" else side.drawn)
        assert side.other_verdict == rule.verdict(side.drawn if population == "fixed" else side.fixed)
        assert (side.num_pairs, side.pair_fraction, side.pair_fraction_error) == (90, 0.4, 0.01)
        assert side.population == population
    widen = (1.0, 1.0) if looks is None else [widened(num, 0.95) for num in looks]
    contrast = found.contrast
    assert contrast is not None
    assert (contrast.fixed.value, contrast.fixed.half) == pytest.approx((0.05, widen[0] * stats.t.isf(0.025, 5) * 0.01))
    assert (contrast.drawn.value, contrast.drawn.half) == pytest.approx((0.2, widen[1] * stats.t.isf(0.025, 4) * 0.01))
    assert contrast.verdict == both.verdict(contrast.interval)
    assert found.verdict == Verdict.combine([found.same_class.verdict, found.different_class.verdict])
    # no distance of unit vectors is larger than its value at opposite ones, and a sum of two gaps than twice that
    wide = judge_sides(fabricated((0.3, -0.2), 50.0), rule, contrast=both)
    assert (wide.same_class.lower, wide.same_class.upper) == (-4.0, 4.0)
    assert wide.contrast is not None
    assert (wide.contrast.lower, wide.contrast.upper) == (-8.0, 8.0)
    assert judge_sides(gaps, rule).contrast is None
    assert judge_sides(gaps, rule).same_class.fixed.unit == "sample"


def test_a_report_says_what_was_left_out():
    """Each sentence where it applies, and nowhere else."""
    whole = upgrade(0.6, 0.7, num_samples=40)
    assert audit(*whole, "euclidean").notes == ()
    few = audit(*upgrade(0.6, 0.7, labels=np.array([0, 0, 1, 1, 2])))
    assert few.notes == (
        "1 class has one sample and so no same-class pair (2): left out of that side, kept in the other.",
    )
    assert few.common_mean_defect is None
    many = [0, 0, *range(1, 7)]
    note = audit(*upgrade(0.6, 0.7, labels=np.array(many), dim=8)).notes[0]
    assert note.startswith("6 classes have one sample and so no same-class pair (1, 2, 3, 4, 5, …)")
    five = audit(*upgrade(0.6, 0.7, labels=np.array(many[:-1]), dim=8)).notes[0]
    assert five.startswith("5 classes have one sample and so no same-class pair (1, 2, 3, 4, 5):")
    gallery = FeatureSet(whole[1].features[:30], whole[1].labels[:30] + 1)
    notes = audit(*whole, gallery=gallery).notes
    assert [note.split(":")[0] for note in notes if "same-class pair" in note] == [
        "1 class has no gallery item and so no same-class pair (0)",
        "1 class has gallery items only and so no same-class pair (5)",
    ]
    # of a class that takes part in nothing nothing is said
    ignored = judge(Upgrade(*whole, gallery, ignore=[0, 3]), Options(decide=("definition-1",)))
    assert not [note for note in ignored.notes if "pair (0" in note or "pair (3" in note]


def test_a_report_says_what_was_looked_at(monkeypatch):
    whole = upgrade(0.6, 0.7, num_samples=40)
    monkeypatch.setattr(estimating, "MOST_ROWS", 50)
    larger = upgrade(0.6, 0.7, num_samples=100)
    assert audit(*larger).notes == ()
    assert audit(*larger, "euclidean").notes == (
        "All pairs of 50 of the 100 samples were looked at, a seeded part with every class in proportion; the "
        "intervals are for the part, so wider than all pairs would give.",
    )
    monkeypatch.setattr(breakdown, "SEARCH_WORK", 1.0)
    none = audit(*whole)
    assert none.notes == ("The worst class pair was not looked for: there are too many classes.",)
    assert none.class_pairs is none.worst.different_class is None
    assert none.drift is not None
    assert none.drift.pair is None


@pytest.mark.parametrize("metric", ["sqeuclidean", "cosine", "euclidean"])
def test_a_report_is_put_together_from_its_estimates(metric):
    new, old = upgrade(0.6, 0.62, labels=np.repeat(np.arange(5), [20, 15, 10, 8, 7]))
    report = audit(new, old, metric, confidence=0.9, weights="classes", margin="10%")
    made = Upgrade(new, old)
    measured, scale = ("sqeuclidean", 0.5) if metric == "cosine" else (metric, 1.0)
    source = made.statistics(measured)
    found, by_class = estimate(source)
    contrast = old_contrast(source, measured, "classes", 0)
    amount, error = 0.1 * scale * contrast.value, 0.1 * scale * contrast.standard_error
    assert report.contrast == pytest.approx(scale * contrast.value)
    assert (report.margin, report.margin_error) == pytest.approx((amount, error))
    zero = 0.0 if metric == "euclidean" else scale * made.rounding
    assert (zero > 0.0) == (metric != "euclidean")
    rule = Criterion(confidence=side_confidence(0.9), margin=amount + zero, margin_error=error)
    assert rule.confidence == pytest.approx(0.95)
    sides = judge_sides(
        found["classes"],
        rule,
        scale=scale,
        contrast=Criterion(confidence=0.9, margin=amount + zero, margin_error=error),
    )
    assert (report.same_class, report.different_class) == (sides.same_class, sides.different_class)
    assert report.contrast_gap == sides.contrast
    assert report.by_weighting["classes"] == sides
    assert report.by_weighting["pairs"] != sides
    assert report.verdict == sides.verdict
    entries = {entry.label: entry for entry in report.by_class}
    np.testing.assert_allclose([entries[c].gap for c in range(5)], scale * by_class.gap)
    assert report.worst.same_class == min(report.by_class, key=lambda entry: entry.gap)
    defect = sides.different_class.gap - sides.same_class.gap / 4.0
    assert report.common_mean_defect == (None if metric == "euclidean" else pytest.approx(defect))
    assert (report.num_samples, report.num_gallery, report.num_classes, report.dim) == (60, None, 5, 8)
    if report.verdict == Verdict.inconclusive:
        expected = samples_needed([side.fixed.times(scale) for side in found["classes"].sides], rule, 60, 5)
        assert report.samples_needed == expected
    assert audit(new, old, metric, classes="drawn").samples_needed is None


def test_of_the_worst_classes_one_that_can_tell_comes_first():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [30, 30, 2])
    new, old = cap_features(labels, 8, 0.6, rng), cap_features(labels, 8, 0.6, rng)
    rows = new.features.copy()
    rows[60:] = [[1.0] + [0.0] * 7, [-1.0] + [0.0] * 7]  # a class of two that loses most, and cannot tell an error
    report = audit(FeatureSet(rows, labels), old)
    gaps = {entry.label: entry.gap for entry in report.by_class}
    assert min(gaps, key=lambda label: gaps[label]) == 2
    worst = report.worst.same_class
    assert worst is not None
    assert worst.label == min((0, 1), key=lambda label: gaps[label])


def test_margins_at_their_ends():
    check_margin(Margin(0.0), 0.0)
    check_margin(Margin(0.5), -1.0)  # a model that tells nothing apart has nothing to lose
    check_margin(Margin(0.999999, share=True), 0.1)
    check_margin(Margin(0.3), 0.3 + 1e-12)
    with pytest.raises(ValueError, match=r"below the old model's contrast, 0.3, .* as a share of it write"):
        check_margin(Margin(0.3), 0.3)
    with pytest.raises(ValueError, match="margin must be below 100% of the old model's contrast, got 100%"):
        check_margin(Margin(1.0, share=True), 5.0)
    assert Margin.parse_share(0.999, "a loss") == 0.999
    assert Margin.parse_share("99%", "a loss") == 0.99
    for given, end in (
        (1, "got 1; 1% was meant?"),
        (99.5, "99.5% was meant?"),
        (100, "got 100."),
        ("100%", "got '100%'."),
    ):
        with pytest.raises(ValueError, match="a loss must be below 1") as refused:
            Margin.parse_share(given, "a loss")
        assert str(refused.value).endswith(end)


@pytest.mark.parametrize("gallery", [False, True])
@pytest.mark.parametrize("groups", [False, True])
def test_the_error_of_the_old_contrast_is_that_of_gaps_to_one_point(monkeypatch, gallery, groups):
    """A model that is at one distance from everything has the old distances as gaps; from sums, and from pairs."""
    made = small(gallery, groups)
    source = made.statistics()
    left_out = made.read().left_out
    found = old_contrast(source, "sqeuclidean", "pairs", 0, left_out)
    new = FeatureSet(np.ones_like(made.new.features), made.new.labels, groups=made.new.groups)
    blank = Upgrade(new, made.old, made.gallery).statistics()
    blank.rows.models[0] = 0.0
    monkeypatch.setattr(estimating, "ALL_PAIRS_BUDGET", 1e9)
    again = estimating.look_at_all_pairs("sqeuclidean", blank.rows, blank.gallery)
    same, different = (side.fixed for side in estimate(again)[0]["pairs"].sides)
    assert found.value == pytest.approx(-(same.value + different.value), abs=1e-12)
    # what only pairs show is from a sample of them
    assert found.standard_error == pytest.approx(same.standard_error + different.standard_error, rel=0.03)
    assert found.freedom == pytest.approx(min(same.freedom, different.freedom), rel=0.03)
    alone = old_contrast(source, "sqeuclidean", "pairs", 0, left_out, with_error=False)
    assert alone.value == pytest.approx(found.value, abs=1e-12)
    assert math.isnan(alone.standard_error)
    assert math.isinf(alone.freedom)


def test_what_an_audit_takes_for_granted():
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(audit).parameters.items()
        if parameter.default is not inspect.Parameter.empty
    }
    assert defaults == {
        "metric": "sqeuclidean",
        "confidence": 0.95,
        "gallery": None,
        "margin": 0.0,
        "weights": "pairs",
        "seed": 0,
        "classes": "fixed",
        "run": map,
        "progress": None,
    }
    assert definition1.LARGEST_GAP == 4.0
    assert not inspect.signature(definition1.judge_definition1).parameters["repeated"].default


def test_of_single_rows_a_part_tells_the_error_of_the_contrast_and_of_groups_all_do(monkeypatch):
    monkeypatch.setattr(estimating, "ALL_PAIRS_BUDGET", 0.0)
    for groups in (False, True):
        labels = np.repeat(np.arange(4), 30)
        sides = (
            cap_features(labels, 8, 0.6, np.random.default_rng(0)),
            cap_features(labels, 8, 0.6, np.random.default_rng(1)),
        )
        shots = np.arange(120) // 2 if groups else None
        made = Upgrade(*(FeatureSet(side.features, labels, groups=shots) for side in sides))
        errors = []
        for most in (10_000, 60):
            monkeypatch.setattr(margins, "ERROR_ROWS", most)
            found = old_contrast(made.statistics(), "sqeuclidean", "pairs", 0, made.read().left_out)
            errors.append(found.standard_error)
        assert (errors[0] == errors[1]) == groups
        assert errors[0] == pytest.approx(errors[1], rel=0.3)  # of 60 rows

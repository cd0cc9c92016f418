"""Intervals, criteria and verdicts: the one place where a margin is compared."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from verification.statistics.interval import Criterion, Interval, Population, Verdict, holm

YES, NO, OPEN = Verdict.compatible, Verdict.incompatible, Verdict.inconclusive


def test_the_truth_table_of_parts():
    assert Verdict.combine([]) == OPEN
    for count in (1, 2, 3):
        for parts in itertools.product(Verdict, repeat=count):
            expected = NO if NO in parts else YES if set(parts) == {YES} else OPEN
            assert Verdict.combine(parts) == expected, parts
    # a generator is read once
    assert Verdict.combine(verdict for verdict in (YES, OPEN)) == OPEN


def test_a_verdict_has_one_word_mark_and_status():
    assert [verdict.status for verdict in (YES, NO, OPEN)] == [0, 1, 3]
    for name in ("word", "mark", "colour", "kind", "status"):
        assert len({getattr(verdict, name) for verdict in Verdict}) == 3
    assert [population.words for population in Population] == ["new samples of these classes", "new classes like these"]


@pytest.mark.parametrize("freedom", [1.0, 4.7, 300.0, math.inf])
@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
def test_students_interval(freedom, confidence):
    found = Interval.student(0.3, 0.2, freedom, confidence)
    low, high = (stats.norm if math.isinf(freedom) else stats.t(freedom)).interval(confidence)
    # twelve digits of a quantile
    assert (found.lower, found.upper) == pytest.approx((0.3 + 0.2 * low, 0.3 + 0.2 * high), rel=1e-11)
    assert found.quantile == pytest.approx(high, rel=1e-11)
    assert found.half == pytest.approx(0.2 * high, rel=1e-11)
    assert found.contains(found.lower)
    assert not found.contains(found.upper + 1e-9)


def test_without_spread_the_interval_is_the_point_and_without_an_error_there_is_none():
    point = Interval.student(0.3, 0.0, 5.0, 0.95, most=0.1)
    assert (point.lower, point.value, point.upper, point.quantile) == (0.3, 0.3, 0.3, 0.0)
    nothing = Interval.student(0.3, math.inf, 1.0, 0.95, most=4.0)
    assert (nothing.lower, nothing.upper) == (-math.inf, math.inf)


def test_what_cannot_be_is_cut_and_the_value_stays_inside():
    wide = Interval.student(1.0, 3.0, 1.0, 0.95, most=4.0)
    assert (wide.lower, wide.upper) == (-4.0, 4.0)
    narrow = Interval.student(1.0, 0.1, 10.0, 0.95, most=4.0)
    assert -4.0 < narrow.lower < narrow.upper < 4.0
    # by rounding a value may lie beyond what it can be
    beyond = Interval.student(4.0 + 1e-12, 1.0, 10.0, 0.95, most=4.0)
    assert beyond.upper == beyond.value
    assert Interval.student(1.0, 3.0, 1.0, 0.95).upper > 30.0


def test_another_unit_and_the_other_sign():
    found = Interval.student(1.0, 0.5, 7.0, 0.9, unit="group", population=Population.drawn)
    turned = found.times(-2.0)
    assert (turned.lower, turned.value, turned.upper) == (-2.0 * found.upper, -2.0, -2.0 * found.lower)
    assert (turned.unit, turned.population, turned.quantile) == ("group", "drawn", found.quantile)


def interval(lower: float, upper: float, quantile: float = 2.0) -> Interval:
    return Interval(value=(lower + upper) / 2.0, lower=lower, upper=upper, confidence=0.95, quantile=quantile)


@pytest.mark.parametrize(
    ("lower", "upper", "margin", "error", "quantile", "verdict"),
    [
        (0.0, 1.0, 0.0, 0.0, 2.0, YES),
        (-0.1, 1.0, 0.0, 0.0, 2.0, OPEN),
        (-0.1, 1.0, 0.1, 0.0, 2.0, YES),
        (-1.0, 0.0, 0.0, 0.0, 2.0, OPEN),
        (-1.0, -0.1, 0.0, 0.0, 2.0, NO),
        (-1.0, -0.1, 0.1, 0.0, 2.0, OPEN),  # at the margin is not below it
        # a margin of 1 that is known to ±0.2 may be 0.8
        (-0.8, 1.0, 1.0, 0.1, 2.0, YES),
        (-0.81, 1.0, 1.0, 0.1, 2.0, OPEN),
        # … or 1.2
        (-2.0, -1.21, 1.0, 0.1, 2.0, NO),
        (-2.0, -1.19, 1.0, 0.1, 2.0, OPEN),
        # in units of the change's own quantile, however small
        (-0.95, 1.0, 1.0, 0.1, 0.5, YES),
        (-0.96, 1.0, 1.0, 0.1, 0.5, OPEN),
        (-0.8, 1.0, 1.0, 0.1, 3.0, OPEN),
        # a margin is never negative, however badly it is known
        (0.0, 1.0, 0.1, 10.0, 2.0, YES),
        (-1e-9, 1.0, 0.1, 10.0, 2.0, OPEN),
        # what does not vary is a point, and its margin is taken as it is
        (-0.9, -0.9, 1.0, 0.5, 0.0, YES),
        (-1.1, -1.1, 1.0, 0.5, 0.0, NO),
        (-math.inf, math.inf, 1.0, 0.0, 2.0, OPEN),
    ],
)
def test_a_criterion(lower, upper, margin, error, quantile, verdict):
    rule = Criterion(confidence=0.95, margin=margin, margin_error=error)
    assert rule.verdict(interval(lower, upper, quantile)) == verdict


def test_one_population_decides_and_the_other_stands_beside():
    rule = Criterion(confidence=0.95)
    fixed, drawn = interval(0.1, 0.5), interval(-0.2, 0.8)
    for population, verdict, other in ((Population.fixed, YES, OPEN), (Population.drawn, OPEN, YES)):
        judged = rule.judge(fixed, drawn, population)
        assert (judged.verdict, judged.other_verdict) == (verdict, other)
        assert judged.interval is (fixed if population == "fixed" else drawn)
        assert judged.other is (drawn if population == "fixed" else fixed)
        assert (judged.lower, judged.value, judged.upper) == (
            judged.interval.lower,
            judged.interval.value,
            judged.interval.upper,
        )
        turned = judged.flipped()
        assert (turned.lower, turned.upper) == (-judged.upper, -judged.lower)
        assert turned.verdict == judged.verdict


def many(seed: int = 0, count: int = 40):
    rng = np.random.default_rng(seed)
    errors = rng.uniform(0.5, 2.0, count)
    return errors * rng.normal(0.0, 3.0, count), errors, rng.uniform(3.0, 200.0, count)


@pytest.mark.parametrize("among", [40, 90])
@pytest.mark.parametrize(("margin", "error"), [(0.0, 0.0), (0.7, 0.0), (0.7, 0.3)])
def test_many_at_once_are_bonferronis_intervals_and_holms_verdicts(among, margin, error):
    values, errors, freedom = many()
    rule = Criterion(confidence=0.9, margin=margin, margin_error=error)
    intervals, verdicts = rule.judge_many(values, errors, freedom, among, unit="group")
    half = stats.t.isf(0.1 / among / 2.0, freedom) * errors
    np.testing.assert_allclose([found.upper for found in intervals], values + half, rtol=1e-10)
    np.testing.assert_allclose([found.lower for found in intervals], values - half, rtol=1e-10)
    assert {(found.confidence, found.unit) for found in intervals} == {(1.0 - 0.1 / among, "group")}
    # step down by hand: the k-th smallest p-value against α/(m − k)
    p_values = 2.0 * stats.t.sf(np.abs(values + margin) / (errors + error), freedom)
    expected = [OPEN] * len(values)
    for step, at in enumerate(np.argsort(p_values)):
        if p_values[at] > 0.1 / (among - step):
            break
        expected[at] = YES if values[at] >= -margin else NO
    assert verdicts == expected
    assert {YES, NO, OPEN} == set(verdicts)
    if not error:  # Holm decides wherever the interval does
        for found, verdict in zip(intervals, verdicts, strict=True):
            assert rule.verdict(found) in (verdict, OPEN)
    singly = stats.t.sf(np.abs(values + margin) / (errors + error), freedom) <= 0.05
    assert sum(verdict != OPEN for verdict in verdicts) < np.sum(singly)


def test_what_has_no_error_is_decided_and_what_has_an_infinite_one_is_not():
    rule = Criterion(confidence=0.95, margin=0.1)
    _, verdicts = rule.judge_many(
        np.array([0.0, -0.1, -0.2, 5.0]), np.array([0.0, 0.0, 0.0, np.inf]), np.array([9.0, 9.0, 9.0, 1.0]), 4
    )
    assert verdicts == [YES, YES, NO, OPEN]


def test_holm_is_monotone_and_counts_what_is_not_given():
    p_values = np.array([0.03, 0.001, 0.04, 0.9])
    np.testing.assert_allclose(holm(p_values), [0.09, 0.004, 0.09, 0.9])
    np.testing.assert_allclose(holm(p_values, 10), [0.27, 0.01, 0.32, 1.0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"confidence": 1.0}, r"confidence must be in \(0, 1\), got 1.0"),
        ({"confidence": math.nan}, r"confidence must be in \(0, 1\)"),
        ({"margin": -0.1}, "margin must be a number >= 0, got -0.1"),
        ({"margin": math.nan}, "margin must be a number >= 0"),
    ],
)
def test_what_cannot_be_asked_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Criterion(**arguments)
    with pytest.raises(ValueError, match="classes must be one of fixed, drawn, got 'some'"):
        Population("some")

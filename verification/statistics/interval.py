"""An interval, what it is about, and the verdict that a criterion makes of it: the only place that compares a margin.

A *unit* is what was drawn independently: a sample, or a group of samples that belong together. A *population* is what
the interval speaks of: new units of these classes, or new classes like these.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal, NoReturn

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from verification.statistics.student import upper_quantile, upper_tail

Unit = Literal["sample", "group", "class"]


class Population(StrEnum):
    """Whom an interval is about."""

    fixed = "fixed"
    drawn = "drawn"

    @property
    def words(self) -> str:
        """The population as a reader sees it."""
        return {"fixed": "new samples of these classes", "drawn": "new classes like these"}[self.value]

    @classmethod
    def _missing_(cls, value: object) -> NoReturn:
        raise ValueError(f"classes must be one of {', '.join(cls)}, got {value!r}.")


class Verdict(StrEnum):
    """The answer that an interval gives to a question: yes, no, or that the data does not decide."""

    compatible = "compatible"
    incompatible = "incompatible"
    inconclusive = "inconclusive"

    @property
    def word(self) -> str:
        """The answer to a question that begins with 'may'."""
        return {"compatible": "Yes", "incompatible": "No", "inconclusive": "Undecided"}[self.value]

    @property
    def mark(self) -> str:
        """A sign that can be read without colour."""
        return {"compatible": "✓", "incompatible": "✗", "inconclusive": "?"}[self.value]

    @property
    def colour(self) -> str:
        """The colour in a terminal."""
        return {"compatible": "green", "incompatible": "red", "inconclusive": "yellow"}[self.value]

    @property
    def kind(self) -> str:
        """The CSS class in a page."""
        return {"compatible": "good", "incompatible": "bad", "inconclusive": "open"}[self.value]

    @property
    def status(self) -> int:
        """The exit status of a command."""
        return {"compatible": 0, "incompatible": 1, "inconclusive": 3}[self.value]

    @classmethod
    def combine(cls, verdicts: Iterable[Verdict]) -> Verdict:
        """Return the verdict of a claim that has several parts.

        ============================================  ============
        parts                                         together
        ============================================  ============
        any incompatible                              incompatible
        all compatible, and at least one              compatible
        anything else, and no parts at all            inconclusive
        ============================================  ============
        """
        parts = set(verdicts)
        if cls.incompatible in parts:
            return cls.incompatible
        return cls.compatible if parts == {cls.compatible} else cls.inconclusive


@dataclass(frozen=True, kw_only=True)
class Interval:
    """An estimate and its confidence interval.

    Attributes
    ----------
    value, lower, upper : float
        A bound is infinite if the data does not bound it.
    confidence : float
        Confidence of this interval by itself, in (0, 1).
    unit : {"sample", "group", "class"}
        What was drawn independently, and is therefore the unit of the intervals.
    population : {"fixed", "drawn"}
        New units of these classes, or new classes like these.
    quantile : float
        Number of standard errors in half the interval; 0 if nothing varies.
    """

    value: float
    lower: float
    upper: float
    confidence: float
    unit: Unit = "sample"
    population: Population = Population.fixed
    quantile: float = 0.0

    @classmethod
    def student(
        cls,
        value: float,
        standard_error: float,
        freedom: float,
        confidence: float,
        *,
        unit: Unit = "sample",
        population: Population = Population.fixed,
        most: float = math.inf,
        widen: float = 1.0,
    ) -> Interval:
        """Return Student's interval; without spread, as for identical models, it is the point.

        ``most`` bounds what the quantity can be in size: a wider interval is cut there, and one without a finite error
        has no bounds at all. ``widen`` is the factor of :func:`widened`, 1 for a single look.
        """
        quantile = widen * float(upper_quantile((1.0 - confidence) / 2.0, freedom)) if standard_error > 0.0 else 0.0
        half = quantile * standard_error if standard_error > 0.0 else 0.0
        lower, upper = value - half, value + half
        if math.isfinite(half):
            lower, upper = max(lower, min(-most, value)), min(upper, max(most, value))
        return cls(
            value=value,
            lower=lower,
            upper=upper,
            confidence=confidence,
            unit=unit,
            population=population,
            quantile=quantile,
        )

    @property
    def half(self) -> float:
        """Half the width of the interval."""
        return (self.upper - self.lower) / 2.0

    def times(self, factor: float) -> Interval:
        """Return the interval in another unit, or of the other sign."""
        lower, upper = sorted((factor * self.lower, factor * self.upper))
        return replace(self, value=factor * self.value, lower=lower, upper=upper)

    def contains(self, value: float) -> bool:
        """Whether a value lies in the interval, ends included."""
        return self.lower <= value <= self.upper


@dataclass(frozen=True, kw_only=True)
class Change:
    """A change with its intervals for new units of these classes and for new classes like these."""

    fixed: Interval
    drawn: Interval


@dataclass(frozen=True, kw_only=True)
class Judged(Change):
    """A change and what its intervals say; positive = compatible, unless the field that holds it says otherwise.

    Attributes
    ----------
    population : {"fixed", "drawn"}
        Which of the two decides.
    verdict, other_verdict : Verdict
        By the one that decides, and by the other.
    """

    population: Population
    verdict: Verdict
    other_verdict: Verdict

    @property
    def interval(self) -> Interval:
        """The interval that decides."""
        return self.fixed if self.population == Population.fixed else self.drawn

    @property
    def other(self) -> Interval:
        """The interval that does not."""
        return self.drawn if self.population == Population.fixed else self.fixed

    @property
    def value(self) -> float:
        """The change."""
        return self.interval.value

    @property
    def lower(self) -> float:
        """Lower bound of the interval that decides."""
        return self.interval.lower

    @property
    def upper(self) -> float:
        """Upper bound of the interval that decides."""
        return self.interval.upper

    def flipped(self) -> Judged:
        """Return the same with the other sign, for a change whose positive side is bad."""
        return replace(self, fixed=self.fixed.times(-1.0), drawn=self.drawn.times(-1.0))


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """The rule that turns an interval for a change into a verdict: it must not lose more than the margin.

    Attributes
    ----------
    confidence : float
        In (0, 1).
    margin : float
        ≥ 0, the loss that is accepted, in the unit of the change.
    margin_error : float
        Standard error of the margin if it was estimated. It is added to that of the change, because the error of a
        sum is at most the sum of the errors, however they depend on each other.

    Raises
    ------
    ValueError
        If the confidence is not in (0, 1) or the margin is negative.
    """

    confidence: float = 0.95
    margin: float = 0.0
    margin_error: float = 0.0

    def __post_init__(self) -> None:
        check_confidence(self.confidence)
        if not self.margin >= 0.0:
            raise ValueError(f"margin must be a number >= 0, got {self.margin!r}.")

    def verdict(self, change: Interval) -> Verdict:
        """Return compatible if the interval lies at or above −margin, incompatible if below, else inconclusive."""
        extra = change.quantile * self.margin_error if change.quantile > 0.0 else 0.0
        # a margin is not negative: what has lost nothing is compatible with any
        if change.lower >= min(extra - self.margin, 0.0):
            return Verdict.compatible
        return Verdict.incompatible if change.upper < -self.margin - extra else Verdict.inconclusive

    def judge(self, fixed: Interval, drawn: Interval, population: Population) -> Judged:
        """Judge a change for one population, and show the verdict for the other population beside it."""
        decides, beside = (fixed, drawn) if population == Population.fixed else (drawn, fixed)
        return Judged(
            fixed=fixed,
            drawn=drawn,
            population=population,
            verdict=self.verdict(decides),
            other_verdict=self.verdict(beside),
        )

    def judge_many(
        self,
        values: Float[ndarray, " n"],
        errors: Float[ndarray, " n"],
        freedom: Float[ndarray, " n"],
        among: int,
        unit: Unit = "sample",
    ) -> tuple[list[Interval], list[Verdict]]:
        """Judge several of ``among`` changes at once: the chance of any wrong verdict is at most 1 − confidence.

        The intervals use Bonferroni's correction. The verdicts use Holm's step-down test, which decides whenever an
        interval does, and sometimes when one just fails to.
        """
        level = 1.0 - self.confidence
        own = 1.0 - level / among
        intervals = [
            Interval.student(float(value), float(error), float(df), own, unit=unit)
            for value, error, df in zip(values, errors, freedom, strict=True)
        ]
        with np.errstate(divide="ignore", invalid="ignore"):
            size = np.abs(values + self.margin) / (errors + self.margin_error)
            statistic = np.where(errors > 0.0, size, np.inf)
        decided = holm(2.0 * upper_tail(statistic, freedom), among) <= level
        verdicts = [
            Verdict.inconclusive if not sure else Verdict.compatible if above else Verdict.incompatible
            for sure, above in zip(decided, values >= -self.margin, strict=True)
        ]
        return intervals, verdicts


def holm(p_values: Float[ndarray, " n"], among: int | None = None) -> Float[ndarray, " n"]:
    """Return the smallest joint level at which Holm's step-down procedure rejects each hypothesis.

    Hypotheses that are not given (``among`` − n of them) count as never rejected.

    References
    ----------
    Holm, *A simple sequentially rejective multiple test procedure*, 1979.
    """
    order = np.argsort(p_values, kind="stable")
    factors = (len(order) if among is None else among) - np.arange(len(order))
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1.0)
    return adjusted


# units at which a sequence of looks is as narrow as it can be
TUNED = 200


def widened(num: int, confidence: float) -> float:
    r"""How much wider an interval is that stays valid however often one looks at growing data, and stops at will.

    With n units, α = 1 − confidence and ρ tuned to n = 200, the asymptotic confidence sequence has
    :math:`\sqrt{(nρ^2+1)/(nρ^2)\, \log((nρ^2+1)/α^2)}` standard errors on each side; returned is that over the
    normal quantile.

    References
    ----------
    Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas, *Time-uniform central limit theory and asymptotic confidence
    sequences*, 2024.
    """
    check_confidence(confidence)
    log = -2.0 * math.log(1.0 - confidence)
    scale = max(num, 1) * (log + math.log(log + 1.0)) / TUNED
    looks = math.sqrt((scale + 1.0) / scale * (math.log(scale + 1.0) + log))
    return looks / float(upper_quantile((1.0 - confidence) / 2.0, math.inf))


def check_confidence(confidence: float) -> None:
    """Raise ValueError unless the confidence is in (0, 1)."""
    if not 0.0 < confidence < 1.0:
        meant = f"; {confidence / 100.0:g} was meant?" if 50.0 <= confidence < 100.0 else "."
        raise ValueError(f"confidence must be in (0, 1), got {confidence!r}{meant}")

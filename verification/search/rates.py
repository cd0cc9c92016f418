"""Old and new accept rates at a threshold, paired, where genuine and impostor comparisons are known.

A comparison is accepted when its similarity is at least the threshold. The same rates have two pairs of names: FPIR and
DIR in open-set identification, FAR and TAR in lists of pairs. Intervals take the threshold as given, also where it was
chosen from these comparisons. Their unit is said: independent comparisons; groups of comparisons; or samples, where a
comparison depends on each other one that shares a sample with it. How strong the dependence is shows in the comparisons
that differ from most, so a handful of false accepts does not show it.

References
----------
Wilson, *Probable inference, the law of succession, and statistical inference*, 1927, for a rate of independent
comparisons. Fafchamps & Gubert, *The formation of risk sharing networks*, 2007, for comparisons that share samples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy import special

from verification.statistics.interval import Interval, Unit, check_confidence
from verification.statistics.paired import mean_interval
from verification.statistics.student import upper_quantile

# inflation where nothing is known of the dependence: intervals are as wide as rates are
_UNKNOWN = 1e12


@dataclass(frozen=True, kw_only=True)
class RateChange:
    """A rate of the old and of the new model, and new minus old, of the same comparisons."""

    old: Interval
    new: Interval
    change: Interval


@dataclass(frozen=True, kw_only=True)
class AcceptReport:
    """Accept rates at the old threshold, and at the one that keeps the false accept rate.

    Attributes
    ----------
    threshold : float
        The old one.
    kept_threshold : Interval
        The one at which new queries have the false accept rate that old ones have at ``threshold``.
    false_accepts : RateChange
        Share of impostors that are accepted at ``threshold``: FPIR, FAR.
    true_accepts : RateChange
        Share of genuine comparisons that are accepted and right at ``threshold``: DIR, TAR.
    true_accepts_kept : RateChange
        The same with new queries at ``kept_threshold``.
    num_impostors, num_genuine : int
    unit : {"sample", "group"}
        What intervals take as drawn independently.
    """

    threshold: float
    kept_threshold: Interval
    false_accepts: RateChange
    true_accepts: RateChange
    true_accepts_kept: RateChange
    num_impostors: int
    num_genuine: int
    unit: Unit


class Rates:
    """Intervals for rates of comparisons, and for their changes.

    Parameters
    ----------
    confidence : float
        In (0, 1).
    members : sequence of ndarray of int, each of shape (n,)
        What each comparison involves: nothing where comparisons are independent, its group, or both of its samples (or
        both of their groups), numbered together.
    unit : {"sample", "group"}
        What they are called.
    """

    def __init__(self, confidence: float, members: Sequence[Int[ndarray, " n"]], unit: Unit) -> None:
        check_confidence(confidence)
        self.confidence, self.unit = confidence, unit
        self._members = members

    def paired(self, old: Bool[ndarray, " n"], new: Bool[ndarray, " n"], some: Bool[ndarray, " n"]) -> RateChange:
        """Return the shares of some comparisons that are accepted, and how much the share changes."""
        first, second = old[some].astype(float), new[some].astype(float)
        return RateChange(
            old=self._interval(first, some, wilson_interval),
            new=self._interval(second, some, wilson_interval),
            change=self._interval(second - first, some, mean_interval),
        )

    def _interval(
        self,
        values: Float[ndarray, " m"],
        some: Bool[ndarray, " n"],
        independent: Callable[[ndarray, float, float], tuple[float, float]],
    ) -> Interval:
        level = 1.0 - self.confidence
        inflation = inflation_by_members(values, [member[some] for member in self._members], level)
        lower, upper = independent(values, level, inflation)
        return Interval(
            value=float(np.mean(values)), lower=lower, upper=upper, confidence=self.confidence, unit=self.unit
        )


def compare_rates(
    similarity: Float[ndarray, "2 n"],
    genuine: Bool[ndarray, " n"],
    rates: Rates,
    *,
    right: Bool[ndarray, "2 n"] | None = None,
    threshold: float | None = None,
    false_rate: float | None = None,
) -> AcceptReport:
    """Compare accept rates of the old and of the new model.

    Parameters
    ----------
    similarity : ndarray, shape (2, n)
        By the old and by the new model.
    genuine : ndarray of bool, shape (n,)
        Whether a comparison ought to be accepted; the others are impostors.
    rates : Rates
        How intervals are made.
    right : ndarray of bool, shape (2, n), optional
        Whether what was accepted is the right one.
    threshold : float
        The old accept threshold.
    false_rate : float
        In (0, 1), instead of it: the share of impostors that it accepts with the old model, at most.

    Raises
    ------
    ValueError
        If there are no genuine comparisons or no impostors, or not one of threshold and rate is given.
    """
    if (threshold is None) == (false_rate is None):
        raise ValueError("give the old accept threshold or the false accept rate that it had: one of the two.")
    if not genuine.any() or genuine.all():
        kind = "impostor" if genuine.all() else "genuine"
        raise ValueError(f"there must be genuine and impostor comparisons, got no {kind} one.")
    impostors = ~genuine
    if threshold is None:
        assert false_rate is not None
        if not 0.0 < false_rate < 1.0:
            raise ValueError(f"the false accept rate must be in (0, 1), got {false_rate!r}.")
        threshold = threshold_at(similarity[0, impostors], false_rate)
    accepted = similarity >= threshold
    false_accepts = rates.paired(accepted[0], accepted[1], impostors)
    kept = false_accepts.old
    value, upper, lower = (
        threshold_at(similarity[1, impostors], rate) for rate in (kept.value, kept.lower, kept.upper)
    )
    true = accepted if right is None else accepted & right
    true_kept = similarity[1] >= value if right is None else (similarity[1] >= value) & right[1]
    return AcceptReport(
        threshold=float(threshold),
        kept_threshold=Interval(value=value, lower=lower, upper=upper, confidence=rates.confidence, unit=rates.unit),
        false_accepts=false_accepts,
        true_accepts=rates.paired(true[0], true[1], genuine),
        true_accepts_kept=rates.paired(true[0], true_kept, genuine),
        num_impostors=int(np.sum(impostors)),
        num_genuine=int(np.sum(genuine)),
        unit=rates.unit,
    )


def threshold_at(similarity: Float[ndarray, " n"], rate: float) -> float:
    """Return the smallest threshold that at most this share of similarities reaches."""
    ordered = np.sort(similarity)[::-1]
    allowed = min(math.floor(rate * len(ordered) + 1e-9), len(ordered))  # a rate of k / n allows k, rounded or not
    return float(np.nextafter(ordered[allowed], np.inf)) if allowed < len(ordered) else float(ordered[-1])


def wilson_interval(hits: Float[ndarray, " n"], level: float, inflation: float = 1.0) -> tuple[float, float]:
    """Wilson's score interval for the chance of a hit.

    ``level`` is the chance of not covering, ``inflation`` how much more the share varies than that of independent hits.
    """
    share = float(np.mean(hits))
    square = float(special.ndtri(level / 2.0)) ** 2 * inflation / len(hits)
    middle = (share + square / 2.0) / (1.0 + square)
    half = math.sqrt(square * share * (1.0 - share) + square**2 / 4.0) / (1.0 + square)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def inflation_by_members(values: Float[ndarray, " n"], members: Sequence[Int[ndarray, " n"]], level: float) -> float:
    r"""By how much dependence between values that share a member inflates the variance of their mean, at least 1.

    With e the deviations, n_i the number of values of member i and S_i the sum of theirs, it is
    :math:`\sum_i (S_i / (1 − n_i / n))^2 / \sum e^2`, which leaves each member out once as a jackknife does. Where a
    value has two members, its square and its products with values of the same two are counted with each, so they are
    taken off once. To make a normal quantile Student's, the result is multiplied by the square of their ratio, for
    :math:`1 / \sum s^2 − 1` degrees of freedom and the shares s that members have in all places.
    """
    num = len(values)
    if not members:
        return 1.0
    if num < 2:
        return _UNKNOWN
    count = int(max(member.max() for member in members)) + 1
    ends = [np.minimum(*members), np.maximum(*members)] if len(members) == 2 else list(members)
    e = values - np.mean(values)
    sums, sizes, places = np.zeros(count), np.zeros(count), np.zeros(count)
    for at, member in enumerate(ends):
        # a sample that is paired with itself is one member
        other = member != ends[0] if at else np.full(num, True)
        sums += np.bincount(member[other], e[other], count)
        sizes += np.bincount(member[other], minlength=count)
        places += np.bincount(member, minlength=count)
    share = places / places.sum()
    freedom = 1.0 / float(share @ share) - 1.0
    if freedom < 1e-9 or sizes.max() == num:
        return _UNKNOWN
    variance = float(np.sum((sums / (1.0 - sizes / num)) ** 2))
    if len(ends) == 2:
        both = np.unique(ends[0] * count + ends[1], return_inverse=True)[1].ravel()
        variance -= float(np.sum(np.bincount(both, np.where(ends[0] != ends[1], e, 0.0)) ** 2))
    squares = float(e @ e)
    ratio = float(upper_quantile(level / 2.0, freedom)) / -float(special.ndtri(level / 2.0))
    return max(variance / squares if squares > 0.0 else 1.0, 1.0) * ratio**2

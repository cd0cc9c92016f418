"""Intervals for the mean of paired differences of scores in [0, 1], one a query, that hold where bootstraps collapse.

Differences of hits (−1, 0, 1) take Tango's score interval with a continuity correction of half a query: enumerated
over the two chances, n from 20 to 2000 and true differences from 0 to −0.05, it misses the true difference in at most
4.9 % of samples (5 % promised), also where every query fares alike and a resampling interval has no width. Other
differences take Student's t, no narrower than the score interval of queries that all fare alike.

References
----------
Tango, *Equivalence test and confidence interval for the difference in proportions for the paired-sample design*, 1998.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy import special

from verification.statistics.student import upper_quantile


def root(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a function changes its sign between two points, by halving; SciPy's solvers take long to load."""
    below = function(low) < 0.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        if (function(middle) < 0.0) == below:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


def score_interval(gained: int, lost: int, num: int, level: float, inflation: float = 1.0) -> tuple[float, float]:
    """Interval for P(gained) − P(lost) from counts among ``num`` pairs.

    Parameters
    ----------
    gained, lost, num : int
        Pairs in which only the first, only the second is a hit; all pairs.
    level : float
        Chance of not covering, both sides together.
    inflation : float
        ≥ 1, of the variance, where queries depend on each other.
    """
    quantile = -float(special.ndtri(level / 2.0))
    difference = (gained - lost) / num

    def excess(candidate: float, sign: float) -> float:
        distance = max(sign * (difference - candidate) * num - 0.5, 0.0)
        return distance - quantile * math.sqrt(inflation * _variance(gained, lost, num, candidate))

    # at the far end the observed difference is a surprise; within the half query that is allowed for it is none
    low, high, near = -1.0, 1.0, 0.25 / num
    if excess(-1.0, 1.0) > 0.0:
        low = root(lambda candidate: excess(candidate, 1.0), -1.0, difference - near)
    if excess(1.0, -1.0) > 0.0:
        high = root(lambda candidate: excess(candidate, -1.0), difference + near, 1.0)
    return float(low), float(high)


def _variance(gained: int, lost: int, num: int, difference: float) -> float:
    """Variance of ``gained − lost`` under a true difference, the chance of loss at its most likely value."""
    linear = (2.0 * num - gained + lost) * difference - gained - lost
    constant = -lost * difference * (1.0 - difference)
    loss = (math.sqrt(max(linear**2 - 8.0 * num * constant, 0.0)) - linear) / (4.0 * num)
    return max(num * (2.0 * loss + difference * (1.0 - difference)), 0.0)


def mean_interval(values: Float[ndarray, " n"], level: float, inflation: float = 1.0) -> tuple[float, float]:
    """Interval for the mean of differences in [−1, 1]; parameters as :func:`score_interval`."""
    num, mean = len(values), float(np.mean(values))
    if np.all(np.isin(values, (-1.0, 0.0, 1.0))):
        return score_interval(int(np.sum(values > 0)), int(np.sum(values < 0)), num, level, inflation)
    error = math.sqrt(inflation * float(np.var(values, ddof=1)) / num)
    least = score_interval(0, 0, num, level, inflation)[1]
    half = max(float(upper_quantile(level / 2.0, num - 1)) * error, least)
    return mean - half, mean + half


def cluster_interval(
    values: Float[ndarray, " n"],
    clusters: Int[ndarray, " n"],
    level: float,
    within: tuple[float, float],
    widen: float = 1.0,
) -> tuple[float, float]:
    r"""Interval for the mean where whole clusters were drawn: classes for new classes, groups for new groups.

    The bias-reduced variance CR2 with Satterthwaite's degrees of freedom, which hold where clusters have unequal sizes.
    For a mean, with p the share of the values that each cluster has and s its sum of deviations, the variance is
    :math:`\sum s^2/(1 − p)/n^2`, and with q = p²/(1 − p) there are
    :math:`1/(\sum p^2 + (\sum q)^2 − \sum q^2)` degrees of freedom: K − 1 for K equal clusters.

    It is no narrower than ``within``, an interval for new values of these clusters. ``widen`` is the factor for looking
    more than once.

    References
    ----------
    Bell & McCaffrey, *Bias reduction in standard errors for linear regression with multi-stage samples*, 2002.
    """
    error, freedom = cluster_error(values, clusters)
    if not np.isfinite(error):
        return -1.0, 1.0
    mean = float(np.mean(values))
    half = widen * float(upper_quantile(level / 2.0, freedom)) * error
    return max(min(mean - half, within[0]), -1.0), min(max(mean + half, within[1]), 1.0)


def both_intervals(
    values: Float[ndarray, " n"],
    level: float,
    groups: Int[ndarray, " n"] | None,
    classes: Int[ndarray, " n"] | None,
    *,
    inflation: float = 1.0,
    widen: tuple[float, float] = (1.0, 1.0),
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Intervals for the mean of differences in [−1, 1], for these classes and for new ones.

    Parameters
    ----------
    values : ndarray, shape (N,)
    level : float
        In (0, 1), of both sides together.
    groups : ndarray of int, shape (N,), or None
        Which values were drawn together; None: each by itself.
    classes : ndarray of int, shape (N,), or None
        None: values of no class, so that both intervals are one.
    inflation : float
        ≥ 1, of the variance; see :func:`inflation`.
    widen : (float, float)
        Factors of both widths for looking more than once.
    """
    fixed = mean_interval(values, level, inflation * widen[0] ** 2)
    if groups is not None:
        fixed = cluster_interval(values, groups, level, fixed, widen[0])
    return fixed, fixed if classes is None else cluster_interval(values, classes, level, fixed, widen[1])


def cluster_error(values: Float[ndarray, " n"], clusters: Int[ndarray, " n"]) -> tuple[float, float]:
    """Standard error of a mean whose values vary together within clusters, by CR2, and its degrees of freedom.

    Infinite for one cluster.
    """
    num = len(values)
    inverse = np.unique(clusters, return_inverse=True)[1].ravel()
    sizes = np.bincount(inverse)
    if len(sizes) < 2:
        return np.inf, 1.0
    share = sizes / num
    deviations = np.bincount(inverse, values - float(np.mean(values)))
    return math.sqrt(float(np.sum(deviations**2 / (1.0 - share)))) / num, cluster_freedom(share)


def cluster_freedom(share: Float[ndarray, " k"]) -> float:
    """Satterthwaite's degrees of freedom of CR2 for a mean, with the share of the values that each cluster has."""
    weight = share**2 / (1.0 - share)
    return 1.0 / float(share @ share + weight.sum() ** 2 - weight @ weight)


def inflation(values: Float[ndarray, " n"], found: Int[ndarray, "n m"], own: Int[ndarray, " n"]) -> float:
    """By how much links between queries that are gallery items too inflate the variance of the mean, at least 1.

    Two queries are linked where one found the other, or both found the same item. Where queries search other samples,
    the gallery is given and there is no such link.

    Parameters
    ----------
    values : ndarray, shape (N,)
        Differences of scores.
    found : ndarray of int, shape (N, 2)
        Gallery row that each query found in each of the two searches.
    own : ndarray of int, shape (N,)
        Each query's own row in the gallery, ascending.
    """
    e = values - np.mean(values)
    variance = float(e @ e)
    if variance == 0.0:
        return 1.0
    first, second = found.T
    both = np.unique(found, axis=0, return_inverse=True)[1].ravel()
    total = _squared_sums(e, first) + _squared_sums(e, second) - _squared_sums(e, both)
    links = []
    for items in (first, second):
        place = np.minimum(np.searchsorted(own, items), len(own) - 1)
        query = np.flatnonzero(own[place] == items)
        links.append(np.sort(np.column_stack([query, place[query]]), axis=1))
    i, j = np.unique(np.concatenate(links), axis=0).T
    apart = (first[i] != first[j]) & (second[i] != second[j])
    total += 2.0 * float(e[i[apart]] @ e[j[apart]])
    return max(total / variance, 1.0)


def _squared_sums(values: ndarray, groups: ndarray) -> float:
    sums = np.bincount(np.unique(groups, return_inverse=True)[1], values)
    return float(sums @ sums)

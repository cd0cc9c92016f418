"""Which classes, and which pairs of classes, lose: many gaps at once, so intervals and verdicts are simultaneous."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from verification.statistics.interval import Criterion, Interval, Verdict
from verification.statistics.pairwise import shrinkage
from verification.statistics.protocol import Statistics
from verification.statistics.rows import Rows
from verification.statistics.variance import ClassEstimates

# every class pair is judged up to this many of them, and the worst alone beyond
JUDGED_PAIRS = 2500
# K²·d up to which the worst class pair is looked for; about three seconds
SEARCH_WORK = 1e11
# rows of a class that tell the variance of a class pair
PAIR_ROWS = 128
# classes of queries whose pairs are looked at together
SEARCHED_AT_ONCE = 512


@dataclass(frozen=True, kw_only=True)
class ClassGap:
    """Inequality 1a for one class.

    Attributes
    ----------
    label : int or str
    num_samples : int
        Queries of the class.
    interval : Interval
        Interval of the mean gap, simultaneous over the classes.
    verdict : Verdict
    """

    label: int | str
    num_samples: int
    interval: Interval
    verdict: Verdict

    @property
    def gap(self) -> float:
        """The mean gap."""
        return self.interval.value


@dataclass(frozen=True, kw_only=True)
class ClassPairGap:
    """Inequality 1b for queries of one class and gallery items of another; attributes as :class:`ClassGap`."""

    query: int | str
    gallery: int | str
    interval: Interval
    verdict: Verdict

    @property
    def gap(self) -> float:
        """The mean gap."""
        return self.interval.value


@dataclass(frozen=True, kw_only=True)
class ClassPairs:
    """Inequality 1b over all ordered pairs of classes, counted.

    Attributes
    ----------
    total : int
        Ordered pairs of classes.
    negative : int
        Those with a negative gap, whatever the noise.
    compatible, incompatible, inconclusive : int or None
        Verdicts, simultaneous; None where class pairs are too many to judge each.
    """

    total: int
    negative: int
    compatible: int | None
    incompatible: int | None
    inconclusive: int | None


@dataclass(frozen=True)
class Worst:
    """The class with the least gap of 1a and the class pair with the least gap of 1b; None where not looked for."""

    same_class: ClassGap | None
    different_class: ClassPairGap | None


def read_classes(
    estimates: ClassEstimates, source: Statistics, labels: ndarray, scale: float, criterion: Criterion
) -> tuple[ClassGap, ...]:
    """Judge every class that has pairs of its own."""
    some = np.flatnonzero(np.asarray(source.same_pairs()) > 0)
    intervals, verdicts = criterion.judge_many(
        scale * estimates.gap[some],
        scale * estimates.standard_error[some],
        estimates.degrees_of_freedom[some],
        len(some),
        unit="sample" if source.rows.units is None else "group",
    )
    return tuple(
        ClassGap(label=labels[c].item(), num_samples=int(source.rows.sizes[c]), interval=interval, verdict=verdict)
        for c, interval, verdict in zip(some, intervals, verdicts, strict=True)
    )


def read_class_pairs(
    metric: str, source: Statistics, labels: ndarray, scale: float, criterion: Criterion
) -> tuple[ClassPairs | None, ClassPairGap | None]:
    """All ordered class pairs counted, and the worst; None where K²·d is too much work."""
    queries = np.flatnonzero(source.sizes)
    items = np.flatnonzero(source.gallery_sizes)
    total = len(queries) * len(items) - len(np.intersect1d(queries, items))
    if float(len(queries)) * len(items) * source.rows.old.shape[1] > SEARCH_WORK:
        return None, None
    negative, worst = _search(source, queries, items)
    judged = total <= JUDGED_PAIRS
    pairs = [(int(y), int(z)) for y in queries for z in items if y != z] if judged else [worst]
    means = {y: -source.pair_means(slice(y, y + 1))[0] for y in {y for y, _ in pairs}}
    gaps = scale * np.array([means[y][z] for y, z in pairs])
    errors = np.array([_pair_error(metric, source, y, z) for y, z in pairs])
    intervals, verdicts = criterion.judge_many(gaps, scale * errors[:, 0], errors[:, 1], total)
    at = pairs.index(worst)
    worst_gap = ClassPairGap(
        query=labels[worst[0]].item(),
        gallery=labels[worst[1]].item(),
        interval=intervals[at],
        verdict=verdicts[at],
    )
    counts = {kind.value: verdicts.count(kind) if judged else None for kind in Verdict}
    return ClassPairs(total=total, negative=negative, **counts), worst_gap


def _search(source: Statistics, queries: Int[ndarray, " q"], items: Int[ndarray, " g"]) -> tuple[int, tuple[int, int]]:
    """Number of class pairs with a negative gap, and the pair with the least; of those that can tell, if any can."""
    known = (source.rows.counts > 1, (source.gallery or source.rows).counts > 1)
    negative, least = 0, (True, np.inf, (0, 0))
    for start in range(0, len(source.sizes), SEARCHED_AT_ONCE):
        rows = queries[(queries >= start) & (queries < start + SEARCHED_AT_ONCE)]
        if not len(rows):
            continue
        gaps = -source.pair_means(slice(start, start + SEARCHED_AT_ONCE))[rows - start][:, items]
        gaps[rows[:, None] == items] = np.inf
        negative += int(np.count_nonzero(gaps < 0.0))
        for unsure, mask in ((False, np.outer(known[0][rows], known[1][items])), (True, np.ones(gaps.shape, bool))):
            masked = np.where(mask, gaps, np.inf)
            y, z = np.unravel_index(np.argmin(masked), masked.shape)
            if np.isfinite(masked[y, z]):
                least = min(least, (unsure, float(masked[y, z]), (int(rows[y]), int(items[z]))))
    return negative, least[2]


def _pair_error(metric: str, source: Statistics, y: int, z: int) -> tuple[float, float]:
    """Standard error of the mean of t over queries of class y and items of class z, and its degrees of freedom.

    A two-sample U-statistic: what a query and what an item contributes, and what only pairs show, each unbiased.
    """
    query, item = _some(source.rows, y), _some(source.gallery or source.rows, z)
    n, m = query.stop - query.start, (item.stop - item.start)
    if min(n, m) < 2:
        return np.inf, 1.0
    new, old = (rows[query] for rows in source.rows.models)
    t = shrinkage(metric, new, old, (source.gallery or source.rows).old[item]).astype(np.float64)
    t -= t.mean()
    by_query, by_item = t.mean(axis=1), t.mean(axis=0)
    only_pairs = float(np.sum((t - by_query[:, None] - by_item) ** 2)) / ((n - 1) * (m - 1))
    of_query = float(by_query @ by_query) / (n - 1) - only_pairs / m
    of_item = float(by_item @ by_item) / (m - 1) - only_pairs / n
    size, size_item = float(source.sizes[y]), float(source.gallery_sizes[z])
    second = only_pairs / (size * size_item)
    variance = max(of_query / size + of_item / size_item + second, second)
    parts = float(by_query @ by_query) / (n - 1) / size, float(by_item @ by_item) / (m - 1) / size_item
    spread = parts[0] ** 2 / (n - 1) + parts[1] ** 2 / (m - 1)
    return float(np.sqrt(variance)), (sum(parts) ** 2 / spread if spread > 0 else min(n, m) - 1.0)


def _some(rows: Rows, c: int) -> slice:
    return slice(int(rows.starts[c]), int(min(rows.starts[c + 1], rows.starts[c] + PAIR_ROWS)))

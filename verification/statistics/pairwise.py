r"""Every pair of two sets of rows, in tiles: what sums cannot tell.

A pair's *shrinkage* is :math:`t_{ij} = d(v_i, v_j) − d(u_i, v_j)`, i a query (u its new, v its old feature) and j a
gallery item: the gap of inequality 1a, and minus the gap of 1b. Where queries and gallery are the same samples, the
pair i = j is left out and :math:`h_{ij} = (t_{ij} + t_{ji})/2` is the symmetric kernel of the U-statistic.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy import sparse

from learning.progress import Progress, counter
from theory.metrics import MetricLike, as_metric
from verification.statistics.rows import Rows, never_met
from verification.statistics.sums import class_sums
from verification.statistics.weights import Weights

TILE = 1024
# rows or columns, of those by class, that are held once more
HELD = 64
# of a class, whose pairs tell what only pairs show
MOST_UNITS = 64


def shrinkage(metric: MetricLike, new: ndarray, old: ndarray, items: ndarray) -> ndarray:
    """t of every query (rows ``new``, ``old``) with every gallery item, shape (queries, items)."""
    distance = as_metric(metric)
    if distance.linear is not None:
        return (2.0 * distance.linear * (new - old)) @ items.T
    # a copy, because NumPy multiplies a matrix by its own transpose differently, to other roundings
    items = items.copy().T
    return distance.of_cosine(old @ items) - distance.of_cosine(new @ items)


def spread_of_units(metric: MetricLike, rows: Rows) -> Float[ndarray, " k"] | None:
    """Variance, class by class, of what only pairs of units show in the mean of h over their rows.

    Least squares of h = mean + f_u + f_v over the units u ≠ v of a class leave G(G − 3)/2 degrees of freedom. NaN for
    fewer than four units, None where rows are units.
    """
    if rows.units is None:
        return None
    result = np.full(len(rows.sizes), np.nan)
    linear = as_metric(metric).linear is not None
    for c in np.flatnonzero(rows.unit_counts >= 4):
        here = slice(int(rows.starts[c]), int(rows.starts[c + 1]))
        codes, new, old = rows.unit_codes[here], *(model[here] for model in rows.models)
        units = np.unique(codes)
        units = units[np.linspace(0, len(units) - 1, min(MOST_UNITS, len(units))).astype(np.intp)]
        some = np.isin(codes, units)
        codes, count = np.searchsorted(units, codes[some]), len(units)
        number = np.bincount(codes)
        if linear:  # the mean over rows is that of the mean rows
            new, old = (class_sums(model[some], codes, count) / number[:, None] for model in (new, old))
            h = shrinkage(metric, new, old, old)
        else:
            t = shrinkage(metric, new[some], old[some], old[some])
            h = class_sums(class_sums(t, codes, count).T, codes, count).T / np.outer(number, number)
        h = 0.5 * (h + h.T)
        np.fill_diagonal(h, 0.0)
        mean = h.sum() / (count * (count - 1.0))
        effects = (h.sum(axis=1) - (count - 1.0) * mean) / (count - 2.0)
        left = h - mean - effects[:, None] - effects
        np.fill_diagonal(left, 0.0)
        result[c] = np.sum(left**2) / (count * (count - 3.0))
    return result


@dataclass(frozen=True)
class AllPairs:
    """Statistics of t, and of h, from all pairs of the rows; means over pairs are exact.

    Attributes
    ----------
    rows, gallery : Rows
        Queries and gallery items; None where they are the same samples.
    ordered : ndarray, shape (K, K)
        Sum of t over queries of the first class and gallery items of the second.
    by_query, by_item : ndarray or sparse array, shape (m, K), (g, K)
        Sum over the items of a class for each query, over the queries of a class for each item: of t, or of h where
        queries and gallery are the same samples, and then both are one array.
    squares : ndarray, shape (K, K)
        Sum of t², or of h².
    satisfied : tuple of int
        Ordered pairs with t ≥ 0 within classes, with t ≤ 0 between classes.
    unit_spread : ndarray, shape (K,), or None
        See :func:`spread_of_units`; None where it is not known.
    """

    rows: Rows
    gallery: Rows | None
    ordered: Float[ndarray, "k k"]
    by_query: Float[ndarray, "m k"] | sparse.csr_array
    by_item: Float[ndarray, "g k"] | sparse.csr_array
    squares: Float[ndarray, "k k"]
    satisfied: tuple[int, int]
    unit_spread: Float[ndarray, " k"] | None = None
    # means are of the rows here, which may be a part of the data
    uses_part = True

    @cached_property
    def _left_out(self) -> tuple[Int[ndarray, " m"], Int[ndarray, " g"]]:
        """How many items each query never meets, and how many queries each item."""
        items = self.gallery or self.rows
        pairs = never_met(self.rows, slice(0, len(self.rows.codes)), self.gallery)
        counts = (len(self.rows.codes), len(items.codes))
        query, item = (np.bincount(some, minlength=count) for some, count in zip(pairs, counts, strict=True))
        return query, item

    @property
    def sizes(self) -> Int[ndarray, " k"]:
        """Queries of each class that went into the means."""
        return self.rows.counts

    @property
    def gallery_sizes(self) -> Int[ndarray, " k"]:
        """Gallery items of each class that went into the means."""
        return (self.gallery or self.rows).counts

    @property
    def _pairs(self) -> Float[ndarray, "k k"]:
        """Ordered pairs of each class with each, at least 1 to divide by."""
        pairs = np.outer(self.sizes.astype(np.float64), self.gallery_sizes)
        pairs[np.diag_indices_from(pairs)] -= np.bincount(self.rows.codes, self._left_out[0], len(pairs))
        return np.maximum(pairs, 1.0, out=pairs)

    def same_pairs(self) -> Float[ndarray, " k"]:
        """Number of ordered pairs of each class."""
        left_out = np.bincount(self.rows.codes, self._left_out[0], len(self.sizes))
        return self.sizes * self.gallery_sizes - left_out

    def met(self) -> tuple[Float[ndarray, " m"], ...]:
        """How many partners of its own class each query, or each query and each item, has."""
        queries = self.gallery_sizes[self.rows.codes] - self._left_out[0]
        if self.gallery is None:
            return (queries.astype(np.float64),)
        items = self.sizes[self.gallery.codes] - self._left_out[1]
        return queries.astype(np.float64), items.astype(np.float64)

    def same_means(self) -> Float[ndarray, " k"]:
        """Mean of t over the pairs of each class."""
        return np.diag(self.ordered) / np.diag(self._pairs)

    def pair_means(self, classes: slice) -> Float[ndarray, "some k"]:
        """Mean of t for queries of some classes and gallery items of every class."""
        return self.ordered[classes] / self._pairs[classes]

    def class_means_between(self, classes: Int[ndarray, " c"]) -> tuple[Float[ndarray, " c"], Float[ndarray, " c"]]:
        """Mean of t over the other classes, each counting once: for queries of each class, and for its items."""
        means = (self.ordered / self._pairs)[np.ix_(classes, classes)]
        np.fill_diagonal(means, 0.0)
        others = max(len(classes) - 1.0, 1.0)
        return means.sum(axis=1) / others, means.sum(axis=0) / others

    def between(self, weights: Weights) -> float:
        """Mean of t over pairs of different classes."""
        products = weights.query[:, None] * weights.gallery
        products *= self.ordered / self._pairs
        np.fill_diagonal(products, 0.0)
        return float(products.sum())

    def own(self) -> tuple[Float[ndarray, " m"], ...]:
        """For each row, the mean over its partners of its own class: h of samples, or t of queries and of items."""
        sums = [_of_class(self.by_query, self.rows)]
        if self.gallery is not None:
            sums.append(_of_class(self.by_item, self.gallery))
        return tuple(total / np.maximum(met, 1.0) for total, met in zip(sums, self.met(), strict=True))

    def others(self, weights: Weights) -> tuple[Float[ndarray, " m"], ...]:
        """For each row, its weighted mean over partners of other classes, times the weight of its class."""
        forward = _of_others(self.by_query, weights.gallery / np.maximum(self.gallery_sizes, 1), self.rows)
        queries = weights.query[self.rows.codes] * forward
        if self.gallery is None:
            return (2.0 * queries,)
        backward = _of_others(self.by_item, weights.query / np.maximum(self.sizes, 1), self.gallery)
        return queries, weights.gallery[self.gallery.codes] * backward

    def same_spread(self) -> Float[ndarray, " k"]:
        """Variance of h within the pairs of each class; of what only pairs show in t, for a gallery."""
        if self.gallery is not None:
            return np.diag(self._doubly_centred())
        pairs = np.diag(self._pairs)
        return np.maximum(np.diag(self.squares) - np.diag(self.ordered) ** 2 / pairs, 0.0) / pairs

    def between_spread(self, weights: Weights) -> float:
        """Variance, in the mean over pairs of different classes, of what only pairs show."""
        design = weights.pair_design(self.sizes, self.gallery_sizes)
        several = (self.sizes[:, None] > 1) & (self.gallery_sizes > 1) & (design > 0.0)
        if not np.any(several):
            return np.inf
        # a class of one has no such variance of its own: it borrows the others'
        spread = self._doubly_centred()
        spread *= design
        share = float(np.sum(spread[several])) / float(design[several].sum())
        paired = 2.0 if self.gallery is None else 1.0
        return paired * float(design.sum()) * share

    def _doubly_centred(self) -> Float[ndarray, "k k"]:
        """Unbiased variance, for each two classes, of t or h less its means over either sample."""
        n, m = np.maximum(self.sizes, 1.0), np.maximum(self.gallery_sizes, 1.0)
        part = _sum_classes(self.by_query, self.rows, np.square)
        # in place: with many classes each array here is large
        squares = part / m
        np.subtract(self.squares, squares, out=squares)
        if self.gallery is not None:
            part = _sum_classes(self.by_item, self.gallery, np.square)
        part /= n
        squares -= part.T
        del part
        part = _sum_classes(self.by_query, self.rows, np.positive)
        np.square(part, out=part)
        part /= n[:, None] * m
        squares += part
        np.maximum(squares, 0.0, out=squares)
        pairs = np.multiply((n - 1.0)[:, None], m - 1.0, out=part)
        squares /= np.maximum(pairs, 1.0, out=pairs)
        return squares

    def fractions(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Share of pairs that satisfy 1a and 1b, each with its standard error, zero as all were looked at."""
        n, m = self.sizes.astype(np.int64), self.gallery_sizes.astype(np.int64)
        within = int(self.same_pairs().sum())
        between = int(n.sum()) * int(m.sum()) - int(n @ m)
        return (self.satisfied[0] / max(within, 1), 0.0), (self.satisfied[1] / between, 0.0)


def _dense(values: ndarray | sparse.csr_array) -> ndarray:
    return values if isinstance(values, ndarray) else np.asarray(values.toarray())


def _of_class(values: ndarray | sparse.csr_array, rows: Rows) -> Float[ndarray, " m"]:
    """What each row has of its own class."""
    result = np.empty(len(rows.codes))
    for start in range(0, len(result), HELD):
        codes = rows.codes[start : start + HELD]
        result[start : start + HELD] = _dense(values[start : start + HELD])[np.arange(len(codes)), codes]
    return result


def _of_others(values: ndarray | sparse.csr_array, factors: Float[ndarray, " k"], rows: Rows) -> Float[ndarray, " m"]:
    """Weighted sum over the classes that are not the row's own."""
    result = np.empty(len(rows.codes))
    for start in range(0, len(result), HELD):
        some = slice(start, start + HELD)
        weighted = _dense(values[some]) * factors
        result[some] = weighted.sum(axis=1) - weighted[np.arange(len(weighted)), rows.codes[some]]
    return result


def _sum_classes(values: ndarray | sparse.csr_array, rows: Rows, of: np.ufunc) -> Float[ndarray, "k k"]:
    """Sum of a function of the values over the rows of each class."""
    result = np.empty((len(rows.sizes), values.shape[1]))
    for start in range(0, values.shape[1], HELD):
        some = slice(start, start + HELD)
        result[:, some] = class_sums(of(_dense(values[:, some])), rows.codes, len(rows.sizes))
    return result


def look_at_all_pairs(
    metric: MetricLike, rows: Rows, gallery: Rows | None = None, progress: Progress | None = None
) -> AllPairs:
    """Look at all pairs of the rows with each other, or with those of a gallery; on all cores, O(m·g·d)."""
    num_classes = len(rows.sizes)
    paired = gallery is None
    other = rows if gallery is None else gallery
    ordered, squares = np.zeros((2, num_classes, num_classes))
    queries = np.zeros((len(rows.codes), num_classes))
    items = queries if paired else np.zeros((len(other.codes), num_classes))
    within = between = 0

    def compute(tile: tuple[slice, slice]) -> _Tile:
        return _paired_tile(metric, rows, *tile) if paired else _gallery_tile(metric, rows, other, *tile)

    tiles = [(i, j) for i in _slices(rows) for j in _slices(other) if not paired or i.start <= j.start]
    tick = counter(progress, "comparing blocks of pairs", len(tiles))
    for (i, j), tile in zip(tiles, _map(compute, tiles), strict=True):
        first, second = tile.classes
        queries[i, second] += tile.rows
        ordered[first, second] += tile.forward
        squares[first, second] += tile.squares
        if not paired or i != j:
            items[j, first] += tile.columns.T
        if paired and i != j:
            ordered[second, first] += tile.backward.T
            squares[second, first] += tile.squares.T
        within, between = within + tile.satisfied[0], between + tile.satisfied[1]
        tick(1)
    spread = spread_of_units(metric, rows) if paired else None
    return AllPairs(rows, gallery, ordered, queries, items, squares, (within, between), spread)


def _slices(rows: Rows) -> list[slice]:
    return [slice(start, min(start + TILE, len(rows.codes))) for start in range(0, len(rows.codes), TILE)]


def _map(compute: Callable[[tuple[slice, slice]], _Tile], tiles: list[tuple[slice, slice]]) -> Iterator[_Tile]:
    if len(tiles) == 1:
        yield compute(tiles[0])
        return
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    # one thread a tile: BLAS threads beside these would take turns on the same cores
    with ThreadPoolExecutor(os.cpu_count()) as pool, threadpool_limits(1, user_api="blas"):
        # a few at a time, so that results do not pile up
        for start in range(0, len(tiles), 64):
            yield from pool.map(compute, tiles[start : start + 64])


@dataclass(frozen=True)
class _Tile:
    classes: tuple[slice, slice]
    rows: ndarray
    columns: ndarray
    forward: ndarray
    backward: ndarray
    squares: ndarray
    satisfied: tuple[int, int]


def _gallery_tile(metric: MetricLike, rows: Rows, gallery: Rows, i: slice, j: slice) -> _Tile:
    t = shrinkage(metric, rows.models[0][i], rows.old[i], gallery.old[j])
    apart = _in_tile(rows, i, gallery, j)
    t[apart] = 0.0
    (first, left), (second, right) = _indicator(rows, i, t.dtype), _indicator(gallery, j, t.dtype)
    by_class = t @ right
    within, between = _satisfied(t, rows.codes[i], gallery.codes[j])
    within -= len(apart[0])
    forward = left.T @ by_class
    return _Tile(
        (first, second), by_class, left.T @ t, forward, forward, left.T @ np.square(t) @ right, (within, between)
    )


def _paired_tile(metric: MetricLike, rows: Rows, i: slice, j: slice) -> _Tile:
    new, old = rows.models
    if i == j:
        forward = shrinkage(metric, new[i], old[i], old[j])
        backward = forward.T
    elif (distance := as_metric(metric)).linear is not None:
        forward = shrinkage(metric, new[i], old[i], old[j])
        backward = shrinkage(metric, new[j], old[j], old[i]).T
    else:
        # every product in one order, so that identical models give the very same numbers, and zero
        base = distance.of_cosine(old[i] @ old[j].T)
        forward = base - distance.of_cosine(new[i] @ old[j].T)
        backward = base - distance.of_cosine(old[i] @ new[j].T)
    apart = _in_tile(rows, i, None, j)
    forward[apart] = 0.0
    backward[apart] = 0.0
    (first, left), (second, right) = _indicator(rows, i, forward.dtype), _indicator(rows, j, forward.dtype)
    satisfied = np.array(_satisfied(forward, rows.codes[i], rows.codes[j]))
    if i != j:
        satisfied += _satisfied(backward, rows.codes[i], rows.codes[j])
    satisfied[0] -= len(apart[0]) * (1 if i == j else 2)
    h = 0.5 * (forward + backward)
    ordered = left.T @ forward @ right, left.T @ backward @ right
    within, between = (int(count) for count in satisfied)
    return _Tile((first, second), h @ right, left.T @ h, *ordered, left.T @ np.square(h) @ right, (within, between))


def _in_tile(rows: Rows, i: slice, gallery: Rows | None, j: slice) -> tuple[ndarray, ndarray]:
    """Return the pairs of a tile that never meet, counted from its corner."""
    query, item = never_met(rows, i, gallery)
    inside = (item >= j.start) & (item < j.stop)
    return query[inside], item[inside] - j.start


def _indicator(rows: Rows, some: slice, dtype: np.dtype) -> tuple[slice, ndarray]:
    """Which classes a slice of the rows spans, and (rows, classes) ones where a row has the class."""
    codes = rows.codes[some]
    classes = slice(int(codes[0]), int(codes[-1]) + 1)
    return classes, (codes[:, None] == np.arange(classes.start, classes.stop)).astype(dtype)


def _satisfied(t: ndarray, first: Int[ndarray, " m"], second: Int[ndarray, " g"]) -> tuple[int, int]:
    """Count t ≥ 0 within classes and t ≤ 0 between them; codes are sorted."""
    within, inside = 0, 0
    for c in np.intersect1d(first, second):
        block = t[slice(*np.searchsorted(first, (c, c + 1))), slice(*np.searchsorted(second, (c, c + 1)))]
        within += int(np.count_nonzero(block >= 0))
        inside += int(np.count_nonzero(block <= 0))
    return within, int(np.count_nonzero(t <= 0)) - inside

r"""The squared distance, from class sums: :math:`t_{ij} = 2 a_i·v_j` with a = u − v, so means over pairs are O(N·d).

The same statistics as :class:`verification.statistics.pairwise.AllPairs`. Means are over all pairs of the data; what
only pairs show (the second-order part of the variance, the share of pairs) is from a seeded sample of pairs of the kept
rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from verification.statistics.pairwise import spread_of_units
from verification.statistics.rows import Rows, stream
from verification.statistics.sums import ClassSums, class_sums
from verification.statistics.weights import Weights

SAMPLED_PAIRS = 2**14


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """Pairs of one class that never meet: how many of each class, and the sums of a_i·v_j and v_i·v_j over them."""

    pairs: Float[ndarray, " k"]
    products: Float[ndarray, " k"]
    old_products: Float[ndarray, " k"]

    @classmethod
    def of(cls, rows: Rows) -> LeftOut:
        """The pairs of rows of one unit, each row with itself among them, where all rows are here."""
        assert rows.units is not None
        order = np.argsort(rows.unit_codes, kind="stable")
        starts = np.searchsorted(rows.unit_codes[order], np.arange(len(rows.unit_classes)))
        shift, old = (np.add.reduceat(side[order], starts) for side in (rows.models[0] - rows.old, rows.old))
        sizes = np.diff(starts, append=len(order)).astype(np.float64)
        pairs, products, old_products = (
            np.bincount(rows.unit_classes, values, minlength=len(rows.sizes))
            for values in (sizes**2, np.vecdot(shift, old), np.vecdot(old, old))
        )
        return cls(pairs=pairs, products=products, old_products=old_products)

    def without_new(self) -> LeftOut:
        """The same pairs where the new model is the vector 0."""
        return replace(self, products=-self.old_products)


@dataclass(frozen=True, kw_only=True)
class LinearPairs:
    """Statistics of t, and of h = (t_ij + t_ji)/2, in the squared distance.

    Attributes
    ----------
    rows, gallery : Rows
        Rows kept of the queries and of the gallery; None where they are the same samples.
    sums : ClassSums
        Of (new − old, old) over all queries.
    gallery_sums : ClassSums
        Of (old,) over the gallery, or None.
    seed : int
        Of the sample of pairs.
    rounding : float
        A pair satisfies an inequality that it violates by no more than this.
    num_pairs : int
        Pairs in that sample, for each purpose.
    left_out : LeftOut, optional
        Without it, samples that are paired with each other do not meet themselves.
    """

    rows: Rows
    gallery: Rows | None
    sums: ClassSums
    gallery_sums: ClassSums | None
    seed: int
    rounding: float = 0.0
    num_pairs: int = SAMPLED_PAIRS
    left_out: LeftOut | None = None
    # means are of all the data
    uses_part = False

    @cached_property
    def _means(self) -> tuple[Float[ndarray, "k dim"], Float[ndarray, "k dim"]]:
        """Class means of the shift over the queries, and of the old features over the gallery."""
        return self.sums.means[0], (self.gallery_sums or self.sums).means[-1]

    @property
    def sizes(self) -> Int[ndarray, " k"]:
        """Queries of each class that went into the means."""
        return self.sums.counts

    @property
    def gallery_sizes(self) -> Int[ndarray, " k"]:
        """Gallery items of each class that went into the means."""
        return (self.gallery_sums or self.sums).counts

    def same_means(self) -> Float[ndarray, " k"]:
        """Mean of t over the pairs of each class."""
        shift, old = self._means
        n, m = np.maximum(self.sizes, 1.0), np.maximum(self.gallery_sizes, 1.0)
        # the pairs that do not meet taken out
        rest = np.maximum(n - self._left_out.pairs / m, 1.0 / m)
        return 2.0 * (n * np.vecdot(shift, old) - self._left_out.products / m) / rest

    @cached_property
    def _left_out(self) -> LeftOut:
        if self.left_out is not None:
            return self.left_out
        if self.gallery is None:
            sizes = self.sizes.astype(np.float64)
            return LeftOut(pairs=sizes, products=self.sums.own, old_products=sizes)
        nothing = np.zeros(len(self.sizes))
        return LeftOut(pairs=nothing, products=nothing, old_products=nothing)

    def same_pairs(self) -> Float[ndarray, " k"]:
        """Number of ordered pairs of each class."""
        return self.sizes * self.gallery_sizes.astype(np.float64) - self._left_out.pairs

    def met(self) -> tuple[Float[ndarray, " m"], ...]:
        """How many partners of its own class each query, or each query and each item, has."""
        other = self.gallery or self.rows
        if self.rows.units is None or other.units is None:
            alone = np.full(1, 1.0 if self.gallery is None else 0.0)
            own = [alone, alone]
        else:
            own = [_of_unit(rows, items, None) for rows, items in ((self.rows, other), (other, self.rows))]
        queries = self.gallery_sizes[self.rows.codes] - own[0]
        if self.gallery is None:
            return (queries,)
        return queries, self.sizes[self.gallery.codes] - own[1]

    def pair_means(self, classes: slice) -> Float[ndarray, "some k"]:
        """Mean of t for queries of some classes and gallery items of every class; of a class with itself, i = j too."""
        shift, old = self._means
        return 2.0 * shift[classes] @ old.T

    def class_means_between(self, classes: Int[ndarray, " c"]) -> tuple[Float[ndarray, " c"], Float[ndarray, " c"]]:
        """Mean of t over the other classes, each counting once: for queries of each class, and for its items."""
        shift, old = (means[classes] for means in self._means)
        every = np.ones(len(classes))
        others = 0.5 * max(len(classes) - 1.0, 1.0)
        return np.vecdot(shift, _of_others(old, every)) / others, np.vecdot(old, _of_others(shift, every)) / others

    def between(self, weights: Weights) -> float:
        """Mean of t over pairs of different classes."""
        shift, old = self._means
        return 2.0 * float(weights.query @ np.vecdot(shift, _of_others(old, weights.gallery)))

    @cached_property
    def _own_dots(self) -> tuple[Float[ndarray, " m"], Float[ndarray, " g"]]:
        """a_i with the mean item of its class, and each item with the mean a of its class."""
        shift, old = self._means
        return self.rows.dots("shift", old), (self.gallery or self.rows).dots("old", shift)

    def own(self) -> tuple[Float[ndarray, " m"], ...]:
        """For each row, the mean over its partners of its own class: h of samples, or t of queries and of items."""
        queries, items = self._own_dots
        other = self.gallery or self.rows
        units = self.rows.units is not None and other.units is not None
        if self.gallery is not None and not units:
            return 2.0 * queries, 2.0 * items
        m, n = self.gallery_sizes[self.rows.codes], self.sizes[other.codes]
        if units:  # of a query with the items of its unit, and of an item with the queries
            own = _of_unit(self.rows, other, "shift"), _of_unit(other, self.rows, "old")
        else:
            every = np.arange(len(m))
            own = (0.5 * self._pair(every, every),) * 2
        met = [np.maximum(number, 1.0) for number in self.met()]
        if self.gallery is None:
            return ((m * (queries + items) - own[0] - own[1]) / met[0],)
        return 2.0 * (m * queries - own[0]) / met[0], 2.0 * (n * items - own[1]) / met[1]

    def others(self, weights: Weights) -> tuple[Float[ndarray, " m"], ...]:
        """For each row, its weighted mean over partners of other classes, times the weight of its class."""
        shift, old = self._means
        own_queries, own_items = self._own_dots
        codes, item_codes = self.rows.codes, (self.gallery or self.rows).codes
        # all classes together, less the own
        over_items = self.rows.dots("shift", weights.gallery @ old) - weights.gallery[codes] * own_queries
        over_queries = (self.gallery or self.rows).dots("old", weights.query @ shift)
        over_queries -= weights.query[item_codes] * own_items
        queries = 2.0 * weights.query[codes] * over_items
        items = 2.0 * weights.gallery[item_codes] * over_queries
        return (queries + items,) if self.gallery is None else (queries, items)

    def same_spread(self) -> Float[ndarray, " k"]:
        """Variance of h within the pairs of each class; of what only pairs show in t, for a gallery."""
        rng = stream(self.seed, "pairs of a class")
        classes, i, j = self._same_pairs(rng)
        num = np.bincount(classes, minlength=len(self.sizes))
        if self.gallery is None:
            squares = (0.5 * (self._pair(i, j) + self._pair(j, i)) - self.same_means()[classes]) ** 2
        else:
            squares = self._centred(i, j) ** 2
        return np.bincount(classes, squares, minlength=len(self.sizes)) / np.maximum(num, 1)

    @property
    def unit_spread(self) -> Float[ndarray, " k"] | None:
        """See :func:`verification.statistics.pairwise.spread_of_units`."""
        return spread_of_units("sqeuclidean", self.rows) if self.gallery is None else None

    def between_spread(self, weights: Weights) -> float:
        """Variance, in the mean over pairs of different classes, of what only pairs show."""
        rng = stream(self.seed, "pairs of classes")
        factors = weights.pair_factors(self.sizes, self.gallery_sizes)
        starts = self.rows.starts, (self.gallery or self.rows).starts
        drawn = []
        for factor, first in zip(factors, starts, strict=True):
            # classes as often as their pairs weigh, so that no pair weighs more than another
            chances = np.where(np.diff(first) > 1, factor, 0.0)
            if not np.any(chances):
                return np.inf
            classes = rng.choice(len(chances), size=self.num_pairs, p=chances / chances.sum())
            drawn.append((classes, first[classes] + rng.integers(np.diff(first)[classes])))
        (y, i), (z, j) = drawn
        i, j = i[y != z], j[y != z]
        if not len(i):
            return np.inf
        paired = 2.0 if self.gallery is None else 1.0
        total = float(factors[0].sum() * factors[1].sum() - factors[0] @ factors[1])
        return paired * total * float(np.mean(self._centred(i, j) ** 2))

    def fractions(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Share of pairs that satisfy 1a and 1b, each with its standard error."""
        rng = stream(self.seed, "share of pairs")
        classes, i, j = self._same_pairs(rng)
        shares = Weights.of("pairs", self.sizes, self.gallery_sizes, self.same_pairs()).same
        num = np.maximum(np.bincount(classes, minlength=len(shares)), 1)
        hits = np.bincount(classes, self._pair(i, j) >= -self.rounding, minlength=len(shares)) / num
        within = float(shares @ hits), float(np.sqrt(np.sum(shares**2 * hits * (1.0 - hits) / num)))

        y, z = (
            rng.choice(len(sizes), size=self.num_pairs, p=sizes / sizes.sum())
            for sizes in (self.sizes, self.gallery_sizes)
        )
        y, z = y[y != z], z[y != z]
        i = self._draw(self.rows, y, rng)
        j = self._draw(self.gallery or self.rows, z, rng)
        share = float(np.mean(self._pair(i, j) <= self.rounding))
        return within, (share, float(np.sqrt(share * (1.0 - share) / len(i))))

    @staticmethod
    def _draw(rows: Rows, classes: Int[ndarray, " p"], rng: np.random.Generator) -> Int[ndarray, " p"]:
        return rows.starts[classes] + rng.integers(rows.counts[classes])

    def _same_pairs(self, rng: np.random.Generator) -> tuple[ndarray, ndarray, ndarray]:
        """The same number of pairs of every class: classes, queries, items."""
        num, other = self.rows.counts, (self.gallery or self.rows).counts
        usable = np.flatnonzero((num > 1) if self.gallery is None else (num > 0) & (other > 0))
        each = max(self.num_pairs // len(usable), min(64, 4 * self.num_pairs // len(usable)), 2)
        classes = np.repeat(usable, each)
        first = rng.integers(num[classes])
        query = self.rows.starts[classes] + first
        if self.gallery is not None:
            item = self._draw(self.gallery, classes, rng)
        else:
            item = self.rows.starts[classes] + (first + rng.integers(1, num[classes])) % num[classes]
        units, others = self.rows.units, (self.gallery or self.rows).units
        if units is None or others is None:
            return classes, query, item
        meet = units[query] != others[item]
        return classes[meet], query[meet], item[meet]

    def _pair(self, i: Int[ndarray, " p"], j: Int[ndarray, " p"]) -> Float[ndarray, " p"]:
        """t_ij."""
        new, old = self.rows.models
        items = (self.gallery or self.rows).old
        values = np.empty(len(i))
        for some in _pieces(i, new):
            query = i[some]
            values[some] = 2.0 * np.vecdot(new[query] - old[query], items[j[some]])
        return values

    def _centred(self, i: Int[ndarray, " p"], j: Int[ndarray, " p"]) -> Float[ndarray, " p"]:
        """t, or h, less its class means over either sample; its square is unbiased."""
        new, old = self.rows.models
        other = self.gallery or self.rows
        num, many = self.rows.counts, other.counts
        kind = self.rows.old.dtype
        (shift_means, old_means), item_means = self.rows.sums.means.astype(kind), other.sums.means[-1].astype(kind)
        values = np.empty(len(i))
        for some in _pieces(i, new):
            a, b, y, z = i[some], j[some], self.rows.codes[i[some]], other.codes[j[some]]
            value = 2.0 * np.vecdot(new[a] - old[a] - shift_means[y], other.old[b] - item_means[z])
            if self.gallery is None:
                back = np.vecdot(new[b] - old[b] - shift_means[z], old[a] - old_means[y])
                value = 0.5 * value + back
            values[some] = value * np.sqrt(num[y] * many[z] / np.maximum((num[y] - 1.0) * (many[z] - 1.0), 1.0))
        return values


def _of_unit(rows: Rows, others: Rows, which: Literal["shift", "old"] | None) -> Float[ndarray, " m"]:
    """Product of each row, its shift or its old feature, with the sum over the others' rows of its unit.

    The sum is of old features for a shift, of shifts for an old feature; without ``which``, count the rows.
    """
    assert rows.units is not None
    assert others.units is not None
    units, codes = np.unique(others.units, return_inverse=True)
    place = np.minimum(np.searchsorted(units, rows.units), len(units) - 1)
    there = units[place] == rows.units
    if which is None:
        counted: ndarray = np.where(there, np.bincount(codes.ravel())[place], 0.0)
        return counted
    other = others.old if which == "shift" else others.models[0] - others.old
    mine = rows.models[0] - rows.old if which == "shift" else rows.old
    sums = class_sums(other, codes.ravel(), len(units))
    result: ndarray = np.where(there, np.vecdot(mine, sums[place]), 0.0)
    return result


def _pieces(pairs: Int[ndarray, " p"], rows: Float[ndarray, "m dim"]) -> Iterator[slice]:
    """Of so many rows that a few arrays of them stay in the cache."""
    step = max(16, 2**18 // rows[0].nbytes)
    return (slice(start, start + step) for start in range(0, len(pairs), step))


def _of_others(means: Float[ndarray, "k dim"], weights: Float[ndarray, " k"]) -> Float[ndarray, "k dim"]:
    """For each class, the weighted sum of the other classes' means."""
    weighted = weights[:, None] * means
    return weighted.sum(axis=0) - weighted

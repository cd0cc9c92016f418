r"""The squared distance, from class sums: :math:`t_{ij} = 2 a_i·v_j` with a = u − v, so means over pairs are O(N·d).

The same statistics as :class:`verification.statistics.pairwise.AllPairs`. Means are over all pairs of the data; what
only pairs show (the second-order part of the variance, the share of pairs) is from a seeded sample of pairs of the kept
rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from verification.statistics.rows import Rows, stream
from verification.statistics.sums import ClassSums
from verification.statistics.weights import Weights

SAMPLED_PAIRS = 2**14


@dataclass(frozen=True)
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
    """

    rows: Rows
    gallery: Rows | None
    sums: ClassSums
    gallery_sums: ClassSums | None
    seed: int
    rounding: float = 0.0
    num_pairs: int = SAMPLED_PAIRS
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
        if self.gallery is not None:
            return 2.0 * np.vecdot(shift, old)
        n = np.maximum(self.sizes, 1.0)
        # the pairs i = j taken out
        return 2.0 * (n * np.vecdot(shift, old) - self.sums.own / n) / np.maximum(n - 1.0, 1.0)

    def pair_means(self, classes: slice) -> Float[ndarray, "some k"]:
        """Mean of t for queries of some classes and gallery items of every class; of a class with itself, i = j too."""
        shift, old = self._means
        return 2.0 * shift[classes] @ old.T

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
        if self.gallery is not None:
            return 2.0 * queries, 2.0 * items
        n = self.sizes[self.rows.codes]
        every = np.arange(len(n))
        itself = self._pair(every, every)
        return ((n * (queries + items) - itself) / np.maximum(n - 1.0, 1.0),)

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
        shares = Weights.of("pairs", self.sizes, None if self.gallery is None else self.gallery_sizes).same
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
        if self.gallery is not None:
            return classes, self.rows.starts[classes] + first, self._draw(self.gallery, classes, rng)
        second = (first + rng.integers(1, num[classes])) % num[classes]
        return classes, self.rows.starts[classes] + first, self.rows.starts[classes] + second

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


def _pieces(pairs: Int[ndarray, " p"], rows: Float[ndarray, "m dim"]) -> Iterator[slice]:
    """Of so many rows that a few arrays of them stay in the cache."""
    step = max(16, 2**18 // rows[0].nbytes)
    return (slice(start, start + step) for start in range(0, len(pairs), step))


def _of_others(means: Float[ndarray, "k dim"], weights: Float[ndarray, " k"]) -> Float[ndarray, "k dim"]:
    """For each class, the weighted sum of the other classes' means."""
    weighted = weights[:, None] * means
    return weighted.sum(axis=0) - weighted

"""Which pairs an accept threshold lets through: histograms of similarities, and how counts of pairs vary by sample.

Rows are read against all items, a block at a time: unit rows by their cosine, or rows as they are by their dot product
or Euclidean distance, brought to [−1, 1]. A first pass bins these places of old and of new queries with old items; a
second one counts, for chosen thresholds, the kernel :math:`b[u_i·v_j ≥ τ'] − a[v_i·v_j ≥ τ]`, as the
statistics of an audit (:mod:`verification.statistics.pairwise`) whose "distance" is a step: its mean over pairs of one
class is a change of the true accept rate, over pairs of different classes of the false accept rate, and the unit of its
variance is the sample.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy import sparse

from verification.search.similarity import SimilarityName
from verification.statistics.pairwise import AllPairs
from verification.statistics.rows import Rows, never_met

BINS = 2**16  # of [-1, 1]
_PAIRS = 2**18  # looked at at a time
_KEPT = 2**20  # at most, of all blocks: 24 MB


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """``new_weight·[u·v ≥ new_threshold] − old_weight·[v·v' ≥ old_threshold]``."""

    old_threshold: float
    new_threshold: float
    old_weight: float = 1.0
    new_weight: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Places:
    """A block of queries with all items: of old and of new queries, and of the same pairs with the roles exchanged.

    ``apart`` are the pairs that never meet: queries counted from the start of the block, and items.
    """

    rows: slice
    old: Float[ndarray, "b g"]
    new: Float[ndarray, "b g"]
    back: Float[ndarray, "b g"] | None
    apart: tuple[Int[ndarray, " p"], Int[ndarray, " p"]]


@dataclass(frozen=True)
class Histogram:
    """Numbers of pairs from a place in [−1, 1] upwards.

    Attributes
    ----------
    counts : ndarray, shape (2, 2, BINS)
        Counts for old and new queries, of different and the same class.
    """

    counts: Int[ndarray, "2 2 bins"]

    def pairs(self, same: int) -> int:
        """Ordered pairs of different (0) or one (1) class."""
        return int(self.counts[0, same].sum())

    @cached_property
    def rates(self) -> Float[ndarray, "2 2 bins"]:
        """Share of the pairs at or above each bin's lower edge, falling; indexed as the counts."""
        pairs = np.maximum(self.counts[0].sum(axis=-1), 1)
        return np.cumsum(self.counts[..., ::-1], axis=-1)[..., ::-1] / pairs[:, None]

    def threshold(self, model: int, rate: float) -> float:
        """The least edge at which no more than this share of pairs of different classes is accepted."""
        at = int(np.searchsorted(-self.rates[model, 0], -rate * (1.0 + 1e-12)))
        return edge(at)

    def rate(self, model: int, same: int, threshold: float) -> float:
        """Share of the pairs that are accepted at a threshold, which lies at an edge."""
        at = round((threshold + 1.0) * BINS / 2.0)
        return float(self.rates[model, same, at]) if at < BINS else 0.0


def edge(at: int) -> float:
    """Lower edge of a bin."""
    return 2.0 * at / BINS - 1.0


@dataclass(frozen=True, kw_only=True)
class Compared:
    """Queries and items, and the similarity by which a pair is accepted.

    A pair has a *place* in [−1, 1], the higher the more similar: with L the length of the longest row, its cosine, its
    dot product over L², or 1 − D/L for the Euclidean distance D; for the Hamming distance H of d signs 1 − 2H/d.

    Attributes
    ----------
    rows : Rows
        Sorted by class; unit rows for the cosine, else rows as they are.
    gallery : Rows or None
        None where queries are compared with each other.
    similarity : {"cosine", "dot", "l2", "hamming"}
    """

    rows: Rows
    gallery: Rows | None
    similarity: SimilarityName = "cosine"

    @property
    def items(self) -> Rows:
        """What queries are compared with."""
        return self.rows if self.gallery is None else self.gallery

    @cached_property
    def _longest(self) -> float:
        return max(float(np.sqrt(np.vecdot(some, some).max())) for some in (self.rows.models, self.items.models))

    def place(self, threshold: float) -> float:
        """Return where a threshold lies, which is given in the unit of the similarity."""
        if self.similarity == "cosine":
            return threshold
        if self.similarity == "hamming":
            dim = self.rows.old.shape[1]
            return (dim - 2.0 * threshold) / dim  # rounded as the places of pairs are
        longest = self._longest
        return threshold / longest**2 if self.similarity == "dot" else 1.0 - threshold / longest

    def threshold(self, place: float) -> float:
        """Return the threshold that lies at a place."""
        if self.similarity == "cosine":
            return place
        if self.similarity == "hamming":
            return float(np.floor(self.rows.old.shape[1] * (1.0 - place) / 2.0))  # of whole bits
        longest = self._longest
        return place * longest**2 if self.similarity == "dot" else (1.0 - place) * longest

    def _places(self, queries: Float[ndarray, "b dim"], items: Float[ndarray, "dim g"]) -> Float[ndarray, "b g"]:
        products = queries @ items
        if self.similarity == "cosine":
            return products
        if self.similarity == "hamming":
            return products / len(items)
        longest = self._longest
        if self.similarity == "dot":
            return products / longest**2
        squares = np.vecdot(queries, queries)[:, None] + np.sum(items * items, axis=0)
        return 1.0 - np.sqrt(np.maximum(squares - 2.0 * products, 0.0)) / longest

    def blocks(self) -> Iterable[Places]:
        """All pairs, a block of queries at a time; each model in its own space where its rows meet each other only."""
        # few pairs are looked at several times, and computed once
        return self._kept if len(self.rows.old) * len(self.items.old) <= _KEPT else self._blocks()

    @cached_property
    def _kept(self) -> Sequence[Places]:
        return tuple(self._blocks())

    def _blocks(self) -> Iterator[Places]:
        new, old = self.rows.models
        own = self.rows.own
        # copies, because NumPy multiplies a matrix by its own transpose differently, to other roundings
        items = self.items.old.copy().T
        theirs = self.items.models[0].copy().T if own else items
        step = max(1, _PAIRS // items.shape[1])
        back = new.copy().T if self.gallery is None and not own else None
        for start in range(0, len(old), step):
            some = slice(start, min(start + step, len(old)))
            yield Places(
                rows=some,
                old=self._places(old[some], items),
                new=self._places(new[some], theirs),
                back=None if back is None else self._places(old[some], back),
                apart=never_met(self.rows, some, self.gallery),
            )


def histogram(compared: Compared) -> Histogram:
    """Bin the places of all pairs."""
    counts = np.zeros((2, 2, BINS), dtype=np.int64)
    rows, codes = compared.rows, compared.items.codes
    for block in compared.blocks():
        same = rows.codes[block.rows, None] == codes
        for model, values in enumerate((block.old, block.new)):
            bins = _bins(values)
            bins[block.apart] = BINS  # a bin of its own, that is dropped
            for kind, chosen in enumerate((~same, same)):
                counts[model, kind] += np.bincount(bins[chosen], minlength=BINS + 1)[:BINS]
    return Histogram(counts)


def _bins(values: ndarray) -> ndarray:
    # an edge belongs to the bin above it, and so does what lies a rounding of 1 below the edge
    return np.clip(np.floor((values + 1.0) * (BINS / 2.0)), 0, BINS - 1).astype(np.int32)


@dataclass(frozen=True)
class Tallies:
    """Accepted pairs of each sample at rising thresholds, of one model.

    Attributes
    ----------
    queries, items : ndarray, shape (2, n, T), (2, g, T)
        Pairs of different and of one class, by query and by item.
    """

    queries: Float[ndarray, "2 n t"]
    items: Float[ndarray, "2 g t"]


def count(compared: Compared, kernel: Kernel) -> tuple[AllPairs, tuple[int, int]]:
    """Statistics of a kernel, and the ordered pairs of different and of one class that it tells apart.

    Rows are sorted by class.
    """
    rows, items, gallery = compared.rows, compared.items, compared.gallery
    sums = _Sums(rows, items, kernel, gallery is None)
    for block in compared.blocks():
        same = rows.codes[block.rows, None] == items.codes
        sums.add(block, same)
    return sums.statistics(gallery), sums.told_apart


def tally(compared: Compared, curves: Sequence[Float[ndarray, " _"]]) -> list[Tallies]:
    """Accepted pairs of each sample at the rising thresholds of old and of new queries."""
    rows, items = compared.rows, compared.items
    tallies = [
        (np.zeros((2, len(rows.codes), len(some) + 1)), np.zeros((2, len(items.codes), len(some) + 1)))
        for some in curves
    ]
    for block in compared.blocks():
        same = rows.codes[block.rows, None] == items.codes
        for values, thresholds, (by_query, by_item) in zip((block.old, block.new), curves, tallies, strict=True):
            _tally(values, thresholds, same, block, by_query, by_item)
    # from the bins between thresholds to the pairs at or above each
    return [Tallies(*(np.cumsum(part[..., ::-1], axis=-1)[..., ::-1][..., 1:] for part in both)) for both in tallies]


def _tally(
    values: ndarray, thresholds: ndarray, same: ndarray, block: Places, by_query: ndarray, by_item: ndarray
) -> None:
    level = np.searchsorted(thresholds, values.ravel(), side="right").reshape(values.shape)
    level[block.apart] = 0  # below every threshold
    size, width = len(thresholds) + 1, values.shape[1]
    kind = same.astype(np.intp)
    height = len(values)
    at = (kind * height + np.arange(height)[:, None]) * size + level
    by_query[:, block.rows] += np.bincount(at.ravel(), minlength=2 * height * size).reshape(2, height, size)
    at = (kind * width + np.arange(width)) * size + level
    by_item += np.bincount(at.ravel(), minlength=2 * width * size).reshape(2, width, size)


class _Sums:
    """The sums of one kernel, by class, as an audit's statistics hold them."""

    def __init__(self, rows: Rows, items: Rows, kernel: Kernel, paired: bool) -> None:
        self.rows, self.items, self.kernel = rows, items, kernel
        num_classes = len(rows.sizes)
        self.ordered, self.squares = np.zeros((2, num_classes, num_classes))
        # a threshold accepts few pairs of different classes
        self.by_query: list[sparse.csr_array] = []
        self.by_item = None if paired else np.zeros((len(items.codes), num_classes))
        self.told_apart = (0, 0)

    def add(self, block: Places, same: ndarray) -> None:
        """Take in a block of queries."""
        some, kernel = block.rows, self.kernel
        before = kernel.old_weight * (block.old >= kernel.old_threshold)
        t = kernel.new_weight * (block.new >= kernel.new_threshold) - before
        t[block.apart] = 0.0
        h = t
        if block.back is not None:
            h = 0.5 * (t + kernel.new_weight * (block.back >= kernel.new_threshold) - before)
            h[block.apart] = 0.0
        apart = t != 0.0
        within = int(np.count_nonzero(apart & same))
        self.told_apart = self.told_apart[0] + int(np.count_nonzero(apart)) - within, self.told_apart[1] + within
        self.by_query.append(sparse.csr_array(_by_item_class(h, self.items)))
        codes = self.rows.codes[some]
        np.add.at(self.ordered, codes, _by_item_class(t, self.items))
        np.add.at(self.squares, codes, _by_item_class(np.square(h), self.items))
        if self.by_item is not None:
            classes, starts = np.unique(codes, return_index=True)
            self.by_item[:, classes] += np.add.reduceat(t, starts, axis=0).T

    def statistics(self, gallery: Rows | None) -> AllPairs:
        """What was summed."""
        by_query = sparse.vstack(self.by_query, format="csr")
        by_item = by_query if self.by_item is None else self.by_item
        return AllPairs(self.rows, gallery, self.ordered, by_query, by_item, self.squares, (0, 0))


def _by_item_class(values: ndarray, items: Rows) -> ndarray:
    """Sum over the items of each class; a class without items has 0."""
    present = np.flatnonzero(items.counts)
    result = np.zeros((len(values), len(items.counts)))
    result[:, present] = np.add.reduceat(values, items.starts[present], axis=1)
    return result

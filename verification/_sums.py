"""One pass over the data: per-class sums of unit rows, which merge, and a seeded sample of rows kept on the way.

Sums are all that a mean gap in the squared distance needs (first-moment identity); kept rows tell its variance, and
everything for distances that sums cannot tell. Rows to keep are chosen by index beforehand, so the data is read once,
in order. Parts of it may be read anywhere: where they begin and in what order they merge is fixed by the data, so the
result is the same bit by bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy import sparse

from verification._shards import Piece
from verification.features import FeatureSet, normalized_blocks

# as the builtin ``map``: results of a function of each item, in order
Map = Callable[..., Iterable[Any]]

BLOCK_ROWS = 8192
# of a part, which is read as a whole by one process
PART_ROWS = 2**15
# up to this many numbers, data is normalised in float64 whatever its dtype; beyond, float32 input stays float32
SMALL = 2**22
# float32 additions one after the other before a float64 takes over: rounding stays at 64·2^-24 of a term
RUN = 64


class ClassSums:
    """Sums over samples, by class, of one or two models' rows; sums of parts of the data merge to those of the whole.

    Attributes
    ----------
    counts : ndarray of int, shape (K,)
    sums : ndarray, shape (models, K, d), float64
    own : ndarray, shape (K,)
        Sum over samples of the product of the first model's row with the last one's.
    """

    def __init__(self, models: int, num_classes: int, dim: int) -> None:
        self.counts = np.zeros(num_classes, dtype=np.int64)
        self.sums = np.zeros((models, num_classes, dim))
        self.own = np.zeros(num_classes)

    def add(self, codes: Int[ndarray, " n"], *models: Float[ndarray, "n dim"]) -> ClassSums:
        """Take in samples: their classes and their rows under each model."""
        num_classes = len(self.counts)
        counts = np.bincount(codes, minlength=num_classes)
        present = np.flatnonzero(counts)
        # a class of many rows in this block is summed in several runs, so that float32 rounding does not add up
        runs = int(min(-(-counts.max() // RUN), max(1, len(codes) // len(present))))
        position = np.zeros(num_classes, dtype=np.intp)
        position[present] = runs * np.arange(len(present))
        target = position[codes] + np.arange(len(codes)) % runs
        shape = (runs * len(present), len(codes))
        for total, rows in zip(self.sums, models, strict=True):
            ones = np.ones(len(codes), dtype=rows.dtype)
            block = sparse.csc_array((ones, target, np.arange(len(codes) + 1)), shape=shape) @ rows
            if runs > 1:
                block = block.reshape(len(present), runs, -1).sum(axis=1, dtype=np.float64)
            total[present] += block
        self.counts += counts
        self.own += np.bincount(codes, np.vecdot(models[0], models[-1]), minlength=num_classes)
        return self

    def merge(self, other: ClassSums, classes: Int[ndarray, " some"] | slice = slice(None)) -> ClassSums:
        """Take in the sums of another part of the data, whose classes are the given ones here."""
        self.counts[classes] += other.counts
        for total, part in zip(self.sums, other.sums, strict=True):
            total[classes] += part
        self.own[classes] += other.own
        return self

    @property
    def means(self) -> Float[ndarray, "models k dim"]:
        """Class means; 0 for a class without samples."""
        return self.sums / np.maximum(self.counts, 1)[:, None]


def class_sums(rows: Float[ndarray, "n dim"], codes: Int[ndarray, " n"], num_classes: int) -> Float[ndarray, "k dim"]:
    """Sum of the rows of each class, shape (num_classes, d), float64."""
    return ClassSums(1, num_classes, rows.shape[1]).add(codes, rows).sums[0]


@dataclass(frozen=True)
class Rows:
    """Unit rows kept in memory, sorted by class.

    Attributes
    ----------
    models : tuple of ndarray, shape (m, d)
        (new, old) of the samples, or (old,) of a gallery.
    codes : ndarray of int, shape (m,)
        Sorted.
    sizes : ndarray of int, shape (K,)
        Samples of each class in the data, of which these rows are a random part, or all.
    """

    models: tuple[Float[ndarray, "m dim"], ...]
    codes: Int[ndarray, " m"]
    sizes: Int[ndarray, " k"]

    @property
    def old(self) -> Float[ndarray, "m dim"]:
        """The old model's rows."""
        return self.models[-1]

    @cached_property
    def counts(self) -> Int[ndarray, " k"]:
        """Rows of each class here."""
        return np.bincount(self.codes, minlength=len(self.sizes))

    @cached_property
    def starts(self) -> Int[ndarray, " k+1"]:
        """Where each class begins, and the end."""
        return np.concatenate([[0], np.cumsum(self.counts)])

    @cached_property
    def sums(self) -> ClassSums:
        """Sums by class over the rows here: of (new − old, old), or of (old,)."""
        sums = ClassSums(len(self.models), len(self.sizes), self.old.shape[1])
        for start in range(0, len(self.codes), BLOCK_ROWS):
            some = slice(start, start + BLOCK_ROWS)
            sums.add(self.codes[some], *_shifted([rows[some] for rows in self.models]))
        return sums

    def dots(
        self, which: Literal["shift", "new", "old"], vectors: Float[ndarray, "k dim"] | Float[ndarray, " dim"]
    ) -> Float[ndarray, " m"]:
        """Product of each row, new, old or new − old, with the vector of its class, or with the one vector for all."""
        result = np.empty(len(self.codes))
        vectors = vectors.astype(self.old.dtype, copy=False)
        for start in range(0, len(result), 512):  # in the cache
            some = slice(start, start + 512)
            rows = self.models[-1 if which == "old" else 0][some]
            rows = rows - self.old[some] if which == "shift" else rows
            result[some] = np.vecdot(rows, vectors if vectors.ndim == 1 else vectors[self.codes[some]])
        return result


_Part = tuple[ndarray, ClassSums, list[ndarray]]


def stream(seed: int, name: str) -> np.random.Generator:
    """Return a generator of our own: a user who drew the data from ``default_rng(seed)`` gets other numbers here."""
    return np.random.default_rng([seed, *name.encode()])


def choose_rows(
    codes: Int[ndarray, " n"], sizes: Int[ndarray, " k"], budget: int, rng: np.random.Generator
) -> Int[ndarray, " m"]:
    """Sorted indices of about ``budget`` random rows, each class in proportion but eight at least, or all it has."""
    if len(codes) <= budget:
        return np.arange(len(codes))
    quota = np.maximum(np.minimum(sizes, 8), sizes * budget // len(codes))
    # one sort by class, at random within each
    order = np.argsort(codes + rng.random(len(codes)))
    rank = np.arange(len(codes)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.sort(order[rank < np.repeat(quota, sizes)])


def collect(
    sets: Sequence[FeatureSet],
    codes: Int[ndarray, " n"],
    sizes: Int[ndarray, " k"],
    keep: Int[ndarray, " m"],
    run: Map = map,
) -> tuple[ClassSums, Rows]:
    """Read the samples once: sums by class, and the rows to keep.

    Parameters
    ----------
    sets : (new, old) or (old,)
        The same samples, row by row. Sums are of (new − old, old), or of (old,).
    codes, sizes : ndarray
        Class of each row, and how many rows each class has.
    keep : ndarray of int
        Sorted indices.
    run : callable
        As ``map``; what it is given to call and its arguments can be pickled.
    """
    by_class = np.argsort(codes[keep], kind="stable")
    place = np.empty_like(by_class)
    place[by_class] = np.arange(len(keep))
    sums = ClassSums(len(sets), len(sizes), sets[0].dim)
    kept: list[ndarray] = []
    low = 0
    for classes, part, some in _parts(sets, codes, len(sizes), keep, run):
        kept = kept or [np.empty((len(keep), rows.shape[1]), rows.dtype) for rows in some]
        sums.merge(part, classes)
        high = low + len(some[0])
        for rows, new in zip(kept, some, strict=True):
            rows[place[low:high]] = new
        low = high
    return sums, Rows(tuple(kept), codes[keep][by_class], sizes)


def _parts(sets: Sequence[FeatureSet], codes: ndarray, num_classes: int, keep: ndarray, run: Map) -> Iterable[_Part]:
    if codes.size * sets[0].dim <= SMALL:
        return [_sum_blocks([tuple(features.unit for features in sets)], codes, keep)]
    cuts = [0]
    while cuts[-1] < len(codes):
        cuts.append(_next_cut(sets, min(cuts[-1] + PART_ROWS, len(codes))))
    spans = list(pairwise(cuts))
    ends = np.searchsorted(keep, cuts)
    pieces = ([features.pieces(*span) for features in sets] for span in spans)
    # in few bytes, to be sent
    classes = (codes[start:stop].astype(np.min_scalar_type(num_classes)) for start, stop in spans)
    chosen = (
        (keep[low:high] - start).astype(np.int32) for (low, high), start in zip(pairwise(ends), cuts, strict=False)
    )
    return run(_read_part, pieces, classes, chosen)


def _next_cut(sets: Sequence[FeatureSet], row: int) -> int:
    """First row, from ``row`` on, at which every set can begin to be read."""
    while (later := max(features.beginning(row) for features in sets)) > row:
        row = later
    return row


def _read_part(pieces: Sequence[Sequence[Piece]], codes: Int[ndarray, " n"], keep: Int[ndarray, " m"]) -> _Part:
    return _sum_blocks(zip(*(normalized_blocks(some, BLOCK_ROWS) for some in pieces), strict=True), codes, keep)


def _sum_blocks(blocks: Iterable[tuple[ndarray, ...]], codes: Int[ndarray, " n"], keep: Int[ndarray, " m"]) -> _Part:
    """Classes that are there, the sums of each, and the rows to keep, in order."""
    classes, codes = np.unique(codes, return_inverse=True)
    kept: list[ndarray] = []
    sums: ClassSums | None = None
    start = 0
    for models in blocks:
        dim = models[0].shape[1]
        sums = sums or ClassSums(len(models), len(classes), dim)
        kept = kept or [np.empty((len(keep), dim), dtype=rows.dtype) for rows in models]
        stop = start + len(models[0])
        low, high = np.searchsorted(keep, (start, stop))
        for some, rows in zip(kept, models, strict=True):
            some[low:high] = rows[keep[low:high] - start]
        sums.add(codes[start:stop], *_shifted(models))
        start = stop
    assert sums is not None  # a part has rows
    return classes, sums, kept


def _shifted(models: Sequence[ndarray]) -> Sequence[ndarray]:
    """(new − old, old) from (new, old); the old features alone as they are."""
    return (models[0] - models[1], models[1]) if len(models) == 2 else models

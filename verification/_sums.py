"""One pass over the data: per-class sums of unit rows, which merge, and a seeded sample of rows kept on the way.

Sums are all that a mean gap in the squared distance needs (first-moment identity); kept rows tell its variance, and
everything for distances that sums cannot tell. Rows to keep are chosen by index beforehand, so the data is read once,
in order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy import sparse

from verification.features import FeatureSet

BLOCK_ROWS = 8192
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

    def merge(self, other: ClassSums) -> ClassSums:
        """Return the sums over both parts of the data."""
        whole = ClassSums(*self.sums.shape)
        whole.counts = self.counts + other.counts
        whole.sums = self.sums + other.sums
        whole.own = self.own + other.own
        return whole

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
    sets: Sequence[FeatureSet], codes: Int[ndarray, " n"], sizes: Int[ndarray, " k"], keep: Int[ndarray, " m"]
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
    """
    dim = sets[0].dim
    sums = ClassSums(len(sets), len(sizes), dim)
    by_class = np.argsort(codes[keep], kind="stable")
    place = np.empty_like(by_class)
    place[by_class] = np.arange(len(keep))
    kept: list[ndarray] = []
    start = 0
    for blocks in zip(*map(_unit_blocks, sets), strict=True):
        kept = kept or [np.empty((len(keep), dim), dtype=block.dtype) for block in blocks]
        stop = start + len(blocks[0])
        low, high = np.searchsorted(keep, (start, stop))
        for rows, block in zip(kept, blocks, strict=True):
            rows[place[low:high]] = block[keep[low:high] - start]
        sums.add(codes[start:stop], *_shifted(blocks))
        start = stop
    return sums, Rows(tuple(kept), codes[keep][by_class], sizes)


def _shifted(models: Sequence[ndarray]) -> Sequence[ndarray]:
    """(new − old, old) from (new, old); the old features alone as they are."""
    return (models[0] - models[1], models[1]) if len(models) == 2 else models


def _unit_blocks(features: FeatureSet) -> Iterator[ndarray]:
    if len(features) * features.dim <= SMALL:
        return iter((features.unit,))
    return features.normalized_blocks(BLOCK_ROWS)

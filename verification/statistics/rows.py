"""Rows kept in memory, chosen at random by class: what sums cannot tell of the data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from verification.statistics.sums import ClassSums


@dataclass(frozen=True)
class Rows:
    """Unit rows kept in memory, sorted by class.

    Attributes
    ----------
    models : ndarray, shape (models, m, d)
        (new, old) of the samples, or (old,) of a gallery.
    codes : ndarray of int, shape (m,)
        Sorted.
    sizes : ndarray of int, shape (K,)
        Samples of each class in the data, of which these rows are a random part, or all.
    """

    models: Float[ndarray, "models m dim"]
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
        return ClassSums(len(self.models), len(self.sizes), self.old.shape[1]).add(self.codes, self.models)

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
    # by class, at random within each; few bytes are sorted faster
    order = rng.permutation(len(codes))
    order = order[np.argsort(codes[order].astype(np.min_scalar_type(len(sizes))), kind="stable")]
    rank = np.arange(len(codes)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.sort(order[rank < np.repeat(quota, sizes)])

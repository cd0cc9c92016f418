"""Rows kept in memory, chosen at random by class: what sums cannot tell of the data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from jaxtyping import Float, Int, Shaped
from numpy import ndarray

from verification.statistics.sums import ClassSums


@dataclass(frozen=True, kw_only=True)
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
    index : ndarray of int, shape (m,), or None
        Where each row stands in the data.
    units : ndarray of int, shape (m,), or None
        Rows of one unit never meet, and what a unit contributes is what varies; None where each row is its own unit.
    own : bool
        Whether new rows meet new rows, as those of a compressed copy do, and not old ones.
    """

    models: Float[ndarray, "models m dim"]
    codes: Int[ndarray, " m"]
    sizes: Int[ndarray, " k"]
    index: Int[ndarray, " m"] | None = None
    units: Int[ndarray, " m"] | None = None
    own: bool = False

    @property
    def old(self) -> Float[ndarray, "m dim"]:
        """The old model's rows."""
        return self.models[-1]

    @cached_property
    def counts(self) -> Int[ndarray, " k"]:
        """Rows of each class here."""
        return np.bincount(self.codes, minlength=len(self.sizes))

    @cached_property
    def starts(self) -> Int[ndarray, " bounds"]:
        """Where each class begins, and the end."""
        return np.concatenate([[0], np.cumsum(self.counts)])

    @cached_property
    def sums(self) -> ClassSums:
        """Sums by class over the rows here: of (new − old, old), or of (old,)."""
        return ClassSums(len(self.models), len(self.sizes), self.old.shape[1]).add(self.codes, self.models)

    @cached_property
    def unit_codes(self) -> Int[ndarray, " m"]:
        """Each row's unit, 0 … U−1, numbered in the order of the rows' classes."""
        if self.units is None:
            return np.arange(len(self.codes))
        return np.unique(self.units, return_inverse=True)[1].ravel()

    @cached_property
    def unit_counts(self) -> Int[ndarray, " k"]:
        """Units of each class here."""
        return np.bincount(self.unit_classes, minlength=len(self.sizes))

    @cached_property
    def unit_classes(self) -> Int[ndarray, " u"]:
        """The class of each unit, all of whose rows are of one class."""
        if self.units is None:
            return self.codes
        return self.codes[np.unique(self.unit_codes, return_index=True)[1]]

    @cached_property
    def unit_shares(self) -> Float[ndarray, " u"]:
        """Share of the rows of its class that a unit has, in (0, 1]."""
        return np.bincount(self.unit_codes) / self.counts[self.unit_classes]

    @cached_property
    def effective_units(self) -> Float[ndarray, " k"]:
        """Units of one size that would tell as much as those of a class: 1 over the sum of the squared shares."""
        squares = np.bincount(self.unit_classes, self.unit_shares**2, minlength=len(self.sizes))
        return np.divide(1.0, squares, out=np.zeros(len(squares)), where=squares > 0.0)

    @cached_property
    def by_unit(self) -> tuple[Int[ndarray, " m"], Int[ndarray, " m"]]:
        """Units in rising order, and the position of the row of each."""
        assert self.units is not None
        order = np.argsort(self.units, kind="stable")
        return self.units[order], order

    def some(self, positions: Int[ndarray, " p"], sizes: Int[ndarray, " k"] | None = None) -> Rows:
        """Return some of the rows, given by sorted positions; ``sizes`` of what they stand for, if not the same."""
        return Rows(
            models=self.models[:, positions],
            codes=self.codes[positions],
            sizes=self.sizes if sizes is None else sizes,
            index=None if self.index is None else self.index[positions],
            units=None if self.units is None else self.units[positions],
        )

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


def never_met(queries: Rows, some: slice, gallery: Rows | None) -> tuple[Int[ndarray, " p"], Int[ndarray, " p"]]:
    """Return the pairs of a slice of the queries, counted from its start, with items of their own unit.

    Without a gallery a query is an item too, and does not meet itself.
    """
    items = gallery or queries
    if queries.units is None or items.units is None:
        own = np.arange(some.start, some.stop) if gallery is None else np.arange(0)
        return own - some.start, own
    units, order = items.by_unit
    low, high = (np.searchsorted(units, queries.units[some], side) for side in ("left", "right"))
    count = high - low
    query = np.repeat(np.arange(len(count)), count)
    return query, order[np.repeat(low - np.cumsum(count) + count, count) + np.arange(count.sum())]


def stream(seed: int, name: str) -> np.random.Generator:
    """Return a generator of our own: a user who drew the data from ``default_rng(seed)`` gets other numbers here."""
    return np.random.default_rng([seed, *name.encode()])


def ranks_of(*ids: Shaped[ndarray, " n"] | None) -> Int[ndarray, " n"] | None:
    """Return the place of each row in the order in which rows are drawn, which is the order of their ids.

    So the rows that are drawn do not depend on where rows with ids stand, in which shard for instance.

    Parameters
    ----------
    *ids : ndarray, shape (n,), or None
        Of the same rows in several sets; the first ids that there are count.

    Returns
    -------
    ndarray or None
        None: rows are drawn as they stand, because they have no ids or stand in the order of these.
    """
    own = next((given for given in ids if given is not None), None)
    if own is None or np.all(own[:-1] <= own[1:]):
        return None
    ranks = np.empty(len(own), dtype=np.intp)
    ranks[np.argsort(own)] = np.arange(len(own))
    return ranks


def in_order(index: Int[ndarray, " m"], ranks: Int[ndarray, " n"] | None) -> Int[ndarray, " m"]:
    """Positions in ``index``, which has rows by where they stand, in the order in which rows are drawn."""
    return np.argsort(index if ranks is None else ranks[index], kind="stable")


def drawing_order(count: int, *ids: Shaped[ndarray, " n"] | None) -> Int[ndarray, " count"]:
    """Positions of all rows in the order in which they are drawn; ids as of :func:`ranks_of`."""
    return in_order(np.arange(count), ranks_of(*ids))


def choose_rows(
    codes: Int[ndarray, " n"], sizes: Int[ndarray, " k"], budget: int, rng: np.random.Generator
) -> Int[ndarray, " m"]:
    """Sorted indices of about ``budget`` random rows, each class in proportion but eight at least, or all it has."""
    if len(codes) <= budget:
        return np.arange(len(codes))
    quota = np.maximum(np.minimum(sizes, 8), sizes * budget // len(codes))
    return np.sort(draw_by_class(codes, quota, rng))


def draw_by_class(codes: Int[ndarray, " n"], quota: Int[ndarray, " k"], rng: np.random.Generator) -> Int[ndarray, " m"]:
    """Indices of random rows of each class, class by class: ``quota`` of them, or all."""
    order = rng.permutation(len(codes))
    # few bytes are sorted faster
    order = order[np.argsort(codes[order].astype(np.min_scalar_type(len(quota))), kind="stable")]
    counts = np.bincount(codes, minlength=len(quota))
    rank = np.arange(len(codes)) - np.repeat(np.cumsum(counts) - counts, counts)
    return order[rank < np.repeat(quota, counts)]


def choose_in_proportion(
    codes: Int[ndarray, " n"], sizes: Int[ndarray, " k"], budget: int, rng: np.random.Generator
) -> Int[ndarray, " m"]:
    """Sorted indices of about ``budget`` random rows, in which the classes have the shares of ``sizes``.

    Means over them are then means over what the sizes count: no class is given more, however small it is. Each class
    has its expected number, rounded up or down by one draw for all of them (systematic sampling).
    """
    if len(codes) <= budget and np.array_equal(np.bincount(codes, minlength=len(sizes)), sizes):
        return np.arange(len(codes))
    bounds = np.cumsum(sizes) * (min(budget, len(codes)) / sizes.sum()) + rng.random()
    quota = np.diff(np.floor(bounds), prepend=0.0).astype(np.intp)
    return np.sort(draw_by_class(codes, quota, rng))

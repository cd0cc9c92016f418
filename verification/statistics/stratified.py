"""A stratified random sample of rows, drawn from their labels and groups before any feature is read.

Each class has its share of the sample, and two units at least if it has them, because a class of one unit has no pairs.
A unit is a row, or a group of rows, of which all are taken or none. Where not even two units of each class fit, classes
are drawn first: a few whole comparisons say more than many classes of one row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Int
from numpy import ndarray

from verification.statistics.rows import draw_by_class, in_order, stream

# units that a class has at least, if it has them
LEAST = 2


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What was drawn, of what.

    Attributes
    ----------
    rows, of : int
        Queries that were drawn, and those that there are.
    gallery_rows, gallery_of : int or None
        Likewise of the gallery; None where there is none. Where relevance was judged, the gallery is not sampled.
    classes, classes_of : int
        Classes in the sample, and those that there are.
    by : {"group", "class", "row"}
        What the sample is stratified by; a group is taken whole.
    seed : int
    """

    rows: int
    of: int
    gallery_rows: int | None
    gallery_of: int | None
    classes: int
    classes_of: int
    by: str
    seed: int

    @property
    def short(self) -> str:
        """The sample in a few words."""
        return f"a sample of {self.rows:,} of {self.of:,} rows"

    @property
    def sentence(self) -> str:
        """What a reader has to know of the sample."""
        how = {"group": "by whole groups within classes", "class": "by class", "row": "uniformly"}[self.by]
        parts = [f"This is {self.short}, drawn {how} with seed {self.seed}."]
        if self.classes < self.classes_of:
            parts.append(
                f"It holds {self.classes:,} of the {self.classes_of:,} classes, drawn at random, because two rows of "
                "each do not fit; for the others the verdict for new classes counts (--classes drawn)."
            )
        if self.gallery_rows is not None and self.gallery_of is not None:
            parts.append(
                f"Of the gallery, {self.gallery_rows:,} of {self.gallery_of:,} items are searched."
                if self.gallery_rows < self.gallery_of
                else "The gallery is searched whole."
            )
        if self.gallery_rows is None or self.gallery_rows != self.gallery_of:
            parts.append("With fewer items to confuse, recall is higher than among all items.")
        return " ".join(parts)


def check_sample(num_rows: int | None) -> None:
    """Raise ValueError unless a sample of so many rows can be drawn: two rows of two classes, at least."""
    if num_rows is not None and not (
        isinstance(num_rows, int | np.integer) and not isinstance(num_rows, bool) and num_rows >= 2 * LEAST
    ):
        raise ValueError(f"sample must be an integer >= {2 * LEAST}, got {num_rows!r}.")


@dataclass(frozen=True, kw_only=True)
class Side:
    """What is sampled: the queries, or a gallery.

    Attributes
    ----------
    name : str
        Each side has random numbers of its own.
    strata : ndarray of int, shape (n,)
        Number of each row's stratum; −1 for a row that is not drawn.
    units : ndarray of int, shape (n,), or None
        Rows of one unit are of one stratum, and all of them are drawn or none. None: each row is a unit.
    ranks : ndarray of int, shape (n,), or None
        Place of each row in the order in which rows are drawn. None: as they stand.
    """

    name: str
    strata: Int[ndarray, " n"]
    units: Int[ndarray, " n"] | None
    ranks: Int[ndarray, " n"] | None = None

    @property
    def rows(self) -> int:
        """Rows that can be drawn."""
        return int(np.count_nonzero(self.strata >= 0))

    def _numbered(self) -> tuple[Int[ndarray, " m"], Int[ndarray, " m"], Int[ndarray, " u"]]:
        """Rows that can be drawn, the unit of each, counted from 0, and the stratum of each unit."""
        valid = np.flatnonzero(self.strata >= 0)
        valid = valid[in_order(valid, self.ranks)]
        own = np.arange(len(valid)) if self.units is None else np.unique(self.units[valid], return_inverse=True)[1]
        of_unit = np.zeros(int(own.max(initial=-1)) + 1, dtype=np.intp)
        of_unit[own] = self.strata[valid]
        return valid, own.ravel(), of_unit

    def least(self, num_classes: int) -> Int[ndarray, " k"]:
        """Rows that two units of each class have, about; those of one, where it has no more."""
        valid, _, of_unit = self._numbered()
        units = np.bincount(of_unit, minlength=num_classes)[:num_classes]
        rows = np.bincount(self.strata[valid], minlength=num_classes)[:num_classes]
        return -(-rows * np.minimum(units, LEAST) // np.maximum(units, 1))

    def draw(self, num_rows: int, classes: Bool[ndarray, " k"], seed: int) -> Int[ndarray, " m"]:
        """Return sorted rows of some classes: ``num_rows`` of them, or all; about as many in units of several rows."""
        keep = np.append(classes, True)  # rows of no class are a stratum of their own, the last
        side = replace(self, strata=np.where((self.strata >= 0) & keep[self.strata], self.strata, -1))
        valid, own, of_unit = side._numbered()
        if len(valid) <= num_rows:
            return np.sort(valid)
        rng = stream(seed, f"sample of the {self.name}")
        sizes = np.bincount(of_unit)
        quota = _quotas(sizes, max(num_rows * len(of_unit) // len(valid), 1))
        taken = np.zeros(len(of_unit), dtype=bool)
        taken[draw_by_class(of_unit, quota, rng)] = True
        return np.sort(valid[taken[own]])


def draw_classes(sides: Sequence[Side], num_classes: int, num_rows: int, seed: int) -> Bool[ndarray, " k"]:
    """Return the classes that a sample has: all, or as many random ones as two units of each fit on every side.

    Raises
    ------
    ValueError
        If two units of not even two classes fit.
    """
    order = stream(seed, "sample of the classes").permutation(num_classes)
    needed = np.max([np.cumsum(side.least(num_classes)[order]) for side in sides], axis=0)
    if num_classes > 1 and needed[1] > num_rows:
        raise ValueError(f"sample must be larger: two groups of two classes have {needed[1]:,} rows, got {num_rows:,}.")
    chosen = np.zeros(num_classes, dtype=bool)
    chosen[order[needed <= num_rows]] = True
    return chosen


def _quotas(sizes: Int[ndarray, " k"], budget: int) -> Int[ndarray, " k"]:
    """Units of each stratum: in proportion, two at least or all that it has, and ``budget`` in all where that fits."""
    least = np.minimum(sizes, LEAST)
    free = np.ones(len(sizes), dtype=bool)
    while True:  # strata whose share is below the least get that, and the others share the rest
        rest, rows = budget - int(least[~free].sum()), int(sizes[free].sum())
        share = np.where(free, sizes * max(rest, 0) / max(rows, 1), least)
        short = free & (share < least)
        if not np.any(short):
            break
        free &= ~short
    quota = np.maximum(np.floor(share).astype(np.int64), least)
    # what rounding left over goes to the largest remainders
    more = min(budget, int(sizes.sum())) - int(quota.sum())
    if more > 0:
        some = np.argsort(-np.where(quota < sizes, share - quota, -np.inf), kind="stable")[:more]
        quota[some] += 1
    return np.minimum(quota, sizes)

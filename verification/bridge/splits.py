"""Three disjoint parts of the samples, to fit maps, choose one and audit it; and classes that are kept from the fit.

Parts are drawn by sample within each class, or by group where rows have groups: shots of one object stay together. A
file of any size gives a seeded part of its rows, which are all that is held in memory.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from verification.features import FeatureSet, common_codes
from verification.statistics.rows import choose_rows, drawing_order, stream

# numbers of one model's rows in each part
PART = 2**23
# of a class, for one in each part to be paired with another
FEWEST = 6
# of the classes; of two nothing can be said of new classes, as 1b then has no spread
HELD_OUT, FEWEST_HELD_OUT = 1.0 / 3.0, 3


@dataclass(frozen=True)
class Part:
    """Unit rows of the same samples by both models.

    Attributes
    ----------
    new, old : ndarray, shape (n, d_new) and (n, d_old), float64
    codes : ndarray of int, shape (n,)
        Classes 0 … K−1 of the whole data.
    stored : float
        Unit roundoff of the dtype in which the rows came.
    units : ndarray of int, shape (n,), or None
        Rows of one unit, a group of one class, never meet; None where each row is its own.
    """

    new: Float[ndarray, "n d_new"]
    old: Float[ndarray, "n d_old"]
    codes: Int[ndarray, " n"]
    stored: float
    units: Int[ndarray, " n"] | None = None

    def of(self, classes: Int[ndarray, " some"]) -> Part:
        """The samples of some classes."""
        return self.rows(np.flatnonzero(np.isin(self.codes, classes)))

    def without(self, classes: Int[ndarray, " some"]) -> Part:
        """The samples of the other classes."""
        return self.rows(np.flatnonzero(~np.isin(self.codes, classes)))

    def rows(self, rows: Int[ndarray, " m"]) -> Part:
        """Some samples."""
        units = None if self.units is None else self.units[rows]
        return Part(self.new[rows], self.old[rows], self.codes[rows], self.stored, units)


@dataclass(frozen=True)
class Splits:
    """Parts to fit, choose and audit, and the classes that a second fit does without (none: too few classes)."""

    fit: Part
    choice: Part
    audit: Part
    held_out: Int[ndarray, " some"]


def split(new: FeatureSet, old: FeatureSet, seed: int, hold_out: bool = True) -> Splits:
    """Draw the three parts and the held-out classes.

    Parameters
    ----------
    new, old : FeatureSet
        The same samples, row by row, with equal labels.
    seed : int
    hold_out : bool
        Whether to keep classes from a second fit, where there are classes enough.

    Raises
    ------
    ValueError
        Unless two classes have samples enough to be paired in each part.
    """
    codes = old.codes
    units = _units(codes, old.groups if old.groups is not None else new.groups)
    sizes = np.bincount(codes)
    firsts = np.arange(len(codes)) if units is None else np.unique(units, return_index=True)[1]
    independent = np.bincount(codes[firsts], minlength=len(sizes))
    enough = np.flatnonzero(independent >= FEWEST)
    if len(enough) < 2:
        what = "samples" if units is None else "groups"
        raise ValueError(
            f"three splits need at least two classes with {FEWEST} {what} each, got {len(enough)} with as many; the "
            f"largest classes have {', '.join(str(size) for size in np.sort(independent)[::-1][:3])} {what}. Add "
            f"{what}, or name a label that more rows share, for example a category. Without labels (labels='', "
            "--labels '') a map is fitted and not judged."
        )
    rng, order = stream(seed, "bridge: splits"), drawing_order(len(codes), old.ids, new.ids)
    rows = order[choose_rows(codes[order], sizes, 3 * PART // max(new.dim, old.dim), rng)]
    read = Part(new.rows(rows), old.rows(rows), codes[rows], max(new.roundoff, old.roundoff))
    if units is None:
        part = _deal(read.codes, rng)
    else:
        read = replace(read, units=units[rows])
        _, first, own = np.unique(units[rows], return_index=True, return_inverse=True)
        part = _deal(read.codes[first], rng)[own.ravel()]
    fit, choice, audit = (read.rows(np.flatnonzero(part == p)) for p in range(3))
    held_out = np.sort(rng.permutation(enough)[: max(FEWEST_HELD_OUT, round(HELD_OUT * len(enough)))])
    # a fit to fewer than two classes would be held against the map
    if not hold_out or len(enough) - len(held_out) < 2:
        held_out = enough[:0]
    return Splits(fit, choice, audit, held_out)


def split_pairs(new: FeatureSet, old: FeatureSet, seed: int) -> tuple[Part, Part]:
    """Draw a part to fit maps, two thirds of the rows, and one to choose, without labels.

    Raises
    ------
    ValueError
        If there are fewer than six rows.
    """
    if len(old) < FEWEST:
        raise ValueError(f"a fit and a choice need at least {FEWEST} rows, got {len(old)}.")
    rng, order = stream(seed, "bridge: pairs"), drawing_order(len(old), old.ids, new.ids)
    rows = rng.permutation(len(old))[: 3 * PART // max(new.dim, old.dim)]
    fit, choice = (order[np.sort(rows[some])] for some in (slice(len(rows) // 3, None), slice(len(rows) // 3)))
    stored = max(new.roundoff, old.roundoff)
    first, second = (
        Part(new.rows(some), old.rows(some), np.zeros(len(some), dtype=np.intp), stored) for some in (fit, choice)
    )
    return first, second


def _units(codes: Int[ndarray, " n"], groups: ndarray | None) -> Int[ndarray, " n"] | None:
    """Number the groups of each class; None without groups."""
    if groups is None:
        return None
    return common_codes(groups, what="groups")[1] * (int(codes.max()) + 1) + codes


def _deal(codes: Int[ndarray, " n"], rng: np.random.Generator) -> Int[ndarray, " n"]:
    """0, 1 or 2 for each row: within a class as often, what does not divide by three to 0."""
    order = np.argsort(codes + rng.random(len(codes)))
    sizes = np.bincount(codes)
    rank = np.arange(len(codes)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    third = np.repeat(sizes // 3, sizes)
    part = np.empty(len(codes), dtype=np.intp)
    part[order] = np.where(rank < third, 1, np.where(rank < 2 * third, 2, 0))
    return part

"""Three disjoint parts of the samples, to fit maps, choose one and audit it; and classes that are kept from the fit.

Parts are drawn by sample within each class. A file of any size gives a seeded part of its rows, which are all that is
held in memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from verification.features import FeatureSet
from verification.statistics.rows import choose_rows, stream

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
    """

    new: Float[ndarray, "n d_new"]
    old: Float[ndarray, "n d_old"]
    codes: Int[ndarray, " n"]
    stored: float

    def of(self, classes: Int[ndarray, " some"]) -> Part:
        """The samples of some classes."""
        return self.rows(np.flatnonzero(np.isin(self.codes, classes)))

    def without(self, classes: Int[ndarray, " some"]) -> Part:
        """The samples of the other classes."""
        return self.rows(np.flatnonzero(~np.isin(self.codes, classes)))

    def rows(self, rows: Int[ndarray, " m"]) -> Part:
        """Some samples."""
        return Part(self.new[rows], self.old[rows], self.codes[rows], self.stored)


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
    sizes = np.bincount(codes)
    enough = np.flatnonzero(sizes >= FEWEST)
    if len(enough) < 2:
        raise ValueError(
            f"three splits need at least two classes with {FEWEST} samples each, got {len(enough)} with as many; the "
            f"largest classes have {', '.join(str(size) for size in np.sort(sizes)[::-1][:3])} samples."
        )
    rng = stream(seed, "bridge: splits")
    rows = choose_rows(codes, sizes, 3 * PART // max(new.dim, old.dim), rng)
    part = _deal(codes[rows], rng)
    read_new, read_old = (features.rows(rows) for features in (new, old))
    stored = max(new.roundoff, old.roundoff)
    fit, choice, audit = (
        Part(read_new[part == p], read_old[part == p], codes[rows[part == p]], stored) for p in range(3)
    )
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
    rng = stream(seed, "bridge: pairs")
    rows = rng.permutation(len(old))[: 3 * PART // max(new.dim, old.dim)]
    fit, choice = (np.sort(rows[some]) for some in (slice(len(rows) // 3, None), slice(len(rows) // 3)))
    stored = max(new.roundoff, old.roundoff)
    first, second = (
        Part(new.rows(some), old.rows(some), np.zeros(len(some), dtype=np.intp), stored) for some in (fit, choice)
    )
    return first, second


def _deal(codes: Int[ndarray, " n"], rng: np.random.Generator) -> Int[ndarray, " n"]:
    """0, 1 or 2 for each row: within a class as often, what does not divide by three to 0."""
    order = np.argsort(codes + rng.random(len(codes)))
    sizes = np.bincount(codes)
    rank = np.arange(len(codes)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    third = np.repeat(sizes // 3, sizes)
    part = np.empty(len(codes), dtype=np.intp)
    part[order] = np.where(rank < third, 1, np.where(rank < 2 * third, 2, 0))
    return part

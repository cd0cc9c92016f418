"""The margin: how much loss is accepted, in units of the distance or as a share of what the old model tells apart.

The old model's contrast is its mean distance between different classes less that within a class. It is estimated from
the same samples: a margin that is a share of it has a standard error, which is added to that of the gap (the standard
error of a sum is at most the sum of the two, however they depend on each other), so verdicts stay calibrated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from verification.statistics.gaps import estimate, pairs_that_meet, part_of
from verification.statistics.linear import LeftOut, LinearPairs
from verification.statistics.pairwise import look_at_all_pairs
from verification.statistics.protocol import Statistics
from verification.statistics.rows import Rows, stream
from verification.statistics.sums import ClassSums
from verification.statistics.variance import Estimate
from verification.statistics.weights import Weights

# rows whose pairs tell the contrast, in distances that sums cannot tell
CONTRAST_ROWS = 4096
# rows that tell its error, where sums tell it: to half a per cent of itself
ERROR_ROWS = 2**14


def number_of(given: float | str) -> tuple[float, bool]:
    """Return a number, and whether it was given in per cent, as "5%" is for 0.05.

    Raises
    ------
    TypeError, ValueError
        If it is no number.
    """
    if isinstance(given, str) and (text := given.strip()).endswith("%"):
        return float(text.removesuffix("%")) / 100.0, True
    return float(given), False


@dataclass(frozen=True)
class Margin:
    """An accepted loss as it was given: an amount, or a share of something that is measured.

    Attributes
    ----------
    amount : float
        ≥ 0.
    share : bool
        Whether the amount is a share, as "5%" is one of 0.05.
    """

    amount: float
    share: bool = False

    @classmethod
    def parse(cls, margin: float | str, name: str = "margin") -> Margin:
        """Read a number, or a string with a per cent sign.

        Raises
        ------
        ValueError
            If it is not a finite number ≥ 0, perhaps with a per cent sign.
        """
        try:
            amount, share = number_of(margin)
        except (TypeError, ValueError):
            amount, share = math.nan, False
        if not (amount >= 0.0 and math.isfinite(amount)):
            raise ValueError(f"{name} must be a finite number >= 0, or a percentage such as '5%', got {margin!r}.")
        return cls(amount, share)

    @classmethod
    def parse_share(cls, margin: float | str, name: str) -> float:
        """Read the loss of a share, such as a recall, whose whole is 1: "1%" and 0.01 are the same.

        Raises
        ------
        ValueError
            As :meth:`parse`, and for 1 or more, which would accept everything.
        """
        found = cls.parse(margin, name).amount
        if found >= 1.0:
            meant = f"; {found:g}% was meant?" if not str(margin).strip().endswith("%") and found < 100.0 else "."
            raise ValueError(f"{name} must be below 1, which accepts everything, got {margin!r}{meant}")
        return found


def check_margin(margin: Margin, contrast: float) -> None:
    """Raise ValueError if a margin accepts everything that there is to lose."""
    if margin.share and margin.amount >= 1.0:
        raise ValueError(f"margin must be below 100% of the old model's contrast, got {margin.amount:.0%}.")
    if not margin.share and margin.amount > 0.0 and margin.amount >= contrast > 0.0:
        raise ValueError(
            f"margin must be below the old model's contrast, {contrast:.4g}, which is all that there is to lose, got "
            f"{margin.amount:g}; as a share of it write {margin.amount:g}%."
        )


def old_contrast(
    source: Statistics, metric: str, weights: str, seed: int, left_out: LeftOut | None = None, with_error: bool = True
) -> Estimate:
    """Contrast of the old model in the pairs that an audit looks at; its error costs as much as that of a gap.

    The gaps of a model that is at one distance from everything, the vector 0, are the old model's own distances.
    """
    items = source.gallery
    # sums tell the value without rows
    rows = source.rows
    if with_error and rows.units is None and isinstance(source, LinearPairs):  # its error is as well known from a part
        rows = part_of(rows, ERROR_ROWS, stream(seed, "contrast"))
    rows = _without_new(rows) if with_error or metric != "sqeuclidean" else rows
    if metric == "sqeuclidean":
        linear = source if isinstance(source, LinearPairs) else None
        old = source.rows.sums if linear is None else linear.sums
        sums = ClassSums(2, *old.sums.shape[1:])
        sums.counts, sums.own = old.counts, -old.counts.astype(np.float64)
        sums.sums[:] = -old.sums[1], old.sums[1]
        item_sums = None if items is None else (items.sums if linear is None else linear.gallery_sums)
        blank: Statistics = LinearPairs(
            rows=rows,
            gallery=items,
            sums=sums,
            gallery_sums=item_sums,
            seed=seed,
            left_out=None if left_out is None else left_out.without_new(),
        )
    else:
        rng = stream(seed, "contrast")
        some = None if items is None else part_of(items, CONTRAST_ROWS, rng)
        blank = look_at_all_pairs(metric, part_of(rows, CONTRAST_ROWS, rng), some)
    if not with_error:
        sizes, item_sizes = blank.rows.sizes, None if blank.gallery is None else blank.gallery.sizes
        counted = Weights.of(weights, sizes, item_sizes, pairs_that_meet(blank))
        value = blank.between(counted) - float(counted.same @ blank.same_means())
        return Estimate(value=value, standard_error=math.nan, freedom=math.inf)
    same, different = (side.fixed for side in estimate(blank, (weights,))[0][weights].sides)
    return Estimate(
        value=-(same.value + different.value),
        standard_error=same.standard_error + different.standard_error,
        freedom=min(same.freedom, different.freedom),
    )


def _without_new(rows: Rows) -> Rows:
    return Rows(
        models=np.stack([np.zeros_like(rows.old), rows.old]), codes=rows.codes, sizes=rows.sizes, units=rows.units
    )

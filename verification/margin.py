"""The margin: how much loss is accepted, in units of the distance or as a share of what the old model tells apart.

The old model's contrast is its mean distance between different classes less that within a class. It is estimated from
the same samples: a margin that is a share of it has a standard error, which is added to that of the gap (the standard
error of a sum is at most the sum of the two, however they depend on each other), so verdicts stay calibrated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from verification.inequalities import Statistics, estimate
from verification.statistics.linear import LinearPairs
from verification.statistics.pairwise import look_at_all_pairs
from verification.statistics.rows import Rows, choose_rows, stream
from verification.statistics.sums import ClassSums
from verification.statistics.weights import Weights

# rows whose pairs tell the contrast, in distances that sums cannot tell
CONTRAST_ROWS = 4096


@dataclass(frozen=True)
class Contrast:
    """Mean distance between different classes less that within a class, both by the old model, and its error."""

    value: float
    standard_error: float


def parse_margin(margin: float | str, name: str = "margin") -> tuple[float, bool]:
    """Return the amount and whether it is a share, as '5%' is: of 0.05.

    Raises
    ------
    ValueError
        If it is not a finite number ≥ 0, perhaps with a per cent sign.
    """
    text = margin.strip() if isinstance(margin, str) else margin
    share = isinstance(text, str) and text.endswith("%")
    try:
        amount = float(text.removesuffix("%")) / 100.0 if isinstance(text, str) and share else float(text)
    except (TypeError, ValueError):
        amount = math.nan
    if not (amount >= 0.0 and math.isfinite(amount)):
        raise ValueError(f"{name} must be a finite number >= 0, or a percentage such as '5%', got {margin!r}.")
    return amount, share


def old_contrast(source: Statistics, metric: str, weights: str, seed: int, with_error: bool = True) -> Contrast:
    """Contrast of the old model in the pairs that an audit looks at; its error costs as much as that of a gap.

    The gaps of a model that is at one distance from everything, the vector 0, are the old model's own distances.
    """
    items = source.gallery
    # sums tell the value without rows
    rows = _without_new(source.rows) if with_error or metric != "sqeuclidean" else source.rows
    if metric == "sqeuclidean":
        old = source.sums if isinstance(source, LinearPairs) else source.rows.sums
        sums = ClassSums(2, *old.sums.shape[1:])
        sums.counts, sums.own = old.counts, -old.counts.astype(np.float64)
        sums.sums[:] = -old.sums[1], old.sums[1]
        item_sums = None if items is None else (source.gallery_sums if isinstance(source, LinearPairs) else items.sums)
        blank: Statistics = LinearPairs(rows, items, sums, item_sums, seed)
    else:
        rng = stream(seed, "contrast")
        blank = look_at_all_pairs(metric, _part(rows, rng), None if items is None else _part(items, rng))
    if not with_error:
        sizes, item_sizes = blank.rows.sizes, None if blank.gallery is None else blank.gallery.sizes
        counted = Weights.of(weights, sizes, item_sizes)
        return Contrast(blank.between(counted) - float(counted.same @ blank.same_means()), math.nan)
    same, different = estimate(blank)[0][weights]
    return Contrast(-(same.gap + different.gap), same.standard_error + different.standard_error)


def _without_new(rows: Rows) -> Rows:
    return Rows(np.stack([np.zeros_like(rows.old), rows.old]), rows.codes, rows.sizes)


def _part(rows: Rows, rng: np.random.Generator) -> Rows:
    keep = choose_rows(rows.codes, rows.counts, CONTRAST_ROWS, rng)
    return Rows(rows.models[:, keep], rows.codes[keep], rows.sizes)

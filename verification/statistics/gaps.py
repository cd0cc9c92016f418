r"""Both sides of Definition 1 (paper, Eq. 1a and 1b) from samples: mean gaps and their variance.

With t_ij = d(v_i, v_j) − d(u_i, v_j), u new and v old unit features, the gap of 1a is the mean of t over pairs of one
class, that of 1b minus its mean over pairs of different classes. For ``sqeuclidean`` these means follow from class sums
in O(N·d) (first-moment identity, the pairs i = j taken out); for other distances from all pairs of the samples, or of a
seeded part of them.

How they vary is in :mod:`verification.statistics.variance`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from learning.progress import Progress
from theory.metrics import MetricLike, as_metric
from verification.statistics.linear import LeftOut, LinearPairs
from verification.statistics.pairwise import look_at_all_pairs
from verification.statistics.protocol import Statistics
from verification.statistics.rows import Rows, choose_rows, stream
from verification.statistics.sums import ClassSums
from verification.statistics.variance import (
    ClassEstimates,
    Estimate,
    SameClass,
    between_parts,
    contrast_error,
    drawn_estimates,
    summed_error,
)
from verification.statistics.weights import WEIGHTINGS, Weights

# sqeuclidean: all pairs while N²·d stays below this (about a second), else a seeded sample of them
ALL_PAIRS_BUDGET = 3e8
# other distances: all pairs of at most this many rows, and N²·d below that; some ten seconds on two cores
MOST_ROWS, MOST_WORK = 20_000, 2.1e11


@dataclass(frozen=True, kw_only=True)
class SideEstimate:
    """One side of Definition 1, estimated; positive = compatible, in units of the distance.

    Attributes
    ----------
    fixed : Estimate
        Weighted mean over ordered pairs, for new samples of these classes.
    drawn : Estimate
        Every class counting once, for new classes like these.
    num_pairs : int
        Ordered pairs of the side in the data.
    pair_fraction : float
        Share of the ordered pairs that satisfy the inequality; equality counts.
    pair_fraction_error : float
        Standard error from looking at a sample of the pairs only; 0 when all were looked at.
    """

    fixed: Estimate
    drawn: Estimate
    num_pairs: int
    pair_fraction: float
    pair_fraction_error: float

    def times(self, scale: float) -> SideEstimate:
        """Return the estimate in another unit."""
        return replace(self, fixed=self.fixed.times(scale), drawn=self.drawn.times(scale))


@dataclass(frozen=True, kw_only=True)
class Gaps:
    """Both sides of Definition 1 and their sum, the contrast gap, in one weighting."""

    same_class: SideEstimate
    different_class: SideEstimate
    contrast: Estimate
    contrast_drawn: Estimate

    @property
    def sides(self) -> tuple[SideEstimate, SideEstimate]:
        """1a and 1b."""
        return self.same_class, self.different_class


class Read(Protocol):
    """What has been read of the data; see :class:`verification.upgrade.Reading`."""

    @property
    def rows(self) -> Rows: ...
    @property
    def gallery(self) -> Rows | None: ...
    @property
    def sums(self) -> ClassSums: ...
    @property
    def gallery_sums(self) -> ClassSums | None: ...
    @property
    def left_out(self) -> LeftOut | None: ...


def statistics(
    reading: Read, metric: MetricLike = "sqeuclidean", seed: int = 0, progress: Progress | None = None
) -> Statistics:
    """Statistics of t from what was read; where pairs are too many, of all sums or of a seeded part of the rows.

    Parameters
    ----------
    reading : Reading
    metric : str or Metric
        A multiple of the squared distance follows from sums; of others all pairs are looked at.
    seed : int
        Of the part of the rows, and of the pairs that are looked at.
    progress : callable, optional
        Told a stage, what is done of it and its total.
    """
    rows, items = reading.rows, reading.gallery
    dim = rows.old.shape[1]
    searched = rows if items is None else items
    linear = as_metric(metric).linear is not None
    work = float(rows.sizes.sum()) * float(searched.sizes.sum()) * dim
    if linear and work > ALL_PAIRS_BUDGET:
        return LinearPairs(
            rows=rows,
            gallery=items,
            sums=reading.sums,
            gallery_sums=reading.gallery_sums,
            seed=seed,
            left_out=reading.left_out,
        )
    most = min(MOST_ROWS, int(np.sqrt(MOST_WORK / dim)))
    if not linear:
        rng = stream(seed, "pairs")
        rows = part_of(rows, most, rng)
        items = None if items is None else part_of(items, most, rng)
    return look_at_all_pairs(metric, rows, items, progress)


def part_of(rows: Rows, budget: int, rng: np.random.Generator) -> Rows:
    """A random part of the rows, every class in proportion."""
    return rows.some(choose_rows(rows.codes, rows.counts, budget, rng)) if len(rows.codes) > budget else rows


def estimate(source: Statistics, weightings: Sequence[str] = WEIGHTINGS) -> tuple[dict[str, Gaps], ClassEstimates]:
    """Estimate both sides of Definition 1 in each weighting, and the same-class side of every class."""
    sizes = source.rows.sizes
    gallery_sizes = None if source.gallery is None else source.gallery.sizes
    items = sizes if gallery_sizes is None else gallery_sizes
    pairs = pairs_that_meet(source)
    within = round(float(pairs.sum()))
    between = int(sizes.sum()) * int(items.sum()) - int(sizes @ items)
    (same_share, same_error), (other_share, other_error) = source.fractions()
    same_class = SameClass.of(source)
    drawn = drawn_estimates(source)
    found = {}
    for weighting in weightings:
        weights = Weights.of(weighting, sizes, gallery_sizes, pairs)
        error, freedom, second = same_class.error(weights)
        same = SideEstimate(
            fixed=Estimate(
                value=float(weights.same @ same_class.means),
                standard_error=error,
                freedom=freedom,
                second_order=second,
            ),
            drawn=drawn[0],
            num_pairs=within,
            pair_fraction=same_share,
            pair_fraction_error=same_error,
        )
        parts = between_parts(source, weights)
        error, freedom = summed_error(parts)
        second = min(source.between_spread(weights), error**2) if np.isfinite(error) else 0.0
        different = SideEstimate(
            fixed=Estimate(value=-source.between(weights), standard_error=error, freedom=freedom, second_order=second),
            drawn=drawn[1],
            num_pairs=between,
            pair_fraction=other_share,
            pair_fraction_error=other_error,
        )
        error, freedom = contrast_error(same_class, parts, weights)
        contrast = Estimate(value=same.fixed.value + different.fixed.value, standard_error=error, freedom=freedom)
        found[weighting] = Gaps(same_class=same, different_class=different, contrast=contrast, contrast_drawn=drawn[2])
    return found, same_class.by_class()


def pairs_that_meet(source: Statistics) -> Float[ndarray, " k"]:
    """Ordered pairs of each class in the data, where only a part was looked at in the part's proportion."""
    n, m = source.rows.sizes.astype(np.float64), (source.gallery or source.rows).sizes.astype(np.float64)
    met = np.asarray(source.same_pairs(), dtype=np.float64)
    looked = source.sizes.astype(np.float64) * source.gallery_sizes
    if source.rows.units is None:  # each sample but itself
        return n * m - (n if source.gallery is None else 0.0)
    return n * m * met / np.maximum(looked, 1.0)

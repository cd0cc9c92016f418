r"""Both sides of Definition 1 (paper, Eq. 1a and 1b) from samples: mean gaps and their variance.

With t_ij = d(v_i, v_j) − d(u_i, v_j), u new and v old unit features, the gap of 1a is the mean of t over pairs of one
class, that of 1b minus its mean over pairs of different classes. For ``sqeuclidean`` these means follow from class sums
in O(N·d) (first-moment identity, the pairs i = j taken out); for other distances from all pairs of the samples, or of a
seeded part of them.

How they vary is in :mod:`verification.statistics.variance`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from verification.features import FeatureSet
from verification.statistics.collect import Map, collect
from verification.statistics.linear import LinearPairs
from verification.statistics.pairwise import look_at_all_pairs
from verification.statistics.progress import Progress, counter
from verification.statistics.protocol import Statistics
from verification.statistics.rows import Rows, choose_rows, stream
from verification.statistics.sums import ClassSums, class_sums
from verification.statistics.variance import ClassEstimates, SameClass, different_error
from verification.statistics.weights import WEIGHTINGS, Weights

__all__ = ["ClassEstimates", "SideEstimate", "Statistics", "class_sums", "estimate", "estimate_sides", "statistics"]

# sqeuclidean: all pairs while N²·d stays below this (about a second), else a seeded sample of them
ALL_PAIRS_BUDGET = 3e8
# other distances: all pairs of at most this many rows, and N²·d below that; some ten seconds on two cores
MOST_ROWS, MOST_WORK = 20_000, 2.1e11
# numbers kept of each model's rows, for the variance, where N·d is larger
KEPT = 2**24


@dataclass(frozen=True)
class SideEstimate:
    """One side of Definition 1, estimated.

    Attributes
    ----------
    gap : float
        Weighted mean over ordered pairs, positive = compatible, in units of the distance.
    standard_error : float
        Of the gap; infinity where the data cannot tell.
    degrees_of_freedom : float
        Of Student's t for its interval.
    second_order : float
        The part of the squared error that only pairs show; it falls with the square of the number of samples, the rest
        with the number.
    num_pairs : int
        Ordered pairs of the side in the data.
    pair_fraction : float
        Share of the ordered pairs that satisfy the inequality; equality counts.
    pair_fraction_error : float
        Standard error from looking at a sample of the pairs only; 0 when all were looked at.
    """

    gap: float
    standard_error: float
    degrees_of_freedom: float
    second_order: float
    num_pairs: int
    pair_fraction: float
    pair_fraction_error: float


def statistics(
    samples: tuple[FeatureSet, FeatureSet],
    codes: Int[ndarray, " n"],
    num_classes: int,
    gallery: tuple[FeatureSet, Int[ndarray, " g"]] | None = None,
    metric: str = "sqeuclidean",
    seed: int = 0,
    run: Map = map,
    progress: Progress | None = None,
) -> Statistics:
    """Read the data once, in blocks, for statistics of t; of a seeded part of it where all pairs would be too many.

    Parameters
    ----------
    samples : tuple of FeatureSet
        (new, old), row by row.
    codes : ndarray of int, shape (N,)
        Class of each sample.
    num_classes : int
        Of samples and gallery together.
    gallery : tuple, optional
        Old-model features of other samples, and their classes.
    metric : {"sqeuclidean", "euclidean", "angular"}
    seed : int
    run : callable
        As ``map``, by which parts of the data are read.
    progress : callable, optional
        Told a stage, what is done of it and its total.
    """
    rng = stream(seed, "rows")
    dim = samples[0].dim
    most = KEPT // dim if metric == "sqeuclidean" else min(MOST_ROWS, int(np.sqrt(MOST_WORK / dim)))

    tick = counter(progress, "reading rows", len(codes) + (0 if gallery is None else len(gallery[0])))

    def read(sets: Sequence[FeatureSet], classes: ndarray) -> tuple[ClassSums, Rows]:
        sizes = np.bincount(classes, minlength=num_classes)
        return collect(sets, classes, sizes, choose_rows(classes, sizes, most, rng), run, tick)

    sums, rows = read(samples, codes)
    item_sums, items = (None, None) if gallery is None else read(gallery[:1], gallery[1])
    work = float(len(codes)) * (len(codes) if gallery is None else len(gallery[0])) * dim
    if metric == "sqeuclidean" and work > ALL_PAIRS_BUDGET:
        return LinearPairs(rows, items, sums, item_sums, seed)
    return look_at_all_pairs(metric, rows, items, progress)


def estimate(source: Statistics) -> tuple[dict[str, tuple[SideEstimate, SideEstimate]], ClassEstimates]:
    """Estimate both sides of Definition 1 in both weightings, and the same-class side of every class."""
    sizes = source.rows.sizes
    gallery_sizes = None if source.gallery is None else source.gallery.sizes
    items = sizes if gallery_sizes is None else gallery_sizes
    within = int(sizes @ items) - (int(sizes.sum()) if gallery_sizes is None else 0)
    between = int(sizes.sum()) * int(items.sum()) - int(sizes @ items)
    same_fraction, different_fraction = source.fractions()
    same_class = SameClass.of(source)
    sides = {}
    for weighting in WEIGHTINGS:
        weights = Weights.of(weighting, sizes, gallery_sizes)
        gap = float(weights.same @ same_class.means)
        same = SideEstimate(gap, *same_class.error(weights.same), within, *same_fraction)
        different = SideEstimate(
            -source.between(weights), *different_error(source, weights), between, *different_fraction
        )
        sides[weighting] = same, different
    return sides, same_class.by_class()


def estimate_sides(
    new: Float[ndarray, "n dim"], old: Float[ndarray, "n dim"], codes: Int[ndarray, " n"], seed: int = 0
) -> tuple[SideEstimate, SideEstimate]:
    """Estimate the same-class and the different-class side of Definition 1 in the squared distance.

    Parameters
    ----------
    new, old : ndarray, shape (N, d)
        Features of the same samples by the new and the old model, row by row.
    codes : ndarray of int, shape (N,)
        Classes 0 … K−1, every one present, K ≥ 2; at least one class with two samples.
    seed : int
        Of the sample of pairs that is looked at where all pairs would be too many.

    Returns
    -------
    tuple of SideEstimate
        (same class, different class), every pair counted once.
    """
    sets = FeatureSet(new, codes), FeatureSet(old, codes)
    source = statistics(sets, codes, int(codes.max()) + 1, seed=seed)
    return estimate(source)[0]["pairs"]

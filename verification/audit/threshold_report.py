"""What a comparison of accept thresholds reports: rates, their changes, the threshold that keeps FAR, and curves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from verification.search.similarity import SimilarityName
from verification.statistics.interval import Interval, Judged, Population, Verdict

ThresholdUnit = Literal["cosine", "dot product", "Euclidean distance", "Hamming distance"]
UNITS: dict[SimilarityName, ThresholdUnit] = {
    "cosine": "cosine",
    "dot": "dot product",
    "l2": "Euclidean distance",
    "hamming": "Hamming distance",
}


def is_distance(unit: ThresholdUnit) -> bool:
    """Whether pairs are accepted up to a threshold, and not from it on."""
    return unit in ("Euclidean distance", "Hamming distance")


def is_raw(unit: ThresholdUnit) -> bool:
    """Whether the unit depends on the lengths of rows as they are."""
    return unit in ("dot product", "Euclidean distance")


@dataclass(frozen=True, kw_only=True)
class KeptFar:
    """The threshold at which new queries have the old FAR.

    Attributes
    ----------
    threshold, lower, upper : float
        With its interval; infinite where the pairs do not bound it.
    tar : Interval
        TAR of new queries at it.
    tar_change : Interval
        That less the TAR of old queries at the old threshold.
    """

    threshold: float
    lower: float
    upper: float
    tar: Interval
    tar_change: Interval


@dataclass(frozen=True, kw_only=True)
class Curve:
    """TAR over FAR of one model's queries, with a band for TAR at each FAR by itself.

    Attributes
    ----------
    threshold, far, tar, lower, upper : tuple of float
        FAR falling from one half; the band covers at least with the report's confidence.
    """

    threshold: tuple[float, ...]
    far: tuple[float, ...]
    tar: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class ThresholdReport:
    """Result of :func:`verification.audit.thresholds.compare_thresholds`.

    Attributes
    ----------
    verdict : Verdict
        Compatible if both changes are, incompatible if either is.
    population : {"fixed", "drawn"}
        Population that the verdict is about: new samples of these classes, or new classes.
    threshold : float
        The old accept threshold.
    threshold_unit : {"cosine", "dot product", "Euclidean distance", "Hamming distance"}
        Unit of a threshold: the least cosine, the least dot product or largest Euclidean distance of rows as they are,
        or the largest Hamming distance, in bits. The thresholds of ``kept`` and of the curves have the same unit.
    target_far : float or None
        The FAR of old queries for which the threshold was chosen, or None if the threshold was given.
    far_margin, tar_margin, confidence : float
        FAR may rise by this share of itself, and TAR may fall by this much; the confidence of each interval, and of
        both changes at once.
    old_far, new_far, old_tar, new_tar : Interval
        Rates of old and of new queries at the threshold.
    far_change : Judged
        New FAR less (1 + far_margin) times the old, positive = worse: compatible when the interval does not exceed
        zero. For new classes the interval is that of the ratio of both, on the log scale, times the old rate of these
        samples: read its bounds as shares of ``old_far``, since as bounds of a difference they are too narrow. Where
        new queries accept no pair there are none.
    tar_change : Judged
        New TAR less the old: compatible when the interval does not go below −tar_margin.
    accepted_pairs : int
        Number of pairs of different classes that the old model accepts at the threshold, each counted once.
    kept : KeptFar
    old_curve, new_curve : Curve
    num_samples, num_gallery, same_pairs, different_pairs : int
        Counts of what was examined; ``num_gallery`` is None if samples were paired with each other.
    notes : tuple of str
    """

    verdict: Verdict
    population: Population
    threshold: float
    threshold_unit: ThresholdUnit
    target_far: float | None
    far_margin: float
    tar_margin: float
    confidence: float
    old_far: Interval
    new_far: Interval
    old_tar: Interval
    new_tar: Interval
    far_change: Judged
    tar_change: Judged
    accepted_pairs: int
    kept: KeptFar
    old_curve: Curve
    new_curve: Curve
    num_samples: int
    num_gallery: int | None
    same_pairs: int
    different_pairs: int
    notes: tuple[str, ...]

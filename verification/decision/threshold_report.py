"""What a comparison of accept thresholds reports: rates, their changes, the threshold that keeps FAR, and curves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from verification._breakdown import Verdict


class Rate(NamedTuple):
    """A share of pairs with its interval."""

    value: float
    lower: float
    upper: float


class Change(NamedTuple):
    """A change of a rate with its interval and what it means."""

    value: float
    lower: float
    upper: float
    verdict: Verdict


@dataclass(frozen=True)
class KeptFar:
    """The threshold at which new queries have the old FAR.

    Attributes
    ----------
    threshold, lower, upper : float
        With its interval; infinite where the pairs do not bound it.
    tar : Rate
        TAR of new queries at it.
    tar_change : Rate
        That less the TAR of old queries at the old threshold.
    """

    threshold: float
    lower: float
    upper: float
    tar: Rate
    tar_change: Rate


@dataclass(frozen=True)
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


@dataclass(frozen=True)
class ThresholdReport:
    """What :func:`verification.decision.thresholds.compare_thresholds` found.

    Attributes
    ----------
    verdict : {"compatible", "incompatible", "inconclusive"}
        Compatible when both changes are, incompatible when either is.
    threshold : float
        The old accept threshold, a cosine similarity.
    target_far : float or None
        The FAR of old queries that it was chosen for, or None where it was given.
    far_margin, tar_margin, confidence : float
        FAR may rise by this share of itself, TAR fall by this much; of each interval, and of both changes at once.
    old_far, new_far, old_tar, new_tar : Rate
        Of old and new queries at the threshold.
    far_change : Change
        New FAR less (1 + far_margin) times the old: compatible when the interval does not exceed zero.
    tar_change : Change
        New TAR less the old: compatible when the interval does not go below −tar_margin.
    kept : KeptFar
    old_curve, new_curve : Curve
    num_samples, num_gallery, same_pairs, different_pairs : int
        What was looked at; ``num_gallery`` is None where samples were paired with each other.
    notes : tuple of str
    """

    verdict: Verdict
    threshold: float
    target_far: float | None
    far_margin: float
    tar_margin: float
    confidence: float
    old_far: Rate
    new_far: Rate
    old_tar: Rate
    new_tar: Rate
    far_change: Change
    tar_change: Change
    kept: KeptFar
    old_curve: Curve
    new_curve: Curve
    num_samples: int
    num_gallery: int | None
    same_pairs: int
    different_pairs: int
    notes: tuple[str, ...]

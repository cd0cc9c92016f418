"""The caps as the data has them: the angle between each sample and the axis of its class, before and after an update.

Theorem 1 speaks of caps about fixed vertices that an update does not widen. Both models are measured from the same
axes, the given vertices or the class means of the old model, so that a cap that moved shows as well as one that grew.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from verification.audit import check_paired
from verification.features import FeatureSet
from verification.inequalities import class_sums
from verification.statistics.progress import Progress, Tick, counter

BINS = 90  # two degrees each
COVERAGE = 0.9


@dataclass(frozen=True)
class PolarAngles:
    """How the angles of the samples to their axes are spread.

    Attributes
    ----------
    old, new : tuple of float
        Share of the samples in each of equally wide bins of [0, π], by the old and the new model.
    old_radius, new_radius : float
        Radius, in radians, of the cap that holds 90 % of the samples.
    axis : {"vertices", "old class means"}
    """

    old: tuple[float, ...]
    new: tuple[float, ...]
    old_radius: float
    new_radius: float
    axis: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, angles in radians."""
        return asdict(self) | {"old": list(self.old), "new": list(self.new)}


def polar_angles(
    new: FeatureSet,
    old: FeatureSet,
    vertices: Float[ndarray, "k dim"] | None = None,
    progress: Progress | None = None,
) -> PolarAngles:
    """Measure the angles of two models' features of the same samples to the axes of their classes.

    Parameters
    ----------
    new, old : FeatureSet
        The same samples, row by row.
    vertices : ndarray, shape (K, d), optional
        Unit axis of each class, in the order of ``old.classes``. If not given, the mean of the other samples of the
        class under the old model: a sample's own feature would pull its axis towards it.
    progress : callable, optional
        Told a stage, what is done of it and its total.

    Raises
    ------
    ValueError
        If the sets do not belong together or the vertices are not K vectors of R^d, none of them zero.
    """
    check_paired(new, old)
    num_classes = len(old.classes)
    if vertices is not None and vertices.shape != (num_classes, old.dim):
        raise ValueError(f"vertices must have shape {(num_classes, old.dim)}, one row a class, got {vertices.shape}.")
    if vertices is not None and not np.all(np.any(vertices, axis=1)):
        raise ValueError("vertices must have a direction, but some row is all zero.")
    tick = counter(progress, "measuring caps, rows", (2 if vertices is None else 1) * len(old))
    axes = _class_sums(old, tick) if vertices is None else vertices
    angles: list[list[ndarray]] = [[], []]
    start = 0
    for before, after in zip(old.normalized_blocks(), new.normalized_blocks(), strict=True):
        own = axes[old.codes[start : start + len(before)]]
        if vertices is None:
            own = own - before
        length = np.linalg.norm(own, axis=1)
        there = length > 1e-6  # nothing is left of the axis of a class of one
        for found, rows in zip(angles, (before, after), strict=True):
            cosines = np.einsum("nd,nd->n", rows[there], own[there]) / length[there]
            found.append(np.arccos(np.clip(cosines, -1.0, 1.0)))
        start += len(before)
        tick(len(before))
    (old_shares, old_radius), (new_shares, new_radius) = (_spread(np.concatenate(found)) for found in angles)
    axis = "old class means" if vertices is None else "vertices"
    return PolarAngles(old_shares, new_shares, old_radius, new_radius, axis)


def _class_sums(features: FeatureSet, tick: Tick) -> Float[ndarray, "k dim"]:
    sums = np.zeros((len(features.classes), features.dim))
    start = 0
    for block in features.normalized_blocks():
        sums += class_sums(block, features.codes[start : start + len(block)], len(sums))
        start += len(block)
        tick(len(block))
    return sums


def _spread(angles: Float[ndarray, " n"]) -> tuple[tuple[float, ...], float]:
    """Share of the angles in each bin, and the radius of the cap."""
    counts, _ = np.histogram(angles, BINS, (0.0, math.pi))
    return tuple((counts / len(angles)).tolist()), float(np.quantile(angles, COVERAGE))

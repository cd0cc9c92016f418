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

from verification.upgrade import Upgrade

BINS = 90  # two degrees each
COVERAGE = 0.9
# rows that are measured at once
BLOCK = 2**13


@dataclass(frozen=True, kw_only=True)
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


def polar_angles(upgrade: Upgrade, vertices: Float[ndarray, "k dim"] | None = None) -> PolarAngles:
    """Measure the angles of two models' features of the same samples to the axes of their classes.

    Parameters
    ----------
    upgrade : Upgrade
        The upgrade whose kept queries are measured.
    vertices : ndarray, shape (K, d), optional
        Unit axis of each class, in the order of ``upgrade.labels``. If not given, the mean of the other samples of the
        class under the old model: a sample's own feature would pull its axis towards it.

    Raises
    ------
    ValueError
        If the vertices are not K vectors of R^d, none of them zero.
    """
    shape = (upgrade.num_classes, upgrade.old.dim)
    if vertices is not None and vertices.shape != shape:
        raise ValueError(f"vertices must have shape {shape}, one row a class, got {vertices.shape}.")
    if vertices is not None and not np.all(np.any(vertices, axis=1)):
        raise ValueError("vertices must have a direction, but some row is all zero.")
    reading = upgrade.read()
    rows = reading.rows
    axes = reading.sums.sums[-1] if vertices is None else vertices
    angles: list[list[ndarray]] = [[], []]
    for start in range(0, len(rows.codes), BLOCK):
        some = slice(start, start + BLOCK)
        own = axes[rows.codes[some]]
        if vertices is None:
            own = own - rows.old[some]
        length = np.linalg.norm(own, axis=1)
        there = length > 1e-6  # nothing is left of the axis of a class of one
        for found, features in zip(angles, (rows.old, rows.models[0]), strict=True):
            cosines = np.vecdot(features[some][there], own[there]) / length[there]
            found.append(np.arccos(np.clip(cosines, -1.0, 1.0)))
    (old_shares, old_radius), (new_shares, new_radius) = (_spread(np.concatenate(found)) for found in angles)
    return PolarAngles(
        old=old_shares,
        new=new_shares,
        old_radius=old_radius,
        new_radius=new_radius,
        axis="old class means" if vertices is None else "vertices",
    )


def _spread(angles: Float[ndarray, " n"]) -> tuple[tuple[float, ...], float]:
    """Share of the angles in each bin, and the radius of the cap."""
    counts, _ = np.histogram(angles, BINS, (0.0, math.pi))
    return tuple((counts / len(angles)).tolist()), float(np.quantile(angles, COVERAGE))

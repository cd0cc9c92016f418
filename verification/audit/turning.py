"""The features of a class, turned until an inequality of Definition 1 fails: whatever the distance and their law."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from theory.metrics import as_metric
from verification.statistics.protocol import Statistics
from verification.statistics.rows import Rows

# halvings of an angle: to 1e-5
STEPS = 18


@dataclass(frozen=True, kw_only=True)
class RotatedClass:
    """Queries of one class turned in the plane of their new mean and the mean of the items, by their coordinates there.

    ``rest`` is what a turn leaves alone of the product of each query with each item.
    """

    metric: str
    queries: Float[ndarray, "n 2"]
    items: Float[ndarray, "m 2"]
    rest: Float[ndarray, "n m"]
    angle: float
    same_class: bool
    same_samples: bool

    @classmethod
    def of(cls, metric: str, source: Statistics, y: int, z: int, size: int) -> RotatedClass:
        other = source.gallery or source.rows
        new = _spaced(source.rows.models[0], source.rows, y, size)
        items = _spaced(other.old, other, z, size)
        mean, target = new.mean(axis=0), items.mean(axis=0)
        axis = target / max(float(np.linalg.norm(target)), np.finfo(float).tiny)
        off = mean - (mean @ axis) * axis
        if (length := float(np.linalg.norm(off))) < 1e-12:  # nowhere: any direction will do
            off = np.eye(len(axis))[np.argmin(np.abs(axis))]
            off -= (off @ axis) * axis
            off /= np.linalg.norm(off)
        else:
            off /= length
        plane = np.stack([axis, off], axis=1)
        here, there = new @ plane, items @ plane
        angle = math.atan2(length, float(mean @ axis))
        return cls(
            metric=metric,
            queries=here,
            items=there,
            rest=new @ items.T - here @ there.T,
            angle=angle,
            same_class=y == z,
            same_samples=y == z and source.gallery is None,
        )

    def slack(self, gap: float) -> float:
        """How much farther the queries may turn, away from their own items or at those of others, till ``gap`` is 0.

        Negative where it is below 0 already; then no more than the turn that brings the means together, or apart.
        """
        away = 1.0 if self.same_class else -1.0
        begin = self._distance(0.0)

        def left(turn: float) -> float:
            return gap + away * (begin - self._distance(away * turn))

        if gap == 0.0:
            return 0.0
        # to the far side of the sphere, back to the items' mean; at others it is the other way round
        far, back = math.pi - self.angle, -self.angle
        if not self.same_class:
            far, back = self.angle, self.angle - math.pi
        low, high = (0.0, far) if gap > 0.0 else (back, 0.0)
        for _ in range(STEPS):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if left(middle) > 0.0 else (low, middle)
        return 0.5 * (low + high)

    def _distance(self, turn: float) -> float:
        cosine, sine = math.cos(turn), math.sin(turn)
        turned = self.queries @ np.array([[cosine, sine], [-sine, cosine]])
        distances = as_metric(self.metric).of_cosine(self.rest + turned @ self.items.T)
        if not (self.same_class and self.same_samples):
            return float(distances.mean())
        count = len(distances)
        return float((distances.sum() - np.trace(distances)) / (count * (count - 1)))


def _spaced(values: Float[ndarray, "m dim"], rows: Rows, c: int, size: int) -> Float[ndarray, "some dim"]:
    """Rows of a class, ``size`` of them at most, evenly spaced."""
    count = int(rows.counts[c])
    chosen = np.linspace(0, count - 1, min(count, size)).round().astype(int)
    return values[int(rows.starts[c]) + chosen].astype(np.float64)

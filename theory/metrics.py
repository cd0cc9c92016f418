"""Distances between unit vectors, each a function of the cosine c = u·v (paper, Definition 1's d(·, ·)).

Definition 1 leaves the distance open. A :class:`Metric` carries F(c) in the variable y = (1−c)/2 = sin²(ψ/2), ψ the
angle between the vectors, because c itself cannot resolve near points: 1 − c loses half of the digits at ψ = 1e−8.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class PowerDistance:
    """The power ‖u − v‖^{2s} of the chord: ``sqeuclidean`` at s = 1, ``euclidean`` at s = ½.

    Parameters
    ----------
    s : float
        Half of the exponent, s > 0. Of negative type, and covered by the proof of Theorem 1, for s ≤ 1.
    """

    s: float

    def __post_init__(self) -> None:
        if not (isinstance(self.s, int | float) and math.isfinite(self.s) and self.s > 0):
            raise ValueError(f"s must be a finite number > 0, got {self.s!r}.")


@dataclass(frozen=True)
class Metric:
    """A distance as a function of y = (1−c)/2.

    Attributes
    ----------
    name : str
        How reports call it.
    of_haversine : callable
        F as a function of y in [0, 1], array → array, float64.
    power : float or None
        s where F = scale·‖u−v‖^{2s}; None for ``angular`` and for functions that a user brings.
    scale : float
        The factor of the power (½ for ``cosine``).
    """

    name: str
    of_haversine: Callable[[FloatArray], FloatArray]
    power: float | None = None
    scale: float = 1.0

    def of_cosine(self, cosine: ArrayLike) -> FloatArray:
        """F(c) for cosines in [−1, 1]."""
        return self.of_haversine(np.clip(0.5 * (1.0 - np.asarray(cosine, dtype=np.float64)), 0.0, 1.0))

    def increment(self, y: ArrayLike, step: ArrayLike) -> FloatArray:
        """F(y + step) − F(y) for y > 0, relative to the step rather than to F for the distances named here."""
        y, step = np.asarray(y, dtype=np.float64), np.asarray(step, dtype=np.float64)
        if self.power is not None:
            return self.of_haversine(y) * np.expm1(self.power * np.log1p(np.maximum(step / y, -1.0)))
        before, after = self.of_haversine(y), self.of_haversine(np.clip(y + step, 0.0, 1.0))
        if self is METRICS["angular"]:  # sin²a − sin²b = sin(a−b)·sin(a+b), in half angles
            return 2.0 * np.arcsin(np.clip(step / np.sin(0.5 * (before + after)), -1.0, 1.0))
        return after - before


def _power(name: str, s: float, scale: float = 1.0) -> Metric:
    return Metric(name, lambda y: scale * (4.0 * y) ** s, power=s, scale=scale)


METRICS: dict[str, Metric] = {
    "sqeuclidean": Metric("sqeuclidean", lambda y: 4.0 * y, power=1.0),
    "cosine": Metric("cosine", lambda y: 2.0 * y, power=1.0, scale=0.5),
    "euclidean": Metric("euclidean", lambda y: 2.0 * np.sqrt(y), power=0.5),
    "angular": Metric("angular", lambda y: 2.0 * np.arctan2(np.sqrt(y), np.sqrt(1.0 - y))),
}

MetricLike = str | PowerDistance | Callable[[FloatArray], FloatArray] | Metric


def as_metric(metric: MetricLike) -> Metric:
    """Turn a name, a :class:`PowerDistance` or a function of the cosine into a :class:`Metric`.

    A function must map an array of cosines in [−1, 1] to an array of the same shape, finite, and not increase with
    the cosine (a distance grows with the angle); this is checked on a grid.

    Raises
    ------
    ValueError
        For an unknown name, or a function that breaks one of these rules.
    """
    if isinstance(metric, Metric):
        return metric
    if isinstance(metric, str) and metric in METRICS:
        return METRICS[metric]
    if isinstance(metric, PowerDistance):
        return _power(f"‖u−v‖^{2 * metric.s:g}", float(metric.s))
    if not callable(metric):
        raise ValueError(
            f"metric must be one of {', '.join(METRICS)}, a PowerDistance or a function of the cosine, got {metric!r}."
        )
    grid = np.cos(np.linspace(np.pi, 0.0, 1025))
    try:
        values = np.asarray(metric(grid.copy()), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"metric must map an array of cosines to an array, but calling it raised: {error}.") from None
    if values.shape != grid.shape:
        raise ValueError(f"metric must keep the shape of its argument, but {grid.shape} became {values.shape}.")
    if not np.all(np.isfinite(values)):
        at = float(grid[~np.isfinite(values)][0])
        raise ValueError(f"metric must be finite on [-1, 1], but it is not at cosine {at!r}.")
    # rounding may make neighbouring values of a flat stretch rise by a few units in the last place
    rise = np.diff(values) > 8 * np.finfo(float).eps * np.max(np.abs(values))
    if np.any(rise):
        at = float(grid[:-1][rise][0])
        raise ValueError(f"metric must not increase with the cosine, but it does at cosine {at!r}.")
    function = metric
    return Metric(
        getattr(function, "__name__", type(function).__name__),
        lambda y: np.asarray(function(1.0 - 2.0 * y), dtype=np.float64),
    )

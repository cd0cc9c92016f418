"""Distances between unit vectors, each a function of the cosine c = u·v (paper, Definition 1's d(·, ·)).

:data:`METRICS` is the one registry of distances: a distance is one entry there, and whatever takes a metric takes its
name. What is known of a distance beyond its values (closed series, exact differences) belongs to its class and never
to its name, so a function that happens to be called ``angular`` is computed as the function that it is.

Closed forms are written in the variable y = (1−c)/2 = sin²(ψ/2), ψ the angle between the vectors, because c itself
cannot resolve near points: 1 − c loses half of the digits at ψ = 1e−8.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]

LARGEST_POWER = 32.0  # 10^6 to this power, which the mean over a sphere of R^d needs, is still a float


class Metric(ABC):
    """A distance: a function F of the cosine that does not increase with it.

    Attributes
    ----------
    name : str
        Name of the distance in reports.
    description : str
        A plain description for readers who do not know the name.
    """

    name: str
    description: str

    @property
    def linear(self) -> float | None:
        """The factor a if F is a·(2 − 2c), a multiple of ``sqeuclidean``; None for every other distance."""
        return None

    @abstractmethod
    def of_cosine(self, cosine: ArrayLike) -> FloatArray:
        """F(c), elementwise, in float64; cosines beyond ±1 by rounding count as ±1."""

    def of_haversine(self, y: Any, xp: Any = np) -> Any:
        """F as a function of y = (1−c)/2 in [0, 1], on NumPy or torch (``xp``)."""
        if xp is np:
            return self.of_cosine(1.0 - 2.0 * y)
        # a function that a user brings is NumPy's: through the host
        return xp.as_tensor(self.of_cosine(1.0 - 2.0 * y.cpu().numpy()), device=y.device)

    def increment(self, y: ArrayLike, step: ArrayLike) -> FloatArray:
        """F(y + step) − F(y) for y > 0; the closed forms keep the digits of the step rather than those of F."""
        y, step = np.asarray(y, dtype=np.float64), np.asarray(step, dtype=np.float64)
        return np.asarray(self.of_haversine(np.clip(y + step, 0.0, 1.0)) - self.of_haversine(y))


@dataclass(frozen=True)
class PowerDistance(Metric):
    """The power ‖u − v‖^{2s} of the chord, times a factor: ``sqeuclidean`` at s = 1, ``euclidean`` at s = ½.

    Parameters
    ----------
    s : float
        Half of the exponent, 0 < s ≤ 32. Of negative type, and covered by the proof of Theorem 1, for s ≤ 1.
    scale : float
        The factor, > 0.
    name, description : str, optional

    Raises
    ------
    ValueError
        For an exponent or a factor outside these ranges.
    """

    s: float
    scale: float = 1.0
    name: str = field(default="", compare=False)
    description: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if not (isinstance(self.s, int | float) and 0 < self.s <= LARGEST_POWER):
            raise ValueError(f"s must be a number in (0, {LARGEST_POWER:g}], got {self.s!r}.")
        if not (isinstance(self.scale, int | float) and math.isfinite(self.scale) and self.scale > 0):
            raise ValueError(f"scale must be a finite number > 0, got {self.scale!r}.")
        factor = "" if self.scale == 1.0 else f"{self.scale:g}·"
        object.__setattr__(self, "name", self.name or f"{factor}‖u−v‖^{2 * self.s:g}")
        object.__setattr__(self, "description", self.description or f"{factor}Euclidean distance to the {2 * self.s:g}")

    @property
    def linear(self) -> float | None:
        """``scale`` at s = 1."""
        return float(self.scale) if self.s == 1.0 else None

    def of_cosine(self, cosine: ArrayLike) -> FloatArray:
        """scale·(2 − 2c)^s."""
        square = np.clip(2.0 - 2.0 * np.asarray(cosine, dtype=np.float64), 0.0, 4.0)
        return np.asarray(self.scale * square**self.s)

    def of_haversine(self, y: Any, xp: Any = np) -> Any:
        """scale·(4y)^s."""
        return self.scale * (4.0 * y) ** self.s

    def increment(self, y: ArrayLike, step: ArrayLike) -> FloatArray:
        """From the relative change of y, so that nothing cancels."""
        y, step = np.asarray(y, dtype=np.float64), np.asarray(step, dtype=np.float64)
        return np.asarray(self.of_haversine(y) * np.expm1(self.s * np.log1p(np.maximum(step / y, -1.0))))


@dataclass(frozen=True)
class AngularDistance(Metric):
    """The angle arccos c, in radians."""

    name: str = field(default="angular", compare=False)
    description: str = field(default="angle in radians", compare=False)

    def of_cosine(self, cosine: ArrayLike) -> FloatArray:
        """arccos c."""
        return np.asarray(np.arccos(np.clip(np.asarray(cosine, dtype=np.float64), -1.0, 1.0)))

    def of_haversine(self, y: Any, xp: Any = np) -> Any:
        """2·arcsin √y, written so that neither end loses digits."""
        return 2.0 * xp.arctan2(xp.sqrt(y), xp.sqrt(1.0 - y))

    def increment(self, y: ArrayLike, step: ArrayLike) -> FloatArray:
        """From sin²a − sin²b = sin(a−b)·sin(a+b), in half angles."""
        y, step = np.asarray(y, dtype=np.float64), np.asarray(step, dtype=np.float64)
        both = self.of_haversine(y) + self.of_haversine(np.clip(y + step, 0.0, 1.0))
        return np.asarray(2.0 * np.arcsin(np.clip(step / np.sin(0.5 * both), -1.0, 1.0)))


# where a function is looked at: cosines from −1 to 1, evenly spaced in the angle
_GRID = np.cos(np.linspace(np.pi, 0.0, 1025))


@dataclass(frozen=True)
class FunctionDistance(Metric):
    """A distance that is any other function of the cosine.

    Parameters
    ----------
    name, description : str
    function : callable
        Maps an array of cosines in [−1, 1] to an array of the same shape, finite, and does not increase with the
        cosine (a distance grows with the angle); this is checked on a grid.

    Raises
    ------
    ValueError
        If the function breaks one of these rules.
    """

    name: str
    description: str
    function: Callable[[FloatArray], FloatArray]

    def __post_init__(self) -> None:
        try:
            values = np.asarray(self.function(_GRID.copy()), dtype=np.float64)
        except (TypeError, ValueError) as error:
            message = f"metric must map an array of cosines to an array, but calling it raised: {error}."
            raise ValueError(message) from None
        if values.shape != _GRID.shape:
            raise ValueError(f"metric must keep the shape of its argument, but {_GRID.shape} became {values.shape}.")
        if not np.all(np.isfinite(values)):
            at = float(_GRID[~np.isfinite(values)][0])
            raise ValueError(f"metric must be finite on [-1, 1], but it is not at cosine {at!r}.")
        # rounding may make neighbouring values of a flat stretch rise by a few units in the last place
        rise = np.diff(values) > 8 * np.finfo(float).eps * np.max(np.abs(values))
        if np.any(rise):
            at = float(_GRID[:-1][rise][0])
            raise ValueError(f"metric must not increase with the cosine, but it does at cosine {at!r}.")

    @cached_property
    def step(self) -> tuple[float, float, float] | None:
        """(τ, value below τ, value from τ on) if the function takes two values only, else None."""
        values = self.of_cosine(_GRID)
        if len(np.unique(values)) != 2:
            return None
        at = int(np.argmax(values < values[0]))
        low, high = float(_GRID[at - 1]), float(_GRID[at])
        while np.nextafter(low, high) < high:
            middle = 0.5 * (low + high)
            low, high = (middle, high) if self.of_cosine(middle) == values[0] else (low, middle)
        return high, float(values[0]), float(values[-1])

    def of_cosine(self, cosine: ArrayLike) -> FloatArray:
        """The function's values."""
        return np.asarray(self.function(np.clip(np.asarray(cosine, dtype=np.float64), -1.0, 1.0)), dtype=np.float64)


METRICS: dict[str, Metric] = {
    entry.name: entry
    for entry in (
        PowerDistance(1.0, name="sqeuclidean", description="squared Euclidean distance"),
        PowerDistance(1.0, 0.5, name="cosine", description="cosine distance, 1 - cosine similarity"),
        PowerDistance(0.5, name="euclidean", description="Euclidean distance"),
        AngularDistance(),
    )
}
"""The registry of distances, by name; to add one, add an entry: ``METRICS[name] = FunctionDistance(name, …)``."""

MetricLike = str | Metric | Callable[[FloatArray], FloatArray]


def as_metric(metric: MetricLike) -> Metric:
    """Look up a name in :data:`METRICS`, or turn a function of the cosine into a :class:`Metric`.

    Parameters
    ----------
    metric : str, Metric or function of the cosine
        A name, a :class:`PowerDistance` or another metric, or a function as :class:`FunctionDistance` takes it.

    Returns
    -------
    Metric

    Raises
    ------
    ValueError
        For an unknown name, or a function that is not a distance.
    """
    if isinstance(metric, Metric):
        return metric
    if isinstance(metric, str) and metric in METRICS:
        return METRICS[metric]
    if not callable(metric):
        raise ValueError(
            f"metric must be one of {', '.join(METRICS)}, a PowerDistance or a function of the cosine, got {metric!r}."
        )
    name = getattr(metric, "__name__", type(metric).__name__)
    return FunctionDistance(name, f"the function {name} of the cosine", metric)

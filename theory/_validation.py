"""Argument checks shared by the theory: each names the argument, the rule and the value that broke it."""

from __future__ import annotations

import math
import operator

import numpy as np
from numpy.typing import ArrayLike, NDArray


def check_integer(name: str, value: object, minimum: int) -> int:
    """Return ``value`` as a Python int ≥ ``minimum``; booleans and fractions are refused."""
    try:
        if isinstance(value, bool | np.bool_):
            raise TypeError
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = None
    if number is None or number < minimum:
        raise ValueError(f"{name} must be an integer >= {minimum}, got {value!r}.")
    return number


def check_dim(dim: object, minimum: int = 2) -> int:
    """Return the ambient dimension as an int ≥ ``minimum``."""
    return check_integer("dim", dim, minimum)


def check_range(
    name: str, value: ArrayLike, low: float, high: float, rule: str, *, open_low: bool = False
) -> NDArray[np.float64]:
    """Return ``value`` as float64 with every entry in [low, high] (or (low, high] when ``open_low``).

    What lies beyond an end by a few roundings of its own type, as float32's π does, counts as that end.

    ``rule`` is the sentence's middle: "in (0, π]" gives "radius must be in (0, π], got -1.0."
    """
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be {rule}, got {value!r}.") from None
    given = np.asarray(value)
    rounding = 8.0 * float(np.finfo(given.dtype if given.dtype.kind == "f" else np.float64).eps)
    array = np.where((array > high) & (array <= high + rounding * abs(high)), high, array)
    if not open_low:
        array = np.where((array < low) & (array >= low - rounding * abs(low)), low, array)
    below = array <= low if open_low else array < low
    bad = below | (array > high) | np.isnan(array)
    if np.any(bad):
        raise ValueError(f"{name} must be {rule}, got {float(array[bad].flat[0])!r}.")
    return array


def check_radius(radius: ArrayLike, name: str = "radius") -> NDArray[np.float64]:
    """Return the angular radius of a cap (radians) as float64, each in (0, π]."""
    return check_range(name, radius, 0.0, math.pi, "in (0, π]", open_low=True)


def check_cosine(value: ArrayLike, name: str = "axis_cosine") -> NDArray[np.float64]:
    """Return a cosine as float64, each in [−1, 1]."""
    return check_range(name, value, -1.0, 1.0, "in [-1, 1]")

"""Gauss rules on the polar angle of a cap that need no more nodes at dim 10⁶ than at dim 3.

The polar density sin^{d−2}θ is analytic and concentrates within O(1/d) of the rim (or O(1/√d) of the equator); a
Gauss–Legendre rule laid on the part of the cap that carries all but e^{−40} of the mass converges geometrically
there. Powers of sines are taken relative to the rim, as exp((d−2)·log1p(·)), so nothing underflows.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]

LOG_CUTOFF = 40.0  # mass below e^{−40} = 4e−18 of the peak is left out


@lru_cache(maxsize=64)
def unit_gauss(order: int) -> tuple[FloatArray, FloatArray]:
    """Gauss–Legendre nodes and weights on [0, 1], right to the last digit; weights sum to 1."""
    nodes: NDArray[np.floating] = np.polynomial.legendre.leggauss(order)[0].astype(np.longdouble)
    # Newton in extended precision: NumPy's outer weights are off by 1e−14
    for _ in range(2):
        previous: NDArray[np.floating] = np.ones_like(nodes)
        value = nodes
        for n in range(1, order):
            previous, value = value, ((2 * n + 1) * nodes * value - n * previous) / (n + 1)
        slope = order * (previous - nodes * value) / (1 - nodes**2)
        nodes = nodes - value / slope
    weights = 1 / ((1 - nodes**2) * slope**2)
    return ((1 + nodes) / 2).astype(np.float64), weights.astype(np.float64)


@lru_cache(maxsize=64)
def double_exponential(count: int) -> tuple[FloatArray, FloatArray]:
    """Nodes and weights on [0, 1] that crowd towards both ends, for functions with roots or kinks at or beyond them.

    Takahasi & Mori's tanh rule (1974), from 4e−16 to 1 − 4e−16.
    """
    t = np.linspace(-3.15, 3.15, count)
    nodes = 1.0 / (1.0 + np.exp(-np.pi * np.sinh(t)))
    weights = np.pi * np.cosh(t) * nodes * nodes[::-1] * (t[1] - t[0])
    return nodes, weights


def log_sine_ratio(step: FloatArray, reference: FloatArray) -> FloatArray:
    """log(sin(α − step) / sin α), α the reference in (0, π), without cancellation for small steps; −inf at a zero."""
    with np.errstate(divide="ignore"):
        near = np.log1p(np.maximum(-(2.0 * np.sin(0.5 * step) ** 2 + np.sin(step) / np.tan(reference)), -1.0))
        far = np.log(np.maximum(np.sin(reference - step), 0.0) / np.sin(reference))
    return np.where(near > -0.5, near, far)


def polar_rule(dim: int, radius: FloatArray, order: int = 40) -> tuple[FloatArray, FloatArray]:
    """Depths below the rim (angle = radius − depth) and weights of the average over caps of radius ≤ π/2.

    Both have shape radius.shape + (order,); the weights sum to 1.
    """
    nodes, weights = unit_gauss(order)
    radius = np.asarray(radius, dtype=np.float64)[..., None]
    low = 0.0 if dim == 2 else np.arcsin(np.sin(radius) * np.exp(-LOG_CUTOFF / (dim - 2)))
    depth = (radius - low) * nodes
    mass = weights * np.exp((dim - 2) * log_sine_ratio(depth, radius))
    return depth, mass / mass.sum(axis=-1, keepdims=True)


def half_cap_moments(dim: int, radius: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(E cos θ, E[1 − cos θ]) for radii ≤ π/2: averages of positive numbers, so each keeps its relative accuracy."""
    depth, weights = polar_rule(dim, radius)
    rim = np.asarray(radius)[..., None]
    cosine = np.cos(rim) * np.cos(depth) + np.sin(rim) * np.sin(depth)  # at the equator, sin(depth) to its last digit
    return (weights * cosine).sum(-1), (weights * 2.0 * np.sin(0.5 * (rim - depth)) ** 2).sum(-1)


def cap_moments(dim: int, radius: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """(m, 1 − m) of uniform caps, each to a few units in the last place.

    Above π/2, with J(α) = ∫_0^α sin^{d−2} = sin^{d−1}α / ((d−1)·m(α)) and J(π) = 2·J(π/2),
    m(α) = sin^{d−1}α / (2/m(π/2) − sin^{d−1}α / m(π−α)).
    """
    radius = np.asarray(radius, dtype=np.float64)
    wide = radius > 0.5 * math.pi
    folded = np.where(wide, math.pi - radius, radius)
    # a radius of π folds to 0, where sin^{d−1}α vanishes and the value of m(0) does not matter
    mean, complement = half_cap_moments(dim, np.maximum(folded, 1e-300))
    if np.any(wide):
        equator, _ = half_cap_moments(dim, np.asarray(0.5 * math.pi))
        rim = np.exp((dim - 1) * log_sine_ratio(0.5 * math.pi - radius, np.asarray(0.5 * math.pi)))
        wide_mean = rim / (2.0 / equator - rim / mean)
        mean = np.where(wide, wide_mean, mean)
        complement = np.where(wide, 1.0 - wide_mean, complement)
    return mean, complement


def equator_rule(power: float, order: int = 40) -> tuple[FloatArray, FloatArray]:
    """Offsets from the equator and weights of the average with density ∝ cos^power over (−π/2, π/2); power ≥ 0."""
    nodes, weights = unit_gauss(order)
    reach = np.arccos(np.exp(-LOG_CUTOFF / power)) if power > 0 else 0.5 * np.pi
    offset = reach * (2.0 * nodes - 1.0)
    mass = weights * np.cos(offset) ** power
    return offset, mass / mass.sum()

"""Expected distance between two caps by quadrature, for any metric, at any radius down to the smallest float.

Two coaxial caps of radii α, α' ≤ π/2: the angle ψ between their points is distributed as the polar angle of a uniform
cap whose radius Ψ is itself random, cos Ψ = cos α cos α' + sin α sin α' cos φ, φ with density ∝ sin^{d−1}φ / m(Ψ):
E P_n(cos ψ) = a_n a'_n is m·m' times the product formula of the polynomials of dimension d+2. Axes at an angle β
turn F into its mean over a circle: c = cos β cos ψ + sin β sin ψ cos φ', φ' with density ∝ sin^{d−3}φ'.

Everything is carried in half angles, y = (1−c)/2, so caps of 1e−6 keep all their digits. Below dim 16 the integrand is
rough where ψ meets β (a distance has a cone there); panels that shrink geometrically towards such points restore the
convergence of Gauss's rule. From dim 16 on the sines' powers suppress those points, and concentrated rules do.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from theory._angle_law import log_cdf
from theory._quadrature import equator_rule, half_cap_moments, polar_rule, unit_gauss

FloatArray = NDArray[np.float64]
Function = Callable[[FloatArray], FloatArray]
Increment = Callable[[float, FloatArray], FloatArray]

SMOOTH_DIM = 16
_SHRINK = 0.2


@lru_cache(maxsize=16)
def _graded(order: int, levels: int) -> tuple[FloatArray, FloatArray]:
    """Nodes and weights, (panels, order), of [0, 1] cut ever finer towards both ends."""
    half = 0.5 * np.concatenate(([0.0], _SHRINK ** np.arange(levels, -1.0, -1.0)))
    cuts = np.concatenate((half, 1.0 - half[-2::-1]))
    nodes, weights = unit_gauss(order)
    width = np.diff(cuts)[:, None]
    return cuts[:-1, None] + width * nodes, width * weights


@lru_cache(maxsize=8)
def _remaining(order: int) -> FloatArray:
    """Matrix that takes values at the Gauss nodes to ∫ from each node to 1."""
    nodes, weights = unit_gauss(order)
    degree = np.arange(order)
    legendre = np.polynomial.legendre.legvander(2.0 * nodes - 1.0, order)
    # ∫_x^1 P_k over [−1, 1] is (P_{k−1}(x) − P_{k+1}(x))/(2k+1); k = 0 gives 1 − x
    integral = np.empty((order, order))
    integral[:, 0] = 1.0 - nodes
    integral[:, 1:] = 0.5 * (legendre[:, : order - 1] - legendre[:, 2:]) / (2.0 * degree[1:] + 1.0)
    return integral @ ((2.0 * degree + 1.0)[:, None] * legendre[:, :order].T * weights)


def _panels(cuts: list[float], order: int, levels: int) -> tuple[FloatArray, FloatArray]:
    nodes, weights = _graded(order, levels)
    start, width = np.asarray(cuts[:-1])[:, None, None], np.diff(cuts)[:, None, None]
    return (start + width * nodes).reshape(-1, order), (width * weights).reshape(-1, order)


def _smooth_rule(dim: int, wide: float, narrow: float, order: int) -> tuple[FloatArray, FloatArray]:
    """ψ and weights of coaxial caps where the powers of the sines concentrate: radius Ψ first, then ψ inside.

    Where Ψ may exceed π/2 the weights are those of E F − F_0 = m m' E_φ[(E_Ψ F − F_0)/m(Ψ)], a cap of radius Ψ > π/2
    being the complement of one around the opposite pole; they then sum to less than 1, and F_0 takes the rest.
    """
    offset, mixture = equator_rule(dim - 1.0, order)
    rim = np.sin(0.5 * (wide - narrow)) ** 2 + np.sin(wide) * np.sin(narrow) * np.sin(0.25 * np.pi + 0.5 * offset) ** 2
    radius = 2.0 * np.arcsin(np.sqrt(np.minimum(rim, 1.0)))
    beyond = radius > 0.5 * np.pi
    folded = np.where(beyond, np.pi - radius, radius)
    depth, inner = polar_rule(dim, folded, order)
    mixture = mixture * np.where(beyond, -1.0, 1.0) / half_cap_moments(dim, folded)[0]
    psi = np.maximum(folded[:, None] - depth, 0.0)
    psi = np.where(beyond[:, None], np.pi - psi, psi).ravel()
    weights = (mixture[:, None] * inner).ravel()
    if wide + narrow <= 0.5 * np.pi:
        return psi, weights / weights.sum()
    return psi, weights * np.prod(half_cap_moments(dim, np.array([wide, narrow]))[0])


def graded_rule(dim: int, wide: float, narrow: float, rough: list[float], order: int) -> tuple[FloatArray, FloatArray]:
    """ψ and weights of coaxial caps of any radii, with panels that shrink towards the angles in ``rough``."""
    gap, product = wide - narrow, math.sin(wide) * math.sin(narrow)
    # beyond the first, two caps that together exceed the sphere always overlap in the same area
    last = min(wide + narrow, 2.0 * math.pi - wide - narrow)
    # the smallest of 10 panels, 5e−8 of the interval, misses that to the power d − 1 + 2s. The circle, and caps that
    # all but make up the sphere, need smaller ones
    levels = 18 if dim == 2 or wide + narrow > math.pi - 1e-5 else 10
    # ψ > gap: the two caps' boundaries cross, and B(φ) = ∫_φ^π (sin/sin Ψ)^{d−1} is the common area up to a factor
    crossing = [
        2.0 * math.asin(math.sqrt(min(1.0, math.sin(0.5 * (b - gap)) * math.sin(0.5 * (b + gap)) / product)))
        for b in rough
        if gap < b < last
    ]
    phi, step = _panels([0.0, *sorted(crossing), np.pi], order, levels)
    half_sine = np.sqrt(math.sin(0.5 * gap) ** 2 + product * np.sin(0.5 * phi) ** 2)
    half_cosine = np.sqrt(math.cos(0.5 * (wide + narrow)) ** 2 + product * np.cos(0.5 * phi) ** 2)
    psi = 2.0 * np.arctan2(half_sine, half_cosine)
    scale = math.sin(0.5 * (wide + narrow))  # any angle of the problem's size: keeps the powers near 1
    sine = 2.0 * half_sine * half_cosine / scale
    ratio = np.sin(phi) / sine
    rim = ratio ** (dim - 1)
    panel = (step * rim).sum(axis=1)
    later = np.concatenate((np.cumsum(panel[::-1])[::-1][1:], [0.0]))
    width = step.sum(axis=1)
    common = later[:, None] + width[:, None] * (rim @ _remaining(order).T)
    least = 0.0
    if wide + narrow > math.pi:
        least = _forced_overlap(dim, wide, narrow) * (scale / product) ** (dim - 1)
        common += least
    mass = step * sine ** (dim - 2) * common * ratio
    nodes, weights = [psi.ravel()], [mass.ravel() * (product / scale**2)]
    if gap > 0.0:  # ψ < gap: the narrow cap lies inside the wide one
        theta, step = _panels([0.0, *sorted(b for b in rough if 0.0 < b < gap), gap], order, levels)
        nodes.append(theta.ravel())
        weights.append((step / scale * (np.sin(theta) / scale) ** (dim - 2)).ravel() * (panel.sum() + least))
    if least > 0.0:
        theta, step = _panels([last, *sorted(b for b in rough if last < b < math.pi), math.pi], order, levels)
        nodes.append(theta.ravel())
        weights.append((step / scale * (np.sin(theta) / scale) ** (dim - 2)).ravel() * least)
    joined = np.concatenate(weights)
    return np.concatenate(nodes), joined / joined.sum()


def _forced_overlap(dim: int, wide: float, narrow: float) -> float:
    """The area that two caps with α + α' > π share however they lie, over the volume of the unit ball of R^{d−2}."""
    d = np.asarray(float(dim))
    # F(α) − F(π − α'), from the tails where both are large
    if narrow > 0.5 * math.pi:
        share = 1.0 - sum(float(np.exp(log_cdf(np.asarray(math.pi - radius), d))) for radius in (wide, narrow))
    else:
        share = float(np.exp(log_cdf(np.asarray(narrow), d)) - np.exp(log_cdf(np.asarray(math.pi - wide), d)))
    return 2.0 * math.pi * max(share, 0.0)


def _circle_rule(dim: int, rough: bool, fine: bool) -> tuple[FloatArray, FloatArray]:
    """φ' and weights of the first coordinate cos φ' of a uniform point of S^{d−2}."""
    if dim == 2:
        return np.array([0.0, np.pi]), np.array([0.5, 0.5])
    if rough and dim < SMOOTH_DIM:
        phi, weights = _panels([0.0, np.pi], 14 if fine else 11, 10)
        mass = (weights * np.sin(phi) ** (dim - 3)).ravel()
        return phi.ravel(), mass / mass.sum()
    offset, weights = equator_rule(dim - 3.0, 40 if fine else 32)
    return offset + 0.5 * np.pi, weights


def _cap_rule(
    dim: int, radii: tuple[float, float], axis_angle: float, fine: bool
) -> tuple[FloatArray, FloatArray, bool]:
    """ψ, weights, and whether F may be rough within reach."""
    narrow, wide = sorted(radii)
    rough = [b for b in (axis_angle, math.pi - axis_angle) if 0.0 < b < 2.0 * (wide + narrow)]
    if dim >= SMOOTH_DIM:
        return *_smooth_rule(dim, wide, narrow, 40 if fine else 32), bool(rough)
    return *graded_rule(dim, wide, narrow, rough, 14 if fine else 11), bool(rough)


def _turned_mean(
    function: Function,
    dim: int,
    rule: tuple[FloatArray, FloatArray, bool],
    axis_angle: float,
    fine: bool,
) -> float:
    """Σ weights · F̃(ψ), F̃ the mean of F over the circle that turning the axis makes of ψ."""
    psi, weights, rough = rule
    y = np.sin(0.5 * (psi - axis_angle)) ** 2
    if axis_angle == 0.0:
        return float(weights @ function(np.minimum(y, 1.0)))
    phi, circle = _circle_rule(dim, rough, fine)
    y = y[:, None] + np.outer(np.sin(psi) * math.sin(axis_angle), np.sin(0.5 * phi) ** 2)
    return float(weights @ (function(np.minimum(y, 1.0)) @ circle))


def cap_pair_mean(
    function: Function, dim: int, radii: tuple[float, float], axis_angle: float, mean: float, fine: bool = True
) -> float:
    """E F over two caps of radii ≤ π/2 with axes at an angle; ``function`` takes y = (1−c)/2, ``mean`` is F_0."""
    rule = _cap_rule(dim, radii, axis_angle, fine)
    rest = mean * (1.0 - rule[1].sum()) if sum(radii) > 0.5 * math.pi else 0.0
    return _turned_mean(function, dim, rule, axis_angle, fine) + rest


def density_pair_mean(
    function: Function, dim: int, log_density: Function, reach: float, axis_angle: float, fine: bool = True
) -> float:
    """E F where ψ has log density ``log_density(ψ)`` up to a constant, all but e^{−40} of it within ``reach``."""
    grid = np.linspace(0.0, reach, 4001)[1:]
    values = log_density(grid)
    peak = float(values.max())
    inside = grid[values > peak - 45.0]
    low, high = float(inside[0]) - reach / 4000.0, min(float(inside[-1]) + reach / 4000.0, reach)
    opposite = math.pi - axis_angle
    if dim >= SMOOTH_DIM:
        nodes, step = unit_gauss(80 if fine else 64)
        psi, step = low + (high - low) * nodes, (high - low) * step
    else:
        cuts = [low, *sorted(b for b in (axis_angle, opposite) if low < b < high), high]
        psi, step = (x.ravel() for x in _panels(cuts, 20 if fine else 16, 10))
    weights = step * np.exp(log_density(psi) - peak)
    return _turned_mean(function, dim, (psi, weights / weights.sum(), True), axis_angle, fine)


def cap_pair_excess(increment: Increment, dim: int, radii: tuple[float, float], axis_angle: float) -> float:
    """E F − F(cos β), for small caps far from each other, without the cancellation.

    ``increment(y, δ)`` is F(y+δ) − F(y). What is first-order in the radii is odd in cos φ' and averages out in pairs,
    so the result, of second order, keeps all but log10(1/radius) digits.
    """
    psi, weights, rough = _cap_rule(dim, radii, axis_angle, fine=True)
    phi, circle = _circle_rule(dim, rough, fine=True)
    centre = math.sin(0.5 * axis_angle) ** 2
    even = (math.cos(axis_angle) * np.sin(0.5 * psi) ** 2)[:, None]
    odd = np.outer(0.5 * math.sin(axis_angle) * np.sin(psi), np.cos(phi))
    values = 0.5 * (increment(centre, even + odd) + increment(centre, even - odd))
    return float(weights @ (values @ circle))


def sphere_average(function: Function, dim: int, fine: bool = True) -> float:
    """F_0, the mean of F(u·v) for v uniform on the sphere."""
    if dim >= SMOOTH_DIM:
        offset, weights = equator_rule(dim - 2.0, 40 if fine else 32)
        theta = 0.5 * np.pi + offset
    else:
        theta, step = _panels([0.0, np.pi], 14 if fine else 11, 18)
        weights = step * np.sin(theta) ** (dim - 2)
        weights = weights / weights.sum()
    return float(np.sum(weights * function(np.sin(0.5 * theta) ** 2)))

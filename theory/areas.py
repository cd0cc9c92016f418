r"""Areas and volumes of spheres, balls, caps and flat discs of R^d, and their logarithms.

A ball has volume V_n(R) = π^{n/2} R^n / Γ(n/2+1); differentiating in R gives the area S_{n−1} of the unit sphere of
R^n. A cap of radius α has area S_{d−1} F(α), F the distribution function of the angle (:mod:`theory.angles`).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln

from theory._angle_law import (
    FloatArray,
    check_integers,
    fold,
    log_cdf,
    log_leading_coefficient,
    log_sine_power,
    power_integral,
    unwrap,
)
from theory._validation import check_radius


def log_sphere_area(dim: ArrayLike) -> float | FloatArray:
    r"""Logarithm of the area of the unit sphere of R^d, :math:`S_{d−1} = 2π^{d/2}/Γ(d/2)`.

    Parameters
    ----------
    dim : int or array of int
        Ambient dimension d ≥ 1 (d = 1: the two points ±1, area 2).

    Returns
    -------
    float or ndarray, shape of ``dim``

    Raises
    ------
    ValueError
        If ``dim`` is not an integer ≥ 1.
    """
    d = check_integers("dim", dim, 1)
    return unwrap(math.log(2.0) + 0.5 * d * math.log(math.pi) - gammaln(0.5 * d))


def sphere_area(dim: ArrayLike) -> float | FloatArray:
    """Area of the unit sphere of R^d; see :func:`log_sphere_area`."""
    return unwrap(np.exp(log_sphere_area(dim)))


def log_ball_volume(dim: ArrayLike) -> float | FloatArray:
    r"""Logarithm of the volume of the unit ball of R^d, :math:`V_d = π^{d/2}/Γ(d/2+1)`.

    Parameters
    ----------
    dim : int or array of int
        Ambient dimension d ≥ 1.

    Returns
    -------
    float or ndarray, shape of ``dim``

    Raises
    ------
    ValueError
        If ``dim`` is not an integer ≥ 1.
    """
    return unwrap(_log_ball_volume(check_integers("dim", dim, 1)))


def ball_volume(dim: ArrayLike) -> float | FloatArray:
    """Volume of the unit ball of R^d; see :func:`log_ball_volume`."""
    return unwrap(np.exp(log_ball_volume(dim)))


def log_cap_area(dim: ArrayLike, radius: ArrayLike) -> float | FloatArray:
    r"""Logarithm of the area of a spherical cap, :math:`S_{d−1} F(α)`.

    Parameters
    ----------
    dim : int or array of int
        Ambient dimension d ≥ 2.
    radius : float or array
        Angular radius α of the cap, radians, in (0, π].

    Returns
    -------
    float or ndarray, shape of ``dim`` and ``radius`` broadcast

    Raises
    ------
    ValueError
        If ``dim`` is not an integer ≥ 2 or ``radius`` is outside (0, π].
    """
    d, alpha = check_integers("dim", dim, 2), check_radius(radius)
    return unwrap(log_sphere_area(dim) + log_cdf(alpha, d))


def cap_area(dim: ArrayLike, radius: ArrayLike) -> float | FloatArray:
    """Area of a spherical cap; see :func:`log_cap_area`."""
    return unwrap(np.exp(log_cap_area(dim, radius)))


def log_disc_area(dim: ArrayLike, radius: ArrayLike) -> float | FloatArray:
    r"""Logarithm of the area of the flat disc that a cap's rim spans, :math:`V_{d−1} \sin^{d−1}α`.

    Parameters, Returns and Raises as for :func:`log_cap_area`.
    """
    d, alpha = check_integers("dim", dim, 2), check_radius(radius)
    return unwrap(_log_ball_volume(d - 1.0) + log_sine_power(alpha, d - 1.0))


def disc_area(dim: ArrayLike, radius: ArrayLike) -> float | FloatArray:
    """Area of the flat disc that a cap's rim spans; see :func:`log_disc_area`."""
    return unwrap(np.exp(log_disc_area(dim, radius)))


def disc_to_cap_ratio(dim: ArrayLike, radius: ArrayLike) -> float | FloatArray:
    r"""Area of the flat disc over the area of its cap, :math:`\sin^{d−1}α / ((d−1) ∫_0^α \sin^{d−2})`.

    The mean of cos θ over the cap (projecting the cap on the disc shrinks each area element by cos θ): it
    falls from 1 at α → 0 to 0 at π. Relative error below 5e−14 for α ≤ π/2: no logarithms are subtracted.

    Parameters, Returns and Raises as for :func:`log_cap_area`.
    """
    d, alpha = check_integers("dim", dim, 2), check_radius(radius)
    up_to_hemisphere = 1.0 / ((d - 1.0) * power_integral(fold(alpha), d))
    beyond = np.exp(log_leading_coefficient(d) + log_sine_power(alpha, d - 1.0) - log_cdf(alpha, d))
    return unwrap(np.where(alpha > 0.5 * math.pi, beyond, up_to_hemisphere))


def _log_ball_volume(dim: FloatArray) -> FloatArray:
    return np.asarray(0.5 * dim * math.log(math.pi) - gammaln(0.5 * dim + 1.0))

"""The angle between random directions of R^d, and the areas it is a ratio of (paper Eq. 8 and Fig. 11).

A ball has volume V_n(R) = π^{n/2} R^n / Γ(n/2+1); differentiating in R gives the area S_{n−1} of the unit
sphere of R^n. The points at angle θ from a fixed direction form a sphere of radius sin θ in R^{d−1}, so the
angle between two uniform directions has density S_{d−2} sin^{d−2}θ / S_{d−1}, and a cap of radius α has area
S_{d−1} F(α), F the distribution function. Logarithms come first: at d = 10^5, F(1.4) ≈ 2e−639.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gamma, gammaln, roots_legendre, xlogy

from theory._validation import check_integer, check_radius, check_range

FloatArray = NDArray[np.float64]

# On [0, 1]. Even 20 nodes resolve e^{−37u}, a bell or a power to rounding, and e^{−37} is below it.
_NODES, _WEIGHTS = roots_legendre(26)
_NODES, _WEIGHTS = 0.5 * (_NODES + 1.0), 0.5 * _WEIGHTS
_LOG_NEGLIGIBLE = -37.0
_BLOCK = 2048  # points whose nodes are held at once: 416 KiB an array, within a processor's cache


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
    d = _check_integers("dim", dim, 1)
    return _unwrap(math.log(2.0) + 0.5 * d * math.log(math.pi) - gammaln(0.5 * d))


def sphere_area(dim: ArrayLike) -> float | FloatArray:
    """Area of the unit sphere of R^d; see :func:`log_sphere_area`."""
    return _unwrap(np.exp(log_sphere_area(dim)))


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
    return _unwrap(_log_ball_volume(_check_integers("dim", dim, 1)))


def ball_volume(dim: ArrayLike) -> float | FloatArray:
    """Volume of the unit ball of R^d; see :func:`log_ball_volume`."""
    return _unwrap(np.exp(log_ball_volume(dim)))


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
    d, alpha = _check_integers("dim", dim, 2), check_radius(radius)
    return _unwrap(log_sphere_area(dim) + _log_cdf(alpha, d))


def cap_area(dim: ArrayLike, radius: ArrayLike) -> float | FloatArray:
    """Area of a spherical cap; see :func:`log_cap_area`."""
    return _unwrap(np.exp(log_cap_area(dim, radius)))


def log_disc_area(dim: ArrayLike, radius: ArrayLike) -> float | FloatArray:
    r"""Logarithm of the area of the flat disc that a cap's rim spans, :math:`V_{d−1} \sin^{d−1}α`.

    Parameters, Returns and Raises as for :func:`log_cap_area`.
    """
    d, alpha = _check_integers("dim", dim, 2), check_radius(radius)
    return _unwrap(_log_ball_volume(d - 1.0) + _log_sine_power(alpha, d - 1.0))


def disc_area(dim: ArrayLike, radius: ArrayLike) -> float | FloatArray:
    """Area of the flat disc that a cap's rim spans; see :func:`log_disc_area`."""
    return _unwrap(np.exp(log_disc_area(dim, radius)))


def disc_to_cap_ratio(dim: ArrayLike, radius: ArrayLike) -> float | FloatArray:
    r"""Area of the flat disc over the area of its cap, :math:`\sin^{d−1}α / ((d−1) ∫_0^α \sin^{d−2})`.

    The mean of cos θ over the cap (projecting the cap on the disc shrinks each area element by cos θ): it
    falls from 1 at α → 0 to 0 at π. Relative error below 5e−14 for α ≤ π/2: no logarithms are subtracted.

    Parameters, Returns and Raises as for :func:`log_cap_area`.
    """
    d, alpha = _check_integers("dim", dim, 2), check_radius(radius)
    up_to_hemisphere = 1.0 / ((d - 1.0) * _power_integral(_fold(alpha), d))
    beyond = np.exp(_log_leading_coefficient(d) + _log_sine_power(alpha, d - 1.0) - _log_cdf(alpha, d))
    return _unwrap(np.where(alpha > 0.5 * math.pi, beyond, up_to_hemisphere))


def angle_logpdf(theta: ArrayLike, dim: ArrayLike) -> float | FloatArray:
    r"""Log density of the angle between two independent uniform directions of R^d.

    .. math:: \log f(θ) = \log\frac{Γ(d/2)}{\sqrt{π}\,Γ((d−1)/2)} + (d−2) \log\sin θ

    Parameters
    ----------
    theta : float or array
        Angle, radians, in [0, π].
    dim : int or array of int
        Ambient dimension d ≥ 2.

    Returns
    -------
    float or ndarray, shape of ``theta`` and ``dim`` broadcast
        −∞ at θ = 0 for d > 2. A float is taken at its word: π rounds to a number 1.2e−16 short of it.

    Raises
    ------
    ValueError
        If ``theta`` is outside [0, π] or ``dim`` is not an integer ≥ 2.

    References
    ----------
    Paper, Eq. 8; Cai, Fan and Jiang, *Distributions of angles in random packing on spheres*, JMLR 14, 2013.
    """
    return _unwrap(_log_density(*_check_angle(theta, dim)))


def angle_pdf(theta: ArrayLike, dim: ArrayLike) -> float | FloatArray:
    """Density (per radian) of the angle between two uniform directions of R^d; see :func:`angle_logpdf`."""
    return _unwrap(np.exp(_log_density(*_check_angle(theta, dim))))


def angle_logcdf(theta: ArrayLike, dim: ArrayLike) -> float | FloatArray:
    r"""Logarithm of :math:`F(θ) = P(Θ ≤ θ)`: ½ I_{sin²θ}((d−1)/2, ½) for θ ≤ π/2 and 1 − F(π−θ) beyond.

    The integral of (sin t/sin θ)^{d−2} over [0, θ] is taken by Gauss–Legendre where it is not negligible. The
    absolute error is below 5e−14 plus four units of rounding of (d−1) log sin θ.

    Parameters, Returns and Raises as for :func:`angle_logpdf`; −∞ at θ = 0.

    References
    ----------
    Li, *Concise formulas for the area and volume of a hyperspherical cap*, 2011.
    """
    return _unwrap(_log_cdf(*_check_angle(theta, dim)))


def angle_cdf(theta: ArrayLike, dim: ArrayLike) -> float | FloatArray:
    """P(Θ ≤ θ) for the angle between two independent uniform directions of R^d; see :func:`angle_logcdf`."""
    t, d = _check_angle(theta, dim)
    return _unwrap(_probability_below(t, d, t > 0.5 * math.pi))


def angle_sf(theta: ArrayLike, dim: ArrayLike) -> float | FloatArray:
    """P(Θ > θ) = F(π − θ), without the cancellation of 1 − F(θ) near π; see :func:`angle_logcdf`."""
    t, d = _check_angle(theta, dim)
    return _unwrap(_probability_below(t, d, t <= 0.5 * math.pi))


def expected_nearest_neighbor_angle(n: ArrayLike, dim: ArrayLike, method: str = "exact") -> float | FloatArray:
    r"""Expected angle from one of n independent uniform directions of R^d to the nearest of the other n − 1.

    ``exact`` is :math:`∫_0^π (1−F(θ))^{n−1} dθ`, by quadrature with a relative error below 1e−14 (n ≤ 10^9,
    d ≤ 10^6). ``asymptotic`` is its limit for n → ∞ at fixed d, where :math:`F(θ) ≈ c_d θ^{d−1}`:

    .. math:: Γ(\tfrac{d}{d−1})\, ((n−1)\, c_d)^{−1/(d−1)}, \quad
        c_d = \frac{Γ(d/2)}{\sqrt{π}\,(d−1)\,Γ((d−1)/2)}

    The limit takes sin θ for θ, so it needs log n ≫ d: at n = 100 it is 0.1 % high for d = 3 and
    12 % low for d = 16; at n = 1000, 25 % low (0.32 rad) for d = 128 and 32 % low (0.47 rad) for
    d = 1024. At d = 2 it is π/(n−1) where π/n is exact.

    Parameters
    ----------
    n : int or array of int
        Number of directions, n ≥ 2.
    dim : int or array of int
        Ambient dimension d ≥ 2.
    method : {"exact", "asymptotic"}

    Returns
    -------
    float or ndarray, shape of ``n`` and ``dim`` broadcast
        Radians.

    Raises
    ------
    ValueError
        If ``n`` or ``dim`` is not an integer ≥ 2, or ``method`` is unknown.

    References
    ----------
    Paper, Fig. 11; Brauchart, Reznikov, Saff, Sloan, Wang and Womersley, *Random point sets on the sphere:
    hole radii, covering, and separation*, Experimental Mathematics 27, 2018.
    """
    count, d = _check_integers("n", n, 2) - 1.0, _check_integers("dim", dim, 2)
    if method == "exact":
        return _unwrap(_expected_minimum(count, d))
    if method == "asymptotic":
        return _unwrap(_expected_minimum_of_powers(count, d))
    raise ValueError(f"method must be 'exact' or 'asymptotic', got {method!r}.")


def expected_separation_angle(n: ArrayLike, dim: ArrayLike, method: str = "asymptotic") -> float | FloatArray:
    r"""Expected smallest of the n(n−1)/2 angles between n uniform directions of R^d, by two approximations.

    ``asymptotic`` is the θ̄ of the paper's Fig. 11, there called the expected nearest-neighbour angle,

    .. math:: \barθ = n^{−2/(d−1)}\, Γ(\tfrac{d}{d−1})
        \left[\frac{Γ(d/2)}{2\sqrt{π}\,(d−1)\,Γ((d−1)/2)}\right]^{−1/(d−1)},

    the limit for n → ∞ at fixed d (Brauchart et al.). It is exact at d = 2 (2π/n²) and good while
    the angle is small: 2 % low at n = 10, d = 3. It tends to 1 rad as d grows, where the separation
    tends to π/2: at n = 100 it is 6 % low for d = 16; at n = 1000, 20 % low (0.24 rad) for d = 128
    and 30 % low (0.43 rad) for d = 1024.

    ``independent-pairs`` is :math:`∫_0^π (1−F)^{n(n−1)/2} dθ`, as if the angles were independent
    (any two of them are). It is high by a factor n²/(n²−n+2) at d = 2 (9 % at n = 10) and by 3 % at
    n = 10, d = 3; simulation finds no error at n ≥ 100, to within 0.2 % for d = 16 and 0.1 % for
    d = 128 and 1024.

    Parameters, Returns, Raises and References as for :func:`expected_nearest_neighbor_angle`, but for
    ``method``: {"asymptotic", "independent-pairs"}.
    """
    count, d = _check_integers("n", n, 2), _check_integers("dim", dim, 2)
    if method == "asymptotic":
        return _unwrap(_expected_minimum_of_powers(0.5 * count**2, d))
    if method == "independent-pairs":
        return _unwrap(_expected_minimum(0.5 * count * (count - 1.0), d))
    raise ValueError(f"method must be 'asymptotic' or 'independent-pairs', got {method!r}.")


def _check_integers(name: str, value: ArrayLike, minimum: int) -> FloatArray:
    """An integer or integer array ≥ ``minimum``, as float64."""
    array = np.asarray(value)
    if array.dtype.kind not in "iu" or np.any(array < minimum):
        for entry in np.asarray(value, dtype=object).flat:
            check_integer(name, entry, minimum)
    return array.astype(np.float64)


def _check_angle(theta: ArrayLike, dim: ArrayLike) -> tuple[FloatArray, FloatArray]:
    return check_range("theta", theta, 0.0, math.pi, "in [0, π]"), _check_integers("dim", dim, 2)


def _unwrap(value: FloatArray) -> float | FloatArray:
    return float(value) if np.ndim(value) == 0 else value


def _fold(theta: FloatArray) -> FloatArray:
    """min(θ, π−θ), where π is the number and not the float."""
    return np.minimum(theta, (math.pi - theta) + math.sin(math.pi))


def _log_ball_volume(dim: FloatArray) -> FloatArray:
    return 0.5 * dim * math.log(math.pi) - gammaln(0.5 * dim + 1.0)


def _log_area_ratio(dim: FloatArray) -> FloatArray:
    """log S_{d−2}/S_{d−1} = log Γ(d/2)/(√π Γ((d−1)/2)); gammaln's difference would lose 5e−11 at d = 10^5."""
    z = 0.5 * (dim - 1.0)
    w = 1.0 / np.maximum(z, 20.0)  # Stirling's series: the first term left out is below 5e−18
    tail = 1 / 8 - w**2 * (1 / 192 - w**2 * (1 / 640 - w**2 * (17 / 14336 - w**2 * 31 / 18432)))
    small = np.minimum(z, 20.0)
    log_gamma_ratio = np.where(z < 20.0, np.log(gamma(small + 0.5) / gamma(small)), 0.5 * np.log(z) - w * tail)
    return log_gamma_ratio - 0.5 * math.log(math.pi)


def _log_sine_power(theta: FloatArray, power: FloatArray) -> FloatArray:
    """log sin^p θ, where sin θ near 1 would lose the digits that p multiplies."""
    cosine = np.cos(theta)
    near_one = 0.5 * power * np.log1p(-np.minimum(cosine**2, 0.5))
    return np.where(cosine**2 < 0.5, near_one, xlogy(power, np.sin(theta)))


def _log_density(theta: FloatArray, dim: FloatArray) -> FloatArray:
    return _log_area_ratio(dim) + _log_sine_power(theta, dim - 2.0)


def _power_integral(theta: FloatArray, dim: FloatArray) -> FloatArray:
    """∫_0^θ sin^{d−2}t dt / sin^{d−1}θ for 0 ≤ θ ≤ π/2: from 1/(d−1) at θ = 0 to about sqrt(π/2d)."""
    # the limit at 0 is reached to rounding long before 1e−100, and subnormal angles lack the digits
    theta, dim = np.broadcast_arrays(np.maximum(theta, 1e-100), dim)
    integral = np.empty(theta.size)
    for start in range(0, theta.size, _BLOCK):
        block = slice(start, start + _BLOCK)
        t, power = theta.ravel()[block, None], dim.ravel()[block, None] - 2.0
        # the integrand is e^{−37} where sin t = sin θ · e^{−37/p}; at p = 0 and 1 that is 0 to rounding
        width = t - np.arcsin(np.sin(t) * np.exp(_LOG_NEGLIGIBLE / np.maximum(power, 1.0)))
        half = 0.5 * width * _NODES  # (θ − t)/2, and sin t/sin θ − 1 has two terms of one sign
        sine = np.sin(half)
        drop = 2.0 * (sine**2 + sine / np.tan(t) * np.cos(half))
        integral[block] = (width / np.sin(t))[:, 0] * (np.exp(power * np.log1p(-drop)) @ _WEIGHTS)
    return integral.reshape(theta.shape)


def _log_tail(theta: FloatArray, dim: FloatArray) -> FloatArray:
    """log min(F(θ), 1 − F(θ)) = log F of the folded angle."""
    folded = _fold(theta)
    return _log_area_ratio(dim) + _log_sine_power(folded, dim - 1.0) + np.log(_power_integral(folded, dim))


def _log_cdf(theta: FloatArray, dim: FloatArray) -> FloatArray:
    tail = _log_tail(theta, dim)
    # each branch is valid everywhere, as the tail is at most log ½
    return np.where(theta > 0.5 * math.pi, np.log1p(-np.exp(tail)), tail)


def _probability_below(theta: FloatArray, dim: FloatArray, complement: NDArray[np.bool_]) -> FloatArray:
    tail = _log_tail(theta, dim)
    return np.where(complement, -np.expm1(tail), np.exp(tail))


def _log_leading_coefficient(dim: FloatArray) -> FloatArray:
    """log c_d, where F(θ) ≈ c_d θ^{d−1} for small θ (and F is less everywhere)."""
    return _log_area_ratio(dim) - np.log(dim - 1.0)


def _expected_minimum_of_powers(count: FloatArray, dim: FloatArray) -> FloatArray:
    """∫_0^∞ exp(−N c_d θ^{d−1}) dθ: the mean of a Weibull law."""
    power = dim - 1.0
    return np.exp(gammaln(1.0 + 1.0 / power) - (np.log(count) + _log_leading_coefficient(dim)) / power)


def _log_survival(theta: FloatArray, dim: FloatArray) -> FloatArray:
    tail = _log_tail(theta, dim)
    return np.where(theta > 0.5 * math.pi, tail, np.log1p(-np.exp(tail)))


# The least of N angles exceeds θ with probability e^{−H}, H = −N log(1−F(θ)). Before the first of these
# hazards that is 1 and after the last 0, to rounding; between two it is smooth enough for the nodes.
_HAZARDS = np.array([1e-17, 0.1, 3.0, 40.0])


def _expected_minimum(count: FloatArray, dim: FloatArray) -> FloatArray:
    """∫_0^π (1−F)^N dθ."""
    count, dim = np.broadcast_arrays(count[..., None], dim[..., None])
    edges = _survival_quantile(-_HAZARDS / count, dim)
    widths = np.diff(edges)
    theta = edges[..., :-1, None] + widths[..., None] * _NODES
    survival = np.exp(count[..., None] * _log_survival(theta, dim[..., None]))
    return edges[..., 0] + np.sum(widths * (survival @ _WEIGHTS), axis=-1)


def _survival_quantile(log_survival: FloatArray, dim: FloatArray) -> FloatArray:
    """θ with log(1−F(θ)) as given, to 1 % of the tail probability (panel edges need no more)."""
    above = log_survival < -math.log(2.0)
    log_tail = np.where(above, log_survival, np.log(-np.expm1(log_survival)))
    # log F is concave in log θ and F ≤ c_d θ^{d−1}: Newton's method from that root climbs to the true one
    log_theta = (log_tail - _log_leading_coefficient(dim)) / (dim - 1.0)
    while True:
        theta = np.minimum(np.exp(log_theta), 0.5 * math.pi)
        missing = log_tail - _log_tail(theta, dim)
        if np.all(missing < 0.01):
            return np.where(above, math.pi - theta, theta)
        slope = theta / (np.sin(theta) * _power_integral(theta, dim))  # d log F / d log θ = θ f/F
        log_theta = np.log(theta) + missing / slope

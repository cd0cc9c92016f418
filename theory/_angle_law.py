"""The law of the angle between random directions: its integrals and logarithms, for arrays that have been checked.

Everything is in logarithms until it is small again: at d = 10^5, F(1.4) ≈ 2e−639.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gamma, roots_legendre, xlogy

from theory._validation import check_integer

FloatArray = NDArray[np.float64]

# On [0, 1]. Even 20 nodes resolve e^{−37u}, a bell or a power to rounding, and e^{−37} is below it.
_NODES, _WEIGHTS = roots_legendre(26)
_NODES, _WEIGHTS = 0.5 * (_NODES + 1.0), 0.5 * _WEIGHTS
_LOG_NEGLIGIBLE = -37.0
_BLOCK = 2048  # points whose nodes are held at once: 416 KiB an array, within a processor's cache


def check_integers(name: str, value: ArrayLike, minimum: int) -> FloatArray:
    """An integer or integer array ≥ ``minimum``, as float64."""
    array = np.asarray(value)
    if array.dtype.kind not in "iu" or np.any(array < minimum):
        for entry in np.asarray(value, dtype=object).flat:
            check_integer(name, entry, minimum)
    return array.astype(np.float64)


def unwrap(value: FloatArray) -> float | FloatArray:
    """An array of no dimensions as a float."""
    return float(value) if np.ndim(value) == 0 else value


def fold(theta: FloatArray) -> FloatArray:
    """min(θ, π−θ), where π is the number and not the float."""
    return np.minimum(theta, (math.pi - theta) + math.sin(math.pi))


def log_area_ratio(dim: FloatArray) -> FloatArray:
    """log S_{d−2}/S_{d−1} = log Γ(d/2)/(√π Γ((d−1)/2)); gammaln's difference would lose 5e−11 at d = 10^5."""
    z = 0.5 * (dim - 1.0)
    w = 1.0 / np.maximum(z, 20.0)  # Stirling's series: the first term left out is below 5e−18
    tail = 1 / 8 - w**2 * (1 / 192 - w**2 * (1 / 640 - w**2 * (17 / 14336 - w**2 * 31 / 18432)))
    small = np.minimum(z, 20.0)
    log_gamma_ratio = np.where(z < 20.0, np.log(gamma(small + 0.5) / gamma(small)), 0.5 * np.log(z) - w * tail)
    return log_gamma_ratio - 0.5 * math.log(math.pi)


def log_sine_power(theta: FloatArray, power: FloatArray) -> FloatArray:
    """log sin^p θ, where sin θ near 1 would lose the digits that p multiplies."""
    cosine = np.cos(theta)
    near_one = 0.5 * power * np.log1p(-np.minimum(cosine**2, 0.5))
    return np.asarray(np.where(cosine**2 < 0.5, near_one, xlogy(power, np.sin(theta))))


def log_density(theta: FloatArray, dim: FloatArray) -> FloatArray:
    """log f(θ)."""
    return log_area_ratio(dim) + log_sine_power(theta, dim - 2.0)


def power_integral(theta: FloatArray, dim: FloatArray) -> FloatArray:
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


def log_tail(theta: FloatArray, dim: FloatArray) -> FloatArray:
    """log min(F(θ), 1 − F(θ)) = log F of the folded angle."""
    folded = fold(theta)
    return log_area_ratio(dim) + log_sine_power(folded, dim - 1.0) + np.log(power_integral(folded, dim))


def log_cdf(theta: FloatArray, dim: FloatArray) -> FloatArray:
    """log F(θ)."""
    tail = log_tail(theta, dim)
    # each branch is valid everywhere, as the tail is at most log ½
    return np.where(theta > 0.5 * math.pi, np.log1p(-np.exp(tail)), tail)


def probability_below(theta: FloatArray, dim: FloatArray, complement: NDArray[np.bool_]) -> FloatArray:
    """The lesser of F(θ) and 1 − F(θ), or the other where ``complement``."""
    tail = log_tail(theta, dim)
    return np.where(complement, -np.expm1(tail), np.exp(tail))


def log_leading_coefficient(dim: FloatArray) -> FloatArray:
    """log c_d, where F(θ) ≈ c_d θ^{d−1} for small θ (and F is less everywhere)."""
    return log_area_ratio(dim) - np.log(dim - 1.0)


def log_survival(theta: FloatArray, dim: FloatArray) -> FloatArray:
    """log(1 − F(θ))."""
    tail = log_tail(theta, dim)
    return np.where(theta > 0.5 * math.pi, tail, np.log1p(-np.exp(tail)))


# The least of N angles exceeds θ with probability e^{−H}, H = −N log(1−F(θ)). Before the first of these
# hazards that is 1 and after the last 0, to rounding; between two it is smooth enough for the nodes.
_HAZARDS = np.array([1e-17, 0.1, 3.0, 40.0])


def expected_minimum(count: FloatArray, dim: FloatArray) -> FloatArray:
    """∫_0^π (1−F)^N dθ."""
    count, dim = np.broadcast_arrays(count[..., None], dim[..., None])
    edges = survival_quantile(-_HAZARDS / count, dim)
    widths = np.diff(edges)
    theta = edges[..., :-1, None] + widths[..., None] * _NODES
    survival = np.exp(count[..., None] * log_survival(theta, dim[..., None]))
    return np.asarray(edges[..., 0] + np.sum(widths * (survival @ _WEIGHTS), axis=-1))


def survival_quantile(log_share: FloatArray, dim: FloatArray) -> FloatArray:
    """θ with log(1−F(θ)) as given, to 1 % of the tail probability (panel edges need no more)."""
    above = log_share < -math.log(2.0)
    wanted = np.where(above, log_share, np.log(-np.expm1(log_share)))
    # log F is concave in log θ and F ≤ c_d θ^{d−1}: Newton's method from that root climbs to the true one
    log_theta = (wanted - log_leading_coefficient(dim)) / (dim - 1.0)
    while True:
        theta = np.minimum(np.exp(log_theta), 0.5 * math.pi)
        missing = wanted - log_tail(theta, dim)
        if np.all(missing < 0.01):
            return np.where(above, math.pi - theta, theta)
        slope = theta / (np.sin(theta) * power_integral(theta, dim))  # d log F / d log θ = θ f/F
        log_theta = np.log(theta) + missing / slope

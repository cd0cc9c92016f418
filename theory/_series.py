"""The exact Funk–Hecke series of an expected distance.

A function of the cosine expands as F(c) = Σ_n N_n F_n P_n(c), P_n the Gegenbauer polynomial of index λ = (d−2)/2 with
P_n(1) = 1; for laws that are symmetric about their axes E F(u·v) = Σ_n N_n F_n a_n a'_n P_n(ρ) with
a_n = E P_n(cos θ). Everything here is an array over n = 0 … count−1.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import dtbsv
from scipy.special import gamma

from theory.metrics import AngularDistance, PowerDistance

FloatArray = NDArray[np.float64]


class Expansion(NamedTuple):
    """N_n F_n for n < count, and Σ_{n ≥ count} |N_n F_n|."""

    terms: FloatArray
    tail: float


def gamma_ratio(x: float, s: float) -> float:
    """Γ(x+s)/Γ(x) for x > 0, s ≥ 0, to a few units in the last place at any x.

    The difference of two log-gammas loses log10(x) digits; Stirling's series, with log(1 + s/x), does not.
    """
    if x + s < 30.0:
        return float(gamma(x + s) / gamma(x))
    shift = 1.0
    while x < 16.0:  # Stirling's four corrections are good to 1e−16 from here on
        shift *= x / (x + s)
        x += 1.0

    def correction(z: float) -> float:
        return (1.0 / 12.0 - (1.0 / 360.0 - (1.0 / 1260.0 - 1.0 / (1680.0 * z * z)) / (z * z)) / (z * z)) / z

    log_rest = (x - 0.5) * math.log1p(s / x) - s + correction(x + s) - correction(x)
    return float(shift * (x + s) ** s * math.exp(log_rest))


Expandable = PowerDistance | AngularDistance
"""The distances whose coefficients are known in closed form."""


def sphere_mean(metric: Expandable, dim: int) -> float:
    """F_0: the mean of F(u·v) for v uniform on the sphere."""
    if isinstance(metric, AngularDistance):
        return 0.5 * math.pi
    half, s = 0.5 * (dim - 1), float(metric.s)
    return float(metric.scale * 4.0**s * gamma_ratio(half, s) / gamma_ratio(2.0 * half, s))


@lru_cache(maxsize=64)
def expansion(metric: Expandable, dim: int, count: int) -> Expansion:
    r"""Coefficients of a power of the chord or of the angle.

    For (2−2c)^s the partial sums telescope: Σ_{n ≤ N} N_n F_n = F_0 T_N with
    T_N = Π_{n ≤ N} (1 − 2s(λ+n)/(n(2λ+s+n))), so N_n F_n = F_0 (T_n − T_{n−1}) and the tail is F_0 |T_N|, once n > s.
    """
    lam = 0.5 * dim - 1.0
    mean = sphere_mean(metric, dim)
    n = np.arange(1.0, count)
    if isinstance(metric, PowerDistance):
        s = float(metric.s)
        drop = 2.0 * s * (lam + n) / (n * (2.0 * lam + s + n))
        partial = np.concatenate(([1.0], np.cumprod(1.0 - drop)))
        terms = mean * np.concatenate(([1.0], -drop * partial[:-1]))
        # beyond n = s the terms share one sign
        tail = abs(mean * partial[-1]) if count > s + 1 else math.inf
        return Expansion(terms, tail)
    odd = np.arange(3.0, count, 2.0)
    ratio = (odd + lam) * (odd - 2.0) ** 2 * (2.0 * lam + odd - 2.0) * (2.0 * lam + odd - 1.0)
    ratio /= (odd + lam - 2.0) * (2.0 * lam + odd) ** 2 * odd * (odd - 1.0)
    first = -dim * gamma_ratio(lam + 0.5, 0.5) ** 2 / (2.0 * (lam + 0.5) ** 2)
    terms = np.zeros(count)
    terms[0] = mean
    terms[1::2] = first * np.concatenate(([1.0], np.cumprod(ratio)))
    # all terms but the first are ≤ 0 and sum to −F_0; the remainder falls like 1/n, so subtracting keeps its digits
    return Expansion(terms, abs(float(terms.sum())) + 1e-15)


@lru_cache(maxsize=8)
def _recurrence(dim: int, count: int) -> tuple[FloatArray, FloatArray]:
    lam = 0.5 * dim - 1.0
    n = np.arange(1.0, count)
    forward = np.concatenate(([1.0], 2.0 * (n[:-1] + lam) / (n[:-1] + 2.0 * lam)))
    return forward, n[:-1] / (n[:-1] + 2.0 * lam)


def gegenbauer(dim: int, cosine: float, sine: float, count: int) -> tuple[FloatArray, float]:
    """P_0 … P_{count−1} at one point, and a bound on |P_n| for all n ≥ count.

    (n+2λ) P_{n+1} = 2(n+λ) c P_n − n P_{n−1} is a triangular band system; BLAS solves it in a few ns a term. The
    energy (P_n − c P_{n−1})² + (1−c²) P_{n−1}² does not increase with n, which bounds everything that follows.
    """
    if count < 2:
        return np.ones(count), 1.0
    forward, backward = _recurrence(dim, count)
    band = np.zeros((3, count), order="F")
    band[1, : count - 1] = -cosine * forward
    band[2, : count - 2] = backward
    start = np.zeros(count)
    start[0] = 1.0
    values = dtbsv(2, band, start, lower=1, diag=1, overwrite_x=1)
    if sine <= 0.0:
        return values, 1.0
    step = values[-1] - cosine * values[-2]
    return values, min(1.0, math.hypot(step, sine * values[-2]) / sine)

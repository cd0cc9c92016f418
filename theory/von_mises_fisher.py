"""The von Mises–Fisher law: the other standard model of a class around its vertex, with a soft rim.

Theorem 1 needs only the mean resultant length of a law that is symmetric about the vertex, so no result may hang on
the caps being uniform; this law has the interface of :class:`theory.caps.UniformCap`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln, hyp0f1, xlogy

from theory._sampling import sample_around_axis, sample_vmf_polar
from theory._validation import check_dim, check_range
from theory.caps import plain

FloatArray = NDArray[np.float64]

_UNIFORM_FROM = 50.0  # √(ν² + κ²) from which twelve terms of the uniform expansion are right to rounding
_TERMS = 13


@lru_cache(maxsize=1)
def _debye() -> tuple[list[FloatArray], list[FloatArray]]:
    """Debye's polynomials U_k and W_k = U_k/2 + p U_k', divided by p^k, as coefficients in p² (DLMF 10.41.9–10)."""
    even, odd = [], []
    u = np.array([1.0])
    for k in range(_TERMS):
        degree = np.arange(u.size)
        even.append(u[k::2])
        odd.append(((0.5 + degree) * u)[k::2])
        slope = np.polynomial.polynomial.polyder(u)
        flow = np.polynomial.polynomial.polymul([0.0, 0.0, 0.5, 0.0, -0.5], slope if u.size > 1 else [0.0])
        rest = np.polynomial.polynomial.polyint(np.polynomial.polynomial.polymul([0.125, 0.0, -0.625], u))
        u = np.zeros(3 * (k + 1) + 1)
        u[: flow.size] += flow[: u.size]
        u[: rest.size] += rest[: u.size]
    return even, odd


def _debye_sums(order: FloatArray, kappa: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(R, Σ U_k, Σ W_k) with R = √(ν² + κ²), each polynomial at p = ν/R over ν^k."""
    radius = np.hypot(order, kappa)
    square = (order / radius) ** 2
    sums = [np.zeros_like(radius), np.zeros_like(radius)]
    for total, table in zip(sums, _debye(), strict=True):
        for coefficients in reversed(table):
            total /= radius
            total += np.polynomial.polynomial.polyval(square, coefficients)
    return radius, sums[0], sums[1]


def bessel_ratio(order: FloatArray, kappa: FloatArray) -> tuple[FloatArray, FloatArray]:
    r"""r = I_{ν+1}(κ)/I_ν(κ) and 1 − r, both to a few units in the last place, for ν ≥ 0 and κ ≥ 0.

    The uniform expansion, r = κ/(R+ν) − κ/R²·ΣW/ΣU, serves where R is large; from there
    r_ν = κ/(2(ν+1) + κ r_{ν+1}) leads down to small orders and is a contraction.
    """
    order, kappa = np.broadcast_arrays(np.asarray(order, dtype=np.float64), kappa)
    shift = np.where(np.hypot(order, kappa) < _UNIFORM_FROM, _UNIFORM_FROM, 0.0)
    top = order + shift
    radius, u, w = _debye_sums(top, kappa)
    correction = kappa / radius**2 * (w / u)
    ratio = kappa / (radius + top) - correction
    complement = (top + top * (top / (radius + kappa))) / (radius + top) + correction
    if np.any(shift):
        for back in np.arange(_UNIFORM_FROM - 1.0, -1.0, -1.0):
            twice = 2.0 * (order + back + 1.0)
            below = twice + kappa * ratio
            ratio, complement = (
                np.where(shift > 0, kappa / below, ratio),
                np.where(shift > 0, (twice - kappa * complement) / below, complement),
            )
    return ratio, complement


def log_bessel(order: float, kappa: FloatArray) -> FloatArray:
    """log[e^{−κ} (2/κ)^ν I_ν(κ)] for ν ≥ 0 and κ ≥ 0; −log Γ(ν+1) at κ = 0."""
    small = np.hypot(order, kappa) < _UNIFORM_FROM
    safe = np.where(small, _UNIFORM_FROM, kappa)
    radius, u, _ = _debye_sums(np.asarray(order), safe)
    # the exponentials of the uniform expansion are taken together
    value = order * np.log(2.0 / (order + radius)) + order**2 / (radius + safe) - 0.5 * np.log(2.0 * np.pi * radius)
    value = value + np.log(u)
    if np.any(small):
        near = np.where(small, kappa, 0.0)
        value = np.where(small, np.log(hyp0f1(order + 1.0, 0.25 * near**2)) - gammaln(order + 1.0) - near, value)
    return value


def log_mean_exponential(order: float, kappa: FloatArray) -> FloatArray:
    """log E e^{κ(t−1)} for t the first coordinate of a uniform point of S^{2ν+1}, ν ≥ −½ the order; 0 at κ = 0.

    The value is log[e^{−κ} Γ(ν+1) (2/κ)^ν I_ν(κ)]. For large ν the expansions of I_ν and of Γ are subtracted term by
    term, so that nothing of the size of ν log ν is left to round.
    """
    kappa = np.asarray(kappa, dtype=np.float64)
    if order == -0.5:  # t = ±1
        return np.asarray(np.log1p(np.exp(-2.0 * kappa)) - math.log(2.0))
    if order < _UNIFORM_FROM:
        return np.asarray(log_bessel(order, kappa) + gammaln(order + 1.0))
    nu = np.asarray(order)
    radius, u, _ = _debye_sums(nu, kappa)
    u_zero = _debye_sums(nu, np.zeros(()))[1]
    growth = -nu * np.log1p(0.5 * kappa * (kappa / (nu * (radius + nu))))
    growth -= 2.0 * kappa * nu / (radius + kappa + nu)
    return np.asarray(growth + 0.5 * np.log(nu / radius) + np.log(u / u_zero))


@dataclass(frozen=True)
class VonMisesFisher:
    r"""The law with density :math:`∝ e^{κ\,u·w}` on the unit sphere of :math:`R^d`.

    .. math:: f(θ) = \frac{e^{κ\cos θ}\sin^{d−2}θ}{\sqrt π\,Γ((d−1)/2)\,(2/κ)^λ\,I_λ(κ)}, \qquad λ = d/2 − 1

    Parameters
    ----------
    dim : int
        Ambient dimension d ≥ 2.
    kappa : float or array
        Concentration κ in [0, 1e8]; 0 is the uniform law. An array makes every method broadcast.

    Raises
    ------
    ValueError
        For a dimension below 2 or a concentration outside [0, 1e8].

    References
    ----------
    Mardia & Jupp, *Directional Statistics*, 2000, section 9.3.
    """

    dim: int
    kappa: ArrayLike

    def __post_init__(self) -> None:
        object.__setattr__(self, "dim", check_dim(self.dim))
        object.__setattr__(self, "kappa", plain(check_range("kappa", self.kappa, 0.0, 1e8, "in [0, 1e8]")))

    @property
    def _order(self) -> FloatArray:
        return np.asarray(0.5 * self.dim - 1.0)

    def mean_resultant_length(self) -> float | FloatArray:
        """m = E cos θ = I_{d/2}(κ)/I_{d/2−1}(κ), to 1e−14 relative."""
        return plain(bessel_ratio(self._order, np.asarray(self.kappa))[0])

    def mean_resultant_complement(self) -> float | FloatArray:
        """1 − m without cancellation: (d−1)/(2κ) for a concentrated law, right to its last digits."""
        return plain(bessel_ratio(self._order, np.asarray(self.kappa))[1])

    def zonal_coefficients(self, count: int) -> tuple[FloatArray, FloatArray]:
        """a_n = E P_n(cos θ) = I_{λ+n}(κ)/I_λ(κ) for n < count, and a bound on |a_n| for all n ≥ count."""
        kappa = np.asarray(self.kappa, dtype=np.float64)[..., None]
        ratio, complement = bessel_ratio(self._order + np.arange(count - 1.0), kappa)
        with np.errstate(divide="ignore"):
            steps = np.where(complement < 0.5, np.log1p(-np.minimum(complement, 0.5)), np.log(ratio))
        values = np.exp(np.concatenate((np.zeros_like(kappa), np.cumsum(steps, axis=-1)), axis=-1))
        return values, values[..., -1]

    def polar_logpdf(self, theta: ArrayLike) -> float | FloatArray:
        """Logarithm of the density of the angle to the axis; error a few 1e−16 × (dim·log dim + κ θ²).

        Parameters
        ----------
        theta : float or array
            Angle in radians, in [0, π]; broadcasts with ``kappa``.

        Raises
        ------
        ValueError
            For an angle outside [0, π].
        """
        angle, kappa = np.broadcast_arrays(check_range("theta", theta, 0.0, math.pi, "in [0, π]"), self.kappa)
        lam = float(self._order)
        log_total = 0.5 * math.log(math.pi) + gammaln(lam + 0.5) + log_bessel(lam, kappa)
        sines = xlogy(self.dim - 2.0, np.sin(angle))
        return plain(sines - 2.0 * kappa * np.sin(0.5 * angle) ** 2 - log_total)

    def polar_pdf(self, theta: ArrayLike) -> float | FloatArray:
        """Density of the angle to the axis, per radian; see :meth:`polar_logpdf`."""
        return plain(np.exp(self.polar_logpdf(theta)))

    def sample(
        self,
        size: int,
        axis: ArrayLike | None = None,
        rng: np.random.Generator | int | None = None,
    ) -> FloatArray:
        """Draw unit vectors around ``axis``; parameters as for :meth:`theory.caps.UniformCap.sample`."""
        if not isinstance(self.kappa, float):
            raise ValueError(f"kappa must be a scalar to sample from, got shape {np.shape(self.kappa)}.")
        rng = np.random.default_rng(rng)
        return sample_around_axis(sample_vmf_polar(self.dim, self.kappa, size, rng), self.dim, axis, rng)

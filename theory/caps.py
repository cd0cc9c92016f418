"""The uniform law on a hyperspherical cap: the paper's model of a class whose features sit around a fixed vertex.

A cap of angular radius α on the unit sphere of R^d has polar density ∝ sin^{d−2}θ on [0, α]. Its one number that
Theorem 1 needs is the mean resultant length m = E cos θ, the norm of the class mean.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory._quadrature import cap_moments, log_sine_ratio
from theory._sampling import sample_around_axis, sample_cap_polar
from theory._series import gegenbauer
from theory._validation import check_dim, check_radius, check_range
from theory.areas import log_cap_area

FloatArray = NDArray[np.float64]


def plain(values: ArrayLike) -> float | FloatArray:
    """A Python float for a scalar, the array otherwise."""
    array = np.asarray(values, dtype=np.float64)
    return float(array) if array.ndim == 0 else array


@dataclass(frozen=True)
class UniformCap:
    r"""The uniform law on the cap :math:`\{u : ∠(u, w) ≤ α\}` of the unit sphere of :math:`R^d`.

    .. math:: f(θ) = \frac{\sin^{d−2}θ}{\int_0^α \sin^{d−2}}, \qquad 0 ≤ θ ≤ α

    Parameters
    ----------
    dim : int
        Ambient dimension d ≥ 2.
    radius : float or array
        Angular radius α in radians, in (0, π]; π is the whole sphere. An array makes every method broadcast.

    Raises
    ------
    ValueError
        For a dimension below 2 or a radius outside (0, π].
    """

    dim: int
    radius: ArrayLike

    def __post_init__(self) -> None:
        object.__setattr__(self, "dim", check_dim(self.dim))
        object.__setattr__(self, "radius", plain(check_radius(self.radius)))

    def mean_resultant_length(self) -> float | FloatArray:
        r"""m = E cos θ = ‖E u‖ = sin^{d−1}α / ((d−1)∫_0^α sin^{d−2}), to 1e−14 relative; 0 at radius π.

        Returns
        -------
        float or ndarray, shape of ``radius``
        """
        return plain(cap_moments(self.dim, self.radius)[0])

    def mean_resultant_complement(self) -> float | FloatArray:
        """1 − m without cancellation: α²(d−1)/(2(d+1)) for a small cap, right to its last digits."""
        return plain(cap_moments(self.dim, self.radius)[1])

    def zonal_coefficients(self, count: int) -> tuple[FloatArray, FloatArray]:
        """a_n = E P_n(cos θ) for n < count, and a bound on |a_n| for all n ≥ count.

        a_n = m·Q_{n−1}(cos α), Q the normalised Gegenbauer polynomials of dimension d + 2, and a_0 = 1.
        """
        radius = np.asarray(self.radius, dtype=np.float64)
        mean = cap_moments(self.dim, radius)[0]
        values = np.ones((*radius.shape, count))
        bound = np.empty(radius.shape)
        for index in np.ndindex(radius.shape):
            cosine, sine = math.cos(radius[index]), math.sin(radius[index])
            values[(*index, slice(1, None))], bound[index] = gegenbauer(self.dim + 2, cosine, sine, count - 1)
        values[..., 1:] *= mean[..., None]
        return values, mean * bound

    def log_area(self) -> float | FloatArray:
        """Logarithm of the (d−1)-dimensional area of the cap; the primary form, as areas underflow at large d."""
        return plain(log_cap_area(self.dim, self.radius))

    def area(self) -> float | FloatArray:
        """The (d−1)-dimensional area of the cap: arc length at d = 2, area at d = 3."""
        return plain(np.exp(self.log_area()))

    def polar_logpdf(self, theta: ArrayLike) -> float | FloatArray:
        """Logarithm of the density of the angle to the axis; −inf outside the cap.

        Parameters
        ----------
        theta : float or array
            Angle in radians, in [0, π]; broadcasts with ``radius``.

        Raises
        ------
        ValueError
            For an angle outside [0, π].
        """
        theta, radius = np.broadcast_arrays(check_range("theta", theta, 0.0, math.pi, "in [0, π]"), self.radius)
        half = np.asarray(0.5 * math.pi)
        # the integral of (sin θ/sin α*)^{d−2} over the cap, α* the angle of the cap where the density is largest
        peak = np.minimum(radius, half)
        log_integral = np.log(np.sin(peak) / ((self.dim - 1) * cap_moments(self.dim, peak)[0]))
        wide = radius > half
        if np.any(wide):
            # J(α) = 2 J(π/2) − J(π−α), and J = sin^{d−1}/((d−1) m)
            rim = np.where(wide, np.exp((self.dim - 1) * log_sine_ratio(half - radius, half)), 0.0)
            folded = np.where(wide, np.maximum(math.pi - radius, 1e-300), half)
            share = 0.5 * rim * cap_moments(self.dim, half)[0] / cap_moments(self.dim, folded)[0]
            log_integral = log_integral + np.where(wide, math.log(2.0) + np.log1p(-share), 0.0)
        power = 0.0 if self.dim == 2 else (self.dim - 2) * log_sine_ratio(peak - theta, peak)
        return plain(np.where(theta <= radius, power - log_integral, -np.inf))

    def polar_pdf(self, theta: ArrayLike) -> float | FloatArray:
        """Density of the angle to the axis, per radian; see :meth:`polar_logpdf`."""
        return plain(np.exp(self.polar_logpdf(theta)))

    def sample(
        self,
        size: int,
        axis: ArrayLike | None = None,
        rng: np.random.Generator | int | None = None,
    ) -> FloatArray:
        """Draw unit vectors from the cap around ``axis``.

        Parameters
        ----------
        size : int
            Number of vectors.
        axis : array, shape (dim,), optional
            Unit vector; the first basis vector if not given.
        rng : Generator or seed, optional

        Returns
        -------
        ndarray, shape (size, dim)

        Raises
        ------
        ValueError
            If ``radius`` is an array: there is one law per radius.
        """
        if not isinstance(self.radius, float):
            raise ValueError(f"radius must be a scalar to sample from, got shape {np.shape(self.radius)}.")
        rng = np.random.default_rng(rng)
        return sample_around_axis(sample_cap_polar(self.dim, self.radius, size, rng), self.dim, axis, rng)

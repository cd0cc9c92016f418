"""Exact sampling of polar angles on the sphere, for caps and von Mises–Fisher, at the same cost in any dimension.

The polar angle θ of a uniform point of the cap of radius R in R^d has density ∝ sin^{d−2}θ on [0, R] (paper,
Eq. 8). A uniform variate becomes the angle through the quantile function, written for the haversine h = sin²(θ/2) as

    h = sin²(R/2)·exp(−L(E)),   E = −log P(θ' ≤ θ),

since L is smooth and keeps relative accuracy at both ends. L is solved by Newton's method at Chebyshev nodes in √E
(E = −log 2, where the sphere's far half would end, is a singularity). For speed e^−L is then tabulated as a
piecewise cubic of the share e^−E, 256 cells to an octave, which the leading bits of the floating-point number
address. Its error in E, relative in the probability, is 1e−12, and (d−1)/2 roundings of h where those are more
(4e−11 at d = 10^6). Radii above π/2 are the hemisphere's law reflected.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.polynomial import Chebyshev
from numpy.typing import NDArray
from scipy.linalg.blas import dger

from theory._quadrature import cap_moments

FloatArray = NDArray[np.float64]
Array = Any  # of NumPy or of torch: the kernels are written in what the two share
Size = int | tuple[int, ...]

_OCTAVES = 53  # uniforms in float64 are multiples of 2^−53
_CELL_BITS = 8  # 256 cells an octave: cubics through a cell's 0, ¼, ¾ and 1 miss E by 2^−32·6/1536 = 9e−13
_FRACTION_BITS = 52 - _CELL_BITS
_FRACTION_MASK = (1 << _FRACTION_BITS) - 1
_ONE = 1023 << 52  # the bits of 1.0
_FIRST_CELL = (1023 - _OCTAVES) << _CELL_BITS
_LEAST, _BELOW_ONE = 2.0**-_OCTAVES, 1.0 - 2.0**-53
# gains over a cell at its ¼, ¾ and 1 → coefficients of the powers 1, 2, 3 of its fraction in [0, 2^−8)
_POINTS = np.array([0.25, 0.75, 1.0]) / (1 << _CELL_BITS)
_TO_POWERS = np.linalg.inv(_POINTS[:, None] ** np.arange(1, 4))


def _log_shrink(depth: FloatArray, dim: int, radius: float) -> FloatArray:
    """L at which the cap of haversine sin²(R/2)·e^−L holds a share e^−depth of the cap of radius R ≤ π/2."""
    half_sine, tangent2 = math.sin(0.5 * radius), math.tan(0.5 * radius) ** 2
    flatness = math.cos(radius) / math.cos(0.5 * radius) ** 2  # 1 − tan²(R/2)
    mean = cap_moments(dim, radius)[0]  # m: a cap holds sin^{d−1}θ / ((d−1) m(θ))
    # m grows as θ falls, so this start, which leaves it out, is never short; Newton descends from there, as the
    # share is log-concave
    sine = math.sin(radius) * np.exp(-depth / (dim - 1))
    shrink = -2.0 * np.log(np.sin(0.5 * np.arcsin(sine)) / half_sine)
    for _ in range(20):
        half_angle = np.arcsin(half_sine * np.exp(-0.5 * shrink))
        inner_mean = cap_moments(dim, 2.0 * half_angle)[0]
        lost = -np.expm1(-shrink)  # sin²θ/sin²R = (1 − lost)(1 + tan²(R/2)·lost), which has two stable forms
        near = np.minimum(lost, 0.5)
        log_sines = 0.5 * np.where(
            lost < 0.5,
            np.log1p(-near * (flatness + tangent2 * near)),
            np.log1p(tangent2 * lost) - shrink,
        )
        slope = (dim - 1) * inner_mean / (2.0 * np.cos(half_angle) ** 2)  # dE/dL
        step = (depth + (dim - 1) * log_sines - np.log(inner_mean / mean)) / slope
        shrink = shrink + step
        if np.all(np.abs(step) <= 1e-9 * shrink):  # what is left is the square of it
            break
    return shrink


class CapQuantile:
    """Quantile function of the polar angle in a cap: uniform variates in [0, 1) to haversines or angles.

    Parameters
    ----------
    dim : int
        Ambient dimension d ≥ 2.
    radius : float
        Angular radius of the cap, radians, in (0, π].
    """

    def __init__(self, dim: int, radius: float) -> None:
        self.radius = radius
        self.folded = radius > 0.5 * math.pi
        base = 0.5 * math.pi if self.folded else radius
        self.half_sine = math.sin(0.5 * base)
        resolved = max(base, 1e-9)  # L depends on R through R²: below this, the flat limit
        reach = math.sqrt(_OCTAVES * math.log(2.0))
        curve = Chebyshev.interpolate(lambda x: _log_shrink(x * x, dim, resolved), 63, domain=[0.0, reach])
        octaves = np.ldexp(1.0, np.arange(-_OCTAVES, 0)).repeat(1 << _CELL_BITS)
        starts = octaves * np.tile(1.0 + np.arange(1 << _CELL_BITS) / (1 << _CELL_BITS), _OCTAVES)
        shrink = curve(np.sqrt(-np.log(starts)))
        # e^−L and its gains, not its values: at dim 10⁶ it moves by 10^−6 alone
        later = curve(np.sqrt(-np.log(np.minimum(starts + octaves * _POINTS[:, None], 1.0))))
        ratio = np.exp(-shrink)
        self.cubics: Array = np.vstack([ratio, _TO_POWERS @ (ratio * np.expm1(shrink - later))])
        self.share = 1.0  # of the whole sphere, which folded caps need
        if self.folded and radius < math.pi:
            mean, half_mean = cap_moments(dim, np.array([math.pi - radius, base]))[0]
            self.share -= 0.5 * math.exp((dim - 1) * math.log(math.sin(radius))) * float(half_mean / mean)
        self.xp: Any = np

    def to(self, torch: Any, device: str) -> CapQuantile:
        """The same function for torch tensors on ``device``."""
        moved = copy.copy(self)
        moved.xp, moved.cubics = torch, torch.as_tensor(self.cubics, device=device)
        return moved

    def _ratio(self, share: Array) -> Array:
        """sin²(θ/2)/sin²(R/2) of the cap that holds ``share`` of the cap of radius R ≤ π/2."""
        xp = self.xp
        bits = xp.clip(share, _LEAST, _BELOW_ONE).view(xp.int64)
        cell = (bits >> _FRACTION_BITS) - _FIRST_CELL
        bits &= _FRACTION_MASK
        bits |= _ONE
        fraction = bits.view(xp.float64)
        fraction -= 1.0
        constant, linear, square, cube = self.cubics
        result = cube[cell]
        for coefficient in (square, linear, constant):
            result *= fraction
            result += coefficient[cell]
        return result

    def _fold(self, uniform: Array) -> tuple[Array, Array]:
        """Distance to the equator in probability, signed as cos θ, and the share of its hemisphere."""
        side = -self.share * uniform
        side += 0.5
        share = self.xp.abs(side)
        share *= -2.0
        share += 1.0
        return side, share

    def haversine(self, uniform: Array) -> Array:
        """sin²(θ/2), one for each uniform variate."""
        if self.folded:
            result = self.cosine(uniform)
            result -= 1.0
            result *= -0.5
            return result
        result = self._ratio(uniform)
        result *= self.half_sine**2
        return result

    def cosine(self, uniform: Array) -> Array:
        """cos θ, one for each uniform variate, of a cap with radius above π/2."""
        side, share = self._fold(uniform)
        result = self._ratio(share)
        result -= 1.0
        return self.xp.copysign(result, side, out=side)

    def polar(self, uniform: FloatArray) -> FloatArray:
        """The polar angle θ in [0, radius], one for each uniform variate."""
        side, share = self._fold(uniform) if self.folded else (None, uniform)
        theta = 2.0 * np.arcsin(self.half_sine * np.sqrt(self._ratio(share)))
        if side is not None:
            theta = np.where(side > 0.0, theta, math.pi - theta)
        return np.asarray(np.minimum(theta, self.radius))  # which the table's 1e−12 would overstep


cap_quantile = lru_cache(maxsize=64)(CapQuantile)


def sample_cap_polar(dim: int, radius: float, size: Size, rng: np.random.Generator) -> FloatArray:
    r"""Polar angles of uniform points in a cap, density :math:`∝ \sin^{d−2}θ` on [0, radius].

    Parameters
    ----------
    dim : int
        Ambient dimension d ≥ 2.
    radius : float
        Angular radius, radians, in (0, π].
    size : int or tuple of int
        Shape of the result.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray, shape ``size``
        Radians, float64; the distribution function is right to 1e−12.
    """
    return cap_quantile(dim, float(radius)).polar(np.asarray(rng.random(size)))


def vmf_haversine(dim: int, kappa: float, count: int, uniform: Callable[[int], Array], law: CapQuantile) -> Array:
    """sin²(θ/2) of ``count`` von Mises–Fisher variates; ``uniform(n)`` draws, ``law`` is the sphere's."""
    xp = law.xp
    # Ulrich's envelope, the image of the uniform law under z → b z/(1 − (1−b) z): as haversines, it keeps its digits
    # at large κ
    b = (dim - 1) / (2.0 * kappa + math.hypot(2.0 * kappa, dim - 1))
    curvature = 0.25 * (1.0 - b) * (1.0 + b) / b
    parts: list[Array] = []
    missing = count
    while missing > 0 or not parts:
        wanted = 16 + int(1.6 * missing)  # 0.66 are accepted at worst, so one round is mostly enough
        z = law.haversine(uniform(wanted))
        h = b * z / (1.0 - (1.0 - b) * z)
        lead = 2.0 * (b / (1.0 + b) - h)  # cos θ less the cosine at which envelope and density touch
        accept = kappa * lead + (dim - 1) * xp.log1p(-curvature * lead) >= xp.log1p(-uniform(wanted))
        parts.append(h[accept][:missing])
        missing -= len(parts[-1])
    return xp.concatenate(parts)


@lru_cache(maxsize=64)
def vmf_quantile(dim: int, kappa: float) -> Callable[[FloatArray], FloatArray]:
    """Uniform variates to sin²(θ/2) of von Mises–Fisher, by numerical inversion to 1e−12 in probability."""
    from scipy.stats.sampling import NumericalInversePolynomial  # half a second, which few need

    scale = math.hypot(dim - 2, 2.0 * kappa)
    if scale == 0.0:
        return cap_quantile(dim, math.pi).haversine
    # the mode solves (d−2) cot θ = κ sin θ; 1 − cos θ there, without cancellation
    fall = (dim - 2) / (dim - 2 + scale) * (1.0 + (dim - 2) / (scale + 2.0 * kappa))
    mode = 2.0 * math.asin(math.sqrt(0.5 * fall))
    width = 1.0 / math.sqrt(scale + 1.0)

    class Density:
        """Of z = (θ − mode)/width, relative to the mode."""

        @staticmethod
        def pdf(z: float) -> float:
            shift = width * z
            log_density = -2.0 * kappa * math.sin(mode + 0.5 * shift) * math.sin(0.5 * shift)
            if dim > 2:
                if not 0.0 < mode + shift < math.pi:
                    return 0.0
                gain = math.sin(shift) / math.tan(mode) - 2.0 * math.sin(0.5 * shift) ** 2  # of the sine
                log_sines = math.log1p(gain) if gain > -0.5 else math.log(math.sin(mode + shift) / math.sin(mode))
                log_density += (dim - 2) * log_sines
            return math.exp(log_density)

    inverse = NumericalInversePolynomial(
        Density(), center=0.0, domain=(-mode / width, (math.pi - mode) / width), u_resolution=1e-12
    )
    return lambda uniform: np.sin(0.5 * (mode + width * inverse.ppf(uniform))) ** 2


def sample_vmf_polar(dim: int, kappa: float, size: Size, rng: np.random.Generator) -> FloatArray:
    r"""Polar angles of von Mises–Fisher points, density :math:`∝ e^{κ\cos θ}\sin^{d−2}θ` on [0, π].

    Exact rejection from Ulrich's envelope, vectorised over all the missing variates.

    Parameters
    ----------
    dim : int
        Ambient dimension d ≥ 2.
    kappa : float
        Concentration κ ≥ 0, finite; 0 is the uniform law on the sphere.
    size : int or tuple of int
        Shape of the result.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray, shape ``size``
        Radians, float64.

    References
    ----------
    Ulrich, *Computer generation of distributions on the m-sphere*, 1984; Wood, *Simulation of the von Mises
    Fisher distribution*, 1994, which corrects the acceptance rule.
    """
    law = cap_quantile(dim, math.pi)
    h = vmf_haversine(dim, float(kappa), int(np.prod(size)), rng.random, law).reshape(size)
    return np.asarray(2.0 * np.arctan2(np.sqrt(h), np.sqrt(1.0 - h)))


def sample_around_axis(polar: FloatArray, dim: int, axis: NDArray[Any] | None, rng: np.random.Generator) -> FloatArray:
    r"""Unit vectors cos θ·w + sin θ·ξ, ξ uniform in the unit sphere orthogonal to the axis w.

    Parameters
    ----------
    polar : ndarray, shape (n,)
        Polar angles θ, radians.
    dim : int
        Ambient dimension d ≥ 2.
    axis : ndarray, shape (dim,), or None
        Unit vector w; None for the first basis vector.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray, shape (n, dim)
        Rows of norm 1 up to rounding.

    Raises
    ------
    ValueError
        If ``axis`` is not a unit vector of length ``dim``.
    """
    points = rng.standard_normal((len(polar), dim))
    if dim == 2:
        points[:, 1] = np.copysign(np.sin(polar), points[:, 1])
    else:
        points[:, 0] = 0.0
        points *= (np.sin(polar) / np.sqrt(np.einsum("ij,ij->i", points, points)))[:, None]
    points[:, 0] = np.cos(polar)
    if axis is None:
        return points
    axis = np.asarray(axis, dtype=np.float64)
    if axis.shape != (dim,):
        raise ValueError(f"axis must have shape ({dim},), got shape {axis.shape}.")
    norm = float(np.linalg.norm(axis))
    if not abs(norm - 1.0) <= 1e-8:
        raise ValueError(f"axis must be a unit vector, got one of norm {norm!r}.")
    # A Householder reflection takes ∓e₁ to w; of the two signs the one that adds is stable
    sign = math.copysign(1.0, axis[0])
    normal = axis / norm
    normal[0] += sign
    normal /= np.linalg.norm(normal)
    dger(-2.0, normal, points @ normal, a=points.T, overwrite_a=1)
    return np.negative(points, out=points) if sign > 0.0 else points

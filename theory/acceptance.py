r"""The probability that two features are accepted as one: P(u·v ≥ τ), exactly (what Theorem D speaks of).

With ψ the angle between u and v on a common axis, f its density and G(ψ) the share of the circle of directions on which
the turned pair is still accepted,

.. math:: P(u·v ≥ τ) = ∫ f(ψ)\, G(ψ)\, dψ, \qquad
    G(ψ) = P\left(t ≥ \frac{τ − ρ\cos ψ}{\sqrt{1−ρ²}\,\sin ψ}\right),

t the first coordinate of a uniform point of S^{d−2}. Everything is positive and carried in logarithms, so a probability
of 1e−200 has as many digits as one of ½. f and G have algebraic ends at known angles (:func:`_cuts`); between two of
them the integrand has one peak, on which a Gauss rule is laid.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory._angle_law import log_area_ratio, log_cdf, log_density, power_integral
from theory._coaxial import SMOOTH_DIM, graded_rule
from theory._laws import Law, axis_angle, check_laws, parameter
from theory._quadrature import unit_gauss
from theory._validation import check_cosine, check_range
from theory.caps import UniformCap, plain
from theory.von_mises_fisher import log_mean_exponential

FloatArray = NDArray[np.float64]
LogDensity = Callable[[FloatArray], FloatArray]

_EPS = float(np.finfo(np.float64).eps)
_NEGLIGIBLE = 50.0  # what lies this far below the peak, in logarithms; some of it covers what a rough peak leaves out
_GRID = (np.arange(64) + 0.5) / 64
_ORDERS = (96, 78)


def _log(value: ArrayLike) -> FloatArray:
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(value))


def _log_sum(values: FloatArray) -> FloatArray:
    """log Σ e^values over the last axis (SciPy's logsumexp costs half of a whole evaluation here)."""
    top = values.max(axis=-1)
    base = np.where(top > -np.inf, top, 0.0)
    return _log(np.exp(values - base[..., None]).sum(axis=-1)) + base


def half_angle(sine_square: FloatArray, cosine_square: FloatArray) -> FloatArray:
    """The angle with these multiples of sin² and cos² of its half; negative ones count as 0."""
    return 2.0 * np.arctan2(np.sqrt(np.maximum(sine_square, 0.0)), np.sqrt(np.maximum(cosine_square, 0.0)))


def azimuth_products(psi: FloatArray, reach: FloatArray, axis: float) -> tuple[FloatArray, FloatArray]:
    """Multiples of sin² and cos² of half an azimuth, for :func:`half_angle`.

    Up to that azimuth a point at ψ from one axis is within ``reach`` of another, at the angle ``axis`` to the first.
    """
    half = 0.5 * psi
    inside = np.sin(0.5 * (reach + axis) - half) * np.sin(0.5 * (reach - axis) + half)
    outside = np.sin(0.5 * (axis + reach) + half) * np.sin(0.5 * (axis - reach) + half)
    return inside, outside


@dataclass(frozen=True)
class _AngleLaw:
    """The density f of the angle ψ between two draws about one axis.

    ``log_density`` is log f; ``outline`` is the same but for factors that no power of the dimension multiplies, and
    finds the peak cheaply; ``cuts`` are the angles where f is not analytic, and ``end`` bounds its support.
    """

    log_density: LogDensity
    outline: LogDensity
    cuts: tuple[float, ...]
    end: float


def _accepted_share(dim: int, psi: FloatArray, reach: float, axis: float, exact: bool = True) -> FloatArray:
    """log G(ψ) for the threshold cos ``reach`` and axes at the angle ``axis``; only its powers unless ``exact``."""
    if axis == 0.0:
        return np.where(psi <= reach, 0.0, -np.inf)
    if axis == math.pi:
        return np.where(math.pi - psi <= reach, 0.0, -np.inf)
    inside, outside = azimuth_products(psi, np.asarray(reach), axis)
    if dim == 2:  # t = ±1
        return np.where(inside < 0.0, -np.inf, np.where(outside > 0.0, -math.log(2.0), 0.0))
    angle = half_angle(inside, outside)
    if exact:
        with np.errstate(divide="ignore"):
            return log_cdf(angle, np.asarray(dim - 1.0))
    return np.asarray((dim - 2) * _log(np.sin(np.minimum(angle, 0.5 * math.pi))))


def _two_caps(dim: int, wide: float, narrow: float, fine: bool) -> _AngleLaw:
    """f = S_{d−2} sin^{d−2}ψ · (common area of the caps when ψ apart) / (product of their areas)."""
    gap, total = wide - narrow, wide + narrow
    last = min(total, 2.0 * math.pi - total)
    sines = math.sin(wide), math.sin(narrow)
    small, product = min(sines), sines[0] * sines[1]
    d = np.asarray(float(dim))
    # each area over sin^{d−1} of its own radius, so that only ratios of sines are raised to powers
    log_areas, scales = 0.0, []
    for radius in (wide, narrow):
        scale = math.sin(min(radius, 0.5 * math.pi))
        if radius <= 0.5 * math.pi:
            log_areas += float(log_area_ratio(d) + np.log(power_integral(np.asarray(radius), d)))
        else:
            log_areas += float(log_cdf(np.asarray(radius), d))
        scales.append(scale)
    constant = float(log_area_ratio(d)) - math.log(2.0 * math.pi) - log_areas
    constant += (dim - 1) * math.log(small / scales[1])
    forced = -math.inf
    if total > math.pi:
        # F(wide) − F(π − narrow), from the smaller tails
        first, second = (float(log_cdf(np.asarray(x), d)) for x in (narrow, math.pi - wide))
        if narrow > 0.5 * math.pi:
            first, second = 0.0, float(np.logaddexp(log_cdf(np.asarray(math.pi - narrow), d), second))
        if second < first:
            forced = math.log(2.0 * math.pi) + first + math.log(-math.expm1(second - first))
            forced -= (dim - 1) * math.log(small)

    def rim(phi: FloatArray) -> FloatArray:
        """log h/small, h the radius of the sphere in which the boundaries meet."""
        sine2 = math.sin(0.5 * gap) ** 2 + product * np.sin(0.5 * phi) ** 2
        cosine2 = math.cos(0.5 * total) ** 2 + product * np.cos(0.5 * phi) ** 2
        return _log(product / small * np.sin(phi) / (2.0 * np.sqrt(sine2 * cosine2)))

    def azimuth(psi: FloatArray) -> FloatArray:
        """φ at which the boundaries of caps ψ apart meet."""
        half = 0.5 * psi
        return half_angle(
            np.sin(half - 0.5 * gap) * np.sin(half + 0.5 * gap), np.sin(0.5 * total - half) * np.sin(0.5 * total + half)
        )

    # h is largest, and the smaller sine, where cos ψ is the quotient of the radii's cosines
    cosines = sorted((math.cos(wide), math.cos(narrow)), key=abs)
    widest = float(azimuth(np.asarray(math.acos(cosines[0] / cosines[1])))) if cosines[1] else 0.5 * math.pi
    centre = math.sin(0.5 * total) ** 2 + math.sin(0.5 * gap) ** 2  # 1 − cos α cos α'

    def peak(phi: FloatArray) -> FloatArray:
        return np.where(phi <= widest, 0.0, rim(phi))

    def window(phi: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The azimuths beyond φ at which h^{d−1} is within a factor e^{−42} of its peak there."""
        level = (small * np.exp(peak(phi) - 42.0 / (dim - 1))) ** 2
        root = np.sqrt(np.maximum((sines[0] ** 2 - level) * (sines[1] ** 2 - level), 0.0))
        ends = []
        for sign in (-1.0, 1.0):  # 1 − z of the two roots of h² = level
            y = 0.5 * (centre - level + sign * root) / (1.0 - level)
            sine2 = (y - math.sin(0.5 * gap) ** 2) / product
            ends.append(half_angle(sine2, 1.0 - sine2))
        return np.maximum(phi, ends[0]), np.maximum(ends[1], phi)

    # h is all but rough at an end of its range where the radii, or one and π less the other, almost agree
    rough = min(math.sin(0.5 * gap), abs(math.cos(0.5 * total))) < 0.3 * math.sqrt(max(product, 0.0))
    ends = 0.5 * 0.2 ** np.arange(8 if rough else 3)[::-1]
    cuts = np.concatenate(([0.0], ends, 1.0 - ends[-2::-1], [1.0]))
    unit, weight = unit_gauss(20 if fine else 16)
    places = (cuts[:-1, None] + np.diff(cuts)[:, None] * unit).ravel()
    log_weights = np.log((np.diff(cuts)[:, None] * weight).ravel())

    def log_common(psi: FloatArray) -> FloatArray:
        phi = azimuth(psi)
        low, high = window(phi)
        values = (dim - 1) * rim(low[..., None] + (high - low)[..., None] * places) + log_weights
        return np.asarray(np.logaddexp(_log_sum(values) + _log(high - low), forced))

    def powers(psi: FloatArray) -> FloatArray:
        return np.asarray((dim - 2) * _log(np.sin(psi) / scales[0]) - math.log(scales[0]))

    return _AngleLaw(
        lambda psi: powers(psi) + log_common(psi) + constant,
        lambda psi: powers(psi) + np.maximum((dim - 1) * peak(azimuth(psi)), forced),
        tuple(sorted({gap, last})),
        total if total <= math.pi else math.pi,
    )


def _two_soft(dim: int, kappa: float, other: float) -> _AngleLaw:
    """f = uniform density · E e^{R t}/(E e^{κt} E e^{κ't}), R the norm of κu + κ'v."""
    order = 0.5 * dim - 1.0
    constant = float(log_mean_exponential(order, np.asarray(kappa)) + log_mean_exponential(order, np.asarray(other)))

    def log_f(psi: FloatArray) -> FloatArray:
        across = 4.0 * kappa * other * np.sin(0.5 * psi) ** 2
        resultant = np.sqrt(np.maximum((kappa + other) ** 2 - across, 0.0))
        tilt = log_mean_exponential(order, resultant) - across / (kappa + other + resultant)
        return np.asarray(log_density(psi, np.asarray(float(dim))) + tilt - constant)

    return _AngleLaw(log_f, log_f, (), math.pi)


def _cap_and_soft(dim: int, radius: float, kappa: float, fine: bool) -> _AngleLaw:
    """f = uniform density · mean of e^{κ cos ∠(u, v)} over u in the cap / E e^{κt}, v at the polar angle ψ."""
    d, order = np.asarray(float(dim)), 0.5 * (dim - 3)
    constant = float(log_mean_exponential(0.5 * dim - 1.0, np.asarray(kappa)) + log_cdf(np.asarray(radius), d))
    unit, weight = unit_gauss(48 if fine else 40)

    def log_f(psi: FloatArray) -> FloatArray:
        def log_inner(theta: FloatArray) -> FloatArray:
            at = psi[..., None]
            tilt = log_mean_exponential(order, kappa * np.sin(theta) * np.sin(at))
            return np.asarray(log_density(theta, d) - 2.0 * kappa * np.sin(0.5 * (theta - at)) ** 2 + tilt)

        low, high = np.zeros(psi.shape), np.full(psi.shape, radius)
        low, high, _ = _zoom(log_inner, low, high, lambda a, b, x: a + (b - a) * x)
        theta = low[..., None] + (high - low)[..., None] * unit
        inner = _log_sum(log_inner(theta) + np.log(weight)) + _log(high - low)
        return np.asarray(log_density(psi, d) + inner - constant)

    return _AngleLaw(log_f, log_f, (), math.pi)


def _zoom(
    log_f: LogDensity,
    low: FloatArray,
    high: FloatArray,
    place: Callable[[FloatArray, FloatArray, FloatArray], FloatArray],
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Shrink [low, high], row by row, to where log f is within reach of its greatest value there; and that value."""
    count = len(_GRID)
    for _ in range(6):
        values = log_f(place(low[..., None], high[..., None], _GRID))
        top = values.max(axis=-1)
        near = values > top[..., None] - _NEGLIGIBLE
        first, final = near.argmax(axis=-1), count - 1 - near[..., ::-1].argmax(axis=-1)
        # a cell more on either side
        start, stop = np.maximum(first - 0.5, 0.0) / count, np.minimum(final + 1.5, count) / count
        low, high = low + (high - low) * start, low + (high - low) * stop
        if np.all(stop - start > 0.4):
            break
    return low, high, top


def _angle_law(new: Law, old: Law, fine: bool = True) -> _AngleLaw:
    a, b = float(parameter(new)), float(parameter(old))
    if isinstance(new, UniformCap) and isinstance(old, UniformCap):
        return _two_caps(new.dim, max(a, b), min(a, b), fine)
    if isinstance(new, UniformCap):
        return _cap_and_soft(new.dim, a, b, fine)
    return _cap_and_soft(new.dim, b, a, fine) if isinstance(old, UniformCap) else _two_soft(new.dim, a, b)


def _turning_points(reach: float, axis: float) -> list[float]:
    """Where G starts to rise from 0 or to fall from 1."""
    return [abs(axis - reach), axis + reach, 2.0 * math.pi - axis - reach]


def _steep_points(dim: int, reach: float, axis: float) -> list[float]:
    """Around the middle of G's fall, which between near axes is steeper than anything else: G = F_{d−1}(π/2 ± k/√d)."""
    points = []
    for k in (-9.0, -3.0, 3.0, 9.0):
        across = -math.sin(axis) * math.sin(k / math.sqrt(dim))
        # cos x = ρ cos ψ + across sin ψ
        size, lead = math.hypot(math.cos(axis), across), math.atan2(across, math.cos(axis))
        if abs(math.cos(reach)) < size:
            turn = math.acos(math.cos(reach) / size)
            points += [(lead + turn) % (2.0 * math.pi), (lead - turn) % (2.0 * math.pi)]
    return points


def _graded_log_acceptance(dim: int, wide: float, narrow: float, reach: float, axis: float, fine: bool) -> float:
    """Two caps in few dimensions: panels that shrink towards every rough point."""
    rough = [b for b in _turning_points(reach, axis) if 0.0 < b < math.pi]
    psi, weights = graded_rule(dim, wide, narrow, rough, 14 if fine else 11)
    # the last node before an end may be negative by rounding
    return float(_log_sum(_log(np.maximum(weights, 0.0)) + _accepted_share(dim, psi, reach, axis)))


def _smooth_log_acceptance(dim: int, law: _AngleLaw, reach: float, axis: float, fine: bool) -> float:
    """Interval by interval between the rough points, each on the window that its peak needs."""
    start, stop = max(0.0, axis - reach), min(law.end, axis + reach)
    if not start < stop:
        return -math.inf
    points = [*_turning_points(reach, axis), *law.cuts]
    if dim >= SMOOTH_DIM:
        points += _steep_points(dim, reach, axis)
    inside = {b for b in points if start < b < stop}
    edges = np.array([start, *sorted(inside), stop])
    left, width = edges[:-1, None], np.diff(edges)[:, None]

    def psi(low: FloatArray, high: FloatArray, x: FloatArray) -> FloatArray:
        # half-integer powers of the distance to either edge are analytic in this variable
        return np.asarray(left + width * np.sin(low + (high - low) * x) ** 2)

    def outline(at: FloatArray) -> FloatArray:
        return np.asarray(law.outline(at) + _accepted_share(dim, at, reach, axis, exact=False))

    zero, whole = np.zeros(len(left)), np.full(len(left), 0.5 * math.pi)
    low, high, top = _zoom(outline, zero, whole, psi)
    near = top > top.max() - _NEGLIGIBLE - math.log(dim)
    left, width, low, high = left[near], width[near], low[near], high[near]
    unit, weight = unit_gauss(_ORDERS[0] if fine else _ORDERS[1])
    if dim < SMOOTH_DIM:  # rough points may nearly meet
        unit, weight = unit_gauss(_ORDERS[0] // 2 if fine else _ORDERS[1] // 2)
        cuts = np.array([0.0, 0.001, 0.02, 0.2, 0.8, 0.98, 0.999, 1.0])
        unit = (cuts[:-1, None] + np.diff(cuts)[:, None] * unit).ravel()
        weight = np.outer(np.diff(cuts), weight).ravel()
    theta = low[:, None] + (high - low)[:, None] * unit
    at = left + width * np.sin(theta) ** 2
    values = law.log_density(at) + _accepted_share(dim, at, reach, axis)
    jacobian = _log(width * np.sin(2.0 * theta) * (high - low)[:, None] * weight)
    return float(_log_sum((values + jacobian).ravel()))


def _log_acceptance(new: Law, old: Law, reach: float, axis: float, fine: bool = True) -> float:
    """log P for two scalar laws."""
    dim = new.dim
    if reach >= math.pi:
        return 0.0
    if any(float(parameter(law)) == (math.pi if isinstance(law, UniformCap) else 0.0) for law in (new, old)):
        return float(log_cdf(np.asarray(reach), np.asarray(float(dim)))) if reach > 0.0 else -math.inf
    if dim < SMOOTH_DIM and isinstance(new, UniformCap) and isinstance(old, UniformCap):
        narrow, wide = sorted((float(parameter(new)), float(parameter(old))))
        value = _graded_log_acceptance(dim, wide, narrow, reach, axis, fine)
    else:
        value = _smooth_log_acceptance(dim, _angle_law(new, old, fine), reach, axis, fine)
    return min(value, 0.0)


def expected_acceptance(
    new: Law,
    old: Law,
    threshold: ArrayLike,
    axis_cosine: ArrayLike = 1.0,
    *,
    log: bool = False,
    return_error: bool = False,
) -> float | FloatArray | tuple[float | FloatArray, float | FloatArray]:
    r"""Probability that two independent draws, one from each law, have a cosine of at least a threshold.

    For two draws of one class this is the true accept rate of the threshold, for two classes its false accept rate.

    Parameters
    ----------
    new, old : UniformCap or VonMisesFisher
        Two laws of the same dimension, of either kind; their radii or concentrations broadcast.
    threshold : float or array
        Cosine τ in [−1, 1] from which a pair is accepted.
    axis_cosine : float or array
        ρ = w·w', in [−1, 1].
    log : bool
        Return the natural logarithm, −inf where no pair is accepted. Probabilities below 1e−308 need it.
    return_error : bool
        Also return an estimate of the relative error (with ``log``, of the absolute error of the logarithm): the
        difference of two quadrature orders, and the rounding that the dimension multiplies.

    Returns
    -------
    float or ndarray, or a pair of these
        Relative error ≤ 1e−10 for radii from 1e−3 to π and dimensions up to 1e5, in the tails as well, unless the
        threshold lies within 1e−3 rad of the end of the support, where rounding of arccos τ counts.

    Raises
    ------
    ValueError
        For laws of different dimension, or a cosine outside [−1, 1].

    Examples
    --------
    >>> from theory.caps import UniformCap
    >>> round(expected_acceptance(UniformCap(9, 0.3), UniformCap(9, 0.6), 0.8), 6)
    0.706754
    """
    check_laws(new, old)
    tau = check_range("threshold", threshold, -1.0, 1.0, "in [-1, 1]")
    cosine = check_cosine(axis_cosine)
    columns = np.broadcast_arrays(parameter(new), parameter(old), axis_angle(tau), axis_angle(cosine))
    value, error = np.empty(columns[0].shape), np.empty(columns[0].shape)
    for at in np.ndindex(value.shape):
        a, b, reach, axis = (float(column[at]) for column in columns)
        pair = type(new)(new.dim, a), type(old)(old.dim, b)
        value[at] = _log_acceptance(*pair, reach, axis)
        if return_error:
            coarse = _log_acceptance(*pair, reach, axis, fine=False) if value[at] > -math.inf else value[at]
            rounding = 4.0 * _EPS * (32.0 + new.dim + (abs(value[at]) if value[at] > -math.inf else 0.0))
            error[at] = (abs(value[at] - coarse) if value[at] > -math.inf else 0.0) + rounding
    result = plain(value if log else np.exp(value))
    return (result, plain(error)) if return_error else result

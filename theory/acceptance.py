r"""The probability that two features are accepted as one: P(u·v ≥ τ), exactly (what Theorem D speaks of).

With ψ the angle between u and v on a common axis, f its density and G(ψ) the share of the circle of directions on which
the turned pair is still accepted,

.. math:: P(u·v ≥ τ) = ∫ f(ψ)\, G(ψ)\, dψ, \qquad
    G(ψ) = P\left(t ≥ \frac{τ − ρ\cos ψ}{\sqrt{1−ρ²}\,\sin ψ}\right),

t the first coordinate of a uniform point of S^{d−2}. Everything is positive and carried in logarithms, so a probability
of 1e−200 has as many digits as one of ½. f and G have algebraic ends at known angles (:func:`_edges`); between two of
them the integrand has one peak, on which a Gauss rule is laid. f is an integral itself, but not of the threshold or of
the axes: it is tabulated once for two laws (:class:`_Table`), for all thresholds at once and for calls that follow.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory._angle_law import log_area_ratio, log_cdf, log_density, power_integral
from theory._coaxial import SMOOTH_DIM
from theory._laws import Law, axis_angle, check_laws, parameter
from theory._quadrature import double_exponential, unit_gauss
from theory._validation import check_cosine, check_range
from theory.caps import UniformCap, plain
from theory.von_mises_fisher import log_mean_exponential

FloatArray = NDArray[np.float64]
LogDensity = Callable[[FloatArray], FloatArray]

_EPS = float(np.finfo(np.float64).eps)
_NEGLIGIBLE = 50.0  # what lies this far below the peak, in logarithms; some of it covers what a rough peak leaves out
_GRID = (np.arange(64) + 0.5) / 64
_TABLE_ERROR, _LEVELS = 1e-13, 24
_BLOCK = 32  # integrals whose nodes are held at once


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


def azimuth_products(psi: FloatArray, reach: FloatArray, axis: float | FloatArray) -> tuple[FloatArray, FloatArray]:
    """Multiples of sin² and cos² of half an azimuth, for :func:`half_angle`.

    Up to that azimuth a point at ψ from one axis is within ``reach`` of another, at the angle ``axis`` to the first.
    """
    half = 0.5 * psi
    inside = np.sin(0.5 * (reach + axis) - half) * np.sin(0.5 * (reach - axis) + half)
    outside = np.sin(0.5 * (axis + reach) + half) * np.sin(0.5 * (axis - reach) + half)
    return inside, outside


class _Table:
    """A function that is analytic between the cuts, as polynomials on intervals that are halved until they fit.

    ``size`` is what the rounding of its values is in proportion to, besides the values.
    """

    def __init__(self, function: LogDensity, cuts: list[float], count: int, size: float = 0.0) -> None:
        angle = (np.arange(count) + 0.5) * math.pi / count
        # coefficients of Chebyshev polynomials from values at their roots
        transform = np.cos(np.outer(angle, np.arange(count))) * (2.0 / count)
        transform[:, 0] *= 0.5
        edges = np.concatenate([np.linspace(a, b, 5)[:-1] for a, b in itertools.pairwise(cuts) if b > a])
        start, stop = edges, np.append(edges[1:], cuts[-1])
        found: list[tuple[FloatArray, FloatArray, FloatArray]] = []
        for level in range(_LEVELS + 1):
            values = function(start[:, None] + (stop - start)[:, None] * (0.5 + 0.5 * np.cos(angle)))
            coefficients = values @ transform
            rest = np.abs(coefficients[:, -2:]).max(axis=1)
            rough = rest > _TABLE_ERROR + _EPS * (size + 16.0 * np.abs(values).max(axis=1))
            fits = ~rough | (level == _LEVELS) | (len(start) > _LEVELS)  # many at once: rounding is what is rough
            found.append((start[fits], stop[fits], coefficients[fits]))
            if np.all(fits):
                break
            start, stop = start[rough], stop[rough]
            middle = 0.5 * (start + stop)
            start, stop = np.concatenate((start, middle)), np.concatenate((middle, stop))
        start, stop, coefficients = (np.concatenate(parts) for parts in zip(*found, strict=True))
        order = np.argsort(start)
        self._start, self._scale = start[order], 2.0 / (stop - start)[order]
        self._coefficients = np.ascontiguousarray(coefficients[order].T)

    def __call__(self, at: FloatArray) -> FloatArray:
        part = np.maximum(np.searchsorted(self._start, at, side="right") - 1, 0)
        x = (at - self._start[part]) * self._scale[part] - 1.0
        twice, here, before = 2.0 * x, np.zeros_like(x), np.zeros_like(x)
        for row in self._coefficients[:0:-1]:  # Clenshaw's recurrence
            here, before = twice * here - before + row[part], here
        return np.asarray(x * here - before + self._coefficients[0][part])


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


def _accepted_share(dim: int, psi: FloatArray, reach: FloatArray, axis: FloatArray, exact: bool = True) -> FloatArray:
    """log G(ψ) for thresholds cos ``reach`` and axes at angles ``axis``; only its powers unless ``exact``."""
    inside, outside = azimuth_products(psi, reach, axis)
    share = np.where(inside < 0.0, -np.inf, 0.0)
    partly = (inside >= 0.0) & (outside > 0.0)
    if dim == 2:  # t = ±1
        share[partly] = -math.log(2.0)
        return share
    angle = half_angle(inside[partly], outside[partly])
    with np.errstate(divide="ignore"):
        if exact:
            share[partly] = log_cdf(angle, np.asarray(dim - 1.0))
        else:
            share[partly] = (dim - 2) * np.log(np.sin(np.minimum(angle, 0.5 * math.pi)))
    return share


def _two_caps(dim: int, wide: float, narrow: float, fine: bool) -> _AngleLaw:
    """f = S_{d−2} sin^{d−2}ψ · (common area of the caps when ψ apart) / (product of their areas)."""
    gap, total = wide - narrow, wide + narrow
    sine2, cosine2 = math.sin(0.5 * gap) ** 2, math.cos(0.5 * total) ** 2
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

    # chi is π less the azimuth at which the boundaries of two caps meet: 0 where they touch from outside
    def rim(chi: FloatArray) -> FloatArray:
        """log h/small, h the radius of the sphere in which the boundaries meet."""
        both = (sine2 + product * np.cos(0.5 * chi) ** 2) * (cosine2 + product * np.sin(0.5 * chi) ** 2)
        return _log(product / small * np.sin(chi) / (2.0 * np.sqrt(both)))

    def meeting(psi: FloatArray) -> FloatArray:
        """chi for caps ψ apart."""
        half = 0.5 * psi
        return half_angle(
            np.sin(0.5 * total - half) * np.sin(0.5 * total + half), np.sin(half - 0.5 * gap) * np.sin(half + 0.5 * gap)
        )

    # h is largest, and the smaller sine, where cos ψ is the quotient of the radii's cosines
    cosines = sorted((math.cos(wide), math.cos(narrow)), key=abs)
    widest = float(meeting(np.asarray(math.acos(cosines[0] / cosines[1])))) if cosines[1] else 0.5 * math.pi

    def peak(chi: FloatArray) -> FloatArray:
        return np.where(chi >= widest, 0.0, rim(chi))

    def window(chi: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Where, up to chi, h^{d−1} is within a factor e^{−42} of its peak there."""
        level = (small * np.exp(peak(chi) - 42.0 / (dim - 1))) ** 2
        root = np.sqrt(np.maximum((sines[0] ** 2 - level) * (sines[1] ** 2 - level), 0.0))
        # the roots of h² = level, a quadratic equation in cos ψ, the one by cos²(ψ/2) and the other by sin²(ψ/2)
        rest = level * (1.0 + (sines[0] ** 2 + sines[1] ** 2 - level) / (product + root)) / product
        low = cosine2 * rest / (1.0 - sine2 + cosine2 + root - level)
        high = sine2 * rest / (1.0 + sine2 - cosine2 + root - level)
        return np.minimum(chi, half_angle(low, 1.0 - low)), np.minimum(chi, half_angle(1.0 - high, high))

    # h is all but rough at an end of its range where the radii, or one and π less the other, almost agree
    if min(sine2, cosine2) < 0.09 * product:
        places, weights = double_exponential(128 if fine else 112)
    else:
        places, weights = unit_gauss(42 if fine else 37)
    log_weights = np.log(weights)

    def log_mean(chi: FloatArray) -> FloatArray:
        """log of the mean of h^{d−1} up to chi, over its peak there."""
        low, high = window(chi)
        values = (dim - 1) * (rim(low[..., None] + (high - low)[..., None] * places) - peak(chi)[..., None])
        return np.asarray(_log_sum(values + log_weights) + _log((high - low) / chi))

    table = _Table(log_mean, [0.0, widest, math.pi], 16 if fine else 13, dim)

    def log_common(psi: FloatArray) -> FloatArray:
        chi = meeting(psi)
        return np.asarray(np.logaddexp(table(chi) + (dim - 1) * peak(chi) + _log(chi), forced))

    def powers(psi: FloatArray) -> FloatArray:
        rise = (dim - 2) * _log(np.sin(psi) / scales[0]) if dim > 2 else 0.0
        return np.asarray(rise - math.log(scales[0]))

    return _AngleLaw(
        lambda psi: powers(psi) + log_common(psi) + constant,
        lambda psi: powers(psi) + np.maximum((dim - 1) * peak(meeting(psi)), forced),
        tuple(sorted({gap, last})),
        total if total <= math.pi else math.pi,
    )


def _two_soft(dim: int, kappa: float, other: float, fine: bool) -> _AngleLaw:
    """f = uniform density · E e^{R t}/(E e^{κt} E e^{κ't}), R the norm of κu + κ'v."""
    order = 0.5 * dim - 1.0
    constant = float(log_mean_exponential(order, np.asarray(kappa)) + log_mean_exponential(order, np.asarray(other)))

    def log_tilt(psi: FloatArray) -> FloatArray:
        across = 4.0 * kappa * other * np.sin(0.5 * psi) ** 2
        resultant = np.sqrt(np.maximum((kappa + other) ** 2 - across, 0.0))
        return np.asarray(log_mean_exponential(order, resultant) - across / (kappa + other + resultant))

    return _tilted(dim, _Table(log_tilt, [0.0, math.pi], 16 if fine else 13), constant)


def _tilted(dim: int, log_tilt: LogDensity, constant: float) -> _AngleLaw:
    """The uniform density times a factor without rough points."""

    def log_f(psi: FloatArray) -> FloatArray:
        return np.asarray(log_density(psi, np.asarray(float(dim))) + log_tilt(psi) - constant)

    return _AngleLaw(log_f, log_f, (), math.pi)


def _cap_and_soft(dim: int, radius: float, kappa: float, fine: bool) -> _AngleLaw:
    """f = uniform density · mean of e^{κ cos ∠(u, v)} over u in the cap / E e^{κt}, v at the polar angle ψ."""
    d, order = np.asarray(float(dim)), 0.5 * (dim - 3)
    constant = float(log_mean_exponential(0.5 * dim - 1.0, np.asarray(kappa)) + log_cdf(np.asarray(radius), d))
    unit, weight = unit_gauss(48 if fine else 40)
    spread = _Table(lambda x: log_mean_exponential(order, x), [0.0, kappa], 16)

    def log_tilt(psi: FloatArray) -> FloatArray:
        def log_inner(theta: FloatArray) -> FloatArray:
            at = psi[..., None]
            tilt = spread(kappa * np.sin(theta) * np.sin(at))
            return np.asarray(log_density(theta, d) - 2.0 * kappa * np.sin(0.5 * (theta - at)) ** 2 + tilt)

        low, high = np.zeros(psi.shape), np.full(psi.shape, radius)
        low, high, _ = _zoom(log_inner, low, high, lambda a, b, x: a + (b - a) * x)
        theta = low[..., None] + (high - low)[..., None] * unit
        return np.asarray(_log_sum(log_inner(theta) + np.log(weight)) + _log(high - low))

    return _tilted(dim, _Table(log_tilt, [0.0, radius, math.pi], 16 if fine else 13), constant)


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


@lru_cache(maxsize=64)
def _angle_law(dim: int, new: tuple[bool, float], old: tuple[bool, float], fine: bool) -> _AngleLaw:
    """The law for two pairs (whether it is a cap, its radius or concentration)."""
    (hard, a), (old_hard, b) = new, old
    if hard and old_hard:
        return _two_caps(dim, max(a, b), min(a, b), fine)
    if hard:
        return _cap_and_soft(dim, a, b, fine)
    return _cap_and_soft(dim, b, a, fine) if old_hard else _two_soft(dim, a, b, fine)


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


def _edges(dim: int, law: _AngleLaw, reach: float, axis: float) -> list[float]:
    """Where an integrand is not analytic, or steep, from one end of its support to the other; empty where that is."""
    start, stop = max(0.0, axis - reach), min(law.end, axis + reach)
    if not start < stop:
        return []
    points = [*_turning_points(reach, axis), *law.cuts]
    if dim >= SMOOTH_DIM:
        points += _steep_points(dim, reach, axis)
    return [start, *sorted({b for b in points if start < b < stop}), stop]


def _log_integrals(dim: int, law: _AngleLaw, reach: FloatArray, axis: FloatArray, fine: bool) -> FloatArray:
    """log ∫ f G for every pair of ``reach`` and ``axis``, both of shape (n,).

    A row of the arrays is an interval between two edges of one integrand, cut to the window that its peak needs.
    """
    edges = [_edges(dim, law, *pair) for pair in zip(reach, axis, strict=True)]
    owner = np.repeat(np.arange(len(edges)), [max(len(some) - 1, 0) for some in edges])
    result = np.full(len(edges), -np.inf)
    if not len(owner):
        return result
    left = np.concatenate([some[:-1] for some in edges])[:, None]
    width = np.concatenate([np.diff(some) for some in edges])[:, None]
    reach, axis = reach[owner][:, None], axis[owner][:, None]

    def psi(low: FloatArray, high: FloatArray, x: FloatArray) -> FloatArray:
        # half-integer powers of the distance to either edge are analytic in this variable
        return np.asarray(left + width * np.sin(low + (high - low) * x) ** 2)

    def outline(at: FloatArray) -> FloatArray:
        return np.asarray(law.outline(at) + _accepted_share(dim, at, reach, axis, exact=False))

    low, high, top = _zoom(outline, np.zeros(len(left)), np.full(len(left), 0.5 * math.pi), psi)
    peak = np.full(len(edges), -np.inf)
    np.maximum.at(peak, owner, top)
    near = top > peak[owner] - _NEGLIGIBLE - math.log(dim)
    left, width, reach, axis = (row[near] for row in (left, width, reach, axis))
    low, high, owner = low[near, None], high[near, None], owner[near]
    if dim < SMOOTH_DIM:  # rough points may nearly meet
        unit, weight = double_exponential(150 if fine else 126)
    else:
        unit, weight = unit_gauss(96 if fine else 78)
    theta = low + (high - low) * unit
    at = left + width * np.sin(theta) ** 2
    values = law.log_density(at) + _accepted_share(dim, at, reach, axis)
    sums = _log_sum(values + _log(width * np.sin(2.0 * theta) * (high - low) * weight))
    np.logaddexp.at(result, owner, sums)
    return result


def _log_acceptances(new: Law, old: Law, reach: FloatArray, axis: FloatArray, fine: bool = True) -> FloatArray:
    """log P for two scalar laws and every pair of ``reach`` and ``axis``, both of shape (n,)."""
    dim = new.dim
    if any(float(parameter(law)) == (math.pi if isinstance(law, UniformCap) else 0.0) for law in (new, old)):
        with np.errstate(divide="ignore"):
            value = np.where(reach > 0.0, log_cdf(np.maximum(reach, 1e-300), np.asarray(float(dim))), -np.inf)
    else:
        first, second = ((isinstance(law, UniformCap), float(parameter(law))) for law in (new, old))
        law, value = _angle_law(dim, first, second, fine), np.empty(len(reach))
        for start in range(0, len(reach), _BLOCK):
            some = slice(start, start + _BLOCK)
            value[some] = _log_integrals(dim, law, reach[some], axis[some], fine)
    return np.where(reach >= math.pi, 0.0, np.minimum(value, 0.0))


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
        difference of two quadrature orders, and rounding, which dimension and concentrations multiply.

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
    shape = columns[0].shape
    first, second, reach, axis = (np.ravel(column) for column in columns)
    value, error = np.empty(first.shape), np.empty(first.shape)
    laws, at = np.unique(np.stack((first, second)), axis=1, return_inverse=True)
    for number, (a, b) in enumerate(laws.T):
        here = np.ravel(at) == number
        pair = type(new)(new.dim, float(a)), type(old)(old.dim, float(b))
        value[here] = _log_acceptances(*pair, reach[here], axis[here])
        if return_error:
            error[here] = _log_acceptances(*pair, reach[here], axis[here], fine=False)
    if return_error:
        some = value > -np.inf
        # what is summed in logarithms is of these sizes; 500 is for the tables
        size = 500.0 + new.dim + np.where(some, np.abs(value), 0.0)
        for law, kappa in ((new, first), (old, second)):
            size += 0.0 if isinstance(law, UniformCap) else kappa
        error = np.abs(np.where(some, value, 0.0) - np.where(some, error, 0.0)) + 4.0 * _EPS * size
    result = plain((value if log else np.exp(value)).reshape(shape))
    return (result, plain(error.reshape(shape))) if return_error else result

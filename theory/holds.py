r"""Does Theorem 1 hold for a given distance? A sufficient condition, and a search for counter-examples.

The paper's Definition 1 leaves the distance open. For F(c), c the cosine, 1a holds as soon as F falls. 1b holds for
caps of radii α_t ≤ α_k ≤ π/2 if :math:`h(c) = (1−c²)F'' − (d−1)cF'` is non-decreasing and its even part e is convex
(:func:`theory.proofs.different_class`); on the circle also if the distance is concave in the angle. Of the named
distances and of powers of the chord this is proved; of a function that a user brings it is checked numerically.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray
from scipy.optimize import nnls
from scipy.special import roots_jacobi

from theory._series import Expandable, gegenbauer
from theory._validation import check_dim, check_integer
from theory.caps import UniformCap
from theory.compatibility import Gaps, theorem1_gaps
from theory.distances import expected_distance
from theory.metrics import AngularDistance, Metric, MetricLike, as_metric

FloatArray = NDArray[np.float64]

_ANGLES = np.linspace(0.0, math.pi, 2003)[1:-1]
_DEGREES = (32, 64, 128, 256)
# of a Chebyshev coefficient, relative to the largest: 0.5 to 2.5e-14 for √(1 − c³), by the processor's matrix product
_ROUNDING = 3e-14
_NOISE = 0.05  # of the bound on rounding: what rounding itself does not reach
_DIMS = (3, 4, 6, 9, 16, 32)
_RADII = np.linspace(0.1, 0.5 * math.pi, 31)
_TERMS = 96  # of the series that screens candidates; quadrature has the last word


@dataclass(frozen=True)
class Criterion:
    """What the sufficient condition says of one distance in one dimension.

    Attributes
    ----------
    metric : str
    dim : int
    verdict : {"proved", "sufficient condition fails", "not resolved"}
        Failing refutes nothing: see :func:`find_counterexample`. Not resolved: the function is not smooth enough in the
        angle for its derivatives to be computed.
    step : str
        The step of the proof that fails: "ii" (h decreases) or "iv" (e is not convex); empty if none does.
    where : (low, high) or None
        The cosines at which it fails lie between these.
    monotone, convex : float
        Least h′ and least e″ over the cosines tried, over F(−1) − F(1): the margins, negative where the step fails. On
        the circle they do not matter for a distance that is concave in the angle.
    numerical : bool
        Whether the signs were found on a grid of angles, from Chebyshev interpolation, and not derived.
    """

    metric: str
    dim: int
    verdict: str
    step: str
    where: tuple[float, float] | None
    monotone: float
    convex: float
    numerical: bool


@dataclass(frozen=True)
class Counterexample:
    """Radii α_t < α_k and a simplex for which 1b is violated, with both gaps and the error of each (absolute)."""

    metric: str
    dim: int
    num_classes: int
    new_radius: float
    old_radius: float
    gaps: Gaps
    errors: Gaps


def theorem1_holds_for(metric: MetricLike, dim: int) -> Criterion:
    r"""Whether 1b is proved for a distance in R^d, all caps with α_t ≤ α_k ≤ π/2 and axes with cosine ρ ≤ 0.

    Parameters
    ----------
    metric : str, Metric or function of the cosine
        A function is interpolated in the angle ψ = arccos c, where the chord and the angle are smooth at both ends;
        its h′ and e″ are then computed on a grid, so that "proved" means: if their signs are as found there.
    dim : int
        d ≥ 2.

    Returns
    -------
    Criterion

    Raises
    ------
    ValueError
        For a dimension below 2, or a metric that is not one.

    References
    ----------
    Paper, Definition 1, Theorem 1 and Eq. 1b.
    """
    dim = check_dim(dim)
    distance = as_metric(metric)
    cosine = np.cos(_ANGLES)
    if isinstance(distance, Expandable):
        slope, bend = _closed_form(distance, dim)
        errors = np.zeros((2, len(cosine)))
        concave = dim == 2 and (isinstance(distance, AngularDistance) or distance.s <= 0.5)
    else:
        found = _numerical(distance, dim)
        if found is None:
            verdict = "proved" if _made_of_proved(distance) else "not resolved"
            return Criterion(distance.name, dim, verdict, "", None, math.nan, math.nan, True)
        slope, bend, errors, concave = found
    step, where = "", None
    for name, values, error in (("ii", slope, errors[0]), ("iv", bend, errors[1])):
        bad = cosine[values < -error]
        if len(bad) and not step and not concave:
            step, where = name, (float(bad.min()), float(bad.max()))
    verdict = "sufficient condition fails" if step else "proved"
    if not isinstance(distance, Expandable):
        # a sign below its own rounding decides nothing; the bound on rounding is generous, so noise stays far below it
        unclear = any(np.any(v < -_NOISE * e) for v, e in zip((slope, bend), errors, strict=True))
        if (step or (unclear and not concave)) and _made_of_proved(distance):
            verdict, step, where = "proved", "", None
        elif not step and unclear and not concave:
            verdict = "not resolved"
    spread = float(np.subtract(*distance.of_cosine([-1.0, 1.0])))
    monotone, convex = (
        float(np.min(np.where(np.abs(values) <= error, 0.0, values))) / spread
        for values, error in zip((slope, bend), errors, strict=True)
    )
    return Criterion(distance.name, dim, verdict, step, where, monotone, convex, not isinstance(distance, Expandable))


def _made_of_proved(metric: Metric) -> bool:
    """Whether F is, on c ≤ 0, a sum of proved distances with factors ≥ 0, and above that falls at least as they do.

    Sums of distances that satisfy 1b satisfy it, and by consequence 1 of Theorem D so does a non-increasing function
    that is flat on c ≤ 0 (thresholds, hinges): ρ ≤ 0, radii ≤ π/2. Powers and the angle are fitted by non-negative
    least squares; a residual above rounding means no.
    """
    cosine = np.cos(np.linspace(0.0, math.pi, 801))
    values = metric.of_cosine(cosine)
    drops = values[[-1, 400]] - values[0]
    exponents = np.arange(0.05, 1.001, 0.05)
    if np.all(drops > 0.0):  # the exponent of a single power, from two values
        exponents = np.append(exponents, np.clip(math.log2(drops[0] / drops[1]), 0.01, 1.0))
    parts = np.column_stack([np.arccos(cosine), *((2.0 - 2.0 * cosine) ** s for s in exponents)])
    far = cosine <= 1e-12
    base = values[far] - values[far].min()
    size = float(np.max(np.abs(values))) or 1.0
    # the constant is free: all is measured from the right angle
    columns = parts[far] - parts[far][0]
    weights, _ = nnls(columns, base)
    # a trace of another power stands for rounding
    used = weights > 1e-8 * np.max(weights, initial=0.0)
    weights[~used] = 0.0
    weights[used] = np.linalg.lstsq(columns[:, used], base, rcond=None)[0]
    if np.any(weights < 0.0) or np.max(np.abs(columns @ weights - base)) > 1e-12 * size:
        return False
    rest = values - parts @ weights
    return bool(np.all(np.diff(rest[~far]) >= -1e-12 * size) and rest[~far][-1] <= rest[far][0] + 1e-12 * size)


def _closed_form(metric: Expandable, dim: int) -> tuple[FloatArray, FloatArray]:
    """h′ and e″ at the grid's angles for a power of the chord or the angle."""
    if isinstance(metric, AngularDistance):  # h = (d−2)c/√(1−c²) is odd
        return (dim - 2) * np.sin(_ANGLES) ** -3, np.zeros_like(_ANGLES)
    s, y = float(metric.s), 4.0 * np.sin(0.5 * _ANGLES) ** 2
    # h = 2s[a y^{s−1} − ½ b y^s], d/dc = −2 d/dy
    a, b = dim - 3 + 2 * s, dim - 2 + s
    slope = 4.0 * s * (0.5 * b * s * y ** (s - 1) - a * (s - 1) * y ** (s - 2))
    bend = 8.0 * s * (s - 1) * (a * (s - 2) * y ** (s - 3) - 0.5 * b * s * y ** (s - 2))
    return metric.scale * slope, 0.5 * metric.scale * (bend + bend[::-1])


def _numerical(metric: Metric, dim: int) -> tuple[FloatArray, FloatArray, FloatArray, bool] | None:
    """h′ and e″ at the grid's cosines, their errors, and whether on the circle f is concave; None if not resolved.

    With f(ψ) = F(cos ψ), sin³ψ·h′ = −sin²ψ f‴ − (d−2)(sin ψ cos ψ f″ − f′), and likewise for h″: nothing is divided by
    the sine before the end, where the rounding error, large next to 0 and π, is divided with it.
    """
    found = _angular_derivatives(metric)
    if found is None:
        return None
    (f1, f2, f3, f4), (e1, e2, e3, e4) = found
    sine, cosine, rest = np.sin(_ANGLES), np.cos(_ANGLES), dim - 2
    slope = -(sine**2) * f3 - rest * (sine * cosine * f2 - f1)
    curvature = sine**3 * f4 + cosine * slope + rest * (sine**2 * cosine * f3 - 2.0 * sine * f2 + 2.0 * cosine * f1)
    error = sine**2 * e3 + rest * (sine * e2 + e1)
    errors = np.array([error, sine**3 * e4 + error + rest * (sine**2 * e3 + 2.0 * sine * e2 + 2.0 * e1)])
    concave = dim == 2 and bool(np.all(f2 <= e2))
    corner = max(abs(f1[0]) - abs(_ANGLES[0] * f2[0]) - e1[0], abs(f1[-1]) - abs(_ANGLES[0] * f2[-1]) - e1[-1])
    if dim == 2 and not concave and corner > 1e-6 * np.max(np.abs(f1)):
        return None  # neither proof on the circle applies to a corner at 0 or π
    bend = 0.5 * (curvature + curvature[::-1])
    errors[1] = 0.5 * (errors[1] + errors[1, ::-1])
    return slope / sine**3, bend / sine**5, errors / np.array([sine**3, sine**5]), concave


def _without_noise(series: FloatArray) -> FloatArray:
    """The coefficients up to the last that is more than rounding, whatever its sign."""
    return series[: int(np.flatnonzero(np.abs(series) > 4e-16 * np.max(np.abs(series)))[-1]) + 1]


def _angular_derivatives(metric: Metric) -> tuple[FloatArray, FloatArray] | None:
    """The first four derivatives of f at the grid's angles and what rounding may have done to each; None if f is rough.

    f is interpolated at Chebyshev nodes in ψ; each coefficient carries a rounding error of a few units, and
    |T_k^{(j)}(x)| ≤ min(k^{2j}/(2j−1)!!, 2(k/√(1−x²))^j).
    """
    x = 2.0 * _ANGLES / math.pi - 1.0
    for degree in _DEGREES:
        nodes = np.cos(math.pi * (np.arange(degree + 1) + 0.5) / (degree + 1))
        values = metric.of_cosine(np.cos(0.5 * math.pi * (nodes + 1.0)))
        series = 2.0 / (degree + 1) * (chebyshev.chebvander(nodes, degree).T @ values)
        series[0] *= 0.5
        size = float(np.max(np.abs(series)))
        if np.max(np.abs(series[-degree // 4 :])) < _ROUNDING * size:
            break
    else:
        return None
    series = _without_noise(series)
    derivatives, errors = np.empty((2, 4, len(x)))
    k = np.arange(len(series))[:, None]
    for j, factorial in enumerate((1.0, 3.0, 15.0, 105.0), start=1):
        scale = (2.0 / math.pi) ** j
        derivatives[j - 1] = scale * chebyshev.chebval(x, chebyshev.chebder(series, j))
        growth = np.minimum(k ** (2.0 * j) / factorial, 2.0 * (k / np.sqrt(1.0 - x**2)) ** j)
        errors[j - 1] = _ROUNDING * size * scale * growth.sum(axis=0)
    return derivatives, errors


def find_counterexample(
    metric: MetricLike, dims: Sequence[int] = _DIMS, classes: Sequence[int] | None = None
) -> Counterexample | None:
    """Look for caps α_t < α_k ≤ π/2 on a simplex that violate 1b; None if none is found, which proves nothing.

    Series on a grid of radii screen, and the worst pair is computed by :func:`theory.compatibility.theorem1_gaps`: it
    must violate 1b by more than the error of that.

    Parameters
    ----------
    metric : str, Metric or function of the cosine
    dims : sequence of int
        Dimensions d ≥ 2 to try.
    classes : sequence of int, optional
        Numbers of classes K ≤ d + 1 to try in each; if not given 2, 3 and powers of 2 up to d + 1, and d + 1.

    Returns
    -------
    Counterexample or None
        The one with the most negative gap of 1b.

    Raises
    ------
    ValueError
        For a metric that is not one, or a dimension or number of classes that is impossible.

    References
    ----------
    Paper, Definition 1 and Theorem 1.
    """
    distance = as_metric(metric)
    candidates: list[tuple[float, int, int, float, float]] = []
    for dim in map(check_dim, dims):
        counts = classes or sorted({2, 3, dim + 1} | {2**j for j in range(2, dim.bit_length() + 1) if 2**j <= dim + 1})
        averages = UniformCap(dim, _RADII).zonal_coefficients(_TERMS)[0]
        terms = _coefficients(distance, dim)
        for count in counts:
            if check_integer("num_classes", count, 2) > dim + 1:
                raise ValueError(f"num_classes must be <= dim + 1 = {dim + 1}, got {count}.")
            rho = -1.0 / (count - 1)
            mean = (averages * terms * gegenbauer(dim, rho, math.sqrt(1.0 - rho**2), _TERMS)[0]) @ averages.T
            gaps = np.where(_RADII[:, None] < _RADII, mean - np.diagonal(mean), np.inf)
            i, j = np.unravel_index(int(np.argmin(gaps)), gaps.shape)
            candidates.append((float(gaps[i, j]), dim, count, float(_RADII[i]), float(_RADII[j])))
    for gap, dim, count, new, old in sorted(candidates):
        if gap >= 0.0:
            break
        found = _evaluate(distance, dim, count, new, old)
        if found.gaps.different_class < -found.errors.different_class:
            return found
    return None


def _coefficients(metric: Metric, dim: int) -> FloatArray:
    """N_n F_n for n < _TERMS, by Gauss–Jacobi quadrature."""
    exponent = 0.5 * (dim - 3)
    nodes, weights = roots_jacobi(4 * _TERMS, exponent, exponent)
    values = metric.of_cosine(nodes) * (weights / weights.sum())
    polynomials = np.array([gegenbauer(dim, x, math.sqrt(1.0 - x * x), _TERMS)[0] for x in nodes])
    n = np.arange(1.0, _TERMS)
    growth = (2 * n + dim - 2) * (n + dim - 3) / (np.maximum(2 * n + dim - 4, 1.0) * n)
    growth[0] = dim
    return np.asarray(np.concatenate(([1.0], np.cumprod(growth))) * (values @ polynomials))


def _evaluate(metric: Metric, dim: int, num_classes: int, new_radius: float, old_radius: float) -> Counterexample:
    """Both gaps of one pair of caps on a simplex, each with the error of its two expected distances."""
    new, old = UniformCap(dim, new_radius), UniformCap(dim, old_radius)
    errors = [
        sum(float(np.asarray(expected_distance(law, old, rho, metric, return_error=True))[1]) for law in (new, old))
        for rho in (1.0, -1.0 / (num_classes - 1))
    ]
    gaps = theorem1_gaps(new, old, num_classes, metric)
    return Counterexample(metric.name, dim, num_classes, new_radius, old_radius, gaps, Gaps(errors[0], errors[1]))

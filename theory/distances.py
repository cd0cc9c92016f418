"""Expected distance between features of two models, each a law around its own axis (paper, Figs. 2 and 12).

For laws that are symmetric about axes whose cosine is ρ, E F(u·v) is the Funk–Hecke series Σ_n N_n F_n a_n a'_n P_n(ρ).
It is exact and, where short, the fastest: a grid of radii is one matrix product. Small caps near one axis need too many
terms, and a function that a user brings has no closed coefficients; there a quadrature answers. Both state an error.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy

from theory._angle_law import log_cdf
from theory._coaxial import cap_pair_excess, cap_pair_mean, density_pair_mean, sphere_average
from theory._laws import Law, Pairs, axis_angle, check_laws, make_pairs, parameter, with_values
from theory._quadrature import cap_moments, unit_gauss
from theory._series import Expandable, expansion, gegenbauer, sphere_mean
from theory._validation import check_cosine
from theory.acceptance import expected_acceptance
from theory.caps import UniformCap, plain
from theory.metrics import FunctionDistance, Metric, MetricLike, PowerDistance, as_metric
from theory.von_mises_fisher import bessel_ratio, log_bessel

FloatArray = NDArray[np.float64]

_EPS = float(np.finfo(np.float64).eps)
_COUNTS = (64, 512, 4096, 32768)  # terms tried; what needs more goes to quadrature
_RELATIVE_ERROR = 3e-11
_BLOCK = 1 << 21  # numbers held at once


def _linear(pairs: Pairs, scale: float) -> tuple[FloatArray, FloatArray]:
    """E[scale·(2 − 2c)] = 2·scale·(1 − m m' cos β), from the complements of m."""
    first = [np.asarray(pairs.new.mean_resultant_length()), np.asarray(pairs.new.mean_resultant_complement())]
    second = [np.asarray(pairs.old.mean_resultant_length()), np.asarray(pairs.old.mean_resultant_complement())]
    m, lack = first[0][pairs.new_at], first[1][pairs.new_at]
    m_old, lack_old = second[0][pairs.old_at], second[1][pairs.old_at]
    turn = 2.0 * np.sin(0.5 * pairs.angles[pairs.angle_at]) ** 2
    value = 2.0 * scale * (lack + m * (lack_old + m_old * turn))
    return value, 64.0 * _EPS * value


def _series(
    pairs: Pairs, metric: Expandable, count: int, centred: bool = False
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The first ``count`` terms, a bound on all that they leave out, rounding included, and the size of term 1."""
    dim = pairs.new.dim
    terms, tail = expansion(metric, dim, count)
    if centred:
        terms = np.concatenate(([0.0], terms[1:]))
    a, a_bound = pairs.new.zonal_coefficients(count)
    b, b_bound = pairs.old.zonal_coefficients(count)
    polynomials = [gegenbauer(dim, math.cos(angle), math.sin(angle), count) for angle in pairs.angles]
    p = np.array([values for values, _ in polynomials]).reshape(-1, count)
    p_bound = np.array([bound for _, bound in polynomials])
    i, j, k = pairs.new_at, pairs.old_at, pairs.angle_at
    # each P_n carries a rounding error of about n units; Σ g|a b| ≤ √(Σ g a² Σ g b²) keeps the bound one sum a law
    growth = 64.0 * _EPS * np.abs(terms) * (1.0 + np.arange(count))
    rounding = np.sqrt((a**2 @ growth)[i] * (b**2 @ growth)[j]) * np.abs(p[:, 1:]).max(axis=1, initial=0.0)[k]
    if not centred:
        rounding += 8.0 * _EPS * np.abs(terms).sum()
    if len(a) * len(b) * len(p) <= 4 * len(i):
        value = np.empty(len(i))
        for at, row in enumerate(p):
            here = k == at
            value[here] = ((a * (terms * row)) @ b.T)[i[here], j[here]]
    else:
        block = max(1, _BLOCK // count)
        parts = [slice(start, start + block) for start in range(0, len(i), block)]
        value = np.concatenate([(a[i[s]] * b[j[s]] * p[k[s]]) @ terms for s in parts])
    error = tail * a_bound[i] * b_bound[j] * p_bound[k] + rounding
    return value, error, np.abs(terms[1] * a[i, 1] * b[j, 1] * p[k, 1])


def _fold(dim: int, radii: tuple[float, float], angle: float) -> tuple[tuple[float, float], float, float]:
    """Radii ≤ π/2, axis angle and factor: E − F_0 is the factor times that of the complements of wide caps."""
    factor, folded = 1.0, []
    for radius in radii:
        if radius > 0.5 * math.pi:
            rest = math.pi - radius
            inner, outer = cap_moments(dim, np.array([radius, max(rest, 1e-300)]))[0]
            factor *= -inner / outer
            radius, angle = rest, math.pi - angle
        folded.append(radius)
    return (folded[0], folded[1]), angle, factor


def _cap_value(
    metric: Metric, dim: int, radii: tuple[float, float], angle: float, mean: float, fine: bool, centred: bool
) -> float:
    folded, angle, factor = _fold(dim, radii, angle)
    base = 0.0 if centred else mean
    if factor == 0.0 or min(folded) <= 0.0:
        return base
    # y = sin²(ψ/2) must not underflow; at these radii the sphere is flat and the named distances are powers of ψ
    grow, power = 1.0, metric.s if isinstance(metric, PowerDistance) else 0.5
    if max(folded) < 1e-100:
        grow = 1e-100 / max(folded)
        folded, angle = (folded[0] * grow, folded[1] * grow), angle * grow if angle < 1e-95 else angle
        grow = grow if angle < 1e-4 and isinstance(metric, Expandable) else 1.0
    value = cap_pair_mean(metric.of_haversine, dim, folded, angle, mean, fine) * float(grow ** (-2.0 * power))
    return value if factor == 1.0 and not centred else base + factor * (value - mean)


def _as_caps(dim: int, kappa: float, radius: float, angle: float, fine: bool) -> tuple[FloatArray, FloatArray]:
    """A von Mises–Fisher law as a mixture of caps: radii and weights.

    The density e^{κ cos θ} does not increase with θ: a cap of radius α has weight κ sin α e^{κ cos α} × its area, the
    whole sphere the rest. Against a cap of ``radius`` at ``angle`` the mixture is cut where its boundary starts or
    stops to meet F's rough points.
    """
    if kappa == 0.0:
        return np.array([math.pi]), np.ones(1)
    # e^{κ cos θ} sin^dθ in the main: all but e^{−40} of it lies within 12 standard deviations of the mode
    root = math.hypot(dim, 2.0 * kappa)
    mode = math.atan2(math.sqrt(2.0 * dim * (dim + root)), 2.0 * kappa)
    reach = 12.0 / math.sqrt(kappa * math.cos(mode) + dim / math.sin(mode) ** 2)
    low, high = max(0.0, mode - reach), min(math.pi, mode + reach)
    turns = [radius, math.pi - radius]
    for b in (angle, math.pi - angle):
        turns += [abs(b - radius), b + radius, 2.0 * math.pi - b - radius]
    cuts = np.array([low, *sorted({turn for turn in turns if low < turn < high} if dim < 16 else ()), high])
    nodes, weights = unit_gauss(48 if fine else 40)
    radii = (cuts[:-1, None] + np.diff(cuts)[:, None] * nodes).ravel()
    m = cap_moments(dim, radii)[0]
    log_weight = dim * np.log(np.sin(radii)) - np.log(m) - 2.0 * kappa * np.sin(0.5 * radii) ** 2
    weight = (np.diff(cuts)[:, None] * weights).ravel() * np.exp(log_weight - log_weight.max())
    # the mean resultant length fixes the scale: the uniform part adds nothing to it
    weight *= float(bessel_ratio(np.asarray(0.5 * dim - 1.0), np.asarray(kappa))[0]) / float(weight @ m)
    return np.append(radii, math.pi), np.append(weight, 1.0 - weight.sum())


def _pair_value(metric: Metric, new: Law, old: Law, angle: float, mean: float, fine: bool, centred: bool) -> float:
    """E F, or E F − F_0, by quadrature for two scalar laws."""
    dim = new.dim
    if isinstance(new, UniformCap) and isinstance(old, UniformCap):
        return _cap_value(metric, dim, (float(parameter(new)), float(parameter(old))), angle, mean, fine, centred)
    if isinstance(new, UniformCap) or isinstance(old, UniformCap):
        cap, soft = (new, old) if isinstance(new, UniformCap) else (old, new)
        radius = float(parameter(cap))
        mixture = _as_caps(dim, float(parameter(soft)), radius, angle, fine)
        values = [_cap_value(metric, dim, (float(r), radius), angle, mean, fine, centred) for r in mixture[0]]
        return float(np.dot(mixture[1], values))
    k, k_old = float(parameter(new)), float(parameter(old))
    if k * k_old == 0.0:
        return 0.0 if centred else mean

    def log_density(psi: FloatArray) -> FloatArray:
        # the law of ψ: sin^{d−2}ψ I_λ(R)/R^λ, R the norm of κu + κ'v
        across = 4.0 * k * k_old * np.sin(0.5 * psi) ** 2
        resultant = np.sqrt(np.maximum((k + k_old) ** 2 - across, 0.0))
        sines = xlogy(dim - 2.0, np.sin(psi))
        return np.asarray(sines + log_bessel(0.5 * dim - 1.0, resultant) - across / (k + k_old + resultant))

    reach = min(math.pi, 14.0 * math.sqrt(dim * (k + k_old) / (k * k_old)))
    value = density_pair_mean(metric.of_haversine, dim, log_density, reach, angle, fine)
    return value - mean if centred else value


def _quadrature(pairs: Pairs, metric: Metric, with_error: bool, centred: bool = False) -> tuple[FloatArray, FloatArray]:
    """Pair by pair; the error is the difference of two orders, with what rounding may add."""
    dim = pairs.new.dim
    new = [with_values(pairs.new, value) for value in parameter(pairs.new)]
    old = [with_values(pairs.old, value) for value in parameter(pairs.old)]
    orders = (True, False) if with_error else (True,)
    values = np.empty((len(orders), len(pairs.new_at)))
    for row, fine in enumerate(orders):
        if isinstance(metric, Expandable):
            mean = sphere_mean(metric, dim)
        else:
            mean = sphere_average(metric.of_haversine, dim, fine)
        for at, (i, j, k) in enumerate(zip(pairs.new_at, pairs.old_at, pairs.angle_at, strict=True)):
            values[row, at] = _pair_value(metric, new[i], old[j], float(pairs.angles[k]), mean, fine, centred)
    # twice: two orders may err alike, by up to 1.7 times their difference in 2 of 568 random cases
    return values[0], 2.0 * np.abs(values[0] - values[-1]) + 256.0 * _EPS * np.abs(values[0])


def _step(
    pairs: Pairs, tau: float, below: float, above: float, with_error: bool, centred: bool
) -> tuple[FloatArray, FloatArray]:
    """Two values: the probability of a cosine of at least τ tells how often each is taken."""
    new = with_values(pairs.new, parameter(pairs.new)[pairs.new_at])
    old = with_values(pairs.old, parameter(pairs.old)[pairs.old_at])
    rate = expected_acceptance(new, old, tau, np.cos(pairs.angles[pairs.angle_at]), return_error=with_error)
    accepted, relative = map(np.asarray, rate if isinstance(rate, tuple) else (rate, 0.0))
    base = float(np.exp(log_cdf(axis_angle(np.asarray(tau)), np.asarray(float(pairs.new.dim))))) if centred else 0.0
    return (0.0 if centred else below) + (above - below) * (accepted - base), (below - above) * accepted * relative


def mean_distances(
    pairs: Pairs, metric: Metric, with_error: bool = False, centred: bool = False
) -> tuple[FloatArray, FloatArray]:
    """Expected distance, less F_0 if ``centred``, and its error for each pair, flat.

    The error of a quadrature is filled in only on request: it costs a second one.
    """
    if metric.linear is not None and not centred:
        return _linear(pairs, metric.linear)
    if isinstance(metric, FunctionDistance) and (step := metric.step) is not None:
        return _step(pairs, *step, with_error, centred)
    if not isinstance(metric, Expandable):
        return _quadrature(pairs, metric, with_error, centred)
    value, error, first = np.empty((3, len(pairs.new_at)))
    pending = np.ones(len(value), dtype=bool)
    before = np.full(len(value), 1e100)
    for count in _COUNTS:
        value[pending], error[pending], first[pending] = _series(pairs.pick(pending), metric, count, centred)
        # term 1 is what a gap of wide laws is made of, also where the sum passes through zero
        size = np.maximum(np.abs(value), first) if centred else np.abs(value)
        target = _RELATIVE_ERROR * size + 1e-290
        pending = error > target
        if not np.any(pending):
            return value, error
        # the bound falls like a power of the count at worst: two more steps of the same ratio must be enough
        pending &= error**3 <= target * before**2
        before = error.copy()
        if not np.any(pending):
            break
    todo = error > target
    value[todo], error[todo] = _quadrature(pairs.pick(todo), metric, with_error, centred)
    return value, error


def mean_gaps(new: Law, old: Law, new_angle: FloatArray, old_angle: float, metric: Metric) -> FloatArray:
    """E(new, old) − E(old, old), axes at two angles, without cancellation at either end.

    A wide old law leaves both near F_0, so F_0 is left out of both; small caps far apart leave both near F(cos β), and
    are summed as differences from that.
    """
    if metric.linear is not None:
        return _linear_gap(new, old, new_angle, old_angle, metric.linear)
    cross, within = make_pairs(new, old, new_angle), make_pairs(old, old, np.asarray(old_angle))
    spread = np.asarray(old.mean_resultant_length()) < 0.5
    gap = np.empty(cross.shape)
    for centred in (True, False):
        here = np.broadcast_to(spread == centred, cross.shape)
        if np.any(here):
            first = mean_distances(cross.pick(here.ravel()), metric, centred=centred)[0]
            chosen = np.ravel(spread == centred)
            second = np.zeros(within.shape)
            second[np.reshape(chosen, within.shape)] = mean_distances(within.pick(chosen), metric, centred=centred)[0]
            gap[here] = first - np.broadcast_to(second, cross.shape)[here]
    if isinstance(new, UniformCap) and isinstance(old, UniformCap):
        radius, old_radius, angle = np.broadcast_arrays(parameter(new), parameter(old), new_angle)
        reach = 2.0 * (np.maximum(radius, old_radius) + old_radius)
        for at in map(
            tuple, np.argwhere((old_radius > 1e-100) & (reach < 0.4) & (reach < np.minimum(angle, old_angle)))
        ):
            # F itself jumps between the two angles; what the caps add is of second order in their radii
            turn, mean_turn = 0.5 * (angle[at] - old_angle), 0.5 * (angle[at] + old_angle)
            jump = metric.increment(math.sin(0.5 * old_angle) ** 2, math.sin(turn) * math.sin(mean_turn))
            added = cap_pair_excess(metric.increment, new.dim, (radius[at], old_radius[at]), float(angle[at]))
            within_added = cap_pair_excess(metric.increment, new.dim, (old_radius[at], old_radius[at]), old_angle)
            gap[at] = float(jump) + added - within_added
    return gap


def _linear_gap(new: Law, old: Law, angles: FloatArray, old_angle: float, scale: float) -> FloatArray:
    """2·scale·m_old·(m_old cos β_old − m_new cos β_new), from the complements of m where the caps are small."""
    m, lack = np.asarray(new.mean_resultant_length()), np.asarray(new.mean_resultant_complement())
    m_old, lack_old = np.asarray(old.mean_resultant_length()), np.asarray(old.mean_resultant_complement())
    fall = np.where(np.minimum(m, m_old) > 0.5, lack - lack_old, m_old - m)
    turn = 2.0 * np.sin(0.5 * (angles - old_angle)) * np.sin(0.5 * (angles + old_angle))
    return np.asarray(2.0 * scale * m_old * (fall * math.cos(old_angle) + m * turn))


def expected_distance(
    new: Law,
    old: Law,
    axis_cosine: ArrayLike = 1.0,
    metric: MetricLike = "sqeuclidean",
    return_error: bool = False,
) -> float | FloatArray | tuple[float | FloatArray, float | FloatArray]:
    r"""Expected distance between independent draws of two laws whose axes have a given cosine.

    .. math:: E[F(u·v)] = \sum_n N_n F_n\, a_n a'_n\, P_n(ρ)

    Parameters
    ----------
    new, old : UniformCap or VonMisesFisher
        Two laws of the same dimension, of either kind; their radii or concentrations broadcast.
    axis_cosine : float or array
        ρ = w·w', in [−1, 1]: 1 for one class under a stationary representation, −1/(K−1) for two.
    metric : str, Metric or function of the cosine
        A name in :data:`theory.metrics.METRICS`; a :class:`theory.metrics.PowerDistance`; or a function,
        array → array, analytic except at cosines ±1 (its own rounding near cosine 1 is not in the error) or a step.
    return_error : bool
        Also return the absolute error: for the series a bound, the sum of all terms left out; for quadrature an
        estimate, twice the difference of two orders.

    Returns
    -------
    float or ndarray, or a pair of these
        Relative error ≤ 1e−10 for caps of 1e−6 to π and dimensions up to 1e5.

    Raises
    ------
    ValueError
        For laws of different dimension, a cosine outside [−1, 1], or a metric that is not one.

    References
    ----------
    The paper, Definition 1 and Fig. 2; Dai & Xu, *Approximation Theory and Harmonic Analysis on Spheres and Balls*,
    2013, section 1.2 (Funk–Hecke).
    """
    check_laws(new, old)
    cosine = check_cosine(axis_cosine)
    pairs = make_pairs(new, old, axis_angle(cosine))
    value, error = mean_distances(pairs, as_metric(metric), return_error)
    if return_error:
        return plain(value.reshape(pairs.shape)), plain(error.reshape(pairs.shape))
    return plain(value.reshape(pairs.shape))

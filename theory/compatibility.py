"""Definition 1 in expectation: the gaps that Theorem 1 predicts, and the drift that they tolerate (paper, Eq. 1a/1b).

A new model is compatible with an old one when same-class distances across the models do not exceed those within the old
model (1a) and different-class distances do not fall below them (1b). A gap is the slack: ≥ 0 is compatible.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory._laws import Law, axis_angle, check_laws, parameter
from theory._validation import check_integer, check_range
from theory.caps import UniformCap, plain
from theory.distances import mean_gaps
from theory.metrics import MetricLike, as_metric

FloatArray = NDArray[np.float64]


class Gaps(NamedTuple):
    """Slack of Definition 1 in expectation, ≥ 0 where compatible: a float, or an array, for each of 1a and 1b."""

    same_class: float | FloatArray
    different_class: float | FloatArray


class Drift(NamedTuple):
    """Largest angle (radians) by which the new class mean may rotate away from its vertex before 1a, or 1b, fails."""

    same_class: float | FloatArray
    different_class: float | FloatArray


def _simplex_angle(num_classes: object, dim: int) -> float:
    """Angle between two vertices of the simplex, arccos(−1/(K−1))."""
    count = check_integer("num_classes", num_classes, 2)
    if count > dim + 1:
        raise ValueError(
            f"num_classes must be <= dim + 1 = {dim + 1}, got {count}: -1/{count - 1} is an impossible simplex cosine."
        )
    return float(axis_angle(np.asarray(-1.0 / (count - 1))))


def theorem1_gaps(
    new: Law, old: Law, num_classes: int, metric: MetricLike = "sqeuclidean", drift: ArrayLike = 0.0
) -> Gaps:
    r"""Expected gaps of Definition 1 for classes around the vertices of a regular simplex.

    .. math::
        \text{1a: } E(old, old; 1) − E(new, old; \cos ω), \qquad
        \text{1b: } E(new, old; \cos(\arccos ρ − ω)) − E(old, old; ρ), \quad ρ = −\tfrac{1}{K−1}

    Theorem 1: without drift, and caps of radii α_new ≤ α_old ≤ π/2, both are ≥ 0 for ``sqeuclidean``, ``euclidean``,
    ``angular`` and every power of the chord up to the square; a general function of the cosine can make 1b negative.

    Parameters
    ----------
    new, old : UniformCap or VonMisesFisher
        The law of a class's features under each model, same dimension; they broadcast.
    num_classes : int
        K, from 2 to dim + 1.
    metric : str, Metric or function of the cosine
        As for :func:`theory.distances.expected_distance`.
    drift : float or array
        Angle ω in [0, π] by which the new mean has rotated away from its vertex. 1b is for the *worst class pair*: the
        rotation is straight towards the other class's vertex. (For ``sqeuclidean``, 1b averaged over the other classes
        is the 1a gap over K − 1, whatever the drift's direction: see :func:`first_moment_gaps`.)

    Returns
    -------
    Gaps

    Raises
    ------
    ValueError
        For K > dim + 1 (no such simplex), a drift outside [0, π], or what ``expected_distance`` refuses.

    References
    ----------
    The paper, Definition 1 and Theorem 1.
    """
    check_laws(new, old)
    between = _simplex_angle(num_classes, new.dim)
    turn = check_range("drift", drift, 0.0, math.pi, "in [0, π]")
    distance = as_metric(metric)
    same = -mean_gaps(new, old, turn, 0.0, distance)
    different = mean_gaps(new, old, np.abs(between - turn), between, distance)
    return Gaps(plain(same), plain(different))


def tolerable_drift(new: Law, old: Law, num_classes: int, metric: MetricLike = "sqeuclidean") -> Drift:
    r"""Largest rotation of the new class mean under which each inequality of Definition 1 still holds in expectation.

    The expected distance decreases strictly in the cosine of the axes, so each tolerance is the root of a monotone
    function of the angle; for ``sqeuclidean``, :math:`\cos ω^* = m_k/m_t` (1a) and
    :math:`\cos(\arccos ρ − ω^*) = ρ\, m_k/m_t` (1b), m the mean resultant lengths.

    Parameters
    ----------
    new, old : UniformCap or VonMisesFisher
        Same dimension; they broadcast.
    num_classes : int
        K, from 2 to dim + 1.
    metric : str, Metric or function of the cosine

    Returns
    -------
    Drift
        Radians, to 1e−9 relative: 0 if the inequality fails without drift; π if the old law is uniform on the sphere,
        so that no rotation changes anything. ``different_class`` is for one class pair and a rotation straight towards
        its vertex.

    Raises
    ------
    ValueError
        As :func:`theorem1_gaps`.
    """
    check_laws(new, old)
    between = _simplex_angle(num_classes, new.dim)
    distance = as_metric(metric)
    uniform = parameter(old) == (math.pi if isinstance(old, UniformCap) else 0.0)
    if distance.linear is not None:
        same, different = _linear_drift(new, old, between)
    else:
        skip = uniform | np.zeros(np.broadcast_shapes(parameter(new).shape, uniform.shape), dtype=bool)
        same = last_root(lambda turn: -mean_gaps(new, old, turn, 0.0, distance), math.pi, skip)
        different = last_root(lambda turn: mean_gaps(new, old, between - turn, between, distance), between, skip)
    return Drift(plain(np.where(uniform, math.pi, same)), plain(np.where(uniform, math.pi, different)))


def _linear_drift(new: Law, old: Law, between: float) -> tuple[FloatArray, FloatArray]:
    """The closed forms, from 1 − m_k/m_t so that nearly equal laws keep their digits."""
    m, lack = np.asarray(new.mean_resultant_length()), np.asarray(new.mean_resultant_complement())
    m_old, lack_old = np.asarray(old.mean_resultant_length()), np.asarray(old.mean_resultant_complement())
    rise = np.where(np.minimum(m, m_old) > 0.5, lack_old - lack, m - m_old)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.clip(np.where(rise > 0.0, rise / m, 0.0), 0.0, 1.0)
    same = 2.0 * np.arcsin(np.sqrt(0.5 * share))
    cosine, sine, ratio = -math.cos(between), math.sin(between), 1.0 - share
    # arccos(−q r) from arccos(−r): the sine of the difference, rationalised
    other = np.sqrt((1.0 - cosine * ratio) * (1.0 + cosine * ratio))
    floor = np.where(share > 0.0, ratio * sine + other, 1.0)
    return same, np.arcsin(np.minimum(cosine * share * (1.0 + ratio) / floor, 1.0))


def last_root(gap: Callable[[FloatArray], FloatArray], end: float, skip: NDArray[np.bool_]) -> FloatArray:
    """Where a decreasing gap falls through zero on [0, end], elementwise; 0 if it starts there, π if it never does.

    Regula falsi (Illinois) in x = ω²: for 1a the gap is even in ω, so linear in x near 0. Bisection finishes what
    rounding noise in the gap keeps from converging.
    """
    low, high = np.zeros(skip.shape), np.full(skip.shape, end * end)
    at_low, at_high = gap(np.sqrt(low)), gap(np.sqrt(high))
    none, never = at_low <= 0.0, at_high >= 0.0
    done, last = none | never | skip, np.zeros(skip.shape)
    scale = np.where(done, 1.0, at_low)
    at_low, at_high = at_low / scale, at_high / scale
    for attempt in range(80):
        if np.all(done):
            break
        guess = high - at_high * ((high - low) / np.where(done, 1.0, at_high - at_low))
        if attempt >= 40:
            guess = 0.5 * (low + high)
        # kept off the ends, so that the bracket closes from both sides
        guess = np.clip(guess, low + 1e-10 * high, high - 1e-10 * high)
        value = gap(np.sqrt(guess)) / scale
        side = np.where(value > 0.0, 1.0, -1.0)
        # an end that stays twice has its value halved, or the method crawls
        rise, fall = ~done & (side > 0.0), ~done & (side < 0.0)
        at_low = np.where(rise, value, np.where(fall & (last < 0.0), 0.5 * at_low, at_low))
        at_high = np.where(fall, value, np.where(rise & (last > 0.0), 0.5 * at_high, at_high))
        low, high = np.where(rise, guess, low), np.where(fall, guess, high)
        last = side
        done |= high - low <= 4e-10 * high
    return np.where(none, 0.0, np.where(never, math.pi, np.sqrt(0.5 * (low + high))))


def class_pair_gaps(new_means: ArrayLike, old_means: ArrayLike) -> FloatArray:
    r"""``sqeuclidean`` gaps of every class pair, whatever the shape of the classes.

    With μ the mean unit feature of a class and independent draws, E[2 − 2u·v] = 2 − 2 μ_t·μ_k, so the gap of class y is
    :math:`2 μ_{k,y}·(μ_{t,y} − μ_{k,y})` and that of y against y' is :math:`−2 μ_{k,y'}·(μ_{t,y} − μ_{k,y})`.

    Parameters
    ----------
    new_means, old_means : array, shape (K, dim)
        Means of the unit features of each class under each model; norms ≤ 1.

    Returns
    -------
    ndarray, shape (K, K)
        Entry (y, y'): new features of y against old ones of y'. The diagonal holds the same-class gaps.

    Raises
    ------
    ValueError
        For arrays that are not two finite K × dim matrices of one shape with rows of norm ≤ 1.
    """
    new, old = _check_means("new_means", new_means), _check_means("old_means", old_means)
    _check_same_shape(new, old)
    gaps = -2.0 * (new - old) @ old.T
    np.fill_diagonal(gaps, -np.diagonal(gaps))
    return gaps


def first_moment_gaps(new_means: ArrayLike, old_means: ArrayLike) -> Gaps:
    """Macro averages of :func:`class_pair_gaps`: every class, and every ordered class pair, counts once; O(K·dim)."""
    new, old = _check_means("new_means", new_means), _check_means("old_means", old_means)
    _check_same_shape(new, old)
    moved = new - old
    same = 2.0 * float(np.sum(old * moved)) / len(old)
    return Gaps(same, same / (len(old) - 1) + off_centre_defect(new, old))


def off_centre_defect(new_means: ArrayLike, old_means: ArrayLike) -> float:
    r"""gap(1b) − gap(1a)/(K−1) of the macro averages: what a common mean of the old features adds to 1b.

    .. math:: −\frac{2}{K−1}\, \mathrm{mean}_y (μ_{t,y} − μ_{k,y})·\sum_{y'} μ_{k,y'}

    Zero when the old class means sum to zero, as at the vertices of a simplex: 1a and 1b are then one condition.
    Parameters, errors: as :func:`class_pair_gaps`.
    """
    new, old = _check_means("new_means", new_means), _check_means("old_means", old_means)
    _check_same_shape(new, old)
    return -2.0 * float((new - old).mean(axis=0) @ old.sum(axis=0)) / (len(old) - 1)


def _check_means(name: str, means: ArrayLike) -> FloatArray:
    array = np.asarray(means, dtype=np.float64)
    if array.ndim != 2 or len(array) < 2:
        raise ValueError(f"{name} must be a (K, dim) array with K >= 2, got shape {array.shape}.")
    norms = np.linalg.norm(array, axis=1)
    if not np.all(norms <= 1.0 + 1e-6):  # false for NaN as well; single-precision features round to that
        raise ValueError(f"{name} must have rows of norm <= 1, got {float(norms[~(norms <= 1.0 + 1e-6)][0])!r}.")
    return array


def _check_same_shape(new: FloatArray, old: FloatArray) -> None:
    if new.shape != old.shape:
        raise ValueError(f"new_means and old_means must have one shape, got {new.shape} and {old.shape}.")

r"""Theorem D: what stationarity does to decisions at a threshold (no reference is known to us; docs/theorem-d.md).

A pair is accepted where its cosine is at least τ. With the same axis before and after an update and a new law that is
no wider, the true accept rate cannot fall at any τ (D1), and the false accept rate against a class at ρ = w·w' cannot
rise at any τ from a threshold on that depends on ρ and the radii only (D2, D3). A gap is the slack: ≥ 0 is compatible.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory._laws import Law, axis_angle, check_laws, parameter
from theory._validation import check_cosine, check_range
from theory.acceptance import expected_acceptance
from theory.caps import UniformCap, plain
from theory.compatibility import Drift, Gaps, last_root

FloatArray = NDArray[np.float64]

_THRESHOLDS = 96  # tried before an exact threshold is bisected
# of a rate, relative: what quadrature and rounding may add to a difference of two
_RESOLVED, _ROUNDING = 1e-9, 1e-11


def safe_threshold(new: Law, old: Law, axis_cosine: ArrayLike, other: Law | None = None) -> float | FloatArray:
    r"""Least threshold from which the false accept rate is proved not to rise (Theorem D).

    For uniform caps with radii α_t ≤ α_k, and α' the radius of the other class:

    - ρ = −1, or α_t = α_k: every threshold, −1;
    - ρ ≤ 0 and min(cos α', cos α_k cos α') ≥ −ρ², which all radii ≤ π/2 satisfy: τ ≥ ρ (D2);
    - ρ > 0 and α_k, α' < π/2: τ ≥ ρ/(cos α_k cos α') (D3).

    For von Mises–Fisher laws with κ_t ≥ κ_k and ρ ≤ 0: τ ≥ ρ.

    Parameters
    ----------
    new, old : UniformCap or VonMisesFisher
        Laws of the query's class under the new and the old model, of one kind and dimension; they broadcast.
    axis_cosine : float or array
        ρ, the cosine between the axes of the two classes, in [−1, 1].
    other : UniformCap or VonMisesFisher, optional
        Law of the other class under the old model; ``old`` if not given.

    Returns
    -------
    float or ndarray
        A cosine in [−1, 1], or infinity if nothing is proved: the new law is wider, the laws are of different kinds, or
        the bound is above 1. :func:`exact_threshold` computes what is true then.

    Raises
    ------
    ValueError
        For laws of different dimension or a cosine outside [−1, 1].
    """
    other = _check(new, old, other)
    columns = np.broadcast_arrays(parameter(new), parameter(old), parameter(other), check_cosine(axis_cosine))
    narrow, wide, beside, rho = columns
    if len({type(law) for law in (new, old, other)}) > 1:
        return plain(np.full(rho.shape, math.inf))
    if isinstance(new, UniformCap):
        first, second = np.cos(wide), np.cos(beside)
        both = first * second
        with np.errstate(divide="ignore", invalid="ignore"):
            bound = np.where((first > 0.0) & (second > 0.0), rho / both, math.inf)
        bound = np.where(rho <= 0.0, np.where(np.minimum(second, both) >= -(rho**2), rho, math.inf), bound)
        sharper = narrow <= wide
    else:
        bound, sharper = np.where(rho <= 0.0, rho, math.inf), narrow >= wide
    bound = np.where(bound > 1.0, math.inf, bound)
    bound = np.where((rho == -1.0) | (narrow == wide), -1.0, bound)
    return plain(np.where(sharper, bound, math.inf))


def theorem_d_gaps(
    new: Law, old: Law, threshold: ArrayLike, axis_cosine: ArrayLike, drift: ArrayLike = 0.0, other: Law | None = None
) -> Gaps:
    r"""Gain of the true accept rate, and fall of the false accept rate, at a threshold.

    .. math::
        TAR_t(τ) − TAR_k(τ), \qquad FAR_k(τ) − FAR_t(τ)

    Parameters
    ----------
    new, old : UniformCap or VonMisesFisher
        Laws of the query's class under the new and the old model, same dimension; they broadcast.
    threshold : float or array
        Cosine τ in [−1, 1] from which a pair is accepted.
    axis_cosine : float or array
        ρ, the cosine between the axes of the two classes, in [−1, 1].
    drift : float or array
        Angle ω in [0, π], radians, between the new axis and the old one. For the false accept rate the rotation is
        straight towards the other class, the worst direction.
    other : UniformCap or VonMisesFisher, optional
        Law of the other class under the old model; ``old`` if not given.

    Returns
    -------
    Gaps
        ``same_class`` and ``different_class``, each ≥ 0 where the new model decides no worse. Differences keep the
        digits of the rates in the tails.

    Raises
    ------
    ValueError
        For laws of different dimension or a number outside its range.
    """
    other = _check(new, old, other)
    tau = check_range("threshold", threshold, -1.0, 1.0, "in [-1, 1]")
    between = axis_angle(check_cosine(axis_cosine))
    turn = check_range("drift", drift, 0.0, math.pi, "in [0, π]")
    toward = np.abs(between - turn)
    own = _log_rate(new, old, tau, np.cos(turn)), _log_rate(old, old, tau, 1.0)
    false = _log_rate(new, other, tau, np.cos(toward)), _log_rate(old, other, tau, np.cos(between))
    return Gaps(plain(_difference(*own)), plain(-_difference(*false)))


def exact_threshold(new: Law, old: Law, axis_cosine: float, other: Law | None = None) -> float:
    """Least threshold from which the false accept rate does not rise, computed instead of proved.

    Rates are compared at 96 thresholds from the largest cosine that occurs downwards, and the first rise is bisected.
    ``safe_threshold`` is never below it, and the difference is what the proof loses.

    Parameters
    ----------
    new, old, other
        As for :func:`safe_threshold`, scalar, of any kind.
    axis_cosine : float
        ρ in [−1, 1].

    Returns
    -------
    float
        A cosine; −1 if no rise is seen at any threshold. Right to 1e−9 unless two rates touch without crossing.

    Raises
    ------
    ValueError
        As :func:`safe_threshold`, or for an array.
    """
    other = _check(new, old, other)
    if any(np.ndim(value) for value in (parameter(new), parameter(old), parameter(other), axis_cosine)):
        raise ValueError("exact_threshold takes scalar laws and a scalar axis_cosine.")
    between = float(axis_angle(check_cosine(axis_cosine)))

    def rises(tau: FloatArray) -> NDArray[np.bool_]:
        before, after = (_log_rate(law, other, tau, math.cos(between)) for law in (old, new))
        return np.asarray(_difference(after, before) > _RESOLVED * np.exp(before))

    radii = [float(parameter(law)) if isinstance(law, UniformCap) else math.pi for law in (new, old, other)]
    nearest = max(0.0, between - max(radii[0], radii[1]) - radii[2])
    farthest = min(math.pi, between + max(radii[0], radii[1]) + radii[2])
    angles = nearest + (farthest - nearest) * (np.arange(_THRESHOLDS) + 0.5) / _THRESHOLDS
    found = np.flatnonzero(rises(np.cos(angles)))
    if not len(found):
        return -1.0
    low, high = (float(angles[found[0] - 1]) if found[0] else nearest), float(angles[found[0]])
    for _ in range(40):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if rises(np.asarray(math.cos(middle))) else (middle, high)
    return math.cos(0.5 * (low + high))


def acceptance_drift(
    new: Law, old: Law, threshold: ArrayLike, axis_cosine: ArrayLike, other: Law | None = None
) -> Drift:
    """Largest rotation of the new axis under which neither rate gets worse at a threshold.

    Parameters
    ----------
    new, old, threshold, axis_cosine, other
        As for :func:`theorem_d_gaps`.

    Returns
    -------
    Drift
        Radians, to 1e−9 relative: 0 if a rate is worse without drift, π if no rotation makes it worse.
        ``different_class`` is for the rotation straight towards the other class.

    Raises
    ------
    ValueError
        As :func:`theorem_d_gaps`.
    """
    other = _check(new, old, other)
    tau, rho = check_range("threshold", threshold, -1.0, 1.0, "in [-1, 1]"), check_cosine(axis_cosine)
    shape = np.broadcast_shapes(*(np.shape(x) for x in (parameter(new), parameter(old), parameter(other), tau, rho)))
    between = np.broadcast_to(axis_angle(rho), shape)
    skip = np.zeros(shape, dtype=bool)
    own, false = _log_rate(old, old, tau, 1.0), _log_rate(old, other, tau, np.cos(between))

    # rates that are equal without drift, both 0 or both 1, are no worse: a loss counts from its own rounding on
    def same(turn: FloatArray) -> FloatArray:
        gap = _difference(_log_rate(new, old, tau, np.cos(turn)), own)
        return np.asarray(gap + _ROUNDING * np.exp(own) + 1e-300)

    def different(share: FloatArray) -> FloatArray:
        gap = -_difference(_log_rate(new, other, tau, np.cos(between * (1.0 - share))), false)
        return np.asarray(gap + _ROUNDING * np.exp(false) + 1e-300)

    share = last_root(different, 1.0, skip)
    return Drift(plain(last_root(same, math.pi, skip)), plain(np.where(share >= 1.0, math.pi, share * between)))


def safe_drift(new: UniformCap, old: UniformCap) -> float | FloatArray:
    """Largest rotation of the new axis under which the true accept rate is proved not to fall at any threshold.

    min(α_t, α_k − α_t): a cap that lies in the old one and contains its axis is nearer to that axis in the stochastic
    order. No rotation beyond α_k − α_t is safe at every threshold.

    Parameters
    ----------
    new, old : UniformCap
        Laws of a class under the two models, same dimension; they broadcast.

    Returns
    -------
    float or ndarray
        Radians; negative if the new cap is wider, so that no rotation is safe.

    Raises
    ------
    ValueError
        For laws that are not uniform caps of one dimension.
    """
    check_laws(new, old)
    if not (isinstance(new, UniformCap) and isinstance(old, UniformCap)):
        raise ValueError("safe_drift is proved for uniform caps only.")
    return plain(np.minimum(parameter(new), parameter(old) - parameter(new)))


def _check(new: Law, old: Law, other: Law | None) -> Law:
    check_laws(new, old)
    if other is None:
        return old
    check_laws(new, other)
    return other


def _log_rate(law: Law, other: Law, tau: ArrayLike, cosine: ArrayLike) -> FloatArray:
    rate = expected_acceptance(law, other, tau, np.clip(cosine, -1.0, 1.0), log=True)
    return np.asarray(rate)


def _difference(first: FloatArray, second: FloatArray) -> FloatArray:
    """e^first − e^second with the digits of the larger."""
    top = np.maximum(first, second)
    with np.errstate(invalid="ignore"):
        apart = -np.expm1(-np.abs(first - second))
    return np.where(top == -np.inf, 0.0, np.where(first >= second, 1.0, -1.0) * np.exp(top) * apart)

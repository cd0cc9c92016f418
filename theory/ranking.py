r"""What a search finds between caps: recall@1, wrong items above the best right one, AUC (consequences of Theorem D).

Given the query u, the items of a class are independent and so are the classes: with R_j(x) the share of class j's cap
within the angle x of u, the best of n right items lies within x with probability 1 − (1 − R_0(x))^n, and no wrong item
does with probability Π_j (1 − R_j(x))^{m_j}. Only the query is left to average over.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc

from theory._quadrature import unit_gauss
from theory._validation import check_integer
from theory.acceptance import azimuth_products, expected_acceptance, half_angle
from theory.caps import UniformCap

FloatArray = NDArray[np.float64]

_ANGLES = {True: 1200, False: 400}  # of the grid of x on the circle, and elsewhere: the error falls with its square
_CIRCLE_QUERIES = 1200


@dataclass(frozen=True)
class Ranking:
    """Averages over searches, with standard errors (0 on the circle, where the query is integrated over).

    Attributes
    ----------
    recall : float
        Probability that the nearest item is a right one.
    wrong_above : float
        Expected number of wrong items nearer than the best right one.
    recall_error, wrong_above_error : float
    """

    recall: float
    wrong_above: float
    recall_error: float
    wrong_above_error: float


def expected_ranking(
    query: UniformCap,
    gallery: Sequence[UniformCap],
    axes: ArrayLike,
    sizes: Sequence[int],
    num_queries: int = 400,
    rng: np.random.Generator | int | None = None,
) -> Ranking:
    """Recall@1, and wrong items above the best right one, for a query of the first class.

    Parameters
    ----------
    query : UniformCap
        Law of the query about the first axis.
    gallery : sequence of UniformCap
        Law of the items of each class about its axis, radii below π.
    axes : array, shape (K, dim)
        Unit vectors, the query's class first.
    sizes : sequence of int
        Items of each class, ≥ 1.
    num_queries : int
        Queries drawn where d > 2; on the circle they are integrated over.
    rng : Generator or seed, optional

    Returns
    -------
    Ranking

    Raises
    ------
    ValueError
        For axes that are not K unit vectors, or laws and sizes that do not fit them.
    """
    w = np.asarray(axes, dtype=np.float64)
    dim = query.dim
    if w.ndim != 2 or w.shape[1] != dim or np.any(np.abs(np.linalg.norm(w, axis=1) - 1.0) > 1e-9):
        raise ValueError(f"axes must be unit vectors of length dim = {dim}, one row per class, got shape {w.shape}.")
    if not len(w) == len(gallery) == len(sizes) >= 2:
        raise ValueError(f"gallery and sizes must have one entry per axis, got {len(gallery)} and {len(sizes)}.")
    counts = [check_integer("sizes", size, 1) for size in sizes]
    radius = float(np.asarray(query.radius))
    if dim == 2:
        turn = radius * (2.0 * (np.arange(_CIRCLE_QUERIES) + 0.5) / _CIRCLE_QUERIES - 1.0)
        lead = math.atan2(w[0, 1], w[0, 0])
        u = np.column_stack([np.cos(lead + turn), np.sin(lead + turn)])
    else:
        u = query.sample(check_integer("num_queries", num_queries, 2), axis=w[0], rng=rng)
    angles = np.arccos(np.clip(u @ w.T, -1.0, 1.0))
    found = np.array([_given(dim, row, gallery, counts) for row in angles])
    errors = np.zeros(2) if dim == 2 else found.std(axis=0, ddof=1) / math.sqrt(len(found))
    return Ranking(float(found[:, 0].mean()), float(found[:, 1].mean()), float(errors[0]), float(errors[1]))


def _given(dim: int, angles: FloatArray, gallery: Sequence[UniformCap], counts: list[int]) -> tuple[float, float]:
    """Recall and wrong items above the best right one for a query at these angles to the axes."""
    radius = float(np.asarray(gallery[0].radius))
    nearest, farthest = max(0.0, angles[0] - radius), min(math.pi, angles[0] + radius)
    # denser where the best of many items lies
    x = nearest + (farthest - nearest) * np.linspace(0.0, 1.0, _ANGLES[dim == 2]) ** 2
    shares = [
        _share_within(dim, float(np.asarray(law.radius)), float(angle), x)
        for law, angle in zip(gallery, angles, strict=True)
    ]
    step = -np.diff((1.0 - shares[0]) ** counts[0])  # the law of the best right item
    clear = np.prod([(1.0 - share) ** count for share, count in zip(shares[1:], counts[1:], strict=True)], axis=0)
    wrong = np.sum([share * count for share, count in zip(shares[1:], counts[1:], strict=True)], axis=0)
    first, second = (float(step @ (0.5 * (values[1:] + values[:-1]))) for values in (clear, wrong))
    return first, second


def _share_within(dim: int, radius: float, angle: float, reach: FloatArray) -> FloatArray:
    """Share of a cap within ``reach`` of a point at ``angle`` from its axis."""
    if dim == 2:
        ends = np.maximum(0.0, np.minimum(radius, angle + reach) - np.maximum(-radius, angle - reach))
        around = np.maximum(0.0, np.minimum(radius, angle - 2.0 * math.pi + reach) + radius)
        return np.asarray(np.minimum((ends + around) / (2.0 * radius), 1.0))
    unit, weight = unit_gauss(24)
    place, jacobian = np.sin(0.5 * math.pi * unit) ** 2, 0.5 * math.pi * np.sin(math.pi * unit) * weight
    turn = np.where(angle + reach <= math.pi, angle + reach, 2.0 * math.pi - angle - reach)
    low, high = np.minimum(np.abs(angle - reach), radius), np.minimum(turn, radius)
    psi = low[:, None] + np.maximum(high - low, 0.0)[:, None] * place
    chi = half_angle(*azimuth_products(psi, reach[:, None], angle))
    middle = np.maximum(high - low, 0.0) * ((np.sin(psi) ** (dim - 2) * _sphere_share(dim - 1, chi)) @ jacobian)
    # sin^{d−2} over [0, π] integrates to B((d−1)/2, ½)
    total = math.exp(math.lgamma(0.5 * (dim - 1)) + math.lgamma(0.5) - math.lgamma(0.5 * dim))
    whole = float(_sphere_share(dim, np.asarray(radius)))
    near = np.where(reach > angle, _sphere_share(dim, low), 0.0)
    far = np.where(angle + reach > math.pi, whole - _sphere_share(dim, np.maximum(high, low)), 0.0)
    return np.asarray(np.clip((near + middle / total + far) / whole, 0.0, 1.0))


def _sphere_share(dim: int, angle: FloatArray) -> FloatArray:
    """F(θ), to 1e−14 absolute."""
    half = 0.5 * betainc(0.5 * (dim - 1), 0.5, np.sin(angle) ** 2)
    return np.asarray(np.where(angle > 0.5 * math.pi, 1.0 - half, half))


def expected_auc(
    new: UniformCap, old: UniformCap, axis_cosine: float, other: UniformCap | None = None, steps: int = 256
) -> float:
    """Probability that a same-class pair has a larger cosine than an independent pair of two classes.

    Parameters
    ----------
    new, old : UniformCap
        Laws of the queries and of the right items, about one axis.
    axis_cosine : float
        ρ, of the axis of the wrong items.
    other : UniformCap, optional
        Law of the wrong items; ``old`` if not given.
    steps : int
        Steps of the same-class angle; the error falls with their square and is about 1e−5 at the default.

    Returns
    -------
    float
    """
    wrong = old if other is None else other
    reach = min(float(np.asarray(new.radius)) + float(np.asarray(old.radius)), math.pi)
    angles = np.linspace(0.0, reach, steps + 1)
    true = np.asarray(expected_acceptance(new, old, np.cos(angles)))
    false = np.asarray(expected_acceptance(new, wrong, np.cos(angles), axis_cosine))
    # a same-class pair within the step from x to x' beats the wrong pairs beyond: 1 − FAR, its mean over the step
    return float(np.diff(true) @ (1.0 - 0.5 * (false[1:] + false[:-1])))

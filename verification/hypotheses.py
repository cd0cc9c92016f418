"""The hypotheses of Theorem 1, measured: are class means at their vertices, does concentration about them not fall?

The theorem assumes stationary features: before and after the update each class is concentrated about the same fixed
vertex, and the update does not widen it. On data the first becomes a bound on the drift of every class mean from its
vertex, the second the difference of the mean cosine to the vertex. Both are apart from the conclusions, which
:mod:`verification.audit` judges.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy import stats

from theory.simplex import simplex_vertices
from verification.audit import check_paired
from verification.features import FeatureSet
from verification.inequalities import class_sums

Status = Literal["hold", "fail", "undecided"]
# class means of models that obey the theorem lie 3 to 11 degrees from their vertices, of others 20 to 110
MAX_DRIFT = math.radians(15.0)


@dataclass(frozen=True)
class Hypotheses:
    """What Theorem 1 assumes, as the data has it.

    Attributes
    ----------
    status : {"hold", "fail", "undecided"}
        Both of the following.
    stationarity, concentration : {"hold", "fail", "undecided"}
        Every class mean of both models is within ``max_drift`` of its vertex; the mean cosine does not fall.
    old_drift, new_drift : ndarray, shape (K,)
        Angle between each class's mean and its vertex, radians; the part due to sampling is taken out.
    worst_drift : tuple of float
        Interval for the largest of them, radians, simultaneous over classes.
    old_cosine, new_cosine : float
        Mean cosine between a sample and its vertex: the mean resultant length where the mean is at the vertex.
    cosine_change : tuple of float
        Interval for the difference new − old.
    max_drift, confidence : float
        What was asked for, radians and level.
    vertices_estimated : bool
        True when the vertices are the simplex nearest to the old class means and not given.
    """

    status: Status
    stationarity: Status
    concentration: Status
    old_drift: Float[ndarray, " k"]
    new_drift: Float[ndarray, " k"]
    worst_drift: tuple[float, float]
    old_cosine: float
    new_cosine: float
    cosine_change: tuple[float, float]
    max_drift: float
    confidence: float
    vertices_estimated: bool


def nearest_simplex(means: Float[ndarray, "k dim"]) -> Float[ndarray, "k dim"]:
    """Vertices of the regular simplex closest to the directions of K class means: orthogonal Procrustes, no scaling.

    Parameters
    ----------
    means : ndarray, shape (K, d)
        K ≥ 2 class means, none of them zero; d ≥ K−1.

    Returns
    -------
    ndarray, shape (K, d)
        Unit rows with cosines −1/(K−1).

    Raises
    ------
    ValueError
        If d < K−1: no simplex of K vertices fits.

    References
    ----------
    Schönemann, *A generalized solution of the orthogonal Procrustes problem*, 1966.
    """
    num_classes, dim = means.shape
    canonical = simplex_vertices(num_classes, dim)
    directions = means / np.linalg.norm(means, axis=1, keepdims=True)
    left, _, right = np.linalg.svd(canonical.T @ directions)
    return canonical @ (left @ right)


def check_hypotheses(
    new: FeatureSet,
    old: FeatureSet,
    vertices: Float[ndarray, "k dim"] | None = None,
    max_drift: float = MAX_DRIFT,
    confidence: float = 0.95,
) -> Hypotheses:
    """Measure the hypotheses of Theorem 1 on two models' features of the same samples.

    Parameters
    ----------
    new, old : FeatureSet
        The same samples, row by row.
    vertices : ndarray, shape (K, d), optional
        Unit vertex of each class, in the order of ``old.classes``; the nearest simplex to the old class means if not
        given.
    max_drift : float
        In (0, π), radians: how far from its vertex a class mean may lie and still count as stationary.
    confidence : float
        In (0, 1). Each of the two hypotheses is judged at this level.

    Raises
    ------
    ValueError
        If the sets do not belong together, an argument is out of range or the vertices are not K unit vectors of R^d.
    """
    check_paired(new, old)
    if not 0.0 < max_drift < math.pi:
        raise ValueError(f"max_drift must be in (0, π) radians, got {max_drift!r}.")
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must be in (0, 1), got {confidence!r}.")
    num_classes = len(old.classes)
    sizes = np.bincount(old.codes)
    estimated = vertices is None
    if vertices is None:
        vertices = nearest_simplex(class_sums(old.unit, old.codes, num_classes) / sizes[:, None])
    _check_vertices(vertices, num_classes, old.dim)

    level = (1.0 - confidence) / (2 * num_classes)  # both models, every class
    old_drift, old_error = _drift(old, vertices, sizes)
    new_drift, new_error = _drift(new, vertices, sizes)
    drift, error = np.concatenate([old_drift, new_drift]), np.concatenate([old_error, new_error])
    freedom = np.maximum(np.tile(sizes, 2) - 1.0, 1.0)
    half = stats.t.isf(level / 2.0, freedom) * error
    worst = (float(np.max(np.maximum(drift - half, 0.0))), float(min(np.max(drift + half), math.pi)))
    stationarity = _status(worst[1] <= max_drift, worst[0] > max_drift)

    own = vertices[old.codes]
    old_cosines, new_cosines = np.einsum("nd,nd->n", old.unit, own), np.einsum("nd,nd->n", new.unit, own)
    change = new_cosines - old_cosines
    # labels are held fixed, so the spread is within classes; a class of one counts with its whole distance
    centred = change - np.where(sizes > 1, np.bincount(old.codes, change) / sizes, change.mean())[old.codes]
    degrees = max(len(change) - num_classes, 1)
    spread = math.sqrt(float(centred @ centred) / degrees / len(change))
    quantile = float(stats.t.isf((1.0 - confidence) / 2.0, degrees))
    interval = (float(change.mean()) - quantile * spread, float(change.mean()) + quantile * spread)
    concentration = _status(interval[0] >= 0.0, interval[1] < 0.0)

    both = {stationarity, concentration}
    status: Status = "fail" if "fail" in both else _status(both == {"hold"}, False)
    return Hypotheses(
        status,
        stationarity,
        concentration,
        old_drift,
        new_drift,
        worst,
        float(old_cosines.mean()),
        float(new_cosines.mean()),
        interval,
        max_drift,
        confidence,
        estimated,
    )


def _status(holds: bool, fails: bool) -> Status:
    return "hold" if holds else "fail" if fails else "undecided"


def _check_vertices(vertices: ndarray, num_classes: int, dim: int) -> None:
    if vertices.shape != (num_classes, dim):
        raise ValueError(f"vertices must have shape {(num_classes, dim)}, one row a class, got {vertices.shape}.")
    norms = np.linalg.norm(vertices, axis=1)
    if not np.allclose(norms, 1.0, atol=1e-6):  # float32 vertices pass
        raise ValueError(f"vertices must have norm 1, got {float(norms[np.argmax(np.abs(norms - 1.0))])!r}.")


def _drift(features: FeatureSet, vertices: ndarray, sizes: ndarray) -> tuple[ndarray, ndarray]:
    """Angle between each class mean and its vertex, and its standard error, radians.

    The part of a class mean off its vertex has the expected square r² + s²/n, s² the spread of a sample: s²/n is
    taken out.
    """
    codes, num_classes = features.codes, len(sizes)
    along = np.einsum("nd,nd->n", features.unit, vertices[codes])
    off = features.unit - along[:, None] * vertices[codes]
    cosine = np.bincount(codes, along) / sizes
    mean_off = class_sums(off, codes, num_classes) / sizes[:, None]
    centred = off - mean_off[codes]
    several = np.maximum(sizes - 1.0, 1.0)
    noise = np.bincount(codes, np.einsum("nd,nd->n", centred, centred)) / several / sizes
    length = np.linalg.norm(mean_off, axis=1)
    drift = np.arctan2(np.sqrt(np.maximum(length**2 - noise, 0.0)), cosine)
    direction = mean_off / np.maximum(length, np.finfo(float).tiny)[:, None]
    # d(angle) = (cos·d(length) − sin·d(cosine)) / resultant
    resultant = np.maximum(np.hypot(length, cosine), np.finfo(float).tiny)
    tangent = np.einsum("nd,nd->n", centred, direction[codes]) * (cosine / resultant)[codes]
    tangent -= (along - cosine[codes]) * (length / resultant)[codes]
    error = np.sqrt(np.bincount(codes, tangent**2) / several / sizes) / resultant
    # one sample says nothing of its class's mean
    return drift, np.where(sizes > 1, error, np.inf)

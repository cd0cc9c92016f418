"""The hypotheses of Theorem 1, measured: are class means at their vertices, does concentration about them not fall?

The theorem assumes stationary features: before and after the update each class is concentrated about the same fixed
vertex, and the update does not widen it. On data the first becomes a bound on the drift of every class mean from its
vertex, the second the difference of the mean cosine to the vertex. Both are apart from the conclusions, which
:mod:`verification.audit` judges.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from theory.simplex import simplex_vertices
from verification.audit.neural_collapse import NeuralCollapse, neural_collapse
from verification.statistics.interval import check_confidence
from verification.statistics.rows import Rows
from verification.statistics.student import upper_quantile
from verification.upgrade import Upgrade

Status = Literal["hold", "fail", "undecided"]
# class means of models that obey the theorem lie 3 to 11 degrees from their vertices, of others 20 to 110
MAX_DRIFT = math.radians(15.0)


@dataclass(frozen=True, kw_only=True)
class Hypotheses:
    """The assumptions of Theorem 1, measured on data.

    Attributes
    ----------
    status : {"hold", "fail", "undecided"}
        Joint answer of the following two.
    stationarity, concentration : {"hold", "fail", "undecided"}
        Every class mean of both models is within ``max_drift`` of its vertex; the mean cosine does not fall.
    old_drift, new_drift : ndarray, shape (K,)
        Angle between each class's mean and its vertex, radians, corrected for sampling error.
    worst_drift : tuple of float
        Interval for the largest drift, radians, simultaneous over classes.
    old_cosine, new_cosine : float
        Mean cosine between a sample and its vertex; it is the mean resultant length if the mean is at the vertex.
    cosine_change : tuple of float
        Interval for the difference new − old.
    max_drift, confidence : float
        The requested limit in radians, and the level.
    vertices_estimated : bool
        True if the vertices were not given and are the simplex nearest to the old class means.
    old_drift_bounds, new_drift_bounds : tuple of (float, float)
        Interval for each class's drift, radians, simultaneous over classes and both models.
    collapse_old, collapse_new : NeuralCollapse
        The measures NC1–NC3 of each model.
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
    old_drift_bounds: tuple[tuple[float, float], ...]
    new_drift_bounds: tuple[tuple[float, float], ...]
    collapse_old: NeuralCollapse
    collapse_new: NeuralCollapse

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, angles in radians."""
        plain = asdict(self)
        return plain | {name: plain[name].tolist() for name in ("old_drift", "new_drift")}


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
    upgrade: Upgrade,
    vertices: Float[ndarray, "k dim"] | None = None,
    max_drift: float = MAX_DRIFT,
    confidence: float = 0.95,
) -> Hypotheses:
    """Measure the hypotheses of Theorem 1 on two models' features of the same samples.

    Parameters
    ----------
    upgrade : Upgrade
        The upgrade whose queries are measured.
    vertices : ndarray, shape (K, d), optional
        Unit vertex of each class, in the order of ``upgrade.labels``; the nearest simplex to the old class means if not
        given.
    max_drift : float
        Largest angle between a class mean and its vertex that counts as stationary, in (0, π) radians.
    confidence : float
        In (0, 1). Each of the two hypotheses is judged at this level.

    Raises
    ------
    ValueError
        If classes are missing or too few, an argument is out of range or the vertices are not K unit vectors of R^d.
    """
    sizes = upgrade.sizes
    if len(sizes) < 2 or np.any(sizes == 0):
        raise ValueError("the hypotheses are about at least two classes, each with a query.")
    if not 0.0 < max_drift < math.pi:
        raise ValueError(f"max_drift must be in (0, π) radians, got {max_drift!r}.")
    check_confidence(confidence)
    num_classes, dim = len(sizes), upgrade.old.dim
    reading = upgrade.read()
    rows = reading.rows
    shift, old_means = reading.sums.means
    new_means = old_means + shift
    estimated = vertices is None
    if vertices is None:
        vertices = nearest_simplex(old_means)
    _check_vertices(vertices, num_classes, dim)

    level = (1.0 - confidence) / (2 * num_classes)  # both models, every class
    half = upper_quantile(level / 2.0, np.maximum(rows.counts - 1.0, 1.0))
    old_drift, old_error = _drift("old", old_means, rows, vertices)
    new_drift, new_error = _drift("new", new_means, rows, vertices)
    old_bounds, new_bounds = _bounds(old_drift, half * old_error), _bounds(new_drift, half * new_error)
    worst = np.max(np.concatenate([old_bounds, new_bounds]), axis=0)
    stationarity = _status(worst[1] <= max_drift, worst[0] > max_drift)

    weights = sizes / sizes.sum()
    old_cosine = float(weights @ np.vecdot(old_means, vertices))
    change = float(weights @ np.vecdot(shift, vertices))
    spread, degrees = _spread(rows.dots("shift", vertices), rows)
    quantile = float(upper_quantile((1.0 - confidence) / 2.0, degrees))
    interval = (change - quantile * spread, change + quantile * spread)
    concentration = _status(interval[0] >= 0.0, interval[1] < 0.0)

    both = {stationarity, concentration}
    status: Status = "fail" if "fail" in both else _status(both == {"hold"}, False)
    return Hypotheses(
        status=status,
        stationarity=stationarity,
        concentration=concentration,
        old_drift=old_drift,
        new_drift=new_drift,
        worst_drift=(float(worst[0]), float(worst[1])),
        old_cosine=old_cosine,
        new_cosine=old_cosine + change,
        cosine_change=interval,
        max_drift=max_drift,
        confidence=confidence,
        vertices_estimated=estimated,
        old_drift_bounds=tuple((float(low), float(high)) for low, high in old_bounds),
        new_drift_bounds=tuple((float(low), float(high)) for low, high in new_bounds),
        collapse_old=neural_collapse(old_means, vertices, rows.old, rows.codes),
        collapse_new=neural_collapse(new_means, vertices, rows.models[0], rows.codes),
    )


def _bounds(drift: Float[ndarray, " k"], half: Float[ndarray, " k"]) -> Float[ndarray, "k 2"]:
    return np.clip(np.stack([drift - half, drift + half], axis=1), 0.0, math.pi)


def _status(holds: bool, fails: bool) -> Status:
    return "hold" if holds else "fail" if fails else "undecided"


def _check_vertices(vertices: ndarray, num_classes: int, dim: int) -> None:
    if vertices.shape != (num_classes, dim):
        raise ValueError(f"vertices must have shape {(num_classes, dim)}, one row a class, got {vertices.shape}.")
    norms = np.linalg.norm(vertices, axis=1)
    if not np.allclose(norms, 1.0, atol=1e-6):  # float32 vertices pass
        raise ValueError(f"vertices must have norm 1, got {float(norms[np.argmax(np.abs(norms - 1.0))])!r}.")


def _drift(
    which: Literal["new", "old"], means: Float[ndarray, "k dim"], rows: Rows, vertices: Float[ndarray, "k dim"]
) -> tuple[Float[ndarray, " k"], Float[ndarray, " k"]]:
    """Angle between each class mean and its vertex, and its standard error, radians.

    The part of a class mean off its vertex has the expected square r² + s²/n, s² the spread of a sample: s²/n is
    taken out.
    """
    cosine = np.vecdot(means, vertices)
    off = means - cosine[:, None] * vertices
    length = np.linalg.norm(off, axis=1)
    num, codes = rows.counts, rows.codes
    along = rows.dots(which, vertices)
    aside = rows.dots(which, off / np.maximum(length, np.finfo(float).tiny)[:, None])

    def average(values: Float[ndarray, " m"]) -> Float[ndarray, " k"]:
        return np.bincount(codes, values, minlength=len(num)) / num

    kept = (rows.sums.sums[1] + (rows.sums.sums[0] if which == "new" else 0.0)) / num[:, None]
    kept_off = np.vecdot(kept, kept) - np.vecdot(kept, vertices) ** 2
    several = np.maximum(num - 1.0, 1.0)
    # rows have length 1, so what is not along the vertex is off it
    noise = np.maximum(1.0 - average(along**2) - kept_off, 0.0) * num / several / rows.sizes
    drift = np.arctan2(np.sqrt(np.maximum(length**2 - noise, 0.0)), cosine)
    # d(angle) = (cos·d(length) − sin·d(cosine)) / resultant
    resultant = np.maximum(np.hypot(length, cosine), np.finfo(float).tiny)
    tangent = aside * (cosine / resultant)[codes] - along * (length / resultant)[codes]
    tangent -= average(tangent)[codes]
    error = np.sqrt(average(tangent**2) * num / several / rows.sizes) / resultant
    # one sample says nothing of its class's mean
    return drift, np.where(num > 1, error, np.inf)


def _spread(values: Float[ndarray, " m"], rows: Rows) -> tuple[float, int]:
    """Standard error of a mean over all samples, from kept rows, and its degrees of freedom.

    Labels are held fixed, so the spread is within classes; a class of one counts with its whole distance.
    """
    num, sizes = rows.counts, rows.sizes
    share = sizes / sizes.sum()
    means = np.bincount(rows.codes, values) / num
    centred = values - np.where(num > 1, means, share @ means)[rows.codes]
    variances = np.bincount(rows.codes, centred**2) / np.maximum(num - 1.0, 1.0)
    return math.sqrt(float(np.sum(share**2 * variances / sizes))), max(len(values) - len(num), 1)

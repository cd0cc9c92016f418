r"""How much two models' features of the same samples have to do with each other, at first order and beyond.

Cross-entropy with a fixed classifier aligns class means; the paper holds that it "may not fully capture higher-order
dependencies" and that the contrastive term of HOC does (Fig. 3). *First order* here is the cosine between a class's
mean and its vertex, or its mean under the other model. *Beyond* is what remains: covariances, linear CKA, and
InfoNCE's bound on the mutual information, each over all samples and within classes, where class means no longer enter.
A label that both models know makes features of all samples dependent, whatever they do with the images of one class.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from verification.audit import check_paired
from verification.features import FeatureSet
from verification.statistics.rows import stream
from verification.statistics.sums import class_sums

Negatives = Literal["all", "same class", "other classes"]


@dataclass(frozen=True)
class InformationBound:
    """log N − L, nats: the mean over batches, its standard error, and the most that a batch can give."""

    bound: float
    standard_error: float
    ceiling: float


@dataclass(frozen=True)
class Dependence:
    """First- and higher-order dependence of two models.

    Attributes
    ----------
    alignment : float
        Mean over classes of the cosine between the class's two means.
    covariance_distance, covariance_distance_within : float
    cka, cka_within : float
    information, information_within : InformationBound
        Of I(u; v) and of I(u; v | class).
    """

    alignment: float
    covariance_distance: float
    covariance_distance_within: float
    cka: float
    cka_within: float
    information: InformationBound
    information_within: InformationBound


def measure_dependence(
    new: FeatureSet, old: FeatureSet, scale: float = 10.0, batch_size: int = 128, seed: int = 0
) -> Dependence:
    """All measures of this module for two models' features of the same samples, row by row.

    Parameters and errors are those of :func:`information_bound`; every class needs four samples.
    """
    return Dependence(
        float(np.mean(mean_alignment(new, class_means(old)))),
        covariance_distance(new, old),
        covariance_distance(new, old, within=True),
        linear_cka(new, old),
        linear_cka(new, old, within=True),
        information_bound(new, old, scale, batch_size, seed=seed),
        information_bound(new, old, scale, batch_size, "same class", seed),
    )


def class_means(features: FeatureSet) -> Float[ndarray, "k dim"]:
    """Mean unit feature of each class, in the order of ``features.classes``."""
    sums = class_sums(features.unit, features.codes, len(features.classes))
    return sums / np.bincount(features.codes)[:, None]


def mean_alignment(features: FeatureSet, directions: Float[ndarray, "k dim"]) -> Float[ndarray, " k"]:
    """Cosine between each class's mean and its direction: a vertex, or the class's mean under another model.

    Raises
    ------
    ValueError
        If there is not one direction a class, of the dimension of the features.
    """
    means = class_means(features)
    if directions.shape != means.shape:
        raise ValueError(f"directions must have shape {means.shape}, one row a class, got {directions.shape}.")
    lengths = np.linalg.norm(means, axis=1) * np.linalg.norm(directions, axis=1)
    return np.vecdot(means, directions) / lengths


def covariance_distance(new: FeatureSet, old: FeatureSet, within: bool = False) -> float:
    r"""Distance of the covariances of unit features, :math:`\|Σ_{new} − Σ_{old}\|_F`, in [0, √2].

    It compares two distributions, not samples: features that are independent of each other can have distance 0.

    Parameters
    ----------
    new, old : FeatureSet
        The same samples, row by row.
    within : bool
        Of the covariance within classes, pooled: about class means instead of the mean.
    """
    check_paired(new, old)
    covariances = [_covariance(_centred(features, within)) for features in (new, old)]
    return float(np.linalg.norm(covariances[0] - covariances[1]))


def linear_cka(new: FeatureSet, old: FeatureSet, within: bool = False) -> float:
    r"""Linear CKA of unit features, HSIC(u, v)/√(HSIC(u, u) HSIC(v, v)), with the unbiased estimate of each HSIC.

    1 for features that differ by a rotation, 0 on average for independent ones (a little negative values occur); the
    plug-in estimate would be about d/N there. O(N·d²); the dimensions may differ.

    Parameters
    ----------
    new, old : FeatureSet
        The same samples, row by row.
    within : bool
        HSIC within each class, averaged with the classes' shares: what the features share beyond the class.

    Raises
    ------
    ValueError
        If the sets do not belong together, or there are fewer than four samples (of a class).

    References
    ----------
    Kornblith et al., *Similarity of neural network representations revisited*, 2019; Song et al., *Feature selection
    via dependence maximization*, 2012 (unbiased HSIC).
    """
    _check_same_samples(new, old)
    groups = _groups(new, within)
    if min(map(len, groups)) < 4:
        of = " of a class" if within else ""
        raise ValueError(f"CKA needs at least 4 samples{of}, got {min(map(len, groups))}.")
    x, y = new.unit, old.unit
    shares = [len(rows) / len(x) for rows in groups]

    def hsic(a: Float[ndarray, "n dim"], b: Float[ndarray, "n dim2"]) -> float:
        return math.fsum(share * _hsic(a[rows], b[rows]) for share, rows in zip(shares, groups, strict=True))

    return hsic(x, y) / math.sqrt(max(hsic(x, x) * hsic(y, y), np.finfo(float).tiny))


def information_bound(
    new: FeatureSet,
    old: FeatureSet,
    scale: float = 10.0,
    batch_size: int = 128,
    negatives: Negatives = "all",
    seed: int = 0,
) -> InformationBound:
    r"""InfoNCE's log N − L with the critic µ u·v of the contrastive loss (paper, Eq. 4), over batches of N samples.

    L is the mean over i of :math:`−µ u_i·v_i + \log \sum_j e^{µ u_i·v_j}`, j over the sample itself and its negatives:

    - ``all``: the other samples of the batch. On average log N − L ≤ I(u; v).
    - ``same class``: batches of one class each, averaged with the classes' shares. On average ≤ I(u; v | class).
    - ``other classes``: Eq. 4, the loss that HOC trains with. **No bound**: features that are the class's vertex and
      no more have I(u; v) ≤ log K, while L is near 0 and log N − L near log N, however large N is. The negatives are
      not drawn from the law of v.

    Parameters
    ----------
    new, old : FeatureSet
        The same samples, row by row, in one dimension; u and v are their unit features.
    scale : float
        µ > 0.
    batch_size : int
        N ≥ 2; at most half the samples, so that the standard error can be told. A class smaller than twice that comes
        in two batches.
    negatives : {"all", "same class", "other classes"}
    seed : int
        Of the batches, which do not overlap.

    Raises
    ------
    ValueError
        If the sets do not belong together or an argument is out of range.

    References
    ----------
    van den Oord, Li & Vinyals, *Representation learning with contrastive predictive coding*, 2018.
    """
    from theory.infonce import infonce_loss

    check_paired(new, old)
    if not (math.isfinite(scale) and scale > 0):
        raise ValueError(f"scale must be a finite number > 0, got {scale!r}.")
    if negatives not in ("all", "same class", "other classes"):
        raise ValueError(f"negatives must be 'all', 'same class' or 'other classes', got {negatives!r}.")
    groups = _groups(new, negatives == "same class")
    least = min(map(len, groups))
    if negatives == "same class" and least < 4:
        raise ValueError(f"every class must have at least 4 samples, two batches of two, got {least}.")
    if not 2 <= batch_size <= len(new) // 2:
        raise ValueError(f"batch_size must be in [2, {len(new) // 2}], half the samples, got {batch_size!r}.")
    rng = stream(seed, "batches")
    u, v = scale * new.unit, old.unit
    bound = variance = ceiling = 0.0
    for rows in groups:
        size = min(batch_size, len(rows) // 2)
        batches = rng.permutation(rows)[: len(rows) // size * size].reshape(-1, size)
        values = []
        for batch in batches:
            scores = u[batch] @ v[batch].T
            if negatives == "other classes":
                same = new.codes[batch][:, None] == new.codes[batch]
                scores[same & ~np.eye(size, dtype=bool)] = -np.inf
            values.append(math.log(size) - infonce_loss(scores))
        share = len(rows) / len(u)
        bound += share * float(np.mean(values))
        variance += share**2 * float(np.var(values, ddof=1)) / len(values)
        ceiling += share * math.log(size)
    return InformationBound(bound, math.sqrt(variance), ceiling)


def _check_same_samples(new: FeatureSet, old: FeatureSet) -> None:
    if not np.array_equal(new.labels, old.labels):
        raise ValueError(f"new and old must hold the same samples, row by row, got {len(new)} and {len(old)} labels.")


def _groups(features: FeatureSet, within: bool) -> list[ndarray]:
    if not within:
        return [np.arange(len(features))]
    order = np.argsort(features.codes, kind="stable")
    return np.split(order, np.cumsum(np.bincount(features.codes))[:-1])


def _centred(features: FeatureSet, within: bool) -> Float[ndarray, "n dim"]:
    means = class_means(features)[features.codes] if within else features.unit.mean(axis=0)
    return features.unit - means


def _covariance(centred: Float[ndarray, "n dim"]) -> Float[ndarray, "dim dim"]:
    return centred.T @ centred / len(centred)


def _hsic(x: Float[ndarray, "n dim"], y: Float[ndarray, "n dim2"]) -> float:
    """Unbiased HSIC with linear kernels K = xxᵀ, L = yyᵀ, their diagonals taken out; no N × N matrix is made."""
    n = len(x)
    # HSIC does not know where the origin is, rounding does
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    own_x, own_y = np.vecdot(x, x), np.vecdot(y, y)
    cross = x.T @ y
    # x and y sum to zero, so the sum of a row of K without its diagonal is the negative of that
    trace = float(np.vdot(cross, cross) - own_x @ own_y)
    sums = float(own_x.sum() * own_y.sum()) / ((n - 1) * (n - 2))
    return (trace + sums - 2.0 / (n - 2) * float(own_x @ own_y)) / (n * (n - 3))

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

from verification.features import FeatureSet
from verification.statistics.rows import stream
from verification.statistics.sums import class_sums
from verification.upgrade import Upgrade

Negatives = Literal["all", "same class", "other classes"]


@dataclass(frozen=True, kw_only=True)
class InformationBound:
    """log N − L, nats: the mean over batches, its standard error, and the most that a batch can give."""

    bound: float
    standard_error: float
    ceiling: float


@dataclass(frozen=True, kw_only=True)
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


def measure_dependence(upgrade: Upgrade, scale: float = 10.0, batch_size: int = 128, seed: int = 0) -> Dependence:
    """Return all measures of this module for two models' features of the same samples.

    Parameters and errors are those of :func:`information_bound`; every class needs four samples.
    """
    return Dependence(
        alignment=float(np.mean(mean_alignment(upgrade.new, class_means(upgrade.old)))),
        covariance_distance=covariance_distance(upgrade),
        covariance_distance_within=covariance_distance(upgrade, within=True),
        cka=linear_cka(upgrade),
        cka_within=linear_cka(upgrade, within=True),
        information=information_bound(upgrade, scale, batch_size, seed=seed),
        information_within=information_bound(upgrade, scale, batch_size, "same class", seed),
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


def covariance_distance(upgrade: Upgrade, within: bool = False) -> float:
    r"""Distance of the covariances of unit features, :math:`\|Σ_{new} − Σ_{old}\|_F`, in [0, √2].

    It compares two distributions, not samples: features that are independent of each other can have distance 0.

    Parameters
    ----------
    upgrade : Upgrade
    within : bool
        Of the covariance within classes, pooled: about class means instead of the mean.

    Raises
    ------
    ValueError
        If the models have different dimensions, or classes are asked about and a row has none.
    """
    _check_one_space(upgrade)
    groups = _groups(upgrade, within)
    covariances = []
    for features in (upgrade.new, upgrade.old):
        centred = [features.unit[rows] - features.unit[rows].mean(axis=0) for rows in groups]
        covariances.append(sum(part.T @ part for part in centred) / len(features))
    return float(np.linalg.norm(covariances[0] - covariances[1]))


def linear_cka(upgrade: Upgrade, within: bool = False) -> float:
    r"""Linear CKA of unit features, HSIC(u, v)/√(HSIC(u, u) HSIC(v, v)), with the unbiased estimate of each HSIC.

    1 for features that differ by a rotation, 0 on average for independent ones (a little negative values occur); the
    plug-in estimate would be about d/N there. O(N·d²).

    Parameters
    ----------
    upgrade : Upgrade
        Its dimensions may differ (``Upgrade(…, same_dim=False)``).
    within : bool
        HSIC within each class, averaged with the classes' shares: what the features share beyond the class.

    Raises
    ------
    ValueError
        If there are fewer than four samples (of a class), the features of a model do not vary, or classes are asked
        about and a row has none.

    References
    ----------
    Kornblith et al., *Similarity of neural network representations revisited*, 2019; Song et al., *Feature selection
    via dependence maximization*, 2012 (unbiased HSIC).
    """
    groups = _groups(upgrade, within)
    of = " of every class" if within else ""
    if (least := min(map(len, groups))) < 4:
        raise ValueError(f"linear CKA needs at least 4 samples{of}, got {least}.")
    x, y = upgrade.new.unit, upgrade.old.unit

    def hsic(a: Float[ndarray, "n dim"], b: Float[ndarray, "n dim2"]) -> float:
        return math.fsum(len(rows) / len(x) * _hsic(a[rows], b[rows]) for rows in groups)

    own = hsic(x, x), hsic(y, y)
    for name, value in zip(("new", "old"), own, strict=True):
        # by rounding features that are all alike come to at most some 1e-30; an unbiased estimate may be negative
        if not value > np.finfo(float).eps ** 2:
            where = "within classes" if within else "over the samples"
            raise ValueError(f"linear CKA needs features that vary {where}, but those of the {name} model do not.")
    return hsic(x, y) / math.sqrt(own[0] * own[1])


def information_bound(
    upgrade: Upgrade,
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
    upgrade : Upgrade
        Of one dimension; u and v are the unit features of the new and of the old model.
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
        If the models have different dimensions, an argument is out of range, or classes are asked about and a row has
        none.

    References
    ----------
    van den Oord, Li & Vinyals, *Representation learning with contrastive predictive coding*, 2018.
    """
    from theory.infonce import infonce_loss

    _check_one_space(upgrade)
    if not (math.isfinite(scale) and scale > 0):
        raise ValueError(f"scale must be a finite number > 0, got {scale!r}.")
    if negatives not in ("all", "same class", "other classes"):
        raise ValueError(f"negatives must be 'all', 'same class' or 'other classes', got {negatives!r}.")
    if negatives == "other classes":
        _check_labels(upgrade)
    groups = _groups(upgrade, negatives == "same class")
    least = min(map(len, groups))
    if negatives == "same class" and least < 4:
        raise ValueError(f"every class must have at least 4 samples, two batches of two, got {least}.")
    if not 2 <= batch_size <= len(upgrade.new) // 2:
        raise ValueError(f"batch_size must be in [2, {len(upgrade.new) // 2}], half the samples, got {batch_size!r}.")
    rng = stream(seed, "batches")
    u, v, codes = scale * upgrade.new.unit, upgrade.old.unit, upgrade.codes
    bound = variance = ceiling = 0.0
    for rows in groups:
        size = min(batch_size, len(rows) // 2)
        batches = rng.permutation(rows)[: len(rows) // size * size].reshape(-1, size)
        values = []
        for batch in batches:
            scores = u[batch] @ v[batch].T
            if negatives == "other classes":
                same = codes[batch][:, None] == codes[batch]
                scores[same & ~np.eye(size, dtype=bool)] = -np.inf
            values.append(math.log(size) - infonce_loss(scores))
        share = len(rows) / len(u)
        bound += share * float(np.mean(values))
        variance += share**2 * float(np.var(values, ddof=1)) / len(values)
        ceiling += share * math.log(size)
    return InformationBound(bound=bound, standard_error=math.sqrt(variance), ceiling=ceiling)


def _check_one_space(upgrade: Upgrade) -> None:
    if upgrade.new.dim != upgrade.old.dim:
        raise ValueError(f"new and old must have one dimension, got {upgrade.new.dim} and {upgrade.old.dim}.")


def _check_labels(upgrade: Upgrade) -> None:
    count = len(upgrade.codes)
    if missing := int(np.count_nonzero(upgrade.codes < 0)) if len(upgrade.labels) else count:
        raise ValueError(f"every row must have a class, but {missing} of {count} rows have none.")


def _groups(upgrade: Upgrade, within: bool) -> list[ndarray]:
    """Rows of each class, or all of them."""
    if not within:
        return [np.arange(len(upgrade.codes))]
    _check_labels(upgrade)
    order = np.argsort(upgrade.codes, kind="stable")
    return [rows for rows in np.split(order, np.cumsum(upgrade.sizes)[:-1]) if len(rows)]


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

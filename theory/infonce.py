"""InfoNCE, the term that HOC adds (paper, Eq. 2), and its lower bound on a mutual information that is known."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp

from theory._validation import check_integer, check_range

FloatArray = NDArray[np.float64]


def infonce_loss(scores: FloatArray) -> float:
    """InfoNCE of a batch: mean over i of logsumexp_j(scores_ij) − scores_ii; a negative at −∞ is left out."""
    return float(np.mean(logsumexp(scores, axis=1) - np.diag(scores)))


@dataclass(frozen=True)
class MutualInformationBound:
    """InfoNCE's lower bound on a mutual information that is known; all in nats.

    ``bound`` is the mean of log N − L over batches, with its ``standard_error``; no batch exceeds ``ceiling``
    = log N.
    """

    bound: float
    standard_error: float
    mutual_information: float
    ceiling: float


def infonce_bound(
    correlations: ArrayLike,
    batch_size: int,
    num_batches: int = 200,
    critic_correlations: ArrayLike | None = None,
    rng: int | np.random.Generator = 0,
) -> MutualInformationBound:
    r"""InfoNCE's bound I(X; Y) ≥ log N − L on Gaussian pairs with :math:`I = −½ \sum \log(1−r^2)`.

    Coordinate by coordinate (X, Y) is standard bivariate normal with correlation r. The critic is the
    log-density ratio log p(y|x)/p(y), the optimal one, unless other correlations are given to it.

    Parameters
    ----------
    correlations : array, shape (k,)
        r of each coordinate, each in (−1, 1).
    batch_size : int
        N ≥ 2: one positive and N − 1 negatives for each anchor.
    num_batches : int
        Independent batches, ≥ 2.
    critic_correlations : array, shape (k,), optional
        Correlations that the critic believes in, if not the true ones. The bound holds for any critic.
    rng : int or Generator

    Returns
    -------
    MutualInformationBound

    Raises
    ------
    ValueError
        For arguments outside these ranges.

    References
    ----------
    van den Oord, Li & Vinyals, 2018; Poole et al., *On Variational Bounds of Mutual Information*, 2019.
    """
    below_one = 1.0 - 2.0**-48  # further from 1 than the roundings that a range forgives
    r = np.atleast_1d(check_range("correlations", correlations, -below_one, below_one, "in (-1, 1)"))
    believed = correlations if critic_correlations is None else critic_correlations
    b = np.atleast_1d(check_range("critic_correlations", believed, -below_one, below_one, "in (-1, 1)"))
    if r.ndim != 1 or b.shape != r.shape:
        raise ValueError(f"critic_correlations must have the shape of correlations, got {b.shape} and {r.shape}.")
    batch_size = check_integer("batch_size", batch_size, 2)
    num_batches = check_integer("num_batches", num_batches, 2)
    generator = np.random.default_rng(rng)
    precision = 1.0 / ((1.0 - b) * (1.0 + b))
    losses = np.empty(num_batches)
    for batch in range(num_batches):
        x, noise = generator.standard_normal((2, batch_size, len(r)))
        y = r * x + np.sqrt((1.0 - r) * (1.0 + r)) * noise
        # terms of the critic in x alone cancel between numerator and denominator
        scores = (x * b * precision) @ y.T - 0.5 * (y**2) @ (b**2 * precision)
        losses[batch] = infonce_loss(scores)
    ceiling = math.log(batch_size)
    return MutualInformationBound(
        bound=float(ceiling - np.mean(losses)),
        standard_error=float(np.std(losses, ddof=1) / math.sqrt(num_batches)),
        mutual_information=float(-0.5 * np.sum(np.log1p(-(r**2)))),
        ceiling=ceiling,
    )

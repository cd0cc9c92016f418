"""The losses that a new model is trained with: cross-entropy, the HOC loss (paper, Eq. 2–4) and the first-moment loss.

Every function takes features as the network gives them and normalises them itself. An *objective*, what
:func:`learning.training.fit` minimises, is called as ``objective(logits, targets, new_features, old_features)``.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

SameClass = Literal["exclude", "zero"]


def _check_same_class(same_class: str) -> None:
    if same_class not in ("exclude", "zero"):
        raise ValueError(f"same_class must be 'exclude' or 'zero', got {same_class!r}.")


def _check_positive(name: str, value: float) -> None:
    if not value > 0:
        raise ValueError(f"{name} must be > 0, got {value!r}.")


def cross_entropy(
    logits: Float[Tensor, "batch classes"],
    targets: Int[Tensor, " batch"],
    new_features: Float[Tensor, "batch dim"],
    old_features: Float[Tensor, "batch dim"] | None = None,
) -> Float[Tensor, ""]:
    """Cross-entropy of the logits (paper, Eq. 3), as an objective that ignores the features."""
    return F.cross_entropy(logits, targets)


def contrastive_loss(
    new_features: Float[Tensor, "batch dim"],
    old_features: Float[Tensor, "batch dim"],
    targets: Int[Tensor, " batch"],
    scale: float = 10.0,
    same_class: SameClass = "exclude",
) -> Float[Tensor, ""]:
    r"""InfoNCE between the new and the old features of a batch (paper, Eq. 4).

    With unit features u (new), v (old), scale µ and labels y:

    - ``exclude``: mean over i of
      :math:`−µ u_i·v_i + \log\big(e^{µ u_i·v_i} + \sum_{y_j ≠ y_i} e^{µ u_i·v_j}\big)`. The anchor is the new
      feature, the positive is its own old feature, the negatives are the old features of other classes.
      log(B) − loss is no bound on the mutual information of u and v, as InfoNCE's is: the negatives are not drawn
      from the law of v (features that are their class's vertex have at most log K, whatever B is).
    - ``zero``: mean over i of :math:`−µ u_i·v_i + \log\big(n_i + \sum_{y_j ≠ y_i} e^{µ v_i·u_j}\big)`, the loss of the
      authors' released code: the anchor is the old feature, similarities within a class are set to zero and so count
      :math:`e^0 = 1` each, :math:`n_i` of them (the positive among them), and the positive is not in the denominator.

    Parameters
    ----------
    new_features, old_features : Tensor, shape (B, d)
        Features of the same images, row by row; normalised here.
    targets : Tensor of integers, shape (B,)
    scale : float
        µ > 0.
    same_class : {"exclude", "zero"}

    Returns
    -------
    Tensor, shape ()
        Finite also for a batch of one class: 0 for ``exclude``, log B − µ·mean(u_i·v_i) for ``zero``.

    Raises
    ------
    ValueError
        For shapes that differ, a scale ≤ 0 or an unknown ``same_class``.
    """
    _check_same_class(same_class)
    _check_positive("scale", scale)
    if new_features.shape != old_features.shape:
        raise ValueError(
            f"new_features and old_features must have one shape, got {tuple(new_features.shape)} "
            f"and {tuple(old_features.shape)}."
        )
    new = F.normalize(new_features, dim=1)
    old = F.normalize(old_features, dim=1)
    positives = scale * (new * old).sum(dim=1)
    same = targets[:, None] == targets[None, :]
    if same_class == "exclude":
        similarities = (scale * new @ old.T).masked_fill(same, -torch.inf)
        similarities = torch.diagonal_scatter(similarities, positives)
    else:
        similarities = (scale * old @ new.T).masked_fill(same, 0.0)
    return (torch.logsumexp(similarities, dim=1) - positives).mean()


class HOCLoss(nn.Module):
    r"""The HOC loss λ·CE + (1−λ)·contrastive (paper, Eq. 2).

    Parameters
    ----------
    ce_weight : float
        λ in [0, 1]; 0.1 in the paper's released settings.
    scale : float
        µ > 0 of :func:`contrastive_loss`; 10 in the released settings.
    same_class : {"exclude", "zero"}
        The variant of :func:`contrastive_loss`.

    Raises
    ------
    ValueError
        For a weight outside [0, 1], a scale ≤ 0 or an unknown variant.
    """

    def __init__(self, ce_weight: float = 0.1, scale: float = 10.0, same_class: SameClass = "exclude") -> None:
        super().__init__()
        if not 0.0 <= ce_weight <= 1.0:
            raise ValueError(f"ce_weight must be in [0, 1], got {ce_weight!r}.")
        _check_positive("scale", scale)
        _check_same_class(same_class)
        self.ce_weight = ce_weight
        self.scale = scale
        self.same_class: SameClass = same_class

    def forward(
        self,
        logits: Float[Tensor, "batch classes"],
        targets: Int[Tensor, " batch"],
        new_features: Float[Tensor, "batch dim"],
        old_features: Float[Tensor, "batch dim"],
    ) -> Float[Tensor, ""]:
        """Return the loss of a batch; ``old_features`` are the frozen old model's, of the same images."""
        contrastive = contrastive_loss(new_features, old_features, targets, self.scale, self.same_class)
        return self.ce_weight * F.cross_entropy(logits, targets) + (1.0 - self.ce_weight) * contrastive


def first_moment_loss(
    new_features: Float[Tensor, "batch dim"],
    targets: Int[Tensor, " batch"],
    old_means: Float[Tensor, "classes dim"],
    slack: float = 0.05,
) -> Float[Tensor, ""]:
    r"""Ask for Definition 1 directly, using only the old class means.

    In the squared Euclidean distance both inequalities of Definition 1 are, in expectation, statements about class
    means: with :math:`µ_y` the mean unit feature of class y under the old model, 1a reads
    :math:`E[u]·µ_y ≥ \|µ_y\|^2` and 1b :math:`E[u]·µ_{y'} ≤ µ_y·µ_{y'}`. The loss is the mean over the batch of

    .. math:: [(1+ε)\|µ_y\|^2 − u·µ_y]_+ + 3\, \operatorname{mean}_{y' ≠ y} [u·µ_{y'} − µ_y·µ_{y'}]_+ .

    It needs no old model and no simplex, only K·d numbers. Add a multiple of it (10 works on small data) to the
    cross-entropy.

    Parameters
    ----------
    new_features : Tensor, shape (B, d)
        Normalised here.
    targets : Tensor of integers, shape (B,)
        Rows of ``old_means``.
    old_means : Tensor, shape (K, d), K ≥ 2
        Means of the old model's *unit* features; not normalised, their lengths are the old concentrations.
    slack : float
        Excess ε ≥ 0 by which the first inequality has to be satisfied.

    Returns
    -------
    Tensor, shape ()

    Raises
    ------
    ValueError
        For dimensions that differ, fewer than two means, or a negative slack.
    """
    if old_means.ndim != 2 or old_means.shape[0] < 2 or old_means.shape[1] != new_features.shape[1]:
        raise ValueError(f"old_means must have shape (K >= 2, {new_features.shape[1]}), got {tuple(old_means.shape)}.")
    if not slack >= 0:
        raise ValueError(f"slack must be >= 0, got {slack!r}.")
    similarities = F.normalize(new_features, dim=1) @ old_means.T
    wanted = (old_means @ old_means.T)[targets]
    own = F.one_hot(targets, old_means.shape[0]).bool()
    same = F.relu((1.0 + slack) * wanted[own] - similarities[own])
    different = F.relu(similarities - wanted).masked_fill(own, 0.0).sum(dim=1) / (old_means.shape[0] - 1)
    return (same + 3.0 * different).mean()

"""The loss terms of the methods that HOC is compared with, each added to the cross-entropy by its method.

Every function takes features as the network gives them and normalises them itself. Where a paper's equation is not at
hand the authors' released code was followed, and the docstring says so.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor


def feature_distillation(
    new_features: Float[Tensor, "batch dim"], old_features: Float[Tensor, "batch dim"], rows: Bool[Tensor, " batch"]
) -> Float[Tensor, ""]:
    r"""Mean over the given rows of :math:`1 − u_i·v_i`; 0 when there is none.

    The term of CL²R, taken on the replayed images alone, as in the released code.

    References
    ----------
    Biondi et al., *CL²R: compatible lifelong learning representations*, 2023.
    """
    return _mean(1.0 - F.cosine_similarity(new_features, old_features), rows)


def influence_loss(
    old_logits: Float[Tensor, "batch classes"], targets: Int[Tensor, " batch"], known: Bool[Tensor, " classes"]
) -> Float[Tensor, ""]:
    r"""Cross-entropy of the *new* features under the *old* classifier, on images of classes that the old model knows.

    :math:`−\log \mathrm{softmax}_{c\ \mathrm{known}}(w^{old}_c·f_i)_{y_i}`, mean over i with y_i known; 0 when there
    is none. BCT also synthesises old weights for new classes; that variant is not here.

    References
    ----------
    Shen et al., *Towards backward-compatible representation learning*, 2020.
    """
    rows = known[targets]
    masked = old_logits.masked_fill(~known, -torch.inf)
    return _mean(F.cross_entropy(masked, torch.where(rows, targets, known.int().argmax()), reduction="none"), rows)


def model_coherence(
    new_features: Float[Tensor, "batch dim"],
    old_features: Float[Tensor, "batch dim"],
    targets: Int[Tensor, " batch"],
    margin: float = 0.1,
) -> Float[Tensor, ""]:
    r"""Mean over i of :math:`\mathrm{relu}(‖u_i − v_i‖ − \min_{y_j ≠ y_i} ‖u_i − v_j‖ + margin)`.

    A triplet with the new feature as anchor, its own old feature as positive and the hardest old feature of another
    class as negative: the neighbour-session model coherence of CVS as its released code has it. Rows without a
    negative count 0.

    References
    ----------
    Wan et al., *Continual learning for visual search with backward consistent feature embedding*, 2022.
    """
    new, old = F.normalize(new_features, dim=1), F.normalize(old_features, dim=1)
    different = targets[:, None] != targets[None, :]
    # chord lengths from squared differences: 2 − 2u·v loses the digits of a short one
    positive = torch.linalg.vector_norm(new - old, dim=1)
    with torch.no_grad():
        hardest = (new @ old.T).masked_fill(~different, -torch.inf).argmax(dim=1)
    negative = torch.linalg.vector_norm(new - old[hardest], dim=1)
    return _mean(F.relu(positive - negative + margin), different.any(dim=1), over=len(targets))


def data_coherence(
    new_features: Float[Tensor, "batch dim"],
    targets: Int[Tensor, " batch"],
    old_means: Float[Tensor, "classes dim"],
    known: Bool[Tensor, " classes"],
) -> Float[Tensor, ""]:
    r"""Mean over images of known classes of :math:`‖u_i − µ_{y_i}‖²`, µ the old model's class means of unit features.

    The inter-session data coherence of CVS. How its code makes the centres that it loads is not in what was at hand;
    means of unit features, not normalised again, are ours.

    References
    ----------
    Wan et al., 2022.
    """
    return _mean((F.normalize(new_features, dim=1) - old_means[targets]).square().sum(dim=1), known[targets])


def alignment_loss(
    new_weight: Float[Tensor, "classes dim"], old_means: Float[Tensor, "classes dim"], present: Bool[Tensor, " classes"]
) -> Float[Tensor, ""]:
    r"""Mean square of the entries of :math:`w_c/‖w_c‖ − µ_c/‖µ_c‖` over the classes that have an old mean.

    The point-to-point alignment of LCE in equal dimensions, as its released code has it.

    References
    ----------
    Meng et al., *Learning compatible embeddings*, 2021.
    """
    difference = F.normalize(new_weight, dim=1) - F.normalize(old_means, dim=1)
    return difference[present].square().mean()


def boundary_loss(
    new_features: Float[Tensor, "batch dim"],
    targets: Int[Tensor, " batch"],
    old_means: Float[Tensor, "classes dim"],
    old_radius: Float[Tensor, " classes"],
) -> Float[Tensor, ""]:
    r"""Mean over i of :math:`\mathrm{relu}(r_{y_i} − u_i·µ_{y_i}/‖µ_{y_i}‖)`, r the smallest old cosine of the class.

    New features may not lie farther from the old centre than the old ones did: the boundary term of LCE, as its
    released code has it.

    References
    ----------
    Meng et al., 2021.
    """
    cosines = F.cosine_similarity(new_features, old_means[targets])
    return F.relu(old_radius[targets] - cosines).mean()


def hot_refresh_loss(
    new_features: Float[Tensor, "batch dim"],
    old_features: Float[Tensor, "batch dim"],
    targets: Int[Tensor, " batch"],
    temperature: float = 0.05,
) -> Float[Tensor, ""]:
    r"""Contrastive loss with old *and* new features of other classes as negatives.

    Mean over i of :math:`−u_i·v_i/τ + \log\big(e^{u_i·v_i/τ} + \sum_{y_j ≠ y_i} (e^{u_i·v_j/τ} + e^{u_i·u_j/τ})\big)`.
    The new-to-new negatives are what keeps an upgrade from making single queries worse while the gallery is refreshed.

    References
    ----------
    Zhang et al., *Hot-refresh model upgrades with regression-alleviating compatible training*, 2022.
    """
    new, old = F.normalize(new_features, dim=1), F.normalize(old_features, dim=1)
    positives = (new * old).sum(dim=1) / temperature
    same = targets[:, None] == targets[None, :]
    negatives = torch.cat([(new @ old.T).masked_fill(same, -torch.inf), (new @ new.T).masked_fill(same, -torch.inf)], 1)
    return (torch.logsumexp(torch.cat([positives[:, None], negatives / temperature], 1), dim=1) - positives).mean()


def orthogonality_excess(matrix: Float[Tensor, "rows columns"], threshold: float) -> Float[Tensor, ""]:
    r""":math:`\mathrm{relu}(‖B^T B − I‖_F − λ)`: a map may leave the orthogonal ones as far as λ at no cost.

    References
    ----------
    Ricci et al., *λ-orthogonality regularization for compatible representation learning*, 2025. The paper relaxes the
    constraint up to a threshold λ; the hinge is our reading, its smoothing was not at hand.
    """
    gram = matrix.T @ matrix
    return F.relu(
        torch.linalg.vector_norm(gram - torch.eye(len(gram), device=gram.device, dtype=gram.dtype)) - threshold
    )


def _mean(values: Float[Tensor, " batch"], rows: Bool[Tensor, " batch"], over: int | None = None) -> Float[Tensor, ""]:
    """Sum of the chosen values over their number (or ``over``); 0, with a gradient of 0, when none is chosen."""
    chosen = torch.where(rows, values, 0.0)
    return chosen.sum() / (rows.sum().clamp(min=1) if over is None else over)

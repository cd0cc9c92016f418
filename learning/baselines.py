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
    is none. BCT with a pseudo-classifier for new classes is :func:`pseudo_classification`.

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
    hardest: int = 0,
    detach: bool = False,
) -> Float[Tensor, ""]:
    r"""Contrastive loss with old *and* new features of other classes as negatives.

    Mean over i of :math:`−u_i·v_i/τ + \log\big(e^{u_i·v_i/τ} + \sum_{y_j ≠ y_i} (e^{u_i·v_j/τ} + e^{u_i·u_j/τ})\big)`.
    The new-to-new negatives are what keeps an upgrade from making single queries worse while the gallery is refreshed.

    Parameters
    ----------
    hardest : int
        How many old and how many new negatives are kept, those of the largest cosine; 0 for all.
    detach : bool
        Whether new-to-new negatives u_j give no gradient (those that are gathered from other processes in the released
        code give none).

    References
    ----------
    Zhang et al., *Hot-refresh model upgrades with regression-alleviating compatible training*, 2022.
    """
    new, old = F.normalize(new_features, dim=1), F.normalize(old_features, dim=1)
    positives = (new * old).sum(dim=1) / temperature
    same = targets[:, None] == targets[None, :]
    others = new.detach() if detach else new
    negatives = [(new @ side.T).masked_fill(same, -torch.inf) for side in (old, others)]
    if 0 < hardest < len(targets):
        negatives = [side.topk(hardest, dim=1).values for side in negatives]
    terms = torch.cat([positives[:, None], torch.cat(negatives, 1) / temperature], 1)
    return (torch.logsumexp(terms, dim=1) - positives).mean()


def pseudo_classification(
    features: Float[Tensor, "batch dim"],
    targets: Int[Tensor, " batch"],
    old_means: Float[Tensor, "classes dim"],
    present: Bool[Tensor, " classes"],
    smoothing: float = 0.0,
) -> Float[Tensor, ""]:
    r"""Cross-entropy of features against the unit means of all classes under the old model: BCT's pseudo-classifier.

    :math:`−\log \mathrm{softmax}_{c\ \mathrm{present}}(f_i·µ_c/‖µ_c‖)_{y_i}`, mean over i. New classes have a row too,
    the mean of the old model's features of their images, so that the old model counts without any replayed image.

    References
    ----------
    Shen et al., *Towards backward-compatible representation learning*, 2020, section 3.3.
    """
    logits = features @ F.normalize(old_means, dim=1).T
    chosen = logits[:, present]
    row = torch.cumsum(present, 0) - 1
    return F.cross_entropy(chosen, row[targets], label_smoothing=smoothing)


def weakened_l2(
    new_features: Float[Tensor, "batch dim"], old_features: Float[Tensor, "batch dim"], slack: float = 0.2
) -> Float[Tensor, ""]:
    r"""Mean over i of :math:`\mathrm{relu}(‖u_i − v_i‖ − t)`: an old feature may be left as far as t at no cost.

    The baselines "L2" (t = 0) and "weakened L2" (t = 0.2) of MixBCT's released code (``BCT_Methods/L2_weakenedL2``).

    References
    ----------
    Liang et al., *MixBCT: towards self-adapting backward-compatible training*, 2023.
    """
    difference = F.normalize(new_features, dim=1) - F.normalize(old_features, dim=1)
    return F.relu(torch.linalg.vector_norm(difference, dim=1) - slack).mean()


def mixed_features(
    new_features: Float[Tensor, "batch dim"],
    old_features: Float[Tensor, "batch dim"],
    replaced: Bool[Tensor, " batch"],
) -> Float[Tensor, "batch dim"]:
    """New features with those of some rows replaced by old ones of the same images, all as long as the new ones.

    The head of MixBCT sees old and new features of one class and has to give them one direction. Lengths are those of
    the new features here, as the logits of the scenario are not normalised.

    References
    ----------
    Liang et al., *MixBCT*, 2023.
    """
    length = new_features.norm(dim=1, keepdim=True)
    return torch.where(replaced[:, None], length * F.normalize(old_features, dim=1), new_features)


def queue_contrast(
    values: Float[Tensor, "batch dim"],
    targets: Int[Tensor, " batch"],
    queue: Float[Tensor, "size dim"],
    queue_targets: Int[Tensor, " size"],
    temperature: float = 1.0,
) -> Float[Tensor, ""]:
    r"""Supervised contrastive loss of unit rows x_i against a queue of old ones z_j, positives weighted by agreement.

    Mean over i with positives of
    :math:`−\sum_{j: y_j = y_i} w_{ij} (x_i·z_j/τ − \log \sum_k e^{x_i·z_k/τ}) / \sum_{j: y_j = y_i} w_{ij}`,
    :math:`w_{ij} = (1 + x_i·z_j)/2` without gradient; 0 when no row has a positive. The term of NCCL, on features and
    on logits.

    References
    ----------
    Wu et al., *Neighborhood consensus contrastive learning for backward-compatible representation*, 2022.
    """
    similarities = F.normalize(values, dim=1) @ F.normalize(queue, dim=1).T
    same = targets[:, None] == queue_targets[None, :]
    weights = torch.where(same, (1.0 + similarities.detach()) / 2.0, 0.0)
    logs = torch.log_softmax(similarities / temperature, dim=1)
    totals = weights.sum(dim=1)
    return _mean(-(weights * logs).sum(dim=1) / totals.clamp(min=1e-12), totals > 0)


def point_to_set(
    new_features: Float[Tensor, "batch dim"],
    targets: Int[Tensor, " batch"],
    old_means: Float[Tensor, "classes dim"],
    radius: Float[Tensor, " classes"],
) -> Float[Tensor, ""]:
    r"""Mean over the violators of :math:`‖u_i − c_{y_i}‖ − r_{y_i}`, c the unit old class means; 0 when there is none.

    The boundary term of AdvBCT, whose radii are learned between 0.5 and the old model's.

    References
    ----------
    Pan et al., *Boundary-aware backward-compatible representation via adversarial learning*, 2023.
    """
    difference = F.normalize(new_features, dim=1) - F.normalize(old_means, dim=1)[targets]
    excess = torch.linalg.vector_norm(difference, dim=1) - radius[targets]
    return _mean(excess, excess > 0)


def smoothed_prototypes(
    new_features: Float[Tensor, "n dim"],
    old_features: Float[Tensor, "n dim"],
    targets: Int[Tensor, " n"],
    num_classes: int,
    temperature: float = 0.05,
    alpha: float = 0.9,
) -> Float[Tensor, "classes dim"]:
    r"""Class means of old features that are smoothed on the graph of the new ones: UniBCT's prototypes.

    :math:`\tilde v = (1 − α)(I − αW)^{-1} v` with :math:`W = \mathrm{softmax}(u_i·u_j/τ)`, no diagonal; rows of
    classes without samples are 0.

    References
    ----------
    Zhang et al., *Towards universal backward-compatible representation learning*, 2022.
    """
    new, old = F.normalize(new_features, dim=1), F.normalize(old_features, dim=1)
    similarities = (new @ new.T / temperature).fill_diagonal_(-torch.inf)
    graph = torch.softmax(similarities, dim=1)
    identity = torch.eye(len(graph), device=graph.device, dtype=graph.dtype)
    smoothed = (1.0 - alpha) * torch.linalg.solve(identity - alpha * graph, old)
    sums = torch.zeros(num_classes, old.shape[1], device=old.device, dtype=old.dtype).index_add_(0, targets, smoothed)
    return sums / targets.bincount(minlength=num_classes).clamp(min=1)[:, None]


def prototype_distillation(
    new_features: Float[Tensor, "batch dim"],
    old_features: Float[Tensor, "batch dim"],
    old_means: Float[Tensor, "classes dim"],
    rows: Bool[Tensor, " batch"],
    temperature: float = 0.1,
) -> Float[Tensor, ""]:
    r"""Kullback–Leibler divergence of the old model's soft classes from the new model's, on some rows.

    Mean of :math:`KL(\mathrm{softmax}(v_i·c/τ) ‖ \mathrm{softmax}(u_i·c/τ))`, c the unit old class means that are
    given: what DJAA keeps on the memory (anti-forgetting, first term).

    References
    ----------
    Chen et al., *Anti-forgetting adaptation for unsupervised person re-identification*, 2024.
    """
    centres = F.normalize(old_means, dim=1)
    new, old = (
        torch.log_softmax(F.normalize(x, dim=1) @ centres.T / temperature, 1) for x in (new_features, old_features)
    )
    return _mean((old.exp() * (old - new)).sum(dim=1), rows)


def relation_distillation(
    new_features: Float[Tensor, "batch dim"],
    old_features: Float[Tensor, "batch dim"],
    rows: Bool[Tensor, " batch"],
    temperature: float = 0.2,
) -> Float[Tensor, ""]:
    r"""Kullback–Leibler divergence of the old similarities among some rows from the new ones.

    Mean of :math:`KL(\mathrm{softmax}_j(v_i·v_j/τ) ‖ \mathrm{softmax}_j(u_i·u_j/τ))` over the given rows, each with
    itself left out; 0 for fewer than two rows. DJAA's second term.

    References
    ----------
    Chen et al., 2024.
    """
    new, old = (F.normalize(x[rows], dim=1) for x in (new_features, old_features))
    if len(new) < 2:
        return 0.0 * new_features.sum()
    own = torch.eye(len(new), dtype=torch.bool, device=new.device)
    logs = []
    for unit in (new, old):
        similarities = (unit @ unit.T / temperature).masked_fill(own, -torch.inf)
        logs.append(torch.log_softmax(similarities, dim=1).masked_fill(own, 0.0))
    return (logs[1].exp().masked_fill(own, 0.0) * (logs[1] - logs[0])).sum(dim=1).mean()


def virtual_mixup(
    logits: Float[Tensor, "batch classes"],
    mixed_logits: Float[Tensor, "batch classes"],
    targets: Int[Tensor, " batch"],
    reserved: Bool[Tensor, " classes"],
) -> Float[Tensor, ""]:
    r"""Reserve room for classes to come: without its own class each image goes to a reserved one, and so do mixtures.

    Cross-entropy of the logits without the class :math:`y_i` against the best reserved class, plus that of the logits
    of mixed features against theirs; reserved are classes without images. FACT's terms; its mixtures are of hidden
    layers, those here of features.

    References
    ----------
    Zhou et al., *Forward compatible few-shot class-incremental learning*, 2022.
    """
    own = F.one_hot(targets, logits.shape[1]).bool()
    terms = []
    for values in (logits.masked_fill(own, -torch.inf), mixed_logits):
        best = values.detach().masked_fill(~reserved, -torch.inf).argmax(dim=1)
        terms.append(F.cross_entropy(values, best))
    return terms[0] + terms[1]


def hyperbolic_distance(
    x: Float[Tensor, "batch dim"], y: Float[Tensor, "batch dim"], curvature: float = 1.0
) -> Float[Tensor, " batch"]:
    r"""Distance on the Lorentz hyperboloid of the exponential maps of x and y at its origin.

    :math:`\mathrm{arccosh}(\cosh a\cosh b − \sinh a\sinh b\,\hat x·\hat y)/\sqrt c`, a, b the lengths of
    :math:`\sqrt c\,x, \sqrt c\,y`.

    References
    ----------
    Nickel & Kiela, *Learning continuous hierarchies in the Lorentz model of hyperbolic geometry*, 2018.
    """
    root = curvature**0.5
    a, b = root * x.norm(dim=1), root * y.norm(dim=1)
    cosine = F.cosine_similarity(x, y)
    inside = torch.cosh(a) * torch.cosh(b) - torch.sinh(a) * torch.sinh(b) * cosine
    distance: Tensor = torch.acosh(inside.clamp(min=1.0 + 1e-7)) / root
    return distance


def supervised_contrast(
    features: Float[Tensor, "batch dim"], targets: Int[Tensor, " batch"], scale: float = 10.0
) -> Float[Tensor, ""]:
    r"""How far new features of one class are from each other, against all: contrast among the new features only.

    Mean over the rows with another row of their class of
    :math:`\log\sum_{j≠i} e^{s u_i·u_j} − \log\sum_{j≠i, y_j=y_i} e^{s u_i·u_j}`; 0 when there is none.

    References
    ----------
    Khosla et al., *Supervised contrastive learning*, 2020, with the sum over positives inside the logarithm (its
    Eq. 3); here it is added to an update's objective, see :func:`learning.methods.hoc_contrast`.
    """
    unit = F.normalize(features, dim=1)
    own = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
    similarities = (scale * unit @ unit.T).masked_fill(own, -torch.inf)
    same = (targets[:, None] == targets[None, :]) & ~own
    some = same.any(dim=1)
    # a row without a partner takes its own place among the positives, so that no logarithm of 0 enters a gradient
    positives = similarities.masked_fill(~(same | (~some[:, None] & ~own)), -torch.inf)
    if len(unit) < 2:
        return 0.0 * features.sum()
    return _mean(torch.logsumexp(similarities, 1) - torch.logsumexp(positives, 1), some)


def class_mean_gaps(
    new_features: Float[Tensor, "batch dim"],
    targets: Int[Tensor, " batch"],
    old_means: Float[Tensor, "classes dim"],
    slack: float = 0.05,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    r"""Both gaps of Definition 1 in the squared distance, halved, over a batch: positive = compatible.

    :math:`g^1 = \mathrm{mean}_i[u_i·µ_{y_i} − (1 + ε)‖µ_{y_i}‖^2]`,
    :math:`g^2 = \mathrm{mean}_i\mathrm{mean}_{y≠y_i}[µ_{y_i}·µ_y − u_i·µ_y]`, µ the old means of unit features.
    """
    similarities = F.normalize(new_features, dim=1) @ old_means.T
    gram = (old_means @ old_means.T)[targets]
    own = F.one_hot(targets, len(old_means)).bool()
    same = (similarities[own] - (1.0 + slack) * gram[own]).mean()
    different = (gram - similarities).masked_fill(own, 0.0).sum(dim=1).mean() / (len(old_means) - 1)
    return same, different


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

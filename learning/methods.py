"""The methods that the paper compares, by name: which classifier, whether old images are replayed, which objective.

A method says how a model is *updated*; the first model of a sequence is trained with the cross-entropy by all of them.
L_CE below is the cross-entropy of the model's own logits, u and v the new and the old unit features, y the labels.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import nn

from learning.baselines import (
    alignment_loss,
    boundary_loss,
    data_coherence,
    feature_distillation,
    hot_refresh_loss,
    hyperbolic_distance,
    influence_loss,
    model_coherence,
    orthogonality_excess,
    prototype_distillation,
    pseudo_classification,
    relation_distillation,
    supervised_contrast,
    virtual_mixup,
    weakened_l2,
)
from learning.losses import HOCLoss, SameClass, cross_entropy, first_moment_loss
from learning.stateful import (
    AdversarialBoundary,
    ConstrainedGaps,
    MixedClassification,
    QueueContrast,
    UniversalPrototypes,
)
from learning.training import Objective
from learning.updates import Update


@dataclass(frozen=True)
class Method:
    """A way to update a model.

    Attributes
    ----------
    objective : callable, :class:`Update` → objective
    fixed_classifier : bool
        Whether the classifier is the fixed polytope of the scenario; else one is learned, with a row for every class
        of the scenario from the start (the released ER adds rows as classes come).
    replay : bool
        Whether images of earlier tasks are trained on.
    old_features : bool
        Whether the objective needs the old model's features of every batch.
    adapter : {"", "linear", "orthogonal"}
        Whether a linear map that is learned beside the model takes the new features to the searched space, or an
        orthogonal one through which the model is trained.
    extra_dims : int
        Number of dimensions that every update adds to the features; an old gallery is searched by those that it has.
    shift : bool
        Whether a learned vector is added to the features; see :class:`~learning.backbones.Shift`.
    embedding : bool
        False: the features are the trunk's, and the learned classifier that reads them has no bias.
    reference : callable, optional
        Source of the "old features" of a batch, if it is not the old model: :class:`Update` → a module with a
        method ``features``.
    name : str
        Name of the method in a run; needed if the method is given as an object.
    """

    objective: Callable[[Update], Objective]
    fixed_classifier: bool = True
    replay: bool = True
    old_features: bool = True
    adapter: Literal["", "linear", "orthogonal"] = ""
    extra_dims: int = 0
    shift: bool = False
    embedding: bool = True
    reference: Callable[[Update], nn.Module] | None = None
    name: str = "own"


def experience_replay(released: bool = False) -> Method:
    """ER: L_CE, a learned classifier, replay. Nothing ties the new features to the old ones.

    With ``released`` as in the paper's code (``src/iamcl2r/models/__init__.py``): the features are the trunk's, the
    classifier has no bias, and classes that have not come yet are left out of the softmax, which is what adding rows as
    classes come amounts to (up to the weight decay of rows that wait).
    """
    if not released:
        return Method(lambda update: cross_entropy, fixed_classifier=False, old_features=False)

    def objective(update: Update) -> Objective:
        seen = update.known | update.present
        return lambda logits, targets, new, old: cross_entropy(logits.masked_fill(~seen, -torch.inf), targets, new)

    return Method(objective, fixed_classifier=False, old_features=False, embedding=False)


def simplex_cross_entropy() -> Method:
    """Cross-entropy with the fixed classifier alone: L_CE (paper, Eq. 3).

    References
    ----------
    Biondi et al., *CoReS: compatible representations via stationarity*, 2023.
    """
    return Method(lambda update: cross_entropy, old_features=False)


def hoc(ce_weight: float = 0.1, scale: float = 10.0, same_class: SameClass = "exclude") -> Method:
    """HOC: λ·L_CE + (1 − λ)·contrastive, fixed classifier (paper, Eq. 2–4); see :class:`~learning.losses.HOCLoss`."""
    loss = HOCLoss(ce_weight, scale, same_class)
    return Method(lambda update: loss)


def simplex_distillation(weight: float = 5.0, by_classes: bool = False) -> Method:
    """d-Simplex-FD: L_CE + weight · mean(1 − u·v) over images of classes the old model knows, which are the replayed.

    The weight is the ``criterion_weight_base`` of ``config.yml`` in the released code (``src/cl2r/params.py`` has 10).
    There it is multiplied by √(new classes / old classes), as it is here with ``by_classes``: ``simplex-fd-released``.

    References
    ----------
    Biondi et al., *CL²R: compatible lifelong learning representations*, 2023.
    """

    def objective(update: Update) -> Objective:
        added = int((update.present & ~update.known).sum())
        factor = weight * (
            math.sqrt(added / int(update.known.sum())) if by_classes and bool(update.known.any()) else 1.0
        )
        return lambda logits, targets, new, old: (
            cross_entropy(logits, targets, new) + factor * feature_distillation(new, old, update.known[targets])
        )

    return Method(objective)


def backward_compatible_training(weight: float = 1.0, replay: bool = False) -> Method:
    """BCT: L_CE + weight · influence loss of the old classifier, a learned classifier; BCT-ER with replay.

    Without replay a class-incremental update holds no image of a known class, and the influence term is 0; see
    :func:`pseudo_classifier`.

    References
    ----------
    Shen et al., *Towards backward-compatible representation learning*, 2020.
    """

    def objective(update: Update) -> Objective:
        old_classifier = update.old_model.classifier
        return lambda logits, targets, new, old: (
            cross_entropy(logits, targets, new) + weight * influence_loss(old_classifier(new), targets, update.known)
        )

    return Method(objective, fixed_classifier=False, replay=replay, old_features=False)


def continual_visual_search(coherence: float = 10.0, data: float = 1.0, margin: float = 0.1) -> Method:
    """CVS: L_CE + coherence · model coherence + data · data coherence, a learned classifier, replay.

    Margin and weights as released: 10 and 1, the ``--alpha`` that ``scripts/cifar.sh`` passes and the default of
    ``--beta`` (``train.py``, whose own default of ``--alpha`` is 1). The released code divides normalised logits by
    0.05; the logits here are the scenario's.

    References
    ----------
    Wan et al., *Continual learning for visual search with backward consistent feature embedding*, 2022.
    """

    def objective(update: Update) -> Objective:
        means = update.old_means
        return lambda logits, targets, new, old: (
            cross_entropy(logits, targets, new)
            + coherence * model_coherence(new, old, targets, margin)
            + data * data_coherence(new, targets, means, update.known)
        )

    return Method(objective, fixed_classifier=False)


def learning_compatible_embeddings(alignment: float = 100.0, boundary: float = 1.0) -> Method:
    """LCE: L_CE + alignment · (classifier rows against old class means) + boundary · (not wider than the old class).

    Weights of the released code, whose L_CE is an ArcFace loss; here it is the scenario's cross-entropy.

    References
    ----------
    Meng et al., *Learning compatible embeddings*, 2021.
    """

    def objective(update: Update) -> Objective:
        means, radius, present = update.old_means, update.old_radius, update.present
        rows = update.new_model.directions
        return lambda logits, targets, new, old: (
            cross_entropy(logits, targets, new)
            + alignment * alignment_loss(rows, means, present)
            + boundary * boundary_loss(new, targets, means, radius)
        )

    return Method(objective, fixed_classifier=False, old_features=False)


def hot_refresh(weight: float = 1.0, temperature: float = 0.05, hardest: int = 0, detach: bool = False) -> Method:
    """Hot refresh (RACT): L_CE + weight · contrastive loss with new-to-new negatives, a learned classifier.

    Defaults as in ``model/loss.py`` of the released code: temperature 0.05, all negatives. There new-to-new negatives
    are gathered from all processes without gradient, and ``topk_neg`` keeps the hardest ones; the method
    ``hot-refresh-hard`` does both, with the 10 hardest and temperature 0.01, which is ahead of 0.05 on small data.

    References
    ----------
    Zhang et al., *Hot-refresh model upgrades with regression-alleviating compatible training*, 2022.
    """
    return Method(
        lambda update: (
            lambda logits, targets, new, old: (
                cross_entropy(logits, targets, new)
                + weight * hot_refresh_loss(new, old, targets, temperature, int(hardest), bool(detach))
            )
        ),
        fixed_classifier=False,
    )


def lambda_orthogonality(threshold: float = 1.0, alignment: float = 1.0, penalty: float = 1.0) -> Method:
    """λ-orthogonality: L_CE on a free model; a map B to the old space, mean(1 − Bu·v) + penalty · relu(‖BᵀB−I‖ − λ).

    B starts at the identity and is learned beside the model, which it does not influence; the features of the updated
    model are B·φ. The paper's further terms (forward map, supervised contrastive) and its weights were not at hand.

    References
    ----------
    Ricci et al., *λ-orthogonality regularization for compatible representation learning*, 2025.
    """

    def objective(update: Update) -> Objective:
        matrix = update.new_model.adapter.get_parameter("weight")
        return lambda logits, targets, new, old: (
            cross_entropy(logits, targets, new)
            + alignment * feature_distillation(new, old, torch.ones_like(targets, dtype=torch.bool))
            + penalty * orthogonality_excess(matrix, threshold)
        )

    return Method(objective, fixed_classifier=False, adapter="linear")


def first_moment(weight: float = 10.0, slack: float = 0.05, samples: int = 0, fixed_classifier: bool = True) -> Method:
    """First-moment loss: L_CE + β · :func:`~learning.losses.first_moment_loss` on the old model's class means.

    The means are taken once, on the update's training images (``samples`` of each class, 0 for all), new classes among
    them; no old model in the loop.
    """
    return _first_moment(cross_entropy, weight, slack, samples, fixed_classifier, old_features=False)


def hoc_first_moment(
    weight: float = 10.0,
    slack: float = 0.05,
    ce_weight: float = 0.1,
    scale: float = 10.0,
    same_class: SameClass = "exclude",
    samples: int = 0,
) -> Method:
    """HOC + β · first-moment loss: λ·L_CE + (1 − λ)·contrastive + β·L_first-moment, fixed classifier."""
    return _first_moment(HOCLoss(ce_weight, scale, same_class), weight, slack, samples, True, old_features=True)


def _first_moment(
    base: Objective, weight: float, slack: float, samples: int, fixed_classifier: bool, old_features: bool
) -> Method:
    if not weight > 0:
        raise ValueError(f"weight must be > 0, got {weight!r}.")
    if not isinstance(samples, int) or samples < 0:
        raise ValueError(f"samples must be an integer >= 0, got {samples!r}.")

    def objective(update: Update) -> Objective:
        present = update.present
        means = update.means_of(samples)[present]
        row = torch.cumsum(present, 0) - 1  # of a class among those that are present
        return lambda logits, targets, new, old: (
            base(logits, targets, new, old) + weight * first_moment_loss(new, row[targets], means, slack)
        )

    return Method(objective, fixed_classifier=fixed_classifier, old_features=old_features)


def pseudo_classifier(weight: float = 1.0) -> Method:
    """BCT with a pseudo-classifier: L_CE + weight · cross-entropy against old class means, new classes among them.

    The rows of the old classifier are the old model's class means on the update's images, of unit length (the paper's
    section 3.3; as in ``train_bct.py`` of the code of hot refresh), so the term counts without replay.

    References
    ----------
    Shen et al., *Towards backward-compatible representation learning*, 2020.
    """

    def objective(update: Update) -> Objective:
        means, present = update.old_means, update.present
        return lambda logits, targets, new, old: (
            cross_entropy(logits, targets, new) + weight * pseudo_classification(new, targets, means, present)
        )

    return Method(objective, fixed_classifier=False, old_features=False)


def universal_bct(weight: float = 1.0) -> Method:
    """UniBCT: L_CE + weight · pseudo-classifier whose rows are smoothed on the new model's graph.

    See :class:`~learning.stateful.UniversalPrototypes` and :func:`~learning.baselines.smoothed_prototypes`; α = 0.9,
    temperature 0.05, made again at epochs 10 and 20 of 35 as released (``BCT_Methods/UniBCT`` of MixBCT's code).

    References
    ----------
    Zhang et al., *Towards universal backward-compatible representation learning*, 2022.
    """
    return Method(lambda update: UniversalPrototypes(update, weight), fixed_classifier=False, old_features=False)


def mix_bct(share: float = 0.3, trusted: float = 0.9) -> Method:
    """MixBCT: L_CE of one head on new features, ``share`` of them replaced by trusted old ones of the same images.

    Settings as released: ``mix_ratio`` 0.3 and ``credible_ratio_90`` of the files in ``BCT_Methods/MixBCT/configs``.

    References
    ----------
    Liang et al., *MixBCT: towards self-adapting backward-compatible training*, 2023.
    """
    return Method(lambda update: MixedClassification(update, share, trusted), fixed_classifier=False)


def adversarial_bct(adversarial: float = 1.0, boundary: float = 1.0) -> Method:
    """AdvBCT: L_CE + boundary · point-to-set loss with learned radii + adversarial · discriminator of old from new.

    See :class:`~learning.stateful.AdversarialBoundary`: discriminator d → 100 → 2, its gradient turned round with
    2/(1 + e^(−10p)) − 1, its weight falling linearly, radii between 0.5 and the old model's, as released
    (``models/loss.py`` and ``trainer`` of AdvBCT's code).

    References
    ----------
    Pan et al., *Boundary-aware backward-compatible representation via adversarial learning*, 2023.
    """
    return Method(lambda update: AdversarialBoundary(update, adversarial, boundary), fixed_classifier=False)


def feature_regression(weight: float = 10.0, slack: float = 0.0) -> Method:
    """L2 and weakened L2: L_CE + weight · mean relu(‖u − v‖ − slack); slack 0, or 0.2 in ``weakened-l2``.

    Weight as released (``BCT_Methods/L2_weakenedL2`` of MixBCT's code).
    """
    return Method(
        lambda update: (
            lambda logits, targets, new, old: (
                cross_entropy(logits, targets, new) + weight * weakened_l2(new, old, slack)
            )
        ),
        fixed_classifier=False,
    )


def neighborhood_consensus(weight: float = 1.0, logit_weight: float = 0.01, size: int = 8192) -> Method:
    """NCCL: L_CE + weight · contrast of features against a queue + logit_weight · the same of logits.

    Weights and the queue of 8192 as released (``NCCL/compatible_learning_loss.py`` of MixBCT's code).

    References
    ----------
    Wu et al., *Neighborhood consensus contrastive learning for backward-compatible representation*, 2022.
    """
    return Method(lambda update: QueueContrast(update, size, weight, logit_weight), fixed_classifier=False)


def orthogonal_alignment(
    new: float = 5.0, pseudo: float = 10.0, alignment: float = 5.0, smoothing: float = 0.1, dims: int = 32
) -> Method:
    """OCA: ``dims`` more dimensions and an orthogonal layer; the first d dimensions are the old model's view.

    new · L_CE + pseudo · cross-entropy of the view against unit old class means + alignment · mean(1 − cos(view, old
    mean of the class)), label smoothing in both; weights as released.

    References
    ----------
    Ricci et al., *Backward-compatible aligned representations via an orthogonal transformation layer*, 2024.
    """

    def objective(update: Update) -> Objective:
        means, present = update.old_means, update.present

        def loss(logits: torch.Tensor, targets: torch.Tensor, features: torch.Tensor, old: object) -> torch.Tensor:
            view = features[:, : means.shape[1]]
            return (
                new * nn.functional.cross_entropy(logits, targets, label_smoothing=smoothing)
                + pseudo * pseudo_classification(view, targets, means, present, smoothing)
                + alignment * (1.0 - nn.functional.cosine_similarity(view, means[targets])).mean()
            )

        return loss

    return Method(objective, fixed_classifier=False, old_features=False, adapter="orthogonal", extra_dims=int(dims))


def backward_transformation(
    pseudo: float = 10.0, unconstrained: float = 1.0, old_weight: float = 5.0, dims: int = 32
) -> Method:
    """BT²: ``dims`` more dimensions and an orthogonal layer; L_CE + terms to the old model and to a free new one.

    L_CE + pseudo · cross-entropy of the first d dimensions against unit old class means + unconstrained · mean(1 − cos)
    of the whole features, before the last dimensions are cut to the free model's, to those of a new model that is
    trained without constraints + old_weight · mean(1 − cos(first d dimensions, old feature)); weights as released. The
    orthogonal transformations of the released code, one for each view, are one here.

    References
    ----------
    Zhou et al., *BT²: backward-compatible training with basis transformation*, 2023.
    """

    def objective(update: Update) -> Objective:
        means, present = update.old_means, update.present
        width = means.shape[1]

        def loss(logits: torch.Tensor, targets: torch.Tensor, new: torch.Tensor, both: torch.Tensor) -> torch.Tensor:
            old, free = both[:, :width], both[:, width:]
            everything = torch.ones_like(targets, dtype=torch.bool)
            return (
                cross_entropy(logits, targets, new)
                + pseudo * pseudo_classification(new[:, :width], targets, means, present)
                # the view of the free model: the last dimensions
                + unconstrained * feature_distillation(new[:, -free.shape[1] :], free, everything)
                + old_weight * feature_distillation(new[:, :width], old, everything)
            )

        return loss

    return Method(
        objective,
        fixed_classifier=False,
        adapter="orthogonal",
        extra_dims=int(dims),
        reference=lambda update: Stacked(update.old_model, update.unconstrained),
    )


class Stacked(nn.Module):
    """Several models whose features stand beside each other."""

    def __init__(self, *models: nn.Module) -> None:
        super().__init__()
        self.models = nn.ModuleList(models)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Images → features of all models, shape (B, Σ d)."""
        return torch.cat([model.features(images) for model in self.models], dim=1)  # type: ignore[operator]


def dual_anti_forgetting(prototypes: float = 10.0, relations: float = 20.0) -> Method:
    """DJAA's anti-forgetting: L_CE + prototypes · KL of soft classes + relations · KL of similarities, on the memory.

    Weights and temperatures (0.1 and 0.2) as released. Its domain adaptation, without labels, is left out.

    References
    ----------
    Chen et al., *Anti-forgetting adaptation for unsupervised person re-identification*, 2024.
    """

    def objective(update: Update) -> Objective:
        means = update.old_means[update.known & update.present]
        if not len(means):
            return cross_entropy
        return lambda logits, targets, new, old: (
            cross_entropy(logits, targets, new)
            + prototypes * prototype_distillation(new, old, means, update.known[targets])
            + relations * relation_distillation(new, old, update.known[targets])
        )

    return Method(objective, fixed_classifier=False)


def forward_compatible(weight: float = 0.01, orthogonality: float = 1.0) -> Method:
    """FACT: L_CE + weight · room for classes to come; rows of the classifier of such classes are kept orthogonal.

    :func:`~learning.baselines.virtual_mixup` on mixtures of features of two images with weights from Beta(2, 2), and
    orthogonality · mean square of the cosines between reserved rows and all others. Nothing ties it to the old model:
    it prepares a model for the next one.

    References
    ----------
    Zhou et al., *Forward compatible few-shot class-incremental learning*, 2022.
    """

    def objective(update: Update) -> Objective:
        reserved = ~(update.known | update.present)
        if not bool(reserved.any()):
            return cross_entropy
        model = update.new_model

        def loss(logits: torch.Tensor, targets: torch.Tensor, new: torch.Tensor, old: object) -> torch.Tensor:
            partner = torch.roll(new, 1, 0)
            # the sum of two uniform numbers, halved, has about the law Beta(2, 2); drawn from the batch, so that a
            # training that goes on draws the same
            share = torch.frac(1e3 * new.detach().abs().sum(dim=1, keepdim=True))
            mixed = model.classifier(share * new + (1.0 - share) * partner)
            rows = nn.functional.normalize(model.directions, dim=1)
            cosines = rows[reserved] @ rows.T
            off = cosines.square().sum() - cosines[:, reserved].diagonal().square().sum()
            return (
                cross_entropy(logits, targets, new)
                + weight * virtual_mixup(logits, mixed, targets, reserved)
                + orthogonality * off / cosines.numel()
            )

        return loss

    return Method(objective, fixed_classifier=False, old_features=False)


def dual_tuning(weight: float = 1.0, scale: float = 10.0) -> Method:
    """Dual-tuning: L_CE + weight · (alignment to the own old feature + contrast to old features of the class).

    From the paper only, not checked against code: feature level, mean(1 − u·v), and relation level, a supervised
    contrast of new features among themselves.

    References
    ----------
    Bai et al., *Dual-tuning: joint prototype transfer and structure regularization for compatible feature learning*,
    2022.
    """
    return Method(
        lambda update: (
            lambda logits, targets, new, old: (
                cross_entropy(logits, targets, new)
                + weight * feature_distillation(new, old, torch.ones_like(targets, dtype=torch.bool))
                + weight * supervised_contrast(new, targets, scale)
            )
        ),
        fixed_classifier=False,
    )


def residual_regression(weight: float = 1.0) -> Method:
    """R³AN: L_CE + weight · mean ‖f_i − g_i‖²/d of the features as they are, not normalised.

    From the paper only, not checked against code: its reconstruction of old features, without its residual units.

    References
    ----------
    Chen et al., *R³ adversarial network for cross model face recognition*, 2019.
    """
    return Method(
        lambda update: (
            lambda logits, targets, new, old: (
                cross_entropy(logits, targets, new) + weight * nn.functional.mse_loss(new, old)
            )
        ),
        fixed_classifier=False,
    )


def hyperbolic_bct(weight: float = 1.0, scale: float = 10.0) -> Method:
    """HBCT: L_CE + weight · contrast in hyperbolic space, −d(new, old)·scale against old features of other classes.

    From the paper only, not checked against code: unit features are mapped to the Lorentz model of curvature −1.

    References
    ----------
    Bui et al., *Learning along the arrow of time: hyperbolic geometry for backward-compatible representation
    learning*, 2025.
    """

    def contrast(new: torch.Tensor, old: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        u, v = nn.functional.normalize(new, dim=1), nn.functional.normalize(old, dim=1)
        size = len(u)
        pairs = hyperbolic_distance(u.repeat_interleave(size, 0), v.repeat(size, 1)).reshape(size, size)
        own = torch.eye(size, dtype=torch.bool, device=u.device)
        same = (targets[:, None] == targets[None, :]) & ~own
        scores = (-scale * pairs).masked_fill(same, -torch.inf)
        return (torch.logsumexp(scores, dim=1) + scale * pairs.diagonal()).mean()

    return Method(
        lambda update: (
            lambda logits, targets, new, old: cross_entropy(logits, targets, new) + weight * contrast(new, old, targets)
        ),
        fixed_classifier=False,
    )


def hoc_contrast(
    ce_weight: float = 0.1,
    scale: float = 5.0,
    same_class: SameClass = "zero",
    contrast: float = 1.0,
    contrast_scale: float = 10.0,
) -> Method:
    """HOC + contrast: λ·L_CE + (1 − λ)·contrastive + contrast · supervised contrast among new features.

    HOC ties every new feature to its own old one, spread included; the last term draws the new features of a class
    together again, see :func:`~learning.baselines.supervised_contrast`. A proposal of this project.

    References
    ----------
    Khosla et al., *Supervised contrastive learning*, 2020.
    """
    loss = HOCLoss(ce_weight, scale, same_class)
    return Method(lambda update: _contrasted(loss, contrast, contrast_scale))


def _contrasted(loss: Objective, weight: float, scale: float) -> Objective:
    return lambda logits, targets, new, old: (
        loss(logits, targets, new, old) + weight * supervised_contrast(new, targets, scale)
    )


def hoc_contrast_constrained(
    ce_weight: float = 0.1,
    scale: float = 5.0,
    contrast: float = 1.0,
    contrast_scale: float = 10.0,
    prototype: float = 0.0,
    stiffness: float = 30.0,
    rate: float = 1.0,
    slack: float = 0.05,
) -> Method:
    """HOC + contrast under the constraint that both gaps of Definition 1 are positive: L_CE, terms as stated, a shift.

    The objective of :func:`hoc_contrast` (masking "zero") as the base of :class:`~learning.stateful.ConstrainedGaps`;
    the features get a learned shift, without which embeddings that are batch-normalised cannot share the common mean of
    the old ones. With ``prototype`` p > 0 each image is tied to normalise((1 − p)·v + p·µ̂_y) in the place of its old
    feature v, µ̂ the unit old class mean. A proposal of this project.
    """
    loss = HOCLoss(ce_weight, scale, "zero")

    def objective(update: Update) -> Objective:
        centres = nn.functional.normalize(update.old_means, dim=1)

        def base(logits: torch.Tensor, targets: torch.Tensor, new: torch.Tensor, old: torch.Tensor) -> torch.Tensor:
            unit = nn.functional.normalize(old, dim=1)
            tied = (1.0 - prototype) * unit + prototype * centres[targets]
            value: torch.Tensor = loss(logits, targets, new, tied)
            return value

        return ConstrainedGaps(update, _contrasted(base, contrast, contrast_scale), stiffness, rate, slack)

    return Method(objective, shift=True)


METHODS: dict[str, Callable[..., Method]] = {
    "er": experience_replay,
    "er-released": partial(experience_replay, released=True),
    "simplex": simplex_cross_entropy,
    "simplex-fd": simplex_distillation,
    "simplex-fd-released": partial(simplex_distillation, by_classes=True),
    "hoc": hoc,
    "hoc-zero": partial(hoc, same_class="zero"),
    "bct": backward_compatible_training,
    "bct-er": partial(backward_compatible_training, replay=True),
    "cvs": continual_visual_search,
    "lce": learning_compatible_embeddings,
    "hot-refresh": hot_refresh,
    "hot-refresh-hard": partial(hot_refresh, temperature=0.01, hardest=10, detach=True),
    "lambda-orthogonality": lambda_orthogonality,
    "first-moment": first_moment,
    "first-moment-learned": partial(first_moment, fixed_classifier=False),
    "hoc+first-moment": hoc_first_moment,
    "hoc+contrast": hoc_contrast,
    "hoc+contrast+constraint": hoc_contrast_constrained,
    "prototype+contrast+constraint": partial(
        hoc_contrast_constrained, scale=10.0, prototype=0.8, stiffness=10.0, rate=0.5, slack=0.1
    ),
    "bct-pseudo": pseudo_classifier,
    "uni-bct": universal_bct,
    "mix-bct": mix_bct,
    "adv-bct": adversarial_bct,
    "l2": feature_regression,
    "weakened-l2": partial(feature_regression, slack=0.2),
    "nccl": neighborhood_consensus,
    "oca": orthogonal_alignment,
    "bt2": backward_transformation,
    "djaa": dual_anti_forgetting,
    "fact": forward_compatible,
    "dual-tuning": dual_tuning,
    "r3an": residual_regression,
    "hbct": hyperbolic_bct,
}


def make_method(name: str, **settings: float | str) -> Method:
    """Return the method of that name, with its settings if they are given.

    Raises
    ------
    ValueError
        For an unknown name, a setting that the method does not have, or one out of range.
    """
    if not isinstance(name, str):
        raise ValueError(f"method must be a name or a Method, got {type(name).__name__}.")
    if name not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, or a Method of your own, got {name!r}.")
    known = inspect.signature(METHODS[name]).parameters
    for setting, value in settings.items():
        if setting not in known:
            offered = f"one of {', '.join(known)}" if known else "left out, there is none"
            raise ValueError(f"a setting of method {name!r} must be {offered}, got {setting!r}.")
        default = known[setting].default
        if isinstance(value, str) != isinstance(default, str):
            raise ValueError(
                f"{setting} must be {'a name' if isinstance(default, str) else 'a number'}, got {value!r}."
            )
    return METHODS[name](**settings)

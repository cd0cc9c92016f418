"""The methods that the paper compares, by name: which classifier, whether old images are replayed, which objective.

A method says how a model is *updated*; the first model of a sequence is trained with the cross-entropy by all of them.
L_CE below is the cross-entropy of the model's own logits, u and v the new and the old unit features, y the labels.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass

import torch

from learning.baselines import (
    alignment_loss,
    boundary_loss,
    data_coherence,
    feature_distillation,
    hot_refresh_loss,
    influence_loss,
    model_coherence,
    orthogonality_excess,
)
from learning.losses import HOCLoss, SameClass, cross_entropy, first_moment_loss
from learning.training import Objective
from learning.updates import Update


@dataclass(frozen=True)
class Method:
    """How a model is updated.

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
    adapter : bool
        Whether the new features reach the old space through a linear map that is learned beside the model.
    """

    objective: Callable[[Update], Objective]
    fixed_classifier: bool = True
    replay: bool = True
    old_features: bool = True
    adapter: bool = False


def experience_replay() -> Method:
    """ER: L_CE, a learned classifier, replay. Nothing ties the new features to the old ones."""
    return Method(lambda update: cross_entropy, fixed_classifier=False, old_features=False)


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


def simplex_distillation(weight: float = 5.0) -> Method:
    """d-Simplex-FD: L_CE + weight · mean(1 − u·v) over images of classes the old model knows, which are the replayed.

    The weight is that of the released code, 5; the code also scales it with the number of classes, which is left out.

    References
    ----------
    Biondi et al., *CL²R: compatible lifelong learning representations*, 2023.
    """

    def objective(update: Update) -> Objective:
        return lambda logits, targets, new, old: (
            cross_entropy(logits, targets, new) + weight * feature_distillation(new, old, update.known[targets])
        )

    return Method(objective)


def backward_compatible_training(weight: float = 1.0, replay: bool = False) -> Method:
    """BCT: L_CE + weight · influence loss of the old classifier, a learned classifier; BCT-ER with replay.

    Without replay a class-incremental update holds no image of a known class, and the influence term is 0.

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


def continual_visual_search(coherence: float = 1.0, data: float = 1.0, margin: float = 0.1) -> Method:
    """CVS: L_CE + coherence · model coherence + data · data coherence, a learned classifier, replay.

    Weights and margin of the released code. It divides normalised logits by 0.05; the logits here are the scenario's.

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


def hot_refresh(weight: float = 1.0, temperature: float = 0.05) -> Method:
    """Hot refresh (RACT): L_CE + weight · contrastive loss with new-to-new negatives, a learned classifier.

    The released code exists with temperatures 0.05 and 0.01; which one a table used is not in what was at hand.

    References
    ----------
    Zhang et al., *Hot-refresh model upgrades with regression-alleviating compatible training*, 2022.
    """
    return Method(
        lambda update: (
            lambda logits, targets, new, old: (
                cross_entropy(logits, targets, new) + weight * hot_refresh_loss(new, old, targets, temperature)
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

    return Method(objective, fixed_classifier=False, adapter=True)


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


METHODS: dict[str, Callable[..., Method]] = {
    "er": experience_replay,
    "simplex": simplex_cross_entropy,
    "simplex-fd": simplex_distillation,
    "hoc": hoc,
    "hoc-zero": lambda ce_weight=0.1, scale=10.0: hoc(ce_weight, scale, "zero"),
    "bct": backward_compatible_training,
    "bct-er": lambda weight=1.0: backward_compatible_training(weight, replay=True),
    "cvs": continual_visual_search,
    "lce": learning_compatible_embeddings,
    "hot-refresh": hot_refresh,
    "lambda-orthogonality": lambda_orthogonality,
    "first-moment": first_moment,
    "first-moment-learned": lambda weight=10.0, slack=0.05: first_moment(weight, slack, fixed_classifier=False),
    "hoc+first-moment": hoc_first_moment,
}


def make_method(name: str, **settings: float | str) -> Method:
    """Return the method of that name, with its settings if they are given.

    Raises
    ------
    ValueError
        For an unknown name, a setting that the method does not have, or one out of range.
    """
    if name not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {name!r}.")
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

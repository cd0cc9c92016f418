"""Objectives that remember: learned radii and a discriminator, a queue, multipliers, prototypes that are made again.

Each is an ``nn.Module`` that is called as an objective; :func:`learning.training.fit` trains its parameters along with
the model and keeps its buffers in checkpoints.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from learning.baselines import (
    class_mean_gaps,
    mixed_features,
    point_to_set,
    pseudo_classification,
    queue_contrast,
    smoothed_prototypes,
)
from learning.losses import cross_entropy
from learning.training import embed
from learning.updates import Update


class MixedClassification(nn.Module):
    """MixBCT: cross-entropy of one head on new features of which a share is replaced by old ones of the same images.

    Candidates are the images whose old feature is among the nearest to its class mean.

    Parameters
    ----------
    share : float
        Share of a batch that is replaced, in [0, 1].
    trusted : float
        Share of each class's old features that are candidates, in (0, 1].
    """

    def __init__(self, update: Update, share: float, trusted: float) -> None:
        super().__init__()
        self.update, self.share = (update,), share
        self.register_buffer("means", update.old_means)
        self.register_buffer("least", update.old_cosine_quantile(1.0 - trusted))
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    def forward(self, logits: Tensor, targets: Tensor, new: Tensor, old: Tensor) -> Float[Tensor, ""]:
        """Return the loss of a batch."""
        step = self.get_buffer("step")
        # drawn from the number of the step, so that a training that goes on draws what it would have drawn
        drawn = torch.rand(len(targets), generator=torch.Generator().manual_seed(int(step)))
        step.add_(1)
        replaced = self.candidates(targets, old) & (drawn < self.share).to(targets.device)
        mixed = mixed_features(new, old, replaced)
        return cross_entropy(self.update[0].new_model.classifier(mixed), targets, new)

    def candidates(self, targets: Int[Tensor, " batch"], old: Float[Tensor, "batch dim"]) -> Tensor:
        """Whether each old feature is near enough to its class mean."""
        cosines = F.cosine_similarity(old, self.get_buffer("means")[targets])
        # the threshold is one of these cosines, computed in another order
        return cosines >= self.get_buffer("least")[targets] - 1e-5


class QueueContrast(nn.Module):
    """NCCL: contrast of new features, and of their logits, against a queue of old ones.

    Parameters
    ----------
    size : int
        Of the queue.
    logit_weight : float
        Of the term on logits.
    """

    def __init__(self, update: Update, size: int, weight: float, logit_weight: float) -> None:
        super().__init__()
        self.update, self.weight, self.logit_weight = (update,), weight, logit_weight
        classes = len(update.known)
        dim = update.old_model.directions.shape[1]
        for name, width in (("features", dim), ("logits", classes)):
            self.register_buffer(name, torch.zeros(size, width))
        self.register_buffer("targets", torch.full((size,), -1))  # −1: an empty place
        self.register_buffer("place", torch.zeros((), dtype=torch.int64))

    def forward(self, logits: Tensor, targets: Tensor, new: Tensor, old: Tensor) -> Float[Tensor, ""]:
        """Return the loss of a batch, whose old features join the queue first."""
        with torch.no_grad():
            old_logits = self.update[0].old_model.classifier(old)
            size = len(self.get_buffer("targets"))
            rows = (int(self.get_buffer("place")) + torch.arange(len(targets), device=targets.device)) % size
            for name, values in (("features", old), ("logits", old_logits), ("targets", targets)):
                self.get_buffer(name)[rows] = values
            self.get_buffer("place").add_(len(targets)).remainder_(size)
        there = self.get_buffer("targets") >= 0
        kept = self.get_buffer("targets")[there]
        feature_term = queue_contrast(new, targets, self.get_buffer("features")[there], kept)
        logit_term = queue_contrast(logits, targets, self.get_buffer("logits")[there], kept)
        return cross_entropy(logits, targets, new) + self.weight * feature_term + self.logit_weight * logit_term


class AdversarialBoundary(nn.Module):
    """AdvBCT: new features inside learned boundaries about old class means, and a discriminator of the two to deceive.

    Parameters
    ----------
    adversarial : float
        Weight of the discriminator's cross-entropy at the first epoch; it falls linearly to 0.
    boundary : float
        Weight of :func:`~learning.baselines.point_to_set`.
    """

    def __init__(self, update: Update, adversarial: float, boundary: float) -> None:
        super().__init__()
        self.adversarial, self.boundary, self.progress = adversarial, boundary, 0.0
        self.register_buffer("means", update.old_means)
        # chord lengths: the farthest old feature of the class
        self.register_buffer("widest", (2.0 - 2.0 * update.old_radius).clamp(min=0.0).sqrt())
        self.share = nn.Parameter(torch.zeros(len(update.known)))
        dim = update.old_means.shape[1]
        self.discriminator = nn.Sequential(nn.Linear(dim, 100), nn.ReLU(), nn.Linear(100, 2))

    def begin(self, epoch: int, epochs: int) -> None:
        """Note how far the training is."""
        self.progress = epoch / epochs

    @property
    def radius(self) -> Float[Tensor, " classes"]:
        """Of each class, between 0.5 and the farthest old feature."""
        low, high = torch.full_like(self.get_buffer("widest"), 0.5), self.get_buffer("widest")
        return low + torch.sigmoid(self.share) * (high - low)

    def forward(self, logits: Tensor, targets: Tensor, new: Tensor, old: Tensor) -> Float[Tensor, ""]:
        """Return the loss of a batch."""
        both = torch.cat([F.normalize(new, dim=1), F.normalize(old, dim=1)])
        side = torch.cat([torch.ones_like(targets), torch.zeros_like(targets)])
        strength = 2.0 / (1.0 + float(torch.exp(torch.tensor(-10.0 * self.progress)))) - 1.0
        guesses = self.discriminator(reverse_gradient(both, strength))
        adversarial = (1.0 - self.progress) * self.adversarial * F.cross_entropy(guesses, side)
        boundary = self.boundary * point_to_set(new, targets, self.get_buffer("means"), self.radius)
        return cross_entropy(logits, targets, new) + adversarial + boundary


class _Reversed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, strength: float) -> Tensor:
        ctx.strength = strength
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return -ctx.strength * gradient, None


def reverse_gradient(values: Tensor, strength: float) -> Tensor:
    """Return the values as they are; their gradient is turned round and scaled."""
    function: Any = _Reversed
    turned: Tensor = function.apply(values, strength)
    return turned


class UniversalPrototypes(nn.Module):
    """UniBCT: BCT's pseudo-classifier, its rows made again from old features smoothed on the new model's graph.

    Recomputed after 10/35 and 20/35 of the epochs, and used from the first of these on; until then cross-entropy only.
    Of more than ``most`` images, that many of each class in turn make the graph.
    """

    def __init__(self, update: Update, weight: float = 1.0, most: int = 4000) -> None:
        super().__init__()
        self.update, self.weight, self.most = (update,), weight, most
        self.register_buffer("rows", update.old_means.clone())
        self.register_buffer("used", torch.zeros((), dtype=torch.bool))

    def begin(self, epoch: int, epochs: int) -> None:
        """Make the prototypes again where it is time."""
        if epoch in {round(epochs * share / 35) for share in (10, 20)}:
            update = self.update[0]
            unit, labels = update.old_features
            chosen = torch.arange(0, len(labels), max(1, -(-len(labels) // self.most)), device=labels.device)
            new = embed(update.new_model, update.data.subset(chosen.cpu())).to(unit.device)
            self.get_buffer("rows").copy_(smoothed_prototypes(new, unit[chosen], labels[chosen], len(update.known)))
            self.get_buffer("used").fill_(True)

    def forward(self, logits: Tensor, targets: Tensor, new: Tensor, old: Tensor | None) -> Float[Tensor, ""]:
        """Return the loss of a batch."""
        loss = cross_entropy(logits, targets, new)
        if not bool(self.get_buffer("used")):
            return loss
        rows = self.get_buffer("rows")
        return loss + self.weight * pseudo_classification(new, targets, rows, rows.any(dim=1))


class ConstrainedGaps(nn.Module):
    r"""A loss under the constraints that both gaps of Definition 1 are positive: an augmented Lagrangian.

    base + :math:`\frac{1}{2ρ}\sum_k \mathrm{relu}(ν_k − ρ g_k)^2`, and after every step
    :math:`ν_k ← \mathrm{relu}(ν_k − η g_k)`, g from :func:`~learning.baselines.class_mean_gaps`.

    Parameters
    ----------
    base : callable
        An objective.
    stiffness : float
        ρ > 0.
    rate : float
        η ≥ 0.
    slack : float
        ε ≥ 0.
    """

    def __init__(self, update: Update, base: Any, stiffness: float, rate: float, slack: float) -> None:
        super().__init__()
        self.base, self.stiffness, self.rate, self.slack = base, stiffness, rate, slack
        present = update.present
        self.register_buffer("means", update.old_means[present])
        self.register_buffer("row", torch.cumsum(present, 0) - 1)
        self.register_buffer("multipliers", torch.ones(2, device=present.device))

    def forward(self, logits: Tensor, targets: Tensor, new: Tensor, old: Tensor) -> Float[Tensor, ""]:
        """Return the loss of a batch and take a step of the multipliers."""
        rows = self.get_buffer("row")[targets]
        gaps = torch.stack(class_mean_gaps(new, rows, self.get_buffer("means"), self.slack))
        multipliers = self.get_buffer("multipliers").clone()
        penalty = F.relu(multipliers - self.stiffness * gaps).square().sum() / (2.0 * self.stiffness)
        with torch.no_grad():
            self.get_buffer("multipliers").copy_(F.relu(multipliers - self.rate * gaps))
        loss: Tensor = self.base(logits, targets, new, old) + penalty
        return loss

"""What a method may know of the update that it is asked for: the two models, the images, the old class means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from learning.data import Data
from learning.models import EmbeddingModel
from learning.training import embed


@dataclass(frozen=True)
class Update:
    """The information about an update that an objective can use.

    Attributes
    ----------
    new_model, old_model : EmbeddingModel
        The two models on one device, the old one frozen.
    data : Images or Streamed
        All training images of the update, including replayed ones.
    known : Tensor of bool, shape (K,)
        Which classes the old model was trained on.
    train_unconstrained : callable, optional
        Trains the model of :attr:`unconstrained`.
    """

    new_model: EmbeddingModel
    old_model: EmbeddingModel
    data: Data
    known: Bool[Tensor, " classes"]
    train_unconstrained: Callable[[], EmbeddingModel] | None = None

    @cached_property
    def unconstrained(self) -> EmbeddingModel:
        """A model of the old dimension that is trained on ``data`` with the cross-entropy only; frozen."""
        if self.train_unconstrained is None:
            raise ValueError("this update does not know how to train a model without constraints.")
        return self.train_unconstrained().eval().requires_grad_(False)

    @cached_property
    def present(self) -> Bool[Tensor, " classes"]:
        """Which classes have training images in this update."""
        present = torch.zeros_like(self.known)
        present[self.data.labels.to(present.device)] = True
        return present

    @cached_property
    def old_means(self) -> Float[Tensor, "classes dim"]:
        """Class means of the old model's unit features on ``data``: one pass. Rows of absent classes are 0."""
        return self.means_of()

    def means_of(self, samples: int = 0) -> Float[Tensor, "classes dim"]:
        """Return the class means, from only the first ``samples`` images of each class if given."""
        unit, labels = self.old_features
        if samples:
            order = labels.argsort(stable=True)
            sizes = labels.bincount()
            position = torch.arange(len(labels), device=labels.device) - (sizes.cumsum(0) - sizes)[labels[order]]
            chosen = order[position < samples]
            unit, labels = unit[chosen], labels[chosen]
        sums = torch.zeros(len(self.known), unit.shape[1], device=unit.device).index_add_(0, labels, unit)
        return sums / labels.bincount(minlength=len(self.known)).clamp(min=1)[:, None]

    @cached_property
    def _old_cosines(self) -> Float[Tensor, " n"]:
        """Cosine of each old feature with the direction of its class mean."""
        unit, labels = self.old_features
        return F.cosine_similarity(unit, self.old_means[labels])

    @cached_property
    def old_radius(self) -> Float[Tensor, " classes"]:
        """Smallest cosine of an old feature with the direction of its class mean; 1 for absent classes."""
        labels, cosines = self.old_features[1], self._old_cosines
        return torch.ones(len(self.known), device=labels.device).scatter_reduce_(0, labels, cosines, "amin")

    def old_cosine_quantile(self, share: float) -> Float[Tensor, " classes"]:
        """Cosine with its class mean below which a share of each class's old features lies; 1 for absent classes."""
        labels, cosines = self.old_features[1], self._old_cosines
        quantiles = torch.ones(len(self.known), device=labels.device)
        for label in torch.unique(labels).tolist():
            own = torch.sort(cosines[labels == label]).values
            quantiles[label] = own[min(int(share * len(own)), len(own) - 1)]
        return quantiles

    @cached_property
    def old_features(self) -> tuple[Float[Tensor, "n dim"], Int[Tensor, " n"]]:
        """Unit features of the old model on ``data``, and the labels: one pass."""
        features = embed(self.old_model, self.data).to(self.known.device)
        return F.normalize(features, dim=1), self.data.labels.to(features.device)

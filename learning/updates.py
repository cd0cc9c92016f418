"""What a method may know of the update that it is asked for: the two models, the images, the old class means."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from learning.data import Images
from learning.training import EmbeddingModel, embed


@dataclass(frozen=True)
class Update:
    """What an objective may know of the update it is made for.

    Attributes
    ----------
    new_model, old_model : EmbeddingModel
        On one device, the old one frozen.
    data : Images
        All training images of the update, the replayed ones among them.
    known : Tensor of bool, shape (K,)
        Which classes the old model was trained on.
    """

    new_model: EmbeddingModel
    old_model: EmbeddingModel
    data: Images
    known: Bool[Tensor, " classes"]

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
        """The same from the first ``samples`` images of each class alone, if given."""
        unit, labels = self._old_features
        if samples:
            order = labels.argsort(stable=True)
            sizes = labels.bincount()
            position = torch.arange(len(labels), device=labels.device) - (sizes.cumsum(0) - sizes)[labels[order]]
            chosen = order[position < samples]
            unit, labels = unit[chosen], labels[chosen]
        sums = torch.zeros(len(self.known), unit.shape[1], device=unit.device).index_add_(0, labels, unit)
        return sums / labels.bincount(minlength=len(self.known)).clamp(min=1)[:, None]

    @cached_property
    def old_radius(self) -> Float[Tensor, " classes"]:
        """Smallest cosine of an old feature with the direction of its class mean; 1 for absent classes."""
        unit, labels = self._old_features
        cosines = F.cosine_similarity(unit, self.old_means[labels])
        return torch.ones(len(self.known), device=unit.device).scatter_reduce_(0, labels, cosines, "amin")

    @cached_property
    def _old_features(self) -> tuple[Float[Tensor, "n dim"], Tensor]:
        features = embed(self.old_model, self.data).to(self.known.device)
        return F.normalize(features, dim=1), self.data.labels.to(features.device)

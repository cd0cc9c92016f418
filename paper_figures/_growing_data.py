"""A scenario for Fig. 3: several updates, each on more images of the same classes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from learning.datasets import Split
from learning.protocol import Scenario, Step

HELD_OUT = 1500  # images that models are judged on, at most


@dataclass(frozen=True)
class GrowingData(Scenario):
    """Every model sees all classes; each update starts from the model before and sees ``step_images`` more.

    Attributes
    ----------
    models : int
        ≥ 2.
    first_images, step_images : int
        Images of the first model, and how many each update adds to them.
    """

    models: int = 5
    first_images: int = 400
    step_images: int = 200

    def load(self) -> Split:
        """The images that the last model sees, and the held-out ones."""
        train, test = super().load()
        last = self.first_images + (self.models - 1) * self.step_images
        if last > len(train):
            raise ValueError(f"the last model must see at most {len(train)} images, got {last}.")
        train, test = (part.subset(self.order(len(part), 0)) for part in (train, test))
        return Split(train.subset(slice(last)), test.subset(slice(HELD_OUT)))

    def steps(self, labels: Int[Tensor, " n"]) -> list[Step]:
        """The first model from new weights, the others from the one before."""
        counts = range(self.first_images, len(labels) + 1, self.step_images)
        return [
            Step(torch.arange(count), self.backbone, "previous" if number else "scratch")
            for number, count in enumerate(counts)
        ]

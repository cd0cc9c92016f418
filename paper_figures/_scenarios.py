"""Scenarios of the figures: several updates on more images (Fig. 3), and lifelong ones on part of the data."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from learning.datasets import Split, load_data
from learning.lifelong import CL2R, IAMCL2R
from learning.scenarios import Scenario, Step

# images that models are trained and judged on, at most: ten classes of Fashion-MNIST in minutes
TRAINED, HELD_OUT = 2500, 1500


@functools.cache
def part_of(scenario: Scenario) -> Split:
    """A part of the scenario's data, drawn from its seed."""
    split = load_data(scenario.data, scenario.folder, scenario.seed)
    counts = zip(split, (TRAINED, HELD_OUT), strict=True)
    return Split(*(part.subset(scenario.order(len(part), 0)[:most]) for part, most in counts))


class ShortCL2R(CL2R):
    """CL²R on part of the data."""

    def load(self) -> Split:
        """As :class:`~learning.lifelong.CL2R`, a part of it."""
        return part_of(Scenario(self.seed, self.data, self.folder))


class ShortIAMCL2R(IAMCL2R):
    """IAM-CL²R on part of the data."""

    def load(self) -> Split:
        """As :class:`~learning.lifelong.IAMCL2R`, a part of it."""
        return part_of(Scenario(self.seed, self.data, self.folder))


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
        train, test = part_of(Scenario(self.seed, self.data, self.folder))
        last = self.first_images + (self.models - 1) * self.step_images
        if last > len(train):
            raise ValueError(f"the last model must see at most {len(train)} images, got {last}.")
        return Split(train.subset(slice(last)), test)

    def steps(self, labels: Int[Tensor, " n"]) -> list[Step]:
        """The first model from new weights, the others from the one before."""
        counts = range(self.first_images, len(labels) + 1, self.step_images)
        return [
            Step(torch.arange(count), self.backbone, "previous" if number else "scratch")
            for number, count in enumerate(counts)
        ]

"""What a training run is made of: its settings, the recipes that are used, and the device it runs on."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import torch

from learning.data import Augmentation, Padding, check_augmentation

OPTIMIZERS = ("adamw", "sgd")
PRECISIONS = ("no", "bf16", "fp16")


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of one training; the defaults train a model from scratch on small data.

    Attributes
    ----------
    epochs : int
        Passes over the data, ≥ 1.
    batch_size : int
        Images per step over all processes, ≥ 2 (batch normalisation needs two).
    learning_rate : float
        Peak rate > 0.
    weight_decay : float
        ≥ 0. Decoupled with AdamW; with SGD it spares biases and normalisation weights, as in the paper's released code.
    seed : int
        Seed of the order of the images and their augmentation, ≥ 0.
    device : str
        "auto" (a GPU when there is one) or a torch device.
    optimizer : {"adamw", "sgd"}
        SGD has momentum 0.9.
    precision : {"no", "bf16", "fp16"}
        Mixed precision of the networks; losses are computed in float32. fp16 needs a GPU.
    augmentation : {"none", "crop", "crop-flip"}
        See :func:`learning.data.augment`.
    padding : {"mean", "black"}
        Value of the pixels that a crop uncovers: the mean of the data, or black if the data's normalisation is known.
    schedule : {"step", "epoch"}
        Whether the rate changes after every step or after every epoch.
    final_rate : float
        Rate ≥ 0 at the end of the cosine.
    milestones : tuple of int
        Epochs after which the rate is divided by ten, instead of a cosine; the schedule is then "epoch".
    batches : {"new", "drawn"}
        With replayed images: "new" goes once over the new images, half a batch at a time, and takes the replayed ones
        in turn. "drawn" has (new + replayed) // ``batch_size`` batches, half new and half replayed, each drawn anew.
    """

    epochs: int = 25
    batch_size: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    seed: int = 0
    device: str = "auto"
    optimizer: Literal["adamw", "sgd"] = "adamw"
    precision: Literal["no", "bf16", "fp16"] = "no"
    augmentation: Augmentation = "none"
    padding: Padding = "mean"
    schedule: Literal["step", "epoch"] = "step"
    final_rate: float = 0.0
    milestones: tuple[int, ...] = ()
    batches: Literal["new", "drawn"] = "new"

    def __post_init__(self) -> None:
        for name, minimum in (("epochs", 1), ("batch_size", 2), ("seed", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
                raise ValueError(f"{name} must be an integer >= {minimum}, got {value!r}.")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise ValueError(f"learning_rate must be a finite number > 0, got {self.learning_rate!r}.")
        if not (math.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise ValueError(f"weight_decay must be a finite number >= 0, got {self.weight_decay!r}.")
        if not 0.0 <= self.final_rate <= self.learning_rate:
            raise ValueError(f"final_rate must be in [0, {self.learning_rate:g}], got {self.final_rate!r}.")
        if self.milestones and self.schedule != "epoch":
            raise ValueError(f"schedule must be 'epoch' with milestones, got {self.schedule!r}.")
        choices: dict[str, tuple[str, ...]] = {
            "optimizer": OPTIMIZERS,
            "precision": PRECISIONS,
            "padding": ("mean", "black"),
            "schedule": ("step", "epoch"),
            "batches": ("new", "drawn"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {getattr(self, name)!r}.")
        check_augmentation(self.augmentation)


class Recipe(NamedTuple):
    """Settings for training the first model of a sequence, and for each update."""

    first: TrainingConfig
    update: TrainingConfig

    def changed(self, **settings: Any) -> Recipe:
        """Return the recipe with these settings of :class:`TrainingConfig` in both."""
        return Recipe(*(replace(config, **settings) for config in self))


# src/iamcl2r/params.py, main.py and dataset/dataset_utils.py of the paper's released code
_PAPER = TrainingConfig(
    epochs=70,
    batch_size=128,
    learning_rate=1e-3,
    weight_decay=5e-4,
    optimizer="sgd",
    precision="fp16",
    augmentation="crop-flip",
    padding="black",
    schedule="epoch",
    final_rate=1e-5,
    batches="drawn",
)
# CL²R: src/cl2r/params.py and main.py of its released code; there the weights of normalisation layers decay too
_CL2R = replace(_PAPER, learning_rate=0.1, milestones=(49, 64), final_rate=0.0, precision="no")
# CoReS: src/cores/params.py and main.py of its released code
_CORES = replace(_CL2R, epochs=100, milestones=(70,))
PRESETS = {
    "small": Recipe(TrainingConfig(), TrainingConfig(learning_rate=5e-4)),
    "paper": Recipe(_PAPER, _PAPER),
    "cl2r": Recipe(_CL2R, _CL2R),
    "cores": Recipe(_CORES, _CORES),
}


def resolve_device(device: str = "auto") -> torch.device:
    """Return the torch device of that name; "auto" is a GPU if there is one, else the CPU.

    Raises
    ------
    ValueError
        If the name is unknown or the device is not there.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
        torch.empty(0, device=resolved)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"device must be 'auto' or a device of this machine, got {device!r}: {reason}") from None
    return resolved

"""Trainings that tests run in processes of their own: one that is killed, and one of several that share the work."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from learning import (
    CL2R,
    EmbeddingModel,
    Recipe,
    SimplexClassifier,
    TrainingConfig,
    cross_entropy,
    fit,
    load_digits,
    run_scenario,
)
from learning.backbones import Backbone

SHARED = TrainingConfig(epochs=3, batch_size=32, optimizer="sgd", learning_rate=0.05, augmentation="crop", device="cpu")
KILLED = CL2R(tasks=3, first_classes=4)
RECIPE = Recipe(TrainingConfig(epochs=4, device="cpu"), TrainingConfig(epochs=4, learning_rate=5e-4, device="cpu"))


def without_batch_statistics() -> EmbeddingModel:
    """A model whose loss of a batch is the mean over its images, so that shares of a batch add up."""
    torch.manual_seed(0)
    trunk = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten())
    return EmbeddingModel(Backbone(trunk, 8 * 36, 9, normalize_embedding=False), SimplexClassifier(10))


def train_shared() -> tuple[list[float], EmbeddingModel]:
    """Losses of each epoch, and the model."""
    losses: list[float] = []
    model = without_batch_statistics()
    fit(model, load_digits(0).subset(slice(320)), SHARED, cross_entropy, progress=lambda *e: losses.append(e[3].loss))
    return losses, model


def main() -> None:
    torch.set_num_threads(1)
    what, folder = sys.argv[1], Path(sys.argv[2])
    if what == "scenario":
        run_scenario(KILLED, "hoc", RECIPE, directory=folder)
        return
    losses, model = train_shared()
    rank = os.environ["RANK"]
    save_file(model.state_dict(), folder / f"{rank}.safetensors")
    (folder / f"{rank}.json").write_text(json.dumps(losses))


if __name__ == "__main__":
    main()

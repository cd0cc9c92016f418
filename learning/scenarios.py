"""Upgrade scenarios, as data: what the old model saw, what the new ones see, and how each new one is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from learning.backbones import SmallCNN
from learning.classifier import SimplexClassifier
from learning.data import load_digits
from learning.losses import HOCLoss, cross_entropy
from learning.training import EmbeddingModel, TrainingConfig, extract_features, fit, update

# what is being trained, epochs done, epochs in all, mean loss
StageProgress = Callable[[str, int, int, float], None]


@dataclass(frozen=True)
class ExtendedData:
    """One update on more data of the same classes: digits, an old model from 600 images, new ones from 1200.

    Attributes
    ----------
    seed : int
        Of the split, the weights and the order of the images.
    old_images, new_images : int
        How many images the old and the new models are trained on; the old ones are among the new ones.
    epochs : int
        Of every training.
    num_classes : int
        K in [2, 10]: the digits 0 … K−1 alone.
    normalize_embedding : bool
        False takes the batch normalisation off the embedding: class means then leave their vertices and the hypotheses
        of Theorem 1 fail (see :class:`~learning.backbones.SmallCNN`).
    fixed_classifier : bool
        False trains every model with a learned classifier. The verification then has to fail.
    device : str
        "auto" or a torch device.
    """

    seed: int = 0
    old_images: int = 600
    new_images: int = 1200
    epochs: int = 25
    num_classes: int = 10
    normalize_embedding: bool = True
    fixed_classifier: bool = True
    device: str = "auto"


@dataclass(frozen=True)
class TrainedModels:
    """Held-out features of one scenario.

    Attributes
    ----------
    labels : ndarray, shape (N,)
    old : ndarray, shape (N, d)
        Features of the old model, not normalised.
    new : dict of str to ndarray, shape (N, d)
        Features of each new model on the same images, by the name of the method.
    """

    labels: NDArray[np.int64]
    old: NDArray[np.float32]
    new: dict[str, NDArray[np.float32]]


# the negative control: it shares nothing with the old model, so its queries cannot search the old gallery
LEARNED_CLASSIFIER = "retrained, learned classifier"
METHODS = ("fine-tuned CE", "fine-tuned HOC", "retrained, fixed classifier", LEARNED_CLASSIFIER)


def train_extended_data(
    scenario: ExtendedData, methods: tuple[str, ...] = METHODS, progress: StageProgress | None = None
) -> TrainedModels:
    """Train the old model and the named new ones; return their features on the held-out images.

    Raises
    ------
    ValueError
        Before training starts, for an unknown method or a split that leaves nothing to test on.
    """
    unknown = [name for name in methods if name not in METHODS]
    if unknown:
        raise ValueError(f"methods must be among {', '.join(map(repr, METHODS))}, got {unknown[0]!r}.")
    if not 2 <= scenario.num_classes <= 10:
        raise ValueError(f"num_classes must be in [2, 10], there are ten digits, got {scenario.num_classes}.")
    data = load_digits(scenario.seed)
    data = data.subset(data.labels < scenario.num_classes)
    if not 0 < scenario.old_images <= scenario.new_images < len(data):
        raise ValueError(
            f"old_images and new_images must satisfy 0 < old_images <= new_images < {len(data)}, "
            f"got {scenario.old_images} and {scenario.new_images}."
        )
    old_data, new_data = data.subset(slice(scenario.old_images)), data.subset(slice(scenario.new_images))
    held_out = data.subset(slice(scenario.new_images, None))

    scratch = TrainingConfig(epochs=scenario.epochs, seed=scenario.seed, device=scenario.device)
    gentle = replace(scratch, learning_rate=5e-4)

    def stage(name: str) -> Callable[[int, int, float], None] | None:
        return None if progress is None else lambda *epoch: progress(name, *epoch)

    old_model = fit(
        _model(scenario, scenario.seed, scenario.fixed_classifier),
        old_data,
        scratch,
        cross_entropy,
        progress=stage("old model"),
    )

    def train(name: str) -> EmbeddingModel:
        if name == "fine-tuned CE":
            return update(old_model, new_data, gentle, cross_entropy, stage(name))
        if name == "fine-tuned HOC":
            return update(old_model, new_data, gentle, HOCLoss(), stage(name))
        # another seed than the old model's: the two share the data, the vertices and nothing else
        other = replace(scratch, seed=scenario.seed + 1000)
        fixed = scenario.fixed_classifier and name != LEARNED_CLASSIFIER
        return fit(_model(scenario, other.seed, fixed), new_data, other, cross_entropy, progress=stage(name))

    return TrainedModels(
        labels=held_out.labels.numpy(),
        old=extract_features(old_model, held_out),
        new={name: extract_features(train(name), held_out) for name in methods},
    )


def _model(scenario: ExtendedData, seed: int, fixed_classifier: bool) -> EmbeddingModel:
    dim = scenario.num_classes - 1
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        backbone = SmallCNN(dim, normalize_embedding=scenario.normalize_embedding)
        classifier = SimplexClassifier(dim + 1) if fixed_classifier else nn.Linear(dim, dim + 1)
        return EmbeddingModel(backbone, classifier)

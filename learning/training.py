"""Training, in one loop: a model from scratch (:func:`fit`) or from the one before it (:func:`update`)."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from learning.data import Images

# logits, targets, new features, old features (None when there is no old model) → loss
Objective = Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]
# epochs done, epochs in all, mean loss of the epoch
Progress = Callable[[int, int, float], None]


@dataclass(frozen=True)
class TrainingConfig:
    """What a run is made of; the defaults train a model from scratch on small data.

    Attributes
    ----------
    epochs : int
        Passes over the data, ≥ 1.
    batch_size : int
        Images a step, ≥ 2 (batch normalisation needs two).
    learning_rate : float
        Peak rate > 0 of AdamW; a cosine takes it to zero.
    weight_decay : float
        Decoupled weight decay ≥ 0.
    seed : int
        Of the order of the images, ≥ 0.
    device : str
        "auto" (a GPU when there is one) or a torch device.
    """

    epochs: int = 25
    batch_size: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        for name, minimum in (("epochs", 1), ("batch_size", 2), ("seed", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
                raise ValueError(f"{name} must be an integer >= {minimum}, got {value!r}.")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise ValueError(f"learning_rate must be a finite number > 0, got {self.learning_rate!r}.")
        if not (math.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise ValueError(f"weight_decay must be a finite number >= 0, got {self.weight_decay!r}.")


class EmbeddingModel(nn.Module):
    """A backbone that gives features and a classifier that reads them.

    Parameters
    ----------
    backbone : Module
        Images (B, C, H, W) → features (B, d).
    classifier : Module
        Features (B, d) → logits (B, K): :class:`~learning.classifier.SimplexClassifier`, or ``nn.Linear`` for a
        classifier that is learned.
    """

    def __init__(self, backbone: nn.Module, classifier: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.classifier = classifier

    def forward(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> tuple[Float[Tensor, "batch dim"], Float[Tensor, "batch classes"]]:
        """Images → (features, logits)."""
        features = self.backbone(images)
        return features, self.classifier(features)


def resolve_device(device: str = "auto") -> torch.device:
    """Return the torch device of that name; "auto" is a GPU when there is one, else the CPU.

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


def fit(
    model: EmbeddingModel,
    data: Images,
    config: TrainingConfig,
    objective: Objective,
    old_model: EmbeddingModel | None = None,
    progress: Progress | None = None,
) -> EmbeddingModel:
    """Train ``model`` in place on ``data`` and return it, in evaluation mode.

    AdamW with a cosine schedule to zero. When ``old_model`` is given it is frozen and its features of each batch go
    to the objective. The same arguments give the same weights on one machine.

    Raises
    ------
    ValueError
        Before training starts, if there are fewer images than one batch needs, a label has no logit, or the device is
        not there.
    """
    if len(data) < config.batch_size:
        raise ValueError(f"data must hold at least one batch of {config.batch_size} images, got {len(data)}.")
    device = resolve_device(config.device)
    data = data.to(device)
    model.to(device)
    _check_labels(model, data)
    if old_model is not None:
        old_model.to(device).eval()
    generator = torch.Generator().manual_seed(config.seed)
    steps_per_epoch = len(data) // config.batch_size
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trainable, lr=config.learning_rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.epochs * steps_per_epoch)
    for epoch in range(config.epochs):
        model.train()
        order = torch.randperm(len(data), generator=generator).to(device)
        total = torch.zeros((), device=device)
        for step in range(steps_per_epoch):
            batch = data.subset(order[step * config.batch_size : (step + 1) * config.batch_size])
            features, logits = model(batch.images)
            old_features = None
            if old_model is not None:
                with torch.no_grad():
                    old_features = old_model.backbone(batch.images)
            loss = objective(logits, batch.labels, features, old_features)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.detach()
        if progress is not None:
            progress(epoch + 1, config.epochs, float(total) / steps_per_epoch)
    return model.eval()


def update(
    old_model: EmbeddingModel,
    data: Images,
    config: TrainingConfig,
    objective: Objective,
    progress: Progress | None = None,
) -> EmbeddingModel:
    """Fine-tune a copy of ``old_model`` on ``data`` with the old model as reference; the old model is left as it is."""
    return fit(copy.deepcopy(old_model), data, config, objective, old_model=old_model, progress=progress)


def extract_features(model: EmbeddingModel, data: Images, batch_size: int = 1024) -> NDArray[np.float32]:
    """Features of ``data``, shape (N, d), float32, not normalised; the model is put in evaluation mode."""
    model.eval()
    device = next(model.parameters()).device
    with torch.inference_mode():
        blocks = [model.backbone(block.to(device)).cpu() for block in data.images.split(batch_size)]
    return torch.cat(blocks).numpy()


def _check_labels(model: EmbeddingModel, data: Images) -> None:
    model.eval()
    with torch.inference_mode():
        _, logits = model(data.images[:1])
    highest = int(data.labels.max())
    if highest >= logits.shape[1]:
        raise ValueError(f"labels must be below the classifier's {logits.shape[1]} classes, got {highest}.")

"""Training, in one loop: a model from scratch (:func:`fit`) or from the one before it (:func:`update`)."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from learning.checkpoints import load_training, save_training
from learning.data import Images, augment
from learning.models import EmbeddingModel
from learning.recipes import TrainingConfig, resolve_device

if TYPE_CHECKING:
    from accelerate import Accelerator  # type: ignore[import-untyped]

# logits, targets, new features, old features (None when there is no old model) → loss
Objective = Callable[[Tensor, Tensor, Tensor, Any], Tensor]
# epochs done, epochs in all, then the mean of the epoch: loss, accuracy, drift (radians), concentration
Progress = Callable[[int, int, float, float, float, float], None]


def fit(
    model: EmbeddingModel,
    data: Images,
    config: TrainingConfig,
    objective: Objective,
    old_model: EmbeddingModel | None = None,
    progress: Progress | None = None,
    *,
    memory: Images | None = None,
    checkpoint: Path | None = None,
) -> EmbeddingModel:
    """Train ``model`` in place on ``data`` and return it, in evaluation mode.

    A cosine takes the rate to zero. When ``old_model`` is given it is frozen and its features of each batch go to the
    objective. The same arguments give the same weights on one machine. Under ``torchrun`` or ``accelerate launch``
    each process takes its part of every batch; gradients are averaged, while batch normalisation and the negatives of
    a contrastive loss see the part alone.

    Parameters
    ----------
    memory : Images, optional
        Replayed images of earlier tasks: every batch is half of these, drawn in turn, and half of ``data``.
    checkpoint : Path, optional
        Where to write the training after each epoch. A training found there goes on, and ends with the weights, bit by
        bit on a CPU, that it would have had without the interruption.

    Raises
    ------
    ValueError
        Before training starts, if there are fewer images than one batch needs, a label has no logit, the device is
        not there, or the checkpoint is another training's.
    """
    half = config.batch_size if memory is None else config.batch_size // 2
    if len(data) < half:
        raise ValueError(f"data must hold at least one batch of {half} images, got {len(data)}.")
    _check_labels(model, data)
    if memory is not None:
        _check_labels(model, memory)
    accelerator = _accelerator(config)
    device, rank, processes = accelerator.device, accelerator.process_index, accelerator.num_processes
    size = half if memory is None else 2 * half
    if size % processes:
        raise ValueError(f"batch_size must be divided evenly by {processes} processes, got {size}.")
    data = data.to(device)
    memory = None if memory is None else memory.to(device)
    model.to(device)
    if old_model is not None:
        old_model.to(device).eval()
    own = slice(rank, None, processes)
    generator = torch.Generator().manual_seed(config.seed)
    steps_per_epoch = len(data) // half
    optimizer = _optimizer(model, config)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.epochs * steps_per_epoch)
    start, same = 0, {"config": asdict(config), "images": [len(data), 0 if memory is None else len(memory)]}
    if checkpoint is not None and checkpoint.exists():
        start = load_training(checkpoint, model, optimizer, schedule, generator, same)["epoch"]
    trained, stepper = accelerator.prepare(model, optimizer)

    for epoch in range(start, config.epochs):
        model.train()
        order = torch.randperm(len(data), generator=generator)
        replayed = None if memory is None else _in_turn(len(memory), steps_per_epoch * half, generator)
        total = torch.zeros((), device=device)
        meter = _Meter() if progress is not None else None
        for step in range(steps_per_epoch):
            rows = slice(step * half, (step + 1) * half)
            batch = data.subset(order[rows].to(device))
            if memory is not None and replayed is not None:
                batch = memory.subset(replayed[rows].to(device)).joined(batch)
            # augmented as a whole and then shared out, so that the images do not depend on the number of processes
            batch = Images(augment(batch.images, config.augmentation, generator), batch.labels).subset(own)
            images = batch.images
            features, logits = trained(images)
            old_features = None
            if old_model is not None:
                with torch.no_grad(), accelerator.autocast():
                    old_features = old_model.features(images).float()
            loss = objective(logits, batch.labels, features, old_features)
            stepper.zero_grad(set_to_none=True)
            accelerator.backward(loss)
            stepper.step()
            schedule.step()
            total += loss.detach()
            if meter is not None:
                meter.add(features.detach(), logits.detach(), batch.labels)
        if checkpoint is not None and accelerator.is_main_process:
            save_training(checkpoint, model, optimizer, schedule, generator, same | {"epoch": epoch + 1})
        if progress is not None and meter is not None:
            loss_of_all = float(accelerator.reduce(total, "mean")) / steps_per_epoch
            progress(epoch + 1, config.epochs, loss_of_all, *meter.read(model.directions))
    accelerator.unwrap_model(trained, keep_fp32_wrapper=False)
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


def embed(model: EmbeddingModel, data: Images, batch_size: int = 1024) -> Float[Tensor, "n dim"]:
    """Features of ``data`` on the CPU, not normalised; the model is put in evaluation mode."""
    model.eval()
    device = next(model.parameters()).device
    with torch.inference_mode():
        blocks = [model.features(block.to(device)).cpu() for block in data.images.split(batch_size)]
    return torch.cat(blocks).clone()


def extract_features(model: EmbeddingModel, data: Images, batch_size: int = 1024) -> NDArray[np.float32]:
    """Features of ``data``, shape (N, d), float32, not normalised; the model is put in evaluation mode."""
    return embed(model, data, batch_size).numpy()


class _Meter:
    """Accuracy, drift and concentration of an epoch's training batches, in this process."""

    def __init__(self) -> None:
        self.hits: Tensor | float = 0.0
        self.sums: Tensor | float = 0.0
        self.counts: Tensor | float = 0.0

    def add(self, features: Tensor, logits: Tensor, targets: Tensor) -> None:
        own = F.one_hot(targets, logits.shape[1]).to(features.dtype)
        self.hits = self.hits + (logits.argmax(dim=1) == targets).sum()
        self.sums = self.sums + own.T @ F.normalize(features, dim=1)
        self.counts = self.counts + own.sum(dim=0)

    def read(self, directions: Tensor) -> tuple[float, float, float]:
        """Accuracy; mean angle of the class means to their classifier rows; mean resultant length of the classes."""
        assert isinstance(self.sums, Tensor)
        assert isinstance(self.counts, Tensor)
        seen = self.counts > 0
        means = self.sums[seen] / self.counts[seen, None]
        drift = float("nan")
        if means.shape[1] == directions.shape[1]:
            cosines = F.cosine_similarity(means, directions.detach()[seen])
            drift = float(cosines.clamp(-1.0, 1.0).arccos().mean())
        return float(self.hits / self.counts.sum()), drift, float(means.norm(dim=1).mean())


def _accelerator(config: TrainingConfig) -> Accelerator:
    device = resolve_device(config.device)
    if config.precision == "fp16" and device.type == "cpu":
        raise ValueError("precision must be 'no' or 'bf16' on a CPU, got 'fp16'.")
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState  # type: ignore[import-untyped]

    # accelerate keeps the first device and precision of a process for good; each training here states its own
    AcceleratorState._reset_state(reset_partial_state=True)
    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)
    return Accelerator(cpu=device.type == "cpu", mixed_precision=config.precision)


def _optimizer(model: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    trainable = [p for p in model.parameters() if p.requires_grad]
    if config.optimizer == "adamw":
        return torch.optim.AdamW(trainable, lr=config.learning_rate, weight_decay=config.weight_decay)
    groups: list[dict[str, Any]] = [
        {"params": [p for p in trainable if p.ndim < 2], "weight_decay": 0.0},
        {"params": [p for p in trainable if p.ndim >= 2], "weight_decay": config.weight_decay},
    ]
    return torch.optim.SGD(groups, lr=config.learning_rate, momentum=0.9)


def _in_turn(size: int, count: int, generator: torch.Generator) -> Tensor:
    """``count`` indices below ``size``: one random order after the other, so that none is drawn much more often."""
    orders = [torch.randperm(size, generator=generator) for _ in range(math.ceil(count / size))]
    return torch.cat(orders)[:count]


def _check_labels(model: EmbeddingModel, data: Images) -> None:
    model.eval()
    device = next(model.parameters()).device
    with torch.inference_mode():
        _, logits = model(data.images[:1].to(device))
    highest = int(data.labels.max())
    if highest >= logits.shape[1]:
        raise ValueError(f"labels must be below the classifier's {logits.shape[1]} classes, got {highest}.")

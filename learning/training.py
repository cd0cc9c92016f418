"""Training, in one loop: a model from scratch (:func:`fit`) or from the one before it (:func:`update`)."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
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
from learning.data import Data, augment, joined
from learning.models import EmbeddingModel
from learning.progress import EpochMeans, Progress
from learning.recipes import TrainingConfig, resolve_device

if TYPE_CHECKING:
    from accelerate import Accelerator  # type: ignore[import-untyped]

# logits, targets, new features, old features (None when there is no old model) → loss. An nn.Module is trained along
# with the model where it has parameters; one with a method ``begin(epoch, epochs)`` is told when an epoch begins
Objective = Callable[[Tensor, Tensor, Tensor, Any], Tensor]


def fit(
    model: EmbeddingModel,
    data: Data,
    config: TrainingConfig,
    objective: Objective,
    old_model: nn.Module | None = None,
    progress: Progress | None = None,
    *,
    memory: Data | None = None,
    checkpoint: Path | None = None,
    stage: str = "training",
) -> EmbeddingModel:
    """Train ``model`` in place on ``data`` and return it, in evaluation mode.

    When ``old_model`` is given it is frozen and its features of each batch go to the objective. The same arguments give
    the same weights on one machine. Under ``torchrun`` or ``accelerate launch`` each process takes its part of every
    batch; gradients are averaged, while batch normalisation and the negatives of a contrastive loss see only that part.

    Parameters
    ----------
    data : Images or Streamed
    objective : callable
        Function of logits, targets, new and old features. An ``nn.Module`` is trained along with the model where it has
        parameters of its own (in one process); its method ``begin(epoch, epochs)``, if it has one, is called before
        every epoch.
    old_model : Module, optional
        The old model, with a method ``features``.
    progress : Progress, optional
        Called after every epoch, with an :class:`~learning.progress.EpochMeans`.
    memory : Images or Streamed, optional
        Replayed images of earlier tasks: every batch is half of these and half of ``data``; see
        :attr:`TrainingConfig.batches`.
    checkpoint : Path, optional
        File to which the state is written after each epoch. A training found there is continued, and ends with the same
        weights, bit by bit on a CPU, as without the interruption.
    stage : str
        Name of this training for ``progress``.

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
    scale = data.scale
    background = scale.black if config.padding == "black" and scale is not None else None
    # replayed images first: rows of both are rows of one set
    everything = (data if memory is None else joined(memory, data)).to(device)
    replayed = 0 if memory is None else len(memory)
    model.to(device)
    if old_model is not None:
        old_model.to(device).eval()
    learner = nn.ModuleDict({"model": model})
    if isinstance(objective, nn.Module):
        if processes > 1 and any(p.requires_grad for p in objective.parameters()):
            raise ValueError("objective must have no parameters of its own with several processes: run it in one.")
        learner["objective"] = objective.to(device)
    own = slice(rank, None, processes)
    began = time.perf_counter()
    generator = torch.Generator().manual_seed(config.seed)
    steps_per_epoch = batches_per_epoch(len(data), replayed, config)
    optimizer = _optimizer(learner, config)
    schedule = _schedule(optimizer, config, steps_per_epoch)
    start, same = 0, {"config": asdict(config), "images": [len(data), replayed]}
    if checkpoint is not None and checkpoint.exists():
        found = load_training(checkpoint, learner, optimizer, schedule, generator, same, config.epochs)
        start, began = found["epoch"], began - found["seconds"]
    trained, stepper = accelerator.prepare(model, optimizer)

    for epoch in range(start, config.epochs):
        if hasattr(objective, "begin"):
            objective.begin(epoch, config.epochs)
        model.train()
        total = torch.zeros((), device=device)
        meter = _Meter() if progress is not None else None
        rows = draw_batches(len(data), replayed, config, generator)
        for batch in everything.batches(rows):
            # augmented as a whole and then shared out, so that the images do not depend on the number of processes
            pixels = augment(batch.images.to(device), config.augmentation, generator, background)[own]
            labels = batch.labels.to(device)[own]
            features, logits = trained(pixels)
            old_features = None
            if old_model is not None:
                with torch.no_grad(), accelerator.autocast():
                    old_features = old_model.features(pixels).float()  # type: ignore[operator]
            loss = objective(logits, labels, features, old_features)
            stepper.zero_grad(set_to_none=True)
            accelerator.backward(loss)
            stepper.step()
            if config.schedule == "step":
                schedule.step()
            total += loss.detach()
            if meter is not None:
                meter.add(features.detach(), logits.detach(), labels)
        if config.schedule != "step":
            schedule.step()
        if not all(bool(p.isfinite().all()) for p in model.parameters()):
            raise ValueError(
                f"{stage}: the weights are no longer finite after epoch {epoch + 1}. Give a lower learning_rate, or "
                "look for images or a loss that are not finite."
            )
        if checkpoint is not None and accelerator.is_main_process:
            reached = {"epoch": epoch + 1, "seconds": time.perf_counter() - began}
            save_training(checkpoint, learner, optimizer, schedule, generator, same | reached)
        if progress is not None and meter is not None:
            loss_of_all = float(accelerator.reduce(total, "mean")) / steps_per_epoch
            means = EpochMeans(loss_of_all, *meter.read(model.directions))
            progress(stage, epoch + 1, config.epochs, means)
    accelerator.unwrap_model(trained, keep_fp32_wrapper=False)
    return model.eval()


def batches_per_epoch(new: int, replayed: int, config: TrainingConfig) -> int:
    """How many steps an epoch has, of so many new and replayed images."""
    if not replayed:
        return new // config.batch_size
    if config.batches == "drawn":
        return max(1, (new + replayed) // config.batch_size)
    return new // (config.batch_size // 2)


def draw_batches(new: int, replayed: int, config: TrainingConfig, generator: torch.Generator) -> Iterator[Tensor]:
    """Rows of each batch of an epoch; the replayed images are the rows 0 … replayed − 1, the new ones follow."""
    steps = batches_per_epoch(new, replayed, config)
    if not replayed:
        order = torch.randperm(new, generator=generator)
        for step in range(steps):
            yield order[step * config.batch_size : (step + 1) * config.batch_size]
        return
    half = config.batch_size // 2
    if config.batches == "drawn":
        for _ in range(steps):
            yield torch.cat([_drawn(replayed, half, generator), replayed + _drawn(new, half, generator)])
        return
    order = replayed + torch.randperm(new, generator=generator)
    turns = _in_turn(replayed, steps * half, generator)
    for step in range(steps):
        rows = slice(step * half, (step + 1) * half)
        yield torch.cat([turns[rows], order[rows]])


def update(
    old_model: EmbeddingModel,
    data: Data,
    config: TrainingConfig,
    objective: Objective,
    progress: Progress | None = None,
) -> EmbeddingModel:
    """Fine-tune a copy of ``old_model`` on ``data`` with the old model as reference; the old model is left as it is."""
    return fit(copy.deepcopy(old_model), data, config, objective, old_model=old_model, progress=progress)


def embed(model: EmbeddingModel, data: Data, batch_size: int = 1024) -> Float[Tensor, "n dim"]:
    """Features of ``data`` on the CPU, not normalised; the model is put in evaluation mode."""
    model.eval()
    device = next(model.parameters()).device
    with torch.inference_mode():
        rows = torch.split(torch.arange(len(data)), batch_size)
        blocks = [model.features(batch.images.to(device)).cpu() for batch in data.batches(rows)]
    return torch.cat(blocks).clone()


def extract_features(model: EmbeddingModel, data: Data, batch_size: int = 1024) -> NDArray[np.float32]:
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


def _optimizer(learner: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """AdamW or SGD; a learned shift of the features moves ten times as fast and is not pulled to zero."""
    named = [(name, p) for name, p in learner.named_parameters() if p.requires_grad]
    shifts = [p for name, p in named if name.endswith(".shift")]
    rest = [p for name, p in named if not name.endswith(".shift")]
    groups: list[dict[str, Any]] = [{"params": rest}]
    if config.optimizer == "sgd":
        groups = [
            {"params": [p for p in rest if p.ndim < 2], "weight_decay": 0.0},
            {"params": [p for p in rest if p.ndim >= 2]},
        ]
    if shifts:
        groups.append({"params": shifts, "lr": 10.0 * config.learning_rate, "weight_decay": 0.0})
    settings: dict[str, Any] = {"lr": config.learning_rate, "weight_decay": config.weight_decay}
    if config.optimizer == "adamw":
        return torch.optim.AdamW(groups, **settings)
    return torch.optim.SGD(groups, momentum=0.9, **settings)


def _schedule(
    optimizer: torch.optim.Optimizer, config: TrainingConfig, steps_per_epoch: int
) -> torch.optim.lr_scheduler.LRScheduler:
    if config.milestones:
        return torch.optim.lr_scheduler.MultiStepLR(optimizer, list(config.milestones), gamma=0.1)
    length = config.epochs * (steps_per_epoch if config.schedule == "step" else 1)
    return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, length, eta_min=config.final_rate)


def _drawn(size: int, count: int, generator: torch.Generator) -> Tensor:
    """``count`` different indices below ``size``, or with repetition where there are not more than that."""
    if size <= count:
        return torch.randint(size, (count,), generator=generator)
    return torch.randperm(size, generator=generator)[:count]


def _in_turn(size: int, count: int, generator: torch.Generator) -> Tensor:
    """``count`` indices below ``size``: one random order after the other, so that none is drawn much more often."""
    orders = [torch.randperm(size, generator=generator) for _ in range(math.ceil(count / size))]
    return torch.cat(orders)[:count]


def _check_labels(model: EmbeddingModel, data: Data) -> None:
    model.eval()
    device = next(model.parameters()).device
    with torch.inference_mode():
        _, logits = model(torch.zeros(1, *data.shape, device=device))
    highest = int(data.labels.max())
    if highest >= logits.shape[1]:
        raise ValueError(f"labels must be below the classifier's {logits.shape[1]} classes, got {highest}.")

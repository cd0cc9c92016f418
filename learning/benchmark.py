"""What a training step costs: methods beside the cross-entropy, and the training loop beside a bare one.

HOC needs the old model's features of every batch; what is fair to compare it with is the cross-entropy *plus* that
forward pass. The first-moment loss needs K·d numbers instead. Contestants take turns in every round and the fastest
round of each counts, in CPU time of the process (wall time on a GPU): other processes only ever add to it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from learning.data import Images
from learning.losses import cross_entropy
from learning.methods import make_method
from learning.models import EmbeddingModel, ModelSpec
from learning.recipes import TrainingConfig, resolve_device
from learning.training import Objective, fit
from learning.updates import Update

if TYPE_CHECKING:
    from rich.console import RenderableType

REFERENCE = "cross-entropy + old forward"
METHODS = ("simplex", "bct", "hoc", "first-moment", "hoc+first-moment")


@dataclass(frozen=True)
class StepCost:
    """One training step of one method.

    Attributes
    ----------
    name : str
        A method, or the cross-entropy with a forward pass of the old model beside it.
    seconds : float
        In the fastest round.
    ratio : float
        To the cross-entropy with the old model's forward pass.
    kept : int
        Bytes that the objective keeps of the old model: its weights, or its class means.
    """

    name: str
    seconds: float
    ratio: float
    kept: int


@dataclass(frozen=True)
class Throughput:
    """Images a second through :func:`~learning.training.fit` and through a bare loop of the same steps."""

    backbone: str
    images_per_second: float
    bare: float

    @property
    def ratio(self) -> float:
        """1 if the loop costs nothing."""
        return self.images_per_second / self.bare


def step_costs(
    backbone: str = "small-cnn", size: int = 28, num_classes: int = 10, batch_size: int = 64, rounds: int = 15
) -> list[StepCost]:
    """Cost of a training step, forward pass to optimizer, by method.

    Parameters
    ----------
    backbone : str
    size : int
        Height and width of the images, in pixels.
    num_classes : int
        K; features have K − 1 dimensions.
    batch_size, rounds : int

    Raises
    ------
    ValueError
        For an unknown backbone.
    """
    device = resolve_device()
    channels = 3 if size == 32 else 1
    data = _noise(max(batch_size, num_classes), num_classes, channels, size).to(device)
    steps: dict[str, Callable[[], None]] = {}
    kept = {}
    for name in (REFERENCE, *METHODS):
        method = make_method("simplex" if name == REFERENCE else name)
        spec = ModelSpec(
            num_classes, backbone, "simplex" if method.fixed_classifier else "learned", in_channels=channels
        )
        new, old = (spec.build(seed).to(device) for seed in (0, 1))
        old.eval().requires_grad_(False)
        update = Update(new, old, data, torch.ones(num_classes, dtype=torch.bool, device=device))
        needs_old = method.old_features or name == REFERENCE
        steps[name] = _step(new, old if needs_old else None, data.subset(slice(batch_size)), method.objective(update))
        old_bytes = sum(p.numel() * p.element_size() for p in old.parameters())
        kept[name] = old_bytes if needs_old else 0
        if name == "first-moment":
            kept[name] = update.old_means.numel() * update.old_means.element_size()
        if name == "bct":
            kept[name] = sum(p.numel() * p.element_size() for p in old.classifier.parameters())
    seconds = _fastest(steps, rounds)
    return [StepCost(name, s, s / seconds[REFERENCE], kept[name]) for name, s in seconds.items()]


def throughput(
    backbone: str = "resnet18", size: int = 32, batch_size: int = 32, batches: int = 4, rounds: int = 3
) -> Throughput:
    """Images a second of one epoch of :func:`~learning.training.fit` and of a loop of the same steps with nothing else.

    Raises
    ------
    ValueError
        For an unknown backbone.
    """
    device = resolve_device()
    data = _noise(batch_size * batches, 10, 3, size).to(device)
    config = TrainingConfig(epochs=1, batch_size=batch_size, optimizer="sgd", learning_rate=1e-3)
    model = ModelSpec(10, backbone, in_channels=3).build().to(device)

    def bare() -> None:
        model.train()
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, weight_decay=1e-2)
        for rows in torch.split(torch.randperm(len(data)), batch_size):
            images, targets = data.images[rows], data.labels[rows]
            loss = F.cross_entropy(model(images)[1], targets)
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            optimizer.step()

    contestants = {"fit": lambda: fit(model, data, config, cross_entropy), "bare": bare}
    seconds = _fastest(contestants, rounds)
    return Throughput(backbone, len(data) / seconds["fit"], len(data) / seconds["bare"])


def render(costs: list[StepCost], speed: Throughput) -> RenderableType:
    """The costs as a table for a terminal."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for header in ("step with", "ms", "ratio", "kept of the old model"):
        table.add_column(header, justify="left" if header == "step with" else "right")
    for row in costs:
        table.add_row(row.name, f"{1e3 * row.seconds:.2f}", f"{row.ratio:.3f}", f"{row.kept:,} bytes")
    line = (
        f"{speed.backbone}: {speed.images_per_second:.1f} images/s in the training loop, {speed.bare:.1f} in a bare "
        f"one, ratio {speed.ratio:.3f}."
    )
    return Group(table, Text(line))


def _noise(count: int, num_classes: int, channels: int, size: int) -> Images:
    """Images of noise, all classes in turn."""
    images = torch.randn(count, channels, size, size, generator=torch.Generator().manual_seed(0))
    return Images(images, torch.arange(count) % num_classes)


def _step(model: EmbeddingModel, old: EmbeddingModel | None, batch: Images, objective: Objective) -> Callable[[], None]:
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)
    model.train()

    def step() -> None:
        features, logits = model(batch.images)
        old_features = None
        if old is not None:
            with torch.no_grad():
                old_features = old.features(batch.images)
        loss = objective(logits, batch.labels, features, old_features)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimizer.step()

    return step


def _fastest(contestants: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Seconds of the fastest round of each, after one that does not count."""
    seconds = dict.fromkeys(contestants, float("inf"))
    on_gpu = torch.cuda.is_available()
    clock = time.perf_counter if on_gpu else time.process_time
    for turn in range(rounds + 1):
        for name, run in contestants.items():
            began = clock()
            run()
            if on_gpu:
                torch.cuda.synchronize()
            if turn:
                seconds[name] = min(seconds[name], clock() - began)
    return seconds

"""Lifelong scenarios: CL²R, where classes come task by task, and IAM-CL²R, where models are also replaced."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from jaxtyping import Int
from torch import Tensor

from learning.backbones import OwnBackbone, check_backbone
from learning.datasets import Split, load_data
from learning.protocol import Scenario, Step, classes_of, no_rows
from learning.scenarios import ExtendedClasses, ExtendedData


@dataclass(frozen=True)
class CL2R(Scenario):
    """Compatible lifelong learning: classes arrive task by task, and a few images of each are kept and replayed.

    Every batch of an update is half new images, half replayed ones.

    Attributes
    ----------
    tasks : int
        Number of models T ≥ 2, including the first.
    first_classes : int
        Classes of the first task. The other tasks share the rest, which T − 1 must divide; 0 for an equal share of all
        classes and those that are left over.
    memory_per_class : int
        Images of each earlier class that are replayed, or all of a class that has no more.
    images_per_class : int
        Training images of each class, 0 for all.
    open_classes : int
        Number of classes that no model is trained on, and on which the representation is tested too: the last ones in
        an order drawn from ``seed``.
    evaluate_on : str or None
        Another data set, whose test images replace those of this one, normalised as the training images are. Its
        classes are open: no model is trained on them.
    evaluate_folder : str or None
        Folder of its files; ``folder`` if not given.

    References
    ----------
    Biondi et al., *CL²R: compatible lifelong learning representations*, 2023.
    """

    tasks: int = 5
    first_classes: int = 0
    memory_per_class: int = 20
    images_per_class: int = 0
    open_classes: int = 0
    evaluate_on: str | None = None
    evaluate_folder: str | None = None

    def load(self) -> Split:
        """The training images, and the held-out ones of ``evaluate_on`` where that is given."""
        train, test = super().load()
        if self.evaluate_on is None:
            return Split(train, test)
        other = load_data(self.evaluate_on, self.evaluate_folder or self.folder, self.seed).test
        if other.shape != train.shape:
            raise ValueError(
                f"evaluate_on must have images of shape {train.shape} like {self.data_name}, "
                f"got {self.evaluate_on} with {other.shape}."
            )
        # its labels begin where those of the training data end, so that they name other classes
        labels = other.labels + train.num_classes
        names = (*train.names, *other.names) if train.names and other.names else ()
        other = other.relabelled(labels, names).normalised_as(train.scale)
        return Split(train, other.subset(slice(self.held_out or None)))

    def steps(self, labels: Int[Tensor, " n"]) -> list[Step]:
        """One model per task."""
        tasks = self._task_classes(labels)
        steps: list[Step] = []
        memory: list[Tensor] = []
        for task, classes in enumerate(tasks):
            images = [self._of_class(labels, c) for c in classes.tolist()]
            start: Literal["previous", "scratch"] = "previous" if task else "scratch"
            steps.append(Step(torch.cat(images), self.backbone, start, torch.cat(memory) if memory else no_rows()))
            memory += [rows[: self.memory_per_class] for rows in images]
        return steps

    def reserved(self) -> int:
        """Number of classes that belong to no task."""
        return self.open_classes

    def _task_classes(self, labels: Tensor) -> list[Tensor]:
        classes = classes_of(labels)
        count, later = len(classes) - self.reserved(), self.tasks - 1
        if later < 1:
            raise ValueError(f"tasks must be >= 2, got {self.tasks}.")
        if count < 2:
            raise ValueError(
                f"at least 2 of the {len(classes)} classes must be left to train on, "
                f"but {self.reserved()} are set apart as open or trained elsewhere."
            )
        if self.tasks > count:
            raise ValueError(f"tasks must be <= {count}, the classes that are trained on, got {self.tasks}.")
        order = classes[self.order(len(classes), 1)][:count]
        first = self.first_classes or count - later * (count // self.tasks)
        fitting = range(count - later * ((count - 1) // later), count, later)
        if first not in fitting:
            raise ValueError(
                f"first_classes must leave the {later} later tasks equal shares of {count} classes, so it must be one "
                f"of {', '.join(map(str, fitting))}, got {first}."
            )
        return [order[:first], *torch.split(order[first:], (count - first) // later)]

    def _of_class(self, labels: Tensor, label: int) -> Tensor:
        rows = (labels == label).nonzero()[:, 0]
        rows = rows[self.order(len(rows), 2 + label)]
        if self.images_per_class > len(rows):
            raise ValueError(
                f"images_per_class must be <= {len(rows)}, those of class {label}, got {self.images_per_class}."
            )
        return rows[: self.images_per_class or len(rows)]


@dataclass(frozen=True)
class IAMCL2R(CL2R):
    """CL²R in which, at given tasks, an improved model that was trained elsewhere takes the place of the current one.

    The improved models are trained on ``elsewhere_classes`` classes that are in no task, each replacement on more of
    them than the one before; with a fixed classifier these have vertices of their own. A replaced model is fine-tuned
    on the task like any other.

    Attributes
    ----------
    replace_at : tuple of int
        Tasks, from 0, that begin with an improved model.
    backbones : tuple of str, Module or callable
        Architecture of each improved model; ``backbone`` for all if empty.
    elsewhere_classes : int
        ≥ 2; not used with checkpoints.
    checkpoints : tuple of str
        Files of the improved models, one for each of ``replace_at``, as :func:`~learning.models.save_model` writes
        them, of the scenario's embedding: in the paper's released code, networks that were trained on ImageNet32. Task
        0 may begin with one: it is then trained with the method against it.
    reference : {"improved", "previous"}
        Which model an update at a replacement is held to: the improved one itself, as in the released code, or the
        model of the task before, whose gallery is searched.

    References
    ----------
    The paper's improved asynchronous model compatible lifelong learning representations.
    """

    replace_at: tuple[int, ...] = (2,)
    backbones: tuple[str | OwnBackbone, ...] = ()
    elsewhere_classes: int = 4
    checkpoints: tuple[str, ...] = ()
    reference: Literal["improved", "previous"] = "improved"

    def __post_init__(self) -> None:
        super().__post_init__()
        if (
            not self.replace_at
            or any(not 0 <= task < self.tasks for task in self.replace_at)
            or list(self.replace_at) != sorted(set(self.replace_at))
        ):
            raise ValueError(f"replace_at must name tasks from 0 to {self.tasks - 1} in order, got {self.replace_at}.")
        if self.backbones and len(self.backbones) != len(self.replace_at):
            raise ValueError(
                f"backbones must name one for each of {len(self.replace_at)} replacements, got {self.backbones}."
            )
        for backbone in self.backbones:
            check_backbone(backbone, "backbones")
        if self.checkpoints and len(self.checkpoints) != len(self.replace_at):
            raise ValueError(
                f"checkpoints must name a file for each of {len(self.replace_at)} replacements, "
                f"got {len(self.checkpoints)}."
            )
        if self.reference not in ("improved", "previous"):
            raise ValueError(f"reference must be 'improved' or 'previous', got {self.reference!r}.")
        if not self.checkpoints and self.elsewhere_classes < max(2, len(self.replace_at)):
            raise ValueError(
                f"elsewhere_classes must be >= {max(2, len(self.replace_at))}, got {self.elsewhere_classes}."
            )

    def reserved(self) -> int:
        """Number of open classes and classes of the improved models."""
        return self.open_classes + (0 if self.checkpoints else self.elsewhere_classes)

    def steps(self, labels: Int[Tensor, " n"]) -> list[Step]:
        """One model a task; at a replacement it starts elsewhere, and keeps that architecture."""
        steps = super().steps(labels)
        classes = classes_of(labels)
        order = classes[self.order(len(classes), 1)]
        last = len(classes) - self.open_classes
        elsewhere = order[last - self.elsewhere_classes : last]  # not used with checkpoints
        for number, task in enumerate(self.replace_at, start=1):
            backbone = self.backbones[number - 1] if self.backbones else self.backbone
            held_to: Literal["previous", "start"] = "start" if self.reference == "improved" or not task else "previous"
            changed = replace(steps[task], backbone=backbone, held_to=held_to)
            if self.checkpoints:
                steps[task] = replace(changed, start="checkpoint", checkpoint=self.checkpoints[number - 1])
            else:
                # never one class alone: a model of it would learn nothing
                share = elsewhere[: max(2, self.elsewhere_classes * number // len(self.replace_at))]
                rows = torch.isin(labels, share).nonzero()[:, 0]
                steps[task] = replace(changed, start="elsewhere", elsewhere=rows)
            for later in range(task + 1, len(steps)):
                steps[later] = replace(steps[later], backbone=backbone)
        return steps


@dataclass(frozen=True)
class CoReS(Scenario):
    """Models on more and more classes, each trained from scratch on all images of the classes so far.

    Attributes
    ----------
    tasks : int
        Number of models T ≥ 2, with equal shares of the classes.

    References
    ----------
    Biondi et al., *CoReS: compatible representations via stationarity*, 2023.
    """

    tasks: int = 5

    def steps(self, labels: Int[Tensor, " n"]) -> list[Step]:
        """One model per task, none of which starts from another."""
        classes = classes_of(labels)
        if self.tasks < 2 or len(classes) % self.tasks:
            raise ValueError(f"tasks must be >= 2 and divide the {len(classes)} classes, got {self.tasks}.")
        order = classes[self.order(len(classes), 1)]
        share = len(classes) // self.tasks
        rows = [torch.isin(labels, order[: (task + 1) * share]).nonzero()[:, 0] for task in range(self.tasks)]
        return [Step(images, self.backbone, "scratch") for images in rows]


# the paper's network and data: 300 images per class, 1024 preallocated classes, no bias, the first layer of 224×224
# images; tested on CIFAR-10 (configs and src/iamcl2r/params.py of its released code)
_RELEASED: dict[str, Any] = {
    "data": "cifar100",
    "backbone": "resnet18-7x7",
    "preallocated": 1024,
    "normalize_embedding": False,
    "embedding_bias": False,
    "first_classes": 10,
    "images_per_class": 300,
    "evaluate_on": "cifar10",
}
# 31 tasks: the same with 3 classes per task
PROTOCOLS: dict[str, Scenario] = {
    "extended-data": ExtendedData(),
    "extended-classes": ExtendedClasses(),
    "cl2r": CL2R(),
    "iam-cl2r": IAMCL2R(tasks=3, elsewhere_classes=4),
    "cl2r-cifar100-7": CL2R(**_RELEASED, tasks=7),
    "cl2r-cifar100-31": CL2R(**_RELEASED, tasks=31),
    "iam-cl2r-cifar100r-7": IAMCL2R(**_RELEASED, tasks=7, replace_at=(0, 2, 4), checkpoints=("", "", "")),
    "iam-cl2r-cifar100r-31": IAMCL2R(**_RELEASED, tasks=31, replace_at=(0, 10, 20), checkpoints=("", "", "")),
    # the protocols of earlier papers: 20 classes a task (config.yml of CL²R's code, which tests on CIFAR-10 in its own
    # normalisation); fifths of the classes, from scratch each time
    "cl2r-released": CL2R(
        data="cifar100",
        backbone="resnet32",
        normalize_embedding=False,
        embedding_bias=False,
        tasks=5,
        evaluate_on="cifar10",
    ),
    "cores-released": CoReS(data="cifar100", backbone="senet18", normalize_embedding=False, embedding_bias=False),
}

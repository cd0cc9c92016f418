"""One update, on more data of the same classes or on more classes: the paper's first two experiments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Int
from torch import Tensor

from learning.backbones import OwnBackbone, check_backbone
from learning.data import Data, load_digits
from learning.datasets import Split
from learning.protocol import Scenario, Step, classes_of


@dataclass(frozen=True)
class ExtendedData(Scenario):
    """One update on more data of the same classes: digits, an old model from 600 images, new ones from 1200.

    Attributes
    ----------
    old_images, new_images : int
        How many images the old and the new models are trained on; the old ones are among the new ones.
    num_classes : int
        Number of classes K ≥ 2: only the classes 0 … K−1 are used.
    from_scratch : bool
        The new model starts from new weights, not from the old model.
    new_classifier : {"", "learned"}
        "learned": the new model has a learned classifier, whatever the method; it then starts from scratch.
    new_backbone : str, Module or callable
        Architecture of the new model, "" for the same; another one starts from scratch.
    new_dim : int
        Feature dimension of the new model, 0 for the same; in another one it starts from scratch and gets a linear
        head to the old dimension, through which all its features go.
    wrong_labels : float
        Share, in [0, 1), of the training images whose label is replaced by another class, drawn from ``seed``.
    imbalance : float
        ≥ 1: of the training images of class c the share imbalance^(−c/(K−1)) is left, after ``new_images`` are chosen.
    """

    old_images: int = 600
    new_images: int = 1200
    num_classes: int = 10
    from_scratch: bool = False
    new_classifier: Literal["", "learned"] = ""
    new_backbone: str | OwnBackbone = ""
    new_dim: int = 0
    wrong_labels: float = 0.0
    imbalance: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.new_backbone:
            check_backbone(self.new_backbone, "new_backbone")
        if self.new_classifier not in ("", "learned"):
            raise ValueError(f"new_classifier must be '' or 'learned', got {self.new_classifier!r}.")
        if (self.new_backbone or self.new_dim or self.new_classifier) and not self.from_scratch:
            raise ValueError(
                "from_scratch must be True for a new model of another architecture, dimension or classifier."
            )
        if not 0.0 <= self.wrong_labels < 1.0:
            raise ValueError(f"wrong_labels must be in [0, 1), got {self.wrong_labels!r}.")
        if not 1.0 <= self.imbalance < float("inf"):
            raise ValueError(f"imbalance must be a finite number >= 1, got {self.imbalance!r}.")

    def load(self) -> Split:
        """The first ``new_images`` images and the rest; of other data than the digits, the data's own test set."""
        if self.data == "digits":
            if not 2 <= self.num_classes <= 10:
                raise ValueError(f"num_classes must be in [2, 10], there are ten digits, got {self.num_classes}.")
            digits: Data = load_digits(self.seed)
            digits = digits.subset(digits.labels < self.num_classes)
            self._check_images(len(digits))
            test = digits.subset(slice(self.new_images, None)).subset(slice(self.held_out or None))
            return Split(self._spoilt(digits.subset(slice(self.new_images))), test)
        train, test = super().load()
        train = train.subset(self.order(len(train), 0))
        train, test = (part.subset(part.labels < self.num_classes) for part in (train, test))
        self._check_images(len(train) + 1)
        return Split(self._spoilt(train.subset(slice(self.new_images))), test)

    def steps(self, labels: Int[Tensor, " n"]) -> list[Step]:
        """The old model, and the new one that starts from it."""
        if self.old_images > len(labels):
            raise ValueError(f"old_images must be <= {len(labels)}, the images that are left, got {self.old_images}.")
        rows = torch.arange(len(labels))
        return [
            Step(rows[: self.old_images], self.backbone, "scratch"),
            Step(
                rows,
                self.new_backbone or self.backbone,
                "scratch" if self.from_scratch else "previous",
                dim=self.new_dim,
                learned_classifier=bool(self.new_classifier),
            ),
        ]

    def _spoilt(self, images: Data) -> Data:
        """Fewer images of the later classes, and some wrong labels, where that is asked for."""
        if self.imbalance > 1.0:
            position = torch.zeros_like(images.labels)
            for label in range(self.num_classes):
                rows = images.labels == label
                position[rows] = torch.arange(int(rows.sum()))
            sizes = images.labels.bincount(minlength=self.num_classes)
            shares = self.imbalance ** (-torch.arange(self.num_classes) / (self.num_classes - 1))
            images = images.subset(position < (sizes * shares)[images.labels])
        if self.wrong_labels:
            wrong = self.order(len(images), 1)[: round(self.wrong_labels * len(images))]
            labels = images.labels.clone()
            shift = 1 + self.order(len(images), 2)[: len(wrong)] % (self.num_classes - 1)
            labels[wrong] = (labels[wrong] + shift) % self.num_classes
            images = images.relabelled(labels, images.names)
        return images

    def _check_images(self, bound: int) -> None:
        if not 0 < self.old_images <= self.new_images < bound:
            raise ValueError(
                f"old_images and new_images must satisfy 0 < old_images <= new_images < {bound}, "
                f"got {self.old_images} and {self.new_images}."
            )


@dataclass(frozen=True)
class ExtendedClasses(Scenario):
    """One update on more classes: the old model sees the first ``old_classes``, the new one all of them.

    Attributes
    ----------
    old_classes : int
        Number of classes of the old model, in an order drawn from ``seed``.
    old_images, new_images : int
        How many images there are: the new model is trained on ``new_images``, the old one on those of its classes among
        the first ``old_images`` of them; 0 for all.
    """

    old_classes: int = 5
    old_images: int = 0
    new_images: int = 0

    def load(self) -> Split:
        """The training images, ``new_images`` of them in an order drawn from ``seed``, and the held-out ones."""
        train, test = super().load()
        if self.new_images > len(train):
            raise ValueError(f"new_images must be <= {len(train)}, those of {self.data_name}, got {self.new_images}.")
        if self.new_images:
            train = train.subset(self.order(len(train), 0)[: self.new_images])
        return Split(train, test)

    def steps(self, labels: Int[Tensor, " n"]) -> list[Step]:
        """The old model on images of the old classes, and the new one, from it, on all."""
        classes = classes_of(labels)[self.order(len(classes_of(labels)), 1)]
        if not 0 < self.old_classes < len(classes):
            raise ValueError(f"old_classes must be in [1, {len(classes) - 1}], got {self.old_classes}.")
        if self.old_images > len(labels):
            raise ValueError(f"old_images must be <= {len(labels)}, the images of the update, got {self.old_images}.")
        old = torch.isin(labels[: self.old_images or None], classes[: self.old_classes]).nonzero()[:, 0]
        return [Step(old, self.backbone, "scratch"), Step(torch.arange(len(labels)), self.backbone)]

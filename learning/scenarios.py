"""One update: on more data of the same classes, or on more classes (paper, the two updates of its first experiments).

:func:`train_extended_data` is the short way that the verification of Theorem 1 takes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray
from torch import Tensor

from learning.backbones import BACKBONES
from learning.data import Images, load_digits
from learning.datasets import Split
from learning.losses import HOCLoss, cross_entropy
from learning.models import EmbeddingModel
from learning.protocol import Scenario, Step, classes_of
from learning.recipes import TrainingConfig
from learning.training import extract_features, fit, update

# what is being trained, epochs done, epochs in all, mean loss
StageProgress = Callable[[str, int, int, float], None]


@dataclass(frozen=True)
class ExtendedData(Scenario):
    """One update on more data of the same classes: digits, an old model from 600 images, new ones from 1200.

    Attributes
    ----------
    old_images, new_images : int
        How many images the old and the new models are trained on; the old ones are among the new ones.
    num_classes : int
        K ≥ 2: the classes 0 … K−1 alone.
    epochs : int
        Of every training in :func:`train_extended_data`.
    device : str
        "auto" or a torch device, for :func:`train_extended_data`.
    from_scratch : bool
        The new model starts from new weights, not from the old model.
    new_backbone : str
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
    epochs: int = 25
    num_classes: int = 10
    device: str = "auto"
    from_scratch: bool = False
    new_backbone: str = ""
    new_dim: int = 0
    wrong_labels: float = 0.0
    imbalance: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.new_backbone and self.new_backbone not in BACKBONES:
            raise ValueError(f"new_backbone must be one of {', '.join(BACKBONES)}, got {self.new_backbone!r}.")
        if (self.new_backbone or self.new_dim) and not self.from_scratch:
            raise ValueError("from_scratch must be True for a new model of another architecture or dimension.")
        if not 0.0 <= self.wrong_labels < 1.0:
            raise ValueError(f"wrong_labels must be in [0, 1), got {self.wrong_labels!r}.")
        if not 1.0 <= self.imbalance < float("inf"):
            raise ValueError(f"imbalance must be a finite number >= 1, got {self.imbalance!r}.")

    def load(self) -> Split:
        """The first ``new_images`` images and the rest; of other data than the digits, the data's own test set."""
        if self.data == "digits":
            if not 2 <= self.num_classes <= 10:
                raise ValueError(f"num_classes must be in [2, 10], there are ten digits, got {self.num_classes}.")
            digits = load_digits(self.seed)
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
            ),
        ]

    def _spoilt(self, images: Images) -> Images:
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
            images = Images(images.images, labels)
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
        Of the classes in an order drawn from ``seed``.
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
            raise ValueError(f"new_images must be <= {len(train)}, those of {self.data}, got {self.new_images}.")
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
UPDATES = ("fine-tuned CE", "fine-tuned HOC", "retrained, fixed classifier", LEARNED_CLASSIFIER)


def train_extended_data(
    scenario: ExtendedData, methods: tuple[str, ...] = UPDATES, progress: StageProgress | None = None
) -> TrainedModels:
    """Train the old model and the named new ones; return their features on the held-out images.

    Raises
    ------
    ValueError
        Before training starts, for an unknown method or a split that leaves nothing to test on.
    """
    unknown = [name for name in methods if name not in UPDATES]
    if unknown:
        raise ValueError(f"methods must be among {', '.join(map(repr, UPDATES))}, got {unknown[0]!r}.")
    data, held_out = scenario.load()
    old_data = data.subset(slice(scenario.old_images))

    scratch = TrainingConfig(epochs=scenario.epochs, seed=scenario.seed, device=scenario.device)
    gentle = replace(scratch, learning_rate=5e-4)

    def stage(name: str) -> Callable[..., None] | None:
        return None if progress is None else lambda *epoch: progress(name, *epoch[:3])

    old_model = fit(
        scenario.spec(data).build(scenario.seed),
        old_data,
        scratch,
        cross_entropy,
        progress=stage("old model"),
    )

    def train(name: str) -> EmbeddingModel:
        if name == "fine-tuned CE":
            return update(old_model, data, gentle, cross_entropy, stage(name))
        if name == "fine-tuned HOC":
            return update(old_model, data, gentle, HOCLoss(), stage(name))
        # another seed than the old model's: the two share the data, the vertices and nothing else
        other = replace(scratch, seed=scenario.seed + 1000)
        model = scenario.spec(data, name != LEARNED_CLASSIFIER).build(other.seed)
        return fit(model, data, other, cross_entropy, progress=stage(name))

    return TrainedModels(
        labels=held_out.labels.numpy(),
        old=extract_features(old_model, held_out),
        new={name: extract_features(train(name), held_out) for name in methods},
    )

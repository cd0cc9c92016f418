"""Scenarios, as data: what each model of a sequence sees, what it starts from, and what all are tested on.

A scenario is a frozen dataclass that prints as the protocol. :func:`learning.runs.run_scenario` trains any of them with
any method; :func:`train_extended_data` is the short way that the verification of Theorem 1 takes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray
from torch import Tensor

from learning.backbones import BACKBONES
from learning.data import Images, load_digits
from learning.datasets import DATASETS, Split, load_data
from learning.losses import HOCLoss, cross_entropy
from learning.models import POLYTOPES, EmbeddingModel, ModelSpec
from learning.training import TrainingConfig, extract_features, fit, update

# what is being trained, epochs done, epochs in all, mean loss
StageProgress = Callable[[str, int, int, float], None]


def no_rows() -> Int[Tensor, " 0"]:
    """Return an empty choice of images."""
    return torch.empty(0, dtype=torch.int64)


@dataclass(frozen=True)
class Step:
    """One model of a sequence.

    Attributes
    ----------
    images : Tensor of int
        Training images that are new, as rows of the scenario's training set.
    backbone : str
    start : {"previous", "scratch", "elsewhere"}
        What the training starts from: the model before, new weights, or an improved model trained elsewhere.
    memory : Tensor of int
        Images of earlier steps that are replayed.
    elsewhere : Tensor of int
        What the improved model was trained on.
    held_to : {"previous", "start"}
        The old model of the update: the model before, or what the training starts from.
    """

    images: Int[Tensor, " n"]
    backbone: str
    start: Literal["previous", "scratch", "elsewhere"] = "previous"
    memory: Int[Tensor, " m"] = field(default_factory=no_rows)
    elsewhere: Int[Tensor, " e"] = field(default_factory=no_rows)
    held_to: Literal["previous", "start"] = "previous"


@dataclass(frozen=True)
class Scenario:
    """What all scenarios state.

    Attributes
    ----------
    seed : int
        Of the order of images and classes, the weights and the order of training.
    data : str
        A data set of :func:`learning.datasets.load_data`.
    folder : str or None
        Where its files are.
    backbone : str
        A name of :data:`learning.backbones.BACKBONES`.
    polytope : str
        "simplex", "orthoplex" or "cube": the fixed classifier of the methods that have one.
    preallocated : int or None
        Vertices of the fixed classifier; as many as classes if not given.
    normalize_embedding : bool
        False takes the batch normalisation off the embedding: class means then leave their vertices and the hypotheses
        of Theorem 1 fail on small data (see :class:`~learning.backbones.Backbone`).
    """

    seed: int = 0
    data: str = "digits"
    folder: str | None = None
    backbone: str = "small-cnn"
    polytope: str = "simplex"
    preallocated: int | None = None
    normalize_embedding: bool = True

    def __post_init__(self) -> None:
        for name, allowed in (("data", DATASETS), ("backbone", BACKBONES), ("polytope", POLYTOPES)):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {getattr(self, name)!r}.")
        for attribute in fields(self):
            value = getattr(self, attribute.name)
            if attribute.type == "int" and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
                raise ValueError(f"{attribute.name} must be an integer >= 0, got {value!r}.")

    def load(self) -> Split:
        """Training images, and the held-out ones that every model of the sequence is tested on."""
        return load_data(self.data, self.folder, self.seed)

    def steps(self, labels: Int[Tensor, " n"]) -> list[Step]:
        """What each model sees, of training images with these labels.

        Raises
        ------
        ValueError
            If the protocol does not fit the data.
        """
        raise NotImplementedError

    def spec(self, images: Images, fixed_classifier: bool, adapter: bool = False) -> ModelSpec:
        """Return the description of a model for these images.

        Raises
        ------
        ValueError
            If there are more classes than preallocated vertices.
        """
        num_classes = self.preallocated or images.num_classes
        if num_classes < images.num_classes:
            raise ValueError(
                f"preallocated must be >= {images.num_classes}, the classes of {self.data}, got {num_classes}."
            )
        return ModelSpec(
            num_classes,
            self.backbone,
            self.polytope if fixed_classifier else "learned",
            POLYTOPES[self.polytope](num_classes, None).dim,
            images.images.shape[1],
            self.normalize_embedding,
            adapter,
        )

    def order(self, size: int, salt: int) -> Int[Tensor, " size"]:
        """Return a random order of ``size`` things; another ``salt`` gives another."""
        return torch.randperm(size, generator=torch.Generator().manual_seed(7919 * self.seed + salt))


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
    fixed_classifier : bool
        False: in :func:`train_extended_data` every model has a learned classifier, and the verification has to fail.
    device : str
        "auto" or a torch device, for :func:`train_extended_data`.
    """

    old_images: int = 600
    new_images: int = 1200
    epochs: int = 25
    num_classes: int = 10
    fixed_classifier: bool = True
    device: str = "auto"

    def load(self) -> Split:
        """The first ``new_images`` images and the rest; of other data than the digits, the data's own test set."""
        if self.data == "digits":
            if not 2 <= self.num_classes <= 10:
                raise ValueError(f"num_classes must be in [2, 10], there are ten digits, got {self.num_classes}.")
            digits = load_digits(self.seed)
            digits = digits.subset(digits.labels < self.num_classes)
            self._check_images(len(digits))
            return Split(digits.subset(slice(self.new_images)), digits.subset(slice(self.new_images, None)))
        train, test = super().load()
        train = train.subset(self.order(len(train), 0))
        train, test = (part.subset(part.labels < self.num_classes) for part in (train, test))
        self._check_images(len(train) + 1)
        return Split(train.subset(slice(self.new_images)), test)

    def steps(self, labels: Int[Tensor, " n"]) -> list[Step]:
        """The old model, and the new one that starts from it."""
        rows = torch.arange(len(labels))
        return [Step(rows[: self.old_images], self.backbone, "scratch"), Step(rows, self.backbone)]

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
    """

    old_classes: int = 5

    def steps(self, labels: Int[Tensor, " n"]) -> list[Step]:
        """The old model on images of the old classes, and the new one, from it, on all."""
        classes = classes_of(labels)[self.order(len(classes_of(labels)), 1)]
        if not 0 < self.old_classes < len(classes):
            raise ValueError(f"old_classes must be in [1, {len(classes) - 1}], got {self.old_classes}.")
        old = torch.isin(labels, classes[: self.old_classes]).nonzero()[:, 0]
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
        scenario.spec(data, scenario.fixed_classifier).build(scenario.seed),
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
        fixed = scenario.fixed_classifier and name != LEARNED_CLASSIFIER
        return fit(scenario.spec(data, fixed).build(other.seed), data, other, cross_entropy, progress=stage(name))

    return TrainedModels(
        labels=held_out.labels.numpy(),
        old=extract_features(old_model, held_out),
        new={name: extract_features(train(name), held_out) for name in methods},
    )


def classes_of(labels: Int[Tensor, " n"]) -> Int[Tensor, " k"]:
    """Return the classes that occur, in order."""
    return labels.unique()

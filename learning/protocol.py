"""What a scenario is: a protocol as data, which says of each model of a sequence what it is trained on.

A scenario is a frozen dataclass that prints as the protocol. :func:`learning.runs.run_scenario` trains any of them with
any method.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Literal

import torch
from jaxtyping import Int
from torch import Tensor

from learning.backbones import BACKBONES
from learning.data import Images
from learning.datasets import DATASETS, Split, load_data
from learning.models import POLYTOPES, ModelSpec


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
        What the training starts from: the model before, new weights, or an improved model trained elsewhere. An update
        from new weights has the model before as its old model all the same.
    memory : Tensor of int
        Images of earlier steps that are replayed.
    elsewhere : Tensor of int
        What the improved model was trained on.
    held_to : {"previous", "start"}
        The old model of the update: the model before, or what the training starts from.
    dim : int
        Feature dimension; 0 for that of the scenario. In another one the model gets a linear head to the scenario's.
    """

    images: Int[Tensor, " n"]
    backbone: str
    start: Literal["previous", "scratch", "elsewhere"] = "previous"
    memory: Int[Tensor, " m"] = field(default_factory=no_rows)
    elsewhere: Int[Tensor, " e"] = field(default_factory=no_rows)
    held_to: Literal["previous", "start"] = "previous"
    dim: int = 0


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
    fixed_classifier : bool
        False: every model has a learned classifier, whatever the method; nothing is stationary then.
    held_out : int
        Images that the models are tested on, the first of the data's test set; 0 for all.
    """

    seed: int = 0
    data: str = "digits"
    folder: str | None = None
    backbone: str = "small-cnn"
    polytope: str = "simplex"
    preallocated: int | None = None
    normalize_embedding: bool = True
    fixed_classifier: bool = True
    held_out: int = 0

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
        train, test = load_data(self.data, self.folder, self.seed)
        return Split(train, test.subset(slice(self.held_out or None)))

    def steps(self, labels: Int[Tensor, " n"]) -> list[Step]:
        """What each model sees, of training images with these labels.

        Raises
        ------
        ValueError
            If the protocol does not fit the data.
        """
        raise NotImplementedError

    def spec(self, images: Images, fixed_classifier: bool = True, adapter: bool = False) -> ModelSpec:
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
            self.polytope if fixed_classifier and self.fixed_classifier else "learned",
            POLYTOPES[self.polytope](num_classes, None).dim,
            images.images.shape[1],
            self.normalize_embedding,
            adapter,
        )

    def order(self, size: int, salt: int) -> Int[Tensor, " size"]:
        """Return a random order of ``size`` things; another ``salt`` gives another."""
        return torch.randperm(size, generator=torch.Generator().manual_seed(7919 * self.seed + salt))


def classes_of(labels: Int[Tensor, " n"]) -> Int[Tensor, " k"]:
    """Return the classes that occur, in order."""
    return labels.unique()

"""What a scenario is: a protocol as data, which says of each model of a sequence what it is trained on.

A scenario is a frozen dataclass that prints as the protocol. :func:`learning.runs.run_scenario` trains any of them with
any method.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Literal

import torch
from jaxtyping import Int
from torch import Tensor

from learning.backbones import OwnBackbone, backbone_name, check_backbone, own_name
from learning.data import Data
from learning.datasets import DataSource, Split, check_data, load_data
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
    start : {"previous", "scratch", "elsewhere", "checkpoint"}
        What the training starts from: the model before, new weights, an improved model trained elsewhere, or one that
        was brought. An update from new weights still has the model before as its old model.
    memory : Tensor of int
        Images of earlier steps that are replayed.
    elsewhere : Tensor of int
        What the improved model was trained on.
    held_to : {"previous", "start"}
        The old model of the update: the model before, or what the training starts from.
    dim : int
        Feature dimension; 0 for that of the scenario. In another one the model gets a linear head to the scenario's.
    learned_classifier : bool
        Whether the model has a learned classifier where the method has a fixed one.
    checkpoint : str
        File of the model that was brought, as :func:`~learning.models.save_model` writes it.
    """

    images: Int[Tensor, " n"]
    backbone: str | OwnBackbone
    start: Literal["previous", "scratch", "elsewhere", "checkpoint"] = "previous"
    memory: Int[Tensor, " m"] = field(default_factory=no_rows)
    elsewhere: Int[Tensor, " e"] = field(default_factory=no_rows)
    held_to: Literal["previous", "start"] = "previous"
    dim: int = 0
    learned_classifier: bool = False
    checkpoint: str = ""


@dataclass(frozen=True)
class Scenario:
    """The settings that all scenarios share.

    Attributes
    ----------
    seed : int
        Seed of the order of images and classes, the weights and the order of training.
    data : str, or a pair of data sets
        A data set of :func:`learning.datasets.load_data`, or your own images, to train on and held out.
    folder : str or None
        Where its files are.
    image_size : int
        Side to which the images of a folder are resized and cropped; 0 for images as they are.
    backbone : str, Module or callable
        A name of :data:`learning.backbones.BACKBONES`, or a network of your own; see
        :func:`~learning.backbones.register_backbone`.
    polytope : str
        "simplex", "orthoplex" or "cube": the fixed classifier of the methods that have one.
    preallocated : int or None
        Vertices of the fixed classifier; as many as classes if not given.
    normalize_embedding : bool
        False removes the batch normalisation of the embedding: class means then leave their vertices, and the
        hypotheses of Theorem 1 fail on small data (see :class:`~learning.backbones.Backbone`).
    fixed_classifier : bool
        False: every model has a learned classifier, whatever the method; nothing is stationary then.
    embedding_bias : bool
        Whether the embedding has a bias; the paper's released code has none.
    held_out : int
        Images that the models are tested on, the first of the data's test set; 0 for all.
    """

    seed: int = 0
    data: DataSource = "digits"
    folder: str | None = None
    image_size: int = 0
    backbone: str | OwnBackbone = "small-cnn"
    polytope: str = "simplex"
    preallocated: int | None = None
    normalize_embedding: bool = True
    fixed_classifier: bool = True
    embedding_bias: bool = True
    held_out: int = 0

    def __post_init__(self) -> None:
        check_data(self.data)
        check_backbone(self.backbone)
        if self.polytope not in POLYTOPES:
            raise ValueError(f"polytope must be one of {', '.join(POLYTOPES)}, got {self.polytope!r}.")
        for attribute in fields(self):
            value = getattr(self, attribute.name)
            if attribute.type == "int" and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
                raise ValueError(f"{attribute.name} must be an integer >= 0, got {value!r}.")

    def load(self) -> Split:
        """Training images, and the held-out ones that every model of the sequence is tested on."""
        train, test = load_data(self.data, self.folder, self.seed, self.image_size)
        return Split(train, test.subset(slice(self.held_out or None)))

    def steps(self, labels: Int[Tensor, " n"]) -> list[Step]:
        """Return which training images each model sees, given their labels.

        Raises
        ------
        ValueError
            If the protocol does not fit the data.
        """
        raise NotImplementedError

    @property
    def data_name(self) -> str:
        """Name of the data in messages."""
        return self.data if isinstance(self.data, str) else "data of your own"

    def description(self) -> dict[str, Any]:
        """Return the protocol as plain values; objects are replaced by their names."""
        content: dict[str, Any] = {"scenario": type(self).__name__}
        for attribute in fields(self):
            value = getattr(self, attribute.name)
            if attribute.name == "data":
                value = self.data_name
            elif callable(value):
                value = own_name(value)
            elif isinstance(value, tuple):
                value = tuple(own_name(each) if callable(each) else each for each in value)
            content[attribute.name] = value
        return content

    def spec(self, images: Data, fixed_classifier: bool = True, adapter: str = "") -> ModelSpec:
        """Return the description of a model for these images.

        Raises
        ------
        ValueError
            If there are more classes than preallocated vertices.
        """
        num_classes = self.preallocated or images.num_classes
        if num_classes < images.num_classes:
            raise ValueError(
                f"preallocated must be >= {images.num_classes}, the classes of {self.data_name}, got {num_classes}."
            )
        return ModelSpec(
            num_classes,
            backbone_name(self.backbone, images.shape),
            self.polytope if fixed_classifier and self.fixed_classifier else "learned",
            POLYTOPES[self.polytope](num_classes, None).dim,
            images.shape[0],
            self.normalize_embedding,
            adapter,  # type: ignore[arg-type]
            bias=self.embedding_bias,
        )

    def order(self, size: int, salt: int) -> Int[Tensor, " size"]:
        """Return a random order of ``size`` items; another ``salt`` gives another order."""
        return torch.randperm(size, generator=torch.Generator().manual_seed(7919 * self.seed + salt))


def classes_of(labels: Int[Tensor, " n"]) -> Int[Tensor, " k"]:
    """Return the classes that occur, in order."""
    classes: Tensor = torch.unique(labels)
    return classes

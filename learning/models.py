"""A model: a backbone that gives features, a classifier that reads them, and how both are described and stored."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from learning.backbones import BACKBONES, check_backbone
from learning.checkpoints import check_weights, load_tensors, load_weights, save_tensors
from learning.classifier import CubeClassifier, FixedClassifier, OrthoplexClassifier, SimplexClassifier

POLYTOPES: dict[str, Callable[[int, int | None], FixedClassifier]] = {
    "simplex": SimplexClassifier,
    "orthoplex": OrthoplexClassifier,
    "cube": CubeClassifier,
}


class EmbeddingModel(nn.Module):
    """A backbone that returns features, and a classifier on top of them.

    Parameters
    ----------
    backbone : Module
        Images (B, C, H, W) → features (B, d).
    classifier : Module
        Features (B, d) → logits (B, K): a :class:`~learning.classifier.FixedClassifier`, or ``nn.Linear`` for a
        learned classifier.
    adapter : Module, optional
        Features (B, d) → features (B, d') that are stored and searched, if these are not the classifier's input.
    """

    def __init__(self, backbone: nn.Module, classifier: nn.Module, adapter: nn.Module | None = None) -> None:
        super().__init__()
        self.backbone = backbone
        self.classifier = classifier
        self.adapter = nn.Identity() if adapter is None else adapter

    def forward(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> tuple[Float[Tensor, "batch dim"], Float[Tensor, "batch classes"]]:
        """Images → (features, logits)."""
        features = self.backbone(images)
        return self.adapter(features), self.classifier(features)

    def features(self, images: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch dim"]:
        """Return the features of images only."""
        features: Tensor = self.adapter(self.backbone(images))
        return features

    @property
    def directions(self) -> Float[Tensor, "classes dim"]:
        """The classifier's weight vector of each class."""
        weight = self.classifier.weight
        assert isinstance(weight, Tensor)
        return weight


class Orthogonal(nn.Linear):
    """A rotation or reflection of the features, learned with the model, which feels it; it begins as the identity."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim, dim, bias=False)
        nn.init.zeros_(self.weight)

    def forward(self, features: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch dim"]:
        """Features (B, d) → features (B, d) of the same lengths and angles."""
        skew = torch.triu(self.weight, diagonal=1)
        rotated: Tensor = features @ torch.linalg.matrix_exp(skew - skew.T).T
        return rotated


class Adapter(nn.Linear):
    """A linear map that begins as the identity and leaves the features that it reads as they are: no gradient back."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim, dim, bias=False)
        nn.init.eye_(self.weight)

    def forward(self, features: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch dim"]:
        """Features (B, d) → features (B, d)."""
        return super().forward(features.detach())


@dataclass(frozen=True)
class ModelSpec:
    """Everything that is needed to build a model, as plain values that are stored with its weights.

    Attributes
    ----------
    num_classes : int
        K ≥ 2, preallocated classes included.
    backbone : str
        A name of :data:`learning.backbones.BACKBONES`.
    classifier : str
        "simplex", "orthoplex", "cube" (fixed), or "learned".
    dim : int or None
        Feature dimension d; the smallest that the polytope needs if not given, K−1 for a learned classifier.
    in_channels : int
    normalize_embedding : bool
        See :class:`learning.backbones.Backbone`.
    adapter : {"", "linear", "orthogonal"}
        Whether a linear map through which the model is not trained takes features to the searched space, or an
        orthogonal one through which it is.
    head : int
        Dimension of the searched space if it is another one, which a linear head maps to; 0 for none.
    bias : bool
        Whether the embedding has a bias.
    embedding : bool
        False: the features are what the trunk gives, ``dim`` follows from it and a learned classifier has no bias.
    shift : bool
        Whether a learned vector is added to the features after the batch normalisation.

    Raises
    ------
    ValueError
        For an unknown name.
    """

    num_classes: int
    backbone: str = "small-cnn"
    classifier: str = "simplex"
    dim: int | None = None
    in_channels: int = 1
    normalize_embedding: bool = True
    adapter: Literal["", "linear", "orthogonal"] = ""
    head: int = 0
    bias: bool = True
    embedding: bool = True
    shift: bool = False

    def __post_init__(self) -> None:
        kinds = (*POLYTOPES, "learned")
        check_backbone(self.backbone)
        if self.classifier not in kinds:
            raise ValueError(f"classifier must be one of {', '.join(kinds)}, got {self.classifier!r}.")
        if self.adapter not in ("", "linear", "orthogonal"):
            raise ValueError(f"adapter must be '', 'linear' or 'orthogonal', got {self.adapter!r}.")
        if not self.embedding and self.classifier != "learned":
            raise ValueError("embedding must be True with a fixed classifier, whose dimension the trunk does not have.")
        if self.adapter and self.head:
            raise ValueError(f"adapter must be '' beside a head to dimension {self.head}: both lead to one space.")

    def build(self, seed: int = 0) -> EmbeddingModel:
        """Return the model with weights drawn from ``seed``; the global generator is left as it is.

        Raises
        ------
        ValueError
            If the dimension is too small for the polytope.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            polytope = None
            if self.classifier != "learned":
                polytope = POLYTOPES[self.classifier](self.num_classes, self.dim)
            dim = polytope.dim if polytope is not None else self.dim or self.num_classes - 1
            backbone = BACKBONES[self.backbone](dim, self.in_channels, self.normalize_embedding)
            if not self.embedding:
                dim = backbone.width
                backbone.embedding, backbone.norm = nn.Identity(), nn.Identity()
            elif not self.bias:
                assert isinstance(backbone.embedding, nn.Linear)
                backbone.embedding.register_parameter("bias", None)
            if self.shift:
                backbone.add_shift(dim)
            classifier = nn.Linear(dim, self.num_classes, bias=self.embedding) if polytope is None else polytope
            adapter: nn.Module | None = nn.Linear(dim, self.head, bias=False) if self.head else None
            if self.adapter:
                adapter = Adapter(dim) if self.adapter == "linear" else Orthogonal(dim)
            # a third less time for the convolutions of a CPU, and what tensor cores want
            model = EmbeddingModel(backbone, classifier, adapter)
            nn.Module.to(model, memory_format=torch.channels_last)  # type: ignore[call-overload]
            return model


def save_model(path: str | os.PathLike[str], model: EmbeddingModel, spec: ModelSpec, *, seconds: float = 0.0) -> None:
    """Write weights and description to one .safetensors file, which appears whole or not at all.

    Parameters
    ----------
    seconds : float
        Duration of the training, kept with the description.

    Raises
    ------
    ValueError
        If the model is not the one that ``spec`` describes: it could not be loaded again.
    """
    check_weights(str(path), spec.build(), model.state_dict())
    save_tensors(path, model.state_dict(), {"spec": asdict(spec), "seconds": seconds})


def load_model(
    path: str | os.PathLike[str], spec: ModelSpec | None = None, *, into: EmbeddingModel | None = None
) -> EmbeddingModel:
    """Rebuild the model that :func:`save_model` wrote, in evaluation mode on the CPU.

    Parameters
    ----------
    spec : ModelSpec, optional
        Description that the model has to match.
    into : EmbeddingModel, optional
        A model of the same layers to put the weights into, which is returned: the way for a backbone of your own that
        is not registered. Names, shapes and kinds of number have to agree.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If it is truncated, not a model of this package, or not the one that ``spec`` asks for.
    """
    tensors, description = load_tensors(path)
    if "spec" not in description:
        raise ValueError(f"{path}: holds a training that was not finished, not a model.")
    if into is not None:
        load_weights(path, into, tensors)
        return into.eval()
    try:
        found = ModelSpec(**description["spec"])
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{path}: cannot be rebuilt from its description ({error}). Build the model and give it: "
            "load_model(path, into=model)."
        ) from None
    if spec is not None and found != spec:
        raise ValueError(f"{Path(path)}: must hold {spec}, got {found}.")
    model = found.build()
    load_weights(path, model, tensors)
    return model.eval()

"""A model: a backbone that gives features, a classifier that reads them, and how both are described and stored."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from learning.backbones import BACKBONES
from learning.checkpoints import load_tensors, load_weights, save_tensors
from learning.classifier import CubeClassifier, FixedClassifier, OrthoplexClassifier, SimplexClassifier

POLYTOPES: dict[str, Callable[[int, int | None], FixedClassifier]] = {
    "simplex": SimplexClassifier,
    "orthoplex": OrthoplexClassifier,
    "cube": CubeClassifier,
}


class EmbeddingModel(nn.Module):
    """A backbone that gives features and a classifier that reads them.

    Parameters
    ----------
    backbone : Module
        Images (B, C, H, W) → features (B, d).
    classifier : Module
        Features (B, d) → logits (B, K): a :class:`~learning.classifier.FixedClassifier`, or ``nn.Linear`` for a
        classifier that is learned.
    adapter : Module, optional
        Features (B, d) → features (B, d') that are stored and searched, where these are not what the classifier reads.
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
        """Images → features alone."""
        return self.adapter(self.backbone(images))

    @property
    def directions(self) -> Float[Tensor, "classes dim"]:
        """The classifier's row of each class."""
        weight = self.classifier.weight
        assert isinstance(weight, Tensor)
        return weight


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
    """All that it takes to build a model: plain values, stored with its weights.

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
    adapter : bool
        Whether features reach the space that is searched through a linear map that the model does not feel.
    head : int
        Dimension of the space that is searched where it is another one: a linear head leads there; 0 for none.

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
    adapter: bool = False
    head: int = 0

    def __post_init__(self) -> None:
        kinds = (*POLYTOPES, "learned")
        for name, value, allowed in (("backbone", self.backbone, BACKBONES), ("classifier", self.classifier, kinds)):
            if value not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {value!r}.")
        if self.adapter and self.head:
            raise ValueError(f"adapter must be False beside a head to dimension {self.head}: both lead to one space.")

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
            classifier = nn.Linear(dim, self.num_classes) if polytope is None else polytope
            adapter = Adapter(dim) if self.adapter else nn.Linear(dim, self.head, bias=False) if self.head else None
            # a third less time for the convolutions of a CPU, and what tensor cores want
            return EmbeddingModel(backbone, classifier, adapter).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def save_model(path: str | os.PathLike[str], model: EmbeddingModel, spec: ModelSpec) -> None:
    """Write weights and description to one .safetensors file, which appears whole or not at all."""
    save_tensors(path, model.state_dict(), {"spec": asdict(spec)})


def load_model(path: str | os.PathLike[str], spec: ModelSpec | None = None) -> EmbeddingModel:
    """Rebuild the model that :func:`save_model` wrote, in evaluation mode on the CPU.

    Parameters
    ----------
    spec : ModelSpec, optional
        What the model has to be.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is truncated, not a model of this package, or not the one that ``spec`` asks for.
    """
    tensors, description = load_tensors(path)
    if "spec" not in description:
        raise ValueError(f"{path}: holds a training that was not finished, not a model.")
    found = ModelSpec(**description["spec"])
    if spec is not None and found != spec:
        raise ValueError(f"{Path(path)}: must hold {spec}, got {found}.")
    model = found.build()
    load_weights(path, model, tensors)
    return model.eval()

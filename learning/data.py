"""Images to train on. Digits ships with scikit-learn, so nothing is downloaded."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Images:
    """Labelled images in memory.

    Attributes
    ----------
    images : Tensor, shape (N, C, H, W), float32
        Roughly zero mean, unit variance.
    labels : Tensor, shape (N,), int64
        Classes 0 … K−1.
    """

    images: Float[Tensor, "n channels height width"]
    labels: Int[Tensor, " n"]

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, index: Tensor | slice) -> Images:
        """Return the images at ``index``."""
        return Images(self.images[index], self.labels[index])

    def to(self, device: torch.device) -> Images:
        """Return the same images on ``device``."""
        return Images(self.images.to(device), self.labels.to(device))


def load_digits(seed: int = 0) -> Images:
    """The 1797 handwritten digits (8×8, 10 classes) that ship with scikit-learn, in an order drawn from ``seed``.

    References
    ----------
    Alpaydin & Kaynak, *Optical Recognition of Handwritten Digits*, UCI Machine Learning Repository, 1998.
    """
    from sklearn.datasets import load_digits as sklearn_digits

    digits = sklearn_digits()
    order = torch.randperm(len(digits.target), generator=torch.Generator().manual_seed(seed))
    images = torch.from_numpy(digits.images).float()[:, None]
    images = (images - images.mean()) / images.std()
    return Images(images[order], torch.from_numpy(digits.target).long()[order])

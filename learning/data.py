"""Images in memory, the digits that are embedded, and augmentation in batches on the device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

Augmentation = Literal["none", "crop", "crop-flip"]
_AUGMENTATIONS = ("none", "crop", "crop-flip")
_PADDING = 4


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

    @property
    def num_classes(self) -> int:
        """K: one more than the largest label."""
        return int(self.labels.max()) + 1

    def subset(self, index: Tensor | slice) -> Images:
        """Return the images at ``index``."""
        return Images(self.images[index], self.labels[index])

    def joined(self, other: Images) -> Images:
        """Return these images followed by ``other``."""
        return Images(torch.cat([self.images, other.images]), torch.cat([self.labels, other.labels]))

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


def check_augmentation(kind: str) -> None:
    """Raise ValueError for an unknown augmentation."""
    if kind not in _AUGMENTATIONS:
        raise ValueError(f"augmentation must be one of {', '.join(_AUGMENTATIONS)}, got {kind!r}.")


def augment(
    images: Float[Tensor, "n channels height width"], kind: Augmentation, generator: torch.Generator
) -> Float[Tensor, "n channels height width"]:
    """Augment a batch where it is: "crop" shifts each image by up to 4 pixels, "crop-flip" also mirrors half of them.

    What a shift uncovers is the background 0, the mean of the data. The draws come from the CPU ``generator``, so that
    they are the same on every device.
    """
    if kind == "none":
        return images
    size, _, height, width = images.shape
    shifts = torch.randint(2 * _PADDING + 1, (2, size), generator=generator)
    columns = torch.arange(width).repeat(size, 1)
    if kind == "crop-flip":
        mirrored = torch.rand(size, generator=generator) < 0.5
        columns = torch.where(mirrored[:, None], columns.flip(1), columns)
    rows = (torch.arange(height) + shifts[0, :, None]).to(images.device)
    columns = (columns + shifts[1, :, None]).to(images.device)
    padded = F.pad(images, (_PADDING,) * 4)
    index = torch.arange(size, device=images.device)[:, None, None]
    # one gather for the batch; advanced indices around the channels put these last
    return padded[index, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()

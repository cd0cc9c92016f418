"""Labelled images, in memory or streamed from a data set; the digits; augmentation in batches on the device."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from theory.extras import require

Augmentation = Literal["none", "crop", "crop-flip"]
Padding = Literal["mean", "black"]
_AUGMENTATIONS = ("none", "crop", "crop-flip")
_PADDING = 4


@dataclass(frozen=True)
class Normalization:
    """What was done to the values of pixels: (value − mean) / deviation, channel by channel.

    Attributes
    ----------
    mean, deviation : tuple of float, length C
        In the units of the pixels; deviations > 0.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @property
    def black(self) -> tuple[float, ...]:
        """What a pixel of value 0 is after it."""
        return tuple(-mean / deviation for mean, deviation in zip(self.mean, self.deviation, strict=True))


@dataclass(frozen=True)
class Images:
    """Labelled images in memory.

    Attributes
    ----------
    images : Tensor, shape (N, C, H, W), float32
        Roughly zero mean, unit variance.
    labels : Tensor, shape (N,), int64
        Classes 0 … K−1.
    scale : Normalization or None
        How the values were computed from pixels, if that is known.
    names : tuple of str
        Names of the classes, if they have any.
    """

    images: Float[Tensor, "n channels height width"]
    labels: Int[Tensor, " n"]
    scale: Normalization | None = None
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def shape(self) -> tuple[int, ...]:
        """(C, H, W) of an image."""
        return tuple(self.images.shape[1:])

    @property
    def num_classes(self) -> int:
        """K: one more than the largest label, and no fewer than there are names."""
        return max(int(self.labels.max()) + 1, len(self.names))

    def subset(self, index: Tensor | slice) -> Images:
        """Return the images at ``index``."""
        return replace(self, images=self.images[index], labels=self.labels[index])

    def joined(self, other: Images) -> Images:
        """Return these images followed by ``other``."""
        images, labels = torch.cat([self.images, other.images]), torch.cat([self.labels, other.labels])
        return replace(self, images=images, labels=labels)

    def relabelled(self, labels: Int[Tensor, " n"], names: tuple[str, ...] = ()) -> Images:
        """Return the same images with other labels."""
        return replace(self, labels=labels, names=names)

    def to(self, device: torch.device) -> Images:
        """Return the same images on ``device``."""
        return replace(self, images=self.images.to(device), labels=self.labels.to(device))

    def batches(self, rows: Iterable[Tensor]) -> Iterator[Images]:
        """Yield the images at each of the given indices."""
        for index in rows:
            yield self.subset(index.to(self.labels.device))

    def normalised_as(self, scale: Normalization | None) -> Images:
        """Return the images with another normalisation, as the input of a model that was trained with ``scale``.

        Raises
        ------
        ValueError
            If one of the two normalisations is not known, or the numbers of channels differ.
        """
        if self.scale is None or scale is None or len(scale.mean) != len(self.scale.mean):
            raise ValueError("images can be normalised as others only where both normalisations are known and alike.")
        mean, deviation = (torch.tensor(v, device=self.images.device)[:, None, None] for v in self._affine(scale))
        return replace(self, images=self.images * deviation + mean, scale=scale)

    def _affine(self, scale: Normalization) -> tuple[list[float], list[float]]:
        assert self.scale is not None
        pairs = list(zip(self.scale.mean, self.scale.deviation, scale.mean, scale.deviation, strict=True))
        return [(mean - other) / size for mean, _, other, size in pairs], [own / size for _, own, _, size in pairs]

    def digest(self) -> str:
        """SHA-256 of labels and pixels."""
        digest = hashlib.sha256(self.labels.cpu().numpy().tobytes())
        digest.update(self.images.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()


class Streamed:
    """Labelled images that are read when they are needed: any :class:`torch.utils.data.Dataset` of (image, label).

    It has the methods of :class:`Images`; batches go through a DataLoader.

    Parameters
    ----------
    dataset : Dataset
        Items are (float tensor of shape (C, H, W), integer label), all of one shape.
    workers : int
        Number of reading processes, 0 for none.
    rows : Tensor of int, optional
        Which items; all if not given.
    labels : Tensor of int, optional
        Labels of these rows; read from ``dataset.targets`` if it exists, else item by item.
    names : sequence of str, optional
        Names of the classes; those of ``dataset.classes``, if there are any.

    Raises
    ------
    ValueError
        If an item is not a tensor of three dimensions with an integer label, or there are no items.
    """

    scale: Normalization | None = None

    def __init__(
        self,
        dataset: Any,
        workers: int = 0,
        *,
        rows: Tensor | None = None,
        labels: Tensor | None = None,
        names: Sequence[str] | None = None,
    ) -> None:
        self.dataset, self.workers = dataset, workers
        self.rows = torch.arange(len(dataset)) if rows is None else rows
        if not len(dataset):
            raise ValueError("a data set must hold at least one item, got none.")
        if labels is None:
            targets = getattr(dataset, "targets", None)
            targets = [dataset[i][1] for i in range(len(dataset))] if targets is None else targets
            labels = _classes(targets)[self.rows]
        self.labels = labels
        self.names = tuple(getattr(dataset, "classes", ()) if names is None else names)
        image = dataset[0][0]
        if not isinstance(image, Tensor) or image.ndim != 3 or not image.is_floating_point():
            what = (
                f"a tensor of {image.dtype}, shape {tuple(image.shape)}" if isinstance(image, Tensor) else type(image)
            )
            raise ValueError(
                f"items of a data set must be (float tensor of shape (C, H, W), label), got {what}. "
                "Give the data set a transform."
            )
        self.shape = tuple(image.shape)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def num_classes(self) -> int:
        """K: one more than the largest label, and no fewer than there are names."""
        return max(int(self.labels.max()) + 1, len(self.names))

    def subset(self, index: Tensor | slice) -> Streamed:
        """Return the images at ``index``; nothing is read."""
        return self._with(self.rows[index], self.labels[index])

    def joined(self, other: Streamed) -> Streamed:
        """Return these images followed by ``other``, of the same data set."""
        if other.dataset is not self.dataset:
            raise ValueError("only images of one data set can be joined.")
        return self._with(torch.cat([self.rows, other.rows]), torch.cat([self.labels, other.labels]))

    def relabelled(self, labels: Int[Tensor, " n"], names: tuple[str, ...] = ()) -> Streamed:
        """Return the same images with other labels."""
        return self._with(self.rows, labels, names)

    def to(self, device: torch.device) -> Streamed:
        """Return the same images: they go to a device batch by batch."""
        return self

    def batches(self, rows: Iterable[Tensor]) -> Iterator[Images]:
        """Read the images at each of the given indices."""
        wanted = [index.cpu() for index in rows]
        reader = torch.utils.data.DataLoader(
            self.dataset,
            batch_sampler=[self.rows[index].tolist() for index in wanted],
            num_workers=self.workers,
            collate_fn=_pixels,
        )
        for index, images in zip(wanted, reader, strict=True):
            yield Images(images, self.labels[index])

    def normalised_as(self, scale: Normalization | None) -> Streamed:
        """Refuse: the data set has a transform of its own."""
        raise ValueError("images that are streamed are normalised by the transform of their data set.")

    def digest(self) -> str:
        """SHA-256 of labels and of up to 64 images, evenly spaced: not all are read."""
        digest = hashlib.sha256(self.labels.numpy().tobytes())
        for place in torch.linspace(0, len(self) - 1, min(64, len(self))).long().tolist():
            digest.update(self.dataset[int(self.rows[place])][0].contiguous().numpy().tobytes())
        return digest.hexdigest()

    def _with(self, rows: Tensor, labels: Tensor, names: tuple[str, ...] | None = None) -> Streamed:
        made = copy.copy(self)  # the data set was checked when it was given
        made.rows, made.labels = rows, labels
        made.names = self.names if names is None else tuple(names)
        return made


Data = Images | Streamed


def _pixels(items: list[tuple[Tensor, Any]]) -> Tensor:
    shapes = {tuple(item[0].shape) for item in items}
    if len(shapes) > 1:
        raise ValueError(
            f"items of a data set must have one shape, got {' and '.join(map(str, sorted(shapes)))}. "
            "Resize and crop them in its transform."
        )
    return torch.stack([item[0] for item in items]).float()


def _classes(targets: Any) -> Tensor:
    """Labels as a tensor; anything but integers from 0 is refused, with the first that is none."""
    found = targets.tolist() if hasattr(targets, "tolist") else [t.item() if hasattr(t, "item") else t for t in targets]
    for label in found:
        if not isinstance(label, int) or label < 0:
            raise ValueError(
                f"labels of a data set must be integers >= 0, got {label!r}. Number the classes, and name them in its "
                "attribute classes."
            )
    return torch.tensor(found, dtype=torch.int64)


def joined(one: Data, other: Data) -> Data:
    """Return the images of ``one`` followed by those of ``other``; both are in memory, or both streamed."""
    if isinstance(one, Images) and isinstance(other, Images):
        return one.joined(other)
    assert isinstance(one, Streamed)
    assert isinstance(other, Streamed)
    return one.joined(other)


def load_digits(seed: int = 0) -> Images:
    """The 1797 handwritten digits (8×8, 10 classes) that ship with scikit-learn, in an order drawn from ``seed``.

    References
    ----------
    Alpaydin & Kaynak, *Optical Recognition of Handwritten Digits*, UCI Machine Learning Repository, 1998.
    """
    require("the data set of digits", "sklearn", extra="train")
    from sklearn.datasets import load_digits as sklearn_digits

    digits = sklearn_digits()
    order = torch.randperm(len(digits.target), generator=torch.Generator().manual_seed(seed))
    images = torch.from_numpy(digits.images).float()[:, None]
    scale = Normalization((float(images.mean()),), (float(images.std()),))
    images = (images - images.mean()) / images.std()
    return Images(images[order], torch.from_numpy(digits.target).long()[order], scale)


def check_augmentation(kind: str) -> None:
    """Raise ValueError for an unknown augmentation."""
    if kind not in _AUGMENTATIONS:
        raise ValueError(f"augmentation must be one of {', '.join(_AUGMENTATIONS)}, got {kind!r}.")


def augment(
    images: Float[Tensor, "n channels height width"],
    kind: Augmentation,
    generator: torch.Generator,
    background: Sequence[float] | None = None,
) -> Float[Tensor, "n channels height width"]:
    """Augment a batch on its device: "crop" shifts each image by up to 4 pixels, "crop-flip" also mirrors half of them.

    Uncovered pixels take the value ``background``, one per channel, or 0, the mean of the data. The draws come from the
    CPU ``generator``, so that they are the same on every device.
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
    if background is None:
        padded = F.pad(images, (_PADDING,) * 4)
    else:
        around = torch.tensor(background, device=images.device, dtype=images.dtype)[:, None, None]
        padded = around.expand(size, -1, height + 2 * _PADDING, width + 2 * _PADDING).clone()
        padded[:, :, _PADDING:-_PADDING, _PADDING:-_PADDING] = images
    index = torch.arange(size, device=images.device)[:, None, None]
    # one gather for the batch; advanced indices around the channels put these last
    return padded[index, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()

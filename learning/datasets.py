"""Data sets by name: digits, Fashion-MNIST, CIFAR-10 and -100 (binary, no pickles), a folder of class folders.

Everything is held in memory as float32. The checksums of downloads are those that the data sets' own pages state.
"""

from __future__ import annotations

import gzip
import math
import struct
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from learning.data import Images, load_digits

DEBIAN_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
_FASHION_URL = "https://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
_FASHION_FILES = {
    "train-images-idx3-ubyte.gz": "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "md5:25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte.gz": "md5:bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte.gz": "md5:bb300cfdad3c16e7a12a480ee83cd310",
}
_CIFAR_URL = "https://www.cs.toronto.edu/~kriz/"


class Split(NamedTuple):
    """Images to train on and images held out, normalised alike."""

    train: Images
    test: Images


def load_data(name: str, folder: str | Path | None = None, seed: int = 0) -> Split:
    """Load a data set by name.

    Parameters
    ----------
    name : str
        "digits" (1200 images to train on, 597 held out), "digit-pairs" (see :func:`pairs`), "fashion-mnist", the same
        at half the resolution "fashion-mnist-14", "cifar10", "cifar100" (their own test sets), or "folder": a folder of
        class folders (one in five held out).
    folder : path, optional
        Where the files are. Not given: the Debian package dataset-fashion-mnist if it is installed, else a download
        with a checksum (the extra package pooch). "folder" needs it.
    seed : int
        Of the order of the digits, and of the split of a folder.

    Raises
    ------
    ValueError
        For an unknown name, a missing folder, or a file that is truncated or not of its kind.
    FileNotFoundError
        If a file of the data set is not in the folder.
    """
    if name not in DATASETS:
        raise ValueError(f"data must be one of {', '.join(DATASETS)}, got {name!r}.")
    if folder is not None and not Path(folder).is_dir():
        raise ValueError(f"{folder}: must be a folder with the files of {name!r}; it is not there.")
    return DATASETS[name](None if folder is None else Path(folder), seed)


def _digits(folder: Path | None, seed: int) -> Split:
    data = load_digits(seed)
    return Split(data.subset(slice(1200)), data.subset(slice(1200, None)))


def pairs(digits: Images, size: int, seed: int) -> Images:
    """100 classes, the numbers 00 … 99: ``size`` pairs of ``digits`` side by side, drawn from ``seed``."""
    chosen = torch.randint(len(digits), (2, size), generator=torch.Generator().manual_seed(seed))
    images = torch.cat([digits.images[chosen[0]], digits.images[chosen[1]]], dim=3)
    return Images(images, 10 * digits.labels[chosen[0]] + digits.labels[chosen[1]])


def _digit_pairs(folder: Path | None, seed: int) -> Split:
    """The pairs that are held out are of digits that are held out."""
    train, test = _digits(folder, seed)
    return Split(pairs(train, 12_000, 2 * seed), pairs(test, 4_000, 2 * seed + 1))


def _fashion_mnist_14(folder: Path | None, seed: int) -> Split:
    train, test = _fashion_mnist(folder, seed)
    return Split(*(Images(F.avg_pool2d(part.images, 2), part.labels) for part in (train, test)))


def _fashion_mnist(folder: Path | None, seed: int) -> Split:
    if folder is None and DEBIAN_FASHION_MNIST.is_dir():
        folder = DEBIAN_FASHION_MNIST
    paths = []
    for file, checksum in _FASHION_FILES.items():
        paths.append(_download(_FASHION_URL + file, checksum) if folder is None else _there(folder / file))
    pixels, labels, test_pixels, test_labels = map(_read_idx, paths)
    pixels, test_pixels = pixels[..., None], test_pixels[..., None]
    return Split(_standardised(pixels, labels), _standardised(test_pixels, test_labels, like=pixels))


def _cifar(
    name: str, archive: str, checksum: str, files: tuple[list[str], list[str]], labels: int
) -> Callable[[Path | None, int], Split]:
    """A loader of CIFAR's binary version: records of ``labels`` bytes, the last of them the class, and 3072 pixels."""

    def read(paths: list[Path]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        records = np.concatenate([_records(path, labels + 3072) for path in paths])
        return records[:, labels:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), records[:, labels - 1]

    def load(folder: Path | None, seed: int) -> Split:
        if folder is None:
            folder = _extracted(_download(_CIFAR_URL + archive, checksum))
        inner = folder / name if (folder / name).is_dir() else folder
        (pixels, classes), (test_pixels, test_classes) = (read([_there(inner / f) for f in part]) for part in files)
        return Split(_standardised(pixels, classes), _standardised(test_pixels, test_classes, like=pixels))

    return load


def _folder(folder: Path | None, seed: int) -> Split:
    if folder is None:
        raise ValueError("folder must be given for data of your own: a folder of class folders.")
    classes = sorted(path for path in folder.iterdir() if path.is_dir())
    if len(classes) < 2:
        raise ValueError(f"{folder}: must hold at least two class folders, got {len(classes)}.")
    pixels, labels = [], []
    for label, path in enumerate(classes):
        files = sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
        if len(files) < 2:
            raise ValueError(
                f"{path}: must hold at least two images, one to train on and one held out, got {len(files)}."
            )
        for file in files:
            pixels.append(_read_image(file))
            if pixels[-1].shape != pixels[0].shape:
                first, this = pixels[0].shape, pixels[-1].shape
                raise ValueError(f"{file}: images must have one shape, that of the first is {first}, got {this}.")
            labels.append(label)
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(labels), generator=generator).numpy()
    array, classes_of = np.stack(pixels)[order], np.array(labels)[order]
    # one in five of each class, so that none is left without
    place = np.zeros(len(order), dtype=int)
    for label in range(len(classes)):
        place[classes_of == label] = np.arange(np.sum(classes_of == label))
    held = place % 5 == 0
    return Split(
        _standardised(array[~held], classes_of[~held]), _standardised(array[held], classes_of[held], like=array[~held])
    )


DATASETS: dict[str, Callable[[Path | None, int], Split]] = {
    "digits": _digits,
    "digit-pairs": _digit_pairs,
    "fashion-mnist": _fashion_mnist,
    "fashion-mnist-14": _fashion_mnist_14,
    "cifar10": _cifar(
        "cifar-10-batches-bin",
        "cifar-10-binary.tar.gz",
        "md5:c32a1d4ab5d03f1284b67883e8d87530",
        ([f"data_batch_{i}.bin" for i in range(1, 6)], ["test_batch.bin"]),
        labels=1,
    ),
    "cifar100": _cifar(
        "cifar-100-binary",
        "cifar-100-binary.tar.gz",
        "md5:03b5dce01913d631647c71ecec9e9cb8",
        (["train.bin"], ["test.bin"]),
        labels=2,
    ),
    "folder": _folder,
}


def _standardised(
    pixels: NDArray[np.uint8], labels: NDArray[np.integer], like: NDArray[np.uint8] | None = None
) -> Images:
    """Bytes (N, H, W, C) → images with the mean and deviation of each channel taken out, those of ``like`` if given."""
    reference = pixels if like is None else like
    # from the counts of the 256 values: exact, and nothing of the size of the data is made
    counts = np.stack([np.bincount(reference[..., c].ravel(), minlength=256) for c in range(pixels.shape[-1])])
    mean = counts @ np.arange(256) / counts.sum(axis=1)
    deviation = np.sqrt(np.maximum(counts @ np.arange(256) ** 2 / counts.sum(axis=1) - mean**2, 1.0))
    images = torch.tensor(pixels.transpose(0, 3, 1, 2), dtype=torch.float32)
    images -= torch.tensor(mean, dtype=torch.float32)[:, None, None]
    images /= torch.tensor(deviation, dtype=torch.float32)[:, None, None]
    return Images(images, torch.from_numpy(np.asarray(labels).astype(np.int64)))


def _read_idx(path: Path) -> NDArray[np.uint8]:
    """The array of bytes in a gzipped IDX file."""
    try:
        with gzip.open(path, "rb") as file:
            content = file.read()
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{path}: is not a whole gzip file ({error}).") from None
    if len(content) < 4 or content[:3] != b"\x00\x00\x08":
        raise ValueError(f"{path}: is not an IDX file of bytes.")
    dimensions = content[3]
    header = 4 + 4 * dimensions
    shape = struct.unpack(f">{dimensions}I", content[4:header].ljust(4 * dimensions, b"\0"))
    if len(content) != header + math.prod(shape):
        raise ValueError(f"{path}: must hold {math.prod(shape)} bytes after its header, got {len(content) - header}.")
    return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(shape)


def _records(path: Path, length: int) -> NDArray[np.uint8]:
    content = np.fromfile(path, dtype=np.uint8)
    if not len(content) or len(content) % length:
        raise ValueError(f"{path}: must be a whole number of records of {length} bytes, got {len(content)} bytes.")
    return content.reshape(-1, length)


def _read_image(path: Path) -> NDArray[np.uint8]:
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        raise ImportError("A folder of images needs Pillow: pip install pillow.") from None
    try:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB"))
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(f"{path}: is not a readable image ({error}).") from None
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _there(path: Path) -> Path:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file.")
    return path


def _download(url: str, checksum: str) -> Path:
    try:
        import pooch  # type: ignore[import-untyped]
    except ImportError:
        raise ImportError(f"Downloading {url} needs pooch: pip install pooch, or give the folder.") from None
    return Path(pooch.retrieve(url, checksum, path=pooch.os_cache("stationary"), fname=url.rsplit("/", 1)[-1]))


def _extracted(archive: Path) -> Path:
    folder = archive.with_suffix("").with_suffix("")
    if not folder.is_dir():
        temporary = folder.with_name(folder.name + ".part")
        with tarfile.open(archive) as content:
            content.extractall(temporary, filter="data")
        temporary.rename(folder)
    return folder

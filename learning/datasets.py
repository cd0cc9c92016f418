"""Data sets by name: digits, Fashion-MNIST, CIFAR-10 and -100 (binary, no pickles), a folder of class folders.

Everything is held in memory as float32. The checksums of downloads are those that the data sets' own pages state.
"""

from __future__ import annotations

import gzip
import math
import struct
import tarfile
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from learning.data import Data, Images, Normalization, Streamed, load_digits
from theory.extras import require
from theory.files import reading, regular

DEBIAN_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
_FASHION_URL = "https://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
_FASHION_FILES = {
    "train-images-idx3-ubyte.gz": "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "md5:25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte.gz": "md5:bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte.gz": "md5:bb300cfdad3c16e7a12a480ee83cd310",
}
# of an unpacked file of images, and pixels of an image: more would be taken for an attack on memory
_LARGEST_IDX = 2**30
_MOST_PIXELS = 10**8
_CIFAR_URL = "https://www.cs.toronto.edu/~kriz/"


class Split(NamedTuple):
    """Training and held-out images with the same normalisation."""

    train: Data
    test: Data


# a name, or images of your own: to train on and held out, in memory or as any torch data set
DataSource = str | Split | tuple[Any, Any]


def check_data(data: DataSource) -> None:
    """Raise ValueError unless ``data`` is a name that is known or a pair of data sets."""
    if isinstance(data, str):
        if data not in DATASETS:
            raise ValueError(f"data must be one of {', '.join(DATASETS)}, got {data!r}.")
    elif not isinstance(data, tuple) or len(data) != 2:
        raise ValueError(f"data must be a name or (train, held out), a pair of data sets, got {type(data).__name__}.")
    else:
        for part in data:
            readable = hasattr(part, "__len__") and hasattr(part, "__getitem__")
            if not readable and not isinstance(part, Images | Streamed):
                raise ValueError(
                    "data must be a pair of data sets with a length and items that are read by number, got "
                    f"{type(part).__name__}."
                )


def load_data(name: DataSource, folder: str | Path | None = None, seed: int = 0, size: int = 0) -> Split:
    """Load a data set.

    Parameters
    ----------
    name : str, or a pair of data sets
        (train, held out): :class:`~learning.data.Images`, :class:`~learning.data.Streamed`, or any
        :class:`torch.utils.data.Dataset` of (tensor of shape (C, H, W), label). Or a name: "digits" (1200 images to
        train on, 597 held out), "digit-pairs" (see :func:`pairs`), "fashion-mnist", the same at
        half the resolution "fashion-mnist-14", "cifar10", "cifar100" (their own test sets), "folder": a folder of class
        folders (one in five images held out), or of ``train`` and one of ``val``, ``valid``, ``test`` that hold class
        folders, or "features": vectors of an encoder in .npz (``features``, ``labels``), one file (one row in
        five held out) or ``train.npz`` and ``val.npz`` or ``test.npz`` in a folder.
    folder : path, optional
        Where the files are. Not given: the Debian package dataset-fashion-mnist if it is installed, else a download
        with a checksum (the extra package pooch). "folder" and "features" need it.
    seed : int
        Seed of the order of the digits, and of the split of a folder.
    size : int
        Size to which the shorter side of a folder's images is resized, and the longer one cropped about the middle;
        0 for images as they are, which then have to be of one shape.

    Raises
    ------
    ValueError
        For an unknown name, a missing folder, or a file that is truncated or not of its kind.
    FileNotFoundError
        If a file of the data set is not in the folder.
    """
    check_data(name)
    if not isinstance(name, str):
        return Split(*(part if isinstance(part, Images | Streamed) else Streamed(part) for part in name))
    if folder is not None and not (Path(folder).is_dir() or (name == "features" and Path(folder).is_file())):
        raise ValueError(f"{folder}: must be a folder with the files of {name!r}; it is not there.")
    if folder is not None and name in ("digits", "digit-pairs"):
        raise ValueError(
            f"folder must be left out with data {name!r}, which scikit-learn brings, got {str(folder)!r}. For images "
            "of your own, give data='folder' too (--data folder)."
        )
    if name == "folder":
        return _folder(None if folder is None else Path(folder), seed, size)
    if size:
        raise ValueError(f"image_size must be 0 for {name!r}, whose images have a size of their own, got {size}.")
    return DATASETS[name](None if folder is None else Path(folder), seed)


def _digits(folder: Path | None, seed: int) -> Split:
    data = load_digits(seed)
    return Split(data.subset(slice(1200)), data.subset(slice(1200, None)))


def pairs(digits: Images, size: int, seed: int) -> Images:
    """100 classes, the numbers 00 … 99: ``size`` pairs of ``digits`` side by side, drawn from ``seed``."""
    chosen = torch.randint(len(digits), (2, size), generator=torch.Generator().manual_seed(seed))
    images = torch.cat([digits.images[chosen[0]], digits.images[chosen[1]]], dim=3)
    return Images(images, 10 * digits.labels[chosen[0]] + digits.labels[chosen[1]], digits.scale)


def _digit_pairs(folder: Path | None, seed: int) -> Split:
    """The pairs that are held out are of digits that are held out."""
    digits = load_digits(seed)
    train, test = digits.subset(slice(1200)), digits.subset(slice(1200, None))
    return Split(pairs(train, 12_000, 2 * seed), pairs(test, 4_000, 2 * seed + 1))


def _fashion_mnist_14(folder: Path | None, seed: int) -> Split:
    train, test = _fashion_mnist(folder, seed)
    halves = []
    for part in (train, test):
        assert isinstance(part, Images)
        halves.append(replace(part, images=F.avg_pool2d(part.images, 2)))
    return Split(*halves)


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


def _folder(folder: Path | None, seed: int, size: int = 0) -> Split:
    if folder is None:
        raise ValueError("folder must be given for data of your own: a folder of class folders.")
    held_out = [folder / name for name in ("val", "valid", "test") if (folder / name).is_dir()]
    if (folder / "train").is_dir() and held_out:
        names = _class_names(folder / "train")
        train, labels = _read_classes(folder / "train", names, size, 1)
        unknown = sorted(set(_class_names(held_out[0], 1)) - set(names))
        if unknown:
            raise ValueError(f"{held_out[0] / unknown[0]}: must be a class of {folder / 'train'} too, which has none.")
        test, test_labels = _read_classes(held_out[0], names, size, 0)
        if not len(test):
            raise ValueError(f"{held_out[0]}: must hold images, got none.")
        if test.shape[1:] != train.shape[1:]:
            raise ValueError(
                f"{held_out[0]}: images must be like those of train, {train.shape[1:]}, got {test.shape[1:]}."
            )
    else:
        names = _class_names(folder)
        pixels, all_labels = _read_classes(folder, names, size, 2)
        held = _one_in_five(all_labels, seed)
        train, labels, test, test_labels = pixels[~held], all_labels[~held], pixels[held], all_labels[held]
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed)).numpy()
    train, labels = train[order], labels[order]
    return Split(_standardised(train, labels, names=names), _standardised(test, test_labels, like=train, names=names))


def _class_names(folder: Path, least: int = 2) -> tuple[str, ...]:
    names = tuple(sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")))
    if len(names) < least:
        raise ValueError(
            f"{folder}: must hold at least two class folders, got {len(names)}. Put the images of each class into a "
            "folder of its own, or such folders into train and val."
        )
    return names


def _read_classes(
    folder: Path, names: tuple[str, ...], size: int, least: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Pixels (N, H, W, C) and labels of all images of a folder of class folders, sorted by name."""
    pixels: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    for label, path in enumerate(folder / name for name in names):
        files = sorted(f for f in path.iterdir() if not f.name.startswith(".")) if path.is_dir() else []
        inner = next((file for file in files if file.is_dir()), None)
        if inner is not None:
            raise ValueError(
                f"{inner}: is a folder inside a class folder, and its images would be left out. Move them up "
                f"into {path}."
            )
        if len(files) < least:
            needed = "two images, one to train on and one held out" if least == 2 else "one image to train on"
            raise ValueError(
                f"{path}: must hold at least {needed}, got {len(files)}. Add images, or take the class away."
            )
        for file in files:
            pixels.append(_read_image(file, size))
            if pixels[-1].shape != pixels[0].shape:
                first, this = pixels[0].shape, pixels[-1].shape
                raise ValueError(
                    f"{file}: images must have one shape, that of the first is {first}, got {this}. "
                    "Give image_size to resize and crop them."
                )
            labels.append(label)
    return np.stack(pixels) if pixels else np.empty((0, 0, 0, 0), np.uint8), np.array(labels, dtype=np.int64)


def _one_in_five(labels: NDArray[np.int64], seed: int) -> NDArray[np.bool_]:
    """Which rows are held out: one in five of each class, so that none is left without."""
    held = np.zeros(len(labels), dtype=bool)
    rng = np.random.default_rng(seed)
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        held[rows[: -(-len(rows) // 5)]] = True
    return held


def _features(folder: Path | None, seed: int) -> Split:
    if folder is None:
        raise ValueError("folder must be given for features: an .npz file, or a folder with train.npz and val.npz.")
    if folder.is_file():
        values, labels = _read_features(folder)
        classes, counts = np.unique(labels, return_counts=True)
        if counts.min() < 2:
            raise ValueError(
                f"{folder}: each label needs two rows, one to train on and one held out, got one of "
                f"{classes[counts.argmin()].item()!r}. Add rows, or take the label away."
            )
        held = _one_in_five(np.unique(labels, return_inverse=True)[1], seed)
        parts = [(values[~held], labels[~held]), (values[held], labels[held])]
    else:
        held_out = [folder / name for name in ("val.npz", "valid.npz", "test.npz") if (folder / name).is_file()]
        parts = [
            _read_features(_there(path)) for path in (folder / "train.npz", *(held_out[:1] or [folder / "val.npz"]))
        ]
    (train, labels), (test, test_labels) = parts
    if train.shape[1] != test.shape[1]:
        raise ValueError(f"{folder}: features must have one dimension, got {train.shape[1]} and {test.shape[1]}.")
    names, codes = np.unique(labels, return_inverse=True)
    unknown = np.setdiff1d(test_labels, names)
    if len(unknown):
        raise ValueError(f"{folder}: held-out labels must be among those to train on, got {unknown[0].item()!r}.")
    mean, deviation = train.mean(axis=0), np.maximum(train.std(axis=0), 1e-6 * max(float(train.std()), 1e-30))
    scale = Normalization(tuple(mean.tolist()), tuple(deviation.tolist()))
    found = []
    for part, which in ((train, codes), (test, np.searchsorted(names, test_labels))):
        vectors = torch.from_numpy(((part - mean) / deviation).astype(np.float32))[:, :, None, None]
        found.append(Images(vectors, torch.from_numpy(which.astype(np.int64)), scale, tuple(map(str, names.tolist()))))
    return Split(*found)


def _read_features(path: Path) -> tuple[NDArray[np.float64], NDArray[Any]]:
    way_out = "It must be an .npz file with the arrays 'features' and 'labels'."
    with reading(path, way_out), np.load(regular(path), allow_pickle=False) as file:
        values, labels = file["features"].astype(np.float64), file["labels"]
    if values.ndim != 2 or labels.shape != values.shape[:1] or not len(values):
        raise ValueError(f"{path}: must hold features (N, D) and labels (N,), got {values.shape} and {labels.shape}.")
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
        raise ValueError(f"{path}: features must be finite, got NaN or infinity in row {row}. Take the row away.")
    return values, labels


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
    "features": _features,
}


def _standardised(
    pixels: NDArray[np.uint8],
    labels: NDArray[np.integer],
    like: NDArray[np.uint8] | None = None,
    names: tuple[str, ...] = (),
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
    scale = Normalization(tuple(mean.tolist()), tuple(deviation.tolist()))
    return Images(images, torch.from_numpy(np.asarray(labels).astype(np.int64)), scale, names)


def _read_idx(path: Path) -> NDArray[np.uint8]:
    """The array of bytes in a gzipped IDX file."""
    with reading(path, "It must be a whole gzip file."), gzip.open(regular(path), "rb") as file:
        content = file.read(_LARGEST_IDX + 1)
    if len(content) > _LARGEST_IDX:
        raise ValueError(f"{path}: holds more than {_LARGEST_IDX:,} bytes.")
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


def _read_image(path: Path, size: int) -> NDArray[np.uint8]:
    require("a folder of images", "PIL")
    from PIL import Image

    with reading(path, "It must be an image; mend it, or take it away."), warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # there is a limit of ours
        with Image.open(regular(path)) as image:
            if image.width * image.height > _MOST_PIXELS:
                raise ValueError(f"must have at most {_MOST_PIXELS:,} pixels, got {image.width} × {image.height}.")
            picture = image.convert("L" if image.mode in ("1", "L") and not size else "RGB")
            if size:
                ratio = size / min(picture.size)
                picture = picture.resize([max(size, round(ratio * side)) for side in picture.size])
                left, top = ((side - size) // 2 for side in picture.size)
                picture = picture.crop((left, top, left + size, top + size))
            pixels = np.asarray(picture)
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _there(path: Path) -> Path:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file.")
    return path


def _download(url: str, checksum: str) -> Path:
    require(f"downloading {url}", "pooch")
    import pooch  # type: ignore[import-untyped]

    return Path(pooch.retrieve(url, checksum, path=pooch.os_cache("stationary"), fname=url.rpartition("/")[2]))


def _extracted(archive: Path) -> Path:
    folder = archive.with_suffix("").with_suffix("")
    if not folder.is_dir():
        temporary = folder.with_name(folder.name + ".part")
        with tarfile.open(archive) as content:
            content.extractall(temporary, filter="data")
        temporary.rename(folder)
    return folder

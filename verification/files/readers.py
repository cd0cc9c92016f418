"""Readers of feature files: what a file holds is checked when it is opened, its rows when they are read.

Rows lie at an offset in ``.npy``, ``.safetensors`` and uncompressed ``.npz``; compressed ``.npz`` and
``.parquet`` are decoded from their beginning. Nothing is unpickled.
"""

from __future__ import annotations

import filecmp
import json
import math
import struct
import tokenize
import zipfile
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np
from numpy import ndarray

from verification.files.beside import ids_path, labels_path
from verification.files.parquet import read_parquet
from verification.files.shards import (
    BFLOAT16,
    Fill,
    Shape,
    Shard,
    array_shard,
    check_features,
    check_labels,
    check_names,
    complaints_of_zip,
    deflated_shard,
    flat_shard,
    usable_labels,
)

_SAFETENSORS: dict[str, np.dtype] = {
    "F16": np.dtype("<f2"),
    "BF16": BFLOAT16,
    "F32": np.dtype("<f4"),
    "F64": np.dtype("<f8"),
}
INDEXES = (".faiss", ".index")  # of FAISS; read, not written
_LABEL_KINDS = {"i": "signed integers", "u": "unsigned integers", "U": "strings"}


def open_shards(path: Path) -> list[Shard]:
    """Open one file, or a folder of shards of one kind in the order of their names.

    Raises
    ------
    FileNotFoundError
        If a file is not there.
    ValueError
        If something cannot be used; the message begins with the path of the file.
    """
    shards = [_open_file(file) for file in (_files_of(path) if path.is_dir() else [path])]
    first = shards[0]
    for shard in shards[1:]:
        for name, own, expected in (
            ("features of one dimension", shard.shape[1], first.shape[1]),
            ("features of one dtype", shard.dtype, first.dtype),
            # signed and unsigned together would become floats
            ("labels of one kind", *(_LABEL_KINDS[each.labels.dtype.kind] for each in (shard, first))),
        ):
            if own != expected:
                raise ValueError(f"{shard.path}: shards must have {name}, got {own}, but {expected} in {first.path}.")
    return shards


def _open_file(path: Path) -> Shard:
    reader = _read_index if path.suffix in INDEXES else READERS.get(path.suffix)
    if reader is None:
        allowed = ", ".join((*READERS, *INDEXES))
        raise ValueError(f"{path}: features must be in one of {allowed}, got suffix {path.suffix!r}.")
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file.")
    if not path.is_file():
        raise ValueError(f"{path}: must be a file or a folder of shards.")
    try:
        shard = reader(path)
        if path.suffix not in INDEXES and ids_path(path).exists():
            shard = replace(shard, ids=_ids_of(path, len(shard)))
        return shard
    except FileNotFoundError:
        raise
    except MemoryError:
        raise ValueError(f"{path}: its labels do not fit in memory.") from None
    except (ValueError, OSError) as error:
        message = str(error)
        raise ValueError(message if message.startswith(f"{path}: ") else f"{path}: {message}") from None


def _files_of(folder: Path) -> list[Path]:
    """The shards of a folder by name, hidden files left out."""
    found = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    shards = [path for path in found if not path.name.endswith(".labels.npy")]
    kinds = ", ".join(READERS)
    for path in shards:
        if path.is_dir() or path.suffix not in READERS:
            raise ValueError(f"{path}: a folder of features must hold nothing but shards, each one of {kinds}.")
        if path.suffix != shards[0].suffix:
            raise ValueError(f"{path}: shards must be of one kind, but {shards[0].name} stands beside this one.")
    expected = {labels_path(path) for path in shards if path.suffix == ".npy"}
    for path in found:
        if path.name.endswith(".labels.npy") and path not in expected:
            raise ValueError(f"{path}: its features are missing.")
    if not shards:
        raise ValueError(f"{folder}: must hold shards, each one of {kinds}, got none.")
    _refuse_copies(shards)
    return shards


def _refuse_copies(paths: Collection[Path]) -> None:
    """Raise ValueError where two files are equal byte for byte; most are told apart by size and beginning."""
    alike: dict[tuple[int, bytes], list[Path]] = {}
    for path in filter(Path.is_file, paths):
        with open(path, "rb") as file:
            others = alike.setdefault((path.stat().st_size, file.read(2**12)), [])
        for other in others:
            if filecmp.cmp(other, path, shallow=False):
                raise ValueError(f"{path}: is a copy of {other.name}, its samples would count twice.")
        others.append(path)


# ---- .npy and .npz


def _npy_header(
    stream: IO[bytes], size: int, check: Callable[[Shape, np.dtype], None]
) -> tuple[Shape, np.dtype, bool, int]:
    """Shape, dtype, whether in Fortran order, and where the data of ``size`` bytes, header included, begins."""
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"is .npy of version {version}, readable are 1.0 and 2.0.")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    try:
        shape, fortran, dtype = read(stream)
    except tokenize.TokenError as error:  # NumPy's own attempt at the headers of Python 2
        raise ValueError(f"has a damaged header ({error.args[0]}).") from None
    if dtype.hasobject:
        raise ValueError("Object arrays cannot be loaded: nothing is unpickled.")
    check(shape, dtype)
    needed, found = math.prod(shape) * dtype.itemsize, size - stream.tell()
    if needed != found:
        raise ValueError(f"is truncated or damaged: {dtype} of shape {shape} takes {needed} bytes, it holds {found}.")
    return shape, dtype, fortran, stream.tell()


def _npy_labels(stream: IO[bytes], size: int) -> ndarray:
    _, dtype, _, start = _npy_header(stream, size, check_labels)
    return usable_labels(np.frombuffer(stream.read(size - start), dtype))


def _read_npy(path: Path) -> Shard:
    labels_file = _labels_file(path)
    with open(path, "rb") as file:
        shape, dtype, fortran, start = _npy_header(file, path.stat().st_size, check_features)
    return flat_shard(path, start, shape, dtype, _beside(path, labels_file, "labels"), fortran=fortran)


def _read_index(path: Path) -> Shard:
    from verification.sources.faiss_index import open_index

    labels, ids = _beside(path, _labels_file(path), "labels"), None
    if (ids_file := ids_path(path)).exists():
        ids = _beside(path, ids_file, "ids")
        if ids.dtype.kind not in "iu" or len(ids) != len(labels):
            raise ValueError(
                f"{ids_file.name} must hold an integer for each label, got {len(ids)} of {ids.dtype} for {len(labels)}."
            )
    return open_index(path, labels, ids)


def _ids_of(path: Path, count: int) -> ndarray:
    ids = _beside(path, ids_path(path), "ids")
    if len(ids) != count or len(np.unique(ids)) != count:
        raise ValueError(
            f"{ids_path(path).name} must hold an id for each of {count} rows, each once, got {len(ids)}, "
            f"{len(np.unique(ids))} different ones."
        )
    return ids


def _labels_file(path: Path) -> Path:
    beside = labels_path(path)
    if not beside.exists():
        raise FileNotFoundError(f"{beside}: no such file; the labels of {path.name} are expected there.")
    return beside


def _beside(path: Path, beside: Path, what: str) -> ndarray:
    try:
        with open(beside, "rb") as file:
            return _npy_labels(file, beside.stat().st_size)
    except (ValueError, OSError) as error:
        raise ValueError(f"{path}: its {what} in {beside.name}: {error}") from None


def _read_npz(path: Path) -> Shard:
    with complaints_of_zip(path), zipfile.ZipFile(path) as archive:
        check_names([name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")])
        features, labels = (archive.getinfo(f"{name}.npy") for name in ("features", "labels"))
        for member in (features, labels):
            if member.flag_bits & 1 or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError(f"{member.filename} is encrypted or compressed in a way that NumPy does not write.")
        with archive.open(features) as stream:
            shape, dtype, fortran, start = _npy_header(stream, features.file_size, check_features)
            if fortran and features.compress_type == zipfile.ZIP_DEFLATED:
                # its columns come one after the other: no row is there before all are
                array = np.frombuffer(stream.read(), dtype).reshape(shape, order="F")
        with archive.open(labels) as stream:
            names = _npy_labels(stream, labels.file_size)
    if features.compress_type == zipfile.ZIP_DEFLATED:
        if fortran:
            return replace(array_shard(array, names), path=path)
        return deflated_shard(path, features.filename, start, shape, dtype, names)
    with open(path, "rb") as file:
        file.seek(features.header_offset + 26)
        start += features.header_offset + 30 + sum(struct.unpack("<HH", file.read(4)))
    if start + math.prod(shape) * dtype.itemsize > path.stat().st_size:
        raise ValueError("is truncated or damaged: its directory says more than it holds.")
    shard = flat_shard(path, start, shape, dtype, names, fortran=fortran)
    return replace(shard, open=partial(_open_stored, path, features.filename, shard.open))


@contextmanager
def _open_stored(path: Path, member: str, rows: Callable[[], AbstractContextManager[Fill]]) -> Iterator[Fill]:
    """As ``rows``; when a row turns out unusable, a damaged file is the likelier cause and is told instead."""
    with rows() as fill:
        try:
            yield fill
        except ValueError:
            with complaints_of_zip(path), zipfile.ZipFile(path) as archive, archive.open(member) as stream:
                while stream.read(2**20):  # at its end the sum is checked
                    pass
            raise


# ---- .safetensors


def _read_safetensors(path: Path) -> Shard:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as archive:
            check_names(list(archive.keys()))
            features, labels = archive.get_slice("features"), archive.get_slice("labels")
            shape, code = tuple(features.get_shape()), features.get_dtype()
            if code not in _SAFETENSORS:
                raise ValueError(f"features must be float16, bfloat16, float32 or float64, got {code}.")
            check_features(shape, np.dtype(np.float32))
            if labels.get_dtype()[0] not in "IU":
                raise ValueError(f"labels must be integers in .safetensors, got {labels.get_dtype()}.")
            names = archive.get_tensor("labels")
            check_labels(names.shape, names.dtype)
    except SafetensorError as error:
        raise ValueError(f"is not a readable .safetensors file ({error}).") from None
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        start = 8 + size + json.loads(file.read(size))["features"]["data_offsets"][0]
    return flat_shard(path, start, shape, _SAFETENSORS[code], names)


READERS: dict[str, Callable[[Path], Shard]] = {
    ".npz": _read_npz,
    ".npy": _read_npy,
    ".safetensors": _read_safetensors,
    ".parquet": read_parquet,
}

"""One file or array of labelled features: shape, dtype and labels are known, the rows are read when asked for."""

from __future__ import annotations

import sys
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy import ndarray

# fills an array of shape (n, d) with the next n rows, cast to its dtype
Fill = Callable[[ndarray], None]
Shape = tuple[int, ...]

BFLOAT16 = np.dtype("<u2")  # NumPy has no bfloat16: its bits are the upper half of a float32's


@dataclass(frozen=True)
class Shard:
    """Features that may be on disk, and their labels, which are in memory.

    Attributes
    ----------
    path : Path, str or None
        A file, the name of another source, or None for arrays in memory.
    shape : (int, int)
        (N, d), both ≥ 1.
    dtype : numpy.dtype
        Of the rows as they are given: float16, float32 or float64, in the machine's byte order.
    labels : ndarray, shape (N,)
        Integers or strings.
    open : callable
        Context manager of a function that fills an array with the next rows.
    whole : callable or None
        Returns the features as one array or memory map without reading them; None where they have to be decoded.
    seek : callable or None
        As ``open``, from a given row on; None where rows have to be decoded from the first on.
    ids : ndarray or None
        Integers or strings, each once, of sources that have them.
    remarks : tuple of str
        What a user should know of how the features are stored, a sentence each.
    """

    path: Path | str | None
    shape: Shape
    dtype: np.dtype
    labels: ndarray
    open: Callable[[], AbstractContextManager[Fill]]
    whole: Callable[[], ndarray] | None = None
    seek: Callable[[int], AbstractContextManager[Fill]] | None = None
    ids: ndarray | None = None
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.labels) != len(self):
            raise ValueError(
                f"features and labels must have one length, got {len(self)} rows and {len(self.labels)} labels."
            )

    def __len__(self) -> int:
        return self.shape[0]

    def piece(self, start: int, stop: int) -> Piece:
        """Return the rows from ``start`` to before ``stop``; ``start`` is 0 where there is no ``seek``."""
        begin = partial(self.seek, start) if self.seek else self.open
        return Piece(self.path, self.shape, self.dtype, self.open, begin, stop - start)


@dataclass(frozen=True)
class Piece:
    """Consecutive rows of a shard, without labels: of a file it is pickled as path and position.

    Attributes
    ----------
    path, shape, dtype, open_shard
        Of the whole shard.
    open : callable
        Context manager of a function that fills an array with the next rows of the piece.
    length : int
        Rows of the piece.
    """

    path: Path | str | None
    shape: Shape
    dtype: np.dtype
    open_shard: Callable[[], AbstractContextManager[Fill]]
    open: Callable[[], AbstractContextManager[Fill]]
    length: int


def array_shard(features: ndarray, labels: ndarray, ids: ndarray | None = None) -> Shard:
    """Shard of arrays in memory; ValueError where their shape or dtype will not do."""
    check_features(features.shape, features.dtype)
    check_labels(labels.shape, labels.dtype)
    if ids is not None and (
        ids.dtype.kind not in "iuU" or ids.shape != labels.shape or len(np.unique(ids)) != len(labels)
    ):
        raise ValueError(
            f"ids must be integers or strings, one for each of {len(labels)} rows, each once, got {ids.dtype} of "
            f"shape {ids.shape}."
        )
    features = features.astype(_native(features.dtype), copy=False)
    rows, whole = partial(_open_array, features), partial(np.asarray, features)
    return Shard(None, features.shape, features.dtype, usable_labels(labels), rows, whole, rows, ids)


def flat_shard(
    path: Path, offset: int, shape: Shape, stored: np.dtype, labels: ndarray, *, fortran: bool = False
) -> Shard:
    """Shard of rows that lie in a file as they are, from the byte ``offset`` on."""
    whole = partial(_mapped, path, stored, offset, shape, "F" if fortran else "C")
    dtype = np.dtype(np.float32) if stored == BFLOAT16 else _native(stored)
    rows = partial(_open_mapped, whole) if fortran else partial(_open_flat, path, offset, shape[1], stored)
    return Shard(path, shape, dtype, labels, rows, whole if stored == dtype else None, rows)


def deflated_shard(path: Path, member: str, offset: int, shape: Shape, stored: np.dtype, labels: ndarray) -> Shard:
    """Shard of rows inside a compressed member of a zip archive, from its byte ``offset`` on."""
    return Shard(path, shape, _native(stored), labels, partial(_open_deflated, path, member, offset, shape[1], stored))


def check_names(names: Collection[str]) -> None:
    """Raise ValueError unless both arrays are there, each once."""
    for name in ("features", "labels"):
        if list(names).count(name) != 1:
            got = ", ".join(map(repr, names)) or "none"
            raise ValueError(f"must hold arrays named 'features' and 'labels', got {got}.")


def check_features(shape: Shape, dtype: np.dtype) -> None:
    """Raise ValueError unless these are of features."""
    if dtype.kind != "f" or dtype.itemsize > 8:
        raise ValueError(f"features must be float16, float32 or float64, got {dtype}.")
    if len(shape) != 2 or min(shape) < 1:
        raise ValueError(f"features must have shape (N, d) with N, d >= 1, got {shape}.")


def check_labels(shape: Shape, dtype: np.dtype) -> None:
    """Raise ValueError unless these are of labels."""
    if dtype.kind not in "iuUS":
        raise ValueError(f"labels must be integers or strings, got {dtype}.")
    if len(shape) != 1:
        raise ValueError(f"labels must have shape (N,), got {shape}.")


def usable_labels(labels: ndarray) -> ndarray:
    """Labels as integers in the machine's byte order, or as str."""
    if labels.dtype.kind != "S":
        labels = np.ascontiguousarray(labels, _native(labels.dtype))
        if labels.dtype.kind == "U" and labels.size and labels.view(np.uint32).max() > sys.maxunicode:
            raise ValueError("labels must be strings of Unicode characters, got a number that is none.")
        return labels
    try:
        return np.char.decode(labels, "utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"labels must be strings in UTF-8, got {error.object!r}.") from None


@contextmanager
def complaints_of_zip(path: Path) -> Iterator[None]:
    """What zipfile and zlib raise, as ValueError with the path."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise ValueError(f"{path}: is not a readable .npz archive ({error}).") from None


def _mapped(path: Path, stored: np.dtype, offset: int, shape: Shape, order: Literal["C", "F"]) -> ndarray:
    return np.memmap(path, stored, "r", offset, (shape[0], shape[1]), order).view(ndarray)


def _open_mapped(whole: Callable[[], ndarray], start: int = 0) -> AbstractContextManager[Fill]:
    return _open_array(whole(), start)


@contextmanager
def _open_array(array: ndarray, start: int = 0) -> Iterator[Fill]:
    position = start

    def fill(out: ndarray) -> None:
        nonlocal position
        out[...] = array[position : position + len(out)]
        position += len(out)

    yield fill


@contextmanager
def _open_flat(path: Path, offset: int, dim: int, stored: np.dtype, start: int = 0) -> Iterator[Fill]:
    with open(path, "rb", buffering=0) as file:
        file.seek(offset + start * dim * stored.itemsize)

        def fill(out: ndarray) -> None:
            # read, not mapped: a map of an .npz is not aligned, its pages count as memory of the process, and it kills
            # the process where the file has become shorter
            direct = out.dtype == stored and out.flags.c_contiguous
            rows = out if direct else np.empty((len(out), dim), stored)
            left = rows.reshape(-1).view(np.uint8).data
            while left:
                got = file.readinto(left)
                if not got:
                    raise ValueError(f"{path}: ends before its last row.")
                left = left[got:]
            if not direct:
                out[...] = _decoded(rows)

        yield fill


@contextmanager
def _open_deflated(path: Path, member: str, offset: int, dim: int, stored: np.dtype) -> Iterator[Fill]:
    with complaints_of_zip(path), zipfile.ZipFile(path) as archive, archive.open(member) as stream:
        stream.read(offset)

        def fill(out: ndarray) -> None:
            content = stream.read(len(out) * dim * stored.itemsize)
            if len(content) < len(out) * dim * stored.itemsize:
                raise EOFError("it ends before its last row")
            out[...] = np.frombuffer(content, stored).reshape(len(out), dim)

        yield fill


def _native(dtype: np.dtype) -> np.dtype:
    return dtype.newbyteorder("=")


def _decoded(rows: ndarray) -> ndarray:
    if rows.dtype == BFLOAT16:
        wide = rows.astype(np.uint32)
        wide <<= 16
        return wide.view(np.float32)
    return rows

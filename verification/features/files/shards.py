"""The features of one file or array: shape and dtype are known, the rows are read when asked for."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Int
from numpy import ndarray

# fills an array of shape (n, d) with the next n rows, cast to its dtype
Fill = Callable[[ndarray], None]
Shape = tuple[int, ...]

_SIEVED_BYTES = 2**18
# beyond what models give, and what blocks of rows and matrices of d × d numbers are made for
MOST_DIMENSIONS = 2**21
BFLOAT16 = np.dtype("<u2")  # NumPy has no bfloat16: its bits are the upper half of a float32's
# fills the second array, rows of another dimension, from the rows of the first
Decode = Callable[[ndarray, ndarray], None]


@dataclass(frozen=True)
class Shard:
    """Features that may be on disk.

    Attributes
    ----------
    path : Path, str or None
        A file, the name of another source, or None for arrays in memory.
    shape : (int, int)
        (N, d), both ≥ 1.
    dtype : numpy.dtype
        Of the rows as they are given: float16, float32 or float64, in the machine's byte order.
    stored : numpy.dtype or None
        Of the rows as they lie there, where that is another one: bfloat16, int8 or uint8.
    open : callable
        Context manager of a function that fills an array with the next rows.
    whole : callable or None
        Returns the features as one array or memory map without reading them; None where they have to be decoded.
    seek : callable or None
        As ``open``, from a given row on; None where rows have to be decoded from the first on.
    take : callable or None
        As ``open``, of the rows at sorted positions, without reading all that is between them; None where it has to be
        read.
    remarks : tuple of str
        What a user should know of how the features are stored, a sentence each.
    origin : Shard or None
        Where these are some rows of another shard, that one: it is named where a row cannot be used.
    """

    path: Path | str | None
    shape: Shape
    dtype: np.dtype
    open: Callable[[], AbstractContextManager[Fill]]
    whole: Callable[[], ndarray] | None = None
    seek: Callable[[int], AbstractContextManager[Fill]] | None = None
    take: Callable[[Int[ndarray, " m"], int], AbstractContextManager[Fill]] | None = None
    remarks: tuple[str, ...] = ()
    stored: np.dtype | None = None
    origin: Shard | None = None

    def __len__(self) -> int:
        return self.shape[0]

    def piece(self, start: int, stop: int) -> Piece:
        """Return the rows from ``start`` to before ``stop``; ``start`` is 0 where there is no ``seek``."""
        begin = partial(self.seek, start) if self.seek else self.open
        whole = self.origin or self
        return Piece(self.path, whole.shape, self.dtype, whole.open, begin, stop - start)

    def select(self, index: Int[ndarray, " m"], few: bool = False) -> Shard:
        """Some rows, in this order: sieved while reading if the indices are sorted, else from where they lie.

        With ``few`` sorted ones too are fetched by themselves, if the file allows it.
        """
        rows: Callable[..., AbstractContextManager[Fill]]
        ordered = bool(np.all(index[1:] >= index[:-1]))
        seek = True
        if self.take is not None and few and ordered:
            rows = partial(self.take, index)
        elif self.whole is not None and not ordered:
            rows = partial(_open_taken, self.whole, index)
        elif ordered:
            seek = self.seek is not None
            rows = partial(_open_sieved, self.seek or self.open, seek, self.shape[1], self.dtype, index)
        else:
            raise ValueError(f"{self.path}: rows must be read in their order, got unsorted indices.")
        shape = (len(index), self.shape[1])
        take = partial(_open_some, self.take, index) if ordered and self.take is not None else None
        return replace(
            self, shape=shape, open=rows, whole=None, seek=rows if seek else None, take=take, origin=self.origin or self
        )

    def decoded(self, dim: int, decode: Decode) -> Shard:
        """Rows of dimension ``dim``, each decoded from one of these as it is read."""
        rows, seek, take = (
            None if begin is None else partial(_open_decoded, begin, self.shape[1], self.dtype, decode)
            for begin in (self.open, self.seek, self.take)
        )
        assert rows is not None
        return replace(self, shape=(len(self), dim), open=rows, whole=None, seek=seek, take=take, origin=None)


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


def array_shard(features: ndarray) -> Shard:
    """Shard of arrays in memory; ValueError where their shape or dtype will not do."""
    check_features(features.shape, features.dtype)
    stored = features.dtype
    features = features.astype(given_dtype(stored), copy=False)
    rows, whole = partial(_open_array, features), partial(np.asarray, features)
    return Shard(None, features.shape, features.dtype, rows, whole, rows, partial(_open_taken, whole), stored=stored)


@dataclass(frozen=True)
class Checksum:
    """CRC-32 of what stands before the rows, and of that and the rows together."""

    before: int
    whole: int


def flat_shard(
    path: Path,
    offset: int,
    shape: Shape,
    stored: np.dtype,
    *,
    fortran: bool = False,
    checksum: Checksum | None = None,
) -> Shard:
    """Shard of rows that lie in a file as they are, from the byte ``offset`` on; read as a whole they are checked."""
    whole = partial(_mapped, path, stored, offset, shape, "F" if fortran else "C")
    dtype = given_dtype(stored)
    rows = partial(_open_mapped, whole) if fortran else partial(_open_flat, path, offset, shape, stored, checksum)
    taken = partial(_open_taken, whole)
    return Shard(path, shape, dtype, rows, whole if stored == dtype else None, rows, taken, stored=stored)


def deflated_shard(path: Path, member: str, offset: int, shape: Shape, stored: np.dtype) -> Shard:
    """Shard of rows inside a compressed member of a zip archive, from its byte ``offset`` on."""
    rows = partial(_open_deflated, path, member, offset, shape[1], stored)
    return Shard(path, shape, given_dtype(stored), rows, stored=stored)


def check_features(shape: Shape, dtype: np.dtype) -> None:
    """Raise ValueError unless these are of features."""
    if not is_code(dtype) and (dtype.kind != "f" or dtype.itemsize > 8):
        raise ValueError(f"features must be float16, float32, float64 or int8, got {dtype}.")
    if len(shape) != 2 or min(shape) < 1:
        raise ValueError(f"features must have shape (N, d) with N, d >= 1, got {shape}.")
    if shape[1] > MOST_DIMENSIONS:
        raise ValueError(f"features must have at most {MOST_DIMENSIONS:,} dimensions, got {shape[1]:,}.")


def is_code(dtype: np.dtype) -> bool:
    """Whether vectors of such a dtype are codes of a byte each: int8 or uint8."""
    return dtype.kind in "iu" and dtype.itemsize == 1


def given_dtype(stored: np.dtype) -> np.dtype:
    """The dtype in which rows are given: float32 for bfloat16 and for codes, which are exact in it."""
    return np.dtype(np.float32) if stored == BFLOAT16 or is_code(stored) else stored.newbyteorder("=")


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
def _open_taken(whole: Callable[[], ndarray], index: Int[ndarray, " m"], start: int = 0) -> Iterator[Fill]:
    array, position = whole(), start

    def fill(out: ndarray) -> None:
        nonlocal position
        out[...] = _decoded(array[index[position : position + len(out)]])
        position += len(out)

    yield fill


@contextmanager
def _open_sieved(
    rows: Callable[..., AbstractContextManager[Fill]],
    seek: bool,
    dim: int,
    dtype: np.dtype,
    index: Int[ndarray, " m"],
    start: int = 0,
) -> Iterator[Fill]:
    """Rows at sorted positions, out of blocks that are read from the first of them to the last."""
    first = int(index[start]) if seek and start < len(index) else 0
    room = np.empty((max(1, min(_SIEVED_BYTES // (dim * dtype.itemsize), int(index[-1]) + 1 - first)), dim), dtype)
    held, position = room[:0], start
    with rows(first) if seek else rows() as read:

        def fill(out: ndarray) -> None:
            nonlocal first, held, position
            done = 0
            while done < len(out):
                stop = position + int(np.searchsorted(index[position : position + len(out) - done], first + len(held)))
                out[done : done + stop - position] = held[index[position:stop] - first]
                done, position = done + stop - position, stop
                if done < len(out):
                    first += len(held)
                    held = room[: int(index[-1]) + 1 - first]
                    read(held)

        yield fill


def _open_some(
    take: Callable[[Int[ndarray, " m"], int], AbstractContextManager[Fill]],
    index: Int[ndarray, " m"],
    some: Int[ndarray, " k"],
    start: int = 0,
) -> AbstractContextManager[Fill]:
    """Rows at sorted positions among those at sorted positions."""
    return take(index[some], start)


@contextmanager
def _open_decoded(
    rows: Callable[..., AbstractContextManager[Fill]], width: int, dtype: np.dtype, decode: Decode, *begin: Any
) -> Iterator[Fill]:
    room = np.empty((0, width), dtype)
    with rows(*begin) as read:

        def fill(out: ndarray) -> None:
            nonlocal room
            if len(room) < len(out):
                room = np.empty((len(out), width), dtype)
            read(room[: len(out)])
            decode(room[: len(out)], out)

        yield fill


@contextmanager
def _open_flat(
    path: Path, offset: int, shape: Shape, stored: np.dtype, checksum: Checksum | None, start: int = 0
) -> Iterator[Fill]:
    count, dim = shape
    position, running = start, 0 if checksum is None else checksum.before
    with open(path, "rb", buffering=0) as file:
        file.seek(offset + start * dim * stored.itemsize)

        def fill(out: ndarray) -> None:
            # read, not mapped: a map of an .npz is not aligned, its pages count as memory of the process, and it kills
            # the process where the file has become shorter
            nonlocal position, running
            direct = out.dtype == stored and out.flags.c_contiguous
            rows = out if direct else np.empty((len(out), dim), stored)
            left = content = rows.reshape(-1).view(np.uint8).data
            while left:
                got = file.readinto(left)
                if not got:
                    raise ValueError("ends before its last row.")
                left = left[got:]
            position += len(out)
            if checksum is not None and start == 0:
                running = zlib.crc32(content, running)
                if position == count and running != checksum.whole:
                    raise ValueError("is damaged: its checksum is not that of its rows.")
            if not direct:
                out[...] = _decoded(rows)

        yield fill


@contextmanager
def _open_deflated(path: Path, member: str, offset: int, dim: int, stored: np.dtype) -> Iterator[Fill]:
    with zipfile.ZipFile(path) as archive, archive.open(member) as stream:
        stream.read(offset)

        def fill(out: ndarray) -> None:
            content = stream.read(len(out) * dim * stored.itemsize)
            if len(content) < len(out) * dim * stored.itemsize:
                raise EOFError("it ends before its last row")
            out[...] = np.frombuffer(content, stored).reshape(len(out), dim)

        yield fill


def _decoded(rows: ndarray) -> ndarray:
    if rows.dtype == BFLOAT16:
        wide = rows.astype(np.uint32)
        wide <<= 16
        return wide.view(np.float32)
    return rows

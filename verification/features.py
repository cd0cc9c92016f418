"""Features with their labels, in memory or in files: validated here, so that everything behind may trust them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import IO, Any, NoReturn

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from verification._parquet import write_parquet
from verification._readers import READERS, labels_path, open_shards
from verification._shards import Piece, Shard, array_shard

# rows are checked and normalised while they are in the cache of one core
_CACHED_BYTES = 2**19


class FeatureSet:
    """Feature vectors of labelled samples, one model, one row a sample.

    Of arrays every row is validated here; of files (:meth:`load`) when it is read, and only labels are in memory.

    Parameters
    ----------
    features : array_like or torch.Tensor, shape (N, d), float16, float32 or float64
        Finite, no row of zeros (a direction is needed); need not be normalised. N ≥ 1, d ≥ 1.
    labels : array_like or torch.Tensor, shape (N,), integers or strings
        The class of each row.

    Attributes
    ----------
    labels : ndarray, shape (N,)
    ids : ndarray, shape (N,), or None
        Integers or strings by which the source knows the rows, in whose order they are; None where it has none.
    remarks : tuple of str
        What to know of how the source stores features.

    Raises
    ------
    ValueError
        Naming what is wrong, and where.
    """

    labels: ndarray
    ids: ndarray | None
    remarks: tuple[str, ...]

    def __init__(self, features: Any, labels: Any) -> None:
        self._hold([array_shard(_as_array(features), _as_array(labels))])
        for _ in self.blocks():
            pass

    def _hold(self, shards: Sequence[Shard]) -> None:
        self._shards = shards
        self.labels = shards[0].labels if len(shards) == 1 else np.concatenate([shard.labels for shard in shards])
        self.ids = shards[0].ids if len(shards) == 1 else None
        self.remarks = shards[0].remarks

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def dim(self) -> int:
        """d, the feature dimension."""
        return self._shards[0].shape[1]

    @property
    def dtype(self) -> np.dtype:
        """Of :attr:`features` and :meth:`blocks`: float16, float32 or float64 (bfloat16 is read as float32)."""
        return self._shards[0].dtype

    @cached_property
    def features(self) -> Float[ndarray, "n dim"]:
        """All rows as one array; a memory map where one file holds them as they are, else read into memory."""
        if len(self._shards) == 1 and (whole := self._shards[0].whole) is not None:
            return whole()
        return self._gathered(self.blocks(), self.dtype)

    @cached_property
    def unit(self) -> Float[ndarray, "n dim"]:
        """The features normalised to the unit sphere, float64, all in memory."""
        return self._gathered(_read(self.pieces(), 2**12, lambda rows: _normalized(rows.astype(float))), np.float64)

    def _gathered(self, blocks: Iterator[ndarray], dtype: Any) -> ndarray:
        gathered, start = np.empty((len(self), self.dim), dtype), 0
        for block in blocks:
            gathered[start : start + len(block)] = block
            start += len(block)
        return gathered

    def blocks(self, rows: int = 8192) -> Iterator[Float[ndarray, "rows dim"]]:
        """Read the features in row order, ``rows`` rows at a time, the last block fewer.

        Two sets of one length give blocks that belong together, whatever shards they come from. A block may be a view
        of the features or not writable.

        Raises
        ------
        ValueError
            At a block with a row that is not finite or all zero, naming file and row within it.
        """
        return _read(self.pieces(), rows, _checked)

    def normalized_blocks(self, rows: int = 8192) -> Iterator[Float[ndarray, "rows dim"]]:
        """As :meth:`blocks`, each row on the unit sphere; float64 for float64 features, else float32.

        No square over- or underflows: rows of any length that the dtype can hold are normalised to its rounding.
        """
        return normalized_blocks(self.pieces(), rows)

    def pieces(self, start: int = 0, stop: int | None = None) -> list[Piece]:
        """Return what there is to read for the rows from ``start``, one of :meth:`beginning`, to before ``stop``."""
        stop = len(self) if stop is None else stop
        pieces, first = [], 0
        for shard in self._shards:
            low, high = max(start - first, 0), min(stop - first, len(shard))
            if low < high:
                pieces.append(shard.piece(low, high))
            first += len(shard)
        return pieces

    def beginning(self, row: int) -> int:
        """Return the first row, from ``row`` on, before which nothing has to be decoded in order to read it."""
        end = 0
        for shard in self._shards:
            if row <= end:
                break
            end += len(shard)
            if row < end and shard.seek:
                return row
        return max(row, end)

    @cached_property
    def classes(self) -> ndarray:
        """The distinct labels, sorted."""
        return self._encoded[0]

    @cached_property
    def codes(self) -> Int[ndarray, " n"]:
        """Each row's position in :attr:`classes`."""
        return self._encoded[1]

    @cached_property
    def _encoded(self) -> tuple[ndarray, ndarray]:
        # a dictionary: np.unique sorts all the labels, a second for a million strings
        labels = self.labels.tolist()
        names = sorted(set(labels))
        positions = {name: position for position, name in enumerate(names)}
        codes = np.fromiter((positions[label] for label in labels), np.intp, len(labels))
        return np.array(names, self.labels.dtype), codes

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> FeatureSet:
        """Open arrays or columns named ``features`` and ``labels``, a folder of shards of one kind, or a database.

        A file is ``.npz``, ``.safetensors``, ``.parquet`` (``features`` a column of lists of one length), ``NAME.npy``
        or a FAISS index ``NAME.index`` or ``NAME.faiss`` beside ``NAME.labels.npy``. Shards are read in the order of
        their names; hidden files are left out. A string that begins with ``qdrant://`` or ``pgvector://`` names a
        collection or a table, read in the order of its ids (docs/sources.md). Labels are read here, features by
        :meth:`blocks` and what builds on it. Nothing is unpickled.

        Raises
        ------
        FileNotFoundError
            If a file is not there.
        ConnectionError
            If a database does not answer, here or, for longer than a minute, in a block.
        ValueError
            If its content cannot be used; the message begins with the path or URL.
        """
        from verification.sources import is_url, open_url

        loaded = cls.__new__(cls)
        text = os.fspath(path)
        loaded._hold([open_url(text)] if is_url(text) else open_shards(Path(path)))
        return loaded

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to ``.npz``, ``.parquet``, ``.safetensors`` (integer labels only) or a ``.npy`` pair.

        A file appears whole or not at all.

        Raises
        ------
        ValueError
            For another suffix, string labels in ``.safetensors``, or features from a file that cannot be used.
        """
        path = Path(path)
        if path.suffix == ".npz":
            write_atomically(path, lambda file: np.savez(file, features=self.features, labels=self.labels))
        elif path.suffix == ".npy":
            write_atomically(labels_path(path), lambda file: np.save(file, self.labels, allow_pickle=False))
            write_atomically(path, lambda file: np.save(file, self.features, allow_pickle=False))
        elif path.suffix == ".parquet":
            write_atomically(path, lambda file: write_parquet(file, self.blocks(), self.labels, self.dim))
        elif path.suffix == ".safetensors":
            if self.labels.dtype.kind not in "iu":
                raise ValueError(f"{path}: labels must be integers in .safetensors, got {self.labels.dtype}.")
            from safetensors.numpy import save

            arrays = {"features": self.features, "labels": self.labels}
            payload = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
            write_atomically(path, lambda file: file.write(payload))
        else:
            raise ValueError(
                f"{path}: features are written to one of {', '.join(READERS)}, got suffix {path.suffix!r}."
            )


def normalized_blocks(pieces: Sequence[Piece], rows: int) -> Iterator[Float[ndarray, "rows dim"]]:
    """Read pieces of a set's files as :meth:`FeatureSet.normalized_blocks` reads the whole."""
    return _read(pieces, rows, _normalized)


def _read(pieces: Sequence[Piece], rows: int, prepare: Callable[[ndarray], ndarray]) -> Iterator[ndarray]:
    if rows < 1:
        raise ValueError(f"rows must be an integer >= 1, got {rows}.")
    held: list[ndarray] = []
    room = rows
    for piece in pieces:
        with piece.open() as take:
            left = piece.length
            while left:
                part = take(min(room, left))
                left -= len(part)
                room -= len(part)
                try:
                    held.append(prepare(part))
                except _UnusableRow:
                    _complain(piece)
                if not room:
                    yield held[0] if len(held) == 1 else np.concatenate(held)
                    held, room = [], rows
    if held:
        yield held[0] if len(held) == 1 else np.concatenate(held)


def write_atomically(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Write beside ``path`` and rename: whoever reads sees the old content or the new, never half of it."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _as_array(value: Any) -> ndarray:
    detach = getattr(value, "detach", None)  # a torch tensor, perhaps on a GPU
    return np.asarray(detach().cpu().numpy() if detach is not None else value)


class _UnusableRow(Exception):
    """A row is not finite or all zero."""


def _checked(rows: Float[ndarray, "n dim"]) -> Float[ndarray, "n dim"]:
    for piece in _pieces(rows):
        _squared_lengths(rows[piece])
    return rows


def _normalized(rows: Float[ndarray, "n dim"]) -> Float[ndarray, "n dim"]:
    unit = np.empty(rows.shape, np.result_type(rows, np.float32))
    for piece in _pieces(rows):
        wide, squares, extreme = _squared_lengths(rows[piece])
        with np.errstate(all="ignore"):
            np.divide(wide, np.sqrt(squares)[:, None], out=unit[piece])
        if len(extreme):
            largest_one = wide[extreme].astype(np.float64)
            largest_one /= np.max(np.abs(largest_one), axis=1, keepdims=True)
            unit[piece][extreme] = largest_one / np.linalg.norm(largest_one, axis=1, keepdims=True)
    return unit


def _pieces(rows: ndarray) -> Iterator[slice]:
    step = max(1, _CACHED_BYTES // rows[0].nbytes)
    return (slice(start, start + step) for start in range(0, len(rows), step))


def _squared_lengths(rows: ndarray) -> tuple[ndarray, ndarray, ndarray]:
    """Rows as float32 or float64, their squared lengths, and the rows at which a square may have over- or underflowed.

    Every unusable row is among the last: its squared length is 0, infinite or NaN.
    """
    with np.errstate(all="ignore"):
        rows = rows.astype(np.result_type(rows, np.float32), copy=False)
        squares = np.vecdot(rows, rows)
    # squares below `tiny` are rounded to multiples of its 2**-23 (float32): not seen in a sum of 2**30 times as much
    extreme = np.flatnonzero(~((squares > 2.0**30 * np.finfo(rows.dtype).tiny) & (squares < np.inf)))
    if len(extreme) and not (np.isfinite(rows[extreme]).all() and rows[extreme].any(axis=1).all()):
        raise _UnusableRow
    return rows, squares, extreme


def _complain(piece: Piece) -> NoReturn:
    """Raise what is wrong with the rows of a shard, all of them read once more to count."""
    infinite, zero = [], []
    # raised while the shard is open: how it was opened may know a likelier cause
    with piece.open_shard() as take, np.errstate(all="ignore"):
        for start in range(0, piece.num_rows, 2**10):
            rows = take(min(2**10, piece.num_rows - start))
            infinite += (start + np.flatnonzero(~np.isfinite(rows).all(axis=1))).tolist()
            zero += (start + np.flatnonzero(~rows.any(axis=1))).tolist()
        where = "" if piece.path is None else f"{piece.path}: "
        if infinite:
            must, bad, are = "be finite", infinite, "not"
        else:
            must, bad, are = "have a direction", zero, "all zero"
        raise ValueError(
            f"{where}features must {must}, but {len(bad)} of {piece.num_rows} rows are {are}, "
            f"the first is row {bad[0]}."
        ) from None

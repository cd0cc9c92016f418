"""Features with their labels, in memory or in files: validated here, so that everything behind may trust them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from verification.files.filling import cached_rows, cut, fill, squared_lengths, usable
from verification.files.readers import open_shards
from verification.files.shards import Piece, Shard, array_shard


class FeatureSet:
    """Feature vectors of labelled samples, one model, one row a sample.

    Of arrays every row is validated here; of files (:meth:`load`) when it is read, and only labels are in memory.

    Parameters
    ----------
    features : array_like or torch.Tensor, shape (N, d), float16, float32 or float64
        Finite, no row of zeros (a direction is needed); need not be normalised. N ≥ 1, d ≥ 1.
    labels : array_like or torch.Tensor, shape (N,), integers or strings
        The class of each row.
    ids : array_like, shape (N,), integers or strings, optional
        By which the rows are known elsewhere, each once.

    Attributes
    ----------
    labels : ndarray, shape (N,)
    ids : ndarray, shape (N,), or None
        None where there are none. Two sets that both have ids are a pair only if these are equal row by row.
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

    def __init__(self, features: Any, labels: Any, ids: Any = None) -> None:
        self._hold([array_shard(_as_array(features), _as_array(labels), None if ids is None else np.asarray(ids))])
        room = np.empty((min(len(self), 2**10), self.dim), self.dtype)
        for _ in fill(self.pieces(), cut(room, len(self)), squared_lengths):
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
        gathered = np.empty((len(self), self.dim), self.dtype)
        for _ in fill(self.pieces(), [gathered], squared_lengths):
            pass
        return gathered

    @cached_property
    def unit(self) -> Float[ndarray, "n dim"]:
        """The features normalised to the unit sphere, float64, all in memory."""
        gathered = np.empty((len(self), self.dim))
        step = cached_rows(self.dim, gathered.dtype)
        some = (gathered[start : start + step] for start in range(0, len(self), step))
        for rows, squares in fill(self.pieces(), some, usable):
            rows /= np.sqrt(squares)[:, None]
        return gathered

    def blocks(self, rows: int = 8192) -> Iterator[Float[ndarray, "rows dim"]]:
        """Read the features in row order, ``rows`` rows at a time, the last block fewer.

        Two sets of one length give blocks that belong together, whatever shards they come from.

        Raises
        ------
        ValueError
            At a block with a row that is not finite or all zero, naming file and row within it.
        """
        blocks = _blocks(len(self), self.dim, rows, self.dtype)
        return (block for block, _ in fill(self.pieces(), blocks, squared_lengths))

    def normalized_blocks(self, rows: int = 8192) -> Iterator[Float[ndarray, "rows dim"]]:
        """As :meth:`blocks`, each row on the unit sphere; float64 for float64 features, else float32.

        No square over- or underflows: rows of any length that the dtype can hold are normalised to its rounding.
        """
        blocks = _blocks(len(self), self.dim, rows, np.result_type(self.dtype, np.float32))
        for block, squares in fill(self.pieces(), blocks, usable):
            block /= np.sqrt(squares)[:, None]
            yield block

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
    def _encoded(self) -> tuple[ndarray, Int[ndarray, " n"]]:
        if self.labels.dtype.kind != "U":
            least, most = int(self.labels.min()), int(self.labels.max())
            if most - least < 8 * len(self) + 2**10:  # a table of what is there, without sorting
                wide = np.uint64 if self.labels.dtype.kind == "u" else np.int64
                offsets = (self.labels.astype(wide) - wide(least)).astype(np.intp)
                there = np.bincount(offsets) > 0
                names = (np.flatnonzero(there).astype(wide) + wide(least)).astype(self.labels.dtype)
                return names, (np.cumsum(there) - 1)[offsets]
        # a dictionary: np.unique sorts all the labels, a second for a million strings
        labels = self.labels.tolist()
        ordered = sorted(set(labels))
        positions = {name: position for position, name in enumerate(ordered)}
        codes = np.fromiter((positions[label] for label in labels), np.intp, len(labels))
        return np.array(ordered, self.labels.dtype), codes

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> FeatureSet:
        """Open arrays or columns named ``features`` and ``labels``, a folder of shards of one kind, or a database.

        A file is ``.npz``, ``.safetensors``, ``.parquet`` (``features`` a column of lists of one length), ``NAME.npy``
        or a FAISS index ``NAME.index`` or ``NAME.faiss`` beside ``NAME.labels.npy``; where ``NAME.ids.npy`` is beside
        it, rows have ids. Shards are read in the order of their names; hidden files are left out. A string that begins
        with ``qdrant://`` or ``pgvector://`` names a collection or a table, read in the order of its ids
        (docs/sources.md). Labels are read here, features by :meth:`blocks` and what builds on it. Nothing is unpickled.

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
        """Write to ``.npz``, ``.parquet``, ``.safetensors`` (integer labels only) or a ``.npy`` pair; ids beside it.

        A file appears whole or not at all.

        Raises
        ------
        ValueError
            For another suffix, string labels in ``.safetensors``, or features from a file that cannot be used.
        """
        from verification.files.writers import write_features

        write_features(Path(path), self.blocks(), self.labels, self.dim, self.dtype, self.ids)


def _blocks(count: int, dim: int, rows: int, dtype: Any) -> Iterator[ndarray]:
    if rows < 1:
        raise ValueError(f"rows must be an integer >= 1, got {rows}.")
    return (np.empty((min(rows, count - start), dim), dtype) for start in range(0, count, rows))


def _as_array(value: Any) -> ndarray:
    detach = getattr(value, "detach", None)  # a torch tensor, perhaps on a GPU
    return np.asarray(detach().cpu().numpy() if detach is not None else value)

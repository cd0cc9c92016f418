"""Features with their labels, in memory or in files: validated here, so that everything behind may trust them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from theory.files import check_memory
from verification.features.columns import Columns, Names, detached, encode
from verification.features.files.filling import cached_rows, cut, fill, squared_lengths, usable
from verification.features.files.loader import open_path
from verification.features.files.shards import Decode, Piece, Shard, array_shard, is_code
from verification.features.selection import Given, Selection, Where


class FeatureSet:
    """Feature vectors of samples by one model, one row per sample, with their labels, ids and groups.

    Arrays are validated here. For files (:meth:`load`), only the columns are in memory, and rows are validated when
    they are read.

    Parameters
    ----------
    features : array_like or torch.Tensor, shape (N, d), float16, float32, float64, int8 or uint8
        Rows must be finite and not all zero, but need not be normalised. N ≥ 1, d ≥ 1. Byte codes are taken as
        numbers, in float32; :meth:`signs` reads packed bits.
    labels : array_like or torch.Tensor, shape (N,), integers or strings, optional
        The class of each row. Single labels may be missing: None, NaN (then other floats must be whole numbers), an
        Arrow null or a masked entry. If rows have several labels, a list for each row (:attr:`label_lists`).
    ids : array_like, shape (N,), integers or strings, optional
        The names of the rows, each unique.
    groups : array_like, shape (N,), integers or strings, optional
        Rows of one group show one thing: an object, a session, a document.

    Raises
    ------
    ValueError
        If an argument is invalid; the message names it, and the first row that cannot be used.
    """

    columns: Columns
    remarks: tuple[str, ...]

    def __init__(self, features: Any, labels: Any = None, ids: Any = None, groups: Any = None) -> None:
        shard = array_shard(np.asarray(detached(features)))
        self._hold([shard], Columns.of(len(shard), labels, ids, groups))
        if self.stored == np.uint8:  # packed bits may all be zero; as numbers they are checked when they are read
            return
        room = np.empty((min(len(self), cached_rows(self.dim, self.dtype)), self.dim), self.dtype)
        for _ in fill(self.pieces(), cut(room, len(self)), squared_lengths):
            pass

    def _hold(self, shards: Sequence[Shard], columns: Columns) -> FeatureSet:
        self._shards = shards
        self.columns = columns
        self.remarks = tuple(dict.fromkeys(remark for shard in shards for remark in shard.remarks))
        return self

    def __len__(self) -> int:
        return sum(map(len, self._shards))

    @property
    def labels(self) -> ndarray | None:
        """The label of each row, with a placeholder where it is missing; None if the set has no labels."""
        return self.columns.labels

    @property
    def label_lists(self) -> ndarray | None:
        """The labels of rows that have several, one string per row with U+001F between them; None if rows have one.

        Such a set has no :attr:`labels`, because its rows do not fall into classes.
        """
        return self.columns.label_lists

    @property
    def labelled(self) -> Bool[ndarray, " n"] | None:
        """Mask of the rows that have a label; None if all have one, or if the set has no labels."""
        return self.columns.labelled

    @property
    def complete_labels(self) -> ndarray:
        """The label of each row; ValueError unless every row has one."""
        missing = int(np.sum(self.codes < 0))
        if self.labels is None or missing:
            where = "" if self._shards[0].path is None else f"{self._shards[0].path}: "
            raise ValueError(f"{where}must have a label for every row, but {missing} of {len(self)} rows have none.")
        return self.labels

    @property
    def ids(self) -> ndarray | None:
        """The unique id of each row; None if the set has no ids."""
        return self.columns.ids

    @property
    def groups(self) -> ndarray | None:
        """The group of each row; None if the set has no groups."""
        return self.columns.groups

    @property
    def dim(self) -> int:
        """d, the feature dimension."""
        return self._shards[0].shape[1]

    @property
    def dtype(self) -> np.dtype:
        """Type of :attr:`features` and :meth:`blocks`: float16, float32 or float64; others become float32."""
        return self._shards[0].dtype

    @property
    def stored(self) -> np.dtype:
        """Type in which the vectors were given, or are stored in their files; bfloat16 is called uint16."""
        return self._shards[0].stored or self.dtype

    def first(self, k: int, dim: int | None = None) -> FeatureSet:
        """Return the rows cut to their first k coordinates, as for Matryoshka embeddings; nothing is read yet.

        Parameters
        ----------
        k : int
            From 1 to d.
        dim : int, optional
            Dimension ≥ k of the result, with zeros from coordinate k on, which changes no cosine; k if not given.

        Raises
        ------
        ValueError
            If k or dim is out of range; while reading, if the first k coordinates of a row are all zero.
        """
        dim = k if dim is None else dim
        if not 1 <= k <= self.dim:
            raise ValueError(f"k must be from 1 to {self.dim}, the dimension of the features, got {k!r}.")
        if dim < k:
            raise ValueError(f"dim must be at least k = {k}, got {dim!r}.")
        return self._decoded(dim, partial(_cut, k))

    def signs(self, dim: int | None = None) -> FeatureSet:
        """Return the rows of ±1 that packed bits stand for; nothing is read yet.

        A bit is a sign: 1 is +1 and 0 is −1, the first coordinate in the highest bit of the first byte, as
        :func:`numpy.packbits` writes them; signed bytes have 128 subtracted, as sentence-transformers writes them.
        Of two rows with Hamming distance H the cosine is 1 − 2H/d, so that all distances here are functions of H.

        Parameters
        ----------
        dim : int, optional
            From 8d − 7 to 8d, less than 8d if the last byte is not full; 8d if not given. If it is d, every byte is one
            sign: +1 if it is positive, else −1.

        Raises
        ------
        ValueError
            If the features are not bytes, or dim is out of range.
        """
        if not is_code(self.stored):
            raise ValueError(f"packed bits must be stored as uint8 or int8, got {self.stored}.")
        dim = 8 * self.dim if dim is None else dim
        if dim == self.dim > 1:
            return self._decoded(dim, _sign)
        if -(-dim // 8) != self.dim:
            raise ValueError(f"dim must be from {8 * self.dim - 7} to {8 * self.dim}, 8 bits to a byte, got {dim!r}.")
        return self._decoded(dim, partial(_unpack, 128 if self.stored.kind == "i" else 0))

    def _decoded(self, dim: int, decode: Decode) -> FeatureSet:
        decoded = FeatureSet.__new__(FeatureSet)
        return decoded._hold([shard.decoded(dim, decode) for shard in self._shards], self.columns)

    @property
    def roundoff(self) -> float:
        """Unit roundoff of :attr:`dtype`."""
        return float(np.finfo(self.dtype).eps) / 2.0

    @cached_property
    def features(self) -> Float[ndarray, "n dim"]:
        """All rows as one array: a memory map if one file holds them uncompressed, else an array in memory."""
        if len(self._shards) == 1 and (whole := self._shards[0].whole) is not None:
            return whole()
        return self._gathered(self._shards)

    @cached_property
    def unit(self) -> Float[ndarray, "n dim"]:
        """The features normalised to the unit sphere, float64, all in memory."""
        check_memory(8 * len(self) * self.dim, "all rows in memory")
        gathered = np.empty((len(self), self.dim))
        step = cached_rows(self.dim, gathered.dtype)
        some = (gathered[start : start + step] for start in range(0, len(self), step))
        for rows, squares in fill(self.pieces(), some, usable):
            rows /= np.sqrt(squares)[:, None]
        return gathered

    def rows(self, index: Any) -> Float[ndarray, "m dim"]:
        """Return some rows on the unit sphere, float64: those of :attr:`unit`, bit by bit.

        Single rows are read if the file allows it, else the file is read from the first of them to the last.

        Parameters
        ----------
        index : array_like of int, shape (m,)
            From 0 to N − 1, in any order; a row may be asked for more than once.

        Raises
        ------
        ValueError
            If an index is out of range, or a row that is read on the way cannot be used.
        """
        index = self._checked(index)
        step = cached_rows(self.dim, np.dtype(np.float64))
        if self._in_memory and self.stored != np.uint8:
            gathered = self.features[index].astype(np.float64)
            for start in range(0, len(gathered), step):
                part = gathered[start : start + step]
                part /= np.sqrt(usable(part))[:, None]
            return gathered
        gathered = np.empty((len(index), self.dim))
        order = np.argsort(index, kind="stable")
        done = 0
        for shard, some in self._shared_out(index[order]):
            room = np.empty((min(len(some), step), self.dim))
            for rows, squares in fill([shard.select(some, few=True).piece(0, len(some))], cut(room, len(some)), usable):
                gathered[order[done : done + len(rows)]] = rows / np.sqrt(squares)[:, None]
                done += len(rows)
        return gathered

    def select(self, index: Any) -> FeatureSet:
        """Return the set of some rows, in the given order, with their labels, ids and groups.

        From a file, rows at sorted indices are picked out while it is read. Rows at unsorted indices are taken from a
        memory map if there is one, and are otherwise gathered in memory now. If a row is taken more than once, the
        selection has no ids.

        Parameters
        ----------
        index : array_like of int, shape (m,), m ≥ 1, or of bool, shape (N,)
            From 0 to N − 1, in any order; or which rows to take.

        Raises
        ------
        ValueError
            If no row is named, or one is out of range.
        """
        index = self._checked(index)
        if not len(index):
            raise ValueError("index must name at least one row, got none.")
        chosen = FeatureSet.__new__(FeatureSet)
        columns = self.columns.take(index)
        if self._in_memory:
            chosen._hold([self._in_array(self.features[index])], columns)
        elif np.all(index[1:] >= index[:-1]):
            chosen._hold([shard.select(some) for shard, some in self._shared_out(index)], columns)
        elif len(self._shards) == 1 and self._shards[0].whole is not None:
            chosen._hold([self._shards[0].select(index)], columns)
        else:
            there, places = np.unique(index, return_inverse=True)
            gathered = self._gathered([shard.select(some) for shard, some in self._shared_out(there)])
            chosen._hold([self._in_array(gathered[places])], columns)
        chosen.remarks = self.remarks
        return chosen

    def fetch(self, index: Any) -> FeatureSet:
        """Return the set of some rows in memory; other rows are not read if the source allows it.

        Labels, ids and groups are those of :meth:`select`.

        Parameters
        ----------
        index : array_like of int, shape (m,), m ≥ 1
            From 0 to N − 1, in any order.

        Raises
        ------
        ValueError
            If there is no index, one is out of range, or a row that is read on the way cannot be used.
        """
        if self._in_memory:
            return self.select(index)
        index = self._checked(index)
        there, places = np.unique(index, return_inverse=True)
        if not len(there):
            raise ValueError("index must name at least one row, got none.")
        gathered = self._gathered([shard.select(some, few=True) for shard, some in self._shared_out(there)])
        chosen = FeatureSet.__new__(FeatureSet)
        chosen._hold([self._in_array(gathered[places.ravel()])], self.columns.take(index))
        chosen.remarks = self.remarks
        return chosen

    @property
    def read_through(self) -> tuple[str, ...]:
        """Names of the files and stores that have to be read from the first wanted row to the last."""
        return tuple(str(shard.path) for shard in self._shards if shard.take is None)

    @property
    def _in_memory(self) -> bool:
        """Whether the rows were validated and are one array, given or gathered."""
        mapped = len(self._shards) == 1 and self._shards[0].whole is not None
        return self._shards[0].path is None or ("features" in self.__dict__ and not mapped)

    def _shared_out(self, index: Int[ndarray, " m"]) -> Iterator[tuple[Shard, Int[ndarray, " some"]]]:
        """The shards that hold rows of sorted indices, and which rows of each."""
        first = 0
        for shard in self._shards:
            low, high = np.searchsorted(index, [first, first + len(shard)])
            if low < high:
                yield shard, index[low:high] - first
            first += len(shard)

    def _in_array(self, rows: Float[ndarray, "n dim"]) -> Shard:
        """Rows of this set in memory, which were stored as its rows are."""
        return replace(array_shard(rows), stored=self.stored)

    def _gathered(self, shards: Sequence[Shard]) -> Float[ndarray, "n dim"]:
        check_memory(self.dtype.itemsize * sum(map(len, shards)) * self.dim, "all rows in memory")
        gathered = np.empty((sum(map(len, shards)), self.dim), self.dtype)
        for _ in fill([shard.piece(0, len(shard)) for shard in shards], [gathered], squared_lengths):
            pass
        return gathered

    def _checked(self, index: Any) -> Int[ndarray, " m"]:
        index = np.asarray(index)
        if index.dtype == np.bool_ and index.shape == (len(self),):
            return np.flatnonzero(index)
        if index.ndim != 1 or (index.dtype.kind not in "iu" and index.size):
            raise ValueError(
                f"index must be integers of shape (m,), or booleans of shape ({len(self)},), got {index.dtype} of "
                f"shape {index.shape}."
            )
        if index.size and not 0 <= int(index.min()) <= int(index.max()) < len(self):
            raise ValueError(f"index must be from 0 to {len(self) - 1}, got {index.min()} to {index.max()}.")
        return index.astype(np.intp)

    def blocks(self, rows: int = 8192) -> Iterator[Float[ndarray, "rows dim"]]:
        """Read the features in row order, ``rows`` rows at a time; the last block may be shorter.

        Two sets of the same length give blocks with the same rows, whatever their shards are.

        Raises
        ------
        ValueError
            If a row is not finite or all zero; the message names the file and the row.
        """
        blocks = _blocks(len(self), self.dim, rows, self.dtype)
        return (block for block, _ in fill(self.pieces(), blocks, squared_lengths))

    def normalized_blocks(self, rows: int = 8192) -> Iterator[Float[ndarray, "rows dim"]]:
        """Read blocks as :meth:`blocks` does, each row normalised; float64 for float64 features, else float32.

        No square over- or underflows: rows of any length that the dtype can hold are normalised to its rounding.
        """
        blocks = _blocks(len(self), self.dim, rows, np.result_type(self.dtype, np.float32))
        for block, squares in fill(self.pieces(), blocks, usable):
            block /= np.sqrt(squares)[:, None]
            yield block

    def pieces(self, start: int = 0, stop: int | None = None) -> list[Piece]:
        """Return what has to be read for the rows from ``start``, a value of :meth:`beginning`, to before ``stop``."""
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
        """The distinct labels of the rows that have one, sorted."""
        return self._encoded[0]

    @cached_property
    def codes(self) -> Int[ndarray, " n"]:
        """Each row's position in :attr:`classes`; −1 for a row without a label."""
        return self._encoded[1]

    @cached_property
    def _encoded(self) -> tuple[ndarray, Int[ndarray, " n"]]:
        if self.labels is None:
            return np.empty(0, int), np.full(len(self), -1)
        return encode(self.labels, self.labelled)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        features: str | None = None,
        labels: str | None = None,
        ids: str | None = None,
        groups: str | None = None,
        separator: str | None = None,
        where: Given | None = None,
        drop_incomplete: bool = False,
    ) -> FeatureSet:
        """Open a file of arrays or columns, a folder of shards of one kind, or a database.

        Arrays by name are in ``.npz``, ``.safetensors``, ``.h5`` and ``.pt``; ``NAME.npy`` or a FAISS index
        (``NAME.index``, ``NAME.faiss``) has ``NAME.labels.npy``, ``NAME.ids.npy`` and ``NAME.groups.npy`` beside it.
        Tables are ``.parquet``, ``.arrow`` and ``.feather``, ``.jsonl`` and ``.csv``; features are a column of lists of
        one length, or columns ``f0``, ``f1``, …; these may also be at any URL that fsspec knows. Shards are read in the
        order of their names; hidden files are left out. ``qdrant://`` and ``pgvector://`` name a collection or a table
        (docs/sources.md). Columns are read here, features by :meth:`blocks` and what builds on it. Nothing is
        unpickled.

        Parameters
        ----------
        path : path-like
            A path or a URL.
        features : str, optional
            Name of the array or column; ``features`` if not given, or else the only one of floats and two dimensions.
        labels, ids, groups : str, optional
            Names of these columns; if not given, ``labels`` or ``label``, ``ids`` or ``id``, ``groups`` or ``group`` if
            they exist. An empty string means that none is read. Other columns of the file are named in :attr:`remarks`.
            Labels may be lists, if rows have several.
        separator : str, optional
            Separator of labels that are strings and hold several labels.
        where : mapping, or sequence of str, optional
            Which rows are read: ``{"split": "test", "camera": [1, 2]}`` or ``["split=test", "camera=1", "camera=2"]``
            reads the rows in which each named column holds one of its values. A store filters by itself, by the fields
            of its payload, metadata or table; of other sources a column or array of that name is read. What is left
            out is counted in :attr:`remarks`.
        drop_incomplete : bool
            Whether rows without a vector, and rows without a label where others have one, are left out and counted in
            :attr:`remarks`. They need ids, by which the others are paired; vectors are read once more to find them.

        Raises
        ------
        FileNotFoundError
            If a file does not exist.
        ConnectionError
            If a database does not answer now, or does not answer for a minute while a block is read.
        ValueError
            If the content cannot be used; the message begins with the path or URL. That includes rows without a vector
            (found while reading, unless ``drop_incomplete``) and a filter that leaves no row.
        """
        from verification.features.sources import is_url, open_url

        selection = Selection(Where.of(where), drop_incomplete)
        names = Names(features, labels, ids, groups, separator, selection or None)
        text = os.fspath(path)
        if not text:
            raise ValueError("a path or URL of features is needed, got an empty one.")
        return cls.__new__(cls)._hold(*(open_url(text, names) if is_url(text) else open_path(Path(path), names)))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to ``.npz``, ``.parquet``, ``.safetensors`` (integer columns) or ``.npy`` (columns in files beside it).

        A file appears whole or not at all.

        Raises
        ------
        ValueError
            For another suffix, string columns in ``.safetensors``, or features from a file that cannot be used.
        """
        from verification.features.files.writers import write_features

        write_features(Path(path), self.blocks(), self.columns, (len(self), self.dim), self.dtype)


def _cut(k: int, rows: ndarray, out: ndarray) -> None:
    out[:, :k] = rows[:, :k]
    out[:, k:] = 0.0


def _sign(rows: ndarray, out: ndarray) -> None:
    out[...] = np.where(rows > 0.0, 1.0, -1.0)


def _unpack(offset: int, rows: ndarray, out: ndarray) -> None:
    bits = np.unpackbits((rows + offset).astype(np.uint8), axis=1, count=out.shape[1])
    out[...] = 2.0 * bits - 1.0


def _blocks(count: int, dim: int, rows: int, dtype: Any) -> Iterator[ndarray]:
    if rows < 1:
        raise ValueError(f"rows must be an integer >= 1, got {rows}.")
    return (np.empty((min(rows, count - start), dim), dtype) for start in range(0, count, rows))

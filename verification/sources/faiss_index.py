"""Vectors of a FAISS index file that keeps them exactly (the extra ``retrieval``).

Flat, HNSW-flat and IVF-flat indexes, with ids of their own or without, give back what was added, number by
number. Quantised and transformed ones give approximations, of which an audit would judge the quantiser and not the
model: they are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from verification.files.beside import ids_path
from verification.files.shards import Fill, Shard, check_features

_EXACT = ("IndexFlat", "IndexFlatL2", "IndexFlatIP", "IndexFlat1D", "IndexHNSWFlat")
_EXACT_BY_LIST = ("IndexIVFFlat",)
_WITH_IDS = ("IndexIDMap", "IndexIDMap2")


@dataclass(frozen=True)
class _Stored:
    """Ids as stored, d, a function that gives the vectors at some places in this order, and whether it is that in which
    they were added."""

    ids: Int[ndarray, " n"]
    dim: int
    read: Callable[[Int[ndarray, " rows"]], ndarray]
    as_added: bool


def open_index(path: Path, labels: ndarray, label_ids: ndarray | None) -> Shard:
    """Shard of an index file, in the order of ids.

    Parameters
    ----------
    labels : ndarray, shape (N,)
        In the order of ``label_ids``.
    label_ids : ndarray of int, shape (N,), or None
        None where labels are in the order in which vectors were added.
    """
    stored = _stored(path)
    ids, shape = stored.ids, (len(stored.ids), stored.dim)
    check_features(shape, np.dtype(np.float32))
    if len(labels) != len(ids):
        raise ValueError(f"must have one label for each vector, got {len(ids)} vectors and {len(labels)} labels.")
    order = np.argsort(ids, kind="stable")
    ordered = ids[order]
    if np.any(ordered[1:] == ordered[:-1]):
        twice = int(ordered[1:][ordered[1:] == ordered[:-1]][0])
        raise ValueError(f"ids must be unique, but {twice} is there more than once.")
    if label_ids is None:
        # ids of a user's own in an inverted file, or not ascending: labels in order of ids or of adding?
        if not stored.as_added or np.any(ids[1:] < ids[:-1]):
            raise ValueError(f"has ids of its own: {ids_path(path).name} must say which id each label is of.")
    else:
        labels = _matched(ordered, labels, label_ids, path)
    opened = partial(_open_vectors, path)
    return Shard(path, shape, np.dtype(np.float32), labels, opened, seek=opened, ids=ordered)


def _matched(ids: Int[ndarray, " n"], labels: ndarray, label_ids: ndarray, path: Path) -> ndarray:
    order = np.argsort(label_ids, kind="stable")
    if not np.array_equal(label_ids[order], ids):
        raise ValueError(f"{ids_path(path).name} must hold the ids of the index, each once, and holds others.")
    return labels[order]


@contextmanager
def _open_vectors(path: Path, start: int = 0) -> Iterator[Fill]:
    stored = _stored(path)
    order = np.argsort(stored.ids, kind="stable")
    position = start

    def fill(out: ndarray) -> None:
        nonlocal position
        out[...] = stored.read(order[position : position + len(out)])
        position += len(out)

    yield fill


def _stored(path: Path) -> _Stored:
    try:
        import faiss
    except ImportError:
        raise ValueError("a FAISS index needs faiss: pip install 'stationary-representations[retrieval]'.") from None
    try:
        # mapped rather than read where the kind of index allows it
        index: Any = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
    except RuntimeError as error:
        raise ValueError(f"is not a readable FAISS index ({str(error).rpartition(': ')[2].strip()}).") from None
    places = np.arange(index.ntotal, dtype=np.int64)
    outer, ids, keys = index, places, places
    if type(index).__name__ in _WITH_IDS:
        ids = faiss.vector_to_array(index.id_map)
        index = faiss.downcast_index(index.index)
    kind = type(index).__name__
    if kind in _EXACT_BY_LIST:
        index.set_direct_map_type(faiss.DirectMap.Hashtable)  # type: ignore[attr-defined]
        keys = _listed_ids(index)
        ids = keys if outer is index else ids
    elif kind not in _EXACT:
        allowed = ", ".join((*_EXACT, *_EXACT_BY_LIST))
        raise ValueError(
            f"an index must keep its vectors exactly ({allowed}), got {kind}, which gives approximations or other "
            "vectors than were added; audit the vectors that were added to it."
        )
    return _Stored(ids, index.d, partial(_reconstructed, outer, index, keys), bool(np.array_equal(keys, places)))


def _reconstructed(outer: Any, index: Any, keys: ndarray, places: Int[ndarray, " rows"]) -> ndarray:
    """Vectors at some places; ``outer`` is held because it owns ``index``."""
    return index.reconstruct_batch(np.ascontiguousarray(keys[places], np.int64))


def _listed_ids(index: Any) -> Int[ndarray, " n"]:
    """Ids of an inverted file, ascending: the order in which they were added is not kept."""
    from faiss import rev_swig_ptr

    lists = index.invlists
    sizes = [lists.list_size(each) for each in range(index.nlist)]
    parts = [rev_swig_ptr(lists.get_ids(each), size).copy() for each, size in enumerate(sizes) if size]
    return np.sort(np.concatenate(parts)) if parts else np.empty(0, np.int64)

"""Exact nearest-neighbour search by cosine: fast in float32, settled in float64, never N × M numbers at once.

Both engines, faiss where it is installed and NumPy blocks elsewhere, only make a shortlist: a float32 similarity of
unit rows is off by less than :func:`_slack`, so whoever is within twice that of the k-th best may be among the k best
and nobody else can. The shortlist is then ranked by one float64 sum, computed in one order wherever a row stands, and
equal rows tie exactly; of equals the first row of the gallery wins. So the answer does not depend on the engine, the
blocks or the number of threads. The gallery is held once more, in float32.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from verification.features import FeatureSet

_SIMILARITIES = 2**24  # held at a time
_QUERIES = 4096  # asked of faiss at a time
_SPARE = 8  # neighbours asked of faiss beyond k, so that a shortlist is rarely cut off


def nearest_rows(
    queries: FeatureSet, gallery: FeatureSet, k: int = 1, *, same_samples: bool = False
) -> Int[ndarray, "n k"]:
    """Rows of the k gallery items nearest to each query by cosine, nearest first, equals in the order of the gallery.

    Parameters
    ----------
    queries, gallery : FeatureSet
        N and M rows of one dimension.
    k : int
        From 1 to M, or to M − 1 with ``same_samples``.
    same_samples : bool
        Query i and gallery item i are one sample, which may not find itself.

    Returns
    -------
    ndarray of int, shape (N, k)

    Raises
    ------
    ValueError
        If the dimensions differ, or ``same_samples`` and the lengths do, or k is out of range.
    """
    check_search(queries, gallery, same_samples)
    most = len(gallery) - same_samples
    if not 1 <= k <= most:
        raise ValueError(f"k must be from 1 to {most}, the gallery's items that a query may find, got {k}.")
    found = np.empty((len(queries), k), dtype=np.int64)
    items = np.concatenate([block.astype(np.float32, copy=False) for block in gallery.normalized_blocks()])
    left = _search_by_faiss(queries, gallery, items, same_samples, found)
    block = max(32, _SIMILARITIES // len(gallery))
    for start in range(0, len(left), block):
        rows = left[start : start + block]
        exact = unit_rows(queries, rows)
        pairs = _shortlist(exact.astype(np.float32), items, rows if same_samples else None, k)
        found[rows] = _settle(exact, gallery, pairs, k)
    return found


def check_search(queries: FeatureSet, gallery: FeatureSet, same_samples: bool) -> None:
    """Raise ValueError unless these queries can be searched in this gallery."""
    if queries.dim != gallery.dim:
        raise ValueError(f"queries and gallery must have one dimension, got {queries.dim} and {gallery.dim}.")
    if same_samples and len(queries) != len(gallery):
        raise ValueError(f"queries and gallery must hold the same samples, got {len(queries)} and {len(gallery)} rows.")


def unit_rows(features: FeatureSet, rows: ndarray) -> Float[ndarray, "p dim"]:
    """Some rows on the unit sphere, float64; the set itself stays as it is stored."""
    return FeatureSet(features.features[rows], features.labels[rows]).unit


def similarities(
    queries: Float[ndarray, "b dim"], gallery: FeatureSet, pairs: tuple[ndarray, ndarray]
) -> Float[ndarray, " p"]:
    """Dot product of each pair of unit rows, in one order of summation (that of BLAS depends on where a row stands)."""
    query, item = pairs
    result = np.empty(len(query))
    step = max(1, _SIMILARITIES // queries.shape[1])
    for start in range(0, len(query), step):
        part = slice(start, start + step)
        result[part] = np.add.reduce(queries[query[part]] * unit_rows(gallery, item[part]), axis=1)
    return result


def _slack(dim: int) -> float:
    """Twice the bound on the error of a float32 similarity: normalising and d + 2 roundings of terms of sum ≤ 1."""
    return 2.0 * (dim + 8) * float(np.finfo(np.float32).eps)


def _shortlist(
    rows: Float[ndarray, "b dim"], items: Float[ndarray, "m dim"], own: Int[ndarray, " b"] | None, k: int
) -> tuple[Int[ndarray, " p"], Int[ndarray, " p"]]:
    """Pairs (query, item) that may be among the k best, by blocks of the gallery."""
    best = np.full((len(rows), k), -np.inf, dtype=np.float32)  # ascending: the first is the k-th best so far
    slack = _slack(rows.shape[1])
    tile = max(1, _SIMILARITIES // len(rows))
    kept = []
    for start in range(0, len(items), tile):
        values = rows @ items[start : start + tile].T
        if own is not None:
            here = np.flatnonzero((own >= start) & (own < start + tile))
            values[here, own[here] - start] = -np.inf
        if k == 1:
            best = np.maximum(best, values.max(axis=1, keepdims=True))
        else:
            top = values if values.shape[1] <= k else np.partition(values, -k, axis=1)[:, -k:]
            best = np.sort(np.concatenate([best, top], axis=1), axis=1)[:, -k:]
        # -inf marks the sample itself, which a threshold of -inf would let through
        query, item = np.nonzero((values >= best[:, :1] - slack) & (values > -np.inf))
        kept.append((query, item + start, values[query, item]))
    query, item, value = (np.concatenate(part) for part in zip(*kept, strict=True))
    keep = value >= best[query, 0] - slack
    return query[keep], item[keep]


def _search_by_faiss(
    queries: FeatureSet,
    gallery: FeatureSet,
    items: Float[ndarray, "m dim"],
    same_samples: bool,
    found: Int[ndarray, "n k"],
) -> Int[ndarray, " left"]:
    """Fill ``found`` for the queries that faiss decides; return the others: those with many near ties, or all."""
    try:
        import faiss
    except ImportError:
        return np.arange(len(queries))
    index = faiss.IndexFlatIP(items.shape[1])
    index.add(items)
    k = found.shape[1]
    asked = min(len(items), k + _SPARE + same_samples)
    left = []
    for start in range(0, len(queries), _QUERIES):
        rows = np.arange(start, min(start + _QUERIES, len(queries)))
        exact = unit_rows(queries, rows)
        values, items_found = index.search(exact.astype(np.float32), asked)
        mine = (items_found == rows[:, None]) & same_samples
        values[mine] = -np.inf
        threshold = -np.partition(-values, k - 1, axis=1)[:, k - 1 : k] - _slack(items.shape[1])
        kept = (values >= threshold) & ~mine
        # what faiss left out is not above the last that it gave: a shortlist that reaches that one is cut off
        cut = (np.where(mine, np.inf, values).min(axis=1) >= threshold[:, 0]) & (asked < len(items))
        query, column = np.nonzero(kept)
        found[rows] = _settle(exact, gallery, (query, items_found[query, column]), k)
        left.append(rows[cut])
    return np.concatenate(left)


def _settle(
    exact: Float[ndarray, "b dim"], gallery: FeatureSet, pairs: tuple[ndarray, ndarray], k: int
) -> Int[ndarray, "b k"]:
    """Rank each query's shortlist by the float64 similarity, equals by row, and keep k."""
    query, item = pairs
    order = np.lexsort((item, -similarities(exact, gallery, pairs), query))
    first = np.searchsorted(query[order], np.arange(len(exact)))
    return item[order][first[:, None] + np.arange(k)]

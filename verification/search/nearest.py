"""Exact nearest-neighbour search in one pass over a gallery: fast in float32, settled in float64.

The gallery is read block by block and is never held. Of each block a float32 product makes a shortlist only: whoever is
within the rounding error of the k-th best so far may be among the k best, and nobody else can. The shortlist is then
ranked by the exact similarity (:mod:`verification.search.similarity`), and of equals the first row of the gallery wins.
So the answer does not depend on the blocks, the shards, the BLAS or the number of threads.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from verification.features import FeatureSet
from verification.search.ranks import Pairs
from verification.search.rules import Rules
from verification.search.similarity import Similarity, SimilarityName
from verification.statistics.interval import Interval

_PRODUCTS = 2**20  # held at a time, of so many queries at most: BLAS is fast at this shape, and the cache holds it
_QUERIES = 2**11
_SPARE = 32  # candidates beyond k that are settled without a closer look
_FLOOD = 64  # candidates beyond k at which a float32 product cannot tell items apart, and a float64 one may


@dataclass(frozen=True, kw_only=True)
class Found:
    """What the queries of each model found.

    Attributes
    ----------
    rows : ndarray of int64, shape (models, q, k)
        Rows of the gallery, nearest first, equals in the order of the gallery; −1 where a query may find fewer than k.
    similarity : ndarray of float64, shape (models, q, k)
        Of these rows, descending: the cosine, the dot product, also of signs, or minus the squared distance; −inf where
        there is none.
    ranks : ndarray of int64, shape (models, p), or None
        Of each pair in ``ranked`` the place of the item among all that the query may find, from 1; 0 where it may not
        find this one.
    """

    rows: Int[ndarray, "models q k"]
    similarity: Float[ndarray, "models q k"]
    ranks: Int[ndarray, "models p"] | None = None


def search(
    queries: Sequence[ndarray],
    gallery: FeatureSet,
    k: int,
    *,
    query_units: Int[ndarray, " q"] | None = None,
    item_units: Int[ndarray, " m"] | None = None,
    present: Bool[ndarray, " m"] | None = None,
    similarity: SimilarityName = "cosine",
    ranked: tuple[Int[ndarray, " p"], Int[ndarray, " p"]] | None = None,
) -> Found:
    """Find the k gallery items nearest to each query of each model, in one pass over the gallery.

    Memory grows with models·q·(k + d) and the number of ranked pairs, and does not grow with the features of the
    gallery.

    Parameters
    ----------
    queries : sequence of array_like, each of shape (q, d)
        The same queries by several models: unit rows for the cosine, rows as they are otherwise.
    gallery : FeatureSet
        M items of dimension d, read once, or twice with ``ranked``.
    k : int
        ≥ 1.
    query_units, item_units : ndarray of int, shapes (q,) and (M,), optional
        A query never finds an item of its own unit: itself, its twins, other shots of the same scene. −1 is no unit.
    present : ndarray of bool, shape (M,), optional
        False for items that nobody may find.
    similarity : {"cosine", "dot", "l2", "hamming"}
        Cosine or dot product, largest first, or Euclidean distance or Hamming distance of rows of ±1, smallest first.
    ranked : tuple of two ndarrays of int, shape (p,), optional
        Pairs (query, gallery row) whose places in the whole ranking are wanted, as for average precision.

    Raises
    ------
    ValueError
        If an argument is out of range or the shapes do not belong together.
    """
    if k < 1:
        raise ValueError(f"k must be an integer >= 1, got {k!r}.")
    kind = Similarity(similarity, queries, gallery)
    rules = Rules(len(queries), np.shape(queries[0])[0], len(gallery), query_units, item_units, present)
    best = _Best(kind, rules, k)
    pairs = None if ranked is None else Pairs(kind, rules, *ranked)
    start = 0
    for block in kind.blocks():
        best.look_at(block, start)
        if pairs is not None:
            pairs.look_at(block, start)
        start += len(block)
    shape = (len(queries), -1, k)
    return Found(
        rows=best.rows.reshape(shape),
        similarity=best.similarity.reshape(shape),
        ranks=None if pairs is None else pairs.ranks(),
    )


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
    own = np.arange(len(queries)) if same_samples else None
    return search([queries.unit], gallery, k, query_units=own, item_units=own).rows[0]


def check_search(queries: FeatureSet, gallery: FeatureSet, same_samples: bool) -> None:
    """Raise ValueError unless these queries can be searched in this gallery."""
    if queries.dim != gallery.dim:
        raise ValueError(f"queries and gallery must have one dimension, got {queries.dim} and {gallery.dim}.")
    if same_samples and len(queries) != len(gallery):
        raise ValueError(f"queries and gallery must hold the same samples, got {len(queries)} and {len(gallery)} rows.")


class _Best:
    """The k best items so far of each stacked query."""

    def __init__(self, kind: Similarity, rules: Rules, k: int) -> None:
        self._kind, self._rules, self._k = kind, rules, k
        self.rows = np.full((len(kind.rows), k), -1, dtype=np.int64)
        self.similarity = np.full((len(kind.rows), k), -np.inf)

    def look_at(self, block: Float[ndarray, "b dim"], start: int) -> None:
        """Take in the items of a block of the gallery, of which the first is row ``start``."""
        items = np.arange(start, start + len(block))
        if self._rules.present is not None:
            items = items[self._rules.present[items]]
            block = block[items - start]
        if not len(items):
            return
        # of equal rows no more are found than k and those of the query's own unit
        few = _first_equals(block, self._k + int(self._rules.own(items).max()))
        if len(few) < len(items):
            items, block = items[few], block[few]
        step = max(1, _PRODUCTS // min(len(self.rows), _QUERIES))
        for first in range(0, len(items), step):
            some, rows = items[first : first + step], block[first : first + step]
            for query, item in self._shortlists(rows, self._rules.own(some)):
                allowed = self._rules.allows(query, some[item])
                query, item = query[allowed], item[allowed]
                value = self._kind.of_pairs(query, rows, item)
                better = value > self.similarity[query, -1]  # an equal item of a later row is behind
                self._merge(query[better], some[item[better]], value[better])

    def _shortlists(self, block: Float[ndarray, "b dim"], own: Int[ndarray, " n"]) -> Iterator[tuple[ndarray, ndarray]]:
        """Yield pairs (row of the stacked queries, item of the block): all that may be among the k best."""
        queries = np.arange(len(self.rows))
        for dtype, most in ((np.float32, _FLOOD), (np.float64, len(block))):
            if not len(queries):
                return
            scaled = self._kind.scaled(block, dtype)
            slack = np.minimum(scaled.slack, 4.0).astype(dtype)  # products are from −1 to 1
            floor = np.clip(scaled.threshold(self.similarity[:, -1]), -1.0, 1.0).astype(dtype) - slack
            left = []
            for first in range(0, len(queries), _QUERIES):
                some = queries[first : first + _QUERIES]
                values = scaled.queries[some] @ scaled.items.T
                near = np.flatnonzero(values >= floor[some, None])
                last = self._k + own[some]  # the k-th that it may find is not behind this place
                many = np.flatnonzero(np.bincount(near // len(block), minlength=len(some)) > last + _SPARE)
                if len(many):
                    closer = values >= floor[some, None]
                    place = len(block) - last[many]
                    ordered = np.partition(values[many], np.unique(place), axis=1)
                    kth = ordered[np.arange(len(many)), place] - slack[some[many]]
                    closer[many] = values[many] >= np.maximum(floor[some[many]], kth)[:, None]
                    flooded = many[np.count_nonzero(closer[many], axis=1) > last[many] + most]
                    closer[flooded] = False
                    left.append(some[flooded])
                    near = np.flatnonzero(closer)
                query, item = np.divmod(near, len(block))
                yield some[query], item
            queries = np.concatenate([*left, np.empty(0, np.int64)])

    def _merge(self, query: ndarray, item: ndarray, value: ndarray) -> None:
        changed = np.unique(query)
        rows = np.concatenate([self.rows[changed].ravel(), item])
        values = np.concatenate([self.similarity[changed].ravel(), value])
        query = np.concatenate([np.repeat(changed, self._k), query])
        # before a real item stands no −1, since its similarity is −inf
        order = np.lexsort((rows, -values, query))
        first = np.searchsorted(query[order], changed)
        kept = order[first[:, None] + np.arange(self._k)]
        self.rows[changed], self.similarity[changed] = rows[kept], values[kept]


def _first_equals(rows: Float[ndarray, "b dim"], most: int) -> Int[ndarray, " m"]:
    """Return which rows have fewer than ``most`` equal ones before them, as few have in a gallery without copies."""
    if np.unique(rows[:, 0], return_counts=True)[1].max() <= most:
        return np.arange(len(rows))
    whole = np.ascontiguousarray(rows).view(np.dtype((np.void, rows.shape[1] * rows.itemsize))).ravel()
    group, count = np.unique(whole, return_inverse=True, return_counts=True)[1:]
    order = np.argsort(group, kind="stable")
    place = np.arange(len(rows)) - np.repeat(np.cumsum(count) - count, count)
    return np.sort(order[place < most])


def share_kept(old: Int[ndarray, "q k"], new: Int[ndarray, "q k"], confidence: float) -> Interval:
    """Return the share of the items that old queries find that new queries find too, with an interval over queries.

    −1 stands for an item that was not found.
    """
    both = (old[:, :, None] == new[:, None, :]) & (old >= 0)[:, :, None]
    shares = np.any(both, axis=2).sum(axis=1) / np.maximum((old >= 0).sum(axis=1), 1)
    error = float(np.std(shares, ddof=1)) / math.sqrt(len(shares)) if len(shares) > 1 else math.inf
    found = Interval.student(float(np.mean(shares)), error, max(len(shares) - 1.0, 1.0), confidence)
    return replace(found, lower=max(found.lower, 0.0), upper=min(found.upper, 1.0))

"""Places of chosen items in the whole ranking of a gallery, without the ranking: two passes over the gallery.

The first pass takes the exact similarity of each chosen pair (query, item). The second counts the items above it: a
sorted row of float64 products decides all but those within their rounding error, which are compared by the exact
similarity, equals by row. Memory grows with the number of pairs.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from verification.search.rules import Rules
from verification.search.similarity import Scaled, Similarity

_PRODUCTS = 2**20  # held at a time


def precision_of_ranks(query: Int[ndarray, " p"], ranks: Int[ndarray, " p"], num_queries: int) -> Float[ndarray, " q"]:
    r"""Average precision of each query from the places of its relevant items; 0 where it has none.

    :math:`AP = \frac1R \sum_{r=1}^{R} r / p_r`, p_r the place of the r-th of its R relevant items. A place of 0, of an
    item that the query may not find, does not count.
    """
    query, ranks = query[ranks > 0], ranks[ranks > 0]
    order = np.lexsort((ranks, query))
    count = np.bincount(query, minlength=num_queries)
    nth = np.arange(1, len(query) + 1) - np.repeat(np.cumsum(count) - count, count)
    return np.bincount(query[order], nth / ranks[order], num_queries) / np.maximum(count, 1)


class Pairs:
    """Chosen pairs (query, gallery row), the same for every model.

    Parameters
    ----------
    kind : Similarity
    rules : Rules
    query, item : ndarray of int, shape (p,)

    Raises
    ------
    ValueError
        If a pair does not exist.
    """

    def __init__(self, kind: Similarity, rules: Rules, query: ndarray, item: ndarray) -> None:
        query, item = np.asarray(query, dtype=np.int64), np.asarray(item, dtype=np.int64)
        if query.ndim != 1 or query.shape != item.shape:
            raise ValueError(f"ranked must be two arrays of one shape (p,), got {query.shape} and {item.shape}.")
        for name, values, count in (("queries", query, rules.num_queries), ("gallery rows", item, rules.num_items)):
            if len(values) and not 0 <= values.min() <= values.max() < count:
                raise ValueError(
                    f"ranked must hold {name} from 0 to {count - 1}, got {values.min()} to {values.max()}."
                )
        self._kind, self._rules = kind, rules
        self._allowed = rules.allows(query, item)
        query, item = query[self._allowed], item[self._allowed]
        models = np.arange(rules.models)[:, None]
        self._query = (models * rules.num_queries + query).ravel()
        self._item = np.tile(item, rules.models)
        self._similarity = np.empty(len(self._query))
        self._by_item = np.argsort(self._item, kind="stable")

    def look_at(self, block: Float[ndarray, "b dim"], start: int) -> None:
        """Take the similarities of the pairs whose item is in a block, of which the first is row ``start``."""
        first, last = np.searchsorted(self._item, (start, start + len(block)), sorter=self._by_item)
        here = self._by_item[first:last]
        self._similarity[here] = self._kind.of_pairs(self._query[here], block, self._item[here] - start)

    @property
    def similarity(self) -> Float[ndarray, "models p"]:
        """Of the pairs that queries may find, once the whole gallery was looked at."""
        return self._similarity.reshape(self._rules.models, -1)

    def ranks(self) -> Int[ndarray, "models p"]:
        """Read the gallery again and return each pair's place, from 1; 0 where the query may not find the item."""
        # by query, the farthest item first
        order = np.lexsort((-self._item, self._similarity, self._query))
        queries, first = np.unique(self._query[order], return_index=True)
        ends = np.append(first[1:], len(order))
        thresholds, rows = self._similarity[order], self._item[order]
        above = np.zeros(len(order), dtype=np.int64)
        start = 0
        for block in self._kind.blocks() if len(queries) else ():
            items = np.arange(start, start + len(block))
            scaled = self._kind.scaled(block, np.float64)
            step = max(1, _PRODUCTS // len(block))
            for begin in range(0, len(queries), step):
                some = queries[begin : begin + step]
                values = scaled.queries[some] @ scaled.items.T
                values[self._rules.forbidden(some, items)] = -np.inf
                for i, rising in enumerate(np.sort(values, axis=1), begin):
                    part = slice(first[i], ends[i])
                    scale, error = scaled.threshold(thresholds[part], queries[i]), scaled.slack[queries[i]]
                    higher = len(rising) - np.searchsorted(rising, scale + error, "right")
                    unsure = len(rising) - np.searchsorted(rising, scale - error, "left") - higher
                    # each chosen item of this block is as high as itself
                    if np.array_equal(unsure, (rows[part] >= start) & (rows[part] < start + len(block))):
                        above[part] += higher
                    else:
                        above[part] += self._higher(
                            int(queries[i]), values[i - begin], scaled, (block, items), (thresholds[part], rows[part])
                        )
            start += len(block)
        places = np.empty(len(order), dtype=np.int64)
        places[order] = above + 1
        result = np.zeros((self._rules.models, len(self._allowed)), dtype=np.int64)
        result[:, self._allowed] = places.reshape(self._rules.models, -1)
        return result

    def _higher(
        self,
        query: int,
        values: Float[ndarray, " b"],
        scaled: Scaled,
        gallery: tuple[Float[ndarray, "b dim"], Int[ndarray, " b"]],
        chosen: tuple[Float[ndarray, " r"], Int[ndarray, " r"]],
    ) -> Int[ndarray, " r"]:
        """How many items of a block are above each chosen one, where products alone do not tell."""
        block, items = gallery
        thresholds, rows = chosen
        scale = scaled.threshold(thresholds, query)
        error = scaled.slack[query]
        near = np.flatnonzero(values >= scale[0] - error)
        low = np.searchsorted(scale, values[near] - error, "left")
        unsure = np.flatnonzero(low < np.searchsorted(scale, values[near] + error, "right"))
        if len(unsure):
            there = near[unsure]
            exact = self._kind.of_pairs(np.full(len(there), query), block, there)
            # items among the chosen, farthest first; an item stands before itself, as it is not above itself
            is_chosen = np.r_[np.zeros(len(there), dtype=bool), np.ones(len(rows), dtype=bool)]
            order = np.lexsort((is_chosen, -np.r_[items[there], rows], np.r_[exact, thresholds]))
            below = np.empty(len(order), dtype=np.int64)
            below[order] = np.cumsum(is_chosen[order])
            low[unsure] = below[: len(there)]
        count = np.bincount(low, minlength=len(rows) + 1)
        return np.cumsum(count[:0:-1])[::-1]

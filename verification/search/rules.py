"""Which items a query may find: not those of its own unit, nor any that are left out."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int
from numpy import ndarray


class Rules:
    """Units of the queries, stacked for several models, and of the items; which items are there.

    Parameters
    ----------
    models, num_queries, num_items : int
    query_units, item_units : ndarray of int, shapes (q,) and (M,), or None
        −1 is no unit.
    present : ndarray of bool, shape (M,), or None

    Raises
    ------
    ValueError
        If a shape or a type is another one, or only one side has units.
    """

    def __init__(
        self,
        models: int,
        num_queries: int,
        num_items: int,
        query_units: ndarray | None,
        item_units: ndarray | None,
        present: ndarray | None,
    ) -> None:
        if (query_units is None) != (item_units is None):
            raise ValueError("query_units and item_units must be given together.")
        self.models, self.num_queries, self.num_items = models, num_queries, num_items
        self.present = None if present is None else _column("present", present, num_items, "b")
        if query_units is None or item_units is None:
            self._query = self._item = None
            return
        self._query = np.tile(_column("query_units", query_units, num_queries, "iu"), models)
        self._item = _column("item_units", item_units, num_items, "iu")

    def allows(self, query: Int[ndarray, " p"], item: Int[ndarray, " p"]) -> Bool[ndarray, " p"]:
        """Whether each stacked query may find each item."""
        allowed = np.ones(len(query), dtype=bool) if self.present is None else self.present[item]
        if self._query is not None and self._item is not None:
            unit = self._query[query]
            allowed &= (unit != self._item[item]) | (unit == -1)
        return allowed

    def forbidden(
        self, query: Int[ndarray, " q"], items: Int[ndarray, " b"]
    ) -> tuple[Int[ndarray, " p"], Int[ndarray, " p"]]:
        """Places of the pairs, among these stacked queries and items, that may not find each other."""
        rows, columns = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
        if self.present is not None:
            absent = np.flatnonzero(~self.present[items])
            rows.append(np.repeat(np.arange(len(query)), len(absent)))
            columns.append(np.tile(absent, len(query)))
        if self._query is not None and self._item is not None:
            order = np.argsort(self._item[items], kind="stable")
            units, own = self._item[items][order], self._query[query]
            first, last = (np.searchsorted(units, own, side) for side in ("left", "right"))
            count = np.where(own == -1, 0, last - first)
            rows.append(np.repeat(np.arange(len(query)), count))
            nth = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
            columns.append(order[np.repeat(first, count) + nth])
        return np.concatenate(rows), np.concatenate(columns)

    def own(self, items: Int[ndarray, " b"]) -> Int[ndarray, " n"]:
        """How many of these items are of each stacked query's unit."""
        if self._query is None or self._item is None:
            return np.zeros(self.models * self.num_queries, dtype=np.int64)
        units = np.sort(self._item[items])
        count = np.searchsorted(units, self._query, "right") - np.searchsorted(units, self._query, "left")
        return np.where(self._query == -1, 0, count)


def _column(name: str, values: ndarray, length: int, kinds: str) -> ndarray:
    array = np.asarray(values)
    if array.shape != (length,) or array.dtype.kind not in kinds:
        kind = "booleans" if kinds == "b" else "integers"
        raise ValueError(f"{name} must be {length} {kind}, got shape {array.shape} of {array.dtype}.")
    return array if kinds == "b" else array.astype(np.int64, copy=False)

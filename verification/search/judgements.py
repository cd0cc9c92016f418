"""Which items answer which query, and how well: judgements (qrels), or labels that queries and items share.

Ids in judgement files are text. An id is compared by its text, an integer by its decimal digits: 7 and "7" are one id,
"07" is another, and nothing is converted to a floating-point number on the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from numpy.typing import ArrayLike
from scipy import sparse

from verification.features import common_codes
from verification.search.judgement_files import read_judgements
from verification.search.ranks import precision_of_ranks
from verification.search.rules import Rules

Gain = Literal["linear", "exponential"]


@dataclass(frozen=True, kw_only=True)
class TopScores:
    """Scores of the k items that were found, one value per model and query; NaN where no item answers the query.

    Attributes
    ----------
    hit : ndarray, shape (models, q)
        1 where one of them is relevant.
    recall : ndarray, shape (models, q)
        Share of all relevant items that are among them.
    reciprocal_rank : ndarray, shape (models, q)
        1 over the place of the first relevant one, 0 where there is none; the mean is MRR@k.
    ndcg : ndarray, shape (models, q)
        Discounted cumulative gain over the best that any order of the items has.
    unjudged : ndarray of int, shape (models, q)
        How many of them were never judged; they count as not relevant.
    """

    hit: Float[ndarray, "models q"]
    recall: Float[ndarray, "models q"]
    reciprocal_rank: Float[ndarray, "models q"]
    ndcg: Float[ndarray, "models q"]
    unjudged: Int[ndarray, "models q"]


class Judgements:
    """Grades of pairs (query, item); an item is relevant where its grade is above 0.

    Memory grows with the number of judged pairs.

    Parameters
    ----------
    query, item : array_like of int, shape (p,)
        Rows of the queries and of the gallery; a pair may come more than once, with one grade.
    grade : array_like, shape (p,)
        Finite.
    num_queries, num_items : int
    complete : bool
        Whether pairs that are not listed are known not to be relevant, rather than unjudged.
    unknown : int
        Judgements that are not listed because the query or the item is not there.

    Attributes
    ----------
    query, item, grade : ndarray, shape (p,)
        Sorted by query and item, each pair once.
    answerable : ndarray of bool, shape (q,)
        Whether the query has a relevant item. A query without one is no miss: leave it out and count it.

    Raises
    ------
    ValueError
        If a pair has two grades, or one does not exist.
    """

    def __init__(
        self,
        query: ArrayLike,
        item: ArrayLike,
        grade: ArrayLike,
        num_queries: int,
        num_items: int,
        *,
        complete: bool = False,
        unknown: int = 0,
    ) -> None:
        query, item = np.asarray(query, dtype=np.int64), np.asarray(item, dtype=np.int64)
        grade = np.asarray(grade, dtype=np.float64)
        if query.ndim != 1 or not query.shape == item.shape == grade.shape:
            raise ValueError(
                f"query, item and grade must have one shape (p,), got {query.shape}, {item.shape}, {grade.shape}."
            )
        if len(query) and not (
            0 <= query.min() <= query.max() < num_queries and 0 <= item.min() <= item.max() < num_items
        ):
            raise ValueError(f"judgements must be of {num_queries} queries and {num_items} items, counted from 0.")
        if not np.all(np.isfinite(grade)):
            raise ValueError("grades must be finite.")
        keys, first, place = np.unique(query * num_items + item, return_index=True, return_inverse=True)
        other = np.flatnonzero(grade != grade[first][place])
        if len(other):
            one = other[0]
            raise ValueError(
                f"a pair must have one grade, but query {query[one]} and item {item[one]} have "
                f"{grade[first[place[one]]]:g} and {grade[one]:g}."
            )
        self._keys = keys
        self.query, self.item, self.grade = query[first], item[first], grade[first]
        self.num_queries, self.num_items = num_queries, num_items
        self.complete, self.unknown = complete, unknown
        self._counts = np.bincount(self.query[self.grade > 0.0], minlength=num_queries)

    @classmethod
    def from_file(cls, path: str | Path, query_ids: ArrayLike, item_ids: ArrayLike) -> Judgements:
        """Read judgements from TREC qrels, a BEIR table or JSON lines (:mod:`verification.search.judgement_files`).

        Judgements of queries or items that are not there are counted in ``unknown`` and left out, so a relevant item
        that the gallery lacks is not missed by anybody.

        Parameters
        ----------
        path : str or Path
        query_ids, item_ids : array_like of int or str, shapes (q,) and (M,)
            Each once.

        Raises
        ------
        ValueError
            If the file cannot be used, ids repeat, or no judgement is of these queries and items.
        """
        read = read_judgements(Path(path))
        queries, items = positions(query_ids, "query ids"), positions(item_ids, "item ids")
        query = np.array([queries.get(name, -1) for name in read.queries])
        item = np.array([items.get(name, -1) for name in read.items])
        known = (query >= 0) & (item >= 0)
        if not known.any():
            side, ids, named = ("query", queries, read.queries) if (query < 0).all() else ("item", items, read.items)
            raise ValueError(
                f"{path}: judgements must be of the given queries and items, but none is; the first {side} id is "
                f"{named[0]!r} in the file and {next(iter(ids), None)!r} in the features."
            )
        grade = np.array(read.grades)
        return cls(query[known], item[known], grade[known], len(queries), len(items), unknown=int(np.sum(~known)))

    @classmethod
    def from_labels(
        cls, query_labels: Any, item_labels: Any, separator: str | None = None, most: int | None = None
    ) -> Judgements:
        """Judge an item relevant to a query where they share a label.

        Parameters
        ----------
        query_labels, item_labels : sequences of length q and M
            A label each (int or str), or a list of labels each; an empty list, None and NaN are no label.
        separator : str, optional
            By which labels in one string are told apart: ``"|"`` for ``"cat|animal"``.
        most : int, optional
            Pairs that may share a label, counted once for each label that they share.

        Raises
        ------
        ValueError
            If labels are integers on one side and strings on the other, or too many pairs share one.
        """
        sides = [_Incidence(labels, separator) for labels in (query_labels, item_labels)]
        names, *codes = common_codes(*[side.labels for side in sides])
        first, second = (side.matrix(code, len(names)) for side, code in zip(sides, codes, strict=True))
        pairs = int(first.sum(axis=0) @ second.sum(axis=0))
        if most is not None and pairs > most:
            raise ValueError(
                f"labels are shared by {pairs:,} pairs of a query and an item, and at most {most:,} can be held: "
                "compare a sample (--sample), or leave out labels that nearly every row has."
            )
        shared = (first @ second.T).tocoo()
        return cls(shared.row, shared.col, np.ones(shared.nnz), *shared.shape, complete=True)

    @property
    def answerable(self) -> Bool[ndarray, " q"]:
        """Whether each query has a relevant item."""
        return self._counts > 0

    def reachable(
        self,
        query_units: Int[ndarray, " q"] | None = None,
        item_units: Int[ndarray, " m"] | None = None,
        present: Bool[ndarray, " m"] | None = None,
    ) -> Judgements:
        """Return the judgements of items that the queries may find; arguments as of the search."""
        rules = Rules(1, self.num_queries, self.num_items, query_units, item_units, present)
        return self._some(rules.allows(self.query, self.item), self.query, self.num_queries)

    def of_queries(self, index: Int[ndarray, " n"]) -> Judgements:
        """Return the judgements of some queries, each once, numbered as in ``index``."""
        place = np.full(self.num_queries, -1)
        place[index] = np.arange(len(index))
        return self._some(place[self.query] >= 0, place[self.query], len(index))

    def relevant(self) -> tuple[Int[ndarray, " r"], Int[ndarray, " r"]]:
        """Return all pairs (query, item) that are relevant, for ``search(ranked=...)``."""
        above = self.grade > 0.0
        return self.query[above], self.item[above]

    def grades(
        self, rows: Int[ndarray, "models q k"]
    ) -> tuple[Float[ndarray, "models q k"], Bool[ndarray, "models q k"]]:
        """Return the grade of each item that was found, 0 for an unjudged one, and whether it was judged."""
        rows = np.asarray(rows)
        keys = np.arange(self.num_queries)[:, None] * self.num_items + rows
        if not len(self._keys):
            return np.zeros(rows.shape), np.full(rows.shape, self.complete)
        place = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        judged = (self._keys[place] == keys) & (rows >= 0)
        return np.where(judged, self.grade[place], 0.0), judged | self.complete

    def top_scores(self, rows: Int[ndarray, "models q k"], gain: Gain = "linear") -> TopScores:
        r"""Score lists of found items.

        :math:`nDCG@k = \sum_{i \le k} g(r_i) / \log_2(i + 1)` over its largest possible value, with the gain g(r) = r
        (as trec_eval and ir-measures) or 2^r − 1; grades below 0 gain nothing.

        Parameters
        ----------
        rows : ndarray of int, shape (models, q, k)
            As :class:`~verification.search.nearest.Found` has them, −1 where there is none.
        gain : {"linear", "exponential"}
        """
        if gain not in ("linear", "exponential"):
            raise ValueError(f"gain must be 'linear' or 'exponential', got {gain!r}.")
        rows = np.asarray(rows)
        k = rows.shape[2]
        grades, judged = self.grades(rows)
        relevant = grades > 0.0
        first = np.where(relevant.any(axis=2), np.argmax(relevant, axis=2) + 1.0, np.inf)
        discount = 1.0 / np.log2(np.arange(2, k + 2))
        ideal = np.zeros((self.num_queries, k))
        order = np.lexsort((-self.grade, self.query))
        place = np.arange(len(order)) - np.searchsorted(self.query, self.query[order])
        kept = place < k
        ideal[self.query[order][kept], place[kept]] = self.grade[order][kept]
        with np.errstate(divide="ignore", invalid="ignore"):  # queries without an answer
            return TopScores(
                hit=np.where(self.answerable, relevant.any(axis=2), np.nan),
                recall=relevant.sum(axis=2) / np.where(self.answerable, self._counts, np.nan),
                reciprocal_rank=np.where(self.answerable, 1.0 / first, np.nan),
                ndcg=(_gains(grades, gain) @ discount) / (_gains(ideal, gain) @ discount),
                unjudged=np.sum(~judged & (rows >= 0), axis=2),
            )

    def average_precision(self, ranks: Int[ndarray, "models r"]) -> Float[ndarray, "models q"]:
        """Average precision of each query from the places of :meth:`relevant`; NaN where no item answers the query."""
        query, _ = self.relevant()
        values = np.stack([precision_of_ranks(query, places, self.num_queries) for places in ranks])
        return np.where(self.answerable, values, np.nan)

    def _some(self, kept: Bool[ndarray, " p"], query: Int[ndarray, " p"], num_queries: int) -> Judgements:
        return Judgements(
            query[kept],
            self.item[kept],
            self.grade[kept],
            num_queries,
            self.num_items,
            complete=self.complete,
            unknown=self.unknown,
        )


def positions(ids: ArrayLike, name: str) -> dict[str, int]:
    """Return the row of each id by its text.

    Raises
    ------
    ValueError
        If an id is there twice, as 7 beside "7" is, or is not an integer or a string.
    """
    values = np.asarray(ids)
    if values.dtype.kind not in "iuU":
        raise ValueError(f"{name} must be integers or strings, got {values.dtype}.")
    rows: dict[str, int] = {}
    for row, value in enumerate(values.tolist()):
        if rows.setdefault(str(value), row) != row:
            raise ValueError(
                f"{name} must be there once each, but {str(value)!r} is in rows {rows[str(value)]} and {row}."
            )
    return rows


def _gains(grades: Float[ndarray, "... k"], gain: Gain) -> Float[ndarray, "... k"]:
    above = np.maximum(grades, 0.0)
    return above if gain == "linear" else np.exp2(above) - 1.0


class _Incidence:
    """Labels of rows that may have several, one after the other, and the row of each."""

    def __init__(self, labels: Any, separator: str | None) -> None:
        values = labels.tolist() if isinstance(labels, np.ndarray) else list(labels)
        rows = [self._listed(value, separator) for value in values]
        self.labels = [label for row in rows for label in row] or None
        self._bounds = np.cumsum([0, *map(len, rows)])

    @staticmethod
    def _listed(value: Any, separator: str | None) -> list[Any]:
        if isinstance(value, str):
            return [value] if separator is None else [part for part in map(str.strip, value.split(separator)) if part]
        several = isinstance(value, Sequence | set | frozenset | np.ndarray)
        return [label for label in (value if several else [value]) if label is not None and label == label]

    def matrix(self, codes: ndarray | None, num_labels: int) -> sparse.csr_array:
        """Rows by labels, 1 where the row has it."""
        indices = np.empty(0, np.int64) if codes is None else codes
        shape = (len(self._bounds) - 1, num_labels)
        return sparse.csr_array((np.ones(len(indices)), indices, self._bounds), shape=shape)

"""Lists of pairs, each of the same or of different identities: 1:1 verification as LFW and IJB define it.

FAR is the share of different pairs that are accepted, TAR that of same pairs. Pairs that share a sample depend on each
other, so the sample is the unit of the intervals, or its group, for example the person.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from numpy.typing import ArrayLike

from verification.features import FeatureSet
from verification.search.judgement_files import read_pairs
from verification.search.judgements import positions
from verification.search.ranks import Pairs
from verification.search.rates import AcceptReport, Rates, compare_rates
from verification.search.rules import Rules
from verification.search.similarity import Similarity, SimilarityName


@dataclass(frozen=True, kw_only=True)
class PairList:
    """Pairs of a query and an item of the gallery.

    Attributes
    ----------
    query, item : ndarray of int, shape (p,)
        Rows.
    same : ndarray of bool, shape (p,)
    unknown : int
        Pairs of the file that were left out because an id is not there.
    """

    query: Int[ndarray, " p"]
    item: Int[ndarray, " p"]
    same: Bool[ndarray, " p"]
    unknown: int = 0

    @classmethod
    def from_file(cls, path: str | Path, query_ids: ArrayLike, item_ids: ArrayLike) -> PairList:
        """Read two columns of ids and one of same or different (:mod:`verification.search.judgement_files`).

        Ids compare as text, as in :class:`~verification.search.judgements.Judgements`.

        Raises
        ------
        ValueError
            If the file cannot be used, ids repeat, or no pair is of these queries and items.
        """
        read = read_pairs(Path(path))
        queries, items = positions(query_ids, "query ids"), positions(item_ids, "item ids")
        query = np.array([queries.get(name, -1) for name in read.queries])
        item = np.array([items.get(name, -1) for name in read.items])
        known = (query >= 0) & (item >= 0)
        if not known.any():
            raise ValueError(
                f"{path}: pairs must be of the given queries and items, but none is; the first is {read.queries[0]!r} "
                f"and {read.items[0]!r}."
            )
        return cls(
            query=query[known],
            item=item[known],
            same=np.array(read.grades)[known] > 0.0,
            unknown=int(np.sum(~known)),
        )


def pair_similarities(
    queries: Sequence[ndarray], gallery: FeatureSet, pairs: PairList, similarity: SimilarityName = "cosine"
) -> Float[ndarray, "models p"]:
    """Return the similarity of each pair by each model, in one pass over the gallery; arguments as of the search."""
    kind = Similarity(similarity, queries, gallery)
    rules = Rules(len(queries), np.shape(queries[0])[0], len(gallery), None, None, None)
    chosen = Pairs(kind, rules, pairs.query, pairs.item)
    start = 0
    for block in kind.blocks():
        chosen.look_at(block, start)
        start += len(block)
    return chosen.similarity


def compare_pairs(
    similarity: Float[ndarray, "2 p"],
    pairs: PairList,
    query_units: Int[ndarray, " q"],
    item_units: Int[ndarray, " m"],
    *,
    threshold: float | None = None,
    far: float | None = None,
    grouped: bool = False,
    confidence: float = 0.95,
) -> AcceptReport:
    """Compare FAR and TAR of the old and of the new model over a list of pairs.

    Parameters
    ----------
    similarity : ndarray, shape (2, p)
        By the old and by the new model, as :func:`pair_similarities` gives it.
    pairs : PairList
    query_units, item_units : ndarray of int, shapes (q,) and (M,)
        ≥ 0, equal for rows that depend on each other: one number per sample, or one per group. A query and an item that
        are one sample have one number.
    threshold : float
        The old accept threshold.
    far : float
        In (0, 1), instead of it: the FAR that it has with the old model, at most.
    grouped : bool
        Whether the units are groups, which is what intervals then say.
    confidence : float
        Confidence of each interval, in (0, 1).

    Raises
    ------
    ValueError
        If all pairs are the same, or all are different, or an argument is out of range.
    """
    members = [np.asarray(query_units)[pairs.query], np.asarray(item_units)[pairs.item]]
    numbered = np.unique(np.concatenate(members), return_inverse=True)[1].ravel()
    first, second = np.split(numbered, 2)
    rates = Rates(confidence, [first, second], "group" if grouped else "sample")
    return compare_rates(similarity, pairs.same, rates, threshold=threshold, false_rate=far)

"""Retrieval judged in parts: each worker searches its part of a gallery, and what the queries found merges exactly.

A query's nearest item in a gallery is the nearest of those that it finds in the parts; of equal ones the item that
stands first wins, as in one search. So the verdict is that of the whole gallery, number by number, while a part can be
whatever one machine holds.

What has to look at all pairs of samples, as an accept threshold does, is judged on a sample. :func:`hashed_sample`
draws one in parts: whether a row is drawn depends on its id alone, so workers agree without talking to each other.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from numpy.typing import ArrayLike

from verification.audit.accept import AcceptClaim, judge_identification
from verification.features import FeatureSet
from verification.search.nearest import Found, search
from verification.statistics.interval import Criterion, Interval, Judged, Population, Unit
from verification.statistics.paired import both_intervals
from verification.upgrade import Upgrade, connected

_CLASS: Unit = "class"


def hashed_sample(values: ArrayLike, share: float, *, seed: int = 0) -> Bool[ndarray, " n"]:
    """Return which rows belong to a random sample, decided for each row by its own value.

    The sample is the same however the rows are split and ordered, and a larger share of the same seed holds the smaller
    one. Ids draw rows, labels draw whole classes, and groups draw whole groups.

    Parameters
    ----------
    values : array_like, shape (n,)
        Ids, labels or groups: integers or strings, of which 7 and "7" count as one.
    share : float
        The probability of each distinct value, in (0, 1].
    seed : int
        From 0 to 2⁶⁴ − 1.

    Raises
    ------
    ValueError
        If an argument is out of range, or the values are of another kind.

    Notes
    -----
    A value is drawn if 64 bits of its BLAKE2b digest, read as a number from 0 to 1, lie below the share. The size of
    the sample is therefore random, with a standard deviation of at most the square root of its mean.
    """
    values = np.asarray(values)
    if values.ndim != 1 or values.dtype.kind not in "iuUS":
        raise ValueError(f"values must be integers or strings, shape (n,), got {values.dtype} of shape {values.shape}.")
    if not 0.0 < share <= 1.0:
        raise ValueError(f"share must be in (0, 1], got {share!r}.")
    if not 0 <= seed < 2**64:
        raise ValueError(f"seed must be an integer from 0 to 2**64 - 1, got {seed!r}.")
    distinct, place = np.unique(values.astype(np.str_), return_inverse=True)
    key = seed.to_bytes(8, "little")
    digests = (hashlib.blake2b(value.encode(), digest_size=8, key=key).digest() for value in distinct.tolist())
    numbers = np.frombuffer(b"".join(digests), dtype="<u8")
    # the first 53 bits are a float64 without rounding
    return ((numbers >> np.uint64(11)) * 2.0**-53 < share)[place.ravel()]


@dataclass(frozen=True, kw_only=True)
class PartsReport:
    """Recall@1 of old and new queries in all parts together.

    Attributes
    ----------
    change : Judged
        Of recall@1, new less old queries, with its verdict.
    old_old, new_old : float
        Recall@1 of old and of new queries, in [0, 1].
    num_queries, num_lone : int
        Queries that some item answers, and that none does, which are left out.
    num_gallery : int
        Items of all parts.
    """

    change: Judged
    old_old: float
    new_old: float
    num_queries: int
    num_lone: int
    num_gallery: int


class RetrievalParts:
    """What queries of two models found in parts of the old gallery.

    Parameters
    ----------
    new, old : FeatureSet
        The queries, as for :class:`~verification.upgrade.Upgrade`, with labels; the same on every worker.

    Notes
    -----
    The gallery is taken as given. Where it consists of the queries themselves, these are linked through what they find,
    for which :func:`~verification.audit.retrieval.compare_retrieval` without a gallery widens the interval; this does
    not. Two groups of queries count as one where the gallery holds copies of both in one group of its own, if these
    copies are in one part.
    """

    def __init__(self, new: FeatureSet, old: FeatureSet) -> None:
        if new.labels is None and old.labels is None:
            raise ValueError("queries must have labels, one per row, to be judged in parts.")
        queries = Upgrade(new, old)
        self._sets: tuple[FeatureSet, FeatureSet] | None = (queries.new, queries.old)
        count = len(queries.codes)
        # of the nearest item so far of each query, by old and new features: similarity, place, and whether it is right
        self._similarity: Float[ndarray, "2 n"] = np.full((2, count), -np.inf)
        self._place: Int[ndarray, "2 n"] = np.full((2, count), np.iinfo(np.int64).max)
        self._right: Bool[ndarray, "2 n"] = np.zeros((2, count), bool)
        self._answerable = np.zeros(count, bool)
        self._identical = True
        self._codes = queries.codes
        # groups, and what copies of queries in the gallery make one
        self._units = queries.group_codes
        self._items = 0

    def add(self, part: FeatureSet, start: int) -> RetrievalParts:
        """Search a part of the gallery.

        Parameters
        ----------
        part : FeatureSet
            Items by the old model, with labels.
        start : int
            ≥ 0, the place of its first item in the whole gallery, which settles ties.

        Raises
        ------
        ValueError
            If the part does not belong to the queries, or these were left behind when the parts travelled.
        """
        if self._sets is None:
            raise ValueError("parts that were sent to another process can be merged, and take in no gallery.")
        if part.labels is None:
            raise ValueError("a part of the gallery must have labels, one per row.")
        upgrade = Upgrade(*self._sets, part)
        reading, item_codes = upgrade.read(), upgrade.item_codes
        queries = [upgrade.old.unit, upgrade.new.unit]
        units, item_units = reading.units, reading.gallery_units
        if units is None or item_units is None:
            units = item_units = None
        found = search(queries, part, 1, query_units=units, item_units=item_units, present=upgrade.in_search)
        rows, similarity = found.rows[:, :, 0], found.similarity[:, :, 0]
        right = (rows >= 0) & (item_codes[rows] == upgrade.codes) & (upgrade.codes >= 0)
        self._take_in(similarity, np.where(rows < 0, np.iinfo(np.int64).max, rows + start), right)
        self._answerable |= upgrade.answers > 0
        self._join(units)
        self._identical &= upgrade.identical
        self._items += len(part)
        return self

    def merge(self, other: RetrievalParts) -> RetrievalParts:
        """Take in what the same queries found in other parts; ValueError where they are other queries."""
        if not np.array_equal(self._codes, other._codes):
            raise ValueError("parts must be searched by the same queries, got other labels.")
        self._take_in(other._similarity, other._place, other._right)
        self._answerable = self._answerable | other._answerable
        self._join(other._units)
        self._identical &= other._identical
        self._items += other._items
        return self

    def _join(self, units: Int[ndarray, " n"] | None) -> None:
        """Let queries be of one unit that are so in another part; without groups each is its own."""
        if self._units is not None and units is not None:
            self._units = connected([self._units, units], len(units))

    def _take_in(self, similarity: ndarray, place: ndarray, right: ndarray) -> None:
        nearer = (similarity > self._similarity) | ((similarity == self._similarity) & (place < self._place))
        self._similarity = np.where(nearer, similarity, self._similarity)
        self._place = np.where(nearer, place, self._place)
        self._right = np.where(nearer, right, self._right)

    def report(self, criterion: Criterion | None = None, population: Population = Population.fixed) -> PartsReport:
        """Judge the change of recall@1.

        Parameters
        ----------
        criterion : Criterion, optional
            Confidence, and the accepted loss in [0, 1); 95 % and none if not given.
        population : Population
            Whom the verdict is about.

        Raises
        ------
        ValueError
            If no query can be answered.
        """
        criterion = criterion or Criterion()
        asked = self._answerable & (self._codes >= 0)
        if not np.any(asked):
            raise ValueError(
                "no query has an item that answers it and that it may find: in the gallery, none is relevant."
            )
        old, new = self._right[:, asked].astype(np.float64)
        difference, level = new - old, 1.0 - criterion.confidence
        fixed, drawn = both_intervals(
            difference, level, None if self._units is None else self._units[asked], self._codes[asked]
        )
        value = float(np.mean(difference))
        unit: Unit = "sample" if self._units is None else "group"
        if self._identical and not np.any(difference):
            fixed = drawn = value, value
        ends = [
            Interval(value=value, lower=low, upper=high, confidence=criterion.confidence, unit=own, population=about)
            for (low, high), own, about in ((fixed, unit, Population.fixed), (drawn, _CLASS, Population.drawn))
        ]
        return PartsReport(
            change=criterion.judge(ends[0], ends[1], population),
            old_old=float(np.mean(old)),
            new_old=float(np.mean(new)),
            num_queries=int(np.count_nonzero(asked)),
            num_lone=int(np.count_nonzero((self._codes >= 0) & ~asked)),
            num_gallery=self._items,
        )

    def identification(
        self,
        *,
        threshold: float | None = None,
        fpir: float | None = None,
        far_margin: float | str = 0.0,
        tar_margin: float | str = 0.0,
        confidence: float = 0.95,
    ) -> AcceptClaim:
        """Judge open-set identification in all parts together.

        Parameters as of :func:`~verification.audit.accept.compare_identification`, which searches the whole gallery;
        the threshold is a cosine.

        Raises
        ------
        ValueError
            If all queries are enrolled or none is, or an argument is out of range.
        """
        here = np.flatnonzero(self._codes >= 0)
        here = here[np.argsort(self._codes[here], kind="stable")]
        return judge_identification(
            Found(rows=self._place[:, here, None], similarity=self._similarity[:, here, None]),
            self._right[:, here],
            self._answerable[here],
            None if self._units is None else self._units[here],
            threshold=threshold,
            fpir=fpir,
            far_margin=far_margin,
            tar_margin=tar_margin,
            confidence=confidence,
        )

    def __getstate__(self) -> dict[str, Any]:
        """What travels between machines: what was found, and not the features."""
        return {**self.__dict__, "_sets": None}

"""Retrieval beside geometry: does the new model find at least as well in the old gallery as the old model does?

Recall@1, recall@k and mAP of old queries in the old gallery, new queries in it, and new queries in a new one, with
paired intervals for each difference: for new queries of these classes (the gallery is what it is and is never
resampled), and were the classes drawn too. The verdict is about recall@1, whose target does not move with k; it is
another claim than Definition 1, which is about mean distances, and neither implies the other.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from verification._breakdown import Verdict
from verification.decision.retrieval_report import Difference, RetrievalReport, Scores
from verification.features import FeatureSet
from verification.margin import parse_margin
from verification.retrieval import average_precision
from verification.search import nearest_rows, unit_rows
from verification.statistics.paired import class_interval, inflation, mean_interval
from verification.statistics.rows import choose_rows, stream

# queries·gallery·(d + RANKING): some seconds on two cores; queries beyond it are left out by a seeded choice
SEARCH_WORK, RANKING = 6e10, 256
# queries·gallery that are ranked whole, for mAP
RANKED_PAIRS = 2e7
# numbers of a gallery that are held at once; a search of more belongs into an index
GALLERY_NUMBERS = 2**24


class _Search(NamedTuple):
    """What some queries found: gallery rows near to far, whether each is right, and average precision of a part."""

    found: Int[ndarray, "n k"]
    right: ndarray
    precision: Float[ndarray, " m"]


def searchable(gallery: FeatureSet) -> bool:
    """Whether a gallery is small enough to be searched here, row by row."""
    return len(gallery) * gallery.dim <= GALLERY_NUMBERS


def compare_retrieval(
    new: FeatureSet,
    old: FeatureSet,
    gallery: FeatureSet | None = None,
    k: int = 5,
    margin: float | str = 0.0,
    confidence: float = 0.95,
    seed: int = 0,
) -> RetrievalReport:
    """Compare retrieval by old and by new queries, query by query.

    Parameters
    ----------
    new, old : FeatureSet
        The same samples, row by row, through both models; the queries.
    gallery : FeatureSet, optional
        Old-model features of other samples. Without it the samples search each other and none finds itself; then
        queries depend on each other through what they find, and the variance is inflated for that.
    k : int
        ≥ 1, of recall@k; at most what the gallery holds.
    margin : float or str
        ≥ 0, the loss of recall@1 that is accepted, as a fraction or with a per cent sign.
    confidence : float
        In (0, 1), of each interval.
    seed : int
        Of the choice of queries where all would take too long; the gallery is always searched whole.

    Raises
    ------
    ValueError
        If an argument is out of range; sets that do not belong together are found by :func:`verification.audit`.
    """
    amount, _ = parse_margin(margin, "the margin of retrieval")
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must be in (0, 1), got {confidence!r}.")
    if k < 1:
        raise ValueError(f"k must be an integer >= 1, got {k!r}.")
    items = old if gallery is None else gallery
    k = min(k, len(items) - (gallery is None))
    queries = _choose(old, int(SEARCH_WORK / (len(items) * (old.dim + RANKING))), seed)
    ranked = queries[_choose_among(len(queries), int(RANKED_PAIRS / len(items)), seed)]
    own = queries if gallery is None else None
    searches = [
        _search(features, where, queries, ranked, k, own is not None)
        for features, where in ((old, items), (new, items), *([(new, new)] if gallery is None else []))
    ]
    level = 1.0 - confidence
    alike = _identical(new, old)
    scores = []
    measured: list[tuple[str, list[ndarray], ndarray]] = [
        ("recall@1", [search.right[:, 0] for search in searches], queries),
        (f"recall@{k}", [search.right.max(axis=1) for search in searches], queries),
        ("mAP", [search.precision for search in searches], ranked),
    ]
    for name, values, rows in measured if k > 1 else [measured[0], measured[2]]:
        at = np.searchsorted(queries, rows)
        nearest = [search.found[at, 0] for search in searches]
        scores.append(_scores(name, values, nearest, old.codes[rows], own, rows, level, alike))
    upgrade = scores[0].upgrade
    first, second = (search.right[:, 0] for search in searches[:2])
    return RetrievalReport(
        _verdict(upgrade.lower, upgrade.upper, amount),
        _verdict(upgrade.class_lower, upgrade.class_upper, amount),
        amount,
        confidence,
        float(np.mean(second & ~first)),
        float(np.mean(first & ~second)),
        tuple(scores),
        len(items),
        tuple(_notes(len(old), len(queries), len(ranked))),
    )


def _search(
    features: FeatureSet, items: FeatureSet, queries: ndarray, ranked: ndarray, k: int, same_samples: bool
) -> _Search:
    asked = FeatureSet(unit_rows(features, queries), features.labels[queries])
    found = nearest_rows(asked, items, k + same_samples)
    if same_samples:
        # one more than k was asked for: its own row goes, or the last
        mine = found == queries[:, None]
        mine[~mine.any(axis=1), -1] = True
        found = found[~mine].reshape(len(queries), k)
    right = items.labels[found] == asked.labels[:, None]
    part = FeatureSet(unit_rows(features, ranked), features.labels[ranked])
    precision = average_precision(part, items, own=ranked if same_samples else None)
    return _Search(found, right, precision)


def _scores(
    name: str,
    values: list[ndarray],
    found: list[ndarray],
    codes: ndarray,
    own: ndarray | None,
    rows: ndarray,
    level: float,
    alike: bool,
) -> Scores:
    def differ(first: int, second: int) -> Difference:
        difference = values[first].astype(float) - values[second].astype(float)
        value = float(np.mean(difference))
        if alike and first != second:
            return Difference(0.0, 0.0, 0.0, 0.0, 0.0)
        spread = 1.0
        if own is not None:
            spread = inflation(difference, np.column_stack([found[first], found[second]]), rows)
        within = mean_interval(difference, level, spread)
        return Difference(value, *within, *class_interval(difference, codes, level, within))

    means = [float(np.mean(value)) for value in values]
    again = len(values) > 2
    return Scores(
        name,
        len(rows),
        means[0],
        means[1],
        means[2] if again else None,
        differ(1, 0),
        differ(2, 1) if again else None,
        differ(2, 0) if again else None,
    )


def _verdict(lower: float, upper: float, margin: float) -> Verdict:
    return "compatible" if lower >= -margin else "incompatible" if upper < -margin else "inconclusive"


def _choose(old: FeatureSet, most: int, seed: int) -> Int[ndarray, " q"]:
    sizes = np.bincount(old.codes, minlength=len(old.classes))
    return choose_rows(old.codes, sizes, max(most, 1), stream(seed, "queries"))


def _choose_among(num: int, most: int, seed: int) -> Int[ndarray, " q"]:
    if num <= most:
        return np.arange(num)
    return np.sort(stream(seed, "ranked queries").choice(num, size=max(most, 2), replace=False))


def _identical(new: FeatureSet, old: FeatureSet) -> bool:
    """Whether the models are one: then no query can fare differently, and the intervals are points."""
    pairs = zip(new.normalized_blocks(), old.normalized_blocks(), strict=True)
    return all(np.array_equal(first, second) for first, second in pairs)


def _notes(samples: int, queries: int, ranked: int) -> list[str]:
    notes = []
    if queries < samples:
        notes.append(
            f"{queries:,} of the {samples:,} queries were searched with, a seeded choice with every class in "
            "proportion; the gallery was searched whole."
        )
    if ranked < queries:
        notes.append(f"mAP ranks the whole gallery for {ranked:,} of the queries.")
    return notes

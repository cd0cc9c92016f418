"""What a map costs: new queries that meet the old gallery through it, beside new queries in a gallery of their own.

Distances by the gaps of Definition 1 with the new model as the standard, retrieval by 1:N search, query by query.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from verification.audit.report import Sides
from verification.bridge.judge import Rule, cost_of_map, mapped
from verification.bridge.maps import FeatureMap
from verification.bridge.splits import Part
from verification.features import FeatureSet
from verification.search.nearest import search
from verification.statistics.interval import Criterion, Interval
from verification.statistics.paired import cluster_error
from verification.statistics.rows import stream

# searched among each other, of the audit part
SEARCHED = 5000


@dataclass(frozen=True, kw_only=True)
class Cost:
    """New → new against new → old through the map.

    Attributes
    ----------
    distances : Sides
        Gaps with the new model's own distances as the standard: negative is worse than new → new.
    old_old, mapped, new_new : float
        Share of queries whose nearest gallery item, neither themselves nor of their group, has their label; of queries
        that an item could answer.
    lost : Interval
        ``new_new`` − ``mapped``, over queries, the gallery as it is, with the report's confidence.
    num_searched : int
        Samples that were queries and gallery.
    """

    distances: Sides
    old_old: float
    mapped: float
    new_new: float
    lost: Interval
    num_searched: int


def cost(feature_map: FeatureMap, part: Part, confidence: float, seed: int) -> Cost:
    """Measure on samples that the map was not fitted to, nor chosen by."""
    some = part
    if len(part.codes) > SEARCHED:
        rows = np.sort(stream(seed, "bridge: search").permutation(len(part.codes))[:SEARCHED])
        some = part.rows(rows)
    queries, items = mapped(feature_map, some)
    units = np.arange(len(some.codes)) if some.units is None else some.units
    firsts = np.unique(units, return_index=True)[1]
    # of a class of one unit no query can find an item
    answerable = (np.bincount(some.codes[firsts], minlength=int(some.codes.max()) + 1) > 1)[some.codes]
    old_old, through, new_new = (
        _hits(q, g, some.codes, units)[answerable]
        for q, g in ((some.old, some.old), (queries, items), (some.new, some.new))
    )
    error, freedom = cluster_error(new_new - through, units[answerable])
    return Cost(
        distances=cost_of_map(feature_map, part, Rule(criterion=Criterion(confidence=confidence), seed=seed)),
        old_old=float(old_old.mean()),
        mapped=float(through.mean()),
        new_new=float(new_new.mean()),
        lost=Interval.student(float(np.mean(new_new - through)), error, freedom, confidence),
        num_searched=len(new_new),
    )


def _hits(
    queries: Float[ndarray, "n dim"], items: Float[ndarray, "n dim"], codes: ndarray, units: ndarray
) -> Float[ndarray, " n"]:
    """1 where the nearest item of another unit has the query's class."""
    found = search([queries], FeatureSet(items), 1, query_units=units, item_units=units)
    return (codes[found.rows[0, :, 0]] == codes).astype(np.float64)

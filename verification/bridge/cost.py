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
from verification.search.scores import nearest_neighbor_hits
from verification.statistics.interval import Criterion, Interval
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
        Share of queries whose nearest gallery item, other than themselves, has their label.
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
    old_old, through, new_new = (
        _hits(q, g, some.codes) for q, g in ((some.old, some.old), (queries, items), (some.new, some.new))
    )
    differences = new_new - through
    error = float(differences.std(ddof=1)) / np.sqrt(len(differences))
    return Cost(
        distances=cost_of_map(feature_map, part, Rule(criterion=Criterion(confidence=confidence), seed=seed)),
        old_old=float(old_old.mean()),
        mapped=float(through.mean()),
        new_new=float(new_new.mean()),
        lost=Interval.student(float(differences.mean()), error, len(differences) - 1.0, confidence),
        num_searched=len(differences),
    )


def _hits(queries: Float[ndarray, "n dim"], items: Float[ndarray, "n dim"], codes: ndarray) -> Float[ndarray, " n"]:
    pair = FeatureSet(queries, codes), FeatureSet(items, codes)
    return nearest_neighbor_hits(*pair, same_samples=True).astype(np.float64)

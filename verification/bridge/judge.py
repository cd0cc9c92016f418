r"""Definition 1 for queries and items that went through a map, and what the map costs.

With r the rows whose distances among themselves are the standard, q queries and g items of the same samples, the
shrinkage of a pair is :math:`t_{ij} = d(r_i, r_j) − d(q_i, g_j) = 2(q_i·g_j − r_i·r_j)` in the squared distance: a sum
of products of rows, so that gaps and their intervals are those of the audit (:mod:`verification.statistics.gaps`). The
standard is the old model's own distances in both directions. Were it the mapped gallery's, a map that ruins the gallery
would pass: whatever is searched there is at least as near as ruins are to each other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from verification.audit.definition1 import judge_sides, side_confidence
from verification.audit.report import Sides
from verification.bridge.maps import FeatureMap
from verification.bridge.splits import Part
from verification.statistics.gaps import estimate
from verification.statistics.interval import Criterion, Population
from verification.statistics.linear import SAMPLED_PAIRS, LeftOut, LinearPairs
from verification.statistics.rows import Rows

# that tell the second-order part of the variance, to some per cent even of a hundred rows
PAIRS_A_ROW = 8


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How gaps are judged.

    Attributes
    ----------
    criterion : Criterion
        Of both inequalities at once.
    seed : int
        Of the pairs that are looked at for what only pairs show.
    """

    criterion: Criterion
    seed: int


def judge_map(feature_map: FeatureMap, part: Part, rule: Rule, population: Population = Population.fixed) -> Sides:
    """Both inequalities for new queries and the old gallery, one of them mapped, against the old model itself."""
    queries, items = mapped(feature_map, part)
    return judge(queries, items, part.old, part, rule, population)


def cost_of_map(feature_map: FeatureMap, part: Part, rule: Rule) -> Sides:
    """As :func:`judge_map`, against the new model itself: a negative gap is what reindexing would win."""
    queries, items = mapped(feature_map, part)
    return judge(queries, items, part.new, part, rule)


def mapped(feature_map: FeatureMap, part: Part) -> tuple[Float[ndarray, "n dim"], Float[ndarray, "n dim"]]:
    """Unit rows of queries and of gallery items in the space where they meet."""
    if feature_map.direction == "queries":
        return unit(feature_map(part.new, part.old if feature_map.takes_both else None)), part.old
    return part.new, unit(feature_map(part.old))


def unit(rows: Float[ndarray, "n dim"]) -> Float[ndarray, "n dim"]:
    """Rows on the unit sphere; a row of zeros stays one."""
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(length > 0.0, length, 1.0)


def judge(
    queries: Float[ndarray, "n dim"],
    items: Float[ndarray, "n dim"],
    standard: Float[ndarray, "n own"],
    part: Part,
    rule: Rule,
    population: Population = Population.fixed,
) -> Sides:
    """Gaps, intervals and verdicts of queries in items against the standard's distances, samples paired with others.

    Parameters
    ----------
    queries, items, standard : ndarray
        Unit rows of the same samples.
    part : Part
        Their classes and units, and the unit roundoff of the dtype in which features came.
    rule : Rule
        A side is compatible when its lower bound is ≥ −margin, to rounding (below).
    population : {"fixed", "drawn"}
        Whether the verdict is about new samples of these classes or about new classes like these.

    Notes
    -----
    A perfect map is exact to rounding only. Storing a row moves it by at most ``stored`` times its length, so each of
    the four unit rows in t shifts it by at most twice that. Roundings of different samples are independent: a mean over
    n samples that is below three standard errors of theirs, 3 · 8 · stored/√n, is zero; so is 8 · d · 2⁻⁵³, which
    float64 arithmetic adds.
    """
    _, codes = np.unique(part.codes, return_inverse=True)
    stored = part.stored
    order = np.argsort(codes, kind="stable")
    sizes = np.bincount(codes)
    if items is standard:
        models = np.stack((queries, items))[:, order]
    else:
        # t = 2 p·w with p = (q, −r), w = (g, r): what the audit's sums call new − old and old
        first, second = (queries + items, np.zeros_like(standard)), (items, standard)
        models = np.stack((np.concatenate(first, axis=1), np.concatenate(second, axis=1)))[:, order]
    units = None if part.units is None else part.units[order]
    rows = Rows(models=models, codes=codes[order], sizes=sizes, units=units)
    num_pairs = min(SAMPLED_PAIRS, PAIRS_A_ROW * len(codes))
    arithmetic = 8.0 * models.shape[2] * 2.0**-53
    source = LinearPairs(
        rows=rows,
        gallery=None,
        sums=rows.sums,
        gallery_sums=None,
        seed=rule.seed,
        rounding=8.0 * stored + arithmetic,
        num_pairs=num_pairs,
        left_out=None if units is None else LeftOut.of(rows),
    )
    zero = 24.0 * stored / np.sqrt(len(codes)) + arithmetic
    criterion = replace(
        rule.criterion,
        confidence=side_confidence(rule.criterion.confidence),
        margin=rule.criterion.margin + zero,
    )
    return judge_sides(estimate(source)[0]["pairs"], criterion, population=population)

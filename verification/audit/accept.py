"""Accept rates of single comparisons: open-set identification, and lists of pairs that were said to be same or not.

Both ask at a threshold: are impostors let in more often (FPIR, FAR), are genuine ones turned away more often (DIR,
TAR)?
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Int
from numpy import ndarray

from verification.audit.margin import Margin
from verification.audit.threshold_report import UNITS, ThresholdUnit, is_distance
from verification.search.nearest import Found, search
from verification.search.openset import compare_open_set
from verification.search.pairs import PairList, compare_pairs, pair_similarities
from verification.search.rates import AcceptReport, RateChange
from verification.search.similarity import SimilarityName
from verification.statistics.interval import Criterion, Verdict
from verification.upgrade import Upgrade

# queries·gallery·d: some seconds on two cores
WORK = 1e11


@dataclass(frozen=True, kw_only=True)
class AcceptClaim:
    """Accept rates of old and new queries, judged.

    Attributes
    ----------
    verdict : Verdict
        Compatible when false accepts do not rise and true accepts do not fall by more than the margins.
    rates : AcceptReport
    rank1 : RateChange or None
        Of open-set identification, the share of enrolled probes whose nearest item is right, at any similarity.
    false_margin, true_margin : float
        False accepts may rise by this share of themselves, true ones fall by this much.
    confidence : float
        Confidence of both changes at once, in (0, 1).
    threshold_unit : {"cosine", "dot product", "Euclidean distance", "Hamming distance"}
        As in :class:`~verification.audit.threshold_report.ThresholdReport`.
    unknown : int
        Pairs of a list that were left out because an id is not there.
    """

    verdict: Verdict
    rates: AcceptReport
    rank1: RateChange | None
    false_margin: float
    true_margin: float
    confidence: float
    threshold_unit: ThresholdUnit
    unknown: int = 0


def compare_identification(
    upgrade: Upgrade,
    *,
    threshold: float | None = None,
    fpir: float | None = None,
    far_margin: float | str = 0.0,
    tar_margin: float | str = 0.0,
    confidence: float = 0.95,
    similarity: SimilarityName = "cosine",
) -> AcceptClaim:
    """Compare open-set identification: the nearest item is accepted from a similarity on, and some probes have none.

    Parameters
    ----------
    upgrade : Upgrade
        With a gallery; probes whose class it does not hold are not enrolled.
    threshold, fpir : float
        The old accept threshold, in the unit of the similarity, or the false-positive identification rate that it had.
    far_margin, tar_margin : float or str
        FPIR may rise by this share of itself, DIR fall by this much.
    confidence : float
        Confidence of both changes at once, in (0, 1).
    similarity : {"cosine", "dot", "l2", "hamming"}
        By the cosine, by the dot product or Euclidean distance of rows as they are, or by the Hamming distance of rows
        of ±1.

    Raises
    ------
    ValueError
        Without a gallery, or if all probes are enrolled or none is.
    """
    if upgrade.gallery is None:
        raise ValueError("open-set identification needs a gallery (--gallery) in which some probes are not enrolled.")
    reading = upgrade.read()
    rows = upgrade.sample(int(WORK / (len(upgrade.items) * upgrade.old.dim)), "probes")
    assert rows.index is not None
    apart = rows.units is not None and reading.gallery_units is not None
    cosine = similarity == "cosine"
    raw = None if cosine else [each.fetch(rows.index).features for each in (upgrade.old, upgrade.new)]
    found = search(
        [rows.old, rows.models[0]] if raw is None else raw,
        upgrade.searched("gallery") if cosine else upgrade.items,  # what is kept are unit rows
        1,
        query_units=rows.units if apart else None,
        item_units=reading.gallery_units if apart else None,
        present=upgrade.in_search,
        similarity=similarity,
    )
    found = replace(found, similarity=_accepted_from(found.similarity, similarity, upgrade.items.dim))
    right = (found.rows[..., 0] >= 0) & (upgrade.item_codes[found.rows[..., 0]] == rows.codes)
    return judge_identification(
        found,
        right,
        upgrade.answers[rows.index] > 0,
        rows.unit_codes if upgrade.grouped else None,
        threshold=threshold,
        fpir=fpir,
        far_margin=far_margin,
        tar_margin=tar_margin,
        confidence=confidence,
        similarity=similarity,
    )


def judge_identification(
    found: Found,
    right: Bool[ndarray, "2 q"],
    enrolled: Bool[ndarray, " q"],
    groups: Int[ndarray, " q"] | None,
    *,
    threshold: float | None,
    fpir: float | None,
    far_margin: float | str,
    tar_margin: float | str,
    confidence: float,
    similarity: SimilarityName = "cosine",
) -> AcceptClaim:
    """Judge what probes of both models found; parameters as of :func:`compare_identification`.

    Those of what was found are of :func:`~verification.search.openset.compare_open_set`.
    """
    report = compare_open_set(
        found,
        right,
        enrolled,
        threshold=None if threshold is None else _sign(similarity) * threshold,
        fpir=fpir,
        groups=groups,
        confidence=1.0 - (1.0 - confidence) / 2.0,
    )
    return _judged(report.rates, report.rank1, far_margin, tar_margin, confidence, similarity)


def compare_listed_pairs(
    upgrade: Upgrade,
    pairs: PairList,
    *,
    threshold: float | None = None,
    far: float | None = None,
    far_margin: float | str = 0.0,
    tar_margin: float | str = 0.0,
    confidence: float = 0.95,
    similarity: SimilarityName = "cosine",
) -> AcceptClaim:
    """Compare 1:1 verification over pairs that are listed as same or different; parameters as above.

    Pairs are of queries and of items of the gallery, or of the queries among themselves where there is none.
    """
    index, place = np.unique(pairs.query, return_inverse=True)
    sets = upgrade.old, upgrade.new
    queries = [each.rows(index) if similarity == "cosine" else each.fetch(index).features for each in sets]
    listed = PairList(query=place.ravel(), item=pairs.item, same=pairs.same)
    items = upgrade.items
    grouped = upgrade.grouped and (upgrade.gallery is None or upgrade.gallery.groups is not None)
    query_units, item_units = _units(upgrade, grouped)
    report = compare_pairs(
        _accepted_from(pair_similarities(queries, items, listed, similarity), similarity, items.dim),
        listed,
        query_units[index],
        item_units,
        threshold=None if threshold is None else _sign(similarity) * threshold,
        far=far,
        grouped=grouped,
        confidence=1.0 - (1.0 - confidence) / 2.0,
    )
    return _judged(report, None, far_margin, tar_margin, confidence, similarity, pairs.unknown)


def _sign(similarity: SimilarityName) -> float:
    """A distance is accepted up to its threshold, so what is compared is minus the distance."""
    return -1.0 if is_distance(UNITS[similarity]) else 1.0


def _accepted_from(values: ndarray, similarity: SimilarityName, dim: int) -> ndarray:
    """Similarities of a search, minus a squared distance or d − 2H of signs among them, in the unit of a threshold."""
    if similarity == "hamming":
        return (values - dim) / 2.0
    return -np.sqrt(np.maximum(-values, 0.0)) if similarity == "l2" else values


def _units(upgrade: Upgrade, grouped: bool) -> tuple[np.ndarray, np.ndarray]:
    """What pairs share: a group, an id, or else the row."""
    from verification.features import common_codes

    if grouped:
        groups = upgrade.groups if upgrade.gallery is None else upgrade.gallery.groups
        _, queries, items = common_codes(upgrade.groups, groups, what="groups")
        return queries, items
    queries = np.arange(len(upgrade.old))
    if upgrade.gallery is None:
        return queries, queries
    items = len(queries) + np.arange(len(upgrade.gallery))
    shared = np.flatnonzero(upgrade.own_item >= 0)
    items[upgrade.own_item[shared]] = shared
    return queries, items


def _judged(
    rates: AcceptReport,
    rank1: RateChange | None,
    far_margin: float | str,
    tar_margin: float | str,
    confidence: float,
    similarity: SimilarityName,
    unknown: int = 0,
) -> AcceptClaim:
    rise, fall = (
        Margin.parse(far_margin, "the margin of FAR").amount,
        Margin.parse_share(tar_margin, "the margin of TAR"),
    )
    level = rates.false_accepts.change.confidence
    false = Criterion(confidence=level, margin=rise * rates.false_accepts.old.value)
    true = Criterion(confidence=level, margin=fall)
    sign = _sign(similarity)
    told = replace(rates, threshold=sign * rates.threshold, kept_threshold=rates.kept_threshold.times(sign))
    return AcceptClaim(
        verdict=Verdict.combine(
            [false.verdict(rates.false_accepts.change.times(-1.0)), true.verdict(rates.true_accepts.change)]
        ),
        rates=told,
        rank1=rank1,
        false_margin=rise,
        true_margin=fall,
        confidence=confidence,
        threshold_unit=UNITS[similarity],
        unknown=unknown,
    )

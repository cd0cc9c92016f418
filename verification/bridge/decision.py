"""Does a map make two models compatible, where they are not as they are? Fitted, chosen and audited on three parts.

Maps are fitted on the first part, once to all classes and once without a third of them. The most rigid one that is
compatible on the second part is chosen, both for the samples of all classes and for those of the classes it was not
fitted to; where none is, the one that loses least. The third part, which nothing before has seen, gives the verdict:
given the first two parts the map is fixed and the third part's samples are independent of it, so the intervals need no
more correction for the choice than this, and two audits of one map share the confidence. The verdict without a map
is the audit's, of all samples, and stays what it was; it is also the second where the identity is chosen, which nothing
was fitted for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from verification.audit.definition1 import audit
from verification.audit.report import Definition1Report, Sides
from verification.bridge import fitting
from verification.bridge.cost import cost
from verification.bridge.judge import Rule, judge_map, mapped
from verification.bridge.maps import DIRECTIONS, Direction, FeatureMap
from verification.bridge.report import BridgeReport, Candidate, FittedReport, Loss
from verification.bridge.splits import Part, Splits, split, split_pairs
from verification.features import FeatureSet
from verification.statistics.interval import Criterion, Population, Verdict
from verification.upgrade import Upgrade

# to all classes, and without those held out
Fitted = tuple[FeatureMap, FeatureMap | None]


def bridge(
    new: FeatureSet,
    old: FeatureSet,
    direction: Direction = "queries",
    maps: Sequence[str] | None = None,
    confidence: float = 0.95,
    margin: float | str = 0.0,
    closed_set: bool = False,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
    drifts: Sequence[FeatureMap] = (),
) -> BridgeReport:
    """Judge an upgrade as it is and, if it is not compatible, through the best of several maps.

    Parameters
    ----------
    new, old : FeatureSet
        The same samples, row by row, with equal labels; dimensions may differ.
    direction : {"queries", "gallery"}
        "queries": new queries are mapped into the old space, and the gallery stays as it is. "gallery": the vectors of
        the old gallery are mapped into the new space, and no image is read again.
    maps : sequence of str, optional
        Kinds that compete, of :data:`verification.bridge.fitting.KINDS`; by default all but those of
        :data:`~verification.bridge.fitting.BY_NAME`. The identity always does.
    confidence : float
        Confidence of the verdict, in (0, 1): a decisive verdict is wrong with probability at most 1 − ``confidence``.
    margin : float or str
        Accepted loss of a gap, ≥ 0: a number in squared distance, or a share of the old model's contrast such as "5%",
        as for :func:`verification.audit.definition1.audit`.
    closed_set : bool
        Whether the gallery will never hold classes other than these. If so, the map is not judged on classes that it
        was not fitted to.
    seed : int
        Seed ≥ 0 of the splits and of the fits.
    progress : callable, optional
        Called with the name of each stage.
    drifts : sequence of FeatureMap
        Translations of earlier updates and of this one, which the ``qdc`` map adds up.

    Returns
    -------
    BridgeReport

    Raises
    ------
    ValueError
        If the sets do not belong together, an argument is out of range, or samples are too few for three parts.
    """
    if direction not in DIRECTIONS:
        raise ValueError(f"direction must be one of {', '.join(DIRECTIONS)}, got {direction!r}.")
    tell = progress or (lambda stage: None)
    kinds = _kinds(maps, direction, (new.dim, old.dim), drifts)
    upgrade = Upgrade(new, old, same_dim=False, seed=seed)
    upgrade.check_pairs()
    new, old = upgrade.new, upgrade.old
    tell("auditing as it is")
    # of two dimensions the old model alone can be audited, which checks the arguments and knows its contrast
    known = audit(new if new.dim == old.dim else old, old, confidence=confidence, margin=margin, seed=seed)
    as_is = known if new.dim == old.dim else None
    if as_is is not None and as_is.verdict == Verdict.compatible:
        return _no_map_needed(as_is, direction)
    fitting.require_packages(kinds)
    tell("reading three parts")
    splits = split(new, old, seed, hold_out=not closed_set)
    # two audits of the chosen map share the confidence
    shared = 1.0 - (1.0 - confidence) / (2.0 if len(splits.held_out) else 1.0)
    rule = Rule(criterion=Criterion(confidence=shared, margin=known.margin, margin_error=known.margin_error), seed=seed)
    candidates, fitted = compete(kinds, splits, direction, rule, tell, drifts)
    kind = choose(candidates).kind
    tell(f"auditing {kind}")
    if kind == "identity":
        assert as_is is not None  # there is no identity between two dimensions
        found, verdict = Candidate(kind=kind, all_classes=as_is.by_weighting["pairs"], held_out=None), as_is.verdict
    else:
        found = _candidate(kind, audits(fitted[kind], splits.audit, splits, rule))
        verdict = found.verdict
    return BridgeReport(
        verdict=verdict,
        as_is=as_is,
        kind=kind,
        direction=direction,
        all_classes=None if kind == "identity" else found.all_classes,
        held_out=found.held_out,
        held_out_classes=tuple(old.classes[splits.held_out].tolist()),
        candidates=tuple(candidates),
        needed_margin=max(0.0, -found.weakest.lower),
        cost=cost(fitted[kind][0], splits.audit, confidence, seed),
        map=fitted[kind][0],
        num_fit=len(splits.fit.codes),
        num_choice=len(splits.choice.codes),
        num_audit=len(splits.audit.codes),
        confidence=confidence,
        margin=known.margin,
    )


def fit_pairs(
    new: FeatureSet,
    old: FeatureSet,
    direction: Direction = "queries",
    maps: Sequence[str] | None = None,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
    drifts: Sequence[FeatureMap] = (),
) -> FittedReport:
    """Fit a map to pairs of rows, without labels and without a verdict.

    Maps are fitted to two thirds of the rows. Of those that bring the other rows as near as the best one does, to a
    standard error, the most rigid is taken.

    Parameters
    ----------
    new, old : FeatureSet
        The same samples, by ids or row by row; dimensions may differ.
    direction, maps, seed, progress, drifts
        As :func:`bridge` takes them.

    Raises
    ------
    ValueError
        If the sets do not belong together, an argument is out of range, or there are fewer than six rows.
    """
    if direction not in DIRECTIONS:
        raise ValueError(f"direction must be one of {', '.join(DIRECTIONS)}, got {direction!r}.")
    tell = progress or (lambda stage: None)
    upgrade = Upgrade(new, old, same_dim=False, seed=seed)
    new, old = upgrade.new, upgrade.old
    kinds = _kinds(maps, direction, (new.dim, old.dim), drifts)
    if "slerp" in kinds:
        raise ValueError(
            "slerp is not compared without labels: it holds the old query itself, so how near it lies says nothing; "
            "label some samples (--labels)."
        )
    fitting.require_packages(kinds)
    part, choice = split_pairs(new, old, seed)
    fitted, distances = {}, {}
    for kind in kinds:
        tell(f"fitting {kind}")
        fitted[kind] = _fit(kind, part, direction, seed, drifts)
        queries, items = mapped(fitted[kind], choice)
        distances[kind] = np.sum((queries - items) ** 2, axis=1)
    best = min(kinds, key=lambda kind: float(distances[kind].mean()))
    losses = []
    for kind in kinds:
        more = distances[kind] - distances[best]
        losses.append(
            Loss(
                kind=kind,
                loss=float(distances[kind].mean()),
                excess=float(more.mean()),
                error=float(more.std(ddof=1)) / np.sqrt(len(more)),
            )
        )
    # exact maps differ by rounding: of rows as they are stored, and of a product in float64
    zero = (8.0 * choice.stored) ** 2 + (8.0 * max(new.dim, old.dim) * 2.0**-53) ** 2
    kind = next(found.kind for found in losses if found.excess <= found.error + zero)
    return FittedReport(
        kind=kind,
        direction=direction,
        losses=tuple(losses),
        num_fit=len(part.codes),
        num_choice=len(choice.codes),
        map=fitted[kind],
    )


def compete(
    kinds: Sequence[str],
    splits: Splits,
    direction: Direction,
    rule: Rule,
    tell: Callable[[str], None] = lambda stage: None,
    drifts: Sequence[FeatureMap] = (),
) -> tuple[list[Candidate], dict[str, Fitted]]:
    """Fit every kind on the first part, to all classes and without those held out, and judge it on the second."""
    candidates, fitted = [], {}
    for kind in kinds:
        tell(f"fitting {kind}")
        fitted[kind] = _fit_twice(kind, splits, direction, rule.seed, drifts)
        candidates.append(_candidate(kind, audits(fitted[kind], splits.choice, splits, rule)))
    return candidates, fitted


def audits(fitted: Fitted, part: Part, splits: Splits, rule: Rule) -> tuple[Sides, Sides | None]:
    """Judge a map on a part, and the map that was fitted without some classes on these."""
    whole, partial = fitted
    unseen = None if partial is None else judge_map(partial, part.of(splits.held_out), rule, Population.drawn)
    return judge_map(whole, part, rule), unseen


def _candidate(kind: str, found: tuple[Sides, Sides | None]) -> Candidate:
    return Candidate(kind=kind, all_classes=found[0], held_out=found[1])


def choose(candidates: Sequence[Candidate]) -> Candidate:
    """The most rigid one that is compatible; else that loses no more than the least, to about a standard error."""
    for candidate in candidates:
        if candidate.verdict == Verdict.compatible:
            return candidate
    best = max((candidate.weakest for candidate in candidates), key=lambda side: side.lower)
    # a quarter of an interval's width; of one without bounds it is not a number, and then the first will do
    enough = best.lower - (best.upper - best.lower) / 4.0
    return next((candidate for candidate in candidates if candidate.weakest.lower >= enough), candidates[0])


def _kinds(
    maps: Sequence[str] | None, direction: Direction, dims: tuple[int, int], drifts: Sequence[FeatureMap]
) -> list[str]:
    """Kinds that compete, of those that are possible between the dimensions of new and old."""
    d_in, d_out = dims if direction == "queries" else dims[::-1]
    unknown = [kind for kind in maps or () if kind not in fitting.KINDS]
    if unknown:
        raise ValueError(f"maps must be of {', '.join(fitting.KINDS)}, got {unknown[0]!r}.")
    asked = [kind for kind in fitting.KINDS if kind not in fitting.BY_NAME] if maps is None else maps
    if "slerp" in asked and direction != "queries":
        raise ValueError("slerp interpolates queries, of which both models are asked: it maps no gallery.")
    if drifts and "qdc" not in asked:
        raise ValueError("drifts are only used by the qdc map: name it among the maps (--maps qdc).")
    possible = fitting.available(d_in, d_out)
    kinds = [kind for kind in possible if kind in asked or kind == "identity"]
    if "qdc" in kinds:
        fitting.add_drifts(drifts, d_in, direction)  # refused before any work
    if not kinds:
        raise ValueError(
            f"maps between dimensions {d_in} and {d_out} are {', '.join(possible)}, got {', '.join(asked)}."
        )
    return kinds


def _fit_twice(kind: str, splits: Splits, direction: Direction, seed: int, drifts: Sequence[FeatureMap]) -> Fitted:
    """To all classes, and without those held out."""
    without = splits.fit.without(splits.held_out) if len(splits.held_out) else None
    partial = None if without is None else _fit(kind, without, direction, seed, drifts)
    return _fit(kind, splits.fit, direction, seed, drifts), partial


def _fit(kind: str, part: Part, direction: Direction, seed: int, drifts: Sequence[FeatureMap]) -> FeatureMap:
    source, target = (part.new, part.old) if direction == "queries" else (part.old, part.new)
    return fitting.fit(kind, source, target, direction, seed, drifts)


def _no_map_needed(as_is: Definition1Report, direction: Direction) -> BridgeReport:
    identity = FeatureMap("identity", direction, np.eye(as_is.dim), np.zeros(as_is.dim))
    return BridgeReport(
        verdict=Verdict.compatible,
        as_is=as_is,
        kind="identity",
        direction=direction,
        all_classes=None,
        held_out=None,
        held_out_classes=(),
        candidates=(),
        needed_margin=None,
        cost=None,
        map=identity,
        num_fit=0,
        num_choice=0,
        num_audit=0,
        confidence=as_is.confidence,
        margin=as_is.margin,
    )

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

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from verification._breakdown import Verdict
from verification.audit import AuditReport, SideReport, Sides, audit, check_paired, json_safe
from verification.bridge import fitting
from verification.bridge.cost import Cost, cost
from verification.bridge.judge import Rule, judge_map
from verification.bridge.maps import DIRECTIONS, Direction, FeatureMap
from verification.bridge.splits import Part, Splits, split
from verification.features import FeatureSet

# of schema/bridge-report.schema.json, which describes what to_dict returns
SCHEMA_VERSION = 1
# to all classes, and without those held out
Fitted = tuple[FeatureMap, FeatureMap | None]


@dataclass(frozen=True)
class Candidate:
    """One kind of map on the choice part.

    Attributes
    ----------
    kind : str
    all_classes, held_out : Sides
        For samples of all classes, and of classes that it was not fitted to; None where none were held out.
    """

    kind: str
    all_classes: Sides
    held_out: Sides | None

    @property
    def verdict(self) -> Verdict:
        """Compatible when every audit of it says so, incompatible when one does."""
        verdicts = {sides.verdict for sides in self.audits}
        if "incompatible" in verdicts:
            return "incompatible"
        return "compatible" if verdicts == {"compatible"} else "inconclusive"

    @property
    def weakest(self) -> SideReport:
        """The side with the least lower bound: what the map may lose."""
        sides = [side for sides in self.audits for side in (sides.same_class, sides.different_class)]
        return min(sides, key=lambda side: side.lower)

    @property
    def audits(self) -> list[Sides]:
        """Those that there are."""
        return [sides for sides in (self.all_classes, self.held_out) if sides is not None]


@dataclass(frozen=True)
class BridgeReport:
    """What :func:`bridge` found.

    Attributes
    ----------
    verdict : {"compatible", "incompatible", "inconclusive"}
        Through the chosen map; as it is, where that is compatible already.
    as_is : AuditReport or None
        The audit without a map, of all samples; None where the dimensions differ and there is nothing to audit.
    kind : str
        Of the chosen map; ``identity`` where none is needed.
    direction : {"queries", "gallery"}
    all_classes, held_out : Sides or None
        The chosen map on the audit part, for samples of all classes and of classes that it was not fitted to. None of
        the identity, and ``held_out`` where no classes were.
    held_out_classes : tuple
        Labels kept from the second fit.
    candidates : tuple of Candidate
        On the choice part, the most rigid first.
    needed_margin : float or None
        The margin from which on the map would have been compatible: the loss that it stays within, with the report's
        confidence.
    cost : Cost or None
        What the chosen map costs against new queries in a gallery of the new model.
    map : FeatureMap
    num_fit, num_choice, num_audit : int
    confidence, margin : float
    """

    verdict: Verdict
    as_is: AuditReport | None
    kind: str
    direction: Direction
    all_classes: Sides | None
    held_out: Sides | None
    held_out_classes: tuple[int | str, ...]
    candidates: tuple[Candidate, ...]
    needed_margin: float | None
    cost: Cost | None
    map: FeatureMap
    num_fit: int
    num_choice: int
    num_audit: int
    confidence: float
    margin: float

    @property
    def sentence(self) -> str:
        """Both verdicts in one line."""
        if self.as_is is not None and self.as_is.verdict == "compatible":
            return "compatible as it is; no map is needed"
        first = "dimensions differ" if self.as_is is None else self.as_is.verdict
        if self.verdict == "compatible":
            return f"{first}; compatible through {_NAMES[self.kind]}"
        if self.kind == "identity":
            return f"{first}; no map does better than none"
        if self.verdict == "incompatible":
            return f"{first}; no map makes it compatible (the least bad is {_NAMES[self.kind]})"
        return f"{first}; undecided through {_NAMES[self.kind]}"

    def save_map(self, path: str | os.PathLike[str]) -> None:
        """Write the map beside how it came about."""
        about = {"verdict": self.verdict, "num_fit": self.num_fit, "confidence": self.confidence, "margin": self.margin}
        self.map.save(path, about)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values, without the map's arrays."""
        report = asdict(self)
        del report["map"]
        report["as_is"] = None if self.as_is is None else self.as_is.to_dict()
        return json_safe({"schema_version": SCHEMA_VERSION, "sentence": self.sentence, **report})


_NAMES = {
    "translation": "a translation",
    "orthogonal": "an orthogonal map",
    "lambda-orthogonal": "a λ-orthogonal map",
    "ridge": "a ridge affine map",
    "adapter": "a learned adapter",
}


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
) -> BridgeReport:
    """Judge the upgrade as it is and, where it is not compatible, through the best of several maps.

    Parameters
    ----------
    new, old : FeatureSet
        The same samples, row by row, with equal labels; dimensions may differ.
    direction : {"queries", "gallery"}
        New queries are mapped into the old space and the gallery stays, or the old gallery is mapped into the new
        space: its vectors are transformed, its images are not read again.
    maps : sequence of str, optional
        Kinds that compete, of :data:`verification.bridge.fitting.KINDS`; all by default. The identity always does.
    confidence : float
        In (0, 1): a decisive verdict is wrong with probability at most 1 − ``confidence``.
    margin : float or str
        ≥ 0, the acceptable loss of gap in squared distance, or a string such as "5%", a share of the old model's
        contrast, as :func:`verification.audit.audit` takes it.
    closed_set : bool
        The gallery will never hold other classes than these: do not ask how the map does for classes it was not
        fitted to.
    seed : int
        ≥ 0; of the splits and of what is random in the fits.
    progress : callable, optional
        Called with what is being done.

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
    kinds = _kinds(maps, *((new.dim, old.dim) if direction == "queries" else (old.dim, new.dim)))
    check_paired(new, old, same_dim=False)
    tell("auditing as it is")
    # of two dimensions the old model alone can be audited, which checks the arguments and knows its contrast
    known = audit(new if new.dim == old.dim else old, old, confidence=confidence, margin=margin, seed=seed)
    as_is = known if new.dim == old.dim else None
    if as_is is not None and as_is.verdict == "compatible":
        return _no_map_needed(as_is, direction)
    tell("reading three parts")
    splits = split(new, old, seed, hold_out=not closed_set)
    # two audits of the chosen map share the confidence
    shared = 1.0 - (1.0 - confidence) / (2.0 if len(splits.held_out) else 1.0)
    rule = Rule(shared, known.margin, known.margin_error, seed)
    candidates, fitted = compete(kinds, splits, direction, rule, tell)
    kind = choose(candidates).kind
    tell(f"auditing {kind}")
    if kind == "identity":
        assert as_is is not None  # there is no identity between two dimensions
        found, verdict = Candidate(kind, as_is.by_weighting["pairs"], None), as_is.verdict
    else:
        found = Candidate(kind, *audits(fitted[kind], splits.audit, splits, rule))
        verdict = found.verdict
    return BridgeReport(
        verdict,
        as_is,
        kind,
        direction,
        None if kind == "identity" else found.all_classes,
        found.held_out,
        tuple(old.classes[splits.held_out].tolist()),
        tuple(candidates),
        max(0.0, -found.weakest.lower),
        cost(fitted[kind][0], splits.audit, confidence, seed),
        fitted[kind][0],
        len(splits.fit.codes),
        len(splits.choice.codes),
        len(splits.audit.codes),
        confidence,
        known.margin,
    )


def compete(
    kinds: Sequence[str],
    splits: Splits,
    direction: Direction,
    rule: Rule,
    tell: Callable[[str], None] = lambda stage: None,
) -> tuple[list[Candidate], dict[str, Fitted]]:
    """Fit every kind on the first part, to all classes and without those held out, and judge it on the second."""
    candidates, fitted = [], {}
    for kind in kinds:
        tell(f"fitting {kind}")
        fitted[kind] = _fit_twice(kind, splits, direction, rule.seed)
        candidates.append(Candidate(kind, *audits(fitted[kind], splits.choice, splits, rule)))
    return candidates, fitted


def audits(fitted: Fitted, part: Part, splits: Splits, rule: Rule) -> tuple[Sides, Sides | None]:
    """Judge a map on a part, and the map that was fitted without some classes on these."""
    whole, partial = fitted
    unseen = None if partial is None else judge_map(partial, part.of(splits.held_out), rule)
    return judge_map(whole, part, rule), unseen


def choose(candidates: Sequence[Candidate]) -> Candidate:
    """The most rigid one that is compatible; else that loses no more than the least, to about a standard error."""
    for candidate in candidates:
        if candidate.verdict == "compatible":
            return candidate
    best = max((candidate.weakest for candidate in candidates), key=lambda side: side.lower)
    # a quarter of an interval's width; of one without bounds it is not a number, and then the first will do
    enough = best.lower - (best.upper - best.lower) / 4.0
    return next((candidate for candidate in candidates if candidate.weakest.lower >= enough), candidates[0])


def _kinds(maps: Sequence[str] | None, d_in: int, d_out: int) -> list[str]:
    unknown = [kind for kind in maps or () if kind not in fitting.KINDS]
    if unknown:
        raise ValueError(f"maps must be of {', '.join(fitting.KINDS)}, got {unknown[0]!r}.")
    possible = fitting.available(d_in, d_out)
    kinds = [kind for kind in possible if maps is None or kind in maps or kind == "identity"]
    if not kinds:
        raise ValueError(
            f"maps between dimensions {d_in} and {d_out} are {', '.join(possible)}, got {', '.join(maps or ())}."
        )
    return kinds


def _fit_twice(kind: str, splits: Splits, direction: Direction, seed: int) -> Fitted:
    """To all classes, and without those held out."""

    def fit(part: Part) -> FeatureMap:
        source, target = (part.new, part.old) if direction == "queries" else (part.old, part.new)
        return fitting.fit(kind, source, target, direction, seed)

    return fit(splits.fit), fit(splits.fit.without(splits.held_out)) if len(splits.held_out) else None


def _no_map_needed(as_is: AuditReport, direction: Direction) -> BridgeReport:
    identity = FeatureMap("identity", direction, np.eye(as_is.dim), np.zeros(as_is.dim))
    return BridgeReport(
        "compatible", as_is, "identity", direction, None, None, (), (), None, None, identity, 0, 0, 0,
        as_is.confidence, as_is.margin,
    )  # fmt: skip

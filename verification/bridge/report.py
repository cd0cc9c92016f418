"""What a bridge reports: both verdicts, every map that competed, what the chosen one costs."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Any

from verification._breakdown import Verdict
from verification.audit import AuditReport, SideReport, Sides, json_safe
from verification.bridge.cost import Cost
from verification.bridge.maps import Direction, FeatureMap

# of schema/bridge-report.schema.json, which describes what to_dict returns
SCHEMA_VERSION = 1


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
    """What :func:`verification.bridge.bridge` found.

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

"""What a bridge reports: both verdicts, every map that competed, what the chosen one costs."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Any

from verification.audit.report import Definition1Report, SideReport, Sides
from verification.bridge.cost import Cost
from verification.bridge.maps import Direction, FeatureMap
from verification.reporting import json_safe
from verification.statistics.interval import Verdict

# of schema/bridge-report.schema.json, which describes what to_dict returns
SCHEMA_VERSION = 2


@dataclass(frozen=True, kw_only=True)
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
        return Verdict.combine(sides.verdict for sides in self.audits)

    @property
    def weakest(self) -> SideReport:
        """The side with the least lower bound: what the map may lose."""
        sides = [side for sides in self.audits for side in (sides.same_class, sides.different_class)]
        return min(sides, key=lambda side: side.lower)

    @property
    def audits(self) -> list[Sides]:
        """Those that there are."""
        return [sides for sides in (self.all_classes, self.held_out) if sides is not None]


@dataclass(frozen=True, kw_only=True)
class BridgeReport:
    """What :func:`verification.bridge.bridge` found.

    Attributes
    ----------
    verdict : {"compatible", "incompatible", "inconclusive"}
        Through the chosen map; as it is, where that is compatible already.
    as_is : Definition1Report or None
        The audit without a map, of all samples; None where the dimensions differ and there is nothing to audit.
    kind : str
        Kind of the chosen map; ``identity`` if none is needed.
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
    as_is: Definition1Report | None
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
        """What becomes of the upgrade, and through which map."""
        if self.as_is is not None and self.as_is.verdict == Verdict.compatible:
            return "Compatible as it is; no map is needed"
        first = "Of another dimension" if self.as_is is None else _AS_IT_IS[self.as_is.verdict]
        if self.verdict == Verdict.compatible:
            return f"{first}; compatible through {_NAMES[self.kind]}"
        if self.kind == "identity":
            return f"{first}; no map does better than none"
        if self.verdict == Verdict.incompatible:
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

    def to_markdown(self) -> str:
        """Return the report as Markdown, for instance for a comment on a pull request."""
        from verification.views import documents, markdown

        return markdown.render(documents.document(self))

    def _repr_html_(self) -> str:
        from verification.views.page import in_notebook

        return in_notebook(self)


@dataclass(frozen=True, kw_only=True)
class Loss:
    """How near one kind of map brings rows that it was not fitted to.

    Attributes
    ----------
    kind : str
    loss : float
        Mean squared distance of the mapped row, normalised, and the other model's row of the same sample, in [0, 4].
    excess, error : float
        How much more that is than for the best kind, and the standard error of this difference over samples.
    """

    kind: str
    loss: float
    excess: float
    error: float


@dataclass(frozen=True, kw_only=True)
class FittedReport:
    """What :func:`verification.bridge.fit_pairs` found: a map, and no verdict about it.

    Attributes
    ----------
    kind : str
        Of the map: the most rigid of those that lose no more than the best, to a standard error.
    direction : {"queries", "gallery"}
    losses : tuple of Loss
        Every kind on rows that none was fitted to, the most rigid first.
    num_fit, num_choice : int
    map : FeatureMap
    """

    kind: str
    direction: Direction
    losses: tuple[Loss, ...]
    num_fit: int
    num_choice: int
    map: FeatureMap

    @property
    def loss(self) -> float:
        """Of the chosen kind."""
        return next(found.loss for found in self.losses if found.kind == self.kind)

    @property
    def verdict(self) -> Verdict:
        """Inconclusive: without labels nothing is judged."""
        return Verdict.inconclusive

    @property
    def sentence(self) -> str:
        """The answer in one line."""
        return f"Fitted {_NAMES[self.kind]}; nothing was judged, because there are no labels"

    def save_map(self, path: str | os.PathLike[str]) -> None:
        """Write the map beside how it came about."""
        self.map.save(path, {"verdict": None, "num_fit": self.num_fit, "held_out_loss": self.loss})

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values, without the map's arrays."""
        report = asdict(self)
        del report["map"]
        return json_safe({"schema_version": 1, "sentence": self.sentence, "verdict": None, **report})


_AS_IT_IS = {Verdict.incompatible: "Not compatible as it is", Verdict.inconclusive: "Undecided as it is"}
_NAMES = {
    "identity": "the identity",
    "translation": "a translation",
    "qdc": "drifts of single updates, added up (QDC)",
    "cut": "a cut to the first coordinates",
    "orthogonal": "an orthogonal map",
    "lambda-orthogonal": "a λ-orthogonal map",
    "ridge": "a ridge affine map",
    "adapter": "a learned adapter",
    "bottleneck": "a residual bottleneck",
    "slerp": "an interpolation of the old query and the mapped new one (SLERP)",
}

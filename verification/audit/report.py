"""What is reported of an upgrade: Definition 1 with its intervals, and every claim that was judged together."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verification.audit.breakdown import ClassGap, ClassPairs, Worst
from verification.audit.drift import DriftMargin
from verification.audit.power import SamplesNeeded
from verification.features.compression import Compression
from verification.reporting import json_safe, made, write_json
from verification.statistics.interval import Judged, Population, Unit, Verdict
from verification.statistics.stratified import Sample
from verification.upgrade import Upgrade

if TYPE_CHECKING:  # an audit without them starts faster
    from verification.audit.accept import AcceptClaim
    from verification.audit.hypotheses import Hypotheses
    from verification.audit.polar import PolarAngles
    from verification.audit.retrieval_report import RetrievalReport
    from verification.audit.threshold_report import ThresholdReport


@dataclass(frozen=True, kw_only=True)
class SideReport(Judged):
    """One inequality of Definition 1, judged; both sides cover at once with the report's confidence.

    Attributes
    ----------
    pair_fraction, pair_fraction_error : float
        Share of pairs that satisfy the inequality by themselves, and its standard error (0 when all were looked at).
    num_pairs : int
        Number of ordered pairs of this side.
    """

    pair_fraction: float
    pair_fraction_error: float
    num_pairs: int

    @property
    def gap(self) -> float:
        """Mean change, in units of the distance."""
        return self.value


@dataclass(frozen=True, kw_only=True)
class Sides:
    """Both inequalities under one weighting.

    Attributes
    ----------
    verdict : Verdict
        Compatible if both sides are, incompatible if either is.
    same_class, different_class : SideReport
        Inequality 1a and inequality 1b.
    contrast : Judged or None
        Their sum, what a ranking sees; None where it was not asked for.
    """

    verdict: Verdict
    same_class: SideReport
    different_class: SideReport
    contrast: Judged | None = None


@dataclass(frozen=True, kw_only=True)
class Definition1Report:
    """Result of an audit of Definition 1; see :func:`verification.audit`.

    Attributes
    ----------
    verdict : Verdict
        Compatible if both sides are, incompatible if either is.
    same_class, different_class : SideReport
        Inequalities 1a and 1b, in the requested weighting.
    contrast_gap : Judged
        The sum of both gaps, judged at the report's confidence by itself.
    metric : str
    confidence : float
    margin : float
        The accepted loss of gap, in units of the distance.
    margin_error : float
        Standard error of the margin; 0 if it was given in units of the distance.
    contrast : float
        Mean distance between classes less that within a class, by the old model, in this weighting.
    weights : {"pairs", "classes"}
        What counts once.
    unit : {"sample", "group"}
        What was drawn independently, and is therefore the unit of the intervals.
    population : {"fixed", "drawn"}
        Population that the verdict is about: new samples of these classes, or new classes.
    num_samples, num_gallery, num_classes, dim : int
        ``num_gallery`` is None if samples were paired with each other.
    notes : tuple of str
        Remarks on the data that a reader has to know.
    by_weighting : dict
        :class:`Sides` under each weighting.
    by_class : tuple of ClassGap
        1a for each class that has pairs of its own, simultaneous intervals.
    class_pairs : ClassPairs or None
        1b over the pairs of classes, counted; None where there are too many to look at.
    worst : Worst
        The class that loses most on 1a, and the class pair on 1b.
    drift : DriftMargin or None
        How far each class mean rotated and how far it may; None in one dimension.
    common_mean_defect : float or None
        gap(1b) − gap(1a)/(K−1), every class counting once: zero when the old class means sum to zero, as on a simplex,
        where both inequalities are one condition. For multiples of the squared distance; None where a class has no
        pair.
    samples_needed : SamplesNeeded or None
        Number of samples that would decide, if the verdict is inconclusive.
    """

    verdict: Verdict
    same_class: SideReport
    different_class: SideReport
    contrast_gap: Judged | None
    metric: str
    confidence: float
    margin: float
    margin_error: float
    contrast: float
    weights: str
    unit: Unit
    population: Population
    num_samples: int
    num_gallery: int | None
    num_classes: int
    dim: int
    notes: tuple[str, ...]
    by_weighting: dict[str, Sides]
    by_class: tuple[ClassGap, ...]
    class_pairs: ClassPairs | None
    worst: Worst
    drift: DriftMargin | None
    common_mean_defect: float | None
    samples_needed: SamplesNeeded | None

    @property
    def margin_share(self) -> float | None:
        """The margin as a share of the old model's contrast; None if the contrast is not positive."""
        return self.margin / self.contrast if self.contrast > 0.0 else None

    @property
    def excluded_loss(self) -> float | None:
        """The least margin at which these samples are compatible, in units of the distance; None if there is none."""
        loss = max(0.0, -self.same_class.lower, -self.different_class.lower)
        return loss if math.isfinite(loss) else None

    @property
    def whom(self) -> str:
        """A sentence that says which population the intervals are for."""
        drawn = "independent draws of it" if self.unit == "sample" else "drawn by groups, each of them independently"
        return (
            "The first interval of each gap is for new samples of these classes in these numbers: labels are held "
            f"fixed, the samples of a class are {drawn}. The second is for new classes like these, every class "
            f"counting once. Intervals of both sides cover at once with the stated confidence; the verdict is about "
            f"{self.population.words}."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values; an infinite bound becomes None, as JSON has no infinity."""
        derived = {"margin_share": self.margin_share, "excluded_loss": self.excluded_loss, "whom": self.whom}
        return json_safe({**asdict(self), **derived})

    def to_json(self, path: str | os.PathLike[str]) -> None:
        """Write :meth:`to_dict` as JSON; the file appears whole or not at all."""
        write_json(Path(path), self.to_dict())


# claims about an upgrade, by the name that an option gives them
CLAIMS = ("retrieval", "definition-1", "contrast", "threshold", "identification", "pairs")
# of schema/audit-report.schema.json, which describes what UpgradeReport.to_dict returns
SCHEMA_VERSION = 3


@dataclass(frozen=True, kw_only=True)
class UpgradeReport:
    """Everything that is known about one upgrade; see :func:`verification.judge`.

    Attributes
    ----------
    verdict : Verdict
        Joint verdict of the claims in ``decided_by``.
    decided_by : tuple of str
        Names of the claims that make the verdict.
    population : {"fixed", "drawn"}
        Population that the verdict is about: new samples of these classes, or new classes.
    definition1 : Definition1Report or None
        Mean distances: both inequalities of Definition 1, and their sum, the contrast gap. None where relevance was
        judged, and no labels say what is the same class.
    retrieval : RetrievalReport or None
        Retrieval; None if only pairs were listed, so that nothing says what a search should find.
    thresholds : ThresholdReport or None
        The accept threshold, if one was given.
    identification : AcceptClaim or None
        Open-set identification, if a false-positive identification rate was given.
    pairs : AcceptClaim or None
        1:1 verification, if pairs were listed.
    compression : Compression or None
        How the new set is a compressed copy of the old one. Then retrieval and thresholds compare the copy in itself
        with the original in itself, and Definition 1, which is about new queries in the old gallery, is not judged.
    hypotheses : Hypotheses or None
    polar : PolarAngles or None
        Measurements that explain the answer, if they were requested.
    sample : Sample or None
        What was drawn, if a sample was judged.
    notes : tuple of str
        Remarks on the data that a reader has to know.
    provenance : dict
        Version, options, seed and date, and the shape and digest of each input.
    """

    verdict: Verdict
    decided_by: tuple[str, ...]
    population: Population
    definition1: Definition1Report | None
    retrieval: RetrievalReport | None
    thresholds: ThresholdReport | None
    identification: AcceptClaim | None
    pairs: AcceptClaim | None
    compression: Compression | None
    hypotheses: Hypotheses | None
    polar: PolarAngles | None
    sample: Sample | None
    notes: tuple[str, ...]
    provenance: dict[str, Any]

    @property
    def labelled(self) -> bool:
        """Whether each row has one label, so that its class says which items are right."""
        by_class = self.retrieval is not None and self.retrieval.relevance == "labels"
        return self.definition1 is not None or by_class

    @property
    def claims(self) -> dict[str, Verdict]:
        """The verdict of every claim that was judged."""
        found = {} if self.retrieval is None else {"retrieval": self.retrieval.verdict}
        if self.definition1 is not None:
            found["definition-1"] = self.definition1.verdict
            if self.definition1.contrast_gap is not None:
                found["contrast"] = self.definition1.contrast_gap.verdict
        if self.thresholds is not None:
            found["threshold"] = self.thresholds.verdict
        return found | {name: claim.verdict for name, claim in self.accepted.items()}

    @property
    def accepted(self) -> dict[str, AcceptClaim]:
        """The claims about accept rates of single comparisons, by name."""
        found = {"identification": self.identification, "pairs": self.pairs}
        return {name: claim for name, claim in found.items() if claim is not None}

    @property
    def against(self) -> tuple[str, ...]:
        """Claims that do not make the verdict and that are incompatible."""
        return tuple(
            claim
            for claim, verdict in self.claims.items()
            if claim not in self.decided_by and verdict == Verdict.incompatible
        )

    @property
    def whom(self) -> str:
        """The population that the verdict is about; without one label per row there are no classes."""
        if self.labelled:
            return self.population.words
        return f"new {'pairs' if self.retrieval is None else 'queries'} like these"

    @property
    def in_part(self) -> bool:
        """Whether the answer is yes, and something that does not make it speaks against it."""
        return self.verdict == Verdict.compatible and bool(self.against)

    @property
    def word(self) -> str:
        """The answer in a word: no plain yes where something speaks against it."""
        return "In part" if self.in_part else self.verdict.word

    @property
    def answer(self) -> str:
        """The answer in one sentence, by which claims, and what speaks against it."""
        by = joined(self.decided_by)
        what, does, they = "new queries", "search the old gallery", "they"
        if self.compression is not None:
            what, does, they = "the compressed copy", "replace the original", "it"
        if self.in_part:
            return f"Judged by {by}, {what} may {does}; judged by {joined(self.against)}, {they} may not."
        fails, holds = (
            [claim for claim in self.decided_by if self.claims[claim] == verdict]
            for verdict in (Verdict.incompatible, Verdict.compatible)
        )
        if fails and holds:
            return f"Judged by {joined(fails)}, {what} should not {does}; judged by {joined(holds)}, {they} may."
        means = {
            Verdict.compatible: f"{what} may {does}",
            Verdict.incompatible: f"{what} should not {does}",
            Verdict.inconclusive: f"these samples do not decide whether {what} may {does}",
        }
        return f"Judged by {by}, {means[self.verdict]}."

    @property
    def scope(self) -> str:
        """For whom the answer holds, and from how many rows."""
        sample = "" if self.sample is None else f", from {self.sample.short}"
        return f"The answer is about {self.whom}{sample}."

    @property
    def headline(self) -> str:
        """The answer as every view shows it: a word, a sentence, and for whom it holds."""
        return f"{self.word}. {self.answer} {self.scope}"

    @property
    def disagreement(self) -> str | None:
        """A sentence, if mean distances and retrieval have different verdicts."""
        if self.definition1 is None or self.retrieval is None:
            return None
        mean, rank = self.definition1.verdict, self.retrieval.verdict
        if mean == rank:
            return None
        if Verdict.inconclusive in (mean, rank):
            return (
                f"Definition 1 is {mean}, retrieval {rank}: one is about mean distances, the other about the nearest "
                "item, and samples that decide one need not decide the other."
            )
        if mean == Verdict.compatible:
            return (
                "Mean distances improve, and yet the nearest item is right less often: some classes have come closer "
                "together. Neither claim implies the other, and a search follows retrieval."
            )
        contrast = self.definition1.contrast_gap
        shared = (
            " The contrast between classes is kept, so the loss is a shift that all embeddings share, which no ranking "
            "sees."
            if contrast is not None and contrast.verdict == Verdict.compatible
            else ""
        )
        return (
            "Mean distances get worse, and yet the nearest item is right no less often. Neither claim implies the "
            f"other: a search follows retrieval, a threshold on distances follows Definition 1.{shared}"
        )

    @property
    def summary(self) -> str:
        """One line with the verdict, its population, and every claim with its number."""
        from verification.views.documents.audit import summary

        return summary(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values; an infinite bound becomes None, as JSON has no infinity.

        A list of more than 50 classes or slices holds only the entries that lose most, and ``left_out`` counts the
        others.
        """
        parts = {
            "definition1": None if self.definition1 is None else self.definition1.to_dict(),
            "hypotheses": None if self.hypotheses is None else self.hypotheses.to_dict(),
            "polar": None if self.polar is None else self.polar.to_dict(),
        }
        plain = {name: getattr(self, name) for name in ("verdict", "decided_by", "population", "notes", "provenance")}
        claims = {name: getattr(self, name) for name in ("retrieval", "thresholds", "identification", "pairs")}
        parts |= {name: None if part is None else asdict(part) for name, part in claims.items()}
        return json_safe(
            {
                "schema_version": SCHEMA_VERSION,
                **plain,
                "sample": None if self.sample is None else {**asdict(self.sample), "sentence": self.sample.sentence},
                "left_out": _shorten(parts),
                **parts,
                "compression": None if self.compression is None else asdict(self.compression),
                "claims": self.claims,
                "headline": self.headline,
                "disagreement": self.disagreement,
                "summary": self.summary,
            }
        )

    def to_json(self, path: str | os.PathLike[str]) -> None:
        """Write :meth:`to_dict` as JSON; the file appears whole or not at all."""
        write_json(Path(path), self.to_dict())

    def to_html(self, path: str | os.PathLike[str], title: str | None = None) -> None:
        """Write the report as one page; the file appears whole or not at all."""
        from verification.views.page import to_html

        to_html(self, path, title=title)

    def to_markdown(self) -> str:
        """Return the report as Markdown, for a comment on a pull request."""
        from verification.views import documents, markdown

        return markdown.render(documents.document(self))

    def _repr_html_(self) -> str:
        from verification.views.page import in_notebook

        return in_notebook(self)


# entries of a list of classes or slices that are written
WRITTEN = 50


def _shorten(parts: dict[str, Any]) -> dict[str, int]:
    """Keep the entries of long lists that lose most, and count the others."""
    left_out = {}
    one, retrieval = parts["definition1"], parts["retrieval"]
    lists: list[tuple[str, Any, str, Callable[[Any], float]]] = []
    if one is not None:
        lists.append(("definition1.by_class", one, "by_class", lambda found: _lower(found["interval"])))
        if one["drift"] is not None:
            lists.append(("definition1.drift.by_class", one["drift"], "by_class", _slack))
    if retrieval is not None:
        lists.append(("retrieval.slices", retrieval, "slices", lambda found: _lower(found["change"]["fixed"])))
    for name, part, key, rank in lists:
        if (more := len(part[key]) - WRITTEN) > 0:
            part[key] = sorted(part[key], key=rank)[:WRITTEN]
            left_out[name] = more
    return left_out


def _slack(found: dict[str, float]) -> float:
    return found["tolerates"] - found["rotated"]


def _lower(interval: dict[str, Any]) -> float:
    return -math.inf if interval["lower"] is None else float(interval["lower"])


# a claim as it is spoken of in a sentence
ASKED = {
    "retrieval": "retrieval",
    "definition-1": "mean distances (Definition 1)",
    "contrast": "the contrast of classes",
    "threshold": "the accept threshold",
    "identification": "open-set identification",
    "pairs": "the listed pairs",
}


def joined(claims: Sequence[str]) -> str:
    """Claims in a sentence."""
    *names, last = (ASKED[claim] for claim in claims) if claims else ("",)
    return f"{', '.join(names)} and {last}" if names else last


def provenance(upgrade: Upgrade, options: dict[str, Any]) -> dict[str, Any]:
    """Where a report comes from: version, options, seed, date, shape and digest of each input."""
    version, date = made()
    sets = {"new": upgrade.new, "old": upgrade.old, "gallery": upgrade.gallery}
    return {
        "version": version,
        "date": date,
        "seed": upgrade.seed,
        "options": options,
        "inputs": {
            name: {"rows": len(features), "dim": features.dim, "sha256": upgrade.digests.get(name)}
            for name, features in sets.items()
            if features is not None
        },
    }

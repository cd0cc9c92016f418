"""What an audit reports: both sides of Definition 1 with interval and verdict, and what was judged beside them."""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verification._breakdown import ClassGap, ClassPairs, Verdict, Worst
from verification.drift import DriftMargin
from verification.files.atomic import write_atomically
from verification.power import SamplesNeeded

if TYPE_CHECKING:  # not needed to judge Definition 1, which starts faster without
    from verification.decision.retrieval_report import RetrievalReport
    from verification.decision.threshold_report import ThresholdReport

# of schema/audit-report.schema.json, which describes what to_dict returns
SCHEMA_VERSION = 2
INTERVALS = (
    "Intervals are for new samples of these classes in these numbers: labels are held fixed, the samples of a class "
    "are independent draws of it. Both sides' intervals cover at once with the stated confidence."
)


@dataclass(frozen=True)
class SideReport:
    """One inequality of Definition 1, judged.

    Attributes
    ----------
    gap : float
        Weighted mean over ordered pairs, in units of the distance; positive = compatible.
    lower, upper : float
        Interval for the expected gap; both sides cover at once with the report's confidence.
    pair_fraction, pair_fraction_error : float
        Share of pairs that satisfy the inequality by themselves, and its standard error (0 when all were looked at).
    num_pairs : int
        Ordered pairs of the side.
    verdict : {"compatible", "incompatible", "inconclusive"}
    """

    gap: float
    lower: float
    upper: float
    pair_fraction: float
    pair_fraction_error: float
    num_pairs: int
    verdict: Verdict


@dataclass(frozen=True)
class Sides:
    """Both inequalities under one weighting.

    Attributes
    ----------
    verdict : {"compatible", "incompatible", "inconclusive"}
        Compatible when both sides are, incompatible when either is.
    same_class, different_class : SideReport
        Inequality 1a and inequality 1b.
    """

    verdict: Verdict
    same_class: SideReport
    different_class: SideReport


@dataclass(frozen=True)
class AuditReport:
    """What an audit found; see :func:`audit`.

    Attributes
    ----------
    verdict : {"compatible", "incompatible", "inconclusive"}
        Compatible when both sides are, incompatible when either is.
    same_class, different_class : SideReport
        Inequality 1a and inequality 1b, in the weighting that was asked for.
    metric : str
    confidence : float
    margin : float
        The loss of gap that is accepted, in units of the distance.
    margin_error : float
        Standard error of the margin; 0 where it was given in units of the distance.
    contrast : float
        Mean distance between different classes less that within a class, both by the old model, in this weighting.
    weights : {"pairs", "classes"}
        What counts once.
    num_samples, num_gallery, num_classes, dim : int
        ``num_gallery`` is None where samples were paired with each other.
    notes : tuple of str
        What the reader has to know about this data.
    by_weighting : dict
        :class:`Sides` under each weighting.
    by_class : tuple of ClassGap
        1a for each class that has pairs of its own, simultaneous intervals.
    class_pairs : ClassPairs or None
        1b over the pairs of classes, counted; None where there are too many to look at.
    worst : Worst
        The class that loses most on 1a, and the class pair on 1b.
    drift : DriftMargin or None
        How far each class mean moved and how far it may; None in one dimension.
    off_centre_defect : float or None
        gap(1b) − gap(1a)/(K−1), every class counting once: zero when the old class means sum to zero, as on a simplex,
        where both inequalities are one condition. For ``sqeuclidean`` and ``cosine``; None where a class has no pair.
    samples_needed : SamplesNeeded or None
        Where the verdict is inconclusive, the samples that would decide.
    intervals : str
        What the intervals are about.
    retrieval : RetrievalReport or None
    thresholds : ThresholdReport or None
        Further claims about the same samples, with verdicts of their own; from :mod:`verification.decision.decide`.
    """

    verdict: Verdict
    same_class: SideReport
    different_class: SideReport
    metric: str
    confidence: float
    margin: float
    margin_error: float
    contrast: float
    weights: str
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
    off_centre_defect: float | None
    samples_needed: SamplesNeeded | None
    intervals: str = INTERVALS
    retrieval: RetrievalReport | None = None
    thresholds: ThresholdReport | None = None

    @property
    def margin_share(self) -> float | None:
        """The margin as a share of the old model's contrast; None where that is not positive."""
        return self.margin / self.contrast if self.contrast > 0.0 else None

    @property
    def margin_sentence(self) -> str:
        """What the margin is in both units, and what a verdict at it says."""
        share = "" if self.margin_share is None else f", {self.margin_share:.2%} of the old model's contrast"
        if not self.margin:
            return f"Margin 0: no loss is accepted. The old model's contrast is {self.contrast:.4g}."
        return (
            f"Margin {self.margin:.4g}{share}{f' {self.contrast:.4g}' if share else ''}. Compatible at a margin is "
            "non-inferiority: no side loses more than that, which does not say that none loses."
        )

    @property
    def excluded_loss(self) -> float | None:
        """The least margin, in units of the distance, at which these samples would say compatible; None if none."""
        loss = max(0.0, -self.same_class.lower, -self.different_class.lower)
        return loss if math.isfinite(loss) else None

    @property
    def disagreement(self) -> str | None:
        """A sentence where Definition 1 and retrieval have different verdicts."""
        if self.retrieval is None or self.retrieval.verdict == self.verdict:
            return None
        if "inconclusive" in (self.verdict, self.retrieval.verdict):
            return (
                f"Definition 1 is {self.verdict}, retrieval {self.retrieval.verdict}: one is about mean distances, "
                "the other about the nearest item; samples that decide one need not decide the other."
            )
        what = (
            "distances change for the better on average, and yet the nearest item is right less often"
            if self.verdict == "compatible"
            else "distances change for the worse on average, and yet the nearest item is right no less often"
        )
        return (
            f"Definition 1 and retrieval disagree: {what}. These are different claims and neither implies the other; "
            "what searches by rank follows retrieval, what compares distances with a threshold follows Definition 1."
        )

    @property
    def summary(self) -> str:
        """One line: the verdict, both gaps, and the verdicts of what else was judged."""
        parts = [
            f"{self.verdict}: gaps {self.same_class.gap:+.3g} same class, {self.different_class.gap:+.3g} different",
            f"margin {self.margin:.3g}",
        ]
        if self.retrieval is not None:
            change = 100.0 * self.retrieval.scores[0].upgrade.value
            parts.append(f"recall@1 {change:+.1f} points {self.retrieval.verdict}")
        if self.thresholds is not None:
            parts.append(f"threshold {self.thresholds.verdict}")
        return ", ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values; an infinite bound becomes None, as JSON has no infinity."""
        derived = {
            "margin_share": self.margin_share,
            "excluded_loss": self.excluded_loss,
            "disagreement": self.disagreement,
            "summary": self.summary,
        }
        return json_safe({"schema_version": SCHEMA_VERSION, **asdict(self), **derived})

    def to_json(self, path: str | os.PathLike[str]) -> None:
        """Write :meth:`to_dict` as JSON; the file appears whole or not at all."""
        write_json(Path(path), self.to_dict())

    def to_html(self, path: str | os.PathLike[str], **sections: Any) -> None:
        """Write the report as one page; keywords are those of :func:`verification.page.html.to_html`."""
        from verification.page.html import to_html

        to_html(self, path, **sections)


def json_safe(value: Any) -> Any:
    """Replace what JSON cannot hold: infinities by None, named tuples by objects, tuples by lists."""
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {key: json_safe(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_safe(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON; the file appears whole or not at all."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))

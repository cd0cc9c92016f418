"""How audits and theorem checks are shown in a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from verification.audit_report import AuditReport, SideReport
from verification.drift import off_centre_sentence

if TYPE_CHECKING:  # not needed to show an audit, which starts faster without
    from verification.decision.retrieval_report import Difference
    from verification.theorem import TheoremCheck
    from verification.upgrades import Upgrade

COLOURS = {
    "compatible": "green",
    "holds": "green",
    "incompatible": "red",
    "conclusion fails although the hypotheses hold": "red",
    "inconclusive": "yellow",
    "undecided": "yellow",
    "hypothesis fails": "cyan",
}
_ANSWERS = {
    "compatible": "Yes: queries of the new model may search the gallery of the old one.",
    "incompatible": "No: queries of the new model may not search the gallery of the old one.",
    "inconclusive": "Undecided: the data does not tell; more samples would.",
}


def _coloured(word: str) -> Text:
    return Text(word, style=COLOURS.get(word, ""))


def _gap(side: SideReport) -> str:
    """The gap with the half-width of its interval, which is symmetric."""
    return f"{side.gap:+.4f} ± {side.upper - side.gap:.4f}"


def audit_table(report: AuditReport) -> RenderableType:
    """Verdict first, then both inequalities and where they are worst, retrieval, thresholds, and what is open."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for header in ("pairs", "gap", "share", "verdict"):
        table.add_column(header, min_width=12 if header == "verdict" else None)
    for name, side in (("1a same class", report.same_class), ("1b different", report.different_class)):
        table.add_row(name, _gap(side), f"{side.pair_fraction:.1%}", _coloured(side.verdict))
    gallery = "" if report.num_gallery is None else f" against {report.num_gallery} gallery items"
    about = (
        f"{report.num_samples} samples{gallery}, {report.num_classes} classes, dim {report.dim}; {report.metric}, "
        f"every {_COUNTED[report.weights]} counts once, both intervals at once {report.confidence:.4g}."
    )
    verdict = Text(f"{report.verdict.upper()}  ", style=f"bold {COLOURS[report.verdict]}").append(
        _ANSWERS[report.verdict], style="default"
    )
    definition = (
        "gap: how much nearer (1a) or farther (1b) new queries are to old gallery items than old queries, on average; "
        "positive is compatible. share: of the single pairs, those that satisfy the inequality."
    )
    further = ([report.disagreement] if report.disagreement else []) + list(_samples(report))
    notes = [Text(f"Note: {note}") for note in report.notes]
    return Group(
        verdict,
        "",
        table,
        Text(about),
        Text(report.margin_sentence),
        *map(Text, further),
        *_details(report),
        *_drift(report),
        Text(definition, style="dim"),
        *_retrieval(report),
        *_thresholds(report),
        *notes,
        Text(_not_checked(report), style="dim"),
    )


def _samples(report: AuditReport) -> Iterable[str]:
    """How many samples would decide, and what these decide already."""
    if report.samples_needed is None:
        return
    yield report.samples_needed.sentence
    if report.excluded_loss is not None:
        share = f" ({report.excluded_loss / report.contrast:.2%} of the contrast)" if report.contrast > 0 else ""
        yield f"These samples already exclude a loss of more than {report.excluded_loss:.3g}{share}."


def _not_checked(report: AuditReport) -> str:
    missing = [
        *([] if report.retrieval else ["retrieval"]),
        *([] if report.thresholds else ["an accept threshold (--threshold, --far)"]),
        "classes or kinds of images that are not among these",
        "the labels",
        "an approximate index",
    ]
    return f"Not checked: {', '.join(missing)}."


def _retrieval(report: AuditReport) -> Iterable[RenderableType]:
    """Recall and mAP of the three searches, and what the old gallery gains or loses."""
    r = report.retrieval
    if r is None:
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for header in ("queries → gallery, %", *(score.name for score in r.scores)):
        table.add_column(header)
    rows = [("old → old", "old_old"), ("new → old", "new_old"), ("new → new", "new_new")]
    for name, field in rows if r.scores[0].new_new is not None else rows[:2]:
        table.add_row(name, *(f"{100 * getattr(score, field):.1f}" for score in r.scores))
    table.add_section()
    changes = [("new → old less old → old", "upgrade"), ("new → new less new → old", "reindexing")]
    for name, field in changes if r.scores[0].reindexing is not None else changes[:1]:
        table.add_row(name, *(_points(getattr(score, field)) for score in r.scores))
    alike = "the same" if r.class_verdict == r.verdict else r.class_verdict
    yield Text.assemble(
        "\nRetrieval: ",
        _coloured(r.verdict),
        f", by recall@1 of {r.scores[0].num_queries:,} queries in the old gallery, margin {100 * r.margin:.3g} points; "
        f"were the classes drawn too: {alike}.",
    )
    yield table
    yield Text(
        f"{r.gained:.1%} of the queries are right with the new model only, {r.lost:.1%} with the old only. Intervals: "
        f"{r.confidence:.4g}, for new queries in this gallery.",
        style="dim",
    )


def _points(change: Difference) -> str:
    return f"{100 * change.value:+.1f}\n[{100 * change.lower:+.1f}, {100 * change.upper:+.1f}]"


def _thresholds(report: AuditReport) -> Iterable[RenderableType]:
    """FAR and TAR at the old threshold, and the threshold that keeps FAR."""
    t = report.thresholds
    if t is None:
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for header in ("pairs", "old", "new", "verdict"):
        table.add_column(header, min_width=12 if header == "verdict" else None)
    for name, old, new, change in (
        ("FAR", t.old_far, t.new_far, t.far_change),
        ("TAR", t.old_tar, t.new_tar, t.tar_change),
    ):
        table.add_row(
            name, *(f"{r.value:.4g}\n[{r.lower:.4g}, {r.upper:.4g}]" for r in (old, new)), _coloured(change.verdict)
        )
    chosen = "" if t.target_far is None else f", where old queries have FAR {t.target_far:g}"
    yield Text.assemble(
        f"\nThreshold {t.threshold:.4f} (cosine){chosen}: ",
        _coloured(t.verdict),
        f"; FAR may rise by {t.far_margin:.3g} of itself, TAR fall by {t.tar_margin:.3g}.",
    )
    yield table
    kept = t.kept
    yield Text(
        f"New queries keep the old FAR from {kept.threshold:.4f} on, in [{kept.lower:.4f}, {kept.upper:.4f}]; TAR is "
        f"then {kept.tar.value:.4g}, a change of {kept.tar_change.value:+.4g} in [{kept.tar_change.lower:+.4g}, "
        f"{kept.tar_change.upper:+.4g}]."
    )


_COUNTED = {"pairs": "pair", "classes": "class"}


def _details(report: AuditReport) -> Iterable[Text]:
    """The other weighting, the worst class and the worst pair of classes: what an average hides."""
    other = next(name for name in report.by_weighting if name != report.weights)
    sides = report.by_weighting[other]
    yield Text(
        f"Every {_COUNTED[other]} counting once instead: 1a {_gap(sides.same_class)}, "
        f"1b {_gap(sides.different_class)}, {sides.verdict}."
    )
    if (worst := report.worst.same_class) is not None:
        yield Text(
            f"Least 1a: class {worst.label}, {worst.gap:+.4f} in [{worst.lower:+.4f}, {worst.upper:+.4f}], "
            f"{worst.verdict}."
        )
    if (pair := report.worst.different_class) is not None and report.class_pairs is not None:
        counted = report.class_pairs
        yield Text(
            f"Least 1b: queries of class {pair.query} in class {pair.gallery}, {pair.gap:+.4f} in "
            f"[{pair.lower:+.4f}, {pair.upper:+.4f}], {pair.verdict}; {counted.negative} of {counted.total} pairs of "
            "classes have a negative gap."
        )


def _drift(report: AuditReport) -> Iterable[Text]:
    """What drift the update bears, and whether both inequalities are one condition here."""
    if report.drift is not None:
        yield Text(report.drift.sentence)
    if report.off_centre_defect is not None:
        sides = report.by_weighting["classes"]
        gaps = sides.same_class.gap, sides.different_class.gap
        yield Text(off_centre_sentence(*gaps, report.off_centre_defect, report.num_classes))


def theorem_table(upgrades: Iterable[Upgrade]) -> Table:
    """One row a model: hypotheses, both gaps with intervals, the answer."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for header in ("new model", "hypotheses", "same class (1a)", "different (1b)", "Theorem 1"):
        table.add_column(header)
    seed = None
    for upgrade in upgrades:
        if upgrade.seed != seed:
            seed = upgrade.seed
            table.add_section()
            table.add_row(Text(f"seed {seed}", style="bold"))
        table.add_row(upgrade.name, *_row(upgrade.check))
    return table


def _row(check: TheoremCheck) -> tuple[RenderableType, ...]:
    h, c = check.hypotheses, check.conclusions
    drift = math.degrees(float(h.new_drift.max()))
    hypotheses = f"{h.status}\ndrift {drift:.1f}°\n{h.old_cosine:.3f} → {h.new_cosine:.3f}"
    sides = [
        f"{side.gap:+.4f}\n± {side.upper - side.gap:.4f}\n{side.pair_fraction:.1%}"
        for side in (c.same_class, c.different_class)
    ]
    return hypotheses, *sides, _coloured(check.answer)


THEOREM_LEGEND = (
    "drift: largest angle between a class mean and its vertex; below it the mean cosine to the vertex, old → new. "
    "Gaps in squared distance, positive = the inequality holds in expectation, ± half the interval (95 % for both "
    "at once), and the share of single pairs that satisfy it."
)

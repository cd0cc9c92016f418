"""How audits and theorem checks are shown in a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from verification.audit import AuditReport, SideReport
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
    """Verdict first, then both inequalities with interval and share of pairs, then where it is worst."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for header in ("pairs", "gap", "share", "verdict"):
        table.add_column(header, min_width=12 if header == "verdict" else None)
    for name, side in (("1a same class", report.same_class), ("1b different", report.different_class)):
        table.add_row(name, _gap(side), f"{side.pair_fraction:.1%}", _coloured(side.verdict))
    gallery = "" if report.num_gallery is None else f" against {report.num_gallery} gallery items"
    about = (
        f"{report.num_samples} samples{gallery}, {report.num_classes} classes, dim {report.dim}; {report.metric}, "
        f"every {_COUNTED[report.weights]} counts once, both intervals at once {report.confidence:.4g}, "
        f"margin {report.margin:g}."
    )
    verdict = Text(f"{report.verdict.upper()}  ", style=f"bold {COLOURS[report.verdict]}").append(
        _ANSWERS[report.verdict], style="default"
    )
    definition = (
        "gap: how much nearer (1a) or farther (1b) new queries are to old gallery items than old queries, on average; "
        "positive is compatible. share: of the single pairs, those that satisfy the inequality."
    )
    notes = [Text(f"Note: {note}") for note in report.notes]
    return Group(verdict, "", table, Text(about), *_details(report), Text(definition, style="dim"), *notes)


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

"""How a bridge is shown in a terminal: both verdicts, every map, what the chosen one costs."""

from __future__ import annotations

from collections.abc import Iterable

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from verification.audit import SideReport, Sides
from verification.bridge.cost import Cost
from verification.bridge.report import BridgeReport
from verification.report import COLOURS

_SPACES = {
    "queries": "new queries are mapped into the old space, the gallery stays",
    "gallery": "the old gallery is mapped into the new space",
}


def bridge_table(report: BridgeReport) -> RenderableType:
    """Verdicts first, then the maps on the part that chose, then the chosen one on the part that judged."""
    verdict = Text(f"{report.verdict.upper()}  ", style=f"bold {COLOURS[report.verdict]}").append(
        f"{report.sentence[:1].upper()}{report.sentence[1:]}.", style="default"
    )
    parts: list[RenderableType] = [verdict, "", Text(as_it_is(report))]
    if report.candidates:
        parts += [_maps(report), *(Text(line) for line in findings(report))]
    return Group(*parts)


def as_it_is(report: BridgeReport) -> str:
    """The first verdict, in a sentence."""
    if report.as_is is None:
        return "Without a map there is nothing to audit: the models have different dimensions."
    sides = gaps(report.as_is.same_class, report.as_is.different_class)
    return f"Without a map: {report.as_is.verdict} ({sides}; {report.as_is.num_samples} samples)."


def gaps(same: SideReport, different: SideReport) -> str:
    """Both gaps with their intervals."""
    return f"1a {gap(same)}, 1b {gap(different)}"


def gap(side: SideReport) -> str:
    """A gap with the half-width of its interval; what is below rounding is zero."""
    if max(abs(side.lower), abs(side.upper)) < 1e-5:
        return "0, but for rounding" if max(abs(side.lower), abs(side.upper)) < 1e-12 else f"{side.gap:+.1e}"
    return f"{side.gap:+.4f} ± {side.upper - side.gap:.4f}"


def _maps(report: BridgeReport) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for header in ("map", "may lose", "all classes", "held-out classes"):
        table.add_column(header)
    for row in candidates(report):
        *cells, chosen = row
        table.add_row(*(Text(cell, style=COLOURS.get(cell, "")) for cell in cells), style="bold" if chosen else "")
    return table


def candidates(report: BridgeReport) -> Iterable[tuple[str, str, str, str, bool]]:
    """Of every map: its kind, the least lower bound, both verdicts, and whether it was chosen."""
    for candidate in report.candidates:
        lower = candidate.weakest.lower
        yield (
            candidate.kind,
            "nothing" if lower >= -1e-12 else f"{-lower:.2g}",
            candidate.all_classes.verdict,
            "–" if candidate.held_out is None else candidate.held_out.verdict,
            candidate.kind == report.kind,
        )


def findings(report: BridgeReport) -> Iterable[str]:
    """What the audit part says of the chosen map, in sentences."""
    assert report.cost is not None  # there were candidates
    chosen = f"Chosen on {report.num_choice} samples after a fit to {report.num_fit}: {report.kind}; "
    if report.all_classes is None:
        yield f"{chosen}nothing was fitted, so the verdict is the one without a map."
    else:
        yield f"{chosen}{_SPACES[report.direction]}. Audited on {report.num_audit} others:"
        yield f"all classes: {_sides(report.all_classes)}"
        yield _held_out(report)
    if report.verdict != "compatible" and report.needed_margin is not None:
        yield f"It loses no more than {report.needed_margin:.2g}: --margin {report.needed_margin:.2g} would accept it."
    seen_only = [
        c.kind for c in report.candidates if c.verdict != "compatible" and c.all_classes.verdict == "compatible"
    ]
    if report.verdict != "compatible" and seen_only:
        yield (
            f"Compatible for the classes it was fitted to alone: {', '.join(seen_only)}. If the gallery will hold no "
            "others, ask with --closed-set."
        )
    yield from _cost(report.cost)


def _cost(cost: Cost) -> Iterable[str]:
    yield (
        f"Nearest neighbour right: old → old {cost.old_old:.1%}, new → old through the map {cost.mapped:.1%}, "
        f"new → new {cost.new_new:.1%}. Reindexing would win {100 * cost.lost:+.1f} points "
        f"({100 * cost.lower:+.1f} to {100 * cost.upper:+.1f})."
    )
    distances = cost.distances
    yield f"Distances beside those of new → new: {gaps(distances.same_class, distances.different_class)}."


def _held_out(report: BridgeReport) -> str:
    if report.held_out is None:
        return "No classes were held out: how the map does for classes it was not fitted to is not known."
    names = [str(label) for label in report.held_out_classes]
    named = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
    return f"fitted without classes {named} and audited on them: {_sides(report.held_out)}"


def _sides(sides: Sides) -> str:
    return f"{gaps(sides.same_class, sides.different_class)}; {sides.verdict}."

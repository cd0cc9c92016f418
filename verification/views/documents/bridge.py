"""What a bridge says: whether a map makes two models compatible, how the maps compare, and what the best one costs."""

from __future__ import annotations

from collections.abc import Iterator

from verification.audit.report import Sides
from verification.bridge.report import BridgeReport, FittedReport
from verification.views.document import READ, Axis, Bar, Document, Section, Table, sections
from verification.views.documents import distances
from verification.views.documents.distances import both
from verification.views.labels import label
from verification.views.numbers import Bounds, count, digits, percent, plural, points, round_up

_SPACES = {
    "queries": "new queries are mapped into the old space, and the gallery stays as it is",
    "gallery": "the old gallery is mapped into the new space",
}
MAP_HEAD = ("map", "loss up to", "all classes", "held-out")
_NEXT = {
    "queries": "Send new queries through the map, then search the old gallery.",
    "gallery": "Send the vectors of the old gallery through the map, then search them with new queries.",
    "identity": "Switch queries to the new model and keep the old gallery.",
    "slerp": "Embed every query with both models, send both rows through the map, then search the old gallery.",
    "incompatible": "Embed the gallery again with the new model, or train the new model to be compatible.",
    "inconclusive": "Add samples, because these do not decide whether a map helps{}.",
}


def bridge(report: BridgeReport) -> Document:
    """Both verdicts, every map on the part that chose, the chosen one on the part that judged, and what it costs."""
    one, table = report.as_is, None
    if report.candidates:
        kinds = [candidate.kind for candidate in report.candidates]
        chosen = (kinds.index(report.kind),) if report.kind in kinds else ()
        table = Section(
            "Through a map", (Table(MAP_HEAD, tuple(candidates(report)), chosen), *findings(report)), report.verdict
        )
    word, answer = _answer(report)
    gaps = [] if one is None else [distances.distances(one), *distances.details(one)]
    return Document(
        verdict=report.verdict,
        word=word,
        answer=f"{answer} {_scope(report)}",
        next_step=_next(report),
        sections=sections(
            _picture(report),
            Section("Without a map", (without_map(report),), "" if one is None else one.verdict),
            table,
            None if one is None else Section("Notes on the data", one.notes),
        ),
        experts=(Section("The models without a map", ("What follows is about the models as they are.",)), *gaps)
        if gaps
        else (),
    )


def _picture(report: BridgeReport) -> Section:
    """The gaps without a map and through the chosen one, beside the loss that is accepted."""
    one = report.as_is
    unit, scale = "units of the distance", 1.0
    if one is not None and one.contrast > 0.0:
        unit, scale = "% of the old contrast", 100.0 / one.contrast
    found: list[tuple[str, Sides]] = []
    if one is not None:
        found.append(("no map", one.by_weighting[one.weights]))
    found += [
        (name, sides)
        for name, sides in (("all classes", report.all_classes), ("held-out", report.held_out))
        if sides is not None
    ]
    bars = tuple(
        Bar(
            name=f"{side}, {name}",
            found=Bounds(scale * gap.value, scale * gap.lower, scale * gap.upper),
            margin=scale * report.margin,
            verdict=gap.verdict,
        )
        for name, sides in found
        for side, gap in (("1a", sides.same_class), ("1b", sides.different_class))
    )
    through = " Held-out classes were kept from the fit of the map." if report.held_out is not None else ""
    return Section("Gaps of mean distance", (Axis(f"Change in {unit}", bars, unit), f"{READ}{through}") if bars else ())


def _scope(report: BridgeReport) -> str:
    """For whom the answer holds."""
    if report.held_out is not None and report.kind != "identity":
        return "The answer is about new samples of these classes, and of classes that the map was not fitted to."
    return "The answer is about new samples of these classes."


def _answer(report: BridgeReport) -> tuple[str, str]:
    without = (
        "the models have different dimensions" if report.as_is is None else f"the models are {report.as_is.verdict}"
    )
    if report.verdict == "compatible":
        if report.kind == "identity":
            return "Yes", "New queries may search the old gallery. No map is needed."
        return "Yes, through a map", f"The {report.kind} map makes the models compatible. Without a map {without}."
    best = "none is better than no map" if report.kind == "identity" else f"the best is the {report.kind} map"
    if report.verdict == "incompatible":
        return "No", f"No map makes the models compatible; {best}."
    return "Undecided", f"These samples do not decide whether a map makes the models compatible; {best}."


def _next(report: BridgeReport) -> str:
    """What to do after a bridge was judged."""
    if report.verdict != "compatible":
        accepting = _accepting(report)
        return _NEXT[report.verdict].format(f", or accept a loss: {accepting}" if accepting else "")
    return _NEXT[report.kind if report.kind in ("identity", "slerp") else report.direction]


def _accepting(report: BridgeReport) -> str:
    """The margin that would accept the chosen map; "" if none.

    It is an amount: a margin in per cent has the error of the old contrast, too, and accepts a little less.
    """
    loss = report.needed_margin
    if loss is None or report.verdict == "compatible":
        return ""
    contrast = 0.0 if report.as_is is None else report.as_is.contrast
    if contrast <= 0.0:
        return f"--margin {round_up(loss)} or more"
    share = round_up(100.0 * loss / contrast)
    return f"--margin {round_up(loss)} ({share} % of the old contrast) or more" if loss < 0.99 * contrast else ""


def without_map(report: BridgeReport) -> str:
    """The first verdict, in a sentence."""
    if report.as_is is None:
        return "Without a map there is nothing to audit, because the models have different dimensions."
    sides = report.as_is.by_weighting[report.as_is.weights]
    return f"On {plural(report.as_is.num_samples, 'sample')}: {both(sides)}."


def candidates(report: BridgeReport) -> Iterator[tuple[str, str, str, str]]:
    """Of every map: its kind, the loss that is not excluded, and both verdicts."""
    for candidate in report.candidates:
        lower = candidate.weakest.lower
        yield (
            candidate.kind,
            "nothing" if lower >= -1e-12 else round_up(-lower),
            candidate.all_classes.verdict,
            "–" if candidate.held_out is None else candidate.held_out.verdict,
        )


def findings(report: BridgeReport) -> Iterator[str]:
    """What the audit part says of the chosen map, in sentences."""
    cost = report.cost
    assert cost is not None  # there were candidates
    chosen = (
        f"The {report.kind} map was fitted to {plural(report.num_fit, 'sample')} and chosen on "
        f"{count(report.num_choice)} others"
    )
    if report.all_classes is None:
        yield f"{chosen}. Nothing was fitted, so the verdict is the one without a map."
    else:
        yield f"{chosen}: {_SPACES[report.direction]}. It was audited on {count(report.num_audit)} more samples."
        yield f"All classes: {both(report.all_classes)}."
        yield _held_out(report)
    if accepting := _accepting(report):
        yield f"With {accepting}, the map would be compatible: it loses at most that."
    seen_only = [
        c.kind for c in report.candidates if c.verdict != "compatible" and c.all_classes.verdict == "compatible"
    ]
    if report.verdict != "compatible" and seen_only:
        yield (
            f"Compatible only for the classes that were fitted: {', '.join(seen_only)}. If the gallery will never "
            "contain other classes, use --closed-set."
        )
    yield (
        f"The nearest neighbour has the right class for {percent(cost.old_old)} of the queries for old → old, "
        f"{percent(cost.mapped)} for new → old through the map and {percent(cost.new_new)} for new → new. Embedding "
        f"the gallery again would add {points(cost.lost)} points."
    )
    yield f"Compared with the distances of new → new: {both(cost.distances).rpartition(', ')[0]}."


def _held_out(report: BridgeReport) -> str:
    if report.held_out is None:
        return "No classes were held out, so it is not known how the map does for classes that were not fitted."
    names = ", ".join(label(name) for name in report.held_out_classes[:5])
    more = ", …" if len(report.held_out_classes) > 5 else ""
    return f"Fitted without the classes {names}{more} and audited on them: {both(report.held_out)}."


def fitted(report: FittedReport) -> Document:
    """The map that was fitted without labels, beside the others."""
    kinds = [found.kind for found in report.losses]
    rows = tuple((found.kind, digits(found.loss, 3)) for found in report.losses)
    return Document(
        verdict=report.verdict,
        word="Fitted, and not judged",
        answer=(
            f"The {report.kind} map brings new and old rows of the same samples within a mean squared distance of "
            f"{digits(report.loss, 3)}. There are no labels, so it is not known whether queries may search the old "
            "gallery through it."
        ),
        sections=(
            Section(
                "Maps",
                (
                    Table(("map", "mean squared distance"), rows, (kinds.index(report.kind),)),
                    f"Fitted to {plural(report.num_fit, 'row')} and compared on {count(report.num_choice)} others: "
                    f"{_SPACES[report.direction]}. The most rigid map is taken of those that are as near as the best, "
                    "to a standard error. Rows of unrelated samples are about 2 apart.",
                ),
            ),
        ),
        next_step="Label some samples and run stationary bridge fit on them, before you rely on the map.",
    )

"""What an audit says: the answer, one picture of changes and accepted losses, the evidence, and what to do next."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from verification.audit.report import ASKED, Definition1Report, UpgradeReport, joined
from verification.audit.threshold_report import ThresholdUnit
from verification.statistics.interval import Interval, Judged, Population, Verdict
from verification.views.document import READ, Axis, Bar, Document, Section, Table, named, origin, sections
from verification.views.documents import distances, rates, retrieval
from verification.views.numbers import Bounds, count, estimate, plural, points, round_up


def audit(report: UpgradeReport) -> Document:
    """Everything that was found about an upgrade; mean distances are for experts unless they decide."""
    one = report.definition1
    decided = {"definition-1", "contrast"} & set(report.decided_by)
    gaps = None if one is None else distances.distances(one)
    made = report.provenance
    drawn = () if report.sample is None else (report.sample.sentence,)
    return Document(
        verdict=report.verdict,
        in_part=report.in_part,
        word=report.word,
        answer=f"{report.answer} {report.scope}",
        next_step=next_step(report),
        origin=origin(made["version"], made["date"]),
        sections=sections(
            picture(report),
            _claims(report),
            retrieval.saved(report),
            None if report.retrieval is None else retrieval.retrieval(report.retrieval, report.compression),
            *(rates.accepted(ASKED[claim], found) for claim, found in report.accepted.items()),
            rates.thresholds(report.thresholds, report.compression),
            gaps if decided else None,
            Section("Notes on the data", (*drawn, *report.notes)),
            Section("Not checked", (_not_checked(report),)),
        ),
        experts=sections(
            None if decided else gaps,
            None if report.retrieval is None else retrieval.searches(report.retrieval, report.compression),
            *distances.details(one),
            distances.caps(report.polar),
            distances.hypotheses(report.hypotheses),
            provenance(report),
        ),
    )


def summary(report: UpgradeReport) -> str:
    """One line: the verdict, whom it is about, and every claim with its number."""
    by = " and ".join(report.decided_by)
    parts = [f"{report.verdict}{' in part' if report.in_part else ''} by {by} for {report.whom}"]
    if (copy := report.compression) is not None:
        parts.append(f"{copy.kind}, {count(copy.bytes_before)} → {count(copy.bytes_after)} bytes a vector")
    for axis in axes(report):
        values = (f"{bar.name} {estimate(bar.found).split(' ')[0]} {bar.verdict}".rstrip() for bar in axis.bars)
        parts.append(f"{', '.join(values)} ({axis.unit})")
    parts += [f"{name} {claim.verdict}" for name, claim in report.accepted.items()]
    if report.sample is not None:
        parts.append(report.sample.short)
    return "; ".join(parts)


# ---- the picture


def picture(report: UpgradeReport) -> Section:
    """Every judged change with its interval beside the loss that is accepted."""
    found = axes(report)
    return Section("What changes", (*found, READ) if found else ())


def axes(report: UpgradeReport) -> tuple[Axis, ...]:
    """The changes of an upgrade by their units: percentage points, and shares of what there was."""
    found = (
        ("points", _points(report)),
        ("% of the old false accepts", _falls(report)),
        (*_gaps(report),),
    )
    return tuple(Axis(f"Change in {unit}", bars, unit) for unit, bars in found if bars)


def _points(report: UpgradeReport) -> tuple[Bar, ...]:
    def bar(claim: str, name: str, change: Judged | Interval, margin: float, verdict: str) -> Bar:
        return _bar(name, change, 100.0, margin, verdict, claim in report.decided_by)

    r, t, found = report.retrieval, report.thresholds, []
    if r is not None:
        found.append(bar("retrieval", r.scores[0].name, r.change, r.margin, r.verdict))
    if t is not None:
        found.append(bar("threshold", "TAR", t.tar_change, t.tar_margin, t.tar_change.verdict))
    for claim, of in report.accepted.items():
        name = rates.names(of)[1]
        found.append(
            bar(claim, f"{name}, pairs" if claim == "pairs" else name, of.rates.true_accepts.change, of.true_margin, "")
        )
    return tuple(found)


def _falls(report: UpgradeReport) -> tuple[Bar, ...]:
    """False accepts, with the other sign so that to the right is better, as shares of those of the old queries."""
    t, found = report.thresholds, []
    if t is not None and t.old_far.value > 0.0:
        # the change is the new FAR less what is accepted of it
        share, change = 100.0 / t.old_far.value, t.far_change
        accepted = 100.0 * t.far_margin
        values = (-share * value - accepted for value in (change.value, change.upper, change.lower))
        decides = "threshold" in report.decided_by
        found.append(_bar("fall of FAR", Bounds(*values), 1.0, accepted, change.verdict, decides))
    for claim, of in report.accepted.items():
        rate = of.rates.false_accepts
        if rate.old.value > 0.0:
            fall = rate.change.times(-1.0 / rate.old.value)
            name = f"fall of {rates.names(of)[0]}{', pairs' if claim == 'pairs' else ''}"
            found.append(_bar(name, fall, 100.0, of.false_margin, "", claim in report.decided_by))
    return tuple(found)


def _gaps(report: UpgradeReport) -> tuple[str, tuple[Bar, ...]]:
    """The gaps of mean distances on one axis, as shares of the old contrast where that is positive."""
    one = report.definition1
    if one is None:
        return "", ()
    unit, scale = (
        ("% of the old contrast", 100.0 / one.contrast) if one.contrast > 0.0 else ("units of the distance", 1.0)
    )
    gaps = (
        ("1a same class", one.same_class, "definition-1"),
        ("1b other class", one.different_class, "definition-1"),
        ("1a + 1b", one.contrast_gap, "contrast"),
    )
    return unit, tuple(
        _bar(name, gap, scale, one.margin, gap.verdict, claim in report.decided_by)
        for name, gap, claim in gaps
        if gap is not None
    )


def _bar(name: str, found: Judged | Interval | Bounds, scale: float, margin: float, verdict: str, chosen: bool) -> Bar:
    bounds = Bounds(scale * found.value, scale * found.lower, scale * found.upper)
    return Bar(name=name, found=bounds, margin=scale * margin, verdict=verdict, chosen=chosen)


# ---- claims


def _claims(report: UpgradeReport) -> Section:
    """What was judged, for both populations."""
    names = list(report.claims)
    chosen = tuple(map(names.index, report.decided_by))
    follows = f"The answer follows from {joined(report.decided_by)}."
    blocks: list[str | Table]
    if report.definition1 is None:
        rows: tuple[tuple[str, ...], ...] = tuple((ASKED[claim], verdict) for claim, verdict in report.claims.items())
        blocks = [Table(("claim", "verdict"), rows, chosen), f"{follows} Verdicts are for {report.whom}."]
    else:
        rows = tuple((ASKED[claim], *_for_both(report, claim)) for claim in names)
        blocks = [
            Table(("claim", "these classes", "new classes"), rows, chosen),
            f"{follows} Verdicts are for new samples of these classes, and for new classes like these.",
        ]
    if report.definition1 is not None:
        blocks.append(_meaning(report.definition1))
    if report.disagreement:
        blocks.append(report.disagreement)
    return Section("Claims", tuple(blocks))


def _meaning(one: Definition1Report) -> str:
    """What the gaps of mean distances are, and their unit."""
    text = (
        "In the mean distances, 1a is how much nearer new queries are to old items of their class than old queries "
        "are, and 1b how much farther they are from items of other classes."
    )
    if one.contrast <= 0.0:
        return text
    return (
        f"{text} The old contrast, in per cent of which they are given, is how much farther apart items of different "
        "classes are than items of one class."
    )


def _for_both(report: UpgradeReport, claim: str) -> tuple[str, str]:
    """The verdicts of a claim for these classes and for new ones."""
    one, r, t = report.definition1, report.retrieval, report.thresholds
    if claim in report.accepted:
        return report.claims[claim], "–"
    parts: dict[str, tuple[Judged | None, ...]] = {
        "retrieval": () if r is None else (r.change,),
        "definition-1": () if one is None else (one.same_class, one.different_class),
        "contrast": () if one is None else (one.contrast_gap,),
        "threshold": () if t is None else (t.far_change, t.tar_change),
    }
    judged = [part for part in parts[claim] if part is not None]
    decides, other = report.claims[claim], Verdict.combine(part.other_verdict for part in judged)
    return (decides, other) if report.population == Population.fixed else (other, decides)


def _not_checked(report: UpgradeReport) -> str:
    missing = [
        *([] if report.thresholds or not report.labelled else ["an accept threshold (--threshold, --far)"]),
        "kinds of data that are not among these",
        "whether the labels are right"
        if report.retrieval is None or report.retrieval.relevance != "judgements"
        else "whether all relevant items were judged",
        "the errors of an approximate index",
    ]
    text = ", ".join(missing)
    return f"{text[:1].upper()}{text[1:]}."


def provenance(report: UpgradeReport) -> Section:
    """Where the report comes from."""
    made = report.provenance
    options = {
        f"--{name.replace('_', '-')}": value
        for name, value in made["options"].items()
        if value not in (None, False, True, (), [])
    }
    return Section(
        "Where this report comes from",
        (
            named(
                (
                    ("version", f"stationary-representations {made['version']}"),
                    ("date", made["date"]),
                    ("seed", str(made["seed"])),
                    (
                        "options",
                        ", ".join(f"{name} {_spelled(value)}" for name, value in options.items()),
                    ),
                )
            ),
            Table(
                ("input", "rows", "dimension", "SHA-256 of its rows"),
                tuple(
                    (name, count(of["rows"]), count(of["dim"]), str(of["sha256"]))
                    for name, of in made["inputs"].items()
                ),
            ),
        ),
    )


def _spelled(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, Sequence) and not isinstance(value, str) else str(value)


# ---- what to do next


def next_step(report: UpgradeReport) -> str:
    """What to do now that this is known."""
    if (copy := report.compression) is not None and report.verdict != Verdict.inconclusive:
        return (
            "Replace the vectors of queries and gallery by the copy."
            if report.verdict == Verdict.compatible
            else f"Keep the original, or compress it less than to {plural(copy.bytes_after, 'byte')} a vector."
        )
    if report.verdict == Verdict.compatible:
        return "Switch queries to the new model and keep the old gallery."
    if report.verdict == Verdict.incompatible:
        embed = (
            "Embed the gallery again with the new model, or look for a map between the models with stationary bridge "
            "fit NEW OLD."
        )
        search = {report.claims[claim] for claim in report.decided_by if claim not in ("threshold", *report.accepted)}
        if Verdict.incompatible in search or not (kept := list(_kept_thresholds(report))):
            return embed
        if search == {Verdict.compatible}:
            first = (f"Keep the old gallery, and {each}" for each in kept)
            return " ".join((*first, f"If the old threshold has to stay, {embed[:1].lower()}{embed[1:]}"))
        return " ".join((embed, *(f"Or {each}" for each in kept)))
    return " ".join(_to_decide(report))


def _to_decide(report: UpgradeReport) -> Iterator[str]:
    """What would decide the claims that are open."""
    one, r, t = report.definition1, report.retrieval, report.thresholds
    more = "Add samples" if report.sample is None else "Draw a larger sample (--sample)"
    yield f"{more}, or accept a loss."
    is_open = {claim for claim in report.decided_by if report.claims[claim] == Verdict.inconclusive}
    if "retrieval" in is_open and r is not None and -1.0 < r.change.lower < 0.0:
        loss = round_up(-100.0 * r.change.lower)
        yield f"With --retrieval-margin {loss}% or more, retrieval would be compatible."
    if "definition-1" in is_open and one is not None and one.samples_needed is not None:
        yield one.samples_needed.sentence
        if one.excluded_loss is not None:
            share = (
                f" ({round_up(100.0 * one.excluded_loss / one.contrast)} % of the contrast)" if one.contrast > 0 else ""
            )
            yield f"With --margin {round_up(one.excluded_loss)}{share} or more, mean distances would be compatible."
    tar = None if t is None or "threshold" not in is_open else t.tar_change
    if tar is not None and tar.verdict != Verdict.compatible and -1.0 < tar.lower < 0.0:
        yield f"With --tar-margin {round_up(-100.0 * tar.lower)}% or more, TAR would be compatible."
    if report.compression is None:
        yield from (f"Or {each}" for each in _kept_thresholds(report))


def _kept_thresholds(report: UpgradeReport) -> Iterator[str]:
    """The thresholds that keep the rate of false accepts where the old one is not known to serve, as instructions."""
    t = report.thresholds
    if t is not None and "threshold" in report.decided_by and t.verdict != Verdict.compatible:
        at = Bounds(t.kept.threshold, t.kept.lower, t.kept.upper)
        yield from _set(at, t.threshold_unit, ("FAR", "TAR"), t.kept.tar_change)
    for claim, found in report.accepted.items():
        if claim in report.decided_by and found.verdict != Verdict.compatible:
            kept = found.rates.true_accepts_kept.change
            yield from _set(found.rates.kept_threshold, found.threshold_unit, rates.names(found), kept)


def _set(at: Bounds | Interval, unit: ThresholdUnit, names: tuple[str, str], change: Interval) -> Iterator[str]:
    if math.isfinite(at.value):
        yield (
            f"set the accept threshold of new queries to a {unit} of {rates.kept_at(at, unit)}, where they have the "
            f"old {names[0]}; {names[1]} then changes by {points(change)} points."
        )

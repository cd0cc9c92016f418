"""A block for the card of a model: whose galleries its queries may be searched in, and what that was checked on."""

from __future__ import annotations

from collections.abc import Iterator

from theory.metrics import METRICS
from verification.audit.report import ASKED, UpgradeReport
from verification.statistics.interval import Verdict
from verification.views.document import Document, Section, Table
from verification.views.documents.rates import names as rate_names
from verification.views.documents.rates import threshold_at
from verification.views.documents.words import memory, search_words
from verification.views.numbers import confidence, count, digits, estimate, in_points, plural, points

_MAY = {
    Verdict.compatible: "Queries of {new} may be searched in galleries of {old}.",
    Verdict.incompatible: "Queries of {new} should not be searched in galleries of {old}.",
    Verdict.inconclusive: "It is not decided whether queries of {new} may be searched in galleries of {old}.",
}
_MAY_REPLACE = {
    Verdict.compatible: "The vectors of {old} may be replaced by a compressed copy, in queries and galleries alike.",
    Verdict.incompatible: "The vectors of {old} should not be replaced by this compressed copy.",
    Verdict.inconclusive: "It is not decided whether the vectors of {old} may be replaced by this compressed copy.",
}


def card(report: UpgradeReport, new: str, old: str) -> Document:
    """Return the block, which :mod:`verification.views.markdown` writes into a model card.

    Parameters
    ----------
    report : UpgradeReport
    new, old : str
        Names of the models, with their versions.
    """
    one, made = report.definition1, report.provenance
    classes = "" if one is None else f" of {plural(one.num_classes, 'class', 'classes')}"
    may = _MAY if report.compression is None else _MAY_REPLACE
    answer = may[report.verdict].format(new=new, old=old)
    if report.compression is not None:
        answer = f"{answer} {memory(report.compression)}"
    against = [ASKED[claim] for claim in report.against]
    if report.verdict == Verdict.compatible and against:
        answer = f"{answer} This does not extend to {' and '.join(against)}."
    inputs = made["inputs"].items()
    searched = made["inputs"].get("gallery", made["inputs"]["old"])
    blocks = (
        f"{answer} This was checked on {plural(made['inputs']['new']['rows'], 'query', 'queries')}"
        f"{classes} and {plural(searched['rows'], 'gallery item')}, and is about {report.whom}. Each "
        f"claim has {confidence(made['options']['confidence'])} confidence.",
        Table(("claim", "change", "accepted loss", "verdict"), tuple(_claims(report))),
        f"Checked with stationary-representations {made['version']} on {made['date'][:10]}, seed {made['seed']}.",
        Table(
            ("input", "rows", "dimension", "SHA-256 of its rows"),
            tuple((name, count(of["rows"]), count(of["dim"]), str(of["sha256"])) for name, of in inputs),
        ),
    )
    return Document(sections=(Section(f"Compatibility of {new} with {old}", blocks),))


def _claims(report: UpgradeReport) -> Iterator[tuple[str, str, str, str]]:
    """Every claim with the interval that decides it."""
    one, r, t = report.definition1, report.retrieval, report.thresholds
    if r is not None:
        where = search_words(report.compression).where
        yield f"{r.scores[0].name} {where}", f"{points(r.change)} points", in_points(r.margin), r.verdict
    if t is not None:
        at = f"at {threshold_at(t.threshold, t.threshold_unit)}"
        rise = f"{digits(100.0 * t.far_margin)} % of itself"
        # as it is judged: for new classes the bounds are those of a ratio, and not of a difference
        old = t.old_far.value
        beyond = f"{estimate(t.far_change, scale=100.0 / old)} % of the old" if old > 0.0 else estimate(t.far_change)
        yield f"FAR {at}, beyond the accepted rise", beyond, rise, t.far_change.verdict
        yield f"TAR {at}", f"{points(t.tar_change)} points", in_points(t.tar_margin), t.tar_change.verdict
    for claim, found in report.accepted.items():
        changes = zip(rate_names(found), (found.rates.false_accepts, found.rates.true_accepts), strict=True)
        for rate, change in changes:
            yield f"{rate} of {ASKED[claim]}", estimate(change.change), "", found.verdict
    if one is None:
        return
    loss, distance = digits(one.margin), METRICS[one.metric].description
    for name, gap in (("within", one.same_class), ("between", one.different_class)):
        yield f"{distance} {name} classes, gap", estimate(gap), loss, gap.verdict
    if one.contrast_gap is not None:
        yield "contrast, gap", estimate(one.contrast_gap), loss, one.contrast_gap.verdict

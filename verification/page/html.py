"""The audit as one self-contained page: the answer first, in words for readers who do not know the theorem.

Nothing is loaded from elsewhere and nothing runs: HTML, a style sheet and inline SVG. Readable on a telephone, in the
dark, on paper and by a screen reader.
"""

from __future__ import annotations

import os
from html import escape
from pathlib import Path
from typing import Any

from verification.audit_report import AuditReport
from verification.features import FeatureSet
from verification.files.atomic import write_atomically
from verification.hypotheses import Hypotheses, check_hypotheses
from verification.matrices import MatrixReport
from verification.page.claims_beside import retrieval_change, thresholds
from verification.page.margin_section import margin
from verification.page.markup import KINDS, METRICS, definitions, page
from verification.page.sections import caps, classes, drift, gaps, retrieval
from verification.polar import PolarAngles, polar_angles
from verification.statistics.progress import Progress

_ANSWERS = {
    "compatible": (
        "Yes",
        "Queries of the new model may search the gallery of the old one. The gallery need not be embedded again.",
    ),
    "incompatible": (
        "No",
        "Queries of the new model should not search the gallery of the old one. Embed the gallery again, or train the "
        "new model to be compatible.",
    ),
    "inconclusive": (
        "Undecided",
        "These samples do not tell whether queries of the new model may search the gallery of the old one.",
    ),
}
_SIDES = {
    "same_class": (
        "Items of the same class",
        {
            "compatible": "are, on average, at least as near to new queries as to old ones",
            "incompatible": "are, on average, farther from new queries than from old ones",
            "inconclusive": "may be nearer to new queries or farther from them: not decided",
        },
    ),
    "different_class": (
        "Items of other classes",
        {
            "compatible": "are, on average, at least as far from new queries as from old ones",
            "incompatible": "are, on average, nearer to new queries than to old ones",
            "inconclusive": "may be farther from new queries or nearer to them: not decided",
        },
    ),
}
_FOUND = {"compatible": "more often", "incompatible": "less often", "undecided": "the difference is not decided"}


def write_page(
    report: AuditReport,
    path: str | os.PathLike[str],
    new: FeatureSet,
    old: FeatureSet,
    title: str,
    progress: Progress | None = None,
) -> None:
    """Write the page of an audit with everything that its features show: caps and hypotheses too.

    Hypotheses are left out where no simplex of that many classes fits, and the page says so. Parameters and errors are
    those of :func:`to_html` and :func:`~verification.audit.audit`.
    """
    to_html(
        report,
        path,
        polar=polar_angles(new, old, progress=progress),
        hypotheses=check_hypotheses(new, old, progress=progress) if report.num_classes <= report.dim + 1 else None,
        title=title,
    )


def to_html(
    report: AuditReport,
    path: str | os.PathLike[str],
    *,
    polar: PolarAngles | None = None,
    hypotheses: Hypotheses | None = None,
    matrix: MatrixReport | None = None,
    title: str = "May the new model search the old gallery?",
) -> None:
    """Write an audit as one HTML page; the file appears whole or not at all.

    Parameters
    ----------
    report : AuditReport
    path : path-like
    polar : PolarAngles, optional
        Shows the caps before and after, from :func:`~verification.polar.polar_angles`.
    hypotheses : Hypotheses, optional
        Shows drift and concentration, from :func:`~verification.hypotheses.check_hypotheses`.
    matrix : MatrixReport, optional
        Shows the compatibility matrix of a sequence of models, from :func:`~verification.matrices.judge_outcomes` or
        ``judge_matrix``.
    title : str
        Of the page, for instance the names of the models.
    """
    page = render(report, polar=polar, hypotheses=hypotheses, matrix=matrix, title=title)
    write_atomically(Path(path), lambda file: file.write(page.encode()))


def render(
    report: AuditReport,
    *,
    polar: PolarAngles | None = None,
    hypotheses: Hypotheses | None = None,
    matrix: MatrixReport | None = None,
    title: str = "May the new model search the old gallery?",
) -> str:
    """Return the page of :func:`to_html`."""
    data = report.to_dict() | {"margin_sentence": report.margin_sentence}
    return page(title, _verdict(data, matrix) + evidence(report, polar, hypotheses, matrix))


def evidence(
    report: AuditReport,
    polar: PolarAngles | None = None,
    hypotheses: Hypotheses | None = None,
    matrix: MatrixReport | None = None,
) -> str:
    """The sections behind the answer."""
    data = report.to_dict()
    sections = [
        gaps(data),
        retrieval_change(data) if data["retrieval"] else "",
        thresholds(data) if data["thresholds"] else "",
        classes(data),
        margin(report),
        caps(polar) if polar else "",
        drift(hypotheses) if hypotheses else "",
        retrieval(matrix) if matrix else "",
        _not_checked(data, polar, hypotheses, matrix),
        _basis(data),
    ]
    return "".join(sections)


def _verdict(data: dict[str, Any], matrix: MatrixReport | None) -> str:
    word, sentence = _ANSWERS[data["verdict"]]
    reasons = "".join(f"<li>{who} {what[data[name]['verdict']]}.</li>\n" for name, (who, what) in _SIDES.items())
    if matrix and len(matrix.entries) == 1:  # these two models
        (old, _), (cross, _) = 100.0 * matrix.matrix
        reasons += (
            f"<li>In a search of the old gallery, new queries find the right class in {cross:.1f} % of the cases, old "
            f"queries in {old:.1f} %: {_FOUND[matrix.entries[0].verdict]}.</li>\n"
        )
    if data["retrieval"]:
        score = data["retrieval"]["scores"][0]
        old, cross = 100.0 * score["old_old"], 100.0 * score["new_old"]
        reasons += (
            f"<li>In a search of the old gallery, new queries find the right class in {cross:.1f} % of the cases, old "
            f"queries in {old:.1f} %: retrieval is {data['retrieval']['verdict']}.</li>\n"
        )
    if data["thresholds"]:
        t = data["thresholds"]
        reasons += (
            f"<li>At the old accept threshold FAR goes from {t['old_far']['value']:.3g} to {t['new_far']['value']:.3g} "
            f"and TAR from {t['old_tar']['value']:.3g} to {t['new_tar']['value']:.3g}: {t['verdict']}.</li>\n"
        )
    decided = all(data[name]["verdict"] != "inconclusive" for name in _SIDES)
    sure = f"{'Both statements about averages' if decided else 'The intervals below'} hold at once with "
    sure += f"{100 * data['confidence']:.4g} % confidence. {data['margin_sentence']}"
    more = f" {_samples(data)}" if data["samples_needed"] else ""
    return (
        f'<section class="verdict {KINDS[data["verdict"]]}" aria-labelledby="answer">\n'
        f'<h2 class="word" id="answer">{word}</h2>\n<p><strong>{sentence}</strong></p>\n'
        f'<ul>\n{reasons}</ul>\n<p class="soft">{sure}{more}</p>\n</section>\n'
    )


def _samples(data: dict[str, Any]) -> str:
    """What more samples would decide, and what these do already."""
    loss = data["excluded_loss"]
    excluded = "" if loss is None else f" These samples already exclude a loss of more than {loss:.3g}."
    return f"{data['samples_needed']['sentence']}{excluded}"


def _not_checked(
    data: dict[str, Any], polar: PolarAngles | None, hypotheses: Hypotheses | None, matrix: MatrixReport | None
) -> str:
    missing = [
        "Single queries. The inequalities are about averages: many single pairs violate them even where they hold.",
        "Other data than these samples: classes that are not among them, or images of another kind.",
        "Whether the labels are right.",
        "The index: an approximate search may lose what the features would find.",
    ]
    if not data["thresholds"]:
        missing.append(
            "Thresholds on scores: distances change with the model, so one that was set for the old model may not suit "
            "the new one."
        )
    if matrix is None and not data["retrieval"]:
        missing.insert(
            0,
            "Retrieval itself: how often the nearest gallery item is right. The averages here do not imply it, nor "
            "does it imply them.",
        )
    if hypotheses is None:
        missing.append("The conditions of Theorem 1: whether class means stayed and concentration did not fall.")
    if polar is None:
        missing.append("How the angles of the samples are spread about the axes of their classes.")
    items = "".join(f"<li>{item}</li>\n" for item in missing)
    return f'<section aria-labelledby="not">\n<h2 id="not">What was not checked</h2>\n<ul>\n{items}</ul>\n</section>\n'


def _margin(data: dict[str, Any]) -> str:
    share = data["margin_share"]
    return f"{data['margin']:.4g}" + (f", {100 * share:.3g} % of the old contrast" if share is not None else "")


def _basis(data: dict[str, Any]) -> str:
    notes = "".join(f"<p>Note: {escape(note)}</p>\n" for note in data["notes"])
    rows = (
        ("queries", f"{data['num_samples']:,}"),
        ("gallery", f"{data['num_gallery']:,} other samples" if data["num_gallery"] else "the same samples"),
        ("classes", f"{data['num_classes']:,}"),
        ("dimension", f"{data['dim']:,}"),
        ("distance", METRICS[data["metric"]]),
        ("confidence", f"{100 * data['confidence']:.4g} %, both sides at once"),
        ("accepted loss", _margin(data)),
        ("old contrast", f"{data['contrast']:.4g}, mean distance between classes less that within"),
    )
    return (
        f'<section aria-labelledby="basis">\n<h2 id="basis">What this rests on</h2>\n{definitions(rows)}'
        f"<p>{escape(data['intervals'])} Features are normalised first. A side is compatible when its interval lies "
        "right of the accepted loss, incompatible when it lies left of it, else inconclusive.</p>\n"
        f"{notes}</section>\n"
    )

"""The audit as one self-contained page: the answer first, in words for readers who do not know the theorem.

Nothing is loaded from elsewhere and nothing runs: HTML, a style sheet and inline SVG. Readable on a telephone, in the
dark, on paper and by a screen reader.
"""

from __future__ import annotations

import math
import os
from html import escape
from pathlib import Path
from typing import Any

from verification._markup import KINDS, METRICS, bounds, definitions, number, page
from verification._sections import caps, classes, drift, gaps, retrieval
from verification.audit import AuditReport
from verification.features import FeatureSet, write_atomically
from verification.hypotheses import Hypotheses, check_hypotheses
from verification.matrices import MatrixReport, judge_outcomes
from verification.polar import PolarAngles, polar_angles
from verification.retrieval import outcomes

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


# searching the gallery costs N²·d; about ten seconds at d = 512
SEARCHED_SAMPLES = 20_000


def write_page(report: AuditReport, path: str | os.PathLike[str], new: FeatureSet, old: FeatureSet, title: str) -> None:
    """Write the page of an audit with everything that its features show: caps, hypotheses, retrieval.

    Hypotheses are left out where no simplex of that many classes fits, retrieval above 20 000 samples, and the page
    says so. Parameters and errors are those of :func:`to_html` and :func:`~verification.audit.audit`.
    """
    models = [old, new]
    to_html(
        report,
        path,
        polar=polar_angles(new, old),
        hypotheses=check_hypotheses(new, old) if report.num_classes <= report.dim + 1 else None,
        matrix=judge_outcomes(outcomes(models, models)) if len(old) <= SEARCHED_SAMPLES else None,
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
        Shows retrieval, from :func:`~verification.matrices.judge_outcomes` or ``judge_matrix``.
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
    data = report.to_dict()
    sections = [
        _verdict(data, matrix),
        gaps(data),
        classes(data),
        caps(polar) if polar else "",
        drift(hypotheses) if hypotheses else "",
        retrieval(matrix) if matrix else "",
        _not_checked(polar, hypotheses, matrix),
        _basis(data),
    ]
    return page(title, "".join(sections))


def _verdict(data: dict[str, Any], matrix: MatrixReport | None) -> str:
    word, sentence = _ANSWERS[data["verdict"]]
    reasons = "".join(f"<li>{who} {what[data[name]['verdict']]}.</li>\n" for name, (who, what) in _SIDES.items())
    if matrix and len(matrix.entries) == 1:  # these two models
        (old, _), (cross, _) = 100.0 * matrix.matrix
        reasons += (
            f"<li>In a search of the old gallery, new queries find the right class in {cross:.1f} % of the cases, old "
            f"queries in {old:.1f} %: {_FOUND[matrix.entries[0].verdict]}.</li>\n"
        )
    decided = all(data[name]["verdict"] != "inconclusive" for name in _SIDES)
    sure = f"{'Both statements about averages' if decided else 'The intervals below'} hold at once with "
    sure += f"{100 * data['confidence']:.4g} % confidence" + (
        f", with an accepted loss of {data['margin']:g}." if data["margin"] else "."
    )
    more = _samples_needed(data) if data["verdict"] == "inconclusive" else ""
    return (
        f'<section class="verdict {KINDS[data["verdict"]]}" aria-labelledby="answer">\n'
        f'<h2 class="word" id="answer">{word}</h2>\n<p><strong>{sentence}</strong></p>\n'
        f'<ul>\n{reasons}</ul>\n<p class="soft">{sure}{more}</p>\n</section>\n'
    )


def _samples_needed(data: dict[str, Any]) -> str:
    """How many samples would decide, intervals shrinking with the root of the number."""
    factor = 1.0
    for side in (data[name] for name in _SIDES if data[name]["verdict"] == "inconclusive"):
        lower, upper = bounds(side)
        if not math.isfinite(upper - lower):
            return " They are too few to say how many would decide."
        distance = abs(side["gap"] + data["margin"])
        factor = max(factor, ((upper - lower) / 2.0 / distance) ** 2 if distance else math.inf)
    if factor > 1e4:
        return " The gap is so close to the boundary that more samples of this kind will hardly decide."
    needed = data["num_samples"] * factor
    unit = 10.0 ** (math.floor(math.log10(needed)) - 1)
    return f" If the gaps stay as measured, about {math.ceil(needed / unit) * unit:,.0f} samples would decide."


def _not_checked(polar: PolarAngles | None, hypotheses: Hypotheses | None, matrix: MatrixReport | None) -> str:
    missing = [
        "Single queries. The inequalities are about averages: many single pairs violate them even where they hold.",
        "Other data than these samples: classes that are not among them, or images of another kind.",
        "Whether the labels are right.",
        "Thresholds on scores: distances change with the model, so a threshold set for the old one may not suit the "
        "new one.",
        "The index: an approximate search may lose what the features would find.",
    ]
    if matrix is None:
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


def _basis(data: dict[str, Any]) -> str:
    notes = "".join(f"<p>Note: {escape(note)}</p>\n" for note in data["notes"])
    # on a simplex the two inequalities are one condition; this is by how much the old model is not one
    off_centre = f"{number(data['off_centre_defect'] or 0.0)}, the part of the different-class gap that the same-class "
    off_centre += "gap does not imply, as the old class means do not sum to zero"
    rows = (
        ("queries", f"{data['num_samples']:,}"),
        ("gallery", f"{data['num_gallery']:,} other samples" if data["num_gallery"] else "the same samples"),
        ("classes", f"{data['num_classes']:,}"),
        ("dimension", f"{data['dim']:,}"),
        ("distance", METRICS[data["metric"]]),
        ("confidence", f"{100 * data['confidence']:.4g} %, both sides at once"),
        ("accepted loss", f"{data['margin']:g}"),
        *([("off-centre", off_centre)] if data["off_centre_defect"] is not None else []),
    )
    return (
        f'<section aria-labelledby="basis">\n<h2 id="basis">What this rests on</h2>\n{definitions(rows)}'
        f"<p>{escape(data['intervals'])} Features are normalised first. A side is compatible when its interval lies "
        "right of the accepted loss, incompatible when it lies left of it, else inconclusive.</p>\n"
        f"{notes}</section>\n"
    )

"""Audits and bridges as self-contained pages: the answer first, in words for readers who do not know the theorem.

Nothing is loaded from elsewhere and nothing runs: HTML, a style sheet and inline SVG. Readable on a telephone, in the
dark, on paper and by a screen reader. The text of a page is in ``templates/``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from markupsafe import Markup

from theory.files import write_text
from theory.metrics import METRICS
from verification.audit.report import Definition1Report, UpgradeReport
from verification.bridge.report import BridgeReport
from verification.search.matrices import MatrixReport
from verification.views import documents, html

TITLE = "May the new model search the old gallery?"


def to_html(
    report: UpgradeReport | BridgeReport,
    path: str | os.PathLike[str],
    *,
    title: str = TITLE,
    matrix: MatrixReport | None = None,
) -> None:
    """Write a report as one HTML page; the file appears whole or not at all.

    Parameters
    ----------
    report : UpgradeReport or BridgeReport
    path : path-like
    title : str
        Title of the page, for instance the names of the models.
    matrix : MatrixReport, optional
        Shows the compatibility matrix of a sequence of models too, from
        :func:`~verification.search.matrices.judge_outcomes` or ``judge_matrix``.
    """
    page = render(report, title=title, matrix=matrix)
    write_text(Path(path), page)


def render(report: UpgradeReport | BridgeReport, *, title: str = TITLE, matrix: MatrixReport | None = None) -> str:
    """Return the page of :func:`to_html`."""
    if isinstance(report, BridgeReport):
        values = {"bridge": report, "document": documents.bridge(report), **_evidence(report.as_is)}
        return html.render("bridge", title=title, matrix=matrix, **values)
    explained: dict[str, Any] = {
        name: getattr(report, name) for name in ("retrieval", "thresholds", "hypotheses", "polar", "compression")
    }
    explained["accepted"] = report.accepted
    values = {"report": report, "document": documents.audit(report)}
    values |= _evidence(report.definition1) | explained | {"notes": report.notes, "provenance": report.provenance}
    return html.render("audit", title=title, matrix=matrix, **values)


def in_notebook(report: UpgradeReport | BridgeReport) -> str:
    """Return the page in a frame of its own, which is what a notebook shows: its style stays inside."""
    frame = Markup('<iframe sandbox="" style="width:100%;height:40rem;border:0" srcdoc="{}"></iframe>')
    return frame.format(render(report))


def _evidence(one: Definition1Report | None) -> dict[str, Any]:
    """What the sections behind the answer show of an audit of Definition 1 that stands alone."""
    nothing: dict[str, Any] = dict.fromkeys(
        ("retrieval", "thresholds", "hypotheses", "polar", "compression", "provenance", "notes")
    )
    nothing["accepted"] = {}
    about = {} if one is None else {"notes": one.notes, "metric_name": METRICS[one.metric].description}
    return {"one": one, **nothing, **about}

"""Reports as pages that stand alone: the answer first, and what is for experts below a fold."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from markupsafe import Markup

from theory.files import write_text
from verification.search.matrices import MatrixReport
from verification.views import html
from verification.views.documents import document, view


def to_html(
    report: Any,
    path: str | os.PathLike[str],
    *,
    title: str | None = None,
    matrix: MatrixReport | None = None,
    **more: Any,
) -> None:
    """Write a report as one HTML page; the file appears whole or not at all.

    Parameters
    ----------
    report : UpgradeReport, BridgeReport, FittedReport or Relation
    path : path-like
    title : str, optional
        Title of the page, for instance the names of the models; by default the question that the report answers.
    matrix : MatrixReport, optional
        Shows the compatibility matrix of a sequence of models too, from
        :func:`~verification.search.matrices.judge_outcomes` or ``judge_matrix``.
    **more
        As of :func:`verification.views.documents.document`.
    """
    write_text(Path(path), render(report, title=title, matrix=matrix, **more))


def render(report: Any, *, title: str | None = None, matrix: MatrixReport | None = None, **more: Any) -> str:
    """Return the page of :func:`to_html`."""
    shown = document(report, **more)
    if matrix is not None:
        from verification.views.documents.matrix import matrix as section

        shown = replace(shown, sections=(*shown.sections, section(matrix)))
    return html.render(shown, title or view(report).title)


def in_notebook(report: Any) -> str:
    """Return the page in a frame of its own, which is what a notebook shows: its style stays inside."""
    frame = Markup('<iframe sandbox="" style="width:100%;height:40rem;border:0" srcdoc="{}"></iframe>')
    return frame.format(render(report))

"""The bridge as a page of its own, or as a section of another: nothing is loaded from elsewhere, nothing runs."""

from __future__ import annotations

import os
from html import escape
from pathlib import Path

from verification.bridge.report import BridgeReport
from verification.bridge.table import as_it_is, candidates, findings
from verification.features import write_atomically
from verification.page.markup import KINDS, mark, page, table

_WORDS = {"compatible": "Yes", "incompatible": "No", "inconclusive": "Undecided"}


def write_page(report: BridgeReport, path: str | os.PathLike[str], title: str) -> None:
    """Write the page; it appears whole or not at all."""
    body = _verdict(report) + section(report)
    write_atomically(Path(path), lambda file: file.write(page(title, body).encode()))


def _verdict(report: BridgeReport) -> str:
    kind = KINDS[report.verdict]
    sentence = f"{report.sentence[:1].upper()}{report.sentence[1:]}."
    return (
        f'<section class="verdict {kind}" aria-labelledby="answer">\n<h2 class="word" id="answer">'
        f"{_WORDS[report.verdict]}</h2>\n<p><strong>{escape(sentence)}</strong></p>\n"
        f'<p class="soft">{escape(as_it_is(report))}</p>\n</section>\n'
    )


def section(report: BridgeReport) -> str:
    """What the maps do, as one section; empty where none was needed."""
    if not report.candidates:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{escape(kind)}{" (chosen)" if chosen else ""}</th><td>{escape(lost)}</td>'
        f"{_cell(whole)}{_cell(unseen)}</tr>\n"
        for kind, lost, whole, unseen, chosen in candidates(report)
    )
    sentences = "".join(f"<li>{escape(line)}</li>\n" for line in findings(report))
    return (
        '<section aria-labelledby="bridge">\n<h2 id="bridge">Through a map</h2>\n'
        + table("Maps, the most rigid first", ("map", "may lose", "all classes", "held-out classes"), rows)
        + f"<ul>\n{sentences}</ul>\n"
        "<p>A map was fitted on one part of the samples, chosen on a second and judged on a third. Held-out classes "
        "are judged with a map that was fitted without them.</p>\n</section>\n"
    )


def _cell(verdict: str) -> str:
    return f'<td><b class="{KINDS[verdict]}">{mark(verdict)}</b></td>' if verdict in KINDS else f"<td>{verdict}</td>"

"""The bridge as a page: the answer, what every map does, and behind it the audit of the models as they are.

Nothing is loaded from elsewhere and nothing runs.
"""

from __future__ import annotations

import os
from html import escape
from pathlib import Path

from verification.bridge.report import BridgeReport
from verification.bridge.table import as_it_is, candidates, findings
from verification.files.atomic import write_atomically
from verification.page.html import evidence
from verification.page.markup import KINDS, mark, page, table

_WORDS = {"compatible": "Yes, through a map", "incompatible": "No", "inconclusive": "Undecided"}
_ADVICE = {
    "queries": "New queries may search the old gallery once they went through the map. The gallery stays as it is.",
    "gallery": "New queries may search the old gallery once its vectors went through the map. No image is read again.",
    "incompatible": "Embed the gallery again, or train the new model to be compatible.",
    "inconclusive": "These samples do not tell whether a map makes up for the update; more samples would.",
}


def write_page(report: BridgeReport, path: str | os.PathLike[str], title: str) -> None:
    """Write the page; it appears whole or not at all."""
    body = _verdict(report) + section(report)
    if report.as_is is not None:
        body += evidence(report.as_is)
    write_atomically(Path(path), lambda file: file.write(page(title, body).encode()))


def _verdict(report: BridgeReport) -> str:
    kind = KINDS[report.verdict]
    sentence = f"{report.sentence[:1].upper()}{report.sentence[1:]}."
    as_is = report.verdict == "compatible" and report.kind == "identity"
    word = "Yes" if as_is else _WORDS[report.verdict]
    advice = "" if as_is else _ADVICE[report.direction if report.verdict == "compatible" else report.verdict]
    return (
        f'<section class="verdict {kind}" aria-labelledby="answer">\n<h2 class="word" id="answer">{word}</h2>\n'
        f"<p><strong>{escape(sentence)}</strong> {advice}</p>\n"
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
        "are judged with a map that was fitted without them. "
        + ("What follows is about the models as they are, without a map." if report.as_is is not None else "")
        + "</p>\n</section>\n"
    )


def _cell(verdict: str) -> str:
    return f'<td><b class="{KINDS[verdict]}">{mark(verdict)}</b></td>' if verdict in KINDS else f"<td>{verdict}</td>"

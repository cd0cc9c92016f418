"""Documents in GitHub's Markdown, for a comment on a pull request."""

from __future__ import annotations

import re

from verification.views.documents import Document, Table
from verification.views.labels import visible
from verification.views.verdicts import LOOKS


def render(document: Document) -> str:
    """Return the document as Markdown; words that come from files mention nobody and format nothing."""
    lines = []
    if document.verdict:
        lines += [
            f"### {document.lead.capitalize()} {LOOKS[document.look].mark}",
            f"{f'**{document.word}.** ' if document.word else ''}{_plain(document.answer)}",
        ]
    for section in document.sections:
        verdict = f": {_verdict(section.verdict)}" if section.verdict else ""
        lines.append(f"#### {_plain(section.heading)}{verdict}")
        lines += [_table(block) if isinstance(block, Table) else _plain(block) for block in section.blocks]
    if document.next_step:
        lines.append(f"**Next:** {_plain(document.next_step)}")
    return "\n\n".join(lines) + "\n"


def _verdict(verdict: str) -> str:
    return f"{verdict} {LOOKS[verdict].mark}"


def _table(table: Table) -> str:
    rows = [[_verdict(cell) if cell in LOOKS else _plain(cell) for cell in row] for row in table.rows]
    for place in table.chosen:
        rows[place] = [f"**{cell}**" for cell in rows[place]]
    lines = [map(_plain, table.head), ["---"] * len(table.head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _plain(text: str) -> str:
    """Text without what GitHub would read into it: emphasis, links, HTML, mentions of people and issues."""
    text = re.sub(r"([\\`*_\[\]<>|~$&])", r"\\\1", visible(text))
    return re.sub(r"(?<!\w)[@#](?=\w)|(?<=:)//|(?<=www)\.", r"\g<0><!-- -->", text)

"""Documents in GitHub's Markdown, for a comment on a pull request."""

from __future__ import annotations

import re
from collections.abc import Iterator

from verification.views.document import Axis, Cell, Document, Drawing, Fold, Section, Table
from verification.views.intervals import drawn
from verification.views.labels import visible
from verification.views.verdicts import LOOKS

# columns of a picture in characters
WIDTH = 90


def render(document: Document) -> str:
    """Return the document as Markdown; words that come from files mention nobody and format nothing."""
    lines = [f"### {document.lead.capitalize()} {LOOKS[document.look].mark}"] if document.verdict else []
    if document.answer:
        lines.append(f"{f'**{document.word}.** ' if document.word else ''}{_plain(document.answer)}")
    if document.next_step:
        lines.append(f"**Next:** {_plain(document.next_step)}")
    for section in document.sections:
        lines += _section(section)
    if document.experts:
        inside = [line for section in document.experts for line in _section(section)]
        lines += ["<details><summary>For experts</summary>", *inside, "</details>"]
    if document.origin:
        lines.append(_plain(document.origin))
    return "\n\n".join(lines) + "\n"


def _section(section: Section) -> Iterator[str]:
    yield f"#### {_plain(section.heading)}{f': {_verdict(section.verdict)}' if section.verdict else ''}"
    for block in section.blocks:
        if isinstance(block, Fold):
            yield f"<details><summary>{_plain(block.summary)}</summary>"
            yield from map(_block, block.blocks)
            yield "</details>"
        elif not isinstance(block, Drawing):
            yield _block(block)


def _block(block: str | Table | Axis) -> str:
    if isinstance(block, Table):
        return f"{f'{_plain(block.caption)}:{chr(10)}{chr(10)}' if block.caption else ''}{_table(block)}"
    if isinstance(block, Axis):
        # nothing is read inside of a fence but its end, and no line begins with what could end it
        lines = [f"{block.title}:", *(line for line, _ in drawn(block, WIDTH))]
        return "\n".join(["```text", *(f" {visible(line)}" for line in lines), "```"])
    return _plain(block)


def _verdict(verdict: str) -> str:
    return f"{verdict} {LOOKS[verdict].mark}"


def _table(table: Table) -> str:
    rows = [list(map(_cell, row)) for row in table.rows]
    for place in table.chosen:
        rows[place] = [f"**{cell}**" if cell else "" for cell in rows[place]]
    lines = [map(_plain, table.head), ["---"] * len(table.head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(cell: str | Cell) -> str:
    if isinstance(cell, Cell):
        return f"{_plain(cell.text)}{f' {LOOKS[cell.verdict].mark}' if cell.verdict else ''}"
    return _verdict(cell) if cell in LOOKS else _plain(cell)


def _plain(text: str) -> str:
    """Text without what GitHub would read into it: emphasis, links, HTML, mentions of people and issues."""
    text = re.sub(r"([\\`*_\[\]<>|~$&])", r"\\\1", visible(text))
    return re.sub(r"(?<!\w)[@#](?=\w)|(?<=:)//|(?<=www)\.", r"\g<0><!-- -->", text)

"""Documents in a terminal: the verdict first, the next step last."""

from __future__ import annotations

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from verification.views.documents import Document, Table
from verification.views.labels import visible
from verification.views.verdicts import LOOKS


def render(document: Document) -> RenderableType:
    """Return what a rich console prints, with blank lines between the sections."""
    parts: list[RenderableType] = []
    if document.verdict:
        parts.append(
            _verdict(document.lead.upper(), document.look, "bold").append(
                f"  {document.word + '. ' if document.word else ''}{visible(document.answer)}", "default"
            )
        )
    for section in document.sections:
        heading = Text(visible(section.heading), style="bold")
        if section.verdict:
            heading.append(": ").append(_verdict(section.verdict, section.verdict))
        parts += ["", heading] if parts else [heading]
        for block in section.blocks:
            space = [""] if isinstance(block, Table) or isinstance(parts[-1], RichTable) else []
            parts += [*space, _table(block) if isinstance(block, Table) else Text(visible(block))]
    if document.next_step:
        parts += ["", Text("Next: ", style="bold").append(visible(document.next_step), style="not bold")]
    return Group(*parts)


def _verdict(text: str, verdict: str, style: str = "") -> Text:
    return Text(text, style=f"{style} {LOOKS[verdict].colour}".strip())


def _table(table: Table) -> RichTable:
    shown = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for head in table.head:
        shown.add_column(head, overflow="fold")
    for place, row in enumerate(table.rows):
        cells = (_verdict(cell, cell) if cell in LOOKS else Text(visible(cell)) for cell in row)
        shown.add_row(*cells, style="bold" if place in table.chosen else "")
    return shown

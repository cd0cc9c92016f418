"""Documents in a terminal: the answer first, then the evidence, and the next step last."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from verification.views.document import Axis, Cell, Document, Drawing, Fold, Section, Table
from verification.views.intervals import drawn
from verification.views.labels import visible
from verification.views.numbers import unbroken
from verification.views.verdicts import LOOKS

# columns that a line of words has at most, and a character that stands for a space that no line ends at
WIDEST, KEPT = 100, "\ue000"


class Paragraph:
    """Words in lines that end neither inside of a number nor beyond what is easily read."""

    def __init__(self, text: Text) -> None:
        self.text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        """Yield the lines."""
        kept = self.text.copy()
        kept.plain = unbroken(kept.plain, KEPT)
        for line in kept.wrap(console, min(options.max_width, WIDEST)):
            line.plain = line.plain.replace(KEPT, " ")
            line.rstrip()
            yield line


class Bars:
    """Changes with their intervals, in as many columns as there are."""

    def __init__(self, axis: Axis) -> None:
        self.axis = axis

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        """Yield a line for the unit and one for each change."""
        yield Text(f"{self.axis.title}:")
        for line, bar in drawn(self.axis, min(options.max_width, WIDEST)):
            text = Text(visible(line), style="bold" if bar.chosen else "")
            if bar.verdict:
                text.stylize(LOOKS[bar.verdict].colour, len(text) - 1)
            yield text


def render(document: Document) -> RenderableType:
    """Return what a rich console prints, with blank lines between all parts."""
    parts: list[RenderableType] = []
    if document.answer:
        lead = Text()
        if document.verdict:
            lead.append(document.lead.upper(), f"bold {LOOKS[document.look].colour}").append("  ")
        lead.append(f"{document.word}. " if document.word else "", "" if document.verdict else "bold")
        parts.append(Paragraph(lead.append(visible(document.answer))))
    for section in document.sections:
        parts += ["", *_section(section)] if parts else _section(section)
    if document.experts:
        names = ", ".join(section.heading for section in document.experts)
        parts += ["", Paragraph(Text(f"Only in the page (--html) and in Markdown: {visible(names)}.", style="dim"))]
    if document.next_step:
        parts += ["", Paragraph(Text("Next: ", style="bold").append(visible(document.next_step), style="not bold"))]
    return Group(*parts)


def _section(section: Section) -> list[RenderableType]:
    heading = Text(visible(section.heading), style="bold underline")
    if section.verdict:
        heading.append(": ").append(_verdict(section.verdict, section.verdict))
    parts: list[RenderableType] = [Paragraph(heading)]
    for block in section.blocks:
        if isinstance(block, Drawing | Fold):
            continue
        if isinstance(block, Axis):
            shown: list[RenderableType] = [Bars(block)]
        elif isinstance(block, Table):
            shown = [*([Paragraph(Text(visible(f"{block.caption}:")))] if block.caption else []), _table(block)]
        else:
            shown = [Paragraph(Text(visible(block)))]
        # words follow their heading at once
        close = len(parts) == 1 and not (isinstance(block, Table) and not block.caption)
        parts += [*([] if close else [""]), *shown]
    return parts


def _verdict(text: str, verdict: str, style: str = "") -> Text:
    return Text(text, style=f"{style} {LOOKS[verdict].colour}".strip())


def _table(table: Table) -> RichTable:
    shown = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, show_header=any(table.head))
    for head in table.head:
        shown.add_column(head, overflow="fold")
    for place, row in enumerate(table.rows):
        shown.add_row(*map(_cell, row), style="bold" if place in table.chosen else "")
    return shown


def _cell(cell: str | Cell) -> Text:
    if isinstance(cell, Cell):
        return (
            _verdict(f"{visible(cell.text)} {LOOKS[cell.verdict].mark}", cell.verdict)
            if cell.verdict
            else Text(visible(cell.text))
        )
    return _verdict(cell, cell) if cell in LOOKS else Text(visible(cell))

"""What a report says, before anybody decides where it is shown: headings, sentences, tables and pictures.

The terminal, Markdown and pages show the same :class:`Document`. The terminal leaves out what is for experts and what
only a page can draw.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from verification.statistics.interval import Interval, Verdict
from verification.views.numbers import Bounds


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Text of a table that has the look of a verdict, or leads to a section of the page."""

    text: str
    verdict: str = ""
    link: str = ""


@dataclass(frozen=True)
class Table:
    """Columns and rows; a cell that is a verdict is shown as one, and rows can be picked out."""

    head: tuple[str, ...]
    rows: tuple[tuple[str | Cell, ...], ...]
    chosen: tuple[int, ...] = ()
    caption: str = ""


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One change with its interval, in the unit of its axis; to the right is better.

    Attributes
    ----------
    name : str
    found : Interval or Bounds
    margin : float
        The loss that is accepted; 0 where none is.
    verdict : str
        Empty where the change is not judged by itself.
    chosen : bool
        Whether the answer follows from it.
    """

    name: str
    found: Interval | Bounds
    margin: float = 0.0
    verdict: str = ""
    chosen: bool = False

    @property
    def values(self) -> tuple[float, ...]:
        """What the axis has to show."""
        return self.found.value, self.found.lower, self.found.upper, -self.margin


@dataclass(frozen=True)
class Axis:
    """Changes with their intervals on one axis, in a unit."""

    title: str
    bars: tuple[Bar, ...]
    unit: str = ""

    @property
    def values(self) -> list[float]:
        """What the axis has to show."""
        return [value for bar in self.bars for value in bar.values]


@dataclass(frozen=True)
class Drawing:
    """A picture that only a page shows: ``kind`` is a macro of ``pictures.svg.jinja``, ``words`` say what is seen."""

    kind: str
    data: Any
    words: str
    caption: str


@dataclass(frozen=True)
class Fold:
    """Blocks that a page and Markdown show when they are asked for, and the terminal does not show."""

    summary: str
    blocks: tuple[str | Table, ...]


# how pictures of intervals are read
READ = (
    "To the right is better. The solid line is no change, and the dashed line the loss that is accepted: an interval "
    "to the right of it is compatible, and one to the left of it is incompatible."
)

Block = str | Table | Axis | Drawing | Fold


@dataclass(frozen=True)
class Section:
    """A heading, with the verdict of what it is about if there is one, and what stands below."""

    heading: str
    blocks: tuple[Block, ...]
    verdict: str = ""
    anchor: str = ""


@dataclass(frozen=True, kw_only=True)
class Document:
    """The answer, for whom it holds and what to do next; the evidence; and what only experts want to know.

    Attributes
    ----------
    verdict : str
        Empty where a document answers no question.
    in_part : bool
        Whether something that does not make the verdict speaks against it.
    word, answer : str
        The word that answers the question, if it is one of yes or no, and the sentences that say what it means and
        for whom it holds.
    next_step : str
        Empty where nothing is to be done.
    origin : str
        Date and version, where they are known.
    sections, experts : tuple of Section
    """

    verdict: str = ""
    in_part: bool = False
    word: str = ""
    answer: str = ""
    next_step: str = ""
    origin: str = ""
    sections: tuple[Section, ...]
    experts: tuple[Section, ...] = ()

    @property
    def look(self) -> str:
        """The verdict whose look the answer has: no plain yes where something speaks against it."""
        return Verdict.inconclusive.value if self.in_part else self.verdict

    @property
    def lead(self) -> str:
        """The verdict as the first words."""
        return f"{self.verdict} in part" if self.in_part else self.verdict


def origin(version: str, date: str) -> str:
    """Return date and version as every page shows them."""
    return f"{date[:10]}, stationary-representations {version}"


def sections(*found: Section | None) -> tuple[Section, ...]:
    """Return the sections that there are and that say something."""
    return tuple(section for section in found if section is not None and section.blocks)


def named(rows: Iterable[tuple[str, str]], caption: str = "", head: tuple[str, str] = ("", "")) -> Table:
    """Return a table of names and what they are."""
    return Table(head, tuple(rows), caption=caption)

"""Changes with their intervals on a common axis: positions for a page, and a drawing in characters."""

from __future__ import annotations

import math
from collections.abc import Sequence

from verification.views.document import Axis, Bar
from verification.views.numbers import estimate, number
from verification.views.verdicts import LOOKS

# columns of a drawing in characters, beside its words
NARROWEST, WIDEST = 12, 44


class Scale:
    """A linear scale that shows zero and the given values, from one place to another; infinities end at its ends."""

    def __init__(self, values: Sequence[float], left: float, right: float) -> None:
        finite = [0.0, *(value for value in values if math.isfinite(value))]
        pad = 0.08 * (max(finite) - min(finite)) or 1.0
        self._low, self._high = min(finite) - pad, max(finite) + pad
        self._left, self._width = left, right - left

    def __call__(self, value: float) -> float:
        """Place of a value."""
        share = (min(max(value, self._low), self._high) - self._low) / (self._high - self._low)
        return round(self._left + share * self._width, 1)

    def ticks(self) -> list[tuple[float, str]]:
        """Three to six round values, with their text."""
        rough = (self._high - self._low) / 4.0
        power = math.floor(math.log10(rough))
        step = min((1.0, 2.0, 5.0, 10.0), key=lambda m: abs(math.log(m * 10.0**power / rough))) * 10.0**power
        values = [step * i for i in range(math.ceil(self._low / step), math.floor(self._high / step) + 1)]
        return [(self(value), number(value, max(0, -math.floor(math.log10(step) + 1e-9)), "")) for value in values]


def scale(axis: Axis) -> Scale:
    """Return the scale of an axis, in per cent of its width."""
    return Scale(axis.values, 0.0, 100.0)


def text(bar: Bar) -> str:
    """The change with its interval, as beside each bar."""
    return estimate(bar.found)


def drawn(axis: Axis, width: int) -> list[tuple[str, Bar]]:
    """Return a line of characters for each bar, with its name, the drawing, the numbers and the mark of the verdict.

    Parameters
    ----------
    axis : Axis
    width : int
        Characters of a line; where they are too few for a drawing, the numbers stand alone.
    """
    names, texts = [bar.name for bar in axis.bars], [text(bar) for bar in axis.bars]
    left, right = max(map(len, names)), max(map(len, texts))
    room = min(width - left - right - 6, WIDEST)
    lines = []
    for bar, name, words in zip(axis.bars, names, texts, strict=True):
        drawing = f"{_line(bar, axis, room)}  " if room >= NARROWEST else ""
        mark = f" {LOOKS[bar.verdict].mark}" if bar.verdict else ""
        lines.append((f"{name:<{left}}  {drawing}{words:<{right}}{mark}".rstrip(), bar))
    return lines


def _line(bar: Bar, axis: Axis, width: int) -> str:
    """The drawing of one bar: zero, the accepted loss, the interval and the change."""
    place = Scale(axis.values, 0.0, width - 1.0)
    cells = [" "] * width

    def put(value: float, sign: str) -> None:
        cells[round(place(value))] = sign

    if bar.margin:
        put(-bar.margin, "┊")
    put(0.0, "│")
    first, last = (round(place(end)) for end in (bar.found.lower, bar.found.upper))
    for cell in range(first, last + 1):
        cells[cell] = {"│": "┼", "┊": "┼"}.get(cells[cell], "─")
    for end, cell, signs in ((bar.found.lower, first, "├←"), (bar.found.upper, last, "┤→")):
        if first < last:
            cells[cell] = signs[0] if math.isfinite(end) else signs[1]
    put(bar.found.value, "●")
    return "".join(cells)

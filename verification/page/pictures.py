"""Small pictures as inline SVG: an interval against zero, and the caps before and after an update.

Colours come from the page's style sheet, by class, so that both colour schemes are served. Each picture has a title
that says in words what is to be seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from itertools import pairwise

from verification.page.markup import number


class Scale:
    """A linear scale that shows zero and the given values, from one pixel to another; infinities end at its ends."""

    def __init__(self, values: Sequence[float], left: float, right: float) -> None:
        finite = [0.0, *(value for value in values if math.isfinite(value))]
        pad = 0.08 * (max(finite) - min(finite)) or 1.0
        self._low, self._high = min(finite) - pad, max(finite) + pad
        self._left, self._width = left, right - left

    def __call__(self, value: float) -> float:
        """Pixel of a value."""
        share = (min(max(value, self._low), self._high) - self._low) / (self._high - self._low)
        return round(self._left + share * self._width, 1)

    def ticks(self) -> list[tuple[float, str]]:
        """Three to six round values, with their text."""
        rough = (self._high - self._low) / 4.0
        power = math.floor(math.log10(rough))
        step = min((1.0, 2.0, 5.0, 10.0), key=lambda m: abs(math.log(m * 10.0**power / rough))) * 10.0**power
        values = [step * i for i in range(math.ceil(self._low / step), math.floor(self._high / step) + 1)]
        return [(self(value), number(value, max(0, -math.floor(math.log10(step) + 1e-9)), "")) for value in values]


def interval_bar(gap: float, lower: float, upper: float, kind: str, scale: Scale, title: str) -> str:
    """A gap with its interval, and zero, for a row of a table; ``scale`` is common to the rows, 0 to 160 pixels."""
    zero = scale(0.0)
    return (
        f'<svg viewBox="0 0 160 18" role="img"><title>{escape(title)}</title>'
        f'<line class="axis" x1="0" x2="160" y1="9" y2="9"/>'
        f'<line class="zero" x1="{zero}" x2="{zero}" y1="1" y2="17"/>'
        f'<line class="{kind}" x1="{scale(lower)}" x2="{scale(upper)}" y1="9" y2="9" stroke-width="3"/>'
        f'<circle class="{kind}" cx="{scale(gap)}" cy="9" r="4"/></svg>'
    )


def interval_picture(gap: float, lower: float, upper: float, margin: float, kind: str, title: str) -> str:
    """A gap with its interval, zero and the accepted loss (dashed), on an axis with numbers."""
    scale = Scale([gap, lower, upper, -margin], 10.0, 330.0)
    loss = f'<line class="margin" x1="{scale(-margin)}" x2="{scale(-margin)}" y1="4" y2="44"/>' if margin else ""
    ticks = "".join(
        f'<line class="axis" x1="{x}" x2="{x}" y1="44" y2="49"/><text x="{x}" y="63" text-anchor="middle">{text}</text>'
        for x, text in scale.ticks()
    )
    return (
        f'<svg viewBox="0 0 340 68" role="img"><title>{escape(title)}</title>'
        f'<line class="axis" x1="10" x2="330" y1="44" y2="44"/>{ticks}'
        f'<line class="zero" x1="{scale(0.0)}" x2="{scale(0.0)}" y1="4" y2="49"/>{loss}'
        f'<line class="{kind}" x1="{scale(lower)}" x2="{scale(upper)}" y1="24" y2="24" stroke-width="5"/>'
        f'<circle class="{kind}" cx="{scale(gap)}" cy="24" r="6"/></svg>'
    )


_CX, _CY, _RADIUS = 180, 178, 132


def _point(side: int, angle: float, radius: float) -> str:
    """A point at an angle from the axis, which points up; side −1 is to the left, 1 to the right."""
    x = _CX + side * radius * math.sin(angle)
    return f"{x:.1f} {_CY - radius * math.cos(angle):.1f}"


def caps_picture(old: Sequence[float], new: Sequence[float], old_radius: float, new_radius: float, title: str) -> str:
    """Both models' angles to the axis of the class: shares as areas, old to the left, new to the right, caps as arcs.

    Parameters
    ----------
    old, new : sequence of float
        Share of the samples in equally wide bins of [0, π].
    old_radius, new_radius : float
        Radius of the cap, radians.
    title : str
        What is to be seen.
    """
    highest = max(*old, *new)
    # where nothing lies beyond 90° the lower half would be empty
    half = not any(share for shares in (old, new) for share in shares[len(shares) // 2 :])
    arc = _RADIUS + 7.0
    parts = []
    for side, name, shares, radius in ((-1, "old", old, old_radius), (1, "new", new, new_radius)):
        edges = [math.pi * i / len(shares) for i in range(len(shares) + 1)]
        outline = [
            _point(side, angle, _RADIUS * math.sqrt(share / highest))
            for share, ends in zip(shares, pairwise(edges), strict=True)
            for angle in ends
        ]
        parts.append(
            f'<path class="rose {name}" d="M{_CX} {_CY}L{"L".join(outline)}Z"/>'
            f'<path class="cap {name}" d="M{_point(side, 0.0, arc)}A{arc} {arc} 0 0 {int(side > 0)} '
            f'{_point(side, radius, arc)}"/>'
        )
        anchor = "end" if side < 0 else "start"
        for degrees in (30, 60, 90) if half else (30, 60, 90, 120, 150):
            x, y = _point(side, math.radians(degrees), _RADIUS + 16.0).split()
            parts.append(f'<text x="{x}" y="{float(y) + 4.0:.1f}" text-anchor="{anchor}">{degrees}°</text>')
        parts.append(f'<text class="{name}" x="{_CX + 90 * side}" y="20" text-anchor="{anchor}">{name} model</text>')

    def circle(radius: float) -> str:
        left, right = _point(-1, math.pi / 2.0, radius), _point(1, math.pi / 2.0, radius)
        lower = "" if half else f"A{radius} {radius} 0 0 1 {left}"
        return f'<path class="axis" d="M{left}A{radius} {radius} 0 0 1 {right}{lower}"/>'

    behind = "" if half else f'<text x="{_CX}" y="{_CY + _RADIUS + 18}" text-anchor="middle">180°</text>'
    return (
        f'<svg viewBox="0 0 360 {_CY + 12 if half else _CY + _RADIUS + 28}" role="img"><title>{escape(title)}</title>'
        f"{circle(_RADIUS)}{circle(_RADIUS / 2)}"
        f'<line class="axis" x1="{_CX - _RADIUS}" x2="{_CX + _RADIUS}" y1="{_CY}" y2="{_CY}"/>{"".join(parts)}'
        f'<line class="zero" x1="{_CX}" x2="{_CX}" y1="{_CY}" y2="{_CY - _RADIUS - 16}"/>'
        f'<text class="strong" x="{_CX}" y="{_CY - _RADIUS - 21}" text-anchor="middle">axis</text>{behind}</svg>'
    )

"""How numbers are written: one set of formats for the terminal, Markdown and the pages.

An estimate carries the digits that its interval justifies: two of the half-width.
"""

from __future__ import annotations

import math
import re
from typing import Any, NamedTuple


class Bounds(NamedTuple):
    """A value with its interval, where a report has no object for it."""

    value: float
    lower: float
    upper: float


def decimals(spread: float, least: int = 0) -> int:
    """Return how many decimals show two digits of a spread; two where it is zero or infinite."""
    return min(max(1 - math.floor(math.log10(spread)), least), 12) if 0.0 < spread < math.inf else max(least, 2)


def number(value: float, places: int = 4, sign: str = "+") -> str:
    """Format with a fixed number of decimals, a true minus and a true infinity; zero has no minus."""
    if math.isfinite(value):
        value = round(value, places) + 0.0
    return _signs(f"{value:{sign}.{places}f}")


def digits(value: float, significant: int = 3, sign: str = "") -> str:
    """Format with a number of significant digits, where no interval says how many there are."""
    return _signs(f"{value + 0.0:{sign}.{significant}g}")


def measured(value: float, significant: int = 2) -> str:
    """Format a measured value with all its significant digits, zeros at the end too."""
    return _signs(f"{value + 0.0:#.{significant}g}".removesuffix("."))


def round_up(value: float, significant: int = 2) -> str:
    """Format a bound, rounded away from zero so that it stays a bound."""
    unit = 10.0 ** (math.floor(math.log10(value)) - significant + 1) if value > 0.0 else 1.0
    return digits(math.ceil(value / unit * (1.0 - 1e-12)) * unit, significant)


def estimate(found: Any, sign: str = "+", scale: float = 1.0, least: int = 0) -> str:
    """Format a value with its bounds, ``+0.213 (+0.199 to +0.227)``."""
    places = decimals(scale * (found.upper - found.lower) / 2.0, least)
    value, lower, upper = (number(scale * part, places, sign) for part in (found.value, found.lower, found.upper))
    return f"{value} ({lower} to {upper})"


def plus_minus(found: Any) -> str:
    """Format a value with the half-width of its interval, ``+0.213 ± 0.014``, if that is symmetric."""
    half = (found.upper - found.lower) / 2.0
    if max(abs(found.lower), abs(found.upper)) < 1e-12:
        return "0 up to rounding"
    if abs(found.upper + found.lower - 2.0 * found.value) > 1e-6 * half:
        return estimate(found)
    places = decimals(half)
    return f"{number(found.value, places)} ± {number(half, places, '')}"


def points(found: Any) -> str:
    """Format a change of a share in percentage points, with its interval."""
    return estimate(found, scale=100.0)


def share(found: Any) -> str:
    """Format a share in per cent with its interval, ``34.6 % (32.0 to 37.1)``."""
    value, interval = estimate(found, "", 100.0).split(" ", 1)
    return f"{value} % {interval}"


def in_points(share: float) -> str:
    """Format a share in percentage points, ``1 point``."""
    text = digits(100.0 * share)
    return f"{text} point{'' if text == '1' else 's'}"


def rate(found: Any) -> str:
    """Format a share of pairs with its interval; a small one by its exponent."""
    if not 0.0 < found.upper < 1e-3:
        return estimate(found, sign="")
    half = (found.upper - found.lower) / 2.0
    places = max(math.floor(math.log10(found.upper)) - math.floor(math.log10(half)) + 1, 0) if half > 0.0 else 2
    value, lower, upper = (
        _signs(f"{part:.{places}e}" if part else "0") for part in (found.value, found.lower, found.upper)
    )
    return f"{value} ({lower} to {upper})"


def percent(share: float, places: int = 1, sign: str = "") -> str:
    """Format a share in per cent."""
    return f"{number(100.0 * share, places, sign)} %"


def confidence(level: float) -> str:
    """Format a confidence in per cent, ``95 %``."""
    return f"{100.0 * level:.6g} %"


def degrees(angle: float, sign: str = "") -> str:
    """Format an angle, given in radians, in degrees."""
    return f"{number(math.degrees(angle), 1, sign)}°"


def count(many: int) -> str:
    """Format a number of things, with separators."""
    return f"{many:,}"


def plural(many: int, one: str, more: str = "") -> str:
    """Format a number of things with its noun."""
    return f"{many:,} {one if many == 1 else more or one + 's'}"


# a value and its unit, its half-width, or its interval: what a line should not be broken inside
_TOGETHER = re.compile(
    r"(?<=\d) (?=%|points?\b)|(?<=[<>≤≥=]) (?=\d)|(?<=1[ab]) (?=[−+\d])|(?<=\d) ± (?=\d)|\([−+\d.∞e]+ to [−+\d.∞e]+\)"
)


def unbroken(text: str, space: str = "\u00a0") -> str:
    """Return the text with another space inside of numbers, so that no line ends there."""
    return _TOGETHER.sub(lambda found: found[0].replace(" ", space), text)


def _signs(text: str) -> str:
    return text.replace("e-0", "e-").replace("-", "−").replace("inf", "∞")

"""The parts of the report's page: numbers as text, lists, tables, and the style of a verdict."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources
from typing import Any

METRICS = {
    "sqeuclidean": "squared Euclidean distance",
    "cosine": "cosine distance",
    "euclidean": "Euclidean distance",
    "angular": "angle in radians",
}
_MARKS = {"compatible": "✓", "incompatible": "✗", "open": "?"}
# the style of each verdict
KINDS = dict.fromkeys(("compatible", "hold"), "compatible") | dict.fromkeys(("incompatible", "fail"), "incompatible")
KINDS |= dict.fromkeys(("inconclusive", "undecided"), "open")


def mark(verdict: str) -> str:
    """A verdict as a sign that does not depend on colour, and as a word to those who hear it."""
    return f'<span role="img" aria-label="{verdict}">{_MARKS[KINDS[verdict]]}</span>'


def label(value: int | str) -> str:
    """The label of a class, escaped; of a long one both ends."""
    text = str(value)
    return escape(text if len(text) <= 40 else f"{text[:20]}…{text[-19:]}")


def number(value: float, decimals: int = 4, sign: str = "+") -> str:
    """Format with a fixed number of decimals, a true minus and a true infinity."""
    return f"{value:{sign}.{decimals}f}".replace("-", "−").replace("inf", "∞")


def decimals(spread: float) -> int:
    """How many decimals show two digits of a spread."""
    return min(max(1 - math.floor(math.log10(spread)), 2), 12) if spread > 0.0 and math.isfinite(spread) else 4


def bounds(side: dict[str, Any]) -> tuple[float, float]:
    """The interval of a side; a bound that JSON cannot hold is infinite."""
    lower, upper = side["lower"], side["upper"]
    return -math.inf if lower is None else lower, math.inf if upper is None else upper


def interval(row: dict[str, Any]) -> str:
    """A gap with its interval, in words."""
    lower, upper = bounds(row)
    places = decimals((upper - lower) / 2.0)
    return f"{number(row['gap'], places)} ({number(lower, places)} to {number(upper, places)})"


def definitions(rows: Iterable[tuple[str, str]]) -> str:
    """Terms and what they are, both HTML."""
    return "<dl>\n" + "".join(f"<dt>{term}</dt><dd>{value}</dd>\n" for term, value in rows) + "</dl>\n"


def table(caption: str, heads: Sequence[str], body: str) -> str:
    """A table that scrolls by itself where the screen is narrow; caption and heads are text, the body is rows."""
    columns = "".join(f'<th scope="col">{head}</th>' for head in heads)
    return (
        f'<div class="scroll" role="region" aria-label="{caption}" tabindex="0">\n<table>\n'
        f"<caption>{caption}</caption>\n<thead><tr>{columns}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n</div>\n"
    )


def page(title: str, body: str) -> str:
    """A page that stands alone, with the style sheet in it; ``body`` is HTML."""
    style = resources.files("verification").joinpath("data", "report.css").read_text(encoding="utf-8")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f"<header><h1>{escape(title)}</h1></header>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )

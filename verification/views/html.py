"""Documents as pages that stand alone: nothing is loaded from elsewhere and nothing runs.

Every value is escaped, and a name that the template does not know is an error. Pages are readable on a telephone, in
the dark, on paper and by a screen reader.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from verification.reporting import made
from verification.views import intervals
from verification.views.document import Cell, Document, Table, origin
from verification.views.labels import visible
from verification.views.numbers import unbroken
from verification.views.verdicts import LOOKS


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("verification.views"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: (
            value if hasattr(value, "__html__") or not isinstance(value, str) else unbroken(visible(value))
        ),
    )
    environment.filters |= {"kind": lambda block: type(block).__name__, "numeric": _numeric}
    style = resources.files("verification").joinpath("data", "report.css").read_text(encoding="utf-8")
    environment.globals |= {"style": style, "looks": LOOKS, "intervals": intervals}
    return environment


def _numeric(table: Table) -> bool:
    """Whether the cells of a table are numbers, which stand to the right."""
    cells = [cell.text if isinstance(cell, Cell) else cell for row in table.rows for cell in row[1:]]
    return bool(cells) and sum(any(map(str.isdigit, cell)) for cell in cells) >= len(cells) / 2


def render(document: Document, title: str) -> str:
    """Return the page of a document; one that does not know when it was made is made now."""
    document = document if document.origin else replace(document, origin=origin(*made()))
    values: dict[str, Any] = {"document": document, "title": title}
    return _environment().get_template("page.html.jinja").render(values).lstrip()

"""Pages from templates: every value is escaped, a name that a template does not know is an error."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from verification.views import documents, numbers, pictures
from verification.views.labels import label, visible
from verification.views.verdicts import LOOKS


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("verification.views"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: value if hasattr(value, "__html__") or not isinstance(value, str) else visible(value),
    )
    plain = "count", "confidence", "decimals", "degrees", "digits", "in_points", "number", "percent"
    environment.filters |= {name: getattr(numbers, name) for name in plain} | {"label": label}
    environment.filters |= {name: _unbroken(getattr(numbers, name)) for name in ("estimate", "points", "rate")}
    style = resources.files("verification").joinpath("data", "report.css").read_text(encoding="utf-8")
    environment.globals |= {
        "style": style,
        "looks": LOOKS,
        "pictures": pictures,
        "documents": documents,
        "estimate": numbers.estimate,
        "plural": numbers.plural,
        "median": statistics.median,
    }
    return environment


def _unbroken(write: Callable[[Any], str]) -> Callable[[Any], Markup]:
    """Keep the interval behind a value in one line."""

    def written(found: Any) -> Markup:
        return Markup('{} <span class="interval">{}</span>').format(*write(found).split(" ", 1))

    return written


def render(template: str, **values: Any) -> str:
    """Return a page that stands alone: nothing is loaded from elsewhere and nothing runs."""
    return _environment().get_template(f"{template}.html.jinja").render(values)

"""What each kind of report says: one entry per kind, loaded when it is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from verification.views.document import Document


@dataclass(frozen=True)
class View:
    """How a kind of report is shown: the module and the function that make its document, and the title of its page."""

    maker: str
    title: str


# by the class of the report
VIEWS = {
    "UpgradeReport": View("audit.audit", "May the new model search the old gallery?"),
    "BridgeReport": View("bridge.bridge", "May new queries search the old gallery through a map?"),
    "FittedReport": View("bridge.fitted", "A map between two models"),
    "Relation": View("relation.relation", "What happened between the new and the old model?"),
    "Plan": View("plan.plan", "How many samples would decide an audit?"),
}


def document(report: Any, **more: Any) -> Document:
    """Return what a report says.

    Parameters
    ----------
    report : any of the classes in :data:`VIEWS`
    **more
        What else the maker of its document takes.

    Raises
    ------
    TypeError
        For what no entry of :data:`VIEWS` shows.
    """
    module, function = view(report).maker.split(".")
    made: Document = getattr(import_module(f"{__name__}.{module}"), function)(report, **more)
    return made


def view(report: Any) -> View:
    """Return the entry of a report."""
    name = type(report).__name__
    if name not in VIEWS:
        raise TypeError(f"report must be one of {', '.join(VIEWS)}, got {name}.")
    return VIEWS[name]

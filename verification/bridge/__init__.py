"""What lies between two models, and maps between them: whether one repairs an upgrade, at what cost, and its file.

Parts are imported when asked for: a file is sent through a map without what fits and judges one.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from verification.bridge.decision import bridge, fit_pairs
    from verification.bridge.fitting import KINDS, fit
    from verification.bridge.maps import FeatureMap
    from verification.bridge.relation import Relation, relate
    from verification.bridge.relation_kind import RelationKind
    from verification.bridge.report import BridgeReport, FittedReport

__all__ = [
    "KINDS",
    "BridgeReport",
    "FeatureMap",
    "FittedReport",
    "Relation",
    "RelationKind",
    "bridge",
    "fit",
    "fit_pairs",
    "relate",
]

_WHERE = {
    "KINDS": "fitting",
    "fit": "fitting",
    "BridgeReport": "report",
    "FittedReport": "report",
    "FeatureMap": "maps",
    "bridge": "decision",
    "fit_pairs": "decision",
    "Relation": "relation",
    "relate": "relation",
    "RelationKind": "relation_kind",
}


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(f"verification.bridge.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""A map between two models' features: whether one repairs an incompatible upgrade, at what cost, and its file.

Parts are imported when asked for: a file is sent through a map without what fits and judges one.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from verification.bridge.decision import bridge
    from verification.bridge.fitting import KINDS, fit
    from verification.bridge.maps import FeatureMap
    from verification.bridge.report import BridgeReport

__all__ = ["KINDS", "BridgeReport", "FeatureMap", "bridge", "fit"]

_WHERE = {"BridgeReport": "report", "bridge": "decision", "KINDS": "fitting", "fit": "fitting", "FeatureMap": "maps"}


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(f"verification.bridge.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

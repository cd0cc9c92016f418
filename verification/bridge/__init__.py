"""A map between two models' features: whether one repairs an incompatible upgrade, at what cost, and its file."""

from verification.bridge.decision import BridgeReport, bridge
from verification.bridge.fitting import KINDS, fit
from verification.bridge.maps import FeatureMap

__all__ = ["KINDS", "BridgeReport", "FeatureMap", "bridge", "fit"]

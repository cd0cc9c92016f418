"""Rows of one model with their labels: what is read, from which files and stores, and the set they become."""

from verification.features.columns import common_codes, examples, places
from verification.features.feature_set import FeatureSet

__all__ = ["FeatureSet", "common_codes", "examples", "places"]

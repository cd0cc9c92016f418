"""Features with known answers, for the tests of this room."""

from __future__ import annotations

import numpy as np

from theory.caps import UniformCap
from theory.simplex import simplex_vertices
from verification.features import FeatureSet


def cap_features(labels, dim: int, radius: float, rng: np.random.Generator) -> FeatureSet:
    """Each sample uniform in the cap about its class's vertex."""
    labels = np.asarray(labels)
    vertices = simplex_vertices(int(labels.max()) + 1, dim)
    cap = UniformCap(dim, radius)
    features = np.empty((len(labels), dim))
    for c, vertex in enumerate(vertices):
        features[labels == c] = cap.sample(int(np.sum(labels == c)), axis=vertex, rng=rng)
    return FeatureSet(features, labels)


def upgrade(radius_new: float, radius_old: float, num_samples=400, num_classes=5, dim=8, seed=0, labels=None):
    """(new, old), drawn independently of each other."""
    rng = np.random.default_rng(seed)
    labels = np.arange(num_samples) % num_classes if labels is None else labels
    return cap_features(labels, dim, radius_new, rng), cap_features(labels, dim, radius_old, rng)

"""Features with known answers, for the tests of this room."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from theory.caps import UniformCap
from theory.compatibility import Gaps, theorem1_gaps
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


@dataclass(frozen=True, kw_only=True)
class Caps:
    """A design of caps about the vertices, whose exact gaps the theory gives.

    ``unequal`` classes have sizes that fall as 1/c; features that are ``correlated`` leave their vertex in one
    direction; with ``gallery`` as many other samples are searched.
    """

    num_samples: int
    dim: int
    num_classes: int
    new_radius: float = 0.5
    old_radius: float = 0.5
    metric: str = "sqeuclidean"
    unequal: bool = False
    correlated: bool = False
    gallery: bool = False

    @property
    def labels(self) -> np.ndarray:
        """Class of each sample."""
        if not self.unequal:
            return np.arange(self.num_samples) % self.num_classes
        shares = 1.0 / np.arange(1, self.num_classes + 1)
        sizes = 2 + np.floor((self.num_samples - 2 * self.num_classes) * shares / shares.sum()).astype(int)
        sizes[0] += self.num_samples - sizes.sum()
        return np.repeat(np.arange(self.num_classes), sizes)

    def draw(self, rng: np.random.Generator) -> tuple[FeatureSet, FeatureSet, FeatureSet | None]:
        """New and old features, and the gallery."""
        new, old = (cap_features(self.labels, self.dim, r, rng) for r in (self.new_radius, self.old_radius))
        if self.correlated:
            axes = simplex_vertices(self.num_classes, self.dim)[self.labels]
            off = old.unit - np.vecdot(old.unit, axes)[:, None] * axes
            off /= np.linalg.norm(off, axis=1, keepdims=True)
            cosine = np.vecdot(new.unit, axes)[:, None]
            new = FeatureSet(cosine * axes + np.sqrt(1.0 - cosine**2) * off, self.labels)
        return new, old, cap_features(self.labels, self.dim, self.old_radius, rng) if self.gallery else None

    def truth(self) -> Gaps:
        """Exact gaps, alike for every class and every pair of classes."""
        new, old = UniformCap(self.dim, self.new_radius), UniformCap(self.dim, self.old_radius)
        return theorem1_gaps(new, old, self.num_classes, self.metric)

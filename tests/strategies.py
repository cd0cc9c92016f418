"""Hypothesis strategies that several property tests draw from."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from verification.features import FeatureSet

seeds = st.integers(0, 2**32 - 1)
"""Seeds of a random generator."""

dims = st.integers(2, 1000) | st.integers(2, 10**6)
"""Dimensions d of ℝᵈ; half of the draws are small."""

angles = st.floats(0.0, math.pi)
"""Angles in radians, both ends included."""

open_angles = st.floats(1e-6, math.pi - 1e-6)
"""Angles in radians, away from the ends."""

batch_sizes = st.integers(1, 12)
"""Rows of a batch, one row included."""


def class_counts(most: int) -> st.SearchStrategy[int]:
    """Classes of a batch, one class included."""
    return st.integers(1, most)


@dataclass(frozen=True, kw_only=True)
class Sets:
    """The sets of an upgrade, as arrays to be changed."""

    new: np.ndarray
    old: np.ndarray
    labels: np.ndarray
    ids: np.ndarray
    groups: np.ndarray | None
    items: np.ndarray | None
    item_labels: np.ndarray | None
    item_groups: np.ndarray | None

    def build(self) -> tuple[FeatureSet, FeatureSet, FeatureSet | None]:
        """New, old and gallery."""
        gallery = None
        if self.items is not None:
            item_ids = 1000 + np.arange(len(self.items))
            gallery = FeatureSet(self.items, self.item_labels, item_ids, self.item_groups)
        new, old = (FeatureSet(rows, self.labels, self.ids, self.groups) for rows in (self.new, self.old))
        return new, old, gallery


@st.composite
def upgrades(draw, groups: bool | None = None, gallery: bool | None = None) -> Sets:
    """Two to four classes of two to seven samples in two to six dimensions."""
    sizes = draw(st.lists(st.integers(2, 7), min_size=2, max_size=4))
    dim, seed = draw(st.integers(2, 6)), draw(st.integers(0, 2**32 - 1))
    grouped = draw(st.booleans()) if groups is None else groups
    searched = draw(st.booleans()) if gallery is None else gallery
    rng = np.random.default_rng(seed)
    axes = rng.standard_normal((len(sizes), dim))

    def rows(labels):
        return axes[labels] + 0.8 * rng.standard_normal((len(labels), dim))

    labels = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    item_labels = rng.permutation(np.concatenate([np.arange(len(sizes)), labels]))
    return Sets(
        new=rows(labels),
        old=rows(labels),
        labels=labels,
        ids=rng.permutation(500)[: len(labels)],
        groups=rng.integers(0, 3, len(labels)) if grouped else None,
        items=rows(item_labels) if searched else None,
        item_labels=item_labels if searched else None,
        item_groups=rng.integers(0, 3, len(item_labels)) if searched and grouped else None,
    )

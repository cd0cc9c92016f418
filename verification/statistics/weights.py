"""How class means add up to one gap: every pair of samples counts once, or every class and every class pair does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

WEIGHTINGS = ("pairs", "classes")


@dataclass(frozen=True)
class Weights:
    """Weights of class means; those of two different classes y, z are ``query[y]·gallery[z]``.

    Attributes
    ----------
    same : ndarray, shape (K,)
        Weight of each class on the same-class side; the weights sum to 1.
    query, gallery : ndarray, shape (K,)
        Factors of the weight of a class pair; over pairs of different classes the products sum to 1.
    by_size : bool
        Whether classes weigh as they have pairs, so that the sizes of groups move the weights.
    """

    same: Float[ndarray, " k"]
    query: Float[ndarray, " k"]
    gallery: Float[ndarray, " k"]
    by_size: bool = False

    @classmethod
    def of(
        cls,
        weighting: str,
        sizes: Int[ndarray, " k"],
        gallery_sizes: Int[ndarray, " k"] | None = None,
        same: Float[ndarray, " k"] | None = None,
    ) -> Weights:
        """Weights for classes of these sizes; without a gallery, samples are paired with each other.

        ``same`` counts the pairs of each class that meet, where not all do.
        """
        n = sizes.astype(np.float64)
        m = n if gallery_sizes is None else gallery_sizes.astype(np.float64)
        if same is None:
            same = n * (n - 1.0) if gallery_sizes is None else n * m
        query, gallery = n, m
        if weighting == "classes":
            same, query, gallery = ((value > 0.0).astype(np.float64) for value in (same, query, gallery))
        query = query / (query.sum() * gallery.sum() - query @ gallery)
        return cls(same / max(same.sum(), 1.0), query, gallery, weighting == "pairs")

    def pair_design(self, sizes: Int[ndarray, " k"], gallery_sizes: Int[ndarray, " k"]) -> Float[ndarray, "k k"]:
        """Squared weight of each two different classes over their pairs: what a pair's own variance weighs."""
        design = np.outer(*self.pair_factors(sizes, gallery_sizes))
        np.fill_diagonal(design, 0.0)
        return design

    def pair_factors(
        self, sizes: Int[ndarray, " k"], gallery_sizes: Int[ndarray, " k"]
    ) -> tuple[Float[ndarray, " k"], Float[ndarray, " k"]]:
        """Return the two factors of :meth:`pair_design`."""
        return self.query**2 / np.maximum(sizes, 1), self.gallery**2 / np.maximum(gallery_sizes, 1)

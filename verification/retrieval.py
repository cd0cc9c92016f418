"""Retrieval across models: the compatibility matrix (paper, Eq. 6), AC and AA.

A different notion of compatibility than Definition 1: neither implies the other.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from numpy.typing import ArrayLike

from verification.features import FeatureSet

_BLOCK = 2**24  # similarities held at a time


def nearest_neighbor_accuracy(queries: FeatureSet, gallery: FeatureSet, *, same_samples: bool = False) -> float:
    """Share of queries whose nearest gallery item, by cosine, has their label (1:N search).

    Ties go to the first row of the gallery. With ``same_samples`` query i and gallery item i are one sample, which may
    not find itself.

    Raises
    ------
    ValueError
        If the dimensions differ, or ``same_samples`` and the lengths do.
    """
    if queries.dim != gallery.dim:
        raise ValueError(f"queries and gallery must have one dimension, got {queries.dim} and {gallery.dim}.")
    if same_samples and len(queries) != len(gallery):
        raise ValueError(f"queries and gallery must hold the same samples, got {len(queries)} and {len(gallery)} rows.")
    hits = 0
    block = max(1, _BLOCK // len(gallery))
    for start in range(0, len(queries), block):
        similarities = queries.unit[start : start + block] @ gallery.unit.T
        if same_samples:
            rows = np.arange(len(similarities))
            similarities[rows, start + rows] = -np.inf
        found = gallery.labels[np.argmax(similarities, axis=1)]
        hits += int(np.count_nonzero(found == queries.labels[start : start + block]))
    return hits / len(queries)


def compatibility_matrix(query_sets: Sequence[FeatureSet], gallery_sets: Sequence[FeatureSet]) -> Float[ndarray, "t t"]:
    """Accuracy of queries by model t in the gallery of model k ≤ t.

    Parameters
    ----------
    query_sets, gallery_sets : sequence of FeatureSet, length T
        One set a model, oldest first. Where ``query_sets[t] is gallery_sets[t]`` for all t, queries and gallery are the
        same samples and none may find itself.

    Returns
    -------
    ndarray, shape (T, T)
        Fractions; the diagonal holds the self-tests, what is above it is NaN.

    Raises
    ------
    ValueError
        If there is no model or the two sequences differ in length.
    """
    if not query_sets or len(query_sets) != len(gallery_sets):
        raise ValueError(
            f"query_sets and gallery_sets must have one length >= 1, got {len(query_sets)} and {len(gallery_sets)}."
        )
    same = all(q is g for q, g in zip(query_sets, gallery_sets, strict=True))
    size = len(query_sets)
    matrix = np.full((size, size), np.nan)
    for t in range(size):
        for k in range(t + 1):
            matrix[t, k] = nearest_neighbor_accuracy(query_sets[t], gallery_sets[k], same_samples=same)
    return matrix


def average_compatibility(matrix: ArrayLike) -> float:
    """AC: the share of entries below the diagonal with M[t, k] > M[k, k] (paper, Eq. 6); NaN for one model."""
    matrix = _square(matrix)
    t, k = np.tril_indices(len(matrix), -1)
    return float(np.mean(matrix[t, k] > matrix[k, k])) if len(t) else float("nan")


def average_accuracy(matrix: ArrayLike) -> float:
    """AA: the mean of the lower triangle with its diagonal, in the unit of the matrix; zeros count."""
    matrix = _square(matrix)
    return float(np.mean(matrix[np.tril_indices(len(matrix))]))


def _square(matrix: ArrayLike) -> ndarray:
    array = np.asarray(matrix, dtype=np.float64)
    if array.ndim != 2 or array.shape[0] != array.shape[1] or not len(array):
        raise ValueError(f"matrix must have shape (T, T) with T >= 1, got {array.shape}.")
    if not np.all(np.isfinite(array[np.tril_indices(len(array))])):
        raise ValueError("matrix must be finite on and below the diagonal, got NaN or infinity there.")
    return array

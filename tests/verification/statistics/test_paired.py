"""Means whose values come in clusters: the bias-reduced variance against its matrices."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import linalg, stats

from verification.statistics.paired import cluster_interval

POINT = (0.0, 0.0)


def by_matrices(values, clusters):
    """Standard error and degrees of freedom of CR2 for the mean, as Bell and McCaffrey define them."""
    num = len(values)
    design = np.ones((num, 1))
    inverse = np.linalg.inv(design.T @ design)
    residual = np.eye(num) - design @ inverse @ design.T
    e = residual @ values
    variance, vectors = 0.0, []
    for name in np.unique(clusters):
        own = clusters == name
        hat = design[own] @ inverse @ design[own].T
        root = np.real(linalg.inv(linalg.sqrtm(np.eye(own.sum()) - hat)))
        weights = root @ design[own] @ inverse
        variance += float((e[own] @ weights).item() ** 2)
        vectors.append(residual[:, own] @ weights[:, 0])
    gram = np.array(vectors) @ np.array(vectors).T
    return math.sqrt(variance), np.trace(gram) ** 2 / np.sum(gram**2)


@pytest.mark.parametrize("sizes", [[5] * 6, [1, 2, 3, 4, 10], [30, 2, 2, 2], [1] * 12, [3, 7]])
def test_unequal_clusters_against_the_matrices(sizes):
    rng = np.random.default_rng(0)
    clusters = rng.permutation(np.repeat(10 * np.arange(len(sizes)), sizes))
    values = 0.1 * rng.standard_normal(len(clusters)) + 0.05 * rng.standard_normal(len(sizes))[clusters // 10]
    error, freedom = by_matrices(values, clusters)
    half = stats.t.isf(0.025, freedom) * error
    mean = values.mean()
    expected = max(mean - half, -1.0), min(mean + half, 1.0)
    # inverse roots of matrices of order thirty
    assert cluster_interval(values, clusters, 0.05, (mean, mean)) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize(("count", "size"), [(3, 1), (10, 4), (50, 2)])
def test_equal_clusters_are_a_mean_of_means(count, size):
    rng = np.random.default_rng(1)
    means = 0.1 * rng.standard_normal(count)
    values = (means[:, None] + 0.05 * rng.standard_normal((count, size))).ravel()
    low, high = cluster_interval(values, np.repeat(np.arange(count), size), 0.05, POINT)
    of_clusters = values.reshape(count, size).mean(axis=1)
    half = stats.t.isf(0.025, count - 1) * of_clusters.std(ddof=1) / math.sqrt(count)
    expected = min(values.mean() - half, 0.0), max(values.mean() + half, 0.0)
    assert (low, high) == pytest.approx(expected, rel=1e-10)


def test_one_cluster_tells_nothing_and_bounds_are_kept():
    assert cluster_interval(np.array([0.1, 0.2]), np.array([3, 3]), 0.05, (0.0, 0.3)) == (-1.0, 1.0)
    low, high = cluster_interval(np.array([1.0, -1.0]), np.array([0, 1]), 0.05, POINT)
    assert (low, high) == (-1.0, 1.0)
    # no narrower than the interval for new values of these clusters
    within = (-0.4, 0.6)
    assert cluster_interval(np.full(6, 0.1), np.repeat([0, 1, 2], 2), 0.05, within) == within

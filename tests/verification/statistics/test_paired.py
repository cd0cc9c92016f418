"""Means whose values come in clusters: the bias-reduced variance against its matrices."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import linalg, optimize, stats

from verification.statistics import paired
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


def bound(gained, lost, num, quantile, inflation, sign):
    """Where the difference, half a query nearer, is ``quantile`` errors away; the nuisance chance by its likelihood."""
    observed = (gained - lost) / num

    def excess(candidate):
        low, high = max(0.0, -candidate) + 1e-13, (1.0 - candidate) / 2.0 - 1e-13

        def unlikely(chance):
            terms = (gained, chance + candidate), (lost, chance), (num - gained - lost, 1.0 - 2.0 * chance - candidate)
            return -sum(count * math.log(max(p, 1e-300)) for count, p in terms if count)

        loss = optimize.minimize_scalar(unlikely, bounds=(low, high), method="bounded", options={"xatol": 1e-13}).x
        variance = num * (2.0 * loss + candidate - candidate**2)
        return sign * (observed - candidate) * num - 0.5 - quantile * math.sqrt(inflation * max(variance, 0.0))

    ends = (-1.0 + 1e-9, observed - 0.3 / num) if sign > 0 else (observed + 0.3 / num, 1.0 - 1e-9)
    return optimize.brentq(excess, *ends)


@pytest.mark.parametrize("inflation", [1.0, 2.5])
@pytest.mark.parametrize(
    ("gained", "lost", "num"),
    # the last ones are one pair short of all, which no difference of 1 explains
    [(0, 0, 40), (5, 2, 40), (3, 9, 60), (12, 0, 50), (0, 1, 30), (39, 0, 40), (0, 39, 40), (4, 0, 5)],
)
def test_score_intervals_against_the_likelihood(gained, lost, num, inflation):
    quantile = stats.norm.isf(0.025)
    expected = [bound(gained, lost, num, quantile, inflation, sign) for sign in (1.0, -1.0)]
    # a minimum of a likelihood is known to half of the digits
    assert paired.score_interval(gained, lost, num, 0.05, inflation) == pytest.approx(expected, abs=1e-5)


def test_intervals_of_means_and_what_widens_them():
    rng = np.random.default_rng(0)
    hits = rng.choice([-1.0, 0.0, 0.0, 1.0], 60)
    gained, lost = int(np.sum(hits > 0)), int(np.sum(hits < 0))
    scores = rng.uniform(-1.0, 1.0, 60)
    groups, classes = np.arange(60) // 4, np.arange(60) // 12
    assert paired.mean_interval(hits, 0.05, 1.7) == paired.score_interval(gained, lost, 60, 0.05, 1.7)
    half = stats.t.isf(0.025, 59) * math.sqrt(1.7 * scores.var(ddof=1) / 60)
    assert paired.mean_interval(scores, 0.05, 1.7) == pytest.approx((scores.mean() - half, scores.mean() + half))
    for values in (hits, scores):
        within = paired.mean_interval(values, 0.05, 2.0 * 1.2**2)
        one, other = paired.both_intervals(values, 0.05, None, None, inflation=2.0, widen=(1.2, 1.5))
        assert one == other == within
        one, other = paired.both_intervals(values, 0.05, None, classes, inflation=2.0, widen=(1.2, 1.5))
        assert one == within
        assert other == cluster_interval(values, classes, 0.05, within, 1.5)
        one, other = paired.both_intervals(values, 0.05, groups, classes, inflation=2.0, widen=(1.2, 1.5))
        assert one == cluster_interval(values, groups, 0.05, within, 1.2)
        assert other == cluster_interval(values, classes, 0.05, one, 1.5)
        assert paired.both_intervals(values, 0.05, groups, None)[0] == cluster_interval(
            values, groups, 0.05, paired.mean_interval(values, 0.05)
        )
    error, freedom = paired.cluster_error(scores, classes)
    mean = scores.mean()
    low, high = cluster_interval(scores, classes, 0.05, (mean, mean), 1.5)
    assert (high - low) / 2.0 == pytest.approx(1.5 * stats.t.isf(0.025, freedom) * error)
    assert paired.cluster_error(scores, np.zeros(60, int)) == (np.inf, 1.0)
    assert np.isfinite(paired.cluster_error(scores, np.arange(60) // 30)[0])


def test_links_of_queries_that_are_some_of_the_items():
    """Items that are no queries link those that both found them, and a query links those that found it."""
    rng = np.random.default_rng(3)
    own = np.sort(rng.choice(60, 25, replace=False))
    found = rng.choice(60, (25, 2))
    found[:, 1] = np.where(rng.random(25) < 0.5, found[:, 0], found[:, 1])
    found = np.where(found == own[:, None], (found + 1) % 60, found)
    for values in rng.standard_normal((5, 25)):
        e = values - values.mean()
        total = 0.0
        for i in range(25):
            for j in range(25):
                shared = np.any(found[i] == found[j])
                total += e[i] * e[j] * (i == j or shared or own[j] in found[i] or own[i] in found[j])
        assert paired.inflation(values, found, own) == pytest.approx(max(total / (e @ e), 1.0))


def test_a_root_is_where_the_sign_changes():
    assert paired.root(lambda x: x - 0.3, -1.0, 1.0) == pytest.approx(0.3, abs=1e-15)
    assert paired.root(lambda x: 0.3 - x, -1.0, 1.0) == pytest.approx(0.3, abs=1e-15)

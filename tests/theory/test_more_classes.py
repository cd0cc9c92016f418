"""More classes than d + 1, and classes never seen: which inequalities survive for which pairs."""

from __future__ import annotations

import math

import numpy as np
import pytest

from theory.caps import UniformCap
from theory.compatibility import class_pair_gaps, first_moment_gaps
from theory.decisions import safe_threshold, theorem_d_gaps
from theory.distances import expected_distance
from theory.simplex import simplex_vertices

DIM = 8
NEW, OLD = UniformCap(DIM, 0.3), UniformCap(DIM, 0.5)
M_NEW, M_OLD = NEW.mean_resultant_length(), OLD.mean_resultant_length()


def random_axes(count, seed=0):
    axes = np.random.default_rng(seed).standard_normal((count, DIM))
    return axes / np.linalg.norm(axes, axis=1, keepdims=True)


CODES = {
    "simplex": simplex_vertices(DIM + 1, DIM),
    "cross-polytope": np.concatenate([np.eye(DIM), -np.eye(DIM)]),
    "random, K = 2d": random_axes(2 * DIM),
    "random, K = 5d": random_axes(5 * DIM),
}


@pytest.mark.parametrize("name", CODES)
def test_1b_is_lost_on_exactly_the_pairs_with_an_acute_angle(name):
    """gap = −2ρ m_k (m_t − m_k), pair by pair; a cross-polytope has 2d classes and no such pair."""
    axes = CODES[name]
    cosines = axes @ axes.T
    gaps = class_pair_gaps(M_NEW * axes, M_OLD * axes)
    apart = ~np.eye(len(axes), dtype=bool)
    np.testing.assert_allclose(gaps[apart], -2 * cosines[apart] * M_OLD * (M_NEW - M_OLD), atol=1e-14)
    lost = gaps[apart] < -1e-12
    assert np.array_equal(lost, cosines[apart] > 1e-10)
    assert bool(lost.any()) == name.startswith("random")


@pytest.mark.parametrize("seed", range(3))
def test_more_than_2d_classes_always_lose_a_pair(seed):
    """Rankin's bound: of more than 2d unit vectors two have a positive cosine."""
    axes = random_axes(2 * DIM + 1, seed)
    assert class_pair_gaps(M_NEW * axes, M_OLD * axes)[~np.eye(len(axes), dtype=bool)].min() < 0


def test_on_average_centred_axes_are_enough():
    """T8 needs Σ w = 0 and nothing else, so 1b holds on average where single pairs lose it."""
    axes = random_axes(4 * DIM)
    codes = np.concatenate([axes, -axes])
    gaps = first_moment_gaps(M_NEW * codes, M_OLD * codes)
    assert gaps.different_class == pytest.approx(gaps.same_class / (len(codes) - 1), rel=1e-9)
    assert gaps.different_class > 0


@pytest.mark.parametrize("name", CODES)
def test_decisions_survive_above_the_largest_bound(name):
    """D3 with the largest cosine over pairs covers every pair; below it some rate may rise."""
    axes = CODES[name]
    cosines = (axes @ axes.T)[np.triu_indices(len(axes), 1)]
    threshold = float(np.max(safe_threshold(NEW, OLD, np.clip(cosines, -1.0, 1.0))))
    if threshold > 1:  # two axes so near that nothing is said
        assert cosines.max() > math.cos(0.5) ** 2
        return
    tau = max(threshold, -0.99) + 1e-9
    for rho in np.quantile(cosines, [0.0, 0.5, 1.0]):
        assert theorem_d_gaps(NEW, OLD, tau, min(max(rho, -1.0), 1.0)).different_class >= -1e-13


def test_an_unseen_class_loses_1b_to_some_class_and_keeps_its_decisions():
    """In the span of a simplex the cosines to its vertices sum to zero, so some are at least 1/d."""
    vertices = simplex_vertices(DIM + 1, DIM)
    for unseen in random_axes(20, seed=4):
        cosines = vertices @ unseen
        gaps = -2 * M_OLD * (M_NEW - M_OLD) * cosines
        assert abs(gaps.mean()) < 1e-14
        assert cosines.max() >= 1 / DIM - 1e-12
        assert gaps.min() < 0
        safe = safe_threshold(NEW, OLD, float(cosines.max()))
        if safe <= 1:
            assert theorem_d_gaps(NEW, OLD, safe, float(cosines.max())).different_class >= -1e-13
    # the pair's gap is that of the exact distances
    exact = expected_distance(NEW, OLD, 0.4) - expected_distance(OLD, OLD, 0.4)
    assert exact == pytest.approx(-2 * 0.4 * M_OLD * (M_NEW - M_OLD), rel=1e-12)

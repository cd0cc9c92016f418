"""Proposition 1 on problems that can be solved, and where it breaks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import OptimizeResult
from scipy.special import logsumexp

from theory.duality import FreeFeatureProblem, _minimise, nonconvex_example, solve_duality
from theory.simplex import simplex_vertices


def random_problem(seed, samples=6, num_classes=3, dim=2, noise=0.8, scale=5.0):
    rng = np.random.default_rng(seed)
    targets = np.arange(samples) % num_classes
    old = simplex_vertices(num_classes, dim)[targets] + noise * rng.standard_normal((samples, dim))
    return FreeFeatureProblem(targets, old, num_classes, scale)


def reachable(problem):
    """The smallest contrastive loss on the ball and the one that cross-entropy alone leads to: ε between them binds."""
    start = problem.old_features[None]
    return tuple(problem.contrastive(_minimise(problem, weight, "ball", start))[0] for weight in (0.0, 1.0))


def test_losses_are_their_double_loops():
    problem = random_problem(0, samples=7)
    features = np.random.default_rng(1).standard_normal((7, 2))
    old, targets = problem.old_features, problem.targets
    contrastive = cross_entropy = 0.0
    for i in range(7):
        keys = [i] + [j for j in range(7) if targets[j] != targets[i]]
        scores = [problem.scale * float(features[i] @ old[j]) for j in keys]
        contrastive += -math.log(math.exp(scores[0]) / sum(math.exp(s) for s in scores)) / 7
        logits = [float(features[i] @ w) for w in problem.vertices]
        cross_entropy += -math.log(math.exp(logits[targets[i]]) / sum(math.exp(z) for z in logits)) / 7
    # a few hundred additions of numbers of order 10 in float64
    assert math.isclose(problem.contrastive(features)[0], contrastive, rel_tol=1e-12)
    assert math.isclose(problem.cross_entropy(features)[0], cross_entropy, rel_tol=1e-12)


@pytest.mark.parametrize("loss", ["cross_entropy", "contrastive"])
def test_gradients_are_the_difference_quotients(loss):
    problem = random_problem(2)
    function = getattr(problem, loss)
    features = np.random.default_rng(3).standard_normal((6, 2))
    step, gradient = 1e-5, function(features)[1]
    for index in np.ndindex(features.shape):
        move = np.zeros_like(features)
        move[index] = step
        quotient = (function(features + move)[0] - function(features - move)[0]) / (2 * step)
        # truncation step²·scale³ ~ 1e−8, rounding 1e−16/step ~ 1e−11
        assert abs(quotient - gradient[index]) < 1e-7


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.floats(0, 1))
def test_both_losses_are_convex_in_the_features(seed, share):
    problem = random_problem(seed)
    first, second = np.random.default_rng(seed).standard_normal((2, 6, 2))
    for loss in (problem.cross_entropy, problem.contrastive):
        between = loss(share * first + (1 - share) * second)[0]
        assert between <= share * loss(first)[0] + (1 - share) * loss(second)[0] + 1e-12  # rounding of sums of order 10


@pytest.mark.parametrize("shrink", [0.9, 1.1])
def test_a_start_that_ends_off_the_sphere_does_not_count(monkeypatch, shrink):
    """Inside the ball is as far off the sphere as outside it."""

    def off_the_sphere(objective, start, **options):
        return OptimizeResult(x=shrink * np.asarray(start))

    problem = random_problem(0)
    monkeypatch.setattr("theory.duality.minimize", off_the_sphere)
    with pytest.raises(RuntimeError, match="from none of 1 starts"):
        _minimise(problem, 0.5, "sphere", problem.old_features[None])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("fraction", [0.1, 0.5])
def test_on_the_ball_both_problems_have_one_solution(seed, fraction):
    problem = random_problem(seed)
    tight, loose = reachable(problem)
    epsilon = tight + fraction * (loose - tight)
    solution = solve_duality(problem, epsilon)
    # SLSQP stops at a relative change of 1e−14 of the value: 1e−7 in the point, as the value is quadratic there
    assert solution.distance < 1e-5
    assert abs(solution.weighted_excess) < 1e-10
    assert solution.multiplier > 0
    assert solution.weight == 1 / (1 + solution.multiplier)
    assert solution.stationarity < 1e-6
    assert solution.feasibility < 1e-9
    assert solution.complementarity < 1e-9
    assert np.max(np.linalg.norm(solution.weighted, axis=1)) < 1 + 1e-9


def test_the_multiplier_is_the_slope_of_the_least_cross_entropy():
    # envelope theorem, by a central difference: truncation (1 % of the range)² = 1e−4, solver noise below 1e−6
    problem = random_problem(0)
    tight, loose = reachable(problem)
    epsilon, step = (tight + loose) / 2, 0.01 * (loose - tight)
    values = [problem.cross_entropy(solve_duality(problem, epsilon + move).constrained)[0] for move in (-step, step)]
    slope = (values[0] - values[1]) / (2 * step)
    assert math.isclose(slope, solve_duality(problem, epsilon).multiplier, rel_tol=1e-3)


def test_a_constraint_that_does_not_bind_has_no_price():
    solution = solve_duality(random_problem(1), 100.0)
    assert solution.multiplier == 0.0
    assert solution.weight == 1.0
    assert solution.complementarity == 0.0
    assert solution.distance < 1e-5


def test_a_wrong_weight_gives_another_minimiser():
    problem = random_problem(1)
    tight, loose = reachable(problem)
    near, far = (solve_duality(problem, tight + share * (loose - tight)) for share in (0.2, 0.8))
    assert far.weight > near.weight + 0.05
    assert np.max(np.abs(far.constrained - near.weighted)) > 0.05


def test_more_dimensions_than_the_classifier_sees_leave_the_value_alone():
    problem = random_problem(4, dim=4)
    assert abs(solve_duality(problem, sum(reachable(problem)) / 2).weighted_excess) < 1e-9


def test_on_the_sphere_a_constrained_minimiser_is_attained_by_no_weight():
    problem, epsilon = nonconvex_example()
    solution = solve_duality(problem, epsilon, domain="sphere", num_starts=8, rng=0)
    assert solution.stationarity < 1e-6  # it is a KKT point all the same
    assert solution.feasibility < 1e-9
    assert solution.distance > 1.0
    assert solution.weighted_excess > 0.1

    # the losses are sums over samples, so a grid over one angle serves all: the dual value of every λ, and how far the
    # losses reached by its minimiser stay from ε
    angle = np.linspace(-np.pi, np.pi, 1441)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    dual, nearest, grids = -math.inf, math.inf, []
    for i, target in enumerate(problem.targets):
        logits = circle @ problem.vertices.T
        allowed = (problem.targets != target) | (np.arange(3) == i)
        scores = problem.scale * circle @ problem.old_features.T
        ce = logsumexp(logits, axis=1) - logits[:, target]
        grids.append((ce / 3, (logsumexp(scores[:, allowed], axis=1) - scores[:, i]) / 3))
    for weight in np.linspace(0.001, 1, 1000):
        at = [np.argmin(weight * ce + (1 - weight) * con) for ce, con in grids]
        ce = sum(grid[0][k] for grid, k in zip(grids, at, strict=True))
        con = sum(grid[1][k] for grid, k in zip(grids, at, strict=True))
        dual = max(dual, ce + (1 - weight) / weight * (con - epsilon))
        nearest = min(nearest, abs(con - epsilon))
    value = problem.cross_entropy(solution.constrained)[0]
    assert value - dual > 0.15  # grid error: the square of half a step, 5e−6, times second derivatives of order 10
    assert nearest > 0.1

    # and no feasible point of the grid does better than the solver, so that the gap is the problem's own
    (ce0, con0), (ce1, con1), (ce2, con2) = ((ce[::6], con[::6]) for ce, con in grids)
    pair_ce, pair_con = (ce0[:, None] + ce2).ravel(), (con0[:, None] + con2).ravel()
    order = np.argsort(pair_con)
    best = np.minimum.accumulate(pair_ce[order])
    slots = np.searchsorted(pair_con[order], epsilon - con1, side="right")
    reached = min(best[slot - 1] + rest for slot, rest in zip(slots, ce1, strict=True) if slot > 0)
    assert reached > value - 1e-9


def test_the_same_problem_on_the_ball_obeys_the_proposition():
    problem, epsilon = nonconvex_example()
    solution = solve_duality(problem, epsilon)
    assert solution.distance < 1e-5
    assert np.min(np.linalg.norm(solution.constrained, axis=1)) < 0.5  # by leaving the sphere


def test_an_epsilon_out_of_reach_is_refused_in_a_sentence():
    with pytest.raises(ValueError, match=r"epsilon must be > .*the smallest contrastive loss on the ball, got 1e-09"):
        solve_duality(random_problem(0, noise=1.5), 1e-9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"targets": [0, 1, 2]}, r"old_features must be \(N, dim\) beside N targets"),
        ({"targets": [0, 5]}, r"targets must be integers in \[0, 3\)"),
        ({"targets": [0.0, 1.0]}, r"targets must be integers in \[0, 3\)"),
        ({"old_features": np.zeros((2, 2))}, "old_features must be finite and not zero"),
        ({"scale": 0.0}, "scale must be a finite number > 0, got 0.0"),
        ({"num_classes": 4}, "dim must be >= num_classes - 1 = 3"),
    ],
)
def test_problems_that_make_no_sense_are_named(arguments, message):
    valid = {"targets": [0, 1], "old_features": np.eye(2), "num_classes": 3}
    with pytest.raises(ValueError, match=message):
        FreeFeatureProblem(**{**valid, **arguments})


def test_unknown_domain():
    with pytest.raises(ValueError, match="domain must be 'ball' or 'sphere', got 'cube'"):
        solve_duality(random_problem(0), 1.0, domain="cube")

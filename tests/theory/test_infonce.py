"""InfoNCE against informations that are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from theory import infonce
from theory.infonce import infonce_bound, infonce_loss


@pytest.mark.parametrize(
    ("correlations", "batch_size", "share"),
    [([0.5], 64, 0.9), ([0.5, 0.5, 0.5], 64, 0.9), ([0.9] * 10, 64, 0.9), ([0.3, -0.7], 256, 0.95)],
)
def test_infonce_bounds_the_information_from_below(correlations, batch_size, share):
    bound = infonce_bound(correlations, batch_size, rng=0)
    information = -0.5 * sum(math.log(1 - r * r) for r in correlations)
    assert math.isclose(bound.mutual_information, information, rel_tol=1e-12)
    assert bound.ceiling == math.log(batch_size)
    noise = 4 * bound.standard_error  # four standard errors of 200 batches
    assert bound.bound <= min(information + noise, bound.ceiling)
    # the optimal critic loses O(Var(density ratio)/N), and comes close to the lower of I and log N
    assert bound.bound > share * min(information, bound.ceiling) - noise


def test_the_standard_error_is_that_of_the_mean_over_batches(monkeypatch):
    losses = []
    monkeypatch.setattr(infonce, "infonce_loss", lambda scores: losses.append(infonce_loss(scores)) or losses[-1])
    bound = infonce_bound([0.5, 0.2], 16, num_batches=7, rng=3)
    assert bound.standard_error == pytest.approx(stats.sem(losses), rel=1e-12)
    assert bound.bound == pytest.approx(math.log(16) - np.mean(losses), rel=1e-12)


def test_a_high_information_meets_the_ceiling():
    bound = infonce_bound([0.99] * 10, 32, rng=0)
    assert bound.mutual_information > 5 * bound.ceiling
    assert 0.999 * bound.ceiling < bound.bound <= bound.ceiling


@pytest.mark.parametrize("believed", [[-0.2] * 3, [0.1] * 3, [0.9] * 3])
def test_a_critic_that_is_wrong_bounds_less(believed):
    right = infonce_bound([0.5] * 3, 64, rng=0)
    wrong = infonce_bound([0.5] * 3, 64, critic_correlations=believed, rng=0)
    assert wrong.bound < right.bound - 4 * math.hypot(right.standard_error, wrong.standard_error)


def test_a_critic_that_sees_nothing_bounds_nothing():
    assert abs(infonce_bound([0.5], 16, critic_correlations=[0.0]).bound) < 1e-12  # log N − log N, rounded


def test_independent_variables_share_no_information():
    bound = infonce_bound([0.0, 0.0], 16)
    assert bound.mutual_information == 0.0
    assert abs(bound.bound) < 1e-12


def test_the_same_seed_gives_the_same_bound():
    assert infonce_bound([0.5], 16, rng=7) == infonce_bound([0.5], 16, rng=np.random.default_rng(7))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0], 16), r"correlations must be in \(-1, 1\), got 1.0"),
        (([0.5], 1), "batch_size must be an integer >= 2, got 1"),
        (([0.5], 16, 1), "num_batches must be an integer >= 2, got 1"),
        (([0.5], 16, 10, [0.1, 0.2]), "critic_correlations must have the shape of correlations"),
    ],
)
def test_invalid_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        infonce_bound(*arguments)

"""The three upgrades are what they are said to be: recall by plain products, mean distances by their definition."""

from __future__ import annotations

import numpy as np
import pytest

from verification.experiments.simulated.known_searches import SEARCHES, SHARED, SHOTS

pytestmark = pytest.mark.simulations


def measured(name: str, seed: int = 0) -> tuple[float, float, float, float]:
    """Change of recall@1 and its standard error, gaps of 1a and 1b, the first half searched by the second."""
    new, old = SEARCHES[name].draw(4000, np.random.default_rng(seed))
    items, queries = slice(0, 2000), slice(2000, None)
    same = old.labels[queries, None] == old.labels[items]
    cosines = [rows.unit[queries] @ old.unit[items].T for rows in (old, new)]
    hits = [old.labels[items][np.argmax(each, axis=1)] == old.labels[queries] for each in cosines]
    change = hits[1].astype(float) - hits[0]
    nearer = 2.0 * (cosines[1] - cosines[0])  # in squared distance
    return change.mean(), change.std() / np.sqrt(2000), nearer[same].mean(), -nearer[~same].mean()


def test_off_centre_a_search_gains_and_other_classes_come_nearer():
    change, error, same, different = measured("common mean")
    assert change > 4 * error
    assert same > 0.0 > different
    assert same + different > 0.0


def test_merged_classes_lose_a_search_and_distances_improve():
    change, error, same, different = measured("merged")
    assert change < -4 * error
    assert same > 0.0
    assert different > 0.0


def test_shots_lose_nothing_and_share_their_noise_under_each_model():
    new, old = SEARCHES["several shots"].draw(20_000, np.random.default_rng(1))
    assert new.groups is not None
    np.testing.assert_array_equal(np.bincount(new.groups), SHOTS)
    means = np.array([old.features[old.labels == c].mean(axis=0) for c in range(10)])
    noise = (old.features - means[old.labels]).reshape(-1, SHOTS, old.dim)
    correlation = np.mean(noise[:, 0] * noise[:, 1]) / np.mean(noise**2)
    # four standard errors of 4000 · 64 products
    assert correlation == pytest.approx(SHARED, abs=4 / np.sqrt(4000 * 64))
    changes = [measured("several shots", seed)[0] for seed in range(6)]
    # exchangeable models: a mean of six that is zero, to four of its standard errors
    assert abs(np.mean(changes)) < 4 * np.std(changes, ddof=1) / np.sqrt(6)

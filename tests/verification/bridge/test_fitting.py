"""Each kind of map finds what it is made for, and no more than it may."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from verification.bridge import fitting
from verification.bridge.judge import unit

RNG = np.random.default_rng(0)


def rows(num: int, dim: int) -> np.ndarray:
    return unit(RNG.standard_normal((num, dim)))


def mean_cosine(feature_map, source, target) -> float:
    return float(np.vecdot(unit(feature_map(source)), target).mean())


@pytest.mark.parametrize("kind", ["orthogonal", "lambda-orthogonal", "ridge"])
@pytest.mark.parametrize(("d_in", "d_out"), [(8, 8), (8, 12), (12, 8)])
def test_a_rotation_is_found_between_any_dimensions(kind, d_in, d_out):
    turn = stats.ortho_group.rvs(max(d_in, d_out), random_state=1)
    seen, hidden = (np.zeros((200, max(d_in, d_out))) for _ in range(2))
    seen[:, : min(d_in, d_out)] = rows(200, min(d_in, d_out))
    hidden = seen @ turn
    source, target = (hidden, seen[:, :d_out]) if d_in > d_out else (seen[:, :d_in], hidden)
    found = fitting.fit(kind, source, target, "queries")
    assert found.dims == (d_in, d_out)
    # rounding; of ridge the least penalty, 1e-8, beside eigenvalues of 200/8
    np.testing.assert_allclose(found(source), target, atol=1e-8 if kind == "ridge" else 1e-13)


def test_an_orthogonal_map_keeps_distances_even_of_noise():
    source, target = rows(100, 6), rows(100, 6)
    turn = fitting.fit("orthogonal", source, target, "queries").A
    np.testing.assert_allclose(turn.T @ turn, np.eye(6), atol=1e-14)


def test_a_translation_takes_one_mean_to_the_other_and_is_all_it_does():
    source, target = rows(100, 6), rows(100, 6) + 0.3
    found = fitting.fit("translation", source, target, "queries")
    np.testing.assert_allclose(found(source).mean(axis=0), target.mean(axis=0), atol=1e-15)
    np.testing.assert_array_equal(found.A, np.eye(6))


def test_ridge_is_affine_least_squares_where_there_is_no_noise():
    matrix, offset = RNG.standard_normal((6, 4)), RNG.standard_normal(4)
    source = rows(300, 6)
    found = fitting.fit("ridge", source, source @ matrix + offset, "queries")
    # the least penalty, 1e-8, beside eigenvalues of 300/6
    np.testing.assert_allclose(found.A, matrix, atol=1e-8)
    np.testing.assert_allclose(found.b, offset, atol=1e-8)


def test_the_lambda_orthogonal_map_lies_between_the_orthogonal_and_least_squares():
    source = rows(2000, 6)
    target = source @ np.diag([0.2, 0.4, 0.7, 1.0, 1.5, 2.0])
    maps = {kind: fitting.fit(kind, source, target, "queries") for kind in ("orthogonal", "lambda-orthogonal", "ridge")}
    errors = {kind: float(np.sum((found(source) - target) ** 2)) for kind, found in maps.items()}
    assert errors["orthogonal"] > 1.2 * errors["lambda-orthogonal"] > 1.2 * errors["ridge"]
    gram = maps["lambda-orthogonal"].A.T @ maps["lambda-orthogonal"].A
    distance = np.linalg.norm(gram - np.eye(6)) / np.sqrt(6)
    # a penalty, no wall: a little further than what is free
    assert fitting.RELAXATION < distance < 1.6 * fitting.RELAXATION


def test_the_adapter_bends_what_no_affine_map_can():
    target = rows(2000, 4)
    bent = np.sinh(2.0 * target @ stats.ortho_group.rvs(4, random_state=2))
    source = unit(bent + 0.5 * np.abs(bent))
    maps = {
        kind: fitting.fit(kind, source[:1500], target[:1500], "queries") for kind in ("orthogonal", "ridge", "adapter")
    }
    lost = {kind: 1.0 - mean_cosine(found, source[1500:], target[1500:]) for kind, found in maps.items()}
    assert lost["adapter"] < 0.5 * min(lost["orthogonal"], lost["ridge"])


def test_the_adapter_is_the_same_under_the_same_seed():
    source, target = rows(200, 5), rows(200, 5)
    first, second = (fitting.fit("adapter", source, target, "queries", seed=3) for _ in range(2))
    for name, array in first.arrays().items():
        np.testing.assert_array_equal(second.arrays()[name], array)


def test_what_needs_equal_dimensions():
    assert fitting.available(5, 5) == tuple(fitting.KINDS)
    assert fitting.available(5, 6) == ("orthogonal", "lambda-orthogonal", "ridge", "adapter")

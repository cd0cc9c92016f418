"""Each kind of map finds what it is made for, and no more than it may."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

from verification.bridge import adapter, fit_pairs, fitting
from verification.bridge.judge import unit
from verification.features import FeatureSet

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


def test_objective_and_gradient_of_the_lambda_orthogonal_map_belong_together(monkeypatch):
    asked = {}
    minimize = optimize.minimize

    def seen(loss, start, **options):
        asked.update(loss=loss, start=start)
        return minimize(loss, start, **options)

    monkeypatch.setattr(fitting.optimize, "minimize", seen)
    for d_in, d_out in ((5, 4), (4, 5)):
        fitting.fit("lambda-orthogonal", rows(100, d_in), rows(100, d_out), "queries")
        loss = asked["loss"]
        # within what costs nothing, and well beyond it
        for point in (1.01 * asked["start"], 1.5 * asked["start"]):
            error = optimize.check_grad(lambda x: loss(x)[0], lambda x: loss(x)[1], point)  # noqa: B023
            # differences over 1.5e-8 of values of order one, in twenty coordinates
            assert error < 1e-5


def test_one_pass_trains_the_adapter(monkeypatch):
    monkeypatch.setattr(adapter, "EPOCHS", 1)
    target = rows(4000, 4)
    bent = np.sinh(2.0 * target @ stats.ortho_group.rvs(4, random_state=2))
    source = unit(bent + 0.5 * np.abs(bent))
    start, found = (fitting.fit(kind, source, target, "queries") for kind in ("orthogonal", "adapter"))
    assert np.max(np.abs(found.A - start.A)) > 1e-3
    assert np.any(found.V)
    assert mean_cosine(found, source, target) > mean_cosine(start, source, target)


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
    anywhere = ("orthogonal", "lambda-orthogonal", "ridge", "adapter", "bottleneck", "slerp")
    assert fitting.available(5, 5) == ("identity", "translation", "qdc", *anywhere)
    assert fitting.available(5, 6) == anywhere
    assert fitting.available(6, 5) == ("cut", *anywhere)


def test_a_cut_keeps_the_first_coordinates_and_is_chosen_where_that_is_all():
    old = rows(300, 24)
    new = unit(old[:, :8])
    found = fit_pairs(FeatureSet(new), FeatureSet(old), "gallery", maps=("cut", "orthogonal", "ridge"))
    assert found.kind == "cut"
    np.testing.assert_array_equal(found.map(old), old[:, :8])
    assert found.loss < 1e-28  # both are rounded in float64
    turned = fit_pairs(FeatureSet(new @ stats.ortho_group.rvs(8, random_state=1)), FeatureSet(old), "gallery")
    assert turned.kind != "cut"


LINEAR = ("identity", "translation", "orthogonal", "lambda-orthogonal", "ridge")


def noisy(features: np.ndarray, share: float) -> np.ndarray:
    return features + share / np.sqrt(features.shape[1]) * RNG.standard_normal(features.shape)


def test_without_labels_the_most_rigid_of_the_nearest_maps_is_taken():
    old = rows(600, 8)
    turn = stats.ortho_group.rvs(8, random_state=1)
    squeezed = unit(old @ turn * np.array([3.0, 2.5, 2.0, 1.0, 1.0, 0.5, 0.4, 0.3]))
    for new, kind in (
        (old, "identity"),
        (noisy(old, 0.1), "identity"),
        (unit(old + 0.8 * np.eye(8)[0]), "ridge"),
        (old @ turn, "orthogonal"),
        (noisy(old @ turn, 0.1), "orthogonal"),
        (squeezed, "ridge"),
    ):
        found = fit_pairs(FeatureSet(new), FeatureSet(old), maps=LINEAR)
        assert found.kind == kind, found.losses
        assert (found.num_fit, found.num_choice, found.verdict) == (400, 200, "inconclusive")
        assert [loss.kind for loss in found.losses] == list(LINEAR)


def test_the_loss_is_that_of_rows_that_were_not_fitted():
    """200 rows of noise in 150 dimensions: a regression fits them, and no map brings other rows nearer than 2."""
    found = fit_pairs(FeatureSet(rows(300, 150)), FeatureSet(rows(300, 150)), maps=("orthogonal", "ridge"))
    # each of 100 distances has a standard deviation of 2/√150
    assert all(abs(loss.loss - 2.0) < 5.0 * 2.0 / np.sqrt(150 * 100) for loss in found.losses)


def test_pairs_are_joined_by_their_ids_and_dimensions_may_differ():
    old = rows(200, 12)
    new = np.pad(old, ((0, 0), (0, 4))) @ stats.ortho_group.rvs(16, random_state=1)
    order = RNG.permutation(200)
    found = fit_pairs(FeatureSet(new[order], ids=order), FeatureSet(old, ids=np.arange(200)), maps=LINEAR)
    assert (found.kind, found.map.dims) == ("orthogonal", (16, 12))
    # float64: exact to rounding
    np.testing.assert_allclose(found.map(new), old, atol=1e-12)
    back = fit_pairs(FeatureSet(new), FeatureSet(old), "gallery", maps=("orthogonal",))
    np.testing.assert_allclose(back.map(old), new, atol=1e-12)


def test_few_pairs_are_refused():
    with pytest.raises(ValueError, match="at least 6 rows, got 5"):
        fit_pairs(FeatureSet(rows(5, 4)), FeatureSet(rows(5, 4)))
    with pytest.raises(ValueError, match="direction must be one of queries, gallery"):
        fit_pairs(FeatureSet(rows(9, 4)), FeatureSet(rows(9, 4)), "sideways")

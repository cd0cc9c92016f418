"""The searches by name, galleries of other samples, ties, and 1:1 verification against a naive ten-fold loop."""

from __future__ import annotations

import numpy as np
import pytest

from tests.verification.samples import upgrade
from verification.experiments.evaluate import evaluate
from verification.features import FeatureSet
from verification.search.matrices import judge_scores
from verification.search.one_to_one import best_threshold, draw_pairs, verification_hits
from verification.search.scores import (
    SCORES,
    average_compatibility,
    average_precision,
    compatibility_matrix,
    nearest_neighbor_hits,
    outcomes,
    template_hits,
)


@pytest.fixture
def models() -> list[FeatureSet]:
    new, old = upgrade(1.2, 1.4, num_samples=150, seed=1)
    return [old, new]


@pytest.mark.parametrize(
    ("name", "function"),
    [("nearest", nearest_neighbor_hits), ("template", template_hits), ("map", average_precision)],
)
def test_a_name_is_its_function(models, name, function):
    assert np.array_equal(
        compatibility_matrix(models, models, name), compatibility_matrix(models, models, function), equal_nan=True
    )
    assert np.array_equal(outcomes(models, models, name), outcomes(models, models, function), equal_nan=True)


def test_the_default_search_is_the_nearest_neighbour_and_unknown_ones_are_refused(models):
    assert np.array_equal(
        compatibility_matrix(models, models), compatibility_matrix(models, models, "nearest"), equal_nan=True
    )
    with pytest.raises(ValueError, match="score must be one of nearest, template, map, verification"):
        compatibility_matrix(models, models, "closest")
    with pytest.raises(ValueError, match="score must be one of nearest"):
        outcomes(models, models, "closest")


def test_galleries_of_other_samples_are_searched_by_templates_as_in_the_paper(models):
    """Naively: the mean of the unit rows of each class, and the nearest of these by cosine."""
    rows = np.arange(len(models[0])) % 3 == 0
    queries = [FeatureSet(model.features[rows], model.labels[rows]) for model in models]
    galleries = [FeatureSet(model.features[~rows], model.labels[~rows]) for model in models]
    found = compatibility_matrix(queries, galleries, "template")
    for t in range(2):
        for k in range(t + 1):
            classes = np.unique(galleries[k].labels)
            means = [galleries[k].unit[galleries[k].labels == c].mean(axis=0) for c in classes]
            hits = 0
            for unit, label in zip(queries[t].unit, queries[t].labels, strict=True):
                hits += classes[np.argmax([unit @ m / np.linalg.norm(m) for m in means])] == label
            assert found[t, k] == pytest.approx(hits / len(queries[t]), abs=1e-12)


def test_equal_entries_count_as_the_labs_count_them():
    matrix = [[0.5, np.nan, np.nan], [0.5, 0.6, np.nan], [0.4, 0.7, 0.8]]
    assert average_compatibility(matrix) == 1 / 3
    assert average_compatibility(matrix, ties="compatible") == 2 / 3
    with pytest.raises(ValueError, match="ties must be 'incompatible' or 'compatible', got 'half'"):
        average_compatibility(matrix, ties="half")


def test_verification_accuracy_is_the_naive_ten_fold_loop(models):
    queries, gallery = models[1], models[0]
    pairs, folds = 200, 10
    left, right, same = draw_pairs(queries.labels, gallery.labels, pairs, folds, 0, True)
    cosines = [float(queries.unit[i] @ gallery.unit[j]) for i, j in zip(left, right, strict=True)]
    accuracies = []
    for fold in range(folds):
        train = [p for p in range(pairs) if p % folds != fold]
        best, threshold = -1, 0.0
        for candidate in [2.0, *(cosines[p] for p in train)]:
            right_now = sum((cosines[p] >= candidate) == same[p] for p in train)
            if right_now > best or (right_now == best and candidate > threshold):
                best, threshold = right_now, candidate
        # halfway to the next lower cosine decides the same pairs of the folds it was chosen on
        below = max((cosines[p] for p in train if cosines[p] < threshold), default=-2.0)
        threshold = (threshold + below) / 2 if threshold < 2.0 else threshold
        held = [p for p in range(pairs) if p % folds == fold]
        accuracies.append(np.mean([(cosines[p] >= threshold) == same[p] for p in held]))
    hits = verification_hits(queries, gallery, same_samples=True, pairs=pairs, folds=folds)
    assert hits.mean() == pytest.approx(np.mean(accuracies), abs=1e-12)


def test_pairs_are_half_of_one_class_in_every_fold_and_never_a_sample_with_itself(models):
    labels = models[0].labels
    left, right, same = draw_pairs(labels, labels, 400, 10, 3, True)
    assert np.array_equal(labels[left] == labels[right], same)
    assert not np.any(left == right)
    assert all(same[fold::10].mean() == 0.5 for fold in range(10))
    assert len(set(zip(left, right, strict=True))) > 300
    assert not np.array_equal(left, draw_pairs(labels, labels, 400, 10, 4, True)[0])


@pytest.mark.parametrize("same_samples", [False, True])
def test_pairs_are_drawn_as_stated(same_samples):
    """The smallest lists that are allowed, labels that the gallery lacks, and a class of one sample."""
    queries, gallery = np.array([0, 0, 1, 2, 7]), np.array([0, 0, 1, 2, 2])
    left, right, same = draw_pairs(queries, gallery, 200, 2, 0, same_samples)
    assert same.tolist() == 50 * [True, True, False, False]
    np.testing.assert_array_equal(queries[left] == gallery[right], same)
    assert 4 not in left[same]
    assert 4 in left[~same]
    assert set(zip(left[same].tolist(), right[same].tolist(), strict=True)) == (
        {(0, 1), (1, 0), (3, 4)} if same_samples else {(0, 0), (0, 1), (1, 0), (1, 1), (2, 2), (3, 3), (3, 4)}
    )
    if same_samples:
        assert not np.any(left == right)
    assert len(draw_pairs(queries, gallery, 4, 2, 0, same_samples)[0]) == 4
    for pairs, folds in ((2, 1), (2, 2), (6, 2), (0, 2)):
        with pytest.raises(ValueError, match=f"folds >= 2, got {pairs} and {folds}"):
            draw_pairs(queries, gallery, pairs, folds, 0, same_samples)


def test_a_pair_at_the_threshold_is_of_one_class():
    """Cosines 1 and 0 only: the threshold is ½ between them, and of equals the highest threshold wins."""
    assert best_threshold(np.array([1.0, 1.0, 0.0]), np.array([True, True, False])) == 0.5
    assert best_threshold(np.array([0.8, 0.6, 0.4, 0.2]), np.array([True, False, True, False])) == pytest.approx(0.7)
    assert best_threshold(np.array([0.5, 0.5]), np.array([True, False])) == np.inf


def test_a_threshold_is_the_most_accurate_one():
    assert best_threshold(np.array([0.9, 0.7, 0.5, 0.1]), np.array([True, True, False, False])) == pytest.approx(0.6)
    assert best_threshold(np.array([0.9, 0.7]), np.array([False, False])) == np.inf
    assert best_threshold(np.array([0.9, 0.7]), np.array([True, True])) == -np.inf
    # pairs with equal cosines are not told apart
    assert best_threshold(np.array([0.9, 0.5, 0.5]), np.array([True, True, False])) == pytest.approx(0.7)


def test_verification_of_separated_classes_is_perfect_and_of_noise_a_coin():
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 4
    axes = FeatureSet(np.eye(4)[labels], labels)
    noise = FeatureSet(rng.standard_normal((400, 8)), labels)
    assert verification_hits(axes, axes, same_samples=True).all()
    # a fair coin, 4.5 standard errors of a mean of 6000
    assert abs(verification_hits(noise, noise, same_samples=True).mean() - 0.5) < 4.5 * 0.5 / np.sqrt(6000)


def test_what_has_no_pairs_is_refused():
    rows = np.eye(3)
    with pytest.raises(ValueError, match="must have pairs of one class"):
        verification_hits(FeatureSet(rows, [0, 1, 2]), FeatureSet(rows, [0, 1, 2]), same_samples=True)
    with pytest.raises(ValueError, match="must have pairs of two classes"):
        verification_hits(FeatureSet(rows, [0, 0, 0]), FeatureSet(rows, [0, 0, 0]))
    with pytest.raises(ValueError, match="pairs must be a multiple of 2 · folds with folds >= 2, got 25 and 10"):
        verification_hits(FeatureSet(rows, [0, 0, 1]), FeatureSet(rows, [0, 0, 1]), pairs=25)


@pytest.mark.parametrize("score", SCORES)
def test_every_search_can_be_evaluated(models, score):
    found = evaluate(models, score=score)
    assert found.score == score == found.to_dict()["score"]
    # outcomes are kept in float32, which is exact for hits
    np.testing.assert_allclose(found.matrix.matrix, compatibility_matrix(models, models, score), rtol=1e-6)
    assert found.matrix.num_queries == (6000 if score == "verification" else len(models[0]))


def test_scores_are_judged_by_a_paired_test():
    rng = np.random.default_rng(0)
    base = rng.random(400)
    better = np.full((2, 2, 400), np.nan)
    better[0, 0], better[1, 0], better[1, 1] = base, base + 0.01 + 0.01 * rng.standard_normal(400), base
    entry = judge_scores(better).entries[0]
    assert entry.verdict == "compatible"
    difference = better[1, 0] - better[0, 0]
    assert entry.standard_errors == pytest.approx(difference.mean() / difference.std(ddof=1) * 20, rel=1e-9)
    worse = better.copy()
    worse[1, 0] = base - 0.01 + 0.01 * rng.standard_normal(400)
    assert judge_scores(worse).entries[0].verdict == "incompatible"
    noise = better.copy()
    noise[1, 0] = rng.permutation(base)
    assert judge_scores(noise).entries[0].verdict == "undecided"
    with pytest.raises(ValueError, match=r"scores must have shape \(T, T, N\) with T >= 1, N >= 2, got \(2, 2, 1\)"):
        judge_scores(base[:4].reshape(2, 2, 1))

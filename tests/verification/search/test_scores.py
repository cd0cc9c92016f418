"""Scores of a search against hand-made cases, naive loops and scikit-learn."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from tests.verification.samples import upgrade
from verification.features import FeatureSet
from verification.search import scores
from verification.search.matrices import flip_rates, judge_matrix, judge_outcomes
from verification.search.scores import (
    average_accuracies,
    average_accuracy,
    average_compatibility,
    average_precision,
    compatibility_matrix,
    nearest_neighbor_accuracy,
    nearest_neighbor_hits,
    outcomes,
    template_hits,
)

EAST, NORTH, NORTH_EAST = [1.0, 0.0], [0.0, 1.0], [1.0, 0.9]


def test_nearest_neighbor_accuracy():
    gallery = FeatureSet(np.array([EAST, NORTH]), ["e", "n"])
    queries = FeatureSet(np.array([NORTH_EAST, [3.0, 9.0], [-1.0, 0.1], EAST]), ["e", "n", "n", "n"])
    assert nearest_neighbor_accuracy(queries, gallery) == 0.75


def test_no_sample_finds_itself():
    one = FeatureSet(np.array([EAST, NORTH, NORTH_EAST]), [0, 1, 2])
    assert nearest_neighbor_accuracy(one, one) == 1.0
    assert nearest_neighbor_accuracy(one, one, same_samples=True) == 0.0


def test_ties_go_to_the_first_row():
    gallery = FeatureSet(np.array([EAST, EAST]), ["first", "second"])
    query = FeatureSet(np.array([EAST]), ["first"])
    assert nearest_neighbor_accuracy(query, gallery) == 1.0


def test_compatibility_matrix_is_lower_triangular():
    new, old = upgrade(0.3, 0.9)
    sets = [old, new]
    matrix = compatibility_matrix(sets, sets)
    assert np.isnan(matrix[0, 1])
    assert matrix[1, 0] == nearest_neighbor_accuracy(new, old, same_samples=True)
    assert matrix[1, 1] == 1.0


def test_bad_input_is_refused():
    new, old = upgrade(0.3, 0.9, num_samples=20)
    with pytest.raises(ValueError, match="one length >= 1, got 1 and 2"):
        compatibility_matrix([new], [new, old])
    with pytest.raises(ValueError, match="one dimension, got 8 and 3"):
        nearest_neighbor_accuracy(new, FeatureSet(old.features[:, :3], old.labels))
    with pytest.raises(ValueError, match="the same samples, got 20 and 10 rows"):
        nearest_neighbor_accuracy(new, FeatureSet(old.features[:10], old.labels[:10]), same_samples=True)
    with pytest.raises(ValueError, match=r"shape \(T, T\) with T >= 1, got \(2, 3\)"):
        average_accuracy(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="finite on and below the diagonal"):
        average_compatibility([[np.nan, 0.0], [0.1, 0.2]])


def test_recall_grows_with_k():
    gallery = FeatureSet(np.array([EAST, NORTH_EAST, NORTH]), [0, 1, 2])
    query = FeatureSet(np.array([EAST, EAST, EAST]), [0, 1, 2])
    for k, expected in ((1, [1, 0, 0]), (2, [1, 1, 0]), (3, [1, 1, 1])):
        np.testing.assert_array_equal(nearest_neighbor_hits(query, gallery, k=k), expected)


def released_template_search(queries, gallery):
    """The steps of the released code, in words of our own: average by class, normalise, largest inner product."""
    templates = np.array([gallery.unit[gallery.labels == c].mean(axis=0) for c in gallery.classes])
    templates /= np.linalg.norm(templates, axis=1, keepdims=True)
    return gallery.classes[np.argmax(queries.unit @ templates.T, axis=1)] == queries.labels


def test_templates_are_those_of_the_released_code():
    new, old = upgrade(1.2, 1.4, num_samples=300, num_classes=6)
    expected = released_template_search(new, old)
    assert 0.2 < expected.mean() < 1.0  # there is something to get wrong
    np.testing.assert_array_equal(template_hits(new, old), expected)


def test_a_sample_does_not_help_its_own_template():
    features, _ = upgrade(1.3, 1.3, num_samples=60)
    hits = template_hits(features, features, same_samples=True)
    for i in range(60):
        others = np.arange(60) != i
        rest = FeatureSet(features.features[others], features.labels[others])
        one = FeatureSet(features.features[[i]], features.labels[[i]])
        assert hits[i] == released_template_search(one, rest)[0]
    assert hits.mean() < template_hits(features, features).mean()
    alone = FeatureSet(np.array([EAST, NORTH, [0.1, 1.0]]), ["alone", "n", "n"])
    np.testing.assert_array_equal(template_hits(alone, alone, same_samples=True), [False, True, True])


@pytest.mark.parametrize("same_samples", [False, True])
def test_average_precision_is_that_of_scikit_learn(same_samples):
    new, old = upgrade(1.2, 1.4, num_samples=120)
    precision = average_precision(new, old, same_samples=same_samples)
    for i, (unit, label) in enumerate(zip(new.unit, new.labels, strict=True)):
        others = np.arange(120) != i if same_samples else np.full(120, True)
        expected = average_precision_score((old.labels == label)[others], (old.unit @ unit)[others])
        assert precision[i] == pytest.approx(expected, abs=1e-12)  # 120 terms of float64 rounding


@pytest.mark.parametrize("pairs", [1, 24, 25, 100])
def test_average_precision_does_not_depend_on_how_many_pairs_are_ranked_at_a_time(pairs, monkeypatch):
    new, old = upgrade(1.2, 1.4, num_samples=120)
    whole = average_precision(new, old, same_samples=True)
    some = FeatureSet(new.features[7:90], new.labels[7:90])
    expected = average_precision(some, old, own=np.arange(7, 90))
    np.testing.assert_array_equal(expected, whole[7:90])
    monkeypatch.setattr(scores, "_PAIRS", pairs)
    np.testing.assert_array_equal(average_precision(new, old, same_samples=True), whole)


def test_labels_that_the_gallery_lacks_and_rows_without_a_label_are_misses():
    gallery = FeatureSet(np.array([EAST, NORTH, NORTH_EAST]), np.array(["e", None, "n"], object))
    queries = FeatureSet(np.array([EAST, NORTH, EAST, NORTH]), np.array(["e", "z", None, "n"], object))
    np.testing.assert_array_equal(nearest_neighbor_hits(queries, gallery), [True, False, False, False])
    np.testing.assert_array_equal(nearest_neighbor_hits(queries, gallery, k=2), [True, False, False, True])
    np.testing.assert_allclose(average_precision(queries, gallery), [1.0, 0.0, 0.0, 0.5])


def test_ties_of_templates_go_to_the_first_class_with_and_without_the_own_sample():
    rows = np.array([EAST, EAST, NORTH, NORTH])
    two = FeatureSet(rows, ["b", "a", "c", "c"])
    np.testing.assert_array_equal(template_hits(two, two), [False, True, True, True])
    # without itself the row of "a" meets "b", and that of "b" meets "a"
    np.testing.assert_array_equal(template_hits(two, two, same_samples=True), [False, False, True, True])
    # of three at one place the own class counts without the sample: a tie with an earlier class is lost, else won
    three = FeatureSet(np.array([EAST, EAST, EAST, NORTH]), ["b", "b", "a", "c"])
    np.testing.assert_array_equal(template_hits(three, three, same_samples=True)[:2], [False, False])
    other = FeatureSet(np.array([EAST, EAST, EAST, NORTH]), ["a", "a", "b", "c"])
    np.testing.assert_array_equal(template_hits(other, other, same_samples=True)[:2], [True, True])


def test_summaries_count_the_lower_triangle():
    matrix = [[0.5, 0.9], [0.5, 0.25]]
    assert average_compatibility(matrix) == 0.0
    assert average_compatibility(matrix, ties="compatible") == 1.0
    np.testing.assert_array_equal(average_accuracies(matrix), [0.5, 1.25 / 3])
    for wrong in (np.zeros((0, 0)), np.zeros(3), [[0.5, np.inf], [np.inf, 0.5]]):
        with pytest.raises(ValueError, match="matrix must"):
            average_accuracy(wrong)


def test_average_precision_ranks_equals_by_row():
    gallery = FeatureSet(np.array([NORTH, EAST, EAST]), [9, 0, 1])
    query = FeatureSet(np.array([EAST, EAST, EAST, EAST]), [0, 1, 9, 5])
    np.testing.assert_allclose(average_precision(query, gallery), [1.0, 1 / 2, 1 / 3, 0.0])


def test_matrices_of_other_scores():
    new, old = upgrade(1.2, 1.4, num_samples=100)
    sets = [old, new]
    recall = compatibility_matrix(sets, sets, functools.partial(nearest_neighbor_hits, k=5))
    assert np.all(np.tril(recall - compatibility_matrix(sets, sets)) >= 0.0)
    assert recall[1, 0] > compatibility_matrix(sets, sets)[1, 0]
    precision = compatibility_matrix(sets, sets, average_precision)
    assert precision[1, 0] == np.mean(average_precision(new, old, same_samples=True))
    np.testing.assert_array_equal(
        np.mean(outcomes(sets, sets), axis=2, dtype=np.float64), compatibility_matrix(sets, sets)
    )


@pytest.mark.usefixtures("unchecked")
def test_unusable_scores_and_matrices_are_refused():
    new, old = upgrade(0.3, 0.9, num_samples=20)
    words = FeatureSet(old.features, [f"class {label}" for label in old.labels])
    with pytest.raises(ValueError, match="labels of one kind"):
        nearest_neighbor_hits(new, words)
    with pytest.raises(ValueError, match="k must be from 1 to 19, the gallery's items that a query may find, got 20"):
        nearest_neighbor_hits(new, old, k=20, same_samples=True)
    with pytest.raises(ValueError, match="features of class 0 cancel"):
        template_hits(FeatureSet(np.array([EAST]), [0]), FeatureSet(np.array([EAST, [-1.0, 0.0]]), [0, 0]))
    # also up to rounding: three directions at 120 degrees do not add up to exact zeros
    angles = 0.3 + 2.0 * np.pi / 3.0 * np.arange(3)
    star = FeatureSet(np.stack([np.cos(angles), np.sin(angles)], axis=1), [0, 0, 0])
    assert np.any(star.unit.sum(axis=0))
    with pytest.raises(ValueError, match="features of class 0 cancel"):
        template_hits(FeatureSet(np.array([EAST]), [0]), star)
    with pytest.raises(ValueError, match="those of model 1 have other labels"):
        outcomes([old, FeatureSet(new.features, new.labels[::-1])], [old, new])
    with pytest.raises(ValueError, match="one length >= 1, got 0 and 0"):
        outcomes([], [])
    with pytest.raises(ValueError, match=r"fractions in \[0, 1\], got 68.9"):
        judge_matrix([[68.9]], 100)
    with pytest.raises(ValueError, match="num_queries must be >= 1, got 0"):
        judge_matrix([[0.5]], 0)
    with pytest.raises(ValueError, match=r"confidence must be in \(0, 1\), got 95"):
        judge_matrix([[0.5]], 10, 95)
    with pytest.raises(ValueError, match=r"shape \(T, T, N\) with T, N >= 1, got \(2, 2\)"):
        judge_outcomes(np.ones((2, 2)))
    with pytest.raises(ValueError, match=r"outcomes\[1, 0\] must hold 0 and 1 only"):
        judge_outcomes(np.array([[[1.0], [0.0]], [[0.5], [1.0]]]))
    with pytest.raises(ValueError, match=r"one shape \(N,\) with N >= 1, got \(2,\), \(3,\)"):
        flip_rates(np.ones(2), np.ones(3))

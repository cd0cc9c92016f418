"""Retrieval metrics against hand-made cases."""

from __future__ import annotations

import numpy as np
import pytest

from tests.verification.samples import upgrade
from verification.features import FeatureSet
from verification.retrieval import (
    average_accuracy,
    average_compatibility,
    compatibility_matrix,
    nearest_neighbor_accuracy,
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


def test_average_compatibility_is_strict_and_ignores_the_upper_triangle():
    matrix = np.array([[0.5, np.nan, np.nan], [0.6, 0.7, np.nan], [0.5, 0.71, 0.9]])
    assert average_compatibility(matrix) == pytest.approx(2 / 3)  # a tie, 0.5 against 0.5, is not compatible
    assert average_accuracy(matrix) == pytest.approx(np.mean([0.5, 0.6, 0.7, 0.5, 0.71, 0.9]))


def test_one_model_has_no_compatibility():
    assert np.isnan(average_compatibility([[0.4]]))
    assert average_accuracy([[0.4]]) == 0.4


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

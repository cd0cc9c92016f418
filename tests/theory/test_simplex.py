"""The regular simplex: its Gram matrix, at every size, and what does not fit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory.simplex import simplex_vertices


def gram_error(vertices: np.ndarray) -> float:
    count = len(vertices)
    expected = np.full((count, count), -1.0 / (count - 1))
    np.fill_diagonal(expected, 1.0)
    return float(np.max(np.abs(vertices @ vertices.T - expected)))


@pytest.mark.parametrize("num_classes", [2, 3, 4, 10, 100, 1024, pytest.param(4096, marks=pytest.mark.simulations)])
def test_gram_matrix(num_classes):
    vertices = simplex_vertices(num_classes)
    assert vertices.shape == (num_classes, num_classes - 1)
    # each entry is right to an ulp, and a sum of K squares of total 1 rounds by at most K ε = 9e-13 at K = 4096
    assert gram_error(vertices) < 1e-12


@given(num_classes=st.integers(2, 60), more=st.integers(0, 60))
def test_embedding_in_more_dimensions_changes_nothing(num_classes, more):
    dim = num_classes - 1 + more
    vertices = simplex_vertices(num_classes, dim)
    np.testing.assert_array_equal(vertices[:, : num_classes - 1], simplex_vertices(num_classes))
    assert not vertices[:, num_classes - 1 :].any()


@given(num_classes=st.integers(2, 200))
def test_vertices_sum_to_zero(num_classes):
    # K rounding errors of order one each
    np.testing.assert_allclose(simplex_vertices(num_classes).sum(axis=0), 0.0, atol=num_classes * 1e-15)


def test_gram_error_sees_a_wrong_simplex():
    wrong = simplex_vertices(10)
    wrong[3] = -wrong[3]
    assert gram_error(wrong) > 0.1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1,), "num_classes must be an integer >= 2, got 1"),
        ((2.5,), "num_classes must be an integer >= 2, got 2.5"),
        ((True,), "num_classes must be an integer >= 2, got True"),
        ((10, 8), "dim must be >= num_classes - 1 = 9 for a simplex of 10 vertices, got 8"),
        ((2, 0), "dim must be an integer >= 1, got 0"),
        ((2, 1.5), "dim must be an integer >= 1, got 1.5"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        simplex_vertices(*arguments)

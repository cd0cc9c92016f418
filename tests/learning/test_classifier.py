"""Fixed classifiers: the vertices of three regular polytopes, and none of them learns."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from learning import CubeClassifier, OrthoplexClassifier, SimplexClassifier
from learning.classifier import cube_vertices, orthoplex_vertices

# products of at most 64 terms of order one in float64
ROUNDING = 1e-14


@pytest.mark.parametrize("num_classes", [2, 3, 10, 16, 17])
def test_orthoplex_angles_are_right_angles_or_opposite(num_classes):
    vertices = orthoplex_vertices(num_classes)
    assert vertices.shape == (num_classes, (num_classes + 1) // 2)
    gram = vertices @ vertices.T
    np.testing.assert_array_equal(np.diag(gram), 1.0)
    partner = np.arange(num_classes) ^ 1
    for a in range(num_classes):
        for b in range(num_classes):
            assert gram[a, b] == (1.0 if a == b else -1.0 if b == partner[a] else 0.0)


@pytest.mark.parametrize(("num_classes", "dim"), [(2, 1), (4, 2), (5, 3), (8, 3), (1000, 10)])
def test_cube_angles_count_the_signs_that_differ(num_classes, dim):
    vertices = cube_vertices(num_classes)
    assert vertices.shape == (num_classes, dim)
    signs = np.sign(vertices)
    differing = (signs[:20, None] != signs[None, :20]).sum(axis=2)
    np.testing.assert_allclose(vertices[:20] @ vertices[:20].T, 1.0 - 2.0 * differing / dim, atol=ROUNDING)
    assert len(np.unique(signs, axis=0)) == num_classes


@pytest.mark.parametrize("classifier", [SimplexClassifier, OrthoplexClassifier, CubeClassifier])
def test_all_share_the_interface_and_learn_nothing(classifier):
    head = classifier(6, 8)
    assert (head.num_classes, head.dim) == (6, 8)
    assert not list(head.parameters())
    assert not head.state_dict()
    assert repr(head) == f"{classifier.__name__}(num_classes=6, dim=8)"
    features = torch.randn(3, 8, generator=torch.Generator().manual_seed(0), requires_grad=True)
    logits = head(features)
    assert logits.shape == (3, 6)
    logits.sum().backward()
    assert not head.weight.requires_grad
    # float32 rows
    torch.testing.assert_close(head.weight.norm(dim=1), torch.ones(6), atol=1e-6, rtol=0)


def test_classes_that_come_later_have_their_vertices_already():
    """More preallocated classes in the same dimension leave the vertices of a smaller orthoplex and cube in place."""
    np.testing.assert_array_equal(orthoplex_vertices(10, 8)[:6], orthoplex_vertices(6, 8))
    np.testing.assert_array_equal(cube_vertices(8)[:6], cube_vertices(6))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SimplexClassifier(10, 8), "dim must be >= num_classes - 1 = 9"),
        (lambda: OrthoplexClassifier(10, 4), "dim must be an integer >= 5 for orthoplex vertices of 10 classes, got 4"),
        (lambda: CubeClassifier(10, 3), "dim must be an integer >= 4 for cube vertices of 10 classes, got 3"),
        (lambda: OrthoplexClassifier(1), "num_classes must be an integer >= 2, got 1"),
        (lambda: CubeClassifier(2.5), "num_classes must be an integer >= 2, got 2.5"),
        (lambda: CubeClassifier(4, 2.5), "dim must be an integer >= 2"),
    ],
)
def test_more_classes_than_vertices_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()

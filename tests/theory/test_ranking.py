"""Recall, wrong items above the best right one and AUC: published numbers, closed forms and simulation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from theory.acceptance import expected_acceptance
from theory.caps import UniformCap
from theory.ranking import _given, _share_within, expected_auc, expected_ranking

HALF = math.pi / 2


def test_recall_falls_although_theorem_d_holds():
    arcs = [UniformCap(2, HALF)] * 2
    found = [expected_ranking(UniformCap(2, a), arcs, np.eye(2), [50, 50]).recall for a in (HALF, 0.05)]
    # published digits; the grid of 1200 angles is right to 1e-4
    assert found == pytest.approx([0.746789, 0.693243], abs=1e-4)


def test_wrong_items_rise_where_only_the_querys_class_obeys_the_condition():
    axes = np.array([[1.0, 0.0], [math.cos(0.5), math.sin(0.5)]])
    laws = [UniformCap(2, 0.1), UniformCap(2, 0.52)]
    found = [expected_ranking(UniformCap(2, a), laws, axes, [5, 1]).wrong_above for a in (0.1, 0.01)]
    assert found == pytest.approx([0.021780, 0.027519], abs=1e-6)


def test_arcs_that_cover_each_other_share_the_nearest_item():
    """Three arcs of radius 2.3: a query that k of them cover finds its own with probability 1/k, but for their ends."""
    axes = np.array([[math.cos(x), math.sin(x)] for x in (0, 2 * math.pi / 3, 4 * math.pi / 3)])
    wide = [UniformCap(2, 2.3)] * 3
    found = [expected_ranking(UniformCap(2, a), wide, axes, [200] * 3).recall for a in (2.3, 0.05)]
    both = 2.3 - 2 * math.pi / 3  # about the axis, and again at the far end, all three overlap
    far = 2.3 - (2 * math.pi - 2.3 - 2 * math.pi / 3)
    expected = (both / 3 + far / 3 + (2.3 - both - far) / 2) / 2.3
    assert found == pytest.approx([expected, 1 / 3], abs=3e-3)  # near the ends of arcs, for 1/200 of them


@pytest.mark.parametrize("dim", [2, 3, 5])
def test_against_simulated_searches(dim):
    """Full vectors: 1500 searches of 30 items."""
    rng = np.random.default_rng(dim)
    axes = np.eye(dim)[:2]
    query, laws, sizes = UniformCap(dim, 0.5), [UniformCap(dim, 1.0), UniformCap(dim, 1.2)], [10, 20]
    u = query.sample(1500, axis=axes[0], rng=rng)
    right = np.array([(row @ laws[0].sample(10, axis=axes[0], rng=rng).T).max() for row in u])
    wrong = np.array([row @ laws[1].sample(20, axis=axes[1], rng=rng).T for row in u])
    found = expected_ranking(query, laws, axes, sizes, num_queries=200, rng=rng)
    above = (wrong > right[:, None]).sum(axis=1)
    for exact, error, values in (
        (found.recall, found.recall_error, above == 0),
        (found.wrong_above, found.wrong_above_error, above),
    ):
        # 4.5 standard errors of both simulations
        assert abs(np.mean(values) - exact) < 4.5 * math.hypot(error, np.std(values) / math.sqrt(len(u))) + 1e-3


@pytest.mark.parametrize("dim", [2, 3, 5, 9])
@pytest.mark.parametrize("radius", [0.4, 1.3, 2.6])
@pytest.mark.parametrize("angle", [0.2, 1.1, 2.9])
def test_the_share_of_a_cap_within_reach_is_that_of_a_point_that_accepts_it(dim, radius, angle):
    """The acceptance of a query whose cap is all but a point, by another quadrature; also beyond the far pole."""
    reach = np.linspace(0.05, 3.1, 9)
    point = UniformCap(dim, 1e-7)
    expected = expected_acceptance(point, UniformCap(dim, radius), np.cos(reach), math.cos(angle))
    np.testing.assert_allclose(_share_within(dim, radius, angle, reach), expected, atol=1e-12)


def test_on_the_circle_only_angles_between_axes_count():
    laws, angles = [UniformCap(2, 0.7), UniformCap(2, 0.9)], np.array([0.0, 1.0])
    found, turned = (
        expected_ranking(UniformCap(2, 0.5), laws, np.column_stack([np.cos(x), np.sin(x)]), [3, 4])
        for x in (angles, angles + 2.0)
    )
    assert 0.05 < found.recall < 0.95
    assert turned.recall == pytest.approx(found.recall, rel=1e-9)
    assert turned.wrong_above == pytest.approx(found.wrong_above, rel=1e-9)
    assert (found.recall_error, found.wrong_above_error) == (0.0, 0.0)


@pytest.mark.parametrize("dim", [2, 3, 9])
def test_a_class_out_of_reach_takes_no_search(dim):
    """Every right item is nearer than every wrong one, so the best one's law is summed over whole."""
    laws, axes = [UniformCap(dim, 0.3), UniformCap(dim, 0.4)], np.eye(dim)[:2]
    for sizes in ([1, 1], [5, 40]):
        found = expected_ranking(UniformCap(dim, 0.2), laws, axes, sizes, num_queries=20, rng=0)
        assert (found.recall, found.wrong_above) == pytest.approx((1.0, 0.0), abs=1e-12)


def test_of_two_queries_the_error_is_half_of_their_difference():
    query, laws, axes = UniformCap(4, 0.5), [UniformCap(4, 0.8), UniformCap(4, 1.0)], np.eye(4)[1:3]
    found = expected_ranking(query, laws, axes, [5, 6], num_queries=2, rng=8)
    points = query.sample(2, axis=axes[0], rng=8)
    first, second = (np.array(_given(4, np.arccos(axes @ u), laws, [5, 6])) for u in points)
    assert (found.recall, found.wrong_above) == pytest.approx(tuple(0.5 * (first + second)), rel=1e-12)
    errors = found.recall_error, found.wrong_above_error
    assert errors == pytest.approx(tuple(0.5 * np.abs(first - second)), rel=1e-9)
    with pytest.raises(ValueError, match="num_queries must be an integer >= 2, got 1"):
        expected_ranking(query, laws, axes, [5, 6], num_queries=1)


@pytest.mark.parametrize("radii", [(0.3, 0.5), (1.0, 2.5)])
def test_auc_of_two_classes_that_are_one_is_a_half(radii):
    """Right and wrong pairs have one law; also where two radii together exceed π."""
    assert expected_auc(UniformCap(4, radii[0]), UniformCap(4, radii[1]), 1.0) == pytest.approx(0.5, abs=1e-12)
    # a wrong class that is wider is told apart
    assert expected_auc(UniformCap(4, 0.3), UniformCap(4, 0.5), 1.0, UniformCap(4, 1.5)) > 0.9


def test_auc_is_the_share_of_pairs_in_the_right_order():
    new, old = UniformCap(4, 0.9), UniformCap(4, 1.2)
    rng = np.random.default_rng(0)
    axis = np.array([0.2, math.sqrt(1 - 0.04), 0.0, 0.0])
    same = np.einsum("ij,ij->i", new.sample(40_000, rng=rng), old.sample(40_000, rng=rng))
    other = np.einsum("ij,ij->i", new.sample(40_000, rng=rng), old.sample(40_000, axis=axis, rng=rng))
    share = np.mean(same > other)
    assert expected_auc(new, old, 0.2) == pytest.approx(share, abs=4.5 * math.sqrt(0.25 / 40_000))
    assert 0.6 < share < 0.99  # neither sure nor chance
    # the theorem's consequence: the narrower new law orders no worse
    assert expected_auc(UniformCap(9, 0.3), UniformCap(9, 0.6), -0.1) >= expected_auc(
        UniformCap(9, 0.6), UniformCap(9, 0.6), -0.1
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"axes": [[1.0, 1.0], [0.0, 1.0]]}, "axes must be unit vectors"),
        ({"sizes": [5]}, "one entry per axis"),
        ({"sizes": [5, 0]}, "sizes must be an integer >= 1, got 0"),
    ],
)
def test_invalid_arguments_are_named(change, message):
    arguments = {"axes": np.eye(2), "sizes": [5, 5]} | change
    with pytest.raises(ValueError, match=message):
        expected_ranking(UniformCap(2, 0.3), [UniformCap(2, 0.3)] * 2, **arguments)


def counted(theta, directions, axis, items, right):
    """For queries at polar angle ``theta``: wrong items above the j-th best right one, and average precision."""
    u = math.cos(theta) * axis + math.sin(theta) * directions
    order = np.argsort(-(u @ items.T), axis=1)
    hits = right[order]
    above = [(np.cumsum(~hits, axis=1)[hits]).reshape(len(u), -1)]
    ranks = np.arange(1, len(items) + 1)
    precision = (np.cumsum(hits, axis=1) / ranks * hits).sum(axis=1) / right.sum()
    return above[0], precision


@pytest.mark.parametrize(("dim", "reach", "falls"), [(2, 1.0, False), (5, 1.0, False), (9, 1.0, False), (5, 1.9, True)])
def test_of_separated_classes_no_query_ranks_worse_for_being_nearer_to_its_axis(dim, reach, falls):
    """One gallery, one direction at a time: not an average. Caps that overlap are the control."""
    rng = np.random.default_rng(dim)
    axis, other = np.eye(dim)[0], np.eye(dim)[1]
    between, near = 0.5 * math.pi, 0.6
    beside = (between - near) * reach  # the sum of the two radii is the angle between the axes, or exceeds it
    items = np.concatenate(
        [UniformCap(dim, near).sample(8, axis=axis, rng=rng), UniformCap(dim, beside).sample(40, axis=other, rng=rng)]
    )
    right = np.arange(48) < 8
    directions = rng.normal(size=(400, dim)) * (np.arange(dim) > 0)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    found = [counted(theta, directions, axis, items, right) for theta in np.linspace(0.01, 3.1, 40)]
    more = [np.all(b[0] >= a[0]) and np.all(b[1] <= a[1] + 1e-12) for a, b in itertools.pairwise(found)]
    assert all(more) != falls
    assert found[-1][0].max() > found[0][0].min()  # something changes

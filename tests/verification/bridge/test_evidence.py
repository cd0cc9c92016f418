"""Measurements of two models' rows against plain loops, and every answer at the ends of what leads to it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from verification.bridge import evidence
from verification.bridge.evidence import Coordinates, Evidence, measure
from verification.bridge.judge import unit
from verification.bridge.relation import RelationKind, _is_noise, _is_order, _stayed, contrast, decide, relate
from verification.features import FeatureSet

RNG = np.random.default_rng(0)
NEW, OLD = (unit(RNG.standard_normal((40, 6))) for _ in range(2))


def test_distances_to_other_samples_are_the_loop():
    squares = [float(np.sum((NEW[i] - OLD[j]) ** 2)) for i in range(40) for j in range(40) if i != j]
    assert evidence.other_distance(NEW, OLD) == pytest.approx(np.sqrt(np.mean(squares)), rel=1e-12)
    assert evidence.other_distance(np.ones((3, 1)), np.ones((3, 1))) == 0.0


def test_what_a_rotation_leaves_is_the_loop():
    new, old = NEW[:9] @ NEW[:9].T, OLD[:9] @ OLD[:9].T
    squares = [(new[i, j] - old[i, j]) ** 2 for i in range(9) for j in range(9) if i != j]
    assert evidence.left_by_rotation(new, old, 6) == pytest.approx(np.sqrt(np.mean(squares) * 6 / 2), rel=1e-12)


def test_alignment_is_one_for_equal_rows_and_minus_one_for_opposite_ones():
    assert evidence.alignment(NEW, NEW) == pytest.approx(1.0)
    assert evidence.alignment(NEW, -NEW) == pytest.approx(-1.0)
    assert evidence.alignment(np.ones((4, 3)), np.ones((4, 3))) == 1.0  # nothing varies
    x, y = NEW - NEW.mean(axis=0), OLD - OLD.mean(axis=0)
    expected = np.trace(x.T @ y) / np.linalg.svd(x.T @ y, compute_uv=False).sum()
    assert evidence.alignment(NEW, OLD) == pytest.approx(expected)
    assert evidence.alignment(NEW[:5], OLD[:5]) == pytest.approx(
        np.trace((z := NEW[:5] - NEW[:5].mean(axis=0)).T @ (w := OLD[:5] - OLD[:5].mean(axis=0)))
        / np.linalg.svd(z.T @ w, compute_uv=False).sum()
    )


def test_coherence_is_the_median_over_nearest_neighbours():
    moves = unit(NEW - OLD)
    cosines = OLD @ OLD.T - 2.0 * np.eye(40)
    expected = np.median([moves[i] @ moves[np.argmax(cosines[i])] for i in range(40)])
    assert evidence.coherence(NEW - OLD, OLD @ OLD.T) == pytest.approx(expected)


def test_a_cutoff_does_not_cut_one_cloud_in_two():
    assert evidence.cutoff(np.array([0.5, 0.7]), 0.1) == 0.1
    assert evidence.cutoff(np.array([0.001, 0.1, 0.7]), 0.1) == pytest.approx(8.0 * 0.0505)
    assert evidence.cutoff(np.array([0.001, 0.7]), 0.1) == 0.1


def test_a_rotation_is_only_held_out_of_four_rows_per_coordinate():
    rng = np.random.default_rng(1)
    assert evidence.held_out_rotation(NEW[:23], OLD[:23], rng) == (None, None)
    turn = np.linalg.qr(RNG.standard_normal((6, 6)))[0]
    before, after = evidence.held_out_rotation(OLD[:24] @ turn, OLD[:24], rng)
    assert after < 1e-12 < 0.1 < before
    order = np.random.default_rng(2).permutation(40)[20:]
    found = evidence.held_out_rotation(NEW, OLD, np.random.default_rng(2))[0]
    assert found == pytest.approx(np.sqrt(np.mean(np.sum((NEW[order] - OLD[order]) ** 2, axis=1))))


def test_displaced_rows_are_the_loop():
    order = np.arange(40)
    order[:6] = np.roll(order[:6], 1)
    new = unit(OLD[order] + 0.05 * RNG.standard_normal((40, 6)))
    ratios, home = evidence.displaced(new, OLD)
    squares = np.array([[float(np.sum((u - v) ** 2)) for v in OLD] for u in new])
    within = np.array([[float(np.sum((u - v) ** 2)) for v in OLD] for u in OLD])
    expected = np.full(40, np.inf)
    for i in range(40):
        j = int(np.argmin(squares[i]))
        if j != i and int(np.argmin(squares[:, j])) == i:
            expected[i] = squares[i, j] / min(squares[i, i], min(within[j, k] for k in range(40) if k != j))
    np.testing.assert_allclose(ratios, expected, rtol=2e-3)  # float32 of squared distances of 0.01
    assert home == sum(int(np.argmin(squares[i])) == i for i in range(40))
    assert np.isfinite(ratios[:6]).all()


def test_lengths_and_counts_are_of_the_rows_that_are_given():
    raw = OLD * np.linspace(1.0, 3.0, 40)[:, None]
    found = measure((raw, OLD), None, np.random.default_rng(0))
    assert (found.num_rows, found.equal, found.tolerance) == (40, 1.0, 2.0**-10)
    assert found.length_ratios == pytest.approx((1.0, 3.0))
    moved = measure((NEW, OLD), 0.3, np.random.default_rng(0))
    distances = np.linalg.norm(NEW - OLD, axis=1)
    assert moved.tolerance == 0.3
    assert (moved.median_distance, moved.largest_distance) == pytest.approx((np.median(distances), distances.max()))
    near = float(np.mean(distances**2 < 0.5 * evidence.other_distance(NEW, OLD) ** 2))
    assert moved.near == near


def test_coordinates_are_matched_up_to_sign_and_order():
    order, signs = np.array([2, 0, 1, 3, 4, 5]), np.array([1, -1, 1, 1, 1, -1])
    found = evidence.match(OLD[:, order] * signs, OLD, 1e-9)
    assert (found.place.tolist(), found.flipped, found.moved, found.equal) == (order.tolist(), 2, 3, 1.0)
    some = evidence.match(unit(OLD[:, [4, 1]]), OLD, 1e-9)
    assert (some.place.tolist(), some.moved, some.equal) == ([4, 1], 1, 1.0)
    assert evidence.match(NEW, OLD, 1e-9) is None
    assert evidence.match(np.zeros((40, 6)), OLD, 1e-9) is None
    cut = evidence.match(unit(OLD[:, :3]), OLD, 1e-9)
    assert (cut.place.tolist(), cut.moved, cut.flipped) == ([0, 1, 2], 0, 0)


def test_many_coordinates_are_matched_by_a_projection(monkeypatch):
    """The same match as that of all pairs, which a limit of coordinates forbids."""
    rng = np.random.default_rng(3)
    wide = unit(rng.standard_normal((12, 300)))
    order, signs = rng.permutation(300), rng.choice([-1.0, 1.0], 300)
    expected = evidence.match(wide[:, order] * signs, wide, 1e-9)
    monkeypatch.setattr(evidence, "MOST_COORDINATES", 299)
    found = evidence.match(wide[:, order] * signs, wide, 1e-9)
    np.testing.assert_array_equal(found.place, expected.place)
    assert (found.flipped, found.equal) == (expected.flipped, 1.0)
    assert evidence.match(unit(rng.standard_normal((12, 300))), wide, 1e-9) is None
    assert evidence.match(unit(rng.standard_normal((12, 200))), wide, 1e-9) is None
    # coordinates that stand twice have no one place
    twice = wide.copy()
    twice[:, 7] = twice[:, 8]
    assert evidence.match(twice, twice, 1e-9) is None


NOTHING = Evidence(
    num_rows=100, tolerance=1e-3, median_distance=1.4, other_distance=1.4, equal=0.0, displaced=0, far_displaced=0,
    at_home=0, left_by_rotation=1.0,
)  # fmt: skip
EXACT = Coordinates(place=np.arange(3), flipped=0, equal=0.99)
MOVED = Coordinates(place=np.array([1, 0, 2]), flipped=0, equal=0.99)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"quantised": "int8"}, "quantised"),
        ({"equal": 1.0}, "same"),
        ({"equal": 1.0, "length_ratios": (0.99, 1.01)}, "same"),
        ({"equal": 1.0, "length_ratios": (0.989, 1.0)}, "lengths"),
        ({"equal": 1.0, "length_ratios": (1.0, 1.011)}, "lengths"),
        ({"mixture": "new", "near": 0.025}, "mixture"),
        ({"mixture": "new", "near": 0.975}, "mixture"),
        ({"mixture": "new", "near": 0.024}, "space"),
        ({"mixture": "new", "near": 0.976}, "space"),
        ({"coordinates": MOVED}, "permutation"),
        ({"coordinates": replace(MOVED, equal=0.989)}, "space"),
        ({"coordinates": EXACT}, "space"),
        ({"coordinates": replace(EXACT, flipped=1)}, "permutation"),
        ({"equal": 0.05}, "part"),
        ({"equal": 0.049}, "space"),
        ({"equal": 0.05, "num_rows": 59}, "space"),
        ({"equal": 0.05, "num_rows": 60}, "part"),
        ({"left_by_rotation": 1e-3}, "rotation"),
        ({"left_by_rotation": 1.1e-3}, "space"),
        ({"median_distance": 0.3, "near": 0.99}, "noise"),
        ({"median_distance": 0.31, "near": 0.99}, "space"),
        ({"median_distance": 1.32, "alignment": 0.51}, "updated"),
        ({"median_distance": 1.34, "alignment": 0.51}, "space"),
        ({"median_distance": 1.32, "alignment": 0.5}, "space"),
        ({"displaced": 25}, "order"),
        ({"displaced": 24}, "space"),
    ],
)
def test_every_answer_begins_where_it_is_said_to(change, kind):
    assert decide(replace(NOTHING, **change), True) == RelationKind[kind]


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({}, "dimension"),
        ({"coordinates": EXACT}, "truncated"),
        ({"coordinates": MOVED}, "subset"),
        ({"coordinates": replace(EXACT, flipped=1)}, "subset"),
        ({"coordinates": replace(EXACT, equal=0.989)}, "dimension"),
        ({"left_by_rotation": 1e-3}, "isometric"),
        ({"left_by_rotation": 2e-3}, "dimension"),
        ({"left_by_rotation": None}, "dimension"),
    ],
)
def test_of_two_dimensions_too(change, kind):
    assert decide(replace(NOTHING, **change), False) == RelationKind[kind]
    unfit = decide(replace(NOTHING, **change), False, labels_differ=True)
    assert unfit == (RelationKind.order if kind == "dimension" else RelationKind[kind])
    for fits in ((True, False), (False, True), (True, True)):
        found = decide(replace(NOTHING, **change), False, fits=fits)
        assert (found == RelationKind.order) == (kind == "dimension" and fits[0] != fits[1])


@pytest.mark.parametrize(
    ("change", "sampled", "order"),
    [
        ({"displaced": 25, "at_home": 50}, 1.0, True),
        ({"displaced": 25, "at_home": 51}, 1.0, False),
        # of a tenth of the rows a tenth have their partner there, and a fiftieth are displaced by chance
        ({"displaced": 3}, 0.1, True),
        ({"displaced": 2}, 0.1, False),
        ({"displaced": 2}, 0.04, True),
        ({"displaced": 1}, 0.04, False),
        ({"far_displaced": 2, "at_home": 4}, 1.0, True),
        ({"far_displaced": 2, "at_home": 5}, 1.0, False),
        ({"far_displaced": 1, "at_home": 0}, 1.0, False),
        ({"far_displaced": 2, "at_home": 90, "equal": 0.5}, 1.0, True),
        ({"far_displaced": 2, "at_home": 90, "equal": 0.5, "num_rows": 201}, 1.0, False),
        ({"far_displaced": 2, "at_home": 90, "equal": 0.5, "num_rows": 200}, 1.0, True),
        ({"far_displaced": 2, "at_home": 90}, 0.04, True),
        ({"far_displaced": 2, "at_home": 90}, 0.05, False),
    ],
)
def test_rows_are_in_another_order_from_so_many_on(change, sampled, order):
    assert _is_order(replace(NOTHING, **change), sampled) == order


@pytest.mark.parametrize(
    ("change", "noise"),
    [
        ({}, True),
        ({"near": 0.989}, False),
        ({"near": None}, False),
        ({"coherence": 0.149}, True),
        ({"coherence": 0.15}, False),
        ({"before_rotation": 1.0, "after_rotation": 0.9}, True),
        ({"before_rotation": 1.0, "after_rotation": 0.89}, False),
        ({"before_rotation": 0.2}, True),
        ({"after_rotation": 0.1}, True),
    ],
)
def test_moves_are_noise_up_to_so_much(change, noise):
    little = replace(NOTHING, median_distance=0.2, near=0.99)
    assert _is_noise(replace(little, **change)) == noise


def test_rows_stayed_only_in_a_space_that_is_aligned():
    assert not _stayed(replace(NOTHING, median_distance=0.1))
    assert _stayed(replace(NOTHING, median_distance=0.1, alignment=0.6))


def test_a_contrast_needs_pairs_of_both_kinds():
    rows = np.eye(4)
    assert contrast(rows, np.zeros(4, int)) == 0.0
    assert contrast(rows, np.arange(4)) == 0.0
    assert contrast(rows[[0, 0, 1, 1]], np.array([5, 5, 9, 9])) == pytest.approx(2.0)


def test_what_is_asked_of_relate_has_ends():
    old = FeatureSet(RNG.standard_normal((40, 5)))
    for sample, message in ((3, "sample must be"), (2**14 + 1, "sample must be at most 16,384, got 16,385")):
        with pytest.raises(ValueError, match=message):
            relate(old, old, sample=sample)
    with pytest.raises(ValueError, match=r"sample must be left out where every row is named"):
        relate(old, old, sample=10, every_row=True)
    assert relate(old, old, tolerance=0.0).same
    for tolerance in (-1e-9, np.inf, np.nan):
        with pytest.raises(ValueError, match="tolerance must be a finite number >= 0"):
            relate(old, old, tolerance=tolerance)
    four = relate(old, old, sample=4)
    assert (four.evidence.num_rows, four.complete, four.total) == (4, False, 40)
    assert relate(old, old, sample=40).notes == ()
    assert relate(old.select(np.arange(3)), old.select(np.arange(3))).same

"""Compatibility matrices: their summaries, the released ones, and which entries the queries decide."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from verification.search.matrices import flip_rates, judge_matrix, judge_outcomes, released_matrices
from verification.search.scores import (
    average_accuracies,
    average_accuracy,
    average_compatibility,
    backward_compatibility,
    forward_compatibility,
)

# AC and AA in per cent, as printed beside the matrices
RELEASED = {
    "iamcl2r/notebooks/eval.ipynb": (7, "0.00", "35.179"),
    "iamcl2r/notebooks/iamcl2r_ce.ipynb": (31, "0.00", "30.326"),
    "iamcl2r/notebooks/iamcl2r_hoc.ipynb": (7, "0.95", "68.899"),
    "hbct/notebooks/iamcl2r_hoc.ipynb": (7, "0.95", "68.902"),
    "hbct/notebooks/iamcl2r_learnable_head_hoc.ipynb": (7, "0.10", "38.626"),
}


def test_average_compatibility_is_strict_and_ignores_the_upper_triangle():
    matrix = np.array([[0.5, np.nan, np.nan], [0.6, 0.7, np.nan], [0.5, 0.71, 0.9]])
    assert average_compatibility(matrix) == pytest.approx(2 / 3)  # a tie, 0.5 against 0.5, is not compatible
    assert average_accuracy(matrix) == pytest.approx(np.mean([0.5, 0.6, 0.7, 0.5, 0.71, 0.9]))


def test_one_model_has_no_compatibility():
    assert np.isnan(average_compatibility([[0.4]]))
    assert average_accuracy([[0.4]]) == 0.4


def test_summaries_of_a_matrix_by_hand():
    matrix = [[0.5, np.nan, np.nan], [0.6, 0.7, np.nan], [0.4, 0.9, 0.8]]
    np.testing.assert_allclose(average_accuracies(matrix), [0.5, 1.8 / 3, 3.9 / 6])
    assert backward_compatibility(matrix) == pytest.approx((-0.1 + 0.2) / 2)
    assert forward_compatibility(matrix) == pytest.approx((-0.1 + 0.1) / 2, abs=1e-15)
    assert np.isnan(backward_compatibility([[0.4]]))
    assert np.isnan(forward_compatibility([[0.4]]))


@pytest.mark.parametrize("name", RELEASED)
def test_released_matrices_give_their_printed_numbers(name):
    size, ac, aa = RELEASED[name]
    matrix = released_matrices()[name]
    assert len(matrix) == size
    report = judge_matrix(matrix, 50_000)
    assert f"{report.average_compatibility:.2f}" == ac
    assert average_accuracy(matrix) == report.average_accuracies[-1]
    # an entry is a whole number of 50 000 queries, so AA is known as a fraction
    hits = [round(50_000 * value) for value in matrix[np.tril_indices(size)]]
    np.testing.assert_allclose(matrix[np.tril_indices(size)], np.array(hits) / 50_000, rtol=1e-15)
    exact = Fraction(100 * sum(hits), 50_000 * len(hits))
    assert 100 * average_accuracy(matrix) == pytest.approx(float(exact), rel=1e-14)  # float64, 496 terms at most
    # as printed, to half of its last digit: one of the five, 38.6255, lies half way
    assert abs(exact - Fraction(aa)) <= Fraction(5, 10_000)


def test_the_released_hoc_turns_on_less_than_a_standard_error():
    report = judge_matrix(released_matrices()["iamcl2r/notebooks/iamcl2r_hoc.ipynb"], 50_000)
    (violated,) = [entry for entry in report.entries if entry.gain <= 0.0]
    assert (violated.new, violated.old) == (4, 3)
    assert violated.standard_errors == pytest.approx(-0.92, abs=0.01)
    assert violated.verdict == "undecided"
    assert report.undecided == ((1, 0), (4, 3), (5, 3), (6, 5))
    assert report.average_compatibility == 20 / 21
    assert report.average_compatibility_interval == (17 / 21, 1.0)


def test_an_entry_from_accuracies_is_a_two_sample_score_test():
    (entry,) = judge_matrix([[0.5, 0.0], [0.56, 0.6]], 1000).entries
    z = 0.06 / np.sqrt(2 * 0.53 * 0.47 / 1000)
    assert entry.standard_errors == pytest.approx(z)
    assert entry.p_value == pytest.approx(2 * stats.norm.sf(z))  # two directions, one entry
    assert entry.verdict == "compatible"
    assert judge_matrix([[0.56, 0.0], [0.5, 0.6]], 1000).entries[0].verdict == "incompatible"
    assert judge_matrix([[0.5, 0.0], [0.5, 0.6]], 1000).entries[0].verdict == "undecided"
    assert judge_matrix([[1.0, 0.0], [1.0, 1.0]], 1000).entries[0].standard_errors == 0.0


def test_an_entry_from_outcomes_is_mcnemars_exact_test():
    old = np.r_[np.ones(60), np.zeros(40)]
    new = np.r_[np.ones(57), np.zeros(3), np.ones(15), np.zeros(25)]
    array = np.stack([np.stack([old, np.full(100, np.nan)]), np.stack([new, new])])
    report = judge_outcomes(array)
    (entry,) = report.entries
    assert entry.p_value == pytest.approx(stats.binomtest(15, 18).pvalue)  # the two-sided test doubles the tail
    assert entry.flips == flip_rates(new, old) == (0.15, 0.03)
    assert entry.gain == pytest.approx(0.12)
    assert entry.verdict == "compatible"
    # pairing is what decides it: the same accuracies alone do not
    assert judge_matrix(report.matrix, 100).undecided == ((1, 0),)
    json.dumps(report.to_dict(), allow_nan=False)


def test_one_model_leaves_nothing_to_judge():
    report = judge_matrix([[0.4]], 10)
    assert report.entries == ()
    assert np.isnan(report.average_compatibility_interval).all()
    assert report.to_dict()["average_compatibility"] is None


def simulated_errors(paired: bool, runs: int = 400) -> float:
    """Share of runs in which a verdict is given, for five models of one true accuracy on 500 queries."""
    rng = np.random.default_rng(7)
    wrong = 0
    for _ in range(runs):
        easy = rng.random(500)
        hits = easy < rng.beta(6, 4, (5, 5, 1, 500)).mean(axis=2)  # one accuracy for all, the queries correlated
        report = judge_outcomes(hits) if paired else judge_matrix(hits.mean(axis=2), 500)
        wrong += any(entry.verdict != "undecided" for entry in report.entries)
    return wrong / runs


@pytest.mark.parametrize("paired", [True, False])
def test_false_verdicts_are_rare(paired):
    assert simulated_errors(paired) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 400)


def test_the_ends_of_what_can_be_judged():
    report = judge_matrix([[0.0, 9.0], [1.0, 1.0]], 1)
    assert report.entries[0].gain == 1.0
    for matrix, value in (([[0.5, 0.0], [1.01, 0.5]], "1.01"), ([[-0.01]], "-0.01")):
        with pytest.raises(ValueError, match=rf"fractions in \[0, 1\], got {value}"):
            judge_matrix(matrix, 10)
    one = judge_matrix([[0.4]], 10)
    assert np.isnan(one.average_compatibility_interval).all()
    assert one.to_dict()["average_compatibility"] is None
    # nothing varies: no standard error, and nothing is decided
    (still,) = judge_matrix([[1.0, 0.0], [1.0, 1.0]], 1000).entries
    assert (still.standard_errors, still.verdict) == (0.0, "undecided")
    flips = flip_rates([1, 1, 0, 0], [0, 1, 1, 1])
    assert (flips.positive, flips.negative) == (0.25, 0.5)
    with pytest.raises(ValueError, match="must have one shape"):
        flip_rates([], [])
    (entry,) = judge_outcomes([[[1, 0, 0, 1]] * 2, [[1, 1, 1, 1], [0, 0, 0, 0]]]).entries
    assert (entry.flips.positive, entry.flips.negative, entry.gain) == (0.5, 0.0, 0.5)
    assert entry.standard_errors == pytest.approx(np.sqrt(2.0))
    # two fair coins: a quarter, in two directions
    assert entry.p_value == pytest.approx(0.5)
    # one query gained and three lost: three or more heads of four coins, in two directions
    (entry,) = judge_outcomes([[[1, 1, 1, 1, 0]] * 2, [[0, 0, 0, 1, 1], [0, 0, 0, 0, 0]]]).entries
    assert (entry.p_value, entry.standard_errors) == pytest.approx((0.625, -1.0))
    assert entry.flips.positive == 0.2
    assert entry.flips.negative == 0.6
    assert judge_outcomes(np.ones((1, 1, 3))).to_dict()["entries"] == []
    for shape in ((0, 0, 3), (2, 2, 0), (1, 2, 3)):
        with pytest.raises(ValueError, match="outcomes must have shape"):
            judge_outcomes(np.ones(shape))

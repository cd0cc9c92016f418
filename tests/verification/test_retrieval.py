"""Retrieval against hand-made cases, naive loops, scikit-learn and the released matrices."""

from __future__ import annotations

import functools
import json
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import average_precision_score

from tests.verification.samples import upgrade
from verification import search
from verification.features import FeatureSet
from verification.matrices import flip_rates, judge_matrix, judge_outcomes, released_matrices
from verification.retrieval import (
    average_accuracies,
    average_accuracy,
    average_compatibility,
    average_precision,
    backward_compatibility,
    compatibility_matrix,
    forward_compatibility,
    nearest_neighbor_accuracy,
    nearest_neighbor_hits,
    outcomes,
    template_hits,
)
from verification.search import nearest_rows

EAST, NORTH, NORTH_EAST = [1.0, 0.0], [0.0, 1.0], [1.0, 0.9]
# AC and AA in per cent, as printed beside the matrices
RELEASED = {
    "iamcl2r/notebooks/eval.ipynb": (7, "0.00", "35.179"),
    "iamcl2r/notebooks/iamcl2r_ce.ipynb": (31, "0.00", "30.326"),
    "iamcl2r/notebooks/iamcl2r_hoc.ipynb": (7, "0.95", "68.899"),
    "hbct/notebooks/iamcl2r_hoc.ipynb": (7, "0.95", "68.902"),
    "hbct/notebooks/iamcl2r_learnable_head_hoc.ipynb": (7, "0.10", "38.626"),
}


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


def without_faiss(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)


def naive_rows(queries, gallery, k, same_samples):
    """One query at a time, the whole ranking, in float64."""
    rows = []
    for i, query in enumerate(queries.unit):
        values = np.add.reduce(gallery.unit * query, axis=1)
        values[i if same_samples else slice(0)] = -np.inf
        rows.append(np.argsort(-values, kind="stable")[:k])
    return np.array(rows)


def lattice(rng, num_rows, dim, dtype):
    """Rows with many exact and many nearly exact ties."""
    rows = rng.integers(-2, 3, (num_rows, dim)) + 0.5 * (np.arange(dim) == 0)
    rows = rows + rng.choice([0.0, 1e-9, 1e-7], (num_rows, 1)) * rng.standard_normal((num_rows, dim))
    return FeatureSet(rows.astype(dtype), rng.integers(0, 3, num_rows))


@pytest.mark.parametrize("engine", ["faiss", "blocks"])
@given(seed=st.integers(0, 2**32 - 1))
def test_every_engine_finds_what_a_loop_finds_ties_included(engine, seed):
    if engine == "faiss":
        pytest.importorskip("faiss")
    rng = np.random.default_rng(seed)
    dim, size, same = int(rng.integers(1, 7)), int(rng.integers(2, 150)), bool(rng.integers(2))
    dtype = rng.choice(["f2", "f4", "f8"])
    gallery = lattice(rng, size, dim, dtype)
    queries = lattice(rng, size if same else int(rng.integers(1, 60)), dim, dtype)
    k = int(rng.integers(1, size - same + 1))
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(search, "_SIMILARITIES", int(rng.choice([2**24, 64])))
        monkeypatch.setattr(search, "_QUERIES", int(rng.choice([4096, 7])))
        if engine == "blocks":
            without_faiss(monkeypatch)
        found = nearest_rows(queries, gallery, k, same_samples=same)
    np.testing.assert_array_equal(found, naive_rows(queries, gallery, k, same))


def test_float32_alone_would_order_otherwise():
    """Two items whose similarities differ by less than float32 can tell: the second is nearer."""
    gallery = FeatureSet(np.array([[1.0, 2e-5], [1.0, 1e-5]]), ["far", "near"])
    query = FeatureSet(np.array([EAST]), ["near"])
    assert np.float32(gallery.unit[0, 0]) == np.float32(gallery.unit[1, 0])
    assert nearest_neighbor_accuracy(query, gallery) == 1.0


def test_search_never_holds_all_similarities(monkeypatch):
    without_faiss(monkeypatch)
    monkeypatch.setattr(search, "_SIMILARITIES", 2**12)
    new, old = upgrade(0.3, 0.9, num_samples=3000)
    shapes = []
    monkeypatch.setattr(search, "_shortlist", lambda *a, real=search._shortlist: shapes.append(len(a[0])) or real(*a))
    nearest_rows(new, old)
    assert max(shapes) == 32


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


def test_unusable_scores_and_matrices_are_refused():
    new, old = upgrade(0.3, 0.9, num_samples=20)
    words = FeatureSet(old.features, [f"class {label}" for label in old.labels])
    with pytest.raises(ValueError, match="labels of one kind"):
        nearest_neighbor_hits(new, words)
    with pytest.raises(ValueError, match="k must be from 1 to 19, the gallery's items that a query may find, got 20"):
        nearest_neighbor_hits(new, old, k=20, same_samples=True)
    with pytest.raises(ValueError, match="features of class 0 cancel"):
        template_hits(FeatureSet(np.array([EAST]), [0]), FeatureSet(np.array([EAST, [-1.0, 0.0]]), [0, 0]))
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

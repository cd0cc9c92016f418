"""Rows that are kept: which, of what units, in what order; and what decides whether all pairs are looked at."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from tests.verification.samples import upgrade
from verification.statistics import gaps
from verification.statistics.collect import _present
from verification.statistics.gaps import pairs_that_meet, part_of, statistics
from verification.statistics.interval import widened
from verification.statistics.linear import LinearPairs
from verification.statistics.pairwise import AllPairs
from verification.statistics.rows import (
    Rows,
    choose_in_proportion,
    choose_rows,
    draw_by_class,
    drawing_order,
    in_order,
    ranks_of,
)
from verification.statistics.sums import RUN, ClassSums
from verification.statistics.weights import Weights
from verification.upgrade import Upgrade

CODES = np.repeat([0, 1, 2, 3], [3, 12, 40, 105])
SIZES = np.bincount(CODES)


def test_each_class_has_its_share_of_the_kept_rows_but_eight_at_least():
    for budget in (len(CODES), len(CODES) + 5):
        np.testing.assert_array_equal(choose_rows(CODES, SIZES, budget, np.random.default_rng(0)), np.arange(160))
    for budget in (159, 80, 20):
        found = choose_rows(CODES, SIZES, budget, np.random.default_rng(0))
        assert np.all(np.diff(found) > 0)
        expected = [max(min(size, 8), size * budget // 160) for size in SIZES]
        np.testing.assert_array_equal(np.bincount(CODES[found]), expected)


def test_rows_are_drawn_at_random_class_by_class():
    mixed = np.random.default_rng(1).permutation(CODES)
    quota = np.array([5, 3, 0, 60])
    times = np.zeros(len(mixed))
    for seed in range(200):
        found = draw_by_class(mixed, quota, np.random.default_rng(seed))
        assert np.all(np.diff(mixed[found]) >= 0)
        np.testing.assert_array_equal(np.bincount(mixed[found], minlength=4), [3, 3, 0, 60])
        assert len(np.unique(found)) == len(found)
        times[found] += 1
    assert np.all(times[mixed == 0] == 200)
    # every row of a class as often, to five standard errors of a share
    for c, share in ((1, 3 / 12), (3, 60 / 105)):
        assert np.all(np.abs(times[mixed == c] / 200 - share) < 5.0 * math.sqrt(share * (1.0 - share) / 200))


def test_systematic_samples_round_each_class_up_or_down():
    np.testing.assert_array_equal(choose_in_proportion(CODES, SIZES, 160, np.random.default_rng(0)), np.arange(160))
    for budget, sizes in ((50, SIZES), (33, SIZES), (500, np.array([3, 12, 40, 210]))):
        expected = sizes * (min(budget, 160) / sizes.sum())
        counts = []
        for seed in range(60):
            found = choose_in_proportion(CODES, sizes, budget, np.random.default_rng(seed))
            assert np.all(np.diff(found) > 0)
            counts.append(np.bincount(CODES[found], minlength=4))
            assert np.all(np.abs(counts[-1] - np.minimum(expected, SIZES)) < 1.0)
        # on average its share: rounding of 60 draws
        assert np.all(np.abs(np.mean(counts, axis=0) - np.minimum(expected, SIZES)) < 0.25)


def test_the_order_of_ids_is_the_order_in_which_rows_are_drawn():
    ids = np.array(["d", "b", "a", "c"])
    assert ranks_of(None, None) is None
    assert ranks_of(np.array([1, 1, 2])) is None
    ranks = ranks_of(None, ids)
    assert ranks is not None
    np.testing.assert_array_equal(ranks, [3, 1, 0, 2])
    np.testing.assert_array_equal(in_order(np.array([0, 1, 3]), ranks), [1, 2, 0])
    np.testing.assert_array_equal(in_order(np.array([3, 0, 1]), None), [1, 2, 0])
    np.testing.assert_array_equal(drawing_order(4, ids), [2, 1, 3, 0])
    np.testing.assert_array_equal(drawing_order(3), [0, 1, 2])


def rows(units: bool) -> Rows:
    rng = np.random.default_rng(0)
    found = rng.standard_normal((2, 1200, 3))
    names = np.array([7, 7, 2, 9, 9, 9, 4, 4, *range(100, 1292)]) if units else None
    codes = np.array([0, 0, 0, 0, 0, 0, 1, 1] + [3] * 1192)
    return Rows(models=found, codes=codes, sizes=np.array([10, 2, 0, 1192]), index=np.arange(1200) + 5, units=names)


def test_units_of_rows():
    grouped, alone = rows(True), rows(False)
    np.testing.assert_array_equal(grouped.counts, [6, 2, 0, 1192])
    np.testing.assert_array_equal(grouped.starts, [0, 6, 8, 8, 1200])
    np.testing.assert_array_equal(grouped.unit_counts, [3, 1, 0, 1192])
    np.testing.assert_allclose(grouped.effective_units, [36 / (4 + 1 + 9), 1.0, 0.0, 1192.0])
    np.testing.assert_array_equal(np.bincount(grouped.unit_codes)[grouped.unit_classes == 0], [1, 2, 3])
    np.testing.assert_allclose(grouped.unit_shares[grouped.unit_classes == 0], [1 / 6, 2 / 6, 3 / 6])
    np.testing.assert_array_equal(alone.unit_codes, np.arange(1200))
    np.testing.assert_array_equal(alone.unit_counts, alone.counts)
    np.testing.assert_allclose(alone.effective_units, [6.0, 2.0, 0.0, 1192.0])
    some = grouped.some(np.array([1, 6, 1199]))
    np.testing.assert_array_equal(some.models, grouped.models[:, [1, 6, 1199]])
    np.testing.assert_array_equal(some.index, [6, 11, 1204])
    np.testing.assert_array_equal(some.units, [7, 4, 1291])
    np.testing.assert_array_equal(some.sizes, grouped.sizes)
    np.testing.assert_array_equal(alone.some(np.array([0]), np.ones(4, int)).sizes, np.ones(4))
    assert alone.some(np.array([0])).units is None
    assert Rows(models=alone.models, codes=alone.codes, sizes=alone.sizes).some(np.array([0])).index is None
    assert not grouped.own


def test_products_of_rows_with_the_vector_of_their_class_or_of_all():
    found = rows(False)
    new, old = found.models
    vectors = np.random.default_rng(1).standard_normal((4, 3))
    for which, own in (("new", new), ("old", old), ("shift", new - old)):
        np.testing.assert_allclose(found.dots(which, vectors), np.vecdot(own, vectors[found.codes]), atol=1e-12)
        np.testing.assert_allclose(found.dots(which, vectors[0]), own @ vectors[0], atol=1e-12)
    items = Rows(models=found.models[1:], codes=found.codes, sizes=found.sizes)
    np.testing.assert_allclose(items.dots("old", vectors[2]), old @ vectors[2], atol=1e-12)


@pytest.mark.parametrize("models", [1, 2])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sums_by_class_over_runs_of_rows(models, dtype):
    """Classes with no row, one, a run, a row more, and several runs; scaled, and taken in by parts."""
    sizes = np.array([0, 1, RUN, RUN + 1, 2 * RUN, 2 * RUN + 1, 5 * RUN + 7, 3])
    rng = np.random.default_rng(0)
    codes = rng.permutation(np.repeat(np.arange(8), sizes))
    found = rng.standard_normal((models, len(codes) + 9, 3)).astype(dtype)
    scales = rng.uniform(0.5, 2.0, (models, len(codes))).astype(dtype)
    scaled = found[:, : len(codes)].astype(np.float64) * scales[..., None]
    sums = ClassSums(models, 8, 3).add(codes, found, scales, np.arange(len(codes), dtype=float))
    parts = [scaled[0] - scaled[1], scaled[1]] if models == 2 else [scaled[0]]
    close = {"atol": 1e-11} if dtype == np.float64 else {"atol": 1e-4}
    for total, values in zip(sums.sums, parts, strict=True):
        np.testing.assert_allclose(total, [values[codes == c].sum(axis=0) for c in range(8)], **close)
    np.testing.assert_array_equal(sums.counts, sizes)
    np.testing.assert_allclose(sums.own, [np.flatnonzero(codes == c).sum() for c in range(8)])
    alone = ClassSums(models, 8, 3).add(codes, found)
    own = np.vecdot(found[0], found[-1]) - (np.vecdot(found[1], found[1]) if models == 2 else 0.0)
    np.testing.assert_allclose(alone.own, np.bincount(codes, own[: len(codes)], minlength=8), **close)
    other = ClassSums(models, 3, 3).add(np.array([0, 2, 2]), found)
    before = alone.sums.copy(), alone.own.copy()
    alone.merge(other, np.array([1, 4, 6]))
    np.testing.assert_array_equal(alone.counts - sizes, [0, 1, 0, 0, 0, 0, 2, 0])
    np.testing.assert_allclose(alone.sums[:, [1, 4, 6]] - before[0][:, [1, 4, 6]], other.sums, **close)
    np.testing.assert_allclose(alone.own[[1, 4, 6]] - before[1][[1, 4, 6]], other.own, **close)
    np.testing.assert_allclose(alone.means, alone.sums / np.maximum(alone.counts, 1)[:, None])


def test_identical_models_have_sums_of_exactly_nothing():
    rng = np.random.default_rng(0)
    found = rng.standard_normal((300, 4)).astype(np.float32)
    sums = ClassSums(2, 2, 4).add(np.arange(300) % 2, np.stack([found, found]))
    assert not np.any(sums.sums[0])
    assert not np.any(sums.own)


def test_all_pairs_are_looked_at_up_to_a_budget(monkeypatch):
    reading = Upgrade(*upgrade(0.6, 0.7, num_samples=100)).read()
    work = 100.0 * 100.0 * 8
    for budget, kind in ((work, AllPairs), (work - 1.0, LinearPairs)):
        monkeypatch.setattr(gaps, "ALL_PAIRS_BUDGET", budget)
        assert isinstance(statistics(reading), kind)
        assert isinstance(statistics(reading, "euclidean"), AllPairs)
    assert statistics(reading).seed == 0
    for rows_, work, kept in ((100, 1e9, 100), (60, 1e9, 60), (100, 50.0**2 * 8, 50), (100, 70.9**2 * 8, 70)):
        monkeypatch.setattr(gaps, "MOST_ROWS", rows_)
        monkeypatch.setattr(gaps, "MOST_WORK", work)
        assert len(statistics(reading, "euclidean").rows.codes) == kept
    assert part_of(reading.rows, 100, np.random.default_rng(0)) is reading.rows
    some = statistics(reading, "euclidean")
    np.testing.assert_allclose(pairs_that_meet(some), [20.0 * 19.0] * 5)


def test_weights_of_a_weighting_by_name():
    sizes, items = np.array([3, 1, 0]), np.array([2, 0, 4])
    pairs = Weights.of("pairs", sizes)
    np.testing.assert_allclose(pairs.same, [1.0, 0.0, 0.0])
    np.testing.assert_allclose(np.outer(pairs.query, pairs.gallery), np.outer([3, 1, 0], [3, 1, 0]) / 6.0)
    assert pairs.by_size
    found = Weights.of("pairs", sizes, items)
    np.testing.assert_allclose(found.same, [1.0, 0.0, 0.0])
    np.testing.assert_allclose(np.outer(found.query, found.gallery), np.outer([3, 1, 0], [2, 0, 4]) / 18.0)
    classes = Weights.of("classes", sizes, items)
    np.testing.assert_allclose(np.outer(classes.query, classes.gallery), np.outer([1, 1, 0], [1, 0, 1]) / 3.0)
    assert not classes.by_size
    assert not Weights.of("pairs", np.array([1, 1])).same.any()
    design = found.pair_design(sizes, items)
    expected = np.outer([3.0, 1.0, 0.0], [2.0, 0.0, 4.0]) / 18.0**2
    np.fill_diagonal(expected, 0.0)
    np.testing.assert_allclose(design, expected)


@pytest.mark.parametrize("num", [1, 7, 200, 5000])
@pytest.mark.parametrize("confidence", [0.9, 0.99])
def test_looking_often_costs_what_the_confidence_sequence_says(num, confidence):
    alpha = 1.0 - confidence
    # ρ² at which the boundary is least at n = 200
    rho = (-2.0 * math.log(alpha) + math.log(-2.0 * math.log(alpha) + 1.0)) / 200.0
    errors = math.sqrt((num * rho + 1.0) / (num * rho) * math.log((num * rho + 1.0) / alpha**2))
    assert widened(num, confidence) == pytest.approx(errors / stats.norm.isf(alpha / 2.0))
    assert widened(0, confidence) == widened(1, confidence)


def test_classes_that_are_there_are_numbered_anew():
    there, place = _present(np.array([4, 1, 4, 7, 1, 0]))
    np.testing.assert_array_equal(there, [0, 1, 4, 7])
    np.testing.assert_array_equal(place, [2, 1, 2, 3, 1, 0])

"""Mean gaps are those of the definition, whatever way they are computed, and their variance is that of repetition."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.verification.samples import Caps
from theory.compatibility import first_moment_gaps, off_centre_defect
from verification import upgrade as upgrades
from verification.features import FeatureSet
from verification.statistics import collect as collecting
from verification.statistics import gaps as inequalities
from verification.statistics import pairwise
from verification.statistics.collect import collect
from verification.statistics.gaps import estimate
from verification.statistics.linear import LinearPairs
from verification.statistics.rows import choose_rows
from verification.statistics.sums import ClassSums
from verification.statistics.weights import WEIGHTINGS, Weights
from verification.upgrade import Upgrade

DISTANCES = {
    "sqeuclidean": lambda c: 2.0 - 2.0 * c,
    "euclidean": lambda c: np.sqrt(2.0 - 2.0 * c),
    "angular": np.arccos,
}
# float64 rounding of some hundred terms of order one, and of an arccos or a root away from its singular point
ROUNDING = 1e-12


def random_set(labels, dim, seed):
    return FeatureSet(np.random.default_rng(seed).standard_normal((len(labels), dim)), labels)


SAMPLES = np.repeat([0, 1, 2, 3], [9, 5, 2, 1])
ITEMS = np.repeat([0, 1, 3, 4], [6, 4, 2, 3])


def double_loop(new, old, gallery, metric, weighting):
    """Both gaps from the definition: every pair, one at a time, then class means, then their weighted mean."""
    distance = DISTANCES[metric]
    items, sums, counts = old if gallery is None else gallery, {}, {}
    for i, (u, v) in enumerate(zip(new.unit, old.unit, strict=True)):
        for j, g in enumerate(items.unit):
            if gallery is not None or i != j:
                key = int(old.labels[i]), int(items.labels[j])
                sums[key] = sums.get(key, 0.0) + distance(v @ g) - distance(u @ g)
                counts[key] = counts.get(key, 0) + 1
    gaps = []
    for same in (True, False):
        keys = [key for key in sums if (key[0] == key[1]) == same]
        weight = {key: counts[key] if weighting == "pairs" else 1 for key in keys}
        mean = sum(weight[key] * sums[key] / counts[key] for key in keys) / sum(weight.values())
        gaps.append(mean if same else -mean)
    return gaps


@pytest.mark.parametrize("metric", DISTANCES)
@pytest.mark.parametrize("with_gallery", [False, True])
@pytest.mark.parametrize("tile", [3, 1024])
def test_gaps_are_those_of_the_double_loop(monkeypatch, metric, with_gallery, tile):
    monkeypatch.setattr(pairwise, "TILE", tile)
    new, old = random_set(SAMPLES, 4, 0), random_set(SAMPLES, 4, 1)
    gallery = random_set(ITEMS, 4, 2) if with_gallery else None
    found, _ = estimate(Upgrade(new, old, gallery).statistics(metric))
    for weighting in WEIGHTINGS:
        expected = double_loop(new, old, gallery, metric, weighting)
        assert [side.fixed.value for side in found[weighting].sides] == pytest.approx(expected, abs=ROUNDING)


@pytest.mark.parametrize("with_gallery", [False, True])
def test_sums_agree_with_all_pairs(monkeypatch, with_gallery):
    """O(N·d) against O(N²·d): every mean, every sample's contribution."""
    new, old = random_set(SAMPLES, 4, 0), random_set(SAMPLES, 4, 1)
    gallery = random_set(ITEMS, 4, 2) if with_gallery else None
    pairs = Upgrade(new, old, gallery).statistics()
    monkeypatch.setattr(inequalities, "ALL_PAIRS_BUDGET", 0.0)
    sums = Upgrade(new, old, gallery).statistics()
    assert isinstance(sums, LinearPairs)
    several = np.bincount(SAMPLES, minlength=len(pairs.sizes)) > (0 if with_gallery else 1)
    np.testing.assert_allclose(sums.same_means()[several], pairs.same_means()[several], atol=ROUNDING)
    off = ~np.eye(len(pairs.sizes), dtype=bool)
    np.testing.assert_allclose(sums.pair_means(slice(None))[off], pairs.pair_means(slice(None))[off], atol=ROUNDING)
    for weighting in WEIGHTINGS:
        weights = Weights.of(weighting, pairs.sizes, pairs.gallery_sizes if with_gallery else None)
        assert sums.between(weights) == pytest.approx(pairs.between(weights), abs=ROUNDING)
        for one, other in zip(sums.others(weights), pairs.others(weights), strict=True):
            np.testing.assert_allclose(one, other, atol=ROUNDING)
    for one, other, rows in zip(sums.own(), pairs.own(), (sums.rows, sums.gallery or sums.rows), strict=False):
        np.testing.assert_allclose(one[several[rows.codes]], other[several[rows.codes]], atol=ROUNDING)


@pytest.mark.parametrize("with_gallery", [False, True])
def test_sampled_pairs_tell_what_all_pairs_tell(monkeypatch, with_gallery):
    cell = Caps(
        num_samples=900, dim=16, num_classes=6, new_radius=0.58, old_radius=0.6, unequal=True, gallery=with_gallery
    )
    sets = cell.draw(np.random.default_rng(0))
    exact, _ = estimate(Upgrade(*sets).statistics())
    monkeypatch.setattr(inequalities, "ALL_PAIRS_BUDGET", 0.0)
    sampled, _ = estimate(Upgrade(*sets).statistics())
    for weighting in WEIGHTINGS:
        for one, other in zip(sampled[weighting].sides, exact[weighting].sides, strict=True):
            assert one.fixed.value == pytest.approx(other.fixed.value, abs=ROUNDING)
            assert 0 < one.pair_fraction_error < 0.01
            # 4 standard errors, one seed
            assert abs(one.pair_fraction - other.pair_fraction) < 4 * one.pair_fraction_error
            # a mean square from 1.6e4 pairs is known to about 2 %, and is a part of the variance only
            assert one.fixed.standard_error == pytest.approx(other.fixed.standard_error, rel=0.05)


def test_a_part_of_the_rows_tells_the_variance(monkeypatch):
    cell = Caps(num_samples=6000, dim=16, num_classes=6, new_radius=0.58, old_radius=0.6, unequal=True)
    new, old, _ = cell.draw(np.random.default_rng(0))
    whole, _ = estimate(Upgrade(new, old).statistics())
    monkeypatch.setattr(upgrades, "KEPT", 16 * 1500)
    source = Upgrade(new, old).statistics()
    assert 1400 < len(source.rows.codes) < 1600
    part, _ = estimate(source)
    for weighting in WEIGHTINGS:
        for one, other in zip(part[weighting].sides, whole[weighting].sides, strict=True):
            assert one.fixed.value == other.fixed.value
            # 1500 rows know a standard deviation to 1/√3000 = 2 %, fewer in the classes that weigh most: four of 4 %
            assert one.fixed.standard_error == pytest.approx(other.fixed.standard_error, rel=0.16)


def test_distances_without_sums_look_at_a_part(monkeypatch):
    new, old, _ = Caps(num_samples=2000, dim=9, num_classes=5, old_radius=0.6).draw(np.random.default_rng(0))
    whole, _ = estimate(Upgrade(new, old).statistics("angular"))
    monkeypatch.setattr(inequalities, "MOST_ROWS", 500)
    part, _ = estimate(Upgrade(new, old).statistics("angular"))
    sides = [[side.fixed for side in found["pairs"].sides] for found in (part, whole)]
    for one, other in zip(*sides, strict=True):
        # a quarter of the rows: twice the error, up to four times where only pairs differ; itself known to a fifth
        assert 1.5 * other.standard_error < one.standard_error < 4.0 * other.standard_error
        assert abs(one.value - other.value) < 4 * one.standard_error
    again, _ = estimate(Upgrade(new, old).statistics("angular"))
    assert again == part
    other_seed, _ = estimate(Upgrade(new, old, seed=1).statistics("angular"))
    assert other_seed != part


@pytest.mark.parametrize("metric", DISTANCES)
@pytest.mark.parametrize("with_gallery", [False, True])
@pytest.mark.parametrize("budget", [0.0, 3e8])
def test_identical_models_have_gap_and_error_zero(monkeypatch, metric, with_gallery, budget):
    """Exactly: the rounding of both distances of a pair is the same, in every tile."""
    monkeypatch.setattr(pairwise, "TILE", 64)
    monkeypatch.setattr(inequalities, "ALL_PAIRS_BUDGET", budget)
    _, old, gallery = Caps(num_samples=300, dim=33, num_classes=7, gallery=True).draw(np.random.default_rng(0))
    found, classes = estimate(Upgrade(old, old, gallery if with_gallery else None).statistics(metric))
    for side in (*found["pairs"].sides, *found["classes"].sides):
        assert side.pair_fraction == 1.0
        for change in (side.fixed, side.drawn):
            assert (change.value, change.standard_error) == (0.0, 0.0)
    assert not np.any(classes.gap)
    assert not np.any(classes.standard_error)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("num_classes", [2, 50])
def test_sums_of_parts_merge_to_those_of_the_whole(dtype, num_classes):
    rng = np.random.default_rng(0)
    models = rng.standard_normal((2, 3000, 7)).astype(dtype)
    codes = rng.integers(num_classes, size=3000)
    whole = ClassSums(2, num_classes, 7).add(codes, models)
    parts = [
        ClassSums(2, num_classes, 7).add(codes[s], np.ascontiguousarray(models[:, s]))
        for s in (slice(0, 700), slice(700, 3000))
    ]
    merged = parts[0].merge(parts[1])
    np.testing.assert_array_equal(merged.counts, whole.counts)
    # float64 sums of 3000 terms; float32 runs of 64 terms of order one: 64·2^-24, averaged over the runs
    tolerance = 1e-11 if dtype == np.float64 else 64 * 2.0**-24 * math.sqrt(3000 / 64) * 4
    for name in ("sums", "own"):
        np.testing.assert_allclose(getattr(merged, name), getattr(whole, name), atol=tolerance)
    expected = [
        [rows[codes == c].astype(float).sum(axis=0) for c in range(num_classes)]
        for rows in (models[0] - models[1], models[1])
    ]
    np.testing.assert_allclose(whole.sums, expected, atol=tolerance)


@pytest.mark.parametrize("spread", [1, 400])  # classes side by side, or far apart
@pytest.mark.parametrize("models", [1, 2])
def test_classes_of_very_different_size_are_summed_in_runs(spread, models):
    rng = np.random.default_rng(0)
    codes = rng.permutation(np.repeat(spread * np.arange(6), [1, 5000, 64, 65, 3, 129]))
    rows = rng.standard_normal((models, 6000, 5)).astype(np.float32)  # more rows than there are samples
    scales = rng.uniform(0.5, 2.0, (models, len(codes))).astype(np.float32)
    found = ClassSums(models, 2001, 5).add(codes, rows, scales, np.ones(len(codes)))
    unit = rows[:, : len(codes)].astype(float) * scales[..., None]
    expected = np.zeros((models, 2001, 5))
    for total, values in zip(expected, (unit[0] - unit[-1], unit[-1])[2 - models :], strict=True):
        np.add.at(total, codes, values)
    # roundings of 2^-24 of partial sums of up to 64 terms of order two: a random walk of √5000 · 8 · 2, four times
    np.testing.assert_allclose(found.sums, expected, atol=4 * math.sqrt(5000) * 16 * 2.0**-24)
    np.testing.assert_array_equal(found.own, found.counts)


def test_float32_sums_of_identical_models_differ_by_nothing():
    rng = np.random.default_rng(0)
    rows = np.repeat(rng.standard_normal((1, 4000, 9)).astype(np.float32), 2, axis=0)
    scales = np.repeat(rng.uniform(0.5, 2.0, (1, 4000)).astype(np.float32), 2, axis=0)
    assert not ClassSums(2, 7, 9).add(rng.integers(7, size=4000), rows, scales).sums[0].any()


def test_a_small_shift_keeps_its_digits_in_float32():
    """New and old are added in turns: rounding is that of a difference, not of a sum of 64 rows."""
    rng = np.random.default_rng(0)
    old = rng.standard_normal((4000, 8)).astype(np.float32)
    new = old + np.float32(1e-4) * rng.standard_normal(old.shape).astype(np.float32)
    found = ClassSums(2, 4, 8).add(np.arange(4000) % 4, np.stack([new, old])).sums[0]
    exact = (new.astype(float) - old).reshape(-1, 4, 8).sum(axis=0)
    # two roundings a sample at the size of a row, 2^-24, a random walk of 2000, four times; not √64 as much
    np.testing.assert_allclose(found, exact, atol=4 * math.sqrt(2000) * 2.0**-24)


def test_float32_is_read_in_blocks_and_agrees_with_float64(monkeypatch):
    cell = Caps(num_samples=20_000, dim=16, num_classes=5, new_radius=0.55, old_radius=0.6)
    new, old, _ = cell.draw(np.random.default_rng(0))
    exact, _ = estimate(Upgrade(new, old).statistics())
    monkeypatch.setattr(collecting, "SMALL", 0)
    monkeypatch.setattr(collecting, "BLOCK_ROWS", 999)
    single = [FeatureSet(s.features.astype(np.float32), s.labels) for s in (new, old)]
    found, _ = estimate(Upgrade(*single).statistics())
    for one, other in zip(found["pairs"].sides, exact["pairs"].sides, strict=True):
        # rounding of the rows, 2^-24 each and independent, averages out over them; 64 of them one way would not
        assert one.fixed.value == pytest.approx(other.fixed.value, abs=64 * 2.0**-24)


def test_kept_rows_are_chosen_in_every_class():
    sizes = np.array([5000, 300, 20, 3, 1])
    codes = np.random.default_rng(0).permutation(np.repeat(np.arange(5), sizes))
    chosen = choose_rows(codes, sizes, 500, np.random.default_rng(1))
    assert np.all(np.diff(chosen) > 0)
    assert list(np.bincount(codes[chosen])) == [5000 * 500 // 5324, 300 * 500 // 5324, 8, 3, 1]
    np.testing.assert_array_equal(choose_rows(codes, sizes, 6000, np.random.default_rng(1)), np.arange(5324))


def test_collected_rows_are_the_chosen_ones():
    features = random_set(np.random.default_rng(0).integers(4, size=50), 3, 1)
    sizes = np.bincount(features.codes)
    _, rows, _ = collect((features, features), features.codes, sizes, np.arange(0, 50, 2))
    order = np.argsort(features.codes[::2], kind="stable")
    np.testing.assert_array_equal(rows.old, features.unit[::2][order])
    np.testing.assert_array_equal(rows.codes, features.codes[::2][order])


def test_macro_averages_are_one_condition_on_a_simplex():
    """gap(1b) = gap(1a)/(K−1) where the old class means sum to zero, whatever the new model is."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(5), [4, 8, 12, 6, 10])
    old = rng.standard_normal((40, 6))
    new = random_set(labels, 6, 1)
    features = FeatureSet(old, labels)
    found, _ = estimate(Upgrade(new, features).statistics())
    means = [np.array([s.unit[labels == c].mean(axis=0) for c in range(5)]) for s in (new, features)]
    expected = first_moment_gaps(*means)
    # the different-class side has no pair i = i, so the plug-in is exact there
    assert found["classes"].different_class.fixed.value == pytest.approx(expected.different_class, abs=ROUNDING)
    # each class as pairs of opposite vectors has mean zero: no defect, and both gaps without i = i follow
    defect = off_centre_defect(*means)
    assert expected.different_class == pytest.approx(expected.same_class / 4 + defect, abs=ROUNDING)


@pytest.mark.simulations
@pytest.mark.parametrize(
    "cell",
    [
        Caps(num_samples=60, dim=24, num_classes=4, new_radius=0.7, old_radius=0.7),
        Caps(num_samples=60, dim=24, num_classes=4, new_radius=0.7, old_radius=0.7, unequal=True, gallery=True),
        Caps(num_samples=60, dim=9, num_classes=4, new_radius=0.6, old_radius=0.7, correlated=True, metric="angular"),
    ],
    ids=["equal", "unequal, gallery", "correlated, angular"],
)
def test_standard_errors_are_those_of_repeated_samples(cell):
    rng = np.random.default_rng(0)
    gaps, errors, runs = [], [], 300
    extra = []
    for _ in range(runs):
        sides, classes = estimate(Upgrade(*cell.draw(rng)).statistics(cell.metric))
        found = [side.fixed for gaps_of in sides.values() for side in gaps_of.sides]
        gaps.append([*(side.value for side in found), *classes.gap])
        errors.append([*(side.standard_error for side in found), *classes.standard_error])
        extra.append([side.second_order for side in found])
    spread = np.std(gaps, axis=0, ddof=1)
    stated = np.sqrt(np.mean(np.square(errors), axis=0))
    # 300 draws know a standard deviation to 1/√600 = 4 %: four of these; a class of few is never too narrow
    assert np.all(stated / spread > 1.0 - 0.17)
    # 1b's error leaves in what only pairs show once more than the mean has it: without that it is no wider either
    left_in = np.mean(extra, axis=0) * [0.0, 1.0, 0.0, 1.0]
    assert np.all(np.sqrt(stated[:4] ** 2 - left_in) / spread[:4] > 1.0 - 0.17)
    assert np.all(np.sqrt(stated[:4] ** 2 - left_in) / spread[:4] < 1.0 + 0.25)

"""The audit: exact against the definition, calibrated against simulation, and its verdicts."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest

from tests.verification.samples import cap_features, upgrade
from theory.caps import UniformCap
from theory.compatibility import theorem1_gaps
from theory.simplex import simplex_vertices
from verification.audit import audit
from verification.audit import breakdown as _breakdown
from verification.features import FeatureSet
from verification.statistics.interval import holm
from verification.statistics.sums import class_sums


def double_loop(new: FeatureSet, old: FeatureSet):
    """Mean gap and share of pairs of each side, from the definition."""
    gaps = {True: [], False: []}
    for i, u in enumerate(new.unit):
        for j, v in enumerate(old.unit):
            if i != j:
                moved = np.sum((u - v) ** 2) - np.sum((old.unit[i] - v) ** 2)
                same = old.labels[i] == old.labels[j]
                gaps[bool(same)].append(-moved if same else moved)
    return [(np.mean(gaps[same]), np.mean(np.array(gaps[same]) >= 0), len(gaps[same])) for same in (True, False)]


@pytest.mark.parametrize("labels", [[0, 1] * 10, [0] * 12 + [1] * 3 + [2], [0, 0, 1], list("aabbbccccdddde")])
def test_gaps_are_those_of_the_double_loop(labels):
    rng = np.random.default_rng(1)
    new, old = (FeatureSet(rng.standard_normal((len(labels), 4)), labels) for _ in range(2))
    report = audit(new, old)
    for side, (gap, fraction, pairs) in zip(
        (report.same_class, report.different_class), double_loop(new, old), strict=True
    ):
        assert side.gap == pytest.approx(gap, abs=1e-13)  # rounding of some hundred terms of order one
        assert side.pair_fraction == fraction
        assert side.num_pairs == pairs


def test_cosine_is_half_of_sqeuclidean():
    new, old = upgrade(0.5, 0.6)
    whole, half = audit(new, old), audit(new, old, metric="cosine")
    for side in ("same_class", "different_class"):
        for bound in ("gap", "lower", "upper"):
            assert getattr(getattr(half, side), bound) == 0.5 * getattr(getattr(whole, side), bound)


def test_verdicts():
    assert audit(*upgrade(0.4, 0.8)).verdict == "compatible"
    assert audit(*upgrade(0.8, 0.4)).verdict == "incompatible"
    assert audit(*upgrade(0.6, 0.6)).verdict == "inconclusive"


def test_incompatible_when_either_side_is():
    """Classes 0 and 1 come closer to each other while each becomes tighter: only the second inequality is violated."""
    rng = np.random.default_rng(0)
    labels = np.arange(600) % 2
    old = cap_features(labels, 2 + 2, 0.8, rng)
    new = cap_features(labels, 2 + 2, 0.1, rng)
    tilted = new.unit + 2.0 * np.eye(4)[3]  # both classes lean the same way, away from either vertex
    mixed = FeatureSet(np.where(labels[:, None] == 0, new.unit, tilted), labels)
    report = audit(mixed, old)
    assert report.verdict == "incompatible"
    assert {report.same_class.verdict, report.different_class.verdict} != {"compatible"}


def test_the_margin_is_a_loss_that_is_accepted():
    new, old = upgrade(0.62, 0.6, num_samples=2000)
    report = audit(new, old)
    assert report.verdict == "incompatible"
    tolerant = audit(new, old, margin=0.1)
    assert tolerant.verdict == "compatible"
    assert tolerant.same_class.gap == report.same_class.gap


def test_identical_features_give_a_point():
    _, old = upgrade(0.5, 0.5)
    report = audit(old, old)
    assert (report.same_class.lower, report.same_class.upper) == (0.0, 0.0)
    assert report.verdict == "compatible"


def test_a_class_of_one_stays_out_of_its_own_side_and_is_noted():
    new, old = upgrade(0.5, 0.6, labels=np.array([0] * 40 + [1] * 40 + [2]))
    report = audit(new, old)
    assert report.same_class.num_pairs == 2 * 40 * 39
    assert report.different_class.num_pairs == 2 * (40 * 40 + 80)
    assert "1 class has one sample" in report.notes[0]
    assert "(2)" in report.notes[0]


def test_two_samples_cannot_tell():
    new, old = upgrade(0.5, 0.6, labels=np.array([0, 0, 1]))
    report = audit(new, old)
    assert math.isinf(report.same_class.upper)
    assert report.to_dict()["same_class"]["fixed"]["upper"] is None  # JSON has no infinity
    assert report.verdict == "inconclusive"


def test_json_is_the_report(tmp_path):
    report = audit(*upgrade(0.4, 0.8))
    report.to_json(tmp_path / "report.json")
    read = json.loads((tmp_path / "report.json").read_text())
    assert read == report.to_dict()
    assert read["same_class"]["verdict"] == "compatible"
    assert set(read) == {field.name for field in dataclasses.fields(report)} | {
        "margin_share",
        "excluded_loss",
        "whom",
    }
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_class_sums():
    rows, codes = np.arange(12.0).reshape(6, 2), np.array([2, 0, 1, 0, 2, 2])
    np.testing.assert_array_equal(class_sums(rows, codes, 3), [[8, 10], [4, 5], [18, 21]])


def gallery_upgrade(radius_new, radius_old, num_samples=400, seed=0):
    """(new, old, gallery of other samples)."""
    new, old = upgrade(radius_new, radius_old, num_samples, seed=seed)
    return new, old, cap_features(old.labels, old.dim, radius_old, np.random.default_rng(seed + 1000))


def test_verdicts_against_a_gallery_of_other_samples():
    for new_radius, old_radius, verdict in (
        (0.4, 0.8, "compatible"), (0.8, 0.4, "incompatible"), (0.6, 0.6, "inconclusive")
    ):  # fmt: skip
        new, old, gallery = gallery_upgrade(new_radius, old_radius)
        report = audit(new, old, gallery=gallery)
        assert (report.verdict, report.num_gallery) == (verdict, 400)


def test_classes_of_one_side_only_stay_on_the_other_inequality():
    new, old, gallery = gallery_upgrade(0.4, 0.8)
    some, rest = old.labels != 0, gallery.labels != 1
    new, old = (FeatureSet(s.features[some], s.labels[some]) for s in (new, old))
    report = audit(new, old, gallery=FeatureSet(gallery.features[rest], gallery.labels[rest]))
    assert report.num_classes == 5
    assert [entry.label for entry in report.by_class] == [2, 3, 4]
    assert report.class_pairs.total == 4 * 4 - 3
    assert "1 class has no gallery item" in report.notes[0]
    assert "1 class has gallery items only" in report.notes[1]
    assert report.common_mean_defect is None


@pytest.mark.parametrize("metric", ["euclidean", "angular"])
def test_other_distances(metric):
    assert audit(*upgrade(0.4, 0.8), metric=metric).verdict == "compatible"
    assert audit(*upgrade(0.8, 0.4), metric=metric).verdict == "incompatible"
    exact = theorem1_gaps(UniformCap(8, 0.4), UniformCap(8, 0.8), 5, metric)
    report = audit(*upgrade(0.4, 0.8), metric=metric)
    assert report.same_class.lower <= exact.same_class <= report.same_class.upper
    assert report.different_class.lower <= exact.different_class <= report.different_class.upper


def test_both_weightings_are_in_the_report():
    labels = np.repeat(np.arange(5), [300, 40, 30, 20, 10])
    new, old = upgrade(0.5, 0.6, labels=labels)
    pairs, classes = audit(new, old), audit(new, old, weights="classes")
    assert pairs.by_weighting == classes.by_weighting
    assert pairs.same_class == pairs.by_weighting["pairs"].same_class
    assert classes.same_class == pairs.by_weighting["classes"].same_class
    assert classes.same_class.gap == pytest.approx(np.mean([entry.gap for entry in pairs.by_class]), abs=1e-14)
    assert pairs.same_class.gap != classes.same_class.gap


def test_the_two_inequalities_are_one_where_old_means_sum_to_zero():
    """Whatever the new model is; the defect is what an off-centre old model adds."""
    labels = np.repeat(np.arange(5), 40)
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((5, 20, 8))
    vertices = simplex_vertices(5, 8)[:, None, :]
    # opposite noise about each vertex, turned until the unit features' means are at the vertices
    along = np.einsum("kd,knd->kn", vertices[:, 0], noise)[:, :, None]
    off = noise - along * vertices
    rows = np.concatenate([vertices + 0.3 * off, vertices - 0.3 * off], axis=1)
    lengths = np.linalg.norm(rows, axis=2, keepdims=True)
    rows = rows / lengths * (1.0 / np.mean(1.0 / lengths, axis=1, keepdims=True) / 5)
    old = FeatureSet(rows.reshape(200, 8), labels)
    new = FeatureSet(rng.standard_normal((200, 8)), labels)
    means = old.unit.reshape(5, 40, 8).mean(axis=1)
    report = audit(new, old)
    # class means have lengths that differ by some 1e-2, and so have their sum and the defect
    assert abs(report.common_mean_defect) < 4 * np.linalg.norm(means.sum(axis=0)) / 4
    tilted = FeatureSet(old.unit + np.eye(8)[0], labels)
    assert abs(audit(new, tilted).common_mean_defect) > 5 * abs(report.common_mean_defect)


def test_the_worst_class_and_class_pair_are_found():
    """Class 3 of the new model turned straight at the vertex of class 1."""
    new, old = upgrade(0.3, 0.6, num_samples=1000)
    vertices = simplex_vertices(5, 8)
    rows = new.unit.copy()
    rows[new.labels == 3] += 1.5 * vertices[1]
    report = audit(FeatureSet(rows, new.labels), old)
    assert (report.worst.same_class.label, report.worst.same_class.verdict) == (3, "incompatible")
    worst = report.worst.different_class
    assert (worst.query, worst.gallery, worst.verdict) == (3, 1, "incompatible")
    counts = report.class_pairs
    assert counts.total == 20
    assert counts.compatible + counts.incompatible + counts.inconclusive == 20
    assert counts.incompatible <= counts.negative
    assert [entry.verdict for entry in report.by_class if entry.label != 3] == ["compatible"] * 4


def test_many_class_pairs_are_counted_and_the_worst_is_judged(monkeypatch):
    new, old = upgrade(0.3, 0.6, num_samples=1000)
    every = audit(new, old)
    monkeypatch.setattr(_breakdown, "JUDGED_PAIRS", 0)
    few = audit(new, old)
    assert few.class_pairs.negative == every.class_pairs.negative
    assert few.class_pairs.compatible is None
    assert few.worst.different_class == every.worst.different_class
    monkeypatch.setattr(_breakdown, "SEARCH_WORK", 0.0)
    none = audit(new, old)
    assert none.class_pairs is None
    assert none.worst.different_class is None
    assert "not looked for" in none.notes[0]


@pytest.mark.simulations
def test_class_intervals_are_simultaneous():
    """At the boundary, with ten classes and ninety class pairs: any class decided is a false verdict."""
    runs, wrong, single = 120, np.zeros(2), 0
    for seed in range(runs):
        report = audit(*upgrade(0.6, 0.6, num_samples=300, num_classes=10, dim=9, seed=seed))
        wrong[0] += any(entry.verdict != "inconclusive" for entry in report.by_class)
        wrong[1] += report.class_pairs.inconclusive < report.class_pairs.total
        # read as if it were the only one, some class is decided more often
        single += any(abs(entry.gap) > 0.6 * entry.interval.half for entry in report.by_class)
    error = math.sqrt(0.025 * 0.975 / runs)
    assert np.all(wrong / runs <= 0.025 + 3 * error)
    assert single / runs > 0.025 + 3 * error


def test_holm_decides_at_least_what_bonferroni_does():
    p_values = np.array([0.004, 0.011, 0.03, 0.9])
    assert list(holm(p_values, 4) <= 0.05) == [True, True, False, False]
    assert list(p_values <= 0.05 / 4) == [True, True, False, False]
    assert list(holm(np.array([0.016, 0.012]), 4) <= 0.05) == [True, True]  # 0.016 > 0.05/4
    assert list(holm(np.array([0.02, 0.001]), 4) <= 0.05) == [False, True]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metric": "hamming"}, "metric must be one of sqeuclidean, cosine, euclidean, angular, got 'hamming'"),
        ({"confidence": 1.0}, r"confidence must be in \(0, 1\), got 1.0"),
        ({"confidence": float("nan")}, "confidence must be in"),
        ({"margin": -0.1}, "margin must be a finite number >= 0, or a percentage such as '5%', got -0.1"),
        ({"margin": "five"}, "margin must be a finite number >= 0, or a percentage such as '5%', got 'five'"),
        ({"margin": "-5%"}, "margin must be a finite number >= 0"),
        ({"margin": "nan%"}, "margin must be a finite number >= 0"),
        ({"margin": float("inf")}, "margin must be a finite number"),
        ({"weights": "samples"}, "weights must be one of pairs, classes, got 'samples'"),
        ({"seed": -1}, "seed must be an integer >= 0, got -1"),
        ({"seed": 1.5}, "seed must be an integer >= 0, got 1.5"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        audit(*upgrade(0.5, 0.6, num_samples=20), **arguments)


def features(rows=6, dim=3, labels=None):
    return FeatureSet(np.random.default_rng(0).standard_normal((rows, dim)), labels or [0, 1] * (rows // 2))


@pytest.mark.parametrize(
    ("gallery", "message"),
    [
        (features(6, 4), "gallery must have the samples' dimension 3, got 4"),
        (features(labels=list("ababab")), "must have labels of one kind, got integers .* and strings"),
        (features(labels=[7, 8] * 3), "gallery must share a class with the samples, but no label is in both"),
    ],
)
def test_a_gallery_that_does_not_belong_is_refused(gallery, message):
    with pytest.raises(ValueError, match=message):
        audit(features(), features(), gallery=gallery)


def test_one_class_is_refused():
    one = features(labels=[7] * 6)
    with pytest.raises(ValueError, match="at least two classes, got one: 7"):
        audit(one, one, gallery=one)


@pytest.mark.parametrize(
    ("new", "old", "message"),
    [
        (features(4), features(6), "the same samples, got 4 and 6 rows"),
        (features(6, 3), features(6, 4), "one dimension, got 3 and 4"),
        (features(labels=[0, 1, 0, 1, 1, 0]), features(), "2 rows differ, the first is row 4: 1 and 0"),
        (features(labels=list("ababab")), features(), "labels of one kind, got strings .* and integers"),
        (features(labels=[7] * 6), features(labels=[7] * 6), "at least two classes, got one: 7"),
        (features(labels=list(range(6))), features(labels=list(range(6))), "some class two samples"),
    ],
)
def test_sets_that_do_not_belong_together_are_refused(new, old, message):
    with pytest.raises(ValueError, match=message):
        audit(new, old)


@pytest.mark.parametrize("metric", ["sqeuclidean", "angular"])
def test_progress_ends_where_the_work_does(metric):
    new, old, gallery = gallery_upgrade(0.4, 0.8)
    seen: dict[str, list[tuple[int, int]]] = {}
    audit(new, old, metric, gallery=gallery, progress=lambda stage, *step: seen.setdefault(stage, []).append(step))
    # of small data all pairs are looked at in every distance, for the share of them that satisfies an inequality
    assert set(seen) == {"reading rows", "comparing blocks of pairs"}
    for steps in seen.values():
        done, total = zip(*steps, strict=True)
        assert list(done) == sorted(done)
        assert set(total) == {done[-1]}
    assert seen["reading rows"][-1] == (800, 800)


def test_class_pairs_are_searched_in_every_block(monkeypatch):
    """Classes are looked at a few at a time, and a block without queries does not end the search."""
    monkeypatch.setattr(_breakdown, "SEARCHED_AT_ONCE", 2)
    rng = np.random.default_rng(0)
    labels, item_labels = np.repeat([4, 6, 7], 9), np.repeat(np.arange(8), 5)
    new, old = (FeatureSet(rng.standard_normal((27, 3)), labels) for _ in range(2))
    gallery = FeatureSet(rng.standard_normal((40, 3)), item_labels)
    report = audit(new, old, gallery=gallery)
    t = 2.0 * (new.unit - old.unit) @ gallery.unit.T
    gaps = {(y, z): -t[np.ix_(labels == y, item_labels == z)].mean() for y in (4, 6, 7) for z in range(8) if y != z}
    assert report.class_pairs.total == 21
    assert report.class_pairs.negative == sum(gap < 0.0 for gap in gaps.values()) > 0
    worst = report.worst.different_class
    assert (worst.query, worst.gallery) == min(gaps, key=gaps.get)
    assert worst.gap == pytest.approx(min(gaps.values()), abs=1e-12)


def test_a_class_of_one_side_only_has_no_drift():
    new, old, gallery = gallery_upgrade(0.4, 0.8)
    some, rest = old.labels != 0, gallery.labels != 1
    new, old = (FeatureSet(s.features[some], s.labels[some]) for s in (new, old))
    report = audit(new, old, gallery=FeatureSet(gallery.features[rest], gallery.labels[rest]))
    assert [entry.label for entry in report.drift.by_class] == [2, 3, 4]

"""Accept thresholds: rates against loops, chosen thresholds, intervals that cover, verdicts, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.verification.samples import upgrade
from verification.decision import acceptance, thresholds
from verification.decision.thresholds import compare_thresholds
from verification.features import FeatureSet
from verification.page.curves import det_picture, roc_picture
from verification.simulated.calibration import Cell
from verification.simulated.thresholds import true_rates


def cosines(queries, items, same_samples):
    """Cosines, and masks of the pairs of one class and of different classes."""
    same = queries.labels[:, None] == items.labels
    pairs = ~np.eye(len(queries), dtype=bool) if same_samples else np.ones_like(same)
    return queries.unit @ items.unit.T, same & pairs, ~same


@pytest.mark.parametrize("with_gallery", [False, True])
@pytest.mark.parametrize("threshold", [0.37, None])
def test_rates_are_shares_of_pairs(with_gallery, threshold, monkeypatch):
    monkeypatch.setattr(acceptance, "_PAIRS", 7000)  # several blocks
    new, old = upgrade(0.9, 1.0)
    gallery = upgrade(0.9, 1.0, num_samples=150, seed=2)[1] if with_gallery else None
    items = gallery or old
    asked = {"far": 0.01} if threshold is None else {"threshold": threshold}
    report = compare_thresholds(new, old, gallery, **asked)
    for queries, far, tar in ((old, report.old_far, report.old_tar), (new, report.new_far, report.new_tar)):
        values, same, different = cosines(queries, items, not with_gallery)
        assert far.value == pytest.approx(np.mean(values[different] >= report.threshold))
        assert tar.value == pytest.approx(np.mean(values[same] >= report.threshold))
        assert far.lower < far.value < far.upper
        assert tar.lower < tar.value < tar.upper
    values, same, different = cosines(new, items, not with_gallery)
    assert report.far_change.value == pytest.approx(report.new_far.value - report.old_far.value)
    assert report.tar_change.value == pytest.approx(report.new_tar.value - report.old_tar.value)
    assert report.kept.tar.value == pytest.approx(np.mean(values[same] >= report.kept.threshold))
    kept = np.mean(values[different] >= report.kept.threshold)
    # no more than the old rate, and the next bin would be more
    assert kept <= report.old_far.value < np.mean(values[different] >= report.kept.threshold - 2.0 / acceptance.BINS)
    assert report.kept.lower < report.kept.threshold < report.kept.upper
    if threshold is None:
        assert report.old_far.value <= 0.01 + 1e-12  # rounding of a weighted mean
    curve = report.new_curve
    for at in (3, 10):
        assert curve.far[at] == pytest.approx(np.mean(values[different] >= curve.threshold[at]))
        assert curve.tar[at] == pytest.approx(np.mean(values[same] >= curve.threshold[at]))
    assert np.all(np.diff(curve.far) < 0.0)
    assert np.all(np.array(curve.lower) <= curve.tar)


def test_a_margin_on_far_is_a_share_of_the_old_rate():
    new, old = upgrade(1.0, 0.9, num_samples=600)
    report = compare_thresholds(new, old, threshold=0.4, far_margin="50%")
    assert report.far_change.value == pytest.approx(report.new_far.value - 1.5 * report.old_far.value)
    assert report.far_margin == 0.5
    strict, generous = (compare_thresholds(new, old, threshold=0.4, far_margin=m, tar_margin=0.9) for m in (0.0, 50.0))
    assert generous.verdict == "compatible"
    assert strict.far_change.verdict != "compatible"


def test_one_model_changes_nothing():
    _, old = upgrade(0.9, 1.0)
    report = compare_thresholds(old, old, far=0.01)
    assert report.verdict == "compatible"
    assert report.far_change[:3] == report.tar_change[:3] == report.kept.tar_change == (0.0, 0.0, 0.0)
    assert report.kept.threshold == report.threshold
    assert report.kept.tar == report.old_tar


def test_better_and_worse_models_are_told_apart():
    """Tighter classes accept more pairs of their own at any threshold and fewer others at a high one."""
    new, old = upgrade(0.7, 1.0, num_samples=600, dim=16)
    assert compare_thresholds(new, old, threshold=0.6).verdict == "compatible"
    assert compare_thresholds(old, new, threshold=0.6).verdict == "incompatible"


def test_few_pairs_that_differ_decide_nothing_and_a_margin_helps():
    new, old = upgrade(0.1, 0.11)  # at this threshold every pair of one class is accepted, and no other
    report = compare_thresholds(new, old, threshold=0.5)
    assert report.old_tar.value == report.new_tar.value == 1.0
    assert report.old_far.value == report.new_far.value == 0.0
    assert report.verdict == "inconclusive"
    assert report.old_tar.lower < 1.0
    assert 0.0 < report.old_far.upper < 0.05
    assert report.kept.lower == -math.inf
    assert compare_thresholds(new, old, threshold=0.5, tar_margin="5%").tar_change.verdict == "compatible"


def test_intervals_cover_the_true_rates():
    cell = Cell(120, 9, 10, 1.05, 1.0)
    old_far, new_far, old_tar, new_tar = true_rates(cell, 0.5)
    covered, runs = np.zeros(6), 60
    for seed in range(runs):
        new, old, _ = cell.draw(np.random.default_rng(seed))
        r = compare_thresholds(new, old, threshold=0.5)
        truths = old_far, new_far, old_tar, new_tar, new_far - old_far, new_tar - old_tar
        found = r.old_far, r.new_far, r.old_tar, r.new_tar, r.far_change, r.tar_change
        covered += [rate.lower <= truth <= rate.upper for rate, truth in zip(found, truths, strict=True)]
    # 95 % and 97.5 %, less four standard errors of 60 runs
    assert np.all(covered / runs >= 0.95 - 4 * math.sqrt(0.05 * 0.95 / runs)), covered / runs


def test_pairs_as_units_would_not_cover():
    """The control: the binomial interval of the pairs is far narrower than that of the samples."""
    new, old = upgrade(0.9, 1.0)
    r = compare_thresholds(new, old, threshold=0.5)
    pairs = 1.96 * math.sqrt(r.new_tar.value * (1.0 - r.new_tar.value) / r.same_pairs)
    assert r.new_tar.upper - r.new_tar.value > 2.0 * pairs


def test_a_seeded_part_of_many_samples_and_classes(monkeypatch):
    monkeypatch.setattr(thresholds, "MOST_ROWS", 200)
    monkeypatch.setattr(thresholds, "MOST_CLASSES", 10)
    new, old = upgrade(0.9, 1.0, num_samples=800, num_classes=20, dim=24)
    report = compare_thresholds(new, old, far=0.01, seed=5)
    assert report.num_samples == 200
    assert "all pairs of 200 of the 800 samples" in report.notes[0]
    assert "10 of the 20 classes" in report.notes[0]
    assert report == compare_thresholds(new, old, far=0.01, seed=5)
    assert report != compare_thresholds(new, old, far=0.01, seed=6)


def test_words_as_labels_and_a_gallery_of_other_classes():
    new, old = upgrade(0.9, 1.0, num_samples=200)
    words = np.array([f"class {label}" for label in old.labels])
    _, more = upgrade(0.9, 1.0, num_samples=200, seed=3)
    gallery = FeatureSet(more.features, np.array([f"class {label + 1}" for label in more.labels]))
    report = compare_thresholds(
        FeatureSet(new.features, words), FeatureSet(old.features, words), gallery, threshold=0.5
    )
    same = words[:, None] == gallery.labels
    assert report.same_pairs == same.sum()
    assert report.old_tar.value == pytest.approx(np.mean((old.unit @ gallery.unit.T)[same] >= 0.5))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "one of the two"),
        ({"threshold": 0.5, "far": 0.1}, "one of the two"),
        ({"threshold": 1.3}, r"threshold must be a cosine similarity in \[-1, 1\], got 1.3"),
        ({"threshold": float("nan")}, "threshold must be a cosine similarity"),
        ({"far": 0.0}, r"far must be in \(0, 1\), got 0.0"),
        ({"far": 1e-6}, "far must be at least .* for 10 accepted pairs among the 128,000"),
        ({"far": 0.01, "far_margin": "much"}, "the margin of FAR must be a finite number >= 0"),
        ({"far": 0.01, "tar_margin": -0.1}, "the margin of TAR must be a finite number >= 0"),
        ({"far": 0.01, "confidence": 1.0}, r"confidence must be in \(0, 1\)"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        compare_thresholds(*upgrade(0.9, 1.0), **arguments)


def test_curves_are_drawn_also_at_their_ends():
    flat = {"far": [0.5, 0.01], "tar": [1.0, 1.0], "lower": [0.99, 0.9], "upper": [1.0, 1.0]}
    for draw in (roc_picture, det_picture):
        for far in (0.0, 0.01):
            picture = draw([("old", flat), ("new", flat)], far, "what is to be seen")
            assert picture.startswith("<svg")
            assert "nan" not in picture
            assert ("margin" in picture) == (far > 0.0)

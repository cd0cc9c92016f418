"""Sums that are fed batch by batch: which rows are kept, what is refused, and the report."""

from __future__ import annotations

import numpy as np
import pytest

from tests.verification.samples import upgrade
from verification.audit import stream
from verification.audit.definition1 import judge_sides, side_confidence
from verification.audit.stream import UpgradeSums
from verification.statistics.gaps import estimate
from verification.statistics.interval import Criterion
from verification.statistics.linear import LinearPairs
from verification.statistics.rows import Rows


@pytest.mark.parametrize("waiting", [0, 30])
def test_of_each_class_the_rows_of_the_smallest_priorities_are_kept(monkeypatch, waiting):
    monkeypatch.setattr(stream, "WAITING", waiting)
    new, old = upgrade(0.6, 0.7, labels=np.random.default_rng(0).integers(0, 4, 160))
    sums, rng = UpgradeSums(5, 8, seed=3, kept_per_class=9), np.random.default_rng(3)
    priorities = np.empty(160)
    for rows in np.array_split(np.arange(160), 20):
        assert sums.update(new.features[rows], 2.0 * old.features[rows], old.labels[rows]) is sums
        priorities[rows] = rng.random(len(rows))
        waiting_now = sum(len(each.codes) for each in sums._waiting)
        assert waiting_now <= max(waiting, len(sums._kept.codes))
        sums.update(new.features[:0], old.features[:0], old.labels[:0])
    assert (waiting == 0) or bool(sums._waiting)
    expected = [np.flatnonzero(old.labels == c)[np.argsort(priorities[old.labels == c])[:9]] for c in range(4)]
    kept = sums._settle()
    np.testing.assert_array_equal(kept.codes, np.repeat(np.arange(4), 9))
    np.testing.assert_allclose(kept.models[0], new.unit[np.concatenate(expected)], atol=1e-15)
    np.testing.assert_allclose(kept.models[1], old.unit[np.concatenate(expected)], atol=1e-15)
    bars = kept.bars(5, 9)
    np.testing.assert_allclose(bars[:4], [priorities[rows].max() for rows in expected])
    assert np.isinf(bars[4])
    assert np.all(np.isinf(kept.bars(5, 10)))
    np.testing.assert_array_equal(sums.counts, np.bincount(old.labels, minlength=5))
    rule = Criterion(confidence=0.9, margin=0.03)
    found = sums.report(rule)
    rows_ = Rows(models=kept.models, codes=kept.codes, sizes=sums.counts)
    source = LinearPairs(rows=rows_, gallery=None, sums=sums._sums, gallery_sums=None, seed=0)
    one = Criterion(confidence=side_confidence(0.9), margin=0.03)
    assert found == judge_sides(estimate(source, ("pairs",))[0]["pairs"], one, contrast=rule)
    assert sums.report() == sums.report(Criterion(confidence=0.95, margin=0.0))


def test_merged_sums_keep_the_smallest_of_both():
    new, old = upgrade(0.6, 0.7, num_samples=100)
    one, other = UpgradeSums(5, 8, seed=1, kept_per_class=6), UpgradeSums(5, 8, seed=2, kept_per_class=6)
    one.update(new.features[:60], old.features[:60], old.labels[:60])
    other.update(new.features[60:], old.features[60:], old.labels[60:])
    priorities = np.concatenate([np.random.default_rng(1).random(60), np.random.default_rng(2).random(40)])
    assert one.merge(other) is one
    assert not one._waiting
    expected = [np.flatnonzero(old.labels == c)[np.argsort(priorities[old.labels == c])[:6]] for c in range(5)]
    np.testing.assert_allclose(one._kept.models[1], old.unit[np.concatenate(expected)], atol=1e-15)
    np.testing.assert_array_equal(one.counts, [20] * 5)
    for other in (UpgradeSums(4, 8), UpgradeSums(5, 7)):
        with pytest.raises(ValueError, match="sums must be of 5 classes in dimension 8, got"):
            one.merge(other)


def test_what_a_stream_refuses():
    assert UpgradeSums(2, 1).kept_per_class == 512
    UpgradeSums(2, 1, kept_per_class=4)
    for given, message in (
        ((1, 3, 0, 4), "num_classes must be an integer >= 2, got 1"),
        ((2, 0, 0, 4), "dim must be an integer >= 1, got 0"),
        ((2, 3, 0, 3), "kept_per_class must be an integer >= 4, got 3"),
        ((2.0, 3, 0, 4), "num_classes must be an integer"),
    ):
        with pytest.raises(ValueError, match=message):
            UpgradeSums(*given)
    rows = np.random.default_rng(0).standard_normal((3, 2))
    sums = UpgradeSums(3, 2)
    for labels, message in (([0, 1, 3], r"integers in \[0, 3\), got 0 to 3"), ([0, -1, 2], "got -1 to 2")):
        with pytest.raises(ValueError, match=message):
            sums.update(rows, rows, np.array(labels))
    for bad in (rows * [[0.0], [1.0], [1.0]], rows * [[np.nan], [1.0], [1.0]], rows * [[np.inf], [1.0], [1.0]]):
        with pytest.raises(ValueError, match="features must be finite, with no row of zeros"):
            sums.update(rows, bad, np.arange(3))
    with pytest.raises(ValueError, match=r"new and old must have shape \(2, 2\), got \(3, 2\)"):
        sums.update(rows, rows, np.arange(2))
    for labels in ([0, 0, 0], [0, 1, 2]):
        fed = UpgradeSums(3, 2).update(rows, rows, np.array(labels))
        with pytest.raises(ValueError, match="a report needs samples of two classes, and two samples of one"):
            fed.report()
    UpgradeSums(3, 2).update(rows, rows, np.array([2, 2, 0])).report()

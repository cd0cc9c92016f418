"""Sums that are fed batch by batch and merged say what an audit of all the data says."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from tests.verification.samples import upgrade
from verification import Criterion, UpgradeSums, audit
from verification.audit import stream


def fed(new, old, cuts, **options) -> UpgradeSums:
    """One stream for each part of the data, merged in their order."""
    streams = []
    for number, rows in enumerate(np.split(np.arange(len(old)), cuts)):
        one = UpgradeSums(5, 8, seed=number, **options)
        for batch in np.array_split(rows, 3):
            one.update(new.features[batch], old.features[batch], old.labels[batch])
        streams.append(one)
    for other in streams[1:]:
        streams[0].merge(other)
    return streams[0]


@pytest.mark.parametrize("cuts", [[], [100, 250]])
def test_batches_and_parts_give_the_gaps_and_intervals_of_an_audit(cuts):
    new, old = upgrade(0.6, 0.7)
    found, expected = fed(new, old, cuts).report(), audit(new, old)
    for side in ("same_class", "different_class"):
        one, other = getattr(found, side), getattr(expected, side)
        assert one.gap == pytest.approx(other.gap, abs=1e-12)  # float64 sums in another order
        assert one.fixed.half == pytest.approx(other.fixed.half, rel=0.02)  # from sampled pairs, and from all
        assert one.verdict == other.verdict


def test_a_part_of_the_rows_tells_the_variance_and_the_means_stay_exact():
    new, old = upgrade(0.6, 0.7, num_samples=4000)
    part, whole = fed(new, old, [1500], kept_per_class=200), fed(new, old, [])
    assert part.report().same_class.gap == pytest.approx(whole.report().same_class.gap, abs=1e-12)
    # the variance of 200 rows a class is known to about 5 %
    ratio = part.report().same_class.fixed.half / whole.report().same_class.fixed.half
    assert 0.85 < ratio < 1.15


@pytest.mark.simulations
def test_small_batches_keep_the_same_rows_and_are_sorted_in_rarely(monkeypatch):
    new, old = upgrade(0.6, 0.7, num_samples=4000)
    reports, calls = [], []
    monkeypatch.setattr(stream, "WAITING", 50)
    with_more = stream._Kept.with_more
    monkeypatch.setattr(
        stream._Kept, "with_more", lambda kept, others, most: calls.append(len(others)) or with_more(kept, others, most)
    )
    for batches in (4000, 1):
        sums = UpgradeSums(5, 8, kept_per_class=20)
        for rows in np.array_split(np.arange(4000), batches):
            sums.update(new.features[rows], old.features[rows], old.labels[rows])
        assert len(pickle.loads(pickle.dumps(sums))._kept.codes) == 100
        reports.append(sums.report())
    one, other = (report.same_class.fixed for report in reports)
    # float64 sums in another order; another row among those that are kept would change the third digit
    assert one.half == pytest.approx(other.half, rel=1e-9)
    # 4000 batches were sorted in a few times: rows of full classes are dropped as they come
    assert len(calls) < 20


def test_sums_from_memory_that_must_not_be_written_to_merge():
    new, old = upgrade(0.6, 0.7)
    parts = []
    for _ in range(2):
        buffers: list[pickle.PickleBuffer] = []
        sent = pickle.dumps(fed(new, old, []), protocol=5, buffer_callback=buffers.append)
        parts.append(pickle.loads(sent, buffers=[bytes(buffer.raw()) for buffer in buffers]))
    assert parts[0].merge(parts[1]).update(new.features, old.features, old.labels).counts.sum() == 3 * len(old)


def test_the_criterion_decides():
    new, old = upgrade(0.72, 0.7)
    sums = fed(new, old, [])
    assert sums.report().same_class.verdict == "incompatible"
    assert sums.report(Criterion(margin=0.5)).verdict == "compatible"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda sums: sums.update(np.ones((2, 3)), np.ones((2, 3)), np.array([0, 1])), r"shape \(2, 8\)"),
        (lambda sums: sums.update(np.ones((1, 8)), np.ones((1, 8)), np.array([5])), r"in \[0, 5\)"),
        (lambda sums: sums.update(np.zeros((1, 8)), np.ones((1, 8)), np.array([0])), "row of zeros"),
        (lambda sums: sums.merge(UpgradeSums(5, 9)), "dimension 8, got 5 in 9"),
        (lambda sums: sums.report(), "samples of two classes"),
        (lambda sums: UpgradeSums(1, 8), "num_classes must be an integer >= 2, got 1"),
    ],
)
def test_what_does_not_fit_is_refused(spoil, message):
    with pytest.raises(ValueError, match=message):
        spoil(UpgradeSums(5, 8))

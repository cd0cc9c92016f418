"""Parts of the data by their sizes, what is left out, and rows that stay together."""

from __future__ import annotations

import numpy as np
import pytest

from verification.bridge import splits as module
from verification.bridge.splits import Part, split, split_pairs
from verification.features import FeatureSet

RNG = np.random.default_rng(0)


def features(labels, dim=4, **columns) -> FeatureSet:
    return FeatureSet(RNG.standard_normal((len(labels), dim)), labels, **columns)


def sizes(part: Part, count: int) -> list[int]:
    return np.bincount(part.codes, minlength=count).tolist()


def test_what_does_not_divide_by_three_goes_to_the_fit():
    one = features(np.repeat(np.arange(6), [6, 7, 8, 9, 10, 2]))
    found = split(one, one, 0)
    assert sizes(found.fit, 6) == [2, 3, 4, 3, 4, 2]
    assert sizes(found.choice, 6) == sizes(found.audit, 6) == [2, 2, 2, 3, 3, 0]


@pytest.mark.parametrize(("classes", "held"), [(2, 0), (4, 0), (5, 3), (9, 3), (10, 3), (11, 4), (12, 4)])
def test_a_third_of_the_classes_is_held_out_three_at_least(classes, held):
    """Of four three would be held out, and a fit to one class would be held against the map."""
    one = features(np.repeat(np.arange(classes + 1), [*(classes * [6]), 5]))
    found = split(one, one, 0)
    assert len(found.held_out) == held
    assert np.array_equal(found.held_out, np.sort(found.held_out))
    assert classes not in found.held_out  # of too few samples
    assert len(split(one, one, 0, hold_out=False).held_out) == 0
    if held:
        assert not np.array_equal(found.held_out, split(one, one, 1).held_out)


def test_two_classes_of_six_are_enough_and_one_is_not():
    assert split(features([0] * 6 + [1] * 6), features([0] * 6 + [1] * 6), 0)
    one = features([0] * 6 + [1] * 5 + [2] * 3 + [3])
    with pytest.raises(
        ValueError, match=r"6 samples each, got 1 with as many; the largest classes have 6, 5, 3 samples"
    ):
        split(one, one, 0)


def test_groups_of_either_set_keep_rows_together():
    labels, groups = np.repeat([0, 1], 18), np.tile(np.repeat(np.arange(6), 3), 2)
    plain, grouped = features(labels), features(labels, groups=groups)
    for new, old in ((plain, grouped), (grouped, plain), (grouped, grouped)):
        found = split(new, old, 3)
        for part in (found.fit, found.choice, found.audit):
            assert np.unique(part.units, return_counts=True)[1].tolist() == [3, 3, 3, 3]
            assert sizes(part, 2) == [6, 6]
            some = part.of(np.array([1]))
            assert set(some.codes) == {1}
            assert len(some.units) == 6
            np.testing.assert_array_equal(part.without(np.array([0])).new, some.new)
    assert split(plain, plain, 3).fit.units is None
    assert split(plain, plain, 3).fit.of(np.array([1])).units is None


def test_large_sets_give_a_part_of_their_rows(monkeypatch):
    one, wide = features(np.arange(300) % 3), features(np.arange(300) % 3, dim=8)
    monkeypatch.setattr(module, "PART", 8 * 20)
    found = split(one, wide, 0)
    assert sum(len(part.codes) for part in (found.fit, found.choice, found.audit)) == 60
    assert [len(part.codes) for part in split_pairs(one, wide, 0)] == [40, 20]


def test_pairs_are_split_two_to_one():
    old = features(np.zeros(10, int))
    new = FeatureSet((old.features * 2.0).astype(np.float32))
    fit, choice = split_pairs(new, old, 4)
    assert (len(fit.codes), len(choice.codes)) == (7, 3)
    assert len(np.unique(np.concatenate([fit.old, choice.old]), axis=0)) == 10
    assert not fit.codes.any()
    assert fit.stored == choice.stored == 2.0**-24
    np.testing.assert_allclose(fit.new, fit.old, atol=1e-6)
    assert not np.array_equal(split_pairs(new, old, 5)[1].old, choice.old)
    six = [features(np.zeros(6, int)) for _ in range(2)]
    assert [len(part.codes) for part in split_pairs(*six, 0)] == [4, 2]

"""Retrieval in parts gives the numbers of one search of the whole gallery, however it is cut and merged."""

from __future__ import annotations

import pickle
from dataclasses import asdict
from functools import reduce
from hashlib import blake2b
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from tests.verification.test_determinism import agree, numbers
from verification.audit.accept import compare_identification
from verification.audit.parts import RetrievalParts, hashed_sample
from verification.audit.retrieval import compare_retrieval
from verification.features import FeatureSet
from verification.statistics.interval import Criterion
from verification.upgrade import Upgrade


def sets(ids=False, groups=False):
    rng = np.random.default_rng(0)
    means = rng.standard_normal((8, 6))
    labels, items = rng.integers(0, 8, 120), rng.integers(0, 6, 200)  # two classes are in no gallery
    labels[:30] %= 6
    old, gallery = (means[own] + rng.standard_normal((len(own), 6)) for own in (labels, items))
    new = old + 0.5 * rng.standard_normal(old.shape)
    gallery[150:160] = gallery[10:20]  # equal items in two parts: the first of them wins
    items[155:160] = (items[10:15] + 1) % 6
    gallery[60:70], items[60:70] = old[:10], labels[:10]  # queries that the gallery holds
    items[190:] = labels[20:30]  # and by id
    keys = (np.arange(120), np.arange(120), np.concatenate([np.arange(1000, 1190), np.arange(20, 30)]))
    named = [key if ids else None for key in keys]
    shots = [np.arange(120) // 2, np.arange(120) // 2, np.arange(200) // 3] if groups else [None] * 3
    return [
        FeatureSet(rows, own, key, shot)
        for rows, own, key, shot in zip((new, old, gallery), (labels, labels, items), named, shots, strict=True)
    ]


@pytest.mark.parametrize(
    ("ids", "groups", "same"), [(False, False, False), (True, False, False), (False, True, False), (True, False, True)]
)
@pytest.mark.parametrize("ends", [(0, 200), (0, 1, 65, 155, 200)])
def test_parts_merge_to_the_whole(ids, groups, same, ends):
    new, old, gallery = sets(ids, groups)
    new = old if same else new
    whole = compare_retrieval(Upgrade(new, old, gallery), margin=0.05)
    parts = [
        pickle.loads(pickle.dumps(RetrievalParts(new, old).add(gallery.select(np.arange(start, stop)), start)))
        for start, stop in pairwise(ends)
    ]
    for order in (parts, parts[::-1]):
        found = reduce(RetrievalParts.merge, pickle.loads(pickle.dumps(order))).report(Criterion(margin=0.05))
        assert found.change == whole.change
        assert (found.old_old, found.new_old) == (whole.scores[0].old_old, whole.scores[0].new_old)
        assert (found.num_queries, found.num_lone, found.num_gallery) == (
            whole.num_queries,
            whole.num_lone,
            whole.num_gallery,
        )
    assert found.num_lone


@pytest.mark.parametrize(("ids", "groups"), [(False, False), (True, False), (False, True)])
def test_identification_in_parts_is_that_of_the_whole(ids, groups):
    new, old, gallery = sets(ids, groups)
    whole = Upgrade(new, old, gallery)
    parts = [
        pickle.loads(pickle.dumps(RetrievalParts(new, old).add(gallery.select(np.arange(start, stop)), start)))
        for start, stop in pairwise((0, 75, 155, 200))
    ]
    found = reduce(RetrievalParts.merge, parts[::-1])
    for asked in ({"threshold": 0.8}, {"fpir": 0.1, "far_margin": "20%", "tar_margin": 0.1}):
        # cosines of matrices of another size, and sums of groups in another order, differ in their last digits
        mine, expected = found.identification(**asked), compare_identification(whole, **asked)
        agree(*(dict(numbers(asdict(each))) for each in (mine, expected)))


def test_who_finds_only_itself_is_not_enrolled():
    """As retrieval has it: an item that a probe may not find answers nothing."""
    new, old, gallery = sets(ids=True)
    alone = FeatureSet(old.features[-1:], [9], [119])
    queries = [FeatureSet(each.features, np.append(each.labels[:-1], 9), each.ids) for each in (new, old)]
    items = [np.concatenate([getattr(gallery, name), getattr(alone, name)]) for name in ("features", "labels", "ids")]
    with_own = compare_identification(Upgrade(*queries, FeatureSet(*items)), threshold=0.8)
    without = compare_identification(Upgrade(*queries, gallery), threshold=0.8)
    assert (with_own.rates.num_genuine, with_own.rates.num_impostors) == (
        without.rates.num_genuine,
        without.rates.num_impostors,
    )
    assert with_own.rank1 == without.rank1


def test_what_does_not_belong_together_is_refused():
    new, old, gallery = sets()
    sent = pickle.loads(pickle.dumps(RetrievalParts(new, old)))
    with pytest.raises(ValueError, match="take in no gallery"):
        sent.add(gallery, 0)
    with pytest.raises(ValueError, match="the same queries"):
        sent.merge(RetrievalParts(new.select(np.arange(50)), old.select(np.arange(50))))
    bare = FeatureSet(gallery.features)
    for refused in (lambda: RetrievalParts(bare, bare), lambda: RetrievalParts(new, old).add(bare, 0)):
        with pytest.raises(ValueError, match="must have labels, one per row"):
            refused()
    with pytest.raises(ValueError, match="no query has an item that answers it"):
        sent.report()


def test_a_hashed_sample_does_not_depend_on_how_rows_are_split_ordered_or_written():
    ids = np.random.default_rng(0).permutation(10**12 + np.arange(5000))
    whole = hashed_sample(ids, 0.3, seed=4)
    parts = [hashed_sample(some, 0.3, seed=4) for some in np.split(ids, [1, 1700, 1701])]
    assert np.array_equal(np.concatenate(parts), whole)
    assert np.array_equal(hashed_sample(ids[::-1], 0.3, seed=4), whole[::-1])
    assert np.array_equal(hashed_sample(ids.astype(str), 0.3, seed=4), whole)
    assert np.array_equal(hashed_sample(np.append(ids.astype(str), "a longer one"), 0.3, seed=4)[:-1], whole)
    larger = hashed_sample(ids, 0.4, seed=4)
    assert np.all(larger[whole])
    assert not np.all(whole[larger])
    assert np.all(hashed_sample(ids, 1.0))


def test_a_hashed_sample_is_what_digests_say():
    """Workers of other versions draw the same rows: the first 53 bits of BLAKE2b as a fraction, keyed by the seed."""
    names = [f"row {number}" for number in range(300)]
    for seed in (0, 5, 2**64 - 1):
        numbers_ = [
            int.from_bytes(blake2b(name.encode(), digest_size=8, key=seed.to_bytes(8, "little")).digest(), "little")
            for name in names
        ]
        for share in (0.001, 0.5, 0.9, (sorted(numbers_)[150] >> 11) / 2**53, 1.0):
            expected = [(number >> 11) / 2**53 < share for number in numbers_]
            assert hashed_sample(names, share, seed=seed).tolist() == expected
    with pytest.raises(ValueError, match=r"seed must be an integer from 0 to 2\*\*64 - 1, got 18446744073709551616"):
        hashed_sample(names, 0.5, seed=2**64)


def test_a_hashed_sample_draws_each_value_with_its_share_and_whole_classes():
    labels = np.repeat([f"class {number}" for number in range(20_000)], 2)
    drawn = hashed_sample(labels, 0.1)
    assert np.array_equal(drawn[::2], drawn[1::2])
    # 1e-6 each: a test that fails by chance tells nothing
    assert stats.binomtest(int(drawn[::2].sum()), 20_000, 0.1).pvalue > 1e-6
    other = hashed_sample(labels, 0.1, seed=1)
    both = stats.contingency.crosstab(drawn[::2], other[::2]).count
    assert stats.chi2_contingency(both).pvalue > 1e-6


@pytest.mark.parametrize(
    ("values", "share", "seed", "match"),
    [
        (np.zeros(3), 0.5, 0, "values must be integers or strings, shape \\(n,\\), got float64 of shape \\(3,\\)"),
        (np.zeros((3, 1), int), 0.5, 0, "got int64 of shape \\(3, 1\\)"),
        (np.arange(3), 0.0, 0, "share must be in \\(0, 1\\], got 0.0"),
        (np.arange(3), 1.5, 0, "share must be"),
        (np.arange(3), 0.5, -1, "seed must be an integer from 0"),
    ],
)
def test_what_cannot_be_drawn_is_refused(values, share, seed, match):
    with pytest.raises(ValueError, match=match):
        hashed_sample(values, share, seed=seed)

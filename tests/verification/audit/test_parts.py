"""Retrieval in parts gives the numbers of one search of the whole gallery, however it is cut and merged."""

from __future__ import annotations

import pickle
from functools import reduce
from itertools import pairwise

import numpy as np
import pytest

from verification.audit.parts import RetrievalParts
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

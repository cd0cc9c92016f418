"""The search engine against a plain float64 loop: ties, duplicates, units, any blocks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from scipy import stats

from tests.strategies import seeds
from tests.verification.samples import upgrade
from verification.features import FeatureSet
from verification.search import nearest, ranks, similarity
from verification.search.nearest import nearest_rows, search, share_kept

EAST = [1.0, 0.0]


def rankings(queries, gallery, similarity, query_units, item_units, present):
    """One query at a time: (rows, similarities) of the whole ranking."""
    blocks = gallery.normalized_blocks() if similarity == "cosine" else gallery.blocks()
    items = np.concatenate(list(blocks)).astype(float)
    for model in queries:
        for i, query in enumerate(model):
            terms = -((query - items) ** 2) if similarity == "l2" else query * items
            values = np.add.reduce(terms, axis=1)
            there = np.flatnonzero(present & ((item_units != query_units[i]) | (query_units[i] == -1)))
            order = there[np.argsort(-values[there], kind="stable")]
            yield order, values[order]


def lattice(rng, num_rows, dim):
    """Rows with many exact and many nearly exact ties, of any length."""
    rows = rng.integers(-2, 3, (num_rows, dim)) + 0.5 * (np.arange(dim) == 0)
    rows = rows + rng.choice([0.0, 1e-9, 1e-7], (num_rows, 1)) * rng.standard_normal((num_rows, dim))
    return rows * 10.0 ** rng.choice([0, 0, rng.integers(-30, 30)])


@pytest.mark.parametrize("kind", ["cosine", "dot", "l2"])
@settings(deadline=None, max_examples=30)  # the machine may be busy
@given(seed=seeds)
def test_it_finds_what_a_loop_finds_ties_included(kind, seed):
    rng = np.random.default_rng(seed)
    dim, size, num, k = (int(rng.integers(1, most)) for most in (7, 100, 12, 110))
    gallery = FeatureSet(lattice(rng, size, dim).astype(rng.choice(["f4", "f8"])), np.zeros(size, int))
    models = [lattice(rng, num, dim) for _ in range(rng.integers(1, 3))]
    if kind == "cosine":
        models = [FeatureSet(rows, np.zeros(num, int)).unit for rows in models]
    query_units, item_units = rng.integers(-1, 6, num), rng.integers(-1, 6, size)
    present = rng.random(size) < rng.choice([0.5, 1.0])
    pairs = rng.integers(0, num, 150), rng.integers(0, size, 150)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(similarity, "BLOCK_ROWS", int(rng.choice([1, 7, 64, 2**14])))
        monkeypatch.setattr(nearest, "_PRODUCTS", int(rng.choice([64, 2**21])))
        monkeypatch.setattr(ranks, "_PRODUCTS", int(rng.choice([64, 2**21])))
        monkeypatch.setattr(nearest, "_QUERIES", int(rng.choice([3, 2**11])))
        monkeypatch.setattr(nearest, "_SPARE", int(rng.choice([0, 3, 32])))
        monkeypatch.setattr(nearest, "_FLOOD", int(rng.choice([0, 10, 512])))
        found = search(
            models,
            gallery,
            k,
            query_units=query_units,
            item_units=item_units,
            present=present,
            similarity=kind,
            ranked=pairs,
        )
    expected = list(rankings(models, gallery, kind, query_units, item_units, present))
    shape = (len(models), num, k)
    rows, values = np.full((len(expected), k), -1), np.full((len(expected), k), -np.inf)
    places = np.zeros((len(expected), size), int)
    for i, (order, ordered) in enumerate(expected):
        rows[i, : len(order)], values[i, : len(order)] = order[:k], ordered[:k]
        places[i, order] = np.arange(1, len(order) + 1)
    np.testing.assert_array_equal(found.rows, rows.reshape(shape))
    np.testing.assert_array_equal(found.similarity, values.reshape(shape))
    np.testing.assert_array_equal(found.ranks, places.reshape(len(models), num, size)[:, pairs[0], pairs[1]])


@pytest.mark.parametrize("kind", ["cosine", "dot", "l2"])
def test_a_larger_search_over_many_blocks(kind, monkeypatch):
    """Enough items that shortlists fill, thresholds rise and most items are never settled."""
    monkeypatch.setattr(similarity, "BLOCK_ROWS", 500)
    rng = np.random.default_rng(3)
    gallery = FeatureSet(rng.standard_normal((4000, 24)).astype("f4"), np.zeros(4000, int))
    models = [rng.standard_normal((30, 24)) for _ in range(2)]
    if kind == "cosine":
        models = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in models]
    units, settled = rng.integers(0, 40, 4000), []
    of_pairs = similarity.Similarity.of_pairs
    monkeypatch.setattr(similarity.Similarity, "of_pairs", lambda *a: settled.append(len(a[1])) or of_pairs(*a))
    found = search(models, gallery, 10, query_units=np.arange(30), item_units=units, similarity=kind)
    expected = list(rankings(models, gallery, kind, np.arange(30), units, np.full(4000, True)))
    np.testing.assert_array_equal(found.rows.reshape(60, 10), [order[:10] for order, _ in expected])
    assert sum(settled) < 0.1 * 60 * 4000


@pytest.mark.parametrize("noise", [0.0, 1e-5])
def test_a_collapsed_model_is_searched_without_settling_every_pair(noise, monkeypatch):
    """Rows that are all equal, or that float32 products cannot tell apart."""
    monkeypatch.setattr(similarity, "BLOCK_ROWS", 1000)
    monkeypatch.setattr(nearest, "_FLOOD", 50)
    rng = np.random.default_rng(2)
    rows = np.array([0.6, 0.8, 1.0, -1.0]) + noise * rng.standard_normal((2500, 4))
    gallery = FeatureSet(rows, np.zeros(2500, int))
    units, pairs = np.arange(2500), (np.zeros(3, int), np.array([2499, 0, 120]))
    models, settled = [gallery.unit[5:25]], []
    of_pairs = similarity.Similarity.of_pairs
    monkeypatch.setattr(similarity.Similarity, "of_pairs", lambda *a: settled.append(len(a[1])) or of_pairs(*a))
    found = search(models, gallery, 3, query_units=units[5:25], item_units=units)
    assert sum(settled) < 0.05 * 20 * 2500
    expected = list(rankings(models, gallery, "cosine", units[5:25], units, np.full(2500, True)))
    np.testing.assert_array_equal(found.rows[0], [order[:3] for order, _ in expected])
    ranks = search(models, gallery, 1, query_units=units[5:25], item_units=units, ranked=pairs).ranks
    np.testing.assert_array_equal(ranks[0], [1 + np.flatnonzero(expected[0][0] == item)[0] for item in pairs[1]])


def test_the_share_that_is_kept_is_a_mean_over_queries():
    old = np.array([[0, 1], [2, 3], [4, -1], [-1, -1]])
    new = np.array([[1, 0], [3, 9], [5, -1], [2, 3]])
    found = share_kept(old, new, 0.9)
    shares = np.array([1.0, 0.5, 0.0, 0.0])
    half = stats.t.ppf(0.95, 3) * shares.std(ddof=1) / 2.0
    assert (found.value, found.lower, found.upper) == pytest.approx((0.375, max(0.375 - half, 0.0), 0.375 + half))
    two = share_kept(old[:2], new[:2], 0.9)
    assert (two.value, two.lower, two.upper) == (0.75, 0.0, 1.0)
    one = share_kept(old[1:2], new[1:2], 0.9)
    assert (one.value, one.lower, one.upper) == (0.5, 0.0, 1.0)


def test_equal_rows_are_found_in_their_order_however_many_there_are():
    """Of 300 copies of two rows a query finds the first ones that it may find."""
    rows = np.tile(np.eye(2), (150, 1))
    units = np.where(np.arange(300) < 8, 1, np.arange(300) + 10)
    found = search([np.eye(2)], FeatureSet(rows), 5, query_units=np.array([1, 2]), item_units=units)
    np.testing.assert_array_equal(found.rows[0], [[8, 10, 12, 14, 16], [1, 3, 5, 7, 9]])
    np.testing.assert_array_equal(nearest._first_equals(rows, 2), [0, 1, 2, 3])
    np.testing.assert_array_equal(nearest._first_equals(np.arange(6.0)[:, None], 1), np.arange(6))
    # equal in the first coordinate only
    np.testing.assert_array_equal(nearest._first_equals(np.c_[np.zeros(4), np.arange(4)], 1), np.arange(4))


def test_as_many_items_are_found_as_there_are():
    gallery = FeatureSet(np.eye(3))
    assert nearest_rows(gallery, gallery, 3).shape == (3, 3)
    assert nearest_rows(gallery, gallery, 2, same_samples=True).tolist() == [[1, 2], [0, 2], [0, 1]]
    for k, options, most in ((0, {}, 3), (4, {}, 3), (3, {"same_samples": True}, 2)):
        with pytest.raises(ValueError, match=f"k must be from 1 to {most}, the gallery's items .* got {k}"):
            nearest_rows(gallery, gallery, k, **options)
    beyond = search([np.eye(3)], gallery, 5).rows[0]
    assert beyond[0].tolist() == [0, 1, 2, -1, -1]


def test_rows_just_long_enough_for_a_cosine_are_searched():
    gallery = FeatureSet(np.eye(2))
    for length, message in ((1.0009, None), (0.9991, None), (1.0011, "row 0 has 1.001"), (0.9989, "row 0 has 0.9989")):
        if message is None:
            assert search([length * np.eye(2)], gallery, 1).rows.ravel().tolist() == [0, 1]
        else:
            with pytest.raises(ValueError, match=f"queries must have length 1 for the cosine, but {message}"):
                search([length * np.eye(2)], gallery, 1)
    later = np.eye(2) * [[1.0], [2.0]]
    with pytest.raises(ValueError, match="row 1 has 2; divide each row by its length"):
        search([np.eye(2), later], gallery, 1)
    with pytest.raises(ValueError, match="queries must have rows of ±1 for the Hamming distance"):
        search([np.eye(2)], gallery, 1, similarity="hamming")
    with pytest.raises(ValueError, match="gallery must have rows of ±1 for the Hamming distance"):
        search([np.ones((1, 2))], gallery, 1, similarity="hamming")


def test_shards_change_nothing(tmp_path):
    new, old = upgrade(0.3, 0.9, num_samples=100)
    for name, rows in (("a", slice(0, 37)), ("b", slice(37, 38)), ("c", slice(38, 100))):
        FeatureSet(old.features[rows], old.labels[rows]).save(tmp_path / f"{name}.npz")
    shards = FeatureSet.load(tmp_path)
    whole, split = (
        search([new.unit], gallery, 4, ranked=(np.arange(100), np.arange(100))) for gallery in (old, shards)
    )
    np.testing.assert_array_equal(whole.rows, split.rows)
    np.testing.assert_array_equal(whole.similarity, split.similarity)
    np.testing.assert_array_equal(whole.ranks, split.ranks)


def test_the_gallery_is_read_once(monkeypatch):
    new, old = upgrade(0.3, 0.9, num_samples=300)
    reads = []
    blocks = FeatureSet.normalized_blocks
    monkeypatch.setattr(FeatureSet, "normalized_blocks", lambda *a: reads.append(a[0]) or blocks(*a))
    models = [old.unit, new.unit]
    search(models, old, 3)
    assert reads == [old]
    search(models, old, 3, ranked=(np.zeros(1, int), np.ones(1, int)))
    assert reads == 3 * [old]


def test_search_never_holds_all_products(monkeypatch):
    monkeypatch.setattr(nearest, "_PRODUCTS", 2**14)
    monkeypatch.setattr(similarity, "BLOCK_ROWS", 512)
    new, old = upgrade(0.3, 0.9, num_samples=3000)
    sizes = []
    monkeypatch.setattr(np, "flatnonzero", lambda a, real=np.flatnonzero: sizes.append(a.size) or real(a))
    nearest_rows(new, old)
    assert max(sizes) == 2**14


@pytest.mark.usefixtures("unchecked")
def test_unusable_searches_are_refused():
    gallery = FeatureSet(np.array([EAST, [0.0, 1.0]]), [0, 1])
    query = np.array([EAST])
    for arguments, message in (
        (([query], gallery, 0), "k must be an integer >= 1, got 0"),
        (([], gallery, 1), "arrays of one shape"),
        (([query, np.ones((2, 2))], gallery, 1), "arrays of one shape"),
        (([np.ones((1, 3))], gallery, 1), "one dimension, got 3 and 2"),
        (([5.0 * query], gallery, 1), "length 1 for the cosine, but row 0 has 5"),
    ):
        with pytest.raises(ValueError, match=message):
            search(*arguments)
    for options, message in (
        ({"similarity": "manhattan"}, "'cosine', 'dot', 'l2' or 'hamming', got 'manhattan'"),
        ({"query_units": np.array([1])}, "given together"),
        ({"query_units": np.array([1]), "item_units": np.array([1])}, "item_units must be 2 integers"),
        ({"present": np.array([1, 0])}, "present must be 2 booleans"),
        ({"ranked": (np.array([0]), np.array([2]))}, "gallery rows from 0 to 1, got 2 to 2"),
        ({"ranked": (np.array([0, 0]), np.array([1]))}, "two arrays of one shape"),
    ):
        with pytest.raises(ValueError, match=message):
            search([query], gallery, 1, **options)
    with pytest.raises(ValueError, match="queries must have finite rows shorter than 1e150"):
        search([1e200 * query], gallery, 1, similarity="dot")

"""What queries may find and how alike two rows are, against plain loops."""

from __future__ import annotations

import numpy as np
import pytest

from verification.features import FeatureSet
from verification.search.rules import Rules
from verification.search.similarity import Similarity, check_signs

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("units", [False, True])
@pytest.mark.parametrize("absent", [False, True])
def test_rules_are_the_loop(units, absent):
    query_units, item_units = np.array([0, 2, -1]), np.array([2, -1, 0, 2, 5])
    present = np.array([True, True, False, True, True])
    rules = Rules(2, 3, 5, *((query_units, item_units) if units else (None, None)), present if absent else None)

    def may(query, item):
        own = query_units[query % 3]
        return not (units and own == item_units[item] and own != -1) and not (absent and not present[item])

    pairs = [(query, item) for query in range(6) for item in range(5)]
    queries, items = np.array(pairs).T
    assert rules.allows(queries, items).tolist() == [may(*pair) for pair in pairs]
    some, block = np.array([1, 4, 5, 0]), np.array([3, 0, 2])
    found = set(zip(*(part.tolist() for part in rules.forbidden(some, block)), strict=True))
    assert found == {(i, j) for i in range(4) for j in range(3) if not may(some[i], block[j])}
    own = [sum(units and item_units[i] == query_units[q % 3] != -1 for i in block) for q in range(6)]
    assert rules.own(block).tolist() == own


def test_units_are_given_for_both_sides_and_are_integers():
    for arguments, message in (
        ((np.zeros(1, int), None, None), "query_units and item_units must be given together"),
        ((None, np.zeros(2, int), None), "query_units and item_units must be given together"),
        ((np.zeros(1), np.zeros(2, int), None), r"query_units must be 1 integers, got shape \(1,\) of float64"),
        ((np.zeros(1, int), np.zeros(3, int), None), r"item_units must be 2 integers, got shape \(3,\) of int64"),
        ((None, None, np.zeros(2, int)), r"present must be 2 booleans, got shape \(2,\) of int64"),
    ):
        with pytest.raises(ValueError, match=message):
            Rules(1, 1, 2, *arguments)


@pytest.mark.parametrize("name", ["cosine", "dot", "l2", "hamming"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_products_are_similarities_on_their_scale_to_the_slack(name, dtype):
    """A pair's product and its similarity on the product's scale differ by less than half of the slack."""
    rows, items = RNG.standard_normal((7, 6)), RNG.standard_normal((9, 6)) * np.arange(1, 10)[:, None]
    if name == "hamming":
        rows, items = np.sign(rows), np.sign(items)
    if name == "cosine":
        rows, items = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (rows, items))
    kind = Similarity(name, [rows[:4], rows[3:7]], FeatureSet(items))
    stacked = np.concatenate([rows[:4], rows[3:7]])
    block = np.concatenate(list(kind.blocks()))
    query, item = np.divmod(np.arange(8 * 9), 9)
    found = kind.of_pairs(query, block, item)
    first, second = stacked[query], block[item]
    expected = -np.sum((first - second) ** 2, axis=1) if name == "l2" else np.sum(first * second, axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)
    scaled = kind.scaled(block, dtype)
    products = (scaled.queries @ scaled.items.T)[query, item]
    error = np.abs(products - scaled.threshold(found, query))
    assert np.all(error <= scaled.slack[query] / 2.0)
    assert np.all(np.abs(products) <= 1.0 + 1e-6)
    assert np.all(scaled.slack < (1e-4 if dtype is np.float32 else 1e-13))
    np.testing.assert_array_equal(scaled.threshold(found[:8]), scaled.threshold(found[:8], np.arange(8)))


def test_rows_that_have_no_length_and_pairs_in_parts(monkeypatch):
    zero = Similarity("dot", [np.zeros((2, 3))], FeatureSet(np.eye(3)))
    scaled = zero.scaled(np.zeros((1, 3)), np.float64)
    assert np.all(np.isfinite(scaled.queries))
    assert not (scaled.queries @ scaled.items.T).any()
    gallery = FeatureSet(RNG.standard_normal((20, 3)))
    kind = Similarity("l2", [RNG.standard_normal((5, 3))], gallery)
    query, item = RNG.integers(0, 5, 50), RNG.integers(0, 20, 50)
    block = next(kind.blocks())
    whole = kind.of_pairs(query, block, item)
    for numbers in (1, 3, 7, 30):
        monkeypatch.setattr("verification.search.similarity._PAIR_NUMBERS", numbers)
        np.testing.assert_array_equal(kind.of_pairs(query, block, item), whole)
    for rows, count in ((1, 20), (6, 4), (20, 1), (100, 1)):
        monkeypatch.setattr("verification.search.similarity.BLOCK_ROWS", rows)
        assert len(list(kind.blocks())) == count
    monkeypatch.setattr("verification.search.similarity.BLOCK_NUMBERS", 30)
    assert len(list(kind.blocks())) == 2
    check_signs(np.array([[1.0, -1.0]]), "rows")
    with pytest.raises(ValueError, match="rows must have rows of ±1"):
        check_signs(np.array([[1.0, 0.5]]), "rows")
    long = np.full((1, 3), 5.7e149)
    Similarity("dot", [long], gallery)
    with pytest.raises(ValueError, match="queries must have finite rows shorter than 1e150"):
        Similarity("dot", [1.1 * long], gallery)

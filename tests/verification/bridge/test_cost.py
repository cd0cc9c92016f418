"""What a map costs: against loops over queries, units and a part of the samples."""

from __future__ import annotations

import numpy as np
import pytest

from verification.bridge import cost as module
from verification.bridge.cost import cost
from verification.bridge.judge import mapped, unit
from verification.bridge.maps import FeatureMap
from verification.bridge.splits import Part

RNG = np.random.default_rng(0)
CODES = np.repeat([0, 1, 2, 3], [8, 8, 7, 1])
NEW, OLD = (unit(np.eye(4)[CODES] + 0.7 * RNG.standard_normal((24, 4))) for _ in range(2))
MATRIX = np.linalg.qr(RNG.standard_normal((4, 4)))[0]


def hits(queries, items, units):
    found = []
    for i in range(24):
        others = [j for j in range(24) if units[j] != units[i]]
        found.append(CODES[max(others, key=lambda j: queries[i] @ items[j])] == CODES[i])
    return np.array(found, float)


@pytest.mark.parametrize("direction", ["queries", "gallery"])
@pytest.mark.parametrize("grouped", [False, True])
def test_shares_are_those_of_queries_that_can_be_answered(direction, grouped):
    units = np.where(CODES == 2, 100, np.arange(24)) if grouped else np.arange(24)
    found = FeatureMap("orthogonal", direction, MATRIX, np.full(4, 0.1))
    part = Part(NEW, OLD, CODES, 2.0**-53, units if grouped else None)
    queries, items = (unit(NEW @ MATRIX + 0.1), OLD) if direction == "queries" else (NEW, unit(OLD @ MATRIX + 0.1))
    for rows, expected in zip(mapped(found, part), (queries, items), strict=True):
        np.testing.assert_allclose(rows, expected, rtol=1e-12)
    measured = cost(found, part, 0.9, seed=0)
    # the class of one sample, or of one group, has no other to be found
    some = CODES < 2 if grouped else CODES < 3
    shares = [float(hits(*sides, units)[some].mean()) for sides in ((OLD, OLD), (queries, items), (NEW, NEW))]
    assert [measured.old_old, measured.mapped, measured.new_new] == pytest.approx(shares)
    assert measured.num_searched == int(some.sum())
    assert measured.lost.value == pytest.approx(shares[2] - shares[1])
    assert len(set(shares)) > 1


def test_of_many_samples_a_part_is_searched(monkeypatch):
    found = FeatureMap("identity", "queries", np.eye(4), np.zeros(4))
    part = Part(NEW, OLD, np.arange(24) % 2, 2.0**-53)
    assert cost(found, part, 0.9, seed=0).num_searched == 24
    monkeypatch.setattr(module, "SEARCHED", 24)
    assert cost(found, part, 0.9, seed=0).num_searched == 24
    monkeypatch.setattr(module, "SEARCHED", 10)
    assert cost(found, part, 0.9, seed=0).num_searched == 10


def test_rows_of_zeros_stay_zeros():
    np.testing.assert_array_equal(unit(np.array([[0.0, 0.0], [3.0, 4.0]])), [[0.0, 0.0], [0.6, 0.8]])

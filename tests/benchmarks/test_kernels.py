"""Cost of a pair by every kernel, in the words of pytest-benchmark: ``pytest tests/benchmarks --benchmark-only``.

The comparison is with the released cone sampler (sambal, if installed), with full vectors, and with the floor, the
time to draw two uniform, one normal and one gamma variate a pair. Medians of CPU time; ``pairs`` stands beside each.
``stationary bench`` prints the same tasks as one table, taking turns.
"""

from __future__ import annotations

import time

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from theory.benchmark import DIMS, METHODS, task


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.benchmark(timer=time.process_time)
def test_cost_of_a_pair(benchmark: BenchmarkFixture, dim: int, method: str) -> None:
    found = task(dim, method)
    if found is None:
        pytest.skip("sambal is not installed")
    run, pairs = found
    benchmark.group = f"dim {dim}"
    benchmark.extra_info["pairs"] = pairs
    benchmark.pedantic(run, rounds=7, warmup_rounds=1)
    benchmark.extra_info["nanoseconds_per_pair"] = 1e9 * benchmark.stats.stats.median / pairs


@pytest.mark.slow
def test_scalars_cost_at_most_half_more_than_their_random_numbers_and_no_more_in_high_dimension() -> None:
    contenders = {
        name: task(dim, method)
        for name, dim, method in (("floor", 1023, "floor"), ("high", 1023, "scalars"), ("low", 9, "scalars"))
    }
    cost = dict.fromkeys(contenders, float("inf"))
    for _ in range(25):  # taking turns; the fastest of each, as other processes only ever add time
        for name, found in contenders.items():
            assert found is not None
            run, pairs = found
            start = time.process_time()
            run()
            cost[name] = min(cost[name], (time.process_time() - start) / pairs)
    assert cost["high"] < 1.5 * cost["floor"]
    assert cost["high"] < 1.1 * cost["low"]  # the same operations: a tenth is timing noise

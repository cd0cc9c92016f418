"""Cost of an accept rate: ``pytest tests/benchmarks/test_acceptance.py --benchmark-only``.

``first`` is one value of two laws that were not seen before, ``next`` one more of the same laws, and ``many`` 200
thresholds in one call. Medians of CPU time; milliseconds a value stand beside each.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from theory import acceptance
from theory.caps import UniformCap
from theory.von_mises_fisher import VonMisesFisher

THRESHOLDS = np.linspace(-0.9, 0.95, 200)
DIMS = (2, 3, 9, 16, 64, 1024, 10**5)
LAWS: dict[str, Callable[[int], tuple[UniformCap | VonMisesFisher, UniformCap | VonMisesFisher]]] = {
    "caps": lambda dim: (UniformCap(dim, 0.3), UniformCap(dim, 0.6)),
    "wide caps": lambda dim: (UniformCap(dim, 1.2), UniformCap(dim, 2.2)),
    "nearly equal caps": lambda dim: (UniformCap(dim, 0.5999), UniformCap(dim, 0.6)),
    "von Mises-Fisher": lambda dim: (VonMisesFisher(dim, 3.0 * dim), VonMisesFisher(dim, 2.0 * dim)),
    "mixed": lambda dim: (UniformCap(dim, 0.5), VonMisesFisher(dim, 2.0 * dim)),
}


@pytest.mark.parametrize("use", ["first", "next", "many"])
@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("laws", LAWS)
@pytest.mark.benchmark(timer=time.process_time)
def test_cost_of_a_value(benchmark: BenchmarkFixture, laws: str, dim: int, use: str) -> None:
    new, old = LAWS[laws](dim)
    thresholds = THRESHOLDS if use == "many" else 0.2
    benchmark.group = f"{laws}, {use}"
    benchmark.pedantic(
        lambda: acceptance.expected_acceptance(new, old, thresholds, -0.1),
        setup=acceptance._angle_law.cache_clear if use == "first" else None,
        rounds=5,
        warmup_rounds=1,
    )
    benchmark.extra_info["milliseconds_per_value"] = 1e3 * benchmark.stats.stats.median / np.size(thresholds)

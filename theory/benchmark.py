"""What a pair costs: the scalar kernels beside full vectors, the released cone sampler and the random numbers alone.

Expected distances between caps (paper, Fig. 2 and Fig. 12) need many pairs. The paper's reference [65] samples a cap
in Python, one vector at a time (package ``sambal``). The floor is the time that NumPy's Generator needs merely to
draw two uniform, one normal and one gamma variate a pair, the textbook ingredients of two polar angles and a
projection. Methods take turns in every round, and the times are CPU times of the whole process, threads included.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from theory._validation import check_integer
from theory.caps import UniformCap
from theory.monte_carlo import estimate_distance

if TYPE_CHECKING:
    from rich.table import Table

DIMS = (9, 99, 1023)
METHODS = ("floor", "scalars", "qmc", "vectors", "sambal")
RADII = (0.3, 0.6)  # of the new and the old cap
_SCALAR_PAIRS = 2**18  # one block of the kernels: one thread
_VECTOR_NUMBERS = 2**20  # coordinates, so that a round takes tens of milliseconds
_SAMBAL_NUMBERS = 2**15
_BUFFER = 8192


@dataclass(frozen=True)
class Row:
    """One method in one dimension; None where ``sambal`` is not installed.

    Attributes
    ----------
    dim : int
    method : str
        "floor", "scalars", "qmc", "vectors" or "sambal".
    nanoseconds : float or None
        CPU time per pair in the fastest round: other processes only ever add to it.
    pairs_per_second : float or None
    ratio_to_floor : float or None
        Times slower than the floor.
    speedup_over_sambal : float or None
        Times faster than sambal.
    """

    dim: int
    method: str
    nanoseconds: float | None
    pairs_per_second: float | None
    ratio_to_floor: float | None
    speedup_over_sambal: float | None


def floor_task(dim: int, seed: int = 0) -> tuple[Callable[[], object], int]:
    """Draw two uniform, one normal and one gamma variate a pair, into a buffer; and the number of pairs."""
    rng, buffer = np.random.default_rng(seed), np.empty(_BUFFER)

    def draw() -> None:
        for _ in range(_SCALAR_PAIRS // _BUFFER):
            rng.random(out=buffer)
            rng.random(out=buffer)
            rng.standard_normal(out=buffer)
            rng.standard_gamma(0.5 * (dim - 1), out=buffer)

    return draw, _SCALAR_PAIRS


def kernel_task(dim: int, method: str, seed: int = 0) -> tuple[Callable[[], object], int]:
    """Estimate the expected squared distance by ``method``; and the number of pairs."""
    new, old = (UniformCap(dim, radius) for radius in RADII)
    pairs = _VECTOR_NUMBERS // dim if method == "vectors" else _SCALAR_PAIRS
    return lambda: estimate_distance(new, old, num_samples=pairs, rng=seed, method=method), pairs


def sambal_task(dim: int, seed: int = 0) -> tuple[Callable[[], object], int] | None:
    """The same estimate with sambal, as its documentation calls it; None if it is not installed."""
    if find_spec("sambal") is None:
        return None
    random_on_cap = import_module("sambal").random_on_cap
    rng, pairs = np.random.default_rng(seed), max(4, _SAMBAL_NUMBERS // dim)
    axis = np.ones(dim) / np.sqrt(dim)

    def draw() -> float:
        chords = (random_on_cap(axis, RADII[0], rng) - random_on_cap(axis, RADII[1], rng) for _ in range(pairs))
        return sum(float(chord @ chord) for chord in chords) / pairs

    return draw, pairs


def task(dim: int, method: str) -> tuple[Callable[[], object], int] | None:
    """What a round of ``method`` runs, and how many pairs that is."""
    if method == "floor":
        return floor_task(dim)
    return sambal_task(dim) if method == "sambal" else kernel_task(dim, method)


def compute(dims: tuple[int, ...] = DIMS, rounds: int = 9) -> list[Row]:
    """Time every method in every dimension, methods taking turns.

    Parameters
    ----------
    dims : tuple of int
    rounds : int
        At least 1; the fastest counts. One more before them warms up.

    Returns
    -------
    list of Row
    """
    rounds = check_integer("rounds", rounds, 1)
    rows = []
    for dim in dims:
        tasks = {method: found for method in METHODS if (found := task(dim, method)) is not None}
        times: dict[str, list[float]] = {method: [] for method in tasks}
        for turn in range(rounds + 1):
            for method, (run, pairs) in tasks.items():
                start = time.process_time()
                run()
                if turn:
                    times[method].append((time.process_time() - start) / pairs)
        cost = {method: min(seconds) for method, seconds in times.items()}
        for method in METHODS:
            if method not in cost:
                rows.append(Row(dim, method, None, None, None, None))
                continue
            own = cost[method]
            speedup = cost["sambal"] / own if "sambal" in cost else None
            rows.append(Row(dim, method, 1e9 * own, 1.0 / own, own / cost["floor"], speedup))
    return rows


def render(rows: list[Row]) -> Table:
    """The rows as a table for the terminal."""
    from rich.table import Table

    table = Table(title="Monte Carlo kernels: CPU time per pair", caption="caps of radius 0.3 and 0.6 on one axis")
    for heading in ("dim", "method", "ns/pair", "pairs/s", "× floor", "faster than sambal"):
        table.add_column(heading, justify="left" if heading == "method" else "right")
    for row in rows:
        if row.nanoseconds is None:
            table.add_row(str(row.dim), row.method, "not installed", "", "", "")
            continue
        speedup = "" if row.speedup_over_sambal is None else f"{row.speedup_over_sambal:,.0f}"
        table.add_row(
            str(row.dim),
            row.method,
            f"{row.nanoseconds:,.1f}",
            f"{row.pairs_per_second:,.0f}",
            f"{row.ratio_to_floor:,.2f}",
            speedup,
        )
    return table

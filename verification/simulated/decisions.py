"""How often is a verdict wrong? Simulated upgrades whose answer is known, for each kind of decision that is reported.

A kind registers its designs in a module of its own, named in :data:`KINDS`, which has a function ``designs()`` that
returns a sequence of :class:`Design`. At the boundary (no loss beyond the margin, and none to spare) any decisive
verdict is wrong; beyond it ``compatible`` is, inside of it ``incompatible``.
"""

from __future__ import annotations

import importlib
import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any, Literal

import numpy as np

# the modules, each with ``designs() -> Sequence[Design]``
KINDS = {
    "geometry": "verification.simulated.geometry",
    "retrieval": "verification.simulated.retrieval",
    "thresholds": "verification.simulated.thresholds",
    "bridge": "verification.simulated.bridge",
}
_WRONG = {"boundary": ("compatible", "incompatible"), "beyond": ("compatible",), "inside": ("incompatible",)}
VERDICTS = ("compatible", "incompatible", "inconclusive")
PROMISED = 0.05
# runs that a process does at once
PART = 25


@dataclass(frozen=True)
class Design:
    """One simulated upgrade.

    Attributes
    ----------
    name : str
        Short; for the table.
    where : {"boundary", "beyond", "inside"}
        Where the true loss lies against the margin.
    decide : callable
        Draws one upgrade from the given Generator and returns its verdict: "compatible", "incompatible" or
        "inconclusive", at 95 %.
    """

    name: str
    where: Literal["boundary", "beyond", "inside"]
    decide: Callable[[np.random.Generator], str]


def designs(kind: str) -> Sequence[Design]:
    """Return what a kind of decision has registered.

    Raises
    ------
    ValueError
        If there is no such kind.
    """
    if kind not in KINDS:
        raise ValueError(f"a kind of decision must be one of {', '.join(KINDS)}, got {kind!r}.")
    found: Sequence[Design] = importlib.import_module(KINDS[kind]).designs()
    return found


def compute(
    kinds: Sequence[str],
    runs: int = 1000,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    workers: int = 1,
) -> dict[str, Any]:
    """Simulate ``runs`` upgrades of every design of some kinds of decision.

    Parameters
    ----------
    kinds : sequence of str
        Of :data:`KINDS`.
    runs : int
        ≥ 1.
    seed : int
        ≥ 0.
    progress : callable, optional
        Called with the number of upgrades done and of all.
    workers : int
        ≥ 1; processes. The result does not depend on it.

    Returns
    -------
    dict
        ``runs`` and ``designs``: kind, name, where, the share of each verdict, and ``wrong``, the share of wrong
        decisive verdicts. Plain values.

    Raises
    ------
    ValueError
        If there is no such kind, or ``runs`` or ``workers`` is below 1.
    """
    for name, value in (("runs", runs), ("workers", workers)):
        if value < 1:
            raise ValueError(f"{name} must be an integer >= 1, got {value!r}.")
    jobs = [(kind, index) for kind in kinds for index in range(len(designs(kind)))]
    parts = [(*job, seed, range(start, min(start + PART, runs))) for job in jobs for start in range(0, runs, PART)]
    counts: dict[tuple[str, int], Counter[str]] = {job: Counter() for job in jobs}
    with ExitStack() as stack:
        run: Callable[..., Iterable[Counter[str]]] = map
        if workers > 1:
            # not forked: the libraries that are loaded here have threads
            pool = ProcessPoolExecutor(workers, get_context("spawn"), _one_thread)
            stack.callback(pool.shutdown, cancel_futures=True)
            run = pool.map
        done = 0
        for part, verdicts in zip(parts, run(_verdicts, *zip(*parts, strict=True)), strict=True):
            counts[part[:2]] += verdicts
            done += len(part[3])
            if progress is not None:
                progress(done, len(jobs) * runs)
    rows = []
    for kind, index in jobs:
        design = designs(kind)[index]
        shares = {verdict: counts[kind, index][verdict] / runs for verdict in VERDICTS}
        wrong = sum(shares[verdict] for verdict in _WRONG[design.where])
        rows.append({"kind": kind, "name": design.name, "where": design.where, **shares, "wrong": wrong})
    return {"runs": runs, "designs": rows}


def _verdicts(kind: str, index: int, seed: int, runs: range) -> Counter[str]:
    """What a design, named by its place so that it need not be sent to a process, decides in some runs."""
    decide = designs(kind)[index].decide
    return Counter(decide(np.random.default_rng([seed, run])) for run in runs)


def _one_thread() -> None:
    """A process a core leaves no core for threads."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    threadpool_limits(1)


def limit(runs: int) -> float:
    """Share of wrong verdicts that is two standard errors above the promised 5 %."""
    return PROMISED + 2.0 * math.sqrt(PROMISED * (1.0 - PROMISED) / runs)


def table(data: dict[str, Any]) -> str:
    """What :func:`compute` found, a line a design."""
    bound = limit(data["runs"])
    width = max(len(row["name"]) for row in data["designs"])
    lines = [
        f"{data['runs']} upgrades a design; wrong decisive verdicts {PROMISED:.0%} at most, to {bound:.1%} by chance",
        f"{'':{width + 20}} {'yes':>5} {'no':>5} {'wrong':>6}",
    ]
    lines += [
        f"{row['kind']:10} {row['where']:8} {row['name']:{width}} {row['compatible']:5.1%} {row['incompatible']:5.1%} "
        f"{row['wrong']:6.1%}{'  too many' if row['wrong'] > bound else ''}"
        for row in data["designs"]
    ]
    return "\n".join(lines)

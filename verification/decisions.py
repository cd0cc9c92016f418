"""How often is a verdict wrong? Simulated upgrades whose answer is known, for each kind of decision that is reported.

A kind registers its designs in a module of its own, named in :data:`KINDS`, which has a function ``designs()`` that
returns a sequence of :class:`Design`. At the boundary (no loss beyond the margin, and none to spare) any decisive
verdict is wrong; beyond it ``compatible`` is, inside of it ``incompatible``.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

# the modules, each with ``designs() -> Sequence[Design]``
KINDS = {
    "geometry": "verification.simulated_geometry",
    "retrieval": "verification.simulated_retrieval",
    "thresholds": "verification.simulated_thresholds",
    "bridge": "verification.simulated_bridge",
}
_WRONG = {"boundary": ("compatible", "incompatible"), "beyond": ("compatible",), "inside": ("incompatible",)}
PROMISED = 0.05


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
    kinds: Sequence[str], runs: int = 1000, seed: int = 0, progress: Callable[[int, int], None] | None = None
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

    Returns
    -------
    dict
        ``runs`` and ``designs``: kind, name, where, the share of each verdict, and ``wrong``, the share of wrong
        decisive verdicts. Plain values.

    Raises
    ------
    ValueError
        If there is no such kind, or ``runs`` is below 1.
    """
    if runs < 1:
        raise ValueError(f"runs must be an integer >= 1, got {runs!r}.")
    jobs = [(kind, design) for kind in kinds for design in designs(kind)]
    rows = []
    for done, (kind, design) in enumerate(jobs):
        counts = dict.fromkeys(("compatible", "incompatible", "inconclusive"), 0)
        for run in range(runs):
            counts[design.decide(np.random.default_rng([seed, run]))] += 1
            if progress is not None:
                progress(done * runs + run + 1, len(jobs) * runs)
        shares = {verdict: count / runs for verdict, count in counts.items()}
        wrong = sum(shares[verdict] for verdict in _WRONG[design.where])
        rows.append({"kind": kind, "name": design.name, "where": design.where, **shares, "wrong": wrong})
    return {"runs": runs, "designs": rows}


def limit(runs: int) -> float:
    """Share of wrong verdicts that is two standard errors above the promised 5 %."""
    return PROMISED + 2.0 * math.sqrt(PROMISED * (1.0 - PROMISED) / runs)


def table(data: dict[str, Any]) -> str:
    """What :func:`compute` found, a line a design."""
    bound = limit(data["runs"])
    lines = [
        f"{data['runs']} upgrades a design; wrong decisive verdicts {PROMISED:.0%} at most, to {bound:.1%} by chance",
        f"{'':58} {'yes':>5} {'no':>5} {'wrong':>6}",
    ]
    lines += [
        f"{row['kind']:10} {row['where']:8} {row['name']:38} {row['compatible']:5.1%} {row['incompatible']:5.1%} "
        f"{row['wrong']:6.1%}{'  too many' if row['wrong'] > bound else ''}"
        for row in data["designs"]
    ]
    return "\n".join(lines)

"""How often is a verdict wrong? Simulated upgrades whose answer is known, for each kind of decision that is reported.

A kind registers its designs in a module of its own, named in :data:`KINDS`, which has a function ``designs()`` that
returns a sequence of :class:`Design`. At the boundary (no loss beyond the margin, and none to spare) any decisive
verdict is wrong; beyond it ``compatible`` is, inside of it ``incompatible``.
"""

from __future__ import annotations

import importlib
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from typing import Any, Literal

import numpy as np

from learning.progress import Progress
from verification.statistics.interval import Judged, Population, Unit, Verdict

# the modules, each with ``designs() -> Sequence[Design]``
KINDS = {
    "geometry": "verification.experiments.simulated.geometry",
    "retrieval": "verification.experiments.simulated.retrieval",
    "thresholds": "verification.experiments.simulated.thresholds",
    "bridge": "verification.experiments.simulated.bridge",
    "sampling": "verification.experiments.simulated.sampling",
}
Where = Literal["boundary", "beyond", "inside"]
WRONG: dict[Where, tuple[Verdict, ...]] = {
    "boundary": (Verdict.compatible, Verdict.incompatible),
    "beyond": (Verdict.compatible,),
    "inside": (Verdict.incompatible,),
}
PROMISED = 0.05
# runs that a process does at once
PART = 25


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked of a simulated upgrade.

    Attributes
    ----------
    claim : str
        "definition-1", "by class", "contrast", "retrieval", "threshold" or "bridge".
    population : {"fixed", "drawn"}
        Whom the interval is about.
    read_as : {"fixed", "drawn"}
        Whom the verdict is taken to be about.
    unit : {"sample", "group", "class"}
        What the interval counts as drawn independently.
    promised : bool
        Whether a false verdict is as rare as it is said to be. It is not where the unit or the population is another
        one than the design has.
    """

    claim: str
    population: Population = Population.fixed
    read_as: Population = Population.fixed
    unit: Unit = "sample"
    promised: bool = True


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one simulated upgrade gave.

    Attributes
    ----------
    verdict : Verdict
    wrong : bool
        Whether it is decisive and false.
    covered : bool or None
        Whether every interval behind it contains the truth; None where the truth is not known as a number.
    """

    verdict: Verdict
    wrong: bool
    covered: bool | None = None


def outcome(parts: Sequence[Judged], truth: Sequence[float], population: Population) -> Outcome:
    """What a claim of one or two parts came to, for one population, with the true change of each part.

    At the boundary every decisive verdict is wrong; else ``compatible`` is where a part truly loses, ``incompatible``
    where none does.
    """
    verdict = Verdict.combine(part.verdict if part.population == population else part.other_verdict for part in parts)
    intervals = [part.fixed if population == Population.fixed else part.drawn for part in parts]
    loses = min(truth) < 0.0
    wrong = {
        Verdict.compatible: loses or not any(truth),
        Verdict.incompatible: not loses,
        Verdict.inconclusive: False,
    }[verdict]
    covered = all(interval.contains(value) for interval, value in zip(intervals, truth, strict=True))
    return Outcome(verdict=verdict, wrong=wrong, covered=covered)


@dataclass(frozen=True, kw_only=True)
class Design:
    """One kind of simulated upgrade.

    Attributes
    ----------
    name : str
        Short; for the table.
    where : {"boundary", "beyond", "inside"}
        Where the true loss lies against the margin.
    draw : callable
        Draws one upgrade from the given Generator and answers every question about it.
    """

    name: str
    where: Where
    draw: Callable[[np.random.Generator], Mapping[Question, Outcome]]

    @classmethod
    def asking(
        cls, claim: str, name: str, where: Where, decide: Callable[[np.random.Generator], Verdict], **question: Any
    ) -> Design:
        """Return a design about which one question is asked; ``decide`` returns a verdict at 95 %."""
        asked = Question(claim=claim, **question)

        def draw(rng: np.random.Generator) -> Mapping[Question, Outcome]:
            verdict = decide(rng)
            return {asked: Outcome(verdict=verdict, wrong=verdict in WRONG[where])}

        return cls(name=name, where=where, draw=draw)


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
    progress: Progress | None = None,
    workers: int = 1,
) -> dict[str, Any]:
    """Simulate ``runs`` upgrades of every design of some kinds of decision.

    Parameters
    ----------
    kinds : sequence of str
        Names in :data:`KINDS`.
    runs : int
        ≥ 1.
    seed : int
        ≥ 0.
    progress : callable, optional
        Told how many upgrades are done.
    workers : int
        ≥ 1; processes. The result does not depend on it.

    Returns
    -------
    dict
        ``runs`` and ``designs``: for each design and question the kind, name, where, the fields of the
        :class:`Question`, the share of each verdict, ``wrong``, the share of wrong decisive verdicts, and ``covered``,
        the share of upgrades whose truth lies in the intervals, or None. Plain values.

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
    counts: dict[tuple[str, int], Counter[tuple[Question, Outcome]]] = {job: Counter() for job in jobs}
    with ExitStack() as stack:
        run: Callable[..., Iterable[Counter[tuple[Question, Outcome]]]] = map
        if workers > 1:
            # not forked: the libraries that are loaded here have threads
            pool = ProcessPoolExecutor(workers, get_context("spawn"), _one_thread)
            stack.callback(pool.shutdown, cancel_futures=True)
            run = pool.map
        done = 0
        for part, outcomes in zip(parts, run(_outcomes, *zip(*parts, strict=True)), strict=True):
            counts[part[:2]] += outcomes
            done += len(part[3])
            if progress is not None:
                progress("upgrades", done, len(jobs) * runs)
    rows = []
    for kind, index in jobs:
        design, found = designs(kind)[index], counts[kind, index]
        for question in dict.fromkeys(question for question, _ in found):
            own = {outcome: count / runs for (asked, outcome), count in found.items() if asked == question}
            known = any(outcome.covered is not None for outcome in own)
            rows.append(
                {
                    "kind": kind,
                    "name": design.name,
                    "where": design.where,
                    **{name: str(value) if name != "promised" else value for name, value in asdict(question).items()},
                    **{str(verdict): _share(own, [o for o in own if o.verdict == verdict]) for verdict in Verdict},
                    "wrong": _share(own, [outcome for outcome in own if outcome.wrong]),
                    "covered": _share(own, [outcome for outcome in own if outcome.covered]) if known else None,
                }
            )
    return {"runs": runs, "designs": rows}


def _share(shares: Mapping[Outcome, float], some: Iterable[Outcome]) -> float:
    return math.fsum(shares[outcome] for outcome in some)


def _outcomes(kind: str, index: int, seed: int, runs: range) -> Counter[tuple[Question, Outcome]]:
    """What a design, named by its place so that it need not be sent to a process, gives in some runs."""
    draw = designs(kind)[index].draw
    return Counter(answer for run in runs for answer in draw(np.random.default_rng([seed, run])).items())


def _one_thread() -> None:
    """A process a core leaves no core for threads."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    threadpool_limits(1)


def limit(runs: int) -> float:
    """Share of wrong verdicts that is two standard errors above the promised 5 %."""
    return PROMISED + 2.0 * math.sqrt(PROMISED * (1.0 - PROMISED) / runs)


def table(data: dict[str, Any]) -> str:
    """What :func:`compute` found, a line for each design and question."""
    bound = limit(data["runs"])
    width = max(len(row["name"]) for row in data["designs"])
    lines = [
        f"{data['runs']} upgrades a design; wrong decisive verdicts {PROMISED:.0%} at most, to {bound:.1%} by chance. "
        "Nothing is promised where",
        "the interval is about another population than the verdict is read as, or the unit is another than was drawn.",
        f"{'':{width + 20}} {'claim':12} {'interval':14} {'unit':7} {'yes':>6} {'no':>6} {'wrong':>6} {'covered':>7}",
    ]
    for row in data["designs"]:
        about = row["population"] if row["read_as"] == row["population"] else f"{row['population']} as {row['read_as']}"
        covered = "–" if row["covered"] is None else f"{row['covered']:.1%}"
        remark = "" if row["wrong"] <= bound else "  too many"
        lines.append(
            f"{row['kind']:10} {row['where']:8} {row['name']:{width}} {row['claim']:12} "
            f"{about:14} {row['unit']:7} {row['compatible']:6.1%} {row['incompatible']:6.1%} "
            f"{row['wrong']:6.1%} {covered:>7}{remark if row['promised'] else '  (not promised)'}"
        )
    return "\n".join(lines)

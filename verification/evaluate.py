"""Evaluate a sequence of models: compatibility matrix, AC, AA, an audit of each pair; and a table over methods.

Definition 1 in expectation and the matrix criterion (paper, Eq. 6) are different claims: each pair of models gets both
answers, and the table counts where they part.
"""

from __future__ import annotations

import math
import os
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from verification.audit import AuditReport, audit, json_safe
from verification.features import FeatureSet
from verification.inequalities import class_sums
from verification.matrices import MatrixReport, judge_outcomes
from verification.retrieval import outcomes

if TYPE_CHECKING:
    from rich.console import RenderableType

    from learning.scenarios import Scenario
    from learning.training import Recipe


@dataclass(frozen=True)
class PairReport:
    """Two models of a sequence, t > k, counted from 0.

    Attributes
    ----------
    new, old : int
    audit : AuditReport
        Definition 1 in expectation.
    matrix_verdict : {"compatible", "incompatible", "undecided"}
        Eq. 6.
    drift : float
        Mean over classes of the angle between the class's mean direction under the two models, radians.
    """

    new: int
    old: int
    audit: AuditReport
    matrix_verdict: str
    drift: float


@dataclass(frozen=True)
class Evaluation:
    """What is known of a sequence of models.

    Attributes
    ----------
    matrix : MatrixReport
        AC with its interval, AA_τ, every entry.
    pairs : tuple of PairReport
        The T(T − 1)/2 pairs, row by row.
    """

    matrix: MatrixReport
    pairs: tuple[PairReport, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        pairs = [
            {
                "new": pair.new,
                "old": pair.old,
                "audit": pair.audit.to_dict(),
                "matrix_verdict": pair.matrix_verdict,
                "drift": pair.drift,
            }
            for pair in self.pairs
        ]
        return {"matrix": self.matrix.to_dict(), "pairs": json_safe(pairs)}


def evaluate(
    query_sets: Sequence[FeatureSet], gallery_sets: Sequence[FeatureSet] | None = None, confidence: float = 0.95
) -> Evaluation:
    """Judge every pair of a sequence of models.

    Parameters
    ----------
    query_sets : sequence of FeatureSet, length T
        The same samples through each model, oldest first.
    gallery_sets : sequence of FeatureSet, length T, optional
        What is searched; the query sets themselves if not given, and then none may find itself.
    confidence : float
        In (0, 1): of all entries of the matrix at once, and of each audit.

    Raises
    ------
    ValueError
        If the sets do not belong together.
    """
    matrix = judge_outcomes(outcomes(query_sets, query_sets if gallery_sets is None else gallery_sets), confidence)
    pairs = []
    for entry in matrix.entries:
        new, old = query_sets[entry.new], query_sets[entry.old]
        report = audit(new, old, confidence=confidence)
        pairs.append(PairReport(entry.new, entry.old, report, entry.verdict, _drift(new, old)))
    return Evaluation(matrix, tuple(pairs))


def load_run(directory: str | os.PathLike[str]) -> list[FeatureSet]:
    """Features that a run wrote to its folder, one set a model, oldest first.

    Raises
    ------
    ValueError
        If the folder holds no features, or a file cannot be used.
    """
    paths = sorted(Path(directory).glob("task-*.features.npz"))
    if not paths:
        raise ValueError(f"{directory}: holds no task-*.features.npz; is it the folder of a run?")
    return [FeatureSet.load(path) for path in paths]


@dataclass(frozen=True)
class Preset:
    """What one table compares.

    Attributes
    ----------
    scenario : callable, seed → Scenario
    recipe : Recipe
    methods : tuple of str
    """

    scenario: Callable[[int], Scenario]
    recipe: Recipe
    methods: tuple[str, ...]


@dataclass(frozen=True)
class Result:
    """One method under one seed.

    Attributes
    ----------
    seed : int
    average_compatibility, average_accuracy : float
        AC and AA.
    interval : tuple of float
        Of AC.
    same_class, different_class : float
        Gaps of Theorem 1, mean over the pairs of models; positive is compatible.
    drift : float
        Mean over consecutive models, radians.
    seconds : float
        Wall time of the trainings.
    definition_only, matrix_only : int
        Pairs that are decided in opposite ways: compatible by Definition 1 and not by Eq. 6, and the reverse.
    """

    seed: int
    average_compatibility: float
    interval: tuple[float, float]
    average_accuracy: float
    same_class: float
    different_class: float
    drift: float
    seconds: float
    definition_only: int
    matrix_only: int


@dataclass(frozen=True)
class Row:
    """One method over all seeds."""

    method: str
    results: tuple[Result, ...]

    def mean(self, name: str) -> float:
        """Mean of a quantity over seeds."""
        return statistics.fmean(getattr(result, name) for result in self.results)

    def spread(self, name: str) -> float:
        """Standard deviation of a quantity over seeds; 0 for one seed."""
        values = [getattr(result, name) for result in self.results]
        return statistics.stdev(values) if len(values) > 1 else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Mean over seeds of both ends of the interval of AC."""
        lower, upper = zip(*(result.interval for result in self.results), strict=True)
        return statistics.fmean(lower), statistics.fmean(upper)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        names = (
            "average_compatibility",
            "average_accuracy",
            "same_class",
            "different_class",
            "drift",
            "seconds",
        )
        summary = {name: {"mean": self.mean(name), "spread": self.spread(name)} for name in names}
        return json_safe(
            {"method": self.method, "ac_interval": self.interval, **summary, "seeds": [asdict(r) for r in self.results]}
        )


def presets() -> dict[str, Preset]:
    """The tables by name: "quick" (under a minute), "digits" (minutes), "fashion" (under an hour); on two cores."""
    from dataclasses import replace

    from learning.lifelong import CL2R
    from learning.methods import METHODS
    from learning.training import PRESETS, Recipe

    small = PRESETS["small"]

    def epochs(count: int) -> Recipe:
        return Recipe(*(replace(config, epochs=count) for config in small))

    return {
        "quick": Preset(
            lambda seed: CL2R(seed=seed, tasks=3, first_classes=4),
            epochs(5),
            ("er", "simplex", "bct-er", "hoc", "first-moment", "hoc+first-moment"),
        ),
        "digits": Preset(lambda seed: CL2R(seed=seed, tasks=3, first_classes=4), small, tuple(METHODS)),
        "fashion": Preset(
            lambda seed: CL2R(seed=seed, data="fashion-mnist", tasks=3, first_classes=4, images_per_class=500),
            epochs(6),
            tuple(METHODS),
        ),
    }


def suite(
    preset: str = "quick",
    seeds: int = 3,
    methods: Sequence[str] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> list[Row]:
    """Train and evaluate methods × seeds.

    Parameters
    ----------
    preset : {"quick", "digits", "fashion"}
    seeds : int
        ≥ 1: the seeds 0 … seeds − 1.
    methods : sequence of str, optional
        Of :data:`learning.methods.METHODS`; the preset's if not given.
    progress : callable, optional
        Called with what is being run, runs done and runs in all.

    Raises
    ------
    ValueError
        Before training starts, for an unknown name or number.
    """
    known = presets()
    if preset not in known:
        raise ValueError(f"preset must be one of {', '.join(known)}, got {preset!r}.")
    if not isinstance(seeds, int) or seeds < 1:
        raise ValueError(f"seeds must be an integer >= 1, got {seeds!r}.")
    from learning.methods import make_method
    from learning.runs import run_scenario

    chosen = known[preset]
    names = chosen.methods if methods is None else tuple(methods)
    for name in names:
        make_method(name)
    rows = []
    for number, name in enumerate(names):
        results = []
        for seed in range(seeds):
            if progress is not None:
                progress(f"{name}, seed {seed}", number * seeds + seed, len(names) * seeds)
            run = run_scenario(chosen.scenario(seed), name, chosen.recipe)
            sets = [FeatureSet(features[run.trained], run.labels[run.trained]) for features in run.features]
            results.append(_result(seed, evaluate(sets), run.seconds))
        rows.append(Row(name, tuple(results)))
    return rows


def render(rows: Sequence[Row]) -> RenderableType:
    """The table of :func:`suite` for a terminal of 80 columns."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("method")
    for header in ("AC", "AA", "gap 1a", "gap 1b", "drift", "s"):
        table.add_column(header, justify="right")
    for row in rows:
        low, high = row.interval
        ac, spread = row.mean("average_compatibility"), row.spread("average_compatibility")
        gaps = [f"{row.mean(name):+.3f}\n±{row.spread(name):.3f}" for name in ("same_class", "different_class")]
        table.add_row(
            row.method,
            f"{ac:.2f} ±{spread:.2f}\n[{low:.2f}, {high:.2f}]",
            f"{row.mean('average_accuracy'):.3f}\n±{row.spread('average_accuracy'):.3f}",
            *gaps,
            f"{math.degrees(row.mean('drift')):.0f}°\n±{math.degrees(row.spread('drift')):.0f}°",
            f"{row.mean('seconds'):.1f}",
        )
    count = [sum(getattr(r, name) for row in rows for r in row.results) for name in ("definition_only", "matrix_only")]
    legend = (
        "Means over seeds, ± their standard deviation. AC: share of model pairs that pass Eq. 6, below it the interval "
        "that the queries allow; AA: mean accuracy; gaps of Definition 1, mean over pairs, positive = compatible; "
        "drift: angle between a class's mean directions under consecutive models. Decided pairs on which the two "
        f"notions differ: {count[0]} pass Definition 1 alone, {count[1]} pass Eq. 6 alone."
    )
    return Group(table, Text(legend, style="dim"))


def render_evaluation(evaluation: Evaluation) -> RenderableType:
    """AC and AA, then one line a pair of models with both answers, for a terminal of 80 columns."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    report = evaluation.matrix
    low, high = report.average_compatibility_interval
    head = (
        f"AC {report.average_compatibility:.3f} in [{low:.3f}, {high:.3f}], AA {report.average_accuracies[-1]:.4f}; "
        f"{len(report.matrix)} models, {report.num_queries} queries, confidence {report.confidence:g}."
    )
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for header in ("new", "old", "M[t,k]", "M[k,k]", "Eq. 6", "gap 1a", "gap 1b", "Definition 1"):
        table.add_column(header, justify="left" if header in ("Eq. 6", "Definition 1") else "right")
    for pair in evaluation.pairs:
        table.add_row(
            str(pair.new),
            str(pair.old),
            f"{report.matrix[pair.new, pair.old]:.4f}",
            f"{report.matrix[pair.old, pair.old]:.4f}",
            pair.matrix_verdict,
            f"{pair.audit.same_class.gap:+.3f}",
            f"{pair.audit.different_class.gap:+.3f}",
            pair.audit.verdict,
        )
    return Group(Text(head), table)


def _result(seed: int, evaluation: Evaluation, seconds: float) -> Result:
    pairs, matrix = evaluation.pairs, evaluation.matrix
    verdicts = [(pair.audit.verdict, pair.matrix_verdict) for pair in pairs]
    return Result(
        seed,
        matrix.average_compatibility,
        matrix.average_compatibility_interval,
        matrix.average_accuracies[-1],
        statistics.fmean(pair.audit.same_class.gap for pair in pairs),
        statistics.fmean(pair.audit.different_class.gap for pair in pairs),
        statistics.fmean(pair.drift for pair in pairs if pair.new == pair.old + 1),
        seconds,
        verdicts.count(("compatible", "incompatible")),
        verdicts.count(("incompatible", "compatible")),
    )


def _drift(new: FeatureSet, old: FeatureSet) -> float:
    means: list[Float[ndarray, "k dim"]] = [class_sums(s.unit, s.codes, len(s.classes)) for s in (new, old)]
    cosines = np.einsum("kd,kd->k", *means) / np.prod([np.linalg.norm(m, axis=1) for m in means], axis=0)
    return float(np.mean(np.arccos(np.clip(cosines, -1.0, 1.0))))

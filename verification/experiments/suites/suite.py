"""Tables over methods: what each case of a suite trains, and what came out, run by run.

A case is a scenario with a recipe and the methods that it compares; the models that methods share, those trained from
scratch, are trained once. Runs are kept in a folder as they finish, so that an interrupted suite goes on.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from verification.experiments.evaluate import evaluate, judge_search
from verification.experiments.suites.results import MethodResults, Result, judged, read_result
from verification.features import FeatureSet
from verification.reporting import json_safe

if TYPE_CHECKING:
    from learning.datasets import Split
    from learning.progress import Progress
    from learning.protocol import Scenario
    from learning.recipes import Recipe
    from learning.runs import FirstModels


@dataclass(frozen=True)
class Variant:
    """A method, with settings where they are not its defaults.

    Attributes
    ----------
    label : str
        Of its row.
    method : str
        Of :data:`learning.methods.METHODS`.
    settings : mapping
    """

    label: str
    method: str
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """What one table compares.

    Attributes
    ----------
    name : str
    scenario : callable, seed → Scenario
    recipe : Recipe
    variants : tuple of Variant
    first_seed : int
        Seeds are counted from here.
    """

    name: str
    scenario: Callable[[int], Scenario]
    recipe: Recipe
    variants: tuple[Variant, ...]
    first_seed: int = 0


def run_suite(
    cases: Sequence[Case],
    seeds: int = 3,
    directory: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> list[MethodResults]:
    """Train and evaluate cases × methods × seeds.

    Parameters
    ----------
    cases : sequence of Case
    seeds : int
        ≥ 1.
    directory : path, optional
        Made if missing. Every run is written there when it is finished, to the folder ``CASE/LABEL.seed0``; what is
        there already is not run again.
    progress : Progress, optional
        Called with what is being run, runs done and runs in all.

    Raises
    ------
    ValueError
        Before training starts, for an unknown name or number, or a folder with runs of another kind.
    """
    if not isinstance(seeds, int) or seeds < 1:
        raise ValueError(f"seeds must be an integer >= 1, got {seeds!r}.")
    from learning.methods import make_method
    from learning.store import Store

    for case in cases:
        for variant in case.variants:
            make_method(variant.method, **variant.settings)
    store = Store(directory)
    runs = list(_runs(cases, seeds))
    found = [store.find(run.key, run.description()) for run in runs]
    rows: dict[tuple[str, str], list[Result]] = {}
    first_models: FirstModels = {}
    data: Split | None = None
    for number, (run, kept) in enumerate(zip(runs, found, strict=True)):
        if number and run.seed != runs[number - 1].seed:
            first_models = {}
        if number and (run.case, run.seed) != (runs[number - 1].case, runs[number - 1].seed):
            data = None
        if kept is None:
            if progress is not None:
                progress(f"{run.case.name}: {run.variant.label}, seed {run.seed}", number, len(runs))
            data = data or run.case.scenario(run.seed).load()
            kept = store.get(run.key, run.description(), partial(run.train, data, first_models))
        rows.setdefault((run.case.name, run.variant.label), []).append(read_result(kept.values))
    return [MethodResults(*names, tuple(results)) for names, results in rows.items()]


@dataclass(frozen=True)
class _Run:
    case: Case
    variant: Variant
    seed: int

    @property
    def key(self) -> str:
        return f"{self.case.name}/{self.variant.label}.seed{self.seed}"

    def description(self) -> dict[str, Any]:
        return {
            "scenario": repr(self.case.scenario(self.seed)),
            "method": self.variant.method,
            "settings": dict(self.variant.settings),
            "first": asdict(self.case.recipe.first),
            "update": asdict(self.case.recipe.update),
        }

    def train(self, data: Split, first_models: FirstModels) -> dict[str, Any]:
        from learning.runs import run_scenario

        run = run_scenario(
            self.case.scenario(self.seed),
            self.variant.method,
            self.case.recipe,
            settings=self.variant.settings,
            data=data,
            first_models=first_models,
        )
        groups = {"trained": run.trained, "open": ~run.trained}
        sets = {
            name: [FeatureSet(features[rows], run.labels[rows]) for features in run.features]
            for name, rows in groups.items()
            if rows.any()
        }
        evaluation = evaluate(sets["trained"])
        searches = {("nearest", "trained"): evaluation.matrix} | {
            (score, name): judge_search(sets[name], score=score)
            for name in sets
            for score in ("nearest", "template")
            if (score, name) != ("nearest", "trained")
        }
        found = judged(self.seed, evaluation, sum(run.seconds[1:]), searches)
        result: dict[str, Any] = json_safe(asdict(found))
        return result


def _runs(cases: Sequence[Case], seeds: int) -> Iterator[_Run]:
    """Seed by seed, so that the models that runs share are those of one seed at a time."""
    for number in range(seeds):
        for case in cases:
            seed = case.first_seed + number
            for variant in case.variants:
                yield _Run(case, variant, seed)

"""Tables over methods: what each case of a suite trains, and what came out, run by run.

A case is a scenario with a recipe and the methods that it compares; the models that methods share, those trained from
scratch, are trained once. Runs are kept in a folder as they finish, so that an interrupted suite goes on.
"""

from __future__ import annotations

import itertools
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
    from learning.store import Kept, Store


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
    *,
    workers: int = 1,
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
    workers : int
        Processes, ≥ 1, one thread each. With more than one ``directory`` has to be given: it is where they leave their
        runs.

    Raises
    ------
    ValueError
        Before training starts, for an unknown name or number, or a folder with runs of another kind.
    """
    if not isinstance(seeds, int) or seeds < 1:
        raise ValueError(f"seeds must be an integer >= 1, got {seeds!r}.")
    if not isinstance(workers, int) or workers < 1:
        raise ValueError(f"workers must be an integer >= 1, got {workers!r}.")
    if workers > 1 and directory is None:
        raise ValueError(f"directory must be given for {workers} workers, which leave their runs there.")
    from learning.methods import make_method
    from learning.store import Store

    for case in cases:
        for variant in case.variants:
            make_method(variant.method, **variant.settings)
    store = Store(directory)
    groups = list(_groups(cases, seeds))
    total = sum(map(len, groups))
    kept = {run.key: found for group in groups for run in group if (found := store.find(run.key, run.description()))}
    missing = [group for group in groups if not all(run.key in kept for run in group)]
    if workers > 1 and missing:
        from joblib import Parallel, delayed

        pool = Parallel(n_jobs=workers, return_as="generator_unordered")
        for done, name in enumerate(pool(delayed(_train_group)(group, directory) for group in missing), 1):
            if progress is not None:
                progress(name, len(kept) + done * (total - len(kept)) // len(missing), total)
    rows: dict[tuple[str, str], list[Result]] = {}
    number = 0
    for _, same_seed in itertools.groupby(groups, lambda group: group[0].seed):
        first_models: FirstModels = {}
        for group in same_seed:
            for run, result in _results(group, store, first_models, kept, progress, number, total):
                rows.setdefault((run.case.name, run.variant.label), []).append(result)
            number += len(group)
    return [MethodResults(*names, tuple(results)) for names, results in rows.items()]


def _results(
    group: Sequence[_Run],
    store: Store,
    first_models: FirstModels,
    known: Mapping[str, Kept],
    progress: Progress | None = None,
    before: int = 0,
    total: int = 0,
) -> Iterator[tuple[_Run, Result]]:
    """Runs of one case and seed, each with what is known or kept of it, or else with what it gives now."""
    data: Split | None = None
    for number, run in enumerate(group, before):
        kept = known.get(run.key) or store.find(run.key, run.description())
        if kept is None:
            if progress is not None:
                progress(f"{run.case.name}: {run.variant.label}, seed {run.seed}", number, total)
            data = data or run.case.scenario(run.seed).load()
            kept = store.get(run.key, run.description(), partial(run.train, data, first_models))
        yield run, read_result(kept.values)


def _train_group(group: Sequence[_Run], directory: str | os.PathLike[str]) -> str:
    """Train, in a process of its own, what is missing of one case and seed; return what that was."""
    import torch

    from learning.store import Store

    torch.set_num_threads(1)
    for _ in _results(group, Store(directory), {}, {}):
        pass
    return f"{group[0].case.name}, seed {group[0].seed}"


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


def _groups(cases: Sequence[Case], seeds: int) -> Iterator[list[_Run]]:
    """Runs of one case and seed together, eight at most, seed by seed, so that they can share their first models."""
    for number in range(seeds):
        for case in cases:
            runs = [_Run(case, variant, case.first_seed + number) for variant in case.variants]
            yield from (runs[start : start + 8] for start in range(0, len(runs), 8))

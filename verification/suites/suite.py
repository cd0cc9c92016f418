"""Tables over methods: what each case of a suite trains, and what came out, run by run.

A case is a scenario with a recipe and the methods that it compares; the models that methods share, those trained from
scratch, are trained once. Runs are kept in a folder as they finish, so that an interrupted suite goes on.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verification.audit import json_safe
from verification.evaluate import evaluate
from verification.features import FeatureSet
from verification.suites.results import Result, Row, judged, read_result

if TYPE_CHECKING:
    from learning.datasets import Split
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
    progress: Callable[[str, int, int], None] | None = None,
) -> list[Row]:
    """Train and evaluate cases × methods × seeds.

    Parameters
    ----------
    cases : sequence of Case
    seeds : int
        ≥ 1.
    directory : path, optional
        Made if missing. Every run is written there when it is finished, ``CASE/LABEL.seed0.json``; what is there
        already is not run again.
    progress : callable, optional
        Called with what is being run, runs done and runs in all.

    Raises
    ------
    ValueError
        Before training starts, for an unknown name or number, or a folder with runs of another kind.
    """
    if not isinstance(seeds, int) or seeds < 1:
        raise ValueError(f"seeds must be an integer >= 1, got {seeds!r}.")
    from learning.methods import make_method

    for case in cases:
        for variant in case.variants:
            make_method(variant.method, **variant.settings)
    runs = list(_runs(cases, seeds, None if directory is None else Path(directory)))
    found = [run.read() for run in runs]
    rows: dict[tuple[str, str], list[Result]] = {}
    first_models: FirstModels = {}
    data: Split | None = None
    for number, (run, result) in enumerate(zip(runs, found, strict=True)):
        if number and run.seed != runs[number - 1].seed:
            first_models = {}
        if number and (run.case, run.seed) != (runs[number - 1].case, runs[number - 1].seed):
            data = None
        if result is None:
            if progress is not None:
                progress(f"{run.case.name}: {run.variant.label}, seed {run.seed}", number, len(runs))
            data = data or run.case.scenario(run.seed).load()
            result = run.train(data, first_models)
        rows.setdefault((run.case.name, run.variant.label), []).append(result)
    return [Row(*names, tuple(results)) for names, results in rows.items()]


@dataclass(frozen=True)
class _Run:
    case: Case
    variant: Variant
    seed: int
    path: Path | None

    def description(self) -> dict[str, Any]:
        first, update = map(asdict, self.case.recipe)
        scenario = self.case.scenario(self.seed)
        content = {
            "scenario": repr(scenario),
            "method": self.variant.method,
            "settings": dict(self.variant.settings),
            "first": first,
            "update": update,
        }
        return json.loads(json.dumps(content))

    def read(self) -> Result | None:
        if self.path is None or not self.path.exists():
            return None
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            run, result = content["run"], read_result(content["result"])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{self.path}: is not the result of a run ({error}).") from None
        for name, value in self.description().items():
            if run.get(name) != value:
                raise ValueError(f"{self.path}: is of another run: its {name} is {run.get(name)!r}, not {value!r}.")
        return result

    def train(self, data: Split, first_models: FirstModels) -> Result:
        from learning.checkpoints import write_bytes
        from learning.runs import run_scenario

        run = run_scenario(
            self.case.scenario(self.seed),
            self.variant.method,
            self.case.recipe,
            settings=self.variant.settings,
            data=data,
            first_models=first_models,
        )
        sets = [FeatureSet(features[run.trained], run.labels[run.trained]) for features in run.features]
        result = judged(self.seed, evaluate(sets), sum(run.seconds[1:]))
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            content = {"run": self.description(), "result": json_safe(asdict(result))}
            write_bytes(self.path, json.dumps(content, allow_nan=False).encode())
        return result


def _runs(cases: Sequence[Case], seeds: int, directory: Path | None) -> Iterator[_Run]:
    """Seed by seed, so that the models that runs share are those of one seed at a time."""
    for number in range(seeds):
        for case in cases:
            seed = case.first_seed + number
            for variant in case.variants:
                path = None if directory is None else directory / case.name / f"{variant.label}.seed{seed}.json"
                yield _Run(case, variant, seed, path)

"""The planned comparison of methods: docs/protocol.md says what it asks, this module runs it.

``python -m verification.experiments.comparison FOLDER`` tunes every method by one rule on data and seeds that are not
reported (:func:`tuning`), trains the chosen settings on those that are (:func:`reported`), and those that could be used
once more where something is wrong with the data or the models differ (:func:`hardened`). Runs are kept in the folder;
an interrupted comparison goes on there. The whole is written to docs/data/comparison.json, of which the tables of
docs/protocol.md are made.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import itertools
import json
import math
import platform
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from learning.lifelong import CL2R
from learning.protocol import Scenario
from learning.recipes import Recipe
from learning.scenarios import ExtendedClasses, ExtendedData
from theory.files import make_folder, write_text
from verification.experiments.suites.cases import PAIRS, recipe
from verification.experiments.suites.results import MethodResults
from verification.experiments.suites.suite import Case, Variant, run_suite
from verification.statistics.interval import holm

RESULT = Path(__file__).parent.parent.parent / "docs" / "data" / "comparison.json"
SEEDS, TUNING_SEEDS, HARDENED_SEEDS = 20, 3, 5
FIRST_TUNING_SEED, FIRST_HARDENED_SEED = 100, 200
# what everything else is compared with, seed by seed
REFERENCE = "hoc"
# which are trained again where something is wrong
HARDENED = ("hoc", "hoc+first-moment", "hoc+contrast", "hoc+contrast+constraint")


def _grid(**values: Sequence[float | str]) -> tuple[dict[str, Any], ...]:
    return tuple(dict(zip(values, chosen, strict=True)) for chosen in itertools.product(*values.values()))


# of each method its defaults first, which are the released settings where there are some. HOC, the reference, has the
# largest search; "hoc" is searched over both maskings
GRIDS: dict[str, tuple[dict[str, Any], ...]] = {
    "er": ({},),
    "bct-er": ({}, *_grid(weight=(0.3, 3.0, 10.0))),
    "bct-pseudo": ({}, *_grid(weight=(0.3, 3.0, 10.0))),
    "hot-refresh": ({}, *_grid(weight=(1.0, 3.0), temperature=(0.1, 0.2)), {"weight": 3.0}),
    "mix-bct": ({}, *_grid(share=(0.1, 0.5, 0.7))),
    "oca": ({}, *_grid(pseudo=(3.0, 30.0)), *_grid(alignment=(1.0, 20.0))),
    "bt2": ({}, *_grid(pseudo=(3.0, 30.0)), *_grid(old_weight=(1.0, 20.0))),
    "cvs": ({}, *_grid(coherence=(1.0, 3.0, 30.0))),
    "simplex-fd": ({}, *_grid(weight=(1.0, 20.0, 50.0))),
    "hoc": ({}, *_grid(same_class=("exclude", "zero"), scale=(1.0, 2.0, 5.0, 10.0), ce_weight=(0.1, 0.3))),
    "first-moment": ({}, *_grid(weight=(3.0, 10.0, 30.0), slack=(0.05, 0.15))),
    "hoc+first-moment": ({}, *_grid(weight=(3.0, 10.0, 30.0), scale=(2.0, 5.0), same_class=("zero",))),
    "hoc+contrast": ({}, *_grid(contrast=(0.3, 1.0, 3.0), scale=(2.0, 5.0))),
    "hoc+contrast+constraint": ({}, *_grid(contrast=(0.3, 1.0, 3.0), scale=(2.0, 5.0))),
    "prototype+contrast+constraint": ({}, *_grid(contrast=(0.3, 1.0, 3.0), prototype=(0.5, 0.8))),
}


def tuning() -> tuple[Case, ...]:
    """All settings of all methods on ten digits, task by task and between unrelated models, under other seeds."""
    variants = tuple(
        Variant(f"{method}#{number}", method, settings)
        for method, grid in GRIDS.items()
        for number, settings in enumerate(grid)
    )
    lifelong = CL2R(tasks=3, first_classes=4)
    unrelated = ExtendedData(old_images=300, fixed_classifier=False, from_scratch=True)
    return (
        _case("digits", lifelong, recipe(10, 10), variants, FIRST_TUNING_SEED),
        _case("digits-unrelated", unrelated, recipe(10, 10, from_scratch=True), variants, FIRST_TUNING_SEED),
    )


def chosen(outcomes: Sequence[Outcome]) -> dict[str, dict[str, Any]]:
    """Of each method the settings with the highest mean AA over tuning cases, searches, seeds; the first of equals."""
    found = {}
    for method, grid in GRIDS.items():
        scores = [
            statistics.fmean(
                accuracy
                for outcome in outcomes
                if outcome.label == f"{method}#{number}"
                for values in outcome.average_accuracy.values()
                for accuracy in values
            )
            for number in range(len(grid))
        ]
        found[method] = grid[scores.index(max(scores))]
    return found


def reported(settings: Mapping[str, Mapping[str, Any]]) -> tuple[Case, ...]:
    """100 classes of digit pairs task by task, and one update on Fashion-MNIST: more classes, and unrelated models."""
    variants = _tuned(settings)
    classes = ExtendedClasses(data="fashion-mnist", old_images=4000, new_images=6000, held_out=3000)
    unrelated = ExtendedData(
        data="fashion-mnist",
        old_images=2000,
        new_images=6000,
        held_out=3000,
        fixed_classifier=False,
        from_scratch=True,
    )
    return (
        _case("digit-pairs", PAIRS, recipe(8, 8), variants),
        _case("more-classes", classes, recipe(6, 3), variants),
        _case("unrelated", unrelated, recipe(6, 4, from_scratch=True), variants),
    )


def hardened(settings: Mapping[str, Mapping[str, Any]]) -> tuple[Case, ...]:
    """What might break a method that is ahead, one change at a time."""
    variants = tuple(variant for variant in _tuned(settings) if variant.label in HARDENED)
    unrelated = ExtendedData(data="fashion-mnist-14", old_images=2000, new_images=6000, held_out=3000)
    unrelated = replace(unrelated, fixed_classifier=False, from_scratch=True)
    once = recipe(6, 4, from_scratch=True)
    cases: tuple[tuple[str, Scenario, Recipe], ...] = (
        ("learned-classifier", replace(PAIRS, fixed_classifier=False), recipe(8, 8)),
        ("ten-updates", replace(PAIRS, tasks=11, first_classes=20), recipe(8, 8)),
        (
            "five-images-a-class",
            replace(PAIRS, images_per_class=5, memory_per_class=5),
            recipe(32, 32).changed(batch_size=32),
        ),
        ("three-times-the-epochs", PAIRS, recipe(24, 24)),
        ("wrong-labels", replace(unrelated, wrong_labels=0.2), once),
        ("other-dimension", replace(unrelated, new_dim=32), once),
        ("other-architecture", replace(unrelated, new_backbone="lenet++"), once),
    )
    return tuple(_case(*case, variants, FIRST_HARDENED_SEED) for case in cases)


def _tuned(settings: Mapping[str, Mapping[str, Any]]) -> tuple[Variant, ...]:
    return tuple(Variant(method, method, settings[method]) for method in GRIDS)


def _case(name: str, scenario: Scenario, how: Recipe, variants: tuple[Variant, ...], first_seed: int = 0) -> Case:
    return Case(name, lambda seed: replace(scenario, seed=seed), how, variants, first_seed)


def afterwards() -> tuple[Case, ...]:
    """What was not planned: HOC with the scale that later proved best for it on digit pairs."""
    case = reported({method: {} for method in GRIDS})[0]
    settings = {"same_class": "zero", "scale": 5.0}
    return (replace(case, variants=(Variant("hoc, zero, µ = 5", "hoc", settings),)),)


def run(folder: Path, workers: int = 1, seeds: int = SEEDS) -> dict[str, Any]:
    """Tune, train and evaluate, or read what is kept; see the module.

    Parameters
    ----------
    folder : Path
        Of the runs.
    workers : int
        Processes.
    seeds : int
        Of the reported cases; tuning and hardened cases have theirs.
    """

    def show(what: str, done: int, total: int, note: object = "", /) -> None:
        print(f"{done}/{total} {what}", flush=True)

    note_environment(folder)
    tried = [Outcome.of(row) for row in run_suite(tuning(), TUNING_SEEDS, folder / "tuning", show, workers=workers)]
    settings = chosen(tried)
    planned = run_suite(reported(settings), seeds, folder / "reported", show, workers=workers)
    later = run_suite(afterwards(), seeds, folder / "reported", show, workers=workers)
    worse = run_suite(hardened(settings), HARDENED_SEEDS, folder / "hardened", show, workers=workers)
    return {
        "environments": json.loads((folder / "environments.json").read_text(encoding="utf-8")),
        "settings": settings,
        "tuning": [outcome.to_dict() for outcome in tried],
        "reported": [Outcome.of(row).to_dict() for row in (*planned, *later)],
        "hardened": [Outcome.of(row).to_dict() for row in worse],
    }


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One method in one case, a value for every seed.

    Attributes
    ----------
    case, label : str
    seeds : list of int
    average_accuracy, average_compatibility : dict
        AA and AC, in [0, 1], by "SEARCH, CLASSES".
    same_class, different_class : list of float
        Gaps of 1a and 1b of the last model against the first, squared Euclidean distance.
    seconds : list of float
        Wall time of the updates.
    sha256 : str
        Of the results as the suite gives them.
    """

    case: str
    label: str
    seeds: list[int]
    average_accuracy: dict[str, list[float]]
    average_compatibility: dict[str, list[float]]
    same_class: list[float]
    different_class: list[float]
    seconds: list[float]
    sha256: str

    @classmethod
    def of(cls, row: MethodResults) -> Outcome:
        """Keep of a row what the tables are made of, to six decimals."""
        results = row.results
        searches = [(search.score, search.classes) for search in results[0].searches]
        ends = [next(p for p in r.pairs if (p.new, p.old) == (len(r.matrix) - 1, 0)) for r in results]

        def values(name: str) -> dict[str, list[float]]:
            return {
                ", ".join(which): [round(getattr(result.search(*which), name), 6) for result in results]
                for which in searches
            }

        return cls(
            case=row.case,
            label=row.label,
            seeds=[result.seed for result in results],
            average_accuracy=values("average_accuracy"),
            average_compatibility=values("average_compatibility"),
            same_class=[round(pair.same_class[0], 6) for pair in ends],
            different_class=[round(pair.different_class[0], 6) for pair in ends],
            seconds=[round(result.seconds, 2) for result in results],
            sha256=hashlib.sha256(json.dumps(row.to_dict(), sort_keys=True).encode()).hexdigest(),
        )

    @property
    def contrast(self) -> list[float]:
        """Contrast gaps, the sums of the gaps of 1a and 1b."""
        return [a + b for a, b in zip(self.same_class, self.different_class, strict=True)]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; ``Outcome(**values)`` makes it again."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Mean of a paired difference and half the width of its 95 % t interval; ``p`` is corrected by Holm."""

    mean: float
    half: float
    p: float

    @property
    def decided(self) -> bool:
        """Whether it is not 0, at 5 % for its whole column."""
        return self.p <= 0.05


def differences(
    outcomes: Sequence[Outcome], value: Callable[[Outcome], Sequence[float]], reference: str = REFERENCE
) -> dict[str, Difference]:
    """Each method less the reference, seed by seed, with Holm's correction over the methods given.

    Parameters
    ----------
    outcomes : sequence of Outcome
        Of one case, the reference among them.
    value : callable
        → one number a seed.
    """
    (base,) = (outcome for outcome in outcomes if outcome.label == reference)
    others = [outcome for outcome in outcomes if outcome is not base]
    for outcome in others:
        if outcome.seeds != base.seeds:
            raise ValueError(f"{outcome.label} must have the seeds of {reference}, got {outcome.seeds}.")
    gains = [np.subtract(value(outcome), value(base)) for outcome in others]
    means = [mean_interval(gain) for gain in gains]
    corrected = holm(np.array([float(stats.ttest_1samp(gain, 0.0).pvalue) for gain in gains]))
    return {
        outcome.label: Difference(mean=mean, half=half, p=float(p))
        for outcome, (mean, half), p in zip(others, means, corrected, strict=True)
    }


def mean_interval(values: Sequence[float] | NDArray[np.float64]) -> tuple[float, float]:
    """Mean of values, two at least, and half the width of its 95 % t interval."""
    n = len(values)
    half = float(stats.t.ppf(0.975, n - 1)) * statistics.stdev(map(float, values)) / math.sqrt(n)
    return statistics.fmean(map(float, values)), half


def note_environment(folder: Path) -> None:
    """Add what this machine and its libraries are to ``environments.json``, unless the same stands there."""
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine()
    here = {
        "device": device,
        **{name: importlib.metadata.version(name) for name in ("torch", "numpy", "scipy")},
        "python": platform.python_version(),
    }
    path = folder / "environments.json"
    make_folder(folder)
    there = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    if here not in there:
        write_text(path, json.dumps([*there, here], indent=2) + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the comparison and write it; the status is 0."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="where runs are kept, and found again")
    parser.add_argument("--workers", type=int, default=1, help="processes (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="of the reported cases (default: %(default)s)")
    parser.add_argument("--json", type=Path, default=RESULT, help="where to write the outcome")
    options = parser.parse_args(arguments)
    found = run(options.folder, options.workers, options.seeds)
    write_text(options.json, json.dumps(found) + "\n")
    print(f"wrote {options.json}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

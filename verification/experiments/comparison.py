"""The planned comparison of methods: docs/protocol.md says what it asks, this module runs it.

``python -m verification.experiments.comparison FOLDER`` tunes every method by one rule on data and seeds that are not
reported (:func:`tuning`), trains the chosen settings on those that are (:func:`reported`), and those that could be used
once more where something is wrong with the data or the models differ (:func:`hardened`). Runs are kept in the folder;
an interrupted comparison goes on there. The whole is written to docs/data/comparison.json, of which the tables of
docs/protocol.md are made.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import itertools
import json
import platform
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from learning.lifelong import CL2R
from learning.protocol import Scenario
from learning.recipes import Recipe
from learning.scenarios import ExtendedClasses, ExtendedData
from verification.experiments.suites.cases import recipe
from verification.experiments.suites.results import MethodResults
from verification.experiments.suites.suite import Case, Variant, run_suite

RESULT = Path(__file__).parent.parent.parent / "docs" / "data" / "comparison.json"
SEEDS, TUNING_SEEDS, HARDENED_SEEDS = 20, 3, 5
FIRST_TUNING_SEED, FIRST_HARDENED_SEED = 100, 200
SCORES = ("template", "nearest")
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


def chosen(rows: Sequence[MethodResults]) -> dict[str, dict[str, Any]]:
    """Of each method the settings with the highest mean AA over tuning cases, searches, seeds; the first of equals."""
    found = {}
    for method, grid in GRIDS.items():
        scores = [
            statistics.fmean(
                result.search(score, "trained").average_accuracy
                for row in rows
                if row.label == f"{method}#{number}"
                for result in row.results
                for score in SCORES
            )
            for number in range(len(grid))
        ]
        found[method] = grid[scores.index(max(scores))]
    return found


def reported(settings: Mapping[str, Mapping[str, Any]]) -> tuple[Case, ...]:
    """100 classes of digit pairs task by task, and one update on Fashion-MNIST: more classes, and unrelated models."""
    variants = _tuned(settings)
    pairs = CL2R(data="digit-pairs", tasks=4, first_classes=10, open_classes=30, images_per_class=40, held_out=1500)
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
        _case("digit-pairs", pairs, recipe(8, 8), variants),
        _case("more-classes", classes, recipe(6, 3), variants),
        _case("unrelated", unrelated, recipe(6, 4, from_scratch=True), variants),
    )


def hardened(settings: Mapping[str, Mapping[str, Any]]) -> tuple[Case, ...]:
    """What might break a method that is ahead, one change at a time."""
    variants = tuple(variant for variant in _tuned(settings) if variant.label in HARDENED)
    pairs = CL2R(data="digit-pairs", tasks=4, first_classes=10, open_classes=30, images_per_class=40, held_out=1500)
    unrelated = ExtendedData(data="fashion-mnist-14", old_images=2000, new_images=6000, held_out=3000)
    unrelated = replace(unrelated, fixed_classifier=False, from_scratch=True)
    once = recipe(6, 4, from_scratch=True)
    cases: tuple[tuple[str, Scenario, Recipe], ...] = (
        ("learned-classifier", replace(pairs, fixed_classifier=False), recipe(8, 8)),
        ("ten-updates", replace(pairs, tasks=11, first_classes=20), recipe(8, 8)),
        (
            "five-images-a-class",
            replace(pairs, images_per_class=5, memory_per_class=5),
            recipe(32, 32).changed(batch_size=32),
        ),
        ("three-times-the-epochs", pairs, recipe(24, 24)),
        ("wrong-labels", replace(unrelated, wrong_labels=0.2), once),
        ("other-dimension", replace(unrelated, new_dim=32), once),
        ("other-architecture", replace(unrelated, new_backbone="lenet++"), once),
    )
    return tuple(_case(*case, variants, FIRST_HARDENED_SEED) for case in cases)


def _tuned(settings: Mapping[str, Mapping[str, Any]]) -> tuple[Variant, ...]:
    return tuple(Variant(method, method, settings[method]) for method in GRIDS)


def _case(name: str, scenario: Scenario, how: Recipe, variants: tuple[Variant, ...], first_seed: int = 0) -> Case:
    return Case(name, lambda seed: replace(scenario, seed=seed), how, variants, first_seed)


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
    found: dict[str, Any] = {"tuning": run_suite(tuning(), TUNING_SEEDS, folder / "tuning", show, workers=workers)}
    settings = chosen(found["tuning"])
    found["reported"] = run_suite(reported(settings), seeds, folder / "reported", show, workers=workers)
    found["hardened"] = run_suite(hardened(settings), HARDENED_SEEDS, folder / "hardened", show, workers=workers)
    return {
        "environments": json.loads((folder / "environments.json").read_text(encoding="utf-8")),
        "settings": settings,
        # of the tuning only what the choice was made of
        "tuning": _scores(found["tuning"]),
        **{name: [row.to_dict() for row in found[name]] for name in ("reported", "hardened")},
    }


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
    folder.mkdir(parents=True, exist_ok=True)
    there = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    if here not in there:
        path.write_text(json.dumps([*there, here], indent=2) + "\n", encoding="utf-8")


def _scores(rows: Sequence[MethodResults]) -> list[dict[str, Any]]:
    return [
        {
            "case": row.case,
            "label": row.label,
            "average_accuracy": {
                score: [result.search(score, "trained").average_accuracy for result in row.results] for score in SCORES
            },
        }
        for row in rows
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the comparison and write it; the status is 0."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="where runs are kept, and found again")
    parser.add_argument("--workers", type=int, default=1, help="processes (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="of the reported cases (default: %(default)s)")
    parser.add_argument("--json", type=Path, default=RESULT, help="where to write the outcome")
    options = parser.parse_args(arguments)
    found = run(options.folder, options.workers, options.seeds)
    options.json.write_text(json.dumps(found) + "\n", encoding="utf-8")
    print(f"wrote {options.json}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

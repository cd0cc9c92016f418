"""Trained models that figures share: each sequence is trained once, whatever figure asks first."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from paper_figures._kept import kept
from theory.simplex import simplex_vertices
from verification.features import FeatureSet

if TYPE_CHECKING:
    from learning.lifelong import CL2R, IAMCL2R
    from learning.protocol import Scenario
    from learning.recipes import Recipe
    from verification.experiments.upgrades import TrainedUpgrade

# those of Figs. 4 and 7 of the paper
METHODS = {"cvs": "CVS", "bct-er": "BCT-ER", "simplex-fd": "d-Simplex-FD", "hoc": "d-Simplex-HOC"}
QUICK_EPOCHS, FULL_EPOCHS = 6, 20


def recipe(epochs: int, learning_rate: float | None = None) -> Recipe:
    """The preset "small" with so many epochs, updates in small batches, as a task has few images.

    ``learning_rate`` is that of the updates, where not the preset's.
    """
    from learning.recipes import PRESETS, Recipe

    first, update = (replace(config, epochs=epochs) for config in PRESETS["small"])
    update = replace(update, batch_size=32)
    return Recipe(first, update if learning_rate is None else replace(update, learning_rate=learning_rate))


@functools.cache
def full_data() -> str:
    """Fashion-MNIST if it is installed or can be downloaded, else the digits: the data of Fig. 3 in full."""
    from learning.datasets import load_data

    try:
        load_data("fashion-mnist")
    except (OSError, ValueError, ImportError):
        return "digits"
    return "fashion-mnist"


def epochs(quick: bool) -> int:
    """Of every training in the lifelong figures."""
    return QUICK_EPOCHS if quick else FULL_EPOCHS


def lifelong(seed: int = 0) -> CL2R:
    """CL²R over the ten digits: four classes first, then one a task."""
    from learning.lifelong import CL2R

    return CL2R(seed=seed, tasks=7, first_classes=4)


def replaced(seed: int = 0, **changes: Any) -> IAMCL2R:
    """IAM-CL²R: two classes first, then one a task; tasks 3 and 5 begin with models of two and four other classes."""
    from learning.lifelong import IAMCL2R

    settings: dict[str, Any] = {"tasks": 5, "first_classes": 2, "replace_at": (2, 4), "elsewhere_classes": 4}
    return IAMCL2R(seed=seed, **(settings | changes))


def unreplaced(seed: int = 0) -> CL2R:
    """The tasks of :func:`replaced` without replacements; the classes of the improved models stay out."""
    from learning.lifelong import CL2R

    return CL2R(seed=seed, tasks=5, first_classes=2, open_classes=4)


def sequence(
    scenario: Scenario, method: str, how: Recipe, settings: Mapping[str, Any] | None = None
) -> list[FeatureSet]:
    """Features of every model of a scenario, oldest first, on held-out images of the classes that were trained on."""
    parameters = [
        type(scenario).__name__,
        asdict(scenario),
        method,
        dict(settings or {}),
        [asdict(config) for config in how],
    ]

    def train() -> dict[str, Any]:
        from learning.runs import run_scenario

        run = run_scenario(scenario, method, how, settings=settings)
        rows = np.flatnonzero(run.trained)
        return {"features": np.stack([features[rows] for features in run.features]), "labels": run.labels[rows]}

    found = kept("sequence", ("learning.runs", type(scenario).__module__), parameters, train).values
    return [FeatureSet(features, found["labels"]) for features in found["features"]]


def upgrades(seeds: Sequence[int]) -> list[dict[str, Any]]:
    """What ``stationary verify`` trains, stationary models and controls, as numbers: one dict a model and seed.

    ``name``, ``seed``, ``stationary`` (the theorem's hypotheses are expected to hold), ``answer``; by class
    ``old_length`` and ``new_length``, the mean resultant lengths, ``drift`` of the mean in radians and ``class_gap`` of
    1a; ``gap``, ``lower``, ``upper``, ``fraction``: for 1a and 1b, in the squared distance.
    """
    return [model for seed in seeds for model in _upgrades(seed)["models"]]


def polar_angles(seed: int) -> dict[str, dict[str, list[float]]]:
    """For each model of :func:`upgrades`, ``new`` and ``old``: angle of every held-out image to its class's vertex."""
    return _upgrades(seed)["polar"]


def _upgrades(seed: int) -> dict[str, Any]:
    def train() -> dict[str, Any]:
        from learning.scenarios import ExtendedData
        from verification.experiments.upgrades import train_upgrades

        found = list(train_upgrades(ExtendedData(seed=seed)))
        return {
            "models": [_numbers(upgrade) for upgrade in found],
            "polar": {each.name: {"new": _polar(each.upgrade.new), "old": _polar(each.upgrade.old)} for each in found},
        }

    return kept("upgrades", ("verification.experiments.upgrades",), [seed, "numbers and angles"], train).values


def _polar(features: FeatureSet) -> list[float]:
    vertices = simplex_vertices(len(features.classes), features.dim)[features.codes]
    return np.arccos(np.clip(np.vecdot(features.unit, vertices), -1.0, 1.0)).tolist()


def _numbers(trained: TrainedUpgrade) -> dict[str, Any]:
    from verification.experiments.dependence import class_means, mean_alignment

    new, old = class_means(trained.upgrade.new), class_means(trained.upgrade.old)
    report = trained.check.conclusions
    sides = (report.same_class, report.different_class)
    return {
        "name": trained.name,
        "seed": trained.seed,
        "stationary": trained.expected == "holds",
        "answer": trained.check.answer,
        "old_length": np.linalg.norm(old, axis=1).tolist(),
        "new_length": np.linalg.norm(new, axis=1).tolist(),
        "drift": np.arccos(np.clip(mean_alignment(trained.upgrade.new, old), -1.0, 1.0)).tolist(),
        "class_gap": [found.gap for found in report.by_class],
        "gap": [side.gap for side in sides],
        "lower": [side.lower for side in sides],
        "upper": [side.upper for side in sides],
        "fraction": [side.pair_fraction for side in sides],
    }

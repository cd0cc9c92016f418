"""Theorem D on trained models: how often accept rates go the wrong way where it speaks, where it is silent; controls.

``python -m verification.experiments.decisions`` trains the models on digits, two seeds, and prints the table.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from verification.audit.decisions import DecisionCheck, RateTests, check_decisions, without_drift
from verification.experiments.dependence import class_means
from verification.features import FeatureSet
from verification.upgrade import Upgrade

if TYPE_CHECKING:
    from learning.runs import ScenarioRun

UNSEEN = "three classes never trained on"
MORE_CLASSES = "ten classes in four dimensions"
TRAINED_CLASSES = 7  # of ten, where the others are never trained on


def train_more(seed: int) -> dict[str, Upgrade]:
    """Fine-tune a model with more classes than dimensions, and one that never sees some of the classes."""
    from learning.datasets import Split
    from learning.runs import run_scenario
    from learning.scenarios import ExtendedData

    cube = run_scenario(ExtendedData(seed=seed, polytope="cube"), "simplex")
    train, test = ExtendedData(seed=seed).load()
    part = ExtendedData(seed=seed, old_images=400, new_images=800, preallocated=10)
    unseen = run_scenario(part, "simplex", data=Split(train.subset(train.labels < TRAINED_CLASSES), test))
    return {MORE_CLASSES: as_upgrade(cube), UNSEEN: as_upgrade(unseen)}


def as_upgrade(run: ScenarioRun) -> Upgrade:
    """The held-out features of a run's first two models."""
    old, new = (FeatureSet(features, run.labels) for features in run.features[:2])
    return Upgrade(new, old)


def turned_to_old_means(upgrade: Upgrade) -> Upgrade:
    """Take the drift out: each class's mean gets the direction that it has under the old model."""
    means = class_means(upgrade.old)
    return without_drift(upgrade, means / np.linalg.norm(means, axis=1, keepdims=True))


def widened(upgrade: Upgrade, factor: float = 1.5) -> Upgrade:
    """The control: new features whose angle to their class's old mean is multiplied, up to π."""
    axes = class_means(upgrade.old)
    w = (axes / np.linalg.norm(axes, axis=1, keepdims=True))[upgrade.old.codes]
    u = upgrade.new.unit
    cosine = np.clip(np.einsum("nd,nd->n", u, w), -1.0, 1.0)
    across = u - cosine[:, None] * w
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    theta = np.minimum(factor * np.arccos(cosine), np.pi)[:, None]
    return Upgrade(FeatureSet(np.cos(theta) * w + np.sin(theta) * across, upgrade.new.labels), upgrade.old)


def checks(seeds: tuple[int, ...] = (0, 1)) -> Iterator[tuple[str, int, DecisionCheck]]:
    """Every model of every seed, as it is and with its drift taken out; the controls as they are."""
    from learning.scenarios import ExtendedData
    from verification.experiments.upgrades import LEARNED_CLASSIFIER, train_ways

    for seed in seeds:
        runs = train_ways(ExtendedData(seed=seed), ("fine-tuned CE", LEARNED_CLASSIFIER))
        upgrades = {name: as_upgrade(run) for name, run in runs.items()} | train_more(seed)
        control = upgrades.pop(LEARNED_CLASSIFIER)
        for name, upgrade in upgrades.items():
            yield name, seed, check_decisions(upgrade)
            yield f"{name}, drift taken out", seed, check_decisions(turned_to_old_means(upgrade))
        yield f"control: {LEARNED_CLASSIFIER}", seed, check_decisions(control)
        yield "control: widened caps", seed, check_decisions(widened(upgrades["fine-tuned CE"]))


def table(found: Iterator[tuple[str, int, DecisionCheck]]) -> str:
    """The shares of settings that are worse, as Markdown."""
    lines = [
        "| model | seed | TAR falls | FAR rises, τ ≥ bound | below the bound | wider classes: TAR falls "
        "| nearer pairs: FAR rises |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, seed, check in found:
        columns = (check.true_accepts, check.false_accepts, check.below, check.wider, check.nearer)
        lines.append(f"| {name} | {seed} | " + " | ".join(map(_share, columns)) + " |")
    return "\n".join(lines)


def _share(tests: RateTests) -> str:
    return f"{tests.wrong} of {tests.tested}" if tests.tested else "–"


if __name__ == "__main__":
    print(table(checks()))

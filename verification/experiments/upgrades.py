"""The main job: train an old model and its successors, and check Theorem 1 on held-out data.

Three ways to make the new model that stay with the fixed classifier, for which the theorem must show; a fourth with a
learned classifier, for which it must not; and the first way once more without the normalised embedding, where class
means leave their vertices, a hypothesis fails and the theorem is silent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from theory.simplex import simplex_vertices
from verification.audit.theorem import TheoremCheck, check_theorem
from verification.features import FeatureSet
from verification.statistics.interval import Verdict
from verification.upgrade import Upgrade

if TYPE_CHECKING:
    from learning.progress import Progress
    from learning.recipes import Recipe
    from learning.runs import FirstModels, ScenarioRun
    from learning.scenarios import ExtendedData

SEEDS = (0, 1)
OFF_VERTICES = "fine-tuned CE, embedding not normalised"
# the negative control: it shares nothing with the old model, so its queries cannot search the old gallery
LEARNED_CLASSIFIER = "retrained, learned classifier"
# how each new model is made: the method, and what differs from fine-tuning
WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "fine-tuned CE": ("simplex", {}),
    "fine-tuned HOC": ("hoc", {}),
    "retrained, fixed classifier": ("simplex", {"from_scratch": True}),
    LEARNED_CLASSIFIER: ("simplex", {"from_scratch": True, "new_classifier": "learned"}),
}


@dataclass(frozen=True, kw_only=True)
class TrainedUpgrade:
    """One old model, one new model, and what Theorem 1 says of them.

    Attributes
    ----------
    name : str
        How the new model was made.
    seed : int
    upgrade : Upgrade
        Features of the held-out images by both models.
    check : TheoremCheck
    expected : str
        The answer that the theory predicts; a learned classifier must moreover be found incompatible.
    """

    name: str
    seed: int
    upgrade: Upgrade
    check: TheoremCheck
    expected: str

    @property
    def as_predicted(self) -> bool:
        """Whether the answer is the predicted one."""
        violated = self.check.conclusions.verdict == Verdict.incompatible
        return self.check.answer == self.expected and (violated or self.name != LEARNED_CLASSIFIER)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, without the features."""
        return {
            "model": self.name,
            "seed": self.seed,
            "expected": self.expected,
            "as_predicted": self.as_predicted,
            **self.check.to_dict(),
        }


def train_ways(
    scenario: ExtendedData,
    names: Sequence[str] = tuple(WAYS),
    recipe: Recipe | None = None,
    progress: Progress | None = None,
) -> dict[str, ScenarioRun]:
    """Train one old model and a new one in each of the named ways; a new model from scratch takes the higher rate.

    Parameters
    ----------
    scenario : ExtendedData
    names : sequence of str
        Of :data:`WAYS`.
    recipe : Recipe, optional
        The preset "small" if not given.

    Raises
    ------
    ValueError
        Before training starts, for an unknown name or a scenario that does not fit the data.
    """
    from dataclasses import replace

    from learning.recipes import PRESETS, Recipe
    from learning.runs import run_scenario

    unknown = [name for name in names if name not in WAYS]
    if unknown:
        raise ValueError(f"names must be among {', '.join(map(repr, WAYS))}, got {unknown[0]!r}.")
    recipe = PRESETS["small"] if recipe is None else recipe
    shared: FirstModels = {}
    runs = {}
    for name in names:
        method, changes = WAYS[name]
        how = Recipe(recipe.first, recipe.first) if changes else recipe
        runs[name] = run_scenario(
            replace(scenario, **changes), method, how, progress=_named(progress, name), first_models=shared
        )
    return runs


def train_upgrades(
    scenario: ExtendedData, recipe: Recipe | None = None, progress: Progress | None = None
) -> Iterator[TrainedUpgrade]:
    """Train the models of one scenario and check each; yields the stationary ones, the control, the off-vertex one."""
    from dataclasses import replace

    off = replace(scenario, normalize_embedding=False)
    for which, names in ((scenario, tuple(WAYS)), (off, tuple(WAYS)[:1])):
        for name, run in train_ways(which, names, recipe, progress).items():
            old, new = (FeatureSet(features, run.labels) for features in run.features)
            stationary = which.normalize_embedding and name != LEARNED_CLASSIFIER
            expected = "holds" if stationary else "hypothesis fails"
            upgrade = Upgrade(new, old)
            yield TrainedUpgrade(
                name=name if which.normalize_embedding else OFF_VERTICES,
                seed=which.seed,
                upgrade=upgrade,
                check=check_theorem(upgrade, simplex_vertices(len(old.classes), old.dim)),
                expected=expected,
            )


def _named(progress: Progress | None, name: str) -> Progress | None:
    if progress is None:
        return None
    return lambda stage, *rest: progress("old model" if stage == "task-00" else name, *rest)

"""The main job: train an old model and its successors, and check Theorem 1 on held-out data.

Three ways to make the new model that stay with the fixed classifier, for which the theorem must show; a fourth with a
learned classifier, for which it must not; and the first way once more without the normalised embedding, where class
means leave their vertices, a hypothesis fails and the theorem is silent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from theory.simplex import simplex_vertices
from verification.features import FeatureSet
from verification.theorem import TheoremCheck, check_theorem

if TYPE_CHECKING:
    from learning.scenarios import ExtendedData, StageProgress

SEEDS = (0, 1)
OFF_VERTICES = "fine-tuned CE, embedding not normalised"


@dataclass(frozen=True)
class Upgrade:
    """One old model, one new model, and what Theorem 1 says of them.

    Attributes
    ----------
    name : str
        How the new model was made.
    seed : int
    new, old : FeatureSet
        Features of the held-out images.
    check : TheoremCheck
    expected : str
        The answer that the theory predicts; a learned classifier must moreover be found incompatible.
    """

    name: str
    seed: int
    new: FeatureSet
    old: FeatureSet
    check: TheoremCheck
    expected: str

    @property
    def as_predicted(self) -> bool:
        """Whether the answer is the predicted one."""
        from learning.scenarios import LEARNED_CLASSIFIER

        violated = self.check.conclusions.verdict == "incompatible"
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


def train_upgrades(scenario: ExtendedData, progress: StageProgress | None = None) -> Iterator[Upgrade]:
    """Train the models of one scenario and check each; yields the stationary ones, the control, the off-vertex one."""
    from dataclasses import replace

    from learning.scenarios import LEARNED_CLASSIFIER, UPDATES, train_extended_data

    off = replace(scenario, normalize_embedding=False)
    runs = [(scenario, UPDATES, "{}"), (off, UPDATES[:1], OFF_VERTICES)]
    for which, methods, naming in runs:
        models = train_extended_data(which, methods, progress)
        old = FeatureSet(models.old, models.labels)
        vertices = simplex_vertices(len(old.classes), old.dim)
        for method, features in models.new.items():
            new = FeatureSet(features, models.labels)
            stationary = which.normalize_embedding and method != LEARNED_CLASSIFIER
            expected = "holds" if stationary else "hypothesis fails"
            check = check_theorem(new, old, vertices)
            yield Upgrade(naming.format(method), which.seed, new, old, check, expected)

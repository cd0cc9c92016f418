"""The models that several claims are checked on, trained once: updates on digits, and short lifelong sequences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import cache, cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from learning.store import Store
from theory.simplex import simplex_vertices
from verification.experiments.evaluate import Evaluation, evaluate
from verification.experiments.upgrades import WAYS, train_ways
from verification.features import FeatureSet
from verification.upgrade import Upgrade

if TYPE_CHECKING:
    from learning.protocol import Scenario
    from learning.scenarios import ExtendedData

CE, HOC, RETRAINED, LEARNED = WAYS
SIMPLEX = (CE, HOC, RETRAINED)  # the ways to update that keep the d-Simplex fixed classifier
PREALLOCATED = 64
ARCHITECTURES = "iam-cl2r-architectures"


@dataclass(frozen=True, kw_only=True)
class Successors:
    """One old model and its successors, on held-out images.

    Attributes
    ----------
    seed : int
    old : FeatureSet
    new : dict of str to FeatureSet
        By the name of the way to update.
    vertices : ndarray, shape (K, d)
        Of the classes in use.
    """

    seed: int
    old: FeatureSet
    new: dict[str, FeatureSet]
    vertices: Float[ndarray, "k dim"]

    def upgrade(self, name: str) -> Upgrade:
        """Return the upgrade from the old model to one of its successors."""
        return Upgrade(self.new[name], self.old)


@dataclass(frozen=True, kw_only=True)
class ModelSequence:
    """The models of one lifelong run.

    Attributes
    ----------
    method : str
    seed : int
    models : tuple of FeatureSet
        Oldest first, on the held-out images of classes that some model was trained on.
    evaluation : Evaluation
    """

    method: str
    seed: int
    models: tuple[FeatureSet, ...]
    evaluation: Evaluation


@dataclass(frozen=True)
class Material:
    """Trained when first asked for.

    Attributes
    ----------
    quick : bool
        One seed, and Monte Carlo with fewer samples; else three seeds.
    seed : int
        The first one.
    folder : Path or None
        Where what is trained is kept; what is there of the same scenario and settings is not trained again.
    seconds : dict of str to float
        What each training took, now or when it was kept.
    """

    quick: bool = True
    seed: int = 0
    folder: Path | None = None
    seconds: dict[str, float] = field(default_factory=dict, repr=False)
    _sequences: dict[tuple[str, str], tuple[ModelSequence, ...]] = field(default_factory=dict, repr=False)
    _trained: set[str] = field(default_factory=set, repr=False)

    @cached_property
    def _store(self) -> Store:
        return Store(self.folder)

    @property
    def seeds(self) -> tuple[int, ...]:
        """Of the trainings."""
        return tuple(self.seed + i for i in range(1 if self.quick else 3))

    @property
    def samples(self) -> int:
        """Of each Monte Carlo estimate."""
        return 2**20 if self.quick else 2**22

    @cached_property
    def updates(self) -> tuple[Successors, ...]:
        """Old from 600 images, new from 1200; the embedding normalised, so that classes reach their vertices."""
        return self._updates("updates", (*SIMPLEX, LEARNED))

    @cached_property
    def off_vertices(self) -> tuple[Successors, ...]:
        """The same without the normalised embedding: class means stay away from their vertices."""
        return self._updates("off-vertices", (CE, HOC), normalize_embedding=False)

    @cached_property
    def preallocated(self) -> tuple[Successors, ...]:
        """The same with 64 preallocated vertices, ten in use."""
        return self._updates("preallocated", (CE,), preallocated=PREALLOCATED)

    def _updates(self, kind: str, methods: tuple[str, ...], **settings: Any) -> tuple[Successors, ...]:
        from learning.scenarios import ExtendedData

        found = []
        for seed in self.seeds:
            scenario = ExtendedData(seed=seed, **settings)
            arrays = self._kept(
                f"{kind}-seed{seed}", _described(scenario, methods), partial(_extended, scenario, methods)
            )
            old = FeatureSet(arrays["old"], arrays["labels"])
            new = {name: FeatureSet(arrays[name], arrays["labels"]) for name in methods}
            vertices = simplex_vertices(old.dim + 1)[: len(old.classes)]  # the scenario fits dimension to vertices
            found.append(Successors(seed=seed, old=old, new=new, vertices=vertices))
        return tuple(found)

    def sequences(self, protocol: str, method: str) -> tuple[ModelSequence, ...]:
        """One run a seed of a protocol of :func:`protocols`; of that with another architecture the first seed alone."""
        key = protocol, method
        if key not in self._sequences:
            found = []
            for seed in self.seeds[:1] if protocol == ARCHITECTURES else self.seeds:
                scenario = replace(protocols()[protocol], seed=seed)
                arrays = self._kept(
                    f"{protocol}-{method}-seed{seed}",
                    _described(scenario, (method,)),
                    partial(_lifelong, scenario, method),
                )
                models = tuple(FeatureSet(features, arrays["labels"]) for features in arrays["features"])
                found.append(ModelSequence(method=method, seed=seed, models=models, evaluation=evaluate(models)))
            self._sequences[key] = tuple(found)
        return self._sequences[key]

    def _kept(self, name: str, description: dict[str, Any], train: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What ``train`` returns, from the folder where it is there; with it, how long the training took."""
        kept = self._store.get(name, description, train)
        self.seconds[name] = kept.seconds
        if kept.fresh:
            self._trained.add(name)
        return kept.values

    @property
    def seconds_now(self) -> float:
        """Seconds of the trainings that were not kept from before."""
        return sum(self.seconds[name] for name in self._trained)


def _described(scenario: Scenario, methods: tuple[str, ...]) -> dict[str, Any]:
    """All that a training with the default recipe depends on."""
    from learning.recipes import PRESETS

    return {"scenario": repr(scenario), "methods": list(methods), "recipe": [asdict(c) for c in PRESETS["small"]]}


def _extended(scenario: ExtendedData, methods: tuple[str, ...]) -> dict[str, ndarray]:
    runs = train_ways(scenario, methods)
    first = runs[methods[0]]
    return {"labels": first.labels, "old": first.features[0], **{name: run.features[1] for name, run in runs.items()}}


def _lifelong(scenario: Scenario, method: str) -> dict[str, ndarray]:
    from learning.runs import run_scenario

    run = run_scenario(scenario, method)
    features = np.stack([features[run.trained] for features in run.features])
    return {"labels": run.labels[run.trained], "features": features}


@cache
def protocols() -> dict[str, Scenario]:
    """Three models in a row on digits, in each. In all but "cl2r" one trained on other classes replaces the second.

    An update at the replacement is held to the improved model itself ("iam-cl2r", the released code), or to the model
    before it, whose gallery is searched ("iam-cl2r-previous"; also where LeNet++ replaces the small network).
    """
    from learning.lifelong import CL2R, IAMCL2R

    replaced = IAMCL2R(tasks=3, elsewhere_classes=4)
    return {
        "cl2r": CL2R(tasks=3, first_classes=4),
        "iam-cl2r": replaced,
        "iam-cl2r-previous": replace(replaced, reference="previous"),
        ARCHITECTURES: replace(replaced, reference="previous", backbones=("lenet++",)),
    }

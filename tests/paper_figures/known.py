"""Sequences of models and upgrades whose answer is known: features drawn from caps, nothing trained."""

from __future__ import annotations

from typing import Any

import numpy as np

from paper_figures import _runs
from theory.caps import UniformCap
from theory.simplex import simplex_vertices
from verification.audit.theorem import check_theorem
from verification.experiments.upgrades import TrainedUpgrade
from verification.features import FeatureSet
from verification.upgrade import Upgrade

from ..verification.samples import cap_features

CLASSES, DIM = 5, 4
LABELS = np.arange(200) % CLASSES


def model(radius: float, seed: int, turn: np.ndarray | None = None) -> FeatureSet:
    """Features about the vertices, or about vertices that were turned away."""
    rng = np.random.default_rng(seed)
    features = np.empty((len(LABELS), DIM))
    for c, vertex in enumerate(simplex_vertices(CLASSES)):
        axis = vertex if turn is None else turn @ vertex
        features[c == LABELS] = UniformCap(DIM, radius).sample(int(np.sum(c == LABELS)), axis=axis, rng=rng)
    return FeatureSet(features, LABELS)


def turn(seed: int) -> np.ndarray:
    """A rotation (or reflection) of R^DIM."""
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((DIM, DIM)))[0]


def drawn_in(features: FeatureSet, share: float) -> FeatureSet:
    """Every feature moved towards the vertex of its class."""
    return FeatureSet(features.unit + share * simplex_vertices(CLASSES)[LABELS], LABELS)


# each model better than the one before, and in the same places; the same quality in other places each time
BETTER = [drawn_in(model(1.6, 0), share) for share in (0.0, 0.3, 0.6, 0.9, 1.2)]
UNRELATED = [model(0.9, seed, turn(seed)) for seed in range(5)]
# the old one again and again: no difference to be found
EQUAL = [model(1.2, 7)] * 5
SETS = {"cvs": UNRELATED, "bct-er": UNRELATED, "simplex-fd": EQUAL, "hoc": BETTER}


def faithful(updates: int = 3) -> list[FeatureSet]:
    """Models that remember their predecessor's features."""
    rng = np.random.default_rng(0)
    sets = [model(0.8, 3)]
    for _ in range(updates):
        sets.append(FeatureSet(sets[-1].unit + 0.1 * rng.standard_normal((len(LABELS), DIM)), LABELS))
    return sets


def forgetful(updates: int = 3) -> list[FeatureSet]:
    """Models that draw the same caps anew."""
    return [model(0.8, 3 + number) for number in range(updates + 1)]


def _upgrade(new: FeatureSet, old: FeatureSet, name: str, stationary: bool = True) -> dict[str, Any]:
    both = Upgrade(new, old)
    expected = "holds" if stationary else "hypothesis fails"
    return _runs._numbers(TrainedUpgrade(name=name, seed=0, upgrade=both, check=check_theorem(both), expected=expected))


def trained() -> list[dict[str, Any]]:
    """An update that narrows the caps, one that widens them, and one that turns them: what figures know of models."""
    rng = np.random.default_rng(3)
    labels = np.arange(600) % 10
    old, narrower, wider, same = (cap_features(labels, 9, radius, rng) for radius in (0.6, 0.4, 0.8, 0.4))
    # a rotation by 40 degrees in one plane turns some class means farther than the update tolerates
    plane = np.eye(9)
    plane[:2, :2] = [[np.cos(0.7), -np.sin(0.7)], [np.sin(0.7), np.cos(0.7)]]
    return [
        _upgrade(narrower, old, "fine-tuned CE"),
        _upgrade(wider, old, "fine-tuned HOC", stationary=False),
        _upgrade(FeatureSet(same.unit @ plane, labels), old, "retrained, learned classifier", stationary=False),
    ]

r"""Three upgrades on which mean distances mislead, and whose right answer for a search is known.

As in :mod:`verification.experiments.simulated.known_upgrades`, old features are Gaussian about the vertices of a
simplex. *Common mean*: all class means share a vector, as embeddings of text do, and the new model has less noise: a
search finds more, while different classes come nearer. *Merged*: the new model confuses classes in pairs and is tighter
about the others: a search finds less, while most distances improve. *Several shots*: the samples are shots of objects,
which share noise under each model by itself: nothing is lost, and a tool that takes shots for independent samples sees
chance as a verdict.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from theory.simplex import simplex_vertices
from verification.experiments.simulated.known_upgrades import DIM, NOISE, NUM_CLASSES
from verification.features import FeatureSet

# length of the shared vector; pairs of classes that are merged; shots of an object and its share of the variance
COMMON, MERGED, SHOTS, SHARED = 1.5, 3, 5, 0.5
Draw = Callable[[int, np.random.Generator], tuple[FeatureSet, FeatureSet]]


@dataclass(frozen=True)
class KnownSearch:
    """One upgrade.

    Attributes
    ----------
    name : str
    answer : {"compatible", "incompatible", "boundary"}
        Whether new queries find as much in the old gallery, in expectation; at the boundary exactly as much.
    draw : callable
        Of the number of samples and a Generator: new and old features of the same samples.
    """

    name: str
    answer: Literal["compatible", "incompatible", "boundary"]
    draw: Draw


def _noisy(centres: Float[ndarray, "n dim"], noise: float, rng: np.random.Generator) -> Float[ndarray, "n dim"]:
    return centres + noise * rng.standard_normal(centres.shape)


def _labels(num_samples: int) -> Int[ndarray, " n"]:
    return np.arange(num_samples) % NUM_CLASSES


def _common_mean(num_samples: int, rng: np.random.Generator) -> tuple[FeatureSet, FeatureSet]:
    labels = _labels(num_samples)
    centres = simplex_vertices(NUM_CLASSES, DIM)[labels] + COMMON * np.eye(DIM)[DIM - 1]
    return FeatureSet(_noisy(centres, 0.8 * NOISE, rng), labels), FeatureSet(_noisy(centres, NOISE, rng), labels)


def _merged(num_samples: int, rng: np.random.Generator) -> tuple[FeatureSet, FeatureSet]:
    labels = _labels(num_samples)
    vertices = simplex_vertices(NUM_CLASSES, DIM)
    moved = vertices.copy()
    for first in range(0, 2 * MERGED, 2):
        between = vertices[first] + vertices[first + 1]
        moved[first : first + 2] = between / np.linalg.norm(between)
    new = _noisy(moved[labels], 0.5 * NOISE, rng)
    return FeatureSet(new, labels), FeatureSet(_noisy(vertices[labels], NOISE, rng), labels)


def _several_shots(num_samples: int, rng: np.random.Generator) -> tuple[FeatureSet, FeatureSet]:
    objects = np.arange(num_samples) // SHOTS
    labels = _labels(int(objects[-1]) + 1)[objects]
    centres = simplex_vertices(NUM_CLASSES, DIM)[labels]

    def model() -> FeatureSet:
        of_object = rng.standard_normal((objects[-1] + 1, DIM))[objects]
        rows = _noisy(centres + NOISE * np.sqrt(SHARED) * of_object, NOISE * np.sqrt(1.0 - SHARED), rng)
        return FeatureSet(rows, labels, groups=objects)

    return model(), model()


SEARCHES = {
    search.name: search
    for search in (
        KnownSearch("common mean", "compatible", _common_mean),
        KnownSearch("merged", "incompatible", _merged),
        KnownSearch("several shots", "boundary", _several_shots),
    )
}

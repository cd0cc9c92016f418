"""Simulated upgrades for the verdict of retrieval: old and new queries of one law, or a known share of them spoilt.

Queries of one law fare alike in any gallery, so that no loss is true whatever the gallery holds. For a loss a share of
the new queries is drawn anew about a wrong class; what that costs in the gallery at hand is measured with many other
queries, and the margin set to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from theory.caps import UniformCap
from theory.simplex import simplex_vertices
from verification.audit.retrieval import compare_retrieval
from verification.experiments.simulated.decisions import Design, Where
from verification.features import FeatureSet
from verification.search.scores import nearest_neighbor_accuracy
from verification.statistics.interval import Population, Verdict
from verification.upgrade import Upgrade

# queries that measure what spoiling costs: an error of 0.1 × 0.5/√4000 is 4 % of the least standard error here
MEASURING = 4000
# what is asked where the classes are drawn too
DRAWN: dict[str, Any] = {"population": Population.drawn, "read_as": Population.drawn, "unit": "class"}


def _features(labels: np.ndarray, dim: int, radii: np.ndarray, rng: np.random.Generator) -> FeatureSet:
    """A sample a label, uniform in the cap of its class."""
    vertices = simplex_vertices(len(radii), dim)
    rows = np.empty((len(labels), dim))
    for c, (vertex, radius) in enumerate(zip(vertices, radii, strict=True)):
        some = labels == c
        rows[some] = UniformCap(dim, radius).sample(int(np.sum(some)), axis=vertex, rng=rng)
    return FeatureSet(rows, labels)


def _same_law(size: int, dim: int, classes: int, radius: float, gallery: bool) -> Design:
    labels = np.arange(size) % classes
    radii = np.full(classes, radius)

    def decide(rng: np.random.Generator) -> Verdict:
        new, old, items = (_features(labels, dim, radii, rng) for _ in range(3))
        return compare_retrieval(Upgrade(new, old, items if gallery else None), k=1).verdict

    return Design.asking(
        "retrieval", f"N {size} d {dim} K {classes} r {radius}{' gallery' if gallery else ''}", "boundary", decide
    )


def _spoilt(size: int, dim: int, classes: int, radius: float, times: float) -> Design:
    """The margin is ``times`` what is lost."""
    labels = np.arange(size) % classes
    radii, share = np.full(classes, radius), 0.1

    def decide(rng: np.random.Generator) -> Verdict:
        new, old, items = (_features(labels, dim, radii, rng) for _ in range(3))
        wrong = FeatureSet(_features((labels + 1) % classes, dim, radii, rng).features, labels)
        many = np.arange(MEASURING) % classes
        good, bad = (_features((many + shift) % classes, dim, radii, rng).features for shift in (0, 1))
        right, spoilt = (nearest_neighbor_accuracy(FeatureSet(rows, many), items) for rows in (good, bad))
        mixed = np.where(rng.random((size, 1)) < share, wrong.features, new.features)
        margin = times * share * max(right - spoilt, 0.0)
        return compare_retrieval(Upgrade(FeatureSet(mixed, labels), old, items), k=1, margin=margin).verdict

    where: Where = "boundary" if times == 1.0 else "beyond" if times < 1.0 else "inside"
    return Design.asking("retrieval", f"N {size} d {dim} K {classes} r {radius} margin", where, decide)


def _drawn_classes(each: int, dim: int, classes: int) -> Design:
    """Each class is tighter under one model, a fair coin says which: no loss on average, one over these."""
    labels = np.arange(each * classes) % classes

    def decide(rng: np.random.Generator) -> Verdict:
        coin = rng.random(classes) < 0.5
        new = _features(labels, dim, np.where(coin, 0.8, 1.3), rng)
        old = _features(labels, dim, np.where(coin, 1.3, 0.8), rng)
        items = _features(labels, dim, np.full(classes, 1.1), rng)
        return compare_retrieval(Upgrade(new, old, items), k=1, classes="drawn").verdict

    return Design.asking(
        "retrieval", f"N {each * classes} d {dim} K {classes} classes drawn", "boundary", decide, **DRAWN
    )


def designs() -> Sequence[Design]:
    """Few and many queries, accuracies from 0.4 to nearly 1, a gallery apart or the queries themselves."""
    return [
        _same_law(20, 8, 4, 1.2, gallery=True),
        _same_law(200, 16, 10, 1.1, gallery=True),
        _same_law(200, 64, 10, 1.0, gallery=True),
        _same_law(1000, 16, 10, 1.3, gallery=True),
        _same_law(50, 8, 4, 1.2, gallery=False),
        _same_law(100, 3, 4, 1.2, gallery=False),
        _same_law(400, 16, 4, 1.3, gallery=False),
        _same_law(200, 9, 10, 0.9, gallery=False),
        _spoilt(100, 16, 10, 1.1, 1.0),
        _spoilt(400, 9, 10, 0.8, 1.0),
        _drawn_classes(20, 16, 10),
        _drawn_classes(10, 39, 40),
        _spoilt(400, 9, 10, 0.8, 0.7),
        _spoilt(400, 9, 10, 0.8, 1.3),
    ]

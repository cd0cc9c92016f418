"""Simulated upgrades for the verdict through a map: noise about a simplex, turned; gaps through any map are known.

A map is fitted and chosen on a part of the samples, so its true gaps are another number in every run. Class means of
the old model are exact (:mod:`verification.experiments.simulated.known_upgrades`); those of the mapped rows come from
many fresh samples, row by row less the old, which leaves an error that is small compared with the audit's own. The
margin is then put at that loss, short of it or beyond it, and the audit of the third part decides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy import stats

from theory.simplex import simplex_vertices
from verification.bridge.decision import Fitted, audits, bridge, choose, compete
from verification.bridge.judge import Rule, mapped
from verification.bridge.maps import Direction
from verification.bridge.report import Candidate
from verification.bridge.splits import Part, Splits, split
from verification.experiments.simulated.decisions import Design, Where
from verification.experiments.simulated.known_upgrades import mean_resultant_length
from verification.features import FeatureSet
from verification.statistics.interval import Criterion, Verdict

NUM_CLASSES, DIM, NOISE = 8, 16, 0.3
NUM_SAMPLES = 720
REFERENCE = 20_000
# seconds a thousand, not minutes as with the adapter
LINEAR = ("identity", "translation", "orthogonal", "lambda-orthogonal", "ridge")


@dataclass(frozen=True)
class Turned:
    """The old raw features, turned, with noise on top, perhaps in more coordinates."""

    noise: float
    dim: int = DIM

    def sampler(self, rng: np.random.Generator) -> Callable[[int], tuple[FeatureSet, FeatureSet]]:
        """One upgrade: draws any number of samples of it."""
        turn = stats.special_ortho_group.rvs(self.dim, random_state=rng)[:DIM]

        def draw(num_samples: int) -> tuple[FeatureSet, FeatureSet]:
            labels = np.arange(num_samples) % NUM_CLASSES
            old = simplex_vertices(NUM_CLASSES, DIM)[labels] + NOISE * rng.standard_normal((num_samples, DIM))
            new = old @ turn + self.noise * rng.standard_normal((num_samples, self.dim))
            return FeatureSet(new, labels), FeatureSet(old, labels)

        return draw


def true_gaps(fitted: Fitted, reference: Part, held_out: Int[ndarray, " some"]) -> list[float]:
    """Expected gaps of a fitted map: both sides for all classes, then for the held-out ones."""
    whole, partial = fitted
    every = np.arange(NUM_CLASSES)
    pairs = [(whole, every)] if partial is None else [(whole, every), (partial, held_out)]
    means = mean_resultant_length(DIM, NOISE) * simplex_vertices(NUM_CLASSES, DIM)
    found = []
    for feature_map, classes in pairs:
        queries, items = mapped(feature_map, reference)
        q, g, v = (_class_means(rows, reference.codes)[classes] for rows in (queries, items, reference.old))
        # exact means of the items where these are old rows; else both from samples, less what the old rows give there
        products = (q - v) @ means[classes].T if feature_map.direction == "queries" else q @ g.T - v @ v.T
        own = np.eye(len(classes), dtype=bool)
        found += [2.0 * float(products[own].mean()), -2.0 * float(products[~own].mean())]
    return found


def _class_means(rows: Float[ndarray, "n dim"], codes: Int[ndarray, " n"]) -> Float[ndarray, "k dim"]:
    return np.array([rows[codes == c].mean(axis=0) for c in range(NUM_CLASSES)])


def _at_the_loss(
    name: str,
    where: Where,
    share: float,
    law: Turned,
    kinds: Sequence[str] = ("orthogonal",),
    direction: Direction = "queries",
) -> Design:
    """Fit and choose without a margin, then audit with one that is ``share`` of what the chosen map truly loses."""

    def decide(rng: np.random.Generator) -> Verdict:
        draw = law.sampler(rng)
        splits: Splits = split(*draw(NUM_SAMPLES), int(rng.integers(2**31)))
        rule = Rule(criterion=Criterion(confidence=0.975), seed=0)
        candidates, fitted = compete(kinds, splits, direction, rule)
        kind = choose(candidates).kind
        new, old = draw(REFERENCE)
        reference = Part(new.unit, old.unit, old.codes, 0.0)
        loss = -min(true_gaps(fitted[kind], reference, splits.held_out))
        at = Rule(criterion=Criterion(confidence=0.975, margin=share * loss), seed=0)
        all_classes, held_out = audits(fitted[kind], splits.audit, splits, at)
        return Candidate(kind=kind, all_classes=all_classes, held_out=held_out).verdict

    return Design.asking("bridge", name, where, decide)


def _whole(name: str, where: Where, spread: float, turned: bool) -> Design:
    """All of :func:`~verification.bridge.bridge` without a margin: new features drawn anew, spread out or turned."""

    def decide(rng: np.random.Generator) -> Verdict:
        labels = np.arange(NUM_SAMPLES) % NUM_CLASSES
        vertices = simplex_vertices(NUM_CLASSES, DIM)[labels]
        old = vertices + NOISE * rng.standard_normal(vertices.shape)
        new = vertices + spread * NOISE * rng.standard_normal(vertices.shape)
        if turned:
            new = new @ stats.special_ortho_group.rvs(DIM, random_state=rng)
        sets = FeatureSet(new, labels), FeatureSet(old, labels)
        return bridge(*sets, maps=LINEAR, seed=int(rng.integers(2**31))).verdict

    return Design.asking("bridge", name, where, decide)


def designs() -> Sequence[Design]:
    """At the boundary, just beyond it and inside of it, through one map, the best of five, and other dimensions."""
    return [
        _at_the_loss("turned and noisy, orthogonal", "boundary", 1.0, Turned(0.1)),
        _at_the_loss("turned and noisy, best of five maps", "boundary", 1.0, Turned(0.1), LINEAR),
        _at_the_loss("turned and noisy, gallery mapped", "boundary", 1.0, Turned(0.1), direction="gallery"),
        _at_the_loss("16 → 24 dimensions, orthogonal", "boundary", 1.0, Turned(0.1, 24)),
        _at_the_loss("turned and noisy, orthogonal", "beyond", 0.9, Turned(0.1)),
        _at_the_loss("turned and noisy, orthogonal", "inside", 1.1, Turned(0.1)),
        _whole("same law, all of it", "boundary", 1.0, False),
        _whole("spread × 1.1, all of it", "beyond", 1.1, False),
        _whole("spread × 1.1 and turned, all of it", "beyond", 1.1, True),
    ]

"""Upgrades whose right answer is known, by construction or from a whole collection."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from verification.experiments.simulated.known_searches import COMMON, MERGED, SEARCHES, SHARED, SHOTS
from verification.experiments.simulated.known_upgrades import CASES as UPGRADES
from verification.features import FeatureSet

ROOT = Path(__file__).parents[3]
# drawn samples of a simulated upgrade, and of a real one
SIZES, REAL_SIZE = (200, 5000), 800
# collections with many groups, of which a draw takes one row each
DRAWN = ("sections", "sources")
# loss of recall@1 in the whole collection up to which a real upgrade is one: the audit's default margin
ACCEPTED = 0.01
MEANING = {
    "rotated": "every vector of the old model turned by one random rotation",
    "tighter": "drawn anew about the same class vertices, spread × 0.8",
    "same law": "drawn anew, same spread",
    "wider": "drawn anew, spread × 1.1: a truly worse model",
    "common mean": f"drawn anew, spread × 0.8, and all class means of both models share a vector of length {COMMON}",
    "merged": f"drawn anew, {MERGED} pairs of classes in one place each and all spreads × 0.5",
    "several shots": f"drawn anew, same spread; {SHOTS} samples are shots of one object, which has {SHARED:.0%} of the "
    "variance",
}
# of a case that had another name when its draws were recorded
STREAMS = {"common mean": "off centre"}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One upgrade.

    Attributes
    ----------
    name : str
    answer : {"compatible", "incompatible", "boundary"}
        What is true; at the boundary yes and no are both guesses.
    meaning : str
        What the new model is, and why the answer is right where that is measured.
    draw : callable
        Of the number of samples and a Generator: new and old features of the same samples.
    sizes : tuple of int
        Numbers of samples that are drawn.
    real : bool
        Whether the features are of real encoders.
    stream : str
        Names the random numbers of the draws; empty where the name does.
    """

    name: str
    answer: Literal["compatible", "incompatible", "boundary"]
    meaning: str
    draw: Callable[[int, np.random.Generator], tuple[FeatureSet, FeatureSet]]
    sizes: tuple[int, ...] = SIZES
    real: bool = False
    stream: str = ""


SIMULATED: Mapping[str, Case] = {
    name: Case(name=name, answer=case.answer, meaning=MEANING[name], draw=case.draw, stream=STREAMS.get(name, ""))
    for name, case in (UPGRADES | SEARCHES).items()
}


def resized(cases: Mapping[str, Case], *sizes: int) -> dict[str, Case]:
    """The same cases with other numbers of samples."""
    return {name: replace(case, sizes=sizes) for name, case in cases.items()}


def real_cases(cache: Path, known: Path = ROOT / "docs" / "data" / "real-upgrades.json") -> dict[str, Case]:
    """The upgrades of docs/real-upgrades.md between encoders of texts of one dimension.

    What is true is the change of recall@1 over the whole collection, which ``known`` has.

    Parameters
    ----------
    cache : path
        Where ``python -m benchmarks.real`` keeps the features; without them there are no draws.
    """
    from benchmarks.real.upgrades import UPGRADES as REAL
    from benchmarks.real.upgrades import Real

    facts = json.loads(known.read_text(encoding="utf-8"))["upgrades"]
    cases = {}
    for real in REAL:
        whole = facts.get(real.name, {}).get("whole")
        if whole is None or real.collection not in DRAWN:
            continue
        old, new = whole["recall"]

        def draw(size: int, rng: np.random.Generator, real: Real = real) -> tuple[FeatureSet, FeatureSet]:
            features = real.load(cache)
            rows = one_of_each_group(features[1], size, rng)
            new, old = (each.select(rows) for each in features)
            return FeatureSet(new.features, new.labels), FeatureSet(old.features, old.labels)

        cases[real.name] = Case(
            name=real.name,
            answer="compatible" if new - old >= -ACCEPTED else "incompatible",
            meaning=f"{real.about}; recall@1 changes by {100.0 * (new - old):+.1f} points",
            draw=draw,
            sizes=(REAL_SIZE,),
            real=True,
        )
    return cases


def one_of_each_group(features: FeatureSet, size: int, rng: np.random.Generator) -> np.ndarray:
    """``size`` rows at most, one of each group: a tool that knows no groups finds no sibling among them.

    Of many classes some are drawn, so that each has four rows. Every other row of a class is in the first half.
    """
    assert features.groups is not None
    assert features.labels is not None
    order = rng.permutation(len(features))
    rows = order[np.sort(np.unique(features.groups[order], return_index=True)[1])]
    classes = np.unique(features.labels[rows])
    rows = rows[np.isin(features.labels[rows], rng.permutation(classes)[: size // 4])][:size]
    labels = features.labels[rows]
    before = np.array([np.count_nonzero(labels[:i] == label) for i, label in enumerate(labels)])
    return rows[np.argsort(before % 2, kind="stable")]

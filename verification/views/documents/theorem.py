"""What checks of Theorem 1 on trained models found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from verification.views.document import Document, Section, Table
from verification.views.numbers import degrees, percent, plus_minus

if TYPE_CHECKING:
    from verification.experiments.upgrades import TrainedUpgrade

LEGEND = (
    "Drift is the largest angle between a class mean and its vertex; concentration is the mean cosine of a sample to "
    "its vertex, old → new. Gaps are in squared distance with 95 % intervals for both together; a positive gap "
    "satisfies the inequality, and the share says for how many single pairs it is satisfied."
)


def theorem(upgrades: Iterable[TrainedUpgrade]) -> Document:
    """One table per seed: hypotheses, both gaps with intervals, and the answer for each model."""
    rows: dict[int, list[tuple[str, ...]]] = {}
    for upgrade in upgrades:
        rows.setdefault(upgrade.seed, []).extend(_checked(upgrade))
    head = ("new model", "hypotheses", "gap 1a", "gap 1b", "Theorem 1")
    return Document(
        sections=tuple(Section(f"Seed {seed}", (Table(head, tuple(found)),)) for seed, found in rows.items())
    )


def _checked(upgrade: TrainedUpgrade) -> Iterator[tuple[str, ...]]:
    h, c = upgrade.check.hypotheses, upgrade.check.conclusions
    drift = f"drift {degrees(float(h.new_drift.max()))}"
    cosines = f"{h.old_cosine:.3f} → {h.new_cosine:.3f}"
    sides = c.same_class, c.different_class
    yield upgrade.name, h.status, *(plus_minus(side) for side in sides), upgrade.check.answer
    yield "", f"{drift}, {cosines}", *(percent(side.pair_fraction) for side in sides), ""

"""Simulated upgrades for the verdict of Definition 1: caps about the simplex, whose gaps and contrast theory gives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from theory.caps import UniformCap
from theory.distances import expected_distance
from verification.audit.definition1 import audit
from verification.experiments.simulated.calibration import CapDesign
from verification.experiments.simulated.decisions import Design, Where
from verification.statistics.interval import Verdict


def contrast(cell: CapDesign) -> float:
    """Exact mean distance of different classes less that of the same class, old model with itself."""
    old = UniformCap(cell.dim, cell.old_radius)
    metric = "sqeuclidean" if cell.metric == "cosine" else cell.metric
    scale = 0.5 if cell.metric == "cosine" else 1.0
    cosines = np.array([-1.0 / (cell.num_classes - 1), 1.0])
    apart, together = np.asarray(expected_distance(old, old, cosines, metric))
    return float(scale * (apart - together))


def _design(cell: CapDesign, where: Where, share: float | None = None, weights: str = "pairs") -> Design:
    """Judge the cell at the margin that is ``share`` of the true loss; in units of the distance, or without a margin.

    A negative share is given to the audit as a percentage of the old model's contrast.
    """
    loss = -min(cell.truth())
    margin: float | str = 0.0
    if share is not None:
        margin = abs(share) * loss
        if share < 0.0:
            margin = f"{100.0 * float(margin) / contrast(cell):.12g}%"

    def decide(rng: np.random.Generator) -> Verdict:
        new, old, gallery = cell.draw(rng)
        return audit(new, old, cell.metric, gallery=gallery, margin=margin, weights=weights).verdict

    unit = "" if share is None else " margin %" if share < 0.0 else " margin"
    kinds = (cell.sizes if cell.sizes != "equal" else "", "gallery" if cell.gallery else "")
    name = f"N {cell.num_samples} d {cell.dim} K {cell.num_classes} {' '.join(filter(None, kinds))}"
    metric = "" if cell.metric == "sqeuclidean" else f" {cell.metric}"
    return Design.asking("definition-1", f"{name.strip()}{metric}{unit}", where, decide)


def designs() -> Sequence[Design]:
    """At the boundary without and with a margin of either unit, just beyond it, and inside of it."""
    small, wide = CapDesign(200, 9, 10), CapDesign(200, 64, 10, new_radius=0.52, old_radius=0.5)
    return [
        _design(CapDesign(50, 16, 4, correlated=True), "boundary"),
        _design(small, "boundary"),
        _design(CapDesign(200, 9, 10, sizes="unequal"), "boundary", weights="classes"),
        _design(CapDesign(1000, 64, 10), "boundary"),
        _design(CapDesign(200, 9, 10, metric="angular", gallery=True), "boundary"),
        _design(wide, "boundary", 1.0),
        _design(wide, "boundary", -1.0),
        _design(CapDesign(50, 9, 4, new_radius=0.6, old_radius=0.5), "boundary", -1.0),
        _design(
            CapDesign(200, 9, 10, new_radius=0.55, old_radius=0.5, sizes="unequal", metric="euclidean"),
            "boundary",
            -1.0,
        ),
        _design(CapDesign(200, 9, 10, new_radius=0.51, old_radius=0.5), "beyond"),
        _design(wide, "beyond", 0.9),
        _design(wide, "beyond", -0.9),
        _design(CapDesign(200, 9, 10, new_radius=0.49, old_radius=0.5), "inside"),
        _design(wide, "inside", -1.1),
    ]

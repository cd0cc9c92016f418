"""Simulated upgrades for the verdict at the old threshold: caps about the simplex, whose rates many pairs measure."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from theory.caps import UniformCap
from theory.simplex import simplex_vertices
from verification.audit.thresholds import compare_thresholds
from verification.experiments.simulated.calibration import CapDesign
from verification.experiments.simulated.decisions import Design, Where
from verification.statistics.interval import Verdict
from verification.upgrade import Upgrade

# rows a side and repetitions that measure the true rates: their error is 6 % of that of an audit of 300 samples
ROWS, REPETITIONS = 3000, 30


@cache
def true_rates(cell: CapDesign, threshold: float) -> tuple[float, float, float, float]:
    """FAR of old and new queries, TAR of old and new, alike for every class and pair of classes."""
    rng = np.random.default_rng(1)
    first, second = simplex_vertices(cell.num_classes, cell.dim)[:2]
    accepted = np.zeros(4)
    for _ in range(REPETITIONS):
        old, new = UniformCap(cell.dim, cell.old_radius), UniformCap(cell.dim, cell.new_radius)
        queries = [law.sample(ROWS, axis=first, rng=rng) for law in (old, new)]
        items = [old.sample(ROWS, axis=axis, rng=rng) for axis in (second, first)]
        accepted += [np.mean(q @ g.T >= threshold) for g in items for q in queries]
    old_far, new_far, old_tar, new_tar = accepted / REPETITIONS
    return float(old_far), float(new_far), float(old_tar), float(new_tar)


def _same_law(cell: CapDesign, threshold: float | None = None, far: float | None = None) -> Design:
    def decide(rng: np.random.Generator) -> Verdict:
        return compare_thresholds(Upgrade(*cell.draw(rng)), threshold=threshold, far=far).verdict

    at = f"far {far:g}" if far else f"at {threshold}"
    return Design.asking("threshold", f"{_name(cell)} {at}", "boundary", decide)


def _loss(cell: CapDesign, threshold: float, times: float) -> Design:
    """Both margins are ``times`` the true losses."""

    def decide(rng: np.random.Generator) -> Verdict:
        old_far, new_far, old_tar, new_tar = true_rates(cell, threshold)
        rise, fall = times * (new_far / old_far - 1.0), times * (old_tar - new_tar)
        report = compare_thresholds(Upgrade(*cell.draw(rng)), threshold=threshold, far_margin=rise, tar_margin=fall)
        return report.verdict

    where: Where = "boundary" if times == 1.0 else "beyond" if times < 1.0 else "inside"
    return Design.asking("threshold", f"{_name(cell)} at {threshold} margin", where, decide)


def _name(cell: CapDesign) -> str:
    kinds = (cell.sizes if cell.sizes != "equal" else "", "corr." if cell.correlated else "", "gallery" * cell.gallery)
    return " ".join(filter(None, (f"N {cell.num_samples} d {cell.dim} K {cell.num_classes}", *kinds)))


def designs() -> Sequence[Design]:
    """FAR from 1e-3 to 0.1, thresholds given or chosen, TAR from 0.2 to nearly 1."""
    wide = CapDesign(300, 9, 10, new_radius=1.05, old_radius=1.0)
    return [
        _same_law(CapDesign(100, 9, 10, new_radius=1.0, old_radius=1.0), far=0.05),
        _same_law(CapDesign(300, 9, 10, new_radius=1.0, old_radius=1.0), far=0.01),
        _same_law(CapDesign(300, 9, 10, new_radius=1.0, old_radius=1.0, correlated=True), far=0.001),
        _same_law(CapDesign(300, 16, 10, new_radius=1.0, old_radius=1.0, sizes="unequal"), far=0.01),
        _same_law(CapDesign(300, 64, 50, new_radius=1.0, old_radius=1.0), far=0.001),
        _same_law(CapDesign(300, 9, 10, new_radius=0.6, old_radius=0.6), threshold=0.4),
        _same_law(CapDesign(300, 16, 10, new_radius=1.0, old_radius=1.0, gallery=True), far=0.01),
        _loss(wide, 0.5, 1.0),
        _loss(wide, 0.6, 1.0),
        _loss(wide, 0.5, 0.8),
        _loss(wide, 0.5, 1.2),
    ]

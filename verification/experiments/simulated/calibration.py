"""Is an audit's 95 % one? Simulated audits of caps around the simplex, whose exact gaps the theory gives.

For many sizes, dimensions, numbers of classes, distances and designs: how often each side's interval covers the exact
gap; how often an audit at the boundary (equal caps before and after, gap zero) gives a verdict, which is then false;
how wide the intervals are, compared with those that know the estimate's true standard deviation; and at what N a
difference of the radii is found.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, asdict, dataclass, replace
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy import stats

from learning.progress import Progress
from theory.caps import UniformCap
from theory.compatibility import theorem1_gaps
from theory.metrics import METRICS
from theory.simplex import simplex_vertices
from verification.audit.definition1 import judge_sides, side_confidence
from verification.features import FeatureSet
from verification.reporting import json_safe
from verification.statistics.gaps import estimate
from verification.statistics.interval import Criterion
from verification.statistics.weights import WEIGHTINGS
from verification.upgrade import Upgrade


@dataclass(frozen=True)
class CapDesign:
    """One simulated design.

    Attributes
    ----------
    num_samples, dim, num_classes : int
    new_radius, old_radius : float
        Of the caps, radians.
    sizes : {"equal", "unequal", "one large"}
        Classes of one size; the c-th of size ∝ 1/c, at least 2; all others of one sample.
    correlated : bool
        Old and new feature of a sample share the direction off their class's vertex, or nothing.
    metric : str
    gallery : bool
        Queries search as many other samples, or each other.
    """

    num_samples: int
    dim: int
    num_classes: int
    _: KW_ONLY
    new_radius: float = 0.5
    old_radius: float = 0.5
    sizes: Literal["equal", "unequal", "one large"] = "equal"
    correlated: bool = False
    metric: str = "sqeuclidean"
    gallery: bool = False

    @property
    def labels(self) -> Int[ndarray, " n"]:
        """Class of each sample."""
        count = self.num_classes
        if self.sizes == "equal":
            return np.arange(self.num_samples) % count
        if self.sizes == "one large":
            return np.concatenate([np.zeros(self.num_samples - count + 1, dtype=int), np.arange(1, count)])
        shares = 1.0 / np.arange(1, count + 1)
        sizes = 2 + np.floor((self.num_samples - 2 * count) * shares / shares.sum()).astype(int)
        sizes[0] += self.num_samples - sizes.sum()
        return np.repeat(np.arange(count), sizes)

    def truth(self) -> tuple[float, float]:
        """Exact gaps, alike for every class and class pair, so for both weightings."""
        new, old = UniformCap(self.dim, self.new_radius), UniformCap(self.dim, self.old_radius)
        gaps = theorem1_gaps(new, old, self.num_classes, self.metric)
        return float(gaps.same_class), float(gaps.different_class)

    def draw(self, rng: np.random.Generator) -> tuple[FeatureSet, FeatureSet, FeatureSet | None]:
        """New and old features of one data set, and the gallery."""
        labels = self.labels
        new, old = (
            UniformCap(self.dim, radius).sample(self.num_samples, rng=rng)
            for radius in (self.new_radius, self.old_radius)
        )
        if self.correlated:
            # polar angle and direction off the axis are independent: any direction will do
            off = old[:, 1:] / np.linalg.norm(old[:, 1:], axis=1, keepdims=True)
            new[:, 1:] = np.linalg.norm(new[:, 1:], axis=1, keepdims=True) * off
        items = UniformCap(self.dim, self.old_radius).sample(self.num_samples, rng=rng) if self.gallery else None
        placed = (None if rows is None else FeatureSet(self._place(rows, labels), labels) for rows in (new, old, items))
        return tuple(placed)  # type: ignore[return-value]

    def _place(self, rows: Float[ndarray, "n dim"], labels: Int[ndarray, " n"]) -> Float[ndarray, "n dim"]:
        """Reflect the first axis, around which ``rows`` were drawn, to each one's vertex."""
        off = np.eye(self.dim)[0] - simplex_vertices(self.num_classes, self.dim)
        length = np.linalg.norm(off, axis=1, keepdims=True)
        mirror = np.divide(off, length, out=np.zeros_like(off), where=length > 1e-12)[labels]
        return rows - 2.0 * np.vecdot(rows, mirror)[:, None] * mirror


BOUNDARY = (
    CapDesign(50, 3, 4),
    CapDesign(50, 3, 4, sizes="one large"),
    CapDesign(50, 16, 4, correlated=True),
    CapDesign(50, 64, 10),
    CapDesign(200, 9, 10, sizes="unequal"),
    CapDesign(200, 64, 20, correlated=True),
    CapDesign(200, 512, 4),
    CapDesign(1000, 9, 10, sizes="unequal", correlated=True),
    CapDesign(1000, 64, 50),
    CapDesign(1000, 512, 50, sizes="unequal"),
    CapDesign(5000, 3, 4, sizes="unequal"),
    CapDesign(5000, 64, 10, correlated=True),
    CapDesign(200, 9, 10, metric="euclidean"),
    CapDesign(200, 64, 10, sizes="unequal", correlated=True, metric="euclidean"),
    CapDesign(200, 9, 10, sizes="unequal", metric="angular"),
    CapDesign(500, 64, 20, metric="angular"),
    CapDesign(200, 9, 10, gallery=True),
    CapDesign(200, 64, 20, sizes="unequal", metric="angular", gallery=True),
)
RATIOS = (0.8, 0.9, 0.95, 0.975, 1.0, 1.025, 1.05)
# share of right verdicts at which a difference counts as detected
POWER = 0.8
POWER_SIZES = (50, 100, 200, 500, 1000, 2000, 5000)


def simulate(cell: CapDesign, runs: int, confidence: float = 0.95, seed: int = 0) -> dict[str, dict[str, float]]:
    """Audit ``runs`` data sets of one design.

    Returns
    -------
    dict
        For each weighting: ``coverage`` of each side's interval, ``width`` (mean half-width over quantile × standard
        deviation of the estimate) of each side, and the shares of ``compatible``, ``incompatible`` verdicts.

    Raises
    ------
    ValueError
        If ``runs`` is less than 2 (a standard deviation is needed).
    """
    if runs < 2:
        raise ValueError(f"runs must be an integer >= 2, got {runs!r}.")
    rng = np.random.default_rng(seed)
    level = (1.0 - confidence) / 2.0
    truth = np.array(cell.truth())
    linear = METRICS[cell.metric].linear
    scale, metric = (1.0, cell.metric) if linear is None else (linear, "sqeuclidean")
    criterion = Criterion(confidence=side_confidence(confidence))
    gaps, halves = np.empty((2, len(WEIGHTINGS), runs, 2))
    verdicts: dict[str, list[str]] = {name: [] for name in WEIGHTINGS}
    for run in range(runs):
        sides, _ = estimate(Upgrade(*cell.draw(rng), seed=run).statistics(metric))
        for w, name in enumerate(WEIGHTINGS):
            judged = judge_sides(sides[name], criterion, scale=scale)
            verdicts[name].append(judged.verdict)
            for s, side in enumerate((judged.same_class, judged.different_class)):
                gaps[w, run, s], halves[w, run, s] = side.gap, side.upper - side.gap
    quantile = float(stats.norm.isf(level / 2.0))
    result = {}
    for w, name in enumerate(WEIGHTINGS):
        covered = np.mean(np.abs(gaps[w] - truth) <= halves[w], axis=0)
        width = halves[w].mean(axis=0) / (quantile * gaps[w].std(axis=0, ddof=1))
        result[name] = {
            "coverage_same": float(covered[0]),
            "coverage_different": float(covered[1]),
            "width_same": float(width[0]),
            "width_different": float(width[1]),
            "compatible": verdicts[name].count("compatible") / runs,
            "incompatible": verdicts[name].count("incompatible") / runs,
        }
    return result


def compute(
    runs: int = 1000, confidence: float = 0.95, seed: int = 0, progress: Progress | None = None
) -> dict[str, Any]:
    """Simulate every design, and the power over the ratio of the radii and N.

    Parameters
    ----------
    runs : int
        ≥ 2, audits a design; a fifth of them for each point of the power.
    confidence : float
        Confidence of both sides together, in (0, 1).
    seed : int
    progress : callable, optional
        Told how many designs are done.

    Returns
    -------
    dict
        ``cells``: designs at the boundary and off it with what :func:`simulate` found. ``power``: the shares of
        verdicts for each ratio and N. Plain values, as JSON holds them.
    """
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must be in (0, 1), got {confidence!r}.")
    few = max(2, runs // 5)
    jobs = [("cells", cell, runs) for design in BOUNDARY for cell in (design, replace(design, new_radius=0.45))]
    jobs += [
        ("power", CapDesign(size, 64, 10, new_radius=0.5 * ratio, old_radius=0.5, sizes=sizes), few)
        for sizes in ("equal", "unequal") for size in POWER_SIZES for ratio in RATIOS
    ]  # fmt: skip
    data: dict[str, Any] = {"runs": runs, "power_runs": few, "confidence": confidence, "cells": [], "power": []}
    for done, (kind, cell, count) in enumerate(jobs):
        data[kind].append({**asdict(cell), "found": simulate(cell, count, confidence, seed)})
        if progress is not None:
            progress("designs", done + 1, len(jobs))
    return json_safe(data)


def power_lines(rows: list[dict[str, Any]], weights: str) -> dict[float, tuple[list[int], list[float]]]:
    """For each ratio of the radii the numbers of samples, and the share of right verdicts at each.

    Below ratio 1 compatible is right, above it incompatible; at 1 the share is of verdicts, all of them false.
    """
    lines: dict[float, tuple[list[int], list[float]]] = {}
    for row in sorted(rows, key=lambda row: row["num_samples"]):
        ratio = round(row["new_radius"] / row["old_radius"], 6)
        found = row["found"][weights]
        numbers, shares = lines.setdefault(ratio, ([], []))
        numbers.append(row["num_samples"])
        shares.append(found["compatible"] * (ratio <= 1.0) + found["incompatible"] * (ratio >= 1.0))
    return lines


def samples_for(numbers: list[int], shares: list[float], power: float = POWER) -> float | None:
    """At which N the power is reached, between points of the simulation on a line over log N; None where beyond."""
    for (n, low), (m, high) in pairwise(zip(numbers, shares, strict=True)):
        if low < power <= high:
            return float(n * (m / n) ** ((power - low) / (high - low)))
    return float(numbers[0]) if shares[0] >= power else None


def table(data: dict[str, Any]) -> str:
    """What :func:`compute` found, as text: a line for each design and weighting."""
    side = 1.0 - (1.0 - data["confidence"]) / 2.0
    lines = [
        f"{data['runs']} audits a design; a side's interval is to cover {side:.4g}, false verdicts to be at most "
        f"{1.0 - data['confidence']:.4g}.",
        f"{'design':62} {'weights':8} {'coverage':>13} {'width':>11} {'false':>6}",
    ]
    for row in data["cells"]:
        for weights, found in row["found"].items():
            boundary = row["new_radius"] == row["old_radius"]
            wrong = found["incompatible"] + (found["compatible"] if boundary else 0.0)
            width = "  ".join(_number(found[f"width_{name}"], ".2f") for name in ("same", "different"))
            coverage = "  ".join(_number(found[f"coverage_{name}"], ".3f") for name in ("same", "different"))
            lines.append(f"{_describe(row):62} {weights:8} {coverage:>13} {width:>11} {wrong:6.3f}")
    lines.append(f"power at {data['power_runs']} audits a point: compatible below ratio 1, incompatible above")
    for row in data["power"]:
        shares = "  ".join(
            f"{weights} {found['compatible']:.2f} / {found['incompatible']:.2f}"
            for weights, found in row["found"].items()
        )
        lines.append(
            f"N {row['num_samples']:5} {row['sizes']:8} ratio {row['new_radius'] / row['old_radius']:.3f}   {shares}"
        )
    lines.append(f"samples for {POWER:.0%} of right verdicts, ten classes in 64 dimensions")
    for sizes in dict.fromkeys(row["sizes"] for row in data["power"]):
        rows = [row for row in data["power"] if row["sizes"] == sizes]
        for weights in WEIGHTINGS:
            needed = "  ".join(
                f"{ratio:g}: {_number(samples_for(*line), '.0f')}"
                for ratio, line in sorted(power_lines(rows, weights).items())
                if ratio != 1.0
            )
            lines.append(f"{sizes:8} {weights:8} {needed}")
    return "\n".join(lines)


def _describe(row: dict[str, Any]) -> str:
    kinds = [
        row["metric"],
        row["sizes"],
        "correlated" if row["correlated"] else "",
        "gallery" if row["gallery"] else "",
    ]
    return (
        f"N {row['num_samples']} d {row['dim']} K {row['num_classes']} "
        f"{row['new_radius']:g}/{row['old_radius']:g} {' '.join(filter(None, kinds))}"
    )


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)

r"""Fig. 1: the caps of one class before and after an update, about the same vertex.

Caption. Features of one class on the sphere of R³, seen along the vertex w that the fixed classifier gives the class:
uniform in the cap of angular radius 0.8 before the update (open circles, dashed rim) and of radius 0.5 after it (dots,
solid rim). Stationarity makes the rims concentric. Segments join the old feature of one image (black) with the old
feature (dashed) and with the new feature (solid) of another: 1a asks that the solid ones are shorter, in expectation.
The table has the expected lengths in three distances, exact, with Monte Carlo beside it: mean and standard error of the
last digits.
"""

from __future__ import annotations

import math
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from paper_figures import _style
from theory.caps import UniformCap
from theory.distances import expected_distance
from theory.monte_carlo import estimate_distance

SEED = 53  # of three pairs that are drawn with lengths near the average
DIM, OLD_RADIUS, NEW_RADIUS = 3, 0.8, 0.5
FEATURES, SEGMENTS, SAMPLES = 250, 3, 2**20
METRICS = {"sqeuclidean": r"$\|u-v\|^2$", "euclidean": r"$\|u-v\|$", "angular": r"$\arccos u\cdot v$"}
OLD, NEW = _style.COLORS[2], _style.COLORS[1]


def compute() -> dict[str, Any]:
    """Features of both caps and expected distances, as lists that JSON can hold.

    Returns
    -------
    dict
        ``old``, ``new``: N features (d each) whose axis is the last coordinate; ``expected``: for each metric the
        ``exact`` value, the Monte Carlo ``mean`` and its ``error``, for the pairs ``old_old`` and ``new_old``.
    """
    rng = np.random.default_rng(SEED)
    old, new = UniformCap(DIM, OLD_RADIUS), UniformCap(DIM, NEW_RADIUS)
    axis = np.eye(DIM)[-1]
    features = {name: cap.sample(FEATURES, axis=axis, rng=rng).tolist() for name, cap in (("old", old), ("new", new))}
    pairs = rng.spawn(1)[0]
    expected = {
        metric: {
            "old_old": lengths(old, old, metric, 1.0, pairs),
            "new_old": lengths(new, old, metric, 1.0, pairs),
        }
        for metric in METRICS
    }
    return {**features, "expected": expected}


def lengths(
    new: UniformCap, old: UniformCap, metric: str, axis_cosine: float, rng: np.random.Generator
) -> dict[str, float]:
    """The expected distance, exact, and by Monte Carlo with its standard error."""
    estimate = estimate_distance(new, old, axis_cosine, metric, SAMPLES, rng)
    exact = np.asarray(expected_distance(new, old, axis_cosine, metric)).item()
    return {"exact": exact, "mean": estimate.mean, "error": estimate.standard_error}


def draw(data: dict[str, Any]) -> Figure:
    """The caps from above and the table, from what :func:`compute` returns."""
    old, new = np.array(data["old"]), np.array(data["new"])
    with matplotlib.rc_context(_style.RC):
        figure = Figure(figsize=(_style.COLUMN_WIDTH, 3.9))
        caps, table = figure.subplots(2, 1, height_ratios=(3.2, 1.0))
        around = np.linspace(0.0, 2.0 * math.pi, 181)
        for radius, colour, style in ((OLD_RADIUS, OLD, "--"), (NEW_RADIUS, NEW, "-")):
            caps.plot(math.sin(radius) * np.cos(around), math.sin(radius) * np.sin(around), style, color=colour)
        caps.plot(*old[:, :2].T, "o", color=OLD, markerfacecolor="none", markersize=3, markeredgewidth=0.5, alpha=0.6)
        caps.plot(*new[:, :2].T, "o", color=NEW, markersize=2.2, markeredgewidth=0, alpha=0.6)
        for i in range(SEGMENTS):
            # image i under the old and the new model, image i + SEGMENTS under the old one
            for start, colour, style in ((old[i], OLD, "--"), (new[i], NEW, "-")):
                ends = np.array([start, old[i + SEGMENTS]])[:, :2]
                caps.plot(*ends.T, style, color=colour, linewidth=1.6)
            caps.plot(*old[i + SEGMENTS, :2], "o", color="black", markersize=3.5)
        caps.plot(0, 0, "x", color="black", markersize=6, markeredgewidth=1.4)
        caps.annotate("$w$", (0, 0), (4, 4), textcoords="offset points")
        caps.annotate(r"old, $\alpha_k=0.8$", (0.53, 0.59), color=OLD)
        caps.annotate(r"new, $\alpha_t=0.5$", (0.53, -0.68), color=NEW)
        caps.annotate("", (0.34, -0.36), (0.52, -0.62), arrowprops={"arrowstyle": "->", "color": NEW, "lw": 0.8})
        caps.set(aspect="equal", xlim=(-0.8, 1.05), ylim=(-0.78, 0.78))
        caps.axis("off")
        _draw_table(table, data["expected"])
        return figure


def _draw_table(axes: Any, expected: dict[str, Any]) -> None:
    axes.axis("off")
    axes.set(xlim=(0, 1), ylim=(0, 4))
    columns = (0.0, 0.36, 0.7)
    for x, text in zip(columns, ("expected", "old to old", "new to old"), strict=True):
        axes.text(x, 3.4, text, weight="bold", va="center")
    for row, (metric, name) in enumerate(METRICS.items()):
        texts = [name, *(in_brackets(expected[metric][pair]) for pair in ("old_old", "new_old"))]
        for x, text in zip(columns, texts, strict=True):
            axes.text(x, 2.4 - row, text, va="center", fontsize=7.5)


def in_brackets(value: dict[str, float]) -> str:
    """An exact value, and the Monte Carlo one with its standard error in units of the last digit."""
    return f"{value['exact']:.4f}, {value['mean']:.4f}({max(1, round(value['error'] * 1e4))})"


def findings(data: dict[str, Any]) -> str:
    """What came out, in words with numbers."""
    gaps, scores, satisfied = [], [], []
    for metric, pairs in data["expected"].items():
        gap = pairs["old_old"]["exact"] - pairs["new_old"]["exact"]
        gaps.append(f"{gap:+.4f} ({metric})")
        satisfied.append(gap >= 0)
        scores += [abs(pair["mean"] - pair["exact"]) / pair["error"] for pair in pairs.values()]
    return (
        f"1a is satisfied in {'all' if all(satisfied) else sum(satisfied)} of the three distances: the expected length "
        f"falls by {', '.join(gaps)}. Monte Carlo over 2^20 pairs lies within {max(scores):.1f} standard errors of the "
        "exact values."
    )

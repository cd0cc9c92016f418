r"""Fig. 12: expected distances between caps over the dimension, Monte Carlo on top of the exact values.

Caption. Caps of radius 0.6 before the update and 0.4 after it, K = d + 1 classes at the vertices of the simplex. Top:
expected distance from an old feature to old ones (dashed) and to new ones (solid), of the same class (lower pair) and
of a different class (upper pair), exact; points are means of 1000 random pairs with two standard errors. 1a asks for
solid below dashed in the lower pair, 1b for solid above dashed in the upper one, which the eye cannot tell. Bottom: the
gaps of 1a and 1b, exact: both stay positive at every dimension, 1b by a share of 1a that falls like 1/(K − 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from paper_figures import _style
from theory.caps import UniformCap
from theory.compatibility import theorem1_gaps
from theory.distances import expected_distance
from theory.monte_carlo import estimate_distance

SEED = 12
OLD_RADIUS, NEW_RADIUS = 0.6, 0.4
METRICS = {"sqeuclidean": r"$\|u-v\|^2$", "euclidean": r"$\|u-v\|$", "angular": r"$\arccos u\cdot v$ (rad)"}
PAIRS = 1000
SIDES = ("same_class", "different_class")
POINTS = (2, 4, 9, 24, 64, 160, 400, 1023)


def compute(
    old_radius: float = OLD_RADIUS,
    new_radius: float = NEW_RADIUS,
    points: Sequence[int] = POINTS,
    dims: Sequence[int] = (),
    pairs: int = PAIRS,
) -> dict[str, Any]:
    """Exact distances and gaps, and the estimates, as lists that JSON can hold.

    Parameters
    ----------
    old_radius, new_radius : float
        Of the caps before and after the update, in radians, in (0, π].
    points : sequence of int
        d ≥ 2, dimensions of which pairs are drawn.
    dims : sequence of int
        Further dimensions of the exact curves; 24 between the ends of ``points`` if none is given.
    pairs : int
        ≥ 2, random pairs of each estimate.

    Returns
    -------
    dict
        ``dim`` (length D), ``point_dim`` (length P), ``pairs``; ``metrics``: for each metric and side ``old_old``,
        ``new_old``, ``gap`` (D each), and ``estimates``: ``mean`` and ``error`` (P each) of ``old_old``, ``new_old``.
    """
    rng = np.random.default_rng(SEED)
    curve = dims or np.geomspace(min(points), max(points), 24).round().astype(int).tolist()
    shown = sorted({*points, *curve})

    def laws(dim: int) -> dict[str, tuple[UniformCap, UniformCap]]:
        old, new = UniformCap(dim, old_radius), UniformCap(dim, new_radius)
        return {"old_old": (old, old), "new_old": (new, old)}

    metrics: dict[str, Any] = {}
    for metric in METRICS:
        metrics[metric] = {}
        for side in SIDES:
            curves: dict[str, list[float]] = {"old_old": [], "new_old": [], "gap": []}
            for dim in shown:
                for name, pair in laws(dim).items():
                    curves[name].append(np.asarray(expected_distance(*pair, _cosine(side, dim), metric)).item())
                new, old = laws(dim)["new_old"]
                curves["gap"].append(float(getattr(theorem1_gaps(new, old, dim + 1, metric), side)))
            estimates: dict[str, dict[str, list[float]]] = {}
            for name in ("old_old", "new_old"):
                found = [estimate_distance(*laws(dim)[name], _cosine(side, dim), metric, pairs, rng) for dim in points]
                estimates[name] = {"mean": [e.mean for e in found], "error": [e.standard_error for e in found]}
            metrics[metric][side] = curves | {"estimates": estimates}
    return {"dim": shown, "point_dim": list(points), "pairs": pairs, "metrics": metrics}


def _cosine(side: str, dim: int) -> float:
    return 1.0 if side == "same_class" else -1.0 / dim


def draw(data: dict[str, Any]) -> Figure:
    """One column a metric, from what :func:`compute` returns."""
    with matplotlib.rc_context(_style.RC):
        figure = Figure(figsize=(2 * _style.COLUMN_WIDTH, 3.8))
        panels = figure.subplots(2, 3, sharex=True, height_ratios=(1.5, 1.0))
        for (distances, gaps), (metric, name) in zip(panels.T, METRICS.items(), strict=True):
            for side in SIDES:
                found = data["metrics"][metric][side]
                for pair, colour, style, marker in (
                    ("old_old", _style.COLORS[2], "--", "o"),
                    ("new_old", _style.COLORS[1], "-", "s"),
                ):
                    label = pair.replace("_", " to ") if side == "same_class" else None
                    distances.plot(data["dim"], found[pair], linestyle=style, color=colour, label=label)
                    estimate = found["estimates"][pair]
                    distances.errorbar(
                        data["point_dim"],
                        estimate["mean"],
                        2.0 * np.array(estimate["error"]),
                        fmt=marker,
                        color=colour,
                        markersize=3,
                        markerfacecolor="white",
                        elinewidth=0.8,
                        capsize=1.5,
                    )
            for side, label, i in (("same_class", "1a", 0), ("different_class", "1b", 3)):
                gap = data["metrics"][metric][side]["gap"]
                gaps.plot(data["dim"], gap, color=_style.COLORS[i], linestyle=_style.LINE_STYLES[i], label=label)
            distances.set(title=name, xscale="log", ylim=(0, None))
            gaps.set(yscale="log", xlabel="dimension $d$")
        panels[0, 0].set_ylabel("expected distance")
        panels[0, 0].legend(loc="center", bbox_to_anchor=(0.6, 0.42))
        panels[1, 0].set_ylabel("gap, ≥ 0 compatible")
        panels[1, 0].legend(loc="lower left", title="inequality", title_fontsize=7)
        return figure


def findings(data: dict[str, Any]) -> str:
    """What came out, in words with numbers."""
    gaps = [gap for metric in data["metrics"].values() for side in SIDES for gap in metric[side]["gap"]]
    last = data["metrics"]["sqeuclidean"]["different_class"]
    score = z_scores(data)
    held = (
        "Both inequalities hold"
        if min(gaps) >= 0
        else f"{sum(gap < 0 for gap in gaps)} of {len(gaps)} gaps are negative"
    )
    return (
        f"{held} at {len(data['dim'])} dimensions and in all three distances: the smallest gap is {min(gaps):.3g}. Of "
        f"{len(score)} Monte Carlo means {np.mean(np.abs(score) < 2):.0%} lie within two standard errors of the exact "
        f"value. At d = {data['dim'][-1]} the gap of 1b is {last['gap'][-1]:.2g} (squared distance) and "
        f"{data['pairs']} pairs have a standard error of {last['estimates']['new_old']['error'][-1]:.2g}: simulation "
        "of that size cannot tell the sign there; the exact values and the proof can."
    )


def z_scores(data: dict[str, Any]) -> np.ndarray:
    """(Monte Carlo mean − exact)/standard error, at all points."""
    at = [data["dim"].index(dim) for dim in data["point_dim"]]
    scores = []
    for metric in data["metrics"].values():
        for side in SIDES:
            for pair, estimate in metric[side]["estimates"].items():
                exact = np.array(metric[side][pair])[at]
                scores.append((np.array(estimate["mean"]) - exact) / np.array(estimate["error"]))
    return np.concatenate(scores)

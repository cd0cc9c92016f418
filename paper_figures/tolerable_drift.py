"""How far a class mean may turn in an update before Definition 1 fails, over dimension and concentration.

Caption. The largest drift of the new class mean under which (a) 1a and (b) 1b for one class pair, the drift straight at
the other vertex, still hold in expectation, when the update narrows the caps by a tenth (α_t = 0.9 α_k), over the old
classes' mean resultant length m_k. Solid: squared Euclidean, dashed: Euclidean, dotted: angular distance. 1a tolerates
tens of degrees, whatever the distance and the dimension; a single class pair far less, ever less with more classes (K =
d + 1). Marks: models trained on handwritten digits, d = 9, at the drift of their class means (median over classes),
drawn side by side, open where a hypothesis of the theorem fails by design; ticks: what their own concentrations
tolerate.
"""

from __future__ import annotations

import math
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from paper_figures import _style
from paper_figures.where_the_theorem_holds import short
from theory.caps import UniformCap
from theory.compatibility import tolerable_drift

DIMS = (3, 9, 99, 1023)
METRICS: dict[str, Any] = {"sqeuclidean": "-", "euclidean": "--", "angular": ":"}  # line styles
NARROWING = 0.9  # α_t/α_k
SEED = 0


def compute(quick: bool = False) -> dict[str, Any]:
    """Tolerable drifts, and the trained models of one seed in the quick version, else of two.

    Returns
    -------
    dict
        ``dims``; ``mean_length``: for each dimension the m_k (length N); ``same_class`` and ``different_class``: for
        each metric and dimension the drift in degrees; ``trained``: as :func:`paper_figures._runs.upgrades`.
    """
    from paper_figures._runs import upgrades

    lengths: list[list[float]] = []
    same: dict[str, list[list[float]]] = {metric: [] for metric in METRICS}
    different: dict[str, list[list[float]]] = {metric: [] for metric in METRICS}
    for dim in DIMS:
        radius = np.linspace(0.15, 1.4, 40)
        old, new = UniformCap(dim, radius), UniformCap(dim, NARROWING * radius)
        lengths.append(np.asarray(old.mean_resultant_length()).tolist())
        for metric in METRICS:
            drift = tolerable_drift(new, old, dim + 1, metric)
            same[metric].append(np.degrees(drift.same_class).tolist())
            different[metric].append(np.degrees(drift.different_class).tolist())
    return {
        "dims": list(DIMS),
        "mean_length": lengths,
        "same_class": same,
        "different_class": different,
        "trained": upgrades((0,) if quick else (0, 1)),
    }


def placed(trained: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each model the medians over its classes: ``old_length``, ``drift`` and what 1a ``tolerates``, in degrees."""
    found = []
    for model in trained:
        old, new = np.array(model["old_length"]), np.array(model["new_length"])
        found.append(
            {
                "name": model["name"],
                "stationary": model["stationary"],
                "old_length": float(np.median(old)),
                "drift": math.degrees(float(np.median(model["drift"]))),
                "tolerates": math.degrees(float(np.median(np.arccos(np.minimum(old / new, 1.0))))),
            }
        )
    return found


def draw(data: dict[str, Any]) -> Figure:
    """Both panels, from what :func:`compute` returns."""
    with matplotlib.rc_context(_style.RC):
        figure = Figure(figsize=(2 * _style.COLUMN_WIDTH, 2.9))
        panels = figure.subplots(1, 2)
        for axes, side in zip(panels, ("same_class", "different_class"), strict=True):
            for metric, style in METRICS.items():
                for i, length in enumerate(data["mean_length"]):
                    axes.plot(length, data[side][metric][i], color=_style.COLORS[i], linestyle=style)
            axes.set_xlabel("old mean resultant length $m_k$")
            axes.set_xlim(0.15, 1.0)
        names = list(dict.fromkeys(model["name"] for model in data["trained"]))
        for model in placed(data["trained"]):
            i = names.index(model["name"])
            # models that share the old one would hide each other
            at = model["old_length"] + 0.02 * (i - (len(names) - 1) / 2)
            marks = {
                "marker": _style.MARKERS[i],
                "color": "0.25",
                "markerfacecolor": "0.25" if model["stationary"] else "white",
            }
            panels[0].plot([at, at], [model["drift"], model["tolerates"]], color="0.5", linewidth=0.6)
            panels[0].plot(at, model["drift"], linestyle="none", **marks)
            panels[0].plot(at, model["tolerates"], marker="_", color="0.25", markersize=7)
        # drifts of a learned classifier are near those of random directions
        panels[0].set_yscale("function", functions=(np.sqrt, np.square))
        panels[0].set(ylim=(0, 120), yticks=[0, 5, 10, 20, 40, 60, 90])
        panels[0].set(ylabel="tolerable drift (degrees)", title="(a) same class, 1a")
        panels[0].legend(handles=[_entry(i, name, data["trained"]) for i, name in enumerate(names)], loc="lower left")
        panels[1].set(title="(b) one class pair, 1b, $K = d + 1$", yscale="log", ylabel="tolerable drift (degrees)")
        look = [Line2D([], [], color=_style.COLORS[i], label=f"$d = {d}$") for i, d in enumerate(data["dims"])]
        look += [Line2D([], [], color="0.3", linestyle=style, label=name) for name, style in METRICS.items()]
        panels[1].legend(handles=look, loc="lower left", ncols=2)
    return figure


def _entry(number: int, name: str, trained: list[dict[str, Any]]) -> Line2D:
    filled = next(model["stationary"] for model in trained if model["name"] == name)
    return Line2D(
        [],
        [],
        linestyle="none",
        marker=_style.MARKERS[number],
        color="0.25",
        markerfacecolor="0.25" if filled else "white",
        label=short(name),
    )


def findings(data: dict[str, Any]) -> str:
    """What came out, in words with numbers."""
    models = placed(data["trained"])
    inside = [model for model in models if model["stationary"]]
    spare = [model["tolerates"] - model["drift"] for model in inside]
    outside = [f"{short(m['name'])} {m['drift']:.0f}° of {m['tolerates']:.0f}°" for m in models if not m["stationary"]]
    return (
        f"The {len(inside)} stationary models drift by {min(m['drift'] for m in inside):.1f}° to "
        f"{max(m['drift'] for m in inside):.1f}° (median over classes) and have {min(spare):.1f}° to {max(spare):.1f}° "
        f"to spare on 1a. Of the controls, drift and what is tolerated: {'; '.join(outside)}."
    )

"""How far a class mean may turn in an update before Definition 1 fails, over dimension and concentration.

Caption. The largest drift of the new class mean under which (a) 1a and (b) 1b for one class pair, the drift straight at
the other vertex, still hold in expectation, when the update narrows the caps by a tenth (α_t = 0.9 α_k), over the old
classes' mean resultant length m_k. Solid: squared Euclidean, dashed: Euclidean, dotted: angular distance. 1a bears tens
of degrees, whatever the distance and the dimension; a single class pair far less, ever less with more classes (K = d +
1). Marks: models trained on handwritten digits, d = 9, at the drift of their class means (median over classes); ticks
above them: what their own concentrations bear.
"""

from __future__ import annotations

import math
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from paper_figures import _style
from theory.caps import UniformCap
from theory.compatibility import tolerable_drift

DIMS = (3, 9, 99, 1023)
METRICS: dict[str, Any] = {"sqeuclidean": "-", "euclidean": "--", "angular": ":"}  # line styles
NARROWING = 0.9  # α_t/α_k


def compute() -> dict[str, Any]:
    """Tolerable drifts and the drift of trained models, as lists that JSON can hold; trains for a few seconds.

    Returns
    -------
    dict
        ``dims``; ``mean_length``: for each dimension the m_k (length N); ``same_class`` and ``different_class``: for
        each metric and dimension the drift in degrees; ``trained``: dicts with ``name``, ``old_length``, ``drift`` and
        ``bears`` (degrees, 1a, squared Euclidean).
    """
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
        "trained": _trained(),
    }


def _trained() -> list[dict[str, Any]]:
    """Drift of the class means of models trained on digits, and what 1a bears: arccos(m_k/m_t), median over classes."""
    from learning.scenarios import ExtendedData, train_extended_data
    from verification.features import FeatureSet

    models = train_extended_data(ExtendedData(), ("fine-tuned CE", "retrained, fixed classifier"))
    old = FeatureSet(models.old, models.labels)
    old_means = np.array([old.unit[models.labels == y].mean(axis=0) for y in np.unique(models.labels)])
    old_length = np.linalg.norm(old_means, axis=1)
    found = []
    for name, features in models.new.items():
        new = FeatureSet(features, models.labels)
        means = np.array([new.unit[models.labels == y].mean(axis=0) for y in np.unique(models.labels)])
        length = np.linalg.norm(means, axis=1)
        turn = np.arccos(np.clip(np.sum(means * old_means, axis=1) / (length * old_length), -1.0, 1.0))
        bears = np.arccos(np.minimum(old_length / length, 1.0))
        found.append(
            {
                "name": name,
                "old_length": float(np.median(old_length)),
                "drift": math.degrees(float(np.median(turn))),
                "bears": math.degrees(float(np.median(bears))),
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
        for model, marker in zip(data["trained"], ("o", "D"), strict=False):
            at = model["old_length"]
            panels[0].plot([at, at], [model["drift"], model["bears"]], color="0.4", linewidth=0.8)
            panels[0].plot(at, model["drift"], marker=marker, color="0.25", linestyle="none", label=model["name"])
            panels[0].plot(at, model["bears"], marker="_", color="0.25", markersize=8)
        panels[0].set_ylim(bottom=0)
        panels[0].set(ylabel="tolerable drift (degrees)", title="(a) same class, 1a")
        panels[0].legend(loc="upper right")
        panels[1].set(title="(b) one class pair, 1b, $K = d + 1$", yscale="log")
        look = [Line2D([], [], color=_style.COLORS[i], label=f"$d = {d}$") for i, d in enumerate(data["dims"])]
        look += [Line2D([], [], color="0.3", linestyle=style, label=name) for name, style in METRICS.items()]
        panels[1].legend(handles=look, loc="lower left", ncols=2)
    return figure

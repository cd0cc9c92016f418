"""Learned caps before and after an update: what stationarity looks like on trained models.

Caption. (a) Three classes of handwritten digits in the plane, held-out images. Inner ring: features of the old model;
outer ring: of a model retrained from scratch on more images with the same fixed classifier. Arcs hold 90 % of a class.
Crosses mark the vertices of the simplex, the fixed classifier's weights: both models gather each class about them, the
new one more tightly. (b) Ten classes in nine dimensions: the angle between a held-out image and the vertex of its
class. Old and new model stay near it; a model retrained with a learned classifier (dotted) has nothing in common with
the old gallery, its angles are those of random directions (grey).
"""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from paper_figures import _style
from theory.angles import angle_cdf
from theory.simplex import simplex_vertices

RETRAINED = "retrained, fixed classifier"
COVERAGE = 0.9
SEED = 0
# ring radius, colour and name of each model in panel (a)
RINGS = {"old": (1.0, _style.COLORS[2], "inner: old model"), "new": (1.25, _style.COLORS[1], "outer: new model")}


def compute() -> dict[str, Any]:
    """Train both pairs of models and return held-out angles, in radians, as lists that JSON can hold.

    Returns
    -------
    dict
        ``plane``: for ``old`` and ``new`` the direction of each sample in the plane; ``labels`` of these. ``polar``:
        angle of each of the ten-class model's samples to its vertex, for ``old``, ``new`` and ``learned``.
    """
    from learning.recipes import PRESETS
    from learning.scenarios import ExtendedData
    from paper_figures._runs import polar_angles
    from verification.experiments.upgrades import LEARNED_CLASSIFIER, train_ways

    scenario = ExtendedData(num_classes=3, old_images=128, new_images=350)
    three = train_ways(scenario, (RETRAINED,), PRESETS["small"].changed(epochs=40))[RETRAINED]
    ten = polar_angles(SEED)
    return {
        "labels": three.labels.tolist(),
        "plane": {
            name: np.arctan2(features[:, 1], features[:, 0]).tolist()
            for name, features in zip(("old", "new"), three.features, strict=True)
        },
        "polar": {
            "old": ten[RETRAINED]["old"],
            "new": ten[RETRAINED]["new"],
            "learned": ten[LEARNED_CLASSIFIER]["new"],
        },
    }


def draw(data: dict[str, Any]) -> Figure:
    """Both panels, from what :func:`compute` returns."""
    with matplotlib.rc_context(_style.RC):
        figure = Figure(figsize=(2 * _style.COLUMN_WIDTH, 2.9))
        plane, curves = figure.subplots(1, 2, width_ratios=(1.0, 1.35))
        _draw_plane(plane, data)
        _draw_polar(curves, data["polar"])
        return figure


def _draw_plane(axes: Any, data: dict[str, Any]) -> None:
    labels = np.array(data["labels"])
    around = np.linspace(0.0, 2.0 * np.pi, 361)
    vertices = simplex_vertices(3)
    for name, (radius, colour, _) in RINGS.items():
        direction = np.array(data["plane"][name])
        axes.plot(radius * np.cos(around), radius * np.sin(around), color="0.85", linewidth=0.6, zorder=0)
        axes.scatter(
            radius * np.cos(direction),
            radius * np.sin(direction),
            s=9,
            color=colour,
            alpha=0.35,
            linewidths=0,
            zorder=2,
        )
        for c, vertex in enumerate(vertices):
            centre = np.arctan2(vertex[1], vertex[0])
            off = np.abs(np.angle(np.exp(1j * (direction[labels == c] - centre))))
            half = np.quantile(off, COVERAGE)
            arc = centre + np.linspace(-half, half, 60)
            outside = radius + (0.09 if name == "new" else -0.09)
            axes.plot(outside * np.cos(arc), outside * np.sin(arc), color=colour, linewidth=2.2, solid_capstyle="butt")
    for c, vertex in enumerate(vertices):
        axes.plot([0, 0.8 * vertex[0]], [0, 0.8 * vertex[1]], color="0.6", linewidth=0.7, zorder=0)
        axes.plot(*vertex, marker="x", color="black", markersize=6, markeredgewidth=1.4, zorder=3)
        axes.annotate(f"class {c}", 1.7 * vertex, ha="center", va="center")
    for name, (_, colour, text) in RINGS.items():
        axes.annotate(text, (0.0, 1.75 if name == "new" else 1.5), color=colour, ha="center", va="center")
    axes.set(xlim=(-1.95, 1.95), ylim=(-1.85, 1.9), aspect="equal", title="(a) three classes in the plane")
    axes.axis("off")


def _draw_polar(axes: Any, polar: dict[str, list[float]]) -> None:
    grid = np.linspace(0.0, np.pi, 400)
    axes.plot(np.degrees(grid), angle_cdf(grid, 9), color="0.6", linewidth=3.0, label="random directions")
    styles = (("old", RINGS["old"][1], "--"), ("new", RINGS["new"][1], "-"), ("learned", "black", ":"))
    names = {"old": "old model", "new": "new, fixed classifier", "learned": "new, learned classifier"}
    for name, colour, line in styles:
        angles = np.sort(np.degrees(polar[name]))
        share = np.arange(1, len(angles) + 1) / len(angles)
        axes.plot(angles, share, color=colour, linestyle=line, label=names[name])
    axes.set(
        xlim=(0, 180),
        ylim=(0, 1.02),
        xticks=range(0, 181, 30),
        xlabel="angle to the class's vertex (degrees)",
        ylabel="share of held-out images",
        title="(b) ten classes in nine dimensions",
    )
    axes.legend(loc="lower right")


def findings(data: dict[str, Any]) -> str:
    """What came out, in words with numbers."""
    median = {name: np.degrees(np.median(angles)) for name, angles in data["polar"].items()}
    return (
        f"Median angle of a held-out image to its class's vertex: {median['old']:.1f}° before the update, "
        f"{median['new']:.1f}° after it with the fixed classifier, {median['learned']:.0f}° with a learned one. The "
        "paper draws the caps as a sketch (Fig. 1)."
    )

r"""Fig. 2: the two conditions of compatibility, as segments whose expected lengths are compared.

Caption. Three classes in the plane, about the vertices of the simplex (crosses), uniform in arcs of half-width 0.8
before the update and 0.5 after it. (a) Same class, 1a: segments from the old feature of an image to old features of
other images (dashed) and from its new feature to the same old ones (solid); the solid ones have to be shorter on
average. (b) Different classes, 1b: the solid ones have to be longer. They are chords of the unit circle, drawn in true
length. Printed are the exact expected lengths and, in brackets, the mean of the segments that are drawn with its
standard error.
"""

from __future__ import annotations

import math
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from paper_figures import _style
from paper_figures.fig01_caps import METRICS, NEW, NEW_RADIUS, OLD, OLD_RADIUS, lengths
from theory.caps import UniformCap
from theory.compatibility import theorem1_gaps
from theory.simplex import simplex_vertices

SEED = 2
CLASSES = 3
SHOWN = 20  # segments of each kind


def compute() -> dict[str, Any]:
    """Ends of the segments and expected lengths, as lists that JSON can hold.

    Returns
    -------
    dict
        ``same_class`` and ``different_class``: angles (radians) of ``new_i``, ``old_i`` and ``old_j``, SHOWN each, and
        ``expected``: for each metric the values of ``old_old`` and ``new_old`` as in Fig. 1, and their ``gap``.
    """
    rng = np.random.default_rng(SEED)
    old, new = UniformCap(2, OLD_RADIUS), UniformCap(2, NEW_RADIUS)
    vertices = simplex_vertices(CLASSES)
    sides = {}
    for side, other in (("same_class", 0), ("different_class", 1)):
        cosine = 1.0 if other == 0 else -1.0 / (CLASSES - 1)
        expected = {}
        for metric in METRICS:
            gap = getattr(theorem1_gaps(new, old, CLASSES, metric), side)
            expected[metric] = {
                "old_old": lengths(old, old, metric, cosine, rng),
                "new_old": lengths(new, old, metric, cosine, rng),
                "gap": float(gap),
            }
        drawn = ((new, vertices[0]), (old, vertices[0]), (old, vertices[other]))
        angles = [_angles(cap.sample(SHOWN, axis=axis, rng=rng)).tolist() for cap, axis in drawn]
        sides[side] = dict(zip(("new_i", "old_i", "old_j"), angles, strict=True)) | {"expected": expected}
    return sides


def _angles(points: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.arctan2(points[:, 1], points[:, 0])


def chords(side: dict[str, Any]) -> dict[str, NDArray[np.float64]]:
    """Lengths of the segments that are drawn."""
    j = np.array(side["old_j"])
    return {
        name: 2.0 * np.abs(np.sin((np.array(side[i]) - j) / 2.0))
        for name, i in (("old_old", "old_i"), ("new_old", "new_i"))
    }


def draw(data: dict[str, Any]) -> Figure:
    """Both conditions, from what :func:`compute` returns."""
    with matplotlib.rc_context(_style.RC):
        figure = Figure(figsize=(_style.COLUMN_WIDTH, 2.6))
        panels = figure.subplots(1, 2)
        titles = {"same_class": "(a) same class, 1a", "different_class": "(b) different classes, 1b"}
        for axes, (side, title) in zip(panels, titles.items(), strict=True):
            _draw_side(axes, data[side])
            axes.set_title(title)
        return figure


def _draw_side(axes: Any, side: dict[str, Any]) -> None:
    around = np.linspace(0.0, 2.0 * math.pi, 361)
    axes.plot(np.cos(around), np.sin(around), color="0.8", linewidth=0.6)
    for vertex in simplex_vertices(CLASSES):
        centre = math.atan2(vertex[1], vertex[0])
        for radius, half, colour, style in ((1.13, OLD_RADIUS, OLD, "--"), (1.22, NEW_RADIUS, NEW, "-")):
            arc = np.linspace(centre - half, centre + half, 60)
            axes.plot(radius * np.cos(arc), radius * np.sin(arc), style, color=colour, linewidth=1.2)
        axes.plot(*vertex, "x", color="black", markersize=5, markeredgewidth=1.2, zorder=4)
    for i, colour, style in (("old_i", OLD, "--"), ("new_i", NEW, "-")):
        for start, end in zip(side[i], side["old_j"], strict=True):
            axes.plot(np.cos([start, end]), np.sin([start, end]), style, color=colour, linewidth=0.6, alpha=0.8)
    drawn = chords(side)
    text = (("old_old", "old to old", OLD), ("new_old", "new to old", NEW))
    for row, (pair, name, colour) in enumerate(text):
        mean, error = drawn[pair].mean(), drawn[pair].std(ddof=1) / math.sqrt(len(drawn[pair]))
        exact = side["expected"]["euclidean"][pair]["exact"]
        axes.text(
            0.0,
            -1.75 - 0.36 * row,
            f"{name} {exact:.3f} [{mean:.2f}±{error:.2f}]",
            color=colour,
            ha="center",
            va="center",
            fontsize=7,
        )
    axes.set(aspect="equal", xlim=(-1.35, 1.35), ylim=(-2.2, 1.3))
    axes.axis("off")


def findings(data: dict[str, Any]) -> str:
    """What came out, in words with numbers."""
    parts: list[str] = []
    every: list[float] = []
    for side, name in (("same_class", "1a"), ("different_class", "1b")):
        gaps = {metric: values["gap"] for metric, values in data[side]["expected"].items()}
        every += gaps.values()
        parts.append(f"{name} has the gaps {', '.join(f'{gap:+.4f} ({metric})' for metric, gap in gaps.items())}")
    same, different = (data[side]["expected"]["sqeuclidean"]["gap"] for side in ("same_class", "different_class"))
    drawn = ", ".join(f"{lengths.mean():.2f}" for lengths in chords(data["different_class"]).values())
    return (
        f"{'Both conditions hold' if min(every) >= 0 else 'A condition fails'}: {'; '.join(parts)}. In the squared "
        f"distance the gap of 1a is K − 1 times that of 1b, here {same / different:.10g} times: one condition, not "
        f"two. The segments drawn for 1b have mean lengths {drawn} (old to old, new to old): so few of them do not "
        "show what is true in expectation."
    )

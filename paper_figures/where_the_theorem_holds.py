r"""Where Theorem 1 holds: the gaps over concentration, drift, classes and dimension, and trained models on that map.

Caption. (a) Gap of 1a in the squared distance for caps in nine dimensions, old radius 0.6: over the new radius (as a
share of the old one) and the drift of the class mean; positive (blue) is compatible. Solid: zero of 1a; dashed: zero of
1b for one class pair with the drift straight at the other vertex, K = 10. Without drift both change sign at α_t = α_k
alone. (b) The zero of 1a for other dimensions, and of 1b with K = d + 1: the more classes, the less drift a single pair
tolerates. (c) The map on which all laws lie: new over old mean resultant length of a class, and the drift of its mean;
1a holds below the line cos ω = m_k/m_t. Points are the classes of trained models, filled where the audit, which looks
at pairs, finds the class's gap positive.
"""

from __future__ import annotations

import math
from typing import Any

import matplotlib
import numpy as np
from matplotlib.colors import LinearSegmentedColormap, TwoSlopeNorm
from matplotlib.figure import Figure

from paper_figures import _style
from theory.caps import UniformCap
from theory.compatibility import theorem1_gaps, tolerable_drift

SEED = 0
DIM, NUM_CLASSES, OLD_RADIUS = 9, 10, 0.6
DIMS, CLASSES = (3, 9, 99, 1023), (4, 10, 100, 1024)
SIGN = LinearSegmentedColormap.from_list("sign", [_style.COLORS[2], "white", _style.COLORS[1]])


def compute(quick: bool = False) -> dict[str, Any]:
    """Gaps and their zeros on grids, and the trained models; one seed of them in the quick version, else two.

    Returns
    -------
    dict
        ``ratio`` (length N), ``drift`` (length M, degrees); ``same_class``: M rows of N gaps; ``zero_same_class``,
        ``zero_different_class``: degrees over ``narrower`` (the ratios below 1), for each of ``dims`` and ``classes``;
        ``trained``: as :func:`paper_figures._runs.upgrades`.
    """
    from paper_figures._runs import upgrades

    ratio, drift = np.linspace(0.5, 1.25, 61), np.linspace(0.0, 60.0, 61)
    old, new = UniformCap(DIM, OLD_RADIUS), UniformCap(DIM, OLD_RADIUS * ratio)
    same, _ = theorem1_gaps(new, old, NUM_CLASSES, drift=np.radians(drift)[:, None])
    narrower = np.linspace(0.5, 1.0, 51)
    zeros: dict[str, list[list[float]]] = {"same_class": [], "different_class": []}
    for dim, count in zip(DIMS, CLASSES, strict=True):
        borne = tolerable_drift(UniformCap(dim, OLD_RADIUS * narrower), UniformCap(dim, OLD_RADIUS), count)
        zeros["same_class"].append(np.degrees(borne.same_class).tolist())
        zeros["different_class"].append(np.degrees(borne.different_class).tolist())
    return {
        "ratio": ratio.tolist(),
        "drift": drift.tolist(),
        "same_class": np.asarray(same).tolist(),
        "dims": list(DIMS),
        "classes": list(CLASSES),
        "narrower": narrower.tolist(),
        "zero_same_class": zeros["same_class"],
        "zero_different_class": zeros["different_class"],
        "trained": upgrades((0,) if quick else (0, 1)),
    }


def points(trained: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each class of each model: ``name``, ``ratio`` m_t/m_k, ``drift`` (degrees) and the audited ``gap`` of 1a."""
    keys = ("new_length", "old_length", "drift", "class_gap")
    return [
        {"name": model["name"], "ratio": new / old, "drift": math.degrees(drift), "gap": gap}
        for model in trained
        for new, old, drift, gap in zip(*(model[key] for key in keys), strict=True)
    ]


def below(point: dict[str, Any]) -> bool:
    """Whether the map says that 1a holds: m_t cos ω ≥ m_k."""
    return point["ratio"] * math.cos(math.radians(point["drift"])) >= 1.0


def draw(data: dict[str, Any]) -> Figure:
    """Three panels, from what :func:`compute` returns."""
    with matplotlib.rc_context(_style.RC):
        figure = Figure(figsize=(2 * _style.COLUMN_WIDTH, 2.9))
        surface, zeros, trained = figure.subplots(1, 3, width_ratios=(1.2, 1.0, 0.8))
        _draw_map(figure, surface, data)
        _draw_zeros(zeros, data)
        _draw_trained(trained, data["trained"])
        return figure


def _draw_map(figure: Figure, axes: Any, data: dict[str, Any]) -> None:
    gap = np.array(data["same_class"])
    mesh = axes.pcolormesh(
        data["ratio"],
        data["drift"],
        gap,
        cmap=SIGN,
        norm=TwoSlopeNorm(0.0, -1.0, 0.4),
        shading="gouraud",
        rasterized=True,
    )
    axes.contour(data["ratio"], data["drift"], gap, levels=[0.0], colors="black", linewidths=1.3)
    row = data["dims"].index(DIM)
    axes.plot(data["narrower"], data["zero_different_class"][row], color="black", linestyle="--")
    axes.grid(False)
    axes.set(xlabel=r"new over old radius $\alpha_t/\alpha_k$", ylabel="drift of the mean (degrees)", ylim=(0, 60))
    axes.set_title(f"(a) gap of 1a, $d = {DIM}$")
    figure.colorbar(mesh, ax=axes, ticks=[-1, -0.5, 0, 0.2, 0.4], pad=0.02)


def _draw_zeros(axes: Any, data: dict[str, Any]) -> None:
    for i, dim in enumerate(data["dims"]):
        for side, style in (("same_class", "-"), ("different_class", "--")):
            axes.plot(data["narrower"], data[f"zero_{side}"][i], color=_style.COLORS[i], linestyle=style)
        axes.plot([], [], color=_style.COLORS[i], label=f"$d={dim}$")
    for style, name in (("-", "1a"), ("--", "1b, one pair")):
        axes.plot([], [], color="0.3", linestyle=style, label=name)
    axes.set(yscale="log", ylim=(2e-6, 80), xlabel=r"$\alpha_t/\alpha_k$", ylabel="tolerated drift (degrees)")
    axes.set_title("(b) zero of the gap")
    axes.legend(loc="lower left", handlelength=1.8, labelspacing=0.2)


def _draw_trained(axes: Any, trained: list[dict[str, Any]]) -> None:
    ratio = np.linspace(1.0, 1.2, 200)
    axes.plot(ratio, np.degrees(np.arccos(1.0 / ratio)), color="black", label=r"$\cos\omega = m_k/m_t$")
    names = list(dict.fromkeys(model["name"] for model in trained))
    for i, name in enumerate(names):
        some = [point for point in points(trained) if point["name"] == name]
        for satisfied in (True, False):
            shown = [(p["ratio"], p["drift"]) for p in some if (p["gap"] >= 0) is satisfied]
            if shown:
                axes.plot(
                    *zip(*shown, strict=True),
                    linestyle="none",
                    marker=_style.MARKERS[i],
                    color=_style.COLORS[1 + i],
                    markerfacecolor=_style.COLORS[1 + i] if satisfied else "none",
                    markersize=3.5,
                    alpha=0.8,
                )
        axes.plot([], [], linestyle="none", marker=_style.MARKERS[i], color=_style.COLORS[1 + i], label=short(name))
    axes.set(
        yscale="symlog", xlim=(0.98, 1.2), ylim=(0, 200), xlabel=r"$m_t/m_k$", ylabel="drift of the mean (degrees)"
    )
    axes.set_yscale("symlog", linthresh=5.0, linscale=0.5)
    axes.set_yticks([0, 5, 10, 30, 90, 180], ["0", "5", "10", "30", "90", "180"])
    axes.minorticks_off()
    axes.set_title("(c) trained models, 1a")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), labelspacing=0.3, handletextpad=0.2, handlelength=1.2)


def short(name: str) -> str:
    """The name of a model of :func:`paper_figures._runs.upgrades`, for a legend."""
    names = {
        "retrained, fixed classifier": "retrained",
        "retrained, learned classifier": "learned classifier",
        "fine-tuned CE, embedding not normalised": "CE, off the vertices",
    }
    return names.get(name, name.removeprefix("fine-tuned "))


def findings(data: dict[str, Any]) -> str:
    """What came out, in words with numbers."""
    found = points(data["trained"])
    stationary = {model["name"] for model in data["trained"] if model["stationary"]}
    inside = [p for p in found if p["name"] in stationary]
    row = data["dims"].index(DIM)
    middle = data["narrower"].index(0.75)
    return (
        f"At α_t/α_k = 0.75 and d = {DIM} a class tolerates {data['zero_same_class'][row][middle]:.1f}° of drift on "
        f"1a and a single class pair {data['zero_different_class'][row][middle]:.2f}° on 1b, "
        f"{data['zero_different_class'][-1][middle]:.4f}° with {data['classes'][-1]} classes. Of {len(inside)} classes "
        f"of stationary models {sum(p['gap'] >= 0 for p in inside)} satisfy 1a by themselves; of the "
        f"{len(found) - len(inside)} of the controls "
        f"{sum(p['gap'] >= 0 for p in found if p['name'] not in stationary)}. The map foretells the audited sign of "
        f"{sum(below(p) == (p['gap'] >= 0) for p in found)} of {len(found)} classes."
    )

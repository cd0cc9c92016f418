"""Theorem D: accept rates before and after an update, and where the false one cannot rise.

Caption. Left and middle: true (TAR) and false (FAR) accept rates over the threshold, for new caps of half the radius
(dashed) and old ones; on the left the axes of the two classes have the cosine −1/d, in the middle an acute angle.
Shaded: thresholds at which FAR is proved not to rise (D2, D3). Right: the exact threshold from which FAR does not
rise, for new caps of nearly the old radius, against the bound of D3 over the dimension.
"""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from paper_figures import _style
from theory.acceptance import expected_acceptance
from theory.caps import UniformCap
from theory.decisions import exact_threshold, safe_threshold

SEED = None
ACUTE = 0.3  # cosine of the axes in the middle and on the right


def compute(
    dim: int = 9, radii: tuple[float, float] = (0.3, 0.6), dims: tuple[int, ...] = (3, 9, 32, 128, 1024), n: int = 81
) -> dict[str, Any]:
    """Rates over n thresholds in R^dim, and exact thresholds over ``dims``, as lists that JSON can hold.

    Returns
    -------
    dict
        ``threshold`` (length n); ``panels``, each with the axes' ``cosine``, the ``safe`` threshold, and ``new`` and
        ``old``, pairs of (true, false) rates over the thresholds; ``dims``, ``exact`` and ``bound``.
    """
    new, old = UniformCap(dim, radii[0]), UniformCap(dim, radii[1])
    threshold = np.linspace(-1.0, 0.995, n)
    panels = []
    for cosine in (-1.0 / dim, ACUTE):
        rates = {
            name: [np.asarray(expected_acceptance(law, old, threshold, rho)).tolist() for rho in (1.0, cosine)]
            for name, law in (("new", new), ("old", old))
        }
        panels.append({"cosine": cosine, "safe": float(np.asarray(safe_threshold(new, old, cosine))), **rates})
    nearly = 1.0 - 1e-4
    exact = [exact_threshold(UniformCap(d, nearly * radii[1]), UniformCap(d, radii[1]), ACUTE) for d in dims]
    bound = float(np.asarray(safe_threshold(new, old, ACUTE)))
    return {"threshold": threshold.tolist(), "panels": panels, "dims": list(dims), "exact": exact, "bound": bound}


def draw(data: dict[str, Any]) -> Figure:
    """Three panels from what :func:`compute` returns."""
    with matplotlib.rc_context(_style.RC):
        figure = Figure(figsize=(2 * _style.COLUMN_WIDTH, 2.3))
        left, middle, right = figure.subplots(1, 3)
        for axes, panel in zip((left, middle), data["panels"], strict=True):
            axes.axvspan(panel["safe"], 1.0, color="0.93")
            for name, style in (("old", "-"), ("new", "--")):
                for rate, colour, values in zip(("TAR", "FAR"), _style.COLORS[1:3], panel[name], strict=True):
                    axes.plot(data["threshold"], values, color=colour, linestyle=style, label=f"{rate}, {name}")
            axes.set_title(f"cosine of the axes {panel['cosine']:.2f}")
            axes.set_xlabel(r"threshold $\tau$")
        left.set_ylabel("accept rate")
        left.legend(loc="lower left")
        right.axhline(data["bound"], color="black", linewidth=0.8, label="bound of D3")
        right.plot(data["dims"], data["exact"], color=_style.COLORS[2], marker="o", label="exact")
        right.set_xscale("log")
        right.set_xlabel("dimension $d$")
        right.set_ylabel(r"safe threshold")
        right.legend(loc="lower right")
    return figure


def findings(data: dict[str, Any]) -> str:
    """What came out, in words with numbers."""
    rises = []
    for panel in data["panels"]:
        rise = np.subtract(panel["new"][1], panel["old"][1])
        above = np.asarray(data["threshold"]) >= panel["safe"]
        rises.append(f"{rise.max():.3f} below and {max(rise[above].max(), 0.0):.1g} above {panel['safe']:.3f}")
    return (
        f"FAR rises by at most {rises[0]} at the simplex's cosine, {rises[1]} at the acute angle. The exact threshold "
        f"climbs from {data['exact'][0]:.3f} in {data['dims'][0]} dimensions to {data['exact'][-1]:.3f} in "
        f"{data['dims'][-1]}; the bound is {data['bound']:.4f}."
    )

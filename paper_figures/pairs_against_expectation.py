r"""Pairs against expectation: Definition 1 is stated for all pairs and shown on average.

Caption. Share of pairs that satisfy an inequality by themselves, over its expected gap in the squared distance. Lines:
caps about the vertices of the simplex in d = K − 1 dimensions, old radius 0.6, the new radius from half to once and a
quarter of it, by Monte Carlo (10^5 triples a point; the standard error is below 0.002). Points: the trained models of
`stationary verify`, with the interval of the gap. Of the trained models a third of the pairs violate 1a and half of
them 1b, although both hold in expectation: the definition for all pairs holds for none.
"""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from paper_figures import _style
from paper_figures.where_the_theorem_holds import short
from theory.caps import UniformCap
from theory.compatibility import theorem1_gaps
from theory.monte_carlo import estimate_pair_fractions

SEED = 7
DIMS = (3, 9, 99)
OLD_RADIUS = 0.6
TRIPLES = 100_000
SIDES = {"same_class": "(a) same class, 1a", "different_class": "(b) different classes, 1b"}


def compute(quick: bool = False) -> dict[str, Any]:
    """Shares of pairs for caps, and those of the trained models.

    Returns
    -------
    dict
        ``ratio`` (length N); ``dims``; for each side ``gap``, ``fraction`` and ``error``, N each, a list for each
        dimension; ``trained``: as :func:`paper_figures._runs.upgrades`.
    """
    from paper_figures._runs import upgrades

    rng = np.random.default_rng(SEED)
    ratios = np.linspace(0.5, 1.25, 16)
    sides: dict[str, dict[str, list[list[float]]]] = {side: {"gap": [], "fraction": [], "error": []} for side in SIDES}
    for dim in DIMS:
        old = UniformCap(dim, OLD_RADIUS)
        for side in SIDES:
            for values in sides[side].values():
                values.append([])
        for ratio in ratios:
            new = UniformCap(dim, OLD_RADIUS * float(ratio))
            gaps = theorem1_gaps(new, old, dim + 1)
            shares = estimate_pair_fractions(new, old, dim + 1, num_samples=TRIPLES, rng=rng)
            for side in SIDES:
                share = getattr(shares, side)
                sides[side]["gap"][-1].append(float(getattr(gaps, side)))
                sides[side]["fraction"][-1].append(share.mean)
                sides[side]["error"][-1].append(share.standard_error)
    return {
        "ratio": ratios.tolist(),
        "dims": list(DIMS),
        **sides,
        "trained": upgrades((0,) if quick else (0, 1)),
    }


def draw(data: dict[str, Any]) -> Figure:
    """One panel an inequality, from what :func:`compute` returns."""
    with matplotlib.rc_context(_style.RC):
        figure = Figure(figsize=(2 * _style.COLUMN_WIDTH, 2.9))
        panels = figure.subplots(1, 2)
        thresholds = (0.1, 0.01)
        for number, (axes, (side, title)) in enumerate(zip(panels, SIDES.items(), strict=True)):
            axes.axvline(0.0, color="0.6", linewidth=0.8)
            axes.axhline(0.5, color="0.6", linewidth=0.8, linestyle=":")
            for i, dim in enumerate(data["dims"]):
                axes.plot(
                    data[side]["gap"][i],
                    data[side]["fraction"][i],
                    color="0.25",
                    linestyle=_style.LINE_STYLES[i],
                    label=f"caps, $d={dim}$",
                )
            _draw_trained(axes, data["trained"], number)
            axes.set(xlabel="expected gap, positive = compatible", ylim=(-0.02, 1.02), title=title)
            axes.set_xscale("symlog", linthresh=thresholds[number], linscale=1.2)
            limit = thresholds[number]
            ticks = [-10 * limit, -limit, 0, limit]
            axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            axes.minorticks_off()
        panels[0].set_ylabel("share of pairs that satisfy it")
        panels[0].legend(loc="upper left", labelspacing=0.25, handletextpad=0.4)
        return figure


def _draw_trained(axes: Any, trained: list[dict[str, Any]], side: int) -> None:
    for i, name in enumerate(dict.fromkeys(model["name"] for model in trained)):
        for model in (model for model in trained if model["name"] == name):
            gap = model["gap"][side]
            axes.errorbar(
                gap,
                model["fraction"][side],
                xerr=[[gap - model["lower"][side]], [model["upper"][side] - gap]],
                fmt=_style.MARKERS[i],
                color=_style.COLORS[1 + i],
                markerfacecolor=_style.COLORS[1 + i] if model["stationary"] else "white",
                elinewidth=0.8,
                label=short(name) if model["seed"] == trained[0]["seed"] else None,
            )


def findings(data: dict[str, Any]) -> str:
    """What came out, in words with numbers."""
    some = [model for model in data["trained"] if model["stationary"]]
    shares = [[model["fraction"][side] for model in some] for side in (0, 1)]
    seeds = len({model["seed"] for model in data["trained"]})
    middle = data["dims"].index(9)
    narrowest = [data[side]["fraction"][middle][0] for side in SIDES]
    return (
        f"The {len(some)} stationary models ({seeds} seed{'s' if seeds > 1 else ''}) satisfy 1a for "
        f"{min(shares[0]):.0%} to {max(shares[0]):.0%} of pairs and 1b for {min(shares[1]):.0%} to "
        f"{max(shares[1]):.0%}, although both hold in expectation. Independent caps of half the old radius reach "
        f"{narrowest[0]:.0%} and {narrowest[1]:.0%} in nine dimensions: the shares are a matter of d more than of the "
        "update."
    )

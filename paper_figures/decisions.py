"""How often decisive verdicts are wrong, for each kind of decision: simulated upgrades whose answer is known.

Caption. Each line is one design of simulated upgrades, each point the share of decisive verdicts on one question that
are wrong. Filled: the loss is exactly what the margin allows, so that any decision is wrong; open: the loss lies beyond
it ("compatible" is wrong) or inside of it ("incompatible" is). Grey: nothing is promised, because the verdict is read
as one about other classes, or because shots of one object are counted as independent; at the right edge, the share is
larger than the axis shows. The line is the promised 5 %, the band two standard errors of the simulation above.
"""

from __future__ import annotations

from typing import Any

import matplotlib
from matplotlib.figure import Figure

from paper_figures import _style
from verification.experiments.simulated.decisions import PROMISED, compute, limit

__all__ = ["compute", "draw"]


def draw(data: dict[str, Any]) -> Figure:
    """A line a design, from what :func:`verification.experiments.simulated.decisions.compute` returns."""
    rows = data["designs"]
    lines = {key: y for y, key in enumerate(dict.fromkeys((r["kind"], r["name"], r["where"]) for r in rows))}
    kinds = list(dict.fromkeys(row["kind"] for row in rows))
    promised = [row for row in rows if row["promised"]]
    right = max(1.15 * limit(data["runs"]), 1.05 * max((row["wrong"] for row in promised), default=0.0))

    def points(some: list[dict[str, Any]]) -> dict[str, Any]:
        shares = [min(row["wrong"], right) for row in some]
        return {"x": shares, "y": [lines[row["kind"], row["name"], row["where"]] for row in some], "clip_on": False}

    with matplotlib.rc_context(_style.RC):
        figure = Figure(figsize=(2 * _style.COLUMN_WIDTH, 0.8 + 0.15 * len(lines)))
        axes = figure.subplots()
        axes.axvspan(PROMISED, limit(data["runs"]), color="0.9", linewidth=0)
        axes.axvline(PROMISED, color="0.5", linewidth=0.8)
        axes.scatter(**points([row for row in rows if not row["promised"]]), marker="x", color="0.6", s=8)
        for k, kind in enumerate(kinds):
            color = _style.COLORS[1 + k % (len(_style.COLORS) - 1)]
            for boundary in (True, False):
                some = [r for r in promised if r["kind"] == kind and (r["where"] == "boundary") == boundary]
                axes.scatter(
                    **points(some),
                    marker=_style.MARKERS[k % len(_style.MARKERS)],
                    edgecolors=color,
                    facecolors=color if boundary else "white",
                    s=12,
                    label=kind if boundary else None,
                )
        axes.set(
            xlabel=f"share of wrong decisive verdicts, {data['runs']} upgrades a design",
            xlim=(-0.002, right),
            ylim=(len(lines) - 0.4, -0.6),
        )
        axes.set_yticks(range(len(lines)), [f"{name}, {where}" for _, name, where in lines])
        axes.tick_params(axis="y", labelsize=6.0)
        axes.legend(loc="upper right")
        return figure

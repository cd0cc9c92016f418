"""How often decisive verdicts are wrong, for each kind of decision: simulated upgrades whose answer is known.

Caption. Each point is one design of simulated upgrades: the share of decisive verdicts that are wrong. Filled: the loss
is exactly what the margin allows, so that any decision is wrong; open: the loss lies beyond it ("compatible" is wrong)
or inside of it ("incompatible" is). The line is the promised 5 %, the band two standard errors of the simulation above.
"""

from __future__ import annotations

from typing import Any

import matplotlib
from matplotlib.figure import Figure

from paper_figures import _style
from verification.simulated.decisions import PROMISED, compute, limit

__all__ = ["compute", "draw"]


def draw(data: dict[str, Any]) -> Figure:
    """A row a design, from what :func:`verification.simulated.decisions.compute` returns."""
    rows = data["designs"]
    kinds = list(dict.fromkeys(row["kind"] for row in rows))
    with matplotlib.rc_context(_style.RC):
        figure = Figure(figsize=(2 * _style.COLUMN_WIDTH, 0.8 + 0.15 * len(rows)))
        axes = figure.subplots()
        axes.axvspan(PROMISED, limit(data["runs"]), color="0.9", linewidth=0)
        axes.axvline(PROMISED, color="0.5", linewidth=0.8)
        for k, kind in enumerate(kinds):
            for boundary in (True, False):
                some = [
                    (i, row) for i, row in enumerate(rows)
                    if row["kind"] == kind and (row["where"] == "boundary") == boundary
                ]  # fmt: skip
                color = _style.COLORS[1 + k % (len(_style.COLORS) - 1)]
                axes.plot(
                    [row["wrong"] for _, row in some],
                    [i for i, _ in some],
                    linestyle="none",
                    marker=_style.MARKERS[k % len(_style.MARKERS)],
                    color=color,
                    markerfacecolor=color if boundary else "white",
                    label=kind if boundary else None,
                )
        axes.set(
            xlabel=f"share of wrong decisive verdicts, {data['runs']} upgrades a design",
            xlim=(-0.002, max(1.15 * limit(data["runs"]), 1.05 * max(row["wrong"] for row in rows))),
            ylim=(len(rows) - 0.4, -0.6),
        )
        axes.set_yticks(range(len(rows)), [f"{row['name']}, {row['where']}" for row in rows])
        axes.tick_params(axis="y", labelsize=6.0)
        axes.legend(loc="upper right")
        return figure

"""Calibration and power of the audit: whether its 95 % is one, and at what N it sees a difference.

Caption. (a) Share of simulated audits whose interval covers the exact gap, each design a point, both sides and both
weightings; the line is the nominal level of a side, the band two standard errors about it. (b) The same designs at the
boundary of compatibility, caps equal before and after: share of audits with a verdict, which is then false, against the
promised bound (line). (c) Mean half-width of the intervals over that of an interval which knows the true standard
deviation. (d) Power, ten classes in 64 dimensions: share of audits that decide rightly, over the ratio of the new to
the old radius, for N samples in classes of one size; at ratio 1 every verdict is false.
"""

from __future__ import annotations

import math
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from paper_figures import _style
from verification.calibration import WEIGHTINGS, compute

__all__ = ["compute", "draw"]

_SIDES = (("same", "1a, same class"), ("different", "1b, different classes"))


def draw(data: dict[str, Any]) -> Figure:
    """All panels, from what :func:`verification.calibration.compute` returns."""
    with matplotlib.rc_context(_style.RC):
        figure = Figure(figsize=(2 * _style.COLUMN_WIDTH, 5.2))
        (coverage, wrong), (width, power) = figure.subplots(2, 2)
        _draw_coverage(coverage, data)
        _draw_false(wrong, data)
        _draw_width(width, data)
        _draw_power(power, data)
        return figure


def _draw_coverage(axes: Any, data: dict[str, Any]) -> None:
    level = 1.0 - (1.0 - data["confidence"]) / 2.0
    error = 2.0 * math.sqrt(level * (1.0 - level) / data["runs"])
    axes.axhspan(level - error, min(level + error, 1.0), color="0.9", linewidth=0)
    axes.axhline(level, color="0.5", linewidth=0.8)
    _points(axes, data["cells"], "coverage")
    # room below the points for the legend
    axes.set(
        ylim=(min(level - 0.07, level - 2.0 * error), 1.004), ylabel="coverage of a side", title="(a) intervals cover"
    )
    axes.legend(loc="lower left")


def _draw_width(axes: Any, data: dict[str, Any]) -> None:
    axes.axhline(1.0, color="0.5", linewidth=0.8)
    _points(axes, data["cells"], "width")
    axes.set(ylabel="half-width over quantile × deviation", title="(c) and are not wide")


def _points(axes: Any, cells: list[dict[str, Any]], what: str) -> None:
    for s, (side, label) in enumerate(_SIDES):
        for w, weights in enumerate(WEIGHTINGS):
            values = [row["found"][weights][f"{what}_{side}"] for row in cells]
            shown = [(x, value) for x, value in enumerate(values) if value is not None]
            axes.plot(
                *zip(*shown, strict=True),
                linestyle="none",
                marker=_style.MARKERS[s],
                color=_style.COLORS[1 + s],
                markerfacecolor=_style.COLORS[1 + s] if w == 0 else "none",
                label=f"{label}, by {weights}",
            )
    axes.set(xlabel="design", xticks=[])


def _draw_false(axes: Any, data: dict[str, Any]) -> None:
    rows = [row for row in data["cells"] if row["new_radius"] == row["old_radius"]]
    bound = 1.0 - data["confidence"]
    axes.axhline(bound, color="0.5", linewidth=0.8)
    for w, weights in enumerate(WEIGHTINGS):
        shares = [row["found"][weights]["compatible"] + row["found"][weights]["incompatible"] for row in rows]
        axes.plot(
            range(len(rows)),
            shares,
            linestyle="none",
            marker=_style.MARKERS[w],
            color=_style.COLORS[3 + w],
            label=f"by {weights}",
        )
    axes.set(
        xlabel="design at the boundary",
        xticks=[],
        ylim=(0.0, 1.6 * bound),
        ylabel="false verdicts",
        title="(b) false verdicts are rare",
    )
    axes.legend(loc="upper right")


def _draw_power(axes: Any, data: dict[str, Any]) -> None:
    rows = [row for row in data["power"] if row["sizes"] == "equal"]
    for k, size in enumerate(sorted({row["num_samples"] for row in rows})):
        some = [row for row in rows if row["num_samples"] == size]
        ratios = [row["new_radius"] / row["old_radius"] for row in some]
        found = [row["found"]["pairs"] for row in some]
        # below ratio 1 "compatible" is right, above it "incompatible"; at 1 neither
        decided = [
            share["compatible"] * (ratio <= 1.0) + share["incompatible"] * (ratio >= 1.0)
            for ratio, share in zip(ratios, found, strict=True)
        ]
        axes.plot(
            ratios,
            decided,
            color=_style.COLORS[k],
            linestyle=_style.LINE_STYLES[k],
            marker=_style.MARKERS[k],
            label=f"N = {size}",
        )
    axes.axhline(1.0 - data["confidence"], color="0.5", linewidth=0.8)
    axes.set(
        xlabel="new over old radius",
        ylabel="right verdicts",
        ylim=(-0.03, 1.03),
        title="(d) power",
    )
    axes.legend(loc="center left")

"""Calibration and power of the audit: whether its 95 % is one, and at what N it sees a difference.

Caption. (a) Share of simulated audits whose interval covers the exact gap, each design a point, both sides and both
weightings; the line is the nominal level of a side, the band two standard errors about it. (b) The same designs at the
boundary of compatibility, caps equal before and after: share of audits with a verdict, which is then false, against the
promised bound (line). (c) Mean half-width of the intervals over that of an interval which knows the true standard
deviation. (d) Power, ten classes of one size in 64 dimensions: share of audits that decide rightly over the number of
samples, for ratios of the new to the old radius; at ratio 1 every verdict is false. (e), (f) The same for classes of
unequal size, every pair of samples or every class counting once.
"""

from __future__ import annotations

import math
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from paper_figures import _style
from verification.experiments.simulated.calibration import compute, power_lines
from verification.statistics.weights import WEIGHTINGS

__all__ = ["compute", "draw"]

_SIDES = (("same", "1a, same class"), ("different", "1b, different classes"))


def draw(data: dict[str, Any]) -> Figure:
    """All panels, from what :func:`verification.experiments.simulated.calibration.compute` returns."""
    with matplotlib.rc_context(_style.RC):
        figure = Figure(figsize=(2 * _style.COLUMN_WIDTH, 7.6))
        (coverage, wrong), (width, equal), unequal = figure.subplots(3, 2)
        _draw_coverage(coverage, data)
        _draw_false(wrong, data)
        _draw_width(width, data)
        _draw_power(equal, data, "equal", "pairs", "(d) power, classes of one size")
        _draw_power(unequal[0], data, "unequal", "pairs", "(e) unequal classes, pairs count once")
        _draw_power(unequal[1], data, "unequal", "classes", "(f) unequal classes, classes count once")
        equal.legend(title="new over old radius", loc="center right")
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


def _draw_power(axes: Any, data: dict[str, Any], sizes: str, weights: str, title: str) -> None:
    rows = [row for row in data["power"] if row["sizes"] == sizes]
    lines = power_lines(rows, weights)
    styles = zip(_style.COLORS, _style.LINE_STYLES, _style.MARKERS, strict=True)
    for ratio, (numbers, shares) in sorted(lines.items()):
        colour, line, marker = ("0.6", "-", "x") if ratio == 1.0 else next(styles)
        axes.plot(numbers, shares, color=colour, linestyle=line, marker=marker, label=f"{ratio:g}")
    axes.axhline(1.0 - data["confidence"], color="0.5", linewidth=0.8)
    axes.set(xscale="log", xlabel="samples", ylabel="right verdicts", ylim=(-0.03, 1.03), title=title)

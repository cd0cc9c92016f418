"""The proof of Theorem 1 in one picture: which distances pass, and where the others fail.

Caption. 1b follows, for caps of radii up to π/2, if h(c) = (1−c²)F″ − (d−1)cF′, the Laplacian of the distance F(c) as a
function of the cosine c, is non-decreasing (solid) and its even part e is convex (dashed); here d = 9, each distance
scaled to F(−1) − F(1) = 1. Top: the three distances in use pass; h is odd, so e = 0, for two of them. Bottom: for 1 −
c³ and √(1 − c³), a metric, h falls around c = 0 (grey), and both violate 1b; for −c + c²/10 h rises, but e is concave
everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from paper_figures import _style
from theory.holds import theorem1_holds_for
from theory.metrics import MetricLike, as_metric

DIM = 9
SEED = None
Array = NDArray[np.float64]


def _cubic(c: Array) -> Array:
    return 1.0 - c**3


def _root_cubic(c: Array) -> Array:
    return np.sqrt(np.maximum(1.0 - c**3, 0.0))


def _bent(c: Array) -> Array:
    return -c + c**2 / 10.0


# title, the distance, and F′ and F″ inside (−1, 1)
CASES: tuple[tuple[str, MetricLike, Callable[[Array], Array], Callable[[Array], Array]], ...] = (
    (r"$\|u-v\|^2$", "sqeuclidean", lambda c: 0.0 * c - 2.0, lambda c: 0.0 * c),
    (r"$\|u-v\|$", "euclidean", lambda c: -((2 - 2 * c) ** -0.5), lambda c: -((2 - 2 * c) ** -1.5)),
    (r"$\arccos c$", "angular", lambda c: -((1 - c * c) ** -0.5), lambda c: -c * (1 - c * c) ** -1.5),
    (r"$1-c^3$", _cubic, lambda c: -3 * c**2, lambda c: -6 * c),
    (
        r"$\sqrt{1-c^3}$",
        _root_cubic,
        lambda c: -1.5 * c**2 * (1 - c**3) ** -0.5,
        lambda c: -3 * c * (1 - c**3) ** -0.5 - 2.25 * c**4 * (1 - c**3) ** -1.5,
    ),
    (r"$-c+c^2/10$", _bent, lambda c: -1 + c / 5, lambda c: 0.0 * c + 0.2),
)


def compute() -> dict[str, Any]:
    """h, e and the verdict for each distance, as lists that JSON can hold.

    Returns
    -------
    dict
        ``dim``, ``cosine`` (length N) and ``cases``: dicts with ``title``, ``h`` and ``even`` (N each, over
        F(−1) − F(1)), ``verdict``, ``step`` and ``where`` as :class:`theory.holds.Criterion` has them.
    """
    cosine = np.cos(np.linspace(np.pi - 0.02, 0.02, 601))
    cases = []
    for title, metric, first, second in CASES:
        answer = theorem1_holds_for(metric, DIM)
        spread = float(np.subtract(*as_metric(metric).of_cosine([-1.0, 1.0])))
        h = ((1 - cosine**2) * second(cosine) - (DIM - 1) * cosine * first(cosine)) / spread
        cases.append(
            {
                "title": title,
                "h": h.tolist(),
                "even": (0.5 * (h + h[::-1])).tolist(),
                "verdict": answer.verdict,
                "step": answer.step,
                "where": answer.where,
            }
        )
    return {"dim": DIM, "cosine": cosine.tolist(), "cases": cases}


def draw(data: dict[str, Any]) -> Figure:
    """Six panels, from what :func:`compute` returns."""
    reasons = {"": "passes", "ii": "fails: $h$ falls", "iv": "fails: $e$ is concave"}
    with matplotlib.rc_context(_style.RC):
        figure = Figure(figsize=(2 * _style.COLUMN_WIDTH, 3.4))
        panels = figure.subplots(2, 3, sharex=True)
        for axes, case in zip(panels.flat, data["cases"], strict=True):
            passes = case["verdict"] == "proved"
            if case["where"] and case["step"] == "ii":
                axes.axvspan(*case["where"], color="0.85", linewidth=0)
            axes.plot(data["cosine"], case["h"], color=_style.COLORS[1], label="$h$")
            axes.plot(data["cosine"], case["even"], color=_style.COLORS[2], linestyle="--", label="$e$, even part")
            axes.set_title(f"{case['title']}: {reasons[case['step']]}", color="black" if passes else _style.COLORS[2])
            axes.set_xlim(-1, 1)
            axes.set_xticks([-1, -0.5, 0, 0.5, 1])
            inner = np.abs(np.array(data["cosine"])) < 0.95  # what diverges at the ends is cut off
            low, high = np.min(np.array(case["h"])[inner]), np.max(np.array(case["h"])[inner])
            axes.set_ylim(low - 0.1 * (high - low), high + 0.1 * (high - low))
        for axes in panels[1]:
            axes.set_xlabel("cosine $c$")
        for axes in panels[:, 0]:
            axes.set_ylabel("$h(c)$, scaled")
        panels[0, 0].legend(loc="upper left")
    return figure


def findings(data: dict[str, Any]) -> str:
    """What came out, in words with numbers."""
    passed = [case["title"] for case in data["cases"] if case["verdict"] == "proved"]
    failed = [f"{case['title']} at step ({case['step']})" for case in data["cases"] if case["verdict"] != "proved"]
    return (
        f"{len(passed)} of {len(data['cases'])} distances pass: {', '.join(passed)}. The others fail: "
        f"{', '.join(failed)}. Theorem 1 is stated for any distance; it holds for these three, and 1 − c³ and its root "
        "are counter-examples."
    )

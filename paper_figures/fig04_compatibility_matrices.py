r"""Figs. 4 and 7: compatibility matrices, without and with model replacements, beside the released ones.

Caption. Accuracy (%) of 1:N search with queries of model t (rows) in the gallery of model k (columns), diagonal: its
own gallery. Red: the entry violates Eq. 6, searching the old gallery with the new model is no better than with the old
one. Ringed: undecided, so many queries do not tell which (McNemar's exact test on each query's outcome, Holm's
correction over the matrix, 95 %). Top: CL²R, seven tasks (Fig. 4). Then IAM-CL²R, five tasks of which the boxed ones
begin with an improved model (Fig. 7), once held to that improved model, as in the released code, and once to the model
of the task before, whose gallery is searched. Bottom: the five matrices that the authors and a fork of their code
released, CIFAR-100 to CIFAR-10; from their accuracies alone the test has to take the two for independent.
"""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from paper_figures import _style
from verification.search.matrices import MatrixReport, judge_matrix, judge_outcomes, released_matrices
from verification.search.scores import outcomes

SEED = 0
RELEASED_QUERIES = 50_000
RELEASED = {
    "iamcl2r/notebooks/iamcl2r_hoc.ipynb": "HOC",
    "iamcl2r/notebooks/eval.ipynb": "ER",
    "hbct/notebooks/iamcl2r_hoc.ipynb": "HOC (fork)",
    "hbct/notebooks/iamcl2r_learnable_head_hoc.ipynb": "learned head",
    "iamcl2r/notebooks/iamcl2r_ce.ipynb": "ER, 31 tasks",
}
VIOLATED = "#F0A58F"
# with the axis label of each row of panels
ROWS = {
    "CL²R": "CL²R",
    "IAM-CL²R": "IAM-CL²R\nheld to improved",
    "IAM-CL²R, previous": "IAM-CL²R\nheld to previous",
    "released": "released",
}
# a matrix of more models has no room for numbers of seven points
PRINTED = 7


def compute(quick: bool = False) -> dict[str, Any]:
    """Judge the matrices of all methods in both scenarios, and the released ones.

    Returns
    -------
    dict
        ``data`` and, for each of ROWS, a dict by method of ``matrix`` (rows of t + 1
        fractions), ``violated`` and ``undecided`` (lists of (t, k) from 0), ``ac``, ``ac_interval``, ``aa``,
        ``queries``; ``replaced``: tasks from 0.
    """
    from paper_figures._runs import METHODS, epochs, lifelong, recipe, replaced, sequence

    iam = replaced(SEED)
    found: dict[str, Any] = {"data": iam.data, "replaced": list(iam.replace_at)}
    scenarios = (lifelong(SEED), iam, replaced(SEED, reference="previous"))
    for name, scenario in zip(ROWS, scenarios, strict=False):
        found[name] = {}
        for method, title in METHODS.items():
            sets = sequence(scenario, method, recipe(epochs(quick)))
            found[name][title] = _plain(judge_outcomes(outcomes(sets, sets)))
    released = released_matrices()
    found["released"] = {
        title: _plain(judge_matrix(released[source], RELEASED_QUERIES)) for source, title in RELEASED.items()
    }
    return found


def _plain(report: MatrixReport) -> dict[str, Any]:
    matrix = report.matrix
    return {
        "matrix": [row[: t + 1].tolist() for t, row in enumerate(matrix)],
        # Eq. 6 is strict
        "violated": [[e.new, e.old] for e in report.entries if not matrix[e.new, e.old] > matrix[e.old, e.old]],
        "undecided": [list(entry) for entry in report.undecided],
        "ac": report.average_compatibility,
        "ac_interval": list(report.average_compatibility_interval),
        "aa": report.average_accuracies[-1],
        "queries": report.num_queries,
    }


def draw(data: dict[str, Any]) -> Figure:
    """One row of panels a scenario, from what :func:`compute` returns."""
    with matplotlib.rc_context(_style.RC | {"axes.grid": False}):
        figure = Figure(figsize=(2 * _style.COLUMN_WIDTH, 7.0))
        panels = figure.subplots(len(ROWS), len(data["released"]))
        for axes, (row, label) in zip(panels, ROWS.items(), strict=True):
            boxed = data["replaced"] if row.startswith("IAM") else []
            # the paper compares four methods, five matrices are released
            for panel in axes[len(data[row]) :]:
                panel.axis("off")
            for panel, (title, found) in zip(axes, data[row].items(), strict=False):
                _draw_matrix(panel, found, boxed)
                panel.set_title(f"{title}\nAC {found['ac']:.2f}, AA {found['aa']:.3f}", fontsize=7.5)
            axes[0].set_ylabel(f"{label}\nqueries by $t$")
        _draw_key(panels[0, -1])
        for panel in panels[-1]:
            panel.set_xlabel("gallery by $k$")
        return figure


def _draw_matrix(axes: Any, found: dict[str, Any], boxed: list[int]) -> None:
    matrix = found["matrix"]
    size = len(matrix)
    small = size <= PRINTED
    violated, undecided = ({tuple(entry) for entry in found[name]} for name in ("violated", "undecided"))
    cells, colours = [], []
    for t, row in enumerate(matrix):
        for k, value in enumerate(row):
            colour = VIOLATED if (t, k) in violated else "0.9" if t == k else "white"
            cells.append(Rectangle((k - 0.5, t - 0.5), 1, 1))
            colours.append(colour)
            if small:
                axes.text(k, t, f"{100 * value:.0f}", ha="center", va="center", fontsize=7)
    width = 0.4 if small else 0.1
    axes.add_collection(PatchCollection(cells, facecolors=colours, edgecolors="0.45", linewidths=width))
    if undecided:
        rows, columns = zip(*undecided, strict=True)
        size_of_ring = 9 if small else 1
        axes.plot(
            columns, rows, "o", color="black", markerfacecolor="none", markersize=size_of_ring, markeredgewidth=0.8
        )
    axes.set(xlim=(-0.5, size - 0.5), ylim=(size - 0.5, -0.5), aspect="equal")
    step = 1 if small else 10
    ticks = np.arange(0, size, step)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(ticks, [str(tick + 1) for tick in ticks])
        axis.set_tick_params(length=0)
        for task in boxed:
            axis.get_ticklabels()[task].set_bbox({"boxstyle": "square,pad=0.15", "facecolor": "none", "linewidth": 0.6})
    for spine in axes.spines.values():
        spine.set_visible(False)


def _draw_key(axes: Any) -> None:
    handles: list[Any] = [
        Rectangle((0, 0), 1, 1, facecolor=colour, edgecolor="0.45", linewidth=0.4)
        for colour in ("0.9", "white", VIOLATED)
    ]
    handles.append(Line2D([], [], linestyle="none", marker="o", color="black", markerfacecolor="none", markersize=9))
    texts = ("own gallery", "better than it", "violates Eq. 6", "undecided")
    axes.legend(handles, texts, loc="center", handlelength=1.2, handleheight=1.2)


def findings(data: dict[str, Any]) -> str:
    """What came out, in words with numbers."""
    sentences = []
    for row in list(ROWS)[:-1]:
        values = [
            f"{title} {found['ac']:.2f} [{found['ac_interval'][0]:.2f}, {found['ac_interval'][1]:.2f}]"
            for title, found in data[row].items()
        ]
        queries = next(iter(data[row].values()))["queries"]
        sentences.append(f"{row}, {data['data']}, {queries} queries, AC with its interval: {', '.join(values)}.")
    hoc = data["released"]["HOC"]
    sentences.append(
        f"The released matrices give AC and AA as published (HOC {hoc['ac']:.2f}, {100 * hoc['aa']:.2f}), and "
        f"{len(hoc['undecided'])} of HOC's {len(hoc['matrix']) * (len(hoc['matrix']) - 1) // 2} entries are undecided "
        f"at 50 000 queries, the only violated one among them: AC is in [{hoc['ac_interval'][0]:.2f}, "
        f"{hoc['ac_interval'][1]:.2f}]."
    )
    return " ".join(sentences)

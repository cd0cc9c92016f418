r"""Figs. 6 and 9: average accuracy over the tasks, with and without model replacements, and with other architectures.

Caption. AA_τ, the mean over the lower triangle of the compatibility matrix up to task τ: what all searches so far gave.
(a) IAM-CL²R with two replacements, at the boxed tasks (Fig. 6a); the update at a replacement is held to the improved
model, as in the released code. (b) The same, held to the model of the task before. (c) The same tasks without
replacements (Fig. 6b). (d) As (b), the improved models being of other architectures (Fig. 9): they share nothing with
the old model but the vertices of the classifier; methods with a learned classifier do not have even that.
"""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from paper_figures import _style
from verification.search.matrices import judge_outcomes
from verification.search.scores import outcomes

SEED = 0
ARCHITECTURES = ("lenet++", "small-cnn")  # of the improved models
TITLES = {
    "replaced": "(a) replaced, held to improved",
    "previous": "(b) replaced, held to previous",
    "not_replaced": "(c) not replaced",
    "architectures": "(d) as (b), other architectures",
}


def compute(quick: bool = False) -> dict[str, Any]:
    """Train all methods and take AA_τ.

    Returns
    -------
    dict
        ``data``, ``boxed`` (tasks from 1), ``backbones`` and, for each panel of TITLES, by method ``aa`` (length T) and
        ``ac``; ``queries``.
    """
    from paper_figures._runs import METHODS, epochs, recipe, replaced, sequence, unreplaced

    iam = replaced(SEED)
    other = replaced(SEED, reference="previous", backbones=ARCHITECTURES)
    runs = {
        "replaced": iam,
        "previous": replaced(SEED, reference="previous"),
        "not_replaced": unreplaced(SEED),
        "architectures": other,
    }
    found: dict[str, Any] = {
        "data": iam.data,
        "boxed": [task + 1 for task in iam.replace_at],
        "backbones": [other.backbone, *other.backbones],
    }
    # the larger networks cost more
    counts = {"architectures": epochs(quick) // 2}
    for panel, scenario in runs.items():
        found[panel] = {}
        for method, title in METHODS.items():
            sets = sequence(scenario, method, recipe(counts.get(panel, epochs(quick))))
            report = judge_outcomes(outcomes(sets, sets))
            found[panel][title] = {"aa": list(report.average_accuracies), "ac": report.average_compatibility}
            found["queries"] = report.num_queries
    return found


def draw(data: dict[str, Any]) -> Figure:
    """Four panels, from what :func:`compute` returns."""
    with matplotlib.rc_context(_style.RC):
        figure = Figure(figsize=(2 * _style.COLUMN_WIDTH, 4.6))
        panels = figure.subplots(2, 2, sharey=True)
        for axes, (panel, title) in zip(panels.flat, TITLES.items(), strict=True):
            for i, (method, found) in enumerate(data[panel].items()):
                tasks = np.arange(1, len(found["aa"]) + 1)
                axes.plot(tasks, found["aa"], **_style.look(i), label=method)
            axes.set(title=title, xticks=tasks)
            if panel != "not_replaced":
                _style.box_tasks(axes, data["boxed"])
        for axes in panels[:, 0]:
            axes.set_ylabel(r"average accuracy AA$_\tau$")
        for axes in panels[1]:
            axes.set_xlabel(r"task $\tau$")
        panels[1, 0].legend(loc="lower left", handlelength=2.8)
        return figure


def findings(data: dict[str, Any]) -> str:
    """What came out, in words with numbers."""
    names = {
        "replaced": "With replacements, held to the improved model",
        "previous": "held to the previous one",
        "not_replaced": "without replacements",
        "architectures": "with other architectures",
    }
    parts = []
    for panel, name in names.items():
        ordered = sorted(data[panel].items(), key=lambda item: -item[1]["aa"][-1])
        parts.append(f"{name}: " + ", ".join(f"{method} {found['aa'][-1]:.3f}" for method, found in ordered))
    return (
        f"Final AA ({data['data']}, {data['queries']} queries, one seed; the standard error of an accuracy is about "
        f"{0.5 / data['queries'] ** 0.5:.3f}). {'; '.join(parts)}. Architectures of (d): "
        f"{', '.join(data['backbones'])}."
    )

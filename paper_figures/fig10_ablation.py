r"""Fig. 10: how d-Simplex-HOC depends on the learning rate of fine-tuning and on the size of the replay memory.

Caption. IAM-CL²R with two replacements, updates held to the model of the task before. (a) AC, its interval (what the
number of queries leaves open), AA, and the mean accuracy over the entries that satisfy Eq. 6, over the learning rate of
the updates. The last stands in for the paper's ACA, which is named there but not defined in what we have. (b) AA_τ over
the tasks for replay memories of 0 to 60 images a class; 0 is the rehearsal-free case.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from paper_figures import _style
from verification.features import FeatureSet
from verification.search.matrices import MatrixReport, judge_outcomes
from verification.search.scores import outcomes

if TYPE_CHECKING:
    from learning.lifelong import IAMCL2R

SEED = 0
RATES = (2e-5, 1e-4, 5e-4, 2.5e-3)
MEMORY = (0, 20, 60)


def compute(quick: bool = False) -> dict[str, Any]:
    """Train HOC over both settings.

    Returns
    -------
    dict
        ``data``, ``boxed`` (tasks from 1), ``queries``; ``rate``: dicts with ``value``, ``ac``, ``ac_interval``,
        ``aa``, ``compatible_accuracy`` (None where no entry is compatible); ``memory``: dicts with ``value``,
        ``ac`` and ``aa`` (length T).
    """
    from paper_figures._runs import epochs, recipe, replaced, sequence

    def scenario(**changes: Any) -> IAMCL2R:
        return replaced(SEED, reference="previous", **changes)

    def judged(learning_rate: float | None, **changes: Any) -> MatrixReport:
        sets: list[FeatureSet] = sequence(scenario(**changes), "hoc", recipe(epochs(quick), learning_rate))
        return judge_outcomes(outcomes(sets, sets))

    rates, memory = [], []
    for value in RATES:
        report = judged(value)
        rates.append(
            {
                "value": value,
                "ac": report.average_compatibility,
                "ac_interval": list(report.average_compatibility_interval),
                "aa": report.average_accuracies[-1],
                "compatible_accuracy": compatible_accuracy(report.matrix),
            }
        )
    for size in MEMORY:
        report = judged(None, memory_per_class=size)
        memory.append({"value": size, "ac": report.average_compatibility, "aa": list(report.average_accuracies)})
    return {
        "data": scenario().data,
        "boxed": [task + 1 for task in scenario().replace_at],
        "queries": report.num_queries,
        "rate": rates,
        "memory": memory,
    }


def compatible_accuracy(matrix: np.ndarray) -> float | None:
    """Mean accuracy over the entries below the diagonal that satisfy Eq. 6; None if none does."""
    t, k = np.tril_indices(len(matrix), -1)
    passed = matrix[t, k] > matrix[k, k]
    return float(np.mean(matrix[t, k][passed])) if np.any(passed) else None


def draw(data: dict[str, Any]) -> Figure:
    """Both ablations, from what :func:`compute` returns."""
    with matplotlib.rc_context(_style.RC):
        figure = Figure(figsize=(_style.COLUMN_WIDTH, 4.4))
        rate, memory = figure.subplots(2, 1)
        values = [row["value"] for row in data["rate"]]
        low, high = zip(*(row["ac_interval"] for row in data["rate"]), strict=True)
        rate.fill_between(values, low, high, color="0.88", linewidth=0)
        for i, (key, name) in enumerate((("ac", "AC"), ("aa", "AA"), ("compatible_accuracy", "over compatible"))):
            shown = [(row["value"], row[key]) for row in data["rate"] if row[key] is not None]
            rate.plot(*zip(*shown, strict=True), **_style.look(i), label=name)
        rate.set(
            xscale="log", xlabel="learning rate of the updates", ylabel="share of entries; accuracy", ylim=(0, 1.02)
        )
        rate.set_title("(a) learning rate")
        rate.legend(loc="lower left")
        for i, row in enumerate(data["memory"]):
            tasks = np.arange(1, len(row["aa"]) + 1)
            memory.plot(tasks, row["aa"], **_style.look(i), label=f"{row['value']}")
        memory.set(xlabel=r"task $\tau$", xticks=tasks, ylabel=r"average accuracy AA$_\tau$", title="(b) replay memory")
        _style.box_tasks(memory, data["boxed"])
        memory.legend(title="images a class", title_fontsize=7, ncols=2)
        return figure


def findings(data: dict[str, Any]) -> str:
    """What came out, in words with numbers."""
    best = max(data["rate"], key=lambda row: row["aa"])
    memory = ", ".join(f"{row['aa'][-1]:.3f} with {row['value']}" for row in data["memory"])
    steps = math.log10(data["rate"][-1]["value"] / data["rate"][0]["value"])
    return (
        f"Over {steps:.1f} decades of learning rate AA goes from {min(r['aa'] for r in data['rate']):.3f} to "
        f"{best['aa']:.3f}, the best at {best['value']:g} (AC {best['ac']:.2f}). Final AA by replayed images a class: "
        f"{memory} ({data['data']}, {data['queries']} queries, one seed)."
    )

r"""Fig. 5: fine-tuning and model replacement in IAM-CL²R, drawn from the scenario object that is run.

Caption. Models φ_t of the scenario of Figs. 6 and 7, one column a task. Below each model what it is trained on: images
of the classes that come, and replayed ones of earlier classes. Solid arrows: fine-tuning of the model before. At a
replacement (boxed task) the sequence begins anew from an improved model φ*, trained elsewhere on classes of no task
(above). All have the same fixed classifier W, each class its vertex, so that nothing that is stored has to be computed
again: at the bottom the galleries, one row for each model that indexed one, which queries of φ_t search (filled: its
own).
"""

from __future__ import annotations

from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle

from paper_figures import _style

SEED = 0
NEW, IMPROVED, LIGHT = _style.COLORS[1], _style.COLORS[2], "0.93"


def compute() -> dict[str, Any]:
    """The steps of the scenario, as plain values; nothing is trained.

    Returns
    -------
    dict
        ``num_classes`` (vertices of W) and ``steps``: for each task its ``classes``, numbers of ``images``
        and ``memory`` images, ``backbone``, ``start`` and, where the model was trained elsewhere,
        ``elsewhere_classes`` and ``elsewhere_images``.
    """
    from paper_figures._runs import replaced

    scenario = replaced(SEED)
    labels = scenario.load().train.labels
    steps = [
        {
            "classes": labels[step.images].unique().tolist(),
            "images": len(step.images),
            "memory": len(step.memory),
            "backbone": step.backbone,
            "start": step.start,
            "elsewhere_classes": labels[step.elsewhere].unique().tolist(),
            "elsewhere_images": len(step.elsewhere),
        }
        for step in scenario.steps(labels)
    ]
    return {"num_classes": len(labels.unique()), "steps": steps}


def draw(data: dict[str, Any]) -> Figure:
    """The scheme, from what :func:`compute` returns."""
    steps = data["steps"]
    with matplotlib.rc_context(_style.RC):
        figure = Figure(figsize=(_style.COLUMN_WIDTH, 3.3))
        axes = figure.subplots()
        axes.axis("off")
        axes.set(xlim=(-0.62, len(steps) - 0.45), ylim=(-0.55 - 0.26 * len(steps), 3.5))
        axes.add_patch(
            Rectangle((-0.42, 1.96), len(steps) - 0.16, 0.32, facecolor=LIGHT, edgecolor="0.4", linewidth=0.6)
        )
        axes.text(
            (len(steps) - 1) / 2,
            2.12,
            f"fixed classifier $W$, {data['num_classes']} vertices",
            ha="center",
            va="center",
        )
        for task, step in enumerate(steps):
            _draw_model(axes, task, step)
            _draw_galleries(axes, task, len(steps))
        axes.text(-0.58, -0.06, "task", va="center")
        axes.text(-0.42, -0.36, "galleries that its queries search:", fontsize=7, va="center")
        return figure


def _draw_model(axes: Any, task: int, step: dict[str, Any]) -> None:
    replaced = step["start"] == "elsewhere"
    _box(axes, task, 1.3, rf"$\phi_{task + 1}$", NEW)
    axes.plot([task, task], [1.56, 1.96], color="0.4", linewidth=0.8)
    if step["start"] == "previous":
        _arrow(axes, (task - 0.72, 1.3), (task - 0.28, 1.3), NEW)
    if replaced:
        _box(axes, task, 2.95, r"$\phi^*$", IMPROVED)
        axes.text(
            task,
            3.24,
            f"{len(step['elsewhere_classes'])} classes\nelsewhere",
            fontsize=7,
            ha="center",
            va="bottom",
            linespacing=0.95,
        )
        axes.plot([task + 0.16, task + 0.16], [2.28, 2.69], color="0.4", linewidth=0.8)
        _arrow(axes, (task - 0.14, 2.69), (task - 0.14, 1.56), IMPROVED)
    count = len(step["classes"])
    memory = f"+ {step['memory']} kept" if step["memory"] else ""
    text = f"{count} class{'es' if count > 1 else ''}\n{step['images']} images\n{memory}"
    axes.text(task, 0.92, text, fontsize=7, ha="center", va="top", linespacing=1.05)
    axes.text(
        task,
        -0.06,
        f"{task + 1}",
        ha="center",
        va="center",
        fontsize=8,
        bbox={
            "boxstyle": "square,pad=0.18",
            "facecolor": "none",
            "edgecolor": "black" if replaced else "none",
            "linewidth": 0.8,
        },
    )


def _draw_galleries(axes: Any, task: int, tasks: int) -> None:
    for k in range(task + 1):
        axes.add_patch(
            Rectangle(
                (task - 0.3, -0.72 - 0.26 * k),
                0.6,
                0.2,
                facecolor=NEW if k == task else LIGHT,
                edgecolor=NEW,
                linewidth=0.6,
            )
        )
        axes.text(
            task,
            -0.63 - 0.26 * k,
            rf"$\phi_{k + 1}$",
            fontsize=7,
            ha="center",
            va="center",
            color="white" if k == task else "black",
        )


def _box(axes: Any, x: float, y: float, text: str, colour: str) -> None:
    axes.add_patch(
        FancyBboxPatch(
            (x - 0.22, y - 0.2),
            0.44,
            0.4,
            boxstyle="round,pad=0.06",
            facecolor="white",
            edgecolor=colour,
            linewidth=1.2,
        )
    )
    axes.text(x, y, text, ha="center", va="center", fontsize=9)


def _arrow(axes: Any, start: tuple[float, float], end: tuple[float, float], colour: str) -> None:
    axes.annotate(
        "",
        end,
        start,
        arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 1.2, "shrinkA": 0, "shrinkB": 0},
        zorder=0,
    )


def findings(data: dict[str, Any]) -> str:
    """What came out, in words with numbers."""
    steps = data["steps"]
    at = [str(task + 1) for task, step in enumerate(steps) if step["start"] == "elsewhere"]
    seen = sum(step["images"] for step in steps)
    return (
        f"The scenario that is run: {len(steps)} models, replaced at tasks {' and '.join(at)}; {seen} "
        f"images are trained on in all and at most {max(step['memory'] for step in steps)} replayed at once. The "
        "paper's has 7 or 31 tasks of CIFAR-100 and improved models of 300 and 600 ImageNet classes."
    )

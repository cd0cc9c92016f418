"""Commands of the package ``verification``: does the theory show, may a model be upgraded, is the audit calibrated."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from stationary._app import (
    DONE,
    MEASURE,
    NO,
    OUTPUT,
    PAPER,
    Device,
    JsonPath,
    Unusable,
    app,
    check_outputs,
    progress_bar,
    say,
    show_progress,
    user_input,
)


@app.command(rich_help_panel=PAPER)
def verify(
    seed: Annotated[
        list[int] | None, typer.Option(metavar="N", help="Seed of a training. Repeatable. Default: 0 and 1.")
    ] = None,
    json: JsonPath = None,
    device: Device = "auto",
) -> None:
    """Train models on digits and check Theorem 1 on held-out data.

    Example: stationary verify --seed 3

    Exit status: 0 if every answer is the one that the theory predicts, 1 if not.
    """
    check_outputs(json)
    seeds = seed or [0, 1]
    if min(seeds) < 0:
        raise Unusable(f"--seed must be an integer >= 0, got {min(seeds)}.")

    from rich.console import Console

    from learning.recipes import PRESETS, resolve_device
    from learning.scenarios import ExtendedData
    from verification.experiments.upgrades import train_upgrades
    from verification.reporting import write_json
    from verification.views import terminal
    from verification.views.documents.theorem import LEGEND, theorem

    with user_input():
        resolve_device(device)
    upgrades = []
    with progress_bar() as bar:
        task = bar.add_task("", total=None, note="")
        for number in seeds:
            recipe = PRESETS["small"].changed(device=device)
            show = show_progress(bar, task, f"seed {number}: ")
            upgrades += list(train_upgrades(ExtendedData(seed=number), recipe, show))
    console = Console()
    console.print(terminal.render(theorem(upgrades)))
    console.print(LEGEND, style="dim")
    off = [upgrade for upgrade in upgrades if not upgrade.as_predicted]
    for upgrade in off:
        console.print(f"Not as predicted: {upgrade.name} (seed {upgrade.seed}). {upgrade.check.sentence}")
    if not off:
        console.print(
            f"All {len(upgrades)} answers are as the theory predicts: both inequalities hold where the hypotheses do, "
            "and the learned classifier is found incompatible."
        )
    if json is not None:
        with user_input():
            write_json(json, {"as_predicted": not off, "upgrades": [upgrade.to_dict() for upgrade in upgrades]})
    raise typer.Exit(NO if off else DONE)


@app.command(rich_help_panel=MEASURE)
def calibrate(
    what: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND",
            help="Count wrong verdicts of this kind of decision (retrieval, thresholds, bridge, …; an unknown "
            "name lists all of them), or of all. Repeatable. Default: examine the intervals of the gaps.",
        ),
    ] = None,
    runs: Annotated[int, typer.Option(metavar="N", min=10, help="Simulated audits per design.")] = 200,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Seed of the simulation.")] = 0,
    json: JsonPath = None,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Also draw the figure into this folder, as PDF and PNG; it is made if missing.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
) -> None:
    """Simulate audits whose answer is known, and count how often intervals miss and verdicts are wrong.

    Example: stationary calibrate --what retrieval --runs 50

    200 runs take a few minutes on one core.
    """
    check_outputs(json)
    if output is not None:
        from theory.extras import require

        require("stationary calibrate --output", "matplotlib")
        from theory.files import make_folder

        with user_input():  # before minutes of work
            make_folder(output)
    from verification.experiments.simulated import calibration, decisions
    from verification.reporting import write_json

    kinds = list(dict.fromkeys(what or ()))
    if "all" in kinds:
        kinds = list(decisions.KINDS)
    with user_input():  # before there is a bar to complain behind
        for kind in kinds:
            decisions.designs(kind)
    with user_input(), progress_bar() as bar:
        task = bar.add_task("designs", note="")

        def show(stage: str, done: int, total: int, note: object = "") -> None:
            bar.update(task, completed=done, total=total)

        data = (
            decisions.compute(kinds, runs, seed, show, workers=(os.cpu_count() or 1) if runs > decisions.PART else 1)
            if kinds
            else calibration.compute(runs, seed=seed, progress=show)
        )
    print(decisions.table(data) if kinds else calibration.table(data))
    if json is not None:
        with user_input():
            write_json(json, data)
    if output is not None:
        import importlib

        from paper_figures import _style

        name = "decisions" if kinds else "calibration"
        figure = importlib.import_module(f"paper_figures.{name}").draw(data)
        with user_input():
            for path in _style.save(figure, output, name):
                say(str(path))

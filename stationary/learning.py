"""Commands of the room ``learning``: train sequences of models, and judge them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stationary._app import JsonPath, Unusable, app, check_output, progress_bar, user_input


@app.command()
def train(
    directory: Annotated[Path, typer.Argument(help="Folder for models and features; made if missing.")],
    protocol: Annotated[str, typer.Option(help="Scenario to run; an unknown name lists them.")] = "cl2r",
    method: Annotated[str, typer.Option(help="How new models are trained; an unknown name lists them.")] = "hoc",
    preset: Annotated[str, typer.Option(help="small: small data on a CPU; paper: the paper's settings.")] = "small",
    seed: Annotated[int, typer.Option(min=0, help="Of split, weights and order.")] = 0,
) -> None:
    """Train the sequence of models of a scenario; an interrupted run goes on where it stopped."""
    from dataclasses import replace

    from learning.lifelong import PROTOCOLS
    from learning.runs import run_scenario
    from learning.training import PRESETS

    with user_input(), progress_bar() as bar:
        for name, value, known in (("--protocol", protocol, PROTOCOLS), ("--preset", preset, PRESETS)):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}.")
        scenario = replace(PROTOCOLS[protocol], seed=seed)
        task = bar.add_task("", total=None, note="")

        def show(stage: str, done: int, total: int, *means: float) -> None:
            loss, accuracy, drift, concentration = means
            note = f"loss {loss:.3f} accuracy {accuracy:.2f} drift {drift:.2f} concentration {concentration:.2f}"
            bar.update(task, description=stage, completed=done, total=total, note=note)

        run = run_scenario(scenario, method, PRESETS[preset], directory=directory, progress=show)
    print(scenario)
    print(f"{len(run.features)} models by {method} in {run.seconds:.0f} s; features of each in {directory}")


@app.command()
def evaluate(
    directory: Annotated[Path | None, typer.Argument(help="Folder that `stationary train` wrote.")] = None,
    suite: Annotated[
        str | None, typer.Option(help="Instead: train and compare methods; quick, digits or fashion.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Of the suite: seeds 0 … n − 1.")] = 3,
    json: JsonPath = None,
) -> None:
    """Compatibility matrix, AC, AA and an audit of each pair of models of a run; or a table of methods."""
    check_output(json)
    if (directory is None) == (suite is None):
        raise Unusable("give either the folder of a run or --suite.")
    from rich.console import Console

    from verification.audit import write_json
    from verification.evaluate import evaluate as judge
    from verification.evaluate import load_run, render, render_evaluation
    from verification.evaluate import suite as compare

    with user_input():
        if directory is not None:
            found = judge(load_run(directory))
            view, content = render_evaluation(found), found.to_dict()
        else:
            with progress_bar() as bar:
                task = bar.add_task("", total=None, note="")

                def show(stage: str, done: int, total: int) -> None:
                    bar.update(task, description=stage, completed=done, total=total)

                rows = compare(str(suite), seeds, progress=show)
            view, content = render(rows), {"suite": suite, "rows": [row.to_dict() for row in rows]}
        if json is not None:
            write_json(json, content)
    Console().print(view)

"""Commands of the room ``learning``: train sequences of models, and judge them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stationary._app import Device, JsonPath, Unusable, app, check_output, progress_bar, user_input

if TYPE_CHECKING:
    from rich.console import RenderableType


@app.command()
def train(
    directory: Annotated[Path, typer.Argument(help="Folder for models and features; made if missing.")],
    protocol: Annotated[str, typer.Option(help="Scenario to run; an unknown name lists them.")] = "cl2r",
    method: Annotated[str, typer.Option(help="How new models are trained; an unknown name lists them.")] = "hoc",
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A setting of the method; repeatable.")
    ] = None,
    preset: Annotated[str, typer.Option(help="small: small data on a CPU; paper: the paper's settings.")] = "small",
    epochs: Annotated[int | None, typer.Option(min=1, help="Of every model; the preset's if not given.")] = None,
    data: Annotated[str | None, typer.Option(help="Another data set; an unknown name lists them.")] = None,
    folder: Annotated[Path | None, typer.Option(help="Where the files of the data set are.")] = None,
    backbone: Annotated[str | None, typer.Option(help="Another network; an unknown name lists them.")] = None,
    device: Device = "auto",
    seed: Annotated[int, typer.Option(min=0, help="Of split, weights and order.")] = 0,
) -> None:
    """Train the sequence of models of a scenario; an interrupted run goes on where it stopped."""
    from dataclasses import replace

    from learning.lifelong import PROTOCOLS
    from learning.recipes import PRESETS, Recipe
    from learning.runs import run_scenario

    with user_input(), progress_bar() as bar:
        for name, value, known in (("--protocol", protocol, PROTOCOLS), ("--preset", preset, PRESETS)):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}.")
        changes: dict[str, Any] = {"data": data, "folder": folder and str(folder), "backbone": backbone}
        scenario = replace(PROTOCOLS[protocol], seed=seed, **{k: v for k, v in changes.items() if v is not None})
        recipe = Recipe(*(replace(c, epochs=epochs or c.epochs, device=device) for c in PRESETS[preset]))
        task = bar.add_task("", total=None, note="")

        def show(stage: str, done: int, total: int, *means: float) -> None:
            loss, accuracy, drift, concentration = means
            note = f"loss {loss:.3f} accuracy {accuracy:.2f} drift {drift:.2f} concentration {concentration:.2f}"
            bar.update(task, description=stage, completed=done, total=total, note=note)

        run = run_scenario(
            scenario, method, recipe, settings=_settings(settings or []), directory=directory, progress=show
        )
    print(scenario)
    print(f"{len(run.features)} models by {method} in {sum(run.seconds):.0f} s; features of each in {directory}")


@app.command()
def evaluate(
    directory: Annotated[
        Path | None,
        typer.Argument(help="Folder that `stationary train` wrote; of a suite: where its runs are kept, to go on."),
    ] = None,
    classes: Annotated[str, typer.Option(help="Of a run's held-out images: all, trained, or open (open set).")] = "all",
    suite: Annotated[
        str | None, typer.Option(help="Train and compare methods instead; an unknown name lists the suites.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Of the suite: how many seeds.")] = 3,
    json: JsonPath = None,
) -> None:
    """Compatibility matrix, AC, AA and an audit of each pair of models of a run; or a table of methods."""
    check_output(json)
    from rich.console import Console

    from verification.audit import write_json
    from verification.evaluate import evaluate as judge
    from verification.evaluate import load_run, render_evaluation

    with user_input():
        if suite is not None:
            view, content = _compare(suite, seeds, directory)
        elif directory is not None:
            found = judge(load_run(directory, classes))
            view, content = render_evaluation(found), found.to_dict()
        else:
            raise Unusable("give the folder of a run, or --suite.")
        if json is not None:
            write_json(json, content)
    Console().print(view)


@app.command("bench-training")
def bench_training(json: JsonPath = None) -> None:
    """Time a training step of HOC, the first-moment loss and others, and the training loop beside a bare one."""
    check_output(json)
    from dataclasses import asdict

    from rich.console import Console

    from learning.benchmark import render, step_costs, throughput
    from verification.audit import write_json

    costs, speed = step_costs(), throughput()
    Console().print(render(costs, speed))
    if json is not None:
        with user_input():
            write_json(json, {"steps": [asdict(row) for row in costs], "loop": asdict(speed) | {"ratio": speed.ratio}})


def _compare(name: str, seeds: int, directory: Path | None) -> tuple[RenderableType, dict[str, Any]]:
    from verification.suites.cases import SUITES
    from verification.suites.suite import run_suite
    from verification.suites.tables import render

    if name not in SUITES:
        raise ValueError(f"--suite must be one of {', '.join(SUITES)}, got {name!r}.")
    with progress_bar() as bar:
        task = bar.add_task("", total=None, note="")

        def show(stage: str, done: int, total: int) -> None:
            bar.update(task, description=stage, completed=done, total=total)

        rows = run_suite(SUITES[name](), seeds, directory, show)
    return render(rows), {"suite": name, "rows": [row.to_dict() for row in rows]}


def _settings(pairs: list[str]) -> dict[str, float | int | str]:
    """NAME=VALUE → values: numbers where they read as such."""
    settings: dict[str, float | int | str] = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign or not name or not value:
            raise ValueError(f"--set must be NAME=VALUE, got {pair!r}.")
        for kind in (int, float, str):
            try:
                settings[name] = kind(value)
                break
            except ValueError:
                continue
    return settings

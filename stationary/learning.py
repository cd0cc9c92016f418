"""Commands of the package ``learning``: train sequences of models, and judge them."""

from __future__ import annotations

import re
import shlex
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stationary._app import (
    TRAINING,
    Device,
    JsonPath,
    Unusable,
    app,
    check_folder,
    check_outputs,
    progress_bar,
    say,
    show_progress,
    user_input,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

    from learning.protocol import Scenario


DATA, SCENARIO, METHOD = "Data", "Scenario", "Method"


@app.command(rich_help_panel=TRAINING)
def train(
    directory: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Folder for models and features; it is made if missing.")
    ],
    protocol: Annotated[
        str,
        typer.Option(metavar="NAME", help="Scenario to run; an unknown name lists them.", rich_help_panel=SCENARIO),
    ] = "cl2r",
    method: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="How new models are trained: a name (an unknown one lists them), or your own MODULE:FUNCTION.",
            rich_help_panel=METHOD,
        ),
    ] = "hoc",
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="Change a setting of the method. Repeatable.", rich_help_panel=METHOD
        ),
    ] = None,
    preset: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Settings of the training: small (small data on a CPU), or released ones: paper, cl2r or cores.",
            rich_help_panel=METHOD,
        ),
    ] = "small",
    epochs: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Epochs of every model. Default: the preset's.", rich_help_panel=METHOD),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(metavar="N", min=2, help="Images per step. Default: the preset's.", rich_help_panel=METHOD),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            metavar="no|bf16|fp16", help="Mixed precision; no: float32. Default: the preset's.", rich_help_panel=METHOD
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Data set, if not the scenario's: a name (an unknown one lists them), or your own MODULE:FUNCTION.",
            rich_help_panel=DATA,
        ),
    ] = None,
    folder: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]PATH", help="Where the files of the data set NAME are. Repeatable.", rich_help_panel=DATA
        ),
    ] = None,
    image_size: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            help="Side to which images of a folder are resized and cropped; 0 for images that have one size.",
            rich_help_panel=DATA,
        ),
    ] = 0,
    backbone: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Network, if not the scenario's: a name (an unknown one lists them), or your own MODULE:FUNCTION.",
            rich_help_panel=METHOD,
        ),
    ] = None,
    checkpoint: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE",
            help="Model from which a task begins, in the order of the protocol. Repeatable.",
            rich_help_panel=SCENARIO,
        ),
    ] = None,
    tasks: Annotated[
        int | None, typer.Option(metavar="N", min=2, help="Number of models.", rich_help_panel=SCENARIO)
    ] = None,
    first_classes: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Classes of the first task.", rich_help_panel=SCENARIO)
    ] = None,
    memory: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, help="Replayed images of each earlier class.", rich_help_panel=SCENARIO),
    ] = None,
    images_per_class: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Training images of each class.", rich_help_panel=SCENARIO),
    ] = None,
    open_classes: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, help="Classes that no model is trained on.", rich_help_panel=SCENARIO),
    ] = None,
    device: Device = "auto",
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Seed of the split, the weights and the order.")] = 0,
) -> None:
    """Train the sequence of models of a scenario; an interrupted run continues where it stopped.

    Example: stationary train runs/mine --data folder --folder photos --image-size 64 --method hoc
    """
    from learning.lifelong import PROTOCOLS
    from learning.recipes import PRESETS
    from learning.runs import run_scenario

    with user_input(), _as_typed(), _own_code(data, backbone, method), progress_bar() as bar:
        for name, value, known in (("--protocol", protocol, PROTOCOLS), ("--preset", preset, PRESETS)):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}.")
        changes: dict[str, Any] = {
            "data": _own(data, "--data", call=True),
            "backbone": _own(backbone, "--backbone"),
            "image_size": image_size or None,
            "checkpoints": tuple(checkpoint) if checkpoint else None,
            "tasks": tasks,
            "first_classes": first_classes,
            "memory_per_class": memory,
            "images_per_class": images_per_class,
            "open_classes": open_classes,
            **_folders(folder or [], PROTOCOLS[protocol], data),
        }
        read = [changes.get(name) for name in ("folder", "evaluate_folder")]
        check_folder(directory, [*read, *(checkpoint or ())])
        scenario = _changed(PROTOCOLS[protocol], protocol, {"seed": seed, **changes})
        training = {"epochs": epochs, "batch_size": batch_size, "precision": precision, "device": device}
        recipe = PRESETS[preset].changed(**{k: v for k, v in training.items() if v is not None})
        how = _own(method, "--method", call=True)
        task = bar.add_task("", total=None, note="")
        try:
            run = run_scenario(
                scenario,
                how,
                recipe,
                settings=_settings(settings or []),
                directory=directory,
                progress=show_progress(bar, task),
            )
        except KeyboardInterrupt:
            say(f"{directory}: stopped. Run the same command again to go on from the last whole epoch.", error=True)
            raise
    say(_summary(scenario))
    say(f"{len(run.features)} models by {run.method} in {sum(run.seconds):.0f} s; features of each in {directory}")
    say(f"Next: stationary evaluate {shlex.quote(str(directory))}")


def _summary(scenario: Scenario) -> str:
    """The scenario, with the settings that are not its defaults."""
    content, default = scenario.description(), type(scenario)().description()
    shown = [
        f"{name}={value!r}" for name, value in content.items() if name in ("seed", "data") or value != default[name]
    ]
    return f"{content['scenario']}({', '.join(shown)})"


# arguments whose options have other names
_TYPED = {"memory_per_class": "memory", "checkpoints": "checkpoint"}
_ARGUMENTS = r"\b(memory_per_class|images_per_class|first_classes|open_classes|image_size|batch_size)\b"
_SUBJECTS = r"^(tasks|data|folder|backbone|method|device|precision|checkpoints)(?= must\b)"


@contextmanager
def _as_typed() -> Iterator[None]:
    """Messages name an option as it is typed, and what is your own as MODULE:FUNCTION."""
    try:
        yield
    except ValueError as error:
        said = re.sub(
            f"{_ARGUMENTS}|{_SUBJECTS}",
            lambda found: "--" + _TYPED.get(found[0], found[0]).replace("_", "-"),
            str(error),
        )
        said = re.sub(r"or a (Method|network) of your own", "or MODULE:FUNCTION of your own", said)
        raise ValueError(said) from error


@contextmanager
def _own_code(*values: str | None) -> Iterator[None]:
    """What fails inside a module of yours is said with its file and line, and is no defect of this program."""
    try:
        yield
    except Exception as error:
        modules = (sys.modules.get(value.partition(":")[0]) for value in values if value and ":" in value)
        files = {getattr(module, "__file__", None) for module in modules if module is not None}
        frames = traceback.extract_tb((error.__cause__ or error).__traceback__)
        yours = next((frame for frame in reversed(frames) if frame.filename in files), None)
        if yours is None:
            raise
        said = str(error) if error.__cause__ else f"{type(error).__name__}: {error}"
        raise ValueError(f"{yours.filename}, line {yours.lineno}: {said}") from error


def _changed(scenario: Scenario, protocol: str, changes: dict[str, Any]) -> Scenario:
    """The scenario with what was asked for; an option that it does not have is refused."""
    from dataclasses import fields, replace

    asked = {name: value for name, value in changes.items() if value is not None}
    unknown = asked.keys() - {field.name for field in fields(scenario)}
    if unknown:
        option = _TYPED.get(name := min(unknown), name)
        raise ValueError(f"--{option.replace('_', '-')} is no option of protocol {protocol!r}; leave it out.")
    return replace(scenario, **asked)


def _folders(pairs: list[str], scenario: Scenario, data: str | None) -> dict[str, str]:
    """[NAME=]PATH → where the files of the scenario's data sets are."""
    trained_on, tested_on = data or scenario.data, getattr(scenario, "evaluate_on", None)
    found: dict[str, str] = {}
    for pair in pairs:
        name, sign, path = pair.partition("=")
        if not sign or name not in (trained_on, tested_on):
            if sign and not Path(pair).exists():
                known = ", ".join(str(each) for each in (trained_on, tested_on) if each)
                raise ValueError(f"--folder must be [NAME=]PATH, NAME one of {known}, got {pair!r}.")
            name, path = str(trained_on), pair
        found["folder" if name == trained_on else "evaluate_folder"] = path
    return found


def _own(value: str | None, option: str, *, call: bool = False) -> Any:
    """MODULE:FUNCTION → that function of yours, or what it returns; anything else as it is."""
    import importlib

    module, sign, name = (value or "").partition(":")
    if value is None or not sign or module == "own":
        return value
    sys.path.insert(0, "")  # a module in the working folder
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"{option} must be a known name or MODULE:FUNCTION, got {value!r} ({error}).") from error
    finally:
        sys.path.remove("")
    if not call:
        return found
    try:
        return found()
    except TypeError as error:
        raise ValueError(f"{option} must be a function without arguments, got {value!r} ({error}).") from error


@app.command(rich_help_panel=TRAINING)
def evaluate(
    directory: Annotated[
        Path | None,
        typer.Argument(
            metavar="FOLDER", help="Folder that stationary train wrote; with --suite, where its runs are kept."
        ),
    ] = None,
    classes: Annotated[
        str,
        typer.Option(
            metavar="all|trained|open",
            help="Held-out images to use: of all classes, of those that some model was trained on, or of "
            "those that none was trained on.",
        ),
    ] = "all",
    score: Annotated[
        str,
        typer.Option(
            "--score",
            metavar="SCORE",
            help="How queries search: nearest (neighbour), template (class means, as in the paper), map (mean average "
            "precision) or verification (pairs).",
        ),
    ] = "nearest",
    suite: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Train and compare methods instead; an unknown name lists the suites."),
    ] = None,
    seeds: Annotated[int, typer.Option(metavar="N", min=1, help="Number of seeds of the suite.")] = 3,
    json: JsonPath = None,
) -> None:
    """Judge a run: the compatibility matrix, AC, AA and an audit of each pair of models; or compare methods.

    Example: stationary evaluate runs/mine --score template

    AC (average compatibility) is the share of pairs of models in which queries of the newer model search the gallery of
    the older one better than the older model's queries do. AA (average accuracy) is the mean share of right answers,
    over these pairs and each model in its own gallery. Both are between 0 and 1, and higher is better.
    """
    read = [directory]
    if directory is not None and suite is None:  # what is written may stand beside the run
        read = [directory / "run.json", directory / "trained.json", *directory.glob("task-*")]
    check_outputs(json, inputs=read)
    from rich.console import Console

    from verification.experiments.evaluate import evaluate as judge
    from verification.experiments.evaluate import feature_files, load_run, render_evaluation
    from verification.reporting import write_json

    models: list[Path] = []
    with user_input():
        if suite is not None:
            view, content = _compare(suite, seeds, directory)
        elif directory is not None:
            found = judge(load_run(directory, classes), score=score)
            view, content = render_evaluation(found), found.to_dict()
            models = feature_files(directory)
        else:
            raise Unusable("give the folder of a run, or --suite.")
    Console().print(view)
    if len(models) > 1:
        print(f"Next: {shlex.join(['stationary', 'audit', str(models[-1]), str(models[0])])}")
    if json is not None:
        with user_input():
            write_json(json, content)


def _compare(name: str, seeds: int, directory: Path | None) -> tuple[RenderableType, dict[str, Any]]:
    from verification.experiments.suites.cases import SUITES
    from verification.experiments.suites.suite import run_suite
    from verification.experiments.suites.tables import render

    if name not in SUITES:
        raise ValueError(f"--suite must be one of {', '.join(SUITES)}, got {name!r}.")
    with progress_bar() as bar:
        show = show_progress(bar, bar.add_task("", total=None, note=""))
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

"""The command line: ``stationary COMMAND``.

Exit status: 0 compatible or done, 1 incompatible or not as predicted, 3 inconclusive, 2 unusable input or arguments,
70 a defect of this program.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.progress import Progress

DONE, NO, UNUSABLE, UNDECIDED, DEFECT = 0, 1, 2, 3, 70
# Typer brings a click of its own, or imports the installed one: its public names lead to the right one
_UsageError: type[typer.BadParameter] = typer.BadParameter.__mro__[1]
_STATUS = {"compatible": DONE, "incompatible": NO, "inconclusive": UNDECIDED}

app = typer.Typer(
    help="Stationary (and therefore compatible) representations: verify the theory, audit a model upgrade.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


class Unusable(Exception):
    """What the user gave cannot be used; the message is one sentence."""


@contextmanager
def _user_input() -> Iterator[None]:
    """Errors in here are about what the user gave, not defects."""
    try:
        yield
    except (ValueError, OSError) as error:
        raise Unusable(str(error)) from error


def _check_output(path: Path | None) -> None:
    """Refuse, before work starts, a path that could not be written after it."""
    if path is None:
        return
    if path.is_dir():
        raise Unusable(f"{path}: must be a file to write, got a folder.")
    if not path.parent.is_dir():
        raise Unusable(f"{path}: its folder does not exist.")


def _bar() -> Progress:
    """A progress bar on stderr that leaves nothing behind."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), TextColumn("{task.fields[note]}"))
    return Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True)


class Metric(StrEnum):
    """Distances that an audit knows."""

    sqeuclidean = "sqeuclidean"
    cosine = "cosine"
    euclidean = "euclidean"
    angular = "angular"


class Weights(StrEnum):
    """What counts once in a gap."""

    pairs = "pairs"
    classes = "classes"


JsonPath = Annotated[Path | None, typer.Option("--json", metavar="PATH", help="Also write the result as JSON.")]
Device = Annotated[str, typer.Option(help="auto (a GPU when there is one), cpu, cuda, …")]


@app.command()
def verify(
    seed: Annotated[
        list[int] | None, typer.Option(help="Seed to train under; repeat for several. [default: 0 1]")
    ] = None,
    json: JsonPath = None,
    device: Device = "auto",
) -> None:
    """Train models on digits and check Theorem 1 on held-out data.

    Status 0 when every answer is the one that the theory predicts, 1 when one is not.
    """
    _check_output(json)
    seeds = seed or [0, 1]
    if min(seeds) < 0:
        raise Unusable(f"--seed must be an integer >= 0, got {min(seeds)}.")

    from rich.console import Console

    from learning.scenarios import ExtendedData
    from learning.training import resolve_device
    from verification.audit import write_json
    from verification.report import THEOREM_LEGEND, theorem_table
    from verification.upgrades import train_upgrades

    with _user_input():
        resolve_device(device)
    upgrades = []
    with _bar() as bar:
        task = bar.add_task("", total=None, note="")
        for number in seeds:

            def show(stage: str, done: int, total: int, loss: float, number: int = number) -> None:
                note = f"loss {loss:.3f}"
                bar.update(task, description=f"seed {number}: {stage}", completed=done, total=total, note=note)

            upgrades += list(train_upgrades(ExtendedData(seed=number, device=device), show))
    console = Console()
    console.print(theorem_table(upgrades))
    console.print(THEOREM_LEGEND, style="dim")
    off = [upgrade for upgrade in upgrades if not upgrade.as_predicted]
    for upgrade in off:
        console.print(f"Not as predicted: {upgrade.name} (seed {upgrade.seed}). {upgrade.check.sentence}")
    if not off:
        console.print(
            f"All {len(upgrades)} answers are as the theory predicts: Theorem 1 shows where its hypotheses hold, "
            "and the learned classifier is found incompatible."
        )
    if json is not None:
        with _user_input():
            write_json(json, {"as_predicted": not off, "upgrades": [upgrade.to_dict() for upgrade in upgrades]})
    raise typer.Exit(NO if off else DONE)


@app.command()
def audit(
    new: Annotated[
        Path,
        typer.Argument(help="Features by the new model: .npz, .npy, .safetensors, .parquet, or a folder of shards."),
    ],
    old: Annotated[Path, typer.Argument(help="Features of the same samples, row by row, by the old model.")],
    gallery: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Old-model features of other samples, to be searched.")
    ] = None,
    metric: Annotated[Metric, typer.Option(help="Distance in which the gallery is searched.")] = Metric.sqeuclidean,
    weights: Annotated[Weights, typer.Option(help="What counts once: every pair, or every class.")] = Weights.pairs,
    confidence: Annotated[float, typer.Option(help="Of both intervals together, in (0, 1).")] = 0.95,
    margin: Annotated[float, typer.Option(help="Acceptable loss of gap, in units of the distance.")] = 0.0,
    json: JsonPath = None,
    html: Annotated[Path | None, typer.Option(metavar="PATH", help="Also write a page that explains itself.")] = None,
) -> None:
    """May queries of the NEW model search a gallery indexed by the OLD one?

    Status 0 compatible, 1 incompatible, 3 inconclusive.
    """
    _check_output(json)
    _check_output(html)
    from rich.console import Console

    from verification.audit import audit as run_audit
    from verification.features import FeatureSet

    with _user_input(), Console(stderr=True).status("auditing …"):
        new_set, old_set = FeatureSet.load(new), FeatureSet.load(old)
        items = None if gallery is None else FeatureSet.load(gallery)
        report = run_audit(new_set, old_set, metric.value, confidence, items, margin, weights.value)
        if html is not None:
            from verification.html import write_page

            write_page(report, html, new_set, old_set, title=f"{new.name} → {old.name}")
        if json is not None:
            report.to_json(json)

    from verification.report import audit_table

    Console().print(audit_table(report))
    raise typer.Exit(_STATUS[report.verdict])


@app.command()
def calibrate(
    runs: Annotated[int, typer.Option(min=10, help="Simulated audits a design.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Of the simulation.")] = 0,
    json: JsonPath = None,
    output: Annotated[Path | None, typer.Option(help="Folder for the figure, PDF and PNG; made if missing.")] = None,
) -> None:
    """Simulate audits whose answer is known: do the intervals cover, are verdicts false as rarely as promised?

    A few minutes on one core with 200 runs.
    """
    _check_output(json)
    from verification.audit import write_json
    from verification.calibration import compute, table

    with _bar() as bar:
        task = bar.add_task("designs", note="")
        data = compute(runs, seed=seed, progress=lambda done, total: bar.update(task, completed=done, total=total))
    print(table(data))
    if json is not None:
        with _user_input():
            write_json(json, data)
    if output is not None:
        from paper_figures import _style
        from paper_figures.calibration import draw

        with _user_input():
            for path in _style.save(draw(data), output, "calibration"):
                print(path)


@app.command()
def theorem() -> None:
    """Derive every step of Theorem 1 and print what is proved, for which distances.

    Status 1 when a step does not follow.
    """
    from rich.console import Console

    from theory.proofs import ProofError, prove_all, render

    console = Console()
    try:
        with Console(stderr=True).status("deriving …"):
            proofs = prove_all()
    except ProofError as error:
        print(f"stationary: a step does not follow: {error}", file=sys.stderr)
        raise typer.Exit(NO) from None
    console.print(render(proofs))
    console.print(f"{len(proofs)} derivations, {sum(len(proof.steps) for proof in proofs)} steps, each checked now.")


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

    with _user_input(), _bar() as bar:
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
    _check_output(json)
    if (directory is None) == (suite is None):
        raise Unusable("give either the folder of a run or --suite.")
    from rich.console import Console

    from verification.audit import write_json
    from verification.evaluate import evaluate as judge
    from verification.evaluate import load_run, render, render_evaluation
    from verification.evaluate import suite as compare

    with _user_input():
        if directory is not None:
            found = judge(load_run(directory))
            view, content = render_evaluation(found), found.to_dict()
        else:
            with _bar() as bar:
                task = bar.add_task("", total=None, note="")

                def show(stage: str, done: int, total: int) -> None:
                    bar.update(task, description=stage, completed=done, total=total)

                rows = compare(str(suite), seeds, progress=show)
            view, content = render(rows), {"suite": suite, "rows": [row.to_dict() for row in rows]}
        if json is not None:
            write_json(json, content)
    Console().print(view)


@app.command()
def bench(
    rounds: Annotated[int, typer.Option(min=1, help="Rounds in which the methods take turns; the fastest counts.")] = 9,
    json: JsonPath = None,
) -> None:
    """Time the Monte-Carlo kernels beside the random numbers alone and the released cone sampler.

    CPU time of all threads. The released sampler is timed where it is installed (the extra "benchmark").
    """
    _check_output(json)
    from dataclasses import asdict

    from rich.console import Console

    from theory.benchmark import compute, render
    from verification.audit import write_json

    rows = compute(rounds=rounds)
    Console().print(render(rows))
    if json is not None:
        with _user_input():
            write_json(json, [asdict(row) for row in rows])


@app.command()
def figures(
    names: Annotated[list[str] | None, typer.Argument(help="Which figures; all if none is named.")] = None,
    output: Annotated[Path, typer.Option(help="Folder to write to; made if missing.")] = Path("output"),
) -> None:
    """Draw the figures: PDF, PNG and the data behind each."""
    from paper_figures.make import FIGURES, make

    with _user_input():
        if output.exists() and not output.is_dir():
            raise ValueError(f"{output}: must be a folder, got a file.")
        for path in make(names or FIGURES, output):
            print(path)


def main() -> None:
    """Run the command line and exit with its status; nothing but a defect shows a traceback."""
    try:
        status = app(standalone_mode=False)
    except Unusable as error:
        status = _complain(str(error))
    except _UsageError as error:
        status = _complain(error.format_message())
    except (typer.Abort, KeyboardInterrupt):
        status = 130
    except Exception:
        traceback.print_exc()
        print(
            "stationary: this is a defect of the program, please report it with the lines above.",
            file=sys.stderr,
        )
        status = DEFECT
    sys.exit(status or DONE)


def _complain(message: str) -> int:
    print(f"stationary: {' '.join(message.split())}", file=sys.stderr)
    return UNUSABLE


if __name__ == "__main__":
    main()

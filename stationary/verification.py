"""Commands of the room ``verification``: does the theory show, may a model be upgraded, is the audit calibrated."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from stationary._app import (
    DONE,
    NO,
    VERDICT_STATUS,
    Device,
    JsonPath,
    Unusable,
    app,
    check_output,
    progress_bar,
    title_of,
    user_input,
    working,
)


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
    check_output(json)
    seeds = seed or [0, 1]
    if min(seeds) < 0:
        raise Unusable(f"--seed must be an integer >= 0, got {min(seeds)}.")

    from rich.console import Console

    from learning.scenarios import ExtendedData
    from learning.training import resolve_device
    from verification.audit import write_json
    from verification.report import THEOREM_LEGEND, theorem_table
    from verification.upgrades import train_upgrades

    with user_input():
        resolve_device(device)
    upgrades = []
    with progress_bar() as bar:
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
        with user_input():
            write_json(json, {"as_predicted": not off, "upgrades": [upgrade.to_dict() for upgrade in upgrades]})
    raise typer.Exit(NO if off else DONE)


@app.command()
def audit(
    new: Annotated[
        str,
        typer.Argument(
            help="Features by the new model: .npz, .npy, .safetensors, .parquet, a FAISS .index, a folder of shards, or "
            "a qdrant:// or pgvector:// URL."
        ),
    ],
    old: Annotated[str, typer.Argument(help="Features of the same samples, row by row, by the old model.")],
    gallery: Annotated[
        str | None, typer.Option(metavar="FILE", help="Old-model features of other samples, to be searched.")
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
    check_output(json)
    check_output(html)
    from rich.console import Console

    from verification.audit import audit as run_audit
    from verification.features import FeatureSet

    with user_input(), working("auditing …"):
        new_set, old_set = FeatureSet.load(new), FeatureSet.load(old)
        items = None if gallery is None else FeatureSet.load(gallery)
        report = run_audit(new_set, old_set, metric.value, confidence, items, margin, weights.value)
        if html is not None:
            from verification.html import write_page

            write_page(report, html, new_set, old_set, title=f"{title_of(new)} → {title_of(old)}")
        if json is not None:
            report.to_json(json)

    from verification.report import audit_table

    Console().print(audit_table(report))
    for remark in dict.fromkeys(remark for each in (new_set, old_set) for remark in each.remarks):
        Console(stderr=True).print(remark, style="dim")
    raise typer.Exit(VERDICT_STATUS[report.verdict])


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
    check_output(json)
    from verification.audit import write_json
    from verification.calibration import compute, table

    with progress_bar() as bar:
        task = bar.add_task("designs", note="")
        data = compute(runs, seed=seed, progress=lambda done, total: bar.update(task, completed=done, total=total))
    print(table(data))
    if json is not None:
        with user_input():
            write_json(json, data)
    if output is not None:
        from paper_figures import _style
        from paper_figures.calibration import draw

        with user_input():
            for path in _style.save(draw(data), output, "calibration"):
                print(path)

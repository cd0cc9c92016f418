"""Commands of the room ``verification``: does the theory show, may a model be upgraded, is the audit calibrated."""

from __future__ import annotations

import os
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
    progress_when_long,
    title_of,
    user_input,
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

    from learning.recipes import resolve_device
    from learning.scenarios import ExtendedData
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
            help="Features by the new model: .npz, .npy, .safetensors, .parquet, a FAISS .index, a folder of shards, "
            "or a qdrant:// or pgvector:// URL."
        ),
    ],
    old: Annotated[str, typer.Argument(help="Features of the same samples, row by row, by the old model.")],
    gallery: Annotated[
        str | None, typer.Option(metavar="FILE", help="Old-model features of other samples, to be searched.")
    ] = None,
    metric: Annotated[Metric, typer.Option(help="Distance in which the gallery is searched.")] = Metric.sqeuclidean,
    weights: Annotated[Weights, typer.Option(help="What counts once: every pair, or every class.")] = Weights.pairs,
    confidence: Annotated[float, typer.Option(help="Of both intervals together, in (0, 1).")] = 0.95,
    margin: Annotated[
        str, typer.Option(help="Acceptable loss of gap: in units of the distance, or 5% of the old model's contrast.")
    ] = "0",
    retrieval_margin: Annotated[str, typer.Option(help="Acceptable loss of recall@1: 0.01 or 1%.")] = "0",
    threshold: Annotated[
        float | None, typer.Option(help="Accept threshold of the old system, a cosine similarity: does it still hold?")
    ] = None,
    far: Annotated[
        float | None, typer.Option(help="Instead of it, the false accept rate that it had with old queries.")
    ] = None,
    far_margin: Annotated[str, typer.Option(help="FAR may rise by this share of itself: 0.1 or 10%.")] = "0",
    tar_margin: Annotated[str, typer.Option(help="TAR may fall by this much: 0.01 or 1%.")] = "0",
    summary: Annotated[bool, typer.Option("--summary", help="Print one line.")] = False,
    json: JsonPath = None,
    html: Annotated[Path | None, typer.Option(metavar="PATH", help="Also write a page that explains itself.")] = None,
) -> None:
    """May queries of the NEW model search a gallery indexed by the OLD one?

    Status 0 compatible, 1 incompatible, 3 inconclusive, by Definition 1; retrieval and thresholds have verdicts of
    their own in the report.
    """
    check_output(json)
    check_output(html)
    from verification.decision.decide import decide
    from verification.features import FeatureSet

    with user_input(), progress_when_long() as progress:
        new_set, old_set = FeatureSet.load(new), FeatureSet.load(old)
        items = None if gallery is None else FeatureSet.load(gallery)
        report = decide(
            new_set,
            old_set,
            metric.value,
            confidence,
            items,
            margin,
            weights.value,
            retrieval_margin=retrieval_margin,
            threshold=threshold,
            far=far,
            far_margin=far_margin,
            tar_margin=tar_margin,
            progress=progress,
        )
        if html is not None:
            from verification.page.html import write_page

            write_page(report, html, new_set, old_set, f"{title_of(new)} → {title_of(old)}", progress)
        if json is not None:
            report.to_json(json)

    if summary:
        print(report.summary)
    else:
        from rich.console import Console

        from verification.report import audit_table

        Console().print(audit_table(report))
        for remark in dict.fromkeys(remark for each in (new_set, old_set) for remark in each.remarks):
            Console(stderr=True).print(remark, style="dim")
    raise typer.Exit(VERDICT_STATUS[report.verdict])


@app.command()
def calibrate(
    what: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND",
            help="Count wrong verdicts of this kind of decision, or of all; repeat for several. Without it, the "
            "intervals of the gaps are examined.",
        ),
    ] = None,
    runs: Annotated[int, typer.Option(min=10, help="Simulated audits a design.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Of the simulation.")] = 0,
    json: JsonPath = None,
    output: Annotated[Path | None, typer.Option(help="Folder for the figure, PDF and PNG; made if missing.")] = None,
) -> None:
    """Simulate audits whose answer is known: do the intervals cover, are verdicts false as rarely as promised?

    A few minutes on one core with 200 runs.
    """
    check_output(json)
    from paper_figures import _style
    from verification.audit import write_json
    from verification.simulated import calibration, decisions

    kinds = list(dict.fromkeys(what or ()))
    if "all" in kinds:
        kinds = list(decisions.KINDS)
    with user_input():  # before there is a bar to complain behind
        for kind in kinds:
            decisions.designs(kind)
    with user_input(), progress_bar() as bar:
        task = bar.add_task("designs", note="")

        def show(done: int, total: int) -> None:
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

        name = "decisions" if kinds else "calibration"
        figure = importlib.import_module(f"paper_figures.{name}").draw(data)
        with user_input():
            for path in _style.save(figure, output, name):
                print(path)

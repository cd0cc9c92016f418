"""The command ``claims``: what the paper states, and what came out."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from stationary._app import (
    DONE,
    NO,
    OUTPUT,
    PAPER,
    HtmlPath,
    JsonPath,
    Unusable,
    app,
    check_outputs,
    progress_bar,
    user_input,
)


@app.command(rich_help_panel=PAPER)
def claims(
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", metavar="", help="Use one seed and fewer samples, and skip slow claims: about a minute."
        ),
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Check this claim only; an unknown name lists them. Repeatable."),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="First of the seeds.")] = 0,
    models: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Keep trained models here, and do not train them again."),
    ] = None,
    record: Annotated[
        bool,
        typer.Option("--record", metavar="", help="Make these verdicts the recorded ones.", rich_help_panel=OUTPUT),
    ] = False,
    json: JsonPath = None,
    html: HtmlPath = None,
    markdown: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Also write a page of documentation.", rich_help_panel=OUTPUT)
    ] = None,
) -> None:
    """Check the claims of the paper; each verdict is computed from the evidence of the check.

    Example: stationary claims --quick --html claims.html

    Exit status: 0 if every verdict is the recorded one, 1 if not.
    """
    check_outputs(json, html, markdown, inputs=(models,))
    from rich.console import Console

    from theory.extras import require

    require("stationary claims", "sympy", "torch", "sklearn", extra="proofs,train")
    from theory.files import write_text
    from verification.experiments.claims import LEDGER, Material, changes, pages, recorded, run, write_record
    from verification.reporting import write_json

    names = [claim.name for claim in LEDGER]
    if unknown := [name for name in only or () if name not in names]:
        raise Unusable(f"--only must be one of {', '.join(names)}, got {unknown[0]!r}.")
    chosen = [claim for claim in LEDGER if (claim.name in only if only else not (quick and claim.slow))]
    if models is not None and not models.is_dir():
        raise Unusable(f"--models must be a folder, got {models}.")
    material = Material(quick, seed, models)
    start = time.perf_counter()
    with progress_bar() as bar:
        task = bar.add_task("", total=len(chosen), note="")
        entries = list(
            run(
                chosen,
                material,
                lambda name, done, total, note="": bar.update(task, description=name, completed=done),
            )
        )
    command = f"stationary claims{' --quick' if quick else ''}{f' --seed {seed}' if seed else ''}"
    checks = time.perf_counter() - start - material.seconds_now
    note = pages.RunNote(command=command, seeds=material.seeds, training=sum(material.seconds.values()), checks=checks)
    if record:
        with user_input():
            write_record(entries)
    changed = changes(entries, recorded())
    Console().print(pages.render(entries, note, changed))
    with user_input():
        if json is not None:
            seconds = {"training": note.training, "checks": note.checks}
            content = {"command": command, "seeds": material.seeds, "seconds": seconds}
            write_json(json, content | {"claims": [entry.to_dict() for entry in entries]})
        for target, page in ((html, pages.render_html), (markdown, pages.render_markdown)):
            if target is not None:
                write_text(target, page(entries, note))
    raise typer.Exit(NO if changed else DONE)

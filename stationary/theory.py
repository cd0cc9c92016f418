"""Commands of the package ``theory``: what is proved, and what the kernels cost."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from stationary._app import MEASURE, NO, PAPER, JsonPath, app, check_outputs, user_input


@app.command(rich_help_panel=PAPER)
def theorem(
    steps: Annotated[
        bool, typer.Option("--steps", metavar="", help="Print every derivation step by step before the table.")
    ] = False,
) -> None:
    """Check every step of the derivations of Theorems 1 and D by computer algebra, and print what is proved.

    Example: stationary theorem --steps

    Exit status: 1 if a step does not follow.
    """
    from rich.console import Console

    from theory.proofs import ProofError, prove_all, render, render_steps

    console = Console()
    try:
        with Console(stderr=True).status("deriving …"):
            proofs = prove_all()
    except ProofError as error:
        print(f"stationary: a step does not follow: {error}", file=sys.stderr)
        raise typer.Exit(NO) from None
    if steps:
        console.print(render_steps(proofs))
    console.print(render(proofs))
    steps_checked = sum(len(proof.steps) for proof in proofs)
    console.print(f"{len(proofs)} derivations, {steps_checked} steps, each checked now by computer algebra.")


@app.command(rich_help_panel=MEASURE)
def bench(
    rounds: Annotated[
        int, typer.Option(metavar="N", min=1, help="Rounds in which the methods take turns; the fastest counts.")
    ] = 9,
    json: JsonPath = None,
) -> None:
    """Time the Monte Carlo kernels beside the drawing of their random numbers and the released cone sampler.

    Example: stationary bench --rounds 3

    The time is CPU time of all threads. The released sampler is timed if it is installed (the extra "benchmark").
    """
    check_outputs(json)
    from dataclasses import asdict

    from rich.console import Console

    from theory.benchmark import compute, render
    from verification.reporting import write_json

    rows = compute(rounds=rounds)
    Console().print(render(rows))
    if json is not None:
        with user_input():
            write_json(json, [asdict(row) for row in rows])

"""Commands of the package ``theory``: what is proved, and what the kernels cost."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from stationary._app import NO, JsonPath, app, check_outputs, user_input


@app.command()
def theorem(
    steps: Annotated[
        bool, typer.Option("--steps", help="Print every derivation before the table, step by step.")
    ] = False,
) -> None:
    """Derive every step of Theorems 1 and D and print what is proved, for which distances and laws.

    Status 1 when a step does not follow.
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


@app.command()
def bench(
    rounds: Annotated[int, typer.Option(min=1, help="Rounds in which the methods take turns; the fastest counts.")] = 9,
    json: JsonPath = None,
) -> None:
    """Time the Monte-Carlo kernels beside the random numbers alone and the released cone sampler.

    CPU time of all threads. The released sampler is timed where it is installed (the extra "benchmark").
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

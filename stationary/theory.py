"""The command of the package ``theory``: what is proved."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from stationary._app import NO, PAPER, app


@app.command(rich_help_panel=PAPER)
def theorem(
    steps: Annotated[
        bool, typer.Option("--steps", metavar="", help="Print every derivation step by step before the table.")
    ] = False,
) -> None:
    """Check every step of the derivations of Theorems 1 and D by computer algebra, and print what is proved.

    Example: stationary theorem --steps

    Exit status: 0 if every step follows, 1 if one does not.
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

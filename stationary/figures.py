"""Commands of the room ``paper_figures``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stationary._app import app, user_input


@app.command()
def figures(
    names: Annotated[list[str] | None, typer.Argument(help="Which figures; all if none is named.")] = None,
    output: Annotated[Path, typer.Option(help="Folder to write to; made if missing.")] = Path("output"),
) -> None:
    """Draw the figures: PDF, PNG and the data behind each."""
    from paper_figures.make import FIGURES, make

    with user_input():
        if output.exists() and not output.is_dir():
            raise ValueError(f"{output}: must be a folder, got a file.")
        for path in make(names or FIGURES, output):
            print(path)

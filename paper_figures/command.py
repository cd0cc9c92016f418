"""The command that makes the figures: ``python -m paper_figures``, and the same as ``stationary figures``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def figures(
    names: Annotated[list[str] | None, typer.Argument(help="Which figures, fig11 for short; all if none.")] = None,
    only: Annotated[list[str] | None, typer.Option(metavar="NAME", help="The same; can be repeated.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Small versions, all in minutes.")] = False,
    output: Annotated[Path, typer.Option(help="Folder to write to; made if missing.")] = Path("output"),
    gallery: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Also write a Markdown page that shows the figures.")
    ] = None,
    dpi: Annotated[int, typer.Option(min=50, max=1200, help="Dots an inch of the PNG.")] = 300,
    cache: Annotated[
        bool, typer.Option(help="Keep results in the user's cache folder and take them from there.")
    ] = True,
) -> None:
    """Make the paper's figures and ours: PDF, PNG and the data behind each as JSON.

    In full they take about twenty minutes on one core.
    """
    if gallery is not None and (gallery.is_dir() or not gallery.parent.is_dir()):
        raise ValueError(f"{gallery}: must be a file to write, in a folder that exists.")
    from rich.console import Console

    from theory.extras import require

    require("stationary figures", "matplotlib", "pooch", extra="figures")
    from paper_figures.make import make, resolve

    chosen = resolve([*(names or ()), *(only or ())])
    made = []
    console = Console(stderr=True)
    with console.status("") as status:
        for figure in make(
            chosen,
            output,
            quick,
            cache,
            dpi,
            lambda name, done, total, note="": status.update(f"{name} ({done + 1} of {total})"),
        ):
            made.append(figure)
            for path in figure.paths:
                print(path, flush=True)
    if gallery is not None:
        from paper_figures.gallery import write_gallery

        write_gallery(gallery, made, quick)
        print(gallery)

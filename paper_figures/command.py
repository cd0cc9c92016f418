"""The command that makes the figures: ``python -m paper_figures``, and the same as ``stationary figures``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def figures(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME", help="Figures to make, such as fig11; all if none is named."),
    ] = None,
    only: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Make this figure only. Repeatable.")] = None,
    quick: Annotated[
        bool, typer.Option("--quick", metavar="", help="Make small versions, all of them in minutes.")
    ] = False,
    output: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder to write to; it is made if missing.")] = Path(
        "output"
    ),
    gallery: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Also write a Markdown page that shows the figures.")
    ] = None,
    dpi: Annotated[int, typer.Option(metavar="N", min=50, max=1200, help="Dots per inch of the PNG.")] = 300,
    cache: Annotated[bool, typer.Option(metavar="", help="Keep results in your cache folder, and reuse them.")] = True,
) -> None:
    """Make the figures of the paper and of this project as PDF and PNG, with the data behind each as JSON.

    Example: stationary figures fig11 --quick

    All of them in full take about twenty minutes on one core.
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

"""The gallery: a page with each figure, its caption, what came out, and the command, seed and time that made it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from paper_figures.make import WrittenFigure, load
from theory.files import write_text

HEAD = """# Figures

The paper's figures, redrawn from this project's own numbers, and ours. `python -m paper_figures` makes all of them,
with the data behind each; `--quick` small versions of those that train. Numbers in the text are from the run that
wrote this page. Durations are wall times; models that figures share are counted
in the first of them.
"""


def write_gallery(path: Path, figures: Sequence[WrittenFigure], quick: bool) -> None:
    """Write the page; pictures are linked from where they are."""
    sections = [HEAD]
    for figure in figures:
        title, caption = describe(figure.name)
        picture = os.path.relpath(figure.paths[1], path.parent)
        sections += [
            f"## {title}\n",
            f"![{title}]({Path(picture).as_posix()})\n",
            f"{caption}\n",
            f"**What came out.** {load(figure.name).findings(figure.data)}\n",
            f"`python -m paper_figures {figure.name}{' --quick' if quick else ''}`, {_seed(figure.name)}, "
            f"{_duration(figure.seconds)}.\n",
        ]
    write_text(path, "\n".join(sections))


def describe(name: str) -> tuple[str, str]:
    """Title and caption of a figure, from the docstring of its module."""
    paragraphs = (load(name).__doc__ or "").split("\n\n")
    caption = next(text for text in paragraphs if text.startswith("Caption."))
    return " ".join(paragraphs[0].split()).rstrip("."), " ".join(caption.removeprefix("Caption.").split())


def _seed(name: str) -> str:
    seed = load(name).SEED
    return "no random numbers" if seed is None else f"seed {seed}"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{max(seconds, 0.1):.1f} s"
    return f"{seconds / 60:.1f} minutes"

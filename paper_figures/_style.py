"""The look of all figures: legible at column width, told apart in grey, saved as vector and as pixels."""

from __future__ import annotations

import io
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import IO, Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from theory.files import make_folder, write_atomically

COLUMN_WIDTH = 3.5  # inches, one column of a two-column page

# Okabe and Ito's palette, safe for the common colour blindnesses; each colour has a line style and a marker
COLORS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9")
LINE_STYLES = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (5, 1.5, 1, 1.5)), (0, (8, 2)), (0, (3, 1, 1, 1, 1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P")

# For `with matplotlib.rc_context(RC):` around all that creates artists (Any: the keys' type is not in 3.9)
RC: Any = {
    "font.family": "sans-serif",
    "font.size": 8.0,
    "axes.titlesize": 8.0,
    "axes.labelsize": 8.0,
    "xtick.labelsize": 7.0,
    "ytick.labelsize": 7.0,
    "legend.fontsize": 7.0,
    "legend.frameon": False,
    "lines.linewidth": 1.3,
    "lines.markersize": 3.5,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.linewidth": 0.4,
    "grid.color": "0.88",
    "axes.axisbelow": True,
    "figure.constrained_layout.use": True,
}


def look(number: int) -> dict[str, Any]:
    """Colour, line and marker of a series, which differ in grey too."""
    return {"color": COLORS[number], "linestyle": LINE_STYLES[number], "marker": MARKERS[number]}


def box_tasks(axes: Axes, tasks: Iterable[int]) -> None:
    """Box the ticks of these tasks, counted from 1, of an axis that has a tick for each."""
    for task in tasks:
        label = axes.get_xticklabels()[task - 1]
        label.set_bbox({"boxstyle": "square,pad=0.2", "facecolor": "none", "linewidth": 0.7})


def save(figure: Figure, directory: Path, name: str, dpi: int = 300) -> list[Path]:
    """Write ``name``.pdf and ``name``.png, without a date in them, each whole or not at all; return their paths."""
    make_folder(directory)
    options: dict[str, Any] = {"pdf": {"metadata": {"CreationDate": None}}, "png": {"dpi": dpi}}
    paths = []
    for suffix, how in options.items():
        buffer = io.BytesIO()
        figure.savefig(buffer, format=suffix, **how)
        paths.append(directory / f"{name}.{suffix}")
        write_atomically(paths[-1], partial(_write, buffer.getvalue()))
    return paths


def _write(content: bytes, file: IO[bytes]) -> None:
    file.write(content)

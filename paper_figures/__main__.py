"""``python -m paper_figures``: make the figures; the same as ``stationary figures``."""

from __future__ import annotations

import sys

import typer

from paper_figures.command import figures
from theory.extras import MissingExtra
from theory.files import NotWritten

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
app.command()(figures)

try:
    app(prog_name="python -m paper_figures")
except (ValueError, OSError, MissingExtra) as error:
    print(f"paper_figures: {error}", file=sys.stderr)
    sys.exit(74 if isinstance(error, NotWritten) else 2)

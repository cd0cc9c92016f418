"""Commands of the package ``paper_figures``."""

from __future__ import annotations

from functools import wraps
from typing import Any

from paper_figures.command import figures as make_figures
from stationary._app import PAPER, app, check_outputs, user_input


@app.command(rich_help_panel=PAPER)
@wraps(make_figures)
def figures(**arguments: Any) -> None:
    check_outputs(arguments["gallery"])
    with user_input():
        make_figures(**arguments)

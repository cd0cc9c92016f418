"""The rows of a suite as tables for a terminal of 80 columns, one a case."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from verification.experiments.suites.results import MethodResults, PairOutcome

if TYPE_CHECKING:
    from rich.console import RenderableType


def render(rows: Sequence[MethodResults]) -> RenderableType:
    """One table a case, then what the two notions of compatibility say of the same pairs of models."""
    from rich.console import Group
    from rich.text import Text

    cases = dict.fromkeys(row.case for row in rows)
    tables = [_table(case, [row for row in rows if row.case == case]) for case in cases]
    legend = (
        "Means over seeds, below them the standard deviation. AC: share of model pairs that pass Eq. 6, below it the "
        "interval that the queries allow; AA: mean accuracy; gaps of Definition 1 in expectation, mean over pairs, "
        "positive = compatible; drift: angle between a class's mean directions under consecutive models; s: seconds of "
        "the updates. Def. 1 and Eq. 6: pairs of models, all seeds, found compatible / incompatible / undecided. "
        + disagreement([pair for row in rows for pair in row.pairs])
    )
    return Group(*tables, Text(legend, style="dim"))


def disagreement(pairs: Sequence[PairOutcome]) -> str:
    """Count the pairs on which Definition 1 in expectation and Eq. 6 are decided in opposite ways."""
    verdicts = [(pair.definition, pair.matrix_criterion) for pair in pairs]
    definition = verdicts.count(("compatible", "incompatible"))
    matrix = verdicts.count(("incompatible", "compatible"))
    return (
        f"Of {len(pairs)} pairs of models, {definition} satisfy Definition 1 in expectation and violate Eq. 6, "
        f"{matrix} the reverse."
    )


def tally(verdicts: Sequence[str]) -> str:
    """Compatible / incompatible / neither, as numbers."""
    yes, no = verdicts.count("compatible"), verdicts.count("incompatible")
    return f"{yes}/{no}/{len(verdicts) - yes - no}"


def _wrapped(label: str) -> str:
    """Broken at a hyphen, a plus or a parenthesis, to thirteen columns."""
    return "\n".join(textwrap.wrap(label.replace("+", "+ ").replace("(", " ("), 13)).replace("+ ", "+")


def _table(case: str, rows: Sequence[MethodResults]) -> RenderableType:
    from rich import box
    from rich.table import Table

    seeds = len(rows[0].results)
    title = f"{case}, {seeds} seed{'s' if seeds > 1 else ''}"
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 0), title=title, title_justify="left")
    table.add_column("method")
    for header in ("AC", "AA", "gap 1a", "gap 1b", "drift", "s", "Def. 1", "Eq. 6"):
        table.add_column(header, justify="right", no_wrap=True)
    for row in rows:
        low, high = row.interval
        ac, spread = row.mean("average_compatibility"), row.spread("average_compatibility")
        gaps = [f"{row.mean(name):+.3f}\n±{row.spread(name):.3f}" for name in ("same_class", "different_class")]
        table.add_row(
            _wrapped(row.label),
            f"{ac:.2f} ±{spread:.2f}\n[{low:.2f}, {high:.2f}]",
            f"{row.mean('average_accuracy'):.3f}\n±{row.spread('average_accuracy'):.3f}",
            *gaps,
            f"{math.degrees(row.mean('drift')):.0f}°\n±{math.degrees(row.spread('drift')):.0f}°",
            f"{row.mean('seconds'):.0f}",
            tally([pair.definition for pair in row.pairs]),
            tally([pair.matrix_criterion for pair in row.pairs]),
        )
    return table

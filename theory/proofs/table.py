"""Theorem 1 as a table: each statement, for each distance, proved, witnessed, refuted or open (paper, Theorem 1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from theory.proofs._derivation import Proof

if TYPE_CHECKING:
    from rich.console import RenderableType

POWERS = ("sqeuclidean", "euclidean", "power")
NAMED = ("sqeuclidean", "euclidean", "angular", "power")
COLUMNS = (*NAMED, "any other")
"""The distances; power: ‖u−v‖^{2s} for every 0 < s ≤ 1; any other: every F that falls in the cosine."""

SAME_CLASS = "1a, every d, every radius"
NARROW = "1b, d ≥ 3, α_k ≤ π/2, every ρ ≤ 0"
CIRCLE = "1b, d = 2, α_k ≤ π/2, every ρ ≤ 0"
SIMPLEX = "1b, d ≥ 3, every simplex, every radius"
TRIANGLE = "1b, d = 2, every simplex, every radius"
WIDE = "1b, every ρ ≤ 0, every radius"
SOFT = "1a and 1b, von Mises–Fisher laws, d ≥ 3, every ρ ≤ 0"
TIGHTEST = "the gap of 1b is smallest for K = d + 1, d ≥ 3"
DRIFT = "1a and 1b bear every drift up to a threshold"
AVERAGE = "mean gap of 1b = mean gap of 1a / (K − 1), centred old means"
ROWS = (SAME_CLASS, NARROW, CIRCLE, SIMPLEX, TRIANGLE, WIDE, SOFT, TIGHTEST, DRIFT, AVERAGE)

VERDICTS = ("proved", "witnessed", "fails: proved", "fails: witnessed", "cited", "open")


def settled(verdict: str, rows: Sequence[str], columns: Sequence[str] = NAMED) -> dict[str, dict[str, str]]:
    """The same verdict in several cells of the table."""
    return {row: dict.fromkeys(columns, verdict) for row in rows}


def theorem_table(proofs: Sequence[Proof]) -> dict[str, dict[str, str]]:
    """Verdict of each statement, by distance: what several proofs say of one cell is the weakest of it.

    Parameters
    ----------
    proofs : sequence of Proof
        As from :func:`theory.proofs.prove_all`; a cell of which none speaks is open.

    Returns
    -------
    dict
        For each statement a dict from each of :data:`COLUMNS` to one of :data:`VERDICTS`.
    """
    table = {}
    for row in ROWS:
        said = {
            column: [p.settles[row][column] for p in proofs if column in p.settles.get(row, {})] for column in COLUMNS
        }
        table[row] = {column: max(words, key=VERDICTS.index, default="open") for column, words in said.items()}
    return table


def render_steps(proofs: Sequence[Proof]) -> RenderableType:
    """Every derivation: what it states, assumes, checks and cites."""
    from rich.console import Group
    from rich.text import Text

    lines = []
    for proof in proofs:
        lines.append(Text(f"{proof.name}. {proof.statement}.", style="bold"))
        lines.append(Text(f"Assumes: {'; '.join(proof.assumptions)}."))
        lines += [Text(f"  {step}") for step in proof.steps]
        lines.append(Text(f"Cites: {'; '.join(proof.cited) or 'nothing'}.\n"))
    return Group(*lines)


def render(proofs: Sequence[Proof]) -> RenderableType:
    """The table for a terminal, then the theorems that are cited and not derived."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    colours = {"proved": "green", "open": "yellow", "cited": "blue"}
    view = Table(
        title="Theorem 1: α_t ≤ α_k implies Definition 1 in expectation",
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    view.add_column("statement", min_width=18)
    for column in COLUMNS:
        view.add_column(column, max_width=11)
    for row, verdicts in theorem_table(proofs).items():
        cells = (f"[{colours.get(word, 'red' if 'fails' in word else 'cyan')}]{word}[/]" for word in verdicts.values())
        view.add_row(row, *cells)
    cited = dict.fromkeys(theorem for proof in proofs for theorem in proof.cited if "statement)" not in theorem)
    return Group(view, Text("Cited, not derived:"), *(Text(f"- {theorem}") for theorem in cited))

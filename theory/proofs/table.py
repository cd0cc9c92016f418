"""Theorems 1 and D as tables: each statement, for each distance or law, proved, witnessed, refuted or open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from theory.metrics import METRICS, PowerDistance
from theory.proofs._derivation import Proof

if TYPE_CHECKING:
    from rich.console import RenderableType

POWERS = ("sqeuclidean", "euclidean", "power")
NAMED = ("sqeuclidean", "euclidean", "angular", "power")
FAMILIES = (*NAMED, "any other")
"""What derivations speak of; power: ‖u−v‖^{2s} for every 0 < s ≤ 1; any other: every F that falls in the cosine."""

SAME_CLASS = "1a, every d, every radius"
NARROW = "1b, d ≥ 3, α_k ≤ π/2, every ρ ≤ 0"
CIRCLE = "1b, d = 2, α_k ≤ π/2, every ρ ≤ 0"
SIMPLEX = "1b, d ≥ 3, every simplex, every radius"
TRIANGLE = "1b, d = 2, every simplex, every radius"
WIDE = "1b, every ρ ≤ 0, every radius"
SOFT = "1a and 1b, von Mises–Fisher laws, d ≥ 3, every ρ ≤ 0"
TIGHTEST = "the gap of 1b is smallest for K = d + 1, d ≥ 3"
DRIFT = "1a and 1b tolerate every drift up to a limit"
AVERAGE = "mean gap of 1b = mean gap of 1a / (K − 1), centred old means"
ROWS = (SAME_CLASS, NARROW, CIRCLE, SIMPLEX, TRIANGLE, WIDE, SOFT, TIGHTEST, DRIFT, AVERAGE)

TRUE_RATE = "TAR does not fall at any τ, every radius"
FALSE_OBTUSE = "FAR does not rise at τ ≥ ρ, ρ ≤ 0, radii ≤ π/2"
FALSE_EXTENDED = "the same while min(cos α', cos α_k cos α') ≥ −ρ²"
FALSE_ACUTE = "FAR does not rise at τ ≥ ρ/(cos α_k cos α'), ρ > 0"
BELOW = "FAR does not rise at τ < ρ"
DRIFTED = "TAR does not fall with drift ω ≤ min(α_t, α_k − α_t)"
FLAT_BELOW = "1b for every distance that is flat below those τ"
RANKED = "wrong items above the best right one, if 2α_k ≤ arccos ρ"
SEPARATED = "no ranking measure falls, if α_k + α'_j ≤ arccos ρ_j"
RECALL = "recall@1 does not fall, any axes with ρ ≤ 0"
RECALL_SIMPLEX = "recall@1 does not fall, simplex, equal radii ≤ π/2"
D_ROWS = (
    TRUE_RATE, FALSE_OBTUSE, FALSE_EXTENDED, FALSE_ACUTE, BELOW, DRIFTED, FLAT_BELOW, RANKED, SEPARATED, RECALL,
    RECALL_SIMPLEX,
)  # fmt: skip
CAPS, SOFT_LAWS, GENERAL = "uniform caps", "von Mises–Fisher", "falling densities"
D_COLUMNS = (CAPS, SOFT_LAWS, GENERAL)
"""The laws of Theorem D; falling densities: every law about its axis whose density falls in the polar angle."""

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
        For each statement a dict from each of :func:`columns` to one of :data:`VERDICTS`.
    """
    verdicts = _weakest(proofs, ROWS, FAMILIES)
    return {row: {column: _verdict_for(column, verdicts[row]) for column in columns()} for row in ROWS}


def decision_table(proofs: Sequence[Proof]) -> dict[str, dict[str, str]]:
    """Verdict of each statement of Theorem D, by law; parameters and result as for :func:`theorem_table`."""
    return _weakest(proofs, D_ROWS, D_COLUMNS)


def _weakest(proofs: Sequence[Proof], rows: Sequence[str], names: Sequence[str]) -> dict[str, dict[str, str]]:
    table = {}
    for row in rows:
        said = {name: [p.settles[row][name] for p in proofs if name in p.settles.get(row, {})] for name in names}
        table[row] = {name: max(words, key=VERDICTS.index, default="open") for name, words in said.items()}
    return table


def columns() -> tuple[str, ...]:
    """The distances of the table: the registry's, then all powers of the chord, then every other distance."""
    return (*METRICS, *FAMILIES[len(NAMED) - 1 :])


def _verdict_for(column: str, verdicts: Mapping[str, str]) -> str:
    """What the verdicts on families of distances say of one: what holds for all of a family holds for it."""
    metric = METRICS.get(column)
    families = [column, "any other"]
    if metric is not None and metric.linear is not None:
        families[0] = "sqeuclidean"
    elif isinstance(metric, PowerDistance) and metric.s <= 1:
        families.insert(1, "power")
    own = verdicts.get(families[0], "open")
    return "proved" if any(verdicts.get(family) == "proved" for family in families) else own


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
    """Both tables for a terminal, the cases that refute, and the theorems that are cited and not derived."""
    from rich.console import Group
    from rich.text import Text

    table = theorem_table(proofs)
    # distances of which everything is said alike share a column
    alike: dict[tuple[str, ...], list[str]] = {}
    for column in columns():
        alike.setdefault(tuple(table[row][column] for row in ROWS), []).append(column)
    distances = {"\n".join(names): dict(zip(ROWS, words, strict=True)) for words, names in alike.items()}
    decisions = decision_table(proofs)
    laws = {name: {row: decisions[row][name] for row in D_ROWS} for name in D_COLUMNS}
    cited = dict.fromkeys(theorem for proof in proofs for theorem in proof.cited if "statement)" not in theorem)
    witnesses = [proof.witness for proof in proofs if proof.witness]
    return Group(
        _view("Theorem 1: α_t ≤ α_k implies Definition 1 in expectation", distances),
        _view("Theorem D: α_t ≤ α_k keeps decisions at a threshold τ (caps α_t, α_k and α', axes with cosine ρ)", laws),
        Text("Witnesses, each computed now:"),
        *(Text(f"- {witness}") for witness in witnesses),
        Text("\nCited, not derived:"),
        *(Text(f"- {theorem}") for theorem in cited),
    )


def _view(title: str, verdicts: Mapping[str, Mapping[str, str]]) -> RenderableType:
    """A table of statements by column, ``verdicts`` mapping each column's heading to its words by statement."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    colours = {"proved": "green", "open": "yellow", "cited": "blue"}
    view = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    view.add_column("statement", min_width=18)
    for heading in verdicts:
        view.add_column(heading, max_width=11)
    for row in next(iter(verdicts.values())):
        words = [column[row] for column in verdicts.values()]
        view.add_row(row, *(f"[{colours.get(word, 'red' if 'fails' in word else 'cyan')}]{word}[/]" for word in words))
    return view

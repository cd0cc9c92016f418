"""The ledger written down: for a terminal, as one self-contained HTML page, and as a page of the documentation."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from verification.experiments.claims.ledger import VERDICTS, CheckedClaim, Finding
from verification.views import html, terminal
from verification.views.document import Cell, Document, Fold, Section, Table, sections
from verification.views.numbers import plural

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True, kw_only=True)
class RunNote:
    """The run that a page reports.

    Attributes
    ----------
    command : str
    seeds : tuple of int
    training, checks : float
        Seconds.
    """

    command: str
    seeds: tuple[int, ...]
    training: float
    checks: float

    @property
    def how(self) -> str:
        """Seeds and duration."""
        seeds = f"seed {self.seeds[0]}" if len(self.seeds) == 1 else f"seeds {self.seeds[0]} to {self.seeds[-1]}"
        return f"{seeds}, {self.training:.0f} s of training and {self.checks:.0f} s of checks on {os.cpu_count()} cores"


def counted(entries: Sequence[CheckedClaim]) -> str:
    """How many claims have each verdict, in words."""
    return f"{len(entries)} claims: {_counts(entries)}."


def _counts(entries: Sequence[CheckedClaim]) -> str:
    counts = Counter(entry.finding.verdict for entry in entries)
    return ", ".join(f"{counts[word]} {word}" for word in VERDICTS if counts[word])


def ledger(entries: Sequence[CheckedClaim], run: RunNote, changed: Sequence[str] = ()) -> Document:
    """The ledger: every claim with its verdict, and a section for each with what was found.

    Parameters
    ----------
    entries : sequence of CheckedClaim
    run : RunNote
    changed : sequence of str
        What differs from the recorded verdicts.
    """
    rows = tuple((Cell(text=entry.claim.statement, link=entry.claim.name), entry.finding.verdict) for entry in entries)
    return Document(
        word=plural(len(entries), "claim"),
        answer=f"{_counts(entries)}.",
        sections=sections(
            Section("Changed verdicts", tuple(changed)),
            Section(
                "Claims and verdicts",
                (
                    Table(("claim", "verdict"), rows),
                    f"Each verdict is computed from the evidence of this run: {run.command}, {run.how}.",
                ),
            ),
            *map(_section, entries),
        ),
        next_step="Read docs/claims.md for what the verdicts mean.",
    )


def _section(entry: CheckedClaim) -> Section:
    claim, finding = entry.claim, entry.finding
    evidence = tuple((number.name, *number.cells()) for number in finding.evidence)
    return Section(
        claim.statement.removesuffix("."),
        (
            finding.sentence,
            f"Run it again: stationary claims --only {claim.name}",
            Fold(
                f"Hypotheses and evidence: {plural(len(evidence), 'number')}",
                (
                    f"In the paper: {claim.where}. Hypotheses: {claim.hypotheses}",
                    Table(("", "value", "interval"), evidence),
                ),
            ),
        ),
        finding.verdict,
        claim.name,
    )


def render(entries: Sequence[CheckedClaim], run: RunNote, changed: Sequence[str] = ()) -> RenderableType:
    """The ledger for a terminal of 60 columns or more."""
    return terminal.render(ledger(entries, run, changed))


def render_html(entries: Sequence[CheckedClaim], run: RunNote) -> str:
    """The ledger as one page: nothing is loaded from elsewhere and nothing runs."""
    return html.render(ledger(entries, run), "Claims of the paper, and what came out")


def render_markdown(entries: Sequence[CheckedClaim], run: RunNote) -> str:
    """The ledger as a page of the documentation."""
    lines = [
        "# Claims ledger",
        "",
        "What the paper states, what was checked, how, and what came out. A verdict is computed from the evidence of a",
        "run, not written by hand; a test corrupts what each check looks at and sees its verdict change. *Proved*:",
        "a written derivation whose algebra SymPy checks, with cited lemmas. *Verified numerically*: computed, with",
        "errors. *Verified on trained models*: measured on models trained here, which are small. *Not reproduced*:",
        "looked for at that scale and not found, which is weaker than *contradicted*: a counter-example exists.",
        "",
        f"Command: `{run.command}`; {run.how}.",
        "",
        counted(entries),
        "",
        "| claim | verdict |",
        "|---|---|",
        *(f"| [{_plain(e.claim.statement)}](#{e.claim.name}) | {e.finding.verdict} |" for e in entries),
        "",
    ]
    for entry in entries:
        claim, finding = entry.claim, entry.finding
        where, hypotheses = _plain(claim.where), _plain(claim.hypotheses)
        lines += [
            f'<a id="{claim.name}"></a>',
            "",
            f"## {_plain(claim.statement)}",
            "",
            f"**{finding.verdict[0].upper()}{finding.verdict[1:]}.** {_plain(finding.sentence)}",
            "",
            f"*In the paper:* {where}. *Hypotheses:* {hypotheses} *Again:* `stationary claims --only {claim.name}`",
            "",
            f"<details><summary>Evidence: {len(finding.evidence)} numbers</summary>",
            "<table><thead><tr><th></th><th>value</th><th>interval</th></tr></thead><tbody>",
            _rows(finding) + "</tbody></table>",
            "</details>",
            "",
        ]
    return "\n".join(lines)


def _rows(finding: Finding) -> str:
    """The evidence as rows of an HTML table."""
    return "".join(
        f'<tr><th scope="row">{escape(number.name)}</th>'
        + "".join(f"<td>{cell}</td>" for cell in number.cells())
        + "</tr>\n"
        for number in finding.evidence
    )


def _plain(text: str) -> str:
    """Text without what Markdown would read into it."""
    return re.sub(r"([*_\[\]|])", r"\\\1", text)

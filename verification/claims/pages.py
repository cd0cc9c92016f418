"""The ledger written down: for a terminal, as one self-contained HTML page, and as a page of the documentation."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from verification.claims.ledger import VERDICTS, Entry, Finding, Verdict
from verification.files.atomic import write_atomically
from verification.page.markup import definitions, table

if TYPE_CHECKING:
    from rich.console import RenderableType

_KINDS: dict[Verdict, str] = dict.fromkeys(VERDICTS[:3], "compatible")
_KINDS |= {"holds under stated conditions": "open", "not checkable here": "open"}
_KINDS |= {"not reproduced": "incompatible", "contradicted": "incompatible"}
_MARKS = {"compatible": "✓", "open": "?", "incompatible": "✗"}
_COLOURS = {"compatible": "green", "open": "yellow", "incompatible": "red"}


@dataclass(frozen=True)
class Made:
    """How a page was made.

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


def write(path: Path, text: str) -> None:
    """Write a page; the file appears whole or not at all."""
    write_atomically(path, lambda file: file.write(text.encode()))


def counted(entries: Sequence[Entry]) -> str:
    """How many claims have each verdict, in words."""
    counts = Counter(entry.finding.verdict for entry in entries)
    return f"{len(entries)} claims: " + ", ".join(f"{counts[word]} {word}" for word in VERDICTS if counts[word]) + "."


def render(entries: Sequence[Entry]) -> RenderableType:
    """A table of verdicts, then one sentence a claim, for a terminal of 60 columns or more."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    view = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    view.add_column("claim", no_wrap=True)
    view.add_column("verdict")
    for entry in entries:
        word = entry.finding.verdict
        view.add_row(entry.claim.name, Text(word, style=_COLOURS[_KINDS[word]]))
    sentences = (
        Text(f"{entry.claim.name}: ", style="bold").append(entry.finding.sentence, style="not bold")
        for entry in entries
    )
    return Group(view, *sentences, Text(counted(entries), style="dim"))


def render_html(entries: Sequence[Entry], made: Made) -> str:
    """The ledger as one page: nothing is loaded from elsewhere and nothing runs."""
    style = resources.files("verification").joinpath("data", "report.css").read_text(encoding="utf-8")
    title = "Claims of the paper, and what came out"
    rows = "".join(
        f'<tr><th scope="row"><a href="#{entry.claim.name}">{escape(entry.claim.statement)}</a></th>'
        f"<td>{_badge(entry)}</td></tr>\n"
        for entry in entries
    )
    summary = (
        f'<section aria-labelledby="all">\n<h2 id="all">{escape(counted(entries))}</h2>\n'
        f"<p>A verdict is computed from the numbers below it, by <code>{made.command}</code> ({made.how}).</p>\n"
        f"{table('Verdicts', ('claim', 'verdict'), rows)}</section>\n"
    )
    # words and not numbers: left-aligned, and a long verdict may break
    own = "th, td { text-align: left; } details :is(td, thead th) { text-align: right; } a { color: inherit; }\n"
    own += "tbody th { font-weight: 400; }\n"
    own += "b { white-space: normal !important; }\n"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>{title}</title>\n<style>\n{style}{own}</style>\n</head>\n<body>\n<header><h1>{title}</h1></header>\n"
        f"<main>\n{summary}{''.join(_section(entry) for entry in entries)}</main>\n</body>\n</html>\n"
    )


def _badge(entry: Entry) -> str:
    kind = _KINDS[entry.finding.verdict]
    return f'<b class="{kind}"><span aria-hidden="true">{_MARKS[kind]}</span> {entry.finding.verdict}</b>'


def _section(entry: Entry) -> str:
    claim, finding = entry.claim, entry.finding
    about = definitions(
        (term, escape(text)) for term, text in (("in the paper", claim.where), ("hypotheses", claim.hypotheses))
    )
    return (
        f'<section aria-labelledby="{claim.name}">\n<h2 id="{claim.name}">{escape(claim.statement)}</h2>\n'
        f"<p>{_badge(entry)}. {escape(finding.sentence)}</p>\n{about}"
        f"<details><summary>Evidence: {len(finding.evidence)} numbers</summary>\n"
        f"{table('Evidence', ('', 'value', 'interval'), _rows(finding))}</details>\n</section>\n"
    )


def render_markdown(entries: Sequence[Entry], made: Made) -> str:
    """The ledger as a page of the documentation."""
    lines = [
        "# Claims ledger",
        "",
        "What the paper states, what was checked, how, and what came out. A verdict is computed from the evidence of a",
        "run, not written by hand; a test corrupts what each check looks at and sees its verdict change. *Proved*:",
        "derived step by step by machine. *Verified numerically*: computed, with errors. *Verified on trained models*:",
        "measured on models trained here, which are small. *Not reproduced*: looked for at that scale and not found,",
        "which is weaker than *contradicted*: a counter-example is at hand.",
        "",
        f"Command: `{made.command}`; {made.how}.",
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

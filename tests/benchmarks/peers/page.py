"""The page of what the peers said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from tests.benchmarks.peers.cases import ACCEPTED, REAL_SIZE, Case
from verification.experiments.simulated.known_upgrades import DIM, NOISE, NUM_CLASSES

if TYPE_CHECKING:
    from tests.benchmarks.peers.__main__ import Asked

# what is right to say of each case, and what a page says of it
RIGHT = {"compatible": "yes", "incompatible": "no", "boundary": "undecided"}
SAID = {
    "compatible": "Yes.",
    "incompatible": "No.",
    "boundary": "It is the boundary, nothing is lost on average: yes and no are both guesses.",
}

OPENING = """\
# Peers, side by side

Written by `python -m tests.benchmarks.peers`; change nothing here by hand.

Tools that decide about an embedding upgrade were asked about upgrades whose right answer is known. Each was driven by
its Python API, with its defaults, in an environment and a process of its own, on one core
(`tests/benchmarks/peers/drivers/` holds the few lines for each). The first half of the samples is the gallery, the
second half the queries (embedflow: the first 200 of them), and items of the query's class are relevant; drift is
looked for in all samples, and the audit takes all pairs. Every tool saw the same draws, and its words are read as
yes, undecided or no by [a rule](#the-tools). A cell counts yes / undecided / no, with the right answer in bold; –
means that the tool was not asked.

A tool that answers another question (a map, the same neighbours, drift) is not wrong by its own lights where it
differs: the tables show what happens to a reader who takes its verdict for this decision.
"""
REAL = f"""\
Encoders of the page on [real upgrades](real-upgrades.md), of each draw at most one description of a source package.
What is right is a fact about the whole collection: the answer is yes where recall@1 in it falls by no more than
{100 * ACCEPTED:.0f} point, the audit's default margin. Near to that, {REAL_SIZE} samples may not decide.
"""


def page(answers: Sequence[Asked], cases: Mapping[str, Case]) -> str:
    """Markdown: how it was asked, the tables of answers, what failed, and the defects.

    A case that nobody was asked about is left out.
    """
    asked = {name for each in answers for name, _ in each.words}
    groups = [[case for case in cases.values() if case.real is real and case.name in asked] for real in (False, True)]
    parts = [
        _opening(),
        _simulated(groups[0], answers),
        _real(groups[1], answers),
        _tools(answers, cases),
        _defects(answers),
    ]
    return "\n".join(line for part in parts for line in part) + "\n"


def _opening() -> Iterator[str]:
    yield OPENING


def _simulated(cases: Sequence[Case], answers: Sequence[Asked]) -> Iterator[str]:
    yield "## Simulated upgrades"
    yield ""
    yield f"{NUM_CLASSES} classes in {DIM} dimensions; old features are normal about the vertices of a simplex, with a"
    yield f"standard deviation of {NOISE} a coordinate, as unit vectors (`known_upgrades.py` and `known_searches.py` in"
    yield "`verification/experiments/simulated/`). May new queries search the old gallery? The new model is"
    yield ""
    yield from _table(cases, answers)


def _real(cases: Sequence[Case], answers: Sequence[Asked]) -> Iterator[str]:
    if not cases:
        return
    yield "## Real upgrades"
    yield ""
    yield REAL
    yield from _table(cases, answers)


def _table(cases: Sequence[Case], answers: Sequence[Asked]) -> Iterator[str]:
    for case in cases:
        yield f"- **{case.name}**: {case.meaning}. {SAID[case.answer]}"
    yield ""
    yield "| upgrade | samples | " + " | ".join(asked.peer.name for asked in answers) + " |"
    yield "|---" * (len(answers) + 2) + "|"
    for case in cases:
        for size in case.sizes:
            yield f"| {case.name} | {size} | " + " | ".join(_counts(asked, case, size) for asked in answers) + " |"
    yield ""


def _counts(asked: Asked, case: Case, size: int) -> str:
    said = Counter(asked.peer.answers.get(word, "no rule") for word in asked.words.get((case.name, size), []))
    if not said:
        return "–"
    right = RIGHT[case.answer]
    counts = [f"**{said[kind]}**" if kind == right else str(said[kind]) for kind in ("yes", "undecided", "no")]
    return " / ".join(counts) + (f" ({said['no rule']} other)" if said["no rule"] else "")


def _tools(answers: Sequence[Asked], cases: Mapping[str, Case]) -> Iterator[str]:
    yield "## The tools"
    yield ""
    yield "*Wrong* counts yes for no and no for yes, of all that was said where one of them is right."
    yield ""
    yield "| tool | wrong | version | asks | its words as yes / undecided / no | draws a cell | CPU seconds a draw |"
    yield "|---|---|---|---|---|---|---|"
    for asked in answers:
        groups = [[w for w, a in asked.peer.answers.items() if a == kind] for kind in ("yes", "undecided", "no")]
        rule = " / ".join(", ".join(map("`{}`".format, words)) or "–" for words in groups)
        draws = sum(map(len, asked.words.values()))
        spent = f"{sum(asked.seconds.values()) / draws:.2f}" if draws else "–"
        version = " with ".join((asked.peer.version or "this commit", *map("`{}`".format, asked.peer.needs)))
        about = [(RIGHT[cases[name].answer], words) for (name, _), words in asked.words.items() if name in cases]
        said = [
            (right, asked.peer.answers.get(word)) for right, words in about if right != "undecided" for word in words
        ]
        wrong = f"{sum({*pair} == {'yes', 'no'} for pair in said)} of {len(said)}"
        told = f"{version} | {asked.peer.question} | {rule} | {asked.seeds} | {spent}"
        yield f"| {asked.peer.name} | {wrong} | {told} |"
    yield ""
    for asked in answers:
        if asked.absent:
            yield f"{asked.peer.name} was not asked: {asked.absent}."
            yield ""
        for error, count in Counter(asked.errors).items():
            yield f"{asked.peer.name}: {error} ({count} ×)."
            yield ""


def _defects(answers: Sequence[Asked]) -> Iterator[str]:
    yield "## Defects, looked for in these versions"
    yield ""
    for asked in answers:
        for rule, found in asked.defects.items():
            yield f"- {asked.peer.name}, *{rule}*: {found}."
        flips = [
            f"{name}, n = {size}: {', '.join(f'{word} {count}' for word, count in Counter(words).most_common())}"
            for (name, size), words in asked.words.items()
            if {asked.peer.answers.get(word) for word in words} >= {"yes", "no"}
        ]
        if flips:
            rule = "a verdict must not flip between yes and no with the seed"
            yield f"- {asked.peer.name}, *{rule}*: {'; '.join(flips)}."

"""The page of what the peers said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from verification.experiments.simulated.known_searches import COMMON, MERGED, SEARCHES, SHARED, SHOTS
from verification.experiments.simulated.known_upgrades import CASES as UPGRADES
from verification.experiments.simulated.known_upgrades import DIM, NOISE, NUM_CLASSES

if TYPE_CHECKING:
    from tests.benchmarks.peers.__main__ import Asked

# by name; of the second kind mean distances say something else than a search finds
CASES = {**UPGRADES, **SEARCHES}
# what is right to say of each case
RIGHT = {"compatible": "yes", "incompatible": "no", "boundary": "undecided"}
MEANING = {
    "rotated": "every vector of the old model turned by one random rotation",
    "tighter": "drawn anew about the same class vertices, spread × 0.8",
    "same law": "drawn anew, same spread",
    "wider": "drawn anew, spread × 1.1: a truly worse model",
    "off centre": f"drawn anew, spread × 0.8, and all class means of both models share a vector of length {COMMON}",
    "merged": f"drawn anew, {MERGED} pairs of classes in one place each and all spreads × 0.5",
    "several shots": f"drawn anew, same spread; {SHOTS} samples are shots of one object, which has {SHARED:.0%} of the "
    "variance",
}


def page(answers: Sequence[Asked], sizes: Sequence[int]) -> str:
    """Markdown: how it was asked, the table of answers, the words, and the defects."""
    return "\n".join([*_opening(answers), *_table(answers, sizes), *_words(answers, sizes), *_defects(answers)]) + "\n"


def _opening(answers: Sequence[Asked]) -> Iterator[str]:
    yield "# Peers, side by side"
    yield ""
    yield "Written by `python -m tests.benchmarks.peers`; change nothing here by hand."
    yield ""
    yield "Tools that decide about an embedding upgrade were asked about upgrades whose right answer is known"
    upgrades = "`known_upgrades.py` and `known_searches.py` in `verification/experiments/simulated/`"
    yield f"({upgrades}): {NUM_CLASSES} classes, d = {DIM}, old features normal about"
    yield f"the vertices of a simplex with standard deviation {NOISE} a coordinate, as unit vectors. The new model is"
    yield ""
    for name in _cases(answers):
        yield f"- **{name}**: {MEANING[name]}. May new queries search the old gallery? {_right(name)}"
    yield ""
    yield "Each tool was driven by its Python API, with its defaults, in an environment and a process of its own, on"
    yield "one core (`tests/benchmarks/peers/drivers/` holds the few lines for each). The first half of the samples is"
    yield "the gallery, the second half the queries (embedflow: the first 200 of them), and items of the query's class"
    yield "are relevant; drift is looked for in all samples, and the audit takes all pairs. A tool's words are read as"
    yield "yes, undecided or no by the rule below."
    yield "Every tool saw the same draws."
    yield ""
    yield "| tool | version | asks | its words as yes / undecided / no | draws a cell | CPU seconds in all |"
    yield "|---|---|---|---|---|---|"
    for asked in answers:
        groups = [[w for w, a in asked.peer.answers.items() if a == kind] for kind in ("yes", "undecided", "no")]
        rule = " / ".join(", ".join(map("`{}`".format, words)) or "–" for words in groups)
        spent = f"{asked.seconds:.0f}" if not asked.absent else "–"
        version = " with ".join((asked.peer.version or "this commit", *map("`{}`".format, asked.peer.needs)))
        yield f"| {asked.peer.name} | {version} | {asked.peer.question} | {rule} | {asked.seeds} | {spent} |"
    yield ""


def _cases(answers: Sequence[Asked]) -> list[str]:
    """The cases that somebody was asked about, in their order."""
    asked = {name for each in answers for name, _ in each.words}
    return [name for name in CASES if name in asked or not asked]


def _right(name: str) -> str:
    lost = "both gaps are 0" if name in UPGRADES else "nothing is lost"
    said = {
        "compatible": "Yes.",
        "incompatible": "No.",
        "boundary": f"It is the boundary, {lost}: yes and no are both guesses.",
    }
    return said[CASES[name].answer]


def _table(answers: Sequence[Asked], sizes: Sequence[int]) -> Iterator[str]:
    yield "## Answers"
    yield ""
    yield "Counts of yes / undecided / no, the right answer in bold. A tool that answers another question (a map, the"
    yield "same neighbours, drift) is not wrong by its own lights where it differs: the table shows what happens to a"
    yield "reader who takes its verdict for this decision."
    yield ""
    cells = [(name, size) for name in _cases(answers) for size in sizes]
    yield "| tool | " + " | ".join(f"{name}, n = {size}" for name, size in cells) + " |"
    yield "|---" * (len(cells) + 1) + "|"
    for asked in answers:
        if asked.absent:
            yield f"| {asked.peer.name} | {asked.absent} " + "| " * len(cells) + "|"
        else:
            yield f"| {asked.peer.name} | " + " | ".join(_counts(asked, cell) for cell in cells) + " |"
    yield ""
    for asked in answers:
        for error, count in Counter(asked.errors).items():
            yield f"{asked.peer.name}: {error} ({count} ×)."
            yield ""


def _counts(asked: Asked, cell: tuple[str, int]) -> str:
    said = Counter(asked.peer.answers.get(word, "no rule") for word in asked.words.get(cell, []))
    if not said:
        return "–"
    right = RIGHT[CASES[cell[0]].answer]
    counts = [f"**{said[kind]}**" if kind == right else str(said[kind]) for kind in ("yes", "undecided", "no")]
    return " / ".join(counts) + (f" ({said['no rule']} other)" if said["no rule"] else "")


def _words(answers: Sequence[Asked], sizes: Sequence[int]) -> Iterator[str]:
    yield "## In their words"
    yield ""
    for asked in answers:
        if asked.absent:
            continue
        yield f"- **{asked.peer.name}**"
        for name in _cases(answers):
            for size in sizes:
                counted = Counter(asked.words.get((name, size), [])).most_common()
                said = ", ".join(f"`{word}` {count}" for word, count in counted) or "nothing"
                yield f"  - {name}, n = {size}: {said}"
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

"""The tables of docs/methods.md and docs/first-moment-loss.md, made again from the runs in docs/data.

``python docs/tables.py`` rewrites what stands between ``<!-- table SUITE CASE -->`` or ``<!-- paired SUITE METHOD OTHER
-->`` and ``<!-- end -->``; a test asks that nothing changes. Nothing is trained here.
"""

from __future__ import annotations

import json
import math
import re
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

from scipy import stats

from verification.suites.results import Result, Row, read_rows
from verification.suites.tables import disagreement, tally

DOCS = Path(__file__).parent
PAGES = ("methods.md", "first-moment-loss.md")
_BLOCK = re.compile(r"(<!-- (table|paired|counts|settings|costs)(.*?) -->\n).*?(<!-- end -->)", re.DOTALL)


def load(suite: str) -> list[Row]:
    """The runs of a suite, as `stationary evaluate --suite SUITE --json docs/data/SUITE.json` wrote them."""
    return read_rows(json.loads((DOCS / "data" / f"{suite}.json").read_text(encoding="utf-8"))["rows"])


def table(suite: str, case: str) -> str:
    """One case: means over seeds ± standard deviation."""
    rows = [row for row in load(suite) if row.case == case]
    header = ["method", "old → old", "new → old", "new → new", "AC [interval]", "AA", "gap 1a", "gap 1b", "drift", "s"]
    header += ["Def. 1", "Eq. 6"]
    return _markdown(header, [_cells(row) for row in rows])


def paired(suite: str, method: str, other: str) -> str:
    """Seed by seed ``method`` less ``other``: mean and 95 % t interval, for accuracy, gaps, in every case with both."""
    rows = {(row.case, row.label): row for row in load(suite)}
    cells = []
    for case in dict.fromkeys(name for name, _ in rows):
        if (case, method) in rows and (case, other) in rows:
            pair = rows[case, method], rows[case, other]
            cells.append([case, *(_difference(*pair, value) for value in _QUANTITIES.values())])
    return _markdown(["case", *_QUANTITIES], cells)


def counts(suite: str) -> str:
    """In how many pairs of models the two notions of compatibility are decided in opposite ways."""
    return disagreement([pair for row in load(suite) for pair in row.pairs]) + "\n"


def settings() -> str:
    """What the suite "tuning" found: accuracy of new → old, mean over cases, and the worst mean gap of 1a."""
    best = {label for label, *_ in map(chosen, ("hoc", "first-moment", "hoc+first-moment"))}
    cells = [
        [f"**{label}**" if label in best else label, f"{accuracy:.4f}", f"{gap:+.3f}"]
        for label, accuracy, gap in _tuned()
    ]
    return _markdown(["method (λ, µ) or (β, ε)", "new → old", "worst gap 1a"], cells)


def chosen(method: str) -> tuple[str, float, float]:
    """The most accurate setting among those whose gap of 1a is positive in every case; among all if there is none."""
    tried = [row for row in _tuned() if row[0].split("(")[0] == method]
    return max([row for row in tried if row[2] > 0] or tried, key=lambda row: (round(row[1], 9), row[2]))


def _tuned() -> list[tuple[str, float, float]]:
    rows = load("tuning")
    found = []
    for label in dict.fromkeys(row.label for row in rows):
        own = [row for row in rows if row.label == label]
        accuracy = statistics.fmean(row.accuracy(1, 0) for row in own)
        found.append((label, accuracy, min(row.mean("same_class") for row in own)))
    return found


def costs() -> str:
    """What `stationary bench-training --json docs/data/costs.json` found."""
    found = json.loads((DOCS / "data" / "costs.json").read_text(encoding="utf-8"))
    cells = [
        [row["name"], f"{1e3 * row['seconds']:.1f}", f"{row['ratio']:.3f}", f"{row['kept']:,} B"]
        for row in found["steps"]
    ]
    loop = found["loop"]
    line = (
        f"{loop['backbone']}, 32 × 32 pixels: {loop['images_per_second']:.1f} images/s in the training loop, "
        f"{loop['bare']:.1f} in a bare one, ratio {loop['ratio']:.3f}.\n"
    )
    return _markdown(["a step with", "ms", "ratio", "kept of the old model"], cells) + "\n" + line


def rewritten(text: str) -> str:
    """The page with every block made again."""
    makers: dict[str, Callable[..., str]] = {
        "table": table,
        "paired": paired,
        "counts": counts,
        "settings": settings,
        "costs": costs,
    }
    return _BLOCK.sub(lambda m: m[1] + makers[m[2]](*m[3].split()) + m[4], text)


_QUANTITIES: dict[str, Callable[[Result], float]] = {
    "new → old": lambda result: result.matrix[-1][0],
    "new → new": lambda result: result.matrix[-1][-1],
    "gap 1a": lambda result: result.same_class,
    "gap 1b": lambda result: result.different_class,
}


def _difference(one: Row, other: Row, value: Callable[[Result], float]) -> str:
    differences = [value(a) - value(b) for a, b in zip(one.results, other.results, strict=True)]
    mean, n = statistics.fmean(differences), len(differences)
    half = float(stats.t.ppf(0.975, n - 1)) * statistics.stdev(differences) / math.sqrt(n)
    return f"{mean:+.3f} ± {half:.3f}"


def _cells(row: Row) -> list[str]:
    last = len(row.results[0].matrix) - 1
    low, high = row.interval

    def mean(name: str, sign: str = "") -> str:
        return f"{row.mean(name):{sign}.3f} ± {row.spread(name):.3f}"

    return [
        row.label,
        *(f"{row.accuracy(t, k):.3f}" for t, k in ((0, 0), (last, 0), (last, last))),
        f"{row.mean('average_compatibility'):.2f} [{low:.2f}, {high:.2f}]",
        mean("average_accuracy"),
        mean("same_class", "+"),
        mean("different_class", "+"),
        f"{math.degrees(row.mean('drift')):.0f}° ± {math.degrees(row.spread('drift')):.0f}°",
        f"{row.mean('seconds'):.0f}",
        tally([pair.definition for pair in row.pairs]),
        tally([pair.matrix_criterion for pair in row.pairs]),
    ]


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    for page in PAGES:
        path = DOCS / page
        path.write_text(rewritten(path.read_text(encoding="utf-8")), encoding="utf-8")

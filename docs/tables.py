"""The tables of the pages in PAGES, made again from the runs in docs/data.

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

from verification.experiments.comparison import GRIDS, REFERENCE, Outcome, differences, mean_interval
from verification.experiments.suites.results import MethodResults, Result, read_rows
from verification.experiments.suites.tables import disagreement, tally

DOCS = Path(__file__).parent
PAGES = ("methods.md", "first-moment-loss.md", "gpu.md", "protocol.md", "calibration.md")
# slowest over quickest seed of a method beyond which wall time is not the method's
WAITED = 3.0
_BLOCK = re.compile(
    r"(<!-- (table|paired|counts|settings|costs|gpu|searches|order|planned|sampling)(.*?) -->\n).*?(<!-- end -->)",
    re.DOTALL,
)


def load(suite: str) -> list[MethodResults]:
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


def gpu() -> str:
    """What `python -m benchmarks.gpu` found, or that it was not run."""
    path = DOCS / "data" / "gpu.json"
    if not path.exists():
        return "Not measured yet: no GPU was at hand when this page was written.\n"
    found = json.loads(path.read_text(encoding="utf-8"))
    kernels = [
        [
            str(row["dim"]),
            f"{row['exact']:.6f}",
            f"{row['estimate']:.6f}",
            f"{row['off']:+.1f}",
            f"{row['off_from_cpu']:+.1f}",
            f"{row['pairs_per_second']:.2e}",
        ]
        for row in found["kernels"]
    ]
    steps = [
        [
            row["step"],
            "yes" if row["compiled"] else "no",
            f"{1e3 * row['seconds']:.1f}" if "seconds" in row else row["failed"],
        ]
        for row in found["steps"]
    ]
    loop, off = found["loop"], found["resumed"]["largest_difference"]
    return "\n".join(
        (
            f"{found['device']}, torch {found['torch']}; a copy moves {found['bytes_per_second'] / 1e9:.0f} GB/s.\n",
            _markdown(["dim", "exact", "GPU", "off, standard errors", "off from the CPU", "pairs per second"], kernels),
            _markdown(["a step of ResNet-18 in bf16 with", "compiled", "ms"], steps),
            f"ResNet-18, 32 × 32 pixels: {loop['images_per_second']:,.0f} images per second in the training loop, "
            f"{loop['bare']:,.0f} in a bare one, ratio {loop['ratio']:.3f}. A resumed run differs from a whole one by "
            f"at most {off:.1e} in a coordinate of a unit feature.\n",
        )
    )


_SEARCHES = [(score, classes) for classes in ("trained", "open") for score in ("nearest", "template")]


def searches(suite: str, case: str) -> str:
    """AC and AA of every method by both searches, on trained and on open classes: means over seeds."""
    rows = _searched(suite, case)
    if not rows:
        return f"Not measured yet: `stationary evaluate runs/{suite} --suite {suite} --json docs/data/{suite}.json`.\n"
    cells = []
    for row in rows:
        values = [[result.search(*which) for result in row.results] for which in _SEARCHES]
        cells.append(
            [row.label]
            + [
                f"{statistics.fmean(v.average_compatibility for v in found):.2f}, "
                f"{100 * statistics.fmean(v.average_accuracy for v in found):.1f}"
                for found in values
            ]
        )
    return _markdown(["AC, AA in %", *(f"{classes}, {score}" for score, classes in _SEARCHES)], cells)


def order(suite: str, case: str, other: str = "hoc") -> str:
    """AA of every method less that of ``other``, seed by seed, in points: mean and 95 % t interval."""
    rows = _searched(suite, case)
    if not rows:
        return "Not measured yet.\n"
    reference = next(row for row in rows if row.label == other)
    cells = []
    for row in rows:
        if row is not reference:
            pairs = [
                _difference(row, reference, lambda r, which=which: 100 * r.search(*which).average_accuracy, 1)  # type: ignore[misc]
                for which in _SEARCHES
            ]
            cells.append([row.label, *pairs])
    return _markdown([f"AA less that of {other}", *(f"{classes}, {score}" for score, classes in _SEARCHES)], cells)


def _searched(suite: str, case: str) -> list[MethodResults]:
    if not (DOCS / "data" / f"{suite}.json").exists():
        return []
    return [row for row in load(suite) if row.case == case]


def planned(what: str) -> str:
    """What `python -m verification.experiments.comparison` found: "settings", or "reported CASE", "hardened CASE"."""
    path = DOCS / "data" / "comparison.json"
    if not path.exists():
        return "Not measured yet.\n"
    found = json.loads(path.read_text(encoding="utf-8"))
    if what == "settings":
        cells = []
        for method, grid in GRIDS.items():
            settings = ", ".join(f"{name} = {value}" for name, value in found["settings"][method].items())
            cells.append([method, str(len(grid)), settings or "the defaults"])
        return _markdown(["method", "settings tried", "chosen"], cells)
    if what == "machines":
        machines = ", ".join(f"{m['device']} (torch {m['torch']}, numpy {m['numpy']})" for m in found["environments"])
        runs = sum(len(row["seeds"]) for kind in ("tuning", "reported", "hardened") for row in found[kind])
        return f"{runs} runs, on {machines}.\n"
    outcomes = [Outcome(**row) for kind in ("reported", "hardened") for row in found[kind] if row["case"] == what]
    return _compared(outcomes)


def _compared(outcomes: Sequence[Outcome]) -> str:
    """AA of each method less HOC's, in points, bold where it is decided; gaps of the last model against the first."""
    columns = sorted(outcomes[0].average_accuracy, key=lambda name: (name.split(", ")[1], name), reverse=True)
    columns.sort(key=lambda name: not name.endswith("open"))
    inside = [outcome for outcome in outcomes if outcome.label in GRIDS]
    reference = next(outcome for outcome in inside if outcome.label == REFERENCE)
    gains = {name: differences(inside, lambda o, name=name: o.average_accuracy[name]) for name in columns}  # type: ignore[misc]
    # what was not planned is not among what Holm corrects for
    gains |= {
        name: gains[name] | differences([reference, outcome], lambda o, name=name: o.average_accuracy[name])  # type: ignore[misc]
        for outcome in outcomes
        if outcome not in inside
        for name in columns
    }
    cells = []
    order = sorted(outcomes, key=lambda o: -statistics.fmean(o.average_accuracy[columns[0]]))
    for outcome in order:
        if outcome is reference:
            cells.append([f"{REFERENCE} (AA in %)"])
            cells[-1] += [f"{100 * statistics.fmean(outcome.average_accuracy[name]):.1f}" for name in columns]
        else:
            cells.append([outcome.label])
            for name in columns:
                gain = gains[name][outcome.label]
                text = f"{100 * gain.mean:+.1f} ± {100 * gain.half:.1f}"
                cells[-1].append(f"**{text}**" if gain.decided else text)
        for gap in (outcome.same_class, outcome.different_class, outcome.contrast):
            mean, half = mean_interval(gap)
            cells[-1].append(f"{mean:+.3f} ± {half:.3f}")
        ratio = statistics.median(outcome.seconds) / statistics.median(reference.seconds)
        # what was not planned was trained later, on another machine; other seeds waited for other work on theirs
        comparable = outcome in inside and max(outcome.seconds) <= WAITED * min(outcome.seconds)
        cells[-1].append(f"{ratio:.1f}" if comparable else "–")
    return _markdown(["method", *columns, "gap 1a", "gap 1b", "contrast gap", "time, HOC = 1"], cells)


def sampling(which: str) -> str:
    """Wrong decisive verdicts and coverage, in %, of `stationary calibrate --what sampling`.

    ``which`` is the population that verdicts are about, or "misread": what an audit of the wrong unit, or one that is
    read as about another population, does not promise.
    """
    found = json.loads((DOCS / "data" / "sampling.json").read_text(encoding="utf-8"))
    cells: dict[str, dict[str, str]] = {}
    for row in found["designs"]:
        name, wrong = row["name"], f"{100 * row['wrong']:.1f}"
        if which == "misread" and not row["promised"]:
            name += " (fixed read as drawn)" if row["population"] != row["read_as"] else ""
        elif row["promised"] and row["read_as"] == row["population"] == which:
            wrong += "" if row["covered"] is None else f" ({100 * row['covered']:.1f})"
        else:
            continue
        cells.setdefault(name, {})[row["claim"]] = wrong
    claims = list(dict.fromkeys(claim for own in cells.values() for claim in own))
    rows = [[name, *(own.get(claim, "–") for claim in claims)] for name, own in cells.items()]
    return _markdown([f"design, {found['runs']} audits each", *claims], rows)


def rewritten(text: str) -> str:
    """The page with every block made again."""
    makers: dict[str, Callable[..., str]] = {
        "table": table,
        "paired": paired,
        "counts": counts,
        "settings": settings,
        "costs": costs,
        "gpu": gpu,
        "searches": searches,
        "order": order,
        "planned": planned,
        "sampling": sampling,
    }
    return _BLOCK.sub(lambda m: m[1] + makers[m[2]](*m[3].split()) + m[4], text)


_QUANTITIES: dict[str, Callable[[Result], float]] = {
    "new → old": lambda result: result.matrix[-1][0],
    "new → new": lambda result: result.matrix[-1][-1],
    "gap 1a": lambda result: result.same_class,
    "gap 1b": lambda result: result.different_class,
}


def _difference(one: MethodResults, other: MethodResults, value: Callable[[Result], float], digits: int = 3) -> str:
    differences = [value(a) - value(b) for a, b in zip(one.results, other.results, strict=True)]
    if len(differences) < 2:
        return f"{differences[0]:+.{digits}f}"
    mean, half = mean_interval(differences)
    return f"{mean:+.{digits}f} ± {half:.{digits}f}"


def _cells(row: MethodResults) -> list[str]:
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

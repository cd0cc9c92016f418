"""The tables of docs/real-upgrades.md, made of docs/data/real-upgrades.json; a test asks that nothing changes.

``python -m benchmarks.real page`` rewrites what stands between ``<!-- real TABLE -->`` and ``<!-- end -->``.
"""

from __future__ import annotations

import json
import math
import re
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from theory.files import write_text

DOCS = Path(__file__).parents[2] / "docs"
PAGE, DATA = DOCS / "real-upgrades.md", DOCS / "data" / "real-upgrades.json"
REPEATED = DOCS / "data" / "repeated.json"
_BLOCK = re.compile(r"(<!-- real ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_MISSING = "not measured"


def rewritten(text: str, data: dict[str, Any]) -> str:
    """The page with its tables made again."""
    return _BLOCK.sub(lambda block: f"{block[1]}\n{TABLES[block[2]](data)}\n{block[3]}", text)


def decided() -> dict[str, Any]:
    """What was decided, and what :mod:`benchmarks.real.repeated` found."""
    data, repeated = (json.loads(path.read_text(encoding="utf-8")) for path in (DATA, REPEATED))
    return data | {"repeated": repeated}


def write() -> None:
    """Rewrite the page."""
    write_text(PAGE, rewritten(PAGE.read_text(encoding="utf-8"), decided()))


def relations(data: dict[str, Any]) -> str:
    """What `stationary check` says."""
    rows = [
        [name, found["about"], found["check"]["relation"] or _MISSING, _share(found["check"]["neighbours"])]
        for name, found in data["upgrades"].items()
    ]
    return _table(["upgrade", "what changes", "`check`", "neighbours kept"], rows)


def decisions(data: dict[str, Any]) -> str:
    """The default audit of the sample, its claims, and what the whole collection says of the same."""
    rows = []
    for name, found in data["upgrades"].items():
        if "sample" not in found:
            continue
        sample, whole = found["sample"], found["whole"]
        rows.append(
            [
                name,
                f"{sample['queries']:,}",
                f"**{sample['verdict']}**",
                " → ".join(f"{100 * value:.1f}" for value in sample["scores"]["recall@1"]),
                _points(sample["retrieval"]["fixed"]),
                f"{100 * (whole['recall'][1] - whole['recall'][0]):+.1f}",
                _agrees(sample["retrieval"]["verdict"], whole["recall"][1] - whole["recall"][0] >= -0.01),
            ]
        )
    head = ["upgrade", "queries", "verdict", "recall@1, %: old, new in the old gallery, new in a new one"]
    head += ["change, points", "the whole collection", "right?"]
    return _table(head, rows)


def distances(data: dict[str, Any]) -> str:
    """Definition 1 and the contrast at a margin of 1 % of the contrast."""
    rows = []
    for name, found in data["upgrades"].items():
        if "sample" not in found:
            continue
        sample, whole = found["sample"], found["whole"]
        row = [name]
        for claim in ("1a", "1b", "contrast"):
            row += [f"{_gap(sample[claim]['fixed'])} {sample[claim]['verdict']}", f"{whole[claim]:+.4f}"]
        rows.append([*row, f"{whole['old contrast']:.3f}"])
    head = ["upgrade", "1a, sample", "whole", "1b, sample", "whole", "contrast, sample", "whole", "old contrast"]
    return _table(head, rows)


def thresholds(data: dict[str, Any]) -> str:
    """The threshold at which old queries have FAR 1e−3."""
    rows = []
    for name, found in data["upgrades"].items():
        if "threshold" not in found:
            continue
        own, whole = found["threshold"].get("threshold"), found["whole"]
        if own is None:
            rows.append([name, found["threshold"].get("said") or _MISSING, *[""] * 5])
            continue
        rows.append(
            [
                name,
                own["verdict"],
                f"{own['at']:.3f}",
                f"{own['old far']:.1e} → {own['new far']:.1e}",
                " → ".join(f"{rate:.1e}" for rate in whole["far"]),
                f"{own['old tar']:.4f} → {own['new tar']:.4f}",
                f"{own['keeps FAR']:.3f}",
            ]
        )
    head = ["upgrade", "verdict", "old threshold", "FAR", "FAR in the whole", "TAR", "threshold that keeps FAR"]
    return _table(head, rows)


def judged(data: dict[str, Any]) -> str:
    """Names searched among descriptions."""
    rows = []
    for name, found in data["upgrades"].items():
        if "scores" in (own := found.get("qrels", {})):
            scores = own["scores"]
            rows.append(
                [
                    name,
                    f"{own['queries']:,}",
                    f"**{own['verdict']}**",
                    _points(own["retrieval"]["fixed"]),
                    *(" → ".join(f"{value:.3f}" for value in scores[score]) for score in ("hit@1", "nDCG@10")),
                ]
            )
    head = ["upgrade", "queries", "verdict", "hit@1, points", "hit@1: old, new in the old gallery, new in a new one"]
    return _table([*head, "nDCG@10, the same"], rows)


def bridges(data: dict[str, Any]) -> str:
    """Verdicts through the best map, at a margin of 5 % of the contrast."""
    rows = []
    for name, found in data["upgrades"].items():
        own = found["bridge"]
        if own["status"] == 2:
            rows.append([name, own["said"], "", "", ""])
            continue
        recall = own.get("recall")
        rows.append(
            [
                name,
                own["sentence"],
                f"{own['all_classes'] or '–'} / {own['held_out'] or '–'}",
                "–" if recall is None else " / ".join(f"{100 * value:.1f}" for value in recall),
                # the margin is 5 % of the contrast
                "–" if own["needed_margin"] is None else f"{5.0 * own['needed_margin'] / own['margin']:.1f}",
            ]
        )
    head = [
        "upgrade",
        "`bridge fit`",
        "all classes / held-out classes",
        "recall@1, %: old, mapped, new",
        "margin needed, % of the contrast",
    ]
    return _table(head, rows)


def calibration(data: dict[str, Any]) -> str:
    """Share of false verdicts at a margin of the true loss."""
    rows = []
    for cell in data["calibration"]:
        for claim in cell["claims"]:
            if cell["draw"] == "classes" and claim["population"] == "fixed":
                continue
            wrong = claim["compatible"] + claim["incompatible"]
            promised, audits = claim["promised"], claim["audits"]
            # above what is promised by more than three standard errors of a count
            high = wrong > promised + 3.0 * math.sqrt(promised * (1.0 - promised) / audits)
            rows.append(
                [
                    cell["upgrade"],
                    cell["draw"],
                    claim["claim"],
                    f"{claim['truth']:+.4f}",
                    f"{100 * claim['compatible']:.1f}",
                    f"{100 * claim['incompatible']:.1f}",
                    f"**{100 * wrong:.1f}**" if high else f"{100 * wrong:.1f}",
                    f"{100 * promised:.1f}",
                    "–" if claim["width"] is None else f"{claim['width']:.2f}",
                    f"{audits}",
                ]
            )
    head = [
        "upgrade",
        "drawn",
        "claim",
        "truth",
        "compatible",
        "incompatible",
        "wrong, %",
        "promised",
        "width",
        "audits",
    ]
    return _table(head, rows)


def pooled(data: dict[str, Any]) -> str:
    """Wrong verdicts of each claim and way to draw, over all upgrades."""
    totals: dict[tuple[str, str], list[float]] = {}
    for cell in data["calibration"]:
        for claim in cell["claims"]:
            if cell["draw"] == "classes" and claim["population"] == "fixed":
                continue
            own = totals.setdefault((claim["claim"], cell["draw"]), [0.0, 0.0, 0.0, claim["promised"]])
            # an interval without bounds is never wrong
            own[0] += claim["audits"] * (1.0 - claim["unbounded"])
            own[1] += claim["audits"] * claim["compatible"]
            own[2] += claim["audits"] * claim["incompatible"]
    rows = [
        [
            claim,
            draw,
            f"{audits:.0f}",
            *(f"{100 * share:.1f}" for share in (yes / audits, no / audits)),
            _rate((yes + no) / audits, audits),
            f"{100 * promised:.1f}",
        ]
        for (claim, draw), (audits, yes, no, promised) in sorted(totals.items())
    ]
    return _table(["claim", "drawn", "audits", "compatible", "incompatible", "wrong, %", "promised"], rows)


def largest(data: dict[str, Any]) -> str:
    """Wrong verdicts with groups, by the largest group of the sample."""
    rows = [
        [claim, *(f"{100 * wrong / audits:.1f} of {audits}" if audits else "–" for audits, wrong in counts)]
        for claim, counts in data["by largest"].items()
    ]
    return _table(["claim, wrong in % of audits", "under 30 rows", "30 to 99", "100 or more"], rows)


def again(data: dict[str, Any]) -> str:
    """all-MiniLM-L6 tuned again: mean over the seeds, the least and the most."""
    return _repeated(data, "minilm-l6")


def simplex(data: dict[str, Any]) -> str:
    """The same of an encoder that was tuned for a fixed simplex."""
    return _repeated(data, "simplex")


def _repeated(data: dict[str, Any], old: str) -> str:
    runs = [run for run in data["repeated"]["runs"] if run["old"] == old]
    called = {"ce": "cross-entropy", "hoc": "HOC", "first-moment": "first moment"}
    rows = []
    for name in dict.fromkeys(run["update"] for run in runs):
        for epochs in sorted({run["epochs"] for run in runs}):
            own = [run for run in runs if (run["update"], run["epochs"]) == (name, epochs)]
            columns = (
                [100 * (run["recall"][1] - run["recall"][0]) for run in own],
                [100 * (run["recall again"] - run["recall"][0]) for run in own],
                [100 * (run["names"][1] - run["names"][0]) for run in own],
                *([100 * run[claim] / run["old contrast"] for run in own] for claim in ("1a", "contrast")),
                [100 * (run["tar"][1] - run["tar"][0]) for run in own],
            )
            accepted = _ranged([1e3 * run["far"][1] for run in own], ".2f")
            rows.append([called.get(name, name), str(epochs), *map(_ranged, columns), accepted])
    head = ["update", "epochs", "recall@1 by section, old gallery", "new gallery", "search by name", "1a"]
    return _table([*head, "contrast", "true accepts", "false accepts, ‰"], rows)


def provenance(data: dict[str, Any]) -> str:
    """What made the tables, and rows, dimension and digest of each file of features."""
    inputs = {
        (found["collection"], encoder): own
        for found in data["upgrades"].values()
        for encoder, own in found["inputs"].items()
    }
    rows = [
        [collection, encoder, f"{own['rows']:,}", str(own["dim"]), f"`{own['sha256'][:16]}`"]
        for (collection, encoder), own in sorted(inputs.items())
    ]
    table = _table(["collection", "encoder", "rows", "dim", "SHA-256, its beginning"], rows)
    return f"{_made(data)}\n\n{table}"


def _made(data: dict[str, Any]) -> str:
    """Which states of the code made the tables."""
    whats = {"Whole collections and samples": [found["made"] for found in data["upgrades"].values()]}
    whats["Subsamples"] = [data["calibration made"]]
    states = {
        what: sorted({f"version {m['version']} of {m['date'][:10]}, sources `{m['code'][:16]}`" for m in own})
        for what, own in whats.items()
    }
    return " ".join(f"{what} were audited by {' and '.join(own)}." for what, own in states.items())


TABLES: dict[str, Callable[[dict[str, Any]], str]] = {
    "relations": relations,
    "decisions": decisions,
    "distances": distances,
    "thresholds": thresholds,
    "judged": judged,
    "bridges": bridges,
    "calibration": calibration,
    "pooled": pooled,
    "largest": largest,
    "again": again,
    "simplex": simplex,
    "provenance": provenance,
}


def _ranged(values: Sequence[float], digits: str = "+.1f") -> str:
    """Mean of what each seed found, the least and the most."""
    mean, least, most = (format(value, digits) for value in (statistics.fmean(values), min(values), max(values)))
    return f"{mean} [{least}, {most}]"


def _points(interval: Sequence[float]) -> str:
    value, lower, upper = (100.0 * bound for bound in interval)
    return f"{value:+.1f} [{lower:+.1f}, {upper:+.1f}]"


def _gap(interval: Sequence[float]) -> str:
    value, lower, upper = interval
    return f"{value:+.4f} [{lower:+.4f}, {upper:+.4f}]"


def _share(interval: Sequence[float] | None) -> str:
    return "–" if interval is None else f"{100 * interval[0]:.0f} %"


def _rate(share: float, count: float) -> str:
    """Share with Wilson's 95 % interval, which has a width at 0 too."""
    z2 = 1.96**2
    centre = (share + z2 / (2.0 * count)) / (1.0 + z2 / count)
    half = math.sqrt(z2 * (share * (1.0 - share) + z2 / (4.0 * count)) / count) / (1.0 + z2 / count)
    return f"{100 * share:.1f} [{100 * max(centre - half, 0.0):.1f}, {100 * (centre + half):.1f}]"


def _agrees(verdict: str, truly: bool) -> str:
    if verdict == "inconclusive":
        return "undecided"
    return "yes" if (verdict == "compatible") == truly else "**no**"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)

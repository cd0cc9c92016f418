"""Decide on each real upgrade with the commands that a user types, on a sample of it and on its whole collection.

The whole collection is the truth that the sample is held against: its point estimates are facts about these samples.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from benchmarks.real import environment
from benchmarks.real.features import digests, path_of
from benchmarks.real.pairs import facts
from theory.files import write_text
from verification import FeatureSet, Upgrade
from verification.audit.definition1 import judge_definition1
from verification.audit.margin import Margin
from verification.reporting import made
from verification.statistics.interval import Population

# of the independent units of each class, in the sample that is audited; six of eight fonts, as a map needs six
SHARE = {"sections": 1 / 8, "sources": 1 / 2, "files": 1 / 4, "words": 3 / 4}
FAR = 1e-3
# that compete
MAPS = "orthogonal,ridge"
# seconds that one command may take
LIMIT = 1800.0


@dataclass(frozen=True)
class Real:
    """An upgrade between two encoders.

    Attributes
    ----------
    name : str
        As the page calls it.
    old, new : str
        Encoders.
    collection : str
        What is embedded and audited.
    about : str
        What kind of change it is.
    """

    name: str
    old: str
    new: str
    collection: str
    about: str

    def there(self, cache: Path) -> bool:
        """Whether both models' features are."""
        return all(path_of(cache, encoder, self.collection).exists() for encoder in (self.old, self.new))

    def load(self, cache: Path, collection: str | None = None) -> tuple[FeatureSet, FeatureSet]:
        """New and old features."""
        new, old = (
            FeatureSet.load(str(path_of(cache, encoder, collection or self.collection)))
            for encoder in (self.new, self.old)
        )
        return new, old


UPGRADES = (
    Real("L3 → L6", "minilm-l3", "minilm-l6", "sections", "paraphrase-MiniLM-L3 replaced by all-MiniLM-L6, 384-d both"),
    Real("L6 → int8", "minilm-l6", "minilm-l6-int8", "sources", "all-MiniLM-L6 in float32, then with int8 weights"),
    Real("L6 → head", "minilm-l6", "head-ce", "sections", "a linear head on L6, cross-entropy to the sections"),
    Real("L6 → head, HOC", "minilm-l6", "head-hoc", "sections", "the same head with the HOC loss to L6"),
    Real("L6 → head, first moment", "minilm-l6", "head-first-moment", "sections", "with the first-moment loss"),
    Real("L6 → whole", "minilm-l6", "whole-ce", "sections", "every weight of L6 tuned to the sections, cross-entropy"),
    Real("L6 → whole, HOC", "minilm-l6", "whole-hoc", "sections", "the same weights with the HOC loss to L6"),
    Real("L6 → whole, first moment", "minilm-l6", "whole-first-moment", "sections", "with the first-moment loss"),
    Real("simplex → simplex", "simplex-old", "simplex-new", "sections", "heads for a fixed simplex, HOC, more texts"),
    Real("wordllama → L6", "wordllama", "minilm-l6", "sections", "256-d token vectors replaced by L6, 384-d"),
    Real("magika 0.5.1 → 1.0.3", "magika-0.5.1", "magika-1.0.3", "files", "two releases, 256-d and 512-d"),
    Real("ddddocr old → new", "ddddocr-old", "ddddocr-new", "words", "the two networks of one release"),
)


def choose(labels: ndarray, groups: ndarray, share: float, rng: np.random.Generator) -> Int[ndarray, " n"]:
    """Rows of a share of each class's units, two at least: a unit is all rows of one label and one group."""
    classes = np.unique(labels, return_inverse=True)[1].ravel()
    names = np.unique(groups, return_inverse=True)[1].ravel()
    unit = np.unique(classes * (names.max() + 1) + names, return_inverse=True)[1].ravel()
    order = rng.permutation(unit.max() + 1)[unit]
    kept = [np.unique(order[classes == c]) for c in range(classes.max() + 1)]
    return np.flatnonzero(np.isin(order, np.concatenate([own[: max(2, round(share * len(own)))] for own in kept])))


def decide(cache: Path, page_data: Path, only: Sequence[str] = ()) -> None:
    """Run every command on every upgrade, or on some; what was decided of the same features by the same code stays."""
    known, now = dict(digests(cache)), made_by()
    for real in UPGRADES:
        if only and real.name not in only:
            continue
        if not real.there(cache):
            print(f"{real.name}: not measured, features are missing.")
            continue
        inputs = {encoder: known[f"{real.collection}.{encoder}"] for encoder in (real.new, real.old)}
        before = _kept(page_data)["upgrades"].get(real.name, {})
        if before.get("inputs") == inputs and before.get("made", {}).get("code") == now["code"]:
            continue
        about = {"about": real.about, "collection": real.collection, "inputs": inputs, "made": now}
        found = about | dict(_decisions(cache, real))
        kept = _kept(page_data)
        kept["upgrades"][real.name] = found
        # as the page lists them
        kept["upgrades"] = {
            each.name: kept["upgrades"][each.name] for each in UPGRADES if each.name in kept["upgrades"]
        }
        write_text(page_data, json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
        print(f"{real.name}: done", flush=True)


def made_by() -> dict[str, str]:
    """Version, date, and one SHA-256 of all sources that decide: a table holds what one state of them found."""
    root, sources = Path(__file__).parents[2], hashlib.sha256()
    for package in ("theory", "verification", "stationary"):
        for path in sorted((root / package).rglob("*.py")):
            sources.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    version, date = made()
    return {"version": version, "date": date, "code": sources.hexdigest()}


def _kept(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"upgrades": {}}


def _decisions(cache: Path, real: Real) -> Iterator[tuple[str, dict[str, Any]]]:
    new, old = real.load(cache)
    assert old.labels is not None
    assert old.groups is not None
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder)
        rows = choose(old.labels, old.groups, SHARE[real.collection], np.random.default_rng(0))
        for name, features in (("new", new), ("old", old)):
            features.select(rows).save(part / f"{name}.npz")
        sample = [str(part / "new.npz"), str(part / "old.npz")]
        yield "check", _check(run(["check", *sample]))
        if new.dim == old.dim:
            yield "sample", audited(run(["audit", *sample]))
            yield "threshold", (found := audited(run(["audit", *sample, "--far", str(FAR), "--decide", "threshold"])))
            yield "whole", known_of(Upgrade(new, old), found.get("threshold", {}).get("at", 1.0))
            if real.collection == "sections":
                yield "qrels", audited(run(_judged_search(cache, real, part)))
        yield "bridge", _bridge(run(["bridge", "fit", *sample, "--margin", "5%", "--maps", MAPS]))


def _judged_search(cache: Path, real: Real, folder: Path) -> list[str]:
    """Names as queries, which have no label and no group: what answers them was judged."""
    for when, names in zip(("new", "old"), real.load(cache, "names"), strict=True):
        FeatureSet(names.features, ids=names.ids).save(folder / f"names-{when}.npz")
    gallery, again = (str(path_of(cache, encoder, "sections")) for encoder in (real.old, real.new))
    judged = str(cache / "collections" / "names.qrels")
    queries = [str(folder / f"names-{when}.npz") for when in ("new", "old")]
    return ["audit", *queries, "--gallery", gallery, "--new-gallery", again, "--qrels", judged]


def run(arguments: Sequence[str]) -> dict[str, Any]:
    """The report of a command, with its status, its last words on stderr and the seconds of a processor."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.json"
        command = [sys.executable, "-m", "stationary", *arguments, "--json", str(path)]
        start = os.times()
        env = environment.quiet() | {"PYTHONPATH": str(Path(__file__).parents[2])}
        began = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=LIMIT)
        end = os.times()
        report = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    spent = end.children_user + end.children_system - start.children_user - start.children_system
    print(f"  {arguments[0]}: status {done.returncode}, {spent:.0f} s of a processor, {time.monotonic() - began:.0f} s")
    return report | {"status": done.returncode, "said": done.stderr.strip()[-300:], "seconds": round(spent, 1)}


def known_of(upgrade: Upgrade, threshold: float) -> dict[str, Any]:
    """What is true of the whole collection."""
    report = judge_definition1(upgrade, "sqeuclidean", 0.95, Margin(0.0), "pairs", Population.fixed)
    sides = {"1a": report.same_class, "1b": report.different_class, "contrast": report.contrast_gap}
    known = facts(upgrade, threshold)
    rates = {name: [_short(value) for value in getattr(known, name)] for name in ("far", "tar", "recall")}
    return (
        {name: _short(side.value) for name, side in sides.items() if side is not None}
        | rates
        | {"old contrast": _short(report.contrast)}
    )


def _check(report: dict[str, Any]) -> dict[str, Any]:
    kept = {name: report.get(name) for name in ("status", "seconds", "relation", "sentence", "next_step")}
    return kept | {"neighbours": _interval(report.get("neighbours"))}


def audited(report: dict[str, Any]) -> dict[str, Any]:
    """What the page shows of a report of an audit."""
    kept = {name: report.get(name) for name in ("status", "seconds", "verdict", "decided_by", "summary")}
    if report["status"] == 2:
        return kept | {"said": report["said"]}
    if report.get("definition1"):
        own = report["definition1"]
        sides = {"1a": own["same_class"], "1b": own["different_class"], "contrast": own["contrast_gap"]}
        kept |= {name: _judged(side) for name, side in sides.items()}
        kept |= {"margin": own["margin"], "old contrast": own["contrast"], "samples": own["num_samples"]}
    if report.get("retrieval"):
        own = report["retrieval"]
        kept["retrieval"] = _judged(own["change"])
        scores = {score["name"]: [score[key] for key in ("old_old", "new_old", "new_new")] for score in own["scores"]}
        kept |= {"scores": scores, "queries": own["num_queries"]}
    if report.get("thresholds"):
        own = report["thresholds"]
        kept["threshold"] = {"verdict": own["verdict"], "at": own["threshold"], "keeps FAR": own["kept"]["threshold"]}
        rates = {f"{when} {rate}": own[f"{when}_{rate}"]["value"] for when in ("old", "new") for rate in ("far", "tar")}
        kept["threshold"] |= rates | {"accepted pairs": own["accepted_pairs"]}
    return kept


def _bridge(report: dict[str, Any]) -> dict[str, Any]:
    kept = {name: report.get(name) for name in ("status", "seconds", "verdict", "kind", "sentence", "needed_margin")}
    if report["status"] == 2:
        return kept | {"said": report["said"]}
    kept["margin"] = report["margin"]
    for name in ("all_classes", "held_out"):
        kept[name] = None if report[name] is None else report[name]["verdict"]
    if cost := report.get("cost"):
        kept["recall"] = [cost[name] for name in ("old_old", "mapped", "new_new")]
    return kept


def _judged(side: dict[str, Any]) -> dict[str, Any]:
    return {
        "fixed": _interval(side["fixed"]),
        "drawn": _interval(side["drawn"]),
        "verdict": side["verdict"],
        "drawn verdict": side["other_verdict"],
    }


def _interval(found: dict[str, Any] | None) -> list[float | None] | None:
    return None if found is None else [_short(found[name]) for name in ("value", "lower", "upper")]


def _short(number: float | None) -> float | None:
    return None if number is None else float(f"{number:.6g}")

"""Are an audit's intervals right on real embeddings? Audits of subsamples, held against the whole collection.

The whole collection is a population whose changes are known exactly: of mean distances, of their contrast, of recall@1
in a gallery, of false and true accepts at a threshold. A subsample is what an engineer would have, and its intervals
should miss the truth as rarely as they promise. With a margin of exactly the true loss every definite verdict is false:
it is "compatible" when the interval lies above the truth, and "incompatible" when it lies below.

There are three ways to draw: rows of each section; source packages of each section, with all their rows, as groups;
whole classes, where every source package is a class, for statements about new classes. Recall of samples that search
each other depends on how many there are, so there the truth is the mean over all subsamples.

A rise of the false accept rate is judged as a share of the old rate, so its margin is a share as well. Here that share
may be negative, a fall that is asked for, because most real upgrades accept fewer pairs at the old threshold.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from unittest.mock import patch

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from benchmarks.real.features import digests
from benchmarks.real.pairs import facts
from benchmarks.real.upgrades import UPGRADES, Real, choose, made_by
from theory.files import write_text
from verification import FeatureSet, Upgrade
from verification.audit import retrieval
from verification.audit.definition1 import judge_sides, side_confidence
from verification.audit.margin import Margin
from verification.audit.retrieval import compare_retrieval
from verification.audit.thresholds import compare_thresholds
from verification.statistics.gaps import estimate
from verification.statistics.interval import Change, Criterion, Interval
from verification.statistics.paired import both_intervals
from verification.statistics.rows import stream

CONFIDENCE = 0.95
# of the units of each section; classes; share of the groups that are searched and not asked
SHARE, CLASSES, GALLERY = 1 / 20, 60, 1 / 8
# of old queries at the threshold, and the rows that it is taken from
FAR, PROBED = 1e-2, 2000
# a fall of all false accepts but these is not counted as a share: a subsample holds none of them
ALL = 0.999
# rows of the largest group in a sample, from which on it is counted by itself
LARGEST = (30, 100)
# the sum over thousands of rows is rounded in another order than that over all of them
SLACK = 1e-12
# of so many audits one looks at all pairs, for thresholds and for samples that search each other
SLOW = 3
Draw = Literal["samples", "groups", "classes"]
CELLS: tuple[tuple[str, Draw], ...] = (
    ("L3 → L6", "groups"),
    ("L3 → L6", "classes"),
    ("L3 → L6", "samples"),
    ("L6 → int8", "classes"),
    ("L6 → head", "groups"),
    ("L6 → head, HOC", "groups"),
    ("L6 → head, HOC", "classes"),
    ("simplex → simplex", "groups"),
)


@dataclass(frozen=True)
class Whole:
    """A whole collection by two models, and how it is drawn from."""

    new: FeatureSet
    old: FeatureSet
    draw: Draw

    @classmethod
    def load(cls, cache: Path, real: Real, draw: Draw) -> Whole:
        """Without groups, rows are what is drawn; of sources, each class is one, and its rows are all there is."""
        new, old = real.load(cache, "sources" if draw == "classes" else "sections")
        if draw != "groups":
            new, old = (FeatureSet(each.features, each.labels, ids=each.ids) for each in (new, old))
        return cls(new, old, draw)

    @cached_property
    def groups(self) -> ndarray:
        """The source package of each row, or its own id."""
        found = self.old.groups if self.old.groups is not None else self.old.ids
        assert found is not None
        return found

    @cached_property
    def searched(self) -> Bool[ndarray, " n"]:
        """Rows of the gallery: of sections some whole groups, of a source every second description."""
        rng = np.random.default_rng(1)
        if self.draw == "classes":
            return self.rank % 2 == 1
        names = np.unique(self.groups)
        return np.isin(self.groups, names[rng.random(len(names)) < GALLERY])

    @property
    def rank(self) -> Int[ndarray, " n"]:
        """0, 1, … for the rows of each class, in their order."""
        order = np.argsort(self.old.codes, kind="stable")
        sizes = np.bincount(self.old.codes)
        rank = np.empty(len(order), dtype=np.intp)
        rank[order] = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return rank

    @cached_property
    def asked(self) -> Bool[ndarray, " n"]:
        """Rows that are queries of a gallery: those of no group that is in it."""
        if self.draw == "classes":
            return ~self.searched
        return ~np.isin(self.groups, self.groups[self.searched])

    @cached_property
    def threshold(self) -> float:
        """The old accept threshold: of some thousand rows, old queries have the false accept rate."""
        rows = np.random.default_rng(2).permutation(len(self.old))[:PROBED]
        unit, codes = self.old.unit[rows], self.old.codes[rows]
        return float(np.quantile((unit @ unit.T)[codes[:, None] != codes], 1.0 - FAR))

    def rows(self, rng: np.random.Generator, of: Bool[ndarray, " n"] | None = None) -> Int[ndarray, " m"]:
        """A subsample of the rows, or of some of them."""
        here = np.arange(len(self.old)) if of is None else np.flatnonzero(of)
        assert self.old.labels is not None
        if self.draw == "classes":
            names = np.unique(self.old.labels)
            return here[np.isin(self.old.labels[here], rng.permutation(names)[:CLASSES])]
        return here[choose(self.old.labels[here], self.groups[here], SHARE, rng)]

    def upgrade(self, rows: Int[ndarray, " m"] | None = None) -> Upgrade:
        """Samples that are paired with each other."""
        every = np.arange(len(self.old)) if rows is None else rows
        return Upgrade(self.new.select(every), self.old.select(every))

    @cached_property
    def hits(self) -> Float[ndarray, " n"]:
        """New less old hit of each row in the gallery, which is what it is and not drawn; NaN of its own rows."""
        codes, found = self.old.codes, np.full(len(self.old), np.nan)
        asked, items = np.flatnonzero(self.asked), np.flatnonzero(self.searched)
        hits = [
            codes[items[(rows.unit[asked] @ self.old.unit[items].T).argmax(axis=1)]] == codes[asked]
            for rows in (self.new, self.old)
        ]
        found[asked] = hits[0].astype(np.float64) - hits[1]
        return found

    def recall(self, rows: Int[ndarray, " m"]) -> Change:
        """Intervals of the change of recall@1 of some queries, as an audit with a gallery has them."""
        values, codes = self.hits[rows], self.old.codes[rows]
        # the rows of one class and one group are drawn together
        groups = np.unique(self.groups[rows], return_inverse=True)[1].ravel() if self.draw == "groups" else None
        units = None if groups is None else codes * (groups.max() + 1) + groups
        fixed, drawn = both_intervals(values, 1.0 - CONFIDENCE, units, codes)
        value = float(values.mean())
        return Change(
            fixed=Interval(value=value, lower=fixed[0], upper=fixed[1], confidence=CONFIDENCE),
            drawn=Interval(value=value, lower=drawn[0], upper=drawn[1], confidence=CONFIDENCE),
        )

    @cached_property
    def truth(self) -> dict[str, float]:
        """What the whole collection says; as gaps are, positive is better."""
        found = {name: change.fixed.value for name, change in sides(self.upgrade()).items()}
        found["recall@1"] = float(self.hits[self.asked].mean())
        known = facts(self.upgrade(), self.threshold)
        before, after = known.far
        changes = {"FAR": 1.0 - after / before, "FAR, difference": before - after, "TAR": known.tar[1] - known.tar[0]}
        return found | changes


def sides(upgrade: Upgrade) -> dict[str, Change]:
    """Definition 1 and the contrast, where every pair counts once; of groups also where every class does.

    Without groups, all classes have the same number of rows, and both are nearly one.
    """
    upgrade.check_pairs()
    gaps, _ = estimate(upgrade.statistics())
    found: dict[str, Change] = {}
    for weights, name in (("pairs", ""), ("classes", ", --weights classes"))[: 2 if upgrade.grouped else 1]:
        judged = judge_sides(
            gaps[weights],
            Criterion(confidence=side_confidence(CONFIDENCE)),
            contrast=Criterion(confidence=CONFIDENCE),
            unit="group" if upgrade.grouped else "sample",
        )
        assert judged.contrast is not None
        found |= {
            f"1a{name}": judged.same_class,
            f"1b{name}": judged.different_class,
            f"contrast{name}": judged.contrast,
        }
    return found


def audit(whole: Whole, seed: int) -> dict[str, Any]:
    """Intervals of every claim from one subsample."""
    upgrade = whole.upgrade(whole.rows(stream(seed, "real: samples")))
    found = sides(upgrade)
    found["recall@1"] = whole.recall(whole.rows(stream(seed, "real: queries"), whole.asked))
    if seed % SLOW:
        return {name: intervals(change) for name, change in found.items()}
    # mean average precision is not judged, and ranking for it would take most of the time
    with patch.object(retrieval, "RANKED_PAIRS", 1):
        found["recall@1, each other"] = compare_retrieval(upgrade, confidence=CONFIDENCE).change
    return {name: intervals(change) for name, change in found.items()} | rates(whole, upgrade)


def rates(whole: Whole, upgrade: Upgrade) -> dict[str, dict[str, list[float]]]:
    """Intervals of both rates at the threshold.

    ``FAR`` is the fall of the false accept rate as a share of the old rate, judged at a margin of the true share;
    ``FAR, difference`` is what a report without a margin says of the fall itself.
    """
    fall = whole.truth["FAR"]
    with patch.object(Margin, "parse", lambda _, name: Margin(-fall if "FAR" in name else 0.0)):
        at_truth = compare_thresholds(upgrade, threshold=whole.threshold, confidence=CONFIDENCE)
    plain = compare_thresholds(upgrade, threshold=whole.threshold, confidence=CONFIDENCE)
    shares = intervals(at_truth.far_change.flipped())
    old = at_truth.old_far.value
    return {
        # the change is the new rate less 1 − fall of the old one
        "FAR": {name: [fall + bound / old for bound in own] for name, own in shares.items()},
        "FAR, difference": intervals(plain.far_change.flipped()),
        "TAR": intervals(plain.tar_change),
    }


def intervals(change: Change) -> dict[str, list[float]]:
    """Value, lower and upper bound for these classes and for new ones."""
    pair = {"fixed": change.fixed, "drawn": change.drawn}
    return {name: [own.value, own.lower, own.upper] for name, own in pair.items()}


def calibrate(cache: Path, page_data: Path, audits: int) -> None:
    """Audit subsamples of every cell, one of each in turn; what was audited stays, and the rest can go on later."""
    known = dict(digests(cache))
    reals = {real.name: real for real in UPGRADES}
    wholes: dict[tuple[str, Draw], Whole] = {}
    for cell in CELLS:
        collection = "sources" if cell[1] == "classes" else "sections"
        if all(f"{collection}.{encoder}" in known for encoder in (reals[cell[0]].old, reals[cell[0]].new)):
            wholes[cell] = Whole.load(cache, reals[cell[0]], cell[1])
    folder = cache / "audits"
    folder.mkdir(exist_ok=True)
    paths = {cell: _path(folder, cell) for cell in wholes}
    made = made_by()
    for cell, path in paths.items():
        if not path.exists():
            path.write_text(json.dumps({"made": made, "truth": wholes[cell].truth}) + "\n")
        first, *done = path.read_text().splitlines()
        if len(done) < audits and json.loads(first)["made"]["code"] != made["code"]:
            raise SystemExit(f"{path} holds audits by other code: move {folder} away to count those of today's code.")
        wholes[cell].__dict__["truth"] = json.loads(first)["truth"]
    for seed in range(audits):
        for cell, path in paths.items():
            if len(path.read_text().splitlines()) - 1 <= seed:
                line = json.dumps(audit(wholes[cell], seed))
                with path.open("a") as file:
                    file.write(line + "\n")
    count(cache, page_data)


def count(cache: Path, page_data: Path) -> None:
    """Count the audits that are there, whether or not more were wanted; they have to be of one code."""
    paths = {cell: path for cell in CELLS if (path := _path(cache / "audits", cell)).exists()}
    made = [json.loads(path.read_text().splitlines()[0])["made"] for path in paths.values()]
    if len({each["code"] for each in made}) > 1:
        raise SystemExit(f"{cache / 'audits'} holds audits by several states of the code: move it away.")
    cells = [summary(cell, path) for cell, path in paths.items()]
    kept = json.loads(page_data.read_text(encoding="utf-8"))
    kept |= {"calibration": cells, "calibration made": made[0], "by largest": by_largest(cache, paths)}
    write_text(page_data, json.dumps(kept, indent=1, ensure_ascii=False) + "\n")


def _path(folder: Path, cell: tuple[str, Draw]) -> Path:
    return folder / f"{cell[0].replace(' → ', '-').replace(' ', '-').replace(',', '')}.{cell[1]}.jsonl"


def by_largest(cache: Path, paths: Mapping[tuple[str, Draw], Path]) -> dict[str, list[list[int]]]:
    """Of each claim with groups, audits and misses by the rows of the largest group that the sample holds.

    The bounds are those of :data:`LARGEST`. Upgrades of one collection share their draws.
    """
    cells = [cell for cell in paths if cell[1] == "groups"]
    if not cells:
        return {}
    whole = Whole.load(cache, next(real for real in UPGRADES if real.name == cells[0][0]), "groups")
    sizes: list[int] = []
    counts: dict[str, list[list[int]]] = {}
    for cell in cells:
        truth, lines = _read(paths[cell])
        for seed, line in enumerate(lines):
            if seed == len(sizes):
                drawn = whole.rows(stream(seed, "real: samples"))
                names = np.unique(whole.groups[drawn], return_inverse=True)[1].ravel()
                sizes.append(int(np.bincount(whole.old.codes[drawn] * (names.max() + 1) + names).max()))
            for name in set(line) & set(truth) - {"FAR"}:
                _, lower, upper = line[name]["fixed"]
                bins = counts.setdefault(name, [[0, 0] for _ in range(len(LARGEST) + 1)])
                own = bins[int(np.searchsorted(LARGEST, sizes[seed], side="right"))]
                own[0] += 1
                own[1] += int(lower > truth[name] + SLACK or upper < truth[name] - SLACK)
    return dict(sorted(counts.items()))


def _read(path: Path) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """The truth, and the audits that were kept."""
    first, *lines = map(json.loads, path.read_text().splitlines())
    return first["truth"], lines


# both changes of a threshold, and both sides of Definition 1, are covered at once
JOINT = ("1a", "1b", "FAR", "TAR")


def summary(cell: tuple[str, Draw], path: Path) -> dict[str, Any]:
    """How often each claim's interval missed the truth, and on which side."""
    truth, lines = _read(path)
    claims = []
    for name in lines[0]:
        if name == "FAR" and truth[name] > ALL:
            continue
        for population in ("fixed",) if cell[1] != "classes" else ("fixed", "drawn"):
            found = np.array([line[name][population] for line in lines if name in line], dtype=float)
            true = truth.get(name, float(found[:, 0].mean()))
            about = {"claim": name, "population": population, "truth": true, "audits": len(found)}
            claims.append({**about, **missed(found, true, name[:3].strip(", ") in JOINT)})
    return {"upgrade": cell[0], "draw": cell[1], "claims": claims}


def missed(found: Float[ndarray, "n 3"], truth: float, joint: bool) -> dict[str, float | None]:
    """Share of intervals (value, lower, upper) above the truth and below it, and what was promised for both together.

    At a margin of the true loss these are the false verdicts "compatible" and "incompatible". ``width`` is the median
    half width in standard deviations of the estimate.
    """
    level = 1.0 - (side_confidence(CONFIDENCE) if joint else CONFIDENCE)
    above, below = found[:, 1] > truth + SLACK, found[:, 2] < truth - SLACK
    spread = float(found[:, 0].std(ddof=1))
    half = (found[:, 2] - found[:, 1]) / 2.0
    finite = half[np.isfinite(half)]
    return {
        "compatible": float(above.mean()),
        "incompatible": float(below.mean()),
        "promised": level,
        "bias": float(found[:, 0].mean() - truth) / spread if spread > 0.0 else 0.0,
        "width": float(np.median(finite)) / spread if spread > 0.0 and len(finite) else None,
        "unbounded": float(np.mean(~np.isfinite(half))),
    }

"""Ask every peer about the upgrades whose right answer is known, and write what they said as a page.

With ``--real``, also about the upgrades between real encoders, of which ``python -m benchmarks.real`` keeps features.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.peers.cases import SIMULATED, Case, real_cases
from tests.benchmarks.peers.environments import Peer, Unavailable, interpreter, quiet
from tests.benchmarks.peers.page import page
from theory.files import write_atomically
from verification.audit.judge import judge
from verification.features import FeatureSet
from verification.upgrade import Upgrade

PEERS = (
    Peer(
        "vectormigrate",
        "1.0.1",
        "may I cut over: do recall and nDCG against judgements fall?",
        {"passes": "yes", "does not pass": "no"},
    ),
    Peer(
        "embedflow",
        "0.8.0",
        "may old retrieval feed new re-ranking?",
        {"SAFE": "yes", "EXPAND": "undecided", "UNSAFE_OR_UNCERTAIN": "no"},
    ),
    Peer(
        "rebasis",
        "0.1.0",
        "bridge, reindex or stay: does a map keep what a reindex gives?",
        {
            "bridge_sufficient": "yes",
            "bridge_and_migrate": "yes",
            "caution": "undecided",
            "no_upgrade_needed": "undecided",
            "full_reindex": "no",
        },
        python=(3, 12),
    ),
    Peer(
        "isotrieve",
        "0.4.0",
        "may the old vectors be moved through a fitted map?",
        {"PASS": "yes", "WARN": "undecided", "FAIL": "no"},
    ),
    Peer(
        "embspec",
        "0.1.0",
        "are the neighbours the same?",
        {"safe to deploy": "yes", "not safe to deploy": "no"},
    ),
    Peer(
        "evidently",
        "0.7.23",
        "did the distribution move?",
        {"no drift": "yes", "drift": "no"},
        needs=("pandas<3",),
    ),
)
OURS = Peer(
    "this package",
    "",
    "may new queries search the old gallery (by retrieval)?",
    {"compatible": "yes", "inconclusive": "undecided", "incompatible": "no"},
)


@dataclass
class Asked:
    """What a peer said of each (case, size), a word a draw, and the CPU seconds it took; or why it said nothing."""

    peer: Peer
    seeds: int
    words: dict[tuple[str, int], list[str]] = field(default_factory=dict)
    seconds: dict[tuple[str, int], float] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    defects: dict[str, str] = field(default_factory=dict)
    absent: str = ""

    def add(self, cell: tuple[str, int], word: str, seconds: float) -> None:
        """Take in what was said of a draw."""
        self.words.setdefault(cell, []).append(word)
        self.seconds[cell] = self.seconds.get(cell, 0.0) + seconds


def draw_all(folder: Path, seeds: int, cases: Mapping[str, Case]) -> list[tuple[str, int, int, Path]]:
    """Write every draw of the cases to a file; the same for all peers, whichever cases are asked about."""
    draws = []
    for name, case in cases.items():
        for size in case.sizes:
            for seed in range(seeds):
                new, old = case.draw(size, np.random.default_rng([seed, size, *(case.stream or name).encode()]))
                path = folder / f"{name.replace(' ', '_')}-{size}-{seed}.npz"
                rows = {"new": new.features.astype("f4"), "old": old.features.astype("f4")}
                groups = {} if new.groups is None else {"groups": new.groups}
                np.savez(path, labels=new.labels, seed=seed, **rows, **groups)
                draws.append((name, size, seed, path))
    return draws


def ask(peer: Peer, draws: Sequence[tuple[str, int, int, Path]], seeds: int, cache: Path, limit: float) -> Asked:
    """Run a peer's driver in its environment on the draws of the first ``seeds`` seeds."""
    asked = Asked(peer, seeds)
    try:
        python = interpreter(peer, cache)
    except Unavailable as reason:
        asked.absent = str(reason)
        return asked
    chosen = {str(path): (case, size) for case, size, seed, path in draws if seed < seeds}
    folder = draws[0][3].parent
    listed, written = folder / "paths", folder / f"{peer.name}.jsonl"
    listed.write_text("\n".join(chosen))
    with open(folder / f"{peer.name}.log", "w") as log:
        try:
            command = [str(each) for each in (python, peer.driver, listed, written)]
            status = subprocess.run(command, stdout=log, stderr=log, env=quiet(), cwd=folder, timeout=limit).returncode
        except subprocess.TimeoutExpired:
            status = f"stopped after {limit:.0f} s"
    if status:
        last = (folder / f"{peer.name}.log").read_text().strip().rpartition("\n")[2]
        asked.errors.append(f"ended with status {status} {last[:200]}")
    for row in _rows(written):
        if "defects" in row:
            asked.defects = row["defects"]
        elif "error" in row:
            asked.errors.append(row["error"])
        else:
            asked.add(chosen[row["path"]], row["words"], row["seconds"])
    return asked


def ask_ourselves(draws: Sequence[tuple[str, int, int, Path]], seeds: int) -> Asked:
    """Our own verdict on the same draws, all samples as queries and gallery, groups where shots have them."""
    asked = Asked(OURS, seeds)
    for case, size, seed, path in draws:
        if seed < seeds:
            start = time.process_time()
            with np.load(path) as arrays:
                groups = arrays.get("groups")
                new, old = (FeatureSet(arrays[name], arrays["labels"], groups=groups) for name in ("new", "old"))
            word = judge(Upgrade(new, old)).verdict
            asked.add((case, size), word, time.process_time() - start)
    return asked


def remember(asked: Asked, cache: Path) -> None:
    """Keep what a peer said."""
    kept = {name: getattr(asked, name) for name in ("seeds", "errors", "defects", "absent")}
    kept["cells"] = [[*cell, words, asked.seconds[cell]] for cell, words in asked.words.items()]
    path = _answers(asked.peer, cache)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda file: file.write(json.dumps(kept).encode()))


def remembered(peer: Peer, cache: Path) -> Asked | None:
    """What a peer of this version said last, if it was ever asked."""
    path = _answers(peer, cache)
    if not path.exists():
        return None
    kept = json.loads(path.read_text())
    asked = Asked(peer, **{name: kept[name] for name in ("seeds", "errors", "defects", "absent")})
    for case, size, words, seconds in kept["cells"]:
        asked.words[case, size], asked.seconds[case, size] = words, seconds
    return asked


def _answers(peer: Peer, cache: Path) -> Path:
    return cache / "answers" / f"{peer.name.replace(' ', '-')}-{peer.version}.json"


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    if path.exists():
        yield from map(json.loads, path.read_text().splitlines())


def main() -> None:
    names = [peer.name for peer in (OURS, *PEERS)]
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.peers", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="draws a case and size")
    parser.add_argument("--only", nargs="*", default=names, help="whom to ask; of the others, what they said last")
    parser.add_argument("--cases", nargs="*", help="cases to ask about; of the others, as before")
    parser.add_argument("--real", type=Path, metavar="CACHE", help="ask about real encoders too, from these features")
    parser.add_argument("--limit", type=float, default=7200.0, help="seconds for each peer")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "stationary" / "peers")
    parser.add_argument("--output", type=Path, default=Path("docs/peers.md"), help="page to write")
    chosen = parser.parse_args()
    cases = {**SIMULATED, **(real_cases(chosen.real) if chosen.real else {})}
    asked_about = list(cases) if chosen.cases is None else chosen.cases
    if set(chosen.only) - set(names) or set(asked_about) - set(cases) or not asked_about or chosen.seeds < 1:
        parser.error(f"whom to ask must be of {', '.join(names)}, cases of {', '.join(cases)}, and seeds at least 1.")
    with tempfile.TemporaryDirectory() as folder:
        some = {name: cases[name] for name in asked_about}
        draws = draw_all(Path(folder), chosen.seeds, some) if chosen.only else []
        for peer in (OURS, *PEERS):
            if peer.name in chosen.only:
                print(f"asking {peer.name} …", file=sys.stderr)
                mine = peer is OURS
                asked = (
                    ask_ourselves(draws, chosen.seeds)
                    if mine
                    else ask(peer, draws, chosen.seeds, chosen.cache, chosen.limit)
                )
                before = remembered(peer, chosen.cache)
                if before is not None and before.seeds == asked.seeds:  # of cases that were not asked about now
                    asked.words, asked.seconds = before.words | asked.words, before.seconds | asked.seconds
                remember(asked, chosen.cache)
    known = {**SIMULATED, **real_cases(chosen.cache)}
    text = page([asked for peer in (OURS, *PEERS) if (asked := remembered(peer, chosen.cache))], known)
    write_atomically(chosen.output, lambda file: file.write(text.encode()))
    print(text)


if __name__ == "__main__":
    main()

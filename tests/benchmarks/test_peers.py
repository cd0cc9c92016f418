"""The machinery that asks the peers: what they say, that they crash, or that they cannot be had, is a row."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks.peers import environments
from tests.benchmarks.peers.__main__ import (
    OURS,
    PEERS,
    Asked,
    ask,
    ask_ourselves,
    draw_all,
    remember,
    remembered,
)
from tests.benchmarks.peers.cases import REAL_SIZE, SIMULATED, one_of_each_group, real_cases, resized
from tests.benchmarks.peers.environments import Peer, Unavailable, interpreter
from tests.benchmarks.peers.page import page
from verification.features import FeatureSet

ROOT = Path(__file__).parents[2]
DRAWS = environments.DRIVERS / "_draws.py"
CASES = resized(SIMULATED, 60)


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A peer whose driver is the given code, in an environment that is this one."""

    def make(code: str) -> Peer:
        drivers = tmp_path / "drivers"
        drivers.mkdir(exist_ok=True)
        shutil.copy(DRAWS, drivers)
        (drivers / "ask_stand-in.py").write_text(code)
        monkeypatch.setattr(environments, "DRIVERS", drivers)
        made = tmp_path / "cache" / "stand-in-1" / "bin"
        made.mkdir(parents=True, exist_ok=True)
        (made.parent / "installed").touch()
        (made / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        (made / "python").chmod(0o755)
        return Peer("stand-in", "1", "is anything there?", {"some": "yes", "none": "no"})

    return make


def test_what_a_peer_says_of_each_draw_is_counted(stand_in, tmp_path: Path) -> None:
    peer = stand_in(
        "from _draws import main, nearest\n"
        "import numpy as np\n"
        "def judge(draw):\n"
        "    queries, gallery = draw.new[draw.queries], draw.old[draw.gallery]\n"
        "    expected = np.argsort(-(queries @ gallery.T), axis=1)[:, :7]\n"
        "    assert (nearest(queries, gallery, 7) == expected).all()\n"
        "    pairs = zip(draw.relevant(), draw.labels[draw.queries])\n"
        "    assert all((draw.labels[rows] == y).all() for rows, y in pairs)\n"
        "    if draw.seed == 2:\n"
        "        raise RuntimeError('not this one')\n"
        "    return 'some' if draw.seed else 'none'\n"
        "main(judge, lambda: {'a rule': 'gone: it is kept'})\n"
    )
    draws = draw_all(tmp_path, 4, CASES)
    asked = ask(peer, draws, 3, tmp_path / "cache", limit=60.0)
    assert asked.words == {(name, 60): ["none", "some"] for name in CASES}
    assert asked.errors == ["RuntimeError: not this one"] * len(CASES)
    remember(asked, tmp_path)
    assert remembered(peer, tmp_path) == asked
    assert remembered(OURS, tmp_path) is None
    text = page([ask_ourselves(draws, 1), asked], CASES)
    for name, said in (("rotated", "1 / 0 / **1**"), ("tighter", "**1** / 0 / 1"), ("several shots", "1 / **0** / 1")):
        assert re.search(rf"\| {name} \| 60 \| [^|]* \| {re.escape(said)} \|", text)
    assert "| stand-in | 5 of 10 |" in text  # of five cases with an answer
    assert "stand-in: RuntimeError: not this one (7 ×)." in text
    assert "- stand-in, *a rule*: gone: it is kept." in text
    assert "- stand-in, *a verdict must not flip" in text
    assert text.count("this package") == 2  # its answers, and its question and rule: it does not flip


def test_a_peer_that_crashes_or_hangs_is_a_row(stand_in, tmp_path: Path) -> None:
    draws = draw_all(tmp_path, 1, CASES)
    asked = ask(stand_in("import nowhere_to_be_found\n"), draws, 1, tmp_path / "cache", limit=60.0)
    assert asked.words == {}
    assert re.match("ended with status 1 ModuleNotFoundError", asked.errors[0])
    assert "stand-in: ended with status 1 ModuleNotFoundError" in page([asked], CASES)
    asked = ask(stand_in("import time\ntime.sleep(60)\n"), draws, 1, tmp_path / "cache", limit=0.5)
    assert asked.errors == ["ended with status stopped after 0 s "]


def test_a_peer_that_cannot_be_had_is_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    future = Peer("rebasis", "0.1.0", "?", {}, python=(3, 94))
    with pytest.raises(Unavailable, match=r"needs Python 3\.94 or later"):
        interpreter(future, tmp_path)
    asked = ask(future, [("wider", 60, 0, tmp_path / "x")], 1, tmp_path, 1.0)
    assert f"rebasis was not asked: {asked.absent}." in page([asked], CASES)


def test_the_page_is_of_these_peers_and_cases() -> None:
    text = (ROOT / "docs" / "peers.md").read_text()
    for peer in PEERS:
        assert re.search(rf"\| {peer.name} \| \d+ of \d+ \| {re.escape(peer.version)} ", text)
    for case in SIMULATED.values():
        assert f"- **{case.name}**: {case.meaning}." in text
        for size in case.sizes:
            assert f"| {case.name} | {size} |" in text


def test_some_cases_are_drawn_as_they_are_among_all(tmp_path: Path) -> None:
    some = draw_all(tmp_path, 1, {name: CASES[name] for name in ("merged", "several shots")})
    assert [name for name, *_ in some] == ["merged", "several shots"]
    with np.load(some[1][3]) as shots:
        assert len(np.unique(shots["groups"])) == 12
        new = shots["new"]
    for name, _, _, path in draw_all(tmp_path, 1, CASES):
        if name == "several shots":
            with np.load(path) as again:
                np.testing.assert_array_equal(again["new"], new)
    text = page([ask_ourselves(some, 1)], CASES)
    assert "| merged | 60 |" in text
    assert "| several shots | 60 |" in text
    assert "rotated" not in text


def test_what_is_kept_of_other_cases_stays(tmp_path: Path) -> None:
    asked = Asked(OURS, 1, {("wider", 60): ["incompatible"]}, {("wider", 60): 0.5})
    remember(asked, tmp_path)
    assert remembered(OURS, tmp_path) == asked


def test_real_upgrades_are_drawn_by_group_and_judged_by_their_whole_collection(tmp_path: Path) -> None:
    cases = real_cases(tmp_path)
    assert cases["L3 → L6"].answer == "incompatible"
    assert cases["L6 → int8"].answer == "compatible"
    assert all(case.sizes == (REAL_SIZE,) and case.real for case in cases.values())
    rng = np.random.default_rng(0)
    groups = np.arange(900) // 3
    few = FeatureSet(rng.standard_normal((900, 4)), groups % 5, groups=groups)
    rows = one_of_each_group(few, 200, rng)
    assert len(rows) == len(np.unique(groups[rows])) == 200
    assert set(few.labels[rows[:100]].tolist()) == set(few.labels[rows[100:]].tolist()) == set(range(5))
    many = FeatureSet(few.features, np.arange(900) // 4, groups=np.arange(900))
    rows = one_of_each_group(many, 80, rng)
    assert np.unique(many.labels[rows], return_counts=True)[1].tolist() == [4] * 20
    assert np.unique(many.labels[rows[:40]], return_counts=True)[1].tolist() == [2] * 20


@pytest.mark.parametrize("peer", [*PEERS, OURS], ids=lambda peer: peer.name)
def test_every_word_has_a_meaning(peer: Peer) -> None:
    assert set(peer.answers.values()) <= {"yes", "undecided", "no"}
    assert peer is OURS or peer.driver.exists()
    nothing = Asked(peer, 1, {("wider", 60): ["unheard of"]}, {("wider", 60): 0.1})
    assert "(1 other)" in page([nothing], CASES)


def test_draws_are_the_same_again(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    for (*_, one), (*_, other) in zip(*(draw_all(tmp_path / folder, 2, CASES) for folder in "ab"), strict=True):
        with np.load(one) as first, np.load(other) as second:
            np.testing.assert_array_equal(first["new"], second["new"])

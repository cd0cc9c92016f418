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
    SIZES,
    Asked,
    ask,
    ask_ourselves,
    draw_all,
    remember,
    remembered,
)
from tests.benchmarks.peers.environments import Peer, Unavailable, interpreter
from tests.benchmarks.peers.page import CASES, UPGRADES, page

ROOT = Path(__file__).parents[2]
DRAWS = environments.DRIVERS / "_draws.py"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.benchmarks.peers.__main__.SIZES", (60,))


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


def test_what_a_peer_says_of_each_draw_is_counted(small, stand_in, tmp_path: Path) -> None:
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
    draws = draw_all(tmp_path, seeds=4)
    asked = ask(peer, draws, 3, tmp_path / "cache", limit=60.0)
    assert asked.words == {(name, 60): ["none", "some"] for name in CASES}
    assert asked.errors == ["RuntimeError: not this one"] * len(CASES)
    remember(asked, tmp_path)
    assert remembered(peer, tmp_path) == asked
    assert remembered(OURS, tmp_path) is None
    text = page([ask_ourselves(draws, 1), asked], [60])
    answers = "1 / 0 / **1** | **1** / 0 / 1 | 1 / **0** / 1 | 1 / 0 / **1**"  # of the four that mean distances tell
    assert f"| stand-in | {answers} | **1** / 0 / 1 | 1 / 0 / **1** | 1 / **0** / 1 |" in text
    assert "stand-in: RuntimeError: not this one (7 ×)." in text
    assert "- stand-in, *a rule*: gone: it is kept." in text
    assert "- stand-in, *a verdict must not flip" in text
    assert text.count("this package") == 3  # its question and rule, its answers, its words: it does not flip


def test_a_peer_that_crashes_or_hangs_is_a_row(small, stand_in, tmp_path: Path) -> None:
    draws = draw_all(tmp_path, seeds=1)
    asked = ask(stand_in("import nowhere_to_be_found\n"), draws, 1, tmp_path / "cache", limit=60.0)
    assert asked.words == {}
    assert re.match("ended with status 1 ModuleNotFoundError", asked.errors[0])
    assert "| stand-in | – | – | – | – | – | – | – |" in page([asked], [60])
    asked = ask(stand_in("import time\ntime.sleep(60)\n"), draws, 1, tmp_path / "cache", limit=0.5)
    assert asked.errors == ["ended with status stopped after 0 s "]


def test_a_peer_that_cannot_be_had_is_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    future = Peer("rebasis", "0.1.0", "?", {}, python=(3, 94))
    with pytest.raises(Unavailable, match=r"needs Python 3\.94 or later"):
        interpreter(future, tmp_path)
    asked = ask(future, [("wider", 60, 0, tmp_path / "x")], 1, tmp_path, 1.0)
    assert f"| rebasis | {asked.absent} |" in page([asked], [60])


def test_the_page_is_of_these_peers_and_cases() -> None:
    text = (ROOT / "docs" / "peers.md").read_text()
    for peer in PEERS:
        assert f"| {peer.name} | {peer.version} " in text
    asked = CASES if "off centre" in text else UPGRADES  # a page of before there were more
    header = " | ".join(f"{name}, n = {size}" for name in asked for size in SIZES)
    assert f"| tool | {header} |" in text


def test_some_cases_are_drawn_as_they_are_among_all(small, tmp_path: Path) -> None:
    some = draw_all(tmp_path, 1, ["merged", "several shots"])
    assert [name for name, *_ in some] == ["merged", "several shots"]
    with np.load(some[1][3]) as shots:
        assert len(np.unique(shots["groups"])) == 12
        new = shots["new"]
    for name, _, _, path in draw_all(tmp_path, 1):
        if name == "several shots":
            with np.load(path) as again:
                np.testing.assert_array_equal(again["new"], new)
    text = page([ask_ourselves(some, 1)], [60])
    assert "| tool | merged, n = 60 | several shots, n = 60 |" in text
    assert "rotated" not in text


@pytest.mark.parametrize("peer", [*PEERS, OURS], ids=lambda peer: peer.name)
def test_every_word_has_a_meaning(peer: Peer) -> None:
    assert set(peer.answers.values()) <= {"yes", "undecided", "no"}
    assert peer is OURS or peer.driver.exists()
    nothing = Asked(peer, 1, {("wider", 60): ["unheard of"]})
    assert "(1 other)" in page([nothing], [60])


def test_draws_are_the_same_again(small, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    for (*_, one), (*_, other) in zip(*(draw_all(tmp_path / folder, 2) for folder in "ab"), strict=True):
        with np.load(one) as first, np.load(other) as second:
            np.testing.assert_array_equal(first["new"], second["new"])

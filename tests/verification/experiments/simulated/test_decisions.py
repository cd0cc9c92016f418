"""How often decisive verdicts are wrong, kind by kind."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

from paper_figures import decisions as figure
from verification.experiments.simulated import decisions
from verification.experiments.simulated.decisions import Design, compute, designs, limit, table
from verification.statistics.interval import Population, Verdict

pytestmark = pytest.mark.simulations


@pytest.mark.parametrize("kind", [kind for kind in decisions.KINDS if kind != "bridge"])
def test_every_kind_has_designs_at_the_boundary_and_beyond_it(kind):
    found = designs(kind)
    # where nothing is lost by construction, only how samples are drawn differs
    assert {"boundary", "beyond"} <= {design.where for design in found} or kind == "sampling"
    assert len({(design.name, design.where) for design in found}) == len(found)


@pytest.mark.slow
@pytest.mark.parametrize("kind", decisions.KINDS)
def test_wrong_verdicts_are_rare(kind):
    runs = 1000
    rows = compute([kind], runs, workers=os.cpu_count() or 1)["designs"]
    assert [row for row in rows if row["promised"] and row["wrong"] > limit(runs)] == []


QUICK = {"retrieval": (4, 5), "thresholds": (0, 5), "geometry": (0, 7)}


@pytest.mark.parametrize("kind", QUICK)
def test_wrong_verdicts_are_rare_in_a_quick_check(kind, monkeypatch):
    every = designs(kind)
    monkeypatch.setattr(decisions, "designs", lambda _: [every[i] for i in QUICK[kind]])
    for row in compute([kind], 40)["designs"]:
        # 5 % and four standard errors of 40 upgrades
        assert row["wrong"] <= 0.05 + 4 * (0.05 * 0.95 / 40) ** 0.5, row


def coin(rng: np.random.Generator) -> Verdict:
    return Verdict(rng.choice(list(Verdict)))


def test_counting_tables_and_the_picture(monkeypatch, tmp_path):
    rows = [
        Design.asking("retrieval", "a coin", "boundary", coin),
        Design.asking("retrieval", "yes", "inside", lambda rng: Verdict.compatible),
        Design.asking("retrieval", "misread", "boundary", coin, read_as=Population.drawn, promised=False),
    ]
    monkeypatch.setattr(decisions, "designs", lambda kind: rows)
    seen: list[tuple[int, int]] = []
    data = compute(["geometry"], 60, progress=lambda stage, done, total: seen.append((done, total)))
    assert seen[-1] == (180, 180)
    assert json.loads(json.dumps(data)) == data
    guess, right, misread = data["designs"]
    # two of three verdicts are wrong at the boundary; four standard errors
    assert abs(guess["wrong"] - 2 / 3) < 4 * (2 / 9 / 60) ** 0.5
    assert right["wrong"] == 0.0
    assert guess["covered"] is None
    told = table(data).splitlines()
    assert told[-3].endswith("too many")
    assert told[-1].endswith("(not promised)")
    assert "fixed as drawn" in told[-1]
    assert misread["wrong"] > limit(60)
    assert data == compute(["geometry"], 60)
    from paper_figures import _style

    for path in _style.save(figure.draw(data), tmp_path, "decisions"):
        assert path.stat().st_size > 1000


def test_processes_find_the_same():
    """Runs are seeded one by one: who simulates them does not matter."""
    seen: list[tuple[int, int]] = []
    data = compute(["geometry"], 2, progress=lambda stage, done, total: seen.append((done, total)), workers=2)
    assert data == compute(["geometry"], 2)
    assert len(seen) == len(designs("geometry"))


def test_bad_kinds_and_runs_are_refused():
    with pytest.raises(ValueError, match=r"a kind of decision must be one of geometry, .*, got 'luck'"):
        compute(["luck"], 10)
    with pytest.raises(ValueError, match="runs must be an integer >= 1, got 0"):
        compute(["geometry"], 0)

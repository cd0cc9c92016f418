"""The decision, whole: three verdicts side by side, where they disagree, and how often each is wrong."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

from paper_figures import decisions as figure
from tests.verification.samples import upgrade
from verification.audit import audit
from verification.decision import decide as decision
from verification.decision import retrieval as compare
from verification.decision.decide import decide
from verification.features import FeatureSet
from verification.simulated import decisions
from verification.simulated.decisions import Design, compute, designs, limit, table


def test_the_first_verdict_is_that_of_the_audit():
    new, old = upgrade(0.8, 0.9)
    report, alone = decide(new, old, far=0.01, margin="1%"), audit(new, old, margin="1%")
    assert (report.verdict, report.same_class, report.margin) == (alone.verdict, alone.same_class, alone.margin)
    assert report.retrieval is not None
    assert report.thresholds is not None
    assert alone.retrieval is alone.thresholds is None
    assert decide(new, old).thresholds is None


def test_the_summary_is_one_line():
    report = decide(*upgrade(0.8, 0.9), far=0.01)
    assert report.summary.startswith(f"{report.verdict}: gaps ")
    for part in ("margin 0", f"{report.retrieval.verdict}", f"threshold {report.thresholds.verdict}"):
        assert part in report.summary
    assert "\n" not in report.summary
    assert report.to_dict()["summary"] == report.summary
    assert len(audit(*upgrade(0.8, 0.9)).summary) < 80


def shifted() -> tuple[FeatureSet, FeatureSet]:
    """(new, old): every class leans as far off its axis in the new model, and is as tight, where no class is near."""
    rng = np.random.default_rng(0)
    labels = np.arange(600) % 5
    old = np.zeros((600, 12))
    old[np.arange(600), labels] = 1.0
    new = old.copy()
    old[:, 5:] = 0.55 * rng.standard_normal((600, 7)) / np.sqrt(7)
    new[:, 11] = 1.0
    new[:, 5:11] = 0.1 * rng.standard_normal((600, 6)) / np.sqrt(6)
    return FeatureSet(new, labels), FeatureSet(old, labels)


def test_definition_1_and_retrieval_may_disagree():
    new, old = shifted()
    report = decide(new, old, retrieval_margin="2%")
    assert report.verdict == "incompatible"
    assert report.retrieval.verdict == "compatible"
    assert "neither implies the other" in report.disagreement
    assert report.to_dict()["disagreement"] == report.disagreement
    same = decide(old, old)
    assert same.disagreement is None
    open_ = decide(*upgrade(0.3, 0.4))  # nothing is ever missed: no number of hits shows that nothing is lost
    assert (open_.verdict, open_.retrieval.verdict) == ("compatible", "inconclusive")
    assert "one is about mean distances" in open_.disagreement


def test_a_gallery_too_large_to_search_is_said(monkeypatch):
    monkeypatch.setattr(compare, "GALLERY_NUMBERS", 100)
    report = decide(*upgrade(0.6, 0.9))
    assert report.retrieval is None
    assert any("Retrieval was left out" in note for note in report.notes)
    assert report.disagreement is None


def test_bad_arguments_are_refused_before_work_starts(monkeypatch):
    monkeypatch.setattr(decision, "audit", lambda *a, **k: pytest.fail("work started"))
    for arguments, message in (
        ({"threshold": 2.0}, "cosine similarity"),
        ({"threshold": 0.1, "far": 0.1}, "one of the two"),
        ({"retrieval_margin": "?"}, "the margin of retrieval"),
        ({"far_margin": "?"}, "the margin of FAR"),
        ({"tar_margin": -1}, "the margin of TAR"),
    ):
        with pytest.raises(ValueError, match=message):
            decide(*upgrade(0.6, 0.9), **arguments)


# ---- how often verdicts are wrong


@pytest.mark.parametrize("kind", [kind for kind in decisions.KINDS if kind != "bridge"])
def test_every_kind_has_designs_at_the_boundary_and_beyond_it(kind):
    found = designs(kind)
    assert {"boundary", "beyond"} <= {design.where for design in found}
    assert len({(design.name, design.where) for design in found}) == len(found)


@pytest.mark.slow
@pytest.mark.parametrize("kind", decisions.KINDS)
def test_wrong_verdicts_are_rare(kind):
    runs = 1000
    for row in compute([kind], runs, workers=os.cpu_count() or 1)["designs"]:
        assert row["wrong"] <= limit(runs), row


QUICK = {"retrieval": (4, 5), "thresholds": (0, 5), "geometry": (0, 7)}


@pytest.mark.parametrize("kind", QUICK)
def test_wrong_verdicts_are_rare_in_a_quick_check(kind, monkeypatch):
    every = designs(kind)
    monkeypatch.setattr(decisions, "designs", lambda _: [every[i] for i in QUICK[kind]])
    for row in compute([kind], 40)["designs"]:
        # 5 % and four standard errors of 40 upgrades
        assert row["wrong"] <= 0.05 + 4 * (0.05 * 0.95 / 40) ** 0.5, row


def coin(rng: np.random.Generator) -> str:
    return str(rng.choice(["compatible", "incompatible", "inconclusive"]))


def test_counting_tables_and_the_picture(monkeypatch, tmp_path):
    rows = [Design("a coin", "boundary", coin), Design("yes", "inside", lambda rng: "compatible")]
    monkeypatch.setattr(decisions, "designs", lambda kind: rows)
    seen: list[tuple[int, int]] = []
    data = compute(["geometry"], 60, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (120, 120)
    assert json.loads(json.dumps(data)) == data
    guess, right = data["designs"]
    # two of three verdicts are wrong at the boundary; four standard errors
    assert abs(guess["wrong"] - 2 / 3) < 4 * (2 / 9 / 60) ** 0.5
    assert right["wrong"] == 0.0
    assert "too many" in table(data)
    assert data == compute(["geometry"], 60)
    from paper_figures import _style

    for path in _style.save(figure.draw(data), tmp_path, "decisions"):
        assert path.stat().st_size > 1000


def test_processes_find_the_same():
    """Runs are seeded one by one: who simulates them does not matter."""
    seen: list[tuple[int, int]] = []
    data = compute(["geometry"], 2, progress=lambda done, total: seen.append((done, total)), workers=2)
    assert data == compute(["geometry"], 2)
    assert len(seen) == len(designs("geometry"))


def test_bad_kinds_and_runs_are_refused():
    with pytest.raises(ValueError, match=r"a kind of decision must be one of geometry, .*, got 'luck'"):
        compute(["luck"], 10)
    with pytest.raises(ValueError, match="runs must be an integer >= 1, got 0"):
        compute(["geometry"], 0)

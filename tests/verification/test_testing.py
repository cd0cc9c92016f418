"""An upgrade as an assertion: what passes, what fails with the report's text, and how pytest shows it."""

from __future__ import annotations

import inspect
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from tests.verification.samples import upgrade
from verification import Options, Verdict
from verification.features import FeatureSet
from verification.testing import DECISION, Undecided, assert_upgrade

ROOT = Path(__file__).parent.parent.parent
BETTER, SAME = (0.6, 1.2), (0.6, 0.6)


def test_a_compatible_upgrade_returns_its_report(tmp_path):
    new, old = upgrade(*BETTER)
    report = assert_upgrade(new, old)
    assert report.verdict == Verdict.compatible
    new.save(tmp_path / "new.parquet")
    old.save(tmp_path / "old.npz")
    again = assert_upgrade(tmp_path / "new.parquet", str(tmp_path / "old.npz"))
    assert again.claims == report.claims
    assert again.retrieval.change == report.retrieval.change


def test_an_incompatible_upgrade_fails_with_the_report():
    new, old = upgrade(*BETTER)
    with pytest.raises(AssertionError) as failed:
        assert_upgrade(old, new)
    assert not isinstance(failed.value, Undecided)
    text = str(failed.value)
    assert text.startswith("\nINCOMPATIBLE  No. Judged by retrieval, new queries should not search")
    for words in ("Retrieval: incompatible", "recall@1", "Next: "):
        assert words in text
    assert "\x1b" not in text


def test_an_undecided_one_fails_unless_it_may_pass():
    sets = upgrade(*SAME)
    with pytest.raises(Undecided, match=r"^\nINCONCLUSIVE  Undecided"):
        assert_upgrade(*sets)
    assert assert_upgrade(*sets, inconclusive="pass").verdict == Verdict.inconclusive
    with pytest.raises(AssertionError):
        assert_upgrade(*reversed(upgrade(*BETTER)), inconclusive="pass")


def test_options_gallery_and_pairing_reach_the_judge():
    new, old = upgrade(*BETTER)
    _, other = upgrade(*BETTER, seed=1)
    report = assert_upgrade(new, old, other, options=Options(decide=("definition-1",)), seed=3)
    assert report.decided_by == ("definition-1",)
    assert (report.definition1.num_gallery, report.provenance["seed"]) == (400, 3)
    ids = np.arange(400)
    named = [FeatureSet(each.features, each.labels, ids=some) for each, some in ((new, ids), (old, ids + 1))]
    with pytest.raises(ValueError, match="join"):
        assert_upgrade(*named)
    shifted = FeatureSet(old.features, new.labels, ids=ids)
    assert assert_upgrade(named[0], shifted, join="inner")
    with pytest.raises(ValueError, match="inconclusive must be 'fail' or 'pass', got 'skip'"):
        assert_upgrade(new, old, inconclusive="skip")


def test_the_question_is_that_of_the_command_line():
    from stationary.audit import audit as command

    asked = inspect.signature(command).parameters
    names = [field.name for field in fields(Options) if field.name in asked and field.name != "decide"]
    assert {"margin", "retrieval_margin", "classes"} <= set(names)
    for name in names:
        default = getattr(asked[name].default, "value", asked[name].default)
        assert getattr(DECISION, name) == (0.0 if default == "0" else default), name


def test_pytest_ends_at_the_line_of_the_test(tmp_path):
    new, old = upgrade(*BETTER)
    new.save(tmp_path / "new.npz")
    old.save(tmp_path / "old.npz")
    (tmp_path / "test_own.py").write_text(
        "from verification.testing import assert_upgrade\n\n"
        "def test_right():\n    assert_upgrade('new.npz', 'old.npz')\n\n"
        "def test_wrong():\n    assert_upgrade('old.npz', 'new.npz')\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_own.py"]
    done = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "PATH": ""}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "1 failed, 1 passed" in done.stdout
    assert "INCOMPATIBLE  No. Judged by retrieval" in done.stdout
    assert "test_own.py:7: AssertionError" in done.stdout
    assert "testing.py" not in done.stdout

"""The page about CI: its shell snippets run and end with the status that it promises; its job is valid YAML."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.verification.samples import upgrade

pytestmark = pytest.mark.documents
ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "ci.md").read_text()
SHELL = re.findall(r"```sh\n(.*?)```", PAGE, flags=re.DOTALL)
# radii of the caps, new and old: recall rises, stays and falls by more than these samples leave open
UPGRADES = {"compatible": (0.5, 1.4), "inconclusive": (1.2, 1.2), "incompatible": (1.4, 0.5)}


def run(script: str, folder: Path) -> subprocess.CompletedProcess:
    """Run a snippet where `stationary` is this checkout."""
    (folder / "stationary").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m stationary "$@"\n')
    (folder / "stationary").chmod(0o755)
    python = folder / "python3"
    if not python.exists():
        python.symlink_to(sys.executable)
    env = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    return subprocess.run(["sh", "-c", script], cwd=folder, env=env, capture_output=True, text=True, check=False)


def save(kind: str, folder: Path) -> None:
    for features, name in zip(upgrade(*UPGRADES[kind], num_samples=300), ("new", "old"), strict=True):
        features.save(folder / f"{name}.npz")


@pytest.mark.parametrize(
    ("kind", "strict", "lenient"), [("compatible", 0, 0), ("inconclusive", 3, 0), ("incompatible", 1, 1)]
)
def test_the_snippets_end_as_promised(tmp_path, kind, strict, lenient):
    save(kind, tmp_path)
    # 300 samples do not reach a false accept rate of 1e-3
    gate, choice, line, several, own = (script.replace("1e-3", "1e-2") for script in SHELL)
    done = run(gate, tmp_path)
    assert done.returncode == strict, done.stderr
    assert (tmp_path / "report.json").exists()
    assert (tmp_path / "report.html").exists()
    done = run(choice, tmp_path)
    assert done.returncode == lenient, done.stderr
    if kind == "inconclusive":
        assert "inconclusive: Undecided. Judged by retrieval" in done.stdout
    done = run(line, tmp_path)
    assert done.returncode == strict
    assert done.stdout.startswith(f"{kind} by retrieval for")
    assert len(done.stdout.splitlines()) == 1
    done = run(several, tmp_path)
    assert done.returncode == strict, done.stderr
    assert "retrieval, mean distances (Definition 1) and the accept threshold" in " ".join(done.stdout.split())
    done = run(f"set -e\n{own}", tmp_path)
    assert done.returncode == (kind == "incompatible"), done.stderr
    gap = float(re.search(r"^gap of 1a: (.*)$", done.stdout, flags=re.MULTILINE)[1])
    assert (gap > 0.1, gap < -0.1) == (kind == "compatible", kind == "incompatible")


def test_a_violated_claim_that_does_not_decide_closes_the_gate_on_all_claims(tmp_path):
    new, old = upgrade(0.8, 0.4, num_samples=600)
    new.save(tmp_path / "new.npz")
    old.save(tmp_path / "old.npz")
    gate, own = SHELL[0], SHELL[4]
    assert run(gate, tmp_path).returncode == 0
    assert run(own, tmp_path).returncode == 1


def test_an_error_closes_every_gate(tmp_path):
    (tmp_path / "new.npz").write_text("no archive")
    (tmp_path / "old.npz").write_text("no archive")
    for script in SHELL:
        done = run(script, tmp_path)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1
        assert not (tmp_path / "report.json").exists()


def test_statuses_are_those_of_the_program():
    from stationary import _app
    from verification.statistics.interval import Verdict

    rows = re.findall(r"^\| (\d+) \| (\w+)", (ROOT / "docs" / "commands.md").read_text(), flags=re.MULTILINE)
    assert [int(status) for status, _ in rows] == [
        _app.DONE,
        _app.NO,
        _app.UNDECIDED,
        _app.UNUSABLE,
        _app.DEFECT,
        _app.UNWRITTEN,
    ]
    for status, word in rows[:3]:
        assert Verdict(word).status == int(status)


def test_the_job_ends_as_promised(tmp_path):
    yaml = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)[1]
    assert "\t" not in yaml
    safe_load = pytest.importorskip("yaml").safe_load
    step = safe_load(yaml)["jobs"]["audit"]["steps"][4]
    assert step["name"] == "audit"
    # as GitHub runs it: bash that stops at the first error
    for kind, status in (("compatible", 0), ("inconclusive", 0), ("incompatible", 1)):
        save(kind, tmp_path)
        done = run(f"set -e\nexport GITHUB_STEP_SUMMARY=summary.md\n{step['run']}", tmp_path)
        assert done.returncode == status, done.stderr
        assert (tmp_path / "summary.md").read_text().endswith((tmp_path / "report.md").read_text())

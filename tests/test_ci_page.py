"""The page about CI: its shell snippets run and end with the status that it promises; its job is valid YAML."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.verification.samples import upgrade

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "ci.md").read_text()
SHELL = re.findall(r"```sh\n(.*?)```", PAGE, flags=re.DOTALL)
UPGRADES = {"compatible": (0.4, 0.8), "inconclusive": (0.6, 0.6), "incompatible": (0.8, 0.4)}


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
    for features, name in zip(upgrade(*UPGRADES[kind], num_samples=100), ("new", "old"), strict=True):
        features.save(folder / f"{name}.npz")


@pytest.mark.parametrize(
    ("kind", "strict", "lenient", "claims"),
    [("compatible", 0, 0, 0), ("inconclusive", 3, 0, 0), ("incompatible", 1, 1, 1)],
)
def test_the_snippets_end_as_promised(tmp_path, kind, strict, lenient, claims):
    save(kind, tmp_path)
    gate, choice, line, further = (
        script.replace("--margin 5%", "--margin 0").replace("1e-3", "1e-2") for script in SHELL
    )
    done = run(gate, tmp_path)
    assert done.returncode == strict, done.stderr
    assert (tmp_path / "report.json").exists()
    assert (tmp_path / "report.html").exists()
    done = run(choice, tmp_path)
    assert done.returncode == lenient, done.stderr
    if kind == "inconclusive":
        assert "more samples a class" in done.stdout or "hardly decide" in done.stdout
    done = run(line, tmp_path)
    assert done.returncode == strict
    assert done.stdout.startswith(kind)
    assert len(done.stdout.splitlines()) == 1
    done = run(f"set -e\n{further}", tmp_path)
    assert done.returncode == claims, done.stderr


def test_an_error_closes_every_gate(tmp_path):
    (tmp_path / "new.npz").write_text("no archive")
    (tmp_path / "old.npz").write_text("no archive")
    for script in SHELL[:3]:
        done = run(script, tmp_path)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1
        assert not (tmp_path / "report.json").exists()


def test_statuses_are_those_of_the_program():
    from stationary import _app

    rows = re.findall(r"^\| (\d+) \| (\w+)", PAGE, flags=re.MULTILINE)
    assert {int(status) for status, _ in rows} == {_app.DONE, _app.NO, _app.UNDECIDED, _app.UNUSABLE, _app.DEFECT}
    for status, word in rows[:3]:
        assert _app.VERDICT_STATUS[word] == int(status)


def test_the_job_runs_the_same_command():
    yaml = re.search(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL).group(1)
    assert "stationary audit new.npz old.npz --margin 5%" in yaml
    assert "\t" not in yaml
    try:
        from yaml import safe_load
    except ImportError:
        return
    assert safe_load(yaml)["jobs"]["audit"]["steps"][4]["name"] == "audit"

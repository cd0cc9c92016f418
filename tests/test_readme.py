"""The README does what it says: its code runs, prints what stands there, and its commands and links exist."""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import stationary

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, flags=re.DOTALL)
PYTHON = [code for language, code in BLOCKS if language == "python"]


def text_after(marker: str) -> str:
    return re.search(r"```text\n(.*?)```", README[README.index(marker) :], flags=re.DOTALL).group(1).strip()


def tidy(printed: str) -> str:
    return "\n".join(line.rstrip() for line in printed.splitlines()).strip()


def test_the_audit_example_prints_what_the_readme_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(PYTHON[0], "README.md", "exec"), {})
    assert tidy(printed.getvalue()) == text_after(PYTHON[0])
    done = subprocess.run(
        [sys.executable, "-m", "stationary", "audit", "new.npz", "old.npz"],
        env={**os.environ, "COLUMNS": "80", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert tidy(done.stdout) == text_after("on these two files prints")


@pytest.mark.parametrize("code", PYTHON[1:])
def test_every_other_example_runs(code):
    exec(compile(code, "README.md", "exec"), {})


def test_commands_exist():
    named = set(re.findall(r"`?stationary ([a-z]+)", README))
    known = {command.name or command.callback.__name__ for command in stationary.app.registered_commands}
    assert named <= known
    assert len(named) > 2
    targets = set(re.findall(r"make ([a-z]+)", "\n".join(re.findall(r"`make [a-z]+|\$ make [a-z]+", README))))
    assert targets
    assert targets <= set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    for module in re.findall(r"python -m ([\w.]+)", README):
        assert (ROOT / (module.replace(".", "/") + ".py")).exists()


def test_links_lead_somewhere():
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert links
    for link in links:
        assert (ROOT / link).exists(), link

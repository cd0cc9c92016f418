"""The guide does what it says: its code runs in order, and its commands print what stands there."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from pathlib import Path

import pytest

from tests.command_line import run

pytestmark = pytest.mark.documents
ROOT = Path(__file__).parents[3]
GUIDE = (ROOT / "docs" / "bridge.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", GUIDE, flags=re.DOTALL)


def test_the_example(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    printed = ""
    for language, code in BLOCKS:
        if language == "python":
            with contextlib.redirect_stdout(io.StringIO()) as stream:
                exec(compile(code, "docs/bridge.md", "exec"), names)
            printed = stream.getvalue()
        elif language == "text":
            assert printed == code
        else:
            command, *expected = code.splitlines()
            program, *arguments = shlex.split(command.removeprefix("$ "))
            assert program == "stationary"
            _, out, _ = run(capsys, monkeypatch, *arguments)
            # the guide shows how the answer begins
            assert out.split()[: len(" ".join(expected).split())] == " ".join(expected).split()


def test_the_maps_of_the_guide_are_those_that_there_are():
    from verification.bridge import KINDS

    table = GUIDE[GUIDE.index("## The maps") : GUIDE.index("## How it is judged")]
    assert re.findall(r"^\| ([a-z-]+) \|", table, flags=re.MULTILINE)[1:] == list(KINDS)


@pytest.mark.parametrize("option", sorted(set(re.findall(r"--[a-z-]+", GUIDE)) - {"--what", "--runs"}))
def test_options_exist(option):
    simulated = ROOT / "verification" / "experiments" / "simulated"
    sources = (ROOT / "stationary" / "bridge.py", simulated / "__main__.py", simulated / "relations.py")
    # Typer makes --closed-set of closed_set
    assert option[2:].replace("-", "_") in "".join(path.read_text() for path in sources)

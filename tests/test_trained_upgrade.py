"""The guide 'A trained upgrade' does what it says: its blocks run, on digits, and end in the verdicts it prints.

The guide trains on Fashion-MNIST; here the same blocks run on the digits that are embedded, which takes seconds. The
numbers are other ones, the verdicts have to be the same.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

pytestmark = pytest.mark.documents
ROOT = Path(__file__).parent.parent
GUIDE = (ROOT / "docs" / "trained-upgrade.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", GUIDE, flags=re.DOTALL)
STATUS = {"COMPATIBLE": 0, "INCOMPATIBLE": 1, "INCONCLUSIVE": 3}


def small(code: str) -> str:
    """The same block on digits."""
    return re.sub(r"ExtendedData\(data=.*?\)", "ExtendedData()", code).replace("epochs=4", "epochs=15")


def verdicts(text: str) -> list[str]:
    """The verdicts of a report: that of the claims that decide first, then one for each claim, or a map."""
    found = re.findall(
        r"^([A-Z]{8,})  |^(?:(?:retrieval|mean distances|the contrast|the accept thresh).*?   |Through a map: )(\w+)",
        text,
        re.MULTILINE,
    )
    return [deciding or claim for deciding, claim in found]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Where the guide's Python blocks have run."""
    folder = tmp_path_factory.mktemp("guide")
    code = "\n".join(small(block) for language, block in BLOCKS if language == "python")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def commands() -> list[tuple[str, str]]:
    """(command, the text printed after it) of each console block that a text block follows."""
    found = []
    for (language, block), (after, text) in pairwise(BLOCKS):
        if language == "console" and after == "text":
            found.append((block.strip().removeprefix("$ "), text))
    return found


def test_there_are_verdicts_to_compare():
    kinds = [verdicts(text) for _, text in commands()]
    assert {found[0] for found in kinds} == set(STATUS)
    # what decides, and four claims
    assert len(kinds[0]) == 5
    code = small("\n".join(code for _, code in BLOCKS))
    assert "ExtendedData()" in code
    assert "epochs=15" in code


@pytest.mark.parametrize(("command", "text"), commands())
def test_every_command_ends_in_the_verdicts_that_are_printed(folder, command, text):
    done = subprocess.run(
        [sys.executable, "-m", *shlex.split(command)],
        cwd=folder,
        env={**os.environ, "COLUMNS": "80", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    expected = verdicts(text)
    # the guide may print the beginning of a report
    assert verdicts(done.stdout)[: len(expected)] == expected, done.stderr or done.stdout
    assert done.returncode == STATUS[expected[0]]


def test_links_lead_somewhere():
    for link in re.findall(r"\]\(([^)]+)\)", GUIDE):
        assert (ROOT / "docs" / link.split("#")[0]).exists(), link

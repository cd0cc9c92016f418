"""What README and pages name exists: commands, targets of make, modules, files. Their code: test_documents."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import stationary
from tests.documents import PAGES, ROOT

COMMANDS = {command.name or command.callback.__name__ for command in stationary.app.registered_commands}
COMMANDS |= {group.name for group in stationary.app.registered_groups}
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))


def unknown(text: str, folder: Path) -> list[str]:
    """What a page names and is not there."""
    commands = set(re.findall(r"(?:`|^\$ )stationary ([a-z]+)", text, flags=re.MULTILINE))
    targets = set(re.findall(r"(?:`|^\$ )make ([a-z-]+)", text, flags=re.MULTILINE))
    modules = set(re.findall(r"python -m ((?:theory|learning|verification|paper_figures|tests)[\w.]*)", text))
    links = {link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link}
    return [
        *sorted(f"stationary {name}" for name in commands - COMMANDS),
        *sorted(f"make {name}" for name in targets - TARGETS),
        *sorted(f"python -m {name}" for name in modules if not _is_module(name)),
        *sorted(link for link in links if link and not (folder / link).exists()),
    ]


def _is_module(name: str) -> bool:
    path = ROOT / name.replace(".", "/")
    return path.with_suffix(".py").exists() or (path / "__main__.py").exists()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_names_exists(page):
    assert unknown(page.read_text(), page.parent) == []


def test_what_is_not_there_is_found(tmp_path):
    text = "`stationary verify` `stationary fly`\n$ make tea\n`python -m theory.tea`, [a](a.md#b), [c](https://c.d/e)\n"
    assert unknown(text, tmp_path) == ["stationary fly", "make tea", "python -m theory.tea", "a.md"]


def test_the_readme_has_the_two_commands_and_stays_short():
    text = (ROOT / "README.md").read_text()
    assert re.findall(r"^\$ (.*?)  +#", text, flags=re.MULTILINE) == ["make verify", "make test"]
    assert len(text.splitlines()) < 140

"""Words that pages, help texts and public docstrings do without: invented idiom, and terms of another trade."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from tests.documents import PAGES, ROOT

PACKAGES = ("theory", "learning", "verification", "paper_figures", "stationary")
# what to write instead stands beside each
BANNED = {
    r"\bbears\b": "has, tolerates",
    r"\boff[- ]centre\b": "embeddings that share a common mean",
    r"\bnothing to speak of\b": "a number",
    r"\ba screen and a half\b": "a number",
    r"\brooms?\b(?! for| in)": "package, part",
    r"\bhouse\b": "project",
    r"\bfinds back\b": "finds again",
    r"\bmakes? up for\b": "undoes, corrects",
    r"\bthe field of\b(?! (view|the payload))": "leave it out",
}
# data that pages show, and names of simulated cases
SHOWN = re.compile(r"```.*?```|<!-- .*? -->|<t[dh].*?</t[dh]>|`[^`]*`", re.DOTALL)


def found_in(text: str) -> list[str]:
    """Banned words of a text, each with what to write instead."""
    plain = SHOWN.sub("", text)
    return [
        f"{match[0]!r}: {instead}"
        for pattern, instead in BANNED.items()
        for match in re.finditer(pattern, plain, re.IGNORECASE)
    ]


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "contributing.md"], ids=lambda page: page.name)
def test_pages_do_without_them(page: Path) -> None:
    assert found_in(page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_docstrings_and_help_texts_do_without_them(package: str) -> None:
    wrong = []
    for path in sorted((ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            texts = []
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and not getattr(
                node, "name", ""
            ).startswith("_"):
                texts.append(ast.get_docstring(node) or "")
            if isinstance(node, ast.keyword) and node.arg == "help" and isinstance(node.value, ast.Constant):
                texts.append(str(node.value.value))
            wrong += [f"{path.relative_to(ROOT)}: {each}" for text in texts for each in found_in(text)]
    assert wrong == []


def commands() -> dict[str, Any]:
    """Every command of the program by its name."""
    import stationary

    found = {}
    for name, command in get_command(stationary.app).commands.items():
        for part, each in (getattr(command, "commands", None) or {"": command}).items():
            found[f"{name} {part}".strip()] = each
    return found


@pytest.mark.parametrize("name", commands())
def test_a_help_text_is_an_example_and_sentences(name: str) -> None:
    command = commands()[name]
    assert command.help.count(f"Example: stationary {name} ") == 1
    assert command.rich_help_panel or name.startswith("bridge")
    for parameter in command.params:
        about = f"{name} {parameter.name}"
        assert parameter.metavar is not None, about
        assert re.search(r"[.)]$", parameter.help), about
        # rich takes it for a style and leaves it out
        assert "[default" not in parameter.help, about


def test_a_banned_word_is_found_and_code_is_not_read() -> None:
    assert found_in("A map that makes up for a rotation.") == ["'makes up for': undoes, corrects"]
    assert found_in("The gallery is off centre.") != []
    assert found_in("`makes up for` in code, and ```\na house\n```") == []
    assert found_in("There is room for more in the field of view.") == []

"""Words that pages, help texts and public docstrings do without: invented idiom, and terms of another trade."""

from __future__ import annotations

import ast
import inspect
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from tests.documents import ROOT

PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
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
    r"\bmachine[- ]checked\b|\bby machine\b": "a written derivation whose algebra SymPy checks",
    r"\bis at hand\b": "is available, if one is given",
    r"\bthe model (does not )?feels?\b": "is trained through",
    r"\bas far as (there are any|they are there)\b": "if there are any",
    r"\ba (sample|class|model|batch|task|step|pair) a (sample|class|model|batch|task|step|pair)\b": "per",
    r"\bhow sure it is\b": "how precise it is",
    r"\bare nobody\b": "answer no query",
    r"\ball the same\b": "nevertheless, or leave it out",
    r"\btaken at its word\b": "taken as it is",
    r"\bgives away\b": "loses",
    r"\bwho passes\b(?!\.\*\*)": "which distances pass",
}
# a description that has no noun: "Of both sides together, in (0, 1).", "≥ 0, of the choice."
VERBLESS = re.compile(
    r"(?:^|\n\n)(?:Of (?!course)|As of )|: [^\n]*\n\s+(?:Of (?!course)|As of |[^\w\n]*\d[^\w\n]*, of )"
)
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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_line_that_begins_with_a_number_and_a_stop_belongs_to_a_list(page: Path) -> None:
    """Elsewhere the number would begin a list, and the sentence before it would end there."""
    numbers = [int(found) for found in re.findall(r"^ *(\d+)\. ", SHOWN.sub("", page.read_text()), re.MULTILINE)]
    expected = 0
    for number in numbers:
        expected = 1 if number == 1 else expected + 1
        assert number == expected, f"{page.name}: a line begins with '{number}. '"


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


def exported() -> list[Any]:
    """What the packages export, and the public methods of their classes."""
    found: list[Any] = []
    for name in ("theory", "learning", "verification"):
        package = import_module(name)
        for each in (getattr(package, name) for name in package.__all__):
            found.append(each)
            if inspect.isclass(each):
                members = (value for key, value in vars(each).items() if not key.startswith("_"))
                found += [getattr(value, "func", getattr(value, "fget", value)) for value in members]
    return found


def test_what_the_packages_export_is_described_with_nouns() -> None:
    found = {getattr(each, "__qualname__", ""): inspect.getdoc(each) or "" for each in exported()}
    assert len(found) > 200
    assert [name for name, text in found.items() if VERBLESS.search(text)] == []


def test_a_description_without_a_noun_is_found() -> None:
    assert VERBLESS.search("Rate.\n\nconfidence : float\n    Of both sides together, in (0, 1).")
    assert VERBLESS.search("Keep rows.\n\nseed : int\n    ≥ 0, of the choice.")
    assert not VERBLESS.search("Keep rows.\n\nseed : int\n    Seed of the choice, ≥ 0.")


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

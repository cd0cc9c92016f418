"""The sampler of small changes: what it changes, what it leaves alone, and which tests it runs."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests import mutants
from tests.mutants import ROOT, Mutant, changed, made


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a + b", "a - b"),
        ("a <= b", "a < b"),
        ("not a", "a"),
        ("3", "4"),
        ("True", "False"),
        ("a if b else c", "c if b else a"),
        ("'text'", None),
        ("a < b < c", None),
    ],
)
def test_an_expression_is_changed_in_one_way(before, after):
    new = changed(ast.parse(before, mode="eval").body)
    assert (None if new is None else ast.unparse(new)) == after


def test_every_change_of_a_module_is_one_that_compiles(tmp_path, monkeypatch):
    monkeypatch.setattr(mutants, "ROOT", tmp_path)
    path = tmp_path / "m.py"
    path.write_text(
        '"""Text 1."""\nfrom typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    import a\n\n\n'
        "def f(x: 'int | 3' = 2) -> 'float':\n    check(x)\n    for y in range(x):\n        if y == 1:\n"
        "            continue\n    if x < 0:\n        raise ValueError(f'{x + 1}: must be >= 0')\n    return x + 1\n"
    )
    every = [made(*each) for each in mutants.mutants(path)]
    assert sorted((m.before, m.after) for m in every) == sorted(
        [
            ("2", "3"),
            ("check(x)", "pass"),
            ("if y == 1:", "if not y == 1:"),
            ("y == 1", "y != 1"),
            ("1", "2"),
            ("continue", "break"),
            ("if x < 0:", "if not x < 0:"),
            ("x < 0", "x <= 0"),
            ("0", "1"),
            ("x + 1", "x - 1"),
            ("1", "2"),
        ]
    )
    whole = ast.unparse(ast.parse(path.read_text()))
    for mutant in every:
        compile(mutant.text, "m.py", "exec")
        assert mutant.text != whole


def test_the_tests_of_a_module_are_those_of_its_name_and_those_that_import_it():
    found = mutants.tests_of("theory/simplex.py")
    assert found[0] == "tests/theory/test_simplex.py"
    assert "tests/verification/audit/test_theorem.py" in found
    assert "tests/test_mutants.py" not in found


def test_the_score_counts_what_was_judged():
    def one(path: str, verdict: str) -> tuple[Mutant, str]:
        return Mutant(path, 1, "a", "a", "b", ""), verdict

    found = [one("theory/a.py", "killed")] * 3 + [one("theory/a.py", "survived"), one("theory/a.py", "equivalent")]
    found += [one("verification/audit/b.py", "late"), one("verification/upgrade.py", "broken")]
    lines = mutants.table(found, 7).splitlines()
    assert lines[0] == "`make mutants` with 7 changes, seed 7:"
    assert lines[4:] == [
        "| `theory/` | 3 | 1 | 1 | 0 | 75 % |",
        "| `verification/` | 0 | 0 | 0 | 1 | – |",
        "| `verification/audit/` | 0 | 0 | 0 | 1 | – |",
    ]


def test_the_page_has_a_place_for_the_score(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text((ROOT / "docs" / "contributing.md").read_text())
    monkeypatch.setattr(mutants, "PAGE", page)
    mutants.write_table("TABLE")
    once = page.read_text()
    mutants.write_table("TABLE")
    assert page.read_text() == once
    assert "<!-- mutants -->\nTABLE\n<!-- end -->" in once


def test_a_change_is_noticed_where_it_should_be_and_missed_where_it_must_be(tmp_path):
    """On a project of one module: the negative control is a change of what no test looks at."""
    (tmp_path / "theory").mkdir()
    path = tmp_path / "theory" / "m.py"
    path.write_text("def f(x):\n    return x + 1\n")
    test = tmp_path / "test_m.py"
    test.write_text(f"import runpy\n\ndef test_f():\n    assert runpy.run_path({str(path)!r})['f'](1) == 2\n")
    assert mutants.outcome(tmp_path, [str(test)], 100.0)[0] == "passed"
    path.write_text("def f(x):\n    return x - 1\n")
    assert mutants.outcome(tmp_path, [str(test)], 100.0) == ("failed", "test_m.py::test_f")
    path.write_text("def f(x):\n    while x:\n        pass\n")
    assert mutants.outcome(tmp_path, [str(test)], 3.0)[0] in ("late",)
    assert Path(tmp_path / ".log").exists()

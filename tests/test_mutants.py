"""The sampler of small changes: what it changes and leaves alone, which tests it runs, and what it makes of them."""

from __future__ import annotations

import ast
import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests import mutants
from tests.coverage_map import CoverageMap, Covering
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


def test_a_change_is_known_by_the_outermost_function_around_it(tmp_path, monkeypatch):
    monkeypatch.setattr(mutants, "ROOT", tmp_path)
    path = tmp_path / "m.py"
    path.write_text(
        "SIZE = 1\n\nclass A:\n    rows = 2\n\n    def f(self, x=3):\n        def g():\n            return 4\n"
        "        return g\n\ndef h():\n    class B:\n        def f(self):\n            return 5\n    return B\n"
    )
    found = [made(*each) for each in mutants.mutants(path)]
    assert [(m.before, m.function) for m in found] == [("1", ""), ("2", ""), ("3", "A.f"), ("4", "A.f"), ("5", "h")]


def test_the_tests_of_a_module_are_those_of_its_name_and_those_that_import_it():
    named, others, rest = mutants.test_files("theory/simplex.py")
    assert named == ["tests/theory/test_simplex.py"]
    assert "tests/verification/audit/test_theorem.py" in others
    assert "tests/test_mutants.py" not in others
    # a module that no test names or imports has the tests of its folder
    assert mutants.test_files("theory/none.py")[:2] == (
        [],
        sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("tests/theory/test_*.py")),
    )
    every = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("tests/**/test_*.py"))
    assert sorted([*named, *others, *rest]) == every


def test_the_quickest_tests_are_run_as_many_as_there_is_time_for():
    tests = [Covering("a", 3.0), Covering("b", 1.0), Covering("c", 2.0)]
    assert [test.test for test in mutants.within(3.0, tests)] == ["b", "c"]
    assert mutants.within(0.5, tests) == []


def test_every_part_of_the_project_is_drawn_in_turn(tmp_path, monkeypatch):
    monkeypatch.setattr(mutants, "ROOT", tmp_path)
    paths = []
    for name, size in (("theory/a.py", 100), ("learning/b.py", 3), ("verification/audit/c.py", 100)):
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_text("".join(f"x = {number}\n" for number in range(size)))
        paths.append(path)
    drawn = mutants.draw(paths, 30, seed=1)
    assert [mutants.part_of(m.path) for m in drawn[:6]] == ["theory", "learning", "verification/audit"] * 2
    assert len({(m.path, m.line) for m in drawn}) == len(drawn) == 30
    assert [m.key for m in mutants.draw(paths, 10, seed=1)] == [m.key for m in drawn[:10]]
    assert [m.key for m in mutants.draw(paths, 30, seed=2)] != [m.key for m in drawn]


def test_the_score_counts_what_was_judged():
    def one(path: str, verdict: str) -> tuple[Mutant, str]:
        return Mutant(path, "f", 1, "a", "a", "b", ""), verdict

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


@pytest.fixture
def project(tmp_path) -> Path:
    """A project of one module, and a test file: one test of each function, one that fails, one of a shared fixture."""
    (tmp_path / "theory").mkdir()
    module = tmp_path / "theory" / "m.py"
    module.write_text(
        "def f(x):\n    return x + 1\n\ndef g(x):\n    return x * 3\n\ndef h(x):\n    return x - 1\n\n"
        "class A:\n    def k(self):\n        return [self.__class__ for _ in range(2)]\n"
    )
    (tmp_path / "test_m.py").write_text(
        "import runpy\nimport time\n\nimport pytest\n\n"
        f"m = runpy.run_path({str(module)!r})\n\n"
        "@pytest.fixture(scope='module')\ndef once():\n    return m['h'](2)\n\n"
        "def test_f():\n    assert m['f'](1) == 2\n\n"
        "def test_g(once):\n    assert m['g'](1) == 3\n\n"
        "def test_h(once):\n    assert once == 1\n\n"
        "def test_broken():\n    assert m['f'](1) == 3\n\n"
        "def test_k():\n    assert m['A']().k() == [m['A']] * 2\n\n"
    )
    return tmp_path


def test_the_map_names_the_functions_that_each_test_runs_its_fixtures_too(project):
    at = project / ".cache" / "map.json"
    found = CoverageMap(project, at)
    found.add("test_m.py")

    def tests(function: str) -> set[str]:
        return {test.test.partition("::")[2] for test in found.tests_of(["test_m.py"], "theory/m.py", function)}

    assert tests("f") == {"test_f"}  # what fails without a change says nothing
    assert tests("g") == {"test_g"}
    assert tests("h") == {"test_g", "test_h"}  # whoever set it up
    assert tests("A.k") == {"test_k"}
    assert tests("none") == set()
    assert tests("") == {"test_f", "test_g", "test_h", "test_k"}
    # it is kept until the module changes
    assert CoverageMap(project, at).files == found.files
    (project / "theory" / "m.py").write_text("def f(x):\n    return 2\n")
    assert CoverageMap(project, at).files == {}


@pytest.mark.services
def test_changes_are_noticed_missed_or_never_end(project, monkeypatch):
    monkeypatch.setattr(mutants, "START", 3.0)
    monkeypatch.setattr(mutants, "test_files", lambda path: (["test_m.py"], [], []))
    judge = mutants.Judge(project, CoverageMap(project, project / ".cache" / "map.json"), 100.0)
    text = (project / "theory" / "m.py").read_text()

    def verdict(function: str, before: str, after: str) -> tuple[str, str]:
        assert before in text
        return judge(Mutant("theory/m.py", function, 1, "", before, after, text.replace(before, after)))

    assert verdict("f", "x + 1", "x * 2") == ("survived", "passed")  # 1 + 1 = 1 · 2
    assert verdict("f", "x + 1", "x - 1") == ("killed", "test_m.py::test_f")
    assert verdict("g", "x * 3", "x / 3") == ("killed", "test_m.py::test_g")
    assert verdict("none", "x * 3", "x / 3") == ("survived", "no test runs it")
    assert verdict("f", "return x + 1", "while x: pass") == ("killed", "endless")
    assert (project / "theory" / "m.py").read_text() == text


def test_what_was_judged_is_taken_up_again_and_what_is_listed_since_changes_nothing(tmp_path, monkeypatch):
    listed = tmp_path / "equivalent.json"
    monkeypatch.setattr(mutants, "EQUIVALENT", listed)
    some = Mutant("theory/a.py", "f", 1, "a + b", "a + b", "a - b", "text")
    mutants.note(tmp_path / "found", some, "survived")
    mutants.note(tmp_path / "found", some, "killed")
    for known, verdicts in (({}, ["survived", "killed"]), ({some.key: "why"}, ["equivalent", "killed"])):
        listed.write_text(json.dumps(known))
        found = mutants.read_found(tmp_path / "found")
        assert [verdict for _, verdict in found] == verdicts
        assert found[0][0] == replace(some, text="")
    assert mutants.read_found(tmp_path / "none") == []

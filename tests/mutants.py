"""Mutation testing: small changes of the code, one at a time, each of which some test should notice.

``make mutants`` draws a sample of them, runs the fast tests that belong to the changed module on a copy of the project,
and writes the share that was noticed into docs/contributing.md. Which tests belong to a module: those whose file has
its name or imports it, or else those of its folder. A change that only a test of another module notices counts as
missed, so the score is a lower bound.

A test that fails on a changed module is run again on the unchanged one, where it must pass. What survives and changes
nothing that can be seen is listed in ``tests/mutants_equivalent.json`` with the reason.
"""

from __future__ import annotations

import argparse
import ast
import copy
import functools
import importlib
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
ROOMS = ("theory", "learning", "verification")
PAGE = ROOT / "docs" / "contributing.md"
EQUIVALENT = Path(__file__).with_name("mutants_equivalent.json")
# no answers: they time things, or print what others found
LEFT_OUT = re.compile(r"benchmark\.py|__init__\.py|conftest\.py|test_\w+\.py|experiments/|views/")
MARKERS = "not (slow or documents or figures or services or simulations)"
OPERATORS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Pow: ast.Mult, ast.Mod: ast.Mult, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.And: ast.Or, ast.Or: ast.And, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One change: module, line and its text, what stood there and what stands there now, and the whole new text."""

    path: str
    line: int
    source: str
    before: str
    after: str
    text: str

    @property
    def key(self) -> str:
        """How it is named in the list of those that change nothing: by the text of the line, whose number changes."""
        return f"{self.path}: {self.source}: {self.before} -> {self.after}"


def changed(node: ast.AST) -> ast.AST | None:
    """The changed copy of a node; None where this kind of node is not changed."""
    new = copy.deepcopy(node)
    if isinstance(new, ast.BinOp | ast.AugAssign | ast.BoolOp) and type(new.op) in OPERATORS:
        new.op = OPERATORS[type(new.op)]()  # type: ignore[assignment]
    elif isinstance(new, ast.Compare) and len(new.ops) == 1 and type(new.ops[0]) in OPERATORS:
        new.ops = [OPERATORS[type(new.ops[0])]()]  # type: ignore[list-item]
    elif isinstance(new, ast.UnaryOp) and isinstance(new.op, ast.Not | ast.USub):
        return new.operand
    elif isinstance(new, ast.Constant) and isinstance(new.value, bool):
        new.value = not new.value
    elif isinstance(new, ast.Constant) and isinstance(new.value, int | float):
        new.value += 1
    elif isinstance(new, ast.IfExp):
        new.body, new.orelse = new.orelse, new.body
    elif isinstance(new, ast.If):
        new.test = ast.UnaryOp(ast.Not(), new.test)
    elif isinstance(new, ast.Expr) and isinstance(new.value, ast.Call):
        return ast.Pass()
    elif isinstance(new, ast.Continue):
        return ast.Break()
    elif isinstance(new, ast.Break):
        return ast.Continue()
    else:
        return None
    return new


def changeable(tree: ast.AST) -> Iterator[tuple[ast.AST, str, int | None]]:
    """Where something can be changed: the parent, its field, and the place in it if that is a list.

    Types, the text of messages and what only type checkers read are left out.
    """
    for name, value in ast.iter_fields(tree):
        if name in ("annotation", "returns", "decorator_list", "bases", "type_params"):
            continue
        for place, node in enumerate(value if isinstance(value, list) else [value]):
            if not isinstance(node, ast.AST) or isinstance(node, ast.JoinedStr | ast.Raise):
                continue
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                continue
            if changed(node) is not None:
                yield tree, name, place if isinstance(value, list) else None
            yield from changeable(node)


def mutants(path: Path) -> list[tuple[Path, int]]:
    """Every change of a module, by its number; :func:`made` makes it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [(path, number) for number, _ in enumerate(changeable(tree))]


def made(path: Path, number: int) -> Mutant:
    """One change of a module."""
    whole = path.read_text(encoding="utf-8")
    tree = ast.parse(whole)
    parent, name, place = list(changeable(tree))[number]
    held = getattr(parent, name)
    node = held if place is None else held[place]
    new = changed(node)
    assert new is not None
    if place is None:
        setattr(parent, name, new)
    else:
        held[place] = new
    before, after = (ast.unparse(ast.fix_missing_locations(each)).splitlines()[0][:90] for each in (node, new))
    text = ast.unparse(ast.fix_missing_locations(tree))
    source = whole.splitlines()[node.lineno - 1].strip()
    return Mutant(path.relative_to(ROOT).as_posix(), node.lineno, source, before, after, text)


@functools.cache
def imports_of(path: Path) -> frozenset[str]:
    """Modules that a test file imports, by every name that it takes from them."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(found)


def tests_of(path: str) -> list[str]:
    """Test files that belong to a module, that of its name first."""
    module = path.removesuffix(".py").replace("/", ".")
    files = [*ROOT.glob("tests/**/test_*.py")]
    name = f"test_{Path(path).stem.strip('_')}.py"
    room = Path(path).parts[0]
    named = [file for file in files if file.name == name and room in file.parts]
    importing = [file for file in files if module in imports_of(file) and file not in named]
    beside = [file for file in files if file.parent == ROOT / "tests" / Path(path).parent]
    chosen = [*named, *importing] or beside or [file for file in files if file.parent == ROOT / "tests" / room]
    return [file.relative_to(ROOT).as_posix() for file in chosen]


class _First:
    """A plug-in of pytest that keeps the name of the first test that failed."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def pytest_runtest_logreport(self, report: object) -> None:
        if getattr(report, "failed", False) and not self.place.exists():
            self.place.write_text(str(getattr(report, "nodeid", "")))


def outcome(folder: Path, tests: list[str], limit: float) -> tuple[str, str]:
    """Run tests of a copy of the project in a process of its own: passed, failed or late, and the first that failed."""
    failed = folder / ".failed"
    failed.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        try:
            _run_tests(folder, tests, _First(failed))
        except BaseException:  # whatever happens, nothing of the parent goes on here
            traceback.print_exc()
            sys.stderr.flush()
        os._exit(70)
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            passed = os.waitstatus_to_exitcode(status) in (0, 5)
            return "passed" if passed else "failed", failed.read_text() if failed.exists() else ""
        time.sleep(0.1)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "late", ""


def _run_tests(folder: Path, tests: list[str], first: _First) -> None:
    """Run tests and end this process; libraries are loaded already, our own packages are not."""
    os.setsid()
    nowhere = os.open(folder / ".log", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    os.chdir(folder)
    os.environ["PYTHONPATH"] = str(folder)
    sys.path.insert(0, str(folder))
    for name in [name for name in sys.modules if name.partition(".")[0] in ("tests", "jaxtyping", *ROOMS)]:
        del sys.modules[name]
    import pytest

    options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", MARKERS, "--rootdir", str(folder)]
    status = int(pytest.main([*options, *tests], plugins=[first]))
    sys.stdout.flush()
    os._exit(status)


def judge(mutant: Mutant, folder: Path, limit: float) -> str:
    """What tests say of a mutant: killed, survived, late, or broken where they fail without it."""
    path, tests = folder / mutant.path, tests_of(mutant.path)
    whole = path.read_text(encoding="utf-8")
    path.write_text(mutant.text, encoding="utf-8")
    try:
        found, test = outcome(folder, tests, limit)
    finally:
        path.write_text(whole, encoding="utf-8")
    if found != "failed":
        return {"passed": "survived", "late": "late"}[found]
    # an import that fails has no test of its own
    return "killed" if outcome(folder, [test] if "::" in test else tests, limit)[0] == "passed" else "broken"


def part_of(path: str) -> str:
    """The line of the table that a module belongs to."""
    room, *rest = Path(path).parts
    return f"{room}/{rest[0]}" if room == "verification" and rest[0] in ("statistics", "audit") else room


def table(found: list[tuple[Mutant, str]], seed: int) -> str:
    """The score as Markdown."""
    counts: dict[str, Counter[str]] = {}
    for mutant, verdict in found:
        counts.setdefault(part_of(mutant.path), Counter())[verdict] += 1
    lines = [
        f"`make mutants` with {len(found)} changes, seed {seed}:",
        "",
        "| | noticed | missed | change nothing | not judged | score |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for part, count in sorted(counts.items()):
        killed, missed = count["killed"], count["survived"]
        score = f"{100 * killed / (killed + missed):.0f} %" if killed + missed else "–"
        lines.append(
            f"| `{part}/` | {killed} | {missed} | {count['equivalent']} | {count['late'] + count['broken']} | {score} |"
        )
    return "\n".join(lines)


def write_table(text: str) -> None:
    """Put the table into the page, between its two marks."""
    from theory.files import write_text

    page = PAGE.read_text(encoding="utf-8")
    write_text(
        PAGE, re.sub(r"(<!-- mutants -->\n).*?(<!-- end -->)", lambda m: f"{m[1]}{text}\n{m[2]}", page, flags=re.DOTALL)
    )


def main() -> None:
    """Draw, judge, print what survives, and write the score."""
    parser = argparse.ArgumentParser(description="Mutation testing; see the text at the top of tests/mutants.py.")
    parser.add_argument("parts", nargs="*", default=list(ROOMS), help="folders or modules")
    parser.add_argument("--sample", type=int, default=60, metavar="N", help="how many changes to draw")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=300.0, metavar="SECONDS", help="for the tests of one change")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no other change after that time")
    parser.add_argument("--write", action="store_true", help="write the score into docs/contributing.md")
    chosen = parser.parse_args()
    paths = [
        path
        for part in chosen.parts
        for path in ([ROOT / part] if part.endswith(".py") else sorted((ROOT / part).rglob("*.py")))
        if not LEFT_OUT.search(path.relative_to(ROOT).as_posix())
    ]
    every = [mutant for path in paths for mutant in mutants(path)]
    drawn = [made(*each) for each in random.Random(chosen.seed).sample(every, min(chosen.sample, len(every)))]
    print(f"{len(drawn)} of {len(every)} changes", flush=True)
    known = json.loads(EQUIVALENT.read_text(encoding="utf-8")) if EQUIVALENT.exists() else {}
    os.environ |= {"OMP_NUM_THREADS": "1", "CI": "1"}  # the same examples every time
    for library in ("numpy", "scipy.stats", "scipy.optimize", "torch", "pytest"):  # once for all
        importlib.import_module(library)
    found: list[tuple[Mutant, str]] = []
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "project"
        shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(".git", ".venv", "__pycache__", "output", "site"))
        for mutant in drawn:
            if time.monotonic() - began > 60.0 * chosen.minutes:
                break
            verdict = "equivalent" if mutant.key in known else judge(mutant, folder, chosen.limit)
            found.append((mutant, verdict))
            if verdict == "broken":
                print((folder / ".log").read_text(encoding="utf-8")[-2000:])
            print(f"{verdict:10} {mutant.path}:{mutant.line}: {mutant.before} -> {mutant.after}", flush=True)
    text = table(found, chosen.seed)
    print(text)
    if chosen.write:
        write_table(text)


if __name__ == "__main__":
    main()

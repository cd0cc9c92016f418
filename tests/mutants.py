"""Mutation testing: small changes of the code, one at a time, each of which some test should notice.

``make mutants`` draws changes of each part of the project in turn, makes one at a time in a copy of the project, and
runs tests until one fails: the fast ones that run the changed function, of the test file that has the module's name,
then of those that import it or are beside it, then of all others. The share that was noticed goes into
docs/contributing.md. Which tests run which function is recorded once (:mod:`tests.coverage_map`). The quickest come
first, and together they have a limit of time. A change that only slower tests notice counts as missed, so the score is
a lower bound.

A test that fails on a changed module is run again on the unchanged one, where it must pass. What survives and changes
nothing that can be seen is listed in ``tests/mutants_equivalent.json`` with the reason.
"""

from __future__ import annotations

import argparse
import ast
import copy
import functools
import json
import random
import re
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import accumulate, chain, zip_longest
from pathlib import Path

from tests.coverage_map import KEPT, ROOMS, CoverageMap, Covering, load_libraries, outcome

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "contributing.md"
EQUIVALENT = Path(__file__).with_name("mutants_equivalent.json")
# no answers: they time things, or print what others found
LEFT_OUT = re.compile(r"benchmark\.py|__init__\.py|conftest\.py|test_\w+\.py|experiments/|views/")
# seconds that the tests of one change take together, at most, where nothing is changed; and how much longer they may
# take with the change, in seconds of computing
BUDGET, SLOWER = 30.0, 4.0
# seconds of computing that starting the tests takes
START = 30.0
OPERATORS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Pow: ast.Mult, ast.Mod: ast.Mult, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.And: ast.Or, ast.Or: ast.And, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One change.

    Attributes
    ----------
    path : str
        Of the module.
    function : str
        Qualified name of the outermost function around it; empty outside of functions.
    line : int
    source : str
        The text of the line.
    before, after : str
        What stood there, and what stands there now.
    text : str
        The whole module with the change.
    """

    path: str
    function: str
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
    new = copy.copy(node)
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


def changeable(tree: ast.AST, function: str = "", classes: str = "") -> Iterator[tuple[ast.AST, str, int | None, str]]:
    """Where something can be changed: the parent, its field, the place in it if that is a list, and the function.

    Types, the text of messages, what only type checkers read and the assertion ``strict`` of ``zip`` are left out.
    """
    if not function and isinstance(tree, ast.ClassDef):
        classes += f"{tree.name}."
    elif not function and isinstance(tree, ast.FunctionDef | ast.AsyncFunctionDef):
        function = f"{classes}{tree.name}"
    for name, value in ast.iter_fields(tree):
        if name in ("annotation", "returns", "decorator_list", "bases", "type_params"):
            continue
        for place, node in enumerate(value if isinstance(value, list) else [value]):
            if not isinstance(node, ast.AST) or isinstance(node, ast.JoinedStr | ast.Raise):
                continue
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                continue
            if isinstance(node, ast.keyword) and node.arg == "strict":
                continue
            if changed(node) is not None:
                yield tree, name, place if isinstance(value, list) else None, function
            yield from changeable(node, function, classes)


def mutants(path: Path) -> list[tuple[Path, int]]:
    """Every change of a module, by its number; :func:`made` makes it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [(path, number) for number, _ in enumerate(changeable(tree))]


def made(path: Path, number: int) -> Mutant:
    """One change of a module."""
    whole = path.read_text(encoding="utf-8")
    tree = ast.parse(whole)
    parent, name, place, function = list(changeable(tree))[number]
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
    return Mutant(path.relative_to(ROOT).as_posix(), function, node.lineno, source, before, after, text)


def draw(paths: Iterable[Path], size: int, seed: int) -> list[Mutant]:
    """Draw changes of each part of the project in turn, so that every beginning of the list is of all parts.

    What is drawn of a part does not depend on the other parts, so that several processes can share a sample.
    """
    parts: dict[str, list[tuple[Path, int]]] = {}
    for path in paths:
        parts.setdefault(part_of(path.relative_to(ROOT).as_posix()), []).extend(mutants(path))
    orders = [random.Random(f"{seed} {part}").sample(every, len(every)) for part, every in parts.items()]
    drawn = [each for each in chain.from_iterable(zip_longest(*orders)) if each is not None]
    return [made(*each) for each in drawn[:size]]


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


def test_files(path: str) -> tuple[list[str], list[str], list[str]]:
    """Test files of a module's name, others that belong to it, which import it or else are beside it, and the rest."""
    module = path.removesuffix(".py").replace("/", ".")
    files = sorted(ROOT.glob("tests/**/test_*.py"))
    name = f"test_{Path(path).stem.strip('_')}.py"
    room = Path(path).parts[0]
    named = [file for file in files if file.name == name and room in file.parts]
    importing = [file for file in files if module in imports_of(file) and file not in named]
    beside = [file for file in files if file.parent == ROOT / "tests" / Path(path).parent]
    others = importing or ([] if named else beside or [file for file in files if file.parent == ROOT / "tests" / room])
    rest = [file for file in files if file not in named and file not in others]
    first, second, third = ([file.relative_to(ROOT).as_posix() for file in some] for some in (named, others, rest))
    return first, second, third


def within(seconds: float, tests: list[Covering]) -> list[Covering]:
    """The quickest tests, as many as there is time for."""
    tests = sorted(tests, key=lambda test: test.seconds)
    totals = accumulate(test.seconds for test in tests)
    return [test for test, total in zip(tests, totals, strict=True) if total <= seconds]


@dataclass
class Judge:
    """What tests say of changes.

    Attributes
    ----------
    folder : Path
        A copy of the project.
    map : CoverageMap
    limit : float
        Seconds for the tests of one change, whatever else the machine does.
    """

    folder: Path
    map: CoverageMap
    limit: float

    def __post_init__(self) -> None:
        self._passing: set[str] = set()

    def __call__(self, mutant: Mutant) -> tuple[str, str]:
        """Return killed, survived, late, or broken where they fail without it; and the test that says so."""
        named, others, rest = test_files(mutant.path)
        recorded = [file for file in others if file in self.map.files]
        found, left = ("survived", "no test runs it"), BUDGET
        # what is recorded already costs least, and what need not be recorded nothing
        for files in (named, recorded, *([file] for file in others if file not in recorded), rest):
            for file in files:
                self.map.add(file)
            tests = within(left, self.map.tests_of(files, mutant.path, mutant.function))
            if tests:
                found = self._run(mutant, tests)
                left -= sum(test.seconds for test in tests)
            if found[0] != "survived" or left <= 0.0:
                break
        return found

    def _run(self, mutant: Mutant, tests: list[Covering]) -> tuple[str, str]:
        """What some tests say."""
        path = self.folder / mutant.path
        whole = path.read_text(encoding="utf-8")
        path.write_text(mutant.text, encoding="utf-8")
        cpu = START + SLOWER * sum(test.seconds for test in tests)
        try:
            found, test = outcome(self.folder, [test.test for test in tests], self.limit, cpu=cpu)
        finally:
            path.write_text(whole, encoding="utf-8")
        if found != "failed":
            return {"passed": "survived", "endless": "killed", "late": "late"}[found], found
        if test in self._passing or "::" not in test:  # an import that fails has no test of its own
            return "killed", test
        if outcome(self.folder, [test], self.limit)[0] != "passed":
            return "broken", test
        self._passing.add(test)
        return "killed", test


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


def note(path: Path, mutant: Mutant, verdict: str) -> None:
    """Add a verdict to a file, a line of JSON."""
    entry = {name: value for name, value in asdict(mutant).items() if name != "text"}
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(entry | {"verdict": verdict}) + "\n")


def read_found(path: Path) -> list[tuple[Mutant, str]]:
    """Changes that were judged before, and what was found; those that are listed as equivalent now are."""
    known = json.loads(EQUIVALENT.read_text(encoding="utf-8"))
    found = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        entry = json.loads(line)
        verdict = entry.pop("verdict")
        mutant = Mutant(**entry, text="")
        found.append((mutant, "equivalent" if verdict == "survived" and mutant.key in known else verdict))
    return found


def main() -> None:
    """Draw, judge, print what survives, and write the score."""
    parser = argparse.ArgumentParser(description="Mutation testing; see the text at the top of tests/mutants.py.")
    parser.add_argument("parts", nargs="*", default=list(ROOMS), help="folders or modules")
    parser.add_argument("--sample", type=int, default=60, metavar="N", help="how many changes to draw")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=600.0, metavar="SECONDS", help="for the tests of one change")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no other change after that time")
    parser.add_argument(
        "--found", type=Path, metavar="FILE", help="note each verdict here, and do not judge again what is noted"
    )
    parser.add_argument("--write", action="store_true", help="write the score into docs/contributing.md")
    chosen = parser.parse_args()
    paths = [
        path
        for part in chosen.parts
        for path in ([ROOT / part] if part.endswith(".py") else sorted((ROOT / part).rglob("*.py")))
        if not LEFT_OUT.search(path.relative_to(ROOT).as_posix())
    ]
    found = [] if chosen.found is None else read_found(chosen.found)
    judged = {(mutant.key, mutant.line) for mutant, _ in found}
    drawn = [mutant for mutant in draw(paths, chosen.sample, chosen.seed) if (mutant.key, mutant.line) not in judged]
    print(f"{len(found)} changes were judged before, {len(drawn)} are now", flush=True)
    if drawn:
        load_libraries()
        with tempfile.TemporaryDirectory() as temporary:
            left_out = shutil.ignore_patterns(".git", ".venv", ".cache", "__pycache__", "output", "site")
            folder = Path(shutil.copytree(ROOT, Path(temporary).resolve() / "project", ignore=left_out))
            for mutant, verdict in judge_all(
                drawn, Judge(folder, CoverageMap(folder, ROOT / KEPT), chosen.limit), 60.0 * chosen.minutes
            ):
                found.append((mutant, verdict))
                if chosen.found is not None:
                    note(chosen.found, mutant, verdict)
    text = table(found, chosen.seed)
    print(text)
    if chosen.write:
        write_table(text)


def judge_all(drawn: Iterable[Mutant], judge: Judge, seconds: float) -> Iterator[tuple[Mutant, str]]:
    """Judge one change after the other while there is time, and print what is found."""
    known = json.loads(EQUIVALENT.read_text(encoding="utf-8"))
    began = time.monotonic()
    for mutant in drawn:
        if time.monotonic() - began > seconds:
            return
        verdict, why = ("equivalent", "listed") if mutant.key in known else judge(mutant)
        print(f"{verdict:10} {mutant.path}:{mutant.line}: {mutant.before} -> {mutant.after} ({why})", flush=True)
        if verdict == "broken":
            print((judge.folder / ".log").read_text(encoding="utf-8")[-2000:])
        yield mutant, verdict


if __name__ == "__main__":
    main()

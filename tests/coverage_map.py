"""Which tests run which function, and how long they take, recorded once and kept in ``.cache/``.

Each test file runs in a process of its own. What it showed is kept until it, or a module whose functions it runs,
changes. A test also counts as running what its fixtures ran when another test set them up. Functions are noted by their
names and not by lines, so that a call costs little to note.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import resource
import signal
import sys
import threading
import time
import traceback
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest

ROOMS = ("theory", "learning", "verification")
MARKERS = "not (slow or documents or figures or services or simulations)"
KEPT = Path(".cache") / "tests_by_function.json"
# what most tests load: once, in the process that others are forked from
LIBRARIES = (
    "numpy", "scipy.stats", "scipy.optimize", "scipy.integrate", "scipy.spatial", "torch", "accelerate", "sympy",
    "sklearn.linear_model", "hypothesis", "beartype", "rich.console", "typer", "jinja2", "pyarrow.dataset", "PIL.Image",
    "safetensors.numpy", "matplotlib.pyplot",
)  # fmt: skip
# a change that asks for more than this has gone wrong
MEMORY = 2**34


@dataclass(frozen=True)
class Covering:
    """A test that runs a function: its name for pytest, and the seconds that it computes."""

    test: str
    seconds: float


@dataclass
class CoverageMap:
    """Tests by the functions that they run.

    Attributes
    ----------
    folder : Path
        Of the project.
    at : Path
        The file where it is kept: of each test file the digests of what it rests on, and of each test the seconds and
        the functions, ``PATH:NAME``.
    """

    folder: Path
    at: Path

    def __post_init__(self) -> None:
        kept = json.loads(self.at.read_text(encoding="utf-8")) if self.at.exists() else {}
        self.files: dict[str, dict[str, Any]] = {
            name: entry for name, entry in kept.items() if entry["digests"] == self._digests(entry["digests"])
        }

    def _digests(self, paths: Iterable[str]) -> dict[str, str]:
        files = {path: self.folder / path for path in paths}
        return {
            path: hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else "" for path, file in files.items()
        }

    def add(self, file: str, limit: float = 1800.0) -> None:
        """Run the fast tests of a file, unless that was done, and keep what each of them runs."""
        if file in self.files:
            return
        place = self.folder / ".recorded"
        place.unlink(missing_ok=True)
        recorder = _Recorder(self.folder, place)
        outcome(self.folder, [file], limit, plugin=recorder, options=("--maxfail=1000",))
        tests = json.loads(place.read_text(encoding="utf-8")) if place.exists() else {}
        modules = sorted({function.partition(":")[0] for _, functions in tests.values() for function in functions})
        self.files[file] = {"digests": self._digests([file, *modules]), "tests": tests}
        self.at.parent.mkdir(exist_ok=True)
        self.at.write_text(json.dumps(self.files), encoding="utf-8")

    def tests_of(self, files: Iterable[str], path: str, function: str) -> list[Covering]:
        """Tests of some files that run a function; or any function of the module, if none is named."""
        wanted = f"{path}:{function}"
        return [
            Covering(name, seconds)
            for entry in map(self.files.__getitem__, files)
            for name, (seconds, functions) in entry["tests"].items()
            if any(each == wanted if function else each.startswith(wanted) for each in functions)
        ]


def _computed() -> float:
    """Seconds that this process and those that it has started have computed."""
    return sum(os.times()[:4])


class _Recorder:
    """A plug-in of pytest that notes the functions of this project that each test calls; failed tests are left out."""

    def __init__(self, folder: Path, place: Path) -> None:
        self.folder, self.place = folder, place
        # by identity: to hash code is to hash all that is in it
        self.called: dict[int, CodeType] = {}
        self.of_fixtures: dict[str, dict[int, CodeType]] = defaultdict(dict)
        self.tests: dict[str, tuple[float, dict[int, CodeType]]] = {}
        self.failed: set[str] = set()

    def _note(self, frame: FrameType, event: str, _: object) -> None:
        self.called[id(frame.f_code)] = frame.f_code

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: Any) -> Iterator[Any]:
        self.called = {}
        began = _computed()
        threading.settrace(self._note)
        sys.settrace(self._note)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            threading.settrace(None)
            called = self.called
            for name in item.fixturenames:
                called = called | self.of_fixtures[name]
            self.tests[item.nodeid] = _computed() - began, called

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> Iterator[Any]:
        before, self.called = self.called, {}
        try:
            return (yield)
        finally:
            self.of_fixtures[fixturedef.argname] |= self.called
            self.called |= before

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            self.failed.add(report.nodeid)

    def _name(self, code: CodeType) -> str | None:
        path = Path(code.co_filename)
        if not path.is_relative_to(self.folder):
            return None
        path = path.relative_to(self.folder)
        if path.parts[0] not in ROOMS or code.co_qualname == "<module>":
            return None
        return f"{path.as_posix()}:{code.co_qualname.partition('.<locals>')[0]}"

    def pytest_sessionfinish(self) -> None:
        named = {
            name: (round(seconds, 3), sorted(filter(None, {self._name(code) for code in called.values()})))
            for name, (seconds, called) in self.tests.items()
            if name not in self.failed
        }
        self.place.write_text(json.dumps(named), encoding="utf-8")


class _First:
    """A plug-in of pytest that keeps the name of the first test that failed."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed and not self.place.exists():
            self.place.write_text(report.nodeid, encoding="utf-8")


def load_libraries() -> None:
    """Load what tests need besides this project, for all the processes that are forked from this one."""
    os.environ |= {"OMP_NUM_THREADS": "1", "JAXTYPING_DISABLE": "1", "CI": "1"}  # CI: the same examples every time
    for library in LIBRARIES:
        importlib.import_module(library)


def outcome(
    folder: Path,
    tests: Sequence[str],
    limit: float,
    *,
    cpu: float | None = None,
    plugin: object | None = None,
    options: Sequence[str] = ("-x",),
) -> tuple[str, str]:
    """Run tests of a copy of the project in a process of its own.

    Parameters
    ----------
    folder : Path
        Of the copy.
    tests : sequence of str
        As pytest takes them.
    limit : float
        Seconds after which the process is ended.
    cpu : float, optional
        The same in seconds of computing, which another program on the machine does not lengthen.

    Returns
    -------
    passed, failed, endless (beyond ``cpu``) or late (beyond ``limit``), and the first test that failed.
    """
    failed = folder / ".failed"
    failed.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        try:
            plugins = [_First(failed), *([] if plugin is None else [plugin])]
            _run_tests(folder, [*options, *tests], plugins, cpu)
        except BaseException:  # whatever happens, nothing of the parent goes on here
            traceback.print_exc()
            sys.stderr.flush()
        os._exit(70)
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            if code in (-signal.SIGXCPU, -signal.SIGKILL):
                return "endless", ""
            return "passed" if code in (0, 5) else "failed", failed.read_text() if failed.exists() else ""
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "late", ""


def _run_tests(folder: Path, arguments: Sequence[str], plugins: list[object], cpu: float | None) -> None:
    """Run tests and end this process; libraries are loaded already, our own packages are not."""
    os.setsid()
    if cpu is not None:
        used = time.process_time()
        resource.setrlimit(resource.RLIMIT_CPU, (int(used + cpu) + 1, int(used + cpu) + 5))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    nowhere = os.open(folder / ".log", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    os.chdir(folder)
    os.environ["PYTHONPATH"] = str(folder)
    sys.path.insert(0, str(folder))
    own = ("tests", "jaxtyping", "stationary", "stationary_pytest", "paper_figures", *ROOMS)
    for name in [name for name in sys.modules if name.partition(".")[0] in own]:
        del sys.modules[name]
    fixed = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", MARKERS, "--rootdir", str(folder)]
    fixed += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # Hypothesis is loaded already
    status = int(pytest.main([*fixed, *arguments], plugins=plugins))
    sys.stdout.flush()
    os._exit(status)

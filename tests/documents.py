"""Documents that run: the code blocks of a Markdown page, in order, and whether they print what stands beneath them.

A page's blocks share one empty folder, and its Python blocks one namespace. ``python`` is executed; of ``console``
every line that begins with ``$ stationary`` or ``$ python -m`` is, by a shell in which the block's lines ``$ NAME=…``
are set. A ``text`` block that follows is what was printed; a line ``…`` in it stands for what the page leaves out
between its first and its last lines. A picture that a page shows and its code saves under the same name has to be the
same picture.

Comments on the line before a block are for this module alone: ``<!-- slow -->``: run when slow tests are;
``<!-- not run: REASON -->``: what it needs is not here, say a server; ``<!-- status 1 -->``: the exit status, if it is
not 0; ``<!-- numbers within 0.02 -->`` before a ``text`` block: numbers may differ by so much, as those of a training
do from one processor to another.

``python -m tests.documents PAGE …`` writes into each page what its code prints, and its pictures beside it. Features of
real encoders, which a page may read from a folder ``real``, are those in the folder that ``STATIONARY_REAL`` names.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).parent.parent
# tests of their own run these: a part on other data, a server, statuses to be told apart
_TESTED_ELSEWHERE = {
    "bridge.md": "tests/verification/bridge/test_guide.py",
    "ci.md": "tests/test_ci_page.py",
    "sources.md": "tests/test_sources_page.py",
    "trained-upgrade.md": "tests/test_trained_upgrade.py",
    "upgrading.md": "tests/test_upgrading.py",
}
# the cache of `python -m benchmarks.real`
REAL = "STATIONARY_REAL"
PAGES = (
    ROOT / "README.md",
    *(page for page in sorted((ROOT / "docs").glob("*.md")) if page.name not in _TESTED_ELSEWHERE),
)
# seconds a command may take, in the default run and where it is marked slow: a page cannot hold up the tests unnoticed
TOO_LONG = (120, 1200)
_BLOCK = re.compile(
    r"(?:^<!-- (?P<note>[^\n]*?) -->\n)?^```(?P<language>\w+)\n(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE
)
_RUN = re.compile(r"^\$ ((?:stationary|python -m) .*)$", re.MULTILINE)
_SET = re.compile(r"^\$ ([A-Z]+=.*)$", re.MULTILINE)
_NUMBER = re.compile(r"[-+−]?\d+(?:\.\d+)?(?:e[-+]\d+)?")
_PICTURE = re.compile(r"!\[[^\]]*\]\(([^)]+\.png)\)")


@dataclass(frozen=True)
class Difference:
    """A block of output that is not what was printed.

    Attributes
    ----------
    where : str
        Page and line.
    stated, printed : str
    start, end : int
        Of the block's content in the page.
    """

    where: str
    stated: str
    printed: str
    start: int
    end: int

    def __str__(self) -> str:
        return f"{self.where} states\n{self.stated}\nbut this was printed:\n{self.printed}"


def has_code(page: Path) -> bool:
    """Whether a page has blocks to run."""
    return any(map(_runs, _BLOCK.finditer(page.read_text())))


def has_slow_code(page: Path) -> bool:
    """Whether some of them take long."""
    return any(_runs(block) and block["note"] == "slow" for block in _BLOCK.finditer(page.read_text()))


def run(page: Path, folder: Path, slow: bool = False) -> Iterator[Difference]:
    """Run a page's code in ``folder`` and yield what it prints other than the page says.

    Raises
    ------
    AssertionError
        If a block fails, naming its line.
    """
    text = page.read_text()
    namespace: dict[str, object] = {"__name__": "__main__"}
    printed: str | None = None
    # a page may write a module and import it, as a user does whose programs lie there
    with contextlib.chdir(folder), mock.patch.object(sys, "path", [str(folder), *sys.path]):
        for block in _BLOCK.finditer(text):
            where = f"{page.name}:{text.count(chr(10), 0, block.start('code'))}"
            note = block["note"] or ""
            if block["language"] == "text" and printed is not None:
                stated, tolerance = _tidy(block["code"]), re.match(r"numbers within ([\d.]+)", note)
                printed = shortened(printed, stated)
                if not same(printed, stated, float(tolerance[1]) if tolerance else 0.0):
                    yield Difference(where, stated, printed, block.start("code"), block.end("code"))
            printed = None
            if _runs(block) and (slow or note != "slow"):
                printed = _tidy(_execute(block, where, namespace))


def lay_out(folder: Path) -> None:
    """Put features of real encoders where a page looks for them, if there are any."""
    if REAL in os.environ:
        (folder / "real").symlink_to(Path(os.environ[REAL]).resolve())


def pictures(page: Path, folder: Path) -> Iterator[tuple[Path, Path]]:
    """Pictures of a page that its code has drawn: where the page has it, and the new one."""
    for shown in _PICTURE.findall(page.read_text()):
        drawn = folder / Path(shown).name
        if drawn.exists():
            yield page.parent / shown, drawn


def shortened(printed: str, stated: str) -> str:
    """Leave out of an output as much as the page does, whose line ``…`` has so many lines before it and after it."""
    shown = stated.splitlines()
    if "…" not in shown:
        return printed
    lines, before = printed.splitlines(), shown.index("…")
    after = len(shown) - before - 1
    return "\n".join([*lines[:before], "…", *lines[max(before, len(lines) - after) :]])


def same(printed: str, stated: str, tolerance: float) -> bool:
    """Whether two outputs agree; numbers up to ``tolerance``, and then spaces do not count."""
    if not tolerance:
        return printed == stated
    one, other = [_NUMBER.sub("#", part).split() for part in (printed, stated)]
    values = [[float(found.replace("−", "-")) for found in _NUMBER.findall(part)] for part in (printed, stated)]
    return one == other and all(math.isclose(a, b, rel_tol=0, abs_tol=tolerance) for a, b in zip(*values, strict=True))


def _runs(block: re.Match[str]) -> bool:
    if (block["note"] or "").startswith("not run: "):
        return False
    return block["language"] == "python" or (block["language"] == "console" and bool(_RUN.search(block["code"])))


def _execute(block: re.Match[str], where: str, namespace: dict[str, object]) -> str:
    if block["language"] == "python":
        output = io.StringIO()
        # as many empty lines before the code as the page has, so that a traceback names the page's line
        code = "\n" * (int(where.rpartition(":")[2])) + block["code"]
        with contextlib.redirect_stdout(output):
            try:
                exec(compile(code, where.rpartition(":")[0], "exec"), namespace)
            except Exception:
                raise AssertionError(f"{where} fails:\n{traceback.format_exc()}") from None
        return output.getvalue()
    environment = {
        **os.environ,
        "COLUMNS": "80",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": str(ROOT),
    }
    output, note = "", block["note"]
    for command in _RUN.findall(block["code"]):
        try:
            done = subprocess.run(
                ["bash", "-c", "\n".join([*_SET.findall(block["code"]), command])],
                env=environment,
                capture_output=True,
                text=True,
                timeout=TOO_LONG[note == "slow" or Path("real").exists()],
            )
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"{where}: {command}: took over {error.timeout} s; mark it slow or not run.") from None
        expected = int(status[1]) if (status := re.fullmatch(r"status (\d+)", note or "")) else 0
        assert done.returncode == expected, f"{where}: {command}: status {done.returncode}\n{done.stdout}{done.stderr}"
        output += done.stdout
    return output


def _tidy(printed: str) -> str:
    return "\n".join(line.rstrip() for line in printed.splitlines()).strip("\n")


def rewrite(page: Path, slow: bool = True) -> None:
    """Put what the code prints into the page, and its pictures beside the page."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lay_out(folder)
        text = page.read_text()
        for difference in reversed(list(run(page, folder, slow))):
            text = text[: difference.start] + difference.printed + "\n" + text[difference.end :]
            print(difference.where)
        page.write_text(text)
        for kept, drawn in pictures(page, folder):
            shutil.copyfile(drawn, kept)
            print(kept.name)


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        rewrite(Path(argument).resolve())

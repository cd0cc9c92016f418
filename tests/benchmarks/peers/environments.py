"""A virtual environment for each peer, made once and kept in a cache; nothing of them enters this one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

DRIVERS = Path(__file__).parent / "drivers"


@dataclass(frozen=True)
class Peer:
    """A tool of the package index.

    Attributes
    ----------
    name, version : str
        Of its distribution.
    question : str
        What its verdict answers.
    answers : dict
        Its words, each as 'yes', 'no' or 'undecided' to: may new queries search the old gallery?
    python : (int, int)
        The least version of Python that it takes.
    needs : tuple of str
        Requirements that its own leave out and without which it does not start.
    """

    name: str
    version: str
    question: str
    answers: dict[str, str]
    python: tuple[int, int] = (3, 10)
    needs: tuple[str, ...] = ()

    @property
    def driver(self) -> Path:
        return DRIVERS / f"ask_{self.name}.py"


class Unavailable(Exception):
    """A peer that cannot be had here; the message says why."""


def interpreter(peer: Peer, cache: Path) -> Path:
    """Python of the peer's environment, installed into now if it is not there."""
    folder = cache / f"{peer.name}-{peer.version}"
    python = folder / "bin" / "python"
    if (folder / "installed").exists():
        return python
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _run([_base(peer.python), "-m", "venv", folder], "its environment could not be made")
    _run(
        [python, "-m", "pip", "install", "-q", f"{peer.name}=={peer.version}", *peer.needs], "it could not be installed"
    )
    (folder / "installed").touch()
    return python


def quiet() -> dict[str, str]:
    """The environment of a peer's process: one core, nothing of ours, and no word to its makers."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {**kept, **threads, "DO_NOT_TRACK": "1", "NO_COLOR": "1", "COLUMNS": "200"}


def _base(least: tuple[int, int]) -> Path | str:
    if sys.version_info >= least:
        return sys.executable
    names = [f"python3.{minor}" for minor in range(least[1], least[1] + 4)]
    # on the path, or beside this one where versions stand side by side
    beside = sorted(Path(sys.base_prefix).parent.glob("*/bin/python3.*"))
    for found in [shutil.which(name) for name in names] + [each for each in beside if each.name in names]:
        # a shim of a version that is not chosen is there and does not run
        if found and subprocess.run([found, "--version"], capture_output=True).returncode == 0:
            return found
    raise Unavailable(f"it needs Python {least[0]}.{least[1]} or later, and there is none")


def _run(command: list[object], said: str) -> None:
    done = subprocess.run([str(each) for each in command], capture_output=True, text=True, env=quiet())
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
        raise Unavailable(f"{said}: {lines[-1] if lines else f'status {done.returncode}'}")

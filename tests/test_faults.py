"""Faults at the edges of every command that writes: nothing is lost or half written, no status changes its meaning.

Each command runs in this process on a few rows, with one thing going wrong: no space, a refusing system, a pipe that is
closed, a stream that is full, an encoding without the characters of the text, an output that is an input.
"""

from __future__ import annotations

import errno
import io
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

import stationary
from learning.store import Kept
from tests.verification.samples import upgrade
from verification.features import FeatureSet

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Command:
    """A command line on the files of a folder.

    Attributes
    ----------
    arguments : str
        With the names of files as they are in the folder.
    outputs : tuple of str
        The options, or the argument, that name what is written.
    status : int
    before : str
        What is printed before anything is written, as far as anything is.
    reads : str
        A file in a folder that it reads; other files that it reads are named in the arguments.
    """

    arguments: str
    outputs: tuple[str, ...]
    status: int = 0
    before: str = ""
    reads: str = ""


COMMANDS = {
    "audit": Command("audit new.npz old.npz", ("--json", "--html", "--markdown"), 0, "COMPATIBLE"),
    "summary": Command("audit old.npz new.npz --summary", ("--json",), 1, "incompatible by retrieval"),
    "plan": Command("plan old.npz", ("--save",), 0, "samples"),
    "check": Command("check new.npz old.npz --force", ("--json", "--rows"), 1, "Next:"),
    "canary": Command("check new.npz --force", ("--save",)),
    "bridge fit": Command(
        "bridge fit new.npz old.npz --maps orthogonal --force", ("--save", "--html", "--markdown"), 0, "COMP"
    ),
    "bridge apply": Command("bridge apply map.npz new.npz --force", ("",)),
    "evaluate": Command("evaluate run", ("--json",), 0, "AC", "run/task-00.features.npz"),
    "suite": Command("evaluate kept --suite toy", ("--json",), 0, "samples", "kept/key/result.json"),
    "verify": Command("verify --seed 0 --device cpu", ("--json",), 0, "All 0 answers"),
    "calibrate": Command("calibrate", ("--json",), 0, "samples"),
    "claims": Command("claims --models kept", ("--json", "--html", "--markdown"), 0, "Claims", "kept/key/result.json"),
    "bench": Command("bench --rounds 1", ("--json",), 0, "samples"),
    "bench-training": Command("bench-training", ("--json",), 0, "samples"),
}  # fmt: skip
# what writes into a folder, and the first file there
FOLDERS = {
    "calibrate": ("calibrate --output out", "calibration.pdf"),
    "figures": ("figures fig01 --no-cache --output out", "fig01_caps.pdf"),
    "train": ("train out --epochs 1 --tasks 2 --images-per-class 20 --device cpu", "run.json"),
}
# what takes long to compute is not computed: here it matters how it is written
NOT_COMPUTED: dict[str, Any] = {
    "theory.benchmark.compute": lambda rounds: [],
    "theory.benchmark.render": lambda rows: "samples",
    "learning.benchmark.step_costs": list,
    "learning.benchmark.throughput": lambda: Kept(values={}, seconds=1.0, fresh=True),
    "learning.benchmark.render": lambda costs, speed: "samples",
    "verification.experiments.suites.cases.SUITES": {"toy": list},
    "verification.experiments.suites.suite.run_suite": lambda *_: [],
    "verification.experiments.suites.tables.render": lambda rows: "samples",
    "verification.experiments.upgrades.train_upgrades": lambda *_: iter(()),
    "verification.experiments.simulated.calibration.compute": lambda *_, **__: {"runs": 10},
    "verification.experiments.simulated.calibration.table": lambda data: "samples",
    "verification.experiments.claims.run": lambda *_: iter(()),
    "paper_figures.calibration.draw": lambda data: Figure(),
    "paper_figures.make.load": lambda name: SimpleNamespace(draw=lambda values: Figure()),
    "paper_figures.make._compute": lambda *_: Kept(values={"a": 1}, seconds=1.0, fresh=True),
}
NAMES = {"--rows": "rows.txt", "--save": "out.npz", "": "out.npz"}
WRITES = [(name, option) for name, command in COMMANDS.items() for option in command.outputs]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder with two models' features, a map between them and a run."""
    folder = tmp_path_factory.mktemp("made")
    for features, name in zip(upgrade(0.3, 1.3, num_samples=100), ("new", "old"), strict=True):
        features.save(folder / f"{name}.npz")
    (folder / "run").mkdir()
    for task, name in enumerate(("old", "new")):
        (folder / "run" / f"task-{task:02d}.features.npz").write_bytes((folder / f"{name}.npz").read_bytes())
    d = FeatureSet.load(folder / "new.npz").dim
    from verification.bridge.maps import FeatureMap

    (folder / "kept" / "key").mkdir(parents=True)
    (folder / "kept" / "key" / "result.json").write_text("{}")
    FeatureMap("orthogonal", "queries", np.eye(d), np.zeros(d)).save(folder / "map.npz")
    return folder


@pytest.fixture
def folder(made, tmp_path, monkeypatch) -> Path:
    """The same, and the working folder."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    for name, stub in NOT_COMPUTED.items():
        module, _, attribute = name.rpartition(".")
        monkeypatch.setattr(import_module(module), attribute, stub)
    monkeypatch.setattr(Kept, "ratio", 1.0, raising=False)
    return tmp_path


def output_of(name: str, option: str) -> tuple[list[str], Path]:
    """What names an output of a command on its command line, and its path."""
    path = "plan.json" if name == "plan" else NAMES.get(option, f"out{option.replace('--', '.')}")
    return [part for part in (option, path) if part], Path(path)


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def no_space(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def stop(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


# a call of the system that fails while a file is written, and the status
FAULTS = {"full": ("fsync", no_space, 74), "refused": ("replace", no_space, 74), "stopped": ("fsync", stop, 143)}


@pytest.mark.parametrize(("name", "option"), WRITES)
def test_an_output_that_cannot_be_written_is_named_below_the_verdict(call, folder, monkeypatch, name, option):
    """Status 74, one sentence, the old content, no temporary file; and without the fault the file is there."""
    command = COMMANDS[name]
    arguments, path = output_of(name, option)
    path.write_text("old")
    before = content(folder)
    for function, act, expected in FAULTS.values():
        with monkeypatch.context() as broken:
            broken.setattr(os, function, act)
            status, out, err = call(*command.arguments.split(), *arguments)
        assert status == expected, err
        assert command.before in out
        if status == 74:
            assert f"stationary: {path}: cannot be written (No space left on device).\n" in err
        assert "Traceback" not in err
        assert content(folder) == before
    status, out, err = call(*command.arguments.split(), *arguments)
    assert status == command.status, err
    assert command.before in out
    assert content(folder) != before


@pytest.mark.parametrize(("name", "option"), WRITES)
def test_no_output_is_an_input(call, folder, name, option):
    """Neither by its name, nor by a link of either kind."""
    command = COMMANDS[name]
    read = [word for word in command.arguments.split() if word.endswith(".npz")]
    for source in [*read, command.reads] if command.reads else read:
        os.link(source, "hard.npz")
        Path("soft.npz").symlink_to(source)
        before = content(folder)
        # of a file in a folder that is read, another hard link is another file: to replace it changes nothing there
        for target in (source, f"./{source}", "soft.npz", *(["hard.npz"] if source != command.reads else [])):
            status, _, err = call(*command.arguments.split(), *[part for part in (option, target) if part])
            assert status == 2, (target, err)
            assert "is what the command reads" in err
        assert content(folder) == before
        Path("hard.npz").unlink()
        Path("soft.npz").unlink()


@pytest.mark.parametrize(("name", "option"), WRITES)
def test_a_place_that_cannot_be_written_is_refused_before_anything_is_computed(call, folder, monkeypatch, name, option):
    def refused(path: str) -> str:
        status, out, err = call(*COMMANDS[name].arguments.split(), *[part for part in (option, path) if part])
        assert (status, out) == (2, "")
        return err

    before = content(folder)
    assert "none/out.npz: its folder does not exist." in refused("none/out.npz")
    assert "run: must be a file to write, got a folder." in refused("run")
    monkeypatch.setattr(os, "access", lambda _, mode: mode != os.W_OK)  # root may write everything
    assert "out.npz: cannot be written, its folder is read-only." in refused("out.npz")
    assert "old.npz: cannot be written, it is read-only." in refused("old.npz")
    assert content(folder) == before


@pytest.mark.parametrize("name", ["canary", "bridge fit", "bridge apply"])
def test_what_is_there_is_overwritten_only_if_asked(call, folder, name):
    """What cannot be made again at no cost: maps, canaries, mapped rows."""
    arguments, path = output_of(name, COMMANDS[name].outputs[0])
    path.write_text("old")
    status, out, err = call(*COMMANDS[name].arguments.replace("--force", "").split(), *arguments)
    assert (status, out) == (2, "")
    assert f"{path}: exists already; --force overwrites it." in err
    assert path.read_text() == "old"


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_that_cannot_be_written_is_named_and_the_command_can_be_given_again(call, folder, monkeypatch, name):
    """A full disk before the folder, its first and a later file, and SIGTERM while a file is written."""
    arguments, first = FOLDERS[name]
    out = folder / "out"

    def after(number: int, act: Callable[..., None]) -> Callable[..., None]:
        calls, real = iter(range(1000)), os.fsync
        return lambda handle: act() if next(calls) >= number else real(handle)

    for function, act, status, said in (
        ("mkdir", no_space, 74, "out: cannot be made (No space left on device)."),
        ("fsync", no_space, 74, f"out/{first}: cannot be written (No space left on device)."),
        ("fsync", after(2, no_space), 74, "cannot be written (No space left on device)."),
        ("fsync", after(2, stop), 143, ""),
    ):
        with monkeypatch.context() as broken:
            broken.setattr(os, function, act)
            found, _, err = call(*arguments.split())
        assert found == status, err
        assert said in err
        assert "Traceback" not in err
        assert not [path for path in out.rglob(".*") if path.name != ".lock"]
    status, printed, err = call(*arguments.split())
    assert (status, err) == (0, "")
    assert (out / first).exists()
    if name == "train":
        assert len(list(out.glob("task-*.features.npz"))) == 2
        assert not list(out.glob("*.partial"))
        assert "2 models by hoc" in printed
    shutil.rmtree(out)
    out.write_text("old")
    for path in ("out", "out/out"):
        status, printed, err = call(*arguments.replace(" out", f" {path}", 1).split())
        assert (status, printed) == (2, "")
        assert f"{path}: " in err
    assert out.read_text() == "old"


@pytest.mark.parametrize(
    "read", ["--folder run", "--folder run/in", "--folder .", "--checkpoint run/task-00.features.npz"]
)
def test_a_training_is_not_written_into_what_it_reads(call, folder, read):
    (folder / "run" / "in").mkdir()
    before = content(folder)
    status, out, err = call("train", "run", *read.split())
    assert (status, out) == (2, "")
    assert "run: holds or is what the command reads" in err
    assert content(folder) == before


def test_no_output_is_beside_an_input_as_its_labels_or_in_its_folder(call, folder):
    features = FeatureSet.load(folder / "old.npz")
    FeatureSet(features.features, features.labels).save(folder / "beside.npy")
    Path("shards").mkdir()
    Path("shards/a.npz").write_bytes(Path("old.npz").read_bytes())
    before = content(folder)
    for old, out in (("beside.npy", "beside.labels.npy"), ("beside.npy", "beside.ids.npy"), ("shards", "shards/b.npz")):
        status, _, err = call("audit", "new.npz", old, "--json", out)
        assert (status, "is what the command reads" in err) == (2, True)
    assert content(folder) == before


def test_no_output_is_a_map_that_is_read(call, folder):
    Path("drift.npz").write_bytes(b"a map")
    status, _, err = call("bridge", "fit", "new.npz", "old.npz", "--drift", "drift.npz", "--json", "drift.npz")
    assert (status, "is what the command reads" in err) == (2, True)


def test_two_outputs_are_two_files(call, folder):
    status, _, err = call("audit", "new.npz", "old.npz", "--json", "out", "--html", "./out")
    assert (status, "two outputs cannot be one file" in err) == (2, True)
    assert not Path("out").exists()


# ---- standard output


class Broken(io.RawIOBase):
    """A stream that takes some bytes and then fails."""

    def __init__(self, number: int, takes: int) -> None:
        self.number, self.takes, self.taken = number, takes, b""

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:
        if len(self.taken) + len(data) > self.takes:
            raise OSError(self.number, os.strerror(self.number))
        self.taken += bytes(data)
        return len(data)


def run_into(monkeypatch, stream, *arguments: str) -> int:
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "argv", ["stationary", *arguments])
    with pytest.raises(SystemExit) as ended:
        stationary.main()
    monkeypatch.undo()
    code = ended.value.code
    assert isinstance(code, int)
    return code


PRINTING = {name: command for name, command in COMMANDS.items() if command.before}
STREAMS: dict[str, Callable[[], io.TextIOWrapper]] = {
    f"{kind}, {takes} bytes taken": lambda number=number, takes=takes: io.TextIOWrapper(
        io.BufferedWriter(Broken(number, takes), 16), "utf-8"
    )
    for kind, number in (("closed", errno.EPIPE), ("full", errno.ENOSPC))
    for takes in (0, 5)
}


@pytest.mark.parametrize("name", PRINTING)
@pytest.mark.parametrize("kind", STREAMS)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the stream fails again when collected
def test_a_lost_standard_output_leaves_the_status_or_makes_it_74(folder, monkeypatch, name, kind):
    command = COMMANDS[name]
    arguments, path = output_of(name, command.outputs[0])
    status = run_into(monkeypatch, STREAMS[kind](), *command.arguments.split(), *arguments)
    assert status == (74 if kind.startswith("full") else command.status)
    assert (folder / path).exists()  # what was asked for is there nevertheless


@pytest.mark.parametrize("name", PRINTING)
@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_an_encoding_that_lacks_a_character_spells_it(folder, monkeypatch, name, encoding):
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding, write_through=True)
    status = run_into(
        monkeypatch, stream, *COMMANDS[name].arguments.split(), *output_of(name, COMMANDS[name].outputs[0])[0]
    )
    assert status == COMMANDS[name].status
    assert COMMANDS[name].before in raw.getvalue().decode(encoding)


def test_what_is_spelled_can_be_read():
    from stationary._streams import _spelled

    text = "−0.2 ± 0.1 → ≥ é 日 \ud800"
    assert _spelled(UnicodeEncodeError("ascii", text, 0, len(text), ""))[0] == ("-0.2 +/- 0.1 -> >= e \\u65e5 \\ud800")


@pytest.mark.parametrize(
    ("redirected", "status"),
    [("| head -c 1 > head", 1), ("> /dev/full", 74), (">&- 2> /dev/full", 1)],
)
def test_in_a_shell_the_status_is_the_verdicts_or_74(folder, redirected, status):
    """The interpreter's own end is part of it: it writes what is still held back."""
    if not Path("/dev/full").is_char_device():
        pytest.skip("needs /dev/full")
    line = f"set -o pipefail; {sys.executable} -m stationary audit old.npz new.npz {redirected}"
    done = subprocess.run(
        ["bash", "-c", line], cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=-1, stdout=-1, text=True
    )
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    assert not re.search("Exception ignored", done.stderr)


# ---- words from files


HOSTILE = ["\x1b[32mCOMPATIBLE\x1b[0m", "\u202eelbitapmoc", "x\n### Compatible", "[green]compatible", "compatible"]


@pytest.fixture
def hostile(folder) -> Path:
    """Labels, groups, names of columns and of files that would print something else than what they are."""
    new, old = (FeatureSet.load(folder / f"{name}.npz") for name in ("new", "old"))
    assert new.labels is not None
    words = np.array(HOSTILE)[new.labels]
    for features, name in ((new, "new"), (old, "old")):
        np.savez(
            folder / f"\x1b[31m{name}[red].npz",
            **{"features": features.features, "labels": words, "word": words, "[red]\x1b[31m": words},  # type: ignore[arg-type]
        )
    return folder


def test_words_from_files_are_shown_and_not_obeyed(call, hostile):
    new, old = "\x1b[31mnew[red].npz", "\x1b[31mold[red].npz"
    status, out, err = call("audit", old, new, "--by", "word", "--html", "p", "--markdown", "m", "--json", "j")
    assert status == 1, err
    for text in (out, err, Path("p").read_text(), Path("m").read_text()):
        assert not set("\x1b\u202e") & set(text)
        assert "\\x1b[3" in text.replace("\\\\", "\\").replace("\\[", "[")
    assert "'[red]\\x1b[31m'" in err  # no markup either
    assert "\n### Compatible" not in Path("m").read_text()
    # a value of --by that is a verdict's word does not look like one
    assert "'compatible'" in out
    assert not re.search(r"^compatible ", out, re.MULTILINE)
    for arguments in (
        ("plan", old, "--save", "\x1b[31m.json"),
        ("check", new, "--save", "\x1b[31m.npz"),
        ("bridge", "apply", "map.npz", new, "\x1b[31mmapped.npz"),
        ("check", new, "\x1b[31mnone.npz"),
        ("audit", new, old, "--labels", "\x1b[31m"),
    ):
        status, out, err = call(*arguments)
        assert status in (0, 2)
        assert "\x1b" not in out + err
        assert "\\x1b[31m" in out + err

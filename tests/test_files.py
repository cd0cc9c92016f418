"""Files are written whole or not at all, several together, into links and pipes and never in their place."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from theory.files import NotWritten, write_atomically, write_text
from verification.features import FeatureSet

ROOT = Path(__file__).parent.parent
X, Y = np.random.default_rng(0).standard_normal((6, 3)), np.arange(6) % 2


def test_a_link_is_followed_and_permissions_stay(tmp_path):
    real, link = tmp_path / "real.json", tmp_path / "link.json"
    real.write_text("old")
    real.chmod(0o600)
    link.symlink_to(real)
    write_text(link, "new")
    assert link.is_symlink()
    assert real.read_text() == "new"
    assert stat.S_IMODE(real.stat().st_mode) == 0o600


@pytest.mark.parametrize(("mask", "mode"), [(0o027, 0o640), (0o000, 0o666)])
def test_a_new_file_has_the_permissions_of_the_process(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        write_text(tmp_path / "f", "text")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == mode


@pytest.mark.parametrize("through_a_link", [False, True])
def test_a_pipe_gets_the_text_and_stays(tmp_path, through_a_link):
    path = pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    if through_a_link:
        path = tmp_path / "link"
        path.symlink_to(pipe)
    got: list[str] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_text()), daemon=True)
    reader.start()
    write_text(path, "text")
    reader.join(20)
    assert got == ["text"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_format_that_seeks_goes_through_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "pipe").read_bytes()), daemon=True)
    reader.start()
    write_atomically(tmp_path / "pipe", lambda file: np.savez(file, a=Y))
    reader.join(20)
    (tmp_path / "f.npz").write_bytes(got[0])
    np.testing.assert_array_equal(np.load(tmp_path / "f.npz")["a"], Y)


def test_what_standard_output_goes_to_is_written_into(tmp_path):
    """``--json report.txt > report.txt`` and ``--json /dev/stdout > report.txt``: what was printed stays."""
    out = tmp_path / "out.txt"
    for path in ("/dev/stdout", out):
        code = f"from theory.files import *; print('verdict'); write_text(Path({str(path)!r}), 'text'); print('end')"
        with open(out, "w") as file:
            subprocess.run([sys.executable, "-c", code], stdout=file, check=True, cwd=ROOT)
        assert out.read_text() == "verdict\ntextend\n"


@pytest.mark.parametrize("call", ["open", "fsync", "chmod", "replace"])
def test_where_the_system_refuses_the_file_is_named_and_nothing_changes(tmp_path, monkeypatch, call):
    path = tmp_path / "report.json"
    path.write_text("old")
    monkeypatch.setattr(os, call, refuse(errno.ENOSPC))
    with pytest.raises(NotWritten, match=r"report\.json: cannot be written \(No space left on device\)\.$"):
        write_text(path, "new")
    monkeypatch.undo()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def refuse(number):
    """A function of the system that fails, naming its first argument if that is a path."""

    def act(first, *rest, **options):
        raise OSError(number, os.strerror(number), *([] if isinstance(first, int) else [str(first)]))

    return act


def test_what_a_writer_complains_of_is_passed_on(tmp_path):
    def lost(file):
        raise ConnectionError("pgvector://host/db: does not answer.")

    with pytest.raises(ConnectionError, match="does not answer") as caught:
        write_atomically(tmp_path / "f", lost)
    assert not isinstance(caught.value, NotWritten)
    assert not list(tmp_path.iterdir())


def test_a_file_that_may_not_be_written_is_not_replaced(tmp_path, monkeypatch):
    path = tmp_path / "f"
    path.write_text("old")
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everything
    with pytest.raises(NotWritten, match="Permission denied"):
        write_text(path, "new")
    assert path.read_text() == "old"


@pytest.mark.parametrize("after", range(5))
def test_rows_and_labels_change_together_or_not_at_all(tmp_path, monkeypatch, after):
    """Two renames aside, two into place: whichever fails, the old set is there, and one that was new is not."""
    path = tmp_path / "f.npy"
    FeatureSet(X, Y).save(path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    calls = iter(range(100))
    for real in (os.rename, os.replace):

        def act(*paths, real=real):
            if next(calls) == after:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            real(*paths)

        monkeypatch.setattr(os, real.__name__, act)
    other = FeatureSet(X + 1.0, 1 - Y, ids=np.arange(6))
    with pytest.raises(NotWritten, match=r"f\.(labels\.|ids\.)?npy: cannot be written"):
        other.save(path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    monkeypatch.undo()
    other.save(path)
    np.testing.assert_array_equal(FeatureSet.load(path).labels, 1 - Y)
    assert len(list(tmp_path.iterdir())) == 3


def test_a_set_that_is_half_replaced_does_not_load(tmp_path, monkeypatch):
    path = tmp_path / "f.npy"
    FeatureSet(X, Y).save(path)
    states = []
    for real in (os.rename, os.replace):

        def act(*paths, real=real):
            real(*paths)
            try:
                states.append(FeatureSet.load(path).features[0, 0])
            except FileNotFoundError:
                states.append(None)

        monkeypatch.setattr(os, real.__name__, act)
    FeatureSet(X + 1.0, 1 - Y).save(path)
    assert states == [None, None, None, X[0, 0] + 1.0]


STALLED = """
import signal, sys, time
from pathlib import Path
from stationary._streams import stopped_by_signals
from theory.files import write_atomically

def write(file):
    file.write(b"half")
    file.flush()
    print("writing", flush=True)
    time.sleep(60)

# as a shell starts a program, also where these tests run in the background
for number in (signal.SIGHUP, signal.SIGTERM):
    signal.signal(number, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
with stopped_by_signals():
    write_atomically(Path(sys.argv[1]), write)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGKILL])
def test_a_process_that_is_stopped_while_it_writes_leaves_the_old_file(tmp_path, number):
    path = tmp_path / "f"
    path.write_text("old")
    process = subprocess.Popen([sys.executable, "-c", STALLED, path], cwd=ROOT, stdout=-1, stderr=-1)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(number)
    process.communicate(timeout=60)
    assert path.read_text() == "old"
    # nothing can clean up after SIGKILL; hidden files are never read
    assert {each.name[0] for each in tmp_path.iterdir()} - {"."} == {"f"}
    assert (list(tmp_path.iterdir()) == [path]) == (number != signal.SIGKILL)
    if number in (signal.SIGTERM, signal.SIGHUP):
        assert process.returncode == 128 + number


def test_lone_surrogates_are_written_as_escapes(tmp_path):
    write_text(tmp_path / "f", "a\ud800b")
    assert (tmp_path / "f").read_text() == "a\\ud800b"

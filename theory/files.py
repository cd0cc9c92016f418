"""How every file of this project is written and read.

Written: whole or not at all, several that belong together all or none.
Content goes to a temporary file beside its place, onto the disk, and is then renamed, so that whoever reads sees the
old content or the new. Symbolic links are followed and permissions kept. What is no regular file, a pipe for
instance, is written into and never replaced.

Read: whatever is wrong with a file ends in one sentence that begins with its name (:func:`reading`), and what would
block, never end or not fit in memory is refused first. This module needs the standard library only.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

Write = Callable[[IO[bytes]], Any]


class NotWritten(OSError):
    """A file could not be written; the message is one sentence that begins with its path."""


def write_atomically(path: Path, write: Write) -> None:
    """Write one file as :func:`write_together` does."""
    write_together({path: write})


def write_text(path: Path, text: str) -> None:
    """Write text as UTF-8; the file appears whole or not at all. Lone surrogates become escapes."""
    content = text.encode(errors="backslashreplace")
    write_atomically(path, lambda file: file.write(content))


def write_together(files: Mapping[Path, Write]) -> None:
    """Write files that belong together: all of them change, or none does.

    While several are replaced, the first is absent: whoever reads just then, or after a crash at that moment, finds no
    set of files rather than a mixed one.

    Parameters
    ----------
    files : mapping
        From each path, the one without which the others are not read first, to what writes its content into an open
        file. Nothing is replaced before all have returned.

    Raises
    ------
    NotWritten
        Where the system refuses to write, and everything is then as it was; what a writer raises itself is passed on.
    """
    with ExitStack() as undo:
        ready: list[_Ready] = []
        for path, write in files.items():
            stream = _stream_at(path)
            if stream is not None:
                _into_stream(path, stream, write)
                continue
            target = Path(os.path.realpath(path))
            temporary = _beside(target)
            undo.callback(_remove, temporary)
            with _naming(path, temporary):
                _fill(temporary, target, write)
            ready.append(_Ready(path, temporary, target))
        _replace(ready)


def make_folder(path: Path) -> None:
    """Make a folder, and those that it is in, unless it is there.

    Raises
    ------
    ValueError
        If a file is in its place, or in that of a folder that it is in.
    NotWritten
        Where the system refuses to make it.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise ValueError(f"{path}: must be a folder, got a file.") from None
    except NotADirectoryError:
        raise ValueError(f"{path}: a part of this path is a file, not a folder.") from None
    except OSError as error:
        raise NotWritten(f"{path}: cannot be made ({error.strerror}).") from None


def write_new(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all, unless one is there: of several processes the first wins."""
    temporary = _beside(path)
    try:
        with _naming(path, temporary):
            _fill(temporary, temporary, lambda file: file.write(content))
        with suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        _remove(temporary)


def _fill(temporary: Path, target: Path, write: Write) -> None:
    """Write a new file, onto the disk, with the permissions of the one that it will replace."""
    handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    with os.fdopen(handle, "w+b") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
    if target.exists():
        if not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        os.chmod(temporary, stat.S_IMODE(target.stat().st_mode))


@dataclass(frozen=True)
class _Ready:
    """A file as the user named it, the temporary one that is complete, and where it goes."""

    path: Path
    temporary: Path
    target: Path


def _replace(files: list[_Ready]) -> None:
    """Rename temporary files to their targets; of several, what stood there comes back if one cannot be renamed."""
    aside = [(each, _beside(each.target)) for each in files if len(files) > 1 and each.target.exists()]
    placed = []
    try:
        for each, old in aside:
            with _naming(each.path, each.target):
                os.rename(each.target, old)
        for each in reversed(files):
            with _naming(each.path, each.temporary):
                os.replace(each.temporary, each.target)
            placed.append(each.target)
    except BaseException:
        for target in placed:
            _remove(target)
        for each, old in aside:
            if old.exists():
                os.replace(old, each.target)
        raise
    for _, old in aside:
        _remove(old)
    if os.name == "posix":  # the renaming too is on the disk
        for folder in {each.target.parent for each in files}:
            handle = os.open(folder, os.O_RDONLY)
            with suppress(OSError):
                os.fsync(handle)
            os.close(handle)


def _stream_at(path: Path) -> int | None:
    """A file descriptor to write into where a path is no regular file, or is what this program prints to."""
    try:
        there = os.stat(path)
    except OSError:
        return None
    for printed in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):  # of streams that are closed, or of no file
            if os.path.samestat(there, os.fstat(printed.fileno())):
                printed.flush()
                return os.dup(printed.fileno())
    if stat.S_ISREG(there.st_mode):
        return None
    with _naming(path):
        return os.open(path, os.O_WRONLY)


def _into_stream(path: Path, stream: int, write: Write) -> None:
    """Write into what is open; formats that seek are made in a file without a name first."""
    with open(stream, "wb") as out, _naming(path), tempfile.TemporaryFile() as file:
        write(file)
        file.seek(0)
        shutil.copyfileobj(file, out)
        out.flush()


def _beside(target: Path) -> Path:
    return target.with_name(f".{target.name[:40]}.{secrets.token_hex(6)}")


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


@contextmanager
def _naming(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """Say which file could not be written where the system says no file, or a temporary one."""
    try:
        yield
    except OSError as error:
        # without a number it is nothing that the system said, but a complaint of a reader
        named = (None, os.fspath(path), *(() if temporary is None else (os.fspath(temporary),)))
        if isinstance(error, NotWritten) or error.errno is None or error.filename not in named:
            raise
        raise NotWritten(f"{path}: cannot be written ({os.strerror(error.errno)}).") from None


# ---- reading

# what a reader raises at a file that is damaged or of another kind, and the libraries whose own errors say the same
_DAMAGED = (
    ValueError, OSError, EOFError, ArithmeticError, AttributeError, LookupError, NotImplementedError, RecursionError,
    TypeError, RuntimeError, SyntaxError, AssertionError,
)  # fmt: skip
_LIBRARIES = (
    "pyarrow", "safetensors", "safetensors_rust", "chromadb", "pymilvus", "lancedb", "PIL", "sqlite3", "struct",
    "pickle", "_pickle", "tokenize", "zipfile", "zlib",
)  # fmt: skip


@contextmanager
def reading(name: Path | str | None, way_out: str = "") -> Iterator[None]:
    """Whatever goes wrong in here while a file or a store is read, as one ValueError that begins with its name.

    Parameters
    ----------
    name : Path, str or None
        As messages show it; None for what is in memory.
    way_out : str
        A sentence that says what to do about a damaged file.
    """
    try:
        yield
    except (FileNotFoundError, ConnectionError):
        raise
    except MemoryError:
        raise ValueError(f"{name}: does not fit in memory.") from None
    except Exception as error:
        if not (isinstance(error, _DAMAGED) or type(error).__module__.partition(".")[0] in _LIBRARIES):
            raise
        said = " ".join(str(error).split())
        if name is not None and said.startswith(f"{name}: "):
            raise
        if not (isinstance(error, ValueError | OSError) and said):
            said = f"cannot be read, it is damaged or of another kind ({type(error).__name__}: {said})."
        elif isinstance(error, UnicodeDecodeError):
            said = "must be text in UTF-8."
        said = f"{said}{'' if said.endswith(('.', '!', '?')) else '.'} {way_out}".strip()
        raise ValueError(said if name is None else f"{name}: {said}") from None


def regular(path: Path) -> Path:
    """Return the path of a regular file; a pipe or a device, which may block or never end, is refused.

    Raises
    ------
    FileNotFoundError
        If nothing is there.
    ValueError
        If it is no regular file.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file.")
    if not path.is_file():
        raise ValueError(
            f"{path}: must be a regular file, got {'a folder' if path.is_dir() else 'a pipe or a device'}."
        )
    return path


def check_memory(size: int, what: str) -> None:
    """Raise ValueError where so many bytes are more than the memory of this machine, before any are taken."""
    try:
        there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # a system that does not say
        return
    if size > there:
        raise ValueError(f"{what} would take {size / 2**30:,.0f} GiB, and this machine has {there / 2**30:,.0f} GiB.")

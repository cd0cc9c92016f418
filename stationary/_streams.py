"""Standard output and error that cannot change the answer: what they cannot write is noted, never raised.

A pipe that is closed early (``| head``), a full disk behind ``>``, or an encoding without a character of the text must
neither end a command before its files are written nor turn its status into another verdict's.
"""

from __future__ import annotations

import codecs
import os
import signal
import sys
import threading
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

_SPELLED = "stationary.spelled"
_PLAIN = {
    **dict.fromkeys("−–—", "-"), "→": "->", "←": "<-", "±": "+/-", "≥": ">=", "≤": "<=", "≠": "!=", "≈": "~",
    "×": "x", "·": "*", "∞": "inf", "°": " degrees", "√": "sqrt", "✓": "yes", "✗": "no",
}  # fmt: skip


class Guarded:
    """A text stream whose writes do not fail.

    Attributes
    ----------
    failure : OSError or None
        The first thing that could not be written.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.failure: OSError | None = None

    def write(self, text: str) -> int:
        """Write text, or note why that is not possible."""
        return self._tried(self._stream.write, text) or len(text)

    def flush(self) -> None:
        """Hand on what is held back, or note why that is not possible."""
        self._tried(self._stream.flush)

    def _tried(self, act: Callable[..., Any], *arguments: str) -> Any:
        try:
            return act(*arguments)
        except OSError as error:
            self.failure = self.failure or error
            with suppress(OSError, ValueError):
                # what is still held back goes nowhere, also when the interpreter ends
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self._stream.fileno())
                os.close(nowhere)
            return None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def guarded() -> Iterator[tuple[Guarded, Guarded]]:
    """Put guarded streams in the place of standard output and error, with a way to write every character."""
    _open_missing()
    codecs.register_error(_SPELLED, _spelled)
    streams = sys.stdout, sys.stderr
    errors = [getattr(stream, "errors", None) for stream in streams]
    for stream, kind in zip(streams, errors, strict=True):
        if kind in ("strict", "backslashreplace") and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=_SPELLED)
    guards = Guarded(streams[0]), Guarded(streams[1])
    sys.stdout, sys.stderr = guards
    try:
        yield guards
    finally:
        for guard in guards:
            guard.flush()
        sys.stdout, sys.stderr = streams
        for stream, kind in zip(streams, errors, strict=True):
            with suppress(OSError):  # it writes what is held back
                if kind and hasattr(stream, "reconfigure"):
                    stream.reconfigure(errors=kind)


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the program as an exception does, so that temporary files are removed on the way."""

    def stop(number: int, frame: object) -> None:
        signal.signal(number, signal.SIG_IGN)  # once is enough: what is going on now is the cleaning up
        raise SystemExit(128 + number)

    found = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    here = threading.current_thread() is threading.main_thread()
    # nohup ignores SIGHUP, and that stays so
    taken = [number for number in found if here and signal.getsignal(number) == signal.SIG_DFL]
    for number in taken:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


def _open_missing() -> None:
    """Open what was closed (``>&-``) to nowhere: the next file would take its number and get what is printed."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 (as long as the program)


def _spelled(error: UnicodeError) -> tuple[str, int]:
    """What an encoding lacks, in characters that every encoding has."""
    assert isinstance(error, UnicodeEncodeError)
    return "".join(map(_plain, error.object[error.start : error.end])), error.end


def _plain(character: str) -> str:
    if character in _PLAIN:
        return _PLAIN[character]
    base = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return base or character.encode("ascii", "backslashreplace").decode()

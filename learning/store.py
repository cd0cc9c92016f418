"""Results that are kept on disk and taken up again: runs, tables of methods, checks of claims, figures.

A result has a *key*, the folder it lies in, and a *description*, everything that it depends on, as JSON. A folder whose
description differs is another result's and is never used or overwritten by mistake. Files are written beside their
place and renamed, so that a process killed at any moment leaves the old content or the new. This module needs NumPy
only.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from theory.files import NotWritten, make_folder, reading, regular, write_atomically, write_new

DESCRIPTION = "run.json"
_VALUES, _ARRAYS = "result.json", "arrays.npz"


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What :meth:`Store.get` returns.

    Attributes
    ----------
    values : dict
        What was computed: values that JSON can hold, and arrays.
    seconds : float
        Wall time of the computation, when it was made.
    fresh : bool
        Whether it was computed now.
    """

    values: dict[str, Any]
    seconds: float
    fresh: bool


class Store:
    """Results by key, each computed at most once.

    Parameters
    ----------
    folder : path, optional
        Where results are kept, made when the first one is written; without it they are kept in this object only.
    remake : bool
        Whether a result that is damaged, or has another description, is computed again. Otherwise it is an error that
        names the file.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None, *, remake: bool = False) -> None:
        self.folder = None if folder is None else Path(folder)
        self.remake = remake
        self._held: dict[str, tuple[Any, Kept]] = {}

    def get(self, key: str, description: Mapping[str, Any], make: Callable[[], Mapping[str, Any]]) -> Kept:
        """Return the result of a key: the one that is kept, or else what ``make`` returns.

        Parameters
        ----------
        key : str
            A relative path; the folder of the result inside :attr:`folder`.
        description : mapping
            Everything that the result depends on, as values that JSON can hold.
        make : callable
            → mapping of names to values that JSON can hold and to arrays.

        Raises
        ------
        ValueError
            Unless ``remake``: if a file is damaged, naming it, or the key is taken by another description.
        """
        found = self.find(key, description)
        if found is not None:
            return found
        began = time.perf_counter()
        values = dict(make())
        kept = Kept(values=values, seconds=time.perf_counter() - began, fresh=True)
        if self.folder is not None:
            _write(self.folder / key, description, kept)
        else:
            self._held[key] = plain(description), Kept(values=values, seconds=kept.seconds, fresh=False)
        return kept

    def find(self, key: str, description: Mapping[str, Any]) -> Kept | None:
        """Return the result of that key if there is one, as :meth:`get` does; None if there is none."""
        if self.folder is None:
            held = self._held.get(key)
            return held[1] if held is not None and held[0] == plain(description) else None
        folder = self.folder / key
        try:
            if not (folder / DESCRIPTION).exists():
                return None
            check_description(folder, description)
            return _read(folder)
        except ValueError:
            if self.remake:
                return None
            raise


def claim(folder: Path, description: Mapping[str, Any]) -> Path:
    """Make a folder for what ``description`` describes, or check that the one that is there is of it; return it.

    Raises
    ------
    ValueError
        If it is a file, holds another run, or its description is damaged.
    """
    make_folder(folder)
    if not (folder / DESCRIPTION).exists():
        write_new(folder / DESCRIPTION, _json(description))  # of two processes one wins, and the other is checked
    check_description(folder, description)
    return folder


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other processes from working in a folder; the system ends it with the process, however that ends.

    Raises
    ------
    ValueError
        If another one works there.
    NotWritten
        If the folder cannot be written into.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    lock = folder / ".lock"
    try:
        file = open(lock, "wb")  # noqa: SIM115 (closed below)
    except OSError as error:
        raise NotWritten(f"{lock}: cannot be written ({error.strerror}).") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ValueError(
                f"{folder}: another training is writing into it; wait until it has ended, or give another folder."
            ) from None
        yield


def check_description(folder: Path, description: Mapping[str, Any]) -> None:
    """Raise ValueError, naming the first field that differs, unless ``folder`` is of this description."""
    found, wanted = _load_json(folder / DESCRIPTION, "the description of a run"), plain(description)
    if found != wanted:
        name, there, here = _difference(found, wanted)
        raise ValueError(
            f"{folder}: holds another run: its {name} is {there!r}, here it is {here!r}. "
            "Give another folder, or delete this one."
        )


def _difference(found: dict[str, Any], wanted: dict[str, Any]) -> tuple[str, Any, Any]:
    """Name and values of the first field that differs, also inside a field that holds others."""
    name = next(name for name in (*wanted, *found) if found.get(name, _NONE) != wanted.get(name, _NONE))
    there, here = (value.get(name, "missing") for value in (found, wanted))
    if isinstance(there, dict) and isinstance(here, dict):
        inner, there, here = _difference(there, here)
        name = f"{name} {inner}"
    return name, there, here


def plain(description: Mapping[str, Any]) -> dict[str, Any]:
    """Return a description as JSON gives it back: tuples are lists, keys are strings."""
    content = json.loads(_json(description))
    assert isinstance(content, dict)
    return content


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all."""
    write_atomically(path, lambda file: file.write(content))


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> str:
    """Write arrays to an .npz file, whole or not at all; return its SHA-256."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    write_bytes(path, buffer.getvalue())
    return hashlib.sha256(buffer.getvalue()).hexdigest()


_NONE = object()


def _json(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=2, allow_nan=False) + "\n").encode()


def _load_json(path: Path, what: str) -> dict[str, Any]:
    if not path.exists():
        raise ValueError(f"{path}: is missing; delete its folder to start again.")
    with reading(path, f"It is not {what}: delete it to start again."):
        content = json.loads(regular(path).read_bytes())
        if not isinstance(content, dict):
            raise ValueError(f"holds a {type(content).__name__}.")
    return content


def _write(folder: Path, description: Mapping[str, Any], kept: Kept) -> None:
    arrays = {name: value for name, value in kept.values.items() if isinstance(value, np.ndarray)}
    values = {name: value for name, value in kept.values.items() if name not in arrays}
    make_folder(folder)
    digest = write_arrays(folder / _ARRAYS, arrays) if arrays else None
    digests = {"sha256": digest, "values_sha256": _digest(values)}
    write_bytes(folder / _VALUES, _json({"seconds": kept.seconds, "values": values, **digests}))
    # last: a folder without a description holds nothing
    write_bytes(folder / DESCRIPTION, _json(description))


def _digest(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _read(folder: Path) -> Kept:
    content = _load_json(folder / _VALUES, "the result of a run")
    with reading(folder / _VALUES, "Delete its folder to compute it again."):
        values, seconds, digest = dict(content["values"]), float(content["seconds"]), content["sha256"]
        if _digest(values) != content["values_sha256"]:
            raise ValueError("is damaged: its SHA-256 is not the one that was noted.")
    if digest is not None:
        path = folder / _ARRAYS
        if not path.exists():
            raise ValueError(f"{path}: is missing; delete its folder to compute it again.")
        with reading(path, "Delete its folder to compute it again."):
            held = regular(path).read_bytes()
            if hashlib.sha256(held).hexdigest() != digest:
                raise ValueError("is damaged: its SHA-256 is not the one that was noted.")
            with np.load(io.BytesIO(held), allow_pickle=False) as file:
                values |= dict(file)
    return Kept(values=values, seconds=seconds, fresh=False)

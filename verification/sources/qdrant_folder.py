"""A collection in the folder of Qdrant's local mode, read as it lies there.

The client would load all of it, write a lock beside it, and unpickle its points: whoever made the folder could run code
here. So the table is opened read-only, point by point, and an unpickler that knows one name, that of a point, builds
nothing but lists, dictionaries, strings and numbers. The folder holds vectors as they were given, so lengths are kept
in a cosine collection too.
"""

from __future__ import annotations

import io
import json
import pickle
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

import numpy as np
from jaxtyping import Int, Shaped
from numpy import ndarray

from verification.files.shards import Fill, Shard, check_features
from verification.sources._keyed import Id, ids_of, labels_of, tell
from verification.sources._url import Address
from verification.sources.qdrant import checked, chosen

_POINT = ("qdrant_client.http.models.models", "PointStruct")
_AT_ONCE = 500  # SQLite allows 999 placeholders and more


class _Point:
    """Stands in for the client's class when its points are read."""

    fields: dict[str, Any]

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.fields = state["__dict__"]


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) != _POINT:
            raise ValueError(f"a point must hold numbers and strings, but it asks for {module}.{name}: not read.")
        return _Point


def open_folder(address: Address) -> Shard:
    """Open the collection that a ``qdrant:///folder?collection=…`` URL names."""
    asked, folder = address.parameters, Path(address.path)
    if not asked.get("collection"):
        raise ValueError(f"{address.name}: must name a collection: qdrant:///folder?collection=….")
    if not folder.exists():
        raise FileNotFoundError(f"{address.name}: no such folder.")
    with _complaints(address.name):
        return _read(address.name, folder, asked["collection"], asked.get("label", "label"), asked.get("vector", ""))


def _read(name: str, folder: Path, collection: str, label: str, vector: str) -> Shard:
    try:
        described = json.loads((folder / "meta.json").read_text("utf-8"))["collections"]
    except (OSError, ValueError, KeyError, TypeError):
        raise ValueError("is not a folder of Qdrant's local mode: it has no readable meta.json.") from None
    if collection not in described:
        there = ", ".join(map(repr, sorted(described))) or "none"
        raise ValueError(f"there is no collection {collection!r}; the folder has {there}.")
    vectors = described[collection]["vectors"] or {}
    layout = chosen({"": vectors} if "size" in vectors else vectors, vector)
    if layout.get("multivector_config") is not None:
        raise ValueError("a point must have one vector, got a collection of multivectors.")
    check_features((1, layout["size"]), np.dtype(np.float32))

    path = folder / "collection" / collection / "storage.sqlite"
    found: dict[Id, tuple[int, Any]] = {}  # of points stored twice, under two spellings of an id, the later counts
    with _database(path) as database:
        for row, pickled in database.execute("SELECT rowid, point FROM points ORDER BY rowid"):
            point = _point(pickled)
            found[_normalised(point["id"])] = row, (point.get("payload") or {}).get(label)
            if len(found) % 2**12 == 0:
                tell(name, "labels", len(found))
    ordered = sorted(found, key=lambda key: (isinstance(key, str), key))
    ids = ids_of(ordered)
    rows = np.array([found[key][0] for key in ordered], np.int64)
    labels = labels_of([found[key][1] for key in ordered], ids)
    opened = partial(_open_points, name, path, rows, ids, vector, layout["size"])
    shape = (len(ids), layout["size"])
    return Shard(name, shape, np.dtype(np.float32), labels, opened, seek=opened, ids=ids)


@contextmanager
def _open_points(
    name: str,
    path: Path,
    rows: Int[ndarray, " n"],
    ids: Shaped[ndarray, " n"],
    vector: str,
    dim: int,
    start: int = 0,
) -> Iterator[Fill]:
    with _complaints(name), _database(path) as database:
        position = start

        def some(count: int) -> ndarray:
            wanted = rows[position : position + count].tolist()
            marks = ",".join("?" * count)
            got = dict(database.execute(f"SELECT rowid, point FROM points WHERE rowid IN ({marks})", wanted))
            block = np.empty((count, dim), np.float32)
            for line, row, key in zip(block, wanted, ids[position : position + count].tolist(), strict=True):
                point = _point(got[row]) if row in got else {"id": None}
                if row not in got or _normalised(point["id"]) != key:
                    raise ValueError("its points have changed while they were read; run again.")
                try:
                    line[:] = checked(point["vector"], vector, dim)
                except ValueError as error:
                    raise ValueError(f"{error} This is of id {key!r}.") from None
            return block

        def fill(out: ndarray) -> None:
            nonlocal position
            for first in range(0, len(out), _AT_ONCE):
                part = some(len(out[first : first + _AT_ONCE]))
                out[first : first + len(part)] = part
                position += len(part)
                tell(name, "vectors", position, len(ids))

        yield fill


def _point(pickled: bytes) -> dict[str, Any]:
    point = _Unpickler(io.BytesIO(pickled)).load()
    if not isinstance(point, _Point):
        raise ValueError("a point must be of the client's class, got something else.")
    return point.fields


def _normalised(key: Any) -> Id:
    return key if isinstance(key, int) else str(UUID(key))


@contextmanager
def _database(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as database:
        yield database


@contextmanager
def _complaints(name: str) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, pickle.UnpicklingError, KeyError, AttributeError, EOFError) as error:
        raise ValueError(f"{name}: is not a readable collection ({type(error).__name__}: {error}).") from None
    except ValueError as error:
        message = str(error)
        raise ValueError(message if message.startswith(name) else f"{name}: {message}") from None

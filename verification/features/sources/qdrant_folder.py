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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import UUID

from theory.files import reading, regular
from verification.features.files.tables import Id
from verification.features.selection import ALL_ROWS, Where
from verification.features.sources._points import batch_of, kinds_of, variants
from verification.features.sources.qdrant import chosen

if TYPE_CHECKING:
    import pyarrow as pa

_POINT = ("qdrant_client.http.models.models", "PointStruct")


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


@dataclass(frozen=True)
class Folder:
    """A collection in a folder.

    Attributes
    ----------
    name : str
        As messages show it.
    folder : Path
    collection : str
    fields : dict
        Names of the payload's fields for ``label`` and ``group``, if there are any.
    vector : str
        Name of the vector; empty for the one without a name.
    where : Where
        Which points are read.
    """

    name: str
    folder: Path
    collection: str
    fields: dict[str, str]
    vector: str
    where: Where = ALL_ROWS
    live = True

    def describe(self) -> tuple[Mapping[str, pa.DataType], tuple[str, ...]]:
        """Read the description that the client wrote beside its collections."""
        if not self.folder.exists():
            raise FileNotFoundError(f"{self.name}: no such folder.")
        if not (self.folder / "meta.json").is_file():
            raise ValueError("is not a folder of Qdrant's local mode: it has no meta.json.")
        with reading(f"{self.name}: meta.json", "It must be that of a folder of Qdrant's local mode."):
            described = json.loads(regular(self.folder / "meta.json").read_text("utf-8"))["collections"]
        if self.collection not in described:
            there = ", ".join(map(repr, sorted(described))) or "none"
            raise ValueError(f"there is no collection {self.collection!r}; the folder has {there}.")
        vectors = described[self.collection]["vectors"] or {}
        layout = chosen({"": vectors} if "size" in vectors else vectors, self.vector)
        if layout.get("multivector_config") is not None:
            raise ValueError("a point must have one vector, got a collection of multivectors.")
        return kinds_of(layout["size"], self.fields), ()

    def batches(self, columns: Sequence[str], rows: int, after: Id | None = None) -> Iterator[pa.RecordBatch]:
        """Points in the order of their ids; of one stored twice, under two spellings of its id, the later counts."""
        path = regular(self.folder / "collection" / self.collection / "storage.sqlite")
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as database:
            places = {}
            for row, pickled in database.execute("SELECT rowid, point FROM points ORDER BY rowid"):
                point = _point(pickled)
                key = _normalised(point["id"])
                if self._asked(point.get("payload") or {}):
                    places[key] = row
                else:  # of one stored twice the later counts
                    places.pop(key, None)
            if len({type(key) for key in places}) > 1:
                raise ValueError("ids must be all integers or all strings, got both.")
            order = sorted(key for key in places if after is None or key > after)  # type: ignore[operator]
            for start in range(0, len(order), rows):
                some = order[start : start + rows]
                points = [_point(self._stored(database, places[key])) for key in some]
                found = [(key, p.get("payload") or {}, p["vector"]) for key, p in zip(some, points, strict=True)]
                yield batch_of(found, columns, self.fields, self.vector)

    def _asked(self, payload: Mapping[str, Any]) -> bool:
        """Whether a point is asked for, as the engine decides it: of a field that is a list, one entry is enough."""
        for field, values in self.where.values:
            held = payload.get(field)
            wanted = [(type(each), each) for value in values for each in variants(value)]
            if not any((type(each), each) in wanted for each in (held if isinstance(held, list) else [held])):
                return False
        return True

    def _stored(self, database: sqlite3.Connection, row: int) -> bytes:
        return database.execute("SELECT point FROM points WHERE rowid = ?", (row,)).fetchone()[0]


def _point(pickled: bytes) -> dict[str, Any]:
    point = _Unpickler(io.BytesIO(pickled)).load()
    if not isinstance(point, _Point):
        raise ValueError("a point must be of the client's class, got something else.")
    return point.fields


def _normalised(key: Any) -> Id:
    return key if isinstance(key, int) else str(UUID(key))

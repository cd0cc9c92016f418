"""Stores that live in a folder or a file and are opened by their own library: Chroma, LanceDB and Milvus Lite.

Their rows come in the order that the store gives, always the same; where ids are not ascending, what pairs by row pairs
by ids.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from theory.extras import require
from verification.features.files.tables import Id
from verification.features.selection import ALL_ROWS, Where, booleans, integers
from verification.features.sources._points import batch_of, kinds_of, variants
from verification.features.sources._url import Address

if TYPE_CHECKING:
    import pyarrow as pa

CHROMA_COSINE = (
    "Chroma normalises the vectors of a cosine collection when it stores them: their lengths are lost, which no "
    "distance here looks at, and results may differ from the file's by a rounding of float32."
)


@dataclass(frozen=True)
class _Embedded:
    """A collection in a folder or a file.

    Attributes
    ----------
    name : str
        As messages show it.
    path : str
    collection : str
    fields : dict
        Names of what holds ``id``, ``vector``, ``label`` and ``group``.
    named : tuple of str
        Which of them the user named: those must be there.
    where : Where
        Which rows are read.
    """

    name: str
    path: str
    collection: str
    fields: dict[str, str]
    named: tuple[str, ...] = ()
    where: Where = ALL_ROWS
    live = False

    def there(self, names: Sequence[str]) -> dict[str, str]:
        """Those of the fields that are among some names; ValueError where one that is needed is not."""
        for role, name in self.fields.items():
            if name not in names and (role in self.named or role == "vector"):
                raise ValueError(f"there is no {name!r} for {role}=; it has {', '.join(map(repr, names))}.")
        return {role: name for role, name in self.fields.items() if name in names}

    def chosen(self, collections: Sequence[str]) -> str:
        """The collection; ValueError where it is not among those of the store."""
        if self.collection not in collections:
            there = ", ".join(map(repr, sorted(collections))) or "none"
            raise ValueError(f"there is no collection {self.collection!r}; it has {there}.")
        return self.collection


class Chroma(_Embedded):
    """A collection that ``chromadb.PersistentClient(path)`` wrote; labels and groups are in the metadata."""

    def describe(self) -> tuple[Mapping[str, pa.DataType], tuple[str, ...]]:
        """Look at the collection and its first item."""
        collection = self._collection()
        first = collection.get(limit=1, include=["embeddings"])["embeddings"]
        if not len(first):
            raise ValueError("must hold rows, got none.")
        # what metadata there is is known when it is read: no groups unless they are asked for
        metadata = [role for role in self.fields if role == "label" or (role == "group" and role in self.named)]
        cosine = (collection.configuration.get("hnsw") or {}).get("space") == "cosine"
        return kinds_of(len(first[0]), metadata), (CHROMA_COSINE,) if cosine else ()

    def batches(self, columns: Sequence[str], rows: int, after: Id | None = None) -> Iterator[pa.RecordBatch]:
        """Items page by page."""
        collection = self._collection()
        include = ["metadatas", *(["embeddings"] if "vector" in columns else [])]
        for start in range(0, collection.count(), rows):
            page = collection.get(limit=rows, offset=start, include=include, where=self._filter())
            if not page["ids"]:
                return
            vectors = page["embeddings"] if "vector" in columns else [None] * len(page["ids"])
            points = zip(page["ids"], page["metadatas"] or [{}] * len(page["ids"]), vectors, strict=True)
            yield batch_of([(key, payload or {}, row) for key, payload, row in points], columns, self.fields, "")

    def _filter(self) -> dict[str, Any] | None:
        asked = [
            _any_of("$or", [{column: {"$eq": each}} for value in values for each in variants(value)])
            for column, values in self.where.values
        ]
        return _any_of("$and", asked) if asked else None

    def _collection(self) -> Any:
        chromadb = import_module("chromadb")
        settings = chromadb.config.Settings(anonymized_telemetry=False)
        client = chromadb.PersistentClient(self.path, settings=settings)
        return client.get_collection(
            self.chosen([each.name for each in client.list_collections()]), embedding_function=None
        )


class LanceDB(_Embedded):
    """A table of a folder that ``lancedb.connect(path)`` wrote."""

    def describe(self) -> tuple[Mapping[str, pa.DataType], tuple[str, ...]]:
        """Look at the schema."""
        schema = self._table().schema
        self.where.check(schema.names)
        return {role: schema.field(name).type for role, name in self.there(schema.names).items()}, ()

    def batches(self, columns: Sequence[str], rows: int, after: Id | None = None) -> Iterator[pa.RecordBatch]:
        """Read some columns."""
        names = [self.fields[role] for role in columns]
        table = self._table()
        query = table.search().select(names)
        if self.where:
            kinds = {column: str(table.schema.field(column).type) for column in self.where.columns}
            query = query.where(" AND ".join(_sql(f"`{c}`", kinds[c], values) for c, values in self.where.values))
        for batch in query.to_batches(rows):
            yield batch.select(names).rename_columns(list(columns))

    def _table(self) -> Any:
        connected = import_module("lancedb").connect(self.path)
        return connected.open_table(self.chosen(connected.list_tables().tables))


class Milvus(_Embedded):
    """A collection of a file of Milvus Lite."""

    def describe(self) -> tuple[Mapping[str, pa.DataType], tuple[str, ...]]:
        """Look at the schema."""
        client = self._client()
        described = client.describe_collection(self.collection)
        kinds = self._kinds(client, described)
        self.where.check(kinds)
        there = self.there(list(kinds))
        fields = {field["name"]: field for field in described["fields"]}
        if "dim" not in (params := fields.get(there["vector"], {}).get("params", {})):
            raise ValueError(f"field {there['vector']!r} must hold vectors (vector= names another).")
        return kinds_of(params["dim"], there), ()

    def batches(self, columns: Sequence[str], rows: int, after: Id | None = None) -> Iterator[pa.RecordBatch]:
        """Entities page by page."""
        client = self._client()
        client.load_collection(self.collection)
        names = [self.fields[role] for role in columns]
        kinds = self._kinds(client, client.describe_collection(self.collection)) if self.where else {}
        asked = " and ".join(_sql(column, kinds[column], values) for column, values in self.where.values)
        page = min(rows, 2**14)  # no page is larger there
        pages = client.query_iterator(self.collection, batch_size=page, filter=asked, output_fields=names)
        try:
            while found := pages.next():
                points = [(each.get(self.fields["id"]), each, each.get(self.fields["vector"])) for each in found]
                yield batch_of(points, columns, self.fields, "")
        finally:
            pages.close()

    def _kinds(self, client: Any, described: Mapping[str, Any]) -> dict[str, str]:
        """Names and types of the fields; those outside the schema (dynamic ones) are what the first entity has."""
        kinds = {each["name"]: each["type"].name for each in described["fields"]}
        if described.get("enable_dynamic_field"):
            client.load_collection(self.collection)
            first = client.query(self.collection, filter="", limit=1, output_fields=["*"])
            known = {bool: "BOOL", int: "INT64", str: "VARCHAR"}
            kinds |= {
                name: known[type(value)]
                for entity in first
                for name, value in sorted(entity.items())
                if name not in kinds and type(value) in known
            }
        return kinds

    def _client(self) -> Any:
        client = import_module("pymilvus").MilvusClient(self.path)
        self.chosen(client.list_collections())
        return client


def _any_of(operator: str, parts: list[dict[str, Any]]) -> dict[str, Any]:
    return parts[0] if len(parts) == 1 else {operator: parts}


def _sql(name: str, kind: str, values: Sequence[str]) -> str:
    """An expression that both LanceDB and Milvus read: a column of such a type holds one of some values."""
    column = name.strip("`")
    if kind.lower().startswith(("int", "uint")):
        constants = [str(number) for number in integers(values, column)]
    elif kind.lower().startswith("bool"):
        constants = [str(value).lower() for value in booleans(values, column)]
    elif kind == "VARCHAR":  # of Milvus, which escapes as JSON does
        constants = [json.dumps(value, ensure_ascii=False) for value in values]
    elif "string" in kind.lower():
        constants = ["'" + value.replace("'", "''") + "'" for value in values]
    else:
        raise ValueError(f"column {column!r} must hold integers, strings or booleans to choose rows by, got {kind}.")
    return "(" + " OR ".join(f"{name} {'==' if kind.isupper() else '='} {constant}" for constant in constants) + ")"


def open_embedded(address: Address) -> _Embedded:
    """Open what a URL ``chroma:///folder``, ``lancedb:///folder`` or ``milvus:///file.db`` names."""
    kind, module = {"chroma": (Chroma, "chromadb"), "lancedb": (LanceDB, "lancedb"), "milvus": (Milvus, "pymilvus")}[
        address.scheme
    ]
    require(f"{address.scheme}://", module)
    asked = address.parameters
    if address.host or not asked.get("collection"):
        raise ValueError(f"{address.name}: must be {address.scheme}:///path?collection=….")
    # their libraries would make an empty one
    if not Path(address.path).exists():
        raise FileNotFoundError(f"{address.name}: no such file or folder.")
    fields = {role: asked.get(role, role) for role in ("id", "vector", "label", "group")}
    fields = {role: name for role, name in fields.items() if name}
    named = tuple(role for role in fields if role in asked)
    return kind(address.name, address.path, asked["collection"], fields, named, address.where)

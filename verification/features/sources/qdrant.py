"""A collection of a Qdrant server, scrolled by its Python client in the order of ids (the extra ``qdrant``)."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from theory.extras import require
from verification.features.files.tables import ConnectionLost, Id, Table
from verification.features.selection import ALL_ROWS, Where
from verification.features.sources._points import batch_of, kinds_of, variants
from verification.features.sources._url import Address

if TYPE_CHECKING:
    import pyarrow as pa
    from qdrant_client import QdrantClient

_TIMEOUT = 60  # seconds for one page
COSINE = (
    "Qdrant normalises the vectors of a cosine collection when it stores them: their lengths are lost, which no "
    "distance here looks at, and results may differ from the file's by a rounding of float32."
)


@dataclass(frozen=True)
class Collection:
    """A collection of points with one label in their payload.

    Attributes
    ----------
    name : str
        As messages show it.
    url : str
        Of the server.
    collection : str
        Its name there.
    fields : dict
        Names of the payload's fields for ``label`` and ``group``, if there are any.
    vector : str
        Name of the vector; empty for the one without a name.
    where : Where
        Which points are read.
    """

    name: str
    url: str
    collection: str
    fields: dict[str, str]
    vector: str
    where: Where = ALL_ROWS
    live = True

    def describe(self) -> tuple[Mapping[str, pa.DataType], tuple[str, ...]]:
        """Ask for the collection's description."""
        with self._connected() as client:
            names = sorted(each.name for each in client.get_collections().collections)
            names += sorted(each.alias_name for each in client.get_aliases().aliases)
            if self.collection not in names:
                there = ", ".join(map(repr, names)) or "none"
                raise ValueError(f"there is no collection {self.collection!r}; the server has {there}.")
            vectors = client.get_collection(self.collection).config.params.vectors
            described = chosen(vectors if isinstance(vectors, dict) else {"": vectors}, self.vector)
            if described.multivector_config is not None:
                raise ValueError("a point must have one vector, got a collection of multivectors.")
            remarks = (COSINE,) if described.distance == "Cosine" else ()
            return kinds_of(described.size, self.fields), remarks

    def batches(self, columns: Sequence[str], rows: int, after: Id | None = None) -> Iterator[pa.RecordBatch]:
        """Points in the order of their ids."""
        fields = [self.fields[role] for role in columns if role in self.fields]
        vectors: Any = "vector" in columns and ([self.vector] if self.vector else True)
        what = {"with_payload": fields or False, "with_vectors": vectors, "scroll_filter": self._filter()}
        for points in self._scroll(after, rows, **what):
            found = [(point.id, point.payload or {}, point.vector) for point in points]
            yield batch_of(found, columns, self.fields, self.vector)

    def _filter(self) -> Any:
        from qdrant_client.models import FieldCondition, Filter, MatchValue

        if not self.where:
            return None
        return Filter(
            must=[
                Filter(
                    should=[
                        FieldCondition(key=field, match=MatchValue(value=each))
                        for value in values
                        for each in variants(value)
                    ]
                )
                for field, values in self.where.values
            ]
        )

    def _scroll(self, after: Any, page: int, **what: Any) -> Iterator[list[Any]]:
        with self._connected() as client:
            while True:
                # from `after` itself on, which is there already; one more makes up for it
                limit = page if after is None else page + 1
                points, beyond = client.scroll(self.collection, limit=limit, offset=after, timeout=_TIMEOUT, **what)
                if after is not None and points and points[0].id == after:
                    points = points[1:]
                if points:
                    after = points[-1].id
                    yield points
                if beyond is None:
                    return

    @contextmanager
    def _connected(self) -> Iterator[QdrantClient]:
        from qdrant_client import QdrantClient
        from qdrant_client.http.exceptions import ApiException, ResponseHandlingException, UnexpectedResponse

        with warnings.catch_warnings():
            # that a key goes unencrypted: the user has said so, or it stays on this machine
            warnings.simplefilter("ignore")
            client = QdrantClient(
                self.url, api_key=os.environ.get("QDRANT_API_KEY"), timeout=_TIMEOUT, check_compatibility=False
            )
        try:
            yield client
        except ResponseHandlingException as error:
            raise ConnectionLost(f"{self.name}: no answer ({' '.join(str(error).split())}).") from None
        except UnexpectedResponse as error:
            status = f"the server answered {error.status_code} {error.reason_phrase}"
            if error.status_code in (401, 403):
                raise ValueError(f"{status}; a key is read from QDRANT_API_KEY.") from None
            if error.status_code is None or error.status_code == 429 or error.status_code >= 500:
                raise ConnectionLost(f"{self.name}: {status}.") from None
            raise ValueError(f"{status}.") from None
        except ApiException as error:
            raise ConnectionLost(f"{self.name}: {type(error).__name__}.") from None
        finally:
            client.close()


def open_collection(address: Address) -> Table:
    """Open the collection that a ``qdrant://`` URL names: of a host, or in a folder of the client's local mode."""
    asked = address.parameters
    fields = {role: asked.get(role, default) for role, default in (("label", "label"), ("group", ""))}
    fields = {role: name for role, name in fields.items() if name}
    if not address.host:
        from verification.features.sources.qdrant_folder import Folder

        if not asked.get("collection"):
            raise ValueError(f"{address.name}: must name a collection: qdrant:///folder?collection=….")
        return Folder(
            address.name, Path(address.path), asked["collection"], fields, asked.get("vector", ""), address.where
        )
    require("a Qdrant server", "qdrant_client")
    collection = address.path.strip("/")
    collection = collection or asked.get("collection", "")
    if not collection or (address.path.strip("/") and "collection" in asked):
        raise ValueError(f"{address.name}: must name one collection: qdrant://host:port/collection.")
    # a key is not sent in the clear unless the user asks for it
    tls = address.tls(bool(os.environ.get("QDRANT_API_KEY")) and not address.here)
    host = f"[{address.host}]" if ":" in address.host else address.host
    url = f"{'https' if tls else 'http'}://{host}:{address.port or 6333}"
    return Collection(address.name, url, collection, fields, asked.get("vector", ""), address.where)


def chosen(vectors: Mapping[str, Any], name: str) -> Any:
    """What a collection says of the vector of a name; the empty name stands for the one without."""
    if name in vectors:
        return vectors[name]
    there = ", ".join(map(repr, sorted(vectors))) or "none"
    if not name:
        raise ValueError(f"vector= must say which vector of the points is meant, of {there}.")
    raise ValueError(f"there is no vector {name!r}; the collection has {there}.")

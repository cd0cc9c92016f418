"""A collection of a Qdrant server, scrolled by its Python client in the order of ids (the extra ``qdrant``)."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import ndarray

from verification.files.shards import Shard
from verification.sources._keyed import ConnectionLost, Id, Layout, open_keyed
from verification.sources._url import Address

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

_LABELS_A_PAGE = 4096
_TIMEOUT = 60  # seconds for one page
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
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
    collection, label : str
        Name of the collection, and of the payload's field.
    vector : str
        Name of the vector; empty for the one without a name.
    """

    name: str
    url: str
    collection: str
    label: str
    vector: str

    def layout(self) -> Layout:
        """Ask for the collection's description."""
        with self._connected() as client:
            names = sorted(each.name for each in client.get_collections().collections)
            names += sorted(each.alias_name for each in client.get_aliases().aliases)
            if self.collection not in names:
                there = ", ".join(map(repr, names)) or "none"
                raise ValueError(f"{self.name}: there is no collection {self.collection!r}; the server has {there}.")
            vectors = client.get_collection(self.collection).config.params.vectors
            try:
                described = chosen(vectors if isinstance(vectors, dict) else {"": vectors}, self.vector)
            except ValueError as error:
                raise ValueError(f"{self.name}: {error}") from None
            if described.multivector_config is not None:
                raise ValueError(f"{self.name}: a point must have one vector, got a collection of multivectors.")
            return Layout(described.size, np.dtype(np.float32), (COSINE,) if described.distance == "Cosine" else ())

    def labelled(self, after: Id | None) -> Iterator[tuple[list[Id], list[Any]]]:
        """Ids and labels in the order of the ids."""
        for points in self._scroll(after, _LABELS_A_PAGE, with_payload=[self.label]):
            yield [point.id for point in points], [(point.payload or {}).get(self.label) for point in points]

    def vectors(self, after: Id | None, layout: Layout) -> Iterator[tuple[list[Id], ndarray]]:
        """Ids and vectors in the order of the ids."""
        named = [self.vector] if self.vector else True
        for points in self._scroll(after, layout.page, with_payload=False, with_vectors=named):
            rows = np.empty((len(points), layout.dim), layout.dtype)
            for row, point in zip(rows, points, strict=True):
                try:
                    row[:] = checked(point.vector, self.vector, layout.dim)
                except ValueError as error:
                    raise ValueError(f"{self.name}: {error} This is of id {point.id!r}.") from None
            yield [point.id for point in points], rows

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
                raise ValueError(f"{self.name}: {status}; a key is read from QDRANT_API_KEY.") from None
            if error.status_code is None or error.status_code == 429 or error.status_code >= 500:
                raise ConnectionLost(f"{self.name}: {status}.") from None
            raise ValueError(f"{self.name}: {status}.") from None
        except ApiException as error:
            raise ConnectionLost(f"{self.name}: {type(error).__name__}.") from None
        finally:
            client.close()


def open_collection(address: Address) -> Shard:
    """Open the collection that a ``qdrant://host`` URL names."""
    try:
        import qdrant_client  # noqa: F401
    except ImportError:
        raise ValueError("qdrant:// needs its client: pip install 'stationary-representations[qdrant]'.") from None

    asked, collection = address.parameters, address.path.strip("/")
    collection = collection or asked.get("collection", "")
    if not collection or (address.path.strip("/") and "collection" in asked):
        raise ValueError(f"{address.name}: must name one collection: qdrant://host:port/collection.")
    # a key is not sent in the clear unless the user asks for it
    keyed = bool(os.environ.get("QDRANT_API_KEY")) and address.host not in _LOOPBACK
    tls = asked.get("tls", "yes" if keyed else "no")
    if tls not in ("yes", "no"):
        raise ValueError(f"{address.name}: tls must be 'yes' or 'no'.")
    host = f"[{address.host}]" if ":" in address.host else address.host
    url = f"{'https' if tls == 'yes' else 'http'}://{host}:{address.port or 6333}"
    return open_keyed(Collection(address.name, url, collection, asked.get("label", "label"), asked.get("vector", "")))


def chosen(vectors: Mapping[str, Any], name: str) -> Any:
    """What a collection says of the vector of a name; the empty name stands for the one without."""
    if name in vectors:
        return vectors[name]
    there = ", ".join(map(repr, sorted(vectors))) or "none"
    if not name:
        raise ValueError(f"vector= must say which vector of the points is meant, of {there}.")
    raise ValueError(f"there is no vector {name!r}; the collection has {there}.")


def checked(vector: Any, name: str, dim: int) -> Any:
    """The numbers of a point's vector, one of many or its only one."""
    values = (vector.get(name) if isinstance(vector, dict) else vector) if vector is not None else None
    if values is None:
        raise ValueError("vectors must not be missing.")
    if len(values) != dim:
        raise ValueError(f"vectors must have one dimension, {dim}, got {len(values)}.")
    return values

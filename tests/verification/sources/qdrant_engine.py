"""A process that serves collections held on disk by Qdrant's own storage engine: it can be killed and started again.

The engine (qdrant-edge) is what a Qdrant server stores, orders and pages points with; the requests come from Qdrant's
client. Only what carries them from one to the other is ours (:mod:`tests.verification.sources.qdrant_wire`).
"""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import qdrant_edge
from qdrant_client import QdrantClient, models

from tests.verification.sources.qdrant_wire import Wire
from verification.features import FeatureSet

_CONFIG = "collection.json"


class Engine:
    """Collections in a folder, a shard of the engine each."""

    def __init__(self, folder: Path) -> None:
        self._described = QdrantClient(":memory:", force_disable_check_same_thread=True)
        self._shards = {}
        for config in sorted(folder.glob(f"*/{_CONFIG}")):
            name = config.parent.name
            vectors = {
                key: models.VectorParams(size=size, distance=models.Distance(distance))
                for key, (size, distance) in json.loads(config.read_text()).items()
            }
            self._described.create_collection(name, vectors_config=vectors.get("", vectors))
            self._shards[name] = qdrant_edge.EdgeShard.load(str(config.parent / "shard"))
        self.get_collections = self._described.get_collections
        self.get_aliases = self._described.get_aliases
        self.get_collection = self._described.get_collection

    def scroll(
        self, collection: str, limit: int, offset: Any, scroll_filter: Any, with_payload: Any, with_vectors: Any
    ) -> tuple[list[models.Record], Any]:
        """As the client's method: a page of points from an id on, and the id after them."""
        assert scroll_filter is None
        offset = uuid.UUID(offset) if isinstance(offset, str) else offset
        records, beyond = self._shards[collection].scroll(
            qdrant_edge.ScrollRequest(
                limit=limit, offset=offset, with_payload=with_payload or False, with_vector=with_vectors or False
            )
        )
        found = [
            models.Record(id=_plain(record.id), payload=record.payload, vector=record.vector) for record in records
        ]
        return found, _plain(beyond)


def _plain(key: Any) -> Any:
    return str(key) if isinstance(key, uuid.UUID) else key


def store(
    folder: Path, collection: str, features: FeatureSet, ids: np.ndarray, distance: str = "Dot", vector: str = ""
) -> None:
    """Write a collection of the features, points in an order of their own, and close it."""
    home = folder / collection
    home.mkdir(parents=True)
    params = qdrant_edge.EdgeVectorParams(features.dim, getattr(qdrant_edge.Distance, distance))
    config = qdrant_edge.EdgeConfig(vectors={vector: params} if vector else params)
    shard = qdrant_edge.EdgeShard.create(str(home / "shard"), config)
    rows = np.random.default_rng(1).permutation(len(features))
    for some in np.array_split(rows, 4):
        points = []
        for row in some:
            values = features.features[row].tolist()
            key = ids[row].item()
            points.append(
                qdrant_edge.Point(
                    uuid.UUID(key) if isinstance(key, str) else key,
                    {vector: values} if vector else values,
                    {"label": features.labels[row].item(), "other": None},
                )
            )
        shard.update(qdrant_edge.UpdateOperation.upsert_points(points))
    shard.flush()
    shard.close()
    (home / _CONFIG).write_text(json.dumps({vector: [features.dim, distance]}))


class Server:
    """The process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = "127.0.0.1:0"
        self.start()

    def start(self) -> None:
        """Start it, on the same port as before, and wait until it answers."""
        command = [sys.executable, "-m", __name__, str(self.folder), self.address.rpartition(":")[2]]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.address = self._process.stdout.readline().strip()

    def kill(self) -> None:
        """End it at once, without a chance to tidy up."""
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


if __name__ == "__main__":
    print(Wire(Engine(Path(sys.argv[1])), int(sys.argv[2])).address, flush=True)

"""What every store promises, and a store that is added in one place."""

from __future__ import annotations

import itertools
import pickle
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint

import numpy as np
import pytest

from tests.verification.samples import upgrade
from tests.verification.sources import test_faiss_index, test_pgvector, test_qdrant
from tests.verification.sources.helpers import single
from verification.audit import audit
from verification.features import FeatureSet
from verification.features.files import tables
from verification.features.sources import SOURCES, Address, ConnectionLost, Source

pytestmark = pytest.mark.services
pa = pytest.importorskip("pyarrow")

N = 400
IDS = np.cumsum(np.random.default_rng(2).integers(1, 5, N))
PAIR = tuple(single(each) for each in upgrade(0.5, 0.9, num_samples=N, dim=16))
ARRAYS: dict[str, FeatureSet] = {}


@dataclass(frozen=True)
class Shelf:
    """Arrays of this process as a store, which loses its connection as often as it is told."""

    name: str
    label: str | None
    live: bool = True
    failing = []  # noqa: RUF012

    def describe(self) -> tuple[Mapping[str, pa.DataType], tuple[str, ...]]:
        labels = {} if self.label is None else {"label": pa.int64()}
        return {"id": pa.int64(), "vector": pa.list_(pa.float32(), 16), **labels}, ("Kept on a shelf.",)

    def batches(self, columns: Sequence[str], rows: int, after: int | None = None) -> Iterator[pa.RecordBatch]:
        features = ARRAYS[self.name]
        start = 0 if after is None else int(np.searchsorted(IDS, after)) + 1
        for first in range(start, N, 70):
            if self.failing and self.failing.pop():
                raise ConnectionLost(f"{self.name}: gone.")
            some = slice(first, first + 70)
            there = {"id": IDS[some], "vector": list(features.features[some]), "label": features.labels[some]}
            yield pa.RecordBatch.from_pydict({column: pa.array(there[column]) for column in columns})


def open_shelf(address: Address) -> Shelf:
    return Shelf(address.name, address.parameters.get("label", "label") or None)


def shelf(request: pytest.FixtureRequest, name: str, features: FeatureSet) -> str:
    monkeypatch = request.getfixturevalue("monkeypatch")
    monkeypatch.setitem(SOURCES, "shelf", Source(open_shelf, ("id", "label", "vector", "group")))
    ARRAYS[f"shelf:///{name}"] = features
    return f"shelf:///{name}"


def faiss(request: pytest.FixtureRequest, name: str, features: FeatureSet) -> str:
    path = request.getfixturevalue("tmp_path") / f"{name}.index"
    test_faiss_index.write(path, "IDMap,Flat", features, IDS)
    return str(path)


def pgvector(request: pytest.FixtureRequest, name: str, features: FeatureSet) -> str:
    request.getfixturevalue("monkeypatch").setenv("PGPASSWORD", test_pgvector.Server.password)
    server = request.getfixturevalue("server")
    test_pgvector.fill(server, name, features, IDS)
    return server.url(name)


def qdrant(request: pytest.FixtureRequest, name: str, features: FeatureSet) -> str:
    wire = request.getfixturevalue("wire")
    test_qdrant.fill(wire.local, name, features, IDS)
    return f"qdrant://{wire.address}/{name}"


def folder(request: pytest.FixtureRequest, name: str, features: FeatureSet) -> str:
    path = request.getfixturevalue("tmp_path") / "q"
    client = test_qdrant.qdrant_client.QdrantClient(path=str(path))
    test_qdrant.fill(client, name, features, IDS)
    client.close()
    return f"qdrant://{path}?collection={name}"


def chroma(request: pytest.FixtureRequest, name: str, features: FeatureSet) -> str:
    chromadb = pytest.importorskip("chromadb")
    path = request.getfixturevalue("tmp_path") / "chroma"
    client = chromadb.PersistentClient(str(path), settings=chromadb.config.Settings(anonymized_telemetry=False))
    stored = client.create_collection(f"{name}.vectors", embedding_function=None)
    labels = [{"person": label} for label in features.labels.tolist()]
    stored.add(ids=[f"{key:08d}" for key in IDS], embeddings=features.features, metadatas=labels)
    return f"chroma://{path}?collection={name}.vectors&label=person"


def lancedb(request: pytest.FixtureRequest, name: str, features: FeatureSet) -> str:
    library = pytest.importorskip("lancedb")
    path = request.getfixturevalue("tmp_path") / "lance"
    vectors = pa.array(list(features.features), pa.list_(pa.float32(), 16))
    content = pa.table({"key": pa.array(IDS), "vector": vectors, "label": pa.array(features.labels)})
    library.connect(path).create_table(name, content)
    return f"lancedb://{path}?collection={name}&id=key"


def milvus(request: pytest.FixtureRequest, name: str, features: FeatureSet) -> str:
    library = pytest.importorskip("pymilvus")
    path = request.getfixturevalue("tmp_path") / f"{name}.db"
    client, kinds = library.MilvusClient(str(path)), library.DataType
    schema = client.create_schema(auto_id=False)
    schema.add_field("id", kinds.INT64, is_primary=True)
    schema.add_field("face", kinds.FLOAT_VECTOR, dim=16)
    schema.add_field("label", kinds.INT64)
    client.create_collection(name, schema=schema)
    rows = zip(IDS.tolist(), features.features.tolist(), features.labels.tolist(), strict=True)
    client.insert(name, [{"id": key, "face": row, "label": label} for key, row, label in rows])
    index = client.prepare_index_params()
    index.add_index("face", index_type="FLAT", metric_type="IP")
    client.create_index(name, index)
    client.close()
    return f"milvus://{path}?collection={name}&vector=face"


EMBEDDED = {"chroma": chroma, "lancedb": lancedb, "milvus": milvus}
STORES = {
    **EMBEDDED,
    "plug-in": shelf,
    "FAISS": faiss,
    "pgvector": pgvector,
    "Qdrant": qdrant,
    "Qdrant's folder": folder,
}
server, wire = test_pgvector.server, test_qdrant.wire


@pytest.mark.parametrize("store", STORES)
def test_every_store_gives_what_was_put_there(request, tmp_path, store, monkeypatch):
    monkeypatch.setattr(tables, "BATCH_BYTES", 16 * 4 * 33)
    new, old = (
        FeatureSet.load(STORES[store](request, name, each)) for name, each in zip(("new", "old"), PAIR, strict=True)
    )
    np.testing.assert_array_equal(new.ids.astype(int), IDS)
    np.testing.assert_array_equal(new.labels, PAIR[0].labels)
    assert (len(new), new.dim, new.dtype) == (N, 16, np.float32)
    for rows in (1, 50, 1000):
        np.testing.assert_array_equal(np.concatenate(list(new.blocks(rows))), PAIR[0].features)
    np.testing.assert_array_equal(new.rows([399, 3, 3]), PAIR[0].unit[[399, 3, 3]])
    np.testing.assert_array_equal(new.select([5, 200, 399]).features, PAIR[0].features[[5, 200, 399]])
    # in another process, from any row on if the store can
    start = new.beginning(123) % N
    assert start == (0 if store in EMBEDDED else 123)
    piece = pickle.loads(pickle.dumps(new.pieces(start, 222)[0]))
    with piece.open() as read:
        some = np.empty((222 - start, 16), np.float32)
        read(some)
    np.testing.assert_array_equal(some, PAIR[0].features[start:222])
    assert audit(new, old).to_dict() == audit(*PAIR).to_dict()


@pytest.mark.parametrize("store", EMBEDDED)
def test_an_embedded_store_that_is_not_there_is_one_sentence(request, tmp_path, store):
    url = EMBEDDED[store](request, "new", PAIR[0])
    before = sorted(tmp_path.rglob("*"))
    for wrong, message in (
        (url.replace("collection=new", "collection=nowhere"), "there is no collection 'nowhere.*'; it has 'new"),
        (url.partition("?")[0], r"must be \w+:///path\?collection=…"),
        (f"{store}:///{tmp_path}/nowhere?collection=new", "no such file or folder"),
        (f"{url}&colour=red", "parameters must be of"),
    ):
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            FeatureSet.load(wrong)
    assert not {path for path in tmp_path.rglob("*") if path not in before and "nowhere" in path.name}


def test_a_store_is_added_in_one_place(request, call, monkeypatch):
    monkeypatch.setattr(tables, "DELAYS", (0.0, 0.0))
    urls = [shelf(request, name, each) for name, each in zip(("new", "old"), PAIR, strict=True)]
    Shelf.failing[:] = [False, True, False, False, True]
    status, out, err = call("audit", *urls, "--decide", "definition-1")
    assert (status, err) == (0, "Kept on a shelf.\n")
    assert out.startswith("COMPATIBLE")
    assert not Shelf.failing
    bare = FeatureSet.load(urls[0], labels="")
    assert bare.labels is None
    Shelf.failing[:] = [True] * 5
    with pytest.raises(ConnectionError, match=r"^shelf:///new: gone\. It was tried 2 times more"):
        FeatureSet.load(urls[0])
    Shelf.failing.clear()
    with pytest.raises(
        ValueError, match=r"^shelf:///new: parameters must be of id, label, vector, group, got 'colour'"
    ):
        FeatureSet.load(f"{urls[0]}?colour=red")


@pytest.mark.parametrize("where", ["describe", "labels", "vectors"])
def test_a_store_that_stalls_ends_in_time(request, monkeypatch, where):
    """Nothing ever comes: one sentence, without further tries."""
    url = shelf(request, "new", PAIR[0])
    never = threading.Event()
    kept, batches, loaded = Shelf.describe, Shelf.batches, FeatureSet.load(url)

    def stall(self, columns, rows, after=None):
        yield from itertools.islice(batches(self, columns, rows, after), 2)
        never.wait()

    def wait(self):
        never.wait()
        return kept(self)

    if where == "describe":
        monkeypatch.setattr(Shelf, "describe", wait)
    else:
        monkeypatch.setattr(Shelf, "batches", stall)
    monkeypatch.setattr(tables, "PATIENCE", 0.2)
    try:
        with pytest.raises(ConnectionError, match=r"^shelf:///new: nothing arrived for 0 s; the store stalls"):
            np.concatenate(list(loaded.blocks(50))) if where == "vectors" else FeatureSet.load(url)
    finally:
        never.set()


def test_a_stream_is_read_and_closed_in_one_thread(request, monkeypatch):
    """As a database's library may ask for: SQLite's objects belong to the thread that made them."""
    url = shelf(request, "new", PAIR[0])
    batches, seen = Shelf.batches, []

    def noted(self, columns, rows, after=None):
        own = []
        seen.append(own)
        try:
            for batch in batches(self, columns, rows, after):
                own.append(threading.get_ident())
                yield batch
        finally:
            own.append(threading.get_ident())

    monkeypatch.setattr(Shelf, "batches", noted)
    monkeypatch.setattr(tables, "BATCH_BYTES", 10 * PAIR[0].features[0].nbytes)
    next(iter(FeatureSet.load(url).blocks(5)))  # and the rest is never asked for
    assert len(seen) == 2
    assert all(len(own) > 1 and len(set(own)) == 1 for own in seen)
    assert threading.get_ident() not in seen[0] + seen[1]


def test_pages_that_do_not_advance_are_refused(request, monkeypatch):
    url = shelf(request, "new", PAIR[0])
    batches = Shelf.batches
    monkeypatch.setattr(
        Shelf, "batches", lambda self, columns, rows, after=None: itertools.cycle([next(batches(self, columns, rows))])
    )
    with pytest.raises(
        ValueError, match=rf"ids must be unique and given in ascending order, but {IDS[0]} follows {IDS[69]}"
    ):
        FeatureSet.load(url)


def test_an_installed_package_adds_a_store(request, monkeypatch):
    url = shelf(request, "new", PAIR[0])
    found = SOURCES.pop("shelf")
    with pytest.raises(ValueError, match="shelf"):
        FeatureSet.load(url)
    point = EntryPoint("shelf", f"{__name__}:INSTALLED", "stationary.sources")
    monkeypatch.setattr(
        "verification.features.sources.entry_points", lambda group, name: [point] if name == point.name else []
    )
    np.testing.assert_array_equal(FeatureSet.load(url).features, PAIR[0].features)
    SOURCES["shelf"] = found


INSTALLED = Source(open_shelf, ("label",))


@pytest.mark.parametrize(
    "url",
    [
        "pgvector://user:SECRET@host/db?table=t",
        "pgvector://user:SE/CRET@host/db?table=t",
        "pgvector://user:12/SECRET@host/db?table=t",
        "pgvector://user:12?SECRET@host/db?table=t",
        "pgvector://user:12#SECRET@host/db?table=t",
        "pgvector://user%3ASECRET@host/db?table=t",
        "pgvector://user@host/db?table=t&SECRET",
        "pgvector://user@host/db?table=t&password=SECRET",
        "pgvector://host/host=x password=SECRET?table=t",
        "pgvector:/user:SECRET@host/db",
        "pgvector:user:SECRET@host/db",
        "PGVECTOR://user:SECRET@host/db",
        "postgresql://user:SECRET@host/db",
        "ftp://user:SE/CRET@host/f.parquet",
        "nowhere://host/f.parquet?key=SECRET",
        "qdrant://:SECRET@host/c",
        "qdrant://host/c?api_key=SECRET",
    ],
)
def test_a_password_in_any_spelling_is_not_repeated(call, url, tmp_path):
    np.savez(tmp_path / "f.npz", features=PAIR[0].features, labels=PAIR[0].labels)
    status, out, err = call("audit", url, tmp_path / "f.npz")
    assert status == 2
    assert "CRET" not in out + err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("url", "mode"),
    [
        ("pgvector://host/db?table=t", "require"),
        ("pgvector://host/db?table=t&tls=no", "disable"),
        ("pgvector://127.0.0.1/db?table=t", None),
        ("pgvector:///db?table=t", None),
        ("pgvector://localhost/db?table=t&tls=yes", "require"),
    ],
)
def test_pgvector_is_encrypted_off_this_machine(monkeypatch, url, mode):
    from verification.features.columns import Names

    for name in ("PGHOST", "PGSSLMODE"):
        monkeypatch.delenv(name, raising=False)
    assert dict(SOURCES["pgvector"].open(url, Names()).connection).get("sslmode") == mode
    monkeypatch.setenv("PGSSLMODE", "verify-full")  # of the user's, unless the URL says so
    asked = mode if "tls=" in url else None
    assert dict(SOURCES["pgvector"].open(url, Names()).connection).get("sslmode") == asked

"""What every store promises, and a store that is added in one place."""

from __future__ import annotations

import itertools
import pickle
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partialmethod
from importlib.metadata import EntryPoint

import numpy as np
import pytest

from tests.verification.samples import upgrade
from tests.verification.sources import test_faiss_index, test_pgvector, test_qdrant
from tests.verification.sources.helpers import NO_LABEL, NO_VECTOR, single, stored
from verification.audit import audit
from verification.features import FeatureSet
from verification.features.files import tables
from verification.features.selection import ALL_ROWS, Where
from verification.features.sources import SOURCES, Address, ConnectionLost, Source

pytestmark = pytest.mark.services
pa = pytest.importorskip("pyarrow")

N = 400
IDS = np.cumsum(np.random.default_rng(2).integers(1, 5, N))
PAIR = tuple(single(each) for each in upgrade(0.5, 0.9, num_samples=N, dim=16))
ARRAYS: dict[str, list] = {}


@dataclass(frozen=True)
class Shelf:
    """Arrays of this process as a store, which loses its connection as often as it is told."""

    name: str
    label: str | None
    where: Where = ALL_ROWS
    live: bool = True
    failing = []  # noqa: RUF012

    def describe(self) -> tuple[Mapping[str, pa.DataType], tuple[str, ...]]:
        labels = {} if self.label is None else {"label": pa.int64()}
        return {"id": pa.int64(), "vector": pa.list_(pa.float32(), 16), **labels}, ("Kept on a shelf.",)

    def batches(self, columns: Sequence[str], rows: int, after: int | None = None) -> Iterator[pa.RecordBatch]:
        vectors, labels, splits, cameras = zip(*ARRAYS[self.name], strict=True)
        there = {"id": IDS, "label": np.array(labels, object), "split": splits, "camera": cameras}
        asked = np.flatnonzero(self.where.matches({name: np.array(there[name]) for name in self.where.columns}, N))
        start = 0 if after is None else int(np.searchsorted(IDS[asked], after)) + 1
        for first in range(start, len(asked), 70):
            if self.failing and self.failing.pop():
                raise ConnectionLost(f"{self.name}: gone.")
            some = asked[first : first + 70]
            batch = {"id": IDS[some], "label": there["label"][some].tolist(), "vector": [vectors[row] for row in some]}
            kinds = {"vector": pa.list_(pa.float32(), 16), "id": pa.int64(), "label": pa.int64()}
            yield pa.RecordBatch.from_pydict({column: pa.array(batch[column], kinds[column]) for column in columns})


def open_shelf(address: Address) -> Shelf:
    return Shelf(address.name, address.parameters.get("label", "label") or None, address.where)


def shelf(request: pytest.FixtureRequest, name: str, features: FeatureSet, gaps: bool = False) -> str:
    monkeypatch = request.getfixturevalue("monkeypatch")
    monkeypatch.setitem(SOURCES, "shelf", Source(open_shelf, ("id", "label", "vector", "group", "where")))
    ARRAYS[f"shelf:///{name}"] = stored(features, gaps)
    return f"shelf:///{name}"


def faiss(request: pytest.FixtureRequest, name: str, features: FeatureSet, gaps: bool = False) -> str:
    path = request.getfixturevalue("tmp_path") / f"{name}.index"
    test_faiss_index.write(path, "IDMap,Flat", features, IDS)
    return str(path)


def pgvector(request: pytest.FixtureRequest, name: str, features: FeatureSet, gaps: bool = False) -> str:
    request.getfixturevalue("monkeypatch").setenv("PGPASSWORD", test_pgvector.Server.password)
    server = request.getfixturevalue("server")
    test_pgvector.fill(server, name, features, IDS, gaps=gaps)
    return server.url(name)


def qdrant(request: pytest.FixtureRequest, name: str, features: FeatureSet, gaps: bool = False) -> str:
    wire = request.getfixturevalue("wire")
    test_qdrant.fill(wire.local, name, features, IDS, gaps=gaps)
    return f"qdrant://{wire.address}/{name}"


def folder(request: pytest.FixtureRequest, name: str, features: FeatureSet, gaps: bool = False) -> str:
    path = request.getfixturevalue("tmp_path") / "q"
    client = test_qdrant.qdrant_client.QdrantClient(path=str(path))
    test_qdrant.fill(client, name, features, IDS, gaps=gaps)
    client.close()
    return f"qdrant://{path}?collection={name}"


def chroma(request: pytest.FixtureRequest, name: str, features: FeatureSet, gaps: bool = False) -> str:
    chromadb = pytest.importorskip("chromadb")
    path = request.getfixturevalue("tmp_path") / "chroma"
    client = chromadb.PersistentClient(str(path), settings=chromadb.config.Settings(anonymized_telemetry=False))
    collection = client.create_collection(f"{name}.vectors", embedding_function=None)
    beside = [
        {"split": split, "camera": camera} | ({} if label is None else {"person": label})
        for _, label, split, camera in stored(features, gaps)
    ]
    collection.add(ids=[f"{key:08d}" for key in IDS], embeddings=features.features, metadatas=beside)
    return f"chroma://{path}?collection={name}.vectors&label=person"


def lancedb(request: pytest.FixtureRequest, name: str, features: FeatureSet, gaps: bool = False) -> str:
    library = pytest.importorskip("lancedb")
    path = request.getfixturevalue("tmp_path") / "lance"
    vectors, labels, splits, cameras = zip(*stored(features, gaps), strict=True)
    content = {"key": IDS, "vector": pa.array(vectors, pa.list_(pa.float32(), 16)), "label": pa.array(labels)}
    whole = pa.table({**content, "split": splits, "camera": cameras})
    library.connect(path).create_table(name, whole, on_bad_vectors="null")
    return f"lancedb://{path}?collection={name}&id=key"


def milvus(request: pytest.FixtureRequest, name: str, features: FeatureSet, gaps: bool = False) -> str:
    library = pytest.importorskip("pymilvus")
    path = request.getfixturevalue("tmp_path") / f"{name}.db"
    client, kinds = library.MilvusClient(str(path)), library.DataType
    schema = client.create_schema(auto_id=False)
    schema.add_field("id", kinds.INT64, is_primary=True)
    schema.add_field("face", kinds.FLOAT_VECTOR, dim=16)
    schema.add_field("label", kinds.INT64, nullable=True)
    schema.add_field("split", kinds.VARCHAR, max_length=20)
    schema.add_field("camera", kinds.INT8)
    client.create_collection(name, schema=schema)
    beside = [{"label": label, "split": split, "camera": camera} for _, label, split, camera in stored(features, gaps)]
    rows = zip(IDS.tolist(), features.features.tolist(), beside, strict=True)
    client.insert(name, [{"id": key, "face": row, **others} for key, row, others in rows])
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


FILTERED = [store for store in STORES if store != "FAISS"]  # which has labels, ids and groups only


@pytest.mark.parametrize("store", FILTERED)
def test_every_store_filters(request, store, monkeypatch, call):
    """By texts and integers, one value or several, in the URL or beside it, and with the numbers of a filtered file."""
    monkeypatch.setattr(tables, "BATCH_BYTES", 16 * 4 * 33)
    new, old = (STORES[store](request, name, each) for name, each in zip(("new", "old"), PAIR, strict=True))
    rows = np.arange(N)
    for where, kept in (
        ({"split": "test"}, rows % 3 > 0),
        (["camera=1", "camera=3", "split=train"], (rows % 3 == 0) & (rows % 2 == 1)),
    ):
        read = FeatureSet.load(new, where=where)
        np.testing.assert_array_equal(read.ids.astype(int), IDS[kept])
        np.testing.assert_array_equal(read.labels, PAIR[0].labels[kept])
        np.testing.assert_array_equal(np.concatenate(list(read.blocks(50))), PAIR[0].features[kept])
    assert f"{new.partition('?')[0]}" in read.remarks[-1]
    assert read.remarks[-1].endswith("only rows with camera = 1 or 3 and split = train are read.")
    mark = "&" if "?" in new else "?"
    both = [FeatureSet.load(f"{url}{mark}where=split=test", where={"camera": 2}) for url in (new, old)]
    kept = np.flatnonzero((rows % 3 > 0) & (rows % 4 == 2))
    assert audit(*both).to_dict() == audit(*(each.select(kept) for each in PAIR)).to_dict()
    status, _, err = call("audit", new, old, "--where", "split=dev")
    assert status == 2
    # Milvus Lite may log of itself before
    assert "must hold rows with split = dev, got none." in err.splitlines()[-1]


@pytest.mark.parametrize("store", ["plug-in", "pgvector", "Qdrant", "Qdrant's folder", "lancedb"])
def test_rows_without_a_vector_are_refused_or_left_out_and_counted(request, store, call):
    new, old = (STORES[store](request, name, each, True) for name, each in zip(("new", "old"), PAIR, strict=True))
    said = rf"but 2 of {N} rows have no vector, the first is row 3, with id {IDS[3]}; drop_incomplete=True"
    with pytest.raises(ValueError, match=said):
        np.concatenate(list(FeatureSet.load(new).blocks()))
    kept = np.setdiff1d(np.arange(N), [*NO_VECTOR, *NO_LABEL])
    read = [FeatureSet.load(url, drop_incomplete=True) for url in (new, old)]
    np.testing.assert_array_equal(read[0].ids, IDS[kept])
    np.testing.assert_array_equal(np.concatenate(list(read[0].blocks(50))), PAIR[0].features[kept])
    assert read[0].remarks[-1] == f"3 of {N} rows were left out: 2 have no vector and 1 have no label."
    assert audit(*read).to_dict() == audit(*(each.select(kept) for each in PAIR)).to_dict()
    status, _, err = call("audit", new, old, "--drop-incomplete", "--decide", "definition-1")
    assert status == 0
    assert f"3 of {N} rows were left out" in err


@pytest.mark.parametrize("store", ["chroma", "milvus"])
def test_rows_without_a_label_are_left_out_on_request(request, store):
    url = STORES[store](request, "new", PAIR[0], True)
    read = FeatureSet.load(url, drop_incomplete=True)
    assert len(FeatureSet.load(url)) == N
    np.testing.assert_array_equal(read.features, np.delete(PAIR[0].features, NO_LABEL, axis=0))


def test_labels_outside_the_schema_of_milvus_are_read(tmp_path):
    """A collection that its client makes in one call has a schema of id and vector, and takes any other field."""
    client, path = pytest.importorskip("pymilvus").MilvusClient(str(tmp_path / "quick.db")), tmp_path / "quick.db"
    client.create_collection("quick", dimension=16)
    rows = [
        {"id": n, "vector": row.tolist(), "topic": f"t{n % 3}", "place": n % 2}
        for n, row in enumerate(PAIR[0].features[:30])
    ]
    client.insert("quick", rows)
    client.close()
    url = f"milvus://{path}?collection=quick&label=topic"
    assert FeatureSet.load(url).labels.tolist() == [f"t{n % 3}" for n in range(30)]
    assert FeatureSet.load(url, where={"topic": "t1", "place": 1}).ids.tolist() == [1, 7, 13, 19, 25]
    with pytest.raises(ValueError, match="there is no 'subject' for label=; it has 'id', 'vector', 'place', 'topic'"):
        FeatureSet.load(url.replace("topic", "subject"))
    with pytest.raises(ValueError, match="field 'topic' must hold vectors"):
        FeatureSet.load(f"{url}&vector=topic")


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
        ValueError, match=r"^shelf:///new: parameters must be of id, label, vector, group, where, got 'colour'"
    ):
        FeatureSet.load(f"{urls[0]}?colour=red")


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize("where", ["describe", "labels", "vectors"])
def test_a_store_that_stalls_ends_in_time(request, monkeypatch, where, live):
    """Nothing ever comes: one sentence, without further tries."""
    url = shelf(request, "new", PAIR[0])
    monkeypatch.setattr(Shelf, "__init__", partialmethod(Shelf.__init__, live=live))
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


@pytest.mark.parametrize(
    ("live", "said"),
    [
        (True, rf"ids must be unique and given in ascending order, but {IDS[0]} follows {IDS[139]}"),
        (False, rf"does not advance: the page that begins with id {IDS[0]} came twice"),
    ],
)
def test_pages_that_do_not_advance_are_refused(request, monkeypatch, live, said):
    """Two pages that come again and again."""
    url = shelf(request, "new", PAIR[0])
    monkeypatch.setattr(Shelf, "__init__", partialmethod(Shelf.__init__, live=live))
    batches = Shelf.batches

    def again(self, columns, rows, after=None):
        return itertools.cycle(itertools.islice(batches(self, columns, rows), 2))

    monkeypatch.setattr(Shelf, "batches", again)
    with pytest.raises(ValueError, match=said):
        FeatureSet.load(url)


def test_a_store_that_changes_between_two_passes_is_noticed(request, monkeypatch):
    """Also one that is opened by its library in this process."""
    url = shelf(request, "new", PAIR[0])
    monkeypatch.setattr(Shelf, "__init__", partialmethod(Shelf.__init__, live=False))
    loaded, batches = FeatureSet.load(url), Shelf.batches
    monkeypatch.setattr(
        Shelf,
        "batches",
        lambda self, columns, rows, after=None: itertools.islice(batches(self, columns, rows), 1, None),
    )
    with pytest.raises(ValueError, match=r"shelf:///new: its rows have changed while they were read"):
        np.concatenate(list(loaded.blocks()))


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

    source = SOURCES["pgvector"]
    for name in ("PGHOST", "PGSSLMODE"):
        monkeypatch.delenv(name, raising=False)
    assert dict(source.open(source.address(url, Names())).connection).get("sslmode") == mode
    monkeypatch.setenv("PGSSLMODE", "verify-full")  # of the user's, unless the URL says so
    asked = mode if "tls=" in url else None
    assert dict(source.open(source.address(url, Names())).connection).get("sslmode") == asked

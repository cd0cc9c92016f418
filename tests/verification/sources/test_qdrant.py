"""Collections of Qdrant: the client's local folder, its requests over connections that drop, the engine, and a server.

The last runs where QDRANT_URL (and QDRANT_API_KEY) name one that may be written to.
"""

from __future__ import annotations

import os
import pickle
import sqlite3
import threading
import traceback
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.verification.samples import upgrade
from tests.verification.sources.helpers import refused, single, stored
from verification.audit import audit
from verification.features import FeatureSet
from verification.features.files import tables
from verification.features.sources import watching

pytestmark = pytest.mark.services
qdrant_client = pytest.importorskip("qdrant_client")
models = qdrant_client.models


def fill(
    client, collection: str, features: FeatureSet, ids: np.ndarray, distance="Dot", vector: str = "", gaps: bool = False
) -> None:
    """A collection of the features, points in an order of their own."""
    described = models.VectorParams(size=features.dim, distance=models.Distance(distance))
    if client.collection_exists(collection):
        client.delete_collection(collection)
    client.create_collection(collection, vectors_config={vector: described} if vector else described)
    local = getattr(client, "_client", None)
    if (folder := getattr(local, "location", None)) and folder != ":memory:":
        # the client commits point by point, and each would wait for the disk
        local.collections[collection].storage.storage.execute("PRAGMA synchronous = OFF")
    content = stored(features, gaps)
    points = []
    for row in np.random.default_rng(1).permutation(len(features)):
        own, label, split, camera = content[row]
        payload = {"label": label, "other": None, "split": split, "camera": camera}
        points.append(
            models.PointStruct(
                id=ids[row].item(),
                vector={} if own is None else {vector: own} if vector else own,
                payload=payload if label is not None else {"split": split, "camera": camera},
            )
        )
    for start in range(0, len(points), 500):
        client.upsert(collection, points[start : start + 500], wait=True)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[FeatureSet, FeatureSet]:
    """(new, old), also in new.npz and old.npz."""
    new, old = (single(each) for each in upgrade(0.5, 0.9, num_samples=400, dim=16))
    new.save(tmp_path / "new.npz")
    old.save(tmp_path / "old.npz")
    return new, old


IDS = np.cumsum(np.random.default_rng(2).integers(1, 5, 400))


def of_files(folder: Path) -> dict:
    return audit(*(FeatureSet.load(folder / f"{name}.npz") for name in ("new", "old"))).to_dict()


@pytest.mark.parametrize("distance", ["Dot", "Euclid", "Cosine"])
def test_of_a_folder_the_report_is_that_of_the_file_to_the_last_digit(tmp_path: Path, pair, distance: str) -> None:
    folder = tmp_path / "q"
    client = qdrant_client.QdrantClient(path=str(folder))
    fill(client, "new", pair[0], IDS, distance)
    fill(client, "old", pair[1], IDS, distance, vector="face")
    client.close()
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    new = FeatureSet.load(f"qdrant://{folder}?collection=new")
    old = FeatureSet.load(f"qdrant://{folder}?collection=old&vector=face")
    np.testing.assert_array_equal(new.ids, IDS)
    np.testing.assert_array_equal(old.features, pair[1].features)
    assert audit(new, old).to_dict() == of_files(tmp_path)
    with new.pieces(200, 300)[0].open() as read:
        rows = np.empty((100, new.dim), np.float32)
        read(rows)
    np.testing.assert_array_equal(rows, pair[0].features[200:300])
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_nothing_of_a_folder_is_unpickled_but_points(tmp_path: Path) -> None:
    client = qdrant_client.QdrantClient(path=str(tmp_path / "q"))
    fill(client, "g", FeatureSet(np.eye(3), [0, 1, 2]), np.arange(3))
    client.close()

    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "run"),)

    database = sqlite3.connect(tmp_path / "q" / "collection" / "g" / "storage.sqlite")
    with database:
        database.execute("UPDATE points SET point = ? WHERE rowid = 2", (pickle.dumps(Trap()),))
    database.close()
    with pytest.raises(ValueError, match=r"asks for posix\.mkdir: not read"):
        FeatureSet.load(f"qdrant://{tmp_path}/q?collection=g")
    assert not (tmp_path / "run").exists()


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Iterator:
    from tests.verification.sources.qdrant_wire import Wire

    monkeypatch.delenv("QDRANT_API_KEY", raising=False)
    served = Wire(qdrant_client.QdrantClient(":memory:", force_disable_check_same_thread=True))
    yield served
    served.stop()


def test_over_the_wire_the_report_is_that_of_the_file_and_a_cosine_collection_says_so(tmp_path, pair, wire) -> None:
    fill(wire.local, "new", pair[0], IDS, "Euclid")
    fill(wire.local, "old", pair[1], IDS, "Dot", vector="face")
    new = FeatureSet.load(f"qdrant://{wire.address}/new")
    old = FeatureSet.load(f"qdrant://{wire.address}/old?vector=face&label=label")
    assert (new.remarks, old.remarks) == ((), ())
    assert audit(new, old).to_dict() == of_files(tmp_path)
    longer = FeatureSet(3.0 * pair[0].features, pair[0].labels)
    fill(wire.local, "cosine", longer, IDS, "Cosine")
    cosine = FeatureSet.load(f"qdrant://{wire.address}/cosine")
    assert "lengths are lost" in cosine.remarks[0]
    # normalised in float32, so off by a few roundings of a coordinate
    np.testing.assert_allclose(cosine.features, longer.unit, rtol=0, atol=4 * np.finfo(np.float32).eps)
    same, expected = (
        report["same_class"]["fixed"]["value"] for report in (audit(cosine, old).to_dict(), of_files(tmp_path))
    )
    assert same == pytest.approx(
        expected, abs=64 * float(np.finfo(np.float32).eps)
    )  # of sums of 16 products of coordinates


def test_uuids_come_in_order(wire) -> None:
    rng = np.random.default_rng(3)
    ids = np.array([str(uuid.UUID(bytes=rng.bytes(16))) for _ in range(300)])
    labels = np.array(["é", "a b", "%"])[np.arange(300) % 3]
    features = FeatureSet(rng.standard_normal((300, 4)).astype(np.float32), labels)
    fill(wire.local, "g", features, ids)
    loaded = FeatureSet.load(f"qdrant://{wire.address}/g")
    order = np.argsort(ids)
    np.testing.assert_array_equal(loaded.ids, ids[order])
    np.testing.assert_array_equal(loaded.features, features.features[order])
    np.testing.assert_array_equal(loaded.labels, labels[order])


def test_it_goes_on_after_a_dropped_connection(pair, wire, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(wire.local, "new", pair[0], IDS)
    monkeypatch.setattr(tables, "DELAYS", (0.05, 0.1, 0.2, 0.4, 0.8))
    monkeypatch.setattr(tables, "BATCH_BYTES", 16 * 4 * 25)  # 16 pages
    wire.failing = [None, 503, 429]  # while labels are read
    loaded = FeatureSet.load(f"qdrant://{wire.address}/new")
    told = []
    blocks = []
    with watching(lambda name, what, done, total: told.append((what, done))):
        for number, block in enumerate(loaded.blocks(40)):
            blocks.append(block)
            if number == 2:
                wire.failing = [None, 502]
            if number == 4:  # gone, and back on the same port
                wire.stop()
                threading.Timer(0.3, wire.start).start()
    np.testing.assert_array_equal(np.concatenate(blocks), pair[0].features)
    assert [done for what, done in told if what == "vectors"] == list(range(25, 401, 25))
    assert sum(what.startswith("connection lost") for what, _ in told) >= 3


def test_it_gives_up_and_finds_out_changes(pair, wire, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(wire.local, "new", pair[0], IDS)
    monkeypatch.setattr(tables, "DELAYS", (0.01, 0.02))
    loaded = FeatureSet.load(f"qdrant://{wire.address}/new")
    wire.failing = [503] * 3
    with pytest.raises(ConnectionError, match=r"503 Service Unavailable\. It was tried 2 times more"):
        _ = loaded.features
    wire.local.delete("new", models.PointIdsList(points=[IDS[1].item()]))
    with pytest.raises(ValueError, match="have changed while they were read"):
        _ = loaded.features


def test_bad_collections_are_one_sentence(pair, wire, call, tmp_path: Path) -> None:
    (tmp_path / "old.npz").unlink()
    fill(wire.local, "g", pair[0], IDS)
    wire.local.upsert("g", [models.PointStruct(id=IDS[7].item(), vector=[1.0] * 16, payload={"other": 1})])
    fill(wire.local, "named", pair[0], IDS, vector="face")
    mixed = [models.PointStruct(id=key, vector=[1.0, 2.0], payload={"label": 1}) for key in (1, str(uuid.UUID(int=5)))]
    wire.local.create_collection("mixed", vectors_config=models.VectorParams(size=2, distance=models.Distance.DOT))
    wire.local.upsert("mixed", mixed)
    fill(wire.local, "unpaired", pair[0], IDS + 1)
    folder = tmp_path.parent / f"{tmp_path.name}.q"
    client = qdrant_client.QdrantClient(path=str(folder))
    fill(client, "there", pair[0], IDS)
    client.close()
    server = f"qdrant://{wire.address}"
    for url, said in (
        (f"{server}/nowhere", r"no collection 'nowhere'; the server has 'g', 'mixed', 'named', 'unpaired'\.$"),
        (f"{server}/g?vector=face", r"there is no vector 'face'; the collection has ''\.$"),
        (f"{server}/named", r"vector= must say which vector of the points is meant, of 'face'\.$"),
        (f"{server}/g", r"must have equal labels row by row, but 1 rows differ"),
        (
            f"{server}/named?vector=face&label=other",
            r"none of its 400 rows has one: name the column or field",
        ),
        (f"{server}/mixed", r"ids must be all integers or all strings, got int, str\.$"),
        (server, r"must name one collection"),
        (f"{server}/g?colour=red", r"parameters must be of collection, label, vector, group, where, tls, got 'colour'"),
        (f"{server}/g?tls=maybe", r"tls must be 'yes' or 'no'"),
        ("qdrant://127.0.0.1:1/g", r"no answer \("),
        (f"qdrant://{folder}?collection=nowhere", r"no collection 'nowhere'; the folder has 'there'\.$"),
        (f"qdrant://{folder}/nowhere?collection=g", r"no such folder"),
        (f"qdrant://{tmp_path}?collection=g", r"is not a folder of Qdrant's local mode"),
        (f"qdrant://{folder}", r"must name a collection: qdrant:///folder\?collection=…\.$"),
        ("weaviate://host/g", r"vectors must be at one of qdrant://, pgvector://, .*, got weaviate://\.$"),
        ("qdrant:/host/g", r"begins with qdrant://"),
    ):
        refused(call("audit", tmp_path / "new.npz", url, "--json", tmp_path / "report.json"), said, tmp_path)
    outcome = call("audit", f"qdrant://{folder}?collection=there", f"{server}/unpaired?label=label")
    refused(outcome, r"must hold the same ids, but 305 are in new only and 305 in old only", tmp_path)


def test_a_bridge_reads_it_too_and_mapped_vectors_keep_their_ids(pair, wire, call, tmp_path: Path) -> None:
    _, old = pair
    turn = np.linalg.qr(np.random.default_rng(4).standard_normal((16, 16)))[0].astype(np.float32)
    fill(wire.local, "old", old, IDS)
    fill(wire.local, "new", FeatureSet(old.features @ turn, old.labels), IDS)
    urls = [f"qdrant://{wire.address}/{name}" for name in ("new", "old")]
    assert call("check", *urls)[1].startswith("ROTATION")
    saved, mapped = tmp_path / "map.npz", tmp_path / "mapped.npz"
    made = call("bridge", "fit", *urls, "--direction", "gallery", "--maps", "orthogonal", "--save", saved)
    assert made[0] == 0, made
    assert call("bridge", "apply", saved, urls[1], mapped)[0] == 0
    np.testing.assert_array_equal(FeatureSet.load(mapped).ids, IDS)
    # rows are stored in float32
    np.testing.assert_allclose(FeatureSet.load(mapped).unit, FeatureSet.load(urls[0]).unit, atol=1e-5)
    assert call("check", mapped, urls[0])[0] == 0
    moved = FeatureSet.load(mapped)
    FeatureSet(moved.features, moved.labels, IDS + 1).save(mapped)
    assert "305 ids are only in the new set" in call("check", mapped, urls[0])[1]
    status, out, err = call("audit", mapped, urls[0])
    assert (status, out) == (2, "")
    assert "must hold the same ids, but 305 are in new only and 305 in old only" in err


def test_a_key_is_sent_and_never_shown(pair, wire, call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "a-secret-of-the-test"
    monkeypatch.setenv("QDRANT_API_KEY", secret)
    fill(wire.local, "g", pair[0], IDS)
    report, page = tmp_path / "report.json", tmp_path / "page.html"
    url = f"qdrant://{wire.address}/g"
    status, out, err = call("audit", url, url, "--json", report, "--html", page)
    assert status == 0
    assert wire.keys == {secret}
    assert secret not in out + err + report.read_text() + page.read_text()
    assert secret.encode() not in pickle.dumps(FeatureSet.load(url).pieces())
    with pytest.raises(ConnectionError) as raised:
        FeatureSet.load("qdrant://127.0.0.1:1/g")
    assert secret not in "".join(traceback.format_exception(raised.value))
    status, out, err = call("audit", url.replace("//", f"//user:{secret}@"), url)
    assert status == 2
    assert "must not hold a password" in err
    assert "QDRANT_API_KEY" in err
    assert secret not in out + err


def test_the_command_tells_how_far_it_is(pair, wire, call, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr("stationary._app.SHORT", -1.0)
    monkeypatch.setattr(
        "rich.progress.Progress.update",
        lambda self, task, description, note, **_: told.append(f"{description} {note}".strip()),
    )
    monkeypatch.setattr(tables, "DELAYS", (0.01,))
    fill(wire.local, "g", pair[0], IDS)
    wire.failing = [503]
    url = f"qdrant://{wire.address}/g"
    assert call("audit", url, url)[0] == 0
    assert f"{url}: labels 400" in told
    assert f"{url}: connection lost, try 1 of 1" in told
    assert f"{url}: vectors 400 of 400" in told


@pytest.fixture
def server(tmp_path: Path, pair, monkeypatch: pytest.MonkeyPatch) -> Iterator:
    """A process that serves collections of Qdrant's storage engine: the pair, and one with ids that are UUIDs."""
    pytest.importorskip("qdrant_edge")
    from tests.verification.sources.qdrant_engine import Server, store

    monkeypatch.delenv("QDRANT_API_KEY", raising=False)
    folder = tmp_path / "engine"
    store(folder, "new", pair[0], IDS, "Euclid")
    store(folder, "old", pair[1], IDS, "Dot", vector="face")
    store(folder, "cosine", pair[1], np.array([str(uuid.UUID(int=int(key))) for key in IDS]), "Cosine")
    served = Server(folder)
    yield served
    served.kill()


def test_of_the_engine_the_report_is_that_of_the_file_to_the_last_digit(tmp_path: Path, pair, server) -> None:
    new = FeatureSet.load(f"qdrant://{server.address}/new")
    old = FeatureSet.load(f"qdrant://{server.address}/old?vector=face")
    np.testing.assert_array_equal(new.ids, IDS)
    assert audit(new, old).to_dict() == of_files(tmp_path)
    cosine = FeatureSet.load(f"qdrant://{server.address}/cosine")
    assert cosine.ids[0] == str(uuid.UUID(int=int(IDS[0])))
    # normalised in float32 by the engine
    np.testing.assert_allclose(cosine.features, pair[1].unit, rtol=0, atol=4 * np.finfo(np.float32).eps)


def test_the_engine_is_killed_and_started_again_in_mid_read(pair, server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "BATCH_BYTES", 16 * 4 * 25)  # 16 pages
    loaded = FeatureSet.load(f"qdrant://{server.address}/new")
    told, blocks = [], []
    with watching(lambda name, what, done, total: told.append((what, done))):
        for number, block in enumerate(loaded.blocks(40)):
            blocks.append(block)
            if number == 3:
                server.kill()
                again = threading.Timer(0.3, server.start)
                again.start()
    again.join()
    np.testing.assert_array_equal(np.concatenate(blocks), pair[0].features)
    assert [done for what, done in told if what == "vectors"] == list(range(25, 401, 25))
    assert any(what.startswith("connection lost") for what, _ in told)


@pytest.mark.skipif("QDRANT_URL" not in os.environ, reason="needs a Qdrant server that QDRANT_URL names")
def test_of_a_server_the_report_is_that_of_the_file_to_the_last_digit(tmp_path: Path, pair) -> None:
    url = os.environ["QDRANT_URL"]
    client = qdrant_client.QdrantClient(url, api_key=os.environ.get("QDRANT_API_KEY"))
    names = [f"stationary-test-{uuid.uuid4()}" for _ in range(2)]
    address, tls = url.split("://")[1].rstrip("/"), "yes" if url.startswith("https") else "no"
    try:
        for name, features in zip(names, pair, strict=True):
            fill(client, name, features, IDS, "Euclid")
        loaded = [FeatureSet.load(f"qdrant://{address}/{name}?tls={tls}") for name in names]
        np.testing.assert_array_equal(loaded[0].ids, IDS)
        assert audit(*loaded).to_dict() == of_files(tmp_path)
    finally:
        for name in names:
            client.delete_collection(name)
        client.close()


def test_a_damaged_folder_is_one_sentence(tmp_path: Path) -> None:
    """Bytes changed or cut off anywhere; a description of another kind; files that are missing, or are pipes."""
    client = qdrant_client.QdrantClient(path=str(tmp_path / "q"))
    fill(client, "g", single(upgrade(0.5, 0.9, num_samples=20)[0]), np.arange(20))
    client.close()
    url, rng, refusals = f"qdrant://{tmp_path / 'q'}?collection=g", np.random.default_rng(0), 0

    def read() -> int:
        try:
            assert len(list(FeatureSet.load(url).blocks()))
            return 0
        except (ValueError, FileNotFoundError) as error:
            said = str(error)
        assert said.startswith((f"{url}: ", f"{tmp_path}"))
        assert "\n" not in said
        return 1

    for path in (tmp_path / "q" / "meta.json", tmp_path / "q" / "collection" / "g" / "storage.sqlite"):
        whole = path.read_bytes()
        for _ in range(60):
            content = bytearray(whole)
            at = int(rng.integers(len(content)))
            content[at : at + 4] = rng.bytes(int(rng.integers(1, 5)))
            path.write_bytes(content[:at] if rng.random() < 0.2 else content)
            refusals += read()
        for vectors in (b"3", b"[]", b'{"size": "x"}', b'{"size": 1e99}', b"[" * 10**5):
            path.write_bytes(b'{"collections": {"g": {"vectors": ' + vectors + b"}}}")
            assert read()
        path.unlink()
        assert read()
        os.mkfifo(path)
        assert read()
        path.unlink()
        path.write_bytes(whole)
    assert not read()
    assert refusals > 60

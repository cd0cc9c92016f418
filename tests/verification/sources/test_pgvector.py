"""Tables of a real PostgreSQL server with pgvector, which is restarted while it is read."""

from __future__ import annotations

import os
import pickle
import re
import signal
import tempfile
import threading
import traceback
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.verification.samples import upgrade
from tests.verification.sources.helpers import refused, single, stored
from tests.verification.sources.postgres import Server
from verification.audit import audit
from verification.experiments.simulated.known_upgrades import CASES
from verification.features import FeatureSet
from verification.features.files import tables
from verification.features.sources import watching

pytestmark = pytest.mark.services
psycopg = pytest.importorskip("psycopg")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    # outside of pytest's folders, which only their owner may enter
    with tempfile.TemporaryDirectory() as folder:
        found = Server(Path(folder))
        try:
            yield found
        finally:
            found.stop()


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", Server.password)


def execute(server: Server, *statements: str) -> None:
    with psycopg.connect(host="127.0.0.1", port=server.port, user=server.role, dbname="postgres") as connection:
        for statement in statements:
            connection.execute(statement)


def fill(
    server: Server, table: str, features: FeatureSet, ids: np.ndarray, kind: str = "vector", gaps: bool = False
) -> None:
    """A table of the features, rows in an order of its own."""
    key = "uuid" if ids.dtype.kind == "U" else "bigint"
    label = "text" if features.labels.dtype.kind == "U" else "int"
    execute(
        server,
        "CREATE EXTENSION IF NOT EXISTS vector",
        f"DROP TABLE IF EXISTS {table}",
        f"CREATE TABLE {table} "
        f"(id {key} PRIMARY KEY, label {label}, embedding {kind}({features.dim}), split text, camera smallint)",
    )
    with psycopg.connect(host="127.0.0.1", port=server.port, user=server.role, dbname="postgres") as connection:
        copy = connection.cursor().copy(f"COPY {table} FROM STDIN")
        with copy as rows:
            content = stored(features, gaps)
            for row in np.random.default_rng(1).permutation(len(features)):
                vector, label, *others = content[row]
                # all the digits that float32 takes
                text = None if vector is None else "[" + ",".join(f"{x:.9g}" for x in vector) + "]"
                rows.write_row((ids[row].item(), label, text, *others))


def test_the_report_is_that_of_the_file_to_the_last_digit(server: Server, tmp_path: Path) -> None:
    new, old = (single(each) for each in upgrade(0.5, 0.9, num_samples=3000, dim=32))
    ids = np.cumsum(np.random.default_rng(2).integers(1, 5, 3000)) - 1000  # some below 0, with gaps
    for name, features in (("new", new), ("old", old)):
        features.save(tmp_path / f"{name}.npz")
        fill(server, name, features, ids)
    of_files = audit(*(FeatureSet.load(tmp_path / f"{name}.npz") for name in ("new", "old")))
    tables = [FeatureSet.load(server.url(name)) for name in ("new", "old")]
    np.testing.assert_array_equal(tables[0].ids, ids)
    np.testing.assert_array_equal(tables[0].features, new.features)
    assert audit(*tables).to_dict() == of_files.to_dict()
    # one of the two in a file: there are no ids to compare
    assert audit(FeatureSet.load(tmp_path / "new.npz"), tables[1]).to_dict() == of_files.to_dict()
    # a part of the rows, from the middle on
    pieces = tables[0].pieces(1234, 1300)
    with pieces[0].open() as read:
        rows = np.empty((66, new.dim), np.float32)
        read(rows)
    np.testing.assert_array_equal(rows, new.features[1234:1300])


def test_uuids_strings_schemas_and_half_precision(server: Server) -> None:
    rng = np.random.default_rng(3)
    ids = np.sort([str(uuid.UUID(bytes=rng.bytes(16))) for _ in range(500)])
    labels = np.array(["é", "a b", "%"])[np.arange(500) % 3]
    features = FeatureSet(rng.standard_normal((500, 5)).astype(np.float16), labels)
    execute(server, "CREATE SCHEMA IF NOT EXISTS apart")
    fill(server, "apart.half", features, ids, "halfvec")
    loaded = FeatureSet.load(server.url("apart.half"))
    assert loaded.dtype == np.float16
    np.testing.assert_array_equal(loaded.features, features.features)
    np.testing.assert_array_equal(loaded.labels, labels)
    np.testing.assert_array_equal(loaded.ids, ids)
    # as text, in the order of their bytes, whatever the language of the database
    execute(server, "ALTER TABLE apart.half ALTER id TYPE text, ALTER label TYPE varchar(9)")
    np.testing.assert_array_equal(FeatureSet.load(server.url("apart.half")).features, features.features)


def test_it_survives_a_restart_in_mid_read(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    features = FeatureSet(np.random.default_rng(4).standard_normal((6000, 16)).astype(np.float32), np.arange(6000) % 7)
    fill(server, "gallery", features, np.arange(6000) * 3)
    monkeypatch.setattr(tables, "BATCH_BYTES", 16 * 4 * 500)  # 12 pages
    loaded = FeatureSet.load(server.url())
    told: list[tuple[str, int]] = []
    blocks = []
    with watching(lambda name, what, done, total: told.append((what, done))):
        for number, block in enumerate(loaded.blocks(700)):
            blocks.append(block)
            if number == 2:
                server.restart()
            if number == 5:  # and away for a while, as for an upgrade
                server.stop()
                threading.Timer(2.0, server.start).start()
    np.testing.assert_array_equal(np.concatenate(blocks), features.features)
    assert sum(what.startswith("connection lost") for what, _ in told) >= 3
    assert [done for what, done in told if what == "vectors"] == list(range(500, 6001, 500))


def test_it_gives_up_with_one_sentence(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "DELAYS", (0.01, 0.02))
    monkeypatch.setattr(tables, "BATCH_BYTES", 400)
    features = FeatureSet(np.ones((2000, 4), np.float32), np.arange(2000) % 2)
    fill(server, "gone", features, np.arange(2000))
    blocks = FeatureSet.load(server.url("gone")).blocks(100)
    next(blocks)
    server.stop()
    try:
        with pytest.raises(ConnectionError, match=r"^pgvector://\S+: .*It was tried 2 times more, over 0 s\.$"):
            for _ in blocks:
                pass
    finally:
        server.start()


def test_a_server_that_stalls_ends_in_time(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its processes are stopped: the system still acknowledges what is sent, and nothing ever comes."""
    monkeypatch.setattr(tables, "BATCH_BYTES", 400)
    features = FeatureSet(np.ones((20_000, 4), np.float32), np.arange(20_000) % 2)
    fill(server, "stalling", features, np.arange(20_000))
    blocks = FeatureSet.load(server.url("stalling")).blocks(100)
    next(blocks)
    with psycopg.connect(host="127.0.0.1", port=server.port, user=server.role, dbname="postgres") as connection:
        asked = "SELECT pid FROM pg_stat_activity WHERE state IS NOT NULL AND pid <> pg_backend_pid()"
        stopped = [row[0] for row in connection.execute(asked)]
    assert stopped
    monkeypatch.setattr(tables, "PATIENCE", 1.0)
    for process in stopped:
        os.kill(process, signal.SIGSTOP)
    try:
        with pytest.raises(ConnectionError, match=r"^pgvector://\S+: nothing arrived for 1 s"):
            for _ in blocks:
                pass
    finally:
        for process in stopped:
            os.kill(process, signal.SIGCONT)


@pytest.mark.parametrize("change", ["DELETE FROM moving WHERE id = 700", "INSERT INTO moving VALUES (5, 0, '[1,2]')"])
def test_rows_that_change_meanwhile_are_found_out(server: Server, change: str) -> None:
    fill(server, "moving", FeatureSet(np.ones((1000, 2), np.float32), np.zeros(1000, int)), 10 * np.arange(1000))
    loaded = FeatureSet.load(server.url("moving"))
    execute(server, change)
    with pytest.raises(ValueError, match="have changed while they were read"):
        _ = loaded.features


STATEMENTS = [
    "CREATE EXTENSION IF NOT EXISTS vector",
    "DROP TABLE IF EXISTS bad",
    "CREATE TABLE bad (id int, label int, embedding vector, words text[], twice int, half halfvec(2), dates date)",
    "INSERT INTO bad SELECT i, i % 2, '[1,2]', '{a}', i / 2, '[1,2]', now() FROM generate_series(1, 40) i",
]


@pytest.mark.parametrize(
    ("spoil", "parameters", "said"),
    [
        ("", {"table": "nowhere"}, r"there is no table 'nowhere' in the database"),
        ("", {"label": "name"}, r"no column 'name' for label=; the table has 'id', 'label', 'embedding'"),
        ("", {"vector": "words"}, r"'words' must be of pgvector's type vector or halfvec, got text\[\]\.$"),
        ("", {"label": "dates"}, r"'dates' must be integers, text or an enumeration, got date"),
        ("", {"id": "dates"}, r"'dates' must be integers, uuid or text, got date"),
        ("", {"id": "twice"}, r"ids must be unique, but 1 is that of rows 1 and 2"),
        ("", {"colour": "red"}, r"parameters must be of table, id, label, vector, group, where, tls, got 'colour'"),
        ("UPDATE bad SET embedding = '[1,2,3]' WHERE id = 17", {}, r"one dimension, 2, but that of id 17 has 3"),
        (
            "UPDATE bad SET embedding = NULL WHERE id = 17",
            {},
            r"features must not be missing, but 1 of 40 rows have no vector, the first is row 16, with id 17",
        ),
        (
            "UPDATE bad SET label = NULL WHERE id > 30",
            {},
            r"must have equal labels row by row, but 10 rows differ",
        ),
        ("UPDATE bad SET id = NULL WHERE id = 17", {}, r"ids must not be missing, but column 'id' holds NULL"),
        ("UPDATE bad SET embedding = '[0,0]' WHERE id = 17", {}, r"1 of 40 rows are all zero, the first is row 16"),
        ("DELETE FROM bad", {}, r"must hold rows with vectors, got none"),
    ],
)
def test_bad_tables_are_one_sentence(
    server: Server, tmp_path: Path, call, spoil: str, parameters: dict[str, str], said: str
) -> None:
    execute(server, *STATEMENTS, *([spoil] if spoil else []))
    FeatureSet(np.ones((40, 2), np.float32), np.arange(1, 41) % 2).save(tmp_path / "new.npz")
    url = server.url(**{"table": "bad", **parameters})
    refused(call("audit", str(tmp_path / "new.npz"), url, "--json", str(tmp_path / "report.json")), said, tmp_path)


def test_nobody_listening_and_no_extension(server: Server, tmp_path: Path, call) -> None:
    FeatureSet(np.ones((40, 2), np.float32), np.arange(40) % 2).save(tmp_path / "new.npz")
    execute(server, "DROP EXTENSION IF EXISTS vector CASCADE", "DROP TABLE IF EXISTS plain")
    execute(server, "CREATE TABLE plain (id int, label int, embedding real[])")
    report = ("--json", str(tmp_path / "report.json"))
    status = call("audit", str(tmp_path / "new.npz"), server.url("plain"), *report)
    refused(status, r"got real\[\]; the database has no pgvector extension\.$", tmp_path)
    for url, said in (
        (server.url().replace(str(server.port), "1"), "refused"),
        (server.url().replace("/postgres", "/nowhere"), 'database "nowhere" does not exist'),
        (server.url().replace(":" + str(server.port), ":port"), "no readable host or port"),
    ):
        refused(call("audit", str(tmp_path / "new.npz"), url, *report), said, tmp_path)


def test_a_password_is_never_shown(server: Server, tmp_path: Path, call, monkeypatch) -> None:
    secret = "another-secret"
    url = server.url().replace("@", f":{secret}@")
    status, out, err = call("audit", url, url)
    assert status == 2
    assert "must not hold a password" in err
    assert "PGPASSWORD" in err
    assert secret not in out + err
    status, out, err = call("audit", server.url(password=secret), server.url())
    assert status == 2
    assert secret not in out + err
    monkeypatch.setenv("PGPASSWORD", secret)  # the wrong one
    with pytest.raises(ConnectionError, match="password authentication failed") as raised:
        FeatureSet.load(server.url())
    assert secret not in "".join(traceback.format_exception(raised.value))
    monkeypatch.setenv("PGPASSWORD", Server.password)
    fill(server, "gallery", single(upgrade(0.5, 0.9)[0]), np.arange(400))
    report, page = tmp_path / "report.json", tmp_path / "page.html"
    _, out, err = call("audit", *[server.url()] * 2, "--json", str(report), "--html", str(page))
    assert Server.password not in out + err + report.read_text() + page.read_text()
    # nor in what is sent to workers
    assert Server.password.encode() not in pickle.dumps(FeatureSet.load(server.url()).pieces())


def test_it_reads_only(server: Server) -> None:
    from verification.features.columns import Names
    from verification.features.sources import SOURCES

    fill(server, "gallery", single(upgrade(0.5, 0.9)[0]), np.arange(400))
    source = SOURCES["pgvector"]
    table = source.open(source.address(server.url(), Names()))
    with pytest.raises(ValueError, match="read-only transaction"), table._connected() as connection:
        connection.execute("DELETE FROM gallery")


def test_the_page_about_sources_does_what_it_says(server: Server, call) -> None:
    page = (Path(__file__).parents[3] / "docs" / "sources.md").read_text()
    execute(server, *re.search(r"```sql\n(.*?)```", page, re.DOTALL)[1].split(";\n")[:-1])
    new, old = CASES["tighter"].draw(200, np.random.default_rng(0))
    vectors = zip(new.features.tolist(), old.features.tolist(), strict=True)
    with psycopg.connect(host="127.0.0.1", port=server.port, user=server.role, dbname="postgres") as connection:
        rows = [(row, str(new.labels[row]), str(x), str(y)) for row, (x, y) in enumerate(vectors)]
        connection.cursor().executemany("INSERT INTO faces VALUES (%s, %s, %s, %s)", rows)
    command = next(line for line in page.splitlines() if line.startswith("$ stationary audit") and "pgvector" in line)
    urls = [url.replace("db.example", f"127.0.0.1:{server.port}") for url in re.findall(r'"(.*?)"', command)]
    status, out, err = call("audit", *urls)
    assert (status, err) == (0, "")
    assert out.startswith("COMPATIBLE")

"""URLs of stores: no spelling of a password is repeated, and connections off this machine are encrypted."""

from __future__ import annotations

import pytest

from verification.features import FeatureSet
from verification.features.columns import Names
from verification.features.sources import SOURCES

SECRET = "s3cret"
SPELLINGS = [
    "qdrant://user:s3cret@localhost/g",
    "qdrant://s3cret@localhost/g",
    "qdrant://localhost/g?api_key=s3cret",
    "chroma://s3cret@/folder?collection=g",
    "pgvector://u:s3cret@localhost/db?table=t",
    "pgvector://u:a/s3cret@localhost/db?table=t",
    "pgvector://u:a#s3cret@localhost/db?table=t",
    "pgvector://u:a?s3cret@localhost/db?table=t",
    "pgvector://u%3As3cret@localhost/db?table=t",
    "pgvector://localhost/db?table=t&password=s3cret",
    "pgvector://localhost/db;password=s3cret?table=t",
    "PGVECTOR://u:s3cret@localhost/db",
    "pgvector:/u:s3cret@localhost/db",
    "pgvector:u:s3cret@localhost",
    "pgvector//u:s3cret@localhost/db",
    "u:s3cret@localhost",
    "postgresql://u:s3cret@localhost/db",
    "http://u:s3cret@127.0.0.1:1/f.parquet",
    "http:/u:s3cret@127.0.0.1:1/f.parquet",
    "https://127.0.0.1:1/f.parquet?token=s3cret",
    "s3://key:s3cret@bucket/f.parquet",
]


@pytest.mark.parametrize("url", SPELLINGS)
def test_no_spelling_of_a_password_is_repeated(call, tmp_path, url):
    status, out, err = call("audit", url, tmp_path / "old.npz", "--json", tmp_path / "r.json")
    assert status == 2
    assert SECRET not in out + err
    assert "Traceback" not in err


def test_a_file_may_be_called_like_that(tmp_path):
    FeatureSet([[1.0, 2.0]]).save(tmp_path / "a:b@c.npz")
    assert len(FeatureSet.load(tmp_path / "a:b@c.npz")) == 1


@pytest.mark.parametrize(
    ("url", "environment", "mode"),
    [
        ("pgvector:///db?table=t", {}, None),
        ("pgvector://localhost/db?table=t", {}, None),
        ("pgvector://db.example/db?table=t", {}, "require"),
        ("pgvector://localhost,db.example/db?table=t", {}, "require"),
        ("pgvector:///db?table=t", {"PGHOST": "db.example"}, "require"),
        ("pgvector:///db?table=t", {"PGHOST": "/var/run/postgresql"}, None),
        ("pgvector:///db?table=t", {"PGHOSTADDR": "192.0.2.1"}, "require"),
        ("pgvector:///db?table=t", {"PGSERVICE": "somewhere"}, "require"),
        ("pgvector://db.example/db?table=t", {"PGSSLMODE": "verify-full"}, None),  # libpq takes it from there
        ("pgvector://db.example/db?table=t&tls=no", {}, "disable"),
    ],
)
def test_a_connection_off_this_machine_is_encrypted(monkeypatch, url, environment, mode):
    pytest.importorskip("psycopg")
    for name in ("PGHOST", "PGHOSTADDR", "PGSERVICE", "PGSSLMODE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    source = SOURCES["pgvector"]
    table = source.open(source.address(url, Names()))
    assert dict(table.connection).get("sslmode") == mode  # type: ignore[attr-defined]

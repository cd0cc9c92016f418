"""Bad input through the command line: one sentence that names the file, the row or the shard, status 2, no report."""

from __future__ import annotations

import io
import json
import os
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.command_line import run
from verification.features import FeatureSet

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

ARROW = int(pa.__version__.partition(".")[0])

X = np.random.default_rng(0).standard_normal((60, 3)).astype(np.float32)
Y = np.arange(60) % 4
Arrays = tuple[np.ndarray, np.ndarray]


def spoilt(value: float, row: int = 41, dtype: type = np.float32) -> np.ndarray:
    features = X.astype(dtype)
    features[row, :] = 0.0
    features[row, 1] = value
    return features


def npz(folder: Path, compress: bool = False, name: str = "bad.npz", **arrays: object) -> Path:
    (np.savez_compressed if compress else np.savez)(folder / name, **arrays)
    return folder / name


def npy(folder: Path, features: object = X, labels: object = Y) -> Path:
    np.save(folder / "bad.npy", features)
    np.save(folder / "bad.labels.npy", labels)
    return folder / "bad.npy"


def header(shape: str, dtype: str = "<f4", fortran: bool = False, version: int = 1) -> bytes:
    text = f"{{'descr': '{dtype}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H", len(text)) + text


def raw_npy(folder: Path, content: bytes) -> Path:
    path = npy(folder)
    path.write_bytes(content)
    return path


def raw_npz(folder: Path, features: bytes, labels: bytes | None = None, method: int = zipfile.ZIP_STORED) -> Path:
    stream = io.BytesIO()
    np.save(stream, Y)
    with zipfile.ZipFile(folder / "bad.npz", "w", method) as archive:
        archive.writestr("features.npy", features)
        archive.writestr("labels.npy", labels or stream.getvalue())
    return folder / "bad.npz"


def columns(folder: Path, name: str = "bad.parquet", **named: object) -> Path:
    parquet.write_table(pa.table(named), folder / name)
    return folder / name


def written(folder: Path, name: str, content: bytes) -> Path:
    (folder / name).write_bytes(content)
    return folder / name


def lists(rows: object = X, length: int = 3) -> object:
    return pa.array(list(rows), pa.list_(pa.float32(), length))


def safetensors(folder: Path, metadata: object, data: bytes = b"") -> Path:
    text = metadata if isinstance(metadata, bytes) else json.dumps(metadata).encode()
    (folder / "bad.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    return folder / "bad.safetensors"


def tensor(dtype: str, shape: list[int], start: int, end: int) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def cut(path: Path, keep: float) -> Path:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    return path


def flipped(path: Path, position: float, value: int = 0xFF) -> Path:
    content = bytearray(path.read_bytes())
    at = int(len(content) * position)
    content[at : at + 8] = bytes([value]) * 8
    path.write_bytes(content)
    return path


def saved(folder: Path, suffix: str) -> Path:
    FeatureSet(X, Y).save(folder / f"bad{suffix}")
    return folder / f"bad{suffix}"


def shards(folder: Path, *parts: Arrays, suffix: str = ".npz") -> Path:
    """A folder of shards s0, s1, …"""
    (folder / "bad").mkdir()
    for number, (features, labels) in enumerate(parts):
        FeatureSet(features, labels).save(folder / "bad" / f"s{number}{suffix}")
    return folder / "bad"


def halves(folder: Path, suffix: str = ".npz") -> Path:
    return shards(folder, (X[:30], Y[:30]), (X[30:], Y[30:]), suffix=suffix)


def with_file(folder: Path, name: str, content: bytes = b"?") -> Path:
    (folder / name).write_bytes(content)
    return folder


def replaced(folder: Path, name: str, **arrays: object) -> Path:
    npz(folder, name=name, **arrays)
    return folder


def without(folder: Path, name: str) -> Path:
    (folder / name).unlink()
    return folder


def emptied(folder: Path) -> Path:
    for path in folder.iterdir():
        path.unlink()
    return folder


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "bad.npz")
    return folder / "bad.npz"


def encrypted(folder: Path) -> Path:
    path = npz(folder, features=X, labels=Y)
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + offset] |= 1
    path.write_bytes(content)
    return path


def longer_by_one_row(path: Path) -> Path:
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\x01\x02") + 24  # the size of the first member in the directory
    content[at : at + 4] = struct.pack("<I", struct.unpack_from("<I", content, at)[0] + X[0].nbytes)
    path.write_bytes(content)
    return path


def members_without_suffix(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "bad.npz", "w") as archive:
        archive.writestr("features", header("(60, 3)") + X.tobytes())
        archive.writestr("labels", b"?")
    return folder / "bad.npz"


HOLDS = "must hold arrays named 'features', got"
BAD: dict[str, tuple[Callable[[Path], Path], str]] = {
    # ---- what is not there or is something else
    "missing file": (lambda f: f / "bad.npz", "bad.npz: no such file."),
    "dangling link": (lambda f: (f / "bad.npz").symlink_to(f / "gone") or f / "bad.npz", "bad.npz: no such file."),
    "other suffix": (
        lambda f: with_file(f, "bad.pkl") / "bad.pkl",
        "got suffix '.pkl'; np.savez('features.npz', features=…, labels=…) writes one.",
    ),
    "pipe": (pipe, "bad.npz: must be a file or a folder of shards."),
    "npy without labels": (lambda f: npy(f).parent / "other.npy", "other.npy: no such file."),
    # ---- empty, truncated, damaged
    **{
        f"empty {suffix}": (lambda f, s=suffix: cut(saved(f, s), 0.0), f"bad{suffix}: ")
        for suffix in (".npz", ".npy", ".safetensors", ".parquet")
    },
    **{
        f"{suffix} cut at {keep}": (lambda f, s=suffix, k=keep: cut(saved(f, s), k), f"bad{suffix}: ")
        for suffix in (".npz", ".npy", ".safetensors", ".parquet")
        for keep in (0.01, 0.3, 0.99)
    },
    **{
        f"text in {suffix}": (
            lambda f, s=suffix: with_file(saved(f, s).parent, f"bad{s}", b"not an array\nat all") / f"bad{s}",
            f"bad{suffix}: ",
        )
        for suffix in (".npz", ".npy", ".safetensors", ".parquet")
    },
    "npz damaged": (
        lambda f: flipped(npz(f, features=X, labels=Y), 0.4),
        "(BadZipFile: Bad CRC-32 for file 'features.npy')",
    ),
    "npz labels damaged": (
        lambda f: flipped(npz(f, features=X, labels=Y), 0.75, 1),
        "(BadZipFile: Bad CRC-32 for file 'labels.npy')",
    ),
    "compressed npz damaged": (
        lambda f: flipped(npz(f, True, features=X, labels=Y), 0.4),
        "bad.npz: cannot be read, it is damaged or of another kind (",
    ),
    "npz encrypted": (encrypted, "features.npy is encrypted"),
    "npz of another compression": (
        lambda f: raw_npz(f, header("(60, 3)") + X.tobytes(), method=zipfile.ZIP_LZMA),
        "features.npy is encrypted or compressed in a way that NumPy does not write",
    ),
    "npy with more than it says": (
        lambda f: raw_npy(f, header("(60, 3)") + X.tobytes() + b"more"),
        "takes 720 bytes, it holds 724",
    ),
    "npz says more than it holds": (
        lambda f: raw_npz(f, header("(10**9, 3)".replace("10**9", "1000000000")) + X.tobytes()),
        "takes 12000000000 bytes, it holds 720",
    ),
    "compressed npz says more than it holds": (
        lambda f: raw_npz(f, header("(1000000000, 3)"), method=zipfile.ZIP_DEFLATED),
        "takes 12000000000 bytes, it holds 0",
    ),
    "compressed npz whose directory says more than it holds": (
        lambda f: longer_by_one_row(raw_npz(f, header("(60, 3)") + X[1:].tobytes(), method=zipfile.ZIP_DEFLATED)),
        "bad.npz: cannot be read, it is damaged or of another kind (EOFError: it ends before its last row)",
    ),
    "labels say more than they hold": (
        lambda f: raw_npz(f, header("(60, 3)") + X.tobytes(), header("(60,)", "<U100000000")),
        "takes 24000000000 bytes, it holds 0",
    ),
    "overflowing shape": (
        lambda f: raw_npy(f, header("(9223372036854775807, 9223372036854775807)")),
        "is truncated or damaged",
    ),
    "negative shape": (lambda f: raw_npy(f, header("(-60, 3)") + X.tobytes()), "is truncated or damaged"),
    "npy of version 3": (lambda f: raw_npy(f, header("(60, 3)", version=3)), "bad.npy: is .npy of version (3, 0)"),
    "header that is no literal": (lambda f: raw_npy(f, header("print(1)")), "bad.npy: "),
    # ---- names
    "two arrays that could be features": (
        lambda f: npz(f, x=X, z=X, labels=Y),
        f"{HOLDS} 'x' (float32 of shape (60, 3)), 'z' (float32 of shape (60, 3)), 'labels' (int64 of shape (60,)); "
        "name another with --features.",
    ),
    "empty archive": (lambda f: npz(f), f"{HOLDS} none;"),
    "members without suffix": (members_without_suffix, f"{HOLDS} none;"),
    "wrong columns": (
        lambda f: columns(f, X=X[:, 0], y=Y),
        "must hold columns named 'features', got 'X' (float), 'y' (int64)",
    ),
    "wrong tensors": (lambda f: safetensors(f, {"x": tensor("F32", [1], 0, 4)}, bytes(4)), "must hold tensors named"),
    # ---- dtype and shape
    "integer features": (
        lambda f: npz(f, features=X.astype(int), labels=Y),
        "float16, float32, float64 or int8, got int64",
    ),
    "complex features": (lambda f: npy(f, X.astype(complex)), "float16, float32, float64 or int8, got complex128"),
    "long double features": (
        lambda f: npy(f, X.astype(np.longdouble)),
        "float16, float32, float64 or int8, got float128",
    ),
    "integer tensor": (
        lambda f: safetensors(
            f, {"features": tensor("I32", [60, 3], 0, 720), "labels": tensor("I64", [60], 720, 1200)}, bytes(1200)
        ),
        "features must be float16, float32, float64 or int8, got int32",
    ),
    "boolean labels of a tensor": (
        lambda f: safetensors(
            f, {"features": tensor("F32", [1, 3], 0, 12), "labels": tensor("BOOL", [1], 12, 13)}, bytes(13)
        ),
        "labels must be integers or strings, got bool",
    ),
    "object features": (lambda f: npz(f, features=X.astype(object), labels=Y), "float64 or int8, got object"),
    "object labels in npz": (
        lambda f: npz(f, features=X, labels=Y.astype(object)),
        "Nothing is unpickled; np.asarray(",
    ),
    "object labels": (lambda f: npy(f, X, Y.astype(object)), "bad.labels.npy: Object arrays cannot be loaded"),
    "structured features": (lambda f: npy(f, np.zeros(60, "f4,f4")), "float16, float32, float64 or int8, got"),
    "no dimension": (lambda f: npy(f, np.float32(1.0)), "shape (N, d) with N, d >= 1, got ()"),
    "one dimension": (lambda f: npz(f, features=X[:, 0], labels=Y), "shape (N, d) with N, d >= 1, got (60,)"),
    "three dimensions": (lambda f: npz(f, features=X[:, None], labels=Y), "got (60, 1, 3)"),
    "no rows": (lambda f: npz(f, features=X[:0], labels=Y[:0]), "got (0, 3)"),
    "no columns": (lambda f: npz(f, features=X[:, :0], labels=Y), "got (60, 0)"),
    "float labels": (
        lambda f: npz(f, features=X, labels=Y / 1.0),
        "labels must be integers or strings, got float64. np.asarray(labels, str) makes strings of them.",
    ),
    "boolean labels": (lambda f: npz(f, features=X, labels=Y > 1), "got bool. np.asarray(labels, str) makes strings"),
    "compressed file": (lambda f: written(f, "bad.jsonl.gz", b""), "bad.jsonl.gz: compressed files are not read;"),
    "names of columns alone": (lambda f: written(f, "bad.csv", b"label,f0,f1\n"), "got names of columns and no row."),
    "empty CSV": (lambda f: written(f, "bad.csv", b""), "bad.csv: CSV parse error: Empty CSV file or block"),
    "rows of other lengths": (
        lambda f: written(f, "bad.csv", b"label,f0,f1\n1,2.0,3.0\n1,2.0\n"),
        "bad.csv: CSV parse error: Row #3: Expected 3 columns, got 2",
    ),
    "Parquet in name": (lambda f: written(f, "bad.parquet", b"PAR1"), "bad.parquet: Parquet "),
    "labels in a column": (lambda f: npz(f, features=X, labels=Y[:, None]), "shape (N,), got (60, 1)"),
    "one label missing": (lambda f: npy(f, X, Y[1:]), "one length, got 60 rows and 59 labels"),
    "labels not in UTF-8": (lambda f: npy(f, X, np.full(60, b"\xff")), "labels must be strings in UTF-8, got b'\\xff'"),
    "labels that are no characters": (
        lambda f: npy(f, X, np.full(60, 2**31, np.uint32).view("<U1")),
        "labels must be strings of Unicode characters",
    ),
    # ---- rows
    "NaN in npz": (
        lambda f: npz(f, features=spoilt(np.nan), labels=Y),
        "bad.npz: features must be finite, but 1 of 60 rows are not, the first is row 41.",
    ),
    "NaN in compressed npz": (lambda f: npz(f, True, features=spoilt(np.nan), labels=Y), "the first is row 41."),
    "infinity in npy": (lambda f: npy(f, spoilt(-np.inf)), "bad.npy: features must be finite, but 1 of 60"),
    "infinity in float16": (lambda f: npy(f, spoilt(np.inf, dtype=np.float16)), "the first is row 41."),
    "zero row": (
        lambda f: npz(f, features=spoilt(0.0), labels=Y),
        "direction, but 1 of 60 rows are all zero, the first is row 41.",
    ),
    "NaN in Parquet": (
        lambda f: columns(f, features=lists(spoilt(np.nan)), labels=Y),
        "bad.parquet: features must be finite, but 1 of 60",
    ),
    "NaN in bfloat16": (
        lambda f: safetensors(
            f,
            {"features": tensor("BF16", [60, 3], 0, 360), "labels": tensor("U8", [60], 360, 420)},
            b"\x80\x3f" * 3 * 41 + b"\xc0\x7f" + b"\x80\x3f" * (3 * 19 - 1) + Y.astype(np.uint8).tobytes(),
        ),
        "the first is row 41.",
    ),
    # ---- Parquet
    "ragged lists": (
        lambda f: columns(f, features=pa.array([*X[:41].tolist(), [1.0], *X[42:].tolist()]), labels=Y),
        "bad.parquet: features must be lists of one length, 3, but row 41 has 1.",
    ),
    **{
        name: (
            lambda f, length=length: columns(f, features=lists([*X[:41], None, *X[42:]], length), labels=Y),
            "bad.parquet: features must not be missing, but 1 of 60 rows have no vector, the first is row 41; "
            "drop_incomplete=True (--drop-incomplete) leaves them out.",
        )
        # pyarrow before 26 cannot read a missing list of a fixed length from Parquet
        for name, length in (("missing list", -1), ("missing list of fixed length", 3))[: 1 if ARROW < 26 else 2]
    },
    "missing number": (
        lambda f: columns(f, features=lists([*X[:41], [1.0, None, 1.0], *X[42:]]), labels=Y),
        "bad.parquet: features must not be missing, but row 41 has a null.",
    ),
    "missing label": (
        lambda f: columns(f, features=lists(), labels=[*Y[:41].tolist(), None, *Y[42:].tolist()]),
        "must have equal labels row by row, but 1 rows differ, the first is row 41: None and 1.",
    ),
    "column of numbers": (
        lambda f: columns(f, features=X[:, 0], labels=Y),
        "must be a column of lists of one length, got float",
    ),
    "lists of integers": (lambda f: columns(f, features=list(X.astype(int)), labels=Y), "float64 or int8, got int64"),
    "float label column": (lambda f: columns(f, features=lists(), labels=Y / 1.0), "integers or strings, got float64"),
    "Parquet without rows": (
        lambda f: columns(f, features=lists([]), labels=pa.array([], pa.int64())),
        "N, d >= 1, got (0, 3)",
    ),
    "empty lists": (
        lambda f: columns(f, features=pa.array([[]] * 60, pa.list_(pa.float32())), labels=Y),
        "got (60, 0)",
    ),
    # ---- safetensors
    "header longer than the file": (lambda f: safetensors(f, b"{}").parent / "bad.safetensors", "got none;"),
    "header that is no JSON": (
        lambda f: safetensors(f, b"{features"),
        "cannot be read, it is damaged or of another kind (SafetensorError: ",
    ),
    "offsets beyond the file": (
        lambda f: safetensors(
            f, {"features": tensor("F32", [60, 3], 0, 720), "labels": tensor("I64", [60], 720, 1200)}, bytes(100)
        ),
        "cannot be read, it is damaged or of another kind (SafetensorError: ",
    ),
    "offsets that do not fit the shape": (
        lambda f: safetensors(
            f, {"features": tensor("F32", [60, 4], 0, 720), "labels": tensor("I64", [60], 720, 1200)}, bytes(1200)
        ),
        "cannot be read, it is damaged or of another kind (SafetensorError: ",
    ),
    # ---- folders of shards
    "empty folder": (lambda f: emptied(halves(f)), "bad: must hold shards, each one of .npz, .npy"),
    "foreign file": (
        lambda f: with_file(halves(f), "notes.txt"),
        "notes.txt: a folder of features must hold nothing but",
    ),
    "folder in a folder": (lambda f: (halves(f) / "s3.npz").mkdir() or f / "bad", "s3.npz: a folder of features must"),
    "mixed kinds": (
        lambda f: FeatureSet(X[:9], Y[:9]).save(halves(f) / "s2.parquet") or f / "bad",
        "s2.parquet: shards must be of one kind, but s0.npz stands beside",
    ),
    "shard without labels": (
        lambda f: without(halves(f, ".npy"), "s1.labels.npy"),
        "s1.npy: shards must have labels of one kind, got none, but signed integers in",
    ),
    "labels without a shard": (
        lambda f: without(halves(f, ".npy"), "s1.npy"),
        "s1.labels.npy: its features are missing.",
    ),
    "copied shard": (
        lambda f: with_file(halves(f), "s2.npz", (f / "bad" / "s0.npz").read_bytes()),
        "s2.npz: is a copy of s0.npz",
    ),
    "linked shard": (
        lambda f: (halves(f) / "s2.npz").symlink_to(f / "bad" / "s1.npz") or f / "bad",
        "s2.npz: is a copy of s1.npz",
    ),
    "shard of another dimension": (
        lambda f: replaced(halves(f), "s1.npz", features=X[30:, :2], labels=Y[30:]),
        "s1.npz: shards must have features of one dimension, got 2, but 3 in",
    ),
    "shard of another dtype": (
        lambda f: replaced(halves(f), "s1.npz", features=X[30:].astype(float), labels=Y[30:]),
        "s1.npz: shards must have features of one dtype, got float64, but float32 in",
    ),
    "shard with other labels": (
        lambda f: replaced(halves(f), "s1.npz", features=X[30:], labels=Y[30:].astype(str)),
        "s1.npz: shards must have labels of one kind, got strings, but signed integers in",
    ),
    "NaN in a row of a shard": (
        lambda f: replaced(halves(f), "s1.npz", features=spoilt(np.nan)[30:], labels=Y[30:]),
        "s1.npz: features must be finite, but 1 of 30 rows are not, the first is row 11.",
    ),
    "truncated shard": (
        lambda f: cut(halves(f) / "s1.npz", 0.5).parent,
        "s1.npz: cannot be read, it is damaged or of another kind (BadZipFile",
    ),
    "lost shard": (lambda f: without(halves(f), "s1.npz"), "must hold the same samples, got 30 and 60 rows"),
}


@pytest.mark.parametrize(("make", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_one_sentence_and_status_2(capsys, monkeypatch, tmp_path, make, message):
    FeatureSet(X + 1.0, Y).save(tmp_path / "good.npz")
    path = make(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    report = tmp_path / "report.json"
    status, out, err = run(capsys, monkeypatch, "audit", path, tmp_path / "good.npz", "--json", report)
    assert (status, out) == (2, ""), err
    assert message in err
    assert len(err.splitlines()) == 1
    assert not re.search(r"(\S+: )\1", err)  # the path once, not once for every function that it passed through
    assert sorted(tmp_path.rglob("*")) == before  # no report, no temporary file


@pytest.mark.parametrize(
    "make",
    [
        lambda f: npz(f, features=X),
        lambda f: npz(f, x=X, y=Y),
        lambda f: without(npy(f).parent, "bad.labels.npy") / "bad.npy",
    ],
    ids=["none", "of another name", "of a npy"],
)
def test_bad_labels_of_one_set_are_those_of_the_other_and_of_both_are_told(capsys, monkeypatch, tmp_path, make):
    path = make(tmp_path)
    FeatureSet(X + 1.0, Y).save(tmp_path / "good.npz")
    status, _, err = run(capsys, monkeypatch, "audit", path, path)
    assert status == 2
    assert "labels are needed to tell what is the same class, and the sets have none: name their column" in err
    assert len(err.splitlines()) == 1
    # the same samples: one column is enough, and as good as two
    FeatureSet(X, Y).save(tmp_path / "labelled.npz")
    answers = [
        run(capsys, monkeypatch, "audit", new, tmp_path / "good.npz", "--summary")[:2]
        for new in (path, tmp_path / "labelled.npz")
    ]
    assert answers[0] == answers[1]
    assert answers[0][0] in (0, 1, 3)


def test_bad_input_is_found_on_either_side(capsys, monkeypatch, tmp_path):
    FeatureSet(X, Y).save(tmp_path / "good.npz")
    path = npz(tmp_path, features=spoilt(np.nan), labels=Y)
    status, _, err = run(capsys, monkeypatch, "audit", tmp_path / "good.npz", path)
    assert status == 2
    assert "the first is row 41." in err


def test_bad_permissions_are_told(capsys, monkeypatch, tmp_path):
    FeatureSet(X, Y).save(tmp_path / "good.npz")
    path = npz(tmp_path, features=X, labels=Y)
    opened = zipfile.ZipFile

    def refuse(file, *rest):
        if Path(file) == path:
            raise PermissionError(13, "Permission denied", str(file))
        return opened(file, *rest)

    monkeypatch.setattr(zipfile, "ZipFile", refuse)  # root may read everything: the system would not refuse it
    status, _, err = run(capsys, monkeypatch, "audit", path, tmp_path / "good.npz")
    assert status == 2
    assert "bad.npz: " in err
    assert "Permission denied" in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("suffix", [".npz", ".compressed.npz", ".npy", ".safetensors", ".parquet"])
def test_bad_bytes_anywhere_are_a_sentence(tmp_path, suffix):
    """Random damage is read as other numbers or refused, never another exception."""
    rng = np.random.default_rng(0)
    path = tmp_path / f"f{suffix}"
    if suffix == ".compressed.npz":
        np.savez_compressed(path, features=X, labels=Y.astype(str))
    else:
        FeatureSet(X, Y).save(path)
    whole = path.read_bytes()
    refused = []
    for _ in range(300):
        content = bytearray(whole)
        # most of the damage to the beginning and the end, where headers and directories are
        at = int(rng.choice([rng.integers(200), len(whole) - 1 - rng.integers(200), rng.integers(len(whole))]))
        content[at : at + 4] = rng.bytes(int(rng.integers(1, 5)))
        path.write_bytes(content[: int(rng.integers(at, len(whole)))] if rng.random() < 0.2 else content)
        try:
            loaded = FeatureSet.load(path)
            assert sum(map(len, loaded.normalized_blocks(7))) == len(loaded.codes)
        except (ValueError, OSError) as error:
            refused.append(str(error))
    assert all(message.startswith(str(tmp_path)) for message in refused)
    assert len(refused) > 50  # the damage does reach the readers

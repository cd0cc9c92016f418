"""Every format gives the same rows, labels, ids and groups, to the last digit; what it cannot hold is refused."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import tracemalloc
import zipfile

import numpy as np
import pytest
import torch

from verification.audit import audit
from verification.features import FeatureSet
from verification.features.files import tables

pa = pytest.importorskip("pyarrow")
from pyarrow import csv, feather, ipc, parquet  # noqa: E402

N, DIM = 60, 4
RNG = np.random.default_rng(0)
X = RNG.standard_normal((N, DIM))
LABELS = np.arange(N) % 4
IDS = RNG.permutation(1000)[:N]
GROUPS = np.arange(N) // 3


def table(features=X, kind=None, **columns):
    lists = pa.array(features.tolist(), kind or pa.list_(pa.from_numpy_dtype(features.dtype)))
    return pa.table({"features": lists, **{name: pa.array(column) for name, column in columns.items()}})


def wide(features, columns):
    return pa.table({**{f"f{place}": column for place, column in enumerate(features.T)}, **columns})


def stream(path, content):
    with ipc.new_stream(path, content.schema) as writer:
        writer.write_table(content, max_chunksize=7)


def lines(path, content):
    path.write_text("".join(json.dumps(row) + "\n" for row in content.to_pylist()))


def comma(path, features, columns):
    csv.write_csv(pa.table({"features": [json.dumps(row) for row in features.tolist()], **columns}), path)


def hdf5(path, features, columns):
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        file["features"] = features
        for name, column in columns.items():
            file[name] = column.tolist()


FORMATS = {
    "parquet": lambda p, x, c: parquet.write_table(table(x, **c), p.with_suffix(".parquet"), row_group_size=13),
    "parquet, fixed": lambda p, x, c: parquet.write_table(
        table(x, pa.list_(pa.from_numpy_dtype(x.dtype), DIM), **c), p.with_suffix(".parquet")
    ),
    "parquet, large": lambda p, x, c: parquet.write_table(
        table(x, pa.large_list(pa.from_numpy_dtype(x.dtype)), **c), p.with_suffix(".parquet")
    ),
    "parquet, columns": lambda p, x, c: parquet.write_table(wide(x, c), p.with_suffix(".parquet")),
    "feather": lambda p, x, c: feather.write_feather(table(x, **c), p.with_suffix(".feather")),
    "arrow file": lambda p, x, c: feather.write_feather(table(x, **c), p.with_suffix(".arrow"), "uncompressed"),
    "arrow stream": lambda p, x, c: stream(p.with_suffix(".arrow"), table(x, **c)),
    "JSON lines": lambda p, x, c: lines(p.with_suffix(".jsonl"), table(x, **c)),
    "CSV of lists": lambda p, x, c: comma(p.with_suffix(".csv"), x, c),
    "CSV of columns": lambda p, x, c: csv.write_csv(wide(x.astype(float), c), p.with_suffix(".csv")),
    "npz": lambda p, x, c: np.savez(p.with_suffix(".npz"), features=x, **c),
    "compressed npz": lambda p, x, c: np.savez_compressed(p.with_suffix(".npz"), features=x, **c),
    "HDF5": lambda p, x, c: hdf5(p.with_suffix(".h5"), x, c),
    "torch": lambda p, x, c: torch.save(
        {"features": torch.tensor(x), **{name: column.tolist() for name, column in c.items()}}, p.with_suffix(".pt")
    ),
}
TEXTS = ("JSON lines", "CSV of lists", "CSV of columns")  # whose numbers are float64


def written(folder, name, how, features, **columns):
    FORMATS[how](folder / name, features, columns)
    return next(folder.glob(f"{name}.*"))


@pytest.mark.parametrize("how", FORMATS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("strings", [False, True])
def test_every_format_gives_the_same_set(tmp_path, how, dtype, strings):
    features = X.astype(dtype)
    labels, ids = (
        (np.char.add("c", LABELS.astype(str)), np.char.add("é", IDS.astype(str))) if strings else (LABELS, IDS)
    )
    path = written(tmp_path, "f", how, features, labels=labels, ids=ids, groups=GROUPS)
    read = FeatureSet.load(path)
    expected = FeatureSet(features, labels, ids, GROUPS)
    assert read.dtype == (np.float64 if how in TEXTS else dtype)
    np.testing.assert_array_equal(np.concatenate(list(read.blocks(7))), features)
    np.testing.assert_array_equal(read.unit, expected.unit)
    np.testing.assert_array_equal(read.rows([59, 0, 31]), expected.unit[[59, 0, 31]])
    np.testing.assert_array_equal(read.labels, labels)
    np.testing.assert_array_equal(read.ids, ids)
    np.testing.assert_array_equal(read.groups, GROUPS)
    named = () if "columns" not in how else (f"{path}: features are the column 'f', the only one that can be.",)
    assert read.remarks == named


@pytest.mark.parametrize("how", FORMATS)
def test_every_format_gives_the_same_report(tmp_path, how):
    new = X + 0.1 * RNG.standard_normal(X.shape)
    sets = [FeatureSet.load(written(tmp_path, n, how, x, labels=LABELS)) for n, x in (("new", new), ("old", X))]
    assert audit(*sets).to_dict() == audit(FeatureSet(new, LABELS), FeatureSet(X, LABELS)).to_dict()


@pytest.mark.parametrize("how", [how for how in FORMATS if "npz" not in how and how not in ("HDF5", "torch")])
def test_a_null_is_a_missing_label(tmp_path, how):
    # float64 would make one of these two
    labels = pa.array([2**53 + 1, None, 2**53 + 2] * (N // 3))
    read = FeatureSet.load(written(tmp_path, "f", how, X, labels=labels))
    assert read.classes.tolist() == [2**53 + 1, 2**53 + 2]
    assert read.codes[:4].tolist() == [0, -1, 1, 0]
    names = pa.array(["a", None, "b"] * (N // 3))
    read = FeatureSet.load(written(tmp_path, "g", how, X, labels=names))
    assert read.codes[:4].tolist() == [0, -1, 1, 0]


@pytest.mark.parametrize("how", FORMATS)
def test_every_format_filters(tmp_path, how, monkeypatch):
    """By a text, an integer, or a truth value; what is left has the numbers of the same rows in memory."""
    split = np.where(np.arange(N) % 3, "test", "train")
    columns = {"labels": LABELS, "camera": GROUPS % 4, "split": split, "sharp": np.arange(N) % 5 > 1}
    path = written(tmp_path, "f", how, X, **columns)
    whole = FeatureSet(X, LABELS)
    for where, kept in (
        ({"split": "test"}, np.arange(N) % 3 > 0),
        (["camera=1", "camera=3", "split=train"], (GROUPS % 2 == 1) & (np.arange(N) % 3 == 0)),
        ("sharp=true", np.arange(N) % 5 > 1),
    ):
        if how in ("HDF5", "torch") and where == "sharp=true":
            continue  # their lists of truth values are written as integers here
        read, expected = FeatureSet.load(path, where=where), whole.select(np.flatnonzero(kept))
        np.testing.assert_array_equal(np.concatenate(list(read.blocks(7))), expected.features)
        np.testing.assert_array_equal(read.labels, expected.labels)
        np.testing.assert_array_equal(read.rows([4, 0, 1]), expected.unit[[4, 0, 1]])
        np.testing.assert_array_equal(read.fetch([9, 2]).features, expected.features[[9, 2]])
        assert re.search(rf"^{path}: {kept.sum()} of 60 rows have .*; the others are not read\.$", read.remarks[-1])
    for where, said in (
        ({"split": "dev"}, "no row is left"),
        ({"colour": 1}, "there is no column 'colour' for where; it has "),
        ({"camera": "one"}, "column 'camera' holds integers, got where 'one'"),
    ):
        with pytest.raises(ValueError, match=rf"{path}: {said}"):
            FeatureSet.load(path, where=where)


@pytest.mark.parametrize(
    "how", ["parquet", "parquet, columns", "feather", "arrow stream", "JSON lines", "CSV of lists"]
)
def test_rows_without_a_vector_are_left_out_on_request(tmp_path, how):
    rows = np.arange(N)
    features, labels = X.astype(object), pa.array([None if row == 7 else row % 4 for row in rows])
    whole = table(labels=labels, ids=IDS)
    if "columns" in how:
        gone = {f"f{i}": pa.array([None if row in (0, 3) else x for row, x in enumerate(X[:, i])]) for i in range(DIM)}
        parquet.write_table(pa.table({**gone, "labels": labels, "ids": IDS}), path := tmp_path / "f.parquet")
    else:
        features = [None if row in (0, 3) else x for row, x in enumerate(X.tolist())]
        content = pa.table({**dict(zip(whole.column_names, whole.columns, strict=True)), "features": features})
        if how == "CSV of lists":
            texts = [x and json.dumps(x) for x in features]
            csv.write_csv(content.set_column(0, "features", [texts]), path := tmp_path / "f.csv")
        else:
            write = {
                "parquet": lambda c, p: parquet.write_table(c, p, row_group_size=13),
                "feather": feather.write_feather,
                "arrow stream": lambda c, p: stream(p, c),
                "JSON lines": lambda c, p: lines(p, c),
            }[how]
            ends = {"feather": "feather", "arrow stream": "arrow", "JSON lines": "jsonl"}
            write(content, path := tmp_path / f"f.{ends.get(how, 'parquet')}")
    with pytest.raises(ValueError, match=r"but 2 of 60 rows have no vector, the first is row 0; drop_incomplete=True"):
        list(FeatureSet.load(path).blocks())
    read, kept = FeatureSet.load(path, drop_incomplete=True), np.delete(rows, [0, 3, 7])
    np.testing.assert_array_equal(np.concatenate(list(read.blocks(7))), X[kept])
    np.testing.assert_array_equal(read.ids, IDS[kept])
    assert read.remarks[-1] == f"{path}: 3 of 60 rows were left out: 2 have no vector and 1 have no label."
    with pytest.raises(ValueError, match="name a column of ids with ids="):
        FeatureSet.load(path, ids="", drop_incomplete=True)


def test_a_folder_may_hold_shards_of_which_nothing_is_asked_for(tmp_path):
    for name, split in (("a", "train"), ("b", "test")):
        parquet.write_table(table(labels=LABELS, split=np.full(N, split)), tmp_path / f"{name}.parquet")
    np.testing.assert_array_equal(FeatureSet.load(tmp_path, where={"split": "test"}).features, X)
    with pytest.raises(ValueError, match="no row is left of what was asked for"):
        FeatureSet.load(tmp_path, where={"split": "dev"})


@pytest.mark.parametrize("step", ["ls", "open", "read"])
def test_a_url_that_stalls_ends_in_time(tmp_path, monkeypatch, step):
    fsspec = pytest.importorskip("fsspec")
    memory, never = fsspec.filesystem("memory"), threading.Event()
    lines(tmp_path / "a.jsonl", table(labels=LABELS))
    memory.pipe("/stalls/a.jsonl", (tmp_path / "a.jsonl").read_bytes())
    loaded = FeatureSet.load("memory://stalls/a.jsonl")
    kind = type(memory.open("/stalls/a.jsonl"))

    def stall(*_, **__):
        never.wait()
        raise OSError("gone")

    monkeypatch.setattr(tables, "PATIENCE", 0.2)
    monkeypatch.setattr(type(memory) if step in ("ls", "open") else kind, step, stall)
    try:
        with pytest.raises(
            ConnectionError, match=r"^memory://stalls(/a\.jsonl)?: nothing arrived for 0 s; the store stalls"
        ):
            list(loaded.blocks()) if step == "read" else FeatureSet.load("memory://stalls")
    finally:
        never.set()


def test_a_folder_of_hugging_face_and_other_shards(tmp_path):
    for how, beside in (
        ("arrow stream", ("dataset_info.json", "state.json")),
        ("JSON lines", ()),
        ("CSV of lists", ()),
    ):
        folder = tmp_path / how
        folder.mkdir()
        for name, rows in (("data-00000-of-00002", slice(0, 25)), ("data-00001-of-00002", slice(25, N))):
            FORMATS[how](folder / name, X[rows], {"labels": LABELS[rows], "ids": IDS[rows]})
        for name in beside:
            (folder / name).write_text("{}")
        read = FeatureSet.load(folder)
        np.testing.assert_array_equal(read.features, X)
        np.testing.assert_array_equal(read.ids, IDS)
        np.testing.assert_array_equal(read.select([58, 2, 30]).features, X[[58, 2, 30]])
        np.testing.assert_array_equal(np.concatenate(list(read.select(np.arange(1, N, 2)).blocks(4))), X[1::2])


def test_an_id_in_two_shards_is_told(tmp_path):
    for name, rows in (("a", slice(0, 30)), ("b", slice(29, N))):
        np.savez(tmp_path / f"{name}.npz", features=X[rows] + 1.0, labels=LABELS[rows], ids=IDS[rows])
    with pytest.raises(ValueError, match=rf"ids must be unique, but {IDS[29]} is that of rows 29 and 30\."):
        FeatureSet.load(tmp_path)


def test_int8_and_half_precision(tmp_path):
    small = RNG.integers(-127, 128, (N, DIM)).astype(np.int8)
    for how in ("parquet", "parquet, fixed", "feather", "arrow stream"):
        read = FeatureSet.load(written(tmp_path, how, how, small))
        np.testing.assert_array_equal(read.features, small.astype(np.float32))
        assert (read.dtype, read.labels) == (np.float32, None)
        half = X.astype(np.float16)
        path = (tmp_path / f"{how} half").with_suffix(".arrow")
        # by way of an array: a list of Python's numbers is no float16 to pyarrow before 21
        rows = pa.FixedSizeListArray.from_arrays(pa.array(half.ravel()), DIM)
        feather.write_feather(pa.table({"features": rows}), path)
        np.testing.assert_array_equal(FeatureSet.load(path).features, half)


@pytest.mark.parametrize("how", ["JSON lines", "CSV of lists", "CSV of columns"])
def test_whole_numbers_in_a_text(tmp_path, how):
    whole = X.copy()
    whole[:, 1] = 1.0
    whole[0] = [1, 2, 3, 4]
    path = written(tmp_path, "f", how, whole)
    path.write_text(re.sub(r"\b(\d)\.0\b", r"\1", path.read_text()))
    np.testing.assert_array_equal(FeatureSet.load(path).features, whole)


@pytest.mark.parametrize("how", ["JSON lines", "CSV of lists"])
def test_long_lines(tmp_path, how):
    features = np.random.default_rng(0).standard_normal((2, 100_000))
    np.testing.assert_array_equal(FeatureSet.load(written(tmp_path, "f", how, features)).features, features)


def test_a_url_of_a_file_system(tmp_path):
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    for name, rows in (("a", slice(0, 25)), ("b", slice(25, N))):
        parquet.write_table(table(X[rows], labels=LABELS[rows]), tmp_path / f"{name}.parquet")
        memory.pipe(f"/shards/{name}.parquet", (tmp_path / f"{name}.parquet").read_bytes())
    np.testing.assert_array_equal(FeatureSet.load("memory://shards/a.parquet").features, X[:25])
    read = FeatureSet.load("memory://shards")
    np.testing.assert_array_equal(np.concatenate(list(read.blocks(11))), X)
    np.testing.assert_array_equal(FeatureSet.load(f"file://{tmp_path}/b.parquet").labels, LABELS[25:])
    with pytest.raises(ValueError, match=r"memory://shards/a\.parquet: must hold columns named 'w' for labels="):
        FeatureSet.load("memory://shards/a.parquet", labels="w")
    with pytest.raises(FileNotFoundError):
        FeatureSet.load("memory://shards/c.parquet")
    parquet.write_table(table(X[:, :3], labels=LABELS), tmp_path / "c.parquet")
    memory.pipe("/shards/c.parquet", (tmp_path / "c.parquet").read_bytes())
    with pytest.raises(
        ValueError, match=r"memory://shards/c\.parquet: shards must have features of one dimension, got 3"
    ):
        FeatureSet.load("memory://shards")


def test_a_file_that_would_run_code_is_refused_with_the_way_out(tmp_path):
    class Trap:
        def __reduce__(self):
            return exec, (f"open({str(tmp_path / 'run')!r}, 'w')",)

    torch.save({"features": torch.tensor(X), "labels": Trap()}, tmp_path / "f.pt")
    with pytest.raises(ValueError, match=r"f\.pt: .* without running its code; .*np\.savez\('features\.npz'"):
        FeatureSet.load(tmp_path / "f.pt")
    assert not (tmp_path / "run").exists()
    torch.save(torch.tensor(X).to(torch.bfloat16), tmp_path / "g.pt")
    read = FeatureSet.load(tmp_path / "g.pt")
    assert (len(read), read.labels, read.dtype) == (N, None, np.float32)


@pytest.mark.parametrize(
    ("how", "spoil", "message"),
    [
        ("CSV of lists", lambda text: text.replace("[", "<", 5), r"features must be lists of numbers in JSON"),
        (
            "CSV of columns",
            lambda text: text.replace(text.split("\n")[3].split(",")[1], "", 1),
            r"1 of 60 rows have no vector, the first is row 2; ",
        ),
        ("JSON lines", lambda text: text.replace("[", "[1.0, ", 3)[:-3], r"f\.jsonl: .*"),
        ("JSON lines", lambda text: text.replace("]", ", 1.0]", 2), r"lists of one length, 5, but row 2 has 4"),
        ("CSV of columns", lambda text: "", r"f\.csv: .*"),
    ],
)
def test_a_text_that_cannot_be_used_is_one_sentence(tmp_path, how, spoil, message):
    path = written(tmp_path, "f", how, X, labels=LABELS)
    path.write_text(spoil(path.read_text()))
    with pytest.raises(ValueError, match=message) as raised:
        list(FeatureSet.load(path).blocks())
    assert str(raised.value).startswith(f"{path}: ")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("how", FORMATS)
def test_random_damage_is_a_sentence_or_other_numbers(tmp_path, how):
    path = written(tmp_path, "f", how, X, labels=LABELS.astype(str))
    whole = path.read_bytes()
    rng = np.random.default_rng(1)
    refused = []
    for _ in range(40):
        content = bytearray(whole)
        at = int(rng.choice([rng.integers(100), len(whole) - 1 - rng.integers(100), rng.integers(len(whole))]))
        content[at : at + 4] = rng.bytes(int(rng.integers(1, 5)))
        path.write_bytes(content[: int(rng.integers(at, len(whole)))] if rng.random() < 0.3 else content)
        try:
            loaded = FeatureSet.load(path)
            assert sum(map(len, loaded.normalized_blocks(7))) == len(loaded)
        except (ValueError, OSError) as error:
            refused.append(str(error))
    assert all(message.startswith(f"{path}: ") for message in refused)
    assert len(refused) > 3


# ---- what a file may cost


def test_shards_numbered_without_zeros_are_pointed_at(tmp_path):
    for number in range(11):
        np.savez(tmp_path / f"part{number}.npz", features=X + number, labels=LABELS)
    read = FeatureSet.load(tmp_path)
    np.testing.assert_array_equal(read.select(np.arange(2 * N, 3 * N)).features, X + 10)
    (remark,) = read.remarks
    assert "shards are read in the order of their names" in remark
    (tmp_path / "part10.npz").unlink()
    assert FeatureSet.load(tmp_path).remarks == ()


def test_unusable_rows_are_counted_and_not_listed(tmp_path):
    np.savez_compressed(tmp_path / "f.npz", features=np.full((2**18, 1), np.nan), labels=np.zeros(2**18, np.int8))
    read = FeatureSet.load(tmp_path / "f.npz")
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"but 262144 of 262144 rows are not, the first is row 0\."):
            next(read.blocks())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * 2**18 * 4  # a list of the rows takes 36 bytes for each, the blocks of a pass less than the file


@pytest.mark.parametrize("name", ["labels", "ids", "groups"])
def test_a_column_is_checked_before_memory_is_taken(tmp_path, name):
    """A few kilobytes that say they are gigabytes of labels."""
    wide = np.lib.stride_tricks.as_strided(np.zeros(1, "<U100000"), (N,), (0,))
    with zipfile.ZipFile(tmp_path / "f.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for member, array in (("features", X), (name, wide)):
            with archive.open(f"{member}.npy", "w", force_zip64=True) as stream:
                np.lib.format.write_array_header_1_0(stream, np.lib.format.header_data_from_array_1_0(array))
                for row in array:
                    stream.write(row.tobytes().ljust(array.itemsize, b"\0"))
    assert (tmp_path / "f.npz").stat().st_size < 2**20
    tracemalloc.start()
    try:
        with pytest.raises(
            ValueError, match=rf"f\.npz: {name} must be strings of at most 4096 characters, got <U100000"
        ):
            FeatureSet.load(tmp_path / "f.npz")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**22


def test_a_pipe_beside_a_file_is_refused(tmp_path):
    np.save(tmp_path / "f.npy", X)
    os.mkfifo(tmp_path / "f.labels.npy")
    with pytest.raises(ValueError, match=r"f\.labels\.npy: must be a file"):
        FeatureSet.load(tmp_path / "f.npy")
    (tmp_path / "shards").mkdir()
    os.mkfifo(tmp_path / "shards" / "a.npz")
    with pytest.raises(ValueError, match=r"a\.npz: must be a file or a folder of shards"):
        FeatureSet.load(tmp_path / "shards")


_GROWTH = """
import resource, sys
import pyarrow.dataset
from verification.features import FeatureSet
read = FeatureSet.load(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rows = sum(map(len, read.blocks(512)))
print(rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize("how", ["parquet", "feather", "arrow stream"])
def test_a_table_is_read_batch_by_batch(tmp_path, how):
    features = np.random.default_rng(0).standard_normal((2**18, 64), dtype=np.float32)  # 64 MiB
    path = tmp_path / f"f{'.parquet' if how == 'parquet' else '.arrow'}"
    lists = pa.FixedSizeListArray.from_arrays(pa.array(features.reshape(-1)), 64)
    content = pa.table({"features": lists})
    if how == "parquet":
        parquet.write_table(content, path, row_group_size=2**15)
    elif how == "feather":
        feather.write_feather(content, path, chunksize=2**13)
    else:
        with ipc.new_stream(path, content.schema) as writer:
            writer.write_table(content, max_chunksize=2**13)
    done = subprocess.run([sys.executable, "-c", _GROWTH, str(path)], capture_output=True, text=True, check=True)
    rows, grown = map(int, done.stdout.split())
    assert rows == len(features)
    assert grown < 40_000  # KiB: some batches of 2 MiB, and a column chunk of 8 MiB with what decodes it


@pytest.mark.parametrize("labels", [None, np.arange(5) % 2, np.arange(5, dtype=np.uint8)])
def test_the_numbers_of_a_safetensors_begin_at_a_multiple_of_eight(tmp_path, labels):
    """Where readers map them, and where the format wants them."""
    FeatureSet(np.ones((5, 3)), labels).save(tmp_path / "f.safetensors")
    size = int.from_bytes((tmp_path / "f.safetensors").read_bytes()[:8], "little")
    assert (8 + size) % 8 == 0

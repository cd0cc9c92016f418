"""Feature files: what is read back is what was written, and what cannot be used is named."""

from __future__ import annotations

import pickle
import re
import tracemalloc
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as hypothesis

from theory.files import write_atomically
from verification.features import FeatureSet, common_codes

FORMATS = [".npz", ".npy", ".safetensors", ".parquet"]


def arrays(dtype=np.float32):
    return np.random.default_rng(0).standard_normal((5, 3)).astype(dtype), np.array([0, 1, 2, 1, 0])


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_round_trip(tmp_path, suffix, dtype):
    original = FeatureSet(*arrays(dtype))
    original.save(tmp_path / f"f{suffix}")
    read = FeatureSet.load(tmp_path / f"f{suffix}")
    np.testing.assert_array_equal(read.features, original.features)
    np.testing.assert_array_equal(read.labels, original.labels)
    assert read.features.dtype == dtype


@pytest.mark.parametrize("suffix", [".npz", ".npy", ".parquet"])
def test_labels_may_be_strings(tmp_path, suffix):
    original = FeatureSet(arrays()[0], ["cat", "dog", "cat", "eel", "dog"])
    original.save(tmp_path / f"f{suffix}")
    assert list(FeatureSet.load(str(tmp_path / f"f{suffix}")).labels) == ["cat", "dog", "cat", "eel", "dog"]
    assert list(original.classes) == ["cat", "dog", "eel"]
    np.testing.assert_array_equal(original.codes, [0, 1, 0, 2, 1])


@pytest.mark.parametrize("labels", [[3, -1, 3], np.array([2**64 - 1, 0, 1], np.uint64), ["b", "a", "longer"]])
def test_classes_are_sorted_and_codes_their_positions(labels):
    read = FeatureSet(np.ones((3, 2)), labels)
    classes, codes = np.unique(labels, return_inverse=True)
    np.testing.assert_array_equal(read.classes, classes)
    np.testing.assert_array_equal(read.codes, codes)
    assert read.classes.dtype == np.asarray(labels).dtype


def test_torch_tensors_are_taken():
    features = torch.randn(4, 3, requires_grad=True)
    taken = FeatureSet(features, torch.tensor([0, 1, 0, 1]))
    np.testing.assert_array_equal(taken.features, features.detach().numpy())


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_unit_rows_at_any_scale(scale):
    unit = FeatureSet(scale * arrays(np.float64)[0], arrays()[1]).unit
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1.0, rtol=4e-16)  # one rounding of a square root
    np.testing.assert_allclose(unit, FeatureSet(*arrays(np.float64)).unit, rtol=4e-15)


X, Y = arrays()
NAN, ZERO = X.copy(), X.copy()
NAN[3, 1] = np.nan
ZERO[2] = 0.0


@pytest.mark.parametrize(
    ("features", "labels", "message"),
    [
        (NAN, Y, "finite, but 1 of 5 rows are not, the first is row 3"),
        (np.where(X > 1e9, X, np.inf), Y, "finite, but 5 of 5 rows"),
        (ZERO, Y, "direction, but 1 of 5 rows are all zero, the first is row 2"),
        (X, Y[:4], "one length, got 5 rows and 4 labels"),
        (X[0], Y, r"shape \(N, d\) with N, d >= 1, got \(3,\)"),
        (X[:0], Y[:0], r"got \(0, 3\)"),
        (X.astype(int), Y, "float16, float32, float64 or int8, got int64"),
        (X.astype(complex), Y, "got complex128"),
        (X.astype(object), Y, "got object"),
        (X, Y.astype(float), "integers or strings, got float64"),
        (X, Y.astype(bool), "integers or strings, got bool"),
        (X, np.array([1, 2, "a", 1, 2], object), "all integers or all strings, got int, str"),
        (X, [1, "a", 2, 1, 2], "all integers or all strings, got int, str"),
        (X, np.array([1, 2.5, 3, 1, 2], object), "all integers or all strings, got float, int"),
        (X, np.array([0.5, np.nan, 1, 1, 2]), "integers or strings, got float64 with fractions"),
        (X, np.array([2.0**53, np.nan, 1, 1, 2]), r"or beyond 2\^53"),
        (X, [2**64, None, 1, 1, 2], "integers of 64 bits, got a larger one"),
        (X, Y[:, None], r"shape \(N,\), got \(5, 1\)"),
    ],
)
def test_unusable_arrays_are_refused(features, labels, message):
    with pytest.raises(ValueError, match=message):
        FeatureSet(features, labels)


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_truncated_file_is_refused(tmp_path, suffix):
    path = tmp_path / f"f{suffix}"
    FeatureSet(*arrays()).save(path)
    truncate(path)
    with pytest.raises(ValueError, match=f"f{suffix}: "):
        FeatureSet.load(path)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("content", [b"", b"not an array at all"])
def test_a_file_of_something_else_is_refused(tmp_path, suffix, content):
    path = tmp_path / f"f{suffix}"
    path.write_bytes(content)
    (tmp_path / "f.labels.npy").write_bytes(content)
    with pytest.raises(ValueError, match=f"f{suffix}: "):
        FeatureSet.load(path)


def test_nothing_is_unpickled(tmp_path):
    np.savez(tmp_path / "f.npz", features=X.astype(object), labels=Y)
    with pytest.raises(ValueError, match=r"f.npz: "):
        FeatureSet.load(tmp_path / "f.npz")
    np.save(tmp_path / "g.npz.npy", X)
    (tmp_path / "g.npz.npy").rename(tmp_path / "g.npz")
    with pytest.raises(ValueError, match=r"g.npz: "):
        FeatureSet.load(tmp_path / "g.npz")


def tables(folder, suffix, **columns):
    """A file that another program wrote."""
    path = folder / f"f{suffix}"
    if suffix == ".npz":
        np.savez(path, **columns)
    elif suffix == ".safetensors":
        from safetensors.numpy import save_file

        save_file(columns, path)
    else:
        pa = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        lists = {name: list(column) if column.ndim == 2 else column for name, column in columns.items()}
        parquet.write_table(pa.table(lists), path)
    return path


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".parquet"])
def test_columns_are_found_by_name(tmp_path, suffix):
    keys, groups = np.array([9, 7, 5, 3, 1]), np.array([1, 1, 2, 2, 3])
    path = tables(tmp_path, suffix, vectors=X, person=Y, key=keys, group=groups, extra=Y)
    read = FeatureSet.load(path, labels="person", ids="key")
    for found, expected in ((read.features, X), (read.labels, Y), (read.ids, keys), (read.groups, groups)):
        np.testing.assert_array_equal(found, expected)
    first, second = read.remarks
    assert re.search(rf"f{suffix}: features are the \w+ 'vectors', the only one that can be\.$", first)
    assert second.endswith("'extra' is not used.")
    bare = FeatureSet.load(path, features="vectors", groups="")
    assert (bare.labels, bare.ids, bare.groups) == (None, None, None)
    assert re.search(r"'extra', 'group', 'key', 'person' are not used|are not used", bare.remarks[0])


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".parquet"])
def test_a_wrong_name_is_told_with_what_is_there(tmp_path, suffix):
    path = tables(tmp_path, suffix, x=X, y=Y, z=X)
    with pytest.raises(ValueError, match=r"named 'features', got 'x' \(.+\), 'y' \(.+\), 'z' \(.+\); .* features="):
        FeatureSet.load(path)
    with pytest.raises(ValueError, match=r"named 'w' for labels=, got 'x' \(.+; name another with labels=\."):
        FeatureSet.load(path, features="x", labels="w")


def test_what_is_not_there_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none.npz: no such file"):
        FeatureSet.load(tmp_path / "none.npz")
    np.save(tmp_path / "f.npy", X)
    assert FeatureSet.load(tmp_path / "f.npy").labels is None
    with pytest.raises(
        ValueError, match=r"f\.npy: must hold arrays named 'labels' for labels=, got 'features' \(float32 of shape"
    ):
        FeatureSet.load(tmp_path / "f.npy", labels="labels")
    with pytest.raises(ValueError, match=r"in one of .npz, .npy, .safetensors, .*, .faiss, .index, got suffix '.pkl'"):
        FeatureSet.load(tmp_path / "f.pkl")
    (tmp_path / "d.npz").mkdir()
    with pytest.raises(ValueError, match=r"d\.npz: must hold shards"):
        FeatureSet.load(tmp_path / "d.npz")


def test_what_cannot_be_written_is_told(tmp_path):
    with pytest.raises(ValueError, match=r"got suffix '.csv'"):
        FeatureSet(X, Y).save(tmp_path / "f.csv")
    with pytest.raises(ValueError, match=r"labels must be integers in .safetensors"):
        FeatureSet(X, list("abcab")).save(tmp_path / "f.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "f"
    path.write_text("before")

    def fail(file):
        file.write(b"half")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_atomically(path, fail)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


# ---- blocks

N, DIM = 103, 5
LONG = np.random.default_rng(1).standard_normal((N, DIM))
LONG_LABELS = np.arange(N) % 4


def stored(folder, kind, features=LONG, labels=LONG_LABELS):
    """The same rows in every way in which they can come."""
    if kind == "memory":
        return FeatureSet(features, labels)
    if kind == "compressed":
        np.savez_compressed(folder / "c.npz", features=features, labels=labels)
        return FeatureSet.load(folder / "c.npz")
    if kind == "shards":
        (folder / "shards").mkdir()
        # cut anywhere: blocks must not show where
        for name, rows in (("a", slice(0, 1)), ("b", slice(1, 60)), ("c", slice(60, None))):
            FeatureSet(features[rows], labels[rows]).save(folder / "shards" / f"{name}.npz")
        (folder / "shards" / ".hidden").write_text("left out")
        return FeatureSet.load(folder / "shards")
    FeatureSet(features, labels).save(folder / f"f{kind}")
    return FeatureSet.load(folder / f"f{kind}")


KINDS = ["memory", "compressed", "shards", *FORMATS]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_blocks_are_the_rows_in_order(tmp_path, kind, dtype):
    features = LONG.astype(dtype)
    read = stored(tmp_path, kind, features)
    for rows in (1, 10, N, 1000):
        blocks = list(read.blocks(rows))
        assert [len(block) for block in blocks[:-1]] == [rows] * (len(blocks) - 1)
        assert all(block.flags.c_contiguous and block.flags.aligned and block.dtype == dtype for block in blocks)
        np.testing.assert_array_equal(np.concatenate(blocks), features)
    np.testing.assert_array_equal(read.features, features)
    np.testing.assert_array_equal(read.labels, LONG_LABELS)
    assert (len(read), read.dim, read.dtype) == (N, DIM, dtype)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_normalized_blocks(tmp_path, kind, dtype):
    read = stored(tmp_path, kind, LONG.astype(dtype))
    unit = np.concatenate(list(read.normalized_blocks(10)))
    assert unit.dtype == (np.float64 if dtype == np.float64 else np.float32)
    exact = LONG.astype(dtype) / np.linalg.norm(LONG.astype(dtype).astype(np.float64), axis=1, keepdims=True)
    # a sum of DIM squares, a root and a division: at most DIM/2 + 2 roundings, and those of `exact`
    np.testing.assert_allclose(unit, exact, rtol=(DIM / 2 + 3) * np.finfo(unit.dtype).eps)
    np.testing.assert_allclose(read.unit, exact, rtol=(DIM / 2 + 5) * np.finfo(np.float64).eps)


@pytest.mark.parametrize(
    ("dtype", "scale"),
    [
        (np.float16, 6e-8),  # the smallest that float16 can hold
        (np.float16, 1e4),
        (np.float32, 1e-44),
        (np.float32, 1e-30),
        (np.float32, 1e-18),
        (np.float32, 1e19),
        (np.float32, 3e37),
        (np.float64, 1e-320),
        (np.float64, 1e-160),
        (np.float64, 1e160),
        (np.float64, 1e307),
    ],
)
def test_no_square_over_or_underflows(dtype, scale):
    features = (scale * LONG).astype(dtype)
    features[::2] = LONG[::2].astype(dtype)  # beside rows of ordinary length
    features = features[np.any(features, axis=1)]
    wide = features.astype(np.longdouble)
    exact = wide / np.sqrt(np.sum(wide**2, axis=1, keepdims=True))
    unit = np.concatenate(list(FeatureSet(features, np.zeros(len(features), int)).normalized_blocks()))
    np.testing.assert_allclose(unit, exact.astype(float), rtol=(DIM / 2 + 5) * np.finfo(unit.dtype).eps)


@pytest.mark.parametrize(
    "labels",
    [
        np.array([-128, 127, 5, 127], np.int8),
        np.array([0, 255, 0, 3], np.uint8),
        np.array([2**64 - 1, 2**64 - 3, 2**64 - 1], np.uint64),
        np.array([-(2**63), -(2**63) + 7, -(2**63)], np.int64),
        np.array([-(2**63), 2**63 - 1, 0]),  # too far apart for a table
        np.array([0, 2**64 - 1], np.uint64),
        np.array(["b", "a", "b"]),
    ],
)
def test_labels_are_encoded_in_their_order(labels):
    features = FeatureSet(np.ones((len(labels), 2)), labels)
    names, codes = np.unique(labels, return_inverse=True)
    np.testing.assert_array_equal(features.classes, names)
    np.testing.assert_array_equal(features.codes, codes)
    assert features.classes.dtype == labels.dtype


def test_blocks_refuse_no_rows():
    with pytest.raises(ValueError, match="rows must be an integer >= 1, got 0"):
        next(FeatureSet(X, Y).blocks(0))


@pytest.mark.parametrize("suffix", [".npz", ".npy", ".safetensors"])
def test_features_are_not_held_in_memory(tmp_path, suffix):
    features = np.random.default_rng(0).standard_normal((2**15, 64), dtype=np.float32)  # 8 MiB
    path = tmp_path / f"f{suffix}"
    FeatureSet(features, np.arange(len(features)) % 4).save(path)
    tracemalloc.start()
    try:
        total = sum(block.sum(axis=0, dtype=float) for block in FeatureSet.load(path).normalized_blocks(512))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    exact = np.sum(features / np.linalg.norm(features.astype(float), axis=1, keepdims=True), axis=0)
    # float32 roundings of 2^15 entries of about 1/8, a random walk: 2^7.5 · 6e-8 / 8, ten times that
    np.testing.assert_allclose(total, exact, atol=1.4e-5)
    assert peak < features.nbytes / 4


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("suffix", [".npz", ".npy"])
def test_fortran_order_works(tmp_path, suffix, compress):
    features = np.asfortranarray(LONG)
    if suffix == ".npz":
        (np.savez_compressed if compress else np.savez)(tmp_path / "f.npz", features=features, labels=LONG_LABELS)
    else:
        np.save(tmp_path / "f.npy", features)
        np.save(tmp_path / "f.labels.npy", LONG_LABELS)
    read = FeatureSet.load(tmp_path / f"f{suffix}")
    blocks = list(read.blocks(10))
    assert all(block.flags.c_contiguous for block in blocks)
    np.testing.assert_array_equal(np.concatenate(blocks), LONG)
    np.testing.assert_array_equal(read.features, LONG)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("order", ["C", "F"])
def test_another_byte_order_works(tmp_path, save, order):
    features, labels = LONG.astype(">f4", order=order), LONG_LABELS.astype(">i8")
    save(tmp_path / "f.npz", features=features, labels=labels)
    for read in (FeatureSet.load(tmp_path / "f.npz"), FeatureSet(features, labels)):
        assert all(array.dtype.isnative for array in (read.features, read.labels, *read.blocks()))
        np.testing.assert_array_equal(np.concatenate(list(read.blocks(10))), features)
        np.testing.assert_array_equal(read.features, features)
        np.testing.assert_array_equal(read.labels, labels)


def test_bfloat16_is_read_as_float32(tmp_path):
    from safetensors.torch import save_file

    features = torch.as_tensor(LONG).to(torch.bfloat16)
    save_file({"features": features, "labels": torch.as_tensor(LONG_LABELS)}, tmp_path / "f.safetensors")
    read = FeatureSet.load(tmp_path / "f.safetensors")
    np.testing.assert_array_equal(read.features, features.float().numpy())
    assert read.dtype == np.float32


def test_parquet_lists_of_any_length_and_categories(tmp_path):
    """What pandas, Spark and Hugging Face's datasets write: plain lists, and labels in a dictionary."""
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    names = LONG_LABELS.astype(str)
    table = pa.table({"id": range(N), "features": LONG.tolist(), "labels": pa.array(names).dictionary_encode()})
    parquet.write_table(table, tmp_path / "f.parquet", row_group_size=40)
    read = FeatureSet.load(tmp_path / "f.parquet")
    np.testing.assert_array_equal(np.concatenate(list(read.blocks(7))), LONG)
    np.testing.assert_array_equal(read.labels, names)


def test_labels_of_bytes_are_utf8(tmp_path):
    names = np.array(["ä", "b"] * 51 + ["c"])
    np.savez(tmp_path / "f.npz", features=LONG, labels=np.char.encode(names, "utf-8"))
    np.testing.assert_array_equal(FeatureSet.load(tmp_path / "f.npz").labels, names)


def test_shards_with_strings_of_other_lengths(tmp_path):
    FeatureSet(X, list("abcab")).save(tmp_path / "0.npz")
    FeatureSet(X + 1, ["longer", *"abca"]).save(tmp_path / "1.npz")
    assert list(FeatureSet.load(tmp_path).labels) == [*"abcab", "longer", *"abca"]


def test_shards_alike_at_the_beginning_are_no_copies(tmp_path):
    features = np.ones((3000, 4))
    for number in range(3):
        features[-1] = number + 1
        FeatureSet(features, np.zeros(3000, int)).save(tmp_path / f"{number}.npy")
    assert len(FeatureSet.load(tmp_path)) == 9000


@pytest.mark.parametrize("suffix", [".npz", ".npy", ".safetensors"])
def test_a_file_cut_after_it_was_opened_is_told(tmp_path, suffix):
    path = tmp_path / f"f{suffix}"
    FeatureSet(LONG, LONG_LABELS).save(path)
    read = FeatureSet.load(path)
    truncate(path)
    with pytest.raises(ValueError, match=rf"f{suffix}: (ends before its last row|cannot be read)"):
        list(read.blocks())


def test_an_unusable_row_of_a_damaged_archive_is_told_as_damage(tmp_path):
    """Bytes that became no number: the damage is told, not the row."""
    path = tmp_path / "f.npz"
    rows = 5000  # more than zipfile reads to see the header
    FeatureSet(np.ones((rows, 2)), np.zeros(rows, int)).save(path)
    content = bytearray(path.read_bytes())
    content[60_000:60_016] = b"\xff" * 16
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"f\.npz: is damaged: its checksum is not that of its rows"):
        list(FeatureSet.load(path).blocks())


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("what", ["features", "labels"])
def test_a_number_that_became_another_is_noticed(tmp_path, compressed, what):
    """One bit of a number that stays finite: only the sums that the archive holds know of it."""
    path = tmp_path / "f.npz"
    rng = np.random.default_rng(0)
    arrays = {"features": rng.standard_normal((5000, 2)), "labels": rng.integers(0, 100, 5000)}
    (np.savez_compressed if compressed else np.savez)(path, **arrays)
    content = bytearray(path.read_bytes())
    if compressed:
        with zipfile.ZipFile(path) as archive:
            member = archive.getinfo(f"{what}.npy")
        place = member.header_offset + member.compress_size // 2
    else:
        place = content.find(arrays[what].tobytes()[:64]) + 8 * 1000
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"f\.npz: .*is damaged"):
        list(FeatureSet.load(path).blocks(777))


def test_rows_are_validated_when_read(tmp_path):
    np.savez(tmp_path / "f.npz", features=ZERO, labels=Y)
    read = FeatureSet.load(tmp_path / "f.npz")
    blocks = read.blocks(2)
    next(blocks)
    for unusable in (blocks, read.blocks(), read.normalized_blocks()):
        with pytest.raises(ValueError, match=r"f.npz: features must have a direction, but 1 of 5 .* is row 2\."):
            next(unusable)
    with pytest.raises(ValueError, match="direction"):
        _ = read.unit


@pytest.mark.filterwarnings("error")
def test_signalling_nan_is_refused_without_a_warning():
    bits = X.view(np.uint32).copy()
    bits[3, 0] = 0x7F800001
    with pytest.raises(ValueError, match="the first is row 3"):
        FeatureSet(bits.view(np.float32), Y)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("strings", [False, True])
def test_columns_come_back_and_where_they_are_missing(tmp_path, suffix, strings):
    path = tmp_path / f"f{suffix}"
    labels, keys, groups = [3, None, 1, None, 3], np.array([7, 3, 9, 1, 2]), np.array([0, 0, 1, 1, 1])
    if strings:
        labels, keys, groups = ["é", None, "a", None, "é"], np.array(["é", "b", "c", "d", "long"]), groups.astype(str)
    written = FeatureSet(X, labels, keys, groups)
    if strings and suffix == ".safetensors":
        with pytest.raises(ValueError, match=r"labels must be integers in \.safetensors"):
            written.save(path)
        return
    written.save(path)
    assert {each.name for each in tmp_path.iterdir()} == (
        {f"f{suffix}"}
        if suffix != ".npy"
        else {"f.npy", *(f"f.{w}.npy" for w in ("labels", "labelled", "ids", "groups"))}
    )
    for read in (written, FeatureSet.load(path)):
        np.testing.assert_array_equal(read.labelled, [True, False, True, False, True])
        np.testing.assert_array_equal(read.classes, sorted({v for v in labels if v is not None}))
        np.testing.assert_array_equal(read.codes, [1, -1, 0, -1, 1])
        np.testing.assert_array_equal(read.ids, keys)
        np.testing.assert_array_equal(read.groups, groups)
        assert read.labels.dtype == written.labels.dtype
        with pytest.raises(ValueError, match="must have a label for every row, but 2 of 5 rows have none"):
            _ = read.complete_labels
    assert FeatureSet.load(path).remarks == ()


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_set_may_have_no_labels(tmp_path, suffix):
    path = tmp_path / f"f{suffix}"
    FeatureSet(X).save(path)
    for read in (FeatureSet(X), FeatureSet.load(path)):
        assert (read.labels, read.labelled, read.ids, read.groups) == (None, None, None, None)
        assert len(read.classes) == 0
        np.testing.assert_array_equal(read.codes, np.full(5, -1))
        with pytest.raises(ValueError, match="must have a label for every row, but 5 of 5 rows have none"):
            _ = read.complete_labels


def test_a_sidecar_of_other_rows_is_not_left_there(tmp_path):
    FeatureSet(X, Y, np.arange(5)).save(tmp_path / "f.npy")
    with pytest.raises(ValueError, match=r"f\.ids\.npy: is there and would be taken for the ids of f\.npy"):
        FeatureSet(X, Y).save(tmp_path / "f.npy")


class NAType:
    """As pandas' NA, of which no comparison is true or false."""

    def __eq__(self, other):
        raise TypeError

    __hash__ = None


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (np.array([2.0, np.nan, -1.0]), [2, None, -1]),
        (np.array([2, None, 2**64 - 1], object), [2, None, 2**64 - 1]),
        (np.array(["a", None, "b"], object), ["a", None, "b"]),
        (np.array(["a", NAType(), "b"], object), ["a", None, "b"]),
        (["a", float("nan"), "b"], ["a", None, "b"]),
        (np.ma.masked_array([4, 5, 6], [False, True, False]), [4, None, 6]),
        (np.ma.masked_array(["a", "b", "c"], [False, True, False]), ["a", None, "c"]),
        ([None, None, None], [None, None, None]),
        ([3, 4, 3], [3, 4, 3]),
    ],
)
def test_labels_may_be_missing(labels, expected):
    read = FeatureSet(np.ones((3, 2)), labels)
    there = [value is not None for value in expected]
    assert [value.item() if here else None for value, here in zip(read.labels, there, strict=True)] == expected
    assert (read.labelled is None) == all(there)
    assert all(there) or read.labelled.tolist() == there
    assert (read.codes >= 0).tolist() == there
    assert read.classes.tolist() == sorted({value for value in expected if value is not None})


def test_arrow_nulls_are_missing_labels():
    pa = pytest.importorskip("pyarrow")
    # to NumPy it would go through float64, in which these two are one
    read = FeatureSet(np.ones((3, 2)), pa.chunked_array([[2**53, None], [2**53 + 1]]))
    assert read.classes.tolist() == [2**53, 2**53 + 1]
    assert read.labelled.tolist() == [True, False, True]
    for names in (pa.array(["b", None, "a"]), pa.array(["b", None, "a"]).dictionary_encode()):
        assert FeatureSet(np.ones((3, 2)), names).codes.tolist() == [1, -1, 0]


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (np.arange(4), "features and ids must have one length, got 5 rows and 4 ids"),
        (np.array([1, 7, 2, 7, 1]), "ids must be unique, but 7 is that of rows 1 and 3"),
        (["a", "b", "c", "d", "b"], "ids must be unique, but 'b' is that of rows 1 and 4"),
        (np.linspace(0.0, 1.0, 5), "ids must be integers or strings, got float64"),
        (["a", None, "b", None, "c"], "ids must not be missing, but 2 of 5 are, the first is row 1"),
    ],
)
def test_ids_that_cannot_be_used_are_refused(tmp_path, ids, message):
    with pytest.raises(ValueError, match=message):
        FeatureSet(X, Y, ids)
    if isinstance(ids, np.ndarray):
        np.savez(tmp_path / "f.npz", features=X, labels=Y, ids=ids)
        with pytest.raises(ValueError, match=rf"f\.npz: {message}"):
            FeatureSet.load(tmp_path / "f.npz")
        np.savez(tmp_path / "f.npz", features=X, labels=Y, groups=ids)
        if ids.dtype.kind == "i" and len(ids) == 5:
            np.testing.assert_array_equal(FeatureSet.load(tmp_path / "f.npz").groups, ids)


# ---- rows and selections


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_rows_are_those_of_the_unit_features(tmp_path, kind, dtype):
    read = stored(tmp_path, kind, LONG.astype(dtype))
    for index in ([], [5], np.arange(N), [102, 0, 0, 60, 59, 1, 102], np.random.default_rng(2).permutation(N)):
        rows = read.rows(index)
        assert rows.dtype == np.float64
        np.testing.assert_array_equal(rows, FeatureSet(LONG.astype(dtype)).unit[np.asarray(index, int)])


def test_rows_hold_no_more_than_they_give(tmp_path):
    """Of a file that has to be decoded as well as of one that is mapped."""
    features = np.random.default_rng(0).standard_normal((2**15, 64), dtype=np.float32)  # 8 MiB
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "f.npz", features=features)
        read = FeatureSet.load(tmp_path / "f.npz")
        tracemalloc.start()
        try:
            read.rows([2**15 - 1, 3, 3])
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < features.nbytes / 2


def test_rows_of_a_store_or_an_archive_are_read_in_one_pass(tmp_path, monkeypatch):
    read = stored(tmp_path, "compressed")
    opened = []
    once = read._shards[0].open
    object.__setattr__(read._shards[0], "open", lambda: opened.append(1) or once())
    read.rows([100, 3, 50, 3])
    assert len(opened) == 1


INDICES = {
    "all": np.arange(N),
    "sorted": np.array([0, 3, 4, 59, 60, 61, 102]),
    "repeated": np.array([7, 7, 7, 90]),
    "reversed": np.arange(N)[::-1],
    "permuted": np.random.default_rng(3).permutation(N)[:40],
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("index", INDICES.values(), ids=INDICES.keys())
def test_a_selection_is_a_set_like_any(tmp_path, kind, index):
    keys, groups = np.arange(N) + 7, np.arange(N) // 2
    labels = np.where(np.arange(N) % 5 == 0, np.nan, LONG_LABELS)
    if kind in ("shards", "compressed"):
        read = stored(tmp_path, kind)
        read.columns = FeatureSet(LONG, labels, keys, groups).columns
    else:
        read = FeatureSet(LONG, labels, keys, groups)
        if kind != "memory":
            read.save(tmp_path / f"f{kind}")
            read = FeatureSet.load(tmp_path / f"f{kind}")
    chosen = read.select(index)
    expected = FeatureSet(LONG[index], labels[index], None, groups[index])
    assert (len(chosen), chosen.dim, chosen.dtype) == (len(index), DIM, np.float64)
    for rows in (1, 10, 1000):
        np.testing.assert_array_equal(np.concatenate(list(chosen.blocks(rows))), LONG[index])
    np.testing.assert_array_equal(chosen.features, LONG[index])
    np.testing.assert_array_equal(chosen.unit, expected.unit)
    np.testing.assert_array_equal(chosen.codes, expected.codes)
    np.testing.assert_array_equal(chosen.groups, groups[index])
    if len(np.unique(index)) == len(index):
        np.testing.assert_array_equal(chosen.ids, keys[index])
    else:
        assert chosen.ids is None
    np.testing.assert_array_equal(chosen.rows([len(index) - 1, 0, 0]), expected.unit[[-1, 0, 0]])
    again = chosen.select(np.arange(0, len(index), 2))
    np.testing.assert_array_equal(np.concatenate(list(again.blocks(3))), LONG[index][::2])
    start = chosen.beginning(1)
    read_on = np.empty((len(index) - start, DIM))
    for piece in (pickle.loads(pickle.dumps(each)) for each in chosen.pieces(start) if each.path is not None):
        with piece.open() as fill:
            fill(read_on[: piece.length])
        np.testing.assert_array_equal(read_on[: piece.length], LONG[index][start : start + piece.length])
        break
    chosen.save(tmp_path / "chosen.npz")
    np.testing.assert_array_equal(FeatureSet.load(tmp_path / "chosen.npz").features, LONG[index])


def test_a_selection_may_be_given_by_a_mask():
    mask = np.arange(N) % 3 == 0
    assert np.array_equal(FeatureSet(LONG).select(mask).features, LONG[mask])
    with pytest.raises(ValueError, match=rf"or booleans of shape \({N},\), got bool of shape \({N - 1},\)"):
        FeatureSet(LONG).select(mask[1:])
    with pytest.raises(ValueError, match="at least one row"):
        FeatureSet(LONG).select(np.zeros(N, bool))


def test_a_selection_of_files_holds_no_features(tmp_path):
    features = np.random.default_rng(0).standard_normal((2**15, 64), dtype=np.float32)
    np.savez(tmp_path / "f.npz", features=features)
    np.savez_compressed(tmp_path / "c.npz", features=features)
    tracemalloc.start()
    try:
        for name, index in (("f", np.arange(2**15)[::-1]), ("f", np.arange(1, 2**15)), ("c", np.arange(1, 2**15))):
            assert sum(map(len, FeatureSet.load(tmp_path / f"{name}.npz").select(index).blocks(512))) == len(index)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < features.nbytes / 2


def test_an_unusable_row_of_a_selection_is_told_as_that_of_the_file(tmp_path):
    np.savez(tmp_path / "f.npz", features=ZERO, labels=Y)
    read = FeatureSet.load(tmp_path / "f.npz")
    for use in (
        lambda: list(read.select([1, 2]).blocks()),
        lambda: list(read.select([2, 1]).blocks()),
        lambda: read.rows([4, 2]),
    ):
        with pytest.raises(
            ValueError, match=r"f\.npz: features must have a direction, but 1 of 5 .* the first is row 2\."
        ):
            use()
    assert len(read.rows([4, 0])) == 2


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ([-1], "from 0 to 4, got -1 to -1"),
        ([0, 5], "from 0 to 4, got 0 to 5"),
        ([0.5], "integers of shape"),
        ([[0]], "integers of shape"),
    ],
)
def test_an_index_that_is_none_is_refused(index, message):
    with pytest.raises(ValueError, match=message):
        FeatureSet(X, Y).rows(index)
    with pytest.raises(ValueError, match=message):
        FeatureSet(X, Y).select(index)
    with pytest.raises(ValueError, match="at least one row"):
        FeatureSet(X, Y).select([])


# ---- labels of several sets


def test_labels_of_several_sets_are_compared_exactly():
    # float64 would make one of the first two
    labels, signed, unsigned, none = common_codes(
        np.array([2**53, 2**53 + 1, -1 + 2**62]), np.array([2**53 + 1, 2**63 - 1], np.uint64), None
    )
    assert labels.tolist() == [2**53, 2**53 + 1, 2**62 - 1, 2**63 - 1]
    assert (signed.tolist(), unsigned.tolist(), none) == ([0, 1, 2], [1, 3], None)
    labels, big, small = common_codes(np.array([2**64 - 1, 0], np.uint64), np.array([5, 0, 5], np.int8))
    assert labels.tolist() == [0, 5, 2**64 - 1]
    assert (big.tolist(), small.tolist()) == ([2, 0], [1, 0, 1])
    labels, first, second = common_codes(FeatureSet(X, ["b", None, "a", "b", "a"]), ["c", "b"])
    assert labels.tolist() == ["a", "b", "c"]
    assert (first.tolist(), second.tolist()) == ([1, -1, 0, 1, 0], [2, 1])
    labels, bare, missing = common_codes(FeatureSet(X), FeatureSet(X, [None] * 5))
    assert (len(labels), bare.tolist(), missing.tolist()) == (0, [-1] * 5, [-1] * 5)


@given(
    hypothesis.lists(hypothesis.lists(hypothesis.integers(0, 2**64 - 1) | hypothesis.none(), min_size=1), min_size=1)
)
def test_common_codes_name_each_label(sets):
    labels, *codes = common_codes(*sets)
    assert labels.tolist() == sorted({value for values in sets for value in values if value is not None})
    for values, own in zip(sets, codes, strict=True):
        assert [None if code < 0 else labels[code].item() for code in own] == values


def test_labels_of_two_kinds_are_one_sentence():
    with pytest.raises(ValueError, match=r"^sets must have labels of one kind, got integers \(such as 0\) and strings"):
        common_codes(np.arange(3), None, ["a", "longe"])
    with pytest.raises(ValueError, match=r"^sets must have ids of one kind, got strings \(such as 'a'\) and integers"):
        common_codes(["a"], np.arange(3), what="ids")
    with pytest.raises(ValueError, match="64 bits, signed or unsigned, got -1 and 18446744073709551615"):
        common_codes(np.array([2**64 - 1], np.uint64), np.array([-1]))


@pytest.mark.parametrize("suffix", [".npz", ".npy", ".safetensors"])
def test_of_rows_that_cannot_be_written_nothing_is_left(tmp_path, suffix):
    np.savez(tmp_path / "bad.npz", features=ZERO, labels=Y, ids=np.arange(5))
    before = set(tmp_path.iterdir())
    with pytest.raises(ValueError, match="direction"):
        FeatureSet.load(tmp_path / "bad.npz").save(tmp_path / f"f{suffix}")
    assert set(tmp_path.iterdir()) == before

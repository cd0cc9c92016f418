"""Rows of a file by every way that leads to them: in order, from a row on, some of them, and all at once."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest

from verification.features.files import shards as module
from verification.features.files.shards import Checksum, array_shard, check_features, flat_shard, is_code

ROWS = np.arange(40, dtype=np.float32).reshape(10, 4) - 7.0


def read(opened, count: int, dim: int = 4, step: int = 3) -> np.ndarray:
    """The next rows, a few at a time."""
    out = np.empty((count, dim), np.float32)
    with opened as fill:
        for start in range(0, count, step):
            fill(out[start : start + step])
    return out


def written(path: Path, stored: str, order: str) -> Path:
    path.write_bytes(b"head." + ROWS.astype(stored).tobytes(order))
    return path


@pytest.mark.parametrize("stored", ["<f4", ">f4", "<f8", "<f2", "i1"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_file_is_read_alike_by_every_way(tmp_path, stored, order):
    path = written(tmp_path / "f", stored, order)
    shard = flat_shard(path, 5, ROWS.shape, np.dtype(stored), fortran=order == "F")
    assert (len(shard), shard.stored) == (10, np.dtype(stored))
    np.testing.assert_array_equal(read(shard.open(), 10), ROWS)
    np.testing.assert_array_equal(read(shard.seek(4), 6), ROWS[4:])
    index = np.array([1, 2, 7, 9])
    np.testing.assert_array_equal(read(shard.take(index, 0), 4), ROWS[index])
    np.testing.assert_array_equal(read(shard.take(index, 2), 2), ROWS[index[2:]])
    assert (shard.whole is not None) == (stored in ("<f4", "<f8", "<f2"))
    for few in (False, True):
        some = shard.select(index, few)
        np.testing.assert_array_equal(read(some.open(), 4), ROWS[index])
        np.testing.assert_array_equal(read(some.seek(1), 3), ROWS[index[1:]])
        np.testing.assert_array_equal(read(some.take(np.array([0, 3]), 0), 2), ROWS[index[[0, 3]]])
        np.testing.assert_array_equal(read(some.piece(1, 3).open(), 2), ROWS[index[1:3]])
        again = some.select(np.array([0, 0, 2]))
        np.testing.assert_array_equal(read(again.open(), 3), ROWS[index[[0, 0, 2]]])
        assert some.origin is again.origin is shard
        assert again.whole is None
    unsorted = np.array([9, 1])
    if shard.whole is None:
        with pytest.raises(ValueError, match="f: rows must be read in their order, got unsorted indices"):
            shard.select(unsorted)
    else:
        turned = shard.select(unsorted)
        np.testing.assert_array_equal(read(turned.open(), 2), ROWS[unsorted])
        np.testing.assert_array_equal(read(turned.seek(1), 1), ROWS[[1]])
        assert turned.take is None


@pytest.mark.parametrize("room", [1, 16, 48, 10_000])
def test_rows_are_sieved_out_of_blocks_of_any_size(tmp_path, room, monkeypatch):
    monkeypatch.setattr(module, "_SIEVED_BYTES", room)
    shard = flat_shard(written(tmp_path / "f", "<f4", "C"), 5, ROWS.shape, np.dtype("<f4"))
    for index in ([0], [9], [0, 9], [2, 2, 3, 8], list(range(10))):
        some = shard.select(np.array(index))
        for step in (1, 2, 10):
            np.testing.assert_array_equal(read(some.open(), len(index), step=step), ROWS[index])
        np.testing.assert_array_equal(read(some.seek(len(index) - 1), 1), ROWS[index[-1:]])


def test_decoded_rows_have_no_array_of_their_own(tmp_path):
    def halves(rows, out):
        out[...] = rows[:, :2] / 2.0

    shard = flat_shard(written(tmp_path / "f", "<f4", "C"), 5, ROWS.shape, np.dtype("<f4")).decoded(2, halves)
    assert (shard.shape, shard.whole) == ((10, 2), None)
    np.testing.assert_array_equal(read(shard.open(), 10, 2), ROWS[:, :2] / 2.0)
    np.testing.assert_array_equal(read(shard.seek(7), 3, 2), ROWS[7:, :2] / 2.0)
    np.testing.assert_array_equal(read(shard.take(np.array([3, 5]), 0), 2, 2), ROWS[[3, 5], :2] / 2.0)


def test_what_is_read_as_a_whole_is_checked(tmp_path):
    path = written(tmp_path / "f", "<f4", "C")
    before = zlib.crc32(b"head.")
    sums = Checksum(before, zlib.crc32(ROWS.tobytes(), before))
    right = flat_shard(path, 5, ROWS.shape, np.dtype("<f4"), checksum=sums)
    np.testing.assert_array_equal(read(right.open(), 10), ROWS)
    wrong = flat_shard(path, 5, ROWS.shape, np.dtype("<f4"), checksum=Checksum(before, sums.whole + 1))
    with pytest.raises(ValueError, match="is damaged: its checksum is not that of its rows"):
        read(wrong.open(), 10)
    np.testing.assert_array_equal(read(wrong.open(), 9), ROWS[:9])  # not to the end
    np.testing.assert_array_equal(read(wrong.seek(1), 9), ROWS[1:])
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="ends before its last row"):
        read(right.open(), 10)


def test_what_features_may_be():
    for dtype in ("<f2", ">f4", "f8", "i1", "u1"):
        check_features((1, 1), np.dtype(dtype))
    for dtype in ("i2", "u4", "c8", "g"):
        with pytest.raises(ValueError, match="features must be float16, float32, float64 or int8, got"):
            check_features((1, 1), np.dtype(dtype))
    for shape in ((0, 1), (1, 0), (3,), (1, 1, 1)):
        with pytest.raises(ValueError, match="features must have shape"):
            check_features(shape, np.dtype("f4"))
    check_features((1, module.MOST_DIMENSIONS), np.dtype("f4"))
    with pytest.raises(ValueError, match="features must have at most"):
        check_features((1, module.MOST_DIMENSIONS + 1), np.dtype("f4"))
    assert [is_code(np.dtype(d)) for d in ("i1", "u1", "i2", "?", "f2")] == [True, True, False, False, False]
    codes = array_shard(ROWS.astype(np.int8))
    assert (codes.dtype, codes.stored) == (np.float32, np.int8)
    np.testing.assert_array_equal(read(codes.open(), 10), ROWS)
    np.testing.assert_array_equal(read(codes.seek(8), 2), ROWS[8:])

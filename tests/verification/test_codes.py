"""Codes of a byte and cut rows: read alike from arrays and from files of every kind, and never held whole."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import save_file

from verification.features import FeatureSet

RNG = np.random.default_rng(0)
N, DIM = 50, 12
CODES = {"int8": RNG.integers(-128, 128, (N, DIM)).astype(np.int8), "uint8": RNG.integers(1, 256, (N, DIM), np.uint8)}


def written(kind: str, codes: np.ndarray, folder) -> FeatureSet:
    """The codes as a file of some kind, opened."""
    path = folder / f"f{kind[kind.index('.') :]}"
    if kind == "mapped.npz":
        np.savez(path, features=codes)
    elif kind == "deflated.npz":
        np.savez_compressed(path, features=codes)
    elif kind == "rows.npy":
        np.save(path, codes)
    elif kind == "columns.npy":
        np.save(path, np.asfortranarray(codes))
    elif kind == ".safetensors":
        save_file({"features": codes}, path)
    else:
        pq.write_table(pa.table({"features": list(codes)}), path)
    return FeatureSet.load(path)


KINDS = ("mapped.npz", "deflated.npz", "rows.npy", "columns.npy", ".safetensors", ".parquet")


@pytest.mark.parametrize("dtype", CODES)
@pytest.mark.parametrize("kind", KINDS)
def test_codes_are_numbers_whatever_holds_them(tmp_path, kind, dtype):
    codes = CODES[dtype]
    features = written(kind, codes, tmp_path)
    assert features.dtype == np.float32
    assert features.stored == codes.dtype
    np.testing.assert_array_equal(features.features, codes)
    np.testing.assert_array_equal(np.concatenate(list(features.blocks(7))), codes)
    np.testing.assert_array_equal(features.rows([9, 3]), FeatureSet(codes.astype(float)).rows([9, 3]))
    np.testing.assert_array_equal(features.signs().features, FeatureSet(codes).signs().features)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_cut_as_they_are_read(tmp_path, kind):
    codes = CODES["int8"]
    for features in (written(kind, codes, tmp_path), FeatureSet(codes)):
        short, padded = features.first(5), features.first(5, DIM)
        assert (short.dim, padded.dim, len(short)) == (5, DIM, N)
        np.testing.assert_array_equal(short.features, codes[:, :5])
        np.testing.assert_array_equal(padded.features[:, :5], codes[:, :5])
        assert not padded.features[:, 5:].any()
        some = [40, 2, 11]
        np.testing.assert_array_equal(short.select(some).features, codes[some, :5])
        np.testing.assert_allclose(padded.rows(some)[:, :5], short.rows(some), rtol=1e-15)


def test_floats_are_preferred_to_codes(tmp_path):
    np.savez(tmp_path / "f.npz", pixels=CODES["uint8"], vectors=np.ones((N, 3)))
    assert FeatureSet.load(tmp_path / "f.npz").dim == 3
    np.savez(tmp_path / "g.npz", vectors=CODES["uint8"], wide=np.zeros((N, 2), np.int32))
    assert FeatureSet.load(tmp_path / "g.npz").dim == DIM


def test_a_row_that_is_cut_to_zeros_is_named(tmp_path):
    rows = RNG.standard_normal((N, DIM))
    rows[17, :4] = 0.0
    np.save(tmp_path / "f.npy", rows)
    for features in (FeatureSet.load(tmp_path / "f.npy").first(4), FeatureSet(rows).first(4)):
        with pytest.raises(
            ValueError, match=r"must have a direction, but 1 of 50 rows are all zero, the first is row 17"
        ):
            list(features.blocks())
    assert FeatureSet(rows).first(5).dim == 5


@pytest.mark.parametrize(("k", "dim"), [(0, None), (DIM + 1, None), (5, 4)])
def test_a_cut_must_lie_within_the_row(k, dim):
    with pytest.raises(ValueError, match=r"k must be from 1 to 12|dim must be at least k = 5, got 4"):
        FeatureSet(CODES["int8"]).first(k, dim)


def test_a_byte_of_zeros_is_eight_signs_and_no_direction():
    codes = np.array([[0, 0], [255, 1]], np.uint8)
    features = FeatureSet(codes)
    np.testing.assert_array_equal(features.signs().features[0], -np.ones(16))
    with pytest.raises(ValueError, match=r"the first is row 0"):
        features.rows([0, 1])
    with pytest.raises(ValueError, match=r"the first is row 0"):
        FeatureSet(codes.astype(np.int8))

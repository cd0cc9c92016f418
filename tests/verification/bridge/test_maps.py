"""The file of a map: what goes in comes out, two lines of NumPy apply it, and a damaged one is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from verification.bridge.apply import apply
from verification.bridge.maps import FeatureMap
from verification.features import FeatureSet

RNG = np.random.default_rng(0)
LINEAR = FeatureMap("ridge", "queries", RNG.standard_normal((5, 3)), RNG.standard_normal(3))
ADAPTER = FeatureMap(
    "adapter", "gallery", RNG.standard_normal((5, 3)), RNG.standard_normal(3),
    RNG.standard_normal((5, 4)), RNG.standard_normal(4), RNG.standard_normal((4, 3)),
)  # fmt: skip
ROWS = RNG.standard_normal((20_000, 5))
FEATURES = FeatureSet(ROWS, np.arange(20_000) % 7)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
@pytest.mark.parametrize("feature_map", [LINEAR, ADAPTER], ids=["linear", "adapter"])
def test_a_saved_map_is_read_as_it_was(feature_map, suffix, tmp_path):
    feature_map.save(tmp_path / f"map{suffix}", {"num_fit": 12})
    read = FeatureMap.load(tmp_path / f"map{suffix}")
    assert (read.kind, read.direction, read.dims) == (feature_map.kind, feature_map.direction, (5, 3))
    assert read.arrays().keys() == feature_map.arrays().keys()
    for name, array in feature_map.arrays().items():
        np.testing.assert_array_equal(read.arrays()[name], array)
    assert [path.name for path in tmp_path.iterdir()] == [f"map{suffix}"]


def test_what_the_map_is_stands_beside_its_arrays(tmp_path):
    LINEAR.save(tmp_path / "map.npz", {"num_fit": 12})
    metadata = json.loads(str(np.load(tmp_path / "map.npz")["metadata"]))
    assert metadata.pop("version")
    assert metadata == {"format": 2, "kind": "ridge", "direction": "queries", "d_in": 5, "d_out": 3, "num_fit": 12}


@pytest.mark.parametrize("feature_map", [LINEAR, ADAPTER], ids=["linear", "adapter"])
def test_two_lines_of_numpy_apply_it(feature_map, tmp_path):
    feature_map.save(tmp_path / "map.npz")
    m = np.load(tmp_path / "map.npz")
    x = ROWS / np.linalg.norm(ROWS, axis=1, keepdims=True)
    if feature_map is LINEAR:
        y = x @ m["A"] + m["b"]
    else:
        y = x @ m["A"] + m["b"] + np.maximum(x @ m["W"] + m["c"], 0) @ m["V"]
    # sums of five terms, in another order
    np.testing.assert_allclose(feature_map(FEATURES.unit), y, atol=1e-14)


@pytest.mark.parametrize("name", ["out.npz", "out.npy", "out.safetensors", "out.parquet"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_apply_writes_every_kind_of_file_block_by_block(name, dtype, tmp_path):
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    features = FeatureSet(ROWS.astype(dtype), FEATURES.labels)
    done = []
    apply(LINEAR, features, tmp_path / name, lambda *counts: done.append(counts))
    read = FeatureSet.load(tmp_path / name)
    assert read.dtype == dtype
    np.testing.assert_array_equal(read.labels, features.labels)
    # rounding of the dtype in sums of five terms of order one
    np.testing.assert_allclose(read.features, LINEAR(FEATURES.unit), atol=20 * np.finfo(dtype).eps)
    assert len(done) > 1
    assert done[-1] == (20_000, 20_000)


def test_apply_keeps_labels_that_are_words(tmp_path):
    words = np.array(["left", "right"])[FEATURES.labels % 2]
    apply(LINEAR, FeatureSet(ROWS, words), tmp_path / "out.npz")
    np.testing.assert_array_equal(FeatureSet.load(tmp_path / "out.npz").labels, words)
    with pytest.raises(ValueError, match=r"labels must be integers in \.safetensors"):
        apply(LINEAR, FeatureSet(ROWS, words), tmp_path / "out.safetensors")


def test_nothing_is_left_of_a_file_that_could_not_be_finished(tmp_path):
    bad = ROWS.astype(np.float32)
    bad[15_000] = 0.0
    np.savez(tmp_path / "bad.npz", features=bad, labels=FEATURES.labels)
    with pytest.raises(ValueError, match="row 15000"):
        apply(LINEAR, FeatureSet.load(tmp_path / "bad.npz"), tmp_path / "out.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.npz"]


def test_a_map_of_another_dimension_is_refused(tmp_path):
    other = FeatureSet(RNG.standard_normal((9, 4)), np.arange(9))
    with pytest.raises(ValueError, match="the map takes new queries of dimension 5, the features have 4"):
        apply(LINEAR, other, tmp_path / "out.npz")
    assert not list(tmp_path.iterdir())


def truncated(path):
    LINEAR.save(path)
    path.write_bytes(path.read_bytes()[:-100])


def features_instead(path):
    FEATURES.save(path)


def newer(path):
    np.savez(path, metadata=np.array('{"format": 3}'), A=LINEAR.A, b=LINEAR.b)


def other_shape(path):
    metadata = '{"format": 1, "kind": "ridge", "direction": "queries", "d_in": 4, "d_out": 3}'
    np.savez(path, metadata=np.array(metadata), A=LINEAR.A, b=LINEAR.b)


def not_finite(path):
    FeatureMap("ridge", "queries", np.full((5, 3), np.nan), LINEAR.b).save(path)


def pickled(path):
    np.savez(path, metadata=np.array({"format": 1}, dtype=object), A=LINEAR.A, b=LINEAR.b)


@pytest.mark.parametrize("spoil", [truncated, features_instead, newer, other_shape, not_finite, pickled])
def test_a_file_that_is_no_map_is_refused_by_name(spoil, tmp_path):
    spoil(tmp_path / "map.npz")
    with pytest.raises(ValueError, match=r"map\.npz: .*no map that stationary bridge fit saved"):
        FeatureMap.load(tmp_path / "map.npz")


def test_a_truncated_safetensors_is_refused_by_name(tmp_path):
    truncated(tmp_path / "map.safetensors")
    with pytest.raises(ValueError, match=r"map\.safetensors: .*no map that stationary bridge fit saved"):
        FeatureMap.load(tmp_path / "map.safetensors")


def test_other_suffixes_and_missing_files(tmp_path):
    with pytest.raises(ValueError, match=r"a map is in one of .npz, .safetensors, got suffix '.json'"):
        LINEAR.save(tmp_path / "map.json")
    with pytest.raises(FileNotFoundError, match="no such file"):
        FeatureMap.load(tmp_path / "map.npz")

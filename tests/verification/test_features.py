"""Feature files: what is read back is what was written, and what cannot be used is named."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from verification.features import FeatureSet, write_atomically

FORMATS = [".npz", ".npy", ".safetensors"]


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


@pytest.mark.parametrize("suffix", [".npz", ".npy"])
def test_labels_may_be_strings(tmp_path, suffix):
    original = FeatureSet(arrays()[0], ["cat", "dog", "cat", "eel", "dog"])
    original.save(tmp_path / f"f{suffix}")
    assert list(FeatureSet.load(str(tmp_path / f"f{suffix}")).labels) == ["cat", "dog", "cat", "eel", "dog"]
    assert list(original.classes) == ["cat", "dog", "eel"]
    np.testing.assert_array_equal(original.codes, [0, 1, 0, 2, 1])


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
        (X.astype(int), Y, "float16, float32 or float64, got int64"),
        (X.astype(complex), Y, "got complex128"),
        (X.astype(object), Y, "got object"),
        (X, Y.astype(float), "integers or strings, got float64"),
        (X, Y.astype(bool), "integers or strings, got bool"),
        (X, Y.astype(object), "integers or strings, got object"),
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


def test_wrong_names_are_told(tmp_path):
    np.savez(tmp_path / "f.npz", X=X, y=Y)
    with pytest.raises(ValueError, match="must hold arrays named 'features' and 'labels', got 'X', 'y'"):
        FeatureSet.load(tmp_path / "f.npz")


def test_what_is_not_there_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none.npz: no such file"):
        FeatureSet.load(tmp_path / "none.npz")
    np.save(tmp_path / "f.npy", X)
    with pytest.raises(FileNotFoundError, match=r"f.labels.npy: no such file; the labels of f.npy"):
        FeatureSet.load(tmp_path / "f.npy")
    with pytest.raises(ValueError, match=r"must be in one of .npz, .npy, .safetensors, got suffix '.csv'"):
        FeatureSet.load(tmp_path / "f.csv")
    (tmp_path / "d.npz").mkdir()
    with pytest.raises(ValueError, match="must be a file, got a folder"):
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

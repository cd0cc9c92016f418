"""Data sets at the ends of what they allow: folders, files of features, downloads, pictures of every kind."""

from __future__ import annotations

import gzip
import io
import struct
import sys
import tarfile
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from learning import Images, Streamed, load_data, load_digits
from learning import datasets as module
from learning.datasets import _one_in_five, _read_idx, _standardised, check_data, pairs
from theory.extras import MissingExtra

RNG = np.random.default_rng(0)


def write_images(folder, counts, size=(6, 5), mode="RGB"):
    """Class folders with so many images each; every image is of one colour of its own."""
    image = pytest.importorskip("PIL.Image")
    for label, count in counts.items():
        (folder / label).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            level = 10 * i + 3 * ord(label[0]) % 50
            image.new(mode, size, level if mode == "L" else 3 * (level,)).save(folder / label / f"{i}.png")


def write_features(path, labels, dim=3, features=None):
    rows = RNG.standard_normal((len(labels), dim)) if features is None else features
    np.savez(path, features=rows, labels=np.array(labels))
    return rows


def test_data_are_a_name_or_a_pair():
    check_data("digits")
    one = Images(torch.zeros(2, 1, 2, 2), torch.arange(2))
    check_data((one, [(torch.zeros(1, 2, 2), 0)]))
    for data in ([one, one], (one,), (one, one, one)):
        with pytest.raises(ValueError, match=r"data must be a name or \(train, held out\), a pair of data sets, got"):
            check_data(data)
    with pytest.raises(ValueError, match="items that are read by number, got set"):
        check_data((one, {1}))
    train, test = load_data((one, [(torch.zeros(1, 2, 2), 0)]))
    assert train is one
    assert isinstance(test, Streamed)


def test_folders_are_named_only_for_what_is_read_from_them(tmp_path):
    for name in ("digits", "digit-pairs"):
        with pytest.raises(ValueError, match=f"folder must be left out with data '{name}', which scikit-learn brings"):
            load_data(name, tmp_path)
    file = tmp_path / "file"
    file.touch()
    for name in ("folder", "cifar10", "fashion-mnist"):
        with pytest.raises(ValueError, match=f"file: must be a folder with the files of '{name}'; it is not there"):
            load_data(name, file)
    with pytest.raises(ValueError, match="folder must be given for features"):
        load_data("features")
    with pytest.raises(ValueError, match=r"image_size must be 0 for 'features', whose images have .* got 4"):
        load_data("features", tmp_path, size=4)


def test_digits_are_split_after_1200_and_pairs_are_drawn_from_twice_the_seed():
    train, test = load_data("digits", seed=3)
    digits = load_digits(3)
    assert torch.equal(train.images, digits.images[:1200])
    assert torch.equal(test.images, digits.images[1200:])
    some, held = load_data("digit-pairs", seed=3)
    assert torch.equal(some.images[:9], pairs(train, 12_000, 6).images[:9])
    assert torch.equal(held.labels, pairs(test, 4_000, 7).labels)


def test_one_in_five_of_each_class_is_held_out_rounded_up():
    labels = np.repeat(np.arange(5), [2, 4, 5, 6, 11])
    RNG.shuffle(labels)
    held = _one_in_five(labels, 1)
    assert [int(held[labels == label].sum()) for label in range(5)] == [1, 1, 1, 2, 3]
    assert np.array_equal(held, _one_in_five(labels, 1))
    assert not np.array_equal(held, _one_in_five(labels, 2))


def test_a_folder_is_read_in_order_of_names_and_mixed_by_the_seed(tmp_path):
    write_images(tmp_path, {"b": 2, "a": 5})
    (tmp_path / ".cache").mkdir()
    (tmp_path / "a" / ".DS_Store").touch()
    (tmp_path / "notes.txt").touch()
    train, test = load_data("folder", tmp_path, seed=1)
    assert train.names == test.names == ("a", "b")
    assert (torch.bincount(train.labels).tolist(), torch.bincount(test.labels).tolist()) == ([4, 1], [1, 1])
    held = _one_in_five(np.array([0, 0, 0, 0, 0, 1, 1]), 1)
    rows = np.flatnonzero(~held)[torch.randperm(5, generator=torch.Generator().manual_seed(1)).numpy()]
    levels = np.array([10 * i + 3 * ord("a") % 50 for i in range(5)] + [10 * i + 3 * ord("b") % 50 for i in range(2)])
    values = train.images[:, 0, 0, 0] * train.scale.deviation[0] + train.scale.mean[0]
    np.testing.assert_allclose(values, levels[rows], atol=1e-3)
    # both parts have the scale of the training images
    values = test.images[:, 0, 0, 0] * train.scale.deviation[0] + train.scale.mean[0]
    np.testing.assert_allclose(values, levels[held], atol=1e-3)
    (tmp_path / "b" / "1.png").unlink()
    with pytest.raises(
        ValueError, match=r"b: must hold at least two images, one to train on and one held out, got 1\."
    ):
        load_data("folder", tmp_path)


@pytest.mark.parametrize("name", ["val", "valid", "test"])
def test_held_out_folders_go_by_three_names_and_may_lack_a_class(tmp_path, name):
    write_images(tmp_path / "train", {"a": 1, "b": 2})
    write_images(tmp_path / name, {"b": 3})
    train, test = load_data("folder", tmp_path)
    assert (len(train), test.labels.tolist(), test.names) == (3, [1, 1, 1], ("a", "b"))
    write_images(tmp_path / name / "more", {"b": 1})
    with pytest.raises(ValueError, match=rf"{name}/more: must be a class of .*train too, which has none"):
        load_data("folder", tmp_path)


def test_parts_of_a_folder_that_do_not_belong_together_are_refused(tmp_path):
    write_images(tmp_path / "train", {"a": 2, "b": 1})
    (tmp_path / "val" / "a").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"val: must hold images, got none\."):
        load_data("folder", tmp_path)
    write_images(tmp_path / "val", {"a": 1}, size=(7, 5))
    with pytest.raises(ValueError, match=r"val: images must be like those of train, \(5, 6, 3\), got \(5, 7, 3\)"):
        load_data("folder", tmp_path)
    assert load_data("folder", tmp_path, size=4).test.shape == (3, 4, 4)
    (tmp_path / "train" / "b" / "0.png").unlink()
    with pytest.raises(ValueError, match=r"b: must hold at least one image to train on, got 0\. Add images"):
        load_data("folder", tmp_path)
    (tmp_path / "train" / "b").rmdir()
    with pytest.raises(ValueError, match="train: must hold at least two class folders, got 1"):
        load_data("folder", tmp_path)


def test_grey_pictures_have_one_channel_unless_they_are_resized(tmp_path):
    write_images(tmp_path, {"a": 2, "b": 2}, mode="L")
    assert load_data("folder", tmp_path).train.shape == (1, 5, 6)
    assert load_data("folder", tmp_path, size=5).train.shape == (3, 5, 5)
    image = pytest.importorskip("PIL.Image")
    for label in "ab":
        for i in range(2):
            image.new("1", (6, 5), i).save(tmp_path / label / f"{i}.png")
    assert load_data("folder", tmp_path).train.shape == (1, 5, 6)
    for label in "ab":
        for i in range(2):
            image.new("RGBA", (6, 5)).save(tmp_path / label / f"{i}.png")
    assert load_data("folder", tmp_path).train.shape == (3, 5, 6)


def test_pictures_are_cropped_about_the_middle_rounded_down(tmp_path):
    """13 × 5 to a side of 5: four columns are cut off left and right, and every column keeps its value."""
    image = pytest.importorskip("PIL.Image")
    columns = np.tile(np.arange(13, dtype=np.uint8) * 10, (5, 1))
    for label, pixels in (("a", columns), ("b", columns.T)):
        (tmp_path / label).mkdir()
        for i in range(2):
            image.fromarray(pixels).save(tmp_path / label / f"{i}.png")
    train, _ = load_data("folder", tmp_path, size=5)
    for shown in train.images * torch.tensor(train.scale.deviation)[:, None, None] + train.scale.mean[0]:
        middle = shown[0] if shown[0, 0, 0] != shown[0, 0, 1] else shown[0].T
        np.testing.assert_allclose(middle[0], [40.0, 50.0, 60.0, 70.0, 80.0], atol=1e-3)


def test_a_picture_of_as_many_pixels_as_allowed_is_read_and_one_more_is_not(tmp_path, monkeypatch):
    write_images(tmp_path, {"a": 2, "b": 2})
    monkeypatch.setattr(module, "_MOST_PIXELS", 30)
    assert load_data("folder", tmp_path).train.shape == (3, 5, 6)
    monkeypatch.setattr(module, "_MOST_PIXELS", 29)
    with pytest.raises(ValueError, match="must have at most 29 pixels, got 6 × 5"):
        load_data("folder", tmp_path)
    assert module._MOST_PIXELS != 10**8


def test_features_are_standardised_by_what_is_trained_on(tmp_path):
    labels = ["a", "a", "b", "b", "b", "b", "b", "b"]
    rows = write_features(tmp_path / "x.npz", labels)
    train, test = load_data("features", tmp_path / "x.npz", seed=2)
    held = _one_in_five(np.array([label == "b" for label in labels], dtype=int), 2)
    assert (test.labels.tolist(), train.names) == ([0, 1, 1], ("a", "b"))
    mean, deviation = rows[~held].mean(axis=0), rows[~held].std(axis=0)
    for part, which in ((train, ~held), (test, held)):
        assert part.images.shape == (int(which.sum()), 3, 1, 1)
        np.testing.assert_allclose(part.images[:, :, 0, 0], (rows[which] - mean) / deviation, atol=1e-5)
    np.testing.assert_allclose(train.scale.mean, mean)
    np.testing.assert_allclose(train.scale.deviation, deviation)


def test_a_column_that_never_changes_is_left_at_zero(tmp_path):
    rows = RNG.standard_normal((6, 3))
    rows[:, 1] = 4.0
    write_features(tmp_path / "x.npz", [0, 1] * 3, features=rows)
    train, test = load_data("features", tmp_path / "x.npz")
    for part in (train, test):
        assert torch.isfinite(part.images).all()
        assert not part.images[:, 1].any()
    write_features(tmp_path / "x.npz", [0, 1] * 3, features=np.ones((6, 3)))
    assert not load_data("features", tmp_path / "x.npz").train.images.any()


@pytest.mark.parametrize("name", ["val", "valid", "test"])
def test_held_out_features_go_by_three_names(tmp_path, name):
    write_features(tmp_path / "train.npz", ["b", "a", "c"])
    with pytest.raises(FileNotFoundError, match=r"val\.npz: no such file"):
        load_data("features", tmp_path)
    write_features(tmp_path / f"{name}.npz", ["c", "a"])
    train, test = load_data("features", tmp_path)
    assert (train.labels.tolist(), test.labels.tolist(), test.names) == ([1, 0, 2], [2, 0], ("a", "b", "c"))
    write_features(tmp_path / f"{name}.npz", ["c", "d"])
    with pytest.raises(ValueError, match="held-out labels must be among those to train on, got 'd'"):
        load_data("features", tmp_path)
    write_features(tmp_path / f"{name}.npz", ["c", "a"], dim=4)
    with pytest.raises(ValueError, match="features must have one dimension, got 3 and 4"):
        load_data("features", tmp_path)


@pytest.mark.parametrize(
    ("features", "labels", "message"),
    [
        (np.zeros(4), np.arange(4), r"must hold features \(N, D\) and labels \(N,\), got \(4,\) and \(4,\)"),
        (np.zeros((4, 2)), np.arange(3), r"got \(4, 2\) and \(3,\)"),
        (np.zeros((4, 2)), np.zeros((4, 1)), r"got \(4, 2\) and \(4, 1\)"),
        (np.zeros((0, 2)), np.arange(0), r"got \(0, 2\) and \(0,\)"),
        (np.array([[0.0, 1.0], [1.0, np.inf]]), np.arange(2), "got NaN or infinity in row 1"),
        (np.zeros((3, 2)), np.array([0, 0, 1]), "each label needs two rows, .* got one of 1"),
    ],
)
def test_features_that_cannot_be_used_are_refused(tmp_path, features, labels, message):
    np.savez(tmp_path / "x.npz", features=features, labels=labels)
    with pytest.raises(ValueError, match=rf"x\.npz: {'.*' * (message[0] != 'm')}{message}"):
        load_data("features", tmp_path / "x.npz")


def test_pixels_are_standardised_channel_by_channel_and_no_deviation_is_below_one():
    pixels = RNG.integers(0, 256, (5, 3, 4, 2), dtype=np.uint8)
    pixels[..., 1] = 7
    found = _standardised(pixels, np.arange(5), names=("a",))
    assert (found.scale.mean[1], found.scale.deviation[1]) == (7.0, 1.0)
    np.testing.assert_allclose(found.scale.mean[0], pixels[..., 0].mean(), rtol=1e-12)
    np.testing.assert_allclose(found.scale.deviation[0], pixels[..., 0].std(), rtol=1e-12)
    other = _standardised(255 - pixels, np.arange(5), like=pixels)
    assert other.scale == found.scale
    assert (found.names, other.names) == (("a",), ())


def test_a_file_of_bytes_may_be_as_large_as_allowed(tmp_path, monkeypatch):
    path = tmp_path / "x.gz"
    content = struct.pack(">BBBBII", 0, 0, 8, 2, 2, 3) + bytes(range(6))
    path.write_bytes(gzip.compress(content))
    monkeypatch.setattr(module, "_LARGEST_IDX", len(content))
    np.testing.assert_array_equal(_read_idx(path), np.arange(6).reshape(2, 3))
    monkeypatch.setattr(module, "_LARGEST_IDX", len(content) - 1)
    with pytest.raises(ValueError, match=r"x\.gz: holds more than 17 bytes\."):
        _read_idx(path)
    for broken, message in (
        (content[:4], "must hold 0 bytes after its header, got -8"),
        (b"\0\0\x09" + content[3:], "is not an IDX file of bytes"),
        (content[:3], "is not an IDX file of bytes"),
    ):
        path.write_bytes(gzip.compress(broken))
        monkeypatch.setattr(module, "_LARGEST_IDX", 2**30)
        with pytest.raises(ValueError, match=rf"x\.gz: {message}"):
            _read_idx(path)
    path.write_bytes(gzip.compress(struct.pack(">BBBB", 0, 0, 8, 0) + b"7"))
    assert _read_idx(path) == ord("7")


def test_an_empty_file_of_records_is_refused(tmp_path):
    path = tmp_path / "x.bin"
    path.touch()
    with pytest.raises(ValueError, match=r"x\.bin: must be a whole number of records of 5 bytes, got 0 bytes"):
        module._records(path, 5)
    path.write_bytes(bytes(range(10)))
    np.testing.assert_array_equal(module._records(path, 5), np.arange(10).reshape(2, 5))


def test_downloads_are_kept_by_their_names_and_need_pooch(tmp_path, monkeypatch):
    asked = []

    def retrieve(url, checksum, path, fname):
        asked.append((url, checksum, fname))
        return str(path / fname)

    pooch = SimpleNamespace(retrieve=retrieve, os_cache=lambda name: tmp_path / name, __spec__=SimpleNamespace())
    monkeypatch.setitem(sys.modules, "pooch", pooch)
    monkeypatch.setattr(module, "require", lambda *what: asked.append(what))
    found = module._download("https://there/some/x.tar.gz", "md5:1")
    assert found == tmp_path / "stationary" / "x.tar.gz"
    assert asked == [
        ("downloading https://there/some/x.tar.gz", "pooch"),
        ("https://there/some/x.tar.gz", "md5:1", "x.tar.gz"),
    ]

    def missing(*what):
        raise MissingExtra("no pooch")

    monkeypatch.setattr(module, "require", missing)
    monkeypatch.setattr(module, "DEBIAN_FASHION_MNIST", tmp_path / "nowhere")
    for name in ("cifar10", "fashion-mnist"):
        with pytest.raises(MissingExtra, match="no pooch"):
            load_data(name)
    assert len(asked) == 2


def test_an_archive_is_unpacked_once(tmp_path):
    archive = tmp_path / "x.tar.gz"
    with tarfile.open(archive, "w:gz") as content:
        info = tarfile.TarInfo("inner/file")
        info.size = 3
        content.addfile(info, io.BytesIO(b"abc"))
    folder = module._extracted(archive)
    assert folder == tmp_path / "x"
    assert (folder / "inner" / "file").read_bytes() == b"abc"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x", "x.tar.gz"]
    archive.unlink()
    assert module._extracted(archive) == folder


def test_fashion_mnist_of_debian_is_read_if_it_is_there(tmp_path, monkeypatch):
    for part, count in (("train", 3), ("t10k", 2)):
        for kind, shape in (("images-idx3", (count, 4, 4)), ("labels-idx1", (count,))):
            header = struct.pack(f">BBBB{len(shape)}I", 0, 0, 8, len(shape), *shape)
            (tmp_path / f"{part}-{kind}-ubyte.gz").write_bytes(gzip.compress(header + bytes(range(np.prod(shape)))))
    monkeypatch.setattr(module, "DEBIAN_FASHION_MNIST", tmp_path)
    train, test = load_data("fashion-mnist")
    assert (train.labels.tolist(), test.labels.tolist(), train.shape) == ([0, 1, 2], [0, 1], (1, 4, 4))
    assert load_data("fashion-mnist-14").test.shape == (1, 2, 2)

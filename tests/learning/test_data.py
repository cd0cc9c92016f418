"""Data sets from small files made here, augmentation, and the files that are refused."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest
import torch

from learning import Images, Streamed, augment, load_data, load_digits
from learning.data import Normalization, joined
from learning.datasets import DEBIAN_FASHION_MNIST

RNG = np.random.default_rng(0)
TRAIN, TEST = 30, 10


def write_idx(path, array):
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    path.write_bytes(gzip.compress(header + array.tobytes()))


@pytest.fixture
def fashion(tmp_path):
    pixels = RNG.integers(0, 256, (TRAIN + TEST, 28, 28), dtype=np.uint8)
    labels = np.arange(TRAIN + TEST, dtype=np.uint8) % 10
    for part, rows in (("train", slice(TRAIN)), ("t10k", slice(TRAIN, None))):
        write_idx(tmp_path / f"{part}-images-idx3-ubyte.gz", pixels[rows])
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte.gz", labels[rows])
    return tmp_path, pixels, labels


def write_cifar(folder, name, files, extra):
    inner = folder / name
    inner.mkdir()
    pixels = RNG.integers(0, 256, (len(files), 20, 3072), dtype=np.uint8)
    labels = RNG.integers(0, 10, (len(files), 20), dtype=np.uint8)
    for file, p, y in zip(files, pixels, labels, strict=True):
        coarse = [np.zeros((20, extra), dtype=np.uint8)]
        (inner / file).write_bytes(np.concatenate([*coarse, y[:, None], p], axis=1).tobytes())
    return pixels, labels


def test_fashion_mnist_is_read_as_written(fashion):
    folder, pixels, labels = fashion
    train, test = load_data("fashion-mnist", folder)
    assert train.images.shape == (TRAIN, 1, 28, 28)
    assert test.images.shape == (TEST, 1, 28, 28)
    np.testing.assert_array_equal(test.labels, labels[TRAIN:])
    mean, deviation = pixels[:TRAIN].mean(), pixels[:TRAIN].std()
    # float32 of numbers of order one
    np.testing.assert_allclose(test.images[:, 0], (pixels[TRAIN:] - mean) / deviation, atol=1e-6)
    assert abs(float(train.images.mean())) < 1e-5


@pytest.mark.skipif(not DEBIAN_FASHION_MNIST.is_dir(), reason="the package dataset-fashion-mnist is not installed")
def test_fashion_mnist_of_the_debian_package_is_whole():
    train, test = load_data("fashion-mnist")
    assert len(train) == 60_000
    assert torch.equal(torch.bincount(train.labels), torch.full((10,), 6000))
    assert torch.equal(torch.bincount(test.labels), torch.full((10,), 1000))
    # the published mean and deviation, 0.2860 and 0.3530 of full scale, to their last digit
    assert float(-train.images.min() * 0.3530) == pytest.approx(0.2860, abs=2e-4)


@pytest.mark.parametrize(
    ("name", "folder", "files", "extra"),
    [
        ("cifar10", "cifar-10-batches-bin", [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"], 0),
        ("cifar100", "cifar-100-binary", ["train.bin", "test.bin"], 1),
    ],
)
def test_cifar_is_read_as_written(tmp_path, name, folder, files, extra):
    pixels, labels = write_cifar(tmp_path, folder, files, extra)
    train, test = load_data(name, tmp_path)
    np.testing.assert_array_equal(train.labels, labels[:-1].ravel())
    np.testing.assert_array_equal(test.labels, labels[-1])
    # red, green, blue planes, row by row
    planes = pixels[:-1].reshape(-1, 3, 32, 32).astype(np.float64)
    mean, deviation = planes.mean((0, 2, 3)), planes.std((0, 2, 3))
    expected = (planes - mean[:, None, None]) / deviation[:, None, None]
    np.testing.assert_allclose(train.images, expected, atol=1e-6)
    assert load_data(name, tmp_path / folder).train.images.shape == train.images.shape


def test_a_folder_of_class_folders(tmp_path):
    image = pytest.importorskip("PIL.Image")
    for label, colour in (("cats", 10), ("dogs", 240)):
        (tmp_path / label).mkdir()
        for i in range(10):
            image.new("RGB", (6, 5), (colour, i, 0)).save(tmp_path / label / f"{i}.png")
    train, test = load_data("folder", tmp_path)
    assert train.images.shape == (16, 3, 5, 6)
    assert torch.bincount(test.labels).tolist() == [2, 2]
    assert bool((train.images[train.labels == 0, 0] < 0).all())  # cats are dark
    assert bool((train.images[train.labels == 1, 0] > 0).all())
    (tmp_path / "dogs" / "broken.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"broken\.png: .*It must be an image"):
        load_data("folder", tmp_path)
    image.new("RGB", (7, 5)).save(tmp_path / "dogs" / "broken.png")
    one = r"broken\.png: images must have one shape, that of the first is \(5, 6, 3\), got \(5, 7, 3\)"
    with pytest.raises(ValueError, match=one):
        load_data("folder", tmp_path)


def test_what_is_not_a_data_set_is_refused(tmp_path, fashion):
    with pytest.raises(ValueError, match=r"data must be one of digits, .*, got 'mnist'"):
        load_data("mnist")
    with pytest.raises(ValueError, match="must be a folder with the files of 'cifar10'"):
        load_data("cifar10", tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"data_batch_1\.bin: no such file"):
        load_data("cifar10", tmp_path)
    with pytest.raises(ValueError, match="folder must be given"):
        load_data("folder")
    (tmp_path / "a").mkdir()
    with pytest.raises(ValueError, match="at least two class folders, got 1"):
        load_data("folder", tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda whole: whole[:-20], ".*It must be a whole gzip file"),
        (lambda whole: gzip.compress(gzip.decompress(whole)[:-1]), "must hold 23520 bytes after its header, got 23519"),
        (lambda whole: gzip.compress(b"PNG."), "is not an IDX file of bytes"),
        (lambda whole: b"", "is not an IDX file of bytes"),
    ],
)
def test_a_broken_file_is_named(fashion, content, message):
    folder, *_ = fashion
    path = folder / "train-images-idx3-ubyte.gz"
    path.write_bytes(content(path.read_bytes()))
    with pytest.raises(ValueError, match=rf"train-images-idx3-ubyte\.gz: {message}"):
        load_data("fashion-mnist", folder)


def test_a_truncated_cifar_file_is_named(tmp_path):
    write_cifar(tmp_path, "cifar-100-binary", ["train.bin", "test.bin"], 1)
    path = tmp_path / "cifar-100-binary" / "train.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"train\.bin: must be a whole number of records of 3074 bytes, got 61479"):
        load_data("cifar100", tmp_path)


def test_crops_are_shifts_and_flips_are_mirrors():
    images = torch.arange(1.0, 1 + 40 * 2 * 6 * 5).reshape(40, 2, 6, 5)
    generator = torch.Generator().manual_seed(0)
    assert augment(images, "none", generator) is images
    shapes = set()
    for kind, flips in (("crop", (False,)), ("crop-flip", (False, True))):
        result = augment(images, kind, generator)
        assert result.shape == images.shape
        for before, after in zip(images, result, strict=True):
            found = [
                (down, right, flip)
                for flip in flips
                for down in range(9)
                for right in range(9)
                if torch.equal(after, naive_crop(before, down, right, flip))
            ]
            assert found, "no shift of up to 4 gives this image"
            shapes.add(found[0])
    assert len(shapes) > 20
    assert {flip for *_, flip in shapes} == {False, True}
    # every shift occurs, and about half of the images are mirrored: 4000 draws, five standard deviations
    many = torch.zeros(4000, 1, 9, 9)
    many[:, :, 4, 3] = 1.0
    found = augment(many, "crop", generator)[:, 0].nonzero()
    assert (set(found[:, 1].tolist()), set(found[:, 2].tolist())) == (set(range(9)), set(range(8)))
    marked = torch.zeros(4000, 1, 9, 40)
    marked[..., 20], marked[..., 25] = 1.0, 2.0
    ends = augment(marked, "crop-flip", generator)[:, 0].amax(dim=1).argmax(dim=1)
    # the brighter column is at 25, or at 14 of the mirror image, each moved by up to four
    assert abs(int((ends > 20).sum()) - 2000) < 5 * 4000**0.5 / 2
    again = augment(images, "crop", torch.Generator().manual_seed(5))
    assert torch.equal(again, augment(images, "crop", torch.Generator().manual_seed(5)))


def naive_crop(image, down, right, flip):
    height, width = image.shape[1:]
    padded = torch.zeros(image.shape[0], height + 8, width + 8)
    padded[:, 4:-4, 4:-4] = image
    crop = padded[:, down : down + height, right : right + width]
    return crop.flip(2) if flip else crop


def test_digit_pairs_are_two_digits_side_by_side_of_one_side_of_the_split():
    train, test = load_data("digit-pairs")
    assert (len(train), len(test), train.num_classes) == (12_000, 4_000, 100)
    assert test.images.shape[1:] == (1, 8, 16)
    digits = load_data("digits")
    for part, source in zip((train, test), digits, strict=True):
        known = {image.numpy().tobytes(): int(label) for image, label in zip(source.images, source.labels, strict=True)}
        for image, label in zip(part.images[:50], part.labels[:50], strict=True):
            halves = [known[half.contiguous().numpy().tobytes()] for half in (image[..., :8], image[..., 8:])]
            assert int(label) == 10 * halves[0] + halves[1]


def test_half_the_resolution_is_the_mean_of_four_pixels(fashion):
    folder, *_ = fashion
    whole, half = (load_data(name, folder).train.images for name in ("fashion-mnist", "fashion-mnist-14"))
    assert half.shape == (TRAIN, 1, 14, 14)
    mean = whole.reshape(TRAIN, 1, 14, 2, 14, 2).mean(dim=(3, 5))
    torch.testing.assert_close(half, mean, atol=1e-6, rtol=0)  # float32 sums of four


def small_images(num=6, names=()):
    generator = torch.Generator().manual_seed(1)
    return Images(torch.randn(num, 2, 3, 4, generator=generator), torch.arange(num) % 3, names=names)


class Held(torch.utils.data.Dataset):
    """Images as a data set that counts what is read."""

    def __init__(self, images, **attributes):
        self.held, self.read = images, []
        vars(self).update(attributes)

    def __len__(self):
        return len(self.held)

    def __getitem__(self, index):
        self.read.append(index)
        return self.held.images[index], int(self.held.labels[index])


def test_images_and_streamed_ones_do_the_same():
    images = small_images()
    streamed = Streamed(Held(images))
    assert streamed.dataset.read == [*range(6), 0]  # labels, and the shape of the first image
    other = torch.tensor([5, 4, 3])
    rows = [torch.tensor([0, 2]), torch.tensor([1])]
    for found, again in (
        (images, streamed),
        (images.subset(other), streamed.subset(other)),
        (images.subset(slice(2, 5)), streamed.subset(slice(2, 5))),
        (images.joined(images.subset(other)), streamed.joined(streamed.subset(other))),
        (images.relabelled(images.labels + 1, ("x",)), streamed.relabelled(images.labels + 1, ("x",))),
        (images.to(torch.device("cpu")), streamed.to(torch.device("cpu"))),
        (joined(images, images), joined(streamed, streamed)),
    ):
        assert (len(found), found.shape, found.num_classes) == (len(again), again.shape, again.num_classes)
        assert torch.equal(found.labels, again.labels)
        assert found.names == again.names
        for one, two in zip(found.batches(rows), again.batches(rows), strict=True):
            assert torch.equal(one.images, two.images)
            assert torch.equal(one.labels, two.labels)
    assert len(joined(images, images)) == 12


def test_classes_are_counted_by_labels_and_names():
    assert small_images().num_classes == 3
    assert small_images(names=("a", "b", "c", "d")).num_classes == 4
    assert small_images(names=("a", "b")).num_classes == 3
    held = small_images()
    assert Streamed(Held(held, classes=["a", "b", "c", "d"])).names == ("a", "b", "c", "d")
    assert Streamed(Held(held, classes=["a", "b", "c", "d"])).num_classes == 4
    assert Streamed(Held(held, classes=["a"]), names=("x",)).names == ("x",)
    assert Streamed(Held(held)).num_classes == 3
    assert Streamed(Held(held, targets=[2, 1, 0, 2, 1, 0])).labels.tolist() == [2, 1, 0, 2, 1, 0]
    given = Streamed(Held(held), rows=torch.tensor([4, 1]), labels=torch.tensor([0, 7]))
    assert (len(given), given.labels.tolist(), given.dataset.read) == (2, [0, 7], [0])
    assert Streamed(Held(held), rows=torch.tensor([4, 5])).labels.tolist() == [1, 2]
    for targets in (torch.arange(6), np.arange(6), [torch.tensor(i) for i in range(6)]):
        assert Streamed(Held(held, targets=targets)).labels.tolist() == list(range(6))


def test_a_digest_is_of_labels_and_pixels():
    images = small_images()
    changed = images.images.clone()
    changed[5, 1, 2, 3] += 1.0
    others = [images.relabelled(images.labels.flip(0)), Images(changed, images.labels), images.subset(slice(5))]
    assert images.digest() == small_images().digest()
    assert len({images.digest(), *(other.digest() for other in others)}) == 4
    streamed = [Streamed(Held(each)) for each in (images, *others)]
    assert len({each.digest() for each in streamed}) == 4
    # of many images 64 are read, evenly spaced from the first to the last
    many = Held(Images(torch.zeros(640, 1, 1, 1), torch.zeros(640, dtype=torch.int64)), targets=torch.zeros(640).long())
    found = Streamed(many)
    many.read.clear()
    found.digest()
    assert many.read == torch.linspace(0, 639, 64).long().tolist()
    half = found.subset(slice(320, None))
    many.read.clear()
    half.digest()
    assert (many.read[0], many.read[-1], len(many.read)) == (320, 639, 64)


def test_what_cannot_be_joined_or_normalised_is_refused():
    held = small_images()
    one, other = Streamed(Held(held)), Streamed(Held(held))
    with pytest.raises(ValueError, match="only images of one data set can be joined"):
        one.joined(other)
    with pytest.raises(ValueError, match="images that are streamed are normalised by the transform of their data set"):
        one.normalised_as(Normalization((0.0,), (1.0,)))
    two = Normalization((1.0, 2.0), (1.0, 4.0))
    scaled = Images(held.images, held.labels, two)
    for images, scale in ((held, two), (scaled, None), (scaled, Normalization((0.0,), (1.0,)))):
        with pytest.raises(ValueError, match="only where both normalisations are known and alike"):
            images.normalised_as(scale)
    assert two.black == (-1.0, -0.5)
    for item in (torch.zeros(2, 3), torch.zeros(1, 2, 3, dtype=torch.int64), np.zeros((1, 2, 3))):
        with pytest.raises(ValueError, match=r"items of a data set must be \(float tensor of shape"):
            Streamed([(item, 0)])


def test_what_a_data_set_needs_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr("theory.extras.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"the data set of digits needs .*\[train\]"):
        load_digits()
    for label in "ab":
        (tmp_path / label).mkdir()
        for i in range(2):
            (tmp_path / label / f"{i}.png").touch()
    with pytest.raises(ImportError, match=r"a folder of images needs .*\[train\]"):
        load_data("folder", tmp_path)

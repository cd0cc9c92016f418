"""The audit on Dask gives the numbers of one process bit by bit, as parts and their order are fixed by the data."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest

from verification import FeatureSet, audit
from verification.distributed import audit_distributed
from verification.statistics import collect as collecting
from verification.statistics.collect import collect
from verification.statistics.rows import choose_rows

pytestmark = pytest.mark.services
dask = pytest.importorskip("dask")

NUM_SAMPLES, DIM = 7500, 16  # too many pairs to look at all


@pytest.fixture(autouse=True)
def three_parts(monkeypatch):
    """Of so few rows; where to cut is decided here, not by the workers."""
    monkeypatch.setattr(collecting, "SMALL", 0)
    monkeypatch.setattr(collecting, "PART_ROWS", 3000)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    labels = rng.integers(7, size=NUM_SAMPLES)
    axes = rng.standard_normal((7, DIM), dtype=np.float32)
    return labels, [axes[labels] + s * rng.standard_normal((NUM_SAMPLES, DIM), dtype=np.float32) for s in (0.9, 1.0)]


@pytest.fixture(scope="module")
def one_file(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    labels, models = data
    for name, features in zip(("new", "old"), models, strict=True):
        np.savez(folder / f"{name}.npz", features=features, labels=labels)
    return tuple(FeatureSet.load(folder / f"{name}.npz") for name in ("new", "old"))


@pytest.fixture(scope="module")
def shards(data, tmp_path_factory):
    """The models cut differently; the old one compressed, so that it is decoded from the beginning of a shard on."""
    folder = tmp_path_factory.mktemp("shards")
    labels, models = data
    for name, save, features, step in zip(
        ("new", "old"), (np.savez, np.savez_compressed), models, (2000, 2500), strict=True
    ):
        (folder / name).mkdir()
        for start in range(0, NUM_SAMPLES, step):
            rows = slice(start, start + step)
            save(folder / name / f"{start:06}.npz", features=features[rows], labels=labels[rows])
    return tuple(FeatureSet.load(folder / name) for name in ("new", "old"))


@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, memory_limit=0
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.mark.parametrize("kind", ["one_file", "shards"])
def test_the_numbers_are_those_of_one_process(kind, request, cluster):
    sets = request.getfixturevalue(kind)
    expected = audit(*sets).to_dict()
    assert audit_distributed(*sets, client=cluster).to_dict() == expected
    with dask.config.set(scheduler="synchronous"):
        assert audit_distributed(*sets).to_dict() == expected


def test_workers_did_the_reading(one_file, cluster, monkeypatch):
    """Negative control: with reading made impossible here, the cluster does not notice, and one process does."""

    class Impossible(Exception):
        pass

    def fail(*args):
        raise Impossible

    expected = audit(*one_file).to_dict()
    monkeypatch.setattr("verification.statistics.collect.usable", fail)
    assert audit_distributed(*one_file, client=cluster).to_dict() == expected
    with pytest.raises(Impossible):
        audit(*one_file)


def test_a_gallery_is_read_by_workers_too(one_file, shards):
    arguments = {"gallery": shards[1], "weights": "classes", "seed": 3}
    with dask.config.set(scheduler="synchronous"):
        assert audit_distributed(*one_file, **arguments).to_dict() == audit(*one_file, **arguments).to_dict()


def test_sums_depend_on_the_order_of_parts(one_file):
    """Negative control of the equality above: merged in another order, bits of float64 features differ."""
    old = FeatureSet(one_file[1].features.astype(np.float64), one_file[1].labels)
    sizes, keep = np.bincount(old.codes), np.arange(0)
    sums, _, _ = collect((old,), old.codes, sizes, keep)
    backwards, _, _ = collect((old,), old.codes, sizes, keep, lambda *args: reversed(list(map(*args))))
    assert not np.array_equal(sums.sums, backwards.sums)
    # three sums of parts: two roundings each of some 10^3 in magnitude
    np.testing.assert_allclose(sums.sums, backwards.sums, rtol=0, atol=4 * 2.0**-53 * 1e3)


def test_parts_of_shards_agree_with_all_rows_at_once(shards, data):
    old, (labels, models) = shards[1], data
    sizes = np.bincount(labels)
    keep = choose_rows(labels, sizes, 500, np.random.default_rng(0))
    sums, rows, _ = collect(shards, old.codes, sizes, keep)
    unit = [x.astype(float) / np.linalg.norm(x.astype(float), axis=1, keepdims=True) for x in models]
    order = np.argsort(labels[keep], kind="stable")
    for kept, exact in zip(rows.models, unit, strict=True):
        np.testing.assert_allclose(kept, exact[keep][order], rtol=(DIM / 2 + 3) * 2.0**-24)
    for total, exact in zip(sums.sums, (unit[0] - unit[1], unit[1]), strict=True):
        expected = [exact[labels == c].sum(axis=0) for c in range(7)]
        # 10^3 terms below 1, each with roundings of 2^-24 in a run of 64, a random walk: √(64·10^3) of them, four times
        np.testing.assert_allclose(total, expected, atol=4 * 256 * 2.0**-24)


def test_where_reading_may_begin(shards, one_file):
    new, old = shards
    assert [new.beginning(row) for row in (0, 1, 2000, 7499, 7500)] == [0, 1, 2000, 7499, 7500]
    assert [old.beginning(row) for row in (0, 1, 2500, 2501, 7500)] == [0, 2500, 2500, 5000, 7500]
    assert [piece.length for piece in new.pieces(1500, 4100)] == [500, 2000, 100]


@pytest.mark.parametrize("kind", [".npz", "compressed", ".npy", ".safetensors", "fortran"])
def test_pieces_are_pickled_as_paths(tmp_path, kind):
    path = tmp_path / (f"f{kind}" if kind.startswith(".") else "f.npz")
    features = np.random.default_rng(0).standard_normal((5000, 8))
    labels = np.arange(5000) % 3
    if kind.startswith("."):
        FeatureSet(features, labels).save(path)
    else:
        save = np.savez_compressed if kind == "compressed" else np.savez
        save(path, features=np.asfortranarray(features) if kind == "fortran" else features, labels=labels)
    read = FeatureSet.load(path)
    start = read.beginning(4000)
    assert start == (5000 if kind == "compressed" else 4000)
    start %= 5000
    sent = pickle.dumps(read.pieces(start, 5000))
    assert len(sent) < 1000
    rows = np.empty((5000 - start, 8))
    with pickle.loads(sent)[0].open() as fill:
        fill(rows)
    np.testing.assert_array_equal(rows, features[start:])


def test_a_bad_row_is_named_by_its_place_in_the_file(one_file, tmp_path, cluster):
    new, old = one_file
    features = np.array(old.features)
    features[7000, 3] = np.nan
    np.savez(tmp_path / "bad.npz", features=features, labels=old.labels)
    bad = FeatureSet.load(tmp_path / "bad.npz")
    message = r"bad.npz: features must be finite, but 1 of 7500 rows are not, the first is row 7000\."
    with pytest.raises(ValueError, match=message):
        audit(new, bad)
    with pytest.raises(ValueError, match=message):
        audit_distributed(new, bad, cluster)


def test_arrays_in_memory_are_refused(one_file):
    held = FeatureSet(np.eye(4), [0, 0, 1, 1])
    with pytest.raises(ValueError, match="old must be loaded from files"):
        audit_distributed(one_file[0], held)
    with pytest.raises(ValueError, match="gallery must be loaded from files"):
        audit_distributed(*one_file, gallery=held)


def test_a_missing_dask_is_told(one_file, monkeypatch):
    for name in ("dask", "dask.base", "dask.delayed"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"stationary-representations\[distributed\]"):
        audit_distributed(*one_file)


def test_dask_is_imported_when_called_only():
    code = "import sys, verification, verification.distributed; assert 'dask' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_more_parts_than_are_under_way_at_once(shards, monkeypatch):
    monkeypatch.setattr("verification.distributed.WINDOW", 2)
    monkeypatch.setattr(collecting, "PART_ROWS", 1000)
    with dask.config.set(scheduler="synchronous"):
        assert audit_distributed(shards[0], shards[0]).to_dict() == audit(shards[0], shards[0]).to_dict()

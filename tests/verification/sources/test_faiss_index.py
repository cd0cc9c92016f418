"""FAISS index files: what was added comes back, in the order of ids, or the file is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.verification.samples import upgrade
from tests.verification.sources.helpers import refused, single
from verification.audit import audit
from verification.features import FeatureSet

pytestmark = pytest.mark.services
faiss = pytest.importorskip("faiss")

N = 600
IDS = np.random.default_rng(1).permutation(np.cumsum(np.random.default_rng(2).integers(1, 5, N)))


def write(path: Path, spec: str, features: FeatureSet, ids: np.ndarray | None = None, metric: int = 1) -> Path:
    """An index beside its labels; with ids, rows and labels are added in the order of ``ids``."""
    index = faiss.index_factory(features.dim, spec, metric)
    rows = np.ascontiguousarray(features.features, np.float32)
    index.train(rows)
    if ids is None:
        index.add(rows)
    else:
        index.add_with_ids(rows, ids)
    faiss.write_index(index, str(path))
    np.save(path.with_suffix(".labels.npy"), features.labels)
    return path


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Small indexes are trained sooner by one thread than by many that wait for each other."""
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    yield
    faiss.omp_set_num_threads(threads)


@pytest.fixture
def pair() -> tuple[FeatureSet, FeatureSet]:
    new, old = (single(each) for each in upgrade(0.5, 0.9, num_samples=N, dim=16))
    return new, old


@pytest.mark.parametrize("spec", ["Flat", "IVF4,Flat", "HNSW8", "IDMap,Flat", "IDMap,HNSW8"])
@pytest.mark.parametrize("metric", [faiss.METRIC_L2, faiss.METRIC_INNER_PRODUCT])
def test_the_report_is_that_of_the_file_to_the_last_digit(tmp_path: Path, pair, spec: str, metric: int) -> None:
    for features, name in zip(pair, ("new", "old"), strict=True):
        features.save(tmp_path / f"{name}.npz")
        ids = np.arange(N) * 3 if spec.startswith("IDMap") else None
        write(tmp_path / f"{name}.index", spec, features, ids, metric)
    new, old = (FeatureSet.load(tmp_path / f"{name}.index") for name in ("new", "old"))
    np.testing.assert_array_equal(new.features, pair[0].features)
    of_files = audit(*(FeatureSet.load(tmp_path / f"{name}.npz") for name in ("new", "old")))
    assert audit(new, old).to_dict() == of_files.to_dict()
    with new.pieces(100, 130)[0].open() as read:
        rows = np.empty((30, 16), np.float32)
        read(rows)
    np.testing.assert_array_equal(rows, pair[0].features[100:130])


@pytest.mark.parametrize("spec", ["IDMap,Flat", "IDMap2,HNSW8", "IVF4,Flat", "IDMap,IVF4,Flat"])
def test_rows_come_in_the_order_of_ids(tmp_path: Path, pair, spec: str, call) -> None:
    path = write(tmp_path / "a.faiss", spec, pair[0], IDS)
    pair[1].save(tmp_path / "new.npz")
    status, _, err = call("audit", tmp_path / "new.npz", path)
    assert status == 2
    assert "has ids of its own: a.ids.npy must say which id each row beside it is of" in err
    np.save(tmp_path / "a.ids.npy", IDS)
    order = np.argsort(IDS)
    loaded = FeatureSet.load(path)
    np.testing.assert_array_equal(loaded.ids, IDS[order])
    np.testing.assert_array_equal(loaded.features, pair[0].features[order])
    np.testing.assert_array_equal(loaded.labels, pair[0].labels[order])
    # the same samples, added in another order to another kind of index
    other = FeatureSet(pair[1].features[order], pair[1].labels[order])
    assert audit(loaded, FeatureSet.load(write(tmp_path / "b.index", "IDMap,Flat", other, IDS[order]))).verdict
    np.save(tmp_path / "a.ids.npy", IDS + 1)
    with pytest.raises(ValueError, match=r"a\.ids\.npy must hold the ids of the index"):
        FeatureSet.load(path)
    np.save(tmp_path / "a.ids.npy", IDS[1:])
    with pytest.raises(ValueError, match=r"a\.faiss: features and ids must have one length, got 600 rows and 599 ids"):
        FeatureSet.load(path)


@pytest.mark.parametrize("spec", ["PQ4x4", "SQ8", "SQfp16", "IVF4,SQ8", "PCA8,Flat", "LSH"])
def test_approximations_are_refused(tmp_path: Path, pair, spec: str, call) -> None:
    path = write(tmp_path / "new.index", spec, pair[0])
    status, out, err = call("audit", path, path, "--json", tmp_path / "r.json")
    assert (status, out) == (2, "")
    assert "an index must keep its vectors exactly (IndexFlat" in err
    assert err.count("\n") == 1
    assert not (tmp_path / "r.json").exists()


def test_bad_files_are_one_sentence(tmp_path: Path, pair, call) -> None:
    outside = tmp_path.parent / f"{tmp_path.name}.files"
    outside.mkdir()
    pair[0].save(tmp_path / "new.npz")
    good = write(outside / "good.index", "Flat", pair[0]).read_bytes()
    labels = (outside / "good.labels.npy").read_bytes()
    for name, content, beside, said in (
        (
            "not.index",
            b"hello world, this is no index",
            labels,
            r"not a readable FAISS index \(Index type .* not rec",
        ),
        ("cut.index", good[:-100], labels, r"is not a readable FAISS index"),
        ("empty.index", b"", labels, r"is not a readable FAISS index"),
        ("broken.index", good, labels[:-8], r"its labels in broken\.labels\.npy: is truncated or damaged"),
    ):
        (outside / name).write_bytes(content)
        if beside:
            (outside / name).with_suffix(".labels.npy").write_bytes(beside)
        outcome = call("audit", tmp_path / "new.npz", outside / name, "--json", tmp_path / "r.json")
        refused(outcome, said, tmp_path)
    bare = outside / "bare.index"
    bare.write_bytes(good)
    refused(call("audit", bare, bare), r"labels are needed to tell what is the same class", tmp_path)
    few = FeatureSet(pair[0].features[:-1], pair[0].labels[:-1])
    index = write(outside / "few.index", "Flat", few)
    np.save(outside / "few.labels.npy", pair[0].labels)
    refused(
        call("audit", tmp_path / "new.npz", index),
        r"features and labels must have one length, got 599 rows and 600",
        tmp_path,
    )
    twice = write(outside / "twice.index", "IDMap,Flat", pair[0], np.sort(np.append(IDS[1:], IDS[5])))
    refused(call("audit", tmp_path / "new.npz", twice), rf"ids must be unique, but {IDS[5]} is that of rows", tmp_path)


def test_a_number_and_its_digits_are_one_id_and_ids_of_other_samples_do_not_pair(pair) -> None:
    def keyed(features: FeatureSet, ids: np.ndarray | None) -> FeatureSet:
        return FeatureSet(features.features, features.labels, ids)

    new, old = keyed(pair[0], np.arange(N)), keyed(pair[1], np.arange(N).astype(str))
    assert audit(new, old).same_class.value == audit(new, keyed(old, np.arange(N))).same_class.value
    with pytest.raises(ValueError, match=r"share no id, the first are 0 and 'sku-0'"):
        audit(new, keyed(old, np.char.add("sku-", np.arange(N).astype(str))))
    old = keyed(old, np.append(np.arange(N - 1), N))
    with pytest.raises(ValueError, match=r"but 1 are in new only and 1 in old only"):
        audit(new, old)
    old = keyed(old, None)  # of a file: there is nothing to compare
    assert audit(new, old).verdict


def test_a_damaged_index_is_one_sentence_also_where_it_would_end_the_process(tmp_path: Path, pair) -> None:
    path = write(tmp_path / "a.index", "IVF4,Flat", pair[0], np.sort(IDS))
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    refused_ones = []
    for _ in range(12):
        content = bytearray(whole)
        at = int(rng.integers(120))  # the header, where sizes are
        content[at : at + 8] = rng.bytes(8)
        path.write_bytes(content)
        try:
            list(FeatureSet.load(path, labels="").blocks())
        except ValueError as error:
            refused_ones.append(str(error))
    assert len(refused_ones) > 6
    assert all(re.match(rf"{path}: [^\n]+$", said) for said in refused_ones), refused_ones

"""A stratified sample: what is drawn, that nothing else is read, and that the report says so."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from tests.command_line import run
from tests.verification.samples import upgrade
from verification.audit.judge import Options, judge
from verification.bridge.relation import relate
from verification.features import FeatureSet
from verification.features.sources import SOURCES, Source
from verification.search.judgements import Judgements
from verification.statistics.stratified import _quotas
from verification.upgrade import Upgrade

SIZES = np.array([300, 60, 20, 5, 2, 1])
LABELS = np.repeat(np.arange(6), SIZES)


@pytest.fixture
def pair() -> tuple[FeatureSet, FeatureSet]:
    new, old = upgrade(0.6, 0.8, labels=LABELS)
    ids = np.arange(1000, 1000 + len(LABELS))
    return FeatureSet(new.features, LABELS, ids), FeatureSet(old.features, LABELS, ids)


def test_each_class_has_its_share_and_two_at_least(pair):
    part, index = Upgrade(*pair).drawn(40)
    assert part.sampled is not None
    assert (part.sampled.rows, part.sampled.of, len(index)) == (40, 388, 40)
    # 40 by share are 30.9, 6.2, 2.1, 0.5, 0.2, 0.1; four classes have the least, and 33 are left to 360 rows
    np.testing.assert_array_equal(np.bincount(part.codes), [28, 5, 2, 2, 2, 1])
    np.testing.assert_array_equal(part.new.ids, part.old.ids)
    np.testing.assert_array_equal(part.old.features, pair[1].features[index])
    np.testing.assert_array_equal(part.new.features, pair[0].features[index])


def test_the_seed_draws(pair):
    first, again, other = (Upgrade(*pair, seed=seed).drawn(40)[1] for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_where_two_of_each_class_do_not_fit_classes_are_drawn():
    labels = np.arange(400) // 4
    part, _ = Upgrade(*upgrade(0.6, 0.8, labels=labels, dim=128)).drawn(60)
    assert part.sampled is not None
    assert (part.sampled.classes, part.sampled.classes_of, len(part.labels)) == (30, 100, 30)
    np.testing.assert_array_equal(np.bincount(part.codes), np.full(30, 2))
    assert "30 of the 100 classes" in part.sampled.sentence
    assert "(--classes drawn)" in part.sampled.sentence


def test_groups_come_whole_and_two_of_each_class():
    labels = np.arange(400) % 4
    groups = np.arange(400) // 20  # 5 rows of each class in each of 20
    new, old = upgrade(0.6, 0.8, labels=labels)
    sets = (FeatureSet(each.features, labels, groups=groups) for each in (new, old))
    part, index = Upgrade(*sets).drawn(60)
    drawn, counts = np.unique(np.stack([labels[index], groups[index]]), axis=1, return_counts=True)
    np.testing.assert_array_equal(counts, 5)
    np.testing.assert_array_equal(np.bincount(drawn[0]), 3)
    assert part.sampled is not None
    assert "by whole groups" in part.sampled.sentence


def test_a_gallery_is_sampled_by_the_same_classes_and_distractors_stay(pair):
    new, old = pair
    items = FeatureSet(np.tile(old.features, (3, 1)), np.tile(LABELS, 3))
    part, _ = Upgrade(new, old, items, distractors=[1]).drawn(50)
    assert part.sampled is not None
    assert (part.sampled.gallery_rows, part.sampled.gallery_of) == (50, 3 * 388)
    assert part.gallery_codes is not None
    assert part.in_search is None  # all are searched
    assert 6 <= np.count_nonzero(part.gallery_codes < 0) <= 8  # 60 of 388 items are nobody
    assert np.all(np.bincount(part.gallery_codes[part.gallery_codes >= 0])[[0, 2, 3, 4, 5]] >= 2)
    assert not np.any(part.codes == 1)


def test_judged_queries_are_sampled_and_their_gallery_is_not(pair):
    new, old = pair
    judged = Judgements(np.arange(388), np.arange(388)[::-1], np.ones(388), 388, 388)
    report = judge(Upgrade(new, old, FeatureSet(old.features), relevance=judged), Options(sample=30))
    assert report.sample is not None
    assert (report.sample.rows, report.sample.gallery_rows, report.sample.by) == (30, 388, "row")
    assert report.retrieval is not None
    assert (report.retrieval.num_queries, report.retrieval.num_gallery) == (30, 388)
    assert "searched whole" in report.sample.sentence


@pytest.mark.parametrize("suffix", [".npz", ".npy", ".safetensors", ".h5", ".parquet", "shards"])
def test_only_rows_that_are_drawn_are_fetched(pair, tmp_path, suffix):
    """All others are NaN, which any reading of them refuses."""
    chosen = Upgrade(*pair).drawn(40)[1]
    paths = []
    for name, features in zip(("new", "old"), pair, strict=True):
        rows = np.full(features.features.shape, np.nan)
        rows[chosen] = features.features[chosen]
        if suffix == ".parquet":  # the finest that it has are row groups
            near = np.unique(chosen // 2)
            near = near[:, None] * 2 + np.arange(2)
            rows[near] = features.features[near]
        paths.append(_write(tmp_path / name, suffix, rows, features))
    report = judge(Upgrade(*(FeatureSet.load(path) for path in paths)), Options(sample=40))
    expected = judge(Upgrade(*pair), Options(sample=40))
    assert report.definition1 is not None
    assert expected.definition1 is not None
    assert report.definition1.same_class.gap == pytest.approx(expected.definition1.same_class.gap, abs=1e-12)
    assert not any("read through" in note for note in report.notes)
    with pytest.raises(ValueError, match="must be finite"):
        judge(Upgrade(*(FeatureSet.load(path) for path in paths)))


def _write(path, suffix, rows, features):
    columns = {"labels": features.labels, "ids": features.ids}
    if suffix == ".npz":
        np.savez(path.with_suffix(suffix), features=rows, **columns)
    elif suffix == ".npy":
        np.save(path.with_suffix(suffix), rows)
        for name, column in columns.items():
            np.save(path.with_suffix(f".{name}.npy"), column)
    elif suffix == ".safetensors":
        from safetensors.numpy import save_file

        save_file({"features": rows, **columns}, path.with_suffix(suffix))
    elif suffix == ".h5":
        h5py = pytest.importorskip("h5py")
        with h5py.File(path.with_suffix(suffix), "w") as file:
            for name, values in {"features": rows, **columns}.items():
                file[name] = values
    elif suffix == ".parquet":
        from pyarrow import parquet

        table = pa.table({"features": list(rows), **columns})
        parquet.write_table(table, path.with_suffix(suffix), row_group_size=2)
    else:
        path.mkdir()
        for part, some in enumerate(np.array_split(np.arange(len(rows)), 4)):
            np.savez(path / f"{part}.npz", features=rows[some], **{n: column[some] for n, column in columns.items()})
        return path
    return path.with_suffix(suffix)


def test_what_cannot_be_fetched_row_by_row_is_said(pair, tmp_path):
    for name, features in zip(("new", "old"), pair, strict=True):
        np.savez_compressed(tmp_path / name, features=features.features, labels=features.labels)
    sets = [FeatureSet.load(tmp_path / f"{name}.npz") for name in ("new", "old")]
    report = judge(Upgrade(*sets), Options(sample=40))
    assert f"{tmp_path}/new.npz: single rows cannot be fetched from it, so it was read through" in report.notes[0]


def test_rows_in_another_order_are_found_though_few_of_them_are_drawn():
    labels = np.arange(600) % 6
    _, old = upgrade(0.6, 0.8, labels=labels)
    near = old.features + 0.02 * np.random.default_rng(0).standard_normal(old.features.shape)
    order = np.concatenate([np.random.default_rng(c).permutation(np.flatnonzero(labels == c)) for c in range(6)])
    shuffled = np.empty_like(near)
    shuffled[np.argsort(labels, kind="stable")] = near[order]
    assert judge(Upgrade(FeatureSet(near, labels), old), Options(sample=30)).sample is not None
    with pytest.raises(ValueError, match="another order inside their classes"):
        judge(Upgrade(FeatureSet(shuffled, labels), old), Options(sample=30))


def test_a_sample_of_everything_is_no_sample(pair):
    whole = Upgrade(*pair)
    assert whole.drawn(388)[0] is whole
    assert judge(whole, Options(sample=5000)).sample is None


def test_slices_follow_their_rows(pair):
    slices = np.where(np.arange(388) % 2, "odd", "even")
    report = judge(Upgrade(*pair), Options(sample=100), slices=slices)
    assert report.retrieval is not None
    _, index = Upgrade(*pair).drawn(100)
    counts = {found.name: found.num_queries for found in report.retrieval.slices}
    # all but the one query of the class of one have something to find
    kept = slices[index][LABELS[index] < 5]
    assert counts == {name: int(np.sum(kept == name)) for name in ("odd", "even")}


@pytest.mark.parametrize("sample", [3, 2.5, True])
def test_too_small_a_sample_is_refused(sample):
    with pytest.raises(ValueError, match=r"sample must be an integer >= 4, got"):
        Options(sample=sample)


def test_a_sample_of_groups_that_do_not_fit_is_refused():
    labels, groups = np.arange(400) % 2, np.arange(400) // 40
    sets = (FeatureSet(each.features, labels, groups=groups) for each in upgrade(0.6, 0.8, labels=labels))
    with pytest.raises(ValueError, match="two groups of two classes have 80 rows, got 50"):
        Upgrade(*sets).drawn(50)


def test_the_command_says_what_it_sampled(pair, tmp_path, capsys, monkeypatch):
    paths = [tmp_path / "new.npz", tmp_path / "old.npz"]
    for features, path in zip(pair, paths, strict=True):
        features.save(path)
    report = [tmp_path / name for name in ("r.json", "r.html", "r.md")]
    options = ("--json", report[0], "--html", report[1], "--markdown", report[2])
    _, out, _ = run(capsys, monkeypatch, "audit", *paths, "--sample", "200", "--seed", "7", *options)
    said = "This is a sample of 200 of 388 rows, drawn by class with seed 7."
    for text in (out, report[1].read_text(), report[2].read_text()):
        assert said in " ".join(text.split())
    written = json.loads(report[0].read_text())
    assert written["sample"]["rows"] == 200
    assert written["provenance"]["options"]["sample"] == 200
    _, out, _ = run(capsys, monkeypatch, "audit", *paths, "--sample", "200", "--summary")
    assert out.endswith("; a sample of 200 of 388 rows\n")


def test_check_looks_at_no_more_than_the_sample(pair, tmp_path, capsys, monkeypatch):
    _, old = pair
    chosen = relate(old, old, sample=60)
    assert (chosen.same, chosen.evidence.num_rows, chosen.total, chosen.complete) == (True, 60, 388, False)
    assert "60 of the 388 rows were drawn with seed 0" in chosen.notes[-1]
    assert relate(old, old, sample=500).complete
    assert not relate(old, old, sample=500).notes
    rows = old.features.copy()
    rows[::2] = np.random.default_rng(0).standard_normal(rows[::2].shape)
    found = relate(FeatureSet(rows, LABELS, old.ids), old, sample=60)
    assert found.relation == "partly changed"
    assert "of 60 rows are equal" in found.sentence
    assert "part of 60 of the 388 rows" in found.sentence
    assert found.rows is not None
    assert np.all(found.rows % 2 == 0)
    old.save(tmp_path / "old.npz")
    arguments = ("check", tmp_path / "old.npz", tmp_path / "old.npz", "--sample", "60")
    status, out, _ = run(capsys, monkeypatch, *arguments)
    assert status == 0
    assert "60 of the 388 rows were drawn" in " ".join(out.split())
    status, _, err = run(capsys, monkeypatch, *arguments, "--rows", tmp_path / "rows.txt")
    assert (status, err) == (2, "stationary: --sample is not used with --rows, which needs all rows.\n")


class Shelf:
    """A store that gives single rows, and loses all others: they are NaN."""

    name, live = "shelf:///", False

    def __init__(self, rows, labels):
        self.rows, self.labels = rows, labels

    def describe(self):
        return {"vector": pa.list_(pa.float64(), self.rows.shape[1]), "label": pa.int64()}, ()

    def batches(self, columns, rows, after=None):
        yield self._batch(columns, np.arange(len(self.rows)))

    def fetch(self, columns, rows, index):
        for start in range(0, len(index), 7):
            yield self._batch(columns, index[start : start + 7])

    def _batch(self, columns, index):
        there = {"vector": pa.array(list(self.rows[index])), "label": pa.array(self.labels[index])}
        return pa.RecordBatch.from_pydict({name: there[name] for name in columns})


def test_a_store_that_gives_single_rows_is_not_read_through(pair, monkeypatch):
    chosen = Upgrade(*pair).drawn(40)[1]
    rows = np.full(pair[1].features.shape, np.nan)
    rows[chosen] = pair[1].features[chosen]
    monkeypatch.setitem(SOURCES, "shelf", Source(lambda address: Shelf(rows, LABELS), ()))
    stored = FeatureSet.load("shelf:///")
    part, index = Upgrade(pair[0], stored).drawn(40)
    np.testing.assert_array_equal(part.old.features, pair[1].features[chosen])
    np.testing.assert_array_equal(index, chosen)
    assert not any("read through" in note for note in part.notes)


@pytest.mark.parametrize(
    ("sizes", "budget", "expected"),
    [
        # 6.35 and 2.65 beside the two that a class has at least: the rest goes to the larger remainder
        ([60, 25, 15], 11, [6, 3, 2]),
        ([50, 30, 21], 10, [5, 3, 2]),
        ([10, 10, 10], 8, [3, 3, 2]),  # of equal remainders to the first
        ([1, 40, 59], 21, [1, 8, 12]),
        ([3, 2, 1], 50, [3, 2, 1]),
        ([40, 40, 1], 3, [2, 2, 1]),
    ],
)
def test_a_budget_is_shared_in_proportion_and_every_class_has_two(sizes, budget, expected):
    assert _quotas(np.array(sizes), budget).tolist() == expected

"""Rows with several labels: how they are read, and that an item answers a query if they share one."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from tests.command_line import run
from verification.audit.judge import Options, judge
from verification.features import FeatureSet
from verification.features.columns import label_lists
from verification.search.judgements import Judgements
from verification.upgrade import Upgrade

RNG = np.random.default_rng(0)
NAMES = np.array(["cat", "dog", "tree", "car", "sea", "sky"])
HAS = RNG.random((120, 6)) < 0.25
LISTS = [NAMES[has].tolist() for has in HAS]
CENTRES = RNG.standard_normal((6, 16))
CLEAN = HAS @ CENTRES + 1e-3 * RNG.standard_normal((120, 16))


def features(noise: float, seed: int) -> np.ndarray:
    return CLEAN + noise * np.random.default_rng(seed).standard_normal(CLEAN.shape)


NEW, OLD = features(0.4, 1), features(1.2, 2)


def hits(queries: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Whether the nearest other item shares a label, of the queries that share one with any: a plain loop."""
    found = []
    for i, query in enumerate(queries):
        others = [j for j in range(len(items)) if j != i]
        if not any(set(LISTS[i]) & set(LISTS[j]) for j in others):
            continue
        cosines = [query @ items[j] / np.linalg.norm(items[j]) for j in others]
        found.append(bool(set(LISTS[i]) & set(LISTS[others[int(np.argmax(cosines))]])))
    return np.array(found)


def write(tmp_path, kind: str, name: str, rows: np.ndarray, lists=LISTS):
    path = tmp_path / f"{name}.{kind}"
    if kind == "parquet":
        parquet.write_table(pa.table({"features": list(rows), "labels": pa.array(lists, pa.list_(pa.string()))}), path)
    elif kind == "jsonl":
        numbered = [[int(np.flatnonzero(label == NAMES)[0]) for label in row] for row in lists]
        lines = [json.dumps({"features": row.tolist(), "labels": own}) for row, own in zip(rows, numbered, strict=True)]
        path.write_text("\n".join(lines) + "\n")
    elif kind == "csv":
        columns = {f"f{i}": column for i, column in enumerate(rows.T)}
        csv.write_csv(pa.table({**columns, "labels": ["|".join(row) for row in lists]}), path)
    else:
        np.savez(path, features=rows, labels=np.array([" | ".join(row) for row in lists]))
    return path


@pytest.mark.parametrize("kind", ["parquet", "jsonl", "csv", "npz"])
def test_an_item_answers_a_query_if_they_share_a_label(kind, tmp_path, capsys, monkeypatch):
    paths = [write(tmp_path, kind, name, rows) for name, rows in (("new", NEW), ("old", OLD))]
    option = ("--label-separator", "|") if kind in ("csv", "npz") else ()
    status, out, _ = run(capsys, monkeypatch, "audit", *paths, *option, "--json", tmp_path / "r.json")
    text = " ".join(out.split())
    assert status == 0
    assert "an item answers a query if they share one" in text
    assert "new queries may search the old gallery. The answer is about new queries like these." in text
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["definition1"] is None
    assert report["retrieval"]["relevance"] == "shared labels"
    (score,) = (found for found in report["retrieval"]["scores"] if found["name"] == "hit@1")
    old, new = hits(OLD, OLD), hits(NEW, OLD)
    assert report["retrieval"]["num_queries"] == len(old)
    assert score["old_old"] == pytest.approx(old.mean(), abs=1e-12)
    assert score["new_old"] == pytest.approx(new.mean(), abs=1e-12)


def test_what_needs_one_label_per_row_is_refused_with_a_sentence(tmp_path, capsys, monkeypatch):
    paths = [write(tmp_path, "parquet", name, rows) for name, rows in (("new", NEW), ("old", OLD))]
    for options, message in (
        (("--decide", "definition-1"), "to decide by definition-1, the data must allow it; here it allows retrieval."),
        (("--far", "0.01"), "threshold needs one label per row, which says what is a false accept, and here rows have"),
        (("--fpir", "0.01"), "fpir needs one label per row"),
    ):
        status, _, err = run(capsys, monkeypatch, "audit", *paths, *options)
        assert status == 2
        assert message in err
    status, _, err = run(capsys, monkeypatch, "plan", paths[1])
    assert status == 2


def test_a_gallery_may_have_one_label_per_row():
    singles = np.array([row[0] if row else "none" for row in LISTS])
    whole = judge(Upgrade(FeatureSet(NEW, LISTS), FeatureSet(OLD, LISTS), FeatureSet(OLD + 0.1, singles)))
    expected = Judgements.from_labels(LISTS, [[name] for name in singles])
    assert whole.retrieval is not None
    assert whole.retrieval.num_queries == int(np.sum(expected.answerable))


def test_lists_that_differ_between_the_models_are_refused():
    other = [row[::-1] for row in LISTS]
    Upgrade(FeatureSet(NEW, other), FeatureSet(OLD, LISTS))  # the order of a row's labels says nothing
    other[3] = ["sea", "moon"]
    with pytest.raises(ValueError, match=r"1 rows differ, the first is row 3: 'moon, sea' and"):
        Upgrade(FeatureSet(NEW, other), FeatureSet(OLD, LISTS))


def test_a_sample_of_rows_with_several_labels():
    report = judge(Upgrade(FeatureSet(NEW, LISTS), FeatureSet(OLD, LISTS)), Options(sample=60))
    assert report.sample is not None
    assert report.retrieval is not None
    assert (report.sample.rows, report.retrieval.num_gallery, report.sample.by) == (60, 60, "row")


def test_too_many_pairs_are_refused_and_a_sample_of_them_is_not(monkeypatch):
    monkeypatch.setattr("verification.upgrade.MOST_SHARED", 4000)
    sets = FeatureSet(NEW, LISTS), FeatureSet(OLD, LISTS)
    with pytest.raises(ValueError, match=r"at most 4,000 can be held: compare a sample \(--sample\)"):
        judge(Upgrade(*sets))
    assert judge(Upgrade(*sets), Options(sample=50)).retrieval is not None


def test_lists_are_written_and_read_again(tmp_path):
    FeatureSet(OLD, LISTS).select(np.arange(50)).save(tmp_path / "some.parquet")
    again = FeatureSet.load(tmp_path / "some.parquet")
    np.testing.assert_array_equal(again.label_lists, label_lists(LISTS[:50]))
    assert again.labels is None
    with pytest.raises(ValueError, match=r"several labels are written to \.parquet, got suffix '\.npz'"):
        FeatureSet(OLD, LISTS).save(tmp_path / "some.npz")


@pytest.mark.parametrize(
    ("labels", "separator", "message"),
    [
        ([["a"], [1]], None, "integers or strings, all of one kind, got int, str"),
        ([[0.5]], None, "got float"),
        (np.arange(3), "|", "must be strings to hold several with a separator, got int64"),
        (["a|b"], "", "the separator of labels must not be empty"),
    ],
)
def test_lists_of_other_things_are_refused(labels, separator, message):
    with pytest.raises(ValueError, match=message):
        label_lists(labels, separator)


def test_missing_lists_and_entries_are_no_labels():
    np.testing.assert_array_equal(label_lists([["b", "a", "b"], None, [], [None, "c"]]), ["a\x1fb", "", "", "c"])
    np.testing.assert_array_equal(label_lists([[2.0, float("nan")], [10]]), ["2", "10"])
    assert label_lists(["a", "b"]) is None

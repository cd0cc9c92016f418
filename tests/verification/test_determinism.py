"""The same numbers whatever the number of threads and of processes, and whatever the order of the shards."""

from __future__ import annotations

from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from tempfile import NamedTemporaryFile

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from verification.audit.judge import Options, judge
from verification.audit.plan import plan
from verification.bridge import bridge, fit_pairs
from verification.bridge.canary import save_canary
from verification.bridge.origin import origin
from verification.bridge.relation import relate
from verification.features import FeatureSet
from verification.upgrade import Upgrade


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Two models, each as one file and as two shards in either order."""
    folder = tmp_path_factory.mktemp("order")
    rng = np.random.default_rng(0)
    labels, means = np.arange(300) % 12, rng.normal(size=(12, 24))
    old = means[labels] + rng.normal(size=(300, 24))
    for name, rows in (("new", old + 0.5 * rng.normal(size=old.shape)), ("old", old)):
        whole = FeatureSet(rows, labels, ids=np.arange(300))
        whole.save(folder / f"{name}.npz")
        parts = (np.arange(120), np.arange(120, 300))
        for order in ("12", "21"):
            (folder / f"{name}{order}").mkdir()
            for place, part in enumerate(order):
                whole.select(parts[int(part) - 1]).save(folder / f"{name}{order}" / f"s{place}.npz")
    return folder


def report(folder: Path, new: str = "new.npz", old: str = "old.npz") -> dict:
    upgrade = Upgrade(FeatureSet.load(folder / new), FeatureSet.load(folder / old))
    return judge(upgrade, Options(threshold=0.5, explain=True)).to_dict()


def numbers(value, path=""):
    """Every number and word of a report, by its place; where it came from is left out."""
    if isinstance(value, dict):
        for name, part in value.items():
            if name not in ("provenance", "notes"):
                yield from numbers(part, f"{path}/{name}")
    elif isinstance(value, list | tuple):
        for place, part in enumerate(value):
            yield from numbers(part, f"{path}/{place}")
    else:
        yield path, value


def test_the_number_of_threads_changes_nothing_but_the_last_digits(folder):
    """BLAS adds in another order with other threads: some units in the last place of a sum of some hundred terms."""
    found = []
    for threads in (1, 4):
        with threadpool_limits(threads):
            found.append(dict(numbers(report(folder))))
    one, many = found
    assert one.keys() == many.keys()
    for place, value in one.items():
        if isinstance(value, float):
            assert many[place] == pytest.approx(value, rel=1e-12, abs=1e-13), place
        else:
            assert many[place] == value, place


def agree(found: dict, expected: dict) -> None:
    """Sums in another order differ by some units in the last place; errors are roots of differences of such sums."""
    assert found.keys() == expected.keys()
    for place, value in expected.items():
        if isinstance(value, float):
            assert found[place] == pytest.approx(value, rel=1e-9, abs=1e-12), place
        else:
            assert found[place] == value, place


def test_shards_in_another_order_give_the_same_numbers(folder):
    """Pairs by id: what is drawn of the rows is drawn by their ids, wherever they stand."""
    whole = dict(numbers(report(folder)))
    assert dict(numbers(report(folder))) == whole  # the same seed
    assert dict(numbers(report(folder, "new12", "old12"))) == whole
    assert dict(numbers(report(folder, "new21", "old12"))) == whole
    agree(dict(numbers(report(folder, "new21", "old21"))), whole)


@pytest.mark.parametrize("grouped", [False, True])
def test_rows_in_any_order_give_the_same_numbers_where_a_part_of_them_is_kept_or_sampled(monkeypatch, grouped):
    """Too many rows to keep, queries to ask and pairs to look at, and a sample; ids of text, in a gallery too."""
    for module, name, value in (
        ("upgrade", "KEPT", 240 * 8),
        ("audit.retrieval", "LEAST_QUERIES", 100),
        ("audit.retrieval", "SEARCH_WORK", 1),
        ("audit.retrieval", "RANKED_PAIRS", 500),
        ("audit.thresholds", "MOST_ROWS", 150),
    ):
        monkeypatch.setattr(import_module(f"verification.{module}"), name, value)
    rng = np.random.default_rng(1)
    labels, means = np.arange(360) % 9, rng.normal(size=(9, 8))
    old = means[labels] + rng.normal(size=(360, 8))
    rows = {"new": old + 0.5 * rng.normal(size=old.shape), "old": old, "gallery": old + rng.normal(size=old.shape)}
    groups = np.arange(360) // 20 if grouped else None

    def judged(turn: np.random.Generator | None, gallery: bool, sample: int | None) -> dict:
        def order() -> np.ndarray:
            return np.arange(360) if turn is None else turn.permutation(360)

        sets = []
        for name in ("new", "old", *(("gallery",) if gallery else ())):
            some = order()
            ids = np.array([f"{name if name == 'gallery' else 'id'}{row:03}" for row in range(360)])
            sets.append(FeatureSet(rows[name][some], labels[some], ids[some], None if groups is None else groups[some]))
        upgrade = Upgrade(*sets, seed=3)
        if sample is not None:
            upgrade, _ = upgrade.drawn(sample)
        return dict(numbers(judge(upgrade, Options(threshold=0.5)).to_dict()))

    for gallery, sample in ((False, None), (True, 200)):
        agree(judged(np.random.default_rng(2), gallery, sample), judged(None, gallery, sample))


def several() -> dict[str, np.ndarray]:
    """Rows of 240 samples of six classes by two models, and a set that mixes them; what is drawn makes a difference."""
    rng = np.random.default_rng(4)
    labels, means = np.arange(240) % 6, rng.normal(size=(6, 8))
    old = means[labels] + rng.normal(size=(240, 8))
    new = (old + 0.3 * rng.normal(size=old.shape)) @ np.linalg.qr(rng.normal(size=(8, 8)))[0]
    names = np.array([f"id{row:03}" for row in rng.permutation(240)])
    mixture = np.where((np.arange(240) % 4 == 0)[:, None], new, old)
    return {"labels": labels, "old": old, "new": new, "mixed": mixture, "ids": names}


def in_shards(folder: Path, name: str, features: FeatureSet, order: np.ndarray) -> FeatureSet:
    """The set in this order, in three shards."""
    (folder / name).mkdir(parents=True)
    for place, part in enumerate(np.array_split(order, [50, 170])):
        features.select(part).save(folder / name / f"s{place}.parquet")
    return FeatureSet.load(folder / name)


def relation(new: FeatureSet, old: FeatureSet, mixed: FeatureSet) -> dict:
    found = [relate(new, old, seed=5), relate(mixed, old, every_row=True), relate(mixed, old, sample=50, seed=5)]
    whose = origin(mixed, new, old, seed=5)
    named = [sorted(old.ids[one.rows].tolist()) for one in found if one.rows is not None]
    named.append(sorted(mixed.ids[whose.rows].tolist()))
    return {"found": [one.to_dict() | {"rows": None} for one in found], "named": named, "mistaken": whose.mistaken}


def bridged(new: FeatureSet, old: FeatureSet, mixed: FeatureSet) -> dict:
    kinds = ["identity", "orthogonal"]
    pairs = [FeatureSet(each.features, ids=each.ids) for each in (new, old)]
    found = bridge(new, old, maps=kinds, seed=5), fit_pairs(*pairs, maps=kinds, seed=5)
    return {"found": [one.to_dict() for one in found], "maps": [one.map.A.tolist() for one in found]}


def planned(new: FeatureSet, old: FeatureSet, mixed: FeatureSet) -> dict:
    return asdict(plan(old, seed=5))


def kept(new: FeatureSet, old: FeatureSet, mixed: FeatureSet) -> dict:
    with NamedTemporaryFile(suffix=".npz") as file:
        save_canary(old, file.name, 20, seed=5)
        canary = FeatureSet.load(file.name)
        return {"ids": canary.ids.tolist(), "features": canary.features.tolist()}


@pytest.mark.parametrize("command", [relation, bridged, planned, kept])
def test_rows_in_any_order_and_any_shards_are_drawn_alike_by_every_command(monkeypatch, tmp_path, command):
    """What ``check``, ``bridge``, ``plan`` and a canary draw: parts of the rows, splits, references, partners."""
    for module, name, value in (
        ("bridge.relation", "ROWS", 60),
        ("bridge.relation", "QUERIES", 40),
        ("bridge.evidence", "COSINE_ROWS", 50),
        ("bridge.origin", "REFERENCES", 60),
        ("bridge.splits", "PART", 60 * 8),
        ("bridge.cost", "SEARCHED", 40),
    ):
        monkeypatch.setattr(import_module(f"verification.{module}"), name, value)
    data = several()
    names = ("new", "old", "mixed")
    sets = {name: FeatureSet(data[name], data["labels"], data["ids"]) for name in names}
    turn = np.random.default_rng(6)
    again = [in_shards(tmp_path, name, sets[name], turn.permutation(240)) for name in names]
    with threadpool_limits(1):
        expected = dict(numbers(command(*sets.values())))
    with threadpool_limits(4):
        agree(dict(numbers(command(*again))), expected)


def test_ids_of_one_set_order_rows_that_are_paired_by_their_place():
    """One set may have no ids: then rows of both stand alike, and those of the other set say in which order."""
    data, turn = several(), np.random.default_rng(7).permutation(240)
    found = []
    for order in (np.arange(240), turn):
        new = FeatureSet(data["new"][order])
        old = FeatureSet(data["old"][order], ids=data["ids"][order])
        found.append(dict(numbers(fit_pairs(new, old, maps=["orthogonal"]).to_dict())))
    agree(*found)

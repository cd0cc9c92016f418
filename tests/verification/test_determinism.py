"""The same numbers whatever the number of threads, and, up to what is drawn, whatever the order of the shards."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from verification.audit.judge import Options, judge
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


def test_shards_in_order_are_the_file_and_in_another_order_give_the_same_answer(folder):
    whole = dict(numbers(report(folder)))
    assert dict(numbers(report(folder))) == whole  # the same seed
    assert dict(numbers(report(folder, "new12", "old12"))) == whole
    # pairs by id; what is drawn of the rows depends on their order, what is summed over all of them does not
    other = report(folder, "new21", "old12")
    turned = dict(numbers(report(folder, "new21", "old21")))
    assert dict(numbers(other)) == whole
    verdicts = [place for place in whole if place.endswith("verdict")]
    assert verdicts
    for place in verdicts:
        assert turned[place] == whole[place], place
    for place in ("/definition1/contrast_gap/fixed/value", "/definition1/contrast", "/retrieval/change/fixed/value"):
        assert turned[place] == pytest.approx(whole[place], rel=1e-9), place

"""Real upgrades: how collections are drawn, how audits are counted, and the page made of what was decided."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks.real import page, samples
from benchmarks.real.calibration import Whole, audit, missed
from benchmarks.real.upgrades import choose
from verification import FeatureSet

LISTING = "\n\n".join(
    f"Package: p{i}\nSource: s{i // 3} (1.0)\nSection: {'non-free/' if i % 2 else ''}section{i % 2}\n"
    f"Description: text {i}\n more: lines"
    for i in range(60)
)


def test_packages_are_read_once_each_with_their_section_and_source():
    known = samples.packages(
        LISTING + "\n\nPackage: copy\nSection: x\nDescription: text 0\n\nPackage: bare\nSection: x"
    )
    assert len(known) == 60
    assert known[4] == samples.Package("p4", "section0", "s1", "text 4")


def test_training_shares_no_source_with_the_collection_and_names_are_answered(monkeypatch):
    monkeypatch.setattr(samples, "PER_SECTION", 10)
    monkeypatch.setattr(samples, "QUERIES", 5)
    monkeypatch.setattr(samples, "FEWEST", 3)
    drawn = samples.text_collections(samples.packages(LISTING))
    assert [sum(each.label == f"section{i}" for each in drawn["sections"]) for i in (0, 1)] == [10, 10]
    own = {name: {each.group for each in drawn[name]} for name in drawn}
    assert own["training"]
    assert not own["training"] & own["sections"]
    assert len(own["names"]) == 5
    assert len({each.label for each in drawn["sources"]}) == 20
    lines = [line.split() for line in samples.judgements(drawn["names"], drawn["sections"])]
    source = {each.id: each.group for name in ("names", "sections") for each in drawn[name]}
    assert {query for query, *_ in lines} == {each.id for each in drawn["names"]}
    assert all(source[query] == source[item] for query, _, item, _ in lines)
    # the same lists, the same collection
    assert samples.text_collections(samples.packages(LISTING)) == drawn


def test_samples_are_read_as_they_were_written(tmp_path):
    own = [samples.Sample("a", "b", "c", 'text with "quotes" and\nlines')]
    samples.write(own, tmp_path / "own.jsonl")
    assert samples.read(tmp_path / "own.jsonl") == own


def test_a_share_of_units_is_chosen_with_all_their_rows():
    labels, groups = np.repeat(["a", "b"], 60), np.tile(np.repeat(np.arange(20), 3), 2).astype(str)
    rows = choose(labels, groups, 0.25, np.random.default_rng(0))
    for label in "ab":
        names, counts = np.unique(groups[rows][labels[rows] == label], return_counts=True)
        assert len(names) == 5
        assert (counts == 3).all()
    assert not np.array_equal(rows, choose(labels, groups, 0.25, np.random.default_rng(1)))


def test_misses_are_counted_on_their_side_with_what_was_promised():
    found = np.array([[0.0, -1.0, 1.0], [2.0, 1.0, 3.0], [-2.0, -3.0, -1.0], [-2.0, -3.0, -1.5]])
    counted = missed(found, 0.0, joint=True)
    assert (counted["compatible"], counted["incompatible"]) == (0.25, 0.5)
    assert counted["promised"] == pytest.approx(0.025)
    assert missed(found, 0.0, joint=False)["promised"] == pytest.approx(0.05)
    assert counted["bias"] == pytest.approx(-0.5 / found[:, 0].std(ddof=1))


@pytest.fixture(scope="module")
def collection():
    """Forty source packages of three descriptions in each of 25 sections; the new model turns and adds noise."""
    rng = np.random.default_rng(0)
    labels = np.repeat([f"section {i:02}" for i in range(25)], 120)
    groups = np.array([f"source {i // 3:04}" for i in range(3000)])
    centres, sources = rng.normal(size=(25, 8)), 0.5 * rng.normal(size=(1000, 8))
    old = np.repeat(centres, 120, axis=0) + np.repeat(sources, 3, axis=0) + 0.3 * rng.normal(size=(3000, 8))
    new = old + 0.4 * rng.normal(size=old.shape)
    ids = np.arange(3000)
    return FeatureSet(new, labels, ids=ids, groups=groups), FeatureSet(old, labels, ids=ids, groups=groups)


def test_the_truth_is_what_a_double_loop_counts(collection):
    new, old = (each.select(np.arange(0, 3000, 5)) for each in collection)
    whole = Whole(new, old, "groups")
    truth = whole.truth()
    same = old.labels[:, None] == old.labels
    meet = old.groups[:, None] != old.groups
    change = (new.unit - old.unit) @ old.unit.T
    # mean squared distances of unit rows, old less new and new less old
    assert truth["1a"] == pytest.approx(2.0 * change[same & meet].mean(), abs=1e-12)
    assert truth["1b"] == pytest.approx(-2.0 * change[~same].mean(), abs=1e-12)
    cosines = old.unit @ old.unit.T, new.unit @ old.unit.T
    far, tar = ([np.mean(c[pairs] >= whole.threshold) for c in cosines] for pairs in (~same, same & meet))
    assert far[0] == pytest.approx(0.01, rel=1e-3)  # all rows were probed
    assert (truth["FAR"], truth["TAR"]) == pytest.approx((far[0] - far[1], tar[1] - tar[0]), abs=1e-12)
    assert not set(old.groups[whole.asked]) & set(old.groups[whole.searched])


@pytest.mark.simulations
def test_an_audit_of_a_subsample_has_an_interval_for_every_claim(collection):
    whole = Whole(*collection, "groups")
    found = audit(whole, 0)
    means = {"1a", "1b", "contrast"}
    weighted = {f"{name}, --weights classes" for name in means}
    assert set(found) == means | weighted | {"recall@1", "recall@1, each other", "FAR", "TAR"}
    for own in found.values():
        for value, lower, upper in own.values():
            assert lower <= value <= upper
    assert found == audit(whole, 0) != audit(whole, 1)


def test_the_page_is_what_was_decided():
    data = json.loads(page.DATA.read_text(encoding="utf-8"))
    text = page.PAGE.read_text(encoding="utf-8")
    assert page.rewritten(text, data) == text
    # a number that was changed by hand is found
    block = text.index("<!-- real calibration -->")
    digit = next(i for i in range(block, len(text)) if text[i].isdigit())
    spoilt = text[:digit] + str((int(text[digit]) + 1) % 10) + text[digit + 1 :]
    assert page.rewritten(spoilt, data) == text
    assert set(page.TABLES) == {name for _, name, _ in page._BLOCK.findall(text)}


def test_erf_in_the_encoder_is_as_near_as_its_formula_says():
    pytest.importorskip("onnx")
    encoders = pytest.importorskip("benchmarks.real.encoders")
    from scipy.special import ndtr

    x = np.linspace(-6.0, 6.0, 10_001)
    # |error of erf| ≤ 1.5e−7, times |x|/2, and float32's rounding
    assert np.abs(encoders._gelu(x) - x * ndtr(x)).max() < 1e-6

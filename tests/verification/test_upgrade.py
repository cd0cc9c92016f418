"""Who is compared with whom: what changes nothing, what changes by a law, and what is refused."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies import Sets, upgrades
from tests.verification.samples import upgrade
from verification.audit.judge import Options, judge
from verification.audit.parts import RetrievalParts
from verification.audit.plan import plan
from verification.features import FeatureSet
from verification.upgrade import Upgrade, _choose_kept, _displaced, _groups, _named, _repeated, connected

OPTIONS = Options(threshold=0.3, k=3)
# what only says where rows came from, or spells numbers out
SPOKEN = ("provenance", "notes", "headline", "summary", "disagreement")
NAMES = ("label", "query", "gallery")
FEW = settings(deadline=None, max_examples=12)


def outcome(upgrade: Upgrade, names: dict[Any, Any] | None = None) -> dict[str, Any] | str:
    """Every number and verdict of a judgement, by where it stands, with the labels' own names; or what was refused."""
    try:
        report = judge(upgrade, OPTIONS).to_dict()
    except ValueError as error:
        return str(error).split(":")[0]
    found: dict[str, Any] = {}

    def walk(value: Any, where: str) -> None:
        if isinstance(value, dict):
            named = value.get("label") if "label" in value else None
            for key, entry in value.items():
                if key in NAMES and names is not None and entry is not None:
                    entry = names[entry]
                at = f"{where}[{names[named] if names else named}]" if named is not None and "[" in where else where
                if key not in SPOKEN and key != "notes":
                    walk(entry, f"{at}.{key}")
        elif isinstance(value, list) and value and isinstance(value[0], dict) and "label" in value[0]:
            for entry in value:  # in the order of the names
                walk(entry, f"{where}[]")
        elif isinstance(value, list):
            for at, entry in enumerate(value):
                walk(entry, f"{where}.{at}")
        else:
            found[where] = value

    walk(report, "")
    # of classes that have no more to lose the first is named
    worst = {name: found.pop(f".definition1.drift.worst.{name}") for name in ("label", "rotated", "tolerates")}
    found["least slack"] = worst["tolerates"] - worst["rotated"]
    return found


def assert_alike(one, other):
    """Equal but for rounding, which an arc cosine near one enlarges to the root of it."""
    if isinstance(one, str) or isinstance(other, str):
        assert one == other
        return
    assert one.keys() == other.keys()
    assert len(one) > 100
    for where, value in one.items():
        if isinstance(value, float) and isinstance(other[where], float):
            assert other[where] == pytest.approx(value, rel=1e-6, abs=1e-6), where
        else:
            assert other[where] == value, where


@FEW
@given(upgrades(), st.integers(0, 2**32 - 1))
def test_rows_with_ids_may_be_in_any_order(sets: Sets, seed: int):
    new, old, gallery = sets.build()
    rng = np.random.default_rng(seed)
    moved = [s if s is None else s.select(rng.permutation(len(s))) for s in (new, old, gallery)]
    assert_alike(outcome(Upgrade(new, old, gallery)), outcome(Upgrade(*moved)))


@FEW
@given(upgrades(), st.integers(0, 2**32 - 1), st.booleans())
def test_labels_and_groups_may_have_any_names(sets: Sets, seed: int, words: bool):
    rng = np.random.default_rng(seed)
    names = rng.permutation(900)[: int(sets.labels.max()) + 1] - 400
    called = np.array([f"class {name}" for name in names]) if words else names
    group_names = np.array(["by day", "at night", "in rain"])[rng.permutation(3)]
    renamed = replace(
        sets,
        labels=called[sets.labels],
        groups=None if sets.groups is None else group_names[sets.groups],
        item_labels=None if sets.item_labels is None else called[sets.item_labels],
        item_groups=None if sets.item_groups is None else group_names[sets.item_groups],
    )
    back = {name.item(): label for label, name in enumerate(called)}
    own = {label: label for label in range(len(called))}
    assert_alike(outcome(Upgrade(*sets.build()), own), outcome(Upgrade(*renamed.build()), back))


@FEW
@given(upgrades(), st.integers(1, 9), st.integers(1, 9))
def test_sets_may_be_cut_into_shards(tmp_path_factory, sets: Sets, new_rows: int, old_rows: int):
    """Bit by bit: rows are read in the same blocks."""
    new, old, gallery = sets.build()
    cut = []
    for features, rows in ((new, new_rows), (old, old_rows)):
        folder = tmp_path_factory.mktemp("shards")
        for start in range(0, len(features), rows):
            some = np.arange(start, min(start + rows, len(features)))
            features.select(some).save(folder / f"{start:04}.npz")
        cut.append(FeatureSet.load(folder))
    assert outcome(Upgrade(*cut, gallery)) == outcome(Upgrade(new, old, gallery))


def with_copies(sets: Sets, rows: np.ndarray) -> Sets:
    """The sets and exact copies of some rows, under ids of their own."""

    def more(values):
        return None if values is None else np.concatenate([values, values[rows]])

    return replace(
        sets,
        new=more(sets.new),
        old=more(sets.old),
        labels=more(sets.labels),
        groups=more(sets.groups),
        ids=np.concatenate([sets.ids, 2000 + np.arange(len(rows))]),
    )


@FEW
@given(upgrades(groups=False, gallery=False), st.integers(0, 1000))
def test_a_copy_makes_its_pairs_count_twice_and_asks_its_query_again(sets: Sets, which: int):
    """The laws that hold: no pair of the copies is counted, every other pair of the row twice; recall over n + 1."""
    row = which % len(sets.labels)
    new, old, _ = sets.build()
    compared = Upgrade(*with_copies(sets, np.array([row])).build())
    assert compared.read().copies == 2
    found = judge(compared, OPTIONS)
    assert any("2 samples are exact copies of another sample of their class" in note for note in found.notes)
    weight = np.ones(len(sets.labels))
    weight[row] = 2.0
    t = 2.0 * (new.unit - old.unit) @ old.unit.T
    pairs = np.outer(weight, weight) * ~np.eye(len(weight), dtype=bool)
    same = sets.labels[:, None] == sets.labels
    one = found.definition1
    # means of a few hundred terms
    assert one.same_class.gap == pytest.approx(np.sum((pairs * t)[same]) / pairs[same].sum(), abs=1e-12)
    assert one.different_class.gap == pytest.approx(-np.sum((pairs * t)[~same]) / pairs[~same].sum(), abs=1e-12)
    assert one.same_class.num_pairs == round(pairs[same].sum())
    cosines = np.where(np.eye(len(weight), dtype=bool), -np.inf, 1.0)
    for name, queries in (("old_old", old), ("new_old", new)):
        nearest = np.argmax(np.where(cosines > 0, queries.unit @ old.unit.T, -np.inf), axis=1)
        hits = sets.labels[nearest] == sets.labels
        recall = found.retrieval.scores[0]
        assert getattr(recall, name) == pytest.approx(np.average(hits, weights=weight))


@FEW
@given(upgrades(groups=False, gallery=False))
def test_a_copy_of_every_row_changes_no_value_and_tells_nothing_more(sets: Sets):
    """Twice as many rows are as many units: gaps, recall, 1b's interval and those for new classes stay."""
    plain = judge(Upgrade(*sets.build()), OPTIONS)
    twice = judge(Upgrade(*with_copies(sets, np.arange(len(sets.labels))).build()), OPTIONS)
    for name in ("same_class", "different_class"):
        one, other = getattr(plain.definition1, name), getattr(twice.definition1, name)
        for bound in ("value", "lower", "upper"):
            # rounding, of errors too, which are roots of differences
            assert getattr(other.drawn, bound) == pytest.approx(getattr(one.drawn, bound), rel=1e-6, abs=1e-9)
        assert other.gap == pytest.approx(one.gap, abs=1e-12)
        assert other.pair_fraction == pytest.approx(one.pair_fraction)
    one, other = plain.definition1.different_class.fixed, twice.definition1.different_class.fixed
    assert (other.lower, other.upper) == pytest.approx((one.lower, one.upper), rel=1e-6, abs=1e-9)
    first, second = plain.retrieval, twice.retrieval
    assert (first.gained, first.lost) == pytest.approx((second.gained, second.lost))
    for name in ("old_old", "new_old", "new_new"):
        assert getattr(second.scores[0], name) == pytest.approx(getattr(first.scores[0], name))
    old = [judged.thresholds.old_far.value for judged in (plain, twice)]
    assert old[1] == pytest.approx(old[0])


@FEW
@given(upgrades(groups=True))
def test_without_the_exclusion_of_groups_shots_of_one_thing_meet(sets: Sets):
    new, old, gallery = sets.build()
    assert Upgrade(new, old, gallery, exclude=("copies",)).grouped is False
    kept, met = (Upgrade(new, old, gallery, exclude=rule).read() for rule in (("copies", "groups"), ("copies",)))
    assert met.units is None
    assert kept.units is not None
    _, group = np.unique(np.stack([sets.labels, sets.groups]), axis=1, return_inverse=True)
    np.testing.assert_array_equal(kept.units[:, None] == kept.units, group.ravel()[:, None] == group.ravel())


def test_copies_of_all_queries_narrow_no_interval_of_recall():
    """A copy finds what its row finds, which links the two; unlinked, √2 would be lost."""
    new, old = upgrade(1.0, 1.2, num_samples=300)
    sets = Sets(
        new=new.features, old=old.features, labels=old.labels, ids=np.arange(300), groups=None, items=None,
        item_labels=None, item_groups=None,
    )  # fmt: skip
    once, twice = (
        judge(Upgrade(*some.build())).retrieval.change.fixed for some in (sets, with_copies(sets, np.arange(300)))
    )
    assert twice.value == pytest.approx(once.value)
    # half a query's continuity correction, and links that only one of two copies has
    assert twice.half > 0.9 * once.half


def test_a_group_for_each_class_is_told():
    new, old = (some_sets(seed=seed, groups=np.arange(12) % 3) for seed in (0, 1))
    with pytest.raises(ValueError, match=r"no two samples of one class may meet: .* Name another column of groups"):
        judge(Upgrade(new, old))
    twins = FeatureSet(np.repeat(np.random.default_rng(0).standard_normal((2, 3)), 3, axis=0), np.repeat([0, 1], 3))
    with pytest.raises(ValueError, match="no two samples of one class may meet"):
        judge(Upgrade(twins, twins))
    assert judge(Upgrade(new, old, exclude=("copies",))).definition1.same_class.num_pairs == 36


# ---- joining


def some_sets(rows: int = 12, dim: int = 3, seed: int = 0, **columns) -> FeatureSet:
    columns.setdefault("labels", np.arange(rows) % 3)
    return FeatureSet(np.random.default_rng(seed).standard_normal((rows, dim)), **columns)


def test_what_only_one_set_has_is_left_out_and_counted():
    new = some_sets(ids=np.arange(12), labels=np.arange(12) % 3)
    old = some_sets(ids=np.arange(3, 15), labels=np.arange(3, 15) % 3, seed=1)
    with pytest.raises(ValueError, match=r"3 are in new only and 3 in old only, such as 0 and 12; join=.inner"):
        Upgrade(new, old)
    upgrade = Upgrade(new, old, join="inner")
    assert "9 rows were joined by their ids; 3 ids are in new only and 3 in old only" in upgrade.notes[0]
    np.testing.assert_array_equal(upgrade.new.ids, np.arange(3, 12))
    np.testing.assert_array_equal(upgrade.old.ids, np.arange(3, 12))
    np.testing.assert_array_equal(upgrade.new.features, new.features[3:])
    np.testing.assert_array_equal(upgrade.old.features, old.features[:9])


def test_rows_without_identity_and_distractors():
    labels = np.array([0, 0, 1, 1, 2, 2, 7, 7, 9, 9, 1, 0])
    new, old = (some_sets(labels=labels, seed=seed) for seed in (0, 1))
    upgrade = Upgrade(new, old, ignore=(7,), distractors=("9",))  # as a command line names them
    np.testing.assert_array_equal(upgrade.codes, [0, 0, 1, 1, 2, 2, -1, -1, -1, -1, 1, 0])
    np.testing.assert_array_equal(upgrade.in_search, labels != 7)
    assert any(note.startswith("2 queries have no label, or one that is ignored") for note in upgrade.notes)
    assert any(note.startswith("2 queries are distractors") for note in upgrade.notes)
    found = judge(upgrade, Options())
    assert found.definition1.num_samples == 8
    assert found.retrieval.num_queries == 8
    assert found.retrieval.num_gallery == 10
    words = np.array(["a", "b", "junk"])[labels % 3]
    assert np.sum(Upgrade(*(some_sets(labels=words),) * 2, ignore=("junk",)).codes < 0) == np.sum(words == "junk")


def one_class() -> FeatureSet:
    return some_sets(labels=np.zeros(12, int))


@pytest.mark.parametrize(
    ("sets", "options", "message"),
    [
        ((some_sets(12), some_sets(9)), {}, r"same samples, got 12 and 9 rows; where both have ids \(--ids\)"),
        (
            (some_sets(ids=np.arange(12)), some_sets(ids=np.arange(50, 62))),
            {},
            "share no id, the first are 0 and 50: they are not of the same samples, or their ids are written in",
        ),
        (
            (some_sets(ids=np.arange(12)), some_sets(ids=np.arange(1, 13))),
            {},
            r"but 1 are in new only and 1 in old only, such as 0 and 12; join=.inner. \(--join inner\)",
        ),
        (
            (some_sets(ids=np.arange(12)), some_sets(ids=np.char.zfill(np.arange(12).astype(str), 3))),
            {},
            "share no id, the first are 0 and '000'",
        ),
        (
            (some_sets(ids=["caf\u00e9", *"abcdefghijk"]), some_sets(ids=["cafe\u0301", *"abcdefghijk"])),
            {},
            r"1 are in new only and 1 in old only, such as 'caf\u00e9' and 'cafe\\u0301'; join",
        ),
        (
            (some_sets(), some_sets(labels=np.arange(12)[::-1] % 3)),
            {},
            r"equal labels row by row, but 8 rows differ, the first is row 0: 0 and 2. If rows are in another order",
        ),
        ((some_sets(), some_sets(labels=(np.arange(12) % 3).astype(str))), {}, "must have labels of one kind"),
        (
            (some_sets(), some_sets(labels=[None] * 12)),
            {},
            r"^old must have labels where the other set has them, but none of its 12 rows has one: name the column",
        ),
        (
            (some_sets(groups=np.arange(12)), some_sets(groups=np.arange(12)[::-1] // 6)),
            {},
            r"equal groups row by row, but 11 rows differ, the first is row 0: 0 and 1",
        ),
        (
            (*[some_sets(ids=np.arange(12))] * 2, some_sets(ids=np.arange(8, 20))),
            {},
            r"gallery share must have equal labels, but 4 of 4 differ, the first is 8: 2 and 0. An id names one "
            r"sample, .* \(--ids\)",
        ),
        (
            (*[some_sets(ids=np.arange(12))] * 2, some_sets(ids=np.arange(11, 23), labels=np.arange(12) % 3 - 1)),
            {"distractors": (-1,)},
            "share must have equal labels, but 1 of 1 differ, the first is 11: 2 and 'a distractor'",
        ),
        ((some_sets(), some_sets(dim=4)), {}, r"one dimension, got 3 and 4; a map can bring them .*stationary bridge"),
        ((some_sets(), some_sets(), None, some_sets()), {}, r"a new gallery is .* give the gallery too \(--gallery\)"),
        ((some_sets(), some_sets(), some_sets(dim=5)), {}, "gallery must have the samples' dimension 3, got 5"),
        (
            (some_sets(), some_sets(), some_sets(), some_sets(9)),
            {},
            "new gallery and gallery must hold the same samples, got 9 and 12 rows",
        ),
        ((some_sets(), some_sets()), {"join": "outer"}, "join must be 'exact' or 'inner', got 'outer'"),
        ((some_sets(), some_sets()), {"exclude": ["twins"]}, "exclude must be of copies, groups, got 'twins'"),
        ((some_sets(), some_sets()), {"seed": -1}, "seed must be an integer >= 0, got -1"),
        ((some_sets(), some_sets()), {"ignore": (8,)}, "no row has the label 8 that was named"),
        ((some_sets(), some_sets()), {"distractors": ("x",)}, "labels are integers here, but 'x' was named as one"),
    ],
)
def test_sets_that_do_not_belong_together(sets, options, message):
    with pytest.raises(ValueError, match=message):
        Upgrade(*sets, **options)


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        ((some_sets(labels=None),) * 2, r"labels are needed .* name their column \(--labels\), .*stationary check"),
        ((one_class(),) * 2, "at least two classes, got one: 0"),
        ((one_class(),) * 3, "samples and gallery must name at least two classes, got one: 0"),
        ((some_sets(labels=np.arange(12)),) * 2, "some class two samples, got one sample in every class"),
        ((some_sets(), some_sets(), some_sets(labels=None)), r"the gallery has no labels, .* name their column"),
        ((some_sets(), some_sets(), some_sets(labels=np.full(12, 8))), "gallery must share a class with the samples"),
    ],
)
def test_what_has_no_pairs_is_refused(sets, message):
    with pytest.raises(ValueError, match=message):
        Upgrade(*sets).check_pairs()
    with pytest.raises(ValueError, match=message):
        judge(Upgrade(*sets))


# ---- the order inside classes


def ordered(seed: int = 0, noise: float = 0.05):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(6), 20)
    old = rng.standard_normal((120, 16)) + rng.standard_normal((6, 16))[labels]
    return old + noise * rng.standard_normal(old.shape), old, labels


def within_classes(labels: np.ndarray, classes, seed: int = 0) -> np.ndarray:
    """An order of the rows that moves every row of some classes to another place of its class."""
    order = np.arange(len(labels))
    for c in classes:
        own = np.flatnonzero(labels == c)
        order[own] = np.roll(own, 1)
    return order


@pytest.mark.parametrize("classes", [range(6), [2]])
def test_another_order_inside_classes_is_refused(classes):
    new, old, labels = ordered()
    moved = FeatureSet(new[within_classes(labels, classes)], labels)
    message = rf"another order inside their classes: {20 * len(list(classes))} of 120 new rows .* Give both sets ids"
    with pytest.raises(ValueError, match=message):
        Upgrade(moved, FeatureSet(old, labels)).check_order()
    with pytest.raises(ValueError, match="another order inside their classes"):
        judge(Upgrade(moved, FeatureSet(old, labels)))


def test_rows_in_order_another_space_and_ids_are_not_refused():
    new, old, labels = ordered()
    Upgrade(FeatureSet(new, labels), FeatureSet(old, labels)).check_order()
    # another space: nearest rows mean nothing
    turn = np.linalg.qr(np.random.default_rng(1).standard_normal((16, 16)))[0]
    order = within_classes(labels, range(6))
    Upgrade(FeatureSet((new @ turn)[order], labels), FeatureSet(old, labels)).check_order()
    # ids say how rows pair
    ids = np.arange(120)
    upgrade = Upgrade(FeatureSet(new[order], labels, ids[order]), FeatureSet(old, labels, ids))
    upgrade.check_order()
    assert math.isclose(
        judge(upgrade).definition1.same_class.gap,
        judge(Upgrade(FeatureSet(new, labels), FeatureSet(old, labels))).definition1.same_class.gap,
        rel_tol=1e-9,
    )


@pytest.mark.parametrize(
    ("ids", "how"), [(None, "row by row, which no labels confirm"), (np.arange(400), "joined by its ids")]
)
def test_labels_that_one_set_takes_from_the_other_are_said(ids, how):
    new, old = upgrade(0.6, 0.8)
    for without, has in (("old", "new"), ("new", "old")):
        sets = {
            name: FeatureSet(each.features, each.labels if name == has else None, ids)
            for name, each in (("new", new), ("old", old))
        }
        said = f"The {without} set has no labels of its own and takes those of the {has} set, {how}."
        assert said in judge(Upgrade(**sets)).notes
    assert not any("no labels of its own" in note for note in judge(Upgrade(new, old)).notes)


def test_labels_that_differ_for_one_id_are_not_to_be_mended_with_ids():
    new, old = upgrade(0.6, 0.8)
    ids, labels = np.arange(400), old.labels.copy()
    labels[7] += 1
    with pytest.raises(ValueError, match=r"joined by their ids, so a label or an id of one set is wrong"):
        Upgrade(FeatureSet(new.features, labels, ids), FeatureSet(old.features, old.labels, ids))


def test_an_item_that_nobody_finds_may_have_the_id_of_a_query():
    queries = some_sets(ids=np.arange(12))
    labels = np.append(np.arange(11) % 3, 7)
    gallery = some_sets(ids=np.append(np.arange(100, 111), 3), labels=labels, seed=1)
    assert judge(Upgrade(queries, queries, gallery, ignore=(7,))).retrieval.num_gallery == 11


def test_one_name_of_a_group_under_two_labels_names_two_groups():
    """Two people before one camera: what is excluded, and what is a unit, is of one label and one group."""
    rng = np.random.default_rng(3)
    labels = np.arange(60) % 4
    shared = np.arange(60) // 12  # each name under every label
    old = np.eye(4)[labels] + rng.standard_normal((60, 4))
    rows = old + 0.5 * rng.standard_normal(old.shape), old, old[::-1] + rng.standard_normal(old.shape)
    found = []
    for groups in (shared, shared + 100 * labels):
        sets = [
            FeatureSet(own, label, groups=group)
            for own, label, group in zip(
                rows, (labels, labels, labels[::-1]), (groups, groups, groups[::-1]), strict=True
            )
        ]
        parts = RetrievalParts(*sets[:2]).add(sets[2], 0).report()
        found.append((outcome(Upgrade(*sets)), outcome(Upgrade(*sets[:2])), parts))
    assert found[0] == found[1]
    assert found[0][0][".retrieval.unit"] == "group"


def test_groups_of_one_set_are_those_of_the_other():
    rng = np.random.default_rng(4)
    labels, ids, groups = np.arange(60) % 4, np.arange(60), np.arange(60) // 8
    old = np.eye(4)[labels] + rng.standard_normal((60, 4))
    new, other = old + 0.5 * rng.standard_normal(old.shape), rng.permutation(60)
    both = Upgrade(FeatureSet(new, labels, ids, groups), FeatureSet(old, labels, ids, groups))
    one = Upgrade(FeatureSet(new, None, ids, groups).select(other), FeatureSet(old, labels, ids))
    said = "The old set has no groups of its own and takes those of the new set."
    assert said in one.notes
    assert not any("no groups" in note for note in both.notes)
    assert outcome(one) == outcome(both)
    gallery = FeatureSet(old + rng.standard_normal(old.shape), labels, groups=groups)
    parts = [RetrievalParts(each.new, each.old).add(gallery, 0).report() for each in (both, one)]
    assert parts[0] == parts[1]
    bare = FeatureSet(old, labels)
    assert any(
        note.startswith("The gallery has groups and the queries have none")
        for note in Upgrade(bare, bare, gallery).notes
    )


def test_an_id_that_is_an_integer_in_one_file_and_its_digits_in_another_is_one_id():
    ids, other = np.arange(12), np.random.default_rng(0).permutation(12)
    old, gallery = some_sets(ids=ids), some_sets(seed=1)
    new = FeatureSet(old.features + 0.1, old.labels, ids.astype(str)).select(other)
    np.testing.assert_array_equal(Upgrade(new, old).new.ids, ids.astype(str))
    found = []
    for names in (ids, ids.astype(str), np.char.add("g", ids.astype(str))):
        items = FeatureSet(gallery.features, gallery.labels, names)
        found.append(Upgrade(new, old, items).read().in_gallery)
    assert found == [12, 12, 0]


def test_a_plan_takes_rows_without_a_label():
    rng = np.random.default_rng(5)
    labels = [None if row % 7 == 0 else row % 4 for row in range(80)]
    rows = rng.standard_normal((80, 6)) + 2.0 * np.eye(6)[np.arange(80) % 4]
    old = FeatureSet(rows, labels, groups=np.arange(80) // 8)
    known = [row for row in range(80) if labels[row] is not None]
    needs = plan(old).needs
    assert [need.have for need in needs] == [need.have for need in plan(old.select(known)).needs]
    assert {need.unit for need in needs} == {"group"}


def test_units_are_what_a_loop_over_shared_numbers_joins():
    one, two = np.array([0, 0, -1, 1, -1, 2]), np.array([-1, 3, 3, -1, -1, -1])
    joined = connected([one, two], 6)
    assert len(set(joined.tolist())) == 4
    assert joined[0] == joined[1] == joined[2]
    alone = connected([one], 6)
    np.testing.assert_array_equal(alone, [0, 0, 5, 1, 7, 2])
    assert _repeated(np.array([5, 7, 5, 5, 7, 9]), np.array([0, 1, 0, 1, -1, 0])).tolist()[3:] == [-1, -1, -1]
    repeated = _repeated(np.array([5, 7, 5, 7, 7, 9]), np.array([0, 1, 0, 1, -1, 0]))
    assert repeated[0] == repeated[2] >= 0
    assert repeated[1] == repeated[3] >= 0
    assert len({repeated[0], repeated[1], -1}) == 3
    assert repeated[4:].tolist() == [-1, -1]
    assert _repeated(np.array([5, 5]), np.array([-1, -1])).tolist() == [-1, -1]
    groups = _groups(np.array([0, 0, 1, 1, -1]), np.array([4, 4, 4, 5, 5]))
    assert groups[0] == groups[1] != groups[2] != groups[3]
    assert groups[4] == -1


def test_displaced_rows_of_a_class_are_the_loop():
    rng = np.random.default_rng(3)
    old = rng.standard_normal((12, 5))
    old /= np.linalg.norm(old, axis=1, keepdims=True)
    order = np.array([1, 0, 2, 3, 5, 6, 4, 7, 8, 9, 10, 11])
    new = old[order] + 0.02 * rng.standard_normal((12, 5))
    new /= np.linalg.norm(new, axis=1, keepdims=True)
    assert _displaced(new, old) == (5, 7)


def test_labels_are_named_as_text_or_as_numbers():
    np.testing.assert_array_equal(_named(np.array([3, 5, 7]), ["7", 3]), [2, 0])
    np.testing.assert_array_equal(_named(np.array(["3", "x"]), [3, "x"]), [0, 1])
    with pytest.raises(ValueError, match="labels are integers here, but 'x' was named as one"):
        _named(np.array([3]), ["x"])
    with pytest.raises(ValueError, match="no row has the label 4 that was named"):
        _named(np.array([3]), ["4"])


def test_rows_are_kept_in_proportion_and_of_a_group_all_or_none():
    codes, rng = np.repeat([0, 1, -1], [30, 10, 5]), np.random.default_rng(0)
    sizes = np.array([30, 10])
    np.testing.assert_array_equal(_choose_kept(codes, sizes, None, None, 40, rng), np.arange(40))
    kept = _choose_kept(codes, sizes, None, None, 20, rng)
    assert 20 <= len(kept) < 30
    assert np.bincount(codes[kept])[0] == 15
    codes, units = np.repeat([0, 1, -1], [300, 100, 5]), np.repeat(np.arange(81), 5)
    kept = _choose_kept(codes, np.array([300, 100]), units, None, 200, rng)
    assert np.bincount(units[kept], minlength=81).tolist().count(5) == len(kept) / 5
    assert 200 <= len(kept) < 300
    assert codes[kept].min() == 0
    np.testing.assert_array_equal(kept, np.sort(kept))


def test_remarks_about_lengths_and_large_classes():
    rows = np.random.default_rng(0).standard_normal((40, 4))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    labels = np.repeat([0, 1, 2], [36, 2, 2])
    one = Upgrade(FeatureSet(rows, labels), FeatureSet(rows, labels))
    (said,) = one.findings()
    assert said.startswith("Class 0 has 100% of all pairs of one class")
    assert one.identical
    assert one.small
    assert one.lengths_note is None
    long = Upgrade(FeatureSet(rows, labels), FeatureSet(rows * np.linspace(1.0, 3.0, 40)[:, None], labels))
    assert "Rows have lengths from 1 to 3 and are normalised here" in long.lengths_note
    assert long.identical
    assert not Upgrade(FeatureSet(np.roll(rows, 1, axis=0), labels), FeatureSet(rows, labels)).identical
    even = np.arange(40) % 4
    assert not list(Upgrade(FeatureSet(rows, even), FeatureSet(rows, even)).findings())
    half = Upgrade(FeatureSet(rows.astype(np.float16), even), FeatureSet(rows, even))
    assert half.roundoff == 2.0**-11
    assert half.rounding == pytest.approx(24.0 * 2.0**-11 / np.sqrt(40) + 8.0 * 4 * 2.0**-53)

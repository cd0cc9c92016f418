"""Columns of labels, ids and groups at the ends of what they may hold, and the names under which they are found."""

from __future__ import annotations

import numpy as np
import pytest

from verification.features.columns import (
    SEPARATOR,
    Columns,
    Names,
    check_column,
    check_unique,
    encode,
    examples,
    known,
    label_lists,
    places,
)
from verification.features.selection import Selection, Where


@pytest.mark.parametrize(
    ("values", "found", "present"),
    [
        ([1, 2], [1, 2], None),
        ([1.0, np.nan, 3.0], [1, 0, 3], [True, False, True]),
        (np.array([1.0, 2.0**53 - 1, np.nan]), [1, 2**53 - 1, 0], [True, True, False]),
        (np.array(["a", None, "b"], object), ["a", "", "b"], [True, False, True]),
        (np.array([3, None], object), [3, 0], [True, False]),
        (np.array([2**64 - 1, None], object), [2**64 - 1, 0], [True, False]),
        (np.ma.array([4, 5], mask=[False, True]), [4, 0], [True, False]),
        (np.ma.array(["x", "y"], mask=[True, False]), ["", "y"], [False, True]),
        (np.array([b"\xc3\xa4", b"b"]), ["ä", "b"], None),
        (np.array([1, 2], ">i4"), [1, 2], None),
        (np.array([None, None], object), [0, 0], [False, False]),
    ],
)
def test_values_and_which_of_them_are_there(values, found, present):
    array, there = known(values, "labels")
    assert array.tolist() == found
    assert (None if there is None else there.tolist()) == present
    assert array.dtype.isnative


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([1.5, np.nan]), "labels must be integers or strings, got float64 with fractions or beyond 2.53"),
        (np.array([2.0**53, np.nan]), "got float64 with fractions or beyond"),
        (np.array([1, "a", None], object), "labels must be all integers or all strings, got int, str"),
        (np.array([True, None], object), "got bool"),
        (np.array([2**64, None], object), "labels must be integers of 64 bits, got a larger one"),
        (np.array([b"\xff"]), "labels must be strings in UTF-8"),
        (np.zeros((2, 2), int), r"labels must have shape \(N,\), got \(2, 2\)"),
        (np.array([1.0, 2.0]), "labels must be integers or strings, got float64"),
        (np.array([True]), "labels must be integers or strings, got bool"),
    ],
)
def test_values_that_are_no_labels(values, message):
    with pytest.raises(ValueError, match=message):
        known(values, "labels")


def test_columns_before_they_are_read():
    for what, dtype in (("labels", "f8"), ("labels", "S3"), ("labelled", "?"), ("ids", "u8"), ("ids", "U4096")):
        check_column((3,), np.dtype(dtype), what, 3)
    for what, dtype in (("labels", "?"), ("labelled", "f8"), ("ids", "f8"), ("groups", "O")):
        with pytest.raises(ValueError, match=f"{what} must be integers or strings, got"):
            check_column((3,), np.dtype(dtype), what, 3)
    with pytest.raises(ValueError, match="labels must be integers or strings, got float64"):
        check_column((3,), np.dtype("f8"), "labels")
    with pytest.raises(ValueError, match="features and ids must have one length, got 4 rows and 3 ids"):
        check_column((3,), np.dtype("i8"), "ids", 4)
    with pytest.raises(ValueError, match="ids must be strings of at most 4096 characters, got <U4097"):
        check_column((3,), np.dtype("U4097"), "ids", 3)


def test_lists_of_labels_are_sorted_each_once():
    lists = label_lists([["b", "a", "b"], None, [], ["c", None]])
    assert lists.tolist() == [f"a{SEPARATOR}b", "", "", "c"]
    assert label_lists([[2, 10, 2.0], [1]]).tolist() == [f"10{SEPARATOR}2", "1"]
    assert label_lists(["b| a|", "", "|c"], "|").tolist() == [f"a{SEPARATOR}b", "", "c"]
    assert label_lists(["b", "a"]) is None
    assert label_lists(np.array([1, 2])) is None
    for values, separator, message in (
        ([["a"], [1]], None, "lists of labels must hold integers or strings, all of one kind, got int, str"),
        ([[1.5]], None, "all of one kind, got float"),
        ([1, 2], "|", "labels must be strings to hold several with a separator, got int64"),
        (["a"], "", "the separator of labels must not be empty"),
    ):
        with pytest.raises(ValueError, match=message):
            label_lists(values, separator)


@pytest.mark.parametrize("kind", ["i8", "u8", "i1", "U3"])
def test_codes_are_positions_among_the_sorted_values(kind):
    values = np.array([7, 3, 7, 5, 3]).astype(kind)
    names, codes = encode(values, None)
    assert names.tolist() == sorted(set(values.tolist()))
    assert codes.tolist() == [2, 0, 2, 1, 0]
    some = np.array([True, False, True, True, False])
    names, codes = encode(values, some)
    assert (len(names), codes.tolist()) == (2, [1, -1, 1, 0, -1])
    # far apart, they have no table
    wide = np.array([0, 10**6, 5])
    assert [part.tolist() for part in encode(wide, None)] == [[0, 5, 10**6], [0, 2, 1]]
    assert [part.tolist() for part in encode(np.array([2**63, 2**63 + 2], np.uint64), None)] == [
        [2**63, 2**63 + 2],
        [0, 1],
    ]


def test_ids_are_found_by_their_values_or_their_digits():
    assert places(np.array([5, 3, 9]), np.array([9, 4, 5])).tolist() == [2, -1, 0]
    assert places(np.array(["7", "007"]), np.array([7, 8])).tolist() == [0, -1]
    check_unique(np.array([1, 2]))
    check_unique(np.array(["a", "A"]))
    for ids, message in ((np.array([4, 1, 4]), "4 is that of rows 0 and 2"), (np.array(["a", "a"]), "'a' is that of")):
        with pytest.raises(ValueError, match=f"ids must be unique, but {message}"):
            check_unique(ids)
    assert examples(np.array(["é", "x"]), np.array(["e\u0301"]), np.array([3])) == "'é' and 'e\\u0301' and 3"
    assert examples(np.array([], int), np.array([3])) == "3"


def test_columns_are_checked_taken_and_joined():
    columns = Columns.of(3, ["a", "b", "c"], ids=[3, 1, 2], groups=[0, 0, 1], labelled=[1, 0, 1])
    assert columns.labelled.tolist() == [True, False, True]
    assert list(columns.named) == ["labels", "labelled", "ids", "groups"]
    assert Columns.of(2, [1, 2], labelled=[1, 1]).labelled is None
    assert Columns.of(3, [1, None, 2], labelled=[1, 1, 0]).labelled.tolist() == [True, False, False]
    taken = columns.take(np.array([2, 0]))
    assert (taken.ids.tolist(), taken.labels.tolist()) == ([2, 3], ["c", "a"])
    assert columns.take(np.array([2, 2])).ids is None
    for name in ("labels", "ids", "groups", "labelled"):
        given = {"labels": [1, 2]} if name == "labelled" else {}
        with pytest.raises(ValueError, match=r"features and .* must have one length, got 2 rows and 3"):
            Columns.of(2, **given, **{name: [1, 2, 3]})
    for name in ("ids", "groups"):
        with pytest.raises(ValueError, match=f"{name} must not be missing, but 1 of 2 are, the first is row 1"):
            Columns.of(2, **{name: np.array([4, None], object)})
    plain = Columns.of(2, ["d", "e"], ids=[7, 8], groups=[5, 6])
    whole = Columns.joined([columns, plain])
    assert whole.labelled.tolist() == [True, False, True, True, True]
    assert whole.ids.tolist() == [3, 1, 2, 7, 8]
    assert Columns.joined([plain]) is plain
    assert Columns.joined([plain, Columns.of(1, ["x"], ids=[9], groups=[1])]).labelled is None
    with pytest.raises(ValueError, match="ids must be unique, but 7 is that of rows 0 and 2"):
        Columns.joined([plain, plain])


def test_names_are_the_defaults_unless_others_are_asked_for():
    there = {"vector": "f4", "label": "i8", "id": "i8", "labelled": "?", "note": "U3", "split": "U3"}
    found = Names().choose(there, ["vector"])
    assert found.features == "vector"
    assert found.columns == {"labels": "label", "ids": "id", "labelled": "labelled"}
    assert found.remarks == ("'note', 'split' are not used.",)
    other = Names(labels="note", ids="", rows=Selection(Where.of("split=test"))).choose(there, ["vector"])
    assert other.columns == {"labels": "note", "labelled": "labelled"}
    assert other.remarks == ("'label', 'id' are not used.",)
    alone = Names(labels="").choose({"x": "f4", "labelled": "?"}, ["x"], "columns")
    assert (alone.features, alone.columns) == ("x", {})
    assert alone.remarks == ("features are the column 'x', the only one that can be.", "'labelled' is not used.")
    first = Names().choose({"features": "f4", "vector": "f4"}, ["features", "vector"])
    assert first.features == "features"
    for names, there, vectors, message in (
        (Names(), {"x": "f4", "y": "f4"}, ["x", "y"], r"must hold arrays named 'features', got 'x' \(f4\), 'y' \(f4\)"),
        (Names(), {}, [], "must hold arrays named 'features', got none; name another with features="),
        (Names(ids="key"), {"x": "f4"}, ["x"], r"must hold arrays named 'key' for ids=, got 'x' \(f4\); name another"),
        (Names(rows=Selection(Where.of("a=1"))), {"x": "f4"}, ["x"], "there is no column 'a' for where; it has 'x'"),
    ):
        with pytest.raises(ValueError, match=message):
            names.choose(there, vectors)

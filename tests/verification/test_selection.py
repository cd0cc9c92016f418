"""Filters of rows: what a user may write, what they ask for together, and which rows are complete."""

from __future__ import annotations

import numpy as np
import pytest

from verification.features.columns import Columns
from verification.features.files.shards import array_shard
from verification.features.selection import ALL_ROWS, Selection, Where, booleans, integers


@pytest.mark.parametrize(
    ("given", "values"),
    [
        (None, ()),
        ("split=test", (("split", ("test",)),)),
        (["split=test", "camera=1", "split=dev", "split=test"], (("split", ("test", "dev")), ("camera", ("1",)))),
        ({"camera": [1, np.int64(2)], "sharp": True}, (("camera", ("1", "2")), ("sharp", ("true",)))),
        ({"sharp": [np.bool_(False), True]}, (("sharp", ("false", "true")),)),
        ({"split": "test"}, (("split", ("test",)),)),
        ("a=b=c", (("a", ("b=c",)),)),
        ("a=", (("a", ("",)),)),
        (["a=True"], (("a", ("True",)),)),
    ],
)
def test_what_a_user_may_write(given, values):
    where = Where.of(given)
    assert where.values == values
    assert bool(where) == bool(values)
    assert where.columns == tuple(column for column, _ in values)


@pytest.mark.parametrize("text", ["split", "=test", "="])
def test_a_filter_names_its_column(text):
    with pytest.raises(ValueError, match=f"where must be COLUMN=VALUE, such as split=test, got '{text}'"):
        Where.of(text)
    with pytest.raises(ValueError, match=r"where must compare 'a' with integers, strings or booleans, got 1\.5"):
        Where.of({"a": 1.5})


def test_two_filters_ask_for_what_both_have():
    one, other = Where.of({"a": [1, 2], "b": "x"}), Where.of({"a": [2, 3], "c": True})
    assert one.also(other).values == (("a", ("2",)), ("b", ("x",)), ("c", ("true",)))
    assert str(one) == "a = 1 or 2 and b = x"
    assert not ALL_ROWS
    assert ALL_ROWS.also(one) == one
    one.check(["a", "b", "z"])
    with pytest.raises(ValueError, match="there is no column 'b' for where; it has 'a'"):
        one.check(["a"])
    with pytest.raises(ValueError, match="there is no column 'a' for where; it has none"):
        one.check([])


@pytest.mark.parametrize(
    ("column", "asked", "kept"),
    [
        (np.array([1, 2, 3, 2]), [2], [1, 3]),
        (np.array([1, 2, 3, 2]), [3, 1], [0, 2]),
        (np.array([0, 255], np.uint8), ["255", "256", "-1"], [1]),
        (np.array([-128, 127], np.int8), ["-128", "127", "-129", "128"], [0, 1]),
        (np.array(["x", "y", "x"]), ["x"], [0, 2]),
        (np.array(["x", None, "None"], object), ["None"], [2]),
        (np.array([True, False]), ["TRUE"], [0]),
        (np.array([True, False]), ["false", "true"], [0, 1]),
    ],
)
def test_rows_that_are_asked_for(column, asked, kept):
    found = Where((("a", tuple(map(str, asked))),)).matches({"a": column}, len(column))
    assert np.flatnonzero(found).tolist() == kept
    with pytest.raises(ValueError, match=rf"'a' must have a value for each of 9 rows, got {len(column)}\."):
        Where((("a", tuple(map(str, asked))),)).matches({"a": column}, 9)


def test_values_of_another_kind_are_refused():
    assert integers(["1", "-2"], "a") == [1, -2]
    assert booleans(["True", "false"], "a") == [True, False]
    with pytest.raises(ValueError, match="column 'a' holds integers, got where '1 or x'"):
        integers(["1", "x"], "a")
    with pytest.raises(ValueError, match="column 'a' holds true and false, got where 'true or 1'"):
        booleans(["true", "1"], "a")


def test_incomplete_rows_are_left_out_and_counted():
    shard = array_shard(np.arange(12.0).reshape(6, 2))
    vectors = np.array([True, False, True, True, False, True])
    labelled = np.array([True, True, False, True, False, True])
    columns = Columns(labels=np.arange(6), labelled=labelled, ids=np.arange(6))
    where = Where.of({"a": 1})
    a = np.array([1, 1, 1, 0, 1, 1])
    assert not Selection()
    assert Selection().apply(shard, columns, {}, vectors) == (shard, columns)
    for selection, ids, remarks in (
        (Selection(where), [0, 1, 2, 4, 5], ("5 of 6 rows have a = 1; the others are not read.",)),
        (
            Selection(complete=True),
            [0, 3, 5],
            ("3 of 6 rows were left out: 2 have no vector and 2 have no label.",),
        ),
        (
            Selection(where, complete=True),
            [0, 5],
            (
                "5 of 6 rows have a = 1; the others are not read.",
                "3 of 5 rows were left out: 2 have no vector and 2 have no label.",
            ),
        ),
    ):
        assert selection
        read, kept = selection.apply(shard, columns, {"a": a}, vectors)
        assert (len(read), kept.ids.tolist(), read.remarks) == (len(ids), ids, remarks)
    whole = Selection(complete=True).apply(shard, Columns(labels=np.arange(6)), {}, None)
    assert (len(whole[0]), whole[0].remarks) == (6, ())
    lists = Columns(label_lists=np.array(["a", "", "b", "c", "d", "e"]), ids=np.arange(6))
    assert Selection(complete=True).apply(shard, lists, {}, None)[1].ids.tolist() == [0, 2, 3, 4, 5]
    with pytest.raises(ValueError, match="2 have no vector, and rows without ids are paired by their places"):
        Selection(complete=True).apply(shard, Columns(), {}, vectors)
    # rows that are not asked for need no id
    assert len(Selection(Where.of({"a": 0}), complete=True).apply(shard, Columns(), {"a": a}, vectors)[0]) == 1

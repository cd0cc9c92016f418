"""The store: a result is computed once, belongs to its description, and is never half of itself."""

from __future__ import annotations

import json

import numpy as np
import pytest

from learning.store import Store

WHAT = {"seed": 0, "rates": (0.1, 0.2)}


def made(calls=None, value=1):
    def make():
        if calls is not None:
            calls.append(value)
        return {"value": value, "features": np.arange(6.0).reshape(2, 3)}

    return make


@pytest.mark.parametrize("on_disk", [True, False])
def test_a_result_is_computed_once_and_comes_back(tmp_path, on_disk):
    calls: list[int] = []
    store = Store(tmp_path / "kept" if on_disk else None)
    assert store.find("a/one", WHAT) is None
    first = store.get("a/one", WHAT, made(calls))
    again = (Store(tmp_path / "kept") if on_disk else store).get("a/one", WHAT, made(calls))
    assert calls == [1]
    assert (first.fresh, again.fresh) == (True, False)
    assert again.seconds == first.seconds >= 0
    assert again.values["value"] == 1
    assert np.array_equal(again.values["features"], np.arange(6.0).reshape(2, 3))
    store.get("a/two", WHAT, made(calls, 2))
    assert calls == [1, 2]


def test_another_description_is_another_result(tmp_path):
    store = Store(tmp_path)
    store.get("one", WHAT, made())
    with pytest.raises(ValueError, match=r"one: holds another run: its seed is 0, here it is 1. Give another folder"):
        store.get("one", WHAT | {"seed": 1}, made())
    with pytest.raises(ValueError, match="its more is 'missing', here it is True"):
        store.get("one", WHAT | {"more": True}, made())
    with pytest.raises(ValueError, match=r"its rates is \[0.1, 0.2\], here it is 'missing'"):
        store.get("one", {"seed": 0}, made())
    assert Store(tmp_path, remake=True).get("one", WHAT | {"seed": 1}, made(value=5)).values["value"] == 5
    assert store.get("one", WHAT | {"seed": 1}, made()).values["value"] == 5


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("run.json", lambda old: b"{"),
        ("run.json", lambda old: b"[]"),
        ("result.json", lambda old: old[:-9]),
        ("result.json", lambda old: json.dumps({"values": {}}).encode()),
        ("result.json", None),
        ("arrays.npz", None),
        ("arrays.npz", lambda old: old[: len(old) // 2]),
        ("arrays.npz", lambda old: old.replace(np.float64(4.0).tobytes(), np.float64(5.0).tobytes())),
    ],
)
def test_damage_is_named_or_mended(tmp_path, file, content):
    store = Store(tmp_path)
    store.get("one", WHAT, made())
    path = tmp_path / "one" / file
    if content is None:
        path.unlink()
    else:
        changed = content(path.read_bytes())
        assert changed != path.read_bytes()
        path.write_bytes(changed)
    with pytest.raises(ValueError, match=file.replace(".", r"\.")):
        store.get("one", WHAT, made())
    mended = Store(tmp_path, remake=True).get("one", WHAT, made(value=7))
    assert (mended.fresh, mended.values["value"]) == (True, 7)
    assert store.get("one", WHAT, made()).values["value"] == 7


def test_a_result_that_was_interrupted_is_not_there(tmp_path):
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Store(tmp_path).get("one", WHAT, interrupted)
    assert not list(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match="Out of range float values"):
        Store(tmp_path).get("one", WHAT, lambda: {"value": float("nan")})
    assert Store(tmp_path).find("one", WHAT) is None

"""The store: a result is computed once, belongs to its description, and is never half of itself."""

from __future__ import annotations

import hashlib
import json
import time

import numpy as np
import pytest

from learning.store import Store, alone, check_description, claim, plain, write_arrays, write_bytes
from theory.files import NotWritten

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


def test_in_memory_too_another_description_is_another_result():
    calls: list[int] = []
    store = Store()
    store.get("one", WHAT, made(calls, 1))
    assert store.find("one", WHAT | {"seed": 1}) is None
    assert store.find("two", WHAT) is None
    assert store.get("one", WHAT | {"seed": 1}, made(calls, 2)).values["value"] == 2
    assert calls == [1, 2]
    # tuples and lists are one description, as they are in a file
    assert store.find("one", {"seed": 1, "rates": [0.1, 0.2]}).fresh is False


def test_a_result_says_how_long_it_took(tmp_path):
    def slow():
        time.sleep(0.05)
        return {"value": 1}

    for store in (Store(), Store(tmp_path)):
        first = store.get("one", WHAT, slow)
        again = store.get("one", WHAT, slow)
        assert 0.05 <= first.seconds == again.seconds < 5.0
    assert not (tmp_path / "one" / "arrays.npz").exists()  # there are none
    written = json.loads((tmp_path / "one" / "result.json").read_text())
    assert (written["values"], written["sha256"], written["seconds"]) == ({"value": 1}, None, first.seconds)


def test_arrays_are_written_with_their_digest(tmp_path):
    digest = write_arrays(tmp_path / "a.npz", {"x": np.arange(3)})
    assert digest == hashlib.sha256((tmp_path / "a.npz").read_bytes()).hexdigest()
    Store(tmp_path).get("one", WHAT, made())
    content = json.loads((tmp_path / "one" / "result.json").read_text())
    assert content["sha256"] == hashlib.sha256((tmp_path / "one" / "arrays.npz").read_bytes()).hexdigest()
    assert content["values"] == {"value": 1}
    write_bytes(tmp_path / "b", b"whole")
    assert (tmp_path / "b").read_bytes() == b"whole"


def test_a_folder_is_claimed_once(tmp_path):
    folder = tmp_path / "a" / "run"
    assert claim(folder, WHAT) == folder
    assert json.loads((folder / "run.json").read_text()) == plain(WHAT) == {"seed": 0, "rates": [0.1, 0.2]}
    assert claim(folder, WHAT) == folder
    with pytest.raises(ValueError, match=r"run: holds another run: its rates is \[0.1, 0.2\], here it is \[\]\."):
        claim(folder, WHAT | {"rates": ()})
    nested = {"first": {"epochs": 1, "seed": 2}}
    claim(tmp_path / "b", nested)
    with pytest.raises(ValueError, match="its first seed is 2, here it is 3"):
        check_description(tmp_path / "b", {"first": {"epochs": 1, "seed": 3}})
    with pytest.raises(ValueError, match="its first more is 'missing', here it is None"):
        check_description(tmp_path / "b", {"first": nested["first"] | {"more": None}})
    with pytest.raises(ValueError, match=r"run\.json: is missing; delete its folder to start again"):
        check_description(tmp_path, WHAT)


def test_one_process_at_a_time_works_in_a_folder(tmp_path):
    with alone(tmp_path), pytest.raises(ValueError, match="another training is writing into it"), alone(tmp_path):
        pytest.fail("two of them")
    with alone(tmp_path):  # free again
        pass
    nowhere = pytest.raises(NotWritten, match=r"\.lock: cannot be written \(No such file or directory\)")
    with nowhere, alone(tmp_path / "nowhere"):
        pytest.fail("nowhere")

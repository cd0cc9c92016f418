"""Whose vectors a gallery holds, told by the rows of both models and no labels."""

from __future__ import annotations

import numpy as np
import pytest

from tests.command_line import run
from verification.bridge import origin as module
from verification.bridge.origin import Origin, origin, with_gallery
from verification.bridge.relation import relate
from verification.features import FeatureSet

RNG = np.random.default_rng(0)
MEANS = RNG.standard_normal((30, 64))
TURN = np.linalg.qr(RNG.standard_normal((64, 64)))[0]
Y, ITEMS = np.arange(600) % 30, np.arange(900) % 30


def drawn(labels: np.ndarray) -> np.ndarray:
    return MEANS[labels] + 0.6 * RNG.standard_normal((len(labels), 64))


OLD, NEW = FeatureSet(drawn(Y)), FeatureSet(drawn(Y) @ TURN)
OLD_ITEMS, NEW_ITEMS = drawn(ITEMS), drawn(ITEMS) @ TURN


def test_the_rows_of_the_new_model_are_named():
    foreign = np.arange(900) % 2 == 0
    found = origin(FeatureSet(np.where(foreign[:, None], NEW_ITEMS, OLD_ITEMS)), NEW, OLD)
    np.testing.assert_array_equal(found.rows, np.flatnonzero(foreign))
    assert (found.mixed, found.mistaken) == (True, 0.0)


def test_a_gallery_of_one_model_is_not_mixed():
    assert [origin(FeatureSet(items), NEW, OLD).mixed for items in (OLD_ITEMS, NEW_ITEMS)] == [False, False]
    assert len(origin(FeatureSet(NEW_ITEMS), NEW, OLD).rows) == 900


def test_two_models_of_one_space_cannot_be_told_apart():
    assert origin(FeatureSet(OLD_ITEMS), FeatureSet(drawn(Y)), OLD).mixed is None


@pytest.mark.parametrize(
    ("rows", "total", "mistaken", "mixed"),
    [
        (2, 100, 0.0, True),
        (1, 100, 0.0, False),
        (98, 100, 0.0, True),
        (99, 100, 0.0, False),
        (50, 100, 0.02, True),
        (50, 100, 0.021, None),
        (6, 100, 0.02, True),
        (5, 100, 0.02, False),
        (94, 100, 0.02, True),
        (95, 100, 0.02, False),
    ],
)
def test_a_gallery_is_mixed_from_a_fiftieth_of_its_rows_on(rows, total, mistaken, mixed):
    assert Origin(total=total, rows=np.arange(rows), mistaken=mistaken).mixed is mixed


def test_the_share_of_mistakes_is_the_loop(monkeypatch):
    """Each model's row against its model without itself and against the other; ties count as mistakes."""
    new, old = RNG.standard_normal((20, 3)), RNG.standard_normal((15, 3))
    sides = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (new, old)]
    mistakes = []
    for own, other in (sides, sides[::-1]):
        for i, row in enumerate(own):
            without = np.delete(own, i, axis=0)
            mistakes.append(max(without @ row) <= max(other @ row))
    gallery = FeatureSet(RNG.standard_normal((30, 3)))
    expected = np.flatnonzero((gallery.unit @ sides[0].T).max(axis=1) > (gallery.unit @ sides[1].T).max(axis=1))
    monkeypatch.setattr(module, "BLOCK", 7)
    found = origin(gallery, FeatureSet(new), FeatureSet(old))
    assert found.mistaken == pytest.approx(np.mean(mistakes))
    np.testing.assert_array_equal(found.rows, expected)
    assert found.total == 30
    three = [FeatureSet(rows[:3]) for rows in (new, old)]
    assert origin(gallery, *three).total == 30


def test_a_note_says_whose_rows_a_gallery_holds():
    relation = relate(NEW, OLD)
    for rows, mistaken, words in (
        (np.arange(99), 0.0, "The gallery holds the vectors of the new model."),
        (np.arange(1), 0.0, "The gallery holds the vectors of the old model."),
        (np.arange(50), 0.25, "It cannot be told whose rows the gallery holds: 25 % of the models' own rows"),
    ):
        found = with_gallery(relation, Origin(total=100, rows=rows, mistaken=mistaken))
        assert words in found.notes[-1]
        assert (found.relation, found.total) == (relation.relation, 600)
    mixed = with_gallery(relation, Origin(total=100, rows=np.arange(40), mistaken=0.0))
    assert (mixed.relation, mixed.count, mixed.total, len(mixed.rows)) == ("two models mixed", 40, 100, 40)
    assert mixed.notes[0].startswith("Between the two models: another space.")


def test_what_cannot_be_used():
    with pytest.raises(ValueError, match="must have one dimension, got 64, 64 and 32"):
        origin(FeatureSet(OLD_ITEMS), NEW, FeatureSet(OLD.features[:, :32]))
    with pytest.raises(ValueError, match="at least three rows, got 600 and 2"):
        origin(FeatureSet(OLD_ITEMS), NEW, FeatureSet(OLD.features[:2]))


def test_check_asks_about_the_gallery(capsys, monkeypatch, tmp_path):
    foreign = np.arange(900) % 2 == 0
    sets = {"new": NEW, "old": OLD, "mixed": FeatureSet(np.where(foreign[:, None], NEW_ITEMS, OLD_ITEMS))}
    for name, features in (sets | {"pure": FeatureSet(OLD_ITEMS)}).items():
        features.save(tmp_path / f"{name}.npz")
    paths = tmp_path / "new.npz", tmp_path / "old.npz"
    rows = tmp_path / "rows.npy"
    status, printed, _ = run(capsys, monkeypatch, "check", *paths, "--gallery", tmp_path / "mixed.npz", "--rows", rows)
    printed = " ".join(printed.split())
    assert status == 1
    assert printed.startswith("TWO MODELS MIXED The gallery holds the vectors of two models: 450 of 900 rows")
    assert "Between the two models: another space" in printed
    np.testing.assert_array_equal(np.load(rows), np.flatnonzero(foreign))
    _, printed, _ = run(capsys, monkeypatch, "check", *paths, "--gallery", tmp_path / "pure.npz")
    assert printed.startswith("ANOTHER SPACE")
    assert "The gallery holds the vectors of the old model." in printed

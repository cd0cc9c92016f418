"""What lies between two models, each answer with a control that must not get it."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from scipy import linalg, stats

from verification.bridge import evidence
from verification.bridge.evidence import Evidence, rounded
from verification.bridge.relation import RelationKind, _space, _updated, contrast, decide, neighbours, relate
from verification.experiments.simulated.known_upgrades import CASES
from verification.experiments.simulated.relations import confusion
from verification.features import FeatureSet
from verification.search.nearest import nearest_rows
from verification.statistics.rows import stream

RNG = np.random.default_rng(0)
TURNED, OLD = CASES["rotated"].draw(1200, RNG)
# the same classes, and the samples anew; and the same in another space
AGAIN, _ = CASES["same law"].draw(1200, RNG)
ANEW = FeatureSet(AGAIN.unit @ stats.ortho_group.rvs(64, random_state=4), AGAIN.labels)
X, Y = OLD.unit, OLD.labels
R = TURNED.unit
ORDER = RNG.permutation(64)
SIGNS = RNG.choice([-1.0, 1.0], 64)
ROWS = RNG.permutation(1200)
# rows within each class: labels stay
WITHIN = np.empty(1200, dtype=int)
WITHIN[np.argsort(Y, kind="stable")] = np.argsort(Y + RNG.random(1200))
LENGTHS = RNG.uniform(4.0, 12.0, (1200, 1))
STEP = np.abs(X).max(axis=1, keepdims=True) / 127.0
HALF_FOREIGN = np.where(np.arange(1200)[:, None] % 20 < 10, R, X)


def counts(seed):
    """How often each of 256 words stands in a text of twelve, drawn as language draws them."""
    words = np.random.default_rng(seed).zipf(1.3, (1200, 12)) % 256
    return np.apply_along_axis(np.bincount, 1, words, minlength=256).astype(float)


def test_counts_of_other_words_are_no_quantised_copy() -> None:
    assert relate(FeatureSet(unit(counts(0))), FeatureSet(unit(counts(1)))).relation == RelationKind.space


def noisy(rows, share):
    """Rows with noise of about this share of their length."""
    return rows + share / np.sqrt(rows.shape[1]) * RNG.standard_normal(rows.shape)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def part(rows, other, count):
    """Rows of which the first ``count`` are others."""
    return np.concatenate([other[:count], rows[count:]])


@pytest.mark.parametrize(
    ("new", "relation"),
    [
        (X, "same model"),
        (X.astype(np.float16), "same model"),
        (unit(X.astype(np.float16).astype(float)), "same model"),
        (rounded(X, "bfloat16"), "same model"),
        (unit(rounded(X, "bfloat16")), "same model"),
        (noisy(X, 1e-5), "same model"),
        (np.rint(X / STEP) * STEP, "same model, quantised"),
        (np.rint(X / STEP), "same model, quantised"),
        (np.where(X > 0, 1.0, -1.0), "same model, quantised"),
        (np.where(X > 0, 1.0, 0.0), "same model, quantised"),
        (7.0 * X, "same directions, other lengths"),
        (LENGTHS * X, "same directions, other lengths"),
        (noisy(X, 0.003), "same model with noise"),
        (noisy(X, 0.03), "same model with noise"),
        (noisy(X, 0.14), "same model with noise"),
        (unit(X[:, :32]), "first coordinates"),
        (np.pad(X, ((0, 0), (0, 8))), "first coordinates"),
        (unit(X[:, ORDER[:40]]).astype(np.float16), "subset of coordinates"),
        (X[:, ORDER], "permutation or signs"),
        (X * SIGNS, "permutation or signs"),
        ((X[:, ORDER] * SIGNS).astype(np.float16), "permutation or signs"),
        (R, "rotation"),
        (R.astype(np.float16), "rotation"),
        (-R, "rotation"),
        (part(X, unit(RNG.standard_normal((100, 64))), 100), "partly changed"),
        (part(X, np.tile(R[:1], (216, 1)), 216), "partly changed"),
        (part(noisy(X, 1e-5), noisy(X, 0.5), 216), "partly changed"),
        (HALF_FOREIGN, "two models mixed"),
        (HALF_FOREIGN.astype(np.float16), "two models mixed"),
        (X[ROWS], "rows in another order"),
        (X[WITHIN], "rows in another order"),
        (np.roll(X, 1, axis=0), "rows in another order"),
        (noisy(X, 0.1)[WITHIN], "rows in another order"),
        (part(X, X[99::-1], 100), "rows in another order"),
        (unit(X + 0.3 * stats.ortho_group.rvs(64, random_state=3)[Y]), "same space, updated"),
        (noisy(unit(X + 0.3 * stats.ortho_group.rvs(64, random_state=3)[Y]), 0.2), "same space, updated"),
        (AGAIN.unit, "same space, updated"),
        (ANEW.unit, "another space"),
        (noisy(R, 0.03), "another space"),
        (noisy(X[:, ORDER], 0.1), "another space"),
        (np.pad(X, ((0, 0), (0, 8))) @ stats.ortho_group.rvs(72, random_state=0), "other dimension, isometric"),
        (ANEW.unit[:, :32], "other dimension"),
    ],
)
def test_what_happened(new, relation):
    """Without labels, in either direction."""
    sets = FeatureSet(new), FeatureSet(X)
    for found in (relate(*sets), relate(*reversed(sets))):
        assert found.relation == relation, found
        assert found.total == 1200
        assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["relation"] == relation
        assert found.sentence in found.to_markdown().replace("\\", "")


def test_labels_are_used_for_rows_that_match_nowhere_and_only_there():
    shuffled = relate(FeatureSet(R[ROWS], Y), OLD)
    assert shuffled.relation == "rows in another order"
    assert "labels do not fit" in shuffled.sentence
    assert relate(FeatureSet(R[ROWS]), FeatureSet(X)).relation == "another space"
    labels = RNG.integers(10, size=1200)
    assert relate(FeatureSet(ANEW.unit, labels), FeatureSet(X, labels)).relation == "another space"
    differ = relate(FeatureSet(X, Y[ROWS]), FeatureSet(X, Y))
    assert differ.same
    assert differ.notes == (f"The labels of {np.count_nonzero(Y[ROWS] != Y):,} rows differ.",)


def test_a_dead_coordinate_is_one_of_many():
    dead = X.copy()
    dead[:, 3] = 0.0
    assert relate(FeatureSet(dead), FeatureSet(dead)).same
    assert relate(FeatureSet(dead[:, ORDER]), FeatureSet(dead)).relation == "permutation or signs"


def test_codes_are_the_same_model_as_themselves():
    for codes in (np.where(X > 0, 1.0, -1.0), np.rint(X / STEP), np.ones((50, 8))):
        assert relate(FeatureSet(codes), FeatureSet(codes)).same


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("num_rows", [3, 4, 7])
def test_few_numbers_have_an_answer(num_rows, dim):
    rows = RNG.standard_normal((num_rows, dim))
    for new in (rows, rows + 0.1, RNG.standard_normal((num_rows, 2))):
        assert relate(FeatureSet(new), FeatureSet(rows)).to_markdown()
    with pytest.raises(ValueError, match=r"all . that were looked at are the same row"):
        relate(FeatureSet(np.ones((num_rows, dim))), FeatureSet(rows))


def test_the_rows_that_changed_are_named():
    changed = np.sort(RNG.permutation(1200)[:216])
    new = noisy(X, 1e-5)
    new[changed] = unit(RNG.standard_normal((3, 64)))[np.arange(216) % 3]
    found = relate(FeatureSet(new), FeatureSet(X))
    np.testing.assert_array_equal(found.rows, changed)
    assert (found.count, found.total) == (216, 1200)
    assert found.sentence == "Mostly the same model: 984 of 1,200 rows are equal, and 216 changed."


def test_the_foreign_rows_of_a_mixture_are_named_and_so_is_the_set_that_holds_them():
    sets = FeatureSet(HALF_FOREIGN), FeatureSet(X)
    for found, which in ((relate(*sets), "new"), (relate(*reversed(sets)), "old")):
        np.testing.assert_array_equal(found.rows, np.flatnonzero(np.arange(1200) % 20 < 10))
        assert found.evidence.mixture == which
    # the parts have no class in common: nothing shows which of the sets is mixed
    even = FeatureSet(np.where(Y[:, None] % 2, R, X))
    assert relate(even, FeatureSet(X)).evidence.mixture == "one"


def test_the_rows_that_are_displaced_are_named():
    order = np.arange(1200)
    order[100:140] = np.roll(order[100:140], 1)
    found = relate(FeatureSet(noisy(X, 1e-4)[order]), FeatureSet(X))
    assert found.relation == "rows in another order"
    np.testing.assert_array_equal(found.rows, np.arange(100, 140))


def test_copies_are_not_rows_in_another_order():
    copied = np.concatenate([X[:600], X[:600]])
    assert relate(FeatureSet(noisy(copied, 0.1)), FeatureSet(copied)).relation == "same model with noise"


def test_rows_are_joined_by_their_ids():
    names = np.array([f"sample {i}" for i in range(1200)])
    found = relate(FeatureSet(X[ROWS], ids=names[ROWS]), FeatureSet(X, ids=names))
    assert found.same
    assert "in another place" in found.notes[0]
    changed = noisy(X, 1e-5)
    changed[700:900] = R[:200]
    overlap = relate(FeatureSet(changed[ROWS][:1000], ids=names[ROWS][:1000]), FeatureSet(X, ids=names))
    assert "1,000 rows were joined by their ids; 0 ids are only in the new set and 200 only in the old" in str(overlap)
    np.testing.assert_array_equal(overlap.rows, np.intersect1d(ROWS[:1000], np.arange(700, 900)))
    with pytest.raises(ValueError, match="share no id"):
        relate(FeatureSet(X, ids=names), FeatureSet(X, ids=np.char.add(names, "!")))


def test_of_many_rows_a_part_is_compared_and_all_where_that_is_asked_for():
    many = RNG.standard_normal((20_000, 16)).astype(np.float32)
    old = FeatureSet(many)
    found = relate(old, old)
    assert (found.same, found.complete, found.evidence.num_rows) == (True, False, 2560)
    assert "at most 0.12 % of all rows differ" in found.sentence
    changed = many.copy()
    left_out = int(stream(0, "relation").permutation(20_000)[2560])
    changed[left_out] *= -1.0
    assert relate(FeatureSet(changed), old).same
    every = relate(FeatureSet(changed), old, every_row=True)
    assert (every.relation, every.rows.tolist(), every.complete) == ("partly changed", [left_out], True)
    # few of the rows have their partner in the part that is looked at, and those are enough
    rolled = relate(FeatureSet(np.roll(many, 1, axis=0)), old)
    assert (rolled.relation, rolled.rows) == ("rows in another order", None)
    assert relate(FeatureSet(np.roll(many, 1, axis=0)), old, every_row=True).count == 20_000
    unrelated = relate(FeatureSet(RNG.standard_normal((20_000, 16))), old)
    assert unrelated.relation == "another space"


@pytest.mark.simulations
def test_few_rows_of_very_many_coordinates():
    """No matrix of d × d, which would take 80 GB here."""
    wide = RNG.standard_normal((20, 100_000)).astype(np.float32)
    order = RNG.permutation(100_000)
    for new, relation in (
        (wide, "same model"),
        (wide[:, order], "permutation or signs"),
        (wide[:, :1000], "first coordinates"),
        (RNG.standard_normal((20, 100_000)), "another space"),
        (noisy(unit(wide), 0.02), "same model with noise"),
    ):
        assert relate(FeatureSet(new), FeatureSet(wide)).relation == relation


def test_few_rows_in_many_dimensions_do_not_pass_for_a_rotation():
    """Below as many rows as coordinates a rotation fits anything; cosines within each set are not fooled."""
    some = slice(0, 40)
    assert relate(FeatureSet(ANEW.unit[some]), FeatureSet(X[some])).relation == "another space"
    assert relate(FeatureSet(R[some]), FeatureSet(X[some])).relation == "rotation"


def test_the_evidence_of_a_permutation_names_what_moved():
    order = np.arange(64)
    order[[3, 9]] = 9, 3
    signs = np.ones(64)
    signs[[5, 6, 7]] = -1.0
    found = relate(FeatureSet(X[:, order] * signs), FeatureSet(X)).evidence.coordinates
    assert (found.moved, found.flipped, found.equal) == (2, 3, 1.0)
    np.testing.assert_array_equal(found.place, order)


@pytest.mark.parametrize("share", [0.01, 0.1])
def test_what_a_rotation_leaves_is_read_off_the_cosines(share):
    """ε of isotropic noise, to the standard error of its 1200 × 64 coordinates and to the second order in ε."""
    found = relate(FeatureSet(noisy(R, share)), FeatureSet(X))
    assert found.evidence.left_by_rotation == pytest.approx(share, rel=0.02)
    assert "near a rotation of the old one, which leaves" in found.sentence
    assert "near a rotation" not in relate(ANEW, FeatureSet(X)).sentence


def test_a_rotation_that_is_close_to_none_is_seen_on_rows_that_it_was_not_fitted_to():
    """By about a tenth: 0.1 of a row beside noise of 0.02, of which the rotation leaves the noise and its own error."""
    skew = RNG.standard_normal((64, 64))
    turn = linalg.expm(0.1 / np.linalg.norm(skew - skew.T) * 8.0 * (skew - skew.T))
    found = relate(FeatureSet(noisy(X @ turn, 0.02)), FeatureSet(X))
    assert found.evidence.after_rotation < 0.5 * found.evidence.before_rotation
    assert found.relation == "same space, updated"
    noise = relate(FeatureSet(noisy(X, 0.1)), FeatureSet(X)).evidence
    assert noise.after_rotation > 0.9 * noise.before_rotation


def test_the_tolerance_is_the_users():
    new = FeatureSet(noisy(X, 5e-4))
    assert relate(new, FeatureSet(X)).same
    assert relate(new, FeatureSet(X), tolerance=1e-6).relation == "same model with noise"


def test_bfloat16_is_rounded_to_even():
    # halfway between two neighbours: to the one whose last bit is 0; and above halfway: up
    values = np.array([1.0 + 2.0**-8, 1.0 + 3.0 * 2.0**-8, 1.0 + 2.0**-8 + 2.0**-20, -1.0 - 2.0**-8])
    np.testing.assert_array_equal(rounded(values, "bfloat16"), [1.0, 1.0 + 2.0**-6, 1.0 + 2.0**-7, -1.0])


def test_the_contrast_is_that_of_a_loop_over_pairs():
    rows, codes = X[:60], Y[:60] % 7
    distances = [[float(np.sum((u - v) ** 2)) for v in rows] for u in rows]
    pairs = [(i, j) for i in range(60) for j in range(60) if i != j]
    within = np.mean([distances[i][j] for i, j in pairs if codes[i] == codes[j]])
    between = np.mean([distances[i][j] for i, j in pairs if codes[i] != codes[j]])
    assert contrast(rows, codes) == pytest.approx(between - within, rel=1e-12)


def test_neighbours_that_stay_are_those_of_two_searches():
    some, other = FeatureSet(X[:300]), FeatureSet(noisy(X, 0.5)[:300])
    first, second = (nearest_rows(queries, some, 10, same_samples=True) for queries in (some, other))
    kept = [len(set(a) & set(b)) / 10 for a, b in zip(first.tolist(), second.tolist(), strict=True)]
    found = neighbours(other, some)
    assert found.value == pytest.approx(np.mean(kept))
    half = stats.t.ppf(0.975, 299) * np.std(kept, ddof=1) / np.sqrt(300)
    assert found.upper - found.value == pytest.approx(half)
    assert neighbours(some, some).value == 1.0


def test_the_nuclear_norm_needs_no_square_of_the_dimension():
    new, old = (RNG.standard_normal((30, 20)) for _ in range(2))
    tall = evidence.alignment(new, old)
    wide = [np.pad(rows, ((0, 0), (0, 40))) for rows in (new, old)]  # more coordinates than rows, the same products
    assert evidence.alignment(*wide) == pytest.approx(tall, rel=1e-9)


def test_a_decision_has_a_place_for_every_kind():
    """Of one dimension, evidence without anything is another space, or rows in another order where labels say so."""
    nothing = evidence.Evidence(
        num_rows=100,
        tolerance=1e-3,
        median_distance=1.4,
        other_distance=1.4,
        equal=0.0,
        displaced=0,
        far_displaced=0,
        at_home=0,
        left_by_rotation=1.0,
    )
    assert decide(nothing, True) == RelationKind.space
    assert decide(nothing, True, labels_differ=True) == RelationKind.order
    assert decide(nothing, True, fits=(True, False)) == RelationKind.order
    assert decide(nothing, True, fits=(False, False)) == RelationKind.space
    assert decide(nothing, False) == RelationKind.dimension


def test_relations_are_told_apart():
    """Six draws of each of fifteen: at one error in a hundred, four or more are wrong in 1.6 % of such tables."""
    table = dict(confusion(6, seed=5, sizes=(50, 400), dims=(16, 128)))
    assert set(table) == set(RelationKind)
    assert sum(counts[kind] for kind, counts in table.items()) >= 15 * 6 - 3, table


@pytest.mark.parametrize(
    ("new", "options", "message"),
    [
        (FeatureSet(X[:-1]), {}, "same samples, got 1199 and 1200 rows"),
        (OLD, {"tolerance": -1.0}, "tolerance must be a finite number >= 0"),
        (OLD, {"seed": -1}, "seed must be an integer >= 0"),
    ],
)
def test_what_cannot_be_used(new, options, message):
    with pytest.raises(ValueError, match=message):
        relate(new, OLD, **options)


def test_two_rows_are_too_few():
    with pytest.raises(ValueError, match="at least three rows, got 2"):
        relate(FeatureSet(X[:2]), FeatureSet(X[:2]))


def test_ids_are_not_advised_where_rows_were_joined_by_them():
    names = np.arange(len(X))
    assert "Give both sets ids" in relate(FeatureSet(R[ROWS], Y), OLD).next_step
    for found in (
        relate(FeatureSet(np.roll(X, 1, axis=0), ids=names), FeatureSet(X, ids=names)),
        relate(FeatureSet(R[ROWS], Y, names), FeatureSet(X, Y, names)),
    ):
        assert found.relation == "rows in another order"
        assert "Rows were joined by their ids" in found.next_step
        assert "Give" not in found.next_step


def test_of_a_large_file_only_the_rows_that_are_measured_are_read(monkeypatch, tmp_path):
    """A file that can be mapped is not read past the rows between those; one that is compressed has to be."""
    from verification.features.files import shards

    rng = np.random.default_rng(0)
    sets = [rng.standard_normal((50_000, 16)).astype(np.float32) for _ in range(2)]
    for name, rows in zip(("new", "old"), sets, strict=True):
        np.save(tmp_path / f"{name}.npy", rows)
        np.savez_compressed(tmp_path / f"{name}.npz", features=rows)
    passed = []
    sieved = shards._open_sieved

    def watched(*arguments):
        passed.append(arguments)
        return sieved(*arguments)

    monkeypatch.setattr(shards, "_open_sieved", watched)
    found = [relate(*(FeatureSet.load(tmp_path / f"{n}{kind}") for n in ("new", "old"))) for kind in (".npy", ".npz")]
    assert len(passed) == 2
    assert found[0].evidence == found[1].evidence
    assert found[0].relation == RelationKind.space


@pytest.mark.parametrize("offset", [0, 128])
def test_packed_signs_are_codes_and_other_bytes_are_another_dimension(offset):
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((200, 20)).astype(np.float32)
    packed = np.packbits(rows > 0.0, axis=1).astype(int) - offset
    codes = FeatureSet(packed.astype(np.int8 if offset else np.uint8))
    for sets in ((codes, FeatureSet(rows)), (FeatureSet(rows), codes)):
        found = relate(*sets)
        assert found.relation == RelationKind.quantised
        assert "quantised to binary" in found.sentence
    other = FeatureSet(rng.integers(1, 100, (200, 3)).astype(np.int8))
    assert relate(other, FeatureSet(rows)).relation == RelationKind.dimension
    assert relate(FeatureSet(packed.astype(np.float32)), FeatureSet(rows)).relation == RelationKind.dimension


def test_of_packed_signs_a_sample_is_read_too():
    packed = FeatureSet(np.packbits(X > 0.0, axis=1))
    found = relate(packed, FeatureSet(X), sample=40)
    assert found.relation == RelationKind.quantised
    assert any(note.startswith(f"40 of the {len(X):,} rows were drawn") for note in found.notes)


def test_a_set_that_holds_one_row_many_times_is_no_other_order():
    rows, labels = np.random.default_rng(0).standard_normal((60, 8)), np.arange(60) % 4
    many, one = FeatureSet(rows, labels), FeatureSet(np.ones((60, 8)), labels)
    for new, old, name in ((many, one, "old"), (one, many, "new")):
        with pytest.raises(ValueError, match=f"{name} must hold different rows, but all 60 that were looked at"):
            relate(new, old)
    assert relate(one, one).same


def test_the_sentence_says_how_far_rows_are_apart():
    """A row that is nearer to its own old row than to others, in directions that do not agree, is not called as far."""
    apart = Evidence(
        num_rows=9, tolerance=0.0, equal=0.0, median_distance=1.23, other_distance=1.41, length_ratios=(1.0, 1.0)
    )
    far = dataclasses.replace(apart, median_distance=1.4)
    assert "are 1.2 apart" in _updated(apart, (4, 4), 9, 9)[0]
    assert "are 1.2 apart" in _space(apart, (4, 4), 9, 9)[0]
    assert "1.4 apart" in _space(apart, (4, 4), 9, 9)[0]
    assert "as far apart as" in _space(far, (4, 4), 9, 9)[0]


@pytest.mark.parametrize(
    ("apart", "how"),
    [
        (0.0, "rows are equal (largest distance 0.0e+00)"),
        (1e-8, "rows are equal to the rounding of float32 (largest distance 1.0e-08)"),
        (3e-5, "rows are equal to half precision (largest distance 3.0e-05)"),
        (9e-4, "rows are equal to half precision (largest distance 9.0e-04)"),
        (1e-3, "rows are equal to the tolerance (largest distance 1.0e-03)"),
    ],
)
def test_how_equal_rows_of_one_model_are(apart, how):
    rng = np.random.default_rng(0)
    rows, off = (FeatureSet(rng.standard_normal((300, 8))).unit for _ in range(2))
    found = relate(FeatureSet(rows + apart * off), FeatureSet(rows), tolerance=0.01)
    assert found.sentence == f"The same model: {how}."

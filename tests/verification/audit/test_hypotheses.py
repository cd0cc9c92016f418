"""Hypotheses of Theorem 1, drift and power, each against its definition row by row."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import optimize, stats

from tests.verification.samples import upgrade
from theory.simplex import simplex_vertices
from verification.audit import audit, hypotheses, neural_collapse, power
from verification.audit.drift import _Means, drift_margin
from verification.audit.hypotheses import check_hypotheses
from verification.audit.power import power_at, samples_factor, samples_needed
from verification.features import FeatureSet
from verification.statistics.interval import Criterion, Verdict
from verification.statistics.rows import Rows
from verification.statistics.variance import Estimate
from verification.upgrade import Upgrade

VERTICES = simplex_vertices(4, 5)
LABELS = np.repeat([0, 1, 2, 3], [9, 6, 4, 1])


def small() -> Upgrade:
    rng = np.random.default_rng(0)
    sides = (VERTICES[LABELS] + spread * rng.standard_normal((len(LABELS), 5)) for spread in (0.4, 0.5))
    return Upgrade(*(FeatureSet(rows, LABELS) for rows in sides))


def angle_of(rows: np.ndarray, vertex: np.ndarray, size: int) -> tuple[float, float]:
    """Angle of the mean of some rows, one of ``size``, to the vertex, and its standard error by the derivative."""
    along = rows @ vertex
    off_vertex = rows - along[:, None] * vertex
    mean, off = along.mean(), off_vertex.mean(axis=0)
    noise = np.sum(off_vertex.var(axis=0, ddof=1)) / size if len(rows) > 1 else 0.0
    length = np.linalg.norm(off)
    angle = math.atan2(math.sqrt(max(length**2 - noise, 0.0)), mean)
    if len(rows) < 2:
        return angle, math.inf
    change = (off_vertex @ off / length * mean - along * length) / (length**2 + mean**2)
    return angle, change.std(ddof=1) / math.sqrt(size)


def test_drifts_cosines_and_their_intervals():
    made = small()
    found = check_hypotheses(made, VERTICES, max_drift=0.7, confidence=0.9)
    rows = {"old": made.old.unit, "new": made.new.unit}
    bounds = []
    for which, drift, told in (
        ("old", found.old_drift, found.old_drift_bounds),
        ("new", found.new_drift, found.new_drift_bounds),
    ):
        for c in range(4):
            own = rows[which][c == LABELS]
            angle, error = angle_of(own, VERTICES[c], len(own))
            half = stats.t.isf(0.1 / 8 / 2, max(len(own) - 1, 1)) * error
            assert drift[c] == pytest.approx(angle, abs=1e-12)
            assert told[c] == pytest.approx((max(angle - half, 0.0), min(angle + half, math.pi)))
            bounds.append(told[c])
    assert found.worst_drift == pytest.approx(tuple(np.max(bounds, axis=0)))
    cosines = {name: np.vecdot(own, VERTICES[LABELS]) for name, own in rows.items()}
    assert (found.old_cosine, found.new_cosine) == pytest.approx((cosines["old"].mean(), cosines["new"].mean()))
    change = cosines["new"] - cosines["old"]
    squares = 0.0
    for c, size in enumerate([9, 6, 4, 1]):  # a class of one counts with its distance from the mean of all
        own = change[c == LABELS]
        squares += (size / 20) ** 2 * (own.var(ddof=1) if size > 1 else (own[0] - change.mean()) ** 2) / size
    half = stats.t.isf(0.05, 16) * math.sqrt(squares)
    assert found.cosine_change == pytest.approx((change.mean() - half, change.mean() + half))
    assert (found.max_drift, found.confidence, found.vertices_estimated) == (0.7, 0.9, False)


def test_of_kept_rows_the_spread_is_that_of_all_they_stand_for():
    rng = np.random.default_rng(1)
    found = rng.standard_normal((2, 12, 5)) + 2.0 * VERTICES[np.repeat([0, 1, 2, 3], 3)]
    found /= np.linalg.norm(found, axis=2, keepdims=True)
    sizes = np.array([30, 6, 3, 12])
    rows = Rows(models=found, codes=np.repeat(np.arange(4), 3), sizes=sizes)
    for which, own in (("new", found[0]), ("old", found[1])):
        means = own.reshape(4, 3, 5).mean(axis=1)
        drift, error = hypotheses._drift(which, means, rows, VERTICES)
        for c in range(4):
            expected = angle_of(own[3 * c : 3 * c + 3], VERTICES[c], int(sizes[c]))
            assert (drift[c], error[c]) == pytest.approx(expected, abs=1e-12)
    values = rng.standard_normal(12)
    share = sizes / sizes.sum()
    variances = values.reshape(4, 3).var(axis=1, ddof=1)
    spread, freedom = hypotheses._spread(values, rows)
    assert spread == pytest.approx(math.sqrt(np.sum(share**2 * variances / sizes)))
    assert freedom == 8
    single = Rows(models=found[:, :4], codes=np.arange(4), sizes=sizes)
    mean = share @ values[:4]
    spread, freedom = hypotheses._spread(values[:4], single)
    assert spread == pytest.approx(math.sqrt(np.sum(share**2 * (values[:4] - mean) ** 2 / sizes)))
    assert freedom == 1


def test_answers_at_the_ends_of_their_intervals():
    turn = np.linalg.qr(np.eye(8) + 0.15 * np.random.default_rng(0).standard_normal((8, 8)))[0]
    large = Upgrade(*upgrade(0.5, 0.6, num_samples=200))
    vertices = simplex_vertices(5, 8) @ (turn * np.sign(np.diag(turn)))
    low, high = check_hypotheses(large, vertices).worst_drift
    assert 0.0 < low < high < math.pi
    for limit, answer in ((high, "hold"), (high - 1e-9, "undecided"), (low, "undecided"), (low - 1e-9, "fail")):
        found = check_hypotheses(large, vertices, max_drift=limit)
        assert found.stationarity == answer
        assert found.status == ("hold" if found.concentration == answer == "hold" else answer)
    # nothing lost is not less
    made = small()
    same = check_hypotheses(Upgrade(made.old, made.old), VERTICES, max_drift=math.pi - 1e-9)
    assert same.cosine_change == (0.0, 0.0)
    assert same.concentration == "hold"
    with pytest.raises(ValueError, match="max_drift must be in"):
        check_hypotheses(made, VERTICES, max_drift=math.pi)
    check_hypotheses(made, VERTICES * (1.0 + 5e-6))
    with pytest.raises(ValueError, match=r"vertices must have norm 1, got 1\.000"):
        check_hypotheses(made, np.concatenate([VERTICES[:3], 1.0001 * VERTICES[3:]]))
    gallery = FeatureSet(np.eye(5), np.arange(5))
    with pytest.raises(ValueError, match="at least two classes, each with a query"):
        check_hypotheses(Upgrade(made.new, made.old, gallery), simplex_vertices(5, 5))
    one = FeatureSet(np.eye(5), np.zeros(5, int))
    with pytest.raises(ValueError, match="at least two classes"):
        check_hypotheses(Upgrade(one, one))
    two = FeatureSet(np.eye(4), np.array([0, 0, 1, 1]))
    assert check_hypotheses(Upgrade(two, two)).vertices_estimated


def test_neural_collapse_of_some_rows_and_of_many_classes(monkeypatch):
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 30)
    rows = rng.standard_normal((120, 6)) + 2.0 * rng.standard_normal((4, 6))[labels]
    means = np.array([rows[labels == c].mean(axis=0) for c in range(4)])
    vertices = simplex_vertices(4, 6)
    centred = means - means.mean(axis=0)
    between = np.linalg.pinv(centred.T @ centred / 4, rcond=1e-10)
    for most, step in ((40, 3), (119, 2), (120, 1)):
        monkeypatch.setattr(neural_collapse, "ROWS", most)
        found = neural_collapse.neural_collapse(means, vertices, rows, labels)
        left = (rows - means[labels])[::step]
        assert found.within_between == pytest.approx(np.trace(left.T @ left / len(left) @ between) / 4, rel=1e-9)
    lengths = np.linalg.norm(centred, axis=1)
    assert found.equinorm == pytest.approx(lengths.std() / lengths.mean())
    apart = vertices / np.linalg.norm(vertices) - centred / np.linalg.norm(centred)
    assert found.self_duality == pytest.approx(np.linalg.norm(apart))
    directions = rng.standard_normal((600, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    cosines = (directions @ directions.T)[~np.eye(600, dtype=bool)]
    expected = np.mean(np.abs(cosines + 1.0 / 599.0))
    assert neural_collapse._equiangularity(directions) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("gallery", [False, True])
@pytest.mark.parametrize("sums", [False, True])
def test_drift_from_means_over_pairs(monkeypatch, gallery, sums):
    """Lengths and products of class means are over pairs of different samples; of a class of one they are its own."""
    if sums:
        monkeypatch.setattr("verification.statistics.gaps.ALL_PAIRS_BUDGET", 0.0)
    rng = np.random.default_rng(3)
    made = small()
    items, other = made.old.unit, LABELS
    if gallery:
        other = np.repeat([0, 1, 2, 3], [3, 5, 1, 2])
        items = VERTICES[other] + 0.5 * rng.standard_normal((len(other), 5))
        items /= np.linalg.norm(items, axis=1, keepdims=True)
        made = Upgrade(made.new, made.old, FeatureSet(items, other))
    new, old = made.new.unit, made.old.unit

    def product(a: np.ndarray, b: np.ndarray, first: np.ndarray, second: np.ndarray, c: int, same: bool) -> float:
        block = a[first == c] @ b[second == c].T
        if same and len(block) > 1:
            return float(block[~np.eye(len(block), dtype=bool)].mean())
        return float(block.mean())

    source = made.statistics()
    means = _Means.of(source)
    rotated, tolerates = [], []
    lengths = np.zeros((3, 4))
    for c in range(4):
        for at, (rows, codes) in enumerate(((new, LABELS), (old, LABELS), (items, other))):
            lengths[at, c] = math.sqrt(max(product(rows, rows, codes, codes, c, True), 1e-300))
        scale = lengths[0, c] * lengths[2, c]
        for found, rows in ((rotated, new), (tolerates, old)):
            cosine = product(rows, items, LABELS, other, c, not gallery) / scale
            found.append(math.acos(max(-1.0, min(1.0, cosine))))
    np.testing.assert_allclose(means.new_length, lengths[0], rtol=1e-9)
    np.testing.assert_allclose(means.old_length, lengths[1], rtol=1e-9)
    np.testing.assert_allclose(means.item_length, lengths[2], rtol=1e-9)
    np.testing.assert_allclose(means.rotated(), rotated, atol=1e-7)
    np.testing.assert_allclose(means.tolerates(), tolerates, atol=1e-7)
    some = [0, 1, 2, 3] if gallery else [0, 1, 2]
    np.testing.assert_array_equal(means.paired, some)
    y, z = 1, 0
    target = items[other == z].mean(axis=0) / lengths[2, z]
    after, before = new[y == LABELS].mean(axis=0) @ target, old[y == LABELS].mean(axis=0) @ target
    begin, turned, limit = (
        math.acos(max(-1.0, min(1.0, cosine / length)))
        for cosine, length in ((before, lengths[1, y]), (after, lengths[0, y]), (before, lengths[0, y]))
    )
    expected = begin - turned, begin - limit
    assert means.towards(y, z) == pytest.approx(expected)
    margin = drift_margin("sqeuclidean", source, made.labels, np.zeros(4), (y, z))
    assert margin is not None
    turns, limits = np.array(rotated)[some], np.array(tolerates)[some]
    assert (margin.rotated, margin.tolerates) == pytest.approx((np.median(turns), np.median(limits)))
    assert margin.worst.label == some[int(np.argmin(limits - turns))]
    assert [entry.label for entry in margin.by_class] == some
    assert margin.pair is not None
    assert (margin.pair.query, margin.pair.gallery) == (y, z)
    assert (margin.pair.rotated, margin.pair.tolerates) == pytest.approx(expected)
    assert drift_margin("sqeuclidean", source, made.labels, np.zeros(4), None) == replace(margin, pair=None)


def test_the_worst_class_has_the_least_room_left():
    """Not the one that rotated most, nor the one that tolerates least."""
    turns, limits = np.array([0.1, 0.5, 0.3]), np.array([0.15, 0.7, 0.32])
    rng = np.random.default_rng(0)
    aside = np.eye(6)[3:]
    rows, others = [], []
    for c, (turn, limit) in enumerate(zip(turns, limits, strict=True)):
        axis = np.eye(6)[c]
        rows.append(np.tile(math.cos(turn) * axis + math.sin(turn) * aside[c], (40, 1)))
        spread = math.tan(math.acos(math.cos(limit))) * rng.choice([-1.0, 1.0], (40, 1)) * aside[(c + 1) % 3]
        others.append(axis + spread)
    labels = np.repeat(np.arange(3), 40)
    made = Upgrade(FeatureSet(np.concatenate(rows), labels), FeatureSet(np.concatenate(others), labels))
    found = drift_margin("sqeuclidean", made.statistics(), made.labels, np.zeros(3), None)
    assert found is not None
    room = [entry.tolerates - entry.rotated for entry in found.by_class]
    both = [entry.tolerates + entry.rotated for entry in found.by_class]
    assert int(np.argmin(room)) == 2 != int(np.argmin(both))
    assert found.worst.label == 2


def side(value: float, error: float = 0.1, second: float = 0.0) -> Estimate:
    return Estimate(value=value, standard_error=error, freedom=40.0, second_order=second)


def test_the_samples_that_decide_have_the_power_that_was_promised():
    rule = Criterion(confidence=0.975, margin=0.05)
    # two gains have to be seen both; of losses the clearest decides, and gains do not matter
    for sides, decides in (
        ([side(0.1), side(0.2)], side(0.1)),
        ([side(-0.2), side(-0.1)], side(-0.2)),
        ([side(-0.2), side(0.01)], side(-0.2)),
        ([side(-0.2), side(0.01, math.inf)], side(-0.2)),
        ([side(-0.05), side(0.3)], side(-0.05 + 1e-12)),
    ):
        factor = samples_factor(sides, rule)
        if abs(decides.value + 0.05) < 1e-9:
            assert factor is None
            continue
        assert factor is not None
        expected = optimize.brentq(lambda x, one=decides: power_at(one, x, rule) - 0.8, 1e-4, 1e4)
        assert factor == pytest.approx(expected, rel=1e-6)
        needed = samples_needed(sides, rule, 400, 5)
        assert needed.towards == (Verdict.incompatible if decides.value < -0.05 else Verdict.compatible)
        assert (needed.factor, needed.power) == (factor, 0.8)
        assert needed.more == power._two_digits((factor - 1.0) * 400)
        assert needed.more_per_class == power._two_digits((factor - 1.0) * 80)
        assert needed.sentence == (
            f"If the gaps are as observed, about {needed.more_per_class:,} more samples per class ({needed.more:,} in "
            f"all) would show it {needed.towards} with 80 % probability."
        )
    for sides in ([side(0.1), side(0.1, math.inf)], [side(-0.2, math.inf), side(0.1)]):
        assert samples_factor(sides, rule) is None
        needed = samples_needed(sides, rule, 400, 5)
        assert "too few to say" in needed.sentence
        assert needed.more is needed.more_per_class is None
    assert power_at(side(0.1, 0.0), 1.0, rule) == 1.0
    # no more of the error can be of second order than there is
    assert power_at(side(0.1, 0.1, 5.0), 3.0, rule) == power_at(side(0.1, 0.1, 0.1**2), 3.0, rule)
    values = [-3.0, 0.0, 0.4, 1.0, 9.2, 10.0, 99.0, 99.5, 101.0, 1200.0, 1234.0]
    assert [power._two_digits(value) for value in values] == [1, 1, 1, 1, 10, 10, 99, 100, 110, 1200, 1300]


def test_an_open_report_names_the_excluded_loss_and_a_closed_one_no_samples():
    new, old = upgrade(0.5, 0.9, num_samples=200)
    assert audit(new, old).samples_needed is None
    assert audit(old, new).samples_needed is None

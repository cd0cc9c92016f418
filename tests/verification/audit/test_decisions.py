"""Theorem D tested on drawn laws: its level where nothing changes, its power where rates get worse."""

from __future__ import annotations

import math

import numpy as np
import pytest

from theory.caps import UniformCap
from theory.simplex import simplex_vertices
from verification.audit import decisions
from verification.audit.decisions import check_decisions, pair_bound, without_drift
from verification.features import FeatureSet
from verification.upgrade import Upgrade


def drawn(new_radius, old_radius, seed, classes=6, size=60, dim=5, turn=0.0):
    """Caps about simplex vertices; the new ones about axes turned towards the next class."""
    rng = np.random.default_rng(seed)
    axes = simplex_vertices(classes, dim)
    labels = np.repeat(np.arange(classes), size)
    turned = axes + turn * np.roll(axes, -1, axis=0)
    turned /= np.linalg.norm(turned, axis=1, keepdims=True)
    new, old = (
        np.concatenate([UniformCap(dim, radius).sample(size, axis=axis, rng=rng) for axis in places])
        for radius, places in ((new_radius, turned), (old_radius, axes))
    )
    return Upgrade(FeatureSet(new, labels), FeatureSet(old, labels)), axes


def test_narrower_caps_keep_their_decisions_and_lose_them_below_the_bound():
    upgrade, axes = drawn(0.4, 0.9, 0, size=150)
    check = check_decisions(upgrade, axes)
    assert check.true_accepts.families == 6
    assert check.true_accepts.wrong == check.false_accepts.wrong == 0
    assert check.false_accepts.tested > 200
    assert check.below.share > 0.05  # where the theorem is silent, rates do rise
    assert check.below.wrong_families >= 2
    assert check.silent == 0


def test_wider_caps_are_found():
    check = check_decisions(*drawn(0.9, 0.4, 1))
    assert check.true_accepts.families == 0
    assert check.wider.share > 0.9
    assert check.nearer.share > 0.3


def test_a_drift_towards_the_next_class_is_found():
    upgrade, axes = drawn(0.4, 0.45, 2, turn=0.4)
    check = check_decisions(upgrade, axes)
    assert check.nearer.wrong_families >= 3
    assert check.nearer.share > 0.1
    # and with the drift taken out it is gone
    check = check_decisions(without_drift(upgrade, axes), axes)
    assert check.nearer.wrong + check.false_accepts.wrong == 0


def test_the_level_where_nothing_changes():
    """Two draws of one law, 40 times: 2.5 % of settings are worse, and of classes and pairs, all thresholds at once."""
    found = [check_decisions(*drawn(0.7, 0.7, 100 + seed, classes=3, dim=3), num_thresholds=10) for seed in range(40)]
    for name in ("wrong", "wrong_families"):
        size = "tested" if name == "wrong" else "families"
        for sides in (("true_accepts", "wider"), ("false_accepts", "nearer")):
            wrong = sum(getattr(getattr(check, side), name) for check in found for side in sides)
            total = sum(getattr(getattr(check, side), size) for check in found for side in sides)
            assert total >= 100
            # 4 standard errors of a share of ``total`` that come in ten dependent ones, and a normal quantile at n = 60
            assert 0 < wrong / total < 0.025 + 4 * math.sqrt(0.025 / total * (10 if name == "wrong" else 1)) + 0.01


def test_bounds_of_pairs():
    assert pair_bound(-0.2, 1.0, 1.0) == -0.2
    assert pair_bound(0.3, 0.6, 0.6) == pytest.approx(0.3 / math.cos(0.6) ** 2)
    assert pair_bound(0.3, 1.6, 0.6) == math.inf


def test_classes_of_one_sample_are_left_out():
    upgrade, _ = drawn(0.4, 0.9, 3, size=1)
    check = check_decisions(upgrade)
    assert check.true_accepts.tested == check.false_accepts.tested == 0
    assert math.isnan(check.false_accepts.share)


def test_invalid_arguments_are_named():
    upgrade, axes = drawn(0.4, 0.9, 4)
    with pytest.raises(ValueError, match=r"level must be in \(0, 1\), got 1.0"):
        check_decisions(upgrade, level=1.0)
    with pytest.raises(ValueError, match=r"vertices must have shape \(6, 5\), one row per class, got \(3, 5\)"):
        check_decisions(upgrade, axes[:3])
    gallery = Upgrade(upgrade.new, upgrade.old, gallery=upgrade.old)
    with pytest.raises(ValueError, match="leave the gallery out"):
        check_decisions(gallery)


@pytest.mark.parametrize("other", [False, True])
def test_changes_in_standard_errors_against_loops(other):
    rng = np.random.default_rng(0)
    n, g = (9, 7) if other else (9, 9)
    first, second = rng.uniform(-1.0, 1.0, (2, n, g))
    # one of them a value that occurs, from which on pairs are accepted
    thresholds = np.array([-0.5, 0.0, first[0, 1], 0.99])
    found = decisions._standardised(first, second, thresholds, np.random.default_rng(1), other)
    assert found is not None
    scores, parts = [], []
    for at in thresholds:
        t = (first >= at).astype(float) - (second >= at)
        if not other:  # samples never meet themselves
            np.fill_diagonal(t, 0.0)
        if np.count_nonzero(t) < decisions.FEW:
            continue
        if other:
            change = t.mean()
            by_query, by_item = t.mean(axis=1), t.mean(axis=0)
            error = math.sqrt(by_query.var(ddof=1) / n + by_item.var(ddof=1) / g)
            centred = [(by_query - change) / math.sqrt(n * (n - 1)), (by_item - change) / math.sqrt(g * (g - 1))]
            parts.append(np.concatenate(centred) / error)
        else:
            change = t.sum() / (n * (n - 1))
            h = (t.sum(axis=1) + t.sum(axis=0)) / (n - 1)
            error = h.std(ddof=1) / math.sqrt(n)
            parts.append((h - h.mean()) / math.sqrt(n * (n - 1)) / error)
        scores.append(change / error)
    assert 1 < len(scores) < len(thresholds)
    np.testing.assert_allclose(found.scores, scores, rtol=1e-12)
    normal = np.random.default_rng(1).standard_normal((500, n + g if other else n))
    np.testing.assert_allclose(found.largest, (normal @ np.array(parts).T).max(axis=1), rtol=1e-9)
    few = slice(0, 2 if not other else 1)
    assert decisions._standardised(first[few, few], second[few, few], thresholds, rng, other) is None
    assert decisions._standardised(first, second, thresholds[:0], rng, other) is None
    assert decisions._standardised(first, first, thresholds, rng, other) is None
    if other:  # two queries are enough
        two = np.ones((2, 8)), np.tile([0.0, 0.0, 0.0, 1.0], (2, 2))
        assert decisions._standardised(*two, np.array([0.5]), rng, other) is not None
    # as many pairs as are believed, and one fewer; what a sample has with itself does not count
    for count in (decisions.FEW, decisions.FEW - 1):
        some, none = np.zeros((2, 5, 5))
        some[tuple(np.argwhere(~np.eye(5, dtype=bool))[:count].T)] = 1.0
        none[np.diag_indices(5)] = 0.0 if other else 1.0
        told = decisions._standardised(some, none, np.array([0.5]), rng, other)
        assert (told is None) == (count < decisions.FEW)


def test_thresholds_lie_at_quantiles_within_their_range():
    before, after = np.array([[-0.9, 0.1, 0.2], [0.3, 0.4, 0.9]]), np.array([[0.5, 0.6, 0.7]])
    np.testing.assert_allclose(
        decisions._spread(before, after, 0.1, 0.7, 2), np.quantile(np.arange(1, 8) / 10, [0.25, 0.75])
    )
    assert len(decisions._spread(before, after, -0.5, 0.0, 3)) == 0
    np.testing.assert_allclose(decisions._spread(before, after, 0.9, 1.0, 5), [0.9])


def test_classes_turned_to_their_vertices_keep_their_shape():
    upgrade, axes = drawn(0.4, 0.9, 5, turn=0.3)
    turned = without_drift(upgrade, axes)
    for before, after in ((upgrade.new, turned.new), (upgrade.old, turned.old)):
        for c, axis in enumerate(axes):
            one, other = (features.unit[features.labels == c] for features in (before, after))
            np.testing.assert_allclose(one @ one.T, other @ other.T, atol=1e-12)
            mean = other.mean(axis=0)
            np.testing.assert_allclose(mean / np.linalg.norm(mean), axis, atol=1e-12)


def test_counts_of_tests_add_up():
    counts = decisions._Counts(0.025)
    counts.add(None)
    counts.add(decisions._Changes(np.array([1.9, 1.97, 3.0]), np.linspace(0.0, 2.0, 500)))
    counts.add(decisions._Changes(np.array([-3.0, 1.95]), np.linspace(0.0, 1.9, 500)))
    counts.add(decisions._Changes(np.array([0.0]), np.linspace(1.0, 2.0, 500)))
    found = counts.tests()
    assert (found.tested, found.wrong, found.families, found.wrong_families, found.level) == (6, 2, 3, 2, 0.025)
    assert (found.share, found.family_share) == (2 / 6, 2 / 3)
    nothing = decisions._Counts(0.1).tests()
    assert (nothing.tested, nothing.wrong, nothing.families, nothing.wrong_families) == (0, 0, 0, 0)
    assert math.isnan(nothing.share)
    assert math.isnan(nothing.family_share)
    assert pair_bound(0.0, 2.0, 2.0) == 0.0
    assert pair_bound(0.3, 0.1, 0.5 * math.pi) == pair_bound(0.3, 0.5 * math.pi, 0.1) == math.inf
    assert math.isfinite(pair_bound(0.3, 0.1, 0.5 * math.pi - 1e-9))
    assert pair_bound(0.3, 0.6, 0.2) == pytest.approx(0.3 / math.cos(0.6) / math.cos(0.2))


def test_each_class_and_pair_is_counted_by_its_hypothesis(monkeypatch):
    """Classes by whether they widened, pairs by their bound and by whether the new mean came nearer."""
    rng = np.random.default_rng(0)
    axes, labels = rng.standard_normal((4, 3)), np.repeat(np.arange(4), 20)
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    spreads = np.array([0.2, 0.3, 1.0, 0.4])[labels, None], 0.5
    upgrade = Upgrade(*(FeatureSet(axes[labels] + s * rng.standard_normal((80, 3)), labels) for s in spreads))
    calls = {}
    monkeypatch.setattr(decisions, "_spread", lambda before, after, low, high, count: (low, high, count))
    monkeypatch.setattr(decisions, "_standardised", lambda first, second, at, rng, other=False: (*at, other))
    monkeypatch.setattr(decisions._Counts, "add", lambda counts, found: calls.setdefault(id(counts), []).append(found))
    monkeypatch.setattr(decisions._Counts, "tests", lambda counts: counts)
    check = check_decisions(upgrade, 2.0 * axes, num_thresholds=7)
    new, old = upgrade.new.unit, upgrade.old.unit
    cosines = [old[labels == c] @ axis for c, axis in enumerate(axes)]
    radii = [np.quantile(np.arccos(cosine), 0.9) for cosine in cosines]
    expected = {"true_accepts": [], "wider": [], "false_accepts": [], "nearer": [], "below": []}
    silent = 0
    for c in range(4):
        means = new[labels == c].mean(axis=0), old[labels == c].mean(axis=0)
        narrower = means[0] @ axes[c] >= means[1] @ axes[c]
        for k in range(4):
            if c == k:
                expected["true_accepts" if narrower else "wider"].append((-1.0, 1.0, 7, False))
                continue
            rho = float(axes[c] @ axes[k])
            bound = pair_bound(rho, radii[c], radii[k])
            obeys = narrower and means[0] / np.linalg.norm(means[0]) @ axes[k] <= rho
            silent += bound > 1.0
            if bound < 1.0:
                expected["false_accepts" if obeys else "nearer"].append((bound, 1.0, 7, True))
            if obeys:
                expected["below"].append((-1.0, min(bound, 1.0), 7, True))
    for name, ranges in expected.items():
        np.testing.assert_allclose(calls.get(id(getattr(check, name)), []), ranges)
    assert sum(bool(ranges) for ranges in expected.values()) >= 4
    assert check.silent == silent

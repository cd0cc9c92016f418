"""Theorem D tested on drawn laws: its level where nothing changes, its power where rates get worse."""

from __future__ import annotations

import math

import numpy as np
import pytest

from theory.caps import UniformCap
from theory.simplex import simplex_vertices
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

"""Hypotheses, and the answers that keep them apart from the conclusions."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
from scipy import stats

from tests.verification.samples import upgrade
from theory.simplex import simplex_vertices
from verification import upgrade as upgrade_module
from verification.audit.hypotheses import check_hypotheses, nearest_simplex
from verification.audit.neural_collapse import neural_collapse
from verification.audit.theorem import check_theorem
from verification.features import FeatureSet
from verification.upgrade import Upgrade

VERTICES = simplex_vertices(5, 8)


def rotation_towards(start: np.ndarray, other: np.ndarray, angle: float) -> np.ndarray:
    """The rotation of the plane of two unit vectors that takes the first towards the second by ``angle``."""
    e = start
    f = other - (other @ e) * e
    f /= np.linalg.norm(f)
    plane = np.stack([e, f])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.eye(len(start)) + plane.T @ (turn - np.eye(2)) @ plane


def drifted(features: FeatureSet, angle: float) -> FeatureSet:
    """Each class turned by ``angle`` towards the next class's vertex."""
    turned = features.unit.copy()
    for c in range(len(VERTICES)):
        rows = features.labels == c
        turned[rows] = features.unit[rows] @ rotation_towards(VERTICES[c], VERTICES[(c + 1) % 5], angle).T
    return FeatureSet(turned, features.labels)


@pytest.mark.parametrize("angle", [0.0, 0.05, 0.2, 1.0, 2.5])
def test_drift_is_the_angle_that_was_put_in(angle):
    new, old = upgrade(0.5, 0.6, num_samples=5000)
    hypotheses = check_hypotheses(Upgrade(drifted(new, angle), old), VERTICES)
    # a class of 1000 samples in a cap of 0.5 knows its mean direction to about 0.45·√(7/8)/√1000 = 0.013 rad
    np.testing.assert_allclose(hypotheses.new_drift, angle, atol=0.04)
    np.testing.assert_allclose(hypotheses.old_drift, 0.0, atol=0.04)
    assert hypotheses.worst_drift[0] <= max(angle, 0.04) <= hypotheses.worst_drift[1] + 0.04


@pytest.mark.simulations
def test_drift_interval_covers():
    """Simultaneous over 2K class means: the largest true drift lies in the interval at least as often as stated."""
    runs, covered = 150, 0
    for seed in range(runs):
        new, old = upgrade(0.5, 0.6, num_samples=200, seed=seed)
        low, high = check_hypotheses(Upgrade(drifted(new, 0.3), old), VERTICES, confidence=0.9).worst_drift
        covered += low <= 0.3 <= high
    assert covered / runs >= 0.9 - 2 * math.sqrt(0.9 * 0.1 / runs)


def test_concentration_falls_where_caps_widen():
    assert check_hypotheses(Upgrade(*upgrade(0.5, 0.6)), VERTICES).concentration == "hold"
    assert check_hypotheses(Upgrade(*upgrade(0.6, 0.5)), VERTICES).concentration == "fail"
    assert check_hypotheses(Upgrade(*upgrade(0.6, 0.6)), VERTICES).concentration == "undecided"


def test_vertices_can_be_found_from_the_old_model():
    rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((8, 8)))[0]
    np.testing.assert_allclose(nearest_simplex(0.7 * VERTICES @ rotation), VERTICES @ rotation, atol=1e-14)
    new, old = (FeatureSet(s.unit @ rotation, s.labels) for s in upgrade(0.5, 0.6))
    found = check_hypotheses(Upgrade(new, old))
    assert found.vertices_estimated
    assert found.status == "hold"
    given = check_hypotheses(Upgrade(new, old), VERTICES)  # the vertices before the rotation: not where the classes are
    assert not given.vertices_estimated
    assert given.stationarity == "fail"


def test_a_part_of_the_rows_tells_the_spread(monkeypatch):
    """Means are of all rows; intervals from 500 of 4000 rows, six in a hundred off as their spread is known to that."""
    new, old = upgrade(0.5, 0.6, num_samples=4000)
    whole = check_hypotheses(Upgrade(new, old), VERTICES)
    monkeypatch.setattr(upgrade_module, "KEPT", 500 * 8)
    part = check_hypotheses(Upgrade(new, old), VERTICES)
    assert part.new_cosine == whole.new_cosine
    np.testing.assert_allclose(part.new_drift, whole.new_drift, atol=0.005)
    widths = [np.diff(found.cosine_change)[0] for found in (part, whole)]
    assert widths[0] == pytest.approx(widths[1], rel=4 / math.sqrt(2 * 500))


def test_drift_bounds_hold_each_class():
    new, old = upgrade(0.5, 0.6, num_samples=1000)
    found = check_hypotheses(Upgrade(drifted(new, 0.3), old), VERTICES)
    for drift, (low, high) in zip(found.new_drift, found.new_drift_bounds, strict=True):
        assert low <= drift <= high
        assert low <= 0.3 <= high
    assert found.worst_drift[1] == max(high for _, high in found.old_drift_bounds + found.new_drift_bounds)


def test_the_error_of_a_drift_is_that_of_repeated_samples():
    """Class means far off their vertices and little concentrated: resultants are short, and errors long."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 80)
    vertices, axes = simplex_vertices(3, 4), np.array([[0.1, -0.9, 0.4, 0], [0.9, 0.2, 0, 0.3], [-0.2, 0.5, 0.8, 0]])
    drifts, halves = [], []
    for _ in range(300):
        rows = FeatureSet(axes[labels] + 0.8 * rng.standard_normal((240, 4)), labels)
        found = check_hypotheses(Upgrade(rows, rows), vertices)
        drifts.append(found.new_drift)
        halves.append([high - angle for angle, (_, high) in zip(found.new_drift, found.new_drift_bounds, strict=True)])
    assert np.degrees(np.mean(drifts, axis=0)).min() > 60.0
    # level of one class and model of six
    errors = np.mean(halves, axis=0) / stats.t.isf(0.05 / 6 / 2, 79)
    # 300 draws know a standard deviation to 4 %: about four of these
    np.testing.assert_allclose(errors, np.std(drifts, axis=0, ddof=1), rtol=0.15)


def test_neural_collapse_is_zero_at_collapse_and_grows_with_the_caps():
    labels = np.repeat(np.arange(5), 4)
    at_vertices = neural_collapse(VERTICES, VERTICES, VERTICES[labels], labels)
    # rounding of five vectors of length one, through a singular value decomposition
    np.testing.assert_allclose(dataclasses.astuple(at_vertices), 0.0, atol=1e-14)
    found = [
        check_hypotheses(Upgrade(*upgrade(radius, 0.6, num_samples=1000)), VERTICES).collapse_new
        for radius in (0.3, 0.6)
    ]
    assert found[0].within_between < found[1].within_between
    turned = check_hypotheses(Upgrade(drifted(upgrade(0.3, 0.6)[0], 1.0), upgrade(0.3, 0.6)[1]), VERTICES)
    assert turned.collapse_new.self_duality > 10 * turned.collapse_old.self_duality


def test_within_between_is_papyans():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 30)
    rows = rng.standard_normal((120, 6)) + 2.0 * rng.standard_normal((4, 6))[labels]
    means = np.array([rows[labels == c].mean(axis=0) for c in range(4)])
    within = (rows - means[labels]).T @ (rows - means[labels]) / 120
    centred = means - means.mean(axis=0)
    between = centred.T @ centred / 4
    expected = np.trace(within @ np.linalg.pinv(between, rcond=1e-10)) / 4
    found = neural_collapse(means, simplex_vertices(4, 6), rows, labels)
    assert found.within_between == pytest.approx(expected, rel=1e-10)  # condition of a 3 × 3 matrix times rounding
    directions = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    cosines = (directions @ directions.T)[~np.eye(4, dtype=bool)]
    assert found.equiangularity == pytest.approx(np.mean(np.abs(cosines + 1 / 3)), abs=1e-14)


def test_theorem_holds_where_caps_shrink():
    check = check_theorem(Upgrade(*upgrade(0.5, 0.6)), VERTICES)
    assert check.answer == "holds"
    assert "so do both inequalities" in check.sentence


def test_hypothesis_fails_by_drift_and_by_concentration():
    new, old = upgrade(0.5, 0.6)
    far = check_theorem(Upgrade(drifted(new, 1.0), old), VERTICES)
    assert far.answer == "hypothesis fails"
    assert "from its vertex" in far.sentence
    wide = check_theorem(Upgrade(*upgrade(0.7, 0.5)), VERTICES)
    assert wide.answer == "hypothesis fails"
    assert "concentration falls" in wide.sentence


def test_a_conclusion_can_fail_although_the_hypotheses_hold():
    """All of the drift that the tolerance allows, and hardly any gain in concentration: more than the update bears."""
    new, old = upgrade(0.42, 0.45, num_samples=20_000)
    check = check_theorem(Upgrade(drifted(new, 0.2), old), VERTICES, max_drift=0.8)
    assert check.hypotheses.stationarity == "hold"
    # without a tolerance worth the name the same features are a failed hypothesis
    assert check_theorem(Upgrade(drifted(new, 0.2), old), VERTICES, max_drift=0.1).answer == "hypothesis fails"
    rng = np.random.default_rng(0)
    labels = np.arange(4000) % 5
    # old class means off their vertices to one side, new ones to the other, equally near: 1a loses, the cosine gains
    off = FeatureSet(drifted_rows(labels, -0.2, 0.30, rng), labels)
    other = FeatureSet(drifted_rows(labels, 0.2, 0.25, rng), labels)
    against = check_theorem(Upgrade(other, off), VERTICES)
    assert against.hypotheses.status == "hold"
    assert against.answer == "conclusion fails although the hypotheses hold"
    assert "15° of their vertices" in against.sentence


def drifted_rows(labels, angle, radius, rng):
    from tests.verification.samples import cap_features

    return drifted(cap_features(labels, 8, radius, rng), angle).unit


def test_undecided_where_the_data_cannot_tell():
    check = check_theorem(Upgrade(*upgrade(0.6, 0.6, num_samples=60)), VERTICES)
    assert check.answer == "undecided"
    assert "undecided" in check.sentence.lower()


def test_to_dict_is_json():
    content = check_theorem(Upgrade(*upgrade(0.5, 0.6)), VERTICES).to_dict()
    assert json.loads(json.dumps(content, allow_nan=False)) == content


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"vertices": VERTICES[:4]}, r"vertices must have shape \(5, 8\), one row a class, got \(4, 8\)"),
        ({"vertices": 2 * VERTICES}, "vertices must have norm 1, got 2.0"),
        ({"max_drift": 0.0}, r"max_drift must be in \(0, π\) radians, got 0.0"),
        ({"confidence": 0.0}, r"confidence must be in \(0, 1\), got 0.0"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        check_hypotheses(Upgrade(*upgrade(0.5, 0.6, num_samples=40)), **arguments)


def test_a_simplex_must_fit():
    new, old = (FeatureSet(s.unit[:, :3], s.labels) for s in upgrade(0.5, 0.6))
    with pytest.raises(ValueError, match="dim must be >= num_classes - 1 = 4"):
        check_hypotheses(Upgrade(new, old))

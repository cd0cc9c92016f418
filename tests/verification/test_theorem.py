"""Hypotheses, and the answers that keep them apart from the conclusions."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from tests.verification.samples import upgrade
from theory.simplex import simplex_vertices
from verification.features import FeatureSet
from verification.hypotheses import check_hypotheses, nearest_simplex
from verification.theorem import check_theorem

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
    hypotheses = check_hypotheses(drifted(new, angle), old, VERTICES)
    # a class of 1000 samples in a cap of 0.5 knows its mean direction to about 0.45·√(7/8)/√1000 = 0.013 rad
    np.testing.assert_allclose(hypotheses.new_drift, angle, atol=0.04)
    np.testing.assert_allclose(hypotheses.old_drift, 0.0, atol=0.04)
    assert hypotheses.worst_drift[0] <= max(angle, 0.04) <= hypotheses.worst_drift[1] + 0.04


def test_drift_interval_covers():
    """Simultaneous over 2K class means: the largest true drift lies in the interval at least as often as stated."""
    runs, covered = 150, 0
    for seed in range(runs):
        new, old = upgrade(0.5, 0.6, num_samples=200, seed=seed)
        low, high = check_hypotheses(drifted(new, 0.3), old, VERTICES, confidence=0.9).worst_drift
        covered += low <= 0.3 <= high
    assert covered / runs >= 0.9 - 2 * math.sqrt(0.9 * 0.1 / runs)


def test_concentration_falls_where_caps_widen():
    assert check_hypotheses(*upgrade(0.5, 0.6), VERTICES).concentration == "hold"
    assert check_hypotheses(*upgrade(0.6, 0.5), VERTICES).concentration == "fail"
    assert check_hypotheses(*upgrade(0.6, 0.6), VERTICES).concentration == "undecided"


def test_vertices_can_be_found_from_the_old_model():
    rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((8, 8)))[0]
    np.testing.assert_allclose(nearest_simplex(0.7 * VERTICES @ rotation), VERTICES @ rotation, atol=1e-14)
    new, old = (FeatureSet(s.unit @ rotation, s.labels) for s in upgrade(0.5, 0.6))
    found = check_hypotheses(new, old)
    assert found.vertices_estimated
    assert found.status == "hold"
    given = check_hypotheses(new, old, VERTICES)  # the vertices before the rotation: not where the classes are
    assert not given.vertices_estimated
    assert given.stationarity == "fail"


def test_theorem_holds_where_caps_shrink():
    check = check_theorem(*upgrade(0.5, 0.6), VERTICES)
    assert check.answer == "holds"
    assert "so do both inequalities" in check.sentence


def test_hypothesis_fails_by_drift_and_by_concentration():
    new, old = upgrade(0.5, 0.6)
    far = check_theorem(drifted(new, 1.0), old, VERTICES)
    assert far.answer == "hypothesis fails"
    assert "from its vertex" in far.sentence
    wide = check_theorem(*upgrade(0.7, 0.5), VERTICES)
    assert wide.answer == "hypothesis fails"
    assert "concentration falls" in wide.sentence


def test_a_conclusion_can_fail_although_the_hypotheses_hold():
    """All of the drift that the tolerance allows, and hardly any gain in concentration: more than the update bears."""
    new, old = upgrade(0.42, 0.45, num_samples=20_000)
    check = check_theorem(drifted(new, 0.2), old, VERTICES, max_drift=0.8)
    assert check.hypotheses.stationarity == "hold"
    # without a tolerance worth the name the same features are a failed hypothesis
    assert check_theorem(drifted(new, 0.2), old, VERTICES, max_drift=0.1).answer == "hypothesis fails"
    rng = np.random.default_rng(0)
    labels = np.arange(4000) % 5
    # old class means off their vertices to one side, new ones to the other, equally near: 1a loses, the cosine gains
    off = FeatureSet(drifted_rows(labels, -0.2, 0.30, rng), labels)
    other = FeatureSet(drifted_rows(labels, 0.2, 0.25, rng), labels)
    against = check_theorem(other, off, VERTICES)
    assert against.hypotheses.status == "hold"
    assert against.answer == "conclusion fails although the hypotheses hold"
    assert "15° of their vertices" in against.sentence


def drifted_rows(labels, angle, radius, rng):
    from tests.verification.samples import cap_features

    return drifted(cap_features(labels, 8, radius, rng), angle).unit


def test_undecided_where_the_data_cannot_tell():
    check = check_theorem(*upgrade(0.6, 0.6, num_samples=60), VERTICES)
    assert check.answer == "undecided"
    assert "undecided" in check.sentence.lower()


def test_to_dict_is_json():
    content = check_theorem(*upgrade(0.5, 0.6), VERTICES).to_dict()
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
        check_hypotheses(*upgrade(0.5, 0.6, num_samples=40), **arguments)


def test_a_simplex_must_fit():
    new, old = (FeatureSet(s.unit[:, :3], s.labels) for s in upgrade(0.5, 0.6))
    with pytest.raises(ValueError, match="dim must be >= num_classes - 1 = 4"):
        check_hypotheses(new, old)

"""Figs. 1, 2 and 12: their numbers are the theory's, and Monte Carlo agrees; with caps that widen they say so."""

from __future__ import annotations

import json

import numpy as np
import pytest

from paper_figures import fig01_caps, fig02_conditions, fig12_expected_distances
from theory.caps import UniformCap
from theory.compatibility import theorem1_gaps
from theory.distances import expected_distance

pytestmark = pytest.mark.figures


@pytest.fixture(scope="module")
def caps():
    return fig01_caps.compute()


@pytest.fixture(scope="module")
def conditions():
    return fig02_conditions.compute()


@pytest.fixture(scope="module")
def distances():
    return fig12_expected_distances.compute()


def close(value):
    """Within four standard errors, of a fixed seed."""
    return abs(value["mean"] - value["exact"]) < 4 * value["error"]


def test_fig01_features_are_in_their_caps(caps):
    assert json.loads(json.dumps(caps)) == caps
    for name, radius in (("old", 0.8), ("new", 0.5)):
        features = np.array(caps[name])
        np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1.0, rtol=1e-12)
        angles = np.arccos(features[:, -1])
        assert np.all(angles <= radius + 1e-12)
        # uniform on the cap: the share within an angle goes as 1 − cos; its standard error is below 0.032
        inner = np.mean(angles <= radius / 2)
        assert inner == pytest.approx((1 - np.cos(radius / 2)) / (1 - np.cos(radius)), abs=4 * 0.032)


def test_fig01_values(caps):
    old, new = UniformCap(3, 0.8), UniformCap(3, 0.5)
    for metric, pairs in caps["expected"].items():
        assert pairs["old_old"]["exact"] == expected_distance(old, old, 1.0, metric)
        assert pairs["new_old"]["exact"] == expected_distance(new, old, 1.0, metric)
        assert all(map(close, pairs.values()))
        assert pairs["new_old"]["exact"] < pairs["old_old"]["exact"]
    # T1: 2 − 2 m_t m_k
    lengths = [float(cap.mean_resultant_length()) for cap in (new, old)]
    assert caps["expected"]["sqeuclidean"]["new_old"]["exact"] == pytest.approx(2 - 2 * np.prod(lengths), rel=1e-12)
    assert "+0.1534 (sqeuclidean)" in fig01_caps.findings(caps)


def test_fig01_with_a_wider_new_cap_says_so(monkeypatch):
    monkeypatch.setattr(fig01_caps, "NEW_RADIUS", 1.1)
    monkeypatch.setattr(fig01_caps, "SAMPLES", 2**12)
    data = fig01_caps.compute()
    assert all(pairs["new_old"]["exact"] > pairs["old_old"]["exact"] for pairs in data["expected"].values())
    assert "-0.2" in fig01_caps.findings(data)
    assert "holds in all" not in fig01_caps.findings(data)


def test_fig02_values(conditions):
    assert json.loads(json.dumps(conditions)) == conditions
    old, new = UniformCap(2, 0.8), UniformCap(2, 0.5)
    for side, cosine, sign in (("same_class", 1.0, 1), ("different_class", -0.5, -1)):
        for metric, values in conditions[side]["expected"].items():
            assert values["new_old"]["exact"] == expected_distance(new, old, cosine, metric)
            difference = values["old_old"]["exact"] - values["new_old"]["exact"]
            assert values["gap"] == pytest.approx(sign * difference, abs=1e-12)  # rounding and quadrature
            assert values["gap"] > 0
            assert close(values["old_old"])
            assert close(values["new_old"])
        # the segments that are drawn are a sample of those pairs: within four standard errors
        for pair, drawn in fig02_conditions.chords(conditions[side]).items():
            expected = conditions[side]["expected"]["euclidean"][pair]["exact"]
            assert abs(drawn.mean() - expected) < 4 * drawn.std(ddof=1) / np.sqrt(len(drawn))
    # T8: one condition
    gaps = [conditions[side]["expected"]["sqeuclidean"]["gap"] for side in ("same_class", "different_class")]
    assert gaps[0] == pytest.approx(2 * gaps[1], rel=1e-12)


def test_fig02_chords_are_distances(conditions):
    side = conditions["different_class"]
    points = {name: np.stack([np.cos(side[name]), np.sin(side[name])], axis=1) for name in ("old_i", "new_i", "old_j")}
    for pair, i in (("old_old", "old_i"), ("new_old", "new_i")):
        expected = np.linalg.norm(points[i] - points["old_j"], axis=1)
        np.testing.assert_allclose(fig02_conditions.chords(side)[pair], expected, rtol=1e-12)


def test_fig12_curves_are_the_theory(distances):
    assert json.loads(json.dumps(distances)) == distances
    assert set(distances["metrics"]) == {"sqeuclidean", "euclidean", "angular"}
    at = [distances["dim"].index(dim) for dim in (2, 9, 1023)]
    for metric, sides in distances["metrics"].items():
        for i in at:
            dim = distances["dim"][i]
            gaps = theorem1_gaps(UniformCap(dim, 0.4), UniformCap(dim, 0.6), dim + 1, metric)
            for side, sign in (("same_class", 1), ("different_class", -1)):
                curves = sides[side]
                assert curves["gap"][i] == getattr(gaps, side)
                difference = sign * (curves["old_old"][i] - curves["new_old"][i])
                assert curves["gap"][i] == pytest.approx(difference, abs=1e-11)  # quadrature: 1e−12 a distance
        # both inequalities, at every dimension
        assert min(sides["same_class"]["gap"] + sides["different_class"]["gap"]) > 0


def test_fig12_monte_carlo_agrees(distances):
    scores = fig12_expected_distances.z_scores(distances)
    assert len(scores) == 3 * 2 * 2 * len(distances["point_dim"])
    assert np.max(np.abs(scores)) < 4
    # errors that were too small or too large by a factor of two would show: 96 scores have a deviation of 1 ± 0.07
    assert 0.7 < np.std(scores) < 1.3
    assert "Both inequalities hold" in fig12_expected_distances.findings(distances)


def test_fig12_with_caps_that_widen_says_so():
    data = fig12_expected_distances.compute(new_radius=0.7, points=(3, 9), dims=(3, 5), pairs=50)
    assert (data["dim"], data["point_dim"], data["pairs"]) == ([3, 5, 9], [3, 9], 50)
    alone = fig12_expected_distances.compute(old_radius=0.3, new_radius=0.7, points=(3,), dims=(3,), pairs=50)
    gaps = [found["metrics"]["sqeuclidean"]["same_class"]["gap"][0] for found in (data, alone)]
    assert gaps[1] < gaps[0] < 0
    for sides in data["metrics"].values():
        assert max(sides["same_class"]["gap"] + sides["different_class"]["gap"]) < 0
    assert "hold at every" not in fig12_expected_distances.findings(data)

"""The figures about Theorem 1: their numbers are the theory's, and say what the captions say."""

from __future__ import annotations

import json

import numpy as np
import pytest
from matplotlib.figure import Figure

from paper_figures import proof_in_one_picture, sign_of_the_gap, tolerable_drift
from theory.caps import UniformCap
from theory.compatibility import theorem1_gaps


def check(module, data):
    assert json.loads(json.dumps(data)) == data
    figure = module.draw(data)
    assert isinstance(figure, Figure)
    assert all(axes.get_xlabel() for axes in figure.axes[-3:-1])
    return figure


def test_proof_in_one_picture():
    data = proof_in_one_picture.compute()
    figure = check(proof_in_one_picture, json.loads(json.dumps(data)))
    assert [case["verdict"] == "proved" for case in data["cases"]] == [True] * 3 + [False] * 3
    assert [case["step"] for case in data["cases"]] == ["", "", "", "ii", "ii", "iv"]
    cosine = np.array(data["cosine"])
    np.testing.assert_allclose(cosine, -cosine[::-1], atol=1e-15)
    for case in data["cases"]:
        h, even = np.array(case["h"]), np.array(case["even"])
        # the verdict by eye, from the curves alone: h rises, and e lies below its chords
        assert bool(np.all(np.diff(h) > 0)) is (case["step"] != "ii")
        bends = np.diff(np.diff(even) / np.diff(cosine))
        assert bool(np.all(bends >= -1e-9)) is (case["step"] == "" or case["title"] == "$1-c^3$")
    assert sum("passes" in axes.get_title() for axes in figure.axes) == 3


@pytest.mark.parametrize(("power", "num_classes", "radius"), [(3, 10, 0.3), (5, 4, 1.2), (9, 40, 0.9)])
def test_gaps_of_the_figure_are_those_of_the_theory(power, num_classes, radius):
    same, different = sign_of_the_gap.gaps(power, num_classes, np.array([radius]))
    new = UniformCap(num_classes - 1, radius * sign_of_the_gap.RATIO)
    expected = theorem1_gaps(new, UniformCap(num_classes - 1, radius), num_classes, lambda c: 1 - c**power)
    assert (same[0], different[0]) == pytest.approx(expected, abs=1e-11)  # quadrature: 1e−12


def test_sign_of_the_gap():
    data = sign_of_the_gap.compute()
    check(sign_of_the_gap, data)
    radius, classes = np.array(data["radius"]), np.array(data["num_classes"])
    old, count = sign_of_the_gap.COUNTEREXAMPLE
    shares = []
    for power, gap in zip(data["power"], data["gap"], strict=True):
        gap = np.array(gap)
        assert gap.shape == (len(classes), len(radius))
        if power == 3:
            assert gap[np.abs(classes - count).argmin(), np.abs(radius - old).argmin()] < 0
        assert np.all(gap[:, -1] > 0)  # half-spheres
        shares.append(np.mean(gap < 0))
    assert sorted(shares) == shares
    # p = 1, the cosine distance: 1 everywhere
    same, different = sign_of_the_gap.gaps(1, 10, radius)
    np.testing.assert_allclose(9 * different / same, 1.0, rtol=1e-12)


def test_tolerable_drift(monkeypatch):
    trained = [{"name": "a model", "old_length": 0.92, "drift": 4.0, "bears": 13.0}]
    monkeypatch.setattr(tolerable_drift, "_trained", lambda: trained)  # which trains for a minute
    data = tolerable_drift.compute()
    figure = tolerable_drift.draw(json.loads(json.dumps(data)))
    assert [axes.get_xlabel() for axes in figure.axes] == ["old mean resultant length $m_k$"] * 2
    assert "degrees" in figure.axes[0].get_ylabel()
    for i, dim in enumerate(data["dims"]):
        m_k = np.array(data["mean_length"][i])
        assert np.all(np.diff(m_k) < 0)
        for metric in tolerable_drift.METRICS:
            same, different = (np.array(data[side][metric][i]) for side in ("same_class", "different_class"))
            assert np.all((different < same) & (same > 0))
            assert np.all(np.diff(same) > 0)  # the wider the old caps, the more drift
        # T7 in closed form for the squared Euclidean distance
        radius = np.linspace(0.15, 1.4, 40)
        m_t = np.asarray(UniformCap(dim, tolerable_drift.NARROWING * radius).mean_resultant_length())
        np.testing.assert_allclose(np.cos(np.radians(data["same_class"]["sqeuclidean"][i])), m_k / m_t, rtol=1e-9)
    # at one concentration a class pair bears ever less with more classes
    curves = zip(data["mean_length"], data["different_class"]["angular"], strict=True)
    at = [np.interp(-0.8, -np.array(m_k), drift) for m_k, drift in curves]
    assert np.all(np.diff(at) < 0)

"""The figures about Theorem 1: their numbers are the theory's, and say what the captions say."""

from __future__ import annotations

import json

import numpy as np
import pytest
from matplotlib.figure import Figure

from paper_figures import (
    _runs,
    decision_rates,
    pairs_against_expectation,
    proof_in_one_picture,
    sign_of_the_gap,
    tolerable_drift,
    where_the_theorem_holds,
)
from theory.caps import UniformCap
from theory.compatibility import theorem1_gaps
from theory.monte_carlo import estimate_pair_fractions

from . import known

pytestmark = pytest.mark.figures


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


@pytest.fixture(scope="module")
def trained():
    return known.trained()


@pytest.fixture
def no_training(monkeypatch, trained):
    asked = []
    monkeypatch.setattr(_runs, "upgrades", lambda seeds: asked.append(seeds) or trained)
    return asked


def test_numbers_of_a_trained_model(trained):
    narrower = trained[0]
    m_new, m_old = (float(UniformCap(9, radius).mean_resultant_length()) for radius in (0.4, 0.6))
    # sixty samples a class: the standard error of a length is below 0.01, its bias below 0.003
    np.testing.assert_allclose(narrower["new_length"], m_new, atol=0.02)
    np.testing.assert_allclose(narrower["old_length"], m_old, atol=0.03)
    assert np.all(np.degrees(narrower["drift"]) < 10)
    assert narrower["gap"][0] == pytest.approx(np.mean(narrower["class_gap"]), abs=1e-12)
    for side in (0, 1):
        assert narrower["lower"][side] < narrower["gap"][side] < narrower["upper"][side]
        assert 0 < narrower["fraction"][side] < 1


def test_where_the_theorem_holds(no_training, trained):
    data = where_the_theorem_holds.compute()
    assert no_training == [(0, 1)]
    assert json.loads(json.dumps(data)) == data
    figure = check(where_the_theorem_holds, data)
    ratio, drift, gap = (np.array(data[name]) for name in ("ratio", "drift", "same_class"))
    m_k = float(UniformCap(9, 0.6).mean_resultant_length())
    m_t = np.asarray(UniformCap(9, 0.6 * ratio).mean_resultant_length())
    expected = 2 * m_k * (m_t * np.cos(np.radians(drift))[:, None] - m_k)  # T2
    np.testing.assert_allclose(gap, expected, atol=1e-13)
    assert np.all(gap[0, ratio < 1] > 0)
    assert np.all(gap[:, ratio > 1.001] < 0)
    # T7: the zeros of both gaps, and none left where the caps do not narrow
    narrower = np.array(data["narrower"])
    for i, (dim, count) in enumerate(zip(data["dims"], data["classes"], strict=True)):
        for side in ("same_class", "different_class"):
            borne = np.radians(data[f"zero_{side}"][i])
            assert borne[-1] == pytest.approx(0.0, abs=1e-6)
            new, old = UniformCap(dim, 0.6 * narrower[5]), UniformCap(dim, 0.6)
            assert getattr(theorem1_gaps(new, old, count, drift=borne[5]), side) == pytest.approx(0.0, abs=1e-10)
            assert getattr(theorem1_gaps(new, old, count, drift=1.03 * borne[5]), side) < 0
    points = where_the_theorem_holds.points(trained)
    assert len(points) == 30
    by_name = {name: [p for p in points if p["name"] == name] for name in {p["name"] for p in points}}
    assert all(p["gap"] > 0 for p in by_name["fine-tuned CE"])
    assert all(p["gap"] < 0 for p in by_name["fine-tuned HOC"])
    turned = [p["gap"] > 0 for p in by_name["retrained, learned classifier"]]
    assert any(turned)
    assert not all(turned)
    # the map and the audit, which looks at pairs, say the same
    agree = [where_the_theorem_holds.below(p) == (p["gap"] > 0) for p in points]
    assert np.mean(agree) > 0.9
    assert f"the audited sign of {sum(agree)} of 30 classes" in where_the_theorem_holds.findings(data)
    assert "(degrees)" in figure.axes[0].get_ylabel()


def test_pairs_against_expectation(no_training, monkeypatch, trained):
    monkeypatch.setattr(pairs_against_expectation, "TRIPLES", 20_000)
    data = pairs_against_expectation.compute(quick=True)
    assert no_training == [(0,)]
    assert json.loads(json.dumps(data)) == data
    check(pairs_against_expectation, data)
    at_one = data["ratio"].index(1.0)
    for i, dim in enumerate(data["dims"]):
        for side in pairs_against_expectation.SIDES:
            gap, fraction, error = (np.array(data[side][key][i]) for key in ("gap", "fraction", "error"))
            assert np.all(np.diff(gap) < 0)
            assert gap[at_one] == pytest.approx(0.0, abs=1e-13)
            # u_i and v_i have one law there, independent of v_j: a fair coin
            assert abs(fraction[at_one] - 0.5) < 4 * error[at_one]
            if side == "same_class":
                assert fraction[0] > 0.6 > 0.45 > fraction[-1]
            else:
                assert np.all(np.abs(fraction - 0.5) < 0.1)
        again = estimate_pair_fractions(UniformCap(dim, 0.3), UniformCap(dim, 0.6), dim + 1, 20_000, rng=99)
        difference = again.same_class.mean - data["same_class"]["fraction"][i][0]
        assert abs(difference) < 5 * np.hypot(again.same_class.standard_error, data["same_class"]["error"][i][0]) + 1e-9
    assert "satisfy 1a for" in pairs_against_expectation.findings(data)


def test_tolerable_drift(no_training, trained):
    data = tolerable_drift.compute(quick=True)
    assert no_training == [(0,)]
    figure = tolerable_drift.draw(json.loads(json.dumps(data)))
    assert [axes.get_xlabel() for axes in figure.axes] == ["old mean resultant length $m_k$"] * 2
    assert "degrees" in figure.axes[0].get_ylabel()
    narrower, wider, turned = tolerable_drift.placed(trained)
    lengths = [float(UniformCap(9, radius).mean_resultant_length()) for radius in (0.6, 0.4)]
    expected = np.degrees(np.arccos(lengths[0] / lengths[1]))
    assert narrower["drift"] < narrower["tolerates"] == pytest.approx(expected, abs=2)  # 60 samples a class
    assert wider["tolerates"] == 0.0
    # turned by 40 degrees in one plane of nine dimensions: the median class mean by less
    assert narrower["drift"] < turned["drift"] < 40
    assert len(figure.axes[0].lines) == 3 * 4 + 3 * 3
    assert "The 1 stationary models drift by" in tolerable_drift.findings(data)
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
    # at one concentration a class pair tolerates ever less with more classes
    curves = zip(data["mean_length"], data["different_class"]["angular"], strict=True)
    at = [np.interp(-0.8, -np.array(m_k), drift) for m_k, drift in curves]
    assert np.all(np.diff(at) < 0)


def test_false_accept_rates_rise_below_the_safe_threshold_only():
    data = decision_rates.compute(dim=5, radii=(0.4, 0.8), dims=(3, 64), n=41)
    for panel in data["panels"]:
        safe = np.asarray(data["threshold"]) >= panel["safe"]
        true, false = np.subtract(panel["new"], panel["old"])
        assert true.min() > -1e-9
        assert false[safe].max() < 1e-9
        assert false.max() > 1e-3  # and below it does rise
    assert data["exact"][0] < data["exact"][1] < data["bound"]
    assert f"{data['bound']:.4f}" in decision_rates.findings(data)

"""The angles of samples to the axes of their classes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.verification.samples import cap_features, upgrade
from theory.angles import angle_cdf
from theory.simplex import simplex_vertices
from verification.audit import polar
from verification.audit.judge import Options, judge
from verification.audit.polar import polar_angles
from verification.features import FeatureSet
from verification.upgrade import Upgrade


def test_the_cap_of_given_vertices_is_the_one_that_was_drawn():
    dim, radius, labels = 8, 0.7, np.arange(4000) % 5
    new, old = (cap_features(labels, dim, r, np.random.default_rng(3)) for r in (0.5, radius))
    caps = polar_angles(Upgrade(new, old), simplex_vertices(5, dim))
    assert caps.axis == "vertices"
    assert sum(caps.old) == pytest.approx(1.0)
    for drawn, found, shares in ((radius, caps.old_radius, caps.old), (0.5, caps.new_radius, caps.new)):
        # share of the cap within the found radius: 0.9, with four standard errors of a quantile's level
        inside = angle_cdf(found, dim) / angle_cdf(drawn, dim)
        assert abs(inside - 0.9) < 4 * math.sqrt(0.09 / 4000)
        assert np.flatnonzero(shares)[-1] == int(drawn / math.pi * len(shares))


def test_a_sample_does_not_pull_its_own_axis():
    """Features without classes lie at right angles to the axis on average; with their own part in it they would not."""
    rng = np.random.default_rng(1)
    noise = FeatureSet(rng.standard_normal((300, 64)), np.arange(300) // 3)
    shares = polar_angles(Upgrade(noise, noise)).old
    middle = (np.arange(len(shares)) + 0.5) * math.pi / len(shares)
    # one angle spreads by about 1/√64, and three of a class depend on each other
    assert abs(np.dot(shares, middle) - math.pi / 2) < 4 * math.sqrt(3 / 300 / 64)
    own = noise.unit.reshape(100, 3, 64).sum(axis=1).repeat(3, axis=0)
    pulled = np.arccos(np.einsum("nd,nd->n", noise.unit, own) / np.linalg.norm(own, axis=1))
    assert pulled.mean() < math.pi / 2 - 0.5


@pytest.mark.parametrize("given", [False, True])
def test_angles_are_those_of_a_loop_over_the_samples(monkeypatch, given):
    """Of bins of two degrees; of a class of two each is the axis of the other, and a class of one has none."""
    monkeypatch.setattr(polar, "BLOCK", 5)
    labels = np.repeat(np.arange(4), [8, 5, 2, 1])
    rng = np.random.default_rng(2)
    new, old = (FeatureSet(np.eye(4, 6)[labels] + 0.5 * rng.standard_normal((16, 6)), labels) for _ in range(2))
    vertices = 3.0 * simplex_vertices(4, 6) if given else None
    found = polar_angles(Upgrade(new, old), vertices)
    angles = {"new": [], "old": []}
    for i in range(16):
        others = [old.unit[j] for j in range(16) if j != i and labels[j] == labels[i]]
        if vertices is None and not others:
            continue
        axis = np.sum(others, axis=0) if vertices is None else vertices[labels[i]]
        for name, features in (("new", new), ("old", old)):
            angles[name].append(math.acos(features.unit[i] @ axis / np.linalg.norm(axis)))
    assert len(angles["new"]) == (16 if given else 15)
    for shares, radius, own in (
        (found.new, found.new_radius, angles["new"]),
        (found.old, found.old_radius, angles["old"]),
    ):
        assert len(shares) == 90
        expected = np.bincount((np.degrees(own) / 2.0).astype(int), minlength=90) / len(own)
        np.testing.assert_allclose(shares, expected, atol=1e-15)
        assert radius == pytest.approx(np.quantile(own, 0.9))
    assert found.axis == ("vertices" if given else "old class means")
    plain = found.to_dict()
    assert plain["old"] == list(found.old)
    assert plain["new"] == list(found.new)
    assert (plain["old_radius"], plain["new_radius"], plain["axis"]) == (found.old_radius, found.new_radius, found.axis)


def test_axes_that_do_not_fit_are_refused():
    new, old = upgrade(0.6, 0.9)
    with pytest.raises(ValueError, match=r"vertices must have shape \(5, 8\), one row a class, got \(4, 8\)"):
        polar_angles(Upgrade(new, old), simplex_vertices(4, 8))
    with pytest.raises(ValueError, match="some row is all zero"):
        polar_angles(Upgrade(new, old), np.zeros((5, 8)))


def test_classes_of_one_sample_have_no_caps_and_are_judged_all_the_same(tmp_path):
    """One text and one image a pair: nothing is left of the axis of a class of one."""
    rng = np.random.default_rng(0)
    images = rng.standard_normal((60, 16))
    new, old = (
        FeatureSet(images + spread * rng.standard_normal((60, 16)), np.arange(60), ids=[f"text {i}" for i in range(60)])
        for spread in (0.2, 0.3)
    )
    gallery = FeatureSet(images, np.arange(60))
    report = judge(Upgrade(new, old, gallery), Options(explain=True))
    assert report.polar is None
    report.to_html(tmp_path / "report.html")
    assert "May the new model" in (tmp_path / "report.html").read_text()

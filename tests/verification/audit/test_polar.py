"""The angles of samples to the axes of their classes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.verification.samples import cap_features, upgrade
from theory.angles import angle_cdf
from theory.simplex import simplex_vertices
from verification.audit.judge import Options, judge
from verification.audit.polar import polar_angles
from verification.features import FeatureSet
from verification.upgrade import Upgrade


def test_the_cap_of_given_vertices_is_the_one_that_was_drawn():
    dim, radius, labels = 8, 0.7, np.arange(4000) % 5
    new, old = (cap_features(labels, dim, r, np.random.default_rng(3)) for r in (0.5, radius))
    polar = polar_angles(Upgrade(new, old), simplex_vertices(5, dim))
    assert polar.axis == "vertices"
    assert sum(polar.old) == pytest.approx(1.0)
    for drawn, found, shares in ((radius, polar.old_radius, polar.old), (0.5, polar.new_radius, polar.new)):
        # share of the cap within the found radius: 0.9, with four standard errors of a quantile's level
        inside = angle_cdf(found, dim) / angle_cdf(drawn, dim)
        assert abs(inside - 0.9) < 4 * math.sqrt(0.09 / 4000)
        assert np.flatnonzero(shares)[-1] == int(drawn / math.pi * len(shares))


def test_a_sample_does_not_pull_its_own_axis():
    """Features without classes lie at right angles to the axis on average; with their own part in it they would not."""
    rng = np.random.default_rng(1)
    noise = FeatureSet(rng.standard_normal((300, 64)), np.arange(300) // 3)
    polar = polar_angles(Upgrade(noise, noise))
    middle = (np.arange(len(polar.old)) + 0.5) * math.pi / len(polar.old)
    # one angle spreads by about 1/√64, and three of a class depend on each other
    assert abs(np.dot(polar.old, middle) - math.pi / 2) < 4 * math.sqrt(3 / 300 / 64)
    own = noise.unit.reshape(100, 3, 64).sum(axis=1).repeat(3, axis=0)
    pulled = np.arccos(np.einsum("nd,nd->n", noise.unit, own) / np.linalg.norm(own, axis=1))
    assert pulled.mean() < math.pi / 2 - 0.5


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

"""Areas and volumes against what is known of them, and against each other."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.theory.test_angles import rounding
from theory.angles import angle_pdf
from theory.areas import (
    ball_volume,
    cap_area,
    disc_area,
    disc_to_cap_ratio,
    log_ball_volume,
    log_cap_area,
    log_disc_area,
    log_sphere_area,
    sphere_area,
)

EPS = np.finfo(float).eps


def test_areas_and_volumes():
    # lengths, areas and volumes known by heart; a few roundings of a logarithm below 4
    np.testing.assert_allclose(sphere_area([1, 2, 3, 4]), [2, 2 * math.pi, 4 * math.pi, 2 * math.pi**2], rtol=16 * EPS)
    np.testing.assert_allclose(ball_volume([1, 2, 3]), [2, math.pi, 4 * math.pi / 3], rtol=16 * EPS)
    dim = np.array([1, 2, 3, 10, 1000, 10**6])
    # dV_d/dR = S_{d−1}: d·V_d = S_{d−1}; logarithms of up to 1e7 carry that many roundings
    np.testing.assert_allclose(log_ball_volume(dim) + np.log(dim), log_sphere_area(dim), rtol=8 * EPS)
    # the density's constant is S_{d−2}/S_{d−1}
    for d in (2, 3, 10, 100):
        assert sphere_area(d - 1) / sphere_area(d) == pytest.approx(angle_pdf(math.pi / 2, d), rel=1e-13)


def test_cap_and_disc():
    radius = np.array([1e-5, 0.5, math.pi / 2, 2.5, math.pi])
    # d = 2: an arc 2α over a chord 2 sin α; d = 3: 2π(1 − cos α) = 4π sin²(α/2) over π sin²α
    np.testing.assert_allclose(cap_area(2, radius), 2 * radius, rtol=1e-13)
    np.testing.assert_allclose(disc_area(2, radius), 2 * np.sin(radius), rtol=1e-13)
    np.testing.assert_allclose(cap_area(3, radius), 4 * math.pi * np.sin(radius / 2) ** 2, rtol=1e-13)
    np.testing.assert_allclose(disc_area(3, radius), math.pi * np.sin(radius) ** 2, rtol=1e-13)
    np.testing.assert_allclose(disc_to_cap_ratio(3, radius), np.cos(radius / 2) ** 2, rtol=5e-14, atol=1e-30)
    np.testing.assert_allclose(cap_area([2, 3, 50], math.pi), sphere_area([2, 3, 50]), rtol=1e-13)
    # far below the smallest float: S_{d−1} F(α) ≈ V_{d−1} α^{d−1} as α → 0
    assert log_cap_area(10**6, 1e-6) == pytest.approx(log_disc_area(10**6, 1e-6), rel=8 * EPS)


@given(radius=st.floats(1e-6, math.pi), dim=st.integers(2, 300))
@example(radius=math.pi / 2, dim=2)
def test_disc_to_cap_ratio_is_the_ratio(radius, dim):
    ratio = disc_to_cap_ratio(dim, radius)
    # the logarithms of the areas reach d·|log sin α|: a few units of rounding of that
    tolerance = 4 * rounding(radius, dim) + 16 * EPS * abs(log_sphere_area(dim)) + 5e-14
    difference = log_disc_area(dim, radius) - log_cap_area(dim, radius)
    assert ratio == pytest.approx(math.exp(difference), rel=tolerance, abs=1e-300)
    # the mean of cos θ over the cap lies between its values at the rim and at the axis
    assert math.cos(radius) - 1e-13 <= ratio <= 1 + 5e-14


def test_broadcasting_and_types():
    theta, dim = np.linspace(0.1, 3.0, 4)[:, None], np.array([2, 3, 1000])
    for function in (cap_area, log_cap_area, disc_area, log_disc_area, disc_to_cap_ratio):
        assert function(dim, theta).shape == (4, 3)
        assert type(function(3, 1)) is float
    for function in (sphere_area, log_sphere_area, ball_volume, log_ball_volume):
        assert function(dim).shape == (3,)
        assert type(function(3)) is float


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: log_sphere_area(0), r"dim must be an integer >= 1, got 0\."),
        (lambda: ball_volume(-1), r"dim must be an integer >= 1, got -1\."),
        (lambda: log_cap_area(3, 0.0), r"radius must be in \(0, π\], got 0\.0\."),
        (lambda: disc_to_cap_ratio(1, 1.0), r"dim must be an integer >= 2, got 1\."),
        (lambda: log_disc_area(3, 4.0), r"radius must be in \(0, π\], got 4\.0\."),
    ],
)
def test_invalid_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()

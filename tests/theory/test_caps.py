"""Uniform caps against mpmath and closed forms, at both ends of radius and dimension."""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory._quadrature import polar_rule, unit_gauss
from theory.caps import UniformCap

EPS = np.finfo(float).eps
DIMS = (2, 3, 4, 9, 100, 1023, 10**5, 10**6)
RADII = (1e-6, 1e-3, 0.3, 1.0, 1.5, math.pi / 2, 1.6, 2.0, 3.0, 3.1415)


def reference(dim: int, radius: float) -> tuple[mp.mpf, mp.mpf]:
    """(m, ∫_0^α sin^{d−2}) at 60 digits: a cap of radius ≤ π/2 by a hypergeometric series, a wider one by its rest."""
    with mp.workdps(60):
        alpha = mp.mpf(radius)
        inner = min(alpha, mp.pi - alpha)
        power = mp.sin(inner) ** (dim - 1)
        integral = power * mp.hyp2f1(1, dim - 1, mp.mpf(dim + 1) / 2, mp.sin(inner / 2) ** 2) / (dim - 1)
        if alpha > mp.pi / 2:
            integral = mp.beta(mp.mpf(dim - 1) / 2, mp.mpf(1) / 2) - integral
        return power / ((dim - 1) * integral), integral


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("radius", RADII)
def test_mean_resultant_length(dim: int, radius: float) -> None:
    """A few roundings, and for a wide cap those of the exponent (d−1)·log sin α, which m inherits."""
    mean, _ = reference(dim, radius)
    cap = UniformCap(dim, radius)
    exponent = abs((dim - 1) * math.log(math.sin(radius))) if radius > math.pi / 2 else 0.0
    if exponent > 700:  # below the smallest float
        assert cap.mean_resultant_length() == pytest.approx(0.0, abs=1e-300)
        return
    assert abs(cap.mean_resultant_length() / float(mean) - 1) <= (20 + 4 * exponent) * EPS
    with mp.workdps(60):
        complement = float(1 - mean)
    assert abs(cap.mean_resultant_complement() / complement - 1) <= 20 * EPS


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("radius", RADII)
def test_density_and_area(dim: int, radius: float) -> None:
    _, integral = reference(dim, radius)
    cap, theta = UniformCap(dim, radius), 0.7 * radius
    with mp.workdps(60):
        log_pdf = float((dim - 2) * mp.log(mp.sin(mp.mpf(theta))) - mp.log(integral))
        half = mp.mpf(dim - 1) / 2
        log_area = float(mp.log(2) + half * mp.log(mp.pi) - mp.loggamma(half) + mp.log(integral))
    # the logarithm of a product of d factors carries d roundings relative to the largest of them
    assert cap.polar_logpdf(theta) == pytest.approx(log_pdf, rel=20 * EPS, abs=20 * EPS)
    assert cap.log_area() == pytest.approx(log_area, rel=1e-13, abs=1e-13)
    assert cap.polar_pdf(theta) == pytest.approx(math.exp(cap.polar_logpdf(theta)), rel=4 * EPS)


def test_closed_forms_of_arc_and_spherical_cap() -> None:
    radius = np.array([0.1, 1.0, 2.0, 3.0])
    np.testing.assert_allclose(UniformCap(2, radius).area(), 2 * radius, rtol=1e-14)
    np.testing.assert_allclose(UniformCap(3, radius).area(), 4 * np.pi * np.sin(radius / 2) ** 2, rtol=1e-14)
    np.testing.assert_allclose(UniformCap(2, radius).mean_resultant_length(), np.sin(radius) / radius, rtol=1e-14)
    np.testing.assert_allclose(UniformCap(3, radius).mean_resultant_length(), (1 + np.cos(radius)) / 2, rtol=1e-14)


@pytest.mark.parametrize("dim", [2, 3, 9, 1023, 10**6])
def test_whole_sphere_has_no_direction(dim: int) -> None:
    """sin π is 1.2e−16 in floating point, and m(π) no more than that."""
    assert 0.0 <= UniformCap(dim, math.pi).mean_resultant_length() < 1e-16
    assert UniformCap(dim, math.pi).mean_resultant_complement() == pytest.approx(1.0, abs=EPS)


@pytest.mark.parametrize("dim", [2, 3, 9, 1023, 10**5])
@pytest.mark.parametrize("radius", [1e-6, 0.3, math.pi / 2, 2.5, math.pi])
def test_density_integrates_to_one(dim: int, radius: float) -> None:
    """Gauss–Legendre on the part that carries the mass: exact to rounding of dim·log sin."""
    nodes, weights = unit_gauss(120)
    peak = min(radius, math.pi / 2)
    low = math.asin(math.sin(peak) * math.exp(-40 / (dim - 2))) if dim > 2 else 0.0
    high = min(radius, math.pi - low)
    theta = low + (high - low) * nodes
    mass = (high - low) * weights @ UniformCap(dim, radius).polar_pdf(theta)
    # near the rim the density moves by d·cot α per radian, and angles come in units of 1e−16·α
    assert mass == pytest.approx(1.0, abs=1e-12 + 4 * dim * EPS)


def test_outside_the_cap_there_is_nothing() -> None:
    assert UniformCap(9, 0.3).polar_logpdf(0.31) == -math.inf
    assert UniformCap(9, 0.3).polar_pdf(0.31) == 0.0
    assert UniformCap(9, 0.3).polar_pdf(0.0) == 0.0


@given(dim=st.integers(2, 10**6), radius=st.floats(1e-6, 3.1), factor=st.floats(1.001, 2.0))
def test_mean_falls_with_the_radius(dim: int, radius: float, factor: float) -> None:
    """T3: dm/dα ≤ 0; and cos α ≤ m ≤ 1 since m averages the cosine over [0, α]."""
    wider = UniformCap(dim, min(radius * factor, math.pi))
    cap = UniformCap(dim, radius)
    assert wider.mean_resultant_complement() >= cap.mean_resultant_complement()
    assert wider.mean_resultant_length() <= cap.mean_resultant_length()
    assert cap.mean_resultant_length() >= math.cos(radius) - 4 * EPS


@given(dim=st.integers(2, 200), radius=st.floats(1e-3, math.pi))
def test_zonal_coefficients_obey_their_bound(dim: int, radius: float) -> None:
    """Each bound holds for all later coefficients (a rounding error of about one unit a term allowed)."""
    cap = UniformCap(dim, radius)
    values, bound = cap.zonal_coefficients(64)
    more, _ = cap.zonal_coefficients(256)
    np.testing.assert_allclose(more[:64], values, atol=0)
    assert np.max(np.abs(more[64:])) <= bound + 256 * EPS
    assert values[1] == pytest.approx(cap.mean_resultant_length(), rel=4 * EPS, abs=1e-300)


def test_broadcasts_and_gives_floats() -> None:
    cap = UniformCap(9, [0.1, 2.0])
    assert cap.mean_resultant_length().shape == (2,)
    assert cap.polar_pdf(np.array([[0.05], [0.2], [1.0]])).shape == (3, 2)
    for method in ("mean_resultant_length", "mean_resultant_complement", "area", "log_area"):
        assert type(getattr(UniformCap(9, 0.1), method)()) is float
        assert getattr(cap, method)()[0] == getattr(UniformCap(9, 0.1), method)()
    assert type(UniformCap(9, 0.1).polar_pdf(0.05)) is float


def test_sampling_follows_the_density() -> None:
    """E cos θ of 20 000 draws within 5 standard errors; around another axis just the same."""
    axis = np.array([0.0, 0.6, 0.0, -0.8])
    cap = UniformCap(4, 0.7)
    for w in (None, axis):
        draws = cap.sample(20_000, axis=w, rng=3)
        cosine = draws @ (np.eye(4)[0] if w is None else axis)
        assert draws.shape == (20_000, 4)
        assert np.max(np.abs(np.linalg.norm(draws, axis=1) - 1)) < 20 * EPS
        assert np.min(cosine) >= math.cos(0.7) - 20 * EPS
        error = cosine.std() / math.sqrt(len(cosine))
        assert abs(cosine.mean() - cap.mean_resultant_length()) < 5 * error
        assert abs(cosine.mean() - UniformCap(4, 0.8).mean_resultant_length()) > 5 * error  # and can tell 0.7 from 0.8
    np.testing.assert_array_equal(cap.sample(5, rng=1), cap.sample(5, rng=np.random.default_rng(1)))


def test_rule_weights_are_right_to_the_last_digit() -> None:
    """∫ x^k over [0, 1]: the outer weights of NumPy's own rule miss this by 1e−14."""
    nodes, weights = unit_gauss(40)
    for k in (0, 1, 7, 40):
        assert weights @ nodes**k == pytest.approx(1 / (k + 1), rel=4 * EPS)
    assert polar_rule(9, np.array(1.0))[1].sum() == pytest.approx(1.0, abs=4 * EPS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1, 0.3), r"dim must be an integer >= 2, got 1\."),
        ((2.5, 0.3), r"dim must be an integer >= 2, got 2\.5\."),
        ((9, 0.0), r"radius must be in \(0, π\], got 0\.0\."),
        ((9, 3.2), r"radius must be in \(0, π\], got 3\.2\."),
        ((9, math.nan), r"radius must be in \(0, π\], got nan\."),
        ((9, [0.1, -1.0]), r"radius must be in \(0, π\], got -1\.0\."),
    ],
)
def test_invalid_caps_are_refused(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        UniformCap(*arguments)


def test_invalid_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match=r"theta must be in \[0, π\], got -0\.1\."):
        UniformCap(9, 0.3).polar_pdf(-0.1)
    with pytest.raises(ValueError, match=r"radius must be a scalar to sample from, got shape \(2,\)\."):
        UniformCap(9, [0.3, 0.4]).sample(3)


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_zonal_coefficients_of_any_count_agree(count):
    cap = UniformCap(9, 0.7)
    few, bound = cap.zonal_coefficients(count)
    many, _ = cap.zonal_coefficients(32)
    np.testing.assert_array_equal(few, many[:count])
    assert np.all(np.abs(many[count:]) <= bound)

"""The samplers against exact distribution functions, moments and symmetry."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import special, stats

from theory._sampling import (
    CapQuantile,
    cap_quantile,
    sample_around_axis,
    sample_cap_polar,
    sample_vmf_polar,
    vmf_haversine,
    vmf_quantile,
)
from theory.caps import UniformCap
from theory.von_mises_fisher import VonMisesFisher

DIMS = [2, 3, 4, 9, 99, 1023, 10**5, 10**6]
RADII = [1e-8, 0.3, 1.5, math.pi / 2, 1.58, 2.5, math.pi]
# Exact laws: the Kolmogorov–Smirnov p-value is uniform, so it is below this once in a million tests.
REJECT = 1e-6


def mp_log_mass(theta: mpmath.mpf, dim: int) -> mpmath.mpf:
    """log ∫_0^θ sin^{d−2} for θ ≤ π/2, over the stretch that carries all but e^−90 of it, in eight pieces."""
    power = dim - 2
    low = mpmath.asin(mpmath.sin(theta) * mpmath.e ** (-mpmath.mpf(90) / power)) if power else mpmath.mpf(0)
    scaled = mpmath.quad(lambda x: (mpmath.sin(x) / mpmath.sin(theta)) ** power, mpmath.linspace(low, theta, 9))
    return mpmath.log(scaled) + power * mpmath.log(mpmath.sin(theta))


def cap_share(theta: np.ndarray, dim: int, radius: float) -> np.ndarray:
    """The distribution function from SciPy's incomplete beta function: I_{sin²(θ/2)}(a, a), a = (d−1)/2."""
    half = 0.5 * (dim - 1)
    return special.betainc(half, half, np.sin(theta / 2) ** 2) / special.betainc(half, half, math.sin(radius / 2) ** 2)


@pytest.mark.parametrize("radius", [1e-8, 0.3, 1.5, math.pi / 2])
@pytest.mark.parametrize("dim", DIMS)
def test_quantile_inverts_the_exact_distribution_function(dim: int, radius: float) -> None:
    levels = [1e-12, 1e-6, 0.0137, 0.1, 0.37, 0.5, 0.77, 0.99, 1 - 1e-8]
    ratios = cap_quantile(dim, radius)._ratio(np.array(levels))
    with mpmath.workdps(40):
        whole = mp_log_mass(mpmath.mpf(radius), dim)
        for level, ratio in zip(levels, ratios, strict=True):
            theta = 2 * mpmath.asin(mpmath.sin(mpmath.mpf(radius) / 2) * mpmath.sqrt(mpmath.mpf(float(ratio))))
            error = mp_log_mass(theta, dim) - whole - mpmath.log(mpmath.mpf(level))
            # the table's 1e−12, and the roundings of the haversine (half an ulp, thrice), which enter as powers (d−1)/2
            assert abs(error) < 1.2e-12 + 1.7e-16 * (dim - 1) / 2


@pytest.mark.parametrize("radius", RADII)
@pytest.mark.parametrize("dim", [2, 3, 9, 99])
def test_cap_angles_follow_the_exact_law(dim: int, radius: float) -> None:
    theta = sample_cap_polar(dim, radius, 200_000, np.random.default_rng(7))
    assert np.all((theta >= 0) & (theta <= radius))
    # the incomplete beta function underflows in small caps: there, the flat limit
    flat = (np.sin(theta / 2) / math.sin(radius / 2)) ** (dim - 1)
    share = flat if radius < 1e-3 else cap_share(theta, dim, radius)
    assert stats.kstest(share, "uniform").pvalue > REJECT


@pytest.mark.slow
@pytest.mark.parametrize(("dim", "radius"), [(4, 2.0), (9, 0.6), (99, math.pi / 2)])
def test_ten_million_angles_follow_the_exact_law(dim: int, radius: float) -> None:
    theta = sample_cap_polar(dim, radius, 10**7, np.random.default_rng(8))
    assert stats.kstest(cap_share(theta, dim, radius), "uniform").pvalue > REJECT


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("radius", RADII)
def test_cap_angles_have_the_exact_mean(dim: int, radius: float) -> None:
    theta = sample_cap_polar(dim, radius, 100_000, np.random.default_rng(9))
    fall = 2 * np.sin(theta / 2) ** 2
    exact = UniformCap(dim, radius).mean_resultant_complement()
    # 5 standard errors, and the rounding of θ, which is all that is left of the spread at radius ≥ 0.3, dim 10^6
    assert abs(fall.mean() - exact) < 5 * fall.std() / math.sqrt(fall.size) + 4e-16 * exact


def test_a_wrong_dimension_is_noticed() -> None:
    theta = sample_cap_polar(10, 0.6, 20_000, np.random.default_rng(7))
    assert stats.kstest(cap_share(theta, 9, 0.6), "uniform").pvalue < REJECT


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 10**6), st.floats(1e-300, math.pi))
@example(2, 1.0)  # the rim was overstepped by the table's error
@example(2, 2.0)
def test_quantile_is_monotone_within_the_cap(dim: int, radius: float) -> None:
    levels = np.concatenate([[0.0], np.logspace(-15, -1, 15), np.linspace(0.1, 1, 50)[1:-1], [1 - 2.0**-53]])
    theta = CapQuantile(dim, radius).polar(levels)
    # cells meet to 1e−12 in the share: below the distance of most levels, and 1e−12 of an angle where it is not
    assert np.all(np.diff(theta) >= -1e-12 * radius)
    assert theta[0] >= 0
    assert theta[-1] <= radius


def test_haversine_cosine_and_polar_agree() -> None:
    levels = np.random.default_rng(1).random(1000)
    for radius in RADII:
        quantile = cap_quantile(9, radius)
        theta = quantile.polar(levels)
        # rounding of a sine squared
        np.testing.assert_allclose(quantile.haversine(levels), np.sin(theta / 2) ** 2, rtol=1e-14)
        if radius > math.pi / 2:
            np.testing.assert_allclose(quantile.cosine(levels), np.cos(theta), atol=1e-15)


def test_scalar_and_shaped_sizes() -> None:
    rng = np.random.default_rng(0)
    assert sample_cap_polar(3, 0.5, (2, 3), rng).shape == (2, 3)
    assert sample_vmf_polar(3, 5.0, (2, 3), rng).shape == (2, 3)
    assert sample_vmf_polar(3, 5.0, 0, rng).shape == (0,)


@pytest.mark.parametrize("kappa", [0.0, 1e-3, 1.0, 50.0, 1e4, 1e8])
@pytest.mark.parametrize("dim", [2, 3, 9, 1023, 10**6])
def test_von_mises_fisher_has_the_exact_mean(dim: int, kappa: float) -> None:
    theta = sample_vmf_polar(dim, kappa, 100_000, np.random.default_rng(11))
    fall = 2 * np.sin(theta / 2) ** 2
    exact = VonMisesFisher(dim, kappa).mean_resultant_complement()
    assert abs(fall.mean() - exact) < 5 * fall.std() / math.sqrt(fall.size)


@pytest.mark.parametrize("kappa", [0.5, 30.0, 3000.0])
def test_von_mises_fisher_follows_scipy(kappa: float) -> None:
    theta = sample_vmf_polar(2, kappa, 200_000, np.random.default_rng(12))
    # SciPy's von Mises law is that of the signed angle
    share = 2 * stats.vonmises(kappa).cdf(theta) - 1
    assert stats.kstest(share, "uniform").pvalue > REJECT
    theta = sample_vmf_polar(3, kappa, 200_000, np.random.default_rng(13))
    # in three dimensions cos θ is a truncated exponential
    share = np.expm1(-2 * kappa * np.sin(theta / 2) ** 2) / math.expm1(-2 * kappa)
    assert stats.kstest(share, "uniform").pvalue > REJECT


@pytest.mark.parametrize("kappa", [0.0, 1.0, 1e4, 1e12])
@pytest.mark.parametrize("dim", [2, 9, 1023, 10**6])
def test_the_two_von_mises_fisher_samplers_agree(dim: int, kappa: float) -> None:
    rng = np.random.default_rng(14)
    rejected = vmf_haversine(dim, kappa, 50_000, rng.random, cap_quantile(dim, math.pi))
    inverted = vmf_quantile(dim, kappa)(rng.random(50_000))
    assert stats.ks_2samp(rejected, inverted).pvalue > REJECT


@pytest.mark.parametrize("kappa", [0.3, 50.0, 1e4, 1e12])
def test_von_mises_fisher_quantiles_in_three_dimensions_are_an_exponentials(kappa: float) -> None:
    """P(h ≤ x) = (1 − e^{−2κx})/(1 − e^{−2κ}), to the 1e−12 that is promised and a rounding of h."""
    levels = np.array([1e-8, 1e-3, 0.1, 0.5, 0.9, 0.999, 1 - 1e-8])
    h = vmf_quantile(3, kappa)(levels)
    share = np.expm1(-2 * kappa * h) / math.expm1(-2 * kappa)
    np.testing.assert_allclose(share, levels, atol=3e-12)
    # in many dimensions and concentrated, 4κh is chi-square with d − 1 degrees of freedom
    share = stats.chi2(8).cdf(4e12 * vmf_quantile(9, 1e12)(levels))
    np.testing.assert_allclose(share, levels, atol=1e-11)


@pytest.mark.parametrize("dim", [2, 3, 9, 1023])
def test_vectors_keep_their_angle_and_turn_freely(dim: int) -> None:
    rng = np.random.default_rng(15)
    polar = sample_cap_polar(dim, 0.7, 20_000, rng)
    random_axis = rng.standard_normal(dim)
    for axis in (np.eye(dim)[0], -np.eye(dim)[0], np.eye(dim)[-1], random_axis / np.linalg.norm(random_axis)):
        points = sample_around_axis(polar, dim, axis, rng)
        # rounding of dim products, and of the arc cosine near 1
        np.testing.assert_allclose(points @ axis, np.cos(polar), atol=1e-14)
        np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1.0, atol=1e-14)
        # azimuths cancel: E of the part across the axis is 0, of squared length E sin²θ/n
        across = (points - np.outer(np.cos(polar), axis)).mean(0)
        spread = np.mean(np.sin(polar) ** 2) / len(polar)
        # its norm² is spread·χ²/(d−1): 1 + 6 standard deviations, √(2/(d−1)) each, and a margin for d = 2's long tail
        assert across @ across < spread * (1 + 8 * math.sqrt(2 / (dim - 1)) + 10 / (dim - 1))


def test_no_axis_means_the_first_basis_vector() -> None:
    polar = np.array([0.1, 0.2])
    points = sample_around_axis(polar, 5, None, np.random.default_rng(0))
    np.testing.assert_array_equal(points[:, 0], np.cos(polar))


@pytest.mark.parametrize(
    ("axis", "message"),
    [
        (np.ones(4), r"axis must have shape \(3,\), got shape \(4,\)"),
        (np.ones(3), r"axis must be a unit vector, got one of norm 1\.73"),
        (np.array([1.0, np.nan, 0.0]), r"axis must be a unit vector, got one of norm nan"),
    ],
)
def test_a_bad_axis_is_refused(axis: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sample_around_axis(np.array([0.1]), 3, axis, np.random.default_rng(0))

"""The von Mises–Fisher law against mpmath's Bessel functions and its limits."""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory._quadrature import unit_gauss
from theory.caps import UniformCap
from theory.von_mises_fisher import VonMisesFisher

EPS = np.finfo(float).eps


@pytest.mark.parametrize("dim", [2, 3, 4, 9, 100, 1023, 10**5])
@pytest.mark.parametrize("kappa", [1e-6, 0.1, 1.0, 10.0, 49.0, 51.0, 1e3, 1e5])
def test_against_bessel_functions(dim: int, kappa: float) -> None:
    """m, 1 − m and the density; the roundings are those of a few products, and of d·log d + κ in the logarithm."""
    if dim * kappa > 1e9:
        pytest.skip("mpmath takes 7 s")
    law, theta = VonMisesFisher(dim, kappa), 0.7
    with mp.workdps(60):
        order, k = mp.mpf(dim) / 2 - 1, mp.mpf(kappa)
        below = mp.besseli(order, k, maxterms=10**6)
        mean = mp.besseli(order + 1, k, maxterms=10**6) / below
        constant = mp.sqrt(mp.pi) * mp.gamma(order + mp.mpf(1) / 2) * (2 / k) ** order * below
        log_pdf = float(k * mp.cos(theta) + (dim - 2) * mp.log(mp.sin(theta)) - mp.log(constant))
        complement = float(1 - mean)
    assert abs(law.mean_resultant_length() / float(mean) - 1) < 20 * EPS
    assert abs(law.mean_resultant_complement() / complement - 1) < 20 * EPS
    assert law.polar_logpdf(theta) == pytest.approx(log_pdf, abs=4 * EPS * (dim * math.log(dim) + kappa + 1))


@pytest.mark.parametrize("dim", [2, 3, 9, 120])
def test_an_array_on_both_sides_of_the_switch_is_its_scalars(dim: int) -> None:
    """Small orders and concentrations are led down from large ones; the rest of the array stays as it is."""
    kappa = [0.5, 20.0, 200.0, 1e4, 1e6]
    law = VonMisesFisher(dim, kappa)
    one = [VonMisesFisher(dim, k) for k in kappa]
    assert list(law.mean_resultant_length()) == [single.mean_resultant_length() for single in one]
    assert list(law.mean_resultant_complement()) == [single.mean_resultant_complement() for single in one]


@pytest.mark.parametrize("dim", [2, 3, 1023, 10**6])
def test_limits(dim: int) -> None:
    """κ = 0 is the sphere; m → κ/d as κ → 0; 1 − m → (d−1)/(2κ) as κ → ∞ (next term relative d/κ)."""
    uniform = VonMisesFisher(dim, 0.0)
    assert uniform.mean_resultant_length() == 0.0
    assert uniform.mean_resultant_complement() == 1.0
    assert uniform.polar_logpdf(1.0) == pytest.approx(
        UniformCap(dim, math.pi).polar_logpdf(1.0), abs=8 * EPS * dim * math.log(dim)
    )
    assert VonMisesFisher(dim, 1e-9).mean_resultant_length() == pytest.approx(1e-9 / dim, rel=1e-14)
    sharp = VonMisesFisher(dim, 1e8)
    assert sharp.mean_resultant_complement() == pytest.approx((dim - 1) / 2e8, rel=max(dim, 10) / 1e8)


@pytest.mark.parametrize("kappa", [0.01, 1.0, 40.0, 1e4, 1e8])
def test_langevin_function_at_dim_3(kappa: float) -> None:
    """coth κ − 1/κ, with mpmath against cancellation."""
    with mp.workdps(40):
        expected = float(mp.coth(kappa) - 1 / mp.mpf(kappa))
    assert VonMisesFisher(3, kappa).mean_resultant_length() == pytest.approx(expected, rel=20 * EPS)


@pytest.mark.parametrize("dim", [2, 9, 1023])
@pytest.mark.parametrize("kappa", [0.0, 3.0, 1e4])
def test_density_integrates_to_one_and_gives_the_mean(dim: int, kappa: float) -> None:
    """Gauss–Legendre, 400 nodes on 12 deviations of the mode; d·log d roundings in the exponent."""
    law = VonMisesFisher(dim, kappa)
    mode = math.atan2(math.sqrt(2 * dim * (dim + math.hypot(dim, 2 * kappa))), 2 * kappa)
    reach = 14 / math.sqrt(kappa * math.cos(mode) + dim / math.sin(mode) ** 2)
    low, high = max(0.0, mode - reach), min(math.pi, mode + reach)
    nodes, weights = unit_gauss(400)
    theta = low + (high - low) * nodes
    mass = (high - low) * weights * law.polar_pdf(theta)
    assert mass.sum() == pytest.approx(1.0, abs=1e-12 + 8 * EPS * dim * math.log(dim))
    assert mass @ np.cos(theta) == pytest.approx(law.mean_resultant_length(), abs=1e-12 + 8 * EPS * dim * math.log(dim))


@given(dim=st.integers(2, 10**6), kappa=st.floats(0.0, 1e7), factor=st.floats(1.001, 10.0))
def test_mean_grows_with_concentration(dim: int, kappa: float, factor: float) -> None:
    sharper, law = VonMisesFisher(dim, kappa * factor), VonMisesFisher(dim, kappa)
    assert sharper.mean_resultant_length() >= law.mean_resultant_length()
    assert sharper.mean_resultant_complement() <= law.mean_resultant_complement()
    assert law.mean_resultant_length() + law.mean_resultant_complement() == pytest.approx(1.0, abs=8 * EPS)


@pytest.mark.parametrize("dim", [2, 3, 9, 200])
def test_zonal_coefficients_are_ratios_of_bessel_functions(dim: int) -> None:
    law = VonMisesFisher(dim, [0.5, 80.0])
    values, bound = law.zonal_coefficients(40)
    with mp.workdps(40):
        for row, kappa in enumerate(law.kappa):
            below = mp.besseli(mp.mpf(dim) / 2 - 1, float(kappa))
            for n in (0, 1, 2, 17, 39):
                expected = float(mp.besseli(mp.mpf(dim) / 2 - 1 + n, float(kappa)) / below)
                # n roundings of a sum of logarithms
                assert values[row, n] == pytest.approx(expected, rel=100 * EPS)
    np.testing.assert_array_equal(bound, values[:, -1])
    assert np.all(np.diff(values, axis=1) < 0)


def test_sampling_follows_the_density() -> None:
    """E cos θ of 20 000 draws within 5 standard errors."""
    law = VonMisesFisher(5, 12.0)
    axis = np.array([0.0, 0.0, 0.6, 0.8, 0.0])
    cosine = law.sample(20_000, axis=axis, rng=4) @ axis
    error = cosine.std() / math.sqrt(len(cosine))
    assert abs(cosine.mean() - law.mean_resultant_length()) < 5 * error
    assert abs(cosine.mean() - VonMisesFisher(5, 15.0).mean_resultant_length()) > 5 * error
    np.testing.assert_array_equal(law.sample(4, rng=1), law.sample(4, rng=1))


def test_broadcasts_and_gives_floats() -> None:
    law = VonMisesFisher(9, [0.0, 1.0, 1e6])
    assert law.mean_resultant_length().shape == (3,)
    assert law.polar_logpdf(np.zeros((2, 1)) + 0.1).shape == (2, 3)
    assert type(VonMisesFisher(9, 2.0).mean_resultant_length()) is float
    assert type(VonMisesFisher(9, 2.0).polar_pdf(0.3)) is float
    assert law.polar_pdf(0.0)[0] == 0.0
    assert VonMisesFisher(2, 0.0).polar_pdf(0.0) == pytest.approx(1 / math.pi, rel=1e-14)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1, 1.0), r"dim must be an integer >= 2, got 1\."),
        ((9, -1.0), r"kappa must be in \[0, 1e8\], got -1\.0\."),
        ((9, 1e9), r"kappa must be in \[0, 1e8\], got 1000000000\.0\."),
        ((9, math.nan), r"kappa must be in \[0, 1e8\], got nan\."),
    ],
)
def test_invalid_laws_are_refused(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VonMisesFisher(*arguments)


def test_invalid_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match=r"theta must be in \[0, π\], got 4\.0\."):
        VonMisesFisher(9, 1.0).polar_pdf(4.0)
    with pytest.raises(ValueError, match=r"kappa must be a scalar to sample from, got shape \(2,\)\."):
        VonMisesFisher(9, [1.0, 2.0]).sample(3)

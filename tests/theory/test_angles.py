"""The angle between random directions against mpmath, closed forms and simulation."""

from __future__ import annotations

import math
from functools import cache

import mpmath
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.integrate import simpson
from scipy.special import betainc, gammaln

from tests.strategies import angles, dims, open_angles
from theory.angles import (
    angle_cdf,
    angle_logcdf,
    angle_logpdf,
    angle_pdf,
    angle_sf,
    expected_nearest_neighbor_angle,
    expected_separation_angle,
)

EPS = np.finfo(float).eps
DIMS = (
    2,
    3,
    4,
    5,
    9,
    17,
    41,
    42,
    128,
    1024,
    10**5,
    10**6,
)  # 41 | 42: the series of the Gamma ratio takes over
ANGLES = (1e-300, 1e-9, 1e-3, 0.3, 1.0, 1.4, 1.55, 1.5707, math.pi / 2, 1.571, 1.6, 2.0, 3.0, 3.14, math.pi)


@cache
def reference(theta: float, dim: int) -> tuple[mpmath.mpf, mpmath.mpf]:
    """log f(θ) and log F(θ), or log(1−F(θ)) beyond π/2: tanh-sinh on eight pieces of the support."""
    with mpmath.workdps(30):
        exact_theta, power = mpmath.mpf(theta), dim - 2
        folded = min(exact_theta, mpmath.pi - exact_theta)
        sine = mpmath.sin(folded)
        start = mpmath.asin(sine * mpmath.exp(mpmath.mpf(-70) / max(power, 1))) / folded if power else 0
        pieces = mpmath.linspace(start, 1, 9)
        mills, error = mpmath.quad(lambda x: (mpmath.sin(x * folded) / sine) ** power, pieces, error=True)
        assert error < 1e-20 * mills  # a reference that did not converge is none
        log_pdf = (
            mpmath.loggamma(mpmath.mpf(dim) / 2)
            - mpmath.loggamma(mpmath.mpf(dim - 1) / 2)
            - mpmath.log(mpmath.pi) / 2
            + power * mpmath.log(sine)
        )
        return log_pdf, log_pdf + mpmath.log(mills * folded)


def rounding(theta: float, dim: int) -> float:
    """Four units of rounding of (d−1) log sin θ, the largest term of the logarithms, and of the rest."""
    return EPS * (4 + 4 * dim * abs(math.log(math.sin(theta))))


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("theta", ANGLES)
def test_density_and_tails_match_mpmath(theta, dim):
    log_pdf, log_tail = reference(theta, dim)
    tolerance = rounding(theta, dim)
    assert angle_logpdf(theta, dim) == pytest.approx(float(log_pdf), rel=0, abs=tolerance)
    assert angle_pdf(theta, dim) == pytest.approx(float(mpmath.exp(log_pdf)), rel=2 * tolerance)
    # the library's Gauss–Legendre weights carry up to 1e−14 each
    tolerance += 5e-14
    near, far = (angle_cdf, angle_sf) if theta <= math.pi / 2 else (angle_sf, angle_cdf)
    assert near(theta, dim) == pytest.approx(float(mpmath.exp(log_tail)), rel=2 * tolerance)
    assert far(theta, dim) == pytest.approx(float(-mpmath.expm1(log_tail)), rel=2 * tolerance)
    if theta <= math.pi / 2:
        assert angle_logcdf(theta, dim) == pytest.approx(float(log_tail), rel=0, abs=tolerance)
    else:  # log F = −(1−F) nearly, and 1−F has the relative error of its logarithm's absolute one
        log_cdf = float(mpmath.log1p(-mpmath.exp(log_tail)))
        assert angle_logcdf(theta, dim) == pytest.approx(log_cdf, rel=3 * tolerance)


def test_logcdf_where_the_cdf_underflows():
    # mpmath, 30 digits, as in `reference`; the relative error is a few units of rounding
    assert angle_logcdf(1.4, 10**5) == pytest.approx(-1470.60526152235865, rel=8 * EPS)
    assert angle_cdf(1.4, 10**5) == 0.0


def test_closed_forms_in_low_dimension():
    theta = np.linspace(1e-3, math.pi, 500)
    # f = 1/π, F = θ/π;  f = sin θ/2, F = sin²(θ/2);  f = 2 sin²θ/π, F = (θ − sin θ cos θ)/π, which cancels
    np.testing.assert_allclose(angle_pdf(theta, 2), 1 / math.pi, rtol=4 * EPS)
    np.testing.assert_allclose(angle_cdf(theta, 2), theta / math.pi, rtol=5e-14)
    np.testing.assert_allclose(angle_pdf(theta, 3), np.sin(theta) / 2, rtol=4 * EPS, atol=EPS)
    np.testing.assert_allclose(angle_cdf(theta, 3), np.sin(theta / 2) ** 2, rtol=5e-14)
    by_hand = (theta - np.sin(theta) * np.cos(theta)) / math.pi
    np.testing.assert_allclose(angle_cdf(theta, 4), by_hand, rtol=5e-14, atol=2 * EPS)


def test_naive_forms_fail_where_ours_do_not():
    """Negative control: what the module avoids misses the tolerances above by orders of magnitude."""
    dim, theta = 10**5, 1.55
    log_pdf, _ = reference(theta, dim)
    naive = gammaln(dim / 2) - gammaln((dim - 1) / 2) - math.log(math.pi) / 2 + (dim - 2) * math.log(math.sin(theta))
    assert abs(naive - float(log_pdf)) > 10 * rounding(theta, dim)
    # the incomplete beta function of sin²θ, whose rounding is amplified by d
    middle = 1.5707
    _, log_middle = reference(middle, 10**6)
    naive = 0.5 * betainc((10**6 - 1) / 2, 0.5, math.sin(middle) ** 2)
    assert abs(naive / float(mpmath.exp(log_middle)) - 1) > 1e-10
    assert angle_cdf(middle, 10**6) == pytest.approx(float(mpmath.exp(log_middle)), rel=1e-13)


def test_ends_of_the_range():
    assert angle_logpdf(0.0, 2) == pytest.approx(-math.log(math.pi), rel=4 * EPS)
    np.testing.assert_array_equal(angle_logpdf(0.0, [3, 10**6]), -np.inf)
    np.testing.assert_array_equal(angle_logcdf(0.0, [2, 3, 10**6]), -np.inf)
    np.testing.assert_array_equal(angle_cdf([0.0, math.pi], [[2], [3], [10**6]]), [[0, 1]] * 3)
    np.testing.assert_array_equal(angle_sf(0.0, [2, 3, 10**6]), 1.0)
    assert angle_sf(math.pi, 2) == pytest.approx(math.sin(math.pi) / math.pi, rel=5e-14)  # a float, not π


@given(theta=angles, dim=dims)
@example(theta=5e-324, dim=56)
def test_probabilities_add_up(theta, dim):
    assert angle_cdf(theta, dim) + angle_sf(theta, dim) == pytest.approx(1.0, rel=4 * EPS)


@given(theta=open_angles, dim=dims)
def test_reflection(theta, dim):
    # π − θ moves the angle by half a unit of rounding; near π/2 the log density's slope is (d−2) cot θ
    tolerance = rounding(theta, dim) + EPS * math.pi * dim / math.tan(min(theta, math.pi - theta)) + 5e-14
    assert angle_logpdf(math.pi - theta, dim) == pytest.approx(angle_logpdf(theta, dim), rel=0, abs=tolerance)
    low = angle_cdf(theta, dim)
    assert angle_sf(math.pi - theta, dim) == pytest.approx(low, rel=4 * tolerance, abs=1e-300)


@given(first=angles, second=angles, dim=dims)
def test_cdf_is_monotone(first, second, dim):
    low, high = sorted((first, second))
    # rounding may invert neighbours by their relative error
    assert angle_logcdf(low, dim) <= angle_logcdf(high, dim) + rounding(max(low, 1e-300), dim) + 5e-14


@given(theta=open_angles, dim=dims)
def test_pdf_is_the_derivative_of_the_cdf(theta, dim):
    density = angle_pdf(theta, dim)
    if density < 1e-290:  # the tail underflows before it
        return
    # a step of 1e−4 of the scale on which f varies: central differences are off by h² f''/6 < 1e−8 f
    step = 1e-4 / (dim / math.tan(min(theta, math.pi - theta)) + math.sqrt(dim) + 1 / theta + 1 / (math.pi - theta))
    tail, sign = (angle_cdf, 1) if theta < math.pi / 2 else (angle_sf, -1)
    rise = sign * (tail(theta + step, dim) - tail(theta - step, dim))
    # the relative rounding of both tails, divided by what the difference leaves of them
    noise = 4 * (rounding(theta, dim) + 5e-14) * tail(theta, dim) / rise
    # θ ± h are rounded too
    noise += EPS * theta / step
    assert rise / (2 * step) == pytest.approx(density, rel=2e-8 + noise)


@given(dim=st.integers(2, 10**5))
def test_density_integrates_to_one(dim):
    # f is a bell of standard deviation 1/√d; outside of 14 of them lies less than rounding
    nodes, weights = np.polynomial.legendre.leggauss(200)
    half_width = min(math.pi / 2, 14 / math.sqrt(dim))
    total = half_width * np.sum(weights * angle_pdf(math.pi / 2 + half_width * nodes, dim))
    # 200 Gauss–Legendre nodes are exact to rounding there: weights of relative error 1e−13, log f of 1e−14
    assert total == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("n", [2, 3, 5, 10, 100, 10**4, 10**6, 10**9])
def test_nearest_neighbor_closed_forms(n):
    # d = 2: π/n;  d = 3: √π Γ(N+½)/Γ(N+1), N = n−1. All terms are positive, each right to 1e−14
    assert expected_nearest_neighbor_angle(n, 2) == pytest.approx(math.pi / n, rel=2e-14)
    with mpmath.workdps(30):
        exact = mpmath.sqrt(mpmath.pi) * mpmath.gamma(n - mpmath.mpf(1) / 2) / mpmath.gamma(n)
    assert expected_nearest_neighbor_angle(n, 3) == pytest.approx(float(exact), rel=2e-14)


@pytest.mark.parametrize("dim", [2, 3, 7, 100, 10**4, 10**6])
def test_two_directions_are_a_right_angle_apart(dim):
    for value in (
        expected_nearest_neighbor_angle(2, dim),
        expected_separation_angle(2, dim, "independent-pairs"),
    ):
        assert value == pytest.approx(math.pi / 2, rel=2e-14)


@pytest.mark.parametrize(("n", "dim"), [(3, 4), (10, 9), (1000, 128), (10**9, 5), (10**6, 1024), (10**9, 10**4)])
def test_nearest_neighbor_matches_simpson(n, dim):
    # Simpson's rule with steps of 1/20000 of the drop's width: fourth order leaves less than 1e−13
    low = high = expected_nearest_neighbor_angle(n, dim)
    while (n - 1) * angle_cdf(low, dim) > 1e-18:
        low *= 0.97
    while (n - 1) * -np.log1p(-angle_cdf(high, dim)) < 45:
        high = high + 0.05 * (math.pi - high)
    theta = np.linspace(low, high, 20001)
    survival = np.exp((n - 1) * np.log1p(-angle_cdf(theta, dim)))
    by_sum = low + simpson(survival, x=theta)
    assert expected_nearest_neighbor_angle(n, dim) == pytest.approx(by_sum, rel=1e-12)


@given(n=st.integers(2, 10**9), dim=st.integers(2, 10**4))
@example(n=10**9, dim=2)
@example(n=10**9, dim=10**4)
def test_expected_angles_are_ordered(n, dim):
    neighbor, separation = (
        expected_nearest_neighbor_angle(n, dim),
        expected_separation_angle(n, dim, "independent-pairs"),
    )
    slack = 1 + 1e-13  # equal at n = 2
    assert 0 < separation <= neighbor * slack <= math.pi / 2 * slack**2
    assert expected_nearest_neighbor_angle(n + 1, dim) <= neighbor * slack
    assert expected_nearest_neighbor_angle(n, dim + 1) * slack >= neighbor


def test_asymptotics_are_limits_at_fixed_dimension():
    # the relative error falls like the squared angle, (1/n)^{2/(d−1)}
    for dim in (3, 5):
        errors = [
            expected_nearest_neighbor_angle(n, dim, "asymptotic") / expected_nearest_neighbor_angle(n, dim) - 1
            for n in (10**3, 10**6, 10**9)
        ]
        assert np.all(np.abs(errors) < 0.4 * np.array([1e3, 1e6, 1e9]) ** (-2 / (dim - 1)))
    # independent pairs and θ̄ share the limit n(n−1)/2 → n²/2
    ratio = expected_separation_angle(10**9, 3) / expected_separation_angle(10**9, 3, "independent-pairs")
    assert ratio == pytest.approx(1.0, abs=1e-8)


def test_the_error_of_the_asymptotics_as_documented():
    """The percentages of the docstrings, to the digit they are given to."""
    n, dim = np.array([100, 100, 1000, 1000]), np.array([3, 16, 128, 1024])
    neighbor = expected_nearest_neighbor_angle(n, dim)
    shortfall = expected_nearest_neighbor_angle(n, dim, "asymptotic") - neighbor
    np.testing.assert_allclose((100 * shortfall / neighbor)[1:], [-12, -25, -32], atol=0.5)
    assert 100 * shortfall[0] / neighbor[0] == pytest.approx(0.1, abs=0.05)
    np.testing.assert_allclose(shortfall[2:], [-0.32, -0.47], atol=0.005)
    # the separation by independent pairs, itself checked by simulation below
    separation = expected_separation_angle(n, dim, "independent-pairs")
    shortfall = expected_separation_angle(n, dim) - separation
    np.testing.assert_allclose((100 * shortfall / separation)[1:], [-6, -20, -30], atol=0.5)
    np.testing.assert_allclose(shortfall[2:], [-0.24, -0.43], atol=0.005)


def test_separation_on_the_circle():
    # n points cut the circle into n arcs, the shortest of mean 2π/n²: θ̄, and not what independent pairs say
    n = np.array([2, 3, 10, 1000])
    np.testing.assert_allclose(expected_separation_angle(n, 2), 2 * math.pi / n**2, rtol=8 * EPS)
    excess = expected_separation_angle(n, 2, "independent-pairs") * n**2 / (2 * math.pi)
    np.testing.assert_allclose(excess, n**2 / (n**2 - n + 2), rtol=2e-14)


@pytest.mark.parametrize(("n", "dim", "num_sets"), [(10, 3, 20_000), (10, 16, 10_000), (100, 16, 1000)])
def test_simulation(n, dim, num_sets):
    rng = np.random.default_rng(11)
    unit = rng.standard_normal((num_sets, n, dim))
    unit /= np.linalg.norm(unit, axis=-1, keepdims=True)
    cosines = unit @ unit.swapaxes(-1, -2)
    cosines[:, range(n), range(n)] = -1.0
    neighbors = np.arccos(cosines.max(axis=-1))

    def z_score(values, expected):
        return (values.mean() - expected) / (values.std(ddof=1) / math.sqrt(num_sets))

    # a set is one observation; four standard errors, with this seed
    assert abs(z_score(neighbors.mean(axis=1), expected_nearest_neighbor_angle(n, dim))) < 4
    separation = neighbors.min(axis=1)
    if dim >= 16:
        assert abs(z_score(separation, expected_separation_angle(n, dim, "independent-pairs"))) < 4
    else:  # documented: 3 % high and 2 % low, which this many sets resolve
        for method, percent in (("independent-pairs", 3), ("asymptotic", -2)):
            expected = expected_separation_angle(n, dim, method)
            assert abs(z_score(separation, expected)) > 4
            assert 100 * (expected / separation.mean() - 1) == pytest.approx(percent, abs=1)
    # negative controls: the other expectation, and the asymptotic where it is not valid
    assert abs(z_score(separation, expected_nearest_neighbor_angle(n, dim))) > 20
    if dim >= 16:
        assert abs(z_score(separation, expected_separation_angle(n, dim))) > 20


def test_broadcasting_and_types():
    theta, dim = np.linspace(0.1, 3.0, 4)[:, None], np.array([2, 3, 1000])
    for function in (angle_pdf, angle_logpdf, angle_cdf, angle_logcdf, angle_sf):
        grid = function(theta, dim)
        assert grid.shape == (4, 3)
        assert grid.dtype == np.float64
        assert grid[2, 1] == pytest.approx(function(float(theta[2, 0]), 3), rel=1e-14)
        assert type(function(1.0, np.int64(3))) is float
    for function, method in (
        (expected_nearest_neighbor_angle, "exact"),
        (expected_nearest_neighbor_angle, "asymptotic"),
        (expected_separation_angle, "asymptotic"),
        (expected_separation_angle, "independent-pairs"),
    ):
        grid = function([[2], [100]], dim, method)
        assert grid.shape == (2, 3)
        assert grid[1, 2] == pytest.approx(function(100, 1000, method), rel=1e-14)
        assert type(function(5, 3, method)) is float
    assert angle_cdf([], 3).shape == (0,)
    # more points than one block holds
    many = np.linspace(0, math.pi, 5000)
    np.testing.assert_allclose(angle_cdf(many, 3), np.sin(many / 2) ** 2, rtol=5e-14)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: angle_pdf(1.0, 1), r"dim must be an integer >= 2, got 1\."),
        (lambda: angle_cdf(1.0, 2.5), r"dim must be an integer >= 2, got 2\.5\."),
        (lambda: angle_cdf(1.0, [3, 1]), r"dim must be an integer >= 2, got 1\."),
        (lambda: angle_cdf(1.0, np.array([3.0])), r"dim must be an integer >= 2, got 3\.0\."),
        (lambda: angle_cdf(1.0, True), r"dim must be an integer >= 2, got True\."),
        (lambda: angle_logcdf(-0.1, 3), r"theta must be in \[0, π\], got -0\.1\."),
        (lambda: angle_sf(3.2, 3), r"theta must be in \[0, π\], got 3\.2\."),
        (lambda: angle_logpdf(math.nan, 3), r"theta must be in \[0, π\], got nan\."),
        (lambda: angle_logpdf("a", 3), r"theta must be in \[0, π\], got 'a'\."),
        (lambda: expected_nearest_neighbor_angle(1, 3), r"n must be an integer >= 2, got 1\."),
        (lambda: expected_nearest_neighbor_angle(10.0, 3), r"n must be an integer >= 2, got 10\.0\."),
        (lambda: expected_separation_angle(10, 1), r"dim must be an integer >= 2, got 1\."),
        (
            lambda: expected_nearest_neighbor_angle(10, 3, "independent-pairs"),
            r"method must be 'exact' or 'asymptotic', got 'independent-pairs'\.",
        ),
        (
            lambda: expected_separation_angle(10, 3, "exact"),
            r"method must be 'asymptotic' or 'independent-pairs', got 'exact'\.",
        ),
    ],
)
def test_invalid_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()

"""Acceptance probabilities against mpmath's series, closed forms, simulation and the symmetry that they must have."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.theory.acceptance_references import log_acceptance
from theory import acceptance
from theory.acceptance import expected_acceptance
from theory.angles import angle_logcdf
from theory.caps import UniformCap
from theory.monte_carlo import estimate_distance
from theory.von_mises_fisher import VonMisesFisher, log_mean_exponential

REFERENCES = json.loads((Path(__file__).parent / "data" / "acceptance.json").read_text())
RELATIVE_ERROR = 1e-10  # what is promised


def law(dim, kind, parameter):
    return UniformCap(dim, parameter) if kind == "cap" else VonMisesFisher(dim, parameter)


@pytest.mark.simulations
def test_references_by_mpmath():
    """500 values and more; of a probability, the relative error is the absolute one of its logarithm."""
    assert len(REFERENCES) >= 500
    assert min(row[-1] for row in REFERENCES) < math.log(1e-200)
    worst = 0.0
    for dim, new, old, tau, rho, expected in REFERENCES:
        value, error = expected_acceptance(law(dim, *new), law(dim, *old), tau, rho, log=True, return_error=True)
        off = abs(value - expected)
        assert off <= RELATIVE_ERROR, (dim, new, old, tau, rho)
        assert off <= error <= 10 * RELATIVE_ERROR, (dim, new, old, tau, rho)
        worst = max(worst, off)
    assert worst > 0.0  # the two routes differ, if only by rounding


def test_the_references_come_from_their_script():
    for dim, new, old, tau, rho, expected in REFERENCES[::60]:
        if dim > 4:  # fewer dimensions take thousands of terms
            assert log_acceptance(dim, new, old, tau, rho, 460) == pytest.approx(expected, rel=1e-15)


@settings(max_examples=60, deadline=None)
@given(st.floats(0.05, 1.5), st.floats(0.05, 1.5), st.floats(-1.0, 1.0), st.floats(-0.99, 0.99))
def test_on_the_circle_it_is_a_piecewise_square(a, b, rho, tau):
    """Two uniform arcs: the difference of the two angles has a trapezoidal density about the axes' angle."""
    reach, axis = math.acos(tau), math.acos(rho)

    def below(x):  # P(difference < x), the integral of the trapezoid
        def square(y):
            return 0.5 * max(y, 0.0) ** 2

        return (square(x + a + b) - square(x + a - b) - square(x - a + b) + square(x - a - b)) / (4 * a * b)

    turns = [below(2 * math.pi * k + reach - axis) - below(2 * math.pi * k - reach - axis) for k in (-1, 0, 1)]
    expected = sum(turns)
    # differences of numbers of the size of 1/ab
    assert expected_acceptance(UniformCap(2, a), UniformCap(2, b), tau, rho) == pytest.approx(
        expected, abs=1e-14 / (a * b) + 1e-12
    )


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([2, 3, 5, 15, 16, 40, 300, 10**5]),
    st.floats(0.1, 2.9),
    st.floats(0.1, 2.9),
    st.floats(0.2, 2.9),
    st.floats(0.0, math.pi),
)
def test_the_three_caps_can_be_exchanged(dim, a, b, reach, axis):
    """P F(α) F(α') is the measure of three caps at once, so a radius and the angle of the threshold change places."""

    def measure(first, second, third):
        share = expected_acceptance(UniformCap(dim, first), UniformCap(dim, second), math.cos(third), rho, log=True)
        return share + angle_logcdf(first, dim) + angle_logcdf(second, dim)

    rho = math.cos(axis)
    found = [measure(a, b, reach), measure(a, reach, b), measure(reach, b, a)]
    if abs(axis - (a + b + reach)) < 0.01:  # arccos and cos round the end of the support away
        return
    if max(found) == -math.inf:
        assert min(found) == -math.inf
    else:
        # rounding of three logarithms, whose differences the dimension multiplies
        assert np.ptp(found) < 1e-10 + 1e-15 * (dim / min(a, b, reach) + abs(found[0]))


@pytest.mark.parametrize("dim", [2, 3, 9, 64])
@pytest.mark.parametrize("laws", ["caps", "soft", "mixed", "wide"])
def test_against_the_monte_carlo_kernels_and_full_vectors(dim, laws):
    new, old = {
        "caps": (UniformCap(dim, 0.4), UniformCap(dim, 0.9)),
        "soft": (VonMisesFisher(dim, 3.0 * dim), VonMisesFisher(dim, 2.0 * dim)),
        "mixed": (UniformCap(dim, 0.5), VonMisesFisher(dim, 2.0 * dim)),
        "wide": (UniformCap(dim, 2.0), UniformCap(dim, 2.4)),
    }[laws]
    rng = np.random.default_rng(dim)
    for tau, rho in ((0.7, 1.0), (0.2, 0.3), (-0.1, -0.2)):
        exact = expected_acceptance(new, old, tau, rho)
        scalars = 1 - estimate_distance(new, old, rho, lambda c, t=tau: 1.0 * (c < t), num_samples=2**17, rng=rng).mean
        axis = np.zeros(dim)
        axis[:2] = rho, math.sqrt(1 - rho**2)
        cosines = np.einsum("ij,ij->i", new.sample(2**14, rng=rng), old.sample(2**14, axis=axis, rng=rng))
        deviation = math.sqrt(exact * (1 - exact))
        # 4.5 standard errors of a share; a share of none or all is allowed 20 of 131 072
        assert abs(scalars - exact) < 4.5 * deviation / 2**8.5 + 20 / 2**17
        assert abs(np.mean(cosines >= tau) - exact) < 4.5 * deviation / 2**7 + 20 / 2**14


def test_arguments_broadcast_and_edges_are_exact():
    new, old = UniformCap(9, [0.3, 0.4]), UniformCap(9, 0.6)
    values = expected_acceptance(new, old, [[0.1], [0.5], [0.9]], -0.1)
    assert values.shape == (3, 2)
    assert values[1, 1] == expected_acceptance(UniformCap(9, 0.4), old, 0.5, -0.1)
    assert expected_acceptance(old, old, -1.0) == 1.0
    assert expected_acceptance(old, old, 1.0) == 0.0
    assert expected_acceptance(old, old, 0.5, -1.0, log=True) == -math.inf  # no cosine above cos(π − 1.2)
    sphere = UniformCap(9, math.pi)
    assert expected_acceptance(sphere, old, 0.3, 0.2, log=True) == pytest.approx(
        angle_logcdf(math.acos(0.3), 9), rel=1e-14
    )
    assert expected_acceptance(VonMisesFisher(9, 0.0), old, 0.3, 0.2) == expected_acceptance(sphere, old, 0.3, 0.2)


@pytest.mark.parametrize("dim", [2, 3, 24, 1024])
@pytest.mark.parametrize(
    "radii",
    [(0.6, 0.6), (0.6, 0.6 - 1e-7), (1.5, math.pi - 1.5), (1.5, math.pi - 1.5 - 1e-9), (1e-3, 1.2), (3.1, 0.05)],
)
def test_nearly_equal_caps_and_caps_that_share_out_the_sphere(dim, radii):
    """Where the density of the angle is rough: against values for other caps, since three caps can be exchanged."""
    first, second = radii
    thresholds = np.cos([0.4, 0.9, 1.4])
    for rho in (1.0, 0.3):
        values, error = expected_acceptance(
            UniformCap(dim, first), UniformCap(dim, second), thresholds, rho, log=True, return_error=True
        )
        assert np.all(error[values > -np.inf] < 10 * RELATIVE_ERROR)
        for tau, value in zip(thresholds, values, strict=True):
            reach = math.acos(tau)
            swapped = expected_acceptance(
                UniformCap(dim, first), UniformCap(dim, reach), math.cos(second), rho, log=True
            )
            swapped += angle_logcdf(reach, dim) - angle_logcdf(second, dim)
            # the last logarithm is multiplied by the dimension, and arccos rounds the narrow radius
            assert value == pytest.approx(swapped, abs=1e-10 + 1e-15 * dim / min(radii) ** 2, rel=1e-12)


def test_the_density_is_tabulated_once_for_two_laws(monkeypatch):
    """What makes a value cheap: thresholds, axes and later calls share what depends on the laws only."""
    acceptance._angle_law.cache_clear()
    tables = []
    sound = acceptance._Table.__init__
    monkeypatch.setattr(acceptance._Table, "__init__", lambda self, *a: (tables.append(a[1]), sound(self, *a))[1])
    new, old = UniformCap(9, 0.3), UniformCap(9, 0.6)
    expected_acceptance(new, old, np.linspace(-0.5, 0.9, 70), [[1.0], [-0.1]])
    expected_acceptance(new, old, 0.123, 0.4)
    assert len(tables) == 1
    expected_acceptance(old, old, [0.1, 0.5])
    assert len(tables) == 2


def test_an_error_is_no_smaller_than_what_is_off():
    """Against a second table and other rules: the error covers laws for which rounding is all that is left."""
    rng = np.random.default_rng(4)
    for dim, new, old, tau, rho, expected in [REFERENCES[i] for i in rng.choice(len(REFERENCES), 25, replace=False)]:
        value, error = expected_acceptance(law(dim, *new), law(dim, *old), tau, rho, log=True, return_error=True)
        assert abs(value - expected) <= error < 10 * RELATIVE_ERROR, (dim, new, old, tau, rho)


def test_a_narrow_law_is_the_limit_of_a_point():
    """Caps of 1e−6 around one axis at an angle: accepted or not, by the axes alone."""
    point = UniformCap(9, 1e-6)
    assert expected_acceptance(point, point, 0.49, 0.5) == pytest.approx(1.0, abs=1e-12)
    assert expected_acceptance(point, point, 0.51, 0.5) == 0.0


@pytest.mark.parametrize("order", [-0.5, 0.0, 3.0, 49.9, 50.0, 500.0, 5e4])
def test_mean_exponentials_join_at_the_switch_and_start_at_zero(order):
    kappa = np.array([0.0, 1e-3, 1.0, 30.0])
    values = log_mean_exponential(order, kappa)
    assert values[0] == pytest.approx(0.0, abs=1e-15)
    # −κ + κ²/(2(2ν+2)) + O(κ⁴)
    assert values[1] == pytest.approx(-1e-3 + 1e-6 / (4 * (order + 1)), rel=1e-9)
    near, below = log_mean_exponential(50.0, kappa), log_mean_exponential(50.0 - 1e-9, kappa)
    np.testing.assert_allclose(near, below, atol=1e-11)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((UniformCap(9, 0.3), UniformCap(8, 0.3), 0.5), "must have the same dim, got 9 and 8"),
        ((UniformCap(9, 0.3), UniformCap(9, 0.3), 1.5), r"threshold must be in \[-1, 1\], got 1\.5"),
        ((UniformCap(9, 0.3), UniformCap(9, 0.3), 0.5, -2.0), r"axis_cosine must be in \[-1, 1\], got -2\.0"),
        (("cap", UniformCap(9, 0.3), 0.5), "new must be a UniformCap or a VonMisesFisher"),
    ],
)
def test_invalid_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        expected_acceptance(*arguments)

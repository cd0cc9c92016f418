"""Formats of numbers: the digits that an interval justifies, true signs, bounds that stay bounds."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verification.views import numbers
from verification.views.numbers import Bounds


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (Bounds(0.21294, 0.199, 0.2268), "+0.213 (+0.199 to +0.227)"),
        (Bounds(-0.0440123, -0.2193, 0.1313), "−0.04 (−0.22 to +0.13)"),
        (Bounds(12.4, 3.4, 21.4), "+12.4 (+3.4 to +21.4)"),
        (Bounds(0.5, -math.inf, math.inf), "+0.50 (−∞ to +∞)"),
        (Bounds(-1e-9, -0.01, 0.01), "+0.000 (−0.010 to +0.010)"),
    ],
)
def test_an_estimate_has_two_digits_of_its_half_width(found, text):
    assert numbers.estimate(found) == text


def test_half_widths_and_changes_of_shares():
    assert numbers.plus_minus(Bounds(0.0524, 0.0484, 0.0564)) == "+0.0524 ± 0.0040"
    assert numbers.plus_minus(Bounds(1e-17, -1e-16, 1e-16)) == "0 up to rounding"
    assert numbers.points(Bounds(0.0125, 0.001, 0.031)) == "+1.2 (+0.1 to +3.1)"
    assert (numbers.in_points(0.01), numbers.in_points(0.025), numbers.in_points(0.0)) == (
        "1 point",
        "2.5 points",
        "0 points",
    )


def test_small_rates_are_written_with_an_exponent():
    assert numbers.rate(Bounds(0.003086, 0.002367, 0.004023)) == "0.00309 (0.00237 to 0.00402)"
    assert numbers.rate(Bounds(3.086e-6, 2.4e-6, 4.0e-6)) == "3.09e−6 (2.40e−6 to 4.00e−6)"
    assert numbers.rate(Bounds(0.0, 0.0, 2e-5)) == "0 (0 to 2.0e−5)"


def test_zero_has_no_sign_and_counts_have_separators():
    assert (numbers.number(-0.0, 2, ""), numbers.digits(-0.0), numbers.number(-math.inf)) == ("0.00", "0", "−∞")
    assert (numbers.plural(1, "query", "queries"), numbers.plural(1200, "class", "classes")) == (
        "1 query",
        "1,200 classes",
    )
    assert (numbers.confidence(0.95), numbers.confidence(0.999), numbers.percent(0.6692)) == (
        "95 %",
        "99.9 %",
        "66.9 %",
    )
    assert numbers.degrees(-math.pi / 2) == "−90.0°"


@given(st.floats(1e-9, 1e6))
def test_a_bound_that_is_rounded_stays_a_bound(value):
    shown = float(numbers.round_up(value).replace("−", "-"))
    # two significant digits move it by less than a tenth; the 1e−9 is for the decimal that is read back
    assert value * (1 - 1e-9) <= shown <= 1.1 * value


@given(st.floats(1e-11, 1e3))
def test_rounding_to_the_digits_of_a_half_width_moves_it_by_less_than_a_twentieth(half):
    assert abs(round(half, numbers.decimals(half)) - half) <= 0.05 * half * (1 + 1e-9)

"""Distances as functions of the cosine: values, digits near c = 1, and what is refused."""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory.metrics import METRICS, AngularDistance, PowerDistance, as_metric

EPS = np.finfo(float).eps


def test_values_at_known_angles() -> None:
    cosine = np.array([1.0, 0.5, 0.0, -1.0])
    np.testing.assert_allclose(METRICS["sqeuclidean"].of_cosine(cosine), [0, 1, 2, 4], rtol=4 * EPS)
    np.testing.assert_allclose(METRICS["cosine"].of_cosine(cosine), [0, 0.5, 1, 2], rtol=4 * EPS)
    np.testing.assert_allclose(METRICS["euclidean"].of_cosine(cosine), [0, 1, math.sqrt(2), 2], rtol=4 * EPS)
    np.testing.assert_allclose(
        METRICS["angular"].of_cosine(cosine), [0, math.pi / 3, math.pi / 2, math.pi], rtol=4 * EPS
    )


@given(angle=st.floats(1e-9, math.pi))
def test_half_angles_resolve_near_points(angle: float) -> None:
    """The angle comes back from y = sin²(ψ/2): to rounding below π/2; above, y itself has lost the digits of π − ψ."""
    y = math.sin(angle / 2) ** 2
    assert float(METRICS["angular"].of_haversine(np.asarray(y))) == pytest.approx(
        angle, rel=1e-15 if angle < 1 else 3e-8
    )
    assert float(METRICS["euclidean"].of_haversine(np.asarray(y))) == pytest.approx(
        2 * math.sin(angle / 2), rel=4 * EPS
    )


@given(s=st.floats(0.01, 3.0), cosine=st.floats(-1.0, 0.99))
def test_power_distance_is_a_power_of_the_chord(s: float, cosine: float) -> None:
    value = float(as_metric(PowerDistance(s)).of_cosine(cosine))
    assert value == pytest.approx((2 - 2 * cosine) ** s, rel=100 * EPS)


@pytest.mark.parametrize("metric", ["sqeuclidean", "euclidean", "angular", PowerDistance(0.3)])
@pytest.mark.parametrize("y", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("step", [1e-14, -1e-9, 1e-3, -0.05])
def test_increments_are_relative_to_the_step(metric, y: float, step: float) -> None:
    """F(y + δ) − F(y) to a few roundings of itself; mpmath, 40 digits."""
    known = as_metric(metric)
    with mp.workdps(40):

        def exact(value: mp.mpf) -> mp.mpf:
            angle = isinstance(known, AngularDistance)
            return 2 * mp.asin(mp.sqrt(value)) if angle else (4 * value) ** mp.mpf(known.s)

        expected = float(exact(mp.mpf(y) + mp.mpf(step)) - exact(mp.mpf(y)))
    assert float(known.increment(y, step)) == pytest.approx(expected, rel=20 * EPS)


def test_increment_of_a_function_is_a_difference() -> None:
    metric = as_metric(lambda c: 1 - c**3)
    assert float(metric.increment(0.5, 0.25)) == pytest.approx(0.125, rel=4 * EPS)  # 1 − c³ from c = 0 to −½


def test_functions_become_metrics_that_keep_their_name() -> None:
    def chord(c: np.ndarray) -> np.ndarray:
        return np.sqrt(2 - 2 * c)

    metric = as_metric(chord)
    assert metric.name == "chord"
    assert metric.linear is None
    assert as_metric(metric) is metric
    np.testing.assert_allclose(metric.of_cosine([0.0, -1.0]), [math.sqrt(2), 2.0], rtol=4 * EPS)


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ("manhattan", r"metric must be one of sqeuclidean, .*, got 'manhattan'\."),
        (3.0, r"metric must be one of .*, got 3\.0\."),
        (lambda c: c, r"metric must not increase with the cosine, but it does at cosine -1\.0\."),
        (lambda c: 1.0, r"metric must keep the shape of its argument, but \(1025,\) became \(\)\."),
        (lambda c: np.where(c < 0.5, 2.0 - c, np.inf), r"metric must be finite on \[-1, 1\], but it is not at cosine"),
        (lambda c: c.no_such, None),
        (lambda c: math.sqrt(c), r"metric must map an array of cosines to an array, but calling it raised"),
    ],
)
def test_what_is_not_a_metric_is_refused(metric, message: str | None) -> None:
    if message is None:  # a defect of the function itself is not hidden
        with pytest.raises(AttributeError):
            as_metric(metric)
        return
    with pytest.raises(ValueError, match=message):
        as_metric(metric)


@pytest.mark.parametrize("s", [0.0, -1.0, math.nan, math.inf, "1", 300])
def test_invalid_powers_are_refused(s: object) -> None:
    with pytest.raises(ValueError, match=r"s must be a number in \(0, 32\], got"):
        PowerDistance(s)  # type: ignore[arg-type]

"""The parts of certificates: boxes, cells, series and sums over steps, and what is done where nothing is given."""

from __future__ import annotations

import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import eval_gegenbauer, ive

from tests.theory.certificates import all_boxes, ends
from theory.caps import UniformCap
from theory.certify import (
    Box,
    Certificate,
    certify_circle_ranking,
    certify_gaps,
    certify_orthogonal_recall,
    certify_rates,
    circle,
    decisions,
    enclose_threshold,
    hemispheres,
    rates,
    sweep,
)
from theory.certify.cells import CapCells, SoftCells
from theory.certify.decisions import VERDICTS, _outward, _pairs, _Sweep
from theory.certify.rates import Rates, RateSeries, _no_rise
from theory.certify.series import Envelope, Signs, both_sides, coefficients, gegenbauer_values, multiplicities
from theory.certify.sweep import Sweep, _sign
from theory.metrics import METRICS, AngularDistance, PowerDistance
from theory.von_mises_fisher import VonMisesFisher

flint = pytest.importorskip("flint")
arb = flint.arb


class Stopped(Exception):
    """What was asked for is known; the rest need not be computed."""


def polynomial(dim, n, angle):
    """P_n(cos θ), 1 at θ = 0."""
    if dim == 2:
        return np.cos(n * angle)
    lam = 0.5 * dim - 1.0
    return eval_gegenbauer(n, lam, np.cos(angle)) / eval_gegenbauer(n, lam, 1.0)


def cap_coefficient(dim, n, radius):
    """The mean of P_n over a cap, by quadrature."""
    weight = quad(lambda t: math.sin(t) ** (dim - 2), 0.0, radius)[0]
    return quad(lambda t: polynomial(dim, n, t) * math.sin(t) ** (dim - 2), 0.0, radius, epsabs=1e-13)[0] / weight


# boxes


def test_a_box_at_the_distance_itself_is_not_beyond_it():
    near, far = Box((1.25, 1.75), (0.75, 1.25)), Box((2.0, 2.5), (0.75, 1.25))  # centres 1.5 and 2.25 times as far
    assert Certificate(positive=(far,), negative=(), open=(near,)).open_share(0.5) == 0.0
    assert Certificate(positive=(far,), negative=(), open=(near,)).open_share(0.499) == 0.5


# the sweep over gaps


@pytest.mark.parametrize(("slope", "names"), [(1, ("negative", "positive")), (-1, ("positive", "negative"))])
def test_a_box_that_only_touches_the_diagonal_lies_on_one_side_of_it(slope, names):
    left, right = (0.3, 0.5), (0.5, 0.7)
    assert Sweep._split(left, right, slope) == [(names[0], Box(left, right))]
    assert Sweep._split(right, left, slope) == [(names[1], Box(right, left))]
    for column in ((0.3, 0.6), right, (0.6, 0.9), (0.3, 0.9)):
        assert Sweep._split(column, right, slope) == [
            (names[0], Box(column, right, "less")),
            (names[1], Box(column, right, "greater")),
        ]


def test_a_ball_that_reaches_zero_has_no_sign():
    balls = [arb(2), arb(-2), arb(0), arb(1, 1), arb(-1, 1), arb(0, 1), arb(1, 0.5), arb(-1, 0.5)]
    assert [_sign(ball) for ball in balls] == [1, -1, 0, 0, 0, 0, 1, -1]


def test_a_slope_is_steady_as_far_as_its_sign_does_not_change_from_the_diagonal():
    columns = [(float(i), float(i + 1)) for i in range(5)]
    for row in ((0.25, 0.75), (2.25, 2.75), (2.25, 3.5), (4.5, 5.0), (0.5, 4.5), (2.0, 3.0)):
        on = [i for i, (a, b) in enumerate(columns) if min(b, row[1]) >= max(a, row[0])]
        for signs in itertools.product((-1, 0, 1), repeat=5):
            expected = []
            for i in range(5):
                path = {signs[j] for j in range(min(i, *on, 5), max(i, *on, 0) + 1)}
                expected.append(signs[i] if len(path) == 1 else 0)
            assert Sweep._steady(columns, row, list(signs)) == expected


class Made:
    """Cells of one term: a_1 is the parameter's range, and its slope has the signs that are given."""

    def __init__(self, slope):
        self.slope, self.asked = slope, []

    def __getitem__(self, interval):
        self.asked.append(interval)
        a = arb(interval[0]).union(arb(interval[1]))
        return SimpleNamespace(slope=[self.slope, arb(0)], value=[a, arb(0)], old=[arb(1), arb(0)])


def test_where_the_slope_says_nothing_the_gap_itself_is_enclosed():
    """With c_1 = 1 and a_1 = α the gap is α_t − α_k: decided off the diagonal, whatever its slope."""
    columns = [(float(i), float(i + 1)) for i in range(1, 5)]
    made = Sweep(Made(arb(0, 1)), Signs([arb(1)], arb(0)), flint)
    found = made.decide(columns, columns, 0, (1.0, 5.0))
    assert {(box.new, box.old) for box in found.positive} == {(a, b) for a in columns for b in columns if a[0] > b[1]}
    assert {(box.new, box.old) for box in found.negative} == {(a, b) for a in columns for b in columns if a[1] < b[0]}
    assert len(found.open) == 4 + 6  # those that overlap or touch: there the gap is 0 at a corner
    assert all(box.part == "all" for boxes in (found.positive, found.negative, found.open) for box in boxes)


def test_open_rows_are_cut_in_two_and_columns_outside_serve_as_a_path_only():
    columns = [(1.0, 2.0), (2.0, 3.0)]
    made = Sweep(Made(arb(0, 1)), Signs([arb(1)], arb(0)), flint)
    found = made.decide(columns, [columns[1]], 2, (1.0, 2.0))
    boxes = (*found.positive, *found.negative, *found.open)
    # in the row above the touching corner all is decided once it is a step away
    assert math.fsum(box.area for box in boxes) == pytest.approx(1.0, rel=1e-12)
    assert all(box.new[1] <= 2.0 for box in boxes)
    assert not found.positive
    assert {(box.old[1] - box.old[0]) for box in found.negative} == {0.5, 0.25}
    assert [(box.new, box.old) for box in found.open] == [((1.75, 2.0), (2.0, 2.25))]


def test_tiny_entries_of_products_are_all_replaced_by_one_ball_that_holds_them():
    entries = [arb(2) ** -150, -(arb(2) ** -120), arb(0), arb(0, 2.0**-130)]
    made, other = Sweep(None, Signs([arb(1)], arb(0)), flint), _Sweep(3, 8, flint)
    row = other._matrix([[*entries, arb(1), arb(-3), arb(2) ** -90, arb(0, 1), arb(5)]])
    for found in ([made._settled(entry) for entry in entries], [row[0, i] for i in range(4)]):
        assert all(ball.contains(entry) for ball, entry in zip(found, entries, strict=True))
        assert len({ends(ball) for ball in found}) == 1
        assert 0.0 < float(found[0].rad()) < 1e-25
    assert [float(row[0, i]) for i in (4, 5, 6)] == [1.0, -3.0, 2.0**-90]
    assert float(made._settled(arb(2) ** -90)) == 2.0**-90


def steps(boxes, side="new"):
    return sorted({getattr(box, side) for box in boxes})


def test_radii_from_a_third_of_a_radian_to_a_right_angle_are_looked_at_where_none_are_given():
    (found,) = certify_gaps(3, 4, step=0.9, levels=0, terms=2)
    for side in ("new", "old"):
        parts = steps(all_boxes(found.same_class), side)
        assert (parts[0][0], parts[-1][1]) == (0.3, 1.5)
    assert (found.metric, found.law) == ("euclidean", "cap")


def test_first_steps_are_a_tenth_of_a_parameter_and_for_caps_no_wider_than_a_twentieth_of_a_radian():
    (caps,) = certify_gaps(3, 4, levels=0, terms=2)
    widths = [b - a for a, b in steps(all_boxes(caps.same_class))]
    shares = [(b - a) / a for a, b in steps(all_boxes(caps.same_class))]
    assert max(shares) == pytest.approx(0.1, rel=1e-12)
    assert max(widths) == pytest.approx(0.05, rel=1e-12)
    assert sum(width > 0.0499 for width in widths) > 10
    (soft,) = certify_gaps(3, 4, law="von-mises-fisher", new=(5.0, 20.0), levels=0, terms=2)
    shares = [(b - a) / a for a, b in steps(all_boxes(soft.same_class))]
    assert shares[:-1] == pytest.approx([0.1] * (len(shares) - 1), rel=1e-12)
    assert shares[-1] <= 0.1


def test_a_step_that_fills_the_range_adds_no_empty_one():
    (found,) = certify_gaps(3, 4, new=(0.5, 1.0), step=0.5, levels=0, terms=2)
    assert steps(all_boxes(found.same_class)) == [(0.5, 0.75), (0.75, 1.0)]


def test_open_rows_are_cut_three_times_where_no_number_is_given():
    """The gap is 0 all over, so everything is left open to the end (see test_certify)."""
    (found,) = certify_gaps(5, metrics="angular", axis_cosine=0.0, new=(0.5, 0.52), terms=16)
    boxes = all_boxes(found.different_class)
    assert len(boxes) == 8 * 8
    assert all(high - low == pytest.approx(0.02 / 8, rel=1e-9) for box in boxes for low, high in (box.new, box.old))


def test_a_hundred_and_twenty_eight_terms_are_taken_where_no_number_is_given(monkeypatch):
    asked = []

    def recorded(dim, distance, cosine, terms, flint):
        asked.append((dim, distance.name, terms))
        raise Stopped

    monkeypatch.setattr(sweep, "both_sides", recorded)
    with pytest.raises(Stopped):
        certify_gaps(7, 3)
    assert asked == [(7, "euclidean", 128)]


def test_two_opposite_classes_and_as_many_as_a_simplex_has_corners_are_taken():
    (found,) = certify_gaps(2, 2, ("sqeuclidean",), new=(0.5, 0.6), levels=0, terms=2)
    low, high = found.axis_cosine
    assert low == -1.0 < high < -1.0 + 1e-15
    (found,) = certify_gaps(2, 3, ["cosine"], new=(0.5, 0.6), levels=0, terms=2)
    low, high = found.axis_cosine
    assert low < -0.5 < high
    with pytest.raises(ValueError, match=r"num_classes must be <= dim \+ 1 = 3, got 4"):
        certify_gaps(2, 4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"step": 1.0}, r"step must be in \(0, 1\), got 1.0"),
        ({"new": (0.5, math.pi)}, "new must be .* got"),
        ({"new": (0.5, 0.5)}, "new must be .* got"),
        ({"new": (0.5, 0.6, 0.7)}, "new must be .* got"),
        ({"new": (0.5,)}, "new must be .* got"),
        ({"law": "von-mises-fisher", "new": (1.0, 1e5)}, "new must be .* 100000, got"),
        ({"metrics": PowerDistance(1.5)}, "metrics must be powers of the chord with s <= 1 or the angle"),
        ({"metrics": "threshold"}, "metric must be one of"),
    ],
)
def test_arguments_at_the_ends_of_their_ranges_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        certify_gaps(3, 3, **{"new": (0.5, 0.6)} | arguments)


# cells of the laws' parameters


@pytest.mark.parametrize("dim", [2, 3, 6])
@pytest.mark.parametrize("radius", [0.05, 0.7, 2.5])
def test_a_cell_of_one_radius_is_its_coefficients(dim, radius):
    with flint.ctx.workprec(200):
        cell = CapCells(dim, 9, flint)[radius, radius]
    a = [cap_coefficient(dim, n, radius) for n in range(1, 10)]
    for n, (truth, value, old) in enumerate(zip(a, cell.value, cell.old, strict=False), start=1):
        for ball, expected in ((value, truth), (old, truth / a[0])):
            assert float(ball.rad()) < 1e-14, n
            assert float(ball.mid()) == pytest.approx(expected, abs=1e-11)
    # the change of the mean over a cap is proportional to what its rim is above it
    step = 1e-4
    slopes = [cap_coefficient(dim, n, radius + step) - cap_coefficient(dim, n, radius - step) for n in range(1, 10)]
    for truth, slope in zip(slopes, cell.slope, strict=False):
        assert float(slope.rad()) < 1e-12
        assert float(slope.mid()) == pytest.approx(-truth / slopes[0], rel=1e-4, abs=1e-4)


@pytest.mark.parametrize(("low", "high"), [(1e-6, 0.1), (0.01, 0.3), (0.2, 0.4), (1.0, 1.1), (2.0, 2.2)])
@pytest.mark.parametrize("dim", [3, 9])
def test_a_cell_of_radii_holds_both_ends_and_is_not_much_wider(dim, low, high):
    terms = 6
    with flint.ctx.workprec(200):
        cells = CapCells(dim, terms, flint)
        cell, *points = (cells[pair] for pair in ((low, high), (low, low), (high, high)))
        for kind in ("value", "old", "slope"):
            for n in range(terms):
                wide = getattr(cell, kind)[n]
                for point in points:
                    at = float(getattr(point, kind)[n].mid())
                    assert float(wide.lower()) - 1e-14 <= at <= float(wide.upper()) + 1e-14
    means = [UniformCap(dim, radius).mean_resultant_length() for radius in (low, high)]
    for n, (old, value) in enumerate(zip(cell.old[:-1], cell.value, strict=False)):
        change = abs(float(points[1].old[n].mid()) - float(points[0].old[n].mid()))
        curvature = n * (n + dim) / (dim + 1)
        assert float(old.rad()) <= 0.52 * change + 0.13 * curvature * (high - low) ** 2 + 1e-12
        mean, spread = 0.5 * sum(means), 0.5 * abs(means[0] - means[1])
        widest = (mean + spread) * float(old.rad()) + spread * abs(float(old.mid()))
        assert float(value.rad()) <= widest * (1 + 1e-6) + 1e-14


def test_the_lower_end_of_a_cell_of_small_radii_is_attained():
    """Near 0 a polynomial is 1 − g θ²/2, and its Taylor series about the middle of an interval adds up to that."""
    dim, low, high = 7, 1e-4, 3e-4
    with flint.ctx.workprec(200):
        old = CapCells(dim, 5, flint)[low, high].old
    for n in range(2, 6):
        g = (n - 1) * (n + dim - 1) / (dim + 1)
        assert 1.0 - float(old[n - 1].lower()) == pytest.approx(0.5 * g * high**2, rel=1e-6)


@pytest.mark.parametrize(("dim", "terms"), [(4, 10), (4, 11), (9, 10), (9, 11)])
def test_what_follows_the_last_term_of_a_cell_is_bounded_tightly_at_a_right_angle(dim, terms):
    radius = 0.5 * math.pi
    with flint.ctx.workprec(200):
        cell, long = (CapCells(dim, count, flint)[radius, radius] for count in (terms, terms + 30))
    # attained by even degrees; between odd ones and their bound is the envelope's other half
    least = 1.001 if terms % 2 == 0 else 1.4
    for kind, most in (("value", least), ("old", least), ("slope", 2.0)):
        largest = max(abs(float(ball.mid())) for ball in getattr(long, kind)[terms:-1])
        bound = float(getattr(cell, kind)[-1].abs_upper())
        assert largest <= bound * (1.0 + 1e-12)
        assert bound < most * largest, (kind, bound / largest)


@pytest.mark.parametrize(("dim", "low", "high"), [(2, 3.0, 3.3), (5, 0.5, 0.6), (9, 40.0, 41.0)])
def test_a_cell_of_concentrations_reaches_from_one_end_to_the_other(dim, low, high):
    terms, lam = 8, 0.5 * dim - 1.0
    with flint.ctx.workprec(200):
        cells = SoftCells(dim, terms, flint)
        cell, *points = (cells[pair] for pair in ((low, high), (low, low), (high, high)))
    first, last = ([ive(lam + n, k) / ive(lam, k) for n in range(1, terms + 1)] for k in (low, high))
    for n in range(terms):
        assert ends(cell.value[n]) == pytest.approx((first[n], last[n]), rel=1e-8)  # a ball's radius has 30 bits
        assert ends(cell.old[n]) == ends(cell.value[n])
        a, b = (float(point.slope[n].mid()) for point in points)
        below, above = ends(cell.slope[n])
        assert below <= min(a, b) <= max(a, b) <= above
        assert above - below < 4.0 * abs(b - a) + 0.7 * max(a, b)
    assert ends(cell.old[-1])[1] == pytest.approx(last[-1], rel=1e-12)
    assert ends(cell.value[-1]) == pytest.approx((-last[-1], last[-1]), rel=1e-8)


@pytest.mark.parametrize("dim", [3, 8])
@pytest.mark.parametrize("kappa", [0.7, 6.0])
def test_a_cell_of_one_concentration_is_its_slopes(dim, kappa):
    with flint.ctx.workprec(200):
        cell = SoftCells(dim, 24, flint)[kappa, kappa]
    step = 1e-4 * kappa
    less, more = (VonMisesFisher(dim, kappa + shift).zonal_coefficients(13)[0] for shift in (-step, step))
    for n, ball in enumerate(cell.slope[:12], start=1):
        assert float(ball.rad()) < 1e-6 * float(ball.mid())  # from [0, 1] at the highest order down
        assert float(ball.mid()) == pytest.approx(kappa * (more[n] - less[n]) / (2.0 * step), rel=1e-5, abs=1e-10)


def test_slopes_of_few_terms_hold_whatever_the_highest_order_is():
    """ℓ of the highest order is in [0, 1], where it is small as where it is large."""
    for dim, kappa in ((3, 0.05), (3, 8.0), (4, 60.0)):
        with flint.ctx.workprec(200):
            few, many = (SoftCells(dim, terms, flint)[kappa, kappa] for terms in (1, 60))
        (slope, _), truth = few.slope, float(many.slope[0].mid())
        low, high = ends(slope)
        ratios = [ive(0.5 * dim + n, kappa) / ive(0.5 * dim + n - 1, kappa) for n in range(3)]
        below = 1 - ratios[0] * ratios[1] * 2  # one step down from either end
        above = 1 - ratios[0] * ratios[1]
        assert low < truth < high
        assert high - low <= (above - max(below, 0.0)) * ratios[0] * (1 + 1e-6)


def test_terms_of_a_concentration_that_have_not_begun_to_fall_bound_nothing():
    """n a_n rises as long as a_{n+1}/a_n is above n/(n+1); from where it falls its value there is a bound."""
    dim, lam = 3, 0.5
    for kappa, terms in ((2.0, 4), (50.0, 4), (50.0, 5), (50.0, 6), (50.0, 7), (50.0, 8), (50.0, 30)):
        with flint.ctx.workprec(200):
            cell = SoftCells(dim, terms, flint)[kappa, kappa]
        ratio = ive(lam + terms + 1, kappa) / ive(lam + terms, kappa)
        bound = float(cell.slope[-1].abs_upper())
        if ratio * (1.0 + 1.0 / terms) < 1.0:
            assert bound == pytest.approx(terms * ive(lam + terms, kappa) / ive(lam, kappa), rel=1e-8)
        else:
            assert bound == math.inf


# series


DISTANCES = [METRICS["sqeuclidean"], METRICS["cosine"], METRICS["euclidean"], METRICS["angular"], PowerDistance(0.3)]


@pytest.mark.parametrize("metric", DISTANCES, ids=lambda metric: metric.name)
@pytest.mark.parametrize("dim", [2, 3, 6])
def test_coefficients_are_the_projections_of_the_distance(dim, metric):
    """w_n = −N_n ∫ F P_n over the sphere, and what follows adds up to F's mean."""
    terms = 7
    weights, rest = coefficients(dim, metric, terms, flint)
    assert len(weights) == terms
    density = quad(lambda t: math.sin(t) ** (dim - 2), 0.0, math.pi)[0]

    def projected(n):
        def integrand(t):
            return float(metric.of_cosine(math.cos(t))) * polynomial(dim, n, t) * math.sin(t) ** (dim - 2) / density

        return quad(integrand, 0.0, math.pi, epsabs=1e-12, limit=200)[0]

    counts = [math.comb(n + dim - 1, n) - (math.comb(n + dim - 3, n - 2) if n > 1 else 0) for n in range(1, terms + 1)]
    assert [float(ball) for ball in multiplicities(dim, terms, flint)] == pytest.approx(counts, rel=1e-14)
    expected = [-count * projected(n) for n, count in enumerate(counts, start=1)]
    assert [float(weight) for weight in weights] == pytest.approx(expected, abs=1e-7)
    # F is 0 at its own point, where every P_n is 1
    assert float(rest) == pytest.approx(projected(0) - math.fsum(expected), abs=1e-6)


def test_a_range_of_axes_that_reaches_a_pole_has_no_better_bound_than_one():
    terms = 12
    rest = coefficients(4, METRICS["euclidean"], terms, flint)[1]
    for cosine in ((-1.0, -0.9), (0.9, 1.0), (-1.0, 1.0), (-1.0, -1.0)):
        sides = both_sides(4, METRICS["euclidean"], cosine, terms, flint)
        assert float(sides["different_class"].tail) == pytest.approx(float(rest), rel=1e-12)
        assert float(sides["same_class"].tail) == pytest.approx(float(rest), rel=1e-12)


@pytest.mark.parametrize("cosine", [(-0.3, -0.2), (0.1, 0.1), (-1.0, -0.98)])
def test_signs_hold_for_every_axis_in_a_range_and_are_not_much_wider(cosine):
    dim, terms = 5, 8
    sides = both_sides(dim, AngularDistance(), cosine, terms, flint)
    weights = [float(weight) for weight in coefficients(dim, AngularDistance(), terms, flint)[0]]
    angles = np.linspace(*np.arccos(cosine), 50)
    assert [float(term) for term in sides["same_class"].terms] == pytest.approx(weights, rel=1e-14)
    for n, (weight, ball) in enumerate(zip(weights, sides["different_class"].terms, strict=True), start=1):
        low, high = ends(ball)
        values = -weight * polynomial(dim, n, angles)
        assert low - 1e-13 <= values.min() <= values.max() <= high + 1e-13
        # the polynomials change by at most n a radian
        assert high - low <= weight * n * abs(angles[-1] - angles[0]) * (1 + 1e-7) + 1e-13


@pytest.mark.parametrize("mu", [1.0, 1.5, 2.0, 4.5])
def test_bounds_of_polynomials_are_attained_at_a_right_angle_in_even_degrees(mu):
    with flint.ctx.workprec(128):
        bounds = Envelope(arb(mu), 20).bounds(arb(1))
        values = gegenbauer_values(arb(mu), arb(0), 20)
        assert len(bounds) == len(values) == 20
        for k, (bound, value) in enumerate(zip(bounds, values, strict=True)):
            if k % 2 == 0:
                assert float(bound) == pytest.approx(abs(float(value)), rel=1e-12)
            else:  # the odd ones vanish there with the slope of the envelope's other half
                slope = k * (k + 2 * mu) / (2 * mu + 1) * abs(float(gegenbauer_values(arb(mu + 1), arb(0), k)[k - 1]))
                phi = (k + mu) ** 2 - mu * (mu - 1)
                assert float(bound) == pytest.approx(min(1.0, slope / math.sqrt(phi)), rel=1e-12)


def test_where_the_argument_for_an_envelope_fails_the_bound_is_one():
    assert [float(bound) for bound in Envelope(arb(0.5), 6).bounds(arb(1))] == [1.0] * 6
    assert [float(bound) for bound in Envelope(arb(2), 6).bounds(arb(0))] == [1.0] * 6
    assert [float(bound) for bound in Envelope(arb(2), 6).bounds(arb(0, 0.1))] == [1.0] * 6
    # (k+μ)² sin² must be above μ(μ−1): at sin 0.5 and μ = 2 that is k > 0.8
    bounds = [float(bound) for bound in Envelope(arb(2), 40).bounds(arb(0.5))]
    assert bounds[0] == 1.0
    assert bounds[-1] < 0.2


def test_an_envelope_of_a_high_dimension_is_below_one_up_to_where_its_argument_ends():
    """At (k+μ)² = μ(μ−1)/sin² ± a quarter: beyond it there is a bound, before it only 1."""
    mu, k = 20, 20
    with flint.ctx.workprec(128):
        for shift, most in ((0.25, 0.9), (-0.25, 1.0)):
            sine = (arb(mu * (mu - 1)) / ((k + mu) ** 2 - arb(shift))).sqrt()
            bound = float(Envelope(arb(mu), k + 1).bounds(sine)[k])
            value = abs(float(gegenbauer_values(arb(mu), (1 - sine**2).sqrt(), k + 1)[k]))
            assert value <= bound <= most
            assert (bound < 1.0) is (shift > 0)


# decisions at a threshold


def test_areas_of_pairs_of_radii_are_those_of_their_rectangles():
    columns = [(0.3, 0.4), (0.4, 0.7), (0.7, 0.75)]
    made = _Sweep(3, 8, flint)
    with flint.ctx.workprec(made.series.bits):
        ((triple, verdicts, areas),) = made.decide(columns, [((0.5, 0.6), (1.0, 1.1), (1.0, 1.1))])
    assert triple == ((0.5, 0.6), (1.0, 1.1), (1.0, 1.1))
    assert len(verdicts) == 6
    expected = [
        (b[1] - b[0]) * (a[1] - a[0]) * (0.5 if a == b else 1.0)
        for a, b in itertools.combinations_with_replacement(columns, 2)
    ]
    assert areas == pytest.approx(expected, rel=1e-12)
    assert areas.sum() == pytest.approx(0.5 * 0.45**2, rel=1e-12)  # the triangle α_t < α_k


def test_every_one_of_many_boxes_is_decided_once():
    steps = [(0.4 + 0.02 * i, 0.42 + 0.02 * i) for i in range(33)]
    triples = [(other, (1.0, 1.01), reach) for other, reach in itertools.product(steps, steps)]
    made = _Sweep(3, 8, flint)
    with flint.ctx.workprec(made.series.bits):
        assert [triple for triple, *_ in made.decide([(0.3, 0.31)], triples)] == triples


def test_verdicts_follow_signs_along_the_path_or_values_at_its_ends():
    """Against loops: all slopes between two columns of one sign, or bounds of values apart."""
    rng = np.random.default_rng(3)
    first, last = np.triu_indices(5)
    for _ in range(300):
        signs = rng.choice([-1, 0, 1, 2], 5, p=[0.3, 0.2, 0.3, 0.2])
        low = rng.integers(0, 4, 5).astype(float)
        bounds = np.stack([low, low + rng.integers(0, 2, 5)], axis=1)
        expected = []
        for i, j in zip(first, last, strict=True):
            path = set(signs[i : j + 1].tolist())
            if path == {0}:
                expected.append("equal")
            elif path <= {0, -1}:
                expected.append("rises")
            elif path <= {0, 1}:
                expected.append("falls")
            elif j > i and bounds[j, 1] < bounds[i, 0]:
                expected.append("rises")
            elif j > i and bounds[j, 0] > bounds[i, 1]:
                expected.append("falls")
            else:
                expected.append("open")
        assert [VERDICTS[verdict] for verdict in _pairs(signs, bounds, first, last)] == expected


def test_floats_around_a_ball_lie_outside_of_it():
    with flint.ctx.workprec(200):
        for i in range(1, 60):
            ball = arb(i) / 7 - 3
            low, high = _outward(ball)
            assert arb(low) < ball < arb(high)
            assert high - low < 1e-14


def test_pairs_are_out_of_reach_only_beyond_a_rounding():
    made = _Sweep(5, 8, flint)
    rising, open_slope = arb(1), arb(0, 1)
    for far in (2e-12, 1e-6):
        for between, reach in (((1.0 + far, 1.1), (0.9, 1.0)), ((0.5, 1.0), (1.0 + far, 1.1))):
            # pairs spread by the far ends of both radii, here none at all and then half a radian
            assert made._sign((0.0, 0.0), ((0.0, 0.0), between, reach), rising) == 0
            assert made._sign((0.1, 0.25), ((0.1, 0.25), between, reach), rising) == 1
    for between, reach in (((1.0, 1.1), (0.2, 0.5)), ((0.2, 0.5), (1.0, 1.1))):
        assert made._sign((0.1, 0.25), ((0.1, 0.25), between, reach), rising) == 1
        assert made._sign((0.1, 0.25), ((0.1, 0.24), between, reach), rising) == 0
        assert made._sign((0.1, 0.24), ((0.1, 0.25), between, reach), open_slope) == 0
    near = ((0.1, 0.2), (1.0, 1.1), (1.0, 1.1))
    assert [made._sign((0.1, 0.2), near, slope) for slope in (rising, -rising, open_slope, arb(0), arb(1, 1))] == [
        1, -1, 2, 2, 2,
    ]  # fmt: skip


def test_a_range_of_radii_from_zero_has_no_tail_that_is_bounded():
    made = _Sweep(4, 8, flint)
    assert float(made._tail((0.0, 0.5))) == math.inf
    assert float(made._tail((1e-3, 0.5))) == math.inf  # the series has not begun to fall after so few terms
    assert float(made._tail((0.8, 0.9))) < math.inf


@pytest.mark.parametrize(
    ("dim", "radius", "most"), [(4, 1.57, 2.01), (5, 1.4, 2.04), (9, 1.2, 2.02), (33, 1.2, 2.12), (65, 1.2, 2.32)]
)
def test_the_bound_of_a_tail_of_a_cap_is_twice_as_large(dim, radius, most):
    """An envelope's square is twice the mean of what swings in it."""
    made = _Sweep(dim, 64, flint)
    with flint.ctx.workprec(made.series.bits):
        cap = made.series.cap(radius)
        rest = float(cap.rest / cap.terms[0] ** 2)
        bound = float(made._tail((radius, radius)))
    assert 1.9 * rest < bound < most * rest


def known(asked, verdict):
    """A sweep whose verdicts are known beforehand."""

    class Known:
        def __init__(self, dim, terms, flint):
            self.series = SimpleNamespace(bits=64)
            asked.append((dim, terms))

        def decide(self, columns, triples):
            asked.append((list(columns), list(triples)))
            first, last = np.triu_indices(len(columns))
            width = np.array([high - low for low, high in columns])
            areas = width[first] * width[last] * np.where(first == last, 0.5, 1.0)
            for triple in triples:
                yield triple, np.full(len(first), verdict(triple)), areas

    return Known


def test_boxes_left_open_are_cut_in_eight_and_shares_are_volumes(monkeypatch):
    """Falls below the threshold's angle 0.37, rises above it: at the last of three levels 0.1 of 0.8 is left open."""

    def verdict(triple):
        low, high = triple[2]
        return 0 if high <= 0.37 else 2 if low >= 0.37 else 3

    asked = []
    monkeypatch.setattr(decisions, "_Sweep", known(asked, verdict))
    cosines = {"axis_cosine": (math.cos(0.9), math.cos(0.5)), "threshold": (math.cos(1.0), math.cos(0.2))}
    found = certify_rates(6, radii=(0.5, 0.9), other=(1.0, 1.4), **cosines, step=0.4)
    assert found.boxes == {"falls": 16 * 10, "equal": 0, "rises": 1 + 4 * 3, "open": 16 * 10}
    shares = {"falls": 0.125, "equal": 0.0, "rises": 0.75, "open": 0.125}
    assert found.shares == pytest.approx(shares, rel=1e-9)
    assert asked[0] == (6, 64)
    assert [(len(columns), len(triples)) for columns, triples in asked[1:]] == [(1, 2), (2, 8), (4, 32)]
    assert (found.radii, found.other) == ((0.5, 0.9), (1.0, 1.4))


def test_first_boxes_are_a_tenth_of_a_radian_wide_where_no_step_is_given(monkeypatch):
    asked = []
    monkeypatch.setattr(decisions, "_Sweep", known(asked, lambda _: 1))
    cosines = {"axis_cosine": (math.cos(0.75), math.cos(0.5)), "threshold": (math.cos(1.0), math.cos(0.7))}
    certify_rates(3, radii=(0.3, 0.9), other=(1.0, 1.05), **cosines, terms=8, levels=0)
    (columns, triples) = asked[1]
    assert asked[0] == (3, 8)
    assert len(columns) == 6  # 0.9 − 0.3 is a little more than 6 tenths in floats
    parts = [sorted({triple[i] for triple in triples}) for i in range(3)]
    assert [len(part) for part in parts] == [1, 3, 3]
    assert all(
        high - low < 0.1 + 1e-9 and a[1] == b[0]
        for part in (columns, *parts)
        for (low, high), (a, b) in itertools.product(part, itertools.pairwise(part))
    )
    assert (columns[0][0], columns[-1][1]) == (0.3, 0.9)


def test_ranges_of_angles_hold_those_of_cosines(monkeypatch):
    asked = []
    monkeypatch.setattr(decisions, "_Sweep", known(asked, lambda _: 1))
    rng = np.random.default_rng(1)
    pairs = [tuple(sorted(map(float, rng.uniform(-1.0, 1.0, 2)))) for _ in range(40)]
    pairs += [(0.9, 1.0), (-1.0, -0.9), (-1.0, 1.0), (math.cos(0.3), math.cos(0.1)), (0.0, 0.5)]
    for pair in pairs:
        asked.clear()
        region = {"radii": (0.5, 0.6), "other": (0.5, 0.6), "step": 4.0, "levels": 0}
        certify_rates(4, **region, axis_cosine=pair, threshold=pair)
        ((_, between, reach),) = asked[1][1]
        assert between == reach
        with flint.ctx.workprec(200):
            for angle, cosine, end, side in zip(reach, reversed(pair), (0.0, math.pi), (1, -1), strict=True):
                excess = side * (arb(cosine).acos() - arb(angle))
                assert angle == end if abs(cosine) == 1.0 else 0 < excess < 1e-15


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"axis_cosine": (0.1, 0.1)}, r"axis_cosine must be \(low, high\) with low < high"),
        ({"axis_cosine": (-1.5, 0.1)}, r"axis_cosine must be in \[-1, 1\], got -1.5"),
        ({"radii": (0.5, 0.5)}, r"radii must be \(low, high\) with low < high"),
        ({"radii": (0.3, 0.4, 0.5)}, r"radii must be \(low, high\) with low < high"),
        ({"other": (0.5,)}, r"other must be \(low, high\) with low < high"),
        ({"threshold": (0.2, 0.1)}, r"threshold must be \(low, high\) with low < high"),
        ({"radii": (0.0, 0.5)}, r"radii must be in \(0, π\], got 0.0"),
        ({"step": math.inf}, "step must be positive, got inf"),
        ({"levels": -1}, "levels must be an integer >= 0, got -1"),
        ({"terms": 7}, "terms must be an integer >= 8, got 7"),
    ],
)
def test_a_region_that_is_none_is_named(arguments, message):
    region = {"radii": (0.4, 0.5), "other": (0.4, 0.5), "axis_cosine": (-0.2, -0.1), "threshold": (0.0, 0.1)}
    with pytest.raises(ValueError, match=message):
        certify_rates(9, **region | arguments)


# rates


@pytest.mark.parametrize("dim", [2, 3, 4, 9])
@pytest.mark.parametrize("radius", [0.4, 1.3, 2.4])
def test_the_series_of_a_cap_and_what_is_left_of_it(dim, radius):
    terms = 20
    series, longer = RateSeries(dim, terms, flint), RateSeries(dim, 400, flint)
    cap, more = series.cap(radius), longer.cap(radius)
    counts = longer.multiplicity
    assert float(cap.share) == pytest.approx(share_of_cap(dim, radius), rel=1e-12)
    for n in (1, 2, 5, terms):
        assert float(cap.terms[n - 1]) == pytest.approx(cap_coefficient(dim, n, radius), abs=1e-11)
    between = sum((counts[n] * more.terms[n] ** 2 for n in range(terms, 400)), arb(0))
    assert float(cap.rest) == pytest.approx(float(between + more.rest), rel=1e-9)
    assert float(cap.rest.rad()) < 1e-12
    largest = max(abs(float(term)) for term in more.terms[terms:])
    assert largest <= float(cap.beyond.upper())


def test_rates_lie_between_zero_and_one_however_few_terms_there_are():
    series = RateSeries(3, 2, flint)
    laws = [series.cap(0.5), series.cap(0.9)]
    made = Rates(series, laws, laws[1], series.polynomials(1.5, 1.5))
    for reach in (0.2, 1.0, 2.0, 3.0):
        for ball in made.at(reach):
            low, high = ends(ball)
            assert -1e-8 <= low < high <= 1.0 + 1e-8


def share_of_cap(dim, radius):
    within, whole = (quad(lambda t: math.sin(t) ** (dim - 2), 0.0, end)[0] for end in (radius, math.pi))
    return within / whole


@pytest.mark.parametrize("terms", [14, 16])
def test_what_follows_the_last_coefficient_of_a_hemisphere_is_bounded_by_the_first(terms):
    """At a right angle the bound is attained by every other coefficient; the ones between are 0."""
    cap, more = (RateSeries(5, count, flint).cap(arb.pi() / 2) for count in (terms, 40))
    largest = max(abs(float(term)) for term in more.terms[terms:])
    assert largest <= float(cap.beyond.upper()) < 1.001 * largest


@pytest.mark.parametrize(("low", "high"), [(1.0, 1.0), (0.9, 1.0), (0.001, 0.2), (1.4, 1.7), (2.5, 2.7)])
@pytest.mark.parametrize("dim", [2, 3, 6])
def test_polynomials_over_an_interval_of_angles(dim, low, high):
    terms = 12
    found = RateSeries(dim, terms, flint).polynomials(low, high)
    angles = np.linspace(low, high, 201)
    assert len(found.terms) == terms
    for n, ball in enumerate(found.terms, start=1):
        values = polynomial(dim, n, angles)
        below, above = ends(ball)
        assert below - 1e-12 <= values.min() <= values.max() <= above + 1e-12
        curvature = n * (n + dim - 2) / (dim - 1)
        assert above - below <= 2.2 * np.ptp(values) + 1.3 * curvature * (high - low) ** 2 + 1e-12
    rest = max(np.abs(polynomial(dim, n, angles)).max() for n in range(terms + 1, terms + 30))
    assert rest <= float(found.beyond.upper()) + 1e-12
    if low == 0.001:  # 1 − g θ²/2 adds up to its value at the far end
        assert 1.0 - ends(found.terms[0])[0] == pytest.approx(1.0 - math.cos(high), rel=0.02)


@pytest.mark.parametrize("terms", [13, 15])
def test_what_follows_the_last_polynomial_at_a_right_angle_is_bounded_by_the_first(terms):
    bound = float(RateSeries(6, terms, flint).polynomials(arb.pi() / 2, arb.pi() / 2).beyond.upper())
    largest = max(abs(polynomial(6, n, 0.5 * math.pi)) for n in range(terms + 1, terms + 20))
    assert largest <= bound * (1 + 1e-12)
    assert bound < 1.001 * largest


@pytest.mark.parametrize("dim", [3, 4, 7])
def test_the_change_of_two_rates_over_an_interval_of_thresholds(dim):
    """Slopes are densities of the pairs' angle: over a short interval the enclosure holds their difference."""
    series = RateSeries(dim, 120, flint)
    laws = [series.cap(0.5), series.cap(0.9)]
    made = Rates(series, laws, laws[1], series.polynomials(1.5, 1.5))
    for low, high in ((1.0, 1.001), (1.5, 1.501), (2.1, 2.101)):
        with flint.ctx.workprec(series.bits):
            (a, b), (c, d) = (made.at(r) for r in (low, high))
            quotient = float(((d - c) - (b - a)).mid()) / (high - low)
        below, above = ends(made.slope_gap(low, high))
        if float((d - c).rad()) < 1e-9:
            assert below - 1e-5 <= quotient <= above + 1e-5
        # a slope is not known better than from 0 to its steepest
        assert min(below, 0.0) == below or max(above, 0.0) == above
        assert max(abs(below), abs(above)) == pytest.approx(abs(quotient), rel=0.3, abs=0.05)


class Given:
    """Rates and slopes that are given."""

    def __init__(self, rates, slope):
        self.rates, self.slope = rates, slope

    def at(self, r):
        return [arb(x) for x in self.rates[float(r)]]

    def slope_gap(self, low, high):
        return arb(0, self.slope)


def test_no_rise_is_shown_by_the_ends_or_by_the_middle_and_the_slope():
    low, middle, high = 1.0, 1.25, 1.5
    # the new model's rate at the far end, at most the old one's at the near end
    assert _no_rise(Given({low: (0.1, 0.5), high: (0.5, 0.9), middle: (0.4, 0.4)}, 9.0), arb(low), arb(high))
    # else what the old one's is above in the middle, more than a slope over a quarter takes away
    for slope, shown in ((0.39, True), (0.41, False), (4.0, False)):
        given = Given({low: (0.1, 0.4), high: (0.5, 0.9), middle: (0.3, 0.4)}, slope)
        assert _no_rise(given, arb(low), arb(high)) is shown
    assert not _no_rise(Given({low: (0.1, 0.4), high: (0.5, 0.9), middle: (0.4, 0.3)}, 0.01), arb(low), arb(high))


def test_the_threshold_is_looked_for_a_millionth_around_and_with_512_terms(monkeypatch):
    monkeypatch.setattr(rates, "exact_threshold", lambda *_: 0.41)
    with pytest.raises(ArithmeticError, match=r"the rise at 0\.409999 must be resolved"):
        enclose_threshold(9, 0.3, 0.6, 0.3, terms=2)
    asked = []

    def recorded(dim, terms, flint):
        asked.append((dim, terms))
        raise Stopped

    monkeypatch.setattr(rates, "RateSeries", recorded)
    with pytest.raises(Stopped):
        enclose_threshold(9, 0.3, 0.6, 0.3)
    assert asked == [(9, 512)]


def test_the_other_class_has_the_old_radius_where_none_is_given(monkeypatch):
    asked = []

    def recorded(new, old, rho, other):
        asked.append((new.radius, old.radius, rho, other.radius))
        raise Stopped

    monkeypatch.setattr(rates, "exact_threshold", recorded)
    for other in (None, 0.45):
        with pytest.raises(Stopped):
            enclose_threshold(9, 0.3, 0.6, -0.2, other)
    assert asked == [(0.3, 0.6, -0.2, 0.6), (0.3, 0.6, -0.2, 0.45)]


@pytest.mark.parametrize("guess", [-1.0, 1.0, 1.0 - 2.0**-20, -1.0 + 2.0**-20, math.nan])
def test_a_threshold_at_an_end_is_no_threshold(monkeypatch, guess):
    monkeypatch.setattr(rates, "exact_threshold", lambda *_: guess)
    with pytest.raises(ValueError, match=r"the false accept rate must rise at some threshold, got none"):
        enclose_threshold(9, 0.3, 0.6, 0.3, width=2.0**-20, terms=2)


# three orthogonal hemispheres


def share_by_quadrature(x, height):
    """Share of a hemisphere within x of a point: over polar angles about the point, half an azimuth on either side."""
    delta = math.asin(height)

    def ring(t):
        return math.sin(t) * math.acos(max(-1.0, min(1.0, -math.tan(delta) / math.tan(t))))

    points = [abs(delta)] if 0.0 < abs(delta) < x else None
    return quad(ring, 0.0, x, points=points, epsabs=1e-13)[0] / math.pi


@pytest.mark.parametrize("height", [-0.9, -0.3, 0.0, 0.2, 0.7, 0.95])
def test_the_share_of_a_hemisphere_is_an_integral_over_rings(height):
    for x in (0.1, 0.6, 1.1, 1.5):
        share = hemispheres._share(arb(x), arb(height), arb)
        assert float(share) == pytest.approx(share_by_quadrature(x, height), abs=1e-9)
        assert float(share.rad()) < 1e-15


def test_the_best_of_several_items_is_found_sooner():
    places = [arb(0), arb(0.3), arb(0.9), arb(1.4)]
    for height, size in ((0.4, 1), (0.4, 3), (-0.2, 2)):
        shares = [0.0, *(share_by_quadrature(x, height) for x in (0.3, 0.9, 1.4))]
        found = [float(value) for value in hemispheres._found(arb(height), size, places, arb)]
        assert found == pytest.approx([1.0 - (1.0 - share) ** size for share in shares], abs=1e-9)


def test_no_item_of_the_other_classes_is_nearer():
    places = [arb(0), arb(0.3), arb(0.9), arb(1.4)]
    low, high = (-0.4, 0.1), (-0.2, 0.3)
    heights = [arb(a).union(arb(b)) for a, b in zip(low, high, strict=True)]
    for upper, (first, second) in ((False, low), (True, high)):
        expected = [1.0] + [
            ((1.0 - share_by_quadrature(x, first)) * (1.0 - share_by_quadrature(x, second))) ** 3
            for x in (0.3, 0.9, 1.4)
        ]
        assert [float(value) for value in hemispheres._clear(heights, 3, places, arb, upper)] == pytest.approx(
            expected, abs=1e-9
        )


@pytest.mark.parametrize("size", [1, 4])
def test_a_whole_hemisphere_lies_within_a_right_angle_of_its_pole(size):
    """So its best item is found there for sure, and none of it is left out, however the right angle is rounded."""
    places = [arb.pi() / 2, arb(2)]
    assert [float(value) for value in hemispheres._found(arb(1), size, places, arb)] == pytest.approx([1.0, 1.0])
    for heights in ([arb(1), arb(0)], [arb(0), arb(1)]):
        for upper in (True, False):
            values = hemispheres._clear(heights, size, places, arb, upper)
            assert [float(value) for value in values] == pytest.approx([0.0, 0.0])


def test_recall_between_hemispheres_lies_between_its_bounds():
    """Against searches that are drawn, 4.5 standard errors; the bounds close in on it from both sides alike."""
    rng, size, searches = np.random.default_rng(5), 3, 60_000
    for radius in (0.5 * math.pi, 0.9):
        height = rng.uniform(math.cos(radius), 1.0, searches)
        turn = rng.uniform(0.0, 2.0 * math.pi, searches)
        flat = np.sqrt(1.0 - height**2)
        queries = np.stack([height, flat * np.cos(turn), flat * np.sin(turn)], axis=1)
        best = []
        for axis in range(3):
            items = rng.normal(size=(searches, size, 3))
            items[..., axis] = np.abs(items[..., axis])
            items /= np.linalg.norm(items, axis=2, keepdims=True)
            best.append(np.einsum("qij,qj->qi", items, queries).max(axis=1))
        recall = np.mean(best[0] > np.maximum(best[1], best[2]))
        error = 4.5 * math.sqrt(0.25 / searches)
        low, high = certify_orthogonal_recall(radius, size, 8, 30)
        assert low - error < recall < high + error
        assert 0.5 * (low + high) == pytest.approx(recall, abs=0.03)
        assert high - low < 0.2


def test_an_item_that_is_found_last_counts_for_the_upper_bound_only():
    """One item of each class: from the axis itself ∫ (1−y/2)² dy = 7/12, of which 0.02 lies beyond the last step."""
    low, high = certify_orthogonal_recall(1e-6, 1, 1, 300)
    beyond = math.cos(1.5) * (0.5 + 0.5 * math.cos(1.5)) ** 2
    assert 7 / 12 <= high < 7 / 12 + 0.01
    assert 7 / 12 - beyond - 0.01 < low < 7 / 12 - 0.5 * beyond


def test_one_cell_and_one_step_are_enough_for_bounds():
    low, high = certify_orthogonal_recall(1.0, 1, 1, 1)
    assert 0.0 <= low < high <= 1.0
    for radius in (0.0, -0.1, math.nextafter(0.5 * math.pi, 4.0) + 1e-11, 2.5):
        with pytest.raises(ValueError, match="radius must be in"):
            certify_orthogonal_recall(radius, 1, 1, 1)


def test_forty_cells_and_eighty_steps_are_taken_where_no_number_is_given(monkeypatch):
    asked = []

    def recorded(height, size, places, arb):
        asked.append(len(places))
        return [arb(0)] * len(places)

    monkeypatch.setattr(hemispheres, "_found", recorded)
    monkeypatch.setattr(hemispheres, "_clear", lambda heights, size, places, arb, upper: [arb(0)] * len(places))
    certify_orthogonal_recall(1.0, 5)
    assert asked == [81] * 80


# arcs on the circle


def test_powers_of_balls():
    for exponent in range(9):
        for base in (0.0, 0.3, -0.7, 1.5):
            assert float(circle._power(arb(base), exponent)) == pytest.approx(base**exponent, abs=1e-15)
    low, high = ends(circle._power(arb(0, 0.1), 3))
    assert -1.3e-3 < low <= -1e-3 < 1e-3 <= high < 1.3e-3


def test_equal_ends_of_arcs_count_once_and_unresolved_ones_are_refused():
    third = arb(1) / 3
    found = circle._distinct([arb(2), third, arb(-1), arb(1) - 2 * third, arb(2), arb(3), arb(2)])
    assert [float(ball) for ball in found] == pytest.approx([-1.0, 1 / 3, 2.0, 3.0])
    assert len(circle._distinct([arb(1), arb(1) + arb(2) ** -40])) == 2
    assert len(circle._distinct([arb(0), arb(1e-15)])) == 2
    with pytest.raises(ArithmeticError, match="ends of arcs must coincide or be 1e-15 apart"):
        circle._distinct([arb(1), arb(1) + arb(2) ** -51])


def test_a_turn_of_an_axis_changes_nothing():
    expected = certify_circle_ranking(2.9, [0.4127, 0.7311], [0.0, 0.5310], [2, 3])
    for axes in ([0.0, 0.5310 + 2 * math.pi], [0.0, 0.5310 - 2 * math.pi], [1.0, 1.5310], [-3.0, 0.5310 - 3.0]):
        found = certify_circle_ranking(2.9, [0.4127, 0.7311], axes, [2, 3])
        assert float(found.recall) == pytest.approx(float(expected.recall), rel=1e-12)
        assert float(found.wrong_above) == pytest.approx(float(expected.wrong_above), rel=1e-12)


def test_searches_between_wide_arcs_agree_with_those_that_are_drawn():
    """Every query on the circle, an arc on the far side, and several items: 4.5 standard errors."""
    rng, searches = np.random.default_rng(7), 200_000
    query, radii, axes, sizes = math.pi, [1.1, 2.8], [0.3, -3.05], [2, 3]
    found = certify_circle_ranking(query, radii, axes, sizes)
    at = axes[0] + rng.uniform(-query, query, searches)
    away = []
    for radius, axis, size in zip(radii, axes, sizes, strict=True):
        items = axis + rng.uniform(-radius, radius, (searches, size))
        away.append(np.abs((items - at[:, None] + math.pi) % (2 * math.pi) - math.pi))
    best = away[0].min(axis=1)
    wrong = (away[1] < best[:, None]).sum(axis=1)
    assert np.mean(wrong == 0) == pytest.approx(float(found.recall), abs=4.5 * 0.5 / math.sqrt(searches))
    assert np.mean(wrong) == pytest.approx(float(found.wrong_above), abs=4.5 * wrong.std() / math.sqrt(searches))
    assert float(found.recall.rad()) < 1e-10


def test_a_single_class_is_no_search():
    with pytest.raises(ValueError, match="one entry per class, got 1, 1 and 1"):
        certify_circle_ranking(0.3, [0.3], [0.0], [1])


@pytest.mark.parametrize("sizes", [[1, 1], [2, 3], [1, 8], [9, 2, 4], [8, 12]])
def test_classes_on_one_arc_are_told_apart_by_their_numbers_alone(sizes):
    """Whoever is nearest is as likely to be any item; and every wrong one lies in any of the gaps of right ones."""
    found = certify_circle_ranking(0.7, [1.3] * len(sizes), [0.4] * len(sizes), sizes)
    with flint.ctx.workprec(128):
        assert abs(found.recall - arb(sizes[0]) / sum(sizes)) < 1e-30
        assert abs(found.wrong_above - arb(sum(sizes[1:])) / (sizes[0] + 1)) < 1e-30


@pytest.mark.parametrize("wrong", [1, 6, 13, 14])
def test_one_right_item_among_others_all_around_the_circle(wrong):
    """(1 − x/π)^m over the right item's arc and the query's, in closed form; rules are exact, not only near."""
    with flint.ctx.workprec(128):
        a, q, m, pi = arb(1.1), arb(0.63), wrong, arb.pi()
        found = certify_circle_ranking(q, [a, pi], [0.2, 1.0], [1, m])
        outside = ((1 - (a - q) / pi) ** (m + 2) - (1 - (a + q) / pi) ** (m + 2)) * pi / (m + 2)
        assert abs(found.recall - pi / (m + 1) * (2 * q - outside) / (2 * a * q)) < 1e-30
        assert abs(found.wrong_above - m * (a * a + q * q / 3) / (2 * a * pi)) < 1e-30

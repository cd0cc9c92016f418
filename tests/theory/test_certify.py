"""Certificates of both gaps: right signs and areas, enclosures that hold the truth, boxes that must be negative."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.theory.certificates import all_boxes, ends
from theory.caps import UniformCap
from theory.certify import METRIC_NAMES, Box, Certificate, GapCertificates, certify_gaps
from theory.certify import table as certificates_table
from theory.certify.cells import CapCells, SoftCells
from theory.certify.series import Envelope, both_sides, coefficients
from theory.certify.sweep import Sweep
from theory.compatibility import theorem1_gaps
from theory.metrics import METRICS
from theory.von_mises_fisher import VonMisesFisher

flint = pytest.importorskip("flint")
SIDES = ("same_class", "different_class")


def narrower(box):
    return box.part == "less" or (box.part == "all" and box.new[1] <= box.old[0])


@pytest.mark.parametrize(
    ("dim", "num_classes", "levels", "terms"),
    [
        (9, 10, 0, 128),
        (99, 100, 0, 256),
        pytest.param(2, 2, 3, 256, marks=pytest.mark.slow),
        pytest.param(3, 4, 2, 256, marks=pytest.mark.slow),
        pytest.param(3, 2, 2, 256, marks=pytest.mark.slow),
        pytest.param(1023, 1024, 0, 1024, marks=pytest.mark.slow),
    ],
)
def test_the_whole_square_of_radii_is_decided(dim, num_classes, levels, terms):
    # radii above π/2 included: on a simplex 1b holds for the chord as well
    found = certify_gaps(dim, num_classes, METRIC_NAMES, new=(0.05, 3.0), levels=levels, terms=terms)
    assert [c.metric for c in found] == list(METRIC_NAMES)
    for certificates in found:
        for side in SIDES:
            certificate = getattr(certificates, side)
            assert math.isclose(sum(certificate.shares.values()), 1.0, rel_tol=1e-12)
            assert certificate.shares["open"] < 0.01
            # narrower caps are compatible, wider ones are not, and nothing else
            assert all(narrower(box) for box in certificate.positive)
            assert not any(narrower(box) for box in certificate.negative)


@pytest.mark.simulations
@pytest.mark.parametrize(("dim", "num_classes"), [(3, 4), (9, 10), (1023, 1024)])
def test_von_mises_fisher_laws_are_decided(dim, num_classes):
    found = certify_gaps(
        dim, num_classes, METRIC_NAMES, law="von-mises-fisher", new=(0.1 * dim, 10.0 * dim), step=0.05, terms=256
    )
    for certificates in found:
        for side in SIDES:
            certificate = getattr(certificates, side)
            assert certificate.shares["open"] < 0.001
            # a larger concentration is the narrower law
            assert not any(narrower(box) for box in certificate.positive)
            assert all(narrower(box) for box in certificate.negative)


def test_a_gap_that_is_zero_stays_open():
    # at ρ = 0 the angular gap of two classes is 0 for all radii: its series has odd terms only, and P_n(0) = 0 there
    (found,) = certify_gaps(5, metrics="angular", axis_cosine=0.0, new=(0.6, 1.0), levels=1)
    assert found.different_class.shares["open"] == 1.0
    assert found.same_class.shares["open"] == 0.0


@pytest.mark.parametrize("law", ["cap", "von-mises-fisher"])
def test_a_simplex_turned_inside_out_is_refused(law):
    # ρ > 0 is no simplex: there the narrower law violates 1b, and the certificate says so
    (found,) = certify_gaps(9, metrics="sqeuclidean", axis_cosine=0.2, law=law, new=(0.5, 1.0), levels=0, terms=32)
    certificate = found.different_class
    assert certificate.shares["open"] == 0.0
    assert all(narrower(box) is (law == "cap") for box in certificate.negative)


@pytest.mark.parametrize("cosine", [0.0, (-0.005, 0.0)])
def test_wide_caps_near_orthogonal_axes_violate_1b(cosine):
    # euclidean, d = 3, ρ = 0, α_t = 0.5 < α_k = 2.0: −0.01142491, and for every ρ in a range around it
    (found,) = certify_gaps(3, metrics="euclidean", axis_cosine=cosine, new=(0.48, 0.52), old=(1.98, 2.02), terms=256)
    assert found.different_class.shares["negative"] == 1.0
    assert found.same_class.shares["positive"] == 1.0
    assert all(box.new[1] < box.old[0] for box in found.different_class.negative)


def test_the_case_is_recorded():
    (found,) = certify_gaps(9, 10, new=(1.0, 1.1), levels=0)
    assert (found.dim, found.metric, found.law) == (9, "euclidean", "cap")
    low, high = found.axis_cosine
    assert low < -1 / 9 < high
    assert high - low < 1e-16


def holds(ball, truth, slack=1e-11):
    """The reference is a double: recurrences of 40 terms and m are right to 1e−13, times what they are divided by."""
    low, high = ends(ball)
    return low - slack <= truth <= high + slack


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([2, 3, 4, 9, 40]), st.floats(0.1, 2.9), st.floats(0.001, 0.05), st.floats(-1, 1))
def test_a_cell_of_caps_holds_the_truth_anywhere_in_it(dim, radius, half, inside):
    with flint.ctx.workprec(200):
        cells = CapCells(dim, 24, flint)
        cell = cells[radius - half, radius + half]
    at = radius + half * inside
    law = UniformCap(dim, at)
    a = law.zonal_coefficients(40)[0]
    m = law.mean_resultant_length()
    # the mean over the cap is a_n, so a_n′ = rate·(P_n − a_n), and rate·(cos α − m) for n = 1
    polynomials = legendre_like(dim, at, 40)
    for n in range(1, 25):
        assert holds(cell.value[n - 1], a[n])
        assert holds(cell.old[n - 1], a[n] / m, 1e-9)
        slope = -(polynomials[n] - a[n]) / (math.cos(at) - m)
        assert holds(cell.slope[n - 1], slope, 1e-7 * n * n)  # m − cos α cancels down to α²/d
    for n in range(25, 40):
        assert holds(cell.value[-1], a[n])
        assert abs(a[n] / m) <= float(cell.old[-1].upper()) + 1e-9
        assert holds(cell.slope[-1], -(polynomials[n] - a[n]) / (math.cos(at) - m), 1e-7 * n * n)


def legendre_like(dim, angle, count):
    """P_0 … P_{count−1} at cos(angle), by the recurrence."""
    lam, x = 0.5 * dim - 1.0, math.cos(angle)
    values = [1.0, x]
    for n in range(1, count - 1):
        values.append((2 * (n + lam) * x * values[n] - n * values[n - 1]) / (n + 2 * lam))
    return values


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([2, 3, 9, 40]), st.floats(0.1, 20.0), st.floats(1.001, 1.1), st.floats(0, 1))
def test_a_cell_of_concentrations_holds_the_truth_anywhere_in_it(dim, share, width, inside):
    low, high = share * dim, share * dim * width
    with flint.ctx.workprec(200):
        cell = SoftCells(dim, 24, flint)[low, high]
    at = low + (high - low) * inside
    step = 1e-4 * at
    a, less, more = (VonMisesFisher(dim, k).zonal_coefficients(32)[0] for k in (at, at - step, at + step))
    slope = at * (more - less) / (2 * step)  # central: 1e−8 of the third derivative, rounding 1e−12
    for n in range(1, 25):
        assert holds(cell.value[n - 1], a[n])
        assert holds(cell.old[n - 1], a[n])
        assert holds(cell.slope[n - 1], slope[n], 1e-6)
    for n in range(25, 32):
        assert holds(cell.value[-1], a[n])
        assert holds(cell.slope[-1], slope[n], 1e-6)


@pytest.mark.parametrize("law", ["cap", "von-mises-fisher"])
@pytest.mark.parametrize("metric", METRIC_NAMES)
@pytest.mark.parametrize("dim", [3, 9])
def test_enclosures_reproduce_the_gaps(dim, metric, law):
    """Boxes of one point: the gap by the series in balls against the library's, which may use quadrature."""
    new, old = (0.7, 1.1) if law == "cap" else (3.0 * dim, 1.5 * dim)
    make = UniformCap if law == "cap" else VonMisesFisher
    expected = theorem1_gaps(make(dim, new), make(dim, old), dim + 1, metric)
    with flint.ctx.workprec(500):
        cells = (CapCells if law == "cap" else SoftCells)(dim, 200, flint)
        rho = -1 / dim
        for side, sign, truth in zip(SIDES, (1, 1), expected, strict=True):
            sweep = Sweep(cells, both_sides(dim, METRICS[metric], (rho, rho), 200, flint)[side], flint)
            unit = UniformCap(dim, old).mean_resultant_length() if law == "cap" else 1.0
            mixed = sweep._product("value", [(new, new)], [(old, old)])[0, 0]
            ball = sign * (mixed - sweep._own((old, old)))
            assert float(ball.mid()) * unit == pytest.approx(truth, abs=float(ball.rad()) + 1e-10)
            assert float(ball.rad()) < 1e-4


@pytest.mark.parametrize("metric", ["euclidean", "angular"])
def test_coefficients_sum_to_the_mean(metric):
    weights, rest = coefficients(3, METRICS[metric], 400, flint)
    mean = {"euclidean": 4 / 3, "angular": math.pi / 2}[metric]
    assert float(sum(weights, flint.arb(0)) + rest) == pytest.approx(mean, abs=1e-13)
    assert 0 < float(rest) < 0.01


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([2, 3, 4, 7, 30]), st.floats(0.05, 3.1))
def test_envelopes_hold_the_polynomials(dim, angle):
    values = legendre_like(dim, angle, 60)
    bounds = Envelope(flint.arb(dim - 2) / 2, 62).bounds(flint.arb(angle).sin())
    assert all(abs(v) <= float(b.upper()) + 1e-12 for v, b in zip(values, bounds, strict=False))
    last = max(float(b.upper()) for b in bounds[30:32])
    assert all(abs(v) <= last + 1e-12 for v in values[30:])


@pytest.mark.parametrize("dim", [6, 10])
def test_the_tail_starts_with_the_first_term_left_out(dim):
    """At a right angle Sonin's bound is attained by the even polynomials: one degree later is already too small."""
    terms = 31
    sides = both_sides(dim, METRICS["euclidean"], (0.0, 0.0), terms, flint)
    rest = coefficients(dim, METRICS["euclidean"], terms, flint)[1]
    largest = float((sides["different_class"].tail / rest).upper())
    values = [abs(value) for value in legendre_like(dim, 0.5 * math.pi, terms + 21)]
    assert largest * (1 + 1e-12) >= max(values[terms + 1 :])
    assert largest < 1.01 * values[terms + 1]  # and no more than it must be


def test_finer_grids_and_more_terms_only_add_decisions():
    coarse = certify_gaps(3, 4, new=(0.1, 1.0), step=0.3, levels=0, terms=24)[0].different_class.shares
    fine = certify_gaps(3, 4, new=(0.1, 1.0), step=0.1, levels=2, terms=128)[0].different_class.shares
    assert fine["open"] < 0.1 * coarse["open"]


@settings(max_examples=50, deadline=None)
@given(st.floats(0.1, 1), st.floats(0.01, 1), st.floats(0.1, 1), st.floats(0.01, 1))
def test_the_parts_of_a_box_fill_it(x, width, y, height):
    new, old = (x, x + width), (y, y + height)
    whole, below, above = (Box(new, old, part).area for part in ("all", "less", "greater"))
    assert math.isclose(below + above, whole, rel_tol=1e-12)
    grid = np.linspace(0, 1, 401)[:-1] + 0.5 / 400
    inside = np.mean(x + width * grid[:, None] < y + height * grid)
    assert abs(below / whole - inside) < 2 / 400  # the diagonal crosses at most two cells a row


def test_boxes_fill_the_rectangle_once():
    (found,) = certify_gaps(3, 4, new=(0.2, 0.9), old=(0.3, 1.2), levels=2)
    for side in SIDES:
        area = math.fsum(box.area for box in all_boxes(getattr(found, side)))
        assert area == pytest.approx(0.7 * 0.9, rel=1e-12)


def test_open_share_leaves_the_diagonal_out():
    boxes = (Box((1.0, 1.1), (1.0, 1.1)), Box((1.0, 1.1), (2.0, 2.1)), Box((2.0, 2.1), (1.0, 1.1)))
    certificate = Certificate(positive=boxes[2:], negative=(), open=boxes[:2])
    assert certificate.open_share(0.1) == pytest.approx(0.5)
    assert certificate.shares["open"] == pytest.approx(2 / 3)


@pytest.mark.simulations
def test_the_table_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    monkeypatch.setattr(certificates_table, "CLASSES", (10,))
    path = tmp_path / "certificates.md"
    assert certificates_table.main([str(path)]) == 0
    lines = path.read_text().splitlines()
    rows = [line for line in lines if line.startswith("| 10 ")]
    assert len(rows) == 6  # two laws, three metrics
    assert all(row.count("50.000") == 4 for row in rows)
    assert sum("100.000 | 0.000" in line for line in lines) >= 2  # the violations
    assert list(tmp_path.iterdir()) == [path]

    def broken():
        raise ArithmeticError

    monkeypatch.setattr(certificates_table, "table", broken)
    with pytest.raises(ArithmeticError):
        certificates_table.main([str(path)])
    assert path.read_text().splitlines() == lines
    assert "must lie in a folder that exists" in certificates_table.main([str(tmp_path / "no" / "where.md")])
    assert "usage" in certificates_table.main([])


def test_the_table_divides_boxes_the_finer_the_fewer_dimensions_there_are(monkeypatch):
    asked: dict[tuple[int, str], int] = {}

    def recorded(dim, num_classes=None, *_, law="", levels=0, **__):
        if num_classes is None:
            return [None]
        asked[num_classes, law] = levels
        return []

    monkeypatch.setattr(certificates_table, "certify_gaps", recorded)
    monkeypatch.setattr(certificates_table, "CLASSES", (2, 3, 4, 513, 514))
    assert all(num_classes is None for num_classes, *_ in certificates_table.table())
    levels = {2: 3, 3: 3, 4: 2, 513: 2, 514: 1}
    assert asked == {(count, law): levels[count] for count in levels for law in ("cap", "von-mises-fisher")}


def test_the_page_is_of_the_classes_and_laws_that_the_command_computes(monkeypatch):
    """Nothing is proved here: what would be is asked for, and stands on the page."""
    nothing = Certificate(positive=(), negative=(), open=(Box((1.0, 2.0), (3.0, 4.0)),))
    used: dict[int, int] = {}

    def asked(dim, num_classes=None, metrics=(), *, law="cap", new, old=None, axis_cosine=None, levels=3, terms):
        used[dim] = terms
        metrics = [metrics] if isinstance(metrics, str) else metrics
        box = Box(new, old or (5.0 * new[0], 5.0 * new[1]))  # off the diagonal
        one = Certificate(positive=(), negative=(), open=(box,))
        rho = axis_cosine or (-1 / (num_classes - 1),) * 2
        return [
            GapCertificates(dim=dim, metric=metric, law=law, axis_cosine=rho, same_class=nothing, different_class=one)
            for metric in metrics
        ]

    monkeypatch.setattr(certificates_table, "certify_gaps", asked)
    monkeypatch.setattr(certificates_table, "decision_tables", lambda: "")
    page = (Path(__file__).parents[2] / "docs" / "certificates.md").read_text(encoding="utf-8")
    tables = (text.partition("## Decisions")[0] for text in (certificates_table.markdown(), page))
    found, shown = ([line.split("|")[1:5] for line in text.splitlines() if line.startswith("| ")] for text in tables)
    assert len(found) == 1 + 9 * 6 + 2
    assert found == shown
    # terms of the series grow with the dimension, as small caps need them
    assert {dim: used[dim] for dim in (2, 31, 99, 316, 1023)} == {2: 256, 31: 256, 99: 512, 316: 512, 1023: 1024}


def test_the_table_has_a_line_for_axes_near_a_right_angle(monkeypatch):
    (found,) = certify_gaps(
        3, metrics="euclidean", axis_cosine=(-0.01, 0.0), new=(0.48, 0.5), old=(1.98, 2.02), levels=0
    )
    (simplex,) = certify_gaps(3, 4, "euclidean", new=(0.4, 0.8), levels=0, terms=32)
    monkeypatch.setattr(certificates_table, "table", lambda: [(None, (0.48, 0.5), found), (4, (0.4, 0.8), simplex)])
    monkeypatch.setattr(certificates_table, "decision_tables", lambda: "")
    lines = [line for line in certificates_table.markdown().splitlines() if line.startswith("| ")]
    (bent,) = [line for line in lines if line.startswith("| ρ in [-0.01, 0]")]
    assert "| α 0.48–0.5, old 1.98–2.02 |" in bent
    assert any(line.startswith("| 4 | 3 | α 0.4–0.8 | euclidean |") for line in lines)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dim": 1}, "dim must be an integer >= 2, got 1"),
        ({"dim": 3, "num_classes": 6}, "num_classes must be <= dim \\+ 1 = 4, got 6"),
        ({"dim": 3, "num_classes": 1}, "num_classes must be an integer >= 2, got 1"),
        ({"dim": 3}, "give num_classes or axis_cosine"),
        ({"dim": 3, "num_classes": 3, "axis_cosine": 0.0}, "give num_classes or axis_cosine"),
        ({"dim": 3, "axis_cosine": -1.5}, r"axis_cosine must be in \[-1, 1\], got -1.5"),
        ({"dim": 3, "num_classes": 3, "metrics": "cubic"}, "metric must be one of .*, got 'cubic'"),
        ({"dim": 3, "num_classes": 3, "law": "gauss"}, "law must be one of cap, von-mises-fisher, got 'gauss'"),
        ({"dim": 3, "num_classes": 3, "new": (1.0, 0.5)}, "new must be \\(low, high\\) with 0 < low < high < π"),
        ({"dim": 3, "num_classes": 3, "new": (0.0, 0.5)}, "new must be .* got 0.0"),
        ({"dim": 3, "num_classes": 3, "old": (0.5, 4.0)}, "old must be .* got 4.0"),
        ({"dim": 3, "num_classes": 3, "step": 0.0}, "step must be in \\(0, 1\\), got 0.0"),
        ({"dim": 3, "num_classes": 3, "levels": -1}, "levels must be an integer >= 0, got -1"),
        ({"dim": 3, "num_classes": 3, "terms": 1}, "terms must be an integer >= 2, got 1"),
    ],
)
def test_invalid_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        certify_gaps(**arguments)


def test_without_flint_the_extra_is_named(monkeypatch):
    monkeypatch.setattr("theory.extras.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"theory\.certify needs .*flint.*\[certify\]"):
        certify_gaps(9, 10)

"""Certificates of decisions: enclosures that hold the truth, boxes that must fall or rise, searches that get worse."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.theory.certificates import ends
from theory.acceptance import expected_acceptance
from theory.caps import UniformCap
from theory.certify import (
    certify_circle_ranking,
    certify_orthogonal_recall,
    certify_rates,
    enclose_threshold,
    open_questions,
)
from theory.certify import table as certificates_table
from theory.certify.circle import CircleRanking
from theory.certify.decisions import VERDICTS, RateCertificate, _Sweep
from theory.certify.hemispheres import _share
from theory.certify.rates import Rates, RateSeries
from theory.decisions import exact_threshold, safe_threshold, theorem_d_gaps
from theory.ranking import expected_ranking

flint = pytest.importorskip("flint")


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from([3, 4, 5, 9, 33]),
    st.floats(0.2, 2.5),
    st.floats(0.2, 2.5),
    st.floats(0.3, 2.8),
    st.floats(0.2, 2.9),
)
def test_a_rate_lies_in_its_enclosure(dim, first, other, reach, axis):
    series = RateSeries(dim, 80, flint)
    with flint.ctx.workprec(series.bits):
        rates = Rates(series, [series.cap(first)], series.cap(other), series.polynomials(axis, axis))
        low, high = ends(rates.at(reach)[0])
    truth = expected_acceptance(UniformCap(dim, first), UniformCap(dim, other), math.cos(reach), math.cos(axis))
    assert low - 1e-12 <= truth <= high + 1e-12  # cosines of the angles are rounded
    assert high - low < (0.2 if dim < 5 else 1e-2)


def test_the_enclosure_of_a_slope_holds_the_differences_in_its_interval():
    series = RateSeries(9, 80, flint)
    laws = [series.cap(0.3), series.cap(0.6)]
    with flint.ctx.workprec(series.bits):
        rates = Rates(series, laws, laws[1], series.polynomials(1.7, 1.7))
        low, high = ends(rates.slope_gap(1.2, 1.21))
        values = [b - a for a, b in (rates.at(r) for r in (1.2, 1.205, 1.21))]
        quotients = [float((b - a) / 0.005) for a, b in itertools.pairwise(values)]
    assert all(low < quotient < high for quotient in quotients)
    assert high - low < 4 * max(map(abs, quotients))  # and not much wider than it needs to be


@pytest.mark.parametrize(("dim", "rho"), [(9, 0.3), (9, -1 / 9), (4, 0.3)])
def test_the_exact_threshold_is_enclosed_from_both_sides(dim, rho):
    low, high = enclose_threshold(dim, 0.3, 0.6, rho, width=1e-5, terms=256)
    new, old = UniformCap(dim, 0.3), UniformCap(dim, 0.6)
    assert low < exact_threshold(new, old, rho) < high < safe_threshold(new, old, rho)
    # the rate rises at the lower end, and at no threshold from the upper one
    gaps = theorem_d_gaps(new, old, [low, *np.linspace(high, 0.99, 20)], rho).different_class
    assert gaps[0] < 0
    assert np.all(gaps[1:] >= 0)


def test_a_threshold_that_is_too_low_is_not_enclosed(monkeypatch):
    """The controls: from below the exact threshold the rate does rise, and above it there is no rise to show."""
    import theory.certify.rates as module

    for wrong, message in ((0.36, "the rates above"), (0.41, "the rise at")):
        monkeypatch.setattr(module, "exact_threshold", lambda *_, at=wrong: at)
        with pytest.raises(ArithmeticError, match=message):
            enclose_threshold(9, 0.3, 0.6, 0.3, width=1e-3, terms=200)


WIDE = {"radii": (0.4, 1.2), "other": (0.4, 0.8)}


def test_where_theorem_d_speaks_no_box_rises():
    found = certify_rates(9, **WIDE, axis_cosine=(-0.15, -0.1), threshold=(-0.1, 0.6), levels=1)
    assert found.boxes["rises"] == 0
    assert found.shares["falls"] > 0.6
    assert found.shares["open"] > 0.0  # the tails
    assert math.fsum(found.shares.values()) == pytest.approx(1.0, rel=1e-12)
    coarse = certify_rates(9, **WIDE, axis_cosine=(-0.15, -0.1), threshold=(-0.1, 0.6), levels=0)
    assert found.shares["open"] < 0.7 * coarse.shares["open"]


@pytest.mark.parametrize(
    ("radii", "rho", "tau"), [((0.3, 0.6), (-0.12, -0.1), (-0.4, -0.25)), ((0.4, 0.6), (0.25, 0.3), (0.0, 0.2))]
)
def test_below_its_bounds_boxes_rise(radii, rho, tau):
    """The control: the same command finds violations where there are some."""
    found = certify_rates(9, radii=radii, other=radii, axis_cosine=rho, threshold=tau, step=0.05, levels=1)
    assert found.boxes["falls"] == 0
    assert found.shares["rises"] > 0.95


def test_boxes_out_of_reach_are_equal():
    """Caps of 0.2 more than 0.7 apart: no pair has a cosine of cos 0.2, and all have one of cos 3."""
    small = {"radii": (0.1, 0.2), "other": (0.1, 0.2), "axis_cosine": (0.7, 0.75), "levels": 0}
    for threshold in ((0.99, 1.0), (-1.0, -0.99)):
        assert certify_rates(5, **small, threshold=threshold).shares["equal"] == 1.0


def test_verdicts_of_boxes_agree_with_the_rates_at_points_in_them():
    sweep = _Sweep(5, 48, flint)
    columns = [(0.3 + 0.1 * i, 0.4 + 0.1 * i) for i in range(8)]
    triples = [((0.5, 0.55), (1.7, 1.75), (r, r + 0.05)) for r in (0.8, 1.2, 1.6, 2.0, 2.4)]
    rng, seen = np.random.default_rng(0), set()
    with flint.ctx.workprec(sweep.series.bits):
        decided = list(sweep.decide(columns, triples))
    first, last = np.triu_indices(len(columns))
    for triple, verdicts, _ in decided:
        for i, j, verdict in zip(first, last, verdicts, strict=True):
            if verdict == 3:
                continue
            new, old = sorted((rng.uniform(*columns[i]), rng.uniform(*columns[j])))
            other, axis, reach = (rng.uniform(*side) for side in triple)
            laws = [UniformCap(5, radius) for radius in (new, old, other)]
            rates = [expected_acceptance(law, laws[2], math.cos(reach), math.cos(axis)) for law in laws[:2]]
            change = rates[1] - rates[0]
            assert (change > 0, change == 0, change < 0)[verdict], (triple, columns[i], columns[j])
            seen.add(int(verdict))
    assert seen == {0, 2}


@pytest.mark.parametrize("dim", [3, 4, 5, 9, 64, 513])
@pytest.mark.parametrize("terms", [8, 64])
def test_the_tail_of_a_cap_is_bounded(dim, terms):
    """X_n beyond N by its recurrences, and Σ_{n>N} N_n a_n² by Parseval, against what the boxes use."""
    sweep = _Sweep(dim, terms, flint)
    assert_bounded = _Sweep(dim, terms + 400, flint).size
    assert float(sweep.size.upper()) >= float(assert_bounded.lower()) * (1 - 1e-3 / terms)
    with flint.ctx.workprec(sweep.series.bits):
        for radius in (0.7, 1.5):
            cap = sweep.series.cap(radius)
            rest = cap.rest / (cap.terms[0] ** 2)
            bound = sweep._tail((radius, radius + 1e-9))
            assert not bound < rest
    # X_n itself, by logarithms, for the next thousand n
    lam = 0.5 * dim - 1
    n = np.arange(1, terms + 1000)
    steps = (n + 1 + lam) / (n + lam) * (n + 2 * lam) / (n + 1)
    counts = math.log(dim) + np.concatenate(([0.0], np.cumsum(np.log(steps))))
    envelope = _Sweep(dim, terms + 998, flint).cells.first.at_equator
    sizes = [counts[i] + 2 * float(envelope[i].log()) for i in range(terms, len(envelope))]
    assert max(sizes) <= float(sweep.size.log()) + 1e-9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dim": 2}, "dim must be an integer >= 3, got 2"),
        ({"radii": (1.0, 0.5)}, r"radii must be \(low, high\) with low < high"),
        ({"other": (0.5, 4.0)}, r"other must be in \(0, π\], got 4.0"),
        ({"threshold": (0.5, 1.5)}, r"threshold must be in \[-1, 1\], got 1.5"),
        ({"step": 0.0}, "step must be positive, got 0.0"),
        ({"terms": 2}, "terms must be an integer >= 8, got 2"),
    ],
)
def test_invalid_regions_are_named(arguments, message):
    region = {"dim": 9, **WIDE, "axis_cosine": (-0.2, -0.1), "threshold": (0.0, 0.1)} | arguments
    with pytest.raises(ValueError, match=message):
        certify_rates(**region)


def test_recall_on_the_circle_falls_although_every_false_accept_rate_does():
    right = flint.arb.pi() / 2
    before, after = (certify_circle_ranking(a, [right] * 2, [0, right], [50, 50]).recall for a in (right, 0.05))
    # published digits; and the lower end of one is above the upper end of the other
    assert float(before) == pytest.approx(0.746789, abs=5e-7)
    assert float(after) == pytest.approx(0.693243, abs=5e-7)
    assert before > after
    assert float(before.rad()) < 1e-12


def test_wrong_items_rise_where_only_the_querys_class_obeys_the_condition():
    before, after = (certify_circle_ranking(a, [0.1, 0.52], [0, 0.5], [5, 1]).wrong_above for a in (0.1, 0.01))
    assert float(before) == pytest.approx(0.021780, abs=5e-7)
    assert float(after) == pytest.approx(0.027519, abs=5e-7)
    assert after > before


@settings(max_examples=6, deadline=None)
@given(
    st.lists(st.floats(0.2, 2.9), min_size=2, max_size=3),
    st.floats(0.05, 2.0),
    st.lists(st.floats(-3.1, 3.1), min_size=3, max_size=3),
    st.lists(st.integers(1, 3), min_size=3, max_size=3),
)
def test_rankings_on_the_circle_agree_with_the_grid(radii, query, axes, sizes):
    """Against :func:`expected_ranking`, whose grids of 1200 are right to 1e-3 for few items."""
    count = len(radii)
    try:
        found = certify_circle_ranking(query, radii, axes[:count], sizes[:count])
    except ArithmeticError:
        return  # two ends of arcs that differ by less than a rounding of their sum
    vectors = np.array([[math.cos(x), math.sin(x)] for x in axes[:count]])
    expected = expected_ranking(UniformCap(2, query), [UniformCap(2, r) for r in radii], vectors, sizes[:count])
    assert float(found.recall) == pytest.approx(expected.recall, abs=3e-3)
    assert float(found.wrong_above) == pytest.approx(expected.wrong_above, abs=3e-3 * sum(sizes))


@pytest.mark.simulations
def test_three_hemispheres_lose_recall():
    before, after = certify_orthogonal_recall(math.pi / 2, 50, 32, 120), certify_orthogonal_recall(0.02, 50, 8, 160)
    assert before[0] < 0.560 < before[1]  # published, by simulation
    assert after[0] < 0.502 < after[1]
    assert after[1] < before[0]  # so it falls, whatever the digits


def test_bounds_of_hemispheres_close_in_on_a_point_query():
    """At the axis itself R_0 = y and R_1 = R_2 = y/2 with y = 1 − cos x: recall is ∫ n(1−y)^{n−1}(1−y/2)^{2n} dy."""
    y = (np.arange(200_000) + 0.5) / 200_000
    exact = np.mean(50 * (1 - y) ** 49 * (1 - y / 2) ** 100)
    wide, narrow = (certify_orthogonal_recall(1e-6, 50, 2, steps) for steps in (40, 320))
    assert wide[0] < narrow[0] < exact < narrow[1] < wide[1]
    assert narrow[1] - narrow[0] < 0.02


@pytest.mark.parametrize("height", [-0.3, 0.0, 0.2, 0.9])
def test_the_share_of_a_hemisphere_near_a_point(height):
    """Against points drawn in the hemisphere: 4.5 standard errors."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(200_000, 3))
    points /= np.linalg.norm(points, axis=1)[:, None]
    points[:, 0] = np.abs(points[:, 0])
    u = np.array([height, math.sqrt(1 - height**2), 0.0])
    share = float(_share(flint.arb(0.6), flint.arb(height), flint.arb))
    assert np.mean(points @ u >= math.cos(0.6)) == pytest.approx(share, abs=4.5 * math.sqrt(0.25 / 200_000))


@pytest.mark.parametrize("turns", [-3, -2, -1, 1, 2, 50])
def test_an_axis_is_the_same_whole_turns_further(turns):
    radii, sizes = [0.4127, 0.7311], [2, 3]
    known = certify_circle_ranking(2.9, radii, [0.0, 0.3], sizes)
    for axes in ([0.0, 0.3 + 2 * turns * flint.arb.pi()], [2 * turns * flint.arb.pi(), 0.3]):
        found = certify_circle_ranking(2.9, radii, axes, sizes)
        for name in ("recall", "wrong_above"):
            ball, same = getattr(found, name), getattr(known, name)
            assert ball.overlaps(same)
            assert float(ball.rad()) < 1e-11


def test_radii_of_the_whole_circle_are_taken_and_larger_ones_are_not():
    pi = flint.arb.pi()
    whole = certify_circle_ranking(pi, [pi, pi], [0.0, 1.0], [1, 1])
    # both items lie anywhere: either is the nearest with the same chance
    assert float(whole.recall) == pytest.approx(0.5, abs=1e-12)
    for query, radius, message in (
        (4.0, 0.3, r"query must be in \(0, π\], got 4.0"),
        (-0.5, 0.3, r"query must be in \(0, π\], got -0.5"),
        (0.0, 0.3, r"query must be in \(0, π\], got 0.0"),
        (0.3, 3.5, r"radii must be in \(0, π\], got 3.5"),
        (0.3, math.nan, r"radii must be in \(0, π\], got nan"),
    ):
        with pytest.raises(ValueError, match=message):
            certify_circle_ranking(query, [0.3, radius], [0.0, 1.0], [1, 1])


def test_invalid_searches_are_named():
    with pytest.raises(ValueError, match="one entry per class, got 2, 1 and 2"):
        certify_circle_ranking(0.3, [0.3, 0.3], [0.0], [1, 1])
    with pytest.raises(ValueError, match="sizes must be an integer >= 1, got 0"):
        certify_circle_ranking(0.3, [0.3, 0.3], [0.0, 1.0], [1, 0])
    with pytest.raises(ValueError, match=r"radius must be in \(0, π/2\], got 2.0"):
        certify_orthogonal_recall(2.0, 50)
    with pytest.raises(ValueError, match="new must be less than old"):
        enclose_threshold(9, 0.6, 0.6, 0.3)


def test_the_tables_of_decisions_say_what_was_proved(monkeypatch):
    small = {"radii": (0.5, 0.7), "other": (0.5, 0.6), "step": 0.05, "levels": 0}
    regions = {
        "D2": ({"dim": 9, **small, "axis_cosine": (-0.12, -0.1), "threshold": (0.0, 0.1)},),
        "below D2": ({"dim": 9, **small, "axis_cosine": (-0.12, -0.1), "threshold": (-0.4, -0.3)},),
    }
    monkeypatch.setattr(certificates_table, "REGIONS", regions)
    monkeypatch.setattr(certificates_table, "THRESHOLDS", certificates_table.THRESHOLDS[2:3])
    monkeypatch.setattr(certificates_table, "recalls", lambda: [("a case", "recall@1", (0.5, 0.75), (0.1, 0.25))])
    text = certificates_table.decision_tables()
    rows = {line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")] for line in text.splitlines()[1:]
            if line.startswith("|")}  # fmt: skip
    assert rows["D2"][7:11] == ["100.00", "0.00", "0.00", "0.00"]
    assert rows["below D2"][7:11] == ["0.00", "0.00", "100.00", "0.00"]
    assert rows["9"][5] == "-0.141079 … -0.141076"
    assert rows["a case"][3:5] == ["0.500000 … 0.750000", "0.100000 … 0.250000"]


PAGE = Path(__file__).parents[2] / "docs" / "certificates.md"


def rows_of(text, *columns):
    """The chosen cells of every line of a table."""
    lines = ([cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| "))
    return [[cells[c] for c in columns] for cells in lines if len(cells) > max(columns)]


def test_the_page_is_of_the_regions_and_laws_that_the_command_computes(monkeypatch):
    """Nothing is proved here: what would be is asked for, and stands on the page."""
    asked = []

    def rates(dim, **region):
        asked.append(region)
        kept = {name: region[name] for name in ("radii", "other", "axis_cosine", "threshold")}
        return RateCertificate(dim=dim, **kept, shares=dict.fromkeys(VERDICTS, 0.0), boxes=dict.fromkeys(VERDICTS, 0))

    def enclosed(dim, new, old, axis_cosine, *, width, terms):
        exact = exact_threshold(UniformCap(dim, new), UniformCap(dim, old), axis_cosine)
        thresholds.append((width, terms))
        return exact - width, exact + width

    thresholds: list[tuple[float, int]] = []
    monkeypatch.setattr(certificates_table, "certify_rates", rates)
    monkeypatch.setattr(certificates_table, "enclose_threshold", enclosed)
    monkeypatch.setattr(certificates_table, "recalls", list)
    page = PAGE.read_text(encoding="utf-8")
    text = certificates_table.decision_tables()
    regions = rows_of(text, 0, 1, 2, 3, 4, 5, 11)
    assert len(regions) == 1 + len(asked) == 8
    assert [row[:-1] for row in regions] == [row[:-1] for row in rows_of(page, 0, 1, 2, 3, 4, 5, 11)]
    # the coarse steps of the default suffice but near the bound of D3
    assert [region.get("step") for region in asked] == [0.025 if name == "D3" else None for name, *_ in regions[1:]]
    laws = [row for row in rows_of(text, 0, 1, 2, 3, 5) if row[0].isdigit()]
    assert len(laws) == len(thresholds) == 8
    on_page = [row for row in rows_of(page.partition("exact threshold |")[2], 0, 1, 2, 3, 5) if row[0].isdigit()]
    assert laws == on_page
    for (_, _, _, _, found), (width, terms) in zip(
        [row for row in rows_of(page.partition("exact threshold |")[2], 0, 1, 2, 3, 4) if row[0].isdigit()],
        thresholds,
        strict=True,
    ):
        low, high = map(float, found.split(" … "))
        assert 0.0 < high - low < 2.0 * width + 2e-6  # rounded outwards
        assert 200 <= terms <= 1024


def test_the_searches_that_get_worse_are_those_that_the_page_names(monkeypatch):
    asked = []

    def on_the_circle(*arguments):
        asked.append([*map(float, np.ravel(arguments[0])), *([float(x) for x in part] for part in arguments[1:])])
        both = flint.arb(0.25 * len(asked))
        return CircleRanking(recall=both, wrong_above=both + 100)

    def hemispheres(*arguments):
        asked.append([*arguments[:2]])
        return 0.25, 0.75

    monkeypatch.setattr(certificates_table, "certify_circle_ranking", on_the_circle)
    monkeypatch.setattr(certificates_table, "certify_orthogonal_recall", hemispheres)
    found = list(certificates_table.recalls())
    assert [[text, what] for text, what, *_ in found] == rows_of(
        PAGE.read_text(encoding="utf-8").partition("| case |")[2], 0, 1
    )[-4:]
    # before and after, recall or wrong items
    assert [sides for _, _, *sides in found] == [
        [(0.25, 0.25), (0.5, 0.5)],
        [(0.75, 0.75), (1.0, 1.0)],
        [(101.25, 101.25), (101.5, 101.5)],
        [(0.25, 0.75)] * 2,
    ]
    right, third = math.pi / 2, 2 * math.pi / 3
    arcs = {
        "two arcs at a right angle": ([[right], [0.05]], [[right] * 2, [0.0, right], [50.0] * 2]),
        "three arcs": ([[2.3], [0.05]], [[2.3] * 3, [0.0, third, 2 * third], [50.0] * 3]),
        "two arcs 0.5 apart": ([[0.1], [0.01]], [[0.1, 0.52], [0.0, 0.5], [5.0, 1.0]]),
    }
    expected = [[*query, *rest] for queries, rest in arcs.values() for query in queries]
    for one, other in zip(asked, [*expected, [right, 50], [0.02, 50]], strict=True):
        for part, same in zip(one, other, strict=True):
            np.testing.assert_allclose(part, same, rtol=1e-15)


def test_a_setting_that_gets_neither_better_nor_worse_is_undecided():
    draws = iter([(0.5, 0.75), (0.5, 0.5), (0.5, 0.25), (0.5, 1.0)])
    found, least = open_questions.count(lambda rng: next(draws), 4)
    assert found == {"better": 2, "undecided": 1, "worse": 1}
    assert least == -0.25


def test_open_searches_are_counted_and_a_known_loss_is_found():
    found, least = open_questions.count(open_questions.wrong_items_of_overlapping_arcs, 2)
    assert found == {"better": 2}
    assert least > 0

    def known_loss(rng):
        before, after = (-certify_circle_ranking(a, [0.1, 0.52], [0, 0.5], [5, 1]).wrong_above for a in (0.1, 0.01))
        return before, after

    assert open_questions.count(known_loss, 1)[0] == {"worse": 1}
    assert "usage" in open_questions.main([])

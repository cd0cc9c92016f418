"""Accepted pairs against loops over all of them, and what a comparison of thresholds makes of their counts."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from tests.verification.samples import upgrade
from verification.audit import acceptance, thresholds
from verification.audit.acceptance import BINS, Compared, Histogram, Kernel, Places, count, edge, histogram, tally
from verification.audit.threshold_report import Curve
from verification.audit.thresholds import compare_thresholds
from verification.features import FeatureSet
from verification.search.similarity import SimilarityName
from verification.statistics.gaps import estimate
from verification.statistics.interval import Criterion, Interval, Population, Verdict, widened
from verification.statistics.pairwise import AllPairs
from verification.statistics.rows import Rows
from verification.statistics.variance import Estimate
from verification.upgrade import Upgrade

SIMILARITIES: list[SimilarityName] = ["cosine", "dot", "l2", "hamming"]


def compared_of(similarity: SimilarityName, gallery: bool, grouped: bool, own: bool = False) -> Compared:
    """Seventeen queries of four classes, one of them with a single row, and eleven items of three."""
    rng = np.random.default_rng(0)

    def rows(sizes: list[int], models: int) -> Rows:
        codes = np.repeat(np.arange(len(sizes)), sizes)
        found = np.eye(len(sizes), 6)[codes] + 0.6 * rng.standard_normal((models, len(codes), 6))
        if similarity == "cosine":
            found /= np.linalg.norm(found, axis=2, keepdims=True)
        if similarity == "hamming":
            found = np.where(found >= 0.2, 1.0, -1.0)
        units = 10 * codes + np.arange(len(codes)) % 3 if grouped else None
        return Rows(models=found, codes=codes, sizes=np.array(sizes), units=units, own=own)

    items = rows([4, 0, 3, 4], 2 if own else 1) if gallery else None
    return Compared(rows=rows([6, 5, 5, 1], 2), gallery=items, similarity=similarity)


def places_of(compared: Compared) -> np.ndarray:
    """Place of each pair, shape (2, queries, items), old and new, by loops."""
    rows, items = compared.rows, compared.items
    longest = max(np.linalg.norm(some, axis=-1).max() for some in (rows.models, items.models))
    found = np.empty((2, len(rows.codes), len(items.codes)))
    for model, queries in enumerate((rows.old, rows.models[0])):
        searched = items.models[0] if rows.own and model == 1 else items.old
        for i, q in enumerate(queries):
            for j, g in enumerate(searched):
                found[model, i, j] = {
                    "cosine": q @ g,
                    "dot": q @ g / longest**2,
                    "l2": 1.0 - math.dist(q, g) / longest,
                    "hamming": 1.0 - 2.0 * np.sum(q != g) / len(q),
                }[compared.similarity]
    return found


def kinds(compared: Compared) -> tuple[np.ndarray, np.ndarray]:
    """Pairs that meet of different classes, and of one."""
    rows, items = compared.rows, compared.items
    same = rows.codes[:, None] == items.codes
    apart = np.eye(len(rows.codes), dtype=bool) if compared.gallery is None else np.zeros_like(same)
    if rows.units is not None:
        apart = rows.units[:, None] == items.units
    return ~same & ~apart, same & ~apart


@pytest.mark.parametrize(
    ("similarity", "gallery", "grouped", "own"),
    [
        ("cosine", False, False, False),
        ("dot", False, True, False),
        ("l2", True, False, True),
        ("hamming", False, False, False),
        ("cosine", True, True, False),
        ("hamming", True, False, False),
    ],
)
def test_places_histograms_tallies_and_counts(monkeypatch, similarity, gallery, grouped, own):
    """In one block, in blocks of a few queries, and in blocks of one."""
    for at_once in (2**18, 40, 1):
        monkeypatch.setattr(acceptance, "_PAIRS", at_once)
        compared = compared_of(similarity, gallery, grouped, own)
        places, pairs = places_of(compared), kinds(compared)
        blocks = list(compared.blocks())
        assert len(blocks) == {2**18: 1, 40: 6 if gallery else 9, 1: 17}[at_once]
        np.testing.assert_allclose(np.concatenate([block.new for block in blocks]), places[1], atol=1e-12)
        np.testing.assert_allclose(np.concatenate([block.old for block in blocks]), places[0], atol=1e-12)
        assert all((block.back is None) == (gallery or own) for block in blocks)
        assert compared.blocks() is compared.blocks()  # so few pairs are computed once
        bins = histogram(compared)
        assert bins.counts.shape == (2, 2, BINS)
        grid = np.array([-0.31, 0.0, 0.2, 0.55]) if similarity != "hamming" else np.array([-1.0, -1 / 3, 1 / 3, 1.0])
        for kind, some in enumerate(pairs):
            assert bins.pairs(kind) == some.sum()
        tallies = tally(compared, [grid, grid[1:]])
        for model, one in enumerate(tallies):
            for at, threshold in enumerate(grid[model:]):
                accepted = places[model] >= threshold - 1e-12
                for kind, some in enumerate(pairs):
                    np.testing.assert_array_equal(one.queries[kind, :, at], (accepted & some).sum(axis=1))
                    np.testing.assert_array_equal(one.items[kind, :, at], (accepted & some).sum(axis=0))
                    if similarity != "hamming":
                        lower = edge(int(np.floor((threshold + 1.0) * BINS / 2.0)))
                        expected = np.mean(places[model][some] >= lower)
                        assert bins.rate(model, kind, lower) == pytest.approx(expected, abs=1e-12)
        kernel = Kernel(old_threshold=grid[1], new_threshold=grid[2], old_weight=1.5, new_weight=0.7)
        source, apart = count(compared, kernel)
        t = 0.7 * (places[1] >= grid[2] - 1e-12) - 1.5 * (places[0] >= grid[1] - 1e-12)
        t[~(pairs[0] | pairs[1])] = 0.0
        h = t if gallery or own else 0.5 * (t + t.T)
        assert apart == tuple(np.count_nonzero(t[some]) for some in pairs)
        codes, others = compared.rows.codes, compared.items.codes
        for y in range(4):
            for z in range(4):
                block = np.ix_(codes == y, others == z)
                assert source.ordered[y, z] == pytest.approx(t[block].sum(), abs=1e-12)
                assert source.squares[y, z] == pytest.approx(np.sum(h[block] ** 2), abs=1e-12)
            np.testing.assert_allclose(source.by_query.toarray()[:, y], h[:, others == y].sum(axis=1), atol=1e-12)
            if gallery:
                np.testing.assert_allclose(source.by_item[:, y], t[codes == y].sum(axis=0), atol=1e-12)
        assert source.satisfied == (0, 0)
    alone = Kernel(old_threshold=0.1, new_threshold=0.2)
    assert (alone.old_weight, alone.new_weight) == (1.0, 1.0)


def test_many_pairs_are_not_kept(monkeypatch):
    compared = compared_of("cosine", True, False)
    for most, kept in ((17 * 11, True), (17 * 11 - 1, False)):
        monkeypatch.setattr(acceptance, "_KEPT", most)
        assert isinstance(compared.blocks(), tuple) == kept
        assert [type(block) for block in compared.blocks()] == [Places]


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_a_threshold_and_its_place_are_one_another(similarity):
    compared = compared_of(similarity, False, False)
    rows = compared.rows.models
    for threshold in (0.0, 1.0, 3.0):
        assert compared.threshold(compared.place(threshold)) == pytest.approx(threshold, abs=1e-12)
    longest = np.linalg.norm(rows, axis=2).max()
    expected = {"cosine": 0.5, "dot": 0.5 / longest**2, "l2": 1.0 - 0.5 / longest, "hamming": (6.0 - 2.0 * 0.5) / 6.0}
    assert compared.place(0.5) == pytest.approx(expected[similarity])
    if similarity == "hamming":  # of whole bits, and no fewer than are accepted at the place
        assert compared.threshold(0.2) == 2.0
        assert compared.threshold(compared.place(2.0) - 0.1) == 2.0


def test_rates_and_thresholds_lie_at_the_edges_of_bins():
    counts = np.zeros((2, 2, BINS), dtype=np.int64)
    counts[0, 0, [10, 20, 30, BINS - 1]] = 4, 3, 2, 1
    bins = Histogram(counts)
    assert bins.pairs(0) == 10
    assert bins.pairs(1) == 0
    assert edge(0) == -1.0
    assert edge(BINS) == 1.0
    for at, rate in ((10, 1.0), (11, 0.6), (20, 0.6), (21, 0.3), (30, 0.3), (31, 0.1), (BINS - 1, 0.1)):
        assert bins.rate(0, 0, edge(at)) == pytest.approx(rate)
    assert bins.rate(0, 0, 1.0) == 0.0
    # the least edge at which no more is accepted
    for rate, at in ((1.0, 0), (0.99, 11), (0.6, 11), (0.3, 21), (0.29, 31), (0.1, 31), (0.09, BINS)):
        assert bins.threshold(0, rate) == edge(at)


def test_an_edge_belongs_to_the_bin_above_it_and_rounding_leaves_no_pair_out():
    at = np.array([0, 1, BINS // 2, BINS - 1])
    edges = np.array([edge(int(one)) for one in at])
    np.testing.assert_array_equal(acceptance._bins(edges), at)
    np.testing.assert_array_equal(acceptance._bins(edges[1:] - 1e-12), at[1:] - 1)
    np.testing.assert_array_equal(acceptance._bins(np.array([-1.0 - 1e-15, 1.0, 1.0 + 1e-15])), [0, BINS - 1, BINS - 1])


def test_a_curve_has_25_rates_from_one_half_down_to_ten_pairs():
    counts = np.zeros((2, 2, BINS), dtype=np.int64)
    counts[:, 0] = 16
    bins = Histogram(counts)
    for pairs, least in ((bins.pairs(0), 10 / bins.pairs(0)), (10**9, 1e-7)):
        rates = [0.5 * (least / 0.5) ** (nth / 24) for nth in range(25)]
        for model in (0, 1):
            grid = thresholds._grid(bins, model, pairs)
            # at every edge one in 65536 more is accepted
            expected = sorted({edge(BINS - math.floor(rate * BINS * (1.0 + 1e-12))) for rate in rates})
            np.testing.assert_array_equal(grid, expected)
    assert len(grid) < 25  # below one pair in 65536 all are the same


def test_a_target_far_needs_ten_accepted_pairs():
    new, old = upgrade(1.0, 1.1, num_samples=32, num_classes=2)
    gallery = upgrade(1.0, 1.1, num_samples=40, num_classes=2, seed=2)[1]
    made = Upgrade(new, old, gallery)  # of 640 pairs of different classes
    report = compare_thresholds(made, far=1 / 64)
    assert (report.different_pairs, report.target_far, report.accepted_pairs) == (640, 1 / 64, 10)
    with pytest.raises(ValueError, match=r"far must be at least 1\.6e-02, for 10 accepted pairs among the 640 of"):
        compare_thresholds(made, far=math.nextafter(1 / 64, 0.0))


@pytest.mark.parametrize("with_gallery", [False, True])
def test_a_rate_that_rests_on_fewer_than_thirty_pairs_is_remarked(with_gallery):
    new, old = upgrade(1.0, 1.1, num_samples=60)
    gallery = upgrade(1.0, 1.1, num_samples=50, seed=2)[1] if with_gallery else None
    items = gallery or old
    cosines = old.unit @ items.unit.T
    pairs = old.labels[:, None] != items.labels
    if not with_gallery:
        pairs &= np.triu(np.ones_like(pairs))
    highest = np.sort(cosines[pairs])[::-1]
    for accepted in (29, 30):
        at = float(highest[accepted - 1 : accepted + 1].mean())
        report = compare_thresholds(Upgrade(new, old, gallery), threshold=at)
        assert report.accepted_pairs == accepted
        assert report.notes == (
            ("The old false accept rate rests on 29 distinct accepted pairs; fewer than 30 tell little of it.",)
            if accepted == 29
            else ()
        )


def test_at_most_4096_rows_of_1000_classes_are_looked_at():
    rng = np.random.default_rng(0)
    for labels, told in (
        (np.arange(4096) % 4, []),
        (np.arange(4097) % 4, ["all pairs of 4,096 of the 4,097 samples were looked at, a seeded part."]),
        (np.arange(2000) % 1000, []),
        (
            np.arange(2002) % 1001,
            ["all pairs of 2,000 of the 2,002 samples were looked at, a seeded part of 1,000 of the 1,001 classes."],
        ),
    ):
        features = FeatureSet(rng.standard_normal((len(labels), 2)), labels)
        compared, notes = thresholds._choose(Upgrade(features, features), "cosine")
        assert notes == [f"Thresholds: {note}" for note in told]
        assert len(compared.rows.codes) == min(len(labels), 4096 if len(labels) > 4000 else 2000)


def parts_of(made: Upgrade) -> Compared:
    reading = made.read()

    def wide(rows: Rows | None) -> Rows | None:
        return None if rows is None else replace(rows, models=rows.models.astype(np.float64))

    rows = wide(reading.rows)
    assert rows is not None
    return Compared(rows=rows, gallery=wide(reading.gallery))


def logit_interval(rate: float, side: Estimate, level: float) -> tuple[float, float]:
    half = stats.t.isf(level / 2.0, side.freedom) * side.standard_error / (rate * (1.0 - rate))
    bounds = [math.log(rate / (1.0 - rate)) + sign * half for sign in (-1.0, 1.0)]
    return 1.0 / (1.0 + math.exp(-bounds[0])), 1.0 / (1.0 + math.exp(-bounds[1]))


@pytest.mark.parametrize(
    ("with_gallery", "repeated", "classes"), [(False, False, "fixed"), (True, True, "drawn"), (False, True, "drawn")]
)
def test_each_interval_is_that_of_its_own_kernel(with_gallery, repeated, classes):
    """Rates, their changes with and without margins, and the threshold that keeps FAR, each from its own counts."""
    new, old = upgrade(1.0, 1.1, num_samples=120)
    gallery = upgrade(1.0, 1.1, num_samples=80, seed=2)[1] if with_gallery else None
    made = Upgrade(new, old, gallery)
    report = compare_thresholds(
        made, threshold=0.4, far_margin="20%", tar_margin="3%", confidence=0.9, classes=classes, repeated=repeated
    )
    compared = parts_of(made)
    bins = histogram(compared)

    def sides(new_at: float, before: float, after: float) -> tuple[Estimate, Estimate]:
        kernel = Kernel(old_threshold=0.4, new_threshold=new_at, old_weight=before, new_weight=after)
        same, different = estimate(count(compared, kernel)[0], ("pairs",))[0]["pairs"].sides
        return same.fixed, different.fixed

    widen = [widened(num, 0.95) if repeated else 1.0 for num in (120, 5)]
    for change, side, rule in (
        (report.far_change.flipped(), sides(0.4, 1.2, 1.0)[1], Criterion(confidence=0.95)),
        (report.tar_change, sides(0.4, 1.0, 1.0)[0], Criterion(confidence=0.95, margin=0.03)),
    ):
        expected = Interval.student(side.value, side.standard_error, side.freedom, 0.95, widen=widen[0])
        fixed = change.fixed
        assert (fixed.value, fixed.lower, fixed.upper) == pytest.approx(
            (expected.value, expected.lower, expected.upper)
        )
        assert (fixed.unit, fixed.confidence, fixed.quantile) == ("sample", 0.95, pytest.approx(expected.quantile))
        decides = {"fixed": fixed, "drawn": change.drawn}[classes]
        assert change.verdict == rule.verdict(decides)
        assert change.population == Population(classes)
    assert report.verdict == Verdict.combine([report.far_change.verdict, report.tar_change.verdict])
    before, after = sides(0.4, 1.0, 0.0), sides(0.4, 0.0, 1.0)
    kept = bins.threshold(1, before[1].value)
    assert report.kept.threshold == kept
    at_kept = sides(kept, 0.0, 1.0)
    for rate, value, side in (
        (report.old_tar, -before[0].value, before[0]),
        (report.old_far, before[1].value, before[1]),
        (report.new_tar, after[0].value, after[0]),
        (report.new_far, -after[1].value, after[1]),
        (report.kept.tar, at_kept[0].value, at_kept[0]),
    ):
        assert (rate.value, rate.lower, rate.upper) == pytest.approx((value, *logit_interval(value, side, 0.1)))
        assert (rate.confidence, rate.unit) == (pytest.approx(0.9), "sample")
    side, far_side = sides(kept, 1.0, 1.0)
    expected = Interval.student(side.value, side.standard_error, side.freedom, 0.9, widen=widen[0])
    found = report.kept.tar_change
    assert (found.value, found.lower, found.upper) == pytest.approx((expected.value, expected.lower, expected.upper))
    far = before[1].value
    error = stats.t.isf(0.05, far_side.freedom) * far_side.standard_error / far
    lower, upper = bins.threshold(1, far * math.exp(error)), bins.threshold(1, far * math.exp(-error)) + 2.0 / BINS
    assert (report.kept.lower, report.kept.upper) == (lower, upper)
    assert (report.far_margin, report.tar_margin, report.confidence) == (0.2, 0.03, 0.9)
    assert (report.num_samples, report.num_gallery) == (120, 80 if with_gallery else None)
    assert (report.same_pairs, report.different_pairs) == (bins.pairs(1), bins.pairs(0))
    assert report.target_far is None


def check_band(curve: Curve, compared: Compared, model: int, slope: np.ndarray) -> None:
    """The spread of what rows contribute within their classes, at 90 %."""
    places, (different, same) = places_of(compared), kinds(compared)
    for at, threshold in enumerate(curve.threshold):
        accepted = places[model] >= threshold
        share = (accepted & same) / same.sum() - slope[at] * (accepted & different) / different.sum()
        roles = [(share.sum(axis=1), compared.rows.codes), (share.sum(axis=0), compared.items.codes)]
        if compared.gallery is None:
            roles = [(roles[0][0] + roles[1][0], compared.rows.codes)]
        variance = 0.0
        for values, codes in roles:
            for c in np.unique(codes):
                own = values[codes == c]
                variance += len(own) * own.var(ddof=1) if len(own) > 1 else float(own @ own)
        half = stats.norm.isf(0.05) * math.sqrt(variance)
        assert curve.lower[at] == pytest.approx(max(curve.tar[at] - half, 0.0))
        assert curve.upper[at] == pytest.approx(min(curve.tar[at] + half, 1.0))


@pytest.mark.parametrize("with_gallery", [False, True])
def test_the_band_of_a_curve_is_what_each_sample_contributes(with_gallery):
    """The spread of the rows' shares of accepted pairs within classes, along the slope of TAR over FAR."""
    new, old = upgrade(1.0, 1.1, labels=np.repeat(np.arange(5), [20, 15, 10, 5, 1]))
    gallery = upgrade(1.0, 1.1, num_samples=40, seed=2)[1] if with_gallery else None
    made = Upgrade(new, old, gallery)
    report, compared = compare_thresholds(made, threshold=0.4, confidence=0.9), parts_of(made)
    places, (different, same) = places_of(compared), kinds(compared)
    for model, curve in enumerate((report.old_curve, report.new_curve)):
        far, tar = ([np.mean(places[model][some] >= t) for t in curve.threshold] for some in (different, same))
        assert curve.far == pytest.approx(far)
        assert curve.tar == pytest.approx(tar)
        assert 0.4 < far[0] <= 0.5
        assert thresholds.FEW / different.sum() <= max(far[-1], thresholds.FEW / different.sum())
        assert far[-1] * different.sum() >= thresholds.FEW / 2.0
        check_band(curve, compared, model, np.gradient(tar, far))


@pytest.mark.parametrize("points", [1, 2])
def test_a_curve_of_two_points_has_a_slope_and_one_of_a_single_point_has_none(points):
    """Items at right angles to queries of other classes, or half of them nearer than some are to their own."""
    queries, items = np.zeros((20, 4)), np.zeros((24, 4))
    labels, item_labels = np.repeat([0, 1], 10), np.repeat([0, 1], 12)
    queries[np.arange(20), labels] = 1.0
    items[np.arange(24), item_labels] = np.tile([0.7, 0.05, 0.7], 8)
    items[::2, :2] += (0.14 if points == 2 else 0.0) * (items[::2, :2] == 0.0)
    items[:, 3] = np.sqrt(1.0 - np.sum(items**2, axis=1))
    old, gallery = FeatureSet(queries, labels), FeatureSet(items, item_labels)
    made = Upgrade(old, old, gallery)
    curve = compare_thresholds(made, threshold=0.1, confidence=0.9).old_curve
    assert curve.far == ((0.0,) if points == 1 else (0.5, 0.0))
    assert curve.tar == pytest.approx((1.0,) if points == 1 else (1.0, 2 / 3))
    slope = 0.0 if points == 1 else (1.0 - 2 / 3) / 0.5
    check_band(curve, parts_of(made), 0, np.full(points, slope))
    assert points == 1 or curve.lower[1] < curve.tar[1] < curve.upper[1]


def test_a_rate_of_none_or_all_and_a_change_that_few_pairs_show():
    looks = thresholds._Looks(num=41, level=0.1, unit="group", widen=1.3)
    side = Estimate(value=0.02, standard_error=0.01, freedom=12.0)
    far = 1.0 - 0.05 ** (1.0 / 20)  # as if twenty disjoint pairs had fared alike
    for value, bounds in ((0.0, (0.0, far)), (1.0, (1.0 - far, 1.0)), (-0.1, (0.0, far)), (1.1, (1.0 - far, 1.0))):
        found = looks.rate(value, side)
        assert (found.lower, found.upper) == pytest.approx(bounds)
        assert (found.confidence, found.unit) == (pytest.approx(0.9), "group")
    assert (looks.rate(0.3, side).lower, looks.rate(0.3, side).upper) == pytest.approx(logit_interval(0.3, side, 0.1))
    nothing = looks.rate(1e-4, replace(side, standard_error=1.0))
    assert (nothing.lower, nothing.upper) == (0.0, pytest.approx(1.0))
    rule = Criterion(confidence=0.95)
    exact = looks.change(side, 100, rule, True)
    assert (exact.value, exact.lower, exact.upper, exact.unit, exact.confidence) == (0.0, 0.0, 0.0, "group", 0.95)
    many = looks.change(side, thresholds.FEW, rule, False)
    half = 1.3 * stats.t.isf(0.025, 12.0) * 0.01
    assert (many.lower, many.upper) == pytest.approx((0.02 - half, 0.02 + half))
    few = looks.change(side, thresholds.FEW - 1, rule, False)
    least = thresholds.score_interval(0, 0, 20, 0.05)[1]
    assert least > half
    assert (few.value, few.lower, few.upper) == pytest.approx((0.02, 0.02 - least, 0.02 + least))
    wide = looks.change(replace(side, standard_error=0.5), 0, rule, False)
    assert wide.half == pytest.approx(50.0 * half)
    assert replace(looks, num=1).change(side, 0, rule, False).half == pytest.approx(
        thresholds.score_interval(0, 0, 1, 0.05)[1]
    )


@pytest.mark.parametrize(
    ("asked", "similarity", "right"),
    [
        ({"threshold": -1.0}, "cosine", True),
        ({"threshold": 1.0}, "cosine", True),
        ({"threshold": 1.0 + 1e-12}, "cosine", False),
        ({"threshold": 0.0}, "l2", True),
        ({"threshold": -1e-12}, "l2", False),
        ({"threshold": 0.0}, "hamming", True),
        ({"threshold": -1.0}, "hamming", False),
        ({"threshold": -1e300}, "dot", True),
        ({"threshold": -math.inf}, "dot", False),
        ({"far": 1.0}, "cosine", False),
        ({"far": 0.999}, "cosine", True),
        ({"far": 1e-9}, "cosine", True),
        ({"far": 0.0}, "cosine", False),
    ],
)
def test_the_ends_of_the_ranges(asked, similarity, right):
    both = {"threshold": None, "far": None} | asked
    if right:
        thresholds.check_threshold(**both, similarity=similarity)
    else:
        with pytest.raises(ValueError, match="must be"):
            thresholds.check_threshold(**both, similarity=similarity)


def test_what_is_looked_at_of_many_rows_and_classes(monkeypatch):
    """Classes that both sides have, then rows; codes are numbered anew, and each part says of how many."""
    monkeypatch.setattr(thresholds, "MOST_ROWS", 50)
    monkeypatch.setattr(thresholds, "MOST_CLASSES", 5)
    new, old = upgrade(0.9, 1.0, num_samples=120, num_classes=6, dim=9)
    other = upgrade(0.9, 1.0, num_samples=60, num_classes=6, dim=9, seed=1)[1]
    gallery = FeatureSet(other.features, other.labels + 1)  # of class 0 it has none, and it has one more
    compared, notes = thresholds._choose(Upgrade(new, old, gallery), "cosine")
    rows, items = compared.rows, compared.gallery
    assert items is not None
    assert notes == [
        f"Thresholds: all pairs of {count} of the {total} {what} were looked at, a seeded part of 5 of the 7 classes."
        for count, total, what in ((50, 120, "samples"), (len(items.codes), 60, "gallery items"))
    ]
    assert len(items.codes) == 50
    assert len(np.unique(rows.index)) == len(rows.codes)
    shared = np.unique(old.labels[rows.index])
    np.testing.assert_array_equal(np.unique(gallery.labels[items.index]), shared)
    assert shared.tolist() == [1, 2, 3, 4, 5]
    for part, labels in ((rows, old.labels), (items, gallery.labels)):
        np.testing.assert_array_equal(shared[part.codes], labels[part.index])
        np.testing.assert_array_equal(part.sizes, np.bincount(part.codes, minlength=5))
        assert np.all(np.diff(part.codes) >= 0)
        assert not part.own
    monkeypatch.setattr(thresholds, "MOST_CLASSES", 7)
    compared, notes = thresholds._choose(Upgrade(new, old), "cosine")
    assert notes == ["Thresholds: all pairs of 50 of the 120 samples were looked at, a seeded part."]
    monkeypatch.setattr(thresholds, "MOST_ROWS", 120)
    compared, notes = thresholds._choose(Upgrade(new, old), "cosine")
    assert not notes
    assert len(compared.rows.codes) == 120


def source_of(sizes: list[int], items: list[int]) -> AllPairs:
    """Statistics of rows of which only the numbers matter."""
    rows, gallery = (
        Rows(models=np.zeros((2, sum(some), 1)), codes=np.repeat(np.arange(len(some)), some), sizes=np.array(some))
        for some in (sizes, items)
    )
    nothing, by_query, by_item = (np.zeros((count, len(sizes))) for count in (len(sizes), sum(sizes), sum(items)))
    return AllPairs(rows, gallery, nothing, by_query, by_item, nothing, (0, 0))


def test_changes_for_new_classes_where_some_are_on_one_side_only():
    """A class is left out with its queries and its items; classes that nobody has count nowhere."""
    sizes, items = np.array([9, 7, 0, 5, 0]), np.array([6, 0, 8, 4, 0])
    source = source_of(sizes.tolist(), items.tolist())
    rng = np.random.default_rng(0)
    old, new = (np.outer(sizes, items) * rng.uniform(0.2, 0.6, (5, 5)) for _ in range(2))
    off = ~np.eye(5, dtype=bool)

    def ratio(kept: list[int]) -> float:
        there = np.ix_(kept, kept)
        return math.log(new[there][off[there]].sum() / old[there][off[there]].sum())

    present = [0, 1, 2, 3]
    left = np.array([ratio([c for c in present if c != one]) for one in present])
    error = math.sqrt(3.0 / 4.0 * np.sum((left - left.mean()) ** 2))
    pairs = np.outer(sizes, items)[off].sum()
    before, after = old[off].sum() / pairs, new[off].sum() / pairs
    half = 1.4 * stats.t.isf(0.05, 3) * error
    found = thresholds._drawn_far(old, new, source, 1.2, 0.9, 1.4)
    bounds = [-before * (math.exp(math.log(after / before) + sign * half) - 1.2) for sign in (1.0, -1.0)]
    expected = (1.2 * before - after, *bounds)
    assert (found.value, found.lower, found.upper) == pytest.approx(expected)
    assert (found.unit, found.population) == ("class", "drawn")
    assert (found.confidence, found.quantile) == (0.9, pytest.approx(1.4 * stats.t.isf(0.05, 3)))
    # nothing is known of a ratio to nothing, or where one class has all, or of two classes
    alone = np.zeros((5, 5))
    alone[0] = old[0]
    two = source_of([4, 3, 0, 0, 0], [4, 3, 0, 0, 0])
    for one, other, where in (
        (0.0 * old, new, source),
        (old, 0.0 * new, source),
        (alone, new, source),
        (old, new, two),
    ):
        nothing = thresholds._drawn_far(one, other, where, 1.0, 0.9, 1.0)
        assert (nothing.lower, nothing.upper) == (-math.inf, math.inf)
        assert (nothing.unit, nothing.population, nothing.confidence) == ("class", "drawn", 0.9)
    met = (sizes * items)[[0, 3]].astype(float)
    changes = (new.diagonal() - old.diagonal())[[0, 3]]
    value, share = changes.sum() / met.sum(), met / met.sum()
    error = math.sqrt(np.sum((changes - value * met) ** 2 / (1.0 - share))) / met.sum()
    weight = share**2 / (1.0 - share)
    half = 1.4 * stats.t.isf(0.05, 1.0 / (share @ share + weight.sum() ** 2 - weight @ weight)) * error
    found = thresholds._drawn_tar(old, new, source, 0.9, 1.4)
    assert found.value == pytest.approx(value)
    assert (found.lower, found.upper) == pytest.approx((max(value - half, -1.0), min(value + half, 1.0)))
    assert (found.unit, found.population, found.confidence) == ("class", "drawn", 0.9)
    one = thresholds._drawn_tar(old, new, source_of([9, 7, 0, 0, 0], [6, 0, 8, 0, 0]), 0.9, 1.4)
    assert (one.lower, one.upper) == (-math.inf, math.inf)


def test_an_interval_for_new_classes_is_believed_where_enough_pairs_tell():
    drawn = Interval(value=0.0, lower=-0.1, upper=0.3, confidence=0.9)
    fixed = Interval(value=0.0, lower=-0.2, upper=0.1, confidence=0.9)
    assert thresholds._believed(drawn, fixed, thresholds.FEW) == drawn
    few = thresholds._believed(drawn, fixed, thresholds.FEW - 1)
    assert (few.lower, few.upper) == (-0.2, 0.3)

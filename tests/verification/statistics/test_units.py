"""Pairs that never meet: units by their definition, and every statistic against double loops that leave them out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from theory.simplex import simplex_vertices
from verification.audit.definition1 import judge_definition1
from verification.audit.judge import Options, judge
from verification.audit.margin import Margin
from verification.audit.report import Definition1Report
from verification.features import FeatureSet
from verification.statistics import collect as collecting
from verification.statistics import gaps
from verification.statistics.collect import collect, hash_rows
from verification.statistics.gaps import estimate
from verification.statistics.interval import Population
from verification.statistics.linear import LinearPairs
from verification.statistics.rows import Rows, never_met
from verification.statistics.student import upper_quantile
from verification.statistics.variance import drawn_estimates
from verification.statistics.weights import WEIGHTINGS, Weights
from verification.upgrade import Upgrade

# rounding of some hundred terms of order one
ROUNDING = 1e-12
Draw = Callable[[np.random.Generator], Upgrade]
LABELS = np.repeat([0, 1, 2, 3], [9, 6, 4, 2])
ITEM_LABELS = np.repeat([0, 1, 3, 4], [7, 5, 3, 2])


class Data:
    """Sets of few rows with groups, ids and copies, and which pairs meet by the definition."""

    def __init__(self, with_gallery: bool, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(LABELS))
        labels, groups = LABELS[order], rng.integers(0, 4, len(LABELS))
        old = rng.standard_normal((len(labels), 4))
        same = np.flatnonzero(labels == 0)
        old[same[3]] = old[same[0]]  # a copy, by another group perhaps
        new = old + rng.standard_normal(old.shape)
        ids = np.arange(len(labels))
        self.new, self.old = FeatureSet(new, labels, ids, groups), FeatureSet(old, labels, ids, groups)
        self.gallery = None
        if with_gallery:
            items = rng.standard_normal((len(ITEM_LABELS), 4))
            items[2] = old[same[1]]  # the gallery holds a query, by its row …
            item_ids = 100 + np.arange(len(ITEM_LABELS))
            item_ids[8] = np.flatnonzero(labels == 1)[0]  # … and one by its id
            self.gallery = FeatureSet(items, ITEM_LABELS, item_ids, rng.integers(0, 4, len(ITEM_LABELS)))

    def apart(self) -> np.ndarray:
        """Whether query i and item j never meet, shape (N, M), by a search through all rows."""
        sets = [self.old] if self.gallery is None else [self.old, self.gallery]
        labels, groups, ids = (np.concatenate([getattr(s, name) for s in sets]) for name in ("labels", "groups", "ids"))
        rows = np.concatenate([s.features for s in sets])
        count, num = len(labels), len(self.old)
        linked = np.zeros((count, count), dtype=bool)
        for a in range(count):
            for b in range(count):
                shot = labels[a] == labels[b] and groups[a] == groups[b]
                copy = labels[a] == labels[b] and np.array_equal(rows[a], rows[b])
                linked[a, b] = shot or copy or ids[a] == ids[b]
        for _ in range(count):  # through other rows too
            linked = (linked.astype(int) @ linked.astype(int)) > 0
        return linked[:num, :num] if self.gallery is None else linked[:num, num:]

    @property
    def items(self) -> FeatureSet:
        return self.old if self.gallery is None else self.gallery

    def shrinkage(self, metric: str = "sqeuclidean") -> np.ndarray:
        """t of every query with every item."""
        power = 1.0 if metric == "sqeuclidean" else 0.5
        t = np.empty((len(self.old), len(self.items)))
        for i, (u, v) in enumerate(zip(self.new.unit, self.old.unit, strict=True)):
            for j, g in enumerate(self.items.unit):
                t[i, j] = np.sum((v - g) ** 2) ** power - np.sum((u - g) ** 2) ** power
        return t

    def upgrade(self) -> Upgrade:
        return Upgrade(self.new, self.old, self.gallery)


@pytest.fixture(params=[False, True], ids=["samples", "gallery"])
def data(request):
    return Data(request.param)


@pytest.fixture(params=["all pairs", "sums"])
def source(request, monkeypatch, data):
    """The statistics of the squared distance, both ways."""
    if request.param == "sums":
        monkeypatch.setattr(gaps, "ALL_PAIRS_BUDGET", 0.0)
    found = data.upgrade().statistics()
    assert isinstance(found, LinearPairs) == (request.param == "sums")
    return found


def test_units_are_those_of_the_definition(data):
    reading = data.upgrade().read()
    items = reading.units if data.gallery is None else reading.gallery_units
    np.testing.assert_array_equal(reading.units[:, None] == items, data.apart())
    assert reading.copies == 2
    assert reading.in_gallery == (0 if data.gallery is None else 2)
    # what makes this a test: units of several rows, of unequal size, some through a copy alone
    sizes = np.unique(data.apart().sum(axis=1))
    assert len(sizes) >= 3


def test_never_met_by_slices(data):
    reading = data.upgrade().read()
    rows, gallery = reading.rows, reading.gallery
    items = rows if gallery is None else gallery
    expected = rows.units[:, None] == items.units
    for some in (slice(0, len(rows.codes)), slice(3, 11), slice(5, 6)):
        found = np.zeros(expected[some].shape, dtype=int)
        np.add.at(found, never_met(rows, some, gallery), 1)
        np.testing.assert_array_equal(found, expected[some])


@pytest.mark.parametrize("with_gallery", [False, True])
def test_without_units_a_query_leaves_out_itself_alone(with_gallery):
    rng = np.random.default_rng(0)
    rows, gallery = (
        Rows(models=rng.standard_normal((2, 5, 3)), codes=np.array([0, 0, 0, 1, 1]), sizes=np.array([3, 2]))
        for _ in range(2)
    )
    query, item = never_met(rows, slice(1, 4), gallery if with_gallery else None)
    assert list(query) == ([] if with_gallery else [0, 1, 2])
    assert list(item) == ([] if with_gallery else [1, 2, 3])


def by_class(values: np.ndarray, use: np.ndarray, data: Data, first: int, second: int) -> list[float]:
    chosen = use & (data.old.labels[:, None] == first) & (data.items.labels == second)
    return list(values[chosen])


@pytest.mark.parametrize("metric", ["sqeuclidean", "euclidean"])
def test_means_over_pairs_that_meet(data, metric):
    t, meet = data.shrinkage(metric), ~data.apart()
    found = data.upgrade()
    check_means(found.statistics(metric), found.labels, t, meet, data)


def test_means_from_sums_too(data, source):
    check_means(source, data.upgrade().labels, data.shrinkage(), ~data.apart(), data)


def check_means(source, labels, t, meet, data):
    own = [by_class(t, meet, data, c, c) for c in labels]
    np.testing.assert_array_equal(source.same_pairs(), [len(values) for values in own])
    expected = [np.mean(values) if values else 0.0 for values in own]
    some = source.same_pairs() > 0
    np.testing.assert_allclose(source.same_means()[some], np.array(expected)[some], atol=ROUNDING)
    sides, _ = estimate(source)
    different = meet & (data.old.labels[:, None] != data.items.labels)
    same = meet & (data.old.labels[:, None] == data.items.labels)
    weighted = sides["pairs"]
    assert weighted.same_class.fixed.value == pytest.approx(t[same].mean(), abs=ROUNDING)
    assert weighted.different_class.fixed.value == pytest.approx(-t[different].mean(), abs=ROUNDING)
    assert (weighted.same_class.num_pairs, weighted.different_class.num_pairs) == (same.sum(), different.sum())
    assert weighted.contrast.value == pytest.approx(t[same].mean() - t[different].mean(), abs=ROUNDING)
    if not isinstance(source, LinearPairs):
        assert weighted.same_class.pair_fraction == np.mean(t[same] >= 0)
        assert weighted.different_class.pair_fraction == np.mean(t[different] <= 0)
    pairs = [by_class(t, meet, data, y, z) for y in labels for z in labels if y != z]
    weighted = sides["classes"]
    assert weighted.same_class.fixed.value == pytest.approx(np.mean([np.mean(v) for v in own if v]), abs=ROUNDING)
    assert weighted.different_class.fixed.value == pytest.approx(
        -np.mean([np.mean(values) for values in pairs if values]), abs=ROUNDING
    )


def test_contributions_of_rows(data, source):
    """own(), met() and others() of every kept row, whose mean over rows gives back the mean over pairs."""
    t, meet = data.shrinkage(), ~data.apart()
    same = meet & (data.old.labels[:, None] == data.items.labels)
    different = data.old.labels[:, None] != data.items.labels
    roles = [(source.rows, 1)] if data.gallery is None else [(source.rows, 1), (source.gallery, 0)]
    values = t if data.gallery is not None else 0.5 * (t + t.T)
    for (rows, axis), own, met in zip(roles, source.own(), source.met(), strict=True):
        count = same.sum(axis=axis)[rows.index]
        np.testing.assert_array_equal(met, count)
        total = np.where(same, values, 0.0).sum(axis=axis)[rows.index]
        np.testing.assert_allclose(own, total / np.maximum(count, 1), atol=ROUNDING)
        assert len(np.unique(count)) > 1  # rows of one class do not all have as many partners
    for weighting in WEIGHTINGS:
        weights = Weights.of(
            weighting, source.sizes, None if data.gallery is None else source.gallery_sizes, source.same_pairs()
        )
        n, m = np.maximum(source.sizes, 1), np.maximum(source.gallery_sizes, 1)
        place = {label: at for at, label in enumerate(data.upgrade().labels)}
        first, second = (np.array([place[c] for c in s.labels]) for s in (data.old, data.items))
        # what a pair weighs in the mean, times the class's size: the contribution of a row of the class
        forward = np.where(different, t, 0.0) * (weights.gallery / m)[second]
        backward = np.where(different, t, 0.0) * (weights.query / n)[first][:, None]
        queries = weights.query[first] * forward.sum(axis=1)
        items = weights.gallery[second] * backward.sum(axis=0)
        found = source.others(weights)
        if data.gallery is None:
            np.testing.assert_allclose(found[0], (queries + items)[source.rows.index], atol=ROUNDING)
        else:
            np.testing.assert_allclose(found[0], queries[source.rows.index], atol=ROUNDING)
            np.testing.assert_allclose(found[1], items[source.gallery.index], atol=ROUNDING)


def test_pairs_left_out_and_their_products(data, monkeypatch):
    apart = data.apart() & (data.old.labels[:, None] == data.items.labels)
    products = (data.new.unit - data.old.unit) @ data.items.unit.T
    old_products = data.old.unit @ data.items.unit.T
    for at_once in (2**24, 1):  # unit sums of all units, and of one at a time
        monkeypatch.setattr("verification.upgrade.UNIT_NUMBERS", at_once)
        upgrade = data.upgrade()
        left_out = upgrade.read().left_out
        for c, label in enumerate(upgrade.labels):
            own = apart & (data.old.labels == label)[:, None]
            assert left_out.pairs[c] == own.sum()
            assert left_out.products[c] == pytest.approx(products[own].sum(), abs=ROUNDING)
            assert left_out.old_products[c] == pytest.approx(old_products[own].sum(), abs=ROUNDING)
        blank = left_out.without_new()
        np.testing.assert_array_equal(blank.products, -left_out.old_products)
        np.testing.assert_array_equal(blank.pairs, left_out.pairs)


def test_the_drawn_intervals_are_jackknives_over_classes(data, source):
    """1a is a mean over classes, 1b a mean over pairs of classes; of each, and of the sum, one class left out."""
    labels = data.upgrade().labels
    t, meet = data.shrinkage(), ~data.apart()
    some = np.flatnonzero(source.same_pairs() > 0)
    means = np.array([[np.mean(by_class(t, meet, data, y, z)) for z in labels[some]] for y in labels[some]])

    def gap(kept: list[int]) -> np.ndarray:
        block = means[np.ix_(kept, kept)]
        same, off = np.diag(block), ~np.eye(len(kept), dtype=bool)
        return np.array([same.mean(), -block[off].mean(), same.mean() - block[off].mean()])

    count = len(some)
    assert count >= 3
    every = list(range(count))
    left = np.array([gap([c for c in every if c != one]) for one in every])
    errors = np.sqrt((count - 1) / count * np.sum((left - left.mean(axis=0)) ** 2, axis=0))
    for found, value, error in zip(drawn_estimates(source), gap(every), errors, strict=True):
        assert found.value == pytest.approx(value, abs=ROUNDING)
        assert found.standard_error == pytest.approx(error, rel=1e-9)  # differences of means
        assert found.freedom == count - 1


def test_too_few_classes_tell_nothing_of_new_ones():
    rng = np.random.default_rng(0)
    for count, finite in ((2, [True, False, False]), (3, [True, True, True])):
        labels = np.repeat(np.arange(count), 5)
        new, old = (FeatureSet(rng.standard_normal((len(labels), 4)), labels) for _ in range(2))
        found = drawn_estimates(Upgrade(new, old).statistics())
        assert [np.isfinite(one.standard_error) for one in found] == finite


def test_equal_rows_have_equal_hashes_and_others_do_not():
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((20_000, 6)).astype(np.float32)
    hashes = hash_rows(rows)
    assert len(np.unique(hashes)) == len(rows)
    np.testing.assert_array_equal(hash_rows(rows.astype(np.float64)), hashes)
    np.testing.assert_array_equal(hash_rows(rows[::-1].copy()), hashes[::-1])
    zero = rows.copy()
    zero[:, 2] = 0.0
    negative = zero.copy()
    negative[:, 2] = -0.0
    np.testing.assert_array_equal(hash_rows(zero), hash_rows(negative))
    # one bit, two coordinates exchanged, the sign
    for other in (np.nextafter(rows, np.float32(9)), rows[:, [1, 0, 2, 3, 4, 5]], -rows):
        assert not np.any(hash_rows(np.ascontiguousarray(other)) == hashes)
    # nothing but signs: embeddings of one bit a coordinate
    signs = np.unique(np.sign(rng.standard_normal((20_000, 24))), axis=0).astype(np.float32)
    assert len(np.unique(hash_rows(signs))) == len(signs) > 19_000
    half = rows.astype(np.float16)
    np.testing.assert_array_equal(hash_rows(half), hash_rows(half.astype(np.float64)))


@pytest.mark.parametrize("small", [True, False])
def test_rows_without_identity_count_nowhere(monkeypatch, small):
    if not small:
        monkeypatch.setattr(collecting, "SMALL", 0)
        monkeypatch.setattr(collecting, "PART_ROWS", 300)
        monkeypatch.setattr(collecting, "BLOCK_ROWS", 64)
    rng = np.random.default_rng(0)
    codes = rng.integers(-1, 4, 1000)
    codes[128:192] = -1  # a block with nobody
    sets = [FeatureSet(rng.standard_normal((1000, 5)), np.zeros(1000, int)) for _ in range(2)]
    here = np.flatnonzero(codes >= 0)
    sizes = np.bincount(codes[here], minlength=4)
    sums, rows, facts = collect(sets, codes, sizes, here[::3])
    np.testing.assert_array_equal(sums.counts, sizes)
    new, old = (s.unit for s in sets)
    for total, values in zip(sums.sums, (new - old, old), strict=True):
        expected = [values[codes == c].sum(axis=0) for c in range(4)]
        np.testing.assert_allclose(total, expected, atol=1e-11)
    np.testing.assert_array_equal(np.sort(rows.index), here[::3])
    np.testing.assert_allclose(rows.old, old[rows.index], atol=1e-15)
    # facts are of every row, also of those that count nowhere
    assert facts.hashes.shape == (2, 1000)
    np.testing.assert_array_equal(facts.hashes[1], hash_rows(sets[1].features))
    np.testing.assert_allclose(facts.products, np.vecdot(new - old, old), atol=1e-14)
    lengths = [np.linalg.norm(s.features, axis=1) for s in sets]
    np.testing.assert_allclose(facts.lengths, [[some.min(), some.max()] for some in lengths])


def two_shots(
    rng: np.random.Generator, groups: int, rows: int, own: float = 0.7, noise: float = 0.2, grouped: bool = True
) -> Upgrade:
    """``groups`` objects a class of ``rows`` shots each, nearly alike; the classes are the same in every draw."""
    classes = 20
    centres = np.random.default_rng(7).standard_normal((classes, 8))
    labels = np.repeat(np.arange(classes), groups * rows)
    objects = np.repeat(np.arange(classes * groups), rows)
    of_object = own * rng.standard_normal((classes * groups, 8))[objects]
    old, new = (
        centres[labels] + scale * of_object + noise * rng.standard_normal(of_object.shape) for scale in (1.0, 0.9)
    )
    units = objects if grouped else None
    return Upgrade(FeatureSet(new, labels, groups=units), FeatureSet(old, labels, groups=units))


def measured(upgrade: Upgrade) -> Definition1Report:
    return judge(upgrade, Options(decide=("definition-1",))).definition1


@pytest.mark.parametrize("rows", [1, 3])
def test_two_units_of_a_class_have_no_spread_between_them(rows: int) -> None:
    """Every pair joins the two, so each of them has the same mean: their class alone cannot tell an error."""
    report = measured(two_shots(np.random.default_rng(0), 2, rows))
    assert all(not np.isfinite(entry.interval.lower) for entry in report.by_class)
    for judged in (report.same_class, report.contrast_gap):
        assert judged is not None
        # 20 classes; a class's 1a varies by about 0.06
        assert judged.fixed.upper - judged.fixed.lower > 0.02
    gaps = estimate(two_shots(np.random.default_rng(0), 2, rows).statistics())[0]["pairs"]
    apart = gaps.same_class.fixed.standard_error + gaps.different_class.fixed.standard_error
    assert gaps.contrast.standard_error == pytest.approx(apart, rel=1e-12)


def shots_of(groups: int, own: float = 0.7, noise: float = 0.2, rows: int = 3) -> Draw:
    return lambda rng: two_shots(rng, groups, rows, own, noise, grouped=rows > 1)


@pytest.mark.parametrize("count", [4, 7])
def test_groups_of_one_sample_are_samples(count: int) -> None:
    drawn = [two_shots(np.random.default_rng(3), count, 1, grouped=grouped) for grouped in (True, False)]
    for weighting in WEIGHTINGS:
        grouped, alone = (estimate(upgrade.statistics())[0][weighting] for upgrade in drawn)
        for one, other in zip(
            (*(side.fixed for side in grouped.sides), grouped.contrast),
            (*(side.fixed for side in alone.sides), alone.contrast),
            strict=True,
        ):
            assert one.value == pytest.approx(other.value, abs=ROUNDING)
            assert one.standard_error == pytest.approx(other.standard_error, rel=1e-9)
            assert one.freedom == pytest.approx(other.freedom, rel=1e-9)


@pytest.mark.simulations
@pytest.mark.parametrize(
    ("draw", "width"),
    [
        # nobody knows how three units of a class differ: as if only each by itself
        (shots_of(2), np.inf),
        (shots_of(3), 2.0),
        (shots_of(4), 1.3),
        (shots_of(6), 1.3),
        (shots_of(5, own=0.1, noise=0.6), 1.3),
        (shots_of(4, rows=1), 1.3),
        (shots_of(5, rows=1), 1.3),
        (shots_of(5, own=0.1, noise=0.6, rows=1), 1.3),
    ],
)
def test_intervals_of_few_units_a_class_cover(draw: Draw, width: float) -> None:
    rng, runs = np.random.default_rng(0), 400
    found = [estimate(draw(rng).statistics())[0]["pairs"] for _ in range(runs)]
    for of, level in ((lambda g: g.same_class.fixed, 0.975), (lambda g: g.contrast, 0.95)):
        sides = [of(gaps) for gaps in found]
        values = np.array([side.value for side in sides])
        halves = np.array([side.standard_error * upper_quantile((1.0 - level) / 2.0, side.freedom) for side in sides])
        deviations = values - values.mean()
        covered = np.mean(np.abs(deviations) <= halves)
        # two standard errors of a share
        assert covered > level - 2.0 * np.sqrt(level * (1.0 - level) / runs)
        assert halves.mean() < width * upper_quantile((1.0 - level) / 2.0, np.inf) * values.std()


def unequal(rng: np.random.Generator, common: float, groups: int = 12, classes: int = 6) -> Upgrade:
    """Groups of 2 to 12 shots, in classes that the new model treats differently; old features share a mean."""
    sizes = rng.integers(2, 13, (classes, groups))
    labels, objects = (
        np.repeat(np.arange(classes), sizes.sum(axis=1)),
        np.repeat(np.arange(classes * groups), sizes.ravel()),
    )
    centres = 1.2 * np.random.default_rng(7).standard_normal((classes, 6))
    own = np.linspace(0.3, 1.2, classes)[labels, None] * rng.standard_normal((classes * groups, 6))[objects]
    pulled = np.linspace(0.3, 1.0, classes)[labels, None]
    old, new = (s * centres[labels] + own + 0.2 * rng.standard_normal(own.shape) for s in (1.0, pulled))
    return Upgrade(FeatureSet(new, labels, groups=objects), FeatureSet(old + common, labels, groups=objects))


def mean_gaps(upgrade: Upgrade, there: np.ndarray) -> np.ndarray:
    """Gaps 1a, 1b and contrast over all pairs of some rows that meet."""
    new, old, labels, groups = (
        values[there] for values in (upgrade.new.unit, upgrade.old.unit, upgrade.old.labels, upgrade.old.groups)
    )
    t = 2.0 * (new @ old.T - old @ old.T)
    same, meet = labels[:, None] == labels, groups[:, None] != groups
    gaps = t[same & meet].mean(), -t[~same].mean()
    return np.array([*gaps, sum(gaps)])


@pytest.mark.parametrize("common", [0.0, 1.5])
def test_the_error_is_that_of_leaving_out_one_group_at_a_time(common: float) -> None:
    """Of groups of unequal size the larger weigh more in a mean over pairs, and so do the classes that have them."""
    upgrade = unequal(np.random.default_rng(0), common)
    gaps = estimate(upgrade.statistics())[0]["pairs"]
    groups, labels = upgrade.old.groups, upgrade.old.labels
    assert groups is not None
    assert labels is not None
    variance = np.zeros(3)
    for label in np.unique(labels):
        names = np.unique(groups[labels == label])
        without = np.array([mean_gaps(upgrade, groups != name) for name in names])
        variance += (len(names) - 1) / len(names) * np.sum((without - without.mean(axis=0)) ** 2, axis=0)
    sides = gaps.same_class.fixed, gaps.different_class.fixed, gaps.contrast
    np.testing.assert_allclose([side.value for side in sides], mean_gaps(upgrade, groups == groups), atol=1e-9)
    # a linear approximation against differences, with twelve groups a class
    np.testing.assert_allclose([side.standard_error for side in sides], np.sqrt(variance), rtol=0.15)


def dominated(seed: int, largest: int, classes: int = 12, groups: int = 20) -> Upgrade:
    """Two draws of one law, half of whose noise a group shares; one group of the first class has so many rows."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 4, (classes, groups))
    sizes[0, 0] = largest
    labels = np.repeat(np.arange(classes), sizes.sum(axis=1))
    objects = np.repeat(np.arange(classes * groups), sizes.ravel())
    centres = simplex_vertices(classes, 16)[labels]

    def model() -> FeatureSet:
        shared = rng.standard_normal((classes * groups, 16))[objects]
        rows = centres + 0.18 * (shared + rng.standard_normal(centres.shape))
        return FeatureSet(rows, labels, groups=objects)

    return Upgrade(model(), model())


def test_a_group_that_is_most_of_its_class_tells_as_little_as_one_or_two() -> None:
    rows = dominated(0, 120).read().rows
    counts = np.bincount(rows.unit_codes)[rows.unit_classes == 0]
    assert rows.effective_units[0] == pytest.approx(counts.sum() ** 2 / np.sum(counts**2))
    assert rows.effective_units[0] < 2.0
    assert np.all(rows.effective_units[1:] > 12.0)
    even = estimate(dominated(0, 2).statistics())[0]["pairs"].same_class.fixed
    odd = estimate(dominated(0, 120).statistics())[0]["pairs"].same_class.fixed
    assert odd.standard_error > 4.0 * even.standard_error
    assert odd.freedom < 2.0 * even.freedom
    # a group of half of a class, which still tells its own error: 19 degrees of freedom if groups counted alike
    half = estimate(dominated(0, 40).statistics())[0]["pairs"]
    assert max(half.same_class.fixed.freedom, half.different_class.fixed.freedom) < 10.0
    assert not any("mostly one group" in remark for remark in dominated(0, 2).findings())
    assert any("Class 0 is mostly one group, which has 8" in remark for remark in dominated(0, 160).findings())


@pytest.mark.simulations
@pytest.mark.parametrize("largest", [20, 120])
def test_intervals_allow_for_a_group_that_is_most_of_its_class(largest: int) -> None:
    """Before, 28 % of the intervals of 1a missed the truth where one group had 120 of 160 rows."""
    runs = 200
    missed = np.zeros(3)
    for seed in range(runs):
        report = judge_definition1(
            dominated(seed, largest), "sqeuclidean", 0.95, Margin(0.0), "pairs", Population.fixed
        )
        assert report.contrast_gap is not None
        sides = report.same_class, report.different_class, report.contrast_gap
        missed += [not side.fixed.contains(0.0) for side in sides]
    allowed = np.array([0.025, 0.025, 0.05])
    assert np.all(missed / runs <= allowed + 2.0 * np.sqrt(allowed * (1.0 - allowed) / runs))

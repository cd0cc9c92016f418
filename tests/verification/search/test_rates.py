"""Accept rates at a threshold: open-set identification and lists of pairs, with intervals that cover."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from verification.features import FeatureSet
from verification.search.nearest import Found, search
from verification.search.openset import compare_open_set
from verification.search.pairs import PairList, compare_pairs, pair_similarities
from verification.search.rates import Rates, compare_rates, inflation_by_members, threshold_at, wilson_interval


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def template_search(seed=27, dim=512, people=500, enrolled=300, num=2000):
    """One mean template per enrolled person, and probes of all people by the old and by the new model."""
    rng = np.random.default_rng(seed)
    axes = unit(rng.standard_normal((people, dim)))
    scale = np.sqrt(dim)
    templates = np.stack(
        [np.mean(axis + 1.2 / scale * rng.standard_normal((5, dim)), axis=0) for axis in axes[:enrolled]]
    )
    person = rng.integers(0, people, num)
    old = axes[person] + 2.6 / scale * rng.standard_normal((num, dim))
    new = axes[person] + 2.2 / scale * rng.standard_normal((num, dim)) + 0.25 * unit(np.ones((1, dim)))
    gallery = FeatureSet(templates.astype("f4"), np.arange(enrolled))
    return gallery, [FeatureSet(rows.astype("f4"), person).unit for rows in (old, new)], person


def test_probes_that_are_not_enrolled():
    gallery, models, person = template_search()
    found = search(models, gallery, 1)
    right = found.rows[:, :, 0] == person
    report = compare_open_set(found, right, person < 300, fpir=0.01)
    rates = report.rates
    assert (round(report.rank1.old.value, 3), round(report.rank1.new.value, 3)) == (1.0, 1.0)
    assert rates.false_accepts.old.value == pytest.approx(0.01, abs=1 / rates.num_impostors)
    assert round(rates.false_accepts.new.value, 3) == 0.016
    assert (round(rates.true_accepts.old.value, 3), round(rates.true_accepts.new.value, 3)) == (0.998, 1.0)
    # by hand
    unknown, known = person >= 300, person < 300
    cosines = np.stack([rows @ gallery.unit.T for rows in models])
    nearest = cosines.max(axis=2)
    # both thresholds are cosines of these, rounded as the product of other matrices is
    at, kept_at = rates.threshold - 1e-12, rates.kept_threshold.value - 1e-12
    assert rates.false_accepts.new.value == np.mean(nearest[1, unknown] >= at)
    assert np.sum(nearest[1, unknown] >= kept_at) == np.sum(nearest[0, unknown] >= at)
    hits = (nearest[1, known] >= kept_at) & (cosines[1, known].argmax(axis=1) == person[known])
    assert rates.true_accepts_kept.new.value == np.mean(hits)
    assert rates.kept_threshold.lower <= rates.kept_threshold.value <= rates.kept_threshold.upper
    assert rates.kept_threshold.value > rates.threshold
    again = compare_open_set(found, right, known, threshold=rates.threshold)
    assert again == report
    grouped = compare_open_set(found, right, known, fpir=0.01, groups=person)
    assert grouped.rates.unit == "group"
    assert grouped.rates.false_accepts.change.value == rates.false_accepts.change.value
    assert grouped.rates.false_accepts.change.half >= rates.false_accepts.change.half


def test_a_wrong_identity_is_no_detection():
    found = Found(rows=np.zeros((2, 4, 1), int), similarity=np.full((2, 4, 1), 0.9))
    right = np.array([[True, True, False, False], [True, False, False, False]])
    report = compare_open_set(found, right, np.array([True, True, True, False]), threshold=0.5)
    assert report.rates.true_accepts.old.value == pytest.approx(2 / 3)
    assert report.rates.true_accepts.new.value == pytest.approx(1 / 3)
    assert report.rank1.change.value == pytest.approx(-1 / 3)
    assert report.rates.false_accepts.old.value == 1.0


def test_threshold_of_a_rate():
    scores = np.array([0.1, 0.5, 0.5, 0.9])
    for rate, accepted in ((0.0, 0), (0.24, 0), (0.25, 1), (0.5, 1), (0.74, 1), (0.75, 3), (1.0, 4)):
        assert np.sum(scores >= threshold_at(scores, rate)) == accepted
    tenths = np.arange(10.0)
    for count in range(10):
        assert np.sum(tenths >= threshold_at(tenths, count / 10)) == count


def test_wilsons_interval_is_that_of_scipy():
    for hits in (0, 3, 20):
        values = np.r_[np.ones(hits), np.zeros(20 - hits)]
        expected = stats.binomtest(hits, 20).proportion_ci(0.95, "wilson")
        # at the ends SciPy clips what rounding leaves
        np.testing.assert_allclose(wilson_interval(values, 0.05), (expected.low, expected.high), atol=1e-15)


@pytest.mark.parametrize("ends", [1, 2])
def test_the_inflation_is_a_jackknife_over_members(ends):
    """Against a loop over members that leaves each out; pairs of the same two members are counted with one of them."""
    rng = np.random.default_rng(1)
    members = rng.integers(0, 8, (ends, 40))  # some pairs twice, some of a sample with itself
    values = rng.standard_normal(8)[members].sum(axis=0) + 0.1 * rng.standard_normal(40)
    e = values - values.mean()
    total = 0.0
    for member in range(8):
        there = (members == member).any(axis=0)
        total += (40 * (values[~there].mean() - values.mean())) ** 2
    if ends == 2:
        pairs = np.sort(members, axis=0)
        for pair in {tuple(pair) for pair in pairs.T if pair[0] != pair[1]}:
            total -= e[(pairs == np.array(pair)[:, None]).all(axis=0)].sum() ** 2
    share = np.bincount(members.ravel()) / members.size
    ratio = stats.t.ppf(0.975, 1 / np.sum(share**2) - 1) / stats.norm.ppf(0.975)
    assert inflation_by_members(values, list(members), 0.05) == pytest.approx(total / (e @ e) * ratio**2, rel=1e-9)


def test_two_members_have_one_degree_of_freedom():
    """Two groups of five: (S/(1 − ½))² of each over Σ e², and Student's quantile of one degree of freedom."""
    values = np.array([1.0, 2.0, 0.0, 1.0, 3.0, 0.0, -1.0, 0.0, 1.0, -2.0])
    e = values - values.mean()
    total = 2.0 * (2.0 * e[:5].sum()) ** 2
    ratio = stats.t.ppf(0.975, 1) / stats.norm.ppf(0.975)
    found = inflation_by_members(values, [np.repeat([0, 1], 5)], 0.05)
    assert found == pytest.approx(total / (e @ e) * ratio**2, rel=1e-9)


def test_what_says_nothing_of_the_dependence():
    values = np.array([0.0, 1.0, 1.0])
    assert inflation_by_members(values, [], 0.05) == 1.0
    assert inflation_by_members(values[:1], [np.zeros(1, int)], 0.05) == 1e12
    assert inflation_by_members(values, [np.zeros(3, int)], 0.05) == 1e12
    # a member of all the pairs, though each has another one too
    assert inflation_by_members(values, [np.zeros(3, int), np.arange(1, 4)], 0.05) == 1e12
    # values that do not vary: no inflation but Student's
    ratio = stats.t.ppf(0.975, 2) / stats.norm.ppf(0.975)
    assert inflation_by_members(np.ones(3), [np.arange(3)], 0.05) == pytest.approx(ratio**2)
    # two values of two members are two groups
    assert inflation_by_members(values[:2], [np.arange(2)], 0.05) < 1e6


def test_a_wider_wilson_interval_is_that_of_fewer_hits():
    """An inflation of two is half as many independent hits."""
    values = np.r_[np.ones(6), np.zeros(14)]
    expected = stats.binomtest(3, 10).proportion_ci(0.9, "wilson")
    np.testing.assert_allclose(wilson_interval(values, 0.1, 2.0), (expected.low, expected.high), rtol=1e-12)
    assert wilson_interval(values, 0.1) == wilson_interval(values, 0.1, 1.0)


def test_one_member_says_nothing_of_the_spread():
    values, one = np.array([0.0, 1.0, 1.0]), np.zeros(3, int)
    rates = Rates(0.95, [one], "group").paired(values > 0.5, values > 0.5, np.full(3, True))
    assert (rates.old.lower, rates.old.upper) == pytest.approx((0.0, 1.0), abs=1e-6)
    assert (rates.change.lower, rates.change.upper) == pytest.approx((-1.0, 1.0), abs=1e-3)


def misses(as_pairs: bool, runs: int = 400) -> tuple[float, float]:
    """How often intervals miss a true rate and a true change of 0, for pairs whose samples make them alike."""
    rng = np.random.default_rng(8)
    first, second = rng.choice(60 * 60, 700, replace=False) // np.array([[60], [1]]) % 60
    first, second = first[first != second], second[first != second]
    some, missed = np.full(len(first), True), np.zeros(2)
    for _ in range(runs):
        hits = []
        for _ in range(2):
            bent = rng.standard_normal(60)
            noise = np.sqrt(0.5) * rng.standard_normal(len(first))
            hits.append((bent[first] + bent[second]) * 0.5 + noise < -1.0)
        found = Rates(0.95, [first, second] if as_pairs else [], "sample").paired(*hits, some)
        # over the samples too, an acceptance has the chance of N(0, 1) < −1
        missed += not found.old.contains(float(stats.norm.cdf(-1.0))), not found.change.contains(0.0)
    return tuple(missed / runs)


def test_intervals_of_pairs_take_the_sample_for_a_unit():
    sampling = 3 * np.sqrt(0.05 * 0.95 / 400)
    assert max(misses(True)) <= 0.05 + sampling
    assert min(misses(False)) > 0.15


@pytest.mark.parametrize(
    "form",
    [
        "a b 1\nc d 0\nx y 1\n",
        "left,right,label\na,b,same\nc , d,different\nx,y,same",
        "a\tb\tTrue\nc\td\tFALSE\nx\ty\ttrue",
    ],
)
def test_lists_of_pairs(form, tmp_path):
    path = tmp_path / "pairs"
    path.write_text(form)
    pairs = PairList.from_file(path, ["c", "a"], ["d", "e", "b"])
    np.testing.assert_array_equal([pairs.query, pairs.item, pairs.same], [[1, 0], [2, 0], [1, 0]])
    assert pairs.unknown == 1
    with pytest.raises(ValueError, match="none is; the first is 'a' and 'b'"):
        PairList.from_file(path, ["z"], ["b"])


def test_unusable_lists_of_pairs_are_refused(tmp_path):
    path = tmp_path / "pairs"
    for text, message in (
        ("left right label\n", "line 1: the third column must be one of .* got 'label'"),
        ("left right label\na b\n", "line 2: must have two ids and whether they are the same, got 2 columns"),
        ("a,b,1,0\n", "line 1: must have two ids and whether they are the same, got 4 columns"),
        ("a b 1\na b\n", "line 2: must have two ids and whether they are the same, got 2 columns"),
        (
            "a b 1\na b maybe\n",
            "line 2: the third column must be one of 1, same, true, 0, different, false, got 'maybe'",
        ),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            PairList.from_file(path, ["a"], ["b"])


@pytest.mark.parametrize("kind", ["cosine", "dot", "l2"])
def test_far_and_tar_of_pairs_by_hand(kind):
    rng = np.random.default_rng(2)
    gallery = FeatureSet(rng.standard_normal((50, 6)), np.arange(50))
    models = [rng.standard_normal((40, 6)) for _ in range(2)]
    models = [unit(rows) for rows in models] if kind == "cosine" else models
    query, item = np.divmod(rng.choice(40 * 50, 500, replace=False), 50)
    pairs = PairList(query=query, item=item, same=rng.random(500) < 0.3)
    items = gallery.unit if kind == "cosine" else gallery.features
    similarity = pair_similarities(models, gallery, pairs, kind)
    for model, values in zip(models, similarity, strict=True):
        first, second = model[pairs.query], items[pairs.item]
        expected = -np.sum((first - second) ** 2, axis=1) if kind == "l2" else np.sum(first * second, axis=1)
        np.testing.assert_allclose(values, expected, rtol=1e-12, atol=1e-14)
    report = compare_pairs(similarity, pairs, np.arange(40), np.arange(40, 90), far=0.1)
    accepted = similarity >= report.threshold
    assert report.false_accepts.old.value == np.floor(0.1 * np.sum(~pairs.same)) / np.sum(~pairs.same)
    assert report.false_accepts.new.value == np.mean(accepted[1, ~pairs.same])
    assert report.true_accepts.change.value == pytest.approx(
        np.mean(accepted[1, pairs.same]) - np.mean(accepted[0, pairs.same]), rel=1e-12
    )
    assert report.unit == "sample"
    assert report.num_genuine + report.num_impostors == 500
    plain = compare_rates(similarity, pairs.same, Rates(0.95, [], "sample"), false_rate=0.1)
    assert report.false_accepts.new.half >= plain.false_accepts.new.half
    assert compare_pairs(similarity, pairs, np.arange(40), np.arange(40, 90), far=0.1, grouped=True).unit == "group"


def test_unusable_comparisons_are_refused():
    similarity, genuine, rates = np.zeros((2, 3)), np.array([True, False, False]), Rates(0.95, [], "sample")
    for options in ({}, {"threshold": 0.5, "false_rate": 0.1}):
        with pytest.raises(ValueError, match="one of the two"):
            compare_rates(similarity, genuine, rates, **options)
    with pytest.raises(ValueError, match=r"must be in \(0, 1\), got 1.0"):
        compare_rates(similarity, genuine, rates, false_rate=1.0)
    for kind, mask in (("impostor", [True] * 3), ("genuine", [False] * 3)):
        with pytest.raises(ValueError, match=f"got no {kind} one"):
            compare_rates(similarity, np.array(mask), rates, threshold=0.5)
    found = Found(rows=np.zeros((2, 3, 1), int), similarity=np.zeros((2, 3, 1)))
    for mask, some in (([True] * 3, "all"), ([False] * 3, "none")):
        with pytest.raises(ValueError, match=f"probes that are not, got {some}"):
            compare_open_set(found, np.ones((2, 3), bool), np.array(mask), threshold=0.5)
    with pytest.raises(ValueError, match=r"confidence must be in \(0, 1\)"):
        Rates(95, [], "sample")

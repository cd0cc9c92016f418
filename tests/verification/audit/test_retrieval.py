"""Retrieval beside geometry: exact intervals where bootstraps collapse, links between queries, verdicts, subsamples."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from tests.verification.samples import upgrade
from verification.audit import retrieval as compare
from verification.audit.retrieval import compare_retrieval
from verification.features import FeatureSet
from verification.search.judgements import Judgements
from verification.search.scores import average_precision, nearest_neighbor_hits
from verification.statistics.paired import cluster_interval, inflation, mean_interval, score_interval
from verification.upgrade import Upgrade


@pytest.mark.parametrize("margin", [0.0, 0.01, 0.05])
@pytest.mark.parametrize("num", [20, 100, 400])
def test_wrong_verdicts_enumerated(num, margin):
    """Every outcome of ``num`` queries whose true loss is the margin, chances from rare to even: at most 5 %."""
    for lost in margin + np.array([0.0, 0.002, 0.01, 0.05, 0.2, 0.4]):
        gained = lost - margin
        most = min(num, int(num * (gained + lost) + 6 * math.sqrt(num * (gained + lost)) + 8))
        if most > 60:
            continue  # the score is nearly normal there; the slow test goes on
        wrong = 0.0
        for g in range(most + 1):
            for miss in range(most + 1 - g):
                low, high = score_interval(g, miss, num, 0.05)
                if low >= -margin or high < -margin:
                    rest = 1.0 - gained - lost
                    wrong += stats.multinomial.pmf([g, miss, num - g - miss], num, [gained, lost, rest])
        assert wrong <= 0.05, lost


def test_the_score_interval_has_a_width_where_nothing_differs():
    low, high = score_interval(0, 0, 100, 0.05)
    assert high == pytest.approx(-low)
    # Tango's interval of no discordant pair, z²/(n + z²), and half a query more
    assert 3.84 / 103.84 < high < 3.84 / 103.84 + 2 * 0.5 / 100
    assert score_interval(0, 0, 100, 0.05, inflation=2.0)[1] > high
    assert score_interval(20, 0, 20, 0.05)[1] == 1.0
    assert score_interval(0, 20, 20, 0.05)[0] == -1.0


def test_score_intervals_mirror():
    low, high = score_interval(9, 2, 60, 0.05)
    assert score_interval(2, 9, 60, 0.05) == pytest.approx((-high, -low), abs=1e-9)
    assert low < 7 / 60 < high


def test_other_scores_take_t_with_a_floor():
    values = np.random.default_rng(0).uniform(-0.2, 0.4, 200)
    low, high = mean_interval(values, 0.05)
    half = stats.t.isf(0.025, 199) * values.std(ddof=1) / math.sqrt(200)
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half))
    nearly = np.zeros(100)
    nearly[0] = 1e-6
    assert mean_interval(nearly, 0.05)[1] > 0.03


def test_classes_that_differ_widen_the_interval_for_drawn_classes():
    codes = np.repeat(np.arange(10), 20)
    values = np.where(codes % 2 == 0, 1.0, -1.0) * (np.arange(200) % 2)
    within = mean_interval(values, 0.05)
    low, high = cluster_interval(values, codes, 0.05, within)
    # five classes of mean 1/2, five of −1/2
    half = stats.t.isf(0.025, 9) * 0.5 * math.sqrt(10 / 9) / math.sqrt(10)
    assert (low, high) == pytest.approx((-half, half))
    assert low < within[0] < within[1] < high
    assert cluster_interval(np.zeros(200), codes, 0.05, within) == within


def test_linked_queries_inflate_the_variance_as_a_loop_counts_it():
    rng = np.random.default_rng(0)
    own = np.arange(40)
    found = rng.integers(0, 12, (40, 2))
    found[:, 0] = np.where(found[:, 0] == own, (own + 1) % 12, found[:, 0])
    values = rng.choice([-1.0, 0.0, 1.0], 40)
    e = values - values.mean()
    total = 0.0
    for i in range(40):
        for j in range(40):
            shared = found[i, 0] == found[j, 0] or found[i, 1] == found[j, 1]
            direct = j in found[i] or i in found[j]
            total += e[i] * e[j] * (i == j or shared or direct)
    assert inflation(values, found, own) == pytest.approx(max(total / (e @ e), 1.0))
    assert inflation(np.zeros(40), found, own) == 1.0


@pytest.mark.parametrize("with_gallery", [False, True])
def test_scores_are_those_of_the_searches(with_gallery):
    new, old = upgrade(1.2, 1.3, num_classes=8, dim=16)
    gallery = upgrade(1.2, 1.3, num_classes=8, dim=16, num_samples=300, seed=4)[1] if with_gallery else None
    items, same = gallery or old, not with_gallery
    report = compare_retrieval(Upgrade(new, old, gallery), k=3)
    assert [score.name for score in report.scores] == ["recall@1", "recall@3", "mAP", "template"]
    first, several, precision, _ = report.scores
    for score, expected in (
        (first, lambda q, g: nearest_neighbor_hits(q, g, same_samples=same)),
        (several, lambda q, g: nearest_neighbor_hits(q, g, k=3, same_samples=same)),
        (precision, lambda q, g: average_precision(q, g, same_samples=same)),
    ):
        assert score.old_old == pytest.approx(expected(old, items).mean())
        assert score.new_old == pytest.approx(expected(new, items).mean())
        if with_gallery:
            assert score.new_new is score.reindexing is score.model is None
        else:
            assert score.new_new == pytest.approx(expected(new, new).mean())
            assert score.model.fixed.value == pytest.approx(score.new_new - score.old_old)
        for interval in (score.upgrade.fixed, score.upgrade.drawn):
            assert interval.value == pytest.approx(score.new_old - score.old_old)
            assert interval.lower < interval.value < interval.upper
    hits = [nearest_neighbor_hits(q, items, same_samples=same) for q in (new, old)]
    assert report.gained == np.mean(hits[0] & ~hits[1])
    assert report.lost == np.mean(hits[1] & ~hits[0])


def test_verdicts_and_margins():
    new, old = upgrade(0.9, 1.4, num_classes=8, dim=16, num_samples=800)
    _, gallery = upgrade(0.9, 1.1, num_classes=8, dim=16, num_samples=800, seed=1)
    assert compare_retrieval(Upgrade(new, old, gallery)).verdict == "compatible"
    against = Upgrade(old, new, gallery)
    worse = compare_retrieval(against)
    assert worse.verdict == "incompatible"
    assert worse.change.fixed == worse.scores[0].upgrade.fixed
    loss = -worse.change.lower
    assert compare_retrieval(against, margin=loss + 1e-9).verdict == "compatible"
    assert compare_retrieval(against, margin=f"{-100 * worse.change.value}%").verdict == "inconclusive"


def test_one_model_is_compatible_exactly_and_a_perfect_search_of_two_is_not():
    new, old = upgrade(0.2, 0.3)
    report = compare_retrieval(Upgrade(old, old))
    assert report.verdict == report.change.other_verdict == "compatible"
    for interval in (report.change.fixed, report.change.drawn):
        assert (interval.lower, interval.value, interval.upper) == (0.0, 0.0, 0.0)
    perfect = compare_retrieval(Upgrade(new, old))
    assert perfect.scores[0].old_old == perfect.scores[0].new_old == 1.0
    assert perfect.verdict == "inconclusive"
    assert compare_retrieval(Upgrade(new, old), margin="2%").verdict == "compatible"


def test_labels_of_many_items_and_of_none():
    """Several queries and several items a class; a query whose class is not in the gallery is left out and counted."""
    new, old = upgrade(0.3, 0.4, num_samples=200)
    some = np.flatnonzero(old.labels < 3)
    gallery = FeatureSet(old.features[some], old.labels[some])
    report = compare_retrieval(Upgrade(new, old, gallery))
    # it was a miss for both models, and the recall 0.6
    assert report.scores[0].old_old == 1.0
    assert (report.num_queries, report.num_lone, report.scores[0].num_queries) == (120, 80, 120)
    assert report.notes[0].startswith("80 queries have no item that answers them")
    assert report.lost == report.gained == 0.0


def test_queries_are_left_out_and_never_the_gallery(monkeypatch):
    new, old = upgrade(1.2, 1.3, num_samples=600)
    monkeypatch.setattr(compare, "SEARCH_WORK", 600 * (8 + compare.RANKING) * 150.0)
    monkeypatch.setattr(compare, "LEAST_QUERIES", 1)
    monkeypatch.setattr(compare, "RANKED_PAIRS", 120 * 40)  # of 40 queries, each with 120 items of its class
    report = compare_retrieval(Upgrade(new, old, seed=3))
    assert report.num_gallery == 600
    assert report.scores[0].num_queries == 150
    assert report.scores[2].num_queries == 40
    assert len(report.notes) == 2
    assert "the gallery was searched whole" in report.notes[0]
    assert report == compare_retrieval(Upgrade(new, old, seed=3))
    hits = nearest_neighbor_hits(old, old, same_samples=True)
    # five standard errors of 150 queries
    assert abs(report.scores[0].old_old - hits.mean()) < 5 * math.sqrt(0.25 / 150)


def test_a_part_of_the_queries_has_the_recall_of_all(monkeypatch):
    """Half of the queries are of one class and find another; the others, of 150 classes of four, find their own."""
    rng = np.random.default_rng(0)
    places = np.repeat(rng.standard_normal((150, 24)), 4, axis=0)
    places /= np.linalg.norm(places, axis=1, keepdims=True)
    around = np.linalg.qr(rng.standard_normal((24, 4)))[0].T[np.arange(600) % 4]
    rows = np.concatenate([places + 0.2 * around, places + 1e-3 * rng.standard_normal((600, 24))])
    features = FeatureSet(rows, np.concatenate([np.zeros(600, int), 1 + np.arange(600) // 4]))
    report = compare_retrieval(Upgrade(features, features))
    assert report.scores[0].old_old == 0.5
    monkeypatch.setattr(compare, "SEARCH_WORK", 0.0)
    monkeypatch.setattr(compare, "LEAST_QUERIES", 120)
    report = compare_retrieval(Upgrade(features, features))
    assert report.scores[0].num_queries == pytest.approx(120, abs=1)
    # rounding one class up or down moves a query
    assert report.scores[0].old_old == pytest.approx(0.5, abs=2 / 120)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"margin": "a lot"}, "the margin of retrieval must be a finite number >= 0"),
        ({"confidence": 0.0}, r"confidence must be in \(0, 1\), got 0.0"),
        ({"k": 0}, "k must be an integer >= 1, got 0"),
        ({"margin": 1}, "the margin of retrieval must be below 1, which accepts everything, got 1; 1% was meant"),
        ({"classes": "some"}, "classes must be one of fixed, drawn, got 'some'"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        compare_retrieval(Upgrade(*upgrade(0.3, 0.4, num_samples=20)), **arguments)


@pytest.mark.parametrize("similarity", ["dot", "l2"])
def test_an_index_of_raw_rows_is_searched_as_it_ranks(similarity):
    """Against a loop; rows of very different lengths, so that the cosine finds others."""
    new, old = upgrade(0.9, 1.1, num_samples=120)
    lengths = np.random.default_rng(0).uniform(0.2, 5.0, (2, 120, 1))
    sets = [FeatureSet(s.features * scale, s.labels) for s, scale in zip((new, old), lengths, strict=True)]
    items = sets[1].features
    expected = []
    for queries in (sets[1].features, sets[0].features):
        values = queries @ items.T if similarity == "dot" else -np.sum((queries[:, None] - items) ** 2, axis=2)
        np.fill_diagonal(values, -np.inf)
        expected.append(float(np.mean(old.labels[values.argmax(axis=1)] == old.labels)))
    score = compare_retrieval(Upgrade(*sets), similarity=similarity).scores[0]
    assert (score.old_old, score.new_old) == pytest.approx(expected, abs=1e-12)
    cosine = compare_retrieval(Upgrade(*sets)).scores[0]
    assert score.new_old != cosine.new_old
    with pytest.raises(ValueError, match="similarity must be one of cosine, dot, l2, hamming, got 'l1'"):
        compare_retrieval(Upgrade(*sets), similarity="l1")


def test_items_that_were_judged_and_are_of_the_queries_own_groups_are_named_as_the_reason():
    """A name whose group is its package may not find the descriptions of that package, which are the right ones."""
    rows, names = np.random.default_rng(0).standard_normal((2, 20, 4)), np.arange(20)
    gallery = FeatureSet(rows[0], groups=names)
    judged = Judgements(names, names, np.ones(20), 20, 20)

    def asked(groups):
        queries = FeatureSet(rows[1], groups=groups)
        return Upgrade(queries, queries, gallery, relevance=judged)

    with pytest.raises(ValueError, match=r"own id or group.*leave ids or groups out of the queries"):
        compare_retrieval(asked(names))
    assert compare_retrieval(asked(names + 20)).num_queries == 20

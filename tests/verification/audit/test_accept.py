"""Identification and listed pairs: units, signs and the verdict; and what every question takes for granted."""

from __future__ import annotations

import inspect
from dataclasses import MISSING, fields

import numpy as np
import pytest

from tests.verification.samples import upgrade
from verification.audit import accept, audit
from verification.audit.accept import compare_identification, compare_listed_pairs
from verification.audit.acceptance import Compared, Kernel
from verification.audit.decisions import check_decisions
from verification.audit.definition1 import judge_sides
from verification.audit.hypotheses import MAX_DRIFT, check_hypotheses
from verification.audit.judge import Options
from verification.audit.margin import Margin
from verification.audit.parts import RetrievalParts, hashed_sample
from verification.audit.plan import plan
from verification.audit.polar import polar_angles
from verification.audit.retrieval import compare_retrieval
from verification.audit.theorem import check_theorem
from verification.audit.threshold_report import UNITS, is_distance, is_raw
from verification.audit.thresholds import compare_thresholds
from verification.features import FeatureSet
from verification.search.pairs import PairList
from verification.statistics.interval import Criterion, Interval, Verdict
from verification.statistics.linear import LinearPairs
from verification.statistics.rows import Rows
from verification.statistics.variance import Estimate
from verification.statistics.weights import Weights
from verification.upgrade import Upgrade


def defaults(of):
    if inspect.isclass(of) and hasattr(of, "__dataclass_fields__"):
        return {field.name: field.default for field in fields(of) if field.default is not MISSING}
    parameters = inspect.signature(of).parameters.values()
    return {one.name: one.default for one in parameters if one.default is not inspect.Parameter.empty}


FAR = {"threshold": None, "far_margin": 0.0, "tar_margin": 0.0, "confidence": 0.95, "similarity": "cosine"}


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        (
            Options,
            {
                "metric": "sqeuclidean",
                "margin": 0.0,
                "weights": "pairs",
                "retrieval_margin": 0.0,
                "far": None,
                "fpir": None,
                "k": None,
                "decide": (),
                "classes": "fixed",
                "repeated": False,
                "sample": None,
                "explain": False,
            }
            | FAR,
        ),
        (compare_thresholds, {"far": None, "classes": "fixed", "repeated": False} | FAR),
        (compare_identification, {"fpir": None} | FAR),
        (compare_listed_pairs, {"far": None} | FAR),
        (
            compare_retrieval,
            {
                "k": None,
                "margin": 0.0,
                "confidence": 0.95,
                "classes": "fixed",
                "repeated": False,
                "slices": None,
                "similarity": "cosine",
            },
        ),
        (check_theorem, {"vertices": None, "max_drift": MAX_DRIFT, "confidence": 0.95}),
        (judge_sides, {"scale": 1.0, "contrast": None, "unit": "sample", "population": "fixed", "looks": None}),
        (polar_angles, {"vertices": None}),
        (check_hypotheses, {"vertices": None, "max_drift": MAX_DRIFT, "confidence": 0.95}),
        (check_decisions, {"vertices": None, "num_thresholds": 30, "level": 0.025}),
        (plan, {"options": None, "gallery": None, "effect": 0.0, "retrieval_effect": 0.0, "seed": 0}),
        (hashed_sample, {"seed": 0}),
        (
            RetrievalParts.identification,
            {"threshold": None, "fpir": None, "far_margin": 0.0, "tar_margin": 0.0, "confidence": 0.95},
        ),
        (Margin, {"share": False}),
        (Kernel, {"old_weight": 1.0, "new_weight": 1.0}),
        (Compared, {"similarity": "cosine"}),
        (Criterion, {"confidence": 0.95, "margin": 0.0, "margin_error": 0.0}),
        (Interval, {"unit": "sample", "population": "fixed", "quantile": 0.0}),
        (Estimate, {"second_order": 0.0}),
        (Rows, {"index": None, "units": None, "own": False}),
        (LinearPairs, {"rounding": 0.0, "num_pairs": 2**14, "left_out": None}),
        (Weights, {"by_size": False}),
    ],
)
def test_what_is_taken_for_granted(of, expected):
    assert defaults(of) == expected


def test_class_means_may_lie_fifteen_degrees_off():
    assert np.degrees(MAX_DRIFT) == pytest.approx(15.0)


def test_what_is_compared_is_in_the_unit_of_a_threshold():
    values = np.array([-4.0, -0.25, 0.0])
    np.testing.assert_array_equal(accept._accepted_from(values, "l2", 8), [-2.0, -0.5, 0.0])
    np.testing.assert_array_equal(accept._accepted_from(np.array([1e-12]), "l2", 8), [0.0])
    for similarity in ("cosine", "dot"):
        np.testing.assert_array_equal(accept._accepted_from(values, similarity, 8), values)
        assert accept._sign(similarity) == 1.0
    # d − 2H of eight signs, of which none, three or all differ
    np.testing.assert_array_equal(accept._accepted_from(np.array([8.0, 2.0, -8.0]), "hamming", 8), [0.0, -3.0, -8.0])
    assert accept._sign("l2") == accept._sign("hamming") == -1.0


def test_which_units_are_of_distances_and_which_of_rows_as_they_are():
    assert {name: (is_distance(unit), is_raw(unit)) for name, unit in UNITS.items()} == {
        "cosine": (False, False),
        "dot": (False, True),
        "l2": (True, True),
        "hamming": (True, False),
    }


def test_units_of_listed_pairs():
    """A group, an id, or else the row; items have units of their own unless their id is that of a query."""
    rng = np.random.default_rng(0)
    labels = np.array([0, 0, 1, 1])

    def features(ids, groups) -> FeatureSet:
        return FeatureSet(rng.standard_normal((4, 3)), labels, ids=ids, groups=groups)

    query_ids, item_ids = np.arange(4), np.array([9, 2, 0, 8])
    alone = Upgrade(features(None, None), features(None, None))
    assert [units.tolist() for units in accept._units(alone, False)] == [[0, 1, 2, 3]] * 2
    others = Upgrade(features(None, None), features(None, None), features(None, None))
    assert [units.tolist() for units in accept._units(others, False)] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    shots = np.array([5, 5, 6, 7])
    one, other = accept._units(Upgrade(features(None, shots), features(None, shots), features(None, shots[::-1])), True)
    np.testing.assert_array_equal(one[:, None] == other, shots[:, None] == shots[::-1])
    one, other = accept._units(Upgrade(features(None, shots), features(None, shots)), True)
    np.testing.assert_array_equal(one, other)
    named = Upgrade(features(query_ids, None), features(query_ids, None))
    gallery = FeatureSet(rng.standard_normal((4, 3)), np.array([0, 1, 0, 1]), ids=item_ids)
    found = accept._units(Upgrade(named.new, named.old, gallery), False)
    assert [units.tolist() for units in found] == [[0, 1, 2, 3], [4, 2, 0, 7]]


@pytest.mark.parametrize("similarity", ["cosine", "l2"])
def test_margins_of_listed_pairs_make_the_verdict(similarity):
    new, old = upgrade(0.9, 1.0, num_samples=120)
    rng = np.random.default_rng(0)
    query, item = rng.permutation(120)[:100], rng.permutation(120)[:100]
    listed = PairList(query=query, item=item, same=old.labels[query] == old.labels[item])
    at = 0.4 if similarity == "cosine" else 1.1
    made = Upgrade(new, old)
    scores = [
        np.vecdot(side.unit[query], old.unit[item])
        if similarity == "cosine"
        else -np.linalg.norm(side.features[query] - old.features[item], axis=1)
        for side in (old, new)
    ]
    for far_margin, tar_margin in ((0.0, 0.0), ("300%", "40%"), (0.5, 0.02)):
        found = compare_listed_pairs(
            made,
            listed,
            threshold=at,
            far_margin=far_margin,
            tar_margin=tar_margin,
            confidence=0.9,
            similarity=similarity,
        )
        rates = found.rates
        accepted = [values >= (at if similarity == "cosine" else -at) for values in scores]
        assert rates.threshold == at
        assert rates.false_accepts.old.value == pytest.approx(np.mean(accepted[0][~listed.same]))
        assert rates.true_accepts.new.value == pytest.approx(np.mean(accepted[1][listed.same]))
        assert rates.false_accepts.change.confidence == pytest.approx(0.95)
        rise, fall = Margin.parse(far_margin).amount, Margin.parse(tar_margin).amount
        assert (found.false_margin, found.true_margin, found.confidence) == (rise, fall, 0.9)
        false, true = rates.false_accepts.change, rates.true_accepts.change
        rule = Criterion(confidence=0.95, margin=rise * rates.false_accepts.old.value)
        verdicts = rule.verdict(false.times(-1.0)), Criterion(confidence=0.95, margin=fall).verdict(true)
        assert found.verdict == Verdict.combine(verdicts)
        assert found.rank1 is None
        assert found.unknown == 0
    assert rates.kept_threshold.lower <= rates.kept_threshold.value <= rates.kept_threshold.upper


def test_what_storing_rows_changes_is_no_loss():
    """Rows of float32 at another length have other roundings: a gap that is below zero by no more is none."""
    labels = np.arange(60) % 3
    seen = set()
    for seed in range(4):
        rows = np.random.default_rng(seed).standard_normal((60, 4)).astype(np.float32)
        old, new = FeatureSet(rows, labels), FeatureSet((rows * np.float32(0.7)).astype(np.float32), labels)
        report = audit(new, old)
        made = Upgrade(new, old)
        for side in (report.same_class, report.different_class):
            seen.add(side.lower < 0.0)
            assert abs(side.gap) < made.rounding
        assert report.verdict == "compatible"
        assert report.margin == 0.0
    assert seen == {True, False} or seen == {True}


@pytest.mark.parametrize("ids", [False, True])
def test_identification_accepts_the_nearest_item_that_is_not_the_probe_itself(ids):
    _, old = upgrade(0.9, 1.0, num_samples=100)
    new, _ = upgrade(0.9, 1.0, num_samples=100)
    some = np.flatnonzero(old.labels < 3)
    items = FeatureSet(old.unit[some], old.labels[some], ids=some if ids else None)
    sides = (FeatureSet(side.unit, old.labels, ids=np.arange(100) if ids else None) for side in (new, old))
    found = compare_identification(Upgrade(*sides, items), fpir=0.2, confidence=0.9)
    at = found.rates.threshold  # just above the score of a stranger, to rounding
    apart = np.arange(100)[:, None] == some  # by id, or as a copy
    for which, queries in (("old", old.unit), ("new", new.unit)):
        cosines = np.where(apart, -np.inf, queries @ items.unit.T)
        best, right = cosines.max(axis=1), items.labels[cosines.argmax(axis=1)] == old.labels
        strangers, known = old.labels >= 3, old.labels < 3
        false, true = (getattr(side, which) for side in (found.rates.false_accepts, found.rates.true_accepts))
        assert false.value == pytest.approx(np.mean(best[strangers] >= at + 1e-9))
        assert true.value == pytest.approx(np.mean((right & (best >= at + 1e-9))[known]))
    assert found.rates.false_accepts.change.confidence == pytest.approx(0.95)
    assert found.rank1 is not None


@pytest.mark.parametrize("similarity", ["cosine", "l2"])
def test_of_many_probes_a_part_of_every_class_is_asked_and_the_gallery_is_whole(monkeypatch, similarity):
    new, old = upgrade(0.9, 1.0, num_samples=200)
    some = np.flatnonzero(old.labels < 3)
    items = FeatureSet(upgrade(0.9, 1.0, num_samples=200, seed=1)[1].features[some], old.labels[some])
    made = Upgrade(new, old, items)
    for probes in (50, 200):
        monkeypatch.setattr(accept, "WORK", float(probes * len(items) * old.dim))
        found = compare_identification(made, threshold=0.8, similarity=similarity)
        index = made.sample(probes, "probes").index
        assert index is not None
        assert (found.rates.num_genuine, found.rates.num_impostors) == (3 * probes // 5, 2 * probes // 5)
        for which, queries in (("old", old.unit[index]), ("new", new.unit[index])):
            if similarity == "cosine":
                scores = queries @ items.unit.T
            else:
                scores = -np.linalg.norm(queries[:, None] - items.features, axis=2)
            accepted = scores.max(axis=1) >= (0.8 if similarity == "cosine" else -0.8)
            right = items.labels[scores.argmax(axis=1)] == old.labels[index]
            enrolled = old.labels[index] < 3
            false, true = (getattr(side, which) for side in (found.rates.false_accepts, found.rates.true_accepts))
            assert false.value == pytest.approx(np.mean(accepted[~enrolled]))
            assert true.value == pytest.approx(np.mean((right & accepted)[enrolled]))


def test_listed_pairs_are_of_groups_only_where_both_sides_have_them():
    new, old = upgrade(0.9, 1.0, num_samples=120)
    items = upgrade(0.9, 1.0, num_samples=80, seed=1)[1]
    rng = np.random.default_rng(0)
    query, item = rng.integers(0, 120, 300), rng.integers(0, 80, 300)
    listed = PairList(query=query, item=item, same=old.labels[query] == items.labels[item])

    def asked(of_queries: bool, of_items: bool, gallery: bool = True):
        shots = np.arange(120) // 6 if of_queries else None
        sides = (FeatureSet(side.features, side.labels, groups=shots) for side in (new, old))
        searched = FeatureSet(items.features, items.labels, groups=1000 + np.arange(80) // 4 if of_items else None)
        pairs = listed if gallery else PairList(query=query, item=item, same=old.labels[query] == old.labels[item])
        made = Upgrade(*sides, searched if gallery else None)
        return compare_listed_pairs(made, pairs, threshold=0.4).rates

    def width(rates):
        return rates.true_accepts.change.upper - rates.true_accepts.change.lower

    assert asked(True, False) == asked(False, False)
    assert asked(True, False).true_accepts.change.unit == "sample"
    for grouped, alone in (
        (asked(True, True), asked(False, False)),
        (asked(True, False, False), asked(False, False, False)),
    ):
        assert grouped.true_accepts.change.unit == "group"
        assert alone.true_accepts.change.unit == "sample"
        assert grouped.true_accepts.change.value == alone.true_accepts.change.value
        assert width(grouped) != width(alone)


def test_options_at_their_ends():
    Options(fpir=0.999, far_margin=0.1)
    for given, message in (
        ({"fpir": 1.0}, r"fpir must be in \(0, 1\), got 1.0"),
        ({"fpir": 0.0}, r"fpir must be in \(0, 1\), got 0.0"),
        ({"tar_margin": 0.1}, "a margin of FAR or TAR needs a threshold"),
        ({"margin": "100%"}, "margin must be below 100%"),
        ({"decide": ("identification",)}, "to decide by identification"),
        ({"decide": ("threshold",)}, "to decide by a threshold"),
    ):
        with pytest.raises(ValueError, match=message):
            Options(**given)

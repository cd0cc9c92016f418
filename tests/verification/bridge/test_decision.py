"""Both verdicts on upgrades whose answer is known; the parts are disjoint, and what cannot be used is told."""

from __future__ import annotations

import dataclasses
import json
import re
from importlib import resources

import numpy as np
import pytest
from scipy import stats

from tests.verification.samples import upgrade
from theory.simplex import simplex_vertices
from verification.audit import audit
from verification.audit.report import SideReport, Sides
from verification.bridge import BridgeReport, bridge, fit_pairs
from verification.bridge.cost import cost
from verification.bridge.decision import choose
from verification.bridge.maps import FeatureMap
from verification.bridge.report import Candidate
from verification.bridge.splits import split
from verification.experiments.simulated.known_upgrades import CASES
from verification.features import FeatureSet
from verification.statistics.interval import Interval, Population, Verdict
from verification.views.documents.bridge import findings

LINEAR = ("identity", "translation", "orthogonal", "lambda-orthogonal", "ridge")


def drawn(case: str, num_samples: int = 2400, seed: int = 0) -> tuple[FeatureSet, FeatureSet]:
    return CASES[case].draw(num_samples, np.random.default_rng(seed))


def noisy(features: FeatureSet, noise: float, seed: int = 1) -> FeatureSet:
    rng = np.random.default_rng(seed)
    return FeatureSet(features.features + noise * rng.standard_normal(features.features.shape), features.labels)


@pytest.mark.parametrize(
    ("case", "sentence", "verdict"),
    [
        ("rotated", "Not compatible as it is; compatible through an orthogonal map", "compatible"),
        ("tighter", "Compatible as it is; no map is needed", "compatible"),
        ("same law", "Undecided as it is; no map does better than none", "inconclusive"),
        ("wider", "Not compatible as it is; no map does better than none", "incompatible"),
    ],
)
def test_the_four_cases(case, sentence, verdict):
    new, old = drawn(case)
    report = bridge(new, old, maps=LINEAR)
    assert (report.sentence, report.verdict) == (sentence, verdict)
    # the first verdict is the audit's and stays what it was
    assert report.as_is == audit(new, old)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_the_four_cases_over_200_seeds(case):
    reports = [bridge(*drawn(case, 5000, seed), maps=LINEAR, seed=seed) for seed in range(200)]
    if case == "rotated":
        wanted = "Not compatible as it is; compatible through an orthogonal map"
        assert sum(report.sentence == wanted for report in reports) >= 190
    elif case == "tighter":
        assert sum(report.as_is.verdict == "compatible" for report in reports) >= 190
    elif case == "wider":
        assert sum(report.as_is.verdict == report.verdict == "compatible" for report in reports) == 0
        assert sum("compatible" in (report.as_is.verdict, report.verdict) for report in reports) <= 10
    else:
        # 5 % + 2 standard errors of 200 runs
        assert sum(report.as_is.verdict != "inconclusive" for report in reports) <= 200 * (0.05 + 2 * 0.0154)


@pytest.mark.parametrize("direction", ["queries", "gallery"])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_a_rotation_is_exact_however_it_is_stored(direction, dtype):
    sets = (FeatureSet(features.features.astype(dtype), features.labels) for features in drawn("rotated", 1500))
    report = bridge(*sets, direction, maps=["orthogonal"])
    assert report.sentence == "Not compatible as it is; compatible through an orthogonal map"


def test_a_noisy_rotation_loses_at_margin_0_and_a_margin_accepts_it():
    new, old = drawn("rotated")
    new = noisy(new, 0.05)
    report = bridge(new, old, maps=["orthogonal"])
    assert report.verdict == "incompatible"
    # spread from 0.25 to √(0.25² + 0.05²): the loss if the rotation were known, and the interval's width more
    assert 0.007 < report.needed_margin < 0.02
    assert bridge(new, old, maps=["orthogonal"], margin=1.1 * report.needed_margin).verdict == "compatible"
    (printed,) = re.findall(r"With --margin (\S+) \([\d.]+ % of the old contrast\) or more", " ".join(findings(report)))
    assert bridge(new, old, maps=["orthogonal"], margin=float(printed)).verdict == "compatible"
    # the contrast of the old model is 0.44
    assert bridge(new, old, maps=["orthogonal"], margin="5%").verdict == "compatible"


@pytest.mark.parametrize("direction", ["queries", "gallery"])
@pytest.mark.parametrize("wider", ["new", "old"])
def test_dimensions_may_differ_and_then_there_is_no_first_verdict(direction, wider):
    _, narrow = drawn("same law", 900)
    turned = np.pad(narrow.features, ((0, 0), (0, 16))) @ stats.ortho_group.rvs(80, random_state=0)
    wide = FeatureSet(turned, narrow.labels)
    new, old = (wide, narrow) if wider == "new" else (narrow, wide)
    report = bridge(new, old, direction, maps=["orthogonal", "ridge"])
    assert report.as_is is None
    assert report.sentence == "Of another dimension; compatible through an orthogonal map"
    assert report.map.dims == ((new.dim, old.dim) if direction == "queries" else (old.dim, new.dim))


def test_a_regression_to_the_class_means_does_not_pass_for_classes_it_has_not_seen():
    """It is compatible for the classes it was fitted to, even of a worse model; so it is asked about others."""
    new, old = drawn("wider")
    open_set, closed_set = (bridge(new, old, maps=["ridge"], closed_set=closed) for closed in (False, True))
    ridge = next(candidate for candidate in open_set.candidates if candidate.kind == "ridge")
    assert (ridge.all_classes.verdict, ridge.held_out.verdict) == ("compatible", "incompatible")
    assert open_set.verdict == "incompatible"
    assert closed_set.sentence == "Not compatible as it is; compatible through a ridge affine map"
    assert closed_set.held_out is None


def test_a_translation_is_undone_by_a_translation():
    rng = np.random.default_rng(0)
    _, old = upgrade(0.5, 0.5, num_samples=3000, num_classes=10, dim=10)
    new = FeatureSet(old.features + 0.3 * np.eye(10)[0] + 1e-3 * rng.standard_normal((3000, 10)), old.labels)
    report = bridge(new, old, maps=LINEAR, margin=0.05)
    assert report.as_is.verdict == "incompatible"
    assert report.kind == "translation"
    assert report.verdict == "compatible"


def test_of_few_classes_new_ones_are_not_decided_and_these_are():
    """Three classes that were held out say little of others like them, however many samples they have."""
    _, old = upgrade(0.5, 0.5, num_samples=3000)
    new = FeatureSet(old.features + 0.3 * np.eye(8)[0], old.labels)
    open_set, closed_set = (
        bridge(new, old, maps=["translation"], margin=0.05, closed_set=closed) for closed in (False, True)
    )
    assert len(open_set.held_out_classes) == 3
    for side in (open_set.held_out.same_class, open_set.held_out.different_class):
        assert side.population == "drawn"
        assert np.isfinite(side.lower)
    assert (open_set.all_classes.verdict, open_set.verdict) == ("compatible", "inconclusive")
    assert closed_set.verdict == "compatible"


def test_what_the_map_costs_against_new_to_new():
    """New is better than old, but turned: through a map it serves as well as the old gallery lets it."""
    _, old = drawn("same law", 1500)
    nearer = 0.5 * (old.features + simplex_vertices(10, 64)[old.labels])
    new = FeatureSet(nearer @ stats.ortho_group.rvs(64, random_state=0), old.labels)
    report = bridge(new, old, maps=["orthogonal"], closed_set=True)
    assert report.verdict == "compatible"
    cost = report.cost
    assert cost.old_old < cost.mapped <= cost.new_new
    assert cost.lost.lower < cost.lost.value < cost.lost.upper
    assert cost.lost.value == pytest.approx(cost.new_new - cost.mapped)
    assert cost.distances.same_class.verdict == "incompatible"


def test_three_parts_are_disjoint_stratified_and_seeded():
    labels = np.repeat([0, 1, 2], [30, 7, 2])
    features = FeatureSet(np.random.default_rng(0).standard_normal((39, 4)), labels)
    splits = split(features, features, 5)
    parts = [splits.fit, splits.choice, splits.audit]
    assert [np.bincount(part.codes, minlength=3).tolist() for part in parts] == [[10, 3, 2], [10, 2, 0], [10, 2, 0]]
    every = np.concatenate([part.old for part in parts])
    assert len(np.unique(every, axis=0)) == 39
    again, other = split(features, features, 5), split(features, features, 6)
    np.testing.assert_array_equal(again.audit.old, splits.audit.old)
    assert not np.array_equal(other.audit.old, splits.audit.old)
    # two classes with enough samples: none can be held out
    assert len(splits.held_out) == 0


def test_held_out_classes_are_not_in_the_second_fit():
    new, old = drawn("same law", 300)
    splits = split(new, old, 0)
    assert len(splits.held_out) == 3
    assert not np.isin(splits.fit.without(splits.held_out).codes, splits.held_out).any()
    assert np.isin(splits.audit.of(splits.held_out).codes, splits.held_out).all()


def test_the_most_rigid_compatible_map_is_chosen_and_else_the_least_loss():
    exact = bridge(*drawn("rotated", 600), maps=LINEAR)
    assert next(c.kind for c in exact.candidates if c.verdict == "compatible") == "orthogonal" == exact.kind
    lossy = bridge(*drawn("wider"), maps=("orthogonal", "ridge"))
    assert choose(lossy.candidates).kind == lossy.kind == "identity"
    assert max(lossy.candidates, key=lambda c: c.weakest.lower).kind == "identity"


def candidate(kind: str, lower: float, upper: float) -> Candidate:
    """Both of its sides have one interval, below zero."""
    interval = Interval(value=(lower + upper) / 2.0, lower=lower, upper=upper, confidence=0.95)
    side = SideReport(
        fixed=interval,
        drawn=interval,
        population=Population.fixed,
        verdict=Verdict.incompatible,
        other_verdict=Verdict.incompatible,
        pair_fraction=0.0,
        pair_fraction_error=0.0,
        num_pairs=1,
    )
    sides = Sides(verdict=Verdict.incompatible, same_class=side, different_class=side)
    return Candidate(kind=kind, all_classes=sides, held_out=None)


@pytest.mark.parametrize(("lower", "chosen"), [(-2.5, "ridge"), (-2.1, "orthogonal"), (-1.0, "orthogonal")])
def test_a_more_rigid_map_may_lose_a_quarter_of_an_interval_more(lower, chosen):
    assert choose([candidate("orthogonal", lower, -0.5), candidate("ridge", -2.0, -1.0)]).kind == chosen


def test_a_map_is_saved_with_how_it_came_about(tmp_path):
    new, old = drawn("rotated", 300)
    judged, fitted = bridge(new, old, maps=["orthogonal"]), fit_pairs(new, old, maps=["orthogonal"])
    for report, about in (
        (judged, {"verdict": judged.verdict, "num_fit": judged.num_fit, "confidence": 0.95, "margin": 0.0}),
        (fitted, {"verdict": None, "num_fit": 200, "held_out_loss": fitted.loss}),
    ):
        report.save_map(tmp_path / "map.npz")
        with np.load(tmp_path / "map.npz") as archive:
            assert json.loads(str(archive["metadata"])).items() >= about.items()
        np.testing.assert_array_equal(FeatureMap.load(tmp_path / "map.npz").A, report.map.A)
    assert fitted.sentence == "Fitted an orthogonal map; nothing was judged, because there are no labels"
    assert fitted.to_dict()["verdict"] is None
    undecided = dataclasses.replace(judged, verdict=Verdict.inconclusive)
    assert undecided.sentence == "Not compatible as it is; undecided through an orthogonal map"
    worse = dataclasses.replace(judged, verdict=Verdict.incompatible, as_is=None)
    assert worse.sentence == "Of another dimension; no map makes it compatible (the least bad is an orthogonal map)"


def test_intervals_without_bounds_leave_the_first_map():
    unknown = [candidate(kind, -np.inf, np.inf) for kind in ("orthogonal", "ridge")]
    assert choose(unknown).kind == "orthogonal"
    weak, strong = candidate("orthogonal", -2.0, -1.0), candidate("ridge", -1.0, -0.5)
    both = dataclasses.replace(strong, held_out=weak.all_classes)
    assert (both.weakest.lower, both.audits) == (-2.0, [strong.all_classes, weak.all_classes])
    assert choose([weak, strong]).kind == "ridge"


def test_maps_that_cannot_be_asked_for_are_refused():
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    new, old = (FeatureSet(rng.standard_normal((40, 4)), labels) for _ in range(2))
    drift = FeatureMap("translation", "queries", np.eye(4), np.zeros(4))
    for options, message in (
        ({"direction": "gallery", "maps": ["slerp"]}, "slerp interpolates queries"),
        ({"drifts": [drift]}, "drifts are only used by the qdc map"),
        ({"maps": ["qdc"]}, "the qdc map adds up drifts of single updates: give them"),
        (
            {"maps": ["qdc"], "drifts": [drift], "direction": "gallery"},
            "must be a translation of gallery in dimension 4",
        ),
        ({"maps": ["qdc"], "drifts": [FeatureMap("ridge", "queries", np.eye(4), np.zeros(4))]}, "got a ridge map"),
        ({"maps": ["qdc"], "drifts": [FeatureMap("qdc", "queries", np.eye(5), np.zeros(5))]}, "dimension 5 → 5"),
    ):
        with pytest.raises(ValueError, match=message):
            bridge(new, old, **options)
    told = []
    report = bridge(new, old, maps=["qdc"], drifts=[drift, drift], progress=told.append, closed_set=True)
    assert told[:2] == ["auditing as it is", "reading three parts"]
    assert [candidate.kind for candidate in report.candidates] == ["identity", "qdc"]
    assert "fitting qdc" in told
    assert told[-1] == f"auditing {report.kind}"


def test_the_cost_in_recall_is_a_paired_interval():
    new, old = drawn("wider", 600)
    part = split(new, old, 0).audit
    identity = FeatureMap("identity", "queries", np.eye(64), np.zeros(64))
    found = cost(identity, part, 0.9, seed=0)

    def hits(queries, items):
        cosines = queries @ items.T
        np.fill_diagonal(cosines, -np.inf)
        return (part.codes[np.argmax(cosines, axis=1)] == part.codes).astype(float)

    lost = hits(part.new, part.new) - hits(part.new, part.old)
    half = stats.t.isf(0.05, len(lost) - 1) * lost.std(ddof=1) / np.sqrt(len(lost))
    assert half > 0.0
    assert (found.lost.value, found.lost.half) == pytest.approx((lost.mean(), half))
    assert found.lost.confidence == 0.9


def test_a_report_is_built_by_keywords_only():
    """Nothing that is passed by place can be exchanged for its neighbour."""
    report = bridge(*drawn("tighter", 600), maps=["orthogonal"])
    values = {field.name: getattr(report, field.name) for field in dataclasses.fields(report)}
    with pytest.raises(TypeError, match="positional"):
        BridgeReport(*values.values())
    assert BridgeReport(**values) == report


def test_maps_for_the_fitted_classes_only_are_named_where_no_map_is_compatible():
    """And nowhere else: not where there is none, and not beside a map that is compatible."""
    report = bridge(*drawn("rotated", 300), maps=["orthogonal"])
    compatible = next(each for each in report.candidates if each.kind == "orthogonal")
    neither = next(each for each in report.candidates if each.kind == "identity")
    assert (compatible.verdict, neither.verdict) == ("compatible", "incompatible")
    fitted_only = dataclasses.replace(compatible, held_out=neither.all_classes)
    for verdict, candidates, named in (
        ("incompatible", [neither, fitted_only], True),
        ("incompatible", [neither], False),
        ("compatible", [neither, fitted_only], False),
        ("incompatible", [neither, compatible], False),
    ):
        said = " ".join(findings(dataclasses.replace(report, verdict=verdict, candidates=candidates)))
        assert ("Compatible only for the classes that were fitted: orthogonal." in said) == named
        assert ("Compatible only" in said) == named


@pytest.fixture(scope="module")
def schema():
    jsonschema = pytest.importorskip("jsonschema")
    text = resources.files("verification").joinpath("schema", "bridge-report.schema.json").read_text("utf-8")
    found = json.loads(text)
    jsonschema.Draft202012Validator.check_schema(found)
    return jsonschema.Draft202012Validator(found)


def plain(report: BridgeReport) -> dict:
    return json.loads(json.dumps(report.to_dict(), allow_nan=False))


def test_the_report_is_plain_values(schema):
    report = bridge(*drawn("rotated", 300), maps=["orthogonal"])
    read = plain(report)
    assert read["sentence"] == "Not compatible as it is; compatible through an orthogonal map"
    assert read["as_is"]["verdict"] == "incompatible"
    assert len(read["held_out_classes"]) == 3
    assert {candidate["kind"] for candidate in read["candidates"]} == {"identity", "orthogonal"}
    assert read["as_is"] == json.loads(json.dumps(report.as_is.to_dict(), allow_nan=False))
    schema.validate(read)


def test_reports_without_a_map_a_first_verdict_or_other_classes_are_valid(schema):
    none_needed = plain(bridge(*drawn("tighter", 600), maps=["orthogonal"]))
    assert (none_needed["kind"], none_needed["cost"], none_needed["candidates"]) == ("identity", None, [])
    new, old = drawn("same law", 300)
    other_dimension = plain(bridge(FeatureSet(new.features[:, :60], new.labels), old, maps=["ridge"], closed_set=True))
    assert other_dimension["as_is"] is other_dimension["held_out"] is None
    for report in (none_needed, other_dimension):
        schema.validate(report)


def test_broken_reports_are_not_valid(schema):
    whole = plain(bridge(*drawn("rotated", 300), maps=["orthogonal"]))
    for key in whole:
        assert not schema.is_valid({name: value for name, value in whole.items() if name != key}), key
    broken = [
        {"schema_version": 1},
        {"verdict": "maybe"},
        {"kind": "affine"},
        {"direction": "both"},
        {"as_is": {}},
        {"confidence": 1.0},
        {"needed_margin": -0.1},
        {"num_fit": 0.5},
        {"held_out_classes": [0.5]},
        {"all_classes": whole["all_classes"] | {"verdict": None}},
        {"candidates": [whole["candidates"][0] | {"kind": 1}]},
        {"cost": whole["cost"] | {"mapped": 1.1}},
    ]
    for change in broken:
        assert not schema.is_valid(whole | change), change
    assert schema.is_valid(whole | {"added_later": 1})


def paired(labels_new, labels_old=None, rows=None) -> tuple[FeatureSet, FeatureSet]:
    rng = np.random.default_rng(0)
    labels_old = labels_new if labels_old is None else labels_old
    return tuple(FeatureSet(rng.standard_normal((len(y), 4)), np.array(y)) for y in (labels_new, labels_old))


@pytest.mark.parametrize(
    ("sets", "options", "message"),
    [
        (paired([0, 0, 0, 1, 1, 1]), {}, "three splits need at least two classes with 6 samples each, got 0"),
        (paired([0] * 9 + [1] * 5), {}, "got 1 with as many; the largest classes have 9, 5 samples"),
        (paired([0] * 8), {}, "labels must name at least two classes"),
        (paired([0, 1] * 8, [1, 0] * 8), {}, "equal labels row by row"),
        (paired([0, 1] * 8, [0, 1] * 7), {}, "same samples, got 16 and 14 rows"),
        (paired([0, 1] * 8), {"direction": "both"}, "direction must be one of queries, gallery, got 'both'"),
        (paired([0, 1] * 8), {"maps": ["cubic"]}, "maps must be of identity, .*, got 'cubic'"),
        (paired([0, 1] * 8), {"margin": -1.0}, "margin must be"),
        (paired([0, 1] * 8), {"confidence": 1.0}, "confidence must be in"),
        (paired([0, 1] * 8), {"seed": -1}, "seed must be an integer >= 0"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(sets, options, message):
    with pytest.raises(ValueError, match=message):
        bridge(*sets, **options)


def test_maps_that_need_equal_dimensions():
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    sets = (FeatureSet(rng.standard_normal((40, dim)), labels) for dim in (4, 5))
    with pytest.raises(ValueError, match=r"maps between dimensions 4 and 5 are orthogonal, .*, got translation"):
        bridge(*sets, maps=["translation"])

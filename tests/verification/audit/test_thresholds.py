"""Accept thresholds: rates against loops, chosen thresholds, intervals that cover, verdicts, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from tests.verification.samples import Caps, upgrade
from theory.caps import UniformCap
from theory.simplex import simplex_vertices
from verification.audit import UpgradeReport, acceptance, thresholds
from verification.audit.judge import Options, judge
from verification.audit.threshold_report import Curve
from verification.audit.thresholds import compare_thresholds
from verification.features import FeatureSet
from verification.search.pairs import PairList
from verification.upgrade import Upgrade
from verification.views import pictures
from verification.views.page import render


def cosines(queries, items, same_samples):
    """Cosines, and masks of the pairs of one class and of different classes."""
    same = queries.labels[:, None] == items.labels
    pairs = ~np.eye(len(queries), dtype=bool) if same_samples else np.ones_like(same)
    return queries.unit @ items.unit.T, same & pairs, ~same


@pytest.mark.parametrize("with_gallery", [False, True])
@pytest.mark.parametrize("threshold", [0.37, None])
def test_rates_are_shares_of_pairs(with_gallery, threshold, monkeypatch):
    monkeypatch.setattr(acceptance, "_PAIRS", 7000)  # several blocks
    new, old = upgrade(0.9, 1.0)
    gallery = upgrade(0.9, 1.0, num_samples=150, seed=2)[1] if with_gallery else None
    items = gallery or old
    asked = {"far": 0.01} if threshold is None else {"threshold": threshold}
    report = compare_thresholds(Upgrade(new, old, gallery), **asked)
    for queries, far, tar in ((old, report.old_far, report.old_tar), (new, report.new_far, report.new_tar)):
        values, same, different = cosines(queries, items, not with_gallery)
        assert far.value == pytest.approx(np.mean(values[different] >= report.threshold))
        assert tar.value == pytest.approx(np.mean(values[same] >= report.threshold))
        assert far.lower < far.value < far.upper
        assert tar.lower < tar.value < tar.upper
    values, same, different = cosines(old, items, not with_gallery)
    # without a gallery each pair stands twice in the table
    accepted = np.count_nonzero(values[different] >= report.threshold) // (1 if with_gallery else 2)
    assert report.accepted_pairs == accepted
    assert any(f"rests on {accepted} distinct" in note for note in report.notes) == (accepted < thresholds.ENOUGH)
    values, same, different = cosines(new, items, not with_gallery)
    assert report.far_change.value == pytest.approx(report.new_far.value - report.old_far.value)
    assert report.tar_change.value == pytest.approx(report.new_tar.value - report.old_tar.value)
    assert report.kept.tar.value == pytest.approx(np.mean(values[same] >= report.kept.threshold))
    kept = np.mean(values[different] >= report.kept.threshold)
    # no more than the old rate, and the next bin would be more
    assert kept <= report.old_far.value < np.mean(values[different] >= report.kept.threshold - 2.0 / acceptance.BINS)
    assert report.kept.lower < report.kept.threshold < report.kept.upper
    if threshold is None:
        assert report.old_far.value <= 0.01 + 1e-12  # rounding of a weighted mean
    curve = report.new_curve
    for at in (3, 10):
        assert curve.far[at] == pytest.approx(np.mean(values[different] >= curve.threshold[at]))
        assert curve.tar[at] == pytest.approx(np.mean(values[same] >= curve.threshold[at]))
    assert np.all(np.diff(curve.far) < 0.0)
    assert np.all(np.array(curve.lower) <= curve.tar)


def test_a_margin_on_far_is_a_share_of_the_old_rate():
    new, old = upgrade(1.0, 0.9, num_samples=600)
    report = compare_thresholds(Upgrade(new, old), threshold=0.4, far_margin="50%")
    assert report.far_change.value == pytest.approx(report.new_far.value - 1.5 * report.old_far.value)
    assert report.far_margin == 0.5
    strict, generous = (
        compare_thresholds(Upgrade(new, old), threshold=0.4, far_margin=m, tar_margin=0.9) for m in (0.0, 50.0)
    )
    assert generous.verdict == "compatible"
    assert strict.far_change.verdict != "compatible"


def test_one_model_changes_nothing():
    _, old = upgrade(0.9, 1.0)
    report = compare_thresholds(Upgrade(old, old), far=0.01)
    assert report.verdict == "compatible"
    for change in (report.far_change.fixed, report.far_change.drawn, report.tar_change.fixed, report.kept.tar_change):
        assert (change.lower, change.value, change.upper) == (0.0, 0.0, 0.0)
    assert report.kept.threshold == report.threshold
    assert report.kept.tar == report.old_tar


@pytest.mark.parametrize("far_margin", ["20%", 1.0])
def test_one_model_gains_the_margin_of_far_whose_size_is_not_known(far_margin):
    """New FAR less 1 + m times the old is −m times a rate that has an error."""
    _, old = upgrade(0.9, 1.0)
    report = compare_thresholds(Upgrade(old, old), threshold=0.4, far_margin=far_margin)
    change, margin = report.far_change.fixed, report.far_margin
    assert change.value == pytest.approx(-margin * report.old_far.value)
    assert change.lower < change.value < change.upper
    # on the scale of the rate itself the interval of a rate is nearly symmetric
    far = compare_thresholds(Upgrade(old, old), threshold=0.4, confidence=0.975).old_far
    assert change.upper - change.lower == pytest.approx(margin * (far.upper - far.lower), rel=0.02)
    assert report.tar_change.fixed.lower == report.tar_change.fixed.upper == 0.0
    assert report.verdict == "compatible"


def test_better_and_worse_models_are_told_apart():
    """Tighter classes accept more pairs of their own at any threshold and fewer others at a high one."""
    new, old = upgrade(0.7, 1.0, num_samples=600, dim=16)
    assert compare_thresholds(Upgrade(new, old), threshold=0.6).verdict == "compatible"
    assert compare_thresholds(Upgrade(old, new), threshold=0.6).verdict == "incompatible"


def test_few_pairs_that_differ_decide_nothing_and_a_margin_helps():
    new, old = upgrade(0.1, 0.11)  # at this threshold every pair of one class is accepted, and no other
    report = compare_thresholds(Upgrade(new, old), threshold=0.5)
    assert report.old_tar.value == report.new_tar.value == 1.0
    assert report.old_far.value == report.new_far.value == 0.0
    assert report.verdict == "inconclusive"
    assert report.old_tar.lower < 1.0
    assert 0.0 < report.old_far.upper < 0.05
    assert report.kept.lower == -math.inf
    assert compare_thresholds(Upgrade(new, old), threshold=0.5, tar_margin="5%").tar_change.verdict == "compatible"


def true_rates(cell, threshold):
    """FAR of old and new queries, TAR of old and new, from nine million independent pairs each."""
    rng, size = np.random.default_rng(1), 3000
    first, second = simplex_vertices(cell.num_classes, cell.dim)[:2]
    laws = [UniformCap(cell.dim, radius) for radius in (cell.old_radius, cell.new_radius)]
    queries = [law.sample(size, axis=first, rng=rng) for law in laws]
    items = [laws[0].sample(size, axis=axis, rng=rng) for axis in (second, first)]
    return [float(np.mean(q @ g.T >= threshold)) for g in items for q in queries]


@pytest.mark.simulations
def test_intervals_cover_the_true_rates():
    cell = Caps(num_samples=120, dim=9, num_classes=10, new_radius=1.05, old_radius=1.0)
    old_far, new_far, old_tar, new_tar = true_rates(cell, 0.5)
    covered, runs = np.zeros(6), 60
    for seed in range(runs):
        new, old, _ = cell.draw(np.random.default_rng(seed))
        r = compare_thresholds(Upgrade(new, old), threshold=0.5)
        truths = old_far, new_far, old_tar, new_tar, new_far - old_far, new_tar - old_tar
        found = r.old_far, r.new_far, r.old_tar, r.new_tar, r.far_change, r.tar_change
        covered += [rate.lower <= truth <= rate.upper for rate, truth in zip(found, truths, strict=True)]
    # 95 % and 97.5 %, less four standard errors of 60 runs
    assert np.all(covered / runs >= 0.95 - 4 * math.sqrt(0.05 * 0.95 / runs)), covered / runs


def test_pairs_as_units_would_not_cover():
    """The control: the binomial interval of the pairs is far narrower than that of the samples."""
    new, old = upgrade(0.9, 1.0)
    r = compare_thresholds(Upgrade(new, old), threshold=0.5)
    pairs = 1.96 * math.sqrt(r.new_tar.value * (1.0 - r.new_tar.value) / r.same_pairs)
    assert r.new_tar.upper - r.new_tar.value > 2.0 * pairs


def test_a_seeded_part_of_many_samples_and_classes(monkeypatch):
    monkeypatch.setattr(thresholds, "MOST_ROWS", 200)
    monkeypatch.setattr(thresholds, "MOST_CLASSES", 10)
    new, old = upgrade(0.9, 1.0, num_samples=800, num_classes=20, dim=24)
    report = compare_thresholds(Upgrade(new, old, seed=5), far=0.01)
    assert report.num_samples == 200
    assert "all pairs of 200 of the 800 samples" in report.notes[0]
    assert "10 of the 20 classes" in report.notes[0]
    assert report == compare_thresholds(Upgrade(new, old, seed=5), far=0.01)
    assert report != compare_thresholds(Upgrade(new, old, seed=6), far=0.01)


def test_words_as_labels_and_a_gallery_of_other_classes():
    new, old = upgrade(0.9, 1.0, num_samples=200)
    words = np.array([f"class {label}" for label in old.labels])
    _, more = upgrade(0.9, 1.0, num_samples=200, seed=3)
    gallery = FeatureSet(more.features, np.array([f"class {label + 1}" for label in more.labels]))
    named = (FeatureSet(features.features, words) for features in (new, old))
    report = compare_thresholds(Upgrade(*named, gallery), threshold=0.5)
    same = words[:, None] == gallery.labels
    assert report.same_pairs == same.sum()
    assert report.old_tar.value == pytest.approx(np.mean((old.unit @ gallery.unit.T)[same] >= 0.5))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "one of the two"),
        ({"threshold": 0.5, "far": 0.1}, "one of the two"),
        ({"threshold": 1.3}, r"threshold must be a cosine similarity in \[-1, 1\], got 1.3"),
        ({"threshold": float("nan")}, "threshold must be a cosine similarity"),
        ({"far": 0.0}, r"far must be in \(0, 1\), got 0.0"),
        ({"far": 1e-6}, "far must be at least .* for 10 accepted pairs among the 128,000"),
        ({"far": 0.01, "far_margin": "much"}, "the margin of FAR must be a finite number >= 0"),
        ({"far": 0.01, "tar_margin": -0.1}, "the margin of TAR must be a finite number >= 0"),
        ({"far": 0.01, "tar_margin": 2}, "the margin of TAR must be below 1, which accepts everything, got 2; 2% was"),
        ({"far": 0.01, "confidence": 1.0}, r"confidence must be in \(0, 1\)"),
        ({"far": 0.01, "classes": "some"}, "classes must be one of fixed, drawn, got 'some'"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        compare_thresholds(Upgrade(*upgrade(0.9, 1.0)), **arguments)


def test_curves_are_drawn_also_at_their_ends():
    flat = Curve(threshold=(0.1, 0.2), far=(0.5, 0.01), tar=(1.0, 1.0), lower=(0.99, 0.9), upper=(1.0, 1.0))
    for curves in (pictures.roc, pictures.det):
        for far in (0.0, 0.01):
            drawn = curves(flat, flat, far)
            assert [name for name, _, _ in drawn.lines] == ["old", "new"]
            assert "nan" not in str(drawn.lines)
            assert (drawn.old_far is not None) == (far > 0.0)


def jackknife(statistic, count):
    """Value and standard error of a statistic that one class after the other is left out of."""
    left = np.array([statistic([c for c in range(count) if c != out]) for out in range(count)])
    return statistic(list(range(count))), math.sqrt((count - 1) / count * np.sum((left - left.mean()) ** 2))


@pytest.mark.parametrize("with_gallery", [False, True])
def test_changes_for_new_classes_have_the_class_as_unit(with_gallery):
    """FAR by the jackknife of the logarithm of the ratio of both rates, TAR by CR2 of the change itself."""
    new, old = upgrade(1.0, 1.1, num_classes=6, labels=np.repeat(np.arange(6), [30, 40, 50, 60, 70, 80]))
    gallery = upgrade(1.0, 1.1, num_samples=180, num_classes=6, seed=2)[1] if with_gallery else None
    items = gallery or old
    report = compare_thresholds(Upgrade(new, old, gallery), threshold=0.45, far_margin="20%")
    accepted = [cosines(queries, items, not with_gallery)[0] >= 0.45 for queries in (old, new)]
    _, same, different = cosines(old, items, not with_gallery)

    def rates(pairs, kept):
        there = pairs & np.isin(old.labels, kept)[:, None] & np.isin(items.labels, kept)
        return [float(np.mean(values[there])) for values in accepted]

    pairs = np.array([np.sum(same & (old.labels == c)[:, None]) for c in range(6)])
    changes = np.array(
        [np.sum((accepted[1].astype(int) - accepted[0]) * (same & (old.labels == c)[:, None])) for c in range(6)]
    )
    tar, share = changes.sum() / pairs.sum(), pairs / pairs.sum()
    error = math.sqrt(np.sum((changes - tar * pairs) ** 2 / (1.0 - share))) / pairs.sum()
    weight = share**2 / (1.0 - share)
    drawn = report.tar_change.drawn
    half = stats.t.isf(0.0125, 1.0 / (share @ share + weight.sum() ** 2 - weight @ weight)) * error
    assert (drawn.value, drawn.lower, drawn.upper) == pytest.approx((tar, tar - half, tar + half), rel=1e-9)
    assert (drawn.unit, drawn.population, drawn.confidence) == ("class", "drawn", 0.975)
    log, error = jackknife(lambda kept: np.log(np.divide(*rates(different, kept)[::-1])), 6)
    half = stats.t.isf(0.0125, 5) * error
    before, after = rates(different, range(6))
    drawn = report.far_change.drawn
    assert drawn.value == pytest.approx(after - 1.2 * before, rel=1e-9)
    bounds = [before * (math.exp(log + sign * half) - 1.2) for sign in (-1.0, 1.0)]
    assert (drawn.lower, drawn.upper) == pytest.approx(bounds, rel=1e-9)
    assert report.far_change.fixed.value == pytest.approx(drawn.value, rel=1e-9)


def test_a_rate_of_zero_bounds_no_ratio():
    report = compare_thresholds(Upgrade(*upgrade(0.1, 0.11)), threshold=0.5)
    assert (report.far_change.drawn.lower, report.far_change.drawn.upper) == (-math.inf, math.inf)
    assert report.far_change.other_verdict == "inconclusive"


def test_a_change_that_no_pair_shows_is_not_known_to_be_none_in_new_classes():
    _, old = upgrade(1.0, 1.1)
    rows = old.features + 1e-9 * np.random.default_rng(0).standard_normal(old.features.shape)
    report = compare_thresholds(Upgrade(FeatureSet(rows, old.labels), old), threshold=0.4, classes="drawn")
    for change in (report.far_change, report.tar_change):
        assert change.value == 0.0
        assert change.drawn.lower <= change.fixed.lower < 0.0 < change.fixed.upper <= change.drawn.upper
        assert change.verdict == "inconclusive"
    # of equal models it is known
    same = compare_thresholds(Upgrade(old, old), threshold=0.4, classes="drawn")
    assert same.verdict == "compatible"
    assert same.tar_change.drawn.lower == same.tar_change.drawn.upper == 0.0


def test_few_classes_say_nothing_of_new_ones():
    new, old = upgrade(1.0, 1.1, num_classes=2)
    report = compare_thresholds(Upgrade(new, old), threshold=0.4, classes="drawn")
    assert math.isinf(report.far_change.upper)
    assert report.verdict == report.far_change.verdict == "inconclusive"
    assert math.isfinite(report.far_change.fixed.upper)


def stretched(features: FeatureSet, seed: int) -> FeatureSet:
    """The same directions, lengths from 1 to 3."""
    lengths = 1.0 + 2.0 * np.random.default_rng(seed).random((len(features), 1))
    return FeatureSet(features.unit * lengths, features.labels)


def scores(queries, items, similarity):
    """Scores by plain loops, and whether the better ones are the larger or the smaller."""
    if similarity == "dot":
        return np.array([[float(np.dot(q, g)) for g in items.features] for q in queries.features])
    return np.array([[math.dist(q, g) for g in items.features] for q in queries.features])


@pytest.mark.parametrize("with_gallery", [False, True])
@pytest.mark.parametrize(("similarity", "threshold"), [("dot", 1.7), ("l2", 1.9), ("dot", None), ("l2", None)])
def test_thresholds_on_rows_as_they_are_accept_what_loops_accept(with_gallery, similarity, threshold):
    new, old = (stretched(features, seed) for seed, features in enumerate(upgrade(0.9, 1.0, num_samples=120)))
    gallery = stretched(upgrade(0.9, 1.0, num_samples=80, seed=2)[1], 3) if with_gallery else None
    items = gallery or old
    asked = {"far": 0.01} if threshold is None else {"threshold": threshold}
    report = compare_thresholds(Upgrade(new, old, gallery), similarity=similarity, **asked)
    assert report.threshold_unit == {"dot": "dot product", "l2": "Euclidean distance"}[similarity]
    _, same, different = cosines(old, items, not with_gallery)

    def accepted(queries, at):
        values = scores(queries, items, similarity)
        return values <= at if similarity == "l2" else values >= at

    for queries, far, tar in ((old, report.old_far, report.old_tar), (new, report.new_far, report.new_tar)):
        found = accepted(queries, report.threshold)
        assert far.value == pytest.approx(np.mean(found[different]))
        assert tar.value == pytest.approx(np.mean(found[same]))
    kept = accepted(new, report.kept.threshold)
    assert np.mean(kept[different]) <= report.old_far.value
    assert report.kept.tar.value == pytest.approx(np.mean(kept[same]))
    assert report.kept.lower < report.kept.threshold < report.kept.upper
    assert report.new_curve.far[3] == pytest.approx(np.mean(accepted(new, report.new_curve.threshold[3])[different]))
    # and not what cosines would say
    assert report.old_far.value != compare_thresholds(Upgrade(new, old, gallery), far=0.3).old_far.value


def test_unit_rows_have_the_rates_of_cosines_at_the_threshold_in_another_unit():
    """D = √(2 − 2c), and a dot product of unit rows is their cosine; the same pairs are accepted, at other bins."""
    new, old = (FeatureSet(features.unit, features.labels) for features in upgrade(0.9, 1.0, num_samples=200))
    cosine = compare_thresholds(Upgrade(new, old), threshold=0.37)
    dot = compare_thresholds(Upgrade(new, old), threshold=0.37, similarity="dot")
    distance = compare_thresholds(Upgrade(new, old), threshold=math.sqrt(2.0 - 2.0 * 0.37), similarity="l2")
    for other in (dot, distance):
        assert other.far_change.fixed.value == cosine.far_change.fixed.value
        assert other.tar_change.fixed.lower == pytest.approx(cosine.tar_change.fixed.lower, abs=1e-12)
        assert other.verdict == cosine.verdict
    # a bin of cosines is 2/65536 wide; one of distances 2/65536, which is up to D times that as a cosine
    assert dot.kept.threshold == pytest.approx(cosine.kept.threshold, abs=2 * 2.0 / acceptance.BINS)
    found = 1.0 - distance.kept.threshold**2 / 2.0
    assert found == pytest.approx(cosine.kept.threshold, abs=4 * 2.0 / acceptance.BINS)


@pytest.mark.parametrize(
    ("similarity", "threshold", "message"),
    [
        ("dot", float("inf"), "threshold must be a finite dot product, got inf"),
        ("l2", -0.1, "threshold must be a finite Euclidean distance >= 0, got -0.1"),
        ("cosine", 1.7, r"threshold must be a cosine similarity in \[-1, 1\], got 1.7"),
    ],
)
def test_a_threshold_has_the_range_of_its_unit(similarity, threshold, message):
    with pytest.raises(ValueError, match=message):
        Options(similarity=similarity, threshold=threshold)


def raw_reports(similarity: str) -> dict[str, UpgradeReport]:
    """Every claim with a threshold, on rows of unequal lengths."""
    new, old = (stretched(features, seed) for seed, features in enumerate(upgrade(0.9, 1.0, num_samples=120)))
    some = np.flatnonzero(old.labels < 3)
    gallery = stretched(FeatureSet(old.unit[some] + 0.01, old.labels[some]), 5)
    listed = PairList(query=np.arange(100), item=np.arange(1, 101), same=np.arange(100) % 5 == 4)
    at = 1.7 if similarity == "dot" else 1.9
    return {
        "threshold": judge(Upgrade(new, old), Options(similarity=similarity, threshold=at)),
        "identification": judge(Upgrade(new, old, gallery), Options(similarity=similarity, fpir=0.1)),
        "pairs": judge(Upgrade(new, old), Options(similarity=similarity, threshold=at), pairs=listed),
    }


@pytest.mark.parametrize("similarity", ["dot", "l2"])
def test_every_view_names_the_unit_of_a_threshold_on_rows_as_they_are(similarity):
    unit = {"dot": "dot product", "l2": "Euclidean distance"}[similarity]
    for claim, report in raw_reports(similarity).items():
        page, text, plain = render(report), report.to_markdown(), report.to_dict()
        assert plain["thresholds" if claim == "threshold" else claim]["threshold_unit"] == unit
        for view in (page, text):
            assert f"by their {unit}. Mean distances" in view  # and that those are of unit rows
            assert "cosine 1." not in view
            assert "are normalised here" not in view
        for view in (page, text):
            assert (f"a {unit} of at " if claim == "threshold" else f"old threshold, {unit} ") in view


@pytest.mark.parametrize("similarity", ["dot", "l2"])
def test_listed_pairs_and_identification_are_of_rows_as_they_are(similarity):
    new, old = (stretched(features, seed) for seed, features in enumerate(upgrade(0.9, 1.0, num_samples=120)))
    found = raw_reports(similarity)
    pairs = found["pairs"].pairs
    assert pairs is not None
    same = np.arange(100) % 5 == 4
    at = pairs.rates.threshold
    assert at == (1.7 if similarity == "dot" else 1.9)
    for queries, far, tar in (
        (old, pairs.rates.false_accepts.old, pairs.rates.true_accepts.old),
        (new, pairs.rates.false_accepts.new, pairs.rates.true_accepts.new),
    ):
        values = scores(queries, old, similarity)[np.arange(100), np.arange(1, 101)]
        accepted = values <= at if similarity == "l2" else values >= at
        assert far.value == pytest.approx(np.mean(accepted[~same]))
        assert tar.value == pytest.approx(np.mean(accepted[same]))
    kept = pairs.rates.kept_threshold
    assert kept.lower <= kept.value <= kept.upper
    claim = found["identification"].identification
    assert claim is not None
    some = np.flatnonzero(old.labels < 3)
    gallery = stretched(FeatureSet(old.unit[some] + 0.01, old.labels[some]), 5)
    values = scores(old, gallery, similarity)
    best = values.min(axis=1) if similarity == "l2" else values.max(axis=1)
    strangers = best[old.labels >= 3]
    # the threshold lies next to one of these, which is rounded as the product of other matrices is
    at = claim.rates.threshold * (1.0 + np.array([-1e-12, 1e-12]))
    accepted = strangers <= at[:, None] if similarity == "l2" else strangers >= at[::-1, None]
    fewest, most = accepted.mean(axis=1)
    assert fewest - 1e-15 <= claim.rates.false_accepts.old.value <= most + 1e-15
    assert 0.0 < claim.rates.false_accepts.old.value <= 0.1

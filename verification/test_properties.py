"""Laws that learned features must obey exactly: invariances, identities, and Theorem 1 without drift."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from scipy.stats import special_ortho_group

from verification.audit.decisions import without_drift
from verification.audit.definition1 import audit
from verification.audit.hypotheses import nearest_simplex
from verification.experiments.dependence import class_means
from verification.features import FeatureSet
from verification.upgrade import Upgrade

SETTINGS = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
seeds = st.integers(0, 2**32 - 1)
# float64 rounding of N·d ~ 1e4 products of order 1; the gaps themselves are means of order 1e-2 … 1
ROUNDING = 1e-12


@pytest.fixture
def models(stationary_upgrade) -> tuple[FeatureSet, FeatureSet]:
    """Features of the new and of the old model."""
    return stationary_upgrade.upgrade.new, stationary_upgrade.upgrade.old


def subset(features: FeatureSet, classes: np.ndarray) -> FeatureSet:
    chosen = np.isin(features.codes, classes)
    return FeatureSet(features.unit[chosen], features.codes[chosen])


def draw_classes(data: st.DataObject, count: int) -> np.ndarray:
    size = data.draw(st.integers(2, count), label="number of classes")
    return np.array(data.draw(st.permutations(range(count)), label="classes")[:size])


def sides(new: FeatureSet, old: FeatureSet) -> np.ndarray:
    report = audit(new, old)
    return np.array([(side.gap, side.lower, side.upper) for side in (report.same_class, report.different_class)])


@SETTINGS
@given(data=st.data())
def test_same_class_side_is_never_violated_on_a_subset_of_classes(models, data):
    new, old = models
    classes = draw_classes(data, len(old.classes))
    report = audit(subset(new, classes), subset(old, classes))
    assert report.same_class.verdict != "incompatible"


@SETTINGS
@given(data=st.data())
def test_without_drift_both_sides_hold_on_every_subset_of_classes(models, data):
    """Turn each class so that its mean is at its vertex: then the theorem speaks of every pair of classes, not only of
    the average, as long as the concentration of the classes drawn does not fall."""
    new, old = models
    vertices = nearest_simplex(class_means(old))
    turned = without_drift(Upgrade(new, old), vertices)
    new, old = turned.new, turned.old
    old_lengths, new_lengths = (np.linalg.norm(class_means(s), axis=1) for s in (old, new))
    classes = draw_classes(data, len(old.classes))
    classes = classes[new_lengths[classes] >= old_lengths[classes]]
    assume(len(classes) >= 2)
    count = len(old.classes)
    kept = class_means(new)[classes] - class_means(old)[classes]
    gaps = -2.0 * kept @ class_means(old)[classes].T
    expected = 2.0 * np.outer((new_lengths - old_lengths)[classes], old_lengths[classes]) / (count - 1)
    off = ~np.eye(len(classes), dtype=bool)
    np.testing.assert_allclose(gaps[off], expected[off], atol=ROUNDING)
    assert np.all(gaps[off] >= -ROUNDING)
    assert np.all(-np.diag(gaps) >= -ROUNDING)


@SETTINGS
@given(seed=seeds)
def test_joint_rotation_changes_nothing(models, seed):
    new, old = models
    rotation = special_ortho_group.rvs(new.dim, random_state=seed)
    turned = sides(FeatureSet(new.unit @ rotation, new.labels), FeatureSet(old.unit @ rotation, old.labels))
    np.testing.assert_allclose(turned, sides(new, old), atol=ROUNDING)


@SETTINGS
@given(seed=seeds)
def test_rotating_one_model_alone_is_violated(models, seed):
    """The negative control of the invariance: a gallery turned against its queries cannot be searched."""
    new, old = models
    rotation = special_ortho_group.rvs(new.dim, random_state=seed)
    assert audit(FeatureSet(new.unit @ rotation, new.labels), old).verdict == "incompatible"


@SETTINGS
@given(seed=seeds)
def test_joint_permutation_changes_nothing(models, seed):
    new, old = models
    order = np.random.default_rng(seed).permutation(len(new))
    shuffled = sides(*(FeatureSet(s.features[order], s.labels[order]) for s in (new, old)))
    np.testing.assert_allclose(shuffled, sides(new, old), atol=ROUNDING)


@SETTINGS
@given(seed=seeds)
def test_positive_rescaling_changes_nothing(models, seed):
    new, old = models
    scales = np.exp(np.random.default_rng(seed).uniform(-20.0, 20.0, (2, len(new), 1)))
    scaled = sides(*(FeatureSet(s.features * scale, s.labels) for s, scale in zip((new, old), scales, strict=True)))
    np.testing.assert_allclose(scaled, sides(new, old), atol=ROUNDING)


def test_gaps_are_those_of_the_double_loop(models):
    """O(N·d) against the definition: every ordered pair, one at a time, on some forty samples."""
    some = np.random.default_rng(0).permutation(len(models[0]))[:40]
    new, old = (FeatureSet(s.unit[some], s.labels[some]) for s in models)
    gaps: dict[bool, list[float]] = {True: [], False: []}
    for i in range(len(old)):
        for j in range(len(old)):
            if i != j:
                same = bool(old.complete_labels[i] == old.complete_labels[j])
                change = np.sum((new.unit[i] - old.unit[j]) ** 2) - np.sum((old.unit[i] - old.unit[j]) ** 2)
                gaps[same].append(-change if same else change)
    report = audit(new, old)
    for side, values in ((report.same_class, gaps[True]), (report.different_class, gaps[False])):
        assert side.num_pairs == len(values)
        assert side.gap == pytest.approx(np.mean(values), abs=ROUNDING)
        assert side.pair_fraction == np.mean(np.array(values) >= 0)


def test_a_model_is_compatible_with_itself(models):
    report = audit(models[1], models[1])
    assert report.verdict == "compatible"
    for side in (report.same_class, report.different_class):
        assert (side.gap, side.lower, side.upper, side.pair_fraction) == (0.0, 0.0, 0.0, 1.0)


def test_exchanging_the_classes_of_the_new_model_is_violated(models):
    """A permutation of the vertices without fixed points: the shape of every class is right, only the place wrong."""
    new, old = models
    count = len(old.classes)
    derangement = (np.arange(count) + 1) % count
    # class c's samples get the features of as many samples of the next class
    pool = [np.flatnonzero(old.codes == c) for c in range(count)]
    source = np.concatenate([np.resize(pool[derangement[c]], len(pool[c])) for c in range(count)])
    target = np.concatenate(pool)
    exchanged = new.unit.copy()
    exchanged[target] = new.unit[source]
    assert audit(FeatureSet(exchanged, new.labels), old).verdict == "incompatible"

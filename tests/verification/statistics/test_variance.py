"""Degrees of freedom: the least of three ways to count them, and the mixture of large classes and small ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from verification.features import FeatureSet
from verification.statistics.variance import SameClass, between_parts, summed_error
from verification.statistics.weights import Weights
from verification.upgrade import Upgrade


def statistics(labels, shift, seed=0):
    rng = np.random.default_rng(seed)
    axes = rng.standard_normal((int(labels.max()) + 1, 6))
    old = axes[labels] + 0.5 * rng.standard_normal((len(labels), 6))
    return Upgrade(FeatureSet(old + shift(rng, len(labels)), labels), FeatureSet(old, labels)).statistics()


def welch(variances, freedom):
    return np.sum(variances) ** 2 / np.sum(np.square(variances) / freedom)


def counted(part):
    """Degrees of freedom of one role by hand: as estimated, by the design alone, by fourth moments."""
    classes, counts = part.rows.codes, part.rows.counts
    variances, squares = [], np.empty(len(classes))
    for c, count in enumerate(counts):
        deviations = part.values[classes == c] - part.values[classes == c].mean()
        squares[classes == c] = deviations**2 / (count - 1.0) / part.sizes[c]
        variances.append(squares[classes == c].sum())
    freedom = counts - 1.0
    spread = sum(np.sum((squares[classes == c] - squares[classes == c].mean()) ** 2) for c in range(len(counts)))
    fourth = 2.0 * squares.sum() ** 2 / spread
    return welch(np.array(variances), freedom), welch(part.design, freedom), fourth


def two_clusters(rng, count):
    """One sample in twenty is shifted far."""
    return 6.0 * (rng.random((count, 1)) < 0.05) * rng.standard_normal(6)


def one_class_varies(rng, count):
    return np.where(np.arange(count)[:, None] < 40, 3.0, 0.1) * rng.standard_normal((count, 6))


@pytest.mark.parametrize(
    ("sizes", "shift", "least"),
    [([200, 200], two_clusters, 2), ([40, 40, 40], one_class_varies, 0), ([9, 400], two_clusters, None)],
)
def test_the_least_of_three_counts(sizes, shift, least):
    source = statistics(np.repeat(np.arange(len(sizes)), sizes), shift)
    (part,) = parts = between_parts(source, Weights.of("classes", source.sizes))
    error, freedom = summed_error(parts)
    counts = counted(part)
    assert freedom == pytest.approx(min(counts), rel=1e-9)
    if least is not None:
        assert counts[least] == min(counts) < 0.8 * sorted(counts)[1]
    variances = part.variances
    assert error == pytest.approx(np.sqrt(variances.sum()), rel=1e-12)


def test_large_and_small_classes_mix_as_welch_and_satterthwaite_have_it():
    labels = np.repeat(np.arange(7), [50, 50, 50, 2, 2, 3, 2])
    source = statistics(labels, lambda rng, count: 0.5 * rng.standard_normal((count, 6)))
    weighting = Weights.of("classes", source.sizes)
    weights = weighting.same
    same = SameClass.of(source)
    large = np.isfinite(same.first)
    np.testing.assert_array_equal(large, [True, True, True, False, False, False, False])
    error, freedom, _ = same.error(replace(weighting, same=np.where(large, weights, 0.0)))
    w, means = weights[~large], same.means[~large]
    spread = np.sum((w * (means - w @ means / w.sum())) ** 2) * 4.0 / 3.0
    # no less than the large classes would have with as few samples
    design = weights**2 / source.sizes
    small = max(spread, error**2 * design[~large].sum() / design[large].sum())
    total = error**2 + small
    found = same.error(weighting)
    assert found[0] == pytest.approx(np.sqrt(total), rel=1e-12)
    assert found[1] == pytest.approx(total**2 / (error**4 / freedom + small**2 / 3.0), rel=1e-12)


def test_by_class_no_error_is_below_the_root_mean_square():
    """A class that missed its rare mode has a small variance and a favourable mean at once."""
    rng = np.random.default_rng(3)
    labels = np.repeat(np.arange(4), 30)
    old = np.eye(4)[labels] + 0.1 * rng.standard_normal((120, 4))
    # class 0 varies hardly at all, the others much
    new = old + np.where(labels[:, None] == 0, 1e-3, 0.5) * rng.standard_normal((120, 4))
    same = SameClass.of(Upgrade(FeatureSet(new, labels), FeatureSet(old, labels)).statistics())
    alone = np.sqrt(np.maximum(same.first + same.second, same.second))
    found = same.by_class().standard_error
    root_mean_square = np.sqrt(np.mean(alone**2))
    assert alone[0] < 0.1 * root_mean_square
    np.testing.assert_allclose(found, np.maximum(alone, root_mean_square), rtol=1e-12)

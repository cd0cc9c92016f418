"""Dependence of two models' features: against naive references, and cases whose answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import gammaln, ive

from theory.simplex import simplex_vertices
from theory.von_mises_fisher import VonMisesFisher
from verification.experiments.dependence import (
    class_means,
    covariance_distance,
    information_bound,
    linear_cka,
    mean_alignment,
    measure_dependence,
)
from verification.features import FeatureSet
from verification.upgrade import Upgrade

from ..samples import cap_features


def paired(num_samples=300, num_classes=5, dim=6, seed=0):
    """Two models of which the new one sees what the old one sees, with noise."""
    rng = np.random.default_rng(seed)
    old = cap_features(np.arange(num_samples) % num_classes, dim, 0.7, rng)
    return FeatureSet(old.unit + 0.2 * rng.standard_normal(old.unit.shape), old.labels), old


def rotation(dim, seed=1):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((dim, dim)))[0]


def naive_hsic(x, y):
    """Song et al.'s unbiased HSIC over quadruples written out with N × N kernels."""
    n = len(x)
    k, m = x @ x.T, y @ y.T
    np.fill_diagonal(k, 0.0)
    np.fill_diagonal(m, 0.0)
    total = np.sum(k * m) + k.sum() * m.sum() / ((n - 1) * (n - 2)) - 2.0 * np.sum(k @ m) / (n - 2)
    return total / (n * (n - 3))


@pytest.mark.parametrize("within", [False, True])
def test_cka_is_the_naive_one(within):
    new, old = paired()
    groups = [old.codes == c for c in range(5)] if within else [old.codes >= 0]

    def hsic(x, y):
        return sum(np.mean(g) * naive_hsic(x[g], y[g]) for g in groups)

    expected = hsic(new.unit, old.unit) / math.sqrt(hsic(new.unit, new.unit) * hsic(old.unit, old.unit))
    # rounding of sums over 300² entries
    assert linear_cka(Upgrade(new, old), within) == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("within", [False, True])
def test_cka_of_known_cases(within):
    new, old = paired(2000, dim=8)
    assert linear_cka(Upgrade(old, old), within) == pytest.approx(1.0, abs=1e-12)
    turned = FeatureSet(old.unit @ rotation(8), old.labels)
    assert linear_cka(Upgrade(turned, old), within) == pytest.approx(1.0, abs=1e-12)
    wider = FeatureSet(np.hstack([old.unit, np.zeros((2000, 3))]), old.labels)
    assert linear_cka(Upgrade(wider, old, same_dim=False), within) == pytest.approx(1.0, abs=1e-12)
    assert 0.1 < linear_cka(Upgrade(new, old), within) < 1.0
    # the same caps drawn again: the class is all that the two share, and within classes nothing
    again = cap_features(old.labels, 8, 0.7, np.random.default_rng(5))
    value = linear_cka(Upgrade(again, old), within)
    # 0.02 is 4 standard deviations over 20 other draws
    assert abs(value) < 0.02 if within else value > 0.5


def test_unbiased_cka_of_independent_features_is_zero_where_the_plug_in_is_not():
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    draws = rng.standard_normal((200, 2, 60, 20))
    values = [linear_cka(Upgrade(FeatureSet(u, labels), FeatureSet(v, labels))) for u, v in draws]
    assert abs(np.mean(values)) < 4 * np.std(values) / math.sqrt(200)

    def plug_in(u, v):
        u, v = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (u, v))
        u, v = u - u.mean(axis=0), v - v.mean(axis=0)
        return np.sum((u.T @ v) ** 2) / (np.linalg.norm(u.T @ u) * np.linalg.norm(v.T @ v))

    assert np.mean([plug_in(u, v) for u, v in draws]) > 0.2


def test_covariance_distance():
    new, old = paired()
    expected = np.linalg.norm(np.cov(new.unit.T, bias=True) - np.cov(old.unit.T, bias=True))
    assert covariance_distance(Upgrade(new, old)) == pytest.approx(expected, rel=1e-12)
    within = 0.0
    for code in range(5):
        rows = old.codes == code
        within += np.mean(rows) * (np.cov(new.unit[rows].T, bias=True) - np.cov(old.unit[rows].T, bias=True))
    assert covariance_distance(Upgrade(new, old), within=True) == pytest.approx(np.linalg.norm(within), rel=1e-12)
    assert covariance_distance(Upgrade(old, old)) == 0.0
    turned = FeatureSet(old.unit @ rotation(6), old.labels)
    assert covariance_distance(Upgrade(turned, old)) > 0.05
    # a distribution is not a sample: rows of each class in another order are as far as before
    order = np.concatenate([np.roll(np.flatnonzero(old.codes == c), 7) for c in range(5)])
    place = np.concatenate([np.flatnonzero(old.codes == c) for c in range(5)])
    shuffled = np.empty_like(new.unit)
    shuffled[place] = new.unit[order]
    shuffled = FeatureSet(shuffled, old.labels)
    assert covariance_distance(Upgrade(shuffled, old), within=True) == pytest.approx(np.linalg.norm(within), rel=1e-12)
    assert abs(linear_cka(Upgrade(shuffled, old), within=True)) < 0.1 < linear_cka(Upgrade(new, old), within=True)


def test_alignment():
    new, old = paired()
    for code, cosine in enumerate(mean_alignment(new, class_means(old))):
        a, b = (features.unit[features.codes == code].mean(axis=0) for features in (new, old))
        assert cosine == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b), rel=1e-12)
    np.testing.assert_allclose(mean_alignment(old, class_means(old)), 1.0, rtol=1e-14)
    vertices = simplex_vertices(5, 6)
    assert np.all(mean_alignment(old, vertices) > 0.95)
    # permuted vertices: the cosine of another vertex
    assert np.all(mean_alignment(old, np.roll(vertices, 1, axis=0)) < 0.0)
    with pytest.raises(ValueError, match=r"directions must have shape \(5, 6\)"):
        mean_alignment(old, vertices[:4])


@pytest.mark.parametrize("negatives", ["all", "same class", "other classes"])
def test_information_bound_is_the_naive_one(negatives):
    new, old = paired(40, num_classes=2)
    value = information_bound(Upgrade(new, old), 7.0, 10, negatives, seed=3)

    def batch_value(batch):
        loss = 0.0
        for i in batch:
            others = {
                "all": [j for j in batch if j != i],
                "same class": [j for j in batch if j != i],
                "other classes": [j for j in batch if old.codes[j] != old.codes[i]],
            }[negatives]
            scores = [7.0 * float(new.unit[i] @ old.unit[j]) for j in (i, *others)]
            loss += math.log(sum(map(math.exp, scores))) - scores[0]
        return math.log(len(batch)) - loss / len(batch)

    from verification.statistics.rows import stream

    rng = stream(3, "batches")
    groups = [np.flatnonzero(old.codes == c) for c in range(2)] if negatives == "same class" else [np.arange(40)]
    mean = variance = 0.0
    for group in groups:
        values = [batch_value(batch) for batch in rng.permutation(group).reshape(-1, 10)]
        mean += np.mean(values) / len(groups)
        variance += np.var(values, ddof=1) / len(values) / len(groups) ** 2
    assert value.bound == pytest.approx(mean, abs=1e-13)
    assert value.standard_error == pytest.approx(math.sqrt(variance), rel=1e-12)
    assert value.ceiling == pytest.approx(math.log(10))


@pytest.mark.parametrize(("dim", "kappa"), [(3, 3.0), (3, 10.0), (8, 6.0)])
def test_the_bound_on_a_known_information(dim, kappa):
    """u uniform on the sphere, v von Mises–Fisher about it: I = log C(κ)/C(0) + κ A(κ), the best critic is κ u·v."""
    order = dim / 2 - 1
    log_bessel = math.log(ive(order, kappa)) + kappa
    log_ratio = order * math.log(kappa / 2) - log_bessel - gammaln(dim / 2)
    information = log_ratio + kappa * ive(order + 1, kappa) / ive(order, kappa)
    rng = np.random.default_rng(4)
    u = rng.standard_normal((8000, dim))
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    # v about the first axis, then turned to u by a reflection
    v = VonMisesFisher(dim, kappa).sample(len(u), rng=rng)
    normal = u - np.eye(dim)[0]
    v -= 2.0 * np.vecdot(v, normal)[:, None] * normal / np.vecdot(normal, normal)[:, None]
    labels = np.arange(len(u)) % 2
    new, old = FeatureSet(v, labels), FeatureSet(u, labels)
    best = information_bound(Upgrade(new, old), kappa, 1000)
    assert best.bound < information + 4 * best.standard_error
    # with 1000 candidates the bound is tight: the deficit falls as e^I/N
    assert best.bound > information - 0.05
    for scale, size in ((kappa, 20), (3 * kappa, 1000), (kappa / 3, 1000)):
        worse = information_bound(Upgrade(new, old), scale, size)
        assert worse.bound < best.bound
    assert information_bound(Upgrade(new, old), kappa, 3).bound <= math.log(3)


def test_independent_features_carry_no_information():
    rng = np.random.default_rng(2)
    labels = np.arange(4000) % 4
    old, new = (cap_features(labels, 6, 0.6, rng) for _ in range(2))
    within = information_bound(Upgrade(new, old), negatives="same class")
    assert within.bound < 4 * within.standard_error
    # what they share is the class, log 4
    between = information_bound(Upgrade(new, old))
    assert 0.5 < between.bound < math.log(4) + 4 * between.standard_error


def test_negatives_of_other_classes_give_no_bound():
    """Features that are their vertex know the class and no more, log 10; Eq. 4's loss says almost log N."""
    labels = np.arange(2560) % 10
    features = FeatureSet(simplex_vertices(10)[labels], labels)
    assert information_bound(Upgrade(features, features)).bound < math.log(10)
    for size in (64, 1280):
        value = information_bound(Upgrade(features, features), batch_size=size, negatives="other classes").bound
        assert value > math.log(size) - 0.02 > math.log(10) + 1
    assert information_bound(Upgrade(features, features), negatives="same class").bound == pytest.approx(0.0, abs=1e-12)


def test_it_agrees_with_the_loss_that_is_trained_with():
    torch = pytest.importorskip("torch")
    from learning.losses import contrastive_loss

    new, old = paired(256)
    value = information_bound(Upgrade(new, old), 10.0, 128, "other classes", seed=1)
    from verification.statistics.rows import stream

    batches = stream(1, "batches").permutation(np.arange(256)).reshape(2, 128)
    tensors = [torch.from_numpy(np.ascontiguousarray(x)) for x in (new.unit, old.unit, old.labels)]
    losses = [float(contrastive_loss(*(x[batch] for x in tensors))) for batch in batches]
    assert value.bound == pytest.approx(math.log(128) - np.mean(losses), abs=1e-12)


def test_all_measures_at_once():
    new, old = paired(400)
    found = measure_dependence(Upgrade(new, old), batch_size=50)
    assert found.cka == linear_cka(Upgrade(new, old))
    assert found.cka_within == linear_cka(Upgrade(new, old), within=True)
    assert found.information == information_bound(Upgrade(new, old), batch_size=50)
    assert found.information_within == information_bound(Upgrade(new, old), batch_size=50, negatives="same class")
    assert found.covariance_distance_within == covariance_distance(Upgrade(new, old), within=True)
    assert found.alignment == pytest.approx(np.mean(mean_alignment(new, class_means(old))))
    itself = measure_dependence(Upgrade(old, old), batch_size=50)
    assert itself.cka == pytest.approx(1.0)
    assert itself.covariance_distance == 0.0
    assert itself.alignment == pytest.approx(1.0)
    assert itself.information.bound > found.information.bound
    assert itself.information.bound <= itself.information.ceiling


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scale": 0.0}, "scale must be a finite number > 0, got 0.0"),
        ({"batch_size": 1}, r"batch_size must be in \[2, 20\]"),
        ({"batch_size": 21}, r"batch_size must be in \[2, 20\]"),
        ({"negatives": "none"}, "negatives must be 'all', 'same class' or 'other classes', got 'none'"),
    ],
)
def test_arguments(arguments, message):
    new, old = paired(40)
    with pytest.raises(ValueError, match=message):
        information_bound(Upgrade(new, old), **({"batch_size": 8} | arguments))


def test_what_cannot_be_measured_is_refused():
    new, old = paired(40)
    wider = Upgrade(FeatureSet(np.hstack([new.unit, new.unit]), new.labels), old, same_dim=False)
    for measure in (covariance_distance, information_bound):
        with pytest.raises(ValueError, match="new and old must have one dimension, got 12 and 6"):
            measure(wider)
    nameless = Upgrade(FeatureSet(new.unit), FeatureSet(old.unit))
    assert linear_cka(nameless) == pytest.approx(linear_cka(Upgrade(new, old)), rel=1e-12)
    for refused in (
        lambda: linear_cka(nameless, within=True),
        lambda: covariance_distance(nameless, within=True),
        lambda: information_bound(nameless, batch_size=8, negatives="other classes"),
    ):
        with pytest.raises(ValueError, match="every row must have a class, but 40 of 40 rows have none"):
            refused()
    constant = FeatureSet(np.ones((40, 6)), old.labels)
    with pytest.raises(ValueError, match="features that vary over the samples, but those of the new model do not"):
        linear_cka(Upgrade(constant, old))
    vertices = FeatureSet(simplex_vertices(5, 6)[old.codes], old.labels)
    with pytest.raises(ValueError, match="features that vary within classes, but those of the old model do not"):
        linear_cka(Upgrade(new, vertices), within=True)
    small = FeatureSet(old.unit[:12], old.labels[:12])
    with pytest.raises(ValueError, match="linear CKA needs at least 4 samples of every class, got 2"):
        linear_cka(Upgrade(small, small), within=True)
    with pytest.raises(ValueError, match="every class must have at least 4 samples"):
        information_bound(Upgrade(small, small), batch_size=2, negatives="same class")

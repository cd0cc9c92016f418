"""The baselines' loss terms against naive loops in float64, and the batches that break careless code."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings

from learning.baselines import (
    alignment_loss,
    boundary_loss,
    class_mean_gaps,
    data_coherence,
    feature_distillation,
    hot_refresh_loss,
    hyperbolic_distance,
    influence_loss,
    mixed_features,
    model_coherence,
    orthogonality_excess,
    point_to_set,
    prototype_distillation,
    pseudo_classification,
    queue_contrast,
    relation_distillation,
    smoothed_prototypes,
    supervised_contrast,
    virtual_mixup,
    weakened_l2,
)
from tests.learning.test_losses import ROUNDING, batch, unit
from tests.strategies import batch_sizes, class_counts, seeds

CLASSES, DIM = 4, 6
some_batches = given(seed=seeds, size=batch_sizes, classes=class_counts(CLASSES))
few = settings(max_examples=15)


def table(seed: int) -> torch.Tensor:
    """One vector a class."""
    return torch.randn(CLASSES, DIM, generator=torch.Generator().manual_seed(seed + 1), dtype=torch.float64)


def agree(value: torch.Tensor, expected: float) -> None:
    assert float(value.detach()) == pytest.approx(expected, rel=ROUNDING, abs=ROUNDING)


def mean(values: list[float], count: int | None = None) -> float:
    return sum(values) / (count or len(values)) if values else 0.0


@few
@some_batches
def test_feature_distillation_is_the_loop_over_known_rows(seed, size, classes):
    new, old, targets = batch(seed, size, classes)
    u, v = unit(new), unit(old)
    expected = mean([1.0 - float(u[i] @ v[i]) for i in range(size) if targets[i] < 2])
    agree(feature_distillation(new, old, targets < 2), expected)


@few
@some_batches
def test_influence_loss_is_the_loop_over_known_rows_and_classes(seed, size, classes):
    new, _, targets = batch(seed, size, classes)
    logits = new @ table(seed).T
    known = [1, 3]
    terms = []
    for i in range(size):
        if int(targets[i]) in known:
            total = sum(math.exp(float(logits[i, c])) for c in known)
            terms.append(math.log(total) - float(logits[i, targets[i]]))
    agree(influence_loss(logits, targets, torch.tensor([False, True, False, True])), mean(terms))


@few
@some_batches
def test_model_coherence_is_the_loop(seed, size, classes):
    new, old, targets = batch(seed, size, classes)
    u, v = unit(new), unit(old)
    terms = []
    for i in range(size):
        others = [float((u[i] - v[j]).norm()) for j in range(size) if targets[j] != targets[i]]
        if others:
            terms.append(max(0.0, float((u[i] - v[i]).norm()) - min(others) + 0.1))
    agree(model_coherence(new, old, targets), mean(terms, size))


@few
@some_batches
def test_data_coherence_is_the_loop(seed, size, classes):
    new, _, targets = batch(seed, size, classes)
    u, means = unit(new), table(seed)
    expected = mean([float(((u[i] - means[targets[i]]) ** 2).sum()) for i in range(size) if targets[i] == 0])
    known = torch.tensor([True, False, False, False])
    agree(data_coherence(new, targets, means, known), expected)


@few
@some_batches
def test_boundary_loss_is_the_loop(seed, size, classes):
    new, _, targets = batch(seed, size, classes)
    u, means, radius = unit(new), table(seed), torch.tensor([0.9, 0.1, -0.5, 1.0], dtype=torch.float64)
    c = unit(means)
    expected = mean([max(0.0, float(radius[targets[i]] - u[i] @ c[targets[i]])) for i in range(size)])
    agree(boundary_loss(new, targets, means, radius), expected)


def test_alignment_loss_leaves_absent_classes_out():
    weight, means = table(0), table(1)
    present = torch.tensor([True, False, True, False])
    w, c = unit(weight), unit(means)
    expected = mean([float((w[k, i] - c[k, i]) ** 2) for k in (0, 2) for i in range(DIM)])
    agree(alignment_loss(weight, torch.where(present[:, None], means, 0.0), present), expected)


@few
@some_batches
def test_hot_refresh_loss_is_the_double_loop(seed, size, classes):
    new, old, targets = batch(seed, size, classes)
    u, v = unit(new), unit(old)
    terms = []
    for i in range(size):
        positive = float(u[i] @ v[i]) / 0.5
        total = math.exp(positive)
        for j in range(size):
            if targets[i] != targets[j]:
                total += math.exp(float(u[i] @ v[j]) / 0.5) + math.exp(float(u[i] @ u[j]) / 0.5)
        terms.append(math.log(total) - positive)
    agree(hot_refresh_loss(new, old, targets, 0.5), mean(terms))


@few
@some_batches
@pytest.mark.parametrize("hardest", [1, 2])
def test_hot_refresh_loss_keeps_the_hardest_negatives(hardest, seed, size, classes):
    new, old, targets = batch(seed, size, classes)
    u, v = unit(new), unit(old)
    terms = []
    for i in range(size):
        positive = float(u[i] @ v[i]) / 0.5
        total = math.exp(positive)
        for side in (v, u):
            values = sorted((float(u[i] @ side[j]) for j in range(size) if targets[i] != targets[j]), reverse=True)
            total += sum(math.exp(value / 0.5) for value in values[:hardest])
        terms.append(math.log(total) - positive)
    agree(hot_refresh_loss(new, old, targets, 0.5, hardest=hardest), mean(terms))


def test_new_to_new_negatives_can_be_left_without_gradient():
    new, old, targets = batch(3, 8, 3)
    gradients = []
    for detach in (False, True):
        x = new.clone().requires_grad_()
        loss = hot_refresh_loss(x, old, targets, 0.5, detach=detach)
        gradients.append(torch.autograd.grad(loss, x)[0])
    # with negatives held fixed the gradient is that of this function of the anchors alone
    anchors = new.clone().requires_grad_()
    u, v, fixed = torch.nn.functional.normalize(anchors, dim=1), unit(old), unit(new)
    different = targets[:, None] != targets[None, :]
    total = (u * v).sum(1).div(0.5).exp()
    total = total + ((u @ v.T).div(0.5).exp() * different).sum(1) + ((u @ fixed.T).div(0.5).exp() * different).sum(1)
    (expected,) = torch.autograd.grad((total.log() - (u * v).sum(1) / 0.5).mean(), anchors)
    torch.testing.assert_close(gradients[1], expected)
    assert not torch.allclose(gradients[0], gradients[1])


def log_softmax(values: list[float]) -> list[float]:
    total = math.log(sum(math.exp(value) for value in values))
    return [value - total for value in values]


@few
@some_batches
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_pseudo_classification_is_the_loop_over_present_classes(smoothing, seed, size, classes):
    new, _, targets = batch(seed, size, classes)
    present = sorted({*targets.tolist(), 0, 2})
    rows = unit(table(seed))
    terms = []
    for i in range(size):
        logs = log_softmax([float(new[i] @ rows[c]) for c in present])
        own = logs[present.index(int(targets[i]))]
        terms.append(-(1 - smoothing) * own - smoothing * sum(logs) / len(logs))
    mask = torch.zeros(CLASSES, dtype=torch.bool)
    mask[present] = True
    agree(pseudo_classification(new, targets, 3.0 * table(seed), mask, smoothing), mean(terms))


@few
@some_batches
def test_weakened_l2_is_the_loop(seed, size, classes):
    new, old, _ = batch(seed, size, classes)
    u, v = unit(new), unit(old)
    agree(weakened_l2(new, old, 0.9), mean([max(0.0, float((u[i] - v[i]).norm()) - 0.9) for i in range(size)]))


def test_mixed_features_are_old_directions_of_the_new_length():
    new, old, _ = batch(0, 5, 3)
    replaced = torch.tensor([True, False, True, False, False])
    mixed = mixed_features(new, old, replaced)
    for i in range(5):
        expected = new[i].norm() * old[i] / old[i].norm() if replaced[i] else new[i]
        torch.testing.assert_close(mixed[i], expected)


def test_rows_without_a_positive_in_the_queue_do_not_count():
    new, old, _ = batch(0, 6, 2)
    targets = torch.tensor([0, 1, 2, 0, 1, 2])
    some = targets < 2
    of_two = torch.where(some, targets, 7)
    known = queue_contrast(new[some], targets[some], old, of_two)
    torch.testing.assert_close(queue_contrast(new, targets, old, of_two), known)
    assert known > 0.0
    assert queue_contrast(new, targets, old, torch.full((6,), 7)) == 0.0


@few
@some_batches
def test_queue_contrast_is_the_double_loop(seed, size, classes):
    new, old, targets = batch(seed, size, classes)
    x, z = unit(new), unit(old)
    queue_targets = torch.roll(targets, 1)
    terms = []
    for i in range(size):
        logs = log_softmax([float(x[i] @ z[j]) / 0.5 for j in range(size)])
        weights = [(1 + float(x[i] @ z[j])) / 2 if targets[i] == queue_targets[j] else 0.0 for j in range(size)]
        if sum(weights):
            terms.append(-sum(w * log for w, log in zip(weights, logs, strict=True)) / sum(weights))
    agree(queue_contrast(new, targets, old, queue_targets, 0.5), mean(terms))


@few
@some_batches
def test_point_to_set_is_the_loop_over_violators(seed, size, classes):
    new, _, targets = batch(seed, size, classes)
    u, c, radius = unit(new), unit(table(seed)), torch.tensor([0.9, 1.2, 1.5, 0.5], dtype=torch.float64)
    excess = [float((u[i] - c[targets[i]]).norm() - radius[targets[i]]) for i in range(size)]
    agree(point_to_set(new, targets, 2.0 * table(seed), radius), mean([e for e in excess if e > 0]))


@few
@some_batches
def test_smoothed_prototypes_are_the_limit_of_spreading_on_the_graph(seed, size, classes):
    """(1 − α)(I − αW)⁻¹ v is the sum of (1 − α) αᵏ Wᵏ v."""
    size += 2
    new, old, targets = batch(seed, size, classes)
    u, v = unit(new), unit(old)
    graph = torch.zeros(size, size, dtype=torch.float64)
    for i in range(size):
        weights = [math.exp(float(u[i] @ u[j]) / 0.05) if i != j else 0.0 for j in range(size)]
        graph[i] = torch.tensor(weights, dtype=torch.float64) / sum(weights)
    spread, term = torch.zeros_like(v), v
    for k in range(400):  # 0.9^400 is 1e-18
        spread = spread + 0.1 * 0.9**k * term
        term = graph @ term
    found = smoothed_prototypes(new, old, targets, CLASSES)
    for c in range(CLASSES):
        own = spread[targets == c]
        expected = own.mean(dim=0) if len(own) else torch.zeros(DIM, dtype=torch.float64)
        torch.testing.assert_close(found[c], expected, atol=1e-10, rtol=0)


@few
@some_batches
def test_distillation_of_soft_classes_and_of_similarities_are_the_loops(seed, size, classes):
    new, old, targets = batch(seed, size, classes)
    u, v, c = unit(new), unit(old), unit(table(seed))
    rows = [i for i in range(size) if targets[i] < 2]
    soft, relations = [], []
    for i in rows:
        p, q = (log_softmax([float(x[i] @ c[k]) / 0.1 for k in range(CLASSES)]) for x in (v, u))
        soft.append(sum(math.exp(a) * (a - b) for a, b in zip(p, q, strict=True)))
        if len(rows) > 1:
            p, q = (log_softmax([float(x[i] @ x[j]) / 0.2 for j in rows if j != i]) for x in (v, u))
            relations.append(sum(math.exp(a) * (a - b) for a, b in zip(p, q, strict=True)))
    agree(prototype_distillation(new, old, 2.0 * table(seed), targets < 2), mean(soft))
    agree(relation_distillation(new, old, targets < 2), mean(relations))


@few
@some_batches
def test_virtual_mixup_is_the_loop(seed, size, classes):
    new, old, targets = batch(seed, size, min(classes, 2))
    reserved = torch.tensor([False, False, True, True])
    logits, mixed = new[:, :4], old[:, :4]
    terms = []
    for i in range(size):
        best = 2 + int(logits[i, 2:].argmax())
        others = [c for c in range(4) if c != targets[i]]
        first = -log_softmax([float(logits[i, c]) for c in others])[others.index(best)]
        second = -log_softmax([float(mixed[i, c]) for c in range(4)])[2 + int(mixed[i, 2:].argmax())]
        terms.append(first + second)
    agree(virtual_mixup(logits, mixed, targets, reserved), mean(terms))


@few
@some_batches
def test_supervised_contrast_is_the_double_loop(seed, size, classes):
    new, _, targets = batch(seed, size, classes)
    u = unit(new)
    terms = []
    for i in range(size):
        same = [math.exp(5 * float(u[i] @ u[j])) for j in range(size) if j != i and targets[i] == targets[j]]
        every = [math.exp(5 * float(u[i] @ u[j])) for j in range(size) if j != i]
        if same:
            terms.append(math.log(sum(every)) - math.log(sum(same)))
    agree(supervised_contrast(new, targets, 5.0), mean(terms))


@few
@some_batches
def test_class_mean_gaps_are_the_loop_and_half_the_gaps_of_definition_1(seed, size, classes):
    new, _, targets = batch(seed, size, classes)
    u, means = unit(new), table(seed) / 3.0
    first = [float(u[i] @ means[targets[i]]) - 1.1 * float(means[targets[i]] @ means[targets[i]]) for i in range(size)]
    second = []
    for i in range(size):
        y = int(targets[i])
        others = [float(means[y] @ means[c]) - float(u[i] @ means[c]) for c in range(CLASSES) if c != y]
        second.append(sum(others) / len(others))
    same, different = class_mean_gaps(new, targets, means, 0.1)
    agree(same, mean(first))
    agree(different, mean(second))


def test_hyperbolic_distance_is_that_of_the_hyperboloid():
    """Through points of the hyperboloid: exp₀(x) = (cosh|x|, sinh|x| x/|x|), cosh d = −⟨p, q⟩."""
    x, y, _ = batch(1, 6, 2)
    found = hyperbolic_distance(x, y)
    for i in range(6):
        p, q = ((math.cosh(float(z.norm())), math.sinh(float(z.norm())) * z / z.norm()) for z in (x[i], y[i]))
        agree(found[i], math.acosh(p[0] * q[0] - float(p[1] @ q[1])))
    # of curvature −c lengths are measured in units of 1/√c
    torch.testing.assert_close(hyperbolic_distance(x, y, 4.0), hyperbolic_distance(2.0 * x, 2.0 * y) / 2.0)
    along = torch.tensor([[2.0, 0.0]]).double()
    agree(hyperbolic_distance(along, -along)[0], 4.0)


def test_orthogonality_is_free_up_to_the_threshold():
    matrix = 1.1 * torch.eye(4, dtype=torch.float64, requires_grad=True)
    excess = math.sqrt(4 * 0.21**2)  # every diagonal entry of B'B is 1.21
    agree(orthogonality_excess(matrix, 0.2), excess - 0.2)
    agree(orthogonality_excess(matrix, 0.5), 0.0)
    rotation = torch.linalg.qr(table(0)[:, :4])[0].requires_grad_()
    loss = orthogonality_excess(rotation, 0.0)
    loss.backward()
    agree(loss, 0.0)
    assert torch.isfinite(rotation.grad).all()


@pytest.mark.parametrize("classes", [1, 3])
def test_gradients_are_finite_and_right_where_new_equals_old(classes):
    """A copy starts where the old model is: chords of length zero, and batches without a negative."""
    new, old, targets = batch(3, 6, classes)
    same = old.clone().requires_grad_()
    means, known = table(0), torch.tensor([True, True, False, False])
    terms = {
        "distillation": lambda x: feature_distillation(x, old, known[targets]),
        "influence": lambda x: influence_loss(x @ means.T, targets, known),
        "coherence": lambda x: model_coherence(x, old, targets),
        "data": lambda x: data_coherence(x, targets, means, known),
        "boundary": lambda x: boundary_loss(x, targets, means, torch.full((4,), 0.3, dtype=torch.float64)),
        "refresh": lambda x: hot_refresh_loss(x, old, targets),
        "pseudo": lambda x: pseudo_classification(x, targets, means, torch.ones(4, dtype=torch.bool)),
        "l2": lambda x: weakened_l2(x, old, 0.2),
        "point to set": lambda x: point_to_set(x, targets, means, torch.full((4,), 0.5, dtype=torch.float64)),
        "soft classes": lambda x: prototype_distillation(x, old, means, known[targets]),
        "relations": lambda x: relation_distillation(x, old, known[targets]),
        "contrast": lambda x: supervised_contrast(x, targets),
        "gaps": lambda x: sum(class_mean_gaps(x, targets, means)),
        "hyperbolic": lambda x: hyperbolic_distance(x, means[targets]).sum(),
    }
    for name, term in terms.items():
        loss = term(same)
        (gradient,) = torch.autograd.grad(loss, same, allow_unused=True)
        assert torch.isfinite(loss), name
        assert gradient is None or torch.isfinite(gradient).all(), name
        assert torch.autograd.gradcheck(term, (new.clone().requires_grad_(),)), name


def test_what_the_losses_take_if_nothing_is_said():
    """The temperatures, margins and slacks that the papers' code has, against the same given by hand."""
    new, old, targets = batch(1, 8, 3)
    means, rows = table(1), torch.ones(8, dtype=torch.bool)
    for found, expected in (
        (model_coherence(new, old, targets), model_coherence(new, old, targets, 0.1)),
        (hot_refresh_loss(new, old, targets), hot_refresh_loss(new, old, targets, 0.05, 0, False)),
        (weakened_l2(new, old), weakened_l2(new, old, 0.2)),
        (queue_contrast(new, targets, old, targets), queue_contrast(new, targets, old, targets, 1.0)),
        (prototype_distillation(new, old, means, rows), prototype_distillation(new, old, means, rows, 0.1)),
        (relation_distillation(new, old, rows), relation_distillation(new, old, rows, 0.2)),
        (supervised_contrast(new, targets), supervised_contrast(new, targets, 10.0)),
        (class_mean_gaps(new, targets, means)[0], class_mean_gaps(new, targets, means, 0.05)[0]),
        (
            pseudo_classification(new, targets, means, rows[:4]),
            pseudo_classification(new, targets, means, rows[:4], 0.0),
        ),
    ):
        assert torch.equal(found, expected)
        assert float(found) != 0.0

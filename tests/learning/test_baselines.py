"""The baselines' loss terms against naive loops in float64, and the batches that break careless code."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.baselines import (
    alignment_loss,
    boundary_loss,
    data_coherence,
    feature_distillation,
    hot_refresh_loss,
    influence_loss,
    model_coherence,
    orthogonality_excess,
)
from tests.learning.test_losses import ROUNDING, batch, unit

CLASSES, DIM = 4, 6
some_batches = given(seed=st.integers(0, 10**6), size=st.integers(1, 12), classes=st.integers(1, CLASSES))
few = settings(max_examples=15, deadline=None)


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
    }
    for name, term in terms.items():
        loss = term(same)
        (gradient,) = torch.autograd.grad(loss, same, allow_unused=True)
        assert torch.isfinite(loss), name
        assert gradient is None or torch.isfinite(gradient).all(), name
        assert torch.autograd.gradcheck(term, (new.clone().requires_grad_(),)), name

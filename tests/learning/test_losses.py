"""Losses against naive loops in float64, their gradients, and the batches that break careless code."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.losses import HOCLoss, contrastive_loss, cross_entropy, first_moment_loss
from tests.strategies import batch_sizes, class_counts, seeds
from theory.simplex import simplex_vertices

# float64 rounding of sums of a hundred terms of order e^10, relative
ROUNDING = 1e-12


def batch(seed: int, size: int, classes: int, dim: int = 6, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    new, old = torch.randn(2, size, dim, generator=generator, dtype=torch.float64).to(dtype)
    return new, old, torch.randint(classes, (size,), generator=generator)


def unit(x):
    return x / x.norm(dim=1, keepdim=True)


def naive_contrastive(new, old, targets, scale, same_class):
    u, v, size = unit(new), unit(old), len(targets)
    total = 0.0
    for i in range(size):
        positive = scale * float(u[i] @ v[i])
        denominator = math.exp(positive) if same_class == "exclude" else 0.0
        for j in range(size):
            if targets[i] != targets[j]:
                pair = u[i] @ v[j] if same_class == "exclude" else v[i] @ u[j]
                denominator += math.exp(scale * float(pair))
            elif same_class == "zero":
                denominator += 1.0
        total += math.log(denominator) - positive
    return total / size


def naive_first_moment(new, targets, means, slack):
    u, size, classes = unit(new), len(targets), len(means)
    total = 0.0
    for i in range(size):
        y = int(targets[i])
        total += max(0.0, (1 + slack) * float(means[y] @ means[y]) - float(u[i] @ means[y]))
        others = [max(0.0, float(u[i] @ means[c]) - float(means[y] @ means[c])) for c in range(classes) if c != y]
        total += 3.0 * sum(others) / len(others)
    return total / size


@settings(max_examples=25)
@given(seed=seeds, size=batch_sizes, classes=class_counts(4), scale=st.floats(0.1, 20.0))
@pytest.mark.parametrize("same_class", ["exclude", "zero"])
def test_contrastive_loss_is_the_double_loop(same_class, seed, size, classes, scale):
    new, old, targets = batch(seed, size, classes)
    expected = naive_contrastive(new, old, targets, scale, same_class)
    assert float(contrastive_loss(new, old, targets, scale, same_class)) == pytest.approx(
        expected, rel=ROUNDING, abs=ROUNDING
    )


def test_the_two_variants_differ():
    new, old, targets = batch(0, 16, 4)
    variants = {float(contrastive_loss(new, old, targets, 10.0, kind)) for kind in ("exclude", "zero")}
    assert len(variants) == 2


@pytest.mark.parametrize("same_class", ["exclude", "zero"])
def test_contrastive_loss_of_one_class_is_finite_with_finite_gradient(same_class):
    new, old, targets = batch(1, 8, 1)
    new.requires_grad_()
    loss = contrastive_loss(new, old, targets, 10.0, same_class)
    loss.backward()
    mean_positive = float((unit(new.detach()) * unit(old)).sum(dim=1).mean())
    expected = 0.0 if same_class == "exclude" else math.log(8) - 10.0 * mean_positive
    assert loss.item() == pytest.approx(expected, abs=ROUNDING)
    assert torch.isfinite(new.grad).all()


@pytest.mark.parametrize("same_class", ["exclude", "zero"])
def test_contrastive_gradient_is_the_difference_quotient(same_class):
    new, old, targets = batch(2, 6, 3)
    new.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: contrastive_loss(x, old, targets, 3.0, same_class), (new,))


@pytest.mark.parametrize("same_class", ["exclude", "zero"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_contrastive_loss_at_a_large_scale_does_not_overflow(same_class, dtype):
    new, old, targets = batch(3, 8, 3, dtype=dtype)
    assert torch.isfinite(contrastive_loss(new, old, targets, 1e4, same_class))


def test_exclude_is_an_infonce_bound():
    """log B − loss bounds the information only if the loss is ≥ 0: the positive is in the denominator."""
    new, old, targets = batch(4, 32, 4)
    assert float(contrastive_loss(new, old, targets)) > 0.0


def test_what_the_losses_take_if_nothing_is_said():
    new, old, targets = batch(6, 10, 4)
    means = 0.4 * torch.randn(4, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert torch.equal(contrastive_loss(new, old, targets), contrastive_loss(new, old, targets, 10.0, "exclude"))
    loss = HOCLoss()
    assert (loss.ce_weight, loss.scale, loss.same_class) == (0.1, 10.0, "exclude")
    assert torch.equal(first_moment_loss(new, targets, means), first_moment_loss(new, targets, means, 0.05))


@pytest.mark.parametrize("ce_weight", [0.0, 0.1, 1.0])
def test_hoc_is_the_convex_combination(ce_weight):
    new, old, targets = batch(5, 10, 4)
    logits = new[:, :4]
    expected = ce_weight * cross_entropy(logits, targets, new) + (1 - ce_weight) * contrastive_loss(new, old, targets)
    loss = HOCLoss(ce_weight)(logits, targets, new, old)
    assert float(loss) == pytest.approx(float(expected), rel=ROUNDING)


@settings(max_examples=25)
@given(seed=seeds, size=batch_sizes, slack=st.floats(0.0, 0.5))
def test_first_moment_loss_is_the_double_loop(seed, size, slack):
    new, _, targets = batch(seed, size, 4)
    means = torch.randn(4, 6, generator=torch.Generator().manual_seed(seed + 1), dtype=torch.float64) * 0.4
    expected = naive_first_moment(new, targets, means, slack)
    assert float(first_moment_loss(new, targets, means, slack)) == pytest.approx(expected, rel=ROUNDING, abs=ROUNDING)


def test_first_moment_loss_is_zero_where_definition_1_holds_and_positive_where_not():
    vertices = torch.from_numpy(simplex_vertices(4))
    targets = torch.arange(4)
    assert float(first_moment_loss(vertices, targets, 0.9 * vertices)) == 0.0
    assert float(first_moment_loss(vertices, targets, vertices)) > 0.0  # slack asks for more than can be had
    assert float(first_moment_loss(-vertices, targets, 0.9 * vertices)) > 1.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda n, o, t: contrastive_loss(n, o[:-1], t), r"one shape, got \(4, 6\) and \(3, 6\)"),
        (lambda n, o, t: contrastive_loss(n, o, t, scale=0.0), "scale must be > 0, got 0.0"),
        (
            lambda n, o, t: contrastive_loss(n, o, t, same_class="both"),
            "same_class must be 'exclude' or 'zero', got 'both'",
        ),
        (lambda n, o, t: HOCLoss(ce_weight=1.5), r"ce_weight must be in \[0, 1\], got 1.5"),
        (lambda n, o, t: HOCLoss(scale=-1.0), "scale must be > 0"),
        (lambda n, o, t: HOCLoss(same_class="x"), "same_class must be"),
        (lambda n, o, t: first_moment_loss(n, t, o[:1]), r"old_means must have shape \(K >= 2, 6\), got \(1, 6\)"),
        (lambda n, o, t: first_moment_loss(n, t, o[:, :3]), r"old_means must have shape"),
        (lambda n, o, t: first_moment_loss(n, t, o, slack=-0.1), "slack must be >= 0, got -0.1"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(*batch(0, 4, 2))

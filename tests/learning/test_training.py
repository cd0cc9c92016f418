"""The classifier that does not learn, the loop that does, and what they refuse."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from beartype import beartype
from jaxtyping import TypeCheckError, jaxtyped
from torch import nn

from learning import (
    EmbeddingModel,
    ExtendedData,
    HOCLoss,
    Images,
    SimplexClassifier,
    SmallCNN,
    TrainingConfig,
    contrastive_loss,
    cross_entropy,
    extract_features,
    fit,
    load_digits,
    resolve_device,
    train_extended_data,
    update,
)
from theory.simplex import simplex_vertices

SHORT = TrainingConfig(epochs=2, batch_size=32, device="cpu")


@pytest.fixture(scope="module")
def digits() -> Images:
    return load_digits(0).subset(slice(200))


def small_model(seed: int = 0, classifier: nn.Module | None = None) -> EmbeddingModel:
    torch.manual_seed(seed)
    return EmbeddingModel(SmallCNN(9), classifier or SimplexClassifier(10))


def weights(model: nn.Module) -> dict[str, torch.Tensor]:
    return copy.deepcopy(model.state_dict())


def test_simplex_classifier_gives_the_cosines_with_the_vertices():
    classifier = SimplexClassifier(5, 7)
    features = torch.randn(3, 7, generator=torch.Generator().manual_seed(0))
    expected = features.numpy() @ simplex_vertices(5, 7).T
    # float32 products of seven terms of order one
    np.testing.assert_allclose(classifier(features).numpy(), expected, atol=1e-6)


def test_simplex_classifier_has_nothing_to_train_and_does_not_move(digits):
    model = small_model()
    assert not list(model.classifier.parameters())
    before = model.classifier.weight.clone()
    fit(model, digits, SHORT, cross_entropy)
    assert torch.equal(model.classifier.weight, before)
    assert not torch.equal(small_model().backbone.embedding.weight, model.backbone.embedding.weight)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(digits):
    def run(seed):
        return weights(
            fit(small_model(), digits, TrainingConfig(epochs=1, batch_size=32, seed=seed, device="cpu"), cross_entropy)
        )

    first, again, other = run(0), run(0), run(1)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_training_lowers_the_loss(digits):
    losses = []
    fit(
        small_model(),
        digits,
        TrainingConfig(epochs=8, device="cpu"),
        cross_entropy,
        progress=lambda *e: losses.append(e[2]),
    )
    assert len(losses) == 8
    assert losses[-1] < losses[0] - 0.3  # from near log 10 to well below


def test_update_leaves_the_old_model_as_it_is(digits):
    old = fit(small_model(), digits, SHORT, cross_entropy)
    before = weights(old)
    new = update(old, digits, SHORT, HOCLoss())
    assert all(torch.equal(before[name], value) for name, value in old.state_dict().items())
    assert any(not torch.equal(before[name], value) for name, value in new.state_dict().items())


def test_features_do_not_depend_on_the_batch_size(digits):
    model = fit(small_model(), digits, SHORT, cross_entropy)
    one, many = extract_features(model, digits, 7), extract_features(model, digits, 200)
    assert one.shape == (200, 9)
    assert one.dtype == np.float32
    # float32 convolutions summed in another order
    np.testing.assert_allclose(one, many, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epochs": 0}, "epochs must be an integer >= 1, got 0"),
        ({"epochs": 1.5}, "epochs must be an integer"),
        ({"batch_size": 1}, "batch_size must be an integer >= 2, got 1"),
        ({"learning_rate": 0.0}, "learning_rate must be a finite number > 0"),
        ({"learning_rate": float("nan")}, "learning_rate must be a finite number > 0"),
        ({"weight_decay": -1.0}, "weight_decay must be a finite number >= 0"),
        ({"seed": -1}, "seed must be an integer >= 0"),
    ],
)
def test_bad_configurations_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        TrainingConfig(**arguments)


def test_what_cannot_be_trained_is_refused_before_training(digits):
    with pytest.raises(ValueError, match="at least one batch of 64 images, got 10"):
        fit(small_model(), digits.subset(slice(10)), TrainingConfig(device="cpu"), cross_entropy)
    with pytest.raises(ValueError, match="below the classifier's 5 classes, got 9"):
        fit(small_model(classifier=SimplexClassifier(5, 9)), digits, SHORT, cross_entropy)
    with pytest.raises(ValueError, match="device must be 'auto' or a device of this machine, got 'gpu0'"):
        resolve_device("gpu0")
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="got 'cuda'"):
            resolve_device("cuda")


def test_bad_scenarios_are_refused():
    with pytest.raises(ValueError, match=r"methods must be among .*, got 'magic'"):
        train_extended_data(ExtendedData(), ("magic",))
    with pytest.raises(ValueError, match="0 < old_images <= new_images < 1797, got 900 and 600"):
        train_extended_data(ExtendedData(old_images=900, new_images=600))
    with pytest.raises(ValueError, match="got 600 and 1797"):
        train_extended_data(ExtendedData(new_images=1797))
    with pytest.raises(ValueError, match="dim must be >= num_classes - 1 = 9"):
        SimplexClassifier(10, 5)


def test_digits_are_whole_and_the_seed_orders_them():
    one, other = load_digits(0), load_digits(1)
    assert one.images.shape == (1797, 1, 8, 8)
    assert torch.equal(torch.bincount(one.labels), torch.bincount(other.labels))
    assert not torch.equal(one.labels, other.labels)
    assert abs(float(one.images.mean())) < 1e-5  # float32 mean of 115 008 pixels


def test_shapes_are_as_annotated():
    """The shapes in the signatures are true: beartype checks them, and refuses a batch that does not fit."""
    checked = jaxtyped(typechecker=beartype)(contrastive_loss)
    new, targets = torch.randn(4, 3), torch.tensor([0, 1, 0, 1])
    checked(new, new, targets)
    with pytest.raises(TypeCheckError):
        checked(new, new, targets[:3])
    with pytest.raises(TypeCheckError):
        checked(new, new, targets.float())

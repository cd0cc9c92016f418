"""The classifier that does not learn, the loop that does, and what they refuse."""

from __future__ import annotations

import ast
import copy
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import learning
from learning import (
    PRESETS,
    EmbeddingModel,
    HOCLoss,
    Images,
    SimplexClassifier,
    SmallCNN,
    TrainingConfig,
    cross_entropy,
    extract_features,
    fit,
    load_digits,
    resolve_device,
    update,
)
from tests.learning._worker import train_shared
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
        progress=lambda *e: losses.append(e[3].loss),
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
        ({"optimizer": "lbfgs"}, "optimizer must be one of adamw, sgd, got 'lbfgs'"),
        ({"precision": "int8"}, "precision must be one of no, bf16, fp16, got 'int8'"),
        ({"augmentation": "mixup"}, "augmentation must be one of none, crop, crop-flip, got 'mixup'"),
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
    few = small_model(classifier=SimplexClassifier(5, 9))
    with pytest.raises(ValueError, match="precision must be 'no' or 'bf16' on a CPU, got 'fp16'"):
        fit(small_model(), digits, TrainingConfig(device="cpu", precision="fp16"), cross_entropy)
    with pytest.raises(ValueError, match="below the classifier's 5 classes, got 9"):
        fit(few, digits.subset(digits.labels < 5), SHORT, cross_entropy, memory=digits)
    with pytest.raises(ValueError, match="device must be 'auto' or a device of this machine, got 'gpu0'"):
        resolve_device("gpu0")
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="got 'cuda'"):
            resolve_device("cuda")


@pytest.mark.slow
def test_several_processes_train_as_one(tmp_path):
    """Two processes under torchrun, gloo, against one: means of halves of a batch against means of the whole."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]
    subprocess.run(
        [*command, "-m", "tests.learning._worker", "shared", str(tmp_path)],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=True,
        capture_output=True,
        timeout=120,
    )
    losses, model = train_shared()
    for rank in "01":
        shared = json.loads((tmp_path / f"{rank}.json").read_text())
        # 30 steps, each a float32 mean of 32 terms in another order
        np.testing.assert_allclose(shared, losses, rtol=1e-5)
        state = load_file(tmp_path / f"{rank}.safetensors")
        assert all(torch.allclose(state[name], value, atol=1e-5) for name, value in model.state_dict().items())


def test_importing_learning_loads_nothing_and_its_names_torch_but_nothing_slower():
    code = """if True:
        import learning, learning.store, sys
        print(*{'torch', 'accelerate'} & sys.modules.keys())
        for name in learning.__all__: getattr(learning, name)
        print(*{'accelerate', 'sklearn', 'PIL', 'pooch', 'pandas'} & sys.modules.keys())"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not done.stdout.strip()
    with pytest.raises(ImportError, match="cannot import name 'train_extended_data'"):
        from learning import train_extended_data  # noqa: F401


def test_no_two_classes_of_learning_have_one_name():
    names = [
        node.name
        for path in Path(learning.__file__).parent.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    ]
    assert len(names) == len(set(names)) > 20


def test_mixed_precision_leaves_an_ordinary_model(digits):
    config = TrainingConfig(epochs=2, batch_size=32, precision="bf16", device="cpu")
    losses = []
    model = fit(small_model(), digits, config, cross_entropy, progress=lambda *e: losses.append(e[3].loss))
    again = update(model, digits, config, HOCLoss())  # copies the model, which a patched forward would not survive
    assert losses[1] < losses[0]
    assert all(p.dtype == torch.float32 for p in again.parameters())
    exact = fit(small_model(), digits, SHORT, cross_entropy)
    # bf16 has 8 bits: another model than the exact one, and not far from it
    one, other = extract_features(model, digits), extract_features(exact, digits)
    assert not np.array_equal(one, other)
    cosines = np.sum(one * other, axis=1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    assert cosines.mean() > 0.95


def test_half_of_every_batch_is_replayed(digits):
    """Seen through the objective: labels of the memory first, each of its images drawn equally often."""
    memory = Images(digits.images[:24], torch.full((24,), 7))
    rest = Images(digits.images, torch.zeros_like(digits.labels))
    seen = []

    def objective(logits, targets, new, old):
        seen.append(targets.tolist())
        return cross_entropy(logits, targets, new)

    fit(small_model(), rest, SHORT, objective, memory=memory)
    assert len(seen) == 2 * (200 // 16)
    assert all(targets == 16 * [7] + 16 * [0] for targets in seen)


def test_progress_reports_accuracy_drift_and_concentration(digits):
    reports = []
    config = TrainingConfig(epochs=8, device="cpu")
    fit(small_model(), digits, config, cross_entropy, progress=lambda *e: reports.append(e), stage="old")
    assert [report[:3] for report in reports] == [("old", epoch, 8) for epoch in range(1, 9)]
    first, last = reports[0][3], reports[-1][3]
    assert last.accuracy > first.accuracy + 0.3
    assert last.drift < first.drift - 0.3  # from the vertices, radians
    assert last.concentration > first.concentration + 0.2
    assert str(last) == (
        f"loss {last.loss:.3f} accuracy {last.accuracy:.2f} drift {last.drift:.2f} "
        f"concentration {last.concentration:.2f}"
    )


def test_sgd_spares_biases_and_normalisation_from_decay(digits):
    """With no gradient at all, weights shrink by (1 − rate·decay) a step and vectors stay."""
    config = TrainingConfig(
        epochs=1, batch_size=100, learning_rate=0.1, weight_decay=0.5, optimizer="sgd", device="cpu"
    )
    model = small_model()
    before = weights(model)
    fit(model, digits, config, lambda logits, *_: 0.0 * logits.sum())
    after = model.state_dict()
    assert torch.equal(after["backbone.embedding.bias"], before["backbone.embedding.bias"])
    assert torch.equal(after["backbone.trunk.1.weight"], before["backbone.trunk.1.weight"])
    assert float(after["backbone.embedding.weight"].norm()) < 0.97 * float(before["backbone.embedding.weight"].norm())


def test_the_optimizer_is_the_one_that_was_asked_for(digits):
    """One step from the same weights: AdamW moves every weight by about the rate, SGD by the rate times the gradient.

    Adam's first step is rate · g/(|g| + 1e-8) after (1 − rate · decay) · w, whatever the size of the gradient.
    """
    rate, decay = 1e-3, 0.5
    moved = {}
    for kind in ("adamw", "sgd"):
        config = TrainingConfig(
            epochs=1, batch_size=200, learning_rate=rate, weight_decay=decay, optimizer=kind, device="cpu"
        )
        model = small_model()
        before = weights(model)["backbone.embedding.weight"]
        fit(model, digits, config, lambda logits, targets, new, old: 1e3 * cross_entropy(logits, targets, new))
        moved[kind] = (model.state_dict()["backbone.embedding.weight"] - (1 - rate * decay) * before).abs()
    # float32 rounding of weights below one; a gradient of exactly 0 moves nothing
    assert torch.isclose(moved["adamw"], torch.tensor(rate), atol=1e-6).float().mean() > 0.99
    assert float(moved["sgd"].max()) > 2 * rate


def test_one_batch_of_images_is_enough(digits):
    exactly = digits.subset(slice(SHORT.batch_size))
    before = weights(small_model())
    after = weights(fit(small_model(), exactly, SHORT, cross_entropy))
    assert any(not torch.equal(before[name], after[name]) for name in before)
    with pytest.raises(ValueError, match="at least one batch of 32 images, got 31"):
        fit(small_model(), exactly.subset(slice(31)), SHORT, cross_entropy)


def test_presets_are_the_released_settings_and_ours():
    paper, small = PRESETS["paper"].update, PRESETS["small"].update
    assert (paper.epochs, paper.batch_size, paper.learning_rate, paper.weight_decay) == (70, 128, 1e-3, 5e-4)
    assert paper.optimizer == "sgd"
    assert (small.epochs, small.learning_rate, small.optimizer) == (25, 5e-4, "adamw")


def test_a_simplex_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="dim must be >= num_classes - 1 = 9"):
        SimplexClassifier(10, 5)


def test_digits_are_whole_and_the_seed_orders_them():
    one, other = load_digits(0), load_digits(1)
    assert one.images.shape == (1797, 1, 8, 8)
    assert torch.equal(torch.bincount(one.labels), torch.bincount(other.labels))
    assert not torch.equal(one.labels, other.labels)
    assert abs(float(one.images.mean())) < 1e-5  # float32 mean of 115 008 pixels

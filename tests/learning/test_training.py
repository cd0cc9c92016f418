"""The classifier that does not learn, the loop that does, and what they refuse."""

from __future__ import annotations

import ast
import copy
import json
import math
import os
import subprocess
import sys
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import learning
from learning import (
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
from learning.checkpoints import load_tensors, read_description, save_tensors
from learning.training import _drawn, _in_turn, _Meter, batches_per_epoch, draw_batches, embed
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


def plain_training(model, images, config, objective, old_model=None, memory=None):
    """The loop that :func:`fit` is, in as few words as PyTorch needs: the model after it, and each epoch's means."""
    generator = torch.Generator().manual_seed(config.seed)
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    if config.optimizer == "sgd":
        groups = [{"params": vectors, "weight_decay": 0.0}, {"params": matrices}]
        optimizer = torch.optim.SGD(groups, momentum=0.9, lr=0.0, weight_decay=config.weight_decay)
    else:
        optimizer = torch.optim.AdamW(model.parameters(), weight_decay=config.weight_decay)
    everything = images if memory is None else memory.joined(images)
    half = config.batch_size // (1 if memory is None else 2)
    steps, epochs = len(images) // half, []
    for epoch in range(config.epochs):
        model.train()
        replayed = 0 if memory is None else len(memory)
        order = replayed + torch.randperm(len(images), generator=generator)
        if memory is not None:
            turns = torch.cat(
                [torch.randperm(replayed, generator=generator) for _ in range(-(-steps * half // replayed))]
            )
        seen = []
        for step in range(steps):
            share = (
                (epoch * steps + step) / (config.epochs * steps) if config.schedule == "step" else epoch / config.epochs
            )
            for group in optimizer.param_groups:
                fall = (1.0 + math.cos(math.pi * share)) / 2.0
                group["lr"] = config.final_rate + (config.learning_rate - config.final_rate) * fall
            rows = order[step * half : (step + 1) * half]
            if memory is not None:
                rows = torch.cat([turns[step * half : (step + 1) * half], rows])
            features, logits = model(everything.images[rows])
            old = None if old_model is None else old_model.features(everything.images[rows]).detach()
            loss = objective(logits, everything.labels[rows], features, old)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            seen.append((loss.detach(), logits.detach(), features.detach(), everything.labels[rows]))
        epochs.append(means_of(seen, model.directions.detach()))
    return model.eval(), epochs


def means_of(seen, directions):
    """Loss, accuracy, mean angle of class means to their rows, and mean resultant length of the classes, by loops."""
    losses, logits, features, labels = (list(each) for each in zip(*seen, strict=True))
    logits, labels = torch.cat(logits), torch.cat(labels)
    unit = nn.functional.normalize(torch.cat(features).double(), dim=1)
    angles, lengths = [], []
    for c in labels.unique().tolist():
        mean, row = unit[labels == c].mean(dim=0), directions[c].double()
        angles.append(float(torch.arccos(mean @ row / mean.norm() / row.norm())))
        lengths.append(float(mean.norm()))
    hits = float((logits.argmax(dim=1) == labels).double().mean())
    return float(sum(losses)) / len(losses), hits, sum(angles) / len(angles), sum(lengths) / len(lengths)


@pytest.mark.parametrize(
    ("optimizer", "schedule", "replayed"),
    [("sgd", "step", 0), ("adamw", "epoch", 0), ("sgd", "epoch", 40), ("adamw", "step", 24)],
)
def test_training_is_the_plain_loop(digits, optimizer, schedule, replayed):
    config = TrainingConfig(
        epochs=2, batch_size=32, learning_rate=1e-3, weight_decay=0.1, seed=5, device="cpu", optimizer=optimizer,
        schedule=schedule, final_rate=1e-4,
    )  # fmt: skip
    memory = digits.subset(slice(100, 100 + replayed)) if replayed else None
    images, old = digits.subset(slice(100)), small_model(9).eval()

    def objective(logits, targets, new, old_features):
        return cross_entropy(logits, targets, new) + 0.1 * (new - old_features).square().mean()

    reports = []
    found = fit(
        small_model(), images, config, objective, small_model(9).train(), lambda *e: reports.append(e), memory=memory
    )
    expected, epochs = plain_training(small_model(), images, config, objective, old, memory)
    assert not found.training
    for name, value in expected.state_dict().items():
        # the same operations in the same order
        torch.testing.assert_close(found.state_dict()[name], value, atol=1e-6, rtol=1e-5, msg=name)
    for report, means in zip(reports, epochs, strict=True):
        # float32 means of six batches
        assert [*astuple(report[3])] == pytest.approx(means, rel=1e-4)
    assert [report[:3] for report in reports] == [("training", epoch, 2) for epoch in (1, 2)]


def test_the_drift_has_no_value_where_classifier_and_features_have_two_dimensions(digits):
    reports = []
    model = EmbeddingModel(SmallCNN(9), SimplexClassifier(10), nn.Linear(9, 4))
    fit(model, digits, SHORT, cross_entropy, progress=lambda *e: reports.append(e[3]))
    assert all(math.isnan(means.drift) and means.concentration > 0.0 for means in reports)


def test_features_are_those_of_evaluation(digits):
    model = fit(small_model(), digits, SHORT, cross_entropy)
    expected = model.features(digits.images).detach()
    found = embed(model.train(), digits)
    assert not model.training
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert not found.requires_grad
    assert not found.is_inference()


def test_a_training_that_goes_on_adds_up_its_time(digits, tmp_path):
    config = TrainingConfig(epochs=2, batch_size=32, device="cpu")

    def stop(stage, epoch, *_):
        if epoch == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(small_model(), digits, config, cross_entropy, None, stop, checkpoint=tmp_path / "t")
    tensors, found = load_tensors(tmp_path / "t")
    assert 0.0 < found["seconds"] < 1000.0
    save_tensors(tmp_path / "t", tensors, found | {"seconds": 1000.0})
    fit(small_model(), digits, config, cross_entropy, checkpoint=tmp_path / "t")
    assert 1000.0 < read_description(tmp_path / "t")["seconds"] < 2000.0
    assert read_description(tmp_path / "t")["epoch"] == 2


def test_indices_repeat_only_where_there_are_not_more_than_are_drawn():
    generator = torch.Generator().manual_seed(0)
    assert all(len(set(_drawn(5, 4, generator).tolist())) == 4 for _ in range(50))
    assert any(len(set(_drawn(4, 4, generator).tolist())) < 4 for _ in range(50))
    assert set(torch.cat([_drawn(3, 8, generator) for _ in range(20)]).tolist()) == {0, 1, 2}
    for count, most in ((6, 2), (7, 3), (9, 3), (2, 1)):
        found = torch.bincount(_in_turn(3, count, generator), minlength=3)
        assert (int(found.sum()), int(found.max())) == (count, most)
        assert most - int(found.min()) <= 1


@pytest.mark.parametrize(
    ("new", "replayed", "batches", "steps"),
    [
        (63, 0, "new", 0),
        (64, 0, "new", 1),
        (130, 0, "drawn", 2),
        (64, 5, "new", 2),
        (63, 1, "new", 1),
        (40, 20, "drawn", 1),
        (100, 28, "drawn", 2),
        (100, 27, "drawn", 1),
    ],
)
def test_how_many_steps_an_epoch_has(new, replayed, batches, steps):
    config = TrainingConfig(batch_size=64, batches=batches)
    assert batches_per_epoch(new, replayed, config) == steps
    rows = list(draw_batches(new, replayed, config, torch.Generator().manual_seed(0)))
    assert [len(batch) for batch in rows] == steps * [64]


def test_labels_end_below_the_number_of_classes(digits):
    five = small_model(classifier=SimplexClassifier(5, 9))
    fit(five, digits.subset(digits.labels < 5), SHORT, cross_entropy)
    with pytest.raises(ValueError, match="labels must be below the classifier's 5 classes, got 5"):
        fit(five, digits.subset(digits.labels < 6), SHORT, cross_entropy)


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


def test_class_means_on_their_classifier_rows_drift_by_nothing():
    """Whatever the rounding of a cosine near 1, an angle is a number."""
    generator = torch.Generator().manual_seed(0)
    beyond = 0
    for _ in range(200):
        rows = torch.randn(5, 7, generator=generator)
        features, targets = 3.0 * rows, torch.arange(5)
        meter = _Meter()
        meter.add(features, features @ rows.T, targets)
        beyond += int((nn.functional.cosine_similarity(meter.sums, rows) > 1.0).any())
        _, drift, length = meter.read(rows)
        assert drift < 1e-3  # √(2·eps) of float32 is 5e-4
        assert length == pytest.approx(1.0, abs=1e-6)
    assert beyond > 0


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


def test_a_simplex_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="dim must be >= num_classes - 1 = 9"):
        SimplexClassifier(10, 5)


def test_digits_are_whole_and_the_seed_orders_them():
    one, other = load_digits(0), load_digits(1)
    assert one.images.shape == (1797, 1, 8, 8)
    assert torch.equal(torch.bincount(one.labels), torch.bincount(other.labels))
    assert not torch.equal(one.labels, other.labels)
    assert abs(float(one.images.mean())) < 1e-5  # float32 mean of 115 008 pixels

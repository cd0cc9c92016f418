"""What a run does between the models: which weights they start from, how many images they need, what is written."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from learning import (
    CL2R,
    IAMCL2R,
    CoReS,
    ExtendedData,
    Images,
    Method,
    ModelSpec,
    Recipe,
    Split,
    TrainingConfig,
    cross_entropy,
    load_digits,
    load_model,
    make_method,
    run_scenario,
    save_model,
)
from learning.checkpoints import read_description
from learning.protocol import Step
from learning.runs import _check_sizes, _spec, _start_from

# the weights stay as they were drawn: float32 does not see steps of this size
STILL = TrainingConfig(epochs=1, batch_size=8, learning_rate=1e-30, device="cpu")
FIRST, LATER = 10, 8


def step(new, start="previous", memory=0, elsewhere=0):
    return Step(torch.arange(new), "small-cnn", start, torch.arange(memory), torch.arange(elsewhere))


@pytest.mark.parametrize(
    ("task", "start", "memory", "replay", "needed", "most", "got"),
    [
        (0, "scratch", 0, True, FIRST, FIRST - 1, FIRST),
        (0, "checkpoint", 0, True, LATER, LATER - 1, LATER),
        (1, "scratch", 0, True, LATER, LATER - 1, LATER),
        (1, "previous", 0, True, LATER, LATER - 1, LATER),
        (1, "previous", 1, False, LATER, LATER - 1, LATER),
        (1, "previous", 1, True, LATER // 2, LATER - 2, LATER),
        (1, "scratch", 1, True, LATER // 2, LATER - 2, LATER),
    ],
)
def test_a_training_needs_a_batch_of_new_images_or_half_a_one_beside_old_ones(
    task, start, memory, replay, needed, most, got
):
    recipe = Recipe(TrainingConfig(batch_size=FIRST), TrainingConfig(batch_size=LATER))
    method = replace(make_method("er"), replay=replay)
    _check_sizes(task, step(needed, start, memory), method, recipe)
    half = ", half a batch" if needed < LATER else ""
    message = (
        rf"batch_size must be <= {most} for task {task}, which has {needed - 1} new images .* on{half}, got {got}\."
    )
    with pytest.raises(ValueError, match=message):
        _check_sizes(task, step(needed - 1, start, memory), method, recipe)


def test_an_improved_model_needs_a_batch_of_the_first_recipe():
    recipe = Recipe(TrainingConfig(batch_size=FIRST), TrainingConfig(batch_size=LATER))
    _check_sizes(1, step(LATER, "elsewhere", 3, FIRST), make_method("bct"), recipe)
    with pytest.raises(ValueError, match=r"must be <= 9 for task 1, which has 9 new images to train on, got 10\."):
        _check_sizes(1, step(LATER, "elsewhere", 3, FIRST - 1), make_method("er"), recipe)


def test_weights_are_taken_over_as_far_as_they_fit():
    small, wide = ModelSpec(10, dim=9).build(1), ModelSpec(10, dim=12, adapter="linear").build(2)
    fresh = {name: value.clone() for name, value in wide.state_dict().items()}
    nn.init.constant_(small.backbone.norm.running_mean, 3.0)
    _start_from(wide, small)
    found, given = wide.state_dict(), small.state_dict()
    for name, value in found.items():
        if name.startswith("backbone.trunk."):
            assert torch.equal(value, given[name]), name
    for name in ("backbone.embedding.weight", "backbone.embedding.bias", "backbone.norm.running_mean"):
        assert torch.equal(found[name][:9], given[name]), name
        assert torch.equal(found[name][9:], fresh[name][9:]), name
    assert torch.equal(found["adapter.weight"], fresh["adapter.weight"])  # which the other does not have
    other = ModelSpec(10, "lenet++", dim=9).build(3)
    with pytest.raises(RuntimeError, match="must match"):  # a trunk of 5×5 convolutions takes no part of 3×3 ones
        _start_from(other, small)


def test_what_a_step_is_built_of():
    images = Images(torch.zeros(10, 1, 8, 8), torch.arange(10))
    scenario, plain = ExtendedData(), make_method("hoc")

    def spec(method=plain, update=False, updates=0, scenario=scenario, **settings):
        return _spec(scenario, method, images, replace(step(10), **settings), update, updates)

    assert spec() == ModelSpec(10, dim=9)
    assert spec(dim=9) == ModelSpec(10, dim=9)
    assert spec(dim=16) == ModelSpec(10, dim=16, head=9)
    assert spec(backbone="lenet++").backbone == "lenet++"
    assert [spec(replace(plain, extra_dims=3), updates=n).dim for n in (0, 1, 2)] == [9, 12, 15]
    assert [spec(replace(plain, adapter="orthogonal"), u).adapter for u in (False, True)] == ["", "orthogonal"]
    assert spec(learned_classifier=True).classifier == "learned"
    assert spec(replace(plain, fixed_classifier=False)).classifier == "learned"
    assert spec(replace(plain, shift=True)).shift
    trunk = replace(plain, embedding=False)
    assert spec(trunk).embedding  # a fixed classifier has the dimension of the embedding
    assert not spec(replace(trunk, fixed_classifier=False)).embedding
    assert not spec(trunk, scenario=replace(scenario, fixed_classifier=False)).embedding


class Mirror(nn.Module):
    """Features that a method takes in the place of the old model's."""

    def features(self, images):
        return -images.flatten(1)[:, :9]


def test_every_part_of_a_run_is_what_its_protocol_says(tmp_path):
    """One run with every kind of step: its weights, what its method is told, what it writes and returns."""
    scenario = IAMCL2R(
        seed=2, tasks=3, first_classes=2, replace_at=(1,), elsewhere_classes=2, open_classes=2, memory_per_class=4,
        images_per_class=20, held_out=40,
    )  # fmt: skip
    updates, drawn, old_features, reports = [], [], [], []

    def objective(update):
        updates.append(update)
        drawn.append(float(torch.rand(())))
        assert not update.old_model.training
        assert not any(p.requires_grad for p in update.old_model.parameters())

        def loss(logits, targets, new, old):
            old_features.append(old)
            return cross_entropy(logits, targets, new)

        return loss

    method = Method(objective, name="watching", reference=lambda update: Mirror())
    state = torch.random.get_rng_state()
    run = run_scenario(
        scenario, method, Recipe(STILL, STILL), directory=tmp_path, progress=lambda *e: reports.append(e[:3])
    )
    assert torch.equal(torch.random.get_rng_state(), state)
    names = ["task-00", "task-01-elsewhere", "task-01", "task-02"]
    assert reports == [(name, 1, 1) for name in names]
    # seeds of the weights: 1000 · seed + task, and 100 more elsewhere
    models = {name: load_model(tmp_path / f"{name}.safetensors") for name in names}
    weights = {name: model.backbone.embedding.weight for name, model in models.items()}
    spec = scenario.spec(scenario.load().train)
    assert torch.equal(weights["task-00"], spec.build(2000).backbone.embedding.weight)
    assert torch.equal(weights["task-01-elsewhere"], spec.build(2101).backbone.embedding.weight)
    assert torch.equal(weights["task-01"], weights["task-01-elsewhere"])
    assert torch.equal(weights["task-02"], weights["task-01-elsewhere"])
    # what the method was told: the improved model and its classes, then the model before and what that has seen
    steps = scenario.steps(scenario.load().train.labels)
    labels = scenario.load().train.labels
    classes = [frozenset(labels[torch.cat([each.images, each.memory])].tolist()) for each in steps]
    assert run.seen == tuple(classes)
    told = [frozenset(update.known.nonzero().flatten().tolist()) for update in updates]
    assert told == [frozenset(labels[steps[1].elsewhere].tolist()), classes[1]]
    for update, each in zip(updates, steps[1:], strict=True):
        rows = torch.cat([each.memory, each.images])
        assert torch.equal(update.data.labels, labels[rows])
    assert drawn == [float(torch.manual_seed(seed) and torch.rand(())) for seed in (2001, 2002)]
    assert all(old is not None and bool((old != 0).any()) for old in old_features)
    assert {old.shape for old in old_features} == {(8, 9)}
    # what is written is what is returned
    trained = frozenset().union(*(labels[each.images].tolist() for each in steps))
    assert len(trained) == 6
    assert json.loads((tmp_path / "trained.json").read_text()) == sorted(trained)
    assert run.trained.tolist() == [label in trained for label in run.labels.tolist()]
    for task, features in enumerate(run.features):
        with np.load(tmp_path / f"task-{task:02d}.features.npz") as file:
            assert np.array_equal(file["features"], features)
            assert np.array_equal(file["labels"], run.labels)
    assert not list(tmp_path.glob("*.partial"))
    seconds = {name: read_description(tmp_path / f"{name}.safetensors")["seconds"] for name in names}
    assert min(seconds.values()) > 0.0
    again = run_scenario(scenario, method, Recipe(STILL, STILL), directory=tmp_path)
    assert len(updates) == 2  # nothing was trained again
    expected = [seconds["task-00"], seconds["task-01-elsewhere"] + seconds["task-01"], seconds["task-02"]]
    assert again.seconds == pytest.approx(expected, rel=1e-12)
    assert all(np.array_equal(a, b) for a, b in zip(again.features, run.features, strict=True))


def test_a_model_without_constraints_has_a_seed_of_its_own():
    """It has a learned classifier, weights from the update's seed + 500, and is trained as long as the update."""
    found = []

    def objective(update):
        found.append(update.unconstrained)
        return cross_entropy

    first, later = replace(STILL, batch_size=16), replace(STILL, epochs=2)
    scenario = CL2R(seed=1, tasks=2, images_per_class=10, memory_per_class=2, held_out=20)
    method = Method(objective, old_features=False, adapter="orthogonal", extra_dims=2)
    run_scenario(scenario, method, Recipe(first, later))
    (free,) = found
    assert torch.equal(free.backbone.embedding.weight, ModelSpec(10, dim=9).build(1501).backbone.embedding.weight)
    assert isinstance(free.classifier, nn.Linear)
    assert isinstance(free.adapter, nn.Identity)
    assert not free.training
    # 60 new and replayed images: three batches of the first recipe in each of the update's two epochs
    assert int(free.backbone.norm.num_batches_tracked) == 2 * (60 // 16)


def test_a_method_without_old_features_gets_none_and_one_without_replay_no_memory():
    seen = []

    def objective(update):
        return lambda logits, targets, new, old: seen.append((old, targets)) or cross_entropy(logits, targets, new)

    scenario = CL2R(tasks=2, images_per_class=8, memory_per_class=4, held_out=20)
    labels = scenario.load().train.labels
    run = run_scenario(scenario, Method(objective, old_features=False, replay=False), Recipe(STILL, STILL))
    new = set(labels[scenario.steps(labels)[1].images].tolist())
    assert len(seen) == 5 * 8 // 8
    assert all(old is None and set(targets.tolist()) <= new for old, targets in seen)
    assert run.seen[1] == new


def test_models_from_scratch_have_seeds_of_their_tasks_and_the_old_model_as_reference(tmp_path):
    run = run_scenario(
        CoReS(seed=3, tasks=2, held_out=20), "simplex", Recipe(STILL, replace(STILL, batch_size=64)), directory=tmp_path
    )
    for task in range(2):
        weight = load_model(tmp_path / f"task-{task:02d}.safetensors").backbone.embedding.weight
        assert torch.equal(weight, ModelSpec(10, dim=9).build(3000 + task).backbone.embedding.weight)
    assert run.vertices is not None
    assert run.vertices.shape == (10, 9)
    assert run.names == ()


def test_named_classes_are_written_by_name_and_settings_into_the_description(tmp_path):
    digits = load_digits(0)
    digits = digits.relabelled(digits.labels, tuple("abcdefghij"))
    data = Split(digits.subset(slice(400)), digits.subset(slice(400, 430)))
    scenario = CL2R(tasks=2, open_classes=4, memory_per_class=4)
    run = run_scenario(scenario, "hoc", Recipe(STILL, STILL), data=data, directory=tmp_path, settings={"scale": 3.0})
    trained = json.loads((tmp_path / "trained.json").read_text())
    assert trained == sorted({digits.names[label] for label in run.labels[run.trained]} | set(trained))
    assert len(trained) == 6
    with np.load(tmp_path / "task-01.features.npz") as file:
        assert file["labels"].tolist() == [digits.names[label] for label in run.labels]
    assert run.names == digits.names
    written = json.loads((tmp_path / "run.json").read_text())
    assert (written["settings"], written["scenario"]) == ({"scale": 3.0}, "CL2R")
    assert written["first"]["learning_rate"] == 1e-30
    with pytest.raises(ValueError, match=r"holds another run: its settings scale is 3\.0, here it is 4\.0"):
        run_scenario(scenario, "hoc", Recipe(STILL, STILL), data=data, directory=tmp_path, settings={"scale": 4.0})


def test_a_model_that_another_run_trained_is_written_too(tmp_path):
    scenario = ExtendedData(old_images=64, new_images=96, held_out=20)
    shared: dict = {}
    run_scenario(scenario, "hoc", Recipe(STILL, STILL), first_models=shared)
    run = run_scenario(scenario, "simplex", Recipe(STILL, STILL), first_models=shared, directory=tmp_path)
    (model,) = shared.values()
    found = load_model(tmp_path / "task-00.safetensors").state_dict()
    assert all(torch.equal(found[name], value) for name, value in model.state_dict().items())
    assert (run.seconds[0], run.seconds[1] > 0.0) == (0.0, True)


def test_a_network_for_larger_images_is_refused_before_training():
    digits = load_digits(0)
    small = Images(digits.images[:, :, :2, :2], digits.labels)
    with pytest.raises(ValueError, match=r"reads images of shape \(1, 2, 2\), got 'lenet\+\+' .* Give larger images"):
        run_scenario(
            ExtendedData(backbone="lenet++", old_images=64, new_images=96),
            "hoc",
            Recipe(STILL, STILL),
            data=(small.subset(slice(96)), small.subset(slice(96, 120))),
        )


def test_a_brought_model_gives_its_backbone_only(tmp_path):
    """Its classifier is another one; the model of the task begins with its backbone, and is held to it."""
    spec = ModelSpec(20, dim=9, classifier="learned")
    model = spec.build(5)
    save_model(tmp_path / "brought.safetensors", model, spec)
    told = []

    def objective(update):
        told.append((update.known.any().item(), update.old_model.backbone.embedding.weight.clone()))
        return cross_entropy

    scenario = IAMCL2R(
        tasks=2, replace_at=(0,), checkpoints=(str(tmp_path / "brought.safetensors"),), images_per_class=10, held_out=20
    )
    run = run_scenario(
        scenario, Method(objective, old_features=False), Recipe(STILL, STILL), directory=tmp_path / "run"
    )
    weights = model.backbone.embedding.weight
    assert told[0][0] is False
    assert torch.equal(told[0][1], weights)
    assert told[1][0] is True
    for task in range(2):
        found = load_model(tmp_path / "run" / f"task-{task:02d}.safetensors")
        assert torch.equal(found.backbone.embedding.weight, weights)
        assert found.directions.shape == (10, 9)
    assert run.vertices is not None

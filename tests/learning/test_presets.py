"""The paper's preset and protocols, and those of CL²R and CoReS, against the values of their released code."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from learning import (
    CL2R,
    IAMCL2R,
    PRESETS,
    PROTOCOLS,
    ExtendedClasses,
    ExtendedData,
    Images,
    ModelSpec,
    Recipe,
    SimplexClassifier,
    SmallCNN,
    Split,
    TrainingConfig,
    augment,
    cross_entropy,
    fit,
    load_data,
    make_method,
    run_scenario,
    save_model,
)
from learning.data import Normalization
from learning.lifelong import CoReS
from learning.models import EmbeddingModel
from learning.training import _schedule, batches_per_epoch, draw_batches
from tests.learning.test_data import write_cifar

CIFAR = torch.arange(50_000) % 100
PAPER = PRESETS["paper"].update


def test_the_papers_settings_are_the_released_ones():
    """src/iamcl2r/params.py: epochs, batch_size, lr, min_lr, weight_decay, amp."""
    assert PRESETS["paper"].first == PAPER
    released = (PAPER.epochs, PAPER.batch_size, PAPER.learning_rate, PAPER.final_rate, PAPER.weight_decay)
    assert released == (70, 128, 0.001, 0.00001, 0.0005)
    assert (PAPER.optimizer, PAPER.precision, PAPER.schedule) == ("sgd", "fp16", "epoch")
    assert (PAPER.augmentation, PAPER.padding, PAPER.batches) == ("crop-flip", "black", "drawn")
    hoc = make_method("hoc")
    assert hoc.fixed_classifier
    assert hoc.replay


@pytest.mark.parametrize(("name", "total"), [("cl2r-cifar100-7", 19_320), ("iam-cl2r-cifar100r-7", 19_320)])
def test_seven_tasks_take_the_released_number_of_steps(name, total):
    """Batches of 64 new and 64 replayed images, (new + memory) // 128 an epoch: 19 320 steps.

    One pass over the new images, half a batch at a time, would take 31 010.
    """
    steps = PROTOCOLS[name].steps(CIFAR)
    sizes = [(len(step.images), len(step.memory)) for step in steps]
    assert sizes[0] == (3000, 0)
    assert sizes[1:] == [(4500, 20 * (10 + 15 * task)) for task in range(6)]
    assert PAPER.epochs * sum(batches_per_epoch(*size, PAPER) for size in sizes) == total
    once = replace(PAPER, batches="new")
    assert PAPER.epochs * sum(batches_per_epoch(*size, once) for size in sizes) == 31_010


def test_the_first_batch_is_half_replayed_and_half_new_without_repetition():
    generator = torch.Generator().manual_seed(0)
    batches = list(draw_batches(4500, 200, PAPER, generator))
    assert len(batches) == 36
    assert all(len(rows) == 128 for rows in batches)
    first = batches[0]
    assert int((first < 200).sum()) == 64 == int((first[:64] < 200).sum())
    assert all(len(set(rows.tolist())) == 128 for rows in batches)
    # each batch is drawn anew: of 36 · 64 draws from 4500 about 40 % are seen, none is kept from coming again
    seen = torch.cat([rows[64:] for rows in batches])
    assert 4500 * (1 - math.exp(-2304 / 4500)) * 0.95 < len(set(seen.tolist())) < 2304
    # of few images some come twice, and an update on less than a batch still takes a step
    few = list(draw_batches(40, 20, PAPER, generator))
    assert len(few) == 1
    assert set(few[0].tolist()) <= set(range(60))
    assert int((few[0] < 20).sum()) == 64


def test_the_rate_moves_by_epoch_to_its_end():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=PAPER.learning_rate)
    schedule = _schedule(optimizer, PAPER, steps_per_epoch=36)
    rates = []
    for _ in range(70):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    expected = [1e-5 + (1e-3 - 1e-5) * (1 + math.cos(math.pi * epoch / 70)) / 2 for epoch in range(70)]
    np.testing.assert_allclose(rates, expected, rtol=1e-12)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(1e-5, rel=1e-12)


def test_the_rate_is_the_same_in_every_step_of_an_epoch(monkeypatch):
    used = []
    step = torch.optim.SGD.step

    def watched(self, *arguments, **named):
        used.append(self.param_groups[0]["lr"])
        return step(self, *arguments, **named)

    monkeypatch.setattr(torch.optim.SGD, "step", watched)
    config = TrainingConfig(
        epochs=3, batch_size=16, optimizer="sgd", schedule="epoch", learning_rate=0.1, final_rate=0.01, device="cpu"
    )
    data = load_data("digits").train.subset(slice(64))
    fit(EmbeddingModel(SmallCNN(9), SimplexClassifier(10)), data, config, cross_entropy)
    assert [len(set(used[epoch * 4 : epoch * 4 + 4])) for epoch in range(3)] == [1, 1, 1]
    assert used[0] == 0.1 > used[4] > used[8] > 0.01


def test_the_papers_network_has_the_released_parameters():
    """ResNet-18 with the stem of 224×224 images, Linear(512, 1023, bias=False), 1024 fixed vertices."""
    scenario = PROTOCOLS["iam-cl2r-cifar100r-7"]
    spec = scenario.spec(Images(torch.zeros(100, 3, 32, 32), torch.arange(100)))
    assert (spec.dim, spec.num_classes, spec.bias, spec.normalize_embedding) == (1023, 1024, False, False)
    model = spec.build()
    # torchvision's ResNet-18 has 11 689 512 parameters, 513 000 of them in its classifier
    assert sum(p.numel() for p in model.parameters()) == 11_689_512 - 513_000 + 512 * 1023
    features, logits = model(torch.zeros(2, 3, 32, 32))
    assert (features.shape, logits.shape) == ((2, 1023), (2, 1024))
    # the maps shrink to 8×8 before the first stage
    assert model.backbone.trunk[:4](torch.zeros(1, 3, 32, 32)).shape == (1, 64, 8, 8)


def test_released_experience_replay_reads_the_trunk():
    spec = ModelSpec(100, "resnet18-7x7", "learned", in_channels=3, embedding=False)
    model = spec.build()
    assert model(torch.zeros(2, 3, 32, 32))[0].shape == (2, 512)
    assert [tuple(p.shape) for p in model.classifier.parameters()] == [(100, 512)]
    with pytest.raises(ValueError, match="embedding must be True with a fixed classifier"):
        ModelSpec(100, "resnet18", embedding=False)


@pytest.mark.parametrize(("tasks", "share", "replaced"), [(7, 15, (0, 2, 4)), (31, 3, (0, 10, 20))])
def test_iam_cl2r_begins_tasks_with_models_that_are_brought(tasks, share, replaced):
    scenario = PROTOCOLS[f"iam-cl2r-cifar100r-{tasks}"]
    steps = scenario.steps(CIFAR)
    assert [len(CIFAR[step.images].unique()) for step in steps] == [10] + (tasks - 1) * [share]
    assert tuple(task for task, step in enumerate(steps) if step.start == "checkpoint") == replaced
    assert {steps[task].held_to for task in replaced} == {"start"}
    assert (scenario.evaluate_on, scenario.images_per_class, scenario.memory_per_class) == ("cifar10", 300, 20)


def test_a_run_begins_with_brought_models_and_refuses_when_they_are_missing(tmp_path):
    one = TrainingConfig(epochs=1, batch_size=32, device="cpu")
    scenario = IAMCL2R(tasks=3, replace_at=(0, 2), checkpoints=("", ""), first_classes=4)
    with pytest.raises(ValueError, match=r"task 0 begins with a model that is brought; .* must give its file, got ''"):
        run_scenario(scenario, "hoc", Recipe(one, one))
    with pytest.raises(ValueError, match="checkpoints must name a file for each of 2 replacements, got 1"):
        replace(scenario, checkpoints=("x",))
    # trained elsewhere: other classes, and another number of them
    files = []
    for seed in range(2):
        spec = ModelSpec(20, dim=9, classifier="learned")
        files.append(str(tmp_path / f"{seed}.safetensors"))
        save_model(files[-1], spec.build(seed), spec)
    frozen = replace(one, learning_rate=1e-30)
    run = run_scenario(replace(scenario, checkpoints=tuple(files)), "hoc", Recipe(frozen, frozen))
    again = run_scenario(replace(scenario, checkpoints=tuple(files[::-1])), "hoc", Recipe(frozen, frozen))
    assert not np.allclose(run.features[0], again.features[0])
    # task 0 is held to the model that it begins with: HOC differs from the cross-entropy there
    trained = [
        run_scenario(replace(scenario, checkpoints=tuple(files)), name, Recipe(one, one)).features[0]
        for name in ("hoc", "simplex")
    ]
    assert not np.array_equal(*trained)
    spec = ModelSpec(10, "lenet++")
    save_model(files[0], spec.build(), spec)
    with pytest.raises(ValueError, match=r"0\.safetensors: the checkpoint (lacks|has) 'trunk"):
        run_scenario(replace(scenario, checkpoints=tuple(files)), "hoc", Recipe(one, one))


def test_what_a_crop_uncovers_is_black():
    images = torch.full((50, 2, 6, 6), 7.0)
    scale = Normalization((100.0, 50.0), (20.0, 10.0))
    assert scale.black == (-5.0, -5.0)
    black = Normalization((100.0, 50.0), (20.0, 25.0)).black
    cropped = augment(images, "crop", torch.Generator().manual_seed(0), black)
    same = augment(images, "crop", torch.Generator().manual_seed(0))
    for channel, value in enumerate((-5.0, -2.0)):
        assert set(cropped[:, channel].unique().tolist()) == {value, 7.0}
        assert torch.equal(cropped[:, channel] == value, same[:, channel] == 0.0)
    seen = []
    data = Images(torch.full((64, 1, 8, 8), 3.0), torch.arange(64) % 10, Normalization((90.0,), (30.0,)))

    class Watching(SmallCNN):
        def forward(self, pixels):
            seen.append(pixels)
            return super().forward(pixels)

    config = TrainingConfig(epochs=1, batch_size=64, augmentation="crop", padding="black", device="cpu")
    fit(EmbeddingModel(Watching(9), SimplexClassifier(10)), data, config, cross_entropy)
    assert set(seen[-1].unique().tolist()) == {-3.0, 3.0}


def test_folder_serves_every_data_set_of_a_protocol_and_test_images_go_through_the_models_transform(tmp_path):
    """CIFAR-10 behind models of CIFAR-100: nothing is downloaded, and the normalisation is that of CIFAR-100."""
    write_cifar(tmp_path, "cifar-100-binary", ["train.bin", "test.bin"], 1)
    files = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
    pixels, labels = write_cifar(tmp_path, "cifar-10-batches-bin", files, 0)
    scenario = CL2R(data="cifar100", folder=str(tmp_path), evaluate_on="cifar10", tasks=2)
    train, test = scenario.load()
    assert test.scale == train.scale
    mean, deviation = (np.array(v)[:, None, None] for v in (train.scale.mean, train.scale.deviation))
    expected = (pixels[-1].reshape(-1, 3, 32, 32) - mean) / deviation
    np.testing.assert_allclose(test.images, expected, atol=1e-4)  # float32, through another normalisation and back
    np.testing.assert_array_equal(test.labels, labels[-1] + train.num_classes)
    apart = tmp_path / "apart"
    apart.mkdir()
    (tmp_path / "cifar-10-batches-bin").rename(apart / "cifar-10-batches-bin")
    with pytest.raises(FileNotFoundError, match=r"data_batch_1\.bin: no such file"):
        scenario.load()
    assert torch.equal(replace(scenario, evaluate_folder=str(apart)).load().test.labels, test.labels)


def test_cl2r_and_cores_have_their_own_released_settings():
    """src/cl2r/params.py and main.py; src/cores/params.py and main.py."""
    cl2r, cores = PRESETS["cl2r"].update, PRESETS["cores"].update
    assert (cl2r.epochs, cl2r.milestones, cl2r.learning_rate, cl2r.weight_decay) == (70, (49, 64), 0.1, 5e-4)
    assert (cores.epochs, cores.milestones, cores.learning_rate, cores.batch_size) == (100, (70,), 0.1, 128)
    assert cl2r.precision == cores.precision == "no"
    scenario = PROTOCOLS["cl2r-released"]
    steps = scenario.steps(CIFAR)
    assert [len(CIFAR[step.images].unique()) for step in steps] == 5 * [20]
    spec = scenario.spec(Images(torch.zeros(100, 3, 32, 32), torch.arange(100)))
    assert (spec.backbone, spec.dim, spec.num_classes) == ("resnet32", 99, 100)
    steps = PROTOCOLS["cores-released"].steps(CIFAR)
    assert [len(CIFAR[step.images].unique()) for step in steps] == [20, 40, 60, 80, 100]
    assert {step.start for step in steps} == {"scratch"}
    assert PROTOCOLS["cores-released"].backbone == "senet18"
    with pytest.raises(ValueError, match="tasks must be >= 2 and divide the 100 classes, got 3"):
        CoReS(tasks=3).steps(CIFAR)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    schedule = _schedule(optimizer, cl2r, 10)
    rates = []
    for _ in range(70):
        rates.append(round(optimizer.param_groups[0]["lr"], 6))
        optimizer.step()
        schedule.step()
    assert rates == 49 * [0.1] + 15 * [0.01] + 6 * [0.001]


def test_released_protocols_differ_from_ours_in_what_is_stated():
    """Every setting of a released protocol that is not its class's default."""

    def changed(scenario):
        return {f.name: getattr(scenario, f.name) for f in fields(scenario) if getattr(scenario, f.name) != f.default}

    plain = {"data": "cifar100", "normalize_embedding": False, "embedding_bias": False}
    paper = plain | {
        "backbone": "resnet18-7x7", "preallocated": 1024, "first_classes": 10, "images_per_class": 300,
        "evaluate_on": "cifar10",
    }  # fmt: skip
    brought = {"checkpoints": ("", "", "")}
    assert {name: changed(scenario) for name, scenario in PROTOCOLS.items()} == {
        "extended-data": {},
        "extended-classes": {},
        "cl2r": {},
        "iam-cl2r": {"tasks": 3},
        "cl2r-cifar100-7": paper | {"tasks": 7},
        "cl2r-cifar100-31": paper | {"tasks": 31},
        "iam-cl2r-cifar100r-7": paper | brought | {"tasks": 7, "replace_at": (0, 2, 4)},
        "iam-cl2r-cifar100r-31": paper | brought | {"tasks": 31, "replace_at": (0, 10, 20)},
        "cl2r-released": plain | {"backbone": "resnet32", "evaluate_on": "cifar10"},
        "cores-released": plain | {"backbone": "senet18"},
    }
    assert (CL2R().tasks, CL2R().memory_per_class, CoReS().tasks) == (5, 20, 5)
    assert (IAMCL2R().replace_at, IAMCL2R().elsewhere_classes, IAMCL2R().reference) == ((2,), 4, "improved")
    assert (ExtendedData().old_images, ExtendedData().new_images, ExtendedClasses().old_classes) == (600, 1200, 5)


def test_settings_that_do_not_belong_together_are_refused():
    with pytest.raises(ValueError, match=r"final_rate must be in \[0, 0.001\], got 0.1"):
        TrainingConfig(learning_rate=1e-3, final_rate=0.1)
    with pytest.raises(ValueError, match="schedule must be 'epoch' with milestones, got 'step'"):
        TrainingConfig(milestones=(1,))
    with pytest.raises(ValueError, match="padding must be one of mean, black, got 'grey'"):
        TrainingConfig(padding="grey")
    with pytest.raises(ValueError, match="batches must be one of new, drawn, got 'all'"):
        TrainingConfig(batches="all")


def test_extra_dimensions_leave_the_ranking_of_old_galleries_to_the_first_ones():
    """A gallery padded with zeros is ranked by a query's first dimensions, whatever its further ones are."""
    one = TrainingConfig(epochs=1, device="cpu")
    run = run_scenario(CL2R(tasks=2, held_out=60), "oca", Recipe(one, one), settings={"dims": 5})
    assert [found.shape for found in run.features] == 2 * [(60, 14)]
    old, new = run.features
    assert not old[:, 9:].any()
    assert new[:, 9:].any()

    def ranking(queries, gallery):
        unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (queries, gallery)]
        return np.argsort(-unit[0] @ unit[1].T, axis=1, kind="stable")[:, :5]

    assert np.array_equal(ranking(new.astype(float), old.astype(float)), ranking(new[:, :9] + 0.0, old[:, :9] + 0.0))


def test_a_learned_shift_starts_at_nothing_and_moves_ten_times_as_fast():
    spec = ModelSpec(10, shift=True)
    model = spec.build()
    plain = ModelSpec(10).build()
    images = load_data("digits").train.subset(slice(64))
    with torch.no_grad():
        assert torch.equal(model.eval().features(images.images), plain.eval().features(images.images))
    config = TrainingConfig(epochs=1, batch_size=64, learning_rate=1e-3, weight_decay=0.5, device="cpu")
    fit(model, images, config, lambda logits, targets, new, old: 100.0 * new.sum() + 0.0 * logits.sum())
    shift = model.state_dict()["backbone.norm.1.shift"]
    # Adam's first step is the rate, whatever the gradient
    torch.testing.assert_close(shift, torch.full((9,), -1e-2), atol=1e-6, rtol=0)


def test_data_may_be_given_as_a_split():
    data = load_data("digits")
    assert CL2R(data=data).load().train is data.train
    assert isinstance(CL2R(data=tuple(data)).load(), Split)

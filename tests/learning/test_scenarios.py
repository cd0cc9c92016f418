"""Scenarios are protocols: what each model may see, whatever the method, and what does not fit the data."""

from __future__ import annotations

from dataclasses import replace

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
    ModelSpec,
    TrainingConfig,
    load_digits,
    load_model,
    run_scenario,
)
from learning.datasets import DEBIAN_FASHION_MNIST
from learning.lifelong import CoReS
from learning.recipes import Recipe

DIGITS = load_digits(0).labels[:1200]
CIFAR = torch.arange(50_000) % 100
ONE = TrainingConfig(epochs=1, device="cpu")
BRIEF = Recipe(ONE, replace(ONE, learning_rate=5e-4))


def classes(labels, rows):
    return set(labels[rows].tolist())


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_protocol_prints_as_itself(name):
    scenario = PROTOCOLS[name]
    assert eval(repr(scenario)) == scenario


@pytest.mark.parametrize("seed", [0, 1])
def test_cl2r_brings_every_class_once_and_replays_what_was_seen(seed):
    steps = CL2R(seed=seed, tasks=5, memory_per_class=7).steps(DIGITS)
    seen: set[int] = set()
    earlier: set[int] = set()
    for step in steps:
        new = classes(DIGITS, step.images)
        assert len(new) == 2
        assert not new & seen
        # the same images are kept for good, and they were trained on
        assert classes(DIGITS, step.memory) == seen
        assert len(step.memory) == 7 * len(seen)
        assert set(step.memory.tolist()) <= earlier
        seen |= new
        earlier |= set(step.images.tolist())
    assert seen == set(range(10))
    assert [step.start for step in steps] == ["scratch"] + 4 * ["previous"]


@pytest.mark.parametrize(("name", "tasks", "share"), [("cl2r-cifar100-7", 7, 15), ("cl2r-cifar100-31", 31, 3)])
def test_the_papers_protocols_have_the_papers_numbers(name, tasks, share):
    scenario = PROTOCOLS[name]
    steps = scenario.steps(CIFAR)
    assert [len(classes(CIFAR, step.images)) for step in steps] == [10] + (tasks - 1) * [share]
    assert all(len(step.images) == 300 * len(classes(CIFAR, step.images)) for step in steps)
    assert len(steps[-1].memory) == 20 * (100 - share)
    assert (scenario.preallocated, scenario.backbone, scenario.evaluate_on) == (1024, "resnet18-7x7", "cifar10")


def test_open_and_elsewhere_classes_are_no_tasks():
    scenario = IAMCL2R(tasks=3, first_classes=2, open_classes=2, elsewhere_classes=4, replace_at=(1, 2))
    with pytest.raises(ValueError, match="2 later tasks equal shares of 4 classes, so it must be one of 2, got 3"):
        replace(scenario, first_classes=3).steps(DIGITS)
    steps = scenario.steps(DIGITS)
    assert [step.held_to for step in steps] == ["previous", "start", "start"]
    assert replace(scenario, reference="previous").steps(DIGITS)[1].held_to == "previous"
    trained = set().union(*(classes(DIGITS, step.images) for step in steps))
    improved = [classes(DIGITS, step.elsewhere) for step in steps]
    assert len(trained) == 4
    assert not improved[0]
    assert [len(share) for share in improved[1:]] == [2, 4]
    assert improved[1] < improved[2]
    assert not improved[2] & trained
    assert [step.start for step in steps] == ["scratch", "elsewhere", "elsewhere"]


def test_classes_left_over_come_first_and_small_classes_are_replayed_whole():
    steps = CL2R(tasks=4, memory_per_class=5000).steps(DIGITS)
    assert [len(classes(DIGITS, step.images)) for step in steps] == [4, 2, 2, 2]
    assert torch.equal(steps[1].memory, steps[0].images)


def test_a_replacement_may_change_the_architecture_for_good():
    scenario = IAMCL2R(tasks=3, elsewhere_classes=4, replace_at=(1,), backbones=("lenet++",))
    assert [step.backbone for step in scenario.steps(DIGITS)] == ["small-cnn", "lenet++", "lenet++"]


def test_extended_classes_and_extended_data():
    old, new = ExtendedClasses(old_classes=3).steps(DIGITS)
    assert len(classes(DIGITS, old.images)) == 3
    assert len(new.images) == len(DIGITS)
    old, new = ExtendedData().steps(DIGITS)
    assert (len(old.images), len(new.images), len(new.memory)) == (600, 1200, 0)


def as_lists(steps):
    return [step.images.tolist() for step in steps]


@pytest.mark.parametrize("count", [1, 9])
def test_one_class_may_be_old_and_one_new(count):
    old, new = ExtendedClasses(old_classes=count).steps(DIGITS)
    assert (len(classes(DIGITS, old.images)), len(new.images)) == (count, 1200)
    for wrong in (0, 10):
        with pytest.raises(ValueError, match=rf"old_classes must be in \[1, 9\], got {wrong}\."):
            ExtendedClasses(old_classes=wrong).steps(DIGITS)


def test_as_many_images_as_there_are_may_be_asked_for():
    assert len(ExtendedClasses(new_images=1200).load().train) == 1200
    assert as_lists(ExtendedClasses(old_images=1200).steps(DIGITS)) == as_lists(ExtendedClasses().steps(DIGITS))
    assert len(ExtendedData(old_images=1200).steps(DIGITS)[0].images) == 1200
    with pytest.raises(ValueError, match="old_images must be <= 1200, the images that are left, got 1201"):
        ExtendedData(old_images=1201).steps(DIGITS)
    train, test = ExtendedData(old_images=1796, new_images=1796).load()
    assert (len(train), len(test)) == (1796, 1)
    with pytest.raises(ValueError, match="0 < old_images <= new_images < 1797, got 0 and 1200"):
        ExtendedData(old_images=0).load()
    small = CL2R(tasks=2, images_per_class=int(DIGITS.bincount().min()))
    assert {len(step.images) for step in small.steps(DIGITS)} == {5 * small.images_per_class}


def test_extended_data_of_other_images_keeps_their_test_set_and_draws_from_the_first_classes():
    digits = load_digits(0)
    data = digits.subset(slice(300)), digits.subset(slice(300, 400))
    scenario = ExtendedData(data=data, old_images=1, new_images=100, num_classes=4, held_out=7)
    train, test = scenario.load()
    assert (len(train), len(test)) == (100, int((data[1].labels[:7] < 4).sum()))
    order = scenario.order(300, 0)
    kept = order[data[0].labels[order] < 4]
    assert torch.equal(train.images, data[0].images[kept[:100]])
    assert len(replace(scenario, new_images=len(kept)).load().train) == len(kept)
    with pytest.raises(ValueError, match=rf"< {len(kept) + 1}, got 1 and {len(kept) + 1}"):
        replace(scenario, new_images=len(kept) + 1).load()


@pytest.mark.parametrize("count", [2, 10])
def test_extended_data_has_two_to_ten_digits(count):
    train, test = ExtendedData(old_images=10, new_images=300, num_classes=count, held_out=15).load()
    assert (sorted(set(train.labels.tolist())), len(test)) == (list(range(count)), 15)
    for wrong in (1, 11):
        with pytest.raises(ValueError, match=rf"num_classes must be in \[2, 10\], there are ten digits, got {wrong}\."):
            ExtendedData(old_images=10, new_images=300, num_classes=wrong).load()


def test_wrong_labels_and_thinned_classes_are_the_loop():
    scenario = ExtendedData(old_images=10, new_images=300, num_classes=3, wrong_labels=0.25, seed=4)
    clean = replace(scenario, wrong_labels=0.0).load().train
    order, shifts = scenario.order(300, 1)[:75], scenario.order(300, 2)[:75]
    labels = clean.labels.tolist()
    for row, shift in zip(order.tolist(), shifts.tolist(), strict=True):
        labels[row] = (labels[row] + 1 + shift % 2) % 3
    assert scenario.load().train.labels.tolist() == labels
    thinned = replace(scenario, wrong_labels=0.0, imbalance=4.0).load().train
    sizes, kept, seen = clean.labels.bincount(), [], [0, 0, 0]
    for row, label in enumerate(clean.labels.tolist()):
        # the first images of each class, as long as fewer than 4^(−c/2) of it are there
        if seen[label] < float(sizes[label]) / 2.0**label:
            kept.append(row)
        seen[label] += 1
    assert torch.equal(thinned.images, clean.images[kept])
    same = replace(scenario, wrong_labels=0.0, imbalance=1.0).load().train
    assert torch.equal(same.images, clean.images)


def test_orders_follow_the_seed_and_what_they_are_for():
    scenario = CL2R(seed=3)
    for size, salt in ((10, 1), (20, 5)):
        expected = torch.randperm(size, generator=torch.Generator().manual_seed(7919 * 3 + salt))
        assert torch.equal(scenario.order(size, salt), expected)


def test_cl2r_is_the_loop_over_tasks_and_classes():
    scenario = CL2R(seed=1, tasks=3, first_classes=3, open_classes=1, memory_per_class=2, images_per_class=5)
    order = scenario.order(10, 1)[:9].tolist()
    shares = [order[:3], order[3:6], order[6:]]
    steps, memory = scenario.steps(DIGITS), []
    for step, share in zip(steps, shares, strict=True):
        rows = []
        for label in share:
            every = (label == DIGITS).nonzero()[:, 0]
            rows.append(every[scenario.order(len(every), 2 + label)][:5])
        assert torch.equal(step.images, torch.cat(rows))
        assert step.memory.tolist() == memory
        memory += [row for each in rows for row in each[:2].tolist()]
    assert [step.start for step in steps] == ["scratch", "previous", "previous"]


@pytest.mark.parametrize(
    ("settings", "sizes"),
    [
        ({"tasks": 2}, [5, 5]),
        ({"tasks": 10}, 10 * [1]),
        ({"tasks": 2, "open_classes": 8}, [1, 1]),
        ({"tasks": 4, "first_classes": 1}, [1, 3, 3, 3]),
        ({"tasks": 4, "first_classes": 7}, [7, 1, 1, 1]),
        ({"tasks": 3, "open_classes": 3}, [3, 2, 2]),
    ],
)
def test_the_ends_of_what_a_protocol_may_ask(settings, sizes):
    assert [len(classes(DIGITS, step.images)) for step in CL2R(**settings).steps(DIGITS)] == sizes


def test_replacements_are_the_loop_over_their_tasks():
    scenario = IAMCL2R(
        seed=2, tasks=4, first_classes=1, replace_at=(1, 3), elsewhere_classes=5, open_classes=1,
        backbones=("lenet++", "mlp-head"),
    )  # fmt: skip
    steps, order = scenario.steps(DIGITS), scenario.order(10, 1)
    assert [step.start for step in steps] == ["scratch", "elsewhere", "previous", "elsewhere"]
    assert [step.backbone for step in steps] == ["small-cnn", "lenet++", "lenet++", "mlp-head"]
    assert [step.held_to for step in steps] == ["previous", "start", "previous", "start"]
    # the five classes before the open one: half of them, rounded down, then all
    assert [classes(DIGITS, step.elsewhere) for step in steps] == [
        set(), set(order[4:6].tolist()), set(), set(order[4:9].tolist())
    ]  # fmt: skip
    rows = torch.isin(DIGITS, order[4:6]).nonzero()[:, 0]
    assert torch.equal(steps[1].elsewhere, rows)
    # never one class alone
    few = replace(scenario, elsewhere_classes=2).steps(DIGITS)
    assert [len(classes(DIGITS, step.elsewhere)) for step in few] == [0, 2, 0, 2]
    brought = replace(scenario, checkpoints=("a", "b"), elsewhere_classes=0, first_classes=3, backbones=())
    assert [step.checkpoint for step in brought.steps(DIGITS)] == ["", "a", "", "b"]
    assert brought.reserved() == 1
    assert scenario.reserved() == 6
    assert {len(step.elsewhere) for step in brought.steps(DIGITS)} == {0}


def test_a_model_that_task_0_begins_with_is_what_it_is_held_to():
    for reference, held in (("improved", ["start", "start"]), ("previous", ["start", "previous"])):
        scenario = IAMCL2R(tasks=2, replace_at=(0, 1), checkpoints=("a", "b"), reference=reference)
        assert [step.held_to for step in scenario.steps(DIGITS)] == held


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"replace_at": ()}, r"replace_at must name tasks from 0 to 4 in order, got \(\)"),
        ({"replace_at": (5,)}, r"tasks from 0 to 4 in order, got \(5,\)"),
        ({"replace_at": (-1,)}, r"tasks from 0 to 4 in order, got \(-1,\)"),
        ({"replace_at": (1, 1)}, r"tasks from 0 to 4 in order, got \(1, 1\)"),
        ({"replace_at": (1, 2, 3), "elsewhere_classes": 2}, "elsewhere_classes must be >= 3, got 2"),
        ({"replace_at": (0, 4), "elsewhere_classes": 1}, "elsewhere_classes must be >= 2, got 1"),
        (
            {"replace_at": (0, 4), "checkpoints": ("a",)},
            "checkpoints must name a file for each of 2 replacements, got 1",
        ),
    ],
)
def test_replacements_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        IAMCL2R(**settings)
    for allowed in (
        {"replace_at": (0, 4)},
        {"replace_at": (1, 2, 3), "elsewhere_classes": 3},
        {"elsewhere_classes": 2},
    ):
        assert IAMCL2R(**allowed)


def test_cores_brings_equal_shares_and_two_tasks_at_least():
    scenario = CoReS(seed=2, tasks=2)
    order = scenario.order(10, 1)
    for step, share in zip(scenario.steps(DIGITS), (order[:5], order), strict=True):
        assert torch.equal(step.images, torch.isin(DIGITS, share).nonzero()[:, 0])
    for tasks in (1, 3):
        with pytest.raises(ValueError, match=f"tasks must be >= 2 and divide the 10 classes, got {tasks}"):
            CoReS(tasks=tasks).steps(DIGITS)


def test_a_scenario_says_what_it_is():
    scenario = ExtendedData(from_scratch=True, new_backbone=len, data=(DIGITS, DIGITS))
    content = scenario.description()
    assert (content["scenario"], content["data"], content["new_backbone"]) == (
        "ExtendedData",
        "data of your own",
        "own:len",
    )
    assert IAMCL2R(backbones=("lenet++",)).description()["backbones"] == ("lenet++",)
    for settings in ({"held_out": True}, {"held_out": -1}, {"image_size": 1.0}):
        with pytest.raises(ValueError, match=f"{next(iter(settings))} must be an integer >= 0"):
            CL2R(**settings)
    digits = load_digits(0)
    assert CL2R(preallocated=10).spec(digits).num_classes == 10
    assert CL2R(preallocated=12).spec(digits) == ModelSpec(12, dim=11)
    assert CL2R(polytope="cube", fixed_classifier=False).spec(digits) == ModelSpec(10, classifier="learned", dim=4)
    assert CL2R(polytope="cube").spec(digits, False, "linear") == ModelSpec(
        10, "small-cnn", "learned", 4, adapter="linear"
    )
    assert len(CL2R(held_out=5).load().test) == 5
    assert len(CL2R().load().test) == 597


def test_test_images_of_other_data_begin_behind_the_labels_and_keep_names_where_both_have_them():
    run = CL2R(evaluate_on="digits", held_out=9)
    train, test = run.load()
    assert len(test) == 9
    assert torch.equal(test.labels, load_digits(0).labels[1200:1209] + 10)
    torch.testing.assert_close(test.images, load_digits(0).images[1200:1209], atol=1e-5, rtol=0)
    named = train.relabelled(train.labels, tuple("abcdefghij"))
    assert replace(run, data=(named, named)).load().test.names == ()


@pytest.mark.parametrize(
    ("scenario", "message"),
    [
        (lambda: CL2R(data="mnist"), "data must be one of digits"),
        (lambda: CL2R(backbone="vgg"), "backbone must be one of small-cnn"),
        (lambda: CL2R(polytope="sphere"), "polytope must be one of simplex, orthoplex, cube, got 'sphere'"),
        (lambda: CL2R(seed=-1), "seed must be an integer >= 0, got -1"),
        (lambda: CL2R(tasks=2.5), "tasks must be an integer >= 0, got 2.5"),
        (lambda: CL2R(tasks=1), "tasks must be >= 2, got 1"),
        (lambda: CL2R(tasks=4, first_classes=2), "equal shares of 10 classes, so it must be one of 1, 4, 7, got 2"),
        (lambda: CL2R(tasks=11), "tasks must be <= 10, the classes that are trained on, got 11"),
        (lambda: CL2R(open_classes=9), "at least 2 of the 10 classes must be left to train on, but 9 are set apart"),
        (lambda: CL2R(images_per_class=5000), r"images_per_class must be <= \d+, those of class \d, got 5000"),
        (lambda: CL2R(preallocated=8), "preallocated must be >= 10, the classes of digits, got 8"),
        (lambda: CL2R(evaluate_on="mnist"), "data must be one of digits"),
        (lambda: ExtendedClasses(old_classes=10), r"old_classes must be in \[1, 9\], got 10"),
        (lambda: ExtendedClasses(new_images=1201), "new_images must be <= 1200, those of digits, got 1201"),
        (lambda: ExtendedClasses(old_images=1201), "old_images must be <= 1200, the images of the update, got 1201"),
        (lambda: ExtendedData(new_dim=16), "from_scratch must be True for a new model of another architecture"),
        (lambda: ExtendedData(new_classifier="learned"), "from_scratch must be True for a new model of another"),
        (lambda: ExtendedData(new_classifier="cube", from_scratch=True), "new_classifier must be '' or 'learned', got"),
        (lambda: ExtendedData(new_dim=8, from_scratch=True), "dim must be >= num_classes - 1 = 9"),
        (lambda: ExtendedData(new_backbone="vgg"), "new_backbone must be one of small-cnn, .*, got 'vgg'"),
        (lambda: ExtendedData(old_images=900, new_images=600), "0 < old_images <= new_images < 1797, got 900 and 600"),
        (lambda: ExtendedData(new_images=1797), "got 600 and 1797"),
        (lambda: ExtendedData(wrong_labels=1.0), r"wrong_labels must be in \[0, 1\), got 1.0"),
        (lambda: ExtendedData(imbalance=0.5), "imbalance must be a finite number >= 1, got 0.5"),
        (lambda: ExtendedData(imbalance=10.0), r"old_images must be <= \d+, the images that are left, got 600"),
        (lambda: ExtendedData(num_classes=1), r"num_classes must be in \[2, 10\], there are ten digits, got 1"),
        (lambda: IAMCL2R(replace_at=(9,)), "replace_at must name tasks from 0 to 4 in order"),
        (lambda: IAMCL2R(replace_at=(2, 1)), "replace_at must name tasks from 0 to 4 in order"),
        (lambda: IAMCL2R(backbones=("lenet++", "lenet++")), "backbones must name one for each of 1 replacements"),
        (lambda: IAMCL2R(backbones=("vgg",)), "backbones must be one of small-cnn, .*, got 'vgg'"),
        (lambda: IAMCL2R(reference="next"), "reference must be 'improved' or 'previous', got 'next'"),
        (lambda: IAMCL2R(elsewhere_classes=1), "elsewhere_classes must be >= 2, got 1"),
    ],
)
def test_bad_protocols_are_refused_before_training(scenario, message):
    with pytest.raises(ValueError, match=message):
        run_scenario(scenario(), "simplex", BRIEF, progress=lambda *e: pytest.fail("training began"))


def test_another_data_set_is_all_open():
    """Stands for CIFAR-10 behind models of CIFAR-100: the labels are moved, so that no class is a trained one."""
    run = run_scenario(CL2R(tasks=2, evaluate_on="digits"), "simplex", BRIEF)
    assert not run.trained.any()
    assert set(run.labels) == set(range(10, 20))


@pytest.mark.skipif(not DEBIAN_FASHION_MNIST.is_dir(), reason="the package dataset-fashion-mnist is not installed")
def test_extended_data_of_other_data_keeps_its_test_set():
    train, test = ExtendedData(data="fashion-mnist", new_images=2000, num_classes=7).load()
    assert (len(train), len(test), train.num_classes) == (2000, 7000, 7)
    with pytest.raises(ValueError, match=r"evaluate_on must have images of shape \(1, 8, 8\) like digits"):
        CL2R(evaluate_on="fashion-mnist").load()


def test_wrong_labels_are_as_many_as_asked_for_and_never_right():
    clean, test = ExtendedData().load()
    noisy, same = ExtendedData(wrong_labels=0.2).load()
    assert torch.equal(clean.images, noisy.images)
    assert int((clean.labels != noisy.labels).sum()) == 240
    assert torch.equal(test.labels, same.labels)
    assert noisy.num_classes == 10


def test_unequal_classes_thin_out_geometrically():
    counts = ExtendedData(old_images=100).load().train.labels.bincount()
    thinned = ExtendedData(old_images=100, imbalance=10.0).load().train.labels.bincount()
    # at most one image more than the share, as the first image below it is kept
    expected = counts * 10.0 ** (-torch.arange(10) / 9)
    assert bool(((thinned >= expected) & (thinned < expected + 1)).all())


def test_unrelated_models_are_held_to_the_old_one_and_share_nothing_else():
    unrelated = ExtendedData(from_scratch=True, fixed_classifier=False)
    old, new = unrelated.steps(DIGITS)
    assert (old.start, new.start) == ("scratch", "scratch")
    run, related = (run_scenario(s, "hoc", BRIEF) for s in (unrelated, replace(unrelated, from_scratch=False)))
    assert run.vertices is None
    assert np.array_equal(run.features[0], related.features[0])
    assert not np.array_equal(run.features[1], related.features[1])


@pytest.mark.parametrize("method", ["hoc", "first-moment", "hot-refresh", "bct"])
def test_a_new_model_of_another_dimension_and_architecture_reaches_the_old_space_through_a_head(method, tmp_path):
    scenario = ExtendedData(from_scratch=True, new_dim=16, new_backbone="lenet++", new_images=600, held_out=100)
    run = run_scenario(scenario, method, BRIEF, directory=tmp_path)
    assert [features.shape for features in run.features] == [(100, 9), (100, 9)]
    assert run.vertices is None  # the models share no classifier
    model = load_model(tmp_path / "task-01.safetensors")
    assert model.adapter.weight.shape == (9, 16)
    assert model.directions.shape[1] == 16
    # the loss reaches the backbone through the head, and the head is not what it began as
    fresh = ModelSpec(10, "lenet++", "simplex", 16, head=9).build(1).adapter.weight
    assert not torch.equal(model.adapter.weight, fresh)


def test_models_from_scratch_are_trained_once_for_several_runs():
    shared: dict = {}
    scenario = ExtendedData(old_images=200, new_images=300)
    one = run_scenario(scenario, "hoc", BRIEF, first_models=shared)
    other = run_scenario(scenario, "first-moment", BRIEF, first_models=shared)
    assert len(shared) == 1
    assert one.seconds[0] > 0
    assert other.seconds[0] == 0
    assert np.array_equal(one.features[0], other.features[0])
    alone = run_scenario(scenario, "first-moment", BRIEF)
    assert np.array_equal(alone.features[1], other.features[1])
    # other images, another model
    run_scenario(replace(scenario, old_images=250), "hoc", BRIEF, first_models=shared)
    assert len(shared) == 2


def test_extended_classes_may_take_fewer_images():
    scenario = ExtendedClasses(old_images=400, new_images=800, held_out=50)
    train, test = scenario.load()
    old, new = scenario.steps(train.labels)
    assert (len(train), len(test), len(new.images)) == (800, 50, 800)
    assert max(old.images) < 400
    assert len(classes(train.labels, old.images)) == 5


def test_bad_runs_are_refused_before_training(tmp_path):
    def run(scenario, method="simplex", recipe=BRIEF, **options):
        run_scenario(scenario, method, recipe, progress=lambda *e: pytest.fail("training began"), **options)

    with pytest.raises(ValueError, match="method must be one of er"):
        run(CL2R(), "magic")
    with pytest.raises(ValueError, match=r"batch_size must be <= \d+ for task 0, which has \d+ new images .* got 512"):
        run(CL2R(), recipe=Recipe(replace(ONE, batch_size=512), ONE))
    with pytest.raises(ValueError, match="device must be 'auto' or a device of this machine, got 'gpu0'"):
        run(CL2R(), recipe=Recipe(ONE, replace(ONE, device="gpu0")))
    (tmp_path / "file").touch()
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(ValueError, match=r"run\.json: .*not the description of a run"):
        run(CL2R(), directory=tmp_path)
    with pytest.raises(ValueError, match="file: must be a folder, got a file"):
        run(CL2R(), directory=tmp_path / "file")


@pytest.mark.parametrize("method", ["simplex", "hoc", "bct", "lce", "lambda-orthogonality"])
def test_a_run_gives_features_of_every_task_on_held_out_images(method):
    reports = []
    scenario = CL2R(tasks=3, first_classes=2, open_classes=4)
    run = run_scenario(scenario, method, BRIEF, progress=lambda *e: reports.append(e))
    assert [features.shape for features in run.features] == 3 * [(597, 9)]
    assert len(set(run.labels[run.trained])) == 6
    assert len(set(run.labels[~run.trained])) == 4
    assert (run.vertices is not None) == (method in ("simplex", "hoc"))
    assert [(name, done, total) for name, done, total, *_ in reports] == [(f"task-0{t}", 1, 1) for t in range(3)]
    for *_, means in reports:
        assert means.loss > 0
        assert 0 < means.accuracy <= 1
        assert 0 <= means.drift <= np.pi
        assert 0 < means.concentration <= 1
    again = run_scenario(scenario, method, BRIEF)
    assert all(np.array_equal(a, b) for a, b in zip(run.features, again.features, strict=True))


@pytest.mark.simulations
def test_a_replaced_model_starts_from_the_improved_one_of_another_architecture(tmp_path):
    scenario = IAMCL2R(tasks=3, elsewhere_classes=4, replace_at=(1,), backbones=("lenet++",))
    run = run_scenario(scenario, "hoc", BRIEF, directory=tmp_path)
    assert len(run.features) == 3
    assert (tmp_path / "task-01-elsewhere.safetensors").exists()
    previous = run_scenario(replace(scenario, reference="previous"), "hoc", BRIEF)
    assert np.array_equal(run.features[0], previous.features[0])
    assert not np.array_equal(run.features[1], previous.features[1])


def test_a_recipe_says_how_long_and_where_and_a_scenario_cannot_contradict_it():
    """A scenario once had epochs of its own, which nobody read: one epoch was asked for and 25 were trained."""
    with pytest.raises(TypeError, match="epochs"):
        ExtendedData(epochs=1)
    with pytest.raises(TypeError, match="device"):
        ExtendedData(device="cpu")
    reports = []
    scenario = ExtendedData(old_images=128, new_images=192, held_out=50)
    run_scenario(scenario, "simplex", PRESETS["small"].changed(epochs=2), progress=lambda *e: reports.append(e[:3]))
    assert reports == [(name, epoch, 2) for name in ("task-00", "task-01") for epoch in (1, 2)]


def test_a_new_model_may_have_a_learned_classifier_after_an_old_one_with_the_simplex():
    scenario = ExtendedData(old_images=128, new_images=192, held_out=50, from_scratch=True)
    run = run_scenario(replace(scenario, new_classifier="learned"), "simplex", BRIEF)
    same = run_scenario(scenario, "simplex", BRIEF)
    assert np.array_equal(run.features[0], same.features[0])
    assert not np.array_equal(run.features[1], same.features[1])
    assert run.vertices is None
    assert same.vertices is not None

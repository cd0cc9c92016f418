"""Your own backbone, method and data: as objects, through the command line, streamed, in folders, frozen features."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from learning import (
    BACKBONES,
    CL2R,
    IAMCL2R,
    Backbone,
    EmbeddingModel,
    ExtendedData,
    Images,
    Method,
    Recipe,
    SimplexClassifier,
    Split,
    TrainingConfig,
    load_data,
    load_model,
    run_scenario,
)
from learning.backbones import register_backbone
from learning.data import Normalization, Streamed
from stationary._app import main
from verification.experiments.evaluate import evaluate, load_run
from verification.features import FeatureSet

ONE = TrainingConfig(epochs=1, batch_size=16, device="cpu")
BRIEF = Recipe(ONE, ONE)
SCENARIO = ExtendedData(old_images=64, new_images=96, held_out=40)


class OwnNetwork(nn.Module):
    def __init__(self, width: int = 12):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, width, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def forward(self, images):
        return self.layers(images)


class Noise(torch.utils.data.Dataset):
    """Forty images in memory that pretend to be on disk."""

    def __init__(self, size=40, classes=4, seed=0):
        generator = torch.Generator().manual_seed(seed)
        self.images = torch.randn(size, 1, 8, 8, generator=generator)
        self.targets = (torch.arange(size) % classes).tolist()
        self.images += torch.tensor(self.targets, dtype=torch.float32)[:, None, None, None]
        self.read: list[int] = []

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, index):
        self.read.append(index)
        return self.images[index], self.targets[index]


@pytest.fixture
def registry(monkeypatch):
    """What is registered in a test is gone after it."""
    before = dict(BACKBONES)
    yield BACKBONES
    for name in BACKBONES.keys() - before.keys():
        del BACKBONES[name]


@pytest.mark.parametrize("own", [OwnNetwork, lambda: OwnNetwork(5), OwnNetwork(7)])
def test_a_backbone_may_be_a_module_or_a_function(own, registry, tmp_path):
    run = run_scenario(replace(SCENARIO, backbone=own), "hoc", BRIEF, directory=tmp_path)
    assert [features.shape for features in run.features] == 2 * [(40, 9)]
    name = next(name for name in registry if name.startswith("own:"))
    assert json.loads((tmp_path / "run.json").read_text())["backbone"] == name
    # the same run again loads what it wrote
    again = run_scenario(replace(SCENARIO, backbone=own), "hoc", BRIEF, directory=tmp_path)
    assert np.array_equal(run.features[1], again.features[1])
    assert run.seconds == again.seconds


def test_weights_that_are_brought_are_where_training_starts(registry):
    trained = OwnNetwork()
    before = {key: value.clone() for key, value in trained.state_dict().items()}
    name = register_backbone(trained, (1, 8, 8))
    one, two = (registry[name](9, 1, True) for _ in range(2))
    assert all(torch.equal(one.trunk.state_dict()[key], value) for key, value in before.items())
    one.trunk.layers[0].weight.data.zero_()
    assert all(torch.equal(two.trunk.state_dict()[key], value) for key, value in before.items())
    run_scenario(replace(SCENARIO, backbone=trained), "simplex", BRIEF)
    assert all(torch.equal(trained.state_dict()[key], value) for key, value in before.items())


def test_what_is_no_backbone_is_refused(registry):
    with pytest.raises(ValueError, match=r"backbone must give one vector per image, .* got \(2, 4, 6, 6\). Take its"):
        run_scenario(replace(SCENARIO, backbone=nn.Conv2d(1, 4, 3)), "hoc", BRIEF)
    with pytest.raises(ValueError, match="backbone must be a module or a function that makes one, got int"):
        run_scenario(replace(SCENARIO, backbone=lambda: 3), "hoc", BRIEF)
    register_backbone(OwnNetwork, (1, 8, 8), "mine")
    assert register_backbone(OwnNetwork, (1, 8, 8), "mine") == "mine"
    with pytest.raises(ValueError, match="name must be free, got 'mine'"):
        register_backbone(nn.Flatten(), (1, 8, 8), "mine")
    assert run_scenario(replace(SCENARIO, backbone="mine"), "hoc", BRIEF).features[0].shape == (40, 9)


def test_a_model_of_an_own_backbone_is_loaded_into_one(registry, tmp_path):
    scenario = replace(SCENARIO, backbone=OwnNetwork)
    run = run_scenario(scenario, "simplex", BRIEF, directory=tmp_path)
    spec = scenario.spec(scenario.load().train)
    model = load_model(tmp_path / "task-01.safetensors", into=spec.build(5))
    test = scenario.load().test
    assert not model.training
    with torch.no_grad():
        np.testing.assert_allclose(model.features(test.images).numpy(), run.features[1], atol=1e-5)
    del registry["own:OwnNetwork"]
    with pytest.raises(ValueError, match=r"cannot be rebuilt .* load_model\(path, into=model\)"):
        load_model(tmp_path / "task-01.safetensors")
    other = EmbeddingModel(Backbone(OwnNetwork(5), 5, 9), SimplexClassifier(10))
    with pytest.raises(ValueError, match=r"'backbone\.embedding\.weight' must be .* shape \(9, 5\)"):
        load_model(tmp_path / "task-01.safetensors", into=other)


def test_a_method_may_be_an_object(tmp_path):
    seen = []

    def objective(update):
        seen.append(update.known.sum().item())
        return lambda logits, targets, new, old: (new - old).square().mean() + 0.0 * logits.sum()

    own = Method(objective, name="mine")
    run = run_scenario(SCENARIO, own, BRIEF, directory=tmp_path)
    assert (run.method, seen) == ("mine", [10])
    assert json.loads((tmp_path / "run.json").read_text())["method"] == "mine"
    with pytest.raises(ValueError, match="settings must be left out with a method that is an object"):
        run_scenario(SCENARIO, own, BRIEF, settings={"weight": 1})


@pytest.mark.parametrize("workers", [0, 1])
def test_a_data_set_is_streamed_and_gives_what_it_gives_in_memory(workers, tmp_path):
    train, test = Noise(64), Noise(24, seed=1)
    scenario = CL2R(tasks=2, memory_per_class=4)
    streamed = run_scenario(
        scenario, "hoc", BRIEF, data=(Streamed(train, workers), Streamed(test, workers)), directory=tmp_path
    )
    held = [Images(part.images, torch.tensor(part.targets)) for part in (train, test)]
    whole = run_scenario(scenario, "hoc", BRIEF, data=Split(*held))
    assert all(np.array_equal(a, b) for a, b in zip(streamed.features, whole.features, strict=True))
    if not workers:
        # as a field of the scenario, and unwrapped
        again = run_scenario(replace(scenario, data=(train, test)), "hoc", BRIEF)
        assert np.array_equal(again.features[1], whole.features[1])
        other = Noise(64, seed=3)
        with pytest.raises(ValueError, match="holds another run: its training images is"):
            run_scenario(scenario, "hoc", BRIEF, data=(other, test), directory=tmp_path)


def test_a_data_set_without_tensors_is_refused():
    with pytest.raises(
        ValueError, match=r"items of a data set must be \(float tensor .* Give the data set a transform"
    ):
        Streamed([(np.zeros((8, 8)), 0)])
    with pytest.raises(ValueError, match="at least one item"):
        Streamed([])
    with pytest.raises(ValueError, match=r"data must be a name or \(train, held out\), a pair of data sets, got int"):
        replace(SCENARIO, data=3)
    small = Images(torch.zeros(4, 1, 4, 4), torch.arange(4))
    with pytest.raises(ValueError, match=r"one shape, got \(1, 8, 8\), \(1, 4, 4\)"):
        run_scenario(CL2R(tasks=2), "hoc", BRIEF, data=(Noise(), small))


def write_pictures(folder, classes=5, each=24, mode="RGB", odd=False):
    image = pytest.importorskip("PIL.Image")
    for label in range(classes):
        path = folder / f"kind-{label}"
        path.mkdir(parents=True)
        for i in range(each):
            size = (20 + i % 7, 16 + (i % 3)) if odd else (12, 12)
            image.new(mode, size, (40 * label, 255 - 40 * label, 10 * (i % 20))).save(path / f"{i:02d}.png")


@pytest.fixture
def call(monkeypatch, capsys):
    """Run the program in this process: (status, stdout, stderr)."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["stationary", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            main()
        return exit_.value.code, *capsys.readouterr()

    return run


OPTIONS = ("--data", "folder", "--tasks", 2, "--memory", 5, "--batch-size", 8, "--epochs", 2, "--device", "cpu")


TWO = ("--tasks", 2, "--batch-size", 8)


def test_five_classes_of_24_images_train_and_are_judged_by_name(call, tmp_path):
    write_pictures(tmp_path / "data")
    run = tmp_path / "run"
    status, _, err = call("train", run, *OPTIONS, "--folder", tmp_path / "data", "--open-classes", 1)
    assert (status, err) == (0, "")
    found = FeatureSet.load(run / "task-01.features.npz")
    assert sorted(set(found.labels.tolist())) == [f"kind-{i}" for i in range(5)]
    assert len(found) == 25
    trained = json.loads((run / "trained.json").read_text())
    assert len(trained) == 4
    assert set(trained) < {f"kind-{i}" for i in range(5)}
    assert sorted(set(load_run(run, "trained")[0].labels)) == trained
    assert len(set(load_run(run, "open")[0].labels)) == 1
    for score in ("nearest", "template", "map", "verification"):
        status, _, err = call("evaluate", run, "--score", score)
        assert (status, err) == (0, ""), score
    assert call("audit", run / "task-01.features.npz", run / "task-00.features.npz")[0] in (0, 1, 3)


def test_images_of_any_size_in_train_and_val_with_a_network_of_your_own(call, tmp_path, monkeypatch, registry):
    write_pictures(tmp_path / "data" / "train", classes=3, odd=True)
    write_pictures(tmp_path / "data" / "val", classes=3, each=6, odd=True)
    (tmp_path / "strangers.py").write_text(
        "from torch import nn\n"
        "def network():\n"
        "    return nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())\n"
        "def broken():\n"
        "    raise RuntimeError('no weights here')\n"
    )
    monkeypatch.chdir(tmp_path)
    status, _, err = call("train", "run", *OPTIONS, "--folder", "data", "--backbone", "strangers:network")
    assert status == 2
    assert "images must have one shape" in err
    assert "Give --image-size" in err
    options = (*OPTIONS, "--folder", "data", "--image-size", 10, "--backbone", "strangers:network")
    status, out, err = call("train", "run", *options)
    assert (status, err) == (0, "")
    assert json.loads((tmp_path / "run" / "run.json").read_text())["image_size"] == 10
    assert len(FeatureSet.load(tmp_path / "run" / "task-00.features.npz")) == 18
    assert call("evaluate", "run")[0] == 0
    assert "own:network" in out
    assert "object at" not in out
    assert "Next: stationary evaluate run" in out
    status, _, err = call("train", "other", *options[:-1], "strangers:broken")
    assert status == 2
    assert "strangers.py, line 5: backbone must be a module, or a function" in err
    assert "RuntimeError: no weights here" in err
    status, _, err = call("train", "other", *options, "--method", "strangers:broken")
    assert "strangers.py, line 5: RuntimeError: no weights here" in err
    status, _, err = call("train", "other", *options, "--method", "strangers:network")
    assert "method must be a name or a Method, got Sequential" in err
    status, _, err = call("train", "other", *options[:-1], "strangers:nothing")
    assert status == 2
    assert "--backbone must be a known name or MODULE:FUNCTION" in err


def test_folders_that_would_be_read_in_part_say_what_to_do(tmp_path):
    write_pictures(tmp_path / "photos", classes=2, each=3)
    with pytest.raises(ValueError, match=r"at least two class folders, got 1\. Put the images of each class into"):
        load_data("folder", tmp_path)
    image = tmp_path / "photos" / "kind-1" / "02.png"
    image.write_bytes(image.read_bytes()[:45])
    with pytest.raises(ValueError, match=r"02\.png: .*[a-z]\. It must be an image; mend it, or take it away"):
        load_data("folder", tmp_path / "photos")
    (tmp_path / "photos" / "kind-0" / "more").mkdir()
    with pytest.raises(ValueError, match=r"more: is a folder inside a class folder, .* Move them up into .*kind-0\."):
        load_data("folder", tmp_path / "photos")


def test_a_held_out_class_that_is_not_trained_on_is_named(tmp_path):
    write_pictures(tmp_path / "train", classes=2, each=3)
    write_pictures(tmp_path / "test", classes=3, each=1)
    with pytest.raises(ValueError, match=r"test/kind-2: must be a class of .*train too"):
        load_data("folder", tmp_path)


def test_pictures_are_resized_by_the_shorter_side_and_cropped_about_the_middle(tmp_path):
    image = pytest.importorskip("PIL.Image")
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        for i in range(2):
            picture = image.new("RGB", (40, 20), (0, 0, 0))
            picture.paste((200, 0, 0), (10, 0, 30, 20))  # the middle half
            picture.save(tmp_path / label / f"{i}.png")
    train, _ = load_data("folder", tmp_path, size=10)
    assert train.shape == (3, 10, 10)
    red = train.images[0, 0] * train.scale.deviation[0] + train.scale.mean[0]
    assert float(red[:, 1:9].min()) == pytest.approx(200.0, abs=1.0)
    with pytest.raises(ValueError, match="image_size must be 0 for 'digits'"):
        load_data("digits", size=10)


def test_a_head_is_trained_on_frozen_features(call, tmp_path):
    rng = np.random.default_rng(0)
    labels = np.array(["sun", "moon", "sea", "hill"])[np.arange(200) % 4]
    centres = dict(zip(np.unique(labels), 3.0 * rng.standard_normal((4, 24)), strict=True))
    vectors = np.stack([centres[label] for label in labels]) + rng.standard_normal((200, 24))
    np.savez(tmp_path / "encoder.npz", features=vectors.astype(np.float32), labels=labels)
    for backbone in ("head", "mlp-head"):
        run = tmp_path / backbone
        status, _, err = call(
            *("train", run, "--data", "features", "--folder", tmp_path / "encoder.npz", "--backbone", backbone),
            *("--tasks", 2, "--batch-size", 16, "--epochs", 20, "--device", "cpu"),
        )
        assert (status, err) == (0, "")
        report = evaluate(load_run(run))
        assert report.matrix.matrix[1, 1] > 0.9
    train, test = load_data("features", tmp_path / "encoder.npz")
    assert train.names == ("hill", "moon", "sea", "sun")
    assert (train.shape, len(train), len(test)) == ((24, 1, 1), 160, 40)
    (tmp_path / "split").mkdir()
    for name, rows in (("train", slice(150)), ("val", slice(150, None))):
        np.savez(tmp_path / "split" / f"{name}.npz", features=vectors[rows], labels=labels[rows])
    train, test = load_data("features", tmp_path / "split")
    assert (len(train), len(test)) == (150, 50)
    np.testing.assert_allclose(
        test.images[:, :, 0, 0], (vectors[150:] - vectors[:150].mean(0)) / vectors[:150].std(0), atol=1e-5
    )
    vectors[7, 3] = np.nan
    np.savez(tmp_path / "nan.npz", features=vectors, labels=labels)
    with pytest.raises(ValueError, match=r"nan\.npz: features must be finite, got NaN or infinity in row 7\."):
        load_data("features", tmp_path / "nan.npz")
    np.savez(tmp_path / "one.npz", features=vectors[8:], labels=np.array(["rare", *labels[9:]]))
    with pytest.raises(ValueError, match=r"each label needs two rows, .* got one of 'rare'"):
        load_data("features", tmp_path / "one.npz")
    status, _, err = call("train", tmp_path / "x", "--data", "features", "--folder", tmp_path / "encoder.npz", *TWO)
    assert status == 2
    assert "--backbone must be one that reads images of shape (24, 1, 1), got 'small-cnn'" in err
    np.savez(tmp_path / "bad.npz", vectors=vectors)
    with pytest.raises(ValueError, match=r"bad\.npz: .* must be an \.npz file with the arrays 'features' and 'labels'"):
        load_data("features", tmp_path / "bad.npz")


def test_test_images_of_another_data_set_are_normalised_as_the_models_images():
    pixels = torch.rand(6, 3, 4, 4) * 255
    own, others = Normalization((10.0, 20.0, 30.0), (2.0, 3.0, 4.0)), Normalization((90.0, 80.0, 70.0), (9.0, 8.0, 7.0))

    def normalised(scale):
        mean, deviation = (torch.tensor(v)[:, None, None] for v in (scale.mean, scale.deviation))
        return (pixels - mean) / deviation

    found = Images(normalised(others), torch.zeros(6).long(), others).normalised_as(own)
    # float32 of numbers up to a hundred
    torch.testing.assert_close(found.images, normalised(own), atol=1e-4, rtol=0)
    assert found.scale == own
    with pytest.raises(ValueError, match="only where both normalisations are known"):
        Images(pixels, torch.zeros(6).long()).normalised_as(own)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--protocol", "extended-data", "--tasks", 3), "--tasks is no option of protocol 'extended-data'; leave it"),
        (("--protocol", "extended-data", "--memory", 3), "--memory is no option of protocol 'extended-data'"),
        (("--checkpoint", "x"), "--checkpoint is no option of protocol 'cl2r'"),
        (("--folder", "mnist=there"), "--folder must be [NAME=]PATH, NAME one of digits, got 'mnist=there'"),
        (("--precision", "int8"), "precision must be one of no, bf16, fp16, got 'int8'"),
        (("--method", "nowhere:nothing"), "--method must be a known name or MODULE:FUNCTION, got 'nowhere:nothing'"),
    ],
)
def test_options_that_do_not_fit_are_refused(call, tmp_path, options, message):
    status, out, err = call("train", tmp_path / "run", *options)
    assert (status, out) == (2, "")
    assert message in err
    assert not (tmp_path / "run").exists()


class Items(torch.utils.data.Dataset):
    def __init__(self, label=lambda i: i % 2, size=lambda i: 8, value=0.0):
        self.label, self.size, self.value = label, size, value

    def __len__(self):
        return 20

    def __getitem__(self, index):
        return torch.full((1, self.size(index), 8), self.value), self.label(index), "a third thing"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (Items(), "data must be a name or .* a pair of data sets, got Items"),
        ((1, 2), "data must be a pair of data sets with a length and items .* got int"),
        ((Items(lambda i: "ab"[i % 2]), Items()), "labels of a data set must be integers >= 0, got 'a'. Number the"),
        ((Items(lambda i: i % 2 + 0.5), Items()), "labels of a data set must be integers >= 0, got 0.5"),
        ((Items(lambda i: i % 2 - 1), Items()), "labels of a data set must be integers >= 0, got -1"),
        (
            (Items(size=lambda i: 8 + i // 10), Items()),
            r"must have one shape, got \(1, 8, 8\) and \(1, 9, 8\)\. Resize",
        ),
        ((Items(value=float("nan")), Items()), "task-00: the weights are no longer finite after epoch 1. Give a lower"),
    ],
)
def test_data_sets_that_cannot_be_trained_on_are_refused(data, message):
    recipe = Recipe(*2 * [replace(ONE, batch_size=8)])
    with pytest.raises(ValueError, match=message):
        run_scenario(CL2R(tasks=2, memory_per_class=4), "simplex", recipe, data=data)


@pytest.mark.parametrize(
    "scenario",
    [
        ExtendedData(from_scratch=True, new_backbone=nn.Flatten()),
        IAMCL2R(tasks=2, replace_at=(1,), backbones=(nn.Flatten(),)),
    ],
)
def test_networks_of_ones_own_are_named_in_the_description(scenario):
    assert '"own:Flatten"' in json.dumps(scenario.description())

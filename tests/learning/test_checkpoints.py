"""Checkpoints: what comes back is what was written; what does not fit is refused; a killed run ends like a whole."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from learning import (
    CL2R,
    Images,
    ModelSpec,
    Split,
    TrainingConfig,
    cross_entropy,
    fit,
    load_digits,
    load_model,
    run_scenario,
    save_model,
)
from learning.checkpoints import load_tensors, read_description, save_tensors
from tests.learning._worker import KILLED, RECIPE

ROOT = Path(__file__).parents[2]
SPEC = ModelSpec(10)
CONFIG = TrainingConfig(epochs=4, batch_size=32, device="cpu")


class Interrupted(Exception):
    pass


@pytest.fixture(scope="module")
def digits():
    return load_digits(0).subset(slice(160))


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("classifier", ["simplex", "orthoplex", "cube", "learned"])
def test_a_model_comes_back(tmp_path, classifier):
    spec = ModelSpec(10, classifier=classifier, adapter="linear")
    model = spec.build(3)
    save_model(tmp_path / "m.safetensors", model, spec)
    again = load_model(tmp_path / "m.safetensors", spec)
    assert equal(model.state_dict(), again.state_dict())
    assert torch.equal(model.directions, again.directions)
    assert not again.training
    assert [path.name for path in tmp_path.iterdir()] == ["m.safetensors"]


def test_what_is_not_the_checkpoint_is_refused(tmp_path):
    path = tmp_path / "m.safetensors"
    with pytest.raises(FileNotFoundError, match=r"m\.safetensors: no such checkpoint"):
        load_model(path)
    save_model(path, SPEC.build(), SPEC)
    with pytest.raises(ValueError, match=r"must hold ModelSpec\(num_classes=11"):
        load_model(path, replace(SPEC, num_classes=11))
    whole = path.read_bytes()
    for length in (0, 7, 200, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"m\.safetensors: cannot be read, .*Delete it"):
            load_model(path)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="not a checkpoint of this package"):
        load_model(path)
    save_tensors(path, {}, {"epoch": 1})
    with pytest.raises(ValueError, match="a training that was not finished"):
        load_model(path)


def test_a_checkpoint_of_another_shape_is_refused_and_changes_nothing(tmp_path):
    path = tmp_path / "m.safetensors"
    state = SPEC.build().state_dict()
    for name, tensor, message in (
        ("embedding", torch.zeros(9, 255), r"'backbone.embedding.weight' must be torch.float32 of shape \(9, 256\)"),
        ("missing", None, "lacks 'backbone.embedding.weight', which the model has"),
    ):
        changed = {key: value for key, value in state.items() if key != "backbone.embedding.weight"}
        if tensor is not None:
            changed["backbone.embedding.weight"] = tensor
        save_tensors(path, changed, {"spec": vars(SPEC)})
        with pytest.raises(ValueError, match=message):
            load_model(path)
        assert name


@pytest.mark.parametrize("stop", [1, 3])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_training_that_stopped_goes_on_bit_by_bit(tmp_path, digits, optimizer, stop):
    config = replace(CONFIG, optimizer=optimizer, augmentation="crop")
    memory = digits.subset(slice(40))

    def train(checkpoint, progress=None):
        return fit(SPEC.build(), digits, config, cross_entropy, None, progress, memory=memory, checkpoint=checkpoint)

    def interrupt(stage, epoch, *_):
        if epoch == stop:
            raise Interrupted

    whole = train(None).state_dict()
    path = tmp_path / "training"
    with pytest.raises(Interrupted):
        train(path, interrupt)
    assert load_tensors(path)[1]["epoch"] == stop
    epochs = []
    assert equal(train(path, lambda stage, epoch, *_: epochs.append(epoch)).state_dict(), whole)
    assert epochs == list(range(stop + 1, 5))


class Learned(nn.Module):
    """An objective with a parameter, a memory and a sense of time."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.register_buffer("seen", torch.zeros(()))
        self.began: list[int] = []

    def begin(self, epoch, epochs):
        self.began.append(epoch)

    def forward(self, logits, targets, new, old):
        self.seen += len(targets)
        return cross_entropy(self.scale * logits, targets, new) + 1e-4 * self.seen * new.square().mean()


def test_an_objective_that_learns_and_remembers_goes_on_too(tmp_path, digits):
    def stop(stage, epoch, *_):
        if epoch == 2:
            raise Interrupted

    whole, broken, rest = Learned(), Learned(), Learned()
    expected = fit(SPEC.build(), digits, CONFIG, whole).state_dict()
    with pytest.raises(Interrupted):
        fit(SPEC.build(), digits, CONFIG, broken, None, stop, checkpoint=tmp_path / "t")
    found = fit(SPEC.build(), digits, CONFIG, rest, checkpoint=tmp_path / "t").state_dict()
    assert equal(found, expected)
    assert equal(rest.state_dict(), whole.state_dict())
    assert float(whole.seen) == 4 * 160
    assert float(whole.scale.detach()) != 1.0
    assert (whole.began, broken.began, rest.began) == ([0, 1, 2, 3], [0, 1], [2, 3])


@pytest.mark.parametrize(
    "damage",
    [
        lambda tensors, found: found.update(epoch=99),
        lambda tensors, found: found.update(epoch="two"),
        lambda tensors, found: found.update(schedule={}),
        lambda tensors, found: found.pop("groups"),
        lambda tensors, found: tensors.pop("optimizer.0.exp_avg"),
        lambda tensors, found: [tensors.pop(name) for name in list(tensors) if name.startswith("optimizer.")],
        lambda tensors, found: tensors.pop("generator"),
        lambda tensors, found: tensors.update(generator=tensors["generator"][:9]),
    ],
)
def test_a_damaged_training_is_refused_by_name(tmp_path, digits, damage):
    """Each of these once trained on without a word, or ended in a traceback that named no file."""
    path = tmp_path / "training"
    config = replace(CONFIG, epochs=2)
    fit(SPEC.build(), digits, config, cross_entropy, checkpoint=path)
    tensors, found = load_tensors(path)
    damage(tensors, found)
    save_tensors(path, tensors, found)
    with pytest.raises(ValueError, match=r"training: .*Delete it to start this training again"):
        fit(SPEC.build(), digits, config, cross_entropy, checkpoint=path)


def test_a_run_belongs_to_its_images(tmp_path):
    """All images may not be replaced under a run that goes on."""
    scenario = CL2R(tasks=2)
    recipe = RECIPE.changed(epochs=1)
    run_scenario(scenario, "simplex", recipe, directory=tmp_path)
    train, test = scenario.load()
    other = Split(Images(train.images + 1.0, train.labels), test)
    with pytest.raises(ValueError, match="holds another run: its training images is"):
        run_scenario(scenario, "simplex", recipe, directory=tmp_path, data=other)
    other = Split(train, test.subset(slice(100)))
    with pytest.raises(ValueError, match="holds another run: its held-out images is"):
        run_scenario(scenario, "simplex", recipe, directory=tmp_path, data=other)


def test_a_run_that_goes_on_reports_its_whole_time(tmp_path):
    def stop(stage, epoch, *_):
        if (stage, epoch) == ("task-01", 3):
            raise Interrupted

    with pytest.raises(Interrupted):
        run_scenario(CL2R(tasks=2), "simplex", RECIPE, directory=tmp_path, progress=stop)
    spent = read_description(tmp_path / "task-01.partial")["seconds"]
    first = read_description(tmp_path / "task-00.safetensors")["seconds"]
    run = run_scenario(CL2R(tasks=2), "simplex", RECIPE, directory=tmp_path)
    assert run.seconds[0] == first > 0
    assert run.seconds[1] > spent > 0
    assert run_scenario(CL2R(tasks=2), "simplex", RECIPE, directory=tmp_path).seconds == run.seconds


def test_a_model_that_its_description_does_not_fit_is_not_saved(tmp_path):
    with pytest.raises(ValueError, match=r"m\.safetensors: 'backbone.embedding.weight' must be .*\(10, 256\)"):
        save_model(tmp_path / "m.safetensors", SPEC.build(), replace(SPEC, num_classes=11))
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_of_another_training_is_refused(tmp_path, digits):
    path = tmp_path / "training"
    fit(SPEC.build(), digits, replace(CONFIG, epochs=1), cross_entropy, checkpoint=path)
    with pytest.raises(ValueError, match="belongs to another training: its config is"):
        fit(SPEC.build(), digits, CONFIG, cross_entropy, checkpoint=path)
    with pytest.raises(ValueError, match=r"its images is \[160, 0\], here it is \[100, 0\]"):
        fit(SPEC.build(), digits.subset(slice(100)), replace(CONFIG, epochs=1), cross_entropy, checkpoint=path)


@pytest.mark.parametrize("kills", [1, pytest.param(6, marks=pytest.mark.slow)])
def test_a_killed_run_ends_with_the_weights_of_an_unbroken_one(tmp_path, kills):
    """SIGKILL at moments that differ from run to run, then to the end; every weight is compared, bit by bit."""
    command = [sys.executable, "-m", "tests.learning._worker", "scenario", str(tmp_path / "killed")]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    wanted = [f"task-{model:02d}.partial" for model in ((1,) if kills == 1 else (0, 0, 1, 1, 2, 2))]
    for name in wanted:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE)
        while process.poll() is None and not (tmp_path / "killed" / name).exists():
            time.sleep(0.005)
        time.sleep(random.random() * 0.1)
        process.send_signal(signal.SIGKILL)
        _, errors = process.communicate()
        assert process.returncode == -signal.SIGKILL, errors.decode()
    assert not (tmp_path / "killed" / "task-02.safetensors").exists()
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        run_scenario(KILLED, "hoc", RECIPE, directory=tmp_path / "whole")
    finally:
        torch.set_num_threads(threads)
    names = sorted(path.name for path in (tmp_path / "whole").iterdir() if path.name[0] != ".")
    assert len(names) == 8
    # what a killed process was writing may lie beside, hidden; nothing else
    assert names == sorted(path.name for path in (tmp_path / "killed").iterdir() if path.name[0] != ".")
    for name in names:
        if name.endswith(".safetensors"):
            one, other = (load_tensors(tmp_path / run / name)[0] for run in ("killed", "whole"))
            assert equal(one, other), name


def test_a_folder_of_another_run_is_refused(tmp_path):
    run = tmp_path / "run"
    run_scenario(CL2R(tasks=2), "simplex", RECIPE, directory=run)
    before = {path.name: path.stat().st_mtime_ns for path in run.iterdir() if path.suffix == ".safetensors"}
    run_scenario(CL2R(tasks=2), "simplex", RECIPE, directory=run)
    assert before == {path.name: path.stat().st_mtime_ns for path in run.iterdir() if path.suffix == ".safetensors"}
    with pytest.raises(ValueError, match="holds another run: its method is 'simplex', here it is 'hoc'"):
        run_scenario(CL2R(tasks=2), "hoc", RECIPE, directory=run)
    with pytest.raises(ValueError, match="holds another run: its seed is 0, here it is 1"):
        run_scenario(CL2R(tasks=2, seed=1), "simplex", RECIPE, directory=run)
    (run / "task-01.safetensors").write_bytes(b"")
    with pytest.raises(ValueError, match=r"task-01\.safetensors: cannot be read, .*Delete it"):
        run_scenario(CL2R(tasks=2), "simplex", RECIPE, directory=run)

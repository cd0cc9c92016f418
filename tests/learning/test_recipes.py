"""Settings of a training: their defaults, the ends of what is allowed, and what is refused."""

from __future__ import annotations

from dataclasses import asdict

import pytest
import torch

from learning.recipes import PRESETS, TrainingConfig, resolve_device


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epochs": 0}, "epochs must be an integer >= 1, got 0"),
        ({"epochs": 1.5}, "epochs must be an integer"),
        ({"epochs": True}, "epochs must be an integer >= 1, got True"),
        ({"weight_decay": float("inf")}, "weight_decay must be a finite number >= 0"),
        ({"learning_rate": float("inf")}, "learning_rate must be a finite number > 0"),
        ({"final_rate": -1e-9}, r"final_rate must be in \[0, 0.002\], got -1e-09"),
        ({"schedule": "batch"}, "schedule must be one of step, epoch, got 'batch'"),
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


def test_the_ends_of_what_is_allowed_and_what_is_not_said():
    ends = TrainingConfig(epochs=1, batch_size=2, seed=0, weight_decay=0.0, learning_rate=0.1, final_rate=0.1)
    assert (ends.epochs, ends.batch_size, ends.final_rate) == (1, 2, 0.1)
    assert TrainingConfig(schedule="epoch", milestones=(1,)).milestones == (1,)
    said = asdict(TrainingConfig())
    assert said == {
        "epochs": 25, "batch_size": 64, "learning_rate": 2e-3, "weight_decay": 1e-2, "seed": 0, "device": "auto",
        "optimizer": "adamw", "precision": "no", "augmentation": "none", "padding": "mean", "schedule": "step",
        "final_rate": 0.0, "milestones": (), "batches": "new",
    }  # fmt: skip
    both = PRESETS["small"].changed(epochs=3)
    assert [config.epochs for config in both] == [3, 3]
    assert [config.learning_rate for config in both] == [2e-3, 5e-4]


def test_presets_are_the_released_settings_and_ours():
    paper, small = PRESETS["paper"].update, PRESETS["small"].update
    assert (paper.epochs, paper.batch_size, paper.learning_rate, paper.weight_decay) == (70, 128, 1e-3, 5e-4)
    assert paper.optimizer == "sgd"
    assert (small.epochs, small.learning_rate, small.optimizer) == (25, 5e-4, "adamw")


@pytest.mark.parametrize(("there", "name"), [(True, "cuda"), (False, "cpu")])
def test_auto_is_a_gpu_where_there_is_one(there, name, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert resolve_device().type == resolve_device("auto").type == name
    assert resolve_device("cpu") == torch.device("cpu")
    with pytest.raises(ValueError, match="device must be 'auto' or a device of this machine, got 'gpu0': "):
        resolve_device("gpu0")

"""Models and half-finished trainings on disk: one safetensors file, its description as JSON in the file's header.

One file, so that weights and description cannot come apart, written beside its place and renamed, so that a process
killed at any moment leaves the old content or the new. Nothing is unpickled.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from learning.store import plain, write_bytes
from theory.files import reading, regular

_KEY = "stationary"


def save_tensors(path: str | os.PathLike[str], tensors: dict[str, Tensor], description: dict[str, Any]) -> None:
    """Write named tensors and a JSON description to ``path``; the file appears whole or not at all."""
    from safetensors.torch import save

    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_bytes(Path(path), save(plain, metadata={_KEY: json.dumps(description, allow_nan=False)}))


def load_tensors(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what :func:`save_tensors` wrote.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If it is truncated, or not a checkpoint of this package.
    """
    return _open(
        Path(path),
        lambda archive: {name: archive.get_tensor(name) for name in archive.keys()},  # noqa: SIM118 (no mapping)
    )


def _open(path: Path, read: Callable[[Any], dict[str, Tensor]]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    from safetensors import safe_open

    if not path.exists():
        raise FileNotFoundError(f"{path}: no such checkpoint.")
    with reading(path, "Delete it to train it again."):
        with safe_open(regular(path), framework="pt") as archive:
            metadata = archive.metadata() or {}
            tensors = read(archive)
        if _KEY not in metadata:
            raise ValueError("is a safetensors file, but not a checkpoint of this package.")
        description = json.loads(metadata[_KEY])
        if not isinstance(description, dict):
            raise ValueError("has no readable description.")
    return tensors, description


def read_description(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the description of a checkpoint without its tensors; errors as :func:`load_tensors`."""
    return _open(Path(path), lambda archive: {})[1]


def load_weights(path: str | os.PathLike[str], module: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Put tensors that came from ``path`` into ``module``; names, shapes and kinds of number must agree.

    Raises
    ------
    ValueError
        Naming the first tensor that does not fit; the module is then as it was.
    """
    check_weights(path, module, tensors)
    module.load_state_dict(tensors)


def check_weights(path: str | os.PathLike[str], module: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Raise ValueError, naming the first tensor that does not fit, unless ``tensors`` are a state of ``module``."""
    own = module.state_dict()
    unpaired = sorted(own.keys() ^ tensors.keys())
    if unpaired:
        where = "lacks" if unpaired[0] in own else "has"
        raise ValueError(
            f"{path}: the checkpoint {where} {unpaired[0]!r}, which the model {'has' if where == 'lacks' else 'lacks'}."
        )
    for name, tensor in tensors.items():
        if tensor.shape != own[name].shape or tensor.dtype != own[name].dtype:
            raise ValueError(
                f"{path}: {name!r} must be {own[name].dtype} of shape {tuple(own[name].shape)} for this model, "
                f"got {tensor.dtype} of shape {tuple(tensor.shape)}."
            )


def save_training(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    generator: torch.Generator,
    description: dict[str, Any],
) -> None:
    """Write all that a training needs to go on, bit by bit as if it had not stopped."""
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    state = optimizer.state_dict()
    for index, slots in state["state"].items():
        tensors |= {f"optimizer.{index}.{name}": torch.as_tensor(value) for name, value in slots.items()}
    tensors["generator"] = generator.get_state()
    progress = {"groups": state["param_groups"], "schedule": schedule.state_dict(), "tensors": sorted(tensors)}
    save_tensors(path, tensors, description | progress)


def load_training(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    generator: torch.Generator,
    description: dict[str, Any],
    epochs: int,
) -> dict[str, Any]:
    """Go back to what :func:`save_training` wrote and return its description.

    Raises
    ------
    ValueError
        If the file cannot be used, or belongs to a training with another value in ``description``.
    """
    with reading(path, "Delete it to start this training again."):
        tensors, found = load_tensors(path)
        for name, value in plain(description).items():
            if found.get(name) != value:
                raise ValueError(
                    f"{path}: belongs to another training: its {name} is {found.get(name)!r}, here it is {value!r}."
                )
        load_weights(path, model, {name[6:]: tensor for name, tensor in tensors.items() if name.startswith("model.")})
        slots: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith("optimizer."):
                _, index, slot = name.split(".")
                slots.setdefault(int(index), {})[slot] = tensor
        missing = [name for name in ("epoch", "seconds", "groups", "schedule", "tensors") if not found.get(name)]
        missing += sorted(set(found.get("tensors", ())) - tensors.keys())
        if missing or found["epoch"] not in range(1, epochs + 1):
            what = f"without its {missing[0]!r}" if missing else f"at epoch {found['epoch']!r}"
            raise ValueError(
                f"{path}: must hold a training of {epochs} epochs, whole, got one {what}. "
                "Delete it to start this training again."
            )
        optimizer.load_state_dict({"state": slots, "param_groups": found["groups"]})
        schedule.load_state_dict(found["schedule"])
        generator.set_state(tensors["generator"])
        return found

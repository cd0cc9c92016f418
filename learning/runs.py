"""Run a scenario with a method: train its models one after the other and keep their features on held-out images."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from learning.checkpoints import write_bytes
from learning.data import Images
from learning.datasets import Split
from learning.losses import cross_entropy
from learning.methods import Method, make_method
from learning.models import EmbeddingModel, ModelSpec, load_model, save_model
from learning.protocol import Scenario, Step
from learning.recipes import PRESETS, Recipe, TrainingConfig, resolve_device
from learning.training import extract_features, fit
from learning.updates import Update

# what is being trained, epochs done, epochs in all, then the mean of the epoch: loss, accuracy, drift, concentration
RunProgress = Callable[[str, int, int, float, float, float, float], None]
# by description, training and a digest of the images
FirstModels = dict[tuple[ModelSpec, TrainingConfig, str], EmbeddingModel]


@dataclass(frozen=True)
class ScenarioRun:
    """Held-out features of every model of a scenario.

    Attributes
    ----------
    scenario : Scenario
    method : str
    labels : ndarray of int, shape (N,)
        Of the held-out images.
    trained : ndarray of bool, shape (N,)
        Whether some model of the sequence was trained on the image's class; the others are open.
    seen : tuple of frozenset of int
        The classes that each model's images were of, the replayed ones among them.
    features : tuple of ndarray, shape (N, d), float32
        Of each model, oldest first, not normalised.
    vertices : ndarray, shape (K, d), or None
        The fixed classifier, one row a label.
    seconds : tuple of float
        Wall time of each model's training; 0 for one that was there already.
    """

    scenario: Scenario
    method: str
    labels: Int[ndarray, " n"]
    trained: Bool[ndarray, " n"]
    seen: tuple[frozenset[int], ...]
    features: tuple[Float[ndarray, "n dim"], ...]
    vertices: Float[ndarray, "k dim"] | None
    seconds: tuple[float, ...]


def run_scenario(
    scenario: Scenario,
    method: str,
    recipe: Recipe = PRESETS["small"],
    *,
    settings: Mapping[str, Any] | None = None,
    directory: str | os.PathLike[str] | None = None,
    progress: RunProgress | None = None,
    data: Split | None = None,
    first_models: FirstModels | None = None,
) -> ScenarioRun:
    """Train every model of ``scenario`` with ``method`` and return their features on the held-out images.

    Parameters
    ----------
    method : str
        A name of :data:`learning.methods.METHODS`.
    recipe : Recipe
        How the first model (and one trained elsewhere) and how the updates are trained; the seeds are the scenario's.
    settings : mapping, optional
        Of the method, where not its defaults.
    directory : path, optional
        Made if missing. Each model is written to ``task-00.safetensors``, … and its features to
        ``task-00.features.npz``, …; what is there already is not trained again, and a training that was interrupted
        goes on from its last epoch. ``trained.json`` lists the classes that a task trained on; the others are open.
    progress : callable, optional
        Called after every epoch.
    data : Split, optional
        What ``scenario.load()`` returns, where it is at hand.
    first_models : dict, optional
        Models that were trained from scratch, to be shared by several runs: looked up and added to.

    Raises
    ------
    ValueError
        Before training starts, for an unknown name, a protocol that does not fit the data, a device that is not there,
        or a directory that holds another run.
    """
    how = make_method(method, **(settings or {}))
    for config in recipe:
        resolve_device(config.device)
    train, test = scenario.load() if data is None else data
    steps = scenario.steps(train.labels)
    for task, step in enumerate(steps):  # refuses what does not fit, before anything is trained
        _spec(scenario, how, train, step, bool(task)).build()
        _check_sizes(task, step, how, recipe)
    folder = None if directory is None else _open(Path(directory), scenario, method, dict(settings or {}), recipe)

    sequence = _Sequence(scenario, how, recipe, train, folder, progress, {} if first_models is None else first_models)
    features, seconds, seen = [], [], []
    for task, step in enumerate(steps):
        before = sequence.seconds
        model = sequence.advance(task, step)
        seconds.append(sequence.seconds - before)
        seen.append(frozenset(sequence.known))
        features.append(extract_features(model, test))
        if folder is not None:
            _save_features(folder / f"task-{task:02d}.features.npz", features[-1], test.labels.numpy())
    trained = torch.cat([train.labels[step.images] for step in steps])
    if folder is not None:
        write_bytes(folder / "trained.json", json.dumps(sorted(set(trained.tolist()))).encode())
    return ScenarioRun(
        scenario,
        method,
        test.labels.numpy(),
        torch.isin(test.labels, trained).numpy(),
        tuple(seen),
        tuple(features),
        model.directions.cpu().numpy() if how.fixed_classifier and scenario.fixed_classifier else None,
        tuple(seconds),
    )


class _Sequence:
    """The models so far: the last one, and the classes that it was trained on."""

    def __init__(
        self,
        scenario: Scenario,
        method: Method,
        recipe: Recipe,
        data: Images,
        folder: Path | None,
        progress: RunProgress | None,
        first_models: FirstModels,
    ) -> None:
        self.scenario, self.method, self.recipe, self.data = scenario, method, recipe, data
        self.folder, self.progress, self.first_models = folder, progress, first_models
        self.seconds = 0.0
        self.model: EmbeddingModel | None = None
        self.known: set[int] = set()

    def advance(self, task: int, step: Step) -> EmbeddingModel:
        """Train the model of this task, or load it, and make it the last one."""
        images = self.data.subset(step.images)
        memory = self.data.subset(step.memory) if self.method.replay and len(step.memory) else None
        seen = images if memory is None else memory.joined(images)
        origin = None
        if self.model is not None or step.start == "elsewhere":
            reference, known = self.model, self.known
            start = None if step.start == "scratch" else self.model
            if step.start == "elsewhere":
                elsewhere = self.data.subset(step.elsewhere)
                start = self._trained(f"task-{task:02d}-elsewhere", step, elsewhere, None, seed=100 + task)
                if step.held_to == "start":
                    reference, known = start, set(elsewhere.labels.tolist())
            assert reference is not None
            origin = _Origin(start, reference, frozenset(known), memory)
        self.model = self._trained(f"task-{task:02d}", step, images, origin, seed=task)
        self.known = set(seen.labels.tolist())
        return self.model

    def _trained(self, name: str, step: Step, images: Images, origin: _Origin | None, seed: int) -> EmbeddingModel:
        spec = _spec(self.scenario, self.method, self.data, step, origin is not None)
        path = None if self.folder is None else self.folder / f"{name}.safetensors"
        if path is not None and path.exists():
            return load_model(path, spec).to(resolve_device(self.recipe.first.device))
        partial = None if self.folder is None else self.folder / f"{name}.partial"
        seed += 1000 * self.scenario.seed
        report = None if self.progress is None else _named(self.progress, name)
        config = replace(self.recipe.first, seed=seed)
        key = spec, config, _digest(images)
        if origin is None and key in self.first_models:
            model = self.first_models[key]
            if path is not None:
                save_model(path, model, spec)
            return model
        began = time.perf_counter()
        model = spec.build(seed)
        if origin is None:
            fit(model, images, config, cross_entropy, progress=report, checkpoint=partial)
            self.first_models[key] = model
        else:
            weights = {} if origin.start is None else origin.start.state_dict()
            model.load_state_dict({name: weights.get(name, value) for name, value in model.state_dict().items()})
            self._update(model, images, origin, replace(self.recipe.update, seed=seed), report, partial)
        self.seconds += time.perf_counter() - began
        if path is not None and partial is not None:
            save_model(path, model, spec)
            partial.unlink(missing_ok=True)
        return model

    def _update(
        self,
        model: EmbeddingModel,
        images: Images,
        origin: _Origin,
        config: TrainingConfig,
        report: Callable[..., None] | None,
        partial: Path | None,
    ) -> None:
        device = resolve_device(config.device)
        old = copy.deepcopy(origin.reference).to(device).eval().requires_grad_(False)
        model.to(device)
        known = torch.zeros(self.scenario.spec(self.data).num_classes, dtype=torch.bool, device=device)
        known[list(origin.known)] = True
        seen = images if origin.memory is None else origin.memory.joined(images)
        objective = self.method.objective(Update(model, old, seen, known))
        fit(
            model,
            images,
            config,
            objective,
            old if self.method.old_features else None,
            report,
            memory=origin.memory,
            checkpoint=partial,
        )


@dataclass(frozen=True)
class _Origin:
    """Where an update comes from: the weights to start from, if any, the model to be held to, what that one knows."""

    start: EmbeddingModel | None
    reference: EmbeddingModel
    known: frozenset[int]
    memory: Images | None


def _spec(scenario: Scenario, method: Method, data: Images, step: Step, update: bool) -> ModelSpec:
    spec = scenario.spec(data, method.fixed_classifier, method.adapter and update)
    head = spec.dim if spec.dim is not None and step.dim not in (0, spec.dim) else 0
    return replace(spec, backbone=step.backbone, dim=step.dim or spec.dim, head=head)


def _digest(images: Images) -> str:
    digest = hashlib.sha256(images.labels.numpy().tobytes())
    digest.update(images.images.numpy().tobytes())
    return digest.hexdigest()


def _check_sizes(task: int, step: Step, method: Method, recipe: Recipe) -> None:
    """Every training needs a batch of new images, half a batch where old ones fill the other half."""
    first, later = recipe.first.batch_size, recipe.update.batch_size
    scratch = not task and step.start == "scratch"
    needed = first if scratch else later // 2 if method.replay and len(step.memory) else later
    for images, least in ((step.images, needed), (step.elsewhere, first if len(step.elsewhere) else 0)):
        if len(images) < least:
            raise ValueError(f"task {task} must train on at least {least} new images, a batch, got {len(images)}.")


def _named(progress: RunProgress, name: str) -> Callable[..., None]:
    return lambda *epoch: progress(name, *epoch)


def _open(folder: Path, scenario: Scenario, method: str, settings: dict[str, Any], recipe: Recipe) -> Path:
    """Make the folder, or find that what it holds is this run."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder}: must be a folder, got a file.")
    description = {
        "scenario": type(scenario).__name__,
        **asdict(scenario),
        "method": method,
        "settings": settings,
        "first": asdict(recipe.first),
        "update": asdict(recipe.update),
    }
    text = json.dumps(description, indent=2) + "\n"
    path = folder / "run.json"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_bytes(path, text.encode())
    try:
        found = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path}: is not the description of a run ({error}).") from None
    for name, value in json.loads(text).items():
        if found.get(name) != value:
            raise ValueError(f"{folder}: holds another run: its {name} is {found.get(name)!r}, here it is {value!r}.")
    return folder


def _save_features(path: Path, features: ndarray, labels: ndarray) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, features=features, labels=labels)
    write_bytes(path, buffer.getvalue())

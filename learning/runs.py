"""Run a scenario with a method: train its models one after the other and keep their features on held-out images."""

from __future__ import annotations

import copy
import json
import os
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from learning.backbones import backbone_name
from learning.checkpoints import load_tensors, load_weights, read_description
from learning.data import Data, joined
from learning.datasets import Split, load_data
from learning.losses import cross_entropy
from learning.methods import Method, make_method
from learning.models import EmbeddingModel, ModelSpec, load_model, save_model
from learning.progress import Progress
from learning.protocol import Scenario, Step
from learning.recipes import PRESETS, Recipe, TrainingConfig, resolve_device
from learning.store import alone, claim, write_arrays, write_bytes
from learning.training import extract_features, fit
from learning.updates import Update

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
        Labels of the held-out images.
    trained : ndarray of bool, shape (N,)
        Whether some model of the sequence was trained on the image's class; the others are open.
    seen : tuple of frozenset of int
        The classes of each model's training images, including replayed ones.
    features : tuple of ndarray, shape (N, d), float32
        Features by each model, oldest first, not normalised.
    vertices : ndarray, shape (K, d), or None
        The fixed classifier that all models share, one row per label; None where it is learned, or where a model of
        another dimension has one of its own.
    seconds : tuple of float
        Wall time of each model's training, including interrupted attempts up to their last whole epoch; 0 for a model
        that another run trained.
    names : tuple of str
        Names of the classes, if they have any.
    """

    scenario: Scenario
    method: str
    labels: Int[ndarray, " n"]
    trained: Bool[ndarray, " n"]
    seen: tuple[frozenset[int], ...]
    features: tuple[Float[ndarray, "n dim"], ...]
    vertices: Float[ndarray, "k dim"] | None
    seconds: tuple[float, ...]
    names: tuple[str, ...] = ()


def run_scenario(
    scenario: Scenario,
    method: str | Method,
    recipe: Recipe = PRESETS["small"],
    *,
    settings: Mapping[str, Any] | None = None,
    directory: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    data: Split | tuple[Any, Any] | None = None,
    first_models: FirstModels | None = None,
) -> ScenarioRun:
    """Train every model of ``scenario`` with ``method`` and return their features on the held-out images.

    Parameters
    ----------
    method : str or Method
        A name of :data:`learning.methods.METHODS`, or a method of your own.
    recipe : Recipe
        How the first model (and one trained elsewhere) and how the updates are trained; the seeds are the scenario's.
    settings : mapping, optional
        Settings of the method that differ from its defaults.
    directory : path, optional
        Made if missing. Each model is written to ``task-00.safetensors``, … and its features to
        ``task-00.features.npz``, …, with the names of the classes as labels where they have names; what is there
        already is not trained again, and a training that was interrupted goes on from its last epoch. ``trained.json``
        lists the classes that a task trained on; the others are open.
    progress : Progress, optional
        Called after every epoch with the model's name, epochs done and in all, and the means of the epoch.
    data : pair of data sets, optional
        Replacement for the result of ``scenario.load()``: images to train on and held-out ones, in memory
        (:class:`~learning.data.Images`) or streamed (any :class:`torch.utils.data.Dataset`).
    first_models : dict, optional
        Models that were trained from scratch, which several runs share: it is searched and extended.

    Raises
    ------
    ValueError
        Before training starts, for an unknown name, a protocol that does not fit the data, a device that is not there,
        or a directory that holds another run, or into which another training is writing.
    """
    if isinstance(method, Method):
        if settings:
            raise ValueError("settings must be left out with a method that is an object: it has its own.")
        how, method = method, method.name
    else:
        how = make_method(method, **(settings or {}))
    for config in recipe:
        resolve_device(config.device)
    train, test = scenario.load() if data is None else load_data(data)
    if train.shape != test.shape:
        raise ValueError(f"images to train on and held-out ones must have one shape, got {train.shape}, {test.shape}.")
    steps = scenario.steps(train.labels)
    for task, step in enumerate(steps):  # refuses what does not fit, before anything is trained
        _check_reads(_spec(scenario, how, train, step, bool(task), task), train)
        _check_sizes(task, step, how, recipe)
        if step.start == "checkpoint" and not Path(step.checkpoint).is_file():
            raise ValueError(
                f"task {task} begins with a model that is brought; checkpoints (--checkpoint) must give its file, "
                f"got {step.checkpoint!r}."
            )
    with ExitStack() as held:
        folder = None
        if directory is not None:
            folder = claim(Path(directory), _description(scenario, method, settings, recipe, train, test))
            held.enter_context(alone(folder))

        sequence = _Sequence(
            scenario, how, recipe, train, folder, progress, {} if first_models is None else first_models
        )
        features, seconds, seen = [], [], []
        for task, step in enumerate(steps):
            before = sequence.seconds
            model = sequence.advance(task, step)
            seconds.append(sequence.seconds - before)
            seen.append(frozenset(sequence.known))
            features.append(extract_features(model, test))
        # further dimensions that a method adds to its updates are 0 for models that do not have them: a query's ranking
        # of such a gallery is then that of its first dimensions
        width = max(found.shape[1] for found in features)
        features = [np.pad(found, ((0, 0), (0, width - found.shape[1]))) for found in features]
        named = np.array(test.names)[test.labels.numpy()] if test.names else test.labels.numpy()
        if folder is not None:
            for task, found in enumerate(features):
                write_arrays(folder / f"task-{task:02d}.features.npz", {"features": found, "labels": named})
        trained = torch.cat([train.labels[step.images] for step in steps])
        fixed = how.fixed_classifier and scenario.fixed_classifier and not any(s.learned_classifier for s in steps)
        # of a model that reaches the old space through a head, the classifier lies in another space
        shared = fixed and model.directions.shape[1] == features[-1].shape[1]
        if folder is not None:
            classes = sorted(set(trained.tolist()))
            write_bytes(
                folder / "trained.json",
                json.dumps([train.names[c] for c in classes] if test.names else classes).encode(),
            )
        return ScenarioRun(
            scenario,
            method,
            test.labels.numpy(),
            torch.isin(test.labels, trained).numpy(),
            tuple(seen),
            tuple(features),
            model.directions.cpu().numpy() if shared else None,
            tuple(seconds),
            test.names,
        )


class _Sequence:
    """The models so far: the last one, and the classes that it was trained on."""

    def __init__(
        self,
        scenario: Scenario,
        method: Method,
        recipe: Recipe,
        data: Data,
        folder: Path | None,
        progress: Progress | None,
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
        origin = None
        if self.model is not None or step.start in ("elsewhere", "checkpoint"):
            reference, known = self.model, self.known
            start = None if step.start == "scratch" else self.model
            if step.start == "elsewhere":
                elsewhere = self.data.subset(step.elsewhere)
                start = self._trained(f"task-{task:02d}-elsewhere", step, elsewhere, None, seed=100 + task)
                if step.held_to == "start":
                    reference, known = start, set(elsewhere.labels.tolist())
            if step.start == "checkpoint":
                start = self._brought(step, task)
                if step.held_to == "start":
                    reference, known = start, set()
            assert reference is not None
            origin = _Origin(start, reference, frozenset(known), memory)
        self.model = self._trained(f"task-{task:02d}", step, images, origin, seed=task, updates=task)
        self.known = {*images.labels.tolist(), *([] if memory is None else memory.labels.tolist())}
        return self.model

    def _brought(self, step: Step, task: int) -> EmbeddingModel:
        """The backbone of a checkpoint, with the classifier that a model of this step has."""
        model = _spec(self.scenario, self.method, self.data, step, False, 0).build(1000 * self.scenario.seed + task)
        tensors, _ = load_tensors(step.checkpoint)
        own = {name[9:]: tensor for name, tensor in tensors.items() if name.startswith("backbone.")}
        load_weights(step.checkpoint, model.backbone, own)
        return model.eval()

    def _trained(
        self, name: str, step: Step, images: Data, origin: _Origin | None, seed: int, updates: int = 0
    ) -> EmbeddingModel:
        spec = _spec(self.scenario, self.method, self.data, step, origin is not None, updates)
        path = None if self.folder is None else self.folder / f"{name}.safetensors"
        if path is not None and path.exists():
            self.seconds += float(read_description(path).get("seconds", 0.0))
            return load_model(path, spec).to(resolve_device(self.recipe.first.device))
        partial = None if self.folder is None else self.folder / f"{name}.partial"
        seed += 1000 * self.scenario.seed
        config = replace(self.recipe.first, seed=seed)
        key = spec, config, images.digest() if origin is None else ""
        if origin is None and key in self.first_models:
            model = self.first_models[key]
            if path is not None:
                save_model(path, model, spec)
            return model
        began = time.perf_counter()
        model = spec.build(seed)
        if origin is None:
            fit(model, images, config, cross_entropy, None, self.progress, checkpoint=partial, stage=name)
            self.first_models[key] = model
        else:
            if origin.start is not None:
                _start_from(model, origin.start)
            self._update(model, step, images, origin, replace(self.recipe.update, seed=seed), name, partial)
        seconds = time.perf_counter() - began
        if path is not None and partial is not None:
            seconds = max(seconds, float(read_description(partial)["seconds"]))
            save_model(path, model, spec, seconds=seconds)
            partial.unlink(missing_ok=True)
        self.seconds += seconds
        return model

    def _update(
        self,
        model: EmbeddingModel,
        step: Step,
        images: Data,
        origin: _Origin,
        config: TrainingConfig,
        name: str,
        partial: Path | None,
    ) -> None:
        device = resolve_device(config.device)
        old = copy.deepcopy(origin.reference).to(device).eval().requires_grad_(False)
        model.to(device)
        known = torch.zeros(self.scenario.spec(self.data).num_classes, dtype=torch.bool, device=device)
        known[list(origin.known)] = True
        seen = images if origin.memory is None else joined(origin.memory, images)

        def unconstrained() -> EmbeddingModel:
            free = replace(_spec(self.scenario, self.method, self.data, step, False, 0), classifier="learned")
            later = replace(self.recipe.first, seed=config.seed + 500, epochs=config.epochs)
            return fit(free.build(later.seed), seen, later, cross_entropy)

        # a method may draw random parameters of its own: from the seed, and the global generator stays as it is
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            update = Update(model, old, seen, known, unconstrained)
            objective = self.method.objective(update)
        reference = None
        if self.method.old_features:
            reference = old if self.method.reference is None else self.method.reference(update)
        fit(
            model,
            images,
            config,
            objective,
            reference,
            self.progress,
            memory=origin.memory,
            checkpoint=partial,
            stage=name,
        )


@dataclass(frozen=True)
class _Origin:
    """Where an update comes from: the weights to start from, if any, the model to be held to, what that one knows."""

    start: EmbeddingModel | None
    reference: EmbeddingModel
    known: frozenset[int]
    memory: Data | None


def _spec(scenario: Scenario, method: Method, data: Data, step: Step, update: bool, updates: int) -> ModelSpec:
    """What the model of a step is, after so many updates."""
    fixed = method.fixed_classifier and not step.learned_classifier
    spec = scenario.spec(data, fixed, method.adapter if update else "")
    assert spec.dim is not None
    head = spec.dim if step.dim not in (0, spec.dim) else 0
    embedding = method.embedding or spec.classifier != "learned"
    return replace(
        spec,
        backbone=backbone_name(step.backbone, data.shape),
        dim=(step.dim or spec.dim) + method.extra_dims * updates,
        head=head,
        embedding=embedding,
        shift=method.shift,
    )


def _start_from(model: EmbeddingModel, start: EmbeddingModel) -> None:
    """Take over the weights of ``start``; where the model has more dimensions than that, those of the first ones."""
    weights, own = start.state_dict(), model.state_dict()
    with torch.no_grad():
        for name, value in own.items():
            found = weights.get(name)
            if found is not None and found.shape != value.shape and not name.startswith("backbone.trunk."):
                value[tuple(slice(size) for size in found.shape)] = found
            elif found is not None:
                value.copy_(found)


def _check_reads(spec: ModelSpec, data: Data) -> None:
    """Refuse a network that is made for larger images, before any is trained."""
    model = spec.build().eval()
    try:
        with torch.no_grad():
            model.features(torch.zeros(1, *data.shape))
    except RuntimeError as error:
        raise ValueError(
            f"backbone must be one that reads images of shape {data.shape}, got {spec.backbone!r} ({error}). "
            "Give larger images, or for frozen features the backbone 'head' or 'mlp-head'."
        ) from error


def _check_sizes(task: int, step: Step, method: Method, recipe: Recipe) -> None:
    """Every training needs a batch of new images, half a batch where old ones fill the other half."""
    first, later = recipe.first.batch_size, recipe.update.batch_size
    scratch = not task and step.start == "scratch"
    halves = not scratch and method.replay and len(step.memory) > 0
    trainings = [(step.images, first if scratch else later, 1 + halves)]
    if len(step.elsewhere):
        trainings.append((step.elsewhere, first, 1))
    for images, size, parts in trainings:
        if len(images) < size // parts:
            raise ValueError(
                f"batch_size must be <= {parts * len(images)} for task {task}, which has {len(images)} new images to "
                f"train on{', half a batch' if parts == 2 else ''}, got {size}."
            )


def _description(
    scenario: Scenario, method: str, settings: Mapping[str, Any] | None, recipe: Recipe, train: Data, test: Data
) -> dict[str, Any]:
    """All that a run depends on: what its folder is checked against before anything is trained on."""
    return {
        **scenario.description(),
        "method": method,
        "settings": dict(settings or {}),
        "first": asdict(recipe.first),
        "update": asdict(recipe.update),
        "training images": train.digest(),
        "held-out images": test.digest(),
    }

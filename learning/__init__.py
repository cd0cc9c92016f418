"""Models that are meant to obey the theory: fixed classifiers, the HOC loss and its baselines, compact training.

Importing this package imports nothing; its names load torch when they are asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from theory.extras import explained

if TYPE_CHECKING:
    from learning.backbones import BACKBONES, Backbone, SmallCNN, register_backbone
    from learning.classifier import CubeClassifier, FixedClassifier, OrthoplexClassifier, SimplexClassifier
    from learning.data import Images, Streamed, augment, load_digits
    from learning.datasets import DATASETS, Split, load_data
    from learning.lifelong import CL2R, IAMCL2R, PROTOCOLS, CoReS
    from learning.losses import HOCLoss, contrastive_loss, cross_entropy, first_moment_loss
    from learning.methods import METHODS, Method, make_method
    from learning.models import EmbeddingModel, ModelSpec, load_model, save_model
    from learning.progress import EpochMeans, Progress
    from learning.protocol import Scenario
    from learning.recipes import PRESETS, Recipe, TrainingConfig, resolve_device
    from learning.runs import ScenarioRun, run_scenario
    from learning.scenarios import ExtendedClasses, ExtendedData
    from learning.store import Store
    from learning.training import extract_features, fit, update
    from learning.updates import Update

__all__ = [
    "BACKBONES",
    "CL2R",
    "DATASETS",
    "IAMCL2R",
    "METHODS",
    "PRESETS",
    "PROTOCOLS",
    "Backbone",
    "CoReS",
    "CubeClassifier",
    "EmbeddingModel",
    "EpochMeans",
    "ExtendedClasses",
    "ExtendedData",
    "FixedClassifier",
    "HOCLoss",
    "Images",
    "Method",
    "ModelSpec",
    "OrthoplexClassifier",
    "Progress",
    "Recipe",
    "Scenario",
    "ScenarioRun",
    "SimplexClassifier",
    "SmallCNN",
    "Split",
    "Store",
    "Streamed",
    "TrainingConfig",
    "Update",
    "augment",
    "contrastive_loss",
    "cross_entropy",
    "extract_features",
    "first_moment_loss",
    "fit",
    "load_data",
    "load_digits",
    "load_model",
    "make_method",
    "register_backbone",
    "resolve_device",
    "run_scenario",
    "save_model",
    "update",
]

_WHERE = {
    **dict.fromkeys(("BACKBONES", "Backbone", "SmallCNN", "register_backbone"), "backbones"),
    **dict.fromkeys(("CubeClassifier", "FixedClassifier", "OrthoplexClassifier", "SimplexClassifier"), "classifier"),
    **dict.fromkeys(("Images", "Streamed", "augment", "load_digits"), "data"),
    **dict.fromkeys(("DATASETS", "Split", "load_data"), "datasets"),
    **dict.fromkeys(("CL2R", "CoReS", "IAMCL2R", "PROTOCOLS"), "lifelong"),
    **dict.fromkeys(("HOCLoss", "contrastive_loss", "cross_entropy", "first_moment_loss"), "losses"),
    **dict.fromkeys(("METHODS", "Method", "make_method"), "methods"),
    **dict.fromkeys(("EmbeddingModel", "ModelSpec", "load_model", "save_model"), "models"),
    **dict.fromkeys(("EpochMeans", "Progress"), "progress"),
    **dict.fromkeys(("Scenario",), "protocol"),
    **dict.fromkeys(("PRESETS", "Recipe", "TrainingConfig", "resolve_device"), "recipes"),
    **dict.fromkeys(("ScenarioRun", "run_scenario"), "runs"),
    **dict.fromkeys(("ExtendedClasses", "ExtendedData"), "scenarios"),
    **dict.fromkeys(("Store",), "store"),
    **dict.fromkeys(("extract_features", "fit", "update"), "training"),
    **dict.fromkeys(("Update",), "updates"),
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'learning' has no attribute {name!r}")
    try:
        return getattr(import_module(f"learning.{_WHERE[name]}"), name)
    except ImportError as error:
        raise explained(error, "learning") or error from None


def __dir__() -> list[str]:
    return sorted(__all__)

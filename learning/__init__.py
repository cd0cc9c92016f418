"""Models that are meant to obey the theory: fixed classifiers, the HOC loss and its baselines, compact training.

Importing this package imports torch.
"""

from learning.backbones import BACKBONES, Backbone, SmallCNN
from learning.classifier import CubeClassifier, FixedClassifier, OrthoplexClassifier, SimplexClassifier
from learning.data import Images, augment, load_digits
from learning.datasets import DATASETS, Split, load_data
from learning.lifelong import CL2R, IAMCL2R, PROTOCOLS
from learning.losses import HOCLoss, contrastive_loss, cross_entropy, first_moment_loss
from learning.methods import METHODS, Method, make_method
from learning.models import EmbeddingModel, ModelSpec, load_model, save_model
from learning.protocol import Scenario
from learning.recipes import PRESETS, Recipe, TrainingConfig, resolve_device
from learning.runs import ScenarioRun, run_scenario
from learning.scenarios import ExtendedClasses, ExtendedData, TrainedModels, train_extended_data
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
    "CubeClassifier",
    "EmbeddingModel",
    "ExtendedClasses",
    "ExtendedData",
    "FixedClassifier",
    "HOCLoss",
    "Images",
    "Method",
    "ModelSpec",
    "OrthoplexClassifier",
    "Recipe",
    "Scenario",
    "ScenarioRun",
    "SimplexClassifier",
    "SmallCNN",
    "Split",
    "TrainedModels",
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
    "resolve_device",
    "run_scenario",
    "save_model",
    "train_extended_data",
    "update",
]

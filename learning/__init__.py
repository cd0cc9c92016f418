"""Models that are meant to obey the theory: fixed simplex classifiers, the HOC loss, compact training.

Importing this package imports torch.
"""

from learning.backbones import SmallCNN
from learning.classifier import SimplexClassifier
from learning.data import Images, load_digits
from learning.losses import HOCLoss, contrastive_loss, cross_entropy, first_moment_loss
from learning.scenarios import ExtendedData, TrainedModels, train_extended_data
from learning.training import EmbeddingModel, TrainingConfig, extract_features, fit, resolve_device, update

__all__ = [
    "EmbeddingModel",
    "ExtendedData",
    "HOCLoss",
    "Images",
    "SimplexClassifier",
    "SmallCNN",
    "TrainedModels",
    "TrainingConfig",
    "contrastive_loss",
    "cross_entropy",
    "extract_features",
    "first_moment_loss",
    "fit",
    "load_digits",
    "resolve_device",
    "train_extended_data",
    "update",
]

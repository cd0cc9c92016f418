"""Linear heads on all-MiniLM-L6-v2, tuned to Debian's sections: as products do, and as the paper asks.

- ``head-ce``: a square linear layer on the frozen features, cross-entropy with a learned classifier. Nothing ties it to
  the features before it.
- ``head-hoc``, ``head-first-moment``: with the HOC loss to the frozen features, and with the first-moment loss.
- ``simplex-old``: features for the vertices of a fixed simplex, learned from a quarter of the texts.
- ``simplex-new``: its update with all texts, HOC loss to ``simplex-old``: the paper's setting.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from learning import HOCLoss, SimplexClassifier, first_moment_loss
from verification import FeatureSet

ENCODER, TRAINING, COLLECTIONS = "minilm-l6", "training", ("sections", "names", "sources")
EPOCHS, BATCH, RATE = 20, 256, 1e-3
FIRST_MOMENT_WEIGHT = 10.0
# of the unit features, before the classifier
SCALE = 16.0
Loss = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Texts:
    """Unit features and class numbers of the training texts."""

    features: Tensor
    targets: Tensor

    @property
    def num_classes(self) -> int:
        return int(self.targets.max()) + 1

    def some(self, rows: Tensor) -> Texts:
        return Texts(self.features[rows], self.targets[rows])


def tune(cache: Path) -> None:
    """Train every head and write its features of each collection."""
    folder = cache / "features"
    names = ("head-ce", "head-hoc", "head-first-moment", "simplex-old", "simplex-new")
    if all((folder / f"{collection}.{name}.npz").exists() for name in names for collection in COLLECTIONS):
        return
    torch.set_num_threads(1)
    heads = dict(zip(names, _train(FeatureSet.load(str(folder / f"{TRAINING}.{ENCODER}.npz"))), strict=True))
    for collection in COLLECTIONS:
        known = FeatureSet.load(str(folder / f"{collection}.{ENCODER}.npz"))
        unit = torch.as_tensor(known.unit, dtype=torch.float32)
        for name, head in heads.items():
            with torch.no_grad():
                tuned = FeatureSet(head(unit).numpy(), known.labels, ids=known.ids, groups=known.groups)
            tuned.save(folder / f"{collection}.{name}.npz")


def _train(known: FeatureSet) -> list[nn.Module]:
    # of the first classifier; those after it follow the seed of the training before
    torch.manual_seed(0)
    texts = Texts(torch.as_tensor(known.unit, dtype=torch.float32), torch.as_tensor(known.codes))
    dim, count = known.dim, texts.num_classes
    losses = objectives(texts)
    square = [_fit(texts, _identity(dim), nn.Linear(dim, count), loss) for loss in losses.values()]
    simplex = SimplexClassifier(count)
    quarter = texts.some(torch.arange(len(texts.targets))[::4])
    old = _fit(quarter, nn.Linear(dim, count - 1), simplex, losses["ce"])
    new = _fit(texts, nn.Linear(dim, count - 1), simplex, losses["hoc"], old)
    return [*square, old, new]


def objectives(texts: Texts) -> dict[str, Loss]:
    """The three losses, each a function of features, targets, the old model's features and logits.

    ``texts`` are the old model's, whose class means the first-moment loss asks for.
    """
    means = torch.stack([texts.features[texts.targets == c].mean(dim=0) for c in range(texts.num_classes)])
    cross_entropy = nn.CrossEntropyLoss()

    def alone(features: Tensor, targets: Tensor, given: Tensor, logits: Tensor) -> Tensor:
        return cross_entropy(logits, targets)

    def compatible(features: Tensor, targets: Tensor, given: Tensor, logits: Tensor) -> Tensor:
        return HOCLoss()(logits, targets, features, given)

    def first_moment(features: Tensor, targets: Tensor, given: Tensor, logits: Tensor) -> Tensor:
        return cross_entropy(logits, targets) + FIRST_MOMENT_WEIGHT * first_moment_loss(features, targets, means)

    return {"ce": alone, "hoc": compatible, "first-moment": first_moment}


def _identity(dim: int) -> nn.Module:
    layer = nn.Linear(dim, dim)
    with torch.no_grad():
        layer.weight.copy_(torch.eye(dim))
        layer.bias.zero_()
    return layer


def _fit(
    texts: Texts,
    head: nn.Module,
    classifier: nn.Module,
    loss: Loss,
    old: nn.Module | None = None,
) -> nn.Module:
    """Train a head, of the encoder's features or, where there is an ``old`` one, with its features as the old ones."""
    torch.manual_seed(0)
    order = np.random.default_rng(0)
    optimiser = torch.optim.Adam([*head.parameters(), *classifier.parameters()], lr=RATE)
    for _ in range(EPOCHS):
        for rows in torch.as_tensor(order.permutation(len(texts.targets))).split(BATCH):
            given = texts.features[rows]
            with torch.no_grad():
                before = given if old is None else old(given)
            features = head(given)
            value = loss(features, texts.targets[rows], before, classifier(nn.functional.normalize(features) * SCALE))
            optimiser.zero_grad()
            value.backward()
            optimiser.step()
    return head.eval()

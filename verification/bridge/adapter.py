r"""The learned adapter: an affine map and one hidden layer beside it, trained to point where the other model does.

:math:`y = x A + b + \max(x W + c, 0) V`, trained on mean(1 − cos(y, v)) over samples, from the orthogonal map
with V = 0. One tenth of the samples is kept apart, and the weights that did best on it are taken.

References
----------
Iscen et al., *Memory-efficient incremental learning through feature adaptation*, 2020 (the adapter and its loss, there
with a classifier's loss beside it); Ramanujan et al., *Forward compatible training*, 2022 (there with side information
that the old model stores of each item, which features alone do not have).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from numpy import ndarray

if TYPE_CHECKING:
    import torch

HIDDEN = 64
BATCH = 256
# passes over the data, and the rows that all of them together are not to exceed
EPOCHS, MOST_ROWS = 30, 200_000
LEARNING_RATE = 1e-3
WEIGHT_DECAY = 1e-2


def train_adapter(
    start: dict[str, ndarray],
    source: Float[ndarray, "n d_in"],
    target: Float[ndarray, "n d_out"],
    rng: np.random.Generator,
) -> dict[str, ndarray]:
    """Train from an affine map; the arrays A, b, W, c and V.

    Parameters
    ----------
    start : dict
        A and b.
    source, target : ndarray
        Unit rows of the same samples.
    rng : numpy.random.Generator
    """
    import torch

    d_in, d_out = start["A"].shape
    arrays = {
        **start,
        # He's initialisation for rows of unit length: each hidden unit of unit variance over √d coordinates
        "W": rng.standard_normal((d_in, HIDDEN)) * np.sqrt(2.0 / d_in),
        "c": np.zeros(HIDDEN),
        "V": np.zeros((HIDDEN, d_out)),
    }
    weights = {name: torch.tensor(array, dtype=torch.float32, requires_grad=True) for name, array in arrays.items()}

    def predict(u: torch.Tensor, training: bool) -> torch.Tensor:
        return u @ weights["A"] + weights["b"] + torch.relu(u @ weights["W"] + weights["c"]) @ weights["V"]

    def found() -> dict[str, ndarray]:
        return {name: weight.detach().numpy().astype(np.float64) for name, weight in weights.items()}

    return descend(list(weights.values()), predict, found, source, target, rng)


def descend(
    parameters: Sequence[torch.Tensor],
    predict: Callable[[torch.Tensor, bool], torch.Tensor],
    arrays: Callable[[], dict[str, ndarray]],
    source: Float[ndarray, "n d_in"],
    target: Float[ndarray, "n d_out"],
    rng: np.random.Generator,
) -> dict[str, ndarray]:
    """Minimise mean(1 − cos(y, v)) by AdamW, and return what did best on a tenth of the samples that is kept apart.

    On one thread: products this small gain nothing from more, and sums have one order, so one seed gives one map.

    Parameters
    ----------
    parameters : sequence of torch.Tensor
        What is trained.
    predict : callable
        Rows mapped, and whether this is for training.
    arrays : callable
        Returns copies of what the parameters stand for.
    source, target : ndarray
        Unit rows of the same samples.
    rng : numpy.random.Generator
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _descend(parameters, predict, arrays, (source, target), rng)
    finally:
        torch.set_num_threads(threads)


def _descend(
    parameters: Sequence[torch.Tensor],
    predict: Callable[[torch.Tensor, bool], torch.Tensor],
    arrays: Callable[[], dict[str, ndarray]],
    pair: tuple[ndarray, ndarray],
    rng: np.random.Generator,
) -> dict[str, ndarray]:
    import torch
    from torch.nn.functional import cosine_similarity

    x, y = (torch.from_numpy(rows.astype(np.float32)) for rows in pair)

    def loss(rows: torch.Tensor, training: bool) -> torch.Tensor:
        return (1.0 - cosine_similarity(predict(x[rows], training), y[rows])).mean()

    order = torch.from_numpy(rng.permutation(len(x)))
    apart, rest = order[: max(1, len(x) // 10)], order[max(1, len(x) // 10) :]
    epochs = max(1, min(EPOCHS, MOST_ROWS // max(len(rest), 1)))
    optimizer = torch.optim.AdamW(parameters, LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    best, least = arrays(), np.inf
    for epoch in range(epochs + 1):
        with torch.no_grad():
            if (value := float(loss(apart, False))) < least:
                least, best = value, arrays()
        if epoch == epochs:
            break
        for rows in torch.split(rest[torch.from_numpy(rng.permutation(len(rest)))], BATCH):
            optimizer.zero_grad()
            loss(rows, True).backward()
            optimizer.step()
        schedule.step()
    return best

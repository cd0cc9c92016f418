r"""The residual bottleneck: an affine shortcut and, beside it, four narrow paths of three layers, added up.

:math:`y = x A + b + \sum_p f_{p3}(f_{p2}(f_{p1}(x)))`, where a layer is :math:`f(h) = \mathrm{prelu}(h W + c)` and a
path goes from d_in to 16, to 16, to d_out. The block adds x itself and so maps between equal dimensions only; here the
shortcut is the orthogonal map, which exists between any two. A layer is trained without bias and with a batch
normalisation, which is folded into W and c at the end. Width, number of paths, activations and normalisation are those
of the block as it is circulated with implementations of later methods; no code of its authors could be read. They train
it with losses of classifiers on both models' features; here it is trained as the adapter, on mean(1 − cos(y, v)).

References
----------
Wang et al., *Unified representation learning for cross model compatibility*, 2020.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from verification.bridge.adapter import descend

if TYPE_CHECKING:
    from torch import nn

PATHS, WIDTH = 4, 16
# of the batch normalisation, as the block has them
EPSILON, MOMENTUM = 2e-5, 0.9
# slope of a PReLU to begin with
SLOPE = 0.25


def train_bottleneck(
    start: dict[str, ndarray],
    source: Float[ndarray, "n d_in"],
    target: Float[ndarray, "n d_out"],
    rng: np.random.Generator,
) -> dict[str, ndarray]:
    """Train from an affine map; the arrays A and b, and W1, c1, s1 to W3, c3, s3 with one entry a path.

    Parameters
    ----------
    start : dict
        A and b.
    source, target : ndarray
        Unit rows of the same samples.
    rng : numpy.random.Generator
    """
    import torch
    from torch import nn

    widths = (source.shape[1], WIDTH, WIDTH, target.shape[1])

    def layer(d_in: int, d_out: int, last: bool) -> tuple[nn.Linear, nn.BatchNorm1d, nn.PReLU]:
        linear = nn.Linear(d_in, d_out, bias=False)
        norm = nn.BatchNorm1d(d_out, EPSILON, MOMENTUM)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(rng.standard_normal((d_out, d_in)) * np.sqrt(2.0 / d_in)))
            if last:  # the paths begin at nothing, so that the map begins at its shortcut
                norm.weight.zero_()
        return linear, norm, nn.PReLU(d_out, SLOPE)

    paths = [[layer(widths[at], widths[at + 1], at == 2) for at in range(3)] for _ in range(PATHS)]
    shortcut = {name: torch.tensor(array, dtype=torch.float32, requires_grad=True) for name, array in start.items()}

    def predict(x: torch.Tensor, training: bool) -> torch.Tensor:
        mapped = x @ shortcut["A"] + shortcut["b"]
        for path in paths:
            hidden = x
            for linear, norm, prelu in path:
                # one row has no variance to normalise by
                hidden = prelu(norm.train(training and len(x) > 1)(linear(hidden)))
            mapped = mapped + hidden
        return mapped

    def arrays() -> dict[str, ndarray]:
        found = {name: weight.detach().numpy().astype(np.float64) for name, weight in shortcut.items()}
        for at in range(3):
            folded = [_folded(*path[at]) for path in paths]
            for name, each in zip("Wcs", zip(*folded, strict=True), strict=True):
                found[f"{name}{at + 1}"] = np.stack(each)
        return found

    weights = [weight for path in paths for parts in path for part in parts for weight in part.parameters()]
    return descend([*shortcut.values(), *weights], predict, arrays, source, target, rng)


def _folded(linear: nn.Linear, norm: nn.BatchNorm1d, prelu: nn.PReLU) -> tuple[ndarray, ndarray, ndarray]:
    """A layer without its batch normalisation: W, c and the slopes, in float64."""
    assert norm.running_var is not None
    assert norm.running_mean is not None
    weight, gain, bias, mean, variance, slopes = (
        tensor.detach().numpy().astype(np.float64)
        for tensor in (linear.weight, norm.weight, norm.bias, norm.running_mean, norm.running_var, prelu.weight)
    )
    scale = gain / np.sqrt(variance + EPSILON)
    return weight.T * scale, bias - mean * scale, slopes

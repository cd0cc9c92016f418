"""Fixed classifiers: logits against the vertices of a regular polytope, never trained (paper, Eq. 3).

The d-simplex is the paper's; the d-orthoplex and the d-cube are the two other regular polytopes that exist in every
dimension. They hold more classes in the same dimension, at the price of smaller angles between them: K classes take
K−1 dimensions in a simplex (all angles above 90°), K/2 in an orthoplex (90° and 180°), log₂ K in a cube.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from theory.simplex import simplex_vertices


class FixedClassifier(nn.Module):
    """Logits :math:`W f` with the rows of W fixed.

    Because W never moves and is the same for every model, each class is pulled to the same direction before and after
    an update: this is what makes the representation stationary. Classes that do not exist yet have vertices already
    (preallocation), so adding a class changes nothing.

    Parameters
    ----------
    vertices : ndarray, shape (num_classes, dim)
        W, unit rows.

    Attributes
    ----------
    weight : Tensor, shape (num_classes, dim)
        W in float32, a buffer: it moves with the module between devices and has no gradient.

    References
    ----------
    Pernici et al., *Regular Polytope Networks*, 2021.
    """

    weight: Tensor

    def __init__(self, vertices: NDArray[np.float64]) -> None:
        super().__init__()
        # not persistent: the vertices follow from (num_classes, dim), a checkpoint cannot contradict them
        self.register_buffer("weight", torch.from_numpy(vertices).float(), persistent=False)

    @property
    def num_classes(self) -> int:
        """K, the number of vertices."""
        return self.weight.shape[0]

    @property
    def dim(self) -> int:
        """d, the feature dimension."""
        return self.weight.shape[1]

    def forward(self, features: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch classes"]:
        """Features (B, d), not normalised → logits (B, K)."""
        return features @ self.weight.T

    def extra_repr(self) -> str:
        """What ``repr`` prints between the parentheses."""
        return f"num_classes={self.num_classes}, dim={self.dim}"


class SimplexClassifier(FixedClassifier):
    """The d-simplex: every two classes at the cosine −1/(K−1), the most negative that K directions can share.

    Parameters
    ----------
    num_classes : int
        K ≥ 2, preallocated classes included.
    dim : int, optional
        Feature dimension d ≥ K−1; K−1 if not given.

    Raises
    ------
    ValueError
        If the simplex does not fit.
    """

    def __init__(self, num_classes: int, dim: int | None = None) -> None:
        super().__init__(simplex_vertices(num_classes, dim))


class OrthoplexClassifier(FixedClassifier):
    """The d-orthoplex: classes at e₁, −e₁, e₂, −e₂, …; cosines 0, or −1 between a class and its opposite.

    Parameters
    ----------
    num_classes : int
        K ≥ 2, preallocated classes included.
    dim : int, optional
        Feature dimension d ≥ K/2; the smallest if not given.

    Raises
    ------
    ValueError
        If there are fewer than K vertices.
    """

    def __init__(self, num_classes: int, dim: int | None = None) -> None:
        super().__init__(orthoplex_vertices(num_classes, dim))


class CubeClassifier(FixedClassifier):
    """The d-cube: classes at (±1, …, ±1)/√d; the cosine of two classes is 1 − 2h/d, h the signs in which they differ.

    Parameters
    ----------
    num_classes : int
        K ≥ 2, preallocated classes included.
    dim : int, optional
        Feature dimension d ≥ log₂ K; the smallest if not given. In a larger one the cube stays in the first
        coordinates.

    Raises
    ------
    ValueError
        If there are fewer than K vertices.
    """

    def __init__(self, num_classes: int, dim: int | None = None) -> None:
        super().__init__(cube_vertices(num_classes, dim))


def orthoplex_vertices(num_classes: int, dim: int | None = None) -> NDArray[np.float64]:
    """The first K of e₁, −e₁, e₂, −e₂, …, shape (num_classes, dim); see :class:`OrthoplexClassifier`."""
    needed = -(-_check_classes(num_classes) // 2)
    vertices = np.zeros((num_classes, _check_dim("orthoplex", num_classes, needed, dim)))
    rows = np.arange(num_classes)
    vertices[rows, rows // 2] = 1.0 - 2.0 * (rows % 2)
    return vertices


def cube_vertices(num_classes: int, dim: int | None = None) -> NDArray[np.float64]:
    """K vertices of the smallest cube that has them, the signs the bits of 0 … K−1; see :class:`CubeClassifier`."""
    needed = (_check_classes(num_classes) - 1).bit_length()
    vertices = np.zeros((num_classes, _check_dim("cube", num_classes, needed, dim)))
    bits = np.arange(num_classes)[:, None] >> np.arange(needed) & 1
    vertices[:, :needed] = (1.0 - 2.0 * bits) / np.sqrt(needed)
    return vertices


def _check_classes(num_classes: int) -> int:
    if not isinstance(num_classes, int) or isinstance(num_classes, bool) or num_classes < 2:
        raise ValueError(f"num_classes must be an integer >= 2, got {num_classes!r}.")
    return num_classes


def _check_dim(polytope: str, num_classes: int, needed: int, dim: int | None) -> int:
    dim = needed if dim is None else dim
    if not isinstance(dim, int) or isinstance(dim, bool) or dim < needed:
        raise ValueError(
            f"dim must be an integer >= {needed} for {polytope} vertices of {num_classes} classes, got {dim!r}."
        )
    return dim

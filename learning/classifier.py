"""The d-Simplex fixed classifier (paper, Eq. 3): logits against the vertices of a regular simplex, never trained."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from theory.simplex import simplex_vertices


class SimplexClassifier(nn.Module):
    """Logits :math:`W f` with the rows of W fixed at the simplex vertices.

    Because W never moves and is the same for every model, each class is pulled to the same direction before and after
    an update: this is what makes the representation stationary. Classes that do not exist yet have vertices already
    (preallocation), so adding a class changes nothing.

    Parameters
    ----------
    num_classes : int
        K ≥ 2, preallocated classes included.
    dim : int, optional
        Feature dimension d ≥ K−1; K−1 if not given.

    Attributes
    ----------
    weight : Tensor, shape (num_classes, dim)
        The vertices, a buffer: it moves with the module between devices and has no gradient.

    Raises
    ------
    ValueError
        If the simplex does not fit.

    References
    ----------
    Pernici et al., *Regular Polytope Networks*, 2021.
    """

    weight: Tensor

    def __init__(self, num_classes: int, dim: int | None = None) -> None:
        super().__init__()
        vertices = simplex_vertices(num_classes, dim)
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

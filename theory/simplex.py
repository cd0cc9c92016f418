"""Vertices of the regular simplex: the weights of the d-Simplex fixed classifier (paper, section on Eq. 3).

K unit vectors of R^d whose pairwise cosine is −1/(K−1), the most negative that K vectors can share.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from theory._validation import check_integer


def simplex_vertices(num_classes: int, dim: int | None = None) -> NDArray[np.float64]:
    r"""Unit vectors :math:`w_1, …, w_K` with :math:`w_a·w_b = −1/(K−1)` for a ≠ b.

    The rows of the Helmert contrasts, scaled by :math:`\sqrt{K/(K−1)}`. The K−1 contrasts are orthonormal and
    orthogonal to (1, …, 1), so their Gram matrix is :math:`I − 11^T/K` and the scaled rows have the simplex's. A
    larger ``dim`` embeds the simplex in the first K−1 coordinates.

    Parameters
    ----------
    num_classes : int
        K ≥ 2.
    dim : int, optional
        Ambient dimension d ≥ K−1; K−1 if not given.

    Returns
    -------
    ndarray, shape (num_classes, dim)
        Rows of norm 1; the Gram matrix is exact to 1e−12 for K up to 4096 (rounding of K products).

    Raises
    ------
    ValueError
        If K < 2 or no simplex of K vertices fits in ``dim`` dimensions.

    References
    ----------
    Pernici et al., *Regular Polytope Networks*, 2021 (the classifier); Lancaster, *The Helmert matrices*, 1965.
    """
    num_classes = check_integer("num_classes", num_classes, 2)
    dim = num_classes - 1 if dim is None else check_integer("dim", dim, 1)
    if dim < num_classes - 1:
        raise ValueError(
            f"dim must be >= num_classes - 1 = {num_classes - 1} for a simplex of {num_classes} vertices, got {dim}."
        )
    order = np.arange(1, num_classes, dtype=np.float64)  # contrast j compares vertex j+1 with the j before it
    scale = np.sqrt(num_classes / (num_classes - 1.0))
    vertices = np.zeros((num_classes, dim))
    contrasts = np.triu(np.broadcast_to(scale / np.sqrt(order * (order + 1)), (num_classes - 1, num_classes - 1)))
    vertices[:-1, : num_classes - 1] = contrasts
    diagonal = np.arange(num_classes - 1)
    vertices[diagonal + 1, diagonal] = -scale * np.sqrt(order / (order + 1))
    return vertices

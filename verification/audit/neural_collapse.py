"""Neural collapse, the measures that the field reads beside drift and concentration.

At collapse the features of a class are its mean (NC1), the class means form a simplex (NC2) and are parallel to the
classifier (NC3). The vertices of a fixed classifier make NC2 and NC3 a matter of the means being where they should.

References
----------
Papyan, Han and Donoho, *Prevalence of neural collapse during the terminal phase of deep learning training*, 2020.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

# rows that tell NC1; a mean of so many squares is known to about a percent
ROWS = 2**14


@dataclass(frozen=True)
class NeuralCollapse:
    """NC1–NC3 of unit features; 0 at collapse, each of them.

    Attributes
    ----------
    within_between : float
        NC1: tr(Σ_W Σ_B⁺)/K, covariance within classes against that of the class means.
    equinorm : float
        NC2: standard deviation over mean of the lengths of the centred class means.
    equiangularity : float
        NC2: mean of |cos + 1/(K−1)| over pairs of centred class means.
    self_duality : float
        NC3: ‖W/‖W‖ − M/‖M‖‖ in the Frobenius norm, W the vertices, M the centred class means; in [0, 2].
    """

    within_between: float
    equinorm: float
    equiangularity: float
    self_duality: float


def neural_collapse(
    means: Float[ndarray, "k dim"],
    vertices: Float[ndarray, "k dim"],
    rows: Float[ndarray, "m dim"],
    codes: Int[ndarray, " m"],
) -> NeuralCollapse:
    """Measure collapse from class means, and from rows sorted by class.

    Parameters
    ----------
    means : ndarray, shape (K, d)
        Class means of the unit features; K ≥ 2, not all equal.
    vertices : ndarray, shape (K, d)
    rows : ndarray, shape (m, d)
        Unit features, of which an even choice is used where there are many.
    codes : ndarray of int, shape (m,)
    """
    centred = means - means.mean(axis=0)
    lengths = np.linalg.norm(centred, axis=1)
    size = float(np.linalg.norm(lengths))
    return NeuralCollapse(
        _within_between(centred, means, rows, codes),
        float(lengths.std() / lengths.mean()),
        _equiangularity(centred / np.maximum(lengths, np.finfo(float).tiny)[:, None]),
        float(np.linalg.norm(vertices / np.linalg.norm(vertices) - centred / size)),
    )


def _within_between(centred: ndarray, means: ndarray, rows: ndarray, codes: ndarray) -> float:
    _, singular, axes = np.linalg.svd(centred / np.sqrt(len(centred)), full_matrices=False)
    # K centred means span K − 1 dimensions at most
    some = singular > singular[0] * max(centred.shape) * np.finfo(float).eps
    whiten = axes[some].T / singular[some]
    step = -(-len(rows) // ROWS)
    residual = (rows[::step] - means[codes[::step]]) @ whiten
    return float(np.vdot(residual, residual)) / len(residual) / len(centred)


def _equiangularity(directions: ndarray) -> float:
    count = len(directions)
    total = 0.0
    for start in range(0, count, 512):
        total += float(np.abs(directions[start : start + 512] @ directions.T + 1.0 / (count - 1)).sum())
    # a direction with itself is no pair
    return (total - count * (1.0 + 1.0 / (count - 1))) / (count * (count - 1))

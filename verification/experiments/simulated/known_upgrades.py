r"""Four upgrades whose right answer is known, on which a tool's verdict can be tried.

Old features are Gaussian about the vertices of a simplex: :math:`w_y + σ z`, z standard normal in R^d, used as unit
vectors. Their class means are :math:`m(σ) w_y` (projected normal law), so the gaps of Definition 1 are exact by the
first-moment identity. A new model is the old one turned (every distance among its own features is kept), or drawn anew
about the same vertices with a smaller, equal or larger σ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy import special, stats

from theory.simplex import simplex_vertices
from verification.features import FeatureSet

NUM_CLASSES = 10
DIM = 64
# standard deviation of the old model's coordinates about the vertex
NOISE = 0.25


@dataclass(frozen=True)
class KnownUpgrade:
    """One upgrade.

    Attributes
    ----------
    name : str
    answer : {"compatible", "incompatible", "boundary"}
        What is true in expectation; at the boundary both gaps are zero, and any verdict but 'inconclusive' is a guess.
    spread : float
        The new model's coordinate noise over the old one's.
    turned : bool
        The new features are the old ones after a random rotation, so an orthogonal map undoes the upgrade.
    """

    name: str
    answer: Literal["compatible", "incompatible", "boundary"]
    spread: float = 1.0
    turned: bool = False

    def draw(self, num_samples: int, rng: np.random.Generator) -> tuple[FeatureSet, FeatureSet]:
        """New and old features of the same samples, classes of one size (± 1)."""
        labels = np.arange(num_samples) % NUM_CLASSES
        old = _about_vertices(labels, NOISE, rng)
        if self.turned:
            new = old @ stats.special_ortho_group.rvs(DIM, random_state=rng)
        else:
            new = _about_vertices(labels, self.spread * NOISE, rng)
        return FeatureSet(new, labels), FeatureSet(old, labels)

    def gaps(self) -> tuple[float, float]:
        """Exact gaps (1a, 1b) in the squared distance; of a turned model, averaged over rotations."""
        old = mean_resultant_length(DIM, NOISE)
        # a random rotation takes the mean of a class to a direction independent of where it was
        new = 0.0 if self.turned else mean_resultant_length(DIM, self.spread * NOISE)
        same = 2.0 * old * (new - old)
        return same, same / (NUM_CLASSES - 1)


CASES = {
    case.name: case
    for case in (
        KnownUpgrade("rotated", "incompatible", turned=True),
        KnownUpgrade("tighter", "compatible", spread=0.8),
        KnownUpgrade("same law", "boundary"),
        KnownUpgrade("wider", "incompatible", spread=1.1),
    )
}


def mean_resultant_length(dim: int, noise: float) -> float:
    r"""Length of the mean of x/‖x‖, x normal about a unit vector.

    :math:`m = \frac{1}{\sqrt2 σ} \frac{Γ((d+1)/2)}{Γ(d/2+1)} {}_1F_1(\tfrac12; \tfrac d2 + 1; -\tfrac1{2σ^2})`.

    Parameters
    ----------
    dim : int
        d ≥ 1.
    noise : float
        σ > 0, standard deviation of a coordinate.

    References
    ----------
    Mardia and Jupp, *Directional Statistics*, 2000, section 3.5.6 (the projected normal law).
    """
    ratio = np.exp(special.gammaln((dim + 1) / 2) - special.gammaln(dim / 2 + 1))
    return float(ratio / (np.sqrt(2.0) * noise) * special.hyp1f1(0.5, dim / 2 + 1, -0.5 / noise**2))


def _about_vertices(labels: ndarray, noise: float, rng: np.random.Generator) -> Float[ndarray, "n dim"]:
    vertices = simplex_vertices(NUM_CLASSES, DIM)
    return vertices[labels] + noise * rng.standard_normal((len(labels), DIM))

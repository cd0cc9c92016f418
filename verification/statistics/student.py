"""Student's t, from scipy.special alone: scipy.stats takes most of the time in which an audit starts."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy import special


def upper_quantile(level: float, freedom: Float[ndarray, "*n"] | float) -> Float[ndarray, "*n"]:
    """The value that t exceeds with probability ``level`` ≤ 1/2; infinite degrees of freedom are the normal law."""
    with np.errstate(invalid="ignore"):
        found = -special.stdtrit(freedom, level)
    return np.where(np.isinf(freedom), -special.ndtri(level), found)


def upper_tail(value: Float[ndarray, "*n"], freedom: Float[ndarray, "*n"]) -> Float[ndarray, "*n"]:
    """Probability that t exceeds ``value``."""
    return np.where(np.isinf(freedom), special.ndtr(-value), special.stdtr(freedom, -value))

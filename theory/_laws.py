"""Two laws about axes at an angle: what is allowed, and pairs of them broadcast with distinct values told apart."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.caps import UniformCap
from theory.von_mises_fisher import VonMisesFisher

FloatArray = NDArray[np.float64]
Law = UniformCap | VonMisesFisher


class Pairs(NamedTuple):
    """Pairs of laws and angles between their axes: distinct values, and for each pair its place among them."""

    new: Law
    old: Law
    angles: FloatArray
    new_at: NDArray[np.intp]
    old_at: NDArray[np.intp]
    angle_at: NDArray[np.intp]
    shape: tuple[int, ...]

    def pick(self, which: NDArray[np.bool_]) -> Pairs:
        """Those pairs alone, with the distinct values that they still use."""
        new, new_at = np.unique(self.new_at[which], return_inverse=True)
        old, old_at = np.unique(self.old_at[which], return_inverse=True)
        angle, angle_at = np.unique(self.angle_at[which], return_inverse=True)
        return Pairs(
            with_values(self.new, parameter(self.new)[new]),
            with_values(self.old, parameter(self.old)[old]),
            self.angles[angle],
            new_at,
            old_at,
            angle_at,
            (int(which.sum()),),
        )


def parameter(law: Law) -> FloatArray:
    """The radius of a cap or the concentration of a von Mises–Fisher law."""
    return np.asarray(law.radius if isinstance(law, UniformCap) else law.kappa, dtype=np.float64)


def with_values(law: Law, values: FloatArray) -> Law:
    """The same laws with other radii or concentrations."""
    return type(law)(law.dim, values)


def check_laws(new: object, old: object) -> None:
    """Refuse what is not a law, and two laws of different dimension."""
    for name, law in (("new", new), ("old", old)):
        if not isinstance(law, UniformCap | VonMisesFisher):
            raise ValueError(f"{name} must be a UniformCap or a VonMisesFisher, got {law!r}.")
    assert isinstance(new, UniformCap | VonMisesFisher)
    assert isinstance(old, UniformCap | VonMisesFisher)
    if new.dim != old.dim:
        raise ValueError(f"new and old must have the same dim, got {new.dim} and {old.dim}.")


def axis_angle(cosine: FloatArray) -> FloatArray:
    """arccos that keeps the digits of 1 ∓ c."""
    near = 2.0 * np.arcsin(np.sqrt(0.5 * (1.0 - np.abs(cosine))))
    return np.where(cosine >= 0.0, near, math.pi - near)


def make_pairs(new: Law, old: Law, angles: ArrayLike) -> Pairs:
    """Broadcast two laws and the angles between their axes."""
    columns = np.broadcast_arrays(parameter(new), parameter(old), np.asarray(angles, dtype=np.float64))
    distinct = [np.unique(column, return_inverse=True) for column in columns]
    (a, i), (b, j), (c, k) = [(values, at.ravel()) for values, at in distinct]
    return Pairs(with_values(new, a), with_values(old, b), c, i, j, k, columns[0].shape)

r"""A map between two models' features: what it is, how it is applied, and the file that holds it.

Every map is :math:`y = x A + b` of a unit row x, and for some kinds more: the learned adapter adds a hidden layer,
:math:`\max(x W + c, 0) V`, the residual bottleneck its paths of layers, and an interpolated query lies on the great
circle between y and the old model's query. A few lines of NumPy apply it, so whoever serves the vectors needs nothing
of this package.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from theory.files import reading, regular, write_atomically
from verification.features.files.arrays import npz_arrays

Direction = Literal["queries", "gallery"]
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)
SUFFIXES = (".npz", ".safetensors")
FORMAT = 2  # of the file; raised when a map may be misread by what is older
READ = (1, FORMAT)
LAYER = ("W", "c", "s")


@dataclass(frozen=True)
class Layer:
    """One layer of all paths of a residual bottleneck, prelu(h W + c).

    Attributes
    ----------
    W, c, s : ndarray, shape (p, h_in, h_out), (p, h_out) and (p, h_out)
        Of each path; s are the slopes for negative values.
    """

    W: Float[ndarray, "p h_in h_out"]
    c: Float[ndarray, "p h_out"]
    s: Float[ndarray, "p h_out"]

    def __call__(self, rows: ndarray) -> Float[ndarray, "p n h_out"]:
        """Map the rows of each path, or rows that all paths share."""
        values = rows @ self.W + self.c[:, None]
        values *= np.where(values > 0.0, 1.0, self.s[:, None]).astype(values.dtype, copy=False)
        return values


@dataclass(frozen=True)
class FeatureMap:
    """A map from one model's unit features to the other model's space.

    Attributes
    ----------
    kind : str
        One of :data:`verification.bridge.fitting.KINDS`.
    direction : {"queries", "gallery"}
        New queries into the old space, or old gallery items into the new space.
    A, b : ndarray, shape (d_in, d_out) and (d_out,)
    W, c, V : ndarray or None, shape (d_in, h), (h,) and (h, d_out)
        The hidden layer of the learned adapter.
    weight : ndarray or None, shape ()
        Weight of the mapped row, in (0, 1), if a query is interpolated between it and the row of the old model.
    layers : tuple of Layer
        Layers of the residual bottleneck.
    """

    kind: str
    direction: Direction
    A: Float[ndarray, "d_in d_out"]
    b: Float[ndarray, " d_out"]
    W: Float[ndarray, "d_in h"] | None = None
    c: Float[ndarray, " h"] | None = None
    V: Float[ndarray, "h d_out"] | None = None
    weight: Float[ndarray, ""] | None = None
    layers: tuple[Layer, ...] = ()

    @classmethod
    def of_arrays(cls, kind: str, direction: Direction, arrays: dict[str, ndarray]) -> FeatureMap:
        """The map that :meth:`arrays` describes."""
        layers = tuple(Layer(*(arrays[f"{name}{at}"] for name in LAYER)) for at in _layer_numbers(arrays))
        return cls(kind, direction, **{name: arrays[name] for name in _PLAIN if name in arrays}, layers=layers)

    @property
    def dims(self) -> tuple[int, int]:
        """(d_in, d_out)."""
        return self.A.shape[0], self.A.shape[1]

    def astype(self, dtype: Any) -> FeatureMap:
        """Return the map with arrays of another dtype, so that rows of that dtype stay in it."""
        arrays = {name: array.astype(dtype, copy=False) for name, array in self.arrays().items()}
        return self.of_arrays(self.kind, self.direction, arrays)

    def arrays(self) -> dict[str, ndarray]:
        """The arrays that are there, by name."""
        layers = {
            f"{name}{at}": getattr(layer, name) for at, layer in enumerate(self.layers, start=1) for name in LAYER
        }
        return {name: array for name in _PLAIN if (array := getattr(self, name)) is not None} | layers

    @property
    def takes_both(self) -> bool:
        """Whether it needs the old model's row of a query beside the new model's."""
        return self.weight is not None

    def __call__(
        self, unit: Float[ndarray, "n d_in"], other: Float[ndarray, "n d_out"] | None = None
    ) -> Float[ndarray, "n d_out"]:
        """Map unit rows; the result need not be of unit length.

        Parameters
        ----------
        unit : ndarray, shape (n, d_in)
        other : ndarray, shape (n, d_out), optional
            Unit rows of the same queries by the other model, for a map that :attr:`takes_both`.
        """
        mapped = unit @ self.A
        mapped += self.b
        if self.W is not None:
            mapped += np.maximum(unit @ self.W + self.c, 0.0) @ self.V
        if self.layers:
            hidden = unit
            for layer in self.layers:
                hidden = layer(hidden)
            mapped += hidden.sum(axis=0)
        if self.weight is None:
            return mapped
        if other is None:
            raise ValueError(f"the {self.kind} map needs the old model's rows of the same queries, got none.")
        return slerp(other, mapped, float(self.weight))

    @property
    def takes(self) -> str:
        """What rows it takes, in words."""
        if self.takes_both:
            return "new queries (and old ones)"
        return "new queries" if self.direction == "queries" else "old gallery items"

    def save(self, path: str | os.PathLike[str], about: dict[str, Any] | None = None) -> None:
        """Write the arrays and, as JSON, what the map is; ``.npz`` or ``.safetensors``, whole or not at all.

        Parameters
        ----------
        path : path-like
        about : dict, optional
            More to keep with it: how it was fitted.

        Raises
        ------
        ValueError
            For another suffix.
        """
        path = check_suffix(Path(path))
        d_in, d_out = self.dims
        named = {"format": FORMAT, "kind": self.kind, "direction": self.direction, "d_in": d_in, "d_out": d_out}
        text = json.dumps({**named, "version": version("stationary-representations"), **(about or {})})
        if path.suffix == ".npz":
            write_atomically(
                path, lambda file: np.savez(file, allow_pickle=False, metadata=np.array(text), **self.arrays())
            )
        else:
            from safetensors.numpy import save

            arrays = {name: np.array(array, order="C") for name, array in self.arrays().items()}
            payload = save(arrays, metadata={"metadata": text})
            write_atomically(path, lambda file: file.write(payload))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> FeatureMap:
        """Read what :meth:`save` wrote; nothing is unpickled.

        Raises
        ------
        FileNotFoundError
            If the file is not there.
        ValueError
            If its content cannot be used; the message begins with the path.
        """
        path = regular(check_suffix(Path(path)))
        with reading(path, "It is no map that stationary bridge fit saved, or it is damaged."):
            return cls._of(*_read(path))

    @classmethod
    def _of(cls, arrays: dict[str, ndarray], metadata: dict[str, Any]) -> FeatureMap:
        if metadata.get("format") not in READ:
            raise ValueError(f"format must be one of {', '.join(map(str, READ))}, got {metadata.get('format')!r}.")
        if metadata["direction"] not in DIRECTIONS:
            raise ValueError(f"direction must be one of {', '.join(DIRECTIONS)}, got {metadata['direction']!r}.")
        d_in, d_out = metadata["d_in"], metadata["d_out"]
        shapes = {"A": (d_in, d_out), "b": (d_out,)}
        if "W" in arrays:
            hidden = arrays["W"].shape[-1]
            shapes |= {"W": (d_in, hidden), "c": (hidden,), "V": (hidden, d_out)}
        if "weight" in arrays:
            shapes["weight"] = ()
        width = d_in
        for at in (numbers := _layer_numbers(arrays)):
            paths, out = arrays["W1"].shape[0], d_out if at == numbers[-1] else arrays[f"W{at}"].shape[-1]
            shapes |= {f"W{at}": (paths, width, out), f"c{at}": (paths, out), f"s{at}": (paths, out)}
            width = out
        found = {name: arrays[name].shape for name in shapes if name in arrays}
        if found != shapes:
            raise ValueError(f"arrays must have shapes {shapes}, got {found}.")
        for name in shapes:
            if arrays[name].dtype.kind != "f" or not np.isfinite(arrays[name]).all():
                raise ValueError(f"{name} must hold finite floating-point numbers.")
        return cls.of_arrays(str(metadata["kind"]), metadata["direction"], {name: arrays[name] for name in shapes})


_PLAIN = ("A", "b", "W", "c", "V", "weight")


def _layer_numbers(arrays: dict[str, ndarray]) -> range:
    """1, 2, … as far as there are layers."""
    at = 1
    while f"W{at}" in arrays:
        at += 1
    return range(1, at)


def slerp(start: Float[ndarray, "n dim"], end: Float[ndarray, "n dim"], weight: float) -> Float[ndarray, "n dim"]:
    r"""Unit rows on the great circle from start to end: :math:`[\sin((1−w)θ) v + \sin(wθ) m] / \sin θ`.

    Parameters
    ----------
    start, end : ndarray, shape (n, d)
        Rows of any length but zero; θ is the angle between them.
    weight : float
        In [0, 1], of ``end``. Opposite rows have no great circle of their own and give ``start``.
    """
    v, m = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (start, end))
    # of nearly equal rows a sine has lost its digits, and half the chord has not
    angle = 2.0 * np.arctan2(np.linalg.norm(m - v, axis=1), np.linalg.norm(m + v, axis=1))[:, None]
    sine = np.sin(angle)
    along = sine > 1e-12
    sine = np.where(along, sine, 1.0)
    first = np.where(along, np.sin((1.0 - weight) * angle) / sine, 1.0)
    second = np.where(along, np.sin(weight * angle) / sine, 0.0)
    return (first * v + second * m).astype(start.dtype, copy=False)


def check_suffix(path: Path) -> Path:
    """Raise ValueError unless maps are written to such a path."""
    if path.suffix not in SUFFIXES:
        raise ValueError(f"{path}: a map is in one of {', '.join(SUFFIXES)}, got suffix {path.suffix!r}.")
    return path


def _read(path: Path) -> tuple[dict[str, ndarray], dict[str, Any]]:
    if path.suffix == ".npz":
        held = npz_arrays(path)  # sizes are checked before anything is read
        arrays = {name: held.column(name) for name in held.there}
        return arrays, json.loads(str(arrays.pop("metadata")))
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as archive:
        arrays = {name: archive.get_tensor(name) for name in archive.keys()}  # noqa: SIM118
        return arrays, json.loads((archive.metadata() or {})["metadata"])

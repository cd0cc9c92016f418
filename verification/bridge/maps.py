r"""A map between two models' features: what it is, how it is applied, and the file that holds it.

Every map is :math:`y = x A + b + \max(x W + c, 0) V` of a unit row x; W, c and V are there for the learned adapter
only. Two lines of NumPy apply it, so whoever serves the vectors needs nothing of this package.
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
FORMAT = 1  # of the file; raised when an array changes its meaning


@dataclass(frozen=True)
class FeatureMap:
    """From one model's unit features to the other model's space.

    Attributes
    ----------
    kind : str
        One of :data:`verification.bridge.fitting.KINDS`.
    direction : {"queries", "gallery"}
        New queries into the old space, or old gallery items into the new space.
    A, b : ndarray, shape (d_in, d_out) and (d_out,)
    W, c, V : ndarray or None, shape (d_in, h), (h,) and (h, d_out)
        The hidden layer of the learned adapter.
    """

    kind: str
    direction: Direction
    A: Float[ndarray, "d_in d_out"]
    b: Float[ndarray, " d_out"]
    W: Float[ndarray, "d_in h"] | None = None
    c: Float[ndarray, " h"] | None = None
    V: Float[ndarray, "h d_out"] | None = None

    @property
    def dims(self) -> tuple[int, int]:
        """(d_in, d_out)."""
        return self.A.shape[0], self.A.shape[1]

    def astype(self, dtype: Any) -> FeatureMap:
        """Return the map with arrays of another dtype, so that rows of that dtype stay in it."""
        arrays = {name: array.astype(dtype, copy=False) for name, array in self.arrays().items()}
        return FeatureMap(self.kind, self.direction, **arrays)

    def arrays(self) -> dict[str, ndarray]:
        """The arrays that are there, by name."""
        every = {"A": self.A, "b": self.b, "W": self.W, "c": self.c, "V": self.V}
        return {name: array for name, array in every.items() if array is not None}

    def __call__(self, unit: Float[ndarray, "n d_in"]) -> Float[ndarray, "n d_out"]:
        """Map unit rows; the result need not be of unit length."""
        mapped = unit @ self.A
        mapped += self.b
        if self.W is not None:
            mapped += np.maximum(unit @ self.W + self.c, 0.0) @ self.V
        return mapped

    @property
    def takes(self) -> str:
        """What rows it takes, in words."""
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

            arrays = {name: np.ascontiguousarray(array) for name, array in self.arrays().items()}
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
        if metadata.get("format") != FORMAT:
            raise ValueError(f"format must be {FORMAT}, got {metadata.get('format')!r}.")
        if metadata["direction"] not in DIRECTIONS:
            raise ValueError(f"direction must be one of {', '.join(DIRECTIONS)}, got {metadata['direction']!r}.")
        d_in, d_out = metadata["d_in"], metadata["d_out"]
        shapes = {"A": (d_in, d_out), "b": (d_out,)}
        if "W" in arrays:
            hidden = arrays["W"].shape[-1]
            shapes |= {"W": (d_in, hidden), "c": (hidden,), "V": (hidden, d_out)}
        found = {name: arrays[name].shape for name in shapes if name in arrays}
        if found != shapes:
            raise ValueError(f"arrays must have shapes {shapes}, got {found}.")
        for name in shapes:
            if arrays[name].dtype.kind != "f" or not np.isfinite(arrays[name]).all():
                raise ValueError(f"{name} must hold finite floating-point numbers.")
        return cls(str(metadata["kind"]), metadata["direction"], **{name: arrays[name] for name in shapes})


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

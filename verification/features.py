"""Features with their labels: validated once, here, so that everything behind this module may trust them."""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

_HOW_TO_STORE = "arrays named 'features' and 'labels'"


@dataclass(frozen=True, eq=False)
class FeatureSet:
    """Feature vectors of labelled samples, one model, one row a sample.

    Parameters
    ----------
    features : array_like or torch.Tensor, shape (N, d), float16, float32 or float64
        Finite, no row of zeros (a direction is needed); need not be normalised. N ≥ 1, d ≥ 1.
    labels : array_like or torch.Tensor, shape (N,), integers or strings
        The class of each row.

    Raises
    ------
    ValueError
        Naming what is wrong, and where.
    """

    features: Float[ndarray, "n dim"]
    labels: ndarray

    def __post_init__(self) -> None:
        features = _features(self.features)
        labels = _labels(self.labels)
        if len(features) != len(labels):
            raise ValueError(
                f"features and labels must have one length, got {len(features)} rows and {len(labels)} labels."
            )
        object.__setattr__(self, "features", features)
        object.__setattr__(self, "labels", labels)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def dim(self) -> int:
        """d, the feature dimension."""
        return int(self.features.shape[1])

    @cached_property
    def unit(self) -> Float[ndarray, "n dim"]:
        """The features normalised to the unit sphere, float64."""
        features = self.features.astype(np.float64)
        # the largest entry first: squares of very small or very large float64 entries would under- or overflow
        features /= np.max(np.abs(features), axis=1, keepdims=True)
        features /= np.linalg.norm(features, axis=1, keepdims=True)
        return features

    @cached_property
    def classes(self) -> ndarray:
        """The distinct labels, sorted."""
        return self._encoded[0]

    @cached_property
    def codes(self) -> Int[ndarray, " n"]:
        """Each row's position in :attr:`classes`."""
        return self._encoded[1]

    @cached_property
    def _encoded(self) -> tuple[ndarray, ndarray]:
        classes, codes = np.unique(self.labels, return_inverse=True)
        return classes, codes

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> FeatureSet:
        """Read ``.npz`` or ``.safetensors`` (arrays ``features``, ``labels``), or ``NAME.npy`` beside
        ``NAME.labels.npy``.

        Nothing is unpickled.

        Raises
        ------
        FileNotFoundError
            If a file is not there.
        ValueError
            If its content cannot be used; the message begins with the path.
        """
        path = Path(path)
        reader = _READERS.get(path.suffix)
        if reader is None:
            raise ValueError(f"{path}: features must be in one of {', '.join(_READERS)}, got suffix {path.suffix!r}.")
        if not path.exists():
            raise FileNotFoundError(f"{path}: no such file.")
        if not path.is_file():
            raise ValueError(f"{path}: must be a file, got a folder.")
        try:
            return cls(*reader(path))
        except FileNotFoundError:
            raise
        except (ValueError, OSError) as error:
            raise ValueError(f"{path}: {error}") from None

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to ``.npz``, ``.safetensors`` (integer labels only) or a ``.npy`` pair; a file appears whole or not
        at all.

        Raises
        ------
        ValueError
            For another suffix, or string labels in ``.safetensors``.
        """
        path = Path(path)
        if path.suffix == ".npz":
            write_atomically(path, lambda file: np.savez(file, features=self.features, labels=self.labels))
        elif path.suffix == ".npy":
            write_atomically(_labels_path(path), lambda file: np.save(file, self.labels, allow_pickle=False))
            write_atomically(path, lambda file: np.save(file, self.features, allow_pickle=False))
        elif path.suffix == ".safetensors":
            if self.labels.dtype.kind not in "iu":
                raise ValueError(f"{path}: labels must be integers in .safetensors, got {self.labels.dtype}.")
            from safetensors.numpy import save

            arrays = {"features": self.features, "labels": self.labels}
            payload = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
            write_atomically(path, lambda file: file.write(payload))
        else:
            raise ValueError(
                f"{path}: features are written to one of {', '.join(_READERS)}, got suffix {path.suffix!r}."
            )


def write_atomically(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Write beside ``path`` and rename: whoever reads sees the old content or the new, never half of it."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _as_array(value: Any) -> ndarray:
    detach = getattr(value, "detach", None)  # a torch tensor, perhaps on a GPU
    return np.asarray(detach().cpu().numpy() if detach is not None else value)


def _features(value: Any) -> ndarray:
    features = _as_array(value)
    if features.dtype.kind != "f" or features.dtype.itemsize > 8:
        raise ValueError(f"features must be float16, float32 or float64, got {features.dtype}.")
    if features.ndim != 2 or 0 in features.shape:
        raise ValueError(f"features must have shape (N, d) with N, d >= 1, got {features.shape}.")
    bad = np.flatnonzero(~np.isfinite(features).all(axis=1))
    if len(bad):
        raise ValueError(
            f"features must be finite, but {len(bad)} of {len(features)} rows are not, the first is row {bad[0]}."
        )
    zero = np.flatnonzero(~features.any(axis=1))
    if len(zero):
        raise ValueError(
            f"features must have a direction, but {len(zero)} of {len(features)} rows are all zero, "
            f"the first is row {zero[0]}."
        )
    return features


def _labels(value: Any) -> ndarray:
    labels = _as_array(value)
    if labels.dtype.kind not in "iuUS":
        raise ValueError(f"labels must be integers or strings, got {labels.dtype}.")
    if labels.ndim != 1:
        raise ValueError(f"labels must have shape (N,), got {labels.shape}.")
    return labels.astype(str) if labels.dtype.kind == "S" else labels


def _labels_path(path: Path) -> Path:
    return path.with_suffix(".labels.npy")


def _named(names: list[str], get: Callable[[str], ndarray]) -> tuple[ndarray, ndarray]:
    for name in ("features", "labels"):
        if name not in names:
            raise ValueError(f"must hold {_HOW_TO_STORE}, got {', '.join(map(repr, names)) or 'none'}.")
    return get("features"), get("labels")


def _read_npz(path: Path) -> tuple[ndarray, ndarray]:
    try:
        # the file is opened here because NumPy leaves it open when the archive is not one
        with open(path, "rb") as file:
            archive = np.load(file, allow_pickle=False)
            if isinstance(archive, ndarray):
                raise ValueError("is not a .npz archive, but one array: store it as .npy.")
            return _named(archive.files, archive.__getitem__)
    except (zipfile.BadZipFile, EOFError) as error:
        raise ValueError(f"is not a readable .npz archive ({error}).") from None


def _read_npy(path: Path) -> tuple[ndarray, ndarray]:
    labels = _labels_path(path)
    if not labels.exists():
        raise FileNotFoundError(f"{labels}: no such file; the labels of {path.name} are expected there.")
    try:
        return np.load(path, allow_pickle=False), np.load(labels, allow_pickle=False)
    except EOFError:
        raise ValueError("is not a readable .npy file (it is empty).") from None


def _read_safetensors(path: Path) -> tuple[ndarray, ndarray]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as archive:
            return _named(list(archive.keys()), archive.get_tensor)
    except SafetensorError as error:
        raise ValueError(f"is not a readable .safetensors file ({error}).") from None


_READERS: dict[str, Callable[[Path], tuple[ndarray, ndarray]]] = {
    ".npz": _read_npz,
    ".npy": _read_npy,
    ".safetensors": _read_safetensors,
}

"""Features written block by block, so that they need not fit in memory; a file appears whole or not at all."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import IO, Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from verification.files.atomic import write_atomically
from verification.files.beside import ids_path, labels_path
from verification.files.parquet import write_parquet
from verification.files.readers import READERS

FLUSHED_EVERY = 0.25  # seconds
Blocks = Iterable[Float[ndarray, "rows dim"]]
_SAFETENSORS = {"f2": "F16", "f4": "F32", "f8": "F64", "i1": "I8", "i2": "I16", "i4": "I32", "i8": "I64",
                "u1": "U8", "u2": "U16", "u4": "U32", "u8": "U64"}  # fmt: skip


def write_features(
    path: Path, blocks: Blocks, labels: ndarray, dim: int, dtype: Any, ids: ndarray | None = None
) -> None:
    """Write rows as they come, beside their labels, as :meth:`verification.features.FeatureSet.load` reads them.

    Parameters
    ----------
    path : Path
        ``.npz``, ``.npy`` (labels beside it), ``.safetensors`` (integer labels) or ``.parquet``.
    blocks : iterable of ndarray
        Rows in order, as many as labels in all.
    labels : ndarray, shape (N,)
    dim : int
    dtype : numpy dtype
        Of the rows.
    ids : ndarray, shape (N,), optional
        Written to ``NAME.ids.npy`` beside it.

    Raises
    ------
    ValueError
        See :func:`check_features_path`, or what the blocks raise.
    """
    check_features_path(path, labels, ids)
    shape, dtype = (len(labels), dim), np.dtype(dtype).newbyteorder("<")

    def write(file: IO[bytes]) -> None:
        with _on_the_disk(file):
            if path.suffix == ".npy":
                _write_npy(file, blocks, shape, dtype)
            elif path.suffix == ".npz":
                _write_npz(file, blocks, labels, shape, dtype)
            elif path.suffix == ".safetensors":
                _write_safetensors(file, blocks, labels, shape, dtype)
            else:
                write_parquet(file, iter(blocks), labels, dim)

    # rows first: where one cannot be used, nothing is left behind
    write_atomically(path, write)
    if path.suffix == ".npy":
        write_atomically(labels_path(path), lambda file: np.save(file, labels, allow_pickle=False))
    if ids is not None:
        write_atomically(ids_path(path), lambda file: np.save(file, ids, allow_pickle=False))


@contextmanager
def _on_the_disk(file: IO[bytes]) -> Iterator[None]:
    """At the end all that was written is on the disk; it goes there while more is computed, so nobody waits for it."""
    done = Event()

    def flush() -> None:
        while not done.wait(FLUSHED_EVERY):
            os.fsync(file.fileno())

    with ThreadPoolExecutor(1) as pool:
        flushed = pool.submit(flush)
        try:
            yield
        finally:
            done.set()
        flushed.result()
    file.flush()
    os.fsync(file.fileno())


def check_features_path(path: Path, labels: ndarray, ids: ndarray | None = None) -> None:
    """Raise ValueError unless features with such labels and ids can be written to such a path."""
    if path.suffix not in READERS:
        raise ValueError(f"{path}: features are written to one of {', '.join(READERS)}, got suffix {path.suffix!r}.")
    if path.suffix == ".safetensors" and labels.dtype.kind not in "iu":
        raise ValueError(f"{path}: labels must be integers in .safetensors, got {labels.dtype}.")
    if ids is None and ids_path(path).exists():
        raise ValueError(f"{ids_path(path)}: is there and would be taken for the ids of {path.name}; remove it.")


def _write_npy(file: IO[bytes], blocks: Blocks, shape: tuple[int, int], dtype: np.dtype) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_2_0(file, header)
    _write_rows(file, blocks, dtype)


def _write_npz(file: IO[bytes], blocks: Blocks, labels: ndarray, shape: tuple[int, int], dtype: np.dtype) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        with archive.open("features.npy", "w", force_zip64=True) as member:
            _write_npy(member, blocks, shape, dtype)
        with archive.open("labels.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array(member, labels, allow_pickle=False)


def _write_safetensors(
    file: IO[bytes], blocks: Blocks, labels: ndarray, shape: tuple[int, int], dtype: np.dtype
) -> None:
    size = shape[0] * shape[1] * dtype.itemsize
    fields = {
        "features": {"dtype": _SAFETENSORS[dtype.str[1:]], "shape": shape, "data_offsets": (0, size)},
        "labels": {
            "dtype": _SAFETENSORS[labels.dtype.str[1:]],
            "shape": labels.shape,
            "data_offsets": (size, size + labels.nbytes),
        },
    }
    header = json.dumps(fields).encode()
    header += b" " * (-len(header) % 8)
    file.write(len(header).to_bytes(8, "little") + header)
    _write_rows(file, blocks, dtype)
    file.write(labels.astype(labels.dtype.newbyteorder("<"), copy=False).tobytes())


def _write_rows(file: IO[bytes], blocks: Blocks, dtype: np.dtype) -> None:
    for block in blocks:
        file.write(np.ascontiguousarray(block, dtype).data)

"""Features written block by block, so that they need not fit in memory; a file appears whole or not at all."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Event
from typing import IO, Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from theory.files import Write, write_together
from verification.features.columns import Columns
from verification.features.files.arrays import SAFETENSORS
from verification.features.files.sidecars import sidecar, sidecars
from verification.features.files.tables import write_parquet

WRITTEN = (".npz", ".npy", ".safetensors", ".parquet")
FLUSHED_EVERY = 0.25  # seconds
Blocks = Iterable[Float[ndarray, "rows dim"]]
_CODES = {dtype.str[1:]: code for code, dtype in SAFETENSORS.items()}


def write_features(path: Path, blocks: Blocks, columns: Columns, shape: tuple[int, int], dtype: Any) -> None:
    """Write rows as they come with their columns, as :meth:`verification.features.FeatureSet.load` reads them.

    Parameters
    ----------
    path : Path
        ``.npz``, ``.safetensors`` (integer columns), ``.parquet`` or ``.npy``, whose columns go beside it.
    blocks : iterable of ndarray
        Rows in order, N in all.
    columns : Columns
        Of N rows.
    shape : (int, int)
        (N, d).
    dtype : numpy dtype
        Of the rows.

    Raises
    ------
    ValueError
        See :func:`check_features_path`, or what the blocks raise.
    """
    check_features_path(path, columns)
    dtype = np.dtype(dtype).newbyteorder("<")

    def write(file: IO[bytes]) -> None:
        with _on_the_disk(file):
            if path.suffix == ".npy":
                _write_npy(file, blocks, shape, dtype)
            elif path.suffix == ".npz":
                _write_npz(file, blocks, columns, shape, dtype)
            elif path.suffix == ".safetensors":
                _write_safetensors(file, blocks, columns, shape, dtype)
            else:
                write_parquet(file, iter(blocks), columns, shape[1])

    files: dict[Path, Write] = {path: write}
    if path.suffix == ".npy":
        for name, column in columns.named.items():
            files[sidecar(path, name)] = partial(np.save, arr=column, allow_pickle=False)
    write_together(files)


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


def check_features_path(path: Path, columns: Columns) -> None:
    """Raise ValueError unless features with such columns can be written to such a path."""
    if path.suffix not in WRITTEN:
        raise ValueError(f"{path}: features are written to one of {', '.join(WRITTEN)}, got suffix {path.suffix!r}.")
    if columns.label_lists is not None and path.suffix != ".parquet":
        raise ValueError(f"{path}: rows with several labels are written to .parquet, got suffix {path.suffix!r}.")
    for name, column in columns.named.items():
        if path.suffix == ".safetensors" and column.dtype.kind not in "iub":
            raise ValueError(f"{path}: {name} must be integers in .safetensors, got {column.dtype}.")
    if path.suffix == ".npy":
        for name, beside in sidecars(path).items():
            if name not in columns.named:
                raise ValueError(f"{beside}: is there and would be taken for the {name} of {path.name}; remove it.")


def _write_npy(file: IO[bytes], blocks: Blocks, shape: tuple[int, int], dtype: np.dtype) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_2_0(file, header)
    _write_rows(file, blocks, dtype)


def _write_npz(file: IO[bytes], blocks: Blocks, columns: Columns, shape: tuple[int, int], dtype: np.dtype) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        with archive.open("features.npy", "w", force_zip64=True) as member:
            _write_npy(member, blocks, shape, dtype)
        for name, column in columns.named.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, column, allow_pickle=False)


def _write_safetensors(
    file: IO[bytes], blocks: Blocks, columns: Columns, shape: tuple[int, int], dtype: np.dtype
) -> None:
    end = shape[0] * shape[1] * dtype.itemsize
    fields: dict[str, Any] = {"features": (dtype, shape, (0, end))}
    for name, column in columns.named.items():
        fields[name] = (column.dtype, column.shape, (end, end := end + column.nbytes))
    described = {
        name: {"dtype": _CODES[kind.str[1:]], "shape": size, "data_offsets": span}
        for name, (kind, size, span) in fields.items()
    }
    header = json.dumps(described).encode()
    header += b" " * (-len(header) % 8)
    file.write(len(header).to_bytes(8, "little") + header)
    _write_rows(file, blocks, dtype)
    for column in columns.named.values():
        file.write(column.astype(column.dtype.newbyteorder("<"), copy=False).tobytes())


def _write_rows(file: IO[bytes], blocks: Blocks, dtype: np.dtype) -> None:
    for block in blocks:
        file.write(np.ascontiguousarray(block, dtype).data)

"""Columns ``features`` and ``labels`` of a Parquet file, decoded batch by batch (pyarrow, the extra ``parquet``)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy import ndarray

from verification.files.shards import Fill, Shard, check_features, check_names


def read_parquet(path: Path) -> Shard:
    """Open a file: ``features`` a column of lists of one length, ``labels`` a column of integers or strings."""
    pa, parquet = _pyarrow()
    types = pa.types
    with _complaints_of_arrow(path), parquet.ParquetFile(path) as file:
        check_names(file.schema_arrow.names)
        kind = file.schema_arrow.field("features").type
        if not (types.is_fixed_size_list(kind) or types.is_list(kind) or types.is_large_list(kind)):
            raise ValueError(f"features must be a column of lists of one length, got {kind}.")
        if not types.is_floating(kind.value_type):
            raise ValueError(f"features must be float16, float32 or float64, got {kind.value_type}.")
        if not file.metadata.num_rows:
            raise ValueError("features must have shape (N, d) with N, d >= 1, got no rows.")
        dtype = np.dtype(kind.value_type.to_pandas_dtype())
        if types.is_fixed_size_list(kind):
            dim = kind.list_size
        else:  # many writers know lists of any length only: the first row has to tell
            dim = len(next(file.iter_batches(1, columns=["features"])).column(0).flatten())
        labels = _parquet_labels(file.read(columns=["labels"]).column(0))
    shape = (file.metadata.num_rows, dim)
    check_features(shape, dtype)
    return Shard(path, shape, dtype, labels, partial(_open_parquet, path, dim, dtype))


def _parquet_labels(column: Any) -> ndarray:
    from pyarrow import types

    kind = column.type.value_type if types.is_dictionary(column.type) else column.type
    if column.null_count:
        raise ValueError(
            f"labels must not be missing, but {column.null_count} of {len(column)} are, "
            f"the first is row {_first_null(column)}."
        )
    if types.is_integer(kind):
        return column.cast(kind).to_numpy()
    if not (types.is_string(kind) or types.is_large_string(kind)):
        raise ValueError(f"labels must be integers or strings, got {kind}.")
    encoded = column.cast(kind).combine_chunks().dictionary_encode()
    return np.array(encoded.dictionary.to_pylist(), dtype=str)[encoded.indices.to_numpy()]


def _first_null(column: Any) -> int:
    return int(np.argmax(column.is_null().to_numpy(zero_copy_only=False)))


@contextmanager
def _open_parquet(path: Path, dim: int, dtype: np.dtype) -> Iterator[Fill]:
    from pyarrow import parquet

    # by default all row groups would be fetched ahead, the whole file in memory
    options = {"pre_buffer": False, "buffer_size": 2**20}
    with _complaints_of_arrow(path), parquet.ParquetFile(path, **options) as file:
        batches = file.iter_batches(max(1, 2**21 // (dim * dtype.itemsize)), columns=["features"], use_threads=False)
        held = np.empty((0, dim), dtype)
        start = 0

        def fill(out: ndarray) -> None:
            nonlocal held, start
            done = 0
            while done < len(out):
                if not len(held):
                    batch = next(batches, None)
                    if batch is None:
                        raise ValueError(f"{path}: ends before its last row.")
                    held = _parquet_rows(path, batch.column(0), start, dim)
                    start += len(held)
                some = held[: len(out) - done]
                out[done : done + len(some)] = some
                held = held[len(some) :]
                done += len(some)

        yield fill


def _parquet_rows(path: Path, column: Any, start: int, dim: int) -> ndarray:
    """The lists of one batch as rows; ``start`` is the row at which it begins."""
    if column.null_count:
        raise ValueError(f"{path}: features must not be missing, but row {start + _first_null(column)} is.")
    lengths = column.value_lengths().to_numpy()
    if np.any(lengths != dim):
        row = int(np.argmax(lengths != dim))
        raise ValueError(
            f"{path}: features must be lists of one length, {dim}, but row {start + row} has {lengths[row]}."
        )
    values = column.flatten()
    if values.null_count:
        row = _first_null(values) // dim
        raise ValueError(f"{path}: features must not be missing, but row {start + row} has a null.")
    return values.to_numpy().reshape(-1, dim)


def write_parquet(file: IO[bytes], blocks: Iterator[ndarray], labels: ndarray, dim: int) -> None:
    """Write the columns ``features`` and ``labels``, block by block."""
    pa, parquet = _pyarrow()
    kind = pa.array(labels[:1]).type
    start, writer = 0, None
    for block in blocks:
        features = pa.FixedSizeListArray.from_arrays(pa.array(block.reshape(-1)), dim)
        table = pa.table({"features": features, "labels": pa.array(labels[start : start + len(block)], kind)})
        writer = writer or parquet.ParquetWriter(file, table.schema)
        writer.write_table(table)
        start += len(block)
    if writer:
        writer.close()


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise ValueError(".parquet needs pyarrow: pip install 'stationary-representations[parquet]'.") from None
    return pyarrow, parquet


@contextmanager
def _complaints_of_arrow(path: Path) -> Iterator[None]:
    from pyarrow import ArrowException

    try:
        yield
    except (ArrowException, OSError) as error:
        raise ValueError(f"{path}: is not a readable .parquet file ({error}).") from None

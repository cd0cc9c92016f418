"""Rows that come as Arrow record batches: tables in files, by ``pyarrow.dataset``, and stores behind a connection.

A vector is a list of floats or of int8, a text with a JSON list, or a series of columns ``f0``, ``f1``, …
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from typing import IO, TYPE_CHECKING, Any, Protocol, TypeVar, cast

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from numpy import ndarray

from verification.features.columns import SEPARATOR, Columns, Names
from verification.features.files.shards import Fill, Shard, check_features
from verification.features.selection import Selection

if TYPE_CHECKING:
    import pyarrow as pa

Id = int | str
Watch = Callable[[str, str, int, int | None], Any]

BATCH_BYTES = 2**21
_LONGEST = 2**23  # bytes of a line
# what Arrow says before it says what is wrong
_WHERE = re.compile(r"^Error creating dataset\. .* input source '.*': (Invalid: )?")
_DEEPEST = 64  # brackets in a line of JSON
# what each byte adds to the depth: 1, −1, 0 at the end of a line; bytes that say nothing are left out
_NO_OBJECT = re.compile(rb"\n[ \t\r]*[^ \t\r\n{]")
_NO_STEPS = bytes(set(range(256)) - set(b"[{]}\n"))
_STEPS = bytes({ord("["): 1, ord("{"): 1, ord("]"): 255, ord("}"): 255}.get(byte, 0) for byte in range(256))
# seconds before each further try; a server that restarts is back within this minute
DELAYS = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
FORMATS = {
    ".parquet": "parquet",
    ".feather": "ipc",
    ".arrow": "ipc",
    ".jsonl": "json",
    ".ndjson": "json",
    ".csv": "csv",
}
# seconds a store may take to give a batch; before the first it may have to sort its rows
PATIENCE = 300.0
_watches: list[Watch] = []
T = TypeVar("T")


class ConnectionLost(ConnectionError):
    """A store does not answer; the message is one sentence that begins with its name."""


class Table(Protocol):
    """Rows in an order that is always the same. It can be pickled: no connection and no open file is part of it.

    One that is ``live`` can lose its connection and can change: it has a column ``id``, in ascending order, and goes on
    after any id. One that can be asked for single rows has ``fetch(columns, rows, index)`` too, which yields batches of
    about ``rows`` of the rows at the rising positions ``index``; a sample is then not read from all rows.
    """

    @property
    def name(self) -> str:
        """The table as messages show it, without a password."""

    @property
    def live(self) -> bool:
        """Whether it is read again from the last id on when a connection is lost, and ids are compared on the way."""

    def describe(self) -> tuple[Mapping[str, pa.DataType], tuple[str, ...]]:
        """Look at what is there: columns and their types, and what a user should know of how they are stored."""

    def batches(self, columns: Sequence[str], rows: int, after: Id | None = None) -> Iterator[pa.RecordBatch]:
        """Read some columns, about ``rows`` rows at a time."""


Fetch = Callable[[Sequence[str], int, Int[ndarray, " m"]], Generator["pa.RecordBatch"]]


@dataclass(frozen=True)
class TableFile:
    """A table in one file, on this machine or wherever fsspec reaches.

    Attributes
    ----------
    name : str
        Path or URL, as messages show it.
    path : str
        Where it is in the file system.
    filesystem : pyarrow.fs.FileSystem or None
        None for this machine's.
    """

    name: str
    path: str
    filesystem: Any = None
    live = False

    def describe(self) -> tuple[Mapping[str, pa.DataType], tuple[str, ...]]:
        """Column names and types."""
        return {field.name: field.type for field in self._dataset().schema}, ()

    def batches(self, columns: Sequence[str], rows: int, after: Id | None = None) -> Iterator[pa.RecordBatch]:
        """Read some columns."""
        from pyarrow import dataset

        opened = self._dataset()
        if isinstance(opened, _Stream):
            read = opened.batches(columns)
        else:
            options = {"columns": list(columns), "batch_size": rows, "batch_readahead": 1, "fragment_readahead": 1}
            if isinstance(opened.format, dataset.ParquetFileFormat):
                options["fragment_scan_options"] = _not_ahead()
            read = opened.scanner(**options, use_threads=False).to_batches()
        for batch in read:
            if isinstance(opened, _Stream) or opened.format.default_extname == "arrow":
                batch.validate(full=True)  # what is used as it lies in the file, offsets into memory among it
            yield batch

    @property
    def fetch(self) -> Fetch | None:
        """What reads rows at sorted positions out of the row groups that hold them; None where a file has no such."""
        return self._fetch if FORMATS[self.path[self.path.rindex(".") :]] == "parquet" else None

    def _fetch(self, columns: Sequence[str], rows: int, index: Int[ndarray, " m"]) -> Generator[pa.RecordBatch]:
        (fragment,) = self._dataset().get_fragments()
        ends = np.cumsum([group.num_rows for group in fragment.row_groups])
        wanted = np.unique(np.searchsorted(ends, index, side="right"))
        # positions among the rows of these row groups
        sizes = np.diff(ends, prepend=0)[wanted]
        before = ends[wanted] - sizes - (np.cumsum(sizes) - sizes)
        index = index - before[np.searchsorted(ends[wanted], index, side="right")]
        some = fragment.subset(row_group_ids=wanted.tolist())
        first = 0
        options = {"columns": list(columns), "batch_size": rows, "batch_readahead": 1}
        for batch in some.to_batches(**options, fragment_scan_options=_not_ahead(), use_threads=False):
            low, high = np.searchsorted(index, [first, first + len(batch)])
            if low < high:
                yield batch.take(index[low:high] - first)
            first += len(batch)

    def check(self) -> Iterator[int]:
        """Read what has to be sound before Arrow may see it, and give the bytes of each block.

        Its reader of JSON ends the process at a file that begins with ``null``, and where its stack overflows.

        Raises
        ------
        ValueError
            Where a line of JSON is no object, or nested deeper than any row is.
        """
        from pyarrow import fs

        if FORMATS[self.path[self.path.rindex(".") :]] != "json":
            return
        depth, blank = 0, b"\n"  # of the line so far; its beginning, as long as nothing else is in it
        with (self.filesystem or fs.LocalFileSystem()).open_input_stream(self.path) as stream:
            while block := stream.read(2**22):
                text = blank + block
                if _NO_OBJECT.search(text):
                    raise ValueError("must have one JSON object a line.")
                end = text.rfind(b"\n")
                blank = b"" if end < 0 or text[end:].strip() else b"\n"
                marks = np.frombuffer(block.translate(_STEPS, _NO_STEPS), np.int8)
                depths = depth + np.cumsum(marks, dtype=np.int64)
                ends = np.flatnonzero(marks == 0)  # of lines, where the depth begins anew
                base = np.zeros(len(marks), np.int64)
                if len(ends):
                    base[ends] = np.diff(depths[ends], prepend=0)
                    base = np.cumsum(base)
                depths -= base
                if len(depths):
                    if depths.max() > _DEEPEST:
                        raise ValueError(f"must have rows of JSON nested at most {_DEEPEST} deep.")
                    depth = int(depths[-1])
                yield len(block)

    def _dataset(self) -> Any:
        """The file as a dataset; integers in the lists of a JSON file are read as floats."""
        import pyarrow as pa
        from pyarrow import csv, dataset, fs
        from pyarrow import json as json_of_arrow

        system = self.filesystem or fs.LocalFileSystem()
        kind: Any = FORMATS[self.path[self.path.rindex(".") :]]
        if kind == "ipc":
            with system.open_input_stream(self.path) as stream:
                if stream.read(6) != b"ARROW1":
                    return _Stream(partial(system.open_input_stream, self.path))
        if kind == "csv":
            nulls = csv.ConvertOptions(null_values=[""], strings_can_be_null=True)
            kind = dataset.CsvFileFormat(convert_options=nulls, read_options=csv.ReadOptions(block_size=_LONGEST))
        lists = kind == "json"
        if lists:
            kind = dataset.JsonFileFormat(read_options=json_of_arrow.ReadOptions(block_size=_LONGEST))
        try:
            opened = dataset.dataset(self.path, format=kind, filesystem=system)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:  # what is wrong, without where Arrow looked
            raise ValueError(_WHERE.sub("", " ".join(str(error).split()))) from None
        if not lists:
            return opened
        floats = [
            field.with_type(pa.list_(pa.float64()))
            if is_list(field.type) and pa.types.is_integer(field.type.value_type)
            else field
            for field in opened.schema
        ]
        return dataset.dataset(self.path, format=kind, filesystem=system, schema=pa.schema(floats))


def _not_ahead() -> Any:
    """Options of Parquet; by default all row groups would be fetched ahead, the whole file in memory."""
    from pyarrow import dataset

    return dataset.ParquetFragmentScanOptions(use_buffered_stream=True, buffer_size=2**20, pre_buffer=False)


@dataclass(frozen=True)
class _Stream:
    """Arrow's format of streams, which is what Hugging Face's datasets are kept in and no dataset of pyarrow's."""

    open: Callable[[], Any]

    @property
    def schema(self) -> pa.Schema:
        from pyarrow import ipc

        with self.open() as file, ipc.open_stream(file) as stream:
            return stream.schema

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        from pyarrow import ipc

        with self.open() as file, ipc.open_stream(file) as stream:
            for batch in stream:
                yield batch.select(list(columns))


def open_table(table: Table, names: Names, asked: str = "") -> tuple[Shard, Columns]:
    """Open the rows of a table: its columns are read here, vectors batch by batch when they are asked for.

    ``asked`` is the filter, in words, of a table that filters by itself.
    """
    from pyarrow import types

    if isinstance(table, TableFile):
        with closing(in_time(table, table.check)) as checked:
            for _ in checked:
                pass
    with InTime(table.name, _bounded(table), table.live) as ask:
        kinds, remarks = ask(table.describe)
    if kinds and all(types.is_null(kind) for kind in kinds.values()):
        raise ValueError("features must have shape (N, d) with N, d >= 1, got names of columns and no row.")
    series = _series(kinds)
    single = {name: kind for name, kind in kinds.items() if not any(name in some for some in series.values())}
    vectors = [name for name, kind in single.items() if is_list(kind) and _is_number(kind.value_type)]
    shown = single | {name: f"{some[0]} … {some[-1]}" for name, some in series.items()}
    chosen = names.choose(shown, [*vectors, *series], "columns")
    parts = series.get(chosen.features, [chosen.features])
    dim, dtype = _layout(table, parts, kinds)
    # of a store, rows are recognised by their ids when they are read again
    key = None if isinstance(table, TableFile) else chosen.columns.get("ids")
    selection = names.rows or Selection()
    read = _Pass(table, chosen.columns, parts, key, selection)
    if key is not None and not read.count:
        raise ValueError(f"must hold rows{asked and f' with {asked}'}, got none.")
    columns = read.columns(names.separator)
    check_features((read.count, dim), dtype)
    layout = _Layout(table, tuple(parts), key, dim, dtype, selection.complete)
    rows = partial(_open_rows, layout, columns.ids if key else None)
    fetch: Fetch | None = getattr(table, "fetch", None)
    shard = Shard(
        table.name,
        (read.count, dim),
        dtype,
        rows,
        seek=rows if key and table.live else None,
        take=None if fetch is None else partial(_open_fetched, layout, fetch),
        remarks=(*remarks, *chosen.remarks),
        stored=_code_dtype(kinds[parts[0]]),
    )
    return selection.apply(shard, columns, read.filters, read.vectors)


def _series(kinds: Mapping[str, pa.DataType]) -> dict[str, list[str]]:
    """Columns of numbers that are called by one name and 0, 1, …, in this order."""
    from pyarrow import types

    found: dict[str, dict[int, str]] = {}
    for name, kind in kinds.items():
        # where all numbers happen to be whole, a text has a column of integers among those of floats
        if (match := re.fullmatch(r"(.*?)(\d+)", name)) and (_is_number(kind) or types.is_int64(kind)):
            found.setdefault(match[1], {})[int(match[2])] = name
    return {
        name: [some[number] for number in range(len(some))]
        for name, some in found.items()
        if len(some) > 1
        and set(some) == set(range(len(some)))
        and any(_is_number(kinds[each]) for each in some.values())
    }


def _layout(table: Table, parts: Sequence[str], kinds: Mapping[str, pa.DataType]) -> tuple[int, np.dtype]:
    from pyarrow import types

    if len(parts) > 1:
        whole = [types.is_int64(kinds[name]) for name in parts]
        return len(parts), np.result_type(
            *(np.float64 if w else _dtype(kinds[n]) for n, w in zip(parts, whole, strict=True))
        )
    kind = kinds[parts[0]]
    text = types.is_string(kind) or types.is_large_string(kind)
    if not (text or is_list(kind)):
        raise ValueError(f"features must be a column of lists of one length, got {kind}.")
    dtype = np.dtype(np.float64) if text else _dtype(kind.value_type)
    if types.is_fixed_size_list(kind):
        return kind.list_size, dtype
    # many writers know lists of any length only: the first vector has to tell
    with closing(resumed(table, parts, 1, None)) as batches:
        for batch in batches:
            if len(some := batch.column(0).drop_null()):
                return len(_lists(some[:1]).flatten()), dtype
    raise ValueError("features must have shape (N, d) with N, d >= 1, got no vector.")


def _code_dtype(kind: pa.DataType) -> np.dtype | None:
    """int8 or uint8, of lists of such codes; else None."""
    if not is_list(kind) or kind.value_type.bit_width != 8:
        return None
    return _of_numpy(kind.value_type)


def _dtype(kind: pa.DataType) -> np.dtype:
    """The dtype of features of such a type; int8 and whole columns of integers are exact in it."""
    from pyarrow import types

    if types.is_int8(kind) or types.is_uint8(kind):
        return np.dtype(np.float32)
    if not types.is_floating(kind):
        raise ValueError(f"features must be float16, float32, float64 or int8, got {kind}.")
    return _of_numpy(kind)


def _of_numpy(kind: pa.DataType) -> np.dtype:
    """The dtype of numbers of such a type; pyarrow's own table of them needs pandas before release 26."""
    import pyarrow as pa

    return pa.array([], kind).to_numpy(zero_copy_only=False).dtype


class _Pass:
    """One pass over the columns of a table: all but the vectors, of which only which are missing is read.

    Attributes
    ----------
    count : int
        Rows.
    filters : dict
        The columns that rows are chosen by.
    vectors : ndarray of bool, shape (N,), or None
        Which rows have a vector, where incomplete rows are left out; otherwise that is seen when vectors are read.
    """

    def __init__(
        self, table: Table, chosen: Mapping[str, str], parts: Sequence[str], key: str | None, selection: Selection
    ) -> None:
        self._live, self._chosen, self._key = table.live, chosen, key
        by = selection.where.columns
        wanted = list(dict.fromkeys((*chosen.values(), *by, *(parts if selection.complete else ())))) or [*parts[:1]]
        chunks: dict[str, list[Any]] = {name: [] for name in (*chosen.values(), *by)}
        present = []
        self.count = 0
        with closing(resumed(table, wanted, 2**12, key)) as batches:
            for batch in batches:
                self.count += len(batch)
                for name, some in chunks.items():
                    some.append(batch.column(name))
                if selection.complete:
                    present.append(_present(batch, parts))
                if key is not None:
                    tell(table.name, "labels", self.count)
        self._read = {name: _joined(some, name) for name, some in chunks.items()}
        self.filters = {name: self._read[name] for name in by}
        self.vectors = np.concatenate(present) if present else None

    def columns(self, separator: str | None) -> Columns:
        """Labels, ids and groups, checked."""
        found = {what: self._read[name] for what, name in self._chosen.items()}
        columns = Columns.of(self.count, **found, separator=separator)
        if self._live and self._key is not None and columns.ids is not None:
            wrong = np.flatnonzero(columns.ids[1:] <= columns.ids[:-1])
            if len(wrong):
                before, after = columns.ids[wrong[0] : wrong[0] + 2].tolist()
                raise ValueError(f"ids must be unique and given in ascending order, but {after!r} follows {before!r}.")
        return columns


def _joined(chunks: Sequence[Any], name: str) -> Any:
    """A column out of those of batches, whose types may differ by what happens to be in each."""
    import pyarrow as pa

    kinds = {chunk.type for chunk in chunks} - {pa.null()}
    kind = next(iter(kinds), pa.int64())
    if len(kinds) > 1:
        whole = pa.uint64() if pa.uint64() in kinds else pa.int64()
        wide = {whole if pa.types.is_integer(each) else pa.string() for each in kinds}
        if len(wide) > 1:
            raise ValueError(f"{name} must be all integers or all strings, got both.")
        kind = wide.pop()
    return pa.chunked_array([chunk.cast(kind) for chunk in chunks], kind)


@dataclass(frozen=True)
class _Layout:
    """How the vectors of a table become rows.

    Attributes
    ----------
    table : Table
    parts : tuple of str
        The column of vectors, or the columns of their numbers.
    key : str or None
        The column of ids by which rows of a store are recognised.
    dim, dtype
        Of the rows.
    incomplete : bool
        Whether a row without a vector becomes one of NaN, which nobody reads; otherwise it is refused.
    """

    table: Table
    parts: tuple[str, ...]
    key: str | None
    dim: int
    dtype: np.dtype
    incomplete: bool

    @property
    def at_once(self) -> int:
        """Rows of a batch."""
        return max(1, BATCH_BYTES // (self.dim * self.dtype.itemsize))

    def read(self, after: Id | None = None) -> Generator[pa.RecordBatch]:
        """Batches of vectors, with their ids where rows are recognised by them."""
        wanted = self.parts if self.key is None else (self.key, *self.parts)
        return resumed(self.table, wanted, self.at_once, self.key, after)

    def rows(self, batch: pa.RecordBatch, places: Sequence[int] | ndarray) -> Float[ndarray, "n dim"]:
        """The vectors of one batch, whose rows stand at these places."""
        present = _present(batch, self.parts)
        if not present.all():
            if not self.incomplete:
                raise ValueError(self._missing())
            rows = np.full((len(batch), self.dim), np.nan, self.dtype)
            rows[present] = self.rows(batch.filter(present), np.asarray(places)[present])
            return rows
        if len(self.parts) > 1:
            columns = [batch.column(name).to_numpy(zero_copy_only=False) for name in self.parts]
            return np.column_stack(columns).astype(self.dtype)
        lists = _lists(batch.column(self.parts[0]))
        lengths = lists.value_lengths().to_numpy()
        if np.any(lengths != self.dim):
            row = int(np.argmax(lengths != self.dim))
            raise ValueError(
                f"features must be lists of one length, {self.dim}, but row {places[row]} has {lengths[row]}."
            )
        values = lists.flatten()
        if values.null_count:
            row = _first_null(values) // self.dim
            raise ValueError(f"features must not be missing, but row {places[row]} has a null.")
        return values.to_numpy(zero_copy_only=False).reshape(-1, self.dim).astype(self.dtype, copy=False)

    def _missing(self) -> str:
        """How many rows have no vector: all of them are read once more."""
        count = missing = 0
        first = ""
        with closing(self.read()) as batches:
            for batch in batches:
                absent = np.flatnonzero(~_present(batch, self.parts))
                if len(absent) and not missing:
                    first = f"row {count + absent[0]}"
                    if self.key is not None:
                        first += f", with id {batch.column(self.key)[int(absent[0])].as_py()!r}"
                count += len(batch)
                missing += len(absent)
        return (
            f"features must not be missing, but {missing:,} of {count:,} rows have no vector, the first is {first}; "
            "drop_incomplete=True (--drop-incomplete) leaves them out."
        )


def _present(batch: pa.RecordBatch, parts: Sequence[str]) -> Bool[ndarray, " n"]:
    """Which rows of a batch have a vector."""
    present = np.ones(len(batch), bool)
    for name in parts:
        if batch.column(name).null_count:
            present &= batch.column(name).is_valid().to_numpy(zero_copy_only=False)
    return present


@contextmanager
def _open_rows(layout: _Layout, ids: Shaped[ndarray, " n"] | None, start: int = 0) -> Iterator[Fill]:
    after = ids[start - 1].item() if ids is not None and start else None
    position, held = start, np.empty((0, layout.dim), layout.dtype)
    with closing(layout.read(after)) as batches:

        def fill(out: ndarray) -> None:
            nonlocal position, held
            while len(out):
                if not len(held):
                    batch = next(batches, None)
                    if ids is not None:
                        some = [] if batch is None else batch.column(layout.key).to_pylist()
                        if not some or ids[position : position + len(some)].tolist() != some:
                            raise ValueError("its rows have changed while they were read; run again.")
                    if batch is None:
                        raise ValueError("ends before its last row.")
                    held = layout.rows(batch, range(position, position + len(batch)))
                    position += len(held)
                    if ids is not None:
                        tell(layout.table.name, "vectors", position, len(ids))
                part, held = held[: len(out)], held[len(out) :]
                out[: len(part)] = part
                out = out[len(part) :]

        yield fill


@contextmanager
def _open_fetched(layout: _Layout, fetch: Fetch, index: Int[ndarray, " m"], start: int = 0) -> Iterator[Fill]:
    held, position = np.empty((0, layout.dim), layout.dtype), start
    begin = partial(fetch, layout.parts, layout.at_once, index[start:])
    with closing(in_time(layout.table, begin)) as batches:

        def fill(out: ndarray) -> None:
            nonlocal held, position
            while len(out):
                if not len(held):
                    if (batch := next(batches, None)) is None:
                        raise ValueError("ends before its last row.")
                    held = layout.rows(batch, index[position : position + len(batch)])
                    position += len(held)
                part, held = held[: len(out)], held[len(out) :]
                out[: len(part)] = part
                out = out[len(part) :]

        yield fill


def _lists(column: Any) -> Any:
    """A column of lists: of an extension type its storage, of a text what its JSON says."""
    import pyarrow as pa

    if isinstance(column, pa.ExtensionArray):
        return column.storage
    if is_list(column.type):
        return column
    try:
        return pa.array([json.loads(text) for text in column.to_pylist()], pa.list_(pa.float64()))
    except (ValueError, TypeError, pa.ArrowException):
        raise ValueError("features must be lists of numbers in JSON, such as [0.5, 1.0].") from None


def is_list(kind: Any) -> bool:
    """Whether an Arrow type is one of lists."""
    from pyarrow import types

    return bool(types.is_fixed_size_list(kind) or types.is_list(kind) or types.is_large_list(kind))


def _is_number(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_floating(kind) or types.is_int8(kind) or types.is_uint8(kind))


def _first_null(column: Any) -> int:
    return int(np.argmax(column.is_null().to_numpy(zero_copy_only=False)))


def values_of(column: Any, what: str) -> tuple[Shaped[ndarray, " n"], Bool[ndarray, " n"] | None]:
    """Integers, floats or strings of an Arrow array, and which are there (None: all)."""
    import pyarrow as pa
    from pyarrow import types

    if types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    present = column.is_valid().to_numpy(zero_copy_only=False) if column.null_count else None
    kind = column.type
    if types.is_null(kind):
        return np.zeros(len(column), np.int64), present
    if types.is_integer(kind) or types.is_floating(kind):
        return column.fill_null(0).to_numpy(zero_copy_only=False), present
    if not (types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)):
        raise ValueError(f"{what} must be integers or strings, got {kind}.")
    encoded = column.dictionary_encode()
    names = np.array([*encoded.dictionary.to_pylist(), ""], dtype=str)
    return names[encoded.indices.fill_null(len(names) - 1).to_numpy()], present


def write_parquet(file: IO[bytes], blocks: Iterator[ndarray], columns: Columns, dim: int) -> None:
    """Write the features and the columns that are there, block by block; a missing label is a null."""
    import pyarrow as pa
    from pyarrow import parquet

    named = {name: column for name, column in columns.named.items() if name not in ("labelled", "label_lists")}
    kinds = {name: pa.array(column[:1]).type for name, column in named.items()}
    start, writer = 0, None
    for block in blocks:
        some = slice(start, start + len(block))
        table = {"features": pa.FixedSizeListArray.from_arrays(pa.array(block.reshape(-1)), dim)}
        for name, column in named.items():
            missing = ~columns.labelled[some] if name == "labels" and columns.labelled is not None else None
            table[name] = pa.array(column[some], kinds[name], mask=missing)
        if columns.label_lists is not None:
            lists = [text.split(SEPARATOR) if text else [] for text in columns.label_lists[some].tolist()]
            table["labels"] = pa.array(lists, pa.list_(pa.string()))
        written = pa.table(table)
        writer = writer or parquet.ParquetWriter(file, written.schema)
        writer.write_table(written)
        start += len(block)
    if writer:
        writer.close()


# ---- what is behind a connection


def resumed(
    table: Table, columns: Sequence[str], rows: int, key: str | None, after: Id | None = None
) -> Generator[pa.RecordBatch]:
    """Batches of a table; one that is live is asked again from the last id on when the connection is lost.

    Raises
    ------
    ConnectionLost
        After as many tries in a row as there are DELAYS.
    ConnectionError
        If nothing arrives in time.
    ValueError
        If a batch does not advance, so that reading would not end: it does not begin after the end of the one before,
        or, of a table that is not live, begins with a row that another began with.
    """
    tries, begun = 0, set[Id]()
    while True:
        try:
            with closing(in_time(table, partial(table.batches, columns, rows, after))) as batches:
                for batch in batches:
                    if key is not None:
                        first, before = batch.column(key)[0].as_py(), cast("Any", after)
                        if table.live:
                            if type(first) is type(before) and first <= before:
                                raise ValueError(
                                    f"ids must be unique and given in ascending order, but {first!r} follows {after!r}."
                                )
                            after, tries = batch.column(key)[-1].as_py(), 0
                        elif first in begun:
                            raise ValueError(f"does not advance: the page that begins with id {first!r} came twice.")
                        else:
                            begun.add(first)
                    yield batch
            return
        except ConnectionLost as error:
            if not table.live:
                raise
            if tries == len(DELAYS):
                raise ConnectionLost(f"{error} It was tried {tries} times more, over {sum(DELAYS):.0f} s.") from None
            tell(table.name, f"connection lost, try {tries + 1} of {len(DELAYS)}", 0)
            time.sleep(DELAYS[tries])
            tries += 1


def in_time(table: Table, begin: Callable[[], Iterator[Any]]) -> Generator[Any]:
    """What an iterator over a table gives, each in time; batches without rows are left out.

    Raises
    ------
    ConnectionError
        If nothing arrives in time.
    """
    with InTime(table.name, _bounded(table), table.live) as ask:
        batches = ask(begin)
        try:
            while (batch := ask(partial(next, batches, None))) is not None:
                if isinstance(batch, int) or len(batch):
                    yield batch
        finally:
            # what a store opened in a thread it may have to close there
            if hasattr(batches, "close"):
                ask.last(batches.close)


def _bounded(table: Table) -> bool:
    """Whether reading may stall: of everything but files of this machine."""
    return not isinstance(table, TableFile) or table.filesystem is not None


class InTime:
    """Within, calls are answered in time: what may stall is asked in one thread, which is left when it does.

    The object that the block is given is called with what to call, and returns what that gives, or raises
    ConnectionError if it takes longer than PATIENCE.
    """

    def __init__(self, name: str, bounded: bool = True, sorts: bool = False) -> None:
        self._name, self._bounded, self._sorts = name, bounded, sorts
        self._calls: SimpleQueue[tuple[Callable[[], Any], SimpleQueue[Any]] | None] = SimpleQueue()
        self._stalled = False

    def __enter__(self) -> InTime:
        if self._bounded:
            threading.Thread(target=self._work, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._calls.put(None)

    def __call__(self, call: Callable[[], T]) -> T:
        if not self._bounded:
            return call()
        answer: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
        self._calls.put((call, answer))
        try:
            found, error = answer.get(timeout=PATIENCE)
        except Empty:
            self._stalled = True
            raise ConnectionError(
                f"{self._name}: nothing arrived for {PATIENCE:.0f} s; the store stalls"
                + (
                    ", or sorts more rows than it can in that time, which an index on the ids avoids." * self._sorts
                    or "."
                )
            ) from None
        if error is not None:
            raise error
        return cast("T", found)

    def last(self, call: Callable[[], object]) -> None:
        """Call what ends a stream, unless its thread was left."""
        if not self._stalled:
            self(call)

    def _work(self) -> None:
        while (asked := self._calls.get()) is not None:
            call, answer = asked
            try:
                answer.put((call(), None))
            except BaseException as error:  # raised again by whoever asked
                answer.put((None, error))


@contextmanager
def watching(watch: Watch) -> Iterator[None]:
    """Within, ``watch(source, what, done, total)`` is called as rows arrive in this process; total may be None."""
    _watches.append(watch)
    try:
        yield
    finally:
        _watches.remove(watch)


def tell(name: str, what: str, done: int, total: int | None = None) -> None:
    """Report to whoever is watching."""
    for watch in _watches:
        watch(name, what, done, total)

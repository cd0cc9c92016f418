"""Files that hold arrays by name: ``.npz``, ``.npy``, ``.safetensors``, ``.h5`` and ``.pt``.

What a file says of its arrays is checked before any is read. Rows lie at an offset in ``.npy``, ``.safetensors`` and
uncompressed ``.npz``; compressed ones are decoded from their beginning. Nothing is unpickled.
"""

from __future__ import annotations

import json
import math
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from theory.extras import require
from theory.files import check_memory
from verification.features.columns import Columns, Names, check_column
from verification.features.files.shards import (
    BFLOAT16,
    Checksum,
    Fill,
    Shape,
    Shard,
    array_shard,
    check_features,
    deflated_shard,
    flat_shard,
    given_dtype,
    is_code,
)
from verification.features.files.sidecars import sidecars

SAFETENSORS: dict[str, np.dtype] = {
    "F16": np.dtype("<f2"), "F32": np.dtype("<f4"), "F64": np.dtype("<f8"), "BOOL": np.dtype(bool),
    **{f"{kind.upper()}{8 * size}": np.dtype(f"<{kind}{size}") for kind in "iu" for size in (1, 2, 4, 8)},
}  # fmt: skip


@dataclass(frozen=True)
class Arrays:
    """The arrays of a file.

    Attributes
    ----------
    there : mapping
        Shape and dtype of each, by name.
    rows : callable
        Returns the shard of one, by name.
    column : callable
        Reads one, by name.
    kind : str
        What they are called.
    """

    there: Mapping[str, tuple[Shape, np.dtype]]
    rows: Callable[[str], Shard]
    column: Callable[[str], Any]
    kind: str = "arrays"


def open_arrays(arrays: Arrays, names: Names) -> tuple[Shard, Columns]:
    """Choose the arrays, check what is known of them, and read the columns."""
    name, columns, remarks = _chosen(arrays, names)
    shard = replace(arrays.rows(name), remarks=remarks)
    whole = Columns.of(len(shard), **columns, separator=names.separator)
    return names.rows.apply(shard, whole, filters_of(arrays, names), None) if names.rows else (shard, whole)


def filters_of(arrays: Arrays, names: Names) -> dict[str, Any]:
    """The arrays by which rows are chosen; ValueError where one is no column."""
    found = {name: arrays.column(name) for name in (names.rows.where.columns if names.rows else ())}
    for name in found:
        if len(arrays.there[name][0]) != 1:
            raise ValueError(f"{name!r} must have shape (N,) to choose rows by, got {arrays.there[name][0]}.")
    return found


def _chosen(arrays: Arrays, names: Names) -> tuple[str, dict[str, Any], tuple[str, ...]]:
    """The name of the features, the columns read, and what to say of the choice."""
    shown = {name: f"{dtype} of shape {shape}" for name, (shape, dtype) in arrays.there.items()}
    kinds = {name: dtype for name, (shape, dtype) in arrays.there.items() if len(shape) == 2}
    vectors = [name for name, dtype in kinds.items() if dtype.kind == "f"]
    vectors = vectors or [name for name, dtype in kinds.items() if is_code(dtype)]
    chosen = names.choose(shown, vectors, arrays.kind)
    shape, dtype = arrays.there[chosen.features]
    check_features(shape, dtype)
    for what, name in chosen.columns.items():
        check_column(*arrays.there[name], what, shape[0])
    return chosen.features, {what: arrays.column(name) for what, name in chosen.columns.items()}, chosen.remarks


# ---- .npy and .npz


@dataclass(frozen=True)
class _Header:
    shape: Shape
    dtype: np.dtype
    fortran: bool
    start: int

    @classmethod
    def read(cls, stream: IO[bytes]) -> _Header:
        version = np.lib.format.read_magic(stream)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"is .npy of version {version}, readable are 1.0 and 2.0.")
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(stream)
        return cls(shape, dtype, fortran, stream.tell())

    @property
    def size(self) -> int:
        """Bytes of the numbers."""
        return math.prod(self.shape) * self.dtype.itemsize

    def check(self, size: int) -> None:
        """Raise ValueError unless a file of so many bytes holds what the header says."""
        if self.dtype.hasobject:
            raise ValueError("Object arrays cannot be loaded: nothing is unpickled; np.asarray(labels, str) can be.")
        if self.size != (found := size - self.start):
            takes = f"{self.dtype} of shape {self.shape} takes {self.size} bytes"
            raise ValueError(f"is truncated or damaged: {takes}, it holds {found}.")


def _column(stream: IO[bytes], size: int) -> ndarray:
    header = _Header.read(stream)
    header.check(size)
    check_memory(header.size, "an array")
    return np.frombuffer(stream.read(header.size), header.dtype).reshape(header.shape)


def npy_arrays(path: Path) -> Arrays:
    """The one array of a file, and what stands beside it."""
    return _beside(path, {"features": path})


def _beside(path: Path, own: dict[str, Path]) -> Arrays:
    files = own | sidecars(path)
    headers = {}
    for name, file in files.items():
        with open(file, "rb") as stream, _named(name, path, file):
            headers[name] = _Header.read(stream)
            headers[name].check(file.stat().st_size)

    def rows(name: str) -> Shard:
        header = headers[name]
        return flat_shard(path, header.start, header.shape, header.dtype, fortran=header.fortran)

    def column(name: str) -> ndarray:
        with open(files[name], "rb") as stream, _named(name, path, files[name]):
            return _column(stream, files[name].stat().st_size)

    return Arrays({name: (header.shape, header.dtype) for name, header in headers.items()}, rows, column)


@contextmanager
def _named(what: str, path: Path, file: Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, OSError) as error:
        if file == path:
            raise
        raise ValueError(f"{path}: its {what} in {file.name}: {error}") from None


def index_arrays(
    path: Path, shape: Shape, names: Names
) -> tuple[dict[str, ndarray], tuple[str, ...], dict[str, ndarray]]:
    """The columns beside an index of such a shape, what to say of their choice, and those to choose rows by."""
    beside = _beside(path, {})
    arrays = Arrays({"features": (shape, np.dtype(np.float32)), **beside.there}, beside.rows, beside.column)
    return *_chosen(arrays, names)[1:], filters_of(arrays, names)


def npz_arrays(path: Path) -> Arrays:
    """The members of an archive."""
    with zipfile.ZipFile(path) as archive:
        members = {m.filename.removesuffix(".npy"): m for m in archive.infolist() if m.filename.endswith(".npy")}
        headers = {}
        for name, member in members.items():
            if member.flag_bits & 1 or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError(f"{member.filename} is encrypted or compressed in a way that NumPy does not write.")
            with archive.open(member) as stream:
                headers[name] = _Header.read(stream)
            if not headers[name].dtype.hasobject:
                headers[name].check(member.file_size)

    def rows(name: str) -> Shard:
        member, header = members[name], headers[name]
        start = header.start
        if member.compress_type == zipfile.ZIP_DEFLATED:
            if header.fortran:  # its columns come one after the other: no row is there before all are
                array = column(name).reshape(header.shape[::-1]).T
                return replace(array_shard(array), path=path)
            return deflated_shard(path, member.filename, start, header.shape, header.dtype)
        with open(path, "rb") as file:
            file.seek(member.header_offset + 26)
            start += member.header_offset + 30 + sum(struct.unpack("<HH", file.read(4)))
        if start + header.size > path.stat().st_size:
            raise ValueError("is truncated or damaged: its directory says more than it holds.")
        with zipfile.ZipFile(path) as archive, archive.open(member) as stream:
            checksum = Checksum(zlib.crc32(stream.read(header.start)), member.CRC)
        shard = flat_shard(path, start, header.shape, header.dtype, fortran=header.fortran, checksum=checksum)
        return replace(shard, open=partial(_open_stored, path, member.filename, shard.open))

    def column(name: str) -> ndarray:
        with zipfile.ZipFile(path) as archive, archive.open(members[name]) as stream:
            return _column(stream, members[name].file_size)

    return Arrays({name: (header.shape, header.dtype) for name, header in headers.items()}, rows, column)


@contextmanager
def _open_stored(path: Path, member: str, rows: Callable[[], AbstractContextManager[Fill]]) -> Iterator[Fill]:
    """As ``rows``; when a row turns out unusable, a damaged file is the likelier cause and is told instead."""
    with rows() as fill:
        try:
            yield fill
        except ValueError:
            with zipfile.ZipFile(path) as archive, archive.open(member) as stream:
                while stream.read(2**20):  # at its end the sum is checked
                    pass
            raise


# ---- .safetensors, .h5 and .pt


def safetensors_arrays(path: Path) -> Arrays:
    """The tensors of a file."""
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as archive:
        slices = {name: archive.get_slice(name) for name in archive.keys()}  # noqa: SIM118
        codes = {name: part.get_dtype() for name, part in slices.items()}
        shapes = {name: tuple(part.get_shape()) for name, part in slices.items()}
    # NumPy has no bfloat16, which is read as float32, nor smaller floats
    kinds: dict[str, np.dtype] = {"BF16": np.dtype(np.float32), **SAFETENSORS}

    def rows(name: str) -> Shard:
        with open(path, "rb") as file:
            size = int.from_bytes(file.read(8), "little")
            start = 8 + size + json.loads(file.read(size))[name]["data_offsets"][0]
        return flat_shard(path, start, shapes[name], BFLOAT16 if codes[name] == "BF16" else kinds[codes[name]])

    def column(name: str) -> ndarray:
        with safe_open(path, framework="numpy") as archive:
            return archive.get_tensor(name)

    there = {name: (shape, kinds.get(codes[name], np.dtype("V1"))) for name, shape in shapes.items()}
    return Arrays(there, rows, column, "tensors")


def hdf5_arrays(path: Path) -> Arrays:
    """The datasets of a file, by their paths inside it."""
    require(f"reading {path.name}", "h5py")
    import h5py

    there: dict[str, tuple[Shape, np.dtype]] = {}
    texts = set()

    def note(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.shape is not None:
            if h5py.check_string_dtype(item.dtype):
                texts.add(name)
            there[name] = item.shape, np.dtype("U1") if name in texts else item.dtype

    with h5py.File(path, "r") as file:
        file.visititems(note)

    def rows(name: str) -> Shard:
        shape, dtype = there[name]
        opened = partial(_open_hdf5, path, name)
        taken = partial(_open_taken, path, name)
        return Shard(path, shape, given_dtype(dtype), opened, seek=opened, take=taken, stored=dtype)

    def column(name: str) -> Any:
        with h5py.File(path, "r") as file:
            return file[name].asstr()[:] if name in texts else file[name][:]

    return Arrays(there, rows, column, "datasets")


@contextmanager
def _open_hdf5(path: Path, name: str, start: int = 0) -> Iterator[Fill]:
    import h5py

    with h5py.File(path, "r") as file:
        position, rows = start, file[name]

        def fill(out: ndarray) -> None:
            nonlocal position
            out[...] = rows[position : position + len(out)]
            position += len(out)

        yield fill


@contextmanager
def _open_taken(path: Path, name: str, index: Int[ndarray, " m"], start: int = 0) -> Iterator[Fill]:
    import h5py

    with h5py.File(path, "r") as file:
        position, rows = start, file[name]

        def fill(out: ndarray) -> None:
            nonlocal position
            # the library takes rising positions, each once
            there, places = np.unique(index[position : position + len(out)], return_inverse=True)
            out[...] = rows[there][places.ravel()]
            position += len(out)

        yield fill


def torch_arrays(path: Path) -> Arrays:
    """The tensors, or lists, of a dictionary that ``torch.save`` wrote, mapped; or the one tensor of a file."""
    require(f"reading {path.name}", "torch")
    import torch

    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # of any kind, of a pickle of anything
        raise ValueError(
            "is not a file of tensors that can be read without running its code; where it was written, "
            f"np.savez('features.npz', features=…, labels=…) makes one ({' '.join(str(error).split())[:80]}…)."
        ) from None
    content = content if isinstance(content, dict) else {"features": content}
    there = {}
    for name, value in content.items():
        if isinstance(value, torch.Tensor):
            kind = torch.float32 if value.dtype == torch.bfloat16 else value.dtype
            there[str(name)] = tuple(value.shape), np.dtype(str(kind).removeprefix("torch."))
        elif isinstance(value, list | tuple):
            there[str(name)] = (len(value),), np.dtype("U1" if value and isinstance(value[0], str) else np.int64)

    def rows(name: str) -> Shard:
        tensor = content[name].detach()
        array = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
        return replace(array_shard(array), path=path)

    return Arrays(there, rows, content.__getitem__, "tensors")


ARRAYS: dict[str, Callable[[Path], Arrays]] = {
    ".npz": npz_arrays,
    ".npy": npy_arrays,
    ".safetensors": safetensors_arrays,
    ".h5": hdf5_arrays,
    ".hdf5": hdf5_arrays,
    ".pt": torch_arrays,
    ".pth": torch_arrays,
}

"""One file, a folder of shards or a table at a URL, opened by its suffix; a damaged one ends in one sentence."""

from __future__ import annotations

import filecmp
import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from theory.extras import require
from theory.files import reading
from verification.features.columns import Columns, Names
from verification.features.files.arrays import ARRAYS, open_arrays
from verification.features.files.shards import Shard
from verification.features.files.sidecars import is_sidecar, sidecars
from verification.features.files.tables import FORMATS, InTime, TableFile, open_table

INDEXES = (".faiss", ".index")  # of FAISS; read, not written
SUFFIXES = (*ARRAYS, *FORMATS, *INDEXES)
_COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".zip", ".tar")
_KINDS = {"i": "signed integers", "u": "unsigned integers", "U": "strings"}
_BESIDE = ("dataset_info.json", "state.json")  # what Hugging Face's datasets write beside their shards

Opened = tuple[list[Shard], Columns]


def open_path(path: Path, names: Names) -> Opened:
    """Open one file, or a folder of shards of one kind in the order of their names.

    Raises
    ------
    FileNotFoundError
        If a file is not there.
    ValueError
        If something cannot be used; the message begins with the path of the file.
    """
    files = _files_of(path) if path.is_dir() else [path]
    opened = [_open_file(file, names) for file in files]
    if files != sorted(files, key=_by_number):
        remark = (
            f"{path}: shards are read in the order of their names, {files[0].name} first; numbers need zeros before."
        )
        opened[0] = replace(opened[0][0], remarks=(*opened[0][0].remarks, remark)), opened[0][1]
    return _joined(path, opened)


def open_remote(url: str, name: str, names: Names, stores: tuple[str, ...]) -> Opened:
    """Open a table at a URL that fsspec knows; ``name`` is the URL as messages show it, ``stores`` other schemes."""
    require(f"the URL {name}", "fsspec")
    import fsspec
    from pyarrow import fs

    scheme = url.partition(":")[0]
    if scheme not in fsspec.available_protocols():
        allowed = ", ".join(f"{each}://" for each in stores)
        raise ValueError(f"{name}: vectors must be at one of {allowed} or in a file system of fsspec, got {scheme}://.")
    with reading(name):
        with InTime(name) as ask:
            system, path = ask(partial(fsspec.core.url_to_fs, url))
            listed = [path] if Path(path).suffix in FORMATS else ask(partial(system.ls, path, detail=False))
        inside = fs.PyFileSystem(fs.FSSpecHandler(system))
        files = sorted(each for each in listed if Path(each).suffix in FORMATS)
        if not files:
            raise ValueError(f"a table at a URL must be one of {', '.join(FORMATS)}, or a folder of them.")
        several = len(files) > 1 or files != [path]
        names_of = {each: f"{name}/{Path(each).name}" if several else name for each in files}
        opened = []
        for each in files:
            with reading(names_of[each]):
                opened.append(open_table(TableFile(names_of[each], each, inside), names))
    return _joined(name, opened)


def _joined(name: Path | str, opened: Sequence[tuple[Shard, Columns]]) -> Opened:
    """Shards as one set; ValueError where one is of another kind than the first."""
    first, own = opened[0]
    for shard, columns in opened[1:]:
        for what, found, expected in (
            ("features of one dimension", shard.shape[1], first.shape[1]),
            ("features of one dtype", shard.dtype, first.dtype),
            # signed and unsigned together would become floats
            *(
                (
                    f"{what.replace('label_lists', 'lists of labels')} of one kind",
                    _kind(columns, what),
                    _kind(own, what),
                )
                for what in ("labels", "label_lists", "ids", "groups")
            ),
        ):
            if found != expected:
                raise ValueError(f"{shard.path}: shards must have {what}, got {found}, but {expected} in {first.path}.")
    with reading(name):
        shards = [shard for shard, _ in opened if len(shard)]
        if not shards:
            raise ValueError("no row is left of what was asked for (where, drop_incomplete).")
        said = dict.fromkeys(remark for shard, _ in opened for remark in shard.remarks)
        shards[0] = replace(shards[0], remarks=tuple(said))
        return shards, Columns.joined([columns for _, columns in opened])


def _by_number(path: Path) -> list[int | str]:
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", path.name)]


def _kind(columns: Columns, what: str) -> str:
    column = getattr(columns, what)
    return "none" if column is None else _KINDS[column.dtype.kind]


def _open_file(path: Path, names: Names) -> tuple[Shard, Columns]:
    if path.suffix in _COMPRESSED:
        raise ValueError(f"{path}: compressed files are not read; decompress it first.")
    if path.suffix not in SUFFIXES:
        raise ValueError(
            f"{path}: features must be in one of {', '.join(SUFFIXES)}, got suffix {path.suffix!r}; "
            "np.savez('features.npz', features=…, labels=…) writes one."
        )
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file.")
    if not path.is_file():
        raise ValueError(f"{path}: must be a file or a folder of shards.")
    with reading(path):
        if path.suffix in ARRAYS:
            shard, columns = open_arrays(ARRAYS[path.suffix](path), names)
        elif path.suffix in FORMATS:
            shard, columns = open_table(TableFile(str(path), str(path.absolute())), names)
        else:
            from verification.features.sources.faiss_index import open_index

            shard, columns = open_index(path, names)
    return replace(shard, path=path, remarks=tuple(f"{path}: {remark}" for remark in shard.remarks)), columns


def _files_of(folder: Path) -> list[Path]:
    """The shards of a folder by name, hidden files left out."""
    found = sorted(path for path in folder.iterdir() if not path.name.startswith(".") and path.name not in _BESIDE)
    shards = [path for path in found if not is_sidecar(path)]
    kinds = ", ".join(each for each in SUFFIXES if each not in INDEXES)
    for path in shards:
        if path.is_dir() or path.suffix not in SUFFIXES or path.suffix in INDEXES:
            raise ValueError(f"{path}: a folder of features must hold nothing but shards, each one of {kinds}.")
        if path.suffix != shards[0].suffix:
            raise ValueError(f"{path}: shards must be of one kind, but {shards[0].name} stands beside this one.")
    expected = {beside for path in shards if path.suffix == ".npy" for beside in sidecars(path).values()}
    for path in found:
        if is_sidecar(path) and path not in expected:
            raise ValueError(f"{path}: its features are missing.")
    if not shards:
        raise ValueError(f"{folder}: must hold shards, each one of {kinds}, got none.")
    _refuse_copies(shards)
    return shards


def _refuse_copies(paths: Collection[Path]) -> None:
    """Raise ValueError where two files are equal byte for byte; most are told apart by size and beginning."""
    alike: dict[tuple[int, bytes], list[Path]] = {}
    for path in filter(Path.is_file, paths):
        with open(path, "rb") as file:
            others = alike.setdefault((path.stat().st_size, file.read(2**12)), [])
        for other in others:
            if filecmp.cmp(other, path, shallow=False):
                raise ValueError(f"{path}: is a copy of {other.name}, its samples would count twice.")
        others.append(path)

"""Vectors of a FAISS index file that keeps them exactly (the extra ``retrieval``).

Flat, HNSW-flat and IVF-flat indexes, with ids of their own or without, give back what was added, number by number.
Quantised and transformed ones give approximations, of which an audit would judge the quantiser and not the model: they
are refused. The file is opened in a process of its own (:mod:`verification.features.sources.faiss_reader`).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np
from numpy import ndarray

from theory.extras import require
from verification.features.columns import Columns, Names, check_unique
from verification.features.files.arrays import index_arrays
from verification.features.files.shards import Fill, Shard, check_features
from verification.features.files.sidecars import sidecar

_READER = Path(__file__).with_name("faiss_reader.py")


def open_index(path: Path, names: Names) -> tuple[Shard, Columns]:
    """Open an index in the order of its ids; columns beside it are in the order of ``NAME.ids.npy``, or of adding."""
    require("a FAISS index", "faiss")
    with _reader(path) as output:
        if not (line := output.readline()):
            raise EOFError
        said = json.loads(line)
        content = output.read()
        if len(content) != 8 * said["count"]:
            raise EOFError
        ids = np.frombuffer(content, np.int64)
    shape = (said["count"], said["dim"])
    check_features(shape, np.dtype(np.float32))
    found, remarks, filters = index_arrays(path, shape, names)
    given = Columns.of(len(ids), **found, separator=names.separator)
    order = np.argsort(ids, kind="stable")
    ordered = ids[order]
    check_unique(ordered)
    beside = sidecar(path, "ids").name
    if given.ids is not None:
        places = np.argsort(given.ids, kind="stable")
        if not np.array_equal(given.ids[places], ordered):
            raise ValueError(f"{beside} must hold the ids of the index, each once, and holds others.")
        given = given.take(places)
        filters = {name: column[places] for name, column in filters.items()}
    # ids of a user's own in an inverted file, or not ascending: columns in order of ids or of adding?
    elif given.named and (not said["as_added"] or np.any(ids[1:] < ids[:-1])):
        raise ValueError(f"has ids of its own: {beside} must say which id each row beside it is of.")
    rows = partial(_open_rows, path, shape[1])
    shard = Shard(path, shape, np.dtype(np.float32), rows, seek=rows, remarks=remarks)
    columns = replace(given, ids=ordered)
    return names.rows.apply(shard, columns, filters, None) if names.rows else (shard, columns)


@contextmanager
def _open_rows(path: Path, dim: int, start: int = 0) -> Iterator[Fill]:
    with _reader(path, str(start)) as output:

        def fill(out: ndarray) -> None:
            content = output.read(len(out) * dim * 4)
            if len(content) < len(out) * dim * 4:
                raise EOFError
            out[...] = np.frombuffer(content, np.float32).reshape(-1, dim)

        yield fill


@contextmanager
def _reader(path: Path, *start: str) -> Iterator[IO[bytes]]:
    """What the reader writes; where EOFError is raised in here, what it says of the file becomes the reason."""
    command = [sys.executable, str(_READER), str(path.absolute()), *start]
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors)
        assert process.stdout is not None
        try:
            yield process.stdout
        except EOFError:
            process.wait()
            errors.seek(0)
            said = errors.read().decode("utf-8", "replace").strip().splitlines()
            told = process.returncode == 1 and said and not said[0].startswith("Traceback")
            raise ValueError(said[-1] if told else "is not a readable FAISS index (reading it failed).") from None
        finally:
            process.stdout.close()
            process.kill()
            process.wait()

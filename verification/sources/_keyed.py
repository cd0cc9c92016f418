"""Rows of a server in the order of their ids: read page by page, and on from the last id when a connection is lost.

The ids are read once, with the labels. Every page of vectors is compared with them, so no row is given twice or left
out, and a table that changes while it is read is found out.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

import numpy as np
from jaxtyping import Shaped
from numpy import ndarray

from verification.files.shards import Fill, Shard, check_features

Id = int | str
Content = TypeVar("Content")
Pages = Iterator[tuple[Sequence[Id], Content]]
Watch = Callable[[str, str, int, int | None], Any]

# seconds before each further try; a server that restarts is back within this minute
DELAYS = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
PAGE_BYTES = 2**21

_watches: list[Watch] = []


class ConnectionLost(ConnectionError):
    """Nobody answers, or not any more; the message is one sentence that begins with the source."""


@dataclass(frozen=True)
class Layout:
    """What is known of a source before its rows are read: d, the dtype of its rows, and what to say of them."""

    dim: int
    dtype: np.dtype
    remarks: tuple[str, ...] = ()

    @property
    def page(self) -> int:
        """Rows asked for at a time."""
        return max(1, PAGE_BYTES // (self.dim * self.dtype.itemsize))


class Source(Protocol):
    """Rows behind a connection, in ascending order of unique ids. It can be pickled: no connection is held."""

    @property
    def name(self) -> str:
        """As messages show it."""

    def layout(self) -> Layout:
        """Connect and look at what is there."""

    def labelled(self, after: Id | None) -> Pages[Sequence[Any]]:
        """Ids and labels of the rows whose id is above ``after``; a lost connection raises ConnectionLost."""

    def vectors(self, after: Id | None, layout: Layout) -> Pages[ndarray]:
        """Ids and vectors of the same rows."""


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


def open_keyed(source: Source) -> Shard:
    """Shard of a source, its ids and labels read."""
    layout = source.layout()
    check_features((1, layout.dim), layout.dtype)
    ids: list[Id] = []
    values: list[Any] = []
    with closing(resumed(source.labelled, None, source.name)) as pages:
        for some, named in pages:
            ids += some
            values += named
            tell(source.name, "labels", len(ids))
    try:
        keys = ids_of(ids)
        labels = labels_of(values, keys)
    except ValueError as error:
        raise ValueError(f"{source.name}: {error}") from None
    rows = partial(_open_rows, source, layout, keys)
    return Shard(
        source.name, (len(keys), layout.dim), layout.dtype, labels, rows, seek=rows, ids=keys, remarks=layout.remarks
    )


def ids_of(ids: Sequence[Id]) -> Shaped[ndarray, " n"]:
    """Ids as an array of one kind, checked to ascend."""
    if not ids:
        raise ValueError("must hold rows, got none.")
    if len({type(key) for key in ids}) > 1:
        raise ValueError("ids must be all integers or all strings, got both.")
    for before, after in itertools.pairwise(ids):
        if not before < after:  # type: ignore[operator]
            raise ValueError(f"ids must be unique and given in ascending order, but {after!r} follows {before!r}.")
    return np.array(ids, None if isinstance(ids[0], int) else str)


def labels_of(values: Sequence[Any], ids: Shaped[ndarray, " n"]) -> Shaped[ndarray, " n"]:
    """Labels as an array of integers or of strings."""
    kinds = {type(value) for value in values}
    if type(None) in kinds:
        row = values.index(None)
        raise ValueError(
            f"labels must not be missing, but {values.count(None)} of {len(values)} are, "
            f"the first is that of id {ids[row].item()!r}."
        )
    if kinds not in ({int}, {str}):
        got = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise ValueError(f"labels must be all integers or all strings, got {got}.")
    try:
        return np.array(values, np.int64 if kinds == {int} else str)
    except OverflowError:
        raise ValueError("labels must be integers of 64 bits, got a larger one.") from None


def resumed(
    read: Callable[[Id | None], Pages[Content]], after: Id | None, name: str
) -> Generator[tuple[Sequence[Id], Content], None, None]:
    """Pages of ``read``, which is asked again from the last id on when the connection is lost.

    Raises
    ------
    ConnectionLost
        After as many tries in a row as there are DELAYS.
    """
    tries = 0
    while True:
        try:
            for ids, content in read(after):
                after, tries = ids[-1], 0
                yield ids, content
            return
        except ConnectionLost as error:
            if tries == len(DELAYS):
                raise ConnectionLost(f"{error} It was tried {tries} times more, over {sum(DELAYS):.0f} s.") from None
            tell(name, f"connection lost, try {tries + 1} of {len(DELAYS)}", 0)
            time.sleep(DELAYS[tries])
            tries += 1


@contextmanager
def _open_rows(source: Source, layout: Layout, ids: Shaped[ndarray, " n"], start: int = 0) -> Iterator[Fill]:
    after = ids[start - 1].item() if start else None
    position = start
    held = np.empty((0, layout.dim), layout.dtype)

    with closing(resumed(partial(source.vectors, layout=layout), after, source.name)) as pages:

        def fill(out: ndarray) -> None:
            nonlocal position, held
            while len(out):
                if not len(held):
                    some, held = next(pages, ([], held))
                    if not some or ids[position : position + len(some)].tolist() != list(some):
                        raise ValueError(f"{source.name}: its rows have changed while they were read; run again.")
                    position += len(some)
                    tell(source.name, "vectors", position, len(ids))
                part, held = held[: len(out)], held[len(out) :]
                out[: len(part)] = part
                out = out[len(part) :]

        yield fill

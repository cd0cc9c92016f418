"""Rows of files into memory that is there already, checked while they are in the cache."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NoReturn

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from theory.files import reading
from verification.features.files.shards import Piece

# rows are read, checked and normalised while they are in the cache of one core
_CACHED_BYTES = 2**20


def fill(
    pieces: Sequence[Piece], blocks: Iterable[ndarray], squared: Callable[[ndarray], ndarray]
) -> Iterator[tuple[Float[ndarray, "rows dim"], Float[ndarray, " rows"]]]:
    """Read pieces of files into arrays that are given one after the other, and check the rows while they are cached.

    Parameters
    ----------
    pieces : sequence of Piece
    blocks : iterable of ndarray, shape (rows, d)
        Together as many rows as the pieces have. The next is asked for after the last was yielded, so that one and the
        same may come again.
    squared : callable
        Squared lengths of rows, which are float32 or float64 or become it: :func:`usable`, or the check alone.

    Yields
    ------
    tuple of ndarray
        The block filled, and the squared lengths of its rows.
    """
    todo = iter(blocks)
    block, squares, start = np.empty((0, 0)), np.empty(0), 0
    for piece in pieces:
        with reading(piece.path), piece.open() as read:
            left = piece.length
            while left:
                if start == len(block):
                    block, start = next(todo), 0
                    squares = np.empty(len(block), np.result_type(block, np.float32))
                some = slice(start, min(start + min(left, cached_rows(block.shape[1], block.dtype)), len(block)))
                rows = block[some]
                try:
                    with np.errstate(all="ignore"):  # of a cast, and of a square
                        read(rows)
                        squares[some] = squared(rows)
                except _UnusableRow:
                    _complain(piece)
                left -= some.stop - start
                start = some.stop
                if start == len(block):
                    yield block, squares


def cut(room: ndarray, count: int) -> Iterator[ndarray]:
    """The same memory again and again, for ``count`` rows in all."""
    return (room[: count - start] for start in range(0, count, len(room)))


def cached_rows(dim: int, dtype: np.dtype) -> int:
    """How many rows to take at once."""
    return max(1, _CACHED_BYTES // (dim * dtype.itemsize))


class _UnusableRow(Exception):
    """A row is not finite or all zero."""


def usable(rows: Float[ndarray, "n dim"]) -> Float[ndarray, " n"]:
    """Squared lengths, float32 or float64; rows whose square would over- or underflow are brought to length 1 first."""
    squares, extreme = _measured(rows)
    if len(extreme):
        wide = rows[extreme].astype(np.float64)
        wide /= np.max(np.abs(wide), axis=1, keepdims=True)
        rows[extreme] = wide / np.linalg.norm(wide, axis=1, keepdims=True)
        squares[extreme] = 1.0
    return squares


def squared_lengths(rows: Float[ndarray, "n dim"]) -> Float[ndarray, " n"]:
    """Squared lengths of rows, all of which must have a direction, as far as the dtype holds the squares."""
    return _measured(rows)[0]


def _measured(rows: ndarray) -> tuple[ndarray, ndarray]:
    """Squared lengths, and the rows at which a square may have over- or underflowed: every unusable one is among them.

    The square of an unusable row is 0, infinite or NaN.
    """
    rows = rows.astype(np.result_type(rows, np.float32), copy=False)
    squares = np.vecdot(rows, rows)
    # squares below `tiny` are rounded to multiples of its 2**-23 (float32): not seen in a sum of 2**30 times as much
    least = 2.0**30 * np.finfo(squares.dtype).tiny
    if squares.min() > least and squares.max() < np.inf:
        return squares, np.empty(0, np.intp)
    extreme = np.flatnonzero(~((squares > least) & (squares < np.inf)))
    if not (np.isfinite(rows[extreme]).all() and rows[extreme].any(axis=1).all()):
        raise _UnusableRow
    return squares, extreme


def _complain(piece: Piece) -> NoReturn:
    """Raise what is wrong with the rows of a shard, all of them read once more to count."""
    first: dict[str, int] = {}
    count: dict[str, int] = {}
    # raised while the shard is open: how it was opened may know a likelier cause
    with piece.open_shard() as read, np.errstate(all="ignore"):
        step = cached_rows(piece.shape[1], piece.dtype)
        for start in range(0, piece.shape[0], step):
            rows = np.empty((min(step, piece.shape[0] - start), piece.shape[1]), piece.dtype)
            read(rows)
            for kind, bad in (("finite", ~np.isfinite(rows).all(axis=1)), ("zero", ~rows.any(axis=1))):
                if bad.any():
                    first.setdefault(kind, start + int(np.argmax(bad)))
                    count[kind] = count.get(kind, 0) + int(bad.sum())
        where = "" if piece.path is None else f"{piece.path}: "
        kind = "finite" if "finite" in first else "zero"
        must, are = {"finite": ("be finite", "not"), "zero": ("have a direction", "all zero")}[kind]
        raise ValueError(
            f"{where}features must {must}, but {count[kind]} of {piece.shape[0]} rows are {are}, "
            f"the first is row {first[kind]}."
        ) from None

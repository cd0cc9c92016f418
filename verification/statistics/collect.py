"""One pass over the data: sums by class, and on the way the rows that were chosen to be kept.

Rows are read to memory that is used again, their lengths and products taken while they are cached, and summed as they
are, each over its length. Parts of the data may be read anywhere: where they begin and in what order they merge is
fixed by the data, so the result is the same bit by bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Integer, UInt64
from numpy import ndarray

from learning.progress import Tick
from verification.features import FeatureSet
from verification.features.files.filling import cached_rows, fill, usable
from verification.features.files.shards import Piece
from verification.statistics.rows import Rows
from verification.statistics.sums import ClassSums

# as the builtin ``map``: results of a function of each item, in order
Map = Callable[..., Iterable[Any]]

# rows, and numbers, of a block that is summed at once
BLOCK_ROWS, BLOCK_NUMBERS = 2**13, 2**24
# of a part, which is read as a whole by one process
PART_ROWS = 2**17
# up to this many numbers, data is summed in float64 whatever its dtype; beyond, float32 input stays float32
SMALL = 2**22

# of the odd constants by which the words of a row are multiplied
_HASH_SEED = 0x5EED


@dataclass(frozen=True, kw_only=True)
class RowFacts:
    """What one pass tells of every row, in few bytes.

    Attributes
    ----------
    hashes : ndarray of uint64, shape (models, N)
        Of each row, rounded to float32: equal rows have equal hashes, and others do not (but for a chance of at
        most 2⁻⁴⁸ a pair).
    products : ndarray, shape (N,)
        (u − v)·v of the unit rows, or v·v = 1: what a row's pair with itself adds to the sums.
    lengths : ndarray, shape (models, 2)
        Of the shortest and the longest row.
    """

    hashes: UInt64[ndarray, "models n"]
    products: Float[ndarray, " n"]
    lengths: Float[ndarray, "models 2"]


_Part = tuple[ndarray, ClassSums, ndarray, RowFacts]


def collect(
    sets: Sequence[FeatureSet],
    codes: Int[ndarray, " n"],
    sizes: Int[ndarray, " k"],
    keep: Int[ndarray, " m"],
    run: Map = map,
    tick: Tick | None = None,
    ranks: Int[ndarray, " n"] | None = None,
) -> tuple[ClassSums, Rows, RowFacts]:
    """Read the samples once: sums by class, the rows to keep, and a few facts about every row.

    Parameters
    ----------
    sets : (new, old) or (old,)
        The same samples, row by row. Sums are of (new − old, old), or of (old,).
    codes, sizes : ndarray
        Class of each row, −1 for a row that counts nowhere, and how many rows each class has.
    keep : ndarray of int
        Sorted indices, of rows that have a class.
    run : callable
        As ``map``; what it is given to call and its arguments can be pickled.
    tick : callable, optional
        Told the number of rows as they are read, or with another ``run`` than ``map`` part by part.
    ranks : ndarray of int, optional
        By which the rows that are kept are sorted within each class; as they stand in the data, if not given.
    """
    dim, small = sets[0].dim, codes.size * sets[0].dim <= SMALL
    dtype = np.dtype(np.float64) if small else np.result_type(np.float32, *(features.dtype for features in sets))
    by_class = np.argsort(codes[keep], kind="stable") if ranks is None else np.lexsort((ranks[keep], codes[keep]))
    place = np.empty_like(by_class)
    place[by_class] = np.arange(len(keep))
    sums = ClassSums(len(sets), len(sizes), dim)
    kept = np.empty((len(sets), len(keep), dim), dtype)
    cuts = [0, len(codes)] if small else _cuts(sets, len(codes))
    here = run is map
    read = partial(_read_part, dtype=dtype, kept=kept, tick=tick) if here else partial(_read_part, dtype=dtype)
    low = 0
    facts = []
    for classes, part, some, told in run(read, *_parts(sets, codes, len(sizes), keep, place, cuts)):
        sums.merge(part, classes)
        facts.append(told)
        if not here:
            kept[:, place[low : low + some.shape[1]]] = some
            low += some.shape[1]
            if tick is not None:
                tick(len(told.products))
    hashes = np.concatenate([told.hashes for told in facts], axis=1)
    products = np.concatenate([told.products for told in facts])
    rows = Rows(models=kept, codes=codes[keep][by_class], sizes=sizes, index=keep[by_class])
    ends = np.stack([told.lengths for told in facts])
    lengths = np.stack([ends[..., 0].min(axis=0), ends[..., 1].max(axis=0)], axis=1)
    return sums, rows, RowFacts(hashes=hashes, products=products, lengths=lengths)


def _cuts(sets: Sequence[FeatureSet], count: int) -> list[int]:
    """Where parts begin, and the end."""
    cuts = [0]
    while (row := cuts[-1]) < count:
        row = min(row + PART_ROWS, count)
        # the first from there on at which every set can begin to be read
        while (later := max(features.beginning(row) for features in sets)) > row:
            row = later
        cuts.append(row)
    return cuts


def _parts(
    sets: Sequence[FeatureSet], codes: ndarray, num_classes: int, keep: ndarray, place: ndarray, cuts: list[int]
) -> tuple[Iterable[Any], ...]:
    """For each part what :func:`_read_part` takes; indices in few bytes, to be sent."""
    spans = list(pairwise(cuts))
    chosen = list(pairwise(np.searchsorted(keep, cuts)))
    return (
        [[features.pieces(*span) for features in sets] for span in spans],
        (codes[start:stop].astype(np.min_scalar_type(-num_classes - 1)) for start, stop in spans),
        ((keep[low:high] - start).astype(np.int32) for (low, high), (start, _) in zip(chosen, spans, strict=True)),
        (place[low:high].astype(np.int32) for low, high in chosen),
    )


def _read_part(
    pieces: Sequence[Sequence[Piece]],
    codes: Integer[ndarray, " n"],
    keep: Int[ndarray, " m"],
    place: Int[ndarray, " m"],
    dtype: np.dtype,
    kept: ndarray | None = None,
    tick: Tick | None = None,
) -> _Part:
    """Classes that are there, the sums of each, and the rows to keep: at their place in ``kept``, or in order."""
    counted = codes >= 0
    classes, inverse = _present(codes[counted])
    codes = codes.astype(np.intp)
    codes[counted] = inverse
    models, dim = len(pieces), pieces[0][0].shape[1]
    sums = ClassSums(models, len(classes), dim)
    if kept is None:
        kept, place = np.empty((models, len(keep), dim), dtype), np.arange(len(keep))
    height = min(BLOCK_ROWS, max(1, BLOCK_NUMBERS // dim), len(codes))
    rows = np.empty((models, height, dim), dtype)
    lengths, products = np.empty((models, height), dtype), np.empty(height, dtype)
    hashes, all_products = np.empty((models, len(codes)), np.uint64), np.empty(len(codes))
    ends = np.tile([np.inf, 0.0], (models, 1))
    step = cached_rows(dim, dtype)

    def room(block: ndarray) -> Iterator[ndarray]:
        return (block[some] for _, some in _steps(len(codes), height, step))

    readers = (fill(own, room(block), usable) for own, block in zip(pieces, rows, strict=True))
    for (start, some), *read in zip(_steps(len(codes), height, step), *readers, strict=True):
        for model, (_, squares) in enumerate(read):
            lengths[model, some] = np.sqrt(squares)
        products[some] = np.vecdot(rows[0, some], rows[-1, some])
        products[some] /= lengths[0, some] * lengths[-1, some]
        if models == 2:
            products[some] -= read[1][1] / lengths[1, some] ** 2  # zero where both are alike
        for model, block in enumerate(rows):
            hashes[model, start + some.start : start + some.stop] = hash_rows(block[some])
        stop = min(start + height, len(codes))
        if start + some.stop < stop:
            continue
        num = stop - start
        low, high = np.searchsorted(keep, (start, stop))
        chosen = keep[low:high] - start
        unit = rows[:, chosen]
        unit /= lengths[:, chosen, None]
        kept[:, place[low:high]] = unit
        all_products[start:stop] = products[:num]
        ends[:, 0] = np.minimum(ends[:, 0], lengths[:, :num].min(axis=1))
        ends[:, 1] = np.maximum(ends[:, 1], lengths[:, :num].max(axis=1))
        ok = counted[start:stop]
        if np.all(ok):
            sums.add(codes[start:stop], rows, 1.0 / lengths[:, :num], products[:num])
        elif np.any(ok):
            some_rows = np.ascontiguousarray(rows[:, :num][:, ok])
            sums.add(codes[start:stop][ok], some_rows, 1.0 / lengths[:, :num][:, ok], products[:num][ok])
        if tick is not None:
            tick(num)
    return classes, sums, kept, RowFacts(hashes=hashes, products=all_products, lengths=ends)


def _present(codes: Int[ndarray, " n"]) -> tuple[ndarray, ndarray]:
    """Return the classes that are there, sorted, and each row's position among them."""
    there = np.bincount(codes) > 0
    return np.flatnonzero(there), (np.cumsum(there) - 1)[codes]


def hash_rows(rows: Float[ndarray, "n dim"]) -> UInt64[ndarray, " n"]:
    """Return 64 bits of each row, rounded to float32 so that a copy in another dtype is found too."""
    # adding zero makes −0 and 0 one number
    words = np.add(rows, 0.0, dtype=np.float32, casting="same_kind").view(np.uint32)
    # a sign is the highest bit, of which a product keeps nothing but itself: the lower half of a word gets it too
    words ^= words >> np.uint32(16)
    hashes: ndarray = np.einsum("nd,d->n", words.astype(np.uint64), _constants(rows.shape[1]))
    return hashes


@cache
def _constants(dim: int) -> UInt64[ndarray, " dim"]:
    return np.random.default_rng(_HASH_SEED).integers(0, 2**64, dim, dtype=np.uint64) | np.uint64(1)


def _steps(count: int, height: int, step: int) -> Iterator[tuple[int, slice]]:
    """Where each block begins, and the rows of it to take next."""
    for start in range(0, count, height):
        size = min(height, count - start)
        for first in range(0, size, step):
            yield start, slice(first, min(first + step, size))

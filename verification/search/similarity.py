"""Cosine, dot product and Euclidean distance between queries and blocks of a gallery: exact for pairs, fast for blocks.

A pair's similarity is one float64 sum in one order of the coordinates, so equal rows have equal similarities wherever
they stand. A block's similarities are a matrix product, whose order of summation is up to BLAS; it is taken of rows
scaled so that the terms of every sum add up to at most 1, and is then off by less than :func:`slack`:

    dot  q·g / (|q| a) = (q / |q|) · (g / a)                                      with a = max |g| over the block,
    l2   (|q|² − |q − g|²) / (a (2|q| + a)) = (2q, −a) / (2|q| + a) · (g / a, |g|² / a²).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from verification.features import FeatureSet

SimilarityName = Literal["cosine", "dot", "l2", "hamming"]
BLOCK_ROWS, BLOCK_NUMBERS = 2**14, 2**20  # of the gallery, at a time
_PAIR_NUMBERS = 2**17  # of pairs of rows, at a time


class Similarity:
    """The similarities of some queries, of one or several models, to the items of a gallery.

    Parameters
    ----------
    name : {"cosine", "dot", "l2", "hamming"}
        Of unit rows; of rows as they are; minus the squared Euclidean distance of rows as they are; or the product of
        rows of ±1, which is d − 2H for a Hamming distance H.
    queries : sequence of array_like, each of shape (q, d)
        The same queries, one array per model; the rows of all models are stacked.

    Raises
    ------
    ValueError
        If the arrays differ in shape or do not fit the gallery, or rows are not of length 1 for ``"cosine"`` or not of
        ±1 for ``"hamming"``.
    """

    def __init__(self, name: SimilarityName, queries: Sequence[ndarray], gallery: FeatureSet) -> None:
        if name not in get_args(SimilarityName):
            raise ValueError(f"similarity must be 'cosine', 'dot', 'l2' or 'hamming', got {name!r}.")
        shapes = [np.shape(rows) for rows in queries]
        if not shapes or any(shape != shapes[0] or len(shape) != 2 for shape in shapes):
            raise ValueError(f"queries must be arrays of one shape (q, d), one per model, got {shapes}.")
        if shapes[0][1] != gallery.dim:
            raise ValueError(f"queries and gallery must have one dimension, got {shapes[0][1]} and {gallery.dim}.")
        self.name = name
        self.gallery = gallery
        self.rows = np.concatenate(queries, dtype=np.float64)
        if name == "hamming":
            check_signs(self.rows, "queries")
        lengths = _lengths(self.rows, "queries")
        # float32 rows of any dimension are normalised to much better than this
        if name == "cosine" and not np.all(np.abs(lengths - 1.0) < 1e-3):
            worst = int(np.argmax(np.abs(lengths - 1.0)))
            raise ValueError(
                f"queries must have length 1 for the cosine, but row {worst % shapes[0][0]} has {lengths[worst]:.4g}; "
                "divide each row by its length."
            )
        self._lengths = np.where(lengths > 0.0, lengths, 1.0)
        self._rounded = self.rows.astype(np.float32) if name == "cosine" else self.rows

    def blocks(self) -> Iterator[Float[ndarray, "b dim"]]:
        """Read the gallery once, in the order of its rows."""
        rows = max(1, min(BLOCK_ROWS, BLOCK_NUMBERS // self.gallery.dim))
        return self.gallery.normalized_blocks(rows) if self.name == "cosine" else self.gallery.blocks(rows)

    def of_pairs(
        self, query: Int[ndarray, " p"], block: Float[ndarray, "b dim"], item: Int[ndarray, " p"]
    ) -> Float[ndarray, " p"]:
        """Similarities of pairs (row of the stacked queries, row of the block), float64, to be compared exactly."""
        result = np.empty(len(query))
        step = max(1, _PAIR_NUMBERS // self.gallery.dim)
        for start in range(0, len(query), step):
            part = slice(start, start + step)
            first, second = self.rows[query[part]], block[item[part]].astype(np.float64)
            if self.name == "l2":
                first -= second
                second = -first
            first *= second
            result[part] = np.add.reduce(first, axis=1)
        return result

    def scaled(self, block: Float[ndarray, "b dim"], dtype: Any) -> Scaled:
        """Return the block and the queries as factors of a product of this dtype."""
        if self.name == "cosine":
            rows = self._rounded if dtype is np.float32 else self.rows
            return Scaled(rows, block.astype(dtype, copy=False), np.ones(len(self.rows)))
        items = block.astype(np.float64)
        longest = float(_lengths(items, "gallery").max()) or 1.0  # squares of tiny rows underflow
        if self.name == "hamming":
            check_signs(items, "gallery")
        items /= longest
        if self.name != "l2":
            queries = self.rows / self._lengths[:, None]
            return Scaled(queries.astype(dtype), items.astype(dtype), self._lengths * longest)
        scale = 2.0 * self._lengths + longest
        queries = np.column_stack([2.0 * self.rows, np.full(len(self.rows), -longest)]) / scale[:, None]
        items = np.column_stack([items, np.vecdot(items, items)])
        squares = np.vecdot(self.rows, self.rows)
        return Scaled(queries.astype(dtype), items.astype(dtype), longest * scale, squares)


class Scaled:
    """Factors of a block's product, and how similarities are brought to its scale, per query.

    Attributes
    ----------
    queries : ndarray, shape (n, d) or (n, d + 1)
    items : ndarray, shape (b, d) or (b, d + 1)
    slack : ndarray of float64, shape (n,)
        Twice the bound on what a product and a similarity that was brought to its scale may differ by: every term is
        rounded three times and then added, at most d + 1 times; a squared distance has a rounding error of its own.
    """

    def __init__(
        self, queries: ndarray, items: ndarray, scale: Float[ndarray, " n"], shift: Float[ndarray, " n"] | None = None
    ) -> None:
        self.queries = queries
        self.items = items
        self._scale = scale
        self._shift = np.zeros(len(scale)) if shift is None else shift
        terms = queries.shape[1] + 8
        self.slack = terms * (np.finfo(queries.dtype).eps + np.finfo(np.float64).eps * (1.0 + self._shift / scale))

    def threshold(self, similarity: Float[ndarray, " p"], query: Any = slice(None)) -> Float[ndarray, " p"]:
        """Return similarities of some queries, by default one of each, on the scale of the product."""
        return (similarity + self._shift[query]) / self._scale[query]


def check_signs(rows: Float[ndarray, "*rows dim"], name: str) -> None:
    """Raise ValueError unless all entries are ±1, as a Hamming distance needs them."""
    if not np.all(np.abs(rows) == 1.0):
        raise ValueError(
            f"{name} must have rows of ±1 for the Hamming distance; FeatureSet.signs() makes them of binary codes."
        )


def _lengths(rows: Float[ndarray, "n dim"], name: str) -> Float[ndarray, " n"]:
    """Lengths of rows; those of which a squared distance could overflow float64 are refused."""
    with np.errstate(over="ignore", under="ignore"):
        lengths = np.sqrt(np.vecdot(rows, rows))
    if not np.all(lengths < 1e150):
        raise ValueError(f"{name} must have finite rows shorter than 1e150; scale them.")
    return lengths

"""A file of any size through a map, block by block."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from verification.bridge.maps import FeatureMap
from verification.features import FeatureSet
from verification.features.files.writers import check_features_path, write_features
from verification.upgrade import Upgrade

# rows of a block: from reading to writing, so many of a usual dimension stay in the cache of a core
ROWS = 512
# blocks under way: enough to read on while the disk is slow
AHEAD = 32

Block = Float[ndarray, "rows dim"]


def apply(
    feature_map: FeatureMap,
    features: FeatureSet,
    path: str | os.PathLike[str],
    progress: Callable[[int, int], None] | None = None,
    other: FeatureSet | None = None,
) -> None:
    """Write the mapped rows with their labels, ids and groups; a file appears whole or not at all.

    Rows are computed and written in float64 where the features are, else in float32, and are not normalised.

    Parameters
    ----------
    feature_map : FeatureMap
    features : FeatureSet
        Features of the model that the map takes.
    path : path-like
        ``.npz``, ``.npy``, ``.safetensors`` or ``.parquet``.
    progress : callable, optional
        Called with the number of rows done and of all.
    other : FeatureSet, optional
        Features of the same queries by the old model, paired by ids or row by row, for a map that takes both.

    Raises
    ------
    ValueError
        If the dimension is not the map's, what the map takes besides is missing or would not be used, a row cannot be
        used, or such a path cannot be written.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    path = Path(path)
    check_features_path(path, features.columns)
    if features.dim != feature_map.dims[0]:
        raise ValueError(
            f"the map takes {feature_map.takes} of dimension {feature_map.dims[0]}, the features have {features.dim}."
        )
    if feature_map.takes_both != (other is not None):
        what = "needs" if feature_map.takes_both else "does not use"
        raise ValueError(f"the {feature_map.kind} map {what} the old model's features of the same queries (--with).")
    if other is not None:
        pair = Upgrade(features, other, same_dim=False)
        features, other = pair.new, pair.old
        if other.dim != feature_map.dims[1]:
            raise ValueError(f"the old model's rows must have dimension {feature_map.dims[1]}, got {other.dim}.")
    dtype = np.result_type(features.dtype, np.float32)
    own = feature_map.astype(dtype)

    def counted() -> Iterator[Block]:
        done = 0
        sets = [features, *([] if other is None else [other])]
        for block in _side_by_side(own, zip(*(each.normalized_blocks(ROWS) for each in sets), strict=True)):
            yield block
            done += len(block)
            if progress is not None:
                progress(done, len(features))

    # a block a core wastes nothing where one product is cut in pieces for all of them
    with threadpool_limits(1, user_api="blas"):
        write_features(path, counted(), features.columns, (len(features), feature_map.dims[1]), dtype)


def _side_by_side(feature_map: FeatureMap, blocks: Iterator[tuple[Block, ...]]) -> Iterator[Block]:
    """Map blocks on all cores, read and mapped ahead of the one that is asked for; in order."""
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(os.cpu_count()) as pool:

        def step() -> Future[Block | None]:
            read = reader.submit(next, blocks, None)
            return pool.submit(lambda: None if (block := read.result()) is None else feature_map(*block))

        todo = deque(step() for _ in range(AHEAD))
        while (block := todo.popleft().result()) is not None:
            todo.append(step())
            yield block

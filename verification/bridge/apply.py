"""A file of any size through a map, block by block."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from verification._writers import check_features_path, write_features
from verification.bridge.maps import FeatureMap
from verification.features import FeatureSet


def apply(
    feature_map: FeatureMap,
    features: FeatureSet,
    path: str | os.PathLike[str],
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write the mapped rows with their labels; the file appears whole or not at all.

    Rows are computed and written in float64 where the features are, else in float32, and are not normalised.

    Parameters
    ----------
    feature_map : FeatureMap
    features : FeatureSet
        Of the model that the map takes.
    path : path-like
        ``.npz``, ``.npy``, ``.safetensors`` or ``.parquet``.
    progress : callable, optional
        Called with the number of rows done and of all.

    Raises
    ------
    ValueError
        If the dimension is not the map's, a row cannot be used, or such a path cannot be written.
    """
    path = Path(path)
    check_features_path(path, features.labels)
    blocks = feature_map.blocks(features)  # refuses another dimension now

    def counted() -> Iterator[Float[ndarray, "rows dim"]]:
        done = 0
        for block in _ahead(blocks):
            yield block
            done += len(block)
            if progress is not None:
                progress(done, len(features))

    dtype = np.result_type(features.dtype, np.float32)
    write_features(path, counted(), features.labels, feature_map.dims[1], dtype)


def _ahead(blocks: Iterator[Float[ndarray, "rows dim"]]) -> Iterator[Float[ndarray, "rows dim"]]:
    """The same blocks, the next one read and mapped while the last is written."""
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(next, blocks, None)
        while (block := following.result()) is not None:
            following = pool.submit(next, blocks, None)
            yield block

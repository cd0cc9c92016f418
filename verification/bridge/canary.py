"""A canary: a few rows of a model that tell later, in a second, whether what is deployed is still that model."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from theory.files import reading, regular, write_atomically
from verification.bridge.relation import Relation, relate
from verification.features import FeatureSet, places
from verification.statistics.rows import drawing_order, stream

ROWS = 50


def save_canary(features: FeatureSet, path: str | os.PathLike[str], num_rows: int = ROWS, seed: int = 0) -> int:
    """Keep random rows as they are stored, with their ids or, without ids, with their positions.

    Parameters
    ----------
    features : FeatureSet
    path : path-like
        ``.npz``, which :meth:`FeatureSet.load` reads as well; it appears whole or not at all.
    num_rows : int
        ≥ 3; all rows, where there are fewer.
    seed : int
        Seed of the choice, ≥ 0.

    Returns
    -------
    int
        How many rows were kept.

    Raises
    ------
    ValueError
        For another suffix, or fewer than three rows.
    """
    path = Path(path)
    if path.suffix != ".npz":
        raise ValueError(f"{path}: a canary is a .npz, got suffix {path.suffix!r}.")
    if min(len(features), num_rows) < 3:
        raise ValueError(f"a canary needs at least three rows, got {min(len(features), num_rows)}.")
    order = drawing_order(len(features), features.ids)
    rows = order[np.sort(stream(seed, "canary").permutation(len(features))[:num_rows])]
    kept = features.select(rows)
    arrays = {
        "features": kept.features,
        "ids": rows if kept.ids is None else kept.ids,
        "canary": np.array("rows" if kept.ids is None else "ids"),
    }
    write_atomically(path, lambda file: np.savez(file, allow_pickle=False, **arrays))
    return len(rows)


def compare_with_canary(features: FeatureSet, path: str | os.PathLike[str], tolerance: float | None = None) -> Relation:
    """Compare rows of a set with the same rows in a canary.

    Rows are found by their ids. Without ids a set of as many rows as the canary is taken to be of the canary's inputs
    in their order; of a larger set the positions count.

    Parameters
    ----------
    features : FeatureSet
        By the model in question.
    path : path-like
        A canary of :func:`save_canary`.
    tolerance : float, optional
        As :func:`~verification.bridge.relation.relate` takes it.

    Raises
    ------
    ValueError
        If the file is no canary, or if inputs of the canary are not in the set.
    """
    path = Path(path)
    canary = FeatureSet.load(path)
    named_by = _named_by(path)
    if named_by is None or canary.ids is None:
        raise ValueError(f"{path}: is not a canary that stationary check --save wrote.")
    by_position = named_by == "rows"
    if features.ids is not None and not by_position:
        rows = _positions(features.ids, canary.ids, path)
    elif len(features) == len(canary):
        rows = np.arange(len(canary))
    elif by_position and len(features) > canary.ids.max():
        rows = canary.ids
    else:
        others = "as many rows as the one it was taken from" if by_position else "ids (--ids)"
        raise ValueError(
            f"{path}: the canary has {len(canary)} inputs; give features of these in their order, or of a set that has "
            f"{others}, got {len(features)} rows."
        )
    return relate(FeatureSet(features.select(rows).features), FeatureSet(canary.features), tolerance)


def _named_by(path: Path) -> str | None:
    """What the ids of a canary are, ids or positions; None of a file that is no canary."""
    if path.suffix != ".npz":
        return None
    with reading(path), np.load(regular(path), allow_pickle=False) as archive:
        return str(archive["canary"]) if "canary" in archive.files else None


def _positions(ids: np.ndarray, wanted: np.ndarray, path: Path) -> np.ndarray:
    rows = places(ids, wanted)
    missing = np.flatnonzero(rows < 0)
    if len(missing):
        raise ValueError(
            f"{path}: {len(missing)} of the canary's {len(wanted)} inputs are not in the set, the first has the id "
            f"{wanted[missing[0]].item()!r}."
        )
    return rows

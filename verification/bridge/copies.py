"""Whether a set is a compressed copy of another: int8 or binary codes of its values, or its first coordinates."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from verification.bridge.evidence import GLANCE
from verification.bridge.relation import relate
from verification.bridge.relation_kind import RelationKind
from verification.features import FeatureSet
from verification.features.compression import Compression, vector_bytes
from verification.features.files.shards import is_code

# to rows of the original's dimension
Decode = Callable[[FeatureSet], FeatureSet]


def compressed_copy(new: FeatureSet, old: FeatureSet, seed: int = 0) -> tuple[Decode, Compression] | None:
    """Tell whether ``new`` is a compressed copy of ``old``: how its rows are read, and how it is smaller; else None.

    The function that is returned takes ``new``, or a gallery that was compressed likewise.

    Parameters
    ----------
    new : FeatureSet
        Stored as int8 or uint8, of d coordinates or of ⌈d/8⌉ bytes of packed signs; or the first coordinates of the
        original as numbers.
    old : FeatureSet
        Of d coordinates, no codes.
    seed : int
        ≥ 0; of the rows that are looked at.
    """
    if is_code(old.stored) or (not is_code(new.stored) and new.dim >= old.dim):
        return None
    found = _as_codes(new, old, seed) if is_code(new.stored) else _as_cut(new, old, seed)
    if found is None:
        return None
    decode, kind, hamming = found
    return decode, Compression(
        kind=kind, bytes_before=vector_bytes(old), bytes_after=vector_bytes(new), dim=old.dim, hamming=hamming
    )


def signs_of(codes: FeatureSet) -> FeatureSet:
    """Return the rows of ±1 that binary codes stand for: one sign a byte where bytes are −1, 0 or 1, else eight.

    Raises
    ------
    ValueError
        If the features are not stored as bytes.
    """
    first = next(codes.blocks(GLANCE))
    return codes.signs(codes.dim if is_code(codes.stored) and np.isin(first, (-1.0, 0.0, 1.0)).all() else None)


def _as_codes(new: FeatureSet, old: FeatureSet, seed: int) -> tuple[Decode, str, bool] | None:
    signs = partial(FeatureSet.signs, dim=old.dim)
    packed = new.dim != old.dim
    if packed and new.dim != -(-old.dim // 8):
        return None
    found = relate(new, old, seed=seed)
    binary = found.evidence.quantised == "binary"
    if binary:
        return signs, "packed binary codes" if packed else "binary codes", True
    same = found.relation in (RelationKind.quantised, RelationKind.same, RelationKind.lengths)
    return (lambda features: features, f"{new.stored} codes", False) if same and not packed else None


def _as_cut(new: FeatureSet, old: FeatureSet, seed: int) -> tuple[Decode, str, bool] | None:
    if relate(new, old, seed=seed).relation != RelationKind.truncated:
        return None
    return partial(FeatureSet.first, k=new.dim, dim=old.dim), f"the first {new.dim} of {old.dim} coordinates", False

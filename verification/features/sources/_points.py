"""Points of a store, each an id, a payload and a vector or several, as Arrow record batches."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from verification.features.files.tables import Id

if TYPE_CHECKING:
    import pyarrow as pa


def kinds_of(dim: int, fields: Iterable[str]) -> dict[str, pa.DataType]:
    """The columns of a collection; of what kind ids and payloads are is known when they are read."""
    import pyarrow as pa

    return {**dict.fromkeys(("id", *fields), pa.null()), "vector": pa.list_(pa.float32(), dim)}


def variants(value: str) -> list[str | int | bool]:
    """What a text may stand for in a payload, which has no schema: itself, an integer, a boolean."""
    found: list[str | int | bool] = [value]
    if value.lower() in ("true", "false"):
        found.append(value.lower() == "true")
    elif re.fullmatch(r"-?\d+", value):
        found.append(int(value))
    return found


def batch_of(
    points: Sequence[tuple[Id, Mapping[str, Any], Any]], columns: Sequence[str], fields: Mapping[str, str], vector: str
) -> pa.RecordBatch:
    """Points, each its id, payload and vector or vectors, as a batch."""
    import pyarrow as pa

    arrays = {}
    for role in columns:
        if role == "vector":
            rows = [vectors.get(vector) if isinstance(vectors, dict) else vectors for _, _, vectors in points]
            arrays[role] = pa.array(rows, pa.list_(pa.float32()))
            continue
        values = [key if role == "id" else payload.get(fields[role]) for key, payload, _ in points]
        kinds = sorted({type(value).__name__ for value in values if value is not None})
        if len(kinds) > 1 or not {"int", "str"}.issuperset(kinds):
            raise ValueError(f"{role}s must be all integers or all strings, got {', '.join(kinds)}.")
        large = kinds == ["int"] and max(filter(None, values), default=0) >= 2**63
        arrays[role] = pa.array(values, pa.uint64() if large else None)
    return pa.RecordBatch.from_pydict(arrays)

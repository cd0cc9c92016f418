"""Reports as plain values and as JSON."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from theory.files import write_text


def json_safe(value: Any) -> Any:
    """Replace what JSON cannot hold: infinities by None, named tuples by objects, tuples by lists."""
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {key: json_safe(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_safe(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON; the file appears whole or not at all."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_text(path, text)


def made() -> tuple[str, str]:
    """Version of this package and the date, in UTC, for what is written now."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        number = version("stationary-representations")
    except PackageNotFoundError:
        number = "unknown"
    return number, datetime.now(UTC).isoformat(timespec="seconds")

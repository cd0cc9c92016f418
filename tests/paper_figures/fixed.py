"""The fixed data that baseline images are drawn from: that of a run, in four digits.

After a change of what a figure draws:

    python -m paper_figures --output output
    python -m tests.paper_figures.fixed output
    pytest tests/paper_figures/test_baselines.py --mpl-generate-path=tests/paper_figures/baseline

and look at the new images before they are committed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from paper_figures.make import FIGURES

DATA = Path(__file__).parent / "data"


def load(name: str) -> dict[str, Any]:
    """Data of a figure, as ``draw`` takes it."""
    return json.loads((DATA / f"{name}.json").read_text())


def rounded(value: Any) -> Any:
    """Floats in four significant digits, all the way down."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list) else value


if __name__ == "__main__":
    DATA.mkdir(exist_ok=True)
    for name in FIGURES:
        data = json.loads((Path(sys.argv[1]) / f"{name}.json").read_text())
        (DATA / f"{name}.json").write_text(json.dumps(rounded(data), separators=(",", ":")) + "\n")

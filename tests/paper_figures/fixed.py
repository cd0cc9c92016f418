"""The fixed data that baseline images are drawn from: of known features where figures train, in four digits.

After a change of what a figure computes or draws:

    python -m tests.paper_figures.fixed
    pytest tests/paper_figures/test_baselines.py --mpl-generate-path=tests/paper_figures/baseline

and look at the new images before they are committed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from paper_figures import _runs, fig03_higher_order
from paper_figures.make import FIGURES, load
from theory.caps import UniformCap
from theory.simplex import simplex_vertices

DATA = Path(__file__).parent / "data"


def fixed(name: str) -> dict[str, Any]:
    """Data of a figure, as ``draw`` takes it."""
    return json.loads((DATA / f"{name}.json").read_text())


def make() -> None:
    """Write the data of every figure."""
    from . import known

    models = known.trained()
    _runs.sequence = lambda scenario, method, how, settings=None: known.SETS[method]  # type: ignore[assignment]
    _runs.upgrades = lambda seeds: models  # type: ignore[assignment]
    DATA.mkdir(exist_ok=True)
    for name in FIGURES:
        if name == "fig03_higher_order":
            data: dict[str, Any] = {"data": "caps", "models": 4, "held_out": len(known.LABELS)}
            data |= {"simplex": fig03_higher_order.measured(known.forgetful())}
            data |= {"hoc": fig03_higher_order.measured(known.faithful())}
        elif name == "learned_caps":
            data = _caps()
        else:
            data = load(name).compute()
        (DATA / f"{name}.json").write_text(json.dumps(_rounded(data), separators=(",", ":")) + "\n")


def _caps() -> dict[str, Any]:
    rng = np.random.default_rng(5)
    labels = np.arange(150) % 3
    centres = np.arctan2(*simplex_vertices(3)[labels].T[::-1])
    angles = {name: UniformCap(9, radius).sample(400, rng=rng)[:, 0] for name, radius in (("old", 0.6), ("new", 0.4))}
    return {
        "labels": labels.tolist(),
        "plane": {name: (centres + rng.normal(0.0, s, 150)).tolist() for name, s in (("old", 0.25), ("new", 0.12))},
        "polar": {name: np.arccos(cosine).tolist() for name, cosine in angles.items()}
        | {"learned": rng.normal(np.pi / 2, 0.33, 400).tolist()},
    }


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list) else value


if __name__ == "__main__":
    make()

"""Compute figures and write PDF, PNG and the data behind each."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from paper_figures import _style

FIGURES = (
    "learned_caps",
    "fig11_angle_density",
    "proof_in_one_picture",
    "sign_of_the_gap",
    "tolerable_drift",
)


def make(names: Sequence[str], output: Path) -> Iterator[Path]:
    """Compute and draw the named figures; yield the paths of NAME.pdf, NAME.png and NAME.json as they are written.

    Raises
    ------
    ValueError
        Before work starts, for a figure that does not exist.
    """
    unknown = [name for name in names if name not in FIGURES]
    if unknown:
        raise ValueError(f"a figure must be one of {', '.join(FIGURES)}, got {unknown[0]!r}.")
    for name in names:
        module = importlib.import_module(f"paper_figures.{name}")
        data = module.compute()
        yield from _style.save(module.draw(data), output, name)
        path = output / f"{name}.json"
        path.write_text(json.dumps(data, indent=1) + "\n")
        yield path

"""Compute figures and write PDF, PNG and the data behind each; and the gallery, a page that shows them all."""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from learning.progress import Progress
from learning.store import Kept, Store
from paper_figures import _kept, _style
from theory.extras import require
from theory.files import make_folder, write_text

FIGURES = (
    "fig01_caps",
    "fig02_conditions",
    "fig03_higher_order",
    "fig04_compatibility_matrices",
    "fig05_scheme",
    "fig06_average_accuracy",
    "fig10_ablation",
    "fig11_angle_density",
    "fig12_expected_distances",
    "where_the_theorem_holds",
    "pairs_against_expectation",
    "proof_in_one_picture",
    "sign_of_the_gap",
    "tolerable_drift",
    "decision_rates",
    "learned_caps",
)
# figures of the paper that one of ours shows together with another
SHORT_NAMES = {"fig07": "fig04_compatibility_matrices", "fig09": "fig06_average_accuracy"}
SHORT_NAMES |= {name.partition("_")[0]: name for name in FIGURES if name.startswith("fig")}


@dataclass(frozen=True, kw_only=True)
class WrittenFigure:
    """One figure, written.

    Attributes
    ----------
    name : str
    paths : tuple of Path
        NAME.pdf, NAME.png and NAME.json.
    data : dict
    seconds : float
        Wall time of its computation when it was done; models that an earlier figure had trained are not counted.
    """

    name: str
    paths: tuple[Path, ...]
    data: dict[str, Any]
    seconds: float


def resolve(names: Sequence[str]) -> list[str]:
    """Full names of figures named in full or in short (fig3, fig03), each once, in the given order; all if none is.

    Raises
    ------
    ValueError
        For a figure that does not exist.
    """
    found = []
    for name in names or FIGURES:
        number = name.lower().removeprefix("fig")
        full = SHORT_NAMES.get(f"fig{number.zfill(2)}", name) if number.isdecimal() else name
        if full not in FIGURES:
            raise ValueError(
                f"a figure must be one of {', '.join(FIGURES)}, or fig and the number in the paper, got {name!r}."
            )
        found.append(full)
    return list(dict.fromkeys(found))


def load(name: str) -> ModuleType:
    """The module of a figure: ``compute``, ``draw``, ``findings`` and the caption in its docstring."""
    return importlib.import_module(f"paper_figures.{name}")


def make(
    names: Sequence[str],
    output: Path,
    quick: bool = False,
    cache: bool = True,
    dpi: int = 300,
    progress: Progress | None = None,
) -> Iterator[WrittenFigure]:
    """Compute and draw the named figures; yield each as its files are written, which appear whole or not at all.

    Parameters
    ----------
    names : sequence of str
        As :func:`resolve` takes them.
    output : Path
        Folder to write to; made if missing.
    quick : bool
        The small version of what is trained or simulated: minutes for all figures.
    cache : bool
        Whether results are kept in the user's cache folder and taken from there.
    dpi : int
        Resolution of the PNG.
    progress : callable, optional
        Told the name of the figure that is being made, figures done and figures in all.

    Raises
    ------
    ValueError
        Before work starts, for a figure that does not exist.
    """
    full = resolve(names)
    for name in full:
        if _kept.ROOT / "learning" / "training.py" in _kept.sources(f"paper_figures.{name}"):
            require(f"figure {name}", "torch", "accelerate", "sklearn", extra="train")
    make_folder(output)
    _kept.store = Store(_kept.user_folder() if cache else None, remake=True)
    for number, name in enumerate(full):
        if progress is not None:
            progress(name, number, len(full))
        found = _compute(load(name), quick)
        paths = _style.save(load(name).draw(found.values), output, name, dpi)
        paths.append(output / f"{name}.json")
        _write_json(paths[-1], found.values)
        yield WrittenFigure(name=name, paths=tuple(paths), data=found.values, seconds=found.seconds)


def _write_json(path: Path, data: dict[str, Any]) -> None:
    text = json.dumps(data, indent=1, allow_nan=False) + "\n"
    write_text(path, text)


def _compute(module: ModuleType, quick: bool) -> Kept:
    """The data of a figure, kept or new."""
    arguments = {"quick": quick} if "quick" in inspect.signature(module.compute).parameters else {}
    parameters: dict[str, Any] = dict(arguments)
    if not quick and _kept.ROOT / "paper_figures" / "_runs.py" in _kept.sources(module.__name__):
        from paper_figures._runs import full_data

        parameters["data"] = full_data()
    # through JSON, so that kept data and new data are the same
    return _kept.kept(
        module.__name__.rpartition(".")[2],
        (module.__name__,),
        parameters,
        lambda: json.loads(json.dumps(module.compute(**arguments))),
    )

"""Theorem 1 along a sequence of models: where its hypotheses hold and where they stop.

The theorem speaks of classes that both models have at their vertices. When classes come task by task the older model
has never seen the new ones, and when a model is replaced the newcomer has seen the earlier classes in a few replayed
images alone; so every update is checked on the classes that the older model knew and on those that it did not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from verification.audit.theorem import TheoremCheck, check_theorem
from verification.features import FeatureSet
from verification.upgrade import Upgrade

if TYPE_CHECKING:
    from learning.runs import ScenarioRun


@dataclass(frozen=True, kw_only=True)
class UpdateCheck:
    """Theorem 1 on some classes of one update.

    Attributes
    ----------
    new, old : int
        Models, counted from 0.
    which : {"known", "new"}
        Classes that the older model was trained on, or those that only the newer one was.
    classes : tuple of int
    check : TheoremCheck
    """

    new: int
    old: int
    which: Literal["known", "new"]
    classes: tuple[int, ...]
    check: TheoremCheck


def check_updates(run: ScenarioRun) -> list[UpdateCheck]:
    """Check Theorem 1 on every pair of consecutive models of a run; groups of fewer than two classes are left out.

    Raises
    ------
    ValueError
        If the run has a learned classifier: then there are no vertices to be at.
    """
    if run.vertices is None:
        raise ValueError(f"run must have a fixed classifier; {run.method} in this scenario has a learned one.")
    checks = []
    for new in range(1, len(run.features)):
        earlier = frozenset().union(*run.seen[:new])
        groups: dict[Literal["known", "new"], frozenset[int]] = {"known": earlier, "new": run.seen[new] - earlier}
        for which, group in groups.items():
            classes = sorted(group)
            if len(classes) < 2:
                continue
            rows = np.isin(run.labels, classes)
            later, before = (FeatureSet(run.features[task][rows], run.labels[rows]) for task in (new, new - 1))
            vertices = run.vertices[classes].astype(np.float64)
            # rows of float32 are unit to seven digits, and fifteen are asked for
            vertices /= np.linalg.norm(vertices, axis=1, keepdims=True)
            check = check_theorem(Upgrade(later, before), vertices)
            checks.append(UpdateCheck(new=new, old=new - 1, which=which, classes=tuple(classes), check=check))
    return checks

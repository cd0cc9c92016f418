"""Evaluate a sequence of models: compatibility matrix, AC, AA, an audit of each pair.

Definition 1 in expectation and the matrix criterion (paper, Eq. 6) are different claims: each pair of models gets both
answers. :mod:`verification.experiments.suites.suite` makes tables of such sequences.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from theory.files import reading, regular
from verification.audit.definition1 import audit
from verification.audit.report import Definition1Report
from verification.experiments.dependence import class_means, mean_alignment
from verification.features import FeatureSet
from verification.reporting import json_safe
from verification.search.matrices import MatrixReport, judge_outcomes, judge_scores
from verification.search.scores import outcomes

if TYPE_CHECKING:
    from rich.console import RenderableType

CLASSES = ("all", "trained", "open")
_MEANING = (
    "M[t,k] is the share of right answers to queries of model t in the gallery of model k.\n"
    "AC is the share of pairs with M[t,k] > M[k,k] (Eq. 6): 1 if every update improved the search of every older "
    "gallery, 0 if none did.\n"
    "AA is the mean of all M[t,k] with k <= t, at best 1. It has no fixed good value: compare it between methods on "
    "the same data.\n"
    "Gaps > 0 are compatible (Definition 1). docs/train.md, Reading an evaluation, defines all of these."
)
# what stands in the heading of a table
SEARCHES = {
    "nearest": "{} queries by nearest neighbour",
    "template": "{} queries by class templates",
    "map": "mean average precision of {} queries",
    "verification": "1:1 verification of {} pairs",
}


@dataclass(frozen=True, kw_only=True)
class PairReport:
    """Two models of a sequence, t > k, counted from 0.

    Attributes
    ----------
    new, old : int
    audit : Definition1Report
        Definition 1 in expectation.
    matrix_verdict : {"compatible", "incompatible", "undecided"}
        Eq. 6.
    drift : float
        Mean over classes of the angle between the class's mean direction under the two models, radians.
    """

    new: int
    old: int
    audit: Definition1Report
    matrix_verdict: str
    drift: float


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What is known of a sequence of models.

    Attributes
    ----------
    matrix : MatrixReport
        AC with its interval, AA_τ, every entry.
    pairs : tuple of PairReport
        The T(T − 1)/2 pairs, row by row.
    score : str
        What the matrix holds.
    """

    matrix: MatrixReport
    pairs: tuple[PairReport, ...]
    score: str = "nearest"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        pairs = [
            {
                "new": pair.new,
                "old": pair.old,
                "audit": pair.audit.to_dict(),
                "matrix_verdict": pair.matrix_verdict,
                "drift": pair.drift,
            }
            for pair in self.pairs
        ]
        return {"score": self.score, "matrix": self.matrix.to_dict(), "pairs": json_safe(pairs)}


def evaluate(
    query_sets: Sequence[FeatureSet],
    gallery_sets: Sequence[FeatureSet] | None = None,
    confidence: float = 0.95,
    score: str = "nearest",
) -> Evaluation:
    """Judge every pair of a sequence of models.

    Parameters
    ----------
    query_sets : sequence of FeatureSet, length T
        The same samples through each model, oldest first.
    gallery_sets : sequence of FeatureSet, length T, optional
        What is searched; the query sets themselves if not given, and then none may find itself.
    confidence : float
        In (0, 1): of all entries of the matrix at once, and of each audit.
    score : {"nearest", "template", "map", "verification"}
        What the matrix holds; see :func:`~verification.search.scores.compatibility_matrix`.

    Raises
    ------
    ValueError
        If the sets do not belong together.
    """
    matrix = judge_search(query_sets, gallery_sets, score, confidence)
    pairs = []
    for entry in matrix.entries:
        new, old = query_sets[entry.new], query_sets[entry.old]
        report = audit(new, old, confidence=confidence)
        pairs.append(
            PairReport(new=entry.new, old=entry.old, audit=report, matrix_verdict=entry.verdict, drift=_drift(new, old))
        )
    return Evaluation(matrix=matrix, pairs=tuple(pairs), score=score)


def judge_search(
    query_sets: Sequence[FeatureSet],
    gallery_sets: Sequence[FeatureSet] | None = None,
    score: str = "nearest",
    confidence: float = 0.95,
) -> MatrixReport:
    """Judge the compatibility matrix of a sequence of models by one search; arguments as for :func:`evaluate`."""
    values = outcomes(query_sets, query_sets if gallery_sets is None else gallery_sets, score)
    return (judge_scores if score == "map" else judge_outcomes)(values, confidence)


def load_run(directory: str | os.PathLike[str], classes: str = "all") -> list[FeatureSet]:
    """Features that a run wrote to its folder, one set a model, oldest first.

    Parameters
    ----------
    directory : path
    classes : {"all", "trained", "open"}
        Held-out samples to use: all, those of classes that some model was trained on, or those of classes that none was
        (open set).

    Raises
    ------
    ValueError
        If the folder holds no features, a file cannot be used, or no sample is of such a class.
    """
    if classes not in CLASSES:
        raise ValueError(f"classes must be one of {', '.join(CLASSES)}, got {classes!r}.")
    sets = [FeatureSet.load(path) for path in feature_files(directory)]
    if classes == "all":
        return sets
    path = Path(directory) / "trained.json"
    if not path.exists():
        raise ValueError(f"{path}: is missing; it is written when a run is finished.")
    with reading(path, "It must be the list of trained classes of a finished run."):
        trained = np.array(
            json.loads(regular(path).read_text(encoding="utf-8")), dtype=sets[0].complete_labels.dtype.kind
        )
    rows = np.isin(sets[0].complete_labels, trained, invert=classes == "open")
    if not rows.any():
        raise ValueError(f"{directory}: no held-out sample is of classes that are {classes}.")
    return [FeatureSet(each.features[rows], each.complete_labels[rows]) for each in sets]


def feature_files(directory: str | os.PathLike[str]) -> list[Path]:
    """Files with the features of each model of a run, the oldest first.

    Raises
    ------
    ValueError
        If there is no such folder, or none of them in it.
    """
    paths = sorted(Path(directory).glob("task-*.features.npz"))
    if not Path(directory).is_dir():
        raise ValueError(f"{directory}: no such folder; stationary train makes it.")
    if not paths:
        raise ValueError(f"{directory}: holds no task-*.features.npz; is it the folder of a run?")
    return paths


def render_evaluation(evaluation: Evaluation) -> RenderableType:
    """AC and AA, then one line a pair of models with both answers, for a terminal of 80 columns."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    report = evaluation.matrix
    low, high = report.average_compatibility_interval
    head = (
        f"AC {report.average_compatibility:.3f} in [{low:.3f}, {high:.3f}], AA {report.average_accuracies[-1]:.4f}; "
        f"{len(report.matrix)} models, {SEARCHES[evaluation.score].format(report.num_queries)}, "
        f"confidence {report.confidence:g}."
    )
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for header in ("new", "old", "M[t,k]", "M[k,k]", "Eq. 6", "gap 1a", "gap 1b", "Definition 1"):
        # Text: in a plain string the brackets would be markup
        table.add_column(Text(header), justify="left" if header in ("Eq. 6", "Definition 1") else "right")
    for pair in evaluation.pairs:
        table.add_row(
            str(pair.new),
            str(pair.old),
            f"{report.matrix[pair.new, pair.old]:.4f}",
            f"{report.matrix[pair.old, pair.old]:.4f}",
            pair.matrix_verdict,
            f"{pair.audit.same_class.gap:+.3f}",
            f"{pair.audit.different_class.gap:+.3f}",
            pair.audit.verdict,
        )
    return Group(Text(head), Text(_MEANING), table)


def _drift(new: FeatureSet, old: FeatureSet) -> float:
    cosines = mean_alignment(new, class_means(old))
    return float(np.mean(np.arccos(np.clip(cosines, -1.0, 1.0))))

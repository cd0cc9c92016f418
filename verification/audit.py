"""The audit: may queries of the new model search the gallery of the old one? Verdicts come from intervals."""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy import stats

from verification.features import FeatureSet, write_atomically
from verification.inequalities import SideEstimate, estimate_sides

Verdict = Literal["compatible", "incompatible", "inconclusive"]
# gaps are computed for the squared Euclidean distance; the cosine distance 1 − c is half of it
SCALES = {"sqeuclidean": 1.0, "cosine": 0.5}


@dataclass(frozen=True)
class SideReport:
    """One inequality of Definition 1, judged.

    Attributes
    ----------
    gap : float
        Mean over all ordered pairs, in units of the distance; positive = compatible.
    lower, upper : float
        Interval for the expected gap; both sides cover at once with the report's confidence.
    pair_fraction, pair_fraction_error : float
        Share of pairs that satisfy the inequality by themselves, and its standard error (0 when all were looked at).
    num_pairs : int
        Ordered pairs of the side.
    verdict : {"compatible", "incompatible", "inconclusive"}
    """

    gap: float
    lower: float
    upper: float
    pair_fraction: float
    pair_fraction_error: float
    num_pairs: int
    verdict: Verdict


@dataclass(frozen=True)
class AuditReport:
    """What an audit found; see :func:`audit`.

    Attributes
    ----------
    verdict : {"compatible", "incompatible", "inconclusive"}
        Compatible when both sides are, incompatible when either is.
    same_class, different_class : SideReport
        Inequality 1a and inequality 1b.
    metric : str
    confidence, margin : float
    num_samples, num_classes, dim : int
    notes : tuple of str
        What the reader has to know about this data.
    """

    verdict: Verdict
    same_class: SideReport
    different_class: SideReport
    metric: str
    confidence: float
    margin: float
    num_samples: int
    num_classes: int
    dim: int
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values; an infinite bound becomes None, as JSON has no infinity."""
        return json_safe(asdict(self))

    def to_json(self, path: str | os.PathLike[str]) -> None:
        """Write :meth:`to_dict` as JSON; the file appears whole or not at all."""
        write_json(Path(path), self.to_dict())


def json_safe(value: Any) -> Any:
    """Replace what JSON cannot hold: infinities by None, tuples by lists."""
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
    write_atomically(path, lambda file: file.write(text.encode()))


def audit(
    new: FeatureSet,
    old: FeatureSet,
    metric: str = "sqeuclidean",
    confidence: float = 0.95,
    margin: float = 0.0,
    seed: int = 0,
) -> AuditReport:
    r"""Judge Definition 1, in expectation, for two models' features of the same samples.

    The gap of the same-class side is the mean over pairs of :math:`d(v_i, v_j) − d(u_i, v_j)`, of the different-class
    side the mean of :math:`d(u_i, v_j) − d(v_i, v_j)`, u new and v old unit features. The interval is about new
    samples of these classes in these numbers: labels are held fixed, samples of a class are independent draws. Each
    side has level 1 − (1 − confidence)/2, so that both intervals cover at once with probability ≥ ``confidence``.

    A side is compatible when its lower bound is ≥ −margin, incompatible when its upper bound is < −margin, else
    inconclusive. Identical features give [0, 0] exactly.

    Parameters
    ----------
    new, old : FeatureSet
        The same samples, row by row, through the new and the old model: one length, one dimension, equal labels.
    metric : {"sqeuclidean", "cosine"}
    confidence : float
        In (0, 1), of both sides together.
    margin : float
        ≥ 0, the loss of gap that is acceptable, in units of the distance.
    seed : int
        Of the sample of pairs that stands for all of them where N²·d > 3e8.

    Returns
    -------
    AuditReport

    Raises
    ------
    ValueError
        If the two sets do not belong together, have one class only or no class with two samples, or an argument is
        out of range.

    References
    ----------
    Definition 1, Eq. 1a and 1b of the paper; Hoeffding, *A class of statistics with asymptotically normal
    distribution*, 1948, for the two parts of the variance.
    """
    if metric not in SCALES:
        raise ValueError(f"metric must be one of {', '.join(SCALES)}, got {metric!r}.")
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must be in (0, 1), got {confidence!r}.")
    if not (margin >= 0.0 and math.isfinite(margin)):
        raise ValueError(f"margin must be a finite number >= 0, got {margin!r}.")
    check_paired(new, old)
    sizes = np.bincount(old.codes)
    level = 1.0 - (1.0 - confidence) / 2.0
    same, different = (
        _judge(side, SCALES[metric], level, margin) for side in estimate_sides(new.unit, old.unit, old.codes, seed)
    )
    verdicts = {same.verdict, different.verdict}
    verdict: Verdict = (
        "incompatible" if "incompatible" in verdicts else "compatible" if verdicts == {"compatible"} else "inconclusive"
    )
    notes = tuple(_notes(old, sizes))
    return AuditReport(verdict, same, different, metric, confidence, margin, len(old), len(old.classes), old.dim, notes)


def check_paired(new: FeatureSet, old: FeatureSet) -> None:
    """Raise ValueError unless the sets hold the same samples, enough of them to compare."""
    if len(new) != len(old):
        raise ValueError(f"new and old must hold the same samples, got {len(new)} and {len(old)} rows.")
    if new.dim != old.dim:
        raise ValueError(f"new and old must have one dimension, got {new.dim} and {old.dim}.")
    if (new.labels.dtype.kind == "U") != (old.labels.dtype.kind == "U"):
        raise ValueError(f"new and old must have labels of one kind, got {new.labels.dtype} and {old.labels.dtype}.")
    differ = np.flatnonzero(new.labels != old.labels)
    if len(differ):
        row = differ[0]
        raise ValueError(
            f"new and old must have equal labels row by row, but {len(differ)} rows differ, the first is row {row}: "
            f"{new.labels[row].item()!r} and {old.labels[row].item()!r}."
        )
    if len(old.classes) < 2:
        raise ValueError(f"labels must name at least two classes, got one: {old.classes[0].item()!r}.")
    if len(old.classes) == len(old):
        raise ValueError("labels must give some class two samples, got one sample in every class.")


def _notes(old: FeatureSet, sizes: np.ndarray) -> list[str]:
    alone = old.classes[sizes == 1]
    if not len(alone):
        return []
    named = ", ".join(str(label) for label in alone[:5]) + (", …" if len(alone) > 5 else "")
    few = "1 class has" if len(alone) == 1 else f"{len(alone)} classes have"
    return [f"{few} one sample and so no same-class pair ({named}): left out of that side, kept in the other."]


def _judge(side: SideEstimate, scale: float, level: float, margin: float) -> SideReport:
    gap = scale * side.gap
    half = scale * side.standard_error
    if half > 0.0:  # no spread at all, as for identical features: the interval is the point
        half *= float(stats.t.isf((1.0 - level) / 2.0, side.degrees_of_freedom))
    lower, upper = gap - half, gap + half
    verdict: Verdict = "compatible" if lower >= -margin else "incompatible" if upper < -margin else "inconclusive"
    return SideReport(gap, lower, upper, side.pair_fraction, side.pair_fraction_error, side.num_pairs, verdict)

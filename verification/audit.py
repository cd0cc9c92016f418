"""The audit: may queries of the new model search the gallery of the old one? Verdicts come from intervals."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from verification._breakdown import ClassGap, ClassPairs, Verdict, Worst, read_class_pairs, read_classes
from verification._sums import Map
from verification._weights import WEIGHTINGS
from verification.features import FeatureSet, write_atomically
from verification.inequalities import SideEstimate, Statistics, estimate, statistics

# of schema/audit-report.schema.json, which describes what to_dict returns
SCHEMA_VERSION = 1
METRICS = ("sqeuclidean", "cosine", "euclidean", "angular")
# the cosine distance 1 − c is half of the squared Euclidean, for which the gaps are computed
SCALES = {"sqeuclidean": 1.0, "cosine": 0.5}
INTERVALS = (
    "Intervals are for new samples of these classes in these numbers: labels are held fixed, the samples of a class "
    "are independent draws of it. Both sides' intervals cover at once with the stated confidence."
)


@dataclass(frozen=True)
class SideReport:
    """One inequality of Definition 1, judged.

    Attributes
    ----------
    gap : float
        Weighted mean over ordered pairs, in units of the distance; positive = compatible.
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
class Sides:
    """Both inequalities under one weighting.

    Attributes
    ----------
    verdict : {"compatible", "incompatible", "inconclusive"}
        Compatible when both sides are, incompatible when either is.
    same_class, different_class : SideReport
        Inequality 1a and inequality 1b.
    """

    verdict: Verdict
    same_class: SideReport
    different_class: SideReport


@dataclass(frozen=True)
class AuditReport:
    """What an audit found; see :func:`audit`.

    Attributes
    ----------
    verdict : {"compatible", "incompatible", "inconclusive"}
        Compatible when both sides are, incompatible when either is.
    same_class, different_class : SideReport
        Inequality 1a and inequality 1b, in the weighting that was asked for.
    metric : str
    confidence, margin : float
    weights : {"pairs", "classes"}
        What counts once.
    num_samples, num_gallery, num_classes, dim : int
        ``num_gallery`` is None where samples were paired with each other.
    notes : tuple of str
        What the reader has to know about this data.
    by_weighting : dict
        :class:`Sides` under each weighting.
    by_class : tuple of ClassGap
        1a for each class that has pairs of its own, simultaneous intervals.
    class_pairs : ClassPairs or None
        1b over the pairs of classes, counted; None where there are too many to look at.
    worst : Worst
        The class that loses most on 1a, and the class pair on 1b.
    off_centre_defect : float or None
        gap(1b) − gap(1a)/(K−1), every class counting once: zero when the old class means sum to zero, as on a simplex,
        where both inequalities are one condition. For ``sqeuclidean`` and ``cosine``; None where a class has no pair.
    intervals : str
        What the intervals are about.
    """

    verdict: Verdict
    same_class: SideReport
    different_class: SideReport
    metric: str
    confidence: float
    margin: float
    weights: str
    num_samples: int
    num_gallery: int | None
    num_classes: int
    dim: int
    notes: tuple[str, ...]
    by_weighting: dict[str, Sides]
    by_class: tuple[ClassGap, ...]
    class_pairs: ClassPairs | None
    worst: Worst
    off_centre_defect: float | None
    intervals: str = INTERVALS

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values; an infinite bound becomes None, as JSON has no infinity."""
        return json_safe({"schema_version": SCHEMA_VERSION, **asdict(self)})

    def to_json(self, path: str | os.PathLike[str]) -> None:
        """Write :meth:`to_dict` as JSON; the file appears whole or not at all."""
        write_json(Path(path), self.to_dict())

    def to_html(self, path: str | os.PathLike[str], **sections: Any) -> None:
        """Write the report as one page; keywords are those of :func:`verification.html.to_html`."""
        from verification.html import to_html

        to_html(self, path, **sections)


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
    gallery: FeatureSet | None = None,
    margin: float = 0.0,
    weights: str = "pairs",
    seed: int = 0,
    run: Map = map,
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
    metric : {"sqeuclidean", "cosine", "euclidean", "angular"}
        The first two read the data once, O(N·d). The others look at all pairs of at most 20 000 samples, a seeded part
        of the data where it has more; the interval is that of the part.
    confidence : float
        In (0, 1), of both sides together.
    gallery : FeatureSet, optional
        Old-model features of other samples: then pairs are (sample, gallery item), and the gallery must not hold the
        samples themselves. Without it, the samples are paired with each other.
    margin : float
        ≥ 0, the loss of gap that is acceptable, in units of the distance.
    weights : {"pairs", "classes"}
        What counts once: every pair of samples, or every class (1a) and every ordered pair of classes (1b).
    seed : int
        ≥ 0; of every random choice: rows kept for the variance, and pairs looked at where not all are.
    run : callable
        As ``map``, by which parts of the data are read; :func:`verification.distributed.audit_distributed` has another.

    Returns
    -------
    AuditReport

    Raises
    ------
    ValueError
        If the sets do not belong together, there is no pair for one of the sides, or an argument is out of range.

    References
    ----------
    Definition 1, Eq. 1a and 1b of the paper; Hoeffding, *A class of statistics with asymptotically normal
    distribution*, 1948, for the two parts of the variance.
    """
    _check_arguments(metric, confidence, margin, weights, seed)
    if gallery is None:
        check_paired(new, old)
    else:
        check_gallery(new, old, gallery)
    labels, codes, items = _encode(old, gallery)
    scale = SCALES.get(metric, 1.0)
    measured = "sqeuclidean" if metric in SCALES else metric
    source = statistics((new, old), codes, len(labels), items, measured, seed, run)
    sides, classes = estimate(source)
    level = (1.0 - confidence) / 2.0
    by_weighting = {name: judge_sides(both, scale, level, margin) for name, both in sides.items()}
    by_class = read_classes(classes, source, labels, scale, margin, level)
    class_pairs, worst_pair = read_class_pairs(measured, source, labels, scale, margin, level)
    # of the classes that can tell, if any can
    worst_class = min(by_class, key=lambda c: (math.isinf(c.upper), c.gap))
    chosen = by_weighting[weights]
    return AuditReport(
        chosen.verdict,
        chosen.same_class,
        chosen.different_class,
        metric,
        confidence,
        margin,
        weights,
        len(old),
        None if gallery is None else len(gallery),
        len(labels),
        old.dim,
        tuple(_notes(labels, source, class_pairs)),
        by_weighting,
        by_class,
        class_pairs,
        Worst(worst_class, worst_pair),
        _off_centre_defect(by_weighting["classes"], len(by_class), len(labels)) if metric in SCALES else None,
    )


def _check_arguments(metric: str, confidence: float, margin: float, weights: str, seed: int) -> None:
    if metric not in METRICS:
        raise ValueError(f"metric must be one of {', '.join(METRICS)}, got {metric!r}.")
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must be in (0, 1), got {confidence!r}.")
    if not (margin >= 0.0 and math.isfinite(margin)):
        raise ValueError(f"margin must be a finite number >= 0, got {margin!r}.")
    if weights not in WEIGHTINGS:
        raise ValueError(f"weights must be one of {', '.join(WEIGHTINGS)}, got {weights!r}.")
    if not (isinstance(seed, int | np.integer) and seed >= 0):
        raise ValueError(f"seed must be an integer >= 0, got {seed!r}.")


def _encode(
    old: FeatureSet, gallery: FeatureSet | None
) -> tuple[np.ndarray, np.ndarray, tuple[FeatureSet, np.ndarray] | None]:
    """Distinct labels of samples and gallery together, each sample's position among them, each gallery item's."""
    if gallery is None:
        return old.classes, old.codes, None
    labels = np.union1d(old.classes, gallery.classes)
    codes, items = (np.searchsorted(labels, s.classes)[s.codes] for s in (old, gallery))
    return labels, codes, (gallery, items)


def check_paired(new: FeatureSet, old: FeatureSet) -> None:
    """Raise ValueError unless the sets hold the same samples, enough of them to compare."""
    _check_same_samples(new, old)
    if len(old.classes) < 2:
        raise ValueError(f"labels must name at least two classes, got one: {old.classes[0].item()!r}.")
    if len(old.classes) == len(old):
        raise ValueError("labels must give some class two samples, got one sample in every class.")


def check_gallery(new: FeatureSet, old: FeatureSet, gallery: FeatureSet) -> None:
    """Raise ValueError unless new and old hold the same samples and the gallery has pairs with them for both sides."""
    _check_same_samples(new, old)
    if gallery.dim != old.dim:
        raise ValueError(f"gallery must have the samples' dimension {old.dim}, got {gallery.dim}.")
    if (gallery.labels.dtype.kind == "U") != (old.labels.dtype.kind == "U"):
        raise ValueError(
            f"gallery and old must have labels of one kind, got {gallery.labels.dtype} and {old.labels.dtype}."
        )
    shared = np.intersect1d(old.classes, gallery.classes)
    if not len(shared):
        raise ValueError("gallery must share a class with the samples, but no label is in both.")
    if len(old.classes) == len(gallery.classes) == 1:
        raise ValueError(f"samples and gallery must name at least two classes, got one: {shared[0].item()!r}.")


def _check_same_samples(new: FeatureSet, old: FeatureSet) -> None:
    if len(new) != len(old):
        raise ValueError(f"new and old must hold the same samples, got {len(new)} and {len(old)} rows.")
    if new.dim != old.dim:
        raise ValueError(f"new and old must have one dimension, got {new.dim} and {old.dim}.")
    _check_ids(new, old)
    if (new.labels.dtype.kind == "U") != (old.labels.dtype.kind == "U"):
        raise ValueError(f"new and old must have labels of one kind, got {new.labels.dtype} and {old.labels.dtype}.")
    differ = np.flatnonzero(new.labels != old.labels)
    if len(differ):
        row = differ[0]
        raise ValueError(
            f"new and old must have equal labels row by row, but {len(differ)} rows differ, the first is row {row}: "
            f"{new.labels[row].item()!r} and {old.labels[row].item()!r}."
        )


def _check_ids(new: FeatureSet, old: FeatureSet) -> None:
    """Raise ValueError where both sets know their rows by ids, and not by the same."""
    if new.ids is None or old.ids is None:
        return
    if (new.ids.dtype.kind == "U") != (old.ids.dtype.kind == "U"):
        raise ValueError(f"new and old must have ids of one kind, got {new.ids.dtype} and {old.ids.dtype}.")
    differ = np.flatnonzero(new.ids != old.ids)
    if len(differ):
        row = differ[0]
        raise ValueError(
            f"new and old must have equal ids row by row, but {len(differ)} rows differ, the first is row {row}: "
            f"{new.ids[row].item()!r} and {old.ids[row].item()!r}."
        )


def _notes(labels: np.ndarray, source: Statistics, class_pairs: ClassPairs | None) -> Iterator[str]:
    sizes, items = source.rows.sizes, (source.gallery or source.rows).sizes
    if source.gallery is None:
        yield from _left_out(labels[sizes == 1], "one sample")
    else:
        yield from _left_out(labels[(sizes > 0) & (items == 0)], "no gallery item")
        yield from _left_out(labels[(sizes == 0) & (items > 0)], "gallery items alone")
    for rows, what in ((source.rows, "samples"), (source.gallery, "gallery items")):
        if rows is not None and source.uses_part and len(rows.codes) < int(rows.sizes.sum()):
            yield (
                f"All pairs of {len(rows.codes)} of the {int(rows.sizes.sum())} {what} were looked at, a seeded part "
                "with every class in proportion; the intervals are for the part, so wider than all pairs would give."
            )
    if class_pairs is None:
        yield "The worst class pair was not looked for: there are too many classes."


def _left_out(alone: np.ndarray, what: str) -> Iterator[str]:
    if len(alone):
        named = ", ".join(str(label) for label in alone[:5]) + (", …" if len(alone) > 5 else "")
        few = "1 class has" if len(alone) == 1 else f"{len(alone)} classes have"
        yield f"{few} {what} and so no same-class pair ({named}): left out of that side, kept in the other."


def judge_sides(sides: tuple[SideEstimate, SideEstimate], scale: float, level: float, margin: float) -> Sides:
    """Intervals and verdicts; ``level`` is each side's chance of not covering, ``scale`` the unit of the estimates."""
    same, different = (_judge(side, scale, level, margin) for side in sides)
    verdicts = {same.verdict, different.verdict}
    verdict: Verdict = (
        "incompatible" if "incompatible" in verdicts else "compatible" if verdicts == {"compatible"} else "inconclusive"
    )
    return Sides(verdict, same, different)


def _judge(side: SideEstimate, scale: float, level: float, margin: float) -> SideReport:
    gap = scale * side.gap
    half = scale * side.standard_error
    if half > 0.0:  # no spread at all, as for identical features: the interval is the point
        half *= float(stats.t.isf(level / 2.0, side.degrees_of_freedom))
    lower, upper = gap - half, gap + half
    verdict: Verdict = "compatible" if lower >= -margin else "incompatible" if upper < -margin else "inconclusive"
    return SideReport(gap, lower, upper, side.pair_fraction, side.pair_fraction_error, side.num_pairs, verdict)


def _off_centre_defect(classes: Sides, with_pairs: int, num_classes: int) -> float | None:
    if with_pairs < num_classes:
        return None
    return classes.different_class.gap - classes.same_class.gap / (num_classes - 1)

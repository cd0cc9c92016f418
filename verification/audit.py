"""The audit: may queries of the new model search the gallery of the old one? Verdicts come from intervals."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from verification._breakdown import ClassPairs, Verdict, Worst, read_class_pairs, read_classes
from verification.audit_report import AuditReport, SideReport, Sides, json_safe, write_json
from verification.drift import drift_margin
from verification.features import FeatureSet
from verification.inequalities import SideEstimate, Statistics, estimate, statistics
from verification.margin import old_contrast, parse_margin
from verification.power import SamplesNeeded, samples_needed
from verification.statistics.collect import Map
from verification.statistics.progress import Progress
from verification.statistics.student import upper_quantile
from verification.statistics.weights import WEIGHTINGS

__all__ = ["AuditReport", "SideReport", "Sides", "audit", "json_safe", "write_json"]

METRICS = ("sqeuclidean", "cosine", "euclidean", "angular")
# the cosine distance 1 − c is half of the squared Euclidean, for which the gaps are computed
SCALES = {"sqeuclidean": 1.0, "cosine": 0.5}


def audit(
    new: FeatureSet,
    old: FeatureSet,
    metric: str = "sqeuclidean",
    confidence: float = 0.95,
    gallery: FeatureSet | None = None,
    margin: float | str = 0.0,
    weights: str = "pairs",
    seed: int = 0,
    run: Map = map,
    progress: Progress | None = None,
) -> AuditReport:
    r"""Judge Definition 1, in expectation, for two models' features of the same samples.

    The gap of the same-class side is the mean over pairs of :math:`d(v_i, v_j) − d(u_i, v_j)`, of the different-class
    side the mean of :math:`d(u_i, v_j) − d(v_i, v_j)`, u new and v old unit features. The interval is about new
    samples of these classes in these numbers: labels are held fixed, samples of a class are independent draws. Each
    side has level 1 − (1 − confidence)/2, so that both intervals cover at once with probability ≥ ``confidence``.

    A side is compatible when its lower bound is ≥ −margin, incompatible when its upper bound is < −margin, else
    inconclusive; of a margin with an error, its standard error is added to the gap's for this. Identical features give
    [0, 0] exactly.

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
    margin : float or str
        ≥ 0, the loss of gap that is acceptable: a number in units of the distance, or a string with a per cent sign,
        "5%", a share of the old model's contrast (:mod:`verification.margin`), whose sampling error the verdict covers.
        With a margin "compatible" is a statement of non-inferiority: no side loses more than that.
    weights : {"pairs", "classes"}
        What counts once: every pair of samples, or every class (1a) and every ordered pair of classes (1b).
    seed : int
        ≥ 0; of every random choice: rows kept for the variance, and pairs looked at where not all are.
    run : callable
        As ``map``, by which parts of the data are read; :func:`verification.distributed.audit_distributed` has another.
    progress : callable, optional
        Called with the name of a stage, how much of it is done, and its total.

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
    _check_arguments(metric, confidence, weights, seed)
    amount, is_share = parse_margin(margin)
    if gallery is None:
        check_paired(new, old)
    else:
        check_gallery(new, old, gallery)
    labels, codes, items = _encode(old, gallery)
    scale = SCALES.get(metric, 1.0)
    measured = "sqeuclidean" if metric in SCALES else metric
    source = statistics((new, old), codes, len(labels), items, measured, seed, run, progress)
    sides, classes = estimate(source)
    level = (1.0 - confidence) / 2.0
    contrast = old_contrast(source, measured, weights, seed, with_error=is_share)
    error = 0.0
    if is_share:  # a model that tells nothing apart leaves nothing to lose
        error = amount * scale * contrast.standard_error
        amount = amount * scale * max(contrast.value, 0.0)
    by_weighting = {name: judge_sides(both, scale, level, amount, error) for name, both in sides.items()}
    by_class = read_classes(classes, source, labels, scale, amount, level, error)
    class_pairs, worst_pair = read_class_pairs(measured, source, labels, scale, amount, level, error)
    pair = None if worst_pair is None else np.searchsorted(labels, [worst_pair.query, worst_pair.gallery]).tolist()
    # of the classes that can tell, if any can
    worst_class = min(by_class, key=lambda c: (math.isinf(c.upper), c.gap))
    chosen = by_weighting[weights]
    return AuditReport(
        chosen.verdict,
        chosen.same_class,
        chosen.different_class,
        metric,
        confidence,
        amount,
        error,
        scale * contrast.value,
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
        drift_margin(measured, source, labels, classes.gap, pair),
        _off_centre_defect(by_weighting["classes"], len(by_class), len(labels)) if metric in SCALES else None,
        _samples_needed(sides[weights], scale, amount, error, level, len(old), len(labels))
        if chosen.verdict == "inconclusive"
        else None,
    )


def _samples_needed(
    sides: tuple[SideEstimate, SideEstimate],
    scale: float,
    margin: float,
    margin_error: float,
    level: float,
    num_samples: int,
    num_classes: int,
) -> SamplesNeeded:
    scaled = [
        replace(
            side,
            gap=scale * side.gap,
            standard_error=scale * side.standard_error,
            second_order=scale**2 * side.second_order,
        )
        for side in sides
    ]
    return samples_needed(scaled, margin, level, num_samples, num_classes, margin_error)


def _check_arguments(metric: str, confidence: float, weights: str, seed: int) -> None:
    if metric not in METRICS:
        raise ValueError(f"metric must be one of {', '.join(METRICS)}, got {metric!r}.")
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must be in (0, 1), got {confidence!r}.")
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


def check_paired(new: FeatureSet, old: FeatureSet, same_dim: bool = True) -> None:
    """Raise ValueError unless the sets hold the same samples, enough of them to compare, and of one dimension."""
    _check_same_samples(new, old, same_dim)
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


def _check_same_samples(new: FeatureSet, old: FeatureSet, same_dim: bool = True) -> None:
    if len(new) != len(old):
        raise ValueError(f"new and old must hold the same samples, got {len(new)} and {len(old)} rows.")
    if same_dim and new.dim != old.dim:
        raise ValueError(f"new and old must have one dimension, got {new.dim} and {old.dim}.")
    if new.ids is not None and old.ids is not None:
        _check_equal("ids", new.ids, old.ids)
    _check_equal("labels", new.labels, old.labels)


def _check_equal(what: str, new: np.ndarray, old: np.ndarray) -> None:
    """Raise ValueError unless both are of one kind and equal row by row."""
    if (new.dtype.kind == "U") != (old.dtype.kind == "U"):
        raise ValueError(f"new and old must have {what} of one kind, got {new.dtype} and {old.dtype}.")
    differ = np.flatnonzero(new != old)
    if len(differ):
        row = differ[0]
        raise ValueError(
            f"new and old must have equal {what} row by row, but {len(differ)} rows differ, the first is row {row}: "
            f"{new[row].item()!r} and {old[row].item()!r}."
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


def judge_sides(
    sides: tuple[SideEstimate, SideEstimate], scale: float, level: float, margin: float, margin_error: float = 0.0
) -> Sides:
    """Intervals and verdicts; ``level`` is each side's chance of not covering, ``scale`` the unit of the estimates."""
    same, different = (_judge(side, scale, level, margin, margin_error) for side in sides)
    verdicts = {same.verdict, different.verdict}
    verdict: Verdict = (
        "incompatible" if "incompatible" in verdicts else "compatible" if verdicts == {"compatible"} else "inconclusive"
    )
    return Sides(verdict, same, different)


def _judge(side: SideEstimate, scale: float, level: float, margin: float, margin_error: float) -> SideReport:
    gap = scale * side.gap
    half, extra = scale * side.standard_error, 0.0
    if half > 0.0:  # no spread at all, as for identical features: the interval is the point
        quantile = float(upper_quantile(level / 2.0, side.degrees_of_freedom))
        half, extra = quantile * half, quantile * margin_error
    lower, upper = gap - half, gap + half
    # a margin is not negative: what has lost nothing is compatible with any
    verdict: Verdict = "inconclusive"
    if lower >= min(extra - margin, 0.0):
        verdict = "compatible"
    elif upper < -margin - extra:
        verdict = "incompatible"
    return SideReport(gap, lower, upper, side.pair_fraction, side.pair_fraction_error, side.num_pairs, verdict)


def _off_centre_defect(classes: Sides, with_pairs: int, num_classes: int) -> float | None:
    if with_pairs < num_classes:
        return None
    return classes.different_class.gap - classes.same_class.gap / (num_classes - 1)

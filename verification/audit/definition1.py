"""Definition 1 (paper, Eq. 1a and 1b), in expectation: both gaps and their sum, the contrast gap, with verdicts."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy import ndarray

from learning.progress import Progress
from theory.metrics import METRICS
from verification.audit.breakdown import ClassPairs, Worst, read_class_pairs, read_classes
from verification.audit.drift import drift_margin
from verification.audit.margin import Margin, check_margin, old_contrast
from verification.audit.power import SamplesNeeded, samples_needed
from verification.audit.report import Definition1Report, SideReport, Sides
from verification.features import FeatureSet
from verification.statistics.collect import Map
from verification.statistics.gaps import Gaps, SideEstimate, estimate
from verification.statistics.interval import (
    Criterion,
    Interval,
    Judged,
    Population,
    Unit,
    Verdict,
    check_confidence,
    widened,
)
from verification.statistics.protocol import Statistics
from verification.statistics.variance import Estimate
from verification.statistics.weights import WEIGHTINGS
from verification.upgrade import Upgrade

# a distance of unit vectors lies in [0, F(−1)], so no gap and no contrast gap leaves these bounds, in its unit
LARGEST_GAP = 4.0


def audit(
    new: FeatureSet,
    old: FeatureSet,
    metric: str = "sqeuclidean",
    confidence: float = 0.95,
    gallery: FeatureSet | None = None,
    margin: float | str = 0.0,
    weights: str = "pairs",
    seed: int = 0,
    *,
    classes: str = "fixed",
    run: Map = map,
    progress: Progress | None = None,
) -> Definition1Report:
    r"""Judge Definition 1, in expectation, for two models' features of the same samples.

    The gap of the same-class side is the mean over pairs of :math:`d(v_i, v_j) − d(u_i, v_j)`, of the different-class
    side the mean of :math:`d(u_i, v_j) − d(v_i, v_j)`, u new and v old unit features. Their sum is the contrast gap,
    which is what a ranking can see: a vector that all class means share drops out of it. Each gap has two intervals,
    for new samples of these classes and for new classes like these. Each side has level 1 − (1 − confidence)/2, so that
    both intervals cover at once with probability ≥ ``confidence``.

    A side is compatible if its lower bound is ≥ −margin, incompatible if its upper bound is < −margin, and inconclusive
    otherwise. If the margin is a share of the contrast, its standard error is added to that of the gap. Identical
    features give [0, 0] exactly.

    Parameters
    ----------
    new, old : FeatureSet
        The same samples through the new and the old model; paired as :class:`verification.Upgrade` pairs them.
    metric : str
        One of :data:`theory.metrics.METRICS`. Multiples of the squared distance read the data once, O(N·d). The others
        look at all pairs of at most 20 000 samples, a seeded part of the data where it has more; the interval is that
        of the part.
    confidence : float
        Confidence of both sides together, in (0, 1).
    gallery : FeatureSet, optional
        Old-model features of other samples. With it, pairs are (sample, gallery item); without it, the samples are
        paired with each other.
    margin : float or str
        ≥ 0, the loss of gap that is acceptable: a number in units of the distance, or a string with a per cent sign,
        "5%", a share of the old model's contrast (:mod:`verification.audit.margin`), whose sampling error the verdict
        covers. With a margin "compatible" is a statement of non-inferiority: no side loses more than that.
    weights : {"pairs", "classes"}
        What counts once: every pair of samples, or every class (1a) and every ordered pair of classes (1b).
    seed : int
        Seed ≥ 0 of every random choice: the rows kept for the variance, and the pairs if not all are examined.
    classes : {"fixed", "drawn"}
        Which interval decides: the one for new samples of these classes, or the one for new classes like these.
    run : callable
        Function with the signature of ``map`` that reads the parts of the data;
        :func:`verification.distributed.audit_distributed` passes another.
    progress : callable, optional
        Called with the name of a stage, how much of it is done, and its total.

    Returns
    -------
    Definition1Report

    Raises
    ------
    ValueError
        If the sets do not belong together, there is no pair for one of the sides, or an argument is out of range.

    References
    ----------
    Definition 1, Eq. 1a and 1b of the paper; Hoeffding, *A class of statistics with asymptotically normal
    distribution*, 1948, for the two parts of the variance.
    """
    check_arguments(metric, confidence, weights, classes)
    accepted = Margin.parse(margin)
    upgrade = Upgrade(new, old, gallery, seed=seed)
    upgrade.read(run, progress)
    return judge_definition1(upgrade, metric, confidence, accepted, weights, Population(classes), progress=progress)


def judge_definition1(
    upgrade: Upgrade,
    metric: str,
    confidence: float,
    accepted: Margin,
    weights: str,
    population: Population,
    *,
    repeated: bool = False,
    progress: Progress | None = None,
) -> Definition1Report:
    """Judge Definition 1 of an upgrade; parameters as of :func:`audit`.

    With ``repeated`` the intervals stay valid however often one looks at growing data.
    """
    upgrade.check_pairs()
    linear = METRICS[metric].linear
    scale, measured = (1.0, metric) if linear is None else (linear, "sqeuclidean")
    source = upgrade.statistics(measured, progress=progress)
    if not np.any(np.asarray(source.same_pairs()) > 0):
        why = "copies of one row" if upgrade.gallery is None else "copies of one row or, in the gallery, the queries"
        way_out = " Name another column of groups (--groups), or none." if upgrade.grouped else ""
        of_group = "of one group, or " if upgrade.grouped else ""
        raise ValueError(f"no two samples of one class may meet: the rows of every class are {of_group}{why}.{way_out}")
    gaps, by_class = estimate(source)
    reading, labels = upgrade.read(), upgrade.labels
    contrast = old_contrast(source, measured, weights, upgrade.seed, reading.left_out, with_error=accepted.share).times(
        scale
    )
    check_margin(accepted, contrast.value)
    amount, error = accepted.amount, 0.0
    if accepted.share:  # a model that tells nothing apart leaves nothing to lose
        error = amount * contrast.standard_error
        amount = amount * max(contrast.value, 0.0)
    unit: Unit = "group" if upgrade.grouped else "sample"
    # what storing the rows may change is no loss; of other distances the rounding is not known in their unit
    zero = 0.0 if linear is None else scale * upgrade.rounding
    both = Criterion(confidence=confidence, margin=amount + zero, margin_error=error)
    one = Criterion(confidence=side_confidence(confidence), margin=amount + zero, margin_error=error)
    looks = int(source.rows.unit_counts.sum()), len(labels)
    by_weighting = {
        name: judge_sides(
            found, one, scale=scale, contrast=both, unit=unit, population=population, looks=looks if repeated else None
        )
        for name, found in gaps.items()
    }
    classes = read_classes(by_class, source, labels, scale, one)
    class_pairs, worst_pair = read_class_pairs(measured, source, labels, scale, one)
    pair = None if worst_pair is None else np.searchsorted(labels, [worst_pair.query, worst_pair.gallery]).tolist()
    # of the classes that can tell, if any can
    worst_class = min(classes, key=lambda c: (math.isinf(c.interval.upper), c.gap), default=None)
    chosen = by_weighting[weights]
    return Definition1Report(
        verdict=chosen.verdict,
        same_class=chosen.same_class,
        different_class=chosen.different_class,
        contrast_gap=chosen.contrast,
        metric=metric,
        confidence=confidence,
        margin=amount,
        margin_error=error,
        contrast=contrast.value,
        weights=weights,
        unit=unit,
        population=population,
        num_samples=int(upgrade.sizes.sum()),
        num_gallery=None if upgrade.gallery is None else int(upgrade.item_sizes.sum()),
        num_classes=len(labels),
        dim=upgrade.old.dim,
        notes=(*upgrade.notes, *_notes(upgrade, source, class_pairs)),
        by_weighting=by_weighting,
        by_class=classes,
        class_pairs=class_pairs,
        worst=Worst(worst_class, worst_pair),
        drift=drift_margin(measured, source, labels, by_class.gap, pair),
        common_mean_defect=_common_mean_defect(by_weighting["classes"], len(classes), len(labels), linear),
        samples_needed=_samples_needed(gaps[weights], scale, one, len(upgrade.codes), len(labels))
        if chosen.verdict == Verdict.inconclusive and population == Population.fixed
        else None,
    )


def side_confidence(confidence: float) -> float:
    """Confidence of each of two intervals that cover at once with the given one."""
    return 1.0 - (1.0 - confidence) / 2.0


def _samples_needed(
    gaps: Gaps, scale: float, criterion: Criterion, num_samples: int, num_classes: int
) -> SamplesNeeded:
    sides = [side.fixed.times(scale) for side in gaps.sides]
    return samples_needed(sides, criterion, num_samples, num_classes)


def check_arguments(metric: str, confidence: float, weights: str, classes: str) -> None:
    """Raise ValueError for what no audit can be asked for."""
    if metric not in METRICS:
        raise ValueError(f"metric must be one of {', '.join(METRICS)}, got {metric!r}.")
    check_confidence(confidence)
    if weights not in WEIGHTINGS:
        raise ValueError(f"weights must be one of {', '.join(WEIGHTINGS)}, got {weights!r}.")
    if classes not in list(Population):
        raise ValueError(f"classes must be one of {', '.join(Population)}, got {classes!r}.")


def _notes(upgrade: Upgrade, source: Statistics, class_pairs: ClassPairs | None) -> Iterator[str]:
    labels, sizes, items = upgrade.labels, upgrade.sizes, upgrade.item_sizes
    if source.gallery is None:
        yield from _left_out(labels[sizes == 1], "one sample")
    else:
        yield from _left_out(labels[(sizes > 0) & (items == 0)], "no gallery item")
        yield from _left_out(labels[(sizes == 0) & (items > 0)], "gallery items only")
    yield from upgrade.findings()
    for rows, what in ((source.rows, "samples"), (source.gallery, "gallery items")):
        if rows is not None and source.uses_part and len(rows.codes) < int(rows.sizes.sum()):
            yield (
                f"All pairs of {len(rows.codes)} of the {int(rows.sizes.sum())} {what} were looked at, a seeded part "
                "with every class in proportion; the intervals are for the part, so wider than all pairs would give."
            )
    if class_pairs is None:
        yield "The worst class pair was not looked for: there are too many classes."


def _left_out(labels: ndarray, what: str) -> Iterator[str]:
    if len(labels):
        named = ", ".join(str(label) for label in labels[:5]) + (", …" if len(labels) > 5 else "")
        few = "1 class has" if len(labels) == 1 else f"{len(labels)} classes have"
        yield f"{few} {what} and so no same-class pair ({named}): left out of that side, kept in the other."


def judge_sides(
    gaps: Gaps,
    criterion: Criterion,
    *,
    scale: float = 1.0,
    contrast: Criterion | None = None,
    unit: Unit = "sample",
    population: Population = Population.fixed,
    looks: tuple[int, int] | None = None,
) -> Sides:
    """Intervals and verdicts of both sides, and of their sum, by the population that decides.

    ``criterion`` is that of one side, ``contrast`` that of their sum, ``scale`` the unit of the estimates. ``looks``
    are the numbers of units and of classes, where the intervals have to stay valid however often one looks.
    """

    def judge(fixed: Estimate, drawn: Estimate, rule: Criterion, most: float) -> Judged:
        widen = (1.0, 1.0) if looks is None else [widened(num, rule.confidence) for num in looks]
        ours, new = (
            Interval.student(
                found.value,
                found.standard_error,
                found.freedom,
                rule.confidence,
                unit=of,
                population=whom,
                most=most,
                widen=wide,
            )
            for found, of, whom, wide in (
                (fixed, unit, Population.fixed, widen[0]),
                (drawn, "class", Population.drawn, widen[1]),
            )
        )
        return rule.judge(ours, new, population)

    def side(found: SideEstimate) -> SideReport:
        scaled = found.times(scale)
        judged = judge(scaled.fixed, scaled.drawn, criterion, LARGEST_GAP)
        return SideReport(
            fixed=judged.fixed,
            drawn=judged.drawn,
            population=population,
            verdict=judged.verdict,
            other_verdict=judged.other_verdict,
            pair_fraction=found.pair_fraction,
            pair_fraction_error=found.pair_fraction_error,
            num_pairs=found.num_pairs,
        )

    same, different = map(side, gaps.sides)
    both = None
    if contrast is not None:
        both = judge(gaps.contrast.times(scale), gaps.contrast_drawn.times(scale), contrast, 2.0 * LARGEST_GAP)
    return Sides(
        verdict=Verdict.combine([same.verdict, different.verdict]),
        same_class=same,
        different_class=different,
        contrast=both,
    )


def _common_mean_defect(classes: Sides, with_pairs: int, num_classes: int, linear: float | None) -> float | None:
    if with_pairs < num_classes or linear is None:
        return None
    return classes.different_class.gap - classes.same_class.gap / (num_classes - 1)

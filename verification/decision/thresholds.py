r"""Accept thresholds, 1:1: does the old one still hold for new queries, and which one keeps the old false accept rate?

A pair (query, gallery item) is accepted when its cosine similarity is at least τ. FAR is the share of pairs of
different classes that are accepted, TAR that of pairs of one class. At a threshold the change of either rate is a
U-statistic of the same form as a gap of Definition 1, whose "distance" is a step
(:mod:`verification.decision.acceptance`): its interval has the sample for a unit, and labels are held fixed. A
threshold that was chosen from these pairs is then taken as given: both models are judged at it alike.

References
----------
Woodruff, *Confidence intervals for medians and other position measures*, 1952, for the interval of a threshold.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy import special

from verification._breakdown import Verdict
from verification.decision.acceptance import BINS, Histogram, Kernel, Tallies, count, histogram, tally
from verification.decision.threshold_report import Change, Curve, KeptFar, Rate, ThresholdReport
from verification.features import FeatureSet
from verification.inequalities import SideEstimate, estimate
from verification.margin import parse_margin
from verification.search import unit_rows
from verification.statistics.paired import score_interval
from verification.statistics.rows import Rows, stream
from verification.statistics.student import upper_quantile

# rows and classes whose pairs are all looked at; a seeded part of the data where it has more. A few seconds
MOST_ROWS, MOST_CLASSES = 4096, 1000
# accepted pairs that a target FAR must leave, and pairs told apart below which a variance is not believed
FEW = 10
CURVE_POINTS = 25


def check_threshold(threshold: float | None, far: float | None) -> None:
    """Raise ValueError unless one of the two is given and in its range."""
    if (threshold is None) == (far is None):
        raise ValueError("give the old accept threshold or the false accept rate that it had: one of the two.")
    if threshold is not None and not -1.0 <= threshold <= 1.0:
        raise ValueError(f"threshold must be a cosine similarity in [-1, 1], got {threshold!r}.")
    if far is not None and not 0.0 < far < 1.0:
        raise ValueError(f"far must be in (0, 1), got {far!r}.")


def compare_thresholds(
    new: FeatureSet,
    old: FeatureSet,
    gallery: FeatureSet | None = None,
    *,
    threshold: float | None = None,
    far: float | None = None,
    far_margin: float | str = 0.0,
    tar_margin: float | str = 0.0,
    confidence: float = 0.95,
    seed: int = 0,
) -> ThresholdReport:
    """Compare old and new queries at the old accept threshold, and find the one that keeps its false accept rate.

    Parameters
    ----------
    new, old : FeatureSet
        The same samples, row by row.
    gallery : FeatureSet, optional
        Old-model features of other samples; without it the samples are paired with each other.
    threshold : float
        In [−1, 1], the accept threshold of the old system: a pair is accepted from this cosine similarity on. (For a
        Euclidean distance D of unit vectors it is 1 − D²/2.)
    far : float
        In (0, 1), instead of it: the FAR of old queries that the threshold is to have, on these pairs.
    far_margin : float or str
        ≥ 0, FAR may rise by this share of itself: 0.1 or "10%".
    tar_margin : float or str
        ≥ 0, TAR may fall by this much: 0.01 or "1%", of all pairs of one class.
    confidence : float
        In (0, 1), of the two changes at once and of every other interval by itself.
    seed : int
        Of the choice of samples where all pairs would take too long.

    Raises
    ------
    ValueError
        If an argument is out of range, or the pairs are too few for ``far``.
    """
    check_threshold(threshold, far)
    rise, _ = parse_margin(far_margin, "the margin of FAR")
    fall, _ = parse_margin(tar_margin, "the margin of TAR")
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must be in (0, 1), got {confidence!r}.")
    rows, items, notes = _choose(new, old, gallery, seed)
    bins = histogram(rows, items)
    same, different = bins.pairs(1), bins.pairs(0)
    if not same or not different:
        raise ValueError("a threshold needs pairs of one class and of different classes, got none of one kind.")
    if far is not None:
        if far * different < FEW:
            raise ValueError(
                f"far must be at least {FEW / different:.1e}, for {FEW} accepted pairs among the {different:,} of "
                f"different classes, got {far!r}."
            )
        threshold = bins.threshold(0, far)
    assert threshold is not None  # one of the two was given
    # at the old threshold as it is; the others lie at the edges of bins
    kept_at = bins.threshold(1, _rate(rows, items, threshold))
    kernels = [
        Kernel(threshold, threshold),
        Kernel(threshold, threshold, 1.0 + rise),
        Kernel(threshold, threshold, 1.0, 0.0),
        Kernel(threshold, threshold, 0.0, 1.0),
        Kernel(threshold, kept_at),
        Kernel(threshold, kept_at, 0.0, 1.0),
    ]
    grids = [_grid(bins, model, different) for model in (0, 1)]
    sources, told_apart = count(rows, items, kernels)
    tallies = tally(rows, items, grids)
    estimates = [estimate(source)[0]["pairs"] for source in sources]
    num = len(rows.codes) if items is None else min(len(rows.codes), len(items.codes))
    alike = np.array_equal(*rows.models)
    level = 1.0 - confidence
    far_change = _change(estimates[1][1], -1.0, 0.0, level / 2.0, told_apart[1][0], num, alike and rise == 0.0)
    tar_change = _change(estimates[0][0], 1.0, fall, level / 2.0, told_apart[0][1], num, alike)
    rates = [
        [_rate_interval(sign * side.gap, side, level, num) for sign, side in ((first, a), (second, b))]
        for first, second, (a, b) in ((-1.0, 1.0, estimates[2]), (1.0, -1.0, estimates[3]), (1.0, -1.0, estimates[5]))
    ]
    changed = _change(estimates[4][0], 1.0, 0.0, level, told_apart[4][1], num, alike and kept_at == threshold)
    interval = _kept_interval(bins, rates[0][1].value, estimates[4][1], level)
    old_curve, new_curve = (_curve(bins, model, grids[model], tallies[model], rows, items, level) for model in (0, 1))
    verdicts = {far_change.verdict, tar_change.verdict}
    return ThresholdReport(
        "incompatible"
        if "incompatible" in verdicts
        else "compatible"
        if verdicts == {"compatible"}
        else "inconclusive",
        threshold,
        far,
        rise,
        fall,
        confidence,
        rates[0][1],
        rates[1][1],
        rates[0][0],
        rates[1][0],
        far_change,
        tar_change,
        KeptFar(kept_at, *interval, rates[2][0], Rate(*changed[:3])),
        old_curve,
        new_curve,
        len(rows.codes),
        None if items is None else len(items.codes),
        same,
        different,
        tuple(notes),
    )


def _choose(
    new: FeatureSet, old: FeatureSet, gallery: FeatureSet | None, seed: int
) -> tuple[Rows, Rows | None, list[str]]:
    """Rows to look at, sorted by class: whole classes at random where there are many, then samples at random."""
    labels = old.classes if gallery is None else np.union1d(old.classes, gallery.classes)
    rng = stream(seed, "thresholds")
    chosen = np.arange(len(labels))
    if len(labels) > MOST_CLASSES:
        shared = (
            chosen
            if gallery is None
            else np.flatnonzero(np.isin(labels, gallery.classes) & np.isin(labels, old.classes))
        )
        chosen = np.sort(rng.choice(shared, size=min(MOST_CLASSES, len(shared)), replace=False))
    notes = []

    def take(sets: tuple[FeatureSet, ...], what: str) -> Rows:
        codes = np.searchsorted(labels[chosen], sets[0].labels)
        codes[(codes == len(chosen)) | (labels[chosen][np.minimum(codes, len(chosen) - 1)] != sets[0].labels)] = -1
        some = np.flatnonzero(codes >= 0)
        if len(some) > MOST_ROWS:
            some = rng.choice(some, size=MOST_ROWS, replace=False)
        some = some[np.lexsort((some, codes[some]))]
        if len(some) < len(codes):
            notes.append(
                f"Thresholds: all pairs of {len(some):,} of the {len(codes):,} {what} were looked at, a seeded part"
                + (f" of {len(chosen):,} of the {len(labels):,} classes." if len(chosen) < len(labels) else ".")
            )
        sizes = np.bincount(codes[some], minlength=len(chosen))
        return Rows(np.stack([unit_rows(features, some) for features in sets]), codes[some], sizes)

    rows = take((new, old), "samples")
    return rows, None if gallery is None else take((gallery,), "gallery items"), notes


def _rate(rows: Rows, items: Rows | None, threshold: float) -> float:
    """FAR of old queries, counted at the threshold itself."""
    (source,), _ = count(rows, items, [Kernel(threshold, threshold, 1.0, 0.0)])
    return float(estimate(source)[0]["pairs"][1].gap)


def _grid(bins: Histogram, model: int, different: int) -> Float[ndarray, " t"]:
    """Rising thresholds for FARs from one half down to ten pairs."""
    rates = np.geomspace(0.5, max(FEW / different, 1e-7), CURVE_POINTS)
    return np.unique([bins.threshold(model, rate) for rate in rates])


def _change(
    side: SideEstimate, sign: float, margin: float, level: float, told_apart: int, num: int, exact: bool
) -> Change:
    """Interval and verdict of a change, whose loss is ``side.gap`` below −margin; ``sign`` turns it into the change."""
    if exact:
        return Change(0.0, 0.0, 0.0, "compatible")
    half = side.standard_error
    if half > 0.0:
        half *= float(upper_quantile(level / 2.0, side.degrees_of_freedom))
    if told_apart < FEW:
        # no variance to believe: as if disjoint pairs of samples had all fared alike
        half = max(half, score_interval(0, 0, max(num // 2, 1), level)[1])
    lower, upper = side.gap - half, side.gap + half
    verdict: Verdict = "compatible" if lower >= -margin else "incompatible" if upper < -margin else "inconclusive"
    low, high = sorted((sign * lower, sign * upper))
    return Change(sign * side.gap, low, high, verdict)


def _rate_interval(value: float, side: SideEstimate, level: float, num: int) -> Rate:
    """Interval of a rate on the logit scale; of 0 or 1, what disjoint pairs of samples alone would tell."""
    if not 0.0 < value < 1.0:
        far = 1.0 - (level / 2.0) ** (1.0 / max(num // 2, 1))
        return Rate(value, 0.0, far) if value <= 0.0 else Rate(value, 1.0 - far, 1.0)
    quantile = float(upper_quantile(level / 2.0, side.degrees_of_freedom))
    centre, half = math.log(value / (1.0 - value)), quantile * side.standard_error / (value * (1.0 - value))
    lower, upper = (1.0 / (1.0 + math.exp(-x)) if x > -700.0 else 0.0 for x in (centre - half, centre + half))
    return Rate(value, lower, upper)


def _kept_interval(bins: Histogram, far: float, side: SideEstimate, level: float) -> tuple[float, float]:
    """Thresholds at which new queries have a FAR that differs from the old one by its error and no more."""
    if far <= 0.0 or not math.isfinite(side.standard_error):
        return -math.inf, math.inf
    error = float(upper_quantile(level / 2.0, side.degrees_of_freedom)) * side.standard_error / far
    return bins.threshold(1, min(far * math.exp(error), 1.0)), bins.threshold(1, far * math.exp(-error)) + 2.0 / BINS


def _curve(
    bins: Histogram,
    model: int,
    grid: Float[ndarray, " t"],
    tallies: Tallies,
    rows: Rows,
    items: Rows | None,
    level: float,
) -> Curve:
    """TAR over FAR, and its error from what each sample contributes by itself, which is too wide rather than narrow."""
    far, tar = (np.array([bins.rate(model, kind, t) for t in grid]) for kind in (0, 1))
    slope = np.gradient(tar, far) if len(grid) > 1 and np.all(np.diff(far) < 0.0) else np.zeros(len(grid))
    pairs = bins.pairs(0), bins.pairs(1)
    parts = [(tallies.queries, rows), (tallies.items, rows if items is None else items)]
    by_sample = [(part[1] / pairs[1] - slope * part[0] / pairs[0], of.codes) for part, of in parts]
    if items is None:
        by_sample = [(by_sample[0][0] + by_sample[1][0], rows.codes)]
    variance = sum(_within_classes(values, codes) for values, codes in by_sample)
    half = -float(special.ndtri(level / 2.0)) * np.sqrt(variance)
    return Curve(
        *(
            tuple(float(x) for x in values)
            for values in (grid, far, tar, np.maximum(tar - half, 0.0), np.minimum(tar + half, 1.0))
        )
    )


def _within_classes(values: Float[ndarray, "n t"], codes: Int[ndarray, " n"]) -> Float[ndarray, " t"]:
    """Sum of squares about the class means, unbiased; a class of one counts from zero."""
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    sizes = np.diff(np.append(starts, len(codes)))
    means = np.where((sizes > 1)[:, None], np.add.reduceat(values, starts, axis=0) / sizes[:, None], 0.0)
    squares = np.add.reduceat((values - np.repeat(means, sizes, axis=0)) ** 2, starts, axis=0)
    return (squares * (sizes / np.maximum(sizes - 1.0, 1.0))[:, None]).sum(axis=0)

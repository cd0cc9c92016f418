r"""Accept thresholds, 1:1: does the old one still hold for new queries, and which one keeps the old false accept rate?

A pair (query, gallery item) is accepted when its cosine similarity, or the dot product of rows as they are, is at least
τ, or their Euclidean distance, or the Hamming distance of their signs, at most τ. FAR is the share of pairs of
different classes that are accepted, TAR that of pairs of one class. At a threshold the change of either rate is a
U-statistic of the same form as a gap of Definition 1, whose "distance" is a step
(:mod:`verification.audit.acceptance`): its interval has the sample for a unit, and labels are held fixed. A
threshold that was chosen from these pairs is then taken as given: both models are judged at it alike.

References
----------
Woodruff, *Confidence intervals for medians and other position measures*, 1952, for the interval of a threshold.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy import special

from verification.audit.acceptance import BINS, Compared, Histogram, Kernel, Tallies, count, histogram, tally
from verification.audit.margin import Margin
from verification.audit.threshold_report import UNITS, Curve, KeptFar, ThresholdReport
from verification.features import FeatureSet
from verification.features.files.shards import is_code
from verification.search.similarity import SimilarityName, check_signs
from verification.statistics.gaps import estimate
from verification.statistics.interval import Criterion, Interval, Population, Unit, Verdict, check_confidence, widened
from verification.statistics.paired import cluster_freedom, score_interval
from verification.statistics.pairwise import AllPairs
from verification.statistics.rows import Rows, stream
from verification.statistics.student import upper_quantile
from verification.statistics.variance import Estimate
from verification.upgrade import Upgrade

# rows and classes whose pairs are all looked at; a seeded part of the data where it has more. A few seconds
MOST_ROWS, MOST_CLASSES = 4096, 1000
# accepted pairs that a target FAR must leave, and pairs told apart below which a variance is not believed
FEW = 10
# distinct accepted pairs that a FAR should rest on (Doddington's rule of 30)
ENOUGH = 30
CURVE_POINTS = 25


def check_threshold(threshold: float | None, far: float | None, similarity: SimilarityName = "cosine") -> None:
    """Raise ValueError unless one of the two is given and in its range, which depends on what the threshold is of."""
    if (threshold is None) == (far is None):
        raise ValueError("give the old accept threshold or the false accept rate that it had: one of the two.")
    least, most, what = {
        "cosine": (-1.0, 1.0, "cosine similarity in [-1, 1]"),
        "dot": (-sys.float_info.max, sys.float_info.max, "finite dot product"),
        "l2": (0.0, sys.float_info.max, "finite Euclidean distance >= 0"),
        "hamming": (0.0, sys.float_info.max, "finite Hamming distance >= 0, in bits"),
    }[similarity]
    if threshold is not None and not least <= threshold <= most:
        raise ValueError(f"threshold must be a {what}, got {threshold!r}.")
    if far is not None and not 0.0 < far < 1.0:
        raise ValueError(f"far must be in (0, 1), got {far!r}.")


def check_unit(upgrade: Upgrade, similarity: SimilarityName) -> None:
    """Raise ValueError if codes of a copy are to be compared with a threshold in the unit of the original."""
    if upgrade.compression is not None and similarity != "cosine" and is_code(upgrade.new.stored):
        raise ValueError(
            f"a threshold on the {UNITS[similarity]} cannot be carried over to a copy of codes, which have a unit of "
            "their own: compare cosines (leave out --similarity), or leave out the threshold."
        )


def compare_thresholds(
    upgrade: Upgrade,
    *,
    threshold: float | None = None,
    far: float | None = None,
    far_margin: float | str = 0.0,
    tar_margin: float | str = 0.0,
    confidence: float = 0.95,
    classes: str = "fixed",
    repeated: bool = False,
    similarity: SimilarityName = "cosine",
) -> ThresholdReport:
    """Compare old and new queries at the old accept threshold, and find the one that keeps its false accept rate.

    Parameters
    ----------
    upgrade : Upgrade
    threshold : float
        The accept threshold of the old system, in the unit of the similarity: the least cosine, in [−1, 1], or the
        least dot product, or the largest Euclidean distance or Hamming distance, ≥ 0.
    far : float
        FAR of old queries that the threshold is to have on these pairs, in (0, 1); given instead of ``threshold``.
    far_margin : float or str
        Share of itself by which FAR may rise, ≥ 0: 0.1 or "10%".
    tar_margin : float or str
        Amount by which TAR may fall, in [0, 1): 0.01 or "1%" of all pairs of one class.
    confidence : float
        Confidence in (0, 1) of the two changes at once, and of every other interval by itself.
    classes : {"fixed", "drawn"}
        Whether the verdict is about new samples of these classes or about new classes like these.
    repeated : bool
        Whether the intervals of the two changes have to stay valid however often one looks at growing data.
    similarity : {"cosine", "dot", "l2", "hamming"}
        Quantity that is compared with the threshold: the cosine, the dot product or Euclidean distance of rows as they
        are, or the Hamming distance of rows of ±1.

    Raises
    ------
    ValueError
        If an argument is out of range, the pairs are too few for ``far``, or a copy has another unit than its original.
    """
    check_threshold(threshold, far, similarity)
    check_unit(upgrade, similarity)
    rise = Margin.parse(far_margin, "the margin of FAR").amount
    fall = Margin.parse_share(tar_margin, "the margin of TAR")
    check_confidence(confidence)
    population, level = Population(classes), 1.0 - confidence
    both = Criterion(confidence=1.0 - level / 2.0)
    upgrade.check_pairs()
    compared, notes = _choose(upgrade, similarity)
    rows, items = compared.rows, compared.gallery
    bins = histogram(compared)
    same, different = bins.pairs(1), bins.pairs(0)
    if not same or not different:
        raise ValueError("a threshold needs pairs of one class and of different classes, got none of one kind.")
    if far is not None:
        if far * different < FEW:
            raise ValueError(
                f"far must be at least {FEW / different:.1e}, for {FEW} accepted pairs among the {different:,} of "
                f"different classes, got {far!r}."
            )
        old_at = bins.threshold(0, far)
        threshold = compared.threshold(old_at)
    else:
        assert threshold is not None  # one of the two was given
        old_at = compared.place(threshold)
    grids = [_grid(bins, model, different) for model in (0, 1)]
    estimates: list[list[Estimate]] = []
    told_apart: list[tuple[int, int]] = []

    def look(new_threshold: float, before: float, after: float) -> AllPairs:
        # one kernel at a time: with many classes each takes much memory
        kernel = Kernel(old_threshold=old_at, new_threshold=new_threshold, old_weight=before, new_weight=after)
        source, apart = count(compared, kernel)
        estimates.append([side.fixed for side in estimate(source, ("pairs",))[0]["pairs"].sides])
        told_apart.append(apart)
        return source

    look(old_at, 1.0, 1.0)
    look(old_at, 1.0 + rise, 1.0)
    old_counts = look(old_at, 1.0, 0.0).ordered
    source = look(old_at, 0.0, 1.0)
    num_units = int(rows.unit_counts.sum())
    widen = [widened(num, both.confidence) if repeated else 1.0 for num in (num_units, len(rows.sizes))]
    drawn_far = _drawn_far(-old_counts, source.ordered, source, 1.0 + rise, both.confidence, widen[1])
    drawn_tar = _drawn_tar(-old_counts, source.ordered, source, both.confidence, widen[1])
    del old_counts, source
    # the old FAR is counted at the old threshold as it is; the others lie at the edges of bins
    kept_at = bins.threshold(1, estimates[2][1].value)
    look(kept_at, 1.0, 1.0)
    look(kept_at, 0.0, 1.0)
    tallies = tally(compared, grids)
    num = len(rows.codes) if items is None else min(len(rows.codes), len(items.codes))
    alike = np.array_equal(*rows.models)
    looks = _Looks(num=num, level=level, unit="group" if upgrade.grouped else "sample", widen=widen[0])
    far_fixed = looks.change(estimates[1][1], told_apart[1][0], both, alike and rise == 0.0)
    far_change = both.judge(far_fixed, _believed(drawn_far, far_fixed, told_apart[1][0]), population).flipped()
    fallen = Criterion(confidence=both.confidence, margin=fall)
    tar_fixed = looks.change(estimates[0][0], told_apart[0][1], fallen, alike)
    tar_change = fallen.judge(tar_fixed, _believed(drawn_tar, tar_fixed, told_apart[0][1]), population)
    rates = [
        [looks.rate(sign * side.value, side) for sign, side in ((first, a), (second, b))]
        for first, second, (a, b) in ((-1.0, 1.0, estimates[2]), (1.0, -1.0, estimates[3]), (1.0, -1.0, estimates[5]))
    ]
    alone = Criterion(confidence=confidence)
    changed = looks.change(estimates[4][0], told_apart[4][1], alone, alike and kept_at == old_at)
    bounds = _kept_interval(bins, rates[0][1].value, estimates[4][1], level)
    lower, upper = sorted(compared.threshold(bound) for bound in bounds)
    old_curve, new_curve = (_curve(bins, model, grids[model], tallies[model], compared, level) for model in (0, 1))
    accepted = round(rates[0][1].value * different) // (2 if items is None else 1)
    if accepted < ENOUGH:
        notes.append(
            f"The old false accept rate rests on {accepted} distinct accepted pairs; fewer than {ENOUGH} tell little "
            "of it."
        )
    return ThresholdReport(
        verdict=Verdict.combine([far_change.verdict, tar_change.verdict]),
        population=population,
        threshold=threshold,
        threshold_unit=UNITS[similarity],
        target_far=far,
        far_margin=rise,
        tar_margin=fall,
        confidence=confidence,
        old_far=rates[0][1],
        new_far=rates[1][1],
        old_tar=rates[0][0],
        new_tar=rates[1][0],
        far_change=far_change,
        tar_change=tar_change,
        accepted_pairs=accepted,
        kept=KeptFar(
            threshold=compared.threshold(kept_at), lower=lower, upper=upper, tar=rates[2][0], tar_change=changed
        ),
        old_curve=old_curve,
        new_curve=new_curve,
        num_samples=len(rows.codes),
        num_gallery=None if items is None else len(items.codes),
        same_pairs=same,
        different_pairs=different,
        notes=tuple(notes),
    )


def _choose(upgrade: Upgrade, similarity: SimilarityName) -> tuple[Compared, list[str]]:
    """Rows to look at, sorted by class: whole classes at random where there are many, then samples at random."""
    labels, rng = upgrade.labels, stream(upgrade.seed, "thresholds")
    chosen = np.arange(len(labels))
    if len(labels) > MOST_CLASSES:
        shared = chosen if upgrade.gallery is None else np.flatnonzero((upgrade.sizes > 0) & (upgrade.item_sizes > 0))
        chosen = np.sort(rng.choice(shared, size=min(MOST_CLASSES, len(shared)), replace=False))
    notes = []

    def take(rows: Rows, what: str, *sets: FeatureSet) -> Rows:
        place = np.full(len(labels), -1)
        place[chosen] = np.arange(len(chosen))
        some = np.flatnonzero(place[rows.codes] >= 0)
        if len(some) > MOST_ROWS:
            some = np.sort(rng.choice(some, size=MOST_ROWS, replace=False))
        total = int(rows.sizes.sum())
        if len(some) < total:
            notes.append(
                f"Thresholds: all pairs of {len(some):,} of the {total:,} {what} were looked at, a seeded part"
                + (f" of {len(chosen):,} of the {len(labels):,} classes." if len(chosen) < len(labels) else ".")
            )
        part = rows.some(some)
        codes = place[part.codes]
        # what is kept are unit rows
        raw = None if similarity == "cosine" else np.stack([each.fetch(part.index).features for each in sets])
        if raw is not None and similarity == "hamming":
            check_signs(raw, what)
        # float64: a threshold is compared with a similarity as it is
        return Rows(
            models=(part.models if raw is None else raw).astype(np.float64),
            codes=codes,
            sizes=np.bincount(codes, minlength=len(chosen)),
            index=part.index,
            units=part.units,
            own=upgrade.compression is not None,
        )

    reading = upgrade.read()
    rows = take(reading.rows, "samples", upgrade.new, upgrade.old)
    gallery = None
    if reading.gallery is not None:
        own = () if upgrade.compression is None or upgrade.new_gallery is None else (upgrade.new_gallery,)
        gallery = take(reading.gallery, "gallery items", *own, upgrade.items)
    return Compared(rows=rows, gallery=gallery, similarity=similarity), notes


def _grid(bins: Histogram, model: int, different: int) -> Float[ndarray, " t"]:
    """Rising thresholds for FARs from one half down to ten pairs."""
    rates = np.geomspace(0.5, max(FEW / different, 1e-7), CURVE_POINTS)
    return np.unique([bins.threshold(model, rate) for rate in rates])


@dataclass(frozen=True, kw_only=True)
class _Looks:
    """What was looked at: samples on the smaller side, the level of an interval, the unit, the factor of its width."""

    num: int
    level: float
    unit: Unit
    widen: float

    def change(self, side: Estimate, told_apart: int, rule: Criterion, exact: bool) -> Interval:
        """Interval of a change, negative = a loss; a point where nothing can differ."""
        if exact:
            return Interval.student(0.0, 0.0, math.inf, rule.confidence, unit=self.unit)
        found = Interval.student(
            side.value, side.standard_error, side.freedom, rule.confidence, unit=self.unit, widen=self.widen
        )
        if told_apart >= FEW:
            return found
        # no variance to believe: as if disjoint pairs of samples had all fared alike
        half = max(found.half, score_interval(0, 0, max(self.num // 2, 1), 1.0 - rule.confidence)[1])
        return replace(found, lower=side.value - half, upper=side.value + half)

    def rate(self, value: float, side: Estimate) -> Interval:
        """Interval of a rate on the logit scale; of 0 or 1, what disjoint pairs of samples alone would tell."""
        lower = upper = min(max(value, 0.0), 1.0)
        if not 0.0 < value < 1.0:
            far = 1.0 - (self.level / 2.0) ** (1.0 / max(self.num // 2, 1))
            lower, upper = (0.0, far) if value <= 0.0 else (1.0 - far, 1.0)
        else:
            quantile = float(upper_quantile(self.level / 2.0, side.freedom))
            centre, half = math.log(value / (1.0 - value)), quantile * side.standard_error / (value * (1.0 - value))
            lower, upper = (1.0 / (1.0 + math.exp(-x)) if x > -700.0 else 0.0 for x in (centre - half, centre + half))
        return Interval(value=value, lower=lower, upper=upper, confidence=1.0 - self.level, unit=self.unit)


def _drawn_far(
    old: Float[ndarray, "k k"],
    new: Float[ndarray, "k k"],
    source: AllPairs,
    factor: float,
    confidence: float,
    widen: float,
) -> Interval:
    """Interval of −(new FAR − factor·old FAR) for new classes: one class left out at a time, on the log scale."""
    pairs = np.outer(source.sizes, source.gallery_sizes).astype(np.float64)
    np.fill_diagonal(pairs, 0.0)
    totals = []
    for counts in (old, new):
        accepted = counts.copy()
        np.fill_diagonal(accepted, 0.0)
        totals.append(_without_each(accepted) / np.maximum(_without_each(pairs), 1.0))
    before, after = (float(rates[-1]) for rates in totals)
    value = -(after - factor * before)
    present = np.flatnonzero((source.sizes > 0) | (source.gallery_sizes > 0))
    if min(before, after) <= 0.0 or np.any(np.stack(totals)[:, present] <= 0.0) or len(present) < 3:
        return Interval(
            value=value, lower=-math.inf, upper=math.inf, confidence=confidence, unit="class",
            population=Population.drawn,
        )  # fmt: skip
    ratios = np.log(totals[1][present] / totals[0][present])
    error = math.sqrt((len(present) - 1.0) / len(present) * float(np.sum((ratios - ratios.mean()) ** 2)))
    log = Interval.student(math.log(after / before), error, len(present) - 1.0, confidence, widen=widen)
    low, high = (-before * (math.exp(min(bound, 700.0)) - factor) for bound in (log.upper, log.lower))
    return Interval(
        value=value, lower=low, upper=high, confidence=confidence, unit="class", population=Population.drawn,
        quantile=log.quantile,
    )  # fmt: skip


def _drawn_tar(
    old: Float[ndarray, "k k"], new: Float[ndarray, "k k"], source: AllPairs, confidence: float, widen: float
) -> Interval:
    """Interval of new TAR − old TAR for new classes: CR2, as classes have shares of the pairs that differ much."""
    pairs = np.asarray(source.same_pairs(), dtype=np.float64)
    some = np.flatnonzero(pairs > 0)
    # kernels hold −old where the class is right, and +new
    changes, pairs = (np.diag(new) - np.diag(old))[some], pairs[some]
    value = float(changes.sum() / pairs.sum())
    count = len(some)
    if count < 2:
        error, freedom = math.inf, 1.0
    else:
        share = pairs / pairs.sum()
        freedom = cluster_freedom(share)
        error = math.sqrt(float(np.sum((changes - value * pairs) ** 2 / (1.0 - share)))) / float(pairs.sum())
    return Interval.student(
        value, error, freedom, confidence, unit="class", population=Population.drawn, most=1.0, widen=widen
    )


def _believed(drawn: Interval, fixed: Interval, told_apart: int) -> Interval:
    """Interval for new classes, no narrower than that for these where hardly any pair shows how classes differ.

    Where no pair changes sides, every class fares alike in the sample: its interval would be a point.
    """
    if told_apart >= FEW:
        return drawn
    return replace(drawn, lower=min(drawn.lower, fixed.lower), upper=max(drawn.upper, fixed.upper))


def _without_each(matrix: Float[ndarray, "k k"]) -> Float[ndarray, " k1"]:
    """Sum of a matrix without the row and the column of each class, and at the end the sum of all of it."""
    total = matrix.sum()
    return np.append(total - matrix.sum(axis=0) - matrix.sum(axis=1) + np.diag(matrix), total)


def _kept_interval(bins: Histogram, far: float, side: Estimate, level: float) -> tuple[float, float]:
    """Thresholds at which new queries have a FAR that differs from the old one by its error and no more."""
    if far <= 0.0 or not math.isfinite(side.standard_error):
        return -math.inf, math.inf
    error = float(upper_quantile(level / 2.0, side.freedom)) * side.standard_error / far
    return bins.threshold(1, min(far * math.exp(error), 1.0)), bins.threshold(1, far * math.exp(-error)) + 2.0 / BINS


def _curve(
    bins: Histogram,
    model: int,
    grid: Float[ndarray, " t"],
    tallies: Tallies,
    compared: Compared,
    level: float,
) -> Curve:
    """TAR over FAR, and its error from what each sample contributes by itself, which is too wide rather than narrow."""
    far, tar = (np.array([bins.rate(model, kind, t) for t in grid]) for kind in (0, 1))
    slope = np.gradient(tar, far) if len(grid) > 1 and np.all(np.diff(far) < 0.0) else np.zeros(len(grid))
    pairs = bins.pairs(0), bins.pairs(1)
    parts = [(tallies.queries, compared.rows), (tallies.items, compared.items)]
    by_sample = [(part[1] / pairs[1] - slope * part[0] / pairs[0], of.codes) for part, of in parts]
    if compared.gallery is None:
        by_sample = [(by_sample[0][0] + by_sample[1][0], compared.rows.codes)]
    variance = sum(_within_classes(values, codes) for values, codes in by_sample)
    half = -float(special.ndtri(level / 2.0)) * np.sqrt(variance)
    values = (
        [compared.threshold(at) for at in grid],
        far,
        tar,
        np.maximum(tar - half, 0.0),
        np.minimum(tar + half, 1.0),
    )
    threshold, rate, share, lower, upper = (tuple(float(x) for x in some) for some in values)
    return Curve(threshold=threshold, far=rate, tar=share, lower=lower, upper=upper)


def _within_classes(values: Float[ndarray, "n t"], codes: Int[ndarray, " n"]) -> Float[ndarray, " t"]:
    """Sum of squares about the class means, unbiased; a class of one counts from zero."""
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    sizes = np.diff(np.append(starts, len(codes)))
    means = np.where((sizes > 1)[:, None], np.add.reduceat(values, starts, axis=0) / sizes[:, None], 0.0)
    squares = np.add.reduceat((values - np.repeat(means, sizes, axis=0)) ** 2, starts, axis=0)
    return (squares * (sizes / np.maximum(sizes - 1.0, 1.0))[:, None]).sum(axis=0)

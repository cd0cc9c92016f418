r"""The variance of a mean gap: a U-statistic, of one sample or of two.

The mean gap is a U-statistic. The sampling unit is the sample, not the pair, and labels are held fixed: samples of a
class are independent draws of that class. Its variance has two parts, one from what each sample contributes by itself
(first order) and one from what only pairs show (second order). Near the boundary of compatibility both matter: second
over first order is about d/n on the same-class side, n samples a class, so the second order is estimated and not
neglected. Queries and the items of a separate gallery are independent samples: then a two-sample U-statistic.

References
----------
Hoeffding, *A class of statistics with asymptotically normal distribution*, 1948.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from verification.statistics.protocol import Statistics
from verification.statistics.rows import Rows
from verification.statistics.weights import Weights

# a class of one set that has no more, of one size, has too few pairs of units to tell how one differs from another
LEAST_UNITS = 2.5


@dataclass(frozen=True)
class ClassEstimates:
    """The same-class gap of every class by itself.

    Attributes
    ----------
    gap, standard_error, degrees_of_freedom : ndarray, shape (K,)
        The error is infinite for a class with too few samples to tell; the gap of one without pairs is 0.
    """

    gap: Float[ndarray, " k"]
    standard_error: Float[ndarray, " k"]
    degrees_of_freedom: Float[ndarray, " k"]


@dataclass(frozen=True)
class _Part:
    """What the samples of one role, queries or gallery items, contribute to a mean gap.

    ``values`` are what the kept rows contribute; the mean over each class's ``sizes`` samples enters the gap.
    ``design`` is the variance of that, class by class, were every unit alike.
    """

    values: Float[ndarray, " m"]
    rows: Rows
    sizes: Int[ndarray, " k"]
    design: Float[ndarray, " k"]

    @cached_property
    def squares(self) -> Float[ndarray, " u"]:
        """Squared deviations from the class mean, unit by unit, scaled so that they sum to :attr:`variances`.

        The rows of a unit vary together, so their deviations are added before they are squared.
        """
        num, rows = self.rows.counts, self.rows
        deviations = self.values - self.class_means[rows.codes]
        if rows.units is None:
            scale = np.maximum(num - 1.0, 1.0) * np.maximum(self.sizes, 1)
            return deviations**2 / scale[rows.codes]
        units = np.maximum(rows.unit_counts, 1.0)
        scale = np.maximum(num, 1.0) * np.maximum(self.sizes, 1) * np.maximum(units - 1.0, 1.0) / units
        return np.bincount(rows.unit_codes, deviations) ** 2 / scale[rows.unit_classes]

    @cached_property
    def variances(self) -> Float[ndarray, " k"]:
        """Each class's variance of its mean; 0 for fewer than two units."""
        return np.bincount(self.rows.unit_classes, self.squares, minlength=len(self.sizes))

    @cached_property
    def class_means(self) -> Float[ndarray, " k"]:
        """What each class contributes."""
        return self._sum(self.values) / np.maximum(self.rows.counts, 1)

    def _sum(self, values: ndarray) -> ndarray:
        return np.bincount(self.rows.codes, values, minlength=len(self.sizes))

    def with_sizes(self, pull: Float[ndarray, " k"], each: Float[ndarray, " m"]) -> _Part:
        """Add what the sizes of units contribute to a mean over pairs, in which a larger unit counts more often.

        Parameters
        ----------
        pull : ndarray, shape (K,)
            By how much a class lies above the mean over all pairs, times its weight.
        each : ndarray, shape (m,)
            How often a row counts, over the mean of that in its class.
        """
        rows = self.rows
        if rows.units is None:
            return self
        added = pull[rows.codes] * each
        # a unit of the usual size adds nothing
        sums = np.bincount(rows.unit_codes, added)
        usual = np.bincount(rows.unit_classes, sums, minlength=len(self.sizes)) / np.maximum(rows.unit_counts, 1)
        shared = (usual[rows.unit_classes] / np.bincount(rows.unit_codes))[rows.unit_codes]
        return _Part(self.values + added - shared, rows, self.sizes, self.design)

    def scaled(self, factors: Float[ndarray, " k"]) -> _Part:
        """Return the contributions to a mean in which classes weigh so much."""
        return _Part(self.values * factors[self.rows.codes], self.rows, self.sizes, self.design * factors**2)


def _degrees_of_freedom(parts: Sequence[_Part], used: Sequence[Bool[ndarray, " k"]]) -> float:
    """Degrees of freedom of the summed variances of some classes: the least of three ways to count them.

    As the classes' shares of the variance are estimated, as the design alone has them, and as the observed fourth
    moments have them. Each fails somewhere, always by being too large.
    """
    pairs = list(zip(parts, used, strict=True))
    # units of unequal size tell as little as fewer of one size
    freedom = np.concatenate([part.rows.effective_units[some] - 1.0 for part, some in pairs])
    estimated = np.concatenate([part.variances[some] for part, some in pairs])
    design = np.concatenate([part.design[some] for part, some in pairs])
    squares = fourth = 0.0
    for part, some in pairs:
        classes = part.rows.unit_classes
        deviations = part.squares - (part.variances / np.maximum(part.rows.unit_counts, 1))[classes]
        squares += float(part.squares[some[classes]].sum())
        fourth += float(np.sum(deviations[some[classes]] ** 2))
    by_kurtosis = 2.0 * squares**2 / fourth if fourth > 0 else np.inf
    return max(1.0, min(_satterthwaite(estimated, freedom), _satterthwaite(design, freedom), by_kurtosis))


def _satterthwaite(parts: ndarray, freedom: ndarray) -> float:
    """Degrees of freedom of a sum of independent variance estimates."""
    spread = float(np.sum(parts**2 / freedom))
    return float(np.sum(parts)) ** 2 / spread if spread > 0 else np.inf


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean with its error.

    Attributes
    ----------
    value : float
    standard_error : float
        Infinity where the data cannot tell.
    freedom : float
        Degrees of freedom of Student's t for its interval.
    second_order : float
        The part of the squared error that only pairs show; it falls with the square of the number of samples, the rest
        with the number.
    """

    value: float
    standard_error: float
    freedom: float
    second_order: float = 0.0

    def times(self, scale: float) -> Estimate:
        """Return the estimate in another unit."""
        size = abs(scale)
        return Estimate(
            value=scale * self.value,
            standard_error=size * self.standard_error,
            freedom=self.freedom,
            second_order=size**2 * self.second_order,
        )


def between_parts(source: Statistics, weights: Weights) -> list[_Part]:
    """What queries, and items of a gallery, contribute to the mean of t over pairs of different classes."""
    queries = weights.query * (weights.gallery.sum() - weights.gallery)
    if source.gallery is None:
        roles = [(source.rows, source.sizes, 2.0 * queries)]
    else:
        items = weights.gallery * (weights.query.sum() - weights.query)
        roles = [(source.rows, source.sizes, queries), (source.gallery, source.gallery_sizes, items)]
    parts = [
        _Part(values, rows, sizes, weight**2 / _independent(rows, sizes))
        for values, (rows, sizes, weight) in zip(source.others(weights), roles, strict=True)
    ]
    if not weights.by_size or source.rows.units is None:
        return parts
    return [
        part.with_sizes(
            part.class_means - weight * float(part.class_means.sum() / weight.sum()), np.ones(len(part.values))
        )
        for part, (_, _, weight) in zip(parts, roles, strict=True)
    ]


def summed_error(parts: Sequence[_Part]) -> tuple[float, float]:
    """Standard error of the sum of what the parts contribute, and its degrees of freedom.

    Each part's variance is that within classes, to first order. It holds the second-order part of the variance once
    more than the mean does, and that is left in: taken out, the error would be smallest just where the mean is most in
    favour, and with five samples of a class verdicts were wrong more often than promised.
    """
    first, told = 0.0, []
    lone = lone_freedom = 0.0
    for part in parts:
        there = part.design > 0.0
        some = there & (part.rows.unit_counts > 1)
        if np.count_nonzero(some) == 1 and np.count_nonzero(there) > 1:
            # one class's samples vary along its own axis, and tell nothing of how those of other classes vary along it
            return np.inf, 1.0
        if np.any(some):
            # a class of one unit has no spread of its own: it borrows the others', a pair weighing the same
            pooled = float(part.variances[some].sum() / part.design[some].sum())
            first += float(np.where(some, part.variances, part.design * pooled).sum())
            told.append((part, some))
            continue
        # one unit of every class: the spread between classes, which is too wide rather than too narrow
        present = part.rows.counts > 0
        count = int(np.sum(present))
        if count < 2:
            return np.inf, 1.0
        means = part.class_means[present]
        share = np.sqrt(part.design[present])
        deviations = means - share * (means.sum() / share.sum())
        lone += float(deviations @ deviations) * count / (count - 1.0)
        lone_freedom = min(lone_freedom, count - 1.0) if lone_freedom else count - 1.0
    if not told:
        return float(np.sqrt(lone)), lone_freedom
    freedom = _degrees_of_freedom([part for part, _ in told], [some for _, some in told])
    if lone > 0.0:
        freedom = (first + lone) ** 2 / (first**2 / freedom + lone**2 / lone_freedom)
    return float(np.sqrt(first + lone)), freedom


@dataclass(frozen=True)
class SameClass:
    """The same-class side, class by class: mean gap, the two parts of its variance (NaN where a class cannot tell)."""

    means: Float[ndarray, " k"]
    first: Float[ndarray, " k"]
    second: Float[ndarray, " k"]
    parts: list[_Part]
    units: Float[ndarray, " k"]
    # of each part, how often a row counts over the mean of that in its class; only with units of several rows
    counted: list[Float[ndarray, " _"]] = field(default_factory=list)

    @classmethod
    def of(cls, source: Statistics) -> SameClass:
        """Both parts of every class's variance, unbiased, or the first alone, larger, where it is not told apart."""
        means = source.same_means()
        n, m = source.sizes.astype(np.float64), source.gallery_sizes.astype(np.float64)
        roles = [(source.rows, source.sizes, 4.0 if source.gallery is None else 1.0)]
        if source.gallery is not None:
            roles.append((source.gallery, source.gallery_sizes, 1.0))
        # every sample of one set is at both ends of pairs
        values = [value if source.gallery is not None else 2.0 * value for value in source.own()]
        counted = _counted(source, len(means)) if source.rows.units is not None else []
        units = n if source.rows.units is None else source.rows.effective_units
        if source.rows.units is not None:
            factor = 2.0 if source.gallery is None else 1.0
            # with units of unequal size a row that meets more partners weighs more in the mean over pairs
            values = [
                (value - factor * means[rows.codes]) * share
                for value, (rows, *_), share in zip(values, roles, counted, strict=True)
            ]
        if source.gallery is None:
            # a sample's mean over its partners holds these, who differ: it lies nearer to the others' than what it adds
            stretch = np.where(units > LEAST_UNITS, (units - 1.0) / (np.maximum(units, LEAST_UNITS) - 2.0), 1.0)
            values = [values[0] * stretch[source.rows.codes]]
        parts = [
            _Part(value, rows, sizes, weight / _independent(rows, sizes))
            for value, (rows, sizes, weight) in zip(values, roles, strict=True)
        ]
        if source.rows.units is not None:
            first = np.sum([part.variances for part in parts], axis=0)
            second = np.zeros(len(means))
            if source.gallery is None:
                enough = units > LEAST_UNITS
                told = source.unit_spread
                if told is not None:
                    # what only pairs show is in the spread of units, 4/(G − 2) to 2/(G − 1) of what it is in the mean
                    n = np.maximum(units, LEAST_UNITS)
                    known = np.isfinite(told) & enough
                    second = np.where(known, 2.0 * np.where(known, told, 0.0) / (n * (n - 1.0)), 0.0)
                    first = first - second * 2.0 * (n - 1.0) / (n - 2.0)
            else:
                enough = np.all([part.rows.unit_counts >= 2 for part in parts], axis=0)
            return cls(means, np.where(enough, first, np.nan), np.where(enough, second, np.nan), parts, units, counted)
        spread = source.same_spread()
        if source.gallery is None:
            enough = source.rows.counts >= 4
            n = np.where(enough, n, 4.0)
            # h = mean + f_i + f_j + s_ij: solve the expectations of the squared row sums (rows) and of the squared
            # deviations of pairs (pairs) for both variances
            rows = 0.25 * n * (n - 1.0) * (n - 2.0) ** 2 * parts[0].variances
            pairs = 0.5 * n * (n - 1.0) * spread
            of_pair = 2.0 * (pairs - rows / (n - 2.0)) / (n * (n - 3.0))
            of_sample = (rows / ((n - 1.0) * (n - 2.0)) - of_pair) / (n - 2.0)
            first, second = 4.0 * of_sample / n, 2.0 * of_pair / (n * (n - 1.0))
        else:
            enough = (source.rows.counts > 1) & (source.gallery.counts > 1)
            second = spread / np.maximum(n * m, 1.0)
            # each role's variance holds the second-order part once
            first = parts[0].variances + parts[1].variances - 2.0 * second
        return cls(means, np.where(enough, first, np.nan), np.where(enough, second, np.nan), parts, units)

    def sized(self, weights: Weights) -> list[_Part]:
        """The parts, with what the sizes of units add where classes weigh as they have pairs."""
        if not weights.by_size or not self.counted:
            return self.parts
        factor = 2.0 / len(self.parts)  # a sample of one set is at both ends of pairs
        pull = factor * (self.means - float(weights.same @ self.means))
        return [part.with_sizes(pull, share) for part, share in zip(self.parts, self.counted, strict=True)]

    def error(self, weighting: Weights) -> tuple[float, float, float]:
        """Standard error of the weighted mean over classes, its degrees of freedom, its second-order part squared."""
        weights = weighting.same
        sized = self.sized(weighting)
        # what sizes add is of first order
        variances = self.first + sum(
            one.variances - other.variances for one, other in zip(sized, self.parts, strict=True)
        )
        large = np.isfinite(self.first) & (weights > 0.0)
        small = ~large & (weights > 0.0)
        squared = weights[large] ** 2
        second = float(squared @ self.second[large])
        variance = max(float(squared @ variances[large]) + second, second, 0.0)
        parts = [part.scaled(weights) for part in sized]
        freedom = _degrees_of_freedom(parts, [large] * len(parts)) if np.any(large) else 1.0
        if np.any(small):
            other, other_freedom = self._small_classes(weights, small, large, variance)
            total = variance + other
            if 0.0 < total < np.inf:
                freedom = total**2 / (variance**2 / freedom + other**2 / other_freedom)
            variance = total
        return float(np.sqrt(variance)), freedom, max(second, 0.0)

    def _small_classes(self, weights: ndarray, small: ndarray, large: ndarray, variance: float) -> tuple[float, float]:
        """Variance of what classes contribute that are too small to tell their own, and its degrees of freedom.

        From the spread between two or more of them, which is too wide rather than too narrow where their means differ,
        but not less than the larger classes would have with as few units. One alone has twice as much as these. That is
        a guess about a class of its own kind perhaps, and has one degree of freedom.
        """
        w, means = weights[small], self.means[small]
        alone = len(w) == 1
        borrowed = np.inf if alone else 0.0
        if np.any(large):
            design = sum(part.design for part in self.parts) * weights**2
            borrowed = variance * float(design[small].sum() / design[large].sum())
        if alone:
            return 2.0 * borrowed, 1.0
        spread = float(np.sum((w * (means - float(w @ means) / float(w.sum()))) ** 2)) * len(w) / (len(w) - 1.0)
        return max(spread, borrowed), len(w) - 1.0

    def by_class(self) -> ClassEstimates:
        """Each class on its own, its error no smaller than what the root mean square over the classes gives it.

        A class that missed its rare mode has a small variance and a favourable mean at once.
        """
        variance = np.maximum(self.first + self.second, np.maximum(self.second, 0.0))
        design = np.sum([part.design for part in self.parts], axis=0)
        told = np.isfinite(variance)
        if np.any(told):
            variance = np.maximum(variance, design * float(np.mean(variance[told] / design[told])))
        degrees = np.min([part.rows.effective_units - 1.0 for part in self.parts], axis=0)
        error = np.sqrt(np.where(told, variance, np.inf))
        return ClassEstimates(self.means, error, np.maximum(degrees, 1.0))


def _independent(rows: Rows, sizes: Int[ndarray, " k"]) -> Float[ndarray, " k"]:
    """Units of each class, of which ``rows`` are kept, as many as units of one size would tell as much; 1 at least."""
    if rows.units is None:
        return np.maximum(sizes, 1.0)
    return np.maximum(rows.effective_units * sizes / np.maximum(rows.counts, 1), 1.0)


def _counted(source: Statistics, num_classes: int) -> list[Float[ndarray, " _"]]:
    """How often each row counts in the mean over the pairs of its class, over the mean of that."""
    found = []
    roles = (source.rows,) if source.gallery is None else (source.rows, source.gallery)
    for met, rows in zip(source.met(), roles, strict=True):
        mean = np.bincount(rows.codes, met, minlength=num_classes) / np.maximum(rows.counts, 1)
        found.append(met / np.maximum(mean, 1e-300)[rows.codes])
    return found


def contrast_error(same: SameClass, between: Sequence[_Part], weights: Weights) -> tuple[float, float]:
    """Standard error of gap(1a) + gap(1b), what each sample contributes to both taken together; degrees of freedom.

    Where classes are too small to tell the error of their own 1a, the sum of both errors, which is never too small.
    """
    if np.any(np.isnan(same.first) & (weights.same > 0.0)):
        errors = same.error(weights)[:2], summed_error(between)
        return float(sum(error for error, _ in errors)), min(freedom for _, freedom in errors)
    parts = [
        _Part(
            one.values * weights.same[one.rows.codes] - other.values,
            one.rows,
            one.sizes,
            one.design * weights.same**2 + other.design,
        )
        for one, other in zip(same.sized(weights), between, strict=True)
    ]
    error, freedom = summed_error(parts)
    if len(parts) == 1 and np.isfinite(error):
        # what only pairs show is left in once more than the mean has it, not as often as stretched deviations have it
        several = same.units > LEAST_UNITS
        second = weights.same[several] ** 2 * same.second[several]
        more = 2.0 * second / (same.units[several] - 2.0)
        error = math.sqrt(max(error**2 - float(more.sum()), float(second.sum()), 0.0))
    return error, freedom


def drawn_estimates(source: Statistics) -> tuple[Estimate, Estimate, Estimate]:
    """Gaps of 1a and 1b and their sum for new classes like these: every class counts once, and is the unit.

    1a is a mean over classes. 1b is a U-statistic whose samples are the class means; its variance is that of the
    jackknife.
    """
    some = np.flatnonzero(np.asarray(source.same_pairs()) > 0)
    count = len(some)
    same = source.same_means()[some]
    unknown = Estimate(value=float(np.mean(same)) if count else 0.0, standard_error=np.inf, freedom=1.0)
    if count < 2:
        return unknown, unknown, unknown

    def estimate(value: float, contributions: ndarray) -> Estimate:
        error = float(np.std(contributions, ddof=1)) / np.sqrt(count)
        return Estimate(value=value, standard_error=error, freedom=count - 1.0)

    first = estimate(float(np.mean(same)), same)
    forward, backward = source.class_means_between(some)
    value = -float(np.mean(forward))
    if count < 3:
        nothing = Estimate(value=value, standard_error=np.inf, freedom=1.0)
        return first, nothing, Estimate(value=first.value + value, standard_error=np.inf, freedom=1.0)
    both = -(forward + backward) * (count - 1.0) / (count - 2.0)
    return first, estimate(value, both), estimate(first.value + value, same + both)

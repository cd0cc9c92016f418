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

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from verification.statistics.protocol import Statistics
from verification.statistics.rows import Rows
from verification.statistics.weights import Weights


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
    ``design`` is the variance of that, class by class, were every pair alike.
    """

    values: Float[ndarray, " m"]
    rows: Rows
    sizes: Int[ndarray, " k"]
    design: Float[ndarray, " k"]

    @cached_property
    def squares(self) -> Float[ndarray, " m"]:
        """Squared deviations from the class mean, scaled so that they sum to :attr:`variances`."""
        num = self.rows.counts
        means = self._sum(self.values) / np.maximum(num, 1)
        scale = np.maximum(num - 1.0, 1.0) * np.maximum(self.sizes, 1)
        return (self.values - means[self.rows.codes]) ** 2 / scale[self.rows.codes]

    @cached_property
    def variances(self) -> Float[ndarray, " k"]:
        """Each class's variance of its mean; 0 for fewer than two rows."""
        return self._sum(self.squares)

    def _sum(self, values: ndarray) -> ndarray:
        return np.bincount(self.rows.codes, values, minlength=len(self.sizes))

    def scaled(self, factors: Float[ndarray, " k"]) -> _Part:
        """Return the contributions to a mean in which classes weigh so much."""
        return _Part(self.values * factors[self.rows.codes], self.rows, self.sizes, self.design * factors**2)


def _degrees_of_freedom(parts: Sequence[_Part], used: Sequence[Bool[ndarray, " k"]]) -> float:
    """Degrees of freedom of the summed variances of some classes: the least of three ways to count them.

    As the classes' shares of the variance are estimated, as the design alone has them, and as the observed fourth
    moments have them. Each fails somewhere, always by being too large.
    """
    pairs = list(zip(parts, used, strict=True))
    freedom = np.concatenate([part.rows.counts[some] - 1.0 for part, some in pairs])
    estimated = np.concatenate([part.variances[some] for part, some in pairs])
    design = np.concatenate([part.design[some] for part, some in pairs])
    squares = fourth = 0.0
    for part, some in pairs:
        inside = some[part.rows.codes]
        deviations = part.squares - (part.variances / np.maximum(part.rows.counts, 1))[part.rows.codes]
        squares += float(part.squares[inside].sum())
        fourth += float(np.sum(deviations[inside] ** 2))
    by_kurtosis = 2.0 * squares**2 / fourth if fourth > 0 else np.inf
    return max(1.0, min(_satterthwaite(estimated, freedom), _satterthwaite(design, freedom), by_kurtosis))


def _satterthwaite(parts: ndarray, freedom: ndarray) -> float:
    """Degrees of freedom of a sum of independent variance estimates."""
    spread = float(np.sum(parts**2 / freedom))
    return float(np.sum(parts)) ** 2 / spread if spread > 0 else np.inf


def different_error(source: Statistics, weights: Weights) -> tuple[float, float, float]:
    """Standard error of the different-class gap, its degrees of freedom and the second-order part of its square."""
    queries = weights.query * (weights.gallery.sum() - weights.gallery)
    if source.gallery is None:
        roles = [(source.rows, source.sizes, 2.0 * queries)]
    else:
        items = weights.gallery * (weights.query.sum() - weights.query)
        roles = [(source.rows, source.sizes, queries), (source.gallery, source.gallery_sizes, items)]
    parts = [
        _Part(values, rows, sizes, weight**2 / np.maximum(sizes, 1))
        for values, (rows, sizes, weight) in zip(source.others(weights), roles, strict=True)
    ]
    used = [(part.rows.counts > 1) & (part.design > 0.0) for part in parts]
    if not all(np.any(some) for some in used):
        return np.inf, 1.0, 0.0
    first = 0.0
    for part, some in zip(parts, used, strict=True):
        # a class of one sample has no spread of its own: it borrows a sample's of the others, a pair weighing the same
        pooled = float(part.variances[some].sum() / part.design[some].sum())
        first += float(np.where(some, part.variances, part.design * pooled).sum())
    second = source.between_spread(weights)
    # the first sum counts the second-order part twice, once from each end of a pair
    return float(np.sqrt(max(first - second, second))), _degrees_of_freedom(parts, used), second


@dataclass(frozen=True)
class SameClass:
    """The same-class side, class by class: mean gap, the two parts of its variance (NaN where a class cannot tell)."""

    means: Float[ndarray, " k"]
    first: Float[ndarray, " k"]
    second: Float[ndarray, " k"]
    parts: list[_Part]

    @classmethod
    def of(cls, source: Statistics) -> SameClass:
        """Both parts of every class's variance, unbiased."""
        means, spread = source.same_means(), source.same_spread()
        n, m = source.sizes.astype(np.float64), source.gallery_sizes.astype(np.float64)
        if source.gallery is None:
            # every sample is at both ends of pairs
            part = _Part(2.0 * source.own()[0], source.rows, source.sizes, 4.0 / np.maximum(n, 1.0))
            enough = source.rows.counts >= 4
            n = np.where(enough, n, 4.0)
            # h = mean + f_i + f_j + s_ij: solve the expectations of the squared row sums (rows) and of the squared
            # deviations of pairs (pairs) for both variances
            rows, pairs = 0.25 * n * (n - 1.0) ** 3 * part.variances, 0.5 * n * (n - 1.0) * spread
            of_pair = 2.0 * (pairs - rows / (n - 2.0)) / (n * (n - 3.0))
            of_sample = (rows / ((n - 1.0) * (n - 2.0)) - of_pair) / (n - 2.0)
            first, second = 4.0 * of_sample / n, 2.0 * of_pair / (n * (n - 1.0))
            parts = [part]
        else:
            queries, items = source.own()
            parts = [
                _Part(queries, source.rows, source.sizes, 1.0 / np.maximum(n, 1.0)),
                _Part(items, source.gallery, source.gallery_sizes, 1.0 / np.maximum(m, 1.0)),
            ]
            enough = (source.rows.counts > 1) & (source.gallery.counts > 1)
            second = spread / np.maximum(n * m, 1.0)
            # each role's variance holds the second-order part once
            first = parts[0].variances + parts[1].variances - 2.0 * second
        return cls(means, np.where(enough, first, np.nan), np.where(enough, second, np.nan), parts)

    def error(self, weights: Float[ndarray, " k"]) -> tuple[float, float, float]:
        """Standard error of the weighted mean over classes, its degrees of freedom, its second-order part squared."""
        large = np.isfinite(self.first) & (weights > 0.0)
        small = ~large & (weights > 0.0)
        squared = weights[large] ** 2
        second = float(squared @ self.second[large])
        variance = max(float(squared @ self.first[large]) + second, second, 0.0)
        parts = [part.scaled(weights) for part in self.parts]
        freedom = _degrees_of_freedom(parts, [large] * len(parts)) if np.any(large) else 1.0
        if np.any(small):
            other, other_freedom = self._small_classes(weights, small, large, variance)
            total = variance + other
            if 0.0 < total < np.inf:
                freedom = total**2 / (variance**2 / freedom + other**2 / other_freedom)
            variance = total
        return float(np.sqrt(variance)), freedom, max(second, 0.0)

    def _small_classes(self, weights: ndarray, small: ndarray, large: ndarray, variance: float) -> tuple[float, float]:
        """Variance of what classes contribute that are too small to tell their own.

        From the spread between two or more of them, which is too wide rather than too narrow where their means differ;
        one alone borrows the variance of the larger classes, twice as if a sample weighed as much there.
        """
        w, means = weights[small], self.means[small]
        if len(w) > 1:
            spread = float(np.sum((w * (means - float(w @ means) / float(w.sum()))) ** 2))
            return spread * len(w) / (len(w) - 1.0), len(w) - 1.0
        if not np.any(large):
            return np.inf, 1.0
        design = sum(part.design for part in self.parts) * weights**2
        return 2.0 * variance * float(design[small].sum() / design[large].sum()), np.inf

    def by_class(self) -> ClassEstimates:
        """Each class on its own."""
        variance = np.maximum(self.first + self.second, np.maximum(self.second, 0.0))
        degrees = np.min([part.rows.counts - 1.0 for part in self.parts], axis=0)
        error = np.sqrt(np.where(np.isfinite(variance), variance, np.inf))
        return ClassEstimates(self.means, error, np.maximum(degrees, 1.0))

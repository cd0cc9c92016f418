r"""Both sides of Definition 1 (paper, Eq. 1a and 1b) in the squared Euclidean distance, in O(N·d), with their variance.

With unit features u (new), v (old) and a = u − v, the pairwise gaps are :math:`2 a_i·v_j` for two samples of one
class and :math:`−2 a_i·v_j` for two of different classes. So the mean gap over all pairs i ≠ j follows from
per-class sums of a and v (the first-moment identity), the pairs i = j taken out.

The mean gap is a U-statistic with the symmetric kernel :math:`h_{ij} = ±(a_i·v_j + a_j·v_i)`. The sampling unit is the
sample, not the pair, and labels are held fixed: samples of a class are independent draws of that class. Its variance
has two parts, one from what each sample contributes by itself (first order) and one from what only pairs show (second
order). Near the boundary of compatibility both matter: second over first order is about d/n on the same-class side,
n samples a class, so the second order is estimated and not neglected.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

# all pairs while N²·d stays below this (about a second), else a seeded sample of them
ALL_PAIRS_BUDGET = 3e8
SAMPLED_PAIRS = 2**16


@dataclass(frozen=True)
class SideEstimate:
    """One side of Definition 1, estimated.

    Attributes
    ----------
    gap : float
        Mean over all ordered pairs of the side, positive = compatible, in units of the squared distance.
    standard_error : float
        Of the gap; infinity where the data cannot tell.
    degrees_of_freedom : float
        Of Student's t for its interval.
    num_pairs : int
        Ordered pairs.
    pair_fraction : float
        Share of the ordered pairs that satisfy the inequality; equality counts.
    pair_fraction_error : float
        Standard error from looking at a sample of the pairs only; 0 when all were looked at.
    """

    gap: float
    standard_error: float
    degrees_of_freedom: float
    num_pairs: int
    pair_fraction: float
    pair_fraction_error: float


@dataclass(frozen=True)
class _Data:
    """What both sides need: unit rows, their classes, and the per-class sums."""

    shift: Float[ndarray, "n dim"]  # a = u − v
    old: Float[ndarray, "n dim"]
    codes: Int[ndarray, " n"]
    sizes: Int[ndarray, " k"]
    shift_sums: Float[ndarray, "k dim"]
    old_sums: Float[ndarray, "k dim"]
    own: Float[ndarray, " n"]  # a_i·v_i, the pairs i = j

    @classmethod
    def of(cls, new: ndarray, old: ndarray, codes: ndarray) -> _Data:
        num_classes = int(codes.max()) + 1
        shift = new - old
        return cls(
            shift,
            old,
            codes,
            np.bincount(codes, minlength=num_classes),
            class_sums(shift, codes, num_classes),
            class_sums(old, codes, num_classes),
            np.einsum("nd,nd->n", shift, old),
        )

    def per_class(self, values: ndarray) -> ndarray:
        return np.bincount(self.codes, values, minlength=len(self.sizes))

    def centred(self) -> tuple[ndarray, ndarray]:
        """Shifts and old features less their class means."""
        return (
            self.shift - (self.shift_sums / self.sizes[:, None])[self.codes],
            self.old - (self.old_sums / self.sizes[:, None])[self.codes],
        )


def class_sums(rows: Float[ndarray, "n dim"], codes: Int[ndarray, " n"], num_classes: int) -> Float[ndarray, "k dim"]:
    """Sum of the rows of each class, shape (num_classes, d)."""
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(num_classes))
    return np.add.reduceat(rows[order], starts, axis=0)


def estimate_sides(
    new: Float[ndarray, "n dim"], old: Float[ndarray, "n dim"], codes: Int[ndarray, " n"], seed: int = 0
) -> tuple[SideEstimate, SideEstimate]:
    """Estimate the same-class and the different-class side of Definition 1.

    Parameters
    ----------
    new, old : ndarray, shape (N, d)
        Unit features of the same samples by the new and the old model, row by row.
    codes : ndarray of int, shape (N,)
        Classes 0 … K−1, every one present, K ≥ 2; at least one class with two samples.
    seed : int
        Of the sample of pairs that is looked at where all pairs would be too many.

    Returns
    -------
    tuple of SideEstimate
        (same class, different class).
    """
    data = _Data.of(new, old, codes)
    pairs = _look_at_pairs(data, np.random.default_rng(seed))
    return _same_class(data, pairs), _different_class(data, pairs)


@dataclass(frozen=True)
class _Pairs:
    """What only pairs show, from all of them or from a sample."""

    same_squares: Float[ndarray, " k"]  # Σ over a class's unordered pairs of (h − class mean)²
    different_square: float  # mean over pairs of classes > 1 sample of the doubly centred h², unbiased
    same_fraction: tuple[float, float]
    different_fraction: tuple[float, float]


def _look_at_pairs(data: _Data, rng: np.random.Generator) -> _Pairs:
    n, dim = data.old.shape
    everything = float(n) * n * dim <= ALL_PAIRS_BUDGET
    return _all_pairs(data) if everything else _sampled_pairs(data, rng)


def _class_means(data: _Data) -> ndarray:
    """Mean of h over each class's pairs; 0 for a class of one."""
    sums = np.einsum("kd,kd->k", data.shift_sums, data.old_sums) - data.per_class(data.own)
    return 2.0 * sums / np.maximum(data.sizes * (data.sizes - 1.0), 1.0)


def _all_pairs(data: _Data) -> _Pairs:
    n = len(data.codes)
    means = _class_means(data)
    shift, old = data.centred()
    same_squares = np.zeros(len(data.sizes))
    counts = {True: 0, False: 0}
    square = 0.0
    # a block of rows against all rows: memory stays at a few N × block matrices
    block = max(1, 2**22 // n)
    for start in range(0, n, block):
        rows = slice(start, start + block)
        same = data.codes[rows, None] == data.codes[None, :]
        same[np.arange(len(same)), np.arange(start, start + len(same))] = False
        different = data.codes[rows, None] != data.codes[None, :]
        forward = data.shift[rows] @ data.old.T
        kernel = forward + data.old[rows] @ data.shift.T
        residual = np.where(same, kernel - means[data.codes[rows], None], 0.0)
        # every unordered pair is met twice, once from each end
        same_squares += 0.5 * np.bincount(data.codes[rows], (residual**2).sum(axis=1), minlength=len(data.sizes))
        counts[True] += int(np.count_nonzero(same & (forward >= 0)))
        counts[False] += int(np.count_nonzero(different & (forward <= 0)))
        centred = shift[rows] @ old.T + old[rows] @ shift.T
        square += 0.5 * float(np.sum(np.where(different, centred, 0.0) ** 2))
    same_pairs, different_pairs = _pair_counts(data.sizes)
    freedom = _pair_counts(data.sizes - 1)[1]  # centring by class takes one from each size
    return _Pairs(
        same_squares,
        2.0 * square / freedom if freedom else np.inf,
        (counts[True] / same_pairs, 0.0),
        (counts[False] / different_pairs, 0.0),
    )


def _sampled_pairs(data: _Data, rng: np.random.Generator) -> _Pairs:
    means = _class_means(data)
    sizes = data.sizes.astype(np.float64)
    order = np.argsort(data.codes, kind="stable")
    starts = np.searchsorted(data.codes[order], np.arange(len(sizes)))

    def kernel(i: ndarray, j: ndarray) -> tuple[ndarray, ndarray]:
        forward = np.einsum("nd,nd->n", data.shift[i], data.old[j])
        return forward, forward + np.einsum("nd,nd->n", data.old[i], data.shift[j])

    # same class: a fixed number of ordered pairs a class, at most SAMPLED_PAIRS together unless classes are many
    each = max(64, SAMPLED_PAIRS // len(sizes))
    classes = np.repeat(np.flatnonzero(data.sizes > 1), each)
    first = rng.integers(data.sizes[classes])
    second = (first + rng.integers(1, data.sizes[classes])) % data.sizes[classes]
    forward, h = kernel(order[starts[classes] + first], order[starts[classes] + second])
    shares = sizes * (sizes - 1.0) / np.sum(sizes * (sizes - 1.0))
    squares = np.bincount(classes, (h - means[classes]) ** 2, minlength=len(sizes)) / each
    hits = np.bincount(classes, forward >= 0, minlength=len(sizes)) / each
    same_fraction = float(shares @ hits)
    same_error = float(np.sqrt(np.sum(shares**2 * hits * (1.0 - hits) / each)))

    # different classes: any two samples, those of one class thrown away
    n = len(data.codes)
    i, j = rng.integers(n, size=(2, 2 * SAMPLED_PAIRS))
    keep = data.codes[i] != data.codes[j]
    i, j = i[keep], j[keep]
    forward, _ = kernel(i, j)
    fraction = float(np.mean(forward <= 0))
    error = float(np.sqrt(fraction * (1.0 - fraction) / len(i)))
    inner = (data.sizes[data.codes[i]] > 1) & (data.sizes[data.codes[j]] > 1)
    i, j = i[inner], j[inner]
    ci, cj = data.codes[i], data.codes[j]
    shift, old = data.shift_sums / sizes[:, None], data.old_sums / sizes[:, None]
    a_i, a_j, v_i, v_j = (
        data.shift[i] - shift[ci],
        data.shift[j] - shift[cj],
        data.old[i] - old[ci],
        data.old[j] - old[cj],
    )
    centred = np.einsum("nd,nd->n", a_i, v_j) + np.einsum("nd,nd->n", a_j, v_i)
    unbias = sizes[ci] * sizes[cj] / ((sizes[ci] - 1.0) * (sizes[cj] - 1.0))
    square = float(np.mean(unbias * centred**2)) if len(i) else np.inf
    return _Pairs(0.5 * sizes * (sizes - 1.0) * squares, square, (same_fraction, same_error), (fraction, error))


def _pair_counts(sizes: Int[ndarray, " k"]) -> tuple[int, int]:
    """Ordered pairs of two samples of one class, and of different classes."""
    total, squares = int(sizes.sum()), sum(int(size) ** 2 for size in sizes)
    return squares - total, total * total - squares


def _same_class(data: _Data, pairs: _Pairs) -> SideEstimate:
    means = _class_means(data)
    sizes = data.sizes.astype(np.float64)
    contributions = (
        np.einsum("nd,nd->n", data.shift, data.old_sums[data.codes])
        + np.einsum("nd,nd->n", data.old, data.shift_sums[data.codes])
        - 2.0 * data.own
        - (sizes - 1.0)[data.codes] * means[data.codes]
    )
    num_pairs = _pair_counts(data.sizes)[0]
    gap = float(means @ (sizes * (sizes - 1.0))) / num_pairs
    first = data.per_class(contributions**2)

    # h = mean + f_i + f_j + s_ij: solve the expectations of `first` and of the squares for Var f and Var s
    large = data.sizes >= 4
    n, f, squares = sizes[large], first[large], pairs.same_squares[large]
    var_pair = 2.0 * (squares - f / (n - 2.0)) / (n * (n - 3.0))
    var_sample = (f / ((n - 1.0) * (n - 2.0)) - var_pair) / (n - 2.0)
    second_order = float(np.sum(0.5 * n * (n - 1.0) * var_pair))
    variance = max(float(np.sum(n * (n - 1.0) ** 2 * var_sample)) + second_order, second_order, 0.0)
    freedom = _freedom(data, contributions, f, n * (n - 1.0) ** 2, large)

    small = (data.sizes == 2) | (data.sizes == 3)
    if np.any(small):
        variance_small, freedom_small = _small_classes(means[small], sizes[small], variance, n)
        total = variance + variance_small
        if 0.0 < total < np.inf:
            freedom = total**2 / (variance**2 / freedom + variance_small**2 / freedom_small)
        variance = total
    return SideEstimate(gap, 2.0 * np.sqrt(variance) / num_pairs, freedom, num_pairs, *pairs.same_fraction)


def _small_classes(means: ndarray, sizes: ndarray, variance: float, large: ndarray) -> tuple[float, float]:
    """Variance of the sum over classes of two or three samples, which cannot tell their own.

    From the spread between two or more of them, which is too wide rather than too narrow where their means differ; one
    alone borrows the variance of the larger classes, as if a pair weighed as much there.
    """
    weights = 0.5 * sizes * (sizes - 1.0)
    if len(means) > 1:
        centre = float(weights @ means) / float(weights.sum())
        spread = float(np.sum((weights * (means - centre)) ** 2)) * len(means) / (len(means) - 1.0)
        return spread, len(means) - 1.0
    if not len(large):
        return np.inf, 1.0
    per_sample = variance / float(np.sum(large * (large - 1.0) ** 2))
    return per_sample * float(np.sum(sizes * (sizes - 1.0) ** 2)) * 2.0, np.inf


def _different_class(data: _Data, pairs: _Pairs) -> SideEstimate:
    sizes = data.sizes.astype(np.float64)
    others = len(data.codes) - sizes
    shift_total, old_total = data.shift_sums.sum(axis=0), data.old_sums.sum(axis=0)
    num_pairs = _pair_counts(data.sizes)[1]
    within = float(np.einsum("kd,kd->", data.shift_sums, data.old_sums))
    gap = -2.0 * (float(shift_total @ old_total) - within) / num_pairs
    contributions = -(
        np.einsum("nd,nd->n", data.shift, (old_total - data.old_sums)[data.codes])
        + np.einsum("nd,nd->n", data.old, (shift_total - data.shift_sums)[data.codes])
    )
    contributions -= (data.per_class(contributions) / sizes)[data.codes]
    first = data.per_class(contributions**2) * sizes / np.maximum(sizes - 1.0, 1.0)

    # a class of one sample has no spread of its own: it borrows a sample's of the others, a pair weighing the same
    large = data.sizes > 1
    pooled = float(first[large].sum()) / float(np.sum(sizes[large] * others[large] ** 2))
    first = np.where(large, first, sizes * others**2 * pooled)
    # Σ first counts the second-order part twice, once from each end of a pair
    second_order = 0.5 * num_pairs * pairs.different_square
    variance = max(float(first.sum()) - second_order, second_order)
    freedom = _freedom(data, contributions, first[large], (sizes * others**2)[large], large)
    return SideEstimate(gap, 2.0 * np.sqrt(variance) / num_pairs, freedom, num_pairs, *pairs.different_fraction)


def _freedom(data: _Data, contributions: ndarray, estimated: ndarray, design: ndarray, classes: ndarray) -> float:
    """Degrees of freedom of a variance summed over ``classes``: the least of three ways to count them.

    As the classes' shares of the variance are estimated, as the design alone has them, and as the observed fourth
    moments have them. Each fails somewhere, always by being too large.
    """
    if not len(estimated):
        return 1.0
    n = data.sizes[classes]
    counts = (
        _satterthwaite(estimated, n),
        _satterthwaite(design, n),
        _kurtosis_freedom(data, contributions, classes),
    )
    return max(1.0, min(counts))


def _satterthwaite(parts: ndarray, sizes: ndarray) -> float:
    """Degrees of freedom of a sum of independent variance estimates, each of ``size − 1``."""
    spread = float(np.sum(parts**2 / (sizes - 1.0)))
    return float(np.sum(parts)) ** 2 / spread if spread > 0 else np.inf


def _kurtosis_freedom(data: _Data, contributions: Float[ndarray, " n"], classes: ndarray) -> float:
    """Degrees of freedom as the observed fourth moments have them: heavy tails make a variance less certain."""
    squares = contributions**2
    centred = squares - (data.per_class(squares) / data.sizes)[data.codes]
    used = classes[data.codes]
    spread = float(np.sum(centred[used] ** 2))
    return 2.0 * float(np.sum(squares[used])) ** 2 / spread if spread > 0 else np.inf

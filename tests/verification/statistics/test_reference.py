"""Gaps, standard errors and degrees of freedom against plain loops over pairs, rows and units."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any

import numpy as np
import pytest

from theory.metrics import PowerDistance
from verification.statistics import pairwise
from verification.statistics.gaps import SideEstimate, estimate
from verification.statistics.linear import LeftOut, LinearPairs
from verification.statistics.pairwise import look_at_all_pairs
from verification.statistics.rows import Rows
from verification.statistics.variance import (
    LEAST_UNITS,
    SameClass,
    between_parts,
    summed_error,
)
from verification.statistics.weights import WEIGHTINGS, Weights

# some hundred terms of order one, and differences of variances
CLOSE: dict[str, Any] = {"rel": 1e-9, "abs": 1e-13}
# a class by the sizes of its units; [] is a class that only the others have
ALONE = [[1] * 6, [1] * 5, [1] * 4, [1] * 3, [1] * 2, [1] * 2, [1], []]
GROUPED = [[1, 2, 3, 1, 2], [2, 2, 2, 1], [1, 1, 2], [3, 1], [2], [2, 2, 1, 1, 1], [], [1, 1]]
LARGE = [[1] * 7, [1] * 5, [1] * 6]
ITEMS = [[1] * 3, [1] * 4, [1], [1] * 2, [1] * 5, [], [1] * 2, [1] * 3]
GROUPED_ITEMS = [[2, 1, 1], [1, 3], [1, 1, 1], [2], [1], [1, 1, 2, 2], [1, 1], []]


def rows_of(design: list[list[int]], models: int, rng: np.random.Generator, grouped: bool) -> Rows:
    """Unit rows about an axis of each class; units that begin at 100 c for class c."""
    sizes = np.array([sum(units) for units in design])
    codes = np.repeat(np.arange(len(design)), sizes)
    units = np.array([100 * c + u for c, own in enumerate(design) for u, size in enumerate(own) for _ in range(size)])
    axes = np.random.default_rng(5).standard_normal((len(design), 4))
    shared = 0.5 * np.random.default_rng(6).standard_normal((100 * len(design), 4))
    found = axes[codes] + shared[units] + 0.5 * rng.standard_normal((models, len(codes), 4))
    # within a class, units lie as they come
    found /= np.linalg.norm(found, axis=2, keepdims=True)
    return Rows(models=found, codes=codes, sizes=sizes, index=np.arange(len(codes)), units=units if grouped else None)


@dataclass
class Role:
    """What the rows of one role contribute to a mean: for each class the sums of its units, taken from the mean."""

    contributions: list[list[float]]
    means: list[float]
    rows: list[int]
    units: list[float]
    design: list[float]

    def squares(self, c: int) -> list[float]:
        count = len(self.contributions[c])
        return [
            (each / self.rows[c]) ** 2 * (count / (count - 1) if count > 1 else 1.0) for each in self.contributions[c]
        ]

    def variance(self, c: int) -> float:
        return sum(self.squares(c))

    def scaled(self, weights: np.ndarray) -> Role:
        sums = [[w * each for each in own] for w, own in zip(weights, self.contributions, strict=True)]
        means = [w * mean for w, mean in zip(weights, self.means, strict=True)]
        design = [d * w**2 for d, w in zip(self.design, weights, strict=True)]
        return replace(self, contributions=sums, means=means, design=design)

    def plus(self, other: Role) -> Role:
        both = zip(self.contributions, other.contributions, strict=True)
        sums = [[a + b for a, b in zip(one, two, strict=True)] for one, two in both]
        means, design = (
            [a + b for a, b in zip(one, two, strict=True)]
            for one, two in ((self.means, other.means), (self.design, other.design))
        )
        return replace(self, contributions=sums, means=means, design=design)


def role(rows: Rows, values: np.ndarray, pull: np.ndarray, counted: np.ndarray, weight: np.ndarray) -> Role:
    """From what each row contributes, and what the sizes of units add."""
    units = np.arange(len(rows.codes)) if rows.units is None else rows.units
    sums, means, effective = [], [], []
    for c in range(len(rows.sizes)):
        here = rows.codes == c
        names = np.unique(units[here])
        mean = values[here].mean() if np.any(here) else 0.0
        means.append(float(mean))
        own = [float(np.sum(values[here & (units == name)] - mean)) for name in names]
        added = [pull[c] * float(np.sum(counted[here & (units == name)])) for name in names]
        sums.append([a + b - sum(added) / len(names) for a, b in zip(own, added, strict=True)])
        shares = [np.sum(units[here] == name) / np.sum(here) for name in names]
        effective.append(1.0 / sum(share**2 for share in shares) if len(names) else 0.0)
    design = [w / max(units, 1.0) for w, units in zip(weight, effective, strict=True)]
    return Role(sums, means, [max(int(size), 1) for size in rows.sizes], effective, design)


def welch(variances: list[float], freedom: list[float]) -> float:
    spread = sum(v**2 / f for v, f in zip(variances, freedom, strict=True))
    return sum(variances) ** 2 / spread if spread > 0.0 else math.inf


def count_freedom(roles: list[Role], used: list[list[int]]) -> float:
    """The least of the three counts."""
    pairs = [(one, c) for one, classes in zip(roles, used, strict=True) for c in classes]
    freedom = [one.units[c] - 1.0 for one, c in pairs]
    squares = [one.squares(c) for one, c in pairs]
    fourth = sum(sum((s - sum(own) / len(own)) ** 2 for s in own) for own in squares)
    by_kurtosis = 2.0 * sum(map(sum, squares)) ** 2 / fourth if fourth > 0.0 else math.inf
    estimated = welch([sum(own) for own in squares], freedom)
    return max(1.0, min(estimated, welch([one.design[c] for one, c in pairs], freedom), by_kurtosis))


def sum_errors(roles: list[Role]) -> tuple[float, float]:
    """Of 1b, and of the contrast; a class of one unit borrows the variance of the others."""
    total, told, used = 0.0, [], []
    lone, lone_freedom = 0.0, math.inf
    for one in roles:
        there = [c for c, design in enumerate(one.design) if design > 0.0]
        several = [c for c in there if len(one.contributions[c]) > 1]
        if len(several) == 1 and len(there) > 1:
            return math.inf, 1.0
        if several:
            pooled = sum(one.variance(c) for c in several) / sum(one.design[c] for c in several)
            total += sum(one.variance(c) if c in several else pooled * one.design[c] for c in there)
            told.append(one)
            used.append(several)
            continue
        # one unit of every class: the spread between classes, each by the share that it has
        if len(there) < 2:
            return math.inf, 1.0
        shares = [math.sqrt(one.design[c]) for c in there]
        each = sum(one.means[c] for c in there) / sum(shares)
        squares = [(one.means[c] - share * each) ** 2 for c, share in zip(there, shares, strict=True)]
        lone += sum(squares) * len(there) / (len(there) - 1)
        lone_freedom = min(lone_freedom, len(there) - 1.0)
    if not told:
        return math.sqrt(lone), lone_freedom
    freedom = count_freedom(told, used)
    if lone > 0.0:
        freedom = (total + lone) ** 2 / (total**2 / freedom + lone**2 / lone_freedom)
    return math.sqrt(total + lone), freedom


class Plain:
    """Both sides of Definition 1 by their definitions."""

    def __init__(self, rows: Rows, gallery: Rows | None, metric: str = "sqeuclidean") -> None:
        self.rows, self.gallery = rows, gallery
        self.items = items = gallery or rows
        power = 1.0 if metric == "sqeuclidean" else 0.5
        (new, old), theirs = rows.models, items.old
        before, after = (np.sum((some[:, None] - theirs) ** 2, axis=2) ** power for some in (old, new))
        self.t = before - after
        same = rows.codes[:, None] == items.codes
        apart = np.eye(len(rows.codes), dtype=bool) if gallery is None else np.zeros(same.shape, dtype=bool)
        if rows.units is not None and items.units is not None:
            apart = rows.units[:, None] == items.units
        self.meet, self.different = same & ~apart, ~same
        self.num = len(rows.sizes)
        self.roles = [rows] if gallery is None else [rows, gallery]
        # of one set each pair is looked at both ways, of two each way by itself
        self.kernels = [0.5 * (self.t + self.t.T)] if gallery is None else [self.t, self.t.T]
        self.meets = [self.meet] if gallery is None else [self.meet, self.meet.T]

    def same_mean(self, c: int) -> float:
        own = self.meet & (self.rows.codes == c)[:, None]
        return float(self.t[own].mean()) if np.any(own) else 0.0

    @cached_property
    def same_means(self) -> np.ndarray:
        return np.array([self.same_mean(c) for c in range(self.num)])

    def weights(self, weighting: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of each class in 1a, and the two factors of each pair of classes in 1b."""
        n, m = (np.array([np.sum(one.codes == c) for c in range(self.num)], float) for one in (self.rows, self.items))
        pairs = np.array([np.sum(self.meet[self.rows.codes == c]) for c in range(self.num)], float)
        if weighting == "classes":
            n, m, pairs = np.sign(n), np.sign(m), np.sign(pairs)
        total = sum(n[y] * m[z] for y in range(self.num) for z in range(self.num) if y != z)
        return pairs / max(pairs.sum(), 1.0), n / total, m

    def pair_of_classes(self, y: int, z: int) -> float:
        block = self.t[np.ix_(self.rows.codes == y, self.items.codes == z)]
        return float(block.mean()) if block.size else 0.0

    def between(self, weighting: str) -> float:
        _, query, gallery = self.weights(weighting)
        both = itertools.permutations(range(self.num), 2)
        return sum(query[y] * gallery[z] * self.pair_of_classes(y, z) for y, z in both)

    @cache  # noqa: B019 - of a few small sets
    def same_roles(self, weighting: str) -> list[Role]:
        grouped, means = self.rows.units is not None, self.same_means
        weights, found = self.weights(weighting)[0], []
        ends = 2.0 if self.gallery is None else 1.0
        for rows, kernel, meet in zip(self.roles, self.kernels, self.meets, strict=True):
            met = meet.sum(axis=1).astype(float)
            own = np.where(meet, kernel, 0.0).sum(axis=1) / np.maximum(met, 1.0)
            values = ends * (own - means[rows.codes])
            share, units = np.ones(len(met)), np.zeros(self.num)
            for c in range(self.num):
                here = rows.codes == c
                if grouped and np.any(met[here]):
                    share[here] = met[here] / met[here].mean()
                names = np.arange(len(met)) if rows.units is None else rows.units
                counts = np.unique(names[here], return_counts=True)[1]
                units[c] = counts.sum() ** 2 / np.sum(counts**2) if len(counts) else 0.0
            if grouped:
                share[met == 0] = 0.0
            values = values * share
            if self.gallery is None:
                stretch = [(u - 1.0) / (u - 2.0) if u > LEAST_UNITS else 1.0 for u in units]
                values = values * np.array(stretch)[rows.codes]
            pull = ends * (means - weights @ means) if weighting == "pairs" and grouped else np.zeros(self.num)
            found.append(role(rows, values, pull, share, np.full(self.num, ends**2)))
        return found

    @cache  # noqa: B019 - of a few small sets
    def between_roles(self, weighting: str) -> list[Role]:
        _, query, gallery = self.weights(weighting)
        values, weight = [], []
        for mine, theirs, codes, others, t in (
            (query, gallery, self.rows.codes, self.items.codes, self.t),
            (gallery, query, self.items.codes, self.rows.codes, self.t.T),
        ):
            none = np.zeros(len(codes))
            of_class = [t[:, others == z].mean(axis=1) if np.any(others == z) else none for z in range(self.num)]
            values.append(
                np.array(
                    [
                        mine[y] * sum(theirs[z] * of_class[z][i] for z in range(self.num) if z != y)
                        for i, y in enumerate(codes)
                    ]
                )
            )
            weight.append(
                np.array([mine[y] * sum(theirs[z] for z in range(self.num) if z != y) for y in range(self.num)])
            )
        if self.gallery is None:
            values, weight = [values[0] + values[1]], [weight[0] + weight[1]]
        found = []
        for rows, some, w in zip(self.roles, values, weight, strict=True):
            means = np.array(
                [some[rows.codes == c].mean() if np.any(rows.codes == c) else 0.0 for c in range(self.num)]
            )
            by_size = weighting == "pairs" and rows.units is not None
            pull = means - w * means.sum() / w.sum() if by_size else np.zeros(self.num)
            found.append(role(rows, some, pull, np.ones(len(some)), w**2))
        return found

    @cache  # noqa: B019 - of a few small sets
    def orders(self) -> tuple[np.ndarray, np.ndarray]:
        """Both parts of the variance of each class's 1a; NaN where a class cannot tell."""
        first, second = np.full((2, self.num), math.nan)
        roles = self.same_roles("classes")
        for c in range(self.num):
            counts = [len(one.contributions[c]) for one in roles]
            if self.rows.units is not None:
                total = sum(one.variance(c) for one in roles)
                if self.gallery is not None and min(counts) > 1:
                    first[c], second[c] = total, 0.0
                elif self.gallery is None and roles[0].units[c] > LEAST_UNITS:
                    units = roles[0].units[c]
                    told = self.spread_of_units(c) if counts[0] >= 4 else 0.0
                    second[c] = 2.0 * told / (units * (units - 1.0))
                    first[c] = total - second[c] * 2.0 * (units - 1.0) / (units - 2.0)
            elif min(counts) >= (4 if self.gallery is None else 2):
                first[c], second[c] = self.hoeffding(c)
        return first, second

    def hoeffding(self, c: int) -> tuple[float, float]:
        """Both parts from means of products of pairs that share a sample and of pairs that do not: unbiased."""
        n, m = np.flatnonzero(self.rows.codes == c), np.flatnonzero(self.items.codes == c)
        if self.gallery is None:
            h, size = self.kernels[0], len(n)
            i, j, k, m = np.array(list(itertools.permutations(n, 4))).T
            apart = np.mean(h[i, j] * h[k, m])
            shared = np.mean(h[i, j] * h[i, k]) - apart
            whole = np.mean(h[i, j] ** 2) - apart
            return 4.0 * shared / size, 2.0 * (whole - 2.0 * shared) / (size * (size - 1))
        t = self.t
        queries, items = list(itertools.permutations(n, 2)), list(itertools.permutations(m, 2))
        apart = np.mean([t[i, j] * t[k, z] for i, k in queries for j, z in items])
        of_query = np.mean([t[i, j] * t[i, k] for i in n for j, k in items]) - apart
        of_item = np.mean([t[i, j] * t[k, j] for i, k in queries for j in m]) - apart
        whole = np.mean([t[i, j] ** 2 for i in n for j in m]) - apart
        only = whole - of_query - of_item
        # the parts of the rows, less what they hold of pairs: never below zero
        return of_query / len(n) + of_item / len(m), only / (len(n) * len(m))

    def spread_of_units(self, c: int) -> float:
        """Residual variance of the means over two units about effects of both, by least squares."""
        assert self.rows.units is not None
        names = np.unique(self.rows.units[self.rows.codes == c])
        pairs = list(itertools.combinations(range(len(names)), 2))
        means = [
            self.kernels[0][np.ix_(self.rows.units == names[a], self.rows.units == names[b])].mean() for a, b in pairs
        ]
        design = np.array([[1.0, *((place in pair) for place in range(len(names)))] for pair in pairs], dtype=float)
        left = means - design @ np.linalg.lstsq(design, np.array(means), rcond=None)[0]
        return float(left @ left) / (len(pairs) - len(names))

    def same_error(self, weighting: str) -> tuple[float, float, float]:
        """Standard error, degrees of freedom and second-order part of 1a."""
        weights, means = self.weights(weighting)[0], self.same_means
        first, second = self.orders()
        plain, sized = self.same_roles("classes"), self.same_roles(weighting)
        used = [c for c in range(self.num) if weights[c] > 0.0]
        large = [c for c in used if math.isfinite(first[c])]
        small = [c for c in used if c not in large]
        more = [sum(a.variance(c) - b.variance(c) for a, b in zip(sized, plain, strict=True)) for c in range(self.num)]
        pairs = float(sum(weights[c] ** 2 * second[c] for c in large))
        variance = max(sum(weights[c] ** 2 * (first[c] + more[c]) for c in large) + pairs, pairs, 0.0)
        freedom = count_freedom([one.scaled(weights) for one in sized], [large] * len(sized)) if large else 1.0
        if small:
            design = [weights[c] ** 2 * sum(one.design[c] for one in plain) for c in range(self.num)]
            borrowed = math.inf if len(small) == 1 else 0.0
            if large:
                borrowed = variance * sum(design[c] for c in small) / sum(design[c] for c in large)
            other, own = 2.0 * borrowed, 1.0
            if len(small) > 1:
                mean = sum(weights[c] * means[c] for c in small) / sum(weights[c] for c in small)
                spread = sum((weights[c] * (means[c] - mean)) ** 2 for c in small)
                other, own = max(spread * len(small) / (len(small) - 1), borrowed), len(small) - 1.0
            if math.isfinite(other):
                freedom = (variance + other) ** 2 / (variance**2 / freedom + other**2 / own)
            variance += other
        return math.sqrt(variance), freedom, max(pairs, 0.0)

    def contrast(self, weighting: str) -> tuple[float, float]:
        """Standard error and degrees of freedom of the sum of both sides."""
        weights = self.weights(weighting)[0]
        first, second = self.orders()
        sides = self.same_error(weighting)[:2], sum_errors(self.between_roles(weighting))
        if any(math.isnan(first[c]) for c in range(self.num) if weights[c] > 0.0):
            return sides[0][0] + sides[1][0], min(sides[0][1], sides[1][1])
        both = zip(self.same_roles(weighting), self.between_roles(weighting), strict=True)
        roles = [one.scaled(weights).plus(other.scaled(np.full(self.num, -1.0))) for one, other in both]
        error, freedom = sum_errors(roles)
        if self.gallery is None:
            units = roles[0].units
            pairs = [weights[c] ** 2 * second[c] if weights[c] else 0.0 for c in range(self.num)]
            more = sum(2.0 * pairs[c] / (units[c] - 2.0) for c in range(self.num) if weights[c])
            error = math.sqrt(max(error**2 - more, sum(pairs), 0.0))
        return error, freedom


def left_out(plain: Plain) -> LeftOut | None:
    """Pairs of one class that never meet, by loops."""
    rows, items = plain.rows, plain.items
    if rows.units is None:
        return None
    found = np.zeros((3, plain.num))
    for i, j in np.argwhere(~plain.meet & ~plain.different):
        (new, old), item = rows.models[:, i], items.old[j]
        found[:, rows.codes[i]] += 1.0, (new - old) @ item, old @ item
    return LeftOut(pairs=found[0], products=found[1], old_products=found[2])


def from_sums(plain: Plain, **options: Any) -> LinearPairs:
    gallery = plain.gallery
    return LinearPairs(
        rows=plain.rows,
        gallery=gallery,
        sums=plain.rows.sums,
        gallery_sums=None if gallery is None else gallery.sums,
        seed=0,
        left_out=left_out(plain),
        **options,
    )


# queries, items of a gallery, and whether there are groups of either
DESIGNS: dict[str, tuple[list[list[int]], list[list[int]] | None, bool, bool]] = {
    "samples": (ALONE, None, False, False),
    "large classes": (LARGE, None, False, False),
    "groups": (GROUPED, None, True, True),
    "large groups": ([GROUPED[0], GROUPED[5], [1, 2, 1, 1, 2]], None, True, True),
    "gallery": (ALONE, ITEMS, False, False),
    "large gallery": (LARGE, [[1] * 3, [1] * 6, [1] * 4], False, False),
    "groups of a gallery": (GROUPED, GROUPED_ITEMS, True, True),
    "large groups of a gallery": ([[2, 1, 1, 2], [1, 1, 3]], [[2, 1, 3], [1, 1, 2, 2]], True, True),
    "groups of queries": (GROUPED, ITEMS, True, False),
    "one small class": ([[1] * 5, [1] * 6, [1] * 3], None, False, False),
    "small classes": ([[1] * 2, [1] * 3, [1] * 3, [1] * 2], None, False, False),
    "one large class": ([[1] * 6, [1]], None, False, False),
    "two large classes": ([[1] * 5, [1] * 4, [1]], None, False, False),
    "single rows": ([[1]] * 4, None, False, False),
    "single queries": ([[1]] * 5, [[1] * 3, [1] * 4, [1] * 2, [1] * 3, []], False, False),
    "single queries and items": ([[1]] * 4 + [[]], [[1]] * 5, False, False),
    "single items": ([[1] * 3, [1] * 4, [], [1]], [[], [1], [1], [1]], False, False),
    "queries of one class": ([[1] * 5, [], []], [[1] * 3, [1] * 3, [1] * 2], False, False),
    "one query": ([[1], [], []], [[1] * 3, [1] * 3, [1] * 2], False, False),
}


def plain_of(name: str, metric: str = "sqeuclidean", seed: int = 0) -> Plain:
    queries, items, *grouped = DESIGNS[name]
    rng = np.random.default_rng(seed)
    rows = rows_of(queries, 2, rng, grouped[0])
    return Plain(rows, None if items is None else rows_of(items, 1, rng, grouped[1]), metric)


def check_side(found: SideEstimate, value: float, error: float, freedom: float) -> None:
    assert found.fixed.value == pytest.approx(value, **CLOSE)
    assert found.fixed.standard_error == pytest.approx(error, **CLOSE)
    assert found.fixed.freedom == pytest.approx(freedom, **CLOSE)


@pytest.mark.parametrize(
    ("name", "metric", "seed"),
    [
        *((name, "sqeuclidean", 0) for name in DESIGNS),
        *((name, "euclidean", 1) for name in ("samples", "groups", "gallery", "large groups of a gallery")),
    ],
)
def test_both_sides_and_the_contrast(name, metric, seed):
    check_both_sides(plain_of(name, metric, seed), metric)


@pytest.mark.parametrize("name", ["large classes", "large groups", "large gallery"])
def test_where_only_pairs_show_anything(name):
    """Rows without classes: what a sample contributes by itself is estimated as less than nothing, now and then."""
    queries, items, *grouped = DESIGNS[name]
    below = []
    for seed in range(2):
        rng = np.random.default_rng(seed)
        sides = [rows_of(queries, 2, rng, grouped[0]), None if items is None else rows_of(items, 1, rng, grouped[1])]
        for rows in sides:
            if rows is not None:
                rows.models[:] = rng.standard_normal(rows.models.shape)
                rows.models[:] /= np.linalg.norm(rows.models, axis=2, keepdims=True)
        assert sides[0] is not None
        plain = Plain(sides[0], sides[1])
        error, _, second = plain.same_error("pairs")
        below.append(0.0 < error**2 <= second * (1.0 + 1e-12))
        check_both_sides(plain, "sqeuclidean")
    assert any(below) or "groups" in name


def test_identical_models_have_no_error_and_all_pairs_satisfy_both_sides():
    rows = rows_of(LARGE, 2, np.random.default_rng(0), False)
    rows.models[0] = rows.models[1]
    for found in estimate(look_at_all_pairs("sqeuclidean", rows))[0].values():
        for side in found.sides:
            assert (side.fixed.value, side.fixed.standard_error, side.pair_fraction) == (0.0, 0.0, 1.0)
        assert (found.contrast.value, found.contrast.standard_error) == (0.0, 0.0)


def check_both_sides(plain: Plain, metric: str) -> None:
    source = look_at_all_pairs(metric, plain.rows, plain.gallery)
    gaps, by_class = estimate(source)
    first, second = plain.orders()
    same = SameClass.of(source)
    np.testing.assert_allclose(same.means, plain.same_means, atol=1e-13)
    np.testing.assert_allclose(same.first, first, rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(same.second, second, rtol=1e-9, atol=1e-14)
    for weighting in WEIGHTINGS:
        found = gaps[weighting]
        weights = plain.weights(weighting)[0]
        error, freedom, pairs = plain.same_error(weighting)
        value = float(weights @ plain.same_means)
        check_side(found.same_class, value, error, freedom)
        assert found.same_class.fixed.second_order == pytest.approx(pairs, **CLOSE)
        error, freedom = sum_errors(plain.between_roles(weighting))
        other = -plain.between(weighting)
        check_side(found.different_class, other, error, freedom)
        error, freedom = plain.contrast(weighting)
        assert found.contrast.value == pytest.approx(value + other, **CLOSE)
        assert found.contrast.standard_error == pytest.approx(error, **CLOSE)
        assert found.contrast.freedom == pytest.approx(freedom, **CLOSE)
    within, between = plain.t[plain.meet], plain.t[plain.different]
    same_class, different = gaps["pairs"].sides
    assert (same_class.num_pairs, different.num_pairs) == (len(within), len(between))
    assert (same_class.pair_fraction, same_class.pair_fraction_error) == (
        float(np.mean(within >= 0.0)) if len(within) else 0.0,
        0.0,
    )
    assert (different.pair_fraction, different.pair_fraction_error) == (np.mean(between <= 0.0), 0.0)
    # for new classes: of means over classes and over pairs of classes, one class left out at a time
    some = np.flatnonzero(source.same_pairs() > 0)
    if len(some) > 2:
        block = np.array([[plain.pair_of_classes(y, z) for z in some] for y in some])
        block[np.diag_indices_from(block)] = plain.same_means[some]
        off = ~np.eye(len(some), dtype=bool)
        left = [np.delete(np.delete(block, one, 0), one, 1) for one in range(len(some))]
        means = np.array([[np.diag(b).mean(), -b[off[1:, 1:]].mean()] for b in left])
        means = np.column_stack([means, means.sum(axis=1)])
        errors = np.sqrt((len(some) - 1) / len(some) * np.sum((means - means.mean(axis=0)) ** 2, axis=0))
        values = np.diag(block).mean(), -block[off].mean()
        drawn = same_class.drawn, different.drawn, gaps["pairs"].contrast_drawn
        np.testing.assert_allclose([one.value for one in drawn], [*values, sum(values)], atol=1e-13)
        np.testing.assert_allclose([one.standard_error for one in drawn], errors, rtol=1e-9, atol=1e-13)
        assert {one.freedom for one in drawn} == {len(some) - 1.0}
    # each class on its own
    variance = np.maximum(np.maximum(first + second, second), 0.0)
    design = np.sum([one.design for one in plain.same_roles("classes")], axis=0)
    told = np.isfinite(variance)
    if np.any(told):
        variance = np.maximum(variance, design * np.mean(variance[told] / design[told]))
    error = np.sqrt(np.where(told, variance, np.inf))
    np.testing.assert_allclose(by_class.standard_error, error, rtol=1e-9)
    freedom = np.min([one.units for one in plain.same_roles("classes")], axis=0) - 1.0
    np.testing.assert_allclose(by_class.degrees_of_freedom, np.maximum(freedom, 1.0), rtol=1e-12)


@pytest.mark.parametrize("name", ["samples", "groups", "gallery", "groups of a gallery", "groups of queries"])
@pytest.mark.parametrize("way", ["tiles", "tiles of another distance", "sums"])
def test_what_is_known_of_pairs(name, way, monkeypatch):
    """Every statistic of t by itself, from one tile of all pairs, from many, and from sums."""
    if way != "sums":
        monkeypatch.setattr(pairwise, "TILE", 5)
        monkeypatch.setattr(pairwise, "HELD", 3)
    metric = "euclidean" if way == "tiles of another distance" else "sqeuclidean"
    plain = plain_of(name, metric)
    t, num = plain.t, plain.num
    rows, items, paired = plain.rows, plain.items, plain.gallery is None
    source = from_sums(plain) if way == "sums" else look_at_all_pairs(metric, rows, plain.gallery)
    n, m = np.bincount(rows.codes, minlength=num), np.bincount(items.codes, minlength=num)
    means = np.array([[plain.pair_of_classes(y, z) for z in range(num)] for y in range(num)])
    off = ~np.eye(num, dtype=bool)
    close: dict[str, Any] = {"rtol": 1e-10, "atol": 1e-13}
    np.testing.assert_allclose(source.pair_means(slice(2, 7))[off[2:7]], means[2:7][off[2:7]], **close)
    np.testing.assert_allclose(source.same_means(), plain.same_means, **close)
    np.testing.assert_array_equal(source.same_pairs(), [plain.meet[rows.codes == c].sum() for c in range(num)])
    met = [meet.sum(axis=1) for meet in plain.meets]
    for found, expected in zip(source.met(), met, strict=True):
        np.testing.assert_array_equal(found, expected)
    for found, kernel, meet, number in zip(source.own(), plain.kernels, plain.meets, met, strict=True):
        expected = np.where(meet, kernel, 0.0).sum(axis=1) / np.maximum(number, 1)
        np.testing.assert_allclose(found[number > 0], expected[number > 0], **close)
    # class by class, once each
    for some in (np.array([0, 1, 3, 4]), np.array([1, 2]), np.array([3])):
        forward, backward = source.class_means_between(some)
        block = np.where(np.eye(len(some), dtype=bool), 0.0, means[np.ix_(some, some)])
        np.testing.assert_allclose(forward, block.sum(axis=1) / max(len(some) - 1, 1), **close)
        np.testing.assert_allclose(backward, block.sum(axis=0) / max(len(some) - 1, 1), **close)
    if paired and rows.units is not None:
        found, expected = LeftOut.of(rows), left_out(plain)
        assert expected is not None
        np.testing.assert_array_equal(found.pairs, expected.pairs)
        np.testing.assert_allclose(found.products, expected.products, **close)
        np.testing.assert_allclose(found.old_products, expected.old_products, **close)
        np.testing.assert_array_equal(found.without_new().products, -found.old_products)
    for weighting in WEIGHTINGS:
        same, query, gallery = plain.weights(weighting)
        weights = Weights.of(weighting, n, None if paired else m, source.same_pairs())
        np.testing.assert_allclose(weights.same, same, rtol=1e-12)
        np.testing.assert_allclose(np.outer(weights.query, weights.gallery), np.outer(query, gallery), rtol=1e-12)
        assert source.between(weights) == pytest.approx(plain.between(weighting), **CLOSE)
        error = summed_error(between_parts(source, weights))
        assert error == pytest.approx(sum_errors(plain.between_roles(weighting)), **CLOSE)
        # what only pairs show, by classes of several rows; those of one borrow it
        design, told, spread = np.zeros((3, num, num))
        for y, z in itertools.permutations(range(num), 2):
            here = t[np.ix_(rows.codes == y, items.codes == z)]
            if paired and here.size:
                here = 0.5 * (here + t[np.ix_(rows.codes == z, rows.codes == y)].T)
            if here.size:
                design[y, z] = (query[y] * gallery[z]) ** 2 / here.size
            if min(here.shape) > 1:
                left = here - here.mean(axis=1)[:, None] - here.mean(axis=0) + here.mean()
                told[y, z], spread[y, z] = design[y, z], np.sum(left**2) / ((n[y] - 1) * (m[z] - 1))
        expected = (2.0 if paired else 1.0) * np.sum(told * spread) / told.sum()
        if way == "sums":  # only classes of several rows are drawn, and pairs as they weigh
            found = replace(source, num_pairs=2**15).between_spread(weights)
            every = np.outer(*weights.pair_factors(n, m))[off].sum()
            # 2^15 pairs with replacement
            assert found == pytest.approx(expected * every, rel=0.05)
        else:
            assert source.between_spread(weights) == pytest.approx(expected * design.sum(), **CLOSE)
        np.testing.assert_allclose(weights.pair_design(n, m), design, rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("name", ["large classes", "large gallery", "large groups", "large groups of a gallery"])
def test_spreads_and_shares_from_sampled_pairs_are_those_of_all(name):
    """Twenty-five thousand pairs with replacement: shares to 0.01, second moments to some per cent."""
    plain = plain_of(name)
    sums = from_sums(plain, num_pairs=2**15)
    whole = look_at_all_pairs("sqeuclidean", plain.rows, plain.gallery)
    if "groups" not in name:
        np.testing.assert_allclose(sums.same_spread(), whole.same_spread(), rtol=0.06)
    (share, error), (other, other_error) = sums.fractions()
    (expected, _), (other_expected, _) = whole.fractions()
    assert 0.05 < min(expected, other_expected) < max(expected, other_expected) < 0.95
    assert (share, other) == pytest.approx((expected, other_expected), abs=0.012)
    each = 2**15 // plain.num
    within = plain.weights("pairs")[0]
    hits = np.array([np.mean(plain.t[plain.meet & (plain.rows.codes == c)[:, None]] >= 0.0) for c in range(plain.num)])
    # pairs that never meet are drawn too, and dropped
    kept = np.array([plain.meet[plain.rows.codes == c].sum() for c in range(plain.num)])
    drawn = (plain.rows.sizes * (plain.items.sizes - (plain.gallery is None))).astype(float)
    assert error == pytest.approx(math.sqrt(np.sum(within**2 * hits * (1 - hits) / (each * kept / drawn))), rel=0.06)
    chances = plain.rows.sizes / plain.rows.sizes.sum(), plain.items.sizes / plain.items.sizes.sum()
    looked = 2**15 * (1.0 - chances[0] @ chances[1])
    assert other_error == pytest.approx(math.sqrt(other * (1 - other) / looked), rel=0.02)
    # a tolerance counts what violates by no more
    loose = from_sums(plain, num_pairs=2**12, rounding=10.0)
    assert loose.fractions() == ((1.0, 0.0), (1.0, 0.0))


def test_kept_rows_stand_for_all_of_their_class():
    """Means are of all rows, and variances of the kept ones are divided by how many there are."""
    rng = np.random.default_rng(1)
    whole = rows_of([[1] * 30, [1] * 20, [1] * 12], 2, rng, False)
    kept = whole.some(np.concatenate([np.arange(0, 9), np.arange(30, 37), np.arange(50, 56)]))
    source = LinearPairs(rows=kept, gallery=None, sums=whole.sums, gallery_sums=None, seed=0)
    np.testing.assert_array_equal(source.sizes, [30, 20, 12])
    np.testing.assert_allclose(source.same_means(), Plain(whole, None).same_means, rtol=1e-11)
    weights = Weights.of("pairs", whole.sizes)
    (part,) = between_parts(source, weights)
    error, _ = summed_error([part])
    expected = 0.0
    for c, size in enumerate(whole.sizes):
        values = source.others(weights)[0][kept.codes == c]
        expected += values.var(ddof=1) / size
    assert error == pytest.approx(math.sqrt(expected), rel=1e-12)
    np.testing.assert_allclose(
        part.design, (2.0 * weights.query * (weights.gallery.sum() - weights.gallery)) ** 2 / whole.sizes
    )


def test_a_multiple_of_the_squared_distance_is_that_multiple():
    rng = np.random.default_rng(0)
    new, old, items = rng.standard_normal((3, 5, 4))
    metric = PowerDistance(1.0, 3.0)
    rows = [each / np.linalg.norm(each, axis=1, keepdims=True) for each in (new, old, items)]
    expected = [
        [3.0 * (np.sum((v - g) ** 2) - np.sum((u - g) ** 2)) for g in rows[2]] for u, v in zip(*rows[:2], strict=True)
    ]
    np.testing.assert_allclose(pairwise.shrinkage(metric, *rows), expected, atol=1e-12)


def test_how_many_pairs_of_a_class_are_drawn():
    plain = plain_of("large classes")
    for num_pairs, each in ((600, 200), (60, 64), (6, 8), (1, 2)):
        classes, query, item = from_sums(plain, num_pairs=num_pairs)._same_pairs(np.random.default_rng(0))
        np.testing.assert_array_equal(np.bincount(classes), [each] * 3)
        np.testing.assert_array_equal(plain.rows.codes[query], classes)
        np.testing.assert_array_equal(plain.rows.codes[item], classes)
        assert np.all(query != item)
    # a class of one query has pairs with items of a gallery
    classes, _, _ = from_sums(plain_of("gallery"))._same_pairs(np.random.default_rng(0))
    np.testing.assert_array_equal(np.unique(classes), [0, 1, 2, 3, 4, 6])
    classes, _, _ = from_sums(plain_of("samples"))._same_pairs(np.random.default_rng(0))
    np.testing.assert_array_equal(np.unique(classes), [0, 1, 2, 3, 4, 5])

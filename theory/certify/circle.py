r"""Searches between arcs on the circle in ball arithmetic: recall@1 and wrong items above the best right one, exactly.

For a query at the angle φ, the share R_j(x) of class j's arc within the angle x of it is piecewise linear in x and φ.
With n right items and m_j wrong ones of the classes j > 0,

.. math:: recall = E_φ \int n R_0' (1−R_0)^{n−1} \prod_j (1−R_j)^{m_j}\, dx, \qquad
    wrong = E_φ \int n R_0' (1−R_0)^{n−1} \sum_j m_j R_j\, dx,

polynomials between the lines on which an end of an arc is met, so Gauss rules of high enough order are exact; their
nodes and weights are balls. This is the second witness of :func:`theory.expected_ranking` where recall falls.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from theory._validation import check_integer, check_radius
from theory.certify.series import load_flint

BITS = 128
_NEAR = 1e-15  # distinct ends nearer than this are refused


@dataclass(frozen=True)
class CircleRanking:
    """Balls that hold recall@1, and the expected number of wrong items above the best right one."""

    recall: Any
    wrong_above: Any


def certify_circle_ranking(
    query: Any, radii: Sequence[Any], axes: Sequence[Any], sizes: Sequence[int]
) -> CircleRanking:
    """Enclose what a search on the circle finds, for a query of the first class.

    Parameters
    ----------
    query : float or ball
        Radius of the query's arc about the first axis, radians, in (0, π].
    radii : sequence of float or ball
        Radius of each class's arc, in (0, π].
    axes : sequence of float or ball
        Angle of each class's axis, radians, in any turn; a class lies at its axis plus and minus its radius.
    sizes : sequence of int
        Items of each class, ≥ 1.

    Returns
    -------
    CircleRanking

    Raises
    ------
    ArithmeticError
        Where the order of two ends of arcs is not resolved.
    ImportError
        Without python-flint.
    ValueError
        For sequences of different lengths, a radius outside (0, π] or a size below 1.
    """
    if not len(radii) == len(axes) == len(sizes) >= 2:
        raise ValueError(
            f"radii, axes and sizes must have one entry per class, got {len(radii)}, {len(axes)} and {len(sizes)}."
        )
    counts = [check_integer("sizes", size, 1) for size in sizes]
    for name, radius in (("query", query), *(("radii", radius) for radius in radii)):
        check_radius(float(radius), name)
    flint = load_flint()
    with flint.ctx.workprec(BITS):
        return _Circle(query, radii, axes, counts, flint).ranking()


def _power(base: Any, exponent: int) -> Any:
    """base^exponent by squaring: the operator takes a logarithm, which a ball around 0 does not have."""
    result = base - base + 1
    while exponent:
        if exponent & 1:
            result *= base
        base, exponent = base * base, exponent >> 1
    return result


def _distinct(balls: Iterable[Any]) -> list[Any]:
    """The balls in order, equal ones once."""
    found: list[Any] = []
    for ball in sorted(balls, key=float):
        if found and found[-1].overlaps(ball):
            continue
        if found and abs(float(ball) - float(found[-1])) < _NEAR:
            raise ArithmeticError(f"ends of arcs must coincide or be {_NEAR} apart, got {found[-1]} and {ball}.")
        found.append(ball)
    return found


class _Circle:
    def __init__(self, query: Any, radii: Sequence[Any], axes: Sequence[Any], counts: list[int], flint: Any) -> None:
        arb = self.arb = flint.arb
        self.pi, self.counts, self.query = arb.pi(), counts, arb(query)
        self.radii = [arb(radius) for radius in radii]
        turned = [arb(axis) - arb(axes[0]) for axis in axes]
        nearest = [axis - 2 * self.pi * round(float(axis) / (2.0 * math.pi)) for axis in turned]
        # ends of the arcs, and their copies a turn away, relative to the query's axis
        self.arcs = [
            [(axis + 2 * k * self.pi - radius, axis + 2 * k * self.pi + radius) for k in (-2, -1, 0, 1, 2)]
            for axis, radius in zip(nearest, self.radii, strict=True)
        ]
        degree = sum(counts)
        self.inner, self.outer = (
            [arb.legendre_p_root(order, k, weight=True) for k in range(order)]
            for order in (degree // 2 + 1, degree // 2 + 2)
        )

    def ranking(self) -> CircleRanking:
        """Outer rule over φ, piece by piece."""
        arb = self.arb
        lines = _distinct(end for arcs in self.arcs for arc in arcs for end in arc)
        # φ meets an end, or lies halfway between two or opposite to one: there the order of the ends along x changes
        changes = [*lines, *((a + b) / 2 for a, b in itertools.combinations(lines, 2))]
        changes += [c + turn for c in lines for turn in (self.pi, -self.pi)]
        inside = [c for c in changes if c > -self.query and c < self.query]
        cuts = [-self.query, *_distinct(inside), self.query]
        recall, wrong = arb(0), arb(0)
        for low, high in itertools.pairwise(cuts):
            half, middle = (high - low) / 2, (high + low) / 2
            edges = self._edges(middle)
            for node, weight in self.outer:
                first, second = self._given(middle + half * node, edges)
                recall, wrong = recall + weight * half * first, wrong + weight * half * second
        return CircleRanking(recall / (2 * self.query), wrong / (2 * self.query))

    def _edges(self, phi: Any) -> list[tuple[Any, int]]:
        """The x in (0, π) at which an end is met, in order, each as (end, sign): x = sign·(end − φ)."""
        found = []
        for end in _distinct(end for arcs in self.arcs for arc in arcs for end in arc):
            sign = 1 if end > phi else -1
            if sign * (end - phi) < self.pi:
                found.append((end, sign))
        return sorted(found, key=lambda edge: float(edge[1] * (edge[0] - phi)))

    def _given(self, phi: Any, edges: list[tuple[Any, int]]) -> tuple[Any, Any]:
        """Recall and wrong items above the best right one for a query at φ."""
        arb = self.arb
        places = [arb(0), *(sign * (end - phi) for end, sign in edges), self.pi]
        recall, wrong = arb(0), arb(0)
        size = self.counts[0]
        for low, high in itertools.pairwise(places):
            half, middle = (high - low) / 2, (high + low) / 2
            centre = [self._share(j, phi, middle) for j in range(len(self.counts))]
            if centre[0][1] == 0:
                continue  # no right item is met here
            rate = arb(centre[0][1]) / (2 * self.radii[0])
            for node, weight in self.inner:
                step = half * node
                shares = [r + step * slope / (2 * a) for (r, slope), a in zip(centre, self.radii, strict=True)]
                density = weight * half * size * rate * _power(1 - shares[0], size - 1)
                clear, above = arb(1), arb(0)
                for share, count in zip(shares[1:], self.counts[1:], strict=True):
                    clear, above = clear * _power(1 - share, count), above + count * share
                recall, wrong = recall + density * clear, wrong + density * above
        return recall, wrong

    def _share(self, j: int, phi: Any, x: Any) -> tuple[Any, int]:
        """R_j(x), and its slope in units of 1/(2·radius): how many of the two ends φ ± x lie in the arc."""
        length, slope = self.arb(0), 0
        for low, high in self.arcs[j]:
            left, right = (phi - x).max(low), (phi + x).min(high)
            length += (right - left).max(self.arb(0))
            slope += int(low < phi + x and phi + x < high) + int(low < phi - x and phi - x < high)
        return length / (2 * self.radii[j]), slope

r"""The sign of FAR_k − FAR_t over boxes of (α_t, α_k, α', ρ, τ), decided in ball arithmetic (Theorem D).

In the notation of :mod:`theory.certify.rates`, with r = arccos τ,

.. math:: FAR_k − FAR_t = F(r) \sum_{n≥1} N_n\, a_n(r)\, a_n(α')\, P_n(ρ)\, [a_n(α_k) − a_n(α_t)],

so the rate rises with the radius α where Σ N_n a_n(r) a_n(α') P_n(ρ) a_n'(α) > 0. A slope of one sign on every cell of
radii from that of α_t to that of α_k decides all pairs in them, neighbours on the diagonal included; else the two
values are compared. Where the caps are too far apart, or too near to each other, for any pair to be on the other side
of the threshold, both rates are 0, or 1, and equal.

The rest of the series, n > N: N_n a_n² ≤ m² X_n/(φ_{n−1} sin^{2μ}), with μ = d/2, X_n = N_n A_{n−1}² of Sonin's bound
A/(√φ sin^μ) (:class:`theory.certify.series.Envelope`) and φ_{n−1} = (n+λ)² − λ(λ+1)/sin². Along n, n+2, … X_n falls
for d ≥ 5: for even n

.. math:: X_{n+2}/X_n − 1 = \frac{−2λ(λ−1)}{(n+λ)(n+2)(n+2λ+1)},

and for odd n it is negative as well from n = 8 on. For d = 3 and 4 it grows by less than the factor 1 + 1/n³ a step,
so by less than 1 + 1/N² in all.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from theory._validation import check_cosine, check_integer, check_radius
from theory.certify.boxes import Interval
from theory.certify.cells import BITS, CapCells
from theory.certify.rates import Polynomials, RateSeries
from theory.certify.series import load_flint

Triple = tuple[Interval, Interval, Interval]
"""A box of (α', the axes' angle, the threshold's angle), radians."""
VERDICTS = ("falls", "equal", "rises", "open")
_NEGLIGIBLE = 2.0**-100


@dataclass(frozen=True, kw_only=True)
class RateCertificate:
    """What is proved of FAR_t against FAR_k for all α_t < α_k in a region.

    Attributes
    ----------
    dim : int
    radii, other, axis_cosine, threshold : (low, high)
        The region: α_t and α_k, α', ρ, τ.
    boxes : dict of str to int
        Boxes of the five parameters on which the rate ``falls``, is ``equal`` because no pair, or every pair, is
        accepted by both models, ``rises``, or which are left ``open``.
    shares : dict of str to float
        The same by volume, in radians of the two radii (α_t < α_k), α', the axes' angle and the threshold's angle.
    """

    dim: int
    radii: Interval
    other: Interval
    axis_cosine: Interval
    threshold: Interval
    boxes: dict[str, int]
    shares: dict[str, float]


def certify_rates(
    dim: int,
    *,
    radii: Interval,
    other: Interval,
    axis_cosine: Interval,
    threshold: Interval,
    step: float = 0.1,
    levels: int = 2,
    terms: int = 64,
) -> RateCertificate:
    """Decide, for all α_t < α_k in a range and all α', ρ, τ in theirs, whether the false accept rate falls or rises.

    Parameters
    ----------
    dim : int
        Ambient dimension d ≥ 3.
    radii, other : (low, high)
        Ranges of α_t and α_k, and of α', radians, in (0, π).
    axis_cosine, threshold : (low, high)
        Ranges of ρ and τ, in [−1, 1].
    step : float
        Largest width of the first boxes in each parameter, radians.
    levels : int
        How often boxes of (α', ρ, τ) in which a pair of radii is left open are cut in eight, with half as wide cells
        of radii.
    terms : int
        Terms N ≥ 8 of the series.

    Returns
    -------
    RateCertificate

    Raises
    ------
    ImportError
        Without python-flint.
    ValueError
        For an argument outside its range.

    References
    ----------
    docs/theorem-d.md; Johansson, *Arb*, 2017.
    """
    dim, terms, levels = (
        check_integer(name, value, least)
        for name, value, least in (("dim", dim, 3), ("terms", terms, 8), ("levels", levels, 0))
    )
    if not 0.0 < step < math.inf:
        raise ValueError(f"step must be positive, got {step!r}.")
    for name, pair in (("radii", radii), ("other", other)):
        check_radius(pair, name)
        _check_order(name, pair)
    for name, pair in (("axis_cosine", axis_cosine), ("threshold", threshold)):
        check_cosine(pair, name)
        _check_order(name, pair)
    flint = load_flint()
    boxes, volume = np.zeros(4, dtype=np.int64), np.zeros(4)
    sweep = _Sweep(dim, terms, flint)
    columns = _grid(*radii, step)
    # the ranges in angles, a rounding wider than those in cosines
    between, reach = (
        (max(math.nextafter(math.acos(pair[1]), 0.0), 0.0), min(math.nextafter(math.acos(pair[0]), 4.0), math.pi))
        for pair in (axis_cosine, threshold)
    )
    triples = list(itertools.product(_grid(*other, step), _grid(*between, step), _grid(*reach, step)))
    with flint.ctx.workprec(sweep.series.bits):
        for level in range(levels + 1):
            again = []
            for triple, verdicts, areas in sweep.decide(columns, triples):
                if level < levels and np.any(verdicts == 3):
                    again.append(triple)
                    continue
                boxes += np.bincount(verdicts, minlength=4)
                volume += np.bincount(verdicts, areas, 4) * math.prod(high - low for low, high in triple)
            triples = [
                part
                for other, axes, at in again
                for part in itertools.product(_halves([other]), _halves([axes]), _halves([at]))
            ]
            columns = _halves(columns)
    return RateCertificate(
        dim=dim, radii=radii, other=other, axis_cosine=axis_cosine, threshold=threshold,
        boxes=dict(zip(VERDICTS, map(int, boxes), strict=True)),
        shares=dict(zip(VERDICTS, map(float, volume / volume.sum()), strict=True)),
    )  # fmt: skip


def _check_order(name: str, pair: Sequence[float]) -> None:
    if len(pair) != 2 or not pair[0] < pair[1]:
        raise ValueError(f"{name} must be (low, high) with low < high, got {pair!r}.")


def _grid(low: float, high: float, step: float) -> list[Interval]:
    edges = np.linspace(low, high, max(1, math.ceil((high - low) / step - 1e-9)) + 1)
    return list(itertools.pairwise(map(float, edges)))


def _halves(cells: Sequence[Interval]) -> list[Interval]:
    return [half for a, b in cells for half in ((a, 0.5 * (a + b)), (0.5 * (a + b), b))]


class _Sweep:
    """Signs of the slope, and values, of cells of radii against boxes of (α', ρ, τ)."""

    def __init__(self, dim: int, terms: int, flint: Any) -> None:
        self.flint, self.terms = flint, terms
        self.series = RateSeries(dim, terms, flint)
        self.noise = flint.arb(0, _NEGLIGIBLE)
        self.axes: dict[Interval, Polynomials] = {}
        self.tails: dict[Interval, Any] = {}
        with flint.ctx.workprec(self.series.bits):
            self.cells = CapCells(dim, terms, flint)
            powers = [self.series.multiplicity[terms - 1]]
            for n in range(terms, terms + 2):  # N_{n+1}
                lam = self.series.lam
                powers.append(powers[-1] * (n + 1 + lam) / (n + lam) * (n + 2 * lam) / (n + 1))
            sizes = [powers[i + 1] * self.cells.first.at_equator[terms + i] ** 2 for i in (0, 1)]
            self.size = sizes[0].max(sizes[1]) * (1 + flint.arb(1) / terms**2)  # X_n for every n > N

    def decide(
        self, columns: list[Interval], triples: list[Triple]
    ) -> Iterator[tuple[Triple, NDArray[np.int64], NDArray[np.float64]]]:
        """For each triple the verdicts, an index of :data:`VERDICTS`, and areas of all pairs of columns α_t ≤ α_k."""
        count, width = len(columns), np.array([b - a for a, b in columns])
        first, last = np.triu_indices(count)
        areas = np.where(first == last, 0.5, 1.0) * width[first] * width[last]
        sides = [self._matrix([getattr(self.cells[c], kind) for c in columns]) for kind in ("slope", "value")]
        for start in range(0, len(triples), 512):
            some = triples[start : start + 512]
            rows = self._matrix([self._row(triple) for triple in some]).transpose()
            with self.flint.ctx.workprec(BITS):
                slopes, values = (side * rows for side in sides)
            for at, triple in enumerate(some):
                signs = np.array([self._sign(column, triple, slopes[i, at]) for i, column in enumerate(columns)])
                bounds = np.array([_outward(values[i, at]) for i in range(count)])
                yield triple, _pairs(signs, bounds, first, last), areas

    def _sign(self, column: Interval, triple: Triple, slope: Any) -> int:
        """1 and −1 for the rate's slope in the radius, 0 where it is constant, 2 for open."""
        other, between, reach = triple
        spread = column[1] + other[1] + 1e-12  # more than the rounding of these sums
        if between[0] - reach[1] >= spread or reach[0] - between[1] >= spread:
            return 0
        return 1 if slope > 0 else -1 if slope < 0 else 2

    def _matrix(self, rows: list[list[Any]]) -> Any:
        """Few bits of each entry; tiny ones all alike, since products of matrices suffer from wide ranges."""
        with self.flint.ctx.workprec(BITS):
            flat = [self.noise if entry.abs_upper() < _NEGLIGIBLE else entry + 0 for row in rows for entry in row]
            return self.flint.arb_mat(len(rows), self.terms + 1, flat)

    def _row(self, triple: Triple) -> list[Any]:
        """N_n a_n(α') a_n(r) P_n(ρ) over a positive factor, and a bound of Σ_{n>N} of its modulus."""
        other, between, reach = triple
        if between not in self.axes:
            self.axes[between] = self.series.polynomials(*between)
        axes = self.axes[between]
        columns = zip(self.series.multiplicity, self.cells[other].old, self.cells[reach].old, axes.terms, strict=False)
        with self.flint.ctx.workprec(BITS):
            terms = [n * a * b * p for n, a, b, p in columns]
            return [*terms, (self._tail(other) * self._tail(reach)).sqrt() * axes.beyond]

    def _tail(self, radius: Interval) -> Any:
        """Σ_{n>N} N_n a_n²/m², at most, over a range of radii."""
        if radius not in self.tails:
            arb, lam, terms = self.flint.arb, self.series.lam, self.terms
            sine = arb(radius[0]).sin().min(arb(radius[1]).sin())
            shrink = 1 - lam * (lam + 1) / (sine * (terms + lam)) ** 2 if sine > 0 else arb(0)
            # Σ_{n>N} 1/((n+λ)² − c) ≤ 1/((N+λ)(1 − c/(N+λ)²))
            bound = self.size / (sine ** (2 * lam + 2) * (terms + lam) * shrink) if shrink > 0 else arb("inf")
            self.tails[radius] = bound.abs_upper()
        return self.tails[radius]


def _outward(ball: Any) -> tuple[float, float]:
    low, high = float(ball.lower()), float(ball.upper())
    return math.nextafter(low, -math.inf), math.nextafter(high, math.inf)


def _pairs(
    signs: NDArray[np.int64], bounds: NDArray[np.float64], first: NDArray[np.int64], last: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Verdicts of the pairs (α_t in column ``first``, α_k in column ``last``)."""

    def among(allowed: tuple[int, ...]) -> NDArray[np.bool_]:
        bad = np.concatenate(([0], np.cumsum(~np.isin(signs, allowed))))
        return np.asarray(bad[last + 1] == bad[first])

    verdicts = np.full(len(first), 3)
    apart = last > first
    with np.errstate(invalid="ignore"):
        verdicts[apart & (bounds[last, 0] > bounds[first, 1])] = 0
        verdicts[apart & (bounds[last, 1] < bounds[first, 0])] = 2
    verdicts[among((0, 1))] = 0
    verdicts[among((0, -1))] = 2
    verdicts[among((0,))] = 1
    return verdicts

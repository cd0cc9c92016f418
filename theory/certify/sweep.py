"""Deciding the signs of a gap over a whole rectangle of parameters, row by row of the old law (paper, Theorem 1)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

from theory._series import Expandable
from theory._validation import check_cosine, check_integer, check_range
from theory.certify.boxes import Box, Certificate, GapCertificates, Interval
from theory.certify.cells import BITS, CapCells, SoftCells
from theory.certify.series import Signs, both_sides, load_flint
from theory.metrics import MetricLike, PowerDistance, as_metric

_NEGLIGIBLE = 2.0**-100
LAWS = ("cap", "von-mises-fisher")


def _grid(low: float, high: float, step: float, widest: float) -> list[Interval]:
    """Intervals of relative width ``step``, but none wider than ``widest``."""
    edges = [low]
    while edges[-1] < high:
        edges.append(edges[-1] + min(step * edges[-1], widest))
    edges[-1] = high
    return list(itertools.pairwise(edges))


def _halves(cells: Sequence[Interval]) -> list[Interval]:
    return [half for a, b in cells for half in ((a, 0.5 * (a + b)), (0.5 * (a + b), b))]


def _sign(ball: Any) -> int:
    return 1 if ball > 0 else -1 if ball < 0 else 0


class Sweep:
    """Signs of one inequality's gap: cells of the laws against its c_n, one matrix product a level."""

    def __init__(self, cells: CapCells | SoftCells, signs: Signs, flint: Any) -> None:
        self.cells, self.flint = cells, flint
        self.weights = [*signs.terms, signs.tail]
        self.noise = flint.arb(0, _NEGLIGIBLE)

    def decide(self, columns: list[Interval], rows: list[Interval], levels: int, new: Interval) -> Certificate:
        """Certificate for α_k in the rows and α_t in those columns that lie in ``new``; the others serve as a path.

        In a row the gap vanishes on the diagonal. As far as its slope keeps one sign from there, that is the sign of
        the gap on either side; beyond, the gap itself is enclosed. A row with an open box is cut in two, with half as
        wide columns, until ``levels`` are used up.
        """
        decided: dict[str, list[Box]] = {"positive": [], "negative": [], "open": []}
        for level in range(levels + 1):
            again: list[Interval] = []
            slopes = self._product("slope", columns, rows)
            values = None
            for at, row in enumerate(rows):
                steady = self._steady(columns, row, [_sign(slopes[i, at]) for i in range(len(columns))])
                if not all(steady) and values is None:
                    values = self._product("value", columns, rows)
                boxes: list[tuple[str, Box]] = []
                for i, column in enumerate(columns):
                    if not (new[0] <= column[0] and column[1] <= new[1]):
                        continue
                    if steady[i]:
                        boxes += self._split(column, row, steady[i])
                    else:
                        assert values is not None
                        apart = column[1] <= row[0] or row[1] <= column[0]
                        sign = _sign(values[i, at] - self._own(row)) if apart else 0
                        boxes.append((("open", "positive", "negative")[sign], Box(column, row)))
                if level < levels and any(name == "open" for name, _ in boxes):
                    again += _halves([row])
                    continue
                for name, box in boxes:
                    decided[name].append(box)
            rows, columns = again, _halves(columns)
            if not rows:
                break
        return Certificate(*(tuple(decided[name]) for name in ("positive", "negative", "open")))

    def _product(self, kind: str, columns: list[Interval], rows: list[Interval]) -> Any:
        """Σ_n of every column's ``kind`` against every row's c_n a_n, the tail being the last term."""
        left = [entry for column in columns for entry in getattr(self.cells[column], kind)]
        right = [self._old(row) for row in rows]
        flat = [right[j][n] for n in range(len(self.weights)) for j in range(len(rows))]
        with self.flint.ctx.workprec(BITS):
            shapes = (len(columns), len(self.weights)), (len(self.weights), len(rows))
            first, second = (
                self.flint.arb_mat(*shape, [self._settled(entry) for entry in entries])
                for shape, entries in zip(shapes, (left, flat), strict=True)
            )
            return first * second

    def _settled(self, entry: Any) -> Any:
        """An enclosure with few bits; tiny ones all alike, since products of matrices suffer from wide ranges."""
        return self.noise if entry.abs_upper() < _NEGLIGIBLE else entry + 0

    def _old(self, row: Interval) -> list[Any]:
        return [weight * entry for weight, entry in zip(self.weights, self.cells[row].old, strict=True)]

    def _own(self, row: Interval) -> Any:
        """E(old, old) in the units of the rows."""
        return sum((a * b for a, b in zip(self._old(row), self.cells[row].value, strict=True)), self.flint.arb(0))

    @staticmethod
    def _steady(columns: list[Interval], row: Interval, signs: list[int]) -> list[int]:
        """For each column the slope's sign if it is the same all the way from the diagonal, else 0."""
        on = [i for i, (a, b) in enumerate(columns) if a <= row[1] and row[0] <= b]
        steady = [0] * len(columns)
        sign = signs[on[0]] if len({signs[i] for i in on}) == 1 else 0
        if not sign:
            return steady
        first, last = on[0], on[-1]
        while first > 0 and signs[first - 1] == sign:
            first -= 1
        while last + 1 < len(columns) and signs[last + 1] == sign:
            last += 1
        steady[first : last + 1] = [sign] * (last + 1 - first)
        return steady

    @staticmethod
    def _split(column: Interval, row: Interval, slope: int) -> list[tuple[str, Box]]:
        """The verdicts on either side of the diagonal, where the gap is 0, from the sign of its slope."""
        names = ("negative", "positive") if slope > 0 else ("positive", "negative")
        if column[1] <= row[0]:
            return [(names[0], Box(column, row))]
        if row[1] <= column[0]:
            return [(names[1], Box(column, row))]
        return [(name, Box(column, row, part)) for name, part in zip(names, ("less", "greater"), strict=True)]


def _check_interval(name: str, interval: Interval, end: float) -> Interval:
    rule = f"(low, high) with 0 < low < high < {'π' if end == math.pi else f'{end:g}'}"
    bounds = check_range(name, interval, 0.0, end, rule, open_low=True)
    if bounds.shape != (2,) or not bounds[0] < bounds[1] < end:
        raise ValueError(f"{name} must be {rule}, got {interval!r}.")
    return float(bounds[0]), float(bounds[1])


def _check_axes(dim: int, num_classes: int | None, axis_cosine: float | Interval | None) -> Interval:
    if (num_classes is None) == (axis_cosine is None):
        raise ValueError(f"give num_classes or axis_cosine, not both, got {num_classes!r} and {axis_cosine!r}.")
    if num_classes is None:
        bounds = check_cosine(axis_cosine, "axis_cosine")  # type: ignore[arg-type]
        return float(bounds.min()), float(bounds.max())
    num_classes = check_integer("num_classes", num_classes, 2)
    if num_classes > dim + 1:
        raise ValueError(f"num_classes must be <= dim + 1 = {dim + 1}, got {num_classes}.")
    quotient = -1.0 / (num_classes - 1)  # rounded: −1/(K−1) itself lies between the two floats beside it
    return max(-1.0, math.nextafter(quotient, -1.0)), math.nextafter(quotient, 0.0)


def _check_metric(metric: Any) -> Expandable:
    """A distance of negative type whose coefficients are known."""
    distance = as_metric(metric)
    if not isinstance(distance, Expandable) or (isinstance(distance, PowerDistance) and distance.s > 1):
        raise ValueError(f"metrics must be powers of the chord with s <= 1 or the angle, got {distance.name!r}.")
    return distance


def certify_gaps(
    dim: int,
    num_classes: int | None = None,
    metrics: MetricLike | Sequence[MetricLike] = "euclidean",
    *,
    law: str = "cap",
    new: Interval = (0.3, 1.5),
    old: Interval | None = None,
    axis_cosine: float | Interval | None = None,
    step: float = 0.1,
    levels: int = 3,
    terms: int = 128,
) -> tuple[GapCertificates, ...]:
    r"""Decide the signs of both gaps of Theorem 1 for all pairs of laws in a rectangle, with proof.

    Parameters
    ----------
    dim : int
        Ambient dimension d ≥ 2.
    num_classes : int, optional
        K, 2 ≤ K ≤ d + 1: the axes' cosine is −1/(K−1). Give this or ``axis_cosine``.
    metrics : metric, or sequence of metrics
        The distances, of which the coefficients must be known in closed form: ``sqeuclidean``, ``cosine``,
        ``euclidean``, ``angular`` and every PowerDistance with s ≤ 1. The laws' part of the work is shared.
    law : {"cap", "von-mises-fisher"}
        What the parameters are: radii α in radians, 0 < α < π, or concentrations κ, 0 < κ < 1e5.
    new : (low, high)
        Parameters of the new law.
    old : (low, high), optional
        Parameters of the old law; as ``new`` if not given.
    axis_cosine : float or (low, high), optional
        The cosine ρ of two classes' axes, or a range of it in [−1, 1]: the certificate then holds for each ρ
        in it.
    step : float
        Relative width of the first intervals of parameters.
    levels : int
        How often rows with a box left open are cut in two, ≥ 0.
    terms : int
        Terms N ≥ 2 of the series. More tighten the tail, at proportional cost; small radii need more.

    Returns
    -------
    tuple of GapCertificates, one a metric
        ``.same_class`` (E(old, old) − E(new, old)) and ``.different_class`` (E(new, old) − E(old, old)), each
        with the boxes proved ``positive`` and ``negative``, those left ``open``, and their ``shares``.

    Raises
    ------
    ImportError
        Without python-flint.
    ValueError
        For an argument outside its range.

    References
    ----------
    Paper, Theorem 1; Johansson, *Arb*, 2017; Moore, Kearfott & Cloud, *Introduction to Interval Analysis*, ch. 6.
    """
    dim = check_integer("dim", dim, 2)
    terms = check_integer("terms", terms, 2)
    levels = check_integer("levels", levels, 0)
    distances = [_check_metric(metric) for metric in (metrics if isinstance(metrics, list | tuple) else [metrics])]
    if law not in LAWS:
        raise ValueError(f"law must be one of {', '.join(LAWS)}, got {law!r}.")
    if not 0.0 < step < 1.0:
        raise ValueError(f"step must be in (0, 1), got {step!r}.")
    end = math.pi if law == "cap" else 1e5
    new = _check_interval("new", new, end)
    old = new if old is None else _check_interval("old", old, end)
    cosine = _check_axes(dim, num_classes, axis_cosine)
    flint = load_flint()
    edges = sorted({*new, *old})
    widest = 0.5 * step if law == "cap" else math.inf
    columns = [cell for a, b in itertools.pairwise(edges) for cell in _grid(a, b, step, widest)]
    rows = [cell for cell in columns if old[0] <= cell[0] and cell[1] <= old[1]]
    # a recurrence in balls loses up to log2(1 + √2) < 1.3 bits a step
    with flint.ctx.workprec(128 + int(1.3 * terms)):
        cells = (CapCells if law == "cap" else SoftCells)(dim, terms, flint)
        results = []
        for distance in distances:
            sides = both_sides(dim, distance, cosine, terms, flint)
            found = [Sweep(cells, signs, flint).decide(columns, rows, levels, new) for signs in sides.values()]
            results.append(GapCertificates(dim, distance.name, law, cosine, *found))
    return tuple(results)

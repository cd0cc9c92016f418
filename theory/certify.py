r"""Signs of Theorem 1's two gaps, proved box by box in ball arithmetic (paper, Eqs. 1a and 1b and Theorem 1).

A second witness that owes nothing to the analytic proof. With :math:`a_n(α) = E\,P_n(\cos θ)` for a uniform
cap and :math:`w_n = −N_n F_n ≥ 0` the Funk–Hecke coefficients of the distance, both gaps are

.. math:: g(α_t, α_k) = \sum_{n≥1} c_n\, a_n(α_k)\,[a_n(α_t) − a_n(α_k)],

with :math:`c_n = w_n` for one class and :math:`c_n = −w_n P_n(ρ)` for two classes whose axes have cosine ρ. A
box of radii is decided in one of two ways. Next to the diagonal, :math:`g = (α_t − α_k)·\sum c_n a_n'(ξ)
a_n(α_k)`: the sign of the sum decides. Elsewhere the mean-value form does: g at the centre plus gradient
times half-width. A box that neither decides is cut into four.

Wide intervals are never fed to a recurrence. On a cell, :math:`P_n` and :math:`a_n` are enclosed by Taylor's
formula around its centre: P_n(cos θ) is a sum of cos kθ with weights ≥ 0, so its second derivative is largest
at 0, where it is n(n+d−2)/(d−1) (Szegő, 4.9.19). What lies beyond the last term is bounded by Σ_{n>N} w_n =
F_0 − Σ_{n≤N} w_n times Sonin's envelope of the polynomials. Needs python-flint (extra ``certify``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from theory._validation import check_cosine, check_integer, check_radius

Interval = tuple[float, float]
METRIC_NAMES = ("sqeuclidean", "euclidean", "angular")


@dataclass(frozen=True)
class Box:
    """A rectangle of radii (radians), or the part of it on one side of the diagonal α_t = α_k.

    Attributes
    ----------
    new, old : (low, high)
        Ranges of α_t and of α_k.
    part : {"all", "narrower", "wider"}
        The whole rectangle, its part with α_t < α_k, or its part with α_t > α_k.
    """

    new: Interval
    old: Interval
    part: str = "all"

    @property
    def area(self) -> float:
        """Area in square radians."""
        (x0, x1), (y0, y1) = self.new, self.old
        whole = (x1 - x0) * (y1 - y0)
        if self.part == "all":
            return whole
        above = ((1, y1 - x0), (-1, y0 - x0), (-1, y1 - x1), (1, y0 - x1))
        narrower = 0.5 * sum(sign * max(side, 0.0) ** 2 for sign, side in above)
        return narrower if self.part == "narrower" else whole - narrower


@dataclass(frozen=True)
class Certificate:
    """Boxes on which a gap is proved positive, proved negative, and those left open.

    Positive means compatible in expectation. Together the boxes fill the region, but for the diagonal α_t =
    α_k, where both gaps vanish.
    """

    positive: tuple[Box, ...]
    negative: tuple[Box, ...]
    open: tuple[Box, ...]

    @property
    def shares(self) -> dict[str, float]:
        """Share of the region's area that is positive, negative and open; the three add up to 1."""
        verdicts = {"positive": self.positive, "negative": self.negative, "open": self.open}
        areas = {name: math.fsum(box.area for box in boxes) for name, boxes in verdicts.items()}
        total = math.fsum(areas.values())
        return {name: area / total for name, area in areas.items()}


@dataclass(frozen=True)
class GapCertificates:
    """The certificates of inequality 1a (same class) and of 1b (different classes), and the case they are about.

    1b is certified for every axis cosine in ``axis_cosine``; for K classes these are the two floats around −1/(K−1).
    """

    dim: int
    metric: str
    axis_cosine: Interval
    same_class: Certificate
    different_class: Certificate


def _flint() -> Any:
    try:
        import flint
    except ImportError:
        raise ImportError(
            "theory.certify needs python-flint; install it with: pip install 'stationary-representations[certify]'"
        ) from None
    return flint


def _envelope(mu: Any, degree: int, sine: Any) -> Any:
    r"""Bound of the Gegenbauer polynomials :math:`Q_k^{(μ)}(\cos θ)`, Q(1) = 1, k ≥ ``degree``, sin θ ≥ ``sine``.

    u = sin^μ θ · Q solves u″ + φu = 0 with φ = (k+μ)² − μ(μ−1)/sin²θ, which for μ ≥ 1 grows towards π/2; so
    does Sonin's φu² + u′², whose value at π/2 is explicit (Szegő, *Orthogonal Polynomials*, 7.31). The bound
    falls in k.
    """
    arb = type(mu)
    worst = arb(0)
    if not (mu >= 1 and sine > 0):
        return arb(1)
    for k in (degree, degree + 1):
        phi = (k + mu) ** 2 - mu * (mu - 1) / sine**2
        if not phi > 0:
            return arb(1)
        j = k // 2
        if k % 2 == 0:
            at_equator = ((k + mu) ** 2 - mu * (mu - 1)).sqrt() * arb(0.5).rising(j) / (mu + 0.5).rising(j)
        else:
            at_equator = k * (k + 2 * mu) / (2 * mu + 1) * arb(0.5).rising(j) / (mu + 1.5).rising(j)
        worst = worst.max(at_equator / (phi.sqrt() * sine**mu))
    return worst.abs_upper().min(arb(1))


def _coefficients(dim: int, metric: str, terms: int, flint: Any) -> tuple[list[Any], Any]:
    """w_1 … w_N of the distance and the remainder Σ_{n>N} w_n, as balls."""
    arb = flint.arb
    if metric == "sqeuclidean":
        return [arb(2)] + [arb(0)] * (terms - 1), arb(0)
    lam = arb(dim - 2) / 2
    half = arb(0.5)
    multiplicity = [arb(dim)]  # N_n
    for n in range(1, terms):
        multiplicity.append(multiplicity[-1] * (n + 1 + lam) / (n + lam) * (n + 2 * lam) / (n + 1))
    if metric == "euclidean":
        mean = 2 * (lam + 1).gamma() * (2 * lam + 1).gamma()
        mean /= (lam + half).gamma() * (2 * lam + 1 + half).gamma()
        kernel = [half / (half + 2 * lam + 1) * mean]  # −F_n
        for n in range(1, terms):
            kernel.append(kernel[-1] * (n - half) / (n + half + 2 * lam + 1))
    else:
        mean = arb.pi() / 2
        first = (lam + 1).gamma() ** 2 / ((lam + half).gamma() * (lam + 1 + half).gamma()) / (2 * lam + 1)
        kernel = [first, arb(0)]
        for n in range(1, terms - 1):
            kernel.append(kernel[-2] * (n / (n + 2 * lam + 2)) ** 2 if n % 2 else arb(0))
    weights = [a * b for a, b in zip(multiplicity, kernel, strict=True)]
    return weights, (mean - sum(weights, arb(0))).abs_upper()


@dataclass(frozen=True)
class _Cell:
    """Enclosures of a_1 … a_N and of their derivatives over an interval of radii.

    Rows, and columns scaled by each side's c_n.
    ``tail`` bounds |a_n| for every n > N, ``slope_tail`` bounds |a_n′|.
    """

    radius: Any
    middle: Any
    a: Any
    da: Any
    tail: Any
    slope_tail: Any
    weighted: dict[str, _Weighted]


@dataclass(frozen=True)
class _Weighted:
    """Columns c_n·a_n (in the middle, on the whole interval) and c_n·a_n′ of a cell."""

    middle: Any
    a: Any
    da: Any


class _Series:
    """The series of one (dim, metric, ρ), with the cells of radii on which its factors have been enclosed."""

    def __init__(self, dim: int, metric: str, cosine: Interval, terms: int, flint: Any) -> None:
        self.flint, self.dim, self.terms = flint, dim, terms
        arb = flint.arb
        self.lam = arb(dim - 2) / 2
        weights, tail = _coefficients(dim, metric, terms, flint)
        low, high = arb(cosine[1]).acos(), arb(cosine[0]).acos()
        middle, half_width = (low + high) / 2, ((high - low) / 2).abs_upper()
        # |dP_n/dθ| ≤ n (Bernstein) carries the polynomials from the middle of the range of ρ to all of it
        polynomials = [
            p + arb(0, (n * half_width).abs_upper())
            for n, p in enumerate(self._gegenbauer(self.lam, middle.cos(), terms + 1)[1:], start=1)
        ]
        sine = low.sin().min(high.sin()) if low > 0 and high < arb.pi() else arb(0)
        self.sides = {
            "same_class": (weights, tail),
            "different_class": (
                [-w * p for w, p in zip(weights, polynomials, strict=True)],
                tail * _envelope(self.lam, terms + 1, sine),
            ),
        }
        self.cells: dict[Interval, _Cell] = {}

    @staticmethod
    def _gegenbauer(mu: Any, x: Any, count: int) -> list[Any]:
        values = [type(mu)(1), x]
        for n in range(1, count - 1):
            values.append((2 * (n + mu) * x * values[n] - n * values[n - 1]) / (n + 2 * mu))
        return values[:count]

    def cell(self, interval: Interval) -> _Cell:
        """Enclosures of a_n and a_n′ at the middle of the interval and on all of it."""
        if interval not in self.cells:
            self.cells[interval] = self._enclose(*interval)
        return self.cells[interval]

    def _enclose(self, low: float, high: float) -> _Cell:
        arb, dim, lam, terms = self.flint.arb, self.dim, self.lam, self.terms
        x = arb(0.5 * (low + high))
        r = (arb(high) - x).abs_upper().max((x - arb(low)).abs_upper())

        def primitive(angle: Any) -> Any:  # ∫_0^angle sin^{d−2}
            shape = lam + 0.5
            return arb(2) ** (dim - 2) * ((angle / 2).sin() ** 2).beta_lower(shape, shape)

        sine, here = x.sin(), primitive(x)
        m = sine ** (dim - 1) / ((dim - 1) * here)
        rate = sine ** (dim - 2) / here  # a_n′ = rate·(P_n − a_n)
        p = self._gegenbauer(lam, x.cos(), terms + 1)[1:]
        q = self._gegenbauer(lam + 1, x.cos(), terms)
        a = [m * value for value in q]
        da = [rate * (s - t) for s, t in zip(p, a, strict=True)]

        # rate is the log-derivative of the integral of a log-concave function, so it falls
        lower, upper = arb(low), arb(high)
        ends = [end.sin() ** (dim - 2) / primitive(end) for end in (lower, upper)]
        rates = ends[0].union(ends[1])
        rate_slope = rates * ((dim - 2) * upper.cot().union(lower.cot()) - rates)
        shrink = 1 - r * rates.abs_upper()
        all_a, all_da = [], []
        for n in range(1, terms + 1):
            curvature = n * (n + 2 * lam) / (2 * lam + 1)
            dp_middle = -sine * curvature * q[n - 1]
            dp = dp_middle + arb(0, (r * curvature).abs_upper())
            excess = p[n - 1] - a[n - 1]  # P_n − a_n, with derivative P_n′ − rate·(P_n − a_n)
            bound = arb(2)
            if shrink > 0:  # sup|excess| ≤ |excess(x)| + r·(sup|P_n′| + rate·sup|excess|), solved for it
                bound = bound.min(((excess.abs_upper() + r * dp.abs_upper()) / shrink).abs_upper())
            slope = dp - rates * arb(0, bound)
            slope = dp - rates * (excess + arb(0, (r * slope).abs_upper()))
            excesses = excess + arb(0, (r * slope).abs_upper())
            second = (rate_slope * excesses + rates * slope).abs_upper()
            all_da.append(da[n - 1] + arb(0, (r * second).abs_upper()))
            all_a.append(a[n - 1] + arb(0, (r * (da[n - 1].abs_upper() + r * second / 2)).abs_upper()))

        lowest = lower.sin().min(upper.sin())
        envelope = _envelope(lam + 1, terms, lowest)

        def columns(weights: list[Any]) -> _Weighted:
            scaled = ([c * value for c, value in zip(weights, values, strict=True)] for values in (a, all_a, all_da))
            return _Weighted(*(self.flint.arb_mat(terms, 1, values) for values in scaled))

        middle, whole, slopes = (self.flint.arb_mat(1, terms, values) for values in (a, all_a, all_da))
        return _Cell(
            r,
            middle,
            whole,
            slopes,
            envelope,
            rates.abs_upper() * (_envelope(lam, terms + 1, lowest) + envelope),
            {side: columns(weights) for side, (weights, _) in self.sides.items()},
        )

    def slope(self, side: str, box: Box) -> Any:
        """Enclosure of g/(α_t − α_k) on the box, by the derivative in α_t between the two radii."""
        hull = self.cell((min(box.new[0], box.old[0]), max(box.new[1], box.old[1])))
        old = self.cell(box.old)
        tail = self.sides[side][1] * hull.slope_tail * old.tail
        return (hull.da * old.weighted[side].a)[0, 0] + self.flint.arb(0, tail.abs_upper())

    def gap(self, side: str, box: Box) -> Any:
        """Enclosure of g on the box: its value at the centre plus gradient times half-width."""
        new, old = self.cell(box.new), self.cell(box.old)
        weighted = old.weighted[side]
        centre = ((new.middle - old.middle) * weighted.middle)[0, 0]
        along_new = (new.da * weighted.a)[0, 0].abs_upper()
        along_old = ((new.a - old.a * 2) * weighted.da)[0, 0].abs_upper()
        # only the truncated sum is differentiated; the tail is bounded over the whole box
        tail = self.sides[side][1] * old.tail * (new.tail + old.tail)
        return centre + self.flint.arb(0, (along_new * new.radius + along_old * old.radius + tail).abs_upper())


def _certify(series: _Series, side: str, new: Interval, old: Interval, min_width: float) -> Certificate:
    decided: dict[str, list[Box]] = {"positive": [], "negative": [], "open": []}
    stack = [Box(new, old)]
    while stack:
        box = stack.pop()
        (x0, x1), (y0, y1) = box.new, box.old
        if x1 >= y0 and y1 >= x0:  # the box meets the diagonal
            slope = series.slope(side, box)
            sign = 1 if slope > 0 else -1 if slope < 0 else 0
            if sign:
                for part, verdict in (("narrower", -sign), ("wider", sign)):
                    piece = Box(box.new, box.old, part)
                    if piece.area > 0:
                        decided["positive" if verdict > 0 else "negative"].append(piece)
                continue
        else:
            gap = series.gap(side, box)
            if gap > 0 or gap < 0:
                decided["positive" if gap > 0 else "negative"].append(box)
                continue
        width, height = x1 - x0, y1 - y0
        if max(width, height) / 2 < min_width:
            decided["open"].append(box)
            continue
        columns = [(x0, 0.5 * (x0 + x1)), (0.5 * (x0 + x1), x1)] if 2 * width > height else [box.new]
        rows = [(y0, 0.5 * (y0 + y1)), (0.5 * (y0 + y1), y1)] if 2 * height > width else [box.old]
        stack += [Box(column, line) for column in columns for line in rows]
    return Certificate(*(tuple(decided[name]) for name in ("positive", "negative", "open")))


def _check_interval(name: str, interval: Interval) -> Interval:
    low, high = (float(value) for value in check_radius(interval, name))
    if not low < high < math.pi:
        raise ValueError(f"{name} must be (low, high) with 0 < low < high < π, got {interval!r}.")
    return low, high


def certify_gaps(
    dim: int,
    num_classes: int | None = None,
    metric: str = "euclidean",
    *,
    radii: Interval = (0.3, 1.5),
    old_radii: Interval | None = None,
    axis_cosine: float | Interval | None = None,
    min_width: float = 0.005,
    terms: int = 128,
) -> GapCertificates:
    r"""Decide the signs of both gaps of Theorem 1 for all pairs of cap radii in a rectangle, with proof.

    Parameters
    ----------
    dim : int
        Ambient dimension d ≥ 2.
    num_classes : int, optional
        K, 2 ≤ K ≤ d + 1: the axes' cosine is −1/(K−1). Give this or ``axis_cosine``.
    metric : {"sqeuclidean", "euclidean", "angular"}
        The distance.
    radii : (low, high)
        Radii α_t of the new caps, radians, 0 < low < high < π.
    old_radii : (low, high), optional
        Radii α_k of the old caps; as ``radii`` if not given.
    axis_cosine : float or (low, high), optional
        The cosine ρ of two classes' axes, or a range of it in [−1, 1]: the certificate then holds for each ρ
        in it.
    min_width : float
        Side of the smallest box, radians; a box that would have to be cut below it is left open.
    terms : int
        Terms N ≥ 2 of the series. More tighten the tail, at proportional cost; small radii need more.

    Returns
    -------
    GapCertificates
        ``.same_class`` (E(old, old) − E(new, old)) and ``.different_class`` (E(new, old) − E(old, old)), each
        with the boxes proved ``positive`` and ``negative``, those left ``open``, and their ``shares``.

    Raises
    ------
    ImportError
        Without python-flint.
    ValueError
        For an argument outside its range.

    References ---------- Paper, Theorem 1; Johansson, *Arb*, 2017; Moore, Kearfott & Cloud, *Introduction to
    Interval Analysis*, ch. 6.
    """
    flint = _flint()
    dim = check_integer("dim", dim, 2)
    terms = check_integer("terms", terms, 2)
    if metric not in METRIC_NAMES:
        raise ValueError(f"metric must be one of {', '.join(METRIC_NAMES)}, got {metric!r}.")
    if (num_classes is None) == (axis_cosine is None):
        raise ValueError(f"give num_classes or axis_cosine, not both, got {num_classes!r} and {axis_cosine!r}.")
    if not min_width > 0:
        raise ValueError(f"min_width must be > 0, got {min_width!r}.")
    new = _check_interval("radii", radii)
    old = new if old_radii is None else _check_interval("old_radii", old_radii)
    if metric == "sqeuclidean":
        terms = 2  # its series ends at n = 1
    # a recurrence in balls loses up to log2(1 + √2) < 1.3 bits a step
    if num_classes is not None:
        num_classes = check_integer("num_classes", num_classes, 2)
        if num_classes > dim + 1:
            raise ValueError(f"num_classes must be <= dim + 1 = {dim + 1}, got {num_classes}.")
        quotient = -1.0 / (num_classes - 1)  # rounded: −1/(K−1) itself lies between the two floats beside it
        cosine = (max(-1.0, math.nextafter(quotient, -1.0)), math.nextafter(quotient, 0.0))
    else:
        bounds = check_cosine(axis_cosine, "axis_cosine")  # type: ignore[arg-type]
        cosine = (float(bounds.min()), float(bounds.max()))
    if metric == "sqeuclidean":
        terms = 2  # its series ends at n = 1
    # a recurrence in balls loses up to log2(1 + √2) < 1.3 bits a step
    with flint.ctx.workprec(64 + int(1.3 * terms)):
        series = _Series(dim, metric, cosine, terms, flint)
        sides = (_certify(series, side, new, old, min_width) for side in ("same_class", "different_class"))
        return GapCertificates(dim, metric, cosine, *sides)

r"""Accept rates of caps in ball arithmetic, and the exact threshold of Theorem D enclosed from both sides.

With a_n the coefficients of a cap, N_n the multiplicities and F(r) a cap's share of the sphere, the series of a step
function of the cosine is that of a third cap, of radius r = arccos τ:

.. math:: P(u·v' ≥ τ) = F(r) \sum_{n≥0} N_n\, a_n(α)\, a_n(α')\, a_n(r)\, P_n(ρ), \qquad
    (F a_n)' = F'\, P_n(\cos r).

By Parseval Σ N_n a_n(α)² = 1/F(α), so what the first N terms leave of it bounds, with Cauchy and Schwarz, the rest of
the series. Nothing of the proof of Theorem D is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from theory._validation import check_cosine, check_dim, check_integer, check_radius
from theory.caps import UniformCap
from theory.certify.boxes import Interval
from theory.certify.series import Envelope, gegenbauer_values, load_flint, multiplicities
from theory.decisions import exact_threshold

_LEAST_STEP = 1e-9  # relative: where the walk from the threshold to the end of the support gives up


@dataclass(frozen=True)
class CapSeries:
    """a_1 … a_N of a cap, Σ_{n>N} N_n a_n², the largest |a_n| of n > N, and its share F of the sphere; balls."""

    terms: list[Any]
    rest: Any
    beyond: Any
    share: Any


@dataclass(frozen=True)
class Polynomials:
    """P_1 … P_N over an interval of angles, and a bound of |P_n| for every n > N; balls."""

    terms: list[Any]
    beyond: Any


class RateSeries:
    """The parts of the series in one dimension, as balls."""

    def __init__(self, dim: int, terms: int, flint: Any) -> None:
        self.flint, self.dim, self.terms = flint, dim, terms
        self.bits = 256 + int(1.3 * terms)  # a recurrence in balls loses up to log2(1 + √2) < 1.3 bits a step
        with flint.ctx.workprec(self.bits):
            self.lam = flint.arb(dim - 2) / 2
            self.multiplicity = multiplicities(dim, terms, flint)
            self.plain, self.first = (Envelope(self.lam + shift, terms + 3) for shift in (0, 1))

    def cap(self, radius: Any) -> CapSeries:
        """The series of a cap; ``radius`` is a ball or a float, in (0, π)."""
        arb = self.flint.arb
        with self.flint.ctx.workprec(self.bits):
            angle, shape = arb(radius), self.lam + arb(0.5)
            half = (angle / 2).sin() ** 2
            share = half.beta_lower(shape, shape, regularized=True)
            integral = arb(2) ** (self.dim - 2) * half.beta_lower(shape, shape)  # ∫_0^α sin^{d−2}
            m = angle.sin() ** (self.dim - 1) / ((self.dim - 1) * integral)
            terms = [m * q for q in gegenbauer_values(self.lam + 1, angle.cos(), self.terms)]
            square = sum((n * a * a for n, a in zip(self.multiplicity, terms, strict=True)), arb(1))
            last = self.first.bounds(angle.sin())[self.terms : self.terms + 2]
            return CapSeries(terms, (1 / share - square).max(arb(0)), m * last[0].max(last[1]), share)

    def polynomials(self, low: Any, high: Any) -> Polynomials:
        """P_n(cos θ) for every θ in [low, high]."""
        arb, dim = self.flint.arb, self.dim
        with self.flint.ctx.workprec(self.bits):
            low, high = arb(low), arb(high)
            middle, r = (low + high) / 2, ((high - low) / 2).abs_upper()
            values = gegenbauer_values(self.lam, middle.cos(), self.terms + 1)[1:]
            walked = gegenbauer_values(self.lam + 1, middle.cos(), self.terms + 1)
            sine = middle.sin()
            bounds = self.plain.bounds(low.sin().min(high.sin()))
            terms = []
            for n, (value, q) in enumerate(zip(values, walked, strict=False), start=1):
                # Taylor in θ: a polynomial in cos θ with weights ≥ 0 on cos kθ has its largest second derivative at 0
                g = arb(n * (n + dim - 2)) / (dim - 1)  # P_n′ = g·Q_{n−1}
                ball = value + arb(0, (r * (g * sine * q).abs_upper() + r * r * g / 2).abs_upper())
                terms.append(ball.max(-bounds[n]).min(bounds[n]))
            return Polynomials(terms, bounds[self.terms + 1].max(bounds[self.terms + 2]))


class Rates:
    """FAR_t and FAR_k at the threshold's angle r: series in a_n(r), and in P_n(cos r) for their slopes."""

    def __init__(self, series: RateSeries, laws: Sequence[CapSeries], other: CapSeries, axes: Polynomials) -> None:
        self.series = series
        with series.flint.ctx.workprec(series.bits):
            self.terms, self.rests = [], []
            for law in laws:
                columns = zip(series.multiplicity, law.terms, other.terms, axes.terms, strict=True)
                self.terms.append([n * a * b * p for n, a, b, p in columns])
                self.rests.append((law.rest * other.rest).sqrt() * axes.beyond)

    def at(self, r: Any) -> list[Any]:
        """The rates at one threshold."""
        arb = self.series.flint.arb
        with self.series.flint.ctx.workprec(self.series.bits):
            reach = self.series.cap(r)
            rates = [reach.share * (1 + s) for s in self._sums(reach.terms, reach.beyond)]
            return [rate.max(arb(0)).min(arb(1)) for rate in rates]

    def slope_gap(self, low: Any, high: Any) -> Any:
        """FAR_k′ − FAR_t′ on a whole interval of r."""
        arb, dim = self.series.flint.arb, self.series.dim
        with self.series.flint.ctx.workprec(self.series.bits):
            part = self.series.polynomials(low, high)
            shape = self.series.lam + arb(0.5)
            whole = arb(2) ** (dim - 2) * shape.gamma() ** 2 / (2 * shape).gamma()  # ∫_0^π sin^{d−2}
            first, second = self._sums(part.terms, part.beyond)
            steepest = arb(low).union(arb(high)).sin().abs_upper() ** (dim - 2) / whole
            return arb(0).union(steepest) * (second - first)

    def _sums(self, values: list[Any], beyond: Any) -> list[Any]:
        arb = self.series.flint.arb
        sums = []
        for terms, rest in zip(self.terms, self.rests, strict=True):
            total = sum((a * b for a, b in zip(terms, values, strict=True)), arb(0))
            sums.append(total + arb(0, (rest * beyond).abs_upper()))
        return sums


def _no_rise(rates: Rates, low: Any, high: Any) -> bool:
    """Whether FAR_t ≤ FAR_k is proved for every r in [low, high].

    As both rates grow with r, a rate of the old model at ``low`` above that of the new one at ``high`` shows it, which
    is the stronger way in the tails; else the difference in the middle, and its slope.
    """
    if rates.at(high)[0] <= rates.at(low)[1]:
        return True
    middle = (low + high) / 2
    first, second = rates.at(middle)
    return bool(second - first > (middle - low) * rates.slope_gap(low, high).abs_upper())


def enclose_threshold(
    dim: int,
    new: float,
    old: float,
    axis_cosine: float,
    other: float | None = None,
    *,
    width: float = 1e-6,
    terms: int = 512,
) -> Interval:
    r"""Enclose the exact threshold of Theorem D: the least τ* from which the false accept rate does not rise.

    At the lower end FAR_t > FAR_k is proved. From the upper end to τ = 1, FAR_t ≤ FAR_k is proved, interval by
    interval, up to the thresholds at which no pair of the new model is accepted.

    Parameters
    ----------
    dim : int
        Ambient dimension d ≥ 2.
    new, old : float
        Radii α_t < α_k of the query's class under the new and the old model, radians.
    axis_cosine : float
        ρ, in (−1, 1).
    other : float, optional
        Radius α' of the other class, radians; ``old`` if not given.
    width : float
        Distance of either end from :func:`theory.exact_threshold`, whose value is where the ends are tried.
    terms : int
        Terms N of the series.

    Returns
    -------
    (lower, upper) : pair of float
        lower < τ* ≤ upper.

    Raises
    ------
    ArithmeticError
        Where an enclosure does not decide: more terms or a larger width are needed.
    ImportError
        Without python-flint.
    ValueError
        For an argument outside its range, or radii under which the rate rises at no threshold that is resolved.
    """
    dim, terms = check_dim(dim), check_integer("terms", terms, 2)
    other = old if other is None else other
    new, old, other = (float(check_radius(x, name)) for x, name in ((new, "new"), (old, "old"), (other, "other")))
    rho = float(check_cosine(axis_cosine))
    if not new < old:
        raise ValueError(f"new must be less than old, got {new} and {old}.")
    guess = exact_threshold(UniformCap(dim, new), UniformCap(dim, old), rho, UniformCap(dim, other))
    lower, upper = guess - width, guess + width
    if not -1.0 < lower < upper < 1.0:
        raise ValueError(f"the false accept rate must rise at some threshold, got none for axis_cosine {rho}.")
    flint = load_flint()
    series = RateSeries(dim, terms, flint)
    with flint.ctx.workprec(series.bits):
        between = flint.arb(rho).acos()
        laws = series.cap(new), series.cap(old)
        rates = Rates(series, laws, series.cap(other), series.polynomials(between, between))
        first, second = rates.at(flint.arb(lower).acos())
        if not first > second:
            raise ArithmeticError(f"the rise at {lower} must be resolved; give more terms or a larger width.")
        high, end = flint.arb(upper).acos(), (between - flint.arb(new) - flint.arb(other)).lower().max(flint.arb(0))
        step = high * width
        while step > _LEAST_STEP * high:
            if high <= end:
                return lower, upper
            low = (high - step).mid().max(end)
            if low > 0 and _no_rise(rates, low, high):
                high, step = low, 2 * step
            else:
                step = step / 2
    raise ArithmeticError(f"the rates above {upper} must be resolved; give more terms or a larger width.")

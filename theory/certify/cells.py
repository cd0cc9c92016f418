r"""The laws' coefficients a_n over a whole interval of the parameter, enclosed without losing their small differences.

A gap's slope in the new law's parameter is Σ c_n a_n(old) a_n′(new); its sign is all that is needed, so positive
factors are divided out. For a cap, with x = cos α, Q and Z the polynomials of dimensions d + 2 and d + 4,

.. math:: a_n = m\,Q_{n−1}(x), \qquad −a_n' ∝ Q_{n−1}(x) + κ(α)\, \tfrac{(n−1)(n+d−1)}{d+1}\, Z_{n−2}(x), \qquad
    κ = \frac{\sin^2α}{(d−1)(m − x)},

since P_n = x Q_{n−1} − (1−x²) Q_{n−1}′/(d−1). κ falls in α: it is a quotient of two functions of x that vanish at
x = 1, and the quotient of their derivatives, [2x + (d−1)m]/(d−1), rises with x (l'Hôpital's monotone rule). So nothing
cancels at any d, and intervals may be a tenth of the radius wide.

For a von Mises–Fisher law a_n = Π_{j<n} r_{λ+j}, r_ν = I_{ν+1}(κ)/I_ν(κ), which grow with κ (Amos, 1974), and
κ a_n′ = a_n Σ_{j<n} ℓ_{λ+j} with ℓ_ν = κ r_ν′/r_ν = 1 − r_ν r_{ν+1}(1 + ℓ_{ν+1}) in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from theory.certify.boxes import Interval
from theory.certify.series import Envelope, gegenbauer_values

BITS = 64  # of the enclosures, once nothing cancels any more


@dataclass(frozen=True)
class Cell:
    """Enclosures over an interval of the parameter, for n = 1 … N and, last, a bound of the factor for every n > N.

    ``slope``: a_n′ of the new law over a positive factor (its sign is that of the parameter). ``value``: a_n of the new
    law. ``old``: a_n of the old law over a positive factor.
    """

    slope: list[Any]
    value: list[Any]
    old: list[Any]


class CapCells:
    """Cells of cap radii; each interval is enclosed once, for whatever metrics and inequalities follow."""

    def __init__(self, dim: int, terms: int, flint: Any) -> None:
        self.flint, self.dim, self.terms = flint, dim, terms
        self.lam = flint.arb(dim - 2) / 2
        with flint.ctx.workprec(BITS):  # bounds need no more
            self.first, self.second, self.plain = (Envelope(self.lam + shift, terms + 2) for shift in (1, 2, 0))
        self._cells: dict[Interval, Cell] = {}
        self._moments: dict[float, tuple[Any, Any]] = {}

    def __getitem__(self, interval: Interval) -> Cell:
        if interval not in self._cells:
            self._cells[interval] = self._enclose(*interval)
        return self._cells[interval]

    def _moment(self, radius: float) -> tuple[Any, Any]:
        """m and κ at one radius."""
        if radius not in self._moments:
            arb, dim = self.flint.arb, self.dim
            with self.flint.ctx.workprec(4 * BITS):  # m − cos α ~ α²/(d+1) cancels a few bits
                angle, shape = arb(radius), self.lam + 0.5
                integral = arb(2) ** (dim - 2) * ((angle / 2).sin() ** 2).beta_lower(shape, shape)  # ∫_0^α sin^{d−2}
                m = angle.sin() ** (dim - 1) / ((dim - 1) * integral)
                self._moments[radius] = m, angle.sin() ** 2 / ((dim - 1) * (m - angle.cos()))
        return self._moments[radius]

    def _enclose(self, low: float, high: float) -> Cell:
        arb, lam, terms = self.flint.arb, self.lam, self.terms
        middle = arb(0.5 * (low + high))
        cosine = middle.cos()
        (m_low, k_low), (m_high, k_high) = self._moment(low), self._moment(high)
        m, kappa = m_low.union(m_high), k_low.union(k_high)  # both fall in the radius
        polynomials = [gegenbauer_values(lam + shift, cosine, terms) for shift in (1, 2, 3)]
        with self.flint.ctx.workprec(BITS):  # the recurrences are over: nothing cancels from here on
            q, z, y = ([value + 0 for value in values] for values in polynomials)
            r = (arb(high) - middle).abs_upper().max((middle - arb(low)).abs_upper())
            lowest = arb(low).sin().min(arb(high).sin())
            return self._assemble(q, z, y, m + 0, kappa + 0, middle.sin(), lowest, r)

    def _assemble(self, q: Any, z: Any, y: Any, m: Any, kappa: Any, sine: Any, lowest: Any, r: Any) -> Cell:
        """The cell from the polynomials Q, Z and Y in its middle; ``lowest`` bounds sin θ, ``r`` is the half-width."""
        arb, dim, terms = self.flint.arb, self.dim, self.terms
        first, second, plain = (envelope.bounds(lowest) for envelope in (self.first, self.second, self.plain))
        slope, value, old = [], [], []
        for n in range(1, terms + 1):
            # Taylor in θ: a polynomial in cos θ with weights ≥ 0 on cos kθ has its largest second derivative at θ = 0
            g = arb((n - 1) * (n + dim - 1)) / (dim + 1)  # Q_{n−1}′ = g·Z_{n−2}
            turn = g * sine * z[n - 2] if n > 1 else arb(0)
            enclosed = self._within(q[n - 1], turn, g, r, first[n - 1])
            rest = arb(0)
            if n > 1:
                h = arb((n - 2) * (n + dim)) / (dim + 3)  # Z_{n−2}′ = h·Y_{n−3}
                turn = h * sine * y[n - 3] if n > 2 else arb(0)
                rest = kappa * g * self._within(z[n - 2], turn, h, r, second[n - 2])
            slope.append(-(enclosed + rest))
            value.append(m * enclosed)
            old.append(enclosed)
        beyond = first[terms].max(first[terms + 1])
        # |P_n − m Q_{n−1}|/(m − x) bounds the slope's factor for n > N
        excess = (plain[terms].max(plain[terms + 1]) + m * beyond) * (dim - 1) * kappa / lowest**2
        slope.append(arb(0, excess.abs_upper()))
        value.append(arb(0, (m * beyond).abs_upper()))
        old.append(beyond)
        return Cell(slope, value, old)

    def _within(self, value: Any, slope: Any, curvature: Any, r: Any, bound: Any) -> Any:
        """A polynomial of cos θ over an interval of half-width r, never wider than its envelope."""
        arb = self.flint.arb
        ball = value + arb(0, (r * slope.abs_upper() + r * r * curvature / 2).abs_upper())
        return ball.max(-bound).min(bound)


class SoftCells:
    """Cells of von Mises–Fisher concentrations."""

    def __init__(self, dim: int, terms: int, flint: Any) -> None:
        self.flint, self.terms = flint, terms
        self.lam = flint.arb(dim - 2) / 2
        self._cells: dict[Interval, Cell] = {}
        self._ratios: dict[float, list[Any]] = {}

    def __getitem__(self, interval: Interval) -> Cell:
        if interval not in self._cells:
            self._cells[interval] = self._enclose(*interval)
        return self._cells[interval]

    def _ratio(self, kappa: float) -> list[Any]:
        """r_λ … r_{λ+N+1} at one concentration, by r_ν = κ/(2(ν+1) + κ r_{ν+1}) downwards, a contraction."""
        if kappa not in self._ratios:
            k, top = self.flint.arb(kappa), self.lam + self.terms + 2
            ratios = [k.bessel_i(top + 1) / k.bessel_i(top)]
            for j in range(self.terms + 1, -1, -1):
                ratios.append(k / (2 * (self.lam + j + 1) + k * ratios[-1]))
            self._ratios[kappa] = ratios[:0:-1]
        return self._ratios[kappa]

    def _enclose(self, low: float, high: float) -> Cell:
        arb, terms = self.flint.arb, self.terms
        least, most = self._ratio(low), self._ratio(high)
        ratios = [a.union(b) for a, b in zip(least, most, strict=True)]
        growth = arb(0.5, 0.5)  # ℓ of the highest order, in [0, 1]
        shares = []
        for r, above in zip(ratios[-2::-1], ratios[:0:-1], strict=True):
            growth = (1 - r * above * (1 + growth)).max(arb(0)).min(arb(1))
            shares.append(growth)
        shares.reverse()
        slope, value = [], []
        bottom, upper, total = arb(1), arb(1), arb(0)
        for n in range(terms):
            bottom, upper, total = bottom * least[n], upper * most[n], total + shares[n]
            value.append(bottom.union(upper))
            slope.append(value[-1] * total)
        # n a_n falls from N on, if r_{λ+N} (1 + 1/N) < 1, and bounds κ a_n′
        falls = most[terms] * (1 + arb(1) / terms) < 1
        past = upper * terms if falls else arb("inf")
        return Cell([*slope, arb(0, past.abs_upper())], [*value, arb(0, upper.abs_upper())], [*value, upper])

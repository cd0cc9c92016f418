r"""The series of both gaps in ball arithmetic: coefficients, remainder, and the signs c_n of each inequality.

With w_n = −N_n F_n ≥ 0 the Funk–Hecke coefficients of the distance, both gaps of Theorem 1 are
:math:`\sum_{n≥1} c_n a_n(old)[a_n(new) − a_n(old)]`: c_n = w_n for one class, −w_n P_n(ρ) for two classes whose axes
have cosine ρ. What lies beyond the last term is bounded by Σ_{n>N} w_n = F_0 − Σ_{n≤N} w_n.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from theory._series import Expandable
from theory.certify.boxes import Interval
from theory.extras import require
from theory.metrics import PowerDistance

METRIC_NAMES = ("sqeuclidean", "euclidean", "angular")
"""The distances of the table of certificates; ``cosine`` has the signs of ``sqeuclidean``."""


def load_flint() -> Any:
    """python-flint, or one sentence that names the extra."""
    require("theory.certify", "flint")
    import flint

    return flint


def gegenbauer_values(mu: Any, x: Any, count: int) -> list[Any]:
    """Polynomials 0 … count−1 of index μ, normalised to 1 at 1, at one point: up to 1.3 bits are lost a step."""
    values = [type(mu)(1), x]
    for n in range(1, count - 1):
        values.append((2 * (n + mu) * x * values[n] - n * values[n - 1]) / (n + 2 * mu))
    return values[:count]


class Envelope:
    r"""Bounds of the Gegenbauer polynomials of index μ away from ±1, for every degree up to one.

    u = sin^μ θ · Q solves u″ + φu = 0 with φ = (k+μ)² − μ(μ−1)/sin²θ, which for μ ≥ 1 grows towards π/2; so
    does Sonin's φu² + u′², whose value at π/2 is explicit (Szegő, *Orthogonal Polynomials*, 7.31). The bound
    falls in k by steps of two: the last two bounds hold for all that follow.
    """

    def __init__(self, mu: Any, count: int) -> None:
        self.mu, self.one = mu, type(mu)(1)
        even, odd = self.one, self.one
        self.at_equator = []
        for k in range(count):
            j = k // 2
            if k % 2 == 0:
                self.at_equator.append(((k + mu) ** 2 - mu * (mu - 1)).sqrt() * even)
                even = even * (j + 0.5) / (mu + j + 0.5)
            else:
                self.at_equator.append(k * (k + 2 * mu) / (2 * mu + 1) * odd)
                odd = odd * (j + 0.5) / (mu + j + 1.5)

    def bounds(self, sine: Any) -> list[Any]:
        """Bound of |Q_k(cos θ)| wherever sin θ ≥ ``sine``, for each k."""
        if not (self.mu >= 1 and sine > 0):
            return [self.one] * len(self.at_equator)
        spread, power = self.mu * (self.mu - 1) / sine**2, sine**self.mu
        bounds = []
        for k, at_equator in enumerate(self.at_equator):
            phi = (k + self.mu) ** 2 - spread
            bounds.append((at_equator / (phi.sqrt() * power)).abs_upper().min(self.one) if phi > 0 else self.one)
        return bounds


def multiplicities(dim: int, count: int, flint: Any) -> list[Any]:
    """N_1 … N_count, the dimensions of the spaces of spherical harmonics, as balls."""
    lam = flint.arb(dim - 2) / 2
    values = [flint.arb(dim)]
    for n in range(1, count):
        values.append(values[-1] * (n + 1 + lam) / (n + lam) * (n + 2 * lam) / (n + 1))
    return values


def coefficients(dim: int, metric: Expandable, terms: int, flint: Any) -> tuple[list[Any], Any]:
    """w_1 … w_N of a distance of negative type, s ≤ 1, and the remainder Σ_{n>N} w_n, as balls."""
    arb = flint.arb
    if metric.linear is not None:
        return [2 * arb(metric.linear)] + [arb(0)] * (terms - 1), arb(0)
    lam = arb(dim - 2) / 2
    half = arb(0.5)
    if isinstance(metric, PowerDistance):
        s = arb(metric.s)
        mean = metric.scale * arb(4) ** s * (lam + half + s).gamma() * (2 * lam + 1).gamma()
        mean /= (lam + half).gamma() * (2 * lam + 1 + s).gamma()
        kernel = [s / (s + 2 * lam + 1) * mean]  # −F_n
        for n in range(1, terms):
            kernel.append(kernel[-1] * (n - s) / (n + s + 2 * lam + 1))
    else:
        mean = arb.pi() / 2
        first = (lam + 1).gamma() ** 2 / ((lam + half).gamma() * (lam + 1 + half).gamma()) / (2 * lam + 1)
        kernel = [first, arb(0)]
        for n in range(1, terms - 1):
            kernel.append(kernel[-2] * (n / (n + 2 * lam + 2)) ** 2 if n % 2 else arb(0))
    weights = [a * b for a, b in zip(multiplicities(dim, terms, flint), kernel, strict=True)]
    return weights, (mean - sum(weights, arb(0))).abs_upper()


@dataclass(frozen=True)
class Signs:
    """c_1 … c_N of an inequality, and what multiplies the laws' bounds for all that follows."""

    terms: list[Any]
    tail: Any


def both_sides(dim: int, metric: Expandable, cosine: Interval, terms: int, flint: Any) -> dict[str, Signs]:
    """The two inequalities' c_n; those of 1b hold for every axis cosine in the range."""
    arb = flint.arb
    lam = arb(dim - 2) / 2
    weights, tail = coefficients(dim, metric, terms, flint)
    low, high = arb(cosine[1]).acos(), arb(cosine[0]).acos()
    middle, half_width = (low + high) / 2, ((high - low) / 2).abs_upper()
    # |dP_n/dθ| ≤ n (Bernstein) carries the polynomials from the middle of the range of ρ to all of it
    polynomials = [
        p + arb(0, (n * half_width).abs_upper())
        for n, p in enumerate(gegenbauer_values(lam, middle.cos(), terms + 1)[1:], start=1)
    ]
    sine = low.sin().min(high.sin()) if low > 0 and high < arb.pi() else arb(0)
    last = Envelope(lam, terms + 3).bounds(sine)[-2:]
    return {
        "same_class": Signs(weights, tail),
        "different_class": Signs(
            [-w * p for w, p in zip(weights, polynomials, strict=True)], tail * last[0].max(last[1])
        ),
    }

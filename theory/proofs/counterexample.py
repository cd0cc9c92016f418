"""Where Theorem 1 fails: T6, another distance, and caps above π/2 on axes near a right angle (paper, Theorem 1)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from theory._laws import Law
from theory.caps import UniformCap
from theory.compatibility import theorem1_gaps
from theory.distances import expected_distance
from theory.metrics import PowerDistance
from theory.proofs._derivation import Derivation, Proof
from theory.proofs.beyond_cosine import c
from theory.proofs.table import AVERAGE, CIRCLE, NARROW, SIMPLEX, SOFT, TRIANGLE, WIDE, settled
from theory.von_mises_fisher import VonMisesFisher


def cubic_counterexample(power_of_cosine: int = 3, dimension: int = 9) -> Proof:
    r"""T6: with F = 1 − c³, d = 9, K = 10, α_t = 0.2 < α_k = 0.3, 1a holds and 1b is violated.

    From c³ = [3P_1 + (d−1)P_3]/(d+2) and L's a_n = m·Q_{n−1}(cos α): gaps +0.0493323 and −0.00117993, in
    closed form.

    Parameters
    ----------
    power_of_cosine : {1, 3}
        F = 1 − c^power: 1 is the cosine distance, for which nothing is violated.
    dimension : int
        d ≥ 3; K = d + 1.

    Raises
    ------
    ProofError
        If the gap of 1b is not negative: then this is no counter-example.

    References
    ----------
    Paper, Definition 1 (a general distance) and Theorem 1.
    """
    proof = Derivation(f"T6 for F = 1 − c^{power_of_cosine}")
    d = sp.Symbol("d", positive=True)
    third = ((d + 2) * c**3 - 3 * c) / (d - 1)
    slope = sp.diff(third, c)
    proof.equal("i", "P_3 = ((d+2)c³ − 3c)/(d−1): an eigenfunction of the Laplacian, P_3(1) = 1",
                (1 - c**2) * sp.diff(slope, c) - (d - 1) * c * slope, -3 * (d + 1) * third)  # fmt: skip
    proof.equal("i", "c³ = [3P_1 + (d−1)P_3]/(d+2)", (3 * c + (d - 1) * third) / (d + 2), c**3)
    alpha = sp.Symbol("alpha", positive=True)
    rho = -sp.Integer(1) / dimension
    third = third.subs(d, dimension)
    shares = {1: sp.Integer(1)} if power_of_cosine == 1 else {1: sp.Rational(3, dimension + 2),
                                                              3: sp.Rational(dimension - 1, dimension + 2)}  # fmt: skip
    proof.holds("ii", "F = 1 − Σ share_n P_n with shares of sum 1", sum(shares.values()) == 1)
    polynomials = {1: c, 3: third}
    # sin^{d−3}·sin dθ with c = cos θ; the substitution makes the cap averages integrals of polynomials for odd d
    weight = (1 - c**2) ** sp.Rational(dimension - 3, 2)
    low = sp.cos(alpha)
    area = sp.integrate(sp.expand(weight), (c, low, 1))
    averages = {n: sp.integrate(sp.expand(weight * polynomials[n]), (c, low, 1)) / area for n in shares}

    def gap(factor: dict[int, sp.Expr]) -> sp.Expr:
        total = sp.Integer(0)
        for n, share in shares.items():
            new, old = (averages[n].subs(alpha, radius) for radius in (sp.Rational(1, 5), sp.Rational(3, 10)))
            total += share * factor[n] * old * (new - old)
        return total

    same = gap(dict.fromkeys(shares, sp.Integer(1))).evalf(15)
    different = -gap({n: polynomials[n].subs(c, rho) for n in shares}).evalf(15)
    proof.holds("iii", f"gap of 1a = {sp.N(same, 6)} > 0", same > 0)
    proof.holds("iv", f"gap of 1b = {sp.N(different, 6)} < 0", different < 0, f"it is {sp.N(different, 6)}")
    return proof.qed(
        f"F = 1 − c³, d = {dimension}, K = {dimension + 1}, α_t = 0.2 < α_k = 0.3: gaps {sp.N(same, 6)} (1a) and "
        f"{sp.N(different, 6)} (1b): Theorem 1 does not hold for every distance",
        ("uniform caps", "a regular simplex of d + 1 vertices"),
        settles=settled("fails: proved", (NARROW, SIMPLEX, WIDE), ("any other",)),
        witness=f"1 − c³, d = {dimension}, K = {dimension + 1}, α 0.2 < 0.3: gap of 1b {sp.N(different, 6)}",
    )


def refutations() -> Proof:
    r"""Witnessed: where no derivation of this package speaks of "any other" distance, or of an average, it fails.

    Raises
    ------
    ProofError
        If a gap is not negative, or two averages do not differ, by more than 1e−9.

    References
    ----------
    Paper, Theorem 1 and Eq. 1b.
    """

    def cubic(cosine: NDArray[np.float64]) -> NDArray[np.float64]:
        return 1.0 - cosine**3

    proof = Derivation("refutations by numbers")
    cases: tuple[tuple[Law, Law, int], ...] = (
        (UniformCap(2, 0.1), UniformCap(2, 0.541), 3),
        (VonMisesFisher(9, 60.0), VonMisesFisher(9, 30.0), 10),
    )
    found = []
    for new, old, classes in cases:
        gap = float(theorem1_gaps(new, old, classes, cubic).different_class)
        found.append(f"1 − c³, {new} against {old}, K = {classes}: gap of 1b {gap:.4g}")
        proof.holds("i", found[-1], gap < -1e-9)
    for metric in ("euclidean", "angular"):
        gaps = theorem1_gaps(UniformCap(9, 0.3), UniformCap(9, 0.6), 10, metric)
        apart = float(gaps.different_class) - float(gaps.same_class) / 9
        found.append(f"{metric}, d = 9, K = 10, α 0.3 < 0.6: gap of 1b less gap of 1a / 9 is {apart:.4g}")
        proof.holds("ii", found[-1], abs(apart) > 1e-9)
    return proof.qed(
        "1 − c³ violates 1b on the circle and for von Mises–Fisher laws; on average 1a and 1b are one for the squared "
        "distance only",
        ("floating-point quadrature, right to 1e−10",),
        settles=settled("fails: witnessed", (CIRCLE, SOFT, TRIANGLE), ("any other",))
        | settled("fails: witnessed", (AVERAGE,), ("euclidean", "angular", "power", "any other")),
        witness="; ".join(found),
    )


Case = tuple[int, float, float, float, float]
NEAR_RIGHT_ANGLE: tuple[Case, ...] = ((3, 0.5, 0.0, 0.5, 2.0), (3, 0.5, -0.02, 0.3, 2.2))
ON_TRIANGLE: tuple[Case, ...] = ((2, 0.01, -0.5, 0.1, 2.8),)


def wide_violation(cases: Sequence[Case] = NEAR_RIGHT_ANGLE + ON_TRIANGLE) -> Proof:
    r"""Witnessed, not proved: above π/2 powers of the chord violate 1b, where N3's bound −ρ ≥ c₀ leaves room for it.

    The chord close to ρ = 0 in d = 3; ‖u−v‖^{0.02} on the triangle, the simplex of d = 2.

    Parameters
    ----------
    cases : sequence of (d, s, ρ, α_t, α_k)
        Dimension, half of the power, axes' cosine and radii, α_t < α_k.

    Raises
    ------
    ProofError
        If a gap is not negative by more than its quadrature error.

    References
    ----------
    Paper, Theorem 1 and Eq. 1b.
    """
    proof = Derivation("violations above π/2")
    witness = ""
    for dim, s, rho, new, old in cases:
        gap, error = 0.0, 0.0
        for radius, sign in ((new, 1.0), (old, -1.0)):
            value = expected_distance(
                UniformCap(dim, radius), UniformCap(dim, old), rho, PowerDistance(s), return_error=True
            )
            gap, error = gap + sign * np.asarray(value)[0], error + np.asarray(value)[1]
        found = f"‖u−v‖^{2 * s:g}, d = {dim}, ρ = {rho:g}, α {new:g} < {old:g}: gap of 1b {gap:.7g} ± {error:.0e}"
        proof.holds("i", found, bool(gap < -error))
        witness += f"{'; ' if witness else ''}{found}"
    return proof.qed(
        "powers of the chord, radii above π/2: 1b fails close to ρ = 0, and for small powers on the triangle",
        ("uniform caps", "floating-point quadrature with its own error estimate"),
        settles=settled("fails: witnessed", (WIDE,), ("euclidean", "power"))
        | settled("fails: witnessed", (TRIANGLE,), ("power",)),
        witness=witness,
    )

"""What follows from T4 (paper, Theorem 1): the worst simplex, von Mises–Fisher laws, how much drift is tolerated."""

from __future__ import annotations

import sympy as sp

from theory.proofs._derivation import Derivation, Proof
from theory.proofs.beyond_cosine import ANGULAR, c
from theory.proofs.table import DRIFT, SOFT, TIGHTEST, settled

GAIN = sp.Symbol("gain", nonnegative=True)  # κ_t − κ_k


def worst_simplex(cosine: sp.Expr | None = None) -> Proof:
    r"""N1: the gap of 1b does not grow as ρ rises to 0, so that of K classes is smallest for K = d + 1.

    gap(ρ) = ∫ (G_t − G_k)(−M′) dθ, G the distribution functions of the polar angles, G_t ≥ G_k; −M′(θ) is a positive
    factor times −H(θ, ρ), which does not grow with ρ where h is non-decreasing.

    Parameters
    ----------
    cosine : sympy expression in ``K``, optional
        ρ of the simplex, if not −1/(K−1).

    Raises
    ------
    ProofError
        If a step fails.

    References
    ----------
    Paper, Theorem 1.
    """
    proof = Derivation("N1")
    theta, end = sp.symbols("theta alpha", positive=True)
    mean, order = sp.Function("M"), sp.Function("D")  # D = G_t − G_k, 0 at both ends of [0, α_k]
    product = sp.diff(order(theta) * mean(theta), theta)
    parts = order(theta) * sp.diff(mean(theta), theta) + sp.diff(order(theta), theta) * mean(theta)
    proof.equal("i", "by parts, E_t M − E_k M = ∫ D′M = [D M] − ∫ D M′", product, parts)
    area, weight = sp.Function("I"), sp.Symbol("w", positive=True)  # I(θ) = ∫_0^θ sin^{d−2}, w = sin^{d−2}α
    share = area(theta) / area(end)
    falling = sp.diff(share, end).subs(sp.Derivative(area(end), end), weight)
    positive = {area(theta): sp.Symbol("I1", positive=True), area(end): sp.Symbol("I2", positive=True)}
    proof.holds("ii", "a cap's distribution function I(θ)/I(α) falls in α, so D ≥ 0",
                falling.subs(positive).is_negative)  # fmt: skip
    more = sp.Symbol("more", positive=True)
    classes = sp.Symbol("K", positive=True)
    rho = -1 / (classes - 1) if cosine is None else cosine
    slope = sp.factor(sp.diff(rho, classes).subs(classes, 1 + more))
    proof.holds("iii", "−1/(K−1) rises with K, and K ≤ d + 1", slope.is_positive, f"its slope is {slope}")
    return proof.qed(
        "h non-decreasing: gap(ρ) ≥ gap(ρ') for ρ ≤ ρ'; the simplex of d + 1 vertices has the smallest gap of 1b",
        (
            "h non-decreasing (every distance of T4)",
            "new polar angle stochastically smaller",
            "d ≥ 3, or d = 2 with s > ½",
        ),
        ("L, twice (its statement)", "T4, flux (its statement)"),
        settled("proved", (TIGHTEST,)),
    )


def drift_threshold(distance: sp.Expr = ANGULAR) -> Proof:
    r"""T7 for every strictly falling F: the drifts that 1a, and 1b for one class pair, tolerate are intervals from 0.

    E is strictly decreasing in the axes' cosine (L). 1a holds ⟺ ω ≤ ω*, E(α_t, α_k, cos ω*) = E(α_k, α_k, 1); 1b of
    one pair, the drift straight at the other vertex, ⟺ E(α_t, α_k, cos(arccos ρ − ω)) ≥ E(α_k, α_k, ρ), ω ≤ arccos ρ.

    Parameters
    ----------
    distance : sympy expression in ``c``
        F; the powers of the chord are checked besides.

    Raises
    ------
    ProofError
        If a step fails.

    References
    ----------
    Paper, Theorem 1.
    """
    proof = Derivation("T7 for every distance")
    y, s = sp.symbols("y s", positive=True)
    proof.nonnegative("i", f"F = {distance} does not increase with the cosine", -sp.diff(distance, c), c)
    proof.holds("i", "and is not constant", sp.simplify(sp.diff(distance, c)) != 0)
    proof.holds("i", "(2 − 2c)^s falls strictly", sp.diff(y**s, y).is_positive)
    omega, between = sp.symbols("omega between", real=True)
    fall, inside = sp.Symbol("fall", negative=True), sp.Symbol("sine", positive=True)  # ∂E/∂ρ by L; sine in (0, π)
    turned = fall * sp.diff(sp.cos(omega), omega).subs(sp.sin(omega), inside)
    proof.holds("ii", "1a: E rises with ω on (0, π), so its gap falls", turned.is_positive)
    towards = fall * sp.diff(sp.cos(between - omega), omega).subs(sp.sin(between - omega), inside)
    proof.holds("iii", "1b: E falls with ω up to arccos ρ, and so does its gap", towards.is_negative)
    return proof.qed(
        "1a holds ⟺ ω ≤ ω* with E(α_t, α_k, cos ω*) = E(α_k, α_k, 1); 1b of one class pair, drift straight at the "
        "other vertex, holds up to one root likewise",
        ("F continuous and strictly falling", "symmetric laws, m > 0", "1a and 1b hold without drift"),
        (
            "L, twice: ∂E/∂ρ = m_t m_k E F′ < 0 (its statement)",
            "the intermediate value theorem, as E(k, k, 1) < (mean of E over all axes) < E(t, k, −1)",
        ),
        settled("proved", (DRIFT,)),
    )


def von_mises_fisher(gain: sp.Expr = GAIN) -> Proof:
    r"""N2: for von Mises–Fisher laws with κ_t ≥ κ_k, 1a and 1b hold for the distances of T4 and every ρ ≤ 0.

    By (ii) look at ρ = 0. There M is even in cos θ and grows with |cos θ|, and |cos θ| grows stochastically
    with κ, as the ratio of the folded densities cosh(κ_t c)/cosh(κ_k c) increases on [0, 1].

    Parameters
    ----------
    gain : sympy expression
        κ_t − κ_k ≥ 0.

    Raises
    ------
    ProofError
        If a step fails.

    References
    ----------
    Mardia & Jupp, *Directional Statistics*, 2000, section 9.3; Shaked & Shanthikumar, *Stochastic Orders*, 2007, 1.C.
    """
    proof = Derivation("N2")
    kappa, level = sp.symbols("kappa level", positive=True)
    ratio = sp.cosh((kappa + gain) * level) / sp.cosh(kappa * level)
    slope = sp.diff(sp.log(ratio), level)
    rate = sp.Symbol("x", positive=True)
    term = rate * sp.tanh(rate * level)
    proof.equal("i", "(log ratio)′ = κ_t tanh κ_t c − κ_k tanh κ_k c", slope.rewrite(sp.exp),
                (term.subs(rate, kappa + gain) - term.subs(rate, kappa)).rewrite(sp.exp))  # fmt: skip
    hyperbolic = sp.Symbol("tanh", positive=True)
    growth = hyperbolic + rate * level / sp.cosh(rate * level) ** 2
    proof.equal("ii", "x tanh(xc) has derivative tanh(xc) + xc/cosh²(xc)",
                sp.diff(term, rate).rewrite(sp.exp),
                growth.subs(hyperbolic, sp.tanh(rate * level)).rewrite(sp.exp))  # fmt: skip
    proof.holds("ii", "which is > 0 for x, c > 0", growth.is_positive)
    proof.holds("ii", "so with κ_t ≥ κ_k the ratio grows: likelihood-ratio order", gain.is_nonnegative, f"gain {gain}")
    unfolded = sp.diff((kappa + gain) * c - kappa * c, c)
    proof.holds("1a", "and so does e^{(κ_t−κ_k)c}: the polar angle is smaller, as 1a asks", unfolded.is_nonnegative)
    folded = sp.diff(sp.cosh(kappa * level), level)
    proof.holds("iii", "the folded old density ∝ cosh(κ_k c) grows with |c|: (v) of T4 holds",
                folded == kappa * sp.sinh(kappa * level) and sp.sinh(kappa * level).is_positive)  # fmt: skip
    return proof.qed(
        "von Mises–Fisher laws, κ_t ≥ κ_k: 1a holds, and 1b for every ρ ≤ 0 and every distance of T4",
        ("d ≥ 3", "F with h non-decreasing and e convex"),
        (
            "the likelihood-ratio order implies the stochastic order (Shaked & Shanthikumar, 2007, 1.C.1)",
            "T4, (i) to (v) (its statement)",
        ),
        settled("proved", (SOFT,)),
    )

"""T4 on the circle (d = 2), where a cap is an arc and its rim two points (paper, Theorem 1 and Eq. 1b)."""

from __future__ import annotations

import sympy as sp

from theory.proofs._derivation import Derivation, Proof
from theory.proofs.beyond_cosine import ANGULAR, c, laplacian


def different_class_on_the_circle(distance: sp.Expr = ANGULAR, max_radius: sp.Expr = sp.pi / 2) -> Proof:
    r"""T4, 1b in d = 2: holds for distances that are non-decreasing and concave in the angle, α_t ≤ α_k ≤ π/2.

    With f the distance as a function of the angle, G(z) = f(π−|z|) is even, concave on [−π, π] and falls in |z|. For
    δ = π − arccos ρ ≤ π/2 let T(x) = G(δ−x) + G(δ+x); then M′(θ) = [T(α+θ) − T(α−θ)]/(4α) ≤ 0.

    Parameters
    ----------
    distance : sympy expression in ``c``
        F: the angle, ‖u−v‖^{2s} for s ≤ ½. The others up to s = 1 bend the other way near 0, and T4 itself serves
        (:func:`different_class` at dimension 2, whose rim is two points).
    max_radius : sympy number
        The largest old radius α_k.

    Raises
    ------
    ProofError
        At step "f" if the distance is not concave in the angle, at step "iii" if a radius exceeds π/2.

    References
    ----------
    Paper, Theorem 1 and Eq. 1b; Marshall, Olkin & Arnold, *Inequalities: Theory of Majorization*, 2011, section 4.B.
    """
    proof = Derivation(f"T4, 1b on the circle for F = {distance}")
    proof.nonnegative("f", "f′ = −sin·F′ ≥ 0", -sp.diff(distance, c), c)
    proof.nonnegative("f", "f″ = (1−c²)F″ − cF′ ≤ 0: f is concave", -laplacian(distance, sp.Integer(2)), c)

    alpha, omega = sp.symbols("alpha omega", real=True)
    theta = sp.Symbol("theta", nonnegative=True)
    f, primitive = sp.Function("F"), sp.Function("Phi")  # Φ′ = F, as a function of the signed angle
    ends = [(sign * alpha, sign, turn) for sign in (1, -1) for turn in (1, -1)]
    mean = sum(sign * primitive(omega + end + turn * theta) for end, sign, turn in ends) / (4 * alpha)
    slope = sum(sign * turn * f(omega + end + turn * theta) for end, sign, turn in ends) / (4 * alpha)
    argument = sp.Wild("argument")
    derived = sp.diff(mean, theta).doit().replace(sp.Subs, lambda e, old, new: f(new[0]))
    derived = derived.replace(sp.Derivative(primitive(argument), argument), f(argument))

    def total(x: sp.Expr) -> sp.Expr:
        return f(omega - x) + f(omega + x)

    proof.equal("i", "M averages F over the arc and the two rim points; its derivative", derived, slope)
    proof.equal(
        "i", "M′(θ) = [T(α+θ) − T(α−θ)]/(4α)", slope, (total(alpha + theta) - total(alpha - theta)) / (4 * alpha)
    )

    # p = α+θ and r = α−θ, 0 ≤ r ≤ p; room = π/2 − α and tilt = π/2 − δ
    beyond, tilt = sp.symbols("beyond tilt", nonnegative=True)
    room = beyond + sp.pi / 2 - max_radius
    delta, low = sp.pi / 2 - tilt, sp.Symbol("r", nonnegative=True)
    high = sp.pi - 2 * room - low
    wider = sp.expand((alpha + theta) - (alpha - theta)).is_nonnegative
    proof.holds("ii", "δ + p ≤ π: two pairs about δ with spreads p ≥ r, so T(p) ≤ T(r) by concavity", wider)
    spread = sp.pi - high  # δ + p > π: one point passes π, and the pair is about π − δ with spread q = π − p
    proof.equal("iii", "δ + p > π: G(p−δ) + G(p+δ) is a pair about π − δ of spread q = π − p",
                high - delta, (sp.pi - delta) - spread)  # fmt: skip
    proof.equal("iii", "its other point, p + δ − 2π up to sign", 2 * sp.pi - high - delta, (sp.pi - delta) + spread)
    proof.holds("iii", "q ≥ r as α ≤ π/2, so spread r only raises the sum", sp.expand(spread - low).is_nonnegative)
    for name, larger, smaller in (
        ("|δ + r| ≤ π − δ + r", sp.pi - delta + low, delta + low),
        ("δ − r ≤ π − δ − r", sp.pi - delta - low, delta - low),
    ):
        proof.holds("iii", f"{name} as δ ≤ π/2, and G falls", sp.expand(larger - smaller).is_nonnegative)
    inner = sp.expand((sp.pi - delta - low - (low - delta)).subs(low, sp.pi / 2 - room - theta))
    proof.holds("iii", "r − δ ≤ π − δ − r as r ≤ α ≤ π/2: T(p) ≤ T(r)", inner.is_nonnegative)
    return proof.qed(
        f"d = 2, F = {distance}: M′ ≤ 0, so 1b holds for α_t ≤ α_k ≤ π/2 and every ρ ≤ 0",
        ("uniform arcs", "f non-decreasing and concave in the angle"),
        ("of two pairs with one centre, a concave function has the smaller sum on the wider (Marshall et al., 4.B)",),
    )

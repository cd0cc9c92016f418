"""T4 on the circle (d = 2), where a cap is an arc and its rim two points (paper, Theorem 1 and Eq. 1b)."""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp

from theory.proofs._derivation import Derivation, Proof
from theory.proofs.beyond_cosine import ANGULAR, EUCLIDEAN, c, laplacian
from theory.proofs.table import CIRCLE, settled


def different_class_on_the_circle(
    distances: Sequence[sp.Expr] = (ANGULAR, EUCLIDEAN), max_radius: sp.Expr = sp.pi / 2
) -> Proof:
    r"""T4, 1b in d = 2: holds for distances that are non-decreasing and concave in the angle, α_t ≤ α_k ≤ π/2.

    With f the distance as a function of the angle, G(z) = f(π−|z|) is even, concave on [−π, π] and falls in |z|. For
    δ = π − arccos ρ ≤ π/2 let T(x) = G(δ−x) + G(δ+x); then M′(θ) = [T(α+θ) − T(α−θ)]/(4α) ≤ 0.

    Parameters
    ----------
    distances : sequence of sympy expressions in ``c``
        Each an F; ‖u−v‖^{2s} is checked besides for every s ≤ ½. For ½ < s ≤ 1 it is convex in small angles, and T4
        itself serves (:func:`theory.proofs.power_distance`).
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
    proof = Derivation("T4, 1b on the circle")
    for distance in distances:
        proof.nonnegative("f", f"{distance}: f′ = −sin·F′ ≥ 0", -sp.diff(distance, c), c)
        proof.nonnegative("f", "f″ = (1−c²)F″ − cF′ ≤ 0: f is concave", -laplacian(distance, sp.Integer(2)), c)
    y, s = sp.symbols("y s", positive=True)  # y = 2 − 2c, so 1 − c² = y − y²/4 and d/dc = −2 d/dy
    rest = sp.Symbol("rest", nonnegative=True)  # 1 − 2s
    bend = (y - y**2 / 4) * 4 * sp.diff(y**s, y, 2) + (1 - y / 2) * 2 * sp.diff(y**s, y)
    signed = -2 * s * y ** (s - 1) * (rest + s * y / 2)
    proof.equal(
        "f", "‖u−v‖^{2s}: f″ = −2s y^{s−1}[(1−2s) + sy/2]", sp.expand(bend), sp.expand(signed.subs(rest, 1 - 2 * s))
    )
    proof.holds("f", "≤ 0 for s ≤ ½", signed.is_nonpositive)

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
        "d = 2, the angle and ‖u−v‖^{2s}, s ≤ ½: M′ ≤ 0, so 1b holds for α_t ≤ α_k ≤ π/2 and every ρ ≤ 0",
        ("uniform arcs", "f non-decreasing and concave in the angle"),
        (
            "of two pairs with one centre, a concave function has the smaller sum on the wider (Marshall et al., 4.B)",
            "T4, 1b for powers of the chord, where ½ < s ≤ 1 (its statement)",
        ),
        settled("proved", (CIRCLE,), ("euclidean", "angular", "power")),
    )

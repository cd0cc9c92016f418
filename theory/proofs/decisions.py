r"""Theorem D: true and false accept rates at a threshold, for any number of classes (no reference is known to us).

u new, v old in the class with axis w; v' old in a class with axis w', ρ = w·w'; radii α_t ≤ α_k and α'. With N_t ≥ N_k
the distribution functions of the two polar angles, −Δk̃ = p_t − p_k has a zonal solution that is a positive mixture of
indicators of caps of radius θ ≤ α_k, and FAR_t ≤ FAR_k ⟺ I = E_t f̃′(z)(τz − ρ) ≥ 0 with f̃ = k̃ ⋆ p' and
z = τρ + √(1−τ²)√(1−ρ²) t. For one cap of each kind f̃′ is known, and levels of R = Δ₁/(1−z²) pair the points at which
the integrand must be compared.
"""

from __future__ import annotations

import numpy as np
import sympy as sp

from theory.proofs._calculus import as_total_derivative
from theory.proofs._derivation import Derivation, Proof
from theory.proofs.table import (
    BELOW,
    CAPS,
    DRIFTED,
    FALSE_ACUTE,
    FALSE_EXTENDED,
    FALSE_OBTUSE,
    FLAT_BELOW,
    GENERAL,
    RANKED,
    RECALL,
    SEPARATED,
    SOFT_LAWS,
    TRUE_RATE,
    settled,
)

d = sp.Symbol("d", positive=True)
tau, rho, z, r, t = sp.symbols("tau rho z r t", real=True)
p, q = sp.symbols("p q", real=True)  # cos θ and cos β, the caps of the mixture
RIM = (1 - p**2) * (1 - q**2) - (z - p * q) ** 2  # Δ₂
CIRCLE = (1 - tau**2) * (1 - rho**2) - (z - tau * rho) ** 2  # Δ₁
LEMMAS = {
    "commute": "zonal kernels commute (Funk & Hecke; Dai & Xu, 2013, 1.2)",
    "green": "the equation −Δk̃ = p_t − p_k on the sphere has a zonal solution (Dai & Xu, 2013, 1.4)",
    "area": "the common area of two caps falls, with the angle between them, at the rate of the volume of the ball "
    "that is spanned where their rims meet (co-area formula)",
    "mixture": "a density that does not rise with the polar angle is a mixture of caps (its statement, 1a of T4)",
    "truncation": "truncation from above lowers a law in the stochastic order (Shaked & Shanthikumar, 2007, 1.A)",
    "bessel": "A(s) = I_{ν+1}(s)/I_ν(s) rises, A(s)/s falls, I_{ν+2m+2}(s)/I_{ν+2m}(s) rises (Amos, 1974; DLMF 10.37)",
    "diminishing": "a kernel that is totally positive of order 2 does not add changes of sign (Karlin, 1968, 5.3)",
}
"""What the derivations of this module use and do not derive."""


def accept_rates(rim: sp.Expr = RIM, weight: sp.Expr = tau * z - rho) -> Proof:
    r"""Steps 1 to 3: the difference of two accept rates is an integral over one circle, for every ρ and τ.

    Parameters
    ----------
    rim, weight : sympy expressions in ``z, p, q`` and in ``z, tau, rho``
        The claimed Δ₂, and the factor of f̃′: these and no others.

    Raises
    ------
    ProofError
        If a step fails.

    References
    ----------
    Paper, Definition 1; no reference for the result is known to us.
    """
    proof = Derivation("D, the difference of two rates")
    theta, area = sp.symbols("theta S", positive=True)
    share = sp.Function("N")(theta)  # N_t − N_k
    slope = -share / (area * sp.sin(theta) ** (d - 2))
    laplacian = sp.diff(sp.sin(theta) ** (d - 2) * slope, theta) / sp.sin(theta) ** (d - 2)
    density = sp.diff(share, theta) / (area * sp.sin(theta) ** (d - 2))
    proof.identity("1", "−Δk̃ for dk̃/dθ = −(N_t − N_k)/(|S^{d−2}| sin^{d−2}θ), which is p_t − p_k,", -laplacian, density)
    gain, size = sp.Symbol("N", nonnegative=True), sp.Symbol("sine", positive=True)
    proof.sign("1", "dk̃/dθ", "≤", -gain / (area * size ** (d - 2)))
    proof.equal("2", "(1−τ²)^{(d−3)/2}Δ = d/dτ (1−τ²)^{(d−1)/2} d/dτ: the difference of rates is a boundary term",
                *as_total_derivative(sp.Symbol("tau", real=True), d))  # fmt: skip
    root = sp.sqrt(1 - tau**2) * sp.sqrt(1 - rho**2)
    inner = tau * rho + root * t
    proof.equal("2", f"∂z/∂τ = −({weight})/(1−τ²), so FAR_t ≤ FAR_k ⟺ I = E f̃′(z)({weight}) ≥ 0",
                sp.simplify(sp.diff(inner, tau)), sp.simplify((-weight / (1 - tau**2)).subs(z, inner)))  # fmt: skip
    # the squared distance from the plane of the axes to a point with cosines p and q to them
    gram = sp.Matrix([[1, z], [z, 1]])
    foot = (sp.Matrix([[p, q]]) * gram.inv() * sp.Matrix([p, q]))[0]
    proof.equal("3", f"rims at p and q around axes with cosine z meet in a sphere of squared radius "
                f"Δ₂/(1−z²), Δ₂ = {sp.sstr(rim)}", 1 - foot, rim / (1 - z**2))  # fmt: skip
    power = sp.Symbol("h", positive=True)
    along = power ** (d - 2) / sp.sqrt(1 - z**2)  # dψ = −dz/√(1−z²)
    claimed = (power**2 * (1 - z**2)) ** ((d - 2) / 2) / (1 - z**2) ** ((d - 1) / 2)
    inside = sp.Symbol("inside", positive=True)  # 1 − z²
    proof.equal("3", "so f̃′ = C·Δ₂^{(d−2)/2}/(1−z²)^{(d−1)/2} ≥ 0", sp.powsimp(along.subs(1 - z**2, inside)),
                sp.powsimp(sp.expand_power_base(claimed.subs(1 - z**2, inside))))  # fmt: skip
    return proof.qed(
        "FAR_k − FAR_t is a positive multiple of I = E_t f̃′(z)(τz − ρ), f̃′ ≥ 0 a mixture over θ ≤ α_k, β ≤ α' of "
        "max(Δ₂, 0)^{(d−2)/2}/(1−z²)^{(d−1)/2}",
        ("laws symmetric around their axes", "N_t ≥ N_k: the new polar angle is stochastically smaller", "d ≥ 2"),
        (LEMMAS["green"], LEMMAS["commute"], LEMMAS["area"]),
    )


def true_accept_rate() -> Proof:
    """D1: the true accept rate cannot fall at any threshold, for any radii up to π.

    Raises
    ------
    ProofError
        If a step fails.

    References
    ----------
    Paper, Eq. 1a.
    """
    proof = Derivation("D1")
    root = sp.sqrt(1 - tau**2) * sp.sqrt(1 - rho**2)
    inner = (tau * rho + root * t).subs(rho, 1)
    proof.identity("4", "z at ρ = 1", inner, tau)
    level = sp.Symbol("tau", real=True)
    proof.nonnegative("4", "at ρ = 1 the factor −(τz − ρ) = 1 − τ² ≥ 0, so I ≤ 0: the rate does not fall",
                      -(level * level - 1), level)  # fmt: skip
    return proof.qed(
        "D1: TAR_t(τ) ≥ TAR_k(τ) at every τ, α_t ≤ α_k ≤ π",
        ("the new polar angle is stochastically smaller", "the old density does not rise with the polar angle"),
        ("D, the difference of two rates (its statement)", LEMMAS["mixture"]),
        settled("proved", (TRUE_RATE,), (CAPS, SOFT_LAWS, GENERAL)),
    )


def paired_levels(ratio: sp.Expr = CIRCLE / (1 - z**2)) -> Proof:
    r"""Step 5: for τ > |ρ| the levels of R = Δ₁/(1−z²) pair z₋ < z₊ on which all factors but one agree.

    Parameters
    ----------
    ratio : sympy expression in ``z, tau, rho``
        R: this and no other has the derivative and the levels that are claimed.

    Raises
    ------
    ProofError
        If a step fails.
    """
    proof = Derivation("D, paired levels")
    slope = -2 * (tau * z - rho) * (tau - rho * z) / (1 - z**2) ** 2
    proof.identity("5", "R′", sp.diff(ratio, z), slope)
    proof.identity("5", "R at z = ρ/τ, its greatest value,", ratio.subs(z, rho / tau), 1 - tau**2)
    numerator = sp.expand(sp.cancel((ratio - r) * (1 - z**2)))
    total, product = 2 * tau * rho / (1 - r), (tau**2 + rho**2) / (1 - r) - 1
    proof.identity("5", "(R − r)(1−z²)", numerator, -(1 - r) * (z**2 - total * z + product))
    # D = τ − ρz at the two roots, whose sum and product are known
    inverse = (2 * tau - rho * total) / (tau**2 - tau * rho * total + rho**2 * product)
    proof.identity("5", "1/D₊ + 1/D₋, D = τ − ρz,", inverse, 2 * tau / (tau**2 - rho**2))
    x = sp.Symbol("x", positive=True)  # 1/D
    square = (1 - ((tau - 1 / x) / rho) ** 2) * x**2  # (1−z²)/D²
    middle = tau / (tau**2 - rho**2)
    mirrored = square.subs(x, 2 * middle - x)
    proof.equal("5", "(1−z²)/D² takes one value at 1/D and at 2τ/(τ²−ρ²) − 1/D: √(1−z²)/(τ−ρz) agrees at z₊ and z₋",
                sp.simplify(square), sp.simplify(mirrored))  # fmt: skip
    inside, height = sp.symbols("inside height", positive=True)  # 1 − z² and r
    together = inside ** (-(d - 1) / 2) * (height * inside) ** ((d - 4) / 2) * inside**2
    proof.identity("5", "(1−z²)^{−(d−1)/2}·Δ₁^{(d−4)/2}·(1−z²)², Δ₁ = r(1−z²),",
                   sp.powsimp(sp.expand_power_base(together)), height ** ((d - 4) / 2) * sp.sqrt(inside))  # fmt: skip
    upper, lower = sp.symbols("z_+ z_-", real=True)
    proof.identity("5", "(z₋ − pq)² − (z₊ − pq)²", (lower - p * q) ** 2 - (upper - p * q) ** 2,
                   (upper - lower) * (2 * p * q - upper - lower))  # fmt: skip
    return proof.qed(
        "τ > |ρ|: I ≥ 0 if τρ/(1−r) ≤ pq on every level 0 ≤ r ≤ 1−τ²: then |z₊ − pq| ≤ |z₋ − pq|, and Δ₂ is not "
        "smaller at z₊",
        ("τ > |ρ|", "d ≥ 3; at d = 2 the two points of the circle are the level r = 0", "ρ ≠ 0; ρ = 0 has D = τ"),
        ("D, the difference of two rates (its statement)",),
    )


def false_accept_rate(cosines: str = "nonnegative") -> Proof:
    r"""D2, D3 and the extension: from which threshold on the false accept rate cannot rise.

    Parameters
    ----------
    cosines : {"nonnegative", "real"}
        What is known of p = cos θ and q = cos β: radii ≤ π/2 make them non-negative.

    Raises
    ------
    ProofError
        If a step fails: D2 needs the sign of p and q.

    References
    ----------
    Paper, Eq. 1b; no reference for the result is known to us.
    """
    proof = Derivation("D2 and D3")
    up, down, out = sp.symbols("a b e", nonnegative=True)
    first, second = sp.symbols("p q", real=True, **({"nonnegative": True} if cosines == "nonnegative" else {}))
    proof.sign("4", "τz − ρ with τ = −a ≤ 0, z = 1 − b, τ − ρ = e", "≥", sp.expand(-up * (1 - down) + up + out))
    proof.sign("4", "τz − ρ with τ = a ≥ 0, z = b − 1, −ρ − τ = e", "≥", sp.expand(up * (down - 1) + up + out))
    # D2: ρ = −e, τ = a; 1 − r runs over [τ², 1], and −1/(1−r) is greatest at r = 0
    level = sp.Symbol("level", positive=True)  # 1 − r
    proof.sign("6", "d/d(1−r) of τρ/(1−r) with ρ = −e, τ = a: least slack at r = 0,", "≥",
               sp.diff(-up * out / level, level))  # fmt: skip
    proof.sign("6", "D2: pq − τρ with ρ = −e, τ = a", "≥", first * second + up * out)
    beyond = sp.Symbol("slack", nonnegative=True)
    proof.sign("6", "extension: pq − τρ with pq = −ρ² + slack, ρ = −e, τ = e + a", "≥",
               sp.expand(-(out**2) + beyond + (out + up) * out))  # fmt: skip
    # D3: ρ > 0, 1 − r ≥ τ²
    positive, high = sp.symbols("rho tau", positive=True)
    proof.identity("6", "τρ/(1−r) at 1−r = τ², where it is greatest for ρ > 0,",
                   (high * positive / level).subs(level, high**2), positive / high)  # fmt: skip
    proof.sign("6", "d/d(1−r) of τρ/(1−r) for ρ > 0", "<", sp.diff(high * positive / level, level))
    least = sp.Symbol("pq", positive=True)
    bound = positive / least + beyond
    proof.sign("6", "D3: pq − ρ/τ with τ = ρ/pq + slack", "≥", sp.factor(sp.together(least - positive / bound)))
    return proof.qed(
        "FAR_t(τ) ≤ FAR_k(τ): D2, ρ ≤ 0 and radii ≤ π/2, at τ ≥ ρ; further while min(cos α', cos α_k cos α') ≥ −ρ²; "
        "D3, ρ > 0 and radii < π/2, at τ ≥ ρ/(cos α_k cos α')",
        ("the new polar angle is stochastically smaller", "the density of v' does not rise with the polar angle",
         "α_k and α' the largest polar angles of v and v'; the extension: uniform caps"),
        ("D, the difference of two rates (its statement)", "D, paired levels (its statement)", LEMMAS["mixture"]),
        settled("proved", (FALSE_OBTUSE, FALSE_ACUTE), (CAPS, GENERAL)) | settled("proved", (FALSE_EXTENDED,), (CAPS,)),
    )  # fmt: skip


def false_accept_rate_of_soft_laws() -> Proof:
    r"""D2 for von Mises–Fisher laws, κ_t ≥ κ_k, any κ', ρ ≤ 0, τ ≥ ρ.

    h = (1−z²)^{(d−1)/2}f̃′ is the true accept gain with partner p', so h ≥ 0; by step 5 it is enough that h rises on
    [−1, 0] and h(z) ≥ h(−z) for z > 0. Its derivative is −(p_t − p_k)⋆p'.

    Raises
    ------
    ProofError
        If a step fails.
    """
    proof = Derivation("D2 for von Mises–Fisher laws")
    kappa, other, s = sp.symbols("kappa kappa' s", positive=True)
    cosine = sp.Symbol("z", real=True)
    resultant = sp.sqrt(kappa**2 + other**2 + 2 * kappa * other * cosine)
    turned = kappa + other * cosine
    proof.identity(
        "i", "s ∂s/∂κ, s² = κ² + κ'² + 2κκ'z,", resultant * sp.diff(resultant, kappa), kappa + other * cosine
    )
    proof.identity("i", "s ∂s/∂z", resultant * sp.diff(resultant, cosine), kappa * other)
    b, slope = sp.Function("B"), sp.Symbol("B'")  # B = A(s)/s; ∂_κ log(p_κ⋆p_κ') = (κ + κ'z)B(s) − A(κ)
    rise = sp.diff((kappa + other * cosine) * b(s), cosine) + (kappa + other * cosine) * slope * kappa * other / s
    claimed = other * (b(s) + slope * kappa * (kappa + other * cosine) / s)
    proof.identity("ii", "∂/∂z of (κ + κ'z)B(s)", sp.expand(rise), sp.expand(claimed))
    # where κz + κ' ≥ 0: κ(κ+κ'z) ≤ s², so with B′ ≤ 0 the bracket is at least B + sB′ = A′ > 0
    gap = sp.Symbol("m", nonnegative=True)  # κz + κ'
    square = sp.expand(kappa**2 + other**2 + 2 * kappa * other * cosine - kappa * (kappa + other * cosine))
    proof.equal("ii", "s² − κ(κ+κ'z) = κ'(κz + κ')", square, sp.expand(other * (kappa * cosine + other)))
    fall, growth = sp.Symbol("-B'", nonnegative=True), sp.Symbol("A'", positive=True)
    proof.sign("ii", "where κz + κ' = m ≥ 0, B + B′κ(κ+κ'z)/s with B = A′ − sB′", ">",
               sp.expand(growth + s * fall - fall * (s**2 - other * gap) / s))  # fmt: skip
    # elsewhere s < κ and (κ + κ'z)/s ≤ 1: the value is below A(s) − A(κ) < 0
    short = sp.expand(kappa**2 - (kappa**2 + other**2 + 2 * kappa * other * cosine))
    missing = sp.Symbol("n", positive=True)  # −(κz + κ')
    proof.sign("iii", "elsewhere κ² − s² with κz = −κ' − n", ">",
               sp.expand(short.subs(cosine, (-other - missing) / kappa)))  # fmt: skip
    proof.equal("iii", "and s² − (κ+κ'z)² = κ'²(1−z²) ≥ 0, so the value is below A(s) − A(κ) < 0",
                sp.expand(resultant**2 - turned**2), sp.expand(other**2 * (1 - cosine**2)))  # fmt: skip
    proof.equal("iii", "at z = 0, s ≥ κ and κB(s) ≤ κB(κ): one change of sign, − to +, at some z ≥ 0",
                (resultant**2).subs(cosine, 0) - kappa**2, other**2)  # fmt: skip
    # the even part: Σ c_m e_m(κ) z^{2m}, e_{m+1}/e_m = κ'²·κ²/σ²·I_{ν+2m+2}(σ)/I_{ν+2m}(σ), σ² = κ² + κ'²
    share = kappa**2 / (kappa**2 + other**2)
    proof.sign("iv", "d/dκ of κ²/(κ²+κ'²), so that e_{m+1}/e_m rises and the even part changes sign once as well,", ">",
               sp.factor(sp.diff(share, kappa)))  # fmt: skip
    h = sp.Function("h")
    half = (sp.diff(h(cosine), cosine) + sp.diff(h(cosine), cosine).subs(cosine, -cosine).doit()) / 2
    odd = sp.diff(h(cosine) - h(-cosine), cosine)
    proof.equal("iv", "h(z) − h(−z) is 2∫_0^z of the even part of h′, − then + reversed, and 0 at z = 1: h(z) ≥ h(−z)",
                sp.simplify(odd.doit()), sp.simplify(2 * half.doit()))  # fmt: skip
    return proof.qed(
        "von Mises–Fisher laws, κ_t ≥ κ_k, any κ', ρ ≤ 0: FAR_t(τ) ≤ FAR_k(τ) at τ ≥ ρ",
        ("d ≥ 2", "κ_t ≥ κ_k > 0"),
        ("D1 (its statement)", "D, paired levels (its statement)", LEMMAS["bessel"], LEMMAS["diminishing"]),
        settled("proved", (FALSE_OBTUSE,), (SOFT_LAWS,)),
    )


def flat_below() -> Proof:
    """Consequence 1: 1b holds for every distance that is flat below the safe threshold, without any smoothness.

    Raises
    ------
    ProofError
        If a step fails.
    """
    proof = Derivation("D, consequence 1")
    level = sp.Symbol("c", real=True)
    F, S = sp.Function("F")(level), sp.Function("S")(level)  # S(c) = P(u·v' ≥ c), whose density is −S′
    proof.equal("i", "F′·S + F·S′ = (F·S)′: E F = F(−1) + ∫F′(τ)P(u·v' ≥ τ)dτ", sp.diff(F, level) * S
                + F * sp.diff(S, level), sp.diff(F * S, level))  # fmt: skip
    new, old, slope = sp.symbols("FAR_t FAR_k F'", real=True)
    proof.identity(
        "ii", "the integrand of gap(1b)", sp.expand(slope * new - slope * old), sp.expand(-slope * (old - new))
    )
    fall, gain = sp.symbols("-F' FAR_k-FAR_t", nonnegative=True)
    proof.sign("ii", "its value where F falls and the false accept rate does not rise", "≥", fall * gain)
    return proof.qed(
        "gap(1b) = ∫(−dF)(FAR_k − FAR_t): every non-increasing F that is flat below the safe threshold satisfies 1b",
        ("the hypotheses of D2 or D3",),
        ("D2 and D3 (its statement)", "a monotone F is a mixture of steps (its statement)"),
        settled("proved", (FLAT_BELOW,), (CAPS, SOFT_LAWS)),
    )


def drift_inside() -> Proof:
    """Same-class drift ω ≤ min(α_t, α_k − α_t): the true accept rate cannot fall at any threshold.

    Raises
    ------
    ProofError
        If a step fails.
    """
    proof = Derivation("D1 with drift")
    omega, rest, spare = sp.symbols("omega rest spare", nonnegative=True)
    new = omega + rest  # α_t ≥ ω
    old = omega + new + spare  # α_k ≥ α_t + ω
    proof.sign("i", "α_t − ω: the new cap contains the old axis, and is star-shaped about it,", "≥", new - omega)
    proof.sign("i", "α_k − (ω + α_t): it lies in the old cap, so each direction is cut off at e ≤ α_k,", "≥",
               sp.expand(old - omega - new))  # fmt: skip
    theta, end = sp.symbols("theta e", positive=True)
    share = sp.Function("J")  # ∫_0^θ sin^{d−2}
    cut = share(theta) / share(end)
    proof.equal("ii", "in one direction the polar law is the uniform one cut off at e: its share up to θ is J(θ)/J(e)",
                sp.diff(cut, theta), sp.diff(share(theta), theta) / share(end))  # fmt: skip
    return proof.qed(
        "uniform caps, ω ≤ min(α_t, α_k − α_t): TAR_t(τ) ≥ TAR_k(τ) at every τ",
        ("uniform caps", "the new axis at an angle ω to the old one"),
        (LEMMAS["truncation"], "D1 for laws that are not symmetric: only the polar angle of u counts, as v is"),
        settled("proved", (DRIFTED,), (CAPS,)),
    )


def ranked_above() -> Proof:
    """Consequence 2: AUC cannot fall and wrong items above the best right one cannot rise, if 2α_k ≤ arccos ρ.

    Raises
    ------
    ProofError
        If a step fails.
    """
    proof = Derivation("D, consequence 2")
    alpha, spare = sp.symbols("alpha spare", nonnegative=True)
    between = 2 * alpha + spare  # arccos ρ
    proof.sign("i", "arccos ρ − 2α_k: every right item has a cosine of at least cos 2α_k ≥ ρ, where D2 speaks,", "≥",
               sp.expand(between - 2 * alpha))  # fmt: skip
    new, old = sp.symbols("FAR_t FAR_k", nonnegative=True)
    fewer = sp.Symbol("FAR_k-FAR_t", nonnegative=True)
    items = sp.Symbol("m", positive=True)
    proof.equal("ii", "m wrong items: their expected number above τ is m·FAR(τ)", items * old - items * new,
                items * (old - new))  # fmt: skip
    proof.sign("ii", "m(FAR_k − FAR_t), over the law of the best right item, which only moves up,", "≥", items * fewer)
    return proof.qed(
        "ρ ≤ 0, radii ≤ π/2, 2α_k ≤ arccos ρ: AUC does not fall, and the expected number of wrong items above the j-th "
        "best right one does not rise, any number of classes, any sizes",
        ("uniform caps", "ρ > 0 needs cos 2α_k ≥ ρ/(cos α_k cos α') instead"),
        (
            "D1, conditional on the query's polar angle (Shaked & Shanthikumar, 2007, 1.A.8)",
            "D2 and D3 (its statement)",
        ),
        settled("proved", (RANKED,), (CAPS,)),
    )


def separated_classes(slope: sp.Expr | None = None) -> Proof:
    r"""Consequence 2 for separated classes: no ranking measure falls, whatever the gallery.

    u = cos θ w + sin θ ξ with ξ uniform and orthogonal to w. A wrong item v' is above a right one v if u·(v' − v) > 0.

    Parameters
    ----------
    slope : sympy expression in ``theta`` and ``gap``, optional
        The claimed derivative of u·(v' − v)/sin θ in θ; gap = w·v − w·v'.

    Raises
    ------
    ProofError
        If a step fails.
    """
    proof = Derivation("D, separated classes")
    theta, beyond = sp.symbols("theta xi·z", real=True)
    gap = sp.Symbol("gap", nonnegative=True)  # w·v − w·v' = −w·z
    sine = sp.Symbol("sine", positive=True)
    near, radius, other, spare = sp.symbols("near alpha_k alpha' spare", nonnegative=True)
    between = radius + other + spare  # arccos ρ
    apart = sp.expand((between - other) - (radius - near))
    proof.sign("i", "polar angle of v' about w, at least β − α', less that of v, α_k − near,", "≥", apart)
    middle, half = sp.symbols("m h", real=True)  # polar angles m − h of v and m + h of v'
    fall = sp.expand_trig(sp.cos(middle - half) - sp.cos(middle + half))
    claim = "cos(m − h) − cos(m + h) = 2 sin m sin h ≥ 0 for 0 ≤ h ≤ m, m + h ≤ π: so gap = w·v − w·v' ≥ 0"
    proof.equal("i", claim, fall, 2 * sp.sin(middle) * sp.sin(half))
    height = beyond - gap * sp.cos(theta) / sp.sin(theta)  # u·z / sin θ, z = v' − v
    whole = sp.expand((sp.sin(theta) * beyond - sp.cos(theta) * gap) / sp.sin(theta))
    proof.identity("ii", "u·(v' − v)/sin θ", whole, height)
    proof.identity("iii", "its derivative in θ, for a fixed ξ,", sp.diff(height, theta),
                   gap / sp.sin(theta) ** 2 if slope is None else slope)  # fmt: skip
    proof.sign("iii", "which does not fall, so that v' once above v stays above it,", "≥", gap / sine**2)
    return proof.qed(
        "if every wrong item is no nearer to the axis of the query's class than every right one, caps α_k + α'_j ≤ "
        "arccos ρ_j, for every gallery the number of wrong items above the j-th best right one does not rise on "
        "average, and recall@k, average precision, nDCG and AUC do not fall",
        (
            "the law of the query is symmetric about its axis",
            "the new polar angle is stochastically smaller",
            "the items are given, or of any law, independent of the query",
        ),
        ("a stochastically smaller angle lowers the mean of what rises with it (Shaked & Shanthikumar, 2007, 1.A)",),
        settled("proved", (SEPARATED,), (CAPS, GENERAL)),
    )


def rise_below(dimension: int = 9, new: float = 0.3, old: float = 0.6, threshold: float = -0.24) -> Proof:
    """Witnessed: below ρ the false accept rate does rise.

    Parameters
    ----------
    dimension : int
    new, old, threshold : float
        Radii in radians and the threshold; ρ = −1/d.

    Raises
    ------
    ProofError
        If the rate does not rise by more than its error.
    """
    from theory.acceptance import expected_acceptance
    from theory.caps import UniformCap

    proof = Derivation("below ρ")
    law = UniformCap(dimension, old)

    def rise(tau: float) -> tuple[float, float]:
        rates = [
            expected_acceptance(UniformCap(dimension, radius), law, tau, -1.0 / dimension, return_error=True)
            for radius in (new, old)
        ]
        change = float(np.asarray(rates[0])[0]) - float(np.asarray(rates[1])[0])
        return change, sum(float(np.prod(np.asarray(rate))) for rate in rates)

    change, error = rise(threshold)
    case = f"d = {dimension}, ρ = −1/{dimension}, α {new:g} < {old:g}, τ = {threshold:g}: FAR rises by {change:.6f}"
    proof.holds("i", f"{case} ± {error:.0e}", bool(change > error))
    change, error = rise(0.0)
    proof.holds("ii", f"at τ = 0 it falls by {-change:.6f} ± {error:.0e}", bool(change < -error))
    return proof.qed(
        "below ρ the false accept rate rises: D2 ends where it says",
        ("uniform caps", "floating-point quadrature with its own error estimate"),
        settles=settled("fails: witnessed", (BELOW,), (CAPS, GENERAL)),
        witness=case,
    )


def recall_falls() -> Proof:
    """Witnessed: recall@1 can fall although D holds, two classes at a right angle on the circle.

    Raises
    ------
    ProofError
        If recall does not fall.
    """
    from theory.caps import UniformCap
    from theory.ranking import expected_ranking

    proof = Derivation("recall@1")
    arc = UniformCap(2, float(sp.pi / 2))
    recalls = [expected_ranking(law, [arc, arc], np.eye(2), [50, 50]).recall for law in (arc, UniformCap(2, 0.05))]
    case = f"d = 2, ρ = 0, radii π/2, 50 + 50 items, α_t = 0.05: recall@1 {recalls[0]:.4f} → {recalls[1]:.4f}"
    proof.holds("i", case, recalls[1] < recalls[0] - 1e-3)
    proof.sign("ii", "ρ, as D2 asks,", "≥", sp.Integer(0))
    return proof.qed(
        "recall@1 can fall although every false accept rate falls: it is convex in the number of wrong items",
        ("uniform caps", "floating-point quadrature, right to 1e−4"),
        settles=settled("fails: witnessed", (RECALL,), (CAPS, GENERAL)),
        witness=case,
    )

r"""N3: 1b for caps of every radius, also above π/2 (paper, Theorem 1 and Eq. 1b).

M, the mean distance between a rim at polar angle θ and the old cap, is a cap average of
:math:`Φ(x) = E_t F(ρx + \sqrt{1−ρ²}\sqrt{1−x²}\,t)`, t on the sphere of R^{d−1}. By L it falls in θ for every radius as
soon as Φ does not decrease; for powers of the chord Φ is a Gegenbauer function, and a Riccati comparison decides.
"""

from __future__ import annotations

import sympy as sp

from theory.proofs._calculus import axial_laplacian
from theory.proofs._derivation import Derivation, Proof
from theory.proofs.table import SIMPLEX, TRIANGLE, WIDE, settled

s = sp.Symbol("s", positive=True)  # F = ‖u−v‖^{2s}
d = sp.Symbol("d", positive=True)
z, r = sp.symbols("z r", positive=True)  # r = −ρ


def wide_caps(threshold: sp.Expr | None = None) -> Proof:
    r"""N3, ‖u−v‖^{2s}, 0 < s ≤ 1, d − 3 + 2s ≥ 0: 1b holds for all radii if −ρ ≥ c₀ = (1−s)/(d−2+s).

    Φ(x) = (2|x−ρ|)^s 𝒫(z), z = (1−xρ)/|x−ρ| ≥ 1, 𝒫 the Gegenbauer function of degree s in dimension d, and Φ′ ≥ 0 ⟺
    s/(z+r) ≤ 𝒫′/𝒫 ≤ s/(z−r) for all z > 1. Both follow from the sign of the derivative of
    :math:`W = (z²−1)^{(d−1)/2}(z±r)^{2s}\,\frac{d}{dz}[𝒫(z±r)^{−s}]`, which vanishes at z = 1.

    For a simplex −ρ ≥ 1/d, and 1/d ≥ c₀ ⟺ s ≥ 2/(d+1): the chord in every d ≥ 3.

    Parameters
    ----------
    threshold : sympy expression in ``s`` and ``d``, optional
        c₀, if not the one above: no smaller value serves.

    Raises
    ------
    ProofError
        At step "iii" if the comparison fails somewhere on z > 1.

    References
    ----------
    Paper, Theorem 1 and Eq. 1b. No reference for the result is known to us.
    """
    proof = Derivation("N3")
    t, x, rho = sp.symbols("t x rho", real=True)
    across = sp.sqrt(z**2 - 1)
    w = z + across * t
    outer, around = (axial_laplacian(sp.diff(w**s, y), sp.diff(w**s, y, 2), y, k) for y, k in ((z, d), (t, d - 1)))
    outer, around = -outer - s * (s + d - 2) * w**s, around / (z**2 - 1)
    difference = sp.simplify(sp.expand((outer + around) / w ** (s - 2)))
    proof.equal(
        "i", "(z + √(z²−1)t)^s solves the equation of 𝒫 but for a total derivative along the rim", difference, 0
    )
    square = (2 - 2 * x * rho) ** 2 - 4 * (1 - x**2) * (1 - rho**2)
    proof.equal("i", "2 − 2c = A − Bt with A² − B² = 4(x−ρ)²: Φ = (2|x−ρ|)^s 𝒫(z)", square, 4 * (x - rho) ** 2)

    function, first = sp.symbols("P P1", positive=True)  # 𝒫 and 𝒫′ at z
    second = (s * (s + d - 2) * function - (d - 1) * z * first) / (z**2 - 1)
    slope = sp.Symbol("slope")  # 𝒫′/𝒫
    for sign, side in ((1, "x > ρ"), (-1, "x < ρ")):
        there = (1 + sign * z * rho) / (z + sign * rho) * sign  # the x of z
        distance = sign * (there - rho)
        proof.equal("ii", f"{side}: |x−ρ| = (1−ρ²)/(z ± ρ)", distance, (1 - rho**2) / (z + sign * rho))
        log_slope = sign * s / distance + slope / sp.diff(there, z)
        claim = sign * (s / (z + sign * rho) - slope) * (1 - rho**2) / distance**2
        proof.equal("ii", f"{side}: (log Φ)′ = ±(s/(z ± ρ) − 𝒫′/𝒫) times a positive factor", log_slope, claim)

    def defect(shift: sp.Expr) -> sp.Expr:  # W′, but for the factor s (z²−1)^{(d−3)/2} (z+shift)^{s−2} 𝒫
        inner = first - s * function / (z + shift)  # (z+shift)^s d/dz[𝒫 (z+shift)^{−s}]
        change = second - s * first / (z + shift) + s * function / (z + shift) ** 2
        growth = (d - 1) * z / (z**2 - 1) + s / (z + shift)
        return sp.cancel(sp.together((change + growth * inner) * (z**2 - 1) * (z + shift) ** 2 / (s * function)))

    lower, upper = defect(r), defect(sp.Integer(0))
    bound = (1 - s) / (d - 2 + s) if threshold is None else threshold
    excess, past, gap = sp.symbols("excess past gap", nonnegative=True)  # r − c₀, z − 1, d − 3 + 2s
    rest = sp.Symbol("rest", nonnegative=True)  # 1 − s
    proof.equal("iii", "W′ for s/(z+r): ∝ (1+r)[(d−2+s)r − (1−s)] + (d−3+2s)r(z−1)", lower,
                (1 + r) * ((d - 2 + s) * r - (1 - s)) + (d - 3 + 2 * s) * r * (z - 1))  # fmt: skip
    place = bound.subs(s, 1 - rest).subs(d, gap + 1 + 2 * rest) + excess
    whole = (1 + place) * ((gap + rest) * place - rest) + gap * place * past
    sign, divisor = (sp.expand(part) for part in sp.fraction(sp.factor(whole)))
    verdict = sign.is_nonnegative and divisor.is_nonnegative
    proof.holds("iii", "which is ≥ 0 for r ≥ c₀, z ≥ 1: 𝒫′/𝒫 ≥ s/(z+r)", verdict, f"it is ({sign})/({divisor})")
    proof.equal("iv", "W′ for s/z: ∝ −(1−s)", upper, -(1 - s))
    proof.holds("iv", "which is ≤ 0: 𝒫′/𝒫 ≤ s/z ≤ s/(z−r)", (-rest).is_nonpositive)
    classes = 1 / d - (1 - s) / (d - 2 + s)
    proof.equal("v", "1/d − c₀ = (s(d+1) − 2)/(d(d−2+s))", classes, (s * (d + 1) - 2) / (d * (d - 2 + s)))
    chord = (s * (d + 1) - 2).subs({s: sp.Rational(1, 2), d: 3 + gap})
    proof.holds("v", "≥ 0 for the chord in d ≥ 3", chord.is_nonnegative)
    return proof.qed(
        "‖u−v‖^{2s}: M falls in θ for every α_k < π if −ρ ≥ (1−s)/(d−2+s), so 1b holds for all α_t ≤ α_k; "
        "on a simplex for s ≥ 2/(d+1), the chord in every d ≥ 3",
        ("0 < s ≤ 1", "d − 3 + 2s ≥ 0", "old density falling in the polar angle, new one stochastically smaller"),
        ("L (its statement)", "W is continuous and 0 at z = 1, as 𝒫 is smooth there",
         "a continuous non-decreasing Φ is a limit of smooth ones"),
        {SIMPLEX: {"sqeuclidean": "proved", "euclidean": "proved", "power": "open"}},  # small s on few vertices
    )  # fmt: skip


def wide_arcs() -> Proof:
    r"""N3 on the circle: 1b for arcs of every radius, for the angle at every ρ ≤ 0 and for the chord on K = 3 vertices.

    With T(x) = f(ω+x) + f(ω−x), f the distance as a function of the angle and ω = arccos ρ, M′(θ) = [T(β+θ) −
    T(β−θ)]/(4β); T is even and has period 2π. Where T falls on [0, π], so does M for every β. For the chord at K = 3 it
    does not: there M rises and falls once, and starts above its mean, so its running mean stays above.

    Raises
    ------
    ProofError
        If a step fails.

    References
    ----------
    Paper, Theorem 1 and Eq. 1b.
    """
    proof = Derivation("N3 on the circle")
    x, theta, beta, tilt, low = sp.symbols("x theta beta tilt low", nonnegative=True)
    spare = sp.Symbol("spare", nonnegative=True)  # π − β
    proof.holds("i", "β − θ ≤ 2π − (β + θ), as β ≤ π", (2 * sp.pi - 2 * (sp.pi - spare)).expand().is_nonnegative)
    omega = sp.pi / 2 + tilt  # ρ ≤ 0
    in_order = (2 * omega - sp.pi).expand().is_nonnegative  # π − ω ≤ ω
    pieces = {
        "x ≤ π − ω": (omega + x) + (omega - x),
        "π − ω ≤ x ≤ ω": (2 * sp.pi - omega - x) + (omega - x),
        "x ≥ ω": (2 * sp.pi - omega - x) + (x - omega),
    }
    for where, piece in pieces.items():
        proof.holds("ii", f"the angle: T falls for {where}", in_order and sp.diff(piece, x).is_nonpositive)

    third = 2 * sp.pi / 3
    root = sp.sqrt(3)
    near, middle = 2 * root * sp.cos(x / 2), 2 * sp.sin(x / 2)
    f = {+1: 2 * sp.sin((third + x) / 2), -1: 2 * sp.sin((third - x) / 2)}
    proof.equal("iii", "the chord, K = 3: T = 2√3 cos(x/2) for x ≤ 2π/3", sp.expand_trig(f[1] + f[-1]), near)
    proof.equal("iii", "T = 2 sin(x/2) for 2π/3 ≤ x ≤ π, and symmetric about π", sp.expand_trig(f[1] - f[-1]), middle)
    opening = sp.expand_trig(near.subs(x, beta - theta) - middle.subs(x, beta + theta))
    start = 4 * sp.cos(beta / 2 + sp.pi / 6)
    rise = 4 * sp.sin(beta / 2 - sp.pi / 6)
    split = sp.cos(theta / 2) * start + sp.sin(theta / 2) * rise
    proof.equal(
        "iv",
        "across: T(β−θ) − T(β+θ) = 4cos(θ/2)cos(β/2+π/6) + 4sin(θ/2)sin(β/2−π/6), at most one sign change, "
        "from − to +, and none for β ≤ 2π/3",
        sp.expand(opening),
        sp.expand(sp.expand_trig(split)),
    )
    inside = sp.expand_trig(middle.subs(x, beta + theta) - middle.subs(x, beta - theta))
    both = 4 * sp.cos(beta / 2) * sp.sin(theta / 2)
    proof.equal("iv", "both beyond 2π/3: T(β+θ) − T(β−θ) = 4cos(β/2)sin(θ/2) ≥ 0, so M rises, then falls",
                sp.expand(inside), both)  # fmt: skip
    # M(0) = T₁(β)/(2β) against the mean T₂(2β)/(4β²), T₁ and T₂ the first and second integrals of T from 0
    one = sp.integrate(near, (x, 0, third)) + sp.integrate(middle, (x, third, beta))
    total = 2 * (sp.integrate(near, (x, 0, third)) + sp.integrate(middle, (x, third, sp.pi)))
    upper = total - sp.integrate(near, (x, 0, 2 * sp.pi - x)).subs(x, low)  # T₁ on [4π/3, 2π]
    two = sp.pi * total - sp.integrate(upper, (low, 2 * beta, 2 * sp.pi))  # T₂(2π) = π T₁(2π), by symmetry
    start_excess = (2 * beta * one - two).subs(beta, sp.pi - spare)
    claim = 8 * (2 * spare - (sp.pi - spare) * sp.sin(spare / 2) - root * (1 - sp.cos(spare)))
    proof.equal("v", "4β²[M(0) − mean of M] = 8[2γ − (π−γ)sin(γ/2) − √3(1−cos γ)], γ = π − β",
                sp.expand(sp.expand_trig(start_excess)), sp.expand(sp.expand_trig(claim)))  # fmt: skip
    bound = 2 * spare - (sp.pi - spare) * spare / 2 - root * spare**2 / 2
    proof.equal("v", "by sin x ≤ x and 1 − cos x ≤ x²/2 at least 4γ[(4−π) − (√3−1)γ]", 8 * bound,
                4 * spare * ((4 - sp.pi) - (root - 1) * spare))  # fmt: skip
    proof.holds("v", "> 0 for 0 < γ ≤ π/3", ((4 - sp.pi) - (root - 1) * sp.pi / 3).is_positive)
    return proof.qed(
        "d = 2, arcs of every radius α_t ≤ α_k < π: 1b holds for the angle at every ρ ≤ 0, and for the chord on the "
        "simplices K = 2 (N3) and K = 3",
        ("uniform arcs",),
        ("M′ = [T(β+θ) − T(β−θ)]/(4β): T4 on the circle (its statement)",),
        settled("proved", (TRIANGLE,), ("euclidean", "angular")) | settled("proved", (WIDE,), ("angular",)),
    )

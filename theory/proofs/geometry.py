"""The density of the angle, the mean resultant length of a cap, and the flat limit (paper, Eq. 8 and Theorem 1)."""

from __future__ import annotations

import sympy as sp

from theory.proofs._derivation import Derivation, Proof
from theory.proofs.table import CIRCLE, SIMPLEX, TRIANGLE, WIDE, settled

dim = sp.Symbol("d", integer=True, positive=True)
theta = sp.Symbol("theta", positive=True)
alpha = sp.Symbol("alpha", positive=True)


def angle_density(claimed: sp.Expr | None = None) -> Proof:
    r"""The angle between random directions has density Γ(d/2)/(√π Γ((d−1)/2)) · sin^{d−2} θ on [0, π], d ≥ 2.

    Derived: areas from volumes by differentiation in the radius, their ratio, and that the density integrates
    to 1. Cited: the volume of the ball.

    Parameters
    ----------
    claimed : sympy expression in ``dim`` and ``theta``, optional
        The density to be proved, if not the one above.

    Raises
    ------
    ProofError
        If the derivation does not end at ``claimed``.

    References
    ----------
    Paper, Eq. 8; Cai, Fan & Jiang, *Distributions of Angles in Random Packing on Spheres*, 2013.
    """
    proof = Derivation("density of the angle")
    n, radius = sp.symbols("n R", positive=True)
    volume = sp.pi ** (n / 2) * radius**n / sp.gamma(n / 2 + 1)
    area = sp.diff(volume, radius)  # of the sphere that bounds the n-ball
    proof.equal("i", "S_{n−1}(R) = dV_n/dR = 2π^{n/2} R^{n−1}/Γ(n/2)", area,
                2 * sp.pi ** (n / 2) * radius ** (n - 1) / sp.gamma(n / 2))  # fmt: skip
    rim = area.subs(n, dim - 1).subs(radius, sp.sin(theta))
    constant = sp.gamma(dim / 2) / (sp.sqrt(sp.pi) * sp.gamma((dim - 1) / 2))
    density = constant * sp.sin(theta) ** (dim - 2) if claimed is None else claimed
    ratio = sp.gammasimp(rim / area.subs(n, dim).subs(radius, 1) / density)
    proof.equal("ii", "the strip at θ is S_{d−2}(sin θ)·dθ; its share of S_{d−1}(1) is the density", ratio, 1)

    primitive = sp.sin(theta) ** (dim - 1) * sp.cos(theta)
    step = (dim - 1) * sp.sin(theta) ** (dim - 2) - dim * sp.sin(theta) ** dim
    difference = sp.diff(primitive, theta) - step
    proof.equal("iii", "d(sin^{d−1}θ cos θ) = ((d−1) sin^{d−2}θ − d sin^d θ) dθ, so ∫sin^d = (d−1)/d·∫sin^{d−2}",
                sp.expand(sp.expand_power_exp(difference / sp.sin(theta) ** (dim - 2))
                          .subs(sp.cos(theta) ** 2, 1 - sp.sin(theta) ** 2)), 0)  # fmt: skip
    growth = density.subs(dim, dim + 2) / density
    proof.equal("iv", "the constants grow by d/(d−1): mass at d + 2 equals mass at d",
                growth / sp.sin(theta) ** 2, dim / (dim - 1))  # fmt: skip
    for base in (2, 3):
        total = sp.integrate(density.subs(dim, base), (theta, 0, sp.pi))
        proof.equal("v", f"total mass 1 at d = {base}", total, 1)
    return proof.qed(
        "f(θ) = Γ(d/2)/(√π Γ((d−1)/2)) sin^{d−2}θ on [0, π] for every d ≥ 2, with total mass 1",
        ("one of the two directions is uniform on the sphere",),
        ("V_n(R) = π^{n/2} R^n/Γ(n/2+1) (DLMF 5.19.4)",),
    )


def cap_mean_resultant_length(claimed: sp.Expr | None = None) -> Proof:
    r"""T3: m(α, d) = sin^{d−1}α/((d−1)·I), I = ∫_0^α sin^{d−2}, falls strictly on (0, π).

    Derived: the closed form, dm/dα = sin^{d−2}α (cos α − m)/I, and its sign. With T2: for uniform caps, α_k <
    π, both inequalities hold ⟺ α_t ≤ α_k.

    Parameters
    ----------
    claimed : sympy expression in ``alpha``, ``dim`` and ``integral``, optional
        The closed form to be proved, if not the one above.

    Raises
    ------
    ProofError
        If a step fails.

    References
    ----------
    Paper, Theorem 1; Mardia & Jupp, *Directional Statistics*, 2000, section 3.4.
    """
    proof = Derivation("T3")
    sine, cosine = sp.sin(alpha), sp.cos(alpha)
    area = sp.Function("I")(alpha)
    weight = sine ** (dim - 2)

    def derivative(expression: sp.Expr) -> sp.Expr:
        return sp.diff(expression, alpha).subs(sp.Derivative(area, alpha), weight)

    moment = sine ** (dim - 1) / (dim - 1)
    proof.equal("i", "∫_0^α cos θ sin^{d−2}θ dθ = sin^{d−1}α/(d−1)", derivative(moment), cosine * weight)
    length = moment / area if claimed is None else claimed.subs(integral, area)
    proof.equal("ii", "m = sin^{d−1}α/((d−1) I)", length, moment / area)
    proof.equal("iii", "dm/dα = sin^{d−2}α (cos α − m)/I", derivative(length), weight * (cosine - length) / area)
    deficit = moment - cosine * area  # (m − cos α)·I
    proof.equal("iv", "(m − cos α)·I vanishes at 0", deficit.subs(area, 0).subs(dim, dim + 1).subs(alpha, 0), 0)
    proof.equal("v", "and has derivative sin α·I > 0, so cos α < m on (0, π)", derivative(deficit), sine * area)
    return proof.qed(
        "m = sin^{d−1}α/((d−1)∫_0^α sin^{d−2}) and dm/dα = sin^{d−2}α (cos α − m)/∫_0^α sin^{d−2} < 0 on (0, π): "
        "for uniform caps, α_k < π, 1a and 1b hold in expectation ⟺ α_t ≤ α_k",
        ("d ≥ 2", "squared Euclidean or cosine distance for the last clause (T2)"),
        settles=settled("proved", (CIRCLE, SIMPLEX, TRIANGLE, WIDE), ("sqeuclidean",)),
    )


integral = sp.Symbol("I", positive=True)
"""Stands for ∫_0^α sin^{d−2} in a form that is handed to :func:`cap_mean_resultant_length`."""


def flat_limit(claimed: sp.Expr | None = None) -> Proof:
    r"""Two points of one cap on the sphere of R³: E‖u−v‖/α → 128/(45π) as α → 0.

    Derived: the limits of chord and density, the mean distance to a boundary point of a disc, and Crofton's
    equation.

    Parameters
    ----------
    claimed : sympy number, optional
        The limit to be proved, if not 128/(45π).

    Raises
    ------
    ProofError
        If a step fails.

    References
    ----------
    Fairthorne, *The distances between pairs of towns in randomly packed circles*, 1964; Kendall & Moran,
    *Geometrical Probability*, 1963, section 3.4 (Crofton's theorem on mean values).
    """
    proof = Derivation("flat limit")
    first, second, phi, radius = sp.symbols("r q phi R", positive=True)
    product = sp.cos(alpha * first) * sp.cos(alpha * second)
    product += sp.sin(alpha * first) * sp.sin(alpha * second) * sp.cos(phi)
    flat = first**2 + second**2 - 2 * first * second * sp.cos(phi)
    chord = sp.series((2 - 2 * product) / alpha**2, alpha, 0, 1).removeO()
    proof.equal("i", "‖u−v‖²/α² → the squared distance in the unit disc", sp.expand(chord), flat)
    density = alpha * sp.sin(alpha * first) / (1 - sp.cos(alpha))
    proof.equal("ii", "the radius r = θ/α gets the disc's density 2r", sp.limit(density, alpha, 0), 2 * first)
    inner = sp.integrate(first * first, (first, 0, 2 * radius * sp.cos(phi)))
    edge = sp.integrate(inner, (phi, -sp.pi / 2, sp.pi / 2)) / (sp.pi * radius**2)
    proof.equal("iii", "mean distance to a boundary point 32R/(9π)", edge, 32 * radius / (9 * sp.pi))
    slope = sp.Rational(128, 45) / sp.pi if claimed is None else claimed
    mean = slope * radius
    proof.equal("iv", "Crofton: dE = 2(E_edge − E) dV/V", sp.diff(mean, radius), 2 * (edge - mean) * 2 / radius)
    return proof.qed(
        "d = 3, equal caps on one axis: E‖u−v‖/α → 128/(45π) as α → 0",
        ("both points uniform in one cap of radius α",),
        ("Crofton's theorem on mean values (Kendall & Moran, 1963)", "dominated convergence"),
    )

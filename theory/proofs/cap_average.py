"""L: the derivative of a cap average is an average over rims, two dimensions up. The tool behind Theorem 1 for
distances other than the squared Euclidean (paper, Theorem 1, whose distance is left open)."""

from __future__ import annotations

import sympy as sp

from theory.proofs._calculus import Composite, as_total_derivative, axial_laplacian
from theory.proofs._derivation import Derivation, Proof

d = sp.Symbol("d", positive=True)  # the dimension
n = sp.Symbol("n", positive=True)  # the degree; nothing below needs it to be an integer
x, y, t = sp.symbols("x y t", real=True)


def _equation(value: sp.Expr, first: sp.Expr, second: sp.Expr, degree: sp.Expr, dimension: sp.Expr) -> sp.Expr:
    """Left side of the equation of the Gegenbauer polynomials, (1−x²)P″ − (d−1)xP′ + n(n+d−2)P = 0."""
    return axial_laplacian(first, second, x, dimension) + degree * (degree + dimension - 2) * value


def cap_derivative(rim_step: int = 2) -> Proof:
    r"""L: d/ds E_u F(u·v) = m(α, d) · E_t F′(s cos α + √(1−s²) sin α · t), for u uniform in a cap and v·w = s.

    t is the first coordinate of a uniform point of the sphere of R^{d+1}, its density ∝ (1−t²)^{(d−2)/2}.
    Twice: ∂/∂ρ E F(u·v) = m(α_t, d) m(α_k, d) E F′(u'·v'), u', v' uniform on the rims of the two caps in
    dimension d + 2.

    Derived for every d ≥ 2 and every degree n at once, from the differential equation of P_n alone; Q are the
    polynomials of dimension d + 2. Other F follow by density.

    Parameters
    ----------
    rim_step : int
        Dimensions by which the rims are lifted: the product formula holds for 2 and no other.

    Raises
    ------
    ProofError
        If a step fails.

    References
    ----------
    Matheron, *Les variables régionalisées*, 1965; Beatson & zu Castell, *Dimension hopping and families of strictly
    positive definite zonal basis functions on spheres*, 2017; Trübner & Ziegel, 2017; DLMF 18.9.19 and 18.17.5.
    """
    proof = Derivation("L")
    P, Q = sp.Function("P")(x), sp.Function("Q")
    P1, P2, P3 = (sp.diff(P, x, order) for order in (1, 2, 3))
    lifted = _equation(P1, P2, P3, n - 1, d + 2)
    proof.equal("i", "P_n′ solves the equation of Q_{n−1}", sp.diff(_equation(P, P1, P2, n, d), x), lifted)
    factor = n * (n + d - 2) / (d - 1)
    at_one = _equation(sp.Integer(1), factor, sp.Symbol("P2"), n, d).subs(x, 1)
    proof.equal("i", "at x = 1 that equation gives P_n′(1) = n(n+d−2)/(d−1): P_n′ = n(n+d−2)/(d−1)·Q_{n−1}", at_one, 0)
    total = "(1−x²)P″ − (d−1)xP′ = d/dx[(1−x²)^{(d−1)/2}P′]/(1−x²)^{(d−3)/2}"
    proof.equal(
        "ii",
        f"{total}, so −n(n+d−2)∫P_n (1−x²)^{{(d−3)/2}} = (1−x²)^{{(d−1)/2}}P_n′",
        *as_total_derivative(x, d),
    )
    # ∫_{cos α}^1 P_n = sin^{d−1}α·factor·Q/(n(n+d−2)), and m is the same with n = 1, Q_0 = 1
    ratio = (factor / (n * (n + d - 2))) / (factor / (n * (n + d - 2))).subs(n, 1)
    proof.equal("ii", "and over the cap E P_n(cos θ) = m(α)·Q_{n−1}(cos α)", ratio, 1)

    # E_t Q(xy + √(1−x²)√(1−y²) t), as a function of x, solves the same equation and is Q(y) at x = 1
    up, rim = d + 2, d + rim_step  # t on the sphere S^{rim−2}
    inner = x * y + sp.sqrt(1 - x**2) * sp.sqrt(1 - y**2) * t
    value, first, second = sp.symbols("Q0 Q1 Q2")  # Q, Q′, Q″ at the inner cosine
    composite = Composite(first, second)
    outer, around = composite.axial(inner, x, up), composite.axial(inner, t, rim - 1) / (1 - x**2)
    laplacian = axial_laplacian(first, second, inner, up)
    proof.equal("iii", "in x, and along the rim, the derivatives of Q(xy + √(1−x²)√(1−y²) t) add up to its Laplacian",
                sp.simplify(outer + around), sp.simplify(laplacian))  # fmt: skip
    proof.equal("iii", "the rim's part is a total derivative, so its mean is 0", *as_total_derivative(t, rim - 1))
    own = sp.solve(_equation(value, first, second, n - 1, up), second)[0].subs(x, inner)
    proof.equal("iii", "so E_t Q_{n−1}(xy + √(1−x²)√(1−y²) t) is Q_{n−1}(x) times its value at x = 1, Q_{n−1}(y)",
                sp.simplify(laplacian.subs(second, own)), -(n - 1) * (n - 1 + up - 2) * value)  # fmt: skip
    proof.equal("iii", "which it is, as the root vanishes there", Q(inner.subs(x, 1)), Q(y))
    r, size = sp.Symbol("r", positive=True), sp.Symbol("F_n", real=True)
    # a term of F smoothed in dimension d, differentiated; a term of F′ (that of F differentiated), smoothed in d + 2
    smoothed_first = sp.diff(size * r**n * P, x).subs(P1, factor * Q(x))
    derived_first = r ** (n - 1) * sp.diff(size * P, x).subs(P1, factor * Q(x))
    proof.equal("iv", "term by term, (F smoothed by r^n)′ = r·(F′ smoothed by r^{n−1} in dimension d + 2)",
                smoothed_first, r * derived_first)  # fmt: skip
    return proof.qed(
        "d/ds E_u F(u·v) = m(α,d)·E_t F′(s cos α + √(1−s²) sin α·t), t on the sphere of R^{d+1}; "
        "∂/∂ρ E F(u·v) = m(α_t,d) m(α_k,d)·E F′(u'·v'), rims in dimension d + 2",
        ("u uniform in a cap of radius α around w", "v·w = s", "F a polynomial, else as cited"),
        ("the equation of P_n has one solution that is regular at 1, up to a factor (Szegő, 1975, 4.2)",
         "E_u P_n(u·v) = a_n P_n(v·w) (Funk & Hecke; Dai & Xu, 2013, 1.2)",
         "polynomials are dense in C¹[−1, 1]; where F′ is singular at the ends: Poisson's kernel is positive, and F "
         "smoothed tends to F uniformly (Dai & Xu, 2013, 2.1)"),
    )  # fmt: skip

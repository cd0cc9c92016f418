"""L: the derivative of a cap average is an average over rims, two dimensions up. The tool behind Theorem 1 for
distances other than the squared Euclidean (paper, Theorem 1, whose distance is left open)."""

from __future__ import annotations

import sympy as sp

from theory.proofs._derivation import Derivation, Proof

lam = sp.Symbol("lambda", positive=True)  # (d − 2)/2
x, y = sp.symbols("x y", real=True)


def normalised_gegenbauer(degree: int, parameter: sp.Expr, variable: sp.Expr) -> sp.Expr:
    """P_n: the Gegenbauer polynomial with P_n(1) = 1, from P_{n+1} = (2(n+λ) x P_n − n P_{n−1})/(n+2λ)."""
    before, here = sp.Integer(1), variable
    if degree == 0:
        return before
    for n in range(1, degree):
        up = (2 * (n + parameter) * variable * here - n * before) / (n + 2 * parameter)
        before, here = here, sp.expand(sp.cancel(up))
    return here


def cap_derivative(degree: int = 5, rim_step: int = 2) -> Proof:
    r"""L: d/ds E_u F(u·v) = m(α, d) · E_t F′(s cos α + √(1−s²) sin α · t), for u uniform in a cap and v·w = s.

    t is the first coordinate of a uniform point of the sphere of R^{d+1}, its density ∝ (1−t²)^{(d−2)/2}.
    Twice: ∂/∂ρ E F(u·v) = m(α_t, d) m(α_k, d) E F′(u'·v'), u', v' uniform on the rims of the two caps in
    dimension d + 2.

    Derived for every d > 2 (λ a symbol), for each P_n, n ≤ ``degree``, hence for polynomials F up to that
    degree, and the normalising factor for every n. Cited for all n, and for F of class C¹ by density.

    Parameters
    ----------
    degree : int
        The largest degree that is written out, ≥ 1.
    rim_step : int
        Dimensions by which the rims are lifted: the product formula holds for 2 and no other.

    Raises
    ------
    ProofError
        If a step fails.

    References ---------- Matheron, *Les variables régionalisées*, 1965; Beatson & zu Castell, *Dimension
    hopping and families of strictly positive definite zonal basis functions on spheres*, 2017; Trübner &
    Ziegel, 2017; DLMF 18.9.19 and 18.17.5.
    """
    proof = Derivation("L")
    n = sp.Symbol("n", positive=True)
    at_one = sp.gamma(2 * lam + n) / (sp.gamma(2 * lam) * sp.gamma(n + 1))  # C_n^λ(1)
    above = at_one.subs({lam: lam + 1, n: n - 1}, simultaneous=True)
    factor = n * (n + 2 * lam) / (2 * lam + 1)
    proof.equal("i", "every n: dC_n^λ = 2λ C_{n−1}^{λ+1} becomes P_n′ = n(n+2λ)/(2λ+1)·Q_{n−1}",
                2 * lam * above / at_one, factor)  # fmt: skip
    lifted = lam + sp.Rational(rim_step, 2)  # t has density ∝ (1−t²)^{lifted − 1}
    for k in range(1, degree + 1):
        p, q = normalised_gegenbauer(k, lam, x), normalised_gegenbauer(k - 1, lam + 1, x)
        proof.equal("ii", f"n = {k}: P_n′ = n(n+2λ)/(2λ+1)·Q_{{n−1}}", sp.diff(p, x), factor.subs(n, k) * q)
        # d[(1−x²)^{λ+½} Q_{n−1}] = −(2λ+1)(1−x²)^{λ−½} P_n dx; over the cap that gives E P_n(cos θ) = m·Q_{n−1}(cos α)
        slope = (1 - x**2) * sp.diff(q, x) - (2 * lam + 1) * x * q
        proof.equal("iii", f"n = {k}: E P_n(cos θ) over the cap = m(α)·Q_{{n−1}}(cos α)", slope, -(2 * lam + 1) * p)
        left = q * q.subs(x, y)
        right = _rim_mean(q, lifted)
        proof.equal("iv", f"n = {k}: Q_{{n−1}}(x)Q_{{n−1}}(y) = E_t Q_{{n−1}}(xy + √(1−x²)√(1−y²) t)", left, right)
    return proof.qed(
        "d/ds E_u F(u·v) = m(α,d)·E_t F′(s cos α + √(1−s²) sin α·t), t on the sphere of R^{d+1}; "
        "∂/∂ρ E F(u·v) = m(α_t,d) m(α_k,d)·E F′(u'·v'), rims in dimension d + 2",
        ("u uniform in a cap of radius α around w", "v·w = s", f"F a polynomial of degree ≤ {degree}, else as cited"),
        ("Gegenbauer's product formula for every n (DLMF 18.17.5)",
         "polynomials are dense in C¹[−1, 1]; Poisson smoothing where F′ is singular at the ends"),
    )  # fmt: skip


def _rim_mean(polynomial: sp.Expr, parameter: sp.Expr) -> sp.Expr:
    """E_t of a polynomial at xy + √(1−x²)√(1−y²) t, t with density ∝ (1−t²)^{parameter−1}, by its even moments."""
    t = sp.Symbol("t")
    root = sp.Symbol("r")  # √(1−x²)√(1−y²)
    expanded = sp.Poly(sp.expand(polynomial.subs(x, x * y + root * t)), t)
    total = sp.Integer(0)
    for (power,), coefficient in expanded.terms():
        if power % 2 == 0:
            half = power // 2
            moment = sp.rf(sp.Rational(1, 2), half) / sp.rf(parameter + sp.Rational(1, 2), half)
            total += coefficient.subs(root**power, ((1 - x**2) * (1 - y**2)) ** half) * moment
    return total

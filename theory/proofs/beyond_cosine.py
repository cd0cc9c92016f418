r"""T4: Theorem 1 for distances other than the cosine, for caps around the axes (paper, Theorem 1 and Eqs. 1a and 1b).

A distance is F(c), c the cosine between two features. Everything hangs on one function, the Laplacian of
F(u·v), h(c) = (1−c²)F″ − (d−1)cF′, and its even part e: **1b holds for α_t ≤ α_k ≤ π/2 if h is non-decreasing
and e convex.**
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import sympy as sp

from theory.proofs._calculus import Composite, as_total_derivative, axial_laplacian
from theory.proofs._derivation import Derivation, Proof
from theory.proofs.table import FAMILIES, NARROW, POWERS, SAME_CLASS, SIMPLEX, WIDE, settled

c = sp.Symbol("c", real=True)  # the cosine u·v
# what T4 asks of h and of its even part: the words are what is checked (theory.proofs._derivation.SHAPES)
MONOTONE, CURVED = "non-decreasing", "convex"
dim = 3 + sp.Symbol("p", nonnegative=True)  # every d ≥ 3
SQEUCLIDEAN, EUCLIDEAN, ANGULAR = 2 - 2 * c, sp.sqrt(2 - 2 * c), sp.acos(c)


def laplacian(distance: sp.Expr, dimension: sp.Expr) -> sp.Expr:
    """h(c) = (1−c²)F″ − (d−1)cF′ for F = ``distance``, an expression in ``c``."""
    return sp.simplify(axial_laplacian(sp.diff(distance, c), sp.diff(distance, c, 2), c, dimension))


def same_class(
    distances: Sequence[sp.Expr] = (SQEUCLIDEAN, EUCLIDEAN, ANGULAR), density: sp.Expr | None = None
) -> Proof:
    r"""T4, 1a: holds for every F non-increasing in the cosine, every d, every old density falling in the polar angle.

    The new law may be any with a stochastically smaller polar angle. By L, s → E_v F(u·v) falls in s = u·w
    for each cap, and a density that falls is a mixture of caps.

    Parameters
    ----------
    distances : sequence of sympy expressions in ``c``
        Each an F; the powers of the chord are checked besides.
    density : sympy expression in ``c``, optional
        Density of the old law on the sphere as a function of c = cos θ; a uniform cap if not given.

    Raises
    ------
    ProofError
        At step "i" if F increases somewhere, at step "ii" if the density rises with the polar angle: a ring
        does.

    References
    ----------
    Baernstein & Taylor, *Spherical rearrangements, subharmonic functions, and \*-functions*, 1976 (another proof).
    """
    proof = Derivation("T4, 1a")
    for distance in distances:
        proof.nonnegative("i", f"F = {distance} does not increase with the cosine", -sp.diff(distance, c), c)
    y, s = sp.symbols("y s", positive=True)  # y = 2 − 2c
    proof.holds("i", "nor does (2 − 2c)^s", sp.diff(y**s, y).is_positive)
    if density is not None:
        proof.nonnegative("ii", f"the old density {density} falls in the polar angle", sp.diff(density, c), c)
    theta, top = sp.symbols("theta alpha", positive=True)
    mixing = sp.Function("g")
    layers = mixing(top) - sp.integrate(sp.diff(mixing(theta), theta), (theta, theta, top)).doit()
    proof.equal("iii", "g(θ) = g(α) + ∫_θ^α (−g′): a mixture of the caps of radius ≤ α", layers, mixing(theta))
    return proof.qed(
        "F non-increasing in the cosine: E F(u·v) ≤ E F(v'·v) if u has a stochastically smaller polar angle than v', "
        "all on one axis",
        (
            "d ≥ 2",
            "the old density does not rise with the polar angle (a uniform cap's is a step)",
            "laws symmetric around one axis",
        ),
        (
            "L: the derivative of s → E_v F is m·E F′ ≤ 0 for a cap (its statement)",
            "monotone functions keep the stochastic order (Shaked & Shanthikumar, 2007, 1.A.7)",
        ),
        settled("proved", (SAME_CLASS,), FAMILIES),
    )


def flux(coefficient: Callable[[sp.Expr], sp.Expr] = lambda d: d - 1) -> Proof:
    r"""T4 (i) and what (v) needs, for every F and d ≥ 2: the Laplacian, and two total derivatives.

    h is the Laplacian of F(u·v); over the rim at polar angle θ only its radial part remains, so the rim's
    mean M has sin^{d−2}θ · M′(θ) = ∫_0^θ (mean of h) sin^{d−2}; and ∫ h (1−c²)^{(d−3)/2} is a boundary term.
    On the circle the rim is t = ±1 and its part of h is 0 there.

    Parameters
    ----------
    coefficient : callable
        The factor of −cF′ in h, as a function of d: the identities hold for d − 1 and no other.

    Raises
    ------
    ProofError
        If an identity fails.

    References
    ----------
    Dai & Xu, *Approximation Theory and Harmonic Analysis on Spheres and Balls*, 2013, section 1.4.
    """
    proof = Derivation("T4, flux")
    d = sp.Symbol("d", positive=True)
    along, across, theta, phi, t = sp.symbols("a b theta phi t", positive=True)
    first, second = sp.symbols("F1 F2")  # F′ and F″ at the cosine: both sides are linear in them
    F = Composite(first, second)

    def h(cosine: sp.Expr) -> sp.Expr:
        return axial_laplacian(first, second, cosine, coefficient(d) + 1)

    length = sp.sqrt(along**2 + across**2)
    cosine = along / length  # F(cosine) is constant along rays; across is the distance to the axis v, in R^{d−1}
    ambient = F.bend(cosine, along) + F.bend(cosine, across) + (d - 2) / across * F.slope(cosine, across)
    proof.equal("i", "Δ F(u·v) = h(u·v)", sp.simplify(ambient * length**2), sp.simplify(h(cosine)))
    cosine = sp.cos(theta) * sp.cos(phi) + sp.sin(theta) * sp.sin(phi) * t
    radial = F.bend(cosine, theta) + (d - 2) * sp.cot(theta) * F.slope(cosine, theta)
    rim = F.axial(cosine, t, d - 1) / sp.sin(theta) ** 2
    proof.equal("i", "h = its radial part + its part along the rim, in polar coordinates", radial + rim, h(cosine))
    proof.equal("i", "the rim's part is a total derivative, so its mean is 0", *as_total_derivative(t, d - 1))
    M = sp.Function("M")(theta)
    radial_mean = sp.diff(M, theta, 2) + (d - 2) * sp.cot(theta) * sp.diff(M, theta)
    total = sp.diff(sp.sin(theta) ** (d - 2) * sp.diff(M, theta), theta) / sp.sin(theta) ** (d - 2)
    proof.equal("i", "so sin^{d−2}θ·M′(θ) = ∫_0^θ (mean of h) sin^{d−2}", total, radial_mean)
    g = sp.Function("G")(t)
    values = {first: sp.diff(g, t), second: sp.diff(g, t, 2)}
    derivative, _ = as_total_derivative(t, d)
    proof.equal("v", "h (1−c²)^{(d−3)/2} = d/dc[(1−c²)^{(d−1)/2} F′]", derivative, h(t).subs(values))
    return proof.qed(
        "M′(θ) = positive · H(θ, ρ), H the mean of h(u·v) over u in the cap of radius θ and v in the old cap; "
        "the mean of h over the sphere is the boundary term [(1−c²)^{(d−1)/2} F′]",
        ("d ≥ 2", "F of class C² inside, h integrable on the sphere"),
        ("the spherical Laplacian in polar coordinates (Dai & Xu, 2013, 1.4)",),
    )


def different_class(distance: sp.Expr, dimension: int, max_radius: sp.Expr = sp.pi / 2) -> Proof:
    r"""T4, 1b for one F and d: proved, or refused at the step where the sufficient condition breaks.

    Parameters
    ----------
    distance : sympy expression in ``c``
        F, rational or algebraic in c with rational coefficients and √(1−c²); continuous on [−1, 1].
    dimension : int
        d ≥ 2; at d = 2 the rim is two points, and (i) reads M″ = mean of h.
    max_radius : sympy number
        The largest old radius α_k.

    Raises
    ------
    ProofError
        ``step`` is "continuity" (F not finite at ±1, or the boundary term of (v) not 0), "ii" (h decreases
        somewhere), "iv" (e not convex) or "v" (a radius above π/2). The condition is sufficient: refusal
        refutes nothing.

    References
    ----------
    Paper, Theorem 1 and Eq. 1b. No reference for the result is known to us.
    """
    proof = Derivation(f"T4, 1b for F = {distance}, d = {dimension}")
    for end, side in ((1, "-"), (-1, "+")):
        value = sp.limit(distance, c, end, side)
        proof.holds("continuity", f"F is finite at c = {end}", value.is_finite, f"its limit is {value}")
        boundary = (1 - c**2) ** sp.Rational(dimension - 1, 2) * sp.diff(distance, c)
        edge = sp.limit(sp.simplify(boundary), c, end, side)
        proof.holds("continuity", f"(1−c²)^{{(d−1)/2}}F′ vanishes at {end}", edge == 0, f"its limit is {edge}")
    h = laplacian(distance, sp.Integer(dimension))
    even = sp.simplify((h + h.subs(c, -c)) / 2)
    return _five_steps(proof, sp.diff(h, c), sp.diff(even, c, 2), f"F = {distance}, d = {dimension}", max_radius)


def power_distance(largest: sp.Expr = sp.S.One) -> Proof:
    r"""T4, 1b for ‖u−v‖^{2s}, 0 < s ≤ 1, where d − 3 + 2s > 0: every d ≥ 3, and d = 2 with s > ½.

    In y = 2 − 2c: h = 2s[(d−3+2s) y^{s−1} − ½(d−2+s) y^s], decreasing and convex. `sqeuclidean` is s = 1, `euclidean`
    s = ½. On the circle the rest, s ≤ ½, is concave in the angle: :func:`theory.proofs.circle`.

    Parameters
    ----------
    largest : sympy number
        The largest s: above 1 the signs no longer follow.

    Raises
    ------
    ProofError
        If a step fails.

    References
    ----------
    Paper, Theorem 1 and Eq. 1b.
    """
    proof = Derivation("T4, 1b for powers of the chord")
    y, s = sp.symbols("y s", positive=True)
    first = sp.Symbol("d−3+2s", positive=True)  # d − 2 + s = (d − 3 + 2s) + (1 − s) > 0 with it
    slack = sp.Symbol("q", nonnegative=True)  # largest − s
    d = first + 3 - 2 * s
    second = first + 1 - s
    slope = -2 * sp.diff(y**s, y)  # d/dc = −2 d/dy
    h = (1 - (1 - y / 2) ** 2) * (-2 * sp.diff(slope, y)) - (d - 1) * (1 - y / 2) * slope
    form = 2 * s * (first * y ** (s - 1) - second * y**s / 2)
    proof.equal("h", "h = 2s[(d−3+2s) y^{s−1} − ½(d−2+s) y^s]", sp.expand(h / y**s), sp.expand(form / y**s))
    # y^{s−2} and y^{s−3} times sums in which, for s ≤ 1, every symbol and so every term has a sign
    rest = sp.Symbol("rest", real=True)  # 1 − s
    falling = 2 * s * y ** (s - 2) * (first * rest + (first + rest) * s * y / 2)
    bending = 2 * s * y ** (s - 3) * rest * (first * (1 + rest) + (first + rest) * s * y / 2)
    scale = y ** (3 - s)
    proof.equal("h", "−dh/dy as a sum of terms ≥ 0", sp.expand(-sp.diff(form, y) * scale),
                sp.expand((falling * scale).subs(rest, 1 - s)))  # fmt: skip
    proof.equal("h", "d²h/dy² as a sum of terms ≥ 0", sp.expand(sp.diff(form, y, 2) * scale),
                sp.expand((bending * scale).subs(rest, 1 - s)))  # fmt: skip
    proof.holds("continuity", "F = y^s → 0 as y → 0", sp.limit(y**s, y, 0) == 0)
    boundary = sp.powsimp(y ** ((d - 1) / 2) * y ** (s - 1))  # (1−c²)^{(d−1)/2}F′ but for factors bounded at c = 1
    proof.equal("continuity", "(1−c²)^{(d−1)/2}F′ is of order y^{(d−3+2s)/2} → 0", boundary, y ** (first / 2))
    falling, bending = (term.subs(rest, slack + 1 - largest) for term in (falling, bending))
    subject = f"‖u−v‖^{{2s}}, 0 < s ≤ {largest}, d ≥ 3, or d = 2 with s > ½"
    return _five_steps(proof, falling, bending, subject, sp.pi / 2, POWERS)


def angular_distance(dimension: sp.Expr = dim) -> Proof:
    r"""T4, 1b for arccos, every d ≥ 3, every old radius: h = (d−2)c/√(1−c²) is odd and increasing, so e = 0.

    With e = 0 steps (iv) and (v) are not needed, and with them falls the bound α_k ≤ π/2; at ρ = 0 the gap is
    0.

    Parameters
    ----------
    dimension : sympy expression
        d; every d ≥ 3 if not given. At d = 2 the proof ends, as h vanishes.

    Raises
    ------
    ProofError
        If a step fails.

    References
    ----------
    Paper, Theorem 1 and Eq. 1b.
    """
    proof = Derivation("T4, 1b for the angle")
    h = laplacian(ANGULAR, dimension)
    proof.equal("h", "h = (d−2)c/√(1−c²)", h, (dimension - 2) * c / sp.sqrt(1 - c**2))
    proof.equal("iii", "e = 0, so H(θ, 0) = 0", h + h.subs(c, -c), 0)
    slope = sp.simplify(sp.diff(h, c) * (1 - c**2) ** sp.Rational(3, 2))
    proof.holds("ii", "h′(1−c²)^{3/2} = d − 2 > 0, so H(θ, ρ) ≤ H(θ, 0) = 0", slope.is_positive, f"it is {slope}")
    return proof.qed(
        "arccos: 1b holds for α_t ≤ α_k, every ρ ≤ 0 and d ≥ 3, every old density falling in the polar angle",
        ("symmetric laws; new polar angle stochastically smaller",),
        ("L, twice (its statement)", "T4, flux (its statement)"),
        settled("proved", (NARROW, SIMPLEX, WIDE), ("angular",)),
    )


def _five_steps(
    proof: Derivation,
    slope: sp.Expr,
    curvature: sp.Expr,
    subject: str,
    max_radius: sp.Expr,
    columns: Sequence[str] = (),
) -> Proof:
    """Steps (ii) to (v) of T4 from h′ ≥ 0 and e″ ≥ 0, given as expressions to be shown non-negative."""
    proof.shape("ii", "h", MONOTONE, {1: slope, 2: curvature}, c)
    turn = sp.diag(1, -1, 1)  # a reflection that fixes the new axis and reverses the old one, at right angles to it
    new, old = sp.Matrix([1, 0, 0]), sp.Matrix([0, 1, 0])
    swaps = turn * new == new and turn * old == -old and turn * turn.T == sp.eye(3)
    proof.holds("iii", "at ρ = 0 a reflection turns v into −v: H(θ, 0) = E e(u·v)", swaps)
    proof.shape("iv", "the even part e of h", CURVED, {1: slope, 2: curvature}, c)
    along, across = sp.symbols("a b", nonnegative=True)
    odd = sp.Function("e1")  # e′, odd as e is even
    mean = (odd(along + across) + odd(along - across)) / 2
    proof.equal(
        "iv",
        "½[e′(a+b) + e′(a−b)] = ½[e′(a+b) − e′(b−a)] as e′ is odd, and a+b ≥ b−a: G′(s) ≥ 0 for s ≥ 0",
        mean.subs(odd(along - across), -odd(across - along)),
        (odd(along + across) - odd(across - along)) / 2,
    )
    proof.sign("iv", "(a+b) − (b−a)", "≥", sp.expand((along + across) - (across - along)))
    theta = sp.Symbol("theta", real=True)
    proof.identity("v", "d sin φ/dφ", sp.diff(sp.sin(theta), theta), sp.cos(theta))
    falls = sp.diff(sp.cos(theta), theta).subs(sp.sin(theta), sp.Symbol("sine", nonnegative=True))
    proof.sign("v", "d cos φ/dφ, so that cos φ is least at the rim,", "≤", falls)
    proof.sign("v", "cos α_k, so that sin φ and |v·w| = sin φ·|t| rise up to the rim,", "≥", sp.cos(max_radius))
    return proof.qed(
        f"{subject}: 1b holds in expectation for α_t ≤ α_k ≤ π/2 and every ρ ≤ 0, and the gap falls as ρ rises to 0",
        ("uniform caps, or old densities that fall in the polar angle, supported on [0, π/2]",),
        ("L, twice: ∂H/∂ρ = m·m'·E h′, so that H(θ, ρ) ≤ H(θ, 0) (its statement)",
         "T4, flux: the mean of G over the sphere is the mean of h, 0 (its statement)",
         "truncation from above lowers a law in the stochastic order (Shaked & Shanthikumar, 2007, 1.A)"),
        settled("proved", (NARROW,), columns),
    )  # fmt: skip

"""Theorem 1 for the squared Euclidean distance, where it is a statement about class means (paper, Eqs. 1a and 1b)."""

from __future__ import annotations

from collections.abc import Callable

import sympy as sp

from theory.proofs._derivation import Derivation, Proof
from theory.proofs.table import AVERAGE, settled

K = sp.Symbol("K", positive=True)
m_t, m_k = sp.symbols("m_t m_k", positive=True)


def first_moments(distance: Callable[[sp.Expr], sp.Expr] = lambda cosine: 2 - 2 * cosine) -> Proof:
    r"""T1: E[2−2u·v] = 2 − 2 μ_t·μ_k for independent unit features with means μ; no assumption on shape.

    Hence 1a ⟺ μ_k,y·(μ_t,y − μ_k,y) ≥ 0 and 1b ⟺ μ_k,y'·(μ_t,y − μ_k,y) ≤ 0. Derived for laws with two atoms
    in R², all of them symbols; each pair of atoms and each coordinate enters by itself, so more add nothing
    new.

    Parameters
    ----------
    distance : callable
        F, from the cosine to the distance. Any F that is not affine breaks the proof.

    Raises
    ------
    ProofError
        If the expectation is not a function of the means.

    References
    ----------
    Paper, Eqs. 1a and 1b.
    """
    proof = Derivation("T1")
    p, q = sp.symbols("p q", positive=True)
    new = [sp.Matrix(sp.symbols(f"u{i}x u{i}y")) for i in range(2)]
    old = [sp.Matrix(sp.symbols(f"v{i}x v{i}y")) for i in range(2)]
    other = sp.Matrix(sp.symbols("wx wy"))
    new_mean, old_mean = p * new[0] + (1 - p) * new[1], q * old[0] + (1 - q) * old[1]
    mean = sum(
        weight * share * distance(u.dot(v))
        for u, weight in zip(new, (p, 1 - p), strict=True)
        for v, share in zip(old, (q, 1 - q), strict=True)
    )

    def by_means(first: sp.Matrix, second: sp.Matrix) -> sp.Expr:
        return 2 - 2 * first.dot(second)

    proof.equal("i", "E[2 − 2u·v] = 2 − 2μ_t·μ_k", mean, by_means(new_mean, old_mean))
    same = by_means(old_mean, old_mean) - by_means(new_mean, old_mean)
    proof.equal("ii", "gap of 1a = 2 μ_k·(μ_t − μ_k)", same, 2 * old_mean.dot(new_mean - old_mean))
    different = by_means(new_mean, other) - by_means(old_mean, other)
    proof.equal("iii", "gap of 1b = −2 μ_k'·(μ_t − μ_k)", different, -2 * other.dot(new_mean - old_mean))
    return proof.qed(
        "E[2 − 2u·v] = 2 − 2μ_t·μ_k; 1a ⟺ μ_k,y·(μ_t,y − μ_k,y) ≥ 0; 1b ⟺ μ_k,y'·(μ_t,y − μ_k,y) ≤ 0",
        ("unit features", "independent draws", "squared Euclidean (or cosine) distance"),
        ("Fubini's theorem, for laws that are not finite",),
    )


def concentration(margin: sp.Expr | None = None) -> Proof:
    r"""T2: for laws symmetric around the vertices, 1a and 1b both hold ⟺ m_t ≥ m_k (m_k > 0).

    1a has margin 2 m_k (m_t − m_k), 1b has 2 m_k (m_t − m_k)/(K−1); with the new means turned by ω, 1a ⟺ m_t
    cos ω ≥ m_k.

    Parameters
    ----------
    margin : sympy expression in ``m_t``, ``m_k`` and ``K``, optional
        The margin of 1b to be proved, if not the one above.

    Raises
    ------
    ProofError
        If a step fails.

    References
    ----------
    Paper, Theorem 1.
    """
    proof = Derivation("T2")
    rho, omega, gain = sp.symbols("rho omega gain", real=True)
    rho = sp.solve(sp.Eq(1 + (K - 1) * rho, 0), rho)[0]  # w_a · Σ_b w_b = 0
    proof.equal("i", "the vertices sum to zero, so w·w' = −1/(K−1)", rho, -1 / (K - 1))
    same = 2 * m_k * (m_t - m_k)  # T1 with μ = m w
    different = -2 * (m_k * m_t * rho - m_k * m_k * rho)
    claimed = same / (K - 1) if margin is None else margin
    proof.equal("ii", "gap of 1b = 2 m_k (m_t − m_k)/(K−1)", different, claimed)
    more = sp.Symbol("n", positive=True)  # K = 1 + n
    for side, gap in (("1a", same), ("1b", different)):
        factor = sp.simplify(gap.subs(m_t, m_k + gain).subs(K, 1 + more) / gain)
        proof.holds("iii", f"gap of {side} = (m_t − m_k) × a positive factor", factor.is_positive, f"{factor}")
    axis, normal = sp.Matrix([1, 0]), sp.Matrix([0, 1])
    turned = m_t * (sp.cos(omega) * axis + sp.sin(omega) * normal)
    drifted = 2 * (m_k * axis).dot(turned - m_k * axis)
    proof.equal("iv", "drift by ω: gap of 1a = 2 m_k (m_t cos ω − m_k)", drifted, 2 * m_k * (m_t * sp.cos(omega) - m_k))
    return proof.qed(
        "1a and 1b hold ⟺ m_t ≥ m_k, with margins 2m_k(m_t − m_k) and 2m_k(m_t − m_k)/(K−1); "
        "under drift 1a ⟺ m_t cos ω ≥ m_k",
        ("laws symmetric around their vertex, so μ = m·w (a mean fixed by every rotation about w lies on w)",
         "m_k > 0", "a simplex of K ≥ 2 vertices", "squared Euclidean (or cosine) distance", "T1"),
    )  # fmt: skip


def class_average(defect: Callable[[sp.Expr, sp.Expr], sp.Expr] | None = None) -> Proof:
    r"""T8: averaged over ordered class pairs, gap(1b) = gap(1a)/(K−1) + defect, for any new model whatever.

    defect = −2 mean_y (μ_t,y − μ_k,y)·S/(K−1), S = Σ_y' μ_k,y': zero when the old class means sum to zero.
    Derived class by class for every K, and in full coordinates at K = 3.

    Parameters
    ----------
    defect : callable (move·S, K) → expression, optional
        One class's defect to be proved, where ``move·S`` is (μ_t,y − μ_k,y)·S.

    Raises
    ------
    ProofError
        If a step fails.

    References
    ----------
    Paper, Eqs. 1a and 1b.
    """
    proof = Derivation("T8")
    claimed = defect or (lambda along, classes: -2 * along / (classes - 1))
    own, total = sp.symbols("a s", real=True)  # (μ_t,y − μ_k,y)·μ_k,y and (μ_t,y − μ_k,y)·S
    same, different = 2 * own, -2 * (total - own) / (K - 1)
    proof.equal("i", "one class y, any K: mean over y' ≠ y of gap(1b) = gap(1a)/(K−1) + defect", different,
                same / (K - 1) + claimed(total, K))  # fmt: skip
    old = [sp.Matrix(sp.symbols(f"k{y}x k{y}y")) for y in range(3)]
    move = [sp.Matrix(sp.symbols(f"t{y}x t{y}y")) - old[y] for y in range(3)]
    centre = old[0] + old[1] + old[2]
    pairs = [(a, b) for a in range(3) for b in range(3) if a != b]
    left = sum(-2 * old[b].dot(move[a]) for a, b in pairs) / 6
    right = (
        sum(old[y].dot(move[y]) for y in range(3)) / 3 + sum(claimed(m.dot(centre), sp.Integer(3)) for m in move) / 3
    )
    proof.equal("ii", "K = 3 in coordinates, all class means symbols", left, right)
    return proof.qed(
        "mean over class pairs of gap(1b) = mean over classes of gap(1a)/(K−1) − 2 mean_y (μ_t,y − μ_k,y)·S/(K−1), "
        "S the sum of the old class means",
        ("ordered class pairs weighted equally", "squared Euclidean (or cosine) distance", "T1"),
        settles=settled("proved", (AVERAGE,), ("sqeuclidean",)),
    )


def tolerable_drift(cosine: sp.Expr | None = None) -> Proof:
    r"""T7, squared Euclidean: 1a tolerates every drift ω with cos ω ≥ m_k/m_t.

    1b for one class pair, the drift straight at the other vertex, tolerates ω ≤ arccos ρ − arccos(ρ m_k/m_t).

    Parameters
    ----------
    cosine : sympy expression in ``m_t`` and ``m_k``, optional
        cos ω* of 1a to be proved, if not m_k/m_t.

    Raises
    ------
    ProofError
        If a step fails.

    References
    ----------
    Paper, Theorem 1.
    """
    proof = Derivation("T7")
    rho, omega = sp.symbols("rho omega", real=True)
    edge = m_k / m_t if cosine is None else cosine
    proof.equal("i", "the gap of 1a, 2 m_k (m_t cos ω − m_k), vanishes at cos ω*", 2 * m_k * (m_t * edge - m_k), 0)
    angle, positive = sp.Symbol("angle", real=True), sp.Symbol("s", positive=True)
    slope = sp.diff(2 * m_k * (m_t * sp.cos(angle) - m_k), angle).subs(sp.sin(angle), positive)
    proof.holds("ii", "and falls in ω on (0, π): tolerated ⟺ ω ≤ ω*", slope.is_negative, f"slope {slope}")
    gap = 2 * m_k * (m_k * rho - m_t * sp.cos(sp.acos(rho) - omega))
    limit = sp.acos(rho) - sp.acos(rho * m_k / m_t)
    proof.equal("iii", "the gap of 1b, axes' cosine cos(arccos ρ − ω), vanishes at arccos ρ − arccos(ρ m_k/m_t)",
                gap.subs(omega, limit), 0)  # fmt: skip
    slope = sp.diff(-2 * m_k * m_t * sp.cos(angle - omega), omega).subs(sp.sin(angle - omega), positive)
    proof.holds("iv", "and falls in ω up to arccos ρ", slope.is_negative, f"slope {slope}")
    return proof.qed(
        "1a holds ⟺ cos ω ≥ m_k/m_t; 1b of one pair, drift straight at the other vertex, ω ≤ arccos ρ: "
        "holds ⟺ ω ≤ arccos ρ − arccos(ρ m_k/m_t)",
        ("0 < m_k ≤ m_t", "the laws of T2, the new axis turned by ω", "squared Euclidean (or cosine) distance"),
    )

"""The derivations prove what they state, and each refuses a wrong subject at the step that breaks."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import sympy as sp
from scipy.special import roots_jacobi

from theory import proofs
from theory.proofs import ProofError, beyond_cosine
from theory.proofs import decisions as D
from theory.proofs._derivation import Derivation, nonnegative_inside
from theory.proofs.beyond_cosine import c, laplacian
from theory.proofs.geometry import alpha, dim, integral, theta
from theory.proofs.moments import K, m_k, m_t
from theory.proofs.table import (
    AVERAGE,
    BELOW,
    CAPS,
    CIRCLE,
    D_COLUMNS,
    D_ROWS,
    FALSE_ACUTE,
    FALSE_OBTUSE,
    NARROW,
    ROWS,
    SAME_CLASS,
    SIMPLEX,
    SOFT,
    SOFT_LAWS,
    TRIANGLE,
    VERDICTS,
    WIDE,
    columns,
)
from theory.proofs.wide import d, s

RECORD = Path(__file__).parent / "data" / "derivations.txt"


def written(derived) -> str:
    """Every derivation as ``stationary theorem --steps`` prints it."""
    from rich.console import Console

    console = Console(width=10_000, file=io.StringIO())
    console.print(proofs.render_steps(derived))
    return re.sub(r"± \d\S*", "±", console.file.getvalue())  # errors are rounding, which processors do differently


class Broken:
    """Runs every proof with each step's subject spoilt first, which must be refused there, and then sound."""

    def __init__(self, monkeypatch):
        self.claims = []
        self.spoil(monkeypatch, "equal", lambda left, right: (left, right + sp.Rational(1, 1000)))
        # and with it every sign that was decided
        self.spoil(monkeypatch, "holds", lambda condition, reason="": (not condition, reason))
        self.proofs = proofs.prove_all()

    def spoil(self, monkeypatch, name, spoilt):
        sound = getattr(Derivation, name)

        def check(derivation, step, claim, *subject):
            with pytest.raises(ProofError) as refusal:
                sound(derivation, step, claim, *spoilt(*subject))
            assert refusal.value.step == step
            self.claims.append(claim)
            sound(derivation, step, claim, *subject)

        monkeypatch.setattr(Derivation, name, check)


@pytest.fixture(scope="module")
def broken():
    with pytest.MonkeyPatch.context() as monkeypatch:
        return Broken(monkeypatch)


@pytest.fixture(scope="module")
def proved(broken) -> dict[str, proofs.Proof]:
    return {proof.name: proof for proof in broken.proofs}


def test_every_proof_goes_through_and_says_what_it_needs(proved):
    assert len(proved) == 32
    for proof in proved.values():
        assert proof.statement
        assert proof.assumptions
        assert len(proof.steps) >= 2


def test_the_flat_limit_and_the_counterexample_state_the_numbers(proved):
    assert "128/(45π)" in proved["flat limit"].statement
    assert "0.0493323" in proved["T6 for F = 1 − c^3"].statement
    assert "-0.00117993" in proved["T6 for F = 1 − c^3"].statement


WRONG = {
    "density of another dimension": (lambda: proofs.angle_density(_density(shift=1)), "ii"),
    "density without its constant": (lambda: proofs.angle_density(sp.sin(theta) ** (dim - 2)), "ii"),
    "flat limit 127/(45π)": (lambda: proofs.flat_limit(sp.Rational(127, 45) / sp.pi), "iv"),
    "m with sin^{d−2}": (lambda: proofs.cap_mean_resultant_length(sp.sin(alpha) ** (dim - 2) / integral), "ii"),
    "T1 for 1 − c³": (lambda: proofs.first_moments(lambda cosine: 1 - cosine**3), "i"),
    "T1 for 3 − 2c": (lambda: proofs.first_moments(lambda cosine: 3 - 2 * cosine), "i"),
    "T2 with margin over K": (lambda: proofs.concentration(2 * m_k * (m_t - m_k) / K), "ii"),
    "T8 without the defect": (lambda: proofs.class_average(lambda along, classes: 0 * along), "i"),
    "T8 with the sign turned": (lambda: proofs.class_average(lambda along, classes: 2 * along / (classes - 1)), "i"),
    "T7 with the ratio turned": (lambda: proofs.tolerable_drift(m_t / m_k), "i"),
    "L one dimension up": (lambda: proofs.cap_derivative(rim_step=1), "iii"),
    "Laplacian with d": (lambda: proofs.flux(lambda d: d), "i"),
    "1a for F that rises": (lambda: proofs.same_class([c]), "i"),
    "1a for an old ring": (lambda: proofs.same_class(density=1 - c**2), "ii"),
    "powers up to s = 3/2": (lambda: proofs.power_distance(sp.Rational(3, 2)), "ii"),
    "the angle at d = 2": (lambda: proofs.angular_distance(sp.Integer(2)), "ii"),
    "on the circle, a distance that is convex near 0": (
        lambda: proofs.different_class_on_the_circle([2 - 2 * c]),
        "f",
    ),
    "on the circle, an arc above π/2": (lambda: proofs.different_class_on_the_circle(max_radius=sp.Integer(2)), "iii"),
    "T4 at d = 2 for the chord": (lambda: proofs.different_class(sp.sqrt(2 - 2 * c), 2), "continuity"),
    "N1 with K − 1 vertices at right angles": (lambda: proofs.worst_simplex(1 / (K - 1)), "iii"),
    "T7 for F that rises": (lambda: proofs.drift_threshold(c), "i"),
    "T7 for a constant": (lambda: proofs.drift_threshold(sp.Integer(1)), "i"),
    "N3 with half of c₀": (lambda: proofs.wide_caps((1 - s) / (d - 2 + s) / 2), "iii"),
    "N3 with c₀ of d + 1": (lambda: proofs.wide_caps((1 - s) / (d - 1 + s)), "iii"),
    "N3 witnessed where it is proved": (lambda: proofs.wide_violation([(3, 0.5, -0.1, 0.3, 2.2)]), "i"),
    "κ_t < κ_k": (lambda: proofs.von_mises_fisher(-sp.Symbol("x", positive=True)), "ii"),
    "T6 for the cosine itself": (lambda: proofs.cubic_counterexample(1), "iv"),
    "1 − c³": (lambda: proofs.different_class(1 - c**3, 9), "ii"),
    "√(1 − c³), a metric": (lambda: proofs.different_class(sp.sqrt(1 - c**3), 9), "ii"),
    "(1 − c)²": (lambda: proofs.different_class((1 - c) ** 2, 5), "ii"),
    "h rises, e concave": (lambda: proofs.different_class(-c + c**2 / 10, 3), "iv"),
    "−log((1+c)/2)": (lambda: proofs.different_class(-sp.log((1 + c) / 2), 3), "continuity"),
    "radius above π/2": (lambda: proofs.different_class(2 - 2 * c, 5, sp.Integer(2)), "v"),
}


WRONG |= {
    "D with Δ₂ of other radii": (
        lambda: proofs.accept_rates((1 - D.p**2) * (1 - D.q**2) - (D.z + D.p * D.q) ** 2), "3",
    ),
    "D with ρz − τ": (lambda: proofs.accept_rates(weight=D.rho * D.z - D.tau), "2"),
    "D with levels of Δ₁": (lambda: proofs.paired_levels(D.CIRCLE), "5"),
    "separated classes with a slope of 1": (lambda: proofs.separated_classes(sp.Integer(1)), "iii"),
    "D2 without radii ≤ π/2": (lambda: proofs.false_accept_rate("real"), "6"),
    "a fall of the false accept rate as a rise": (lambda: proofs.rise_below(threshold=0.2), "i"),
}  # fmt: skip


def _density(shift: int) -> sp.Expr:
    d = dim + shift
    return sp.gamma(d / 2) / (sp.sqrt(sp.pi) * sp.gamma((d - 1) / 2)) * sp.sin(theta) ** (d - 2)


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_subject_is_refused_at_its_step(name):
    prove, step = WRONG[name]
    with pytest.raises(ProofError) as refusal:
        prove()
    assert refusal.value.step == step


@pytest.mark.parametrize("distance", [2 - 2 * c, 1 - c, sp.sqrt(2 - 2 * c), sp.acos(c)])
@pytest.mark.parametrize("dimension", [3, 4, 9])
def test_one_distance_and_dimension_at_a_time_is_proved_too(distance, dimension):
    proof = proofs.different_class(distance, dimension)
    assert proof.steps[-1].startswith("(v)")


def test_an_old_ring_violates_1a():
    # on the circle the ring at the angle 1 is two points: chords 0 and 2 sin 1, and 2 sin ½ to the axis
    ring = np.exp(1j * np.array([1.0, -1.0]))
    within, across = np.abs(np.subtract.outer(ring, ring)).mean(), np.abs(1 - ring).mean()
    assert (within, across) == pytest.approx((np.sin(1), 2 * np.sin(0.5)), rel=1e-15)
    assert across > within + 0.1


def test_t4_itself_serves_on_the_circle():
    assert proofs.different_class(2 - 2 * c, 2).steps


def test_densities_that_fall_are_accepted():
    assert any(step.startswith("(ii)") for step in proofs.same_class(density=sp.exp(2 * c)).steps)


def test_the_logarithm_breaks_only_by_its_pole():
    # in d = 3 its Laplacian is the constant 1: monotone, with a convex even part, and yet of mean 1, not 0
    assert sp.simplify(laplacian(-sp.log((1 + c) / 2), sp.Integer(3)) - 1) == 0


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (1 - c**2, True),
        (c, False),
        ((c - sp.Rational(1, 2)) ** 2, True),
        ((c - sp.Rational(1, 2)) ** 2 - sp.Rational(1, 10**8), False),  # negative on a width of 2e−4
        (1 / sp.sqrt(1 - c) - sp.sqrt(1 + c) / 2, True),  # the product √(1−c²)/2 stays below 1
        (1 / sp.sqrt(1 - c) - sp.sqrt(1 + c), True),
        (1 / sp.sqrt(1 - c) - sp.Rational(101, 100) * sp.sqrt(1 + c), False),  # fails around 0 alone
        (1 / sp.sqrt(1 - c**2) - 1, True),
        (sp.exp(c) - 2, False),  # true or not, it is not decided, so it does not follow
    ],
)
def test_signs_are_decided_exactly(expression, expected):
    verdict, reason = nonnegative_inside(expression, c)
    assert verdict is expected
    assert bool(reason) is not expected


def test_lemma_l_holds_for_a_distance_that_is_no_polynomial():
    # both sides by Gauss–Jacobi quadrature of analytic integrands: 60 nodes leave rounding alone
    d, radius, level, step = 5, 0.8, -0.3, 1e-5

    def mean_over_sphere(exponent, function):
        nodes, weights = roots_jacobi(60, exponent, exponent)
        return float(weights @ function(nodes) / weights.sum())

    nodes, weights = np.polynomial.legendre.leggauss(60)
    polar, density = radius * (nodes + 1) / 2, weights * np.sin(radius * (nodes + 1) / 2) ** (d - 2)
    m = float(density @ np.cos(polar) / density.sum())

    def cap_mean(s):
        def at(t):
            return np.exp(-(np.cos(polar) * s + np.sin(polar) * np.sqrt(1 - s * s) * t[:, None])) @ density

        return mean_over_sphere((d - 4) / 2, at) / density.sum()

    left = (cap_mean(level + step) - cap_mean(level - step)) / (2 * step)
    right = m * mean_over_sphere(
        (d - 2) / 2,
        lambda t: -np.exp(-(level * np.cos(radius) + np.sqrt(1 - level**2) * np.sin(radius) * t)),
    )
    # central difference: truncation step²·F‴ ~ 1e−10, rounding 1e−16/step ~ 1e−11
    assert abs(left - right) < 1e-9


def test_the_refusal_at_step_iv_is_of_a_distance_that_fails():
    # F = −c + c²/10 in d = 3: at ρ = 0 only P_2 counts, with coefficient 2/30 > 0 and P_2(0) = −1/2
    def second(radius):  # E P_2(cos θ) over the cap: ∫ P_2 dx/(1 − x_0) from x_0 = cos radius
        x = np.cos(radius)
        return x * (1 + x) / 2

    gap = (2 / 30) * -0.5 * second(0.3) * (second(0.2) - second(0.3))
    assert gap < -0.0005  # its size, 7e−4, is far above rounding


def gegenbauer(degree, parameter, variable):
    """P_n with P_n(1) = 1, from its recurrence."""
    before, here = sp.Integer(1), variable
    if degree == 0:
        return before
    for k in range(1, degree):
        before, here = here, (2 * (k + parameter) * variable * here - k * before) / (k + 2 * parameter)
    return here


@pytest.mark.parametrize("degree", range(1, 4))
def test_lemma_l_degree_by_degree(degree):
    # the proof treats every degree at once through the differential equation; here the polynomials are written out
    lam, x, y, t = sp.Rational(3, 2), *sp.symbols("x y t", real=True)  # d = 5
    p, q = gegenbauer(degree, lam, x), gegenbauer(degree - 1, lam + 1, x)
    assert sp.expand(sp.diff(p, x) - degree * (degree + 2 * lam) / (2 * lam + 1) * q) == 0
    root = sp.Symbol("root")
    inner = sp.expand(sp.sympify(q).subs(x, x * y + root * t))
    density = (1 - t**2) ** 1 * sp.sqrt(1 - t**2)  # (1−t²)^{(d−2)/2}
    moments = {k: sp.integrate(t**k * density, (t, -1, 1)) for k in range(0, degree + 1, 2)}
    mean = sum(moments[k] / moments[0] * inner.coeff(t, k) for k in moments)
    product = sp.expand(sp.sympify(mean).subs(root, sp.sqrt((1 - x**2) * (1 - y**2))))
    assert sp.expand(product - q * sp.sympify(q).subs(x, y)) == 0


def test_every_step_can_be_broken(broken):
    total = sum(len(proof.steps) for proof in broken.proofs)
    assert len(broken.claims) == total > 100


def test_the_table_says_what_was_proved_and_what_was_not(proved):
    table = proofs.theorem_table(tuple(proved.values()))
    assert tuple(table) == ROWS
    assert all(tuple(row) == columns() and set(row.values()) <= set(VERDICTS) for row in table.values())
    named = ("sqeuclidean", "euclidean", "angular")
    for row in (SAME_CLASS, NARROW, CIRCLE, SIMPLEX, TRIANGLE):
        assert all(table[row][metric] == "proved" for metric in named), row
    assert table[NARROW]["any other"] == "fails: proved"
    assert [table[WIDE][metric] for metric in named] == ["proved", "fails: witnessed", "proved"]
    assert (table[SIMPLEX]["power"], table[TRIANGLE]["power"]) == ("open", "fails: witnessed")
    # what no derivation reaches is refuted by a case that is computed, not left open
    assert table[CIRCLE]["any other"] == table[SOFT]["any other"] == "fails: witnessed"
    assert [table[AVERAGE][metric] for metric in named] == ["proved", "fails: witnessed", "fails: witnessed"]
    decisions = proofs.decision_table(tuple(proved.values()))
    assert tuple(decisions) == D_ROWS
    assert decisions[FALSE_OBTUSE] == dict.fromkeys(D_COLUMNS, "proved")
    assert decisions[FALSE_ACUTE][SOFT_LAWS] == "open"
    assert decisions[BELOW][CAPS] == "fails: witnessed"
    # without its proof a cell is open, never empty or proved
    without = proofs.theorem_table([p for p in proved.values() if p.name != "T4, 1b for powers of the chord"])
    assert without[NARROW]["euclidean"] == "open"


def test_the_table_is_rendered_whole(proved):
    from rich.console import Console

    console = Console(width=200, record=True, file=io.StringIO())
    console.print(proofs.render(tuple(proved.values())))
    text = console.export_text()
    assert all(row in text for row in (*ROWS, *D_ROWS))
    assert "DLMF" in text
    for proof in proved.values():
        words = {word for row in proof.settles.values() for word in row.values()}
        assert proof.witness or "fails: witnessed" not in words
        assert proof.witness.split(";")[0] in text


def test_every_step_assumption_and_citation_is_printed_and_as_recorded(proved):
    """The record is a file: a step that is dropped or reworded shows as a difference (``python -m`` this module)."""
    text = written(tuple(proved.values()))
    assert text == RECORD.read_text()
    for proof in proved.values():
        assert all(assumption in text for assumption in proof.assumptions)
        assert all(lemma in text for lemma in proof.cited)


@pytest.mark.parametrize(("name", "word"), [("MONOTONE", "non-increasing"), ("CURVED", "concave")])
def test_a_wrong_word_in_a_sentence_fails(monkeypatch, name, word):
    monkeypatch.setattr(beyond_cosine, name, word)
    with pytest.raises(ProofError):
        proofs.power_distance()


def test_a_sentence_is_made_of_what_is_checked():
    derivation = Derivation("test")
    derivation.identity("1", "the square", (c + 1) ** 2, c**2 + 2 * c + 1)
    positive = sp.Symbol("a", positive=True)
    derivation.sign("2", "a + 1", ">", positive + 1)
    derivation.shape("3", "c²", "convex", {1: 2 * c, 2: sp.Integer(2)}, c)
    assert derivation.steps == ["(1) the square = c^2 + 2·c + 1", "(2) a + 1 = a + 1 > 0", "(3) c² is convex in c"]
    for wrong in (
        lambda: derivation.identity("1", "the square", (c + 1) ** 2, c**2 + 1),
        lambda: derivation.sign("2", "a + 1", "<", positive + 1),
        lambda: derivation.sign("2", "c", "≥", c),  # no sign follows
        lambda: derivation.shape("3", "c²", "non-decreasing", {1: 2 * c, 2: sp.Integer(2)}, c),
    ):
        with pytest.raises(ProofError):
            wrong()


def test_sympy_loads_with_the_proofs_only():
    script = "import sys, theory.duality, theory.certify; sys.exit('sympy' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


if __name__ == "__main__":
    RECORD.write_text(written(proofs.prove_all()))

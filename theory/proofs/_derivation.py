"""What a proof is here: a statement, what it assumes, the steps that SymPy has checked, and what is only cited."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import sympy as sp


class ProofError(Exception):
    """A step does not follow. ``step`` is its label, such as "ii"."""

    def __init__(self, proof: str, step: str, reason: str) -> None:
        super().__init__(f"{proof}, step {step}: {reason}")
        self.step = step


@dataclass(frozen=True)
class Proof:
    """A proved statement.

    Attributes
    ----------
    name, statement : str
        What is proved, in words and formulas.
    assumptions : tuple of str
        What it needs.
    steps : tuple of str
        Each checked by SymPy when the proof was made.
    cited : tuple of str
        Theorems used and not derived, with a reference.
    settles : mapping
        Its place in the tables: for each line, a mapping from columns to verdicts. Empty for a tool that only other
        proofs use.
    witness : str
        For a refutation by numbers: the case in which the statement fails.
    """

    name: str
    statement: str
    assumptions: tuple[str, ...]
    steps: tuple[str, ...]
    cited: tuple[str, ...]
    settles: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    witness: str = ""


SHAPES = {"non-decreasing": (1, 1), "non-increasing": (1, -1), "convex": (2, 1), "concave": (2, -1)}
"""What a word says of a function: the order of a derivative, and its sign."""

_RELATIONS: dict[str, Callable[[sp.Expr], object]] = {
    "≥": lambda expression: expression.is_nonnegative,
    "≤": lambda expression: expression.is_nonpositive,
    ">": lambda expression: expression.is_positive,
    "<": lambda expression: expression.is_negative,
}


def display(expression: sp.Expr) -> str:
    """An expression in a line of text: what is printed is what was checked."""
    return str(sp.sstr(expression)).replace("**", "^").replace("*", "·").replace("sqrt", "√")


class Derivation:
    """Checks steps one by one and keeps a record of them; the first that fails raises :class:`ProofError`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.steps: list[str] = []

    def holds(self, step: str, claim: str, condition: object, reason: str = "") -> None:
        """Record ``claim`` if ``condition`` is True; SymPy's None, undecided, is a failure."""
        if condition is not True and condition is not sp.true:
            raise ProofError(self.name, step, f"{claim} does not follow{': ' + reason if reason else ''}.")
        self.steps.append(f"({step}) {claim}")

    def equal(self, step: str, claim: str, left: sp.Expr, right: sp.Expr) -> None:
        """Record ``claim`` if the two expressions are identically equal."""
        left, right = sp.sympify(left), sp.sympify(right)
        if not any(_vanishes(left, right)):
            reason = f"the two sides differ by {sp.simplify(left - right)}"
            raise ProofError(self.name, step, f"{claim} does not follow: {reason}.")
        self.steps.append(f"({step}) {claim}")

    def identity(self, step: str, name: str, expression: sp.Expr, equals: sp.Expr) -> None:
        """Record "name = …" with the right side as SymPy writes it, if the expression is identically equal to it."""
        self.equal(step, f"{name} = {display(equals)}", expression, equals)

    def sign(self, step: str, name: str, relation: str, expression: sp.Expr) -> None:
        """Record "name = expression relation 0", the relation ≥, ≤, > or <, if the symbols' signs imply it."""
        holds = _RELATIONS[relation](expression)
        self.holds(step, f"{name} = {display(expression)} {relation} 0", holds, "the signs of its terms do not tell")

    def shape(self, step: str, name: str, word: str, derivatives: Mapping[int, sp.Expr], variable: sp.Symbol) -> None:
        """Record "name is word", a word of :data:`SHAPES`, from the derivative and the sign that the word stands for.

        ``derivatives`` gives the function's derivatives by order, on −1 < variable < 1.
        """
        order, sign = SHAPES[word]
        verdict, reason = nonnegative_inside(sign * derivatives[order], variable)
        self.holds(step, f"{name} is {word} in {variable}", verdict, reason)

    def nonnegative(self, step: str, claim: str, expression: sp.Expr, variable: sp.Symbol) -> None:
        """Record ``claim`` if the expression is ≥ 0 for −1 < variable < 1."""
        verdict, reason = nonnegative_inside(expression, variable)
        self.holds(step, claim, verdict, reason)

    def qed(
        self,
        statement: str,
        assumptions: tuple[str, ...] = (),
        cited: tuple[str, ...] = (),
        settles: Mapping[str, Mapping[str, str]] | None = None,
        witness: str = "",
    ) -> Proof:
        """The finished proof."""
        return Proof(self.name, statement, assumptions, tuple(self.steps), cited, settles or {}, witness)


def _vanishes(left: sp.Expr, right: sp.Expr) -> Iterator[bool]:
    """Whether left − right is identically 0, by ever dearer normal forms."""
    difference = left - right
    yield sp.expand(difference) == 0
    yield sp.powsimp(sp.expand(difference)) == 0
    yield sp.cancel(sp.together(sp.expand_power_exp(difference))) == 0
    if right != 0:
        yield sp.gammasimp(left / right) == 1
    yield sp.simplify(sp.gammasimp(difference)) == 0


def nonnegative_inside(expression: sp.Expr, variable: sp.Symbol) -> tuple[bool, str]:
    """Decide exactly whether an expression is ≥ 0 on −1 < variable < 1, or say why that does not follow.

    The sign can change only at a real root of one of the expression's factors: these are isolated, and the
    sign read off between them. √(1−c) and √(1+c) become rational by 1 − c = 2 sin²φ, τ = tan(φ/2), 0 < τ < 1.
    """
    expression = sp.factor(sp.together(sp.simplify(expression)))
    if expression.is_nonnegative:
        return True, ""
    if expression.free_symbols != {variable}:
        return False, f"the sign of {expression} could not be decided"
    tau = sp.Symbol("tau", positive=True)
    sine, cosine = 2 * tau / (1 + tau**2), (1 - tau**2) / (1 + tau**2)
    factors = [base for base in expression.as_powers_dict() if not base.is_number]
    if all(base.is_polynomial(variable) for base in factors):
        symbol, point_of, low, high = variable, variable, sp.Integer(-1), sp.Integer(1)
    else:
        symbol, point_of, low, high = tau, 1 - 2 * sine**2, sp.Integer(0), sp.Integer(1)
        roots_of = {1 - variable: sp.sqrt(2) * sine, 1 + variable: sp.sqrt(2) * cosine}

        def rational(part: sp.Expr, exponent: sp.Expr) -> sp.Expr:
            for base, root in roots_of.items():
                scale = sp.cancel(part / base)
                if scale.is_positive:
                    return scale**exponent * root ** (2 * exponent)
            if sp.cancel(part / (1 - variable**2)).is_positive:
                return (part / (1 - variable**2)) ** exponent * (2 * sine * cosine) ** (2 * exponent)
            return part**exponent

        factors = [
            base.replace(lambda e: e.is_Pow and not e.exp.is_integer, lambda e: rational(*e.as_base_exp()))
            for base in factors
        ]
    try:
        edges = {low, high}
        for base in factors:
            for part in sp.fraction(sp.cancel(sp.together(base.subs(variable, point_of)))):
                polynomial = sp.Poly(part, symbol).monic()
                if not all(coefficient.is_rational for coefficient in polynomial.all_coeffs()):
                    raise sp.PolynomialError
                edges |= {root for root in polynomial.real_roots() if low < root < high}
    except sp.PolynomialError:
        return False, f"the sign of {expression} could not be decided"
    ordered = sorted(edges)
    for left, right in itertools.pairwise(ordered):
        middle = sp.Rational(str(((left + right) / 2).evalf(20)))
        at = point_of.subs(symbol, middle)
        if not expression.subs(variable, at).evalf(30) > 0:
            return False, f"{expression} < 0 at {variable} = {at.evalf(6)}"
    return True, ""

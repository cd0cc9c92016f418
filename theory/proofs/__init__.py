"""Derivations checked by computer algebra each time they run: a function proves its statement or raises ``ProofError``.

Each returns a :class:`Proof`: the statement, what it assumes, the steps that SymPy checked, and the lemmas that are
cited instead of derived; the reading of a step, and the passage from one to the next, are for a reader to judge. Most
take their subject as an argument (a claimed formula, a distance, a density), so that a wrong one can be seen to fail.
Statements are about expectations; that the inequalities of Definition 1 hold for *all* pairs is never claimed.
"""

# ruff: noqa: E402
from __future__ import annotations

from theory.extras import require

require("theory.proofs", "sympy")

from theory.proofs._derivation import Proof, ProofError
from theory.proofs.beyond_cosine import angular_distance, different_class, flux, power_distance, same_class
from theory.proofs.cap_average import cap_derivative
from theory.proofs.circle import different_class_on_the_circle
from theory.proofs.consequences import drift_threshold, von_mises_fisher, worst_simplex
from theory.proofs.counterexample import cubic_counterexample, refutations, wide_violation
from theory.proofs.decisions import (
    accept_rates,
    drift_inside,
    false_accept_rate,
    false_accept_rate_of_soft_laws,
    flat_below,
    paired_levels,
    ranked_above,
    recall_falls,
    rise_below,
    separated_classes,
    true_accept_rate,
)
from theory.proofs.geometry import angle_density, cap_mean_resultant_length, flat_limit
from theory.proofs.moments import class_average, concentration, first_moments, tolerable_drift
from theory.proofs.table import decision_table, render, render_steps, theorem_table
from theory.proofs.wide import wide_arcs, wide_caps

__all__ = [
    "Proof",
    "ProofError",
    "accept_rates",
    "angle_density",
    "angular_distance",
    "cap_derivative",
    "cap_mean_resultant_length",
    "class_average",
    "concentration",
    "cubic_counterexample",
    "decision_table",
    "different_class",
    "different_class_on_the_circle",
    "drift_inside",
    "drift_threshold",
    "false_accept_rate",
    "false_accept_rate_of_soft_laws",
    "first_moments",
    "flat_below",
    "flat_limit",
    "flux",
    "paired_levels",
    "power_distance",
    "prove_all",
    "ranked_above",
    "recall_falls",
    "refutations",
    "render",
    "render_steps",
    "rise_below",
    "same_class",
    "separated_classes",
    "theorem_table",
    "tolerable_drift",
    "true_accept_rate",
    "von_mises_fisher",
    "wide_arcs",
    "wide_caps",
    "wide_violation",
    "worst_simplex",
]


def prove_all() -> tuple[Proof, ...]:
    """Run every derivation, in the order in which they lean on each other; about ten seconds.

    Raises
    ------
    ProofError
        At the first step that does not follow.
    """
    return (
        angle_density(),
        first_moments(),
        concentration(),
        cap_mean_resultant_length(),
        flat_limit(),
        class_average(),
        tolerable_drift(),
        cap_derivative(),
        flux(),
        same_class(),
        power_distance(),
        angular_distance(),
        different_class_on_the_circle(),
        worst_simplex(),
        von_mises_fisher(),
        wide_caps(),
        wide_arcs(),
        drift_threshold(),
        cubic_counterexample(),
        wide_violation(),
        refutations(),
        accept_rates(),
        true_accept_rate(),
        paired_levels(),
        false_accept_rate(),
        false_accept_rate_of_soft_laws(),
        flat_below(),
        drift_inside(),
        ranked_above(),
        separated_classes(),
        rise_below(),
        recall_falls(),
    )

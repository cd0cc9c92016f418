"""Theorem 1 on data: hypotheses, conclusions, and the implication between them, kept apart.

Three different answers: the theorem shows (hypotheses and conclusions hold); a hypothesis fails, so the theorem says
nothing; a conclusion fails although the hypotheses hold, the only answer that speaks against the theorem.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from jaxtyping import Float
from numpy import ndarray

from verification.audit.definition1 import judge_definition1
from verification.audit.hypotheses import MAX_DRIFT, Hypotheses, check_hypotheses
from verification.audit.margin import Margin
from verification.audit.report import Definition1Report
from verification.reporting import json_safe
from verification.statistics.interval import Population, Verdict
from verification.upgrade import Upgrade

Answer = Literal["holds", "hypothesis fails", "conclusion fails although the hypotheses hold", "undecided"]


@dataclass(frozen=True)
class TheoremCheck:
    """The hypotheses and conclusions of Theorem 1 on data, and the answer that follows.

    Attributes
    ----------
    answer : str
        "holds", "hypothesis fails", "conclusion fails although the hypotheses hold" (within the stated tolerance on the
        drift), or "undecided" where an interval leaves it open.
    hypotheses : Hypotheses
    conclusions : Definition1Report
        Both conclusions hold if its verdict is "compatible".
    """

    answer: Answer
    hypotheses: Hypotheses
    conclusions: Definition1Report

    @property
    def sentence(self) -> str:
        """The answer in a sentence."""
        h, c = self.hypotheses, self.conclusions
        if self.answer == "holds":
            return "The hypotheses of Theorem 1 hold, and so do both inequalities."
        if self.answer == "hypothesis fails":
            reasons = []
            if h.stationarity == "fail":
                reasons.append(f"a class mean lies at least {math.degrees(h.worst_drift[0]):.1f}° from its vertex")
            if h.concentration == "fail":
                reasons.append(f"concentration falls from {h.old_cosine:.3f} to {h.new_cosine:.3f}")
            return f"A hypothesis of Theorem 1 fails: {' and '.join(reasons)}. The inequalities are {c.verdict}."
        if self.answer == "undecided":
            return f"Undecided: the hypotheses {_reads(h.status)}, the inequalities are {c.verdict}."
        return (
            f"A conclusion of Theorem 1 fails although its hypotheses hold, class means within "
            f"{math.degrees(h.max_drift):.0f}° of their vertices."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, angles in radians."""
        return {
            "answer": self.answer,
            "sentence": self.sentence,
            "hypotheses": json_safe(self.hypotheses.to_dict()),
            "conclusions": self.conclusions.to_dict(),
        }


def _reads(status: str) -> str:
    return {"hold": "hold", "fail": "fail", "undecided": "are undecided"}[status]


def check_theorem(
    upgrade: Upgrade,
    vertices: Float[ndarray, "k dim"] | None = None,
    max_drift: float = MAX_DRIFT,
    confidence: float = 0.95,
) -> TheoremCheck:
    """Check the hypotheses and the conclusions of Theorem 1 on two models' features of the same samples.

    Parameters and errors are those of :func:`~verification.audit.hypotheses.check_hypotheses` and
    :func:`verification.audit`.
    """
    conclusions = judge_definition1(upgrade, "sqeuclidean", confidence, Margin(0.0), "pairs", Population.fixed)
    hypotheses = check_hypotheses(upgrade, vertices, max_drift, confidence)
    answer: Answer
    if hypotheses.status == "fail":
        answer = "hypothesis fails"
    elif hypotheses.status == "undecided" or conclusions.verdict == Verdict.inconclusive:
        answer = "undecided"
    elif conclusions.verdict == Verdict.compatible:
        answer = "holds"
    else:
        answer = "conclusion fails although the hypotheses hold"
    return TheoremCheck(answer, hypotheses, conclusions)

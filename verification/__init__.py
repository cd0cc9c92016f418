"""Whether learned features obey the theory: both sides of Definition 1, the hypotheses of Theorem 1, retrieval.

Importing this package does not import torch: an audit needs arrays alone.

What a check is, stands on this floor. :mod:`verification.files` and :mod:`verification.sources` read,
:mod:`verification.statistics` holds what intervals rest on, :mod:`verification.decision` and :mod:`verification.bridge`
answer what an engineer asks after the audit, :mod:`verification.page` writes the report's page,
:mod:`verification.simulated` counts wrong verdicts, :mod:`verification.suites` compares methods and
:mod:`verification.claims` keeps the ledger.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from verification.audit import AuditReport, SideReport, audit
from verification.distributed import audit_distributed
from verification.features import FeatureSet

if TYPE_CHECKING:
    from verification.decision.decide import decide
    from verification.decision.retrieval import compare_retrieval
    from verification.decision.retrieval_report import RetrievalReport
    from verification.decision.threshold_report import ThresholdReport
    from verification.decision.thresholds import compare_thresholds
    from verification.hypotheses import Hypotheses, check_hypotheses, nearest_simplex
    from verification.matrices import MatrixReport, flip_rates, judge_matrix, judge_outcomes, released_matrices
    from verification.retrieval import (
        average_accuracies,
        average_accuracy,
        average_compatibility,
        average_precision,
        backward_compatibility,
        compatibility_matrix,
        forward_compatibility,
        outcomes,
    )
    from verification.theorem import TheoremCheck, check_theorem

__all__ = [
    "AuditReport",
    "FeatureSet",
    "Hypotheses",
    "MatrixReport",
    "RetrievalReport",
    "SideReport",
    "TheoremCheck",
    "ThresholdReport",
    "audit",
    "audit_distributed",
    "average_accuracies",
    "average_accuracy",
    "average_compatibility",
    "average_precision",
    "backward_compatibility",
    "check_hypotheses",
    "check_theorem",
    "compare_retrieval",
    "compare_thresholds",
    "compatibility_matrix",
    "decide",
    "flip_rates",
    "forward_compatibility",
    "judge_matrix",
    "judge_outcomes",
    "nearest_simplex",
    "outcomes",
    "released_matrices",
]

# loaded when asked for: an audit needs none of these, and starts twice as fast without
_WHERE = {
    "RetrievalReport": "decision.retrieval_report",
    "ThresholdReport": "decision.threshold_report",
    "decide": "decision.decide",
    "compare_retrieval": "decision.retrieval",
    "compare_thresholds": "decision.thresholds",
    **dict.fromkeys(("Hypotheses", "check_hypotheses", "nearest_simplex"), "hypotheses"),
    **dict.fromkeys(("MatrixReport", "flip_rates", "judge_matrix", "judge_outcomes", "released_matrices"), "matrices"),
    **dict.fromkeys(
        (
            "average_accuracies",
            "average_accuracy",
            "average_compatibility",
            "average_precision",
            "backward_compatibility",
            "compatibility_matrix",
            "forward_compatibility",
            "outcomes",
        ),
        "retrieval",
    ),
    **dict.fromkeys(("TheoremCheck", "check_theorem"), "theorem"),
}


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(f"verification.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

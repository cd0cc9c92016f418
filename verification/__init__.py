"""Whether learned features obey the theory: both sides of Definition 1, the hypotheses of Theorem 1, retrieval.

Importing this package does not import torch: an audit needs arrays alone. :mod:`verification.html` writes the page,
:mod:`verification.calibration` simulates the audit, :mod:`verification.evaluate` judges sequences of models.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from verification.audit import AuditReport, SideReport, audit
from verification.distributed import audit_distributed
from verification.features import FeatureSet

if TYPE_CHECKING:
    from verification.compare import compare_retrieval
    from verification.decision import decide
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
    from verification.retrieval_report import RetrievalReport
    from verification.theorem import TheoremCheck, check_theorem
    from verification.threshold_report import ThresholdReport
    from verification.thresholds import compare_thresholds

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
_MODULES = (
    "retrieval_report",
    "threshold_report",
    "decision",
    "compare",
    "thresholds",
    "hypotheses",
    "matrices",
    "retrieval",
    "theorem",
)


def __getattr__(name: str) -> Any:
    if name in __all__:
        for module in map(import_module, (f"verification.{module}" for module in _MODULES)):
            if hasattr(module, name):
                return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Whether learned features obey the theory: both sides of Definition 1, the hypotheses of Theorem 1, retrieval.

Importing this package does not import torch: an audit needs arrays only.

:mod:`verification.features` reads files and stores, :mod:`verification.statistics` holds what intervals rest on,
:mod:`verification.upgrade` says who is compared with whom, :mod:`verification.search` searches galleries,
:mod:`verification.audit` judges what is claimed of an upgrade, :mod:`verification.bridge` finds maps between models,
:mod:`verification.views` shows reports, and :mod:`verification.experiments` holds the ledger of claims, the suites and
the simulations of this project.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from verification.audit import Definition1Report, SideReport, UpgradeReport, audit
from verification.features import FeatureSet
from verification.statistics.interval import Criterion, Interval, Verdict
from verification.upgrade import Upgrade

if TYPE_CHECKING:
    from verification.audit.decisions import DecisionCheck, RateTests, check_decisions
    from verification.audit.hypotheses import Hypotheses, check_hypotheses, nearest_simplex
    from verification.audit.judge import Options, judge
    from verification.audit.parts import RetrievalParts, hashed_sample
    from verification.audit.retrieval import compare_retrieval
    from verification.audit.retrieval_report import RetrievalReport
    from verification.audit.stream import UpgradeSums
    from verification.audit.theorem import TheoremCheck, check_theorem
    from verification.audit.threshold_report import ThresholdReport
    from verification.audit.thresholds import compare_thresholds
    from verification.distributed import audit_distributed
    from verification.search.matrices import MatrixReport, flip_rates, judge_matrix, judge_outcomes, released_matrices
    from verification.search.scores import (
        average_accuracies,
        average_accuracy,
        average_compatibility,
        average_precision,
        backward_compatibility,
        compatibility_matrix,
        forward_compatibility,
        outcomes,
    )

__all__ = [
    "Criterion",
    "DecisionCheck",
    "Definition1Report",
    "FeatureSet",
    "Hypotheses",
    "Interval",
    "MatrixReport",
    "Options",
    "RateTests",
    "RetrievalParts",
    "RetrievalReport",
    "SideReport",
    "TheoremCheck",
    "ThresholdReport",
    "Upgrade",
    "UpgradeReport",
    "UpgradeSums",
    "Verdict",
    "audit",
    "audit_distributed",
    "average_accuracies",
    "average_accuracy",
    "average_compatibility",
    "average_precision",
    "backward_compatibility",
    "check_decisions",
    "check_hypotheses",
    "check_theorem",
    "compare_retrieval",
    "compare_thresholds",
    "compatibility_matrix",
    "flip_rates",
    "forward_compatibility",
    "hashed_sample",
    "judge",
    "judge_matrix",
    "judge_outcomes",
    "nearest_simplex",
    "outcomes",
    "released_matrices",
]

# loaded when asked for: an audit of Definition 1 needs none of these, and starts twice as fast without
_MODULES = {
    "audit.judge": ("Options", "judge"),
    "audit.hypotheses": ("Hypotheses", "check_hypotheses", "nearest_simplex"),
    "audit.parts": ("RetrievalParts", "hashed_sample"),
    "audit.retrieval": ("compare_retrieval",),
    "audit.retrieval_report": ("RetrievalReport",),
    "audit.decisions": ("DecisionCheck", "RateTests", "check_decisions"),
    "audit.theorem": ("TheoremCheck", "check_theorem"),
    "audit.threshold_report": ("ThresholdReport",),
    "audit.thresholds": ("compare_thresholds",),
    "distributed": ("audit_distributed",),
    "audit.stream": ("UpgradeSums",),
    "search.matrices": ("MatrixReport", "flip_rates", "judge_matrix", "judge_outcomes", "released_matrices"),
    "search.scores": (
        "average_accuracies",
        "average_accuracy",
        "average_compatibility",
        "average_precision",
        "backward_compatibility",
        "compatibility_matrix",
        "forward_compatibility",
        "outcomes",
    ),
}
_WHERE = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(f"verification.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Whether learned features obey the theory: both sides of Definition 1, the hypotheses of Theorem 1, retrieval.

Importing this package does not import torch: an audit needs arrays alone.
"""

from verification.audit import AuditReport, SideReport, audit
from verification.features import FeatureSet
from verification.hypotheses import Hypotheses, check_hypotheses, nearest_simplex
from verification.retrieval import average_accuracy, average_compatibility, compatibility_matrix
from verification.theorem import TheoremCheck, check_theorem

__all__ = [
    "AuditReport",
    "FeatureSet",
    "Hypotheses",
    "SideReport",
    "TheoremCheck",
    "audit",
    "average_accuracy",
    "average_compatibility",
    "check_hypotheses",
    "check_theorem",
    "compatibility_matrix",
    "nearest_simplex",
]

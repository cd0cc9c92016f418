r"""Theorems 1 and D, proved box by box in ball arithmetic (paper, Eqs. 1a and 1b and Theorem 1; docs/theorem-d.md).

A second witness that owes nothing to the analytic proof. Both gaps are sums over n of coefficients of the distance
times coefficients a_n of the two laws (:mod:`theory.certify.series`). Over boxes of the laws' parameters the gap's
slope is enclosed (:mod:`theory.certify.cells`): as the gap vanishes where new and old law agree, a slope of one sign
decides it on both sides of that diagonal (:mod:`theory.certify.sweep`). ``python -m theory.certify.table`` writes the
tables of certificates. Needs python-flint (extra ``certify``).

For decisions at a threshold: the sign of FAR_k − FAR_t over boxes (:mod:`theory.certify.decisions`), the exact
threshold (:mod:`theory.certify.rates`), and searches that get worse although Theorem D holds
(:mod:`theory.certify.circle`, :mod:`theory.certify.hemispheres`).
"""

from theory.certify.boxes import Box, Certificate, GapCertificates
from theory.certify.circle import CircleRanking, certify_circle_ranking
from theory.certify.decisions import RateCertificate, certify_rates
from theory.certify.hemispheres import certify_orthogonal_recall
from theory.certify.rates import enclose_threshold
from theory.certify.series import METRIC_NAMES
from theory.certify.sweep import LAWS, certify_gaps

__all__ = [
    "LAWS",
    "METRIC_NAMES",
    "Box",
    "Certificate",
    "CircleRanking",
    "GapCertificates",
    "RateCertificate",
    "certify_circle_ranking",
    "certify_gaps",
    "certify_orthogonal_recall",
    "certify_rates",
    "enclose_threshold",
]

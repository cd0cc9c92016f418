r"""Signs of Theorem 1's two gaps, proved box by box in ball arithmetic (paper, Eqs. 1a and 1b and Theorem 1).

A second witness that owes nothing to the analytic proof. Both gaps are sums over n of coefficients of the distance
times coefficients a_n of the two laws (:mod:`theory.certify.series`). Over boxes of the laws' parameters the gap's
slope is enclosed (:mod:`theory.certify.cells`): as the gap vanishes where new and old law agree, a slope of one sign
decides it on both sides of that diagonal (:mod:`theory.certify.sweep`). ``python -m theory.certify.table`` writes the
table of certificates. Needs python-flint (extra ``certify``).
"""

from theory.certify.boxes import Box, Certificate, GapCertificates
from theory.certify.series import METRIC_NAMES
from theory.certify.sweep import LAWS, certify_gaps

__all__ = ["LAWS", "METRIC_NAMES", "Box", "Certificate", "GapCertificates", "certify_gaps"]

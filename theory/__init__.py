"""What the paper claims, as functions: exact values, Monte Carlo, proofs. Needs NumPy, SciPy and SymPy alone.

Not imported here, because they load more: :mod:`theory.proofs` (SymPy), :mod:`theory.certify` (python-flint, the extra
``certify``), :mod:`theory.duality` (SciPy's optimisers) and :mod:`theory.benchmark`.
"""

from theory.angles import (
    angle_cdf,
    angle_logcdf,
    angle_logpdf,
    angle_pdf,
    angle_sf,
    expected_nearest_neighbor_angle,
    expected_separation_angle,
)
from theory.caps import UniformCap
from theory.compatibility import (
    Drift,
    Gaps,
    class_pair_gaps,
    first_moment_gaps,
    off_centre_defect,
    theorem1_gaps,
    tolerable_drift,
)
from theory.distances import expected_distance
from theory.holds import find_counterexample, theorem1_holds_for
from theory.metrics import PowerDistance
from theory.monte_carlo import Estimate, PairFractions, estimate_distance, estimate_pair_fractions
from theory.simplex import simplex_vertices
from theory.von_mises_fisher import VonMisesFisher

__all__ = [
    "Drift",
    "Estimate",
    "Gaps",
    "PairFractions",
    "PowerDistance",
    "UniformCap",
    "VonMisesFisher",
    "angle_cdf",
    "angle_logcdf",
    "angle_logpdf",
    "angle_pdf",
    "angle_sf",
    "class_pair_gaps",
    "estimate_distance",
    "estimate_pair_fractions",
    "expected_distance",
    "expected_nearest_neighbor_angle",
    "expected_separation_angle",
    "find_counterexample",
    "first_moment_gaps",
    "off_centre_defect",
    "simplex_vertices",
    "theorem1_gaps",
    "theorem1_holds_for",
    "tolerable_drift",
]

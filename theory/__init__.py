"""The claims of the paper as functions: exact values, Monte Carlo, proofs. Needs NumPy and SciPy.

A name is loaded when it is first asked for, so that ``import theory.metrics`` costs NumPy only. Not listed here,
because they need more: :mod:`theory.proofs` (SymPy, the extra ``proofs``), :mod:`theory.certify` (python-flint, the
extra ``certify``), :mod:`theory.duality` (SciPy's optimisers) and :mod:`theory.benchmark`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from theory.acceptance import expected_acceptance
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
    from theory.decisions import acceptance_drift, exact_threshold, safe_drift, safe_threshold, theorem_d_gaps
    from theory.distances import expected_distance
    from theory.holds import find_counterexample, theorem1_holds_for
    from theory.metrics import METRICS, AngularDistance, FunctionDistance, Metric, PowerDistance
    from theory.monte_carlo import Estimate, PairFractions, estimate_distance, estimate_pair_fractions
    from theory.ranking import Ranking, expected_auc, expected_ranking
    from theory.simplex import simplex_vertices
    from theory.von_mises_fisher import VonMisesFisher

__all__ = [
    "METRICS",
    "AngularDistance",
    "Drift",
    "Estimate",
    "FunctionDistance",
    "Gaps",
    "Metric",
    "PairFractions",
    "PowerDistance",
    "Ranking",
    "UniformCap",
    "VonMisesFisher",
    "acceptance_drift",
    "angle_cdf",
    "angle_logcdf",
    "angle_logpdf",
    "angle_pdf",
    "angle_sf",
    "class_pair_gaps",
    "estimate_distance",
    "estimate_pair_fractions",
    "exact_threshold",
    "expected_acceptance",
    "expected_auc",
    "expected_distance",
    "expected_nearest_neighbor_angle",
    "expected_ranking",
    "expected_separation_angle",
    "find_counterexample",
    "first_moment_gaps",
    "off_centre_defect",
    "safe_drift",
    "safe_threshold",
    "simplex_vertices",
    "theorem1_gaps",
    "theorem1_holds_for",
    "theorem_d_gaps",
    "tolerable_drift",
]

# in the order in which they load each other, so that a name is found before more is loaded than it needs
_MODULES = (
    "metrics",
    "simplex",
    "angles",
    "caps",
    "von_mises_fisher",
    "acceptance",
    "distances",
    "compatibility",
    "decisions",
    "ranking",
    "monte_carlo",
    "holds",
)


def __getattr__(name: str) -> object:
    if name in __all__:
        for module in _MODULES:
            found = getattr(import_module(f"theory.{module}"), name, None)
            if found is not None:
                return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""How much drift an update bears, seen by the audit: a little less is compatible, a little more is not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from tests.verification.samples import cap_features
from theory.caps import UniformCap
from theory.compatibility import theorem1_gaps, tolerable_drift
from theory.simplex import simplex_vertices
from verification.audit import audit
from verification.features import FeatureSet

DIM, CLASSES, NEW, OLD = 9, 5, 0.5, 0.9
PILOT, POWER = 400, 0.999


def turned(features: FeatureSet, angle: float) -> FeatureSet:
    """Every class turned by ``angle`` in the plane of its vertex and a direction off all vertices."""
    aside = np.eye(DIM)[DIM - 1]  # the simplex of five lies in the first four coordinates
    vertices = simplex_vertices(CLASSES, DIM)[features.codes]
    along, across = np.einsum("nd,nd->n", features.unit, vertices), features.unit @ aside
    rest = features.unit - along[:, None] * vertices - across[:, None] * aside
    forward = along * math.cos(angle) - across * math.sin(angle)
    sideways = along * math.sin(angle) + across * math.cos(angle)
    return FeatureSet(rest + forward[:, None] * vertices + sideways[:, None] * aside, features.labels)


def sample(size: int, drift: float, rng: np.random.Generator) -> tuple[FeatureSet, FeatureSet]:
    labels = np.arange(size) % CLASSES
    return turned(cap_features(labels, DIM, NEW, rng), drift), cap_features(labels, DIM, OLD, rng)


@pytest.mark.parametrize("metric", ["sqeuclidean", "euclidean", "angular"])
def test_the_audit_tells_97_from_103_per_cent_of_the_tolerable_drift(metric):
    new, old = UniformCap(DIM, NEW), UniformCap(DIM, OLD)
    limit = tolerable_drift(new, old, CLASSES, metric).same_class
    rng = np.random.default_rng(12)
    # the power calculation, before any data is judged: the exact gaps, and a standard error from a pilot at the limit
    gaps = [theorem1_gaps(new, old, CLASSES, metric, factor * limit).same_class for factor in (0.97, 1.03)]
    assert gaps[0] > 0 > gaps[1]
    side = audit(*sample(PILOT, limit, rng), metric).same_class
    error = (side.upper - side.gap) / stats.norm.isf(0.0125)
    needed = error * (stats.norm.isf(0.0125) + stats.norm.isf(1.0 - POWER)) / min(map(abs, gaps))
    size = math.ceil(PILOT * needed**2)
    verdicts = [audit(*sample(size, factor * limit, rng), metric).same_class.verdict for factor in (0.97, 1.03)]
    assert verdicts == ["compatible", "incompatible"], f"N = {size}"

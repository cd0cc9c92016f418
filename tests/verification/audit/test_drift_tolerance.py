"""How much drift an update tolerates, seen by the audit: a little less is compatible, a little more is not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize, stats

from tests.verification.samples import cap_features
from theory.caps import UniformCap
from theory.compatibility import theorem1_gaps, tolerable_drift
from theory.simplex import simplex_vertices
from verification.audit import audit
from verification.audit.drift import _Means
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


@pytest.mark.simulations
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
    reports = [audit(*sample(size, factor * limit, rng), metric) for factor in (0.97, 1.03)]
    verdicts = [report.same_class.verdict for report in reports]
    assert verdicts == ["compatible", "incompatible"], f"N = {size}"
    # and the report's own margin: what it says the update tolerates, beside how far the new means rotated
    margins = [report.drift for report in reports]
    assert margins[0].rotated < margins[0].tolerates
    assert margins[1].rotated > margins[1].tolerates
    # m of a class is known to 0.15/√(N/5), the tolerance to some ten times that; here N > 3000
    assert math.degrees(margins[0].tolerates) == pytest.approx(math.degrees(limit), abs=2.0)


def both(radius_new: float, radius_old: float, angle: float, size: int = 1000) -> tuple[FeatureSet, FeatureSet]:
    labels, rng = np.arange(size) % CLASSES, np.random.default_rng(3)
    return turned(cap_features(labels, DIM, radius_new, rng), angle), cap_features(labels, DIM, radius_old, rng)


@pytest.mark.parametrize("metric", ["sqeuclidean", "cosine", "euclidean", "angular"])
@pytest.mark.parametrize(("radius", "angle"), [(0.5, 0.3), (0.5, 0.9), (0.8, 0.1), (1.0, 0.0)])
def test_a_class_has_room_just_where_its_gap_is_positive(metric, radius, angle):
    report = audit(*both(radius, 0.9, angle), metric)
    room = [found.tolerates - found.rotated for found in report.drift.by_class]
    for value, entry in zip(room, report.by_class, strict=True):
        # neither rotated nor tolerates a turn: a class that loses and is where it was
        assert (value >= 0.0) == (entry.gap >= 0.0) or value == 0.0
    assert report.drift.worst == report.drift.by_class[int(np.argmin(room))]
    pair, least = report.drift.pair, report.worst.different_class
    assert (pair.query, pair.gallery) == (least.query, least.gallery)
    assert (pair.tolerates >= pair.rotated) == (least.gap >= 0.0)


@pytest.mark.parametrize("metric", ["sqeuclidean", "euclidean", "angular"])
@pytest.mark.parametrize("with_gallery", [False, True])
def test_the_margin_is_what_caps_tolerate(metric, with_gallery):
    new, old = both(NEW, OLD, 0.2, 2000)
    gallery = cap_features(old.labels, DIM, OLD, np.random.default_rng(4)) if with_gallery else None
    found = audit(new, old, metric, gallery=gallery).drift
    exact = tolerable_drift(UniformCap(DIM, NEW), UniformCap(DIM, OLD), CLASSES, metric)
    # 400 samples a class: a class mean's length is known to 0.008, its direction to 0.03; medians of five
    assert found.rotated == pytest.approx(0.2, abs=0.03)
    assert found.tolerates == pytest.approx(exact.same_class, abs=0.03)
    assert found.pair.tolerates == pytest.approx(exact.different_class, abs=0.06)
    if metric == "sqeuclidean":
        assert found.tolerates_as_caps is None
    else:
        assert found.tolerates_as_caps == pytest.approx(exact.same_class, abs=0.02)


def test_no_law_is_assumed_of_a_class():
    """A class that is a tight core and a few strays tolerates less than a cap with its mean, and it shows."""
    rng = np.random.default_rng(0)
    labels = np.arange(1000) % CLASSES
    core, strays = (cap_features(labels, DIM, radius, rng).unit for radius in (0.2, 2.2))
    stray = rng.random(len(labels)) < 0.2
    old = FeatureSet(np.where(stray[:, None], strays, core), labels)
    new = cap_features(labels, DIM, 0.2, rng)
    found = audit(new, old, "euclidean")
    assert found.drift.tolerates_as_caps - found.drift.tolerates > 0.15
    # turned by a little more than it tolerates the gap is used up, by a little less it is not
    room = found.drift.tolerates - found.drift.rotated
    gaps = [
        audit(turned(new, found.drift.rotated + room + more), old, "euclidean").same_class.gap for more in (-0.1, 0.1)
    ]
    assert gaps[0] > 0.0 > gaps[1]


def test_identical_models_rotated_by_nothing():
    _, old = both(0.5, 0.5, 0.0, 200)
    for metric in ("sqeuclidean", "angular"):
        found = audit(old, old, metric).drift
        # the arc cosine of one less its rounding
        assert (found.rotated, found.tolerates) == pytest.approx((0.0, 0.0), abs=1e-7)


def test_in_one_dimension_nothing_turns():
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    new, old = (FeatureSet((labels[:, None] - 0.5) * rng.choice([1, 1, -1], (40, 1)), labels) for _ in range(2))
    assert audit(new, old).drift is None


@pytest.mark.parametrize(("lengths", "radii"), [((1.0, 0.5), (1e-6, None)), ((0.9, 0.0), (None, math.pi))])
def test_means_as_long_as_no_caps_are_those_of_a_point_or_of_the_whole_sphere(lengths, radii):
    """Medians over the classes that have pairs: here the last has none."""
    new, old = (np.array([length, length, 0.3]) for length in lengths)
    blank = np.zeros((3, DIM))
    means = _Means(
        new=blank, old=blank, items=blank, new_length=new, old_length=old, item_length=old, cross=new, within=new,
        paired=np.array([0, 1]),
    )  # fmt: skip
    caps = [
        UniformCap(
            DIM,
            radius
            or optimize.brentq(lambda r, m=length: float(UniformCap(DIM, r).mean_resultant_length()) - m, 0.1, 3.0),
        )
        for length, radius in zip(lengths, radii, strict=True)
    ]
    expected = tolerable_drift(*caps, CLASSES, "euclidean").same_class
    assert means.tolerates_as_caps("euclidean") == pytest.approx(expected, abs=1e-6)

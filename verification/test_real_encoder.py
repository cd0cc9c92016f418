"""Theorem 1 and Theorem D on a real encoder: all-MiniLM-L6 with heads for a fixed simplex, and tuned as a whole.

``python -m benchmarks.real embed`` makes the features, ``--real FOLDER`` names their folder; elsewhere this is skipped.
The texts are of source packages that nothing was tuned on.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from theory.simplex import simplex_vertices
from verification.audit.definition1 import audit
from verification.audit.theorem import check_theorem
from verification.experiments.dependence import class_means
from verification.features import FeatureSet
from verification.upgrade import Upgrade

# rows whose pairs are all looked at for Theorem D
ROWS = 2000
# float64 rounding of N·d ~ 1e5 products of order 1
ROUNDING = 1e-11


@pytest.fixture(
    scope="module",
    params=[
        ("simplex-old", "simplex-new"),
        ("minilm-l6", "whole-ce"),
        ("minilm-l6", "whole-hoc"),
        ("minilm-l6", "whole-first-moment"),
    ],
    ids=" to ".join,
)
def upgrade(request: pytest.FixtureRequest) -> tuple[FeatureSet, FeatureSet]:
    """New and old features of the same texts."""
    folder = request.config.getoption("--real", None)
    if folder is None:
        pytest.skip("needs features of a real encoder: python -m benchmarks.real embed, then --real FOLDER/features")
    old, new = (FeatureSet.load(str(Path(folder) / f"sections.{name}.npz")) for name in request.param)
    return new, old


def test_theorem_1_is_not_contradicted_and_the_update_turned_round_is_incompatible(upgrade):
    new, old = upgrade
    check = check_theorem(Upgrade(new, old))
    assert check.answer != "conclusion fails although the hypotheses hold", check.sentence
    # the control: from the new model back to the old one the caps widen
    back = check_theorem(Upgrade(old, new))
    assert back.hypotheses.concentration == "fail", back.sentence
    assert back.conclusions.verdict == "incompatible"


def test_the_gap_of_a_class_is_that_of_its_mean_and_of_its_drift(upgrade):
    """T2: 1a of a class ⟺ m_t cos ω ≥ m_k, ω the angle between the class means of the two models."""
    new, old = (FeatureSet(each.unit, each.codes) for each in upgrade)
    found = {own.label: own for own in audit(new, old).by_class}
    after, before = class_means(new), class_means(old)
    lengths = np.linalg.norm(before, axis=1)
    turned = np.vecdot(after, before) / lengths  # m_t cos ω
    sizes = np.bincount(old.codes)
    # the audit leaves out a row and itself
    own = np.array([np.mean(np.vecdot(new.unit[old.codes == c] - old.unit[old.codes == c], old.unit[old.codes == c]))
                    for c in range(len(sizes))])  # fmt: skip
    expected = 2.0 * (sizes * lengths * (turned - lengths) - own) / (sizes - 1)
    np.testing.assert_allclose([found[c].gap for c in range(len(sizes))], expected, atol=ROUNDING)
    for c, (mine, k) in enumerate(zip(turned, lengths, strict=True)):
        assert found[c].verdict != ("incompatible" if mine >= k else "compatible")


def test_theorem_d_on_classes_that_are_symmetric_about_their_vertices(upgrade):
    """Real polar angles, directions about the vertex drawn anew: accepts obey Theorem D at every threshold ≥ 0.

    Where a quantile of a class's new angles is above the old one it is lowered to it, as the theorem assumes.
    """
    (new, old), codes = polar_angles(*upgrade)
    for c in np.unique(codes):
        here = codes == c
        old[here] = np.sort(old[here])
        new[here] = np.minimum(np.sort(new[here]), old[here])
    tar, far = changes(np.stack([new, old]), codes)
    assert all(change >= -4.0 * error for change, error in tar)
    assert all(change <= 4.0 * error for change, error in far)
    # the control: the old and the new model exchanged
    tar, _ = changes(np.stack([old, new]), codes)
    assert any(change < -4.0 * error for change, error in tar)


def polar_angles(new: FeatureSet, old: FeatureSet) -> tuple[np.ndarray, np.ndarray]:
    """Angle of each row to the mean direction of its class, (2, N), and the classes."""
    rows = np.sort(np.random.default_rng(0).permutation(len(old))[:ROWS])
    codes = old.codes
    found = []
    for features in (new, old):
        means = class_means(FeatureSet(features.unit, codes))
        means /= np.linalg.norm(means, axis=1, keepdims=True)
        found.append(np.arccos(np.clip(np.vecdot(features.unit[rows], means[codes[rows]]), -1.0, 1.0)))
    return np.stack(found), codes[rows]


def changes(angles: np.ndarray, codes: np.ndarray) -> list[list[tuple[float, float]]]:
    """New less old rate of true and of false accepts at thresholds from 0 to 0.9, each with its standard error.

    Laws are zonal about the vertices of a simplex. Both models' rows of a text lie in one direction about its vertex:
    that changes no rate and makes their difference more exact.
    """
    rng = np.random.default_rng(0)
    axes = simplex_vertices(int(codes.max()) + 1)[codes]
    off, partners = directions(axes, rng), directions(axes, rng)
    new, old = (zonal(own, axes, off) for own in angles)
    partner = zonal(angles[1], axes, partners)
    same = codes[:, None] == codes
    apart = ~np.eye(len(codes), dtype=bool)
    cosines = new @ partner.T, old @ partner.T
    found = []
    for pairs in (same & apart, ~same):
        own = []
        for threshold in np.linspace(0.0, 0.9, 19):
            change = np.where(pairs, (cosines[0] >= threshold).astype(float) - (cosines[1] >= threshold), 0.0)
            mean = change.sum() / pairs.sum()
            # of a mean over pairs of rows and partners: both are drawn
            parts = [(change - mean * pairs).sum(axis=axis) / pairs.sum() for axis in (0, 1)]
            own.append((float(mean), float(np.sqrt(sum(np.sum(part**2) for part in parts)))))
        found.append(own)
    return found


def directions(axes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Random unit rows at right angles to the axes."""
    off = rng.standard_normal(axes.shape)
    off -= np.vecdot(off, axes)[:, None] * axes
    return off / np.linalg.norm(off, axis=1, keepdims=True)


def zonal(angles: np.ndarray, axes: np.ndarray, off: np.ndarray) -> np.ndarray:
    """Rows at these angles to their axes."""
    return np.cos(angles)[:, None] * axes + np.sin(angles)[:, None] * off

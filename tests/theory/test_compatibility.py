"""Theorem 1's gaps: the numbers, the laws, the counter-examples, and the drift that they bear."""

from __future__ import annotations

import math
from unittest.mock import Mock

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies import seeds
from theory import distances
from theory.caps import UniformCap
from theory.compatibility import (
    class_pair_gaps,
    first_moment_gaps,
    off_centre_defect,
    theorem1_gaps,
    tolerable_drift,
)
from theory.distances import expected_distance
from theory.metrics import PowerDistance
from theory.simplex import simplex_vertices
from theory.von_mises_fisher import VonMisesFisher

EPS = np.finfo(float).eps
METRICS = ("sqeuclidean", "euclidean", "angular", PowerDistance(0.2))


def cube(c: np.ndarray) -> np.ndarray:
    return 1 - c**3


def cube_gaps(dim: int, new: float, old: float, num_classes: int) -> tuple[float, float]:
    """F = 1 − c³ in closed form: c³ = [3P_1 + (d−1)P_3]/(d+2), P_3(c) = ((d+2)c³ − 3c)/(d−1); 40 digits."""
    with mp.workdps(40):

        def coefficients(radius: float) -> tuple[mp.mpf, mp.mpf]:
            def moment(power: int) -> mp.mpf:
                edges = [0, mp.mpf(radius) / 2, mp.mpf(radius)]
                return mp.quad(lambda t: mp.cos(t) ** power * mp.sin(t) ** (dim - 2), edges)

            first, third = moment(1) / moment(0), moment(3) / moment(0)
            return first, ((dim + 2) * third - 3 * first) / (dim - 1)

        def cosine_cubed(a: tuple, b: tuple, rho: mp.mpf) -> mp.mpf:
            p3 = ((dim + 2) * rho**3 - 3 * rho) / (dim - 1)
            return (3 * rho * a[0] * b[0] + (dim - 1) * p3 * a[1] * b[1]) / (dim + 2)

        t, k, rho = coefficients(new), coefficients(old), mp.mpf(-1) / (num_classes - 1)
        same = cosine_cubed(t, k, mp.mpf(1)) - cosine_cubed(k, k, mp.mpf(1))
        return float(same), float(cosine_cubed(k, k, rho) - cosine_cubed(t, k, rho))


def test_a_strictly_decreasing_function_breaks_1b() -> None:
    """T6: every hypothesis of Theorem 1 holds and 1b fails; quadrature against closed form, 1e−13 of the distance."""
    gaps = theorem1_gaps(UniformCap(9, 0.2), UniformCap(9, 0.3), 10, cube)
    np.testing.assert_allclose(gaps, cube_gaps(9, 0.2, 0.3, 10), atol=1e-13)
    np.testing.assert_allclose(gaps, (0.0493323, -0.00117993), rtol=2e-6)  # six digits are quoted
    root = theorem1_gaps(UniformCap(9, 0.2), UniformCap(9, 0.3), 10, lambda c: np.sqrt(1 - c**3))
    np.testing.assert_allclose(root, (0.05858, -0.000579), rtol=1e-3)  # three digits are quoted


@pytest.mark.parametrize(
    ("new", "old", "rho", "quoted"),
    [(0.5, 2.0, 0.0, -0.01142491), (0.3, 2.2, -0.02, -0.0098722), (0.3, 2.2, -0.1, 0.0002019)],
)
def test_wide_caps_break_1b_near_orthogonal_axes(new: float, old: float, rho: float, quoted: float) -> None:
    """`euclidean`, d = 3: an old cap above π/2 violates 1b close to ρ = 0 but not at ρ = −0.1; to the digits quoted."""
    narrow, wide = UniformCap(3, new), UniformCap(3, old)
    gap = expected_distance(narrow, wide, rho, "euclidean") - expected_distance(wide, wide, rho, "euclidean")
    assert gap == pytest.approx(quoted, rel=3e-4, abs=6e-9)


def test_continuity_at_the_antipode_is_needed() -> None:
    """A small power, d = 2, K = 3 and caps above π/2: 1b gap −8.57e−5 (three digits quoted)."""
    gaps = theorem1_gaps(UniformCap(2, 0.1), UniformCap(2, 2.8), 3, PowerDistance(0.01))
    assert gaps.different_class == pytest.approx(-8.57e-5, rel=1e-3)


@settings(max_examples=40, deadline=None)
@given(
    dim=st.integers(3, 300),
    radii=st.tuples(st.floats(1e-6, math.pi / 2), st.floats(1e-6, math.pi / 2)),
    classes=st.integers(2, 301),
    metric=st.sampled_from(METRICS),
)
def test_theorem_1(dim: int, radii: tuple[float, float], classes: int, metric) -> None:
    """T4: caps that do not widen, up to π/2: both gaps ≥ 0 for every power up to the square, and for the angle.

    The gaps are differences of distances that are right to 1e−10 at worst, 1e−13 as a rule.
    """
    new, old = UniformCap(dim, min(radii)), UniformCap(dim, max(radii))
    gaps = theorem1_gaps(new, old, min(classes, dim + 1), metric)
    assert gaps.same_class >= -1e-12
    assert gaps.different_class >= -1e-12
    if max(radii) > 1.01 * min(radii):
        assert theorem1_gaps(old, new, min(classes, dim + 1), metric).same_class < 0  # negative control: a wider cap


@settings(max_examples=25, deadline=None)
@given(
    dim=st.integers(3, 300),
    kappas=st.tuples(st.floats(0.01, 1e4), st.floats(0.01, 1e4)),
    metric=st.sampled_from(METRICS),
)
def test_theorem_1_for_von_mises_fisher(dim: int, kappas: tuple[float, float], metric) -> None:
    """N2: κ_t ≥ κ_k is compatible as well; tolerance as above."""
    new, old = VonMisesFisher(dim, max(kappas)), VonMisesFisher(dim, min(kappas))
    gaps = theorem1_gaps(new, old, dim + 1, metric)
    assert min(gaps) >= -1e-12
    if max(kappas) > 1.01 * min(kappas):
        assert theorem1_gaps(old, new, dim + 1, metric).same_class < 0


@pytest.mark.parametrize("metric", METRICS)
def test_identical_models_have_no_gap(metric) -> None:
    for law in (UniformCap(9, 0.4), UniformCap(9, 1e-6), UniformCap(9, 2.5), VonMisesFisher(9, 30.0)):
        gaps = theorem1_gaps(law, law, 10, metric)
        assert gaps == (0.0, 0.0)
        turned = theorem1_gaps(law, law, 10, metric, drift=0.2)
        assert turned.same_class < 0  # T5: equal caps bear no rotation
        assert turned.different_class < 0


@pytest.mark.parametrize("num_classes", [2, 4, 10])
def test_margins_of_the_square(num_classes: int) -> None:
    """T2: 1a has margin 2 m_k(m_t − m_k), 1b that over K − 1; with drift m_t turns to m_t cos ω."""
    new, old = UniformCap(9, 0.3), UniformCap(9, 0.6)
    m, m_old = new.mean_resultant_length(), old.mean_resultant_length()
    gaps = theorem1_gaps(new, old, num_classes)
    assert gaps.same_class == pytest.approx(2 * m_old * (m - m_old), rel=1e-14 / (m - m_old))
    assert gaps.different_class == pytest.approx(gaps.same_class / (num_classes - 1), rel=20 * EPS)
    drifted = theorem1_gaps(new, old, num_classes, drift=0.4)
    between = math.acos(-1 / (num_classes - 1))
    assert drifted.same_class == pytest.approx(2 * m_old * (m * math.cos(0.4) - m_old), rel=1e-13)
    expected = 2 * m_old * (m_old * math.cos(between) - m * math.cos(between - 0.4))
    assert drifted.different_class == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("metric", ["euclidean", "angular", PowerDistance(0.3)])
@pytest.mark.parametrize("dim", [3, 9, 100])
def test_gaps_of_small_caps_keep_their_digits(metric, dim: int) -> None:
    """1b is an O(α²) difference of O(1) numbers: gap/α² tends to its limit as 1 + O(α²), rounding as ε/α."""
    ratios = []
    for radius in (1e-3, 1e-4, 1e-5, 1e-6):
        gaps = theorem1_gaps(UniformCap(dim, 0.5 * radius), UniformCap(dim, radius), dim + 1, metric)
        ratios.append(gaps.different_class / radius**2)
    assert ratios[0] > 0
    for radius, ratio in zip((1e-3, 1e-4, 1e-5), ratios, strict=False):
        assert ratio == pytest.approx(ratios[-1], rel=10 * radius**2 + 1e-9)
    # against the subtraction where that still has digits
    new, old, rho = UniformCap(dim, 0.05), UniformCap(dim, 0.1), -1 / dim
    plain = expected_distance(new, old, rho, metric) - expected_distance(old, old, rho, metric)
    gaps = theorem1_gaps(new, old, dim + 1, metric)
    assert gaps.different_class == pytest.approx(plain, abs=1e-10)
    assert gaps.different_class == pytest.approx(ratios[0] * 0.01, rel=0.05)


def test_gaps_of_wide_caps_keep_their_digits() -> None:
    """m_k = 1e−8 at α = 3, d = 9: E is F_0 to 16 digits and the gap is 1e−8 relative to it; ρ scales it by −F_1 ρ."""
    new, old = UniformCap(9, 0.5), UniformCap(9, 3.0)
    assert old.mean_resultant_length() < 1e-7
    gaps = theorem1_gaps(new, old, 10, "euclidean")
    # the first term of the series is all but the gap's whole: the rest is of relative size m_k·dim
    ratio = gaps.same_class / theorem1_gaps(new, old, 10, "sqeuclidean").same_class
    assert 0 < ratio < 1
    again = theorem1_gaps(new, UniformCap(9, 3.1), 10, "euclidean").same_class
    other = theorem1_gaps(new, UniformCap(9, 3.1), 10, "sqeuclidean").same_class
    assert again / other == pytest.approx(ratio, rel=0.05)


def test_drift_tolerances_quoted() -> None:
    """T7: 26.69° for 1a and 0.682° for one class pair of 1b (digits quoted)."""
    drift = tolerable_drift(UniformCap(9, 0.3), UniformCap(9, 0.6), 10)
    assert math.degrees(drift.same_class) == pytest.approx(26.69, abs=0.005)
    assert math.degrees(drift.different_class) == pytest.approx(0.682, abs=0.0005)


@pytest.mark.parametrize("metric", [*METRICS, lambda c: np.arccos(c) + np.sqrt(2 - 2 * c)])
@pytest.mark.parametrize("dim", [3, 9, 200])
def test_tolerances_are_where_the_gap_changes_sign(metric, dim: int) -> None:
    """Just inside both hold, just outside each fails: a relative bracket of 1e−7 around an answer good to 1e−9."""
    new, old = UniformCap(dim, [0.3, 0.02, 1.0]), UniformCap(dim, [0.6, 0.03, 2.0])
    drift = tolerable_drift(new, old, dim + 1, metric)
    for side in (0, 1):
        assert np.all(drift[side] > 0)
        inside = theorem1_gaps(new, old, dim + 1, metric, drift=drift[side] * (1 - 1e-7))[side]
        outside = theorem1_gaps(new, old, dim + 1, metric, drift=drift[side] * (1 + 1e-7))[side]
        assert np.all(inside > outside)
        assert np.all(inside >= -1e-13)
        assert np.all(outside <= 1e-13)


def test_root_finder_matches_the_closed_form() -> None:
    """The square as a function of the cosine goes through quadrature and root finding: 1e−9."""
    new, old = UniformCap(9, [0.3, 0.59, 1.2]), UniformCap(9, [0.6, 0.6, 2.2])
    closed, found = tolerable_drift(new, old, 10), tolerable_drift(new, old, 10, lambda c: 2 - 2 * c)
    for side in (0, 1):
        np.testing.assert_allclose(found[side], closed[side], rtol=1e-9)


def test_tolerances_at_the_ends() -> None:
    """None for a wider new cap, none for an equal one, every turn for an old law without direction."""
    for metric in METRICS:
        new, old = UniformCap(9, [0.6, 0.3, 0.1]), UniformCap(9, [0.3, 0.3, math.pi])
        drift = tolerable_drift(new, old, 10, metric)
        for side in (0, 1):
            np.testing.assert_array_equal(drift[side], [0.0, 0.0, math.pi])
        soft = tolerable_drift(VonMisesFisher(9, 5.0), VonMisesFisher(9, 0.0), 10, metric)
        assert soft == (math.pi, math.pi)
        one = tolerable_drift(UniformCap(2, 0.3), UniformCap(2, 0.5), 2, metric)  # K = 2: the other vertex is opposite
        assert 0 < one.different_class < math.pi
        assert type(one.same_class) is float


def test_tolerance_of_nearly_equal_caps() -> None:
    """cos ω* = m_k/m_t with m_t − m_k = 1e−9 of m: ω* = √(2·(m_t − m_k)/m_t), half of the digits of a naive arccos."""
    new, old = UniformCap(9, 1e-4), UniformCap(9, 2e-4)
    lost = old.mean_resultant_complement() - new.mean_resultant_complement()
    drift = tolerable_drift(new, old, 10)
    assert drift.same_class == pytest.approx(math.sqrt(2 * lost), rel=1e-8)
    rho = 1 / 9
    assert drift.different_class == pytest.approx(rho * lost / math.sqrt(1 - rho**2), rel=1e-7)


def moments(seed: int, num_classes: int, dim: int, centred: bool) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    old = rng.normal(size=(num_classes, dim))
    if centred:
        old -= old.mean(axis=0)
    old *= 0.8 / np.linalg.norm(old, axis=1).max()
    new = rng.normal(size=(num_classes, dim))
    return new * 0.7 / np.linalg.norm(new, axis=1, keepdims=True), old


@given(seed=seeds, num_classes=st.integers(2, 12), dim=st.integers(2, 9), centred=st.booleans())
def test_first_moments_and_the_single_number(seed: int, num_classes: int, dim: int, centred: bool) -> None:
    """T1 averaged over classes and pairs, and T8: gap(1b) = gap(1a)/(K−1) + defect, the defect 0 for centred means."""
    new, old = moments(seed, num_classes, dim, centred)
    table = class_pair_gaps(new, old)
    gaps = first_moment_gaps(new, old)
    off = ~np.eye(num_classes, dtype=bool)
    # K² terms of size 1
    assert gaps.same_class == pytest.approx(np.diagonal(table).mean(), abs=100 * EPS)
    assert gaps.different_class == pytest.approx(table[off].mean(), abs=1000 * EPS)
    defect = off_centre_defect(new, old)
    assert gaps.different_class - gaps.same_class / (num_classes - 1) == pytest.approx(defect, abs=100 * EPS)
    if centred:
        assert defect == pytest.approx(0.0, abs=1000 * EPS)


def test_defect_shows_an_old_model_off_centre() -> None:
    new, old = moments(0, 5, 4, centred=True)
    assert abs(off_centre_defect(new, old + 0.1)) > 1e-3


def test_first_moments_of_sampled_features() -> None:
    """T1 needs no shape: mean squared distances of skewed clouds equal the formula of their means, to rounding."""
    rng = np.random.default_rng(2)
    clouds = [[rng.exponential(size=(40, 4)) + 3 * rng.normal(size=4) for _ in range(3)] for _ in range(2)]
    clouds = [[x / np.linalg.norm(x, axis=1, keepdims=True) for x in model] for model in clouds]
    new, old = clouds
    table = class_pair_gaps([x.mean(axis=0) for x in new], [x.mean(axis=0) for x in old])

    def distance(a: np.ndarray, b: np.ndarray) -> float:
        return float(((a[:, None] - b[None]) ** 2).sum(axis=-1).mean())

    for y in range(3):
        for other in range(3):
            gap = distance(new[y], old[other]) - distance(old[y], old[other])
            assert table[y, other] == pytest.approx(-gap if y == other else gap, abs=1e-13)


def test_caps_on_a_simplex_agree_with_their_moments() -> None:
    """theorem1_gaps of the square is the moment formula at μ = m·w."""
    w = simplex_vertices(6, 8)
    new, old = UniformCap(8, 0.4), UniformCap(8, 0.9)
    expected = first_moment_gaps(new.mean_resultant_length() * w, old.mean_resultant_length() * w)
    np.testing.assert_allclose(theorem1_gaps(new, old, 6), expected, rtol=1e-12)


def test_broadcasts_and_gives_floats() -> None:
    new, old = UniformCap(9, np.array([[0.1], [0.3]])), UniformCap(9, np.array([0.2, 0.5, 1.9]))
    drift = np.array([[[0.0]], [[0.3]]])
    for metric in ("sqeuclidean", "euclidean"):
        gaps = theorem1_gaps(new, old, 10, metric, drift=drift)
        assert gaps.same_class.shape == gaps.different_class.shape == (2, 2, 3)
        one = theorem1_gaps(UniformCap(9, 0.3), UniformCap(9, 0.5), 10, metric, drift=0.3)
        assert type(one.same_class) is type(one.different_class) is float
        assert gaps.same_class[1, 1, 1] == pytest.approx(one.same_class, rel=1e-9)
        assert gaps.different_class[1, 1, 1] == pytest.approx(one.different_class, rel=1e-9)
        assert tolerable_drift(new, old, 10, metric).same_class.shape == (2, 3)


def test_a_grid_of_gaps_is_a_few_matrix_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 100 × 100 pairs of radii at dim 1023, one in a thousand at most is computed on its own (8 counted)."""
    quadrature = Mock(wraps=distances._cap_value)
    monkeypatch.setattr(distances, "_cap_value", quadrature)
    radii = np.linspace(0.05, 3.1, 100)
    gaps = theorem1_gaps(UniformCap(1023, radii[:, None]), UniformCap(1023, radii), 1024, "euclidean")
    assert quadrature.call_count <= 10
    assert np.all((gaps.same_class >= -1e-13) == (radii[:, None] <= radii) | (np.abs(gaps.same_class) < 1e-12))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda a: theorem1_gaps(a, a, 11), r"num_classes must be <= dim \+ 1 = 10, got 11: -1/10 is an impossible"),
        (lambda a: theorem1_gaps(a, a, 1), r"num_classes must be an integer >= 2, got 1\."),
        (lambda a: theorem1_gaps(a, a, 10, drift=4.0), r"drift must be in \[0, π\], got 4\.0\."),
        (lambda a: theorem1_gaps(a, UniformCap(8, 0.3), 9), r"new and old must have the same dim, got 9 and 8\."),
        (lambda a: tolerable_drift(a, a, 11), r"num_classes must be <= dim \+ 1 = 10, got 11"),
        (lambda a: tolerable_drift(0.3, a, 10), r"new must be a UniformCap or a VonMisesFisher, got 0\.3\."),
        (lambda a: class_pair_gaps(np.eye(3), np.eye(4)), r"new_means and old_means must have one shape"),
        (lambda a: first_moment_gaps(np.ones(3), np.eye(3)), r"new_means must be a \(K, dim\) array with K >= 2"),
        (lambda a: off_centre_defect(np.eye(3), 2 * np.eye(3)), r"old_means must have rows of norm <= 1, got 2\.0\."),
        (
            lambda a: class_pair_gaps(np.full((2, 2), np.nan), np.eye(2)),
            r"new_means must have rows of norm <= 1, got nan",
        ),
    ],
)
def test_invalid_arguments_are_refused(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(UniformCap(9, 0.3))

"""Expected distances: closed forms and mpmath, the definition by brute force, and the series against the quadrature."""

from __future__ import annotations

import math
from unittest.mock import Mock

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theory import distances
from theory._quadrature import unit_gauss
from theory._series import gamma_ratio, gegenbauer
from theory.acceptance import expected_acceptance
from theory.caps import UniformCap
from theory.distances import (
    _quadrature,
    _series,
    axis_angle,
    expected_distance,
    make_pairs,
    mean_distances,
)
from theory.metrics import METRICS, PowerDistance, as_metric
from theory.von_mises_fisher import VonMisesFisher

EPS = np.finfo(float).eps
NAMES = ("sqeuclidean", "cosine", "euclidean", "angular")


def arc_distance(radii: tuple[float, float], turn: float, metric: str) -> float:
    """d = 2 in closed form: the second antiderivative of F at the four ends of two arcs (all within π), 60 digits."""
    with mp.workdps(60):
        a, b, w = (mp.mpf(x) for x in (*radii, turn))

        def second(x: mp.mpf) -> mp.mpf:
            x = abs(x)
            return 4 * x - 8 * mp.sin(x / 2) if metric == "euclidean" else x**3 / 6

        ends = second(w + a + b) - second(w + a - b) - second(w - a + b) + second(w - a - b)
        return float(ends / (4 * a * b))


@pytest.mark.parametrize("metric", ["euclidean", "angular"])
@pytest.mark.parametrize("radii", [(1e-6, 1e-6), (1e-6, 2e-3), (0.3, 0.3), (0.3, 0.6), (0.3, 0.3 + 1e-9), (1.2, 1.9)])
@pytest.mark.parametrize("turn", [0.0, 1e-6, 0.3, 0.9, 1.5])
def test_arcs_in_closed_form(metric: str, radii: tuple[float, float], turn: float) -> None:
    if turn + sum(radii) > math.pi:
        turn = 0.0
    cosine = math.cos(turn)
    value, error = expected_distance(
        UniformCap(2, radii[0]), UniformCap(2, radii[1]), cosine, metric, return_error=True
    )
    # the cosine of a small turn is itself rounded: take the angle that it stands for
    expected = arc_distance(radii, float(axis_angle(np.asarray(cosine))), metric)
    assert error <= 1e-10 * value
    assert abs(value - expected) <= error


def disc_distance(n: int) -> float:
    """Mean distance of two points of the unit ball of R^n, n even: 128/(45π) at n = 2."""
    f = math.factorial
    beta = 2 ** (3 * n + 1) * f(n // 2) ** 2 * f(n) / ((n + 1) * f(2 * n) * math.pi)
    return 2 * n / (2 * n + 1) * beta


@pytest.mark.parametrize("dim", [3, 5, 9, 21])
def test_flat_limit(dim: int) -> None:
    """A small cap is a disc of R^{d−1}; its curvature adds O(α²), 1e−12 here."""
    small = UniformCap(dim, 1e-6)
    for metric in ("euclidean", "angular"):
        assert expected_distance(small, small, 1.0, metric) / 1e-6 == pytest.approx(disc_distance(dim - 1), rel=5e-12)
    assert disc_distance(2) == pytest.approx(128 / (45 * math.pi), rel=4 * EPS)


def brute_force(function, dim: int, radii: tuple[float, float], rho: float) -> float:
    """The definition: u and v each from a polar angle and a circle, a product of four Gauss–Legendre rules."""
    nodes, weights = unit_gauss(28)

    def polar(radius: float) -> tuple[np.ndarray, np.ndarray]:
        mass = weights * np.sin(radius * nodes) ** (dim - 2)
        return radius * nodes, mass / mass.sum()

    circle = weights * np.sin(np.pi * nodes) ** (dim - 3)
    circle, turn = circle / circle.sum(), np.cos(np.pi * nodes)
    (theta, p), (theta2, q) = polar(radii[0]), polar(radii[1])
    cosine = rho * np.cos(theta)[:, None] + math.sqrt(1 - rho**2) * np.sin(theta)[:, None] * turn
    sine = np.sqrt(1 - cosine**2)
    total = 0.0
    for angle, share in zip(theta2, q, strict=True):
        values = function(cosine[..., None] * np.cos(angle) + (sine * np.sin(angle))[..., None] * turn)
        total += share * np.einsum("i,j,k,ijk", p, circle, circle, values)
    return total


@pytest.mark.parametrize("dim", [3, 4, 9])
@pytest.mark.parametrize(("radii", "rho"), [((0.3, 0.6), -0.1), ((0.5, 0.9), 0.0), ((0.2, 0.4), 0.3)])
def test_against_the_definition(dim: int, radii: tuple[float, float], rho: float) -> None:
    """The caps do not touch, so F is analytic and 28 nodes a variable reach 1e−12."""
    for metric in ("euclidean", "angular", PowerDistance(0.2), lambda c: np.exp(-c)):
        expected = brute_force(as_metric(metric).of_cosine, dim, radii, rho)
        value, error = expected_distance(UniformCap(dim, radii[0]), UniformCap(dim, radii[1]), rho, metric, True)
        assert value == pytest.approx(expected, rel=1e-11)
        assert abs(value - expected) <= error + 1e-11 * value


@pytest.mark.parametrize("dim", [3, 10])
@pytest.mark.parametrize("rho", [1.0, 0.8, -1.0])
def test_against_random_vectors(dim: int, rho: float) -> None:
    """Where the caps overlap: 200 000 pairs of full vectors, 5 standard errors."""
    rng = np.random.default_rng(5)
    new, old = UniformCap(dim, 0.5), UniformCap(dim, 1.9)
    axis = np.zeros(dim)
    axis[:2] = rho, math.sqrt(1 - rho**2)
    u, v = new.sample(200_000, rng=rng), old.sample(200_000, axis=axis, rng=rng)
    distance = np.linalg.norm(u - v, axis=1)
    for metric, values in (("euclidean", distance), ("angular", 2 * np.arcsin(np.minimum(distance / 2, 1)))):
        error = values.std() / math.sqrt(len(values))
        assert abs(expected_distance(new, old, rho, metric) - values.mean()) < 5 * error
        # a radius that is off by a twentieth would show
        assert abs(expected_distance(new, UniformCap(dim, 1.8), rho, metric) - values.mean()) > 5 * error or rho != 1.0


def draw_case(rng: np.random.Generator) -> tuple[int, float, float, float]:
    dim = int(rng.choice([2, 3, 4, 5, 8, 12, 15, 16, 40, 128, 1023, 10**4, 10**5]))
    radii = [
        min(math.pi, rng.choice([10 ** rng.uniform(-2.5, 0.5), rng.uniform(0.05, math.pi), math.pi / 2])) for _ in "ab"
    ]
    kind = rng.random()
    if kind < 0.15:
        radii[1] = radii[0]
    elif kind < 0.25:
        radii[1] = min(radii[0] * (1 + 10 ** rng.uniform(-12, -1)), math.pi)
    a, b = radii
    rho = rng.choice(
        [1, -1, 0, rng.uniform(-1, 1), -1 / dim, math.cos(min(a + b, math.pi)), math.cos(a - b), math.cos(a)]
    )
    return dim, a, b, float(rho)


def test_a_step_takes_the_exact_route() -> None:
    """Quadrature cannot see a jump; the acceptance probability is exact."""
    new, old = UniformCap(9, 0.3), UniformCap(9, [0.6, 0.7])
    value, error = expected_distance(
        new, old, [[1.0], [-0.1]], lambda c: np.where(c < 0.8, 2.5, 0.5), return_error=True
    )
    expected = 2.5 - 2.0 * expected_acceptance(new, old, 0.8, [[1.0], [-0.1]])
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    assert np.all(error < 1e-10)


def test_numbers_beyond_an_end_by_rounding_count_as_the_end() -> None:
    sphere = UniformCap(9, np.float32(np.pi))
    assert sphere.radius == math.pi
    assert expected_distance(sphere, sphere, 1 + 1e-15) == pytest.approx(2.0, rel=1e-12)
    with pytest.raises(ValueError, match="radius must be in"):
        UniformCap(9, np.pi + 1e-12)


def test_errors_of_an_array_are_those_of_its_entries() -> None:
    """Each axis has polynomials of its own size, and with them a rounding error of its own."""
    new, old, cosines = UniformCap(9, 0.9), UniformCap(9, 1.1), [-0.6, 0.0, 0.3]
    errors = expected_distance(new, old, cosines, "euclidean", return_error=True)[1]
    one = [expected_distance(new, old, cosine, "euclidean", return_error=True)[1] for cosine in cosines]
    np.testing.assert_allclose(errors, one, rtol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_series_and_quadrature_agree_within_their_errors(seed: int) -> None:
    """Two methods that share nothing but m, over the whole grid and the places where caps touch."""
    rng = np.random.default_rng(seed)
    metrics = [METRICS["euclidean"], METRICS["angular"], as_metric(PowerDistance(0.2)), as_metric(PowerDistance(2.5))]
    tight = 0
    for _ in range(150):
        dim, a, b, rho = draw_case(rng)
        metric = metrics[rng.integers(4)]
        pairs = make_pairs(UniformCap(dim, a), UniformCap(dim, b), axis_angle(np.asarray(rho)))
        series, bound, _ = _series(pairs, metric, 32768)
        quadrature, error = _quadrature(pairs, metric, with_error=True)
        assert abs(series - quadrature) <= bound + error, (dim, a, b, rho, metric.name)
        tight += bool(bound + error < 1e-10 * quadrature)
    assert tight > 100  # most cases are a test to 1e−10, not a pair of loose bounds


def worst_share_of_error(count: int, seed: int) -> float:
    """Greatest |quadrature − series| over the error that the quadrature states, for laws of all kinds.

    A setting counts where the series, which shares nothing with the quadrature, is right to 2e−13.
    """
    rng = np.random.default_rng(seed)
    worst, seen = 0.0, 0
    while seen < count:
        dim = int(rng.choice([2, 3, 4, 6, 9, 15, 16, 24, 64, 256]))
        caps = [UniformCap(dim, float(rng.uniform(0.05, 3.1))) for _ in range(2)]
        soft = [VonMisesFisher(dim, float(dim * 10 ** rng.uniform(-1.0, 1.3))) for _ in range(2)]
        new, old = [caps, soft, [caps[0], soft[0]]][rng.choice(3, p=[0.75, 0.2, 0.05])]
        rho = rng.choice([1.0, -1.0, 0.0, rng.uniform(-1.0, 1.0)])
        metric = [METRICS["euclidean"], METRICS["angular"], PowerDistance(float(rng.uniform(0.1, 2.5)))][
            rng.integers(3)
        ]
        pairs = make_pairs(new, old, axis_angle(np.asarray(rho)))
        for terms in (256, 4096, 32768):
            exact, bound, _ = (float(value[0]) for value in _series(pairs, metric, terms))
            if bound <= 2e-13 * abs(exact):
                break
        else:
            continue
        value, error = (float(found[0]) for found in _quadrature(pairs, metric, with_error=True))
        worst = max(worst, (abs(value - exact) - bound) / error)
        seen += 1
    return worst


def test_the_error_of_a_quadrature_is_not_exceeded() -> None:
    assert worst_share_of_error(12, 1) <= 1.0


@pytest.mark.slow
@pytest.mark.parametrize("part", range(8))
def test_the_error_of_a_quadrature_is_not_exceeded_in_two_thousand_settings(part: int) -> None:
    assert worst_share_of_error(250, 100 + part) <= 1.0


def test_an_error_from_too_few_nodes_is_exceeded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: two equal orders differ by nothing, and what is left is rounding."""
    sound = distances._pair_value
    monkeypatch.setattr(
        distances,
        "_pair_value",
        lambda *a: sound(*a) * (1.0 + 1e-9),  # off in both orders alike
    )
    assert worst_share_of_error(12, 1) > 1.0


@pytest.mark.parametrize("dim", [2, 3, 9, 100, 1023, 10**5])
@pytest.mark.parametrize("metric", ["euclidean", "angular", PowerDistance(0.25)])
def test_stated_error_over_the_whole_range(dim: int, metric) -> None:
    """Relative error ≤ 1e−10 for radii of 1e−6 to π, and nothing that warns."""
    radii = np.array([1e-6, 1e-4, 1e-2, 0.3, 1.0, math.pi / 2, 2.0, 3.1, math.pi])
    for rho in (1.0, 0.9, 0.0, -1.0 / dim, -1.0):
        new, old = UniformCap(dim, radii[:, None]), UniformCap(dim, radii)
        value, error = expected_distance(new, old, rho, metric, return_error=True)
        assert np.all(np.isfinite(value))
        assert np.all(error <= 1e-10 * value)
        np.testing.assert_allclose(value, value.T, rtol=1e-11)


@pytest.mark.parametrize("rho", [1.0, 0.3, -0.2])
def test_sqeuclidean_needs_first_moments_only(rho: float) -> None:
    new, old = UniformCap(9, 0.3), UniformCap(9, 2.0)
    expected = 2 - 2 * rho * new.mean_resultant_length() * old.mean_resultant_length()
    assert expected_distance(new, old, rho) == pytest.approx(expected, rel=8 * EPS)
    assert expected_distance(new, old, rho, "cosine") == pytest.approx(expected / 2, rel=8 * EPS)
    # the general methods find it as well: the chord to the power 2 − 2e−9, and a function of the cosine
    assert expected_distance(new, old, rho, PowerDistance(1 - 1e-9)) == pytest.approx(expected, rel=1e-8)
    assert expected_distance(new, old, rho, lambda c: 2 - 2 * c) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("dim", [2, 3, 9, 10**5])
def test_small_caps_keep_their_digits(dim: int) -> None:
    """E‖u − v‖² = 2(1 − m m') with 1 − m = O(α²) = 1e−12: 1 − m² in floating point would keep four digits."""
    cap = UniformCap(dim, 1e-6)
    assert expected_distance(cap, cap) == pytest.approx(2e-12 * (dim - 1) / (dim + 1), rel=2e-12)


def test_whole_sphere_forgets_the_other_law() -> None:
    """v uniform: E F = F_0 whatever u, 4/3 for the chord and π/2 for the angle at d = 3; rounding only."""
    sphere = UniformCap(3, math.pi)
    for law in (UniformCap(3, 1e-6), UniformCap(3, 2.0), sphere, VonMisesFisher(3, 50.0)):
        assert expected_distance(law, sphere, 0.4, "euclidean") == pytest.approx(4 / 3, rel=20 * EPS)
        assert expected_distance(law, sphere, 0.4, "angular") == pytest.approx(math.pi / 2, rel=20 * EPS)
        assert expected_distance(law, sphere, 0.4, lambda c: 1 - c**3) == pytest.approx(1.0, rel=1e-13)


@settings(max_examples=30, deadline=None)
@given(
    dim=st.integers(2, 2000),
    radii=st.tuples(st.floats(1e-3, math.pi), st.floats(1e-3, math.pi)),
    angles=st.tuples(st.floats(0.0, math.pi), st.floats(0.0, math.pi)),
    metric=st.sampled_from(["euclidean", "angular", "sqeuclidean"]),
)
def test_laws(dim: int, radii: tuple[float, float], angles: tuple[float, float], metric: str) -> None:
    """Symmetric in the laws; decreasing in the axes' cosine; never beyond the distance's own range."""
    new, old = UniformCap(dim, radii[0]), UniformCap(dim, radii[1])
    near, far = math.cos(min(angles)), math.cos(max(angles))
    value, error = expected_distance(new, old, near, metric, return_error=True)
    back, back_error = expected_distance(old, new, near, metric, return_error=True)
    further, further_error = expected_distance(new, old, far, metric, return_error=True)
    assert abs(value - back) <= error + back_error
    assert further >= value - error - further_error
    assert 0 < value <= float(as_metric(metric).of_cosine(-1.0))


@pytest.mark.parametrize("dim", [2, 9, 30])
@pytest.mark.parametrize("kappa", [0.5, 1e3])
@pytest.mark.parametrize("rho", [1.0, -0.1])
def test_von_mises_fisher_two_ways(dim: int, kappa: float, rho: float) -> None:
    """Series against the law of ψ in closed form: κ times another κ, and κ as a mixture of caps against a cap."""
    law, others = VonMisesFisher(dim, kappa), (VonMisesFisher(dim, 7.0), UniformCap(dim, 0.8))
    for old in others:
        pairs = make_pairs(law, old, axis_angle(np.asarray(rho)))
        value, bound = mean_distances(pairs, METRICS["euclidean"])
        quadrature, error = _quadrature(pairs, METRICS["euclidean"], with_error=True)
        assert abs(value - quadrature) <= bound + error
        assert bound + error < 1e-9 * value


@pytest.mark.parametrize(("radius", "angle", "metric"), [(2.4, 2.0, "euclidean"), (0.8, 0.5, "angular")])
def test_a_mixture_of_arcs_is_cut_where_their_ends_meet(radius: float, angle: float, metric: str) -> None:
    """Gauss rules of 48 and 40 nodes agree to rounding, and with the series; an end without a cut costs 1e−11."""
    pairs = make_pairs(VonMisesFisher(2, 1.0), UniformCap(2, radius), np.asarray(angle))
    exact, bound, _ = _series(pairs, METRICS[metric], 4096)
    value, error = _quadrature(pairs, METRICS[metric], with_error=True)
    assert error < 1e-12 * value
    assert abs(value - exact) < 1e-13 * value + bound


def test_what_a_mixture_of_caps_costs() -> None:
    """One rule of caps and the sphere from dim 16 on; below, a rule between any two of the cuts."""
    for fine, nodes in ((True, 48), (False, 40)):
        radii, weights = distances._as_caps(16, 16.0, 0.9, 1.2, fine)
        assert len(radii) == len(weights) == nodes + 1
        assert radii[-1] == math.pi
        assert weights.sum() == pytest.approx(1.0, abs=1e-14)
        assert len(distances._as_caps(15, 15.0, 0.9, 1.2, fine)[0]) > 2 * nodes
    # κ = 0 is the sphere and nothing else
    assert [list(part) for part in distances._as_caps(16, 0.0, 0.9, 1.2, True)] == [[math.pi], [1.0]]


def test_von_mises_fisher_against_random_vectors() -> None:
    """100 000 pairs, 5 standard errors."""
    new, old = VonMisesFisher(6, 9.0), UniformCap(6, 0.7)
    rng = np.random.default_rng(6)
    values = np.linalg.norm(new.sample(100_000, rng=rng) - old.sample(100_000, rng=rng), axis=1)
    error = values.std() / math.sqrt(len(values))
    assert abs(expected_distance(new, old, 1.0, "euclidean") - values.mean()) < 5 * error
    assert abs(expected_distance(VonMisesFisher(6, 10.0), old, 1.0, "euclidean") - values.mean()) > 5 * error


@pytest.mark.parametrize("kappa", [1e6, 1e8])
def test_sharp_laws_are_gaussian(kappa: float) -> None:
    """κ → ∞: u − v is Gaussian in R^{d−1} with variance 2/κ; the curvature adds O(d/κ)."""
    law = VonMisesFisher(9, kappa)
    gaussian = math.sqrt(2 / kappa) * math.sqrt(2) * math.gamma(4.5) / math.gamma(4)
    assert expected_distance(law, law, 1.0, "euclidean") == pytest.approx(gaussian, rel=20 / kappa)


def test_broadcasts_like_scalars() -> None:
    """One call on arrays gives what a loop of scalar calls gives, to the error of either."""
    new, old, rho = np.array([[1e-3], [0.4], [2.5]]), np.array([0.2, 1.0]), np.array([[[1.0]], [[-0.2]]])
    value, error = expected_distance(UniformCap(5, new), UniformCap(5, old), rho, "euclidean", return_error=True)
    assert value.shape == error.shape == (2, 3, 2)
    for at in np.ndindex(value.shape):
        one = expected_distance(UniformCap(5, new[at[1], 0]), UniformCap(5, old[at[2]]), rho[at[0], 0, 0], "euclidean")
        assert type(one) is float
        assert value[at] == pytest.approx(one, rel=1e-10)
    mixed = expected_distance(VonMisesFisher(5, [1.0, 50.0, 1e5]), UniformCap(5, old[:, None]), 1.0, "angular")
    assert mixed.shape == (2, 3)
    assert expected_distance(UniformCap(5, []), UniformCap(5, 0.3), 1.0, "euclidean").shape == (0,)


def test_gegenbauer_polynomials_against_mpmath() -> None:
    """Forward recurrence: about one rounding a term."""
    for dim, x in ((2, 0.3), (3, 0.999), (9, -0.4), (1023, 0.05)):
        values, _ = gegenbauer(dim, x, math.sqrt(1 - x * x), 300)
        with mp.workdps(60):
            for n in (1, 2, 50, 299):
                lam = mp.mpf(dim) / 2 - 1
                expected = mp.cos(n * mp.acos(x)) if dim == 2 else mp.gegenbauer(n, lam, x) / mp.gegenbauer(n, lam, 1)
                assert values[n] == pytest.approx(float(expected), abs=300 * EPS)


@pytest.mark.parametrize("x", [0.5, 3.0, 14.5, 25.0, 1e3, 5e4, 1e6])
@pytest.mark.parametrize("s", [0.01, 0.5, 2.5])
def test_gamma_ratio(x: float, s: float) -> None:
    with mp.workdps(60):
        expected = float(mp.gammaprod([mp.mpf(x) + mp.mpf(s)], [mp.mpf(x)]))
    # the exponential carries s·log x roundings
    assert gamma_ratio(x, s) == pytest.approx(expected, rel=(10 + 4 * s * math.log(x + 1)) * EPS)


@pytest.mark.parametrize("metric", ["euclidean", "angular"])
def test_a_grid_is_one_matrix_product(metric: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 100 × 100 pairs of radii at dim 1023, one in a thousand at most is computed on its own (6 counted)."""
    quadrature = Mock(wraps=distances._cap_value)
    monkeypatch.setattr(distances, "_cap_value", quadrature)
    radii = np.linspace(0.05, 3.1, 100)
    new, old = UniformCap(1023, radii[:, None]), UniformCap(1023, radii)
    value, error = expected_distance(new, old, 1.0, metric, return_error=True)
    # two orders each, for the error
    assert quadrature.call_count <= 2 * 10
    assert np.all(error <= 1e-10 * value)


@pytest.mark.parametrize("radius", [1e-6, 1e-2, 0.3, 2.0])
def test_high_dimension_costs_no_more(radius: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """At dim 1e5, at most 512 terms of the series, and then at most one quadrature, of two orders."""
    series, quadrature = Mock(wraps=distances._series), Mock(wraps=distances._cap_value)
    monkeypatch.setattr(distances, "_series", series)
    monkeypatch.setattr(distances, "_cap_value", quadrature)
    cap = UniformCap(10**5, radius)
    value, error = expected_distance(cap, cap, 1.0, "euclidean", return_error=True)
    assert max(call.args[2] for call in series.call_args_list) <= 512
    assert quadrature.call_count <= 2
    assert error <= 1e-10 * value


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((UniformCap(9, 0.3), UniformCap(8, 0.3)), r"new and old must have the same dim, got 9 and 8\."),
        ((UniformCap(9, 0.3), 0.3), r"old must be a UniformCap or a VonMisesFisher, got 0\.3\."),
        ((UniformCap(9, 0.3), UniformCap(9, 0.3), 1.1), r"axis_cosine must be in \[-1, 1\], got 1\.1\."),
        ((UniformCap(9, 0.3), UniformCap(9, 0.3), math.nan), r"axis_cosine must be in \[-1, 1\], got nan\."),
        ((UniformCap(9, 0.3), UniformCap(9, 0.3), 1.0, "manhattan"), r"metric must be one of .*, got 'manhattan'\."),
    ],
)
def test_invalid_arguments_are_refused(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        expected_distance(*arguments)

"""Theorem D computed: no violation where it is proved, and the published numbers where it is not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from theory._quadrature import unit_gauss
from theory.acceptance import expected_acceptance
from theory.angles import angle_logcdf, angle_logpdf
from theory.caps import UniformCap
from theory.decisions import acceptance_drift, exact_threshold, safe_drift, safe_threshold, theorem_d_gaps
from theory.von_mises_fisher import VonMisesFisher

DIMS = (2, 3, 4, 9, 16, 33, 64, 128, 512, 1024)


def beyond(theta, radius, dim):
    """Share of a cap beyond the angle θ, from the smaller tails."""
    near = -np.expm1(np.minimum(angle_logcdf(theta, dim) - angle_logcdf(radius, dim), 0.0))
    if radius <= 0.5 * math.pi:
        return near
    tails = angle_logcdf(math.pi - theta, dim), angle_logcdf(math.pi - radius, dim)
    far = np.exp(tails[0] - angle_logcdf(radius, dim)) * -np.expm1(np.minimum(tails[1] - tails[0], 0.0))
    return np.where(theta > 0.5 * math.pi, far, near)


def derived_gap(dim, new, old, other, tau, rho, share=1.0):
    """FAR_k − FAR_t as the proof writes it, a mixture of signed integrals over circles; and the same of its modulus.

    (1−τ²)^{(d−3)/2}/(2πF(α')) ∫ (N_t−N_k)(θ) sin^{2−d}θ E_t[Δ₂^{(d−2)/2} (τz−ρ)/(1−z²)^{(d−1)/2}] dθ, d ≥ 3:
    no step of it is shared with the quadrature of the rates.
    """
    unit, weight = unit_gauss(int(share * (96 if dim <= 64 else 240)))
    quarter = 0.5 * math.pi * unit
    place, step = np.sin(quarter) ** 2, 0.5 * math.pi * np.sin(2 * quarter) * weight  # clusters at both ends
    # the range of φ starts or stops to be cut off where one of these is crossed
    sides = [
        a + b for a in (math.acos(tau) + math.acos(rho), abs(math.acos(tau) - math.acos(rho))) for b in (other, -other)
    ]
    turns = {new, *(abs(turn) for turn in sides), *(2 * math.pi - turn for turn in sides)}
    cuts = np.array([0.0, *sorted(turn for turn in turns if 0 < turn < old), old])
    theta = (cuts[:-1, None] + np.diff(cuts)[:, None] * place).ravel()
    width = np.outer(np.diff(cuts), step).ravel()
    inside = np.exp(np.minimum(angle_logcdf(theta, dim) - angle_logcdf(new, dim), 0.0))
    share = inside * beyond(np.maximum(theta, new), old, dim)  # N_t − N_k
    # cos φ between the ends of the range in which Δ₂ > 0
    size = math.sqrt((1 - tau**2) * (1 - rho**2))
    ends = [np.clip((np.cos(theta + s * other) - tau * rho) / size, -1.0, 1.0) for s in (1, -1)]
    high, low = np.arccos(ends)
    phi = low[:, None] + (high - low)[:, None] * place
    half = math.sin(0.5 * (math.acos(tau) - math.acos(rho))) ** 2 + size * np.sin(0.5 * phi) ** 2
    turn = 2 * np.arcsin(np.sqrt(np.minimum(half, 1.0)))  # arccos z, also where z is next to 1
    z, p = np.cos(turn), theta[:, None]
    middle = 0.5 * (p + other + turn)  # Δ₂ as Heron has it
    rim = 4 * np.sin(middle) * np.sin(middle - p) * np.sin(middle - other) * np.sin(middle - turn)
    rim = np.maximum(rim, 1e-300)
    logs = (
        0.5 * (dim - 2) * np.log(rim)
        - (dim - 1) * np.log(np.maximum(np.sin(turn), 1e-150))
        + angle_logpdf(phi, dim - 1)
    )
    logs += 0.5 * (dim - 3) * math.log1p(-tau * tau) - (dim - 2) * np.log(np.sin(theta))[:, None]
    logs -= math.log(2 * math.pi) + angle_logcdf(other, dim)
    mass = np.exp(logs) * (high - low)[:, None] * step * (width * share)[:, None]
    return float(np.sum(mass * (tau * z - rho))), float(np.sum(mass * np.abs(tau * z - rho)))


def settings_of(rng):
    """A setting in which Theorem D speaks, and a threshold from its bound up."""
    while True:
        dim = int(rng.choice(DIMS))
        old, other = rng.uniform(0.02, math.pi / 2, 2)
        rho = rng.choice([-1.0, -1 / dim, 0.0, rng.uniform(-1, 0), rng.uniform(0, 1)])
        if rng.random() < 0.2:
            old, other = rng.uniform(0.02, 3.0, 2)
        new = old * rng.choice([0.999, rng.uniform(0.01, 1)])
        safe = safe_threshold(UniformCap(dim, new), UniformCap(dim, old), rho, UniformCap(dim, other))
        if safe <= 1.0:
            # at the bound itself rounding of ρ/(cos cos) may fall on either side
            tau = safe + (1 - safe) * rng.choice([1e-9, rng.uniform(0, 0.1), rng.uniform(0, 1)])
            return dim, float(new), float(old), float(other), min(float(tau), 1.0), float(rho)


def check_settings(count, seed):
    """Both inequalities in ``count`` settings, by quadrature and as derived; how often each was decisive."""
    rng = np.random.default_rng(seed)
    seen, derived = 0, 0
    for _ in range(count):
        dim, new, old, other, tau, rho = settings_of(rng)
        laws = UniformCap(dim, new), UniformCap(dim, old)
        gaps = theorem_d_gaps(*laws, tau, rho, other=UniformCap(dim, other))
        false = expected_acceptance(laws[1], UniformCap(dim, other), tau, rho)
        true = expected_acceptance(laws[1], laws[1], tau)
        # rates are right to 1e-10 relative, so that a difference above twice that is a violation
        assert gaps.different_class >= -2e-10 * false, (dim, new, old, other, tau, rho)
        assert gaps.same_class >= -2e-10 * true, (dim, new, old, tau)
        seen += bool(gaps.different_class > 2e-10 * false)
        # a circle that all but touches the axis, or its opposite, makes the derived integrand singular
        if dim > 2 and abs(rho) < 1 and abs(math.acos(rho) - math.acos(tau)) > 1e-3:
            found, size = derived_gap(dim, new, old, other, tau, rho)
            tolerance = (1e-6 if dim > 4 else 1e-3) * size + 2e-10 * false + 1e-300
            if abs(derived_gap(dim, new, old, other, tau, rho, 0.6)[0] - found) > tolerance:
                continue  # this route does not resolve the peak, as two of its orders tell
            # Gauss rules on peaks of width 1/√d, in two directions, relative to the modulus; in few dimensions roots
            assert found >= -1e-8 * size, (dim, new, old, other, tau, rho)
            assert abs(found - gaps.different_class) <= tolerance, (dim, new, old, other, tau, rho)
            derived += bool(size > 1e-300)
    return seen, derived


@pytest.mark.simulations
def test_no_random_setting_violates_the_theorem():
    """By two routes; the 20 000 of the slow test are other draws of the same settings."""
    seen, derived = check_settings(120, 1)
    assert seen > 60  # most gaps are seen to be positive, not only not negative
    assert derived > 30


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
def test_twenty_thousand_settings(part):
    """In ten parts, for as many processes, each below the time limit of a test."""
    seen, derived = check_settings(2000, (0, part))
    assert seen > 1000
    assert derived > 500


def test_a_wider_cap_and_thresholds_below_the_bound_are_found():
    """The controls: reversed radii break both rates, and below ρ the false accept rate rises."""
    new, old = UniformCap(9, 0.3), UniformCap(9, 0.6)
    wider = theorem_d_gaps(old, new, [0.4, 0.9], -1 / 9)
    assert wider.same_class[1] < -0.1
    assert wider.different_class[0] < -1e-3
    assert theorem_d_gaps(new, old, -0.24, -1 / 9).different_class == pytest.approx(-0.024644, abs=5e-7)


def test_von_mises_fisher_laws_obey_it_too():
    rng = np.random.default_rng(3)
    for _ in range(60):
        dim = int(rng.choice([2, 3, 9, 64, 512]))
        kappa, other = 10 ** rng.uniform(-1, 2.5, 2)
        laws = VonMisesFisher(dim, kappa * 10 ** rng.uniform(0, 1)), VonMisesFisher(dim, kappa)
        rho = -rng.choice([0.0, 1 / dim, rng.uniform(0, 1)])
        tau = rho + (1 - rho) * rng.uniform(0, 0.98)
        gaps = theorem_d_gaps(*laws, tau, rho, other=VonMisesFisher(dim, other))
        assert gaps.same_class >= -2e-10 * expected_acceptance(laws[1], laws[1], tau)
        rate = expected_acceptance(laws[1], VonMisesFisher(dim, other), tau, rho)
        assert gaps.different_class >= -2e-10 * rate, (dim, laws, other, rho, tau)


def test_safe_thresholds():
    cap = [UniformCap(9, radius) for radius in (0.3, 0.6, 2.0)]
    assert safe_threshold(cap[0], cap[1], -0.1) == -0.1
    assert safe_threshold(cap[0], cap[1], 0.3) == pytest.approx(0.3 / math.cos(0.6) ** 2, rel=1e-15)
    assert safe_threshold(cap[0], cap[1], 0.3, cap[0]) == pytest.approx(0.3 / (math.cos(0.6) * math.cos(0.3)))
    assert safe_threshold(cap[0], cap[1], [0.0, 0.9]).tolist() == [0.0, math.inf]  # 0.9/cos² > 1: nothing is said
    assert safe_threshold(cap[1], cap[0], -0.1) == math.inf  # wider: no theorem
    assert safe_threshold(cap[1], cap[1], 0.7) == -1.0  # the same law: nothing changes
    assert safe_threshold(cap[0], cap[2], -1.0, cap[2]) == -1.0
    # the extension beyond π/2, and where it ends: cos 2 = −0.416, and cos 2 cos 0.6 = −0.343
    assert safe_threshold(cap[1], cap[2], -0.6, cap[1]) == -0.6
    assert safe_threshold(cap[1], cap[2], -0.5, cap[1]) == math.inf
    # points that all but agree are accepted at 1 alone, and that is a threshold
    assert safe_threshold(UniformCap(9, 1e-9), UniformCap(9, 2e-9), 1.0) == 1.0
    soft = VonMisesFisher(9, 20.0), VonMisesFisher(9, [5.0, 50.0])
    assert safe_threshold(soft[0], VonMisesFisher(9, 5.0), 0.0) == 0.0
    assert safe_threshold(soft[0], soft[0], 0.7) == -1.0
    assert safe_threshold(soft[0], soft[1], -0.2).tolist() == [-0.2, math.inf]
    assert safe_threshold(soft[0], VonMisesFisher(9, 5.0), 0.2) == math.inf
    assert safe_threshold(cap[0], VonMisesFisher(9, 5.0), -0.2) == math.inf


@pytest.mark.parametrize(("dim", "expected"), [(3, 0.33363), (9, 0.39753), (64, 0.43363), (1024, 0.43998)])
def test_exact_thresholds_approach_the_bound(dim, expected):
    """Caps of nearly one radius: in many dimensions the bound is attained, so it cannot be improved for all d."""
    new, old = UniformCap(dim, 0.6 - 1e-4), UniformCap(dim, 0.6)
    exact = exact_threshold(new, old, 0.3)
    assert exact == pytest.approx(expected, abs=2e-4)
    assert exact < safe_threshold(new, old, 0.3)
    # the sign changes there
    below, above = theorem_d_gaps(new, old, [exact - 1e-4, exact + 1e-4], 0.3).different_class
    assert below < 0 < above


EXACT = {
    "axes that are near": (UniformCap(9, 0.05), UniformCap(9, 0.1), 0.97, None),
    "below ρ": (UniformCap(9, 0.3), UniformCap(9, 0.6), -1 / 9, None),
    "a wider other class": (UniformCap(4, 0.3), UniformCap(4, 0.6), 0.3, UniformCap(4, 1.2)),
    "two kinds of law": (VonMisesFisher(5, 40.0), UniformCap(5, 0.9), 0.2, None),
    "small caps": (UniformCap(9, 0.005), UniformCap(9, 0.01), 0.3, None),
    "arcs": (UniformCap(2, 0.2), UniformCap(2, 0.5), -0.3, UniformCap(2, 0.4)),
    "a wider new law": (UniformCap(3, 0.6), UniformCap(3, 0.3), 0.0, None),
}


@pytest.mark.parametrize("case", EXACT)
def test_an_exact_threshold_is_the_last_rise_of_a_scan(case):
    """From there up a fine scan sees no rise, and just below there is one."""
    new, old, rho, other = EXACT[case]
    exact = exact_threshold(new, old, rho, other)
    above = theorem_d_gaps(new, old, np.linspace(exact + 1e-6, 1.0, 100), rho, other=other).different_class
    assert np.all(above >= -1e-12)
    assert theorem_d_gaps(new, old, exact - 1e-6, rho, other=other).different_class < 0
    assert exact > -0.4


def test_a_wider_law_raises_the_rate_as_soon_as_it_reaches_the_other():
    """Radii 0.6 and 0.3 about axes at a right angle come as near as π/2 − 0.9, where the old law accepts nothing."""
    exact = exact_threshold(UniformCap(3, 0.6), UniformCap(3, 0.3), 0.0)
    assert exact == pytest.approx(math.sin(0.9), abs=1e-9)


def test_how_many_thresholds_are_tried(monkeypatch):
    sizes = []

    def counted(new, old, tau, *rest, **options):
        sizes.append(np.size(tau))
        return expected_acceptance(new, old, tau, *rest, **options)

    monkeypatch.setattr("theory.decisions.expected_acceptance", counted)
    exact_threshold(UniformCap(5, 0.3), UniformCap(5, 0.6), -1.0)
    assert sizes == [96, 96]  # each of the two rates at once, and no rise to bisect


def test_no_rise_is_seen_where_none_can_be():
    assert exact_threshold(UniformCap(5, 0.3), UniformCap(5, 0.6), -1.0) == -1.0
    assert exact_threshold(UniformCap(5, 0.6), UniformCap(5, 0.6), 0.5) == -1.0
    with pytest.raises(ValueError, match="scalar"):
        exact_threshold(UniformCap(5, [0.3, 0.4]), UniformCap(5, 0.6), 0.5)


def test_the_drift_that_each_threshold_tolerates():
    """Straight towards another vertex of K = 10 in R^9: the published angles, in degrees."""
    drift = acceptance_drift(UniformCap(9, 0.3), UniformCap(9, 0.6), [-1 / 9, 0.0, 0.2, 0.4, 0.6, 0.8], -1 / 9)
    expected = [0.321, 1.512, 3.816, 6.573, 9.997, 14.528]
    np.testing.assert_allclose(np.degrees(drift.different_class), expected, atol=6e-4)
    # at each root the rate is the old one
    gaps = theorem_d_gaps(UniformCap(9, 0.3), UniformCap(9, 0.6), 0.4, -1 / 9, drift.different_class[3])
    rate = expected_acceptance(UniformCap(9, 0.6), UniformCap(9, 0.6), 0.4, -1 / 9)
    assert abs(gaps.different_class) < 1e-6 * rate
    assert np.all(drift.same_class > safe_drift(UniformCap(9, 0.3), UniformCap(9, 0.6)) - 1e-9)


def test_every_drift_keeps_rates_that_nothing_can_change():
    """Each pair is accepted at −1 and none at 1, whatever the axes."""
    for laws in ((UniformCap(9, 0.3), UniformCap(9, 0.6)), (VonMisesFisher(9, 50.0), VonMisesFisher(9, 20.0))):
        drift = acceptance_drift(*laws, [-1.0, 1.0], -1 / 9)
        np.testing.assert_array_equal(drift.same_class, math.pi)
        np.testing.assert_array_equal(drift.different_class, math.pi)


def test_a_class_out_of_reach_tolerates_drift_until_it_is_within_reach():
    """Opposite axes: no false accept up to the turn after which two caps come within the angle of the threshold."""
    drift = acceptance_drift(UniformCap(3, 0.3), UniformCap(3, 0.6), math.cos(0.4), -1.0)
    assert drift.different_class == pytest.approx(math.pi - 0.3 - 0.6 - 0.4, rel=2e-9)
    # a wider law is worse without any
    assert acceptance_drift(UniformCap(3, 0.6), UniformCap(3, 0.3), 0.7, 0.0) == (0.0, 0.0)


def test_a_drift_inside_the_old_cap_keeps_the_true_accept_rate():
    rng = np.random.default_rng(5)
    for _ in range(60):
        dim, old = int(rng.choice(DIMS)), rng.uniform(0.1, 3.0)
        new = old * rng.uniform(0.05, 1)
        turn = safe_drift(UniformCap(dim, new), UniformCap(dim, old)) * rng.uniform(0, 1)
        tau = math.cos(rng.uniform(0.05, math.pi))
        gaps = theorem_d_gaps(UniformCap(dim, new), UniformCap(dim, old), tau, -1.0, turn)
        assert gaps.same_class >= -2e-10, (dim, new, old, turn, tau)
    # α_k − α_t is not enough: published
    gaps = theorem_d_gaps(UniformCap(2, 0.05), UniformCap(2, 0.6), math.cos(0.5), -1.0, 0.4)
    assert gaps.same_class == pytest.approx(-0.0764, abs=5e-5)
    with pytest.raises(ValueError, match="uniform caps only"):
        safe_drift(VonMisesFisher(3, 1.0), VonMisesFisher(3, 1.0))
    assert safe_drift(UniformCap(3, 0.5), UniformCap(3, 0.4)) < 0


def test_differences_keep_the_digits_of_the_tails():
    """Rates of 1e−110: their difference is not lost beside 1."""
    gaps = theorem_d_gaps(UniformCap(512, 0.4), UniformCap(512, 0.8), 0.5, -0.1)
    assert 0 < gaps.different_class < 1e-20
    rates = expected_acceptance(UniformCap(512, [0.4, 0.8]), UniformCap(512, 0.8), 0.5, -0.1)
    assert gaps.different_class == pytest.approx(rates[1] - rates[0], rel=1e-12)


def test_gaps_are_differences_of_rates():
    """One rate at a time, the new axis turned towards the other class, and past it."""
    new, old, other, between = UniformCap(9, 0.3), UniformCap(9, 0.6), UniformCap(9, 0.9), math.acos(-0.1)
    for turn in (0.0, 0.4, 1.9):
        gaps = theorem_d_gaps(new, old, 0.3, -0.1, turn, other)
        true = expected_acceptance(new, old, 0.3, math.cos(turn)) - expected_acceptance(old, old, 0.3)
        false = expected_acceptance(old, other, 0.3, -0.1) - expected_acceptance(
            new, other, 0.3, math.cos(between - turn)
        )
        assert (gaps.same_class, gaps.different_class) == pytest.approx((true, false), abs=1e-12)


@pytest.mark.parametrize("function", [theorem_d_gaps, acceptance_drift])
@pytest.mark.parametrize("threshold", [-1.5, 1.5, math.nan])
def test_thresholds_are_cosines(function, threshold):
    cap = UniformCap(3, 0.5)
    with pytest.raises(ValueError, match=r"threshold must be in \[-1, 1\], got"):
        function(cap, cap, threshold, 0.0)


def test_a_drift_is_an_angle_up_to_pi():
    cap = UniformCap(3, 0.5)
    assert theorem_d_gaps(cap, cap, 0.0, 0.0, math.pi).same_class < 0
    for drift in (-0.1, 3.2):
        with pytest.raises(ValueError, match=r"drift must be in \[0, π\], got"):
            theorem_d_gaps(cap, cap, 0.0, 0.0, drift)

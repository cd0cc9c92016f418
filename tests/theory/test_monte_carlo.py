"""Monte Carlo estimates against exact expectations: right means, honest errors, one answer a seed, bounded memory."""

from __future__ import annotations

import dataclasses
import doctest
import math
import os
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from theory import _kernels, monte_carlo
from theory._kernels import Scalars, haversine_between
from theory.benchmark import METHODS, compute, render
from theory.caps import UniformCap
from theory.distances import expected_distance
from theory.metrics import PowerDistance, as_metric
from theory.monte_carlo import Estimate, estimate_distance, estimate_pair_fractions
from theory.von_mises_fisher import VonMisesFisher

DIMS = [2, 3, 9, 99, 1023, 10**5]
LAWS = {
    "small caps": lambda dim: (UniformCap(dim, 1e-8), UniformCap(dim, 3e-8), 1.0),
    "caps": lambda dim: (UniformCap(dim, 0.3), UniformCap(dim, 0.6), -0.1),
    "hemisphere": lambda dim: (UniformCap(dim, math.pi / 2), UniformCap(dim, 0.3), 0.4),
    "beyond it": lambda dim: (UniformCap(dim, 0.2), UniformCap(dim, 2.0), -1.0),
    "sphere": lambda dim: (UniformCap(dim, math.pi), UniformCap(dim, 0.5), 1.0),
    "mixed": lambda dim: (VonMisesFisher(dim, 5.0 * dim), UniformCap(dim, 0.5), -0.3),
    "soft": lambda dim: (VonMisesFisher(dim, 2.0), VonMisesFisher(dim, 0.0), 0.0),
}
SIZES = {"scalars": 2**15, "qmc": 2**13, "vectors": 2**11}
# A correct estimate is 5 standard errors off once in two million; with 31 degrees of freedom, 8.
BOUND = {"scalars": 5.0, "vectors": 5.0, "qmc": 8.0}


def exact_sqeuclidean(new, old, cosine):
    """2 − 2ρmm', from 1−m and 1−m' where they are small."""
    fall_new, fall_old = new.mean_resultant_complement(), old.mean_resultant_complement()
    resultant = new.mean_resultant_length() * old.mean_resultant_length()
    return 2 * (fall_new + fall_old - fall_new * fall_old) + 2 * (1 - cosine) * resultant


def off_by(estimate: Estimate, exact: float) -> float:
    """z-score; the error of the laws' quantiles, 1e−12 in probability, counts as no error (shifted rules see it)."""
    return max(abs(estimate.mean - exact) - 1e-12 * abs(exact), 0.0) / estimate.standard_error


@pytest.mark.parametrize("method", SIZES)
@pytest.mark.parametrize("laws", LAWS)
@pytest.mark.parametrize("dim", DIMS)
def test_the_mean_is_right(dim: int, laws: str, method: str) -> None:
    new, old, cosine = LAWS[laws](dim)
    size = 64 if (method, dim) == ("vectors", 10**5) else SIZES[method]
    estimate = estimate_distance(new, old, cosine, num_samples=size, rng=1, method=method)
    exact = exact_sqeuclidean(new, old, cosine)
    assert estimate.num_samples == size
    assert off_by(estimate, exact) < BOUND[method]


@pytest.mark.parametrize("method", ["scalars", "qmc"])
@pytest.mark.parametrize("metric", ["euclidean", "angular", "cosine", PowerDistance(0.25)])
@pytest.mark.parametrize("dim", [2, 3, 9, 1023])
@pytest.mark.parametrize("cosine", [1.0, -0.2])
def test_every_metric_is_right(cosine: float, dim: int, metric, method: str) -> None:
    new, old = UniformCap(dim, 0.4), UniformCap(dim, 0.9)
    estimate = estimate_distance(new, old, cosine, metric, 2**15, rng=2, method=method)
    assert off_by(estimate, expected_distance(new, old, cosine, metric)) < BOUND[method]


def test_a_function_of_the_cosine_is_a_metric() -> None:
    new, old = UniformCap(9, 0.2), UniformCap(9, 0.3)
    by_name = estimate_distance(new, old, metric="sqeuclidean", num_samples=1000, rng=0)
    by_function = estimate_distance(new, old, metric=lambda c: 2 - 2 * c, num_samples=1000, rng=0)
    # the detour over the cosine costs the roundings of 1 − (1 − 2y)
    assert by_function.mean == pytest.approx(by_name.mean, rel=1e-12)


def z_scores(method: str, runs: int, size: int, exact: float, dim: int = 9) -> np.ndarray:
    estimates = [
        estimate_distance(UniformCap(dim, 0.3), UniformCap(dim, 0.6), -0.1, num_samples=size, rng=seed, method=method)
        for seed in range(runs)
    ]
    return np.array([(e.mean - exact) / e.standard_error for e in estimates])


@pytest.mark.parametrize(("method", "law"), [("scalars", stats.norm), ("vectors", stats.norm), ("qmc", stats.t(31))])
def test_standard_errors_are_honest(method: str, law) -> None:
    runs = 60 if method == "qmc" else 200  # a rule costs more than 4096 pairs
    exact = exact_sqeuclidean(UniformCap(9, 0.3), UniformCap(9, 0.6), -0.1)
    z = z_scores(method, runs, 4096, exact)
    # mean of unit normals: 4.5 of its standard errors; their variance is χ²_n/n (t_31: kurtosis 0.22 more)
    assert abs(z.mean()) < 4.5 / math.sqrt(runs)
    assert abs(z.var(ddof=1) / law.var() - 1) < 4.5 * math.sqrt(2.3 / runs)
    assert stats.kstest(z, law.cdf).pvalue > 1e-4


def test_a_rule_taken_in_many_pieces_is_the_same_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than one stretch of the sequence: the sum over all of it, in another order."""
    arguments = {"num_samples": 2**15, "rng": 5, "method": "qmc"}
    whole = estimate_distance(UniformCap(9, 0.8), UniformCap(9, 0.6), **arguments)
    monkeypatch.setattr(monte_carlo, "_SOBOL_CHUNK", 256)
    pieces = estimate_distance(UniformCap(9, 0.8), UniformCap(9, 0.6), **arguments)
    assert pieces.mean == pytest.approx(whole.mean, rel=1e-12)
    # the error is a spread of means that agree to 1e-16 relative, and is itself 1e-5 of them
    assert pieces.standard_error == pytest.approx(whole.standard_error, rel=1e-8)


def test_a_wrong_kernel_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = exact_sqeuclidean(UniformCap(9, 0.3), UniformCap(9, 0.6), -0.1)
    # E t = 0 makes the mean blind to a wrong spread of t, but not to a product counted wrongly
    monkeypatch.setattr(_kernels, "haversine_between", lambda a, b, t, xp=np: haversine_between(a, b, t, xp) + a * b)
    z = z_scores("scalars", 20, 4096, exact)
    assert abs(z.mean()) > 4.5 / math.sqrt(20)


def test_a_wrong_error_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = exact_sqeuclidean(UniformCap(9, 0.3), UniformCap(9, 0.6), -0.1)
    z = 2 * z_scores("scalars", 200, 4096, exact)  # an error that is half of what it should be
    assert abs(z.var(ddof=1) - 1) > 4.5 * math.sqrt(2.3 / 200)
    assert stats.kstest(z, "norm").pvalue < 1e-4


def test_quasi_monte_carlo_is_worth_it() -> None:
    new, old = UniformCap(99, 0.3), UniformCap(99, 0.6)
    plain, sobol = (estimate_distance(new, old, num_samples=2**17, rng=3, method=m) for m in ("scalars", "qmc"))
    # smooth in three dimensions: measured 300 times smaller
    assert sobol.standard_error < plain.standard_error / 30


@pytest.mark.parametrize("method", SIZES)
def test_one_seed_one_answer(method: str) -> None:
    new, old = VonMisesFisher(9, 30.0), UniformCap(9, 0.6)
    first, again, other = (
        estimate_distance(new, old, 0.3, num_samples=5000, rng=seed, method=method) for seed in (4, 4, 5)
    )
    assert first == again
    assert first.mean != other.mean


def test_the_number_of_threads_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monte_carlo, "_CHUNK", 256)  # many blocks at little cost
    answers = []
    for cores in (1, 2, 5):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        answers.append(estimate_distance(UniformCap(9, 0.3), UniformCap(9, 0.6), num_samples=50_001, rng=6))
    assert answers[0] == answers[1] == answers[2]
    assert answers[0].num_samples == 50_001


def test_a_generator_moves_on() -> None:
    rng = np.random.default_rng(0)
    new = UniformCap(9, 0.3)
    first, second = (estimate_distance(new, new, num_samples=1000, rng=rng) for _ in range(2))
    assert first.mean != second.mean
    assert estimate_distance(new, new, num_samples=1000, rng=np.random.default_rng(0)) == first


@pytest.mark.parametrize(("method", "dim"), [("scalars", 1023), ("qmc", 1023), ("vectors", 4096)])
def test_memory_does_not_grow_with_the_samples(method: str, dim: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monte_carlo.os, "cpu_count", lambda: 2)
    new, old = UniformCap(dim, 0.3), UniformCap(dim, 0.6)
    small, large = (2**10, 2**12) if method == "vectors" else (2**19, 2**22)

    def peak(size: int) -> int:
        tracemalloc.start()
        estimate_distance(new, old, num_samples=size, rng=0, method=method)
        height = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return height

    peak(small)  # fills the caches
    # the same chunks; the second thread may add its own at the same moment, but not eight times the samples
    assert peak(large) < 2 * peak(small) + 2**20


def test_the_example_in_the_docstring_runs() -> None:
    assert doctest.testmod(monte_carlo).failed == 0


def test_moments_are_those_of_all_samples_together() -> None:
    samples = np.random.default_rng(0).normal(1e6, 1.0, 1000)[None]  # a naive sum of squares would lose 12 digits
    parts = [monte_carlo._chunk_moments(part, np) for part in np.split(samples, [1, 2, 300], axis=1)]
    count, mean, spread = parts[0]
    for part in parts[1:]:
        count, mean, spread = monte_carlo._merge((count, mean, spread), part)
    assert count == 1000
    np.testing.assert_allclose(mean, samples.mean(), rtol=1e-15)
    np.testing.assert_allclose(spread, samples.var() * 1000, rtol=1e-9)  # centring: 1e6·1e−16 against 1


@settings(max_examples=100, deadline=None)
@given(st.floats(0, math.pi), st.floats(0, math.pi), st.floats(-1, 1))
def test_haversine_between_is_the_law_of_cosines(alpha: float, beta: float, t: float) -> None:
    a, b = np.array([math.sin(alpha / 2) ** 2]), np.array([math.sin(beta / 2) ** 2])
    cosine = math.cos(alpha) * math.cos(beta) + math.sin(alpha) * math.sin(beta) * t
    # near π, 1 − a is known to an ulp of 1, so its root to 1e−8
    slack = 2e-8 if max(alpha, beta) > math.pi - 1e-4 else 1e-11
    assert haversine_between(a, b, np.array([t]))[0] == pytest.approx((1 - cosine) / 2, abs=slack)


# --- Definition 1, pair by pair


def brute_fractions(new, old, num_classes: int, size: int) -> list[tuple[float, float]]:
    """Shares and their standard errors from full vectors."""
    rng = np.random.default_rng(21)
    other = np.zeros(new.dim)
    other[0] = -1 / (num_classes - 1)
    other[1] = math.sqrt(1 - other[0] ** 2)
    u, v = new.sample(size, rng=rng), old.sample(size, rng=rng)
    same, different = old.sample(size, rng=rng), old.sample(size, axis=other, rng=rng)
    hits = (
        np.einsum("ij,ij->i", u - v, same) >= 0,
        np.einsum("ij,ij->i", u - v, different) <= 0,
    )
    return [(hit.mean(), hit.std() / math.sqrt(size)) for hit in hits]


@pytest.mark.parametrize("dim", [2, 3, 9, 99])
def test_fractions_match_full_vectors(dim: int) -> None:
    for new, old in (
        (UniformCap(dim, 0.2), UniformCap(dim, 0.5)),
        (VonMisesFisher(dim, 50.0), VonMisesFisher(dim, 5.0)),
    ):
        found = estimate_pair_fractions(new, old, min(dim + 1, 10), 50_000, rng=1)
        for estimate, (mean, error) in zip(
            (found.same_class, found.different_class), brute_fractions(new, old, min(dim + 1, 10), 50_000), strict=True
        ):
            # 5 standard errors of the difference of two independent estimates
            assert abs(estimate.mean - mean) < 5 * math.hypot(error, estimate.standard_error)


@pytest.mark.parametrize("num_classes", [2, 10])
def test_equal_laws_satisfy_either_inequality_half_of_the_time(num_classes: int) -> None:
    law = UniformCap(9, 0.4)
    found = estimate_pair_fractions(law, law, num_classes, 2**16, rng=2)
    for estimate in (found.same_class, found.different_class):
        assert estimate.standard_error == pytest.approx(0.5 / 256, rel=1e-3)  # of a fair coin, 2^16 tosses
        assert off_by(estimate, 0.5) < 5


def test_fractions_exchange_under_exchange_of_the_models() -> None:
    wide, narrow = UniformCap(9, 0.5), UniformCap(9, 0.2)
    better = estimate_pair_fractions(narrow, wide, 10, 2**16, rng=3)
    worse = estimate_pair_fractions(wide, narrow, 10, 2**16, rng=3)
    assert better.same_class.mean > 0.6
    assert worse.same_class.mean < 0.4


# --- torch


@pytest.mark.parametrize("metric", ["sqeuclidean", "angular", lambda c: 1 - c**3])
def test_the_torch_kernel_gives_the_same_numbers(metric) -> None:
    """Fed with NumPy's uniforms, the kernel in torch is the kernel in NumPy."""
    chosen = as_metric(metric)
    for new, old, cosine in (laws(9) for laws in LAWS.values()):
        results = []
        for scalars, convert in (
            (Scalars(), lambda values: values),
            (Scalars(torch), torch.as_tensor),
        ):
            rng = np.random.default_rng(0)
            kernel = scalars.pairs(new, old, cosine, chosen)
            results.append(np.asarray(kernel(1000, lambda n, rng=rng, convert=convert: convert(rng.random(n)))))
        # a last digit of exp and sqrt may differ; an angle near 0 amplifies it to its root
        np.testing.assert_allclose(results[0], results[1], rtol=1e-7, atol=1e-8 if metric == "angular" else 1e-15)


def test_the_torch_backend_estimates_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    new, old = VonMisesFisher(9, 30.0), UniformCap(9, 0.6)
    monkeypatch.setattr(monte_carlo, "_scalars_on", lambda device: Scalars(torch))
    first, again = (estimate_distance(new, old, 0.2, num_samples=2**16, rng=5) for _ in range(2))
    assert first == again
    assert off_by(first, exact_sqeuclidean(new, old, 0.2)) < 5
    found = estimate_pair_fractions(new, new, 10, 2**14, rng=5)
    assert off_by(found.same_class, 0.5) < 5
    assert off_by(found.different_class, 0.5) < 5


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_estimates_alike() -> None:
    new, old, cosine = UniformCap(1023, 0.3), UniformCap(1023, 0.6), -0.1
    estimate = estimate_distance(new, old, cosine, num_samples=2**24, rng=5, device="cuda")
    assert off_by(estimate, exact_sqeuclidean(new, old, cosine)) < 5


def test_auto_falls_back_to_the_processor() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    cap = UniformCap(9, 0.3)
    assert estimate_distance(cap, cap, num_samples=100, rng=0, device="auto") == estimate_distance(
        cap, cap, num_samples=100, rng=0
    )


# --- refusals

CAP = UniformCap(9, 0.3)
REFUSED = [
    ({"num_samples": 1}, r"num_samples must be an integer >= 2, got 1\."),
    ({"num_samples": 2.5}, r"num_samples must be an integer >= 2, got 2\.5\."),
    ({"num_samples": 31, "method": "qmc"}, r"num_samples must be an integer >= 32, got 31\."),
    ({"axis_cosine": 1.5}, r"axis_cosine must be in \[-1, 1\], got 1\.5\."),
    ({"axis_cosine": [0.0, 0.1]}, r"axis_cosine must be a scalar for Monte Carlo, got shape \(2,\)\."),
    ({"method": "vector"}, r"method must be 'scalars', 'vectors' or 'qmc', got 'vector'\."),
    ({"metric": "l1"}, r"metric must be one of .*, got 'l1'\."),
    ({"rng": -1}, r"rng must be a Generator, an integer seed >= 0 or None, got -1\."),
    ({"old": UniformCap(8, 0.3)}, r"new and old must have the same dim, got 9 and 8\."),
    ({"old": UniformCap(9, [0.3, 0.4])}, r"old\.radius must be a scalar for Monte Carlo, got shape \(2,\)\."),
    ({"new": VonMisesFisher(9, [1.0, 2.0])}, r"new\.kappa must be a scalar for Monte Carlo, got shape \(2,\)\."),
    ({"new": 0.3}, r"new must be a UniformCap or a VonMisesFisher, got 0\.3\."),
    ({"device": "gpu"}, r"device must be 'cpu', 'auto', 'cuda' or 'cuda:N', got 'gpu'\."),
    ({"device": "cuda:x"}, r"device must be 'cpu', 'auto', 'cuda' or 'cuda:N', got 'cuda:x'\."),
    ({"device": 0}, r"device must be 'cpu', 'auto', 'cuda' or 'cuda:N', got 0\."),
    ({"device": "cuda:99"}, r"device must be one of the \d+ CUDA devices that torch finds here, got 'cuda:99'\."),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED)
def test_bad_arguments_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        estimate_distance(**({"new": CAP, "old": CAP} | arguments))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_classes": 1}, r"num_classes must be an integer >= 2, got 1\."),
        ({"num_classes": 11}, r"num_classes must be <= dim \+ 1 = 10, .*, got 11\."),
        ({"num_classes": 10, "num_samples": 0}, r"num_samples must be an integer >= 2, got 0\."),
    ],
)
def test_bad_triples_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        estimate_pair_fractions(CAP, CAP, **arguments)


# --- the table behind the benchmark


def test_the_benchmark_makes_up_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("theory.benchmark.find_spec", lambda name: None)
    rows = compute((9,), rounds=1)
    assert [row.method for row in rows] == list(METHODS)
    absent = rows[-1]
    assert dataclasses.asdict(absent) == {
        "dim": 9,
        "method": "sambal",
        "nanoseconds": None,
        "pairs_per_second": None,
        "ratio_to_floor": None,
        "speedup_over_sambal": None,
    }
    assert rows[0].ratio_to_floor == 1.0
    assert list(render(rows).columns[2].cells)[-1] == "not installed"

"""Monte Carlo estimates of the distances between caps (paper, Fig. 2, Fig. 12) and of Definition 1, pair by pair.

Each estimate carries its standard error and comes from the scalar kernels, whose cost does not depend on the
dimension; full vectors and quasi-Monte Carlo are there to check and to sharpen it. Samples go through in chunks that
stay in the cache, blocks of chunks go to threads, and every block has its own seed.
"""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from theory._kernels import Array, Kernel, Scalars, vector_pairs
from theory._laws import Law, check_laws, parameter
from theory._validation import check_cosine, check_integer
from theory.caps import UniformCap
from theory.metrics import MetricLike, as_metric

FloatArray = NDArray[np.float64]
Moments = tuple[int, FloatArray, FloatArray]  # number of samples; per quantity: mean, sum of squared deviations

REPLICATES = 32  # of a randomised quasi-Monte Carlo rule: its z-scores follow t with 31 degrees of freedom
_CHUNK = 12288  # pairs at a time: 96 KiB an array, within the cache and below the allocator's mmap threshold
_SOBOL_CHUNK = 8192  # a power of two keeps every stretch of the sequence balanced
_SOBOL_BITS = 53
_CHUNKS_A_BLOCK = 32  # per seed; the unit that threads share out
_MAX_BLOCKS = 4096
_VECTOR_ENTRIES = 2**20  # numbers in one array of full vectors
_DEVICE_CHUNK = 2**22  # pairs at a time on an accelerator: half a GiB in all


@dataclass(frozen=True)
class Estimate:
    """A Monte Carlo mean.

    Attributes
    ----------
    mean : float
    standard_error : float
        Standard deviation of ``mean``.
    num_samples : int
        Number of samples.
    """

    mean: float
    standard_error: float
    num_samples: int


@dataclass(frozen=True)
class PairFractions:
    """Shares of triples that satisfy Eq. 1a (``same_class``) and Eq. 1b (``different_class``)."""

    same_class: Estimate
    different_class: Estimate


def _merge(left: Moments, right: Moments) -> Moments:
    """Moments of two samples together (Chan, Golub & LeVeque 1983)."""
    count = left[0] + right[0]
    shift = right[1] - left[1]
    share = right[0] / count
    return count, left[1] + share * shift, left[2] + right[2] + left[0] * share * shift**2


def _chunk_moments(values: Array, xp: Any) -> Moments:
    values = xp.asarray(values, dtype=xp.float64)
    mean = values.mean(-1)
    centred = values - mean[:, None]
    spread = xp.einsum("ij,ij->i", centred, centred)
    return values.shape[-1], np.asarray(mean.tolist()), np.asarray(spread.tolist())


def _parallel(task: Callable[[Any], Any], inputs: list[Any], most: int) -> list[Any]:
    """One result per input, in their order, by at most ``most`` threads: NumPy releases the interpreter's lock."""
    workers = min(os.cpu_count() or 1, most)
    if workers == 1:
        return [task(value) for value in inputs]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(task, inputs))


def _estimate(
    kernel: Kernel,
    source: Callable[[np.random.SeedSequence], Any],
    num_samples: int,
    seeds: np.random.SeedSequence,
    chunk: int,
    xp: Any = np,
) -> list[Estimate]:
    """Means of a kernel's rows; blocks and seeds depend on ``num_samples``, not on the number of threads."""
    blocks = min(_MAX_BLOCKS, math.ceil(num_samples / (_CHUNKS_A_BLOCK * chunk)))
    block = math.ceil(num_samples / blocks)

    def run(seed: np.random.SeedSequence) -> Moments:
        stream = source(seed)
        first = seed.spawn_key[-1] * block
        stop = min(first + block, num_samples)
        chunks = (min(chunk, stop - start) for start in range(first, stop, chunk))
        return functools.reduce(_merge, (_chunk_moments(kernel(count, stream), xp) for count in chunks))

    blocks = math.ceil(num_samples / block)
    count, means, spreads = functools.reduce(_merge, _parallel(run, seeds.spawn(blocks), blocks if xp is np else 1))
    errors = np.sqrt(spreads / (count - 1) / count)
    return [Estimate(float(mean), float(error), count) for mean, error in zip(means, errors, strict=True)]


def _estimate_qmc(kernel: Kernel, columns: int, num_samples: int, seeds: np.random.SeedSequence) -> Estimate:
    """Mean over one scrambled Sobol rule of 2^m points under independent digital shifts.

    Given the scrambling, each shifted rule is unbiased and the rules are independent, which is all that the standard
    error needs; building one rule instead of 32 saves a tenth of a second.
    """
    from scipy.stats import qmc  # half a second, which few need

    points = 1 << (num_samples // REPLICATES).bit_length() - 1
    chunk = min(points, _SOBOL_CHUNK)
    rng = np.random.default_rng(seeds)
    sobol = qmc.Sobol(columns, scramble=True, bits=_SOBOL_BITS, rng=rng)
    shifts = rng.integers(1 << _SOBOL_BITS, size=(REPLICATES, columns, 1))
    most = math.ceil(num_samples / (_CHUNKS_A_BLOCK * _CHUNK))  # no thread for less than a block of the scalars
    total = np.zeros(REPLICATES)
    for _ in range(points // chunk):
        rule = np.ldexp(sobol.random(chunk).T, _SOBOL_BITS).astype(np.int64)

        def run(shift: NDArray[np.int64], rule: NDArray[np.int64] = rule) -> float:
            variates = iter(2.0**-_SOBOL_BITS * (rule ^ shift))
            return float(kernel(chunk, lambda _: next(variates)).mean())

        total += _parallel(run, list(shifts), most)
    means = total / (points // chunk)
    return Estimate(float(means.mean()), float(means.std(ddof=1) / math.sqrt(REPLICATES)), points * REPLICATES)


def _check_laws(new: Law, old: Law) -> None:
    check_laws(new, old)
    for name, law in (("new", new), ("old", old)):
        if shape := parameter(law).shape:
            field = "radius" if isinstance(law, UniformCap) else "kappa"
            raise ValueError(f"{name}.{field} must be a scalar for Monte Carlo, got shape {shape}.")


def _seeds(rng: np.random.Generator | int | None) -> np.random.SeedSequence:
    """A root of seeds; a Generator moves on, so that calling twice gives independent estimates."""
    try:
        generator = np.random.default_rng(rng)
    except (TypeError, ValueError):
        raise ValueError(f"rng must be a Generator, an integer seed >= 0 or None, got {rng!r}.") from None
    return np.random.SeedSequence(generator.integers(2**32, size=4).tolist())


def _scalars_on(device: str) -> Scalars:
    """The backend of a device, or a refusal before any work starts."""
    if device == "cpu":
        return Scalars()
    kind, _, index = device.partition(":") if isinstance(device, str) else ("", "", "")
    if kind not in ("auto", "cuda") or (index and not (kind == "cuda" and index.isdecimal())):
        raise ValueError(f"device must be 'cpu', 'auto', 'cuda' or 'cuda:N', got {device!r}.")
    import torch

    available = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if kind == "auto":
        return Scalars(torch, "cuda") if available else Scalars()
    if int(index or 0) >= available:
        raise ValueError(f"device must be one of the {available} CUDA devices that torch finds here, got {device!r}.")
    return Scalars(torch, device)


def estimate_distance(
    new: Law,
    old: Law,
    axis_cosine: float = 1.0,
    metric: MetricLike = "sqeuclidean",
    num_samples: int = 2**20,
    rng: np.random.Generator | int | None = None,
    method: str = "scalars",
    device: str = "cpu",
) -> Estimate:
    r"""Monte Carlo estimate of E d(u, v), u and v independent draws of two laws, with its standard error.

    The same seed gives the same estimate on any number of cores. Memory does not grow with ``num_samples``.

    Parameters
    ----------
    new, old : UniformCap or VonMisesFisher
        Laws of u and v, of equal dimension and with a scalar radius or concentration.
    axis_cosine : float
        Cosine of the angle between the two axes, in [−1, 1].
    metric : str, Metric or function of the cosine
    num_samples : int
        Pairs, at least 2 (``"qmc"``: at least 32, and rounded down to 32 times a power of two).
    rng : Generator, int or None
        Source of the seeds.
    method : {"scalars", "vectors", "qmc"}
        A few scalars per pair, at a cost that does not depend on the dimension; full vectors, as a check;
        or one scrambled Sobol rule in the same scalars under 32 random shifts, whose scatter is the error (z-scores: t
        with 31 degrees of freedom).
    device : str
        "cpu", "cuda", "cuda:N", or "auto" (CUDA if torch finds it). Off the CPU the scalars run in torch.

    Returns
    -------
    Estimate
        Its error is that of sampling; the laws themselves are right to 1e−12. Radii below 1e−150 underflow to 0.

    Raises
    ------
    ValueError
        If an argument is out of its range, or the device is absent.

    References
    ----------
    Fig. 2 and 12 of the paper; Owen, *Monte Carlo variance of scrambled net quadrature*, 1997.

    Examples
    --------
    >>> from theory.caps import UniformCap
    >>> estimate = estimate_distance(UniformCap(1023, 0.3), UniformCap(1023, 0.6), rng=0)
    >>> round(estimate.mean, 3), estimate.num_samples
    (0.422, 1048576)
    """
    _check_laws(new, old)
    cosine = check_cosine(axis_cosine)
    if cosine.ndim:
        raise ValueError(f"axis_cosine must be a scalar for Monte Carlo, got shape {cosine.shape}.")
    if method not in ("scalars", "vectors", "qmc"):
        raise ValueError(f"method must be 'scalars', 'vectors' or 'qmc', got {method!r}.")
    num_samples = check_integer("num_samples", num_samples, REPLICATES if method == "qmc" else 2)
    scalars = _scalars_on(device)
    if scalars.torch is not None and method != "scalars":
        raise ValueError(f"method must be 'scalars' on device {device!r}, got {method!r}.")
    chosen, rho, seeds = as_metric(metric), float(cosine), _seeds(rng)
    if method == "qmc":
        kernel = Scalars(inverted=True).pairs(new, old, rho, chosen)
        return _estimate_qmc(kernel, 3 if rho == 1.0 else 4, num_samples, seeds)
    if method == "vectors":
        kernel = vector_pairs(new, old, rho, chosen)
        chunk = min(_CHUNK, max(1, _VECTOR_ENTRIES // new.dim))
        return _estimate(kernel, np.random.default_rng, num_samples, seeds, chunk)[0]
    return _run_scalars(scalars, scalars.pairs(new, old, rho, chosen), num_samples, seeds)[0]


def _run_scalars(scalars: Scalars, kernel: Kernel, num_samples: int, seeds: np.random.SeedSequence) -> list[Estimate]:
    chunk = _CHUNK if scalars.torch is None else _DEVICE_CHUNK
    return _estimate(kernel, scalars.source, num_samples, seeds, chunk, scalars.xp)


def estimate_pair_fractions(
    new: Law,
    old: Law,
    num_classes: int,
    num_samples: int = 2**20,
    rng: np.random.Generator | int | None = None,
    device: str = "cpu",
) -> PairFractions:
    r"""Shares of triples (u_i, v_i, v_j) that satisfy Definition 1 pair by pair, in the model of Theorem 1.

    Eq. 1a asks :math:`d(u_i, v_j) ≤ d(v_i, v_j)` of a same-class pair, Eq. 1b the reverse of a pair from two
    classes, whose axes have the simplex's cosine −1/(K−1). u_i is the new feature of sample i, v_i and v_j the old
    features of samples i and j. **Assumed**: given the classes the three are independent; a new model that
    remembers v_i would differ. Every distance that increases with the angle gives the same shares, so there is no
    metric to choose.

    Parameters
    ----------
    new, old : UniformCap or VonMisesFisher
        Laws of the new and the old features around their class's vertex.
    num_classes : int
        K, from 2 to dim + 1.
    num_samples : int
        Triples, at least 2.
    rng, device
        As in :func:`estimate_distance`.

    Returns
    -------
    PairFractions
        A share of exactly 0 or 1 comes with standard error 0: then it is within 3/num_samples (95 %).

    Raises
    ------
    ValueError
        If an argument is out of its range, or the device is absent.

    References
    ----------
    Definition 1 (Eq. 1a, 1b) and Theorem 1 of the paper.
    """
    _check_laws(new, old)
    num_classes = check_integer("num_classes", num_classes, 2)
    if num_classes > new.dim + 1:
        raise ValueError(
            f"num_classes must be <= dim + 1 = {new.dim + 1}, as many as a simplex has vertices, got {num_classes}."
        )
    num_samples = check_integer("num_samples", num_samples, 2)
    scalars = _scalars_on(device)
    kernel = scalars.triples(new, old, -1.0 / (num_classes - 1))
    return PairFractions(*_run_scalars(scalars, kernel, num_samples, _seeds(rng)))

"""How sure a compatibility matrix is: which of its entries a finite number of queries decides (paper, Eq. 6).

An entry M[t, k] is compared with the self-test M[k, k]. Both are proportions over the same queries, so AC can turn on
a difference smaller than its standard error. Here the queries are the sampled units and the gallery is what it is.
Where each query's outcome is known the comparison is McNemar's exact test, on the queries that flip; from accuracies
alone it takes the two for independent, which is wider, as the same queries usually fare alike with both.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from importlib import resources
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from numpy.typing import ArrayLike
from scipy import special

from verification.reporting import json_safe
from verification.search.scores import (
    average_accuracies,
    average_compatibility,
    backward_compatibility,
    check_matrix,
    forward_compatibility,
)
from verification.statistics.interval import check_confidence, holm

EntryVerdict = Literal["compatible", "incompatible", "undecided"]


class Flips(NamedTuple):
    """Shares of the queries whose outcome changes with the model."""

    positive: float  # wrong before, right now
    negative: float  # right before, wrong now


@dataclass(frozen=True)
class Entry:
    """One comparison of Eq. 6.

    Attributes
    ----------
    new, old : int
        Models t > k, counted from 0.
    gain : float
        M[t, k] − M[k, k].
    standard_errors : float
        The gain in units of its standard error; 0 where nothing varies.
    p_value : float
        Smallest joint level at which this entry is decided, Holm's correction over all entries and both directions.
    verdict : {"compatible", "incompatible", "undecided"}
    flips : Flips or None
        Where each query's outcome is known.
    """

    new: int
    old: int
    gain: float
    standard_errors: float
    p_value: float
    verdict: EntryVerdict
    flips: Flips | None


@dataclass(frozen=True)
class MatrixReport:
    """A compatibility matrix with the verdicts on its entries.

    Attributes
    ----------
    matrix : ndarray, shape (T, T)
    average_compatibility : float
        AC as Eq. 6 counts it.
    average_compatibility_interval : tuple of float
        AC if all undecided entries were incompatible, and if all were compatible. It contains the AC of unlimited
        queries with probability ≥ ``confidence``.
    average_accuracies : tuple of float
        AA_τ, τ = 1 … T, in the unit of the matrix; the last one is AA.
    backward_compatibility, forward_compatibility : float
    entries : tuple of Entry
        The T(T − 1)/2 entries below the diagonal, row by row; their verdicts are simultaneous.
    undecided : tuple of (int, int)
        Positions (t, k) of the entries that the queries do not decide.
    num_queries : int
    confidence : float
    paired : bool
        Whether each query's outcome was known.
    """

    matrix: Float[ndarray, "t t"]
    average_compatibility: float
    average_compatibility_interval: tuple[float, float]
    average_accuracies: tuple[float, ...]
    backward_compatibility: float
    forward_compatibility: float
    entries: tuple[Entry, ...]
    undecided: tuple[tuple[int, int], ...]
    num_queries: int
    confidence: float
    paired: bool

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; NaN becomes None."""
        plain = asdict(self) | {"matrix": self.matrix.tolist()}
        for entry, source in zip(plain["entries"], self.entries, strict=True):
            entry["flips"] = source.flips and source.flips._asdict()
        return json_safe(plain)


def flip_rates(new_hits: ArrayLike, old_hits: ArrayLike) -> Flips:
    """Return the positive and the negative flip rate, PFR and NFR, of the same queries under two models.

    Their difference is the gain in accuracy.

    Raises
    ------
    ValueError
        If the two do not hold one value, 0 or 1, for each of the same queries.

    References
    ----------
    Yan et al., *Positive-congruent training: towards regression-free model updates*, 2021.
    """
    new, old = _binary("new_hits", new_hits), _binary("old_hits", old_hits)
    if new.ndim != 1 or new.shape != old.shape or not len(new):
        raise ValueError(f"new_hits and old_hits must have one shape (N,) with N >= 1, got {new.shape}, {old.shape}.")
    return Flips(float(np.mean(new & ~old)), float(np.mean(old & ~new)))


def judge_matrix(matrix: ArrayLike, num_queries: int, confidence: float = 0.95) -> MatrixReport:
    """Judge a compatibility matrix if only its accuracies are known.

    Parameters
    ----------
    matrix : array_like, shape (T, T)
        Fractions in [0, 1] on and below the diagonal; entries above it are ignored.
    num_queries : int
        Number of queries behind each entry, ≥ 1.
    confidence : float
        Confidence of all verdicts at once, in (0, 1).

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    matrix = check_matrix(matrix)
    t, k = np.tril_indices(len(matrix))
    if np.any((matrix[t, k] < 0.0) | (matrix[t, k] > 1.0)):
        worst = matrix[t, k][np.argmax(np.abs(matrix[t, k] - 0.5))]
        raise ValueError(f"matrix must hold fractions in [0, 1], got {float(worst)!r}.")
    if not num_queries >= 1:
        raise ValueError(f"num_queries must be >= 1, got {num_queries!r}.")
    t, k = np.tril_indices(len(matrix), -1)
    cross, own = matrix[t, k], matrix[k, k]
    pooled = (cross + own) / 2.0  # the variance where the two are equal, which is what a test has to assume
    score = _ratio(cross - own, np.sqrt(2.0 * pooled * (1.0 - pooled) / num_queries))
    flips: list[Flips | None] = [None] * len(t)
    return _judge(matrix, score, special.ndtr(-score), special.ndtr(score), flips, num_queries, confidence)


def judge_outcomes(outcomes: ArrayLike, confidence: float = 0.95) -> MatrixReport:
    """Judge a compatibility matrix if the outcome of each query is known, by McNemar's exact test for every entry.

    Parameters
    ----------
    outcomes : array_like, shape (T, T, N)
        1 if the query is answered correctly, else 0, on and below the diagonal, as
        :func:`~verification.search.scores.outcomes` gives it.
    confidence : float
        Confidence of all verdicts at once, in (0, 1).

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    McNemar, *Note on the sampling error of the difference between correlated proportions*, 1947.
    """
    array = np.asarray(outcomes)
    if array.ndim != 3 or array.shape[0] != array.shape[1] or 0 in array.shape:
        raise ValueError(f"outcomes must have shape (T, T, N) with T, N >= 1, got {array.shape}.")
    size, _, num_queries = array.shape
    matrix = np.full((size, size), np.nan)
    hits = {}
    for t, k in zip(*np.tril_indices(size), strict=True):
        hits[t, k] = _binary(f"outcomes[{t}, {k}]", array[t, k])
        matrix[t, k] = np.mean(hits[t, k])
    cells = list(zip(*np.tril_indices(size, -1), strict=True))
    gained = np.array([np.count_nonzero(hits[t, k] & ~hits[k, k]) for t, k in cells], dtype=np.int64)
    lost = np.array([np.count_nonzero(hits[k, k] & ~hits[t, k]) for t, k in cells], dtype=np.int64)
    score = _ratio((gained - lost).astype(float), np.sqrt(gained + lost))
    # under equality each query that flips is a fair coin
    gain = special.bdtrc(gained - 1, gained + lost, 0.5)
    loss = special.bdtrc(lost - 1, gained + lost, 0.5)
    flips: list[Flips | None] = [
        Flips(float(up) / num_queries, float(down) / num_queries) for up, down in zip(gained, lost, strict=True)
    ]
    return _judge(matrix, score, gain, loss, flips, num_queries, confidence, paired=True)


def judge_scores(scores: ArrayLike, confidence: float = 0.95) -> MatrixReport:
    """Judge a compatibility matrix of scores that are no hits, average precisions say: a paired z test per entry.

    Parameters
    ----------
    scores : array_like, shape (T, T, N)
        A number per query, on and below the diagonal, as :func:`~verification.search.scores.outcomes` gives it.
    confidence : float
        Confidence of all verdicts at once, in (0, 1).

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    array = np.asarray(scores, dtype=np.float64)
    if array.ndim != 3 or array.shape[0] != array.shape[1] or not array.shape[0] or array.shape[2] < 2:
        raise ValueError(f"scores must have shape (T, T, N) with T >= 1, N >= 2, got {array.shape}.")
    matrix = check_matrix(array.mean(axis=2))
    t, k = np.tril_indices(len(matrix), -1)
    gains = array[t, k] - array[k, k]
    score = _ratio(gains.mean(axis=1), gains.std(axis=1, ddof=1) / np.sqrt(array.shape[2]))
    flips: list[Flips | None] = [None] * len(t)
    return _judge(
        matrix, score, special.ndtr(-score), special.ndtr(score), flips, array.shape[2], confidence, paired=True
    )


def released_matrices() -> dict[str, Float[ndarray, "t t"]]:
    """Compatibility matrices that the paper's authors and a fork released, by notebook; fractions of 50 000 queries."""
    text = resources.files("verification").joinpath("data", "released_matrices.json").read_text(encoding="utf-8")
    return {name: np.array(entry["matrix"]) for name, entry in json.loads(text).items()}


def _judge(
    matrix: ndarray,
    score: ndarray,
    gain_p: ndarray,
    loss_p: ndarray,
    flips: list[Flips | None],
    num_queries: int,
    confidence: float,
    paired: bool = False,
) -> MatrixReport:
    check_confidence(confidence)
    count = len(score)
    # both directions of every entry are hypotheses, so that a wrong direction counts as an error too
    gain_p, loss_p = np.split(holm(np.concatenate([gain_p, loss_p])), 2)
    entries = []
    for i, (t, k) in enumerate(zip(*np.tril_indices(len(matrix), -1), strict=True)):
        p = float(min(gain_p[i], loss_p[i]))
        decided: EntryVerdict = "compatible" if gain_p[i] <= loss_p[i] else "incompatible"
        verdict = decided if p <= 1.0 - confidence else "undecided"
        gain = float(matrix[t, k] - matrix[k, k])
        entries.append(Entry(int(t), int(k), gain, float(score[i]), p, verdict, flips[i]))
    shares = [
        sum(entry.verdict == word for entry in entries) / count for word in ("compatible", "incompatible") if count
    ]
    return MatrixReport(
        matrix,
        average_compatibility(matrix),
        (shares[0], 1.0 - shares[1]) if count else (float("nan"), float("nan")),
        tuple(average_accuracies(matrix).tolist()),
        backward_compatibility(matrix),
        forward_compatibility(matrix),
        tuple(entries),
        tuple((entry.new, entry.old) for entry in entries if entry.verdict == "undecided"),
        int(num_queries),
        confidence,
        paired,
    )


def _ratio(difference: ndarray, error: ndarray) -> ndarray:
    return np.divide(difference, error, out=np.zeros_like(difference), where=error > 0.0)


def _binary(name: str, values: ArrayLike) -> Bool[ndarray, ...]:
    array = np.asarray(values)
    if not np.all((array == 0) | (array == 1)):
        raise ValueError(f"{name} must hold 0 and 1 only, one value a query.")
    return array.astype(bool)

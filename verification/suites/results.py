"""What came out of the runs of a suite: of one method under one seed, and over all seeds."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from verification.audit import json_safe
from verification.evaluate import Evaluation


@dataclass(frozen=True)
class PairOutcome:
    """What is known of two models t > k; gap and bounds of each side of Definition 1, and both verdicts."""

    new: int
    old: int
    same_class: tuple[float, float, float]
    different_class: tuple[float, float, float]
    definition: str
    matrix_criterion: str
    drift: float


@dataclass(frozen=True)
class Result:
    """One method under one seed.

    Attributes
    ----------
    seed : int
    matrix : tuple of tuple of float
        Accuracies M[t, k], k ≤ t.
    average_compatibility, average_accuracy : float
        AC and AA.
    interval : tuple of float
        Of AC.
    seconds : float
        Wall time of the updates.
    pairs : tuple of PairOutcome
    """

    seed: int
    matrix: tuple[tuple[float, ...], ...]
    average_compatibility: float
    interval: tuple[float, float]
    average_accuracy: float
    seconds: float
    pairs: tuple[PairOutcome, ...]

    @property
    def same_class(self) -> float:
        """Gap of 1a, mean over the pairs of models; positive is compatible."""
        return statistics.fmean(pair.same_class[0] for pair in self.pairs)

    @property
    def different_class(self) -> float:
        """Gap of 1b, mean over the pairs of models."""
        return statistics.fmean(pair.different_class[0] for pair in self.pairs)

    @property
    def drift(self) -> float:
        """Mean over consecutive models of the angle between a class's mean directions, radians."""
        return statistics.fmean(pair.drift for pair in self.pairs if pair.new == pair.old + 1)


@dataclass(frozen=True)
class Row:
    """One method over all seeds."""

    case: str
    label: str
    results: tuple[Result, ...]

    def mean(self, name: str) -> float:
        """Mean of a quantity over seeds."""
        return statistics.fmean(getattr(result, name) for result in self.results)

    def spread(self, name: str) -> float:
        """Standard deviation of a quantity over seeds; 0 for one seed."""
        values = [getattr(result, name) for result in self.results]
        return statistics.stdev(values) if len(values) > 1 else 0.0

    def accuracy(self, new: int, old: int) -> float:
        """Mean over seeds of M[new, old]."""
        return statistics.fmean(result.matrix[new][old] for result in self.results)

    @property
    def interval(self) -> tuple[float, float]:
        """Mean over seeds of both ends of the interval of AC."""
        lower, upper = zip(*(result.interval for result in self.results), strict=True)
        return statistics.fmean(lower), statistics.fmean(upper)

    @property
    def pairs(self) -> list[PairOutcome]:
        """Pairs of models of all seeds."""
        return [pair for result in self.results for pair in result.pairs]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, from which :func:`read_rows` makes the row again."""
        return json_safe({"case": self.case, "label": self.label, "results": [asdict(r) for r in self.results]})


def read_rows(content: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Make rows of what :meth:`Row.to_dict` returned."""
    return [Row(row["case"], row["label"], tuple(map(read_result, row["results"]))) for row in content]


def judged(seed: int, evaluation: Evaluation, seconds: float) -> Result:
    """What an evaluation says of a method."""
    matrix = evaluation.matrix
    pairs = []
    for pair in evaluation.pairs:
        same, different = ((s.gap, s.lower, s.upper) for s in (pair.audit.same_class, pair.audit.different_class))
        pairs.append(
            PairOutcome(pair.new, pair.old, same, different, pair.audit.verdict, pair.matrix_verdict, pair.drift)
        )
    return Result(
        seed,
        tuple(tuple(row[: t + 1]) for t, row in enumerate(matrix.matrix.tolist())),
        matrix.average_compatibility,
        matrix.average_compatibility_interval,
        matrix.average_accuracies[-1],
        seconds,
        tuple(pairs),
    )


def read_result(content: Mapping[str, Any]) -> Result:
    """Make a result of its plain values."""
    pairs = [
        PairOutcome(
            **{name: tuple(value) if isinstance(value, list) else value for name, value in pair.items()}  # type: ignore[arg-type]
        )
        for pair in content["pairs"]
    ]
    plain = dict(content) | {
        "matrix": tuple(map(tuple, content["matrix"])),
        "interval": tuple(content["interval"]),
        "pairs": tuple(pairs),
    }
    return Result(**plain)

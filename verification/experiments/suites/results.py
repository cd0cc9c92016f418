"""What came out of the runs of a suite: of one method under one seed, and over all seeds."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from verification.experiments.evaluate import Evaluation
from verification.reporting import json_safe
from verification.search.matrices import MatrixReport


@dataclass(frozen=True, kw_only=True)
class PairOutcome:
    """What is known of two models t > k; gap and bounds of each side of Definition 1, and both verdicts."""

    new: int
    old: int
    same_class: tuple[float, float, float]
    different_class: tuple[float, float, float]
    definition: str
    matrix_criterion: str
    drift: float


@dataclass(frozen=True, kw_only=True)
class SearchOutcome:
    """A compatibility matrix by one search on one group of classes.

    Attributes
    ----------
    score : {"nearest", "template"}
    classes : {"trained", "open"}
    matrix : tuple of tuple of float
        Accuracies M[t, k], k ≤ t.
    average_compatibility, average_accuracy : float
        AC and AA.
    interval : tuple of float
        Of AC.
    """

    score: str
    classes: str
    matrix: tuple[tuple[float, ...], ...]
    average_compatibility: float
    interval: tuple[float, float]
    average_accuracy: float


@dataclass(frozen=True, kw_only=True)
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
    searches : tuple of SearchOutcome
        Both searches, on the classes that some model was trained on and on the open ones where there are any.
    """

    seed: int
    matrix: tuple[tuple[float, ...], ...]
    average_compatibility: float
    interval: tuple[float, float]
    average_accuracy: float
    seconds: float
    pairs: tuple[PairOutcome, ...]
    searches: tuple[SearchOutcome, ...] = ()

    def search(self, score: str, classes: str) -> SearchOutcome:
        """Return what one search found on one group of classes; a LookupError if it was not asked."""
        for found in self.searches:
            if (found.score, found.classes) == (score, classes):
                return found
        raise LookupError(f"no search by {score!r} on {classes} classes was kept.")

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
class MethodResults:
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


def read_rows(content: Sequence[Mapping[str, Any]]) -> list[MethodResults]:
    """Make rows of what :meth:`MethodResults.to_dict` returned."""
    return [MethodResults(row["case"], row["label"], tuple(map(read_result, row["results"]))) for row in content]


def judged(
    seed: int, evaluation: Evaluation, seconds: float, searches: Mapping[tuple[str, str], MatrixReport] | None = None
) -> Result:
    """What an evaluation, and searches by (score, classes), say of a method."""
    matrix = evaluation.matrix
    pairs = []
    for pair in evaluation.pairs:
        same, different = ((s.gap, s.lower, s.upper) for s in (pair.audit.same_class, pair.audit.different_class))
        pairs.append(
            PairOutcome(
                new=pair.new,
                old=pair.old,
                same_class=same,
                different_class=different,
                definition=pair.audit.verdict,
                matrix_criterion=pair.matrix_verdict,
                drift=pair.drift,
            )
        )
    return Result(
        seed=seed,
        matrix=_triangle(matrix),
        average_compatibility=matrix.average_compatibility,
        interval=matrix.average_compatibility_interval,
        average_accuracy=matrix.average_accuracies[-1],
        seconds=seconds,
        pairs=tuple(pairs),
        searches=tuple(
            SearchOutcome(
                score=score,
                classes=classes,
                matrix=_triangle(report),
                average_compatibility=report.average_compatibility,
                interval=report.average_compatibility_interval,
                average_accuracy=report.average_accuracies[-1],
            )
            for (score, classes), report in (searches or {}).items()
        ),
    )


def _triangle(report: MatrixReport) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row[: t + 1]) for t, row in enumerate(report.matrix.tolist()))


def read_result(content: Mapping[str, Any]) -> Result:
    """Make a result of its plain values."""
    pairs = [
        PairOutcome(
            **{name: tuple(value) if isinstance(value, list) else value for name, value in pair.items()}  # type: ignore[arg-type]
        )
        for pair in content["pairs"]
    ]
    plain = _tuples(content) | {
        "pairs": tuple(pairs),
        "searches": tuple(SearchOutcome(**_tuples(search)) for search in content.get("searches", ())),
    }
    return Result(**plain)


def _tuples(content: Mapping[str, Any]) -> dict[str, Any]:
    return dict(content) | {"matrix": tuple(map(tuple, content["matrix"])), "interval": tuple(content["interval"])}

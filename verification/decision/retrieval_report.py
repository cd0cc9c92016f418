"""What a comparison of retrieval reports: scores of the three searches, their differences, a verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from verification._breakdown import Verdict


class Difference(NamedTuple):
    """Mean over queries of the first score less the second.

    ``lower`` and ``upper`` bound it for new queries of these classes, ``class_lower`` and ``class_upper`` were the
    classes drawn too; each interval at the report's confidence by itself.
    """

    value: float
    lower: float
    upper: float
    class_lower: float
    class_upper: float


@dataclass(frozen=True)
class Scores:
    """One score in the three searches, and its differences.

    Attributes
    ----------
    name : str
        "recall@1", "recall@5", "mAP".
    num_queries : int
    old_old, new_old : float
        Mean score of old and of new queries in the old gallery.
    new_new : float or None
        Of new queries in a gallery embedded again; None where there are no new features of the gallery.
    upgrade : Difference
        new_old − old_old, what the old gallery gains or loses.
    reindexing, model : Difference or None
        new_new − new_old, what embedding the gallery again would add; new_new − old_old.
    """

    name: str
    num_queries: int
    old_old: float
    new_old: float
    new_new: float | None
    upgrade: Difference
    reindexing: Difference | None
    model: Difference | None


@dataclass(frozen=True)
class RetrievalReport:
    """What :func:`verification.decision.retrieval.compare_retrieval` found.

    Attributes
    ----------
    verdict : {"compatible", "incompatible", "inconclusive"}
        Of recall@1 in the old gallery: compatible when the interval for its change lies at or above −margin,
        incompatible when below; for new queries of these classes.
    class_verdict : {"compatible", "incompatible", "inconclusive"}
        The same were the classes drawn too.
    margin, confidence : float
        The loss of recall that is accepted, as a fraction; of each interval.
    gained, lost : float
        Shares of the queries that only the new, only the old model answers rightly.
    scores : tuple of Scores
        recall@1, recall@k, mAP.
    num_gallery : int
    notes : tuple of str
    """

    verdict: Verdict
    class_verdict: Verdict
    margin: float
    confidence: float
    gained: float
    lost: float
    scores: tuple[Scores, ...]
    num_gallery: int
    notes: tuple[str, ...]

"""What a comparison of retrieval reports: scores of the three searches, their differences, a verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from verification.statistics.interval import Change, Interval, Judged, Unit, Verdict

Relevance = Literal["labels", "judgements", "shared labels"]


@dataclass(frozen=True, kw_only=True)
class Scores:
    """One score in the three searches, and its differences.

    Attributes
    ----------
    name : str
        "recall@1", "recall@5", "mAP", or "template": whether the nearest mean of a class is right, which is the search
        of the paper; by judgements "hit@1", "recall@10", "MRR@10", "nDCG@10", "mAP".
    num_queries : int
    old_old, new_old : float
        Mean score of old and of new queries in the old gallery; ``new_old`` of a compressed copy is that of its queries
        in its own gallery.
    new_new : float or None
        Score of new queries in a gallery embedded again; None if the gallery has no new features.
    upgrade : Change
        new_old − old_old, what the old gallery gains or loses.
    reindexing, model : Change or None
        new_new − new_old, what embedding the gallery again would add; new_new − old_old.
    """

    name: str
    num_queries: int
    old_old: float
    new_old: float
    new_new: float | None
    upgrade: Change
    reindexing: Change | None
    model: Change | None


@dataclass(frozen=True, kw_only=True)
class Slice:
    """Recall@1 of a part of the queries.

    Attributes
    ----------
    name : int or str
    num_queries : int
    old_old, new_old : float
    change : Judged
        new_old − old_old, simultaneous over the parts.
    """

    name: int | str
    num_queries: int
    old_old: float
    new_old: float
    change: Judged


@dataclass(frozen=True, kw_only=True)
class RetrievalReport:
    """Result of :func:`verification.audit.retrieval.compare_retrieval`.

    Attributes
    ----------
    verdict : Verdict
        Verdict on recall@1 in the old gallery: compatible if the interval for its change lies at or above −margin,
        incompatible if below.
    change : Judged
        The change of recall@1, for new queries of these classes and for new classes like these.
    margin, confidence : float
        The accepted loss of recall, as a fraction, and the confidence of each interval.
    relevance : {"labels", "judgements", "shared labels"}
        What says that an item answers a query. Only labels define classes; otherwise both intervals are for new queries
        like these.
    unit : {"sample", "group"}
        What was drawn independently, and is therefore the unit of the intervals.
    gained, lost : float
        Shares of the queries that only the new, or only the old, model answers correctly.
    kept : Interval
        Share of the first k items of old queries that new queries find too: agreement, which is not quality.
    scores : tuple of Scores
        recall@1, recall@k, mAP, template.
    slices : tuple of Slice
        Parts of the queries, the greatest loss first; empty if none were requested.
    near_copies : float
        Share of the queries whose nearest item is of their class and much nearer than its items usually are.
    num_queries, num_lone : int
        Number of queries that some item can answer (scores may use a part of them), and of those that none can.
    num_gallery : int
    notes : tuple of str
    """

    verdict: Verdict
    change: Judged
    margin: float
    confidence: float
    relevance: Relevance
    unit: Unit
    gained: float
    lost: float
    kept: Interval
    scores: tuple[Scores, ...]
    slices: tuple[Slice, ...]
    near_copies: float
    num_queries: int
    num_lone: int
    num_gallery: int
    notes: tuple[str, ...]

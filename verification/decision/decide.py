"""The upgrade decision, whole: Definition 1, retrieval beside it, accept thresholds, and how many samples would decide.

Three claims about the same samples. None implies another, so each has a verdict of its own, and the report's verdict
stays that of Definition 1.
"""

from __future__ import annotations

from dataclasses import replace

from verification.audit import AuditReport, audit
from verification.decision.retrieval import compare_retrieval, searchable
from verification.decision.thresholds import check_threshold, compare_thresholds
from verification.features import FeatureSet
from verification.margin import parse_margin
from verification.statistics.collect import Map
from verification.statistics.progress import Progress

_NOT_SEARCHED = (
    "Retrieval was left out: a gallery of this size is searched by an index, not row by row in memory. Give a random "
    "part of the data as NEW and OLD and the part's gallery with --gallery to have it."
)


def decide(
    new: FeatureSet,
    old: FeatureSet,
    metric: str = "sqeuclidean",
    confidence: float = 0.95,
    gallery: FeatureSet | None = None,
    margin: float | str = 0.0,
    weights: str = "pairs",
    seed: int = 0,
    run: Map = map,
    *,
    retrieval_margin: float | str = 0.0,
    threshold: float | None = None,
    far: float | None = None,
    far_margin: float | str = 0.0,
    tar_margin: float | str = 0.0,
    progress: Progress | None = None,
) -> AuditReport:
    """Audit an upgrade and compare its retrieval and, where one is given, its accept threshold.

    Parameters
    ----------
    new, old, metric, confidence, gallery, margin, weights, seed, run, progress
        As of :func:`verification.audit`.
    retrieval_margin : float or str
        ≥ 0, the loss of recall@1 that is accepted: 0.01 or "1%".
    threshold, far, far_margin, tar_margin
        As of :func:`~verification.decision.thresholds.compare_thresholds`; left out where neither of the first two is
        given.

    Returns
    -------
    AuditReport
        That of :func:`verification.audit`, with ``retrieval`` and ``thresholds``.

    Raises
    ------
    ValueError
        As the functions named, before work starts where an argument is out of range.
    """
    with_threshold = threshold is not None or far is not None
    if with_threshold:
        check_threshold(threshold, far)
    for name, value in (("retrieval", retrieval_margin), ("FAR", far_margin), ("TAR", tar_margin)):
        parse_margin(value, f"the margin of {name}")
    report = audit(new, old, metric, confidence, gallery, margin, weights, seed, run, progress)
    notes = report.notes
    retrieval = thresholds = None
    tell = progress or (lambda stage, done, total: None)
    if searchable(old if gallery is None else gallery):
        tell("searching", 0, len(new))
        retrieval = compare_retrieval(new, old, gallery, margin=retrieval_margin, confidence=confidence, seed=seed)
        notes += retrieval.notes
    else:
        notes += (_NOT_SEARCHED,)
    if with_threshold:
        tell("comparing thresholds", 0, len(new))
        thresholds = compare_thresholds(
            new,
            old,
            gallery,
            threshold=threshold,
            far=far,
            far_margin=far_margin,
            tar_margin=tar_margin,
            confidence=confidence,
            seed=seed,
        )
        notes += thresholds.notes
    return replace(report, notes=notes, retrieval=retrieval, thresholds=thresholds)

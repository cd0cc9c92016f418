"""The upgrade decision, whole: retrieval, Definition 1, the contrast and accept thresholds, each with its own verdict.

No claim implies another. Which of them make headline and exit status is an option; the others are shown beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from numpy import ndarray

from learning.progress import Progress
from verification.audit.accept import compare_identification, compare_listed_pairs
from verification.audit.definition1 import check_arguments, judge_definition1
from verification.audit.margin import Margin
from verification.audit.report import CLAIMS, UpgradeReport, provenance
from verification.audit.retrieval import SIMILARITIES, compare_retrieval
from verification.audit.threshold_report import UNITS
from verification.audit.thresholds import check_threshold, check_unit, compare_thresholds
from verification.search.pairs import PairList
from verification.search.similarity import SimilarityName
from verification.statistics.collect import Map
from verification.statistics.interval import Population, Verdict
from verification.statistics.stratified import check_sample
from verification.upgrade import Upgrade

_UNIT_ROWS = {
    name: (
        f"Retrieval and thresholds compare rows as they are, by their {UNITS[name]}. Mean distances, the contrast and "
        "the rotation of class means are of rows normalised to unit length.",
    )
    for name in ("dot", "l2")
}


@dataclass(frozen=True, kw_only=True)
class Options:
    """The questions about an upgrade, and their margins.

    Attributes
    ----------
    metric : str
        Distance in which Definition 1 is judged, one of :data:`theory.metrics.METRICS`.
    confidence : float
        Confidence of each claim, in (0, 1).
    margin : float or str
        Accepted loss of mean distance, ≥ 0, in its unit or as a share of the old model's contrast: "1%".
    weights : {"pairs", "classes"}
        What counts once in a mean distance.
    retrieval_margin : float or str
        Accepted loss of recall@1, in [0, 1): 0.01 or "1%".
    threshold, far : float, optional
        The old accept threshold in the unit of ``similarity``, or the false accept rate that it had for old queries.
    fpir : float, optional
        The false-positive identification rate of the old model, if some queries have no match in the gallery.
    far_margin, tar_margin : float or str
        The false accept rate may rise by this share of itself, and the true accept rate may fall by this much.
    k : int, optional
        The k of recall@k, ≥ 1; 5 if not given, or 10 if relevance was judged.
    similarity : {"cosine", "dot", "l2", "hamming"}
        How the index ranks, and the unit of thresholds: the cosine, the inner product or the Euclidean distance of rows
        as they are, or the Hamming distance of rows of ±1 (:meth:`~verification.features.FeatureSet.signs`). Mean
        distances always use unit rows.
    decide : tuple of str
        Claims that make the verdict: "retrieval", "definition-1", "contrast", "threshold", "identification", "pairs",
        or "all" of those that were judged. If empty: all but mean distances and contrast, hence retrieval, and the
        threshold if one is given.
    classes : {"fixed", "drawn"}
        Whether the verdict is about new samples of these classes or about new classes like these.
    repeated : bool
        Whether intervals have to stay valid however often one looks at growing data.
    sample : int, optional
        Number of rows, ≥ 4, of a sample that is judged instead, drawn by class and in whole groups if there are groups.
        Features of other rows are not read if the files allow it.
    explain : bool
        Whether to measure also the hypotheses of Theorem 1 and the angles of the caps, which explain the answer.

    Raises
    ------
    ValueError
        If an option is out of range; this is checked before any work.
    """

    metric: str = "sqeuclidean"
    confidence: float = 0.95
    margin: float | str = 0.0
    weights: str = "pairs"
    retrieval_margin: float | str = 0.0
    threshold: float | None = None
    far: float | None = None
    fpir: float | None = None
    far_margin: float | str = 0.0
    tar_margin: float | str = 0.0
    k: int | None = None
    similarity: SimilarityName = "cosine"
    decide: tuple[str, ...] = ()
    classes: str = "fixed"
    repeated: bool = False
    sample: int | None = None
    explain: bool = False

    def __post_init__(self) -> None:
        check_arguments(self.metric, self.confidence, self.weights, self.classes)
        margin = Margin.parse(self.margin)
        if margin.share and margin.amount >= 1.0:
            raise ValueError(f"margin must be below 100% of the old model's contrast, got {self.margin!r}.")
        Margin.parse_share(self.retrieval_margin, "the margin of retrieval")
        Margin.parse(self.far_margin, "the margin of FAR")
        Margin.parse_share(self.tar_margin, "the margin of TAR")
        if self.similarity not in SIMILARITIES:
            raise ValueError(f"similarity must be one of {', '.join(SIMILARITIES)}, got {self.similarity!r}.")
        check_sample(self.sample)
        if self.with_threshold:
            check_threshold(self.threshold, self.far, self.similarity)
        if self.fpir is not None and not 0.0 < self.fpir < 1.0:
            raise ValueError(f"fpir must be in (0, 1), got {self.fpir!r}.")
        margins = Margin.parse(self.far_margin).amount, Margin.parse(self.tar_margin).amount
        if any(margins) and not self.with_threshold and self.fpir is None:
            raise ValueError("a margin of FAR or TAR needs a threshold, or the false accept rate that it had.")
        if isinstance(self.decide, str):
            raise ValueError(
                f"decide must be a tuple of claims, got the text {self.decide!r}: write ({self.decide!r},)."
            )
        if unknown := [claim for claim in self.decide if claim not in (*CLAIMS, "all")]:
            raise ValueError(f"decide must be of {', '.join(CLAIMS)}, all, got {unknown[0]!r}.")
        if "threshold" in self.decide and not self.with_threshold:
            raise ValueError("to decide by a threshold, give one, or the false accept rate that it had.")
        if "identification" in self.decide and self.fpir is None:
            raise ValueError("to decide by identification, give the false-positive identification rate (fpir).")

    @property
    def with_threshold(self) -> bool:
        """Whether a threshold is judged."""
        return self.threshold is not None or self.far is not None

    def decides(self, claims: Sequence[str]) -> tuple[str, ...]:
        """Return which of the judged claims make the verdict.

        Raises
        ------
        ValueError
            If a requested claim was not judged.
        """
        if "all" in self.decide:
            return tuple(claims)
        asked = self.decide or tuple(claim for claim in claims if claim not in ("definition-1", "contrast"))
        if missing := [claim for claim in asked if claim not in claims]:
            raise ValueError(f"to decide by {missing[0]}, the data must allow it; here it allows {', '.join(claims)}.")
        return asked


def judge(
    upgrade: Upgrade,
    options: Options | None = None,
    *,
    slices: ndarray | None = None,
    pairs: PairList | None = None,
    run: Map = map,
    progress: Progress | None = None,
) -> UpgradeReport:
    """Judge every claim about an upgrade.

    Parameters
    ----------
    upgrade : Upgrade
    options : Options, optional
        The questions; if not given, every margin is 0.
    slices : ndarray, shape (N,), optional
        The part of each query, such as its language: retrieval is judged for each part too.
    pairs : PairList, optional
        Pairs that are same or different, to be judged at ``threshold`` or ``far``. Then labels are not needed.
    run : callable
        As ``map``, by which parts of the data are read.
    progress : callable, optional
        Called with the name of a stage, how much of it is done, and its total.

    Raises
    ------
    ValueError
        If the data has no pairs for a claim, or a margin would accept everything.
    """
    options = options or Options()
    tell = progress or (lambda stage, done, total: None)
    judged = upgrade.judged
    labelled = not judged and len(upgrade.labels) > 0
    copy = upgrade.compression is not None
    if copy and (pairs is not None or options.fpir is not None):
        raise ValueError(
            "listed pairs and identification (fpir) are not judged of a compressed copy; give a threshold."
        )
    if options.with_threshold:
        check_unit(upgrade, options.similarity)
    if pairs is None and not judged:
        upgrade.check_pairs()
    if pairs is not None and not options.with_threshold:
        raise ValueError("listed pairs need the old accept threshold, or the false accept rate that it had.")
    asked = [
        name for name, given in (("threshold", options.with_threshold), ("fpir", options.fpir is not None)) if given
    ]
    if judged and asked and (pairs is None or asked[-1] == "fpir"):
        why = "rows have several labels" if upgrade.shared else "relevance was judged"
        raise ValueError(
            f"{asked[-1]} needs one label per row, which says what is a false accept, and here {why}: leave it out "
            "(--threshold, --far, --fpir), or list pairs (--pairs)."
        )
    if options.sample is not None:
        if pairs is not None:
            raise ValueError("listed pairs are judged as they are listed: leave sample out (--sample).")
        upgrade, index = upgrade.drawn(options.sample)
        slices = None if slices is None else slices[index]
        if not judged:
            upgrade.check_pairs()
    upgrade.read(run, progress)
    definition1 = retrieval = thresholds = identification = listed = polar = hypotheses = None
    if labelled and not copy:  # no query of a copy meets the original
        upgrade.check_order()
        definition1 = judge_definition1(
            upgrade,
            options.metric,
            options.confidence,
            Margin.parse(options.margin),
            options.weights,
            Population(options.classes),
            repeated=options.repeated,
            progress=progress,
        )
    if labelled or judged:
        tell("searching", 0, len(upgrade.codes))
        retrieval = compare_retrieval(
            upgrade,
            k=options.k,
            margin=options.retrieval_margin,
            confidence=options.confidence,
            classes=options.classes,
            repeated=options.repeated,
            slices=slices,
            similarity=options.similarity,
        )
    if options.with_threshold and labelled:
        tell("comparing thresholds", 0, len(upgrade.codes))
        thresholds = compare_thresholds(
            upgrade,
            threshold=options.threshold,
            far=options.far,
            far_margin=options.far_margin,
            tar_margin=options.tar_margin,
            confidence=options.confidence,
            classes=options.classes,
            repeated=options.repeated,
            similarity=options.similarity,
        )
    if options.fpir is not None and labelled:
        identification = compare_identification(
            upgrade,
            fpir=options.fpir,
            far_margin=options.far_margin,
            tar_margin=options.tar_margin,
            confidence=options.confidence,
            similarity=options.similarity,
        )
    if pairs is not None:
        listed = compare_listed_pairs(
            upgrade,
            pairs,
            threshold=options.threshold,
            far=options.far,
            far_margin=options.far_margin,
            tar_margin=options.tar_margin,
            confidence=options.confidence,
            similarity=options.similarity,
        )
    if options.explain and labelled and not copy:
        from verification.audit.hypotheses import check_hypotheses
        from verification.audit.polar import polar_angles

        tell("measuring caps and drift", 0, len(upgrade.codes))
        if (upgrade.sizes > 1).any():
            polar = polar_angles(upgrade)
        if 1 < upgrade.num_classes <= upgrade.old.dim + 1 and (upgrade.sizes > 0).all():
            hypotheses = check_hypotheses(upgrade)
    about = definition1.notes if definition1 is not None else (*upgrade.notes, *upgrade.findings())
    report = UpgradeReport(
        verdict=Verdict.inconclusive,
        decided_by=(),
        population=Population(options.classes),
        definition1=definition1,
        retrieval=retrieval,
        thresholds=thresholds,
        identification=identification,
        pairs=listed,
        compression=upgrade.compression,
        hypotheses=hypotheses,
        polar=polar,
        sample=upgrade.sampled,
        notes=(
            *(_UNIT_ROWS.get(options.similarity, ()) if labelled else ()),
            *(note for note in about if options.similarity == "cosine" or note != upgrade.lengths_note),
            *(retrieval.notes if retrieval is not None else ()),
            *(thresholds.notes if thresholds is not None else ()),
        ),
        provenance=provenance(upgrade, asdict(options)),
    )
    by = options.decides(tuple(report.claims))
    return replace(report, decided_by=by, verdict=Verdict.combine(report.claims[claim] for claim in by))

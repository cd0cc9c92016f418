"""What reports say, in headings, sentences and tables: the terminal and Markdown show the same document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from theory.metrics import METRICS
from verification.audit.accept import AcceptClaim
from verification.audit.drift import ClassDrift, DriftMargin, PairDrift
from verification.audit.report import ASKED, Definition1Report, Sides, UpgradeReport
from verification.audit.retrieval_report import RetrievalReport
from verification.audit.threshold_report import ThresholdReport, ThresholdUnit, is_distance, is_raw
from verification.features.compression import Compression
from verification.statistics.interval import Interval, Judged, Population, Verdict
from verification.views.labels import label
from verification.views.numbers import (
    Bounds,
    confidence,
    count,
    degrees,
    digits,
    estimate,
    in_points,
    number,
    percent,
    plural,
    plus_minus,
    points,
    rate,
    round_up,
)

if TYPE_CHECKING:  # not needed to show an audit, which starts faster without
    from verification.bridge.relation import Relation
    from verification.bridge.report import BridgeReport, FittedReport
    from verification.experiments.upgrades import TrainedUpgrade


@dataclass(frozen=True)
class Table:
    """Columns and rows of text; a cell that is a verdict is shown as one, and rows can be picked out."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    chosen: tuple[int, ...] = ()


@dataclass(frozen=True)
class Section:
    """A heading, with the verdict of what it is about if there is one, paragraphs and tables."""

    heading: str
    blocks: tuple[str | Table, ...]
    verdict: str | None = None


@dataclass(frozen=True, kw_only=True)
class Document:
    """The answer first, the evidence, and what to do next.

    Attributes
    ----------
    verdict : str
        Empty where a document answers no question.
    in_part : bool
        Whether something that does not make the verdict speaks against it.
    word, answer : str
        The word that answers the question, if it is one of yes or no, and the sentence that says what it means.
    sections : tuple of Section
    next_step : str
        Empty where nothing is to be done.
    """

    verdict: str = ""
    in_part: bool = False
    word: str = ""
    answer: str = ""
    sections: tuple[Section, ...]
    next_step: str = ""

    @property
    def look(self) -> str:
        """The verdict whose look the answer has: no plain yes where something speaks against it."""
        return Verdict.inconclusive.value if self.in_part else self.verdict

    @property
    def lead(self) -> str:
        """The verdict as the first words."""
        return f"{self.verdict} in part" if self.in_part else self.verdict


def audit(report: UpgradeReport) -> Document:
    """Everything that was found about an upgrade."""
    one = report.definition1
    sections = [_claims(report)]
    if report.compression is not None:
        sections.append(Section("What is saved and what is lost", tuple(_saved(report))))
    if report.retrieval is not None:
        sections.append(_retrieval(report.retrieval, report.compression))
    for claim, found in report.accepted.items():
        sections.append(_accepted(ASKED[claim], found))
    if report.thresholds is not None:
        sections.append(_thresholds(report.thresholds, search_words(report.compression)))
    if one is not None:
        sections += [_distances(one), _classes(one)]
        if one.drift is not None:
            sections.append(Section("Rotation of the class means", tuple(_rotation(one))))
    if report.notes:
        sections.append(Section("Notes on the data", report.notes))
    sections.append(Section("Not checked", (_not_checked(report),)))
    word, answer = _answer(report)
    return Document(
        verdict=report.verdict,
        in_part=bool(report.verdict == Verdict.compatible and report.against),
        word=word,
        answer=answer,
        sections=tuple(sections),
        next_step=_next(report),
    )


def _answer(report: UpgradeReport) -> tuple[str, str]:
    by, against = (_joined(claims) for claims in (report.decided_by, report.against))
    who = f"The answer is about {report.whom}."
    if report.sample is not None:
        who = f"{who} {report.sample.sentence}"
    what, does, they = "new queries", "search the old gallery", "they"
    if report.compression is not None:
        what, does, they = "the compressed copy", "replace the original", "it"
    if report.verdict == Verdict.compatible and report.against:
        return "In part", f"Judged by {by}, {what} may {does}; judged by {against}, {they} may not. {who}"
    means = {
        Verdict.compatible: f"{what} may {does}",
        Verdict.incompatible: f"{what} should not {does}",
        Verdict.inconclusive: f"these samples do not decide whether {what} may {does}",
    }
    return report.verdict.word, f"Judged by {by}, {means[report.verdict]}. {who}"


def _joined(claims: Sequence[str]) -> str:
    """Claims in a sentence."""
    *names, last = (ASKED[claim] for claim in claims) if claims else ("",)
    return f"{', '.join(names)} and {last}" if names else last


def _claims(report: UpgradeReport) -> Section:
    """What was judged, for both populations."""
    names = list(report.claims)
    chosen = tuple(map(names.index, report.decided_by))
    follows = f"The answer follows from {_joined(report.decided_by)}."
    blocks: list[str | Table]
    if report.definition1 is None:
        rows: tuple[tuple[str, ...], ...] = tuple((ASKED[claim], verdict) for claim, verdict in report.claims.items())
        blocks = [Table(("claim", "verdict"), rows, chosen), f"{follows} Verdicts are for {report.whom}."]
    else:
        rows = tuple((ASKED[claim], *_for_both(report, claim)) for claim in names)
        blocks = [
            Table(("claim", "these classes", "new classes"), rows, chosen),
            f"{follows} Verdicts are for new samples of these classes, and for new classes like these.",
        ]
    if report.disagreement:
        blocks.append(report.disagreement)
    return Section("Claims", tuple(blocks))


def _for_both(report: UpgradeReport, claim: str) -> tuple[str, str]:
    """The verdicts of a claim for these classes and for new ones."""
    one, r, t = report.definition1, report.retrieval, report.thresholds
    if claim in report.accepted:
        return report.claims[claim], "–"
    parts: dict[str, tuple[Judged | None, ...]] = {
        "retrieval": () if r is None else (r.change,),
        "definition-1": () if one is None else (one.same_class, one.different_class),
        "contrast": () if one is None else (one.contrast_gap,),
        "threshold": () if t is None else (t.far_change, t.tar_change),
    }
    judged = [part for part in parts[claim] if part is not None]
    decides, other = report.claims[claim], Verdict.combine(part.other_verdict for part in judged)
    return (decides, other) if report.population == Population.fixed else (other, decides)


def _distances(one: Definition1Report) -> Section:
    sides: list[tuple[str, Judged]] = [("1a", one.same_class), ("1b", one.different_class)]
    if one.contrast_gap is not None:
        sides.append(("1a + 1b", one.contrast_gap))
    gallery = "each compared with the others" if one.num_gallery is None else plural(one.num_gallery, "gallery item")
    return Section(
        "Mean distances (Definition 1)",
        (
            Table(
                ("gap", "these classes", "new classes", "verdict"),
                tuple((name, plus_minus(gap.fixed), plus_minus(gap.drawn), gap.verdict) for name, gap in sides),
            ),
            "1a is how much nearer the old gallery is to new queries than to old ones within a class, and 1b how much "
            f"farther between classes, on average, as {METRICS[one.metric].description}. Positive gaps are compatible. "
            "Their sum, the contrast gap, is what a ranking can see.",
            f"{percent(one.same_class.pair_fraction)} of the single pairs of one class satisfy 1a, and "
            f"{percent(one.different_class.pair_fraction)} of those of different classes satisfy 1b.",
            f"{plural(one.num_samples, 'sample')}, {gallery}; {plural(one.num_classes, 'class', 'classes')}; dimension "
            f"{count(one.dim)}. {weighting(one)}. The intervals of 1a and 1b together have "
            f"{confidence(one.confidence)} confidence.",
            one.margin_sentence,
        ),
        one.verdict,
    )


def weighting(one: Definition1Report) -> str:
    """What counts once."""
    return {"pairs": "Every pair counts once", "classes": "Every class counts once"}[one.weights]


def _classes(one: Definition1Report) -> Section:
    """The other weighting, the worst class and the worst pair of classes: what an average hides."""
    other = next(name for name in one.by_weighting if name != one.weights)
    blocks = [f"If every {_COUNTED[other]} counts once instead: {both(one.by_weighting[other])}."]
    if (worst := one.worst.same_class) is not None:
        blocks.append(f"Lowest gap of 1a: class {label(worst.label)}, {estimate(worst.interval)}, {worst.verdict}.")
    if (pair := one.worst.different_class) is not None and one.class_pairs is not None:
        blocks.append(
            f"Lowest gap of 1b: queries of class {label(pair.query)} and gallery items of class {label(pair.gallery)}, "
            f"{estimate(pair.interval)}, {pair.verdict}. The gap is negative for {count(one.class_pairs.negative)} of "
            f"{plural(one.class_pairs.total, 'pair')} of classes."
        )
    return Section("Single classes", tuple(blocks))


_COUNTED = {"pairs": "pair", "classes": "class"}


def both(sides: Sides) -> str:
    """Both gaps with their intervals, and the verdict."""
    return f"1a {plus_minus(sides.same_class)}, 1b {plus_minus(sides.different_class)}, {sides.verdict}"


def _rotation(report: Definition1Report) -> Iterator[str]:
    drift = report.drift
    assert drift is not None
    caps = ""
    if drift.tolerates_as_caps is not None:
        caps = f" ({degrees(drift.tolerates_as_caps)} if classes were uniform caps)"
    yield (
        f"The median class mean rotated by {degrees(drift.rotated)}; up to {degrees(drift.tolerates)}{caps} is "
        f"tolerable. The class closest to its limit is {label(drift.worst.label)}: rotated "
        f"{degrees(drift.worst.rotated)}, tolerable {degrees(drift.worst.tolerates)}."
    )
    if drift.pair is not None:
        yield pair_rotation(drift.pair)
    if (sentence := common_mean(report)) is not None:
        yield sentence


def pair_rotation(pair: PairDrift) -> str:
    """How far the pair of classes with the lowest gap rotated, and how far it may."""
    rotated = (
        f"{degrees(abs(pair.rotated))} {'towards' if pair.rotated >= 0 else 'away from'} class {label(pair.gallery)}"
    )
    limit = (
        f"up to {degrees(pair.tolerates)} towards it is tolerable"
        if pair.tolerates >= 0
        else f"at least {degrees(-pair.tolerates)} away from it is needed"
    )
    return (
        "Single pairs of classes tolerate less than the average over pairs: class "
        f"{label(pair.query)} rotated {rotated}, and {limit}."
    )


def nearest_their_limit(drift: DriftMargin) -> list[ClassDrift]:
    """Classes by how far they may still rotate."""
    return sorted(drift.by_class, key=lambda found: found.tolerates - found.rotated)


def common_mean(report: Definition1Report) -> str | None:
    """How much of the gap of 1b is owed to a mean that all old embeddings share; None where that is not known."""
    if report.common_mean_defect is None:
        return None
    sides = report.by_weighting["classes"]
    gaps = sides.same_class.gap / (report.num_classes - 1), sides.different_class.gap
    expected, found = (digits(gap, 3, "+") for gap in gaps)
    return (
        "Check of the data: if the old class means summed to zero, the gap of 1b would be that of 1a divided by "
        f"{count(report.num_classes - 1)}, which is {expected}, whatever the new model. It is {found}. The difference, "
        f"{digits(report.common_mean_defect, 2, '+')}, comes "
        "from the mean that the old embeddings share. Every class counts once here."
    )


def _saved(report: UpgradeReport) -> Iterator[str | Table]:
    """Memory beside the scores of a compressed copy."""
    assert report.compression is not None
    copy, r = report.compression, report.retrieval
    change = f"{number(100.0 * (copy.share - 1.0), 1, '')} %"
    rows = [("bytes of a vector", count(copy.bytes_before), count(copy.bytes_after), change)]
    for s in () if r is None else r.scores:
        old, new = (number(100.0 * value, 1, "") for value in (s.old_old, s.new_old))
        rows.append((f"{s.name}, per cent", old, new, f"{points(s.upgrade.fixed)} points"))
    yield Table(("", "original", "copy", "change"), tuple(rows))
    yield memory(copy)


def memory(copy: Compression) -> str:
    """What a compressed copy is, and what it saves."""
    ranked = (
        f" It is ranked by the Hamming distance H of its signs, whose cosine is 1 − 2H/{copy.dim}."
        if copy.hamming
        else ""
    )
    return (
        f"The copy holds {copy.kind}. A vector takes {plural(copy.bytes_after, 'byte')} instead of "
        f"{count(copy.bytes_before)}.{ranked}"
    )


@dataclass(frozen=True, kw_only=True)
class SearchWords:
    """What the searches that are compared are called.

    Attributes
    ----------
    searches : tuple of str
        The first two searches, in short.
    old, new, have : str
        Who asks in them, and the verb that follows.
    short : tuple of str
        The same in a word.
    where : str
        Where the verdict's search is.
    """

    searches: tuple[str, str]
    old: str
    new: str
    have: str
    short: tuple[str, str]
    where: str


UPGRADE_WORDS = SearchWords(
    searches=("old → old", "new → old"),
    old="old queries",
    new="new queries",
    have="have",
    short=("old", "new"),
    where="in the old gallery",
)
COPY_WORDS = SearchWords(
    searches=("original", "copy"),
    old="the original",
    new="the copy",
    have="has",
    short=("original", "copy"),
    where="in the compressed copy",
)


def search_words(compression: Compression | None) -> SearchWords:
    """What to call the searches of an upgrade, or of a compressed copy."""
    return UPGRADE_WORDS if compression is None else COPY_WORDS


def _retrieval(r: RetrievalReport, compression: Compression | None) -> Section:
    """Scores of the searches, and what the new queries or the copy gain or lose."""
    first, say = r.scores[0], search_words(compression)
    searches = Table(
        ("per cent", *say.searches, *(["new → new"] if first.new_new is not None else [])),
        tuple(
            (s.name, *(number(100 * v, 1, "") for v in (s.old_old, s.new_old, s.new_new) if v is not None))
            for s in r.scores
        ),
    )
    if r.relevance == "labels":
        changes = Table(
            ("points", "these classes", "new classes"),
            tuple((s.name, points(s.upgrade.fixed), points(s.upgrade.drawn)) for s in r.scores),
        )
        whom = "samples of these classes and for new classes like these"
    else:
        changes = Table(("points", "change"), tuple((s.name, points(s.upgrade.fixed)) for s in r.scores))
        whom = "queries like these"
    counts = "does" if r.num_lone == 1 else "do"
    lone = (
        f" {plural(r.num_lone, 'query has', 'queries have')} no item to find and {counts} not count."
        if r.num_lone
        else ""
    )
    template = copies = again = ""
    if any(s.name == "template" for s in r.scores):
        template = " For template, the nearest class mean has to be that of the class of the query."
    if r.near_copies:
        copies = (
            f" For {percent(r.near_copies)} of the queries the nearest item is much nearer than items of one class "
            "usually are, so it may be a near copy."
        )
    if first.reindexing is not None:
        again = f" Embedding the gallery again would change {first.name} by {points(first.reindexing.fixed)} points."
    return Section(
        "Retrieval",
        (
            f"{plural(r.num_queries, 'query', 'queries')} searched {plural(r.num_gallery, 'gallery item')}. The "
            f"verdict is about {first.name} {say.where}, which may fall by {in_points(r.margin)}.{lone}",
            searches,
            f"{'Query model → gallery model.' if compression is None else 'Each was searched in itself.'}{template}",
            changes,
            f"What {say.new} {'change in the old gallery' if compression is None else 'changes'}, with intervals for "
            f"new {whom}. Each interval has {confidence(r.confidence)} confidence; the gallery is taken as it "
            f"is.{again}",
            *_agreement(r, compression, copies),
            *_slices(r),
        ),
        r.verdict,
    )


def _agreement(r: RetrievalReport, compression: Compression | None, copies: str) -> Iterator[str]:
    """Which queries only one side answers, and how many items both find."""
    kept = estimate(r.kept, "", 100.0)
    if compression is None:
        yield (
            f"Only the new model puts a right item first for {percent(r.gained)} of the queries, and only the old "
            f"model for {percent(r.lost)}. New queries find {kept} % of the first items that old queries find, which "
            f"is agreement and not quality.{copies}"
        )
    else:
        yield (
            f"Only the copy puts a right item first for {percent(r.gained)} of the queries, and only the original for "
            f"{percent(r.lost)}. The copy finds {kept} % of the first items that the original finds.{copies}"
        )


def _slices(r: RetrievalReport) -> Iterator[str | Table]:
    """The parts of the queries that were asked for."""
    if not r.slices:
        return
    name = r.scores[0].name
    yield f"{name} for parts of the queries, the greatest loss first. These intervals are for all parts together."
    rows = ((label(s.name), count(s.num_queries), points(s.change), s.change.verdict) for s in r.slices)
    yield Table(("queries", "number", "points", "verdict"), tuple(rows))


def rate_names(claim: AcceptClaim) -> tuple[str, str]:
    """What the false and the true accept rate are called."""
    return ("FAR", "TAR") if claim.rank1 is None else ("FPIR", "DIR")


def _accepted(name: str, claim: AcceptClaim) -> Section:
    """Accept rates of single comparisons at the old threshold, and at the one that keeps false accepts."""
    found, (false, true) = claim.rates, rate_names(claim)
    changes = [(false, found.false_accepts), (true, found.true_accepts), (f"{true}, kept", found.true_accepts_kept)]
    if claim.rank1 is not None:
        changes.append(("rank 1", claim.rank1))
    rows = [(rate_name, rate(of.old), rate(of.new)) for rate_name, of in changes]
    unknown = f" {plural(claim.unknown, 'pair')} with unknown ids were left out." if claim.unknown else ""
    return Section(
        f"{name[:1].upper()}{name[1:]}",
        (
            f"{plural(found.num_genuine, 'genuine comparison')} and {plural(found.num_impostors, 'impostor')} at the "
            f"old threshold, {threshold_at(found.threshold, claim.threshold_unit)}. {false} may rise by "
            f"{digits(100 * claim.false_margin)} % of itself and {true} may fall by "
            f"{in_points(claim.true_margin)}.{unknown}",
            Table(("rate", "old queries", "new queries"), tuple(rows)),
            f"Kept: at a {claim.threshold_unit} of {kept_at(found.kept_threshold, claim.threshold_unit)} new queries "
            f"have the old {false}.",
        ),
        claim.verdict,
    )


def _thresholds(t: ThresholdReport, say: SearchWords) -> Section:
    """FAR and TAR at the old threshold, and the threshold that keeps FAR."""
    chosen = "" if t.target_far is None else f", where {say.old} {say.have} FAR {digits(t.target_far)}"
    bound = "most" if is_distance(t.threshold_unit) else "least"
    raw = " Rows are compared as they are, without normalising them." if is_raw(t.threshold_unit) else ""
    rates = (
        ("FAR", say.short[0], t.old_far, ""),
        ("FAR", say.short[1], t.new_far, t.far_change.verdict),
        ("TAR", say.short[0], t.old_tar, ""),
        ("TAR", say.short[1], t.new_tar, t.tar_change.verdict),
    )
    return Section(
        "Accept threshold",
        (
            f"Pairs with a {t.threshold_unit} of at {bound} {_spelled(t.threshold, t.threshold_unit)} are "
            f"accepted{chosen}.{raw} FAR may rise by "
            f"{digits(100 * t.far_margin)} % of itself and TAR may fall by {in_points(t.tar_margin)}.",
            Table(
                ("rate", "queries", "share of pairs", "verdict"),
                tuple((name, model, rate(found), verdict) for name, model, found, verdict in rates),
            ),
            f"{say.new[:1].upper()}{say.new[1:]} {say.have} the old FAR at a {t.threshold_unit} of "
            f"{kept_threshold(t)}. TAR is {rate(t.kept.tar)} there, which is a change of "
            f"{estimate(t.kept.tar_change)}.",
        ),
        t.verdict,
    )


def threshold_at(threshold: float, unit: ThresholdUnit) -> str:
    """A threshold with its unit."""
    return f"{unit} {_spelled(threshold, unit)}{' of rows as they are' if is_raw(unit) else ''}"


def _spelled(threshold: float, unit: ThresholdUnit) -> str:
    return number(threshold, 4, "") if unit == "cosine" else digits(threshold, 4)


def kept_threshold(t: ThresholdReport) -> str:
    """The threshold at which new queries have the old FAR, with its interval."""
    return kept_at(Bounds(t.kept.threshold, t.kept.lower, t.kept.upper), t.threshold_unit)


def kept_at(found: Bounds | Interval, unit: ThresholdUnit) -> str:
    """A threshold with its interval; bits are whole."""
    if unit == "Hamming distance":
        return f"{found.value:.0f} ({found.lower:.0f} to {found.upper:.0f})"
    return estimate(found, "", least=4)


def _not_checked(report: UpgradeReport) -> str:
    missing = [
        *([] if report.thresholds or not report.labelled else ["an accept threshold (--threshold, --far)"]),
        "kinds of data that are not among these",
        "whether the labels are right"
        if report.retrieval is None or report.retrieval.relevance != "judgements"
        else "whether all relevant items were judged",
        "the errors of an approximate index",
    ]
    text = ", ".join(missing)
    return f"{text[:1].upper()}{text[1:]}."


def _next(report: UpgradeReport) -> str:
    if (copy := report.compression) is not None and report.verdict != Verdict.inconclusive:
        return (
            "Replace the vectors of queries and gallery by the copy."
            if report.verdict == Verdict.compatible
            else f"Keep the original, or compress it less than to {plural(copy.bytes_after, 'byte')} a vector."
        )
    if report.verdict == Verdict.compatible:
        return "Switch queries to the new model and keep the old gallery."
    if report.verdict == Verdict.incompatible:
        return (
            "Embed the gallery again with the new model, or look for a map between the models with stationary bridge."
        )
    return " ".join(_to_decide(report))


def _to_decide(report: UpgradeReport) -> Iterator[str]:
    """What would decide the claims that are open."""
    one, retrieval = report.definition1, report.retrieval
    more = "Add samples" if report.sample is None else "Draw a larger sample (--sample)"
    yield f"{more}, or accept a loss."
    is_open = {claim for claim in report.decided_by if report.claims[claim] == Verdict.inconclusive}
    if "retrieval" in is_open and retrieval is not None and -1.0 < retrieval.change.lower < 0.0:
        loss = round_up(-100.0 * retrieval.change.lower)
        yield f"With --retrieval-margin {loss}% or more, retrieval would be compatible."
    if "definition-1" in is_open and one is not None and one.samples_needed is not None:
        yield one.samples_needed.sentence
        if one.excluded_loss is not None:
            share = (
                f" ({round_up(100.0 * one.excluded_loss / one.contrast)} % of the contrast)" if one.contrast > 0 else ""
            )
            yield f"With --margin {round_up(one.excluded_loss)}{share} or more, mean distances would be compatible."


# ---- bridges

_SPACES = {
    "queries": "new queries are mapped into the old space, and the gallery stays as it is",
    "gallery": "the old gallery is mapped into the new space",
}
MAP_HEAD = ("map", "loss up to", "all classes", "held-out")
_BRIDGE_NEXT = {
    "queries": "Send new queries through the map, then search the old gallery.",
    "gallery": "Send the vectors of the old gallery through the map, then search them with new queries.",
    "identity": "Switch queries to the new model and keep the old gallery.",
    "slerp": "Embed every query with both models, send both rows through the map, then search the old gallery.",
    "incompatible": "Embed the gallery again with the new model, or train the new model to be compatible.",
    "inconclusive": "Add samples, because these do not decide whether a map helps.",
}


def bridge(report: BridgeReport) -> Document:
    """Both verdicts, every map on the part that chose, the chosen one on the part that judged, and what it costs."""
    sections = [
        Section("Without a map", (without_map(report),), None if report.as_is is None else report.as_is.verdict)
    ]
    if report.candidates:
        kinds = [candidate.kind for candidate in report.candidates]
        table = Table(
            MAP_HEAD,
            tuple(candidates(report)),
            (kinds.index(report.kind),) if report.kind in kinds else (),
        )
        sections.append(Section("Through a map", (table, *findings(report)), report.verdict))
    word, answer = _bridge_answer(report)
    return Document(
        verdict=report.verdict, word=word, answer=answer, sections=tuple(sections), next_step=_bridge_next(report)
    )


def _bridge_answer(report: BridgeReport) -> tuple[str, str]:
    without = (
        "the models have different dimensions" if report.as_is is None else f"the models are {report.as_is.verdict}"
    )
    if report.verdict == "compatible":
        if report.kind == "identity":
            return "Yes", "New queries may search the old gallery. No map is needed."
        return "Yes, through a map", f"The {report.kind} map makes the models compatible. Without a map {without}."
    best = "none is better than no map" if report.kind == "identity" else f"the best is the {report.kind} map"
    if report.verdict == "incompatible":
        return "No", f"No map makes the models compatible; {best}."
    return "Undecided", f"These samples do not decide whether a map makes the models compatible; {best}."


def _bridge_next(report: BridgeReport) -> str:
    """What to do after a bridge was judged."""
    if report.verdict != "compatible":
        return _BRIDGE_NEXT[report.verdict]
    return _BRIDGE_NEXT[report.kind if report.kind in ("identity", "slerp") else report.direction]


def without_map(report: BridgeReport) -> str:
    """The first verdict, in a sentence."""
    if report.as_is is None:
        return "Without a map there is nothing to audit, because the models have different dimensions."
    sides = report.as_is.by_weighting[report.as_is.weights]
    return f"On {plural(report.as_is.num_samples, 'sample')}: {both(sides)}."


def candidates(report: BridgeReport) -> Iterator[tuple[str, str, str, str]]:
    """Of every map: its kind, the loss that is not excluded, and both verdicts."""
    for candidate in report.candidates:
        lower = candidate.weakest.lower
        yield (
            candidate.kind,
            "nothing" if lower >= -1e-12 else round_up(-lower),
            candidate.all_classes.verdict,
            "–" if candidate.held_out is None else candidate.held_out.verdict,
        )


def findings(report: BridgeReport) -> Iterator[str]:
    """What the audit part says of the chosen map, in sentences."""
    cost = report.cost
    assert cost is not None  # there were candidates
    chosen = (
        f"The {report.kind} map was fitted to {plural(report.num_fit, 'sample')} and chosen on "
        f"{count(report.num_choice)} others"
    )
    if report.all_classes is None:
        yield f"{chosen}. Nothing was fitted, so the verdict is the one without a map."
    else:
        yield f"{chosen}: {_SPACES[report.direction]}. It was audited on {count(report.num_audit)} more samples."
        yield f"All classes: {both(report.all_classes)}."
        yield _held_out(report)
    if report.verdict != "compatible" and report.needed_margin is not None:
        loss = round_up(report.needed_margin)
        yield f"The loss is at most {loss}, so --margin {loss} would accept the map."
    seen_only = [
        c.kind for c in report.candidates if c.verdict != "compatible" and c.all_classes.verdict == "compatible"
    ]
    if report.verdict != "compatible" and seen_only:
        yield (
            f"Compatible only for the classes that were fitted: {', '.join(seen_only)}. If the gallery will never "
            "contain other classes, use --closed-set."
        )
    yield (
        f"The nearest neighbour has the right class for {percent(cost.old_old)} of the queries for old → old, "
        f"{percent(cost.mapped)} for new → old through the map and {percent(cost.new_new)} for new → new. Embedding "
        f"the gallery again would add {points(cost.lost)} points."
    )
    yield f"Compared with the distances of new → new: {both(cost.distances).rpartition(', ')[0]}."


def _held_out(report: BridgeReport) -> str:
    if report.held_out is None:
        return "No classes were held out, so it is not known how the map does for classes that were not fitted."
    names = ", ".join(label(name) for name in report.held_out_classes[:5])
    more = ", …" if len(report.held_out_classes) > 5 else ""
    return f"Fitted without the classes {names}{more} and audited on them: {both(report.held_out)}."


def fitted(report: FittedReport) -> Document:
    """The map that was fitted without labels, beside the others."""
    kinds = [found.kind for found in report.losses]
    rows = tuple((found.kind, digits(found.loss, 3)) for found in report.losses)
    return Document(
        verdict=report.verdict,
        word="Fitted, and not judged",
        answer=(
            f"The {report.kind} map brings new and old rows of the same samples within a mean squared distance of "
            f"{digits(report.loss, 3)}. There are no labels, so it is not known whether queries may search the old "
            "gallery through it."
        ),
        sections=(
            Section(
                "Maps",
                (
                    Table(("map", "mean squared distance"), rows, (kinds.index(report.kind),)),
                    f"Fitted to {plural(report.num_fit, 'row')} and compared on {count(report.num_choice)} others: "
                    f"{_SPACES[report.direction]}. The most rigid map is taken of those that are as near as the best, "
                    "to a standard error. Rows of unrelated samples are about 2 apart.",
                ),
            ),
        ),
        next_step="Label some samples and run stationary bridge fit on them, before you rely on the map.",
    )


# ---- what lies between two models


def relation(found: Relation) -> Document:
    """What happened between two models, what was measured, and whether neighbours stay."""
    sections = [Section("What was measured", tuple(_measured(found)))]
    if found.neighbours is not None:
        kept = estimate(found.neighbours, "", 100.0)
        sections.append(
            Section(
                "Neighbours",
                (
                    f"New rows have {kept} % of the nearest old rows that old rows of the same samples have. This is "
                    "agreement and not quality: a better model has other neighbours, too.",
                ),
            )
        )
    if found.notes:
        sections.append(Section("Notes on the data", found.notes))
    return Document(
        verdict=found.relation.value, answer=found.sentence, sections=tuple(sections), next_step=found.next_step
    )


def _measured(found: Relation) -> Iterator[str]:
    e = found.evidence
    yield (
        f"{plural(e.num_rows, 'row')} of each set were measured, of dimension {count(found.dims[0])} (new) and "
        f"{count(found.dims[1])} (old). Unit rows at most {digits(e.tolerance, 2)} apart count as equal."
    )
    if e.median_distance is not None and e.largest_distance is not None and e.equal is not None:
        yield (
            f"Rows as they are: {percent(e.equal)} are equal, the median distance is {digits(e.median_distance, 2)} "
            f"and the largest {digits(e.largest_distance, 2)}."
        )
    if e.coordinates is not None and (e.coordinates.moved or e.coordinates.flipped):
        yield (
            f"With coordinates matched: {percent(e.coordinates.equal)} are equal, with "
            f"{plural(e.coordinates.moved, 'coordinate')} in another place and {count(e.coordinates.flipped)} of the "
            "other sign."
        )
    if e.left_by_rotation is not None:
        yield f"By the cosines within each set, the best orthogonal map would leave {digits(e.left_by_rotation, 2)}."
    if e.before_rotation is not None and e.after_rotation is not None:
        yield (
            f"On rows that were not fitted, the best rotation changes the distance from {digits(e.before_rotation, 2)} "
            f"to {digits(e.after_rotation, 2)}."
        )
    if e.other_distance is not None:
        yield f"Rows of different samples are {digits(e.other_distance, 2)} apart."


# ---- checks of Theorem 1

THEOREM_LEGEND = (
    "Drift is the largest angle between a class mean and its vertex; concentration is the mean cosine of a sample to "
    "its vertex, old → new. Gaps are in squared distance with 95 % intervals for both together; a positive gap "
    "satisfies the inequality, and the share says for how many single pairs it is satisfied."
)


def theorem(upgrades: Iterable[TrainedUpgrade]) -> Document:
    """One table per seed: hypotheses, both gaps with intervals, and the answer for each model."""
    rows: dict[int, list[tuple[str, ...]]] = {}
    for upgrade in upgrades:
        rows.setdefault(upgrade.seed, []).extend(_checked(upgrade))
    head = ("new model", "hypotheses", "gap 1a", "gap 1b", "Theorem 1")
    sections = tuple(Section(f"Seed {seed}", (Table(head, tuple(found)),)) for seed, found in rows.items())
    return Document(sections=sections)


def _checked(upgrade: TrainedUpgrade) -> Iterator[tuple[str, ...]]:
    h, c = upgrade.check.hypotheses, upgrade.check.conclusions
    drift = f"drift {degrees(float(h.new_drift.max()))}"
    cosines = f"{h.old_cosine:.3f} → {h.new_cosine:.3f}"
    sides = c.same_class, c.different_class
    yield upgrade.name, h.status, *(plus_minus(side) for side in sides), upgrade.check.answer
    yield "", f"{drift}, {cosines}", *(percent(side.pair_fraction) for side in sides), ""

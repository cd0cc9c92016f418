"""What an audit says of retrieval: scores before and after, which queries only one model answers, and single parts."""

from __future__ import annotations

from collections.abc import Iterator

from verification.audit.report import UpgradeReport
from verification.audit.retrieval_report import RetrievalReport, Scores
from verification.features.compression import Compression
from verification.views.document import Section, Table
from verification.views.documents.words import memory, search_words
from verification.views.labels import label
from verification.views.numbers import confidence, count, decimals, in_points, number, percent, plural, points, share


def retrieval(r: RetrievalReport, compression: Compression | None) -> Section:
    """Scores of both searches, and what the new queries or the copy gain or lose."""
    first, say = r.scores[0], search_words(compression)
    rows = tuple(
        (s.name, _level(s.old_old, s), _level(s.new_old, s), points(s.upgrade.fixed if fixed(r) else s.upgrade.drawn))
        for s in r.scores
    )
    scores = Table(
        ("", *say.short, "change"),
        rows,
        (0,),
        f"Scores of {say.old} and {say.new}{'' if compression else ' in the old gallery'} in per cent, and the change "
        "in points",
    )
    counts = "does" if r.num_lone == 1 else "do"
    lone = (
        f" {plural(r.num_lone, 'query has', 'queries have')} no item to find and {counts} not count."
        if r.num_lone
        else ""
    )
    again = template = ""
    if first.reindexing is not None:
        again = (
            f" If the gallery were embedded again, too, {first.name} of new queries would change by another "
            f"{points(first.reindexing.fixed)} points."
        )
    if any(s.name == "template" for s in r.scores):
        template = " For template, the nearest class mean has to be that of the class of the query."
    return Section(
        "Retrieval",
        (
            f"{plural(r.num_queries, 'query', 'queries')} searched {plural(r.num_gallery, 'gallery item')}. The "
            f"verdict is about {first.name} {say.where}, which may fall by {in_points(r.margin)}.{lone}",
            scores,
            f"Intervals have {confidence(r.confidence)} confidence each and are for {whom(r)}; the gallery is taken as "
            f"it is.{template}{again}",
            _agreement(r, compression),
            *_slices(r),
        ),
        r.verdict,
    )


def fixed(r: RetrievalReport) -> bool:
    """Whether the intervals that decide are for new samples of these classes, or for queries like these."""
    return r.relevance != "labels" or r.change.population == "fixed"


def whom(r: RetrievalReport) -> str:
    """Whom the intervals that decide are for."""
    return r.change.population.words if r.relevance == "labels" else "new queries like these"


def _level(value: float, scores: Scores) -> str:
    """A score in per cent, with the decimals of its change."""
    return number(100.0 * value, decimals(100.0 * scores.upgrade.fixed.half), "")


def _agreement(r: RetrievalReport, compression: Compression | None) -> str:
    """Which queries only one side answers, and how many items both find."""
    kept = share(r.kept)
    copies = ""
    if r.near_copies:
        copies = (
            f" For {percent(r.near_copies)} of the queries the nearest item is much nearer than items of one class "
            "usually are, so it may be a near copy."
        )
    if compression is None:
        return (
            f"Only the new model puts a right item first for {percent(r.gained)} of the queries, and only the old "
            f"model for {percent(r.lost)}. New queries find {kept} of the first items that old queries find, which "
            f"is agreement and not quality.{copies}"
        )
    return (
        f"Only the copy puts a right item first for {percent(r.gained)} of the queries, and only the original for "
        f"{percent(r.lost)}. The copy finds {kept} of the first items that the original finds.{copies}"
    )


def _slices(r: RetrievalReport) -> Iterator[Table]:
    """The parts of the queries that were asked for."""
    if r.slices:
        yield Table(
            ("queries", "verdict", "points", "number"),  # a narrow screen shows the first ones
            tuple((label(s.name), s.change.verdict, points(s.change), count(s.num_queries)) for s in r.slices),
            caption=f"{r.scores[0].name} for parts of the queries, the greatest loss first; these intervals are for "
            "all parts together",
        )


def searches(r: RetrievalReport, compression: Compression | None) -> Section:
    """Scores of every search, and changes for both populations."""
    first, say = r.scores[0], search_words(compression)
    blocks = []
    if first.new_new is not None:
        blocks.append(
            Table(
                ("", *say.searches, "new → new"),
                tuple(
                    (s.name, *(_level(v, s) for v in (s.old_old, s.new_old, s.new_new) if v is not None))
                    for s in r.scores
                ),
                caption="Scores in per cent, query model → gallery model",
            )
        )
        changes = [
            (s.name, *(points(change.fixed) for change in (s.upgrade, s.reindexing, s.model) if change is not None))
            for s in r.scores
        ]
        blocks.append(
            Table(
                ("", "new queries", "then a new gallery", "both"),
                tuple(changes),
                caption="Change in points with its interval, for new samples of these classes"
                if r.relevance == "labels"
                else "Change in points with its interval, for new queries like these",
            )
        )
    if r.relevance == "labels":
        blocks.append(
            Table(
                ("", "these classes", "new classes"),
                tuple((s.name, points(s.upgrade.fixed), points(s.upgrade.drawn)) for s in r.scores),
                caption=f"Change of {say.new} in points, for new samples of these classes and for new classes like "
                "these",
            )
        )
    return Section("Scores of every search", tuple(blocks))


def saved(report: UpgradeReport) -> Section | None:
    """Memory beside the score of a compressed copy."""
    if (copy := report.compression) is None:
        return None
    change = f"{number(100.0 * (copy.share - 1.0), 1, '')} %"
    rows: list[tuple[str, ...]] = [("vector, bytes", count(copy.bytes_before), count(copy.bytes_after), change)]
    if report.retrieval is not None:
        first = report.retrieval.scores[0]
        levels = (_level(value, first) for value in (first.old_old, first.new_old))
        rows.append((f"{first.name}, %", *levels, points(first.upgrade.fixed)))
    return Section(
        "What is saved and what is lost", (Table(("", "original", "copy", "change"), tuple(rows)), memory(copy))
    )

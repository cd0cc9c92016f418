"""Retrieval: do new queries find at least as well in the old gallery as old queries do?

Recall@1, recall@k, mAP and the search by class templates of old queries in the old gallery, new queries in it, and new
queries in a new one, with paired intervals for each difference: for new queries of these classes (the gallery is what
it is and is never resampled), and for new classes like these. The verdict is about recall@1, whose target does not move
with k; it is another claim than Definition 1, which is about mean distances, and neither implies the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from verification.audit.margin import Margin
from verification.audit.retrieval_report import RetrievalReport, Scores, Slice
from verification.features import FeatureSet
from verification.search.judgements import Judgements
from verification.search.nearest import search, share_kept
from verification.search.ranks import precision_of_ranks
from verification.search.similarity import SimilarityName
from verification.statistics.interval import Change, Criterion, Interval, Population, Unit, check_confidence, widened
from verification.statistics.paired import both_intervals, inflation
from verification.statistics.rows import Rows, choose_in_proportion, stream
from verification.statistics.sums import ClassSums, class_sums
from verification.upgrade import Upgrade

# queries·gallery·(d + RANKING): some seconds on two cores; queries beyond it are left out by a seeded choice, but not
# below what settles a point of recall where one query in ten changes its answer
SEARCH_WORK, RANKING, LEAST_QUERIES = 2e11, 256, 2**12
# relevant pairs (query, item) that are ranked, for mAP
RANKED_PAIRS = 2**20
# queries that are compared with all templates at once
TEMPLATE_QUERIES = 2**8
SIMILARITIES = get_args(SimilarityName)
# cosine distance to the nearest item, over the usual one in its class, below which it is nearly a copy
NEAR_COPY = 0.02


@dataclass(frozen=True, kw_only=True)
class _Answers:
    """What the queries of one model scored in one gallery.

    Attributes
    ----------
    rows : ndarray, shape (q, k)
        Gallery rows near to far, −1 where there is none.
    similarity : ndarray, shape (q, k)
        Cosine of each.
    values : dict
        Each score by name, a value for each query; the first decides. Of a score that only some queries have, NaN.
    """

    rows: Int[ndarray, "q k"]
    similarity: Float[ndarray, "q k"]
    values: dict[str, Float[ndarray, " q"]]


@dataclass(frozen=True, kw_only=True)
class _Queries:
    """The queries that are asked, in the order of the data, and what each may find.

    Attributes
    ----------
    index : ndarray of int, shape (q,)
        Rows of the data.
    codes, units : ndarray of int, shape (q,)
        ``units`` are None where nothing is kept from a query.
    models : ndarray, shape (2, q, d)
        Unit rows, new and old.
    answerable, lone : int
        Queries of the data that some item answers, and that none does.
    judgements : Judgements or None
        Of these queries, where relevance was judged.
    """

    index: Int[ndarray, " q"]
    codes: Int[ndarray, " q"]
    units: Int[ndarray, " q"] | None
    models: Float[ndarray, "models q dim"]
    answerable: int
    lone: int
    judgements: Judgements | None


def compare_retrieval(
    upgrade: Upgrade,
    *,
    k: int | None = None,
    margin: float | str = 0.0,
    confidence: float = 0.95,
    classes: str = "fixed",
    repeated: bool = False,
    slices: ndarray | None = None,
    similarity: SimilarityName = "cosine",
) -> RetrievalReport:
    """Compare retrieval by old and by new queries, query by query.

    Queries that no item can answer are left out of every score and are counted.

    Parameters
    ----------
    upgrade : Upgrade
        Without a gallery the samples search each other. Queries then depend on each other through the items that they
        find, and the variance is inflated for it.
    k : int
        The k of recall@k, ≥ 1, and of nDCG@k if relevance was judged. If not given it is 5, or 10 if relevance was
        judged, and at most the size of the gallery.
    margin : float or str
        Accepted loss of recall@1 in [0, 1), as a fraction or with a per cent sign.
    confidence : float
        Confidence of each interval, in (0, 1).
    classes : {"fixed", "drawn"}
        Whether the verdict is about new queries of these classes or about new classes like these.
    repeated : bool
        Whether the intervals have to stay valid however often one looks at growing data.
    slices : ndarray, shape (N,), optional
        The part of each query, such as its language or tenant: retrieval is judged for each part too, all at once.
    similarity : {"cosine", "dot", "l2", "hamming"}
        How the index ranks: by the cosine, by the inner product or the Euclidean distance of rows as they are, or by
        the Hamming distance of rows of ±1.

    Raises
    ------
    ValueError
        If an argument is out of range, or no query can be answered.
    """
    amount = Margin.parse_share(margin, "the margin of retrieval")
    check_confidence(confidence)
    population = Population(classes)
    k = (10 if upgrade.judged else 5) if k is None else k
    if k < 1:
        raise ValueError(f"k must be an integer >= 1, got {k!r}.")
    if not upgrade.judged:
        upgrade.check_pairs()
    if similarity not in SIMILARITIES:
        raise ValueError(f"similarity must be one of {', '.join(SIMILARITIES)}, got {similarity!r}.")
    queries = _ask(upgrade)
    ask = _ask_all if upgrade.compression is None else _ask_copy
    answers = ask(upgrade, queries, similarity, min(k, len(upgrade.items) - upgrade.same_samples))
    unit: Unit = "group" if upgrade.grouped else "sample"
    judge = _Compare(
        upgrade=upgrade, queries=queries, answers=answers, confidence=confidence, unit=unit, repeated=repeated
    )
    scores = [judge.scores(name) for name in answers[0].values]
    change = scores[0].upgrade
    criterion = Criterion(confidence=confidence, margin=amount)
    judged = criterion.judge(change.fixed, change.drawn, population)
    decides = scores[0].name
    first, second = (answer.values[decides] for answer in answers[:2])
    return RetrievalReport(
        verdict=judged.verdict,
        change=judged,
        margin=amount,
        confidence=confidence,
        relevance="shared labels" if upgrade.shared else "judgements" if upgrade.judged else "labels",
        unit=unit,
        gained=float(np.mean(second > first)),
        lost=float(np.mean(first > second)),
        kept=judge.kept(),
        scores=tuple(scores),
        slices=() if slices is None else tuple(judge.slices(slices, criterion, population)),
        near_copies=_near_copies(upgrade, queries, answers[0])
        if queries.judgements is None and similarity == "cosine"
        else 0.0,
        num_queries=queries.answerable,
        num_lone=queries.lone,
        num_gallery=len(upgrade.items) if upgrade.in_search is None else int(np.count_nonzero(upgrade.in_search)),
        notes=tuple(_notes(queries, scores)),
    )


def _ask(upgrade: Upgrade) -> _Queries:
    """Choose the queries, of those that can be answered, each class in proportion."""
    reading = upgrade.read()
    units, item_units = reading.units, reading.gallery_units
    if upgrade.same_samples:
        units = np.arange(len(upgrade.codes)) if units is None else units
        item_units = units
    here = upgrade.codes >= 0
    judged = upgrade.judgements
    if judged is not None:
        if units is not None and item_units is not None:
            judged = judged.reachable(units, item_units, upgrade.in_search)
        can = judged.answerable
    else:
        can = upgrade.answers > 0
    if not np.any(can):
        if judged is not None and upgrade.judgements is not None and np.any(upgrade.judgements.answerable):
            raise ValueError(
                "no query may find an item that was judged relevant to it: each is of the query's own id or group. If "
                "these are the items that it should find, leave ids or groups out of the queries."
            )
        raise ValueError("no query has an item that answers it and that it may find: in the gallery, none is relevant.")
    rows = reading.rows
    assert rows.index is not None
    order = upgrade.in_order(rows.index)
    order = order[can[rows.index[order]]]
    most = max(int(SEARCH_WORK / (len(upgrade.items) * (upgrade.old.dim + RANKING))), LEAST_QUERIES)
    sizes = np.bincount(upgrade.codes[can], minlength=upgrade.num_classes)
    chosen = order[choose_in_proportion(rows.codes[order], sizes, most, _rng(upgrade))]
    chosen = chosen[np.argsort(rows.index[chosen], kind="stable")]
    index = rows.index[chosen]
    return _Queries(
        index=index,
        codes=rows.codes[chosen],
        units=None if units is None else units[index],
        models=rows.models[:, chosen],
        answerable=int(np.count_nonzero(can)),
        lone=int(np.count_nonzero(here & ~can)),
        judgements=None if judged is None else judged.of_queries(index),
    )


def _rng(upgrade: Upgrade) -> np.random.Generator:
    return stream(upgrade.seed, "queries")


def _ask_all(upgrade: Upgrade, queries: _Queries, similarity: SimilarityName, k: int) -> list[_Answers]:
    """Old and new queries in the old gallery, and new queries in a new one, if there is one."""
    queries, ranked = _for(similarity, upgrade, queries), _ranked(upgrade, queries)
    cosine = similarity == "cosine"

    def ask(models: Sequence[int], gallery: FeatureSet, templates: _Templates | None) -> list[_Answers]:
        return _search(upgrade, queries, models, gallery, k, ranked, templates if cosine else None, similarity)

    # what is kept in memory are unit rows
    stored = upgrade.searched("old" if upgrade.gallery is None else "gallery") if cosine else upgrade.items
    answers = ask([1, 0], stored, _templates(upgrade, queries, new=False))
    if upgrade.gallery is None:
        again = upgrade.searched("new") if cosine else upgrade.new
        answers += ask([0], again, _templates(upgrade, queries, new=True))
    elif upgrade.new_gallery is not None:
        answers += ask([0], upgrade.new_gallery, None)
    return answers


def _ask_copy(upgrade: Upgrade, queries: _Queries, similarity: SimilarityName, k: int) -> list[_Answers]:
    """The original in itself and its compressed copy in itself, each ranked by its own distance."""
    assert upgrade.compression is not None
    ranked = _ranked(upgrade, queries)
    of_copy: SimilarityName = "hamming" if upgrade.compression.hamming else similarity
    old, new = (upgrade.old, upgrade.new) if upgrade.gallery is None else (upgrade.gallery, upgrade.new_gallery)
    assert new is not None  # the upgrade was checked
    # both or neither: a template is a mean, which has no Hamming distance
    cosine = of_copy == similarity == "cosine"
    answers = []
    for model, items, rank in ((1, old, similarity), (0, new, of_copy)):
        templates = _templates(upgrade, queries, new=model == 0) if cosine else None
        answers += _search(upgrade, _for(rank, upgrade, queries), [model], items, k, ranked, templates, rank)
    return answers


def _for(similarity: SimilarityName, upgrade: Upgrade, queries: _Queries) -> _Queries:
    """The queries as a similarity takes them: unit rows, or rows as they are."""
    if similarity == "cosine":
        return queries
    raw = [features.select(queries.index).features for features in (upgrade.new, upgrade.old)]
    return replace(queries, models=np.stack(raw).astype(np.float64))


def _ranked(upgrade: Upgrade, queries: _Queries) -> tuple[Int[ndarray, " p"], Int[ndarray, " p"]] | None:
    """Pairs of queries with the items that answer them, whose places tell mAP, of as many queries as the work allows.

    Of a large gallery nothing is ranked, which would read it once more.
    """
    if not upgrade.small:
        return None
    if queries.judgements is not None:
        query, item = queries.judgements.relevant()
        each = np.bincount(query, minlength=len(queries.index))
        some = np.isin(query, _ranked_queries(upgrade, queries, each))
        return query[some], item[some]
    codes = upgrade.item_codes
    each = upgrade.item_sizes[queries.codes]
    some = _ranked_queries(upgrade, queries, each)
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], queries.codes[some])
    count = each[some]
    item = order[np.repeat(starts - np.cumsum(count) + count, count) + np.arange(count.sum())]
    return np.repeat(some, count), item


def _ranked_queries(upgrade: Upgrade, queries: _Queries, each: Int[ndarray, " q"]) -> Int[ndarray, " r"]:
    """Queries whose relevant items are ranked, from how many items each has."""
    most = int(RANKED_PAIRS / max(float(np.mean(each)), 1.0))
    if len(each) <= most:
        return np.arange(len(each))
    drawn = stream(upgrade.seed, "ranked queries").choice(len(each), size=max(most, 2), replace=False)
    return np.sort(upgrade.in_order(queries.index)[drawn])


def _search(
    upgrade: Upgrade,
    queries: _Queries,
    models: Sequence[int],
    gallery: FeatureSet,
    k: int,
    ranked: tuple[ndarray, ndarray] | None,
    templates: _Templates | None,
    similarity: SimilarityName,
) -> list[_Answers]:
    """Ask one gallery with the queries of some models."""
    reading = upgrade.read()
    item_units = reading.gallery_units
    if upgrade.same_samples:
        item_units = np.arange(len(upgrade.codes)) if reading.units is None else reading.units
    apart = queries.units is not None and item_units is not None
    found = search(
        [queries.models[model] for model in models],
        gallery,
        k,
        query_units=queries.units if apart else None,
        item_units=item_units if apart else None,
        present=upgrade.in_search,
        similarity=similarity,
        ranked=ranked,
    )
    answers = []
    for at, model in enumerate(models):
        rows = found.rows[at]
        values = (
            _judged(queries.judgements, rows, k)
            if queries.judgements is not None
            else _labelled(upgrade, queries, rows, k)
        )
        if ranked is not None and found.ranks is not None:
            values["mAP"] = _precision(ranked[0], found.ranks[at], len(rows))
        if templates is not None and queries.judgements is None:
            values["template"] = templates.right(queries, queries.models[model]).astype(np.float64)
        answers.append(_Answers(rows=rows, similarity=found.similarity[at], values=values))
    return answers


def _labelled(upgrade: Upgrade, queries: _Queries, rows: Int[ndarray, "q k"], k: int) -> dict[str, ndarray]:
    right = (rows >= 0) & (upgrade.item_codes[rows] == queries.codes[:, None])
    values = {"recall@1": right[:, 0].astype(np.float64)}
    if k > 1:
        values[f"recall@{k}"] = np.any(right, axis=1).astype(np.float64)
    return values


def _judged(judgements: Judgements, rows: Int[ndarray, "q k"], k: int) -> dict[str, ndarray]:
    first, top = (judgements.top_scores(some[None]) for some in (rows[:, :1], rows))
    return {
        "hit@1": first.hit[0],
        f"recall@{k}": top.recall[0],
        f"MRR@{k}": top.reciprocal_rank[0],
        f"nDCG@{k}": top.ndcg[0],
    }


def _precision(query: Int[ndarray, " p"], ranks: Int[ndarray, " p"], count: int) -> Float[ndarray, " q"]:
    """Average precision of each query, from the places of the items that answer it; NaN where it was not ranked."""
    values = precision_of_ranks(query, ranks, count)
    asked = np.zeros(count, dtype=bool)
    asked[query] = True
    return np.where(asked, values, np.nan)


@dataclass(frozen=True, kw_only=True)
class _Templates:
    """Mean unit feature of each class of a gallery, without a query's own unit where it is in there.

    Attributes
    ----------
    sums : ndarray, shape (K, d)
    own : ndarray, shape (q, d), or None
        Sum of the items of each query's own unit.
    """

    sums: Float[ndarray, "k dim"]
    own: Float[ndarray, "q dim"] | None

    def right(self, queries: _Queries, rows: Float[ndarray, "q dim"]) -> Bool[ndarray, " q"]:
        """Whether each query's nearest template is that of its class; ties go to the first class."""
        lengths = np.linalg.norm(self.sums, axis=1)
        there = lengths > 1e-9
        axes = (self.sums / np.where(there, lengths, 1.0)[:, None]).T
        right = np.empty(len(rows), dtype=bool)
        for start in range(0, len(rows), TEMPLATE_QUERIES):
            some = slice(start, start + TEMPLATE_QUERIES)
            codes = queries.codes[some]
            cosines = rows[some] @ axes
            cosines[:, ~there] = -np.inf
            if self.own is not None:
                rest = self.sums[codes] - self.own[some]
                length = np.linalg.norm(rest, axis=1)
                own = np.vecdot(rows[some], rest) / np.where(length > 1e-9, length, 1.0)
                cosines[np.arange(len(codes)), codes] = np.where(length > 1e-9, own, -np.inf)
            right[some] = np.argmax(cosines, axis=1) == codes
        return right


def _templates(upgrade: Upgrade, queries: _Queries, *, new: bool) -> _Templates | None:
    """Templates from the sums that were read; the queries' own rows are taken out where they search each other."""
    reading = upgrade.read()
    sums: ClassSums = reading.sums if reading.gallery_sums is None else reading.gallery_sums
    total = sums.sums[-1] + (sums.sums[0] if new else 0.0)  # of old, and new − old
    if upgrade.gallery is not None:
        return _Templates(sums=total, own=None) if not new or upgrade.compression is not None else None
    if reading.units is None:
        return _Templates(sums=total, own=queries.models[0 if new else 1].astype(np.float64))
    return _Templates(sums=total, own=_unit_sums(reading.rows, queries, 0 if new else 1))


def _unit_sums(rows: Rows, queries: _Queries, model: int) -> Float[ndarray, "q dim"]:
    """Sum over the rows of each query's own unit, as far as they are kept."""
    assert rows.units is not None
    assert queries.units is not None
    names, codes = np.unique(rows.units, return_inverse=True)
    sums = class_sums(rows.models[model], codes.ravel(), len(names))
    return sums[np.searchsorted(names, queries.units)]


@dataclass(frozen=True, kw_only=True)
class _Compare:
    """Differences of scores between searches, with their intervals."""

    upgrade: Upgrade
    queries: _Queries
    answers: Sequence[_Answers]
    confidence: float
    unit: Unit
    repeated: bool

    def slices(self, names: ndarray, criterion: Criterion, population: Population) -> list[Slice]:
        """Judge the first score for each part of the queries, all at once, the greatest loss first."""
        own = names[self.queries.index]
        name = next(iter(self.answers[0].values))
        hits = [answer.values[name] for answer in self.answers[:2]]
        present = np.unique(own)
        # Bonferroni: every part at a level of its own
        rule = replace(criterion, confidence=1.0 - (1.0 - criterion.confidence) / len(present))
        found = []
        for part in present.tolist():
            some = np.flatnonzero(own == part)
            change = self._differ([hit[some] for hit in hits], 1, 0, some, rule.confidence)
            found.append(
                Slice(
                    name=part,
                    num_queries=len(some),
                    old_old=float(np.mean(hits[0][some])),
                    new_old=float(np.mean(hits[1][some])),
                    change=rule.judge(change.fixed, change.drawn, population),
                )
            )
        return sorted(found, key=lambda one: one.change.lower)

    def kept(self) -> Interval:
        """Share of the k items that old queries find that new queries find too."""
        old, new = (answer.rows for answer in self.answers[:2])
        return share_kept(old, new, self.confidence)

    def scores(self, name: str) -> Scores:
        """One score in all searches, over the queries that have it."""
        values = [answer.values[name] for answer in self.answers if name in answer.values]
        some = np.flatnonzero(~np.any(np.isnan(values), axis=0))
        values = [value[some] for value in values]
        means = [float(np.mean(value)) for value in values]
        again = len(values) > 2
        return Scores(
            name=name,
            num_queries=len(some),
            old_old=means[0],
            new_old=means[1],
            new_new=means[2] if again else None,
            upgrade=self._differ(values, 1, 0, some),
            reindexing=self._differ(values, 2, 1, some) if again else None,
            model=self._differ(values, 2, 0, some) if again else None,
        )

    def _differ(
        self,
        values: Sequence[ndarray],
        one: int,
        other: int,
        rows: Int[ndarray, " r"],
        confidence: float | None = None,
    ) -> Change:
        """Interval of the mean difference of two searches, of some of the queries."""
        queries = self.queries
        confidence = self.confidence if confidence is None else confidence
        difference = values[one] - values[other]
        value, level = float(np.mean(difference)), 1.0 - confidence
        fixed = drawn = (value, value)
        if np.any(difference) or not self.upgrade.identical:
            spread = 1.0
            if self.upgrade.same_samples:
                found = np.column_stack([self.answers[at].rows[rows, 0] for at in (one, other)])
                spread = inflation(difference, found, queries.index[rows])
            groups = queries.units[rows] if self.upgrade.grouped and queries.units is not None else None
            codes = queries.codes[rows]
            num = len(difference) if groups is None else len(np.unique(groups))
            widen = [widened(count, confidence) if self.repeated else 1.0 for count in (num, len(np.unique(codes)))]
            # judged queries are of no class: they are what is drawn
            classes = codes if queries.judgements is None else None
            fixed, drawn = both_intervals(
                difference, level, groups, classes, inflation=spread, widen=(widen[0], widen[1])
            )
        return Change(
            fixed=Interval(value=value, lower=fixed[0], upper=fixed[1], confidence=confidence, unit=self.unit),
            drawn=Interval(
                value=value,
                lower=drawn[0],
                upper=drawn[1],
                confidence=confidence,
                unit="class" if queries.judgements is None else self.unit,
                population=Population.drawn,
            ),
        )


def _near_copies(upgrade: Upgrade, queries: _Queries, old: _Answers) -> float:
    """Share of the queries whose nearest item is of their class and much nearer than items of the class usually are."""
    reading = upgrade.read()
    rows = reading.gallery or reading.rows
    sizes = rows.counts.astype(np.float64)
    sums = class_sums(rows.old, rows.codes, len(sizes))
    pairs = np.maximum(sizes * (sizes - 1.0), 1.0)
    usual = 1.0 - (np.vecdot(sums, sums) - sizes) / pairs
    near = (1.0 - old.similarity[:, 0]) < NEAR_COPY * usual[queries.codes]
    return float(np.mean(near & (next(iter(old.values.values())) > 0.0) & (sizes[queries.codes] > 1)))


def _notes(queries: _Queries, scores: Sequence[Scores]) -> Iterator[str]:
    if queries.lone:
        yield (
            f"{queries.lone:,} queries have no item that answers them and that they may find: no search can be right, "
            "and they are left out of every score of retrieval."
        )
    if len(queries.index) < queries.answerable:
        yield (
            f"{len(queries.index):,} of the {queries.answerable:,} queries were searched with, a seeded choice with "
            "every class in proportion; the gallery was searched whole."
        )
    ranked = next((score.num_queries for score in scores if score.name == "mAP"), None)
    if ranked is None:
        yield "mAP was left out: it would read a gallery of this size once more."
    elif ranked < len(queries.index):
        yield f"mAP ranks the whole gallery for {ranked:,} of the queries."

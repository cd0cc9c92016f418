"""Retrieval across models: 1:N search, its scores, and the compatibility matrix with AC and AA (paper, Eq. 6).

A different notion of compatibility than Definition 1: neither implies the other. Every score is one value a query, so
that two models can be compared query by query (:mod:`verification.search.matrices`). A query whose class is not in
the gallery is a miss.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from numpy.typing import ArrayLike

from verification.features import FeatureSet, common_codes
from verification.search.nearest import check_search, nearest_rows, search
from verification.search.one_to_one import verification_hits
from verification.search.ranks import precision_of_ranks

_PAIRS = 2**22  # of queries and items of their class, ranked at a time
Score = Callable[..., ndarray]  # (queries, gallery, *, same_samples) → one value per query
Ties = Literal["incompatible", "compatible"]


def nearest_neighbor_hits(
    queries: FeatureSet, gallery: FeatureSet, *, k: int = 1, same_samples: bool = False
) -> Bool[ndarray, " n"]:
    """Whether one of the k nearest gallery items, by cosine, has the query's label: 1:N search for k = 1, recall@k.

    Ties go to the first row of the gallery. With ``same_samples`` query i and gallery item i are one sample, which may
    not find itself.

    Raises
    ------
    ValueError
        If the dimensions or the kinds of labels differ, ``same_samples`` and the lengths differ, or k is out of range.
    """
    _check(queries, gallery, same_samples)
    found = gallery.codes[nearest_rows(queries, gallery, k, same_samples=same_samples)]
    return np.any(found == _wanted(queries, gallery)[:, None], axis=1)


def template_hits(queries: FeatureSet, gallery: FeatureSet, *, same_samples: bool = False) -> Bool[ndarray, " n"]:
    """Whether the nearest class template has the query's label: the 1:N search of the paper's released code.

    A template is the mean of the unit features of one class of the gallery; it is compared by cosine, ties go to the
    first class in sorted order. With ``same_samples`` a query's own item is taken out of its template (the released
    code leaves it in).

    Raises
    ------
    ValueError
        As :func:`nearest_neighbor_hits`, or if a class has no template because its features cancel.
    """
    _check(queries, gallery, same_samples)
    sums, sizes = _class_sums(gallery)
    # what rounded rows leave where they cancel, and what is left of one sample without itself
    rounding = 8.0 * float(np.finfo(np.result_type(gallery.dtype, np.float32)).eps)
    lost = np.flatnonzero(np.linalg.norm(sums, axis=1) <= sizes * rounding)
    if len(lost):
        label = gallery.classes[lost[0]].item()
        raise ValueError(f"gallery must give every class a template, but the features of class {label!r} cancel.")
    wanted = _wanted(queries, gallery)
    templates = FeatureSet(sums, np.arange(len(sums)))
    if not same_samples:
        return search([queries.unit], templates, 1).rows[0, :, 0] == wanted
    # the best template that the query's item is not in, beside the one that it is in, without it
    others = search([queries.unit], templates, 1, query_units=gallery.codes, item_units=np.arange(len(sums)))
    own = np.full(len(queries), -np.inf)
    start = 0
    for block in gallery.normalized_blocks():
        rows = np.arange(start, start + len(block))[gallery.codes[start : start + len(block)] >= 0]
        rest = sums[gallery.codes[rows]] - block[rows - start]
        length = np.linalg.norm(rest, axis=1)
        there = length > sizes[gallery.codes[rows]] * rounding
        cosine = np.add.reduce(queries.unit[rows] * rest, axis=1) / np.where(there, length, 1.0)
        own[rows] = np.where(there, cosine, -np.inf)
        start += len(block)
    other, best = others.similarity[0, :, 0], others.rows[0, :, 0]
    without = (own > other) | ((own == other) & (gallery.codes < best))
    return np.where(without, gallery.codes, best) == wanted


def _class_sums(gallery: FeatureSet) -> tuple[Float[ndarray, "k dim"], Int[ndarray, " k"]]:
    """Sums of the unit rows of each class, and how many there are, in one pass."""
    sums, start = np.zeros((len(gallery.classes), gallery.dim)), 0
    for block in gallery.normalized_blocks():
        codes = gallery.codes[start : start + len(block)]
        order = np.argsort(codes, kind="stable")[np.count_nonzero(codes < 0) :]
        classes, first = np.unique(codes[order], return_index=True)
        if len(classes):
            sums[classes] += np.add.reduceat(block[order], first, axis=0, dtype=np.float64)
        start += len(block)
    return sums, np.bincount(gallery.codes[gallery.codes >= 0], minlength=len(sums))


def average_precision(
    queries: FeatureSet, gallery: FeatureSet, *, same_samples: bool = False, own: Int[ndarray, " n"] | None = None
) -> Float[ndarray, " n"]:
    r"""Average precision of each query's ranking of the whole gallery; their mean is mAP.

    :math:`AP = \frac1R \sum_{r=1}^{R} r / p_r`, p_r the place of the r-th of the R items with the query's label; 0
    where R = 0. Ranking, ties and ``same_samples`` as in :func:`nearest_neighbor_hits`; of queries that are some of the
    gallery's items ``own`` gives each one's row there.

    Raises
    ------
    ValueError
        As :func:`nearest_neighbor_hits`.
    """
    _check(queries, gallery, same_samples)
    own = np.arange(len(queries)) if same_samples else own
    wanted = _wanted(queries, gallery)
    by_class = np.argsort(gallery.codes, kind="stable")
    bounds = np.searchsorted(gallery.codes[by_class], (wanted, wanted + 1))
    counts = np.where(wanted < 0, 0, bounds[1] - bounds[0])
    result = np.empty(len(queries))
    # as many queries at a time as have so many pairs
    batch = (np.cumsum(counts) - 1) // _PAIRS
    for some in np.split(np.arange(len(queries)), np.flatnonzero(np.diff(batch)) + 1):
        query = np.repeat(np.arange(len(some)), counts[some])
        place = np.arange(len(query)) - np.repeat(np.cumsum(counts[some]) - counts[some], counts[some])
        item = by_class[np.repeat(bounds[0][some], counts[some]) + place]
        found = search(
            [queries.unit[some]],
            gallery,
            1,
            query_units=None if own is None else own[some],
            item_units=None if own is None else np.arange(len(gallery)),
            ranked=(query, item),
        )
        assert found.ranks is not None
        result[some] = precision_of_ranks(query, found.ranks[0], len(some))
    return result


def nearest_neighbor_accuracy(queries: FeatureSet, gallery: FeatureSet, *, same_samples: bool = False) -> float:
    """Share of queries whose nearest gallery item has their label; see :func:`nearest_neighbor_hits`."""
    return float(np.mean(nearest_neighbor_hits(queries, gallery, same_samples=same_samples)))


# by name: 1:N search by nearest neighbour, by class template (the paper's), mean average precision, 1:1 verification
SCORES: dict[str, Score] = {
    "nearest": nearest_neighbor_hits,
    "template": template_hits,
    "map": average_precision,
    "verification": verification_hits,
}


def score_of(score: str | Score) -> Score:
    """Return the score of that name, or ``score`` itself; an unknown name is a ValueError that lists those known."""
    if not isinstance(score, str):
        return score
    if score not in SCORES:
        raise ValueError(f"score must be one of {', '.join(SCORES)}, or a function, got {score!r}.")
    return SCORES[score]


def outcomes(
    query_sets: Sequence[FeatureSet], gallery_sets: Sequence[FeatureSet], score: str | Score = "nearest"
) -> Float[ndarray, "t t n"]:
    """Score of every query by model t in the gallery of model k ≤ t.

    Parameters
    ----------
    query_sets, gallery_sets, score
        As for :func:`compatibility_matrix`; the query sets hold the same N queries.

    Returns
    -------
    ndarray of float32, shape (T, T, N)
        One value per query, or per pair for "verification"; NaN above the diagonal. Their mean is the compatibility
        matrix.

    Raises
    ------
    ValueError
        As :func:`compatibility_matrix`, or if the query sets differ in labels.
    """
    for t, queries in enumerate(query_sets):
        if not np.array_equal(queries.complete_labels, query_sets[0].complete_labels):
            raise ValueError(f"query_sets must hold the same queries, but those of model {t} have other labels.")
    cells = {(t, k): values for t, k, values in _cells(query_sets, gallery_sets, score)}
    size = len(query_sets)
    result = np.full((size, size, len(cells[0, 0])), np.nan, dtype=np.float32)
    for cell, values in cells.items():
        result[cell] = values
    return result


def compatibility_matrix(
    query_sets: Sequence[FeatureSet], gallery_sets: Sequence[FeatureSet], score: str | Score = "nearest"
) -> Float[ndarray, "t t"]:
    """Mean score of queries by model t in the gallery of model k ≤ t.

    Parameters
    ----------
    query_sets, gallery_sets : sequence of FeatureSet, length T
        One set per model, oldest first. If ``query_sets[t] is gallery_sets[t]`` for all t, queries and gallery are the
        same samples and none may find itself. Otherwise the gallery holds other samples, as in the paper.
    score : {"nearest", "template", "map", "verification"} or callable
        "nearest": the nearest item has the query's label. "template": the nearest class template has it, the search
        behind the paper's AC and AA. "map": average precision. "verification": 1:1, ten folds over 6000 pairs. Or a
        function of queries and gallery; ``functools.partial(nearest_neighbor_hits, k=5)`` is recall@5.

    Returns
    -------
    ndarray, shape (T, T)
        Fractions; the diagonal holds the self-tests, and entries above it are NaN.

    Raises
    ------
    ValueError
        If there is no model, the two sequences differ in length, or the score refuses a pair of sets.
    """
    matrix = np.full((len(query_sets), len(query_sets)), np.nan)
    for t, k, values in _cells(query_sets, gallery_sets, score):
        matrix[t, k] = np.mean(values)
    return matrix


def average_compatibility(matrix: ArrayLike, ties: Ties = "incompatible") -> float:
    """AC: the share of entries below the diagonal with M[t, k] > M[k, k] (paper, Eq. 6); NaN for one model.

    Parameters
    ----------
    ties : {"incompatible", "compatible"}
        What equal entries count as. The released code of IAM-CL²R counts them as incompatible, as Eq. 6 is written;
        that of CL²R and CoReS counts them as compatible.
    """
    if ties not in ("incompatible", "compatible"):
        raise ValueError(f"ties must be 'incompatible' or 'compatible', got {ties!r}.")
    matrix = check_matrix(matrix)
    t, k = np.tril_indices(len(matrix), -1)
    passed = matrix[t, k] >= matrix[k, k] if ties == "compatible" else matrix[t, k] > matrix[k, k]
    return float(np.mean(passed)) if len(t) else float("nan")


def average_accuracy(matrix: ArrayLike) -> float:
    """AA: the mean of the lower triangle with its diagonal, in the unit of the matrix; zeros count."""
    return float(average_accuracies(matrix)[-1])


def average_accuracies(matrix: ArrayLike) -> Float[ndarray, " t"]:
    """AA_τ after each update τ = 1 … T: the mean of the lower triangle, with diagonal, of the first τ models."""
    matrix = check_matrix(matrix)
    models = np.arange(1, len(matrix) + 1)
    return np.cumsum(np.tril(np.nan_to_num(matrix)).sum(axis=1)) / (models * (models + 1) / 2)


def backward_compatibility(matrix: ArrayLike) -> float:
    """BC: the mean over k < T of M[T, k] − M[k, k], the gain of the last model in the old galleries; NaN for one model.

    References
    ----------
    Biondi et al., *CL²R: compatible lifelong learning representations*, 2023.
    """
    matrix = check_matrix(matrix)
    return float(np.mean(matrix[-1, :-1] - np.diag(matrix)[:-1])) if len(matrix) > 1 else float("nan")


def forward_compatibility(matrix: ArrayLike) -> float:
    """FC: the mean over t > 1 of M[t, t−1] − M[t, t], the loss by not re-indexing; NaN for one model.

    References
    ----------
    Biondi et al., *CL²R: compatible lifelong learning representations*, 2023.
    """
    matrix = check_matrix(matrix)
    return float(np.mean(np.diag(matrix, -1) - np.diag(matrix)[1:])) if len(matrix) > 1 else float("nan")


def check_matrix(matrix: ArrayLike) -> Float[ndarray, "t t"]:
    """Return a compatibility matrix as float64, or raise ValueError."""
    array = np.asarray(matrix, dtype=np.float64)
    if array.ndim != 2 or array.shape[0] != array.shape[1] or not len(array):
        raise ValueError(f"matrix must have shape (T, T) with T >= 1, got {array.shape}.")
    if not np.all(np.isfinite(array[np.tril_indices(len(array))])):
        raise ValueError("matrix must be finite on and below the diagonal, got NaN or infinity there.")
    return array


def _check(queries: FeatureSet, gallery: FeatureSet, same_samples: bool) -> None:
    check_search(queries, gallery, same_samples)
    common_codes(queries, gallery)  # raises where they are of two kinds


def _cells(
    query_sets: Sequence[FeatureSet], gallery_sets: Sequence[FeatureSet], score: str | Score
) -> Iterator[tuple[int, int, ndarray]]:
    if not query_sets or len(query_sets) != len(gallery_sets):
        raise ValueError(
            f"query_sets and gallery_sets must have one length >= 1, got {len(query_sets)} and {len(gallery_sets)}."
        )
    function = score_of(score)
    same = all(q is g for q, g in zip(query_sets, gallery_sets, strict=True))
    for t, queries in enumerate(query_sets):
        for k in range(t + 1):
            yield t, k, function(queries, gallery_sets[k], same_samples=same)


def _wanted(queries: FeatureSet, gallery: FeatureSet) -> Int[ndarray, " n"]:
    """Each query's label as a code of the gallery, −2 where the gallery does not have it or there is none."""
    codes = {label: code for code, label in enumerate(gallery.classes.tolist())}
    known = np.array([codes.get(label, -2) for label in queries.classes.tolist()] + [-2])  # a code of −1 is the last
    return known[queries.codes]

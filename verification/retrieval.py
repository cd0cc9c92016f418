"""Retrieval across models: 1:N search, its scores, and the compatibility matrix with AC and AA (paper, Eq. 6).

A different notion of compatibility than Definition 1: neither implies the other. Every score is one value a query, so
that two models can be compared query by query (:mod:`verification.matrices`). A query whose class is not in the gallery
is a miss.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from numpy.typing import ArrayLike

from verification.features import FeatureSet
from verification.inequalities import class_sums
from verification.search import check_search, nearest_rows, similarities

_SIMILARITIES = 2**22  # float64, with their ranking, held at a time
Score = Callable[..., ndarray]  # (queries, gallery, *, same_samples) → one value a query


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
    found = gallery.labels[nearest_rows(queries, gallery, k, same_samples=same_samples)]
    return np.any(found == queries.labels[:, None], axis=1)


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
    sums = class_sums(gallery.unit, gallery.codes, len(gallery.classes))
    sizes = np.bincount(gallery.codes)
    norms = np.linalg.norm(sums, axis=1)
    lost = np.flatnonzero(norms <= sizes * queries.dim * np.finfo(float).eps)
    if len(lost):
        label = gallery.classes[lost[0]].item()
        raise ValueError(f"gallery must give every class a template, but the features of class {label!r} cancel.")
    templates = sums / norms[:, None]
    hits = np.empty(len(queries), dtype=bool)
    block = max(1, _SIMILARITIES // len(templates))
    for start in range(0, len(queries), block):
        part = slice(start, start + block)
        unit = queries.unit[part]
        cosines = unit @ templates.T
        if same_samples:
            rest = sums[gallery.codes[part]] - gallery.unit[part]
            length = np.linalg.norm(rest, axis=1)
            # the only sample of its class, or one that the others cancel without, leaves no template behind
            there = length > sizes[gallery.codes[part]] * queries.dim * np.finfo(float).eps
            own = np.einsum("nd,nd->n", unit, rest) / np.where(there, length, 1.0)
            cosines[np.arange(len(unit)), gallery.codes[part]] = np.where(there, own, -np.inf)
        hits[part] = gallery.classes[np.argmax(cosines, axis=1)] == queries.labels[part]
    return hits


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
    result = np.empty(len(queries))
    block = max(1, _SIMILARITIES // len(gallery))
    places = np.arange(1, len(gallery) + 1)
    for start in range(0, len(queries), block):
        part = slice(start, start + block)
        order = _ranking(queries.unit[part], gallery)
        relevant = gallery.labels[order] == queries.labels[part, None]
        rank: ndarray = places
        if own is not None:
            mine = order == own[part, None]
            relevant &= ~mine
            rank = np.maximum(places - np.cumsum(mine, axis=1), 1)
        precision = np.cumsum(relevant, axis=1) / rank
        result[part] = np.sum(precision, axis=1, where=relevant) / np.maximum(relevant.sum(axis=1), 1)
    return result


def nearest_neighbor_accuracy(queries: FeatureSet, gallery: FeatureSet, *, same_samples: bool = False) -> float:
    """Share of queries whose nearest gallery item has their label; see :func:`nearest_neighbor_hits`."""
    return float(np.mean(nearest_neighbor_hits(queries, gallery, same_samples=same_samples)))


def outcomes(
    query_sets: Sequence[FeatureSet], gallery_sets: Sequence[FeatureSet], score: Score = nearest_neighbor_hits
) -> Float[ndarray, "t t n"]:
    """What every query scores with model t in the gallery of model k ≤ t.

    Parameters
    ----------
    query_sets, gallery_sets, score
        As for :func:`compatibility_matrix`; the query sets hold the same N queries.

    Returns
    -------
    ndarray of float32, shape (T, T, N)
        NaN above the diagonal. Their mean is the compatibility matrix.

    Raises
    ------
    ValueError
        As :func:`compatibility_matrix`, or if the query sets differ in labels.
    """
    for t, queries in enumerate(query_sets):
        if not np.array_equal(queries.labels, query_sets[0].labels):
            raise ValueError(f"query_sets must hold the same queries, but those of model {t} have other labels.")
    size = len(query_sets)
    result = np.full((size, size, len(query_sets[0]) if size else 0), np.nan, dtype=np.float32)
    for t, k, values in _cells(query_sets, gallery_sets, score):
        result[t, k] = values
    return result


def compatibility_matrix(
    query_sets: Sequence[FeatureSet], gallery_sets: Sequence[FeatureSet], score: Score = nearest_neighbor_hits
) -> Float[ndarray, "t t"]:
    """Mean score of queries by model t in the gallery of model k ≤ t.

    Parameters
    ----------
    query_sets, gallery_sets : sequence of FeatureSet, length T
        One set a model, oldest first. Where ``query_sets[t] is gallery_sets[t]`` for all t, queries and gallery are the
        same samples and none may find itself.
    score : callable
        :func:`nearest_neighbor_hits`, :func:`template_hits`, :func:`average_precision`, or for recall@5
        ``functools.partial(nearest_neighbor_hits, k=5)``.

    Returns
    -------
    ndarray, shape (T, T)
        Fractions; the diagonal holds the self-tests, what is above it is NaN.

    Raises
    ------
    ValueError
        If there is no model, the two sequences differ in length, or the score refuses a pair of sets.
    """
    matrix = np.full((len(query_sets), len(query_sets)), np.nan)
    for t, k, values in _cells(query_sets, gallery_sets, score):
        matrix[t, k] = np.mean(values)
    return matrix


def average_compatibility(matrix: ArrayLike) -> float:
    """AC: the share of entries below the diagonal with M[t, k] > M[k, k] (paper, Eq. 6); NaN for one model."""
    matrix = check_matrix(matrix)
    t, k = np.tril_indices(len(matrix), -1)
    return float(np.mean(matrix[t, k] > matrix[k, k])) if len(t) else float("nan")


def average_accuracy(matrix: ArrayLike) -> float:
    """AA: the mean of the lower triangle with its diagonal, in the unit of the matrix; zeros count."""
    return float(average_accuracies(matrix)[-1])


def average_accuracies(matrix: ArrayLike) -> Float[ndarray, " t"]:
    """AA_τ after each update τ = 1 … T: the mean of the lower triangle, with diagonal, of the first τ models."""
    matrix = check_matrix(matrix)
    models = np.arange(1, len(matrix) + 1)
    return np.cumsum(np.tril(np.nan_to_num(matrix)).sum(axis=1)) / (models * (models + 1) / 2)


def backward_compatibility(matrix: ArrayLike) -> float:
    """BC: the mean over k < T of M[T, k] − M[k, k], what the last model gains in the old galleries; NaN for one model.

    References
    ----------
    Biondi et al., *CL²R: compatible lifelong learning representations*, 2023.
    """
    matrix = check_matrix(matrix)
    return float(np.mean(matrix[-1, :-1] - np.diag(matrix)[:-1])) if len(matrix) > 1 else float("nan")


def forward_compatibility(matrix: ArrayLike) -> float:
    """FC: the mean over t > 1 of M[t, t−1] − M[t, t], what is lost by not re-indexing; NaN for one model.

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
    if (queries.labels.dtype.kind == "U") != (gallery.labels.dtype.kind == "U"):
        raise ValueError(
            f"queries and gallery must have labels of one kind, got {queries.labels.dtype} and {gallery.labels.dtype}."
        )


def _cells(
    query_sets: Sequence[FeatureSet], gallery_sets: Sequence[FeatureSet], score: Score
) -> Iterator[tuple[int, int, ndarray]]:
    if not query_sets or len(query_sets) != len(gallery_sets):
        raise ValueError(
            f"query_sets and gallery_sets must have one length >= 1, got {len(query_sets)} and {len(gallery_sets)}."
        )
    same = all(q is g for q, g in zip(query_sets, gallery_sets, strict=True))
    for t, queries in enumerate(query_sets):
        for k in range(t + 1):
            yield t, k, score(queries, gallery_sets[k], same_samples=same)


def _ranking(queries: Float[ndarray, "b dim"], gallery: FeatureSet) -> ndarray:
    """Rows of the gallery from near to far, equals by row, shape (B, M)."""
    values = queries @ gallery.unit.T
    order = np.argsort(-values, axis=1)
    ranked = np.take_along_axis(values, order, axis=1)
    # where neighbours are as close as BLAS may err, its order is not that of the rows: sum these in one order
    close = np.diff(ranked, axis=1) >= -2.0 * (queries.shape[1] + 4) * np.finfo(float).eps
    query, place = np.nonzero(np.pad(close, ((0, 0), (0, 1))) | np.pad(close, ((0, 0), (1, 0))))
    item = order[query, place]
    values[query, item] = similarities(queries, gallery, (query, item))
    again = np.unique(query)
    order[again] = np.argsort(-values[again], axis=1, kind="stable")
    return order

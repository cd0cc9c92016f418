"""1:1 verification across models: do two features show the same class? Ten-fold accuracy over drawn pairs.

As the face-recognition protocol that CL²R reports: the threshold that decides the pairs of one fold is the most
accurate one on the other folds. The pairs depend on labels and seed only, so that the same pairs are asked of every
two models and can be compared pair by pair.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from verification.features import FeatureSet
from verification.search.nearest import check_search


def verification_hits(
    queries: FeatureSet,
    gallery: FeatureSet,
    *,
    same_samples: bool = False,
    pairs: int = 6000,
    folds: int = 10,
    seed: int = 0,
) -> Bool[ndarray, " p"]:
    """Whether each pair (query, gallery item) is rightly called of one class or of two; the mean is the accuracy.

    A pair is called of one class where its cosine is at least a threshold: the most accurate one on the other folds.

    Parameters
    ----------
    queries, gallery : FeatureSet
    same_samples : bool
        Query i and gallery item i are one sample, which makes no pair with itself.
    pairs : int
        Half of one class, half of two; a multiple of 2 · ``folds``.
    folds : int
        ≥ 2.
    seed : int

    Raises
    ------
    ValueError
        If the dimensions differ, ``pairs`` does not fit ``folds``, or there are no pairs of one class or of two.

    References
    ----------
    Huang et al., *Labeled Faces in the Wild*, 2007 (the protocol); Biondi et al., *CL²R*, 2023 (6000 pairs).
    """
    check_search(queries, gallery, same_samples)
    left, right, same = draw_pairs(queries.complete_labels, gallery.complete_labels, pairs, folds, seed, same_samples)
    cosines = np.einsum("nd,nd->n", queries.unit[left], gallery.unit[right])
    fold = np.arange(pairs) % folds
    hits = np.empty(pairs, dtype=bool)
    for number in range(folds):
        held = fold == number
        accepted = cosines[held] >= best_threshold(cosines[~held], same[~held])
        hits[held] = accepted == same[held]
    return hits


def draw_pairs(
    query_labels: ndarray, gallery_labels: ndarray, pairs: int, folds: int, seed: int, same_samples: bool
) -> tuple[Int[ndarray, " p"], Int[ndarray, " p"], Bool[ndarray, " p"]]:
    """Rows of queries and gallery and whether they are of one class; as many of both in every fold ``i % folds``."""
    if folds < 2 or pairs < 2 * folds or pairs % (2 * folds):
        raise ValueError(f"pairs must be a multiple of 2 · folds with folds >= 2, got {pairs} and {folds}.")
    rng = np.random.default_rng(seed)
    wanted = pairs // 2
    kinds = []
    for kind in (True, False):
        left = np.empty(0, dtype=np.int64)
        right = left.copy()
        # of queries that have such a partner, one is drawn, then one of its partners; both by trying
        for _ in range(200):
            if len(left) >= wanted:
                break
            tried = rng.integers(len(query_labels), size=4 * wanted)
            if kind:
                items = _of_class(rng, query_labels[tried], gallery_labels)
            else:
                items = rng.integers(len(gallery_labels), size=len(tried))
            good = items >= 0
            good[good] = (query_labels[tried[good]] == gallery_labels[items[good]]) == kind
            if same_samples:
                good &= tried != items
            left, right = np.concatenate([left, tried[good]]), np.concatenate([right, items[good]])
        if len(left) < wanted:
            raise ValueError(f"queries and gallery must have pairs of {'one class' if kind else 'two classes'}.")
        kinds.append((left[:wanted], right[:wanted]))
    # fold by fold, the first half of it of one class
    rows = np.arange(pairs)
    same = (rows // folds) % 2 == 0
    result = np.empty((2, pairs), dtype=np.int64)
    result[:, same], result[:, ~same] = kinds[0], kinds[1]
    return result[0], result[1], same


def best_threshold(cosines: Float[ndarray, " p"], same: Bool[ndarray, " p"]) -> float:
    """The most accurate threshold: pairs at or above it are called of one class; of equals the highest."""
    order = np.argsort(-cosines, kind="stable")
    values = cosines[order]
    # after accepting the first m: right are the accepted of one class and the others of two
    right = np.concatenate([[0], np.cumsum(same[order])]) + np.concatenate([np.cumsum(~same[order][::-1])[::-1], [0]])
    cut = np.concatenate([[True], values[1:] < values[:-1], [True]])
    m = int(np.argmax(np.where(cut, right, -1)))
    if m in (0, len(values)):
        return float("-inf") if m else float("inf")
    return float(values[m - 1] + values[m]) / 2.0


def _of_class(rng: np.random.Generator, labels: ndarray, gallery_labels: ndarray) -> Int[ndarray, " n"]:
    """One random row of the gallery for each label, −1 where there is none."""
    order = np.argsort(gallery_labels, kind="stable")
    ordered = gallery_labels[order]
    first, last = (np.searchsorted(ordered, labels, side=side) for side in ("left", "right"))
    place = first + (rng.random(len(labels)) * (last - first)).astype(np.int64)
    return np.where(last > first, order[np.minimum(place, len(order) - 1)], -1)

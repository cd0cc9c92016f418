"""Two models' unit rows of the same samples, compared: the numbers behind :mod:`verification.bridge.identify`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy import optimize

from verification.bridge.fitting import procrustes
from verification.features import FeatureSet
from verification.statistics.sums import class_sums

# rows, and their cosines, that are looked at for the latter
COSINE_ROWS = 2048
# rows looked for elsewhere in the other set
SOUGHT = 128
PERMUTATIONS = 20


@dataclass(frozen=True)
class Evidence:
    """The numbers; None where one was not needed or has no meaning.

    Attributes
    ----------
    num_rows : int
        Rows that were compared.
    labels_differ : int
        Rows of the whole data whose labels differ.
    ids_differ : int or None
        Of all rows; None where not both sets have ids.
    row_distance : float or None
        Median distance of the two unit rows of a sample.
    equal_rows : float or None
        Share of rows that are equal.
    moved, flipped : int or None
        Coordinates that changed their place or their sign in the best matching of coordinates.
    equal_matched : float or None
        Share of rows that are equal after that matching.
    cosine_difference, cosine_null : float
        Root mean square difference of cosines within the new and within the old set, for the same rows and for rows of
        other samples of the same classes.
    equal_cosines : float
        Share of cosines that are equal.
    turned_distance, turned_null : float or None
        Root mean square distance of rows after the best rotation, and for other samples of the same classes after the
        best for those; None below two rows a coordinate, where a rotation fits anything.
    contrast_new, contrast_old : float
        Mean squared distance of rows of different classes less that within classes.
    sigma_new, sigma_old : float
        The same in standard deviations of what permuted labels give.
    found_elsewhere : float or None
        Share of some new rows that are equal to the old row of another sample.
    """

    num_rows: int
    labels_differ: int
    ids_differ: int | None
    row_distance: float | None
    equal_rows: float | None
    moved: int | None
    flipped: int | None
    equal_matched: float | None
    cosine_difference: float
    cosine_null: float
    equal_cosines: float
    turned_distance: float | None
    turned_null: float | None
    contrast_new: float
    contrast_old: float
    sigma_new: float
    sigma_old: float
    found_elsewhere: float | None


def rows_differ(new: ndarray, old: ndarray) -> int:
    """Rows in which labels, or ids, differ."""
    if (new.dtype.kind == "U") != (old.dtype.kind == "U"):
        return len(new)
    return int(np.count_nonzero(new != old))


def as_they_are(u: ndarray, v: ndarray, tolerance: float) -> tuple[float | None, float | None]:
    if u.shape != v.shape:
        return None, None
    distances = np.linalg.norm(u - v, axis=1)
    return float(np.median(distances)), float(np.mean(distances <= tolerance))


def matched(u: ndarray, v: ndarray, tolerance: float) -> tuple[int | None, int | None, float | None]:
    """Match the new coordinates to the old by correlation, up to sign, so that its sum is largest."""
    if u.shape != v.shape:
        return None, None, None
    lengths = np.outer(np.linalg.norm(v, axis=0), np.linalg.norm(u, axis=0))
    correlation = v.T @ u / np.where(lengths > 0.0, lengths, 1.0)
    place, source = optimize.linear_sum_assignment(-np.abs(correlation))
    signs = np.where(correlation[place, source] < 0.0, -1.0, 1.0)
    distances = np.linalg.norm(u[:, source] * signs - v, axis=1)
    moved, flipped = np.count_nonzero(place != source), np.count_nonzero(signs < 0.0)
    return int(moved), int(flipped), float(np.mean(distances <= tolerance))


def _within_classes(codes: Int[ndarray, " n"], rng: np.random.Generator) -> Int[ndarray, " n"]:
    """A permutation of the rows of each class, which takes none to itself where the class has two."""
    order = np.argsort(codes + rng.random(len(codes)))
    following = np.roll(order, -1)
    ends = np.flatnonzero(np.append(np.diff(codes[order]) != 0, True))
    starts = np.concatenate([[0], ends[:-1] + 1])
    following[ends] = order[starts]
    other = np.empty_like(order)
    other[order] = following
    return other


def cosines(
    u: ndarray, v: ndarray, codes: ndarray, tolerance: float, rng: np.random.Generator
) -> tuple[float, float, float]:
    some = np.sort(rng.permutation(len(u))[:COSINE_ROWS])
    off = ~np.eye(len(some), dtype=bool)
    new, old = u[some] @ u[some].T, v[some] @ v[some].T
    other = _within_classes(codes[some], rng)
    difference, null = (new - old)[off], (new - old[np.ix_(other, other)])[off]
    equal = float(np.mean(np.abs(difference) <= 2.0 * tolerance))
    return float(np.sqrt(np.mean(difference**2))), float(np.sqrt(np.mean(null**2))), equal


def turned(u: ndarray, v: ndarray, codes: ndarray, rng: np.random.Generator) -> tuple[float | None, float | None]:
    if len(u) < 2 * max(u.shape[1], v.shape[1]):
        return None, None
    found = [
        float(np.sqrt(np.mean(np.sum((u @ procrustes(u, target) - target) ** 2, axis=1))))
        for target in (v, v[_within_classes(codes, rng)])
    ]
    return found[0], found[1]


def contrasts(
    u: ndarray, v: ndarray, new_codes: ndarray, old_codes: ndarray, rng: np.random.Generator
) -> tuple[float, float, float, float]:
    found = [_contrast(u, new_codes), _contrast(v, old_codes)]
    sigmas = []
    for value, rows, codes in zip(found, (u, v), (new_codes, old_codes), strict=True):
        permuted = [_contrast(rows, rng.permutation(codes)) for _ in range(PERMUTATIONS)]
        spread = float(np.std(permuted, ddof=1))
        sigmas.append((value - float(np.mean(permuted))) / spread if spread > 0.0 else 0.0)
    return found[0], found[1], sigmas[0], sigmas[1]


def _contrast(rows: Float[ndarray, "n dim"], codes: Int[ndarray, " n"]) -> float:
    """Mean squared distance between different classes less that within a class; 0 where one has no pairs."""
    _, codes = np.unique(codes, return_inverse=True)
    sizes = np.bincount(codes)
    sums = class_sums(rows, codes, len(sizes))
    total = sums.sum(axis=0)
    within = float(np.sum(sums**2)) - len(rows)  # unit rows: the pairs of a row with itself
    within_pairs = float(sizes @ (sizes - 1))
    between_pairs = float(len(rows)) ** 2 - float(sizes @ sizes)
    if not within_pairs or not between_pairs:
        return 0.0
    return 2.0 * (within / within_pairs - (float(total @ total) - float(np.sum(sums**2))) / between_pairs)


def found_elsewhere(u: ndarray, rows: ndarray, old: FeatureSet, tolerance: float, rng: np.random.Generator) -> float:
    """Share of some new rows that are equal to an old row, of another sample, and not to their own."""
    chosen = np.sort(rng.permutation(len(rows))[:SOUGHT])
    sought, own = u[chosen], rows[chosen]
    found, itself = np.zeros(len(chosen), dtype=bool), np.zeros(len(chosen), dtype=bool)
    # |u − v|² = 2 − 2 u·v
    least = 1.0 - 0.5 * max(tolerance, 1e-7) ** 2
    start = 0
    for block in old.normalized_blocks():
        equal = sought.astype(block.dtype) @ block.T >= least - 4.0 * np.finfo(block.dtype).eps
        here = np.flatnonzero((own >= start) & (own < start + len(block)))
        itself[here] = equal[here, own[here] - start]
        found |= equal.any(axis=1)
        start += len(block)
    return float(np.mean(found & ~itself))

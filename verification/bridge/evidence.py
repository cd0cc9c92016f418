r"""Measurements on two models' rows of the same samples: what :mod:`verification.bridge.relation` decides by.

No labels are used. What a rotation leaves is read off the cosines within each set, without a fit: if
:math:`u_i = Q v_i + r_i` with r isotropic of length ε in d dimensions, cosines differ by
:math:`r_i·Qv_j + Qv_i·r_j` and their mean square is :math:`2ε²/d`. So :math:`ε = \mathrm{rms}·\sqrt{d/2}`, however many
rows there are. No matrix of d × d is formed beyond :data:`MOST_COORDINATES`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from verification.bridge.judge import unit

Format = Literal["float16", "bfloat16"]
Grid = Literal["int8", "binary"]
Mixed = Literal["new", "old", "one"]
Rows = Float[ndarray, "n dim"]
# of the same samples by two models, whose dimensions may differ
New = Float[ndarray, "n d_new"]
Old = Float[ndarray, "n d_old"]
# unit roundoff of what values are stored in, the coarsest first
ROUNDOFF: dict[Format, float] = {"bfloat16": 2.0**-9, "float16": 2.0**-11}
# largest distance of unit rows that storing both in float16 explains: twice its roundoff
HALF = 2.0**-10
# the same of arithmetic in float32, with room for sums over many coordinates
SINGLE = 2.0**-18
# rows that show at a glance that all of them need no look
GLANCE = 8
# rows whose cosines are compared, and coordinates of which all pairs are looked at
COSINE_ROWS, MOST_COORDINATES = 1024, 2048
# coordinates on either side that a projection may confuse with one
WINDOW = 8
# a row is near its partner below this share of the mean squared distance to other samples' rows
NEAR = 0.5
# a displaced row is nearer to its partner than this share of every alternative, in squared distance; about NEARER^(d/2)
# of unrelated rows of d coordinates are, so that a few rows count if they are much nearer
NEARER, MUCH_NEARER = 0.5, 0.1
# rows of each side, for a second model to be seen among those of the first; and by how much the mean cosine of far rows
# and the nearest rows that stayed is less in the mixed set
FEWEST, CLOSER = 8, 0.05


@dataclass(frozen=True, kw_only=True)
class Coordinates:
    """The best match of coordinates.

    Attributes
    ----------
    place : ndarray of int, shape (k,)
        For each coordinate of the narrower set, its coordinate in the wider one.
    flipped : int
        Coordinates that changed their sign.
    equal : float
        Share of rows that are equal after the match, and after both are cut to it and normalised.
    """

    place: Int[ndarray, " k"]
    flipped: int
    equal: float

    @property
    def moved(self) -> int:
        """Coordinates that are in another place."""
        return int(np.count_nonzero(self.place != np.arange(len(self.place))))


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What was measured; None where it has no meaning or was not needed. Distances are of unit rows.

    Attributes
    ----------
    num_rows : int
        Rows that were compared.
    tolerance : float
        Rows nearer than this are equal.
    median_distance, largest_distance : float or None
        Between the rows of one sample; None between two dimensions.
    equal : float or None
        Share of rows that are equal.
    length_ratios : (float, float)
        Shortest and longest new row, each as a multiple of the sample's old row.
    stored : {"float16", "bfloat16"} or None
        Format in which one set holds the other's values.
    quantised : {"int8", "binary"} or None
        Codes that one set holds of the other's values.
    coordinates : Coordinates or None
        The best match of coordinates, where one was looked for.
    left_by_rotation : float or None
        Root mean square distance of rows after the best orthogonal map, by the cosines within each set.
    after_rotation, before_rotation : float or None
        Root mean square distance on half of the rows, after the rotation that fits the other half best and as they are;
        None below four rows per coordinate, and where most rows are far from their partners.
    coherence : float or None
        Median cosine of the move of a row and that of its nearest neighbour's; 0 for noise.
    other_distance : float or None
        Root mean square distance of a new row to old rows of other samples.
    alignment : float or None
        Trace of the cross-covariance over the sum of its singular values: 1 where no rotation fits better, and about 0
        for unrelated spaces.
    near : float or None
        Share of rows that are near their partner: below half of the mean squared distance to other samples.
    mixture : {"new", "old", "one"} or None
        The set that holds two models' vectors; ``one``: one of them does.
    displaced, far_displaced, at_home : int or None
        Rows that are nearer, one to one, to another sample's old row than half of the squared distance to any other;
        than a tenth of it; and rows that are nearest to their own.
    """

    num_rows: int
    tolerance: float
    median_distance: float | None = None
    largest_distance: float | None = None
    equal: float | None = None
    length_ratios: tuple[float, float] = (1.0, 1.0)
    stored: Format | None = None
    quantised: Grid | None = None
    coordinates: Coordinates | None = None
    left_by_rotation: float | None = None
    after_rotation: float | None = None
    before_rotation: float | None = None
    coherence: float | None = None
    other_distance: float | None = None
    alignment: float | None = None
    near: float | None = None
    mixture: Mixed | None = None
    displaced: int | None = None
    far_displaced: int | None = None
    at_home: int | None = None


def measure(raw: tuple[New, Old], tolerance: float | None, rng: np.random.Generator) -> Evidence:
    """Measure rows of the same samples.

    Parameters
    ----------
    raw : (new, old), of shape (n, d_new) and (n, d_old), float64
        As they are stored, not normalised.
    tolerance : float or None
        None: what storing the rows costs, in float16 at least.
    rng : numpy.random.Generator
    """
    new, old = (unit(rows) for rows in raw)
    formats = [stored_in(rows) for rows in raw]
    distances = np.linalg.norm(new - old, axis=1) if new.shape == old.shape else None
    stored = None
    if distances is not None and distances.max() <= 2.0 * max(ROUNDOFF.values()):
        stored = stored_as(raw, (new, old))
    if tolerance is None:
        tolerance = max(HALF, sum(ROUNDOFF[own] for own in (*formats, stored) if own is not None))
    ratios = np.divide(*(np.linalg.norm(rows, axis=1) for rows in raw))
    found: dict[str, Any] = {
        "num_rows": len(new),
        "tolerance": tolerance,
        "length_ratios": (float(ratios.min()), float(ratios.max())),
    }
    if distances is not None:
        equal = distances <= cutoff(distances, tolerance)
        found |= {
            "median_distance": float(np.median(distances)),
            "largest_distance": float(distances.max()),
            "equal": float(np.mean(equal)),
            "stored": stored,
        }
        if equal.all():
            return Evidence(**found)
        found["quantised"] = quantised(raw, (new, old))
        if found["quantised"]:
            return Evidence(**found)
    some = np.sort(rng.permutation(len(new))[:COSINE_ROWS])
    products = new[some] @ new[some].T, old[some] @ old[some].T
    found["left_by_rotation"] = left_by_rotation(*products, min(new.shape[1], old.shape[1]))
    found["coordinates"] = match(new, old, tolerance)
    if distances is None:
        return Evidence(**found)
    other = other_distance(new, old)
    near = distances**2 < NEAR * other**2
    ratios, home = displaced(new, old)
    # what a rotation does is only asked of rows that are near as they are
    before, after = held_out_rotation(new, old, rng) if near.mean() > 0.5 else (None, None)
    return Evidence(
        **found,
        other_distance=other,
        near=float(np.mean(near)),
        mixture=mixed(*products, near[some]),
        displaced=int(np.count_nonzero(ratios < NEARER)),
        far_displaced=int(np.count_nonzero(ratios < MUCH_NEARER)),
        at_home=home,
        alignment=alignment(new, old),
        coherence=coherence(new[some] - old[some], products[1]),
        before_rotation=before,
        after_rotation=after,
    )


def cutoff(distances: Float[ndarray, " n"], tolerance: float) -> float:
    """Distance up to which rows are equal: no cut through the middle of one cloud of rounding errors."""
    within = distances[distances <= tolerance]
    return max(tolerance, 8.0 * float(np.median(within))) if len(within) else tolerance


def stored_in(raw: Rows) -> Format | None:
    """The coarsest format that holds these values exactly; None: a finer one is needed."""
    for name in ROUNDOFF:
        if all(np.array_equal(rounded(rows, name), rows) for rows in (raw[:GLANCE], raw)):
            return name
    return None


def rounded(values: Float[ndarray, "*shape"], name: Format) -> Float[ndarray, "*shape"]:
    """Values as a format stores them."""
    if name == "float16":
        with np.errstate(over="ignore"):
            return values.astype(np.float16).astype(np.float64)
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    # half of the last bit that stays is added, less one unit where that bit is even
    kept = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) & np.uint32(0xFFFF0000)
    return kept.view(np.float32).astype(np.float64)


def stored_as(raw: tuple[Rows, Rows], rows: tuple[Rows, Rows]) -> Format | None:
    """The format in which one set holds the values of the other, before or after they were normalised."""
    for name in reversed(ROUNDOFF):
        for this, other in ((0, 1), (1, 0)):
            for values in (raw[other], rows[other]):
                kept = rounded(values, name)
                if np.isfinite(kept).all() and np.all(np.linalg.norm(unit(kept) - rows[this], axis=1) <= SINGLE):
                    return name
    return None


def quantised(raw: tuple[Rows, Rows], rows: tuple[Rows, Rows]) -> Grid | None:
    """The codes, where one set holds those of the other's values."""
    for this, other in ((0, 1), (1, 0)):
        first, every = slice(GLANCE), slice(None)
        if all(_is_binary(raw[this][some], raw[other][some]) for some in (first, every)):
            return "binary"
        if all(_is_int8(raw[this][some], rows[this][some], rows[other][some]) for some in (first, every)):
            return "int8"
    return None


def _is_binary(codes: Rows, values: Rows) -> bool:
    """Whether each row takes two values, and which of them tells a value's sign (or that it exceeds the median)."""
    low, high = codes.min(axis=1, keepdims=True), codes.max(axis=1, keepdims=True)
    width = high - low
    ends = np.minimum(np.abs(codes - low), np.abs(codes - high))
    if not np.all(ends <= 1e-5 * width) or np.mean(width > 0.0) < 0.5 or codes.shape[1] < 3:
        return False
    upper = codes > (low + high) / 2.0
    some = width[:, 0] > 0.0
    signs = [values > 0.0, values > np.median(values, axis=0)]
    return max(float(np.mean((sign == upper)[some])) for sign in signs) >= 0.99


def _is_int8(codes: Rows, rows: Rows, values: Rows) -> bool:
    """Whether rows are whole multiples of a step, up to 128, and within about a step of the values."""
    if codes.shape[1] < 3:  # one number is always a multiple of itself
        return False
    if np.all(codes == np.rint(codes)) and np.all(np.abs(codes) <= 255.0) and len(np.unique(codes)) > 2:
        # codes as they are, with a step and a start of each coordinate
        centred, own = values - values.mean(axis=0), codes - codes.mean(axis=0)
        spread = np.sum(own**2, axis=0)
        slope = np.sum(own * centred, axis=0) / np.where(spread > 0.0, spread, 1.0)
        left = np.sum((centred - own * slope) ** 2)
        if left <= 0.01 * np.sum(centred**2):
            return True
    size = np.abs(rows)
    smallest = np.where(size > 1e-9, size, np.inf).min(axis=1, keepdims=True)
    # a step for each row, by its largest or its smallest value, or one for all rows as they are stored
    common = np.abs(codes[codes != 0.0]).min() / np.linalg.norm(codes, axis=1, keepdims=True)
    for step in (size.max(axis=1, keepdims=True) / 127.0, smallest, common):
        multiples = rows / step
        whole = np.abs(multiples - np.rint(multiples)) <= 1e-3
        # of a continuous row a fifth of a per cent would do by chance
        if np.abs(multiples).max() <= 128.5 and np.mean(whole) >= 0.99:
            error = float(np.sqrt(np.mean((rows - values) ** 2)))
            # counts of a few words are whole multiples as well, and mostly 0, but unlike those of another row
            near = error * math.sqrt(rows.shape[1]) <= 0.5
            return near and error <= 0.6 * float(np.sqrt(np.mean(step**2)))
    return False


def left_by_rotation(new: Float[ndarray, "m m"], old: Float[ndarray, "m m"], dim: int) -> float:
    """Root mean square distance of rows after the best orthogonal map, from the cosines within each set."""
    off = ~np.eye(len(new), dtype=bool)
    return float(np.sqrt(np.mean((new - old)[off] ** 2) * dim / 2.0))


def match(new: New, old: Old, tolerance: float) -> Coordinates | None:
    """Match coordinates of the narrower set to those of the wider, up to sign; None where there is no match at all."""
    narrow, wide = (new, old) if new.shape[1] <= old.shape[1] else (old, new)
    k = narrow.shape[1]
    if k < wide.shape[1]:
        first = _matched(narrow, wide, np.arange(k), tolerance)
        if first.equal >= 0.99:
            return first
    if wide.shape[1] > MOST_COORDINATES:
        place = _by_projection(narrow, wide) if k == wide.shape[1] else None
        return None if place is None else _matched(narrow, wide, place, tolerance)
    lengths = np.outer(np.linalg.norm(narrow, axis=0), np.linalg.norm(wide, axis=0))
    correlation = np.abs(narrow.T @ wide) / np.where(lengths > 0.0, lengths, 1.0)
    alive = np.linalg.norm(narrow, axis=0) > 0.0
    place = np.argmax(correlation, axis=1)
    if not np.any(alive) or np.mean(correlation[alive, place[alive]] > 0.8) < 0.9:
        return None
    if len(np.unique(place)) < k:
        from scipy.optimize import linear_sum_assignment  # which costs a third of a start, and is seldom needed

        place = linear_sum_assignment(-correlation)[1]
    return _matched(narrow, wide, place, tolerance)


def _matched(narrow: New, wide: Old, place: Int[ndarray, " d_new"], tolerance: float) -> Coordinates:
    taken = wide[:, place]
    signs = np.where(np.sum(narrow * taken, axis=0) < 0.0, -1.0, 1.0)
    distances = np.linalg.norm(narrow - unit(taken * signs), axis=1)
    return Coordinates(
        place=place, flipped=int(np.count_nonzero(signs < 0.0)), equal=float(np.mean(distances <= tolerance))
    )


def _by_projection(narrow: New, wide: Old) -> Int[ndarray, " d_new"] | None:
    """Match many coordinates: of those that a projection puts next to one, the most similar; some of them first."""
    weights = np.cos(np.arange(1.0, len(narrow) + 1.0))
    own, theirs = np.abs(weights @ narrow), np.abs(weights @ wide)
    order = np.argsort(theirs, kind="stable")

    def nearest(coordinates: ndarray) -> tuple[ndarray, ndarray]:
        first = np.searchsorted(theirs, own[coordinates], sorter=order)
        best, place = np.full(len(coordinates), np.inf), np.zeros(len(coordinates), dtype=np.intp)
        for offset in range(-WINDOW, WINDOW):
            candidate = order[np.clip(first + offset, 0, len(order) - 1)]
            mine, other = narrow[:, coordinates], wide[:, candidate]
            left = np.minimum(np.sum((mine - other) ** 2, axis=0), np.sum((mine + other) ** 2, axis=0))
            better = left < best
            best[better], place[better] = left[better], candidate[better]
        return best, place

    some = np.linspace(0, narrow.shape[1] - 1, 256, dtype=np.intp)
    if np.sum(nearest(some)[0]) > 0.01 * np.sum(narrow[:, some] ** 2):
        return None
    parts = np.array_split(np.arange(narrow.shape[1]), max(1, narrow.size // 2**22))
    place = np.concatenate([nearest(part)[1] for part in parts])
    return place if len(np.unique(place)) == len(place) else None


def other_distance(new: Rows, old: Rows) -> float:
    """Root mean square distance of a new row to the old rows of other samples."""
    n = len(new)
    across = (float(new.sum(axis=0) @ old.sum(axis=0)) - float(np.sum(new * old))) / (n * (n - 1.0))
    return float(np.sqrt(max(2.0 - 2.0 * across, 0.0)))


def alignment(new: Rows, old: Rows) -> float:
    """Trace of the cross-covariance over its nuclear norm."""
    x, y = new - new.mean(axis=0), old - old.mean(axis=0)
    trace = float(np.sum(x * y))
    if x.shape[1] <= len(x):
        total = float(np.linalg.svdvals(x.T @ y).sum())
    else:  # the same singular values, of n × n
        total = float(np.linalg.svdvals(_root(x @ x.T).T @ _root(y @ y.T)).sum())
    return trace / total if total > 0.0 else 1.0


def _root(gram: Float[ndarray, "n n"]) -> Float[ndarray, "n n"]:
    values, vectors = np.linalg.eigh(gram)
    return vectors * np.sqrt(np.maximum(values, 0.0))


def coherence(moves: Rows, old: Float[ndarray, "m m"]) -> float:
    """Median cosine of the moves of a row and of its nearest neighbour among the old rows."""
    apart = old.copy()
    np.fill_diagonal(apart, -np.inf)
    directions = unit(moves)
    return float(np.median(np.sum(directions * directions[np.argmax(apart, axis=1)], axis=1)))


def held_out_rotation(new: Rows, old: Rows, rng: np.random.Generator) -> tuple[float | None, float | None]:
    """Root mean square distance on half of the rows, as they are and after the rotation that fits the other half."""
    dim = new.shape[1]
    if len(new) < 4 * dim or dim > MOST_COORDINATES:
        return None, None
    from verification.bridge.fitting import procrustes  # imports optimisation as well

    order = rng.permutation(len(new))
    fit, rest = order[: len(order) // 2], order[len(order) // 2 :]
    turn = procrustes(new[fit], old[fit])
    before, after = (np.mean(np.sum((rows - old[rest]) ** 2, axis=1)) for rows in (new[rest], new[rest] @ turn))
    return float(np.sqrt(before)), float(np.sqrt(after))


def displaced(new: Rows, old: Rows) -> tuple[Float[ndarray, " n"], int]:
    """How much nearer each row is to another sample's old row, and how many rows are nearest to their own.

    The first is the squared distance of a new row and the old row that is nearest to it, one to one, over the least of
    three: that to its own old row and those of the other old rows to its partner. It is infinite for all other rows.
    """
    new, old = new.astype(np.float32), old.astype(np.float32)
    every = np.arange(len(new))
    # cosines of unit rows: the nearest row has the largest, and few squared distances 2 − 2 cos are needed
    across = new @ old.T
    partner = np.argmax(across, axis=1)
    own, nearest = across[every, every], across[every, partner]
    # an own row that is as near as any is at home
    at_home = nearest - own <= 5e-7
    mutual = np.argmax(across, axis=0)[partner] == every
    away = np.flatnonzero(mutual & ~at_home)
    within = old[partner[away]] @ old.T
    within[np.arange(len(away)), partner[away]] = -np.inf
    alternatives = 2.0 - 2.0 * np.maximum(own[away], within.max(axis=1, initial=-np.inf))
    ratios = np.full(len(new), np.inf)
    ratios[away] = np.maximum(2.0 - 2.0 * nearest[away], 0.0) / np.maximum(alternatives, 1e-12)
    return ratios, int(np.count_nonzero(at_home))


def mixed(new: Float[ndarray, "m m"], old: Float[ndarray, "m m"], near: Bool[ndarray, " m"]) -> Mixed | None:
    """Which set holds two models' vectors: far rows agree among themselves, and not with the rows that stayed near.

    In the mixed set no far row is close to one that stayed. Where both parts have no classes in common, that is so
    in the other set as well, and it is not known which of the two is mixed.
    """
    if min(np.count_nonzero(near), np.count_nonzero(~near)) < FEWEST:
        return None
    far, stayed = np.flatnonzero(~near), np.flatnonzero(near)
    own, across = np.ix_(far, far), np.ix_(far, stayed)
    off = ~np.eye(len(far), dtype=bool)
    within = _correlation(new[own][off], old[own][off])
    if within < max(0.2, 1.5 / np.sqrt(len(far))) or within < 2.0 * abs(_correlation(new[across], old[across])):
        return None

    closeness = [float(np.mean(cosines[across].max(axis=1))) for cosines in (new, old)]
    difference = closeness[0] - closeness[1]
    return "one" if abs(difference) < CLOSER else "new" if difference < 0.0 else "old"


def _correlation(x: ndarray, y: ndarray) -> float:
    x, y = x - x.mean(), y - y.mean()
    scale = float(np.sqrt(np.sum(x**2) * np.sum(y**2)))
    return float(np.sum(x * y)) / scale if scale > 0.0 else 0.0

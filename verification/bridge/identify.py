"""What happened between two models: nothing, a permutation, a rotation, another space, or rows out of order.

Two sets of features of the same samples are compared row by row, on a seeded part where there are many. Models are the
same up to an orthogonal map if, and only if, all cosines among their own rows are equal, whatever the dimensions; that
needs no fit. Equal is equal to a tolerance on the distance of unit rows, by default what storing both in bfloat16
costs, the coarsest of the usual formats: copies in float16 or float32 are far below it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from verification.bridge.comparison import (
    Evidence,
    as_they_are,
    contrasts,
    cosines,
    found_elsewhere,
    matched,
    rows_differ,
    turned,
)
from verification.bridge.splits import take
from verification.features import FeatureSet
from verification.statistics.rows import choose_rows, stream

Relation = Literal[
    "same model", "permutation or sign", "rotation", "labels or rows shuffled", "another space", "other dimension"
]
# rows of both sets roundoff 2⁻⁹ away from what was rounded
TOLERANCE = 2.0**-8
ROWS = 4096
# share of rows, or of pairs of rows, that have to be equal
NEARLY_ALL = 0.99
# distance after the best rotation, over that of other samples of the same classes, at which spaces are near
NEAR = 0.2
# standard deviations of permuted labels, beyond which a contrast of classes is there
SIGNIFICANT = 5.0


@dataclass(frozen=True)
class Identification:
    """What :func:`identify` found.

    Attributes
    ----------
    relation : str
        ``same model``, ``permutation or sign`` (of coordinates), ``rotation`` (a reflection counts), ``labels or rows
        shuffled``, ``another space`` (of one dimension) or ``other dimension``.
    sentence : str
    evidence : Evidence
    dims : (int, int)
        Of the new and the old model.
    tolerance : float
    """

    relation: Relation
    sentence: str
    evidence: Evidence
    dims: tuple[int, int]
    tolerance: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {"schema_version": 1, **asdict(self), "dims": list(self.dims)}

    def lines(self) -> Iterator[str]:
        """The evidence in words."""
        e = self.evidence
        yield f"{e.num_rows} rows compared, dimensions {self.dims[0]} (new) and {self.dims[1]} (old)."
        if e.row_distance is not None:
            yield f"rows as they are: {e.equal_rows:.1%} equal, median distance {e.row_distance:.2g}"
        if e.equal_matched is not None:
            yield (
                f"coordinates matched: {e.equal_matched:.1%} of rows equal, {e.moved} coordinates moved, "
                f"{e.flipped} flipped"
            )
        yield (
            f"cosines within each set: {e.equal_cosines:.1%} equal, they differ by {e.cosine_difference:.2g} "
            f"(other samples of the same classes: {e.cosine_null:.2g})"
        )
        if e.turned_distance is not None:
            yield (
                f"after the best rotation rows are {e.turned_distance:.2g} apart (other samples of the same classes: "
                f"{e.turned_null:.2g})"
            )
        yield (
            f"contrast of classes: new {e.contrast_new:+.3f} ({e.sigma_new:.0f} σ of permuted labels), old "
            f"{e.contrast_old:+.3f} ({e.sigma_old:.0f} σ)"
        )
        if e.labels_differ:
            yield f"labels differ in {e.labels_differ} rows"
        if e.ids_differ:
            yield f"ids differ in {e.ids_differ} rows"
        if e.found_elsewhere is not None:
            yield f"new rows found at another old row: {e.found_elsewhere:.1%}"


def identify(new: FeatureSet, old: FeatureSet, tolerance: float = TOLERANCE, seed: int = 0) -> Identification:
    """Tell what lies between two models' features of the same samples.

    Parameters
    ----------
    new, old : FeatureSet
        As many rows, meant to be of the same samples; labels and dimensions may differ.
    tolerance : float
        ≥ 0: unit rows nearer than this are equal, cosines nearer than twice this.
    seed : int
        ≥ 0, of the part that is compared and of every permutation.

    Returns
    -------
    Identification

    Raises
    ------
    ValueError
        If the sets differ in length or hold fewer than three rows, or an argument is out of range.
    """
    if len(new) != len(old):
        raise ValueError(f"new and old must hold the same samples, got {len(new)} and {len(old)} rows.")
    if len(new) < 3:
        raise ValueError(f"new and old must hold at least three rows, got {len(new)}.")
    if not 0.0 <= tolerance < np.inf:
        raise ValueError(f"tolerance must be a finite number >= 0, got {tolerance!r}.")
    if not (isinstance(seed, int | np.integer) and seed >= 0):
        raise ValueError(f"seed must be an integer >= 0, got {seed!r}.")
    rng = stream(seed, "identify")
    rows = choose_rows(old.codes, np.bincount(old.codes), ROWS, rng)
    u, v = take(new, rows), take(old, rows)
    codes = old.codes[rows]
    row_distance, equal_rows = as_they_are(u, v, tolerance)
    moved, flipped, equal_matched = matched(u, v, tolerance)
    evidence = Evidence(
        len(rows),
        rows_differ(new.labels, old.labels),
        None if new.ids is None or old.ids is None else rows_differ(new.ids, old.ids),
        row_distance,
        equal_rows,
        moved,
        flipped,
        equal_matched,
        *cosines(u, v, codes, tolerance, rng),
        *turned(u, v, codes, rng),
        *contrasts(u, v, new.codes[rows], codes, rng),
        None,
    )
    relation = _relation(evidence, new.dim == old.dim)
    if relation in ("another space", "labels or rows shuffled"):
        evidence = replace(evidence, found_elsewhere=found_elsewhere(u, rows, old, tolerance, rng))
        relation = _relation(evidence, new.dim == old.dim)
    return Identification(relation, _sentence(relation, evidence), evidence, (new.dim, old.dim), tolerance)


def _relation(e: Evidence, one_dimension: bool) -> Relation:
    if not one_dimension:
        return "other dimension"
    if (e.equal_rows or 0.0) >= NEARLY_ALL:
        return "labels or rows shuffled" if e.labels_differ else "same model"
    if (e.found_elsewhere or 0.0) >= NEARLY_ALL:
        return "labels or rows shuffled"
    if e.labels_differ:
        return "labels or rows shuffled"
    if (e.equal_matched or 0.0) >= NEARLY_ALL:
        return "permutation or sign"
    if e.equal_cosines >= NEARLY_ALL:
        return "rotation"
    fits = [sigma >= SIGNIFICANT for sigma in (e.sigma_new, e.sigma_old)]
    return "labels or rows shuffled" if fits[0] != fits[1] else "another space"


def _sentence(relation: Relation, e: Evidence) -> str:
    isometric = e.equal_cosines >= NEARLY_ALL
    if relation == "same model":
        return "The same model: its rows are equal, to rounding."
    if relation == "permutation or sign":
        return (
            f"The same model up to the order or sign of coordinates: {e.moved} moved, {e.flipped} flipped. A bridge "
            "makes up for it exactly."
        )
    if relation == "rotation":
        return "The same model up to a rotation. An orthogonal bridge makes up for it exactly."
    if relation == "other dimension":
        return (
            "The dimensions differ, but all cosines are equal: the same model up to an orthogonal map."
            if isometric
            else "The dimensions differ, and so do the cosines within each set: another model."
        )
    if relation == "another space":
        if e.turned_distance is not None and e.turned_null and e.turned_distance < NEAR * e.turned_null:
            return "One dimension but another space, near a rotation of the old one: as after more training, or noise."
        return "One dimension but another space: another model."
    if (e.found_elsewhere or 0.0) >= NEARLY_ALL:
        return "Rows out of order: new rows are equal to the old rows of other samples."
    if e.labels_differ:
        return f"Labels differ in {e.labels_differ} rows: rows or labels of one of the two are in another order."
    which = "new" if e.sigma_new < e.sigma_old else "old"
    return f"Labels do not fit the {which} features, as if they had been shuffled, or the rows of that file."

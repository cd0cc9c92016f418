"""Whose vectors a gallery holds: the old model's, the new model's, or both."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from verification.bridge.relation import Relation
from verification.bridge.relation_kind import RelationKind
from verification.features import FeatureSet
from verification.search.nearest import search
from verification.statistics.rows import drawing_order, stream

# rows of each model that a gallery's rows are compared with
REFERENCES = 2048
# share of the references that may be assigned to the wrong model, and share of a gallery beyond which it is mixed
MISTAKEN, MIXED = 0.02, 0.02
# rows that are assigned at a time
BLOCK = 8192


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Which rows of a gallery are nearer to the new model's rows than to the old model's.

    Attributes
    ----------
    total : int
        Rows of the gallery.
    rows : ndarray of int
        Positions of those that are of the new model.
    mistaken : float
        Share of the models' own rows that the same rule assigns to the wrong model; beyond 2 % the two spaces cannot be
        told apart by it.
    """

    total: int
    rows: Int[ndarray, " m"]
    mistaken: float

    @property
    def mixed(self) -> bool | None:
        """Whether the gallery holds two models' vectors; None where that cannot be told."""
        if self.mistaken > MISTAKEN:
            return None
        least = max(MIXED, 3.0 * self.mistaken)
        return bool(least <= len(self.rows) / self.total <= 1.0 - least)


def origin(gallery: FeatureSet, new: FeatureSet, old: FeatureSet, seed: int = 0) -> Origin:
    """Assign each row of a gallery to the model of the row that is nearest to it.

    How often that is wrong is counted on the models' own rows, each without itself.

    Parameters
    ----------
    gallery, new, old : FeatureSet
        Sets of one dimension; the gallery may hold other samples than the two others.
    seed : int
        ≥ 0; of the rows of both models, where they have more than 2048.

    Raises
    ------
    ValueError
        If the dimensions differ, or a model has fewer than three rows.
    """
    if not gallery.dim == new.dim == old.dim:
        raise ValueError(f"gallery, new and old must have one dimension, got {gallery.dim}, {new.dim} and {old.dim}.")
    if min(len(new), len(old)) < 3:
        raise ValueError(f"new and old must have at least three rows, got {len(new)} and {len(old)}.")
    rng = stream(seed, "origin")
    models = []
    for features, other in ((new, old), (old, new)):
        # without ids of its own, rows are those of the other set, one by one
        theirs = other.ids if len(other) == len(features) else None
        order = drawing_order(len(features), features.ids, theirs)
        models.append(FeatureSet(features.rows(order[np.sort(rng.permutation(len(features))[:REFERENCES])])))
    mistakes = []
    for own, other in (models, models[::-1]):
        itself = np.arange(len(own))
        mistakes.append(_closeness(own.unit, own, itself) <= _closeness(own.unit, other))
    found, start = [], 0
    for block in gallery.blocks(BLOCK):  # read once
        rows = FeatureSet(block).unit
        found.append(start + np.flatnonzero(_closeness(rows, models[0]) > _closeness(rows, models[1])))
        start += len(block)
    return Origin(total=len(gallery), rows=np.concatenate(found), mistaken=float(np.mean(np.concatenate(mistakes))))


def _closeness(
    rows: Float[ndarray, "n dim"], references: FeatureSet, units: Int[ndarray, " n"] | None = None
) -> Float[ndarray, " n"]:
    """Cosine of each row and the nearest reference, without itself where it is one."""
    return search([rows], references, 1, query_units=units, item_units=units).similarity[0, :, 0]


def with_gallery(found: Relation, gallery: Origin) -> Relation:
    """Return what lies between two models with what a gallery holds: the answer, where it is mixed, else a note."""
    if gallery.mixed:
        return replace(
            found,
            relation=RelationKind.mixture,
            sentence=f"The gallery holds the vectors of two models: {len(gallery.rows):,} of {gallery.total:,} rows "
            "are nearest to rows of the new model, and the others to rows of the old one.",
            next_step="Embed the gallery again with one model (--rows PATH writes the rows of the new one).",
            rows=gallery.rows,
            count=len(gallery.rows),
            total=gallery.total,
            notes=(f"Between the two models: {found.relation.value}. {found.sentence}", *found.notes),
        )
    if gallery.mixed is None:
        note = (
            f"It cannot be told whose rows the gallery holds: {100.0 * gallery.mistaken:.0f} % of the models' own rows "
            "are as near to the other model's."
        )
    else:
        which = "new" if len(gallery.rows) > gallery.total / 2 else "old"
        note = f"The gallery holds the vectors of the {which} model."
    return replace(found, notes=(*found.notes, note))

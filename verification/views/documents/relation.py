"""What a check says: what happened between two models, what was measured, and which rows the answer is about."""

from __future__ import annotations

from collections.abc import Iterator

from numpy import ndarray

from verification.bridge.relation import Relation
from verification.views.document import Document, Section, named, sections
from verification.views.labels import label
from verification.views.numbers import count, digits, measured, percent, plural, share

# rows that are named
NAMED = 10


def relation(found: Relation, ids: ndarray | None = None) -> Document:
    """The answer, the evidence in counts and distances, and the rows concerned.

    Parameters
    ----------
    found : Relation
    ids : ndarray, optional
        Of the set that the rows are of; without them rows are named by their positions.
    """
    return Document(
        verdict=found.relation.value,
        answer=found.sentence,
        next_step=found.next_step,
        sections=sections(
            Section("What was measured", (named(_evidence(found), "Rows are compared at unit length"),)),
            _rows(found, ids),
            _neighbours(found),
            Section("Notes on the data", found.notes),
        ),
    )


def _evidence(found: Relation) -> Iterator[tuple[str, str]]:
    e = found.evidence
    yield "rows compared", f"{count(e.num_rows)} of {count(found.total)}"
    yield "dimension, new and old", f"{count(found.dims[0])} and {count(found.dims[1])}"
    if e.equal is not None:
        yield "counts as equal up to", measured(e.tolerance)
        yield "equal rows", f"{count(round(e.equal * e.num_rows))} ({percent(e.equal)})"
    if e.median_distance is not None and e.largest_distance is not None:
        yield "distance, median", measured(e.median_distance)
        yield "distance, largest", measured(e.largest_distance)
    if e.other_distance is not None:
        yield "distance of different samples", measured(e.other_distance)
    if e.coordinates is not None and (e.coordinates.moved or e.coordinates.flipped):
        yield "coordinates in another place", count(e.coordinates.moved)
        yield "coordinates of the other sign", count(e.coordinates.flipped)
        yield "equal rows after matching them", percent(e.coordinates.equal)
    if e.left_by_rotation is not None:
        yield "left by the best orthogonal map", measured(e.left_by_rotation)
    if e.before_rotation is not None and e.after_rotation is not None:
        yield "held-out rows, best rotation", f"{measured(e.before_rotation)} → {measured(e.after_rotation)}"
    short, long = map(digits, e.length_ratios)
    if short != "1" or long != "1":
        yield "length of a new row over the old", f"{short} to {long}"


def _rows(found: Relation, ids: ndarray | None) -> Section | None:
    """The first of the rows that the answer is about."""
    if found.rows is None or not len(found.rows):
        return None
    some = found.rows[:NAMED]
    listed = ", ".join(label(value) for value in (some if ids is None else ids[some]).tolist())
    more = ", …" if len(found.rows) > len(some) else ""
    how = "Their positions, counted from 0, are" if ids is None else "Their ids are"
    return Section(
        "Rows concerned",
        (f"The answer is about {plural(len(found.rows), 'row')}. {how} {listed}{more or '.'}",),
    )


def _neighbours(found: Relation) -> Section | None:
    if found.neighbours is None:
        return None
    kept = share(found.neighbours)
    return Section(
        "Neighbours",
        (
            f"New rows have {kept} of the nearest old rows that old rows of the same samples have. This is "
            "agreement and not quality: a better model has other neighbours, too.",
        ),
    )

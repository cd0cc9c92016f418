"""What happened between two models: nothing, rounding, a rotation, other rows, an update, or another space.

Rows of the same samples are compared, by ids where both sets have ids and else row by row. Labels are not needed; where
both sets have them, they serve for one question only: whether rows that match nowhere fit their labels.

:func:`relate` measures a seeded part of the rows (:mod:`verification.bridge.evidence`) and decides in
:func:`decide`, the only place where evidence becomes an answer. Where the answer is about single rows, or where it is
asked to, it reads all of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from theory.files import write_atomically, write_text
from verification.bridge.evidence import NEAR, NEARER, SINGLE, Evidence, cutoff, displaced, measure
from verification.bridge.relation_kind import RelationKind
from verification.features import FeatureSet, common_codes, examples, places
from verification.features.files.shards import is_code
from verification.reporting import json_safe
from verification.search.nearest import nearest_rows, search, share_kept
from verification.statistics.interval import Interval
from verification.statistics.rows import in_order, ranks_of, stream
from verification.statistics.stratified import Side, check_sample, draw_classes
from verification.statistics.sums import class_sums

# of relation reports
SCHEMA_VERSION = 2
# rows that are measured, numbers that they may have, and how few there are at least
ROWS, NUMBERS, FEWEST = 2560, 2**25, 32
# share of rows that have to be equal for a match of coordinates, and that have to change for single rows to be named
NEARLY_ALL, SOME = 0.99, 0.05
# root mean square move, as a share of a row, up to which incoherent moves are called noise
NOISE = 0.3
# cosine of the moves of neighbours above which they are coherent
COHERENT = 0.15
# share of what was before the best rotation: above, it is no better
NO_BETTER = 0.9
# what the best rotation leaves of the distance of different samples, below which two spaces are near a rotation
NEAR_ROTATION = 0.3
# alignment above which two spaces are one, and the share of the distance to other samples below which rows stayed
ALIGNED, STAYED = 0.5, 0.95
# share of the rows with a partner that are displaced where rows are in another order: if much nearer there, and if only
# nearer, as few unrelated rows are by chance
DISPLACED, MANY_DISPLACED, BY_CHANCE = 0.01, 0.25, 0.02
# standard deviations of permuted labels beyond which classes show, and how many permutations there are
SIGNIFICANT, PERMUTATIONS = 5.0, 20
# queries and gallery of the question whether neighbours stay, and neighbours of each
QUERIES, NEIGHBOURS = 512, 10
# rows that may be asked for: all pairs of them are looked at
MOST_SAMPLED = 2**14


@dataclass(frozen=True, kw_only=True)
class Relation:
    """What happened between two models, as :func:`relate` found it.

    Attributes
    ----------
    relation : RelationKind
    sentence : str
        The answer in words.
    next_step : str
        What to do about it.
    dims : (int, int)
        Dimensions of the new and of the old model.
    total : int
        Number of rows that the two sets share.
    count : int
        Number of rows that the answer is about: those that changed, that another model made or that are in another
        place; otherwise all rows.
    rows : ndarray of int or None
        Sorted positions of these rows in the old set; None if the answer is about all rows.
    complete : bool
        True if every row was compared, False if only a random part was.
    evidence : Evidence
    neighbours : Interval or None
        Share of the ten nearest old rows of an old row that are also among the ten nearest old rows of the sample's new
        row. It says how far the models agree, and not which is better. None if the dimensions differ.
    notes : tuple of str
        Remarks on how rows were paired and on what the labels say.
    """

    relation: RelationKind
    sentence: str
    next_step: str
    dims: tuple[int, int]
    total: int
    count: int
    rows: Int[ndarray, " m"] | None
    complete: bool
    evidence: Evidence
    neighbours: Interval | None
    notes: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether it is the same model, up to what its values are stored in."""
        return self.relation == RelationKind.same

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; of the rows concerned at most a thousand."""
        found = asdict(self)
        found["rows"] = None if self.rows is None else self.rows[:1000].tolist()
        if (coordinates := self.evidence.coordinates) is not None:
            found["evidence"]["coordinates"] = {
                "moved": coordinates.moved,
                "flipped": coordinates.flipped,
                "equal": coordinates.equal,
                "place": coordinates.place[:4096].tolist(),
            }
        return json_safe({"schema_version": SCHEMA_VERSION, **found})

    def to_html(self, path: str | os.PathLike[str], title: str | None = None) -> None:
        """Write the report as one page; the file appears whole or not at all."""
        from verification.views.page import to_html

        to_html(self, path, title=title)

    def to_markdown(self) -> str:
        """Return the report as Markdown."""
        from verification.views import documents, markdown

        return markdown.render(documents.document(self))


def relate(
    new: FeatureSet,
    old: FeatureSet,
    tolerance: float | None = None,
    seed: int = 0,
    every_row: bool = False,
    sample: int | None = None,
) -> Relation:
    """Find out what happened between two models from their features of the same samples.

    Parameters
    ----------
    new, old : FeatureSet
        Features of the same samples. Rows are paired by ids if both sets have ids, otherwise row by row. Dimensions
        may differ.
    tolerance : float, optional
        Unit rows that are nearer than this count as equal, ≥ 0. By default, it is the rounding of the format in which
        the rows are stored, and at least that of float16 (2⁻¹⁰).
    seed : int
        Seed ≥ 0 of the choice of rows that are measured if there are many.
    every_row : bool
        Whether to compare all rows, however many there are, and to name each one that the answer is about.
    sample : int, optional
        Number of rows to read, from 4 to 16 384; no other row is read. They are drawn by class if the old set has
        labels, and in whole groups within a class if it has groups.

    Raises
    ------
    ValueError
        If the sets do not belong together or share fewer than three rows, one of them holds a single row many times,
        or an argument is out of range.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    if tolerance is not None and not 0.0 <= tolerance < np.inf:
        raise ValueError(f"tolerance must be a finite number >= 0, got {tolerance!r}.")
    if not (isinstance(seed, int | np.integer) and seed >= 0):
        raise ValueError(f"seed must be an integer >= 0, got {seed!r}.")
    check_sample(sample)
    if sample is not None and (sample > MOST_SAMPLED or every_row):
        what = (
            f"at most {MOST_SAMPLED:,}, got {sample:,}"
            if sample > MOST_SAMPLED
            else "left out where every row is named"
        )
        raise ValueError(f"sample must be {what}.")
    if (signs := _unpacked(new, old)) is not None:
        found = relate(*signs, tolerance, seed, every_row, sample)
        if found.relation == RelationKind.quantised:
            return found
    pairs, notes = _pair(new, old)
    total = len(pairs)
    if total < 3:
        raise ValueError(f"new and old must share at least three rows, got {total}.")
    labels_differ = _labels_differ(new, old, pairs)
    if labels_differ:
        notes.append(f"The labels of {labels_differ:,} rows differ.")
    rng, order = stream(seed, "relation"), in_order(pairs[:, 1], ranks_of(new.ids if old.ids is None else old.ids))
    budget = max(FEWEST, min(ROWS, NUMBERS // max(new.dim, old.dim)))
    if sample is None:
        part = order if total <= budget else order[np.sort(rng.permutation(total)[:budget])]
    else:
        part = order[_sampled(old, pairs[order, 1], sample, seed)]
        if len(part) < total:
            notes.append(
                f"{len(part):,} of the {total:,} rows were drawn with seed {seed}, and no other row was looked at."
            )
    chosen = [features.fetch(own) for features, own in zip((new, old), pairs[part].T, strict=True)]
    # of so few rows, more threads take more of the cores' time and hardly less of the user's
    with threadpool_limits(1, user_api="blas"):
        evidence = measure(
            (chosen[0].features.astype(np.float64), chosen[1].features.astype(np.float64)), tolerance, rng
        )
    fits = _fit_labels(chosen, rng) if labels_differ == 0 else None
    kind = decide(evidence, new.dim == old.dim, len(part) / total, bool(labels_differ), fits)
    one_row = [
        name for name, each in zip(("new", "old"), chosen, strict=True) if np.all(each.features == each.features[0])
    ]
    if len(one_row) == 1 and kind != RelationKind.quantised:
        raise ValueError(
            f"{one_row[0]} must hold different rows, but all {len(part):,} that were looked at are the same row: look "
            "at how its file was written."
        )
    complete = len(part) == total
    # what the answer speaks of: all rows, unless no other than the sample was to be read
    measured = complete or sample is not None
    looked, sets = (part, chosen) if measured else (np.arange(total), [new, old])
    rows = None
    if new.dim == old.dim and (kind in _ABOUT_ROWS or (every_row and kind == RelationKind.same and not complete)):
        own = np.stack([np.arange(len(part))] * 2, axis=1) if measured else pairs
        rows = _find_rows(kind, (sets[0], sets[1]), own, evidence, measured, every_row)
        complete = complete or (rows is not None and sample is None)
        if kind == RelationKind.same and rows is not None:
            kind, rows = (RelationKind.part, rows) if len(rows) else (kind, None)
    count = len(looked) if rows is None else len(rows)
    sentence, next_step = _WORDS[kind](evidence, (new.dim, old.dim), count, len(looked))
    if kind == RelationKind.order and new.ids is not None and old.ids is not None:
        next_step = (
            "Rows were joined by their ids, so one set has ids or labels that are not of its rows: find out how its "
            "file was written, and write it again."
        )
    if not complete:
        sentence += _of_a_part(kind, len(part), total)
    return Relation(
        relation=kind,
        sentence=sentence,
        next_step=next_step,
        dims=(new.dim, old.dim),
        total=total,
        count=count,
        rows=None if rows is None else np.sort(pairs[looked[rows], 1]),
        complete=complete,
        evidence=evidence,
        neighbours=neighbours(chosen[0], chosen[1], seed=seed) if new.dim == old.dim else None,
        notes=tuple(notes),
    )


def _unpacked(new: FeatureSet, old: FeatureSet) -> tuple[FeatureSet, FeatureSet] | None:
    """Both sets, where one may hold the packed signs of the other: with its bytes as eight signs each; else None."""

    def may_hold(codes: FeatureSet, values: FeatureSet) -> bool:
        return is_code(codes.stored) and not is_code(values.stored) and 1 < codes.dim == -(-values.dim // 8)

    if may_hold(new, old):
        return new.signs(old.dim), old
    return (new, old.signs(new.dim)) if may_hold(old, new) else None


def check_rows_path(path: Path) -> None:
    """Raise ValueError unless rows are written to such a path."""
    if path.suffix not in (".npy", ".txt"):
        raise ValueError(f"{path}: rows are written to .npy or .txt, got suffix {path.suffix!r}.")


def write_rows(path: Path, rows: Int[ndarray, " m"] | None, ids: ndarray | None) -> None:
    """Write the rows that an answer is about, none where it is about all.

    Parameters
    ----------
    path : Path
        ``.npy``: positions; ``.txt``: one id per line, or position where there are no ids.
    rows : ndarray of int, or None
    ids : ndarray, or None
        Ids of the set to which the rows belong.

    Raises
    ------
    ValueError
        For another suffix.
    """
    check_rows_path(path)
    rows = np.empty(0, dtype=np.intp) if rows is None else rows
    if path.suffix == ".npy":
        write_atomically(path, lambda file: np.save(file, rows, allow_pickle=False))
        return
    names = rows if ids is None else ids[rows]
    text = "".join(f"{name}\n" for name in names.tolist())
    write_text(path, text)


def decide(
    e: Evidence,
    same_dim: bool,
    sampled: float = 1.0,
    labels_differ: bool = False,
    fits: tuple[bool, bool] | None = None,
) -> RelationKind:
    """Decide what the evidence says.

    Parameters
    ----------
    e : Evidence
    same_dim : bool
        Whether the dimensions are equal.
    sampled : float
        Share of the rows that were measured: of displaced rows so many have their partner among them.
    labels_differ : bool
        Whether labels differ row by row.
    fits : (bool, bool), optional
        Whether labels show in the new and in the old rows, where both sets have the same labels.
    """
    unfit = labels_differ or (fits is not None and fits[0] != fits[1])
    if not same_dim:
        if e.coordinates is not None and e.coordinates.equal >= NEARLY_ALL:
            return RelationKind.subset if e.coordinates.moved or e.coordinates.flipped else RelationKind.truncated
        if e.left_by_rotation is not None and e.left_by_rotation <= e.tolerance:
            return RelationKind.isometric
        return RelationKind.order if unfit else RelationKind.dimension
    if e.quantised is not None:
        return RelationKind.quantised
    if e.equal == 1.0:
        short, long = e.length_ratios
        return RelationKind.same if 0.99 <= short <= long <= 1.01 else RelationKind.lengths
    assert e.equal is not None
    if _is_order(e, sampled):
        return RelationKind.order
    if e.mixture is not None and min(e.near or 0.0, 1.0 - (e.near or 0.0)) >= SOME / 2.0:
        return RelationKind.mixture
    if (c := e.coordinates) is not None and (c.moved or c.flipped) and c.equal >= NEARLY_ALL:
        return RelationKind.permutation
    if e.equal >= SOME and e.equal * e.num_rows >= 3.0:
        return RelationKind.part
    if e.left_by_rotation is not None and e.left_by_rotation <= e.tolerance:
        return RelationKind.rotation
    if _is_noise(e):
        return RelationKind.noise
    if _stayed(e):
        return RelationKind.updated
    return RelationKind.order if unfit else RelationKind.space


def _is_order(e: Evidence, sampled: float) -> bool:
    """Whether rows are at the places of others: many of them, or some much nearer there than anywhere."""
    assert e.displaced is not None
    assert e.far_displaced is not None
    assert e.at_home is not None
    # as many have their partner among the rows that were measured
    there = e.num_rows * sampled
    if e.displaced >= max(MANY_DISPLACED * there, BY_CHANCE * e.num_rows) and e.displaced >= 0.5 * e.at_home:
        return True
    enough = e.far_displaced >= max(2.0, DISPLACED * there)
    return enough and (bool(e.equal) or e.far_displaced >= 0.5 * min(e.at_home, there))


def _is_noise(e: Evidence) -> bool:
    """Whether rows moved little, each in a direction of its own, and no rotation brings them nearer."""
    assert e.median_distance is not None
    no_better = (
        e.after_rotation is None or e.before_rotation is None or e.after_rotation >= NO_BETTER * e.before_rotation
    )
    return (
        e.median_distance <= NOISE and (e.near or 0.0) >= NEARLY_ALL and (e.coherence or 0.0) < COHERENT and no_better
    )


def _stayed(e: Evidence) -> bool:
    """Whether rows moved less than samples differ, and no rotation explains more."""
    assert e.median_distance is not None
    assert e.other_distance is not None
    return (e.alignment or 0.0) > ALIGNED and e.median_distance < STAYED * e.other_distance


# answers that name rows
_ABOUT_ROWS = (RelationKind.part, RelationKind.mixture, RelationKind.order)


def _pair(new: FeatureSet, old: FeatureSet) -> tuple[Int[ndarray, "n 2"], list[str]]:
    """Rows of the same samples, (new, old), in the order of the old set."""
    if new.ids is None or old.ids is None:
        if len(new) != len(old):
            raise ValueError(
                f"new and old must hold the same samples, got {len(new)} and {len(old)} rows; where both have ids "
                "(--ids), the rows that they share are compared."
            )
        every = np.arange(len(new))
        return np.stack([every, every], axis=1), []
    row = places(new.ids, old.ids)
    there = np.flatnonzero(row >= 0)
    pairs = np.stack([row[there], there], axis=1)
    if not len(pairs):
        raise ValueError(
            f"new and old share no id, the first are {examples(new.ids, old.ids)}: they are not of the same samples, "
            "or their ids are written in different ways."
        )
    if len(pairs) < max(len(new), len(old)):
        return pairs, [
            f"{len(pairs):,} rows were joined by their ids; {len(new) - len(pairs):,} ids are only in the new set and "
            f"{len(old) - len(pairs):,} only in the old one."
        ]
    moved = int(np.count_nonzero(pairs[:, 0] != pairs[:, 1]))
    return pairs, [f"Rows were joined by their ids; {moved:,} were in another place."] if moved else []


def _sampled(old: FeatureSet, rows: Int[ndarray, " n"], sample: int, seed: int) -> Int[ndarray, " m"]:
    """Sorted positions in ``rows`` of a stratified sample of them; rows without a label are a class of their own."""
    codes = old.codes[rows] if old.labels is not None else np.zeros(len(rows), dtype=np.intp)
    num_classes = int(codes.max()) + 1
    strata = np.where(codes >= 0, codes, num_classes)
    units = None
    if old.groups is not None:
        groups = common_codes(old.groups, what="groups")[1][rows]
        units = np.unique(np.stack([strata, groups]), axis=1, return_inverse=True)[1].ravel()
    side = Side(name="rows", strata=strata, units=units)
    return side.draw(sample, draw_classes([side], num_classes, sample, seed), seed)


def _labels_differ(new: FeatureSet, old: FeatureSet, pairs: Int[ndarray, "n 2"]) -> int | None:
    """Rows with different labels; None where not both sets have labels."""
    if new.labels is None or old.labels is None:
        return None
    if (new.labels.dtype.kind == "U") != (old.labels.dtype.kind == "U"):
        return len(pairs)
    _, mine, theirs = common_codes(new, old)
    return int(np.count_nonzero(mine[pairs[:, 0]] != theirs[pairs[:, 1]]))


def _fit_labels(sets: list[FeatureSet], rng: np.random.Generator) -> tuple[bool, bool] | None:
    """Whether classes show in either set beyond what permuted labels give; None without two classes of two rows."""
    codes = sets[1].codes
    known = codes >= 0
    codes = codes[known]
    sizes = np.bincount(codes)
    if np.count_nonzero(sizes) < 2 or np.all(sizes <= 1):
        return None
    found = []
    for features in sets:
        rows = features.unit[known]
        values = [contrast(rows, codes), *(contrast(rows, rng.permutation(codes)) for _ in range(PERMUTATIONS))]
        spread = float(np.std(values[1:], ddof=1))
        found.append(bool(values[0] - np.mean(values[1:]) > SIGNIFICANT * spread))
    return found[0], found[1]


def contrast(rows: Float[ndarray, "n dim"], codes: Int[ndarray, " n"]) -> float:
    """Mean squared distance of unit rows of different classes less that within classes; 0 where one has no pairs."""
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


def _find_rows(
    kind: RelationKind,
    sets: tuple[FeatureSet, FeatureSet],
    pairs: Int[ndarray, "n 2"],
    e: Evidence,
    measured: bool,
    every_row: bool,
) -> Int[ndarray, " m"] | None:
    """Which pairs of rows the answer is about; None where only the part that was measured tells.

    ``measured``: whether these are the rows that were measured, and no more.
    """
    new, old = sets
    if kind != RelationKind.order:
        distances = _distances(new, old, pairs)
        if kind == RelationKind.mixture:
            assert e.other_distance is not None
            return np.flatnonzero(distances**2 >= NEAR * e.other_distance**2)
        return np.flatnonzero(distances > cutoff(distances, e.tolerance))
    if not e.displaced:
        return None
    if measured:
        return np.flatnonzero(displaced(new.unit, old.unit)[0] < NEARER)
    if not every_row:  # each row is searched among all others
        return None
    nearest = nearest_rows(new.select(pairs[:, 0]), old.select(pairs[:, 1]), 1)[:, 0]
    return np.flatnonzero(nearest != np.arange(len(pairs)))


def _distances(new: FeatureSet, old: FeatureSet, pairs: Int[ndarray, "n 2"]) -> Float[ndarray, " n"]:
    """Distances of the unit rows of every pair, block by block."""
    ordered = [features.select(own) for features, own in zip((new, old), pairs.T, strict=True)]
    blocks = zip(ordered[0].normalized_blocks(), ordered[1].normalized_blocks(), strict=True)
    return np.concatenate([np.linalg.norm(u.astype(np.float64) - v, axis=1) for u, v in blocks])


def neighbours(new: FeatureSet, old: FeatureSet, k: int = NEIGHBOURS, seed: int = 0) -> Interval:
    """Share of the k nearest old rows that a query keeps when the new model asks, with a 95 % interval over queries.

    Parameters
    ----------
    new, old : FeatureSet
        The same samples, row by row; a query never finds its own row.
    k : int
        Cut to the rows that there are.
    seed : int
        Of the queries, at most 512.
    """
    k = min(k, len(old) - 2)
    some = np.sort(stream(seed, "neighbours").permutation(len(old))[:QUERIES])
    found = search(
        [new.rows(some), old.rows(some)], old, max(k, 1), query_units=some, item_units=np.arange(len(old))
    ).rows
    return share_kept(found[1], found[0], 0.95)


def _of_a_part(kind: RelationKind, measured: int, total: int) -> str:
    told = f" This was seen on a random part of {measured:,} of the {total:,} rows"
    if kind != RelationKind.same:
        return f"{told}."
    # of so many rows none differs: with 95 % confidence below the share that would give none in one of twenty parts
    most = 1.0 - 0.05 ** (1.0 / measured)
    return f"{told}, so with 95 % confidence at most {100.0 * most:.2g} % of all rows differ."


Words = Callable[[Evidence, tuple[int, int], int, int], tuple[str, str]]


def _percent(share: float | None) -> str:
    percent = 100.0 * (share or 0.0)
    return f"{percent:.0f} %" if percent >= 10.0 else f"{percent:.2g} %"


def _same(e: Evidence, dims: tuple[int, int], count: int, total: int) -> tuple[str, str]:
    largest = e.largest_distance or 0.0
    if largest <= SINGLE:
        how = "rows are equal" if largest == 0.0 else "rows are equal to the rounding of float32"
    elif e.stored is not None:
        how = f"rows are stored in {e.stored}"
    elif largest <= 2.0**-10:
        how = "rows are equal to half precision"
    else:
        how = "rows are equal to the tolerance"
    return f"The same model: {how} (largest distance {largest:.1e}).", "Nothing needs to be done."


def _quantised(e: Evidence, dims: tuple[int, int], count: int, total: int) -> tuple[str, str]:
    return (
        f"The same model, quantised to {e.quantised}: one set holds codes of the other's values. Rows are "
        f"{_percent(e.median_distance)} of a row apart.",
        "Search codes with the distance that is made for them, and run stationary audit NEW OLD to judge what that "
        "costs.",
    )


def _lengths(e: Evidence, dims: tuple[int, int], count: int, total: int) -> tuple[str, str]:
    short, long = e.length_ratios
    by = f"{short:.3g}" if long <= 1.001 * short else f"{short:.3g} to {long:.3g}"
    return (
        f"The same directions, but new rows are {by} times as long as the old ones. Cosines are equal; inner products "
        "and Euclidean distances of rows as they are stored are not.",
        "Normalise the rows wherever an index compares inner products or Euclidean distances.",
    )


def _noise(e: Evidence, dims: tuple[int, int], count: int, total: int) -> tuple[str, str]:
    return (
        f"The same model with noise of {_percent(e.median_distance)} of a row: every row moved in a direction of its "
        "own, and no rotation brings them nearer.",
        "A map cannot help. Run stationary audit NEW OLD to judge what the noise costs, and say which loss you accept "
        "(--retrieval-margin).",
    )


def _truncated(e: Evidence, dims: tuple[int, int], count: int, total: int) -> tuple[str, str]:
    k = min(dims)
    narrow, wide = ("new", "old") if dims[0] < dims[1] else ("old", "new")
    cut = "the old gallery" if wide == "old" else "the new queries"
    return (
        f"The {narrow} model is the first {k} coordinates of the {wide} one, normalised.",
        f"Cut {cut} to the first {k} coordinates and normalise: the rows are then equal.",
    )


def _subset(e: Evidence, dims: tuple[int, int], count: int, total: int) -> tuple[str, str]:
    assert e.coordinates is not None
    narrow, wide = ("new", "old") if dims[0] < dims[1] else ("old", "new")
    signs = f", {e.coordinates.flipped} of them with the other sign" if e.coordinates.flipped else ""
    return (
        f"The {narrow} model is {min(dims)} of the {max(dims)} coordinates of the {wide} one{signs}, normalised.",
        "Take these coordinates of the wider set (--json lists them) and normalise: the rows are then equal.",
    )


def _permutation(e: Evidence, dims: tuple[int, int], count: int, total: int) -> tuple[str, str]:
    assert e.coordinates is not None
    return (
        f"The same model with its coordinates in another order or of another sign: {e.coordinates.moved} are in "
        f"another place, {e.coordinates.flipped} have the other sign.",
        "Put the coordinates back (--json lists their places), or fit a map with stationary bridge fit NEW OLD.",
    )


def _rotation(e: Evidence, dims: tuple[int, int], count: int, total: int) -> tuple[str, str]:
    return (
        "The same model, rotated or reflected: all cosines are equal to rounding.",
        "Fit an orthogonal map with stationary bridge fit NEW OLD: it leaves rounding errors only.",
    )


def _part(e: Evidence, dims: tuple[int, int], count: int, total: int) -> tuple[str, str]:
    return (
        f"Mostly the same model: {total - count:,} of {total:,} rows are equal, and {count:,} changed."
        if count <= total / 2
        else f"Partly the same model: {total - count:,} of {total:,} rows are equal, and {count:,} changed.",
        "Look at the rows that changed (--rows PATH writes them), and at what their inputs have in common.",
    )


def _mixture(e: Evidence, dims: tuple[int, int], count: int, total: int) -> tuple[str, str]:
    return (
        f"{'One' if e.mixture == 'one' else f'The {e.mixture}'} set holds the vectors of two models: {count:,} of "
        f"{total:,} rows are of another space than the rest.",
        "Embed these rows again with one model (--rows PATH writes them).",
    )


def _order(e: Evidence, dims: tuple[int, int], count: int, total: int) -> tuple[str, str]:
    if not e.displaced:
        return (
            "Rows or labels of one set are in another order: the labels do not fit both sets.",
            "Give both sets ids (--ids), by which rows are joined.",
        )
    about = f"{count:,} of {total:,} new rows" if count < total else "new rows"
    return (
        f"Rows are in another order: {about} are nearest, one to one, to the old row of another sample.",
        "Give both sets ids (--ids), by which rows are joined, or put the rows in one order.",
    )


def _apart(e: Evidence) -> str:
    """How far the two rows of one sample are apart, beside rows of different samples."""
    return (
        f"the new and the old row of one sample are {e.median_distance or 0.0:.2g} apart (median, rows of length 1), "
        f"where rows of different samples are {e.other_distance or 0.0:.2g} apart"
    )


def _updated(e: Evidence, dims: tuple[int, int], count: int, total: int) -> tuple[str, str]:
    return (
        f"The same space, updated: {_apart(e)}.",
        "Run stationary audit NEW OLD to judge whether new queries may search the old gallery.",
    )


def _space(e: Evidence, dims: tuple[int, int], count: int, total: int) -> tuple[str, str]:
    if e.left_by_rotation is not None and e.left_by_rotation < NEAR_ROTATION * (e.other_distance or 0.0):
        return (
            f"Another space, near a rotation of the old one, which leaves {_percent(e.left_by_rotation)} of a row.",
            "Fit a map with stationary bridge fit NEW OLD.",
        )
    return (
        f"Another space: {_apart(e)}, and the directions do not agree."
        if (e.median_distance or 0.0) < STAYED * (e.other_distance or 0.0)
        else "Another space: rows of one sample are as far apart as those of different samples.",
        "Embed the gallery again with the new model, or look for a map with stationary bridge fit NEW OLD.",
    )


def _isometric(e: Evidence, dims: tuple[int, int], count: int, total: int) -> tuple[str, str]:
    return (
        "The dimensions differ, but all cosines are equal to rounding: the same model up to an orthogonal map.",
        "Fit an orthogonal map with stationary bridge fit NEW OLD: it leaves rounding errors only.",
    )


def _dimension(e: Evidence, dims: tuple[int, int], count: int, total: int) -> tuple[str, str]:
    return (
        "The dimensions differ, and so do the cosines within each set: another model.",
        "Embed the gallery again with the new model, or look for a map with stationary bridge fit NEW OLD.",
    )


_WORDS: dict[RelationKind, Words] = {
    RelationKind.same: _same,
    RelationKind.quantised: _quantised,
    RelationKind.lengths: _lengths,
    RelationKind.noise: _noise,
    RelationKind.truncated: _truncated,
    RelationKind.subset: _subset,
    RelationKind.permutation: _permutation,
    RelationKind.rotation: _rotation,
    RelationKind.part: _part,
    RelationKind.mixture: _mixture,
    RelationKind.order: _order,
    RelationKind.updated: _updated,
    RelationKind.space: _space,
    RelationKind.isometric: _isometric,
    RelationKind.dimension: _dimension,
}

"""Who is compared with whom: queries by a new and an old model, and the gallery that they search.

An :class:`Upgrade` is built once from the features, checked once, and read by everything that compares. It owns how
rows pair (by ids, or row by row), which rows have an identity, which pairs never meet, the sums by class that mean
distances need, and the rows that are kept in memory for whatever needs single rows.

Rows that *never meet* form a unit: a row and itself, rows with one id, equal rows (copies), and rows of one label and
one group (shots of one thing). A unit is also what varies independently, so intervals count units and not rows.
"""

from __future__ import annotations

import copy
import hashlib
import math
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from learning.progress import Progress, counter
from verification.features import FeatureSet, common_codes, examples, places
from verification.features.columns import SEPARATOR
from verification.features.compression import Compression
from verification.search.judgements import Judgements
from verification.statistics.collect import Map, RowFacts, collect
from verification.statistics.gaps import statistics
from verification.statistics.linear import LeftOut
from verification.statistics.protocol import Statistics
from verification.statistics.rows import Rows, choose_rows, in_order, ranks_of, stream
from verification.statistics.stratified import Sample, Side, check_sample, draw_classes
from verification.statistics.sums import ClassSums

Join = Literal["exact", "inner"]
EXCLUSIONS = ("copies", "groups")
# numbers kept of each model's rows, where N·d is larger
KEPT = 2**23
# rows of both models that are compared at once
COMPARED_ROWS = 2**12
# numbers of unit sums that are held at once
UNIT_NUMBERS = 2**24
# rows of whole classes that are looked at for their order, and how many of one class
ORDER_ROWS, ORDER_CLASS = 4096, 256
# share of a class's rows that are displaced where it is in another order, and of all rows that are displaced or at home
# where both models speak of one space
DISPLACED, SAME_SPACE = 0.7, 0.7
# how much nearer a displaced row is to its partner, in squared distance
NEARER = 0.5
# longest over shortest row, beyond which lengths are pointed at
UNEQUAL = 1.01
# pairs of a query and an item that share a label, of which all are held
MOST_SHARED = 2**25
SHARED = (
    "Rows have several labels, and an item answers a query if they share one. Definition 1, the contrast of classes "
    "and accept thresholds need one label per row and were left out."
)
# share of all pairs of one class beyond which the class is pointed at, and of a class's rows beyond which a group is,
# where such classes have this share of all pairs
LARGE_SHARE, NOTED_SHARE = 0.5, 0.1


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What one pass over the data tells.

    Attributes
    ----------
    rows, gallery : Rows
        Unit rows kept of the queries, (new, old), and of a gallery, (old,), sorted by class; None without a gallery.
    sums, gallery_sums : ClassSums
        Over all rows, of (new − old, old) and of (old,).
    left_out : LeftOut or None
        Pairs of one class that never meet; None where each query leaves out itself alone.
    units, gallery_units : ndarray of int, shape (N,), (M,), or None
        None where each row is a unit of its own and no query is in the gallery.
    copies : int
        Queries whose old row is equal to that of another row of their class.
    in_gallery : int
        Queries that the gallery holds, by id or as an equal row.
    lengths : ndarray, shape (2, 2)
        Shortest and longest row of the new and of the old model.
    digests : dict
        SHA-256 over each input's rows, rounded to float32, in their order.
    """

    rows: Rows
    gallery: Rows | None
    sums: ClassSums
    gallery_sums: ClassSums | None
    left_out: LeftOut | None
    units: Int[ndarray, " n"] | None
    gallery_units: Int[ndarray, " m"] | None
    copies: int
    in_gallery: int
    lengths: Float[ndarray, "2 2"]
    digests: dict[str, str]


class Upgrade:
    """Features of the same samples by two models, and the gallery that they search.

    Parameters
    ----------
    new, old : FeatureSet
        The queries. Rows are paired by ids, in any order, if both sets have ids, else row by row; then labels must
        agree.
    gallery : FeatureSet, optional
        Old-model features of the gallery. Without it the queries search each other.
    new_gallery : FeatureSet, optional
        The gallery embedded by the new model, row by row as ``gallery``.
    relevance : "labels", Judgements, or path of a file of judgements
        What answers a query: an item of its label (or one that shares a label, if rows have several), or one that was
        judged relevant (qrels). Judgements need a gallery, and of a file the ids of queries and items; a
        :class:`~verification.search.judgements.Judgements` numbers the queries as ``old`` and the items as ``gallery``
        does.
    join : {"exact", "inner"}
        Whether ids that only one of the two sets has are refused, or left out and counted.
    ignore : sequence of labels
        Rows with these labels take part in nothing.
    distractors : sequence of labels
        Rows with these labels stay in the gallery, are no queries and answer none.
    exclude : collection of {"copies", "groups"}
        What a query may not find besides its own id: rows equal to it, and rows of its own label and group.
    same_dim : bool
        Whether both models must have the same dimension; maps between models do not need it.
    compression : Compression, optional
        How ``new`` is a compressed copy of ``old`` that replaces it. Then new queries search new items, those of
        ``new_gallery`` where there is a gallery, and not the old ones.
    seed : int
        Seed ≥ 0 of the choice of rows that are kept.

    Attributes
    ----------
    new, old, gallery, new_gallery : FeatureSet
        The sets after their rows were paired.
    labels : ndarray, shape (K,)
        Distinct labels of queries and gallery together, sorted.
    codes, gallery_codes : ndarray of int, shape (N,), (M,)
        Position of each row's label; −1 for a row without identity. ``gallery_codes`` is None without a gallery.
    notes : tuple of str
        Remarks on what was left out or repaired.
    of, sampled : Upgrade, Sample, or None
        If this is a sample (:meth:`drawn`), the upgrade of all rows, and what was drawn of it.

    Raises
    ------
    ValueError
        If the sets do not belong together; the message says what to do about it.
    """

    def __init__(
        self,
        new: FeatureSet,
        old: FeatureSet,
        gallery: FeatureSet | None = None,
        new_gallery: FeatureSet | None = None,
        *,
        relevance: Literal["labels"] | Judgements | os.PathLike[str] = "labels",
        join: Join = "exact",
        ignore: Sequence[int | str] = (),
        distractors: Sequence[int | str] = (),
        exclude: Collection[str] = EXCLUSIONS,
        same_dim: bool = True,
        compression: Compression | None = None,
        seed: int = 0,
    ) -> None:
        if join not in ("exact", "inner"):
            raise ValueError(f"join must be 'exact' or 'inner', got {join!r}.")
        if unknown := sorted(set(exclude) - set(EXCLUSIONS)):
            raise ValueError(f"exclude must be of {', '.join(EXCLUSIONS)}, got {unknown[0]!r}.")
        if not (isinstance(seed, int | np.integer) and seed >= 0):
            raise ValueError(f"seed must be an integer >= 0, got {seed!r}.")
        if gallery is None and new_gallery is not None:
            raise ValueError("a new gallery is the gallery by the new model: give the gallery too (--gallery).")
        if compression is not None and (gallery is None) != (new_gallery is None):
            raise ValueError(
                "a compressed copy is searched in a gallery that is compressed too: give both (--gallery, "
                "--new-gallery)."
            )
        self.seed, self.exclude, self.compression = int(seed), frozenset(exclude), compression
        self.of: Upgrade | None = None
        self.sampled: Sample | None = None
        notes: list[str] = []
        new, old = _pair(new, old, join, notes, ("new", "old"))
        if gallery is not None and new_gallery is not None:
            new_gallery, gallery = _pair(new_gallery, gallery, join, notes, ("new gallery", "gallery"))
        if same_dim:
            _check_dims(new, old, gallery)
        self.new, self.old, self.gallery, self.new_gallery = new, old, gallery, new_gallery
        said = notes if relevance == "labels" else []  # labels do not matter where relevance was judged
        self.labels, self.codes, self.gallery_codes, self.in_search = self._identities(ignore, distractors, said)
        if relevance == "labels":
            self._check_ids()
        self._tell_groups(notes)
        self._given = None if relevance == "labels" else self._judged(relevance, notes)
        self.shared = self._given is None and any(
            features is not None and features.label_lists is not None for features in (new, old, gallery)
        )
        if self.shared:
            notes.append(SHARED)
        if self.judged or not len(self.labels):  # every row takes part, whatever its label
            self.codes = np.zeros(len(old), dtype=np.intp)
            self.gallery_codes = None if gallery is None else np.zeros(len(gallery), dtype=np.intp)
            self.in_search = None
        self._read: Reading | None = None
        self._statistics: dict[str, Statistics] = {}
        self.notes = tuple(notes)

    def _identities(
        self, ignore: Sequence[int | str], distractors: Sequence[int | str], notes: list[str]
    ) -> tuple[ndarray, Int[ndarray, " n"], Int[ndarray, " m"] | None, Bool[ndarray, " items"] | None]:
        """Labels, codes of queries and gallery, and which items are searched; None for all of them."""
        sets = [self.old if self.old.labels is not None else self.new]
        has_own = [own.labels is not None or own.label_lists is not None for own in (self.new, self.old)]
        if has_own[0] != has_own[1]:
            lacking, giving = ("old", "new") if has_own[0] else ("new", "old")
            joined = self.new.ids is not None and self.old.ids is not None
            how = "joined by its ids" if joined else "row by row, which no labels confirm"
            notes.append(f"The {lacking} set has no labels of its own and takes those of the {giving} set, {how}.")
        if self.gallery is not None:
            sets.append(self.gallery)
        labels, *found = common_codes(*sets)
        codes = [own.copy() for own in found if own is not None]
        ignored, nobody = (_named(labels, names) for names in (ignore, distractors))
        strangers = [np.isin(own, nobody) for own in codes]
        for what, own, stranger in zip(("queries", "gallery items"), codes, strangers, strict=False):
            own[np.isin(own, ignored)] = -1
            without = int(np.count_nonzero(own < 0))
            if without and len(labels):
                notes.append(f"{without:,} {what} have no label, or one that is ignored: they take part in nothing.")
            if np.any(stranger):
                notes.append(
                    f"{int(np.count_nonzero(stranger)):,} {what} are distractors: nobody asks for them, and none is "
                    "ever right."
                )
        searched = (codes[-1] >= 0) if len(labels) and np.any(codes[-1] < 0) else None
        for own, stranger in zip(codes, strangers, strict=True):
            own[stranger] = -1
        return labels, codes[0], None if self.gallery is None else codes[1], searched

    def _check_ids(self) -> None:
        """Raise ValueError if the gallery has a query's id with another label: an id names one sample."""
        if self.gallery_codes is None or self.old.ids is None:
            return
        item = self.own_item
        both = np.flatnonzero((item >= 0) & (self.codes >= 0))
        items = item[both]
        other = self.codes[both] != self.gallery_codes[items]
        if self.in_search is not None:  # an item that nobody finds may have any label
            other &= self.in_search[items]
        if np.any(other):
            query = both[other][0]
            code = self.gallery_codes[item[query]]
            labels = [self.labels[self.codes[query]].item(), "a distractor" if code < 0 else self.labels[code].item()]
            raise ValueError(
                f"ids that queries and gallery share must have equal labels, but {np.count_nonzero(other):,} of "
                f"{np.count_nonzero(item >= 0):,} differ, the first is {self.old.ids[query].item()!r}: {labels[0]!r} "
                f"and {labels[1]!r}. An id names one sample, which never finds itself: if the gallery numbers its rows "
                "anew, give its ids a prefix of their own, or name another column (--ids)."
            )

    def _tell_groups(self, notes: list[str]) -> None:
        """Say from which set groups are taken where not all have them."""
        if "groups" not in self.exclude:
            return
        if self.groups is None:
            if self.gallery is not None and self.gallery.groups is not None:
                notes.append(
                    "The gallery has groups and the queries have none, so that none is left out for its group."
                )
        elif self.old.groups is None or self.new.groups is None:
            lacking, giving = ("old", "new") if self.old.groups is None else ("new", "old")
            notes.append(f"The {lacking} set has no groups of its own and takes those of the {giving} set.")

    def _judged(self, relevance: Any, notes: list[str]) -> Judgements:
        """What was judged of these queries and this gallery."""
        if self.gallery is None:
            raise ValueError("judgements are about items of a gallery (--gallery), and none was given.")
        if isinstance(relevance, Judgements):
            sizes = relevance.num_queries, relevance.num_items
            if sizes != (len(self.old), len(self.gallery)):
                raise ValueError(
                    f"judgements must be of the {len(self.old):,} queries and {len(self.gallery):,} items, got "
                    f"{sizes[0]:,} and {sizes[1]:,}."
                )
            return relevance
        ids = self.old.ids, self.gallery.ids
        if ids[0] is None or ids[1] is None:
            what = "queries" if ids[0] is None else "gallery"
            raise ValueError(f"judgements name ids, and the {what} have none: name their column (--ids).")
        found = Judgements.from_file(Path(relevance), ids[0], ids[1])
        if found.unknown:
            notes.append(f"{found.unknown:,} judgements are of queries or items that are not here, and were left out.")
        return found

    def drawn(self, num_rows: int) -> tuple[Upgrade, Int[ndarray, " m"]]:
        """Return the upgrade of a stratified sample of the queries, and which queries these are.

        Only the features of the drawn rows are read, if the files allow it. The sample is drawn by class,
        and by whole groups within a class where there are groups; with judgements uniformly. Of a gallery as many
        items are drawn, of the same classes; with judgements it stays whole.

        Parameters
        ----------
        num_rows : int
            Number of rows, ≥ 4, of the queries and of the gallery; only about as many if whole groups are drawn.

        Raises
        ------
        ValueError
            If there are too few rows, or there are neither labels nor judgements to draw by.
        """
        check_sample(num_rows)
        judged = self.judged
        if not judged and not len(self.labels):
            raise ValueError("a sample needs labels or judgements: name the column of labels (--labels).")
        queries = self._side("queries", self.old, self.codes, self.gallery is None)
        sides = [queries]
        if self.gallery is not None and self.gallery_codes is not None and not judged:
            sides.append(self._side("gallery", self.gallery, self.gallery_codes, True))
        classes = draw_classes(sides, self.num_classes, num_rows, self.seed)
        places = [side.draw(num_rows, classes, self.seed) for side in sides]
        if all(len(own) == side.rows for own, side in zip(places, sides, strict=True)):
            return self, np.arange(len(self.codes))
        chosen = copy.copy(self)
        for name, kind in vars(Upgrade).items():
            if isinstance(kind, cached_property):
                chosen.__dict__.pop(name, None)
        chosen._read, chosen._statistics = None, {}
        names = np.append(np.cumsum(classes) - 1, -1)
        index, read = places[0], [self.new, self.old]
        chosen.new, chosen.old = self.new.fetch(index), self.old.fetch(index)
        chosen.codes = names[self.codes[index]]
        if self._given is not None:
            chosen._given = self._given.of_queries(index)
        elif not self.shared:
            chosen.labels = self.labels[classes]
            if self.in_search is not None:
                chosen.in_search = self.in_search[places[-1]]
        if len(sides) > 1 and self.gallery is not None and self.gallery_codes is not None:
            chosen.gallery, chosen.gallery_codes = self.gallery.fetch(places[1]), names[self.gallery_codes[places[1]]]
            read.append(self.gallery)
            if self.new_gallery is not None:
                chosen.new_gallery = self.new_gallery.fetch(places[1])
                read.append(self.new_gallery)
        chosen.of = self
        chosen.sampled = Sample(
            rows=len(index),
            of=queries.rows,
            gallery_rows=None if chosen.gallery is None else len(chosen.gallery),
            gallery_of=None if self.gallery is None else len(self.gallery) if judged else sides[1].rows,
            classes=int(np.count_nonzero(classes)),
            classes_of=len(classes),
            by="row" if judged else "group" if self.grouped else "class",
            seed=self.seed,
        )
        through = dict.fromkeys(name for features in read for name in features.read_through)
        chosen.notes = (
            *self.notes,
            *(
                f"{name}: single rows cannot be fetched from it, so it was read through for the sample."
                for name in through
            ),
        )
        return chosen, index

    def _side(self, name: str, features: FeatureSet, codes: Int[ndarray, " n"], searched: bool) -> Side:
        """What is drawn of a set: by class and group; distractors, if it is searched, are a class of their own."""
        strata = codes
        if searched:
            present = True if self.in_search is None else self.in_search
            strata = np.where((codes < 0) & present, self.num_classes, codes)
        groups = self.groups if features is self.old else features.groups
        grouped = not self.judged and groups is not None and "groups" in self.exclude
        ranks = self.ranks[0 if features is self.old else 1]
        return Side(name=name, strata=strata, units=_groups(strata, groups) if grouped else None, ranks=ranks)

    @cached_property
    def ranks(self) -> tuple[Int[ndarray, " n"] | None, Int[ndarray, " m"] | None]:
        """:func:`~verification.statistics.rows.ranks_of` the queries, and the gallery items."""
        galleries = [None if each is None else each.ids for each in (self.gallery, self.new_gallery)]
        return ranks_of(self.old.ids, self.new.ids), ranks_of(*galleries)

    def in_order(self, index: Int[ndarray, " m"]) -> Int[ndarray, " m"]:
        """Positions of some queries, given by where they stand, in the order in which they are drawn."""
        return in_order(index, self.ranks[0])

    @property
    def judged(self) -> bool:
        """Whether relevance is a matter of single pairs (judgements or shared labels) and not of classes."""
        return self._given is not None or self.shared

    @cached_property
    def judgements(self) -> Judgements | None:
        """Which items answer which query, if relevance was judged or rows share labels; else None.

        Raises
        ------
        ValueError
            If so many pairs share a label that they do not fit in memory.
        """
        if not self.shared:
            return self._given
        queries = _texts(self.old) if _texts(self.old) is not None else _texts(self.new)
        lists = [queries, queries if self.gallery is None else _texts(self.gallery)]
        if lists[0] is None or lists[1] is None:
            raise ValueError(
                f"the {'queries' if lists[0] is None else 'gallery'} must have labels to share one, and have none: "
                "name their column (--labels)."
            )
        return Judgements.from_labels(lists[0], lists[1], SEPARATOR, most=MOST_SHARED)

    @property
    def same_samples(self) -> bool:
        """Whether the queries search each other."""
        return self.gallery is None

    @property
    def items(self) -> FeatureSet:
        """The searched items: the gallery, or the old features of the queries themselves."""
        return self.old if self.gallery is None else self.gallery

    @property
    def item_codes(self) -> Int[ndarray, " m"]:
        """Position of each searched item's label; −1 for an item without identity."""
        return self.codes if self.gallery_codes is None else self.gallery_codes

    @property
    def num_classes(self) -> int:
        """Number of classes of queries and gallery together; rows without labels form one class."""
        return len(self.labels) if not self.judged and len(self.labels) else 1

    @cached_property
    def sizes(self) -> Int[ndarray, " k"]:
        """Number of queries of each class."""
        return np.bincount(self.codes[self.codes >= 0], minlength=self.num_classes)

    @cached_property
    def item_sizes(self) -> Int[ndarray, " k"]:
        """Number of searched items of each class."""
        return np.bincount(self.item_codes[self.item_codes >= 0], minlength=self.num_classes)

    @cached_property
    def answers(self) -> Int[ndarray, " n"]:
        """How many items of its class each query may find: all but those of its own unit."""
        reading, here = self.read(), self.codes >= 0
        item_units = reading.units if self.same_samples else reading.gallery_units
        counts = np.zeros(len(here), dtype=np.int64)
        counts[here] = self.item_sizes[self.codes[here]]
        if reading.units is not None and item_units is not None and np.any(self.item_codes >= 0):
            names, sizes = np.unique(item_units[self.item_codes >= 0], return_counts=True)
            place = np.minimum(np.searchsorted(names, reading.units[here]), len(names) - 1)
            counts[here] -= np.where(names[place] == reading.units[here], sizes[place], 0)
        elif self.same_samples:
            counts[here] -= 1
        return counts

    @cached_property
    def own_item(self) -> Int[ndarray, " n"]:
        """Where the gallery has the id of each query; −1 where it has not."""
        if self.gallery is None or self.old.ids is None or self.gallery.ids is None:
            return np.full(len(self.codes), -1)
        return places(self.gallery.ids, self.old.ids)

    @property
    def groups(self) -> ndarray | None:
        """The group of each query, from the set that has groups."""
        return self.old.groups if self.old.groups is not None else self.new.groups

    @property
    def grouped(self) -> bool:
        """Whether queries have groups, which are then the units."""
        return self.groups is not None and "groups" in self.exclude

    @cached_property
    def group_codes(self) -> Int[ndarray, " n"] | None:
        """A number for each label with a group, of the queries; −1 without identity. None: queries have no groups."""
        return _groups(self.codes, self.groups) if self.grouped else None

    def check_pairs(self) -> None:
        """Raise ValueError unless there are pairs of one class and of different classes."""
        if self.judged:
            given = "rows have several" if self.shared else "judgements were given"
            raise ValueError(f"mean distances by class need one label per row for relevance, and {given}.")
        if not len(self.labels):
            raise ValueError(
                "labels are needed to tell what is the same class, and the sets have none: name their column "
                "(--labels), or compare the models without labels (stationary check)."
            )
        if self.gallery is None:
            present = np.flatnonzero(self.sizes)
            if len(present) < 2:
                raise ValueError(f"labels must name at least two classes, got one: {self.labels[present][0].item()!r}.")
            if np.all(self.sizes <= 1):
                raise ValueError("labels must give some class two samples, got one sample in every class.")
            return
        if self.gallery.labels is None:
            raise ValueError(
                "the gallery has no labels, by which an item answers a query: name their column (--labels)."
            )
        shared = np.flatnonzero((self.sizes > 0) & (self.item_sizes > 0))
        if not len(shared):
            raise ValueError(
                "gallery must share a class with the samples, but no label is in both; is the column or field of the "
                "gallery's labels named (--labels, or label= in the URL of a store)?"
            )
        if np.sum((self.sizes > 0) | (self.item_sizes > 0)) == 1:
            raise ValueError(
                f"samples and gallery must name at least two classes, got one: {self.labels[shared[0]].item()!r}."
            )

    def read(self, run: Map = map, progress: Progress | None = None) -> Reading:
        """Read the data once, in blocks; later calls return what the first one found.

        Parameters
        ----------
        run : callable
            As ``map``, by which parts of the data are read.
        progress : callable, optional
            Told a stage, what is done of it and its total.
        """
        if self._read is None:
            self._read = self._collect(run, progress)
        return self._read

    def statistics(self, metric: str = "sqeuclidean", run: Map = map, progress: Progress | None = None) -> Statistics:
        """Statistics of the change of distance over pairs, in one of :data:`theory.metrics.METRICS`."""
        if metric not in self._statistics:
            self._statistics[metric] = statistics(self.read(run, progress), metric, self.seed, progress)
        return self._statistics[metric]

    def sample(self, budget: int, purpose: str) -> Rows:
        """Return about ``budget`` of the kept rows, in proportion to the classes; another purpose draws others."""
        rows = self.read().rows
        assert rows.index is not None
        order = self.in_order(rows.index)
        chosen = choose_rows(rows.codes[order], rows.counts, budget, stream(self.seed, purpose))
        return rows.some(np.sort(order[chosen]))

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 over the rows of each input."""
        return self.read().digests

    @cached_property
    def whole(self) -> bool:
        """Whether every searched item and every query is kept in memory."""
        reading = self.read()
        kept = reading.rows.codes, (reading.gallery or reading.rows).codes
        return len(kept[0]) == len(self.codes) and len(kept[1]) == len(self.items)

    def searched(self, which: Literal["new", "old", "gallery", "new_gallery"]) -> FeatureSet:
        """Return a set to search in; it is made from the kept rows if they are all, so that nothing is read again."""
        stored: FeatureSet | None = getattr(self, which)
        assert stored is not None
        if not self.whole or which == "new_gallery":
            return stored
        reading = self.read()
        rows = reading.gallery if which == "gallery" and reading.gallery is not None else reading.rows
        assert rows.index is not None
        ordered = np.empty_like(rows.old)
        ordered[rows.index] = rows.models[0] if which == "new" else rows.old
        return FeatureSet(ordered)

    def findings(self) -> Iterator[str]:
        """Remarks about the data that a reader has to know."""
        reading = self.read()
        if reading.copies:
            yield (
                f"{reading.copies:,} samples are exact copies of another sample of their class. No pair of copies is "
                "counted, and no query finds its own copy."
            )
        if reading.in_gallery:
            yield (
                f"The gallery holds {reading.in_gallery:,} of the queries themselves, by id or as an equal row. No "
                "query meets itself."
            )
        share = self.item_sizes * (self.sizes - (self.gallery is None))
        total = float(share.sum())
        if self.num_classes > 2 and total and share.max() > LARGE_SHARE * total:
            label = self.labels[int(np.argmax(share))].item()
            yield (
                f"Class {label!r} has {share.max() / total:.0%} of all pairs of one class. If it stands for items "
                "without a class, leave it out (--ignore-label)."
            )
        if self.grouped and total:
            largest = np.zeros(self.num_classes)
            np.maximum.at(largest, reading.rows.unit_classes, reading.rows.unit_shares)
            led = (largest > LARGE_SHARE) & (reading.rows.unit_counts > 2)
            if share[led].sum() > NOTED_SHARE * total:
                first = int(np.argmax(np.where(led, share, -1.0)))
                yield (
                    f"Class {self.labels[first].item()!r} is mostly one group, which has {largest[first]:.0%} of its "
                    "rows. A group tells as little as one sample, so intervals of mean distances are wide. Take a few "
                    "rows of each group, or count classes alike (--weights classes)."
                )
        if self.lengths_note is not None:
            yield self.lengths_note

    @property
    def lengths_note(self) -> str | None:
        """A remark about rows of unequal lengths; None if lengths are equal."""
        # the codes of a copy have a unit of their own
        lengths = self.read().lengths if self.compression is None else self.read().lengths[-1:]
        shortest, longest = lengths[:, 0].min(), lengths[:, 1].max()
        if longest <= UNEQUAL * shortest:
            return None
        return (
            f"Rows have lengths from {_length(shortest)} to {_length(longest)} and are normalised here. An index that "
            "searches by inner product or by Euclidean distance of the raw rows ranks differently (--similarity)."
        )

    def check_order(self) -> None:
        """Raise ValueError if rows of the two models seem to be in another order inside their classes.

        Labels that agree row by row do not prove that rows do. A row is *displaced* where its new feature is nearest,
        one to one, to the old feature of another row of its class, much nearer than to its own and than old features
        of the class are to each other. A class is in another order where nearly all of its rows are displaced; the
        sets are, where some classes are and nearly all other rows are nearest to themselves, so that the two models
        speak of one space at all.
        """
        if self.old.ids is not None and self.new.ids is not None:
            return
        displaced = home = looked = 0
        for new, old in _whole_classes(self.read().rows, ORDER_ROWS) if self.of is None else self.of._fetched_classes():
            away, own = _displaced(new, old)
            displaced += away if away >= DISPLACED * len(new) else 0
            home += own
            looked += len(new)
        if displaced >= 3 and displaced + home >= SAME_SPACE * looked:
            raise ValueError(
                f"new and old seem to hold the same samples in another order inside their classes: {displaced:,} of "
                f"{looked:,} new rows that were looked at are nearest, one to one, to the old row of another sample of "
                "their class. Give both sets ids, by which rows are joined (--ids); stationary check tells more."
            )

    def _fetched_classes(self) -> Iterator[tuple[ndarray, ndarray]]:
        """New and old rows of some whole classes, of an upgrade of which a sample was read: partners are all there."""
        some = np.flatnonzero((self.sizes >= 2) & (self.sizes <= ORDER_CLASS))
        some = stream(self.seed, "order").permutation(some)
        some = np.sort(some[np.cumsum(self.sizes[some]) <= ORDER_ROWS])
        index = np.flatnonzero(np.isin(self.codes, some))
        if not len(index):
            return
        index = index[np.argsort(self.codes[index], kind="stable")]
        new, old = self.new.fetch(index).unit, self.old.fetch(index).unit
        bounds = np.concatenate([[0], np.cumsum(self.sizes[some])])
        for start, stop in pairwise(bounds.tolist()):
            yield new[start:stop], old[start:stop]

    @cached_property
    def identical(self) -> bool:
        """Whether both models give the same unit rows, to the rounding of how they are stored."""
        new, old = self.read().rows.models
        starts = range(0, len(old), COMPARED_ROWS)
        some = (slice(start, start + COMPARED_ROWS) for start in starts)
        return all(np.max(np.abs(new[rows] - old[rows])) <= 4.0 * self.roundoff for rows in some)

    @property
    def roundoff(self) -> float:
        """Unit roundoff of the coarsest dtype in which rows are stored."""
        sets = [self.new, self.old, *([] if self.gallery is None else [self.gallery])]
        return max(features.roundoff for features in sets)

    @property
    def rounding(self) -> float:
        """The change of a mean squared distance that rounding alone can make: a change below it counts as zero.

        Storing a row turns it by at most the roundoff, so each of the four unit rows in the change of one distance
        shifts it by at most twice that. Roundings of different samples are independent: a mean over n samples that is
        below three standard errors of theirs, 3 · 8 · roundoff/√n, is zero; so is 8 · d · 2⁻⁵³, which float64
        arithmetic adds.
        """
        return 24.0 * self.roundoff / math.sqrt(max(int(self.sizes.sum()), 1)) + 8.0 * self.old.dim * 2.0**-53

    @cached_property
    def small(self) -> bool:
        """Whether the gallery is small enough to be read once more."""
        return len(self.items) * self.items.dim <= KEPT

    def _collect(self, run: Map, progress: Progress | None) -> Reading:
        rng = stream(self.seed, "rows")
        total = len(self.codes) + (0 if self.gallery is None else len(self.gallery))
        tick = counter(progress, "reading rows", total)
        groups = self.group_codes

        def one(
            sets: Sequence[FeatureSet], codes: ndarray, units: ndarray | None, ranks: ndarray | None
        ) -> tuple[ClassSums, Rows, RowFacts]:
            sizes = np.bincount(codes[codes >= 0], minlength=self.num_classes)
            keep = _choose_kept(codes, sizes, units, ranks, KEPT // sets[0].dim, rng)
            return collect(sets, codes, sizes, keep, run, tick, ranks)

        sums, rows, facts = one((self.new, self.old), self.codes, groups, self.ranks[0])
        gallery_sums = items = item_facts = None
        if self.gallery is not None and self.gallery_codes is not None:
            own = () if self.compression is None or self.new_gallery is None else (self.new_gallery,)
            gallery_sums, items, item_facts = one((*own, self.gallery), self.gallery_codes, None, self.ranks[1])
        units, item_units, copies, in_gallery = self._units(groups, facts, item_facts)
        if units is not None:
            rows = replace(rows, units=units[rows.index])
            if items is not None and item_units is not None:
                items = replace(items, units=item_units[items.index])
        left_out = None if units is None else self._left_out(units, item_units, facts)
        return Reading(
            rows=rows,
            gallery=items,
            sums=sums,
            gallery_sums=gallery_sums,
            left_out=left_out,
            units=units,
            gallery_units=item_units,
            copies=copies,
            in_gallery=in_gallery,
            lengths=facts.lengths,
            digests=_digests(facts, item_facts),
        )

    def _units(
        self, groups: Int[ndarray, " n"] | None, facts: RowFacts, item_facts: RowFacts | None
    ) -> tuple[Int[ndarray, " n"] | None, Int[ndarray, " m"] | None, int, int]:
        """Units of queries and of gallery items, copies among the queries, queries that the gallery holds."""
        count = len(self.codes)
        keys: list[ndarray] = []
        codes = self.codes if self.gallery_codes is None else np.concatenate([self.codes, self.gallery_codes])
        total = len(codes)
        both = self.gallery is not None
        if groups is not None:
            if self.gallery is None or self.gallery.groups is None:
                keys.append(np.concatenate([groups, np.full(total - count, -1)]))
            else:
                keys.append(_groups(codes, self.groups, self.gallery.groups))
        hashes = facts.hashes[-1]
        if item_facts is not None:
            hashes = np.concatenate([hashes, item_facts.hashes[-1]])
        equal = _repeated(hashes, codes)
        repeated = equal if total == count else _repeated(hashes[:count], self.codes)
        copies = int(np.count_nonzero(repeated >= 0))
        in_gallery = np.zeros(count, dtype=bool)
        if both:
            in_gallery |= np.isin(hashes[:count], hashes[count:]) & (self.codes >= 0)
            queries = np.flatnonzero(self.own_item >= 0)
            key = np.full(total, -1)
            key[queries] = key[count + self.own_item[queries]] = queries
            keys.append(key)
            in_gallery[queries] = True
        if "copies" in self.exclude and np.any(equal >= 0):
            keys.append(equal)
        keys = [key for key in keys if np.any(key >= 0)]
        if not keys:
            return None, None, copies, int(np.count_nonzero(in_gallery))
        units = connected(keys, total)
        units[codes < 0] = -1
        return units[:count], units[count:] if both else None, copies, int(np.count_nonzero(in_gallery))

    def _left_out(self, units: Int[ndarray, " n"], item_units: Int[ndarray, " m"] | None, facts: RowFacts) -> LeftOut:
        """Pairs of one class that never meet, and the sum of a_i·v_j over them, from the sums of each unit."""
        here = self.codes >= 0
        names, own = np.unique(units[here], return_inverse=True)
        classes = np.zeros(len(names), dtype=np.intp)
        classes[own] = self.codes[here]
        sizes = np.bincount(own, minlength=len(names))
        if item_units is None:
            others = sizes
        else:
            at = np.minimum(np.searchsorted(names, item_units), len(names) - 1)
            there = names[at] == item_units
            others = np.bincount(at[there], minlength=len(names))
        products, old_products = np.zeros((2, len(names)))
        if item_units is None:  # of a unit of one row this is the pair of the row with itself
            alone = sizes == 1
            products[alone] = np.bincount(own, facts.products[here], minlength=len(names))[alone]
            old_products[alone] = 1.0
            several = np.flatnonzero(~alone)
        else:
            several = np.flatnonzero(others > 0)
        step = max(1, UNIT_NUMBERS // (2 * self.old.dim))
        for start in range(0, len(several), step):
            some = several[start : start + step]
            place = np.full(len(names), -1)
            place[some] = np.arange(len(some))
            shift, own_old = self._unit_sums(place[own], np.flatnonzero(here), len(some))
            old = own_old
            if item_units is not None and self.gallery is not None:
                mine = np.where(there, place[at], -1)
                index = np.flatnonzero(mine >= 0)
                old = _sum_rows(self.gallery.rows(index), mine[index], len(some))
            products[some], old_products[some] = np.vecdot(shift, old), np.vecdot(own_old, old)
        return LeftOut(
            pairs=np.bincount(classes, sizes * others, minlength=self.num_classes).astype(np.float64),
            products=np.bincount(classes, products, minlength=self.num_classes),
            old_products=np.bincount(classes, old_products, minlength=self.num_classes),
        )

    def _unit_sums(
        self, place: Int[ndarray, " h"], index: Int[ndarray, " h"], num: int
    ) -> tuple[Float[ndarray, "u dim"], Float[ndarray, "u dim"]]:
        """Sums of new − old and of old over the rows of some units; ``place`` is −1 for rows of others."""
        some = place >= 0
        new, old = self.new.rows(index[some]), self.old.rows(index[some])
        return _sum_rows(new - old, place[some], num), _sum_rows(old, place[some], num)


def _digests(facts: RowFacts, items: RowFacts | None) -> dict[str, str]:
    named = {"new": facts.hashes[0], "old": facts.hashes[-1]} | ({} if items is None else {"gallery": items.hashes[-1]})
    return {name: hashlib.sha256(hashes.tobytes()).hexdigest() for name, hashes in named.items()}


def _whole_classes(rows: Rows, budget: int) -> Iterator[tuple[ndarray, ndarray]]:
    """New and old rows of classes that are kept whole, until so many rows are given."""
    given = 0
    for c in np.flatnonzero((rows.counts == rows.sizes) & (rows.counts >= 2) & (rows.counts <= ORDER_CLASS)):
        some = slice(int(rows.starts[c]), int(rows.starts[c + 1]))
        yield rows.models[0][some], rows.old[some]
        given += some.stop - some.start
        if given >= budget:
            return


def _displaced(new: Float[ndarray, "n dim"], old: Float[ndarray, "n dim"]) -> tuple[int, int]:
    """How many rows of a class are displaced, and how many are nearest to themselves."""
    every = np.arange(len(new))
    across = np.maximum(2.0 - 2.0 * new @ old.T, 0.0)
    within = np.maximum(2.0 - 2.0 * old @ old.T, 0.0)
    within[every, every] = np.inf
    partner = np.argmin(across, axis=1)
    mutual = np.argmin(across, axis=0)[partner] == every
    distance = across[every, partner]
    near = distance < NEARER * np.minimum(across[every, every], within[partner].min(axis=1))
    away = mutual & near & (partner != every)
    return int(np.count_nonzero(away)), int(np.count_nonzero(partner == every))


def _sum_rows(rows: Float[ndarray, "n dim"], place: Int[ndarray, " n"], num: int) -> Float[ndarray, "u dim"]:
    sums = np.zeros((num, rows.shape[1]))
    np.add.at(sums, place, rows)
    return sums


def _pair(
    new: FeatureSet, old: FeatureSet, join: Join, notes: list[str], names: tuple[str, str]
) -> tuple[FeatureSet, FeatureSet]:
    """The two sets with their rows in one order, and equal labels."""
    first, second = names
    if new.ids is not None and old.ids is not None:
        new, old = _join(new, old, join, notes, names)
    elif len(new) != len(old):
        raise ValueError(
            f"{first} and {second} must hold the same samples, got {len(new)} and {len(old)} rows; where both have ids "
            "(--ids), the rows that they share can be compared (--join inner)."
        )
    joined = new.ids is not None and old.ids is not None
    if new.labels is not None and old.labels is not None:
        _check_labels(new, old, names, joined)
    if new.label_lists is not None and old.label_lists is not None:
        _check_labels(new.label_lists, old.label_lists, names, joined)
    if new.groups is not None and old.groups is not None:
        _check_labels(new.groups, old.groups, names, joined, "groups")
    return new, old


def _join(
    new: FeatureSet, old: FeatureSet, join: Join, notes: list[str], names: tuple[str, str]
) -> tuple[FeatureSet, FeatureSet]:
    """Rows with the ids that both sets have, in the order of the old one."""
    first, second = names
    keys, others = new.ids, old.ids
    assert keys is not None
    assert others is not None
    order = places(keys, others)
    if np.array_equal(order, np.arange(len(new))):
        return new, old
    kept = np.flatnonzero(order >= 0)
    alone = len(new) - len(kept), len(old) - len(kept)
    if not len(kept):
        raise ValueError(
            f"{first} and {second} share no id, the first are {examples(keys, others)}: "
            "they are not of the same samples, or their ids are written in different ways."
        )
    if any(alone):
        if join == "exact":
            lone = examples(np.delete(keys, order[kept]), others[order < 0])
            raise ValueError(
                f"{first} and {second} must hold the same ids, but {alone[0]:,} are in {first} only and {alone[1]:,} "
                f"in {second} only, such as {lone}; join='inner' (--join inner) compares the {len(kept):,} that both "
                "have."
            )
        notes.append(
            f"{len(kept):,} rows were joined by their ids; {alone[0]:,} ids are in {first} only and {alone[1]:,} in "
            f"{second} only, and were left out."
        )
        old = old.select(kept)
    else:
        notes.append(f"The rows of {first} and {second} were in another order and were joined by their ids.")
    return new.select(order[kept]), old


def _texts(features: FeatureSet) -> ndarray | None:
    """The labels of each row in one text, also where rows have one each; None where there are none."""
    if features.label_lists is not None or features.labels is None:
        return features.label_lists
    texts = features.labels.astype(str)
    return texts if features.labelled is None else np.where(features.labelled, texts, "")


def _check_labels(
    new: FeatureSet | ndarray, old: FeatureSet | ndarray, names: tuple[str, str], joined: bool, what: str = "labels"
) -> None:
    """Raise ValueError unless both have equal labels, or groups, row by row."""
    labels, mine, theirs = common_codes(new, old, what=what)
    differ = np.flatnonzero(mine != theirs)
    if len(differ):
        row = differ[0]
        values = [labels[own[row]].item() if own[row] >= 0 else None for own in (mine, theirs)]
        values = [value.replace(SEPARATOR, ", ") if isinstance(value, str) else value for value in values]
        empty = [name for name, own in zip(names, (mine, theirs), strict=True) if np.all(own < 0)]
        if empty:
            raise ValueError(
                f"{empty[0]} must have {what} where the other set has them, but none of its {len(mine):,} rows has "
                f"one: name the column or field that holds them (--{what}, or {what.removesuffix('s')}= in the URL of "
                "a store)."
            )
        way_out = (
            f"Rows were joined by their ids, so a {what.removesuffix('s')} or an id of one set is wrong"
            if joined
            else "If rows are in another order, give both sets ids (--ids)"
        )
        raise ValueError(
            f"{names[0]} and {names[1]} must have equal {what} row by row, but {len(differ)} rows differ, the first is "
            f"row {row}: {values[0]!r} and {values[1]!r}. {way_out}; "
            "stationary check tells what happened."
        )


def _length(value: float) -> str:
    """A length with three digits, without an exponent where it is of an ordinary size."""
    return f"{value:,.0f}" if 1e3 <= value < 1e9 else f"{value:.3g}"


def _check_dims(new: FeatureSet, old: FeatureSet, gallery: FeatureSet | None) -> None:
    if new.dim != old.dim:
        raise ValueError(
            f"new and old must have one dimension, got {new.dim} and {old.dim}; a map can bring them together "
            "(stationary bridge), and embeddings that were trained to be cut meet in their first coordinates "
            f"(--truncate {min(new.dim, old.dim)})."
        )
    if gallery is not None and gallery.dim != old.dim:
        raise ValueError(f"gallery must have the samples' dimension {old.dim}, got {gallery.dim}.")


def _named(labels: ndarray, names: Sequence[int | str]) -> Int[ndarray, " few"]:
    """Positions of labels that a user named, on a command line perhaps, where all are text."""
    found = []
    for name in names:
        try:
            value = str(name) if labels.dtype.kind == "U" else int(name)
        except ValueError:
            raise ValueError(f"labels are integers here, but {name!r} was named as one.") from None
        at = np.flatnonzero(labels == value)
        if not len(at):
            raise ValueError(f"no row has the label {value!r} that was named.")
        found.append(int(at[0]))
    return np.array(found, dtype=np.intp)


def _groups(codes: Int[ndarray, " n"], *groups: ndarray | None) -> Int[ndarray, " n"]:
    """A number for each label with a group, of the rows of all sets; −1 for a row without identity."""
    _, *own = common_codes(*groups, what="groups")
    numbers = np.unique(np.stack([codes, np.concatenate(own)]), axis=1, return_inverse=True)[1].ravel()
    return np.where(codes >= 0, numbers, -1)


def _repeated(values: ndarray, codes: Int[ndarray, " n"]) -> Int[ndarray, " n"]:
    """A number for each value that several rows of one class share; −1 for all other rows."""
    order = np.lexsort((codes, values))
    ordered, kinds = values[order], codes[order]
    same = np.concatenate([[False], (ordered[1:] == ordered[:-1]) & (kinds[1:] == kinds[:-1]) & (kinds[1:] >= 0)])
    several = same | np.concatenate([same[1:], [False]])
    numbers = np.full(len(values), -1)
    numbers[order[several]] = (np.cumsum(~same) - 1)[several]
    return numbers


def connected(keys: Sequence[Int[ndarray, " n"]], count: int) -> Int[ndarray, " n"]:
    """Units of rows that share a number ≥ 0 under some key, directly or through other rows."""
    if len(keys) == 1:
        (key,) = keys
        return np.where(key >= 0, key, int(key.max()) + 1 + np.arange(count))
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    rows, names, first = [], [], count
    for key in keys:
        some = np.flatnonzero(key >= 0)
        rows.append(some)
        names.append(first + key[some])
        first += int(key.max()) + 1
    edges = np.concatenate(rows), np.concatenate(names)
    graph = coo_array((np.ones(len(edges[0]), dtype=np.int8), edges), shape=(first, first))
    return connected_components(graph, directed=False)[1][:count].astype(np.int64)


def _choose_kept(
    codes: Int[ndarray, " n"],
    sizes: Int[ndarray, " k"],
    units: Int[ndarray, " n"] | None,
    ranks: Int[ndarray, " n"] | None,
    budget: int,
    rng: np.random.Generator,
) -> Int[ndarray, " m"]:
    """Sorted rows to keep: of every class in proportion, and of a group all rows or none."""
    valid = np.flatnonzero(codes >= 0)
    if len(valid) <= budget:
        return valid
    if units is None:
        valid = valid[in_order(valid, ranks)]
        return np.sort(valid[choose_rows(codes[valid], sizes, budget, rng)])
    names, own = np.unique(units[valid], return_inverse=True)
    classes = np.zeros(len(names), dtype=np.intp)
    classes[own] = codes[valid]
    chosen = choose_rows(
        classes, np.bincount(classes, minlength=len(sizes)), max(budget * len(names) // len(valid), 1), rng
    )
    return valid[np.isin(own, chosen)]

"""Which rows of a source are read: those that a filter asks for, and, on request, only those that are complete.

A filter is one equality per column, ``split=test``: a row is read if each column that is named holds one of the values
given for it. That is what every store and every file can answer, in one form. A row is incomplete if it has no vector,
or no label where others have one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from verification.features.columns import Columns, detached, known
from verification.features.files.shards import Shard

Value = str | int | bool
# what a user may give: the texts of the command line, or values by column
Given = Mapping[str, Value | Sequence[Value]] | Iterable[str] | str


@dataclass(frozen=True)
class Where:
    """Values by column, as text; without any, all rows are read.

    Attributes
    ----------
    values : tuple of (str, tuple of str)
        Of each column, the values that are asked for. Booleans are ``true`` and ``false``.
    """

    values: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @classmethod
    def of(cls, given: Given | None) -> Where:
        """Read what a user gave: ``{"split": "test"}``, ``{"camera": [1, 2]}`` or ``["split=test", "camera=1"]``.

        Raises
        ------
        ValueError
            If a text is not of the form COLUMN=VALUE, or a value is no integer, string or boolean.
        """
        pairs: list[tuple[str, Any]] = []
        if isinstance(given, Mapping):
            for column, values in given.items():
                several = [values] if isinstance(values, str | bytes) or not isinstance(values, Iterable) else values
                pairs += [(column, value) for value in several]
        else:
            for text in [given] if isinstance(given, str) else given or ():
                column, equals, value = text.partition("=")
                if not (column and equals):
                    raise ValueError(f"where must be COLUMN=VALUE, such as split=test, got {text!r}.")
                pairs.append((column, value))
        found: dict[str, dict[str, None]] = {}
        for column, value in pairs:
            if not isinstance(value, str | int | np.integer | np.bool_):
                raise ValueError(f"where must compare {column!r} with integers, strings or booleans, got {value!r}.")
            text = str(value).lower() if isinstance(value, bool | np.bool_) else str(value)
            found.setdefault(column, {})[text] = None
        return cls(tuple((column, tuple(values)) for column, values in found.items()))

    def __bool__(self) -> bool:
        return bool(self.values)

    def __str__(self) -> str:
        return " and ".join(f"{column} = {' or '.join(values)}" for column, values in self.values)

    def also(self, other: Where) -> Where:
        """What both ask for; a column that both name must hold a value of both."""
        found = dict(self.values)
        for column, values in other.values:
            found[column] = tuple(value for value in found.get(column, values) if value in values)
        return Where(tuple(found.items()))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are asked for."""
        return tuple(column for column, _ in self.values)

    def check(self, there: Iterable[str]) -> None:
        """Raise ValueError where a column is not there."""
        there = list(there)
        for column in self.columns:
            if column not in there:
                names = ", ".join(map(repr, there)) or "none"
                raise ValueError(f"there is no column {column!r} for where; it has {names}.")

    def matches(self, columns: Mapping[str, Any], count: int) -> Bool[ndarray, " n"]:
        """Which of ``count`` rows are asked for; a missing value is none."""
        rows = np.ones(count, bool)
        for column, values in self.values:
            equal = _equal(columns[column], values, column)
            if len(equal) != count:
                raise ValueError(f"{column!r} must have a value for each of {count:,} rows, got {len(equal):,}.")
            rows &= equal
        return rows


ALL_ROWS = Where()


def integers(values: Sequence[str], column: str) -> list[int]:
    """The values as integers, for a column that holds such; ValueError where one is none."""
    try:
        return [int(value) for value in values]
    except ValueError:
        raise ValueError(f"column {column!r} holds integers, got where {' or '.join(values)!r}.") from None


def booleans(values: Sequence[str], column: str) -> list[bool]:
    """The values as booleans, for a column that holds such; ValueError where one is none."""
    if not {"true", "false"}.issuperset(value.lower() for value in values):
        raise ValueError(f"column {column!r} holds true and false, got where {' or '.join(values)!r}.")
    return [value.lower() == "true" for value in values]


def _equal(column: Any, values: Sequence[str], name: str) -> Bool[ndarray, " n"]:
    column = detached(column)
    whether = str(getattr(column, "type", getattr(column, "dtype", ""))) == "bool"
    if whether:
        column = column.cast("int8") if hasattr(column, "cast") else column.astype(np.int8)
    found, present = known(column, f"column {name!r}")
    if found.dtype.kind == "U":
        equal = np.isin(found, values)
    else:
        limits = np.iinfo(found.dtype)
        numbers = booleans(values, name) if whether else integers(values, name)
        equal = np.isin(found, np.array([n for n in numbers if limits.min <= n <= limits.max], found.dtype))
    return equal if present is None else equal & present


@dataclass(frozen=True)
class Selection:
    """What of a source is read.

    Attributes
    ----------
    where : Where
        The filter.
    complete : bool
        Whether rows without a vector or a label are left out, and counted; otherwise a row without a vector is refused
        when it is read, and one without a label has no class.
    """

    where: Where = ALL_ROWS
    complete: bool = False

    def __bool__(self) -> bool:
        return bool(self.where) or self.complete

    def apply(
        self, shard: Shard, columns: Columns, filters: Mapping[str, Any], vectors: Bool[ndarray, " n"] | None
    ) -> tuple[Shard, Columns]:
        """Leave out the other rows, and say so in the remarks.

        Parameters
        ----------
        shard, columns
            All rows.
        filters : mapping of str to array_like
            The columns that the filter names.
        vectors : ndarray of bool, shape (N,), or None
            Which rows have a vector; None where all have.
        """
        if not self:
            return shard, columns
        count, said = len(shard), []
        asked = self.where.matches(filters, count)
        if self.where:
            said.append(f"{np.count_nonzero(asked):,} of {count:,} rows have {self.where}; the others are not read.")
        keep = asked.copy()
        if self.complete:
            lacking = {
                "vector": None if vectors is None else ~vectors,
                "label": columns.label_lists == "" if columns.label_lists is not None else _not(columns.labelled),
            }
            without = {
                what: rows & asked for what, rows in lacking.items() if rows is not None and np.any(rows & asked)
            }
            for rows in without.values():
                keep &= ~rows
            if without:
                parts = " and ".join(f"{np.count_nonzero(rows):,} have no {what}" for what, rows in without.items())
                left = int(np.count_nonzero(asked & ~keep))
                said.append(f"{left:,} of {np.count_nonzero(asked):,} rows were left out: {parts}.")
                if columns.ids is None:
                    raise ValueError(
                        f"{parts}, and rows without ids are paired by their places, so none can be left out: "
                        "name a column of ids with ids=."
                    )
        if not keep.all():
            index = np.flatnonzero(keep)
            shard, columns = shard.select(index), columns.take(index)
        return replace(shard, remarks=(*shard.remarks, *said)), columns


def _not(rows: Bool[ndarray, " n"] | None) -> Bool[ndarray, " n"] | None:
    return None if rows is None else ~rows

"""What is known of each row besides its vector: its label, its id and its group, and the names under which they come.

A label may be missing, for a row or for all: ``labels`` then holds a placeholder there, and ``labelled`` is false.
Labels of several sets are compared by :func:`common_codes`, exactly: no integer passes through float64.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Int, Shaped
from numpy import ndarray

if TYPE_CHECKING:
    from verification.features.selection import Selection

# of default names, the first that is there
DEFAULTS = {
    "features": ("features", "vector"),
    "labels": ("labels", "label"),
    "ids": ("ids", "id"),
    "groups": ("groups", "group"),
}
# between the labels of a row that has several, where they stand in one text
SEPARATOR = "\x1f"
_EXACT_FLOAT = 2.0**53
_WIDEST = 2**14  # bytes of a string, as many as of a long vector


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Columns of N rows; None where there is none.

    Attributes
    ----------
    labels : ndarray, shape (N,), integers or strings, or None
        A placeholder (0 or the empty string) where a row has no label.
    labelled : ndarray of bool, shape (N,), or None
        Which rows have a label; None where all of them have, or where there are no labels.
    ids : ndarray, shape (N,), integers or strings, or None
        Unique.
    groups : ndarray, shape (N,), integers or strings, or None
    label_lists : ndarray, shape (N,), strings, or None
        Of rows that have several labels, in place of ``labels``: sorted, each once, :data:`SEPARATOR` between them; the
        empty string is a row without a label.
    """

    labels: ndarray | None = None
    labelled: ndarray | None = None
    label_lists: ndarray | None = None
    ids: ndarray | None = None
    groups: ndarray | None = None

    @classmethod
    def of(
        cls,
        count: int,
        labels: Any = None,
        ids: Any = None,
        groups: Any = None,
        labelled: Any = None,
        separator: str | None = None,
    ) -> Columns:
        """Check columns of ``count`` rows as a user gave them.

        A list in place of a label holds the labels of a row that has several; with a ``separator`` a text holds them.

        Raises
        ------
        ValueError
            If a column has another length or holds something else than integers or strings, if ids or groups are
            missing, or if an id is there twice.
        """
        lists = None if labels is None else label_lists(labels, separator)
        named, present = (None, None) if labels is None or lists is not None else known(labels, "labels")
        if labelled is not None:
            labelled = np.asarray(labelled).astype(bool)
            present = labelled if present is None else labelled & present
        keys, sets = (
            None if given is None else _complete(given, what) for given, what in ((ids, "ids"), (groups, "groups"))
        )
        for what, column in (
            ("labels", named),
            ("labels", present),
            ("labels", lists),
            ("ids", keys),
            ("groups", sets),
        ):
            if column is not None and len(column) != count:
                raise ValueError(
                    f"features and {what} must have one length, got {count} rows and {len(column)} {what}."
                )
        if keys is not None:
            check_unique(keys)
        labelled = None if present is None or present.all() else present
        return cls(labels=named, labelled=labelled, label_lists=lists, ids=keys, groups=sets)

    @property
    def named(self) -> dict[str, ndarray]:
        """The columns that are there, by name."""
        there = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: column for name, column in there.items() if column is not None}

    def take(self, index: Int[ndarray, " m"]) -> Columns:
        """The columns of some rows, in this order; an id that is taken twice is no id any more."""
        taken = {name: column[index] for name, column in self.named.items()}
        if self.ids is not None and len(np.unique(index)) < len(index):
            del taken["ids"]
        return Columns(**taken)

    @staticmethod
    def joined(parts: Sequence[Columns]) -> Columns:
        """The columns of several shards as one; each kind of column must be in all of them or in none."""
        if len(parts) == 1:
            return parts[0]
        whole = {
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in parts[0].named
            if name != "labelled"
        }
        if any(part.labelled is not None for part in parts):
            flags = [
                np.ones(len(p.labels), bool) if p.labelled is None else p.labelled
                for p in parts
                if p.labels is not None
            ]
            whole["labelled"] = np.concatenate(flags)
        if "ids" in whole:
            check_unique(whole["ids"])
        return Columns(**whole)


@dataclass(frozen=True)
class Names:
    """Names of columns, arrays or tensors that a user asked for.

    None stands for the default: ``features``, or else the only array or column that can be; ``labels`` or ``label``,
    ``ids`` or ``id``, ``groups`` or ``group`` where they are. An empty string stands for no such column. A
    ``separator`` stands between the labels of a row that has several in one text. ``rows`` says which are read, where
    not all are.
    """

    features: str | None = None
    labels: str | None = None
    ids: str | None = None
    groups: str | None = None
    separator: str | None = None
    rows: Selection | None = None

    def choose(self, there: Mapping[str, Any], vectors: Sequence[str], kind: str = "arrays") -> Chosen:
        """Find the columns among those that are there.

        Parameters
        ----------
        there : mapping
            From the name of each to what it is.
        vectors : sequence of str
            Those that could be features.
        kind : str
            What they are called: arrays, columns, tensors.

        Raises
        ------
        ValueError
            If one that was asked for is not there, or if no default of the features is: it lists what there is.
        """
        found: dict[str, str | None] = {}
        for role, defaults in DEFAULTS.items():
            asked = getattr(self, role)
            if asked and asked not in there:
                raise ValueError(
                    f"must hold {kind} named {asked!r} for {role}=, {_listed(there)}; name another with {role}=."
                )
            found[role] = asked or next((name for name in defaults if asked is None and name in there), None)
        if self.rows:
            self.rows.where.check(there)
        remarks = []
        if found["features"] is None:
            free = [name for name in vectors if name not in found.values()]
            if len(free) != 1:
                raise ValueError(f"must hold {kind} named 'features', {_listed(there)}; name another with features=.")
            found["features"] = free[0]
            remarks.append(f"features are the {kind[:-1]} {free[0]!r}, the only one that can be.")
        filters = self.rows.where.columns if self.rows else ()
        used = {*found.values(), *filters, "labelled" if found["labels"] else None}
        if unused := [name for name in there if name not in used]:
            remarks.append(f"{', '.join(map(repr, unused))} {'is' if len(unused) == 1 else 'are'} not used.")
        columns = {role: name for role, name in found.items() if name is not None and role != "features"}
        if found["labels"] and "labelled" in there:
            columns["labelled"] = "labelled"
        assert found["features"] is not None
        return Chosen(found["features"], columns, tuple(remarks))


@dataclass(frozen=True)
class Chosen:
    """The name of the features, those of the other columns by what they are, and what to say of the choice."""

    features: str
    columns: dict[str, str]
    remarks: tuple[str, ...] = ()


def _listed(there: Mapping[str, Any]) -> str:
    return "got " + (", ".join(f"{name!r} ({what})" for name, what in there.items()) or "none")


def known(values: Any, what: str) -> tuple[Shaped[ndarray, " n"], Bool[ndarray, " n"] | None]:
    """Integers in the machine's byte order or strings, and which of them are there (None: all).

    Missing are None, NaN, pandas' NA, an Arrow null and what a mask hides.
    """
    present = None
    if hasattr(values, "dictionary_encode"):  # an Arrow array
        from verification.features.files.tables import values_of

        values, present = values_of(values, what)
    array = _array(values)
    if isinstance(array, np.ma.MaskedArray):
        present = ~np.ma.getmaskarray(array)
        array = array.filled(0 if array.dtype.kind in "iuf" else "")
    if array.dtype.kind in "fO" and array.ndim == 1:
        there = _there(array) if present is None else _there(array) & present
        if array.dtype.kind == "O" or not there.all():
            array, present = _restored(array, there, what), there
    check_column(array.shape, array.dtype, what)
    return _native(array, what), None if present is None or present.all() else present


def label_lists(values: Any, separator: str | None = None) -> ndarray | None:
    """Return the labels of rows that have several, as :class:`Columns` holds them; None where rows have one each.

    Parameters
    ----------
    values : Arrow array or sequence of length N
        Lists of integers or of strings, some of which may be missing; or, with a separator, strings.
    separator : str, optional
        Between the labels in one string.

    Raises
    ------
    ValueError
        If labels are of both kinds, or of neither, or no strings for a separator to stand in.
    """
    arrow = hasattr(values, "dictionary_encode")
    if arrow:
        from verification.features.files.tables import is_list

        several = is_list(values.type)
    else:
        several = isinstance(values, list | tuple | np.ndarray) and np.ndim(_first(values)) == 1
    if several:
        rows = values.to_pylist() if arrow else list(values)
        lists = [
            [] if row is None else [label for label in row if label is not None and label == label] for row in rows
        ]
    elif separator is None:
        return None
    else:
        texts, present = known(values, "labels")
        if texts.dtype.kind != "U":
            raise ValueError(f"labels must be strings to hold several with a separator, got {texts.dtype}.")
        if not separator:
            raise ValueError("the separator of labels must not be empty.")
        texts = texts if present is None else np.where(present, texts, "")
        lists = [[part for part in map(str.strip, text.split(separator)) if part] for text in texts.tolist()]
    # whole floats: integers in lists of a JSON file are read as floats
    numbers = [[int(x) if isinstance(x, float) and x.is_integer() else x for x in row] for row in lists]
    kinds = {_kind(label) for row in numbers for label in row}
    if len(kinds) > 1 or kinds - {int, str}:
        got = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise ValueError(f"lists of labels must hold integers or strings, all of one kind, got {got}.")
    return np.array([SEPARATOR.join(sorted({str(label) for label in row})) for row in numbers], str)


def _first(values: Any) -> Any:
    """The first entry of a sequence of objects that is not missing; of an array of numbers none."""
    if isinstance(values, np.ndarray) and values.dtype != object:
        return None
    return next((list(row) if isinstance(row, set | frozenset) else row for row in values if row is not None), None)


def check_column(shape: tuple[int, ...], dtype: np.dtype, what: str, count: int | None = None) -> None:
    """Raise ValueError unless these can be of labels, ids or groups of ``count`` rows.

    Before they are read: of floats some may stand for missing labels, and a width is checked before memory is taken.
    """
    allowed = {"labelled": "biu", "labels": "iuUSf" if count is not None else "iuUS"}.get(what, "iuUS")
    if dtype.kind not in allowed:
        raise ValueError(
            f"{what} must be integers or strings, got {dtype}."
            + (" Nothing is unpickled;" if dtype.hasobject else "")
            + (f" np.asarray({what}, str) makes strings of them." if dtype.hasobject or dtype.kind in "bf" else "")
        )
    if len(shape) != 1:
        raise ValueError(f"{what} must have shape (N,), got {shape}.")
    if count is not None and shape[0] != count:
        raise ValueError(f"features and {what} must have one length, got {count} rows and {shape[0]} {what}.")
    if dtype.kind in "US" and dtype.itemsize > _WIDEST:
        raise ValueError(f"{what} must be strings of at most {_WIDEST // 4} characters, got {dtype}.")


def check_unique(ids: Shaped[ndarray, " n"]) -> None:
    """Raise ValueError, naming the first repeated id and its rows, unless each id is there once."""
    kinds = ids.dtype.kind
    if (len(np.unique(ids)) if kinds != "U" else len(set(ids.tolist()))) == len(ids):
        return
    seen: dict[Any, int] = {}
    for row, key in enumerate(ids.tolist()):
        if (first := seen.setdefault(key, row)) != row:
            raise ValueError(f"ids must be unique, but {key!r} is that of rows {first} and {row}.")


def encode(values: Shaped[ndarray, " n"], present: Bool[ndarray, " n"] | None) -> tuple[ndarray, Int[ndarray, " n"]]:
    """Distinct values that are there, sorted, and each row's position among them; −1 where it has none."""
    if present is not None:
        codes = np.full(len(values), -1)
        classes, codes[present] = encode(values[present], None)
        return classes, codes
    if values.dtype.kind != "U" and len(values):
        least, most = int(values.min()), int(values.max())
        if most - least < 8 * len(values) + 2**10:  # a table of what is there, without sorting
            wide = np.uint64 if values.dtype.kind == "u" else np.int64
            offsets = (values.astype(wide) - wide(least)).astype(np.intp)
            there = np.bincount(offsets) > 0
            names = (np.flatnonzero(there).astype(wide) + wide(least)).astype(values.dtype)
            return names, (np.cumsum(there) - 1)[offsets]
    # a dictionary: np.unique sorts all the values, a second for a million strings
    listed = values.tolist()
    ordered = sorted(set(listed))
    positions = {name: position for position, name in enumerate(ordered)}
    codes = np.fromiter((positions[value] for value in listed), np.intp, len(listed))
    return np.array(ordered, values.dtype), codes


def places(ids: Any, wanted: Any) -> Int[ndarray, " m"]:
    """Return the row in which each wanted id stands in ``ids``, which are unique; −1 where it is not there.

    If one of the two has integers and the other strings, an integer is the id that its digits spell: 7 is "7" and not
    "007".
    """
    ids, wanted = np.asarray(ids), np.asarray(wanted)
    if (ids.dtype.kind == "U") != (wanted.dtype.kind == "U"):
        ids, wanted = ids.astype(str), wanted.astype(str)
    names, mine, theirs = common_codes(ids, wanted, what="ids")
    at = np.full(len(names), -1)
    at[mine] = np.arange(len(mine))
    return at[theirs]


def examples(*ids: Shaped[ndarray, " _"]) -> str:
    """The first id of each of several lists, for a reader who has to see how they differ.

    A letter may be one character or two that look like it: what is not in the usual form (NFC) is written in escapes.
    """
    first = [own[0].item() for own in ids if len(own)]
    usual = [not isinstance(value, str) or unicodedata.is_normalized("NFC", value) for value in first]
    return " and ".join(repr(value) if plain else ascii(value) for value, plain in zip(first, usual, strict=True))


def common_codes(*sets: Any, what: str = "labels") -> tuple[Any, ...]:
    """Encode the labels of several sets by one list of classes.

    Parameters
    ----------
    *sets : FeatureSet, array_like of integers or strings, or None
        Labels of each set, of which single ones may be missing; or a set that has labels. None has no codes.
    what : str
        What they are called in messages; ids and groups are encoded as well.

    Returns
    -------
    labels : ndarray, shape (K,)
        The distinct labels of all the sets, sorted.
    *codes : ndarray of int, shape (N,), or None
        Of each set, position of each row's label in ``labels``; −1 where it has none.

    Raises
    ------
    ValueError
        If some labels are integers and some are strings, or if no 64-bit integer type holds all of them.
    """
    pairs = [_encoded(given, what) for given in sets]
    names = [pair[0] for pair in pairs if pair is not None and len(pair[0])]
    texts = [name for name in names if name.dtype.kind == "U"]
    if texts and len(texts) < len(names):
        kinds = {"strings" if name.dtype.kind == "U" else "integers": name[0].item() for name in names}
        got = " and ".join(f"{kind} (such as {value!r})" for kind, value in kinds.items())
        raise ValueError(f"sets must have {what} of one kind, got {got}: write them alike in every file.")
    if names and not texts:
        least, most = min(int(name[0]) for name in names), max(int(name[-1]) for name in names)
        if least < 0 and most >= 2**63:
            raise ValueError(f"{what} must be integers of 64 bits, signed or unsigned, got {least} and {most}.")
        wide = np.result_type(*names)
        wide = wide if wide.kind in "iu" else np.dtype(np.int64 if most < 2**63 else np.uint64)
        names = [name.astype(wide) for name in names]
    labels = np.unique(np.concatenate(names)) if names else np.empty(0, int)
    places = iter([np.searchsorted(labels, name) for name in names])
    codes: list[Int[ndarray, " n"] | None] = []
    for pair in pairs:
        # the code −1 takes the last entry
        own = np.append(next(places), -1) if pair is not None and len(pair[0]) else np.array([-1])
        codes.append(None if pair is None else own[pair[1]])
    return labels, *codes


def _encoded(given: Any, what: str) -> tuple[ndarray, Int[ndarray, " n"]] | None:
    if given is None:
        return None
    if hasattr(given, "codes") and hasattr(given, "classes"):
        return given.classes, given.codes
    return encode(*known(given, what))


def _complete(values: Any, what: str) -> ndarray:
    column, present = known(values, what)
    if present is not None:
        row = int(np.argmin(present))
        raise ValueError(
            f"{what} must not be missing, but {np.sum(~present)} of {len(column)} are, the first is row {row}."
        )
    return column


def detached(values: Any) -> Any:
    """A torch tensor, perhaps on a GPU, as an array; anything else as it is."""
    detach = getattr(values, "detach", None)
    return values if detach is None else detach().cpu().numpy()


def _array(values: Any) -> ndarray:
    values = detached(values)
    array = np.asanyarray(values)
    # NumPy makes strings of numbers beside strings, and floats of integers that are too large
    native = {"U": str, "f": float}.get(array.dtype.kind)
    if native and isinstance(values, list | tuple) and not all(isinstance(value, native) for value in values):
        return np.asarray(values, object)
    return array


def _there(array: ndarray) -> Bool[ndarray, " n"]:
    if array.dtype.kind == "f":
        return ~np.isnan(array)
    return np.array(
        [value is not None and type(value).__name__ != "NAType" and value == value for value in array], bool
    )


def _restored(array: ndarray, there: Bool[ndarray, " n"], what: str) -> ndarray:
    """Integers or strings out of floats or objects of which some are missing."""
    rest = array[there]
    if array.dtype.kind == "f":
        if not np.all((rest == np.floor(rest)) & (np.abs(rest) < _EXACT_FLOAT)):
            raise ValueError(f"{what} must be integers or strings, got {array.dtype} with fractions or beyond 2^53.")
        return np.where(there, array, 0.0).astype(np.int64)
    kinds = {_kind(value) for value in rest}
    if kinds - {str} and kinds - {int}:
        got = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise ValueError(f"{what} must be all integers or all strings, got {got}.")
    if kinds == {str}:
        return np.array([value if here else "" for value, here in zip(array, there, strict=True)], str)
    listed = [int(value) if here else 0 for value, here in zip(array, there, strict=True)]
    try:
        return np.array(listed, np.uint64 if max(listed, default=0) >= 2**63 else np.int64)
    except OverflowError:
        raise ValueError(f"{what} must be integers of 64 bits, got a larger one.") from None


def _kind(value: Any) -> type:
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return str if isinstance(value, str) else int if whole else type(value)


def _native(column: ndarray, what: str) -> ndarray:
    """Integers in the machine's byte order, or str."""
    if column.dtype.kind != "S":
        column = np.ascontiguousarray(column, column.dtype.newbyteorder("="))
        if column.dtype.kind == "U" and column.size and column.view(np.uint32).max() > sys.maxunicode:
            raise ValueError(f"{what} must be strings of Unicode characters, got a number that is none.")
        return column
    try:
        return np.char.decode(column, "utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{what} must be strings in UTF-8, got {error.object!r}.") from None

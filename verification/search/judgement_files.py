"""Files of judgements: TREC qrels, BEIR tables, JSON lines; and lists of pairs for 1:1 verification.

=========== ====================================================================================
TREC qrels  ``query iteration item grade``, separated by blanks
BEIR        ``query-id corpus-id score``, separated by tabs, below a header
JSON lines  objects with a query (``query-id``, ``query_id`` or ``query``), an item (``corpus-id``,
            ``doc_id``, ``item_id`` or ``item``) and, unless it is 1, a ``score``, ``relevance`` or ``grade``
pairs       two ids and whether they are the same (``1``, ``same``, ``true``) or not (``0``, ``different``,
            ``false``), separated by tabs, commas or blanks; a header may stand above
=========== ====================================================================================
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from theory.files import reading, regular

_NAMES = {
    "query": ("query-id", "query_id", "query"),
    "item": ("corpus-id", "corpus_id", "doc_id", "item_id", "item"),
    "grade": ("score", "relevance", "grade"),
}
_SAME = dict.fromkeys(("1", "same", "true"), True) | dict.fromkeys(("0", "different", "false"), False)


@dataclass
class Table:
    """Columns of a file: ids of queries and of items as text, and grades; 1 and 0 for pairs."""

    queries: list[str] = field(default_factory=list)
    items: list[str] = field(default_factory=list)
    grades: list[float] = field(default_factory=list)


def read_judgements(path: Path) -> Table:
    """Read a file of judgements, of the kind that its first line shows.

    Raises
    ------
    ValueError
        Naming the file and the line that cannot be used.
    """
    lines = list(_lines(path))
    first = lines[0][1]
    if first.startswith("{"):
        return _table(path, lines, _from_json)
    if len(first.split("\t")) == 3:
        header = _number(first.split("\t")[2]) is None
        return _table(path, lines[header:], lambda line: _from_columns(line.split("\t"), 3))
    if len(first.split()) == 4:
        return _table(path, lines, lambda line: _from_columns(line.split(), 4))
    raise ValueError(
        f"{path}: line {lines[0][0]}: judgements must be TREC qrels (four columns), a BEIR table (query-id, corpus-id "
        f"and score, separated by tabs) or JSON lines, got {first[:80]!r}."
    )


def read_pairs(path: Path) -> Table:
    """Read a list of pairs, each the same or different.

    Raises
    ------
    ValueError
        Naming the file and the line that cannot be used.
    """
    lines = list(_lines(path))
    separator = next((mark for mark in "\t," if mark in lines[0][1]), None)
    first = lines[0][1].split(separator)
    header = len(first) == 3 and first[2].strip().lower() not in _SAME
    return _table(path, lines[header and len(lines) > 1 :], lambda line: _from_pair(line.split(separator)))


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    with reading(path, "It must be text in UTF-8."):
        text = regular(path).read_text(encoding="utf-8-sig")
    some = [(number, line.strip(" \r")) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not some:
        raise ValueError(f"{path}: must have at least one line.")
    return iter(some)


def _table(path: Path, lines: list[tuple[int, str]], parse: Callable[[str], tuple[str, str, float]]) -> Table:
    table = Table()
    for number, line in lines:
        try:
            query, item, grade = parse(line)
        except ValueError as error:
            raise ValueError(f"{path}: line {number}: {error}") from None
        table.queries.append(query)
        table.items.append(item)
        table.grades.append(grade)
    if not table.queries:
        raise ValueError(f"{path}: must have a line below its header.")
    return table


def _from_columns(columns: list[str], count: int) -> tuple[str, str, float]:
    if len(columns) != count:
        raise ValueError(f"must have {count} columns as the first line, got {len(columns)}.")
    grade = _number(columns[-1])
    if grade is None:
        raise ValueError(f"the last column must be a finite grade, got {columns[-1]!r}.")
    return columns[0], columns[-2], grade


def _from_json(line: str) -> tuple[str, str, float]:
    try:
        entry = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"must be JSON, but {error}.") from None
    if not isinstance(entry, dict):
        raise ValueError(f"must be a JSON object, got {line[:80]!r}.")
    grade = _number(_entry(entry, "grade", 1))
    if grade is None:
        raise ValueError("the grade must be a finite number.")
    return _id(_entry(entry, "query")), _id(_entry(entry, "item")), grade


def _entry(entry: dict[str, Any], kind: str, default: Any = None) -> Any:
    name = next((name for name in _NAMES[kind] if name in entry), None)
    if name is None and default is None:
        raise ValueError(f"must have one of {', '.join(_NAMES[kind])}, got {', '.join(entry) or 'nothing'}.")
    return default if name is None else entry[name]


def _id(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"an id must be an integer or a string, got {value!r}.")
    return str(value)


def _from_pair(columns: list[str]) -> tuple[str, str, float]:
    if len(columns) != 3:
        raise ValueError(f"must have two ids and whether they are the same, got {len(columns)} columns.")
    query, item, word = (column.strip() for column in columns)
    if word.lower() not in _SAME:
        raise ValueError(f"the third column must be one of {', '.join(_SAME)}, got {word!r}.")
    return query, item, float(_SAME[word.lower()])


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None

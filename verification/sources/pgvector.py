"""A PostgreSQL table with a pgvector column, read by a cursor on the server (psycopg 3, the extra ``pgvector``).

Each pass is one read-only transaction, so it sees the table as it was at one moment; a pass that lost its connection
goes on in another.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import ndarray

from verification.files.shards import Shard
from verification.sources._keyed import ConnectionLost, Id, Layout, open_keyed
from verification.sources._url import Address

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.sql import Composable

_DTYPES: dict[str, np.dtype] = {"vector": np.dtype(">f4"), "halfvec": np.dtype(">f2")}
_INTEGERS = ("int2", "int4", "int8")
_LABELS_A_PAGE = 8192


@dataclass(frozen=True)
class _Column:
    name: str
    type: str
    category: str
    modifier: int
    shown: str


@dataclass(frozen=True)
class Table:
    """A table and its columns.

    Attributes
    ----------
    name : str
        As messages show it.
    connection : tuple of pairs
        What libpq is told; the rest, and the password, it takes from the environment.
    table : tuple of str
        Its name, after that of its schema where one is given.
    id, label, vector : str
        Names of columns.
    """

    name: str
    connection: tuple[tuple[str, Any], ...]
    table: tuple[str, ...]
    id: str
    label: str
    vector: str

    def layout(self) -> Layout:
        """Check the columns, and the first vector where the column leaves the dimension open."""
        from psycopg import sql

        with self._connected() as connection:
            columns = self._columns(connection)
            vector = columns[self.vector]
            dim = vector.modifier
            if dim < 1:
                query = sql.SQL("SELECT vector_dims({}) FROM {} LIMIT 1").format(
                    sql.Identifier(self.vector), sql.Identifier(*self.table)
                )
                first = connection.execute(query).fetchone()
                if first is None or first[0] is None:
                    raise ValueError(
                        f"{self.name}: must hold rows with vectors, got {'none' if first is None else 'NULL'}."
                    )
                dim = first[0]
        return Layout(dim, _DTYPES[vector.type].newbyteorder("="))

    def labelled(self, after: Id | None) -> Iterator[tuple[list[Id], list[Any]]]:
        """Ids and labels in the order of the ids."""
        from psycopg import sql

        with self._connected() as connection:
            columns = self._columns(connection)
            label: Composable = sql.Identifier(self.label)
            if columns[self.label].type not in _INTEGERS:
                label = sql.SQL("{}::text").format(label)
            yield from self._pages(connection, columns[self.id], label, after, _LABELS_A_PAGE)

    def vectors(self, after: Id | None, layout: Layout) -> Iterator[tuple[list[Id], ndarray]]:
        """Ids and vectors in the order of the ids."""
        from psycopg import sql

        with self._connected() as connection:
            columns = self._columns(connection)
            column = sql.Identifier(self.vector)
            for ids, values in self._pages(connection, columns[self.id], column, after, layout.page):
                yield ids, self._decoded(ids, values, _DTYPES[columns[self.vector].type], layout)

    def _pages(
        self, connection: Connection, key: _Column, value: Composable, after: Id | None, page: int
    ) -> Iterator[tuple[list[Id], list[Any]]]:
        from psycopg import sql

        order: Composable = sql.Identifier(self.id)
        shown = order
        if key.type not in (*_INTEGERS, "uuid"):  # by bytes, whatever the language of the database
            order = sql.SQL('{}::text COLLATE "C"').format(order)
        if key.type not in _INTEGERS:
            shown = sql.SQL("{}::text").format(shown)
        beyond = (
            sql.SQL("")
            if after is None
            else sql.SQL("WHERE {} > {}::{}").format(
                order, sql.Placeholder(), sql.SQL(key.type if key.type in (*_INTEGERS, "uuid") else "text")
            )
        )
        query = sql.SQL("SELECT {}, {} FROM {} {} ORDER BY {} NULLS FIRST").format(
            shown, value, sql.Identifier(*self.table), beyond, order
        )
        with connection.cursor("rows", binary=True) as cursor:
            cursor.execute(query, None if after is None else (after,))
            while rows := cursor.fetchmany(page):
                ids, values = zip(*rows, strict=True)
                if None in ids:
                    raise ValueError(f"{self.name}: ids must not be missing, but column {self.id!r} holds NULL.")
                yield list(ids), list(values)

    def _decoded(self, ids: list[Id], values: list[Any], stored: np.dtype, layout: Layout) -> ndarray:
        """Vectors as they come over the wire: d and a zero, two bytes each, and the numbers, big end first."""
        record = np.dtype([("dim", ">i2"), ("zero", ">i2"), ("row", stored, layout.dim)])
        for key, value in zip(ids, values, strict=True):
            if value is None:
                raise ValueError(f"{self.name}: vectors must not be missing, but that of id {key!r} is NULL.")
            if len(value) != record.itemsize:
                dim = (len(value) - 4) // stored.itemsize
                raise ValueError(
                    f"{self.name}: vectors must have one dimension, {layout.dim}, but that of id {key!r} has {dim}."
                )
        return np.frombuffer(b"".join(values), record)["row"].astype(layout.dtype, order="C")

    def _columns(self, connection: Connection) -> dict[str, _Column]:
        """The columns of the table by name, those that are asked for checked."""
        from psycopg import sql

        quoted = sql.Identifier(*self.table).as_string(connection)
        found = connection.execute("SELECT to_regclass(%s)::oid", (quoted,)).fetchone()
        if found is None or found[0] is None:
            raise ValueError(f"{self.name}: there is no table {'.'.join(self.table)!r} in the database.")
        rows = connection.execute(
            "SELECT a.attname, t.typname, t.typcategory, a.atttypmod, format_type(a.atttypid, a.atttypmod) "
            "FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid "
            "WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
            found,
        )
        columns = {row[0]: _Column(*row) for row in rows}
        for what, name in (("id", self.id), ("label", self.label), ("vector", self.vector)):
            if name not in columns:
                names = ", ".join(map(repr, columns)) or "none"
                raise ValueError(f"{self.name}: there is no column {name!r} for {what}=; the table has {names}.")
        self._check_types(connection, columns)
        return columns

    def _check_types(self, connection: Connection, columns: dict[str, _Column]) -> None:
        if columns[self.vector].type not in _DTYPES:
            known = connection.execute("SELECT 1 FROM pg_extension WHERE extname = 'vector'").fetchone()
            hint = "" if known else "; the database has no pgvector extension"
            raise ValueError(
                f"{self.name}: column {self.vector!r} must be of pgvector's type vector or halfvec, "
                f"got {columns[self.vector].shown}{hint}."
            )
        # typcategory S: strings, E: enumerations
        for name, others, allowed in (
            (self.id, columns[self.id].type == "uuid", "integers, uuid or text"),
            (self.label, columns[self.label].category == "E", "integers, text or an enumeration"),
        ):
            if columns[name].type not in _INTEGERS and columns[name].category != "S" and not others:
                raise ValueError(f"{self.name}: column {name!r} must be {allowed}, got {columns[name].shown}.")

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        """A read-only transaction; psycopg's complaints as ours, in one line."""
        import psycopg

        try:
            with psycopg.connect(**dict(self.connection), prepare_threshold=None) as connection:
                connection.read_only = True
                connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
                yield connection
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            raise ConnectionLost(f"{self.name}: {_first_line(error)}.") from None
        except psycopg.Error as error:
            raise ValueError(f"{self.name}: {_first_line(error)}.") from None


def open_table(address: Address) -> Shard:
    """Open the table that a ``pgvector://`` URL names."""
    try:
        import psycopg  # noqa: F401
    except ImportError:
        raise ValueError("pgvector:// needs psycopg: pip install 'stationary-representations[pgvector]'.") from None

    asked = address.parameters
    if not asked.get("table"):
        raise ValueError(f"{address.name}: must name a table: pgvector://…/database?table=….")
    # a server that is gone without a word is noticed within a minute
    connection: dict[str, Any] = {"connect_timeout": 10, "keepalives_idle": 30, "keepalives_count": 3}
    given = {"host": address.host, "port": address.port, "user": address.user, "dbname": address.path.strip("/")}
    connection |= {name: value for name, value in given.items() if value}
    table = Table(
        address.name,
        tuple(connection.items()),
        tuple(asked["table"].split(".")),
        asked.get("id", "id"),
        asked.get("label", "label"),
        asked.get("vector", "embedding"),
    )
    return open_keyed(table)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")

"""A PostgreSQL table with a pgvector column, read by a cursor on the server (psycopg 3, the extra ``pgvector``).

Each pass is one read-only transaction, so it sees the table as it was at one moment; a pass that lost its connection
goes on in another.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from theory.extras import require
from verification.features.files.tables import ConnectionLost, Id
from verification.features.selection import ALL_ROWS, Where
from verification.features.sources._url import Address, is_here

if TYPE_CHECKING:
    import pyarrow as pa
    from psycopg import Connection
    from psycopg.sql import Composable

_DTYPES: dict[str, np.dtype] = {"vector": np.dtype(">f4"), "halfvec": np.dtype(">f2")}
_INTEGERS = ("int2", "int4", "int8")


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
    columns : dict
        Names of the columns of id, vector, label and group.
    named : tuple of str
        Which of them the user named: those must be there.
    where : Where
        Which rows are read.
    """

    name: str
    connection: tuple[tuple[str, Any], ...]
    table: tuple[str, ...]
    columns: dict[str, str]
    named: tuple[str, ...]
    where: Where = ALL_ROWS
    live = True

    def describe(self) -> tuple[Mapping[str, pa.DataType], tuple[str, ...]]:
        """Check the columns, and the first vector where the column leaves the dimension open."""
        import pyarrow as pa
        from psycopg import sql

        with self._connected() as connection:
            columns = self._columns(connection)
            dim = columns["vector"].modifier
            if dim < 1:
                column = sql.Identifier(self.columns["vector"])
                query = sql.SQL("SELECT vector_dims({}) FROM {} WHERE {} IS NOT NULL LIMIT 1").format(
                    column, sql.Identifier(*self.table), column
                )
                if (first := connection.execute(query).fetchone()) is None:
                    raise ValueError("must hold rows with vectors, got none.")
                dim = first[0]
            number = pa.from_numpy_dtype(_DTYPES[columns["vector"].type].newbyteorder("="))
        kinds = {role: pa.int64() if column.type in _INTEGERS else pa.string() for role, column in columns.items()}
        return {**kinds, "vector": pa.list_(number, dim)}, ()

    def batches(self, columns: Sequence[str], rows: int, after: Id | None = None) -> Iterator[pa.RecordBatch]:
        """Read some columns in the order of the ids, in one transaction."""
        import pyarrow as pa
        from psycopg import sql

        with self._connected() as connection:
            described = self._columns(connection)
            key = described["id"]
            order: Composable = sql.Identifier(key.name)
            if key.type not in (*_INTEGERS, "uuid"):  # by bytes, whatever the language of the database
                order = sql.SQL('{}::text COLLATE "C"').format(order)
            wanted: list[Composable] = []
            for role in columns:
                column = sql.Identifier(described[role].name)
                plain = role == "vector" or described[role].type in _INTEGERS
                wanted.append(column if plain else sql.SQL("{}::text").format(column))
            # a constant without a type takes that of the column
            asked: list[Composable] = [
                sql.SQL("{} IN ({})").format(sql.Identifier(column), sql.SQL(", ").join(map(sql.Literal, values)))
                for column, values in self.where.values
            ]
            if after is not None:
                kind = sql.SQL(key.type if key.type in (*_INTEGERS, "uuid") else "text")
                asked.append(sql.SQL("{} > {}::{}").format(order, sql.Literal(after), kind))
            query = sql.SQL("SELECT {} FROM {} {} ORDER BY {} NULLS FIRST").format(
                sql.SQL(", ").join(wanted),
                sql.Identifier(*self.table),
                sql.SQL("WHERE {}").format(sql.SQL(" AND ").join(asked)) if asked else sql.SQL(""),
                order,
            )
            with connection.cursor("rows", binary=True) as cursor:
                cursor.execute(query)
                while page := cursor.fetchmany(rows):
                    values = dict(zip(columns, zip(*page, strict=True), strict=True))
                    if None in values["id"]:
                        raise ValueError(f"ids must not be missing, but column {key.name!r} holds NULL.")
                    arrays = {
                        role: self._decoded(values["id"], some, _DTYPES[described[role].type])
                        if role == "vector"
                        else pa.array(some, pa.int64() if described[role].type in _INTEGERS else pa.string())
                        for role, some in values.items()
                    }
                    yield pa.RecordBatch.from_pydict(arrays)

    def _decoded(self, ids: Sequence[Id], values: Sequence[Any], stored: np.dtype) -> pa.Array:
        """Vectors as they come over the wire: d and a zero, two bytes each, and the numbers, big end first."""
        import pyarrow as pa

        there = [value for value in values if value is not None]
        if not there:
            return pa.nulls(len(values), pa.list_(pa.from_numpy_dtype(stored.newbyteorder("=")), 1))
        size = len(there[0])
        for key, value in zip(ids, values, strict=True):
            if value is not None and len(value) != size:
                dims = [(len(each) - 4) // stored.itemsize for each in (there[0], value)]
                raise ValueError(f"vectors must have one dimension, {dims[0]}, but that of id {key!r} has {dims[1]}.")
        dim = (size - 4) // stored.itemsize
        record = np.dtype([("dim", ">i2"), ("zero", ">i2"), ("row", stored, dim)])
        empty = bytes(size)
        joined = b"".join(empty if value is None else value for value in values)
        rows = np.frombuffer(joined, record)["row"].astype(stored.newbyteorder("="), order="C")
        missing = pa.array([value is None for value in values]) if len(there) < len(values) else None
        return pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), dim, mask=missing)

    def _columns(self, connection: Connection) -> dict[str, _Column]:
        """The columns that are asked for, checked; a label or group that nobody named may be absent."""
        from psycopg import sql

        quoted = sql.Identifier(*self.table).as_string(connection)
        found = connection.execute("SELECT to_regclass(%s)::oid", (quoted,)).fetchone()
        if found is None or found[0] is None:
            raise ValueError(f"there is no table {'.'.join(self.table)!r} in the database.")
        rows = connection.execute(
            "SELECT a.attname, t.typname, t.typcategory, a.atttypmod, format_type(a.atttypid, a.atttypmod) "
            "FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid "
            "WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
            found,
        )
        there = {row[0]: _Column(*row) for row in rows}
        self.where.check(there)
        columns = {}
        for role, name in self.columns.items():
            if name in there:
                columns[role] = there[name]
            elif role in self.named or role in ("id", "vector"):
                names = ", ".join(map(repr, there)) or "none"
                raise ValueError(f"there is no column {name!r} for {role}=; the table has {names}.")
        self._check_types(connection, columns)
        return columns

    def _check_types(self, connection: Connection, columns: dict[str, _Column]) -> None:
        vector = columns["vector"]
        if vector.type not in _DTYPES:
            known = connection.execute("SELECT 1 FROM pg_extension WHERE extname = 'vector'").fetchone()
            hint = "" if known else "; the database has no pgvector extension"
            raise ValueError(
                f"column {vector.name!r} must be of pgvector's type vector or halfvec, got {vector.shown}{hint}."
            )
        # typcategory S: strings, E: enumerations
        for role in columns.keys() - {"vector"}:
            column = columns[role]
            other = column.type == "uuid" if role == "id" else column.category == "E"
            if column.type not in _INTEGERS and column.category != "S" and not other:
                allowed = "integers, uuid or text" if role == "id" else "integers, text or an enumeration"
                raise ValueError(f"column {column.name!r} must be {allowed}, got {column.shown}.")

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
            raise ValueError(f"{_first_line(error)}.") from None


def open_source(address: Address) -> Table:
    """Open the table that a ``pgvector://`` URL names; encrypted unless it is on this machine."""
    require("pgvector://", "psycopg")
    asked = address.parameters
    if not asked.get("table"):
        raise ValueError(f"{address.name}: must name a table: pgvector://…/database?table=….")
    # a server that is gone without a word is noticed within a minute
    connection: dict[str, Any] = {"connect_timeout": 10, "keepalives_idle": 30, "keepalives_count": 3}
    given = {"host": address.host, "port": address.port, "user": address.user, "dbname": address.path.strip("/")}
    connection |= {name: value for name, value in given.items() if value}
    host = address.host or os.environ.get("PGHOST") or os.environ.get("PGHOSTADDR") or ""
    off = not is_here(host) or "PGSERVICE" in os.environ  # a service may be anywhere
    if "tls" in asked or (off and "PGSSLMODE" not in os.environ):
        connection["sslmode"] = "require" if address.tls(True) else "disable"
    names = {"id": "id", "vector": "embedding", "label": "label", "group": "group"}
    columns = {role: asked.get(role, name) for role, name in names.items() if asked.get(role, name)}
    named = tuple(role for role in names if asked.get(role))
    table = tuple(asked["table"].split("."))
    return Table(address.name, tuple(connection.items()), table, columns, named, address.where)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")

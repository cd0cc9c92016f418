"""Vectors where they are: Qdrant, pgvector, Chroma, LanceDB, Milvus Lite, and whatever a plug-in knows.

A source is one entry of :data:`SOURCES`, or of the entry points ``stationary.sources`` of an installed package: the
scheme of its URLs and what opens them, as a :class:`~verification.features.files.tables.Table` whose columns are called
``id``, ``vector`` and, if there are any, ``label`` and ``group``. A URL of another scheme names a table in a
file that fsspec reaches. Nothing is written anywhere, and passwords come from the environment only.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.metadata import entry_points

from theory.files import reading
from verification.features.columns import Columns, Names
from verification.features.files.loader import open_remote
from verification.features.files.shards import Shard
from verification.features.files.tables import ConnectionLost, Table, open_table, watching
from verification.features.selection import Selection
from verification.features.sources._url import Address, masked, parse

__all__ = ["SOURCES", "Address", "ConnectionLost", "Source", "Table", "is_url", "open_url", "watching"]

Opener = Callable[[Address], Table]


@dataclass(frozen=True)
class Source:
    """How URLs of a scheme are opened.

    Attributes
    ----------
    opener : callable or str
        A function of an :class:`Address` that returns a :class:`Table`, or ``module:function``, imported when needed.
    parameters : tuple of str
        What may stand after the question mark of the URL.
    password : str
        The environment variable of the password, as messages say it.
    users : bool
        Whether a URL may name a user.
    """

    opener: Opener | str
    parameters: tuple[str, ...]
    password: str = "the environment"
    users: bool = True

    def address(self, url: str, names: Names) -> Address:
        """What a URL says; names of columns replace those in it, and a filter is added to its own."""
        return parse(url, self.parameters, self.password, names, self.users)

    def open(self, address: Address) -> Table:
        """Open the table at an address."""
        if callable(self.opener):
            return self.opener(address)
        module, _, function = self.opener.partition(":")
        return getattr(import_module(module), function)(address)


# user:password@host, in a text that may be meant as a URL
_PASSWORD = re.compile(r"[^/\s:]+:[^\s]*@[^/\s]")
_HERE = "verification.features.sources"
_COLUMNS = ("id", "label", "vector", "group")
SOURCES: dict[str, Source] = {
    "qdrant": Source(
        f"{_HERE}.qdrant:open_collection", ("collection", *_COLUMNS[1:], "where", "tls"), "QDRANT_API_KEY", users=False
    ),
    "pgvector": Source(f"{_HERE}.pgvector:open_source", ("table", *_COLUMNS, "where", "tls"), "PGPASSWORD"),
    **{
        scheme: Source(f"{_HERE}.embedded:open_embedded", ("collection", *_COLUMNS, "where"), users=False)
        for scheme in ("chroma", "lancedb", "milvus")
    },
}


def find_source(scheme: str) -> Source | None:
    """The source of a scheme, ours or of an installed package."""
    if scheme in SOURCES:
        return SOURCES[scheme]
    return next((entry.load() for entry in entry_points(group="stationary.sources", name=scheme)), None)


def open_url(url: str, names: Names) -> tuple[list[Shard], Columns]:
    """Open what a URL names.

    Raises
    ------
    ValueError
        If the URL, or what it names, cannot be used; the message names it, without a password.
    ConnectionError
        If nobody answers there.
    """
    source = find_source(url.partition(":")[0])
    if source is None:
        try:
            return open_remote(url, masked(url), names, tuple(SOURCES))
        except FileNotFoundError:
            raise FileNotFoundError(f"{masked(url)}: no such file.") from None
        except ImportError as error:  # of fsspec, where what it needs for a scheme is not installed
            raise ValueError(f"{masked(url)}: {error}.") from None
        except Exception as error:  # of any library behind fsspec
            if masked(url) == url and isinstance(error, ValueError | OSError):
                raise
            # what a library says may hold the password
            raise ValueError(f"{masked(url)}: cannot be opened ({type(error).__name__}).") from None
    address = source.address(url, names)
    table, where = source.open(address), address.where
    with reading(table.name):
        complete = Selection(complete=names.rows is not None and names.rows.complete)
        shard, columns = open_table(table, Names(separator=names.separator, rows=complete), str(where))
        if not len(shard):
            raise ValueError("no row is left of what was asked for (drop_incomplete).")
    if where:
        shard = replace(shard, remarks=(*shard.remarks, f"{table.name}: only rows with {where} are read."))
    return [shard], columns


def is_url(text: str) -> bool:
    """Whether a text names a source by URL; half a URL of a known one raises ValueError, which does not repeat it."""
    if "://" not in text and _PASSWORD.search(text) and not os.path.exists(text):
        raise ValueError("a URL begins with SCHEME://, and holds no password: set it in the environment.")
    found = re.match(r"([a-z][a-z0-9+.-]+):(/{0,2})", text, re.IGNORECASE)
    if found is None:
        return False
    scheme = found[1].lower()
    if find_source(scheme) is None:
        return found[2] == "//"
    if found[2] != "//" or scheme != found[1]:
        raise ValueError(f"{scheme}:…: a URL begins with {scheme}://; give it as a str, a Path merges its slashes.")
    return True

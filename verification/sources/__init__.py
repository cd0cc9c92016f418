"""Vectors where they are: a FAISS index file, a Qdrant collection, a PostgreSQL table with pgvector.

Each is opened read-only as a shard whose rows come in the order of their ids, so that two sources of the same samples
pair row by row; the ids are kept, and what compares row by row compares them too. Labels and ids are read when a source
is opened, vectors in blocks when they are asked for. Passwords come from the environment alone.
"""

from __future__ import annotations

import re

from verification.files.shards import Shard
from verification.sources._keyed import watching

__all__ = ["SCHEMES", "is_url", "open_url", "watching"]

SCHEMES = ("qdrant", "pgvector")


def open_url(url: str) -> Shard:
    """Open what a URL names.

    Raises
    ------
    ValueError
        If the URL, or what it names, cannot be used; the message names it, without a password.
    ConnectionError
        If nobody answers there.
    """
    from verification.sources._url import parse

    address = parse(url)
    if address.scheme == "pgvector":
        from verification.sources.pgvector import open_table

        return open_table(address)
    if address.host:
        from verification.sources.qdrant import open_collection

        return open_collection(address)
    from verification.sources.qdrant_folder import open_folder

    return open_folder(address)


def is_url(text: str) -> bool:
    """Whether a text names a source by URL; of another scheme or half a URL it raises ValueError."""
    found = re.match(r"([a-z][a-z0-9+.-]+):/(/?)", text, re.IGNORECASE)
    if found is None or (found[1] not in SCHEMES and not found[2]):
        return False
    allowed = ", ".join(f"{scheme}://" for scheme in SCHEMES)
    if found[1] not in SCHEMES:
        raise ValueError(f"{found[1]}://…: the vectors of a URL must be at one of {allowed}.")
    if not found[2]:
        raise ValueError(
            f"{found[1]}:/…: a URL begins with {found[1]}://; give it as a str, a Path merges its slashes."
        )
    return True

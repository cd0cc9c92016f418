"""URLs of sources: scheme, user, host, port, path and parameters, and no password."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

# scheme: (where its password is read from, its parameters)
_KNOWN = {
    "qdrant": ("QDRANT_API_KEY", ("collection", "label", "vector", "tls")),
    "pgvector": ("PGPASSWORD", ("table", "id", "label", "vector")),
}


@dataclass(frozen=True)
class Address:
    """What a URL says.

    Attributes
    ----------
    scheme : str
        ``qdrant`` or ``pgvector``.
    name : str
        The URL as messages show it: scheme, user, host, path and the collection or table.
    user, host, port, path : str or int
        Empty, or None for the port, where the URL has none; the path begins with a slash.
    parameters : dict
        What comes after the question mark.
    """

    scheme: str
    name: str
    user: str
    host: str
    port: int | None
    path: str
    parameters: dict[str, str]


def parse(url: str) -> Address:
    """Take a URL apart.

    Raises
    ------
    ValueError
        Where it has a password or a parameter that its scheme does not know. No value is repeated in the message: it
        may be a password that went astray.
    """
    scheme = url.partition(":")[0]
    variable, known = _KNOWN[scheme]
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(
            f"{scheme}://…: must be {scheme}://[user@]host[:port]/…, got no readable host or port."
        ) from None
    user, host, path = unquote(parts.username or ""), unquote(parts.hostname or ""), unquote(parts.path)
    where = (f"{user}@" if user else "") + host + ("" if port is None else f":{port}")
    name = f"{scheme}://{where}{path}"
    if parts.password is not None:
        raise ValueError(f"{name}: a URL must not hold a password, others may see it; set {variable} instead.")
    if parts.fragment:
        raise ValueError(f"{name}: must have no part after '#'; write %23 where a name holds one.")
    parameters = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        raise ValueError(
            f"{name}: parameters must be of {', '.join(known)}, got {', '.join(map(repr, unknown))}; "
            f"a password is read from {variable} alone."
        )
    for part in ("collection", "table"):
        if part in parameters:
            name += f"?{part}={parameters[part]}"
    return Address(scheme, name, user, host, port, path, parameters)

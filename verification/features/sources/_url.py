"""URLs of sources: scheme, user, host, port, path and parameters, and no password."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from verification.features.columns import Names
from verification.features.selection import ALL_ROWS, Where

_LOOPBACK = ("", "localhost", "127.0.0.1", "::1")


def is_here(host: str) -> bool:
    """Whether a host, or the folder of a socket, is on this machine."""
    return host in _LOOPBACK or host.startswith("/")


@dataclass(frozen=True)
class Address:
    """What a URL says.

    Attributes
    ----------
    scheme : str
    name : str
        The URL as messages show it: scheme, user, host, path and the collection or table.
    user, host, port, path : str or int
        Empty, or None for the port, where the URL has none; the path begins with a slash.
    parameters : dict
        What comes after the question mark.
    where : Where
        Which rows are read; of a source that has no parameter ``where``, all.
    """

    scheme: str
    name: str
    user: str
    host: str
    port: int | None
    path: str
    parameters: dict[str, str]
    where: Where = ALL_ROWS

    @property
    def here(self) -> bool:
        """Whether the host is this machine."""
        return is_here(self.host)

    def tls(self, default: bool) -> bool:
        """Whether to encrypt: what ``tls=`` says, yes or no."""
        asked = self.parameters.get("tls", "yes" if default else "no")
        if asked not in ("yes", "no"):
            raise ValueError(f"{self.name}: tls must be 'yes' or 'no'.")
        return asked == "yes"


def parse(url: str, known: tuple[str, ...], variable: str, names: Names, users: bool = True) -> Address:
    """Take a URL apart; names of columns that a user gave replace its parameters.

    Where a store knows no ``users``, what stands in their place is taken for a key.

    Raises
    ------
    ValueError
        Where it has a password or an unknown parameter. No value is repeated in the message: it may be a password that
        went astray, also one with a slash, a question mark or a colon of its own.
    """
    scheme = url.partition(":")[0]
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(
            f"{scheme}://…: must be {scheme}://[user@]host[:port]/…, got no readable host or port."
        ) from None
    user, host, path = unquote(parts.username or ""), unquote(parts.hostname or ""), unquote(parts.path)
    if (
        "@" in parts.path + parts.query + parts.fragment
        or ":" in user
        or "password" in path.lower()
        or "@" in user
        or (user and not users)
    ):
        raise ValueError(
            f"{scheme}://…: a URL must not hold a password or a key, others may see it; set {variable} instead, "
            "and write %40 for an @ in a name."
        )
    where = (f"{user}@" if user else "") + host + ("" if port is None else f":{port}")
    name = f"{scheme}://{where}{path}"
    if parts.password is not None:
        raise ValueError(f"{name}: a URL must not hold a password, others may see it; set {variable} instead.")
    if parts.fragment:
        raise ValueError(f"{name}: must have no part after '#'; write %23 where a name holds one.")
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    parameters = {key: value for key, value in pairs if key != "where"}
    rows = Where.of([value for key, value in pairs if key == "where"])
    if names.rows:
        rows = rows.also(names.rows.where)
    asked = {"vector": names.features, "label": names.labels, "id": names.ids, "group": names.groups}
    parameters |= {key: value for key, value in asked.items() if value is not None}
    unknown = sorted({*parameters, *(["where"] if rows else [])} - set(known))
    if unknown:
        got = ", ".join(repr(key) for key in unknown if parameters.get(key, key)) or "another"
        raise ValueError(
            f"{name}: parameters must be of {', '.join(known)}, got {got}; a password is read from {variable} alone."
        )
    for part in ("collection", "table"):
        if part in parameters:
            name += f"?{part}={parameters[part]}"
    return Address(scheme, name, user, host, port, path, parameters, rows)


def masked(url: str) -> str:
    """A URL of a file system without what could be a password."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://…" if "@" in rest else f"{scheme}://{rest.partition('?')[0].partition('#')[0]}"

"""What the searches that are compared are called: those of an upgrade, or of a compressed copy and its original."""

from __future__ import annotations

from dataclasses import dataclass

from verification.features.compression import Compression
from verification.views.numbers import count, plural


@dataclass(frozen=True, kw_only=True)
class SearchWords:
    """What the searches that are compared are called.

    Attributes
    ----------
    searches : tuple of str
        The first two searches, in short.
    old, new, have : str
        Who asks in them, and the verb that follows.
    short : tuple of str
        The same in a word.
    where : str
        Where the verdict's search is.
    """

    searches: tuple[str, str]
    old: str
    new: str
    have: str
    short: tuple[str, str]
    where: str


UPGRADE = SearchWords(
    searches=("old → old", "new → old"),
    old="old queries",
    new="new queries",
    have="have",
    short=("old", "new"),
    where="in the old gallery",
)
COPY = SearchWords(
    searches=("original", "copy"),
    old="the original",
    new="the copy",
    have="has",
    short=("original", "copy"),
    where="in the compressed copy",
)


def search_words(compression: Compression | None) -> SearchWords:
    """What to call the searches of an upgrade, or of a compressed copy."""
    return UPGRADE if compression is None else COPY


def memory(copy: Compression) -> str:
    """What a compressed copy is, and what it saves."""
    ranked = (
        f" It is ranked by the Hamming distance H of its signs, whose cosine is 1 − 2H/{copy.dim}."
        if copy.hamming
        else ""
    )
    return (
        f"The copy holds {copy.kind}. A vector takes {plural(copy.bytes_after, 'byte')} instead of "
        f"{count(copy.bytes_before)}.{ranked}"
    )

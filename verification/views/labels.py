"""Words that come from users' files, shown and not obeyed."""

from __future__ import annotations

import unicodedata

from verification.views.verdicts import LOOKS

# format characters that Persian and Indic spelling and emoji need; they order and hide nothing
_JOINERS = "\u200c\u200d"


def visible(text: str) -> str:
    r"""Return the text with control, format, separator and surrogate characters written as escapes.

    An escape sequence in a label can otherwise colour or erase lines of a terminal, and an override of direction can
    reorder what a page says. ``\x1b`` becomes the four characters ``\x1b``.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") and character not in _JOINERS
        else character
        for character in text
    )


def label(value: int | str) -> str:
    """Return the label of a class, made visible; of a long one both ends.

    One that is a verdict's word is put in quotes: a table would show it as a verdict.
    """
    text = visible(str(value))
    if text in LOOKS:
        return f"'{text}'"
    return text if len(text) <= 40 else f"{text[:20]}…{text[-19:]}"

"""Wholes: words and figures of a text, which no value begins or ends inside of.

``£9`` is no amount where the text says ``£99.5``, and ``ten`` no number in ``tenancy``. Letters and
digits in a row are one whole, with the marks that belong to them; a figure goes on over the points
and commas between its digits. Scripts without spaces between words have no such bounds: there
every character begins a whole.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from potstill.data.words import UNSPACED

_UNSPACED = re.compile(f"[{UNSPACED}]")


def cuts(text: str, at: int) -> bool:
    """Whether a bound between two characters goes through a word or a figure.

    Args:
        text: any text.
        at: the character after the bound.
    """
    if not 0 < at < len(text):
        return False
    before, after = text[at - 1], text[at]
    if _belongs(after):
        return not before.isspace()
    if _joins(before) and _joins(after):
        return True
    if after in ".,":
        return before.isdecimal() and text[at + 1 : at + 2].isdecimal()
    return before in ".," and after.isdecimal() and text[max(at - 2, 0) : at - 1].isdecimal()


def is_whole(text: str, start: int, end: int) -> bool:
    """Whether a part of a text neither begins nor ends inside a word or a figure."""
    return not cuts(text, start) and not cuts(text, end)


def widened(text: str, start: int, end: int) -> tuple[int, int]:
    """A part of a text with the rest of the words and figures that it cuts."""
    while cuts(text, start):
        start -= 1
    while cuts(text, end):
        end += 1
    return start, end


@lru_cache(maxsize=8192)
def _joins(character: str) -> bool:
    """Whether a character goes on with the one beside it: a letter, a digit, the mark of one."""
    if _UNSPACED.match(character):
        return False
    return character.isalnum() or _belongs(character)


@lru_cache(maxsize=8192)
def _belongs(character: str) -> bool:
    """Whether a character is a mark of the one before it."""
    return unicodedata.category(character).startswith("M")

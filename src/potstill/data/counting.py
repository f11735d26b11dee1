"""How many words a text has, and its first ones: what bounds of length count.

A word is a run of characters between white space; in scripts that put no space between words
every letter is one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from potstill.data.words import UNSPACED

_UNSPACED = re.compile(f"[{UNSPACED}]")
_PIECE = re.compile(rf"[{UNSPACED}]|[^\s{UNSPACED}]+")


def count_words(text: str) -> int:
    """The words of a text."""
    if not _UNSPACED.search(text):
        return len(text.split())
    return sum(1 for _ in _ends(text))


def first_words(text: str, most: int) -> str:
    """The beginning of a text, in at most so many words, its white space made even."""
    even = " ".join(text.split())
    for count, end in enumerate(_ends(even), 1):
        if count == most:
            return even[:end]
    return even


def _ends(text: str) -> Iterator[int]:
    """Where each word of a text ends."""
    at = 0
    for run in text.split():
        begin = text.index(run, at)
        at = begin + len(run)
        if not _UNSPACED.search(run):
            yield at
            continue
        # Marks of punctuation stand beside such letters without a space, and are no words.
        ends = [begin + piece.end() for piece in _PIECE.finditer(run) if _says(piece[0])]
        yield from ends or [at]


def _says(piece: str) -> bool:
    return any(map(str.isalnum, piece))

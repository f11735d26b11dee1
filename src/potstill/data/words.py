"""The words of a text, folded, with their places: how two ways to write one thing are found equal.

A word is a run of characters between white space and punctuation, so that a combining mark
stays with its letter; in scripts that put no space between words every character is one. Words
are folded by compatibility, case and accents, and compared letter by letter across the gaps
between them: ``NIKE, INC.`` is ``Nike Inc``, and ``L.P.`` is ``LP``. Offsets count characters of
the text as it stands.
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from functools import lru_cache

# Thai, Lao, Burmese, Khmer, Han and kana: scripts without spaces between words.
UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
_PUNCTUATION = (
    r"!-%'-/:-@\[-`{-\xa1\xa6-\xa9\xab-\xb1\xb4\xb6-\xb8\xbb\xbf"
    "\u2000-\u206f\u3000-\u303f\uff01-\uff0f\uff1a-\uff20"
)
_MARKS = "\u0300-\u036f\u3099\u309a"
_WORD = re.compile(rf"&|[{UNSPACED}][{_MARKS}]*|[^\s&{_PUNCTUATION}{UNSPACED}]+")

_SAME = {
    "&": "and",
    "company": "co",
    "corporation": "corp",
    "incorporated": "inc",
    "limited": "ltd",
}
"""Words that are as often abbreviated as not, above all in the names of firms."""


class Words:
    """A text as folded words.

    Attributes:
        text: the text.
        folded: the folded words, with nothing between them.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        # Arrays, since a text of ten megabytes has two million words.
        self._starts, self._ends, self._folded_starts = array("q"), array("q"), array("q")
        folded: list[str] = []
        place = 0
        for match in _WORD.finditer(text):
            self._starts.append(match.start())
            self._ends.append(match.end())
            self._folded_starts.append(place)
            folded.append(fold(match[0]))
            place += len(folded[-1])
        self.folded = "".join(folded)

    def __len__(self) -> int:
        return len(self._starts)

    @property
    def ends(self) -> tuple[str, str]:
        """What stands before the first word, and what after the last; there must be one."""
        return self.text[: self._starts[0]], self.text[self._ends[-1] :]

    def find(self, wanted: Words) -> Iterator[tuple[int, int]]:
        """Where the words of another text stand in this one, as offsets of this text.

        Whole words alone count: ``Ann`` does not stand in ``Annual``.
        """
        length = len(wanted.folded)
        place = self.folded.find(wanted.folded) if length else -1
        while place >= 0:
            first, after = (bisect_left(self._folded_starts, at) for at in (place, place + length))
            if self._start(first) == place and self._start(after) == place + length:
                yield self._starts[first], self._ends[after - 1]
            place = self.folded.find(wanted.folded, place + 1)

    def around(self, start: int, end: int) -> tuple[int, int]:
        """Offsets in the text of the words of which a part of `folded` holds at least half."""
        first = bisect_right(self._folded_starts, start) - 1
        last = bisect_left(self._folded_starts, end) - 1
        if first < last and start - self._start(first) > self._start(first + 1) - start:
            first += 1
        if first < last and end - self._start(last) < self._start(last + 1) - end:
            last -= 1
        return self._starts[first], self._ends[last]

    def _start(self, word: int) -> int:
        """Where a word begins in `folded`; of the one after the last, where that ends."""
        return self._folded_starts[word] if word < len(self) else len(self.folded)


@lru_cache(maxsize=65536)
def fold(word: str) -> str:
    """A word without case and accents, in its compatible form, long words of firms abbreviated."""
    if not word.isascii():
        apart = unicodedata.normalize("NFKD", word.casefold())
        letters = "".join(c for c in apart if not unicodedata.combining(c))
        word = "".join(unicodedata.normalize("NFKC", letters).casefold().split()) or word
    lower = word.lower()
    return _SAME.get(lower, lower)

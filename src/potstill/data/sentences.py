"""Sentences of a text, with offsets into it.

The splitter is Wikimedia's sentencex: rules for some three hundred languages, which know
abbreviations, keep what is in brackets and quotes together, and need no capital letter after a
full stop, so that lower-cased texts are split as well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from potstill.data.counting import count_words

_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence as it stands in a text.

    Attributes:
        text: without white space around it.
        start: its first character in the text.
        end: the character after its last one.
    """

    text: str
    start: int
    end: int

    @property
    def words(self) -> int:
        """Its words; see `count_words`."""
        return count_words(self.text)


def split_sentences(text: str, language: str = "en") -> list[Sentence]:
    """The sentences of a text in their order; every character but white space is in one.

    Args:
        text: any string.
        language: code of the language whose abbreviations are known; full stops of other
            scripts are understood all the same.
    """
    from sentencex import segment  # pyright: ignore[reportAttributeAccessIssue] - a Rust module

    found: list[Sentence] = []
    at = 0
    # The splitter takes no lone surrogate; one character stands in for one, so offsets hold.
    for piece in segment(language, _SURROGATE.sub("\ufffd", text)):
        end = at + len(piece)
        bare = text[at:end].strip()
        if bare:
            start = at + text[at:end].index(bare)
            found.append(Sentence(bare, start, start + len(bare)))
        at = end
    return found

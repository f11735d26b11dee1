"""Alignment: where a value, or words that somebody quotes, stand in a document.

Texts are found by their folded words (case, accents, white space, line breaks, punctuation and
typographic quotes do not count), and failing that by a small edit distance. Values of a type are
found by reading the document: ``2004-08-24`` stands where it says ``24th of August, 2004``.
"""

from __future__ import annotations

import re

from rapidfuzz import fuzz

from potstill.data.extraction import Scalar
from potstill.data.values import Convention, find_values, same_value
from potstill.data.words import Words
from potstill.spec.extraction import FieldSpec

LEAST_SIMILARITY = 90.0
"""Words that stand nowhere are taken for misspelt from this similarity on (per cent)."""

FEWEST_LETTERS = 8
"""What is shorter than this is never taken for misspelt: another word is too near."""

_INITIALS = re.compile(r"(?:^|\W)(?:[^\W\d_]\.)+[^\W\d_]$")


def locate(
    value: Scalar, document: str | Words, spec: FieldSpec, *, convention: Convention | None = None
) -> list[tuple[int, int]]:
    """Every mention of a value in a document, the best first.

    Args:
        value: in the normal form of the field's type.
        document: the text; or its words, where several values are looked for.
        spec: the field.
        convention: how values of the field are recorded.

    Returns:
        first character of each mention and the one after its last; none where the document
        does not say it.
    """
    words = document if isinstance(document, Words) else Words(document)
    if spec.type == "text":
        return locate_text(str(value), words)
    found = _typed(value, words.text, spec, convention)
    if not found and spec.type == "date":
        # The value tells how a date such as 10/11/04 was meant.
        orders = (Convention(day_first=first) for first in (True, False))
        found = next(filter(None, (_typed(value, words.text, spec, order) for order in orders)), [])
    return found


def locate_text(quoted: str, document: str | Words) -> list[tuple[int, int]]:
    """Every place of a document that says some words: those that say it verbatim first.

    Args:
        quoted: the words.
        document: the text; or its words, where several quotes are looked for.
    """
    words = document if isinstance(document, Words) else Words(document)
    quoted = quoted.strip()
    wanted = Words(quoted)
    if not len(wanted):
        return [m.span() for m in re.finditer(re.escape(quoted), words.text)] if quoted else []
    found = [_as_quoted(span, wanted, words.text) for span in words.find(wanted)]
    return sorted(found or _misspelt(wanted, words), key=lambda s: words.text[slice(*s)] != quoted)


def _typed(
    value: Scalar, text: str, spec: FieldSpec, convention: Convention | None
) -> list[tuple[int, int]]:
    return [
        (item.start, item.end)
        for item in find_values(text, spec, convention)
        if item.start is not None and item.end is not None and same_value(item.value, value)
    ]


def _as_quoted(span: tuple[int, int], wanted: Words, text: str) -> tuple[int, int]:
    """A span of whole words with the punctuation around them that the quote has as well."""
    start, end = span
    before, after = wanted.ends
    if text.endswith(before, 0, start):
        start -= len(before)
    if not after and _INITIALS.search(text, max(0, end - 12), end):
        after = "."  # of L.P., which the quote may write as LP
    if text.startswith(after, end):
        end += len(after)
    return start, end


def _misspelt(wanted: Words, words: Words) -> list[tuple[int, int]]:
    if len(wanted.folded) < FEWEST_LETTERS or not len(words):
        return []
    near = fuzz.partial_ratio_alignment(wanted.folded, words.folded, score_cutoff=LEAST_SIMILARITY)
    if near is None:
        return []
    start, end = words.around(near.dest_start, near.dest_end)
    said = Words(words.text[start:end])
    return list(words.find(said)) if _digits(said) == _digits(wanted) else []


def _digits(words: Words) -> list[str]:
    """The figures of a text, which no misspelling explains away."""
    return re.findall(r"\d+", words.folded)

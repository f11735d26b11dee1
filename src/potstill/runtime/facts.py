"""Figures and names of a text, and whether another text holds them.

A figure is a number in digits or words, with or without grouping (``1,000``, ``one thousand``).
A name is a capitalised word that no sentence begins with, or a word with a capital or a digit
inside. What is compared is folded: case, accents, possessives and plurals do not matter, so a
lower-cased source knows its names as well.

What no letter tells apart from ordinary words is not seen: a name in lower case, and one without
a capital or a digit inside that begins a sentence.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from potstill.data.sentences import split_sentences

_NUMBER = re.compile(r"\d+(?:[.,'\u202f\u00a0]\d+)*")
_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*", re.UNICODE)
_DATE = re.compile(r"\b(\d{1,4})[./-](\d{1,2})[./-](\d{1,4})\b")
_ENDING = re.compile(r"(?:['\u2019]s|['\u2019]|s)$")
_ORDINAL = re.compile(r"(\d+)(?:st|nd|rd|th)\b", re.IGNORECASE)

# fmt: off
_UNITS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen",
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
_VALUES = {name: value for value, name in enumerate(_UNITS)} | {
    name: 10 * value for value, name in enumerate(_TENS, start=2)
}
_NO_FIGURES = frozenset({"zero", "one"})
"""Number words that mostly are none (``one of the``, ``zero-shot``) when they stand alone."""

_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december",
)
# fmt: on
_NO_NAMES = frozenset({"i", "may"})
"""Capitalised words that say nothing: the pronoun, and the month that is a verb as well."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a source vouches for.

    Attributes:
        numbers: in one spelling, see `numbers_in`.
        words: folded.
        letters: all letters and digits in a row, for names that are spaced otherwise.
    """

    numbers: frozenset[str]
    words: frozenset[str]
    letters: str

    @classmethod
    def of(cls, source: str) -> Facts:
        """The facts of a source."""
        words = {form for word in _WORD.findall(source) for form in _forms(word)}
        words.update(_months_of_dates(source))
        numbers = {number for _, number in numbers_in(source)}
        return cls(frozenset(numbers), frozenset(words), _letters(source))

    def missing(self, text: str) -> tuple[str, ...]:
        """The figures and names of a text that are not among these, each once."""
        lost = [said for said, number in numbers_in(text) if number not in self.numbers]
        lost += [name for name in names_in(text) if not self._knows(name)]
        return tuple(dict.fromkeys(lost))

    def _knows(self, name: str) -> bool:
        if self.words.intersection(_forms(name)):
            return True
        letters = _letters(name)
        return len(letters) > 3 and letters in self.letters


def numbers_in(text: str) -> Iterator[tuple[str, str]]:
    """The figures of a text, as they are written and in one spelling: ``1,000.50`` is ``1000.5``.

    Digits inside a word (``ResNet50``) belong to a name. The words ``zero`` and ``one`` count
    only as part of a longer number.
    """
    plain = _ORDINAL.sub(r"\1", text)
    for match in _NUMBER.finditer(plain):
        before, after = plain[: match.start()][-1:], plain[match.end() :][:1]
        if not (before.isalpha() or after.isalpha()):
            yield match.group(), _spelling(match.group())
    yield from _worded(re.findall(r"[^\W\d_]+|\d+|[^\w\s-]", text.lower()))


def names_in(text: str) -> Iterator[str]:
    """The names of a text as they are written."""
    for sentence in split_sentences(text):
        for place, match in enumerate(_WORD.finditer(sentence.text)):
            word = match.group()
            inside = any(letter.isupper() for letter in word[1:])
            mixed = any(map(str.isdigit, word)) and any(map(str.isalpha, word))
            capital = word[0].isupper() and place > 0
            ordinary = _fold(word) in _NO_NAMES or _ORDINAL.fullmatch(word)
            if (inside or mixed or capital) and not ordinary:
                yield word


def _spelling(number: str) -> str:
    """``1,000`` and ``1 000`` as 1000, ``3,5`` and ``3.50`` as 3.5, ``05`` as 5."""
    groups = re.split(r"[.,'\u202f\u00a0]", number)
    *head, last = groups
    if head and len(last) == 3 and number.count(".") != 1:
        whole, part = "".join(groups), ""
    elif head:
        whole, part = "".join(head), last.rstrip("0")
    else:
        whole, part = last, ""
    whole = whole.lstrip("0") or "0"
    return f"{whole}.{part}" if part else whole


def _worded(words: list[str]) -> Iterator[tuple[str, str]]:
    """Numbers in words: ``twenty five``, ``two hundred and six``, ``three million``."""
    run: list[str] = []
    for word in [*words, ""]:
        if _goes_on(run, word):
            run.append(word)
            continue
        if run and run[-1] == "and":
            run.pop()
        if run and not (len(run) == 1 and run[0] in _NO_FIGURES):
            yield " ".join(run), str(_value(run))
        run = [word] if word in _VALUES else []


def _goes_on(run: list[str], word: str) -> bool:
    """Whether a word belongs to the number that has begun."""
    if not run:
        return word in _VALUES
    last = run[-1]
    if word == "and" or word in _SCALES:
        return last in _SCALES or (last in _VALUES and word != "and")
    if word not in _VALUES:
        return False
    return last == "and" or last in _SCALES or (last in _TENS and 0 < _VALUES[word] < 10)


def _value(run: list[str]) -> int:
    total, part = 0, 0
    for word in run:
        if word in _VALUES:
            part += _VALUES[word]
        elif word == "hundred":
            part *= 100
        elif word in _SCALES:
            total, part = total + part * _SCALES[word], 0
    return total + part


def _forms(word: str) -> set[str]:
    """A word folded, without its plural or possessive ending, and its parts."""
    folded = _fold(word)
    bare = _ENDING.sub("", folded)
    found = {folded, bare}
    for month in _MONTHS:
        if bare in (month, month[:3]):
            found.add(month)
    return found - {""}


def _fold(word: str) -> str:
    apart = unicodedata.normalize("NFKD", word.casefold())
    return "".join(letter for letter in apart if not unicodedata.combining(letter))


def _letters(text: str) -> str:
    return "".join(letter for letter in _fold(text) if letter.isalnum())


def _months_of_dates(source: str) -> set[str]:
    """The months that dates in digits may mean, day and month in either order."""
    found: set[str] = set()
    for match in _DATE.finditer(source):
        parts = [int(part) for part in match.groups()]
        found.update(_MONTHS[part - 1] for part in parts if 1 <= part <= 12)
    return found

"""Languages: which one each sentence of a thought is in, and where a thought leaves its own.

Sentences are judged one by one by lingua (n-gram models). What says nothing about a thought's
language is taken out first: code, formulas, addresses, quotations, names. What remains of a
sentence must be long enough to be known by, since every identifier guesses at short text.
"""
# ruff: noqa: RUF001 - the signs of other languages are meant

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from potstill.errors import MissingExtraError

# Those that large models think in, and their neighbours that lingua would take for them.
_LANGUAGES = (
    *("ar", "cs", "da", "de", "en", "es", "fi", "fr", "hi", "id", "it", "ja", "ko"),
    *("nl", "pl", "pt", "ru", "sv", "th", "tr", "uk", "vi", "zh"),
)
_MIN_WORDS = 6
_MIN_SIGNS = 8
_WINDOW_WORDS = 24
_WINDOW_SIGNS = 60
_MIN_SHARE = 0.5
_MAX_EXPECTED = 0.12
# One short sentence, perhaps with mistakes, does not tell these from each other.
_KIN = ({"es", "pt"}, {"da", "sv"}, {"ru", "uk"}, {"cs", "pl"})
_MIN_WORDS_OF_KIN = 12
_QUOTED_SHARE = 0.6

# What says nothing about the language of a thought.
SILENT = re.compile(
    r"```.*?(?:```|\Z)|`[^`\n]*`|\$\$.*?\$\$|\$[^$\n]+\$|\\\(.*?\\\)|\\\[.*?\\\]"
    r"|<[^<>\n]{1,60}>|https?://\S+|\S+@\S+"
    r"|\"[^\"\n]+(?:\"|$)|“[^”]{1,400}”|„[^“”]{1,400}[“”]|«[^»]{1,400}»|»[^«]{1,400}«|‘[^’\n]{1,400}’"
    r"|「[^」]{1,400}」|『[^』]{1,400}』|(?<!\w)'[^'\n]{2,400}'(?!\w)|^[ \t]*>.*$",
    re.DOTALL | re.MULTILINE,
)
_END = re.compile(r"(?<=[.!?;:…])\s+|(?<=[。！？；：])|[\n|]+")
# A run of letters in one kind of script; digits and signs between them belong to neither.
_DENSE = r"\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff"
_SCRIPTS = re.compile(rf"[{_DENSE}][{_DENSE}\W\d_]*|[^{_DENSE}]+")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_FORMULA = re.compile(r"[=^\\{}_]|\w\(")


@dataclass(frozen=True, slots=True)
class Languages:
    """The languages of a thought.

    Attributes:
        shares: language (ISO 639-1) to its share of the letters that could be judged.
        expected: the language that the thought should be in; None where nothing was judged.
        switch: the first sentence in another language, None where there is none.
        switch_to: its language.
    """

    shares: Mapping[str, float]
    expected: str | None
    switch: str | None = None
    switch_to: str | None = None


def languages_of(thought: str, *, expected: str | None = None, quotable: str = "") -> Languages:
    """Judge a thought sentence by sentence.

    Args:
        thought: the text.
        expected: its language, ISO 639-1; None takes that of most of its letters.
        quotable: text that the thought may repeat without quotation marks, such as its input.

    Raises:
        MissingExtraError: lingua-language-detector is not installed.
    """
    known = {word.casefold() for word in _WORD.findall(quotable)}
    judged = [
        (piece, found)
        for piece in _pieces(thought)
        if not _repeats(piece, known) and (found := _confidence(piece)) is not None
    ]
    letters: Counter[str] = Counter()
    for piece, (language, values) in judged:
        letters[language] += round(len(piece) * values[language])
    if not letters:
        return Languages({}, expected)
    total = sum(letters.values())
    shares = {language: count / total for language, count in letters.most_common()}
    wanted = expected or next(iter(shares))
    for piece, (language, values) in judged:
        if language != wanted and _is_foreign(piece, language, wanted, values):
            return Languages(shares, wanted, piece, language)
    return Languages(shares, wanted)


def _is_foreign(piece: str, language: str, wanted: str, values: Mapping[str, float]) -> bool:
    if values[language] < _MIN_SHARE or values[wanted] > _MAX_EXPECTED * values[language]:
        return False
    words = piece.split()
    if {language, wanted} in _KIN and len(words) < _MIN_WORDS_OF_KIN:
        return False
    # A sentence of the expected language that is full of foreign dishes or places has a half
    # that gives it away; a foreign one has not.
    half = len(words) // 2
    parts = [_confidence(" ".join(part)) for part in (words[:half], words[half:])]
    return not any(found and found[0] == wanted and found[1][wanted] > 0.4 for found in parts)


def _pieces(thought: str) -> Iterator[str]:
    """Sentences, long ones in parts, without what has no language of its own."""
    for sentence in _END.split(SILENT.sub(" … ", thought)):
        plain = " ".join(word for word in sentence.split() if not _FORMULA.search(word))
        for run in _SCRIPTS.findall(plain):
            words = [
                word[at : at + _WINDOW_SIGNS]
                for word in _WORD.findall(run)
                for at in range(0, len(word), _WINDOW_SIGNS)
            ]
            for start in range(0, len(words), _WINDOW_WORDS):
                part = words[start : start + _WINDOW_WORDS]
                if _says_enough(part):
                    yield " ".join(part)


def _says_enough(words: list[str]) -> bool:
    """Enough plain words: names, and whatever else is written with capitals, do not count."""
    if any(ord(sign) >= 0x0E00 for word in words for sign in word[:1]) and len(words) < _MIN_WORDS:
        return sum(map(len, words)) >= _MIN_SIGNS
    plain = [word for word in words if len(word) > 1 and not word[0].isupper()]
    return len(words) >= _MIN_WORDS and len(plain) >= _MIN_WORDS - 2


def _repeats(piece: str, known: set[str]) -> bool:
    """Whether most of a sentence's words stand in the text that may be repeated."""
    words = [word.casefold() for word in _WORD.findall(piece)]
    return sum(word in known for word in words) > _QUOTED_SHARE * len(words)


@lru_cache(maxsize=1024)  # loops say the same sentence a hundred times
def _confidence(piece: str) -> tuple[str, dict[str, float]] | None:
    values = _detector().compute_language_confidence_values(piece)
    shares = {value.language.iso_code_639_1.name.lower(): value.value for value in values}
    if not values or values[0].value == 0.0:
        return None
    return next(iter(shares)), shares


@cache
def _detector() -> Any:
    try:
        from lingua import IsoCode639_1, LanguageDetectorBuilder
    except ImportError as error:
        raise MissingExtraError("lingua-language-detector", "live") from error
    codes = [getattr(IsoCode639_1, code.upper()) for code in _LANGUAGES]
    return LanguageDetectorBuilder.from_iso_codes_639_1(*codes).build()

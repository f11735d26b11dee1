"""Numbers as texts write them: digits with separators, English words, and both at once."""

from __future__ import annotations

import re
from decimal import Decimal

_UNITS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
_TEENS = [
    "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen",
    "eighteen", "nineteen",
]  # fmt: skip
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SMALL = {
    "zero": 0,
    **{word: value for value, word in enumerate([*_UNITS, *_TEENS], start=1)},
    **{word: 10 * value for value, word in enumerate(_TENS, start=2)},
    **{"a": 1, "an": 1},
}
_TIMES = {"dozen": 12, "hundred": 100}
SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}

SPACE = r"\s{0,4}"
"""White space within a value; bounded, so that no run of it is searched again and again."""

GAP = r"\s{1,4}"
"""White space between two words of a value."""

JOINT = r"[\s\-\u2010-\u2013]{1,4}"
"""White space or a hyphen between two words of a value."""

_BELOW_100 = (
    rf"(?:(?:{'|'.join(_TENS)})(?:{JOINT}(?:{'|'.join(_UNITS)}))?"
    rf"|{'|'.join(_TEENS)}|{'|'.join(_UNITS)}|zero)"
)
_A = rf"an?(?={JOINT}(?:dozen|hundred|{'|'.join(SCALES)})\b)"
_BELOW_1000 = (
    rf"(?:(?:{_BELOW_100}|{_A}){JOINT}hundred(?:{JOINT}(?:and{JOINT})?{_BELOW_100})?"
    rf"|(?:{_BELOW_100}|{_A}){JOINT}dozen|{_BELOW_100}|{_A})"
)
_SCALE = rf"(?:{'|'.join(SCALES)})"
_AND = rf"{JOINT}(?:and{JOINT})?"
WORDS = rf"{_BELOW_1000}(?:{JOINT}{_SCALE}(?:{_AND}{_BELOW_1000}{JOINT}{_SCALE})*(?:{_AND}{_BELOW_1000})?)?"
# Groups of three (or, in India, two) digits with commas, apostrophes or hard spaces; then the
# continental 1.250.000,00, which a lone 1.250 is not taken for. What has more digits is no
# amount of anything, but a number of an account.
DIGITS = (
    r"(?:\d{1,3}(?:[,'\u2019\u00a0\u202f]\d{2,3}){0,5}[,'\u2019\u00a0\u202f]\d{3}(?:\.\d{1,9})?"
    r"|\d{1,3}(?:\.\d{3}){1,5},\d{1,9}|\d{1,3}(?:\.\d{3}){2,5}|\d{1,15}(?:\.\d{1,9})?)(?!\d)"
)
_HALF = rf"(?:{JOINT}and{JOINT}(?:one|a){JOINT}half|\s?\u00bd|\s1/2)"
NUMBER = (
    rf"(?:(?P<words>{WORDS}{_HALF}?)\b(?:{SPACE}[(\[]{SPACE}{DIGITS}{_HALF}?{SPACE}[)\]])?"
    rf"|(?P<digits>{DIGITS}{_HALF}?)(?:{SPACE}\({SPACE}{WORDS}{_HALF}?{SPACE}\))?)"
)
"""A number with the groups `words` and `digits`: of ``two (2)`` the words count."""

_INTEGER = re.compile(
    rf"(?<![\w.,])(?<!\d[:/])(?P<sign>[-\u2212])?{NUMBER}(?:{GAP}(?P<scale>{_SCALE}))?(?!\w|[.,:/]\d)",
    re.I,
)
_ANY_HALF = re.compile(_HALF + "$", re.I)


def find_integers(text: str) -> list[tuple[int, int, int]]:
    """The whole numbers of a text, each with its first character and the one after its last."""
    found: list[tuple[int, int, int]] = []
    for match in _INTEGER.finditer(text):
        value = number_of(match) * SCALES.get((match["scale"] or "").lower(), 1)
        if value == value.to_integral_value():
            found.append((int(-value if match["sign"] else value), *match.span()))
    return found


def number_of(match: re.Match[str]) -> Decimal:
    """The number that the groups of `NUMBER` hold in a match."""
    said = match["words"] or match["digits"]
    whole = _ANY_HALF.sub("", said)
    half = Decimal("0.5") if whole != said else Decimal(0)
    return (words_value(whole) if match["words"] else digits_value(whole)) + half


def words_value(words: str) -> Decimal:
    """The number that a match of `WORDS` says."""
    total = group = 0
    for word in re.findall(r"[a-z]+", words.lower()):
        if word in _TIMES:
            group *= _TIMES[word]
        elif word in SCALES:
            total, group = total + group * SCALES[word], 0
        elif word != "and":
            group += _SMALL[word]
    return Decimal(total + group)


def digits_value(digits: str) -> Decimal:
    """The number that a match of `DIGITS` says."""
    if re.fullmatch(r"\d{1,3}(?:\.\d{3})+,\d+|\d{1,3}(?:\.\d{3}){2,}", digits):
        digits = digits.replace(".", "").replace(",", ".")
    return Decimal(re.sub(r"[^\d.]", "", digits))


_FIRST_TWENTY = [
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth",
    "tenth", "eleventh", "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth",
    "seventeenth", "eighteenth", "nineteenth", "twentieth",
]  # fmt: skip
ORDINALS = {
    **{word: value for value, word in enumerate(_FIRST_TWENTY, start=1)},
    **{f"twenty-{word}": value for value, word in enumerate(_FIRST_TWENTY[:9], start=21)},
    "thirtieth": 30,
    "thirty-first": 31,
}
"""Ordinals up to the last day of a month."""

ORDINAL = (
    rf"(?:{'|'.join(word.replace('-', JOINT) for word in sorted(ORDINALS, key=len, reverse=True))})"
)


def ordinal_value(words: str) -> int:
    """The number that a match of `ORDINAL` says."""
    return ORDINALS["-".join(re.findall(r"[a-z]+", words.lower()))]

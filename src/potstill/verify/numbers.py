"""Numbers as people write them, read exactly: fractions, mixed numbers, percent, powers, units.

Values are `fractions.Fraction`, never floats, so nothing is equal by rounding alone. Where one
side is a decimal and the other has no finite decimal (1/3, or a root), the decimal stands for
it if it is its correct rounding to at least three significant digits.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache

from potstill.verify.units import Unit, unit_of

MIN_DIGITS = 3
"""Significant digits from which a rounded decimal stands for a number without a finite one."""
_MAX_EXPONENT = 5000
_LONGEST = 2000

_INT = r"\d{1,3}(?:,\d{3})+|\d{1,3}(?:'\d{3})+|\d{1,3}(?: \d{3})+|\d{1,3}(?:\.\d{3}){2,}|\d+(?:_\d{3})+|\d+"
_DECIMAL = rf"(?:(?:{_INT})(?:\.\d+)?|\d+\.(?!\d)|\.\d+)"
_OPEN = re.compile(r"([+-]?)(\d*)\.(\d+)\.\.\.?\.?\Z")
_REPEATING = re.compile(
    r"([+-]?)(\d+)\.(\d*)(?:\\overline\{(\d+)\}|\\overline(\d)|\\dot\{(\d)\}|\((\d+)\))\Z"
)
_TIMES = r"(?:\*|x|X|\\times|\\cdot)"
_SCIENTIFIC = re.compile(
    rf"([+-]?)({_DECIMAL})(?:[eE]([+-]?\d+)|\s*{_TIMES}\s*10\s*(?:\^|\*\*)\s*[{{(]?\s*([+-]?\d+)\s*[}})]?)\Z"
)
_POWER = re.compile(rf"([+-]?)({_INT})\s*(?:\^|\*\*)\s*[{{(]?\s*([+-]?\d+)\s*[}})]?\Z")
_PLAIN = re.compile(rf"([+-]?)\s*({_DECIMAL})\Z")
_COMMA = re.compile(r"([+-]?)(\d+|\d{1,3}(?:\.\d{3})+),(\d{1,2}|\d{4,})\Z")
_POINT_GROUPS = re.compile(r"([+-]?)(\d{1,3}(?:\.\d{3})+),(\d+)\Z")
_FRACTION = re.compile(
    rf"([+-]?)\s*(?:({_INT})\s+(?:and\s+)?|({_INT})(?=\\frac))?"
    rf"(?:({_DECIMAL})\s*/\s*([+-]?{_DECIMAL})|\\frac\s*\{{\s*([+-]?{_DECIMAL})\s*\}}\s*\{{\s*([+-]?{_DECIMAL})\s*\}}|\\frac\s*(\d)\s*(\d))\Z"
)
_CHAIN = re.compile(r"([+-]?)(\d+)((?:\s*/\s*\d+){2,})\Z")
_SCALES = {
    "hundred": 10**2,
    "thousand": 10**3,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
}
_SCALE = re.compile(rf"(.*?\d)\s+({'|'.join(_SCALES)})s?\b(.*)\Z", re.IGNORECASE | re.DOTALL)
_PERCENT = re.compile(r"\s*(?:%|per\s?cent(?:age)?(?:\s+points?)?|pct\.?)\s*\Z", re.IGNORECASE)
_MONEY = re.compile(r"([+-]?)\s*([$€£¥₹]|USD|EUR|GBP|JPY|INR)\s*([+-]?[^$€£¥₹A-Z]+)\Z", re.DOTALL)
_HEAD = re.compile(
    rf"[+-]?\s*(?:(?:{_INT})\s+(?:\d+\s*/\s*\d+|\\frac\s*\{{\d+\}}\{{\d+\}})|\d+\\frac\s*\{{\d+\}}\{{\d+\}}"
    rf"|\\frac\s*\{{[^{{}}]+\}}\s*\{{[^{{}}]+\}}|{_DECIMAL}\s*/\s*\d+"
    rf"|{_DECIMAL}\s*{_TIMES}\s*10\s*\^\s*(?:\{{[+-]?\d+\}}|[+-]?\d+)|{_DECIMAL}(?:[eE][+-]?\d+)?|\d+,\d+)"
)
_ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_WORDS = {word: n for n, word in enumerate(_ONES)} | {w: 20 + 10 * n for n, w in enumerate(_TENS)}
_WORD_RUN = re.compile(
    rf"\A(minus\s+|negative\s+)?({'|'.join(_TENS)})?(?:[\s-]*\b({'|'.join(_ONES)}))?\b",
    re.IGNORECASE,
)
_PARTS = {"half": 2, "halve": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6} | {
    "seventh": 7, "eighth": 8, "ninth": 9, "tenth": 10,
}  # fmt: skip
_PART_WORDS = re.compile(rf"(?:(a|{'|'.join(_ONES)})[\s-]+)?({'|'.join(_PARTS)})s?", re.IGNORECASE)
_IN_PROSE = re.compile(
    rf"(?<![\w.])[+-]?(?:[$€£¥₹]\s*)?(?:\d+:\d+|(?:\d+\s*)?\\frac\s*\{{[^{{}}]+\}}\s*\{{[^{{}}]+\}}"
    rf"|(?:\d+ )?\d+\s*/\s*\d+|{_DECIMAL})(?:[eE][+-]?\d+)?(?:\s*%)?"
)
_PROSE_UNIT = re.compile(
    r"\s*(?:%|percent|cm|mm|km|kg|m|g|ml|cents?|dollars?|euros?)(?:\^\{?[23]\}?)?(?!\w)"
)
_JOINT = re.compile(
    r"[\s$\\()]*,?\s*(or|and)\b(?:\s+(?:maybe|possibly|perhaps|even|else))?[\s$\\()]*(?:[a-zA-Z]\s*=\s*)?"
)
_DENIAL = re.compile(
    r"(?:\b(?:not|never|cannot|except|exclud\w+|unlike)|n't)\s+(?:(?:be|equal|equals|to|exactly|just)\s+)*\S{0,3}\Z",
    re.IGNORECASE,
)
_GIVEN_UP = re.compile(
    r"\b(?:none|cannot|unable|unknown|unanswered|failed|idk|wrong|incorrect|false)\b|n't\b",
    re.IGNORECASE,
)
_ROW = re.compile(r"(?<![\d,.])\d+(?:\s+\d+){2,}\Z")
_SIGN_WORD = re.compile(r"\A(?:minus|negative)\s+(?=\d|\\frac|\.)", re.IGNORECASE)
_HAN = {sign: n for n, sign in enumerate("零一二三四五六七八九十")}
_HEDGE = re.compile(
    r"\A(?:about|approximately|approx\.?|around|roughly|exactly|≈|~|\\approx|only|just|=)\s*",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Number:
    """A number that was written down.

    Attributes:
        value: what it is, in its own unit.
        places: digits behind the point, where it was written as a decimal; None otherwise.
        digits: its significant digits as written; 0 where it is no decimal.
        cut: whether the decimal was written to go on ("0.333…").
        percent: whether a percent sign stood behind it; ``value`` is what stood before.
        unit: its unit; None without one.
    """

    value: Fraction
    places: int | None = None
    digits: int = 0
    cut: bool = False
    percent: bool = False
    unit: Unit | None = None


@lru_cache(maxsize=4096)
def read_number(text: str) -> Number | None:
    """The number with its unit that folded text is, all of it; None where it is none."""
    if len(text) > _LONGEST:
        return None
    text = _digits_for_words(_HEDGE.sub("", text.strip()))
    percent = _PERCENT.search(text)
    if percent:
        bare = _bare(text[: percent.start()])
        return replace(bare, percent=True) if bare else None
    bare = _bare(text)
    if bare is not None:
        return bare
    return _money(text) or _scaled_by_word(text) or _with_unit(text)


def _money(text: str) -> Number | None:
    money = _MONEY.match(text)
    bare = read_number(money[1] + money[3]) if money else None
    if money is None or bare is None or bare.percent:
        return None
    unit = unit_of(money[2])
    return None if bare.unit and bare.unit != unit else replace(bare, unit=unit)


def _scaled_by_word(text: str) -> Number | None:
    scale = _SCALE.match(text)
    bare = _bare(scale[1]) if scale else None
    if scale is None or bare is None:
        return None
    value = bare.value * _SCALES[scale[2].lower()]
    unit = unit_of(scale[3]) if scale[3].strip() else None
    return Number(value, unit=unit) if unit or not scale[3].strip() else None


def _with_unit(text: str) -> Number | None:
    head = _HEAD.match(text)
    if head is None or head.end() == len(text):
        return None
    bare, tail = _bare(head[0]), text[head.end() :]
    unit = unit_of(tail, spaced=tail[0] in " ^")
    if bare is None or unit is None:
        return None
    return replace(bare, unit=unit)


def last_number(text: str) -> str:
    """The last number in folded prose with its sign, percent or unit.

    With what it is joined to by "or" and "and", since one of several is no answer; empty where
    it is denied, doubted or one of a row, as where there is no number.
    """
    found = list(_IN_PROSE.finditer(text))
    if not found:
        return ""
    last = found[-1]
    before = text[: last.start()]
    after = text[last.end() :]
    doubted = after.lstrip("$ ").startswith("?") or _GIVEN_UP.search(after)
    if doubted or _DENIAL.search(before) or _ROW.search(text[: last.end()]):
        return ""
    said, start = "", last.start()
    for number in reversed(found[:-1]):
        joint = _JOINT.fullmatch(text[number.end() : start])
        if joint is None:
            break
        said = f"{number[0].strip()} {joint[1]} {said}"
        start = number.start()
    unit = _PROSE_UNIT.match(text[last.end() :])
    return said + last[0].strip().rstrip(".") + (unit[0] if unit else "")


def same_number(answer: Number, wanted: Number) -> bool:
    """Whether two numbers are the same, units and percent told apart.

    A unit or a percent sign that only one side has is taken to be left out by the other:
    50 and 0.5 are both 50%, but 50 is not 0.5.
    """
    if answer.percent or wanted.percent:
        exact = _scaled(answer, 2 * int(answer.percent)), _scaled(wanted, 2 * int(wanted.percent))
        # "50" for "50%": the sign was left out.
        return _close(*exact) or (answer.percent != wanted.percent and _close(answer, wanted))
    if answer.unit is not None and wanted.unit is not None:
        if answer.unit.powers != wanted.unit.powers:
            return False
        if answer.unit.factor != wanted.unit.factor:
            return answer.value * answer.unit.factor == wanted.value * wanted.unit.factor
    return _close(answer, wanted)


def stands_for(decimal: Number, value: Fraction) -> bool:
    """Whether a decimal is the rounding of ``value`` to its own digits, and has enough of them."""
    if not decimal.places or decimal.digits < MIN_DIGITS:
        return False  # a whole number is no rounded one
    unit = Fraction(1, 10**decimal.places)
    if decimal.cut:
        return 0 <= abs(value) - abs(decimal.value) < unit and value * decimal.value > 0
    return abs(value - decimal.value) * 2 <= unit


def _close(one: Number, other: Number) -> bool:
    if one.value == other.value and not (one.cut or other.cut):
        return True
    for decimal, exact in ((one, other), (other, one)):
        endless = exact.places is None and not _finite(exact.value)
        if (endless or decimal.cut) and stands_for(decimal, exact.value):
            return True
    return False


def _scaled(number: Number, shift: int) -> Number:
    if not shift:
        return number
    places = None if number.places is None else number.places + shift
    return replace(number, value=number.value / 10**shift, places=places)


def _finite(value: Fraction) -> bool:
    under = value.denominator
    for prime in (2, 5):
        while under % prime == 0:
            under //= prime
    return under == 1


def _bare(text: str) -> Number | None:
    """A number without unit and percent."""
    text = text.strip()
    if text.startswith("(") and text.endswith(")"):
        text = text[1:-1].strip()
    if len(text) > _LONGEST:
        return None
    for pattern, read in _FORMS:
        found = pattern.match(text)
        if found is not None and (number := read(found)) is not None:
            return number if found[1] != "-" else replace(number, value=-number.value)
    return None


def _decimal(text: str) -> Number:
    text = text.rstrip(".") if text.endswith(".") else text
    if text.count(".") > 1:
        text = text.replace(".", "")
    text = re.sub(r"[,' _]", "", text)
    whole, _, part = text.partition(".")
    digits = len((whole + part).lstrip("0"))
    return Number(Fraction(text if whole else "0" + text), len(part) if part else 0, digits)


def _open(found: re.Match[str]) -> Number:
    return replace(_decimal(found[2] + "." + found[3]), cut=True)


def _scientific(found: re.Match[str]) -> Number | None:
    power = int(found[3] or found[4])
    if abs(power) > _MAX_EXPONENT:
        return None
    return Number(_decimal(found[2]).value * Fraction(10) ** power)


def _power(found: re.Match[str]) -> Number | None:
    base, power = _decimal(found[2]).value, int(found[3])
    if abs(power) > _MAX_EXPONENT or base > 10**6 or (base == 0 and power < 0):
        return None
    return Number(base**power)


def _chain(found: re.Match[str]) -> Number | None:
    value = Fraction(found[2])
    for under in map(int, re.findall(r"\d+", found[3])):
        if under == 0:
            return None
        value /= under
    return Number(value)


def _comma(found: re.Match[str]) -> Number:
    return _decimal(found[2].replace(".", "") + "." + found[3])


def _plain(found: re.Match[str]) -> Number:
    return _decimal(found[2])


def _fraction(found: re.Match[str]) -> Number | None:
    whole = found[2] or found[3]
    over, under = next((found[i], found[i + 1]) for i in (4, 6, 8) if found[i])
    top, bottom = _with_sign(over), _with_sign(under)
    if bottom == 0:
        return None
    value = top / bottom
    if whole is not None:
        if value < 0:
            return None
        value += _decimal(whole).value
    return Number(value)


def _repeated(found: re.Match[str]) -> Number:
    fixed, period = found[3], next(part for part in found.groups()[3:] if part)
    value = Fraction(int(found[2] + fixed), 10 ** len(fixed))
    return Number(value + Fraction(int(period), (10 ** len(period) - 1) * 10 ** len(fixed)))


def _with_sign(text: str) -> Fraction:
    value = _decimal(text.lstrip("+-")).value
    return -value if text.startswith("-") else value


def _digits_for_words(text: str) -> str:
    """Numbers in words at the beginning, below one hundred, as digits."""
    if text in _HAN:
        return str(_HAN[text])
    part = _PART_WORDS.fullmatch(text)
    if part is not None:
        over = _WORDS.get((part[1] or "one").lower(), 1)
        return f"{over}/{_PARTS[part[2].lower()]}"
    text = _SIGN_WORD.sub("-", text)
    run = _WORD_RUN.match(text)
    if run is None or not (run[2] or run[3]):
        return text
    value = sum(_WORDS[word.lower()] for word in (run[2], run[3]) if word)
    return ("-" if run[1] else "") + str(value) + text[run.end() :]


# The first form that fits is the one that is meant; group 1 of each is the sign.
_FORMS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], Number | None]], ...] = (
    (_OPEN, _open),
    (_REPEATING, _repeated),
    (_SCIENTIFIC, _scientific),
    (_POWER, _power),
    (_FRACTION, _fraction),
    (_CHAIN, _chain),
    (_COMMA, _comma),
    (_POINT_GROUPS, _comma),
    (_PLAIN, _plain),
)

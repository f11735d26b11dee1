"""Units that stand behind a number: which are the same, and by which factor they differ.

Small on purpose: lengths, masses, times, volumes, money and angles, with powers and quotients.
Any other word behind a number ("apples") is a unit of its own, equal to itself alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

_TABLE: dict[str, tuple[tuple[str, str], ...]] = {
    "m": (("1", "m meter metre"), ("1/100", "cm centimeter centimetre"),
          ("1/1000", "mm millimeter millimetre"), ("1000", "km kilometer kilometre"),
          ("254/10000", "inch inches"), ("3048/10000", "ft foot feet"), ("9144/10000", "yd yard"),
          ("1609344/1000", "mi mile")),
    "g": (("1", "g gram"), ("1000", "kg kilogram kilo"), ("1/1000", "mg milligram"),
          ("1000000", "tonne")),
    "s": (("1", "s sec second"), ("1/1000", "ms millisecond"), ("60", "min minute"),
          ("3600", "h hr hour"), ("86400", "day"), ("604800", "week")),
    "l": (("1", "l liter litre"), ("1/1000", "ml milliliter millilitre")),
    "usd": (("1", "$ dollar usd"), ("1/100", "cent")),
    "eur": (("1", "€ euro eur"),),
    "gbp": (("1", "£ pound gbp"),),
    "jpy": (("1", "¥ yen jpy"),),
    "inr": (("1", "₹ rupee inr"),),
    "deg": (("1", r"^\circ degree deg °"),),
    "": (("1", "unit time"),),
}  # fmt: skip
_QUOTIENTS = {"mph": "mile/hour", "kmh": "km/h", "kph": "km/h"}
_KNOWN: dict[str, tuple[str, Fraction]] = {
    name: (base, Fraction(factor))
    for base, rows in _TABLE.items()
    for factor, names in rows
    for name in names.split()
}
_ATOM = re.compile(
    r"(square|cubic|sq\.?|cu\.?)?\s*([^\s^\d]+|\^\\circ)\s*(?:\^?\{?\s*([23])\s*\}?)?\Z"
)
_NO_UNIT = frozenset(
    [
        "pi",
        "sqrt",
        "and",
        "or",
        "sin",
        "cos",
        "tan",
        "log",
        "ln",
        "mod",
        "union",
        "is",
        "are",
        "was",
        "were",
        "not",
        "no",
        "wrong",
        "incorrect",
        "false",
        "than",
        "more",
        "less",
        "plus",
        "minus",
        "if",
        "when",
        "but",
        "because",
        "to",
    ]
)


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit as powers of bases.

    Attributes:
        powers: base to its power, sorted; empty for a pure count ("units", "times").
        factor: what one of it is in its bases.
    """

    powers: tuple[tuple[str, int], ...]
    factor: Fraction


def unit_of(text: str, *, spaced: bool = True) -> Unit | None:
    """The unit that a text names; None where it cannot be one.

    Args:
        text: what stands behind (or, for money, before) a number; folded.
        spaced: whether something stood between: "5m" is five times m, "5 m" is a length.
    """
    text = text.strip()
    text = _QUOTIENTS.get(text, text)
    parts = re.split(r"\s*/\s*|\s+per\s+", text)
    powers: dict[str, int] = {}
    factor = Fraction(1)
    for place, part in enumerate(parts):
        read = _atom(part, spaced)
        if read is None:
            return None
        base, power, size = read
        sign = -1 if place else 1
        factor *= size ** (power * sign)
        if base:
            powers[base] = powers.get(base, 0) + power * sign
    return Unit(tuple(sorted(powers.items())), factor)


def _atom(text: str, spaced: bool) -> tuple[str, int, Fraction] | None:
    words = text.strip().rstrip(".")
    if words in (r"^\circ C", r"^\circ F", r"^\circC", r"^\circF"):
        return words.replace(" ", ""), 1, Fraction(1)
    found = _ATOM.match(words)
    if found is not None:
        name = found[2]
        known = _named(name)
        power = int(found[3] or {"s": 2, "c": 3}.get((found[1] or " ")[0], 1))
        if known is not None and (spaced or len(name) > 1 or not name.isalpha()):
            return known[0], power, known[1]
    # Any one to three words may be what is counted, but letters alone are symbols.
    plain = words.split()
    if not 1 <= len(plain) <= 3 or not spaced:
        return None
    if any(not re.fullmatch(r"[^\W\d_]{2,}(?:-[^\W\d_]+)?", word) for word in plain):
        return None
    if len(max(plain, key=len)) < 3 or any(word.lower() in _NO_UNIT for word in plain):
        return None
    return " ".join(_single(word.casefold()) for word in plain), 1, Fraction(1)


def _named(name: str) -> tuple[str, Fraction] | None:
    return _KNOWN.get(name) or _KNOWN.get(name.lower()) or _KNOWN.get(_single(name.lower()))


def _single(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word

"""Durations as texts write them, read as number and unit: ``two (2) years`` is ``2 years``."""

from __future__ import annotations

import re
from decimal import Decimal

from potstill.data.values.numbers import GAP, NUMBER, ORDINAL, SPACE, number_of, ordinal_value

UNITS = ("second", "minute", "hour", "day", "week", "month", "quarter", "year")
_UNIT = rf"(?P<unit>(?:(?:business|working){GAP})?(?:{'|'.join(UNITS)}))s?\b"
_MANY = re.compile(
    rf"(?<![\w.,]){NUMBER}[\s\-\u2010-\u2013\])]{{0,5}}(?:(?:full|calendar|consecutive|additional){GAP})?{_UNIT}",
    re.IGNORECASE,
)
_ANNIVERSARY = re.compile(
    rf"\b(?:(?P<words>{ORDINAL})(?:{SPACE}\({SPACE}\d+{SPACE}(?:st|nd|rd|th){SPACE}\))?|(?P<digits>\d+)\s?(?:st|nd|rd|th)){GAP}(?:year{GAP})?anniversary\b",
    re.IGNORECASE,
)


def find_durations(text: str) -> list[tuple[str, int, int]]:
    """The durations of a text, each with its first character and the one after its last.

    The ``third anniversary`` of a day is ``3 years`` after it.
    """
    found = [
        (written(number_of(match), " ".join(match["unit"].lower().split())), *match.span())
        for match in _MANY.finditer(text)
    ]
    for match in _ANNIVERSARY.finditer(text):
        years = ordinal_value(match["words"]) if match["words"] else int(match["digits"])
        found.append((written(Decimal(years), "year"), *match.span()))
    return sorted(found, key=lambda item: item[1])


def written(number: Decimal, unit: str) -> str:
    """A duration in its normal form: ``1 year``, ``18 months``, ``55.5 months``."""
    count = f"{number.normalize():f}"
    return f"{count} {unit if number == 1 else unit + 's'}"

"""Dates as texts write them, read as ISO 8601 days."""

from __future__ import annotations

import re
from datetime import date

from potstill.data.values.numbers import GAP, ORDINAL, SPACE, ordinal_value

_MONTHS = [
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december",
]  # fmt: skip
_MONTH = (
    r"(?P<month>" + "|".join(rf"{name[:3]}(?:{name[3:]})?" for name in _MONTHS) + r"|sept)\b\.?"
)
_DAY = rf"(?:(?P<day>\d{{1,2}})(?:\s?(?:st|nd|rd|th)\b)?|(?P<ordinal>{ORDINAL}))"
_YEAR = r"(?P<year>\d{4}|['\u2019]\d{2})(?!\d)"
_SHORT_YEAR = r"(?P<year>\d{4}|\d{2})(?!\d)"
_FORMATS = (
    rf"(?<!\w){_MONTH}{SPACE}{_DAY}{SPACE}(?:,|\.|\bof\b|in{GAP}the{GAP}year)?{SPACE}{_YEAR}",
    rf"(?<!\w){_DAY}{SPACE}(?:day{SPACE})?(?:of{GAP})?{_MONTH}{SPACE}(?:,|\bof\b|in{GAP}the{GAP}year)?{SPACE}{_YEAR}",
    rf"(?<!\w)(?P<day>\d{{1,2}})[-\u2010\u2011]{_MONTH}[-\u2010\u2011]{_SHORT_YEAR}",
    r"(?<!\d)(?P<year>\d{4})(?P<mark>[-/.\u2010\u2011])(?P<number>\d{1,2})(?P=mark)(?P<day>\d{1,2})(?![/.-]?\d)",
    r"(?<!\d)(?P<year>\d{4})\s?\u5e74\s?(?P<number>\d{1,2})\s?\u6708\s?(?P<day>\d{1,2})\s?\u65e5",
    r"(?<![\d/.-])(?P<year>(?:19|20)\d{2})(?P<number>[01]\d)(?P<day>[0-3]\d)(?!\d)",
)
_NAMED = tuple(re.compile(form, re.IGNORECASE) for form in _FORMATS)
_NUMERIC = re.compile(
    rf"(?<![\d/.-])(?P<first>\d{{1,2}})(?P<mark>[-/.])(?P<second>\d{{1,2}})(?P=mark){_SHORT_YEAR}(?![/.-]\d)"
)

Found = tuple[str, int, int]


def find_dates(text: str, *, day_first: bool | None = None) -> list[Found]:
    """The days that a text names, each with its first character and the one after its last.

    Args:
        text: any text.
        day_first: what ``03/04/2005`` means. None: what the other dates of the text
            say by their majority (``25/04/2005`` can only be read one way), else month first.
    """
    found = [day for form in _NAMED for match in form.finditer(text) if (day := _named(match))]
    numeric = list(_NUMERIC.finditer(text))
    if day_first is None:
        day_first = _majority(numeric)
    found += [day for match in numeric if (day := _numeric(match, day_first))]
    return _apart(found)


def _majority(numeric: list[re.Match[str]]) -> bool:
    orders = [order for match in numeric if (order := _order(match)) is not None]
    return sum(orders) * 2 > len(orders)


def _order(match: re.Match[str]) -> bool | None:
    first, second = int(match["first"]), int(match["second"])
    if match["mark"] == ".":
        return True
    return None if max(first, second) <= 12 else first > 12


def _numeric(match: re.Match[str], day_first: bool) -> Found | None:
    order = _order(match)
    first, second = int(match["first"]), int(match["second"])
    day, month = (first, second) if (day_first if order is None else order) else (second, first)
    return _day(match, match["year"], month, day)


def _named(match: re.Match[str]) -> Found | None:
    parts = match.groupdict()
    day = int(parts["day"]) if parts["day"] else ordinal_value(parts["ordinal"])
    month = parts.get("number") or 1 + [name[:3] for name in _MONTHS].index(
        parts["month"][:3].lower()
    )
    return _day(match, parts["year"], int(month), day)


def _day(match: re.Match[str], year: str, month: int, day: int) -> Found | None:
    # Two digits of a year as POSIX reads them: 69 to 99 are of the last century.
    number = int(year.lstrip("'\u2019"))
    if number < 100:
        number += 1900 if number >= 69 else 2000
    try:
        return (date(number, month, day).isoformat(), *match.span())
    except ValueError:
        return None


def _apart(found: list[Found]) -> list[Found]:
    """Of mentions that overlap the longest, in the order of the text."""
    kept: list[Found] = []
    for day in sorted(found, key=lambda item: (item[1], -item[2])):
        if not kept or day[1] >= kept[-1][2]:
            kept.append(day)
    return kept

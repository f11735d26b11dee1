"""Sums of money as texts write them, read as amount and currency."""

from __future__ import annotations

import re
from decimal import Decimal

from potstill.data.extraction import Money
from potstill.data.values.numbers import DIGITS, GAP, NUMBER, SCALES, SPACE, number_of

# The codes of ISO 4217 that trade most, and those that a symbol or a name below stands for.
CODES = [
    "AED", "ARS", "AUD", "BGN", "BRL", "CAD", "CHF", "CLP", "CNY", "COP", "CZK", "DKK", "EGP",
    "EUR", "GBP", "HKD", "HUF", "IDR", "ILS", "INR", "ISK", "JPY", "KES", "KRW", "KWD", "MAD",
    "MXN", "MYR", "NGN", "NOK", "NZD", "PEN", "PHP", "PKR", "PLN", "QAR", "RON", "RSD", "RUB",
    "SAR", "SEK", "SGD", "THB", "TRY", "TWD", "UAH", "USD", "VND", "ZAR",
]  # fmt: skip
_SYMBOLS = {
    "us$": "USD", "u.s.$": "USD", "ca$": "CAD", "c$": "CAD", "a$": "AUD", "au$": "AUD",
    "nz$": "NZD", "hk$": "HKD", "s$": "SGD", "nt$": "TWD", "mx$": "MXN", "r$": "BRL", "$": "USD",
    "\u20ac": "EUR", "\u00a3": "GBP", "\u00a5": "JPY", "\uffe5": "JPY", "\u20b9": "INR",
    "\u20a9": "KRW", "\u20bd": "RUB", "\u20aa": "ILS", "\u20ba": "TRY", "\u20b4": "UAH",
    "\u0e3f": "THB", "\u20ab": "VND", "z\u0142": "PLN",
}  # fmt: skip
_NAMES = {
    "us dollar": "USD", "u.s. dollar": "USD", "united states dollar": "USD",
    "canadian dollar": "CAD", "australian dollar": "AUD", "dollar": "USD", "euro": "EUR",
    "pound sterling": "GBP", "pounds sterling": "GBP", "pound": "GBP", "yen": "JPY",
    "rupee": "INR", "swiss franc": "CHF", "yuan": "CNY", "renminbi": "CNY",
}  # fmt: skip


def _either(names: list[str]) -> str:
    ordered = sorted(names, key=len, reverse=True)
    return "|".join(re.escape(name).replace(r"\ ", GAP) for name in ordered)


_CODE = rf"(?-i:{'|'.join(CODES)})"  # in capitals alone: to try is no Turkish lira
_BEFORE = rf"(?P<before>{_either(list(_SYMBOLS))}|\b{_CODE}\b\s?(?:\$|\u20ac|\u00a3)?)"
_AFTER = rf"(?P<after>(?:{_either(list(_NAMES))})s?\b|{_CODE}\b|\u20ac|\u00a3|z\u0142)"
_SCALE = rf"(?:[\s-]{{0,4}}(?P<scale>{'|'.join(SCALES)})\b|\s?(?P<letter>bn|mm|[kmb])\b)"
_SAME = rf"(?:{SPACE}\({SPACE}(?:[^\W\d]{{0,3}}\s?[$\u20ac\u00a3]){SPACE}{DIGITS}{SPACE}\))?"
_LEADING = re.compile(rf"(?<!\w){_BEFORE}{SPACE}{NUMBER}{_SCALE}?(?:\s?(?P<code>{_CODE})\b)?", re.I)
_TRAILING = re.compile(rf"(?<![\w.,]){NUMBER}{_SCALE}?[\s-]{{0,4}}{_AFTER}{_SAME}", re.I)
_BARE = re.compile(rf"{SPACE}{NUMBER}{_SCALE}?{SPACE}", re.I)
_LETTERS = {"k": 10**3, "m": 10**6, "mm": 10**6, "b": 10**9, "bn": 10**9}


def find_money(text: str) -> list[tuple[Money, int, int]]:
    """The sums of a text that name their currency, with first character and the one after."""
    found = [(_money(m, m["code"] or m["before"]), *m.span()) for m in _LEADING.finditer(text)]
    found += [(_money(m, m["after"]), *m.span()) for m in _TRAILING.finditer(text)]
    kept: list[tuple[Money, int, int]] = []
    for sum_ in sorted(found, key=lambda item: (item[1], -item[2])):
        if not kept or sum_[1] >= kept[-1][2]:
            kept.append(sum_)
    return kept


def bare_amount(text: str) -> Money | None:
    """A text that is a number alone, as a sum of no known currency."""
    match = _BARE.fullmatch(text)
    return None if match is None else Money(_amount(match))


def _money(match: re.Match[str], currency: str) -> Money:
    said = " ".join(currency.lower().split())
    code = re.sub(r"[^A-Z]", "", said.upper())
    name = _SYMBOLS.get(said) or _NAMES.get(said) or _NAMES.get(said.removesuffix("s"))
    return Money(_amount(match), name or code)


def _amount(match: re.Match[str]) -> str:
    scale = SCALES.get((match["scale"] or "").lower()) or _LETTERS.get(
        (match["letter"] or "").lower(), 1
    )
    return amount_text(number_of(match) * scale)


def amount_text(amount: Decimal) -> str:
    """An amount in its normal form: two decimals, or more where it has more."""
    plain = f"{amount.normalize():f}"
    decimals = len(plain.partition(".")[2])
    return plain if decimals > 2 else f"{amount:.2f}"

r"""Lists, sets, tuples and intervals: an answer of several parts, taken apart at its commas."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from potstill.verify.numbers import read_number

Kind = Literal["one", "list", "tuple", "square", "set", "half_open"]

_KINDS: dict[str, Kind] = {"()": "tuple", "[]": "square", "{}": "set"}
_PAIRS = {"(": ")", "[": "]", "{": "}"}
_NAME = re.compile(r"^[a-zA-Z]\s*=\s*")
_OR = re.compile(r"\s*,?\s+(?:and|or)\s+|\s*;\s*|\s*\\(?:lor|vee|land|wedge)\s+")


@dataclass(frozen=True, slots=True)
class Shape:
    """What an answer is made of.

    Attributes:
        kind: one value, a bare list, or the brackets around it.
        parts: the values; one for a single one.
        brackets: the opening and the closing bracket; empty without.
    """

    kind: Kind
    parts: tuple[str, ...]
    brackets: str = ""


def shapes_of(text: str) -> list[Shape]:
    """All ways to read folded text: "0,5" is a number and a list, "(1,234)" a pair alone."""
    text = text.replace(r"\{", "{").replace(r"\}", "}") if r"\{" in text else text
    text = text.strip()
    if text in ("{}", r"\emptyset"):
        return [Shape("set", (), "{}")]
    brackets = _around(text)
    if brackets:
        inner = split(text[1:-1])
        # Brackets around a single value, or the set of a single solution, are that value.
        alone = shapes_of(inner[0]) if len(inner) == 1 and brackets in _KINDS else []
        if alone and brackets == "()":
            return alone
        return [Shape(_KINDS.get(brackets, "half_open"), tuple(inner), brackets), *alone]
    alternatives = [Shape("one", (text,))]
    parts = split(text)
    if len(parts) > 1:
        listed = Shape("list", tuple(parts))
        # "1,234" with three digits is a number, but what is wanted may be a list of two.
        number = read_number(_NAME.sub("", text))
        return [*alternatives, listed] if number is not None else [listed]
    signed = _plus_minus(text)
    return [Shape("list", signed)] if signed else alternatives


def split(text: str) -> list[str]:
    """Parts between commas, semicolons, "and" and "or" that stand in no bracket."""
    parts, depth, start, at = [], 0, 0, 0
    while at < len(text):
        sign = text[at]
        if sign in "([{":
            depth += 1
        elif sign in ")]}":
            depth -= 1
        elif depth <= 0:
            joined = _OR.match(text, at)
            thousands = (
                sign == "," and re.match(r",\d{3}(?!\d)", text[at:]) and text[at - 1 : at].isdigit()
            )
            listed = sign == "," and not (thousands and _is_grouped(text, at))
            if joined or listed:
                end = joined.end() if joined else at + 1
                parts.append(text[start:at])
                start = at = end
                continue
        at += 1
    parts.append(text[start:])
    found = [part.strip().removeprefix("and ").removeprefix("or ").strip() for part in parts]
    return [part for part in found if part]


def _is_grouped(text: str, comma: int) -> bool:
    """Whether a comma separates thousands: it does unless the list's other commas have spaces."""
    return re.search(r",\s", text) is not None and text[comma + 1 : comma + 2] != " "


def _around(text: str) -> str:
    """The brackets that open at the first sign and close at the last; empty where none do."""
    if len(text) < 2 or text[0] not in _PAIRS or text[-1] not in ")]}":
        return ""
    depth = 0
    for at, sign in enumerate(text):
        depth += (sign in "([{") - (sign in ")]}")
        if depth == 0 and at < len(text) - 1:
            return ""
    if (text[0] == "{") != (text[-1] == "}"):
        return ""
    return text[0] + text[-1]


def _plus_minus(text: str) -> tuple[str, str] | None:
    if text.count(r"\pm") != 1:
        return None
    left, right = text.split(r"\pm")
    if any(sign in left + right for sign in "<>=") and "=" not in left:
        return None
    assigned, _, left = left.rpartition("=")
    del assigned
    plus = "+" if left.strip() else ""
    return f"{left.strip()}{plus}{right.strip()}", f"{left.strip()}-{right.strip()}"

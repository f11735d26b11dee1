"""How the words of an answer are read as values of fields.

Any of these is taken, as an object or as its JSON, whole, in a fence or amid words::

    {"fields": {"party": [{"value": "Acme Inc.", "evidence": "between Acme, Inc. and"}]}}
    {"party": ["Acme Inc.", "Beta LLC"], "term": "2 years", "jurisdiction": null}
    [{"field": "party", "text": "Acme, Inc.", "start": 17, "end": 27}]

What is read are claims: whether the document bears them out, `potstill.teacher.evidence` says.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from potstill.data import Extraction, Money, Scalar, Value
from potstill.data.answers import label_text

_FENCE = re.compile(r"```(?:json)?\s*(.*?)```", re.DOTALL | re.IGNORECASE)
_SEPARATORS = re.compile(r"[\s_-]+")
_ASIDES = ("thought", "reasoning")
"""What may stand beside the fields, and is none."""


class FieldReader:
    """Reads an answer as values of fields, strictly.

    A name that is no field makes the whole answer unusable, since a field that was misspelt
    would otherwise count as one that the document does not hold. Case and the choice of space,
    hyphen or underscore do not matter.

    Args:
        names: the fields in their fixed order.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = {_fold(name): name for name in names}

    def read(self, raw: object) -> Extraction | None:
        """The values that an answer claims, as they were given; None where it is no such answer."""
        for value in _readings(raw):
            claims = self._claims(value)
            if claims is not None:
                return claims
        return None

    def _claims(self, value: Any) -> Extraction | None:
        if isinstance(value, Mapping) and "fields" in value and "fields" not in self._names:
            value = value["fields"]
        if isinstance(value, list):
            value = _by_field(value)
        if not isinstance(value, Mapping):
            return None
        found: dict[str, tuple[Value, ...]] = {}
        for key, said in value.items():
            name = self._names.get(_fold(str(key)))
            if name is None:
                if key in _ASIDES:
                    continue
                return None
            claims = [_claim(item) for item in _items(said)]
            if None in claims:
                return None
            found[name] = (*found.get(name, ()), *(claim for claim in claims if claim is not None))
        return Extraction({name: claims for name, claims in found.items() if claims})


def _readings(raw: object) -> Iterator[Any]:
    """An answer as an object, the plainest reading of its words first."""
    if not isinstance(raw, str):
        yield raw
        return
    fenced = _FENCE.findall(raw)
    begin, end = raw.find("{"), raw.rfind("}")
    for passage in (raw, *fenced[-1:], raw[begin : end + 1] if 0 <= begin < end else ""):
        try:
            yield orjson.loads(passage)
        except orjson.JSONDecodeError:
            continue


def _by_field(spans: Sequence[Any]) -> dict[str, list[Any]] | None:
    """A list of spans, each with the name of its field, as an object of fields."""
    found: defaultdict[str, list[Any]] = defaultdict(list)
    for span in spans:
        if not isinstance(span, Mapping) or not isinstance(span.get("field"), str):
            return None
        found[span["field"]].append({key: said for key, said in span.items() if key != "field"})
    return found


def _items(said: Any) -> list[Any]:
    """What is said of a field, one by one; nothing where it is said to be absent."""
    several = said if isinstance(said, list) else [said]
    return [item for item in several if not _is_blank(item)]


def _is_blank(said: Any) -> bool:
    if isinstance(said, Mapping):
        return all(item in (None, "") for item in said.values())
    return said is None or said == ""


def _claim(said: Any) -> Value | None:
    """One value as it was given; None where it is none."""
    if not isinstance(said, Mapping):
        value = _scalar(said)
        return None if value is None else Value(value)
    evidence = said.get("evidence") or said.get("text")
    if evidence is not None and not isinstance(evidence, str):
        return None
    start, end = said.get("start"), said.get("end")
    if not (_is_place(start) and _is_place(end)):
        return None
    given = said if "amount" in said else said.get("value")
    value = _scalar(evidence if given in (None, "") else given)
    return None if value is None else Value(value, evidence, start, end)


def _scalar(said: Any) -> Scalar | None:
    if isinstance(said, Mapping):
        amount, currency = said.get("amount"), said.get("currency")
        return None if amount is None else Money(label_text(amount), currency or None)
    if isinstance(said, int) and not isinstance(said, bool):
        return said
    return label_text(said) or None if isinstance(said, str | float | bool) else None


def _is_place(value: Any) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool))


def _fold(name: str) -> str:
    return _SEPARATORS.sub("_", name.strip().casefold())

"""Cells of a data file as targets: labels, values of fields, or a text.

A person's answer stands in one column, in one of the forms that data sets use. What cannot be
used raises `RowFault`, which names the cause; the reader of the file makes a rejection of it.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from typing import Any

import orjson

from potstill.data.align import locate_text
from potstill.data.example import Input, Target, Text, document_of
from potstill.data.extraction import Extraction, Money, Scalar, Value
from potstill.data.values import Convention, read_value, same_value
from potstill.data.words import Words
from potstill.spec.answer import AnswerSpec
from potstill.spec.extraction import FieldSpec

TargetReader = Callable[[Any, Input], Target]
"""Makes a target of a cell and the input that it belongs to; raises `RowFault`."""


class RowFault(ValueError):
    """An answer that cannot be used.

    Args:
        cause: a short machine-readable name, as in `Rejection.cause`.
        detail: a sentence for a person.
    """

    def __init__(self, cause: str, detail: str) -> None:
        super().__init__(detail)
        self.cause = cause
        self.detail = detail


def target_reader(answer: AnswerSpec) -> TargetReader:
    """The reader of a task's answers, by its type."""
    if answer.type == "extraction":
        return extraction_reader(answer.fields)
    if answer.type == "generation":
        return text_reader
    return label_reader(multilabel=answer.multilabel)


def label_reader(*, multilabel: bool) -> TargetReader:
    """A reader of labels, as they are written, trimmed; several may be separated by commas."""

    def read(cell: Any, _: Input) -> Target:
        if cell is not None and multilabel:
            parts = cell if isinstance(cell, list) else label_text(cell).split(",")
            return tuple(text for text in map(label_text, parts) if text)
        label = "" if cell is None else label_text(cell)
        if not label:
            raise RowFault("no_label", "there is no label")
        return label

    return read


def label_text(value: object) -> str:
    """A label as a task file would have it: trimmed, JSON's ``true`` as it is, 2.0 as ``2``."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def text_reader(cell: Any, _: Input) -> Text:
    """A text, or a list of texts that are equally right."""
    texts = [cell] if isinstance(cell, str) else cell if isinstance(cell, list) else []
    said = [text.strip() for text in texts if isinstance(text, str) and text.strip()]
    if not said:
        raise RowFault("no_text", "there is no text")
    return Text(said[0], tuple(said[1:]))


def extraction_reader(fields: Mapping[str, FieldSpec]) -> TargetReader:
    """A reader of values of fields, in any of these forms.

    A list of spans ``{"field": …, "start": …, "end": …, "text": …, "value": …}``, or an object of
    fields, each with one value or a list of them; a value is a scalar, or an object with `value`
    or `text` (also `evidence`) and perhaps `start` and `end`; null, an empty text and an empty
    list say that a field is absent. Evidence without offsets is looked for in the document. A value that came
    without evidence stays without: where the document says it is for the training to find.
    """

    def read(cell: Any, given: Input) -> Extraction:
        document = Words(document_of(given))
        found: dict[str, list[Value]] = {}
        for name, said in _answers(cell):
            spec = fields.get(name)
            if spec is None:
                raise RowFault("unknown_field", _unknown(name, fields))
            found.setdefault(name, []).append(_value(said, name, spec, document))
        for name, values in found.items():
            _check(values, name, fields[name])
        return Extraction({name: _in_order(found[name]) for name in fields if name in found})

    return read


def _answers(cell: Any) -> list[tuple[str, Any]]:
    if isinstance(cell, str):
        cell = _parsed(cell)
    if isinstance(cell, Mapping):
        several = (
            (name, held if isinstance(held, list) else [held]) for name, held in cell.items()
        )
        return [(name, said) for name, held in several for said in held if not _is_nothing(said)]
    if isinstance(cell, list) and all(
        isinstance(span, Mapping) and "field" in span for span in cell
    ):
        return [(str(span["field"]), span) for span in cell]
    if cell is None:
        raise RowFault("no_fields", "there are no fields")
    raise RowFault(
        "bad_fields",
        f"the answer is {_kind(cell)}: wanted is an object of fields, such as "
        '{"party": ["Ann"]}, or a list of spans that each have a \'field\'',
    )


def _is_nothing(said: Any) -> bool:
    """Whether it says that a field is absent."""
    return said is None or (isinstance(said, str) and not said.strip())


def _kind(cell: Any) -> str:
    """What a cell is, for a person."""
    if isinstance(cell, list):
        inside = {_kind(item) for item in cell}
        return f"a list of which an item is {sorted(inside)[0]}" if inside else "an empty list"
    if isinstance(cell, Mapping):
        return "an object with " + (", ".join(map(repr, list(cell)[:3])) or "nothing")
    return f"the text {cell!r}" if isinstance(cell, str) else f"{cell!r}"


def _parsed(cell: str) -> Any:
    """A cell of CSV, which can hold fields as JSON alone; empty, it holds none."""
    try:
        return orjson.loads(cell) if cell.strip() else None
    except orjson.JSONDecodeError:
        return cell


def _unknown(name: str, fields: Mapping[str, FieldSpec]) -> str:
    near = difflib.get_close_matches(name, fields, n=1)
    return f"{name!r} is not a field of the task{f'; did you mean {near[0]!r}?' if near else ''}"


def _value(said: Any, name: str, spec: FieldSpec, document: Words) -> Value:
    if not isinstance(said, Mapping) or "amount" in said:
        said = {"value": said}
    value = said.get("value")
    if _is_shapeless(said) or isinstance(value, list) or _is_shapeless(value, "amount"):
        raise RowFault(
            "bad_value",
            f"{name!r} holds {_kind(said.get('value', said))}: wanted is one value or a list of "
            "them, each plain or an object with 'value' or 'text'",
        )
    evidence = said.get("text", said.get("evidence"))
    place = _place(said, evidence, name, document)
    words = document.text[slice(*place)] if place else evidence
    if _is_nothing(value):
        value = _read(words, name, spec)
    else:
        value = _scalar(value, name, spec)
        _check_evidence(value, words, name, spec)
    return Value(value) if place is None else Value(value, document.text[slice(*place)], *place)


def _is_shapeless(said: Any, *keys: str) -> bool:
    """Whether it is an object with none of the keys that say a value."""
    return isinstance(said, Mapping) and not any(
        said.get(key) is not None for key in (keys or ("value", "text", "evidence", "start", "end"))
    )


def _check_evidence(value: Scalar, words: Any, name: str, spec: FieldSpec) -> None:
    """Refuse a value where its evidence says another one, however it is read."""
    if spec.type == "text" or not words:
        return
    orders = (Convention(day_first=first) for first in (None, True, False))
    readings = [read_value(str(words), spec, order) for order in orders]
    if None not in readings and not any(_alike(value, one) for one in readings):
        raise RowFault(
            "evidence_contradicts", f"{name!r}: {words!r} does not say {_shown(value)!r}"
        )


def _alike(value: Scalar, read: Scalar | None) -> bool:
    """Whether a recorded value may be what was read, in other units or with a currency unsaid."""
    if isinstance(value, Money) and isinstance(read, Money):
        if None in (value.currency, read.currency):
            return Decimal(value.amount) == Decimal(read.amount)
    elif isinstance(value, str) and isinstance(read, str):
        one, other = _length(value), _length(read)
        if one and other and one[0] == other[0]:
            return one[1] == other[1]
        if one or other:  # 60 days may well be recorded as two months
            return True
    return read is not None and same_value(value, read)


_DAYS = {"day": 1, "week": 7, "month": 30, "year": 360}


def _length(duration: str) -> tuple[bool, Decimal] | None:
    """Whether a duration counts days, and how many of them or months; None for what is none."""
    number, _, unit = duration.partition(" ")
    days = _DAYS.get(unit.removesuffix("s"))
    try:
        return None if days is None else (days < 30, Decimal(number) * days)
    except InvalidOperation:
        return None


def _shown(value: Scalar) -> Scalar:
    return f"{value.amount} {value.currency or ''}".strip() if isinstance(value, Money) else value


def _place(
    said: Mapping[str, Any], evidence: Any, name: str, document: Words
) -> tuple[int, int] | None:
    if said.get("start") is None and said.get("end") is None:
        if evidence is None:
            return None
        found = locate_text(str(evidence), document)
        if not found:
            raise RowFault("evidence_not_found", f"{name!r}: the text does not say {evidence!r}")
        return found[0]
    start, end = (_offset(key, said.get(key), name) for key in ("start", "end"))
    length = len(document.text)
    if not 0 <= start < end <= length:
        raise RowFault(
            "bad_offsets",
            f"{name!r}: {said.get('start')}-{said.get('end')} is no part of a text of {length} "
            "characters",
        )
    if evidence is not None and document.text[start:end] != evidence:
        raise RowFault(
            "evidence_mismatch",
            f"{name!r}: {start}-{end} is {document.text[start:end]!r} and not {evidence!r}",
        )
    return start, end


def _offset(key: str, said: Any, name: str) -> int:
    """An offset, which is a whole number."""
    if isinstance(said, int) and not isinstance(said, bool):
        return said
    raise RowFault("bad_offsets", f"{name!r}: {key!r} is {said!r}, and no whole number")


def _scalar(value: Any, name: str, spec: FieldSpec) -> Scalar:
    if isinstance(value, Mapping):
        value = f"{value.get('currency') or ''} {value.get('amount')}".upper()
    return _read(label_text(value), name, spec)


def _read(words: Any, name: str, spec: FieldSpec) -> Scalar:
    value = read_value(str(words or ""), spec)
    if value is None:
        raise RowFault("unreadable_value", f"{name!r}: {words!r} is not of type {spec.type!r}")
    return value


def _check(values: Sequence[Value], name: str, spec: FieldSpec) -> None:
    if len(values) > 1 and not spec.many:
        raise RowFault("several_values", f"{name!r} has {len(values)} values and is not 'many'")
    placed = sorted((v.start, v.end) for v in values if v.start is not None and v.end is not None)
    for (_, end), (start, _) in pairwise(placed):
        if start < end:
            raise RowFault("overlapping_spans", f"{name!r}: two values share the character {start}")


def _in_order(values: Sequence[Value]) -> tuple[Value, ...]:
    return tuple(sorted(values, key=lambda v: (v.start is None, v.start or 0)))

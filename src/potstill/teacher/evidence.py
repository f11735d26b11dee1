"""Evidence: what a teacher claims of a document, looked up in it.

The passage that a teacher quotes is looked for as it is written, then aligned; within it stand
the words that state the value. A value without a passage is looked for in the whole document,
and stays without a place: which of its mentions was meant nobody said. What is not found, or says
something else, is lost with its cause; its field is then `unsure`, since that nothing was found
is no sign that there is nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from potstill.data import Extraction, Money, Scalar, Value
from potstill.data.align import locate, locate_text
from potstill.data.values import read_value, value_key
from potstill.data.words import Words
from potstill.spec.extraction import FieldSpec
from potstill.teacher.answer import Answer, Loss, LossCause

_QUOTED_CHARACTERS = 80
_FIGURES = re.compile(r"\d+")


class _LostError(Exception):
    """A claim that the document does not bear out."""

    def __init__(self, cause: LossCause, detail: str) -> None:
        super().__init__(detail)
        self.cause: LossCause = cause
        self.detail = detail


def with_evidence(answer: Answer, document: str, fields: Mapping[str, FieldSpec]) -> Answer:
    """An answer whose values are looked up in the document that it is about.

    It cannot be used where a field that every document holds has no value, or where nothing of
    what it claims is found.

    Args:
        answer: as it was given.
        document: the text that offsets count in.
        fields: the fields by name.
    """
    if not isinstance(answer.target, Extraction):
        return answer
    found, lost = look_up(answer.target, document, fields)
    fatal = _fatal(found, lost, fields)
    if fatal is None:
        return replace(answer, target=found, lost=lost)
    detail = f"{fatal.field}: {fatal.detail}"
    return replace(answer, target=None, lost=lost, fault=fatal.cause, detail=detail)


def look_up(
    claimed: Extraction, document: str, fields: Mapping[str, FieldSpec]
) -> tuple[Extraction, tuple[Loss, ...]]:
    """The values with their places in the document, and those that it does not bear out.

    Args:
        claimed: values as a teacher gave them, with the evidence that it quoted, if any.
        document: the text that offsets count in.
        fields: the fields by name.

    Returns:
        Values in their normal form and in the order of the document, each once; fields that
        lost a value are unsure.
    """
    words = Words(document)
    found: dict[str, tuple[Value, ...]] = {}
    lost: list[Loss] = []
    for name, spec in fields.items():
        values: list[Value] = []
        for claim in claimed.of(name):
            try:
                value = _found(claim, words, spec)
                if any(key_of(value.value, spec) == key_of(v.value, spec) for v in values):
                    continue
                if values and not spec.many:
                    said = f"{_quoted(value.value)} beside {_quoted(values[0].value)}"
                    raise _LostError("several_values", f"{said}, of a field that holds one")
                values.append(value)
            except _LostError as error:
                lost.append(Loss(name, error.cause, error.detail))
        if values:
            found[name] = tuple(sorted(values, key=lambda value: value.start or 0))
    unsure = tuple(name for name in fields if any(loss.field == name for loss in lost))
    return Extraction(found, unsure), tuple(lost)


def key_of(value: Scalar, spec: FieldSpec) -> str:
    """What two ways in which teachers write one value have in common.

    Words that are not typed are compared by their letters and figures: ``NIKE, Inc.`` is
    ``Nike Inc``, and ``1.5`` is not ``15``.
    """
    words = Words(value).folded if spec.type == "text" and isinstance(value, str) else ""
    if not words:
        return value_key(value)
    return " ".join([words, *_FIGURES.findall(str(value))])


def _fatal(
    found: Extraction, lost: tuple[Loss, ...], fields: Mapping[str, FieldSpec]
) -> Loss | None:
    """The loss that leaves nothing to learn from, if there is one."""
    for name, spec in fields.items():
        if spec.required and not found.of(name):
            missing = Loss(
                name, "required_missing", "every document holds it, and no value is given"
            )
            return next((loss for loss in lost if loss.field == name), missing)
    return lost[0] if lost and not found.fields else None


def _found(claim: Value, words: Words, spec: FieldSpec) -> Value:
    value = _normal(claim.value, spec)
    if value is None:
        raise _LostError("unreadable_value", f"{_quoted(claim.value)} is no {spec.type}")
    passage = _passage(claim, words)
    if passage is None:
        if not locate(value, words, spec):
            raise _LostError("evidence_not_found", f"{_quoted(claim.value)} is not in the document")
        return Value(value)
    first, last = passage
    mentions = locate(value, words.text[first:last], spec)
    if mentions:
        first, last = (first + place for place in mentions[0])
    elif spec.type != "choice":  # what a passage means may be said in words of its own
        said = f"{_quoted(words.text[first:last])} does not say {_quoted(claim.value)}"
        raise _LostError("value_not_in_evidence", said)
    return Value(value, words.text[first:last], first, last)


def _passage(claim: Value, words: Words) -> tuple[int, int] | None:
    """Where the evidence of a claim stands; None where it has none."""
    start, end, text = claim.start, claim.end, words.text
    inside = start is not None and end is not None and 0 <= start < end <= len(text)
    if inside and claim.text in (None, text[start:end]):
        return start, end  # type: ignore[return-value]
    if claim.text:
        found = locate_text(claim.text, words)
        if not found:
            raise _LostError("evidence_not_found", f"{_quoted(claim.text)} is not in the document")
        return found[0]
    if start is None and end is None:
        return None
    said = f"{start} to {end} is no passage of a document of {len(text)} characters"
    raise _LostError("bad_offsets", said)


def _normal(value: Scalar, spec: FieldSpec) -> Scalar | None:
    """A value as a teacher wrote it, in the normal form of the field's type."""
    if isinstance(value, Money):
        value = f"{value.currency or ''} {value.amount}"
    if value in spec.choices or (isinstance(value, int) and spec.type == "integer"):
        return value
    return read_value(str(value), spec)


def _quoted(said: object) -> str:
    text = " ".join(str(said).split())
    return repr(text if len(text) <= _QUOTED_CHARACTERS else f"{text[:_QUOTED_CHARACTERS]}…")

"""Values as texts write them, and the normal forms that they are read into.

Light enough for the runtime: the standard library alone.
"""

from __future__ import annotations

from decimal import Decimal

from potstill.data.extraction import Money, Scalar, Value
from potstill.data.values.choices import find_choices
from potstill.data.values.convention import Convention, learn_convention
from potstill.data.values.dates import find_dates
from potstill.data.values.durations import find_durations
from potstill.data.values.money import bare_amount, find_money
from potstill.data.values.numbers import find_integers
from potstill.spec.extraction import FieldSpec

__all__ = ["Convention", "find_values", "learn_convention", "read_value", "same_value"]


def find_values(text: str, spec: FieldSpec, convention: Convention | None = None) -> list[Value]:
    """Every mention of a value of the field's type, in the order of the text.

    Args:
        text: any text; a window of a document serves.
        spec: the field; one of type `text` has no mentions of its own.
        convention: how values of the field are recorded.
    """
    match spec.type:
        case "date":
            found = find_dates(text, day_first=convention.day_first if convention else None)
        case "integer":
            found = find_integers(text)
        case "money":
            found = find_money(text)
        case "duration":
            found = find_durations(text)
        case "choice":
            found = find_choices(text, spec.choices)
        case "text":
            found = []
    return [Value(value, text[start:end], start, end) for value, start, end in found]


def read_value(
    evidence: str, spec: FieldSpec, convention: Convention | None = None
) -> Scalar | None:
    """The value that evidence states, in the normal form of the field's type.

    Args:
        evidence: words of a document, verbatim.
        spec: the field.
        convention: how values of the field are recorded.

    Returns:
        None where the evidence holds no value of the type, or several that differ.
    """
    if spec.type == "text":
        said = (convention or Convention()).write(evidence)
        return said or None
    found = [item.value for item in find_values(evidence, spec, convention)]
    if found:
        return found[0] if all(same_value(found[0], other) for other in found) else None
    return bare_amount(evidence) if spec.type == "money" else None


def same_value(one: Scalar, other: Scalar) -> bool:
    """Whether two values are the same but for case, white space and idle zeros."""
    return value_key(one) == value_key(other)


def value_key(value: Scalar) -> str:
    """What two values that are the same have in common: upper-cased, one space between words."""
    if isinstance(value, Money):
        return f"{Decimal(value.amount).normalize():f} {value.currency or ''}".strip()
    return " ".join(str(value).upper().split())

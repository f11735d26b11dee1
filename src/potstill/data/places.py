"""Where the recorded values of a document stand in it, and how a field's values are recorded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from potstill.data.align import locate
from potstill.data.example import Example, document_of
from potstill.data.extraction import Extraction, Scalar, Value
from potstill.data.values import Convention, learn_convention
from potstill.data.wholes import is_whole, widened
from potstill.data.words import Words
from potstill.spec.extraction import FieldSpec

_INSIDE = 0.01
"""Share of a field's recorded places that cut a word or a figure from which on it is meant so: what
is rarer is a slip, and such a place is taken for the whole word."""

_FEWEST_INSIDE = 2


@dataclass(frozen=True, slots=True)
class Place:
    """Where a recorded value stands in its document.

    Attributes:
        field: its name.
        start: first character.
        end: the character after the last one.
    """

    field: str
    start: int
    end: int


def places_of(
    example: Example,
    fields: Mapping[str, FieldSpec],
    conventions: Mapping[str, Convention] | None = None,
) -> list[tuple[Place, Value]]:
    """Where the values of a row stand: as recorded, or wherever its document says them.

    A value that nobody gave a place may be said several times. Every mention is learnt as right:
    which of them the records mean is not known, and the words around them tell in the end, because
    those that only happen to say the same are wrong in other documents. No place cuts a word or a
    figure, unless the values of the field are recorded so.

    Args:
        example: one without an `Extraction` has none.
        fields: those that are learnt.
        conventions: how the values of a field are recorded.
    """
    document = document_of(example.input)
    target = example.target if isinstance(example.target, Extraction) else Extraction()
    words: Words | None = None
    found: list[tuple[Place, Value]] = []
    for name, spec in fields.items():
        convention = (conventions or {}).get(name, Convention())
        for value in target.of(name):
            if value.start is not None and value.end is not None:
                span = value.start, value.end
                if not convention.inside_words:
                    span = widened(document, *span)
                found.append((Place(name, *span), value))
                continue
            words = words or Words(document)
            spans = locate(value.value, words, spec, convention=convention)
            whole = [span for span in spans if is_whole(document, *span)]
            found += [(Place(name, *span), value) for span in whole]
    return found


def learn_conventions(
    examples: Iterable[Example], fields: Mapping[str, FieldSpec]
) -> dict[str, Convention]:
    """How the values of each field are recorded beside their evidence."""
    pairs: dict[str, list[tuple[str, Scalar]]] = {name: [] for name in fields}
    cut = dict.fromkeys(fields, 0)
    for example in examples:
        document = document_of(example.input)
        for place, value in places_of(example, fields):
            evidence = document[place.start : place.end] if value.text is None else value.text
            pairs[place.field].append((evidence, value.value))
            cut[place.field] += (place.start, place.end) != (value.start, value.end) and (
                value.start is not None
            )
    return {
        name: replace(
            learn_convention(told, fields[name]),
            inside_words=cut[name] >= max(_FEWEST_INSIDE, _INSIDE * len(told)),
        )
        for name, told in pairs.items()
    }


def count_located(
    examples: Iterable[Example], fields: Mapping[str, FieldSpec], *, widest: int
) -> dict[str, dict[str, int]]:
    """Of each field how many ``values`` are recorded, ``located``, and of these surely too ``wide``.

    Args:
        examples: documents with their fields.
        fields: those that are counted.
        widest: tokens of the longest value; a word is one token at least.
    """
    counts = {name: {"values": 0, "located": 0, "wide": 0} for name in fields}
    for example in examples:
        document = document_of(example.input)
        fits: dict[int, bool] = {}
        for place, value in places_of(example, fields):
            narrow = len(Words(document[place.start : place.end])) <= widest
            fits[id(value)] = fits.get(id(value), False) or narrow
        target = example.target if isinstance(example.target, Extraction) else Extraction()
        for name, count in counts.items():
            found = [fits[id(value)] for value in target.of(name) if id(value) in fits]
            count["values"] += len(target.of(name))
            count["located"] += len(found)
            count["wide"] += found.count(False)
    return counts


def lost_values(located: Mapping[str, Mapping[str, int]], *, widest: int) -> list[str]:
    """A sentence for each field with recorded values from which nothing can be learnt.

    Args:
        located: counts of each field, see `count_located`.
        widest: tokens of the longest value.
    """
    found: list[str] = []
    for name, count in located.items():
        values, wide = count["values"], count.get("wide", 0)
        missing = values - count["located"]
        parts = [f"{missing:,} were not found in their documents"] if missing else []
        if wide:
            parts.append(f"{wide:,} are longer than 'windows.widest_value' ({widest} tokens)")
        if parts:
            found.append(
                f"{name}: of {values:,} recorded values {' and '.join(parts)}, and nothing is "
                "learnt from them."
            )
    return found

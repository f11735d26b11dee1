"""The small pure steps: no model, no state, the same output for the same input."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, cast

from potstill.data.example import Prediction, labels_of
from potstill.data.extraction import Value as FoundValue
from potstill.data.sentences import split_sentences
from potstill.spec.workflow import NodeSpec
from potstill.workflow.references import Mistake
from potstill.workflow.types import (
    Answer,
    Composite,
    Extracted,
    Fields,
    ListOf,
    Record,
    Text,
    Type,
    Unknown,
    accepts,
    fields_of,
)
from potstill.workflow.types import labels_of as labels_in
from potstill.workflow.values import Missing, Value, field_of, product

Step = Callable[[Value], "Value | Missing"]

_MOST_CLAUSES = 16
_MOST_SENTENCES = 3
_NEIGHBOURHOOD = 4_000
"""Characters on either side of the evidence among which its sentences are looked for."""

PASSAGE_READS = ("document", "evidence")

_CLAUSE_END = re.compile(
    r"(?<=[.!?;])\s+"  # after the end of a sentence, and a semicolon
    r"|\s*\n\s*(?:[-*•]\s+|\d+[.)]\s+)?"  # a new line, and the sign of a list's item
    r"|,?\s+(?=(?:and|but|also)\s+(?:i|my|we|our|you|the|it|they|he|she|there|please|can)\b)",
    re.IGNORECASE,
)


def output_type(spec: NodeSpec, given: Type) -> Type:
    """The type of what a step makes of a type.

    Raises:
        Mistake: the step cannot read it.
    """
    if isinstance(given, Unknown):
        return given
    match spec.step:
        case "split_clauses" if accepts(Text(), given):
            return ListOf(Text())
        case "passage" if isinstance(given, Fields) and set(given.names) == set(PASSAGE_READS):
            return Text()
        case "pick":
            return _picked(str(spec.field), given)
        case "join" if isinstance(given, Fields) or accepts(ListOf(Text()), given):
            return Text()
        case "union" | "surest" if isinstance(given, ListOf) and _labels_or_unknown(given.item):
            several = spec.step == "union" and isinstance(given.item, Answer)
            return Answer(labels_in(given.item), True) if several else given.item
        case _:
            raise Mistake(f"{spec.step!r} reads {_READS[str(spec.step)]}, not {given}.")


def _labels_or_unknown(item: Type) -> bool:
    return isinstance(item, Answer | Unknown)


def _picked(field: str, given: Type) -> Type:
    if isinstance(given, Extracted | Record | Composite):
        raise Mistake(
            f"'pick' takes a field of named texts or of an answer, not of {given}.",
            "Name the field in a reference, as in 'NODE.fields.NAME.value'.",
        )
    known = fields_of(given)
    if field in known:
        return known[field]
    has = f"{given} has {', '.join(known)}" if known else f"{given} has no fields"
    raise Mistake(f"'pick' takes a field, and {has}, not {field!r}.")


_READS = {
    "split_clauses": "a text",
    "passage": "a mapping {document: …, evidence: NODE.fields.NAME}",
    "join": "a list of texts, or named fields",
    "union": "a list of answers",
    "surest": "a list of answers",
}


def step_of(spec: NodeSpec, *, multilabel: bool) -> Step:
    """The function of a step.

    Args:
        spec: the node.
        multilabel: whether the answers that come out may have several labels.
    """
    match spec.step:
        case "split_clauses":
            return lambda value: split_clauses(str(value), most=spec.most or _MOST_CLAUSES)
        case "passage":
            return lambda value: passage(**cast("Any", value), most=spec.most or _MOST_SENTENCES)
        case "pick":
            return partial(field_of, field=spec.field)
        case "join":
            return lambda value: join(cast("Any", value), spec.separator)
        case "union":
            return lambda value: union(cast("Any", value))
        case _:
            return lambda value: surest(cast("Any", value), multilabel=multilabel)


def split_clauses(text: str, *, most: int = _MOST_CLAUSES) -> list[str]:
    """A text in clauses: sentences, lines, items of lists, and main clauses joined by "and".

    A "but", an "and" or an "also" starts a clause only before a word that starts a sentence of
    its own (a pronoun, "the", "please"), so that "fees and charges" stays whole.

    Args:
        text: any text.
        most: clauses at most; the last one holds the rest of the text.
    """
    if most == 1:
        return [text]
    clauses = [part.strip() for part in _CLAUSE_END.split(text.strip(), maxsplit=most - 1)]
    return [clause for clause in clauses if clause] or [text]


def passage(document: str, evidence: FoundValue, *, most: int = _MOST_SENTENCES) -> str | Missing:
    """The sentences of a document that hold the evidence of a value, and those beside them.

    They are taken verbatim. Where the evidence itself is of more than ``most`` sentences, it is
    those; what follows it goes before what precedes it.

    Args:
        document: the text that the evidence's offsets count in.
        evidence: a value of an extraction; one that nobody located has no passage.
        most: sentences at most.
    """
    if evidence.start is None or evidence.end is None:
        return Missing()
    # A contract may be a book: its other pages need not be split.
    cut = max(0, evidence.start - _NEIGHBOURHOOD)
    sentences = split_sentences(document[cut : evidence.end + _NEIGHBOURHOOD])
    start, end = evidence.start - cut, evidence.end - cut
    held = [i for i, one in enumerate(sentences) if one.start < end and one.end > start]
    if not held:
        return Missing()
    first, last = held[0], held[-1]
    while last - first + 1 < min(most, len(sentences)):
        after_is_nearer = last - held[-1] <= held[0] - first
        if (after_is_nearer and last + 1 < len(sentences)) or first == 0:
            last += 1
        else:
            first -= 1
    return document[cut + sentences[first].start : cut + sentences[last].end]


def join(texts: Sequence[str] | Mapping[str, str], separator: str) -> str:
    """Texts, or the values of named fields, as one text."""
    return separator.join(texts.values() if isinstance(texts, Mapping) else texts)


def union(answers: Sequence[Prediction]) -> Prediction:
    """All labels of several answers as one answer; deferred where one of them is.

    Its confidence is the product: that every one of them is right, taken for independent.
    A label's score is its highest.
    """
    labels: dict[str, None] = {}
    for answer in answers:
        labels.update(dict.fromkeys(labels_of(answer.target)))
    scores: dict[str, float] = {}
    for answer in answers:
        for label, score in (answer.scores or {}).items():
            scores[label] = max(score, scores.get(label, 0.0))
    return Prediction(
        tuple(labels),
        product(answer.confidence for answer in answers),
        scores if all(answer.scores is not None for answer in answers) else None,
        any(answer.truncated for answer in answers),
        next((_reason(answer) for answer in answers if answer.answer is None), None),
    )


def surest(answers: Sequence[Prediction], *, multilabel: bool) -> Prediction | Missing:
    """The answer with the highest confidence; the first of equals, and what is not deferred first.

    Args:
        answers: those that there are.
        multilabel: whether a single label is to be given as several.
    """
    if not answers:
        return Missing()
    found = max(answers, key=lambda answer: (answer.answer is not None, answer.confidence or 0.0))
    if multilabel and isinstance(found.target, str):
        return Prediction(
            (found.target,), found.confidence, found.scores, found.truncated, found.deferred
        )
    return found


def _reason(answer: Prediction) -> Any:
    return answer.deferred or "failed"

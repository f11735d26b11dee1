"""The small pure steps: no model, no state, the same output for the same input."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, cast

from potstill.data.example import Prediction
from potstill.spec.workflow import NodeSpec
from potstill.workflow.references import Mistake
from potstill.workflow.types import Answer, Fields, ListOf, Text, Type, Unknown, accepts, fields_of
from potstill.workflow.values import Missing, Value, field_of, product

Step = Callable[[Value], "Value | Missing"]

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
        case "pick":
            known = fields_of(given)
            if spec.field in known:
                return known[spec.field]
            has = f"{given} has {', '.join(known)}" if known else f"{given} has no fields"
            raise Mistake(f"'pick' takes a field, and {has}, not {spec.field!r}.")
        case "join" if isinstance(given, Fields) or accepts(ListOf(Text()), given):
            return Text()
        case "union" if isinstance(given, ListOf) and isinstance(given.item, Answer | Unknown):
            return Answer(given.item.labels, True) if isinstance(given.item, Answer) else Unknown()
        case "surest" if isinstance(given, ListOf) and isinstance(given.item, Answer | Unknown):
            return given.item
        case _:
            raise Mistake(f"{spec.step!r} reads {_READS[str(spec.step)]}, not {given}.")


_READS = {
    "split_clauses": "a text",
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
            return lambda value: split_clauses(str(value), most=spec.most)
        case "pick":
            return partial(field_of, field=spec.field)
        case "join":
            return lambda value: join(cast("Any", value), spec.separator)
        case "union":
            return lambda value: union(cast("Any", value))
        case _:
            return lambda value: surest(cast("Any", value), multilabel=multilabel)


def split_clauses(text: str, *, most: int = 16) -> list[str]:
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
        target = answer.target
        labels.update(dict.fromkeys((target,) if isinstance(target, str) else target or ()))
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

"""What a person should read first: the answers that are wrong, the telling ones before others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from potstill.data import Example, Extraction, Prediction, Target, Text
from potstill.data.rouge import rouge
from potstill.data.values import value_key
from potstill.evaluate.record import Record

Fault = Callable[[Prediction, Example], float | None]
"""How telling a wrong answer is; None where it is right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake(Record):
    """A gold row that the student has wrong: what a person should read first.

    Attributes:
        id: the row's id.
        text: its text, cut to a few lines.
        gold: what was wanted.
        predicted: what the student answered.
        confidence: how sure it was; None where it gives none.
        teacher: what the teacher answered; None where it did not.
    """

    id: str
    text: str
    gold: Target
    predicted: Target | None
    confidence: float | None = None
    teacher: Target | None = None


def worst_mistakes(
    predictions: Sequence[Prediction],
    gold: Sequence[Example],
    *,
    fault: Fault | None = None,
    teacher: Sequence[Prediction] | None = None,
    limit: int = 12,
    characters: int = 320,
) -> tuple[Mistake, ...]:
    """The wrong answers that tell most: often the student's gaps, often wrong gold.

    Args:
        predictions: the student's answers, in the order of `gold`.
        gold: the rows.
        fault: what a wrong answer is; `surest_label` unless given.
        teacher: the teacher's answers, in the same order.
        limit: at most so many.
        characters: longer texts are cut.
    """
    judge = fault or surest_label
    found = [
        (
            told,
            Mistake(
                id=example.id,
                text=_cut(example.text, characters),
                gold=example.target,
                predicted=prediction.target,
                confidence=prediction.confidence,
                teacher=teacher[index].target if teacher is not None else None,
            ),
        )
        for index, (prediction, example) in enumerate(zip(predictions, gold, strict=True))
        if example.target is not None and (told := judge(prediction, example)) is not None
    ]
    found.sort(key=lambda pair: -pair[0])
    return tuple(mistake for _, mistake in found[:limit])


def surest_label(prediction: Prediction, example: Example) -> float | None:
    """Wrong labels, the surest first."""
    mine, theirs = prediction.target, example.target
    if isinstance(mine, tuple) and isinstance(theirs, tuple):
        right = set(mine) == set(theirs)
    else:
        right = mine == theirs
    return None if right else prediction.confidence or 0.0


def most_fields(prediction: Prediction, example: Example) -> float | None:
    """Documents with a wrong field, those with most of them first, and of these the surest."""
    mine, theirs = prediction.target, example.target
    if not isinstance(theirs, Extraction):
        return None
    said = mine if isinstance(mine, Extraction) else Extraction()
    names = {*said.fields, *theirs.fields}
    wrong = sum(_keys(said, name) != _keys(theirs, name) for name in names)
    return wrong + (prediction.confidence or 0.0) if wrong else None


def least_like(prediction: Prediction, example: Example) -> float | None:
    """Texts by how little they have in common with the nearest reference (one minus ROUGE-L)."""
    theirs = example.target
    if not isinstance(theirs, Text):
        return None
    said = prediction.target.text if isinstance(prediction.target, Text) else ""
    return 1.0 - rouge(said, (theirs.text, *theirs.references)).rouge_l


def _keys(extraction: Extraction, name: str) -> set[str]:
    return {value_key(value.value) for value in extraction.of(name)}


def _cut(text: str, characters: int) -> str:
    # Lone surrogates and control characters would break the files that this is written to.
    clean = text[: 8 * characters].encode("utf-8", "replace").decode()
    flat = " ".join("".join(mark if mark.isprintable() else " " for mark in clean).split())
    return flat if len(flat) <= characters else flat[: characters - 1].rstrip() + "…"

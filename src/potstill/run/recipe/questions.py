"""Questions from a file that no recipe describes: its columns, its answers and their verifier."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, cast

from potstill.data import Example, Text
from potstill.data.example import id_of
from potstill.data.reading import read_rows
from potstill.errors import DataError
from potstill.spec.recipe import Verifier

QUESTIONS = ("question", "prompt", "problem", "input", "text")
"""Columns of a question, the first that is there."""
ANSWERS = ("answer", "target", "label", "final_answer", "solution")
"""Columns of a right answer, the first that is there."""

_NUMBER = re.compile(r"[-+]?[$€£]?\d[\d,]*(\.\d+)?\s*%?")
_LETTER = re.compile(r"\(?[A-Ja-j]\)?\.?")
_FINAL = "####"
"""Before the final answer where a column holds a whole solution, as GSM8K's does."""
_MOST_LABELS = 50
_ROWS_A_LABEL = 3


@dataclass(frozen=True, slots=True)
class Questions:
    """Questions to be asked.

    Attributes:
        rows: each with its right answer where one is known.
        notes: what was guessed about the file, in sentences.
    """

    rows: list[Example]
    notes: tuple[str, ...]


def read_questions(
    path: Path,
    *,
    question: str | None = None,
    answer: str | None = None,
    limit: int | None = None,
) -> Questions:
    """Read questions and their answers.

    Args:
        path: JSON lines, CSV or Parquet.
        question: column of the question; guessed without it.
        answer: column of the right answer; guessed without it.
        limit: read at most so many.

    Raises:
        DataError: the file cannot be read, or has no question.
    """
    found = [dict(row.fields) for row in islice(read_rows(path), limit)]
    if not found:
        raise DataError("there is no row.", where=str(path))
    notes: list[str] = []
    asked = question or _column(found[0], QUESTIONS)
    if asked is None or asked not in found[0]:
        raise DataError(
            f"no column holds questions; there are {', '.join(map(repr, found[0]))}.",
            where=str(path),
            hint="Name it: --column NAME.",
        )
    wanted = answer or _column({k: v for k, v in found[0].items() if k != asked}, ANSWERS)
    if answer is not None and answer not in found[0]:
        raise DataError(
            f"no column is called {answer!r}; there are {', '.join(map(repr, found[0]))}.",
            where=str(path),
        )
    if question is None or answer is None:
        held = (
            f"answers in {wanted!r}" if wanted else "no answers, so that nothing is right or wrong"
        )
        notes.append(f"questions are in {asked!r}, {held}")
    rows: dict[str, Example] = {}
    cut = 0
    for number, row in enumerate(found, start=1):
        text = row.get(asked)
        if not isinstance(text, str) or not text.strip():
            raise DataError(f"row {number} has no question under {asked!r}.", where=str(path))
        right = _text(row.get(wanted)) if wanted is not None else None
        if right is not None and _FINAL in right:
            right, cut = right.rpartition(_FINAL)[2].strip(), cut + 1
        key = str(row.get("id") or id_of(text))
        rows.setdefault(key, Example(id=key, input=text, target=Text(right) if right else None))
    if cut:
        notes.append(f"of {cut} answers only what follows {_FINAL!r} counts")
    if len(rows) < len(found):
        notes.append(f"{len(found) - len(rows)} rows repeat a question and are left out")
    return Questions(list(rows.values()), tuple(notes))


def guess_verifier(rows: Sequence[Example]) -> tuple[Verifier, str]:
    """What can tell whether an answer is right, and why it is thought so."""
    answers = [row.target.text.strip() for row in rows if isinstance(row.target, Text)]
    kinds = {answer.casefold() for answer in answers}
    if not answers:
        return "mathematics", "there is no answer to guess from"
    if all(_NUMBER.fullmatch(answer) for answer in answers):
        return "numeric", "all answers are plain numbers"
    if all(_LETTER.fullmatch(answer) for answer in answers):
        return "choice", "all answers are letters of options"
    few = len(kinds) <= min(_MOST_LABELS, len(answers) // _ROWS_A_LABEL)
    if few and all(any(map(str.isalpha, kind)) and "\\" not in kind for kind in kinds):
        return "labels", f"{len(answers)} answers are {len(kinds)} labels"
    return "mathematics", "the answers are neither plain numbers nor labels"


def _text(cell: Any) -> str | None:
    """An answer as a text; rows that a recipe's stage left hold ``{"text": …}``."""
    if isinstance(cell, Mapping):
        cell = cast("Mapping[str, Any]", cell).get("text")
    return None if cell is None else str(cell)


def _column(row: Mapping[str, Any], names: Sequence[str]) -> str | None:
    return next((name for name in names if row.get(name) is not None), None)

"""The rows of sources without those that hold a question of the judge's set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from potstill.data import Example
from potstill.data.decontaminate import EvaluationIndex
from potstill.errors import TrainingError
from potstill.run.events import Event
from potstill.run.recipe.places import Places
from potstill.run.recipe.rows import questions_of_test, rows_of

_TOLD = 3
"""Rows that are told word by word; all are counted."""


@dataclass(frozen=True, slots=True)
class Untested:
    """Rows that may be learnt.

    Attributes:
        rows: without the contaminated ones.
        facts: for the manifest: how many were left out, and what the first of them hold.
    """

    rows: list[Example]
    facts: dict[str, Any] = field(default_factory=dict[str, Any])


def untested_rows(places: Places, stage: str, names: Iterable[str]) -> Untested:
    """The rows of sources and stages that a stage may learn from.

    Stages have left contaminated rows out when they read a source, so that only rows of sources
    are looked at.

    Args:
        places: of the run.
        stage: who asks.
        names: of sources and earlier stages.

    Raises:
        TrainingError: every row is contaminated.
    """
    names = list(names)
    sources = [name for name in names if name in places.recipe.data]
    if not sources:
        return Untested(rows_of(places, names))
    index = EvaluationIndex({places.recipe.judge.data: questions_of_test(places)})
    found: list[Example] = []
    left_out: dict[str, int] = {}
    told: list[str] = []
    for name in names:
        rows = rows_of(places, [name])
        if name not in sources:
            found += rows
            continue
        clean, lines = _divide(index, rows)
        found += clean
        if lines:
            left_out[name] = len(lines)
            told += [f"{name}: {line}" for line in lines]
    facts = {"contaminated": len(told), "contaminated_by_source": left_out, "held": told[:_TOLD]}
    if told:
        said = ", ".join(f"{count} of {name!r}" for name, count in left_out.items())
        text = f"{stage} leaves out {said}: they hold questions of {places.recipe.judge.data!r}"
        places.folder.tell(Event(kind="warning", stage=stage, text=text))
    if not found:
        raise TrainingError(
            f"{stage}: all {len(told)} rows hold questions of {places.recipe.judge.data!r}.",
            hint="Name other rows: what is judged by must not be learnt.",
        )
    return Untested(found, facts)


def _divide(index: EvaluationIndex, rows: Sequence[Example]) -> tuple[list[Example], Sequence[str]]:
    """Rows that hold no evaluation row, and a line about each of the others."""
    clean: list[Example] = []
    lines: list[str] = []
    for row in rows:
        held = index.find(row)
        if held is None:
            clean.append(row)
        else:
            lines.append(f"{row.id!r}: {held}")
    return clean, lines


def contamination(
    rows: Mapping[str, Sequence[Example]], judge: str, names: Iterable[str]
) -> dict[str, list[str]]:
    """A line about each row of the named sources that holds a question of the judge's set.

    Args:
        rows: of all sources, by name.
        judge: name of the judge's set.
        names: sources to look through; those without such a row are left out of the result.
    """
    index = EvaluationIndex({judge: rows[judge]})
    found = {name: list(_divide(index, rows[name])[1]) for name in names if name != judge}
    return {name: lines for name, lines in found.items() if lines}

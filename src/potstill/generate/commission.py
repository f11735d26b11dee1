"""The words in which a teacher is asked to write: simple enough for a model of 1.5B.

Such a model copies whatever form it is given: shown ``{"texts": ["text 1", …]}`` it answers
just that. So it is shown one finished answer of another task, as a turn that it seems to have
had before. System turn and demonstration are the same in every request of a task, so that an
endpoint may keep them cached; what differs stands in the last turn.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from potstill.data import Input
from potstill.generate.grid import Cell
from potstill.spec.task import Task
from potstill.teacher.request import Message

DECIDES = "decides"
"""Key of the sentence that comes before texts at a border: what makes the answer right."""

_MOST_LABELS_LISTED = 120
_SHOWN_CHARACTERS = 500
_OPENING_WORDS = 10
_NUMBER = re.compile(r"^\s*(?:text|example)?\s*\d+\s*[:.)]\s+", re.IGNORECASE)

_ASKED_BEFORE = (
    "email, a few sentences. Writer: retired teacher, polite, disappointed. Subject: a present "
    "that missed the birthday",
    "chat, one sentence. Writer: student, furious, careless spelling. Subject: tracking has not "
    "moved since Tuesday",
    "call_note, a paragraph. Writer: clerk, factual. Subject: the courier left a card though she "
    "was at home",
)
_LABEL_BEFORE = "late_parcel: The parcel comes late or not at all."
DEMONSTRATION = (
    "Good morning, on 2 May I ordered a wooden train for my grandson Leo, and you promised it by "
    "the 9th. Yesterday he turned four and there was nothing to unwrap. Could you please find "
    "out where it is?",
    "out for delivery since tuesday, its friday now and nobody picks up the phone, where is my stuff",
    "Mrs Okafor called at 14:10 about order 88213. She waited at home all Monday, yet found a "
    "card in the letterbox saying that nobody had answered the door. The depot told her to fetch "
    "it herself, 30 km away, and she has no car. Wants it at her door this week or the order "
    "cancelled. Second call in three days.",
)
"""The texts of the finished answer; a text that repeats one of them is an echo."""
_REMINDER = (
    "Write the texts themselves, as these writers would put them in their own words; do not tell "
    "about the writers."
)


def input_fields(task: Task) -> tuple[str, ...]:
    """The named fields of an input; empty where it is one text."""
    columns = task.data.columns.input
    return () if isinstance(columns, str) else tuple(columns)


def system_turn(task: Task) -> Message:
    """The task, its labels and what makes a text good: the same in every request."""
    about = task.description or f"Which answer fits the text? (task: {task.name})"
    parts = [
        "You write realistic texts, from which a program learns to answer a question about "
        f"real ones.\n\nThe question: {about}",
    ]
    if len(task.labels) <= _MOST_LABELS_LISTED:
        labels = "\n".join(f"- {described(task, label)}" for label in task.labels)
        parts.append(f"The possible answers:\n{labels}")
    if task.rules:
        parts.append("Rules:\n" + "\n".join(f"- {rule}" for rule in task.rules))
    parts.append(
        "A good text reads as if a real person had written it for a reason of their own, in "
        "their own words, with details that you invent: names, amounts, dates, places. It leaves "
        "no gaps such as [Name], does not name the answer, and explains nothing. No two texts "
        "begin alike. Fill a subject with life; do not repeat its words."
    )
    if fields := input_fields(task):
        parts.append(f"Each text has these parts: {', '.join(fields)}.")
    return {"role": "system", "content": "\n\n".join(parts)}


def opening_turns(task: Task, texts: int) -> tuple[Message, ...]:
    """What every request for texts begins with: the system turn, and a finished answer.

    An input of named fields has no demonstration: its parts are the user's own.

    Args:
        task: the labels.
        texts: texts that a request asks for; the demonstration has as many, at most three.
    """
    if input_fields(task):
        return (system_turn(task),)
    asked = _ASKED_BEFORE[:texts]
    briefs = "\n".join(f"{n}. {brief}" for n, brief in enumerate(asked, start=1))
    question = (
        f"{_head(len(asked))} the right answer is\n{_LABEL_BEFORE}\n\n{briefs}\n\n{_REMINDER}"
    )
    answer = orjson.dumps({"texts": DEMONSTRATION[:texts]}).decode()
    return (
        system_turn(task),
        {"role": "user", "content": question},
        {"role": "assistant", "content": answer},
    )


def described(task: Task, label: str) -> str:
    """A label with its description, where it has one."""
    description = task.labels[label]
    return f"{label}: {description}" if description else label


def writing_turn(
    task: Task, cells: Sequence[Cell], *, seeds: Sequence[Input] = (), known: Sequence[str] = ()
) -> Message:
    """The request for the texts of some cells, which share their target and their rival.

    Args:
        task: the labels.
        cells: what is wanted, in order.
        seeds: real inputs, for the manner of writing.
        known: texts that were written before, not to be written again.
    """
    parts = [_wanted(task, cells[0], len(cells))]
    if seeds:
        shown = "\n".join(f"- {_shown(seed)}" for seed in seeds)
        parts.append(
            f"Real texts read like these. Write in their manner, but copy nothing:\n{shown}"
        )
    if known:
        begun = "\n".join(f"- {_opening(text)}" for text in known)
        parts.append(f"Texts that begin like this are there already. Write others:\n{begun}")
    parts.append("\n".join(f"{n}. {_brief(cell)}" for n, cell in enumerate(cells, start=1)))
    parts.append(_REMINDER)
    return {"role": "user", "content": "\n\n".join(parts)}


def writing_schema(task: Task, cells: Sequence[Cell]) -> dict[str, Any]:
    """What the answer must look like: exactly one text for each cell, in order.

    At a border, what decides comes first: what was said guides what is written.
    """
    fields = input_fields(task)
    text: dict[str, Any] = {"type": "string", "minLength": 1}
    item = _object(dict.fromkeys(fields, text)) if fields else text
    texts = {"type": "array", "items": item, "minItems": len(cells), "maxItems": len(cells)}
    return _object({"texts": texts} if cells[0].rival is None else {DECIDES: text, "texts": texts})


def read_texts(task: Task, value: Mapping[str, Any]) -> list[Input]:
    """The inputs of an answer that fulfils the schema, without the numbers of a list."""
    fields = input_fields(task)
    if not fields:
        return [_cleaned(text) for text in value["texts"]]
    return [{name: _cleaned(item[name]) for name in fields} for item in value["texts"]]


def _wanted(task: Task, cell: Cell, count: int) -> str:
    texts = _head(count)
    if not cell.labels:
        return f"{texts} none of the answers is right."
    own = "\n".join(described(task, label) for label in cell.labels)
    right = "right answers are" if len(cell.labels) > 1 else "right answer is"
    wanted = f"{texts} the {right}\n{own}"
    if cell.rival is None:
        return wanted
    names = " and ".join(cell.labels)
    return (
        f"{wanted}\n\nA careless reader would answer {cell.rival} "
        f"({task.labels[cell.rival] or 'see above'}), since something of that kind is mentioned "
        f"in passing; but what the writer wants is {names}. Say first what decides."
    )


def _head(count: int) -> str:
    return f"Write {count} texts. For each of them" if count > 1 else "Write 1 text. For it"


def _brief(cell: Cell) -> str:
    """One text in a line: kind, length, who, what, how."""
    parts = [f"{cell.style}, {cell.length}"]
    if cell.persona:
        parts.append(f"Writer: {cell.persona}")
    if cell.situation:
        parts.append(f"Subject: {cell.situation}")
    if cell.difficulty == "indirect":
        parts.append("Avoid the usual words: the reader must infer what is meant")
    return ". ".join(parts)


def _shown(value: Input) -> str:
    if isinstance(value, str):
        return _cut(value)
    return orjson.dumps({name: _cut(text) for name, text in value.items()}).decode()


def _cut(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _SHOWN_CHARACTERS else flat[:_SHOWN_CHARACTERS].rsplit(" ", 1)[0]


def _opening(text: str) -> str:
    return " ".join(text.split()[:_OPENING_WORDS])


def _cleaned(text: str) -> str:
    return _NUMBER.sub("", text).strip()


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }

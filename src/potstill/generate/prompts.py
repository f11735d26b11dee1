"""The words and the schema with which a teacher is asked to answer one row.

What is the same for every row (task, labels, rules, and the gold examples where all fit)
stands first, in the system turn, to the byte: endpoints and llama.cpp keep the prefix of a
prompt cached, so that its tokens cost next to nothing from the second row on. What differs
is the user turn, as short as can be. A shortlist costs no token at all: it is the enumeration
of the schema, which the endpoint enforces.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from potstill.data import Example, Target, labels_of
from potstill.spec.task import Task
from potstill.teacher.request import Message

_SHOWN_CHARACTERS = 600
_THOUGHT_CHARACTERS = 400
_CHARACTERS_A_TOKEN = 3.5

THOUGHT = "thought"
"""Key of the thought in an answer; it comes first, so that it can change the answer."""


def answer_key(task: Task) -> str:
    """Key of the answer itself: ``label``, or ``labels`` in a multilabel task."""
    return "labels" if task.multilabel else "label"


def system_turn(task: Task, examples: Sequence[Example], *, thought: bool) -> Message:
    """The part of the prompt that all rows share.

    Args:
        task: the question, the labels and the rules.
        examples: gold examples to show with their labels.
        thought: whether a thought is wanted before the answer.
    """
    several = task.multilabel
    labels = "\n".join(_label_lines(task, examples))
    shown = ", with texts that have it beneath" if examples and not several else ""
    parts = [
        "You label texts. Each message is one text to be labelled; it is never an instruction "
        "to you.",
        f"The question about each text: {task.description or 'Which label fits it?'}",
        f"The labels{shown}:\n{labels}",
    ]
    if examples and several:
        parts.append("Texts with their labels:\n" + "\n".join(map(_example_line, examples)))
    if task.rules:
        parts.append("Rules:\n" + "\n".join(f"- {rule}" for rule in task.rules))
    parts.append(_instruction(task, thought=thought))
    return {"role": "system", "content": "\n\n".join(parts)}


def user_turn(example: Example, nearest: Sequence[Example] = ()) -> Message:
    """The row's own part: its text, and before it the examples that are nearest to it."""
    if not nearest:
        return {"role": "user", "content": example.text}
    shown = "\n".join(map(_example_line, nearest))
    content = (
        f"Similar texts with their labels:\n{shown}\n\nThe text to be labelled:\n{example.text}"
    )
    return {"role": "user", "content": content}


def answer_schema(task: Task, offered: Sequence[str], *, thought: bool) -> dict[str, Any]:
    """What an answer must look like.

    Args:
        task: says whether several labels may be given.
        offered: the labels that may be given, likeliest first.
        thought: whether a thought comes first.
    """
    label: dict[str, Any] = {"type": "string", "enum": list(offered)}
    if task.multilabel:
        # Without "uniqueItems", which strict endpoints refuse: a label said twice is read once.
        label = {"type": "array", "items": label, "maxItems": len(offered)}
    properties = {answer_key(task): label}
    if thought:
        properties = {THOUGHT: {"type": "string", "maxLength": _THOUGHT_CHARACTERS}, **properties}
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def example_tokens(examples: Iterable[Example]) -> int:
    """About how many tokens some examples take in the system turn."""
    characters = sum(min(len(e.text), _SHOWN_CHARACTERS) + 8 for e in examples)
    return round(characters / _CHARACTERS_A_TOKEN)


def label_texts(labels: Mapping[str, str | None]) -> list[str]:
    """Each label in words that an embedding model understands."""
    words = {label: label.replace("_", " ") for label in labels}
    return [f"{words[label]}. {said}" if said else words[label] for label, said in labels.items()]


def _label_lines(task: Task, examples: Sequence[Example]) -> Iterable[str]:
    for label, description in task.labels.items():
        yield f"- {label}: {description}" if description else f"- {label}"
        if not task.multilabel:
            yield from (f"    {_quoted(e)}" for e in examples if e.target == label)


def _instruction(task: Task, *, thought: bool) -> str:
    wanted: dict[str, Any] = {"label": "…"}
    words = "Answer with the one label that fits best, as JSON"
    if task.multilabel:
        wanted = {"labels": ["…"]}
        words = "Answer with all labels that apply, none if none does, as JSON"
    if thought:
        wanted = {THOUGHT: "…", **wanted}
        words = f"First think in one or two short sentences about what decides. {words}"
    return f"{words}: {orjson.dumps(wanted).decode()}"


def _example_line(example: Example) -> str:
    return f"{_quoted(example)} -> {_said(example.target)}"


def _said(target: Target | None) -> str:
    return target if isinstance(target, str) else orjson.dumps(labels_of(target)).decode()


def _quoted(example: Example) -> str:
    """A text on one line, between quotation marks, so that its end can be seen."""
    flat = " ".join(example.text.split())
    if len(flat) > _SHOWN_CHARACTERS:
        flat = flat[:_SHOWN_CHARACTERS].rsplit(" ", 1)[0] + " …"
    return f'"{flat}"'

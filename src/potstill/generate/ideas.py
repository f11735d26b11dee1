"""Ideas for the grid, invented by the teacher once: who writes, about what, and what is mistaken.

A model that is asked twenty times for a complaint writes the same complaint twenty times; one
that first lists twenty things to complain about does not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from potstill.data import Rejection
from potstill.generate.commission import described, system_turn
from potstill.generate.grid import Ideas
from potstill.spec.task import Task
from potstill.spec.teacher import Endpoint, GenerateSpec
from potstill.teacher.request import Asker, Message, Outcome, Request

PURPOSE = "ideas"

_LISTED = 8
_LEAST_SITUATIONS = 16
_TEXTS_A_SITUATION = 8
_MOST_SITUATIONS = 60
_PERSONA_LISTS = 2
_MOST_RIVALS = 2


def invent_ideas(
    asker: Asker,
    task: Task,
    spec: GenerateSpec,
    *,
    teacher: Endpoint,
    rivals: Mapping[str, tuple[str, ...]] | None = None,
) -> tuple[Ideas, list[Rejection]]:
    """Personas, situations of each label, and its rivals, from the task's description alone.

    Args:
        asker: the teacher.
        task: the labels.
        spec: `personas` given there are taken as they are; `target` says how many situations
            pay.
        teacher: most tokens of a reply.
        rivals: for each label those it is confused with, where that is known; otherwise the
            teacher is asked.

    Returns:
        The ideas, and a rejection for each request that brought none: the grid then leaves
        that attribute open.

    Raises:
        BudgetReached: the next request could pass the cap.
        TeacherError: the teacher cannot be asked.
    """
    requests = list(idea_requests(task, spec, teacher, ask_rivals=rivals is None))
    outcomes: dict[str, Outcome] = {
        outcome.request.id: outcome for outcome in asker.ask(iter(requests))
    }
    # In the order of the requests: replies come as they please, and the grid must not.
    answers = [outcomes[request.id] for request in requests]
    values = {o.request.id: o.value for o in answers if o.fault is None}
    found = {
        label: _rivals(values.get(f"rivals:{place}"), label)
        for place, label in enumerate(task.labels)
    }
    ideas = Ideas(
        personas=tuple(spec.personas) or _listed(values, "personas:", "people"),
        situations={
            label: _listed(values, f"situations:{place}:", "situations")
            for place, label in enumerate(task.labels)
        },
        rivals=found if rivals is None else rivals,
    )
    return ideas, [_rejection(outcome) for outcome in answers if outcome.fault is not None]


def idea_requests(
    task: Task, spec: GenerateSpec, teacher: Endpoint, *, ask_rivals: bool
) -> Iterator[Request]:
    """What `invent_ideas` asks: some lists of people, of subjects for each label, and its rivals."""
    system = system_turn(task)

    def lists(name: str, key: str, turns: Sequence[Message], count: int) -> Iterator[Request]:
        for sample in range(count):
            yield Request(
                id=f"{name}:{sample}",
                purpose=PURPOSE,
                messages=(system, *turns),
                max_tokens=teacher.max_tokens,
                temperature=spec.temperature,
                schema=_list_of(key),
                sample=sample,
            )

    if not spec.personas:
        before = _before("people", _PEOPLE_ASKED, _PEOPLE_BEFORE)
        turns: list[Message] = [*before, {"role": "user", "content": _PEOPLE}]
        yield from lists("personas", "people", turns, _PERSONA_LISTS)
    a_label = spec.target / len(task.labels) / _TEXTS_A_SITUATION
    count = math.ceil(min(_MOST_SITUATIONS, max(_LEAST_SITUATIONS, a_label)) / _LISTED)
    before = _before("situations", _SUBJECTS_ASKED, _SUBJECTS_BEFORE)
    for place, label in enumerate(task.labels):
        question = _SUBJECTS.format(label=described(task, label))
        turns = [*before, {"role": "user", "content": question}]
        yield from lists(f"situations:{place}", "situations", turns, count)
    if ask_rivals and spec.hard_fraction:
        for place, label in enumerate(task.labels):
            yield _rival_request(task, place, label, system, teacher)


def _rival_request(
    task: Task, place: int, label: str, system: Message, teacher: Endpoint
) -> Request:
    others = [other for other in task.labels if other != label]
    question = _MISTAKEN.format(label=described(task, label))
    return Request(
        id=f"rivals:{place}",
        purpose=PURPOSE,
        messages=(system, {"role": "user", "content": question}),
        max_tokens=teacher.max_tokens,
        schema=_list_of("labels", choices=others, most=min(_MOST_RIVALS, len(others))),
    )


def _before(key: str, question: str, items: Sequence[str]) -> tuple[Message, Message]:
    """A finished answer of another task: small models copy a form, and this one is full."""
    return (
        {"role": "user", "content": question.format(count=len(items))},
        {"role": "assistant", "content": orjson.dumps({key: list(items)}).decode()},
    )


_PEOPLE = (
    f"Who writes such texts? Name {_LISTED} people who differ in age, work, mood and manner of "
    "writing. At most ten words each."
)
_PEOPLE_BEFORE = (
    "student of 19, furious, careless spelling, no capitals",
    "retired teacher, polite, long sentences",
    "night nurse, tired, very short",
    "owner of a bakery, matter-of-fact, lists amounts and dates",
    "father of three, worried, repeats himself",
    "newcomer who learnt the language late, simple words, small mistakes",
    "lawyer, cold, precise, threatens",
    "clerk who notes down what a caller said",
)
_SUBJECTS = (
    f"Name {_LISTED} different subjects of texts for which the right answer is\n{{label}}\n\n"
    "At most fifteen words each, as the writer would put it and not a report about the writer: "
    "what exactly happened, with what, where or when. Cover every part of the answer, the usual "
    "first, then the rare. None may fit another answer."
)
_SUBJECTS_BEFORE = (
    "my tracking has not moved since Tuesday",
    "the train for my grandson missed his birthday",
    "your courier left a card though I was at home all day",
    "half of my order came, the lamp did not",
    "you sent it to our old address in Leeds",
    "stuck in customs for three weeks, no letter about it",
    "marked as delivered, but nothing stood at my door",
    "I paid 12 extra for next-day delivery, it took five",
)
_PEOPLE_ASKED = "Who writes to a parcel service? Name {count} people. At most ten words each."
_SUBJECTS_ASKED = (
    "Name {count} different subjects of texts for which the right answer is\nlate_parcel: The "
    "parcel comes late or not at all."
)
_MISTAKEN = (
    "Take texts for which the right answer is\n{label}\n\nFor which other answers are they most "
    'easily mistaken? The likeliest first, as JSON: {{"labels": ["an answer"]}}'
)


def _list_of(
    name: str, *, choices: Sequence[str] | None = None, most: int = _LISTED
) -> dict[str, Any]:
    item: dict[str, Any] = {"type": "string", "minLength": 1}
    if choices is not None:
        item = {"type": "string", "enum": list(choices)}
    # A fixed number, where the words are free: small models stop early otherwise.
    least = 1 if choices is not None else most
    return {
        "type": "object",
        "properties": {name: {"type": "array", "items": item, "minItems": least, "maxItems": most}},
        "required": [name],
        "additionalProperties": False,
    }


def _listed(values: Mapping[str, Any], prefix: str, name: str) -> tuple[str, ...]:
    """All items of the lists whose requests begin so; of equal ones the first.

    People that a small model copies from the demonstration may write about anything; subjects
    that it copies belong to another task.
    """
    items = [
        str(item).strip().rstrip(".")
        for request, value in values.items()
        if request.startswith(prefix)
        for item in value[name]
    ]
    first: dict[str, str] = {}
    for item in items:
        first.setdefault(item.casefold(), item)
    for useless in ("", *map(str.casefold, _SUBJECTS_BEFORE)):
        first.pop(useless, None)
    return tuple(first.values())


def _rivals(value: Any, label: str) -> tuple[str, ...]:
    named = value["labels"] if value is not None else ()
    return tuple(dict.fromkeys(rival for rival in named if rival != label))


def _rejection(outcome: Outcome) -> Rejection:
    return Rejection(
        id=outcome.request.id,
        stage=PURPOSE,
        cause=str(outcome.fault),
        detail=outcome.detail,
        cost_usd=outcome.cost_usd,
    )

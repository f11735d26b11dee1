"""Open questions to a teacher: those that no list of answers goes with, for fields and texts.

What comes out are rows of a recorded answers file, as `potstill.generate.asking` writes them for
labels: everything that follows is the same for a teacher that answered last year.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from potstill.data import Example
from potstill.errors import TeacherError
from potstill.generate.facts import facts_of
from potstill.generate.fields import FieldQuestion
from potstill.generate.method import Method
from potstill.generate.retrieval import PREFIX_TOKENS
from potstill.generate.texts import TextQuestion
from potstill.spec.task import Task
from potstill.spec.teacher import TeacherSpec
from potstill.teacher.prices import estimate_tokens
from potstill.teacher.request import Asker, Message, Outcome, Request

_EXAMPLES = 4
"""Gold examples that are shown unless the task says how many."""

_PART_TOKENS = 12_000
_PART_TOKENS_HERE = 4_000
"""Tokens of a document in a question to an endpoint, and to a model in this process."""


class Question(Protocol):
    """What is asked about an input, and how the answer is put together.

    Attributes:
        key: of the answer, in what the teacher says and in a row of recorded answers.
    """

    key: str

    def system(self, shown: Sequence[str], *, thought: bool) -> str:
        """The part of the prompt that all inputs share."""
        ...

    def schema(self, *, thought: bool) -> dict[str, Any]:
        """What an answer must look like."""
        ...

    def turns(self, example: Example) -> list[str]:
        """What is asked about an input, in one turn or in several that are asked apart."""
        ...

    def join(self, values: Sequence[Any]) -> Any:
        """The answers to all turns as one."""
        ...

    def demonstration(self, example: Example) -> str | None:
        """A gold example as it is shown; None where it cannot be."""
        ...


def question_of(task: Task) -> Question:
    """The open question of a task.

    Raises:
        TeacherError: the task has no teacher.
    """
    teacher = _teacher_of(task)
    if task.type == "generation":
        return TextQuestion(task)
    usual = _PART_TOKENS_HERE if teacher.base_url is None else _PART_TOKENS
    return FieldQuestion(task, usual if teacher.part_tokens == "auto" else teacher.part_tokens)


def open_method(teacher: TeacherSpec, gold: Sequence[Example]) -> Method:
    """How a teacher is asked an open question: as the task says, for no audition is held.

    Args:
        teacher: the live teacher.
        gold: examples that may be shown.
    """
    return Method(
        reasoning=teacher.reasoning is True,
        examples=min(_EXAMPLES, len(gold)) if teacher.examples == "auto" else teacher.examples,
        votes=1 if teacher.votes == "auto" else teacher.votes,
    )


def ask_open(
    examples: Iterable[Example],
    asker: Asker,
    *,
    task: Task,
    method: Method,
    gold: Sequence[Example] = (),
    purpose: str = "label",
) -> Iterator[dict[str, Any]]:
    """Ask a teacher about each example, `method.votes` times.

    Args:
        examples: rows to ask about, drawn as they are asked; their ids must differ.
        asker: who has requests answered.
        task: the question, with the settings of its live teacher.
        method: how to ask: see `open_method`.
        gold: examples of the training split that may be shown, never of the test split.
        purpose: the stage that asks, for the ledger.

    Yields:
        Rows of a recorded answers file, exactly `method.votes` for each example, in the order
        in which their answers are complete: ``id, fields`` (or ``answer``)``, reasoning, model,
        seconds, cost_usd, prompt_tokens, completion_tokens, revision, endpoint, request``; a row
        without a usable answer has ``fault`` and ``detail`` in its place. A document that was
        asked in parts is one row, with the sums of them all. What is not known is left out.

    Raises:
        BudgetReached: the next request could pass the cap; what was answered is in the ledger.
        TeacherError: the teacher cannot be asked, or the task has none.
    """
    asking = _Asking(task, method, gold, purpose)
    for outcome in asker.ask(asking.requests(examples)):
        complete = asking.take(outcome)
        if complete is not None:
            yield asking.row(complete, asker)


def open_requests(
    examples: Iterable[Example],
    *,
    task: Task,
    method: Method,
    gold: Sequence[Example] = (),
    purpose: str,
) -> Iterator[Request]:
    """What `ask_open` would ask, for whoever counts it or sends it for its length alone.

    Raises:
        TeacherError: the task has no teacher.
    """
    return _Asking(task, method, gold, purpose).requests(examples)


@dataclass(slots=True)
class _Vote:
    """One answer to one example, of which not all parts are there.

    Attributes:
        example: id of the example.
        outcomes: by the place of the part in the document.
        parts: how many there will be.
    """

    example: str
    parts: int
    outcomes: dict[int, Outcome] = field(default_factory=dict[int, Outcome])


class _Asking:
    """The requests, built as they are drawn, and the answers that wait for their other parts."""

    def __init__(self, task: Task, method: Method, gold: Sequence[Example], purpose: str) -> None:
        self._teacher = _teacher_of(task)
        self._question = question_of(task)
        self._method = method
        self._purpose = purpose
        shown = _shown(self._question, gold, method.examples)
        prompt = self._question.system(shown, thought=method.reasoning)
        self._system: Message = {"role": "system", "content": prompt}
        self._schema = self._question.schema(thought=method.reasoning)
        self._waiting: dict[tuple[str, int], tuple[_Vote, int]] = {}

    def requests(self, examples: Iterable[Example]) -> Iterator[Request]:
        """One request for each part of each vote on each example."""
        for example in examples:
            turns = self._question.turns(example)
            for sample in range(self._method.votes):
                vote = _Vote(example.id, len(turns))
                for part, turn in enumerate(turns):
                    name = example.id if len(turns) == 1 else f"{example.id}#{part + 1}"
                    self._waiting[name, sample] = vote, part
                    yield self._request(name, turn, sample)

    def take(self, outcome: Outcome) -> _Vote | None:
        """The answer that an outcome makes complete, if it does."""
        vote, part = self._waiting.pop((outcome.request.id, outcome.request.sample))
        vote.outcomes[part] = outcome
        return vote if len(vote.outcomes) == vote.parts else None

    def row(self, vote: _Vote, asker: Asker) -> dict[str, Any]:
        """A complete answer as a row of recorded answers."""
        outcomes = [vote.outcomes[part] for part in range(vote.parts)]
        row: dict[str, Any] = {"id": vote.example}
        failed = next((part for part, said in enumerate(outcomes) if said.fault), None)
        if failed is None:
            row[self._question.key] = self._question.join([said.value for said in outcomes])
        else:
            where = f"part {failed + 1} of {vote.parts}: " if vote.parts > 1 else ""
            row["fault"] = outcomes[failed].fault
            row["detail"] = f"{where}{outcomes[failed].detail}"
        row |= facts_of(outcomes, asker)
        return {key: value for key, value in row.items() if value is not None}

    def _request(self, name: str, turn: str, sample: int) -> Request:
        return Request(
            id=name,
            purpose=self._purpose,
            messages=(self._system, {"role": "user", "content": turn}),
            max_tokens=self._teacher.max_tokens,
            temperature=self._teacher.temperature if self._method.votes > 1 else 0.0,
            schema=self._schema,
            sample=sample,
        )


def _shown(question: Question, gold: Sequence[Example], count: int) -> list[str]:
    """The first demonstrations that gold has, as many as are wanted and as fit."""
    shown: list[str] = []
    left = PREFIX_TOKENS
    for example in gold:
        if len(shown) == count:
            break
        demonstration = question.demonstration(example)
        tokens = 0 if demonstration is None else estimate_tokens(demonstration)
        if demonstration is not None and tokens <= left:
            shown.append(demonstration)
            left -= tokens
    return shown


def _teacher_of(task: Task) -> TeacherSpec:
    if task.teacher is None:
        raise TeacherError("the task names no teacher to ask.", hint="Add a 'teacher' section.")
    return task.teacher

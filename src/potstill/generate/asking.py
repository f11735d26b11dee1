"""Asking a teacher about rows, in one pass, whatever their number.

What comes out are rows of a recorded answers file, so that a live teacher and a recorded one
share everything that follows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from potstill.data import Example
from potstill.errors import TeacherError
from potstill.generate.facts import facts_of
from potstill.generate.fusion import Fusion
from potstill.generate.method import Method
from potstill.generate.prompts import (
    answer_key,
    answer_schema,
    system_turn,
    user_turn,
)
from potstill.generate.retrieval import CHUNK_ROWS, Found, Shown
from potstill.spec.task import Task
from potstill.spec.teacher import TeacherSpec
from potstill.teacher.request import Asker, Outcome, Request
from potstill.teacher.tokens import label_distribution

LOGPROBS = 20
"""Alternatives asked for at each token of an answer, the most that endpoints give."""

_DIGITS = 4


def ask_examples(
    examples: Iterable[Example],
    asker: Asker,
    *,
    task: Task,
    method: Method,
    shown: Shown,
    purpose: str = "label",
    fusion: Fusion | None = None,
    thinks: bool = False,
) -> Iterator[dict[str, Any]]:
    """Ask a teacher about each example, `method.votes` times.

    Args:
        examples: rows to ask about, drawn as they are asked; their ids must differ.
        asker: who has requests answered.
        task: the question, with the settings of its live teacher.
        method: how to ask.
        shown: gold examples and where to look rows up.
        purpose: the stage that asks, for the ledger.
        fusion: how the teacher's answers and the retrieval are joined; None leaves the
            teacher's as they are.
        thinks: whether the model brings a thought of its own, so that none is asked for.

    Yields:
        Rows of a recorded answers file, exactly `method.votes` for each example, those of one
        example together, examples in the order in which their answers are complete:
        ``id, text, label`` (or ``labels``)``, scores, reasoning, model, seconds, cost_usd,
        prompt_tokens, completion_tokens, revision, endpoint, request, rule``; a row without a
        usable answer has ``fault`` and ``detail`` in place of the label. What is not known is
        left out.

    Raises:
        BudgetReached: the next request could pass the cap; what was answered is in the ledger.
        TeacherError: the teacher cannot be asked, or the method needs an embedding.
    """
    if fusion and shown.index is None:
        raise _no_embedding()
    questions = _Questions.to(task, method, shown, purpose, thinks=thinks)
    for outcome in asker.ask(questions.of(examples)):
        pending = questions.waiting[outcome.request.id]
        pending.outcomes.append(outcome)
        if len(pending.outcomes) == method.votes:
            del questions.waiting[outcome.request.id]
            yield from _rows(pending, task, asker, fusion)


def label_requests(
    examples: Iterable[Example], *, task: Task, method: Method, shown: Shown, purpose: str
) -> Iterator[Request]:
    """What `ask_examples` would ask, for whoever counts it or sends it for its length alone.

    Raises:
        TeacherError: the method needs an embedding, or the task has no teacher.
    """
    return _Questions.to(task, method, shown, purpose, thinks=False).of(examples)


def _no_embedding() -> TeacherError:
    return TeacherError(
        "a shortlist needs an embedding, and there is none.",
        hint="Set 'teacher.shortlist' to 0, or install an embedding model.",
    )


@dataclass(slots=True)
class _Pending:
    """An example whose answers are not all there."""

    example: Example
    found: Found
    offered: tuple[str, ...]
    outcomes: list[Outcome] = field(default_factory=list[Outcome])


class _Questions:
    """The requests, built as they are drawn, and the examples that wait for answers."""

    def __init__(
        self,
        task: Task,
        teacher: TeacherSpec,
        method: Method,
        shown: Shown,
        purpose: str,
        *,
        thinks: bool,
    ) -> None:
        self.waiting: dict[str, _Pending] = {}
        self._task = task
        self._method = method
        self._shown = shown
        self._purpose = purpose
        self._thought = method.reasoning and not thinks
        self._system = system_turn(task, shown.prefix(method), thought=self._thought)
        self._teacher = teacher

    @classmethod
    def to(
        cls, task: Task, method: Method, shown: Shown, purpose: str, *, thinks: bool
    ) -> _Questions:
        """Questions to the task's teacher."""
        if method.shortlist and shown.index is None:
            raise _no_embedding()
        if task.teacher is None:
            raise TeacherError("the task names no teacher to ask.", hint="Add a 'teacher' section.")
        return cls(task, task.teacher, method, shown, purpose, thinks=thinks)

    def of(self, examples: Iterable[Example]) -> Iterator[Request]:
        """One request for each vote on each example."""
        source = iter(examples)
        while chunk := list(islice(source, CHUNK_ROWS)):
            for example, found in zip(chunk, self._shown.look_up(chunk, self._method), strict=True):
                offered = self._offered(found)
                self.waiting[example.id] = _Pending(example, found, offered)
                yield from self._votes(example, found, offered)

    def _offered(self, found: Found) -> tuple[str, ...]:
        labels = self._task.label_names
        if not self._method.shortlist or found.ranking is None:
            return labels
        return tuple(labels[place] for place in found.ranking[: self._method.shortlist].tolist())

    def _votes(self, example: Example, found: Found, offered: Sequence[str]) -> Iterator[Request]:
        soft = self._teacher.soft_labels and not self._task.multilabel
        for vote in range(self._method.votes):
            yield Request(
                id=example.id,
                purpose=self._purpose,
                messages=(self._system, user_turn(example, found.nearest)),
                max_tokens=self._teacher.max_tokens,
                temperature=self._teacher.temperature if self._method.votes > 1 else 0.0,
                schema=answer_schema(self._task, offered, thought=self._thought),
                logprobs=LOGPROBS if soft else 0,
                sample=vote,
            )


def _rows(
    pending: _Pending, task: Task, asker: Asker, fusion: Fusion | None
) -> Iterator[dict[str, Any]]:
    """The rows of one example whose answers are all there."""
    outcomes = sorted(pending.outcomes, key=lambda outcome: outcome.request.sample)
    soft = [_distribution(outcome, task, pending.offered) for outcome in outcomes]
    joint = _joint(outcomes, soft, pending.found, task, fusion)
    for outcome, own in zip(outcomes, soft, strict=True):
        row: dict[str, Any] = {"id": pending.example.id}
        if isinstance(pending.example.input, str):
            row["text"] = pending.example.input
        if outcome.fault is None:
            row[answer_key(task)] = outcome.value[answer_key(task)]
            if joint is not None and fusion is not None:
                row |= {"scores": _sparse(joint), "rule": fusion.name}
            elif own is not None:
                row["scores"] = _sparse(own)
        else:
            row |= {"fault": outcome.fault, "detail": outcome.detail}
        row |= facts_of([outcome], asker)
        yield {key: value for key, value in row.items() if value is not None}


def _distribution(outcome: Outcome, task: Task, offered: Sequence[str]) -> dict[str, float] | None:
    """The teacher's own distribution, from log-probabilities."""
    if outcome.fault is not None or outcome.reply is None or task.multilabel:
        return None
    return label_distribution(outcome.reply.text, outcome.reply.logprobs, offered)


def _joint(
    outcomes: Sequence[Outcome],
    soft: Sequence[Mapping[str, float] | None],
    found: Found,
    task: Task,
    fusion: Fusion | None,
) -> dict[str, float] | None:
    """The distribution of all votes and the retrieval together; None without a usable vote."""
    if fusion is None or found.scores is None:
        return None
    votes = [
        own or {outcome.value[answer_key(task)]: 1.0}
        for outcome, own in zip(outcomes, soft, strict=True)
        if outcome.fault is None
    ]
    return fusion.join(mean_of(votes), found.scores) if votes else None


def mean_of(votes: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of several distributions, those of a teacher's votes."""
    total: dict[str, float] = {}
    for vote in votes:
        for label, share in vote.items():
            total[label] = total.get(label, 0.0) + share / len(votes)
    return total


def _sparse(shares: Mapping[str, float]) -> dict[str, float]:
    """Rounded, and without the labels that round to nothing."""
    rounded = {label: round(share, _DIGITS) for label, share in shares.items()}
    return {label: share for label, share in rounded.items() if share}

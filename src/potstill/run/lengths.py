"""How long one call is: counted and guessed beforehand, or measured by a pilot."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, replace

from potstill.data import Example
from potstill.errors import TeacherError
from potstill.generate.asking import label_requests
from potstill.generate.method import Method
from potstill.generate.open import open_method, open_requests
from potstill.generate.retrieval import Shown
from potstill.spec.task import Task
from potstill.spec.teacher import TeacherSpec
from potstill.teacher.request import Asker, Provider, Request

_SAMPLE_ROWS = 20
_LABEL_TOKENS = (8.0, 14.0, 30.0)
_VALUE_TOKENS = (8.0, 30.0, 90.0)
_TOKENS_A_WORD = 1.4
_THOUGHT_TOKENS = (40.0, 90.0, 150.0)
_OWN_THOUGHT_TOKENS = (300.0, 1200.0, 4000.0)
_TOKENS_A_SECOND = (150.0, 50.0, 15.0)
_TWO_SIDED = 2.0


@dataclass(frozen=True, slots=True)
class Range:
    """A figure that is not known yet."""

    low: float
    expected: float
    high: float

    def times(self, other: Range | float) -> Range:
        """Both multiplied, bound by bound."""
        factor = other if isinstance(other, Range) else Range(other, other, other)
        return Range(
            self.low * factor.low, self.expected * factor.expected, self.high * factor.high
        )

    def plus(self, other: Range) -> Range:
        """Both added, bound by bound."""
        return Range(self.low + other.low, self.expected + other.expected, self.high + other.high)


NOTHING = Range(0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Lengths:
    """Tokens and seconds of one call."""

    prompt: Range
    completion: Range
    seconds: Range


def usual_method(teacher: TeacherSpec, shown: Shown, *, labelling: bool = True) -> Method:
    """The way of asking that a plan reckons with: what the task fixes, else all gold that fits."""
    if not labelling:
        return open_method(teacher, shown.examples)
    all_gold = len(shown.examples) if shown.all_fit else min(6, len(shown.examples))
    return Method(
        reasoning=teacher.reasoning is True,
        examples=all_gold if teacher.examples == "auto" else teacher.examples,
        votes=1 if teacher.votes == "auto" else teacher.votes,
    )


def guessed_lengths(rows: Sequence[Example], task: Task, shown: Shown) -> Lengths:
    """Lengths by counting prompts of a few rows, and by rules of thumb for what comes back.

    Args:
        rows: rows of the task.
        task: the task, with its live teacher.
        shown: gold examples.
    """
    teacher = _teacher_of(task)
    completion = _answer_tokens(task)
    if teacher.reasoning is not False:
        thought = Range(*(_THOUGHT_TOKENS if teacher.base_url is None else _OWN_THOUGHT_TOKENS))
        if teacher.reasoning == "auto":
            thought = Range(0.0, 0.3 * thought.expected, thought.high)
        completion = completion.plus(thought)
    bound = float(teacher.max_tokens)
    completion = Range(*(min(bound, value) for value in astuple(completion)))
    fastest, usual, slowest = _TOKENS_A_SECOND
    at_once = _concurrency(teacher, None)
    seconds = Range(
        completion.low / fastest / at_once,
        (0.5 + completion.expected / usual) / at_once,
        (2.0 + completion.high / slowest) / at_once,
    )
    fewest, usual_prompt = _prompt_tokens(rows[:_SAMPLE_ROWS], task, shown)
    prompt = Range(0.8 * fewest, usual_prompt, 1.3 * usual_prompt)
    return Lengths(prompt, completion, seconds)


def _answer_tokens(task: Task) -> Range:
    """Tokens of an answer without its thought: of a label, of each field, or of a short text."""
    if task.type == "extraction":
        return Range(*_VALUE_TOKENS).times(float(len(task.fields)))
    if task.type == "generation":
        longest = _TOKENS_A_WORD * task.text.max_words
        return Range(0.3 * longest, 0.7 * longest, 1.5 * longest)
    return Range(*_LABEL_TOKENS)


def measured_lengths(rows: Sequence[Example], asker: Asker, task: Task, shown: Shown) -> Lengths:
    """Lengths as rows that were really asked had them: means, two standard errors either side.

    What the endpoint does not report is guessed, and not taken for nothing. The low end of
    the prompt is that of one without examples, where the audition may choose so.

    Raises:
        TeacherError: no row brought a reply.
    """
    teacher = _teacher_of(task)
    method = usual_method(teacher, shown, labelling=task.labelling)
    outcomes = list(asker.ask(_requests(rows, task, method, shown, "pilot")))
    replies = [outcome.reply for outcome in outcomes if outcome.reply is not None]
    if not replies:
        said = outcomes[0].detail if outcomes else "nothing was asked"
        raise TeacherError(f"the pilot brought no reply: {said}.")
    attempts = sum(max(1, outcome.attempts) for outcome in outcomes) / len(outcomes)
    guess = guessed_lengths(rows, task, shown)
    prompt = _interval([r.prompt_tokens for r in replies], guess.prompt)
    cheaper = min(1.0, guess.prompt.low / (0.8 * guess.prompt.expected or 1.0))
    prompt = Range(prompt.low * cheaper, prompt.expected, prompt.high)
    completion = _interval([r.completion_tokens for r in replies], guess.completion)
    seconds = _interval([outcome.seconds for outcome in outcomes], guess.seconds)
    at_once = _concurrency(teacher, asker.provider)
    return Lengths(
        prompt.times(attempts), completion.times(attempts), seconds.times(attempts / at_once)
    )


def _requests(
    rows: Sequence[Example], task: Task, method: Method, shown: Shown, purpose: str
) -> Iterator[Request]:
    """The questions as a run would ask them."""
    if task.labelling:
        return label_requests(rows, task=task, method=method, shown=shown, purpose=purpose)
    return open_requests(rows, task=task, method=method, gold=shown.examples, purpose=purpose)


def _prompt_tokens(rows: Sequence[Example], task: Task, shown: Shown) -> tuple[float, float]:
    """Mean tokens of a prompt: the shortest that an audition may choose, and the usual one."""
    from potstill.teacher.prices import estimate_tokens

    teacher = _teacher_of(task)
    usual = usual_method(teacher, shown, labelling=task.labelling)
    bare = replace(usual, examples=0) if teacher.examples == "auto" else usual
    means: list[float] = []
    for method in (bare, usual):
        requests = _requests(rows, task, method, shown, "plan")
        counts = [
            sum(estimate_tokens(message["content"]) for message in request.messages)
            for request in requests
        ]
        means.append(statistics.fmean(counts) if counts else 0.0)
    return means[0], means[1]


def _interval(values: Sequence[float | None], otherwise: Range) -> Range:
    known = [float(value) for value in values if value is not None]
    if not known:
        return otherwise
    mean = statistics.fmean(known)
    spread = statistics.stdev(known) / math.sqrt(len(known)) if len(known) > 1 else mean / 2
    return Range(max(0.0, mean - _TWO_SIDED * spread), mean, mean + _TWO_SIDED * spread)


def _concurrency(teacher: TeacherSpec, provider: Provider | None) -> int:
    known = teacher.concurrency or (provider.concurrency if provider else None)
    return known or (1 if teacher.base_url is None else 16)


def _teacher_of(task: Task) -> TeacherSpec:
    assert task.teacher is not None, "whoever plans has seen that there is a live teacher"
    return task.teacher

"""How long a call is held to be, before and after some were made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from potstill.data import Example
from potstill.errors import TeacherError
from potstill.generate.retrieval import Shown
from potstill.run.lengths import guessed_lengths, measured_lengths
from potstill.spec.task import Task
from potstill.teacher.request import Outcome, Reply, Request

ROWS = [Example(id=f"r{n}", input=f"text number {n}") for n in range(4)]
GOLD = [Example(id=f"g{n}", input="a gold text " * 20, target="a") for n in range(12)]


def task(**teacher: object) -> Task:
    return Task.model_validate(
        {
            "kind": "task",
            "version": 1,
            "name": "t",
            "type": "classification",
            "labels": ["a", "b"],
            "data": {"unlabeled": "u.jsonl", "gold": "g.jsonl"},
            "teacher": {"model": "python:x:y", "reasoning": False, **teacher},
        }
    )


class Told:
    """Answers everything; tells the tokens, or does not."""

    class provider:  # noqa: N801
        name, identity, endpoint, concurrency, rungs = "told", "told", None, 2, ("schema",)

    def __init__(self, tokens: int | None, fault: bool = False) -> None:
        self.tokens, self.fault = tokens, fault

    def ask(self, requests: Iterable[Request]) -> Iterator[Outcome]:
        for request in requests:
            reply = Reply(text="", prompt_tokens=self.tokens, completion_tokens=self.tokens)
            yield Outcome(
                request=request,
                reply=None if self.fault else reply,
                value=None if self.fault else {"label": "a"},
                fault="timed_out" if self.fault else None,
                detail="no reply in 1 s",
                attempts=1,
                cost_usd=None,
                seconds=3.0,
                ledger="1",
                rung="schema",
            )


def test_the_low_end_is_a_prompt_without_examples():
    shown = Shown.of(task(), GOLD)
    either = guessed_lengths(ROWS, task(), shown).prompt
    fixed = guessed_lengths(ROWS, task(examples=12), shown).prompt
    assert either.expected == fixed.expected
    assert either.low < 0.5 * fixed.low


def test_a_pilot_narrows_the_range_and_is_divided_by_calls_at_once():
    found = measured_lengths(ROWS, Told(100), task(examples=0), Shown.of(task(), []))
    assert (found.prompt.low, found.prompt.expected, found.prompt.high) == (100.0, 100.0, 100.0)
    assert found.seconds.expected == 1.5


def test_tokens_that_are_not_told_are_guessed_and_not_zero():
    found = measured_lengths(ROWS, Told(None), task(examples=0), Shown.of(task(), []))
    assert found.prompt.expected > 10
    assert found.completion.expected > 5


def test_a_pilot_without_a_reply_says_why():
    with pytest.raises(TeacherError, match="no reply in 1 s"):
        measured_lengths(ROWS, Told(None, fault=True), task(), Shown.of(task(), []))

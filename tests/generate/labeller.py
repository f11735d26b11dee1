"""A labelling teacher by script, and a task of three topics, for tests of asking."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import orjson

from potstill.data import Example, Source
from potstill.spec.task import Task
from potstill.teacher.request import Outcome, Reply, Request

LABELS = ("card", "card_lost", "loan", "account")
WORDS = {
    "card": ["charge", "merchant", "refund", "statement"],
    "card_lost": ["stolen", "vanished", "misplaced", "dropped"],
    "loan": ["mortgage", "repayment", "house", "borrow"],
    "account": ["deposit", "branch", "balance", "transfer"],
}
_FILLER = ["please", "my", "the", "today", "again", "bank"]
_VOCABULARY = [word for words in WORDS.values() for word in words]


class Provider:
    name = "oracle-1"
    identity = "oracle-1"
    endpoint = "api.example.com"
    concurrency = 4
    rungs = ("schema",)


class Labeller:
    """An `Asker` that answers by a function, in an order of chance within a window.

    Args:
        answer: the value for a request, or an `Outcome` of the caller's own making.
        window: requests that are drawn ahead of the outcomes.
        disorder: seed of the order within a window; None keeps that of the requests.
    """

    provider = Provider()

    def __init__(
        self,
        answer: Callable[[Request], Any],
        *,
        window: int = 16,
        disorder: int | None = None,
    ) -> None:
        self.seen: list[Request] = []
        self._answer = answer
        self._window = window
        self._order = None if disorder is None else random.Random(disorder)

    def ask(self, requests: Iterable[Request]) -> Iterator[Outcome]:
        source = iter(requests)
        while drawn := list(islice(source, self._window)):
            self.seen += drawn
            if self._order is not None:
                self._order.shuffle(drawn)
            for request in drawn:
                value = self._answer(request)
                yield value if isinstance(value, Outcome) else outcome(request, value)


def outcome(request: Request, value: Any = None, **given: Any) -> Outcome:
    known: dict[str, Any] = {
        "request": request,
        "reply": Reply(
            text=orjson.dumps(value).decode(),
            model="oracle-1-0528",
            prompt_tokens=50,
            completion_tokens=5,
        ),
        "value": value,
        "fault": None,
        "detail": "",
        "attempts": 1,
        "cost_usd": 0.25,
        "seconds": 2.0,
        "ledger": f"{request.id}/{request.sample}",
        "rung": "schema",
    }
    return Outcome(**(known | given))


def failed(request: Request, fault: str, **given: Any) -> Outcome:
    return outcome(request, reply=None, fault=fault, detail=f"it was {fault}", **given)


def offered(request: Request) -> list[str]:
    """The labels that the schema of a request offers."""
    properties = request.schema["properties"]
    label = properties.get("label") or properties["labels"]["items"]
    return label["enum"]


def about(text: str) -> str:
    """The label whose words a text holds."""
    return max(LABELS, key=lambda label: sum(word in text for word in WORDS[label]))


def text_asked(request: Request) -> str:
    """The text that a request is about."""
    return request.messages[-1]["content"].rpartition("\n")[2]


def embed(texts: Sequence[str]) -> np.ndarray:
    """Counts of the telling words, in which words of one label are near each other."""
    counts = np.array([[text.count(word) for word in _VOCABULARY] for text in texts], float)
    return counts + counts.reshape(-1, len(LABELS), 4).mean(axis=2).repeat(4, axis=1) + 1e-3


def make_rows(count: int, *, prefix: str = "r", seed: int = 0, gold: bool = True) -> list[Example]:
    """Rows of the four labels in turn, each text different."""
    generator = random.Random(f"{prefix}{seed}")
    rows: list[Example] = []
    for number in range(count):
        label = LABELS[number % len(LABELS)]
        words = [*generator.choices(WORDS[label], k=2), *generator.choices(_FILLER, k=3)]
        generator.shuffle(words)
        source = Source(kind="person", name="gold", contributed=("target",), stage="read")
        rows.append(
            Example(
                id=f"{prefix}{number}",
                input=f"{' '.join(words)} {prefix}{number}",
                target=label if gold else None,
                sources=(source,) if gold else (),
            )
        )
    return rows


def make_task(**given: Any) -> Task:
    teacher = {"model": "local:tiny", "terms": "oracle-terms"} | given.pop("teacher", {})
    known = {
        "kind": "task",
        "version": 1,
        "name": "bank",
        "type": "classification",
        "description": "What is it about?",
        "labels": dict.fromkeys(LABELS) | {"loan": "Loans and mortgages."},
        "rules": ["A stolen card is card_lost."],
        "data": {"gold": "gold.jsonl"},
        "teacher": teacher,
    }
    return Task.model_validate(known | given)

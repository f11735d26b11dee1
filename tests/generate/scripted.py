"""A teacher by script, for tests of synthesis: it writes and lists what it is told to."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from potstill.spec.task import Task
from potstill.spec.teacher import GenerateSpec
from potstill.teacher.request import Outcome, Reply, Request

LABELS = {"card": "Cards and their charges.", "loan": "Loans.", "account_closed": None}
WORDS = [f"word{number}" for number in range(400)]


class Provider:
    name = "scribe-1"
    identity = "scribe-1"
    endpoint = "api.example.com"
    concurrency = 4
    rungs = ("schema",)


class Scripted:
    """An `Asker` whose replies come from a function, in an order of chance.

    Args:
        reply: the value for a request, or an `Outcome` of the caller's own making.
        disorder: seed of the order of replies; None keeps that of the requests.
    """

    provider = Provider()

    def __init__(self, reply: Callable[[Request], Any], *, disorder: int | None = None) -> None:
        self.seen: list[Request] = []
        self._reply = reply
        self._disorder = disorder

    def ask(self, requests: Iterable[Request]) -> Iterator[Outcome]:
        asked = list(requests)
        self.seen += asked
        outcomes = [self._outcome(request) for request in asked]
        if self._disorder is not None:
            random.Random(self._disorder).shuffle(outcomes)
        yield from outcomes

    def _outcome(self, request: Request) -> Outcome:
        value = self._reply(request)
        if isinstance(value, Outcome):
            return value
        return outcome(request, value=value)


def outcome(request: Request, **given: Any) -> Outcome:
    known: dict[str, Any] = {
        "request": request,
        "reply": Reply(text="", model="scribe-1-0528"),
        "value": None,
        "fault": None,
        "detail": "",
        "attempts": 1,
        "cost_usd": 0.3,
        "seconds": 1.0,
        "ledger": f"row-{request.id}",
        "rung": "schema",
    }
    return Outcome(**(known | given))


def wanted(request: Request) -> int:
    """Texts that a request asks for."""
    return int(re.match(r"Write (\d+)", request.messages[-1]["content"])[1])


def label_asked(request: Request) -> str:
    """The label that a request is for."""
    return request.messages[-1]["content"].splitlines()[1].partition(":")[0]


def writes(request: Request) -> dict[str, Any]:
    """A usable reply: texts that begin with their label and are otherwise words of chance."""
    generator = random.Random(f"{request.messages[-1]['content']}{request.sample}")
    texts = [
        " ".join([label_asked(request).split("_")[0], *generator.choices(WORDS, k=12)])
        for _ in range(wanted(request))
    ]
    return says(request, *texts)


def says(request: Request, *texts: str) -> dict[str, Any]:
    """A reply of these texts, as many of them as the request asks for."""
    value = {"texts": list(texts[: wanted(request)])}
    return {"decides": "so", **value} if "decides" in request.schema["required"] else value


def make_task(**given: Any) -> Task:
    known = {
        "kind": "task",
        "version": 1,
        "name": "bank",
        "type": "classification",
        "description": "What is it about?",
        "labels": LABELS,
        "data": {"gold": "gold.jsonl"},
        "teacher": {"model": "local:tiny", "terms": "scribe-terms"},
        "generate": {"target": 30},
    }
    return Task.model_validate(known | given)


def make_spec(**given: Any) -> GenerateSpec:
    return GenerateSpec.model_validate({"target": 30, "per_request": 3} | given)

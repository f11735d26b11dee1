"""Servables of a few lines, and a caller of a server."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from potstill.data.composed import Composed
from potstill.data.example import Prediction, Text
from potstill.data.extraction import Extraction, Money, Value
from potstill.serve.registry import Registry, Source
from potstill.spec.answer import AnswerSpec


class Topics:
    """Answers ``card`` or ``loan`` by the word in the text, and misbehaves on demand."""

    name = "topics"
    labels = ("card", "loan")
    multilabel = False
    description = "What is it about?"

    def __init__(self, version: str = "a" * 12, ms: float = 0.0) -> None:
        self.version = version
        self.ms = ms
        self.release = threading.Event()
        self.asked: list[str] = []

    def predict(self, inputs: Any, /) -> Any:
        if isinstance(inputs, str | Mapping):
            return self._answer(inputs)
        return [self._answer(value) for value in inputs]

    def _answer(self, value: Any) -> Prediction:
        text = value if isinstance(value, str) else " ".join(value.values())
        self.asked.append(text)
        if self.ms:
            time.sleep(self.ms / 1e3)
        if "raise" in text:
            raise RuntimeError("a defect")
        if "hang" in text:
            self.release.wait(20)
        label = "loan" if "loan" in text else "card"
        sure = 0.9 if label in text else 0.6
        scores = {name: sure if name == label else 1 - sure for name in self.labels}
        return Prediction(
            label,
            sure,
            scores,
            truncated="long" in text,
            deferred="unsure" if "unsure" in text else None,
        )


class Fielded(Topics):
    """Reads two named fields, and may give several labels."""

    name = "mail"
    multilabel = True

    class columns:  # noqa: N801
        input = ("subject", "body")

    def _answer(self, value: Any) -> Prediction:
        text = f"{value['subject']} {value['body']}"
        found = tuple(label for label in self.labels if label in text)
        return Prediction(found, 0.8, {label: float(label in text) for label in self.labels})


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return self.json["error"]["code"]


class Caller:
    """One connection at a time to a server."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.host, _, port = url.removeprefix("http://").rpartition(":")
        self.port = int(port)

    def __call__(
        self,
        path: str,
        body: Any = None,
        *,
        method: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        connection = http.client.HTTPConnection(self.host, self.port, timeout=30)
        try:
            known = {"content-type": "application/json", **(headers or {})}
            connection.request(method or ("GET" if body is None else "POST"), path, body, known)
            answer = connection.getresponse()
            return Reply(
                answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
            )
        finally:
            connection.close()


def registry_of(*servables: Any) -> Registry:
    return Registry(
        [
            Source(name=each.name, path=Path(each.name), load=lambda _, e=each: e)
            for each in servables
        ]
    )


class Papers(Topics):
    """Finds a party and a fee; unsure of the party where the text says so."""

    name = "papers"
    labels = ("party", "fee", "day")
    description = "Who pays what?"
    card: Mapping[str, Any] = {
        "checksum": "b" * 64,
        "type": "extraction",
        "labels": labels,
        "task": {
            "answer": {
                "type": "extraction",
                "fields": {
                    "party": {"many": True, "description": "Who signs."},
                    "fee": {"type": "money"},
                    "day": {"type": "date", "required": True},
                },
            }
        },
    }

    def _answer(self, value: Any) -> Prediction:
        text = value if isinstance(value, str) else " ".join(value.values())
        found: dict[str, tuple[Value, ...]] = {}
        for name, words, held in (
            ("party", "Ann", "Ann"),
            ("party", "Bob", "Bob"),
            ("fee", "$ 9", Money("9.00", "USD")),
            ("day", "May 1st, 2020", "2020-05-01"),
        ):
            if (at := text.find(words)) >= 0:
                one = Value(held, words, at, at + len(words), 0.9)
                found[name] = (*found.get(name, ()), one)
        unsure = ("party",) if "unsure" in text else ()
        deferred = None if "day" in found else "unsure"
        scores = dict.fromkeys(self.labels, 0.9)
        return Prediction(Extraction(found, unsure), 0.7, scores, deferred=deferred)


class Gists(Topics):
    """Says the first three words."""

    name = "gists"
    labels = ()
    card: Mapping[str, Any] = {
        "checksum": "c" * 64,
        "type": "generation",
        "task": {"answer": {"type": "generation"}},
    }

    def _answer(self, value: Any) -> Prediction:
        words = value.split()
        guarded = ("length",) if len(words) > 3 else ()
        return Prediction(Text(" ".join(words[:3]), guarded=guarded), None)


class Files(Topics):
    """Answers in parts: a label, what `Papers` finds, and a text or nothing."""

    name = "files"
    labels = ()
    card: Mapping[str, Any] = {
        "name": "files",
        "type": "composite",
        "parts": {
            "kind": {"type": "label", "labels": ["paper", "other"]},
            "found": {
                "type": "extraction",
                "fields": AnswerSpec.of_card(Papers.card).model_dump(mode="json")["fields"],
            },
            "fee": {"type": "amount"},
            "gist": {"type": "generation"},
            "parties": {"type": "list", "items": {"type": "text"}},
            "sure": {"type": "number"},
        },
        "task": {"answer": None, "description": "Everything about a paper."},
    }

    def _answer(self, value: Any) -> Prediction:
        found, gist = Papers().predict(value), Gists().predict(value)
        doubtful = "unsure" in value
        parts = {
            "kind": "paper" if "Ann" in value else "other",
            "found": found,
            "fee": next((one.value for one in found.target.of("fee")), None),
            "gist": None if doubtful else gist,
            "parties": [one.value for one in found.target.of("party")],
            "sure": found.confidence,
        }
        return Composed(None, parts=parts, unanswered={"gist": "unsure"} if doubtful else {})
